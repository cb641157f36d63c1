/*
 * One function of a registration: validated by the rules of reference/04 §2.4 and brought into the form that is stored.
 *
 * All errors are collected, each with the reference's text.
 */
#ifndef STEPGATE_SDK_FUNCTION_CONFIG_H
#define STEPGATE_SDK_FUNCTION_CONFIG_H

#include <stepgate/engine.h>

/* One thing that is wrong with one function. */
struct sg_config_problem {
    struct sg_str function; /* its id, else its name */
    const char *code;       /* "config_invalid", "combo_unsupported", ... */
    struct sg_str message;
};

#define SG_LIMIT_CONFIG_PROBLEMS 1000 /* ours: beyond it nobody reads on */

/* Zero-initialise. In an arena: nothing to free. */
struct sg_config_problems {
    struct sg_config_problem *items;
    size_t count;
    size_t capacity;
    size_t dropped; /* beyond the limit */
};

struct sg_function_config_options {
    struct sg_str app_name;
    struct sg_str url_override; /* the step URL is moved there; empty: as announced */
};

/*
 * `object` is canonical JSON. Fills `out` if the function is valid; otherwise problems were added and `out` means nothing. SG_OK in both
 * cases, SG_INVALID_ARGUMENT with a decode error ("galaxy does not belong to ConcurrencyScope values") that refuses the whole request,
 * SG_NO_MEMORY.
 */
enum sg_status sg_function_config_decode(struct sg_str object, const struct sg_function_config_options *options, struct sg_arena *arena,
                                         struct sg_function_in *out, struct sg_config_problems *problems, struct sg_error *error);

#endif
