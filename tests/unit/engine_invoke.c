/* step.invoke: a run that starts another and waits for its end (reference/02 §9.2). */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

#define INVOKE "[{'op':'InvokeFunction','id':'i','displayName':'i','opts':{'function_id':'callee','payload':{'data':{'z':1}}}}]"

static struct sg_id caller_id;

static struct fixture *two_functions(void)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"callee", "demo/other", NULL, 0, 0});
    send_event(f, "demo/go");
    caller_id = f->last_run;
    return f;
}

static const char *memo_of_caller(struct fixture *f)
{
    f->last_run = caller_id;
    return memo(f, "i");
}

Test(engine_invoke, the_result_of_the_other_run_is_the_result_of_the_step)
{
    struct fixture *f = two_functions();

    report(f, INVOKE);
    ASSERT_TEXT(events(f), "demo/go inngest/function.invoked");
    ASSERT_TEXT(calls(f), "step@0 step@0");
    cr_assert(sg_str_eq(last_call(f)->slug, SG_STR("callee")));
    crash(f);
    finish(f, "{'ok':true}");

    ASSERT_TEXT(memo_of_caller(f), "{\"data\":{\"ok\":true}}");
    cr_assert(sg_str_eq(last_call(f)->slug, SG_STR("fn")));
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("i")));
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    fixture_free(f);
}

Test(engine_invoke, null_is_null)
{
    struct fixture *f = two_functions();
    report(f, INVOKE);

    finish(f, "null");

    ASSERT_TEXT(memo_of_caller(f), "{\"data\":null}");
    fixture_free(f);
}

Test(engine_invoke, the_error_of_the_other_run_is_the_error_of_the_step)
{
    struct fixture *f = two_functions();

    report(f, INVOKE);
    fail(f, "{'error':'invalid status code: 500','message':'boom','name':'Error'}", false);

    ASSERT_TEXT(memo_of_caller(f), "{\"error\":{\"error\":\"invalid status code: 500\",\"message\":\"boom\",\"name\":\"Error\"}}");
    ASSERT_TEXT(step_status(f, "i"), "Failed");
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_invoke, an_unknown_and_an_archived_function_are_errors)
{
    struct fixture *f = two_functions();
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'nobody','payload':{}}}]");
    ASSERT_TEXT(memo_of_caller(f), "{\"error\":{\"message\":\"could not find function with ID: nobody\",\"name\":\"Error\"}}");
    ASSERT_TEXT(step_status(f, "i"), "Failed");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);

    f = two_functions();
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    report(f, INVOKE);
    ASSERT_TEXT(memo_of_caller(f), "{\"error\":{\"message\":\"could not find function with ID: callee\",\"name\":\"Error\"}}");
    fixture_free(f);
}

Test(engine_invoke, an_end_that_does_not_come_in_time_is_an_error_and_the_other_run_goes_on)
{
    struct fixture *f = two_functions();
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{},'timeout':'5m'}}]");
    struct sg_id callee = f->last_run;
    move_clock(f, "10:05:00");

    cr_assert(strstr(memo_of_caller(f), "\"name\":\"InngestInvokeTimeoutError\"") != NULL);
    ASSERT_TEXT(step_status(f, "i"), "Failed");
    f->last_run = callee;
    ASSERT_TEXT(run_status(f), "Running");
    finish_to(f, 1, "1");
    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_INT(f->call_count, 3);
    fixture_free(f);
}

Test(engine_invoke, reported_twice_it_invokes_once)
{
    struct fixture *f = two_functions();
    f->request_version = 1;
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{}}}]");
    report_to(f, 2, "[{'op':'StepRun','id':'a'}]");

    report_to(f, 3, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{}}}]");

    ASSERT_INT(runs_of(f, "callee"), 1);
    fixture_free(f);
}

/* By its id, as it stands in what the API tells of functions. */
static const char *invoke_by_id(struct fixture *f)
{
    char id[SG_UUID_LEN + 1];
    sg_uuid_format(rig_id("function", SG_STR("callee")), id);
    return sg_arena_printf(&f->arena, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'%s','payload':{}}}]", id).ptr;
}

Test(engine_invoke, a_function_may_be_named_by_its_id_unless_it_is_archived)
{
    struct fixture *f = two_functions();
    report(f, invoke_by_id(f));
    ASSERT_INT(runs_of(f, "callee"), 1);
    finish(f, "1");
    ASSERT_TEXT(memo_of_caller(f), "{\"data\":1}");
    fixture_free(f);

    f = two_functions();
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    report(f, invoke_by_id(f));
    cr_assert(strstr(memo_of_caller(f), "could not find function with ID: ") != NULL);
    ASSERT_INT(runs_of(f, "callee"), 0);
    fixture_free(f);
}

