/*
 * The oracle: see the header for what it is.
 *
 * The model. A table of runs, filled from what is committed and what the SDK does. Most claims are checked at the moment at which they could become false;
 * what can only be judged at the end (has every acknowledged event led to its runs?) is in verdict.c.
 */
#include "sim/oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/rig.h"

void oracle_init(struct oracle *oracle)
{
    memset(oracle, 0, sizeof(*oracle));
    sg_map_init_ids(&oracle->runs, offsetof(struct oracle_run, id));
    sg_map_init_ids(&oracle->lines, offsetof(struct oracle_line, id));
}

void oracle_free(struct oracle *oracle)
{
    size_t cursor = 0;
    struct oracle_run *run;
    while ((run = sg_map_next(&oracle->runs, &cursor)) != NULL) {
        size_t at = 0;
        struct oracle_step *step;
        while ((step = sg_map_next(&run->steps, &at)) != NULL)
            free(step);
        sg_map_free(&run->steps);
        free(run->jobs);
        free(run);
    }
    sg_map_free(&oracle->runs);
    cursor = 0;
    struct oracle_line *line;
    while ((line = sg_map_next(&oracle->lines, &cursor)) != NULL)
        free(line);
    sg_map_free(&oracle->lines);
    free(oracle->names);
}

void oracle_break(struct oracle *oracle, const char *format, ...)
{
    if (oracle->is_broken || oracle->is_deaf)
        return;
    oracle->is_broken = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(oracle->problem, sizeof(oracle->problem), format, arguments);
    va_end(arguments);
}

uint64_t oracle_hash(struct sg_str bytes)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t index = 0; index < bytes.len; index++)
        hash = (hash ^ (uint8_t)bytes.ptr[index]) * 1099511628211u;
    return hash | 1;
}

struct oracle_run *oracle_run(struct oracle *oracle, struct sg_id id)
{
    struct oracle_run *run = sg_map_get_id(&oracle->runs, id);
    if (run != NULL)
        return run;
    run = calloc(1, sizeof(*run));
    rig_need(run != NULL, "no memory for the oracle");
    run->id = id;
    sg_map_init_strs(&run->steps, offsetof(struct oracle_step, id));
    rig_need(sg_map_add(&oracle->runs, run) == SG_OK, "no memory for the oracle");
    return run;
}

struct oracle_step *oracle_step(struct oracle_run *run, struct sg_str id)
{
    struct oracle_step *step = sg_map_get_str(&run->steps, id);
    if (step != NULL)
        return step;
    step = calloc(1, sizeof(*step));
    rig_need(step != NULL && id.len < sizeof(step->text), "no memory for the oracle");
    memcpy(step->text, id.ptr, id.len);
    step->id = (struct sg_str){step->text, id.len};
    rig_need(sg_map_add(&run->steps, step) == SG_OK, "no memory for the oracle");
    return step;
}

/* ---- commits ---- */

static void memo_committed(struct oracle *oracle, const struct sg_write *write, int64_t now_ms)
{
    const struct sg_value *values = write->record.values;
    struct oracle_run *run = oracle_run(oracle, sg_value_get_id(&values[SG_MEMO_RUN_ID]));
    struct oracle_step *step = oracle_step(run, values[SG_MEMO_STEP_ID].bytes);
    if (write->op != SG_WRITE_INSERT)
        oracle_break(oracle, "a memo was written by something else than an insert");
    if (step->memo_hash != 0)
        oracle_break(oracle, "the memo of %s was written twice", step->text);
    step->memo_hash = oracle_hash(values[SG_MEMO_BYTES].bytes);
    if (step->wakes_at_ms > now_ms)
        oracle_break(oracle, "%s woke %lld ms early", step->text, (long long)(step->wakes_at_ms - now_ms));
    oracle->memos++;
}

static void name_remember(struct oracle *oracle, const struct sg_value *values)
{
    int64_t position = values[SG_EVENT_POSITION].number;
    if (position >= oracle->name_count) {
        int64_t count = (position + 1) * 2;
        oracle->names = realloc(oracle->names, (size_t)count * sizeof(*oracle->names));
        rig_need(oracle->names != NULL, "no memory for the oracle");
        memset(oracle->names + oracle->name_count, 0, (size_t)(count - oracle->name_count) * sizeof(*oracle->names));
        oracle->name_count = count;
    }
    if (oracle->names[position] != 0)
        oracle_break(oracle, "two events have got position %lld", (long long)position);
    oracle->names[position] = oracle_hash(values[SG_EVENT_NAME].bytes);
}

