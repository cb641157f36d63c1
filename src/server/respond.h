/* Answers: the JSON shapes of the APIs, and how a status becomes one of them. */
#ifndef STEPGATE_SERVER_RESPOND_H
#define STEPGATE_SERVER_RESPOND_H

#include "server/request.h"

/* In which shape a route tells an error (reference/03 §0.6, §1.1). */
enum sg_shape {
    SG_SHAPE_PUBLIC, /* {"code":…,"data":null,"error":…,"status":…} */
    SG_SHAPE_EVENT,  /* {"error":…,"ids":[…],"status":…} */
    SG_SHAPE_TEXT    /* plain text: GET /dev outside of dev, where JSON would tell SDKs that this is a dev server (reference/01 §1.5) */
};

/* An error; `code` may be NULL. Replaces whatever the response held. */
void sg_respond_error(struct sg_request *request, int http_status, const char *code, const char *format, ...) SG_PRINTF(4, 5);
/*
 * The same for a status: HTTP status and code are those of protocol/errors.def; an empty message means its text. Sets
 * Retry-After for 429 and 503.
 */
void sg_respond_status(struct sg_request *request, enum sg_status status, const char *message);
/* An error into a response that is not the request's own. `data` is a JSON value or empty. */
void sg_response_error(struct sg_response *response, enum sg_shape shape, int http_status, const char *code, struct sg_str data,
                       struct sg_str text);

/* 200 with an empty body, and no content type. */
void sg_respond_empty(struct sg_request *request, int http_status);
/* Whatever the handler appends to the returned buffer is the body; JSON unless response.content_type says otherwise. */
struct sg_buf *sg_respond_body(struct sg_request *request, int http_status);

/*
 * The envelope of /v1 (reference/03 §0.7): begin, append the value, end. `cached_ms` > 0 says for how long it may be kept.
 */
struct sg_buf *sg_respond_envelope_begin(struct sg_request *request);
void sg_respond_envelope_end(struct sg_request *request, int64_t cached_ms);
/* The same with further members of `metadata`: a JSON text such as `,"scanned_until":"01J…"`. */
void sg_respond_envelope_end_with(struct sg_request *request, int64_t cached_ms, struct sg_str metadata);

/* Small pieces of JSON. Keys are plain text that needs no escapes. */
void sg_json_member_str(struct sg_buf *out, const char *key, struct sg_str text); /* "key":"text" */
void sg_json_member_ulid(struct sg_buf *out, const char *key, struct sg_id id);
void sg_json_member_uuid(struct sg_buf *out, const char *key, struct sg_id id);
void sg_json_member_int(struct sg_buf *out, const char *key, int64_t number);
void sg_json_member_time(struct sg_buf *out, const char *key, int64_t unix_ms);   /* RFC 3339 */
void sg_json_member_moment(struct sg_buf *out, const char *key, int64_t unix_ms); /* null for 0: not yet */
void sg_json_member_raw(struct sg_buf *out, const char *key, struct sg_str json); /* null if empty */

#endif
