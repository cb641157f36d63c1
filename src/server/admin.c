/*
 * Apps over HTTP: what has registered and where it was looked for (/v1/admin/apps), a sync on demand (/v1/admin/sync),
 * and the functions of one app (/v1/apps/{name}/functions).
 *
 * A sync is only asked for here: an app may take its time to answer, and no request may wait that long. What came of it
 * is in /v1/admin/apps.
 */
#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/sync.h"
#include "server/catalog.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"

/* ---- GET /v1/admin/apps ---- */

static void append_app(struct sg_buf *out, const struct sg_catalog *catalog, const struct sg_catalog_app *app)
{
    bool is_first = true;

    sg_buf_byte(out, '{');
    sg_json_member_str(out, "app_version", app->version);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "checksum", app->checksum);
    sg_buf_byte(out, ',');
    if (app->error.len > 0)
        sg_json_member_str(out, "error", app->error);
    else
        sg_json_member_raw(out, "error", SG_STR_NULL);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "framework", app->framework);
    sg_buf_append(out, SG_STR(",\"functions\":["));
    for (size_t i = 0; i < catalog->function_count; i++) {
        const struct sg_catalog_function *function = &catalog->functions[i];
        if (!sg_id_eq(function->app_id, app->id))
            continue;
        sg_buf_append(out, is_first ? SG_STR("{") : SG_STR(",{"));
        is_first = false;
        sg_json_member_uuid(out, "id", function->id);
        sg_buf_printf(out, ",\"is_archived\":%s,", function->is_archived ? "true" : "false");
        sg_json_member_str(out, "name", function->name);
        sg_buf_byte(out, ',');
        sg_json_member_str(out, "slug", function->slug);
        sg_buf_byte(out, ',');
        sg_json_member_raw(out, "triggers", sg_json_get(function->config, SG_STR("triggers")));
        sg_buf_byte(out, ',');
        sg_json_member_int(out, "version", function->version);
        sg_buf_byte(out, '}');
    }
    sg_buf_append(out, SG_STR("],"));
    sg_json_member_uuid(out, "id", app->id);
    sg_buf_printf(out, ",\"is_archived\":%s,", app->is_archived ? "true" : "false");
    sg_json_member_str(out, "name", app->name);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "sdk", app->sdk);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "sync_kind", app->sync_kind);
    sg_buf_byte(out, ',');
    sg_json_member_moment(out, "synced_at", app->synced_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "url", app->url);
    sg_buf_byte(out, '}');
}

struct place_list {
    struct sg_buf *out;
    bool is_first;
};

static void append_place(void *context, const struct sg_sync_place *place)
{
    static const char *const sources[] = {"configured", "announced", "discovered", "requested"};
    struct place_list *list = context;
    struct sg_buf *out = list->out;

    sg_buf_append(out, list->is_first ? SG_STR("{") : SG_STR(",{"));
    list->is_first = false;
    sg_json_member_str(out, "announced_url", place->announced_url);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "app", place->app_name);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "code", place->code);
    sg_buf_printf(out, ",\"is_ok\":%s,\"is_tried\":%s,", place->is_ok ? "true" : "false", place->is_tried ? "true" : "false");
    assert((size_t)place->source < SG_ARRAY_LEN(sources));
    sg_json_member_str(out, "source", sg_str_from(sources[place->source]));
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "text", place->text);
    sg_buf_byte(out, ',');
    sg_json_member_moment(out, "tried_at", place->tried_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "url", place->url);
    sg_buf_byte(out, '}');
}

