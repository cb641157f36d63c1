/* Parked runs: what waits while their steps are loaded, and in which order it goes on. */
#include "unit/engine_fixture.h"

#include <stdlib.h>

#include "base/alloc.h"

static struct fixture *parked(void)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true, .retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    f->is_holding_loads = true;
    return f;
}

Test(engine_loads, an_answer_waits_for_the_load_and_writes_nothing_before)
{
    struct fixture *f = parked();
    f->writes = 0;

    report(f, "[{'op':'StepRun','id':'a'}]");
    ASSERT_INT(f->load_count, 1);
    ASSERT_INT(f->writes, 0);
    ASSERT_INT(f->call_count, 1);
    release_loads(f);

    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_loads, messages_that_wait_are_handled_in_order)
{
    struct fixture *f = parked();

    struct client *first = checkpoint(f, 0, "[{'op':'StepRun','id':'a','data':1}]");
    report(f, "[{'op':'StepRun','id':'b'}]");
    struct client *late = checkpoint(f, 0, "[{'op':'StepRun','id':'c'}]");
    cr_assert(not(first->is_answered));
    ASSERT_INT(f->load_count, 1);
    release_loads(f);

    ASSERT_INT(first->reply.status, SG_OK);
    ASSERT_INT(late->reply.status, SG_STALE); /* the answer came before it */
    ASSERT_TEXT(stack(f), "a b");
    fixture_free(f);
}

Test(engine_loads, what_waits_for_a_run_that_ends_is_told_so)
{
    struct fixture *f = parked();

    finish(f, "1");
    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'c'}]");
    release_loads(f);

    ASSERT_INT(client->reply.status, SG_NOT_FOUND);
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_loads, a_cancel_does_not_wait_for_a_load)
{
    struct fixture *f = parked();

    struct client *waiting = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");
    struct client *client = cancel(f, f->last_run);
    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_INT(waiting->reply.status, SG_NOT_FOUND);
    ASSERT_TEXT(run_status(f), "Cancelled");
    release_loads(f);

    ASSERT_TEXT(memo(f, "a"), "-");
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.cancelled");
    fixture_free(f);
}

Test(engine_loads, a_crash_forgets_what_was_set_aside)
{
    struct fixture *f = parked();
    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");

    f->is_holding_loads = false;
    crash(f);

    cr_assert(not(client->is_answered));
    ASSERT_TEXT(memo(f, "a"), "-");
    ASSERT_TEXT(calls(f), "step@0 step@0");
    fixture_free(f);
}

Test(engine_loads, a_sleep_that_ends_during_a_load_ends_after_it)
{
    struct fixture *f = parked();
    f->is_holding_loads = false;
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'1m'}]");
    f->is_holding_loads = true;

    report_to(f, 1, "[{'op':'StepRun','id':'a'}]");
    move_clock(f, "10:01:00");
    ASSERT_INT(f->load_count, 1);
    release_loads(f);

    ASSERT_TEXT(stack(f), "a z");
    ASSERT_TEXT(calls(f), "step@0 a@0! step@2!");
    fixture_free(f);
}

Test(engine_loads, a_retry_that_comes_due_during_a_load_starts_after_it)
{
    struct fixture *f = parked();
    f->is_holding_loads = false;
    fail(f, "{'name':'Error'}", false);
    f->is_holding_loads = true;

    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'a'}]");
    move_to_next_due(f);
    ASSERT_INT(f->call_count, 1);
    release_loads(f);

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_loads, a_run_that_cannot_be_loaded_fails_once)
{
    struct fixture *f = parked();
    report(f, "[{'op':'StepRun','id':'a'}]");
    struct client *client = checkpoint(f, 0, "[{'op':'StepRun','id':'b'}]");

    fail_loads(f);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(stats(f).damaged, 1);
    ASSERT_INT(client->reply.status, SG_NOT_FOUND);
    ASSERT_TEXT(events(f), "demo/go inngest/function.finished inngest/function.failed");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_loads, a_run_that_cannot_be_loaded_to_wake_fails_once)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    f->is_holding_loads = true;
    move_clock(f, "11:00:00");

    fail_loads(f);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}

