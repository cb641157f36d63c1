/*
 * Putting the members of objects in order.
 *
 * The model. The parser writes a text in which everything is canonical but the order of members, and notes where members
 * begin and end. An object whose keys came in order is forgotten at once. One whose keys did not gets its members sorted
 * (offsets, not bytes) and kept. When the text is complete and anything was kept, it is copied once, each unsorted object in
 * its new order: so a byte moves once however deep it lies.
 *
 * Unsorted objects are numbered in the order in which they close. Read backwards, that list gives the outermost object of a
 * stretch first and, by its `nested_first`, the way past all that lie inside it. That is why the copy goes from back to front.
 *
 * What it never does: recurse deeper than the parser's depth limit allows containers, or compare keys that are decoded when
 * they can be compared as they stand.
 */
#include "json/order.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "json/utf16.h"

void sg_json_order_init(struct sg_json_order *order)
{
    order->open = order->open_inline;
    order->open_count = 0;
    order->open_capacity = SG_JSON_MEMBERS_INLINE;
    order->kept = order->kept_inline;
    order->kept_count = 0;
    order->kept_capacity = SG_JSON_MEMBERS_INLINE;
    order->unsorted = order->unsorted_inline;
    order->unsorted_count = 0;
    order->unsorted_capacity = SG_JSON_UNSORTED_INLINE;
}

void sg_json_order_free(struct sg_json_order *order)
{
    if (order->open != order->open_inline)
        sg_free(order->open);
    if (order->kept != order->kept_inline)
        sg_free(order->kept);
    if (order->unsorted != order->unsorted_inline)
        sg_free(order->unsorted);
}

/* A larger copy of an array that is full; the first one lies inside of the order and is not freed. NULL: no memory. */
static void *grow(void *array, const void *inline_array, uint32_t *capacity, uint32_t needed, size_t item_bytes)
{
    uint32_t larger = *capacity;
    while (larger < needed) {
        if (larger > UINT32_MAX / 2)
            return NULL;
        larger *= 2;
    }
    void *grown = array == inline_array ? sg_malloc(larger * item_bytes) : sg_realloc(array, larger * item_bytes);
    if (grown == NULL)
        return NULL;
    if (array == inline_array)
        memcpy(grown, inline_array, *capacity * item_bytes);
    *capacity = larger;
    return grown;
}

struct sg_json_member *sg_json_order_add(struct sg_json_order *order, uint32_t start, uint32_t key_end)
{
    if (order->open_count == order->open_capacity) {
        void *grown = grow(order->open, order->open_inline, &order->open_capacity, order->open_count + 1, sizeof(*order->open));
        if (grown == NULL)
            return NULL;
        order->open = grown;
    }
    struct sg_json_member *member = &order->open[order->open_count++];
    *member = (struct sg_json_member){start, key_end, 0, 0};
    return member;
}

static int cmp_keys(const char *text, const struct sg_json_member *a, const struct sg_json_member *b)
{
    /* Without the quotes: a character like '!' sorts before one, so they must not take part. */
    struct sg_str left = {text + a->start + 1, a->key_end - a->start - 2};
    struct sg_str right = {text + b->start + 1, b->key_end - b->start - 2};
    return sg_utf16_cmp(left, right, true);
}

bool sg_json_order_is_ascending(const struct sg_json_order *order, const char *text)
{
    assert(order->open_count >= 2);
    return cmp_keys(text, &order->open[order->open_count - 2], &order->open[order->open_count - 1]) < 0;
}

/* Members with the same key keep the order they came in: the last of them counts. */
static bool is_before(const char *text, const struct sg_json_member *a, const struct sg_json_member *b)
{
    int order = cmp_keys(text, a, b);
    return order != 0 ? order < 0 : a->start < b->start;
}

