/*
 * What came of a step's request.
 *
 * The model. For step.fetch the answer becomes an object that the SDK makes a `Response` of: url, headers (canonical names, several values of one joined
 * with a comma), body as text, status_code. A `Response` cannot be made of everything, so three things are left out (reference/02 §10.2): the body
 * where the status allows none, headers that describe the bytes on the wire and not the text that is passed on, and statuses outside 200 to 599.
 *
 * For an AI call the provider's JSON is the result; what is no JSON becomes a string. A status above 299 is an error that carries what the provider said,
 * as JSON for code and as text for people, cut to what an error may hold. If the provider repeats the key that it was given, the key is taken out.
 */
#include "sdk/fetch_result.h"

#include <stdlib.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"

/* What a provider says about an error is a sentence or two; larger bodies are cut, as text. */
#define ERROR_BODY_BYTES_MAX (64 * 1024)
/* Shorter ones would take ordinary words out of a text, and are no secrets. */
#define SECRET_BYTES_MIN 6

struct header {
    struct sg_str name; /* canonical */
    struct sg_str value;
    size_t order;
};

/* ---- headers ---- */

static bool is_passed_on(struct sg_str name)
{
    static const char *const names[] = {"content-encoding", "content-length",   "transfer-encoding",  "connection",
                                        "keep-alive",       "proxy-connection", "proxy-authenticate", "te",
                                        "trailer",          "upgrade"};
    for (size_t i = 0; i < SG_ARRAY_LEN(names); i++)
        if (sg_str_eq_nocase(name, sg_str_from(names[i])))
            return false;
    return sg_fetch_is_token(name); /* others are no headers, and might be equal as JSON */
}

