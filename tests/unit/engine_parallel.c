/* Parallel steps: number and order of calls for each request version (reference/02 §8, §16.2). */
#include "unit/engine_fixture.h"

#include <stdio.h>

static struct fixture *run_of_version(int version)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = version;
    return f;
}

Test(engine_parallel, version_0_makes_eight_calls)
{
    struct fixture *f = run_of_version(0);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'},{'op':'StepPlanned','id':'c'}]");
    report(f, "[{'op':'Step','id':'a'}]");
    report(f, "[{'op':'Step','id':'b'}]");
    report(f, "[{'op':'Step','id':'c'}]");
    report(f, "[]");
    report(f, "[]");
    report(f, "[{'op':'Step','id':'d'}]");
    finish(f, "1");

    ASSERT_TEXT(calls(f), "step@0 a@0! b@0! c@0! step@1! step@2! step@3! step@4!");
    cr_assert(sg_str_eq(call_at(f, 1)->cause, SG_STR("")));
    cr_assert(sg_str_eq(call_at(f, 4)->cause, SG_STR("a")));
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_parallel, version_1_makes_nine_calls)
{
    struct fixture *f = run_of_version(1);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'},{'op':'StepPlanned','id':'c'}]");
    report(f, "[{'op':'StepRun','id':'a'}]");
    report(f, "[{'op':'StepRun','id':'b'}]");
    report(f, "[{'op':'StepRun','id':'c'}]");
    report(f, "[{'op':'StepPlanned','id':'d'}]");
    report(f, "[{'op':'StepPlanned','id':'d'}]");
    report(f, "[{'op':'StepPlanned','id':'d'}]");
    report(f, "[{'op':'StepRun','id':'d'}]");
    finish(f, "1");

    ASSERT_TEXT(calls(f), "step@0 a@0! b@0! c@0! step@1! step@2! step@3! d@3! step@4!");
    fixture_free(f);
}

Test(engine_parallel, version_2_makes_six_calls)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'},{'op':'StepPlanned','id':'c'}]");
    report(f, "[{'op':'StepRun','id':'a'}]");
    report(f, "[{'op':'StepRun','id':'b'}]");
    report(f, "[{'op':'StepRun','id':'c'}]");
    report(f, "[{'op':'StepRun','id':'d'}]");
    finish(f, "1");

    ASSERT_TEXT(calls(f), "step@0 a@0! b@0! c@0! step@3 step@4");
    cr_assert(sg_str_eq(call_at(f, 4)->cause, SG_STR("c")));
    fixture_free(f);
}

Test(engine_parallel, the_order_of_completion_is_the_stack)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'},{'op':'StepPlanned','id':'c'}]");
    report_to(f, 3, "[{'op':'StepRun','id':'c'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");

    ASSERT_TEXT(stack(f), "c b a");
    ASSERT_TEXT(calls_from(f, 4), "step@3");
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("a")));
    fixture_free(f);
}

Test(engine_parallel, version_1_plans_a_reported_step_only_once)
{
    struct fixture *f = run_of_version(1);

    report(f, "[{'op':'StepPlanned','id':'a1'},{'op':'StepPlanned','id':'b1'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b1'}]");
    report_to(f, 3, "[{'op':'StepPlanned','id':'a1'},{'op':'StepPlanned','id':'b2'}]");

    ASSERT_TEXT(calls(f), "step@0 a1@0! b1@0! step@1! b2@1!");
    fixture_free(f);
}

Test(engine_parallel, a_single_planned_step_is_no_group)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'}]");
    report(f, "[{'op':'StepRun','id':'a'}]");

    ASSERT_TEXT(calls(f), "step@0 a@0 step@1");
    fixture_free(f);
}

Test(engine_parallel, a_planned_step_has_its_own_budget)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    report_to(f, 1, "[{'op':'StepError','id':'a'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");
    move_to_next_due(f);
    ASSERT_TEXT(calls(f), "step@0 a@0! b@0! a@1!#1");
    report_to(f, 3, "[{'op':'StepError','id':'a'}]"); /* for good: the memo of an error counts as done */

    ASSERT_TEXT(calls(f), "step@0 a@0! b@0! a@1!#1 step@2");
    ASSERT_TEXT(step_status(f, "a"), "Failed");
    fixture_free(f);
}

