/*
 * Moments and durations: arithmetic and texts.
 *
 * The model. A moment is seconds and nanoseconds; the zone it came with is only remembered for printing. Texts are read by
 * layouts, one letter a field (see `read_field`), with the leniency of Go's time package, because dates that the existing
 * server accepts must stay accepted: blanks match runs of blanks, an hour may have one digit, a fraction may follow the
 * seconds whether or not the layout says so, a weekday need not be the right one.
 *
 * What it never does: read a clock or the process's time zone. Zone abbreviations other than UTC and GMT are offset 0.
 */
#include "cel/time.h"

#include <string.h>

#include "base/check.h"
#include "base/civil.h"

#define SECONDS_PER_DAY INT64_C(86400)
#define YEAR_1 INT64_C(-62135596800)     /* 0001-01-01T00:00:00Z */
#define YEAR_10000 INT64_C(253402300800) /* 10000-01-01T00:00:00Z */

/* ---- arithmetic ---- */

bool sg_cel_time_is_valid(const struct sg_cel_time *time)
{
    return time->seconds >= YEAR_1 && time->seconds < YEAR_10000;
}

struct sg_cel_time sg_cel_time_from_seconds(int64_t seconds)
{
    return (struct sg_cel_time){.seconds = seconds, .zone = "UTC"};
}

struct sg_cel_time sg_cel_time_from_ns(int64_t ns)
{
    struct sg_cel_time time = sg_cel_time_from_seconds(ns / SG_CEL_NS_PER_SECOND);
    int64_t rest = ns % SG_CEL_NS_PER_SECOND;
    if (rest < 0) {
        time.seconds--;
        rest += SG_CEL_NS_PER_SECOND;
    }
    time.nanoseconds = (int32_t)rest;
    return time;
}

bool sg_cel_time_add(const struct sg_cel_time *time, int64_t ns, struct sg_cel_time *sum)
{
    struct sg_cel_time delta = sg_cel_time_from_ns(ns);
    *sum = *time;
    if (__builtin_add_overflow(time->seconds, delta.seconds, &sum->seconds))
        return false;
    sum->nanoseconds = time->nanoseconds + delta.nanoseconds;
    if (sum->nanoseconds >= SG_CEL_NS_PER_SECOND) {
        sum->nanoseconds -= (int32_t)SG_CEL_NS_PER_SECOND;
        sum->seconds++;
    }
    return sg_cel_time_is_valid(sum);
}

bool sg_cel_time_subtract(const struct sg_cel_time *a, const struct sg_cel_time *b, int64_t *ns)
{
    int64_t seconds;
    if (__builtin_sub_overflow(a->seconds, b->seconds, &seconds))
        return false;
    int64_t rest = (int64_t)a->nanoseconds - b->nanoseconds;
    if (seconds < 0 && rest > 0) { /* so that the product alone does not overflow where the sum fits */
        seconds++;
        rest -= SG_CEL_NS_PER_SECOND;
    }
    return !__builtin_mul_overflow(seconds, SG_CEL_NS_PER_SECOND, ns) && !__builtin_add_overflow(*ns, rest, ns);
}

/* ---- reading moments ---- */

struct fields {
    struct sg_str rest;
    int64_t year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int32_t nanoseconds;
    bool is_utc;
    bool has_offset;
    int32_t offset_s;
    char zone[8];
};

static bool is_digit(struct sg_str text, size_t i)
{
    return i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9';
}

static void drop(struct fields *fields, size_t count)
{
    fields->rest = (struct sg_str){fields->rest.ptr + count, fields->rest.len - count};
}

/* One or two digits, or exactly two. */
static bool read_pair(struct fields *fields, bool is_fixed, int *number)
{
    if (!is_digit(fields->rest, 0))
        return false;
    if (!is_digit(fields->rest, 1)) {
        if (is_fixed)
            return false;
        *number = fields->rest.ptr[0] - '0';
        drop(fields, 1);
        return true;
    }
    *number = (fields->rest.ptr[0] - '0') * 10 + (fields->rest.ptr[1] - '0');
    drop(fields, 2);
    return true;
}

