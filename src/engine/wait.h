/* waitForEvent. */
#ifndef STEPGATE_ENGINE_WAIT_H
#define STEPGATE_ENGINE_WAIT_H

#include "engine/turn.h"

/*
 * Judges a waitForEvent whose condition does not compile: the run is failed at once, without retry, with the compiler's text (reference/05 §1.4), and false
 * returned.
 */
bool sg_wait_check(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op);

#endif
