/*
 * Doctor, the apps' part.
 *
 * The model. The gateway's list has apps that have registered, and places where one was looked for. Each address is asked from here as well, signed with
 * the user's key if the gateway signs, and the two pictures are compared. What does not answer here is no fault by itself, since doctor may run on
 * another network: then the gateway is told to look, which it does by the sync that it would do anyway, and its result counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "cli/doctor.h"
#include "cli/watch.h"
#include "sdk/introspect.h"
#include "sdk/url.h"

#define APP_CLOCK_TOLERANCE_MS 30000
/* An app that takes longer for a look at itself will not answer its gateway in time either. */
#define ASK_TIMEOUT_MS 5000
/* A sync has ten seconds, and may have to wait for its turn. */
#define LOOK_TIMEOUT_NS ((int64_t)15 * 1000000000)

/* One address, as the gateway sees it. */
struct patient {
    struct sg_str url;
    struct sg_str name; /* empty: nothing has registered there */
    struct sg_str sdk;  /* at the last registration */
    struct sg_str error;
    int64_t function_count;
};

static void check_app(struct sg_doctor *doctor, struct sg_str app, struct sg_str places);
static void check_place(struct sg_doctor *doctor, struct sg_str place, struct sg_str apps);
static void ask(struct sg_doctor *doctor, const struct patient *patient);
static bool let_gateway_look(struct sg_doctor *doctor, struct sg_str url, struct sg_str *why);
static bool last_look(struct sg_doctor *doctor, struct sg_str url, struct sg_str *tried_at, struct sg_str *why);
static void compare(struct sg_doctor *doctor, const char *what, const struct patient *patient, const struct sg_introspection *found);
static bool text_of(struct sg_doctor *doctor, struct sg_str object, const char *key, struct sg_str *text);
static struct sg_str place_error(struct sg_doctor *doctor, struct sg_str places, struct sg_str url);
static bool has_app_at(struct sg_doctor *doctor, struct sg_str apps, struct sg_str url);

void sg_doctor_apps(struct sg_doctor *doctor)
{
    struct sg_buf data = {0};
    if (!sg_watch_get(&doctor->http, "/v1/admin/apps", &data)) {
        sg_buf_free(&data);
        doctor->is_well = false;
        return;
    }
    struct sg_str apps = sg_json_get(sg_buf_str(&data), SG_STR("apps"));
    struct sg_str places = sg_json_get(sg_buf_str(&data), SG_STR("places"));
    struct sg_json_iter iter = sg_json_iter(apps);
    struct sg_str element;
    size_t count = 0;
    while (sg_json_next_element(&iter, &element)) {
        bool is_archived = false;
        (void)sg_json_to_bool(sg_json_get(element, SG_STR("is_archived")), &is_archived);
        if (is_archived || sg_json_str_eq(sg_json_get(element, SG_STR("sync_kind")), SG_STR("endpoint")))
            continue; /* a durable endpoint never registers: its runs made it known */
        check_app(doctor, element, places);
        count++;
    }
    iter = sg_json_iter(places);
    while (sg_json_next_element(&iter, &element))
        check_place(doctor, element, apps);
    if (count == 0)
        sg_doctor_report(doctor, false, "apps",
                         "None has registered. Tell the gateway (--sdk-url URL) or the app (curl -X PUT URL) where the other one is.");
    sg_buf_free(&data);
}

static void check_app(struct sg_doctor *doctor, struct sg_str app, struct sg_str places)
{
    struct patient patient = {.function_count = 0};
    if (!text_of(doctor, app, "name", &patient.name) || !text_of(doctor, app, "url", &patient.url) ||
        !text_of(doctor, app, "sdk", &patient.sdk) || !text_of(doctor, app, "error", &patient.error))
        return;
    struct sg_json_iter iter = sg_json_iter(sg_json_get(app, SG_STR("functions")));
    struct sg_str function;
    while (sg_json_next_element(&iter, &function)) {
        bool is_archived = false;
        (void)sg_json_to_bool(sg_json_get(function, SG_STR("is_archived")), &is_archived);
        patient.function_count += !is_archived;
    }
    if (patient.error.len == 0)
        patient.error = place_error(doctor, places, patient.url);
    ask(doctor, &patient);
}