/* Events of one name reach a function in the order of the log. */
static void run_created(struct oracle *oracle, const struct sg_value *values)
{
    struct sg_str blob = values[SG_RUN_EVENTS].bytes;
    uint64_t number = 0;
    for (size_t byte = 0; byte < 8 && byte < blob.len; byte++)
        number = number << 8 | (uint8_t)blob.ptr[byte];
    int64_t position = (int64_t)number;
    if (position >= oracle->name_count || oracle->names[position] == 0) {
        oracle_break(oracle, "a run was created for an event that is not in the log");
        return;
    }
    struct sg_id id = sg_value_get_id(&values[SG_RUN_FUNCTION_ID]);
    for (int byte = 0; byte < 8; byte++)
        id.bytes[byte] ^= (uint8_t)(oracle->names[position] >> (8 * byte));
    struct oracle_line *line = sg_map_get_id(&oracle->lines, id);
    if (line == NULL) {
        line = calloc(1, sizeof(*line));
        rig_need(line != NULL, "no memory for the oracle");
        line->id = id;
        rig_need(sg_map_add(&oracle->lines, line) == SG_OK, "no memory for the oracle");
    }
    if (position <= line->position)
        oracle_break(oracle, "the event at %lld overtook that at %lld", (long long)line->position, (long long)position);
    line->position = position;
}

static void run_committed(struct oracle *oracle, const struct sg_value *values)
{
    struct sg_id id = sg_value_get_id(&values[SG_RUN_ID]);
    struct oracle_run *run = oracle_run(oracle, id);
    if (sg_id_is_null(run->function_id))
        run_created(oracle, values);
    run->function_id = sg_value_get_id(&values[SG_RUN_FUNCTION_ID]);
    if (!values[SG_RUN_STARTED_AT].is_null)
        run->started_at_ms = values[SG_RUN_STARTED_AT].number;
    if (run->ends > 0)
        oracle_break(oracle, "a run was written after its end");
    if (values[SG_RUN_ENDED_AT].is_null)
        return;
    run->ends++;
    oracle->ended_runs++;
}

static void lifecycle_committed(struct oracle *oracle, const struct sg_value *values)
{
    struct oracle_run *run = oracle_run(oracle, sg_value_get_id(&values[SG_EVENT_RUN_ID]));
    struct sg_str name = values[SG_EVENT_NAME].bytes;
    run->finished += sg_str_eq(name, SG_STR("inngest/function.finished"));
    run->failed += sg_str_eq(name, SG_STR("inngest/function.failed"));
    run->cancelled += sg_str_eq(name, SG_STR("inngest/function.cancelled"));
}

/* The options of requests are never written. */
static void secrets_judge(struct oracle *oracle, const struct sg_record *record)
{
    for (int column = 0; column < SG_COLUMNS_MAX; column++) {
        struct sg_str bytes = record->values[column].bytes;
        if (bytes.len > 0 && memmem(bytes.ptr, bytes.len, "s3cret", 6) != NULL)
            oracle_break(oracle, "a secret was written to %s", sg_kind_info(record->kind)->table);
    }
}

void oracle_committed(struct oracle *oracle, const struct sg_write *writes, size_t count, int64_t now_ms)
{
    for (size_t index = 0; index < count; index++) {
        const struct sg_write *write = &writes[index];
        bool is_put = write->op == SG_WRITE_PUT || write->op == SG_WRITE_INSERT;
        if (!is_put && (write->record.kind == SG_KIND_MEMO || write->record.kind == SG_KIND_RUN || write->record.kind == SG_KIND_EVENT))
            oracle_break(oracle, "history was deleted");
        if (!is_put)
            continue;
        if (write->record.kind == SG_KIND_STEP || write->record.kind == SG_KIND_ANSWER || write->record.kind == SG_KIND_ATTEMPT)
            secrets_judge(oracle, &write->record);
        if (write->record.kind == SG_KIND_MEMO)
            memo_committed(oracle, write, now_ms);
        else if (write->record.kind == SG_KIND_RUN)
            run_committed(oracle, write->record.values);
        else if (write->record.kind == SG_KIND_EVENT) {
            name_remember(oracle, write->record.values);
            if (!write->record.values[SG_EVENT_RUN_ID].is_null)
                lifecycle_committed(oracle, write->record.values);
        }
    }
}

/* ---- calls ---- */

static struct oracle_attempt *attempt_of(struct oracle_run *run, int64_t job_id)
{
    for (int index = run->job_count - 1; index >= 0; index--)
        if (run->jobs[index].job_id == job_id)
            return &run->jobs[index];
    if (run->job_count == run->job_capacity) {
        run->job_capacity = run->job_capacity == 0 ? 8 : run->job_capacity * 2;
        run->jobs = realloc(run->jobs, (size_t)run->job_capacity * sizeof(*run->jobs));
        rig_need(run->jobs != NULL, "no memory for the oracle");
    }
    struct oracle_attempt *job = &run->jobs[run->job_count++];
    *job = (struct oracle_attempt){.job_id = job_id, .attempt = -1};
    return job;
}

