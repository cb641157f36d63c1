/*
 * GET /dev: how SDKs of version 1 to 3 find out that a dev server is there, and how test harnesses wait for their
 * functions (reference/03 §2.1).
 *
 * Outside of `stepgate dev` it must not answer JSON, whatever the status: an SDK takes any JSON for a dev server (reference/01 §1.5).
 */
#include <stepgate/json.h>

#include "server/catalog.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/respond.h"

static void append_steps(struct sg_buf *out, struct sg_str steps)
{
    struct sg_json_iter iter = sg_json_iter(steps);
    struct sg_str key, step;
    bool is_first = true;

    sg_buf_append(out, SG_STR(",\"steps\":["));
    while (sg_json_next_member(&iter, &key, &step)) {
        struct sg_str retries = sg_json_get(step, SG_STR("retries"));
        sg_buf_append(out, is_first ? SG_STR("{") : SG_STR(",{"));
        is_first = false;
        sg_json_member_raw(out, "id", sg_json_get(step, SG_STR("id")));
        sg_buf_byte(out, ',');
        sg_json_member_raw(out, "name", sg_json_get(step, SG_STR("name")));
        sg_buf_byte(out, ',');
        if (retries.len > 0) {
            sg_json_member_raw(out, "retries", retries);
            sg_buf_byte(out, ',');
        }
        sg_json_member_raw(out, "uri", sg_json_get(sg_json_get(step, SG_STR("runtime")), SG_STR("url")));
        sg_buf_byte(out, '}');
    }
    sg_buf_byte(out, ']');
}

static void append_function(struct sg_buf *out, const struct sg_catalog_function *function)
{
    struct sg_str triggers = sg_json_get(function->config, SG_STR("triggers"));

    sg_buf_byte(out, '{');
    sg_json_member_int(out, "fv", function->version);
    sg_buf_byte(out, ',');
    sg_json_member_uuid(out, "id", function->id);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "name", function->name);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "slug", function->slug);
    append_steps(out, sg_json_get(function->config, SG_STR("steps")));
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "triggers", triggers.len > 0 ? triggers : SG_STR("[]"));
    sg_buf_byte(out, '}');
}

static void read_dev(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_server *server = request->server;
    struct sg_catalog catalog;
    struct sg_error error;
    bool is_first = true;

    enum sg_status status = sg_catalog_read(reader, &request->arena, &catalog, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    struct sg_buf *out = sg_respond_body(request, 200);
    sg_buf_append(out, SG_STR("{\"authed\":false,\"features\":{},\"functions\":["));
    for (size_t i = 0; i < catalog.function_count; i++) {
        if (catalog.functions[i].is_archived)
            continue;
        if (!is_first)
            sg_buf_byte(out, ',');
        is_first = false;
        append_function(out, &catalog.functions[i]);
    }
    sg_buf_printf(out,
                  "],\"handlers\":null,\"isMissingEventKeys\":%s,\"isMissingSigningKey\":%s,\"isSingleNodeService\":false,\"startOpts\":",
                  server->auth.event_key_count == 0 ? "true" : "false", server->auth.key_count == 0 ? "true" : "false");
    if (server->hooks.start_options != NULL)
        server->hooks.start_options(server->hooks.context, out);
    else
        sg_buf_append(out, SG_STR("{}"));
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "version", sg_str_from(server->version));
    sg_buf_append(out, SG_STR("}\n"));
}

void sg_handle_dev(struct sg_request *request)
{
    if (!request->server->is_dev) {
        sg_respond_error(request, 404, NULL, "404 page not found\n");
        return;
    }
    sg_request_read(request, read_dev);
}
