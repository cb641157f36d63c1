/* Why is this run not moving? */
#ifndef STEPGATE_ENGINE_EXPLAIN_H
#define STEPGATE_ENGINE_EXPLAIN_H

#include "engine/turn.h"

/* Replies with JSON about a live run; SG_NOT_FOUND if it has ended or is unknown. Changes nothing. */
void sg_explain_handle(struct sg_turn *turn, struct sg_message *message);

#endif
