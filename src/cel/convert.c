/* Conversions between types (reference/05 §3.7), and what moments and durations tell about themselves (§3.8). */
#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/civil.h"
#include "cel/function.h"
#include "cel/number.h"
#include "cel/time.h"
#include "cel/utf8.h"

#define TWO_TO_63 9223372036854775808.0
#define TWO_TO_64 18446744073709551616.0

static struct sg_cel_value conversion_error(struct sg_str type)
{
    return sg_cel_error(SG_CEL_E_CONVERSION, type);
}

static struct sg_cel_value to_int(const struct sg_cel_value *value)
{
    const struct sg_cel_value overflow = sg_cel_error(SG_CEL_E_OVERFLOW_INT, SG_STR_NULL);
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_INT:
        return *value;
    case SG_CEL_UINT:
        return value->as.natural <= INT64_MAX ? sg_cel_int((int64_t)value->as.natural) : overflow;
    case SG_CEL_DOUBLE:
        return value->as.number > -TWO_TO_63 && value->as.number < TWO_TO_63 ? sg_cel_int((int64_t)value->as.number) : overflow;
    case SG_CEL_STRING: {
        struct sg_str text = sg_cel_str(value);
        int64_t integer;
        if (text.len > 1 && text.ptr[0] == '+' && text.ptr[1] != '-')
            text = (struct sg_str){text.ptr + 1, text.len - 1};
        return sg_str_to_int(text, &integer) ? sg_cel_int(integer) : conversion_error(SG_STR("'int'"));
    }
    case SG_CEL_TIMESTAMP:
        return sg_cel_int(value->as.time->seconds);
    case SG_CEL_DURATION:
        return sg_cel_int(value->as.duration_ns);
    default:
        return sg_cel_no_overload(SG_CEL_F_TO_INT);
    }
}

static struct sg_cel_value uint_from_text(struct sg_str text)
{
    uint64_t natural = 0;
    bool is_fine = text.len > 0;
    for (size_t i = 0; i < text.len && is_fine; i++) {
        unsigned digit = (unsigned)(text.ptr[i] - '0');
        is_fine = digit <= 9 && natural <= (UINT64_MAX - digit) / 10;
        natural = natural * 10 + digit;
    }
    return is_fine ? sg_cel_uint(natural) : conversion_error(SG_STR("'uint'"));
}

static struct sg_cel_value to_uint(const struct sg_cel_value *value)
{
    const struct sg_cel_value overflow = sg_cel_error(SG_CEL_E_OVERFLOW_UINT, SG_STR_NULL);
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_UINT:
        return *value;
    case SG_CEL_INT:
        return value->as.integer >= 0 ? sg_cel_uint((uint64_t)value->as.integer) : overflow;
    case SG_CEL_DOUBLE:
        return value->as.number >= 0 && value->as.number < TWO_TO_64 ? sg_cel_uint((uint64_t)value->as.number) : overflow;
    case SG_CEL_STRING:
        return uint_from_text(sg_cel_str(value));
    default:
        return sg_cel_no_overload(SG_CEL_F_TO_UINT);
    }
}

static struct sg_cel_value to_double(const struct sg_cel_value *value)
{
    double number;
    if (sg_cel_is_number(value))
        return sg_cel_double(sg_cel_to_number(value));
    if (value->kind != SG_CEL_STRING)
        return sg_cel_no_overload(SG_CEL_F_TO_DOUBLE);
    return sg_cel_double_convert(sg_cel_str(value), &number) ? sg_cel_double(number) : conversion_error(SG_STR("'double'"));
}

