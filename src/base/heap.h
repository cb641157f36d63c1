/*
 * A priority queue of things that are due: smallest (key_ms, tie) first. The node lives inside the thing and knows its
 * place, so any of them can be removed or moved in O(log n). A zeroed node is in no heap.
 */
#ifndef STEPGATE_BASE_HEAP_H
#define STEPGATE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sg_heap_node {
    int64_t key_ms;
    uint64_t tie;   /* decides between equal keys; equal in both: any order */
    uint32_t index; /* place + 1; 0: in no heap */
};

struct sg_heap_slot;

struct sg_heap {
    struct sg_heap_slot *slots;
    uint32_t count;
    uint32_t capacity;
};

void sg_heap_init(struct sg_heap *heap);
void sg_heap_free(struct sg_heap *heap); /* frees the table, not the things */
/* Makes room for `count` nodes in total, so that adding up to that many cannot fail. */
bool sg_heap_reserve(struct sg_heap *heap, size_t count);

/* Adds a node that is in no heap; false if memory ran out. */
bool sg_heap_add(struct sg_heap *heap, struct sg_heap_node *node);
/* The same, in a heap with keys of its own: the node's stays what it is. Such a node cannot be moved. */
bool sg_heap_add_as(struct sg_heap *heap, struct sg_heap_node *node, int64_t key_ms);
/* The smallest, or NULL. */
struct sg_heap_node *sg_heap_first(const struct sg_heap *heap);
/* Takes out and returns the smallest, or NULL. */
struct sg_heap_node *sg_heap_pop(struct sg_heap *heap);
/* Takes out a node that is in this heap. */
void sg_heap_remove(struct sg_heap *heap, struct sg_heap_node *node);
/* Gives a node of this heap another key. */
void sg_heap_move(struct sg_heap *heap, struct sg_heap_node *node, int64_t key_ms, uint64_t tie);

/* How many have a key of at most `key_ms`: O(that number). */
size_t sg_heap_count_until(const struct sg_heap *heap, int64_t key_ms);

/* Whether the node, which may be in another heap, is in this one. */
bool sg_heap_holds(const struct sg_heap *heap, const struct sg_heap_node *node);

static inline bool sg_heap_has(const struct sg_heap_node *node)
{
    return node->index != 0;
}

#endif
