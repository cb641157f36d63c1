/* What is wrong with a text: messages with places, rendered with a caret under each (reference/05 §2.7). */
#ifndef STEPGATE_CEL_PROBLEM_H
#define STEPGATE_CEL_PROBLEM_H

#include <stepgate/base.h>

/* The most that are reported: enough to mend a text, few enough that garbage costs nothing. */
#define SG_LIMIT_CEL_PROBLEMS 100

struct sg_cel_problem {
    struct sg_str message;
    size_t position; /* byte offset; the length of the text is its end */
};

struct sg_cel_problems {
    struct sg_arena *arena;
    struct sg_cel_problem *items; /* SG_LIMIT_CEL_PROBLEMS of them */
    size_t count;
    bool is_out_of_memory;
};

void sg_cel_problems_init(struct sg_cel_problems *problems, struct sg_arena *arena);
void sg_cel_problem_add(struct sg_cel_problems *problems, size_t position, const char *format, ...) SG_PRINTF(3, 4);
/* Appends "error compiling expression: ERROR: <input>:1:5: ...", one block a problem, ordered by place. */
void sg_cel_problems_render(struct sg_cel_problems *problems, struct sg_str text, struct sg_buf *out);

#endif
