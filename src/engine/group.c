/*
 * Groups: parallel steps, and what follows a completed one.
 *
 * The model. An answer of several ops, one of them a plan, of an SDK that speaks request version 2 opens a group: the run counts how many of its
 * steps have no memo yet, each step says that it is pending in this group. Completions count down; the one that reaches zero enqueues the only
 * discovery. Steps in race mode do not wait: each enqueues its own (reference/02 §8.3, §8.4). SDKs of version 0 and 1 have no groups: every
 * completed step is followed by a discovery (§8.2).
 *
 * The step's is_continued bit makes a discovery happen once, however often the step is reported.
 */
#include "engine/group.h"

#include <stdlib.h>

#include "engine/fetch.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"

static int op_cmp(const void *left, const void *right)
{
    const struct sg_op *const *a = left;
    const struct sg_op *const *b = right;
    return sg_str_cmp((*a)->id, (*b)->id);
}

bool sg_group_has_member(const struct sg_op *op)
{
    switch (op->code) {
    case SG_OP_NONE:
    case SG_OP_RUN_COMPLETE:
    case SG_OP_SYNC_RUN_COMPLETE:
    case SG_OP_DISCOVERY_REQUEST:
    case SG_OP_STEP_NOT_FOUND:
    case SG_OP_DEFER_ADD:
    case SG_OP_DEFER_ABORT:
        return false;
    default:
        return op->id.len > 0;
    }
}

void sg_group_open(struct sg_turn *turn, struct sg_run *run, const struct sg_op *ops, size_t count)
{
    /* An id that occurs twice is one member: sorted, so that a hostile answer of a thousand equal ids costs no square. */
    const struct sg_op **sorted = sg_arena_alloc(&turn->engine->scratch, count * sizeof(*sorted));
    if (sorted == NULL) {
        turn->is_failed = true;
        return;
    }
    for (size_t index = 0; index < count; index++)
        sorted[index] = &ops[index];
    qsort(sorted, count, sizeof(*sorted), op_cmp);

    uint32_t pending = 0;
    for (size_t index = 0; index < count; index++) {
        const struct sg_op *op = sorted[index];
        if (!sg_group_has_member(op))
            continue;
        if (index > 0 && sg_str_eq(op->id, sorted[index - 1]->id))
            continue;
        const struct sg_step *step = sg_step_find(run, op->id);
        if (step == NULL || (step->flags & SG_STEP_HAS_MEMO) == 0)
            pending++;
    }
    run->group_ordinal++;
    run->pending_count = (uint16_t)pending;
    run->flags &= (uint8_t)~SG_RUN_IS_GROUP_DONE;
    sg_run_touch_live(run);
}

void sg_group_mark(struct sg_run *run, struct sg_step *step, bool is_race)
{
    if ((step->flags & SG_STEP_HAS_MEMO) != 0)
        return;
    uint32_t bits = step->flags & ((1u << SG_STEP_GROUP_SHIFT) - 1u);
    bits |= SG_STEP_IS_PENDING;
    if (!is_race)
        bits |= SG_STEP_IS_GROUPED;
    step->flags = bits | (uint32_t)run->group_ordinal << SG_STEP_GROUP_SHIFT;
    sg_step_touch(run, step);
}

/* A discovery is being enqueued: if nothing is pending, it is that of the present group. */
static void group_done(struct sg_run *run)
{
    if (run->pending_count > 0 || run->group_ordinal == 0 || (run->flags & SG_RUN_IS_GROUP_DONE) != 0)
        return;
    run->flags |= SG_RUN_IS_GROUP_DONE;
    sg_run_touch_live(run);
}

void sg_group_continue(struct sg_turn *turn, struct sg_run *run, struct sg_step *step, bool is_race, bool is_fresh)
{
    SG_CHECK(step, SG_STEP_MAGIC);
    if ((step->flags & SG_STEP_IS_CONTINUED) != 0)
        return;
    bool must_lead_on = sg_job_is_alone(run) && !sg_fetch_moves(turn->engine, run);
    if (run->pending_count > 0 && !is_race && !must_lead_on)
        return;
    if ((step->flags & SG_STEP_IS_GROUPED) != 0 && !is_race) {
        /*
         * A group has one discovery. Of the present one it is known whether it has been enqueued: who emptied the pending set need not have done it,
         * since a checkpoint memoizes and enqueues nothing. In an older one, only a completion that is news leads on.
         */
        bool is_present = step->flags >> SG_STEP_GROUP_SHIFT == run->group_ordinal;
        if (is_present ? (run->flags & SG_RUN_IS_GROUP_DONE) != 0 : !is_fresh)
            return;
    }
    step->flags |= SG_STEP_IS_CONTINUED;
    sg_step_touch(run, step);
    group_done(run);
    if (run->request_version >= 2 && (run->flags & SG_RUN_IS_PLAN_FORCED) != 0) {
        run->flags &= (uint8_t)~SG_RUN_IS_PLAN_FORCED;
        sg_run_touch_live(run);
    }
    sg_job_add(turn, run, &(struct sg_job_spec){.kind = SG_JOB_CALL, .cause = step->id, .due_at_ms = turn->now_ms});
}

bool sg_group_sleep_ended(struct sg_turn *turn, struct sg_job *job)
{
    struct sg_run *run = job->run;
    assert(job->kind == SG_JOB_SLEEP);
    assert(sg_run_is_hydrated(run));

    struct sg_job_text room;
    struct sg_step *step = sg_step_find(run, sg_job_target(job, &room));
    if (step != NULL) {
        sg_step_memoize(turn, run, step, SG_STEP_COMPLETED, SG_STR("null"));
        if (run->pending_count > 0 && (job->flags & SG_JOB_IS_RACE) == 0 && !sg_job_is_alone(run)) {
            sg_job_remove(turn, job);
            return false;
        }
        step->flags |= SG_STEP_IS_CONTINUED;
        sg_step_touch(run, step);
        group_done(run);
    } else {
        turn->engine->stray++; /* its step is gone from the store: only the discovery can still help */
    }
    /* The flag falls for the item after this one: this call still carries it (reference/02 §8.1, quirk 17). */
    if (run->request_version >= 2)
        run->flags &= (uint8_t)~SG_RUN_IS_PLAN_FORCED;
    sg_run_touch_live(run);
    job->kind = SG_JOB_CALL;
    job->flags |= SG_JOB_IS_AWAKE;
    assert(job->cause_len == 0);
    job->cause_len = job->target_len; /* the text stays: the step that was slept is what caused the call */
    job->target_len = 0;
    return true;
}

/*
 * It may have got it from a discovery that ran beside the plan, or from a checkpoint of a call that a crash has cut off. An SDK that is asked for a step
 * which it is shown as done cannot find it, so the call would fail until no attempt is left.
 */
bool sg_group_target_known(struct sg_turn *turn, struct sg_job *job)
{
    struct sg_run *run = job->run;
    struct sg_job_text room;
    struct sg_step *step = job->target_len > 0 ? sg_step_find(run, sg_job_target(job, &room)) : NULL;
    if (step == NULL || (step->flags & SG_STEP_HAS_MEMO) == 0)
        return false;
    sg_group_continue(turn, run, step, (job->flags & SG_JOB_IS_RACE) != 0, false);
    if (sg_job_is_alone(run)) /* what followed has come to nothing: ask once more */
        sg_job_add(turn, run, &(struct sg_job_spec){.kind = SG_JOB_CALL, .cause = step->id, .due_at_ms = turn->now_ms});
    sg_job_remove(turn, job);
    return true;
}
