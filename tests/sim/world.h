/*
 * The world of one seed: a store, an engine, clients, SDKs, a clock and a scheduler that decides at random what happens next, with the faults of a scenario.
 *
 * The same scenario and seed give the same world, action for action.
 */
#ifndef STEPGATE_TESTS_WORLD_H
#define STEPGATE_TESTS_WORLD_H

#include <stdio.h>

#include "base/rng.h"
#include "sim/oracle.h"
#include "sim/rig.h"
#include "sim/scenario.h"

struct world_totals {
    int64_t seeds;
    int64_t messages; /* handled by engines */
    int64_t crashes;
    int64_t faults; /* all of them, crashes too */
    int64_t runs;
    int64_t executions; /* of steps */
    int64_t calls;
    int64_t checkpoints;
    int64_t fetches; /* requests of steps */
    int64_t commits;
    int64_t actions;
};

/* A function as it is served now. */
struct world_function {
    const struct scenario_function *spec;
    char slug[24];
    struct sg_id id;
    int retries;
    int revision;
    bool is_served;
    bool is_other;     /* redeployed */
    bool was_archived; /* at some time: then nothing exact is claimed about its runs */
};

#define WORLD_FUNCTIONS_MAX 520

enum client_kind {
    CLIENT_EVENTS,
    CLIENT_REGISTER,
    CLIENT_CANCEL,
    CLIENT_CHECKPOINT,
    CLIENT_REMOVE,
    CLIENT_EXPLAIN,
    CLIENT_CANCEL_ALL,
    CLIENT_DROP
};

struct exec;

struct client {
    struct sg_client base; /* first: it comes back with the reply */
    struct world *world;
    struct client *next;
    enum client_kind kind;
    int request;         /* EVENTS */
    struct exec *exec;   /* CHECKPOINT; NULL once the SDK has gone */
    struct sg_id run_id; /* CANCEL, EXPLAIN */
};

struct world_event {
    char name[32];
    char id[24]; /* "": fresh */
    int n;
    int64_t ts_ms;
    int64_t sent_at_ms; /* first */
    int64_t last_at_ms;
    struct sg_id internal_ids[8]; /* one for each time it was sent */
    int sent;
    bool is_confirmed[8];
};

/* A bulk cancellation that somebody asked for: of a function's runs that were created by then and whose event has a larger `n`. */
struct world_sweep {
    int function;
    int above; /* -1: no condition */
    int64_t before_ms;
    bool is_dry_run;
};
#define WORLD_SWEEPS_MAX 64

enum request_state { REQUEST_UNSENT, REQUEST_PENDING, REQUEST_CONFIRMED, REQUEST_GIVEN_UP };

struct world_request {
    enum request_state state;
    struct world_event *events;
    int event_count;
    int tries;
};

/* A request of a step that has gone out. */
struct world_fetch {
    struct sg_fetch *fetch;
    bool is_hanging;
};

/* A message on its way to the engine. */
struct pending {
    struct sg_message *message;
    int64_t lookup_commit; /* -1: it carries no lookup */
    int64_t not_before;    /* tick */
};

struct sealed {
    struct sg_batch *batch;
    struct sg_buf dump; /* of the engine when it was sealed, if a crash is to come */
    int64_t now_ms;
    int crash; /* enum crash_moment */
};

#define WORLD_SEALED_MAX 3
#define WORLD_PENDING_MAX 8192

struct world {
    const struct scenario *scenario;
    uint64_t seed;
    struct sg_rng rng;
    bool is_verbose;
    bool is_draining;         /* no new faults, no new requests */
    bool is_damaged;          /* the store has lost something: runs and events may have, too */
    int chances[FAULT_COUNT]; /* of each fault, per ten thousand occasions */
    int64_t tick;
    int64_t now_ms;
    int incarnation;
    struct sg_engine_options options;
    struct sg_store *store;
    struct sg_store_reader *reader;
    struct sg_engine *engine;
    struct sg_batch *open;
    int open_messages;
    int batch_messages_max;
    int calls_max; /* of the app at once; 0: the usual limit */
    struct sealed sealed[WORLD_SEALED_MAX];
    int sealed_count;
    int64_t batch_number;
    int64_t committed;
    int pending_crash; /* actions until the process dies; 0: none planned */
    struct sg_buf crash_dump;
    struct pending *inbox;
    int inbox_count;
    struct sg_effect *loads;
    int load_count;
    int load_capacity;
    struct world_fetch *fetches;
    int fetch_count;
    int fetch_capacity;
    struct exec *execs; /* alive in an SDK, or hanging */
    int exec_count;
    struct client *clients; /* who wait for a reply */
    struct world_request *requests;
    int requests_left;
    struct world_function functions[WORLD_FUNCTIONS_MAX];
    int function_count;
    int registrations;
    struct sg_id *live_runs; /* that have been called: candidates for a cancel */
    int live_run_count;
    int live_run_capacity;
    struct world_sweep sweeps[WORLD_SWEEPS_MAX];
    int sweep_count;
    bool is_app_removed;
    bool is_registration_wanted; /* once the one that is on its way has arrived: they keep their order */
    struct oracle oracle;
    struct world_totals totals;
};

/* Lives through the seed; the oracle then says whether all was well. */
void world_live(struct world *world, const struct scenario *scenario, uint64_t seed, bool is_verbose);
void world_end(struct world *world);

/* ---- for the other files of the world ---- */

bool world_chance(struct world *world, int per_ten_thousand);
/* Whether the fault happens now: counted, and only if the scenario allows it. */
bool world_fault(struct world *world, enum fault fault);
uint64_t world_below(struct world *world, uint64_t bound);
void world_say(struct world *world, const char *format, ...) SG_PRINTF(2, 3);
/* Hands a message to the engine's inbox, after `delay` ticks at least. */
void world_post(struct world *world, struct sg_message *message, int64_t lookup_commit, int64_t delay);
struct client *world_client(struct world *world, enum client_kind kind);
void world_client_drop(struct world *world, struct client *client);
struct world_function *world_function(struct world *world, struct sg_str slug);

/* people.c */
void people_fill(struct world *world);
void people_free(struct world *world);
void people_register(struct world *world);
void people_send(struct world *world);
/* What they do by the way: deploy, cancel, ask. */
void people_act(struct world *world);
void people_saw_run(struct world *world, struct sg_id id);
/* The process is gone, and their connections with it. */
void people_disconnected(struct world *world);

/* sdk.c: calls that SDKs have got. */
void sdk_call(struct world *world, struct sg_call *call);
/* One SDK does one thing; false if none has anything to do. */
bool sdk_act(struct world *world);
/* The process that made the calls is gone. */
void sdk_process_died(struct world *world);
/* Two hours have passed: calls that hang end. False if there are none. */
bool sdk_time_out(struct world *world);
void sdk_checkpoint_replied(struct world *world, struct exec *exec, const struct sg_reply *reply);
/* The connection broke before the reply. */
void sdk_checkpoint_lost(struct world *world, struct exec *exec);
void sdk_free_all(struct world *world);

/* fetches.c: requests that the gateway makes for steps. */
void fetches_take(struct world *world, struct sg_fetch *fetch);
/* One of them ends; false if all hang. */
bool fetches_act(struct world *world);
/* Two hours have passed: all of them end. False if there are none. */
bool fetches_time_out(struct world *world);
/* The process that made them is gone. */
void fetches_drop_all(struct world *world);
void fetches_free_all(struct world *world);

/* verdict.c: what can only be judged when everything has come to rest. */
void verdict(struct world *world);

#endif
