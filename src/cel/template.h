/* Shapes of expressions: trees with their constants abstracted, shared by all waiters that differ in nothing else. */
#ifndef STEPGATE_CEL_TEMPLATE_H
#define STEPGATE_CEL_TEMPLATE_H

#include "base/map.h"
#include "cel/access.h"

/* An attribute that expressions are found by. */
struct sg_cel_key_path {
    struct sg_str text; /* the key of the map that holds it */
    size_t users;       /* templates */
    uint64_t salt;      /* tells its keys from those of others */
    size_t keys;        /* in the index, by how they are looked up: EQUAL and AMONG with a value, ... */
    size_t null_keys;   /* ... with null, which an absent attribute finds too, ... */
    size_t member_keys; /* ... and MEMBER */
    size_t place;       /* in the list of all paths */
    uint32_t step_count;
    struct sg_cel_key_step *steps;
};

/* A field, or an index into a list. */
struct sg_cel_key_step {
    struct sg_str field; /* ptr NULL: an index */
    int64_t index;
};

struct sg_cel_template_plan {
    struct sg_cel_plan plan;
    struct sg_cel_key_path *paths[SG_LIMIT_CEL_ATOMS]; /* of its atoms */
};

struct sg_cel_template {
    struct sg_str shape; /* the key of the map that holds it */
    size_t users;        /* waiters */
    struct sg_cel_program *program;
    size_t plan_count;
    struct sg_cel_template_plan *plans;
    bool is_exact; /* see struct sg_cel_plans */
};

/* All templates and paths of one index. */
struct sg_cel_templates {
    enum sg_cel_variable subject;
    struct sg_map by_shape;
    struct sg_map by_path;
    struct sg_cel_key_path **paths; /* all of them, to be walked by a match */
    size_t path_count;
    size_t path_capacity;
    uint64_t next_salt;
    size_t bytes;
};

void sg_cel_templates_init(struct sg_cel_templates *templates, enum sg_cel_variable subject);
void sg_cel_templates_free(struct sg_cel_templates *templates);
/* The template of a program's shape, made if there is none, with one more user. NULL if memory ran out. */
struct sg_cel_template *sg_cel_template_get(struct sg_cel_templates *templates, const struct sg_cel_program *program);
/* Takes a user away; the last one takes the template with it. */
void sg_cel_template_put(struct sg_cel_templates *templates, struct sg_cel_template *template);

/* The value of the attribute in a document, or NULL if it is absent. */
const struct sg_cel_value *sg_cel_key_path_find(const struct sg_cel_key_path *path, const struct sg_cel_value *root);

/* Bytes that the constants of a tree take beside their array, and a copy of them there. */
size_t sg_cel_constants_bytes(const struct sg_cel_tree *tree);
void sg_cel_constants_copy(const struct sg_cel_tree *tree, struct sg_cel_value *constants, char *bytes);

#endif
