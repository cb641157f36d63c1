/*
 * What the server asks of the node: its state for /ready, figures for /metrics, the options for /dev, and syncs.
 *
 * What it never does: block, or compute a figure that is not kept anyway.
 */
#include "node/internal.h"

#include <inttypes.h>
#include <stdio.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "node/metrics.h"

static void status_hook(void *context, struct sg_server_status *status);
static void metrics_hook(void *context, struct sg_buf *out);
static void rows_hook(void *context, struct sg_buf *out);
static enum sg_status sync_hook(void *context, struct sg_str url, struct sg_error *error);
static void places_hook(void *context, void (*visit)(void *visit_context, const struct sg_sync_place *place), void *visit_context);
static void registered_hook(void *context, struct sg_str app_name, struct sg_str announced_url);
static bool configured_url_hook(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                                struct sg_str *configured);
static void start_options_hook(void *context, struct sg_buf *out);

struct sg_server_hooks sg_node_hooks(struct sg_node *node)
{
    return (struct sg_server_hooks){.context = node,
                                    .status = status_hook,
                                    .metrics = metrics_hook,
                                    .rows = rows_hook,
                                    .sync = sync_hook,
                                    .places = places_hook,
                                    .registered = registered_hook,
                                    .configured_url = configured_url_hook,
                                    .start_options = start_options_hook};
}

static void status_hook(void *context, struct sg_server_status *status)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    status->state = (enum sg_server_state)atomic_load(&node->state);
    status->text[0] = '\0';
    if (status->state == SG_SERVER_READY && sg_committer_is_failing(node->committer)) {
        status->state = SG_SERVER_STORE_FAILING;
        pthread_mutex_lock(&node->trouble_lock);
        snprintf(status->text, sizeof(status->text), "the store cannot commit: %.200s", node->trouble);
        pthread_mutex_unlock(&node->trouble_lock);
    }
}

static void metrics_hook(void *context, struct sg_buf *out)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    sg_metrics_render(node, out);
}

static void rows_hook(void *context, struct sg_buf *out)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    if (atomic_load(&node->state) != SG_SERVER_STARTING)
        sg_metrics_rows(node, out);
}

/* The sync itself is not waited for: its outcome is in GET /dev and in the log. */
static enum sg_status sync_hook(void *context, struct sg_str url, struct sg_error *error)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    struct sg_sync *sync = atomic_load(&node->sync);
    if (sync == NULL)
        return sg_error_set(error, SG_UNAVAILABLE, "the server is starting or ending");
    return sg_sync_request(sync, url, error);
}

static void places_hook(void *context, void (*visit)(void *visit_context, const struct sg_sync_place *place), void *visit_context)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    struct sg_sync *sync = atomic_load(&node->sync);
    if (sync != NULL)
        sg_sync_visit(sync, visit, visit_context);
}

static void registered_hook(void *context, struct sg_str app_name, struct sg_str announced_url)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    struct sg_sync *sync = atomic_load(&node->sync);
    if (sync != NULL)
        sg_sync_note_registration(sync, app_name, announced_url);
}

static bool configured_url_hook(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                                struct sg_str *configured)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    struct sg_sync *sync = atomic_load(&node->sync);
    return sync != NULL && sg_sync_configured_url(sync, app_name, announced_url, arena, configured);
}

/* reference/03 §2.1: what does not exist here has the value that the reference server shows by default. */
static void start_options_hook(void *context, struct sg_buf *out)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    const struct sg_node_options *options = &node->options;
    sg_buf_append(out, SG_STR("{\"dir\":\".\",\"urls\":["));
    for (size_t i = 0; i < options->url_count; i++) {
        if (i > 0)
            sg_buf_byte(out, ',');
        sg_json_quote(out, options->urls[i]);
    }
    sg_buf_printf(out,
                  "],\"autodiscover\":%s,\"poll\":%s,\"poll_interval\":%" PRId64 ",\"tick\":150000000,\"retry_interval\":%" PRId64
                  ",\"queue_workers\":100,\"require_keys\":%s,\"connectGatewayPort\":8289,\"connectGatewayHost\":\"\",\"NoUI\":false,"
                  "\"persist\":true,\"redis_uri\":\"\",\"postgres_uri\":\"\",\"sqlite_dir\":",
                  options->discovers ? "true" : "false", options->polls ? "true" : "false", options->poll_interval_ms / 1000,
                  options->retry_interval_ms / 1000, options->key_count > 0 ? "true" : "false");
    sg_json_quote(out, sg_str_from(options->data_dir != NULL ? options->data_dir : ""));
    sg_buf_byte(out, '}');
}
