/*
 * Sync: finding apps and getting them registered.
 *
 * The model. One thread goes its rounds. A round reads which apps the store has, decides which places are due (all of them when
 * polling, else those that somebody asked for or that are in error), sends their PUTs, many at a time, and acts on each
 * verdict: applies the registration that came in-band, asks again out of band, or writes down in words why it failed. If there
 * is no app at all yet, it looks for some.
 *
 * The places are shared with other threads under one lock, which is never held over anything that takes time. Only this thread
 * removes a place.
 *
 * What a failure may do: it is shown at the place, and told to the engine (once, not each round) if an app with this very URL
 * is registered. A configured address that does not work never harms an app that registered itself under another one
 * (reference/11, failed_poll_...).
 *
 * What it never does: open a connection that nobody asked for when discovery is off.
 */
#include "sdk/sync.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "sdk/discovery.h"
#include "sdk/place.h"
#include "sdk/registration.h"
#include "sdk/sync_put.h"
#include "sdk/unapplied.h"
#include "sdk/url.h"

#define SYNC_MAGIC 0x73796e63u
#define POLL_INTERVAL_MS 5000 /* reference/01 §4.9 */
#define PUT_TIMEOUT_MS 10000  /* reference/01 §4.1 */
#define PUTS_AT_ONCE 32       /* ours */
#define APPS_MAX 1000         /* ours: apps that a round looks at */
#define PROBLEMS_SHOWN 5      /* of a refused registration */
#define NOTE_LATE_MS 200      /* ours: a registration's note comes before its reply; this covers a busy machine */

struct sg_sync {
    uint32_t magic;
    struct sg_poster poster;
    struct sg_store_reader *reader;
    struct sg_signing_key key;
    char fingerprint[SG_KEY_FINGERPRINT_LEN + 1];
    struct sg_buf server_kind; /* terminated */
    struct sg_buf base_url;    /* terminated */
    struct sg_put_context context;
    struct sg_discovery_options discovery;
    bool polls;
    bool discovers; /* until there is an app */
    int64_t poll_interval_ms;
    struct sg_exchanger exchanger;

    pthread_t thread;
    bool is_running;
    atomic_bool is_stopped;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_woken;         /* under the lock */
    bool is_poll_asked;    /* under the lock */
    struct sg_list places; /* under the lock */
    size_t place_count;
};

static void *sync_main(void *context);

/* ---- places ---- */

/* Under the lock. NULL if there are too many or memory ran out. */
static struct sg_place *place_get(struct sg_sync *sync, struct sg_str url, enum sg_place_source source)
{
    struct sg_place *place = sg_place_find(&sync->places, url);
    if (place != NULL || sync->place_count >= SG_LIMIT_PLACES)
        return place;
    place = sg_place_create(url, source);
    if (place == NULL)
        return NULL;
    sg_list_push_back(&sync->places, &place->in_sync);
    sync->place_count++;
    return place;
}

static void place_remove(struct sg_sync *sync, struct sg_place *place)
{
    sg_list_remove(&sync->places, &place->in_sync);
    sync->place_count--;
    sg_place_free(place);
}

/* ---- starting and stopping ---- */

static enum sg_status copy_options(struct sg_sync *sync, const struct sg_sync_options *options)
{
    sync->poster = options->poster;
    sync->polls = options->polls;
    sync->discovers = options->discovers;
    sync->poll_interval_ms = options->poll_interval_ms > 0 ? options->poll_interval_ms : POLL_INTERVAL_MS;
    if (options->key_count > 0) {
        sync->key = options->keys[0];
        sg_signing_key_fingerprint(&sync->key, sync->fingerprint);
    }
    sg_buf_append(&sync->server_kind, sg_str_from(options->server_kind != NULL ? options->server_kind : "dev"));
    sg_buf_byte(&sync->server_kind, '\0');
    sg_buf_append(&sync->base_url, sg_str_from(options->base_url != NULL ? options->base_url : "http://localhost:8288"));
    sg_buf_byte(&sync->base_url, '\0');
    if (sync->server_kind.is_failed || sync->base_url.is_failed)
        return SG_NO_MEMORY;
    const struct sg_signing_key *key = options->key_count > 0 ? &sync->key : NULL;
    sync->context = (struct sg_put_context){
        .key = key,
        .fingerprint = sync->fingerprint,
        .server_kind = sync->server_kind.ptr,
        .base_url = sync->base_url.ptr,
        .timeout_ms = options->timeout_ms > 0 ? options->timeout_ms : PUT_TIMEOUT_MS,
    };
    sync->discovery = (struct sg_discovery_options){
        .ports = options->discovery_ports,
        .port_count = options->discovery_port_count,
        .port_extra = options->port_extra,
        .port_own = options->port_own,
        .server_kind = sync->server_kind.ptr,
        .key = key,
    };
    for (size_t i = 0; i < options->url_count; i++) {
        struct sg_buf url;
        sg_buf_init(&url);
        sg_url_normalise_typed(options->urls[i], &url);
        struct sg_place *place = url.is_failed ? NULL : place_get(sync, sg_buf_str(&url), SG_PLACE_CONFIGURED);
        sg_buf_free(&url);
        if (place == NULL)
            return SG_NO_MEMORY;
        place->is_due = true;
    }
    return SG_OK;
}

