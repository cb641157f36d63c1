/*
 * Runs: one execution of one function for one event (or a batch of them).
 *
 * The model. A run lives in three records: run_live (what decides, deleted at the end), run (history from the start), and its jobs. It always has
 * something that will move it: a job, a call in flight, a cursor. In memory it is parked (this struct only) unless its steps are needed;
 * then they are loaded, and while the load is outstanding its messages wait in its queue.
 *
 * The end is claimed by whoever comes first; the run leaves the index in the same turn, so a late answer finds nothing and is dropped
 * (reference/02 §13.2). Its final state, its lifecycle events and the removal of its jobs are one commit.
 */
#include "engine/run.h"

#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "engine/cursor.h"
#include "engine/endpoint.h"
#include "engine/event.h"
#include "engine/invoke.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/step.h"
#include "engine/timeout.h"
#include "engine/wait.h"

/* Jobs and pauses that one turn deletes when a run ends; more are left to a cursor. */
#define JOBS_CLEARED_PER_TURN 400

static void row_write(struct sg_turn *turn, const struct sg_run *run, const struct sg_run_end *end);
static void live_write(struct sg_turn *turn, const struct sg_run *run);

const int64_t *sg_run_positions(const struct sg_run *run)
{
    return run->event_count == 1 ? &run->events.position : run->events.positions;
}

static bool positions_set(struct sg_run *run, const int64_t *positions, size_t count)
{
    assert(count >= 1);
    run->event_count = (uint16_t)count;
    if (count == 1) {
        run->events.position = positions[0];
        return true;
    }
    run->events.positions = sg_malloc(count * sizeof(int64_t));
    if (run->events.positions == NULL)
        return false;
    memcpy(run->events.positions, positions, count * sizeof(int64_t));
    return true;
}

static void positions_free(struct sg_run *run)
{
    if (run->event_count > 1)
        sg_free(run->events.positions);
}

bool sg_run_link(struct sg_engine *engine, struct sg_run *run)
{
    if (sg_map_add(&engine->runs, run) != SG_OK)
        return false;
    run->function->run_count++;
    return true;
}

struct sg_run *sg_run_begin(struct sg_turn *turn, const struct sg_run_spec *spec)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = sg_pool_take(&engine->run_pool);
    if (run == NULL || !positions_set(run, spec->positions, spec->event_count)) {
        if (run != NULL)
            sg_pool_give(&engine->run_pool, run);
        turn->is_failed = true;
        return NULL;
    }
    run->magic = SG_RUN_MAGIC;
    run->id = spec->is_http ? spec->run_id : sg_turn_ulid(turn);
    run->function = spec->function;
    run->function_version = (int32_t)spec->function->version;
    run->event_id = spec->event_id;
    run->created_at_ms = turn->now_ms;
    run->request_version = spec->is_http ? (int8_t)spec->request_version : -1;
    run->status = SG_RUN_SCHEDULED;
    if (spec->is_http) {
        run->flags |= SG_RUN_IS_HTTP;
        run->status = SG_RUN_RUNNING;
        run->started_at_ms = turn->now_ms;
    }
    run->state_bytes = (uint32_t)spec->event_bytes;
    if (sg_event_is_final(spec->event_name))
        run->flags |= SG_RUN_IS_SILENT;
    if (!sg_run_link(engine, run)) {
        positions_free(run);
        sg_pool_give(&engine->run_pool, run);
        turn->is_failed = true;
        return NULL;
    }
    if (spec->invoker.len > 0 && !sg_invoke_remember(engine, run, spec->invoker))
        turn->is_failed = true;
    if (sg_hot_create(engine, run))
        run->hot->is_loaded = true; /* no steps yet: nothing to load */
    else
        turn->is_failed = true;
    sg_run_touch_live(run);
    sg_run_touch_row(run);
    struct sg_job_spec first = {.kind = SG_JOB_CALL, .flags = SG_JOB_IS_START, .due_at_ms = spec->start_at_ms};
    if (spec->is_http)
        first = (struct sg_job_spec){.kind = SG_JOB_WATCHDOG, .due_at_ms = spec->start_at_ms};
    sg_job_add(turn, run, &first);
    if (spec->body.len > 0)
        sg_wait_cancel_on(turn, run, spec->body);
    return run;
}

