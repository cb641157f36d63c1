/*
 * Answers.
 *
 * The model. An answer is built in request->response and sent by server.c. Errors have one shape a family of routes:
 * the event API lists ids beside the error, because SDKs read them; everything else has the public error with `error`
 * and `status`, which SDKs check the type of, so every error of ours has both (reference/03 §0.6, reference/01 §4.7).
 * Members are in canonical order.
 *
 * Memory may run out while an answer is built: the buffer remembers, and server.c then sends a fixed 503 instead.
 */
#include "server/respond.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "base/duration.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/router.h"

static enum sg_shape shape_of(const struct sg_request *request)
{
    return request->route != NULL ? request->route->shape : sg_router_shape(request->path);
}

void sg_response_error(struct sg_response *response, enum sg_shape shape, int http_status, const char *code, struct sg_str data,
                       struct sg_str text)
{
    struct sg_buf *out = &response->body;

    sg_buf_clear(out);
    response->status = http_status;
    response->cache_control = NULL;
    response->content_type = NULL;
    if (http_status == 429 || http_status == 503)
        response->retry_after_s = SG_RETRY_AFTER_S;
    switch (shape) {
    case SG_SHAPE_TEXT:
        response->content_type = "text/plain; charset=utf-8";
        sg_buf_append(out, text);
        break;
    case SG_SHAPE_EVENT:
        sg_buf_append(out, SG_STR("{\"error\":"));
        sg_json_quote(out, text);
        sg_buf_append(out, data.len > 0 ? SG_STR(",") : SG_STR(",\"ids\":[]"));
        sg_buf_append(out, data); /* here: other members, "ids" among them */
        sg_buf_printf(out, ",\"status\":%d}", http_status);
        break;
    case SG_SHAPE_PUBLIC:
        sg_buf_byte(out, '{');
        if (code != NULL) {
            sg_json_member_str(out, "code", sg_str_from(code));
            sg_buf_byte(out, ',');
        }
        sg_json_member_raw(out, "data", data);
        sg_buf_append(out, SG_STR(",\"error\":"));
        sg_json_quote(out, text);
        sg_buf_printf(out, ",\"status\":%d}", http_status);
        break;
    }
    sg_buf_byte(out, '\n');
}

void sg_respond_error(struct sg_request *request, int http_status, const char *code, const char *format, ...)
{
    char text[1024];
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof(text))
        len = (int)sizeof(text) - 1;
    sg_response_error(&request->response, shape_of(request), http_status, code, SG_STR_NULL, (struct sg_str){text, (size_t)len});
}

void sg_respond_status(struct sg_request *request, enum sg_status status, const char *message)
{
    const char *text = message != NULL && message[0] != '\0' ? message : sg_status_text(status);

    sg_response_error(&request->response, shape_of(request), sg_status_http(status), sg_status_code(status), SG_STR_NULL,
                      sg_str_from(text));
}

void sg_respond_empty(struct sg_request *request, int http_status)
{
    sg_buf_clear(&request->response.body);
    request->response.status = http_status;
}

struct sg_buf *sg_respond_body(struct sg_request *request, int http_status)
{
    sg_buf_clear(&request->response.body);
    request->response.status = http_status;
    return &request->response.body;
}

struct sg_buf *sg_respond_envelope_begin(struct sg_request *request)
{
    struct sg_buf *out = sg_respond_body(request, 200);

    sg_buf_append(out, SG_STR("{\"data\":"));
    return out;
}

void sg_respond_envelope_end(struct sg_request *request, int64_t cached_ms)
{
    sg_respond_envelope_end_with(request, cached_ms, SG_STR_NULL);
}

void sg_respond_envelope_end_with(struct sg_request *request, int64_t cached_ms, struct sg_str metadata)
{
    struct sg_buf *out = &request->response.body;
    int64_t now_ms = sg_server_wall_ms();

    sg_buf_append(out, SG_STR(",\"metadata\":{"));
    if (cached_ms > 0) {
        sg_json_member_time(out, "cached_until", now_ms + cached_ms);
        sg_buf_byte(out, ',');
        switch (cached_ms) {
        case 3000:
            request->response.cache_control = "private, max-age=3";
            break;
        case 5000:
            request->response.cache_control = "private, max-age=5";
            break;
        default:
            request->response.cache_control = "private, max-age=15";
            break;
        }
    }
    sg_json_member_time(out, "fetched_at", now_ms);
    sg_buf_append(out, metadata);
    sg_buf_append(out, SG_STR("}}\n"));
}

/* ---- pieces ---- */

static void member(struct sg_buf *out, const char *key)
{
    sg_buf_byte(out, '"');
    sg_buf_append(out, sg_str_from(key));
    sg_buf_append(out, SG_STR("\":"));
}

void sg_json_member_str(struct sg_buf *out, const char *key, struct sg_str text)
{
    member(out, key);
    sg_json_quote(out, text);
}

void sg_json_member_ulid(struct sg_buf *out, const char *key, struct sg_id id)
{
    char text[SG_ULID_LEN + 1];

    sg_ulid_format(id, text);
    sg_json_member_str(out, key, (struct sg_str){text, SG_ULID_LEN});
}

void sg_json_member_uuid(struct sg_buf *out, const char *key, struct sg_id id)
{
    char text[SG_UUID_LEN + 1];

    sg_uuid_format(id, text);
    sg_json_member_str(out, key, (struct sg_str){text, SG_UUID_LEN});
}

void sg_json_member_int(struct sg_buf *out, const char *key, int64_t number)
{
    member(out, key);
    sg_buf_int(out, number);
}

void sg_json_member_time(struct sg_buf *out, const char *key, int64_t unix_ms)
{
    char text[SG_RFC3339_MAX];
    size_t len = sg_rfc3339_format_trimmed(unix_ms, text);

    sg_json_member_str(out, key, (struct sg_str){text, len});
}

void sg_json_member_moment(struct sg_buf *out, const char *key, int64_t unix_ms)
{
    if (unix_ms > 0)
        sg_json_member_time(out, key, unix_ms);
    else
        sg_json_member_raw(out, key, SG_STR_NULL);
}

void sg_json_member_raw(struct sg_buf *out, const char *key, struct sg_str json)
{
    member(out, key);
    sg_buf_append(out, json.len > 0 ? json : SG_STR("null"));
}