static void sift_down(const char *text, struct sg_json_member *members, uint32_t at, uint32_t count)
{
    struct sg_json_member moving = members[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && is_before(text, &members[child], &members[child + 1]))
            child++;
        if (!is_before(text, &moving, &members[child]))
            break;
        members[at] = members[child];
        at = child;
    }
    members[at] = moving;
}

/* Few members by insertion, many by heap sort: no input makes it quadratic and none makes it allocate. */
static void sort_members(const char *text, struct sg_json_member *members, uint32_t count)
{
    enum { INSERTION_MAX = 16 };

    if (count <= INSERTION_MAX) {
        for (uint32_t i = 1; i < count; i++) {
            struct sg_json_member moving = members[i];
            uint32_t at = i;
            for (; at > 0 && is_before(text, &moving, &members[at - 1]); at--)
                members[at] = members[at - 1];
            members[at] = moving;
        }
        return;
    }
    for (uint32_t i = count / 2; i > 0; i--)
        sift_down(text, members, i - 1, count);
    for (uint32_t last = count - 1; last > 0; last--) {
        struct sg_json_member largest = members[0];
        members[0] = members[last];
        members[last] = largest;
        sift_down(text, members, 0, last);
    }
}

static uint32_t drop_duplicates(const char *text, struct sg_json_member *members, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i + 1 == count || cmp_keys(text, &members[i], &members[i + 1]) != 0)
            members[kept++] = members[i];
    return kept;
}

bool sg_json_order_close(struct sg_json_order *order, const char *text, bool is_sorted, uint32_t members_first,
                         struct sg_json_unsorted object)
{
    assert(members_first <= order->open_count);
    struct sg_json_member *members = order->open + members_first;
    uint32_t count = order->open_count - members_first;

    order->open_count = members_first; /* they stay where they are until the next member is added */
    if (is_sorted)
        return true;

    sort_members(text, members, count);
    count = drop_duplicates(text, members, count);
    if (order->kept_capacity - order->kept_count < count) {
        void *grown = grow(order->kept, order->kept_inline, &order->kept_capacity, order->kept_count + count, sizeof(*order->kept));
        if (grown == NULL)
            return false;
        order->kept = grown;
    }
    if (order->unsorted_count == order->unsorted_capacity) {
        void *grown =
            grow(order->unsorted, order->unsorted_inline, &order->unsorted_capacity, order->unsorted_count + 1, sizeof(*order->unsorted));
        if (grown == NULL)
            return false;
        order->unsorted = grown;
    }
    memcpy(order->kept + order->kept_count, members, count * sizeof(*members));
    object.members = order->kept_count;
    object.member_count = count;
    order->kept_count += count;
    order->unsorted[order->unsorted_count++] = object;
    return true;
}

/* ---- writing from back to front ---- */

static char *write_bytes(const char *bytes, size_t len, char *end)
{
    memcpy(end - len, bytes, len);
    return end - len;
}

/* The stretch [start, end) of the text, in which the unsorted objects with numbers below `unsorted_end` may lie. */
static char *write_stretch(const struct sg_json_order *order, const char *text, uint32_t start, uint32_t end, uint32_t unsorted_end,
                           char *out)
{
    uint32_t number = unsorted_end;
    while (number > 0 && order->unsorted[number - 1].start >= start) {
        const struct sg_json_unsorted *object = &order->unsorted[number - 1];
        out = write_bytes(text + object->end, end - object->end, out);
        *--out = '}';
        for (uint32_t i = object->member_count; i > 0; i--) {
            const struct sg_json_member *member = &order->kept[object->members + i - 1];
            out = write_stretch(order, text, member->start, member->end, member->unsorted_end, out);
            if (i > 1)
                *--out = ',';
        }
        *--out = '{';
        end = object->start;
        number = object->nested_first;
    }
    return write_bytes(text + start, end - start, out);
}

char *sg_json_order_write(const struct sg_json_order *order, const char *text, size_t len, char *end)
{
    return write_stretch(order, text, 0, (uint32_t)len, order->unsorted_count, end);
}
