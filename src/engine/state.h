/*
 * What the engine keeps in memory: an index over the live records, no more than it needs to decide.
 *
 * The model. Apps own functions, functions are found by the event names they listen to, runs are found by id, jobs by their run and by the
 * time they are due. A run is *parked* unless something is happening to it: then only struct sg_run and its jobs are in memory. Its
 * steps (struct sg_hot) come with a load and go again when nothing is in flight. While a load is outstanding the run's messages wait
 * in its queue, in order; nothing overtakes.
 */
#ifndef STEPGATE_ENGINE_STATE_H
#define STEPGATE_ENGINE_STATE_H

#include <stepgate/engine.h>

#include "base/check.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/ulid.h"

#define SG_APP_MAGIC 0x61707021u
#define SG_FUNCTION_MAGIC 0x666e2121u
#define SG_RUN_MAGIC 0x72756e21u
#define SG_JOB_MAGIC 0x6a6f6221u
#define SG_STEP_MAGIC 0x73746570u
#define SG_CURSOR_MAGIC 0x63757273u
#define SG_ENGINE_MAGIC 0x656e6769u
#define SG_FETCHING_MAGIC 0x6665746eu
#define SG_BATCH_MAGIC 0x62617463u
#define SG_PAUSE_MAGIC 0x70617573u
#define SG_TOPIC_MAGIC 0x746f7069u
#define SG_CANCELLATION_MAGIC 0x63616e63u

struct sg_cel_index;
struct sg_cel_program;
struct sg_cel_waiter;

struct sg_app {
    uint32_t magic;
    bool is_archived;
    struct sg_id id;
    int64_t synced_at_ms;
    struct sg_str name; /* all strings of an app live in `arena` */
    struct sg_str url;
    struct sg_str sdk;
    struct sg_str framework;
    struct sg_str app_version;
    struct sg_str checksum;
    struct sg_str sync_kind;
    struct sg_str error;
    struct sg_arena arena;
    struct sg_list functions;
    int under_way;       /* jobs that have a slot */
    struct sg_heap line; /* due jobs that wait for one, by the age of their runs */
    struct sg_list_node in_movable;
};

struct sg_trigger {
    struct sg_str event; /* "" for a cron */
    struct sg_str expression;
    struct sg_cel_program *program; /* NULL: no expression */
};

/* An entry of cancelOn. */
struct sg_cancel_on {
    struct sg_str event;
    struct sg_str expression; /* "" if there is none */
    struct sg_str timeout;    /* "" if there is none */
};

/* The version of a function that is in force. Never freed while the engine lives: runs point to it. */
struct sg_function {
    uint32_t magic;
    bool is_archived;
    int retries;
    struct sg_id id;
    struct sg_app *app;
    int64_t version;
    int64_t position; /* consumes events after this one */
    int64_t registered_at_ms;
    struct sg_str slug; /* all strings live in `arena` */
    struct sg_str name;
    struct sg_str config;
    struct sg_str url;
    struct sg_trigger triggers[SG_LIMIT_TRIGGERS_PER_FUNCTION];
    int trigger_count;
    struct sg_cancel_on cancels[SG_LIMIT_CANCELS_PER_FUNCTION];
    int cancel_count;
    int64_t run_count;        /* live */
    int64_t start_timeout_ms; /* 0: none */
    int64_t finish_timeout_ms;
    struct sg_arena arena;
    struct sg_list_node in_app;
};

/* A step of a hydrated run. */
struct sg_step {
    uint32_t magic;
    int32_t attempts;
    uint32_t flags; /* enum sg_step_flag and the group's ordinal, see SG_STEP_GROUP_SHIFT */
    uint8_t op;
    uint8_t status;
    bool is_dirty;
    struct sg_str id; /* behind the struct */
    struct sg_str name;
    int64_t started_at_ms;
    int64_t ended_at_ms;
    struct sg_str error; /* of the message being handled; written with the step, not kept */
    struct sg_str opts;
    struct sg_step *next_dirty;
};

