/* The limits of the HTTP server alone; those that other rooms share are in stepgate/limits.h. */
#ifndef STEPGATE_SERVER_LIMITS_H
#define STEPGATE_SERVER_LIMITS_H

#include <stepgate/limits.h>

#define SG_SERVER_THREADS 2 /* more do not help: the engine is one thread and the reference machine has two cores */

#define SG_LIMIT_SERVER_CONNECTIONS 10000 /* ours; --max-connections. An idle one costs about 10 KB */
/*
 * Ours: the memory of one connection, which holds request line and headers (at most about 3/4 of it) and those of the answer. libmicrohttpd
 * refuses larger ones with 431. Browsers and SDKs stay below 8 KB, tracing adds some.
 */
#define SG_LIMIT_SERVER_CONNECTION_BYTES (32 * 1024)
#define SG_LIMIT_SERVER_IDLE_MS (120LL * 1000)   /* ours; --http-idle-timeout. Longer than the 4 s to 90 s for which clients keep theirs */
#define SG_LIMIT_SERVER_REQUEST_MS (60LL * 1000) /* ours; --http-request-timeout: 32 MiB at 4 Mbit/s */
#define SG_LIMIT_SERVER_RESPONSE_MS (300LL * 1000) /* ours: sending an answer, 32 MiB at 1 Mbit/s */
/*
 * Ours: how long a request may wait for its commit or its read. libmicrohttpd walks its suspended connections at each resume, so none of
 * them may stay long; a store that has not committed by then is in trouble and the client should know.
 */
#define SG_LIMIT_SERVER_REPLY_MS (5LL * 1000)
#define SG_LIMIT_SERVER_SILENCE_S 120 /* ours: a socket that moves no byte, in either direction */
/* Ours: of a body that is too large so much is read and dropped, so that the client sees the 413 instead of a broken connection. */
#define SG_LIMIT_SERVER_DISCARD_BYTES (64LL * 1024 * 1024)

#define SG_LIMIT_SERVER_BODIES_BYTES (512LL * 1024 * 1024) /* ours: bodies of all requests that are in memory at a time; beyond it 503 */

#define SG_LIMIT_CHECKPOINT_BYTES (SG_LIMIT_RESPONSE_BYTES + 64 * 1024) /* as large as the answer that would have carried the same ops */
#define SG_LIMIT_API_BODY_BYTES (64 * 1024)                             /* ours: small requests of the API */
#define SG_LIMIT_ENDPOINT_DOMAIN_BYTES 512                              /* ours: the origin of a durable endpoint */
#define SG_LIMIT_ENDPOINT_PATH_BYTES 4096                               /* ours: its path */
#define SG_LIMIT_ENDPOINT_METHOD_BYTES 16                               /* ours */
#define SG_LIMIT_ENDPOINT_NAME_BYTES 256                                /* ours: the name that a user may give it */
#define SG_RUN_TOKEN_S 3600                                             /* reference/03 §4.4 */
#define SG_STREAM_TOKEN_S (16 * 60)                                     /* reference/03 §4.4 */
#define SG_LIMIT_HELD                                                                                                                      \
    12000 /* ours; --max-waiting-clients: who waits for outputs and streams; each costs a descriptor and some 4 KB of the kernel's */
#define SG_OUTPUT_WAIT_MS (300LL * 1000)            /* reference/03 §4.8 */
#define SG_STREAM_OPEN_MS (15LL * 60 * 1000)        /* reference/03 §5.6 */
#define SG_STREAM_KEEP_ALIVE_MS (15LL * 1000)       /* ours: proxies cut what is silent for 30 s to 100 s */
#define SG_HELD_SEND_MS (60LL * 1000)               /* ours: an answer that the client does not take */
#define SG_LIMIT_HELD_BYTES (256LL * 1024 * 1024)   /* ours: outputs that clients have not taken yet, all together; beyond it 503 */
#define SG_LIMIT_HELD_INPUT_BYTES (64LL * 1024)     /* ours: what a client may send while it waits; it has nothing to say */
#define SG_LIMIT_STREAM_BYTES (1024 * 1024)         /* ours: what a stream keeps for those who come later; more than one tee may bring */
#define SG_LIMIT_STREAMS_BYTES (64LL * 1024 * 1024) /* ours: all streams together; the one used longest ago goes */
#define SG_STREAM_KEEP_MS (16LL * 60 * 1000)        /* ours: after its last byte, as long as its tokens are good */
#define SG_STREAM_GRACE_MS (2LL * 1000)             /* ours: an SDK sends its last frames beside its answer */
#define SG_LIMIT_TEE_BYTES 1024000                  /* reference/03 §5.5 */
#define SG_LIMIT_CHANNEL_BYTES 256                  /* ours */
#define SG_TEE_SILENCE_S 600                        /* ours: a step may think for long between two words */
#define SG_LIMIT_EVENT_KEY_BYTES 512                /* ours */
#define SG_LIMIT_QUERY_VALUE_BYTES 1024             /* ours: one parameter of a query */
#define SG_LIMIT_CANCELLATION_BYTES (1024 * 1024)   /* ours: an expression has 100,000 characters at most, in any spelling */

#define SG_LIMIT_EVENT_SESSIONS 5            /* reference/03 §1.1.4 */
#define SG_LIMIT_EVENT_SESSION_KEY_BYTES 128 /* reference/03 §1.1.4 */
#define SG_LIMIT_EVENT_SESSION_ID_BYTES 512  /* reference/03 §1.1.4 */
#define SG_LIMIT_EVENT_VERSION_BYTES 256     /* ours: `v` */
#define SG_EVENT_TS_MIN_MS 315532800000LL    /* 1980-01-01 (reference/03 §1.1.4) */
#define SG_EVENT_TS_MAX_MS 4102444800000LL   /* 2100-01-01 */

#define SG_LIMIT_EVENTS_PAGE 51                       /* reference/03 §3.2 */
#define SG_DEFAULT_EVENTS_PAGE 20                     /* reference/03 §3.2 */
#define SG_DEFAULT_EVENTS_WINDOW_MS (3600LL * 1000)   /* reference/03 §3.2 */
#define SG_LIMIT_EVENTS_SCANNED 5000                  /* ours: rows that one list query looks at, matching or not */
#define SG_EVENTS_CLOCK_SLACK_MS (24LL * 3600 * 1000) /* ours: ids carry the clock of the sender, which may be wrong by so much */
#define SG_LIMIT_RUNS_PER_EVENT 1000                  /* ours: one run a function; nobody has more functions on one event */
#define SG_LIMIT_JOBS_PAGE 10                         /* reference/03 §3.3 */
#define SG_LIMIT_JOBS_SCANNED 10000                   /* ours: jobs have no index by run */
#define SG_LIMIT_CATALOG_ROWS 50000                   /* ours: apps, and versions of functions, that one answer looks at */
#define SG_LIMIT_ADMIN_OUTPUT_BYTES (256 * 1024)      /* ours: outputs of steps in one answer of /v1/admin/runs */
#define SG_LIMIT_ADMIN_ATTEMPTS 200                   /* ours: the latest calls of a run */
#define SG_LIMIT_PAGE_RUNS 20                         /* ours: recent runs on the status page */

#define SG_RETRY_AFTER_S 1 /* what 429 and 503 ask for: queues empty within a second or the trouble is larger */

#endif
