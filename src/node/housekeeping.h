/*
 * Housekeeping: what keeps a store healthy that runs for months, done apart from the committing thread or in small pieces between two commits.
 */
#ifndef STEPGATE_NODE_HOUSEKEEPING_H
#define STEPGATE_NODE_HOUSEKEEPING_H

#include <stepgate/store.h>

#include "node/clock.h"
#include "node/committer.h"

struct sg_housekeeping;

/* Store and clock outlive it. */
enum sg_status sg_housekeeping_create(struct sg_store *store, struct sg_clock *clock, struct sg_housekeeping **housekeeping,
                                      struct sg_error *error);
/* Starts the thread. `committer` is told when there is a chore (its option `chore` is sg_housekeeping_chore). */
enum sg_status sg_housekeeping_start(struct sg_housekeeping *housekeeping, struct sg_committer *committer, struct sg_error *error);
/* Ends the thread; the committer may still be running. */
void sg_housekeeping_stop(struct sg_housekeeping *housekeeping);
/* The committer has ended. NULL is fine. */
void sg_housekeeping_free(struct sg_housekeeping *housekeeping);

/* After each commit, by the store thread: cheap. */
void sg_housekeeping_note_commit(struct sg_housekeeping *housekeeping);
/* Deletes some expired idempotency rows; true: there are more. The store thread only: it must be the only writer. `context` is the housekeeping. */
bool sg_housekeeping_chore(void *context, struct sg_store *store);

#endif
