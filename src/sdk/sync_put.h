/* One PUT to a place: its request, and the registration that an in-band answer holds. Inside of the sync only. */
#ifndef STEPGATE_SDK_SYNC_PUT_H
#define STEPGATE_SDK_SYNC_PUT_H

#include "sdk/exchange.h"
#include "sdk/judge.h"
#include "sdk/place.h"

struct sg_put {
    struct sg_place *place;
    struct sg_http http;
    struct sg_buf body;
    struct sg_arena arena; /* of the verdict */
    struct sg_verdict verdict;
    bool is_in_band;
};

/* What all PUTs share. */
struct sg_put_context {
    const struct sg_signing_key *key; /* NULL: unsigned */
    const char *fingerprint;          /* of the key */
    const char *server_kind;
    const char *base_url;
    int64_t timeout_ms;
};

enum sg_status sg_put_init(struct sg_put *put, struct sg_place *place);
void sg_put_free(struct sg_put *put);
enum sg_status sg_put_prepare(struct sg_put *put, const struct sg_put_context *context, bool is_in_band);
/* After the exchange: fills put->verdict. False if memory ran out. */
bool sg_put_conclude(struct sg_put *put, const struct sg_put_context *context, CURLcode code, bool has_registered);

/*
 * Posts a message and waits for its reply. SG_SHUTTING_DOWN also if `is_stopped` becomes true (checked every 100 ms). The
 * message is the poster's, or freed.
 */
enum sg_status sg_post_and_wait(const struct sg_poster *poster, struct sg_message *message, const atomic_bool *is_stopped,
                                struct sg_reply *reply);

#endif