struct sg_id sg_run_create(struct sg_turn *turn, const struct sg_run_spec *spec)
{
    struct sg_run *run = sg_run_begin(turn, spec);
    if (run == NULL)
        return (struct sg_id){{0}};
    struct sg_id id = run->id;
    sg_run_flush(turn, run);
    return id;
}

void sg_run_touch_live(struct sg_run *run)
{
    run->is_live_dirty = true;
}

void sg_run_touch_row(struct sg_run *run)
{
    run->is_row_dirty = true;
}

void sg_run_flush(struct sg_turn *turn, struct sg_run *run)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    if (!sg_job_flush(turn, run))
        return;
    if (run->is_row_dirty) {
        sg_timeout_arm(turn, run);
        if (!sg_job_flush(turn, run))
            return;
    }
    sg_step_flush(turn, run);
    if (run->is_live_dirty)
        live_write(turn, run);
    if (run->is_row_dirty)
        row_write(turn, run, NULL);
    run->is_live_dirty = false;
    run->is_row_dirty = false;
    bool is_reported = sg_endpoint_watchdog(run) != NULL && turn->engine->hydrated <= SG_LIMIT_HYDRATED_ENDPOINTS;
    bool may_park = turn->engine->options.is_fully_parked || (run->calls == 0 && !is_reported);
    if (may_park && run->hold == SG_HOLD_NONE && run->hot != NULL && run->hot->queue_first == NULL && run->hot->asked == 0 &&
        !run->is_releasing)
        sg_hot_free(turn->engine, run);
}

static struct sg_value events_value(struct sg_turn *turn, const struct sg_run *run)
{
    uint8_t *bytes = sg_turn_alloc(turn, run->event_count * 8u);
    if (bytes == NULL)
        return sg_value_null();
    const int64_t *positions = sg_run_positions(run);
    for (size_t index = 0; index < run->event_count; index++)
        for (int byte = 0; byte < 8; byte++)
            bytes[index * 8 + (size_t)byte] = (uint8_t)((uint64_t)positions[index] >> (56 - 8 * byte));
    return sg_value_bytes((struct sg_str){(const char *)bytes, run->event_count * 8u});
}

static void live_write(struct sg_turn *turn, const struct sg_run *run)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_RUN_LIVE);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_RUN_LIVE_ID] = sg_turn_id(turn, run->id);
    values[SG_RUN_LIVE_FUNCTION_ID] = sg_value_id(&run->function->id);
    values[SG_RUN_LIVE_EVENTS] = events_value(turn, run);
    values[SG_RUN_LIVE_CREATED_AT] = sg_value_int(run->created_at_ms);
    values[SG_RUN_LIVE_STARTED_AT] = sg_value_int(run->started_at_ms);
    values[SG_RUN_LIVE_NEXT_SEQ] = sg_value_int(run->next_seq);
    values[SG_RUN_LIVE_STATE_BYTES] = sg_value_int(run->state_bytes);
    values[SG_RUN_LIVE_REQUEST_VERSION] = sg_value_int(run->request_version);
    values[SG_RUN_LIVE_FLAGS] = sg_value_int(run->flags);
    values[SG_RUN_LIVE_PENDING] = sg_value_int(run->pending_count);
    values[SG_RUN_LIVE_GROUP] = sg_value_int(run->group_ordinal);
    values[SG_RUN_LIVE_EVENT_ID] = sg_turn_id(turn, run->event_id);
    values[SG_RUN_LIVE_FUNCTION_VERSION] = sg_value_int(run->function_version);
    struct sg_str invoker = sg_invoke_of(turn->engine, run);
    if (invoker.len > 0)
        values[SG_RUN_LIVE_INVOKER] = sg_value_bytes(sg_turn_copy(turn, invoker));
}

