/* Durations, dates and the calendar. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/base.h>

#include <locale.h>
#include <string.h>

#include "base/civil.h"
#include "base/duration.h"
#include "base/rng.h"

#define S(literal) SG_STR(literal)
#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define NS_PER_S INT64_C(1000000000)

static int64_t date(const char *text)
{
    int64_t ms;
    cr_assert(sg_date_parse(sg_str_from(text), &ms), "%s", text);
    return ms;
}

Test(duration, texts_that_are_durations)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"-0", 0},
        {"+0", 0},
        {"5s", 5 * NS_PER_S},
        {"30s", 30 * NS_PER_S},
        {"1478s", 1478 * NS_PER_S},
        {"-5s", -5 * NS_PER_S},
        {"+5s", 5 * NS_PER_S},
        {"5.0s", 5 * NS_PER_S},
        {"5.6s", 5600000000},
        {"5.s", 5 * NS_PER_S},
        {".5s", 500000000},
        {"1.0040s", 1004000000},
        {"100.00100s", 100001000000},
        {"10ns", 10},
        {"11us", 11000},
        {"12\xc2\xb5s", 12000},
        {"12\xce\xbcs", 12000},
        {"13ms", 13000000},
        {"15m", 900 * NS_PER_S},
        {"16h", 57600 * NS_PER_S},
        {"3h30m", 12600 * NS_PER_S},
        {"10.5s4m", 250500000000},
        {"-2m3.4s", -123400000000},
        {"1h2m3s4ms5us6ns", 3723004005006},
        {"1d", 86400 * NS_PER_S},
        {"1w", 604800 * NS_PER_S},
        {"1.5d", 129600 * NS_PER_S},
        {"1d1h1m1s", 90061 * NS_PER_S},
        {"161w6d23h56m8s", (161 * 604800 + 6 * 86400 + 23 * 3600 + 56 * 60 + 8) * NS_PER_S},
        {"52763797000ns", 52763797000},
        {"0.3333333333333333333h", 1200 * NS_PER_S},
        {"0.100000000000000000000h", 360 * NS_PER_S},
        {"0.830103483285477580700h", 2988372539827},
        {"0.9223372036854775807h", 3320413933267},
        {"9007199254740993ns", 9007199254740993},
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775.807us", INT64_MAX},
        {"9223372036s854ms775us807ns", INT64_MAX},
        {"-9223372036854775808ns", INT64_MIN},
        {"-9223372036854775.808us", INT64_MIN},
        {"1s1s", 2 * NS_PER_S},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 1;
        cr_assert(sg_duration_parse_ns(sg_str_from(cases[i].text), &ns, NULL) == SG_OK, "%s", cases[i].text);
        cr_assert(ns == cases[i].ns, "%s is %lld", cases[i].text, (long long)ns);
    }
}

Test(duration, texts_that_are_none)
{
    static const char *const texts[] = {
        "",
        "3",
        "-",
        "s",
        ".",
        "-.",
        ".s",
        "+.s",
        "1d 2h",
        " 1s",
        "1s ",
        "1S",
        "1y",
        "1month",
        "1.2.3s",
        "1..s",
        "0x1s",
        "1e3s",
        "--1s",
        "+-1s",
        "1s2",
        "00",
        "0.0",
        "inf",
        "3000000h",
        "9223372036854775808ns",
        "9223372036854775.808us",
        "9223372036854ms775us808ns",
        "-9223372036854775809ns",
        "99999999999999999999s",
        "16000w",
        "1\xb5s",
        "one hour",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t ns;
        struct sg_error error;
        cr_assert(sg_duration_parse_ns(sg_str_from(texts[i]), &ns, &error) == SG_INVALID_DURATION, "%s", texts[i]);
        cr_assert(strncmp(error.message, "invalid duration \"", 18) == 0, "%s", error.message);
        cr_assert(error.status == SG_INVALID_DURATION);
    }
}

Test(duration, errors_say_what_is_missing)
{
    int64_t ns;
    struct sg_error error;
    sg_duration_parse_ns(S("10"), &ns, &error);
    cr_assert(eq(str, error.message, "invalid duration \"10\": a unit is missing (ns, us, ms, s, m, h, d, w)"));
    sg_duration_parse_ns(S("300y"), &ns, &error);
    cr_assert(strstr(error.message, "unknown unit") != NULL);
    sg_duration_parse_ns(S("300000h300000000h"), &ns, &error);
    cr_assert(strstr(error.message, "292 years") != NULL);
}

Test(duration, milliseconds_are_rounded_up)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"1ns", 1}, {"999999ns", 1}, {"1ms", 1}, {"1000001ns", 2}, {"-1ns", 0}, {"-1.5ms", -1}, {"1.5h", 5400000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms;
        cr_assert(sg_duration_parse_ms(sg_str_from(cases[i].text), &ms, NULL) == SG_OK);
        cr_assert(ms == cases[i].ms, "%s", cases[i].text);
    }
}

Test(duration, does_not_follow_the_locale)
{
    /* Where there is a locale with a decimal comma it must change nothing; where there is none the test is empty. */
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
        setlocale(LC_ALL, "fr_FR.UTF-8");
    int64_t ms;
    cr_assert(sg_duration_parse_ms(S("1.5s"), &ms, NULL) == SG_OK);
    cr_assert(eq(i64, ms, 1500));
    cr_assert(sg_duration_parse_ms(S("1,5s"), &ms, NULL) != SG_OK);
}

