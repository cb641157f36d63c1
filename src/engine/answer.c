/*
 * Answers: what an SDK's response to a call does to the run (reference/02 §2, §4.2).
 *
 * The model. An answer belongs to a job and a generation; if either is not the present one, the answer is late and dropped. It finishes the run,
 * fails an attempt, or carries ops. Ops are applied in order, RunComplete last; then the job ends: it is retried, or it is removed and the
 * discovery that follows is enqueued, in the same commit. Every handler is idempotent, since a step may be reported many times: first write wins
 * for memos, is_planned for jobs.
 *
 * An answer that would write more than a message may is applied by a cursor in slices (cursor.c), through the same functions.
 *
 * To add an opcode, add its case to sg_apply_op.
 */
#include "engine/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "engine/cursor.h"
#include "engine/endpoint.h"
#include "engine/fetch.h"
#include "engine/group.h"
#include "engine/invoke.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"
#include "engine/topic.h"
#include "engine/wait.h"

/* What one op writes at most: a step, and a memo or a job and a pause. An invoke adds an event and a run with all that belongs to it. */
#define WRITES_PER_OP 3
#define WRITES_PER_INVOKE (9 + SG_LIMIT_CANCELS_PER_FUNCTION)
/* The rest is for the end of the job. */
#define WRITES_PER_TURN (SG_LIMIT_WRITES_PER_MESSAGE - 30)

static bool is_plan(enum sg_opcode code)
{
    switch (code) {
#define SG_OPCODE(NAME, wire, is_plan)                                                                                                     \
    case SG_OP_##NAME:                                                                                                                     \
        return is_plan;
#include "opcodes.def"
#undef SG_OPCODE
    case SG_OP_COUNT:
        break;
    }
    return false;
}

static bool is_lazy(enum sg_opcode code)
{
    return code == SG_OP_DEFER_ADD || code == SG_OP_DEFER_ABORT;
}

static bool is_empty(const struct sg_answer *answer)
{
    for (size_t index = 0; index < answer->op_count; index++)
        if (answer->ops[index].code != SG_OP_NONE || answer->ops[index].id.len > 0)
            return false;
    return true;
}

struct sg_str sg_memo_wrap(struct sg_turn *turn, struct sg_str key, struct sg_str bytes)
{
    char *memo = sg_turn_alloc(turn, key.len + bytes.len + 5);
    if (memo == NULL)
        return SG_STR_NULL;
    size_t len = 0;
    memcpy(memo, "{\"", 2);
    len += 2;
    memcpy(memo + len, key.ptr, key.len);
    len += key.len;
    memcpy(memo + len, "\":", 2);
    len += 2;
    if (bytes.len > 0)
        memcpy(memo + len, bytes.ptr, bytes.len);
    len += bytes.len;
    memo[len++] = '}';
    return (struct sg_str){memo, len};
}

/* The attempt failed as a whole: the same job again, or the end of the run. */
static void attempt_failed(struct sg_turn *turn, struct sg_job *job, const struct sg_answer *answer, bool is_no_retry)
{
    struct sg_run *run = job->run;
    if (!is_no_retry && job->attempt + 1 < sg_job_attempts_max(job)) {
        int64_t delay_ms = answer->retry_after_ms > 0 ? answer->retry_after_ms : sg_job_backoff_ms(turn->engine, job->attempt);
        sg_job_retry(turn, job, delay_ms);
        return;
    }
    sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_FAILED, .output = answer->output, .error = answer->error});
}

