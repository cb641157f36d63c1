/*
 * Loads: the engine asks for rows of a parked run, or for the bytes of an event; a reader thread reads them and posts them back.
 */
#ifndef STEPGATE_NODE_LOADS_H
#define STEPGATE_NODE_LOADS_H

#include <stepgate/engine.h>

#include "node/clock.h"
#include "node/inbox.h"
#include "store/pool.h"

/* All of them outlive the loads. Zero-initialise the rest. */
struct sg_loads {
    struct sg_inbox *inbox;
    struct sg_store_pool *pool;
    struct sg_clock *clock; /* tells which idempotency keys have expired; NULL: none has */
};

/*
 * Starts a load whose outcome, also failure, is posted as SG_MESSAGE_LOADED_RUN, _EVENT or _RUNS, exactly once. SG_NO_MEMORY: it was not
 * started. SG_SHUTTING_DOWN: the pool has stopped, nobody will handle an outcome any more.
 */
enum sg_status sg_loads_run(struct sg_loads *loads, struct sg_id run_id);
/* The next runs of a bulk cancellation (SG_MESSAGE_LOADED_RUNS). */
enum sg_status sg_loads_runs(struct sg_loads *loads, struct sg_id cancellation_id);
/* `run_id` and `job_id` come back with it; with a run, nothing but the event's bytes is read. */
enum sg_status sg_loads_event(struct sg_loads *loads, int64_t position, struct sg_id run_id, int64_t job_id);

#endif
