/*
 * The node: where the rooms are wired together.
 *
 *     server ──client poster──► lookup ──► inbox ──► loop (engine) ──► committer (store) ──► outbox ──► replies, caller, fetcher, loads
 *     caller, fetcher, sync, loads ──internal poster─►
 *
 * The model. Everything is made in one order and undone in the reverse. The port is bound before the engine is rebuilt, so that a busy port is an error
 * at once; nothing is accepted until the engine stands. From then on threads talk through the inbox and the committer's slot only.
 *
 * Stopping: no new work is taken; calls in flight get their time, their answers are committed, but follow-up calls are not sent (they are on disk as
 * started, the next start makes them); then each thread ends after the one that feeds it. A watchdog ends the process if the store does not let
 * that happen: what was acknowledged is on disk already, so nothing is lost by it.
 *
 * What it never does: decide anything about runs.
 */
#include "node/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "node/restore.h"

/* What stopping may take beside the calls in flight. */
#define STOP_GRACE_MS 5000

struct watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct timespec deadline;
    bool is_changed; /* the deadline, since the thread looked */
    bool is_called_off;
};

static enum sg_status keep_options(struct sg_node *node, const struct sg_node_options *options);
static enum sg_status open_base(struct sg_node *node, struct sg_error *error);
static enum sg_status open_server(struct sg_node *node, struct sg_error *error);
static enum sg_status open_engine(struct sg_node *node, struct sg_batch **first, struct sg_error *error);
static enum sg_status open_committer(struct sg_node *node, struct sg_error *error);
static enum sg_status open_caller(struct sg_node *node, struct sg_error *error);
static enum sg_status open_loop(struct sg_node *node, struct sg_batch *first, struct sg_error *error);
static enum sg_status open_sync(struct sg_node *node, struct sg_error *error);
static void close_everything(struct sg_node *node);
static enum sg_status post_client(void *context, struct sg_message *message);
static enum sg_status post_internal(void *context, struct sg_message *message);
static enum sg_status submit_call(void *context, struct sg_call *call);
static enum sg_status submit_fetch(void *context, struct sg_fetch *fetch);
static void committed(void *context, const struct sg_batch *batch, int64_t took_ns);
static void call_sent(void *context, const struct sg_call *call, int64_t now_ns);
static void call_ended(void *context, const struct sg_call *call, const struct sg_call_report *report);
static void let_out(void *context, struct sg_batch *batch);
static void has_room(void *context);
static void note_trouble(void *context, const struct sg_error *error);
static bool do_chore(void *context, struct sg_store *store);
static void tell_ended(struct sg_node *node, bool is_telling);
static bool watchdog_start(struct watchdog *watchdog, int64_t after_ms);
static void watchdog_set(struct watchdog *watchdog, int64_t after_ms);
static void watchdog_stop(struct watchdog *watchdog);
static void *watchdog_main(void *argument);

