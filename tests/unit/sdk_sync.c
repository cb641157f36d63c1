/* Sync against apps of every kind (reference/01 §4.8, §4.9, §5.4; reference/11 §1). */
#include "sdk_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include <stepgate/crypto.h>

#include "sdk/introspect.h"
#include "sdk/registration.h"
#include "sdk/sync.h"
#include "sdk_app.h"

static struct run_fixture f;
static struct inbox inbox;
static struct app app;
static struct sg_sync *sync_;
static pthread_mutex_t creating = PTHREAD_MUTEX_INITIALIZER; /* an app may register before sg_sync_create has returned */
static struct sg_sync_options options;
static struct sg_signing_key key;
static char url_text[128];
static struct sg_str url;

static void open(void)
{
    cr_assert(eq(int, sg_crypto_init(NULL), SG_OK));
    run_fixture_open(&f);
    inbox_init(&inbox);
    options = (struct sg_sync_options){
        .store = f.store,
        .poster = inbox_poster(&inbox),
        .server_kind = "dev",
        .base_url = "http://localhost:8288",
        .poll_interval_ms = 20,
    };
}

static void close_all(void)
{
    sg_sync_free(sync_);
    inbox_free(&inbox);
    run_fixture_close(&f);
}

TestSuite(sdk_sync, .init = open, .fini = close_all, .timeout = 60);

static void start_app(app_answer answer)
{
    app_start(&app, answer);
    snprintf(url_text, sizeof(url_text), "http://localhost:%d/api/inngest", app.port);
    url = sg_str_from(url_text);
}

static void start_sync(void)
{
    pthread_mutex_lock(&creating);
    enum sg_status status = sg_sync_create(&options, &sync_, &f.error);
    pthread_mutex_unlock(&creating);
    cr_assert(eq(int, status, SG_OK), "%s", f.error.message);
}

static struct sg_sync *the_sync(void)
{
    pthread_mutex_lock(&creating);
    struct sg_sync *sync = sync_;
    pthread_mutex_unlock(&creating);
    return sync;
}

static void configure(void)
{
    options.urls = &url;
    options.url_count = 1;
}

static void use_key(void)
{
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-12345678"), "key", &key, NULL), SG_OK));
    options.keys = &key;
    options.key_count = 1;
    options.server_kind = "cloud";
}

/* A place as it was seen last. */
struct seen {
    bool is_found;
    bool is_tried;
    bool is_ok;
    enum sg_place_source source;
    char app_name[64];
    char announced_url[128];
    char code[64];
    char text[1024];
    const char *url;
};

static void copy(char *to, size_t size, struct sg_str text)
{
    snprintf(to, size, "%.*s", SG_FMT(text));
}

static void look(void *context, const struct sg_sync_place *place)
{
    struct seen *seen = context;
    if (!sg_str_eq(place->url, sg_str_from(seen->url)))
        return;
    seen->is_found = true;
    seen->is_tried = place->is_tried;
    seen->is_ok = place->is_ok;
    seen->source = place->source;
    copy(seen->app_name, sizeof(seen->app_name), place->app_name);
    copy(seen->announced_url, sizeof(seen->announced_url), place->announced_url);
    copy(seen->code, sizeof(seen->code), place->code);
    copy(seen->text, sizeof(seen->text), place->text);
}

/* The place once it has been tried (and is ok or not, as asked). */
static struct seen see(const char *place_url, bool is_ok)
{
    struct seen seen = {.url = place_url};
    for (int i = 0; i < WAIT_MS; i++) {
        sg_sync_visit(sync_, look, &seen);
        if (seen.is_tried && seen.is_ok == is_ok)
            return seen;
        nanosleep(&(struct timespec){0, 1000000}, NULL); /* a condition with a deadline, asked for every millisecond */
    }
    cr_fail("%s: found %d, tried %d, ok %d: %s", place_url, seen.is_found, seen.is_tried, seen.is_ok, seen.text);
    return seen;
}

/* ---- apps ---- */

static bool answer_in_band(struct app *self, int fd, const struct app_request *request)
{
    char body[2048];
    const char *announced = self->context != NULL ? self->context : url_text;
    (void)request;
    snprintf(
        body, sizeof(body),
        "{\"app_id\":\"shop\",\"framework\":\"express\",\"functions\":[{\"id\":\"shop-f\",\"name\":\"F\",\"triggers\":[{\"event\":\"a/"
        "b\"}],"
        "\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"runtime\":{\"type\":\"http\",\"url\":\"%s?fnId=shop-f&stepId=step\"}}}}],"
        "\"sdk\":\"js:v4.24.0\",\"url\":\"%s\"}",
        announced, announced);
    write_answer(fd, 200, SDK_HEADERS "x-inngest-sync-kind: in_band\r\n", body);
    return true;
}