Test(engine_loads, a_run_that_cannot_be_loaded_while_its_answer_is_applied_fails_once)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = {0};
    sg_buf_append(&ops, SG_STR("["));
    for (int index = 0; index < 1000; index++)
        sg_buf_printf(&ops, "%s{'op':'StepPlanned','id':'s%d'}", index > 0 ? "," : "", index);
    sg_buf_append(&ops, SG_STR("]"));
    sg_buf_byte(&ops, '\0');
    begin_batch(f);
    report(f, ops.ptr);
    sg_buf_free(&ops);
    f->is_batching = false;
    cr_assert(step(f) && step(f) && step(f));
    f->is_holding_loads = true;
    crash(f);
    ASSERT_INT(f->load_count, 1);

    fail_loads(f);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 0);
    fixture_free(f);
}

Test(engine_loads, a_run_loads_its_steps_while_its_call_is_out)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    fail(f, "{'name':'Error'}", false);
    ASSERT_INT(stats(f).hydrated, 0);

    move_to_next_due(f);

    ASSERT_INT(f->loads_total, 1);
    ASSERT_INT(stats(f).hydrated, 1);
    fixture_free(f);
}

/* ---- start-up ---- */

static void put(struct fixture *f, enum sg_kind kind, enum sg_write_op op, struct sg_value first)
{
    struct sg_write write = {.op = op, .record = {.kind = kind}};
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        write.record.values[column] = sg_value_null();
    write.record.values[0] = first;
    struct sg_error error = {0};
    ASSERT_INT(sg_store_commit(f->store, &write, 1, &error), SG_OK);
}

Test(engine_loads, a_job_without_its_run_is_deleted_at_start_up)
{
    struct fixture *f = fixture_create("10:00:00");
    put(f, SG_KIND_JOB, SG_WRITE_PUT, sg_value_int(77));

    f->is_unequal = true;
    crash(f);

    ASSERT_INT(stats(f).stray, 1);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_loads, a_run_without_jobs_is_failed_at_start_up)
{
    struct fixture *f = fixture_with_run("10:00:00");
    put(f, SG_KIND_JOB, SG_WRITE_DELETE, sg_value_int(last_call(f)->job_id));

    f->is_unequal = true;
    crash(f);

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_INT(stats(f).damaged, 1);
    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 0);
    fixture_free(f);
}

Test(engine_loads, an_answer_without_its_cursor_is_deleted_at_start_up)
{
    struct fixture *f = fixture_with_run("10:00:00");
    put(f, SG_KIND_ANSWER, SG_WRITE_PUT, sg_value_int(77));

    f->is_unequal = true;
    crash(f);

    ASSERT_INT(stats(f).stray, 1);
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_loads, an_answer_that_cannot_be_read_is_dropped_and_the_call_repeated)
{
    struct fixture *f = fixture_with_run("10:00:00");
    int64_t job_id = last_call(f)->job_id;
    struct sg_write writes[2] = {{.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_ANSWER}},
                                 {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_CURSOR}}};
    for (int index = 0; index < 2; index++)
        for (int column = 0; column < SG_COLUMNS_MAX; column++)
            writes[index].record.values[column] = sg_value_null();
    /* Its head is whole: 2 ops are announced, and there the bytes end. */
    struct sg_answer answer = {.kind = SG_ANSWER_OPS};
    struct sg_op ops[2] = {{.code = SG_OP_STEP_RUN, .id = SG_STR("a")}, {.code = SG_OP_STEP_RUN, .id = SG_STR("b")}};
    answer.ops = ops;
    answer.op_count = 2;
    struct sg_buf bytes = {0};
    sg_answer_encode(&answer, &bytes);
    bytes.len -= 5;
    writes[0].record.values[SG_ANSWER_JOB_ID] = sg_value_int(job_id);
    writes[0].record.values[SG_ANSWER_RUN_ID] = sg_value_id(&f->last_run);
    writes[0].record.values[SG_ANSWER_BYTES] = sg_value_bytes(sg_buf_str(&bytes));
    writes[1].record.values[SG_CURSOR_ID] = sg_value_int(5);
    writes[1].record.values[SG_CURSOR_KIND] = sg_value_int(SG_CURSOR_ANSWER);
    writes[1].record.values[SG_CURSOR_SUBJECT] = sg_value_int(job_id);
    writes[1].record.values[SG_CURSOR_RUN_ID] = sg_value_id(&f->last_run);
    writes[1].record.values[SG_CURSOR_NEXT] = sg_value_int(0);
    struct sg_error error = {0};
    ASSERT_INT(sg_store_commit(f->store, writes, 2, &error), SG_OK);
    sg_buf_free(&bytes);

    f->is_unequal = true;
    crash(f);

    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    ASSERT_TEXT(calls(f), "step@0 step@0");
    ASSERT_TEXT(stack(f), "");
    fixture_free(f);
}

