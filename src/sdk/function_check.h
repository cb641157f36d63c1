/* Inside of the validation of one function: what its parts share. Not for other files than src/sdk/function_*.c. */
#ifndef STEPGATE_SDK_FUNCTION_CHECK_H
#define STEPGATE_SDK_FUNCTION_CHECK_H

#include <stepgate/json.h>

#include "sdk/expression.h"
#include "sdk/function_config.h"

/* One validation. `status` latches what ends it: a decode error of the whole request, or no memory. */
struct sg_function_check {
    struct sg_str object;
    struct sg_str label; /* the function's id, else its name */
    struct sg_arena *arena;
    struct sg_config_problems *problems;
    struct sg_error *error;
    enum sg_status status;
};

/* Adds a problem with the function. */
void sg_check_problem(struct sg_function_check *check, const char *code, const char *format, ...) SG_PRINTF(3, 4);
/* Ends the validation: the request cannot be decoded. */
void sg_check_refuse(struct sg_function_check *check, const char *format, ...) SG_PRINTF(2, 3);

/* A member that is absent or null gives an empty str; one of another kind refuses the request. */
struct sg_str sg_check_member(struct sg_function_check *check, struct sg_str object, const char *key, enum sg_json_kind kind);
/* A text member, decoded; empty if absent. */
struct sg_str sg_check_text(struct sg_function_check *check, struct sg_str object, const char *key);
/* A whole number; false if absent. */
bool sg_check_int(struct sg_function_check *check, struct sg_str object, const char *key, int64_t *number);
/* False, and `why` filled, if `text` is not an expression; an empty text is one. */
bool sg_check_expression(struct sg_function_check *check, struct sg_str text, enum sg_expression_use use, struct sg_error *why);

/* function_limits.c: everything about flow control, batching, priority and cancellation (reference/04 §2.4). */
void sg_check_limits(struct sg_function_check *check);

#endif