enum sg_status sg_sync_create(const struct sg_sync_options *options, struct sg_sync **sync_out, struct sg_error *error)
{
    *sync_out = NULL;
    enum sg_status status = sg_http_global_init(error);
    if (status != SG_OK)
        return status;
    struct sg_sync *sync = sg_calloc(1, sizeof(*sync));
    if (sync == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    sync->magic = SYNC_MAGIC;
    pthread_mutex_init(&sync->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sync->changed, &attributes);
    pthread_condattr_destroy(&attributes);

    status = sg_exchanger_init(&sync->exchanger);
    if (status == SG_OK)
        status = copy_options(sync, options);
    if (status != SG_OK)
        sg_error_set(error, status, "out of memory");
    if (status == SG_OK)
        status = sg_store_reader_open(options->store, &sync->reader, error);
    if (status == SG_OK) {
        int code = sg_quiet_thread_create(&sync->thread, sync_main, sync);
        sync->is_running = code == 0;
        if (code != 0)
            status = sg_error_set(error, SG_SYSTEM, "the sync thread cannot be started: %s", strerror(code));
    }
    if (status != SG_OK) {
        sg_sync_free(sync);
        return status;
    }
    *sync_out = sync;
    return SG_OK;
}

void sg_sync_free(struct sg_sync *sync)
{
    if (sync == NULL)
        return;
    SG_CHECK(sync, SYNC_MAGIC);
    if (sync->is_running) {
        atomic_store(&sync->is_stopped, true);
        sg_exchanger_stop(&sync->exchanger);
        sg_sync_wake(sync);
        pthread_join(sync->thread, NULL);
    }
    while (!sg_list_is_empty(&sync->places))
        place_remove(sync, SG_CONTAINER_OF(sync->places.first, struct sg_place, in_sync));
    if (sync->reader != NULL)
        sg_store_reader_close(sync->reader);
    sg_exchanger_free(&sync->exchanger);
    sg_buf_free(&sync->server_kind);
    sg_buf_free(&sync->base_url);
    sg_signing_key_wipe(&sync->key);
    pthread_cond_destroy(&sync->changed);
    pthread_mutex_destroy(&sync->lock);
    sync->magic = 0;
    sg_free(sync);
}

/* ---- from other threads ---- */

void sg_sync_wake(struct sg_sync *sync)
{
    SG_CHECK(sync, SYNC_MAGIC);
    pthread_mutex_lock(&sync->lock);
    sync->is_woken = true;
    sync->is_poll_asked = true;
    pthread_cond_signal(&sync->changed);
    pthread_mutex_unlock(&sync->lock);
}

void sg_sync_note_registration(struct sg_sync *sync, struct sg_str app_name, struct sg_str announced_url)
{
    SG_CHECK(sync, SYNC_MAGIC);
    struct sg_buf url;
    sg_buf_init(&url);
    sg_url_normalise(announced_url, &url);
    pthread_mutex_lock(&sync->lock);
    struct sg_place *place = sg_place_match(&sync->places, sg_buf_str(&url));
    bool is_open = place != NULL;
    if (!is_open) /* it registered by itself: good news about the place all the same */
        place = sg_place_find(&sync->places, sg_buf_str(&url));
    if (place != NULL) {
        sg_place_set(&place->app_name, app_name);
        sg_place_set(&place->announced_url, sg_str_eq(sg_buf_str(&place->url), sg_buf_str(&url)) ? SG_STR("") : sg_buf_str(&url));
        place->has_registered |= is_open;
        if (!is_open && !place->is_flying) {
            place->is_ok = true;
            place->code = "";
            sg_place_set(&place->text, SG_STR(""));
        }
        pthread_cond_broadcast(&sync->changed);
    }
    pthread_mutex_unlock(&sync->lock);
    sg_buf_free(&url);
}

bool sg_sync_configured_url(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                            struct sg_str *configured)
{
    struct sg_sync *sync = context;
    SG_CHECK(sync, SYNC_MAGIC);
    *configured = SG_STR_NULL;
    pthread_mutex_lock(&sync->lock);
    const struct sg_place *known = sg_place_find(&sync->places, announced_url);
    if (known == NULL || known->source != SG_PLACE_CONFIGURED) {
        const struct sg_place *place = sg_place_match(&sync->places, announced_url);
        if (place != NULL && place->source != SG_PLACE_CONFIGURED)
            place = NULL;
        for (struct sg_list_node *node = sync->places.first; node != NULL && place == NULL; node = node->next) {
            const struct sg_place *other = SG_CONTAINER_OF(node, struct sg_place, in_sync);
            if (other->source == SG_PLACE_CONFIGURED && other->is_ok && sg_str_eq(sg_buf_str(&other->app_name), app_name))
                place = other;
        }
        if (place != NULL)
            *configured = sg_arena_copy(arena, sg_buf_str(&place->url));
    }
    pthread_mutex_unlock(&sync->lock);
    return configured->len > 0;
}

enum sg_status sg_sync_request(struct sg_sync *sync, struct sg_str url, struct sg_error *error)
{
    SG_CHECK(sync, SYNC_MAGIC);
    struct sg_buf normal;
    sg_buf_init(&normal);
    sg_url_normalise_typed(url, &normal);
    struct sg_url parts;
    enum sg_status status = SG_OK;
    if (normal.is_failed) {
        status = sg_error_set(error, SG_NO_MEMORY, "out of memory");
    } else if (!sg_url_parse(sg_buf_str(&normal), &parts) || !sg_url_is_http(&parts)) {
        status = sg_error_set(error, SG_INVALID_ARGUMENT, "`url` is not an http or https URL: %.*s", (int)(url.len > 200 ? 200 : url.len),
                              url.ptr);
    } else {
        pthread_mutex_lock(&sync->lock);
        struct sg_place *place = place_get(sync, sg_buf_str(&normal), SG_PLACE_REQUESTED);
        if (place == NULL) {
            status = sg_error_set(error, SG_TOO_MANY, "the gateway knows %d addresses of apps already", SG_LIMIT_PLACES);
        } else {
            place->is_due = true;
            sync->is_woken = true;
            pthread_cond_signal(&sync->changed);
        }
        pthread_mutex_unlock(&sync->lock);
    }
    sg_buf_free(&normal);
    return status;
}

void sg_sync_visit(struct sg_sync *sync, void (*visit)(void *context, const struct sg_sync_place *place), void *context)
{
    SG_CHECK(sync, SYNC_MAGIC);
    pthread_mutex_lock(&sync->lock);
    for (struct sg_list_node *node = sync->places.first; node != NULL; node = node->next) {
        struct sg_sync_place shown;
        sg_place_show(SG_CONTAINER_OF(node, struct sg_place, in_sync), &shown);
        visit(context, &shown);
    }
    pthread_mutex_unlock(&sync->lock);
}

/* ---- what the store knows ---- */

static enum sg_status see_app(void *context, const struct sg_record *record)
{
    struct sg_sync *sync = context;
    const struct sg_value *values = record->values;
    struct sg_str url = values[SG_APP_URL].bytes;
    struct sg_url parts;
    if (sg_str_eq(values[SG_APP_SYNC_KIND].bytes, SG_STR("endpoint")))
        return SG_OK; /* its runs made it known; there is nothing at its URL that would register */
    if (values[SG_APP_IS_ARCHIVED].number != 0 || !sg_url_parse(url, &parts) || !sg_url_is_http(&parts))
        return SG_OK; /* gone, or a worker that connects by itself */
    pthread_mutex_lock(&sync->lock);
    sync->discovers = false; /* for good: there is an app (reference/01 §4.9) */
    struct sg_place *place = place_get(sync, url, SG_PLACE_ANNOUNCED);
    if (place != NULL) {
        place->is_seen = true;
        place->has_row = true;
        place->is_row_bad = !values[SG_APP_ERROR].is_null && values[SG_APP_ERROR].bytes.len > 0;
        if (place->app_name.len == 0)
            sg_place_set(&place->app_name, values[SG_APP_NAME].bytes);
        if (!place->is_tried && !place->is_row_bad)
            place->is_ok = true;
    }
    pthread_mutex_unlock(&sync->lock);
    return SG_OK;
}

/* Meets the places of the apps in the store; forgets those of apps that moved or were removed. */
static void look_into_store(struct sg_sync *sync)
{
    pthread_mutex_lock(&sync->lock);
    for (struct sg_list_node *node = sync->places.first; node != NULL; node = node->next)
        SG_CONTAINER_OF(node, struct sg_place, in_sync)->is_seen = false;
    pthread_mutex_unlock(&sync->lock);

    struct sg_query query = {.kind = SG_KIND_APP, .index = SG_INDEX_KEY, .limit = APPS_MAX};
    struct sg_error error;
    if (sg_store_read(sync->reader, &query, see_app, sync, &error) != SG_OK) {
        sg_log(SG_LOG_WARN, "the apps could not be read for polling", SG_KV_ERROR(&error));
        return;
    }
    pthread_mutex_lock(&sync->lock);
    struct sg_list_node *next;
    for (struct sg_list_node *node = sync->places.first; node != NULL; node = next) {
        next = node->next;
        struct sg_place *place = SG_CONTAINER_OF(node, struct sg_place, in_sync);
        if (place->is_seen)
            continue;
        place->has_row = false;
        place->is_row_bad = false;
        if (place->source == SG_PLACE_ANNOUNCED && !place->is_due)
            place_remove(sync, place);
    }
    pthread_mutex_unlock(&sync->lock);
}

/* ---- verdicts ---- */

/* Under the lock: the message that tells the engine; NULL if memory ran out, then the next round does it. */
static struct sg_message *failure_message(const struct sg_place *place)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_SYNC_FAILED);
    if (message == NULL)
        return NULL;
    message->as.sync_failed.url = sg_arena_copy(&message->arena, sg_buf_str(&place->url));
    message->as.sync_failed.name = sg_arena_copy(&message->arena, sg_buf_str(&place->app_name));
    message->as.sync_failed.text = sg_arena_copy(&message->arena, sg_buf_str(&place->text));
    if (message->as.sync_failed.url.ptr != NULL && message->as.sync_failed.name.ptr != NULL && message->as.sync_failed.text.ptr != NULL)
        return message;
    sg_message_free(message);
    return NULL;
}

