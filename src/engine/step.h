/* Steps of a hydrated run, and their memos. */
#ifndef STEPGATE_ENGINE_STEP_H
#define STEPGATE_ENGINE_STEP_H

#include "engine/turn.h"

/* The step with this id, or NULL. The run is hydrated. */
struct sg_step *sg_step_find(const struct sg_run *run, struct sg_str id);
/* The step of this op, created if the run does not know it, with the op's code and name; NULL if memory ran out. */
struct sg_step *sg_step_report(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op);
/*
 * Memoizes `bytes` unless the step has a memo already (first write wins): false then. Also takes the step out of the pending set and counts
 * its bytes. `bytes` live as long as the batch.
 */
bool sg_step_memoize(struct sg_turn *turn, struct sg_run *run, struct sg_step *step, enum sg_step_status status, struct sg_str bytes);
/* Marks the step for writing at the end of the turn. */
void sg_step_touch(struct sg_run *run, struct sg_step *step);
bool sg_step_is_pending(const struct sg_run *run, const struct sg_step *step);

/* Writes the steps that were touched. */
void sg_step_flush(struct sg_turn *turn, struct sg_run *run);

/* Hydrates: an empty table of steps; false if memory ran out. */
bool sg_hot_create(struct sg_engine *engine, struct sg_run *run);
bool sg_hot_add(struct sg_run *run, const struct sg_loaded_step *loaded);
void sg_hot_free(struct sg_engine *engine, struct sg_run *run);

#endif
