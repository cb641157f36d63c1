/*
 * A sorted set of records that shares what it has in common with its older versions (a persistent AVL tree).
 *
 * A tree is a pointer to its root. Copying one is sg_memory_tree_share: both then see the same nodes, and a change to either
 * copies only the nodes on its path. A node that nobody else holds is changed in place.
 */
#ifndef STEPGATE_STORE_MEMORY_TREE_H
#define STEPGATE_STORE_MEMORY_TREE_H

#include "store/backend.h"

struct sg_memory_row;
struct sg_memory_node;

/* A copy of `record`, held once; NULL if memory ran out. */
struct sg_memory_row *sg_memory_row_make(const struct sg_record *record);
void sg_memory_row_drop(struct sg_memory_row *row);
const struct sg_record *sg_memory_row_record(const struct sg_memory_row *row);

/* Order of two records: negative, zero or positive. Only the columns of `order` are looked at. */
int sg_memory_record_cmp(const struct sg_record *a, const struct sg_record *b, const struct sg_store_order *order);

struct sg_memory_node *sg_memory_tree_share(struct sg_memory_node *root);
void sg_memory_tree_drop(struct sg_memory_node *root);
int64_t sg_memory_tree_count(const struct sg_memory_node *root);

/* The row that is equal to `record` in `order`, or NULL. Borrowed from the tree. */
struct sg_memory_row *sg_memory_tree_find(const struct sg_memory_node *root, const struct sg_record *record,
                                          const struct sg_store_order *order);

/*
 * Adds `row` (and holds it), taking the place of an equal one; removes the one that is equal to `record`, if there is one.
 * False if memory ran out: the tree may then be only dropped, not used.
 */
bool sg_memory_tree_put(struct sg_memory_node **root, struct sg_memory_row *row, const struct sg_store_order *order);
bool sg_memory_tree_remove(struct sg_memory_node **root, const struct sg_record *record, const struct sg_store_order *order);

/* Visits what lies in the range of `query`, in its direction, up to its limit. */
enum sg_status sg_memory_tree_read(const struct sg_memory_node *root, const struct sg_query *query, const struct sg_store_order *order,
                                   sg_record_visit visit, void *context);

#endif
