/*
 * The engine's door: create, restore, handle, advance.
 *
 * The model. One message at a time goes through sg_engine_handle to the file that knows its kind; due jobs and cursors go through
 * sg_engine_advance. Both run a *turn* (turn.h) that appends to the caller's batch. Nothing happens by itself: no clock, no thread, no I/O.
 *
 * Start-up feeds the live records back in and is all there is to recovery: what a crashed process had in memory can be built again from them, and
 * the simulator checks that it is equal (sg_engine_dump).
 *
 * To add a kind of message, add its case to `dispatch`.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/answer.h"
#include "engine/app.h"
#include "engine/cancellation.h"
#include "engine/cursor.h"
#include "engine/endpoint.h"
#include "engine/event.h"
#include "engine/explain.h"
#include "engine/fetch.h"
#include "engine/gate.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/step.h"
#include "engine/topic.h"
#include "engine/wait.h"

/* Jobs that one turn starts when a hold ends: each may write a memo, a step and a job. */
#define JOBS_PER_RELEASE 100

enum sg_status sg_engine_create(const struct sg_engine_options *options, struct sg_engine **engine, struct sg_error *error)
{
    struct sg_engine *made = sg_calloc(1, sizeof(*made));
    if (made == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while creating the engine");
    made->magic = SG_ENGINE_MAGIC;
    made->options = *options;
    if (made->options.steps_per_run_max <= 0)
        made->options.steps_per_run_max = SG_LIMIT_STEPS_PER_RUN;
    if (made->options.endpoint_idle_ms <= 0)
        made->options.endpoint_idle_ms = SG_DEFAULT_ENDPOINT_IDLE_MS;
    if (made->options.steps_per_run_max > SG_LIMIT_STEPS_PER_RUN_MAX)
        made->options.steps_per_run_max = SG_LIMIT_STEPS_PER_RUN_MAX;
    if (made->options.calls_per_app_max <= 0)
        made->options.calls_per_app_max = SG_LIMIT_CALLS_PER_APP;
    sg_rng_init(&made->rng, options->seed);
    made->next_position = 1;
    made->next_job_id = 1;
    made->next_cursor_id = 1;
    sg_map_init_ids(&made->apps, offsetof(struct sg_app, id));
    sg_map_init_ids(&made->functions, offsetof(struct sg_function, id));
    sg_map_init_strs(&made->listeners, offsetof(struct sg_listener, pattern));
    sg_map_init_ids(&made->runs, offsetof(struct sg_run, id));
    sg_map_init_ids(&made->recent_keys, offsetof(struct sg_recent_key, mix));
    sg_map_init_strs(&made->slugs, offsetof(struct sg_function, slug));
    sg_map_init_ids(&made->invocations, offsetof(struct sg_invocation, run_id));
    sg_map_init_strs(&made->invokers, offsetof(struct sg_invocation, invoker));
    sg_map_init_strs(&made->topics, offsetof(struct sg_topic, name));
    sg_map_init_strs(&made->signals, offsetof(struct sg_signal, name));
    sg_heap_init(&made->due);
    sg_fetch_tables_init(made);
    sg_list_init(&made->movable);
    sg_list_init(&made->cursors);
    sg_list_init(&made->active);
    sg_list_init(&made->cancellations);
    sg_list_init(&made->cancelling);
    sg_pool_init(&made->run_pool, sizeof(struct sg_run));
    sg_pool_init(&made->pause_pool, sizeof(struct sg_pause));
    sg_job_pools_init(made);
    sg_arena_init(&made->scratch);
    *engine = made;
    return SG_OK;
}

void sg_engine_free(struct sg_engine *engine)
{
    if (engine == NULL)
        return;
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    sg_cursor_free_all(engine);
    sg_cancellation_free_all(engine);
    size_t cursor = 0;
    struct sg_run *run;
    while ((run = sg_map_next(&engine->runs, &cursor)) != NULL) {
        sg_run_forget(engine, run, NULL);
        cursor = 0; /* the map has changed under the walk */
    }
    sg_map_free(&engine->runs);
    cursor = 0;
    struct sg_topic *topic;
    while ((topic = sg_map_next(&engine->topics, &cursor)) != NULL) { /* those that answers in queues still held */
        topic->held = 0;
        sg_topic_settle(engine, topic);
        cursor = 0;
    }
    sg_map_free(&engine->topics);
    sg_map_free(&engine->invocations);
    sg_map_free(&engine->invokers);
    sg_map_free(&engine->signals);
    sg_fetch_tables_free(engine);
    sg_engine_forget_keys(engine, INT64_MAX);
    sg_map_free(&engine->recent_keys);
    sg_app_free_all(engine);
    sg_job_pools_free(engine);
    sg_pool_free(&engine->run_pool);
    sg_pool_free(&engine->pause_pool);
    sg_heap_free(&engine->due);
    sg_arena_free(&engine->scratch);
    sg_free(engine->restore.strays);
    engine->magic = 0;
    sg_free(engine);
}

/* ---- messages ---- */

/* A run's steps have come, or could not be read: then it is failed once, and holds up nobody (field report). */
static void run_loaded(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = sg_map_get_id(&engine->runs, message->as.loaded_run.run_id);
    if (run == NULL || run->hold != SG_HOLD_LOADING)
        return;
    run->hold = SG_HOLD_NONE;
    if (message->as.loaded_run.status != SG_OK) {
        engine->damaged++;
        sg_run_fail_stored(turn, run, message->as.loaded_run.status, "The run's steps could not be read from the store.");
        return;
    }
    run->hot->is_loaded = true;
    for (size_t index = 0; index < message->as.loaded_run.step_count; index++)
        if (!sg_hot_add(run, &message->as.loaded_run.steps[index])) {
            turn->is_failed = true;
            return;
        }
    if (sg_cursor_answer_resume(turn, run))
        return;
    sg_run_release(turn, run);
}

/* True if somebody keeps the message. */
static bool dispatch(struct sg_turn *turn, struct sg_message *message)
{
    switch (message->kind) {
    case SG_MESSAGE_EVENTS:
        sg_events_accept(turn, message);
        return false;
    case SG_MESSAGE_REGISTER:
        sg_app_register(turn, message);
        return false;
    case SG_MESSAGE_SYNC_FAILED:
        sg_app_sync_failed(turn, message);
        return false;
    case SG_MESSAGE_REMOVE_APP:
        sg_app_remove(turn, message);
        return false;
    case SG_MESSAGE_ANSWER:
        return sg_answer_handle(turn, message);
    case SG_MESSAGE_CHECKPOINT:
        return sg_checkpoint_handle(turn, message);
    case SG_MESSAGE_HTTP_RUN:
        return sg_endpoint_create(turn, message);
    case SG_MESSAGE_CANCEL:
        sg_cancel_handle(turn, message);
        return false;
    case SG_MESSAGE_CANCEL_RUNS:
        sg_cancellation_begin(turn, message);
        return false;
    case SG_MESSAGE_DROP_CANCELLATION:
        sg_cancellation_drop(turn, message);
        return false;
    case SG_MESSAGE_LOADED_RUNS:
        return sg_cancellation_loaded(turn, message);
    case SG_MESSAGE_LOADED_RUN:
        run_loaded(turn, message);
        return false;
    case SG_MESSAGE_LOADED_EVENT:
        if (!sg_id_is_null(message->as.loaded_event.run_id))
            return sg_pause_event_loaded(turn, message);
        return sg_cursor_event_loaded(turn, message);
    case SG_MESSAGE_SIGNAL:
        sg_signal_handle(turn, message);
        return false;
    case SG_MESSAGE_EXPLAIN:
        sg_explain_handle(turn, message);
        return false;
    case SG_MESSAGE_FETCHED:
        return sg_fetched_handle(turn, message);
    case SG_MESSAGE_KIND_COUNT:
        break;
    }
    assert(!"a message of unknown kind");
    return false;
}

static void message_dispatch(struct sg_turn *turn, struct sg_message *message)
{
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    int64_t outer_ns = turn->arrived_at_ns;
    turn->arrived_at_ns = message->arrived_at_ns;
    if (!dispatch(turn, message)) {
        if (message->kind == SG_MESSAGE_ANSWER)
            sg_answer_let_go(turn->engine, message);
        message->next = turn->batch->messages;
        turn->batch->messages = message;
    }
    turn->arrived_at_ns = outer_ns;
    sg_arena_reset(&turn->engine->scratch);
}

/*
 * The jobs that came due during a hold. Those that need the steps are started here and now, while they are there: left to the heap, they would find the
 * run parked again. Those beyond the bound ask for another load. False if a limit ended the run.
 */
static bool jobs_release(struct sg_turn *turn, struct sg_run *run)
{
    int started = 0;
    struct sg_job *next;
    for (struct sg_job *job = sg_job_first(run); job != NULL; job = next) {
        next = sg_job_next(run, job);
        if (!job->is_deferred || job->is_asked)
            continue;
        if (sg_job_needs_steps(job) && started < JOBS_PER_RELEASE) {
            started++;
            if (!sg_job_start(turn, job))
                return false;
            continue;
        }
        job->is_deferred = false;
        sg_gate_leave(turn->engine, job);
        if (!sg_heap_add(&turn->engine->due, &job->due))
            turn->is_failed = true;
    }
    return true;
}

void sg_run_release(struct sg_turn *turn, struct sg_run *run)
{
    struct sg_engine *engine = turn->engine;
    assert(run->hold == SG_HOLD_NONE);
    run->is_releasing = true;
    struct sg_id id = run->id;
    while (run != NULL && run->hold == SG_HOLD_NONE && run->hot != NULL && run->hot->queue_first != NULL && !turn->is_failed) {
        struct sg_hot *hot = run->hot;
        struct sg_message *message = hot->queue_first;
        hot->queue_first = message->next;
        if (hot->queue_first == NULL)
            hot->queue_last = NULL;
        message_dispatch(turn, message);
        run = sg_map_get_id(&engine->runs, id);
    }
    if (run == NULL)
        return;
    run->is_releasing = false;
    if ((run->flags & SG_RUN_IS_ENDED) != 0 || (run->hold == SG_HOLD_NONE && !jobs_release(turn, run)))
        return;
    sg_run_flush(turn, run);
}

/* The engine's clock never goes back, whatever the machine's does. */
static void clock_set(struct sg_engine *engine, int64_t now_ms)
{
    if (now_ms > engine->now_ms)
        engine->now_ms = now_ms;
}

enum sg_status sg_engine_handle(struct sg_engine *engine, struct sg_message *message, int64_t now_ms, struct sg_batch *batch)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    assert(engine->is_restored);
    clock_set(engine, now_ms);
    struct sg_turn turn = {.engine = engine, .batch = batch, .now_ms = engine->now_ms};
    batch->message_count++;
    message_dispatch(&turn, message);
    return turn.is_failed ? SG_NO_MEMORY : SG_OK;
}

