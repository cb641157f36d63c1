/* Checkpoints: steps that are remembered while their call goes on (reference/03 §4.2). */
#include "unit/engine_fixture.h"

#include <stdio.h>

Test(engine_checkpoint, it_is_remembered_and_enqueues_nothing)
{
    struct fixture *f = fixture_with_run("10:00:00");

    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':1},{'op':'StepRun','id':'b','data':2}]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

Test(engine_checkpoint, the_answer_of_its_call_completes_the_run)
{
    struct fixture *f = fixture_with_run("10:00:00");
    checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':1}]");

    report(f, "[{'op':'RunComplete','id':'complete','data':'end'}]");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(calls(f), "step@0");
    fixture_free(f);
}

Test(engine_checkpoint, a_step_comes_after_those_before_it)
{
    struct fixture *f = fixture_with_run("10:00:00");
    checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");
    checkpoint(f, 0, "[{'op':'StepRun','id':'b'}]");

    report(f, "[{'op':'Sleep','id':'z','name':'1m'}]");
    move_clock(f, "10:01:00");

    ASSERT_TEXT(calls(f), "step@0 step@3");
    ASSERT_TEXT(stack(f), "a b z");
    fixture_free(f);
}

Test(engine_checkpoint, its_steps_started_and_ended_when_the_app_says_but_never_later_than_now)
{
    struct fixture *f = fixture_with_run("10:00:00");
    int64_t began_ms = f->now_ms;
    char ops[512];
    snprintf(ops, sizeof(ops),
             "[{'op':'StepRun','id':'a','timing':{'a':%lld000000,'b':250000000}},{'op':'StepRun','id':'b','timing':{'a':%lld000000,'b':"
             "9000000000}},"
             "{'op':'StepRun','id':'c'}]",
             (long long)began_ms + 1000, (long long)began_ms + 2000);
    move_clock_ms(f, began_ms + 5000);

    checkpoint(f, 0, ops);

    ASSERT_INT(step_number(f, "a", SG_STEP_STARTED_AT), began_ms + 1000);
    ASSERT_INT(step_number(f, "a", SG_STEP_ENDED_AT), began_ms + 1250);
    ASSERT_INT(step_number(f, "b", SG_STEP_STARTED_AT), began_ms + 2000);
    ASSERT_INT(step_number(f, "b", SG_STEP_ENDED_AT), began_ms + 5000);
    ASSERT_INT(step_number(f, "c", SG_STEP_ENDED_AT), began_ms + 5000);
    fixture_free(f);
}

Test(engine_checkpoint, it_may_come_twice)
{
    struct fixture *f = fixture_with_run("10:00:00");
    checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':1}]");

    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':2}]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    fixture_free(f);
}

Test(engine_checkpoint, a_step_that_is_answered_once_more_is_still_followed_by_a_discovery)
{
    struct fixture *f = fixture_with_run("10:00:00");
    checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':1}]");

    report(f, "[{'op':'StepRun','id':'a','data':1}]");

    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_checkpoint, of_an_older_generation_it_is_refused)
{
    struct fixture *f = fixture_with_run("10:00:00");
    crash(f);

    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");

    ASSERT_INT(client->reply.status, SG_STALE);
    ASSERT_TEXT(memo(f, "a"), "-");
    fixture_free(f);
}

Test(engine_checkpoint, of_a_job_that_is_gone_it_is_refused)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'StepRun','id':'a'}]");

    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'b'}]");

    ASSERT_INT(client->reply.status, SG_STALE);
    ASSERT_TEXT(memo(f, "b"), "-");
    fixture_free(f);
}

