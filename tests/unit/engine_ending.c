/* The end of a run: lifecycle events, onFailure, cancels (reference/02 §6, §13). */
#include "unit/engine_fixture.h"

#include <string.h>

Test(engine_ending, a_completed_run_sends_finished)
{
    struct fixture *f = fixture_with_run("10:00:00");

    finish(f, "1");

    ASSERT_TEXT(events(f), "demo/go inngest/function.finished");
    fixture_free(f);
}

Test(engine_ending, a_failed_run_sends_finished_and_failed)
{
    struct fixture *f = fixture_with_run("10:00:00");

    fail(f, "{'name':'Error'}", true);

    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.failed");
    fixture_free(f);
}

Test(engine_ending, a_cancelled_run_sends_finished_and_cancelled)
{
    struct fixture *f = fixture_with_run("10:00:00");

    struct client *client = cancel(f, f->last_run);

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.cancelled");
    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);
}

Test(engine_ending, a_failed_run_calls_its_on_failure_function)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"fn-failure", "inngest/function.failed", "event.data.function_id == 'fn'", 1, 0},
          {"other-failure", "inngest/function.failed", "event.data.function_id == 'other'", 1, 0});
    send_event(f, "demo/go");

    fail(f, "{'name':'Error','message':'boom'}", false);

    ASSERT_INT(f->call_count, 2);
    cr_assert(sg_str_eq(last_call(f)->slug, SG_STR("fn-failure")));
    ASSERT_INT(last_call(f)->event_positions[0], 3);
    ASSERT_INT(runs_of(f, "other-failure"), 0);
    ASSERT_INT(f->loads_total, 1); /* only the event that somebody listens to became bytes */
    fixture_free(f);
}

Test(engine_ending, a_failed_on_failure_function_sends_nothing)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"fn-failure", "inngest/function.failed", NULL, 0, 0});
    send_event(f, "demo/go");
    fail(f, "{'name':'Error'}", false);

    fail(f, "{'name':'Error'}", false);

    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.failed");
    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_ending, a_run_started_by_a_cancelled_event_has_lifecycle_events_of_its_own)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"watcher", "inngest/function.cancelled", NULL, 0, 0});
    send_event(f, "demo/go");
    cancel(f, f->last_run);

    finish_to(f, 1, "1");

    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.cancelled inngest/function.finished");
    fixture_free(f);
}

Test(engine_ending, wildcards_hear_lifecycle_events)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"watcher", "inngest/*", NULL, 0, 0});
    send_event(f, "demo/go");

    fail(f, "{'name':'Error'}", false);

    ASSERT_INT(runs_of(f, "watcher"), 2);
    fixture_free(f);
}

Test(engine_ending, an_on_failure_run_is_started_after_a_crash_before_its_event_was_loaded)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"fn-failure", "inngest/function.failed", "event.data.function_id == 'fn'", 1, 0});
    send_event(f, "demo/go");
    f->is_holding_loads = true;
    fail(f, "{'name':'Error'}", false);
    ASSERT_INT(f->load_count, 1);

    f->is_holding_loads = false;
    crash(f);

    ASSERT_INT(runs_of(f, "fn-failure"), 1);
    fixture_free(f);
}

Test(engine_ending, a_run_ends_when_the_first_of_its_branches_finishes)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = 1;
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");

    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    finish_to(f, 3, "'first'");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(memo(f, "b"), "-");
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_ending, a_cancel_of_an_ended_run_is_not_found)
{
    struct fixture *f = fixture_with_run("10:00:00");
    finish(f, "1");

    ASSERT_INT(cancel(f, f->last_run)->reply.status, SG_NOT_FOUND);
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_ending, a_sleeping_run_can_be_cancelled)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");

    cancel(f, f->last_run);

    ASSERT_INT(next_due(f), INT64_MAX);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_ending, a_run_that_waits_for_a_future_event_can_be_cancelled)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .ts_ms = AT("11:00:00")});
    struct sg_buf dump = rig_dump(f->engine);
    const char *at = strstr(dump.ptr, "run ");
    struct sg_id run_id;
    cr_assert(at != NULL && sg_ulid_parse((struct sg_str){at + 4, SG_ULID_LEN}, &run_id));
    sg_buf_free(&dump);

    ASSERT_INT(cancel(f, run_id)->reply.status, SG_OK);

    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}
