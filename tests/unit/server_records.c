/* See server_records.h. */
#include "server_records.h"

#include <string.h>

static const struct sg_id app_id = {{1, 1, 1, 1}};
static const struct sg_id function_id = {{2, 2, 2, 2}};

static struct sg_id ulid(const char *text)
{
    struct sg_id id;

    cr_assert(sg_ulid_parse(sg_str_from(text), &id), "%s is no ULID", text);
    return id;
}

/* A record with every column null. */
static struct sg_record blank(enum sg_kind kind)
{
    struct sg_record record = {.kind = kind};

    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        record.values[i] = sg_value_null();
    return record;
}

static struct sg_value text(const char *terminated)
{
    return terminated != NULL ? sg_value_bytes(sg_str_from(terminated)) : sg_value_null();
}

void put_app(struct fixture *fixture)
{
    struct sg_record app = blank(SG_KIND_APP);
    app.values[SG_APP_ID] = sg_value_id(&app_id);
    app.values[SG_APP_NAME] = text("shop");
    app.values[SG_APP_URL] = text("http://localhost:3000/api/inngest");
    app.values[SG_APP_SDK] = text("js:v4.24.0");
    app.values[SG_APP_FRAMEWORK] = text("express");
    app.values[SG_APP_SYNCED_AT] = sg_value_int(1767323045000);
    app.values[SG_APP_IS_ARCHIVED] = sg_value_int(0);
    app.values[SG_APP_SYNC_KIND] = text("out_of_band");
    fixture_put(fixture, &app);

    for (int version = 1; version <= 2; version++) {
        struct sg_record function = blank(SG_KIND_FUNCTION);
        function.values[SG_FUNCTION_ID] = sg_value_id(&function_id);
        function.values[SG_FUNCTION_VERSION] = sg_value_int(version);
        function.values[SG_FUNCTION_APP_ID] = sg_value_id(&app_id);
        function.values[SG_FUNCTION_SLUG] = text("shop-handle");
        function.values[SG_FUNCTION_NAME] = text(version == 1 ? "Old name" : "Handle <order>");
        function.values[SG_FUNCTION_CONFIG] =
            text("{\"id\":\"shop-handle\",\"name\":\"Handle "
                 "<order>\",\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"retries\":{\"attempts\":3},"
                 "\"runtime\":{\"type\":\"http\",\"url\":\"http://localhost:3000/api/inngest?fnId=shop-handle&stepId=step\"}}},"
                 "\"triggers\":[{\"event\":\"shop/order.placed\"}]}");
        function.values[SG_FUNCTION_REGISTERED_AT] = sg_value_int(1767323045000);
        function.values[SG_FUNCTION_POSITION] = sg_value_int(0);
        function.values[SG_FUNCTION_IS_ARCHIVED] = sg_value_int(0);
        fixture_put(fixture, &function);
    }
}

void put_event(struct fixture *fixture, int64_t position, const char *id, const char *name, const char *body, int64_t received_at_ms)
{
    struct sg_id internal_id = ulid(id);
    struct sg_id run_id = ulid(RUN_ID);
    struct sg_record event = blank(SG_KIND_EVENT);

    event.values[SG_EVENT_POSITION] = sg_value_int(position);
    event.values[SG_EVENT_INTERNAL_ID] = sg_value_id(&internal_id);
    event.values[SG_EVENT_NAME] = text(name);
    event.values[SG_EVENT_RECEIVED_AT] = sg_value_int(received_at_ms);
    event.values[SG_EVENT_TS] = sg_value_int(received_at_ms);
    event.values[SG_EVENT_BODY] = text(body);
    if (body == NULL)
        event.values[SG_EVENT_RUN_ID] = sg_value_id(&run_id);
    fixture_put(fixture, &event);
}

static const uint8_t position_one[8] = {0, 0, 0, 0, 0, 0, 0, 1};