Test(duration, text_reads_back)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0s"},        {1, "1ms"},      {250, "250ms"},        {1000, "1s"},     {1500, "1.5s"},
                 {61000, "1m1s"},  {3600000, "1h"}, {5400000, "1h30m"},    {86400000, "1d"}, {90061001, "1d1h1m1.001s"},
                 {-1500, "-1.5s"}, {-7, "-7ms"},    {86400020, "1d0.02s"}, {604800000, "7d"}};
    char text[SG_RFC3339_MAX];
    int64_t ms;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = sg_duration_format(cases[i].ms, text);
        cr_assert(strcmp(text, cases[i].text) == 0, "%s", text);
        cr_assert(eq(sz, len, strlen(text)));
        cr_assert(sg_duration_parse_ms(sg_str_from(text), &ms, NULL) == SG_OK && ms == cases[i].ms);
    }
    cr_assert(sg_duration_format(INT64_MIN, text) < SG_RFC3339_MAX);
}

Test(date, every_layout)
{
    int64_t expected = date("2030-01-02T03:04:05Z");
    cr_assert(eq(i64, expected, INT64_C(1893553445000)));
    static const char *const same[] = {
        "2030-01-02T03:04:05.000Z",          "2030-01-02t03:04:05z",
        "2030-01-02T03:04:05.0000004999Z",   "2030-01-02T05:04:05+02:00",
        "2030-01-01T19:34:05-07:30",         "2030-01-02T03:04:05",
        "Wed, 02 Jan 2030 03:04:05 GMT",     "Wed, 2 Jan 2030 03:04:05 UTC",
        "Wed, 02 Jan 2030 04:04:05 +0100",   "Tue, 01 Jan 2030 22:04:05 EST",
        "Wednesday, 02-Jan-30 03:04:05 GMT", "Wed Jan 02 05:04:05 +0200 2030",
        "Wed Jan  2 03:04:05 UTC 2030",      "Wed Jan  2 03:04:05 2030",
        "wed jan 2 03:04:05 2030",           "2030-01-02 03:04:05.0 +0000 UTC",
        "2030-01-02 05:04:05 +0200 CEST",    "2030-01-02 05:04:05.0 +0200 +0200",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        cr_assert(date(same[i]) == expected, "%s", same[i]);
    cr_assert(date("2030-01-02T03:04:05.678Z") == expected + 678);
    cr_assert(date("2030-01-02T03:04:05.6789Z") == expected + 678);
    cr_assert(date("2030-01-02T03:04:05.7") == expected + 700);
    cr_assert(date("2030-01-02") == expected - 11045000);
    cr_assert(date("02 Jan 30 03:04 GMT") == expected - 5000);
    cr_assert(date("02 Jan 30 05:04 +0200") == expected - 5000);
    cr_assert(date("02 Jan 69 00:00 GMT") < 0);
    cr_assert(date("Jan  2 03:04:05") < 0, "a stamp without a year is long past");
    cr_assert(date("Jan  2 03:04:05.000123") < 0);
}

Test(date, what_is_no_date_is_refused)
{
    static const char *const texts[] = {
        "",
        "2030",
        "2030-1-2",
        "2030-02-30",
        "2023-02-29",
        "2030-13-01",
        "2030-00-01",
        "2030-01-00",
        "2030-01-02T24:00:00Z",
        "2030-01-02T03:60:05Z",
        "2030-01-02T03:04:60Z",
        "2030-01-02T03:04Z",
        "2030-01-02T03:04:05.Z",
        "2030-01-02T03:04:05+0200",
        "2030-01-02T03:04:05+02:60",
        "2030-01-02T03:04:05ZZ",
        "2030-01-02T03:04:05Z ",
        " 2030-01-02",
        "Xyz, 02 Jan 2030 03:04:05 GMT",
        "Wed, 02 Xyz 2030 03:04:05 GMT",
        "Wed, 02 Jan 2030 03:04:05",
        "1893553445",
        "tomorrow at ten",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int64_t ms;
        cr_assert(not(sg_date_parse(sg_str_from(texts[i]), &ms)), "%s", texts[i]);
    }
    int64_t ms;
    cr_assert(sg_date_parse(S("2024-02-29"), &ms));
    cr_assert(not(sg_rfc3339_parse(S("2030-01-02T03:04:05"), &ms)), "RFC 3339 wants a zone");
    cr_assert(not(sg_rfc3339_parse(S("2030-01-02"), &ms)));
}

Test(date, text_of_a_moment)
{
    char text[SG_RFC3339_MAX];
    sg_rfc3339_format(1767323045678, text);
    cr_assert(eq(str, text, "2026-01-02T03:04:05.678Z"));
    sg_rfc3339_format_trimmed(1767323045678, text);
    cr_assert(eq(str, text, "2026-01-02T03:04:05.678Z"));
    sg_rfc3339_format_trimmed(1767323045670, text);
    cr_assert(eq(str, text, "2026-01-02T03:04:05.67Z"));
    cr_assert(eq(sz, sg_rfc3339_format_trimmed(1767323045000, text), 20));
    cr_assert(eq(str, text, "2026-01-02T03:04:05Z"));
    sg_rfc3339_format(0, text);
    cr_assert(eq(str, text, "1970-01-01T00:00:00.000Z"));
    sg_rfc3339_format(-1, text);
    cr_assert(eq(str, text, "1969-12-31T23:59:59.999Z"));
    cr_assert(sg_rfc3339_format(INT64_MAX, text) < SG_RFC3339_MAX);
    cr_assert(sg_rfc3339_format(INT64_MIN, text) < SG_RFC3339_MAX);
}

Test(civil, there_and_back_for_every_day_of_a_thousand_years)
{
    int64_t days = sg_civil_days(1600, 1, 1);
    int weekday = sg_civil_from_ms(days * DAY).weekday;
    cr_assert(eq(int, weekday, 6)); /* 1600-01-01 was a Saturday */
    for (int64_t year = 1600; year < 2600; year++)
        for (int month = 1; month <= 12; month++)
            for (int day = 1; day <= sg_civil_month_days(year, month); day++, days++) {
                cr_assert(sg_civil_days(year, month, day) == days);
                struct sg_civil civil = sg_civil_from_ms(days * DAY + 1);
                cr_assert(civil.year == year && civil.month == month && civil.day == day && civil.weekday == weekday);
                weekday = (weekday + 1) % 7;
            }
}

Test(civil, there_and_back_for_any_millisecond)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 1);
    for (int i = 0; i < 10000; i++) {
        int64_t ms = (int64_t)sg_rng_below(&rng, UINT64_C(1) << 52) - (INT64_C(1) << 51);
        struct sg_civil civil = sg_civil_from_ms(ms);
        cr_assert(sg_civil_to_ms(&civil) == ms);
    }
}