enum sg_status sg_engine_advance(struct sg_engine *engine, int64_t now_ms, int steps_max, struct sg_batch *batch)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    assert(engine->is_restored);
    clock_set(engine, now_ms);
    struct sg_turn turn = {.engine = engine, .batch = batch, .now_ms = engine->now_ms};
    int steps = 0;
    struct sg_heap_node *node;
    while (steps < steps_max && !turn.is_failed && (node = sg_heap_first(&engine->due)) != NULL && node->key_ms <= engine->now_ms) {
        struct sg_job *job = SG_CONTAINER_OF(node, struct sg_job, due);
        struct sg_run *run = job->run;
        if (sg_job_start(&turn, job))
            sg_run_flush(&turn, run);
        steps++;
    }
    struct sg_job *lined;
    while (steps < steps_max && !turn.is_failed && (lined = sg_gate_next(engine)) != NULL) {
        struct sg_run *run = lined->run;
        if (sg_job_start(&turn, lined))
            sg_run_flush(&turn, run);
        steps++;
    }
    sg_cursor_advance(&turn, steps_max);
    sg_cancellation_advance(&turn);
    sg_arena_reset(&engine->scratch);
    return turn.is_failed ? SG_NO_MEMORY : SG_OK;
}

int64_t sg_engine_next_due(const struct sg_engine *engine)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    if (sg_cursor_can_advance(engine) || sg_cancellation_can_advance(engine) || sg_gate_can_advance(engine))
        return 0;
    const struct sg_heap_node *node = sg_heap_first(&engine->due);
    return node != NULL ? node->key_ms : INT64_MAX;
}