/* What came of this call: kept for whoever asks how a run went. */
static void attempt_record(struct sg_turn *turn, const struct sg_job *job, const struct sg_answer *answer)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_ATTEMPT);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_ATTEMPT_RUN_ID] = sg_turn_id(turn, job->run->id);
    values[SG_ATTEMPT_CALL] = sg_value_int(sg_job_id(job) * 65536 + (job->generation & 65535));
    values[SG_ATTEMPT_NUMBER] = sg_value_int(job->attempt);
    struct sg_job_text room;
    if (job->target_len > 0)
        values[SG_ATTEMPT_TARGET] = sg_value_bytes(sg_turn_copy(turn, sg_job_target(job, &room)));
    int64_t started_at_ms = turn->now_ms - answer->duration_ms;
    if (started_at_ms < job->run->started_at_ms)
        started_at_ms = job->run->started_at_ms; /* durations are rounded: no call is older than its run */
    values[SG_ATTEMPT_STARTED_AT] = sg_value_int(started_at_ms);
    values[SG_ATTEMPT_ENDED_AT] = sg_value_int(turn->now_ms);
    values[SG_ATTEMPT_HTTP_STATUS] = sg_value_int(answer->http_status);
    values[SG_ATTEMPT_OPS] = sg_value_int((int64_t)answer->op_count);
    struct sg_str error = answer->kind == SG_ANSWER_ERROR ? answer->error : SG_STR_NULL;
    for (size_t index = 0; index < answer->op_count && error.len == 0; index++)
        error = answer->ops[index].error;
    if (error.len > 0)
        values[SG_ATTEMPT_ERROR] = sg_value_bytes(error);
}

/* The answer is set aside: the events that it waits for are kept back, so that its waits see those that come from now on. */
static void keep_events(struct sg_turn *turn, struct sg_message *message)
{
    if (message->as.answer.position != 0)
        return;
    message->as.answer.position = turn->engine->next_position;
    sg_topic_hold(turn, message->as.answer.answer.ops, message->as.answer.answer.op_count);
}

void sg_answer_let_go(struct sg_engine *engine, struct sg_message *message)
{
    if (message->as.answer.position != 0)
        sg_topic_release(engine, message->as.answer.answer.ops, message->as.answer.answer.op_count);
    message->as.answer.position = 0;
}

bool sg_answer_handle(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_run *run = sg_map_get_id(&turn->engine->runs, message->as.answer.run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0)
        return false;
    if (run->hold != SG_HOLD_NONE || !sg_run_hydrate(turn, run)) {
        keep_events(turn, message);
        return sg_run_set_aside(run, message);
    }
    struct sg_job *job = sg_job_find(run, message->as.answer.job_id);
    if (job == NULL || !job->is_started || job->generation != message->as.answer.generation)
        return false; /* late: another generation, or nobody, owns this work now */
    if (sg_fetch_is_out(turn->engine, job))
        return false; /* it has been answered, and waits for what its steps asked of us */

    const struct sg_answer *answer = &message->as.answer.answer;
    if (run->hot->trigger == NULL && sg_wait_needs_trigger(answer->ops, answer->op_count)) {
        keep_events(turn, message);
        sg_run_ask_trigger(turn, run);
        return sg_run_set_aside_first(run, message);
    }
    struct sg_id run_id = run->id;
    attempt_record(turn, job, answer);
    if (answer->kind == SG_ANSWER_FINISHED) {
        sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_COMPLETED, .output = answer->output});
    } else if (answer->kind == SG_ANSWER_ERROR) {
        attempt_failed(turn, job, answer, answer->is_no_retry);
    } else {
        sg_answer_apply(turn, job, answer, message->as.answer.position);
    }
    run = sg_map_get_id(&turn->engine->runs, run_id);
    if (run != NULL && (run->flags & SG_RUN_IS_ENDED) == 0)
        sg_run_flush(turn, run);
    return false;
}

size_t sg_apply_count(const struct sg_answer *answer, size_t from, int writes_max)
{
    size_t count = 0;
    for (int writes = 0; from + count < answer->op_count; count++) {
        writes += answer->ops[from + count].code == SG_OP_INVOKE_FUNCTION ? WRITES_PER_INVOKE : WRITES_PER_OP;
        if (writes > writes_max)
            break;
    }
    return count;
}

