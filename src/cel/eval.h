/* Evaluating a tree. */
#ifndef STEPGATE_CEL_EVAL_H
#define STEPGATE_CEL_EVAL_H

#include "cel/function.h"

/*
 * Evaluates `node` of `tree` with the given constants (NULL: the tree's own) in a scope, within *steps, which are lowered by
 * what it took. The result may be UNKNOWN, an ERROR or an ABORT; what becomes of those is the caller's business.
 */
struct sg_cel_value sg_cel_run(const struct sg_cel_tree *tree, const struct sg_cel_node *node, const struct sg_cel_value *constants,
                               const struct sg_cel_scope *scope, struct sg_arena *arena, int64_t *steps);

/* Internal to the evaluator: eval.c and call.c. */
struct sg_cel_value sg_cel_eval_node(struct sg_cel_eval *eval, const struct sg_cel_node *node);
struct sg_cel_value sg_cel_eval_call(struct sg_cel_eval *eval, const struct sg_cel_node *node);

/* The value for the world outside of an evaluation: UNKNOWN becomes false, errors a status (reference/05 §4.7). */
enum sg_status sg_cel_settle(struct sg_cel_value *value, struct sg_error *error);

#endif
