/*
 * POST /fn/register and DELETE /fn/remove: apps come and go (reference/01 §4.6, reference/03 §2.2).
 *
 * The model. The registration is decoded and checked as a whole by the sdk room; the engine gets it only if all of it
 * is valid, and the answer goes out when it is on disk. SDKs judge the body of the answer and not its status
 * (reference/01 §4.7), so every refusal carries `error` and `status`; a list of what is wrong with which function
 * stands in `data.errors`. A refused registration is also kept with its app, so that it shows where the app is looked
 * for.
 */
#include <stepgate/json.h>

#include "base/check.h"
#include "base/log.h"
#include "sdk/registration.h"
#include "sdk/unapplied.h"
#include "sdk/url.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"

/* What is still needed once the message has gone. */
struct registering {
    struct sg_str app_name;
    struct sg_str announced_url;
};

static void on_registered(struct sg_request *request, const struct sg_reply *reply)
{
    const struct registering *registering = request->state;
    const struct sg_server_hooks *hooks = &request->server->hooks;

    if (reply->status != SG_OK) {
        sg_respond_status(request, reply->status, reply->message);
        return;
    }
    if (hooks->registered != NULL)
        hooks->registered(hooks->context, registering->app_name, registering->announced_url);
    sg_registration_warn_unapplied(registering->app_name, reply);
    struct sg_buf *out = sg_respond_body(request, 200);
    sg_buf_byte(out, '{');
    sg_json_member_uuid(out, "app_id", reply->id);
    sg_buf_printf(out, ",\"modified\":%s,\"ok\":true,", reply->is_modified ? "true" : "false");
    sg_json_member_uuid(out, "sync_id", sg_server_uuid(request->server));
    sg_buf_append(out, SG_STR("}\n"));
}

static void list_problems(struct sg_buf *out, const struct sg_config_problems *problems)
{
    sg_buf_append(out, SG_STR("{\"errors\":["));
    for (size_t i = 0; i < problems->count; i++) {
        if (i > 0)
            sg_buf_byte(out, ',');
        sg_buf_byte(out, '{');
        sg_json_member_str(out, "code", sg_str_from(problems->items[i].code));
        sg_buf_byte(out, ',');
        sg_json_member_str(out, "function", problems->items[i].function);
        sg_buf_byte(out, ',');
        sg_json_member_str(out, "message", problems->items[i].message);
        sg_buf_byte(out, '}');
    }
    sg_buf_byte(out, ']');
    if (problems->dropped > 0)
        sg_buf_printf(out, ",\"more\":%zu", problems->dropped);
    sg_buf_byte(out, '}');
}

/* Keeps the refusal with the app; nobody waits for that, and if it cannot be kept now the app will be refused again at its next sync. */
static void record_refusal(struct sg_server *server, const struct sg_registration *registration,
                           const struct sg_registration_report *report, const struct sg_error *error)
{
    if (registration->app_name.len == 0 && report->announced_url.len == 0)
        return;
    struct sg_message *message = sg_message_create(SG_MESSAGE_SYNC_FAILED);
    if (message == NULL)
        return;
    const struct sg_config_problem *first = report->problems.count > 0 ? &report->problems.items[0] : NULL;
    message->as.sync_failed.url = sg_arena_copy(&message->arena, report->announced_url);
    message->as.sync_failed.name = sg_arena_copy(&message->arena, registration->app_name);
    message->as.sync_failed.text =
        first != NULL ? sg_arena_printf(&message->arena, "%s: %.*s: %.*s", error->message, SG_FMT(first->function), SG_FMT(first->message))
                      : sg_arena_copy(&message->arena, sg_str_from(error->message));
    bool is_complete =
        message->as.sync_failed.url.ptr != NULL && message->as.sync_failed.name.ptr != NULL && message->as.sync_failed.text.ptr != NULL;
    if (!is_complete || server->poster.post(server->poster.context, message) != SG_OK)
        sg_message_free(message);
}

static void refuse(struct sg_request *request, enum sg_status status, const struct sg_registration *registration,
                   const struct sg_registration_report *report, const struct sg_error *error)
{
    struct sg_buf data;

    if (status == SG_NO_MEMORY) {
        sg_respond_status(request, status, "");
        return;
    }
    sg_log(SG_LOG_WARN, "refused a registration", SG_KV_STR("app", registration->app_name), SG_KV_STR("url", report->announced_url),
           SG_KV_ERROR(error), SG_KV_STR("first_problem", report->problems.count > 0 ? report->problems.items[0].message : SG_STR("")));
    sg_buf_init(&data);
    if (report->problems.count > 0)
        list_problems(&data, &report->problems);
    sg_response_error(&request->response, SG_SHAPE_PUBLIC, status == SG_TOO_LARGE ? 413 : 400, sg_status_code(status), sg_buf_str(&data),
                      sg_str_from(error->message));
    sg_buf_free(&data);
    record_refusal(request->server, registration, report, error);
}

