/*
 * GET /: one page for people, made anew for each request: apps, their functions, the latest runs, and where to look next.
 *
 * Self-contained: no script, no style sheet, nothing from elsewhere, and everything that came from outside is escaped.
 */
#include <string.h>

#include <stepgate/engine.h>
#include <stepgate/json.h>

#include "base/duration.h"
#include "server/catalog.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"

static const char head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
    "<title>stepgate</title><style>"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:64em;padding:0 1em;color:#222;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:.5em 0 2em}th,td{text-align:left;padding:.25em .75em .25em 0;border-bottom:1px solid "
    "#ddd;"
    "vertical-align:top}code{font-size:13px}.bad{color:#b00}@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}"
    "th,td{border-color:#333}a{color:#8bf}.bad{color:#f88}}</style></head><body><h1>stepgate</h1>";

static void escape(struct sg_buf *out, struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '<':
            sg_buf_append(out, SG_STR("&lt;"));
            break;
        case '>':
            sg_buf_append(out, SG_STR("&gt;"));
            break;
        case '&':
            sg_buf_append(out, SG_STR("&amp;"));
            break;
        case '"':
            sg_buf_append(out, SG_STR("&quot;"));
            break;
        case '\'':
            sg_buf_append(out, SG_STR("&#39;"));
            break;
        default:
            sg_buf_byte(out, text.ptr[i]);
            break;
        }
    }
}

/* "shop/order.placed, every 0 * * * *" from the triggers of a configuration. */
static void append_triggers(struct sg_buf *out, struct sg_str config, struct sg_arena *arena)
{
    struct sg_json_iter iter = sg_json_iter(sg_json_get(config, SG_STR("triggers")));
    struct sg_str trigger, text;
    bool is_first = true;

    while (sg_json_next_element(&iter, &trigger)) {
        struct sg_str event = sg_json_get(trigger, SG_STR("event"));
        struct sg_str cron = sg_json_get(trigger, SG_STR("cron"));
        if (!is_first)
            sg_buf_append(out, SG_STR(", "));
        is_first = false;
        if (event.len == 0)
            sg_buf_append(out, SG_STR("cron "));
        if (sg_json_to_str(event.len > 0 ? event : cron, arena, &text) == SG_OK)
            escape(out, text);
    }
}

static void append_apps(struct sg_buf *out, const struct sg_catalog *catalog, struct sg_arena *arena)
{
    sg_buf_append(out, SG_STR("<h2>Apps</h2>"));
    if (catalog->app_count == 0) {
        sg_buf_append(out, SG_STR("<p>No app has registered yet. Start one and send <code>PUT</code> to its serve URL, "
                                  "or start stepgate with <code>-u http://localhost:3000/api/inngest</code>.</p>"));
        return;
    }
    sg_buf_append(out, SG_STR("<table><tr><th>App<th>Function<th>Triggers<th>Where</tr>"));
    for (size_t a = 0; a < catalog->app_count; a++) {
        const struct sg_catalog_app *app = &catalog->apps[a];
        if (app->is_archived)
            continue;
        sg_buf_append(out, SG_STR("<tr><td><b>"));
        escape(out, app->name);
        sg_buf_append(out, SG_STR("</b><td><td>"));
        escape(out, app->sdk);
        sg_buf_append(out, SG_STR("<td><code>"));
        escape(out, app->url);
        sg_buf_append(out, SG_STR("</code>"));
        if (app->error.len > 0) {
            sg_buf_append(out, SG_STR("<br><span class=\"bad\">"));
            escape(out, app->error);
            sg_buf_append(out, SG_STR("</span>"));
        }
        for (size_t f = 0; f < catalog->function_count; f++) {
            const struct sg_catalog_function *function = &catalog->functions[f];
            if (function->is_archived || !sg_id_eq(function->app_id, app->id))
                continue;
            sg_buf_append(out, SG_STR("<tr><td><td>"));
            escape(out, function->name);
            sg_buf_append(out, SG_STR("<br><code>"));
            escape(out, function->slug);
            sg_buf_append(out, SG_STR("</code><td>"));
            append_triggers(out, function->config, arena);
            sg_buf_append(out, SG_STR("<td>"));
        }
    }
    sg_buf_append(out, SG_STR("</table>"));
}

struct run_rows {
    struct sg_buf *out;
    const struct sg_catalog *catalog;
    int shown;
};

static enum sg_status visit_run(void *context, const struct sg_record *record)
{
    struct run_rows *rows = context;
    const struct sg_value *values = record->values;
    const struct sg_catalog_function *function = sg_catalog_function_find(rows->catalog, sg_value_get_id(&values[SG_RUN_FUNCTION_ID]));
    char id[SG_ULID_LEN + 1];
    char time[SG_RFC3339_MAX];

    if (rows->shown++ == 0)
        sg_buf_append(rows->out, SG_STR("<table><tr><th>Run<th>Function<th>Status<th>Created (UTC)</tr>"));
    sg_ulid_format(sg_value_get_id(&values[SG_RUN_ID]), id);
    (void)sg_rfc3339_format(values[SG_RUN_CREATED_AT].number, time);
    sg_buf_printf(rows->out, "<tr><td><a href=\"/v1/admin/runs/%s\"><code>%s</code></a><td>", id, id);
    escape(rows->out, function != NULL ? function->name : SG_STR("(removed)"));
    sg_buf_printf(rows->out, "<td>%s<td>%s", sg_run_status_name((enum sg_run_status)values[SG_RUN_STATUS].number), time);
    return SG_OK;
}

static void read_page(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .is_descending = true, .limit = SG_LIMIT_PAGE_RUNS};
    struct sg_catalog catalog;
    struct sg_error error;

    enum sg_status status = sg_catalog_read(reader, &request->arena, &catalog, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    struct sg_buf *out = sg_respond_body(request, 200);
    struct run_rows rows = {.out = out, .catalog = &catalog};
    request->response.content_type = "text/html; charset=utf-8";
    sg_buf_append(out, sg_str_from(head));
    append_apps(out, &catalog, &request->arena);
    sg_buf_append(out, SG_STR("<h2>Latest runs</h2>"));
    status = sg_store_read(reader, &query, visit_run, &rows, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    sg_buf_append(out, rows.shown > 0 ? SG_STR("</table>") : SG_STR("<p>None yet. Send an event to <code>POST /e/{key}</code>.</p>"));
    sg_buf_append(out, SG_STR("<p><a href=\"/v1/events\">events</a> · <a href=\"/v1/admin/apps\">apps as JSON</a> · "
                              "<a href=\"/metrics\">metrics</a> · <a href=\"/ready\">ready</a> · version "));
    escape(out, sg_str_from(request->server->version));
    sg_buf_append(out, SG_STR("</p></body></html>\n"));
}

void sg_handle_page(struct sg_request *request)
{
    sg_request_read(request, read_page);
}
