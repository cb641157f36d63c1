/*
 * Pauses: what a run waits for beside time, and what would cancel it.
 *
 * The model. A wait is a job, which is its timeout, and a pause, by which the event, the ended run or the signal finds it. Whoever answers a pause only
 * marks it, with the log position of the event that did it or with the memo itself, and makes its job due: two records, no load, whatever state the
 * run is in; so one event can answer a hundred thousand waits in slices. The answer is durable with that commit. The job then wakes the run as a
 * timer would (wake.c).
 *
 * First answer wins: an answered pause is in no index, so nobody finds it again.
 */
#include "engine/pause.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/cel.h>
#include <stepgate/json.h>

#include "base/alloc.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/topic.h"

#define CANCEL_ID_MAX 24

static bool is_event_kind(const struct sg_pause *pause)
{
    return pause->kind == SG_PAUSE_EVENT || pause->kind == SG_PAUSE_CANCEL;
}

static bool has_value(const struct sg_pause *pause)
{
    return (pause->flags & SG_PAUSE_HAS_VALUE) != 0;
}

/* The step id in the record: the job's target, or a name of our own for an entry of cancelOn. */
static struct sg_str record_id(const struct sg_pause *pause, struct sg_job_text *room, char cancel_id[CANCEL_ID_MAX])
{
    if (pause->kind != SG_PAUSE_CANCEL)
        return sg_job_target(pause->job, room);
    int len = snprintf(cancel_id, CANCEL_ID_MAX, "$cancelOn[%d]", pause->index);
    return (struct sg_str){cancel_id, (size_t)len};
}

static struct sg_record *pause_write(struct sg_turn *turn, const struct sg_pause *pause, enum sg_write_op op)
{
    struct sg_record *record = sg_turn_write(turn, op, SG_KIND_PAUSE);
    if (record == NULL)
        return NULL;
    struct sg_job_text room;
    char cancel_id[CANCEL_ID_MAX];
    struct sg_value *values = record->values;
    values[SG_PAUSE_RUN_ID] = sg_turn_id(turn, pause->run->id);
    values[SG_PAUSE_STEP_ID] = sg_value_bytes(sg_turn_copy(turn, record_id(pause, &room, cancel_id)));
    if (op == SG_WRITE_DELETE)
        return record;
    values[SG_PAUSE_KIND] = sg_value_int(pause->kind);
    values[SG_PAUSE_FLAGS] = sg_value_int(pause->flags);
    values[SG_PAUSE_POSITION] = sg_value_int(pause->position);
    return record;
}

/* Where those who come find it. False if memory ran out. */
static bool pause_index(struct sg_engine *engine, struct sg_pause *pause, struct sg_str name, const struct sg_cel_program *program)
{
    if (is_event_kind(pause)) {
        struct sg_topic *topic = sg_topic_get(engine, name);
        if (topic == NULL)
            return false;
        if (topic->waits == NULL && sg_cel_index_create(SG_CEL_SUBJECT_ASYNC, &topic->waits) != SG_OK)
            return false;
        if ((pause->flags & SG_PAUSE_IS_UNMATCHABLE) == 0 && sg_cel_index_add(topic->waits, program, pause, &pause->at.waiter) != SG_OK)
            return false;
        pause->topic = topic;
        topic->pause_count++;
        return true;
    }
    if (pause->kind != SG_PAUSE_SIGNAL || (pause->flags & SG_PAUSE_IS_REPLACED) != 0)
        return true;
    struct sg_signal *signal = sg_calloc(1, sizeof(*signal) + name.len);
    if (signal == NULL)
        return false;
    char *text = (char *)(signal + 1);
    if (name.len > 0)
        memcpy(text, name.ptr, name.len);
    signal->name = (struct sg_str){text, name.len};
    signal->pause = pause;
    if (sg_map_add(&engine->signals, signal) != SG_OK) {
        sg_free(signal);
        return false;
    }
    pause->at.signal = signal;
    return true;
}