/* Every step is followed by one discovery at most (reference/02 §3.3). */
static void discovery_called(struct oracle *oracle, struct oracle_run *run, const struct sg_call *call)
{
    if (call->target.len > 0 || call->cause.len == 0 || run->is_excused)
        return;
    struct oracle_step *step = oracle_step(run, call->cause);
    if (step->discovery_job != 0 && step->discovery_job != call->job_id)
        oracle_break(oracle, "%s was followed by two discoveries", step->text);
    step->discovery_job = call->job_id;
}

void oracle_called(struct oracle *oracle, const struct sg_call *call, int64_t now_ms)
{
    struct oracle_run *run = oracle_run(oracle, call->run_id);
    struct oracle_attempt *job = attempt_of(run, call->job_id);
    discovery_called(oracle, run, call);
    if (call->attempt >= call->max_attempts && !run->is_excused)
        oracle_break(oracle, "attempt %d of %d", call->attempt, call->max_attempts);
    if (job->attempt >= 0 && call->generation <= job->generation)
        oracle_break(oracle, "job %lld was called with generation %d after %d", (long long)call->job_id, call->generation, job->generation);
    bool is_same = call->attempt == job->attempt;
    bool is_next = call->attempt == job->attempt + 1;
    bool is_reset = job->is_reset && call->attempt <= 1;
    if (job->attempt < 0 ? call->attempt != 0 : !is_same && !is_next && !is_reset)
        oracle_break(oracle, "job %lld went from attempt %d to %d", (long long)call->job_id, job->attempt, call->attempt);
    if (job->attempt >= 0 && is_next && !is_reset) {
        if (job->again_at_ms == 0)
            oracle_break(oracle, "attempt %d of job %lld was made without a failure", call->attempt, (long long)call->job_id);
        else if (now_ms < job->again_at_ms)
            oracle_break(oracle, "attempt %d was made %lld ms early", call->attempt, (long long)(job->again_at_ms - now_ms));
    }
    job->again_at_ms = 0; /* what an older generation was answered counts no more */
    job->attempt = call->attempt;
    job->generation = call->generation;
}

void oracle_shown(struct oracle *oracle, struct oracle_run *run, struct sg_str step_id, struct sg_str bytes, int64_t tick, int64_t now_ms)
{
    struct oracle_step *step = oracle_step(run, step_id);
    if (step->memo_hash != oracle_hash(bytes))
        oracle_break(oracle, "the memo of %s is not what was committed", step->text);
    if (step->wakes_at_ms > now_ms)
        oracle_break(oracle, "the end of %s was shown early", step->text);
    if (step->shown_at == 0)
        step->shown_at = tick;
}

void oracle_confirmed(struct oracle *oracle, struct oracle_run *run, struct sg_str step_id, const struct sg_call *call, int64_t tick)
{
    struct oracle_step *step = oracle_step(run, step_id);
    if (step->memo_hash == 0)
        oracle_break(oracle, "a checkpoint of %s was confirmed, but it is not remembered", step->text);
    if (step->shown_at == 0)
        step->shown_at = tick;
    step->confirmed_job = call->job_id;
    step->confirmed_generation = call->generation;
}

int oracle_executed(struct oracle *oracle, struct oracle_run *run, struct sg_str step_id, const struct sg_call *call, int64_t called_at)
{
    struct oracle_step *step = oracle_step(run, step_id);
    if (step->confirmed_job == call->job_id && call->generation > step->confirmed_generation)
        oracle_break(oracle, "%s was executed again by generation %d after generation %d had been confirmed its checkpoint", step->text,
                     call->generation, step->confirmed_generation);
    if (step->shown_at > 0 && step->shown_at < called_at)
        oracle_break(oracle, "%s was executed again by a call made after its memo had been shown", step->text);
    oracle->executions++;
    return ++step->executions;
}

void oracle_may_fail(struct oracle *oracle, const struct sg_call *call, int64_t again_at_ms)
{
    struct oracle_attempt *job = attempt_of(oracle_run(oracle, call->run_id), call->job_id);
    if (job->generation == call->generation && (job->again_at_ms == 0 || again_at_ms < job->again_at_ms))
        job->again_at_ms = again_at_ms;
}

void oracle_may_fail_job(struct oracle *oracle, struct sg_id run_id, int64_t job_id, int32_t generation, int64_t now_ms,
                         int64_t retry_interval_ms)
{
    static const int64_t seconds[] = {15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200};
    struct oracle_attempt *job = attempt_of(oracle_run(oracle, run_id), job_id);
    int64_t again_at_ms = now_ms + (retry_interval_ms > 0 ? retry_interval_ms : seconds[job->attempt < 9 ? job->attempt : 9] * 1000);
    if (job->generation == generation && (job->again_at_ms == 0 || again_at_ms < job->again_at_ms))
        job->again_at_ms = again_at_ms;
}

void oracle_may_reset(struct oracle *oracle, const struct sg_call *call)
{
    attempt_of(oracle_run(oracle, call->run_id), call->job_id)->is_reset = true;
}
