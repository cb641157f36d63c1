/*
 * The node: one process of stepgate, all rooms wired together.
 */
#ifndef STEPGATE_NODE_NODE_H
#define STEPGATE_NODE_NODE_H

#include <stepgate/base.h>
#include <stepgate/crypto.h>
#include <stepgate/engine.h>

struct sg_node;

struct sg_node_options {
    const char *data_dir; /* NULL: nothing is kept (tests and the bench only) */
    const char *host;     /* NULL: all interfaces */
    int port;
    int port_tries; /* see struct sg_server_options */
    bool is_dev;
    const char *server_kind; /* "dev" or "cloud" */
    const char *name;        /* "dev server", "server": for the line that says it is online */

    const struct sg_signing_key *keys;
    size_t key_count;
    const struct sg_str *event_keys;
    size_t event_key_count;

    const struct sg_str *urls;
    size_t url_count;
    bool discovers;
    bool polls;
    int64_t poll_interval_ms;
    int64_t retry_interval_ms;
    int port_extra; /* $PORT: also looked at by discovery */

    int64_t shutdown_timeout_ms;
    int64_t event_bytes_max; /* these: 0 is the default of stepgate/limits.h */
    int64_t body_bytes_max;
    int connections_max; /* of clients; see struct sg_server_limits */
    int64_t http_request_ms;
    int64_t http_idle_ms;
    int steps_per_run_max;
    int64_t call_timeout_ms;
    int64_t endpoint_timeout_ms; /* a durable endpoint that reports nothing */
    int waiting_clients_max;
    int connections_per_app_max;
    int calls_per_app_max; /* under way in the engine */
    int calls_max;
    int fetches_max;           /* requests of steps */
    bool allows_private_fetch; /* they may go to addresses that are not public */
    int messages_per_batch_max;
    int64_t inbox_messages_max;
    int64_t inbox_bytes_max;
    int reader_threads;
    int64_t retention_ms;    /* of finished runs and events; 0: for ever */
    int64_t retention_bytes; /* of the store, by dropping the oldest of them; 0: no limit */
};

/*
 * Opens the store, rebuilds the engine from it, binds the port, starts every thread. When it returns SG_OK the node serves. All signals that the
 * process wants to handle itself must be blocked before, so that the threads inherit that. Options are not needed afterwards.
 */
enum sg_status sg_node_create(const struct sg_node_options *options, struct sg_node **node, struct sg_error *error);
/*
 * Stops taking work, lets calls in flight end for at most `drain_ms`, commits, stops every thread. Ends the process with status 1 if the store
 * cannot commit the last batch in time.
 */
void sg_node_stop(struct sg_node *node, int64_t drain_ms);
/* After sg_node_stop. NULL is fine. */
void sg_node_free(struct sg_node *node);

int sg_node_port(const struct sg_node *node);

#endif