/*
 * Beyond enum sg_step_flag: the step belongs to a coalesced group (race steps do not wait for theirs), and is still pending in it if the
 * ordinal behind the shift is that of the run's present group.
 */
#define SG_STEP_IS_PENDING 8u
#define SG_STEP_IS_GROUPED 16u
#define SG_STEP_GROUP_SHIFT 8

/*
 * What a run needs only while something happens to it: its steps once they are loaded, the messages that were set aside, the steps to write at
 * the end of the turn. A parked run has none.
 */
struct sg_hot {
    bool is_loaded; /* the steps are here; until then a load is outstanding */
    struct sg_map steps;
    struct sg_message *queue_first;
    struct sg_message *queue_last;
    struct sg_step *dirty_steps;
    struct sg_message *trigger; /* the first triggering event, once an op needed it (LOADED_EVENT) */
    uint32_t asked;             /* values of answered pauses that are being loaded: until they come, the run is not parked */
};

enum sg_run_flag {
    SG_RUN_IS_PLAN_FORCED = 1, /* ctx.disable_immediate_execution */
    SG_RUN_IS_SILENT = 2,      /* its trigger is a failed or finished event: no lifecycle events (reference/02 §6.4) */
    SG_RUN_IS_ENDED = 4,       /* being cleared by a cursor */
    SG_RUN_IS_GROUP_DONE = 8,  /* the discovery of the present group has been enqueued */
    SG_RUN_IS_INVOKED = 32,    /* somebody waits for its end (invoke.c) */
    SG_RUN_IS_HTTP = 64        /* a durable endpoint's: calls go to the URL of its event */
};

enum sg_run_hold {
    SG_HOLD_NONE = 0,
    SG_HOLD_LOADING = 1,  /* a load is outstanding */
    SG_HOLD_APPLYING = 2, /* a large answer is being applied in slices */
    SG_HOLD_TRIGGER = 3   /* the load of its triggering event is outstanding: an op's expression needs it */
};

struct sg_job;
struct sg_pause;

/* Parked, this and its jobs are all there is of a run: a million of them sleep, so every byte is counted (design: 256 a run with its timer). */
struct sg_run {
    uint32_t magic;
    int32_t function_version;
    struct sg_id id;
    struct sg_id event_id; /* internal id of the first event */
    struct sg_function *function;
    struct sg_job *jobs_last; /* a ring in the order in which they were added: its `next` is the first; NULL: none */
    struct sg_hot *hot;
    struct sg_pause *pauses;
    union {
        int64_t position; /* event_count == 1 */
        int64_t *positions;
    } events;
    int64_t created_at_ms;
    int64_t started_at_ms;
    uint32_t state_bytes;
    uint16_t next_seq;
    uint16_t pending_count; /* of the present group */
    uint16_t group_ordinal;
    uint16_t event_count;
    uint16_t calls; /* in flight */
    int8_t request_version;
    uint8_t flags; /* enum sg_run_flag, stored */
    uint8_t hold;  /* enum sg_run_hold */
    uint8_t status;
    bool is_live_dirty;
    bool is_row_dirty;
    bool is_releasing; /* a hold has just ended: not parked before all that waited has been handled */
};

/*
 * A job. Its id is the tie-breaker of its place among the due ones (sg_job_id). The texts behind it are the cause and the target, each as it is or,
 * if it is 40 digits of hex as SDKs make them, as 20 bytes (SG_JOB_TEXT_IS_PACKED in its length).
 */
#define SG_JOB_TEXT_IS_PACKED 0x8000u
struct sg_job {
    struct sg_run *run;
    struct sg_job *next; /* of the run's ring */
    struct sg_heap_node due;
    uint32_t magic;
    int32_t generation;
    uint16_t snapshot;
    uint16_t cause_len;
    uint16_t target_len;
    int8_t attempt;
    uint8_t flags;
    uint8_t kind : 3;
    bool is_started : 1;
    bool is_deferred : 1; /* due, waiting for its run's load or for the value of its pause */
    bool is_new : 1;      /* added in this turn: started or written when the run is flushed */
    bool is_asked : 1;    /* the value of its pause is being loaded */
    bool has_slot : 1;    /* of its app: it is started or deferred (gate.c) */
    char text[];
};

