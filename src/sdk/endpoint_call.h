/* The request that continues a durable endpoint's run: the one that began it, again (reference/03 §4.7). */
#ifndef STEPGATE_SDK_ENDPOINT_CALL_H
#define STEPGATE_SDK_ENDPOINT_CALL_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

struct sg_endpoint_request {
    const char *method;
    struct sg_str url;
    struct sg_str content_type; /* empty: there was none */
    struct sg_str body;         /* as it was sent */
    struct sg_str signed_text;  /* what the SDK will hold against the signature */
};

/*
 * Reads the request out of the run's event; everything lies in the arena. SG_NOT_FOUND: the event is not there any more; SG_BAD_RESPONSE: it cannot
 * be repeated; SG_NO_MEMORY and what reading the store may say.
 */
enum sg_status sg_endpoint_request_read(struct sg_store_reader *reader, const struct sg_call *call, struct sg_arena *arena,
                                        struct sg_endpoint_request *request, struct sg_error *error);

#endif
