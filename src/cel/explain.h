/* For people: what an expression found and how missing data was treated. */
#ifndef STEPGATE_CEL_EXPLAIN_H
#define STEPGATE_CEL_EXPLAIN_H

#include <stepgate/cel.h>

/*
 * Appends lines about every attribute that the program mentions (its value, or how its absence counts), about the result, and
 * if the program speaks of `async`, what a pause would store and be found by. SG_NO_MEMORY.
 */
enum sg_status sg_cel_explain(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                              struct sg_buf *out);

#endif