/* "content-TYPE" to "Content-Type". */
static struct sg_str canonical_name(struct sg_str name, struct sg_arena *arena)
{
    struct sg_str copy = sg_arena_copy(arena, name);
    if (copy.ptr == NULL)
        return copy;
    char *text = (char *)(uintptr_t)copy.ptr;
    bool is_first = true;
    for (size_t i = 0; i < copy.len; i++) {
        if (is_first && text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
        else if (!is_first && text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
        is_first = text[i] == '-';
    }
    return copy;
}

static int header_cmp(const void *left, const void *right)
{
    const struct header *a = left;
    const struct header *b = right;
    int order = sg_json_key_cmp(a->name, b->name);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static struct sg_str line_next(struct sg_str *rest)
{
    ptrdiff_t end = sg_str_index(*rest, '\n');
    size_t len = end < 0 ? rest->len : (size_t)end;
    struct sg_str line = {rest->ptr, len};
    size_t taken = end < 0 ? len : len + 1;
    rest->ptr += taken;
    rest->len -= taken;
    return line;
}

static enum sg_status headers_collect(struct sg_str lines, struct sg_arena *arena, struct header **headers, size_t *count)
{
    size_t most = 1;
    for (size_t i = 0; i < lines.len; i++)
        most += lines.ptr[i] == '\n';
    *headers = sg_arena_alloc(arena, most * sizeof(**headers));
    if (*headers == NULL)
        return SG_NO_MEMORY;
    *count = 0;
    while (lines.len > 0) {
        struct sg_str line = line_next(&lines);
        ptrdiff_t colon = sg_str_index(line, ':');
        if (colon <= 0)
            continue;
        struct sg_str name = sg_str_trim((struct sg_str){line.ptr, (size_t)colon});
        if (!is_passed_on(name))
            continue;
        struct header *header = &(*headers)[*count];
        header->name = canonical_name(name, arena);
        header->value = sg_str_trim((struct sg_str){line.ptr + colon + 1, line.len - (size_t)colon - 1});
        header->order = *count;
        if (header->name.ptr == NULL)
            return SG_NO_MEMORY;
        ++*count;
    }
    qsort(*headers, *count, sizeof(**headers), header_cmp);
    return SG_OK;
}

static void headers_write(struct sg_buf *out, const struct header *headers, size_t count)
{
    sg_buf_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        bool is_same = i > 0 && sg_str_eq(headers[i].name, headers[i - 1].name);
        if (!is_same) {
            sg_buf_append(out, i > 0 ? SG_STR("\",") : SG_STR_NULL);
            sg_json_quote(out, headers[i].name);
            sg_buf_append(out, SG_STR(":\""));
        } else {
            sg_buf_byte(out, ',');
        }
        sg_json_escape(out, headers[i].value);
    }
    sg_buf_append(out, count > 0 ? SG_STR("\"}") : SG_STR("}"));
}

/* ---- step.fetch ---- */

static int status_for_response(int status)
{
    return status < 200 ? 200 : status > 599 ? 599 : status;
}

static enum sg_status plain_result(const struct sg_fetch_response *response, struct sg_arena *arena, struct sg_str *data)
{
    struct header *headers;
    size_t count;
    enum sg_status status = headers_collect(response->headers, arena, &headers, &count);
    if (status != SG_OK)
        return status;
    struct sg_buf out;
    sg_buf_init(&out);
    sg_buf_byte(&out, '{');
    if (response->status != 204 && response->status != 205 && response->status != 304) {
        sg_buf_append(&out, SG_STR("\"body\":"));
        sg_json_quote(&out, response->body);
        sg_buf_byte(&out, ',');
    }
    if (count > 0) {
        sg_buf_append(&out, SG_STR("\"headers\":"));
        headers_write(&out, headers, count);
        sg_buf_byte(&out, ',');
    }
    sg_buf_printf(&out, "\"status_code\":%d", status_for_response(response->status));
    if (response->url.len > 0) {
        sg_buf_append(&out, SG_STR(",\"url\":"));
        sg_json_quote(&out, response->url);
    }
    sg_buf_byte(&out, '}');
    *data = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    return data->ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

/* ---- step.ai.infer ---- */

/* The body as JSON: itself if it is some, else as a string. */
static enum sg_status body_to_json(struct sg_str body, struct sg_buf *out)
{
    if (body.len > 0) {
        enum sg_status status = sg_json_canonicalize(body, NULL, out, NULL);
        if (status == SG_OK || status == SG_NO_MEMORY)
            return status;
    }
    sg_json_quote(out, body);
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}

/* A text without the secret in it. */
static struct sg_str without(struct sg_str text, struct sg_str secret, struct sg_arena *arena)
{
    if (secret.len < SECRET_BYTES_MIN)
        return text;
    const char *hit = text.len > 0 ? memmem(text.ptr, text.len, secret.ptr, secret.len) : NULL;
    if (hit == NULL)
        return text;
    struct sg_buf out;
    sg_buf_init(&out);
    while (hit != NULL) {
        size_t before = (size_t)(hit - text.ptr);
        sg_buf_append(&out, (struct sg_str){text.ptr, before});
        sg_buf_append(&out, SG_STR("***"));
        text.ptr += before + secret.len;
        text.len -= before + secret.len;
        hit = text.len > 0 ? memmem(text.ptr, text.len, secret.ptr, secret.len) : NULL;
    }
    sg_buf_append(&out, text);
    struct sg_str copy = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    return copy;
}

static enum sg_status ai_error(struct sg_str why, struct sg_str body, struct sg_arena *arena, struct sg_str *error)
{
    struct sg_buf out;
    sg_buf_init(&out);
    sg_buf_append(&out, SG_STR("{\"data\":"));
    enum sg_status status = SG_OK;
    if (body.len <= ERROR_BODY_BYTES_MAX)
        status = body_to_json(body, &out);
    else
        sg_json_quote(&out, sg_str_cut(body, ERROR_BODY_BYTES_MAX));
    sg_buf_append(&out, SG_STR(",\"message\":\"Error making AI request: "));
    sg_json_escape(&out, why);
    sg_buf_append(&out, SG_STR("\",\"name\":\"AIGatewayError\",\"stack\":"));
    sg_json_quote(&out, sg_str_cut(body, SG_LIMIT_ERROR_STACK_BYTES));
    sg_buf_byte(&out, '}');
    if (status == SG_OK)
        *error = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    return status == SG_OK && error->ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

static enum sg_status ai_result(const struct sg_fetch_request *request, const struct sg_fetch_response *response, struct sg_arena *arena,
                                struct sg_str *data, struct sg_str *error)
{
    if (response->status > 299) {
        struct sg_str why = sg_arena_printf(arena, "unsuccessful status code: %d", response->status);
        struct sg_str body = without(sg_str_cut(response->body, 2 * ERROR_BODY_BYTES_MAX), request->secret, arena);
        if (why.ptr == NULL || (body.ptr == NULL && response->body.len > 0))
            return SG_NO_MEMORY;
        return ai_error(why, body, arena, error);
    }
    struct sg_buf out;
    sg_buf_init(&out);
    enum sg_status status = body_to_json(response->body, &out);
    if (status == SG_OK)
        *data = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    return status == SG_OK && data->ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

enum sg_status sg_fetch_result(const struct sg_fetch_request *request, const struct sg_fetch_response *response, struct sg_arena *arena,
                               struct sg_str *data, struct sg_str *error)
{
    *data = SG_STR_NULL;
    *error = SG_STR_NULL;
    return request->code == SG_OP_AI_GATEWAY ? ai_result(request, response, arena, data, error) : plain_result(response, arena, data);
}

enum sg_status sg_fetch_failure(enum sg_opcode code, struct sg_str why, struct sg_arena *arena, struct sg_str *error)
{
    if (code == SG_OP_AI_GATEWAY)
        return ai_error(why, SG_STR("{\"error\":\"Error making AI request\"}"), arena, error);
    struct sg_buf out;
    sg_buf_init(&out);
    sg_buf_append(&out, SG_STR("{\"message\":\"Error making gateway request: "));
    sg_json_escape(&out, why);
    sg_buf_append(&out, SG_STR("\",\"name\":\"GatewayError\"}"));
    *error = sg_arena_adopt(arena, &out);
    sg_buf_free(&out);
    return error->ptr != NULL ? SG_OK : SG_NO_MEMORY;
}
