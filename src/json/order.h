/*
 * Putting the members of objects in order after a text has been written with every object in the order it came in. Used by
 * canonical.c only.
 */
#ifndef STEPGATE_JSON_ORDER_H
#define STEPGATE_JSON_ORDER_H

#include <stepgate/base.h>

/* A member in the text: `"key":value` from start to end; offsets from the text's beginning. */
struct sg_json_member {
    uint32_t start;
    uint32_t key_end;
    uint32_t end;
    uint32_t unsorted_end; /* how many unsorted objects had been closed when the value ended */
};

/* An object whose members are not in order. Objects are numbered as they close: those nested in one come before it. */
struct sg_json_unsorted {
    uint32_t start;
    uint32_t end;
    uint32_t nested_first; /* number of the first unsorted object inside of it */
    uint32_t members;      /* place of its members in `kept`, in order, each key once */
    uint32_t member_count;
};

/* Most events fit these and cost no allocation. */
#define SG_JSON_MEMBERS_INLINE 64
#define SG_JSON_UNSORTED_INLINE 16

struct sg_json_order {
    struct sg_json_member *open; /* stack: the members, so far, of every object that is open */
    uint32_t open_count;
    uint32_t open_capacity;
    struct sg_json_member *kept; /* the members of the unsorted objects */
    uint32_t kept_count;
    uint32_t kept_capacity;
    struct sg_json_unsorted *unsorted;
    uint32_t unsorted_count;
    uint32_t unsorted_capacity;
    struct sg_json_member open_inline[SG_JSON_MEMBERS_INLINE];
    struct sg_json_member kept_inline[SG_JSON_MEMBERS_INLINE];
    struct sg_json_unsorted unsorted_inline[SG_JSON_UNSORTED_INLINE];
};

void sg_json_order_init(struct sg_json_order *order);
void sg_json_order_free(struct sg_json_order *order);

/* Begins a member whose key lies at [start, key_end) of `text`; the caller sets `end` and `unsorted_end`. NULL: no memory. */
struct sg_json_member *sg_json_order_add(struct sg_json_order *order, uint32_t start, uint32_t key_end);
/* Whether the key of the newest member comes behind that of the member before it, which belongs to the same object. */
bool sg_json_order_is_ascending(const struct sg_json_order *order, const char *text);
/*
 * Closes the object at [start, end) whose members are those from `members_first` on. If it is not sorted, sorts and keeps
 * them. False: no memory.
 */
bool sg_json_order_close(struct sg_json_order *order, const char *text, bool is_sorted, uint32_t members_first,
                         struct sg_json_unsorted object);
/*
 * Writes the text at text[0..len) into the `len` bytes that end at `end`, from back to front, every object in order.
 * Returns where the result begins, which is later than end - len if duplicates were left out.
 */
char *sg_json_order_write(const struct sg_json_order *order, const char *text, size_t len, char *end);

#endif