static void log_change(const struct sg_str url, struct sg_str app_name, bool is_ok, const char *code, struct sg_str text)
{
    if (is_ok)
        sg_log(SG_LOG_INFO, "app synced", SG_KV_STR("app", app_name), SG_KV_STR("url", url));
    else
        sg_log(SG_LOG_WARN, "an app could not be synced", SG_KV_STR("url", url), SG_KV_TEXT("code", code), SG_KV_STR("cause", text));
}

/* The end of a try: remembered at the place, told to the engine if it failed in a new way, logged if anything changed. */
static void settle(struct sg_sync *sync, struct sg_place *place, bool is_registered, const char *code, struct sg_str text)
{
    struct sg_arena scratch;
    sg_arena_init(&scratch);
    bool is_ok = is_registered && text.len == 0; /* a registered app may be known to refuse calls */
    pthread_mutex_lock(&sync->lock);
    bool is_news = !place->is_tried || place->is_ok != is_ok || !sg_str_eq(sg_buf_str(&place->text), text);
    place->is_tried = true;
    place->is_ok = is_ok;
    place->code = code;
    place->tried_at_ms = sg_http_wall_ms();
    sg_place_set(&place->text, text);
    if (is_registered)
        sg_place_set(&place->recorded, SG_STR(""));
    struct sg_message *message = NULL;
    if (!is_registered && place->has_row && !sg_str_eq(sg_buf_str(&place->recorded), text))
        message = failure_message(place);
    struct sg_str app_name = sg_arena_copy(&scratch, sg_buf_str(&place->app_name));
    pthread_mutex_unlock(&sync->lock);

    if (message != NULL) {
        if (sync->poster.post(sync->poster.context, message) != SG_OK)
            sg_message_free(message);
        else
            sg_place_set(&place->recorded, text); /* only this thread looks at it */
    }
    if (is_news)
        log_change(sg_buf_str(&place->url), app_name, is_ok, code, text);
    sg_arena_free(&scratch);
}