void sg_run_delete_live(struct sg_turn *turn, const struct sg_run *run)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, SG_KIND_RUN_LIVE);
    if (record != NULL)
        record->values[SG_RUN_LIVE_ID] = sg_turn_id(turn, run->id);
}

static void row_write(struct sg_turn *turn, const struct sg_run *run, const struct sg_run_end *end)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_RUN);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_RUN_ID] = sg_turn_id(turn, run->id);
    values[SG_RUN_FUNCTION_ID] = sg_value_id(&run->function->id);
    values[SG_RUN_FUNCTION_VERSION] = sg_value_int(run->function_version);
    values[SG_RUN_EVENT_ID] = sg_turn_id(turn, run->event_id);
    values[SG_RUN_EVENTS] = events_value(turn, run);
    values[SG_RUN_STATUS] = sg_value_int(end != NULL ? end->status : run->status);
    values[SG_RUN_CREATED_AT] = sg_value_int(run->created_at_ms);
    if (run->started_at_ms > 0)
        values[SG_RUN_STARTED_AT] = sg_value_int(run->started_at_ms);
    if (end == NULL)
        return;
    values[SG_RUN_ENDED_AT] = sg_value_int(turn->now_ms);
    if (end->output.len > 0)
        values[SG_RUN_OUTPUT] = sg_value_bytes(end->output);
    if (end->error.len > 0)
        values[SG_RUN_ERROR] = sg_value_bytes(end->error);
    if (end->reason.len > 0)
        values[SG_RUN_REASON] = sg_value_bytes(end->reason);
}

/* The run needs its steps no more, and what was set aside will not be handled: it goes to the batch (or is freed without one). */
static void cool(struct sg_engine *engine, struct sg_run *run, struct sg_batch *batch)
{
    if (run->hot == NULL)
        return;
    struct sg_message *message = run->hot->queue_first;
    run->hot->dirty_steps = NULL;
    run->hot->asked = 0;
    sg_hot_free(engine, run);
    while (message != NULL) {
        struct sg_message *next = message->next;
        if (batch != NULL)
            sg_cursor_message_orphaned(engine, batch, message);
        else
            sg_message_free(message);
        message = next;
    }
}

void sg_run_end(struct sg_turn *turn, struct sg_run *run, const struct sg_run_end *end)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    struct sg_engine *engine = turn->engine;
    assert((run->flags & SG_RUN_IS_ENDED) == 0); /* invariant 3: a run ends exactly once */
    assert(end->status == SG_RUN_COMPLETED || end->status == SG_RUN_FAILED || end->status == SG_RUN_CANCELLED);

    sg_step_flush(turn, run);
    row_write(turn, run, end);
    if ((run->flags & SG_RUN_IS_SILENT) == 0) {
        int64_t finished = sg_event_lifecycle(turn, run, end->status);
        sg_invoke_ended(turn, run, finished);
    }

    size_t job_count = 0;
    for (struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
        job_count++;
    for (struct sg_pause *pause = run->pauses; pause != NULL; pause = pause->next)
        job_count++;
    if (job_count <= JOBS_CLEARED_PER_TURN) {
        while (run->pauses != NULL)
            sg_pause_remove(turn, run->pauses);
        while (run->jobs_last != NULL)
            sg_job_remove(turn, sg_job_first(run));
        sg_run_delete_live(turn, run);
        sg_run_forget(engine, run, turn->batch);
        return;
    }
    run->flags |= SG_RUN_IS_ENDED;
    run->hold = SG_HOLD_NONE; /* whatever it waited for comes too late */
    live_write(turn, run);
    run->is_live_dirty = false;
    run->is_row_dirty = false;
    for (struct sg_pause *pause = run->pauses; pause != NULL; pause = pause->next)
        sg_pause_silence(engine, pause);
    for (struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job)) {
        if (job->is_new)
            sg_job_write(turn, job); /* of this turn: it is cleared with the others */
        job->is_new = false;
        sg_job_silence(engine, job);
    }
    cool(engine, run, turn->batch);
    sg_cursor_clear_add(turn, run);
}

