/* Running files of test vectors (reference/05 §11): one JSON object a line, an expression and what must come of it. */
#ifndef STEPGATE_CEL_VECTORS_H
#define STEPGATE_CEL_VECTORS_H

#include <stepgate/base.h>

struct sg_cel_tally {
    size_t passed;
    size_t failed;
    size_t deviations; /* passed with our value instead of the recorded one, as deviations.def lists it */
};

/*
 * Runs every line of `text`. For each that fails a line with its number, what was expected and what came is appended to `out`.
 * `now_ms` is what now() gives. SG_NO_MEMORY.
 */
enum sg_status sg_cel_vectors_run(struct sg_str text, int64_t now_ms, struct sg_buf *out, struct sg_cel_tally *tally);
/* Appends the list of deviations, one line each. */
void sg_cel_deviations_print(struct sg_buf *out);

#endif