void sg_answer_apply(struct sg_turn *turn, struct sg_job *job, const struct sg_answer *answer, int64_t position)
{
    if (answer->op_count > SG_LIMIT_OPS_PER_ANSWER) {
        char text[128];
        snprintf(text, sizeof(text), "InngestErrFunctionOverflowed: The function run exceeded the step limit of %d steps.",
                 SG_LIMIT_OPS_PER_ANSWER);
        sg_run_fail(turn, job->run, "InngestErrFunctionOverflowed", text, strchr(text, ' ') + 1);
        return;
    }
    if (sg_apply_count(answer, 0, WRITES_PER_TURN) < answer->op_count) {
        sg_cursor_answer_add(turn, job, answer, position);
        return;
    }
    struct sg_apply apply = {.job = job, .answer = answer, .position = position};
    sg_apply_begin(turn, &apply, false);
    bool is_live = true;
    for (size_t index = 0; index < answer->op_count && is_live; index++)
        is_live = sg_apply_op(turn, &apply, &answer->ops[index]);
    if (is_live)
        sg_apply_end(turn, &apply);
}

void sg_apply_begin(struct sg_turn *turn, struct sg_apply *apply, bool is_resumed)
{
    struct sg_run *run = apply->job->run;
    const struct sg_answer *answer = apply->answer;
    size_t real_count = 0;
    bool has_plan = false;
    for (size_t index = 0; index < answer->op_count; index++) {
        real_count += !is_lazy(answer->ops[index].code);
        has_plan = has_plan || is_plan(answer->ops[index].code);
    }
    if (!is_resumed && run->request_version == -1 && !is_empty(answer)) {
        run->request_version = (int8_t)answer->request_version;
        sg_run_touch_live(run);
    }
    apply->is_grouped = real_count > 1 && has_plan && run->request_version >= 2;
    if (is_resumed || real_count <= 1)
        return;
    run->flags |= SG_RUN_IS_PLAN_FORCED;
    sg_run_touch_live(run);
    if (apply->is_grouped)
        sg_group_open(turn, run, answer->ops, answer->op_count);
}

/* ---- ops ---- */

/* Writes the memo of a step that has completed or finally failed. False if the run's state would grow too large: it has been failed. */
static bool step_completed(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op,
                           enum sg_step_status status, struct sg_str memo)
{
    struct sg_run *run = apply->job->run;
    if ((step->flags & SG_STEP_HAS_MEMO) == 0 && run->state_bytes + (int64_t)memo.len > SG_LIMIT_STATE_BYTES) {
        char text[160];
        snprintf(text, sizeof(text), "InngestErrStateOverflowed: The function run exceeded the state size limit of %d bytes.",
                 SG_LIMIT_STATE_BYTES);
        sg_run_fail(turn, run, "InngestErrStateOverflowed", text, strchr(text, ' ') + 1);
        return false;
    }
    bool is_fresh = sg_step_memoize(turn, run, step, status, memo);
    if (!is_fresh && apply->last_is_fresh)
        return true; /* old news does not hide what has just happened */
    apply->last_is_fresh = is_fresh;
    apply->last_is_race = op->is_race || (apply->job->flags & SG_JOB_IS_RACE) != 0;
    apply->last = step;
    return true;
}

bool sg_apply_completed(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, bool is_race, enum sg_step_status status,
                        struct sg_str memo)
{
    return step_completed(turn, apply, step, &(struct sg_op){.is_race = is_race}, status, memo);
}

static bool step_failed(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op)
{
    if ((step->flags & SG_STEP_HAS_MEMO) == 0) {
        step->attempts++;
        step->error = op->error;
    }
    return step_completed(turn, apply, step, op, SG_STEP_FAILED, sg_memo_wrap(turn, SG_STR("error"), op->error));
}

static void step_errored(struct sg_apply *apply, struct sg_step *step, const struct sg_op *op)
{
    apply->retry = op;
    if ((step->flags & SG_STEP_HAS_MEMO) != 0)
        return;
    step->status = SG_STEP_ERRORED;
    step->attempts++;
    step->error = op->error;
    sg_step_touch(apply->job->run, step);
}