/* "At least one function is invalid" and the first of the reasons. */
static struct sg_str problem_text(const struct sg_registration_report *report, const struct sg_error *error, struct sg_arena *arena)
{
    struct sg_buf out;
    sg_buf_init(&out);
    sg_buf_append(&out, sg_str_from(error->message));
    for (size_t i = 0; i < report->problems.count && i < PROBLEMS_SHOWN; i++)
        sg_buf_printf(&out, "%s '%.*s': %.*s", i == 0 ? ":" : ";", SG_FMT(report->problems.items[i].function),
                      SG_FMT(report->problems.items[i].message));
    if (report->problems.count > PROBLEMS_SHOWN)
        sg_buf_printf(&out, "; and %zu more", report->problems.count - PROBLEMS_SHOWN);
    struct sg_str text = out.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&out));
    sg_buf_free(&out);
    return text.ptr == NULL ? sg_str_from(error->message) : text;
}

struct override {
    struct sg_sync *sync;
    const struct sg_place *place;
};

/* The URL that was asked, if the operator configured it; else as for any registration. */
static bool override_url(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                         struct sg_str *configured)
{
    const struct override *override = context;
    if (override->place->source != SG_PLACE_CONFIGURED)
        return sg_sync_configured_url(override->sync, app_name, announced_url, arena, configured);
    *configured = sg_arena_copy(arena, sg_buf_str(&override->place->url));
    return configured->len > 0;
}

