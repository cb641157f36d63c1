/*
 * Durable endpoints: runs that begin in the user's HTTP handler (reference/03 §4.3).
 *
 * The model. The SDK executes the handler for a client of its own, chooses the run's id, and reports each step when it is done. Until
 * something takes time the run is *synchronous*: the endpoint moves it, we only write down. Its one job is a watchdog, pushed on by the
 * reports, so that a run whose endpoint has died ends too.
 *
 * The first op that is answered later (a sleep, a step to be tried again, parallel steps) makes the run *asynchronous*: from then on
 * it is a run like any other, except that its calls repeat the original request. The report that brings such an op is applied as the answer
 * to a call that never was: the watchdog becomes that call's job, and everything that follows from answers follows from here.
 *
 * Reports come more than once, since SDKs repeat what got no reply. First write wins for memos; what would move the run counts only
 * while there is a watchdog, so a repeat of the report that made the run asynchronous changes nothing.
 *
 * What it never does: resume a run whose endpoint has died. The client's request was cut off, nobody waits for a result, and the
 * handler may have done half of something that it does not repeat safely (reference/03 §4.9).
 */
#include "engine/endpoint.h"

#include <stdio.h>

#include <stepgate/json.h>

#include "engine/answer.h"
#include "engine/app.h"
#include "engine/event.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"
#include "engine/wait.h"

/* SHA-1 of "complete": the id of RunComplete, and of an error of the handler itself. */
#define COMPLETE_ID SG_STR("0737c22d3bfae812339732d14d8c7dbd6dc4e09c")
/* Each result writes a memo and a step. */
#define RESULTS_MAX ((size_t)SG_LIMIT_WRITES_PER_MESSAGE / 3)
/* The watchdog is written anew only when a report moves it by this part of its time: a row less for nearly every step. */
#define WATCHDOG_SLACK 60

struct sg_job *sg_endpoint_watchdog(const struct sg_run *run)
{
    /* It is the only job of such a run. */
    struct sg_job *job = run->jobs_last;
    return job != NULL && job->kind == SG_JOB_WATCHDOG ? job : NULL;
}

bool sg_endpoint_is_function_error(const struct sg_run *run, const struct sg_op *op)
{
    if ((run->flags & SG_RUN_IS_HTTP) == 0 || (op->code != SG_OP_STEP_ERROR && op->code != SG_OP_STEP_FAILED))
        return false;
    /* A step that the user calls "complete" has the same id, but also a name. */
    return sg_str_eq(op->id, COMPLETE_ID) && op->name.len == 0 && sg_str_eq(op->display_name, op->id);
}

/* Whether the op leaves the run with its endpoint. */
static bool is_result(enum sg_opcode code)
{
    switch (code) {
    case SG_OP_NONE:
    case SG_OP_STEP:
    case SG_OP_STEP_RUN:
    case SG_OP_RUN_COMPLETE:
    case SG_OP_SYNC_RUN_COMPLETE:
    case SG_OP_DEFER_ADD:
    case SG_OP_DEFER_ABORT:
        return true;
    default:
        return false;
    }
}

static bool has_only_results(const struct sg_op *ops, size_t count)
{
    for (size_t index = 0; index < count; index++)
        if (!is_result(ops[index].code))
            return false;
    return true;
}

/* ---- the end ---- */

void sg_endpoint_complete(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op)
{
    struct sg_str data = op->code == SG_OP_SYNC_RUN_COMPLETE ? sg_json_get(op->data, SG_STR("data")) : op->data;
    int64_t http_status = 0;
    if (!sg_json_to_int(sg_json_get(data, SG_STR("status")), &http_status) || http_status < 500) {
        sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_COMPLETED, .output = data});
        return;
    }
    char text[160];
    int len = snprintf(text, sizeof(text),
                       "{\"error\":\"HTTP status %lld\",\"message\":\"The endpoint answered with HTTP status %lld.\",\"name\":\"Error\"}",
                       (long long)http_status, (long long)http_status);
    assert(len > 0 && (size_t)len < sizeof(text));
    struct sg_str error = sg_turn_copy(turn, (struct sg_str){text, (size_t)len});
    sg_run_end(turn, run, &(struct sg_run_end){.status = SG_RUN_FAILED, .output = data, .error = error});
}

