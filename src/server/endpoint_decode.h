/* What POST /v1/checkpoint takes: the run of a durable endpoint, as its SDK describes it (reference/03 §4.4). */
#ifndef STEPGATE_SERVER_ENDPOINT_DECODE_H
#define STEPGATE_SERVER_ENDPOINT_DECODE_H

#include <stepgate/engine.h>

struct sg_endpoint_source {
    struct sg_str sdk;       /* the header x-inngest-sdk, or empty */
    struct sg_id event_id;   /* of the event that is made of the request */
    int64_t now_ms;          /* wall clock */
    int64_t event_bytes_max; /* of that event */
};

/*
 * Reads everything but the steps of a canonical body into `run`, whose bytes lie in the body or in `arena`. SG_INVALID_ARGUMENT names the member
 * that is wrong, SG_TOO_LARGE the one that is too large; SG_NO_MEMORY.
 */
enum sg_status sg_endpoint_decode(struct sg_str body, const struct sg_endpoint_source *source, struct sg_arena *arena,
                                  struct sg_http_run_in *run, struct sg_error *error);

#endif
