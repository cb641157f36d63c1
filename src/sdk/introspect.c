/*
 * Asking an app about itself.
 *
 * The model. GET on the app's URL is answered in a short form by anybody's asking and in a long form if the signature is
 * accepted (reference/01 §6.1). Either tells the mode the app believes to be in, which is what people get wrong most; the long
 * form tells whose key it has.
 *
 * What it never does: change anything on either side.
 */
#include "sdk/introspect.h"

#include <string.h>

#include <stepgate/json.h>

#include "base/duration.h"
#include "sdk/exchange.h"

#define INTROSPECT_TIMEOUT_MS 5000
#define INTROSPECT_RESPONSE_BYTES (1024 * 1024)

static bool read_text(struct sg_str object, const char *key, struct sg_arena *arena, struct sg_str *text)
{
    struct sg_str value = sg_json_get(object, sg_str_from(key));
    *text = SG_STR("");
    return sg_json_kind_of(value) != SG_JSON_STRING || sg_json_to_str(value, arena, text) != SG_NO_MEMORY;
}

static bool read_claim(struct sg_str object, const char *key)
{
    bool claim = false;
    return sg_json_to_bool(sg_json_get(object, sg_str_from(key)), &claim) && claim;
}

enum sg_status sg_introspection_read(int http_status, struct sg_str body, struct sg_arena *arena, struct sg_introspection *out)
{
    *out = (struct sg_introspection){.http_status = http_status, .function_count = -1};
    struct sg_buf canonical;
    sg_buf_init(&canonical);
    enum sg_status status = sg_json_canonicalize(body, NULL, &canonical, NULL);
    struct sg_str object = status == SG_OK ? sg_arena_copy(arena, sg_buf_str(&canonical)) : SG_STR("");
    sg_buf_free(&canonical);
    if (status == SG_NO_MEMORY || object.ptr == NULL)
        return SG_NO_MEMORY;

    struct sg_str mode;
    if (!read_text(object, "mode", arena, &mode) || !read_text(object, "app_id", arena, &out->app_id) ||
        !read_text(object, "signing_key_hash", arena, &out->signing_key_hash))
        return SG_NO_MEMORY;
    out->has_mode = sg_str_eq(mode, SG_STR("dev")) || sg_str_eq(mode, SG_STR("cloud"));
    out->is_mode_cloud = sg_str_eq(mode, SG_STR("cloud"));
    out->is_authenticated = read_claim(object, "authentication_succeeded");
    out->has_signing_key = read_claim(object, "has_signing_key") || read_claim(object, "hasSigningKey");
    out->has_event_key = read_claim(object, "has_event_key") || read_claim(object, "hasEventKey");
    if (!sg_json_to_int(sg_json_get(object, SG_STR("function_count")), &out->function_count))
        sg_json_to_int(sg_json_get(object, SG_STR("functionsFound")), &out->function_count); /* v2 */
    return SG_OK;
}

/* One sentence about what is wrong, if anything is. */
static enum sg_status comment(struct sg_introspection *out, const struct sg_introspect_options *options, struct sg_arena *arena)
{
    bool is_dev = strcmp(options->server_kind, "dev") == 0;
    const char *text = "";
    /* Refusals of newer SDKs come without the headers that name them (reference/01 §6.1). */
    if (!out->is_sdk && out->http_status != 401)
        text = "Something answers here, but not an Inngest SDK: is the path right?";
    else if (out->http_status == 401 && options->key == NULL)
        text = "The app is in production mode and wants signed requests, and the gateway has no signing key. Set INNGEST_DEV=1 in the app, "
               "or give "
               "the gateway the app's key.";
    else if (out->http_status == 401)
        text = "The app refuses the gateway's signature: it has another signing key, or its clock differs by more than five minutes.";
    else if (out->http_status == 500)
        text =
            "The app is in production mode without a signing key, or fails at start: set INNGEST_DEV=1 or INNGEST_SIGNING_KEY in the app.";
    else if (is_dev && out->has_mode && out->is_mode_cloud)
        text = "The app is in production mode, the gateway in dev mode: set INNGEST_DEV=1 in the app.";
    else if (!is_dev && out->has_mode && !out->is_mode_cloud)
        text =
            "The app is in dev mode, the gateway in production mode: the app does not verify who calls it. Set INNGEST_DEV=0 in the app.";
    out->text = sg_arena_copy(arena, sg_str_from(text));
    return out->text.ptr == NULL ? SG_NO_MEMORY : SG_OK;
}

static enum sg_status prepare(struct sg_http *http, struct sg_str url, const struct sg_introspect_options *options)
{
    int64_t timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : INTROSPECT_TIMEOUT_MS;
    sg_buf_append(&http->url, url);
    sg_http_header(http, "X-Inngest-Server-Kind", sg_str_from(options->server_kind));
    if (options->key != NULL) {
        char signature[SG_SIGNATURE_MAX + 1];
        size_t len = sg_signature_make(options->key, SG_STR_NULL, sg_http_wall_ms() / 1000, signature);
        sg_http_header(http, "X-Inngest-Signature", (struct sg_str){signature, len});
    }
    return sg_http_prepare(http, "GET", SG_STR_NULL, timeout_ms, timeout_ms);
}

static enum sg_status conclude(struct sg_http *http, CURLcode code, const struct sg_introspect_options *options, struct sg_arena *arena,
                               struct sg_introspection *out)
{
    if (code != CURLE_OK) {
        *out = (struct sg_introspection){.function_count = -1};
        sg_http_failure(http, code, arena, &out->text);
        return out->text.ptr == NULL ? SG_NO_MEMORY : SG_OK;
    }
    enum sg_status status = sg_introspection_read(sg_http_status(http), sg_buf_str(&http->response), arena, out);
    if (status != SG_OK)
        return status;
    struct sg_str sdk = http->headers.values[SG_HEADER_SDK];
    out->is_sdk = sdk.len > 0 || http->headers.values[SG_HEADER_SDK_HANDLED].len > 0;
    out->sdk = sg_arena_copy(arena, sdk);
    int64_t date_ms;
    if (sg_date_parse(http->headers.values[SG_HEADER_DATE], &date_ms))
        out->clock_ahead_ms = date_ms - sg_http_wall_ms();
    return out->sdk.ptr == NULL ? SG_NO_MEMORY : comment(out, options, arena);
}

enum sg_status sg_introspect(struct sg_str url, const struct sg_introspect_options *options, struct sg_arena *arena,
                             struct sg_introspection *out, struct sg_error *error)
{
    *out = (struct sg_introspection){.function_count = -1};
    enum sg_status status = sg_http_global_init(error);
    if (status != SG_OK)
        return status;
    struct sg_exchanger exchanger;
    struct sg_http http;
    if (sg_exchanger_init(&exchanger) != SG_OK)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    status = sg_http_init(&http, INTROSPECT_RESPONSE_BYTES);
    if (status == SG_OK) {
        status = prepare(&http, url, options);
        if (status == SG_OK) {
            struct sg_exchange exchange = {.http = &http};
            sg_exchanger_run(&exchanger, &exchange, 1);
            status = conclude(&http, exchange.code, options, arena, out);
        }
        sg_http_free(&http);
    }
    sg_exchanger_free(&exchanger);
    if (status != SG_OK)
        return sg_error_set(error, status, "the app could not be asked: %s", sg_status_text(status));
    return SG_OK;
}
