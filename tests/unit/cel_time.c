/* Moments, durations and time zones. */
#include "cel_fixture.h"

Test(cel_time, now_is_the_time_that_the_caller_gives)
{
    cr_assert_value("now() == timestamp(\"2026-09-21T14:13:20Z\")", NULL, "true");
    cr_assert_value("now_plus(\"1d\") - now() == duration(\"24h\")", NULL, "true");
    cr_assert_value("now() - now_minus(\"2w\") == duration(\"336h\")", NULL, "true");
    cr_assert_fails("now_plus(\"soon\")", NULL);
}

Test(cel_time, zones_follow_summer_time)
{
    cr_assert_value("timestamp(\"2024-01-15T12:00:00Z\").getHours(\"Europe/Berlin\")", NULL, "13");
    cr_assert_value("timestamp(\"2024-07-15T12:00:00Z\").getHours(\"Europe/Berlin\")", NULL, "14");
    cr_assert_value("timestamp(\"2024-03-31T00:59:59Z\").getHours(\"Europe/Berlin\")", NULL, "1");
    cr_assert_value("timestamp(\"2024-03-31T01:00:00Z\").getHours(\"Europe/Berlin\")", NULL, "3");
}

Test(cel_time, zones_are_right_beyond_what_their_files_list)
{
    cr_assert_value("timestamp(\"2099-01-15T12:00:00Z\").getHours(\"America/New_York\")", NULL, "7");
    cr_assert_value("timestamp(\"2099-07-15T12:00:00Z\").getHours(\"America/New_York\")", NULL, "8");
    cr_assert_value("timestamp(\"2099-01-15T12:00:00Z\").getHours(\"Australia/Sydney\")", NULL, "23");
    cr_assert_value("timestamp(\"2099-07-15T12:00:00Z\").getHours(\"Australia/Sydney\")", NULL, "22");
    cr_assert_value("timestamp(\"2099-11-01T05:59:59Z\").getHours(\"America/New_York\")", NULL, "1");
    cr_assert_value("timestamp(\"2099-11-01T06:00:00Z\").getHours(\"America/New_York\")", NULL, "1");
    cr_assert_value("timestamp(\"1800-07-15T12:00:00Z\").getHours(\"Asia/Tokyo\")", NULL, "21");
}

Test(cel_time, a_zone_that_does_not_exist_is_an_error)
{
    cr_assert_value("now().getHours(\"Mars/Olympus\")", NULL, "error: unknown time zone Mars/Olympus");
    cr_assert_fails("now().getHours(\"../../etc/passwd\")", NULL);
    cr_assert_fails("now().getHours(\"Europe\")", NULL);
    cr_assert_fails("now().getHours(\"+25:00\")", NULL);
}

Test(cel_time, fixed_offsets_shift_the_calendar)
{
    cr_assert_value("timestamp(\"2024-12-31T23:30:00Z\").getFullYear(\"+01:00\")", NULL, "2025");
    cr_assert_value("timestamp(\"2024-12-31T23:30:00Z\").getDayOfYear(\"+01:00\")", NULL, "0");
    cr_assert_value("timestamp(\"2024-12-31T23:30:00Z\").getDayOfYear()", NULL, "365");
    cr_assert_value("timestamp(\"2024-01-01T00:30:00Z\").getDayOfWeek(\"-01:00\")", NULL, "0");
}

Test(cel_time, every_layout_of_date_is_read)
{
    static const char *const texts[] = {"2024-01-02T03:04:05Z",           "2024-01-02T03:04:05",
                                        "Tue, 02 Jan 2024 03:04:05 UTC",  "02 Jan 24 03:04 GMT",
                                        "02 Jan 24 03:04 +0000",          "Tuesday, 02-Jan-24 03:04:05 UTC",
                                        "Tue Jan 02 03:04:05 +0000 2024", "Tue Jan  2 03:04:05 UTC 2024",
                                        "Tue Jan  2 03:04:05 2024",       "2024-01-02 03:04:05 +0000 UTC",
                                        "2024-01-02T05:04:05.000+02:00"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        bool has_seconds = strncmp(texts[i], "02 Jan", 6) != 0;
        cr_assert_text(cel_value(cel_text("string(date(\"%s\"))", texts[i]), NULL, NULL),
                       has_seconds ? (i == 10 ? "\"2024-01-02T05:04:05+02:00\"" : "\"2024-01-02T03:04:05Z\"") : "\"2024-01-02T03:04:00Z\"");
    }
    cr_assert_value("string(date(\"Jan  2 03:04:05.5\"))", NULL, "\"0000-01-02T03:04:05.5Z\"");
}

Test(cel_time, dates_that_do_not_exist_fail)
{
    static const char *const texts[] = {"2023-02-29",           "2024-13-01",           "2024-01-32", "2024-01-02T24:00:00Z",
                                        "2024-01-02T03:60:00Z", "2024-01-02T03:04:60Z", "",           "1700000000"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        cr_assert_fails(cel_text("date(\"%s\")", texts[i]), NULL);
    cr_assert_value("string(date(\"2024-02-29\"))", NULL, "\"2024-02-29T00:00:00Z\"");
}

Test(cel_time, durations_are_bounded)
{
    cr_assert_value("duration(\"2562047h47m16.854775807s\") > duration(\"1s\")", NULL, "true");
    cr_assert_fails("duration(\"2562047h47m16.854775808s\")", NULL);
    cr_assert_fails("duration(\"1h 30m\")", NULL);
    cr_assert_fails("duration(\"1d\")", NULL);
    cr_assert_fails("duration(\"\")", NULL);
    cr_assert_fails("duration(\"h\")", NULL);
    cr_assert_fails("duration(\".s\")", NULL);
    cr_assert_value("duration(\"-1.5h\")", NULL, "duration(\"-1h30m0s\")");
    cr_assert_value("string(duration(\"-1500ms\"))", NULL, "\"-1.5s\"");
}

Test(cel_time, sums_out_of_range_are_errors)
{
    cr_assert_value("timestamp(\"0001-01-01T00:00:00Z\") - duration(\"1ns\")", NULL, "error: timestamp overflow");
    cr_assert_value("timestamp(\"9999-12-31T23:59:59Z\") - timestamp(\"0001-01-01T00:00:00Z\")", NULL, "error: integer overflow");
    cr_assert_value("timestamp(\"2024-01-01T00:00:00Z\") - timestamp(\"2024-01-01T00:00:00.5Z\")", NULL, "duration(\"-500ms\")");
}
