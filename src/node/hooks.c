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

static void status_hook(void *context, struct sg_server_status *status);
static void metrics_hook(void *context, struct sg_buf *out);
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

static void gauge(struct sg_buf *out, const char *name, const char *type, const char *help, int64_t value)
{
    sg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRId64 "\n", name, help, name, type, name, value);
}

static void metrics_hook(void *context, struct sg_buf *out)
{
    struct sg_node *node = context;
    SG_CHECK(node, SG_NODE_MAGIC);
    if (atomic_load(&node->state) == SG_SERVER_STARTING)
        return;
    struct sg_engine_stats engine;
    struct sg_caller_stats caller;
    int64_t commits;
    int64_t writes;
    sg_loop_stats(node->loop, &engine);
    sg_caller_stats(node->caller, &caller);
    sg_committer_totals(node->committer, &commits, &writes);
    struct sg_retention_totals trimmed;
    sg_retention_totals(node->retention, &trimmed);

    gauge(out, "inngest_queue_depth", "gauge", "Jobs that wait for their time.", engine.jobs);
    gauge(out, "stepgate_runs_live", "gauge", "Runs that have not ended.", engine.runs);
    gauge(out, "stepgate_runs_hydrated", "gauge", "Runs held in memory with their steps.", engine.hydrated);
    gauge(out, "stepgate_calls_in_flight", "gauge", "Calls of SDKs the engine waits for.", engine.calls);
    gauge(out, "stepgate_apps", "gauge", "Apps.", engine.apps);
    gauge(out, "stepgate_functions", "gauge", "Functions in force.", engine.functions);
    gauge(out, "stepgate_cursors", "gauge", "Works done in slices that are not finished.", engine.cursors);
    gauge(out, "stepgate_stray_records_total", "counter", "Records dropped because they made no sense.", engine.stray);
    gauge(out, "stepgate_damaged_runs_total", "counter", "Runs failed because they could not be loaded.", engine.damaged);
    gauge(out, "stepgate_last_event_position", "gauge", "Position of the newest event in the log.", engine.last_position);
    gauge(out, "stepgate_inbox_waiting", "gauge", "Requests that wait for the engine.", sg_inbox_waiting(node->inbox));
    gauge(out, "stepgate_reads_waiting", "gauge", "Reads that wait for a thread.", sg_store_pool_waiting(node->pool));
    gauge(out, "stepgate_sdk_calls_total", "counter", "Calls sent to SDKs.", caller.calls);
    gauge(out, "stepgate_sdk_calls_failed_total", "counter", "Of these without an answer.", caller.failures);
    gauge(out, "stepgate_sdk_calls_waiting", "gauge", "Calls held back by connection limits.", caller.waiting);
    gauge(out, "stepgate_sdk_connections_opened_total", "counter", "Connections opened to SDKs.", caller.connections);
    gauge(out, "stepgate_commits_total", "counter", "Transactions committed.", commits);
    gauge(out, "stepgate_writes_total", "counter", "Records written in them.", writes);
    gauge(out, "stepgate_store_failing", "gauge", "1 while the store cannot commit.", sg_committer_is_failing(node->committer));
    gauge(out, "stepgate_db_size_bytes", "gauge", "Bytes on disk, with the log.", sg_store_size_bytes(node->store));
    gauge(out, "stepgate_trimmed_runs_total", "counter", "Finished runs dropped by retention.", trimmed.runs);
    gauge(out, "stepgate_trimmed_events_total", "counter", "Events dropped by retention.", trimmed.events);
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
