/*
 * The request that a durable endpoint is handling, as its SDK describes it: an event, and from it the app and the function (reference/03 §4.4).
 *
 * The model. Nobody registers an endpoint. Its app is the domain that it was called at, its function the method and path, or the name that
 * the user gave it; ids are made of these, so they are the same for ever. The event is kept as it came, since the calls that continue the run
 * are made of it: method, path, query and body (sdk/endpoint_call.c). The body is text as it stands, whatever it looks like: the reference
 * server takes it for base64 and refuses nearly every request.
 *
 * What it never does: read the steps, or look whether the run is known.
 */
#include "server/endpoint_decode.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/url.h"
#include "server/limits.h"
#include "server/run_json.h"

#define REQUEST_VERSION 2 /* of an SDK that names none: those that have durable endpoints speak it (reference/03 §4.4) */

static enum sg_status no_memory(struct sg_error *error)
{
    return sg_error_set(error, SG_NO_MEMORY, "out of memory");
}

/* The text of a string member; "" if it is absent or null. */
static enum sg_status read_text(struct sg_str data, const char *name, size_t bytes_max, struct sg_arena *arena, struct sg_str *text,
                                struct sg_error *error)
{
    struct sg_str value = sg_json_get(data, sg_str_from(name));
    enum sg_json_kind kind = sg_json_kind_of(value);

    *text = SG_STR("");
    if (kind == SG_JSON_ABSENT || kind == SG_JSON_NULL)
        return SG_OK;
    if (kind != SG_JSON_STRING)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"event.data.%s\" must be a string, not %s", name,
                            sg_json_kind_name(kind));
    if (sg_json_to_str(value, arena, text) != SG_OK)
        return no_memory(error);
    if (text->len > bytes_max)
        return sg_error_set(error, SG_TOO_LARGE, "Invalid request body: \"event.data.%s\" has %zu bytes; at most %zu are allowed", name,
                            text->len, bytes_max);
    return SG_OK;
}

/* What the request was, as far as ids and calls need it. */
struct request {
    struct sg_str domain;
    struct sg_str method;
    struct sg_str path;
    struct sg_str name;
};

static bool is_token(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 'A' || text.ptr[i] > 'Z')
            return false;
    return text.len > 0;
}

/* Whether the text may stand in a URL as it is, none of the bytes in `others` in it. */
static bool is_plain(struct sg_str text, const char *others)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f || strchr(others, text.ptr[i]) != NULL)
            return false;
    return true;
}

static bool is_header_value(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return true;
}

/* What only the calls need: looked at now, so that none of them can fail for its form. */
static enum sg_status check_call(struct sg_str data, struct sg_arena *arena, struct sg_error *error)
{
    struct sg_str query, body, content_type;
    enum sg_status status = read_text(data, "query_params", SG_LIMIT_ENDPOINT_PATH_BYTES, arena, &query, error);
    if (status == SG_OK)
        status = read_text(data, "content_type", SG_LIMIT_ENDPOINT_NAME_BYTES, arena, &content_type, error);
    if (status == SG_OK)
        status = read_text(data, "body", SIZE_MAX, arena, &body, error);
    if (status == SG_OK && !is_plain(query, "#"))
        status = sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"event.data.query_params\" must be the query of a URL");
    if (status == SG_OK && !is_header_value(content_type))
        status = sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"event.data.content_type\" must be a media type");
    return status;
}