void sg_pause_silence(struct sg_engine *engine, struct sg_pause *pause)
{
    SG_CHECK(pause, SG_PAUSE_MAGIC);
    if (pause->kind == SG_PAUSE_SIGNAL && pause->at.signal != NULL) {
        sg_map_remove_str(&engine->signals, pause->at.signal->name);
        sg_free(pause->at.signal);
        pause->at.signal = NULL;
    }
    struct sg_topic *topic = pause->topic;
    if (topic == NULL)
        return;
    if (pause->at.waiter != NULL)
        sg_cel_index_remove(topic->waits, pause->at.waiter);
    pause->at.waiter = NULL;
    pause->topic = NULL;
    topic->pause_count--;
    sg_topic_settle(engine, topic);
}

void sg_pause_forget(struct sg_engine *engine, struct sg_pause *pause)
{
    sg_pause_silence(engine, pause);
    struct sg_pause **link = &pause->run->pauses;
    while (*link != pause)
        link = &(*link)->next;
    *link = pause->next;
    if (has_value(pause))
        sg_free(pause->as.value);
    pause->magic = 0;
    sg_pool_give(&engine->pause_pool, pause);
}

static struct sg_pause *pause_create(struct sg_engine *engine, struct sg_run *run, struct sg_job *job, enum sg_pause_kind kind)
{
    struct sg_pause *pause = sg_pool_take(&engine->pause_pool);
    if (pause == NULL)
        return NULL;
    pause->magic = SG_PAUSE_MAGIC;
    pause->kind = (uint8_t)kind;
    pause->run = run;
    pause->job = job;
    pause->next = run->pauses;
    run->pauses = pause;
    return pause;
}

struct sg_pause *sg_pause_add(struct sg_turn *turn, struct sg_run *run, const struct sg_pause_spec *spec)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    struct sg_engine *engine = turn->engine;
    if (spec->kind != SG_PAUSE_CANCEL && spec->job == NULL)
        return NULL; /* memory ran out when the job was to be added */
    struct sg_pause *pause = pause_create(engine, run, spec->job, spec->kind);
    if (pause == NULL) {
        turn->is_failed = true;
        return NULL;
    }
    pause->index = (uint8_t)spec->index;
    if (spec->is_unmatchable)
        pause->flags |= SG_PAUSE_IS_UNMATCHABLE;
    pause->position = spec->position > 0 ? spec->position : engine->next_position;
    if (spec->kind == SG_PAUSE_CANCEL)
        pause->as.expires_at_ms = spec->expires_at_ms;
    if (!pause_index(engine, pause, spec->name, spec->program)) {
        turn->is_failed = true;
        return pause;
    }
    struct sg_record *record = pause_write(turn, pause, SG_WRITE_PUT);
    if (record == NULL)
        return pause;
    record->values[SG_PAUSE_NAME] = sg_value_bytes(sg_turn_copy(turn, spec->name));
    if (spec->expression.len > 0)
        record->values[SG_PAUSE_EXPRESSION] = sg_value_bytes(sg_turn_copy(turn, spec->expression));
    record->values[SG_PAUSE_EXPIRES_AT] = sg_value_int(spec->expires_at_ms);
    return pause;
}

void sg_pause_remove(struct sg_turn *turn, struct sg_pause *pause)
{
    pause_write(turn, pause, SG_WRITE_DELETE);
    sg_pause_forget(turn->engine, pause);
}

/* ---- finding ---- */

struct sg_pause *sg_pause_of(const struct sg_job *job)
{
    for (struct sg_pause *pause = job->run->pauses; pause != NULL; pause = pause->next)
        if (pause->job == job)
            return pause;
    return NULL;
}

struct sg_pause *sg_pause_find(const struct sg_run *run, struct sg_str step_id)
{
    struct sg_job_text room;
    for (struct sg_pause *pause = run->pauses; pause != NULL; pause = pause->next)
        if (pause->job != NULL && sg_str_eq(sg_job_target(pause->job, &room), step_id))
            return pause;
    return NULL;
}

