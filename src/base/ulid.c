/*
 * ULIDs that ascend. A new millisecond draws fresh entropy; within one, and while the clock is behind, the entropy of the
 * last id is counted up by one. The top bit of fresh entropy is left zero, so that counting up has 2^79 to go.
 */
#include "base/ulid.h"

#include <assert.h>

struct sg_id sg_ulid_generator_next(struct sg_ulid_generator *generator, int64_t time_ms, struct sg_rng *rng)
{
    if (!generator->has_last || time_ms > generator->last_ms) {
        generator->last_ms = time_ms;
        generator->has_last = true;
        sg_rng_fill(rng, generator->entropy, sizeof(generator->entropy));
        generator->entropy[0] &= 0x7f;
    } else {
        size_t at = sizeof(generator->entropy);
        while (at > 0 && ++generator->entropy[--at] == 0) {
        }
        assert(generator->entropy[0] != 0 || at > 0); /* it did not wrap */
    }
    return sg_ulid_make(generator->last_ms, generator->entropy);
}