Test(engine_parallel, a_failed_function_call_for_one_member_ends_the_run)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    fail_to(f, 1, "{'name':'Error'}", true);

    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_parallel, results_and_plans_in_one_answer_make_a_group)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepRun','id':'a'},{'op':'StepPlanned','id':'b'}]");
    ASSERT_TEXT(calls(f), "step@0 b@1!");
    report(f, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls(f), "step@0 b@1! step@2");
    fixture_free(f);
}

Test(engine_parallel, groups_may_follow_each_other)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a1'},{'op':'StepPlanned','id':'b1'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b1'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a1'}]");
    report_to(f, 3, "[{'op':'StepPlanned','id':'b2'},{'op':'StepPlanned','id':'a2'}]");
    report_to(f, 4, "[{'op':'StepRun','id':'b2'}]");
    report_to(f, 5, "[{'op':'StepRun','id':'a2'}]");

    ASSERT_TEXT(calls(f), "step@0 a1@0! b1@0! step@2 b2@2! a2@2! step@4");
    fixture_free(f);
}

/* ---- race ---- */

#define RACE "'opts':{'parallelMode':'race'}"

Test(engine_parallel, in_race_mode_every_completion_is_followed_by_a_discovery)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'," RACE "},{'op':'StepPlanned','id':'b'," RACE "}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'," RACE "}]");
    ASSERT_TEXT(calls(f), "step@0 a@0! b@0! step@1");
    /* The loser is reported again, with what follows the race: it runs once. */
    report_to(f, 3, "[{'op':'StepPlanned','id':'b'," RACE "},{'op':'StepPlanned','id':'after'}]");
    ASSERT_TEXT(calls_from(f, 4), "after@1!");
    report_to(f, 4, "[{'op':'StepRun','id':'after'}]");
    ASSERT_INT(f->call_count, 5); /* goes on only when the loser has ended (reference/02 §8.4) */
    report_to(f, 2, "[{'op':'StepRun','id':'b'," RACE "}]");

    ASSERT_TEXT(calls_from(f, 5), "step@3");
    fixture_free(f);
}

Test(engine_parallel, race_mode_is_read_in_any_case)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a','opts':{'parallelMode':'Race'}},{'op':'StepPlanned','id':'b'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]"); /* the job remembers the mode */

    ASSERT_TEXT(calls_from(f, 3), "step@1");
    fixture_free(f);
}

Test(engine_parallel, a_sleep_in_race_mode_does_not_wait_for_the_others)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'," RACE "},{'op':'Sleep','id':'z','name':'1m'," RACE "}]");
    move_clock(f, "10:01:00");

    ASSERT_TEXT(calls(f), "step@0 a@0! step@1!");
    fixture_free(f);
}

/* ---- sleeps in groups ---- */

Test(engine_parallel, a_sleep_that_ends_before_the_others_ends_there)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'1m'}]");
    move_clock(f, "10:01:00");
    ASSERT_TEXT(memo(f, "z"), "null");
    ASSERT_TEXT(calls(f), "step@0 a@0!");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");

    ASSERT_TEXT(calls(f), "step@0 a@0! step@2");
    fixture_free(f);
}

Test(engine_parallel, sleeps_that_end_together_are_followed_by_one_discovery)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'Sleep','id':'x','name':'1m'},{'op':'Sleep','id':'y','name':'1m'},{'op':'Sleep','id':'z','name':'1m'}]");
    move_clock(f, "10:01:00");

    ASSERT_TEXT(calls(f), "step@0 step@3!");
    fixture_free(f);
}

Test(engine_parallel, version_1_sleeps_are_each_followed_by_a_discovery)
{
    struct fixture *f = run_of_version(1);

    report(f, "[{'op':'Sleep','id':'x','name':'1m'},{'op':'Sleep','id':'y','name':'1m'}]");
    move_clock(f, "10:01:00");

    ASSERT_TEXT(calls(f), "step@0 step@1! step@2!");
    fixture_free(f);
}

/* ---- answers that make no sense ---- */

Test(engine_parallel, a_member_answered_with_nothing_does_not_leave_a_sleep_without_successor)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'1m'}]");
    report_to(f, 1, "[]");
    move_clock(f, "10:01:00");

    ASSERT_TEXT(calls(f), "step@0 a@0! step@1!"); /* nobody else would move the run */
    fixture_free(f);
}

