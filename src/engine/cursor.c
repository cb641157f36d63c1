/*
 * Cursors: work that is larger than one message.
 *
 * The model. A cursor is a record that says what is being done and how far it has come; it is advanced in slices between other messages, each slice
 * in one commit with what it did. There are three kinds. EVENT: an event on its way to its consumers; its bytes are loaded first, and cursors
 * of one event name go in log order. ANSWER: a large answer being applied; its bytes were committed once, the run is held meanwhile.
 * CLEAR: the jobs of a run that has ended.
 *
 * After a crash the records are all there is: what a slice had done is not done again, because its commit moved the cursor.
 */
#include "engine/cursor.h"

#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "engine/answer.h"
#include "engine/event.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"

#define WRITES_PER_SLICE 400
#define OPS_PER_SLICE 100
#define JOBS_PER_SLICE 400

static struct sg_cursor *cursor_create(struct sg_engine *engine, int64_t id, int kind, int64_t subject)
{
    struct sg_cursor *cursor = sg_calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return NULL;
    cursor->magic = SG_CURSOR_MAGIC;
    cursor->id = id;
    cursor->kind = (uint8_t)kind;
    cursor->subject = subject;
    sg_arena_init(&cursor->arena);
    sg_list_push_back(&engine->cursors, &cursor->in_engine);
    return cursor;
}

static void cursor_free(struct sg_engine *engine, struct sg_cursor *cursor)
{
    SG_CHECK(cursor, SG_CURSOR_MAGIC);
    sg_list_remove(&engine->cursors, &cursor->in_engine);
    sg_message_free(cursor->message);
    sg_arena_free(&cursor->arena);
    cursor->magic = 0;
    sg_free(cursor);
}

static void cursor_write(struct sg_turn *turn, const struct sg_cursor *cursor)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_CURSOR);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_CURSOR_ID] = sg_value_int(cursor->id);
    values[SG_CURSOR_KIND] = sg_value_int(cursor->kind);
    values[SG_CURSOR_SUBJECT] = sg_value_int(cursor->subject);
    if (cursor->run != NULL)
        values[SG_CURSOR_RUN_ID] = sg_turn_id(turn, cursor->run->id);
    if (cursor->kind == SG_CURSOR_EVENT && !sg_id_is_null(cursor->after))
        values[SG_CURSOR_AFTER] = sg_turn_id(turn, cursor->after);
    if (cursor->kind == SG_CURSOR_ANSWER)
        values[SG_CURSOR_NEXT] = sg_value_int((int64_t)cursor->next_op);
    if (cursor->name.len > 0)
        values[SG_CURSOR_NAME] = sg_value_bytes(sg_turn_copy(turn, cursor->name));
}

/* The work is done: record and cursor go. */
static void cursor_end(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, SG_KIND_CURSOR);
    if (record != NULL)
        record->values[SG_CURSOR_ID] = sg_value_int(cursor->id);
    if (cursor->message != NULL) {
        /* Writes of this turn may borrow its bytes. */
        cursor->message->next = turn->batch->messages;
        turn->batch->messages = cursor->message;
        cursor->message = NULL;
    }
    cursor_free(turn->engine, cursor);
}

/* ---- events ---- */

static void event_ask(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_LOAD_EVENT);
    if (effect != NULL)
        effect->position = cursor->subject;
    cursor->is_asked = true;
    cursor->asked_commit = turn->batch->number;
}

void sg_cursor_event_add(struct sg_turn *turn, int64_t position, struct sg_str name, struct sg_id after)
{
    struct sg_engine *engine = turn->engine;
    struct sg_cursor *cursor = cursor_create(engine, engine->next_cursor_id++, SG_CURSOR_EVENT, position);
    if (cursor == NULL) {
        turn->is_failed = true;
        return;
    }
    cursor->after = after;
    cursor->name = sg_arena_copy(&cursor->arena, name);
    if (cursor->name.ptr == NULL)
        turn->is_failed = true;
    cursor_write(turn, cursor);
    event_ask(turn, cursor);
}

bool sg_cursor_is_busy(const struct sg_engine *engine, struct sg_str name)
{
    for (const struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next) {
        const struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind == SG_CURSOR_EVENT && sg_str_eq(cursor->name, name))
            return true;
    }
    return false;
}