static bool read_year(struct fields *fields)
{
    int century;
    int rest;
    if (!is_digit(fields->rest, 3) || !read_pair(fields, true, &century) || !read_pair(fields, true, &rest))
        return false;
    fields->year = century * 100 + rest;
    return true;
}

static bool read_short_year(struct fields *fields)
{
    int year;
    if (!read_pair(fields, true, &year))
        return false;
    fields->year = year >= 69 ? 1900 + year : 2000 + year;
    return true;
}

/* One of `count` names; its number, or -1. */
static int read_name(struct fields *fields, const char *const *names, size_t count, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        size_t name_len = len > 0 ? len : strlen(names[i]);
        if (fields->rest.len >= name_len &&
            sg_str_eq_nocase((struct sg_str){fields->rest.ptr, name_len}, (struct sg_str){names[i], name_len})) {
            drop(fields, name_len);
            return (int)i;
        }
    }
    return -1;
}

static bool read_month_name(struct fields *fields)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    fields->month = read_name(fields, months, SG_ARRAY_LEN(months), 3) + 1;
    return fields->month > 0;
}

static bool read_weekday(struct fields *fields, bool is_long)
{
    static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    return read_name(fields, days, SG_ARRAY_LEN(days), is_long ? 0 : 3) >= 0;
}

static bool read_seconds(struct fields *fields)
{
    if (!read_pair(fields, true, &fields->second))
        return false;
    if (fields->rest.len < 2 || (fields->rest.ptr[0] != '.' && fields->rest.ptr[0] != ',') || !is_digit(fields->rest, 1))
        return true;
    size_t i = 1;
    int32_t unit = 100000000;
    for (; is_digit(fields->rest, i); i++) {
        fields->nanoseconds += (fields->rest.ptr[i] - '0') * unit;
        unit /= 10;
    }
    drop(fields, i);
    return true;
}

/* "+0530" or, with a colon, "+05:30". */
static bool read_offset(struct fields *fields, bool has_colon)
{
    if (fields->rest.len == 0 || (fields->rest.ptr[0] != '+' && fields->rest.ptr[0] != '-'))
        return false;
    int sign = fields->rest.ptr[0] == '-' ? -1 : 1;
    drop(fields, 1);
    int hours;
    int minutes;
    if (!read_pair(fields, true, &hours))
        return false;
    if (has_colon) {
        if (fields->rest.len == 0 || fields->rest.ptr[0] != ':')
            return false;
        drop(fields, 1);
    }
    if (!read_pair(fields, true, &minutes) || hours > 24 || minutes > 59)
        return false;
    fields->has_offset = true;
    fields->offset_s = sign * (hours * 60 + minutes) * 60;
    return true;
}

/* How many letters of an abbreviation stand here, 0 if it is none: "MST", "CEST", "WITA", "GMT". */
static size_t match_abbreviation(struct sg_str text)
{
    size_t len = 0;
    while (len < text.len && len < 6 && text.ptr[len] >= 'A' && text.ptr[len] <= 'Z')
        len++;
    if (sg_str_starts_with(text, SG_STR("ChST")) || sg_str_starts_with(text, SG_STR("MeST")))
        return 4;
    bool is_zone =
        len == 3 || (len == 4 && (text.ptr[3] == 'T' || sg_str_starts_with(text, SG_STR("WITA")))) || (len == 5 && text.ptr[4] == 'T');
    return is_zone ? len : 0;
}

