/*
 * The router: every route of the server is one line of the table below. To add one, add its line and its handler.
 *
 * A path is matched segment by segment against the patterns, in order; a part in braces takes one segment of any text,
 * which is percent-decoded afterwards, so that a slash in an event key or an id cannot change the route. A path that is
 * known with another method is a 405, one that is not known is a 404 that lists what there is (reference/11 §9).
 */
#include "server/router.h"

#include <string.h>

#include "base/check.h"
#include "server/handlers.h"
#include "server/limits.h"

static const struct sg_route routes[] = {
    /* method, path, auth, shape of errors, body, new work?, handler */
    {SG_METHOD_POST, "/e/{key}", SG_AUTH_EVENT_KEY, SG_SHAPE_EVENT, SG_LIMIT_EVENT_BODY_BYTES, true, sg_handle_events_post},
    {SG_METHOD_POST, "/invoke/{slug}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_EVENT_BODY_BYTES, true, sg_handle_invoke},
    {SG_METHOD_POST, "/v1/checkpoint/{run}/async", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false,
     sg_handle_checkpoint},
    {SG_METHOD_POST, "/v1/http/runs/{run}/async", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false,
     sg_handle_checkpoint},
    {SG_METHOD_POST, "/v1/checkpoint/{run}/steps", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false,
     sg_handle_checkpoint_steps},
    {SG_METHOD_POST, "/v1/http/runs/{run}/steps", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false,
     sg_handle_checkpoint_steps},
    {SG_METHOD_POST, "/v1/checkpoint", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false, sg_handle_http_run},
    {SG_METHOD_POST, "/v1/checkpoint/", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false, sg_handle_http_run},
    {SG_METHOD_POST, "/v1/http/runs", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false, sg_handle_http_run},
    {SG_METHOD_POST, "/v1/http/runs/", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CHECKPOINT_BYTES, false, sg_handle_http_run},
    {SG_METHOD_GET, "/v1/checkpoint/{run}/output", SG_AUTH_NONE, SG_SHAPE_PUBLIC, 0, false, sg_handle_output}, /* by its token */
    {SG_METHOD_GET, "/v1/http/runs/{run}/output", SG_AUTH_NONE, SG_SHAPE_PUBLIC, 0, false, sg_handle_output},
    {SG_METHOD_GET, "/v1/realtime/sse", SG_AUTH_NONE, SG_SHAPE_PUBLIC, 0, false, sg_handle_sse}, /* by its token */
    {SG_METHOD_POST, "/v1/realtime/publish/tee", SG_AUTH_SIGNING_KEY, SG_SHAPE_TEXT, SG_LIMIT_TEE_BYTES, false, sg_handle_tee},
    {SG_METHOD_GET, "/v0/runs/{run}/actions", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_run_actions},
    {SG_METHOD_GET, "/v0/runs/{run}/batch", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_run_batch},
    {SG_METHOD_DELETE, "/v0/runs/{run}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_run_cancel_v0},

    {SG_METHOD_GET, "/dev", SG_AUTH_SIGNING_KEY, SG_SHAPE_TEXT, 0, false, sg_handle_dev},
    {SG_METHOD_POST, "/fn/register", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_REGISTRATION_BYTES, true, sg_handle_register},
    {SG_METHOD_DELETE, "/fn/remove", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, true, sg_handle_remove},

    {SG_METHOD_GET, "/v1/events", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_events_list},
    {SG_METHOD_GET, "/v1/events/{id}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_event_get},
    {SG_METHOD_GET, "/v1/events/{id}/runs", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_event_runs},
    {SG_METHOD_GET, "/v1/runs/{run}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_run_get},
    {SG_METHOD_DELETE, "/v1/runs/{run}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_run_cancel},
    {SG_METHOD_GET, "/v1/runs/{run}/jobs", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_run_jobs},
    {SG_METHOD_POST, "/v1/signals", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_API_BODY_BYTES, true, sg_handle_signal},
    {SG_METHOD_POST, "/v1/cancellations", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_CANCELLATION_BYTES, true,
     sg_handle_cancellations_post},
    {SG_METHOD_GET, "/v1/cancellations", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_cancellations_list},
    {SG_METHOD_GET, "/v1/cancellations/{id}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_cancellation_get},
    {SG_METHOD_DELETE, "/v1/cancellations/{id}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_cancellation_delete},
    {SG_METHOD_GET, "/v1/apps/{name}/functions", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_app_functions},

    {SG_METHOD_GET, "/v1/admin/runs/{run}", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_admin_run},
    {SG_METHOD_GET, "/v1/admin/runs/{run}/why", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_admin_why},
    {SG_METHOD_GET, "/v1/admin/status", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_admin_status},
    {SG_METHOD_GET, "/v1/admin/apps", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_admin_apps},
    {SG_METHOD_GET, "/v1/admin/server", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_admin_server},
    {SG_METHOD_POST, "/v1/admin/sync", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, SG_LIMIT_API_BODY_BYTES, true, sg_handle_admin_sync},

    {SG_METHOD_GET, "/health", SG_AUTH_NONE, SG_SHAPE_PUBLIC, 0, false, sg_handle_health},
    {SG_METHOD_GET, "/ready", SG_AUTH_NONE, SG_SHAPE_PUBLIC, 0, false, sg_handle_ready},
    {SG_METHOD_GET, "/metrics", SG_AUTH_NONE, SG_SHAPE_PUBLIC, 0, false, sg_handle_metrics},
    {SG_METHOD_GET, "/", SG_AUTH_SIGNING_KEY, SG_SHAPE_PUBLIC, 0, false, sg_handle_page},
};

size_t sg_router_count(void)
{
    return SG_ARRAY_LEN(routes);
}

const struct sg_route *sg_router_at(size_t index)
{
    assert(index < SG_ARRAY_LEN(routes));
    return &routes[index];
}

/* Whether `path` fits `pattern`; its variable segments, still encoded, go to `segments`. */
static bool matches(const char *pattern, struct sg_str path, struct sg_str segments[SG_REQUEST_PARAMETERS_MAX], size_t *count)
{
    size_t at = 0;

    *count = 0;
    while (*pattern != '\0') {
        if (*pattern == '{') {
            size_t start = at;
            while (at < path.len && path.ptr[at] != '/')
                at++;
            if (at == start)
                return false; /* an empty segment is no value: POST /e/ has no key */
            assert(*count < SG_REQUEST_PARAMETERS_MAX);
            segments[(*count)++] = (struct sg_str){path.ptr + start, at - start};
            pattern = strchr(pattern, '}');
            assert(pattern != NULL);
            pattern++;
        } else {
            if (at >= path.len || path.ptr[at] != *pattern)
                return false;
            at++;
            pattern++;
        }
    }
    return at == path.len;
}

enum sg_route_match sg_router_find(enum sg_method method, struct sg_str path, struct sg_arena *arena, const struct sg_route **route,
                                   struct sg_str parameters[SG_REQUEST_PARAMETERS_MAX])
{
    struct sg_str segments[SG_REQUEST_PARAMETERS_MAX];
    bool is_known = false;
    size_t count;

    *route = NULL;
    for (size_t i = 0; i < SG_ARRAY_LEN(routes); i++) {
        if (!matches(routes[i].pattern, path, segments, &count))
            continue;
        is_known = true;
        if (routes[i].method != method)
            continue;
        for (size_t p = 0; p < count; p++) {
            enum sg_status status = sg_url_decode(arena, segments[p], &parameters[p]);
            if (status != SG_OK)
                return status == SG_NO_MEMORY ? SG_ROUTE_NO_MEMORY : SG_ROUTE_BAD_PATH;
        }
        *route = &routes[i];
        return SG_ROUTE_FOUND;
    }
    return is_known ? SG_ROUTE_OTHER_METHOD : SG_ROUTE_UNKNOWN;
}

const char *sg_router_methods(struct sg_str path, struct sg_arena *arena)
{
    struct sg_str segments[SG_REQUEST_PARAMETERS_MAX];
    struct sg_str list = SG_STR("");
    size_t count;

    for (size_t i = 0; i < SG_ARRAY_LEN(routes); i++) {
        if (!matches(routes[i].pattern, path, segments, &count))
            continue;
        list = sg_arena_printf(arena, "%.*s%s%s", SG_FMT(list), list.len > 0 ? ", " : "", sg_method_name(routes[i].method));
        if (list.ptr == NULL)
            return NULL;
    }
    return list.ptr;
}

enum sg_shape sg_router_shape(struct sg_str path)
{
    if (sg_str_starts_with(path, SG_STR("/e/")))
        return SG_SHAPE_EVENT;
    if (sg_str_eq(path, SG_STR("/dev")))
        return SG_SHAPE_TEXT;
    return SG_SHAPE_PUBLIC;
}

void sg_router_list(struct sg_buf *out)
{
    sg_buf_byte(out, '[');
    for (size_t i = 0; i < SG_ARRAY_LEN(routes); i++)
        sg_buf_printf(out, "%s\"%s %s\"", i > 0 ? "," : "", sg_method_name(routes[i].method), routes[i].pattern);
    sg_buf_byte(out, ']');
}