/* Makes a registration of an in-band answer and waits until it is on disk. */
static void apply(struct sg_sync *sync, struct sg_put *put)
{
    struct sg_place *place = put->place;
    struct sg_message *message = sg_message_create(SG_MESSAGE_REGISTER);
    if (message == NULL) {
        settle(sync, place, false, "no_memory", SG_STR("out of memory"));
        return;
    }
    struct override override = {sync, place};
    struct sg_registration_options options = {override_url, &override};
    struct sg_registration_report report = {0};
    struct sg_error error = {0};
    enum sg_status status = sg_registration_decode_in_band(sg_buf_str(&put->http.response), &options, &message->arena,
                                                           &message->as.registration, &report, &error);
    if (status != SG_OK) {
        struct sg_str text = problem_text(&report, &error, &put->arena);
        sg_message_free(message);
        settle(sync, place, false, status == SG_INVALID_CONFIG ? "invalid_function" : "invalid_registration", text);
        return;
    }
    pthread_mutex_lock(&sync->lock);
    bool is_other = !sg_str_eq(report.announced_url, sg_buf_str(&place->url));
    bool is_news = !sg_str_eq(sg_buf_str(&place->announced_url), is_other ? report.announced_url : SG_STR(""));
    sg_place_set(&place->app_name, message->as.registration.app_name);
    sg_place_set(&place->announced_url, is_other ? report.announced_url : SG_STR(""));
    pthread_mutex_unlock(&sync->lock);
    if (report.warning.len > 0 && (is_news || !place->is_tried))
        sg_log(SG_LOG_WARN, "sync", SG_KV_STR("app", message->as.registration.app_name), SG_KV_STR("warning", report.warning));

    struct sg_reply reply = {0};
    status = sg_post_and_wait(&sync->poster, message, &sync->is_stopped, &reply);
    if (status == SG_OK)
        status = reply.status;
    if (status == SG_OK) {
        settle(sync, place, true, "", SG_STR(""));
        sg_registration_warn_unapplied(sg_buf_str(&place->app_name), &reply);
    } else
        settle(sync, place, false, sg_status_code(status), sg_str_from(reply.message[0] != '\0' ? reply.message : sg_status_text(status)));
}

/* ---- a round ---- */