/* Registers with us (in the name of the URL in context) and says so. */
static bool answer_out_of_band(struct app *self, int fd, const struct app_request *request)
{
    (void)request;
    sg_sync_note_registration(the_sync(), SG_STR("shop"), self->context != NULL ? sg_str_from(self->context) : url);
    write_answer(fd, 200, SDK_HEADERS "x-inngest-sync-kind: out_of_band\r\n",
                 "{\"message\":\"Successfully registered\",\"modified\":true}");
    return true;
}

static bool answer_401_to_in_band(struct app *self, int fd, const struct app_request *request)
{
    if (request_header(request, "x-inngest-sync-kind").len > 0) {
        write_answer(fd, 401, "x-inngest-sdk-handled: true\r\n", "{\"message\":\"Unauthorized\"}");
        return true;
    }
    return answer_out_of_band(self, fd, request);
}

static bool answer_401(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 401, "x-inngest-sdk-handled: true\r\n", "{\"message\":\"Unauthorized\"}");
    return true;
}

static bool answer_elsewhere(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 200, SDK_HEADERS, "{\"message\":\"Successfully registered\",\"modified\":true}");
    return true;
}

static bool answer_500(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 500, SDK_HEADERS, "{\"message\":\"broken\"}");
    return true;
}

/* ---- tests ---- */

Test(sdk_sync, signed_in_band_sync_is_tried_first)
{
    use_key();
    start_app(answer_in_band);
    configure();
    start_sync();
    const struct sg_message *message = inbox_wait(&inbox, 0);
    cr_assert(eq(int, message->kind, SG_MESSAGE_REGISTER));
    assert_text(message->as.registration.app_name, "shop");
    assert_text(message->as.registration.sync_kind, "in_band");
    assert_text(message->as.registration.url, url_text);
    const struct app_request *request = app_wait(&app, 0);
    assert_text(request->method, "PUT");
    assert_text(request_header(request, "x-inngest-sync-kind"), "in_band");
    assert_text(request_header(request, "x-inngest-server-kind"), "cloud");
    char body[256];
    snprintf(body, sizeof(body), "{\"url\":\"%s\"}", url_text);
    assert_text(request->body, body);
    cr_assert(
        eq(int, sg_signature_verify(&key, 1, request_header(request, "x-inngest-signature"), request->body, time(NULL), &f.error), SG_OK));
    struct seen seen = see(url_text, true);
    cr_assert(eq(str, seen.app_name, "shop"));
    cr_assert(eq(str, seen.announced_url, ""));
    app_stop(&app);
}

Test(sdk_sync, configured_url_wins_over_announced_url)
{
    static char announced[] = "http://inner.example/api/inngest";
    app.context = announced;
    start_app(answer_in_band);
    configure();
    start_sync();
    const struct sg_message *message = inbox_wait(&inbox, 0);
    assert_text(message->as.registration.url, url_text);
    assert_contains(message->as.registration.functions[0].config, url_text);
    struct seen seen = see(url_text, true);
    cr_assert(eq(str, seen.announced_url, announced));
    app_stop(&app);
}

Test(sdk_sync, a_registration_during_the_put_is_success)
{
    start_app(answer_out_of_band);
    configure();
    start_sync();
    struct seen seen = see(url_text, true);
    cr_assert(eq(str, seen.app_name, "shop"));
    cr_assert(eq(int, inbox_count(&inbox), 0));
    app_stop(&app);
}

Test(sdk_sync, an_app_that_refuses_in_band_is_asked_the_old_way)
{
    start_app(answer_401_to_in_band);
    configure();
    start_sync();
    see(url_text, true);
    cr_assert(eq(sz, request_header(app_wait(&app, 1), "x-inngest-sync-kind").len, 0));
    app_stop(&app);
}

Test(sdk_sync, an_app_with_another_key_is_told_apart_from_one_that_is_not_there)
{
    use_key();
    start_app(answer_401);
    configure();
    start_sync();
    struct seen seen = see(url_text, false);
    cr_assert(eq(str, seen.code, "unauthorized"));
    char fingerprint[SG_KEY_FINGERPRINT_LEN + 1];
    sg_signing_key_fingerprint(&key, fingerprint);
    assert_contains(sg_str_from(seen.text), fingerprint);
    app_stop(&app);
}

Test(sdk_sync, registered_elsewhere_is_noticed)
{
    start_app(answer_elsewhere);
    configure();
    start_sync();
    struct seen seen = see(url_text, false);
    cr_assert(eq(str, seen.code, "registered_elsewhere"));
    assert_contains(sg_str_from(seen.text), "INNGEST_DEV=http://localhost:8288");
    app_stop(&app);
}