/* Whether the app was told to look for a server of our kind. */
static bool check_kind(struct sg_request *request)
{
    struct sg_str expected = sg_request_header(request, "X-Inngest-Expected-Server-Kind");

    if (expected.len == 0 || sg_str_eq_nocase(expected, sg_str_from(request->server->kind)))
        return true;
    sg_respond_error(request, 400, "server_kind_mismatch", "Expected server kind %s, got %.*s", request->server->kind,
                     expected.len < 64 ? (int)expected.len : 64, expected.ptr);
    return false;
}

void sg_handle_register(struct sg_request *request)
{
    struct sg_server *server = request->server;
    struct sg_registration_report report = {.warning = SG_STR_NULL};
    struct sg_registration_options options = {.configured_url = server->hooks.configured_url, .context = server->hooks.context};
    struct sg_error error = {.message = ""};

    if (!check_kind(request))
        return;
    struct sg_message *message = sg_message_create(SG_MESSAGE_REGISTER);
    struct registering *registering = sg_arena_zalloc(&request->arena, sizeof(*registering));
    if (message == NULL || registering == NULL) {
        if (message != NULL)
            sg_message_free(message);
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    enum sg_status status =
        sg_registration_decode(sg_buf_str(&request->body), &options, &message->arena, &message->as.registration, &report, &error);
    sg_buf_free(&request->body);
    if (status == SG_OK) {
        registering->app_name = sg_arena_copy(&request->arena, message->as.registration.app_name);
        registering->announced_url = sg_arena_copy(&request->arena, report.announced_url);
        if (registering->app_name.ptr == NULL || registering->announced_url.ptr == NULL)
            status = sg_error_set(&error, SG_NO_MEMORY, "out of memory");
    }
    if (status != SG_OK) {
        refuse(request, status, &message->as.registration, &report, &error);
        sg_message_free(message);
        return;
    }
    if (report.warning.len > 0)
        sg_log(SG_LOG_WARN, "registration", SG_KV_STR("app", message->as.registration.app_name), SG_KV_STR("warning", report.warning));
    request->state = registering;
    atomic_fetch_add(&server->counters.registrations, 1);
    sg_request_post(request, message, on_registered);
}

/* ---- removal ---- */

static void on_removed(struct sg_request *request, const struct sg_reply *reply)
{
    struct sg_str *what = request->state;

    if (reply->status == SG_OK)
        sg_respond_empty(request, 200);
    else if (reply->status == SG_NOT_FOUND)
        sg_respond_error(request, 404, sg_status_code(SG_NOT_FOUND), "App not found: %.*s", SG_FMT(*what));
    else
        sg_respond_status(request, reply->status, reply->message);
}

void sg_handle_remove(struct sg_request *request)
{
    struct sg_str url, name;
    bool has_url, has_name;
    struct sg_buf normal;

    if (!sg_request_query(request, "url", &url, &has_url) || !sg_request_query(request, "name", &name, &has_name))
        return;
    if (url.len == 0 && name.len == 0) {
        sg_respond_error(request, 400, "invalid_argument",
                         "The query parameter \"url\" (the serve URL of the app) or \"name\" is required");
        return;
    }
    struct sg_message *message = sg_message_create(SG_MESSAGE_REMOVE_APP);
    struct sg_str *what = sg_arena_zalloc(&request->arena, sizeof(*what));
    sg_buf_init(&normal);
    if (message != NULL) {
        sg_url_normalise(url, &normal);
        message->as.remove_app.url = sg_arena_copy(&message->arena, sg_buf_str(&normal));
        message->as.remove_app.name = sg_arena_copy(&message->arena, name);
    }
    bool is_complete = message != NULL && what != NULL && !normal.is_failed && message->as.remove_app.url.ptr != NULL &&
                       message->as.remove_app.name.ptr != NULL;
    sg_buf_free(&normal);
    if (!is_complete) {
        if (message != NULL)
            sg_message_free(message);
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    *what = url.len > 0 ? url : name;
    request->state = what;
    sg_request_post(request, message, on_removed);
}
