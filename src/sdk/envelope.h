/*
 * The envelope of a streamed answer (status 201, reference/01 §8.3): {"status":…,"headers":{…},"body":…} behind any number of
 * spaces that kept the connection alive.
 */
#ifndef STEPGATE_SDK_ENVELOPE_H
#define STEPGATE_SDK_ENVELOPE_H

#include "sdk/headers.h"

struct sg_envelope {
    int64_t status;      /* 0 if missing */
    struct sg_str body;  /* a string body is decoded once; other JSON is canonical text */
    bool is_body_absent; /* no `body` member, or null */
    struct sg_buf text;  /* where `body` lies */
};

/*
 * Opens the envelope in `bytes`. Its headers replace those of the same name in `headers` and lie in the arena; the body does not, since it is
 * large and read only once. `consumed` is NULL, or the buffer that `bytes` lies in: it is freed once it has been read.
 *
 * SG_BAD_RESPONSE with the text that the attempt fails with: the envelope is not one, or it carries an `error`. SG_NO_MEMORY.
 */
enum sg_status sg_envelope_open(struct sg_str bytes, struct sg_buf *consumed, struct sg_arena *arena, struct sg_headers *headers,
                                struct sg_envelope *envelope, struct sg_error *error);
void sg_envelope_free(struct sg_envelope *envelope);

#endif
