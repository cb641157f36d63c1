/*
 * Interpolation: what is left of an expression when the event that a run started with is known (reference/05 §6.2).
 *
 * The model. The tree is rewritten from the top: every part that depends on nothing but `event` is evaluated, with the rules
 * for missing data as always, and becomes a literal. What the event lacks becomes null, so that two events that both lack a
 * field match, as users rely on. What fails (`int("abc")`) is left as it is, with its own parts filled in: it will fail the
 * same way later. Then `&&`, `||` and `?:` with a literal side are simplified, as far as the place allows: at the top only
 * "is it exactly true?" is asked, under a condition only "is it truthy?", elsewhere the value itself counts.
 *
 * The text of the result is what is stored: portable, readable, and compiled again when it is loaded.
 *
 * What it never does: fold what reads the time or another variable, or take more steps than one evaluation may.
 */
#include <string.h>

#include "base/check.h"
#include "cel/build.h"
#include "cel/eval.h"
#include "cel/unparse.h"

/* What is asked of a part. */
enum place {
    PLACE_EXACT, /* is it the bool true? */
    PLACE_TRUTH, /* is it truthy? */
    PLACE_VALUE  /* everything */
};

struct interpolation {
    const struct sg_cel_program *program;
    struct sg_cel_scope scope;
    struct sg_arena *arena;
    struct sg_cel_builder builder;
    int64_t steps;
    bool is_out_of_steps;
};

static struct sg_cel_node *simplify(struct interpolation *state, struct sg_cel_node *node, enum place place);

/* ---- filling in ---- */

static bool is_foldable(const struct sg_cel_node *node)
{
    bool has_others = (node->uses & ~(1u << SG_CEL_V_EVENT)) != 0;
    return !has_others && node->free_local == SG_CEL_NO_LOCAL && (node->flags & SG_CEL_NODE_USES_NOW) == 0;
}

/* The literal that a part becomes, or NULL if it stays. */
static struct sg_cel_node *fold(struct interpolation *state, const struct sg_cel_node *node)
{
    if (!is_foldable(node))
        return NULL;
    const struct sg_cel_tree *tree = &state->program->tree;
    struct sg_cel_value value = sg_cel_run(tree, node, NULL, &state->scope, state->arena, &state->steps);
    if (value.kind == SG_CEL_ABORT) {
        state->is_out_of_steps = state->is_out_of_steps || value.detail == SG_CEL_E_STEPS;
        state->builder.is_out_of_memory = state->builder.is_out_of_memory || value.detail == SG_CEL_E_NO_MEMORY;
        return NULL;
    }
    bool is_test = node->kind == SG_CEL_NODE_SELECT && (node->flags & SG_CEL_NODE_IS_TEST) != 0;
    bool is_chain = (node->flags & SG_CEL_NODE_IS_CHAIN) != 0;
    if (value.kind == SG_CEL_UNKNOWN && is_test)
        value = sg_cel_bool(false);
    else if (value.kind == SG_CEL_UNKNOWN || (value.kind == SG_CEL_ERROR && is_chain))
        value = (struct sg_cel_value){.kind = SG_CEL_NULL};
    if (value.kind == SG_CEL_ERROR)
        return NULL;
    if (!sg_cel_value_charge(&value, &state->steps)) {
        state->is_out_of_steps = true;
        return NULL;
    }
    return sg_cel_build_literal(&state->builder, node->position, value);
}

/* A copy of the tree with everything filled in. NULL if memory ran out. */
static struct sg_cel_node *rewrite(struct interpolation *state, const struct sg_cel_node *node)
{
    struct sg_cel_node *literal = fold(state, node);
    if (literal != NULL || state->builder.is_out_of_memory || state->is_out_of_steps)
        return literal;
    struct sg_cel_node *copy = sg_cel_build_node(&state->builder, (enum sg_cel_node_kind)node->kind, node->position, node->child_count);
    if (copy == NULL)
        return NULL;
    struct sg_cel_node **children = copy->children;
    *copy = *node;
    copy->children = children;
    for (uint32_t i = 0; i < node->child_count; i++) {
        children[i] = rewrite(state, node->children[i]);
        if (children[i] == NULL)
            return NULL;
    }
    if (node->kind == SG_CEL_NODE_LITERAL) /* one that is not foldable does not exist */
        assert(false);
    return copy;
}

/* ---- simplifying ---- */

static const struct sg_cel_value *literal_value(const struct interpolation *state, const struct sg_cel_node *node)
{
    return node->kind == SG_CEL_NODE_LITERAL ? &state->builder.constants[node->slot] : NULL;
}

