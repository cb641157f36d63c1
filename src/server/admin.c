/*
 * /v1/admin: what is inside, for the command line, the UI and people (design: it explains itself), and the functions of an app.
 *
 * A run is shown with its steps as they stand, so that asking again and again shows a run as it happens. Outputs of steps are shown as far as they fit
 * a budget; the whole of them is at /v0/runs/{run}/actions while the run lives.
 */
#include <stdlib.h>
#include <string.h>

#include <stepgate/engine.h>
#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/sync.h"
#include "server/catalog.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"

/* ---- one run with its steps ---- */

struct step {
    struct sg_str id;
    struct sg_str name;
    struct sg_str error;  /* empty: none */
    struct sg_str output; /* the memo; empty: none, or too large to show */
    int64_t op;
    int64_t status;
    int64_t attempts;
    int64_t started_at_ms; /* 0: not yet */
    int64_t ended_at_ms;
    int64_t seq; /* of completion; -1: none yet */
    bool has_large_output;
};

struct steps {
    struct sg_arena *arena;
    struct step *items;
    size_t count;
    size_t budget; /* bytes of outputs that may still be shown */
};

static enum sg_status visit_step(void *context, const struct sg_record *record)
{
    struct steps *steps = context;
    const struct sg_value *values = record->values;

    if ((steps->count & (steps->count - 1)) == 0) { /* a power of two: full */
        struct step *larger = sg_arena_alloc(steps->arena, (steps->count > 0 ? steps->count * 2 : 1) * sizeof(*larger));
        if (larger == NULL)
            return SG_NO_MEMORY;
        if (steps->count > 0)
            memcpy(larger, steps->items, steps->count * sizeof(*larger));
        steps->items = larger;
    }
    struct step *step = &steps->items[steps->count++];
    *step = (struct step){
        .id = sg_arena_copy(steps->arena, values[SG_STEP_ID].bytes),
        .name = sg_arena_copy(steps->arena, values[SG_STEP_NAME].bytes),
        .error = sg_arena_copy(steps->arena, values[SG_STEP_ERROR].bytes),
        .op = values[SG_STEP_OP].number,
        .status = values[SG_STEP_STATUS].number,
        .attempts = values[SG_STEP_ATTEMPTS].number,
        .started_at_ms = values[SG_STEP_STARTED_AT].number,
        .ended_at_ms = values[SG_STEP_ENDED_AT].number,
        .seq = -1,
    };
    return step->id.ptr != NULL && step->name.ptr != NULL && step->error.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

static int compare_ids(const void *key, const void *item)
{
    return sg_str_cmp(*(const struct sg_str *)key, ((const struct step *)item)->id);
}

/* Steps are in the order of their ids here, as the key of their kind is. */
static enum sg_status visit_memo(void *context, const struct sg_record *record)
{
    struct steps *steps = context;
    struct sg_str id = record->values[SG_MEMO_STEP_ID].bytes;
    struct sg_str bytes = record->values[SG_MEMO_BYTES].bytes;

    struct step *step = steps->count > 0 ? bsearch(&id, steps->items, steps->count, sizeof(*steps->items), compare_ids) : NULL;
    if (step == NULL)
        return SG_OK;
    step->seq = record->values[SG_MEMO_SEQ].number;
    if (bytes.len > steps->budget) {
        step->has_large_output = true;
        return SG_OK;
    }
    step->output = sg_arena_copy(steps->arena, bytes);
    steps->budget -= bytes.len;
    return step->output.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

/* As they happened: by start, those that have not started last. */
static int by_start(const void *a, const void *b)
{
    const struct step *one = a;
    const struct step *other = b;
    int64_t one_at = one->started_at_ms > 0 ? one->started_at_ms : INT64_MAX;
    int64_t other_at = other->started_at_ms > 0 ? other->started_at_ms : INT64_MAX;

    if (one_at != other_at)
        return one_at < other_at ? -1 : 1;
    int64_t one_seq = one->seq >= 0 ? one->seq : INT64_MAX;
    int64_t other_seq = other->seq >= 0 ? other->seq : INT64_MAX;
    if (one_seq != other_seq)
        return one_seq < other_seq ? -1 : 1;
    return sg_str_cmp(one->id, other->id);
}

static void append_moment(struct sg_buf *out, const char *key, int64_t unix_ms)
{
    if (unix_ms > 0)
        sg_json_member_time(out, key, unix_ms);
    else
        sg_json_member_raw(out, key, SG_STR_NULL);
}

static void append_step(struct sg_buf *out, const struct step *step)
{
    sg_buf_byte(out, '{');
    sg_json_member_int(out, "attempts", step->attempts);
    sg_buf_byte(out, ',');
    append_moment(out, "ended_at", step->ended_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "error", step->error);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "id", step->id);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "name", step->name);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "op", sg_str_from(sg_opcode_name((enum sg_opcode)step->op)));
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "output", step->output);
    if (step->has_large_output)
        sg_buf_append(out, SG_STR(",\"output_is_omitted\":true"));
    sg_buf_byte(out, ',');
    append_moment(out, "started_at", step->started_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "status", sg_str_from(sg_step_status_name((enum sg_step_status)step->status)));
    sg_buf_byte(out, '}');
}

