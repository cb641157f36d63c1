/* timeouts.start and timeouts.finish (reference/04 §14.2, §14.3). */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

#define START_10S "'timeouts':{'start':'10s'}"
#define FINISH_1M "'timeouts':{'finish':'1m'}"

static void serve_with(struct fixture *f, const char *settings, int revision)
{
    SERVE(f, {.slug = "fn", .event = "demo/go", .retries = 1, .revision = revision, .settings = settings});
}

/* A run whose first call is out. */
static struct fixture *started(const char *settings)
{
    struct fixture *f = fixture_create("10:00:00");
    serve_with(f, settings, 0);
    send_event(f, "demo/go");
    ASSERT_INT(f->call_count, 1);
    return f;
}

/* A run that will be called at 11:00. */
static struct fixture *queued(const char *settings)
{
    struct fixture *f = fixture_create("10:00:00");
    serve_with(f, settings, 0);
    SEND(f, {.name = "demo/go", .ts_ms = AT("11:00:00")});
    find_run(f);
    return f;
}

Test(engine_timeouts, start_and_finish_timeouts_cancel_queued_and_sleeping_runs)
{
    struct fixture *f = queued(START_10S);
    move_clock_ms(f, AT("10:00:10") - 1);
    ASSERT_TEXT(run_status(f), "Scheduled");
    move_clock(f, "10:00:10");
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(run_text(f, SG_RUN_REASON), "start timeout: it had not started 10s after it was created");
    ASSERT_INT(f->call_count, 0);
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);

    f = started(FINISH_1M);
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    ASSERT_INT(stats(f).hydrated, 0);
    move_clock(f, "10:01:00");
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(run_text(f, SG_RUN_REASON), "finish timeout: it had not ended 1m after its first call");
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.cancelled");
    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(f->loads_total, 0); /* to end a run nothing is loaded */
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_timeouts, the_finish_is_measured_from_the_first_call)
{
    struct fixture *f = fixture_create("10:00:00");
    serve_with(f, "'timeouts':{'start':'2h','finish':'1m'}", 0);
    SEND(f, {.name = "demo/go", .ts_ms = AT("11:00:00")});
    ASSERT_INT(count(f, SG_KIND_JOB), 2);

    move_clock(f, "11:00:00");
    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(count(f, SG_KIND_JOB), 2); /* the call, and the timeout of the finish in place of that of the start */
    ASSERT_INT(next_due(f), AT("11:01:00"));
    move_clock(f, "11:01:00");

    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);
}

Test(engine_timeouts, a_run_that_ends_in_time_takes_its_timeout_along)
{
    struct fixture *f = started(FINISH_1M);

    finish(f, "1");

    ASSERT_INT(next_due(f), INT64_MAX);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_timeouts, a_finish_in_the_middle_of_a_call_drops_its_answer)
{
    struct fixture *f = started(FINISH_1M);
    move_clock(f, "10:01:00");
    ASSERT_TEXT(run_status(f), "Cancelled");

    finish(f, "1");

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(run_output(f), "-");
    ASSERT_INT(stats(f).calls, 0);
    fixture_free(f);
}

Test(engine_timeouts, the_answer_that_comes_first_wins)
{
    struct fixture *f = started(FINISH_1M);
    move_clock_ms(f, AT("10:01:00") - 1);
    begin_batch(f);
    finish(f, "1");
    f->now_ms = AT("10:01:00");
    end_batch(f);

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished");
    fixture_free(f);
}

Test(engine_timeouts, one_that_was_lengthened_moves_along)
{
    struct fixture *f = started(FINISH_1M);
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");

    serve_with(f, "'timeouts':{'finish':'10m'}", 1);
    move_clock(f, "10:01:00");
    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_INT(next_due(f), AT("10:10:00"));
    move_clock(f, "10:10:00");

    ASSERT_TEXT(run_text(f, SG_RUN_REASON), "finish timeout: it had not ended 10m after its first call");
    fixture_free(f);
}

