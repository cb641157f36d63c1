/*
 * The event-id seed: the header `x-inngest-event-id-seed: <ms>,<base64 of 10 bytes>` with which an SDK makes a repeated
 * request get the same event ids (reference/02 §11, reference/03 §1.1.5).
 */
#ifndef STEPGATE_BASE_SEED_H
#define STEPGATE_BASE_SEED_H

#include <stepgate/base.h>

struct sg_event_seed {
    int64_t time_ms;
    uint8_t entropy[10];
};

/* False if it is malformed; the caller then ignores the header. */
bool sg_event_seed_parse(struct sg_str header, struct sg_event_seed *seed);
/* The id at `position`, which counts from 1 for the first event of a request to /e (reference/03 §1.1.5). */
struct sg_id sg_event_seed_id(const struct sg_event_seed *seed, uint32_t position);

#endif