static bool is_literal_true(const struct interpolation *state, const struct sg_cel_node *node)
{
    const struct sg_cel_value *value = literal_value(state, node);
    return value != NULL && value->kind == SG_CEL_BOOL && value->as.boolean;
}

static bool is_bool_function(uint8_t function)
{
    return function <= SG_CEL_F_IN || function == SG_CEL_F_NOT || function == SG_CEL_F_TO_BOOL ||
           (function >= SG_CEL_F_CONTAINS && function <= SG_CEL_F_MATCHES);
}

/* Whether a part gives a bool or fails: then it is truthy exactly if it is true. */
static bool is_bool(const struct interpolation *state, const struct sg_cel_node *node)
{
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_LITERAL:
        return literal_value(state, node)->kind == SG_CEL_BOOL;
    case SG_CEL_NODE_SELECT:
        return (node->flags & SG_CEL_NODE_IS_TEST) != 0;
    case SG_CEL_NODE_CALL:
        return is_bool_function(node->op);
    case SG_CEL_NODE_CONDITIONAL:
        return is_bool(state, node->children[1]) && is_bool(state, node->children[2]);
    case SG_CEL_NODE_AND:
    case SG_CEL_NODE_OR:
        for (uint32_t i = 0; i < node->child_count; i++) {
            if (!is_bool(state, node->children[i]))
                return false;
        }
        return true;
    case SG_CEL_NODE_COMPREHENSION:
        return node->op == SG_CEL_M_EXISTS_ONE || (node->op <= SG_CEL_M_EXISTS && is_bool(state, node->children[1]));
    default:
        return false;
    }
}

static struct sg_cel_node *make_bool(struct interpolation *state, const struct sg_cel_node *node, bool boolean)
{
    return sg_cel_build_literal(&state->builder, node->position, sg_cel_bool(boolean));
}

/* What became of an operand of a chain. */
enum fate {
    FATE_KEEP,
    FATE_DROP,
    FATE_END,  /* keep it, the rest is never reached */
    FATE_TRUE, /* the whole chain is true */
    FATE_FALSE /* the whole chain is not true */
};

/* An operand of `&&` that is a literal. `has_bool_before`: the operands kept so far are there, and the last is a bool. */
static enum fate judge_and(const struct sg_cel_value *value, bool is_last, bool has_kept, bool has_bool_before, enum place place)
{
    bool is_truthy = sg_cel_is_true(value);
    bool is_true = value->kind == SG_CEL_BOOL && value->as.boolean;
    if (!is_truthy)
        return place == PLACE_VALUE ? FATE_END : FATE_FALSE;
    if (!is_last)
        return FATE_DROP;
    if (place == PLACE_TRUTH)
        return FATE_DROP;
    if (is_true && (has_bool_before || !has_kept))
        return has_kept ? FATE_DROP : FATE_KEEP;
    return place == PLACE_EXACT && !is_true ? FATE_FALSE : FATE_KEEP;
}

/* The same for `||`. `are_bools_before`: all operands kept so far are bools. */
static enum fate judge_or(const struct sg_cel_value *value, bool is_last, bool has_kept, bool are_bools_before, enum place place)
{
    bool is_truthy = sg_cel_is_true(value);
    bool is_true = value->kind == SG_CEL_BOOL && value->as.boolean;
    if (is_truthy) {
        if (place == PLACE_TRUTH || (place == PLACE_EXACT && is_true && are_bools_before))
            return FATE_TRUE;
        return place == PLACE_EXACT && !is_true && !has_kept ? FATE_FALSE : FATE_END;
    }
    /* Where the value counts the last one stays: it is the result if those before it fail. */
    return is_last && place == PLACE_VALUE ? FATE_KEEP : FATE_DROP;
}

/* What is asked of operand `i` of a chain. */
static enum place operand_place(const struct sg_cel_node *node, uint32_t i, enum place place)
{
    if (i + 1 == node->child_count || place == PLACE_VALUE)
        return place;
    /* Before the last, `&&` asks for truth only; an operand of `||` may become the result. */
    return node->kind == SG_CEL_NODE_AND || place == PLACE_TRUTH ? PLACE_TRUTH : PLACE_VALUE;
}