/* A place by itself: where an app should be and none has registered. One that was only guessed at is nobody's mistake. */
static void check_place(struct sg_doctor *doctor, struct sg_str place, struct sg_str apps)
{
    struct patient patient = {.function_count = -1};
    struct sg_str source;
    bool is_ok = true;
    (void)sg_json_to_bool(sg_json_get(place, SG_STR("is_ok")), &is_ok);
    if (is_ok || !text_of(doctor, place, "url", &patient.url) || !text_of(doctor, place, "text", &patient.error) ||
        !text_of(doctor, place, "source", &source) || has_app_at(doctor, apps, patient.url))
        return;
    if (sg_str_eq(source, SG_STR("discovered")) && patient.error.len == 0)
        return;
    ask(doctor, &patient);
}

static void ask(struct sg_doctor *doctor, const struct patient *patient)
{
    char what[512];
    struct sg_error error = {.status = SG_OK};
    struct sg_introspection found;
    struct sg_introspect_options options = {.key = doctor->is_signed && doctor->has_key ? &doctor->key : NULL,
                                            .server_kind = doctor->kind,
                                            .timeout_ms = doctor->timeout_ms < ASK_TIMEOUT_MS ? doctor->timeout_ms : ASK_TIMEOUT_MS};
    if (patient->name.len > 0)
        (void)snprintf(what, sizeof(what), "app %.*s at %.*s", SG_FMT(patient->name), SG_FMT(patient->url));
    else
        (void)snprintf(what, sizeof(what), "app at %.*s", SG_FMT(patient->url));
    if (sg_introspect(patient->url, &options, &doctor->arena, &found, &error) != SG_OK) {
        sg_doctor_report(doctor, false, what, "%s", error.message);
        return;
    }
    struct patient seen = *patient;
    if (found.http_status == 0 && seen.error.len == 0 && !let_gateway_look(doctor, seen.url, &seen.error))
        seen.error = found.text;
    compare(doctor, what, &seen, &found);
}

/* `why`: what the gateway found wrong, or empty. False if it did not look in time. */
static bool let_gateway_look(struct sg_doctor *doctor, struct sg_str url, struct sg_str *why)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf request = {0};
    struct sg_buf answer = {0};
    struct sg_str before;
    struct sg_str after;
    struct timespec now;
    int http_status = 0;
    (void)last_look(doctor, url, &before, why);
    sg_buf_append(&request, SG_STR("{\"url\":"));
    sg_json_quote(&request, url);
    sg_buf_byte(&request, '}');
    struct sg_str body = sg_buf_str(&request);
    bool is_looking = !request.is_failed && clock_gettime(CLOCK_MONOTONIC, &now) == 0 &&
                      sg_http_request(&doctor->http, "/v1/admin/sync", &body, &http_status, &answer, &error) == SG_OK && http_status < 300;
    sg_buf_free(&answer);
    sg_buf_free(&request);
    int64_t until_ns = is_looking ? (int64_t)now.tv_sec * 1000000000 + now.tv_nsec + LOOK_TIMEOUT_NS : 0;
    while (is_looking && sg_watch_pause(until_ns))
        if (last_look(doctor, url, &after, why) && !sg_str_eq(before, after))
            return true;
    return false;
}

/* When the gateway looked there for the last time, and what was wrong; false if it never has. */
static bool last_look(struct sg_doctor *doctor, struct sg_str url, struct sg_str *tried_at, struct sg_str *why)
{
    struct sg_buf data = {0};
    struct sg_str where;
    struct sg_str place;
    bool is_found = false;
    *tried_at = SG_STR("");
    *why = SG_STR("");
    if (sg_watch_get(&doctor->http, "/v1/admin/apps", &data)) {
        struct sg_json_iter iter = sg_json_iter(sg_json_get(sg_buf_str(&data), SG_STR("places")));
        while (!is_found && sg_json_next_element(&iter, &place))
            is_found = text_of(doctor, place, "url", &where) && sg_url_is_same(where, url) &&
                       text_of(doctor, place, "tried_at", tried_at) && text_of(doctor, place, "text", why);
    }
    sg_buf_free(&data);
    return is_found && tried_at->len > 0;
}

