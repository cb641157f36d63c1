/* The loop of reference/02 §4 for sequential functions: calls, answers, memos, retries. */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(engine_loop, a_first_call_names_the_run_and_its_event)
{
    struct fixture *f = fixture_with_run("10:00:00");

    struct sg_call *call = last_call(f);
    ASSERT_INT(call->attempt, 0);
    ASSERT_INT(call->max_attempts, 5);
    ASSERT_INT(call->request_version, -1);
    ASSERT_INT(call->snapshot, 0);
    ASSERT_INT(call->generation, 1);
    ASSERT_INT(call->event_count, 1);
    ASSERT_INT(call->event_positions[0], 1);
    cr_assert(sg_str_eq(call->cause, SG_STR("")));
    cr_assert(sg_str_eq(call->target, SG_STR("")));
    cr_assert(sg_str_eq(call->url, SG_STR("http://app.test/api/inngest?fnId=fn&stepId=step")));
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_loop, each_step_is_followed_by_a_discovery_that_shows_its_memo)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepRun','id':'a','name':'first','data':{'n':1}}]");
    report(f, "[{'op':'StepRun','id':'b','data':null}]");
    finish(f, "{'ok':true}");

    ASSERT_TEXT(calls(f), "step@0 step@1 step@2");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":{\"n\":1}}");
    ASSERT_TEXT(memo(f, "b"), "{\"data\":null}");
    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(step_status(f, "a"), "Completed");
    ASSERT_TEXT(step_text(f, "a", SG_STEP_NAME), "first");
    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(run_output(f), "{\"ok\":true}");
    cr_assert(sg_str_eq(call_at(f, 2)->cause, SG_STR("b")));
    fixture_free(f);
}

Test(engine_loop, a_step_of_version_0_is_memoized_as_it_is)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = 0;

    report(f, "[{'op':'Step','id':'a','data':{'n':1}}]");

    ASSERT_TEXT(memo(f, "a"), "{\"n\":1}");
    ASSERT_INT(last_call(f)->request_version, 0);
    fixture_free(f);
}

Test(engine_loop, the_request_version_is_that_of_the_first_answer_with_ops)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = 1;
    report(f, "[{'op':'StepRun','id':'a'}]");
    f->request_version = 2;
    report(f, "[{'op':'StepRun','id':'b'}]");

    ASSERT_INT(last_call(f)->request_version, 1);
    fixture_free(f);
}

Test(engine_loop, an_ended_run_leaves_nothing_live)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepRun','id':'a'}]");
    finish(f, "1");

    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    ASSERT_INT(stats(f).runs, 0);
    ASSERT_INT(stats(f).hydrated, 0);
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}

Test(engine_loop, a_memo_is_written_once)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepRun','id':'a','data':1}]");
    report(f, "[{'op':'StepRun','id':'a','data':2},{'op':'StepRun','id':'b','data':3}]");

    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(calls(f), "step@0 step@1 step@2");
    fixture_free(f);
}

Test(engine_loop, a_second_answer_to_a_call_is_dropped)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report_to(f, 0, "[{'op':'StepRun','id':'a','data':1}]");
    report_to(f, 0, "[{'op':'StepRun','id':'a','data':1}]");
    fail_to(f, 0, "{'name':'Error'}", true);

    ASSERT_TEXT(calls(f), "step@0 step@1");
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_loop, an_answer_of_an_older_generation_is_dropped)
{
    struct fixture *f = fixture_with_run("10:00:00");

    crash(f);
    ASSERT_INT(last_call(f)->generation, 2);
    report_to(f, 0, "[{'op':'StepRun','id':'a','data':1}]");
    ASSERT_INT(f->call_count, 2);
    report_to(f, 1, "[{'op':'StepRun','id':'a','data':2}]");

    ASSERT_TEXT(memo(f, "a"), "{\"data\":2}");
    fixture_free(f);
}

Test(engine_loop, an_answer_for_an_ended_run_is_dropped)
{
    struct fixture *f = fixture_with_run("10:00:00");
    finish_to(f, 0, "1");

    report_to(f, 0, "[{'op':'StepRun','id':'a'}]");

    ASSERT_TEXT(memo(f, "a"), "-");
    ASSERT_TEXT(run_output(f), "1");
    fixture_free(f);
}

/* ---- retries ---- */

