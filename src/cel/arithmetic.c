/*
 * Arithmetic, and joining what can be joined (reference/05 §3.4).
 *
 * Both sides must have the same type, moments and durations apart: they mix as one expects. Overflow is an error everywhere,
 * division by zero for whole numbers only.
 */
#include <string.h>

#include "base/check.h"
#include "cel/function.h"
#include "cel/time.h"

static struct sg_cel_value int_overflow(void)
{
    return sg_cel_error(SG_CEL_E_OVERFLOW_INT, SG_STR_NULL);
}

static struct sg_cel_value apply_int(uint8_t function, int64_t a, int64_t b)
{
    int64_t result = 0;
    bool is_too_large = false;
    switch (function) {
    case SG_CEL_F_ADD:
        is_too_large = __builtin_add_overflow(a, b, &result);
        break;
    case SG_CEL_F_SUBTRACT:
        is_too_large = __builtin_sub_overflow(a, b, &result);
        break;
    case SG_CEL_F_MULTIPLY:
        is_too_large = __builtin_mul_overflow(a, b, &result);
        break;
    case SG_CEL_F_DIVIDE:
        if (b == 0)
            return sg_cel_error(SG_CEL_E_DIVISION_BY_ZERO, SG_STR_NULL);
        is_too_large = a == INT64_MIN && b == -1;
        result = is_too_large ? 0 : a / b;
        break;
    default:
        if (b == 0)
            return sg_cel_error(SG_CEL_E_MODULUS_BY_ZERO, SG_STR_NULL);
        is_too_large = a == INT64_MIN && b == -1;
        result = is_too_large ? 0 : a % b;
        break;
    }
    return is_too_large ? int_overflow() : sg_cel_int(result);
}

static struct sg_cel_value apply_uint(uint8_t function, uint64_t a, uint64_t b)
{
    uint64_t result = 0;
    bool is_too_large = false;
    switch (function) {
    case SG_CEL_F_ADD:
        is_too_large = __builtin_add_overflow(a, b, &result);
        break;
    case SG_CEL_F_SUBTRACT:
        is_too_large = __builtin_sub_overflow(a, b, &result);
        break;
    case SG_CEL_F_MULTIPLY:
        is_too_large = __builtin_mul_overflow(a, b, &result);
        break;
    case SG_CEL_F_DIVIDE:
        if (b == 0)
            return sg_cel_error(SG_CEL_E_DIVISION_BY_ZERO, SG_STR_NULL);
        result = a / b;
        break;
    default:
        if (b == 0)
            return sg_cel_error(SG_CEL_E_MODULUS_BY_ZERO, SG_STR_NULL);
        result = a % b;
        break;
    }
    return is_too_large ? sg_cel_error(SG_CEL_E_OVERFLOW_UINT, SG_STR_NULL) : sg_cel_uint(result);
}

static struct sg_cel_value apply_double(uint8_t function, double a, double b)
{
    switch (function) {
    case SG_CEL_F_ADD:
        return sg_cel_double(a + b);
    case SG_CEL_F_SUBTRACT:
        return sg_cel_double(a - b);
    case SG_CEL_F_MULTIPLY:
        return sg_cel_double(a * b);
    case SG_CEL_F_DIVIDE:
        return sg_cel_double(a / b);
    default:
        return sg_cel_no_overload(function);
    }
}

/* ---- joining ---- */