/* Whether no earlier cursor carries an event of the same name: they are in log order in the list. */
static bool event_is_first(const struct sg_cursor *cursor)
{
    for (const struct sg_list_node *node = cursor->in_engine.prev; node != NULL; node = node->prev) {
        const struct sg_cursor *other = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (other->kind == SG_CURSOR_EVENT && sg_str_eq(other->name, cursor->name))
            return false;
    }
    return true;
}

bool sg_cursor_event_loaded(struct sg_turn *turn, struct sg_message *message)
{
    for (struct sg_list_node *node = turn->engine->cursors.first; node != NULL; node = node->next) {
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind != SG_CURSOR_EVENT || cursor->subject != message->as.loaded_event.position || !cursor->is_asked)
            continue;
        cursor->is_asked = false;
        if (message->as.loaded_event.status == SG_OK) {
            cursor->message = message;
            cursor->is_ready = true;
            return true;
        }
        /* The event is gone or damaged: its consumers cannot be served; the others must not wait for it. */
        turn->engine->damaged++;
        cursor_end(turn, cursor);
        break;
    }
    return false;
}

int64_t sg_cursor_lookup_floor(const struct sg_engine *engine)
{
    int64_t floor = INT64_MAX;
    for (const struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next) {
        const struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind == SG_CURSOR_EVENT && cursor->asked_commit < floor)
            floor = cursor->asked_commit;
    }
    return floor;
}

static void event_advance(struct sg_turn *turn, struct sg_cursor *cursor)
{
    const struct sg_message *message = cursor->message;
    struct sg_str body = message->as.loaded_event.body;
    int64_t ts_ms = 0;
    sg_json_to_int(sg_json_get(body, SG_STR("ts")), &ts_ms);
    struct sg_event event = {
        .position = cursor->subject,
        .internal_id = message->as.loaded_event.internal_id,
        .name = cursor->name,
        .body = body,
        .ts_ms = ts_ms,
        .key = message->as.loaded_event.key,
        .known = message->as.loaded_event.known,
        .known_count = message->as.loaded_event.known_count,
    };
    if (sg_event_offer(turn, &event, &cursor->after, WRITES_PER_SLICE))
        cursor_end(turn, cursor);
    else
        cursor_write(turn, cursor);
}

/* ---- answers ---- */

/* Gives the cursor the answer that `bytes` encode. */
static enum sg_status answer_keep(struct sg_cursor *cursor, struct sg_str bytes)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_ANSWER);
    if (message == NULL)
        return SG_NO_MEMORY;
    struct sg_str own = sg_arena_copy(&message->arena, bytes);
    enum sg_status status = SG_NO_MEMORY;
    if (own.ptr != NULL)
        status = sg_answer_decode_bytes(own, &message->arena, &message->as.answer.answer);
    if (status != SG_OK) {
        sg_message_free(message);
        return status;
    }
    cursor->message = message;
    cursor->answer = &message->as.answer.answer;
    return SG_OK;
}

void sg_cursor_answer_add(struct sg_turn *turn, struct sg_job *job, const struct sg_answer *answer)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = job->run;
    struct sg_cursor *cursor = cursor_create(engine, engine->next_cursor_id++, SG_CURSOR_ANSWER, sg_job_id(job));
    struct sg_buf bytes;
    sg_buf_init(&bytes);
    sg_answer_encode(answer, &bytes);
    struct sg_str text = bytes.is_failed ? SG_STR_NULL : sg_turn_copy(turn, sg_buf_str(&bytes));
    if (cursor == NULL || text.ptr == NULL) {
        turn->is_failed = true;
        sg_buf_free(&bytes);
        return;
    }
    cursor->run = run;
    sg_buf_free(&bytes);
    if (answer_keep(cursor, text) != SG_OK) {
        turn->is_failed = true;
        return;
    }
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_ANSWER);
    if (record != NULL) {
        record->values[SG_ANSWER_JOB_ID] = sg_value_int(sg_job_id(job));
        record->values[SG_ANSWER_RUN_ID] = sg_turn_id(turn, run->id);
        record->values[SG_ANSWER_BYTES] = sg_value_bytes(text);
    }
    struct sg_apply apply = {.job = job, .answer = cursor->answer};
    sg_apply_begin(turn, &apply, false);
    run->hold = SG_HOLD_APPLYING;
    cursor_write(turn, cursor);
}

