/* Whether a text of a function's configuration is an expression or a cron schedule: the one seam to the cel and cron rooms. */
#ifndef STEPGATE_SDK_EXPRESSION_H
#define STEPGATE_SDK_EXPRESSION_H

#include <stepgate/base.h>

enum sg_expression_use {
    SG_EXPRESSION_KEY,       /* concurrency, throttle, singleton keys, priority: syntax only */
    SG_EXPRESSION_CONDITION, /* triggers, rate limit, debounce, batch: names and types too */
    SG_EXPRESSION_CANCEL     /* cancelOn: comparisons only (reference/04 §14.1) */
};

/* SG_OK, SG_NO_MEMORY, or SG_INVALID_EXPRESSION with the reason as the message. */
enum sg_status sg_expression_check(struct sg_str text, enum sg_expression_use use, struct sg_error *error);
/* Whether the text is a cron schedule, with an optional zone in front (reference/04 §18.1). */
bool sg_cron_text_check(struct sg_str text);

#endif