/* "MST": a name without a meaning, but for UTC and for GMT with hours ("GMT+2"). */
static bool read_zone_name(struct fields *fields)
{
    if (sg_str_starts_with(fields->rest, SG_STR("UTC"))) {
        fields->is_utc = true;
        drop(fields, 3);
        return true;
    }
    size_t len = match_abbreviation(fields->rest);
    if (len == 0)
        return false;
    bool is_gmt = len == 3 && memcmp(fields->rest.ptr, "GMT", 3) == 0;
    memcpy(fields->zone, fields->rest.ptr, len);
    fields->zone[len] = '\0';
    drop(fields, len);
    if (!is_gmt || fields->rest.len < 2 || (fields->rest.ptr[0] != '+' && fields->rest.ptr[0] != '-'))
        return true;
    int sign = fields->rest.ptr[0] == '-' ? -1 : 1;
    struct fields ahead = *fields;
    drop(&ahead, 1);
    int hours;
    if (!read_pair(&ahead, false, &hours) || hours > 23)
        return true;
    size_t zone_len = 3 + fields->rest.len - ahead.rest.len;
    memcpy(fields->zone + 3, fields->rest.ptr, zone_len - 3);
    fields->zone[zone_len] = '\0';
    fields->rest = ahead.rest;
    fields->offset_s = sign * hours * 3600;
    return true;
}

/* Z or an offset with a colon. */
static bool read_iso_zone(struct fields *fields)
{
    if (fields->rest.len > 0 && fields->rest.ptr[0] == 'Z') {
        fields->is_utc = true;
        drop(fields, 1);
        return true;
    }
    return read_offset(fields, true);
}

/*
 * One field of a layout, in the letters of strftime where it has one: Y y year, m month, b its name, d day, e day padded with
 * a blank, a A weekday, H hour, M minute, S seconds with fraction, z offset, Z abbreviation, X zone of RFC 3339.
 */
static bool read_field(struct fields *fields, char letter)
{
    switch (letter) {
    case 'Y':
        return read_year(fields);
    case 'y':
        return read_short_year(fields);
    case 'm':
        return read_pair(fields, true, &fields->month) && fields->month >= 1 && fields->month <= 12;
    case 'b':
        return read_month_name(fields);
    case 'd':
        return read_pair(fields, true, &fields->day);
    case 'e':
        if (fields->rest.len > 0 && fields->rest.ptr[0] == ' ')
            drop(fields, 1);
        return read_pair(fields, false, &fields->day);
    case 'a':
        return read_weekday(fields, false);
    case 'A':
        return read_weekday(fields, true);
    case 'H':
        return read_pair(fields, false, &fields->hour) && fields->hour < 24;
    case 'M':
        return read_pair(fields, true, &fields->minute) && fields->minute < 60;
    case 'S':
        return read_seconds(fields) && fields->second < 60;
    case 'z':
        return read_offset(fields, false);
    case 'Z':
        return read_zone_name(fields);
    default:
        assert(letter == 'X');
        return read_iso_zone(fields);
    }
}

static void skip_blanks(struct fields *fields)
{
    while (fields->rest.len > 0 && fields->rest.ptr[0] == ' ')
        drop(fields, 1);
}

static void set_zone(struct sg_cel_time *time, const struct fields *fields)
{
    int32_t offset_s = fields->is_utc ? 0 : fields->offset_s;
    time->offset_s = offset_s;
    if (!fields->is_utc && fields->zone[0] != '\0') {
        memcpy(time->zone, fields->zone, sizeof(time->zone));
    } else if (offset_s == 0) {
        memcpy(time->zone, "UTC", 4);
    } else {
        int32_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
        const char digits[8] = {offset_s < 0 ? '-' : '+', (char)('0' + minutes / 600), (char)('0' + minutes / 60 % 10),
                                (char)('0' + minutes % 60 / 10), (char)('0' + minutes % 10)};
        memcpy(time->zone, digits, sizeof(time->zone));
    }
}

static bool read_layout(struct sg_str text, const char *layout, struct sg_cel_time *time)
{
    struct fields fields = {.rest = text, .month = 1, .day = 1};
    for (const char *at = layout; *at != '\0'; at++) {
        if (*at == '%') {
            if (!read_field(&fields, *++at))
                return false;
        } else if (*at == ' ') {
            if (fields.rest.len > 0 && fields.rest.ptr[0] != ' ')
                return false;
            skip_blanks(&fields);
        } else {
            if (fields.rest.len == 0 || fields.rest.ptr[0] != *at)
                return false;
            drop(&fields, 1);
        }
    }
    if (fields.rest.len > 0 || fields.day < 1 || fields.day > sg_civil_month_days(fields.year, fields.month))
        return false;

    *time = (struct sg_cel_time){.nanoseconds = fields.nanoseconds};
    set_zone(time, &fields);
    time->seconds = sg_civil_days(fields.year, fields.month, fields.day) * SECONDS_PER_DAY + fields.hour * 3600 + fields.minute * 60 +
                    fields.second - time->offset_s;
    return true;
}