static bool is_utf8(struct sg_str bytes)
{
    for (size_t i = 0; i < bytes.len;) {
        uint32_t code;
        size_t len = sg_cel_utf8_read(bytes.ptr + i, bytes.len - i, &code);
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

static struct sg_cel_value to_string(struct sg_cel_eval *eval, const struct sg_cel_value *value)
{
    struct sg_buf text = {0};
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_STRING:
        return *value;
    case SG_CEL_BOOL:
        return sg_cel_string(value->as.boolean ? SG_STR("true") : SG_STR("false"));
    case SG_CEL_BYTES:
        sg_cel_charge(eval, value->count / 16);
        if (!is_utf8(sg_cel_str(value)))
            return sg_cel_error(SG_CEL_E_INVALID_UTF8, SG_STR_NULL);
        return sg_cel_string(sg_cel_str(value));
    case SG_CEL_INT:
    case SG_CEL_UINT:
    case SG_CEL_DOUBLE:
        sg_cel_value_key(value, &text);
        break;
    case SG_CEL_TIMESTAMP:
        sg_cel_time_print(value->as.time, &text);
        break;
    case SG_CEL_DURATION:
        sg_cel_duration_print_seconds(value->as.duration_ns, &text);
        break;
    default:
        return sg_cel_no_overload(SG_CEL_F_TO_STRING);
    }
    return sg_cel_take_text(eval, &text, SG_CEL_STRING);
}

static struct sg_cel_value to_bool(const struct sg_cel_value *value)
{
    static const char *const words[] = {"1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"};
    if (value->kind == SG_CEL_BOOL)
        return *value;
    if (value->kind != SG_CEL_STRING)
        return sg_cel_no_overload(SG_CEL_F_TO_BOOL);
    for (size_t i = 0; i < SG_ARRAY_LEN(words); i++) {
        if (sg_str_eq(sg_cel_str(value), sg_str_from(words[i])))
            return sg_cel_bool(i < SG_ARRAY_LEN(words) / 2);
    }
    return conversion_error(SG_STR("'bool'"));
}

static struct sg_cel_value to_timestamp(struct sg_cel_eval *eval, const struct sg_cel_value *value)
{
    struct sg_cel_time time;
    if (value->kind == SG_CEL_TIMESTAMP)
        return *value;
    if (value->kind == SG_CEL_INT)
        time = sg_cel_time_from_seconds(value->as.integer);
    else if (value->kind != SG_CEL_STRING)
        return sg_cel_no_overload(SG_CEL_F_TO_TIMESTAMP);
    else if (!sg_cel_time_parse(sg_cel_str(value), &time))
        return conversion_error(SG_STR("'google.protobuf.Timestamp'"));
    if (!sg_cel_time_is_valid(&time))
        return sg_cel_error(SG_CEL_E_OVERFLOW_TIMESTAMP, SG_STR_NULL);
    return sg_cel_make_time(eval, time);
}

static struct sg_cel_value to_duration(const struct sg_cel_value *value)
{
    int64_t ns;
    if (value->kind == SG_CEL_DURATION)
        return *value;
    if (value->kind != SG_CEL_STRING)
        return sg_cel_no_overload(SG_CEL_F_TO_DURATION);
    return sg_cel_duration_parse(sg_cel_str(value), false, &ns) ? sg_cel_duration(ns)
                                                                : conversion_error(SG_STR("'google.protobuf.Duration'"));
}

struct sg_cel_value sg_cel_apply_conversion(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *value)
{
    if (value->kind == SG_CEL_STRING)
        sg_cel_charge(eval, 8 + value->count / 4);
    else
        sg_cel_charge(eval, 8);
    switch (function) {
    case SG_CEL_F_TO_INT:
        return to_int(value);
    case SG_CEL_F_TO_UINT:
        return to_uint(value);
    case SG_CEL_F_TO_DOUBLE:
        return to_double(value);
    case SG_CEL_F_TO_STRING:
        return to_string(eval, value);
    case SG_CEL_F_TO_BOOL:
        return to_bool(value);
    case SG_CEL_F_TO_TIMESTAMP:
        return to_timestamp(eval, value);
    case SG_CEL_F_TO_DURATION:
        return to_duration(value);
    default:
        assert(function == SG_CEL_F_TO_BYTES);
        if (value->kind != SG_CEL_BYTES && value->kind != SG_CEL_STRING)
            return sg_cel_no_overload(function);
        return (struct sg_cel_value){.kind = SG_CEL_BYTES, .count = value->count, .as.bytes = value->as.bytes};
    }
}

/* ---- getters ---- */

static struct sg_cel_value duration_part(uint8_t function, int64_t ns)
{
    switch (function) {
    case SG_CEL_F_GET_HOURS:
        return sg_cel_int(ns / (3600 * SG_CEL_NS_PER_SECOND));
    case SG_CEL_F_GET_MINUTES:
        return sg_cel_int(ns / (60 * SG_CEL_NS_PER_SECOND));
    case SG_CEL_F_GET_SECONDS:
        return sg_cel_int(ns / SG_CEL_NS_PER_SECOND);
    case SG_CEL_F_GET_MILLISECONDS:
        return sg_cel_int(ns / 1000000);
    default:
        return sg_cel_no_overload(function);
    }
}

static int64_t time_part(uint8_t function, const struct sg_cel_time *time, int32_t offset_s)
{
    struct sg_civil civil = sg_civil_from_ms((time->seconds + offset_s) * 1000);
    switch (function) {
    case SG_CEL_F_GET_FULL_YEAR:
        return civil.year;
    case SG_CEL_F_GET_MONTH:
        return civil.month - 1;
    case SG_CEL_F_GET_DATE:
        return civil.day;
    case SG_CEL_F_GET_DAY_OF_MONTH:
        return civil.day - 1;
    case SG_CEL_F_GET_DAY_OF_WEEK:
        return civil.weekday;
    case SG_CEL_F_GET_DAY_OF_YEAR:
        return sg_civil_days(civil.year, civil.month, civil.day) - sg_civil_days(civil.year, 1, 1);
    case SG_CEL_F_GET_HOURS:
        return civil.hour;
    case SG_CEL_F_GET_MINUTES:
        return civil.minute;
    case SG_CEL_F_GET_SECONDS:
        return civil.second;
    default:
        assert(function == SG_CEL_F_GET_MILLISECONDS);
        return time->nanoseconds / 1000000;
    }
}

struct sg_cel_value sg_cel_apply_getter(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *arguments, size_t count)
{
    if (arguments[0].kind == SG_CEL_DURATION && count == 1)
        return duration_part(function, arguments[0].as.duration_ns);
    if (arguments[0].kind != SG_CEL_TIMESTAMP || (count > 1 && arguments[1].kind != SG_CEL_STRING))
        return sg_cel_no_overload(function);

    const struct sg_cel_time *time = arguments[0].as.time;
    int32_t offset_s = 0;
    if (count > 1 && !sg_cel_zone_offset(sg_cel_str(&arguments[1]), time->seconds, &offset_s)) {
        sg_cel_charge(eval, 1000); /* the file system was asked */
        struct sg_str zone = sg_cel_str(&arguments[1]);
        struct sg_str message = sg_arena_printf(eval->arena, "unknown time zone %.*s", (int)(zone.len < 100 ? zone.len : 100), zone.ptr);
        return message.ptr != NULL ? sg_cel_error(SG_CEL_E_TEXT, message) : sg_cel_abort(SG_CEL_E_NO_MEMORY);
    }
    return sg_cel_int(time_part(function, time, offset_s));
}
