/* Making tree nodes: used by the parser and by interpolation, which writes new trees. */
#ifndef STEPGATE_CEL_BUILD_H
#define STEPGATE_CEL_BUILD_H

#include "cel/node.h"

struct sg_cel_builder {
    struct sg_arena *arena; /* of the nodes */
    struct sg_cel_value *constants;
    uint32_t constant_count;
    uint32_t constant_capacity;
    bool is_out_of_memory; /* then every function here gives NULL */
};

/* A node with room for `child_count` children, which the caller fills; then sg_cel_build_finish. */
struct sg_cel_node *sg_cel_build_node(struct sg_cel_builder *builder, enum sg_cel_node_kind kind, uint32_t position, uint32_t child_count);
struct sg_cel_node *sg_cel_build_literal(struct sg_cel_builder *builder, uint32_t position, struct sg_cel_value value);
struct sg_cel_node *sg_cel_build_call(struct sg_cel_builder *builder, enum sg_cel_function function, uint32_t position,
                                      struct sg_cel_node *first, struct sg_cel_node *second);
/* Sets the depth from the children. */
void sg_cel_build_finish(struct sg_cel_node *node);

#endif
