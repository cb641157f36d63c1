/*
 * The request that continues a durable endpoint's run.
 *
 * The model. The run's event is the request that its client made: method, URL, query, content type and body. The same request is made again,
 * to the endpoint itself; headers tell the SDK that it is a continuation, and it fetches what has been done so far.
 *
 * What is signed is what the SDK holds against it: of POST and PUT the value of the body in canonical form, as for any call, of other methods
 * nothing, since it reads no body there. A body that is no JSON cannot be continued by the SDK; it is sent as it is, so that the SDK can say so.
 *
 * What it never does: send the headers of the client. They may hold its secrets, and were not recorded.
 */
#include "sdk/endpoint_call.h"

#include <string.h>

#include <stepgate/json.h>

static enum sg_status no_memory(struct sg_error *error)
{
    return sg_error_set(error, SG_NO_MEMORY, "out of memory for a call to a durable endpoint");
}

/* The text of a member; "" if it is absent. False if memory ran out. */
static bool read_text(struct sg_str data, struct sg_str key, struct sg_arena *arena, struct sg_str *text)
{
    struct sg_str value = sg_json_get(data, key);
    *text = SG_STR("");
    return sg_json_kind_of(value) != SG_JSON_STRING || sg_json_to_str(value, arena, text) == SG_OK;
}

/* The SDK parses the body: a string it checks as it is, anything else in canonical form. */
static enum sg_status signed_text(struct sg_endpoint_request *request, struct sg_arena *arena, struct sg_error *error)
{
    bool is_read = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0;
    request->signed_text = SG_STR("");
    if (!is_read || request->body.len == 0)
        return SG_OK;
    struct sg_str canonical;
    enum sg_status status = sg_json_canonical_keep(request->body, NULL, arena, &canonical, NULL);
    if (status == SG_NO_MEMORY)
        return no_memory(error);
    request->signed_text = status == SG_OK ? canonical : request->body;
    if (status == SG_OK && sg_json_kind_of(canonical) == SG_JSON_STRING && sg_json_to_str(canonical, arena, &request->signed_text) != SG_OK)
        return no_memory(error);
    return SG_OK;
}

enum sg_status sg_endpoint_request_read(struct sg_store_reader *reader, const struct sg_call *call, struct sg_arena *arena,
                                        struct sg_endpoint_request *request, struct sg_error *error)
{
    struct sg_record record;
    struct sg_value key = sg_value_int(call->event_positions[0]);
    struct sg_str domain;
    struct sg_str path;
    struct sg_str query;
    struct sg_str method;

    *request = (struct sg_endpoint_request){.method = ""};
    enum sg_status status = sg_store_get(reader, SG_KIND_EVENT, &key, arena, &record, error);
    if (status == SG_NOT_FOUND)
        return sg_error_set(error, status, "the request that began the run is not in the store any more");
    if (status != SG_OK)
        return status;
    struct sg_str data = sg_json_get(record.values[SG_EVENT_BODY].bytes, SG_STR("data"));
    if (!read_text(data, SG_STR("domain"), arena, &domain) || !read_text(data, SG_STR("path"), arena, &path) ||
        !read_text(data, SG_STR("query_params"), arena, &query) || !read_text(data, SG_STR("method"), arena, &method) ||
        !read_text(data, SG_STR("content_type"), arena, &request->content_type) || !read_text(data, SG_STR("body"), arena, &request->body))
        return no_memory(error);
    method = sg_arena_copy(arena, method);
    request->url = sg_arena_printf(arena, "%.*s%.*s%s%.*s", SG_FMT(domain), SG_FMT(path), query.len > 0 ? "?" : "", SG_FMT(query));
    if (method.ptr == NULL || request->url.ptr == NULL)
        return no_memory(error);
    request->method = method.ptr;
    if (sg_str_eq(method, SG_STR("HEAD")) || sg_str_eq(method, SG_STR("CONNECT")) || sg_str_eq(method, SG_STR("TRACE")))
        return sg_error_set(error, SG_BAD_RESPONSE,
                            "an endpoint that was called with %.*s cannot be called again: nothing could be answered", SG_FMT(method));
    return signed_text(request, arena, error);
}