/* ---- start-up ---- */

static bool stray_add(struct sg_engine *engine, enum sg_kind kind, int64_t number, struct sg_id id, struct sg_str text)
{
    struct sg_restore *restore = &engine->restore;
    if (restore->count == restore->capacity) {
        size_t capacity = restore->capacity == 0 ? 16 : restore->capacity * 2;
        struct sg_stray *strays = sg_realloc(restore->strays, capacity * sizeof(*strays));
        if (strays == NULL)
            return false;
        restore->strays = strays;
        restore->capacity = capacity;
    }
    struct sg_str own = sg_arena_copy(&engine->scratch, text);
    if (own.ptr == NULL)
        return false;
    restore->strays[restore->count++] = (struct sg_stray){kind, number, id, own};
    engine->stray++;
    return true;
}

static enum sg_status run_restore(struct sg_engine *engine, const struct sg_record *record)
{
    enum sg_status status = sg_run_restore(engine, record);
    if (status != SG_NOT_FOUND)
        return status;
    return stray_add(engine, SG_KIND_RUN_LIVE, 0, sg_value_get_id(&record->values[SG_RUN_LIVE_ID]), SG_STR("")) ? SG_OK : SG_NO_MEMORY;
}

static enum sg_status job_restore(struct sg_engine *engine, const struct sg_record *record)
{
    struct sg_run *run = sg_map_get_id(&engine->runs, sg_value_get_id(&record->values[SG_JOB_RUN_ID]));
    enum sg_status status = run != NULL ? sg_job_restore(engine, run, record) : SG_NOT_FOUND;
    if (status != SG_NOT_FOUND)
        return status;
    return stray_add(engine, SG_KIND_JOB, record->values[SG_JOB_ID].number, (struct sg_id){{0}}, SG_STR("")) ? SG_OK : SG_NO_MEMORY;
}

