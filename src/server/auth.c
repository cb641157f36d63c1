/*
 * Who may call.
 *
 * The model. Two kinds of keys: signing keys open the API and registration (as bearer token, the key itself or its
 * hash), event keys open POST /e and nothing else. A kind of which none is configured is not checked: that is `stepgate
 * dev`. A refused token is logged with its fingerprint beside those of our keys, so that "the wrong key" can be told
 * from "no key" without showing either (reference/11 §2). The log is limited to one line a second, since whoever
 * guesses must not be able to fill it.
 */
#include "server/auth.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/router.h"

static enum sg_status token_secrets_init(struct sg_auth_keys *auth, const struct sg_token_secret *given, struct sg_error *error)
{
    size_t count = auth->key_count > 0 ? auth->key_count : 1;

    auth->token_secrets = sg_calloc(count, sizeof(*auth->token_secrets));
    if (auth->token_secrets == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    auth->token_secret_count = count;
    if (auth->key_count == 0 && given != NULL) {
        auth->token_secrets[0] = *given;
        return SG_OK;
    }
    if (auth->key_count == 0)
        return sg_random_bytes(auth->token_secrets[0].bytes, sizeof(auth->token_secrets[0].bytes))
                   ? SG_OK
                   : sg_error_set(error, SG_SYSTEM, "the system has no randomness to give");
    for (size_t i = 0; i < count; i++)
        if (!sg_token_secret_derive(&auth->keys[i], &auth->token_secrets[i]))
            return sg_error_set(error, SG_SYSTEM, "libcrypto failed to derive the secret of tokens");
    return SG_OK;
}

static bool copy_keys(struct sg_auth_keys *auth, const struct sg_auth_options *options)
{
    if (options->key_count > 0) {
        auth->keys = sg_calloc(options->key_count, sizeof(*auth->keys));
        if (auth->keys == NULL)
            return false;
        memcpy(auth->keys, options->keys, options->key_count * sizeof(*options->keys));
        auth->key_count = options->key_count;
    }
    if (options->event_key_count == 0)
        return true;
    auth->event_keys = sg_calloc(options->event_key_count, sizeof(*auth->event_keys));
    if (auth->event_keys == NULL)
        return false;
    for (size_t i = 0; i < options->event_key_count; i++) {
        char *copy = sg_malloc(options->event_keys[i].len);
        if (copy == NULL)
            return false;
        memcpy(copy, options->event_keys[i].ptr, options->event_keys[i].len);
        auth->event_keys[i] = (struct sg_str){copy, options->event_keys[i].len};
        auth->event_key_count = i + 1;
    }
    return true;
}

enum sg_status sg_auth_keys_init(struct sg_auth_keys *auth, const struct sg_auth_options *options, struct sg_error *error)
{
    *auth = (struct sg_auth_keys){.keys = NULL};
    for (size_t i = 0; i < options->event_key_count; i++)
        if (options->event_keys[i].len == 0 || options->event_keys[i].len > SG_LIMIT_EVENT_KEY_BYTES)
            return sg_error_set(error, SG_INVALID_CONFIG, "event key number %zu is empty or longer than %d bytes", i + 1,
                                SG_LIMIT_EVENT_KEY_BYTES);
    enum sg_status status = SG_OK;
    if (!copy_keys(auth, options))
        status = sg_error_set(error, SG_NO_MEMORY, "out of memory");
    if (status == SG_OK)
        status = token_secrets_init(auth, options->token_secret, error);
    if (status != SG_OK)
        sg_auth_keys_free(auth);
    return status;
}

void sg_auth_keys_free(struct sg_auth_keys *auth)
{
    for (size_t i = 0; i < auth->key_count; i++)
        sg_signing_key_wipe(&auth->keys[i]);
    sg_free(auth->keys);
    for (size_t i = 0; i < auth->event_key_count; i++) {
        explicit_bzero((char *)auth->event_keys[i].ptr, auth->event_keys[i].len);
        sg_free((char *)auth->event_keys[i].ptr);
    }
    sg_free(auth->event_keys);
    if (auth->token_secrets != NULL)
        explicit_bzero(auth->token_secrets, auth->token_secret_count * sizeof(*auth->token_secrets));
    sg_free(auth->token_secrets);
    *auth = (struct sg_auth_keys){.keys = NULL};
}

void sg_auth_token_fingerprint(struct sg_str authorization, char text[SG_TOKEN_FINGERPRINT_MAX])
{
    struct sg_signing_key key;
    struct sg_str token = sg_str_trim(authorization);
    ptrdiff_t space = sg_str_index(token, ' ');

    token = space < 0 ? SG_STR_NULL : sg_str_trim((struct sg_str){token.ptr + space, token.len - (size_t)space});
    (void)snprintf(text, SG_TOKEN_FINGERPRINT_MAX, "%s", token.len == 0 ? "none" : "unreadable");
    size_t prefix_len = sg_signing_key_prefix_len(token);
    struct sg_str rest = SG_STR_NULL;
    if (token.len > prefix_len)
        rest = (struct sg_str){token.ptr + prefix_len, token.len - prefix_len};
    if (rest.len == SG_SHA256_HEX_LEN) {
        for (size_t i = 0; i < rest.len; i++)
            if (sg_hex_digit(rest.ptr[i]) < 0)
                return;
        (void)snprintf(text, SG_TOKEN_FINGERPRINT_MAX, "%.*s", SG_KEY_FINGERPRINT_LEN, rest.ptr);
    } else if (token.len > 0 && sg_signing_key_parse(token, "token", &key, NULL) == SG_OK) {
        sg_signing_key_fingerprint(&key, text);
        sg_signing_key_wipe(&key);
    }
}

static void log_refusal(struct sg_request *request, struct sg_str authorization)
{
    char theirs[SG_TOKEN_FINGERPRINT_MAX];
    char ours[SG_KEY_FINGERPRINT_LEN + 1] = "";
    struct sg_server *server = request->server;
    long long now_ms = sg_server_wall_ms();
    long long last_ms = atomic_load(&server->last_refusal_ms);

    if (now_ms - last_ms < 1000 && now_ms >= last_ms)
        return;
    if (!atomic_compare_exchange_strong(&server->last_refusal_ms, &last_ms, now_ms))
        return; /* another thread has just logged one */
    sg_auth_token_fingerprint(authorization, theirs);
    if (server->auth.key_count > 0)
        sg_signing_key_fingerprint(&server->auth.keys[0], ours);
    sg_log(SG_LOG_WARN,
           strcmp(theirs, "none") == 0
               ? "refused a request: it has no signing key, and this gateway wants one"
               : "refused a request: its signing key is not ours (fingerprints are the first digits of each key's hash)",
           SG_KV_TEXT("method", sg_method_name(request->method)), SG_KV_STR("path", request->path), SG_KV_TEXT("their_key", theirs),
           SG_KV_TEXT("our_key", ours));
}

static bool check_event_key(struct sg_request *request)
{
    const struct sg_auth_keys *auth = &request->server->auth;
    bool is_known = false;

    if (auth->event_key_count == 0) {
        if (!request->server->requires_event_key)
            return true;
        sg_response_error(&request->response, SG_SHAPE_EVENT, 503, NULL, SG_STR("\"message\":\"\""),
                          SG_STR("Event keys are required to process events securely"));
        return false;
    }
    /* Against all of them: how long it takes does not tell which one was nearly right. */
    for (size_t i = 0; i < auth->event_key_count; i++)
        is_known |= sg_secret_eq(auth->event_keys[i], request->parameters[0]);
    if (is_known)
        return true;
    atomic_fetch_add(&request->server->counters.unauthorized, 1);
    sg_response_error(&request->response, SG_SHAPE_EVENT, 401, NULL, SG_STR("\"message\":\"\""), SG_STR("Event key not found"));
    return false;
}

bool sg_auth_check(struct sg_request *request)
{
    const struct sg_auth_keys *auth = &request->server->auth;

    switch (request->route->auth) {
    case SG_AUTH_NONE:
        return true;
    case SG_AUTH_EVENT_KEY:
        return check_event_key(request);
    case SG_AUTH_SIGNING_KEY:
        break;
    }
    if (auth->key_count == 0)
        return true;
    struct sg_str authorization = sg_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);
    if (sg_bearer_check(auth->keys, auth->key_count, authorization))
        return true;
    atomic_fetch_add(&request->server->counters.unauthorized, 1);
    log_refusal(request, authorization);
    sg_respond_error(request, 401, NULL, "Authentication failed");
    return false;
}