static struct sg_str invoked_event(struct fixture *f)
{
    return rig_event_body(f->reader, 2, &f->arena);
}

#define SAYS(text, part) cr_assert(memmem((text).ptr, (text).len, part, strlen(part)) != NULL, "%.*s", SG_FMT(text))

Test(engine_invoke, a_function_may_invoke_itself_and_the_event_says_who_did)
{
    struct fixture *f = two_functions();
    char id[SG_ULID_LEN + 1];
    char says[128];

    report(f, "[{'op':'InvokeFunction','id':'i','displayName':'my step','opts':{'function_id':'fn','timeout':'5m',"
              "'payload':{'data':{'n':1,'_inngest':'mine'},'user':{'who':'me'},'v':'2'}}}]");

    struct sg_str body = invoked_event(f);
    sg_ulid_format(caller_id, id);
    snprintf(says, sizeof(says), "{\"data\":{\"_inngest\":{\"correlation_id\":\"%s.i\",\"expire\":%lld,\"fn_id\":\"fn\",", id,
             (long long)AT("10:05:00"));
    SAYS(body, says);
    SAYS(body, "\"name\":\"my step\",\"source_app_id\":\"");
    SAYS(body, ",\"source_fn_v\":1},\"n\":1},\"id\":\"");
    SAYS(body, "\"name\":\"inngest/function.invoked\",\"ts\":");
    SAYS(body, ",\"user\":{\"who\":\"me\"},\"v\":\"2\"}");
    cr_assert(memmem(body.ptr, body.len, "mine", 4) == NULL);
    ASSERT_INT(runs_of(f, "fn"), 2);
    finish(f, "2");
    ASSERT_TEXT(memo_of_caller(f), "{\"data\":2}");
    fixture_free(f);
}

Test(engine_invoke, several_at_once_are_followed_by_one_discovery)
{
    struct fixture *f = two_functions();
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{}}},"
              "{'op':'InvokeFunction','id':'j','opts':{'function_id':'callee','payload':{}}}]");

    finish_to(f, 2, "2");
    ASSERT_INT(f->call_count, 3);
    finish_to(f, 1, "1");

    ASSERT_TEXT(memo_of_caller(f), "{\"data\":1}");
    ASSERT_TEXT(stack(f), "j i");
    ASSERT_INT(f->call_count, 4);
    fixture_free(f);
}

Test(engine_invoke, hundreds_at_once_are_done_in_slices)
{
    struct fixture *f = two_functions();
    struct sg_buf ops = {0};
    for (int index = 0; index < 300; index++)
        sg_buf_printf(&ops, "%s{'op':'InvokeFunction','id':'i%d','opts':{'function_id':'callee','payload':{'data':{'n':%d}}}}",
                      index == 0 ? "[" : ",", index, index);
    sg_buf_append(&ops, SG_STR("]"));
    sg_buf_byte(&ops, '\0');

    report(f, ops.ptr);
    sg_buf_free(&ops);

    ASSERT_INT(runs_of(f, "callee"), 300);
    cr_assert(f->writes <= SG_LIMIT_WRITES_PER_MESSAGE);
    for (int call = 1; call <= 300; call++)
        finish_to(f, call, "1");
    f->last_run = caller_id;
    ASSERT_INT(f->call_count, 302);
    ASSERT_TEXT(memo(f, "i299"), "{\"data\":1}");
    fixture_free(f);
}

Test(engine_invoke, who_listens_to_the_event_gets_it_too)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"callee", "demo/other", NULL, 0, 0}, {"spy", "inngest/function.invoked", NULL, 0, 0});
    send_event(f, "demo/go");
    caller_id = f->last_run;

    report(f, INVOKE);

    ASSERT_INT(runs_of(f, "callee"), 1);
    ASSERT_INT(runs_of(f, "spy"), 1);
    fixture_free(f);
}

Test(engine_invoke, who_waits_for_the_event_gets_it_too)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"callee", "demo/other", NULL, 0, 0});
    send_event(f, "demo/go");
    struct sg_id waiting = f->last_run;
    report(f, "[{'op':'WaitForEvent','id':'w','name':'inngest/function.invoked','opts':{'timeout':'1h'}}]");
    send_event(f, "demo/go");

    report(f, INVOKE);

    f->last_run = waiting;
    cr_assert(strstr(memo(f, "w"), "\"z\":1") != NULL, "%s", memo(f, "w"));
    ASSERT_INT(runs_of(f, "callee"), 1);
    fixture_free(f);
}

