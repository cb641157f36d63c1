/*
 * The functions that the server adds to the language (reference/05 §4.8): lowercase, uppercase, b64decode, json_parse, date,
 * now, now_plus, now_minus.
 *
 * They are forgiving where the standard functions are strict: what is not a string is an empty one, what is not a JSON object
 * is an empty map. Only dates and durations that make no sense fail, and those fail for good: the ABORT that they give is
 * masked by nothing.
 */
#include <string.h>

#include "base/check.h"
#include "cel/function.h"
#include "cel/json.h"
#include "cel/time.h"
#include "cel/utf8.h"

/* ---- case ---- */

struct case_range {
    uint32_t first;
    uint32_t last;
    uint32_t step;
    int32_t distance;
};

static const struct case_range to_lower[] = {
#define SG_CEL_CASE_LOWER(first, last, step, distance) {first, last, step, distance},
#include "cel/casemap.def"
#undef SG_CEL_CASE_LOWER
};

static const struct case_range to_upper[] = {
#define SG_CEL_CASE_UPPER(first, last, step, distance) {first, last, step, distance},
#include "cel/casemap.def"
#undef SG_CEL_CASE_UPPER
};

static uint32_t map_case(uint32_t code, bool is_upper)
{
    if (code < 0x80) {
        char first = is_upper ? 'a' : 'A';
        bool is_letter = code >= (uint32_t)first && code < (uint32_t)first + 26;
        return is_letter ? code ^ 0x20 : code;
    }
    const struct case_range *ranges = is_upper ? to_upper : to_lower;
    size_t low = 0;
    size_t high = is_upper ? SG_ARRAY_LEN(to_upper) : SG_ARRAY_LEN(to_lower);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (code > ranges[middle].last)
            low = middle + 1;
        else if (code < ranges[middle].first)
            high = middle;
        else
            return (code - ranges[middle].first) % ranges[middle].step == 0 ? (uint32_t)((int64_t)code + ranges[middle].distance) : code;
    }
    return code;
}