void sg_endpoint_expire(struct sg_turn *turn, struct sg_run *run)
{
    char text[200];
    snprintf(text, sizeof(text),
             "The endpoint has reported nothing for %lld s; its process was probably ended before it could finish the request.",
             (long long)(turn->engine->options.endpoint_idle_ms / 1000));
    sg_run_fail(turn, run, "EndpointTimeoutError", "endpoint timeout", text);
}

/* ---- reports ---- */

static void watchdog_push(struct sg_turn *turn, struct sg_job *watchdog)
{
    int64_t idle_ms = turn->engine->options.endpoint_idle_ms;
    int64_t due_at_ms = turn->now_ms + idle_ms;
    if (due_at_ms - watchdog->due.key_ms > idle_ms / WATCHDOG_SLACK)
        sg_job_postpone(turn, watchdog, due_at_ms);
}

/* What an endpoint says of a run that it no longer moves: results that we do not have are as good as ever, the rest is old news. */
static void late_apply(struct sg_turn *turn, struct sg_run *run, const struct sg_op *ops, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        const struct sg_op *op = &ops[index];
        bool is_memo = (op->code == SG_OP_STEP_RUN || op->code == SG_OP_STEP) && op->id.len > 0;
        if (is_memo && run->state_bytes + (int64_t)op->data.len <= SG_LIMIT_STATE_BYTES && run->next_seq < SG_LIMIT_STEPS_PER_RUN_MAX)
            sg_checkpoint_apply(turn, run, op);
    }
}

/* Applies a report; the run may be gone afterwards. */
static void report_apply(struct sg_turn *turn, struct sg_run *run, struct sg_op *ops, size_t count)
{
    struct sg_job *watchdog = sg_endpoint_watchdog(run);
    struct sg_answer answer = {.kind = SG_ANSWER_OPS, .ops = ops, .op_count = count};
    if (watchdog == NULL) {
        late_apply(turn, run, ops, count);
        return;
    }
    if (!has_only_results(ops, count)) {
        sg_job_resume(turn->engine, watchdog);
        watchdog->kind = SG_JOB_CALL;
        watchdog->due.key_ms = turn->now_ms; /* what is left of it after a crash is due at once */
        watchdog->is_new = false;            /* it has been started, if one likes: nothing starts it */
        sg_job_write(turn, watchdog);
        sg_answer_apply(turn, watchdog, &answer, 0);
        return;
    }
    struct sg_apply apply = {.job = watchdog, .answer = &answer};
    for (size_t index = 0; index < count; index++)
        if (!sg_apply_op(turn, &apply, &ops[index]))
            return; /* it was too much for the run, and ended it */
    if (apply.complete != NULL)
        sg_endpoint_complete(turn, run, apply.complete);
    else
        watchdog_push(turn, watchdog);
}

/* Applies and writes. */
static void report_finish(struct sg_turn *turn, struct sg_run *run, struct sg_op *ops, size_t count)
{
    struct sg_id id = run->id;
    report_apply(turn, run, ops, count);
    run = sg_map_get_id(&turn->engine->runs, id);
    if (run != NULL && (run->flags & SG_RUN_IS_ENDED) == 0)
        sg_run_flush(turn, run);
}

/*
 * Whether the message has to wait for the run's steps, or for its event because a wait's expression names it: then it is set aside, which *is_kept
 * says. The reply waits with it, so that the wait may as well begin when it is handled.
 */
static bool must_wait(struct sg_turn *turn, struct sg_run *run, const struct sg_op *ops, size_t count, struct sg_message *message,
                      bool *is_kept)
{
    if (run->hold != SG_HOLD_NONE || !sg_run_hydrate(turn, run)) {
        *is_kept = sg_run_set_aside(run, message);
        return true;
    }
    if (sg_endpoint_watchdog(run) == NULL || run->hot->trigger != NULL || !sg_wait_needs_trigger(ops, count))
        return false;
    sg_run_ask_trigger(turn, run);
    *is_kept = sg_run_set_aside_first(run, message);
    return true;
}

static bool is_too_long(const struct sg_op *ops, size_t count)
{
    return count > RESULTS_MAX && has_only_results(ops, count);
}

