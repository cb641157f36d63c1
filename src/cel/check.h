/* Checking a tree before it is accepted (reference/05 §5). */
#ifndef STEPGATE_CEL_CHECK_H
#define STEPGATE_CEL_CHECK_H

#include "cel/node.h"
#include "cel/problem.h"

/* Names and types (§5.2): adds problems. False if memory ran out. */
bool sg_cel_check_types(const struct sg_cel_node *root, const struct sg_cel_value *constants, struct sg_arena *scratch,
                        struct sg_cel_problems *problems);

/* The restrictive policy (§5.3): SG_INVALID_EXPRESSION with "validation failed: ..." appended to `out`, SG_OK. */
enum sg_status sg_cel_check_policy(const struct sg_cel_tree *tree, struct sg_buf *out);

#endif
