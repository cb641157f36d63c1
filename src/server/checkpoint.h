/* What the checkpoint routes share: the body, the run's id, the steps (reference/03 §4). */
#ifndef STEPGATE_SERVER_CHECKPOINT_H
#define STEPGATE_SERVER_CHECKPOINT_H

#include "server/request.h"

/* The canonical body, an object, in the message's arena. False: the answer has been set, the message is still the caller's. */
bool sg_checkpoint_read_body(struct sg_request *request, struct sg_message *message, struct sg_str *body);
/* The member `steps` as ops, in the arena; absent is none. False as above. */
bool sg_checkpoint_read_steps(struct sg_request *request, struct sg_str body, struct sg_arena *arena, struct sg_op **ops, size_t *count);

#endif
