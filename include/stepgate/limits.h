/* Every limit that the protocol or our own safety sets, by name. Those that a flag can change say so. */
#ifndef STEPGATE_LIMITS_H
#define STEPGATE_LIMITS_H

#define SG_LIMIT_EVENT_BYTES (3 * 1024 * 1024)           /* one event (reference/03 §0.8); --max-event-bytes */
#define SG_LIMIT_EVENTS_PER_REQUEST 5000                 /* reference/03 §0.8 */
#define SG_LIMIT_EVENT_BODY_BYTES (32 * 1024 * 1024)     /* a whole POST /e/ body: many events share it; --max-body-bytes */
#define SG_LIMIT_EVENT_NAME_BYTES 512                    /* reference/02 §12 */
#define SG_LIMIT_EVENT_ID_BYTES 1024                     /* ours: ids are kept as keys */
#define SG_LIMIT_REGISTRATION_BYTES (4 * 1024 * 1024)    /* ours: 4 MiB holds thousands of functions */
#define SG_LIMIT_FUNCTIONS_PER_APP 5000                  /* ours */
#define SG_LIMIT_TRIGGERS_PER_FUNCTION 10                /* reference/04 §2.4 */
#define SG_LIMIT_CANCELS_PER_FUNCTION 5                  /* reference/02 §12 */
#define SG_LIMIT_CANCEL_ON_MS (365LL * 24 * 3600 * 1000) /* of a cancelOn without a timeout (reference/02 §13.1) */
#define SG_LIMIT_INVOKE_MS (365LL * 24 * 3600 * 1000)    /* of an invoke or a signal without a timeout (reference/02 §9.2, §9.3) */
#define SG_LIMIT_CANCELLATIONS 1000                      /* ours: bulk cancellations that are remembered; the oldest that have ended go */
#define SG_LIMIT_SIGNAL_NAME_BYTES 1024                  /* ours: names are kept in memory */
#define SG_LIMIT_REQUEST_BYTES (4 * 1024 * 1024)         /* a call body; beyond it the SDK fetches state (reference/01 §7.6) */
#define SG_LIMIT_INLINE_STATE_BYTES (SG_LIMIT_REQUEST_BYTES - 1024)
#define SG_LIMIT_RESPONSE_BYTES (8 * 1024 * 1024)    /* an SDK's answer, decoded (reference/01 §8.9) */
#define SG_LIMIT_STEP_OUTPUT_BYTES (4 * 1024 * 1024) /* reference/02 §12 */
#define SG_LIMIT_STEP_INPUT_BYTES (4 * 1024 * 1024)  /* reference/02 §12 */
#define SG_LIMIT_STATE_BYTES (32 * 1024 * 1024)      /* events and memos of a run (reference/02 §12) */
#define SG_LIMIT_STEPS_PER_RUN 1000                  /* --max-steps (reference/02 §12) */
#define SG_LIMIT_STEPS_PER_RUN_MAX 10000             /* what --max-steps may be raised to (reference/02 §12) */
#define SG_LIMIT_OPS_PER_ANSWER 1000                 /* reference/02 §12 */
#define SG_LIMIT_STEP_ID_BYTES 512                   /* ours: SDKs send 40 hex characters */
#define SG_LIMIT_STEP_NAME_BYTES 1024                /* ours: longer display names are cut */
#define SG_LIMIT_JSON_DEPTH 512                      /* ours: deeper JSON is refused where it enters */
#define SG_LIMIT_RETRIES 20                          /* reference/02 §5.1 */
#define SG_DEFAULT_RETRIES 4                         /* reference/02 §5.1 */
#define SG_LIMIT_SLEEP_MS (366LL * 24 * 3600 * 1000) /* reference/02 §12 */
#define SG_LIMIT_RETRY_AFTER_MIN_MS 1000             /* reference/02 §5.4 */
#define SG_LIMIT_RETRY_AFTER_MAX_MS (24LL * 3600 * 1000)
#define SG_LIMIT_CALL_MS (2LL * 3600 * 1000) /* a call request (reference/01 §7.8); --call-timeout */
/*
 * A durable endpoint that has reported nothing for so long is taken for dead, and its run fails; --endpoint-timeout. The reference server plans the
 * same hour (reference/03 §4.9); a step of an endpoint that takes longer needs a larger one.
 */
#define SG_DEFAULT_ENDPOINT_IDLE_MS (3600LL * 1000)
/* Ours: an endpoint is a function for each method and path, and a path may hold ids. Beyond this all new paths of an app are one function. */
#define SG_LIMIT_HTTP_FUNCTIONS_PER_APP 1000
#define SG_LIMIT_HTTP_APPS 1000 /* ours: the domain is what the endpoint's client said in its Host header */
#define SG_LIMIT_HYDRATED_ENDPOINTS                                                                                                        \
    10000                     /* ours: runs held with their steps between the reports of their endpoints; beyond it they are read anew */
#define SG_LIMIT_REDIRECTS 60 /* reference/01 §7.9 */
#define SG_LIMIT_CONNECTIONS_PER_APP 256 /* --max-connections-per-app */
/* Requests made for steps (reference/02 §10), ours: at a time; --max-fetches. */
#define SG_LIMIT_FETCHES_IN_FLIGHT 256
/* Requests beyond these that wait for a connection fail, and are tried again: their number and size, since options may hold megabytes. */
#define SG_LIMIT_FETCHES_WAITING 10000
#define SG_LIMIT_FETCH_WAITING_BYTES (256LL * 1024 * 1024)
/* Of all answers that are being read at a time: 256 of the largest would be 2 GiB. */
#define SG_LIMIT_FETCH_RESPONSES_BYTES (256LL * 1024 * 1024)
#define SG_LIMIT_FETCH_MS (2LL * 3600 * 1000) /* one request with its redirects (reference/02 §10.1) */
/*
 * Jobs of an app that are under way at once: its calls, and what is read for them. Each holds its run's steps in memory, about two kilobytes; four times
 * the connections keeps these busy. --max-calls-per-app
 */
#define SG_LIMIT_CALLS_PER_APP 1000
#define SG_LIMIT_IDEMPOTENCY_MS (24LL * 3600 * 1000) /* reference/04 §4.1 */
#define SG_LIMIT_WRITES_PER_MESSAGE 1000             /* design: larger work is a cursor */
#define SG_LIMIT_MESSAGES_PER_BATCH 512              /* ours: bounds the memory and the latency of a commit; --max-batch */
#define SG_LIMIT_INBOX_MESSAGES 20000                /* ours: beyond it the edge answers 429; --max-inbox */
#define SG_LIMIT_INBOX_BYTES (256LL * 1024 * 1024)   /* ours: the same for their size; --max-inbox-bytes */
#define SG_LIMIT_SET_ASIDE_PER_RUN 1024              /* ours: messages of one run that wait for a load */
#define SG_LIMIT_METRIC_APPS 100                     /* ours: those that come later share the label "other" */
#define SG_LIMIT_METRIC_FUNCTIONS 200                /* ours: the same; each has about ten series */
#define SG_LIMIT_ERROR_STACK_BYTES (32 * 1024)       /* ours: longer stacks of synthesized errors are cut */

#endif
