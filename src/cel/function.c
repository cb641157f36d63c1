/*
 * What functions and operators do with ordinary values (reference/05 §3).
 *
 * The model. By the time a value comes here nothing is missing and nothing has failed: what UNKNOWN and ERROR arguments do is
 * decided in call.c. A function looks at the types it was given and answers with a value or with an error that says why not;
 * "no such overload" is the one that call.c may soften. Work on data is charged against the evaluation's steps, about one
 * for every sixteen bytes that are looked at or copied.
 *
 * What it never does: coerce. Numbers of different types compare but do not add (that is the loose `+`, call.c).
 */
#include "cel/function.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "cel/regex.h"
#include "cel/utf8.h"

/* What compiling a pattern costs at least, and one that turns out to be too large or malformed, in steps of the evaluator. */
#define STEPS_REGEX_COMPILE 4000
#define STEPS_REGEX_FAILURE 50000

/* A pattern that is computed may take less memory than a literal one, which is compiled once and not at every evaluation. */
#define REGEX_BYTES (SG_LIMIT_CEL_REGEX_BYTES / 8)

struct sg_cel_value sg_cel_take_text(struct sg_cel_eval *eval, struct sg_buf *buf, enum sg_cel_kind kind)
{
    struct sg_cel_value value = sg_cel_abort(SG_CEL_E_NO_MEMORY);
    if (!buf->is_failed && buf->len < UINT32_MAX) {
        struct sg_str copy = sg_arena_copy(eval->arena, sg_buf_str(buf));
        if (copy.ptr != NULL)
            value = (struct sg_cel_value){.kind = (uint8_t)kind, .count = (uint32_t)copy.len, .as.bytes = copy.ptr};
    }
    sg_cel_charge(eval, buf->len / 16);
    sg_buf_free(buf);
    return value;
}

/* ---- comparisons ---- */

static struct sg_cel_value apply_ordering(uint8_t function, const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    enum sg_cel_order order = sg_cel_compare(a, b);
    if (order == SG_CEL_ORDER_NONE)
        return sg_cel_no_overload(function);
    if (order == SG_CEL_ORDER_NAN)
        return sg_cel_error(SG_CEL_E_NAN_ORDER, SG_STR_NULL);
    switch (function) {
    case SG_CEL_F_LESS:
        return sg_cel_bool(order == SG_CEL_ORDER_LESS);
    case SG_CEL_F_LESS_EQUAL:
        return sg_cel_bool(order != SG_CEL_ORDER_GREATER);
    case SG_CEL_F_GREATER:
        return sg_cel_bool(order == SG_CEL_ORDER_GREATER);
    default:
        return sg_cel_bool(order != SG_CEL_ORDER_LESS);
    }
}

static struct sg_cel_value apply_in(struct sg_cel_eval *eval, const struct sg_cel_value *item, const struct sg_cel_value *container)
{
    if (container->kind == SG_CEL_MAP)
        return sg_cel_bool(sg_cel_map_find_value(container, item, &eval->steps) != NULL);
    if (container->kind != SG_CEL_LIST)
        return sg_cel_no_overload(SG_CEL_F_IN);
    for (uint32_t i = 0; i < container->count && eval->steps > 0; i++) {
        eval->steps--;
        if (sg_cel_equal(item, &container->as.items[i], &eval->steps))
            return sg_cel_bool(true);
    }
    return sg_cel_bool(false);
}

/* ---- strings ---- */

static struct sg_cel_value apply_size(struct sg_cel_eval *eval, const struct sg_cel_value *value)
{
    switch (value->kind) {
    case SG_CEL_STRING: {
        int64_t code_points = 0;
        for (uint32_t i = 0; i < value->count; i++)
            code_points += ((unsigned char)value->as.bytes[i] & 0xc0) != 0x80;
        sg_cel_charge(eval, value->count / 16);
        return sg_cel_int(code_points);
    }
    case SG_CEL_BYTES:
    case SG_CEL_LIST:
    case SG_CEL_MAP:
        return sg_cel_int(value->count);
    default:
        return sg_cel_no_overload(SG_CEL_F_SIZE);
    }
}