static void compare(struct sg_doctor *doctor, const char *what, const struct patient *patient, const struct sg_introspection *found)
{
    bool was_well = doctor->is_well;
    bool is_new = false;
    int64_t ahead_ms = found->clock_ahead_ms - doctor->ahead_ms;
    int64_t off_ms = ahead_ms > 0 ? ahead_ms : -ahead_ms;
    doctor->is_well = true;
    if (patient->error.len > 0)
        sg_doctor_report(doctor, false, what, "%.*s", SG_FMT(patient->error));
    /* What the gateway has found out is said already; what it cannot know yet is said in the app's words. */
    else if (found->http_status != 0 && found->text.len > 0)
        sg_doctor_report(doctor, false, what, "%.*s", SG_FMT(found->text));
    if (found->http_status != 0 && found->clock_ahead_ms != 0 && off_ms > APP_CLOCK_TOLERANCE_MS)
        sg_doctor_report(doctor, false, what,
                         "The app's clock is %" PRId64
                         " s %s the gateway's; beyond five minutes it refuses every call. Let both machines follow a "
                         "time server (chrony, systemd-timesyncd).",
                         off_ms / 1000, ahead_ms > 0 ? "ahead of" : "behind");
    if (found->is_sdk && patient->function_count >= 0 && found->function_count >= 0 && found->function_count != patient->function_count) {
        is_new = true;
        sg_doctor_report(doctor, false, what,
                         "The app has %" PRId64 " functions, %" PRId64
                         " are registered: it has changed since. Register again: curl -X PUT %.*s",
                         found->function_count, patient->function_count, SG_FMT(patient->url));
    }
    if (!is_new && found->sdk.len > 0 && patient->sdk.len > 0 && !sg_str_ends_with(found->sdk, patient->sdk))
        sg_doctor_report(doctor, false, what, "The app runs %.*s, it registered as %.*s. Register again: curl -X PUT %.*s",
                         SG_FMT(found->sdk), SG_FMT(patient->sdk), SG_FMT(patient->url));
    if (found->is_sdk && found->is_mode_cloud && found->is_authenticated && !found->has_event_key)
        sg_doctor_report(doctor, false, what,
                         "The app has no event key, so it cannot send events: set its INNGEST_EVENT_KEY to one of the gateway's.");
    if (doctor->is_well && found->http_status == 0)
        sg_doctor_report(doctor, true, what, "%" PRId64 " functions, %.*s; not reachable from here, but from the gateway",
                         patient->function_count, SG_FMT(patient->sdk));
    else if (doctor->is_well)
        sg_doctor_report(doctor, true, what, "%" PRId64 " functions, %.*s, %s mode%s", patient->function_count, SG_FMT(patient->sdk),
                         !found->has_mode       ? "unknown"
                         : found->is_mode_cloud ? "production"
                                                : "dev",
                         found->is_authenticated ? ", accepts the gateway's signature" : "");
    doctor->is_well = doctor->is_well && was_well;
}

static bool text_of(struct sg_doctor *doctor, struct sg_str object, const char *key, struct sg_str *text)
{
    struct sg_str value = sg_json_get(object, sg_str_from(key));
    *text = SG_STR("");
    return sg_json_kind_of(value) != SG_JSON_STRING || sg_json_to_str(value, &doctor->arena, text) == SG_OK;
}

/* Why the last sync of that address failed; empty if it did not. */
static struct sg_str place_error(struct sg_doctor *doctor, struct sg_str places, struct sg_str url)
{
    struct sg_json_iter iter = sg_json_iter(places);
    struct sg_str place;
    struct sg_str where;
    struct sg_str text;
    while (sg_json_next_element(&iter, &place)) {
        bool is_ok = true;
        (void)sg_json_to_bool(sg_json_get(place, SG_STR("is_ok")), &is_ok);
        if (!is_ok && text_of(doctor, place, "url", &where) && sg_url_is_same(where, url) && text_of(doctor, place, "text", &text))
            return text;
    }
    return SG_STR("");
}

static bool has_app_at(struct sg_doctor *doctor, struct sg_str apps, struct sg_str url)
{
    struct sg_json_iter iter = sg_json_iter(apps);
    struct sg_str app;
    struct sg_str where;
    while (sg_json_next_element(&iter, &app))
        if (text_of(doctor, app, "url", &where) && sg_url_is_same(where, url))
            return true;
    return false;
}
