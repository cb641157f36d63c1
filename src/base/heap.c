/*
 * The priority queue behind every timer: a 4-ary heap.
 *
 * The model. A slot repeats the key beside the pointer, so that sifting reads the table and touches a node only to tell it
 * its new place or to break a tie. Four children a node: half as many levels as a binary heap, and four slots are one
 * cache line. Which of two nodes equal in key and tie comes first depends only on the sequence of calls, so it repeats.
 */
#include "base/heap.h"

#include <assert.h>

#include "base/alloc.h"

struct sg_heap_slot {
    int64_t key_ms;
    struct sg_heap_node *node;
};

#define CHILDREN 4u
#define CAPACITY_FIRST 16u
#define CAPACITY_MAX (UINT32_MAX / 2)

void sg_heap_init(struct sg_heap *heap)
{
    *heap = (struct sg_heap){0};
}

void sg_heap_free(struct sg_heap *heap)
{
    sg_free(heap->slots);
    *heap = (struct sg_heap){0};
}

bool sg_heap_reserve(struct sg_heap *heap, size_t count)
{
    if (count <= heap->capacity)
        return true;
    if (count > CAPACITY_MAX)
        return false;
    uint32_t capacity = heap->capacity > 0 ? heap->capacity : CAPACITY_FIRST;
    while (capacity < count)
        capacity *= 2;

    struct sg_heap_slot *slots = sg_realloc(heap->slots, capacity * sizeof(*slots));
    if (slots == NULL)
        return false;
    heap->slots = slots;
    heap->capacity = capacity;
    return true;
}

static bool is_before(const struct sg_heap_slot *a, const struct sg_heap_slot *b)
{
    if (a->key_ms != b->key_ms)
        return a->key_ms < b->key_ms;
    return a->node->tie < b->node->tie;
}

static void settle(struct sg_heap *heap, uint32_t at, struct sg_heap_slot slot)
{
    heap->slots[at] = slot;
    slot.node->index = at + 1;
}

static void sift_up(struct sg_heap *heap, uint32_t at, struct sg_heap_slot slot)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;
        if (!is_before(&slot, &heap->slots[parent]))
            break;
        settle(heap, at, heap->slots[parent]);
        at = parent;
    }
    settle(heap, at, slot);
}

static void sift_down(struct sg_heap *heap, uint32_t at, struct sg_heap_slot slot)
{
    for (;;) {
        uint32_t child = at * CHILDREN + 1;
        if (child >= heap->count)
            break;
        uint32_t end = heap->count - child < CHILDREN ? heap->count : child + CHILDREN;
        uint32_t least = child;
        while (++child < end)
            if (is_before(&heap->slots[child], &heap->slots[least]))
                least = child;
        if (!is_before(&heap->slots[least], &slot))
            break;
        settle(heap, at, heap->slots[least]);
        at = least;
    }
    settle(heap, at, slot);
}

/* Puts `slot` at the free place `at`, upwards or downwards as its key wants. */
static void sift(struct sg_heap *heap, uint32_t at, struct sg_heap_slot slot)
{
    if (at > 0 && is_before(&slot, &heap->slots[(at - 1) / CHILDREN]))
        sift_up(heap, at, slot);
    else
        sift_down(heap, at, slot);
}

bool sg_heap_add(struct sg_heap *heap, struct sg_heap_node *node)
{
    return sg_heap_add_as(heap, node, node->key_ms);
}

bool sg_heap_add_as(struct sg_heap *heap, struct sg_heap_node *node, int64_t key_ms)
{
    assert(node->index == 0);
    if (!sg_heap_reserve(heap, (size_t)heap->count + 1))
        return false;
    heap->count++;
    sift_up(heap, heap->count - 1, (struct sg_heap_slot){key_ms, node});
    return true;
}

bool sg_heap_holds(const struct sg_heap *heap, const struct sg_heap_node *node)
{
    return node->index > 0 && node->index <= heap->count && heap->slots[node->index - 1].node == node;
}

struct sg_heap_node *sg_heap_first(const struct sg_heap *heap)
{
    return heap->count > 0 ? heap->slots[0].node : NULL;
}

struct sg_heap_node *sg_heap_pop(struct sg_heap *heap)
{
    struct sg_heap_node *node = sg_heap_first(heap);
    if (node != NULL)
        sg_heap_remove(heap, node);
    return node;
}

void sg_heap_remove(struct sg_heap *heap, struct sg_heap_node *node)
{
    assert(node->index > 0 && node->index <= heap->count && heap->slots[node->index - 1].node == node);
    uint32_t at = node->index - 1;
    struct sg_heap_slot last = heap->slots[--heap->count];

    node->index = 0;
    if (at < heap->count)
        sift(heap, at, last);

    /* After a burst the memory comes back; if that fails the larger table serves as well. */
    if (heap->capacity > CAPACITY_FIRST * 64 && heap->count < heap->capacity / 16) {
        uint32_t capacity = heap->capacity / 4;
        struct sg_heap_slot *slots = sg_realloc(heap->slots, capacity * sizeof(*slots));
        if (slots != NULL) {
            heap->slots = slots;
            heap->capacity = capacity;
        }
    }
}

void sg_heap_move(struct sg_heap *heap, struct sg_heap_node *node, int64_t key_ms, uint64_t tie)
{
    assert(node->index > 0 && node->index <= heap->count && heap->slots[node->index - 1].node == node);
    node->key_ms = key_ms;
    node->tie = tie;
    sift(heap, node->index - 1, (struct sg_heap_slot){key_ms, node});
}

/* A node's children are not before it, so the walk ends where a key is beyond. As deep as the heap: at most 16 levels. */
static size_t count_from(const struct sg_heap *heap, uint32_t at, int64_t key_ms)
{
    if (heap->slots[at].key_ms > key_ms)
        return 0;
    size_t count = 1;
    uint64_t child = (uint64_t)at * CHILDREN + 1;
    for (uint64_t end = child + CHILDREN; child < end && child < heap->count; child++)
        count += count_from(heap, (uint32_t)child, key_ms);
    return count;
}

size_t sg_heap_count_until(const struct sg_heap *heap, int64_t key_ms)
{
    return heap->count > 0 ? count_from(heap, 0, key_ms) : 0;
}
