/*
 * The tree that an expression is parsed into, and what a compiled program consists of.
 *
 * Nodes live in an arena together with everything they point to. A literal does not hold its value but the number of a slot
 * in an array of constants: that is how thousands of waiters whose expressions differ in a constant only share one tree
 * (template.h). `&&` and `||` have any number of children, so chains of them are not deep.
 */
#ifndef STEPGATE_CEL_NODE_H
#define STEPGATE_CEL_NODE_H

#include <stepgate/cel.h>

enum sg_cel_node_kind {
    SG_CEL_NODE_LITERAL, /* slot */
    SG_CEL_NODE_IDENT,   /* name, variable, local */
    SG_CEL_NODE_SELECT,  /* children[0] . name; has() if SG_CEL_NODE_IS_TEST */
    SG_CEL_NODE_INDEX,   /* children[0] [ children[1] ] */
    SG_CEL_NODE_CALL,    /* op: enum sg_cel_function; name is that of an unknown one */
    SG_CEL_NODE_AND,     /* two children or more */
    SG_CEL_NODE_OR,
    SG_CEL_NODE_CONDITIONAL, /* three children */
    SG_CEL_NODE_LIST,
    SG_CEL_NODE_MAP,          /* children: key, value, key, value */
    SG_CEL_NODE_COMPREHENSION /* op: enum sg_cel_macro; children: range, then what the macro was given; name: the variable */
};

enum sg_cel_function {
#define SG_CEL_FUNCTION(name, text, fewest, most) SG_CEL_F_##name,
#include "cel/functions.def"
#undef SG_CEL_FUNCTION
    SG_CEL_F_UNKNOWN /* a name that is no function, or not with so many arguments */
};

enum sg_cel_macro {
    SG_CEL_M_ALL,
    SG_CEL_M_EXISTS,
    SG_CEL_M_EXISTS_ONE,
    SG_CEL_M_MAP,
    SG_CEL_M_MAP_FILTER, /* map with a predicate: predicate, transform */
    SG_CEL_M_FILTER
};

#define SG_CEL_NO_LOCAL UINT16_MAX

/* An interpolated expression may hold values of the event as literals, which add to its depth (unparse.c). */
#define SG_CEL_STORED_DEPTH_MAX (SG_LIMIT_CEL_DEPTH + 64)

/* What an identifier that is not a loop variable names. */
enum sg_cel_variable {
    SG_CEL_V_EVENT,
    SG_CEL_V_ASYNC,
    SG_CEL_V_OUTPUT,
    SG_CEL_V_ERROR,
    SG_CEL_V_OTHER, /* looked up by name, then as a type */
    SG_CEL_V_LOCAL  /* a loop variable */
};

enum {
    SG_CEL_NODE_IS_TEST = 1,     /* SELECT: has() */
    SG_CEL_NODE_IS_ROOTED = 2,   /* IDENT: written with a leading dot, skips loop variables */
    SG_CEL_NODE_IS_RECEIVER = 4, /* CALL: written x.f(), children[0] is x */
    SG_CEL_NODE_MAY_ABORT = 8,   /* something below may ABORT, so it is evaluated even if the result is known */
    SG_CEL_NODE_IS_CHAIN = 16,   /* IDENT, or SELECT/INDEX on a chain: an attribute path rooted at a variable */
    SG_CEL_NODE_USES_NOW = 32    /* something below reads the time */
};

/* A prefix of a path that the server tracks: absent means UNKNOWN, not an error (reference/05 §4.2). */
struct sg_cel_path {
    struct sg_str field;
    const struct sg_cel_path *parent;
    struct sg_cel_path *first_child;
    struct sg_cel_path *next;
    uint32_t child_count;
};

struct sg_cel_node {
    uint8_t kind;
    uint8_t op;
    uint8_t flags;
    uint8_t variable;  /* IDENT */
    uint16_t depth;    /* 1 for a leaf */
    uint16_t local;    /* IDENT, COMPREHENSION: number of the loop variable */
    uint32_t position; /* byte in the text, for errors */
    uint32_t child_count;
    uint32_t slot;       /* LITERAL */
    uint16_t free_local; /* the smallest number of a loop variable that is used below but bound above, or SG_CEL_NO_LOCAL */
    uint8_t uses;        /* 1 << enum sg_cel_variable of everything below */
    struct sg_str name;
    struct sg_cel_node **children;
    const struct sg_cel_path *path; /* chains: the place in the trie of tracked paths, or NULL */
    struct sg_cel_regex *regex;     /* MATCHES with a literal pattern */
};

/* A tree, ready to be evaluated with an array of constants. */
struct sg_cel_tree {
    struct sg_cel_node *root;
    struct sg_cel_value *constants;
    uint32_t constant_count;
    uint32_t local_count; /* how deep loop variables nest */
    uint32_t regex_count;
    struct sg_cel_regex **regexes; /* owned */
};

#define SG_CEL_PROGRAM_MAGIC 0x5347434cu

struct sg_cel_program {
    uint32_t magic;
    struct sg_arena arena; /* owns everything below but the regular expressions' insides */
    struct sg_str text;
    struct sg_cel_tree tree;
    struct sg_str *paths;
    size_t path_count;
};

/* "_==_", "size". */
struct sg_str sg_cel_function_name(enum sg_cel_function function);
/* SG_CEL_F_UNKNOWN if no function of that name takes so many arguments. */
enum sg_cel_function sg_cel_function_find(struct sg_str name, size_t argument_count);
bool sg_cel_function_has_name(struct sg_str name);

static inline bool sg_cel_is_ordering(uint8_t function)
{
    return function >= SG_CEL_F_LESS && function <= SG_CEL_F_GREATER_EQUAL;
}

#endif
