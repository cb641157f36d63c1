/*
 * Hashing for tables in memory: 128-bit products folded to 64 bits (the idea of wyhash), keyed by the process's seed.
 *
 * Without the seed a stranger who chooses event names could aim them all at one slot. It is not a MAC: nothing that leaves
 * the process may depend on it.
 */
#include "base/hash.h"

#include <stdatomic.h>
#include <string.h>

#include "base/random.h"

/* Odd constants with about half of the bits set; any such would do. */
#define SG_HASH_K0 UINT64_C(0x9e3779b97f4a7c15)
#define SG_HASH_K1 UINT64_C(0xd1b54a32d192ed03)
#define SG_HASH_K2 UINT64_C(0x8bb84b93962eacc9)

/* Static because all maps of the process share it. */
static _Atomic uint64_t process_seed;

static uint64_t seed_get(void)
{
    uint64_t seed = atomic_load_explicit(&process_seed, memory_order_relaxed);
    if (seed != 0)
        return seed;

    uint64_t drawn;
    if (!sg_random_bytes(&drawn, sizeof(drawn)) || drawn == 0)
        drawn = (uint64_t)(uintptr_t)&process_seed ^ SG_HASH_K0; /* address randomisation is better than nothing */
    uint64_t none = 0;
    return atomic_compare_exchange_strong(&process_seed, &none, drawn) ? drawn : none;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read_u64(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* The last 0 to 8 bytes as a number. The length goes into the hash too, so missing bytes may read as zero. */
static uint64_t read_tail(const unsigned char *bytes, size_t len)
{
    uint64_t word = 0;
    if (len > 0)
        memcpy(&word, bytes, len);
    return word;
}

void sg_hash_seed(uint64_t seed)
{
    atomic_store(&process_seed, seed);
}

uint64_t sg_hash_bytes(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    size_t left = len;
    uint64_t hash = seed_get();

    while (left > 16) {
        hash = fold(read_u64(at) ^ SG_HASH_K0 ^ hash, read_u64(at + 8) ^ SG_HASH_K1);
        at += 16;
        left -= 16;
    }
    size_t low = left < 8 ? left : 8;
    uint64_t a = read_tail(at, low);
    uint64_t b = left > low ? read_tail(at + low, left - low) : 0;
    hash = fold(a ^ SG_HASH_K0 ^ hash, b ^ SG_HASH_K1);
    return fold(hash ^ SG_HASH_K2, (uint64_t)len ^ SG_HASH_K1);
}

uint64_t sg_hash_id(struct sg_id id)
{
    uint64_t hash = seed_get();
    hash = fold(read_u64(id.bytes) ^ SG_HASH_K0 ^ hash, read_u64(id.bytes + 8) ^ SG_HASH_K1);
    return fold(hash ^ SG_HASH_K2, SG_HASH_K1);
}