static struct sg_cel_value change_case(struct sg_cel_eval *eval, struct sg_str text, bool is_upper)
{
    sg_cel_charge(eval, text.len / 2);
    if (eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    /* A mapping makes a character at most one byte longer, and that only from two bytes or more. */
    char *changed = text.len < UINT32_MAX / 2 ? sg_arena_alloc(eval->arena, text.len + text.len / 2 + 4) : NULL;
    if (changed == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    size_t len = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t read = sg_cel_utf8_read(text.ptr + i, text.len - i, &code);
        assert(read > 0); /* strings are UTF-8 */
        len += sg_cel_utf8_write(map_case(code, is_upper), changed + len);
        i += read;
    }
    return sg_cel_string((struct sg_str){changed, len});
}

/* ---- base64 ---- */

static int base64_digit(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

/* The bytes of a group of four characters; 0 if it is malformed. */
static size_t decode_group(const char group[4], char out[3])
{
    int digits[4];
    for (size_t i = 0; i < 4; i++)
        digits[i] = base64_digit(group[i]);
    if (digits[0] < 0 || digits[1] < 0)
        return 0;
    out[0] = (char)(digits[0] << 2 | digits[1] >> 4);
    if (group[2] == '=' && group[3] == '=')
        return 1;
    if (digits[2] < 0)
        return 0;
    out[1] = (char)(digits[1] << 4 | digits[2] >> 2);
    if (group[3] == '=')
        return 2;
    if (digits[3] < 0)
        return 0;
    out[2] = (char)(digits[2] << 6 | digits[3]);
    return 3;
}

/* Bytes that are no UTF-8 become U+FFFD, as strings are UTF-8 here. */
static struct sg_cel_value repaired_string(struct sg_cel_eval *eval, struct sg_str bytes)
{
    bool is_fine = true;
    uint32_t code;
    for (size_t i = 0; i < bytes.len && is_fine;) {
        size_t read = sg_cel_utf8_read(bytes.ptr + i, bytes.len - i, &code);
        is_fine = read > 0;
        i += read;
    }
    if (is_fine)
        return sg_cel_string(bytes);
    char *repaired = sg_arena_alloc(eval->arena, bytes.len * 3);
    if (repaired == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    size_t len = 0;
    for (size_t i = 0; i < bytes.len;) {
        size_t read = sg_cel_utf8_read(bytes.ptr + i, bytes.len - i, &code);
        len += sg_cel_utf8_write(read > 0 ? code : 0xfffd, repaired + len);
        i += read > 0 ? read : 1;
    }
    return sg_cel_string((struct sg_str){repaired, len});
}

/* Whole groups until the text ends or something is wrong with it. */
static struct sg_cel_value decode_base64(struct sg_cel_eval *eval, struct sg_str text)
{
    sg_cel_charge(eval, text.len / 4);
    if (eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    char *decoded = text.len < UINT32_MAX / 2 ? sg_arena_alloc(eval->arena, text.len / 4 * 3 + 4) : NULL;
    if (decoded == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    size_t len = 0;
    char group[4];
    size_t filled = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\r' || text.ptr[i] == '\n')
            continue;
        group[filled++] = text.ptr[i];
        if (filled < 4)
            continue;
        filled = 0;
        size_t count = decode_group(group, decoded + len);
        len += count;
        if (count < 3)
            break;
    }
    return repaired_string(eval, (struct sg_str){decoded, len});
}

/* ---- JSON ---- */

static struct sg_cel_value parse_json(struct sg_cel_eval *eval, struct sg_str text)
{
    sg_cel_charge(eval, text.len / 2 + 10);
    if (eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    struct sg_cel_value parsed;
    enum sg_status status = sg_cel_json_parse(text, eval->arena, &parsed, NULL);
    if (status == SG_NO_MEMORY)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    if (status == SG_OK && parsed.kind == SG_CEL_MAP)
        return parsed;
    return (struct sg_cel_value){.kind = SG_CEL_MAP, .detail = SG_CEL_MAP_IS_SORTED};
}

/* ---- time ---- */

/* A number is seconds, milliseconds or nanoseconds, whichever makes it a moment since 2000 (reference/05 §4.8). */
static bool time_from_int(int64_t number, struct sg_cel_time *time)
{
    if (number < 946684800)
        return false;
    if (number < INT64_C(9999999999)) {
        *time = sg_cel_time_from_seconds(number);
    } else if (number < INT64_C(9999999999999)) {
        *time = sg_cel_time_from_seconds(number / 1000);
        time->nanoseconds = (int32_t)(number % 1000 * 1000000);
    } else {
        *time = sg_cel_time_from_ns(number);
    }
    return true;
}

static struct sg_cel_value make_date(struct sg_cel_eval *eval, const struct sg_cel_value *value)
{
    struct sg_cel_time time;
    bool is_fine = false;
    if (value->kind == SG_CEL_STRING) {
        sg_cel_charge(eval, 4);
        is_fine = sg_cel_date_parse(sg_cel_str(value), &time);
    } else if (value->kind == SG_CEL_INT) {
        is_fine = time_from_int(value->as.integer, &time);
    }
    return is_fine ? sg_cel_make_time(eval, time) : sg_cel_abort(SG_CEL_E_ABORT);
}

static struct sg_cel_time now(const struct sg_cel_eval *eval)
{
    int64_t now_ms = eval->scope->now_ms;
    int64_t seconds = now_ms / 1000 - (now_ms % 1000 < 0);
    struct sg_cel_time time = sg_cel_time_from_seconds(seconds);
    time.nanoseconds = (int32_t)((now_ms - seconds * 1000) * 1000000);
    return time;
}

static struct sg_cel_value shift_now(struct sg_cel_eval *eval, const struct sg_cel_value *value, bool is_back)
{
    int64_t ns;
    struct sg_cel_time moved;
    struct sg_cel_time present = now(eval);
    if (value->kind == SG_CEL_STRING)
        sg_cel_charge(eval, value->count / 8);
    if (value->kind != SG_CEL_STRING || !sg_cel_duration_parse(sg_cel_str(value), true, &ns) || ns == INT64_MIN ||
        !sg_cel_time_add(&present, is_back ? -ns : ns, &moved))
        return sg_cel_abort(SG_CEL_E_ABORT);
    return sg_cel_make_time(eval, moved);
}

struct sg_cel_value sg_cel_apply_extra(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *value)
{
    struct sg_str text = value != NULL && value->kind == SG_CEL_STRING ? sg_cel_str(value) : SG_STR("");
    switch (function) {
    case SG_CEL_F_LOWERCASE:
        return change_case(eval, text, false);
    case SG_CEL_F_UPPERCASE:
        return change_case(eval, text, true);
    case SG_CEL_F_B64DECODE:
        return decode_base64(eval, text);
    case SG_CEL_F_JSON_PARSE:
        return parse_json(eval, text);
    case SG_CEL_F_DATE:
        return make_date(eval, value);
    case SG_CEL_F_NOW:
        return sg_cel_make_time(eval, now(eval));
    case SG_CEL_F_NOW_PLUS:
        return shift_now(eval, value, false);
    default:
        assert(function == SG_CEL_F_NOW_MINUS);
        return shift_now(eval, value, true);
    }
}
