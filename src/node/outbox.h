/*
 * The outbox: what happens to the effects of a batch once it is on disk.
 */
#ifndef STEPGATE_NODE_OUTBOX_H
#define STEPGATE_NODE_OUTBOX_H

#include <stdatomic.h>

#include <stepgate/engine.h>

#include "node/loads.h"

struct sg_outbox {
    /* Takes the call as sg_caller_submit does: on anything but SG_OK it is still ours. */
    enum sg_status (*submit)(void *context, struct sg_call *call);
    enum sg_status (*submit_fetch)(void *context, struct sg_fetch *fetch); /* the same for sg_fetcher_submit */
    void *context;
    struct sg_loads *loads;
    atomic_bool is_draining; /* calls and fetches are dropped: calls are committed as started, so the next start makes them */
};

/* For struct sg_committer_options: `context` is the outbox. The store thread. */
void sg_outbox_let_out(void *context, struct sg_batch *batch);

#endif