static enum sg_status read_steps(struct sg_store_reader *reader, const struct sg_id *run_id, struct steps *steps, struct sg_error *error)
{
    struct sg_query query = {.kind = SG_KIND_STEP, .index = SG_INDEX_KEY, .equal_count = 1, .limit = SG_LIMIT_CATALOG_ROWS};

    query.equal[0] = sg_value_id(run_id);
    enum sg_status status = sg_store_read(reader, &query, visit_step, steps, error);
    query.kind = SG_KIND_MEMO;
    if (status == SG_OK)
        status = sg_store_read(reader, &query, visit_memo, steps, error);
    if (status == SG_OK && steps->count > 1)
        qsort(steps->items, steps->count, sizeof(*steps->items), by_start);
    return status;
}

struct function_names {
    struct sg_arena *arena;
    struct sg_str slug;
    struct sg_str name;
};

static enum sg_status visit_names(void *context, const struct sg_record *record)
{
    struct function_names *names = context;

    names->slug = sg_arena_copy(names->arena, record->values[SG_FUNCTION_SLUG].bytes);
    names->name = sg_arena_copy(names->arena, record->values[SG_FUNCTION_NAME].bytes);
    return names->slug.ptr != NULL && names->name.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

static void read_admin_run(struct sg_request *request, struct sg_store_reader *reader)
{
    struct steps steps = {.arena = &request->arena, .budget = SG_LIMIT_ADMIN_OUTPUT_BYTES};
    struct function_names names = {.arena = &request->arena, .slug = SG_STR(""), .name = SG_STR("")};
    struct sg_record run;
    struct sg_error error;
    struct sg_id id = {{0}};

    (void)sg_ulid_parse(request->parameters[0], &id);
    struct sg_value key = sg_value_id(&id);
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &key, &request->arena, &run, &error);
    if (status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, "not_found", "There is no run %.*s", SG_FMT(request->parameters[0]));
        return;
    }
    struct sg_query query = {.kind = SG_KIND_FUNCTION, .index = SG_INDEX_KEY, .equal_count = 1, .is_descending = true, .limit = 1};
    if (status == SG_OK) {
        query.equal[0] = run.values[SG_RUN_FUNCTION_ID];
        status = sg_store_read(reader, &query, visit_names, &names, &error);
    }
    if (status == SG_OK)
        status = read_steps(reader, &id, &steps, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    struct sg_buf *out = sg_respond_envelope_begin(request);
    sg_buf_append(out, SG_STR("{\"run\":{"));
    sg_json_member_time(out, "created_at", run.values[SG_RUN_CREATED_AT].number);
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "error", run.values[SG_RUN_ERROR].bytes);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "function", names.slug);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "function_name", names.name);
    sg_buf_byte(out, ',');
    if (run.values[SG_RUN_REASON].is_null)
        sg_json_member_raw(out, "reason", SG_STR_NULL);
    else
        sg_json_member_str(out, "reason", run.values[SG_RUN_REASON].bytes);
    sg_buf_byte(out, ',');
    sg_run_json(out, &run);
    sg_buf_append(out, SG_STR("},\"steps\":["));
    for (size_t i = 0; i < steps.count; i++) {
        if (i > 0)
            sg_buf_byte(out, ',');
        append_step(out, &steps.items[i]);
    }
    sg_buf_append(out, SG_STR("]}"));
    sg_respond_envelope_end(request, 0);
}

void sg_handle_admin_run(struct sg_request *request)
{
    struct sg_id id;

    if (sg_ulid_parse(request->parameters[0], &id))
        sg_request_read(request, read_admin_run);
    else
        sg_respond_error(request, 400, "invalid_argument", "Invalid run ID: %.*s", SG_FMT(request->parameters[0]));
}

/* ---- apps ---- */

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
    append_moment(out, "synced_at", app->synced_at_ms);
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
    append_moment(out, "tried_at", place->tried_at_ms);
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
        append_moment(out, "archived_at", function->is_archived ? function->registered_at_ms : 0);
        sg_buf_byte(out, ',');
        sg_json_member_raw(out, "config", function->config);
        sg_buf_byte(out, ',');
        append_moment(out, "created_at", function->registered_at_ms);
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
