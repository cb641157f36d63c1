/* The gate of an app: how many of its jobs may be under way at once. */
#ifndef STEPGATE_ENGINE_GATE_H
#define STEPGATE_ENGINE_GATE_H

#include "engine/turn.h"

/*
 * A due job, which is in no heap, wants to be under way (its call, or the load that must come first). True: it is, until sg_gate_leave. False: it waits in
 * the line of its app, or memory ran out (latched).
 */
bool sg_gate_pass(struct sg_turn *turn, struct sg_job *job);
/* For start-up: the job is under way, whatever the limit says. */
void sg_gate_force(struct sg_engine *engine, struct sg_job *job);
/* The job is no longer under way, if it was. */
void sg_gate_leave(struct sg_engine *engine, struct sg_job *job);
/* Takes the job from wherever it waits: among the due ones or in line. */
void sg_gate_unqueue(struct sg_engine *engine, struct sg_job *job);

/* The next job in line that may start now, taken from its line; NULL: none may. */
struct sg_job *sg_gate_next(struct sg_engine *engine);
bool sg_gate_can_advance(const struct sg_engine *engine);
bool sg_gate_is_lined(const struct sg_job *job);
/* Whether its line and its count are as they should be. O(1). */
bool sg_gate_check(const struct sg_engine *engine, const struct sg_app *app);

#endif
