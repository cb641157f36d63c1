/*
 * The engine thread: takes what waits in the inbox, lets the engine handle it, hands the result to the store thread.
 */
#ifndef STEPGATE_NODE_LOOP_H
#define STEPGATE_NODE_LOOP_H

#include <stepgate/engine.h>

#include "node/clock.h"
#include "node/committer.h"
#include "node/inbox.h"
#include "node/lookup.h"

struct sg_loop;

struct sg_loop_options {
    struct sg_engine *engine; /* restored; owned by the loop's thread until it has stopped */
    struct sg_inbox *inbox;
    struct sg_committer *committer;
    struct sg_lookups *lookups;
    struct sg_clock *clock;
    int messages_per_batch_max; /* 0: SG_LIMIT_MESSAGES_PER_BATCH */
    struct sg_batch *first;     /* what sg_engine_restored wrote; taken in any case; its number is the first */
};

/* Starts the thread. */
enum sg_status sg_loop_create(const struct sg_loop_options *options, struct sg_loop **loop, struct sg_error *error);
/* Handles what is in the inbox, offers the last batch, ends the thread. The committer must still run. */
void sg_loop_stop(struct sg_loop *loop);
void sg_loop_free(struct sg_loop *loop);

/* The engine's figures as of the last round, and how many jobs were due and had not started (may be NULL). Any thread. */
void sg_loop_stats(struct sg_loop *loop, struct sg_engine_stats *stats, int64_t *due);
/* Whether the engine has nothing to do at this moment and everything it did has been let out. Any thread. */
bool sg_loop_is_idle(struct sg_loop *loop);

#endif
