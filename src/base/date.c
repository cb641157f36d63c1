/*
 * Dates as text: every layout of reference/02 §9.4, and RFC 3339 in both directions.
 *
 * The model. A layout is a string of one-letter fields; a small interpreter walks layout and text together, and the first
 * layout that consumes the whole text wins. It is as strict about separators as the layout and lenient about what varies in
 * practice: one or two digits for a day, a fraction after any seconds, names in either case.
 *
 * Zones by name are those of RFC 822 (UT, GMT and the American ones) and UTC; another abbreviation counts as UTC, since
 * nothing in the text says otherwise. A layout without a year (syslog's) means year 0: long past, so it sleeps for no time.
 *
 * What it never does: read a clock or a time zone database, or accept a date that does not exist (2030-02-30).
 */
#include "base/duration.h"

#include <stdio.h>

#include "base/check.h"
#include "base/civil.h"

/*
 * Y four-digit year, y two-digit year, m month number, b month name, d day, H M S time (S takes a fraction), z offset as
 * +0700 or +07:00, Z offset or "Z" of RFC 3339, n zone by name, a short or long weekday; a space is one or more spaces, T
 * either case of it, everything else itself.
 */
static const char *const layouts[] = {
    "Y-m-dTH:M:SZ",     /* RFC 3339 */
    "Y-m-dTH:M:S",      /* the same without a zone: UTC */
    "Y-m-d",            /* a day */
    "a, d b Y H:M:S n", /* RFC 1123, HTTP */
    "a, d b Y H:M:S z", /* RFC 1123 with a number */
    "d b y H:M n",      /* RFC 822 */
    "d b y H:M z",      /* RFC 822 with a number */
    "a, d-b-y H:M:S n", /* RFC 850 */
    "a b d H:M:S z Y",  /* Ruby */
    "a b d H:M:S n Y",  /* Unix date(1) */
    "a b d H:M:S Y",    /* ANSI C */
    "b d H:M:S",        /* syslog */
    "Y-m-d H:M:S z n",  /* Go's time.String */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_names[] = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"};

static const struct {
    const char *name;
    int hours;
} zones[] = {
    {"ut", 0},   {"utc", 0},  {"gmt", 0},  {"est", -5}, {"edt", -4}, {"cst", -6},
    {"cdt", -5}, {"mst", -7}, {"mdt", -6}, {"pst", -8}, {"pdt", -7},
};

struct reading {
    const char *at;
    const char *end;
    struct sg_civil civil;
    int offset_minutes;
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool take_number(struct reading *in, size_t digits_min, size_t digits_max, int *value)
{
    size_t count = 0;
    int sum = 0;
    while (count < digits_max && in->at < in->end && is_digit(*in->at)) {
        sum = sum * 10 + (*in->at++ - '0');
        count++;
    }
    *value = sum;
    return count >= digits_min;
}

static bool take_byte(struct reading *in, char byte)
{
    if (in->at == in->end || *in->at != byte)
        return false;
    in->at++;
    return true;
}

/* A word of letters, borrowed. */
static struct sg_str take_word(struct reading *in)
{
    const char *start = in->at;
    while (in->at < in->end && is_letter(*in->at))
        in->at++;
    return (struct sg_str){start, (size_t)(in->at - start)};
}

static bool take_month_name(struct reading *in)
{
    struct sg_str word = take_word(in);
    for (size_t i = 0; i < SG_ARRAY_LEN(month_names); i++)
        if (sg_str_eq_nocase(word, sg_str_from(month_names[i]))) {
            in->civil.month = (int)i + 1;
            return true;
        }
    return false;
}

/* The weekday is checked to be one, not to fit the date: Go does not either. */
static bool take_weekday(struct reading *in)
{
    struct sg_str word = take_word(in);
    for (size_t i = 0; i < SG_ARRAY_LEN(weekday_names); i++) {
        struct sg_str name = sg_str_from(weekday_names[i]);
        if (sg_str_eq_nocase(word, name) || sg_str_eq_nocase(word, (struct sg_str){name.ptr, 3}))
            return true;
    }
    return false;
}

static bool take_fraction(struct reading *in)
{
    if (in->at == in->end || (*in->at != '.' && *in->at != ','))
        return true;
    in->at++;
    if (in->at == in->end || !is_digit(*in->at))
        return false;
    int scale = 100;
    for (; in->at < in->end && is_digit(*in->at); in->at++, scale /= 10)
        in->civil.millisecond += (*in->at - '0') * scale;
    return true;
}

static bool take_offset(struct reading *in, bool needs_colon)
{
    int hours;
    int minutes;
    bool is_negative = take_byte(in, '-');

    if (!is_negative && !take_byte(in, '+'))
        return false;
    if (!take_number(in, 2, 2, &hours))
        return false;
    if (!take_byte(in, ':') && needs_colon)
        return false;
    if (!take_number(in, 2, 2, &minutes) || hours > 24 || minutes > 59)
        return false;
    in->offset_minutes = (hours * 60 + minutes) * (is_negative ? -1 : 1);
    return true;
}

static bool take_zone_name(struct reading *in, bool has_offset)
{
    /* Go prints a nameless zone as its number again. */
    if (has_offset && in->at < in->end && (*in->at == '+' || *in->at == '-')) {
        in->at++;
        int ignored;
        return take_number(in, 2, 4, &ignored);
    }
    struct sg_str word = take_word(in);
    if (word.len == 0 || word.len > 5)
        return false;
    for (size_t i = 0; i < SG_ARRAY_LEN(zones) && !has_offset; i++)
        if (sg_str_eq_nocase(word, sg_str_from(zones[i].name)))
            in->offset_minutes = zones[i].hours * 60;
    return true;
}

static bool take_two_digit_year(struct reading *in)
{
    int year;
    if (!take_number(in, 2, 2, &year))
        return false;
    in->civil.year = year >= 69 ? 1900 + year : 2000 + year; /* POSIX's pivot */
    return true;
}

static bool take_spaces(struct reading *in)
{
    const char *start = in->at;
    while (take_byte(in, ' ')) {
    }
    return in->at > start;
}

static bool take_field(struct reading *in, char field, bool has_offset)
{
    int year;
    switch (field) {
    case 'Y':
        if (!take_number(in, 4, 4, &year))
            return false;
        in->civil.year = year;
        return true;
    case 'y':
        return take_two_digit_year(in);
    case 'm':
        return take_number(in, 2, 2, &in->civil.month);
    case 'b':
        return take_month_name(in);
    case 'd':
        return take_number(in, 1, 2, &in->civil.day);
    case 'H':
        return take_number(in, 2, 2, &in->civil.hour);
    case 'M':
        return take_number(in, 2, 2, &in->civil.minute);
    case 'S':
        return take_number(in, 2, 2, &in->civil.second) && take_fraction(in);
    case 'z':
        return take_offset(in, false);
    case 'Z':
        return take_byte(in, 'Z') || take_byte(in, 'z') || take_offset(in, true);
    case 'n':
        return take_zone_name(in, has_offset);
    case 'a':
        return take_weekday(in);
    case 'T':
        return take_byte(in, 'T') || take_byte(in, 't');
    case ' ':
        return take_spaces(in);
    default:
        return take_byte(in, field);
    }
}

static bool exists(const struct sg_civil *civil)
{
    return civil->month >= 1 && civil->month <= 12 && civil->day >= 1 && civil->day <= sg_civil_month_days(civil->year, civil->month) &&
           civil->hour <= 23 && civil->minute <= 59 && civil->second <= 59;
}

static bool parse_layout(struct sg_str text, const char *layout, int64_t *unix_ms)
{
    struct reading in = {text.ptr, text.ptr + text.len, {.year = 0, .month = 1, .day = 1}, 0};
    bool has_offset = false;

    for (; *layout != '\0'; layout++) {
        if (!take_field(&in, *layout, has_offset))
            return false;
        has_offset = has_offset || *layout == 'z';
    }
    if (in.at != in.end || !exists(&in.civil))
        return false;
    *unix_ms = sg_civil_to_ms(&in.civil) - in.offset_minutes * INT64_C(60000);
    return true;
}

bool sg_rfc3339_parse(struct sg_str text, int64_t *unix_ms)
{
    return text.len > 0 && parse_layout(text, layouts[0], unix_ms);
}

bool sg_date_parse(struct sg_str text, int64_t *unix_ms)
{
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < SG_ARRAY_LEN(layouts); i++)
        if (parse_layout(text, layouts[i], unix_ms))
            return true;
    return false;
}

size_t sg_rfc3339_format(int64_t unix_ms, char text[SG_RFC3339_MAX])
{
    struct sg_civil civil = sg_civil_from_ms(unix_ms);
    int len = snprintf(text, SG_RFC3339_MAX, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)civil.year, civil.month, civil.day,
                       civil.hour, civil.minute, civil.second, civil.millisecond);
    assert(len > 0 && len < SG_RFC3339_MAX);
    return (size_t)len;
}

size_t sg_rfc3339_format_trimmed(int64_t unix_ms, char text[SG_RFC3339_MAX])
{
    size_t len = sg_rfc3339_format(unix_ms, text) - 1; /* without the Z */
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    text[len++] = 'Z';
    text[len] = '\0';
    return len;
}