Test(engine_loop, a_failed_attempt_is_repeated_after_the_table_and_less_than_30_seconds)
{
    static const int64_t table_s[] = {15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200};
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 20, 0});
    send_event(f, "demo/go");

    for (int attempt = 0; attempt < 11; attempt++) {
        int64_t before_ms = f->now_ms;
        fail(f, "{'name':'Error','message':'boom'}", false);
        int64_t delay_ms = next_due(f) - before_ms;
        cr_assert(delay_ms >= table_s[attempt] * 1000 && delay_ms < table_s[attempt] * 1000 + 30000, "attempt %d: %lld ms", attempt,
                  (long long)delay_ms);
        move_to_next_due(f);
        ASSERT_INT(last_call(f)->attempt, attempt + 1);
        ASSERT_INT(last_call(f)->generation, attempt + 2);
    }
    fixture_free(f);
}

Test(engine_loop, a_retry_interval_replaces_the_table)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 2000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");

    fail(f, "{'name':'Error'}", false);

    ASSERT_INT(next_due(f), AT("10:00:02"));
    fixture_free(f);
}

Test(engine_loop, exhausted_attempts_fail_the_run)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");

    fail(f, "{'name':'Error','message':'first'}", false);
    move_to_next_due(f);
    fail(f, "{'name':'Error','message':'second'}", false);

    ASSERT_TEXT(calls(f), "step@0 step@0#1");
    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_error(f), "{\"message\":\"second\",\"name\":\"Error\"}");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_loop, no_retry_fails_the_run_at_once)
{
    struct fixture *f = fixture_with_run("10:00:00");

    fail(f, "{'name':'NonRetriableError'}", true);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}

Test(engine_loop, retry_after_replaces_the_back_off)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report_with(f, "[{'op':'StepError','id':'a'}]", false, 120000);

    ASSERT_INT(next_due(f), AT("10:02:00"));
    move_to_next_due(f);
    ASSERT_INT(last_call(f)->attempt, 1);
    fixture_free(f);
}

Test(engine_loop, a_step_that_fails_is_tried_again_by_the_same_job)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");

    report(f, "[{'op':'StepError','id':'a','error':{'name':'Error','message':'boom'}}]");
    ASSERT_TEXT(memo(f, "a"), "-");
    ASSERT_TEXT(step_status(f, "a"), "Errored");
    ASSERT_TEXT(step_text(f, "a", SG_STEP_ATTEMPTS), "1");
    ASSERT_TEXT(step_text(f, "a", SG_STEP_ERROR), "{\"message\":\"boom\",\"name\":\"Error\"}");
    move_to_next_due(f);
    report(f, "[{'op':'StepRun','id':'a','data':1}]");

    ASSERT_TEXT(calls(f), "step@0 step@0#1 step@1");
    ASSERT_INT(call_at(f, 1)->job_id, call_at(f, 0)->job_id);
    cr_assert(call_at(f, 2)->job_id != call_at(f, 0)->job_id);
    ASSERT_TEXT(step_status(f, "a"), "Completed");
    ASSERT_TEXT(step_text(f, "a", SG_STEP_ATTEMPTS), "1");
    fixture_free(f);
}

Test(engine_loop, a_step_that_fails_for_good_is_memoized_and_the_function_is_asked)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");

    report(f, "[{'op':'StepError','id':'a'}]");
    move_to_next_due(f);
    report(f, "[{'op':'StepError','id':'a','error':{'name':'Error','message':'last','data':[1]}}]");
    ASSERT_TEXT(memo(f, "a"), "{\"error\":{\"data\":[1],\"message\":\"last\",\"name\":\"Error\"}}");
    ASSERT_TEXT(step_status(f, "a"), "Failed");
    ASSERT_TEXT(step_text(f, "a", SG_STEP_ATTEMPTS), "2");
    ASSERT_TEXT(run_status(f), "Running");
    finish(f, "'caught'");

    ASSERT_TEXT(calls(f), "step@0 step@0#1 step@1");
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_loop, a_step_error_without_retry_is_a_failed_step)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report_with(f, "[{'op':'StepError','id':'a'}]", true, 0);

    ASSERT_TEXT(step_status(f, "a"), "Failed");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_loop, a_step_failed_ends_the_step_whatever_the_header_says)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report_with(f, "[{'op':'StepFailed','id':'a'}]", false, 0);

    ASSERT_TEXT(memo(f, "a"), "{\"error\":{\"message\":\"boom\",\"name\":\"Error\"}}");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_loop, a_new_job_has_its_full_budget)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");

    fail(f, "{'name':'Error'}", false);
    move_to_next_due(f);
    report(f, "[{'op':'StepRun','id':'a'}]");
    fail(f, "{'name':'Error'}", false);
    move_to_next_due(f);

    ASSERT_TEXT(calls(f), "step@0 step@0#1 step@1 step@1#1");
    fixture_free(f);
}