Test(engine_timeouts, one_that_was_removed_does_nothing)
{
    struct fixture *f = started(FINISH_1M);
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");

    serve_with(f, NULL, 1);
    move_clock(f, "10:01:00");
    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    move_clock(f, "11:00:00");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_timeouts, one_that_was_shortened_counts_from_the_next_call_on)
{
    struct fixture *f = started("'timeouts':{'finish':'1d'}");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    serve_with(f, "'timeouts':{'finish':'30m'}", 1);
    move_clock(f, "10:59:59");
    ASSERT_TEXT(run_status(f), "Running");

    move_clock(f, "11:00:00");

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_timeouts, they_come_due_after_a_restart_too)
{
    struct fixture *f = queued(START_10S);
    crash(f);
    move_clock(f, "10:00:10");
    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);

    f = started(FINISH_1M);
    crash(f);
    ASSERT_INT(f->call_count, 2);
    f->now_ms = AT("10:05:00"); /* the process is down when it is due */
    crash(f);
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_timeouts, a_run_that_waits_for_a_load_is_cancelled_all_the_same)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true});
    serve_with(f, FINISH_1M, 0);
    send_event(f, "demo/go");
    f->is_holding_loads = true;
    report(f, "[{'op':'StepRun','id':'a'}]");
    struct client *waiting = checkpoint(f, 0, "[{'op':'StepRun','id':'b'}]");
    ASSERT_INT(f->load_count, 1);

    move_clock(f, "10:01:00");
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(waiting->reply.status, SG_NOT_FOUND);
    release_loads(f);

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(memo(f, "a"), "-");
    ASSERT_INT(stats(f).hydrated, 0);
    fixture_free(f);
}

static const char *many_ops(struct fixture *f, int count)
{
    struct sg_buf text = {0};
    for (int index = 0; index < count; index++)
        sg_buf_printf(&text, "%s{'op':'StepPlanned','id':'s%d'}", index == 0 ? "[" : ",", index);
    sg_buf_byte(&text, ']');
    struct sg_str copy = sg_arena_copy(&f->arena, sg_buf_str(&text));
    sg_buf_free(&text);
    return copy.ptr;
}

/* A run to which an answer of many ops is being applied: one slice of it has been. */
static struct fixture *applying(const char *settings)
{
    struct fixture *f = started(settings);
    begin_batch(f);
    report(f, many_ops(f, 900));
    cr_assert(step(f)); /* the commit of the answer */
    cr_assert(step(f)); /* a slice */
    cr_assert(step(f));
    ASSERT_INT(count(f, SG_KIND_CURSOR), 1);
    return f;
}

Test(engine_timeouts, a_run_to_which_an_answer_is_being_applied_is_cancelled_all_the_same)
{
    struct fixture *f = applying(FINISH_1M);

    f->now_ms = AT("10:01:00");
    end_batch(f);

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_timeouts, a_cancel_ends_a_run_to_which_an_answer_is_being_applied)
{
    struct fixture *f = applying(NULL);

    struct client *client = cancel(f, f->last_run);
    end_batch(f);

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_timeouts, a_run_that_was_cancelled_during_a_load_is_cleared_by_a_cursor)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true});
    serve_with(f, NULL, 0);
    send_event(f, "demo/go");
    report(f, many_ops(f, 900));
    ASSERT_INT(count(f, SG_KIND_JOB), 900);
    f->is_holding_loads = true;
    report_to(f, 1, "[{'op':'StepRun','id':'s0'}]");
    cr_assert(ge(i64, f->load_count, 1));

    cancel(f, f->last_run);
    release_loads(f);

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_timeouts, a_timeout_does_not_count_as_what_moves_a_run)
{
    struct fixture *f = started("'timeouts':{'finish':'30d'}");

    report(f, "[]"); /* nothing follows: the SDK is asked again, and then it is an error */
    move_to_next_due(f);
    ASSERT_TEXT(calls(f), "step@0 step@0#1");
    report(f, "[]");

    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_timeouts, a_value_that_is_no_duration_is_as_none)
{
    static const char *const values[] = {"'soon'", "''", "'-5s'", "'0'", "10", "null", "{}"};
    for (size_t index = 0; index < sizeof(values) / sizeof(values[0]); index++) {
        char settings[64];
        snprintf(settings, sizeof(settings), "'timeouts':{'start':%s,'finish':%s}", values[index], values[index]);
        struct fixture *f = started(settings);
        ASSERT_INT(next_due(f), INT64_MAX);
        fixture_free(f);
    }
}

Test(engine_timeouts, it_is_explained_what_will_cancel_the_run)
{
    struct fixture *f = started(FINISH_1M);
    const char *text = why(f, f->last_run);

    cr_assert(strstr(text, "The run is cancelled at 2026-01-01T10:01:00.000Z (1m from now) unless it has ended by then") != NULL, "%s",
              text);
    fixture_free(f);
}
