/*
 * One test for each quirk of reference/02 §18 that is the engine's affair, named after what we do. Those of answers as they come over the wire (7, 10,
 * 14) are in sdk_answer.c. Number 8 is a matter of step.fetch, 19 one of batches.
 */
#include "unit/engine_fixture.h"

#include <string.h>

#include <stepgate/json.h>

static int64_t moves_left(struct fixture *f)
{
    return count(f, SG_KIND_JOB) + count(f, SG_KIND_RUN_LIVE);
}

Test(engine_quirks, q1_a_malformed_async_op_fails_the_run)
{
    static const char *const malformed[] = {
        "[{'op':'Sleep','id':'x','name':'soon'}]",
        "[{'op':'WaitForEvent','id':'x','name':'demo/paid','opts':{'timeout':'soon'}}]",
        "[{'op':'WaitForEvent','id':'x','opts':{'timeout':'1h'}}]",
        "[{'op':'WaitForSignal','id':'x','opts':{'timeout':'1h'}}]",
        "[{'op':'InvokeFunction','id':'x','opts':{}}]",
    };
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct fixture *f = fixture_with_run("10:00:00");
        report(f, malformed[i]);
        cr_expect(strcmp(run_status(f), "Failed") == 0, "%s", malformed[i]);
        cr_expect(moves_left(f) == 0, "%s", malformed[i]);
        fixture_free(f);
    }
}

/* A run of `fn` that may invoke `callee`. */
static struct fixture *with_callee(struct sg_id *caller)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"callee", "demo/other", NULL, 0, 0});
    send_event(f, "demo/go");
    *caller = f->last_run;
    return f;
}

Test(engine_quirks, q2_who_invoked_a_cancelled_run_gets_an_error)
{
    struct sg_id caller;
    struct fixture *f = with_callee(&caller);

    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee'}}]");
    cancel(f, f->last_run);

    f->last_run = caller;
    ASSERT_TEXT(memo(f, "i"), "{\"error\":{\"message\":\"invoked function was cancelled\",\"name\":\"Error\"}}");
    ASSERT_TEXT(calls(f), "step@0 step@0 step@1");
    fixture_free(f);
}

Test(engine_quirks, q3_who_invoked_what_will_not_run_gets_an_error_at_once)
{
    struct sg_id caller;
    struct fixture *f = with_callee(&caller);
#define ONCE "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'id':'order-1'}}}]"
    report(f, ONCE);
    ASSERT_INT(runs_of(f, "callee"), 1);
    finish(f, "1");
    f->last_run = caller;
    ASSERT_TEXT(memo(f, "i"), "{\"data\":1}");
    send_event(f, "demo/go");
    caller = f->last_run;

    report_to(f, 3, ONCE);

    f->last_run = caller;
    ASSERT_TEXT(memo(f, "i"),
                "{\"error\":{\"message\":\"the invoked function has run for an event of this id already\",\"name\":\"Error\"}}");
    ASSERT_INT(runs_of(f, "callee"), 1);
    fixture_free(f);
}

Test(engine_quirks, q4_several_results_in_one_answer_are_followed_by_one_discovery)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepRun','id':'a'},{'op':'StepRun','id':'b'},{'op':'StepRun','id':'c'}]");

    ASSERT_TEXT(calls(f), "step@0 step@3");
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("c"))); /* the last */
    fixture_free(f);
}

Test(engine_quirks, q5_a_result_before_the_last_steps_still_comes_last)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'RunComplete','id':'complete','data':'end'},{'op':'StepRun','id':'a','data':1},{'op':'StepRun','id':'b','data':2}]");

    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(run_output(f), "\"end\"");
    ASSERT_TEXT(calls(f), "step@0");
    fixture_free(f);
}

Test(engine_quirks, q6_a_failed_step_that_is_reported_again_is_like_any_duplicate)
{
    struct fixture *f = fixture_with_run("10:00:00");
#define FAILED "{'op':'StepFailed','id':'a','error':{'name':'Error','message':'no'}}"
    report(f, "[" FAILED "]");
    const char *before = memo(f, "a");

    report(f, "[" FAILED ",{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(memo(f, "a"), before);
    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(calls(f), "step@0 step@1 step@2");
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_quirks, q9_a_failed_limit_is_told_as_a_plain_message)
{
    static const char *const beyond[] = {
        "[{'op':'Sleep','id':'z','name':'400d'}]",
        "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'400d'}}]",
        "[{'op':'StepRun','id':'a'},{'op':'StepRun','id':'b'},{'op':'StepRun','id':'c'}]",
    };
    for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
        struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.steps_per_run_max = 3});
        SERVE(f, {"fn", "demo/go", NULL, -1, 0});
        send_event(f, "demo/go");
        report(f, beyond[i]);

        cr_expect(strcmp(run_status(f), "Failed") == 0, "%s", beyond[i]);
        struct sg_str message = sg_json_get(sg_str_from(run_error(f)), SG_STR("message"));
        cr_expect(message.len > 2 && message.ptr[1] != '{', "%.*s", SG_FMT(message));
        fixture_free(f);
    }
}