static void put_app(const char *name, const char *app_url, const char *error)
{
    struct sg_id id = sg_app_id(sg_str_from(name));
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_APP}};
    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        write.record.values[i] = sg_value_null();
    write.record.values[SG_APP_ID] = sg_value_id(&id);
    write.record.values[SG_APP_NAME] = sg_value_bytes(sg_str_from(name));
    write.record.values[SG_APP_URL] = sg_value_bytes(sg_str_from(app_url));
    write.record.values[SG_APP_IS_ARCHIVED] = sg_value_int(0);
    if (error != NULL)
        write.record.values[SG_APP_ERROR] = sg_value_bytes(sg_str_from(error));
    cr_assert(eq(int, sg_store_commit(f.store, &write, 1, &f.error), SG_OK));
}

Test(sdk_sync, failed_poll_does_not_unsync_a_self_registered_app)
{
    static struct sg_str configured;
    start_app(answer_out_of_band);
    put_app("shop", url_text, NULL);
    configured = SG_STR("http://no-such-host.invalid:3000/x");
    options.urls = &configured;
    options.url_count = 1;
    options.polls = true;
    start_sync();
    struct seen seen = see("http://no-such-host.invalid:3000/x", false);
    cr_assert(eq(str, seen.code, "unreachable"));
    app_wait(&app, 3);
    cr_assert(see(url_text, true).is_ok);
    cr_assert(eq(int, inbox_count(&inbox), 0), "the engine is told nothing");
    app_stop(&app);
}

Test(sdk_sync, an_app_that_breaks_is_told_to_the_engine_once)
{
    start_app(answer_500);
    put_app("shop", url_text, NULL);
    options.polls = true;
    start_sync();
    const struct sg_message *message = inbox_wait(&inbox, 0);
    cr_assert(eq(int, message->kind, SG_MESSAGE_SYNC_FAILED));
    assert_text(message->as.sync_failed.url, url_text);
    assert_text(message->as.sync_failed.name, "shop");
    assert_contains(message->as.sync_failed.text, "broken");
    app_wait(&app, 5);
    cr_assert(eq(int, inbox_count(&inbox), 1));
    app_stop(&app);
}

Test(sdk_sync, without_polling_only_apps_in_error_are_asked)
{
    static struct app other;
    start_app(answer_out_of_band);
    put_app("shop", url_text, "unreachable");
    app_start(&other, answer_out_of_band);
    char other_url[128];
    snprintf(other_url, sizeof(other_url), "http://localhost:%d/api/inngest", other.port);
    put_app("fine", other_url, NULL);
    start_sync();
    app_wait(&app, 2);
    cr_assert(eq(int, other.connections, 0));
    app_stop(&app);
    app_stop(&other);
}

Test(sdk_sync, a_user_may_ask_for_a_sync)
{
    start_app(answer_in_band);
    options.poll_interval_ms = 3600 * 1000;
    start_sync();
    cr_assert(eq(int, sg_sync_request(sync_, SG_STR("nonsense://x"), &f.error), SG_INVALID_ARGUMENT));
    char typed[128];
    snprintf(typed, sizeof(typed), "127.0.0.1:%d/api/inngest", app.port);
    cr_assert(eq(int, sg_sync_request(sync_, sg_str_from(typed), &f.error), SG_OK));
    cr_assert(eq(int, inbox_wait(&inbox, 0)->kind, SG_MESSAGE_REGISTER));
    cr_assert(eq(int, see(url_text, true).source, SG_PLACE_REQUESTED));
    app_stop(&app);
}

Test(sdk_sync, an_invalid_registration_is_shown_with_its_reasons)
{
    static char announced[] = "ftp://h/x";
    app.context = announced;
    start_app(answer_in_band);
    options.discovery_ports = &app.port;
    start_sync();
    cr_assert(eq(int, sg_sync_request(sync_, url, &f.error), SG_OK));
    struct seen seen = see(url_text, false);
    cr_assert(eq(str, seen.code, "invalid_function"));
    assert_contains(sg_str_from(seen.text), "'shop-f': Non-supported step schema: ftp");
    cr_assert(eq(int, inbox_count(&inbox), 0));
    app_stop(&app);
}

/* ---- discovery ---- */

Test(sdk_sync, no_discovery_flag_opens_no_unasked_connection)
{
    static struct app asked;
    start_app(answer_in_band);
    options.discovery_ports = &app.port;
    options.discovery_port_count = 1;
    options.port_extra = app.port;
    app_start(&asked, answer_out_of_band);
    char asked_url[128];
    snprintf(asked_url, sizeof(asked_url), "http://localhost:%d/x", asked.port);
    struct sg_str configured = sg_str_from(asked_url);
    options.urls = &configured;
    options.url_count = 1;
    options.polls = true;
    start_sync();
    app_wait(&asked, 4); /* several rounds */
    cr_assert(eq(int, app.connections, 0));
    app_stop(&asked);
    app_stop(&app);
}

