/*
 * The envelope of a streamed answer.
 *
 * The model. An SDK that streams sends status 201 and its headers at once, then a space every few seconds, then one JSON
 * document that holds the real status, headers and body. Opening it gives what an SDK that does not stream would have sent; the
 * rest of the decoding never knows the difference. The inner headers replace the outer ones, which lack all that was not known
 * at the start (reference/01 §8.3).
 *
 * What it never does: believe the inner status to be one that HTTP knows. It is a number; 0 if it is missing.
 */
#include "sdk/envelope.h"

#include <stepgate/json.h>

#include "base/check.h"

static enum sg_status read_members(struct sg_str object, struct sg_arena *arena, struct sg_headers *headers, struct sg_envelope *envelope,
                                   struct sg_error *error);
static enum sg_status headers_merge(struct sg_str object, struct sg_arena *arena, struct sg_headers *headers);

enum sg_status sg_envelope_open(struct sg_str bytes, struct sg_buf *consumed, struct sg_arena *arena, struct sg_headers *headers,
                                struct sg_envelope *envelope, struct sg_error *error)
{
    *envelope = (struct sg_envelope){0};
    const struct sg_json_options options = {.consumed = consumed};
    size_t len = bytes.len;
    struct sg_buf canonical;
    sg_buf_init(&canonical);
    struct sg_error why;
    enum sg_status status = sg_json_canonicalize(bytes, &options, &canonical, &why);
    if (status == SG_OK)
        status = read_members(sg_buf_str(&canonical), arena, headers, envelope, error);
    else if (status != SG_NO_MEMORY)
        status = sg_error_set(error, SG_BAD_RESPONSE, "error parsing stream: %s", why.message);
    sg_buf_free(&canonical);
    if (status != SG_OK)
        sg_envelope_free(envelope);
    if (status == SG_NO_MEMORY)
        sg_error_set(error, SG_NO_MEMORY, "out of memory while reading a streamed answer of %zu bytes", len);
    return status;
}

void sg_envelope_free(struct sg_envelope *envelope)
{
    sg_buf_free(&envelope->text);
    envelope->body = SG_STR_NULL;
}

/* `object` does not outlive this: what stays is copied. */
static enum sg_status read_members(struct sg_str object, struct sg_arena *arena, struct sg_headers *headers, struct sg_envelope *envelope,
                                   struct sg_error *error)
{
    if (sg_json_kind_of(object) != SG_JSON_OBJECT)
        return sg_error_set(error, SG_BAD_RESPONSE, "error parsing stream: expected an object, got %s",
                            sg_json_kind_name(sg_json_kind_of(object)));

    struct sg_str failure = sg_json_get(object, SG_STR("error"));
    if (sg_json_kind_of(failure) != SG_JSON_ABSENT && sg_json_kind_of(failure) != SG_JSON_NULL) {
        struct sg_str words = failure;
        if (sg_json_kind_of(failure) == SG_JSON_STRING && sg_json_to_str(failure, arena, &words) != SG_OK)
            return SG_NO_MEMORY;
        return sg_error_set(error, SG_BAD_RESPONSE, "%.*s", SG_FMT(words));
    }

    sg_json_to_int(sg_json_get(object, SG_STR("status")), &envelope->status);
    if (headers_merge(sg_json_get(object, SG_STR("headers")), arena, headers) != SG_OK)
        return SG_NO_MEMORY;
    struct sg_str body = sg_json_get(object, SG_STR("body"));
    envelope->is_body_absent = body.len == 0 || sg_json_kind_of(body) == SG_JSON_NULL;
    if (!sg_json_append_str(&envelope->text, body))
        sg_buf_append(&envelope->text, body);
    if (envelope->text.is_failed)
        return SG_NO_MEMORY;
    envelope->body = sg_buf_str(&envelope->text);
    return SG_OK;
}

static enum sg_status headers_merge(struct sg_str object, struct sg_arena *arena, struct sg_headers *headers)
{
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str key;
    struct sg_str value;
    while (sg_json_next_member(&iter, &key, &value)) {
        struct sg_str name;
        struct sg_str text;
        if (sg_json_kind_of(value) != SG_JSON_STRING)
            continue;
        if (sg_json_to_str(key, arena, &name) != SG_OK || sg_json_to_str(value, arena, &text) != SG_OK)
            return SG_NO_MEMORY;
        text = sg_arena_copy(arena, text);
        if (text.ptr == NULL)
            return SG_NO_MEMORY;
        sg_headers_set(headers, name, text);
    }
    return SG_OK;
}
