/*
 * GET /metrics: what the node adds to the server's own figures. Names that dashboards know from the reference server are kept (reference/07 §5).
 *
 *     inngest_queue_depth                          jobs, also those far in the future; stepgate_queue_due and _future tell them apart
 *     stepgate_queue_oldest_due_age_seconds        how late the job is that has been due for longest
 *     stepgate_inbox_waiting, _bytes               clients' messages that the engine has not taken
 *     stepgate_calls_in_flight                     calls whose answer the engine waits for; of those:
 *     stepgate_sdk_calls_waiting, _answers_waiting held back by connection limits; answers that have not got into the inbox
 *     stepgate_fetches_in_flight, _waiting         requests made for steps (step.fetch, step.ai): gone out; held back by the pool's limit
 *     stepgate_fetches_total, _failed_total, _refused_total  gone out; ended in an error; of these not made, because of the address
 *     stepgate_reads_waiting                       reads that wait for a reader thread
 *     inngest_steps_scheduled, _running{fn}        calls that wait for a connection; calls under way
 *     inngest_function_run_scheduled_total{fn}     runs created; _started_total: with a first call; _ended_total{fn,status}
 *     inngest_sdk_req_scheduled_total{fn}          calls made by the engine; _started_total: sent; _ended_total{fn,status}: success, errored (will be
 *                                                  tried again), failed
 *     stepgate_step_retries_total{fn}              of those, errored
 *     stepgate_step_latency_seconds{app}           from the end of a call to the sending of the next one of the run: decode, commit, assemble
 *     stepgate_run_queue_delay_seconds{app}        from the event's arrival to the sending of the run's first call
 *     stepgate_sdk_request_duration_seconds{app}   from sending a call to its end
 *     stepgate_run_duration_seconds{app}           from creation to the end
 *     stepgate_sdk_call_errors_total{app,kind}     what was wrong with calls (enum sg_call_error)
 *     stepgate_events_total{kind}                  on disk: client, lifecycle
 *     stepgate_messages_total{kind}                handled, and what came of it is on disk (events, checkpoint, answer, ...)
 *     stepgate_checkpoint_steps_total, _memos_total, _memo_bytes_total, _attempts_total
 *     stepgate_db_write_seconds                    commits; stepgate_commit_messages, _commit_writes: what was in them
 *     stepgate_db_write_failures_total             commits that the store refused, each tried again
 *     stepgate_db_size_bytes, _wal_bytes           on disk
 *     stepgate_memory_bytes{room}                  as far as it is known
 *     stepgate_runs_live, _hydrated, _cursors, _cancellations, _apps, _functions, _stray_records_total, _damaged_runs_total, _trimmed_*
 *     stepgate_build_info{version,schema}  always 1
 *     process_*                                    the standard set
 *
 * Labels are bounded: SG_LIMIT_METRIC_APPS apps and SG_LIMIT_METRIC_FUNCTIONS functions by name, the rest together as "other". Functions and apps have
 * their series from their registration on, so that a rate is there from the first event.
 *
 * What it never does: stop the engine or a commit for a figure.
 */
#include "node/metrics.h"

#include <stdio.h>

#include "base/check.h"
#include "base/os_process.h"
#include "base/prometheus.h"
#include "node/internal.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.0.0"
#endif