struct sg_topic;

/*
 * What a run waits for, beside time. Its job is the timeout and, once the pause is answered, the wake; the step is the job's target. Of its expression
 * only what the index made of it is in memory.
 */
struct sg_pause {
    uint32_t magic;
    uint8_t kind;  /* enum sg_pause_kind */
    uint8_t flags; /* enum sg_pause_flag */
    uint8_t index; /* CANCEL: of the entry of cancelOn */
    struct sg_run *run;
    struct sg_pause *next; /* of the run */
    struct sg_job *job;    /* CANCEL: NULL */
    union {
        struct sg_cel_waiter *waiter; /* EVENT, CANCEL: its place among those of the topic; NULL: in none */
        struct sg_signal *signal;     /* SIGNAL: the name that leads here; NULL: none does */
    } at;
    struct sg_topic *topic; /* EVENT, CANCEL, until it is answered */
    int64_t position;       /* of the log when it was made; answered by an event: of that event */
    union {
        int64_t expires_at_ms; /* CANCEL; the others' is their job's */
        struct sg_value_bytes {
            uint32_t len;
            char bytes[];
        } * value; /* answered without an event: the memo */
    } as;
};

/* Who waits for the end of an invoked run. */
struct sg_invocation {
    struct sg_id run_id;
    struct sg_str invoker; /* "<run id>.<step id>", behind the struct */
};

/* Who waits for a signal. */
struct sg_signal {
    struct sg_str name; /* behind the struct */
    struct sg_pause *pause;
};

/*
 * Everything about one event name that is not a trigger: pauses that wait for it, events of it that are still on their way, and whether answers that have
 * come and are not applied yet wait for it.
 */
struct sg_topic {
    uint32_t magic;
    uint32_t held;      /* by answers that were set aside or are being applied in slices: their waits must see events that come now */
    struct sg_str name; /* behind the struct */
    struct sg_cel_index *waits; /* owners are pauses; NULL: none yet */
    size_t pause_count;
    struct sg_list cursors; /* in log order */
};

/* An event on its way to its consumers, when that takes more than the message it came in. */
struct sg_cursor {
    uint32_t magic;
    uint8_t kind;
    bool is_asked; /* the load of its event is outstanding */
    bool is_ready; /* the event is there */
    int64_t id;
    int64_t subject;
    int64_t asked_commit;   /* SG_CURSOR_EVENT: the load sees this commit, perhaps no later one */
    struct sg_topic *topic; /* SG_CURSOR_EVENT: of its event's name */
    struct sg_id after;     /* function id, all zero: none yet */
    struct sg_run *run;     /* SG_CURSOR_ANSWER, SG_CURSOR_CLEAR */
    struct sg_message
        *message; /* holds the bytes of the event or the answer; goes with the batch that ends the cursor, since its writes borrow them */
    struct sg_answer *answer; /* SG_CURSOR_ANSWER: in `message` */
    int64_t position;         /* SG_CURSOR_ANSWER, start-up only: of the log when it came */
    bool is_restored;         /* SG_CURSOR_ANSWER: by start-up, from bytes without the opts of fetches */
    size_t next_op;
    struct sg_list_node in_engine;
    struct sg_list_node in_active;
    struct sg_list_node in_topic; /* SG_CURSOR_EVENT */
};

/* A bulk cancellation and how far it has come. Times are wall clock. */
struct sg_cancellation {
    uint32_t magic;
    bool is_dry_run;
    bool is_damaged; /* start-up: its expression no longer compiles */
    struct sg_id id;
    struct sg_function *function;
    int64_t created_at_ms;
    int64_t after_ms; /* 0: from the beginning */
    int64_t before_ms;
    int64_t ended_at_ms;            /* 0: under way */
    struct sg_cel_program *program; /* NULL: no condition, or it has ended */
    struct sg_id reached;           /* runs up to this one have been dealt with */
    int64_t total;                  /* live runs of the function when it began: in the window or not */
    int64_t examined;
    int64_t matched;
    struct sg_message *message; /* runs that are being looked at (LOADED_RUNS); NULL: none have come */
    size_t next;                /* in them */
    struct sg_list_node in_engine;
    struct sg_list_node in_turn; /* while it is under way */
};

