/* The ops that make a run wait: waitForEvent and waitForSignal; and cancelOn, which waits beside the run. */
#ifndef STEPGATE_ENGINE_WAIT_H
#define STEPGATE_ENGINE_WAIT_H

#include "engine/answer.h"

/* The event name that a WaitForEvent op waits for (opts.event, else name), in scratch memory; "" if there is none, or memory ran out. */
struct sg_str sg_wait_event_name(struct sg_engine *engine, const struct sg_op *op);
/* Whether one of the ops needs the run's triggering event, for its expression. */
bool sg_wait_needs_trigger(const struct sg_op *ops, size_t count);

/* A WaitForEvent op. False if it is malformed: the run has been failed (reference/02 §4.4, §9.1). */
bool sg_wait_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int job_flags);
/* A WaitForSignal op, likewise (reference/02 §9.3). */
bool sg_wait_signal_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int job_flags);
/*
 * The timeout of a wait, an invoke or a signal from opts: *delay_ms from now; `absent_ms` if it says nothing. False if it is no time: the run
 * has been failed.
 */
bool sg_wait_timeout_read(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op, const char *what, int64_t absent_ms,
                          struct sg_str *raw, int64_t *delay_ms);

/* The job of a wait that the step begins: it comes due at the timeout. NULL if memory ran out. */
struct sg_job *sg_wait_job_add(struct sg_turn *turn, struct sg_run *run, struct sg_step *step, const struct sg_op *op, int flags,
                               int64_t delay_ms);

/* Watches for the events of the function's cancelOn, for a run that `body` has just started (reference/02 §13.1). */
void sg_wait_cancel_on(struct sg_turn *turn, struct sg_run *run, struct sg_str body);

#endif