Test(engine_parallel, ops_that_never_complete_are_no_members)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'None','id':'n'},{'op':'DiscoveryRequest','id':'d'},{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    ASSERT_TEXT(calls(f), "step@0 step@0! a@0! b@0!");
    report_to(f, 2, "[{'op':'StepRun','id':'a'}]");
    report_to(f, 3, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls_from(f, 4), "step@2");
    fixture_free(f);
}

Test(engine_parallel, an_id_that_occurs_twice_is_one_member)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    ASSERT_TEXT(calls(f), "step@0 a@0! b@0!");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls_from(f, 3), "step@2");
    fixture_free(f);
}

/* The memo of the last member came by a checkpoint, which enqueues nothing: the answer must. */
Test(engine_parallel, a_member_memoized_by_a_checkpoint_is_continued_by_its_answer)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    ASSERT_INT(checkpoint(f, 2, "[{'op':'StepRun','id':'b'}]")->reply.status, SG_OK);
    ASSERT_TEXT(calls(f), "step@0 a@0! b@0!");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");

    ASSERT_TEXT(calls_from(f, 3), "step@2");
    fixture_free(f);
}

Test(engine_parallel, a_member_reported_again_after_its_group_makes_no_second_discovery)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");
    report_to(f, 3, "[{'op':'StepRun','id':'a'}]");

    ASSERT_TEXT(calls_from(f, 3), "step@2");
    ASSERT_INT(count(f, SG_KIND_JOB), 1); /* it asks again later, for nothing else would move the run */
    cr_assert(next_due(f) > f->now_ms);
    fixture_free(f);
}

Test(engine_parallel, an_old_result_does_not_hide_a_new_one_before_it)
{
    struct fixture *f = run_of_version(2);

    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");
    report_to(f, 3, "[{'op':'StepPlanned','id':'c'}]");
    report_to(f, 4, "[{'op':'StepRun','id':'c'},{'op':'StepRun','id':'a'}]");

    ASSERT_TEXT(calls_from(f, 3), "step@2 c@2 step@3");
    fixture_free(f);
}

/* A planned step may get its memo from a discovery that ran beside it. An SDK that is asked for a step which it is shown cannot find it. */
Test(engine_parallel, a_planned_step_that_has_its_memo_is_not_called_again_after_a_crash)
{
    struct fixture *f = run_of_version(2);
    report(f, "[{'op':'StepPlanned','id':'a'," RACE "},{'op':'StepPlanned','id':'b'," RACE "}]");
    report_to(f, 2, "[{'op':'StepRun','id':'b'," RACE "}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'," RACE "}]");
    report_to(f, 3, "[{'op':'StepPlanned','id':'after'}]");
    report_to(f, 4, "[{'op':'StepRun','id':'after'}]");
    ASSERT_TEXT(calls_from(f, 3), "step@1 step@2 after@2 step@3");

    crash(f);

    ASSERT_TEXT(calls_from(f, 7), "step@3");
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    fixture_free(f);
}

Test(engine_parallel, a_planned_step_that_has_its_memo_becomes_a_discovery_when_nothing_else_moves_the_run)
{
    struct fixture *f = run_of_version(2);
    report(f, "[{'op':'StepPlanned','id':'a'}]");
    checkpoint(f, 1, "[{'op':'StepRun','id':'a'}]");

    crash(f);
    finish(f, "1");

    ASSERT_TEXT(calls(f), "step@0 a@0 step@1");
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

/* ---- many ---- */

static struct sg_buf thousand(const char *op, int count_of_ops)
{
    struct sg_buf ops = {0};
    sg_buf_append(&ops, SG_STR("["));
    for (int index = 0; index < count_of_ops; index++)
        sg_buf_printf(&ops, "%s{'op':'%s','id':'s%04d'}", index > 0 ? "," : "", op, index);
    sg_buf_append(&ops, SG_STR("]"));
    sg_buf_byte(&ops, '\0');
    return ops;
}

static void thousand_answer(struct fixture *f, int from)
{
    for (int index = 0; index < 1000; index++) {
        char ops[64];
        snprintf(ops, sizeof(ops), "[{'op':'StepRun','id':'s%04d'}]", index);
        report_to(f, from + index, ops);
    }
}

Test(engine_parallel, a_thousand_planned_steps_are_called_in_order_and_then_discovered_once)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.steps_per_run_max = 2000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    struct sg_buf ops = thousand("StepPlanned", 1000);

    report(f, ops.ptr);
    sg_buf_free(&ops);

    ASSERT_INT(f->call_count, 1001);
    for (int index = 0; index < 1000; index++) {
        char id[16];
        snprintf(id, sizeof(id), "s%04d", index);
        cr_assert(sg_str_eq(call_at(f, index + 1)->target, sg_str_from(id)));
    }
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    thousand_answer(f, 1);
    ASSERT_TEXT(calls_from(f, 1001), "step@1000");
    fixture_free(f);
}

