/*
 * Jobs: things to do at a time.
 *
 * The model. A job waits in one heap until it is due, then it starts: a generation is committed together with the call it lets out, so that
 * after a crash everybody knows that this call may have happened. It ends by being removed (its follow-up is another job with another id)
 * or by being retried: the same job, one attempt later. A sleep's job becomes the call that follows the sleep (reference/02 §4.1), which is why a
 * sleeping run has exactly one.
 *
 * A job that wakes a sleep or calls for a planned step needs the run's steps; if the run is parked, it is deferred until they are loaded. What a job
 * never does is look at the answer: that is answer.c.
 */
#include "engine/job.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/endpoint.h"
#include "engine/fetch.h"
#include "engine/gate.h"
#include "engine/group.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/step.h"
#include "engine/timeout.h"

/* One more write in so many jobs; so many ids are lost at a restart. */
#define JOB_IDS_PER_BLOCK 100000
#define JOB_IDS_SETTING SG_STR("job_ids_end")

static void call_start(struct sg_turn *turn, struct sg_job *job, bool is_plan_forced);
static void job_ids_reserve(struct sg_turn *turn);
static bool jobs_flush(struct sg_turn *turn, struct sg_run *run);

/* ---- texts ---- */

#define HEX_LEN 40u
#define PACKED_LEN 20u

static bool is_hex_id(struct sg_str text)
{
    if (text.len != HEX_LEN)
        return false;
    for (size_t index = 0; index < text.len; index++)
        if (!((text.ptr[index] >= '0' && text.ptr[index] <= '9') || (text.ptr[index] >= 'a' && text.ptr[index] <= 'f')))
            return false;
    return true;
}

static unsigned hex_value(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'a' + 10);
}

static size_t stored_len(uint16_t len)
{
    return (len & SG_JOB_TEXT_IS_PACKED) != 0 ? PACKED_LEN : len;
}

static uint16_t len_to_store(struct sg_str text)
{
    return (uint16_t)(is_hex_id(text) ? HEX_LEN | SG_JOB_TEXT_IS_PACKED : text.len);
}

static void text_store(char *to, struct sg_str text)
{
    if (text.len == 0)
        return;
    if (!is_hex_id(text)) {
        memcpy(to, text.ptr, text.len);
        return;
    }
    for (size_t index = 0; index < PACKED_LEN; index++)
        to[index] = (char)(hex_value(text.ptr[2 * index]) << 4 | hex_value(text.ptr[2 * index + 1]));
}

static struct sg_str text_read(const char *from, uint16_t len, struct sg_job_text *room)
{
    if ((len & SG_JOB_TEXT_IS_PACKED) == 0)
        return (struct sg_str){from, len};
    for (size_t index = 0; index < PACKED_LEN; index++) {
        room->hex[2 * index] = "0123456789abcdef"[(uint8_t)from[index] >> 4];
        room->hex[2 * index + 1] = "0123456789abcdef"[(uint8_t)from[index] & 15];
    }
    return (struct sg_str){room->hex, HEX_LEN};
}

struct sg_str sg_job_cause(const struct sg_job *job, struct sg_job_text *room)
{
    return text_read(job->text, job->cause_len, room);
}

struct sg_str sg_job_target(const struct sg_job *job, struct sg_job_text *room)
{
    return text_read(job->text + stored_len(job->cause_len), job->target_len, room);
}

/* ---- memory ---- */

static struct sg_pool *pool_for(struct sg_engine *engine, size_t text_bytes)
{
    for (size_t index = 0; index < SG_ARRAY_LEN(engine->job_pools); index++)
        if (text_bytes <= index * PACKED_LEN)
            return &engine->job_pools[index];
    return NULL;
}

void sg_job_pools_init(struct sg_engine *engine)
{
    for (size_t index = 0; index < SG_ARRAY_LEN(engine->job_pools); index++)
        sg_pool_init(&engine->job_pools[index], offsetof(struct sg_job, text) + index * PACKED_LEN);
}

void sg_job_pools_free(struct sg_engine *engine)
{
    for (size_t index = 0; index < SG_ARRAY_LEN(engine->job_pools); index++)
        sg_pool_free(&engine->job_pools[index]);
}