static struct sg_cel_value join_bytes(struct sg_cel_eval *eval, const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    size_t len = (size_t)a->count + b->count;
    sg_cel_charge(eval, len / 16);
    if (eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    char *joined = len < UINT32_MAX ? sg_arena_alloc(eval->arena, len) : NULL;
    if (joined == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    if (a->count > 0)
        memcpy(joined, a->as.bytes, a->count);
    if (b->count > 0)
        memcpy(joined + a->count, b->as.bytes, b->count);
    return (struct sg_cel_value){.kind = a->kind, .count = (uint32_t)len, .as.bytes = joined};
}

static struct sg_cel_value join_lists(struct sg_cel_eval *eval, const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    size_t count = (size_t)a->count + b->count;
    sg_cel_charge(eval, count);
    if (eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    struct sg_cel_value *items = sg_arena_alloc(eval->arena, count * sizeof(*items));
    if (items == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    if (a->count > 0)
        memcpy(items, a->as.items, a->count * sizeof(*items));
    if (b->count > 0)
        memcpy(items + a->count, b->as.items, b->count * sizeof(*items));
    return (struct sg_cel_value){.kind = SG_CEL_LIST, .count = (uint32_t)count, .as.items = items};
}

struct sg_cel_value sg_cel_join_loosely(struct sg_cel_eval *eval, const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    if (!sg_cel_value_charge(a, &eval->steps) || !sg_cel_value_charge(b, &eval->steps))
        return sg_cel_abort(SG_CEL_E_STEPS);
    struct sg_buf text = {0};
    sg_cel_value_key(a, &text);
    sg_cel_value_key(b, &text);
    return sg_cel_take_text(eval, &text, SG_CEL_STRING);
}

/* ---- time ---- */

struct sg_cel_value sg_cel_make_time(struct sg_cel_eval *eval, struct sg_cel_time time)
{
    struct sg_cel_time *kept = sg_arena_alloc(eval->arena, sizeof(*kept));
    if (kept == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    *kept = time;
    return (struct sg_cel_value){.kind = SG_CEL_TIMESTAMP, .as.time = kept};
}

static struct sg_cel_value shift_time(struct sg_cel_eval *eval, const struct sg_cel_time *time, int64_t ns, bool is_back)
{
    struct sg_cel_time moved = *time;
    bool is_valid;
    if (!is_back)
        is_valid = sg_cel_time_add(time, ns, &moved);
    else if (ns == INT64_MIN) /* has no negative: go in two steps */
        is_valid = sg_cel_time_add(time, INT64_MAX, &moved) && sg_cel_time_add(&moved, 1, &moved);
    else
        is_valid = sg_cel_time_add(time, -ns, &moved);
    return is_valid ? sg_cel_make_time(eval, moved) : sg_cel_error(SG_CEL_E_OVERFLOW_TIMESTAMP, SG_STR_NULL);
}

static struct sg_cel_value apply_durations(uint8_t function, int64_t a, int64_t b)
{
    if (function != SG_CEL_F_ADD && function != SG_CEL_F_SUBTRACT)
        return sg_cel_no_overload(function);
    struct sg_cel_value sum = apply_int(function, a, b);
    return sum.kind == SG_CEL_INT ? sg_cel_duration(sum.as.integer) : sum;
}

static struct sg_cel_value apply_time(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *a,
                                      const struct sg_cel_value *b)
{
    bool is_moment = a->kind == SG_CEL_TIMESTAMP;
    if (function == SG_CEL_F_ADD && is_moment && b->kind == SG_CEL_DURATION)
        return shift_time(eval, a->as.time, b->as.duration_ns, false);
    if (function == SG_CEL_F_ADD && a->kind == SG_CEL_DURATION && b->kind == SG_CEL_TIMESTAMP)
        return shift_time(eval, b->as.time, a->as.duration_ns, false);
    if (function == SG_CEL_F_SUBTRACT && is_moment && b->kind == SG_CEL_DURATION)
        return shift_time(eval, a->as.time, b->as.duration_ns, true);
    if (function == SG_CEL_F_SUBTRACT && is_moment && b->kind == SG_CEL_TIMESTAMP) {
        int64_t ns;
        return sg_cel_time_subtract(a->as.time, b->as.time, &ns) ? sg_cel_duration(ns) : int_overflow();
    }
    return sg_cel_no_overload(function);
}

/* ---- all of it ---- */

static struct sg_cel_value negate(const struct sg_cel_value *value)
{
    if (value->kind == SG_CEL_DOUBLE)
        return sg_cel_double(-value->as.number);
    if (value->kind != SG_CEL_INT)
        return sg_cel_no_overload(SG_CEL_F_NEGATE);
    return value->as.integer == INT64_MIN ? int_overflow() : sg_cel_int(-value->as.integer);
}

struct sg_cel_value sg_cel_apply_arithmetic(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *a,
                                            const struct sg_cel_value *b)
{
    if (function == SG_CEL_F_NEGATE)
        return negate(a);
    if (a->kind != b->kind)
        return apply_time(eval, function, a, b);
    switch ((enum sg_cel_kind)a->kind) {
    case SG_CEL_INT:
        return apply_int(function, a->as.integer, b->as.integer);
    case SG_CEL_UINT:
        return apply_uint(function, a->as.natural, b->as.natural);
    case SG_CEL_DOUBLE:
        return apply_double(function, a->as.number, b->as.number);
    case SG_CEL_DURATION:
        return apply_durations(function, a->as.duration_ns, b->as.duration_ns);
    case SG_CEL_TIMESTAMP:
        return apply_time(eval, function, a, b);
    case SG_CEL_STRING:
    case SG_CEL_BYTES:
        return function == SG_CEL_F_ADD ? join_bytes(eval, a, b) : sg_cel_no_overload(function);
    case SG_CEL_LIST:
        return function == SG_CEL_F_ADD ? join_lists(eval, a, b) : sg_cel_no_overload(function);
    default:
        return sg_cel_no_overload(function);
    }
}