void sg_run_cancel(struct sg_turn *turn, struct sg_run *run, struct sg_str reason)
{
    sg_cursor_answer_drop(turn, run);
    sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_CANCELLED, .reason = reason});
}

void sg_run_fail_stored(struct sg_turn *turn, struct sg_run *run, enum sg_status status, const char *message)
{
    sg_cursor_answer_drop(turn, run);
    sg_run_fail(turn, run, "StorageError", sg_status_text(status), message);
}

void sg_run_fail(struct sg_turn *turn, struct sg_run *run, const char *name, const char *error, const char *message)
{
    sg_run_fail_with(turn, run,
                     &(struct sg_run_error){.name = sg_str_from(name), .error = sg_str_from(error), .message = sg_str_from(message)});
}

void sg_run_fail_with(struct sg_turn *turn, struct sg_run *run, const struct sg_run_error *error)
{
    struct sg_buf buf;
    sg_buf_init(&buf);
    sg_buf_append(&buf, SG_STR("{\"error\":"));
    sg_json_quote(&buf, error->error);
    sg_buf_append(&buf, SG_STR(",\"message\":"));
    sg_json_quote(&buf, error->message);
    sg_buf_append(&buf, SG_STR(",\"name\":"));
    sg_json_quote(&buf, error->name);
    if (error->stack.len > 0) {
        sg_buf_append(&buf, SG_STR(",\"stack\":"));
        sg_json_quote(&buf, error->stack);
    }
    sg_buf_append(&buf, SG_STR("}"));
    if (buf.is_failed) {
        turn->is_failed = true;
        sg_buf_free(&buf);
        return;
    }
    struct sg_str text = sg_turn_copy(turn, sg_buf_str(&buf));
    sg_buf_free(&buf);
    sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_FAILED, .error = text});
}

bool sg_run_hydrate(struct sg_turn *turn, struct sg_run *run)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    if (sg_run_is_hydrated(run))
        return true;
    if (run->hold == SG_HOLD_LOADING)
        return false;
    assert(run->hold == SG_HOLD_NONE);
    if (!sg_hot_create(turn->engine, run)) {
        turn->is_failed = true;
        return false;
    }
    run->hold = SG_HOLD_LOADING;
    struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_LOAD_RUN);
    if (effect != NULL)
        effect->run_id = run->id;
    return false;
}

bool sg_run_set_aside(struct sg_run *run, struct sg_message *message)
{
    if (run->hold == SG_HOLD_NONE)
        return false; /* memory ran out before it could be held: the turn will say so */
    message->next = NULL;
    struct sg_hot *hot = run->hot;
    if (hot->queue_last != NULL)
        hot->queue_last->next = message;
    else
        hot->queue_first = message;
    hot->queue_last = message;
    return true;
}

bool sg_run_set_aside_first(struct sg_run *run, struct sg_message *message)
{
    if (run->hold == SG_HOLD_NONE)
        return false;
    struct sg_hot *hot = run->hot;
    message->next = hot->queue_first;
    hot->queue_first = message;
    if (hot->queue_last == NULL)
        hot->queue_last = message;
    return true;
}

void sg_run_ask_trigger(struct sg_turn *turn, struct sg_run *run)
{
    assert(sg_run_is_hydrated(run) && run->hold == SG_HOLD_NONE && run->hot->trigger == NULL);
    struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_LOAD_EVENT);
    if (effect == NULL)
        return;
    effect->position = sg_run_positions(run)[0];
    effect->run_id = run->id;
    run->hold = SG_HOLD_TRIGGER;
}