static void answer_delete(struct sg_turn *turn, int64_t job_id)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, SG_KIND_ANSWER);
    if (record != NULL)
        record->values[SG_ANSWER_JOB_ID] = sg_value_int(job_id);
}

/* What the ops before next_op amounted to: recomputed, so that nothing of it has to be stored. */
static void answer_resume(struct sg_cursor *cursor, struct sg_apply *apply)
{
    for (size_t index = 0; index < cursor->next_op; index++) {
        const struct sg_op *op = &cursor->answer->ops[index];
        if (op->code == SG_OP_RUN_COMPLETE)
            apply->complete = op;
        if (op->id.len == 0)
            continue;
        struct sg_step *step = sg_step_find(cursor->run, op->id);
        bool is_result =
            op->code == SG_OP_STEP || op->code == SG_OP_STEP_RUN || op->code == SG_OP_STEP_FAILED || op->code == SG_OP_STEP_ERROR;
        if (sg_apply_retries(apply, op))
            apply->retry = op;
        else if (is_result && step != NULL) {
            apply->last = step;
            apply->last_is_race = op->is_race || (apply->job->flags & SG_JOB_IS_RACE) != 0;
            apply->last_is_fresh = true;
        }
    }
}

void sg_cursor_answer_drop(struct sg_turn *turn, struct sg_run *run)
{
    for (struct sg_list_node *node = turn->engine->cursors.first; node != NULL; node = node->next) {
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind != SG_CURSOR_ANSWER || cursor->run != run)
            continue;
        answer_delete(turn, cursor->subject);
        cursor_end(turn, cursor);
        return;
    }
}

static void answer_advance(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = cursor->run;
    struct sg_job *job = sg_job_find(run, cursor->subject);
    assert(job != NULL && sg_run_is_hydrated(run) && run->hold == SG_HOLD_APPLYING);
    struct sg_id run_id = run->id;
    struct sg_apply apply = {.job = job, .answer = cursor->answer};
    sg_apply_begin(turn, &apply, true);
    answer_resume(cursor, &apply);

    bool is_live = true;
    for (int done = 0; done < OPS_PER_SLICE && cursor->next_op < cursor->answer->op_count && is_live; done++)
        is_live = sg_apply_op(turn, &apply, &cursor->answer->ops[cursor->next_op++]);
    bool is_done = !is_live || cursor->next_op == cursor->answer->op_count;
    if (is_live && is_done) {
        sg_job_flush(turn, run); /* while the run is held it only writes: the jobs of this slice start after those of the ones before */
        run->hold = SG_HOLD_NONE;
        sg_apply_end(turn, &apply);
    }
    if (is_done) {
        answer_delete(turn, cursor->subject);
        cursor_end(turn, cursor);
    } else {
        cursor_write(turn, cursor);
    }
    run = sg_map_get_id(&engine->runs, run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0)
        return;
    if (is_done)
        sg_run_release(turn, run);
    else
        sg_run_flush(turn, run);
}

/* ---- clearing ---- */

void sg_cursor_clear_add(struct sg_turn *turn, struct sg_run *run)
{
    struct sg_engine *engine = turn->engine;
    struct sg_cursor *cursor = cursor_create(engine, engine->next_cursor_id++, SG_CURSOR_CLEAR, 0);
    if (cursor == NULL) {
        turn->is_failed = true;
        return;
    }
    cursor->run = run;
    cursor_write(turn, cursor);
}

static void clear_advance(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_run *run = cursor->run;
    for (int done = 0; done < JOBS_PER_SLICE && run->jobs_last != NULL; done++)
        sg_job_remove(turn, sg_job_first(run));
    if (run->jobs_last != NULL)
        return;
    cursor_end(turn, cursor);
    sg_run_delete_live(turn, run);
    sg_run_forget(turn->engine, run, turn->batch);
}

/* ---- all of them ---- */

static bool can_advance(const struct sg_cursor *cursor)
{
    switch (cursor->kind) {
    case SG_CURSOR_EVENT:
        return cursor->is_ready && event_is_first(cursor);
    case SG_CURSOR_ANSWER:
        return sg_run_is_hydrated(cursor->run) && cursor->run->hold == SG_HOLD_APPLYING;
    default:
        return true;
    }
}

bool sg_cursor_can_advance(const struct sg_engine *engine)
{
    for (const struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next)
        if (can_advance(SG_CONTAINER_OF(node, struct sg_cursor, in_engine)))
            return true;
    return false;
}

