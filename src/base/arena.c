/*
 * Memory for the length of one message: allocated piece by piece, freed all at once.
 *
 * The model. A chain of blocks; `current` is filled from its front. A request that does not fit opens a block twice as large
 * as the last, up to BLOCK_BYTES_MAX, or as large as the request. A reset keeps the first block if it is of ordinary size,
 * so a thread that handles message after message allocates nothing.
 *
 * Large texts that a buffer built are adopted instead of copied: the buffer's memory hangs in the chain, held by an empty block.
 *
 * What it never does: free or grow a single allocation, or keep a huge block because one message was huge.
 */
#include <stepgate/base.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define BLOCK_BYTES_FIRST ((size_t)4096)
#define BLOCK_BYTES_MAX ((size_t)64 * 1024)
#define ALIGNMENT ((size_t)16)
/* From here on a copy costs more than a block of its own. */
#define ADOPTED_BYTES_MIN ((size_t)16 * 1024)

struct sg_arena_block {
    struct sg_arena_block *next;
    size_t capacity;
    size_t used;
    void *adopted; /* NULL, or memory that goes with the block */
    _Alignas(16) char bytes[];
};

void sg_arena_init(struct sg_arena *arena)
{
    *arena = (struct sg_arena){0};
}

static void free_chain(struct sg_arena_block *block)
{
    while (block != NULL) {
        struct sg_arena_block *next = block->next;
        sg_free(block->adopted);
        sg_free(block);
        block = next;
    }
}

void sg_arena_reset(struct sg_arena *arena)
{
    struct sg_arena_block *kept = arena->first;
    if (kept == NULL)
        return;
    if (kept->capacity > BLOCK_BYTES_MAX || kept->adopted != NULL) {
        sg_arena_free(arena);
        return;
    }
    free_chain(kept->next);
    kept->next = NULL;
    kept->used = 0;
    arena->current = kept;
    arena->used_bytes = 0;
}

void sg_arena_free(struct sg_arena *arena)
{
    free_chain(arena->first);
    *arena = (struct sg_arena){0};
}

static struct sg_arena_block *open_block(struct sg_arena *arena, size_t bytes)
{
    size_t capacity = BLOCK_BYTES_FIRST;
    if (arena->current != NULL)
        capacity = arena->current->capacity < BLOCK_BYTES_MAX / 2 ? arena->current->capacity * 2 : BLOCK_BYTES_MAX;
    if (capacity < bytes)
        capacity = bytes;

    struct sg_arena_block *block = sg_malloc(sizeof(*block) + capacity);
    if (block == NULL)
        return NULL;
    *block = (struct sg_arena_block){.capacity = capacity};
    if (arena->current != NULL) {
        block->next = arena->current->next; /* what was adopted since */
        arena->current->next = block;
    } else {
        block->next = arena->first;
        arena->first = block;
    }
    arena->current = block;
    return block;
}

void *sg_arena_alloc(struct sg_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (rounded == 0)
        rounded = ALIGNMENT; /* so that two allocations never share an address */

    struct sg_arena_block *block = arena->current;
    if (block == NULL || block->capacity - block->used < rounded) {
        block = open_block(arena, rounded);
        if (block == NULL)
            return NULL;
    }
    void *allocated = block->bytes + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    return allocated;
}

void *sg_arena_zalloc(struct sg_arena *arena, size_t bytes)
{
    void *allocated = sg_arena_alloc(arena, bytes);
    if (allocated != NULL)
        memset(allocated, 0, bytes);
    return allocated;
}

struct sg_str sg_arena_copy(struct sg_arena *arena, struct sg_str text)
{
    char *copy = text.len < SIZE_MAX / 2 ? sg_arena_alloc(arena, text.len + 1) : NULL;
    if (copy == NULL)
        return SG_STR_NULL;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return (struct sg_str){copy, text.len};
}

struct sg_str sg_arena_adopt(struct sg_arena *arena, struct sg_buf *buf)
{
    if (buf->is_failed)
        return SG_STR_NULL;
    if (buf->len < ADOPTED_BYTES_MIN) {
        struct sg_str copy = sg_arena_copy(arena, sg_buf_str(buf));
        if (copy.ptr != NULL)
            sg_buf_clear(buf);
        return copy;
    }
    struct sg_arena_block *holder = sg_calloc(1, sizeof(*holder));
    if (holder == NULL)
        return SG_STR_NULL;
    if (buf->capacity - buf->len > buf->len / 8) { /* what it does not need goes back; that fails harmlessly */
        char *fitting = sg_realloc(buf->ptr, buf->len);
        if (fitting != NULL)
            buf->ptr = fitting;
    }
    holder->adopted = buf->ptr;
    struct sg_arena_block **place = arena->current != NULL ? &arena->current->next : &arena->first;
    holder->next = *place;
    *place = holder;
    arena->used_bytes += buf->len;
    struct sg_str text = {buf->ptr, buf->len};
    sg_buf_init(buf);
    return text;
}

struct sg_str sg_arena_printf(struct sg_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len < 0)
        return SG_STR_NULL;

    char *text = sg_arena_alloc(arena, (size_t)len + 1);
    if (text == NULL)
        return SG_STR_NULL;
    va_start(arguments, format);
    int again = vsnprintf(text, (size_t)len + 1, format, arguments);
    va_end(arguments);
    assert(again == len);
    return (struct sg_str){text, (size_t)len};
}
