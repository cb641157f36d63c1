/* The server's own state, shared by its files and by nobody else. */
#ifndef STEPGATE_SERVER_INTERNAL_H
#define STEPGATE_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/rng.h"
#include "base/ulid.h"
#include "server/auth.h"
#include "server/listen.h"
#include "server/request.h"
#include "server/server.h"

struct MHD_Daemon;
struct sg_held_set;

#define SG_SERVER_MAGIC 0x73727672u

/* Counters of the life of this process; shown by GET /metrics. */
struct sg_server_counters {
    atomic_llong requests;
    atomic_llong responses[6]; /* by hundreds of the status; [0] unused */
    atomic_llong events;
    atomic_llong event_requests;
    atomic_llong checkpoints;
    atomic_llong registrations;
    atomic_llong late;    /* waits that took longer than reply_ms */
    atomic_llong cut;     /* connections closed because they were too slow */
    atomic_llong refused; /* 429 and 503 */
    atomic_llong unauthorized;
    atomic_llong connections; /* at this moment */
};

struct sg_server {
    uint32_t magic;
    /* Fixed once created. */
    struct sg_listen listen;
    int port;
    int threads;
    bool is_dev;
    bool requires_event_key;
    char kind[16];
    char version[64];
    struct sg_auth_keys auth;
    const char *data_dir; /* borrowed; NULL: none */
    struct sg_poster poster;
    struct sg_store_pool *pool;
    struct sg_server_hooks hooks;
    int connections_max;
    int held_max;
    int64_t held_bytes_max;
    struct sg_held_set *held; /* connections that wait for long */
    int64_t event_bytes_max;
    int64_t body_bytes_max;
    int64_t phase_ms[SG_PHASE_COUNT];

    struct MHD_Daemon *daemons[SG_LISTEN_SOCKETS_MAX];
    size_t daemon_count;
    struct sg_server_counters counters;
    atomic_llong last_refusal_ms; /* when a refused key was last logged */
    atomic_bool is_draining;      /* no new work */
    atomic_llong body_bytes_held; /* in all requests together */

    /* Connections by phase, waits, and the end. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a deadline is nearer than the watch thread knows, or the server ends */
    pthread_cond_t settled; /* `owed` or `sending` went down */
    struct sg_list phases[SG_PHASE_COUNT];
    int64_t watch_until_ms; /* until when the watch thread sleeps, monotonic */
    int owed;               /* replies and reads that will still come */
    int sending;            /* connections in SG_PHASE_SEND */
    bool is_ending;
    bool is_watching;
    pthread_t watch_thread;

    pthread_mutex_t id_lock;
    struct sg_ulid_generator id_generator;
    struct sg_rng rng;
};

/* Internal ids of events, ascending. */
void sg_server_ids(struct sg_server *server, int64_t now_ms, struct sg_id *ids, size_t count);
struct sg_id sg_server_uuid(struct sg_server *server);
int64_t sg_server_wall_ms(void);

/* ---- connections and their deadlines (watch.c) ---- */

enum sg_status sg_watch_start(struct sg_server *server, struct sg_error *error);
void sg_watch_stop(struct sg_server *server);
/* Moves a connection to a phase and gives it that phase's time. */
void sg_watch_enter(struct sg_server *server, struct sg_connection *peer, enum sg_phase phase);
/* The same with the lock held. */
void sg_watch_enter_locked(struct sg_server *server, struct sg_connection *peer, enum sg_phase phase);
void sg_watch_leave(struct sg_server *server, struct sg_connection *peer);

/* Bytes of bodies in memory: false if the server holds too many already. */
bool sg_server_body_reserve(struct sg_server *server, struct sg_request *request, int64_t bytes);

#endif
