/*
 * The options of a step's request.
 *
 * The model. An op's options (reference/02 §10.1, §10.2) become method, URL, header lines and body. What the options say is sent as it is: a text body
 * byte for byte, without the quotes that the reference puts around it (quirk 8), and without a content type that nobody asked for. Headers of an AI
 * call are added to the gateway's own; `auth_key` goes where the provider's format wants it.
 *
 * Headers that belong to the connection, or say how long the body is, are the gateway's business and dropped. Everything that could break out of its
 * line is refused.
 *
 * What it never does: put a value of the options into an error, since any of them may be a secret.
 */
#include "sdk/fetch_request.h"

#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/url.h"

static enum sg_status no_memory(struct sg_error *error)
{
    return sg_error_set(error, SG_NO_MEMORY, "out of memory while reading a request");
}

bool sg_fetch_is_token(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool is_alnum = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        if (!is_alnum && (byte == '\0' || strchr("!#$%&'*+-.^_`|~", byte) == NULL))
            return false;
    }
    return text.len > 0;
}

static bool is_field_value(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return false;
    }
    return true;
}

static bool is_one_of(struct sg_str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sg_str_eq_nocase(name, sg_str_from(names[i])))
            return true;
    return false;
}

/* Of the connection, or of the body's length. */
static bool is_ours(struct sg_str name)
{
    static const char *const names[] = {"host", "content-length",   "transfer-encoding", "connection", "keep-alive",
                                        "te",   "proxy-connection", "trailer",           "upgrade",    "expect"};
    return is_one_of(name, names, SG_ARRAY_LEN(names));
}

static bool is_credential(struct sg_str name)
{
    static const char *const names[] = {"authorization", "proxy-authorization", "cookie",       "x-api-key",
                                        "api-key",       "x-goog-api-key",      "x-auth-token", "x-amz-security-token"};
    return is_one_of(name, names, SG_ARRAY_LEN(names));
}

/* ---- headers ---- */

static enum sg_status header_add(struct sg_fetch_request *request, struct sg_str name, struct sg_str value, struct sg_arena *arena,
                                 struct sg_error *error)
{
    value = sg_str_trim(value);
    if (!sg_fetch_is_token(name))
        return sg_error_set(error, SG_INVALID_ARGUMENT,
                            "the name of a header is empty or holds a character that no header's name may hold");
    if (!is_field_value(value))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "the value of a header holds a line break or another control character");
    if (is_ours(name))
        return SG_OK;
    if (request->header_count == SG_FETCH_HEADERS_MAX)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "it has more than %d headers", SG_FETCH_HEADERS_MAX);
    struct sg_str line =
        value.len > 0 ? sg_arena_printf(arena, "%.*s: %.*s", SG_FMT(name), SG_FMT(value)) : sg_arena_printf(arena, "%.*s;", SG_FMT(name));
    if (line.ptr == NULL)
        return no_memory(error);
    request->headers[request->header_count++] = (struct sg_fetch_header){.line = line, .is_credential = is_credential(name)};
    return SG_OK;
}

/* One header of the options: a text, a number or a boolean, or several in an array. */
static enum sg_status header_read(struct sg_fetch_request *request, struct sg_str name, struct sg_str value, struct sg_arena *arena,
                                  struct sg_error *error)
{
    struct sg_str text = value;
    enum sg_status status = SG_OK;
    switch (sg_json_kind_of(value)) {
    case SG_JSON_STRING:
        if (sg_json_to_str(value, arena, &text) != SG_OK)
            return no_memory(error);
        return header_add(request, name, text, arena, error);
    case SG_JSON_NUMBER:
    case SG_JSON_BOOL:
        return header_add(request, name, text, arena, error);
    case SG_JSON_ARRAY: {
        struct sg_json_iter iter = sg_json_iter(value);
        struct sg_str element;
        while (status == SG_OK && sg_json_next_element(&iter, &element)) {
            enum sg_json_kind kind = sg_json_kind_of(element);
            if (kind == SG_JSON_ARRAY || kind == SG_JSON_OBJECT)
                return sg_error_set(error, SG_INVALID_ARGUMENT, "the value of a header is %s", "an array of arrays or objects");
            status = header_read(request, name, element, arena, error);
        }
        return status;
    }
    case SG_JSON_NULL:
    case SG_JSON_ABSENT:
        return SG_OK;
    case SG_JSON_OBJECT:
        break;
    }
    return sg_error_set(error, SG_INVALID_ARGUMENT, "the value of a header is %s", "an object");
}

