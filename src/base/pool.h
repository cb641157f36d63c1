/*
 * A pool of things of one size, for those of which there may be millions: no header per thing, no rounding up, and memory that goes back to the
 * system when a peak is over.
 *
 * Things are cut from blocks of 256 KiB, each aligned to its size, so a thing finds its block by its address. A block that has become empty is
 * freed, but for one that is kept for the next. Under the address sanitizer every thing is an allocation of its own, so that use after
 * free is still found.
 */
#ifndef STEPGATE_BASE_POOL_H
#define STEPGATE_BASE_POOL_H

#include <stddef.h>

#include "base/list.h"

struct sg_pool {
    size_t thing_bytes;
    size_t per_block;
    size_t count;           /* things that are out */
    struct sg_list partial; /* blocks with room */
    struct sg_list full;
};

/* `thing_bytes` is rounded up to a multiple of 8 and must leave room for at least 8 in a block. Allocates nothing. */
void sg_pool_init(struct sg_pool *pool, size_t thing_bytes);
/* Frees all blocks. Under the address sanitizer, things that are still out leak: give them back first. */
void sg_pool_free(struct sg_pool *pool);
/* A zeroed thing, or NULL if memory ran out. */
void *sg_pool_take(struct sg_pool *pool);
void sg_pool_give(struct sg_pool *pool, void *thing);

#endif
