/* Random expressions and events that have much to do with each other. */
#ifndef STEPGATE_TESTS_CEL_GENERATE_H
#define STEPGATE_TESTS_CEL_GENERATE_H

#include <stepgate/base.h>

#include "base/rng.h"

enum cel_dialect {
    CEL_DIALECT_ALL,  /* everything that parses */
    CEL_DIALECT_PLAIN /* comparisons and logic whose meaning does not depend on which parts of the expression are left */
};

/* Appends an expression over the variable `subject`, and over `other` too if it is not NULL. */
void cel_generate_expression(struct sg_rng *rng, enum cel_dialect dialect, const char *subject, const char *other, struct sg_buf *out);
/* Appends an event as JSON; with `is_whole` no member is missing or null. */
void cel_generate_event(struct sg_rng *rng, bool is_whole, struct sg_buf *out);

#endif
