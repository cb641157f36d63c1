/*
 * A turn: the handling of one message (or one due job) at one moment. It carries the batch that collects writes and effects, and remembers
 * whether memory ran out: helpers then do nothing, and the turn as a whole reports SG_NO_MEMORY once, at its end.
 */
#ifndef STEPGATE_ENGINE_TURN_H
#define STEPGATE_ENGINE_TURN_H

#include "engine/state.h"

struct sg_turn {
    struct sg_engine *engine;
    struct sg_batch *batch;
    int64_t now_ms;
    int64_t arrived_at_ns; /* of the message being handled; 0 for what was due */
    bool is_failed;        /* out of memory: what this batch holds must not be committed */
};

/* Memory that lives as long as the batch; NULL latches is_failed. */
void *sg_turn_alloc(struct sg_turn *turn, size_t bytes);
struct sg_str sg_turn_copy(struct sg_turn *turn, struct sg_str text);
/* An id in the batch's memory, so that a value can borrow it. */
struct sg_value sg_turn_id(struct sg_turn *turn, struct sg_id id);

/* Appends a write and returns its record, all values null, for the caller to fill; NULL if memory ran out. */
struct sg_record *sg_turn_write(struct sg_turn *turn, enum sg_write_op op, enum sg_kind kind);
struct sg_effect *sg_turn_effect(struct sg_turn *turn, enum sg_effect_kind kind);
/* Replies to whoever waits for `message`, once; no client, no effect. */
void sg_turn_reply(struct sg_turn *turn, struct sg_message *message, enum sg_status status, const char *format, ...) SG_PRINTF(4, 5);

/* A fresh ULID from the engine's seed. */
struct sg_id sg_turn_ulid(struct sg_turn *turn);

#endif
