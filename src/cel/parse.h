/* Text to tree (reference/05 §2.2 to §2.4). */
#ifndef STEPGATE_CEL_PARSE_H
#define STEPGATE_CEL_PARSE_H

#include "cel/build.h"
#include "cel/problem.h"

struct sg_cel_parse_options {
    bool is_lenient;        /* unknown escapes, see sg_cel_lex */
    size_t code_points_max; /* 0: no limit */
    size_t depth_max;
    struct sg_arena *scratch; /* for what is not needed afterwards */
};

/*
 * Parses `text`, whose bytes the tree's names point into. NULL if the text has problems, which then are in `problems`, or if
 * memory ran out (problems->is_out_of_memory). Everything comes from the arena of the builder.
 */
struct sg_cel_node *sg_cel_parse(struct sg_str text, const struct sg_cel_parse_options *options, struct sg_cel_builder *builder,
                                 struct sg_cel_problems *problems);

#endif
