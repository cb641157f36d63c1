/* Durable endpoints: runs that an SDK creates and executes itself, until something takes time. */
#ifndef STEPGATE_ENGINE_ENDPOINT_H
#define STEPGATE_ENGINE_ENDPOINT_H

#include "engine/turn.h"

/* SG_MESSAGE_HTTP_RUN. True if it was set aside. */
bool sg_endpoint_create(struct sg_turn *turn, struct sg_message *message);
/* SG_MESSAGE_CHECKPOINT of an endpoint. True if it was set aside. */
bool sg_endpoint_report(struct sg_turn *turn, struct sg_message *message);

/* The watchdog of a run that its endpoint executes; NULL: the run is moved by calls, as any other. */
struct sg_job *sg_endpoint_watchdog(const struct sg_run *run);
/* The watchdog is due: nothing has been heard for too long, and the run fails. */
void sg_endpoint_expire(struct sg_turn *turn, struct sg_run *run);
/* Ends the run with the endpoint's response: status, headers and body as the op has them (reference/03 §4.5). */
void sg_endpoint_complete(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op);
/* Whether the op says that the handler itself failed, not one of its steps (reference/03 §4.6). */
bool sg_endpoint_is_function_error(const struct sg_run *run, const struct sg_op *op);

#endif
