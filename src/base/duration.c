/*
 * Durations and moments as text.
 *
 * The model. A duration is a sign and a sum of terms, each a decimal number with a unit (reference/02 §9.4, one lenient
 * grammar for every place, reference/04 §1.1). Its arithmetic is that of Go's time.ParseDuration, because the texts come
 * from programs that were tried against that: whole parts exact in nanoseconds, fractions through a double and cut. Dates
 * are base/date.c's business; the three places that accept both (sleep, timeouts, Retry-After) are here.
 *
 * What it never does: read a clock, or use the C library's number parsing, which depends on the locale.
 */
#include "base/duration.h"

#include <stepgate/limits.h>

#include <stdio.h>

#include "base/check.h"

#define NS_PER_MS INT64_C(1000000)
#define MS_PER_SECOND INT64_C(1000)

/* A sleep shorter than this is never read as a date: "2030-01-02" is the shortest (reference/02 §9.4). */
#define DATE_LEN_MIN 10

/* Retry-After: a longer text is not read as seconds (reference/02 §5.4). */
#define RETRY_AFTER_DIGITS_MAX 7

/* How much of a faulty text an error shows: enough to recognise it. */
#define SHOWN_MAX 80

struct unit {
    struct sg_str name;
    uint64_t ns;
};

static const struct unit units[] = {
    {{"ns", 2}, 1},
    {{"us", 2}, 1000},
    {{"\xc2\xb5s", 3}, 1000}, /* U+00B5, micro sign */
    {{"\xce\xbcs", 3}, 1000}, /* U+03BC, Greek mu */
    {{"ms", 2}, 1000000},
    {{"s", 1}, 1000000000},
    {{"m", 1}, UINT64_C(60000000000)},
    {{"h", 1}, UINT64_C(3600000000000)},
    {{"d", 1}, UINT64_C(86400000000000)},
    {{"w", 1}, UINT64_C(604800000000000)},
};

static enum sg_status refuse(struct sg_error *error, struct sg_str text, const char *why)
{
    return sg_error_set(error, SG_INVALID_DURATION, "invalid duration \"%.*s\": %s", SG_FMT(sg_str_cut(text, SHOWN_MAX)), why);
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Reads the digits in front of `rest`; false if they do not fit 63 bits. */
static bool take_whole(struct sg_str *rest, uint64_t *value)
{
    uint64_t sum = 0;
    while (rest->len > 0 && is_digit(rest->ptr[0])) {
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_add_overflow(sum, (uint64_t)(rest->ptr[0] - '0'), &sum))
            return false;
        if (sum > (UINT64_C(1) << 63))
            return false;
        rest->ptr++;
        rest->len--;
    }
    *value = sum;
    return true;
}

/* Reads the digits behind a point as value / scale. Digits beyond what 63 bits hold are too small to matter. */
static void take_fraction(struct sg_str *rest, uint64_t *value, double *scale)
{
    bool is_full = false;
    *value = 0;
    *scale = 1;
    while (rest->len > 0 && is_digit(rest->ptr[0])) {
        uint64_t next = *value * 10 + (uint64_t)(rest->ptr[0] - '0');
        if (*value > INT64_MAX / 10 || next > (UINT64_C(1) << 63))
            is_full = true;
        if (!is_full) {
            *value = next;
            *scale *= 10;
        }
        rest->ptr++;
        rest->len--;
    }
}

/* The unit in front of `rest`: everything up to the next digit or point must be one. */
static const struct unit *take_unit(struct sg_str *rest)
{
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != '.' && !is_digit(rest->ptr[len]))
        len++;
    for (size_t i = 0; i < SG_ARRAY_LEN(units); i++)
        if (sg_str_eq(units[i].name, (struct sg_str){rest->ptr, len})) {
            rest->ptr += len;
            rest->len -= len;
            return &units[i];
        }
    return NULL;
}

/* Adds one term to `sum`; the reason why not, or NULL. */
static const char *take_term(struct sg_str *rest, uint64_t *sum)
{
    static const char too_long[] = "it is longer than 292 years";
    uint64_t whole;
    uint64_t fraction = 0;
    double scale = 1;

    size_t len = rest->len;
    if (!take_whole(rest, &whole))
        return too_long;
    bool has_digits = rest->len < len;
    if (rest->len > 0 && rest->ptr[0] == '.') {
        rest->ptr++;
        rest->len--;
        len = rest->len;
        take_fraction(rest, &fraction, &scale);
        has_digits = has_digits || rest->len < len;
    }
    if (!has_digits)
        return "a number is missing (examples: \"30s\", \"1h30m\", \"7d\")";
    if (rest->len == 0 || is_digit(rest->ptr[0]) || rest->ptr[0] == '.')
        return "a unit is missing (ns, us, ms, s, m, h, d, w)";
    const struct unit *unit = take_unit(rest);
    if (unit == NULL)
        return "unknown unit (known are ns, us, ms, s, m, h, d, w)";

    uint64_t term;
    if (__builtin_mul_overflow(whole, unit->ns, &term) || term > (UINT64_C(1) << 63))
        return too_long;
    term += (uint64_t)((double)fraction * ((double)unit->ns / scale));
    if (term > (UINT64_C(1) << 63) || __builtin_add_overflow(*sum, term, sum) || *sum > (UINT64_C(1) << 63))
        return too_long;
    return NULL;
}

enum sg_status sg_duration_parse_ns(struct sg_str text, int64_t *ns, struct sg_error *error)
{
    struct sg_str rest = text;
    bool is_negative = false;
    uint64_t sum = 0;

