/* A hash table of intrusive nodes that grows and shrinks a few nodes at a time, so that no insertion ever takes long. */
#ifndef STEPGATE_CEL_BUCKETS_H
#define STEPGATE_CEL_BUCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lives inside of what is found. Nodes of equal hash are candidates; whoever looks decides. */
struct sg_cel_bucket_node {
    struct sg_cel_bucket_node *next;
    struct sg_cel_bucket_node **back; /* what points here */
    uint32_t hash;
    uint32_t ordinal; /* which of its owner's nodes it is */
};

struct sg_cel_bucket_table {
    struct sg_cel_bucket_node **slots;
    size_t count; /* of slots: a power of two, or 0 */
};

struct sg_cel_buckets {
    struct sg_cel_bucket_table present;
    struct sg_cel_bucket_table former; /* being moved into the present one; count 0: nothing to move */
    size_t moved;                      /* slots of the former table that are empty */
    size_t nodes;
};

bool sg_cel_buckets_init(struct sg_cel_buckets *buckets); /* false if memory ran out */
void sg_cel_buckets_free(struct sg_cel_buckets *buckets); /* the tables, not the nodes */
/* Cannot fail: a table that cannot grow gets slower. */
void sg_cel_buckets_add(struct sg_cel_buckets *buckets, struct sg_cel_bucket_node *node);
void sg_cel_buckets_remove(struct sg_cel_buckets *buckets, struct sg_cel_bucket_node *node);
/* The first node of this hash, and the next one after `node`; NULL if there is none. Nothing may change in between. */
struct sg_cel_bucket_node *sg_cel_buckets_first(const struct sg_cel_buckets *buckets, uint32_t hash);
struct sg_cel_bucket_node *sg_cel_buckets_next(const struct sg_cel_buckets *buckets, const struct sg_cel_bucket_node *node);
size_t sg_cel_buckets_bytes(const struct sg_cel_buckets *buckets);

#endif
