/* The node's own state, shared by node.c (life) and hooks.c (what the server asks). */
#ifndef STEPGATE_NODE_INTERNAL_H
#define STEPGATE_NODE_INTERNAL_H

#include <stdatomic.h>

#include "node/clock.h"
#include "node/committer.h"
#include "node/housekeeping.h"
#include "node/inbox.h"
#include "node/lookup.h"
#include "node/loop.h"
#include "node/meters.h"
#include "node/node.h"
#include "node/outbox.h"
#include "node/retention.h"
#include "sdk/caller.h"
#include "sdk/fetcher.h"
#include "sdk/sync.h"
#include "server/server.h"
#include "store/pool.h"

#define SG_NODE_MAGIC 0x6e6f6465u

#define SG_NODE_READER_THREADS 2
#define SG_NODE_QUERIES_MAX 1024 /* ours: reads of clients that wait; beyond it 429 */

struct sg_node {
    uint32_t magic;
    /* What GET /dev repeats; the texts are the node's. */
    struct sg_arena arena;
    struct sg_node_options options;

    /* In the order in which they are made; undone in the reverse. */
    struct sg_meters *meters;
    struct sg_store *store;
    struct sg_clock clock;
    bool has_clock;
    struct sg_inbox *inbox;
    struct sg_store_pool *pool;
    struct sg_server *server;
    struct sg_engine *engine;
    struct sg_housekeeping *housekeeping;
    struct sg_retention *retention;
    struct sg_committer *committer;
    struct sg_lookups *lookups;
    struct sg_loads loads;
    struct sg_caller *caller;
    struct sg_fetcher *fetcher;
    struct sg_outbox outbox;
    struct sg_loop *loop;
    pthread_mutex_t ended_lock; /* the server is told of runs that have ended, until it is freed */
    bool is_telling;
    _Atomic(struct sg_sync *) sync; /* the server may ask for it from the moment it serves */

    int64_t started_at_ms;              /* wall clock */
    atomic_int state;                   /* enum sg_server_state; a failing store is the committer's to know */
    char trouble[SG_ERROR_MESSAGE_MAX]; /* why the store fails, under trouble_lock */
    pthread_mutex_t trouble_lock;
};

/* hooks.c */
struct sg_server_hooks sg_node_hooks(struct sg_node *node);

#endif