Test(engine_quirks, q11_a_step_that_ended_half_a_day_ago_is_not_planned_again)
{
    struct fixture *f = fixture_with_run("08:00:00");
    f->request_version = 1;

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'13h'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    report_to(f, 2, "[{'op':'StepPlanned','id':'a'}]");
    move_clock(f, "21:00:00");
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");

    ASSERT_TEXT(calls(f), "step@0 a@0! step@1! step@2! b@2!");
    fixture_free(f);
}

Test(engine_quirks, q12_a_limit_that_the_last_step_reaches_ends_the_run_before_its_last_call)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.steps_per_run_max = 2});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");

    report(f, "[{'op':'StepRun','id':'a'}]");
    report(f, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_error(f), "{\"error\":\"function has too many steps\",\"message\":\"The function run exceeded the step limit of 2 "
                              "steps.\",\"name\":\"InngestErrFunctionOverflowed\"}");
    fixture_free(f);
}

/* What a run that was started with `trigger` has of a wait with this condition after an event with `data`. */
static bool is_met(const char *condition, const char *trigger, const char *data)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .data = trigger});
    report(
        f,
        sg_arena_printf(&f->arena, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','if':'%s'}}]", condition).ptr);
    cr_assert(strcmp(run_status(f), "Running") == 0, "%s: %s", condition, run_error(f));
    SEND(f, {.name = "demo/paid", .data = data});
    bool has_memo = strcmp(memo(f, "w"), "-") != 0;
    fixture_free(f);
    return has_memo;
}

Test(engine_quirks, q13_a_condition_in_brackets_sees_both_events)
{
    const char *condition = "event[\\\"data\\\"][\\\"n\\\"] == async[\\\"data\\\"][\\\"n\\\"]";

    cr_assert(is_met(condition, "{'n':1}", "{'n':1}"));
    cr_assert(not(is_met(condition, "{'n':1}", "{'n':2}")));
}

Test(engine_quirks, q15_an_answer_after_the_cancel_leaves_nothing)
{
    struct fixture *f = fixture_with_run("10:00:00");
    cancel(f, f->last_run);
    int64_t steps = count(f, SG_KIND_STEP), memos = count(f, SG_KIND_MEMO);

    report(f, "[{'op':'StepRun','id':'a','data':1}]");
    fail_to(f, 0, "{'name':'Error'}", true);

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.cancelled");
    ASSERT_INT(count(f, SG_KIND_STEP), steps);
    ASSERT_INT(count(f, SG_KIND_MEMO), memos);
    ASSERT_INT(moves_left(f), 0);
    fixture_free(f);
}

Test(engine_quirks, q16_a_condition_that_cannot_be_decided_in_parts_is_decided_with_both_events)
{
    const char *condition = "async.data.name.startsWith(event.data.prefix)";

    cr_assert(is_met(condition, "{'prefix':'ab'}", "{'name':'abc'}"));
    cr_assert(not(is_met(condition, "{'prefix':'ab'}", "{'name':'xyz'}")));
    cr_assert(not(is_met(condition, "{}", "{'name':'abc'}")));
}

Test(engine_quirks, q17_after_a_sleep_that_ends_a_group_one_more_call_plans)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'1m'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    move_clock(f, "10:01:00");
    ASSERT_TEXT(calls(f), "step@0 a@0! step@2!");
    report(f, "[{'op':'StepPlanned','id':'b'}]");
    report(f, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls_from(f, 3), "b@2 step@3");
    fixture_free(f);
}

Test(engine_quirks, q18_a_run_shows_its_result_however_it_came_and_a_cancelled_one_none)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'RunComplete','id':'complete','data':{'n':1}}]");
    ASSERT_TEXT(run_output(f), "{\"n\":1}");

    send_event(f, "demo/go");
    cancel(f, f->last_run);
    ASSERT_TEXT(run_output(f), "-");
    fixture_free(f);
}