bool sg_pause_is_open(const struct sg_pause *pause, int64_t now_ms)
{
    SG_CHECK(pause, SG_PAUSE_MAGIC);
    if ((pause->flags & SG_PAUSE_IS_ANSWERED) != 0)
        return false;
    if (pause->kind == SG_PAUSE_CANCEL)
        return pause->as.expires_at_ms > now_ms;
    return pause->job->due.key_ms > now_ms &&
           !pause->job->is_deferred; /* one whose time is over is left to its timeout (reference/02 §9.1) */
}

/* ---- answering ---- */

static void answered(struct sg_turn *turn, struct sg_pause *pause)
{
    struct sg_engine *engine = turn->engine;
    struct sg_job *job = pause->job;
    assert((pause->flags & SG_PAUSE_IS_ANSWERED) == 0); /* first answer wins: nobody finds an answered pause */
    assert((job->run->flags & SG_RUN_IS_ENDED) == 0);
    sg_pause_silence(engine, pause);
    pause->flags |= SG_PAUSE_IS_ANSWERED;
    if (sg_heap_has(&job->due))
        sg_heap_move(&engine->due, &job->due, turn->now_ms, job->due.tie);
    else
        job->due.key_ms = turn->now_ms;
    if (!job->is_new)
        sg_job_write(turn, job);
}

void sg_pause_answer_event(struct sg_turn *turn, struct sg_pause *pause, int64_t position)
{
    SG_CHECK(pause, SG_PAUSE_MAGIC);
    answered(turn, pause);
    pause->position = position;
    pause_write(turn, pause, SG_WRITE_PUT);
}

void sg_pause_answer_value(struct sg_turn *turn, struct sg_pause *pause, struct sg_str memo, bool is_failure)
{
    SG_CHECK(pause, SG_PAUSE_MAGIC);
    struct sg_value_bytes *value = sg_malloc(sizeof(*value) + memo.len);
    if (value == NULL) {
        turn->is_failed = true;
        return;
    }
    value->len = (uint32_t)memo.len;
    memcpy(value->bytes, memo.ptr, memo.len);
    answered(turn, pause);
    pause->as.value = value;
    pause->flags |= SG_PAUSE_HAS_VALUE;
    if (is_failure)
        pause->flags |= SG_PAUSE_IS_FAILURE;
    struct sg_record *record = pause_write(turn, pause, SG_WRITE_PUT);
    if (record != NULL)
        record->values[SG_PAUSE_VALUE] = sg_value_bytes(sg_turn_copy(turn, memo));
}

/* ---- signals ---- */

struct sg_pause *sg_signal_find(const struct sg_engine *engine, struct sg_str name)
{
    const struct sg_signal *signal = sg_map_get_str(&engine->signals, name);
    return signal != NULL ? signal->pause : NULL;
}

void sg_signal_replace(struct sg_turn *turn, struct sg_pause *pause)
{
    struct sg_str name = sg_turn_copy(turn, pause->at.signal->name);
    sg_pause_silence(turn->engine, pause);
    pause->flags |= SG_PAUSE_IS_REPLACED;
    struct sg_record *record = pause_write(turn, pause, SG_WRITE_PUT);
    if (record == NULL)
        return;
    record->values[SG_PAUSE_NAME] = sg_value_bytes(name);
    record->values[SG_PAUSE_EXPIRES_AT] = sg_value_int(pause->job->due.key_ms);
}

void sg_signal_handle(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_pause *pause = sg_signal_find(turn->engine, message->as.signal.name);
    if (pause == NULL || !sg_pause_is_open(pause, turn->now_ms)) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "No signal found");
        return;
    }
    struct sg_buf memo;
    sg_buf_init(&memo);
    sg_buf_printf(&memo, "{\"data\":{\"data\":%.*s,\"signal\":", SG_FMT(message->as.signal.data));
    sg_json_quote(&memo, message->as.signal.name);
    sg_buf_append(&memo, SG_STR("}}"));
    struct sg_id run_id = pause->run->id;
    if (memo.is_failed)
        turn->is_failed = true;
    else
        sg_pause_answer_value(turn, pause, sg_buf_str(&memo), false);
    sg_buf_free(&memo);
    size_t effects = turn->batch->effect_count;
    sg_turn_reply(turn, message, SG_OK, "%s", "");
    if (turn->batch->effect_count > effects)
        turn->batch->effects[effects].reply.id = run_id;
}