bool sg_cel_time_parse(struct sg_str text, struct sg_cel_time *time)
{
    return read_layout(text, "%Y-%m-%dT%H:%M:%S%X", time);
}

bool sg_cel_date_parse(struct sg_str text, struct sg_cel_time *time)
{
    static const char *const layouts[] = {
        "%Y-%m-%dT%H:%M:%S%X",
        "%Y-%m-%dT%H:%M:%S",
        "%a, %d %b %Y %H:%M:%S %Z",
        "%d %b %y %H:%M %Z",
        "%d %b %y %H:%M %z",
        "%A, %d-%b-%y %H:%M:%S %Z",
        "%a %b %d %H:%M:%S %z %Y",
        "%a %b %e %H:%M:%S %Z %Y",
        "%a %b %e %H:%M:%S %Y",
        "%b %e %H:%M:%S",
        "%Y-%m-%d",
        "%Y-%m-%d %H:%M:%S %z %Z",
    };
    for (size_t i = 0; i < SG_ARRAY_LEN(layouts); i++) {
        if (read_layout(text, layouts[i], time))
            return true;
    }
    return false;
}

/* ---- printing moments ---- */

/* ".12" without zeros at the end, nothing for 0. */
static void print_fraction(int64_t nanoseconds, struct sg_buf *out)
{
    if (nanoseconds == 0)
        return;
    int digits = 9;
    while (nanoseconds % 10 == 0) {
        nanoseconds /= 10;
        digits--;
    }
    sg_buf_printf(out, ".%0*lld", digits, (long long)nanoseconds);
}

/* Date and time in the moment's own offset, with `between` between them. */
static void print_civil(const struct sg_cel_time *time, char between, struct sg_buf *out)
{
    struct sg_civil civil = sg_civil_from_ms((time->seconds + time->offset_s) * 1000);
    sg_buf_printf(out, "%04lld-%02d-%02d%c%02d:%02d:%02d", (long long)civil.year, civil.month, civil.day, between, civil.hour, civil.minute,
                  civil.second);
    print_fraction(time->nanoseconds, out);
}

static void print_offset(int32_t offset_s, const char *colon, struct sg_buf *out)
{
    int32_t minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;
    sg_buf_printf(out, "%c%02d%s%02d", offset_s < 0 ? '-' : '+', minutes / 60, colon, minutes % 60);
}

void sg_cel_time_print(const struct sg_cel_time *time, struct sg_buf *out)
{
    print_civil(time, 'T', out);
    if (time->offset_s == 0)
        sg_buf_byte(out, 'Z');
    else
        print_offset(time->offset_s, ":", out);
}

void sg_cel_time_print_go(const struct sg_cel_time *time, struct sg_buf *out)
{
    print_civil(time, ' ', out);
    sg_buf_byte(out, ' ');
    print_offset(time->offset_s, "", out);
    sg_buf_byte(out, ' ');
    sg_buf_append(out, sg_str_from(time->zone));
}

/* ---- durations ---- */

/* The unit at the front of `text`, in nanoseconds, and its length; 0 if there is none. */
static uint64_t read_unit(struct sg_str text, bool has_days, size_t *len)
{
    static const struct {
        const char *name;
        uint64_t ns;
        bool is_days;
    } units[] = {
        {"ns", 1, false},
        {"us", 1000, false},
        {"\xc2\xb5s", 1000, false},
        {"\xce\xbcs", 1000, false},
        {"ms", 1000000, false},
        {"s", 1000000000, false},
        {"m", 60000000000, false},
        {"h", 3600000000000, false},
        {"d", 86400000000000, true},
        {"w", 604800000000000, true},
    };
    /* The unit ends where the next number begins, so "ms" is never "m" and an "s". */
    size_t end = 0;
    while (end < text.len && text.ptr[end] != '.' && !is_digit(text, end))
        end++;
    *len = end;
    for (size_t i = 0; i < SG_ARRAY_LEN(units); i++) {
        if ((has_days || !units[i].is_days) && sg_str_eq((struct sg_str){text.ptr, end}, sg_str_from(units[i].name)))
            return units[i].ns;
    }
    return 0;
}