static enum sg_status read_request(struct sg_str data, struct sg_arena *arena, struct request *request, struct sg_error *error)
{
    struct sg_url url;
    enum sg_status status = read_text(data, "domain", SG_LIMIT_ENDPOINT_DOMAIN_BYTES, arena, &request->domain, error);
    if (status == SG_OK)
        status = read_text(data, "method", SG_LIMIT_ENDPOINT_METHOD_BYTES, arena, &request->method, error);
    if (status == SG_OK)
        status = read_text(data, "path", SG_LIMIT_ENDPOINT_PATH_BYTES, arena, &request->path, error);
    if (status == SG_OK)
        status = read_text(data, "fn", SG_LIMIT_ENDPOINT_NAME_BYTES, arena, &request->name, error);
    if (status != SG_OK)
        return status;
    if (!sg_url_parse(request->domain, &url) || !sg_url_is_http(&url) || url.path.len + url.query.len + url.fragment.len > 0)
        return sg_error_set(error, SG_INVALID_ARGUMENT,
                            "Invalid request body: \"event.data.domain\" must be the origin of a URL, as https://app.example.com");
    if (!is_token(request->method))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"event.data.method\" must be an HTTP method");
    if (!is_plain(request->path, "?#") || (request->path.len > 0 && request->path.ptr[0] != '/'))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"event.data.path\" must be the path of a URL");
    return check_call(data, arena, error);
}

/* ---- ids ---- */

static struct sg_id id_within(struct sg_id scope, struct sg_str name, struct sg_arena *arena)
{
    char *text = sg_arena_alloc(arena, sizeof(scope.bytes) + name.len);
    if (text == NULL)
        return (struct sg_id){{0}};
    memcpy(text, scope.bytes, sizeof(scope.bytes));
    memcpy(text + sizeof(scope.bytes), name.ptr, name.len);
    return sg_uuid5_oid((struct sg_str){text, sizeof(scope.bytes) + name.len});
}

/* A function object as a registration would have it: so listings, retries and versions need no second form. */
static enum sg_status make_function(struct sg_id app_id, struct sg_str slug, struct sg_str url, int64_t retries, struct sg_arena *arena,
                                    struct sg_function_in *function)
{
    struct sg_buf out;

    sg_buf_init(&out);
    sg_buf_append(&out, SG_STR("{\"id\":"));
    sg_json_quote(&out, slug);
    sg_buf_append(&out, SG_STR(",\"name\":"));
    sg_json_quote(&out, slug);
    sg_buf_printf(&out,
                  ",\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"retries\":{\"attempts\":%lld},\"runtime\":{\"type\":\"sync\","
                  "\"url\":",
                  (long long)retries);
    sg_json_quote(&out, url);
    sg_buf_append(&out, SG_STR("}}},\"triggers\":[]}"));
    *function = (struct sg_function_in){.id = id_within(app_id, slug, arena), .slug = slug, .name = slug};
    function->config = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    return function->config.ptr == NULL || sg_id_is_null(function->id) ? SG_NO_MEMORY : SG_OK;
}

static enum sg_status make_functions(const struct request *request, int64_t retries, struct sg_arena *arena, struct sg_http_run_in *run)
{
    struct sg_id environment;
    bool is_uuid = sg_uuid_parse(SG_STR(SG_ENVIRONMENT_ID), &environment);
    assert(is_uuid);
    (void)is_uuid;

    run->domain = request->domain;
    run->app_id = id_within(environment, request->domain, arena);
    struct sg_str slug = request->name;
    struct sg_str url = request->domain; /* one function may be at many paths: the event knows the run's */
    if (slug.len == 0) {
        slug = sg_arena_printf(arena, "%.*s %.*s", SG_FMT(request->method), SG_FMT(request->path));
        url = sg_arena_printf(arena, "%.*s%.*s", SG_FMT(request->domain), SG_FMT(request->path));
    }
    struct sg_str other = sg_arena_printf(arena, "%.*s (other paths)", SG_FMT(request->method));
    if (sg_id_is_null(run->app_id) || slug.ptr == NULL || url.ptr == NULL || other.ptr == NULL)
        return SG_NO_MEMORY;
    enum sg_status status = make_function(run->app_id, slug, url, retries, arena, &run->function);
    if (status == SG_OK)
        status = make_function(run->app_id, other, request->domain, retries, arena, &run->other);
    return status;
}

/* ---- the rest ---- */

static enum sg_status make_event(struct sg_str data, const struct sg_endpoint_source *source, struct sg_arena *arena,
                                 struct sg_event_in *event, struct sg_error *error)
{
    struct sg_buf out;
    char id[SG_ULID_LEN + 1];