    if (rest.len > 0 && (rest.ptr[0] == '-' || rest.ptr[0] == '+')) {
        is_negative = rest.ptr[0] == '-';
        rest.ptr++;
        rest.len--;
    }
    if (rest.len == 0)
        return refuse(error, text, "it is empty");
    if (sg_str_eq(rest, SG_STR("0"))) {
        *ns = 0;
        return SG_OK;
    }
    while (rest.len > 0) {
        const char *why = take_term(&rest, &sum);
        if (why != NULL)
            return refuse(error, text, why);
    }
    if (!is_negative && sum > INT64_MAX)
        return refuse(error, text, "it is longer than 292 years");
    *ns = is_negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return SG_OK;
}

enum sg_status sg_duration_parse_ms(struct sg_str text, int64_t *ms, struct sg_error *error)
{
    int64_t ns = 0;
    enum sg_status status = sg_duration_parse_ns(text, &ns, error);
    if (status != SG_OK)
        return status;
    *ms = ns / NS_PER_MS + (ns % NS_PER_MS > 0 ? 1 : 0);
    return SG_OK;
}

/* The way from `wall_now_ms` to `unix_ms`. Dates have four-digit years, so only a wild clock could overflow; it is clipped. */
static int64_t way_to(int64_t unix_ms, int64_t wall_now_ms)
{
    int64_t way;
    if (__builtin_sub_overflow(unix_ms, wall_now_ms, &way))
        return unix_ms > wall_now_ms ? INT64_MAX / 2 : INT64_MIN / 2;
    return way;
}

enum sg_status sg_delay_parse(struct sg_str text, int64_t wall_now_ms, int64_t *delay_ms, struct sg_error *error)
{
    int64_t ms;

    if (text.len >= DATE_LEN_MIN && sg_date_parse(text, &ms)) {
        /* Not rounded to a second as the reference server does: a sleep never ends early (reference/11 §5). */
        int64_t way = way_to(ms, wall_now_ms);
        *delay_ms = way > 0 ? way : 0;
        return SG_OK;
    }
    enum sg_status status = sg_duration_parse_ms(text, &ms, error);
    if (status == SG_OK)
        *delay_ms = ms > 0 ? ms : 0;
    return status;
}

enum sg_status sg_timeout_parse(struct sg_str text, int64_t wall_now_ms, int64_t *delay_ms, struct sg_error *error)
{
    int64_t ms;

    if (text.len == 0) {
        *delay_ms = 0;
        return SG_OK;
    }
    if (sg_duration_parse_ms(text, delay_ms, error) == SG_OK)
        return SG_OK;
    if (sg_rfc3339_parse(text, &ms)) {
        *delay_ms = way_to(ms, wall_now_ms);
        return SG_OK;
    }
    /* Which of the two was meant? Only a date has its year and a hyphen in front. */
    if (text.len > 4 && is_digit(text.ptr[0]) && text.ptr[4] == '-')
        return sg_error_set(error, SG_INVALID_DURATION, "invalid RFC 3339 timestamp \"%.*s\": expected the form 2006-01-02T15:04:05Z",
                            SG_FMT(sg_str_cut(text, SHOWN_MAX)));
    return SG_INVALID_DURATION;
}

bool sg_retry_after_parse(struct sg_str text, int64_t wall_now_ms, int64_t *delay_ms)
{
    int64_t value;
    int64_t way;

    text = sg_str_trim(text);
    if (text.len <= RETRY_AFTER_DIGITS_MAX && sg_str_to_int(text, &value)) {
        if (value <= 0)
            return false;
        /* From now, not from the beginning of the present second as the reference server counts: an app that is too busy is not asked early. */
        way = value * MS_PER_SECOND;
    } else if (sg_date_parse(text, &value)) {
        way = way_to(value, wall_now_ms);
    } else {
        return false;
    }
    if (way < SG_LIMIT_RETRY_AFTER_MIN_MS)
        way = SG_LIMIT_RETRY_AFTER_MIN_MS;
    *delay_ms = way < SG_LIMIT_RETRY_AFTER_MAX_MS ? way : SG_LIMIT_RETRY_AFTER_MAX_MS;
    return true;
}

size_t sg_duration_format(int64_t ms, char text[SG_RFC3339_MAX])
{
    static const struct {
        uint64_t ms;
        char unit;
    } steps[] = {{86400000, 'd'}, {3600000, 'h'}, {60000, 'm'}};
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    size_t len = 0;

    if (ms < 0)
        text[len++] = '-';
    size_t first = len;
    if (left > 0 && left < 1000)
        return len + (size_t)snprintf(text + len, SG_RFC3339_MAX - len, "%ums", (unsigned)left);
    for (size_t i = 0; i < SG_ARRAY_LEN(steps); i++) {
        if (left >= steps[i].ms)
            len += (size_t)snprintf(text + len, SG_RFC3339_MAX - len, "%llu%c", (unsigned long long)(left / steps[i].ms), steps[i].unit);
        left %= steps[i].ms;
    }
    unsigned seconds = (unsigned)(left / 1000);
    unsigned fraction = (unsigned)(left % 1000);
    if (left == 0 && len > first)
        return len;
    len += (size_t)snprintf(text + len, SG_RFC3339_MAX - len, "%u", seconds);
    if (fraction > 0) {
        len += (size_t)snprintf(text + len, SG_RFC3339_MAX - len, ".%03u", fraction);
        while (text[len - 1] == '0')
            len--;
    }
    text[len++] = 's';
    text[len] = '\0';
    return len;
}
