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

#define SG_DEFAULT_CALLS 1024 /* of each thread at a time */

struct sg_caller;

/* What went wrong with a call, for metrics. */
enum sg_call_error {
    SG_CALL_ERROR_NONE,
    SG_CALL_ERROR_UNREACHABLE, /* no connection: refused, unknown host, no route */
    SG_CALL_ERROR_TLS,
    SG_CALL_ERROR_TIMEOUT,
    SG_CALL_ERROR_BROKEN,     /* the exchange ended half way, or was not HTTP */
    SG_CALL_ERROR_TOO_LARGE,  /* the answer */
    SG_CALL_ERROR_STATUS_4XX, /* the app refused, or will not try again */
    SG_CALL_ERROR_STATUS_5XX, /* what users' code threw comes so */
    SG_CALL_ERROR_ANSWER,     /* a good status with an answer that makes no sense */
    SG_CALL_ERROR_STEP,       /* the answer reports a step that failed */
    SG_CALL_ERROR_GATEWAY,    /* we could not make the call, or not read its answer */
    SG_CALL_ERROR_COUNT
};

struct sg_call_report {
    enum sg_call_error error;
    bool is_final;       /* an error that will not be tried again */
    int http_status;     /* 0: none came */
    int64_t duration_ns; /* negative: it was never sent */
};

/* Who measures calls: told by the caller's threads, must not block. */
struct sg_call_meter {
    void *context;
    void (*sent)(void *context, const struct sg_call *call, int64_t now_ns);
    void (*ended)(void *context, const struct sg_call *call, const struct sg_call_report *report);
};

struct sg_caller_options {
    struct sg_store *store;            /* outlives the caller; each thread opens a reader */
    const struct sg_signing_key *keys; /* calls are signed with the first, and with the second if that is refused; copied */
    size_t key_count;                  /* 0: calls are not signed */
    struct sg_poster poster;           /* where answers go */
    struct sg_call_meter meter;        /* may be empty */
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
