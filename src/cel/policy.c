/*
 * The restrictive policy: what an expression of cancelOn may consist of (reference/05 §5.3).
 *
 * Comparisons, logic, indexing and conversions to numbers are allowed; any other call and every macro is not. The walk goes
 * through arguments and operands only, not into list and map literals, as the server's does.
 */
#include "base/check.h"
#include "cel/check.h"
#include "cel/unparse.h"

struct policy {
    const struct sg_cel_value *constants;
    struct sg_buf violations;
    size_t count;
};

static bool is_allowed(uint8_t function)
{
    return function <= SG_CEL_F_IN || function == SG_CEL_F_NOT || function == SG_CEL_F_TO_INT || function == SG_CEL_F_TO_UINT ||
           function == SG_CEL_F_TO_DOUBLE;
}

static void violate(struct policy *policy, const char *what, struct sg_str subject)
{
    policy->count++;
    sg_buf_printf(&policy->violations, "\n\t* %s", what);
    sg_buf_append(&policy->violations, subject);
    sg_buf_append(&policy->violations, SG_STR("')"));
}

static void walk(struct policy *policy, const struct sg_cel_node *node)
{
    if (policy->count >= SG_LIMIT_CEL_PROBLEMS)
        return;
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_COMPREHENSION: {
        struct sg_buf text = {0};
        sg_cel_unparse(node, policy->constants, &text);
        violate(policy, "macros are disallowed (contains '", sg_buf_str(&text));
        policy->violations.is_failed = policy->violations.is_failed || text.is_failed;
        sg_buf_free(&text);
        return;
    }
    case SG_CEL_NODE_LIST:
    case SG_CEL_NODE_MAP:
        return;
    case SG_CEL_NODE_SELECT:
        if ((node->flags & SG_CEL_NODE_IS_TEST) != 0)
            violate(policy, "macros are disallowed (uses '", SG_STR("has"));
        break;
    case SG_CEL_NODE_CALL:
        if (!is_allowed(node->op))
            violate(policy, "function calls are disallowed (uses '", node->name);
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        walk(policy, node->children[i]);
}

enum sg_status sg_cel_check_policy(const struct sg_cel_tree *tree, struct sg_buf *out)
{
    struct policy policy = {.constants = tree->constants};
    walk(&policy, tree->root);
    if (policy.count > 0) {
        sg_buf_printf(out, "validation failed: %zu error%s occurred:", policy.count, policy.count == 1 ? "" : "s");
        sg_buf_append(out, sg_buf_str(&policy.violations));
        sg_buf_append(out, SG_STR("\n\n"));
        out->is_failed = out->is_failed || policy.violations.is_failed;
    }
    sg_buf_free(&policy.violations);
    if (out->is_failed)
        return SG_NO_MEMORY;
    return policy.count == 0 ? SG_OK : SG_INVALID_EXPRESSION;
}