/* Whether an app has registered during the PUT. One that answered 200 may have done so a moment ago: its note is on the way. */
static bool has_registered(struct sg_sync *sync, const struct sg_put *put, CURLcode code)
{
    int status = sg_http_status(&put->http);
    const struct sg_str *headers = put->http.headers.values;
    bool is_sdk = headers[SG_HEADER_SDK].len > 0 || headers[SG_HEADER_SDK_HANDLED].len > 0;
    bool is_in_band = sg_str_eq_nocase(headers[SG_HEADER_SYNC_KIND], SG_STR("in_band"));
    bool may_be_late = code == CURLE_OK && status >= 200 && status <= 299 && is_sdk && !is_in_band;
    struct timespec until = sg_http_deadline(NOTE_LATE_MS);
    pthread_mutex_lock(&sync->lock);
    while (may_be_late && !put->place->has_registered && !atomic_load(&sync->is_stopped))
        if (pthread_cond_timedwait(&sync->changed, &sync->lock, &until) != 0)
            break;
    bool is_registered = put->place->has_registered;
    pthread_mutex_unlock(&sync->lock);
    return is_registered;
}

/* Sends the PUTs that are marked with `is_in_band`'s kind of request and judges their answers. */
static void exchange(struct sg_sync *sync, struct sg_put **puts, size_t count, bool is_in_band)
{
    struct sg_exchange exchanges[PUTS_AT_ONCE];
    size_t sent = 0;
    struct sg_put *asked[PUTS_AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        enum sg_status status = sg_put_prepare(puts[i], &sync->context, is_in_band);
        if (status != SG_OK) {
            puts[i]->verdict = (struct sg_verdict){SG_PUT_FAILED, sg_status_code(status), sg_str_from(sg_status_text(status))};
            continue;
        }
        asked[sent] = puts[i];
        exchanges[sent++].http = &puts[i]->http;
    }
    sg_exchanger_run(&sync->exchanger, exchanges, sent);
    for (size_t i = 0; i < sent; i++) {
        bool is_registered = has_registered(sync, asked[i], exchanges[i].code);
        if (!sg_put_conclude(asked[i], &sync->context, exchanges[i].code, is_registered))
            asked[i]->verdict = (struct sg_verdict){SG_PUT_FAILED, "no_memory", SG_STR("out of memory")};
    }
}

static void set_flying(struct sg_sync *sync, struct sg_put **puts, size_t count, bool is_flying)
{
    pthread_mutex_lock(&sync->lock);
    for (size_t i = 0; i < count; i++) {
        puts[i]->place->is_flying = is_flying;
        puts[i]->place->has_registered = false;
        puts[i]->place->is_due = puts[i]->place->is_due && !is_flying;
    }
    pthread_mutex_unlock(&sync->lock);
}

static void sync_puts(struct sg_sync *sync, struct sg_put **puts, size_t count)
{
    set_flying(sync, puts, count, true);
    exchange(sync, puts, count, true);
    struct sg_put *again[PUTS_AT_ONCE];
    size_t again_count = 0;
    for (size_t i = 0; i < count; i++)
        if (puts[i]->verdict.next == SG_PUT_OUT_OF_BAND)
            again[again_count++] = puts[i];
    if (again_count > 0)
        exchange(sync, again, again_count, false);
    for (size_t i = 0; i < count && !atomic_load(&sync->is_stopped); i++) {
        if (puts[i]->verdict.next == SG_PUT_APPLY)
            apply(sync, puts[i]);
        else
            settle(sync, puts[i]->place, puts[i]->verdict.next == SG_PUT_DONE, puts[i]->verdict.code, puts[i]->verdict.text);
    }
    set_flying(sync, puts, count, false);
}

/* Takes the next places that are due, at most PUTS_AT_ONCE, beginning behind `*node` in the list. */
static size_t take_due(struct sg_sync *sync, bool is_poll, struct sg_place **due, struct sg_list_node **node, bool *has_begun)
{
    size_t count = 0;
    pthread_mutex_lock(&sync->lock);
    struct sg_list_node *at = *has_begun ? *node : sync->places.first;
    *has_begun = true;
    for (; at != NULL && count < PUTS_AT_ONCE; at = at->next) {
        struct sg_place *place = SG_CONTAINER_OF(at, struct sg_place, in_sync);
        bool is_in_error = place->is_row_bad || (place->is_tried && !place->is_ok);
        if (place->is_due || (is_poll && (sync->polls || is_in_error)))
            due[count++] = place;
    }
    *node = at;
    pthread_mutex_unlock(&sync->lock);
    return count;
}