static struct sg_job *job_create(struct sg_engine *engine, struct sg_str cause, struct sg_str target)
{
    uint16_t cause_len = len_to_store(cause);
    uint16_t target_len = len_to_store(target);
    size_t text_bytes = stored_len(cause_len) + stored_len(target_len);
    struct sg_pool *pool = pool_for(engine, text_bytes);
    struct sg_job *job = pool != NULL ? sg_pool_take(pool) : sg_calloc(1, sizeof(*job) + text_bytes);
    if (job == NULL)
        return NULL;
    job->magic = SG_JOB_MAGIC;
    job->cause_len = cause_len;
    job->target_len = target_len;
    text_store(job->text, cause);
    text_store(job->text + stored_len(cause_len), target);
    return job;
}

static void job_free(struct sg_engine *engine, struct sg_job *job)
{
    struct sg_pool *pool = pool_for(engine, stored_len(job->cause_len) + stored_len(job->target_len));
    job->magic = 0;
    if (pool != NULL)
        sg_pool_give(pool, job);
    else
        sg_free(job);
}

/* ---- jobs ---- */

struct sg_job *sg_job_add(struct sg_turn *turn, struct sg_run *run, const struct sg_job_spec *spec)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    assert((run->flags & SG_RUN_IS_ENDED) == 0);
    assert(spec->cause.len <= SG_LIMIT_STEP_ID_BYTES && spec->target.len <= SG_LIMIT_STEP_ID_BYTES);
    struct sg_engine *engine = turn->engine;

    struct sg_job *job = job_create(engine, spec->cause, spec->target);
    if (job == NULL) {
        turn->is_failed = true;
        return NULL;
    }
    if (engine->next_job_id >= engine->job_ids_end)
        job_ids_reserve(turn);
    job->due.tie = (uint64_t)engine->next_job_id++;
    job->kind = (uint8_t)spec->kind & 7u;
    job->flags = (uint8_t)spec->flags;
    job->is_new = true;
    job->due.key_ms = spec->due_at_ms;
    if (!sg_job_link(engine, run, job)) {
        job_free(engine, job);
        turn->is_failed = true;
        return NULL;
    }
    return job;
}

bool sg_job_flush(struct sg_turn *turn, struct sg_run *run)
{
    /* New jobs are at the end of the list, in the order of the ops that asked for them. One that starts may leave another behind it. */
    while (run->jobs_last != NULL && run->jobs_last->is_new && !turn->is_failed)
        if (!jobs_flush(turn, run))
            return false;
    return true;
}

static bool jobs_flush(struct sg_turn *turn, struct sg_run *run)
{
    struct sg_job *job = sg_job_first(run);
    while (job != NULL) {
        struct sg_job *next = sg_job_next(run, job); /* starting a new call removes no job but, with the run, all */
        if (job->is_new && job->due.key_ms <= turn->now_ms && run->hold == SG_HOLD_NONE) {
            if (!sg_job_start(turn, job))
                return false;
        } else if (job->is_new) {
            job->is_new = false;
            sg_job_write(turn, job);
        }
        job = next;
    }
    return true;
}

bool sg_job_link(struct sg_engine *engine, struct sg_run *run, struct sg_job *job)
{
    job->run = run;
    if (!job->is_started && !sg_heap_add(&engine->due, &job->due))
        return false;
    job->next = run->jobs_last != NULL ? run->jobs_last->next : job;
    if (run->jobs_last != NULL)
        run->jobs_last->next = job;
    run->jobs_last = job;
    return true;
}