static struct sg_cel_value apply_search(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *text,
                                        const struct sg_cel_value *part)
{
    if (text->kind != SG_CEL_STRING || part->kind != SG_CEL_STRING)
        return sg_cel_no_overload(function);
    struct sg_str whole = sg_cel_str(text);
    struct sg_str piece = sg_cel_str(part);
    if (function == SG_CEL_F_STARTS_WITH)
        return sg_cel_bool(sg_str_starts_with(whole, piece));
    if (function == SG_CEL_F_ENDS_WITH)
        return sg_cel_bool(sg_str_ends_with(whole, piece));
    sg_cel_charge(eval, whole.len / 8);
    if (piece.len == 0 || whole.len < piece.len)
        return sg_cel_bool(piece.len == 0);
    return sg_cel_bool(memmem(whole.ptr, whole.len, piece.ptr, piece.len) != NULL);
}

/* The pattern of this call: compiled with the program if it is a literal, else now, and kept for the next round of a loop. */
static const struct sg_cel_regex *regex_of(struct sg_cel_eval *eval, const struct sg_cel_node *node, struct sg_str pattern,
                                           struct sg_cel_value *failure)
{
    if (node->regex != NULL)
        return node->regex;
    if (eval->regex != NULL && sg_str_eq(eval->regex_pattern, pattern))
        return eval->regex;

    sg_cel_regex_free(eval->regex);
    eval->regex = NULL;
    eval->regex_pattern = pattern;
    char message[256];
    sg_cel_charge(eval, STEPS_REGEX_COMPILE + pattern.len * 16);
    enum sg_status status = SG_INVALID_EXPRESSION;
    if (eval->steps > 0)
        status = sg_cel_regex_compile(pattern, REGEX_BYTES, &eval->regex, message, sizeof(message));
    else
        snprintf(message, sizeof(message), "the pattern takes too many steps");
    sg_cel_charge(eval, eval->regex != NULL ? sg_cel_regex_size(eval->regex) * 16 : STEPS_REGEX_FAILURE);
    if (status == SG_OK)
        return eval->regex;
    struct sg_str copy = sg_arena_copy(eval->arena, sg_str_from(message));
    *failure = status == SG_NO_MEMORY || copy.ptr == NULL ? sg_cel_abort(SG_CEL_E_NO_MEMORY) : sg_cel_error(SG_CEL_E_TEXT, copy);
    return NULL;
}

static struct sg_cel_value apply_matches(struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *text,
                                         const struct sg_cel_value *pattern)
{
    if (text->kind != SG_CEL_STRING || pattern->kind != SG_CEL_STRING)
        return sg_cel_no_overload(SG_CEL_F_MATCHES);
    struct sg_cel_value failure;
    const struct sg_cel_regex *regex = regex_of(eval, node, sg_cel_str(pattern), &failure);
    if (regex == NULL)
        return failure;
    /* The automaton is built while it runs; at worst each byte makes a state out of all instructions, 3 ns each. */
    size_t size = sg_cel_regex_size(regex);
    size_t cost = 20 + text->count / 8 + (size_t)text->count * size / 5;
    if ((int64_t)cost > eval->steps) {
        eval->steps = 0;
        return sg_cel_abort(SG_CEL_E_STEPS);
    }
    sg_cel_charge(eval, cost);
    return sg_cel_bool(sg_cel_regex_is_found(regex, sg_cel_str(text)));
}

/* ---- the table ---- */

static struct sg_cel_value apply_one(struct sg_cel_eval *eval, uint8_t function, const struct sg_cel_value *value)
{
    switch (function) {
    case SG_CEL_F_NOT:
        return value->kind == SG_CEL_BOOL ? sg_cel_bool(!value->as.boolean) : sg_cel_no_overload(function);
    case SG_CEL_F_NEGATE:
        return sg_cel_apply_arithmetic(eval, function, value, NULL);
    case SG_CEL_F_SIZE:
        return apply_size(eval, value);
    case SG_CEL_F_TO_DYN:
        return *value;
    case SG_CEL_F_TYPE:
        return (struct sg_cel_value){.kind = SG_CEL_TYPE, .as.type = value->kind};
    case SG_CEL_F_TO_INT:
    case SG_CEL_F_TO_UINT:
    case SG_CEL_F_TO_DOUBLE:
    case SG_CEL_F_TO_STRING:
    case SG_CEL_F_TO_BOOL:
    case SG_CEL_F_TO_BYTES:
    case SG_CEL_F_TO_TIMESTAMP:
    case SG_CEL_F_TO_DURATION:
        return sg_cel_apply_conversion(eval, function, value);
    default:
        return sg_cel_apply_extra(eval, function, value);
    }
}

