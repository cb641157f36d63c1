/* Requests that the gateway makes for steps: step.fetch and step.ai.infer (reference/02 §10). */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define GATEWAY(id) "{'op':'Gateway','id':'" id "','opts':{'url':'http://x/','headers':{'authorization':'s3cret'}}}"
#define AI(id) "{'op':'AIGateway','id':'" id "','opts':{'url':'http://x/','auth_key':'s3cret','body':{}}}"
#define PLAN(id) "{'op':'StepPlanned','id':'" id "'}"

static struct fixture *run_with_retries(int retries)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, retries, 0});
    send_event(f, "demo/go");
    return f;
}

static bool says(struct sg_str text, const char *word)
{
    return memmem(text.ptr, text.len, word, strlen(word)) != NULL;
}

/* ---- one request ---- */

Test(engine_fetch, a_result_is_remembered_and_the_run_goes_on)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "]");
    ASSERT_TEXT(fetches(f), "a");
    ASSERT_INT(f->fetches[0]->code, SG_OP_GATEWAY);
    cr_assert(sg_id_eq(f->fetches[0]->app_id, f->calls[0]->app_id));
    ASSERT_TEXT(step_status(f, "a"), "Running");
    ASSERT_TEXT(calls(f), "step@0");
    ASSERT_INT(stats(f).fetches, 1);
    ASSERT_INT(stats(f).calls, 1);

    move_clock(f, "10:30:00");
    fetched(f, 0, "{'status_code':200}");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":{\"status_code\":200}}");
    ASSERT_TEXT(step_status(f, "a"), "Completed");
    ASSERT_INT(step_number(f, "a", SG_STEP_ENDED_AT) - step_number(f, "a", SG_STEP_STARTED_AT), 30 * 60 * 1000);
    ASSERT_TEXT(calls(f), "step@0 step@1");
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("a")));
    ASSERT_INT(stats(f).fetches, 0);
    finish(f, "1");
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_fetch, a_failed_request_makes_the_sdk_be_asked_again)
{
    struct fixture *f = run_with_retries(2);

    report(f, "[" AI("a") "]");
    fetch_failed(f, 0, "unsuccessful status code: 500");
    ASSERT_TEXT(memo(f, "a"), "-");
    ASSERT_TEXT(step_status(f, "a"), "Errored");
    ASSERT_INT(next_due(f), AT("10:00:01"));

    move_to_next_due(f);
    ASSERT_TEXT(calls(f), "step@0 step@0#1");
    report(f, "[" AI("a") "]");
    fetched(f, 1, "{'choices':[]}");
    ASSERT_TEXT(fetches(f), "a a");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":{\"choices\":[]}}");
    ASSERT_TEXT(calls(f), "step@0 step@0#1 step@1");
    ASSERT_INT(step_number(f, "a", SG_STEP_ATTEMPTS), 1);
    fixture_free(f);
}

Test(engine_fetch, the_error_of_the_last_attempt_is_remembered_and_may_be_caught)
{
    struct fixture *f = run_with_retries(1);

    report(f, "[" GATEWAY("a") "]");
    fetch_failed(f, 0, "refused");
    move_to_next_due(f);
    report(f, "[" GATEWAY("a") "]");
    fetch_failed(f, 1, "refused again");

    ASSERT_TEXT(memo(f, "a"), "{\"error\":{\"message\":\"refused again\",\"name\":\"GatewayError\"}}");
    ASSERT_TEXT(step_status(f, "a"), "Failed");
    ASSERT_TEXT(step_text(f, "a", SG_STEP_ERROR), "{\"message\":\"refused again\",\"name\":\"GatewayError\"}");
    ASSERT_TEXT(calls(f), "step@0 step@0#1 step@1");
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_fetch, what_the_gateway_refuses_to_request_is_not_tried_again)
{
    struct fixture *f = run_with_retries(4);

    report(f, "[" GATEWAY("a") "]");
    fetch_refused(f, 0, "a private address");

    ASSERT_TEXT(memo(f, "a"), "{\"error\":{\"message\":\"a private address\",\"name\":\"GatewayError\"}}");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_fetch, a_step_without_a_url_fails_the_run)
{
    const char *ops[] = {"[{'op':'Gateway','id':'a'}]", "[{'op':'AIGateway','id':'a','opts':{'url':7}}]",
                         "[{'op':'Gateway','id':'a','opts':{'url':''}}]"};
    for (size_t index = 0; index < SG_ARRAY_LEN(ops); index++) {
        struct fixture *f = fixture_with_run("10:00:00");
        report(f, ops[index]);
        ASSERT_TEXT(run_status(f), "Failed");
        cr_assert(says(sg_str_from(run_error(f)), "without a URL to request"));
        ASSERT_INT(f->fetch_count, 0);
        fixture_free(f);
    }
}

