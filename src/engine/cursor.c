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
#include "engine/endpoint.h"
#include "engine/event.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/step.h"
#include "engine/topic.h"
#include "engine/wait.h"

#define WRITES_PER_SLICE 400
#define OP_WRITES_PER_SLICE 300
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
    sg_list_push_back(&engine->cursors, &cursor->in_engine);
    engine->cursor_count++;
    engine->answer_cursors += kind == SG_CURSOR_ANSWER;
    return cursor;
}

/* Puts the cursor among those that go on when there is time. */
static void activate(struct sg_engine *engine, struct sg_cursor *cursor)
{
    if (!sg_list_has(&engine->active, &cursor->in_active))
        sg_list_push_back(&engine->active, &cursor->in_active);
}

static bool topic_join(struct sg_engine *engine, struct sg_cursor *cursor, struct sg_str name)
{
    cursor->topic = sg_topic_get(engine, name);
    if (cursor->topic == NULL)
        return false;
    sg_list_push_back(&cursor->topic->cursors, &cursor->in_topic);
    return true;
}

static void cursor_free(struct sg_engine *engine, struct sg_cursor *cursor)
{
    SG_CHECK(cursor, SG_CURSOR_MAGIC);
    sg_list_remove(&engine->cursors, &cursor->in_engine);
    if (sg_list_has(&engine->active, &cursor->in_active))
        sg_list_remove(&engine->active, &cursor->in_active);
    struct sg_topic *topic = cursor->topic;
    if (topic != NULL)
        sg_list_remove(&topic->cursors, &cursor->in_topic);
    engine->cursor_count--;
    engine->answer_cursors -= cursor->kind == SG_CURSOR_ANSWER;
    sg_message_free(cursor->message);
    cursor->magic = 0;
    sg_free(cursor);
    if (topic != NULL)
        sg_topic_settle(engine, topic); /* the next event of the name goes on */
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
    if (cursor->topic != NULL)
        values[SG_CURSOR_NAME] = sg_value_bytes(sg_turn_copy(turn, cursor->topic->name));
}