static enum sg_status headers_read(struct sg_fetch_request *request, struct sg_str headers, struct sg_arena *arena, struct sg_error *error)
{
    enum sg_json_kind kind = sg_json_kind_of(headers);
    if (kind == SG_JSON_ABSENT || kind == SG_JSON_NULL)
        return SG_OK;
    if (kind != SG_JSON_OBJECT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "its `headers` must be an object, got %s", sg_json_kind_name(kind));
    struct sg_json_iter iter = sg_json_iter(headers);
    struct sg_str key;
    struct sg_str value;
    enum sg_status status = SG_OK;
    while (status == SG_OK && sg_json_next_member(&iter, &key, &value)) {
        struct sg_str name;
        if (sg_json_to_str(key, arena, &name) != SG_OK)
            return no_memory(error);
        if (request->code == SG_OP_AI_GATEWAY && sg_str_eq_nocase(name, SG_STR("user-agent")))
            continue; /* one program, one name; others are added to ours */
        status = header_read(request, name, value, arena, error);
    }
    return status;
}

bool sg_fetch_request_has_header(const struct sg_fetch_request *request, struct sg_str name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        struct sg_str line = request->headers[i].line;
        if (line.len > name.len && sg_str_eq_nocase((struct sg_str){line.ptr, name.len}, name) &&
            (line.ptr[name.len] == ':' || line.ptr[name.len] == ';'))
            return true;
    }
    return false;
}

/* ---- URLs ---- */

struct sg_str sg_fetch_place(struct sg_str url, struct sg_arena *arena)
{
    struct sg_url parts;
    if (!sg_url_parse(url, &parts))
        return SG_STR("this URL");
    if (parts.port.len == 0)
        return sg_arena_copy(arena, parts.host);
    return sg_arena_printf(arena, "%.*s:%.*s", SG_FMT(parts.host), SG_FMT(parts.port));
}

static struct sg_str port_of(const struct sg_url *url)
{
    if (url->port.len > 0)
        return url->port;
    return sg_str_eq_nocase(url->scheme, SG_STR("https")) ? SG_STR("443") : SG_STR("80");
}

bool sg_fetch_is_same_origin(struct sg_str a, struct sg_str b)
{
    struct sg_url left;
    struct sg_url right;
    return sg_url_parse(a, &left) && sg_url_parse(b, &right) && sg_str_eq_nocase(left.scheme, right.scheme) &&
           sg_str_eq_nocase(left.host, right.host) && sg_str_eq(port_of(&left), port_of(&right));
}

/* `url` with the parameter key=<secret>; a fragment, which is never sent, goes. */
static struct sg_str with_key(struct sg_str url, struct sg_str secret, struct sg_arena *arena)
{
    struct sg_buf out;
    sg_buf_init(&out);
    ptrdiff_t hash = sg_str_index(url, '#');
    struct sg_str front = {url.ptr, hash < 0 ? url.len : (size_t)hash};
    sg_buf_append(&out, front);
    sg_buf_append(&out, sg_str_index(front, '?') < 0 ? SG_STR("?key=") : SG_STR("&key="));
    for (size_t i = 0; i < secret.len; i++) {
        unsigned char byte = (unsigned char)secret.ptr[i];
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
                        byte == '_' || byte == '.' || byte == '~';
        if (is_plain)
            sg_buf_byte(&out, (char)byte);
        else
            sg_buf_printf(&out, "%%%02X", byte);
    }
    struct sg_str copy = out.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&out));
    sg_buf_free(&out);
    return copy;
}

static enum sg_status url_read(struct sg_fetch_request *request, struct sg_str value, struct sg_arena *arena, struct sg_error *error)
{
    struct sg_url parts;
    if (sg_json_kind_of(value) != SG_JSON_STRING)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "it has no `url`");
    struct sg_str url;
    if (sg_json_to_str(value, arena, &url) != SG_OK)
        return no_memory(error);
    if (url.len > SG_LIMIT_URL_BYTES)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "its `url` has more than %d bytes", SG_LIMIT_URL_BYTES);
    if (!sg_url_parse(url, &parts) || !sg_url_is_http(&parts))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "its `url` is not an absolute http or https URL");
    request->url = url;
    request->target = sg_arena_copy(arena, url);
    return request->target.ptr != NULL ? SG_OK : no_memory(error);
}

/* ---- the two kinds ---- */

