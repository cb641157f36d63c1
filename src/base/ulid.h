/*
 * ULIDs that ascend: within one millisecond, and across a clock that steps back, each is greater than the one before. The
 * time and the randomness are the caller's, so the engine can use it.
 */
#ifndef STEPGATE_BASE_ULID_H
#define STEPGATE_BASE_ULID_H

#include <stepgate/base.h>

#include "base/rng.h"

struct sg_ulid_generator {
    int64_t last_ms;
    uint8_t entropy[10];
    bool has_last;
};

/* Zero-initialise the generator. `time_ms` is the wall clock. */
struct sg_id sg_ulid_generator_next(struct sg_ulid_generator *generator, int64_t time_ms, struct sg_rng *rng);

#endif