bool sg_job_start(struct sg_turn *turn, struct sg_job *job)
{
    SG_CHECK(job, SG_JOB_MAGIC);
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = job->run;
    assert(!job->is_started);
    assert(job->due.key_ms <= turn->now_ms); /* never early: users compare clocks */

    bool is_new = job->is_new;
    job->is_new = false;
    sg_gate_unqueue(engine, job);
    if (job->kind == SG_JOB_TIMEOUT)
        return sg_timeout_fire(turn, job); /* also while the run is held */
    if (!sg_timeout_check(turn, run))
        return false;
    bool has_passed = sg_gate_pass(turn, job);
    job->is_deferred = has_passed && (run->hold != SG_HOLD_NONE || (sg_job_needs_steps(job) && !sg_run_hydrate(turn, run)));
    if (!has_passed || job->is_deferred) {
        if (is_new) /* else its record stays as it is: due */
            sg_job_write(turn, job);
        return true;
    }
    if (job->kind == SG_JOB_WAIT) {
        sg_pause_due(turn, job);
        return true;
    }
    if (job->kind == SG_JOB_WATCHDOG) {
        sg_endpoint_expire(turn, run);
        return false;
    }

    /* The reference looks before each call, also the one that would only return (reference/02 §12, quirk 12: users' tests rely on it). */
    bool is_plan_forced = (run->flags & SG_RUN_IS_PLAN_FORCED) != 0;
    if (job->kind == SG_JOB_SLEEP ? !sg_group_sleep_ended(turn, job) : sg_group_target_known(turn, job))
        return true;
    if (run->next_seq >= (uint32_t)engine->options.steps_per_run_max) {
        char message[128];
        snprintf(message, sizeof(message), "The function run exceeded the step limit of %d steps.", engine->options.steps_per_run_max);
        sg_run_fail(turn, run, "InngestErrFunctionOverflowed", "function has too many steps", message);
        return false;
    }
    call_start(turn, job, is_plan_forced);
    return true;
}

static void call_start(struct sg_turn *turn, struct sg_job *job, bool is_plan_forced)
{
    struct sg_run *run = job->run;
    const struct sg_function *function = run->function;

    job->is_started = true;
    job->generation++;
    job->snapshot = run->next_seq;
    run->calls++;
    turn->engine->calls++;
    bool is_first = run->started_at_ms == 0;
    if (is_first) {
        run->started_at_ms = turn->now_ms;
        run->status = SG_RUN_RUNNING;
        sg_run_touch_row(run);
        sg_run_touch_live(run);
    }
    sg_job_write(turn, job);

    /* The steps will be needed when the answer comes: load them while the call is out. */
    sg_run_hydrate(turn, run);

    struct sg_job_text cause_room;
    struct sg_job_text target_room;
    struct sg_str cause = sg_job_cause(job, &cause_room);
    struct sg_str target = sg_job_target(job, &target_room);
    const struct sg_app *app = function->app;
    size_t bytes = sizeof(struct sg_call) + run->event_count * sizeof(int64_t) + function->url.len + function->slug.len + app->sdk.len +
                   cause.len + target.len;
    struct sg_call *call = sg_calloc(1, bytes);
    struct sg_effect *effect = call != NULL ? sg_turn_effect(turn, SG_EFFECT_CALL) : NULL;
    if (effect == NULL) {
        sg_free(call);
        turn->is_failed = true;
        return;
    }
    effect->call = call;
    int64_t *positions = (int64_t *)(call + 1);
    memcpy(positions, sg_run_positions(run), run->event_count * sizeof(int64_t));
    char *text = (char *)(positions + run->event_count);
    struct sg_str sources[] = {function->url, function->slug, app->sdk, cause, target};
    struct sg_str *fields[] = {&call->url, &call->slug, &call->sdk, &call->cause, &call->target};
    for (size_t index = 0; index < SG_ARRAY_LEN(sources); index++) {
        if (sources[index].len > 0)
            memcpy(text, sources[index].ptr, sources[index].len);
        *fields[index] = (struct sg_str){text, sources[index].len};
        text += sources[index].len;
    }
    call->magic = SG_CALL_MAGIC;
    call->run_id = run->id;
    call->function_id = function->id;
    call->app_id = app->id;
    call->job_id = sg_job_id(job);
    call->generation = job->generation;
    call->attempt = job->attempt;
    call->max_attempts = sg_job_attempts_max(job);
    call->request_version = run->request_version;
    call->is_plan_forced = is_plan_forced;
    call->is_first = is_first;
    call->is_endpoint = (run->flags & SG_RUN_IS_HTTP) != 0;
    call->arrived_at_ns = turn->arrived_at_ns;
    call->snapshot = job->snapshot;
    call->state_bytes = run->state_bytes;
    call->started_at_ms = turn->now_ms;
    call->event_positions = positions;
    call->event_count = run->event_count;
}