/* One "1.5h" at the front of *text, which is moved behind it; false if malformed or too large. */
static bool read_part(struct sg_str *text, bool has_days, uint64_t *ns)
{
    const uint64_t most = UINT64_C(1) << 63;
    uint64_t whole = 0;
    uint64_t fraction = 0;
    double scale = 1;
    size_t i = 0;
    for (; is_digit(*text, i); i++) {
        whole = whole * 10 + (uint64_t)(text->ptr[i] - '0');
        if (i > 18 || whole > most)
            return false;
    }
    size_t digits = i;
    if (i < text->len && text->ptr[i] == '.') {
        for (i++; is_digit(*text, i); i++) {
            digits++;
            if (fraction < most / 16) {
                fraction = fraction * 10 + (uint64_t)(text->ptr[i] - '0');
                scale *= 10;
            }
        }
    }
    size_t unit_len;
    uint64_t unit = read_unit((struct sg_str){text->ptr + i, text->len - i}, has_days, &unit_len);
    if (digits == 0 || unit == 0 || whole > most / unit)
        return false;
    *ns = whole * unit + (uint64_t)((double)fraction * ((double)unit / scale));
    *text = (struct sg_str){text->ptr + i + unit_len, text->len - i - unit_len};
    return *ns <= most;
}

bool sg_cel_duration_parse(struct sg_str text, bool has_days, int64_t *ns)
{
    const uint64_t most = UINT64_C(1) << 63;
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        text = (struct sg_str){text.ptr + 1, text.len - 1};
    if (sg_str_eq(text, SG_STR("0"))) {
        *ns = 0;
        return true;
    }
    if (text.len == 0)
        return false;
    uint64_t sum = 0;
    while (text.len > 0) {
        uint64_t part;
        if (!read_part(&text, has_days, &part) || part > most - sum)
            return false;
        sum += part;
    }
    if (!is_negative && sum == most)
        return false;
    *ns = is_negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

void sg_cel_duration_print_go(int64_t ns, struct sg_buf *out)
{
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (left == 0) {
        sg_buf_append(out, SG_STR("0s"));
        return;
    }
    if (ns < 0)
        sg_buf_byte(out, '-');
    if (left < (uint64_t)SG_CEL_NS_PER_SECOND) {
        uint64_t unit = left < 1000 ? 1 : left < 1000000 ? 1000 : 1000000;
        sg_buf_printf(out, "%llu", (unsigned long long)(left / unit));
        print_fraction((int64_t)(left % unit * (1000000000 / unit)), out);
        sg_buf_append(out, sg_str_from(unit == 1 ? "ns" : unit == 1000 ? "\xc2\xb5s" : "ms"));
        return;
    }
    uint64_t seconds = left / (uint64_t)SG_CEL_NS_PER_SECOND;
    if (seconds >= 3600)
        sg_buf_printf(out, "%lluh", (unsigned long long)(seconds / 3600));
    if (seconds >= 60)
        sg_buf_printf(out, "%llum", (unsigned long long)(seconds / 60 % 60));
    sg_buf_printf(out, "%llu", (unsigned long long)(seconds % 60));
    print_fraction((int64_t)(left % (uint64_t)SG_CEL_NS_PER_SECOND), out);
    sg_buf_byte(out, 's');
}

void sg_cel_duration_print_seconds(int64_t ns, struct sg_buf *out)
{
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (ns < 0)
        sg_buf_byte(out, '-');
    sg_buf_printf(out, "%llu", (unsigned long long)(left / (uint64_t)SG_CEL_NS_PER_SECOND));
    print_fraction((int64_t)(left % (uint64_t)SG_CEL_NS_PER_SECOND), out);
    sg_buf_byte(out, 's');
}