    sg_ulid_format(source->event_id, id);
    sg_buf_init(&out);
    sg_buf_append(&out, SG_STR("{\"data\":"));
    sg_buf_append(&out, data);
    sg_buf_printf(&out, ",\"id\":\"%s\",\"name\":\"inngest/http.request\",\"ts\":%lld}", id, (long long)source->now_ms);
    *event = (struct sg_event_in){
        .internal_id = source->event_id, .name = SG_STR("inngest/http.request"), .ts_ms = source->now_ms, .is_id_fresh = true};
    event->body = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    if (event->body.ptr == NULL)
        return no_memory(error);
    if ((int64_t)event->body.len > source->event_bytes_max)
        return sg_error_set(error, SG_TOO_LARGE, "The request has %zu bytes as an event; at most %lld are allowed", event->body.len,
                            (long long)source->event_bytes_max);
    return SG_OK;
}

/* Attempts beyond the first (reference/03 §4.4). */
static enum sg_status read_retries(struct sg_str body, int64_t *retries, struct sg_error *error)
{
    struct sg_str value = sg_json_get(body, SG_STR("retries"));

    *retries = 0;
    if (sg_json_kind_of(value) == SG_JSON_ABSENT || sg_json_kind_of(value) == SG_JSON_NULL)
        return SG_OK;
    if (!sg_json_to_int(value, retries))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"retries\" must be a whole number");
    if (*retries < 0)
        *retries = SG_DEFAULT_RETRIES;
    if (*retries > SG_LIMIT_RETRIES)
        *retries = SG_LIMIT_RETRIES;
    return SG_OK;
}

static struct sg_str sdk_of(struct sg_str header)
{
    struct sg_str prefix = SG_STR("inngest-");
    if (header.len > SG_LIMIT_ENDPOINT_NAME_BYTES)
        return SG_STR("");
    return sg_str_starts_with(header, prefix) ? (struct sg_str){header.ptr + prefix.len, header.len - prefix.len} : header;
}

enum sg_status sg_endpoint_decode(struct sg_str body, const struct sg_endpoint_source *source, struct sg_arena *arena,
                                  struct sg_http_run_in *run, struct sg_error *error)
{
    struct sg_str text;
    struct request request;
    int64_t retries;
    int64_t version = REQUEST_VERSION;

    *run = (struct sg_http_run_in){.request_version = REQUEST_VERSION};
    struct sg_str data = sg_json_get(sg_json_get(body, SG_STR("event")), SG_STR("data"));
    struct sg_str run_id = sg_json_get(body, SG_STR("run_id"));
    if (sg_json_kind_of(body) != SG_JSON_OBJECT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: it must be an object, not %s",
                            sg_json_kind_name(sg_json_kind_of(body)));
    if (sg_json_kind_of(run_id) != SG_JSON_STRING || sg_json_to_str(run_id, arena, &text) != SG_OK || !sg_ulid_parse(text, &run->run_id))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"run_id\" is not a run ID");
    if (sg_json_kind_of(data) != SG_JSON_OBJECT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request body: \"event.data\" must be an object, not %s",
                            sg_json_kind_name(sg_json_kind_of(data)));
    (void)sg_json_to_int(sg_json_get(body, SG_STR("request_version")), &version);
    run->request_version = version < 0 || version > INT8_MAX ? REQUEST_VERSION : (int)version;
    run->sdk = sg_arena_copy(arena, sdk_of(source->sdk));

    enum sg_status status = read_retries(body, &retries, error);
    if (status == SG_OK)
        status = read_request(data, arena, &request, error);
    if (status == SG_OK)
        status = make_event(data, source, arena, &run->event, error);
    if (status != SG_OK)
        return status;
    if (run->sdk.ptr == NULL || make_functions(&request, retries, arena, run) != SG_OK)
        return no_memory(error);
    return SG_OK;
}
