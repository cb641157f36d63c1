/* Sleeps: when they end, and what follows (reference/02 §7.6, §9.4). */
#include "unit/engine_fixture.h"

#include <stdio.h>

static int64_t delay_of(const char *name)
{
    struct fixture *f = fixture_with_run("10:00:00");
    char ops[256];
    snprintf(ops, sizeof(ops), "[{'op':'Sleep','id':'z','name':'%s'}]", name);
    report(f, ops);
    int64_t due = next_due(f);
    fixture_free(f);
    return due == INT64_MAX ? -1 : due - AT("10:00:00");
}

Test(engine_sleep, durations_and_dates_are_understood)
{
    ASSERT_INT(delay_of("1h"), 3600000);
    ASSERT_INT(delay_of("1d1h1m1s"), ((24 + 1) * 3600 + 61) * 1000);
    ASSERT_INT(delay_of("1w2d"), 9 * 24 * 3600000LL);
    ASSERT_INT(delay_of("1.5h"), 5400000);
    ASSERT_INT(delay_of("2026-01-01T10:30:00.000Z"), 1800000);
    ASSERT_INT(delay_of("2026-01-01T12:30:00+02:00"), 1800000);
}

Test(engine_sleep, a_moment_in_the_past_or_none_at_all_wakes_at_once)
{
    static const char *const names[] = {"", "2026-01-01T09:00:00.000Z", "-5s", "0"};
    for (size_t index = 0; index < 4; index++) {
        struct fixture *f = fixture_with_run("10:00:00");
        char ops[256];
        snprintf(ops, sizeof(ops), "[{'op':'Sleep','id':'z','name':'%s'}]", names[index]);

        report(f, ops);
        move_clock_ms(f, f->now_ms + 1);

        ASSERT_TEXT(calls(f), "step@0 step@1");
        ASSERT_TEXT(memo(f, "z"), "null");
        fixture_free(f);
    }
}

Test(engine_sleep, the_duration_option_counts_before_the_name)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'Sleep','id':'z','name':'my nap','opts':{'duration':'2h'}}]");

    ASSERT_INT(next_due(f), AT("12:00:00"));
    fixture_free(f);
}

Test(engine_sleep, it_never_wakes_early_and_then_asks_for_what_follows)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    ASSERT_TEXT(step_status(f, "z"), "Waiting");
    ASSERT_INT(stats(f).hydrated, 0); /* a sleeping run is parked */

    move_clock_ms(f, AT("11:00:00") - 1);
    ASSERT_TEXT(calls(f), "step@0");
    move_clock(f, "11:00:00");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    ASSERT_TEXT(memo(f, "z"), "null");
    ASSERT_TEXT(step_status(f, "z"), "Completed");
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("z")));
    ASSERT_INT(last_call(f)->attempt, 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    fixture_free(f);
}

Test(engine_sleep, reported_twice_keeps_its_first_wake_up)
{
    struct fixture *f = fixture_with_repeated_report("{'op':'Sleep','id':'z','name':'1h'}");

    ASSERT_INT(next_due(f), AT("11:00:00"));
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    fixture_free(f);
}

Test(engine_sleep, more_than_366_days_fail_the_run_without_retry)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'Sleep','id':'z','name':'367d'}]");

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_error(f),
                "{\"error\":\"The sleep \\\"367d\\\" ends more than one year in the future; sleeps may last at most one "
                "year.\",\"message\":\"The sleep \\\"367d\\\" ends more than one year in the future; sleeps may last at most one "
                "year.\",\"name\":\"InngestErrTimeoutTooLong\"}");
    fixture_free(f);
}

Test(engine_sleep, exactly_366_days_are_allowed)
{
    ASSERT_INT(delay_of("366d"), SG_LIMIT_SLEEP_MS);
}

Test(engine_sleep, a_text_that_is_no_time_fails_the_run_with_that_text)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'Sleep','id':'z','name':'soon'}]");

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_error(f),
                "{\"error\":\"The sleep \\\"soon\\\" is neither a duration nor a date.\",\"message\":\"The sleep \\\"soon\\\" is "
                "neither a duration nor a date.\",\"name\":\"Error\"}");
    fixture_free(f);
}

Test(engine_sleep, a_date_is_shifted_by_the_clocks_offset)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.clock_offset_ms = 3600000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");

    report(f, "[{'op':'Sleep','id':'z','name':'2026-01-01T09:30:00.000Z'}]"); /* the wall clock says 09:00 */

    ASSERT_INT(next_due(f), AT("10:30:00"));
    fixture_free(f);
}

Test(engine_sleep, it_survives_a_crash)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");

    crash(f);
    ASSERT_INT(next_due(f), AT("11:00:00"));
    move_clock(f, "11:00:00");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_sleep, a_crash_during_the_call_that_follows_repeats_only_the_call)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    move_clock(f, "11:00:00");

    crash(f);
    finish(f, "1");

    ASSERT_TEXT(calls(f), "step@0 step@1 step@1");
    ASSERT_INT(last_call(f)->generation, call_at(f, 1)->generation + 1);
    ASSERT_TEXT(stack(f), "z");
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_sleep, the_call_that_follows_is_retried_like_any)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    move_clock(f, "11:00:00");

    fail(f, "{'name':'Error'}", false);
    move_to_next_due(f);

    ASSERT_TEXT(calls(f), "step@0 step@1 step@1#1");
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("z")));
    fixture_free(f);
}

Test(engine_sleep, a_parked_run_loads_its_steps_once_to_wake)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'StepRun','id':'a'}]");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    int loads = f->loads_total;

    move_clock(f, "11:00:00");

    ASSERT_INT(f->loads_total, loads + 1);
    ASSERT_TEXT(calls_from(f, 2), "step@2");
    fixture_free(f);
}

/* What a report says of a step must not be remembered beyond its turn unless it is written. */
Test(engine_sleep, options_of_a_repeated_report_are_not_kept)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = 1;
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'1h','opts':{'note':'first'}}]");
    report(f, "[{'op':'StepRun','id':'a'}]");
    report(f, "[{'op':'StepPlanned','id':'b'},{'op':'Sleep','id':'z','name':'1h','opts':{'note':'a text that lives in a message'}}]");

    move_clock(f, "11:00:00");

    ASSERT_TEXT(step_status(f, "z"), "Completed");
    fixture_free(f);
}

Test(engine_sleep, a_thousand_sleeps_that_end_together_all_end)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = {0};
    sg_buf_append(&ops, SG_STR("["));
    for (int index = 0; index < 900; index++)
        sg_buf_printf(&ops, "%s{'op':'Sleep','id':'z%03d','name':'1h'}", index > 0 ? "," : "", index);
    sg_buf_append(&ops, SG_STR("]"));
    sg_buf_byte(&ops, '\0');
    report(f, ops.ptr);
    sg_buf_free(&ops);
    ASSERT_INT(count(f, SG_KIND_JOB), 900);

    move_clock(f, "11:00:00");

    ASSERT_TEXT(calls(f), "step@0 step@900!");
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    fixture_free(f);
}