struct sg_cel_value sg_cel_apply(struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *arguments,
                                 size_t count)
{
    uint8_t function = node->op;
    assert(function != SG_CEL_F_UNKNOWN);
    switch (function) {
    case SG_CEL_F_EQUAL:
        return sg_cel_bool(sg_cel_equal(&arguments[0], &arguments[1], &eval->steps));
    case SG_CEL_F_NOT_EQUAL:
        return sg_cel_bool(!sg_cel_equal(&arguments[0], &arguments[1], &eval->steps));
    case SG_CEL_F_LESS:
    case SG_CEL_F_LESS_EQUAL:
    case SG_CEL_F_GREATER:
    case SG_CEL_F_GREATER_EQUAL:
        return apply_ordering(function, &arguments[0], &arguments[1]);
    case SG_CEL_F_IN:
        return apply_in(eval, &arguments[0], &arguments[1]);
    case SG_CEL_F_ADD:
    case SG_CEL_F_SUBTRACT:
    case SG_CEL_F_MULTIPLY:
    case SG_CEL_F_DIVIDE:
    case SG_CEL_F_MODULO:
        return sg_cel_apply_arithmetic(eval, function, &arguments[0], &arguments[1]);
    case SG_CEL_F_CONTAINS:
    case SG_CEL_F_STARTS_WITH:
    case SG_CEL_F_ENDS_WITH:
        return apply_search(eval, function, &arguments[0], &arguments[1]);
    case SG_CEL_F_MATCHES:
        return apply_matches(eval, node, &arguments[0], &arguments[1]);
    case SG_CEL_F_GET_FULL_YEAR:
    case SG_CEL_F_GET_MONTH:
    case SG_CEL_F_GET_DATE:
    case SG_CEL_F_GET_DAY_OF_MONTH:
    case SG_CEL_F_GET_DAY_OF_WEEK:
    case SG_CEL_F_GET_DAY_OF_YEAR:
    case SG_CEL_F_GET_HOURS:
    case SG_CEL_F_GET_MINUTES:
    case SG_CEL_F_GET_SECONDS:
    case SG_CEL_F_GET_MILLISECONDS:
        return sg_cel_apply_getter(eval, function, arguments, count);
    default:
        return apply_one(eval, function, count > 0 ? &arguments[0] : NULL);
    }
}

/* ---- names ---- */

static const struct {
    const char *name;
    uint8_t fewest;
    uint8_t most;
} functions[] = {
#define SG_CEL_FUNCTION(name, text, fewest, most) {text, fewest, most},
#include "cel/functions.def"
#undef SG_CEL_FUNCTION
};

struct sg_str sg_cel_function_name(enum sg_cel_function function)
{
    return function < SG_CEL_F_UNKNOWN ? sg_str_from(functions[function].name) : SG_STR_NULL;
}

/* Operators have names that no identifier can have, so a call by name never finds one. */
enum sg_cel_function sg_cel_function_find(struct sg_str name, size_t argument_count)
{
    for (size_t i = 0; i < SG_ARRAY_LEN(functions); i++) {
        if (sg_str_eq(name, sg_str_from(functions[i].name)))
            return argument_count >= functions[i].fewest && argument_count <= functions[i].most ? (enum sg_cel_function)i
                                                                                                : SG_CEL_F_UNKNOWN;
    }
    return SG_CEL_F_UNKNOWN;
}

bool sg_cel_function_has_name(struct sg_str name)
{
    for (size_t i = 0; i < SG_ARRAY_LEN(functions); i++) {
        if (sg_str_eq(name, sg_str_from(functions[i].name)))
            return true;
    }
    return false;
}
