/* step.invoke: a run that starts another and waits for its end. */
#ifndef STEPGATE_ENGINE_INVOKE_H
#define STEPGATE_ENGINE_INVOKE_H

#include "engine/answer.h"
#include "engine/event.h"

#define SG_EVENT_INVOKED SG_STR("inngest/function.invoked")

/* An InvokeFunction op. False if it is malformed: the run has been failed (reference/02 §9.2). */
bool sg_invoke_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int job_flags);

/*
 * The function that an event invokes, if it is one of step.invoke whose id the caller has chosen: such an event may be a duplicate, so it goes to its
 * function on the way of all events. `invoker` is the correlation id, in scratch memory. NULL: it is none.
 */
struct sg_function *sg_invoke_target(struct sg_turn *turn, const struct sg_event *event, struct sg_str *invoker);
/* The invoked function will not run: whoever waits for it is told so. `message` says why. */
void sg_invoke_refused(struct sg_turn *turn, struct sg_str invoker, struct sg_str message);
/* An invoked run has ended; its function.finished event is at `position`. */
void sg_invoke_ended(struct sg_turn *turn, const struct sg_run *run, int64_t position);

/* Who invoked a run is kept beside it: "<run id>.<step id>". False if memory ran out. */
bool sg_invoke_remember(struct sg_engine *engine, struct sg_run *run, struct sg_str invoker);
struct sg_str sg_invoke_of(const struct sg_engine *engine, const struct sg_run *run);
/* The live run that the step has invoked; NULL: it has ended, or is still to come. */
struct sg_run *sg_invoke_callee(const struct sg_engine *engine, const struct sg_run *run, struct sg_str step_id);
/* Whether whoever invoked the run still waits; *invoker is the run that did, NULL if it has ended. */
bool sg_invoke_is_awaited(const struct sg_engine *engine, const struct sg_run *run, struct sg_run **invoker);
void sg_invoke_forget(struct sg_engine *engine, const struct sg_run *run);

#endif
