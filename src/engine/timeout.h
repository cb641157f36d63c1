/* Timeouts of runs: `timeouts.start` and `timeouts.finish` of a function. */
#ifndef STEPGATE_ENGINE_TIMEOUT_H
#define STEPGATE_ENGINE_TIMEOUT_H

#include "engine/turn.h"

/* Reads both from the function's configuration. */
void sg_timeout_read(struct sg_function *function);
/* The run was created or has started in this turn: gives it the job of the deadline that it is under now, and takes away the other's. */
void sg_timeout_arm(struct sg_turn *turn, struct sg_run *run);
/* Before each call: false if a deadline has passed, and the run has been cancelled. */
bool sg_timeout_check(struct sg_turn *turn, struct sg_run *run);
/* A deadline's job has come due. False if the run has been cancelled. */
bool sg_timeout_fire(struct sg_turn *turn, struct sg_job *job);

#endif