/* The work is done: record and cursor go. */
static void cursor_end(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, SG_KIND_CURSOR);
    if (record != NULL)
        record->values[SG_CURSOR_ID] = sg_value_int(cursor->id);
    if (cursor->message != NULL) {
        if (cursor->kind == SG_CURSOR_ANSWER)
            sg_answer_let_go(turn->engine, cursor->message);
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
    if (!topic_join(engine, cursor, name))
        turn->is_failed = true;
    cursor_write(turn, cursor);
    event_ask(turn, cursor);
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
            sg_topic_settle(turn->engine, cursor->topic);
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

/* Each slice is a commit with what it did. It goes on with its next slice when the others have had theirs. */
static void event_advance(struct sg_turn *turn, struct sg_cursor *cursor)
{
    const struct sg_message *message = cursor->message;
    struct sg_str body = message->as.loaded_event.body;
    int64_t ts_ms = 0;
    sg_json_to_int(sg_json_get(body, SG_STR("ts")), &ts_ms);
    struct sg_event event = {
        .position = cursor->subject,
        .internal_id = message->as.loaded_event.internal_id,
        .name = cursor->topic->name,
        .body = body,
        .ts_ms = ts_ms,
        .key = message->as.loaded_event.key,
        .known = message->as.loaded_event.known,
        .known_count = message->as.loaded_event.known_count,
    };
    if (sg_event_deliver(turn, &event, &cursor->after, WRITES_PER_SLICE)) {
        cursor_end(turn, cursor);
    } else {
        cursor_write(turn, cursor);
        sg_topic_settle(turn->engine, cursor->topic);
    }
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

/* From now until the cursor ends, events that the answer waits for are kept back. */
static void events_keep(struct sg_turn *turn, struct sg_cursor *cursor, int64_t position)
{
    cursor->message->as.answer.position = position;
    sg_topic_hold(turn, cursor->answer->ops, cursor->answer->op_count);
}

static struct sg_cursor *answer_cursor_of(const struct sg_engine *engine, const struct sg_run *run)
{
    for (struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next) {
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        if (cursor->kind == SG_CURSOR_ANSWER && cursor->run == run)
            return cursor;
    }
    return NULL;
}

static bool has_fetch(const struct sg_answer *answer)
{
    for (size_t index = 0; index < answer->op_count; index++)
        if (sg_opcode_is_fetch(answer->ops[index].code))
            return true;
    return false;
}

/* The answer without what must not be written; NULL ops if memory ran out. */
static struct sg_answer without_secrets(struct sg_turn *turn, const struct sg_answer *answer)
{
    struct sg_answer stored = *answer;
    stored.ops = sg_arena_alloc(&turn->engine->scratch, answer->op_count * sizeof(*stored.ops));
    for (size_t index = 0; index < answer->op_count && stored.ops != NULL; index++) {
        stored.ops[index] = answer->ops[index];
        if (sg_opcode_is_fetch(stored.ops[index].code))
            stored.ops[index].opts = SG_STR_NULL;
    }
    return stored;
}

/* As bytes in the batch's memory; NULL if memory ran out. */
static struct sg_str answer_bytes(struct sg_turn *turn, const struct sg_answer *answer)
{
    struct sg_buf bytes;
    sg_buf_init(&bytes);
    sg_answer_encode(answer, &bytes);
    struct sg_str text = bytes.is_failed ? SG_STR_NULL : sg_turn_copy(turn, sg_buf_str(&bytes));
    sg_buf_free(&bytes);
    return text;
}

void sg_cursor_answer_add(struct sg_turn *turn, struct sg_job *job, const struct sg_answer *answer, int64_t seen_from)
{
    struct sg_engine *engine = turn->engine;
    int64_t position = seen_from > 0 ? seen_from : engine->next_position;
    struct sg_run *run = job->run;
    struct sg_cursor *cursor = cursor_create(engine, engine->next_cursor_id++, SG_CURSOR_ANSWER, sg_job_id(job));
    struct sg_str whole = answer_bytes(turn, answer);
    struct sg_str text = whole; /* nearly always all of it may be written */
    if (has_fetch(answer)) {
        struct sg_answer stored = without_secrets(turn, answer);
        text = stored.ops != NULL ? answer_bytes(turn, &stored) : SG_STR_NULL;
    }
    if (cursor == NULL || whole.ptr == NULL || text.ptr == NULL || answer_keep(cursor, whole) != SG_OK) {
        turn->is_failed = true;
        return;
    }
    cursor->run = run;
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_ANSWER);
    if (record != NULL) {
        record->values[SG_ANSWER_JOB_ID] = sg_value_int(sg_job_id(job));
        record->values[SG_ANSWER_RUN_ID] = sg_turn_id(turn, run->id);
        record->values[SG_ANSWER_BYTES] = sg_value_bytes(text);
        record->values[SG_ANSWER_POSITION] = sg_value_int(position);
    }
    events_keep(turn, cursor, position);
    struct sg_apply apply = {.job = job, .answer = cursor->answer};
    sg_apply_begin(turn, &apply, false);
    run->hold = SG_HOLD_APPLYING;
    cursor_write(turn, cursor);
    activate(engine, cursor);
}

bool sg_cursor_answer_resume(struct sg_turn *turn, struct sg_run *run)
{
    struct sg_engine *engine = turn->engine;
    struct sg_cursor *cursor = engine->answer_cursors > 0 ? answer_cursor_of(engine, run) : NULL;
    if (cursor == NULL)
        return false;
    run->hold = SG_HOLD_APPLYING; /* its cursor goes on where the last process stopped */
    if (run->hot->trigger == NULL && sg_wait_needs_trigger(cursor->answer->ops, cursor->answer->op_count)) {
        struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_LOAD_EVENT);
        if (effect != NULL) {
            effect->position = sg_run_positions(run)[0];
            effect->run_id = run->id;
        }
        return true; /* it comes back here once the event is there */
    }
    activate(engine, cursor);
    return true;
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
        if (op->code == SG_OP_RUN_COMPLETE || op->code == SG_OP_SYNC_RUN_COMPLETE)
            apply->complete = op;
        if (op->id.len == 0)
            continue;
        if (sg_endpoint_is_function_error(cursor->run, op) && !sg_apply_retries(apply, op)) {
            apply->failure = op;
            continue;
        }
        struct sg_step *step = sg_step_find(cursor->run, op->id);
        if (sg_opcode_is_fetch(op->code)) {
            bool has_memo = step != NULL && (step->flags & SG_STEP_HAS_MEMO) != 0;
            if (has_memo && !apply->last_is_fresh) {
                apply->last = step;
                apply->last_is_race = op->is_race || (apply->job->flags & SG_JOB_IS_RACE) != 0;
            }
            apply->is_interrupted = apply->is_interrupted || (!has_memo && cursor->is_restored);
            continue;
        }
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
    struct sg_cursor *cursor = turn->engine->answer_cursors > 0 ? answer_cursor_of(turn->engine, run) : NULL;
    if (cursor == NULL)
        return;
    answer_delete(turn, cursor->subject);
    cursor_end(turn, cursor);
}

