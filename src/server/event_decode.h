/*
 * What POST /e takes: bytes in, validated events out, each with its ids and the canonical object that is stored (reference/03 §1.1).
 *
 * Pure but for the source of fresh ids. All or nothing: one bad event refuses the request.
 */
#ifndef STEPGATE_SERVER_EVENT_DECODE_H
#define STEPGATE_SERVER_EVENT_DECODE_H

#include <stepgate/engine.h>

#include "base/seed.h"

struct sg_event_source {
    const struct sg_event_seed *seed; /* of the request; NULL: ids come from `fresh` */
    void (*fresh)(void *context, int64_t now_ms, struct sg_id *ids, size_t count);
    void *context;
    int64_t now_ms;          /* wall clock: the default `ts` */
    int64_t event_bytes_max; /* of one event, in canonical form */
    struct sg_buf *consumed; /* NULL, or where the request's body lies: freed once it has been read */
};

/*
 * Decodes the body of a request into `arena`. An empty body and an empty list give no events.
 *
 * `*seen` is how many events the body had, as far as it could be told: what the list of ids in an error is as long as.
 * Errors: SG_INVALID_JSON, SG_TOO_DEEP, SG_INVALID_ARGUMENT, SG_TOO_LARGE and SG_TOO_MANY (all of them 400 at this API), SG_NO_MEMORY.
 */
enum sg_status sg_events_decode(struct sg_str body, const struct sg_event_source *source, struct sg_arena *arena,
                                struct sg_event_in **events, size_t *count, size_t *seen, struct sg_error *error);

#endif
