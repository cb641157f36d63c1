/*
 * Repeatable random numbers: xoshiro256** (Blackman and Vigna), whose state is filled from one number by splitmix64.
 *
 * What it never does: read a clock or the operating system. Who wants different numbers each time seeds with
 * sg_random_bytes.
 */
#include "base/rng.h"

#include <assert.h>
#include <string.h>

static uint64_t rotate_left(uint64_t word, int bits)
{
    return (word << bits) | (word >> (64 - bits));
}

void sg_rng_init(struct sg_rng *rng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t word = seed;
        word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
        rng->state[i] = word ^ (word >> 31);
    }
}

uint64_t sg_rng_next(struct sg_rng *rng)
{
    uint64_t *state = rng->state;
    assert((state[0] | state[1] | state[2] | state[3]) != 0); /* all zero: not initialised, and stays zero for ever */

    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t sg_rng_below(struct sg_rng *rng, uint64_t bound)
{
    assert(bound > 0);
    /* Numbers below 2^64 mod bound are drawn again: otherwise small results would be more likely. */
    uint64_t reject_below = (0 - bound) % bound;
    uint64_t number;
    do {
        number = sg_rng_next(rng);
    } while (number < reject_below);
    return number % bound;
}

void sg_rng_fill(struct sg_rng *rng, void *bytes, size_t len)
{
    unsigned char *at = bytes;
    while (len > 0) {
        uint64_t word = sg_rng_next(rng);
        size_t part = len < sizeof(word) ? len : sizeof(word);
        for (size_t i = 0; i < part; i++)
            at[i] = (unsigned char)(word >> (8 * i));
        at += part;
        len -= part;
    }
}