bool sg_endpoint_report(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_run *run = sg_map_get_id(&turn->engine->runs, message->as.checkpoint.run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "the run has ended or is unknown");
        return false;
    }
    if ((run->flags & SG_RUN_IS_HTTP) == 0) {
        sg_turn_reply(turn, message, SG_INVALID_ARGUMENT, "the run was not created by a durable endpoint");
        return false;
    }
    if (is_too_long(message->as.checkpoint.ops, message->as.checkpoint.op_count)) {
        sg_turn_reply(turn, message, SG_TOO_LARGE, "a report may carry at most %zu steps", RESULTS_MAX);
        return false;
    }
    bool is_kept;
    if (must_wait(turn, run, message->as.checkpoint.ops, message->as.checkpoint.op_count, message, &is_kept))
        return is_kept;
    report_finish(turn, run, message->as.checkpoint.ops, message->as.checkpoint.op_count);
    sg_turn_reply(turn, message, SG_OK, "%s", "");
    return false;
}

/* ---- the beginning ---- */

static void reply_created(struct sg_turn *turn, struct sg_message *message, struct sg_id function_id)
{
    size_t effects = turn->batch->effect_count;
    sg_turn_reply(turn, message, SG_OK, "%s", "");
    if (turn->batch->effect_count > effects)
        turn->batch->effects[effects].reply.id = function_id;
}

static bool is_function_of(const struct sg_http_run_in *in, struct sg_id function_id)
{
    return sg_id_eq(in->function.id, function_id) || sg_id_eq(in->other.id, function_id);
}

/* The SDK repeats a creation whose reply it did not see: that is a success, and the steps in it are what they were (reference/03 §4.4). */
static bool create_again(struct sg_turn *turn, struct sg_message *message, struct sg_run *run)
{
    const struct sg_http_run_in *in = &message->as.http_run;
    struct sg_id function_id = run->function->id;
    if ((run->flags & SG_RUN_IS_HTTP) == 0 || !is_function_of(in, function_id)) {
        sg_turn_reply(turn, message, SG_CONFLICT, "Run already exists");
        return false;
    }
    if ((run->flags & SG_RUN_IS_ENDED) == 0) {
        bool is_kept;
        if (must_wait(turn, run, in->ops, in->op_count, message, &is_kept))
            return is_kept;
        report_finish(turn, run, in->ops, in->op_count);
    }
    reply_created(turn, message, function_id);
    return false;
}

bool sg_endpoint_create(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_http_run_in *in = &message->as.http_run;
    struct sg_engine *engine = turn->engine;
    struct sg_run *known = sg_map_get_id(&engine->runs, in->run_id);
    if (known != NULL)
        return create_again(turn, message, known);
    bool is_recent = sg_map_get_id(&engine->recent_keys, in->run_id) != NULL;
    if (in->is_known || is_recent) { /* it has ended since */
        if (in->is_known && !is_function_of(in, in->known_function_id))
            sg_turn_reply(turn, message, SG_CONFLICT, "Run already exists");
        else
            reply_created(turn, message, in->is_known ? in->known_function_id : in->function.id);
        return false;
    }
    if (is_too_long(in->ops, in->op_count)) {
        sg_turn_reply(turn, message, SG_TOO_LARGE, "a report may carry at most %zu steps", RESULTS_MAX);
        return false;
    }
    struct sg_function *function = sg_app_endpoint(turn, in);
    if (function == NULL) {
        if (!turn->is_failed)
            sg_turn_reply(turn, message, SG_TOO_MANY, "durable endpoints have been seen at %d domains; no more are taken",
                          SG_LIMIT_HTTP_APPS);
        return false;
    }
    int64_t position = sg_event_append(turn, in->event.internal_id, in->event.name, in->event.ts_ms, in->event.body);
    struct sg_run_spec spec = {
        .function = function,
        .event_id = in->event.internal_id,
        .event_name = in->event.name,
        .positions = &position,
        .event_count = 1,
        .event_bytes = (int64_t)in->event.body.len,
        .start_at_ms = turn->now_ms + engine->options.endpoint_idle_ms,
        .is_http = true,
        .run_id = in->run_id,
        .request_version = in->request_version,
    };
    struct sg_run *run = sg_run_begin(turn, &spec);
    if (run == NULL)
        return false;
    sg_event_recent_add(turn, in->run_id);
    bool is_kept;
    if (must_wait(turn, run, in->ops, in->op_count, message, &is_kept)) {
        sg_run_flush(turn, run); /* it is there, and waits; handled again, the message finds it */
        return is_kept;
    }
    report_finish(turn, run, in->ops, in->op_count);
    reply_created(turn, message, function->id);
    return false;
}
