/*
 * An SDK's answer decoded: status, headers and bytes in, one of three things out: ops to apply, a finished function, an error
 * to retry or to end the run with (reference/01 §8, reference/02 §2).
 *
 * Pure. Nothing that an answer may contain makes it fail: garbage is an SG_ANSWER_ERROR too.
 */
#ifndef STEPGATE_SDK_ANSWER_H
#define STEPGATE_SDK_ANSWER_H

#include <stepgate/engine.h>

#include "sdk/headers.h"

struct sg_answer_input {
    int http_status;
    struct sg_headers headers;
    struct sg_str body;          /* decoded from any content-encoding */
    struct sg_buf *consumed;     /* NULL, or where `body` lies: freed once it has been read, since bodies are large */
    int64_t wall_now_ms;         /* Retry-After dates are judged by it */
    int64_t sent_bytes;          /* of the call's body: quoted when the app refuses it */
    const char *key_fingerprint; /* of the key that signed the call; NULL: it was not signed */
};

/*
 * Fills `answer` (but for duration_ms); everything that it refers to is in the arena. SG_OK, or SG_NO_MEMORY.
 */
enum sg_status sg_answer_decode(const struct sg_answer_input *input, struct sg_arena *arena, struct sg_answer *answer);

/* What a call can come to without an answer. */
enum sg_transport_failure {
    SG_TRANSPORT_UNREACHABLE, /* refused, no route, unknown host, TLS, closed before the first byte: "Unable to reach SDK URL" */
    SG_TRANSPORT_RESET,       /* broken while the answer was read */
    SG_TRANSPORT_TOO_LARGE,   /* output_too_large */
    SG_TRANSPORT_OTHER        /* the detail is the message */
};

/*
 * The answer to a call that got none, or a broken one (reference/01 §8.7). `detail` names the cause for people. SG_OK or SG_NO_MEMORY.
 */
enum sg_status sg_answer_transport_failure(enum sg_transport_failure failure, struct sg_str detail, struct sg_arena *arena,
                                           struct sg_answer *answer);

/* An error of our own with a name and a message, e.g. for a call that could not be assembled. SG_OK or SG_NO_MEMORY. */
enum sg_status sg_answer_fail(const char *name, const char *text, struct sg_str message, struct sg_arena *arena, struct sg_answer *answer);

/*
 * The error object of reference/02 §6.3 from what the app answered. `value` is canonical JSON or empty, `reason` is the transport reason
 * ("invalid status code: 500"). In the arena; empty if memory ran out.
 */
struct sg_str sg_answer_error_object(struct sg_str value, struct sg_str reason, struct sg_arena *arena);

#endif