Test(sleep_text, durations_and_dates)
{
    int64_t now_ms = date("2030-01-02T03:04:05.600Z");
    static const struct {
        const char *text;
        int64_t delay_ms;
    } cases[] = {
        {"1h", HOUR},
        {"1d1h1m1s", DAY + HOUR + 61 * SECOND},
        {"-5s", 0},
        {"0", 0},
        {"366d", 366 * DAY},
        {"400d", 400 * DAY},
        {"2030-01-02T03:04:15.600Z", 10 * SECOND},
        {"2030-01-02T03:04:15.000Z", 9400}, /* never early, so not rounded */
        {"2030-01-02T03:04:15.100Z", 9500},
        {"2030-01-02T03:04:05.700Z", 100},
        {"2029-12-31", 0},
        {"2030-01-03T03:04:06", DAY + 400},
        {"Jan  2 03:04:05", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t delay_ms = -1;
        cr_assert(sg_delay_parse(sg_str_from(cases[i].text), now_ms, &delay_ms, NULL) == SG_OK, "%s", cases[i].text);
        cr_assert(delay_ms == cases[i].delay_ms, "%s is %lld", cases[i].text, (long long)delay_ms);
    }
    int64_t delay_ms;
    struct sg_error error;
    cr_assert(sg_delay_parse(S("next tuesday"), now_ms, &delay_ms, &error) == SG_INVALID_DURATION);
    cr_assert(sg_delay_parse(S(""), now_ms, &delay_ms, &error) == SG_INVALID_DURATION, "what is empty is the caller's to know");
    cr_assert(sg_delay_parse(S("9999-12-31"), INT64_MIN, &delay_ms, &error) == SG_OK);
    cr_assert(gt(i64, delay_ms, 0));
}

Test(timeout_text, durations_and_rfc_3339_only)
{
    int64_t now_ms = date("2030-01-02T03:04:05Z");
    int64_t delay_ms = -1;
    struct sg_error error;
    cr_assert(sg_timeout_parse(S("7d"), now_ms, &delay_ms, NULL) == SG_OK && delay_ms == 7 * DAY);
    cr_assert(sg_timeout_parse(S(""), now_ms, &delay_ms, NULL) == SG_OK && delay_ms == 0);
    cr_assert(sg_timeout_parse(S("2030-01-02T03:04:05.250Z"), now_ms, &delay_ms, NULL) == SG_OK && delay_ms == 250);
    cr_assert(sg_timeout_parse(S("2030-01-01T03:04:05Z"), now_ms, &delay_ms, NULL) == SG_OK && delay_ms == -DAY);
    cr_assert(sg_timeout_parse(S("2030-01-02"), now_ms, &delay_ms, &error) == SG_INVALID_DURATION);
    cr_assert(strncmp(error.message, "invalid RFC 3339 timestamp \"2030-01-02\": ", 40) == 0);
    cr_assert(sg_timeout_parse(S("soon"), now_ms, &delay_ms, &error) == SG_INVALID_DURATION);
    cr_assert(strncmp(error.message, "invalid duration \"soon\": ", 25) == 0);
}

Test(retry_after, seconds_dates_and_clipping)
{
    int64_t now_ms = date("2030-01-02T03:04:05.400Z");
    static const struct {
        const char *text;
        int64_t delay_ms; /* 0: ignored */
    } cases[] = {
        {"2", 2000},
        {"1", 1000},
        {"120", 120000},
        {" 120 ", 120000},
        {"86401", DAY},
        {"9999999", DAY},
        {"99999999", 0},
        {"0", 0},
        {"-5", 0},
        {"1.5", 0},
        {"", 0},
        {"soon", 0},
        {"2030-01-02T03:05:05.400Z", 60000},
        {"Wed, 02 Jan 2030 03:05:05 GMT", 59600},
        {"2020-01-01T00:00:00Z", 1000},
        {"2099-01-01T00:00:00Z", DAY},
        {"2030-02-30T00:00:00Z", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t delay_ms = 0;
        bool is_taken = sg_retry_after_parse(sg_str_from(cases[i].text), now_ms, &delay_ms);
        cr_assert(is_taken == (cases[i].delay_ms > 0), "%s", cases[i].text);
        cr_assert(delay_ms == cases[i].delay_ms, "%s is %lld", cases[i].text, (long long)delay_ms);
    }
}