/* An event with an id of the caller's starts its run when its id has been looked at: the function may be gone by then. */
Test(engine_invoke, a_function_that_goes_before_it_is_started_is_an_error)
{
    struct fixture *f = two_functions();
    begin_batch(f);
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'id':'order-1'}}}]");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    end_batch(f);

    ASSERT_TEXT(memo_of_caller(f), "{\"error\":{\"message\":\"the invoked function is no longer registered\",\"name\":\"Error\"}}");
    ASSERT_INT(runs_of(f, "callee"), 0);
    fixture_free(f);
}

Test(engine_invoke, without_a_function_the_run_fails)
{
    struct fixture *f = two_functions();

    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'payload':{}}}]");

    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_invoke, both_sides_explain_who_waits_for_whom)
{
    struct fixture *f = two_functions();
    char id[SG_ULID_LEN + 1];
    report(f, INVOKE);
    struct sg_id callee = f->last_run;
    crash(f);

    const char *text = why(f, caller_id);
    sg_ulid_format(callee, id);
    cr_assert(strstr(text, "The step i waits for the end of the run ") != NULL && strstr(text, id) != NULL, "%s", text);
    cr_assert(strstr(text, " of callee, which it invoked, at most until ") != NULL, "%s", text);
    text = why(f, callee);
    sg_ulid_format(caller_id, id);
    cr_assert(strstr(text, "\"invoked_by\":\"A step of the run ") != NULL && strstr(text, id) != NULL, "%s", text);
    cr_assert(strstr(text, " of fn invoked it and waits for its end.") != NULL, "%s", text);

    cancel(f, caller_id);
    text = why(f, callee);
    cr_assert(strstr(text, "(it has ended) invoked it and waits for it no more.") != NULL, "%s", text);
    fixture_free(f);
}

Test(engine_invoke, chains_of_invokes_end_from_the_inside_out)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"callee", "demo/other", NULL, 0, 0}, {"inner", "demo/inner", NULL, 0, 0});
    send_event(f, "demo/go");
    caller_id = f->last_run;
    report(f, INVOKE);
    struct sg_id callee = f->last_run;
    report(f, "[{'op':'InvokeFunction','id':'j','opts':{'function_id':'inner','payload':{}}}]");

    crash(f);
    fail(f, "{'message':'boom','name':'Error'}", true);
    f->last_run = callee;
    ASSERT_TEXT(memo(f, "j"), "{\"error\":{\"message\":\"boom\",\"name\":\"Error\"}}");
    crash(f);
    finish(f, "'survived'");

    ASSERT_TEXT(memo_of_caller(f), "{\"data\":\"survived\"}");
    fixture_free(f);
}

