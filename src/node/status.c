/*
 * The rows that the node adds to GET /v1/admin/status: every queue, pool and limit with its present value.
 *
 * Each row has a name, a value, the limit that holds for it (0: none), and what is meant. Values are those of GET /metrics, read at the same places.
 */
#include "node/internal.h"
#include "node/metrics.h"

#include "base/check.h"
#include "base/os_process.h"

static int64_t or_else(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static void queue_rows(const struct sg_node_options *options, const struct sg_metrics_now *now, struct sg_buf *out)
{
    int64_t messages_max = or_else(options->inbox_messages_max, SG_LIMIT_INBOX_MESSAGES);
    int64_t bytes_max = or_else(options->inbox_bytes_max, SG_LIMIT_INBOX_BYTES);
    sg_status_row(out, "queue.jobs", now->engine.jobs, 0, "jobs that wait for their time or are due");
    sg_status_row(out, "queue.due", now->due, 0, "of these, due and not started");
    sg_status_row(out, "queue.in_line", now->engine.lined, 0, "of these, held back because their app has as many calls as it may");
    sg_status_row(out, "queue.due_lag_ms", now->lag_ms, 0, "how late the oldest of these is");
    sg_status_row(out, "queue.cursors", now->engine.cursors, 0, "works done in slices that are not finished");
    sg_status_row(out, "queue.cancellations", now->engine.cancellations, SG_LIMIT_CANCELLATIONS,
                  "bulk cancellations under way; the limit is for those that are remembered");
    sg_status_row(out, "inbox.messages", now->inbox_waiting, messages_max, "clients' messages not taken yet; at the limit clients get 429");
    sg_status_row(out, "inbox.bytes", now->inbox_bytes, bytes_max, "their bytes; at the limit clients get 429");
    sg_status_row(out, "calls.in_flight", now->engine.calls, 0, "calls whose answer the engine waits for");
    sg_status_row(out, "calls.connected", now->caller.in_flight, or_else(options->calls_max, SG_DEFAULT_CALLS), "of these, sent");
    sg_status_row(out, "calls.waiting", now->caller.waiting, 0, "of these, held back by the limits of connections");
    sg_status_row(out, "calls.answers_waiting", now->caller.unposted, 0, "answers that have not got into the inbox");
    sg_status_row(out, "calls.per_app_max", -1, or_else(options->connections_per_app_max, SG_LIMIT_CONNECTIONS_PER_APP),
                  "calls to one app at a time");
}

static void fetch_rows(const struct sg_node_options *options, const struct sg_metrics_now *now, struct sg_buf *out)
{
    int64_t in_flight_max = or_else(options->fetches_max, SG_LIMIT_FETCHES_IN_FLIGHT);
    sg_status_row(out, "fetches.asked", now->engine.fetches, 0, "requests of steps that the engine waits for");
    sg_status_row(out, "fetches.in_flight", now->fetcher.in_flight, in_flight_max,
                  "of these, gone out; one app gets three quarters at most");
    sg_status_row(out, "fetches.waiting", now->fetcher.waiting, SG_LIMIT_FETCHES_WAITING, "of these, held back; at the limit they fail");
    sg_status_row(out, "fetches.outcomes_waiting", now->fetcher.unposted, 0, "outcomes that have not got into the inbox");
    sg_status_row(out, "fetches.failed", now->fetcher.failures, 0, "ended in an error since the start");
    sg_status_row(out, "fetches.refused", now->fetcher.refusals, 0, "of these, not made because of the address");
}

static void pool_rows(const struct sg_node_options *options, const struct sg_metrics_now *now, struct sg_buf *out)
{
    sg_status_row(out, "readers.waiting", now->reads_waiting, SG_NODE_QUERIES_MAX,
                  "reads that wait for a thread; the limit is for clients'");
    sg_status_row(out, "readers.threads", or_else(options->reader_threads, SG_NODE_READER_THREADS), 0, "");
    sg_status_row(out, "engine.runs_live", now->engine.runs, 0, "runs that have not ended");
    sg_status_row(out, "engine.runs_hydrated", now->engine.hydrated, 0, "of these, in memory with their steps");
    sg_status_row(out, "engine.run_bytes", now->engine.run_bytes, 0, "memory of runs without their steps");
    sg_status_row(out, "engine.job_bytes", now->engine.job_bytes, 0, "memory of jobs");
    sg_status_row(out, "engine.index_bytes", now->engine.index_bytes, 0, "memory of the tables that find both");
    sg_status_row(out, "engine.apps", now->engine.apps, 0, "");
    sg_status_row(out, "engine.functions", now->engine.functions, 0, "");
    sg_status_row(out, "engine.stray_records", now->engine.stray, 0, "records dropped because they made no sense");
    sg_status_row(out, "engine.damaged_runs", now->engine.damaged, 0, "runs failed because they could not be loaded");
    sg_status_row(out, "engine.steps_per_run_max", -1, or_else(options->steps_per_run_max, SG_LIMIT_STEPS_PER_RUN), "");
}

static void store_rows(const struct sg_node_options *options, const struct sg_metrics_now *now, struct sg_buf *out)
{
    struct sg_process_usage usage;
    sg_process_usage_read(&usage);
    sg_status_row(out, "store.commits", now->commits, 0, "since the start");
    sg_status_row(out, "store.writes", now->writes, 0, "records written in them");
    sg_status_row(out, "store.commit_failures", now->commit_failures, 0, "commits that failed and were tried again");
    sg_status_row(out, "store.is_failing", now->is_store_failing, 0, "1 while the store cannot commit");
    sg_status_row(out, "store.batch_messages_max", -1, or_else(options->messages_per_batch_max, SG_LIMIT_MESSAGES_PER_BATCH),
                  "messages that share a commit");
    sg_status_row(out, "store.database_bytes", now->store.database_bytes, options->retention_bytes, "the limit is that of retention");
    sg_status_row(out, "store.log_bytes", now->store.log_bytes, 0, "the write-ahead log on disk");
    sg_status_row(out, "store.cache_bytes", now->store.cache_bytes, 0, "memory of page caches");
    sg_status_row(out, "store.trimmed_runs", now->trimmed.runs, 0, "finished runs dropped by retention since the start");
    sg_status_row(out, "store.trimmed_events", now->trimmed.events, 0, "events dropped by retention since the start");
    sg_status_row(out, "store.retention_ms", -1, options->retention_ms, "finished runs and events older than this are dropped");
    sg_status_row(out, "process.resident_bytes", usage.resident_bytes, 0, "");
    sg_status_row(out, "process.open_fds", usage.open_fds, usage.fds_max > 0 ? usage.fds_max : 0, "");
    sg_status_row(out, "process.threads", usage.threads, 0, "");
}

void sg_metrics_rows(struct sg_node *node, struct sg_buf *out)
{
    struct sg_metrics_now now;
    sg_metrics_read(node, &now);
    queue_rows(&node->options, &now, out);
    fetch_rows(&node->options, &now, out);
    pool_rows(&node->options, &now, out);
    store_rows(&node->options, &now, out);
}
