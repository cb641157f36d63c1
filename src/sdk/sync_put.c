/*
 * One PUT to a place.
 *
 * The model. The request is the same for every app: our idea of its URL, signed if there is a key, asking for an in-band
 * answer. What comes back is judged (judge.c); if it holds the registration itself, that becomes a message to the engine, and
 * we wait for the commit like any client.
 */
#include "sdk/sync_put.h"

#include <pthread.h>
#include <time.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/check.h"

#define LOOK_MS 100 /* how often a waiter looks whether the sync is to end */

enum sg_status sg_put_init(struct sg_put *put, struct sg_place *place)
{
    *put = (struct sg_put){.place = place};
    sg_buf_init(&put->body);
    sg_arena_init(&put->arena);
    return sg_http_init(&put->http, SG_LIMIT_REGISTRATION_BYTES);
}

void sg_put_free(struct sg_put *put)
{
    sg_http_free(&put->http);
    sg_buf_free(&put->body);
    sg_arena_free(&put->arena);
}

enum sg_status sg_put_prepare(struct sg_put *put, const struct sg_put_context *context, bool is_in_band)
{
    struct sg_http *http = &put->http;
    sg_http_reset(http);
    sg_arena_reset(&put->arena);
    sg_buf_clear(&put->body);
    put->is_in_band = is_in_band;
    sg_buf_append(&put->body, SG_STR("{\"url\":")); /* nothing else: SDKs refuse further keys (reference/01 §5.1) */
    sg_json_quote(&put->body, sg_buf_str(&put->place->url));
    sg_buf_byte(&put->body, '}');
    sg_buf_append(&http->url, sg_buf_str(&put->place->url));
    if (put->body.is_failed)
        return SG_NO_MEMORY;

    sg_http_header(http, "Content-Type", SG_STR("application/json"));
    sg_http_header(http, "X-Inngest-Server-Kind", sg_str_from(context->server_kind));
    if (is_in_band)
        sg_http_header(http, "X-Inngest-Sync-Kind", SG_STR("in_band"));
    if (context->key != NULL) {
        char signature[SG_SIGNATURE_MAX + 1];
        size_t len = sg_signature_make(context->key, sg_buf_str(&put->body), sg_http_wall_ms() / 1000, signature);
        if (len == 0)
            return SG_SYSTEM;
        sg_http_header(http, "X-Inngest-Signature", (struct sg_str){signature, len});
    }
    return sg_http_prepare(http, "PUT", sg_buf_str(&put->body), context->timeout_ms, context->timeout_ms);
}

static bool is_tls_code(CURLcode code)
{
    return code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM ||
           code == CURLE_SSL_CIPHER || code == CURLE_SSL_ISSUER_ERROR;
}

bool sg_put_conclude(struct sg_put *put, const struct sg_put_context *context, CURLcode code, bool has_registered)
{
    struct sg_http *http = &put->http;
    struct sg_put_result result = {
        .is_failed = code != CURLE_OK,
        .is_tls = is_tls_code(code),
        .http_status = sg_http_status(http),
        .headers = http->headers,
        .body = sg_buf_str(&http->response),
        .has_registered = has_registered,
        .key_fingerprint = context->key != NULL ? context->fingerprint : NULL,
        .sent_bytes = (int64_t)put->body.len,
        .wall_now_ms = sg_http_wall_ms(),
        .server_kind = context->server_kind,
        .base_url = context->base_url,
    };
    if (result.is_failed) {
        sg_http_failure(http, code, &put->arena, &result.failure_detail);
        if (result.failure_detail.ptr == NULL)
            return false;
    }
    return sg_put_judge(&result, put->is_in_band, &put->arena, &put->verdict);
}

/* ---- waiting for a reply ---- */

/* Lives until both sides have let go of it: the reply may come after the sync has given up. */
struct waiter {
    struct sg_client client; /* first: this is what the message points to */
    pthread_mutex_t lock;
    pthread_cond_t replied;
    bool is_replied;
    struct sg_reply reply;
    atomic_int holders;
};

static void let_go(struct waiter *waiter)
{
    if (atomic_fetch_sub(&waiter->holders, 1) > 1)
        return;
    pthread_cond_destroy(&waiter->replied);
    pthread_mutex_destroy(&waiter->lock);
    sg_free(waiter);
}

static void on_reply(struct sg_client *client, const struct sg_reply *reply)
{
    struct waiter *waiter = (struct waiter *)(void *)client;
    pthread_mutex_lock(&waiter->lock);
    waiter->reply = *reply;
    waiter->is_replied = true;
    pthread_cond_signal(&waiter->replied);
    pthread_mutex_unlock(&waiter->lock);
    let_go(waiter);
}

static struct waiter *waiter_create(void)
{
    struct waiter *waiter = sg_calloc(1, sizeof(*waiter));
    if (waiter == NULL)
        return NULL;
    waiter->client.reply = on_reply;
    atomic_init(&waiter->holders, 2);
    pthread_mutex_init(&waiter->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter->replied, &attributes);
    pthread_condattr_destroy(&attributes);
    return waiter;
}

enum sg_status sg_post_and_wait(const struct sg_poster *poster, struct sg_message *message, const atomic_bool *is_stopped,
                                struct sg_reply *reply)
{
    struct waiter *waiter = waiter_create();
    if (waiter == NULL) {
        sg_message_free(message);
        return SG_NO_MEMORY;
    }
    message->client = &waiter->client;
    enum sg_status status = poster->post(poster->context, message);
    if (status != SG_OK) {
        sg_message_free(message);
        let_go(waiter);
        let_go(waiter);
        return status;
    }
    pthread_mutex_lock(&waiter->lock);
    while (!waiter->is_replied && !atomic_load(is_stopped)) {
        struct timespec until = sg_http_deadline(LOOK_MS);
        pthread_cond_timedwait(&waiter->replied, &waiter->lock, &until);
    }
    status = waiter->is_replied ? SG_OK : SG_SHUTTING_DOWN;
    if (waiter->is_replied)
        *reply = waiter->reply;
    pthread_mutex_unlock(&waiter->lock);
    let_go(waiter);
    return status;
}
