/*
 * Reader threads: whoever must not block on the database hands its read to the pool.
 *
 * Two ways in. Queries of clients are bounded: sg_store_pool_submit says SG_QUEUE_FULL when too many wait. Reads that the engine waits for
 * must not be refused: sg_store_pool_run takes a task that lives in its owner's memory, so it cannot fail, and whoever makes tasks bounds them.
 * Tasks go first, and one thread is always kept from queries, so a slow list in somebody's browser never holds up a run.
 */
#ifndef STEPGATE_STORE_POOL_H
#define STEPGATE_STORE_POOL_H

#include <stepgate/store.h>

struct sg_store_pool;

/* `reader` belongs to the calling thread for the length of the call; no snapshot is open. */
typedef void (*sg_store_work)(void *context, struct sg_store_reader *reader);

struct sg_store_task {
    struct sg_store_task *next; /* the pool's */
    sg_store_work work;
    void *context;
};

struct sg_store_pool_options {
    struct sg_store *store; /* outlives the pool */
    int threads;            /* at least 1 */
    int queries_max;        /* waiting queries; beyond it SG_QUEUE_FULL */
};

/* Opens the readers and starts the threads. The caller owns *pool: sg_store_pool_stop, then sg_store_pool_free. */
enum sg_status sg_store_pool_create(const struct sg_store_pool_options *options, struct sg_store_pool **pool, struct sg_error *error);
/* Any thread. SG_QUEUE_FULL or SG_SHUTTING_DOWN: `work` will not be called. */
enum sg_status sg_store_pool_submit(struct sg_store_pool *pool, sg_store_work work, void *context);
/* Any thread. The task must stay valid until its work is called; it may be freed or run again from there. False once the pool is stopping. */
bool sg_store_pool_run(struct sg_store_pool *pool, struct sg_store_task *task);
/* Tasks and queries that wait at this moment. */
int sg_store_pool_waiting(struct sg_store_pool *pool);
/* Takes nothing more, does what was taken, and returns when the threads have ended. */
void sg_store_pool_stop(struct sg_store_pool *pool);
/* Stops if need be. NULL is fine. */
void sg_store_pool_free(struct sg_store_pool *pool);

#endif