Test(engine_fetch, a_result_that_makes_the_state_too_large_fails_the_run)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf text = {0};
    sg_buf_byte(&text, '\'');
    for (int index = 0; index < SG_LIMIT_STATE_BYTES; index++)
        sg_buf_byte(&text, 'x');
    sg_buf_append(&text, SG_STR("'\0"));

    report(f, "[" GATEWAY("a") "]");
    fetched(f, 0, text.ptr);

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(says(sg_str_from(run_error(f)), "InngestErrStateOverflowed"));
    sg_buf_free(&text);
    fixture_free(f);
}

/* ---- what is not kept ---- */

static enum sg_status secret_visit(void *context, const struct sg_record *record)
{
    bool *has_secret = context;
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        *has_secret = *has_secret || (record->values[column].bytes.len > 0 && says(record->values[column].bytes, "s3cret"));
    return SG_OK;
}

static void assert_no_secret(struct fixture *f)
{
    struct sg_error error = {0};
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        bool has_secret = false;
        struct sg_query query = {.kind = (enum sg_kind)kind, .index = SG_INDEX_KEY, .limit = 100000};
        rig_need(sg_store_read(f->reader, &query, secret_visit, &has_secret, &error) == SG_OK, error.message);
        cr_assert(not(has_secret), "a secret is in the table %s", sg_kind_info((enum sg_kind)kind)->table);
    }
}

Test(engine_fetch, options_are_never_written)
{
    struct fixture *f = run_with_retries(1);

    report(f, "[" AI("a") "," GATEWAY("b") "," PLAN("c") "]");
    cr_assert(says(f->fetches[0]->opts, "s3cret"));
    assert_no_secret(f);
    fetch_failed(f, 0, "no");
    fetched(f, 1, "1");
    assert_no_secret(f);
    crash(f);
    assert_no_secret(f);
    fixture_free(f);
}

Test(engine_fetch, an_explanation_tells_what_is_out_and_no_secret)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[" AI("a") "," GATEWAY("b") "]");
    move_clock(f, "10:05:00");

    struct sg_str text = sg_str_from(why(f, f->last_run));

    cr_assert(says(text, "\"state\":\"requesting\""), "%.*s", SG_FMT(text));
    cr_assert(says(text, "2 requests"));
    cr_assert(says(text, "that of the step a, out since 2026-01-01T10:00:00"));
    cr_assert(not(says(text, "s3cret")));
    fixture_free(f);
}

/* ---- several ---- */

Test(engine_fetch, a_group_goes_on_when_requests_and_planned_steps_have_ended)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "," PLAN("b") "," AI("c") "]");
    ASSERT_TEXT(calls(f), "step@0 b@0!");
    fetched(f, 1, "1");
    report_to(f, 1, "[{'op':'StepRun','id':'b'}]");
    ASSERT_TEXT(calls(f), "step@0 b@0!");
    fetched(f, 0, "2");

    ASSERT_TEXT(stack(f), "c b a");
    ASSERT_TEXT(calls(f), "step@0 b@0! step@3");
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("a")));
    fixture_free(f);
}

Test(engine_fetch, requests_that_end_before_a_planned_step_leave_the_discovery_to_it)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "," PLAN("b") "]");
    fetched(f, 0, "1");
    ASSERT_TEXT(calls(f), "step@0 b@0!");
    ASSERT_INT(stats(f).calls, 1);
    report_to(f, 1, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls(f), "step@0 b@0! step@2");
    fixture_free(f);
}

