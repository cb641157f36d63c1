/* What came of a step's request, as the result or the error that the step gets (reference/02 §10). Pure: bytes in, JSON out. */
#ifndef STEPGATE_SDK_FETCH_RESULT_H
#define STEPGATE_SDK_FETCH_RESULT_H

#include "sdk/fetch_request.h"

struct sg_fetch_response {
    int status;
    struct sg_str url;     /* where it came from */
    struct sg_str headers; /* the lines as they came */
    struct sg_str body;    /* decoded */
};

/*
 * Exactly one of `data` and `error` has bytes afterwards, canonical JSON in the arena. SG_NO_MEMORY. An AI provider that answers with a status above 299
 * has failed; for step.fetch every answer is a success.
 */
enum sg_status sg_fetch_result(const struct sg_fetch_request *request, const struct sg_fetch_response *response, struct sg_arena *arena,
                               struct sg_str *data, struct sg_str *error);
/* The error for a request that got no answer; `why` is for people and holds no secret. SG_NO_MEMORY. */
enum sg_status sg_fetch_failure(enum sg_opcode code, struct sg_str why, struct sg_arena *arena, struct sg_str *error);

#endif
