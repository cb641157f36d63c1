/* Giving names their meaning: what the parser leaves open and the evaluator needs to know. */
#ifndef STEPGATE_CEL_RESOLVE_H
#define STEPGATE_CEL_RESOLVE_H

#include "cel/build.h"

/*
 * Works on the whole tree: numbers loop variables, tells variables and type names apart, marks attribute chains and the paths
 * that are tracked, sets `uses`, `free_local` and the flags. Allocates from the builder's arena; false if memory ran out.
 */
bool sg_cel_resolve(struct sg_cel_node *root, struct sg_cel_builder *builder, struct sg_arena *scratch, uint32_t *local_count);

/* ours: as many paths as anybody reads; keeps the list from costing time */
#define SG_LIMIT_CEL_PATHS 256

/* The distinct attribute paths of the tree as text, in order of appearance, the first few. False if memory ran out. */
bool sg_cel_paths_collect(const struct sg_cel_node *root, const struct sg_cel_value *constants, struct sg_arena *arena,
                          struct sg_str **paths, size_t *count);

/* The child of a place in the trie, or NULL; `path` may be NULL. */
const struct sg_cel_path *sg_cel_path_find(const struct sg_cel_path *path, struct sg_str field);

#endif