Test(engine_parallel, no_message_writes_more_than_it_may)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = thousand("StepPlanned", 1000);
    begin_batch(f);
    report(f, ops.ptr);
    sg_buf_free(&ops);

    cr_assert(f->batch->write_count <= SG_LIMIT_WRITES_PER_MESSAGE);
    while (sg_engine_next_due(f->engine) <= f->now_ms) {
        size_t before = f->batch->write_count;
        ASSERT_INT(sg_engine_advance(f->engine, f->now_ms, 1, f->batch), SG_OK);
        cr_assert(f->batch->write_count - before <= SG_LIMIT_WRITES_PER_MESSAGE);
        if (f->batch->effect_count > 1)
            break;
    }
    end_batch(f);
    fixture_free(f);
}

Test(engine_parallel, more_than_a_thousand_ops_fail_the_run)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = thousand("StepPlanned", 1001);

    report(f, ops.ptr);
    sg_buf_free(&ops);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

static void crash_at_slice(int slice, const char *op)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.steps_per_run_max = 2000, .retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    struct sg_buf ops = thousand(op, 1000);
    f->is_batching = true;
    report(f, ops.ptr);
    f->is_batching = false;
    sg_buf_free(&ops);
    for (int index = 0; index < slice; index++)
        cr_assert(step(f));

    crash(f);

    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    if (op[4] == 'P') { /* StepPlanned */
        int targeted = 0;
        for (int index = 0; index < f->call_count; index++)
            targeted += call_at(f, index)->target.len > 0;
        ASSERT_INT(targeted, 1000);
    }
    fixture_free(f);
}

Test(engine_parallel, a_large_answer_is_applied_to_its_end_after_a_crash)
{
    for (int slice = 1; slice < 12; slice++)
        crash_at_slice(slice, "StepPlanned");
}

Test(engine_parallel, a_large_answer_of_errors_is_retried_after_a_crash)
{
    for (int slice = 1; slice < 12; slice += 3)
        crash_at_slice(slice, "StepError");
}

Test(engine_parallel, messages_wait_while_a_large_answer_is_applied)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = thousand("StepPlanned", 1000);
    begin_batch(f);
    report(f, ops.ptr);
    sg_buf_free(&ops);
    struct client *client = cancel(f, f->last_run);
    cr_assert(not(client->is_answered));

    end_batch(f);

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_parallel, what_waits_for_a_large_run_that_is_cancelled_is_told_so)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = thousand("StepPlanned", 1000);
    begin_batch(f);
    report(f, ops.ptr);
    sg_buf_free(&ops);
    cancel(f, f->last_run);
    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");

    end_batch(f);

    cr_assert(client->is_answered);
    ASSERT_INT(client->reply.status, SG_NOT_FOUND);
    fixture_free(f);
}

Test(engine_parallel, the_clearing_of_a_large_run_survives_a_crash)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = thousand("StepPlanned", 1000);
    report(f, ops.ptr);
    sg_buf_free(&ops);
    begin_batch(f);
    cancel(f, f->last_run);
    f->is_batching = false;
    cr_assert(step(f));
    ASSERT_INT(count(f, SG_KIND_JOB), 1000);

    crash(f);

    ASSERT_INT(f->call_count, 1001);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 0);
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.cancelled");
    fixture_free(f);
}

Test(engine_parallel, a_large_answer_that_ends_the_run_in_the_middle_leaves_nothing)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = thousand("StepPlanned", 999);
    ops.len -= 2; /* "]" and the end */
    sg_buf_append(&ops, SG_STR(",{'op':'Sleep','id':'z','name':'soon'}]"));
    sg_buf_byte(&ops, '\0');

    report(f, ops.ptr);
    sg_buf_free(&ops);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}