Test(engine_invoke, a_caller_that_is_cancelled_leaves_the_other_run_alone)
{
    struct fixture *f = two_functions();
    report(f, INVOKE);
    struct sg_id callee = f->last_run;

    cancel(f, caller_id);
    finish_to(f, 1, "1");

    f->last_run = callee;
    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

#define INVOKE_5M "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{},'timeout':'5m'}}]"

Test(engine_invoke, an_end_at_the_moment_of_the_timeout_comes_too_late)
{
    struct fixture *f = two_functions();
    report(f, INVOKE_5M);
    f->now_ms = AT("10:05:00"); /* the timeout has not been looked at yet */
    finish(f, "1");
    cr_assert(strstr(memo_of_caller(f), "\"name\":\"InngestInvokeTimeoutError\"") != NULL);
    fixture_free(f);

    f = two_functions();
    report(f, INVOKE_5M);
    f->is_holding_loads = true;
    move_clock(f, "10:05:00"); /* it has been, and waits for the run's steps */
    finish(f, "1");
    release_loads(f);
    cr_assert(strstr(memo_of_caller(f), "\"name\":\"InngestInvokeTimeoutError\"") != NULL);
    ASSERT_TEXT(stack(f), "i");
    fixture_free(f);
}

Test(engine_invoke, an_end_that_comes_before_the_timeout_is_told_once)
{
    struct fixture *f = two_functions();
    report(f, INVOKE_5M);
    crash(f);
    finish(f, "1");
    ASSERT_TEXT(memo_of_caller(f), "{\"data\":1}");
    move_clock(f, "10:05:00");

    ASSERT_TEXT(memo_of_caller(f), "{\"data\":1}");
    ASSERT_TEXT(stack(f), "i");
    fixture_free(f);
}

Test(engine_invoke, sessions_of_the_call_win_over_those_that_are_passed_on)
{
    struct fixture *f = two_functions();
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'meta':{"
              "'propagated_sessions':{'a':'1','b':'1','c':'1'},'sessions':{'b':'2','c':null,'d':'2'}}}}}]");

    SAYS(invoked_event(f), "\"meta\":{\"sessions\":{\"a\":\"1\",\"b\":\"2\",\"d\":\"2\"}}");
    fixture_free(f);
}

Test(engine_invoke, sessions_of_null_take_those_that_are_passed_on_away)
{
    struct fixture *f = two_functions();
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'meta':{"
              "'propagated_sessions':{'a':'1'},'sessions':null}}}}]");

    struct sg_str body = invoked_event(f);
    cr_assert(memmem(body.ptr, body.len, "sessions", 8) == NULL, "%.*s", SG_FMT(body));
    fixture_free(f);
}

Test(engine_invoke, a_time_in_the_future_is_when_the_other_run_starts)
{
    struct fixture *f = two_functions();
    report(f, sg_arena_printf(&f->arena, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'ts':%lld}}}]",
                              (long long)AT("10:30:00"))
                  .ptr);
    ASSERT_INT(f->call_count, 1);

    move_clock(f, "10:30:00");

    ASSERT_TEXT(calls(f), "step@0 step@0");
    cr_assert(sg_str_eq(last_call(f)->slug, SG_STR("callee")));
    fixture_free(f);
}

static enum sg_status state_read(void *context, const struct sg_record *record)
{
    *(int64_t *)context = record->values[SG_RUN_LIVE_STATE_BYTES].number; /* of the newest, at last */
    return SG_OK;
}

Test(engine_invoke, the_event_counts_into_the_state_of_the_run_that_it_starts)
{
    struct fixture *f = two_functions();
    int64_t state_bytes = 0;
    report(f, INVOKE);

    struct sg_query query = {.kind = SG_KIND_RUN_LIVE, .index = SG_INDEX_KEY, .limit = 10};
    cr_assert(sg_store_read(f->reader, &query, state_read, &state_bytes, NULL) == SG_OK);
    ASSERT_INT(state_bytes, (int64_t)invoked_event(f).len);
    fixture_free(f);
}

Test(engine_invoke, an_event_id_that_is_too_long_is_none)
{
    struct fixture *f = two_functions();
    const char *op =
        sg_arena_printf(&f->arena, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'id':'%0*d'}}}]",
                        SG_LIMIT_EVENT_ID_BYTES, 1)
            .ptr;
    report(f, op);
    send_event(f, "demo/go");
    report_to(f, 2, op);

    ASSERT_INT(runs_of(f, "callee"), 2);
    fixture_free(f);
}

Test(engine_invoke, without_a_timeout_it_waits_a_year)
{
    struct fixture *f = two_functions();
    report(f, INVOKE);

    ASSERT_INT(next_due(f), f->now_ms + SG_LIMIT_INVOKE_MS);
    fixture_free(f);
}

/* Correlation ids stand in events that others may send: only a step that invoked something can be answered by one. */
Test(engine_invoke, an_event_that_names_a_step_which_invoked_nothing_answers_nobody)
{
    struct fixture *f = two_functions();
    char id[SG_ULID_LEN + 1];
    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h'}}]");
    sg_ulid_format(caller_id, id);

    SEND(f, {.name = "inngest/function.invoked",
             .data = sg_arena_printf(&f->arena, "{'_inngest':{'fn_id':'callee','correlation_id':'%s.w'}}", id).ptr});
    ASSERT_INT(runs_of(f, "callee"), 1);
    finish(f, "1");

    f->last_run = caller_id;
    ASSERT_TEXT(memo(f, "w"), "-");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    fixture_free(f);
}

Test(engine_invoke, a_durable_endpoint_cannot_be_invoked)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':1}]");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    caller_id = f->last_run;

    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'POST /do','payload':{}}}]");

    ASSERT_INT(runs_of(f, "POST /do"), 1); /* its own */
    ASSERT_TEXT(memo_of_caller(f), "{\"error\":{\"message\":\"could not find function with ID: POST /do\",\"name\":\"Error\"}}");
    fixture_free(f);
}