/*
 * All functions that listen to one pattern: those that take every event, and those with an expression, in an index that finds the true ones
 * without evaluating the others.
 */
struct sg_listener {
    struct sg_str pattern; /* borrowed from a function */
    struct sg_function **functions;
    size_t count;
    size_t capacity;
    struct sg_cel_index *conditional; /* owners are functions; NULL: none */
};

/* What start-up found that makes no sense: deleted when it ends. */
struct sg_restore {
    struct sg_stray {
        enum sg_kind kind;
        int64_t number;
        struct sg_id id;
        struct sg_str text; /* in scratch memory, which is not reset before start-up has ended */
    } * strays;
    size_t count;
    size_t capacity;
};

/* An idempotency key that was committed recently, until every lookup can see it. */
struct sg_recent_key {
    struct sg_id mix; /* key xor function id */
    int64_t commit;
    struct sg_recent_key *next;
};

struct sg_engine {
    uint32_t magic;
    struct sg_engine_options options;
    struct sg_rng rng;
    struct sg_ulid_generator ulids;
    int64_t now_ms;
    int64_t next_position;
    int64_t next_job_id;
    int64_t job_ids_end; /* up to here they are reserved in the store */
    int64_t next_cursor_id;
    struct sg_map apps;        /* by id */
    struct sg_map functions;   /* by id */
    struct sg_map listeners;   /* by pattern */
    struct sg_map runs;        /* by id */
    struct sg_map slugs;       /* functions that can be invoked, by slug */
    struct sg_map invocations; /* who waits for an invoked run's end, by its id */
    struct sg_map invokers;    /* the same, by who waits */
    struct sg_map topics;      /* by event name */
    struct sg_map signals;     /* by name */
    struct sg_heap due;
    struct sg_map fetching; /* jobs with requests out, by job (fetch.c) */
    struct sg_map fetches;  /* the requests, by run and step */
    struct sg_list movable; /* apps with jobs in line and slots for them */
    struct sg_list cursors;
    struct sg_list active;        /* cursors that can advance */
    struct sg_list cancellations; /* in order of their ids */
    struct sg_list cancelling;    /* those under way; it is the first one's turn */
    struct sg_map recent_keys;
    struct sg_recent_key *recent_first;
    struct sg_recent_key *recent_last;
    struct sg_pool run_pool;
    struct sg_pool pause_pool;
    struct sg_pool job_pools[3]; /* for texts of up to 0, 20 and 40 bytes; longer ones are allocated */
    struct sg_arena scratch;     /* reset at each message */
    struct sg_restore restore;   /* start-up only */
    int64_t calls;
    int64_t cursor_count;
    int64_t answer_cursors;
    int64_t cancellation_count;
    int64_t hydrated;
    int64_t lined; /* due jobs that wait for a slot of their app */
    int64_t stray;
    int64_t damaged;
    bool is_runs_load_outstanding;
    bool is_restored;
};

/* Start-up: the log has reached this position at least, even if its newest events have been trimmed. */
static inline void sg_engine_position_seen(struct sg_engine *engine, int64_t position)
{
    if (position >= engine->next_position)
        engine->next_position = position + 1;
}

static inline int64_t sg_job_id(const struct sg_job *job)
{
    return (int64_t)job->due.tie;
}

/*
 *     for (struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
 */
static inline struct sg_job *sg_job_first(const struct sg_run *run)
{
    return run->jobs_last != NULL ? run->jobs_last->next : NULL;
}
static inline struct sg_job *sg_job_next(const struct sg_run *run, const struct sg_job *job)
{
    return job != run->jobs_last ? job->next : NULL;
}

/* Whether the run's steps are in memory. */
static inline bool sg_run_is_hydrated(const struct sg_run *run)
{
    return run->hot != NULL && run->hot->is_loaded;
}

#endif
