/*
 * The memory store's sorted sets: AVL trees whose versions share their nodes.
 *
 * The model. Rows and nodes count who holds them. Before a node is changed it must be held once, by the path that leads to
 * it from a root that nobody else holds; otherwise it is copied, and the copy shares the children (`own`). So a version that
 * somebody holds never changes, copying a whole tree costs one increment, and a change costs O(log n) nodes. The counts are
 * atomic because readers of other threads drop versions while the committing thread makes new ones.
 *
 * What it never does: repair a change that ran out of memory half way. The caller holds the version before it and drops the
 * damaged one whole, which is how a commit is all or nothing.
 */
#include "store/memory_tree.h"

#include "base/alloc.h"
#include "base/check.h"

#include <stdatomic.h>
#include <string.h>

struct sg_memory_row {
    atomic_uint holders;
    struct sg_record record; /* points into bytes */
    char bytes[];
};

struct sg_memory_node {
    atomic_uint holders;
    int height;
    int64_t count; /* rows in this subtree */
    struct sg_memory_node *children[2];
    struct sg_memory_row *row;
};

enum { LEFT, RIGHT };

/* ---- rows ---- */

struct sg_memory_row *sg_memory_row_make(const struct sg_record *record)
{
    const struct sg_kind_info *info = sg_kind_info(record->kind);
    size_t bytes = 0;

    for (int i = 0; i < info->column_count; i++) {
        if (info->columns[i].type != SG_TYPE_INT && !record->values[i].is_null)
            bytes += record->values[i].bytes.len;
    }
    struct sg_memory_row *row = sg_calloc(1, sizeof(*row) + bytes + 1);
    if (row == NULL)
        return NULL;

    atomic_init(&row->holders, 1);
    row->record.kind = record->kind;
    char *next = row->bytes;
    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        row->record.values[i] = sg_value_null();
    for (int i = 0; i < info->column_count; i++) {
        const struct sg_value *value = &record->values[i];
        if (value->is_null)
            continue;
        if (info->columns[i].type == SG_TYPE_INT) {
            row->record.values[i] = sg_value_int(value->number);
            continue;
        }
        if (value->bytes.len > 0)
            memcpy(next, value->bytes.ptr, value->bytes.len);
        row->record.values[i] = sg_value_bytes((struct sg_str){next, value->bytes.len});
        next += value->bytes.len;
    }
    return row;
}

static struct sg_memory_row *row_hold(struct sg_memory_row *row)
{
    atomic_fetch_add_explicit(&row->holders, 1, memory_order_relaxed);
    return row;
}

void sg_memory_row_drop(struct sg_memory_row *row)
{
    if (row != NULL && atomic_fetch_sub_explicit(&row->holders, 1, memory_order_acq_rel) == 1)
        sg_free(row);
}

const struct sg_record *sg_memory_row_record(const struct sg_memory_row *row)
{
    return &row->record;
}

/* ---- order ---- */

/* Null is less than everything, numbers by value, bytes like memcmp with the shorter first: SQLite's order. */
static int value_cmp(const struct sg_value *a, const struct sg_value *b, enum sg_column_type type)
{
    if (a->is_null || b->is_null)
        return (int)b->is_null - (int)a->is_null;
    if (type == SG_TYPE_INT)
        return (a->number > b->number) - (a->number < b->number);
    size_t common = a->bytes.len < b->bytes.len ? a->bytes.len : b->bytes.len;
    int by_bytes = common > 0 ? memcmp(a->bytes.ptr, b->bytes.ptr, common) : 0;
    return by_bytes != 0 ? by_bytes : (a->bytes.len > b->bytes.len) - (a->bytes.len < b->bytes.len);
}

int sg_memory_record_cmp(const struct sg_record *a, const struct sg_record *b, const struct sg_store_order *order)
{
    const struct sg_kind_info *info = sg_kind_info(a->kind);

    assert(a->kind == b->kind);
    for (int i = 0; i < order->count; i++) {
        int column = order->columns[i];
        int difference = value_cmp(&a->values[column], &b->values[column], info->columns[column].type);
        if (difference != 0)
            return difference;
    }
    return 0;
}

/* ---- nodes ---- */