static bool answer_like_an_app(struct app *self, int fd, const struct app_request *request)
{
    if (!sg_str_eq(request->target, SG_STR("/x/inngest"))) {
        write_answer(fd, 404, "", "no");
        return true;
    }
    if (sg_str_eq(request->method, SG_STR("GET"))) {
        write_answer(fd, 200, SDK_HEADERS, "{\"mode\":\"dev\",\"function_count\":1}");
        return true;
    }
    return answer_in_band(self, fd, request);
}

Test(sdk_sync, discovery_finds_an_app_on_one_of_the_paths)
{
    int ports[2] = {1, 0};
    start_app(answer_like_an_app);
    ports[1] = app.port;
    snprintf(url_text, sizeof(url_text), "http://localhost:%d/x/inngest", app.port);
    options.discovers = true;
    options.discovery_ports = ports;
    options.discovery_port_count = 2;
    start_sync();
    const struct sg_message *message = inbox_wait(&inbox, 0);
    assert_text(message->as.registration.url, url_text);
    cr_assert(eq(int, see(url_text, true).source, SG_PLACE_DISCOVERED));
    app_stop(&app);
}

Test(sdk_sync, discovery_ends_when_there_is_an_app)
{
    static struct app known;
    app_start(&known, answer_out_of_band);
    start_app(answer_like_an_app);
    char known_url[128];
    snprintf(known_url, sizeof(known_url), "http://localhost:%d/api/inngest", known.port);
    put_app("known", known_url, NULL);
    options.discovers = true;
    options.discovery_ports = &app.port;
    options.discovery_port_count = 1;
    options.polls = true;
    start_sync();
    app_wait(&known, 3);
    cr_assert(eq(int, app.connections, 0));
    app_stop(&known);
    app_stop(&app);
}

/* ---- which URL ---- */

Test(sdk_sync, an_app_behind_a_proxy_gets_the_url_that_was_asked)
{
    static char announced[] = "http://inner:3000/api/inngest";
    app.context = announced;
    start_app(answer_out_of_band);
    configure();
    start_sync();
    struct seen seen = see(url_text, true);
    cr_assert(eq(str, seen.announced_url, announced));
    struct sg_arena arena;
    struct sg_str found;
    sg_arena_init(&arena);
    cr_assert(sg_sync_configured_url(sync_, SG_STR("shop"), SG_STR("http://inner:3000/api/inngest"), &arena, &found));
    assert_text(found, url_text);
    cr_assert(not(sg_sync_configured_url(sync_, SG_STR("other"), SG_STR("http://h:1/y"), &arena, &found)));
    cr_assert(not(sg_sync_configured_url(sync_, SG_STR("shop"), url, &arena, &found)), "it announces the configured one");
    sg_arena_free(&arena);
    app_stop(&app);
}

/* ---- the end ---- */

Test(sdk_sync, free_does_not_wait_for_a_slow_app)
{
    start_app(app_answer_never);
    configure();
    start_sync();
    app_wait(&app, 0);
    struct timespec before;
    struct timespec after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    sg_sync_free(sync_);
    sync_ = NULL;
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_assert(after.tv_sec - before.tv_sec < 5);
    app_stop(&app);
}

/* ---- introspection ---- */

static bool answer_introspection(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    assert_text(request->method, "GET");
    write_answer(
        fd, 200, SDK_HEADERS,
        "{\"extra\":{\"native_crypto\":true},\"has_event_key\":false,\"has_signing_key\":true,\"function_count\":14,\"mode\":\"cloud\","
        "\"schema_version\":\"2024-05-24\"}");
    return true;
}

Test(sdk_sync, an_app_is_asked_about_itself)
{
    start_app(answer_introspection);
    struct sg_arena arena;
    struct sg_introspection found;
    struct sg_introspect_options ask = {.server_kind = "dev"};
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_introspect(url, &ask, &arena, &found, &f.error), SG_OK));
    cr_assert(found.is_sdk);
    cr_assert(found.is_mode_cloud);
    cr_assert(found.has_signing_key);
    cr_assert(eq(i64, found.function_count, 14));
    assert_contains(found.text, "set INNGEST_DEV=1");
    app_stop(&app);
    cr_assert(eq(int, sg_introspect(url, &ask, &arena, &found, &f.error), SG_OK));
    cr_assert(eq(int, found.http_status, 0));
    assert_contains(found.text, "Connection refused");
    sg_arena_free(&arena);
}
