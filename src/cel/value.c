/*
 * Values: truth, equality, order and look-ups (reference/05 §3.2, §3.3, §4.5).
 *
 * The model. Values are copied freely; lists and maps point to arrays that nobody changes. Numbers of different types compare
 * by value, an integer with a double after conversion to double, as the server does it.
 *
 * What it never does: recurse. Equality of nested containers keeps its own stack, which is as high as data can be deep: a
 * tree of SG_LIMIT_CEL_DEPTH literals around JSON of SG_LIMIT_JSON_DEPTH.
 */
#include "cel/value.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

const char *sg_cel_kind_name(enum sg_cel_kind kind)
{
    switch (kind) {
    case SG_CEL_NULL:
        return "null_type";
    case SG_CEL_BOOL:
        return "bool";
    case SG_CEL_INT:
        return "int";
    case SG_CEL_UINT:
        return "uint";
    case SG_CEL_DOUBLE:
        return "double";
    case SG_CEL_STRING:
        return "string";
    case SG_CEL_BYTES:
        return "bytes";
    case SG_CEL_LIST:
        return "list";
    case SG_CEL_MAP:
        return "map";
    case SG_CEL_TIMESTAMP:
        return "google.protobuf.Timestamp";
    case SG_CEL_DURATION:
        return "google.protobuf.Duration";
    case SG_CEL_TYPE:
        return "type";
    case SG_CEL_UNKNOWN:
        return "unknown";
    case SG_CEL_ERROR:
    case SG_CEL_ABORT:
        return "error";
    case SG_CEL_ABSENT:
        break;
    }
    return "absent";
}

bool sg_cel_is_true(const struct sg_cel_value *value)
{
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_ABSENT:
    case SG_CEL_NULL:
    case SG_CEL_UNKNOWN:
    case SG_CEL_ERROR:
    case SG_CEL_ABORT:
        return false;
    case SG_CEL_BOOL:
        return value->as.boolean;
    case SG_CEL_INT:
        return value->as.integer != 0;
    case SG_CEL_UINT:
        return value->as.natural != 0;
    case SG_CEL_DOUBLE:
        return value->as.number != 0; /* NaN is true */
    case SG_CEL_STRING:
        return value->count > 0;
    case SG_CEL_BYTES:
    case SG_CEL_LIST:
    case SG_CEL_MAP:
    case SG_CEL_TIMESTAMP:
    case SG_CEL_DURATION:
    case SG_CEL_TYPE:
        break;
    }
    return true;
}

double sg_cel_to_number(const struct sg_cel_value *value)
{
    if (value->kind == SG_CEL_INT)
        return (double)value->as.integer;
    return value->kind == SG_CEL_UINT ? (double)value->as.natural : value->as.number;
}

/* ---- order ---- */

static enum sg_cel_order order_of(bool is_less, bool is_greater)
{
    return is_less ? SG_CEL_ORDER_LESS : is_greater ? SG_CEL_ORDER_GREATER : SG_CEL_ORDER_EQUAL;
}

static enum sg_cel_order compare_numbers(const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    if (a->kind == SG_CEL_INT && b->kind == SG_CEL_INT)
        return order_of(a->as.integer<b->as.integer, a->as.integer> b->as.integer);
    if (a->kind == SG_CEL_UINT && b->kind == SG_CEL_UINT)
        return order_of(a->as.natural<b->as.natural, a->as.natural> b->as.natural);
    if (a->kind == SG_CEL_INT && b->kind == SG_CEL_UINT)
        return a->as.integer < 0 ? SG_CEL_ORDER_LESS
                                 : order_of((uint64_t)a->as.integer<b->as.natural, (uint64_t)a->as.integer> b->as.natural);
    if (a->kind == SG_CEL_UINT && b->kind == SG_CEL_INT)
        return b->as.integer < 0 ? SG_CEL_ORDER_GREATER
                                 : order_of(a->as.natural<(uint64_t)b->as.integer, a->as.natural>(uint64_t) b->as.integer);
    double left = sg_cel_to_number(a);
    double right = sg_cel_to_number(b);
    if (isnan(left) || isnan(right))
        return SG_CEL_ORDER_NAN;
    return order_of(left<right, left> right);
}

enum sg_cel_order sg_cel_compare(const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    if (sg_cel_is_number(a) && sg_cel_is_number(b))
        return compare_numbers(a, b);
    if (a->kind != b->kind)
        return SG_CEL_ORDER_NONE;
    switch ((enum sg_cel_kind)a->kind) {
    case SG_CEL_BOOL:
        return order_of(a->as.boolean<b->as.boolean, a->as.boolean> b->as.boolean);
    case SG_CEL_STRING:
    case SG_CEL_BYTES: {
        int order = sg_str_cmp(sg_cel_str(a), sg_cel_str(b));
        return order_of(order<0, order> 0);
    }
    case SG_CEL_DURATION:
        return order_of(a->as.duration_ns<b->as.duration_ns, a->as.duration_ns> b->as.duration_ns);
    case SG_CEL_TIMESTAMP:
        if (a->as.time->seconds != b->as.time->seconds)
            return order_of(a->as.time->seconds < b->as.time->seconds, true);
        return order_of(a->as.time->nanoseconds<b->as.time->nanoseconds, a->as.time->nanoseconds> b->as.time->nanoseconds);
    default:
        return SG_CEL_ORDER_NONE;
    }
}

/* ---- look-ups ---- */