static void sync_due(struct sg_sync *sync, bool is_poll)
{
    struct sg_place *due[PUTS_AT_ONCE];
    struct sg_list_node *node = NULL;
    bool has_begun = false;
    while (!atomic_load(&sync->is_stopped)) {
        size_t count = take_due(sync, is_poll, due, &node, &has_begun);
        struct sg_put *puts[PUTS_AT_ONCE];
        size_t made = 0;
        for (size_t i = 0; i < count; i++) {
            struct sg_put *put = sg_calloc(1, sizeof(*put));
            if (put == NULL || sg_put_init(put, due[i]) != SG_OK) {
                sg_free(put);
                continue; /* due again in the next round */
            }
            puts[made++] = put;
        }
        if (made > 0)
            sync_puts(sync, puts, made);
        for (size_t i = 0; i < made; i++) {
            sg_put_free(puts[i]);
            sg_free(puts[i]);
        }
        if (node == NULL)
            return;
    }
}

static void on_found(void *context, struct sg_str url, bool is_closed)
{
    struct sg_sync *sync = context;
    if (is_closed) {
        sg_log(SG_LOG_INFO, "an app in production mode listens here and is left alone: set INNGEST_DEV=1 in it to use it with this gateway",
               SG_KV_STR("url", url));
        return;
    }
    struct sg_buf normal;
    sg_buf_init(&normal);
    sg_url_normalise(url, &normal);
    pthread_mutex_lock(&sync->lock);
    struct sg_place *place = normal.is_failed ? NULL : place_get(sync, sg_buf_str(&normal), SG_PLACE_DISCOVERED);
    if (place != NULL)
        place->is_due = true;
    pthread_mutex_unlock(&sync->lock);
    sg_buf_free(&normal);
}

/* A place that was only discovered and is gone again is not asked for ever. */
static void forget_discovered(struct sg_sync *sync)
{
    pthread_mutex_lock(&sync->lock);
    struct sg_list_node *next;
    for (struct sg_list_node *node = sync->places.first; node != NULL; node = next) {
        next = node->next;
        struct sg_place *place = SG_CONTAINER_OF(node, struct sg_place, in_sync);
        if (place->source == SG_PLACE_DISCOVERED && place->is_tried && !place->is_ok && !place->has_row &&
            strcmp(place->code, "unreachable") == 0)
            place_remove(sync, place);
    }
    pthread_mutex_unlock(&sync->lock);
}

static void round_go(struct sg_sync *sync, bool is_poll)
{
    look_into_store(sync);
    sync_due(sync, is_poll);
    pthread_mutex_lock(&sync->lock);
    bool discovers = sync->discovers;
    for (struct sg_list_node *node = sync->places.first; node != NULL && discovers; node = node->next)
        discovers = !SG_CONTAINER_OF(node, struct sg_place, in_sync)->is_ok;
    pthread_mutex_unlock(&sync->lock);
    if (!discovers || atomic_load(&sync->is_stopped))
        return;
    forget_discovered(sync);
    if (sg_discovery_run(&sync->exchanger, &sync->discovery, on_found, sync) != SG_OK)
        sg_log(SG_LOG_WARN, "no memory to look for apps");
    sync_due(sync, false);
}

/* Sleeps until the moment or until woken; true if a poll is due. */
static bool sleep_until(struct sg_sync *sync, int64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000), .tv_nsec = (long)(until_ms % 1000) * 1000000};
    pthread_mutex_lock(&sync->lock);
    while (!sync->is_woken && !atomic_load(&sync->is_stopped))
        if (pthread_cond_timedwait(&sync->changed, &sync->lock, &until) != 0)
            break;
    bool is_poll = sync->is_poll_asked || sg_http_monotonic_ms() >= until_ms;
    sync->is_woken = false;
    sync->is_poll_asked = false;
    pthread_mutex_unlock(&sync->lock);
    return is_poll;
}

static void *sync_main(void *context)
{
    struct sg_sync *sync = context;
    bool is_poll = true;
    int64_t next_poll_ms = 0;
    while (!atomic_load(&sync->is_stopped)) {
        if (is_poll)
            next_poll_ms = sg_http_monotonic_ms() + sync->poll_interval_ms;
        round_go(sync, is_poll);
        is_poll = sleep_until(sync, next_poll_ms);
    }
    return NULL;
}