/* Plans a job for the step once, however often it is reported (reference/02 §3.3). */
static void plan(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, enum sg_step_status status,
                 const struct sg_job_spec *spec)
{
    if ((step->flags & (SG_STEP_IS_PLANNED | SG_STEP_HAS_MEMO)) != 0)
        return;
    step->flags |= SG_STEP_IS_PLANNED;
    step->status = (uint8_t)status;
    sg_step_touch(apply->job->run, step);
    sg_job_add(turn, apply->job->run, spec);
}

/* False if the sleep's text is no time, or too far away: the run has been failed (reference/02 §4.4, §9.4). */
static bool sleep_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int flags)
{
    struct sg_run *run = apply->job->run;
    int64_t delay_ms = 0; /* "" wakes at once: TS 2 and 3 send it for anything under a second */
    int64_t wall_ms = turn->now_ms - turn->engine->options.clock_offset_ms;
    char text[192];
    struct sg_str shown = sg_str_cut(op->duration, 64);
    if (op->duration.len > 0 && sg_delay_parse(op->duration, wall_ms, &delay_ms, NULL) != SG_OK) {
        snprintf(text, sizeof(text), "The sleep \"%.*s\" is neither a duration nor a date.", SG_FMT(shown));
        sg_run_fail(turn, run, "Error", text, text);
        return false;
    }
    if (delay_ms > SG_LIMIT_SLEEP_MS) {
        snprintf(text, sizeof(text), "The sleep \"%.*s\" ends more than one year in the future; sleeps may last at most one year.",
                 SG_FMT(shown));
        sg_run_fail(turn, run, "InngestErrTimeoutTooLong", text, text);
        return false;
    }
    struct sg_job_spec spec = {.kind = SG_JOB_SLEEP, .flags = flags, .target = op->id, .due_at_ms = turn->now_ms + delay_ms};
    if (spec.due_at_ms <= turn->now_ms)
        spec.due_at_ms = turn->now_ms + 1; /* through the queue, so that the ops after it are applied first */
    plan(turn, apply, step, SG_STEP_WAITING, &spec);
    return true;
}

static bool not_supported(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op)
{
    char text[160];
    snprintf(text, sizeof(text), "This version of stepgate does not support the step kind %s.", sg_opcode_name(op->code));
    sg_run_fail(turn, run, "NotSupportedError", text, text);
    return false;
}

bool sg_apply_retries(const struct sg_apply *apply, const struct sg_op *op)
{
    if (op->code != SG_OP_STEP_NOT_FOUND && (op->code != SG_OP_STEP_ERROR || apply->answer->is_no_retry))
        return false;
    return apply->job->attempt + 1 < sg_job_attempts_max(apply->job);
}

/* The SDK does not know the step that it was asked for (reference/02 §7.16). False if the run has been failed. */
static bool step_not_found(struct sg_turn *turn, struct sg_apply *apply, const struct sg_op *op)
{
    if (sg_apply_retries(apply, op)) {
        apply->retry = op;
        return true;
    }
    sg_run_fail(turn, apply->job->run, "Error", "step not found", "The SDK could not find the step that it had planned.");
    return false;
}

