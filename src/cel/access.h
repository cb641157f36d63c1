/* How an expression can be found: the keys without one of which it cannot be true (reference/05 §7.2). */
#ifndef STEPGATE_CEL_ACCESS_H
#define STEPGATE_CEL_ACCESS_H

#include "cel/node.h"

/* ours: as many constants as an expression may be found by; one with more is evaluated for every event */
#define SG_LIMIT_CEL_KEYS_PER_WAITER 1024
/* ours: ways that an expression offers to be found, of which the most selective is chosen */
#define SG_LIMIT_CEL_PLANS 8
/* ours: atoms of one way: more alternatives than that are not worth their memory */
#define SG_LIMIT_CEL_ATOMS 16

enum sg_cel_atom_kind {
    SG_CEL_ATOM_EQUAL, /* path == constant */
    SG_CEL_ATOM_AMONG, /* path in [constants] */
    SG_CEL_ATOM_MEMBER /* constant in path */
};

/* One comparison of an attribute with a constant. */
struct sg_cel_atom {
    enum sg_cel_atom_kind kind;
    uint32_t slot;                   /* of the constant */
    const struct sg_cel_node *chain; /* the attribute: fields and constant indexes below the subject */
};

/* Atoms of which at least one holds whenever the expression is true. None at all: it is never true. */
struct sg_cel_plan {
    int rank; /* smaller is better: by the worst atom */
    size_t count;
    struct sg_cel_atom atoms[SG_LIMIT_CEL_ATOMS];
};

struct sg_cel_plans {
    size_t count; /* 0: the expression can only be evaluated */
    struct sg_cel_plan items[SG_LIMIT_CEL_PLANS];
    bool is_exact; /* the expression is nothing but the one atom EQUAL of its only plan */
};

/* Finds the plans of a tree for events that are the variable `subject`. */
void sg_cel_access_plan(const struct sg_cel_tree *tree, enum sg_cel_variable subject, struct sg_cel_plans *plans);

#endif