static enum sg_status auth_add(struct sg_fetch_request *request, struct sg_str format, struct sg_arena *arena, struct sg_error *error)
{
    struct sg_str secret = request->secret;
    if (secret.len == 0)
        return SG_OK;
    if (!is_field_value(secret))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "its `auth_key` holds a control character");
    if (sg_str_eq(format, SG_STR("gemini"))) {
        request->target = with_key(request->url, secret, arena);
        return request->target.ptr != NULL ? SG_OK : no_memory(error);
    }
    if (sg_str_eq(format, SG_STR("anthropic")))
        return header_add(request, SG_STR("x-api-key"), secret, arena, error);
    if (sg_str_eq(format, SG_STR("bedrock")))
        return header_add(request, SG_STR("Authorization"), secret, arena, error);
    struct sg_str bearer = sg_arena_printf(arena, "Bearer %.*s", SG_FMT(secret));
    return bearer.ptr != NULL ? header_add(request, SG_STR("Authorization"), bearer, arena, error) : no_memory(error);
}

static enum sg_status ai_read(struct sg_str opts, struct sg_arena *arena, struct sg_fetch_request *request, struct sg_error *error)
{
    struct sg_str format = SG_STR_NULL;
    struct sg_str value = sg_json_get(opts, SG_STR("format"));
    if (sg_json_kind_of(value) == SG_JSON_STRING && sg_json_to_str(value, arena, &format) != SG_OK)
        return no_memory(error);
    value = sg_json_get(opts, SG_STR("auth_key"));
    if (sg_json_kind_of(value) == SG_JSON_STRING && sg_json_to_str(value, arena, &request->secret) != SG_OK)
        return no_memory(error);
    request->method = SG_STR("POST");
    struct sg_str body = sg_json_get(opts, SG_STR("body"));
    request->body = body.len > 0 ? body : SG_STR("null");
    enum sg_status status = header_add(request, SG_STR("Content-Type"), SG_STR("application/json"), arena, error);
    if (status == SG_OK)
        status = header_add(request, SG_STR("User-Agent"), SG_STR("Inngest"), arena, error);
    return status == SG_OK ? auth_add(request, format, arena, error) : status;
}

static enum sg_status method_read(struct sg_fetch_request *request, struct sg_str value, struct sg_arena *arena, struct sg_error *error)
{
    static const char *const forbidden[] = {"CONNECT", "TRACE", "TRACK"}; /* as for every fetch */
    struct sg_str method = SG_STR_NULL;
    enum sg_json_kind kind = sg_json_kind_of(value);
    if (kind == SG_JSON_STRING && sg_json_to_str(value, arena, &method) != SG_OK)
        return no_memory(error);
    if (kind != SG_JSON_STRING && kind != SG_JSON_ABSENT && kind != SG_JSON_NULL)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "its `method` must be a string, got %s", sg_json_kind_name(kind));
    request->method = sg_arena_copy(arena, method.len > 0 ? method : SG_STR("POST")); /* what the reference assumes; SDKs always say it */
    if (request->method.ptr == NULL)
        return no_memory(error);
    if (!sg_fetch_is_token(request->method) || is_one_of(request->method, forbidden, SG_ARRAY_LEN(forbidden)))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "its `method` is none that may be used");
    return SG_OK;
}

static enum sg_status plain_read(struct sg_str opts, struct sg_arena *arena, struct sg_fetch_request *request, struct sg_error *error)
{
    enum sg_status status = method_read(request, sg_json_get(opts, SG_STR("method")), arena, error);
    if (status != SG_OK)
        return status;
    struct sg_str body = sg_json_get(opts, SG_STR("body"));
    switch (sg_json_kind_of(body)) {
    case SG_JSON_ABSENT:
    case SG_JSON_NULL:
        break;
    case SG_JSON_STRING:
        if (sg_json_to_str(body, arena, &request->body) != SG_OK)
            return no_memory(error);
        break;
    default:
        request->body = body;
    }
    return SG_OK;
}

enum sg_status sg_fetch_request_read(enum sg_opcode code, struct sg_str opts, struct sg_arena *arena, struct sg_fetch_request *request,
                                     struct sg_error *error)
{
    assert(sg_opcode_is_fetch(code));
    *request = (struct sg_fetch_request){.code = code};
    if (sg_json_kind_of(opts) != SG_JSON_OBJECT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "it has no options");
    request->headers = sg_arena_alloc(arena, SG_FETCH_HEADERS_MAX * sizeof(*request->headers));
    if (request->headers == NULL)
        return no_memory(error);
    enum sg_status status = url_read(request, sg_json_get(opts, SG_STR("url")), arena, error);
    if (status == SG_OK)
        status = code == SG_OP_AI_GATEWAY ? ai_read(opts, arena, request, error) : plain_read(opts, arena, request, error);
    if (status == SG_OK)
        status = headers_read(request, sg_json_get(opts, SG_STR("headers")), arena, error);
    if (status == SG_OK && !sg_fetch_request_has_header(request, SG_STR("User-Agent")))
        status = header_add(request, SG_STR("User-Agent"), SG_STR("Inngest"), arena, error);
    return status;
}