/* ---- start-up ---- */

static struct sg_job *job_of_step(const struct sg_run *run, struct sg_str step_id)
{
    struct sg_job_text room;
    for (struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
        if (job->kind == SG_JOB_WAIT && sg_str_eq(sg_job_target(job, &room), step_id))
            return job;
    return NULL;
}

/* What was interpolated compiles, unless the check has become stricter; then it never matches, and the timeout ends the wait. */
static enum sg_status program_restore(struct sg_pause *pause, struct sg_str expression, struct sg_cel_program **program)
{
    if (expression.len == 0)
        return SG_OK;
    enum sg_status status = sg_cel_compile(expression, SG_CEL_CHECK_STORED, program, NULL);
    if (status == SG_NO_MEMORY)
        return status;
    if (status != SG_OK)
        pause->flags |= SG_PAUSE_IS_UNMATCHABLE;
    return SG_OK;
}

static bool value_restore(struct sg_pause *pause, struct sg_str bytes)
{
    struct sg_value_bytes *value = sg_malloc(sizeof(*value) + bytes.len);
    pause->flags &= (uint8_t)~SG_PAUSE_HAS_VALUE;
    if (value == NULL)
        return false;
    pause->flags |= SG_PAUSE_HAS_VALUE;
    value->len = (uint32_t)bytes.len;
    if (bytes.len > 0)
        memcpy(value->bytes, bytes.ptr, bytes.len);
    pause->as.value = value;
    return true;
}

enum sg_status sg_pause_restore(struct sg_engine *engine, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    struct sg_run *run = sg_map_get_id(&engine->runs, sg_value_get_id(&values[SG_PAUSE_RUN_ID]));
    struct sg_str id = values[SG_PAUSE_STEP_ID].bytes;
    int64_t kind = values[SG_PAUSE_KIND].number;
    if (run == NULL || kind < SG_PAUSE_EVENT || kind > SG_PAUSE_CANCEL)
        return SG_NOT_FOUND;
    struct sg_job *job = kind != SG_PAUSE_CANCEL ? job_of_step(run, id) : NULL;
    if (kind != SG_PAUSE_CANCEL && job == NULL)
        return SG_NOT_FOUND;
    struct sg_pause *pause = pause_create(engine, run, job, (enum sg_pause_kind)kind);
    if (pause == NULL)
        return SG_NO_MEMORY;
    pause->flags = (uint8_t)values[SG_PAUSE_FLAGS].number;
    pause->position = values[SG_PAUSE_POSITION].number;
    sg_engine_position_seen(engine, pause->position - 1);
    if (kind == SG_PAUSE_CANCEL) {
        pause->as.expires_at_ms = values[SG_PAUSE_EXPIRES_AT].number;
        pause->index = id.len > strlen("$cancelOn[") ? (uint8_t)(id.ptr[strlen("$cancelOn[")] - '0') : 0;
    }
    if ((pause->flags & SG_PAUSE_HAS_VALUE) != 0 && !value_restore(pause, values[SG_PAUSE_VALUE].bytes))
        return SG_NO_MEMORY;
    if ((pause->flags & SG_PAUSE_IS_ANSWERED) != 0 || (run->flags & SG_RUN_IS_ENDED) != 0)
        return SG_OK;
    struct sg_cel_program *program = NULL;
    enum sg_status status = program_restore(pause, values[SG_PAUSE_EXPRESSION].bytes, &program);
    if (status == SG_OK && !pause_index(engine, pause, values[SG_PAUSE_NAME].bytes, program))
        status = SG_NO_MEMORY;
    sg_cel_program_free(program);
    return status;
}
