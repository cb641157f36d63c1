/*
 * Idempotency lookups: before events with ids of their own reach the engine, a reader thread finds out which functions have seen them.
 *
 * A lookup remembers the number of the last commit that had returned when its read began. The engine keeps the keys of later commits until no
 * lookup is outstanding that may have missed them: sg_lookups_floor says up to which commit it may forget.
 */
#ifndef STEPGATE_NODE_LOOKUP_H
#define STEPGATE_NODE_LOOKUP_H

#include <stepgate/engine.h>

#include "node/clock.h"
#include "node/committer.h"
#include "node/inbox.h"
#include "store/pool.h"

struct sg_lookups;

/* All of them outlive the lookups. */
enum sg_status sg_lookups_create(struct sg_inbox *inbox, struct sg_store_pool *pool, struct sg_clock *clock,
                                 const struct sg_committer *committer, struct sg_lookups **lookups, struct sg_error *error);
/* The pool has been stopped. NULL is fine. */
void sg_lookups_free(struct sg_lookups *lookups);

/* Whether the message has events, or a run, that could be duplicates and so goes through sg_lookups_post. */
bool sg_lookups_concerns(const struct sg_message *message);
/* The commit that its lookup has seen. */
int64_t sg_lookups_commit(const struct sg_message *message);
/*
 * Any thread. SG_OK: the message is taken and reaches the inbox, or its client is told that the store cannot be read. Otherwise as sg_inbox_post,
 * and SG_NO_MEMORY.
 */
enum sg_status sg_lookups_post(struct sg_lookups *lookups, struct sg_message *message);

/* The engine thread, for each message that concerns lookups, before it is handled: `commit` is its lookup_commit. */
void sg_lookups_done(struct sg_lookups *lookups, int64_t commit);
/* All commits up to this number are seen by every lookup, running or to come. */
int64_t sg_lookups_floor(struct sg_lookups *lookups);

#endif
