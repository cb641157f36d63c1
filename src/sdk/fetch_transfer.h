/* One request of a step under way: from its options to the message that says what came of it. The fetcher's thread owns these. */
#ifndef STEPGATE_SDK_FETCH_TRANSFER_H
#define STEPGATE_SDK_FETCH_TRANSFER_H

#include <curl/curl.h>

#include "base/list.h"
#include "sdk/fetch_request.h"

/* What all requests of a fetcher share. */
struct sg_fetch_maker {
    bool allows_private;
    int64_t timeout_ms;
    int64_t connect_timeout_ms;
    size_t response_bytes_max;
    int64_t responses_bytes; /* held by all of them now */
};

struct sg_fetch_transfer {
    uint32_t magic;
    CURL *easy;
    struct sg_fetch_maker *maker;
    struct sg_fetch *fetch; /* owned */
    struct sg_fetch_request request;
    struct sg_arena arena; /* of the request */
    struct curl_slist *header_nodes;
    struct sg_str target; /* of this hop, with a NUL behind it */
    bool is_get;          /* after a 303 */
    bool is_foreign;      /* redirected to another origin: no credentials any more */
    int redirects;
    int64_t started_at_ms; /* monotonic */

    struct sg_buf headers; /* of the answer, as lines */
    struct sg_buf body;
    bool has_status;
    const char *trouble; /* why it was given up while the answer came in; NULL: it was not */

    int sockets;         /* that were let through, since the hop began */
    const char *refusal; /* what an address was that was not */
    char refused_address[64];

    struct sg_list_node in_list;
    struct sg_line *line; /* the fetcher's */
};

/*
 * Takes the request and makes a handle that is ready to go. NULL: it will not go, and is still the caller's; `message` is then what to post, or NULL if
 * memory ran out.
 */
struct sg_fetch_transfer *sg_fetch_transfer_begin(struct sg_fetch_maker *maker, struct sg_fetch *fetch, struct sg_message **message);
/* After the exchange has ended with CURLE_OK: whether it was a redirect, and the handle is ready for the next hop. */
bool sg_fetch_transfer_redirect(struct sg_fetch_transfer *transfer);
/* What came of it; NULL if memory ran out. */
struct sg_message *sg_fetch_transfer_outcome(struct sg_fetch_transfer *transfer, CURLcode code);
/* Not while a multi handle holds it. Frees the request with it, unless it has been taken out (fetch == NULL). */
void sg_fetch_transfer_free(struct sg_fetch_transfer *transfer);

/* The message for a request that was not made; NULL if memory ran out. */
struct sg_message *sg_fetch_message_fail(const struct sg_fetch *fetch, struct sg_str why, bool is_final);

#endif
