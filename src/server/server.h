/*
 * The HTTP server: events and the API in, JSON out. It knows no engine and no store: it posts messages through a poster, reads through
 * the pool of readers, and everything else that it has to tell or start comes from the hooks that the node gives it.
 *
 * Life: create (binds, so that a busy port is known at once and the port can be told), start (accepts), stop_accepting (new work is refused
 * with 503, checkpoints and reads of calls in flight still served), free (after every reply is in: the poster's owner drains first).
 */
#ifndef STEPGATE_SERVER_SERVER_H
#define STEPGATE_SERVER_SERVER_H

#include <stepgate/base.h>
#include <stepgate/crypto.h>
#include <stepgate/engine.h>

#include "store/pool.h"

struct sg_server;
struct sg_sync_place; /* sdk/sync.h */

enum sg_server_state { SG_SERVER_STARTING, SG_SERVER_READY, SG_SERVER_STORE_FAILING, SG_SERVER_DRAINING };

/* What GET /ready says. */
struct sg_server_status {
    enum sg_server_state state;
    char text[256]; /* the reason, for a person; "" uses the state's own text */
};

/* What the server asks of the node. Called from its threads, must not block; each may be NULL. */
struct sg_server_hooks {
    void *context;
    void (*status)(void *context, struct sg_server_status *status); /* NULL: always ready */
    /* Appends lines in Prometheus' text format: engine, node, store. */
    void (*metrics)(void *context, struct sg_buf *out);
    /* Appends rows of GET /v1/admin/status (sg_status_row). */
    void (*rows)(void *context, struct sg_buf *out);
    /* Asks for a sync of the app at `url` now; its result shows in `places` (sdk/sync.h: sg_sync_request, sg_sync_visit). */
    enum sg_status (*sync)(void *context, struct sg_str url, struct sg_error *error);
    void (*places)(void *context, void (*visit)(void *visit_context, const struct sg_sync_place *place), void *visit_context);
    /* A registration came in over POST /fn/register and is on disk (sg_sync_note_registration). */
    void (*registered)(void *context, struct sg_str app_name, struct sg_str announced_url);
    /* The URL that the operator configured for an app, if it is another one (sg_sync_configured_url). */
    bool (*configured_url)(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *arena,
                           struct sg_str *configured);
    /* Appends the JSON object `startOpts` of GET /dev. */
    void (*start_options)(void *context, struct sg_buf *out);
};

struct sg_server_limits {
    int connections_max;     /* 0: SG_LIMIT_SERVER_CONNECTIONS; --max-connections */
    int64_t event_bytes_max; /* 0: SG_LIMIT_EVENT_BYTES; --max-event-bytes */
    int64_t body_bytes_max;  /* of POST /e; 0: SG_LIMIT_EVENT_BODY_BYTES; --max-body-bytes */
    int64_t idle_ms;         /* a kept-alive connection without a request; 0: SG_LIMIT_SERVER_IDLE_MS; --http-idle-timeout */
    int64_t request_ms;      /* headers and body of one request; 0: SG_LIMIT_SERVER_REQUEST_MS; --http-request-timeout */
    int held_max;            /* clients that wait for outputs and streams; 0: SG_LIMIT_HELD; --max-waiting-clients */
    int64_t held_bytes_max;  /* outputs on their way to them; 0: SG_LIMIT_HELD_BYTES */
    int64_t reply_ms;        /* a request that waits for its commit; 0: SG_LIMIT_SERVER_REPLY_MS */
};

struct sg_server_options {
    const char *host;        /* an address or a name; NULL or "": every interface, IPv4 and IPv6 */
    int port;                /* 0: any free one */
    int port_tries;          /* how many ports to try from `port` on when it is in use; 0 and 1: only that one */
    int threads;             /* 0: SG_SERVER_THREADS */
    bool is_dev;             /* GET /dev answers JSON, events need no key unless there are some */
    bool requires_event_key; /* `start`: without event keys every event is refused */
    const char *kind;        /* "dev" or "cloud": X-Inngest-Server-Kind; NULL: by is_dev */
    const char *version;     /* NULL: the one of the build */
    /* Keys are copied. Without signing keys the API is open; without event keys any event key is accepted. */
    const struct sg_signing_key *keys;
    size_t key_count;
    const struct sg_str *event_keys;
    size_t event_key_count;
    const struct sg_token_secret *token_secret; /* copied; signs tokens when there are no signing keys; NULL: a fresh one */
    const char *data_dir;                       /* for GET /v1/admin/server; NULL: none; borrowed, outlives the server */
    struct sg_poster poster;
    struct sg_store_pool *pool; /* outlives the server */
    struct sg_server_hooks hooks;
    struct sg_server_limits limits;
};

/*
 * Binds the address and makes the server, which does not answer before sg_server_start. The caller owns *server. Errors: SG_INVALID_CONFIG
 * (the host is unknown), SG_SYSTEM (the port is in use: the message says so), SG_NO_MEMORY.
 */
enum sg_status sg_server_create(const struct sg_server_options *options, struct sg_server **server, struct sg_error *error);
enum sg_status sg_server_start(struct sg_server *server, struct sg_error *error);
/* The port that was bound. */
int sg_server_port(const struct sg_server *server);
/* From now on events, registrations and syncs are refused with 503; the rest is still served. Any thread. */
void sg_server_stop_accepting(struct sg_server *server);
/* A run has ended, and that is on disk: clients that wait for its output get it. Any thread, between start and free. */
void sg_server_run_ended(struct sg_server *server, struct sg_id run_id);
/*
 * Waits until every posted message has got its reply and every read has ended, then stops. Whoever answers messages and
 * runs reads must therefore still be alive, or have answered everything. NULL is fine.
 */
void sg_server_free(struct sg_server *server);

/*
 * One row of GET /v1/admin/status: a queue, a pool or a limit, as it is now. `value` -1: there is only the limit; `limit` 0: there is none. Names and
 * texts are ours.
 */
void sg_status_row(struct sg_buf *out, const char *name, int64_t value, int64_t limit, const char *text);

/* Requests that wait for a reply or a read at this moment. */
int sg_server_waiting(struct sg_server *server);

#endif