void put_run(struct fixture *fixture, const char *id, enum sg_run_status status, const char *output, const char *error)
{
    struct sg_id run_id = ulid(id);
    struct sg_id event_id = ulid(EVENT_ID);
    struct sg_record run = blank(SG_KIND_RUN);

    run.values[SG_RUN_ID] = sg_value_id(&run_id);
    run.values[SG_RUN_FUNCTION_ID] = sg_value_id(&function_id);
    run.values[SG_RUN_FUNCTION_VERSION] = sg_value_int(2);
    run.values[SG_RUN_EVENT_ID] = sg_value_id(&event_id);
    run.values[SG_RUN_EVENTS] = sg_value_bytes((struct sg_str){(const char *)position_one, 8});
    run.values[SG_RUN_STATUS] = sg_value_int(status);
    run.values[SG_RUN_CREATED_AT] = sg_value_int(1767323045000);
    run.values[SG_RUN_STARTED_AT] = sg_value_int(1767323045600);
    if (status != SG_RUN_RUNNING)
        run.values[SG_RUN_ENDED_AT] = sg_value_int(1767323046100);
    run.values[SG_RUN_OUTPUT] = text(output);
    run.values[SG_RUN_ERROR] = text(error);
    fixture_put(fixture, &run);
}

void put_live(struct fixture *fixture, const char *id)
{
    struct sg_id run_id = ulid(id);
    struct sg_record live = blank(SG_KIND_RUN_LIVE);

    live.values[SG_RUN_LIVE_ID] = sg_value_id(&run_id);
    live.values[SG_RUN_LIVE_FUNCTION_ID] = sg_value_id(&function_id);
    live.values[SG_RUN_LIVE_EVENTS] = sg_value_bytes((struct sg_str){(const char *)position_one, 8});
    fixture_put(fixture, &live);
}

void put_step(struct fixture *fixture, const char *run_id, const char *id, const char *name, enum sg_step_status status,
              int64_t started_at_ms)
{
    struct sg_id run = ulid(run_id);
    struct sg_record step = blank(SG_KIND_STEP);

    step.values[SG_STEP_RUN_ID] = sg_value_id(&run);
    step.values[SG_STEP_ID] = text(id);
    step.values[SG_STEP_OP] = sg_value_int(SG_OP_STEP_RUN);
    step.values[SG_STEP_NAME] = text(name);
    step.values[SG_STEP_STATUS] = sg_value_int(status);
    step.values[SG_STEP_FLAGS] = sg_value_int(0);
    step.values[SG_STEP_ATTEMPTS] = sg_value_int(status == SG_STEP_ERRORED ? 1 : 0);
    step.values[SG_STEP_STARTED_AT] = sg_value_int(started_at_ms);
    if (status == SG_STEP_ERRORED)
        step.values[SG_STEP_ERROR] = text("{\"message\":\"boom\",\"name\":\"Error\"}");
    fixture_put(fixture, &step);
}

void put_pause(struct fixture *fixture, const char *run_id, const char *step_id, const char *expression)
{
    struct sg_id run = ulid(run_id);
    struct sg_record pause = blank(SG_KIND_PAUSE);

    pause.values[SG_PAUSE_RUN_ID] = sg_value_id(&run);
    pause.values[SG_PAUSE_STEP_ID] = text(step_id);
    pause.values[SG_PAUSE_KIND] = sg_value_int(SG_PAUSE_EVENT);
    pause.values[SG_PAUSE_EXPRESSION] = text(expression);
    fixture_put(fixture, &pause);
}

void put_memo(struct fixture *fixture, const char *run_id, const char *id, int64_t seq, const char *bytes)
{
    struct sg_id run = ulid(run_id);
    struct sg_record memo = blank(SG_KIND_MEMO);

    memo.values[SG_MEMO_RUN_ID] = sg_value_id(&run);
    memo.values[SG_MEMO_STEP_ID] = text(id);
    memo.values[SG_MEMO_SEQ] = sg_value_int(seq);
    memo.values[SG_MEMO_BYTES] = text(bytes);
    fixture_put(fixture, &memo);
}

