/*
 * Retention: keeps history within an age and a size.
 */
#ifndef STEPGATE_NODE_RETENTION_H
#define STEPGATE_NODE_RETENTION_H

#include <stepgate/store.h>

#include "node/clock.h"
#include "node/committer.h"

struct sg_retention;

struct sg_retention_options {
    struct sg_store *store; /* outlives it, like the clock */
    struct sg_clock *clock;
    int64_t age_ms;    /* finished runs and events older than this go; 0: for ever */
    int64_t bytes_max; /* the oldest go when the store holds more; 0: no limit */
    /* Tests only. 0: the intervals of the model in retention.c. */
    int64_t look_interval_ms;
};

struct sg_retention_totals {
    int64_t runs;
    int64_t events;
    int64_t rows;
    int64_t commits;
    bool is_waiting; /* a batch of deletes waits for the store thread */
};

/* Without a limit it does nothing at all. */
enum sg_status sg_retention_create(const struct sg_retention_options *options, struct sg_retention **retention, struct sg_error *error);
/* Starts the thread. `committer` is told when there is a chore (its option `chore` calls sg_retention_chore). */
enum sg_status sg_retention_start(struct sg_retention *retention, struct sg_committer *committer, struct sg_error *error);
/* Ends the thread, within a batch; the committer may still be running. */
void sg_retention_stop(struct sg_retention *retention);
/* The committer has ended. NULL is fine. */
void sg_retention_free(struct sg_retention *retention);

/* Commits the batch of deletes that waits, if one does; returns whether. The store thread only. */
bool sg_retention_chore(struct sg_retention *retention, struct sg_store *store);

/* What has been trimmed since the start. Any thread. */
void sg_retention_totals(struct sg_retention *retention, struct sg_retention_totals *totals);

/* How long nothing is committed after a commit of deletes that took `took_ns`. */
int64_t sg_retention_pause_ns(int64_t took_ns, bool is_by_size);

#endif
