/*
 * How an expression can be found.
 *
 * The model. For `a == "x" && b > 3` to be true, `a == "x"` must hold; so an event whose `a` is not "x" need not be shown to
 * it. A plan is such a necessary condition: a set of comparisons with constants of which at least one must hold. `&&` offers
 * the plans of all its operands, `||` needs one of each and joins them, `!` turns the rules around. What has no plan is
 * evaluated for every event; that is always correct.
 *
 * Why it is safe. `path == constant` is true only for an equal value, or for an absent or null one if the constant is null
 * (reference/05 §4.3); numbers are equal if their doubles are. A condition that is not met makes its comparison false, so the
 * `&&` around it is falsy, and a falsy expression does not match.
 *
 * What it never does: decide. The index proposes, the whole expression is evaluated.
 */
#include "cel/access.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "cel/value.h"

/* Higher trees are not looked into: a level takes a few KB of our stack, and people do not write them. */
#define PLAN_DEPTH_MAX 64

struct planner {
    const struct sg_cel_value *constants;
    enum sg_cel_variable subject;
};

static void plan(const struct planner *planner, const struct sg_cel_node *node, bool is_negated, struct sg_cel_plans *plans);

/* ---- attributes and constants ---- */

/* Whether the node is an attribute of the subject that can be looked up without evaluating anything. */
static bool is_attribute(const struct planner *planner, const struct sg_cel_node *node)
{
    for (; node->kind != SG_CEL_NODE_IDENT; node = node->children[0]) {
        if (node->kind == SG_CEL_NODE_SELECT && (node->flags & SG_CEL_NODE_IS_TEST) == 0)
            continue;
        if (node->kind != SG_CEL_NODE_INDEX || node->children[1]->kind != SG_CEL_NODE_LITERAL)
            return false;
        const struct sg_cel_value *key = &planner->constants[node->children[1]->slot];
        if (key->kind != SG_CEL_STRING && key->kind != SG_CEL_INT)
            return false;
    }
    return node->variable == planner->subject;
}

/* How selective equality with a constant is: its rank, or -1 if it cannot be looked up. */
static int constant_rank(const struct sg_cel_value *constant)
{
    switch ((enum sg_cel_kind)constant->kind) {
    case SG_CEL_STRING:
        return 0;
    case SG_CEL_INT:
    case SG_CEL_UINT:
        return 1;
    case SG_CEL_DOUBLE:
        return isnan(constant->as.number) ? -1 : 1;
    case SG_CEL_BOOL:
        return 4;
    case SG_CEL_NULL:
        return 5;
    default:
        return -1;
    }
}

static int atom_rank(const struct planner *planner, const struct sg_cel_atom *atom)
{
    const struct sg_cel_value *constant = &planner->constants[atom->slot];
    if (atom->kind == SG_CEL_ATOM_EQUAL)
        return constant_rank(constant);
    if (atom->kind == SG_CEL_ATOM_MEMBER)
        return constant_rank(constant) >= 0 && constant->kind != SG_CEL_NULL ? 3 : -1;
    if (constant->kind != SG_CEL_LIST || constant->count > SG_LIMIT_CEL_KEYS_PER_WAITER)
        return -1;
    for (uint32_t i = 0; i < constant->count; i++) {
        if (constant_rank(&constant->as.items[i]) < 0)
            return -1;
    }
    return 2;
}

static bool find_atom(const struct planner *planner, const struct sg_cel_node *node, bool is_negated, struct sg_cel_atom *atom)
{
    uint8_t wanted = is_negated ? SG_CEL_F_NOT_EQUAL : SG_CEL_F_EQUAL;
    const struct sg_cel_node *left = node->children[0];
    const struct sg_cel_node *right = node->children[1];
    if (node->op == wanted) {
        bool is_swapped = left->kind == SG_CEL_NODE_LITERAL;
        const struct sg_cel_node *literal = is_swapped ? left : right;
        const struct sg_cel_node *chain = is_swapped ? right : left;
        *atom = (struct sg_cel_atom){.kind = SG_CEL_ATOM_EQUAL, .slot = literal->slot, .chain = chain};
        return literal->kind == SG_CEL_NODE_LITERAL && is_attribute(planner, chain);
    }
    if (node->op != SG_CEL_F_IN || is_negated)
        return false;
    if (right->kind == SG_CEL_NODE_LITERAL) {
        *atom = (struct sg_cel_atom){.kind = SG_CEL_ATOM_AMONG, .slot = right->slot, .chain = left};
        return is_attribute(planner, left);
    }
    *atom = (struct sg_cel_atom){.kind = SG_CEL_ATOM_MEMBER, .slot = left->slot, .chain = right};
    return left->kind == SG_CEL_NODE_LITERAL && is_attribute(planner, right);
}