Test(engine_fetch, version_1_is_asked_after_every_completion_and_requests_once)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = 1;

    report(f, "[" GATEWAY("a") "," PLAN("b") "]");
    report_to(f, 1, "[{'op':'StepRun','id':'b'}]");
    ASSERT_TEXT(calls(f), "step@0 b@0! step@1!");
    report_to(f, 2, "[" GATEWAY("a") "]"); /* again: its request is out */
    ASSERT_TEXT(fetches(f), "a");
    fetched(f, 0, "1");

    ASSERT_TEXT(calls(f), "step@0 b@0! step@1! step@2!");
    finish_to(f, 3, "1");
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_fetch, in_race_mode_the_first_that_ends_is_followed_by_a_discovery)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'Gateway','id':'a','opts':{'url':'http://x/','parallelMode':'race'}},"
              "{'op':'Gateway','id':'b','opts':{'url':'http://x/','parallelMode':'race'}}]");
    ASSERT_TEXT(fetches(f), "a b");
    fetched(f, 1, "1");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    finish_to(f, 1, "'b won'");
    ASSERT_TEXT(run_status(f), "Completed");
    fetched(f, 0, "2"); /* its run has ended */
    ASSERT_INT(count(f, SG_KIND_MEMO), 1);
    ASSERT_INT(stats(f).fetches, 0);
    fixture_free(f);
}

Test(engine_fetch, what_failed_is_tried_again_when_the_others_are_back)
{
    struct fixture *f = run_with_retries(1);

    report(f, "[" GATEWAY("a") "," GATEWAY("b") "]");
    fetch_failed(f, 0, "no");
    ASSERT_INT(next_due(f), INT64_MAX);
    fetched(f, 1, "1");
    ASSERT_TEXT(calls(f), "step@0");
    ASSERT_INT(next_due(f), AT("10:00:01"));
    move_to_next_due(f);
    ASSERT_TEXT(calls(f), "step@0 step@1!#1");
    report(f, "[" GATEWAY("a") "]");
    fetched(f, 2, "2");

    ASSERT_TEXT(fetches(f), "a b a");
    ASSERT_TEXT(calls(f), "step@0 step@1!#1 step@2");
    fixture_free(f);
}

Test(engine_fetch, a_step_error_beside_a_request_waits_for_it)
{
    struct fixture *f = run_with_retries(3);

    report(f, "[" GATEWAY("a") ",{'op':'StepError','id':'b'}]");
    ASSERT_INT(next_due(f), INT64_MAX);
    fetched(f, 0, "1");
    move_to_next_due(f);

    ASSERT_TEXT(calls(f), "step@0 step@1!#1");
    fixture_free(f);
}

Test(engine_fetch, retry_after_of_an_answer_with_requests_counts_when_they_are_back)
{
    struct fixture *f = run_with_retries(3);

    report_with(f, "[" GATEWAY("a") ",{'op':'StepError','id':'b'}]", false, 60000);
    fetched(f, 0, "1");

    ASSERT_INT(next_due(f), AT("10:01:00"));
    fixture_free(f);
}

Test(engine_fetch, a_completed_step_beside_requests_does_not_go_on_alone)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepRun','id':'done'}," GATEWAY("a") "]");
    ASSERT_TEXT(calls(f), "step@0");
    fetched(f, 0, "1");

    ASSERT_TEXT(calls(f), "step@0 step@2");
    fixture_free(f);
}

/* ---- repetitions and ends ---- */

Test(engine_fetch, a_second_answer_to_the_same_call_changes_nothing)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "]");
    report_to(f, 0, "[" GATEWAY("a") "]");
    report_to(f, 0, "[" PLAN("b") "]");
    finish_to(f, 0, "1");
    fail_to(f, 0, "{'message':'late','name':'Error'}", true);
    ASSERT_TEXT(fetches(f), "a");
    ASSERT_TEXT(calls(f), "step@0");
    ASSERT_TEXT(run_status(f), "Running");
    fetched(f, 0, "1");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_fetch, a_result_that_comes_twice_counts_once)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "," GATEWAY("b") "]");
    fetched(f, 0, "1");
    fetched(f, 0, "2");
    fetch_failed(f, 0, "no");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_TEXT(calls(f), "step@0");
    fetched(f, 1, "3");
    fetched(f, 1, "4");

    ASSERT_TEXT(memo(f, "b"), "{\"data\":3}");
    ASSERT_TEXT(calls(f), "step@0 step@2");
    fixture_free(f);
}