static void answer_advance(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = cursor->run;
    struct sg_job *job = sg_job_find(run, cursor->subject);
    assert(job != NULL && sg_run_is_hydrated(run) && run->hold == SG_HOLD_APPLYING);
    struct sg_id run_id = run->id;
    struct sg_apply apply = {
        .job = job, .answer = cursor->answer, .position = cursor->message->as.answer.position, .is_restored = cursor->is_restored};
    sg_apply_begin(turn, &apply, true);
    answer_resume(cursor, &apply);

    bool is_live = true;
    size_t count = sg_apply_count(cursor->answer, cursor->next_op, OP_WRITES_PER_SLICE);
    for (size_t done = 0; done < count && is_live; done++)
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
        activate(engine, cursor);
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
    activate(engine, cursor);
}

static void clear_advance(struct sg_turn *turn, struct sg_cursor *cursor)
{
    struct sg_run *run = cursor->run;
    int done = 0;
    for (; done < JOBS_PER_SLICE && run->pauses != NULL; done++)
        sg_pause_remove(turn, run->pauses);
    for (; done < JOBS_PER_SLICE && run->jobs_last != NULL; done++)
        sg_job_remove(turn, sg_job_first(run));
    if (run->pauses != NULL || run->jobs_last != NULL) {
        activate(turn->engine, cursor);
        return;
    }
    cursor_end(turn, cursor);
    sg_run_delete_live(turn, run);
    sg_run_forget(turn->engine, run, turn->batch);
}

/* ---- all of them ---- */

bool sg_cursor_can_advance(const struct sg_engine *engine)
{
    return !sg_list_is_empty(&engine->active);
}

int sg_cursor_advance(struct sg_turn *turn, int slices_max)
{
    struct sg_engine *engine = turn->engine;
    int slices = 0;
    /* One slice each, in turn: a cursor that has more to do goes behind the others. */
    for (const struct sg_list_node *last = engine->active.last; slices < slices_max && !turn->is_failed; slices++) {
        struct sg_list_node *node = sg_list_pop_front(&engine->active);
        if (node == NULL)
            break;
        bool is_last = node == last;
        struct sg_cursor *cursor = SG_CONTAINER_OF(node, struct sg_cursor, in_active);
        if (cursor->kind == SG_CURSOR_EVENT)
            event_advance(turn, cursor);
        else if (cursor->kind == SG_CURSOR_ANSWER)
            answer_advance(turn, cursor);
        else
            clear_advance(turn, cursor);
        sg_arena_reset(&engine->scratch);
        if (is_last)
            break;
    }
    return slices;
}

void sg_cursor_message_orphaned(struct sg_engine *engine, struct sg_batch *batch, struct sg_message *message)
{
    struct sg_turn turn = {.engine = engine, .batch = batch, .now_ms = engine->now_ms};
    if (message->kind == SG_MESSAGE_ANSWER)
        sg_answer_let_go(engine, message);
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
    if (kind == SG_CURSOR_EVENT && !topic_join(engine, cursor, values[SG_CURSOR_NAME].bytes))
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
        cursor->is_restored = true;
        enum sg_status status = answer_keep(cursor, values[SG_ANSWER_BYTES].bytes);
        cursor->position = values[SG_ANSWER_POSITION].number;
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
                events_keep(turn, cursor, cursor->position > 0 ? cursor->position : turn->engine->next_position);
                sg_run_hydrate(turn, cursor->run);
            }
        } else {
            activate(turn->engine, cursor);
        }
        node = next;
    }
}

void sg_cursor_free_all(struct sg_engine *engine)
{
    while (engine->cursors.first != NULL)
        cursor_free(engine, SG_CONTAINER_OF(engine->cursors.first, struct sg_cursor, in_engine));
}
