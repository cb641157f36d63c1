/* Tree to text. */
#ifndef STEPGATE_CEL_UNPARSE_H
#define STEPGATE_CEL_UNPARSE_H

#include "cel/node.h"

/* Appends text that parses to the same tree. */
void sg_cel_unparse(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out);

#endif
