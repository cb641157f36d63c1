/* What functions and operators do with ordinary values. */
#ifndef STEPGATE_CEL_FUNCTION_H
#define STEPGATE_CEL_FUNCTION_H

#include "cel/node.h"
#include "cel/value.h"

/* One evaluation under way. */
struct sg_cel_eval {
    const struct sg_cel_value *constants;
    const struct sg_cel_scope *scope;
    struct sg_arena *arena;
    struct sg_cel_value *locals; /* loop variables by number */
    int64_t steps;               /* left; at 0 everything ABORTs */
    struct sg_cel_regex *regex;  /* the last pattern that was computed, so that a loop compiles it once */
    struct sg_str regex_pattern;
};

/*
 * Applies a function to ordinary values (no UNKNOWN, ERROR or ABORT among them). The result is an ordinary value, an ERROR
 * (SG_CEL_E_NO_OVERLOAD if the types do not fit), or an ABORT.
 */
struct sg_cel_value sg_cel_apply(struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *arguments,
                                 size_t count);

/* Parts of it, one file each. */
struct sg_cel_value sg_cel_apply_arithmetic(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *a,
                                            const struct sg_cel_value *b);
struct sg_cel_value sg_cel_apply_conversion(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *value);
struct sg_cel_value sg_cel_apply_getter(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *arguments, size_t count);
struct sg_cel_value sg_cel_apply_extra(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *value);

/* Charges work. */
static inline void sg_cel_charge(struct sg_cel_eval *eval, size_t steps)
{
    eval->steps -= (int64_t)steps;
}

static inline struct sg_cel_value sg_cel_no_overload(uint8_t function)
{
    return sg_cel_error(SG_CEL_E_NO_OVERLOAD, sg_cel_function_name((enum sg_cel_function)function));
}

/* A string of what `buf` holds, which is freed. */
struct sg_cel_value sg_cel_take_text(struct sg_cel_eval *eval, struct sg_buf *buf, enum sg_cel_kind kind);
struct sg_cel_value sg_cel_make_time(struct sg_cel_eval *eval, struct sg_cel_time time);
/* The string that a loose `+` makes of two values of different types (reference/05 §4.4). */
struct sg_cel_value sg_cel_join_loosely(struct sg_cel_eval *eval, const struct sg_cel_value *a, const struct sg_cel_value *b);

/*
 * A map of `count` entries, which are sorted and rid of repeated keys in place; of those the last counts. Lowers *steps.
 * `scratch` is room for as many entries.
 */
struct sg_cel_value sg_cel_make_map(struct sg_cel_entry *entries, uint32_t count, struct sg_cel_entry *scratch, int64_t *steps);

#endif
