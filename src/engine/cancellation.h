/* Cancellations: all runs of a function, in a window of time, of which a condition is true, are cancelled in slices. */
#ifndef STEPGATE_ENGINE_CANCELLATION_H
#define STEPGATE_ENGINE_CANCELLATION_H

#include "engine/turn.h"

/* Begins one; the reply's id names it. SG_NOT_FOUND: no such function; SG_INVALID_EXPRESSION; SG_TOO_MANY. */
void sg_cancellation_begin(struct sg_turn *turn, struct sg_message *message);
/* Forgets one, and ends it if it is under way: what it has cancelled stays cancelled. */
void sg_cancellation_drop(struct sg_turn *turn, struct sg_message *message);
/* Runs that were asked for. True if the message is kept. */
bool sg_cancellation_loaded(struct sg_turn *turn, struct sg_message *message);

/* Does one slice of one of them. */
void sg_cancellation_advance(struct sg_turn *turn);
bool sg_cancellation_can_advance(const struct sg_engine *engine);
/* The one that will come to this run, if its condition is true; NULL: none. */
const struct sg_cancellation *sg_cancellation_of(const struct sg_engine *engine, const struct sg_run *run);

/* For start-up. SG_NOT_FOUND: the record makes no sense; SG_NO_MEMORY. */
enum sg_status sg_cancellation_restore(struct sg_engine *engine, const struct sg_record *record);
void sg_cancellation_restored(struct sg_turn *turn);
void sg_cancellation_free_all(struct sg_engine *engine);
void sg_cancellation_dump(const struct sg_engine *engine, struct sg_buf *out);

#endif
