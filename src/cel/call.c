/*
 * Calls: what functions do when an argument is missing, has failed, or is null (reference/05 §4.3 and §4.4).
 *
 * The model. Users compare fields that may not be there, and the server that we stand in for never fails on that: a missing or
 * failed argument gives each function one fixed answer. This file is that table, in the order in which the reference lists
 * its rules; functions themselves (function.c) see ordinary values only.
 *
 *     any argument ABORT                      ABORT
 *     any ERROR "no such attribute"           that error
 *     any UNKNOWN or ERROR                    the fixed answer of `soften`
 *     the function gives a value              that value
 *     `+` of two types that do not add        both as text, joined
 *     an ordering with one null               null counts as the zero of the other type
 *     otherwise                               the function's error
 *
 * What it never does: join the text of an error message to a string, as the server does (quirk Q4: `+` hands the error on).
 */
#include "base/check.h"
#include "cel/eval.h"

static bool is_soft(const struct sg_cel_value *value)
{
    return value->kind == SG_CEL_UNKNOWN || value->kind == SG_CEL_ERROR;
}

/* `+`: the other side, an error before an unknown. */
static struct sg_cel_value soften_add(const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    if (a->kind == SG_CEL_ERROR)
        return *a;
    if (b->kind == SG_CEL_ERROR)
        return *b;
    if (a->kind != SG_CEL_UNKNOWN)
        return *a;
    return b->kind != SG_CEL_UNKNOWN ? *b : sg_cel_bool(false);
}

/* The fixed answers. At least one argument is UNKNOWN or an ERROR. */
static struct sg_cel_value soften(uint8_t function, const struct sg_cel_value *arguments)
{
    const struct sg_cel_value *a = &arguments[0];
    const struct sg_cel_value *b = &arguments[1];
    switch (function) {
    case SG_CEL_F_EQUAL:
        return sg_cel_bool(a->kind == SG_CEL_NULL || b->kind == SG_CEL_NULL);
    case SG_CEL_F_NOT_EQUAL:
        return sg_cel_bool(a->kind != SG_CEL_NULL && b->kind != SG_CEL_NULL);
    case SG_CEL_F_LESS:
    case SG_CEL_F_LESS_EQUAL:
        return sg_cel_bool(is_soft(a));
    case SG_CEL_F_GREATER:
    case SG_CEL_F_GREATER_EQUAL:
        return sg_cel_bool(!is_soft(a));
    case SG_CEL_F_ADD:
        return soften_add(a, b);
    case SG_CEL_F_SIZE:
        return sg_cel_int(0);
    default:
        return sg_cel_bool(false);
    }
}

/* The zero that null stands for beside a value of a type; null itself where there is none. */
static struct sg_cel_value zero_of(uint8_t kind)
{
    switch (kind) {
    case SG_CEL_INT:
        return sg_cel_int(0);
    case SG_CEL_UINT:
        return sg_cel_uint(0);
    case SG_CEL_DOUBLE:
        return sg_cel_double(0);
    case SG_CEL_STRING:
        return sg_cel_string(SG_STR(""));
    default:
        return (struct sg_cel_value){.kind = SG_CEL_NULL};
    }
}

static bool is_orderable(uint8_t kind)
{
    return kind != SG_CEL_NULL && kind != SG_CEL_LIST && kind != SG_CEL_MAP && kind != SG_CEL_TYPE;
}

/* An ordering of which exactly one side is null. */
static struct sg_cel_value order_null(struct sg_cel_eval *eval, const struct sg_cel_node *node, struct sg_cel_value *arguments)
{
    if (arguments[0].kind == SG_CEL_NULL)
        arguments[0] = zero_of(arguments[1].kind);
    else
        arguments[1] = zero_of(arguments[0].kind);
    if (!is_orderable(arguments[0].kind))
        return sg_cel_abort(SG_CEL_E_ABORT);
    return sg_cel_apply(eval, node, arguments, 2);
}

static struct sg_cel_value apply_hard(struct sg_cel_eval *eval, const struct sg_cel_node *node, struct sg_cel_value *arguments,
                                      size_t count)
{
    struct sg_cel_value result = sg_cel_apply(eval, node, arguments, count);
    if (eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    if (result.kind != SG_CEL_ERROR || count != 2 || arguments[0].kind == arguments[1].kind)
        return result;
    if (node->op == SG_CEL_F_ADD && result.detail == SG_CEL_E_NO_OVERLOAD)
        return sg_cel_join_loosely(eval, &arguments[0], &arguments[1]);
    bool has_null = arguments[0].kind == SG_CEL_NULL || arguments[1].kind == SG_CEL_NULL;
    if (has_null && sg_cel_is_ordering(node->op))
        return order_null(eval, node, arguments);
    return result;
}

/* A function that does not exist: its arguments are looked at all the same, since a missing one makes it false. */
static struct sg_cel_value call_unknown(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    bool has_soft = false;
    for (uint32_t i = 0; i < node->child_count; i++) {
        struct sg_cel_value argument = sg_cel_eval_node(eval, node->children[i]);
        if (argument.kind == SG_CEL_ABORT || (argument.kind == SG_CEL_ERROR && argument.detail == SG_CEL_E_NO_SUCH_ATTRIBUTE))
            return argument;
        has_soft = has_soft || is_soft(&argument);
    }
    return has_soft ? sg_cel_bool(false) : sg_cel_error(SG_CEL_E_NO_OVERLOAD, node->name);
}

struct sg_cel_value sg_cel_eval_call(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    if (node->op == SG_CEL_F_UNKNOWN)
        return call_unknown(eval, node);

    assert(node->child_count <= 2);
    struct sg_cel_value arguments[2] = {{.kind = SG_CEL_ABSENT}, {.kind = SG_CEL_ABSENT}};
    const struct sg_cel_value *lost = NULL;
    bool has_soft = false;
    for (uint32_t i = 0; i < node->child_count; i++) {
        arguments[i] = sg_cel_eval_node(eval, node->children[i]);
        if (arguments[i].kind == SG_CEL_ABORT)
            return arguments[i];
        if (is_soft(&arguments[i])) {
            has_soft = true;
            if (lost == NULL && arguments[i].kind == SG_CEL_ERROR && arguments[i].detail == SG_CEL_E_NO_SUCH_ATTRIBUTE)
                lost = &arguments[i];
        }
    }
    if (lost != NULL)
        return *lost;
    if (has_soft)
        return soften(node->op, arguments);
    return apply_hard(eval, node, arguments, node->child_count);
}
