/* The streams of durable endpoints: what their executions push, for whoever has a token (reference/03 §4.10). */
#ifndef STEPGATE_SERVER_STREAM_H
#define STEPGATE_SERVER_STREAM_H

#include "server/held.h"

void sg_stream_table_init(struct sg_held_set *set);
void sg_stream_table_free(struct sg_held_set *set);

/* With the lock of the set. */
/* Finishes streams whose run has ended without a last frame, and forgets those that nobody has used for long. */
void sg_stream_table_advance(struct sg_held_set *set, int64_t now_ms);
/* What a subscriber has not been sent yet. */
struct sg_str sg_stream_bytes(struct sg_held *held);
/* Whether it has been sent the last frame. */
bool sg_stream_is_over(const struct sg_held *held);
void sg_stream_leave(struct sg_held *held);
void sg_stream_run_ended(struct sg_held_set *set, struct sg_id run_id);

#endif