/* The answer is in, or the process that made the call is gone. */
static void call_stop(struct sg_engine *engine, struct sg_job *job)
{
    if (!job->is_started)
        return;
    sg_fetch_forget(engine, job);
    job->is_started = false;
    assert(job->run->calls > 0);
    job->run->calls--;
    engine->calls--;
    sg_gate_leave(engine, job);
}

void sg_job_retry(struct sg_turn *turn, struct sg_job *job, int64_t delay_ms)
{
    assert(delay_ms >= 0);
    assert(job->attempt + 1 < sg_job_attempts_max(job)); /* invariant 7: never more attempts than allowed */
    call_stop(turn->engine, job);
    job->attempt++;
    job->due.key_ms = turn->now_ms + delay_ms;
    if (!sg_heap_add(&turn->engine->due, &job->due))
        turn->is_failed = true;
    sg_job_write(turn, job);
}

void sg_job_repeat(struct sg_turn *turn, struct sg_job *job)
{
    call_stop(turn->engine, job);
    job->due.key_ms = turn->now_ms;
    if (!sg_heap_add(&turn->engine->due, &job->due))
        turn->is_failed = true;
    sg_job_write(turn, job);
}

void sg_job_remove(struct sg_turn *turn, struct sg_job *job)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, SG_KIND_JOB);
    if (record != NULL)
        record->values[SG_JOB_ID] = sg_value_int(sg_job_id(job));
    sg_job_forget(turn->engine, job);
}

void sg_job_silence(struct sg_engine *engine, struct sg_job *job)
{
    SG_CHECK(job, SG_JOB_MAGIC);
    call_stop(engine, job);
    job->is_deferred = false;
    job->is_asked = false;
    sg_gate_leave(engine, job);
    sg_gate_unqueue(engine, job);
}

void sg_job_forget(struct sg_engine *engine, struct sg_job *job)
{
    sg_job_silence(engine, job);
    struct sg_run *run = job->run;
    struct sg_job *before = run->jobs_last;
    while (before->next != job)
        before = before->next;
    before->next = job->next;
    if (run->jobs_last == job)
        run->jobs_last = before != job ? before : NULL;
    job_free(engine, job);
}

void sg_job_write(struct sg_turn *turn, const struct sg_job *job)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_JOB);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    struct sg_job_text room;
    values[SG_JOB_ID] = sg_value_int(sg_job_id(job));
    values[SG_JOB_KIND] = sg_value_int(job->kind);
    values[SG_JOB_RUN_ID] = sg_turn_id(turn, job->run->id);
    values[SG_JOB_DUE_AT] = sg_value_int(job->due.key_ms);
    values[SG_JOB_ATTEMPT] = sg_value_int(job->attempt);
    values[SG_JOB_GENERATION] = sg_value_int(job->generation);
    values[SG_JOB_IS_STARTED] = sg_value_int(job->is_started);
    if (job->cause_len > 0)
        values[SG_JOB_CAUSE] = sg_value_bytes(sg_turn_copy(turn, sg_job_cause(job, &room)));
    if (job->target_len > 0)
        values[SG_JOB_TARGET] = sg_value_bytes(sg_turn_copy(turn, sg_job_target(job, &room)));
    values[SG_JOB_FLAGS] = sg_value_int(job->flags);
    values[SG_JOB_SNAPSHOT] = sg_value_int(job->snapshot);
}

static void job_ids_reserve(struct sg_turn *turn)
{
    struct sg_engine *engine = turn->engine;
    engine->job_ids_end = engine->next_job_id + JOB_IDS_PER_BLOCK;
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_SETTING);
    if (record == NULL)
        return;
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)engine->job_ids_end);
    record->values[SG_SETTING_NAME] = sg_value_bytes(JOB_IDS_SETTING);
    record->values[SG_SETTING_VALUE] = sg_value_bytes(sg_turn_copy(turn, sg_str_from(text)));
}

void sg_job_ids_restore(struct sg_engine *engine, const struct sg_record *setting)
{
    int64_t end;
    if (sg_str_eq(setting->values[SG_SETTING_NAME].bytes, JOB_IDS_SETTING) &&
        sg_str_to_int(setting->values[SG_SETTING_VALUE].bytes, &end) && end > engine->next_job_id)
        engine->next_job_id = end;
}

