/*
 * The caller: takes calls from the engine's effects, makes them over HTTP, posts what came of them.
 *
 * A call that was taken leads to exactly one SG_MESSAGE_ANSWER, whatever the app does: it may be unreachable, slow, wrong or
 * hostile, each costs one bounded attempt. Only when the caller is freed are calls that have not ended dropped: the engine
 * makes them again after a restart.
 */
#ifndef STEPGATE_SDK_CALLER_H
#define STEPGATE_SDK_CALLER_H

#include <stepgate/crypto.h>
#include <stepgate/engine.h>
#include <stepgate/store.h>

struct sg_caller;

struct sg_caller_options {
    struct sg_store *store;            /* outlives the caller; each thread opens a reader */
    const struct sg_signing_key *keys; /* calls are signed with the first; copied */
    size_t key_count;                  /* 0: calls are not signed */
    struct sg_poster poster;           /* where answers go */
    int threads;                       /* 0: 1. All calls of an app are made by the same thread */
    int connections_per_app_max;       /* 0: SG_LIMIT_CONNECTIONS_PER_APP */
    int connections_max;               /* of each thread; 0: 1024 */
    int64_t call_timeout_ms;           /* 0: SG_LIMIT_CALL_MS */
    int64_t connect_timeout_ms;        /* 0: 15 s */
    size_t response_bytes_max;         /* 0: SG_LIMIT_RESPONSE_BYTES */
};

/* Starts the threads. *caller_out is owned by whoever asked: sg_caller_free. sg_crypto_init must have been called. */
enum sg_status sg_caller_create(const struct sg_caller_options *options, struct sg_caller **caller_out, struct sg_error *error);
/*
 * Takes the call; never blocks; any thread. SG_SHUTTING_DOWN after sg_caller_drain began: the call is still the caller's own
 * then (the one who submits frees it, or drops it and lets the restart repeat it).
 */
enum sg_status sg_caller_submit(struct sg_caller *caller, struct sg_call *call);
/*
 * Takes nothing more, drops what has not gone out yet, and waits until the calls in flight have ended or `timeout_ms` have
 * passed. Returns how many were still in flight.
 */
size_t sg_caller_drain(struct sg_caller *caller, int64_t timeout_ms);
/* Cuts whatever is still in flight, joins the threads. NULL is fine. */
void sg_caller_free(struct sg_caller *caller);

struct sg_caller_stats {
    int64_t waiting; /* taken, not gone out: the connection limits hold them */
    int64_t in_flight;
    int64_t calls;       /* gone out since the start */
    int64_t answers;     /* posted */
    int64_t failures;    /* of these without an answer of the app */
    int64_t connections; /* opened */
    int64_t redirects;
    int64_t unposted; /* answers that the inbox could not take yet */
};
void sg_caller_stats(struct sg_caller *caller, struct sg_caller_stats *stats);

#endif