static void read_apps(struct sg_request *request, struct sg_store_reader *reader)
{
    const struct sg_server_hooks *hooks = &request->server->hooks;
    struct sg_catalog catalog;
    struct sg_error error;

    enum sg_status status = sg_catalog_read(reader, &request->arena, &catalog, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    struct sg_buf *out = sg_respond_envelope_begin(request);
    struct place_list list = {.out = out, .is_first = true};
    sg_buf_append(out, SG_STR("{\"apps\":["));
    for (size_t i = 0; i < catalog.app_count; i++) {
        if (i > 0)
            sg_buf_byte(out, ',');
        append_app(out, &catalog, &catalog.apps[i]);
    }
    sg_buf_append(out, SG_STR("],\"places\":["));
    if (hooks->places != NULL)
        hooks->places(hooks->context, append_place, &list);
    sg_buf_append(out, SG_STR("]}"));
    sg_respond_envelope_end_with(request, 0, catalog.is_cut ? SG_STR(",\"is_partial\":true") : SG_STR_NULL);
}

void sg_handle_admin_apps(struct sg_request *request)
{
    sg_request_read(request, read_apps);
}

/* ---- GET /v1/apps/{name}/functions: a bare array (reference/03 §3.7) ---- */

static void read_app_functions(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_catalog catalog;
    struct sg_error error;
    bool is_first = true;

    enum sg_status status = sg_catalog_read(reader, &request->arena, &catalog, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    const struct sg_catalog_app *app = sg_catalog_app_find(&catalog, request->parameters[0]);
    if (app == NULL) {
        sg_respond_error(request, 404, "not_found", "App not found: %.*s", SG_FMT(request->parameters[0]));
        return;
    }
    struct sg_buf *out = sg_respond_body(request, 200);
    sg_buf_byte(out, '[');
    for (size_t i = 0; i < catalog.function_count; i++) {
        const struct sg_catalog_function *function = &catalog.functions[i];
        if (!sg_id_eq(function->app_id, app->id))
            continue;
        sg_buf_append(out, is_first ? SG_STR("{") : SG_STR(",{"));
        is_first = false;
        sg_json_member_uuid(out, "app_id", app->id);
        sg_buf_byte(out, ',');
        /* The row does not say when it was archived, only since which version: the time of that version. */
        sg_json_member_moment(out, "archived_at", function->is_archived ? function->registered_at_ms : 0);
        sg_buf_byte(out, ',');
        sg_json_member_raw(out, "config", function->config);
        sg_buf_byte(out, ',');
        sg_json_member_moment(out, "created_at", function->registered_at_ms);
        sg_buf_append(out, SG_STR(",\"env_id\":\"" SG_ENVIRONMENT_ID "\","));
        sg_json_member_str(out, "id", function->slug);
        sg_buf_byte(out, ',');
        sg_json_member_uuid(out, "internal_id", function->id);
        sg_buf_byte(out, ',');
        sg_json_member_str(out, "name", function->name);
        sg_buf_byte(out, '}');
    }
    sg_buf_append(out, SG_STR("]\n"));
}

void sg_handle_app_functions(struct sg_request *request)
{
    sg_request_read(request, read_app_functions);
}

/* ---- POST /v1/admin/sync ---- */

void sg_handle_admin_sync(struct sg_request *request)
{
    const struct sg_server_hooks *hooks = &request->server->hooks;
    struct sg_error error = {.message = ""};
    struct sg_buf canonical;
    struct sg_str url = SG_STR_NULL;

    sg_buf_init(&canonical);
    enum sg_status status = sg_json_canonicalize(sg_buf_str(&request->body), NULL, &canonical, &error);
    if (status == SG_OK && sg_json_to_str(sg_json_get(sg_buf_str(&canonical), SG_STR("url")), &request->arena, &url) != SG_OK)
        status = sg_error_set(&error, SG_INVALID_ARGUMENT, "\"url\" (the serve URL of the app, a string) is required");
    if (status == SG_OK && hooks->sync == NULL)
        status = sg_error_set(&error, SG_NOT_SUPPORTED, "this gateway does not sync apps");
    if (status == SG_OK)
        status = hooks->sync(hooks->context, url, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
    } else {
        struct sg_buf *out = sg_respond_envelope_begin(request);
        request->response.status = 202; /* GET /v1/admin/apps shows what came of it */
        sg_buf_byte(out, '{');
        sg_json_member_str(out, "url", url);
        sg_buf_byte(out, '}');
        sg_respond_envelope_end(request, 0);
    }
    sg_buf_free(&canonical);
}