static enum sg_status pause_restore(struct sg_engine *engine, const struct sg_record *record)
{
    enum sg_status status = sg_pause_restore(engine, record);
    if (status != SG_NOT_FOUND)
        return status;
    struct sg_id run_id = sg_value_get_id(&record->values[SG_PAUSE_RUN_ID]);
    return stray_add(engine, SG_KIND_PAUSE, 0, run_id, record->values[SG_PAUSE_STEP_ID].bytes) ? SG_OK : SG_NO_MEMORY;
}

enum sg_status sg_engine_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    assert(!engine->is_restored);
    enum sg_status status = SG_OK;
    switch (record->kind) {
    case SG_KIND_APP:
        return sg_app_restore(engine, record, error);
    case SG_KIND_FUNCTION:
        return sg_function_restore(engine, record, error);
    case SG_KIND_RUN_LIVE:
        status = run_restore(engine, record);
        break;
    case SG_KIND_JOB:
        status = job_restore(engine, record);
        break;
    case SG_KIND_PAUSE:
        status = pause_restore(engine, record);
        break;
    case SG_KIND_CURSOR:
        status = sg_cursor_restore(engine, record, error);
        if (status == SG_NOT_FOUND)
            status = stray_add(engine, SG_KIND_CURSOR, record->values[SG_CURSOR_ID].number, (struct sg_id){{0}}, SG_STR("")) ? SG_OK
                                                                                                                             : SG_NO_MEMORY;
        break;
    case SG_KIND_ANSWER:
        status = sg_cursor_restore_answer(engine, record, error);
        if (status == SG_NOT_FOUND || status == SG_STORE_CORRUPT)
            status = stray_add(engine, SG_KIND_ANSWER, record->values[SG_ANSWER_JOB_ID].number, (struct sg_id){{0}}, SG_STR(""))
                         ? SG_OK
                         : SG_NO_MEMORY;
        break;
    case SG_KIND_CANCELLATION:
        status = sg_cancellation_restore(engine, record);
        if (status == SG_NOT_FOUND)
            status = stray_add(engine, SG_KIND_CANCELLATION, 0, sg_value_get_id(&record->values[SG_CANCELLATION_ID]), SG_STR(""))
                         ? SG_OK
                         : SG_NO_MEMORY;
        break;
    case SG_KIND_SETTING:
        sg_job_ids_restore(engine, record);
        break;
    default:
        break;
    }
    return status == SG_OK ? SG_OK : sg_error_set(error, status, "out of memory while restoring live records");
}