Test(engine_fetch, after_a_crash_the_call_and_the_request_are_made_again)
{
    struct fixture *f = run_with_retries(0);

    report(f, "[" GATEWAY("a") "," PLAN("b") "]");
    report_to(f, 1, "[{'op':'StepRun','id':'b'}]");
    crash(f);
    ASSERT_TEXT(calls_from(f, 2), "step@1!");
    ASSERT_INT(last_call(f)->generation, 2);
    fetched(f, 0, "'of the old process'");
    ASSERT_TEXT(memo(f, "a"), "-");
    report(f, "[" GATEWAY("a") "]");
    fetched(f, 0, "'of the old process, while the new request is out'");
    ASSERT_TEXT(memo(f, "a"), "-");
    fetched(f, 1, "1");

    ASSERT_TEXT(fetches(f), "a a");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_TEXT(calls_from(f, 2), "step@1! step@2");
    fixture_free(f);
}

Test(engine_fetch, a_step_that_is_reported_with_its_memo_is_not_requested_again)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "," GATEWAY("b") "]");
    fetched(f, 0, "1");
    crash(f);
    report(f, "[" GATEWAY("a") "," GATEWAY("b") "]"); /* an SDK that shows no memory of it */
    ASSERT_TEXT(fetches(f), "a b b");
    fetched(f, 2, "2");

    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_TEXT(calls(f), "step@0 step@1! step@2");
    fixture_free(f);
}

Test(engine_fetch, a_result_whose_step_has_gone_from_the_store_makes_the_call_again)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    report(f, "[" GATEWAY("a") "]");
    struct sg_write write = {.op = SG_WRITE_DELETE, .record = {.kind = SG_KIND_STEP}};
    write.record.values[SG_STEP_RUN_ID] = sg_value_id(&f->last_run);
    write.record.values[SG_STEP_ID] = sg_value_bytes(SG_STR("a"));
    ASSERT_INT(sg_store_commit(f->store, &write, 1, NULL), SG_OK);

    fetched(f, 0, "1");

    ASSERT_TEXT(calls(f), "step@0 step@0");
    ASSERT_INT(stats(f).stray, 1);
    fixture_free(f);
}

Test(engine_fetch, a_cancelled_run_does_not_wait_for_its_requests)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") "]");
    cancel(f, f->last_run);
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(stats(f).fetches, 0);
    fetched(f, 0, "1");

    ASSERT_INT(count(f, SG_KIND_MEMO), 0);
    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);
}

Test(engine_fetch, a_run_that_completes_beside_a_request_has_completed)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[" GATEWAY("a") ",{'op':'RunComplete','id':'end','data':7}]");
    ASSERT_TEXT(run_status(f), "Completed");
    fetched(f, 0, "1");

    ASSERT_INT(stats(f).fetches, 0);
    ASSERT_INT(count(f, SG_KIND_MEMO), 0);
    fixture_free(f);
}

Test(engine_fetch, a_checkpoint_refuses_it)
{
    struct fixture *f = fixture_with_run("10:00:00");

    struct client *client = checkpoint(f, 0, "[" GATEWAY("a") "]");

    ASSERT_INT(client->reply.status, SG_INVALID_ARGUMENT);
    ASSERT_TEXT(client->reply.message, "cannot checkpoint opcode: Gateway");
    ASSERT_INT(f->fetch_count, 0);
    fixture_free(f);
}

Test(engine_fetch, a_durable_endpoint_that_reports_it_is_called_when_the_result_is_there)
{
    struct fixture *f = fixture_create("10:00:00");

    struct client *client = endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':1}," GATEWAY("b") "]");
    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(fetches(f), "b");
    ASSERT_INT(f->call_count, 0);
    endpoint_reports(f, "r1", "[" GATEWAY("b") "]"); /* the SDK did not hear the reply */
    ASSERT_TEXT(fetches(f), "b");
    fetched(f, 0, "2");

    ASSERT_TEXT(calls(f), "step@2");
    assert_no_secret(f);
    fixture_free(f);
}

Test(engine_fetch, a_durable_endpoint_is_called_when_a_crash_has_cut_the_request_off)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[" GATEWAY("b") "]");
    crash(f);
    ASSERT_TEXT(calls(f), "step@0");
    report(f, "[" GATEWAY("b") "]");
    fetched(f, 1, "2");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_fetch, a_parked_run_gets_its_result)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");

    report(f, "[" GATEWAY("a") "," GATEWAY("b") "]");
    ASSERT_INT(stats(f).hydrated, 0);
    fetched(f, 0, "1");
    fetched(f, 1, "2");

    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(calls(f), "step@0 step@2");
    fixture_free(f);
}