const struct sg_cel_value *sg_cel_map_find(const struct sg_cel_value *map, struct sg_str key)
{
    if (map->kind != SG_CEL_MAP)
        return NULL;
    const struct sg_cel_entry *entries = map->as.entries;
    if (map->count <= 8 || (map->detail & SG_CEL_MAP_IS_SORTED) == 0) {
        for (uint32_t i = 0; i < map->count; i++) {
            if (entries[i].key.kind == SG_CEL_STRING && sg_str_eq(sg_cel_str(&entries[i].key), key))
                return &entries[i].value;
        }
        return NULL;
    }
    uint32_t low = 0;
    uint32_t high = map->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = sg_str_cmp(sg_cel_str(&entries[middle].key), key);
        if (order == 0)
            return &entries[middle].value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- equality ---- */

/* Two containers whose items are being compared. */
struct pair {
    const struct sg_cel_value *a;
    const struct sg_cel_value *b;
    uint32_t next;
};

struct equality {
    int64_t *steps;
    size_t depth;
    struct pair stack[SG_CEL_VALUE_DEPTH_MAX];
};

static bool is_container(const struct sg_cel_value *value)
{
    return value->kind == SG_CEL_LIST || value->kind == SG_CEL_MAP;
}

static bool are_scalars_equal(const struct sg_cel_value *a, const struct sg_cel_value *b, int64_t *steps)
{
    if (sg_cel_is_number(a) && sg_cel_is_number(b))
        return compare_numbers(a, b) == SG_CEL_ORDER_EQUAL;
    if (a->kind != b->kind)
        return false;
    switch ((enum sg_cel_kind)a->kind) {
    case SG_CEL_NULL:
        return true;
    case SG_CEL_TYPE:
        return a->as.type == b->as.type;
    case SG_CEL_STRING:
    case SG_CEL_BYTES:
        if (a->count != b->count)
            return false;
        *steps -= a->count / 64;
        return sg_str_eq(sg_cel_str(a), sg_cel_str(b));
    default:
        return sg_cel_compare(a, b) == SG_CEL_ORDER_EQUAL;
    }
}

static bool equal_containers(struct equality *equality, const struct sg_cel_value *a, const struct sg_cel_value *b);

/*
 * The value at a key of any kind. Keys that are containers can only come from map literals, so the descent that they cause
 * is bounded by the depth of the expression, not by data; it shares the stack of what it happens in.
 */
static const struct sg_cel_value *find_value(struct equality *equality, const struct sg_cel_value *map, const struct sg_cel_value *key)
{
    bool is_sorted = (map->detail & SG_CEL_MAP_IS_SORTED) != 0;
    *equality->steps -= !is_sorted ? map->count / 8 + 1 : map->count <= 8 ? 1 : 8;
    if (key->kind == SG_CEL_STRING)
        return sg_cel_map_find(map, sg_cel_str(key));
    if (is_sorted)
        return NULL; /* all keys are strings */
    for (uint32_t i = 0; i<map->count && * equality->steps> 0; i++) {
        const struct sg_cel_value *other = &map->as.entries[i].key;
        bool is_found = is_container(key) ? equal_containers(equality, key, other) : are_scalars_equal(key, other, equality->steps);
        if (is_found)
            return &map->as.entries[i].value;
    }
    return NULL;
}

/* The next two items of a pair of containers; false if the other map lacks the key. */
static bool next_items(struct equality *equality, struct pair *pair, const struct sg_cel_value **a, const struct sg_cel_value **b)
{
    uint32_t i = pair->next++;
    if (pair->a->kind == SG_CEL_LIST) {
        *a = &pair->a->as.items[i];
        *b = &pair->b->as.items[i];
        return true;
    }
    *a = &pair->a->as.entries[i].value;
    *b = find_value(equality, pair->b, &pair->a->as.entries[i].key);
    return *b != NULL;
}

/* Compares two containers above what is on the stack, and leaves it as it was. */
static bool equal_containers(struct equality *equality, const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    size_t base = equality->depth;
    bool is_equal = true;
    for (;;) {
        if (is_container(a)) {
            if (a->kind != b->kind || a->count != b->count) {
                is_equal = false;
                break;
            }
            assert(equality->depth < SG_CEL_VALUE_DEPTH_MAX);
            equality->stack[equality->depth++] = (struct pair){.a = a, .b = b};
        } else if (!are_scalars_equal(a, b, equality->steps)) {
            is_equal = false;
            break;
        }
        while (equality->depth > base && equality->stack[equality->depth - 1].next == equality->stack[equality->depth - 1].a->count)
            equality->depth--;
        if (equality->depth == base)
            break;
        if (--*equality->steps <= 0 || !next_items(equality, &equality->stack[equality->depth - 1], &a, &b)) {
            is_equal = false;
            break;
        }
    }
    equality->depth = base;
    return is_equal;
}

bool sg_cel_equal(const struct sg_cel_value *a, const struct sg_cel_value *b, int64_t *steps)
{
    if (!is_container(a))
        return are_scalars_equal(a, b, steps);
    struct equality equality; /* the stack is large and needs no zeros */
    equality.steps = steps;
    equality.depth = 0;
    return equal_containers(&equality, a, b);
}

const struct sg_cel_value *sg_cel_map_find_value(const struct sg_cel_value *map, const struct sg_cel_value *key, int64_t *steps)
{
    if (map->kind != SG_CEL_MAP)
        return NULL;
    struct equality equality;
    equality.steps = steps;
    equality.depth = 0;
    return find_value(&equality, map, key);
}