Test(engine_loop, retries_that_were_lowered_meanwhile_end_the_run)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 4, 0});
    send_event(f, "demo/go");
    fail(f, "{'name':'Error'}", false);
    move_to_next_due(f);

    SERVE(f, {"fn", "demo/go", NULL, 0, 0});
    fail(f, "{'name':'Error'}", false);

    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_loop, a_back_off_survives_a_crash)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 60000});
    SERVE(f, {"fn", "demo/go", NULL, 4, 0});
    send_event(f, "demo/go");
    fail(f, "{'name':'Error'}", false);

    crash(f);

    ASSERT_INT(next_due(f), AT("10:01:00"));
    move_to_next_due(f);
    ASSERT_INT(last_call(f)->attempt, 1);
    ASSERT_INT(last_call(f)->generation, 2);
    fixture_free(f);
}

/* ---- answers that lead nowhere ---- */

Test(engine_loop, an_empty_answer_is_asked_again_and_finally_fails)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");

    report(f, "[]");
    ASSERT_INT(next_due(f), AT("10:00:01"));
    move_to_next_due(f);
    report(f, "[{'op':'None'}]");

    ASSERT_TEXT(calls(f), "step@0 step@0#1");
    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_loop, a_discovery_request_is_a_call_more)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'DiscoveryRequest','id':'again'}]");
    report(f, "[{'op':'DiscoveryRequest','id':'again'}]");

    ASSERT_TEXT(calls(f), "step@0 step@0 step@0");
    ASSERT_TEXT(stack(f), "");
    fixture_free(f);
}

Test(engine_loop, a_step_not_found_is_tried_again)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");

    report(f, "[{'op':'StepNotFound','id':'a'}]");
    move_to_next_due(f);
    report(f, "[{'op':'StepNotFound','id':'a'}]");

    ASSERT_TEXT(calls(f), "step@0 step@0#1");
    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_loop, an_op_that_is_not_supported_fails_the_run_with_its_name)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'DeferAdd','id':'a'}]");

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(
        sg_str_eq(sg_str_from(run_error(f)),
                  SG_STR("{\"error\":\"This version of stepgate does not support the step kind DeferAdd.\",\"message\":\"This version of "
                         "stepgate does not support the step kind DeferAdd.\",\"name\":\"NotSupportedError\"}")),
        "%s", run_error(f));
    fixture_free(f);
}

/* ---- limits ---- */

Test(engine_loop, a_run_with_too_much_state_fails)
{
    struct fixture *f = fixture_with_run("10:00:00");
    size_t len = 4 * 1024 * 1024 - 64;
    char *ops = malloc(len + 128);
    cr_assert(ops != NULL);
    for (int step_number = 0; step_number < 9 && f->call_count == step_number + 1; step_number++) {
        int head = snprintf(ops, 128, "[{'op':'StepRun','id':'s%d','data':'", step_number);
        memset(ops + head, 'x', len - 128);
        memcpy(ops + head + len - 128, "'}]", 4);
        report(f, ops);
    }
    free(ops);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(
        run_error(f),
        "{\"error\":\"InngestErrStateOverflowed: The function run exceeded the state size limit of 33554432 bytes.\",\"message\":\"The "
        "function run exceeded the state size limit of 33554432 bytes.\",\"name\":\"InngestErrStateOverflowed\"}");
    ASSERT_INT(f->call_count, 9);
    fixture_free(f);
}

Test(engine_loop, the_end_of_a_step_is_kept_when_it_is_reported_again_later)
{
    struct fixture *f = fixture_with_run("10:00:00");
    checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':1}]");
    char ended[32];
    snprintf(ended, sizeof(ended), "%lld", (long long)f->now_ms);
    ASSERT_TEXT(step_text(f, "a", SG_STEP_ENDED_AT), ended);

    crash(f);
    move_clock(f, "10:05:00");
    report(f, "[{'op':'StepRun','id':'a','data':1}]");

    ASSERT_TEXT(step_text(f, "a", SG_STEP_ENDED_AT), ended);
    fixture_free(f);
}