void sg_job_ids_restored(struct sg_turn *turn, int64_t last_job_id)
{
    if (last_job_id >= turn->engine->next_job_id)
        turn->engine->next_job_id = last_job_id + 1;
    job_ids_reserve(turn);
}

enum sg_status sg_job_restore(struct sg_engine *engine, struct sg_run *run, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    struct sg_str cause = values[SG_JOB_CAUSE].bytes;
    struct sg_str target = values[SG_JOB_TARGET].bytes;
    int64_t kind = values[SG_JOB_KIND].number;
    if (cause.len > SG_LIMIT_STEP_ID_BYTES || target.len > SG_LIMIT_STEP_ID_BYTES || kind < SG_JOB_CALL || kind > SG_JOB_WATCHDOG)
        return SG_NOT_FOUND;
    struct sg_job *job = job_create(engine, cause, target);
    if (job == NULL)
        return SG_NO_MEMORY;
    job->due.tie = (uint64_t)values[SG_JOB_ID].number;
    job->kind = (uint8_t)kind & 7u;
    job->flags = (uint8_t)values[SG_JOB_FLAGS].number;
    job->attempt = (int8_t)values[SG_JOB_ATTEMPT].number;
    job->generation = (int32_t)values[SG_JOB_GENERATION].number;
    job->snapshot = (uint16_t)values[SG_JOB_SNAPSHOT].number;
    job->due.key_ms = values[SG_JOB_DUE_AT].number;
    if (!sg_job_link(engine, run, job)) {
        job_free(engine, job);
        return SG_NO_MEMORY;
    }
    return SG_OK;
}

void sg_job_resume(struct sg_engine *engine, struct sg_job *job)
{
    SG_CHECK(job, SG_JOB_MAGIC);
    assert(!job->is_started);
    sg_gate_unqueue(engine, job);
    if (!job->has_slot)
        sg_gate_force(engine, job);
    job->is_deferred = false;
    job->is_started = true;
    job->run->calls++;
    engine->calls++;
}

void sg_job_postpone(struct sg_turn *turn, struct sg_job *job, int64_t due_at_ms)
{
    SG_CHECK(job, SG_JOB_MAGIC);
    assert(!job->is_started);
    bool is_waiting = sg_heap_has(&job->due);
    sg_gate_unqueue(turn->engine, job);
    job->due.key_ms = due_at_ms;
    if (is_waiting && !sg_heap_add(&turn->engine->due, &job->due))
        turn->is_failed = true;
    if (!job->is_new) /* it will be written when the run is flushed */
        sg_job_write(turn, job);
}

struct sg_job *sg_job_find(const struct sg_run *run, int64_t id)
{
    for (struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
        if (sg_job_id(job) == id)
            return job;
    return NULL;
}

/* A timeout ends its run; everything else makes it go on. */
static bool is_moving(const struct sg_job *job)
{
    return job->kind != SG_JOB_TIMEOUT;
}

static bool has_moving(const struct sg_run *run, int wanted)
{
    int count = 0;
    for (const struct sg_job *job = sg_job_first(run); job != NULL && count < wanted; job = sg_job_next(run, job))
        count += is_moving(job);
    return count == wanted;
}

bool sg_job_moves(const struct sg_run *run)
{
    return has_moving(run, 1);
}

bool sg_job_is_alone(const struct sg_run *run)
{
    return has_moving(run, 1) && !has_moving(run, 2);
}

int sg_job_attempts_max(const struct sg_job *job)
{
    return job->run->function->retries + 1;
}

int64_t sg_job_backoff_ms(struct sg_engine *engine, int attempt)
{
    static const int64_t seconds[] = {15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200};
    if (engine->options.retry_interval_ms > 0)
        return engine->options.retry_interval_ms;
    size_t last = SG_ARRAY_LEN(seconds) - 1;
    size_t index = attempt < 0 ? 0 : (size_t)attempt;
    return seconds[index < last ? index : last] * 1000 + (int64_t)sg_rng_below(&engine->rng, 30000);
}