int sg_cursor_advance(struct sg_turn *turn, int slices_max)
{
    int slices = 0;
    struct sg_list_node *node = turn->engine->cursors.first;
    while (node != NULL && slices < slices_max && !turn->is_failed) {
        struct sg_list_node *next = node->next;
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (can_advance(cursor)) {
            slices++;
            if (cursor->kind == SG_CURSOR_EVENT)
                event_advance(turn, cursor);
            else if (cursor->kind == SG_CURSOR_ANSWER)
                answer_advance(turn, cursor);
            else
                clear_advance(turn, cursor);
            sg_arena_reset(&turn->engine->scratch);
        }
        node = next;
    }
    return slices;
}

void sg_cursor_message_orphaned(struct sg_engine *engine, struct sg_batch *batch, struct sg_message *message)
{
    struct sg_turn turn = {.engine = engine, .batch = batch, .now_ms = engine->now_ms};
    sg_turn_reply(&turn, message, SG_NOT_FOUND, "the run has ended or is unknown");
    message->next = batch->messages;
    batch->messages = message;
}

bool sg_cursor_holds(const struct sg_engine *engine, const struct sg_run *run)
{
    for (const struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next) {
        const struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->run == run)
            return true;
    }
    return false;
}

/* ---- start-up ---- */

enum sg_status sg_cursor_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error)
{
    const struct sg_value *values = record->values;
    int64_t kind = values[SG_CURSOR_KIND].number;
    int64_t id = values[SG_CURSOR_ID].number;
    if (id >= engine->next_cursor_id)
        engine->next_cursor_id = id + 1;
    struct sg_run *run = sg_map_get_id(&engine->runs, sg_value_get_id(&values[SG_CURSOR_RUN_ID]));
    if (kind < SG_CURSOR_EVENT || kind > SG_CURSOR_CLEAR || (kind != SG_CURSOR_EVENT && run == NULL))
        return SG_NOT_FOUND;
    struct sg_cursor *cursor = cursor_create(engine, id, (int)kind, values[SG_CURSOR_SUBJECT].number);
    if (cursor == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while restoring cursors");
    if (kind == SG_CURSOR_EVENT)
        sg_engine_position_seen(engine, cursor->subject);
    cursor->run = run;
    cursor->after = sg_value_get_id(&values[SG_CURSOR_AFTER]);
    cursor->next_op = (size_t)values[SG_CURSOR_NEXT].number;
    cursor->name = sg_arena_copy(&cursor->arena, values[SG_CURSOR_NAME].bytes);
    if (cursor->name.ptr == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while restoring cursors");
    return SG_OK;
}

enum sg_status sg_cursor_restore_answer(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error)
{
    const struct sg_value *values = record->values;
    for (struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next) {
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind != SG_CURSOR_ANSWER || cursor->subject != values[SG_ANSWER_JOB_ID].number)
            continue;
        enum sg_status status = answer_keep(cursor, values[SG_ANSWER_BYTES].bytes);
        return status == SG_NO_MEMORY ? sg_error_set(error, status, "out of memory while restoring an answer") : status;
    }
    return SG_NOT_FOUND;
}

void sg_cursor_restored(struct sg_turn *turn)
{
    struct sg_list_node *node = turn->engine->cursors.first;
    while (node != NULL) {
        struct sg_list_node *next = node->next;
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind == SG_CURSOR_EVENT) {
            event_ask(turn, cursor);
        } else if (cursor->kind == SG_CURSOR_ANSWER) {
            struct sg_job *job = sg_job_find(cursor->run, cursor->subject);
            if (cursor->answer == NULL || job == NULL || cursor->next_op > cursor->answer->op_count) {
                turn->engine->stray++;
                answer_delete(turn, cursor->subject); /* the call is made again */
                cursor_end(turn, cursor);
            } else {
                /* Its steps come back with a load; the engine then finds the cursor and keeps the run held. */
                sg_job_resume(turn->engine, job);
                sg_run_hydrate(turn, cursor->run);
            }
        }
        node = next;
    }
}

void sg_cursor_free_all(struct sg_engine *engine)
{
    while (engine->cursors.first != NULL)
        cursor_free(engine, SG_CONTAINER_OF(engine->cursors.first, struct sg_cursor, in_engine));
}