static int64_t value_of(atomic_llong *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct sg_str label_text(const struct sg_meter_label *label)
{
    return (struct sg_str){label->name, label->name_len};
}

/* ---- by function ---- */

static void function_values(struct sg_buf *out, struct sg_meters *meters, const char *name, const char *type, const char *help,
                            int64_t (*value)(struct sg_function_meter *function))
{
    int known = atomic_load_explicit(&meters->function_table.count, memory_order_acquire);
    sg_prom_family(out, name, type, help);
    for (int i = 0; i <= known; i++) {
        struct sg_function_meter *function = &meters->functions[i < known ? i : SG_LIMIT_METRIC_FUNCTIONS];
        int64_t number = value(function);
        if (i < known || number != 0)
            sg_prom_int(out, name, &(struct sg_prom_label){"fn", label_text(&function->label)}, 1, number);
    }
}

static void function_statuses(struct sg_buf *out, struct sg_meters *meters, const char *name, const char *help, const char *const *statuses,
                              int status_count, atomic_llong *(*counters)(struct sg_function_meter *function))
{
    int known = atomic_load_explicit(&meters->function_table.count, memory_order_acquire);
    sg_prom_family(out, name, "counter", help);
    for (int i = 0; i <= known; i++) {
        struct sg_function_meter *function = &meters->functions[i < known ? i : SG_LIMIT_METRIC_FUNCTIONS];
        for (int status = 0; status < status_count; status++) {
            int64_t number = value_of(&counters(function)[status]);
            struct sg_prom_label labels[] = {{"fn", label_text(&function->label)}, {"status", sg_str_from(statuses[status])}};
            if (i < known || number != 0)
                sg_prom_int(out, name, labels, SG_ARRAY_LEN(labels), number);
        }
    }
}

static int64_t calls_ended(struct sg_function_meter *function)
{
    int64_t ended = 0;
    for (int end = 0; end < SG_METER_CALL_ENDS; end++)
        ended += value_of(&function->calls_ended[end]);
    return ended;
}

static int64_t not_negative(int64_t number)
{
    return number > 0 ? number : 0; /* counters are read one after the other, and move meanwhile */
}

static int64_t steps_scheduled(struct sg_function_meter *function)
{
    int64_t unsent = value_of(&function->calls_unsent);
    return not_negative(value_of(&function->calls_scheduled) - value_of(&function->calls_started) - unsent);
}

static int64_t steps_running(struct sg_function_meter *function)
{
    int64_t ended = calls_ended(function) - value_of(&function->calls_unsent);
    return not_negative(value_of(&function->calls_started) - ended);
}

static int64_t runs_created(struct sg_function_meter *function)
{
    return value_of(&function->runs_created);
}

static int64_t runs_started(struct sg_function_meter *function)
{
    return value_of(&function->runs_started);
}

static atomic_llong *runs_ended(struct sg_function_meter *function)
{
    return function->runs_ended;
}

static int64_t calls_scheduled(struct sg_function_meter *function)
{
    return value_of(&function->calls_scheduled);
}

static int64_t calls_started(struct sg_function_meter *function)
{
    return value_of(&function->calls_started);
}

static atomic_llong *call_ends(struct sg_function_meter *function)
{
    return function->calls_ended;
}

static int64_t retries(struct sg_function_meter *function)
{
    return value_of(&function->calls_ended[SG_METER_CALL_ERRORED]);
}

static void functions(struct sg_buf *out, struct sg_meters *meters)
{
    static const char *const run_statuses[SG_METER_ENDS] = {"completed", "failed", "cancelled"};
    static const char *const call_statuses[SG_METER_CALL_ENDS] = {"success", "errored", "failed"};

    function_values(out, meters, "inngest_function_run_scheduled_total", "counter", "Runs created.", runs_created);
    function_values(out, meters, "inngest_function_run_started_total", "counter", "Runs whose first call went out.", runs_started);
    function_statuses(out, meters, "inngest_function_run_ended_total", "Runs that have ended.", run_statuses, SG_METER_ENDS, runs_ended);
    function_values(out, meters, "inngest_sdk_req_scheduled_total", "counter", "Calls that the engine asked for.", calls_scheduled);
    function_values(out, meters, "inngest_sdk_req_started_total", "counter", "Calls sent.", calls_started);
    function_statuses(out, meters, "inngest_sdk_req_ended_total", "Calls that have ended; errored ones will be tried again.", call_statuses,
                      SG_METER_CALL_ENDS, call_ends);
    function_values(out, meters, "stepgate_step_retries_total", "counter", "Calls that ended in an error that is tried again.", retries);
    function_values(out, meters, "inngest_steps_scheduled", "gauge", "Calls that wait for a connection.", steps_scheduled);
    function_values(out, meters, "inngest_steps_running", "gauge", "Calls under way.", steps_running);
}

/* ---- by app ---- */

static int64_t observations(struct sg_histogram *histogram)
{
    int64_t total = 0;
    for (int i = 0; i <= histogram->scale->count; i++)
        total += value_of(&histogram->buckets[i]);
    return total;
}

static void app_histogram(struct sg_buf *out, struct sg_meters *meters, const char *name, const char *help, size_t offset)
{
    int known = atomic_load_explicit(&meters->app_table.count, memory_order_acquire);
    sg_prom_family(out, name, "histogram", help);
    for (int i = 0; i <= known; i++) {
        struct sg_app_meter *app = &meters->apps[i < known ? i : SG_LIMIT_METRIC_APPS];
        struct sg_histogram *histogram = (struct sg_histogram *)(void *)((char *)app + offset);
        if (i < known || observations(histogram) > 0)
            sg_prom_histogram(out, name, &(struct sg_prom_label){"app", label_text(&app->label)}, 1, histogram);
    }
}

static void apps(struct sg_buf *out, struct sg_meters *meters)
{
    static const char *const kinds[SG_CALL_ERROR_COUNT] = {
        [SG_CALL_ERROR_UNREACHABLE] = "unreachable",
        [SG_CALL_ERROR_TLS] = "tls",
        [SG_CALL_ERROR_TIMEOUT] = "timeout",
        [SG_CALL_ERROR_BROKEN] = "broken",
        [SG_CALL_ERROR_TOO_LARGE] = "too_large",
        [SG_CALL_ERROR_STATUS_4XX] = "status_4xx",
        [SG_CALL_ERROR_STATUS_5XX] = "status_5xx",
        [SG_CALL_ERROR_ANSWER] = "bad_answer",
        [SG_CALL_ERROR_STEP] = "step",
        [SG_CALL_ERROR_GATEWAY] = "gateway",
    };
    static const char errors[] = "stepgate_sdk_call_errors_total";

    app_histogram(out, meters, "stepgate_step_latency_seconds",
                  "From the end of a call to the sending of the next one that follows from it.",
                  offsetof(struct sg_app_meter, step_latency));
    app_histogram(out, meters, "stepgate_run_queue_delay_seconds", "From the arrival of an event to the sending of the run's first call.",
                  offsetof(struct sg_app_meter, queue_delay));
    app_histogram(out, meters, "stepgate_sdk_request_duration_seconds", "From the sending of a call to its end.",
                  offsetof(struct sg_app_meter, call_duration));
    app_histogram(out, meters, "stepgate_run_duration_seconds", "From the creation of a run to its end.",
                  offsetof(struct sg_app_meter, run_duration));
    int known = atomic_load_explicit(&meters->app_table.count, memory_order_acquire);
    sg_prom_family(out, errors, "counter", "What was wrong with calls.");
    for (int i = 0; i <= known; i++) {
        struct sg_app_meter *app = &meters->apps[i < known ? i : SG_LIMIT_METRIC_APPS];
        for (int kind = SG_CALL_ERROR_NONE + 1; kind < SG_CALL_ERROR_COUNT; kind++) {
            struct sg_prom_label labels[] = {{"app", label_text(&app->label)}, {"kind", sg_str_from(kinds[kind])}};
            int64_t number = value_of(&app->errors[kind]);
            if (i < known || number != 0)
                sg_prom_int(out, errors, labels, SG_ARRAY_LEN(labels), number);
        }
    }
}

/* ---- what has been committed ---- */

static void committed(struct sg_buf *out, struct sg_meters *meters)
{
    static const char *const kinds[SG_MESSAGE_KIND_COUNT] = {
        [SG_MESSAGE_EVENTS] = "events",
        [SG_MESSAGE_REGISTER] = "register",
        [SG_MESSAGE_SYNC_FAILED] = "sync_failed",
        [SG_MESSAGE_ANSWER] = "answer",
        [SG_MESSAGE_CHECKPOINT] = "checkpoint",
        [SG_MESSAGE_CANCEL] = "cancel",
        [SG_MESSAGE_REMOVE_APP] = "remove_app",
        [SG_MESSAGE_LOADED_RUN] = "loaded_run",
        [SG_MESSAGE_LOADED_EVENT] = "loaded_event",
        [SG_MESSAGE_CANCEL_RUNS] = "cancel_runs",
        [SG_MESSAGE_DROP_CANCELLATION] = "drop_cancellation",
        [SG_MESSAGE_LOADED_RUNS] = "loaded_runs",
        [SG_MESSAGE_EXPLAIN] = "explain",
        [SG_MESSAGE_SIGNAL] = "signal",
        [SG_MESSAGE_HTTP_RUN] = "http_run",
        [SG_MESSAGE_FETCHED] = "fetched",
    };

    sg_prom_family(out, "stepgate_messages_total", "counter", "Messages handled by the engine whose outcome is on disk.");
    for (int kind = 0; kind < SG_MESSAGE_KIND_COUNT; kind++) {
        assert(kinds[kind] != NULL); /* a new kind needs a name here */
        sg_prom_int(out, "stepgate_messages_total", &(struct sg_prom_label){"kind", sg_str_from(kinds[kind])}, 1,
                    value_of(&meters->messages[kind]));
    }
    sg_prom_family(out, "stepgate_events_total", "counter", "Events in the log since the start.");
    sg_prom_int(out, "stepgate_events_total", &(struct sg_prom_label){"kind", SG_STR("client")}, 1, value_of(&meters->events));
    sg_prom_int(out, "stepgate_events_total", &(struct sg_prom_label){"kind", SG_STR("lifecycle")}, 1, value_of(&meters->lifecycle_events));
    sg_prom_counter(out, "stepgate_checkpoint_steps_total", "Steps in checkpoints.", value_of(&meters->checkpoint_steps));
    sg_prom_counter(out, "stepgate_memos_total", "Results of steps memoized.", value_of(&meters->memos));
    sg_prom_counter(out, "stepgate_memo_bytes_total", "Their bytes.", value_of(&meters->memo_bytes));
    sg_prom_counter(out, "stepgate_attempts_total", "Records of attempts kept.", value_of(&meters->attempts_kept));
    sg_prom_family(out, "stepgate_db_write_seconds", "histogram", "Commits, until they are on disk.");
    sg_prom_histogram(out, "stepgate_db_write_seconds", NULL, 0, &meters->commit_duration);
    sg_prom_family(out, "stepgate_commit_messages", "histogram", "Messages that shared a commit.");
    sg_prom_histogram(out, "stepgate_commit_messages", NULL, 0, &meters->commit_messages);
    sg_prom_family(out, "stepgate_commit_writes", "histogram", "Records written by a commit.");
    sg_prom_histogram(out, "stepgate_commit_writes", NULL, 0, &meters->commit_writes);
}

/* ---- the present ---- */

void sg_metrics_read(struct sg_node *node, struct sg_metrics_now *now)
{
    sg_loop_stats(node->loop, &now->engine, &now->due);
    sg_caller_stats(node->caller, &now->caller);
    sg_fetcher_stats(node->fetcher, &now->fetcher);
    sg_committer_totals(node->committer, &now->commits, &now->writes);
    now->commit_failures = sg_committer_failures(node->committer);
    sg_retention_totals(node->retention, &now->trimmed);
    sg_store_usage(node->store, &now->store);
    now->inbox_waiting = sg_inbox_waiting(node->inbox);
    now->inbox_bytes = sg_inbox_bytes(node->inbox);
    now->reads_waiting = sg_store_pool_waiting(node->pool);
    now->is_store_failing = sg_committer_is_failing(node->committer);
    int64_t clock_ms = sg_clock_now_ms(&node->clock);
    now->lag_ms = now->engine.next_due_ms < clock_ms ? clock_ms - now->engine.next_due_ms : 0;
    if (now->lag_ms > 0 && now->due == 0)
        now->due = 1; /* the engine has not looked at its clock since */
}

static void queues(struct sg_buf *out, const struct sg_metrics_now *now)
{
    static const char age[] = "stepgate_queue_oldest_due_age_seconds";
    sg_prom_gauge(out, "inngest_queue_depth", "Jobs that wait for their time or are due.", now->engine.jobs);
    sg_prom_gauge(out, "stepgate_queue_due", "Of these, due and not started; counted at most ten times a second.", now->due);
    sg_prom_gauge(out, "stepgate_queue_future", "Of these, not due yet.", not_negative(now->engine.jobs - now->due));
    sg_prom_family(out, age, "gauge", "How late the job is that has been due for longest.");
    sg_prom_seconds(out, age, NULL, 0, now->lag_ms * 1000000);
    sg_prom_gauge(out, "stepgate_inbox_waiting", "Clients' messages that the engine has not taken.", now->inbox_waiting);
    sg_prom_gauge(out, "stepgate_inbox_bytes", "Their bytes.", now->inbox_bytes);
    sg_prom_gauge(out, "stepgate_calls_in_flight", "Calls whose answer the engine waits for.", now->engine.calls);
    sg_prom_gauge(out, "stepgate_sdk_calls_waiting", "Of these, held back by connection limits.", now->caller.waiting);
    sg_prom_gauge(out, "stepgate_sdk_answers_waiting", "Answers that have not got into the inbox.", now->caller.unposted);
    sg_prom_gauge(out, "stepgate_fetches_in_flight", "Requests made for steps that have gone out.", now->fetcher.in_flight);
    sg_prom_gauge(out, "stepgate_fetches_waiting", "Requests of steps held back by the limit of connections.", now->fetcher.waiting);
    sg_prom_gauge(out, "stepgate_reads_waiting", "Reads that wait for a thread.", now->reads_waiting);
    sg_prom_gauge(out, "stepgate_cursors", "Works done in slices that are not finished.", now->engine.cursors);
    sg_prom_gauge(out, "stepgate_cancellations", "Bulk cancellations that are under way.", now->engine.cancellations);
}

static void state(struct sg_buf *out, const struct sg_metrics_now *now)
{
    sg_prom_gauge(out, "stepgate_runs_live", "Runs that have not ended.", now->engine.runs);
    sg_prom_gauge(out, "stepgate_runs_hydrated", "Runs held in memory with their steps.", now->engine.hydrated);
    sg_prom_gauge(out, "stepgate_apps", "Apps.", now->engine.apps);
    sg_prom_gauge(out, "stepgate_functions", "Functions in force.", now->engine.functions);
    sg_prom_gauge(out, "stepgate_last_event_position", "Position of the newest event in the log.", now->engine.last_position);
    sg_prom_counter(out, "stepgate_stray_records_total", "Records dropped because they made no sense.", now->engine.stray);
    sg_prom_counter(out, "stepgate_damaged_runs_total", "Runs failed because they could not be loaded.", now->engine.damaged);
    sg_prom_counter(out, "stepgate_sdk_calls_total", "Calls sent to SDKs.", now->caller.calls);
    sg_prom_counter(out, "stepgate_sdk_calls_failed_total", "Of these without an answer.", now->caller.failures);
    sg_prom_counter(out, "stepgate_sdk_connections_opened_total", "Connections opened to SDKs.", now->caller.connections);
    sg_prom_counter(out, "stepgate_fetches_total", "Requests made for steps.", now->fetcher.fetches);
    sg_prom_counter(out, "stepgate_fetches_failed_total", "Requests of steps that ended in an error.", now->fetcher.failures);
    sg_prom_counter(out, "stepgate_fetches_refused_total", "Of these, not made because of the address they would have gone to.",
                    now->fetcher.refusals);
    sg_prom_counter(out, "stepgate_commits_total", "Transactions committed.", now->commits);
    sg_prom_counter(out, "stepgate_writes_total", "Records written in them.", now->writes);
    sg_prom_counter(out, "stepgate_db_write_failures_total", "Commits that failed and were tried again.", now->commit_failures);
    sg_prom_gauge(out, "stepgate_store_failing", "1 while the store cannot commit.", now->is_store_failing);
    sg_prom_gauge(out, "stepgate_db_size_bytes", "Bytes of the database on disk, without its log.", now->store.database_bytes);
    sg_prom_gauge(out, "stepgate_wal_bytes", "Bytes of its write-ahead log on disk.", now->store.log_bytes);
    sg_prom_counter(out, "stepgate_trimmed_runs_total", "Finished runs dropped by retention.", now->trimmed.runs);
    sg_prom_counter(out, "stepgate_trimmed_events_total", "Events dropped by retention.", now->trimmed.events);
}

static void memory(struct sg_buf *out, const struct sg_metrics_now *now)
{
    const struct {
        struct sg_str room;
        int64_t bytes;
    } rooms[] = {
        {SG_STR("engine_runs"), now->engine.run_bytes},       {SG_STR("engine_jobs"), now->engine.job_bytes},
        {SG_STR("engine_index"), now->engine.index_bytes},    {SG_STR("inbox"), now->inbox_bytes},
        {SG_STR("store_page_cache"), now->store.cache_bytes},
    };
    sg_prom_family(out, "stepgate_memory_bytes", "gauge",
                   "Memory by room, as far as it is known; process_resident_memory_bytes is all of it.");
    for (size_t i = 0; i < SG_ARRAY_LEN(rooms); i++)
        sg_prom_int(out, "stepgate_memory_bytes", &(struct sg_prom_label){"room", rooms[i].room}, 1, rooms[i].bytes);
}

static void process(struct sg_buf *out, const struct sg_node *node)
{
    static const char cpu[] = "process_cpu_seconds_total";
    struct sg_process_usage usage;
    sg_process_usage_read(&usage);
    sg_prom_gauge(out, "process_resident_memory_bytes", "Resident memory.", usage.resident_bytes);
    sg_prom_gauge(out, "process_virtual_memory_bytes", "Virtual memory.", usage.virtual_bytes);
    sg_prom_family(out, cpu, "counter", "User and system time.");
    sg_prom_seconds(out, cpu, NULL, 0, usage.cpu_ns);
    sg_prom_gauge(out, "process_open_fds", "Open file descriptors.", usage.open_fds);
    sg_prom_gauge(out, "process_max_fds", "How many there may be.", usage.fds_max);
    sg_prom_gauge(out, "process_threads", "Threads.", usage.threads);
    sg_prom_gauge(out, "process_start_time_seconds", "When it started, in Unix time.", node->started_at_ms / 1000);
}

void sg_metrics_render(struct sg_node *node, struct sg_buf *out)
{
    char schema[16];
    snprintf(schema, sizeof(schema), "%d", SG_SCHEMA_VERSION);
    struct sg_prom_label build[] = {{"version", sg_str_from(PACKAGE_VERSION)}, {"schema", sg_str_from(schema)}};
    sg_prom_family(out, "stepgate_build_info", "gauge", "Always 1.");
    sg_prom_int(out, "stepgate_build_info", build, SG_ARRAY_LEN(build), 1);
    process(out, node);
    if (atomic_load(&node->state) == SG_SERVER_STARTING)
        return;
    struct sg_metrics_now now;
    sg_metrics_read(node, &now);
    queues(out, &now);
    state(out, &now);
    memory(out, &now);
    committed(out, node->meters);
    functions(out, node->meters);
    apps(out, node->meters);
}