enum sg_status sg_node_create(const struct sg_node_options *options, struct sg_node **node_out, struct sg_error *error)
{
    struct sg_batch *first = NULL;
    struct sg_node *node = sg_calloc(1, sizeof(*node));
    if (node == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the node");
    node->magic = SG_NODE_MAGIC;
    sg_arena_init(&node->arena);
    pthread_mutex_init(&node->trouble_lock, NULL);
    pthread_mutex_init(&node->ended_lock, NULL);
    node->started_at_ms = sg_wall_now_ms();
    atomic_store(&node->state, SG_SERVER_STARTING);

    enum sg_status status = keep_options(node, options);
    if (status != SG_OK)
        sg_error_set(error, status, "no memory for the node");
    if (status == SG_OK)
        status = open_base(node, error);
    if (status == SG_OK)
        status = open_server(node, error);
    if (status == SG_OK)
        status = open_engine(node, &first, error);
    if (status == SG_OK)
        status = open_committer(node, error);
    if (status == SG_OK)
        status = open_caller(node, error);
    if (status == SG_OK) {
        status = open_loop(node, first, error);
        first = NULL;
    }
    if (status == SG_OK)
        status = sg_housekeeping_start(node->housekeeping, node->committer, error);
    if (status == SG_OK)
        status = sg_retention_start(node->retention, node->committer, error);
    if (status == SG_OK) {
        /* The sync first, so that the server knows the configured URLs from its first registration on; the port takes connections already. */
        atomic_store(&node->state, SG_SERVER_READY);
        status = open_sync(node, error);
    }
    if (status == SG_OK)
        status = sg_server_start(node->server, error);
    if (status == SG_OK)
        tell_ended(node, true);
    if (first != NULL)
        sg_batch_free(first);
    if (status != SG_OK) {
        close_everything(node);
        sg_node_free(node);
        return status;
    }
    const char *host = node->options.host != NULL ? node->options.host : "0.0.0.0";
    char text[256];
    snprintf(text, sizeof(text), "stepgate %s online at %s:%d", node->options.name, host, sg_server_port(node->server));
    sg_log(SG_LOG_INFO, text, SG_KV_TEXT("data", options->data_dir != NULL ? options->data_dir : "memory"),
           SG_KV_BOOL("signed", options->key_count > 0));
    *node_out = node;
    return SG_OK;
}

int sg_node_port(const struct sg_node *node)
{
    SG_CHECK(node, SG_NODE_MAGIC);
    return sg_server_port(node->server);
}

void sg_node_stop(struct sg_node *node, int64_t drain_ms)
{
    SG_CHECK(node, SG_NODE_MAGIC);
    struct watchdog watchdog;
    bool has_watchdog = watchdog_start(&watchdog, drain_ms + STOP_GRACE_MS);

    atomic_store(&node->state, SG_SERVER_DRAINING);
    sg_server_stop_accepting(node->server);
    atomic_store(&node->outbox.is_draining, true);
    int64_t deadline_ns = sg_monotonic_now_ns() + drain_ms * 1000000;
    size_t cut = sg_caller_drain(node->caller, drain_ms);
    if (cut > 0)
        sg_log(SG_LOG_INFO, "calls in flight are cut; the next start makes them again", SG_KV_INT("calls", cut));
    int64_t left_ms = (deadline_ns - sg_monotonic_now_ns()) / 1000000;
    cut = sg_fetcher_drain(node->fetcher, left_ms > 0 ? left_ms : 0);
    if (cut > 0)
        sg_log(SG_LOG_INFO, "requests of steps are cut; the next start makes them again", SG_KV_INT("requests", cut));
    if (has_watchdog)
        watchdog_set(&watchdog, STOP_GRACE_MS);
    close_everything(node);
    if (has_watchdog)
        watchdog_stop(&watchdog);
    sg_log(SG_LOG_INFO, "stopped");
}

void sg_node_free(struct sg_node *node)
{
    if (node == NULL)
        return;
    SG_CHECK(node, SG_NODE_MAGIC);
    assert(node->store == NULL);
    pthread_mutex_destroy(&node->trouble_lock);
    pthread_mutex_destroy(&node->ended_lock);
    sg_arena_free(&node->arena);
    node->magic = 0;
    sg_free(node);
}

/* Whatever of the node has been made, each after what feeds it and before what it stands on. */
static void close_everything(struct sg_node *node)
{
    /* The server ends when all of its requests have their replies, so those who give them are still there; and it may ask for the sync until then. */
    tell_ended(node, false);
    sg_server_free(node->server);
    sg_sync_free(atomic_exchange(&node->sync, NULL));
    if (node->housekeeping != NULL)
        sg_housekeeping_stop(node->housekeeping);
    if (node->retention != NULL)
        sg_retention_stop(node->retention);
    if (node->loop != NULL)
        sg_loop_stop(node->loop);
    if (node->committer != NULL && !sg_committer_stop(node->committer, false))
        sg_log(SG_LOG_WARN, "the last batch could not be committed");
    sg_caller_free(node->caller);
    sg_fetcher_free(node->fetcher);
    if (node->pool != NULL)
        sg_store_pool_stop(node->pool);
    sg_loop_free(node->loop);
    sg_committer_free(node->committer);
    sg_housekeeping_free(node->housekeeping);
    sg_retention_free(node->retention);
    sg_lookups_free(node->lookups);
    if (node->engine != NULL)
        sg_engine_free(node->engine);
    sg_inbox_free(node->inbox);
    sg_store_pool_free(node->pool);
    if (node->has_clock)
        sg_clock_destroy(&node->clock);
    if (node->store != NULL)
        sg_store_close(node->store);
    sg_meters_free(node->meters);
    node->server = NULL;
    node->housekeeping = NULL;
    node->retention = NULL;
    node->loop = NULL;
    node->committer = NULL;
    node->caller = NULL;
    node->fetcher = NULL;
    node->lookups = NULL;
    node->engine = NULL;
    node->inbox = NULL;
    node->pool = NULL;
    node->has_clock = false;
    node->store = NULL;
    node->meters = NULL;
}

/* ---- making ---- */

/* Copies what hooks and threads read later. */
static enum sg_status keep_options(struct sg_node *node, const struct sg_node_options *options)
{
    const char **texts[] = {&node->options.data_dir, &node->options.host, &node->options.server_kind, &node->options.name};
    node->options = *options;
    for (size_t i = 0; i < SG_ARRAY_LEN(texts); i++) {
        if (*texts[i] == NULL)
            continue;
        struct sg_str copy = sg_arena_copy(&node->arena, sg_str_from(*texts[i]));
        if (copy.ptr == NULL)
            return SG_NO_MEMORY;
        *texts[i] = copy.ptr;
    }
    struct sg_str *urls = sg_arena_alloc(&node->arena, (options->url_count + 1) * sizeof(*urls));
    if (urls == NULL)
        return SG_NO_MEMORY;
    for (size_t i = 0; i < options->url_count; i++) {
        urls[i] = sg_arena_copy(&node->arena, options->urls[i]);
        if (urls[i].ptr == NULL)
            return SG_NO_MEMORY;
    }
    node->options.urls = urls;
    if (node->options.poll_interval_ms == 0)
        node->options.poll_interval_ms = 5000; /* reference/03 §9.3 */
    return SG_OK;
}

/* Store, clock, inbox, readers. */
static enum sg_status open_base(struct sg_node *node, struct sg_error *error)
{
    const struct sg_node_options *options = &node->options;
    enum sg_status status;
    node->meters = sg_meters_create();
    if (node->meters == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the meters");
    if (options->data_dir != NULL)
        status = sg_store_open_sqlite(&(struct sg_store_sqlite_options){.directory = options->data_dir}, &node->store, error);
    else
        status = sg_store_open_memory(&node->store, error);
    int64_t offset_ms = 0;
    if (status == SG_OK)
        status = sg_restore_clock_offset(node->store, &offset_ms, error);
    if (status != SG_OK)
        return status;
    sg_clock_init(&node->clock, offset_ms, NULL);
    node->has_clock = true;
    status = sg_inbox_create(options->inbox_messages_max > 0 ? options->inbox_messages_max : SG_LIMIT_INBOX_MESSAGES,
                             options->inbox_bytes_max > 0 ? options->inbox_bytes_max : SG_LIMIT_INBOX_BYTES, &node->inbox, error);
    if (status != SG_OK)
        return status;
    return sg_store_pool_create(
        &(struct sg_store_pool_options){.store = node->store,
                                        .threads = options->reader_threads > 0 ? options->reader_threads : SG_NODE_READER_THREADS,
                                        .queries_max = SG_NODE_QUERIES_MAX},
        &node->pool, error);
}

static enum sg_status open_server(struct sg_node *node, struct sg_error *error)
{
    const struct sg_node_options *options = &node->options;
    struct sg_token_secret secret;
    enum sg_status status = sg_restore_token_secret(node->store, &secret, error);
    if (status != SG_OK)
        return status;
    struct sg_server_options server = {
        .host = options->host,
        .port = options->port,
        .port_tries = options->port_tries,
        .is_dev = options->is_dev,
        .requires_event_key = !options->is_dev,
        .kind = options->server_kind,
        .keys = options->keys,
        .key_count = options->key_count,
        .event_keys = options->event_keys,
        .event_key_count = options->event_key_count,
        .token_secret = &secret,
        .data_dir = options->data_dir,
        .poster = {post_client, node},
        .pool = node->pool,
        .hooks = sg_node_hooks(node),
        .limits = {.connections_max = options->connections_max,
                   .event_bytes_max = options->event_bytes_max,
                   .body_bytes_max = options->body_bytes_max,
                   .held_max = options->waiting_clients_max,
                   .idle_ms = options->http_idle_ms,
                   .request_ms = options->http_request_ms},
    };
    status = sg_server_create(&server, &node->server, error);
    explicit_bzero(&secret, sizeof(secret));
    return status;
}

static enum sg_status learn(void *context, const struct sg_record *record)
{
    struct sg_node *node = context;
    sg_meters_learn(node->meters, record);
    return SG_OK;
}

static enum sg_status open_engine(struct sg_node *node, struct sg_batch **first, struct sg_error *error)
{
    struct sg_engine_options options = {.retry_interval_ms = node->options.retry_interval_ms,
                                        .clock_offset_ms = sg_clock_offset_ms(&node->clock),
                                        .steps_per_run_max = node->options.steps_per_run_max,
                                        .calls_per_app_max = node->options.calls_per_app_max,
                                        .endpoint_idle_ms = node->options.endpoint_timeout_ms};
    if (!sg_random_bytes(&options.seed, sizeof(options.seed)))
        return sg_error_set(error, SG_SYSTEM, "the system gave no random bytes");
    enum sg_status status = sg_engine_create(&options, &node->engine, error);
    if (status != SG_OK)
        return status;
    *first = sg_batch_create(1);
    if (*first == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the first batch");
    /* The names of what is there already; apps first, since functions refer to them. */
    status = sg_store_scan(node->store, SG_KIND_APP, learn, node, error);
    if (status == SG_OK)
        status = sg_store_scan(node->store, SG_KIND_FUNCTION, learn, node, error);
    if (status != SG_OK)
        return status;
    return sg_restore_engine(node->store, node->engine, &node->clock, *first, error);
}

static enum sg_status open_committer(struct sg_node *node, struct sg_error *error)
{
    enum sg_status status = sg_housekeeping_create(node->store, &node->clock, &node->housekeeping, error);
    struct sg_retention_options retention = {
        .store = node->store, .clock = &node->clock, .age_ms = node->options.retention_ms, .bytes_max = node->options.retention_bytes};
    if (status == SG_OK)
        status = sg_retention_create(&retention, &node->retention, error);
    if (status != SG_OK)
        return status;
    node->loads = (struct sg_loads){.inbox = node->inbox, .pool = node->pool, .clock = &node->clock};
    node->outbox.submit = submit_call;
    node->outbox.submit_fetch = submit_fetch;
    node->outbox.context = node;
    node->outbox.loads = &node->loads;
    struct sg_committer_options options = {.store = node->store,
                                           .context = node,
                                           .committed = committed,
                                           .let_out = let_out,
                                           .has_room = has_room,
                                           .trouble = note_trouble,
                                           .chore = do_chore};
    status = sg_committer_create(&options, &node->committer, error);
    if (status != SG_OK)
        return status;
    return sg_lookups_create(node->inbox, node->pool, &node->clock, node->committer, &node->lookups, error);
}

static enum sg_status open_caller(struct sg_node *node, struct sg_error *error)
{
    const struct sg_node_options *options = &node->options;
    struct sg_caller_options caller = {.store = node->store,
                                       .keys = options->keys,
                                       .key_count = options->key_count,
                                       .poster = {post_internal, node},
                                       .meter = {node, call_sent, call_ended},
                                       .connections_per_app_max = options->connections_per_app_max,
                                       .connections_max = options->calls_max,
                                       .call_timeout_ms = options->call_timeout_ms};
    enum sg_status status = sg_caller_create(&caller, &node->caller, error);
    if (status != SG_OK)
        return status;
    struct sg_fetcher_options fetcher = {.poster = {post_internal, node},
                                         .allows_private = options->is_dev || options->allows_private_fetch,
                                         .in_flight_max = options->fetches_max};
    return sg_fetcher_create(&fetcher, &node->fetcher, error);
}

static enum sg_status open_loop(struct sg_node *node, struct sg_batch *first, struct sg_error *error)
{
    struct sg_loop_options options = {.engine = node->engine,
                                      .inbox = node->inbox,
                                      .committer = node->committer,
                                      .lookups = node->lookups,
                                      .clock = &node->clock,
                                      .messages_per_batch_max = node->options.messages_per_batch_max,
                                      .first = first};
    return sg_loop_create(&options, &node->loop, error);
}

static enum sg_status open_sync(struct sg_node *node, struct sg_error *error)
{
    const struct sg_node_options *options = &node->options;
    char base_url[64];
    snprintf(base_url, sizeof(base_url), "http://localhost:%d", sg_server_port(node->server));
    struct sg_sync_options sync_options = {.store = node->store,
                                           .poster = {post_internal, node},
                                           .keys = options->keys,
                                           .key_count = options->key_count,
                                           .server_kind = options->server_kind,
                                           .base_url = base_url,
                                           .urls = options->urls,
                                           .url_count = options->url_count,
                                           .polls = options->polls,
                                           .discovers = options->discovers,
                                           .port_extra = options->port_extra,
                                           .poll_interval_ms = options->poll_interval_ms};
    struct sg_sync *sync;
    enum sg_status status = sg_sync_create(&sync_options, &sync, error);
    if (status == SG_OK)
        atomic_store(&node->sync, sync);
    return status;
}

/* ---- between the rooms ---- */

static enum sg_status post_client(void *context, struct sg_message *message)
{
    struct sg_node *node = context;
    if (atomic_load(&node->state) == SG_SERVER_STARTING || sg_committer_is_failing(node->committer))
        return SG_UNAVAILABLE;
    message->arrived_at_ns = sg_monotonic_now_ns();
    if (sg_lookups_concerns(message))
        return sg_lookups_post(node->lookups, message);
    return sg_inbox_post(node->inbox, message);
}

static enum sg_status post_internal(void *context, struct sg_message *message)
{
    struct sg_node *node = context;
    sg_inbox_post_internal(node->inbox, message);
    return SG_OK;
}

static enum sg_status submit_call(void *context, struct sg_call *call)
{
    struct sg_node *node = context;
    sg_meters_call_scheduled(node->meters, call); /* before: it may be on its way, and freed, at once */
    return sg_caller_submit(node->caller, call);
}

static enum sg_status submit_fetch(void *context, struct sg_fetch *fetch)
{
    struct sg_node *node = context;
    return sg_fetcher_submit(node->fetcher, fetch);
}

static void call_sent(void *context, const struct sg_call *call, int64_t now_ns)
{
    struct sg_node *node = context;
    sg_meters_call_sent(node->meters, call, now_ns);
}

static void call_ended(void *context, const struct sg_call *call, const struct sg_call_report *report)
{
    struct sg_node *node = context;
    sg_meters_call_ended(node->meters, call, report);
}

static void committed(void *context, const struct sg_batch *batch, int64_t took_ns)
{
    struct sg_node *node = context;
    sg_meters_committed(node->meters, batch, took_ns);
}

static void tell_ended(struct sg_node *node, bool is_telling)
{
    pthread_mutex_lock(&node->ended_lock);
    node->is_telling = is_telling;
    pthread_mutex_unlock(&node->ended_lock);
}

/* Clients wait for the outputs of some runs; which ones the server knows. */
static void note_ended(struct sg_node *node, const struct sg_batch *batch)
{
    bool is_locked = false;
    for (size_t i = 0; i < batch->write_count; i++) {
        const struct sg_record *record = &batch->writes[i].record;
        if (record->kind != SG_KIND_RUN || batch->writes[i].op != SG_WRITE_PUT || record->values[SG_RUN_ENDED_AT].is_null)
            continue;
        if (!is_locked)
            pthread_mutex_lock(&node->ended_lock);
        is_locked = true;
        if (node->is_telling)
            sg_server_run_ended(node->server, sg_value_get_id(&record->values[SG_RUN_ID]));
    }
    if (is_locked)
        pthread_mutex_unlock(&node->ended_lock);
}

static void let_out(void *context, struct sg_batch *batch)
{
    struct sg_node *node = context;
    note_ended(node, batch);
    sg_outbox_let_out(&node->outbox, batch);
    sg_housekeeping_note_commit(node->housekeeping);
}

static void has_room(void *context)
{
    struct sg_node *node = context;
    sg_inbox_wake(node->inbox);
}

static void note_trouble(void *context, const struct sg_error *error)
{
    struct sg_node *node = context;
    pthread_mutex_lock(&node->trouble_lock);
    snprintf(node->trouble, sizeof(node->trouble), "%s", error != NULL ? error->message : "");
    pthread_mutex_unlock(&node->trouble_lock);
}

static bool do_chore(void *context, struct sg_store *store)
{
    struct sg_node *node = context;
    if (sg_retention_chore(node->retention, store))
        sg_housekeeping_note_commit(node->housekeeping);
    return sg_housekeeping_chore(node->housekeeping, store);
}

/* ---- the watchdog ---- */

static struct timespec deadline_after(int64_t after_ms)
{
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += (time_t)(after_ms / 1000) + 1;
    return deadline;
}

static bool watchdog_start(struct watchdog *watchdog, int64_t after_ms)
{
    *watchdog = (struct watchdog){.deadline = deadline_after(after_ms)};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&watchdog->lock, NULL);
    pthread_cond_init(&watchdog->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&watchdog->thread, NULL, watchdog_main, watchdog) == 0)
        return true;
    pthread_cond_destroy(&watchdog->changed);
    pthread_mutex_destroy(&watchdog->lock);
    return false; /* a store that cannot commit then keeps the process until SIGKILL, which loses nothing either */
}

/* A new deadline, from now. */
static void watchdog_set(struct watchdog *watchdog, int64_t after_ms)
{
    pthread_mutex_lock(&watchdog->lock);
    watchdog->deadline = deadline_after(after_ms);
    watchdog->is_changed = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
}

static void watchdog_stop(struct watchdog *watchdog)
{
    pthread_mutex_lock(&watchdog->lock);
    watchdog->is_called_off = true;
    pthread_cond_signal(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->changed);
    pthread_mutex_destroy(&watchdog->lock);
}

static void *watchdog_main(void *argument)
{
    struct watchdog *watchdog = argument;
    int code = 0;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->is_called_off && (code != ETIMEDOUT || watchdog->is_changed)) {
        watchdog->is_changed = false;
        struct timespec deadline = watchdog->deadline;
        code = pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &deadline);
    }
    bool is_late = !watchdog->is_called_off;
    pthread_mutex_unlock(&watchdog->lock);
    if (is_late) {
        sg_log(SG_LOG_ERROR, "stopping took too long; ending at once, the next start goes on from what is on disk");
        _exit(1);
    }
    return NULL;
}
