/* The output of a run for whoever has a token for it (reference/03 §4.8). */
#ifndef STEPGATE_SERVER_OUTPUT_H
#define STEPGATE_SERVER_OUTPUT_H

#include "server/held.h"

/* All with the lock of the set. */
/* Takes a connection that is being dropped out of the table of those who wait. */
void sg_output_leave(struct sg_held *held);
/* It has waited for long enough: it is told that the run still goes on. */
void sg_output_give_up(struct sg_held *held);
/* The server ends: it is told to ask again. */
void sg_output_refuse(struct sg_held *held);

/*
 * The parts of an endpoint's response in a run's output: `{"status","headers","body",…}`. False if the output is none. `headers` is an object or
 * empty; `body` is a JSON string.
 */
bool sg_output_parts(struct sg_str output, int64_t *http_status, struct sg_str *headers, struct sg_str *body);

#endif