/* A job's number is never given twice, or an old call could speak for a new one. */
Test(engine_checkpoint, of_a_job_that_is_gone_it_is_refused_after_a_restart_too)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    int64_t job_id = call_at(f, 2)->job_id;
    report_to(f, 2, "[{'op':'StepRun','id':'b'}]");
    crash(f);
    report_to(f, 3, "[{'op':'StepRun','id':'a'}]");
    ASSERT_TEXT(calls_from(f, 3), "a@1! step@2");

    struct client *client = checkpoint_raw(f, f->last_run, job_id, 1, "[{'op':'StepRun','id':'c'}]");

    cr_assert(last_call(f)->job_id != job_id);
    ASSERT_INT(client->reply.status, SG_STALE);
    fixture_free(f);
}

Test(engine_checkpoint, of_an_ended_run_it_is_not_found)
{
    struct fixture *f = fixture_with_run("10:00:00");
    finish(f, "1");

    ASSERT_INT(checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]")->reply.status, SG_NOT_FOUND);
    fixture_free(f);
}

Test(engine_checkpoint, without_a_job_it_is_accepted)
{
    struct fixture *f = fixture_with_run("10:00:00");

    ASSERT_INT(checkpoint_raw(f, f->last_run, 0, 0, "[{'op':'StepRun','id':'a'}]")->reply.status, SG_OK);
    ASSERT_TEXT(stack(f), "a");
    fixture_free(f);
}

Test(engine_checkpoint, it_gives_the_job_its_full_budget_again)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");
    fail(f, "{'name':'Error'}", false);
    move_to_next_due(f);
    ASSERT_INT(last_call(f)->attempt, 1);

    checkpoint(f, 1, "[{'op':'StepRun','id':'a'}]");
    fail(f, "{'name':'Error'}", false);
    move_to_next_due(f);

    ASSERT_TEXT(calls(f), "step@0 step@0#1 step@1#1");
    fixture_free(f);
}

Test(engine_checkpoint, during_the_back_off_it_is_accepted_and_keeps_the_due_time)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 60000});
    SERVE(f, {"fn", "demo/go", NULL, 1, 0});
    send_event(f, "demo/go");
    fail(f, "{'name':'Error'}", false);

    move_clock(f, "10:00:30");
    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_INT(next_due(f), AT("10:01:00"));
    move_to_next_due(f);
    ASSERT_TEXT(calls(f), "step@0 step@1"); /* attempt 0 again */
    fixture_free(f);
}

Test(engine_checkpoint, a_planned_step_is_only_a_trace)
{
    struct fixture *f = fixture_with_run("10:00:00");

    checkpoint(f, 0, "[{'op':'StepPlanned','id':'a'}]");
    ASSERT_TEXT(step_status(f, "a"), "Running");
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    /* It may be planned for real later. */
    report(f, "[{'op':'StepPlanned','id':'a'}]");

    ASSERT_TEXT(calls(f), "step@0 a@0");
    fixture_free(f);
}

static void refuses(const char *ops)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->writes = 0;
    struct client *client = checkpoint(f, 0, ops);
    ASSERT_INT(client->reply.status, SG_INVALID_ARGUMENT);
    ASSERT_INT(f->writes, 0);
    ASSERT_TEXT(stack(f), "");
    fixture_free(f);
}

Test(engine_checkpoint, what_it_may_not_carry_changes_nothing)
{
    refuses("[{'op':'StepRun','id':'a'},{'op':'Sleep','id':'z','name':'1h'}]");
    refuses("[{'op':'StepRun','id':'a'},{'op':'StepError','id':'b'}]");
    refuses("[{'op':'StepRun','id':'a'},{'op':'RunComplete','id':'c'}]");
    refuses("[{'op':'StepRun','id':'a'},{'op':'StepRun'}]");
}

Test(engine_checkpoint, its_reply_comes_after_its_commit)
{
    struct fixture *f = fixture_with_run("10:00:00");
    begin_batch(f);

    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");
    cr_assert(not(client->is_answered));
    ASSERT_TEXT(memo(f, "a"), "-");
    end_batch(f);

    cr_assert(client->is_answered);
    ASSERT_TEXT(memo(f, "a"), "{\"data\":null}");
    fixture_free(f);
}