static int height_of(const struct sg_memory_node *node)
{
    return node != NULL ? node->height : 0;
}

int64_t sg_memory_tree_count(const struct sg_memory_node *root)
{
    return root != NULL ? root->count : 0;
}

static void node_measure(struct sg_memory_node *node)
{
    int left = height_of(node->children[LEFT]);
    int right = height_of(node->children[RIGHT]);

    node->height = 1 + (left > right ? left : right);
    node->count = 1 + sg_memory_tree_count(node->children[LEFT]) + sg_memory_tree_count(node->children[RIGHT]);
}

struct sg_memory_node *sg_memory_tree_share(struct sg_memory_node *root)
{
    if (root != NULL)
        atomic_fetch_add_explicit(&root->holders, 1, memory_order_relaxed);
    return root;
}

/* Recursion is as deep as the tree is high: 1.44 log2 of its rows. */
void sg_memory_tree_drop(struct sg_memory_node *root)
{
    if (root == NULL || atomic_fetch_sub_explicit(&root->holders, 1, memory_order_acq_rel) != 1)
        return;
    sg_memory_tree_drop(root->children[LEFT]);
    sg_memory_tree_drop(root->children[RIGHT]);
    sg_memory_row_drop(root->row);
    sg_free(root);
}

/* Makes the node in `slot` one that may be changed. The path to `slot` is owned already. */
static bool own(struct sg_memory_node **slot)
{
    struct sg_memory_node *node = *slot;
    assert(node != NULL); /* callers follow paths to rows that are there */
    if (atomic_load_explicit(&node->holders, memory_order_acquire) == 1)
        return true;

    struct sg_memory_node *copy = sg_malloc(sizeof(*copy));
    if (copy == NULL)
        return false;
    atomic_init(&copy->holders, 1);
    copy->height = node->height;
    copy->count = node->count;
    copy->children[LEFT] = sg_memory_tree_share(node->children[LEFT]);
    copy->children[RIGHT] = sg_memory_tree_share(node->children[RIGHT]);
    copy->row = row_hold(node->row);
    *slot = copy;
    sg_memory_tree_drop(node);
    return true;
}

/* The child on `side` becomes the parent. Both must be owned. */
static void rotate_up(struct sg_memory_node **slot, int side)
{
    struct sg_memory_node *parent = *slot;
    struct sg_memory_node *child = parent->children[side];

    parent->children[side] = child->children[!side];
    child->children[!side] = parent;
    node_measure(parent);
    node_measure(child);
    *slot = child;
}

static bool rebalance(struct sg_memory_node **slot)
{
    struct sg_memory_node *node = *slot;
    int lean = height_of(node->children[RIGHT]) - height_of(node->children[LEFT]);

    node_measure(node);
    if (lean >= -1 && lean <= 1)
        return true;

    int heavy = lean > 0 ? RIGHT : LEFT;
    if (!own(&node->children[heavy]))
        return false;
    struct sg_memory_node *child = node->children[heavy];
    if (height_of(child->children[!heavy]) > height_of(child->children[heavy])) {
        if (!own(&child->children[!heavy]))
            return false;
        rotate_up(&node->children[heavy], !heavy);
    }
    rotate_up(slot, heavy);
    return true;
}

struct sg_memory_row *sg_memory_tree_find(const struct sg_memory_node *root, const struct sg_record *record,
                                          const struct sg_store_order *order)
{
    while (root != NULL) {
        int difference = sg_memory_record_cmp(record, &root->row->record, order);
        if (difference == 0)
            return root->row;
        root = root->children[difference > 0 ? RIGHT : LEFT];
    }
    return NULL;
}

bool sg_memory_tree_put(struct sg_memory_node **root, struct sg_memory_row *row, const struct sg_store_order *order)
{
    if (*root == NULL) {
        struct sg_memory_node *node = sg_calloc(1, sizeof(*node));
        if (node == NULL)
            return false;
        atomic_init(&node->holders, 1);
        node->row = row_hold(row);
        node_measure(node);
        *root = node;
        return true;
    }
    if (!own(root))
        return false;

    int difference = sg_memory_record_cmp(&row->record, &(*root)->row->record, order);
    if (difference == 0) {
        row_hold(row);
        sg_memory_row_drop((*root)->row);
        (*root)->row = row;
        return true;
    }
    if (!sg_memory_tree_put(&(*root)->children[difference > 0 ? RIGHT : LEFT], row, order))
        return false;
    return rebalance(root);
}

