/*
 * Pools of equal things.
 *
 * The model. A block is 256 KiB of pages with a small header and things behind it, aligned to its size: masking a thing's address gives its block. Free things are chained
 * through their first word. Blocks with room are in one list, full ones in another; take and give are O(1).
 */
#include "base/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define BLOCK_BYTES 262144u
#define BLOCK_MAGIC 0x706f6f6cu

#if defined(__SANITIZE_ADDRESS__)
#define IS_POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_POOLED 0
#endif
#endif
#ifndef IS_POOLED
#define IS_POOLED 1
#endif

struct block {
    uint32_t magic;
    uint32_t used;
    uint32_t fresh; /* things that were never out: the rest of the block */
    void *free;     /* chain of things that came back */
    struct sg_list_node in_pool;
};

static size_t header_bytes(void)
{
    return (sizeof(struct block) + 15) & ~(size_t)15;
}

void sg_pool_init(struct sg_pool *pool, size_t thing_bytes)
{
    memset(pool, 0, sizeof(*pool));
    pool->thing_bytes = (thing_bytes + 7) & ~(size_t)7;
    pool->per_block = (BLOCK_BYTES - header_bytes()) / pool->thing_bytes;
    assert(pool->per_block >= 8);
}

static void blocks_free(struct sg_list *list)
{
    struct sg_list_node *node;
    while ((node = sg_list_pop_front(list)) != NULL)
        sg_pages_give(SG_CONTAINER_OF(node, struct block, in_pool), BLOCK_BYTES);
}

void sg_pool_free(struct sg_pool *pool)
{
    blocks_free(&pool->partial);
    blocks_free(&pool->full);
    pool->count = 0;
}

static struct block *block_create(struct sg_pool *pool)
{
    struct block *block = sg_pages_take(BLOCK_BYTES);
    if (block == NULL)
        return NULL;
    block->magic = BLOCK_MAGIC;
    sg_list_push_front(&pool->partial, &block->in_pool);
    return block;
}

void *sg_pool_take(struct sg_pool *pool)
{
    if (!IS_POOLED) {
        void *thing = sg_calloc(1, pool->thing_bytes);
        pool->count += thing != NULL;
        return thing;
    }
    struct block *block = pool->partial.first != NULL ? SG_CONTAINER_OF(pool->partial.first, struct block, in_pool) : block_create(pool);
    if (block == NULL)
        return NULL;
    void *thing = block->free;
    if (thing != NULL)
        memcpy(&block->free, thing, sizeof(block->free));
    else
        thing = (char *)block + header_bytes() + block->fresh++ * pool->thing_bytes;
    block->used++;
    pool->count++;
    if (block->used == pool->per_block) {
        sg_list_remove(&pool->partial, &block->in_pool);
        sg_list_push_front(&pool->full, &block->in_pool);
    }
    memset(thing, 0, pool->thing_bytes);
    return thing;
}

void sg_pool_give(struct sg_pool *pool, void *thing)
{
    assert(pool->count > 0);
    pool->count--;
    if (!IS_POOLED) {
        sg_free(thing);
        return;
    }
    struct block *block = (struct block *)((uintptr_t)thing & ~(uintptr_t)(BLOCK_BYTES - 1));
    SG_CHECK(block, BLOCK_MAGIC);
    if (block->used == pool->per_block) {
        sg_list_remove(&pool->full, &block->in_pool);
        sg_list_push_front(&pool->partial, &block->in_pool);
    }
    memcpy(thing, &block->free, sizeof(block->free));
    block->free = thing;
    block->used--;
    bool is_last = block->in_pool.prev == NULL && block->in_pool.next == NULL;
    if (block->used == 0 && !is_last) {
        sg_list_remove(&pool->partial, &block->in_pool);
        block->magic = 0;
        sg_pages_give(block, BLOCK_BYTES);
    }
}
