/*
 * Making tree nodes.
 *
 * A builder collects the constants of one tree. A failed allocation is remembered in it, so that code which makes many nodes
 * checks where it needs the pointer and reports once.
 */
#include "cel/build.h"

#include <string.h>

#include "base/check.h"

struct sg_cel_node *sg_cel_build_node(struct sg_cel_builder *builder, enum sg_cel_node_kind kind, uint32_t position, uint32_t child_count)
{
    size_t children_bytes = child_count * sizeof(struct sg_cel_node *);
    struct sg_cel_node *node = sg_arena_zalloc(builder->arena, sizeof(*node) + children_bytes);
    if (node == NULL) {
        builder->is_out_of_memory = true;
        return NULL;
    }
    node->kind = (uint8_t)kind;
    node->position = position;
    node->child_count = child_count;
    node->depth = 1;
    node->children = child_count > 0 ? (struct sg_cel_node **)(void *)(node + 1) : NULL;
    return node;
}

struct sg_cel_node *sg_cel_build_literal(struct sg_cel_builder *builder, uint32_t position, struct sg_cel_value value)
{
    if (builder->constant_count == builder->constant_capacity) {
        uint32_t capacity = builder->constant_capacity > 0 ? builder->constant_capacity * 2 : 8;
        struct sg_cel_value *constants = sg_arena_alloc(builder->arena, capacity * sizeof(*constants));
        if (constants == NULL) {
            builder->is_out_of_memory = true;
            return NULL;
        }
        if (builder->constant_count > 0)
            memcpy(constants, builder->constants, builder->constant_count * sizeof(*constants));
        builder->constants = constants;
        builder->constant_capacity = capacity;
    }
    struct sg_cel_node *node = sg_cel_build_node(builder, SG_CEL_NODE_LITERAL, position, 0);
    if (node == NULL)
        return NULL;
    node->slot = builder->constant_count;
    builder->constants[builder->constant_count++] = value;
    return node;
}

struct sg_cel_node *sg_cel_build_call(struct sg_cel_builder *builder, enum sg_cel_function function, uint32_t position,
                                      struct sg_cel_node *first, struct sg_cel_node *second)
{
    struct sg_cel_node *node = sg_cel_build_node(builder, SG_CEL_NODE_CALL, position, second != NULL ? 2 : 1);
    if (node == NULL || first == NULL)
        return NULL;
    node->op = (uint8_t)function;
    node->name = sg_cel_function_name(function);
    node->children[0] = first;
    if (second != NULL)
        node->children[1] = second;
    sg_cel_build_finish(node);
    return node;
}

void sg_cel_build_finish(struct sg_cel_node *node)
{
    uint16_t deepest = 0;
    for (uint32_t i = 0; i < node->child_count; i++) {
        assert(node->children[i] != NULL);
        if (node->children[i]->depth > deepest)
            deepest = node->children[i]->depth;
    }
    node->depth = deepest < UINT16_MAX ? (uint16_t)(deepest + 1) : UINT16_MAX;
}
