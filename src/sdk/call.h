/* One call under way: assembled, signed, sent, decoded. The caller's threads own these and use them again and again. */
#ifndef STEPGATE_SDK_CALL_H
#define STEPGATE_SDK_CALL_H

#include <stepgate/crypto.h>
#include <stepgate/store.h>

#include "base/list.h"
#include "base/rng.h"
#include "base/ulid.h"
#include "sdk/caller.h"
#include "sdk/endpoint_call.h"
#include "sdk/http.h"

/* What all calls of a thread share. */
struct sg_call_maker {
    struct sg_store_reader *reader;
    const struct sg_signing_key *key; /* NULL: calls are not signed */
    char fingerprint[SG_KEY_FINGERPRINT_LEN + 1];
    const struct sg_signing_key *fallback_key; /* while keys are exchanged; NULL: none */
    int64_t call_timeout_ms;
    int64_t connect_timeout_ms;
    struct sg_rng rng; /* for X-Request-Id */
    struct sg_ulid_generator ulids;
};

struct sg_transfer {
    uint32_t magic;
    struct sg_http http;
    struct sg_call *call; /* owned while under way */
    struct sg_buf body;
    struct sg_arena arena;               /* of the request that is repeated */
    struct sg_endpoint_request endpoint; /* for a durable endpoint: instead of body and URL of the call */
    struct sg_id request_id;
    bool is_resigned;     /* the fallback key has had its turn */
    int64_t begun_at_ms;  /* monotonic */
    int64_t sent_at_ns;   /* the caller's */
    struct sg_line *line; /* the caller's */
    struct sg_list_node in_list;
};

struct sg_transfer *sg_transfer_create(size_t response_bytes_max);
void sg_transfer_free(struct sg_transfer *transfer);

/*
 * Takes the call and makes the handle ready to go. Anything but SG_OK means that it will not go; `error` says why,
 * sg_transfer_fail makes the answer of it.
 */
enum sg_status sg_transfer_begin(struct sg_transfer *transfer, struct sg_call_maker *maker, struct sg_call *call, struct sg_error *error);
/*
 * After the app has refused the signature: makes the handle ready to ask once more, signed with the fallback key. An SDK looks at the signature before
 * anything else, so nothing has run there, and an app that has not been given the new key yet loses no attempt (reference/11 §2). SG_NOT_FOUND: there is
 * nothing to be tried, or it has been, and the answer stands; SG_NO_MEMORY, SG_SYSTEM: the answer is lost.
 */
enum sg_status sg_transfer_resign(struct sg_transfer *transfer, struct sg_call_maker *maker);
/* The message with the answer to a call that has ended with `code`; NULL if memory ran out. */
struct sg_message *sg_transfer_answer(struct sg_transfer *transfer, const struct sg_call_maker *maker, CURLcode code);
/* The message for a call that could not be made; NULL if memory ran out. */
struct sg_message *sg_call_fail(const struct sg_call *call, enum sg_status status, const char *text);
/* The same for metrics. `message` is what sg_transfer_answer made; NULL if memory ran out. */
struct sg_call_report sg_transfer_report(const struct sg_transfer *transfer, CURLcode code, const struct sg_message *message);
/* Forgets the call (which is freed) and large buffers. */
void sg_transfer_end(struct sg_transfer *transfer);

#endif
