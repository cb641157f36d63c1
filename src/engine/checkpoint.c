/*
 * Checkpoints and cancels: what reaches a run from outside while its calls are out.
 *
 * The model. A checkpoint reports steps that a call in flight has finished; the call goes on (reference/03 §4.2). It names the dispatch it belongs
 * to; if that job is gone or has a newer generation, another dispatch owns the run and the answer is 409. Memos are written as in an answer,
 * nothing is enqueued, and the attempt is set back to 0, so that the next step has its full budget: also while the job waits for
 * its back-off, whose due time stays. The reply goes out after the commit: 2xx means on disk.
 *
 * All ops of a checkpoint are judged before any is applied, so a refused one changes nothing.
 */
#include <stdio.h>

#include "engine/answer.h"
#include "engine/endpoint.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"

/* SG_OK, or what the client is told. */
static enum sg_status checkpoint_judge(const struct sg_run *run, const struct sg_op *ops, size_t count, char *text, size_t text_bytes)
{
    int64_t bytes = 0;
    for (size_t index = 0; index < count; index++) {
        const struct sg_op *op = &ops[index];
        if (op->code != SG_OP_STEP && op->code != SG_OP_STEP_RUN && op->code != SG_OP_STEP_PLANNED) {
            snprintf(text, text_bytes, "cannot checkpoint opcode: %s", sg_opcode_name(op->code));
            return SG_INVALID_ARGUMENT;
        }
        if (op->id.len == 0) {
            snprintf(text, text_bytes, "steps[%zu].id is missing", index);
            return SG_INVALID_ARGUMENT;
        }
        bytes += (int64_t)op->data.len;
    }
    if (count > SG_LIMIT_WRITES_PER_MESSAGE / 3) {
        snprintf(text, text_bytes, "a checkpoint may carry at most %d steps", SG_LIMIT_WRITES_PER_MESSAGE / 3);
        return SG_TOO_LARGE;
    }
    if (run->next_seq + count > SG_LIMIT_STEPS_PER_RUN_MAX) {
        snprintf(text, text_bytes, "a run may have at most %d steps", SG_LIMIT_STEPS_PER_RUN_MAX);
        return SG_TOO_LARGE;
    }
    if (run->state_bytes + bytes > SG_LIMIT_STATE_BYTES) {
        snprintf(text, text_bytes, "the run's state would exceed %d bytes", SG_LIMIT_STATE_BYTES);
        return SG_TOO_LARGE;
    }
    return SG_OK;
}

void sg_checkpoint_apply(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op)
{
    struct sg_step *step = sg_step_report(turn, run, op);
    if (step == NULL)
        return;
    if (op->code == SG_OP_STEP_PLANNED) {
        /* Trace only: "about to run". It sets neither bit (design: what dedupes). */
        if ((step->flags & SG_STEP_HAS_MEMO) == 0) {
            step->status = SG_STEP_RUNNING;
            sg_step_touch(run, step);
        }
        return;
    }
    sg_step_memoize(turn, run, step, SG_STEP_COMPLETED, sg_memo_wrap(turn, SG_STR("data"), op->data));
}

bool sg_checkpoint_handle(struct sg_turn *turn, struct sg_message *message)
{
    if (message->as.checkpoint.is_sync)
        return sg_endpoint_report(turn, message);
    struct sg_run *run = sg_map_get_id(&turn->engine->runs, message->as.checkpoint.run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "the run has ended or is unknown");
        return false;
    }
    if (run->hold != SG_HOLD_NONE || !sg_run_hydrate(turn, run))
        return sg_run_set_aside(run, message);

    struct sg_job *job = NULL;
    if (message->as.checkpoint.job_id != 0) {
        job = sg_job_find(run, message->as.checkpoint.job_id);
        if (job == NULL || (message->as.checkpoint.generation != 0 && job->generation != message->as.checkpoint.generation)) {
            sg_turn_reply(turn, message, SG_STALE, "another dispatch of the same job owns the run now");
            sg_run_flush(turn, run);
            return false;
        }
    }
    char text[160];
    enum sg_status status = checkpoint_judge(run, message->as.checkpoint.ops, message->as.checkpoint.op_count, text, sizeof(text));
    if (status != SG_OK) {
        sg_turn_reply(turn, message, status, "%s", text);
        sg_run_flush(turn, run);
        return false;
    }
    for (size_t index = 0; index < message->as.checkpoint.op_count; index++)
        sg_checkpoint_apply(turn, run, &message->as.checkpoint.ops[index]);
    if (job != NULL && job->attempt != 0) {
        job->attempt = 0;
        sg_job_write(turn, job);
    }
    sg_turn_reply(turn, message, SG_OK, "%s", "");
    sg_run_flush(turn, run);
    return false;
}

void sg_cancel_handle(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_run *run = sg_map_get_id(&turn->engine->runs, message->as.cancel.run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "the run has ended or is unknown");
        return;
    }
    sg_run_cancel(turn, run, message->as.cancel.reason); /* also while it is held: what it waits for is of no use any more */
    sg_turn_reply(turn, message, SG_OK, "%s", "");
}
