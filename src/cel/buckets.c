/*
 * A hash table of intrusive nodes with chains.
 *
 * The model. When there are more nodes than slots, a table twice as large takes over, and each later insertion or removal moves
 * the chains of a few slots of the former one. While both exist a look-up goes through both. A million waiters thus never cost
 * one of them the time that it takes to move the others.
 */
#include "cel/buckets.h"

#include "base/alloc.h"
#include "base/check.h"

#define SLOTS_MIN 16
#define SLOTS_MOVE 8 /* a doubled table is used up after as many insertions as the former had slots: 8 leave time */

bool sg_cel_buckets_init(struct sg_cel_buckets *buckets)
{
    *buckets = (struct sg_cel_buckets){.moved = 0};
    buckets->present.slots = sg_calloc(SLOTS_MIN, sizeof(struct sg_cel_bucket_node *));
    buckets->present.count = SLOTS_MIN;
    return buckets->present.slots != NULL;
}

void sg_cel_buckets_free(struct sg_cel_buckets *buckets)
{
    sg_free(buckets->present.slots);
    sg_free(buckets->former.slots);
    *buckets = (struct sg_cel_buckets){.moved = 0};
}

static struct sg_cel_bucket_node **slot_of(const struct sg_cel_bucket_table *table, uint32_t hash)
{
    return &table->slots[hash & (table->count - 1)];
}

static void unlink_node(struct sg_cel_bucket_node *node)
{
    *node->back = node->next;
    if (node->next != NULL)
        node->next->back = node->back;
}

static void link_node(const struct sg_cel_bucket_table *table, struct sg_cel_bucket_node *node)
{
    struct sg_cel_bucket_node **slot = slot_of(table, node->hash);
    node->next = *slot;
    node->back = slot;
    if (node->next != NULL)
        node->next->back = &node->next;
    *slot = node;
}

/* Moves the chains of the next few slots; gives up the former table when it is empty. */
static void move_some(struct sg_cel_buckets *buckets)
{
    for (size_t i = 0; i < SLOTS_MOVE && buckets->former.count > 0; i++) {
        struct sg_cel_bucket_node **slot = &buckets->former.slots[buckets->moved++];
        while (*slot != NULL) {
            struct sg_cel_bucket_node *node = *slot;
            unlink_node(node);
            link_node(&buckets->present, node);
        }
        if (buckets->moved == buckets->former.count) {
            sg_free(buckets->former.slots);
            buckets->former = (struct sg_cel_bucket_table){NULL, 0};
        }
    }
}

/* Starts to use a table of another size, unless one is being moved already. */
static void resize(struct sg_cel_buckets *buckets, size_t count)
{
    if (buckets->former.count > 0)
        return;
    struct sg_cel_bucket_node **slots = sg_calloc(count, sizeof(struct sg_cel_bucket_node *));
    if (slots == NULL)
        return;
    buckets->former = buckets->present;
    buckets->present = (struct sg_cel_bucket_table){slots, count};
    buckets->moved = 0;
}

void sg_cel_buckets_add(struct sg_cel_buckets *buckets, struct sg_cel_bucket_node *node)
{
    move_some(buckets);
    if (buckets->nodes >= buckets->present.count)
        resize(buckets, buckets->present.count * 2);
    link_node(&buckets->present, node);
    buckets->nodes++;
}

/* Gives back the memory of a table in which there is nothing left. */
static void shrink_empty(struct sg_cel_buckets *buckets)
{
    sg_free(buckets->former.slots);
    buckets->former = (struct sg_cel_bucket_table){NULL, 0};
    void *slots = sg_realloc(buckets->present.slots, SLOTS_MIN * sizeof(struct sg_cel_bucket_node *));
    if (slots != NULL)
        buckets->present = (struct sg_cel_bucket_table){slots, SLOTS_MIN};
}

void sg_cel_buckets_remove(struct sg_cel_buckets *buckets, struct sg_cel_bucket_node *node)
{
    assert(buckets->nodes > 0);
    unlink_node(node);
    buckets->nodes--;
    if (buckets->nodes == 0) {
        shrink_empty(buckets);
        return;
    }
    move_some(buckets);
    if (buckets->nodes < buckets->present.count / 8 && buckets->present.count > SLOTS_MIN)
        resize(buckets, buckets->present.count / 2);
}

static struct sg_cel_bucket_node *find_in_chain(struct sg_cel_bucket_node *node, uint32_t hash)
{
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}

static struct sg_cel_bucket_node *find_former(const struct sg_cel_buckets *buckets, uint32_t hash)
{
    return buckets->former.count > 0 ? find_in_chain(*slot_of(&buckets->former, hash), hash) : NULL;
}

struct sg_cel_bucket_node *sg_cel_buckets_first(const struct sg_cel_buckets *buckets, uint32_t hash)
{
    struct sg_cel_bucket_node *node = find_in_chain(*slot_of(&buckets->present, hash), hash);
    return node != NULL ? node : find_former(buckets, hash);
}

/* Whether the chain that a node stands in belongs to the present table is found out from its end: it is walked anyway. */
struct sg_cel_bucket_node *sg_cel_buckets_next(const struct sg_cel_buckets *buckets, const struct sg_cel_bucket_node *node)
{
    struct sg_cel_bucket_node *next = find_in_chain(node->next, node->hash);
    if (next != NULL || buckets->former.count == 0)
        return next;
    struct sg_cel_bucket_node *former = find_former(buckets, node->hash);
    for (struct sg_cel_bucket_node *other = former; other != NULL; other = find_in_chain(other->next, node->hash)) {
        if (other == node)
            return NULL; /* it stood in the former table, whose chain has ended */
    }
    return former;
}

size_t sg_cel_buckets_bytes(const struct sg_cel_buckets *buckets)
{
    return (buckets->present.count + buckets->former.count) * sizeof(struct sg_cel_bucket_node *);
}
