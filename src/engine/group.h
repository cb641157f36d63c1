/* Groups: parallel steps whose completions share one discovery, and what follows a completed step. */
#ifndef STEPGATE_ENGINE_GROUP_H
#define STEPGATE_ENGINE_GROUP_H

#include "engine/turn.h"

/* Whether the op is a step that completes some day: only such are members of a group. */
bool sg_group_has_member(const struct sg_op *op);
/* Opens a coalesced group for the ops of an answer (all but the lazy ones), replacing the one before (reference/02 §8.3). */
void sg_group_open(struct sg_turn *turn, struct sg_run *run, const struct sg_op *ops, size_t count);
/* Makes the step a pending member of the group that was opened for its answer. */
void sg_group_mark(struct sg_run *run, struct sg_step *step, bool is_race);
/*
 * Enqueues the discovery that follows a completed step, unless it has been, or others of its group are still pending. `is_fresh`: this
 * completion wrote the memo.
 */
void sg_group_continue(struct sg_turn *turn, struct sg_run *run, struct sg_step *step, bool is_race, bool is_fresh);
/*
 * A sleep's time has come: memo null. True if the job goes on as the discovery that follows; false if it has ended, because others of its
 * group are pending.
 */
bool sg_group_sleep_ended(struct sg_turn *turn, struct sg_job *job);
/*
 * Whether the planned step that the job would call for has its memo already; then the job has ended, and what follows the step has been enqueued if it
 * had not been.
 */
bool sg_group_target_known(struct sg_turn *turn, struct sg_job *job);

#endif