void put_job(struct fixture *fixture, int64_t id, const char *run_id, enum sg_job_kind kind)
{
    struct sg_id run = ulid(run_id);
    struct sg_record job = blank(SG_KIND_JOB);

    job.values[SG_JOB_ID] = sg_value_int(id);
    job.values[SG_JOB_KIND] = sg_value_int(kind);
    job.values[SG_JOB_RUN_ID] = sg_value_id(&run);
    job.values[SG_JOB_DUE_AT] = sg_value_int(1767323045000);
    job.values[SG_JOB_ATTEMPT] = sg_value_int(0);
    fixture_put(fixture, &job);
}

void put_cancellation(struct fixture *fixture, const char *id, const char *expression, bool is_dry_run, bool has_ended, const char *error)
{
    struct sg_id cancellation_id = ulid(id);
    struct sg_id reached = ulid(RUN_ID);
    struct sg_record record = blank(SG_KIND_CANCELLATION);
    struct sg_value *values = record.values;

    values[SG_CANCELLATION_ID] = sg_value_id(&cancellation_id);
    values[SG_CANCELLATION_FUNCTION_ID] = sg_value_id(&function_id);
    values[SG_CANCELLATION_CREATED_AT] = sg_value_int(1767323045000);
    if (is_dry_run)
        values[SG_CANCELLATION_STARTED_AFTER] = sg_value_int(1767323000000);
    values[SG_CANCELLATION_STARTED_BEFORE] = sg_value_int(1767323045000);
    values[SG_CANCELLATION_EXPRESSION] = text(expression);
    values[SG_CANCELLATION_IS_DRY_RUN] = sg_value_int(is_dry_run);
    values[SG_CANCELLATION_REACHED] = sg_value_id(&reached);
    values[SG_CANCELLATION_TOTAL] = sg_value_int(100);
    values[SG_CANCELLATION_EXAMINED] = sg_value_int(40);
    values[SG_CANCELLATION_MATCHED] = sg_value_int(30);
    if (has_ended)
        values[SG_CANCELLATION_ENDED_AT] = sg_value_int(1767323046000);
    values[SG_CANCELLATION_ERROR] = text(error);
    fixture_put(fixture, &record);
}

void put_cancelled(struct fixture *fixture, const char *id, const char *reason)
{
    struct sg_id run_id = ulid(id);
    struct sg_id event_id = ulid(EVENT_ID);
    struct sg_record run = blank(SG_KIND_RUN);

    run.values[SG_RUN_ID] = sg_value_id(&run_id);
    run.values[SG_RUN_FUNCTION_ID] = sg_value_id(&function_id);
    run.values[SG_RUN_FUNCTION_VERSION] = sg_value_int(2);
    run.values[SG_RUN_EVENT_ID] = sg_value_id(&event_id);
    run.values[SG_RUN_EVENTS] = sg_value_bytes((struct sg_str){(const char *)position_one, 8});
    run.values[SG_RUN_STATUS] = sg_value_int(SG_RUN_CANCELLED);
    run.values[SG_RUN_CREATED_AT] = sg_value_int(1767323045000);
    run.values[SG_RUN_ENDED_AT] = sg_value_int(1767323046100);
    run.values[SG_RUN_REASON] = text(reason);
    fixture_put(fixture, &run);
}

void put_attempt(struct fixture *fixture, const char *run_id, int64_t call, int number, const char *error)
{
    struct sg_id run = ulid(run_id);
    struct sg_record attempt = blank(SG_KIND_ATTEMPT);

    attempt.values[SG_ATTEMPT_RUN_ID] = sg_value_id(&run);
    attempt.values[SG_ATTEMPT_CALL] = sg_value_int(call);
    attempt.values[SG_ATTEMPT_NUMBER] = sg_value_int(number);
    attempt.values[SG_ATTEMPT_STARTED_AT] = sg_value_int(1767323045000);
    attempt.values[SG_ATTEMPT_ENDED_AT] = sg_value_int(1767323045010);
    attempt.values[SG_ATTEMPT_HTTP_STATUS] = sg_value_int(error != NULL ? 500 : 206);
    attempt.values[SG_ATTEMPT_OPS] = sg_value_int(error != NULL ? 0 : 1);
    attempt.values[SG_ATTEMPT_ERROR] = text(error);
    fixture_put(fixture, &attempt);
}