/* ---- large answers, applied in slices ---- */

/* Five hundred planned steps, and every tenth is a request. */
static struct sg_buf large(void)
{
    struct sg_buf ops = {0};
    for (int index = 0; index < 500; index++)
        if (index % 10 == 0)
            sg_buf_printf(&ops, "%c{'op':'AIGateway','id':'f%03d','opts':{'url':'http://x/','auth_key':'s3cret'}}", index > 0 ? ',' : '[',
                          index);
        else
            sg_buf_printf(&ops, ",{'op':'StepPlanned','id':'s%03d'}", index);
    sg_buf_append(&ops, SG_STR("]\0"));
    return ops;
}

/* The SDK answers all targeted calls that are out. */
static int run_planned(struct fixture *f)
{
    int answered = 0;
    for (int call = 0; call < f->call_count; call++) {
        if (f->answered[call] || f->calls[call]->target.len == 0)
            continue;
        char ops[64];
        snprintf(ops, sizeof(ops), "[{'op':'StepRun','id':'%.*s'}]", SG_FMT(f->calls[call]->target));
        report_to(f, call, ops);
        answered++;
    }
    return answered;
}

Test(engine_fetch, a_large_answer_makes_its_requests_in_slices)
{
    struct fixture *f = run_with_retries(0);
    struct sg_buf ops = large();

    report(f, ops.ptr);
    ASSERT_INT(f->fetch_count, 50);
    ASSERT_INT(stats(f).cursors, 0);
    for (int index = 0; index < 50; index++)
        fetched(f, index, "1");
    ASSERT_INT(run_planned(f), 450);

    ASSERT_INT(count(f, SG_KIND_MEMO), 500);
    ASSERT_TEXT(calls_from(f, 451), "step@500");
    sg_buf_free(&ops);
    fixture_free(f);
}

Test(engine_fetch, a_restart_in_the_middle_of_a_large_answer_makes_the_call_again)
{
    for (int steps = 1; steps < 14; steps++) {
        struct fixture *f = run_with_retries(0);
        struct sg_buf ops = large();
        f->is_batching = true; /* the test goes from commit to commit itself */
        report(f, ops.ptr);
        for (int done = 0; done < steps && step(f); done++)
            assert_no_secret(f);
        f->is_batching = false;
        crash(f);
        assert_no_secret(f);

        int fetched_before = f->fetch_count;
        cr_assert(last_call(f)->target.len == 0 || steps > 0);
        int discovery = -1;
        for (int call = 0; call < f->call_count; call++)
            if (!f->answered[call] && f->calls[call]->target.len == 0)
                discovery = call;
        cr_assert(discovery > 0, "after %d steps nobody asks the SDK again", steps);
        report_to(f, discovery, ops.ptr);
        ASSERT_INT(f->fetch_count, fetched_before + 50);
        for (int index = fetched_before; index < f->fetch_count; index++)
            fetched(f, index, "1");
        cr_assert(run_planned(f) >= 450);

        ASSERT_INT(count(f, SG_KIND_MEMO), 500);
        cr_assert(last_call(f)->target.len == 0);
        ASSERT_INT(last_call(f)->snapshot, 500);
        finish_to(f, f->call_count - 1, "1");
        ASSERT_TEXT(run_status(f), "Completed");
        sg_buf_free(&ops);
        fixture_free(f);
    }
}

Test(engine_fetch, a_result_that_comes_while_its_answer_is_being_applied_waits_for_the_end_of_it)
{
    struct fixture *f = run_with_retries(0);
    struct sg_buf ops = large();
    f->is_batching = true;
    report(f, ops.ptr);
    while (f->fetch_count == 0)
        cr_assert(step(f));
    fetched(f, 0, "1");
    ASSERT_TEXT(memo(f, "f000"), "-");
    f->is_batching = false;
    for (int index = 1; index < 10; index++)
        fetched(f, index, "1");

    ASSERT_TEXT(memo(f, "f000"), "{\"data\":1}");
    ASSERT_INT(count(f, SG_KIND_MEMO), 10);
    ASSERT_INT(stats(f).fetches, 40);
    sg_buf_free(&ops);
    fixture_free(f);
}
