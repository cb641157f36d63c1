/* The options of a step's request (reference/02 §10), read: what goes over the wire. Pure: bytes in, struct out. */
#ifndef STEPGATE_SDK_FETCH_REQUEST_H
#define STEPGATE_SDK_FETCH_REQUEST_H

#include <stepgate/engine.h>

#define SG_FETCH_HEADERS_MAX 256 /* ours: of one request */

struct sg_fetch_header {
    struct sg_str line; /* "Name: value", or "Name;" for an empty value, as libcurl takes them; with a NUL behind it */
    bool is_credential; /* not for another origin that the answer redirects to */
};

/* All texts lie in the arena or in the options. */
struct sg_fetch_request {
    enum sg_opcode code;
    struct sg_str method; /* with a NUL behind it */
    struct sg_str url;    /* as it was given */
    struct sg_str target; /* the same with what the format adds; with a NUL behind it */
    struct sg_str body;   /* NULL bytes: none */
    struct sg_str secret; /* auth_key; empty: none */
    struct sg_fetch_header *headers;
    size_t header_count;
};

/*
 * Reads the options of a Gateway or AIGateway op. SG_INVALID_ARGUMENT: they make no request; the message says what is wrong and holds nothing of their
 * values. SG_NO_MEMORY.
 */
enum sg_status sg_fetch_request_read(enum sg_opcode code, struct sg_str opts, struct sg_arena *arena, struct sg_fetch_request *request,
                                     struct sg_error *error);

/* Whether HTTP lets a method or a header's name be so. */
bool sg_fetch_is_token(struct sg_str text);
/* The host and port of a URL, for people: without path, query and user. "this URL" if it is none. */
struct sg_str sg_fetch_place(struct sg_str url, struct sg_arena *arena);
/* Whether two URLs have the same scheme, host and port. */
bool sg_fetch_is_same_origin(struct sg_str a, struct sg_str b);

/* Whether one of the header lines has this name. */
bool sg_fetch_request_has_header(const struct sg_fetch_request *request, struct sg_str name);

#endif