/* ---- logic ---- */

static void offer(struct sg_cel_plans *plans, const struct sg_cel_plan *offered)
{
    if (plans->count < SG_LIMIT_CEL_PLANS) {
        plans->items[plans->count++] = *offered;
        return;
    }
    struct sg_cel_plan *worst = &plans->items[0];
    for (size_t i = 1; i < plans->count; i++) {
        if (plans->items[i].rank > worst->rank)
            worst = &plans->items[i];
    }
    if (offered->rank < worst->rank)
        *worst = *offered;
}

/* Any operand will do: all of their plans are offered. */
static void plan_all(const struct planner *planner, const struct sg_cel_node *node, bool is_negated, struct sg_cel_plans *plans)
{
    for (uint32_t i = 0; i < node->child_count; i++) {
        struct sg_cel_plans below;
        plan(planner, node->children[i], is_negated, &below);
        for (size_t k = 0; k < below.count; k++)
            offer(plans, &below.items[k]);
    }
}

/* Every operand must be found: the best plan of each, joined. */
static void plan_each(const struct planner *planner, const struct sg_cel_node *node, bool is_negated, struct sg_cel_plans *plans)
{
    struct sg_cel_plan joined = {.rank = 0};
    for (uint32_t i = 0; i < node->child_count; i++) {
        struct sg_cel_plans below;
        plan(planner, node->children[i], is_negated, &below);
        if (below.count == 0)
            return;
        const struct sg_cel_plan *best = &below.items[0];
        for (size_t k = 1; k < below.count; k++) {
            if (below.items[k].rank < best->rank)
                best = &below.items[k];
        }
        if (joined.count + best->count > SG_LIMIT_CEL_ATOMS)
            return;
        memcpy(joined.atoms + joined.count, best->atoms, best->count * sizeof(best->atoms[0]));
        joined.count += best->count;
        if (best->rank > joined.rank)
            joined.rank = best->rank;
    }
    offer(plans, &joined);
}

/*
 * The plans for the node to be truthy, or with `is_negated` for it to be falsy. A falsy comparison is a false one: the
 * subject is bound, so comparing its attributes never fails.
 */
static void plan(const struct planner *planner, const struct sg_cel_node *node, bool is_negated, struct sg_cel_plans *plans)
{
    plans->count = 0;
    plans->is_exact = false;
    if (node->depth > PLAN_DEPTH_MAX)
        return;
    if (node->kind == SG_CEL_NODE_AND || node->kind == SG_CEL_NODE_OR) {
        bool is_all = (node->kind == SG_CEL_NODE_AND) != is_negated;
        (is_all ? plan_all : plan_each)(planner, node, is_negated, plans);
        return;
    }
    if (node->kind == SG_CEL_NODE_LITERAL) {
        if (sg_cel_is_true(&planner->constants[node->slot]) == is_negated) {
            const struct sg_cel_plan never = {.rank = 0};
            offer(plans, &never);
        }
        return;
    }
    if (node->kind != SG_CEL_NODE_CALL)
        return;
    if (node->op == SG_CEL_F_NOT) {
        /* !x is true only if x is false; it is falsy in more cases than x being true, so that is not followed further. */
        if (!is_negated)
            plan(planner, node->children[0], true, plans);
        return;
    }
    struct sg_cel_atom atom;
    if (node->child_count != 2 || !find_atom(planner, node, is_negated, &atom))
        return;
    int rank = atom_rank(planner, &atom);
    if (rank < 0)
        return;
    struct sg_cel_plan single = {.rank = rank, .count = 1};
    single.atoms[0] = atom;
    offer(plans, &single);
}

void sg_cel_access_plan(const struct sg_cel_tree *tree, enum sg_cel_variable subject, struct sg_cel_plans *plans)
{
    const struct planner planner = {.constants = tree->constants, .subject = subject};
    plan(&planner, tree->root, false, plans);
    bool is_comparison = tree->root->kind == SG_CEL_NODE_CALL && tree->root->op == SG_CEL_F_EQUAL;
    plans->is_exact = is_comparison && plans->count == 1;
}