bool sg_apply_op(struct sg_turn *turn, struct sg_apply *apply, const struct sg_op *op)
{
    struct sg_job *job = apply->job;
    struct sg_run *run = job->run;
    if (op->code == SG_OP_RUN_COMPLETE || op->code == SG_OP_SYNC_RUN_COMPLETE) {
        apply->complete = op;
        return true;
    }
    if (sg_endpoint_is_function_error(run, op)) {
        if (sg_apply_retries(apply, op))
            apply->retry = op;
        else
            apply->failure = op;
        return true;
    }
    if (op->code == SG_OP_NONE || op->id.len == 0)
        return true;
    struct sg_job_text room;
    if (op->code == SG_OP_DISCOVERY_REQUEST) {
        /* Always another call, even if an equal id was seen before (field report). */
        sg_job_add(turn, run, &(struct sg_job_spec){.kind = SG_JOB_CALL, .cause = sg_job_cause(job, &room), .due_at_ms = turn->now_ms});
        return true;
    }
    if (op->code == SG_OP_STEP_NOT_FOUND)
        return step_not_found(turn, apply, op);
    struct sg_step *step = sg_step_report(turn, run, op);
    if (step == NULL)
        return true; /* out of memory: the turn will say so */
    if (apply->is_grouped && sg_group_has_member(op))
        sg_group_mark(run, step, op->is_race);

    int flags = op->is_race ? SG_JOB_IS_RACE : 0;
    switch (op->code) {
    case SG_OP_STEP:
        return step_completed(turn, apply, step, op, SG_STEP_COMPLETED, op->data);
    case SG_OP_STEP_RUN:
        return step_completed(turn, apply, step, op, SG_STEP_COMPLETED, sg_memo_wrap(turn, SG_STR("data"), op->data));
    case SG_OP_STEP_ERROR:
        if (sg_apply_retries(apply, op)) {
            step_errored(apply, step, op);
            return true;
        }
        return step_failed(turn, apply, step, op);
    case SG_OP_STEP_FAILED:
        return step_failed(turn, apply, step, op);
    case SG_OP_STEP_PLANNED:
        /* The planner's cause stays, so that ctx.stack.current is the planner's (reference/02 §4.3). */
        plan(turn, apply, step, SG_STEP_PLANNED,
             &(struct sg_job_spec){
                 .kind = SG_JOB_CALL, .flags = flags, .cause = sg_job_cause(job, &room), .target = op->id, .due_at_ms = turn->now_ms});
        return true;
    case SG_OP_SLEEP:
        return sleep_begin(turn, apply, step, op, flags);
    case SG_OP_WAIT_FOR_EVENT:
        return sg_wait_begin(turn, apply, step, op, flags);
    case SG_OP_WAIT_FOR_SIGNAL:
        return sg_wait_signal_begin(turn, apply, step, op, flags);
    case SG_OP_INVOKE_FUNCTION:
        return sg_invoke_begin(turn, apply, step, op, flags);
    case SG_OP_GATEWAY:
    case SG_OP_AI_GATEWAY:
        return sg_fetch_begin(turn, apply, step, op);
    default:
        return not_supported(turn, run, op);
    }
}

void sg_apply_end(struct sg_turn *turn, struct sg_apply *apply)
{
    struct sg_job *job = apply->job;
    struct sg_run *run = job->run;
    const struct sg_answer *answer = apply->answer;

    if (apply->complete != NULL) {
        if ((run->flags & SG_RUN_IS_HTTP) != 0)
            sg_endpoint_complete(turn, run, apply->complete);
        else
            sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_COMPLETED, .output = apply->complete->data});
        return;
    }
    if (apply->failure != NULL) {
        sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_FAILED, .error = apply->failure->error});
        return;
    }
    bool is_fetching = sg_fetch_is_out(turn->engine, job);
    if (is_fetching)
        sg_fetch_wait(turn, apply);
    else if (apply->retry != NULL)
        attempt_failed(turn, job, answer, false);
    if (apply->retry != NULL)
        return;
    if (apply->last != NULL)
        sg_group_continue(turn, run, apply->last, apply->last_is_race, apply->last_is_fresh);
    if (is_fetching)
        return;
    if (apply->is_interrupted)
        sg_job_repeat(turn, job);
    else
        sg_apply_leave(turn, job);
}

void sg_apply_leave(struct sg_turn *turn, struct sg_job *job)
{
    struct sg_run *run = job->run;
    if (sg_job_is_alone(run)) {
        /*
         * Nothing follows from this answer and nothing else would move the run: ask again, a bounded number of times (reference/02 §7.1). An
         * SDK answers `[]` only while other branches are open.
         */
        if (job->attempt + 1 < sg_job_attempts_max(job)) {
            sg_job_retry(turn, job, sg_job_backoff_ms(turn->engine, job->attempt));
            return;
        }
        sg_run_fail(turn, run, "Error", "no progress", "The SDK answered without reporting a new step, a result or an error.");
        return;
    }
    sg_job_remove(turn, job);
}