static void strays_delete(struct sg_turn *turn)
{
    struct sg_restore *restore = &turn->engine->restore;
    for (size_t index = 0; index < restore->count; index++) {
        struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, restore->strays[index].kind);
        if (record == NULL)
            return;
        const struct sg_stray *stray = &restore->strays[index];
        bool has_id = stray->kind == SG_KIND_RUN_LIVE || stray->kind == SG_KIND_PAUSE || stray->kind == SG_KIND_CANCELLATION;
        record->values[0] = has_id ? sg_turn_id(turn, stray->id) : sg_value_int(stray->number);
        if (stray->kind == SG_KIND_PAUSE)
            record->values[1] = sg_value_bytes(sg_turn_copy(turn, stray->text));
    }
    sg_free(restore->strays);
    *restore = (struct sg_restore){0};
}

/* Ended runs have only their clearing left; a live run that nothing would move is failed, once, with a reason. */
static void runs_settle(struct sg_turn *turn)
{
    struct sg_engine *engine = turn->engine;
    size_t cursor = 0;
    struct sg_run *run;
    while ((run = sg_map_next(&engine->runs, &cursor)) != NULL) {
        if ((run->flags & SG_RUN_IS_ENDED) != 0) {
            for (struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
                sg_job_silence(engine, job);
            if (!sg_cursor_holds(engine, run))
                sg_cursor_clear_add(turn, run);
        } else if (!sg_job_moves(run)) {
            engine->damaged++;
            sg_cursor_answer_drop(turn, run);
            sg_run_fail(turn, run, "StorageError", "nothing would move this run", "The store holds no job for this run; it cannot go on.");
            cursor = 0; /* the map has changed under the walk */
        }
        if (turn->is_failed)
            return;
    }
}

enum sg_status sg_engine_restored(struct sg_engine *engine, int64_t now_ms, int64_t last_position, int64_t last_job_id,
                                  struct sg_batch *batch, struct sg_error *error)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    assert(!engine->is_restored);
    clock_set(engine, now_ms);
    sg_engine_position_seen(engine, last_position);
    struct sg_turn turn = {.engine = engine, .batch = batch, .now_ms = engine->now_ms};
    sg_job_ids_restored(&turn, last_job_id);
    if (!sg_app_restored(engine))
        turn.is_failed = true;
    strays_delete(&turn);
    runs_settle(&turn);
    sg_cursor_restored(&turn);
    sg_cancellation_restored(&turn);
    engine->is_restored = true;
    return turn.is_failed ? sg_error_set(error, SG_NO_MEMORY, "out of memory at the end of start-up") : SG_OK;
}