/* The positions in a record's blob; false if memory ran out. */
static bool positions_read(struct sg_run *run, struct sg_str blob)
{
    int64_t *positions = sg_malloc(blob.len);
    if (positions == NULL)
        return false;
    for (size_t index = 0; index < blob.len / 8; index++) {
        uint64_t position = 0;
        for (size_t byte = 0; byte < 8; byte++)
            position = position << 8 | (uint8_t)blob.ptr[index * 8 + byte];
        positions[index] = (int64_t)position;
    }
    bool is_set = positions_set(run, positions, blob.len / 8);
    sg_free(positions);
    return is_set;
}

enum sg_status sg_run_restore(struct sg_engine *engine, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    struct sg_function *function = sg_map_get_id(&engine->functions, sg_value_get_id(&values[SG_RUN_LIVE_FUNCTION_ID]));
    struct sg_str blob = values[SG_RUN_LIVE_EVENTS].bytes;
    if (function == NULL || blob.len == 0 || blob.len % 8 != 0)
        return SG_NOT_FOUND;
    struct sg_run *run = sg_pool_take(&engine->run_pool);
    if (run == NULL || !positions_read(run, blob)) {
        if (run != NULL)
            sg_pool_give(&engine->run_pool, run);
        return SG_NO_MEMORY;
    }
    for (uint32_t index = 0; index < run->event_count; index++)
        sg_engine_position_seen(engine, sg_run_positions(run)[index]);
    run->magic = SG_RUN_MAGIC;
    run->id = sg_value_get_id(&values[SG_RUN_LIVE_ID]);
    run->function = function;
    run->function_version = (int32_t)values[SG_RUN_LIVE_FUNCTION_VERSION].number;
    run->event_id = sg_value_get_id(&values[SG_RUN_LIVE_EVENT_ID]);
    run->created_at_ms = values[SG_RUN_LIVE_CREATED_AT].number;
    run->started_at_ms = values[SG_RUN_LIVE_STARTED_AT].number;
    run->next_seq = (uint16_t)values[SG_RUN_LIVE_NEXT_SEQ].number;
    run->state_bytes = (uint32_t)values[SG_RUN_LIVE_STATE_BYTES].number;
    run->request_version = (int8_t)values[SG_RUN_LIVE_REQUEST_VERSION].number;
    run->flags = (uint8_t)values[SG_RUN_LIVE_FLAGS].number;
    run->pending_count = (uint16_t)values[SG_RUN_LIVE_PENDING].number;
    run->group_ordinal = (uint16_t)values[SG_RUN_LIVE_GROUP].number;
    run->status = run->started_at_ms > 0 ? SG_RUN_RUNNING : SG_RUN_SCHEDULED;
    if (!sg_run_link(engine, run)) {
        positions_free(run);
        sg_pool_give(&engine->run_pool, run);
        return SG_NO_MEMORY;
    }
    run->flags &= (uint8_t)~SG_RUN_IS_INVOKED;
    struct sg_str invoker = values[SG_RUN_LIVE_INVOKER].bytes;
    if (invoker.len > 0 && !sg_invoke_remember(engine, run, invoker))
        return SG_NO_MEMORY;
    return SG_OK;
}

void sg_run_forget(struct sg_engine *engine, struct sg_run *run, struct sg_batch *batch)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    sg_map_remove_id(&engine->runs, run->id);
    sg_invoke_forget(engine, run);
    run->function->run_count--;
    while (run->pauses != NULL)
        sg_pause_forget(engine, run->pauses);
    while (run->jobs_last != NULL)
        sg_job_forget(engine, sg_job_first(run));
    assert(run->calls == 0);
    cool(engine, run, batch);
    positions_free(run);
    run->magic = 0;
    sg_pool_give(&engine->run_pool, run);
}
