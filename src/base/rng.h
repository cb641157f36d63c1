/*
 * Random numbers that repeat: the state is passed in, the same seed gives the same numbers on every machine. For jitter,
 * ULIDs and the simulator; not for secrets (base/random.h).
 */
#ifndef STEPGATE_BASE_RNG_H
#define STEPGATE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct sg_rng {
    uint64_t state[4]; /* xoshiro256** */
};

void sg_rng_init(struct sg_rng *rng, uint64_t seed);
uint64_t sg_rng_next(struct sg_rng *rng);
/* Uniform in [0, bound); `bound` > 0. */
uint64_t sg_rng_below(struct sg_rng *rng, uint64_t bound);
void sg_rng_fill(struct sg_rng *rng, void *bytes, size_t len);

#endif