static struct sg_cel_node *simplify_chain(struct interpolation *state, struct sg_cel_node *node, enum place place)
{
    bool is_and = node->kind == SG_CEL_NODE_AND;
    bool are_bools = true;
    bool is_last_bool = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->child_count; i++) {
        struct sg_cel_node *operand = simplify(state, node->children[i], operand_place(node, i, place));
        if (operand == NULL)
            return NULL;
        const struct sg_cel_value *value = literal_value(state, operand);
        bool is_last = i + 1 == node->child_count;
        enum fate fate = FATE_KEEP;
        if (value != NULL)
            fate = is_and ? judge_and(value, is_last, kept > 0, is_last_bool, place) : judge_or(value, is_last, kept > 0, are_bools, place);
        if (fate == FATE_TRUE || fate == FATE_FALSE)
            return make_bool(state, node, fate == FATE_TRUE);
        if (fate == FATE_DROP)
            continue;
        is_last_bool = is_bool(state, operand);
        are_bools = are_bools && is_last_bool;
        node->children[kept++] = operand;
        if (fate == FATE_END)
            break;
    }
    if (kept == 0)
        return make_bool(state, node, is_and);
    if (kept == 1)
        return node->children[0];
    node->child_count = kept;
    return node;
}

static struct sg_cel_node *simplify_conditional(struct interpolation *state, struct sg_cel_node *node, enum place place)
{
    struct sg_cel_node *condition = simplify(state, node->children[0], PLACE_TRUTH);
    if (condition == NULL)
        return NULL;
    const struct sg_cel_value *value = literal_value(state, condition);
    if (value != NULL)
        return simplify(state, node->children[sg_cel_is_true(value) ? 1 : 2], place);
    node->children[0] = condition;
    for (uint32_t i = 1; i < 3; i++) {
        node->children[i] = simplify(state, node->children[i], place);
        if (node->children[i] == NULL)
            return NULL;
    }
    return node;
}

static struct sg_cel_node *simplify(struct interpolation *state, struct sg_cel_node *node, enum place place)
{
    if (node->kind == SG_CEL_NODE_AND || node->kind == SG_CEL_NODE_OR)
        return simplify_chain(state, node, place);
    if (node->kind == SG_CEL_NODE_CONDITIONAL)
        return simplify_conditional(state, node, place);
    for (uint32_t i = 0; i < node->child_count; i++) {
        node->children[i] = simplify(state, node->children[i], PLACE_VALUE);
        if (node->children[i] == NULL)
            return NULL;
    }
    if (node->kind == SG_CEL_NODE_CALL && node->op == SG_CEL_F_NOT) {
        const struct sg_cel_value *value = literal_value(state, node->children[0]);
        if (value != NULL && value->kind == SG_CEL_BOOL)
            return make_bool(state, node, !value->as.boolean);
    }
    return node;
}

/* ---- all of it ---- */

static enum sg_status finish(struct interpolation *state, const struct sg_cel_node *root, struct sg_buf *out, enum sg_cel_verdict *verdict,
                             struct sg_error *error)
{
    size_t start = out->len;
    *verdict = SG_CEL_SOMETIMES;
    if (root->kind == SG_CEL_NODE_LITERAL) {
        *verdict = is_literal_true(state, root) ? SG_CEL_ALWAYS : SG_CEL_NEVER;
        sg_buf_append(out, *verdict == SG_CEL_ALWAYS ? SG_STR("true") : SG_STR("false"));
    } else {
        sg_cel_unparse(root, state->builder.constants, out);
    }
    if (out->is_failed)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    if (out->len - start > SG_LIMIT_CEL_STORED_BYTES)
        return sg_error_set(error, SG_TOO_LARGE, "with the event's data the expression has %zu bytes, more than %d", out->len - start,
                            SG_LIMIT_CEL_STORED_BYTES);
    return SG_OK;
}

enum sg_status sg_cel_interpolate(const struct sg_cel_program *program, const struct sg_cel_document *event, struct sg_buf *out,
                                  enum sg_cel_verdict *verdict, struct sg_error *error)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    struct sg_arena arena;
    sg_arena_init(&arena);
    struct interpolation state = {
        .program = program, .scope = {.event = event}, .arena = &arena, .builder = {.arena = &arena}, .steps = SG_LIMIT_CEL_STEPS};
    enum sg_status status;
    struct sg_cel_node *root = rewrite(&state, program->tree.root);
    if (root != NULL)
        root = simplify(&state, root, PLACE_EXACT);
    if (state.is_out_of_steps)
        status = sg_error_set(error, SG_INVALID_EXPRESSION, "the expression takes too many steps or holds too much of the event");
    else if (root == NULL || state.builder.is_out_of_memory)
        status = sg_error_set(error, SG_NO_MEMORY, "out of memory");
    else
        status = finish(&state, root, out, verdict, error);
    sg_arena_free(&arena);
    return status;
}