/* Takes the least node out of the tree at `slot` and gives its row, held, to the caller. */
static bool take_least(struct sg_memory_node **slot, struct sg_memory_row **row)
{
    if (!own(slot))
        return false;
    struct sg_memory_node *node = *slot;
    if (node->children[LEFT] == NULL) {
        *row = row_hold(node->row);
        *slot = sg_memory_tree_share(node->children[RIGHT]);
        sg_memory_tree_drop(node);
        return true;
    }
    return take_least(&node->children[LEFT], row) && rebalance(slot);
}

/* Only for a record that is in the tree. */
static bool remove_known(struct sg_memory_node **root, const struct sg_record *record, const struct sg_store_order *order)
{
    if (!own(root))
        return false;
    struct sg_memory_node *node = *root;
    int difference = sg_memory_record_cmp(record, &node->row->record, order);
    if (difference != 0)
        return remove_known(&node->children[difference > 0 ? RIGHT : LEFT], record, order) && rebalance(root);

    if (node->children[LEFT] == NULL || node->children[RIGHT] == NULL) {
        *root = sg_memory_tree_share(node->children[node->children[LEFT] == NULL ? RIGHT : LEFT]);
        sg_memory_tree_drop(node);
        return true;
    }
    struct sg_memory_row *next = NULL;
    bool is_taken = take_least(&node->children[RIGHT], &next);
    if (next != NULL) {
        sg_memory_row_drop(node->row);
        node->row = next;
    }
    return is_taken && rebalance(root);
}

bool sg_memory_tree_remove(struct sg_memory_node **root, const struct sg_record *record, const struct sg_store_order *order)
{
    if (sg_memory_tree_find(*root, record, order) == NULL)
        return true;
    return remove_known(root, record, order);
}

/* ---- ranges ---- */

/* Negative if the record lies before the range of `query`, positive if behind it, zero if inside. */
static int range_cmp(const struct sg_record *record, const struct sg_query *query, const struct sg_store_order *order)
{
    const struct sg_kind_info *info = sg_kind_info(record->kind);

    for (int i = 0; i < query->equal_count; i++) {
        int column = order->columns[i];
        int difference = value_cmp(&record->values[column], &query->equal[i], info->columns[column].type);
        if (difference != 0)
            return difference;
    }
    if (!query->has_after && !query->has_before)
        return 0;

    int column = order->columns[query->equal_count];
    const struct sg_value *next = &record->values[column];
    if (next->is_null || (query->has_after && value_cmp(next, &query->after, info->columns[column].type) <= 0))
        return -1;
    if (query->has_before && value_cmp(next, &query->before, info->columns[column].type) >= 0)
        return 1;
    return 0;
}

struct walk {
    const struct sg_query *query;
    const struct sg_store_order *order;
    sg_record_visit visit;
    void *context;
    int64_t left;
};

static enum sg_status walk_node(const struct sg_memory_node *node, struct walk *walk)
{
    if (node == NULL || walk->left == 0)
        return SG_OK;

    int place = range_cmp(&node->row->record, walk->query, walk->order);
    bool is_descending = walk->query->is_descending;
    enum sg_status status = SG_OK;
    /* What comes before a row that lies before the range is not in the range either, and likewise behind it. */
    if (is_descending ? place <= 0 : place >= 0)
        status = walk_node(node->children[is_descending ? RIGHT : LEFT], walk);
    if (status == SG_OK && place == 0 && walk->left > 0) {
        walk->left--;
        status = walk->visit(walk->context, &node->row->record);
    }
    if (status == SG_OK && (is_descending ? place >= 0 : place <= 0))
        status = walk_node(node->children[is_descending ? LEFT : RIGHT], walk);
    return status;
}

enum sg_status sg_memory_tree_read(const struct sg_memory_node *root, const struct sg_query *query, const struct sg_store_order *order,
                                   sg_record_visit visit, void *context)
{
    struct walk walk = {query, order, visit, context, query->limit};

    return walk_node(root, &walk);
}