Test(engine_loads, an_answer_survives_its_encoding)
{
    struct sg_op ops[1] = {{.code = SG_OP_SLEEP,
                            .is_race = true,
                            .id = SG_STR("z"),
                            .name = SG_STR("1h"),
                            .display_name = SG_STR("nap"),
                            .data = SG_STR("null"),
                            .opts = SG_STR("{}"),
                            .duration = SG_STR("1h"),
                            .started_at_ns = 5,
                            .duration_ns = 7}};
    struct sg_answer answer = {
        .kind = SG_ANSWER_OPS, .is_no_retry = true, .request_version = 2, .retry_after_ms = 9, .ops = ops, .op_count = 1};
    struct sg_buf bytes = {0};
    struct sg_arena arena;
    struct sg_answer read;
    sg_arena_init(&arena);
    sg_answer_encode(&answer, &bytes);

    ASSERT_INT(sg_answer_decode_bytes(sg_buf_str(&bytes), &arena, &read), SG_OK);
    struct sg_buf again = {0};
    sg_answer_encode(&read, &again);
    cr_assert(sg_str_eq(sg_buf_str(&bytes), sg_buf_str(&again)));
    for (size_t len = 0; len < bytes.len; len++)
        cr_assert(sg_answer_decode_bytes((struct sg_str){bytes.ptr, len}, &arena, &read) == SG_STORE_CORRUPT);
    sg_buf_free(&again);
    sg_buf_free(&bytes);
    sg_arena_free(&arena);
}

static enum sg_status hand_over(void *context, const struct sg_record *record)
{
    struct sg_error error = {0};
    return sg_engine_restore(context, record, &error);
}

/* Running out of memory while restoring must never look like a record that makes no sense. */
Test(engine_loads, start_up_without_memory_loses_nothing)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'1h'}]");
    static const enum sg_kind kinds[] = SG_ENGINE_RESTORED_KINDS;
    bool is_whole = false;
    for (uint64_t nth = 1; nth < 2000 && !is_whole; nth++) {
        struct sg_engine *engine = NULL;
        struct sg_error error = {0};
        struct sg_batch *batch = sg_batch_create(1);
        cr_assert(batch != NULL);
        sg_alloc_fail_at(nth, false);
        enum sg_status status = sg_engine_create(&f->options, &engine, &error);
        for (size_t index = 0; index < sizeof(kinds) / sizeof(kinds[0]) && status == SG_OK; index++) {
            status = sg_store_scan(f->store, kinds[index], hand_over, engine, &error);
        }
        if (status == SG_OK)
            status = sg_engine_restored(engine, f->now_ms, 100, 100, batch, &error);
        bool has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        cr_assert(has_failed ? status == SG_NO_MEMORY : status == SG_OK, "allocation %d: %s", (int)nth, sg_status_code(status));
        is_whole = !has_failed;
        sg_batch_free(batch);
        sg_engine_free(engine);
    }
    cr_assert(is_whole);
    fixture_free(f);
}
