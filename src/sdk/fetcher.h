/*
 * The fetcher: makes the requests that steps ask the gateway for (step.fetch, step.ai.infer), on a pool of its own, and posts what came of them.
 *
 * A request that was taken leads to exactly one SG_MESSAGE_FETCHED, whatever the other side does. Only when the fetcher is drained or freed are requests
 * that have not ended dropped: the call that asked for them is made again after a restart.
 */
#ifndef STEPGATE_SDK_FETCHER_H
#define STEPGATE_SDK_FETCHER_H

#include <stepgate/engine.h>

struct sg_fetcher;

struct sg_fetcher_options {
    struct sg_poster poster;    /* where outcomes go */
    bool allows_private;        /* also addresses that are not of the public Internet (address.h) */
    int in_flight_max;          /* 0: SG_LIMIT_FETCHES_IN_FLIGHT. One app gets three quarters of them at most */
    int waiting_max;            /* 0: SG_LIMIT_FETCHES_WAITING */
    int64_t timeout_ms;         /* of a request with its redirects; 0: SG_LIMIT_FETCH_MS */
    int64_t connect_timeout_ms; /* 0: 15 s */
    size_t response_bytes_max;  /* 0: SG_LIMIT_RESPONSE_BYTES */
};

/* Starts the thread. *fetcher_out is owned by whoever asked: sg_fetcher_free. */
enum sg_status sg_fetcher_create(const struct sg_fetcher_options *options, struct sg_fetcher **fetcher_out, struct sg_error *error);
/* Takes the request; never blocks; any thread. SG_SHUTTING_DOWN once sg_fetcher_drain has begun: it is still the caller's then. */
enum sg_status sg_fetcher_submit(struct sg_fetcher *fetcher, struct sg_fetch *fetch);
/* Takes nothing more, drops what waits, and gives the rest `timeout_ms` to end. Returns how many had not. */
size_t sg_fetcher_drain(struct sg_fetcher *fetcher, int64_t timeout_ms);
/* Cuts whatever is still in flight, joins the thread. NULL is fine. */
void sg_fetcher_free(struct sg_fetcher *fetcher);

struct sg_fetcher_stats {
    int64_t waiting;   /* taken, not gone out */
    int64_t in_flight; /* until the outcome is posted */
    int64_t fetches;   /* gone out since the start */
    int64_t failures;  /* outcomes that are errors, for whatever reason */
    int64_t refusals;  /* of these: not made, because of where they would have gone */
    int64_t unposted;  /* outcomes that the inbox could not take yet */
};
void sg_fetcher_stats(struct sg_fetcher *fetcher, struct sg_fetcher_stats *stats);

#endif
