/*
 * The engine: a deterministic state machine that turns messages into writes and effects.
 *
 * The model. sg_engine_handle is given one message and the time; it appends to a batch the records to write and the effects to let out.
 * The caller commits the writes of a batch in one transaction and only then lets its effects out (output commit): a reply means "on
 * disk", a call to an SDK means "what it is told is on disk". The engine does no I/O, reads no clock, draws no randomness beyond the
 * seed it was given, owns no thread and takes no lock.
 *
 * Start-up: create, hand it every LIVE record (sg_engine_restore), then sg_engine_restored. From then on messages in any order, and
 * sg_engine_advance whenever sg_engine_next_due says so.
 */
#ifndef STEPGATE_ENGINE_H
#define STEPGATE_ENGINE_H

#include <stepgate/base.h>
#include <stepgate/limits.h>
#include <stepgate/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sg_client;

enum sg_opcode {
#define SG_OPCODE(NAME, wire, is_plan) SG_OP_##NAME,
#include "opcodes.def"
#undef SG_OPCODE
    SG_OP_COUNT
};

/* Wire name of an opcode; never NULL. */
const char *sg_opcode_name(enum sg_opcode code);
/* Matches the exact name, then without regard to case (reference/02 §1); an empty name is None. */
bool sg_opcode_parse(struct sg_str name, enum sg_opcode *code);
/*
 * Whether the gateway makes a request for such an op (reference/02 §10). Its opts may hold secrets (auth_key, headers, a URL's query): they live in memory
 * only, and are never written, logged or shown.
 */
bool sg_opcode_is_fetch(enum sg_opcode code);

/* Stored as run.status; the numbers are those of reference/02 §13.3. */
enum sg_run_status { SG_RUN_RUNNING = 0, SG_RUN_COMPLETED = 1, SG_RUN_FAILED = 2, SG_RUN_CANCELLED = 3, SG_RUN_SCHEDULED = 5 };
/* "Running", "Completed", ... as REST v1 shows it. */
const char *sg_run_status_name(enum sg_run_status status);

enum sg_step_status {
    SG_STEP_PLANNED = 0,
    SG_STEP_RUNNING = 1,
    SG_STEP_WAITING = 2,
    SG_STEP_ERRORED = 3, /* will be retried */
    SG_STEP_COMPLETED = 4,
    SG_STEP_FAILED = 5,
    SG_STEP_CANCELLED = 6
};
const char *sg_step_status_name(enum sg_step_status status);

/* step.flags: the first two replace the reference's set of job ids (reference/02 §3.3). */
enum sg_step_flag { SG_STEP_IS_PLANNED = 1, SG_STEP_IS_CONTINUED = 2, SG_STEP_HAS_MEMO = 4 };

/* SG_JOB_WAIT: the timeout of a pause, and its wake once the pause is answered. SG_JOB_TIMEOUT: of the run; it ends the run and does not move it. */
enum sg_job_kind {
    SG_JOB_CALL = 1,
    SG_JOB_SLEEP = 2,
    SG_JOB_WAIT = 3,
    SG_JOB_TIMEOUT = 4,
    SG_JOB_WATCHDOG = 5 /* a durable endpoint executes the run and reports; due when it has said nothing for too long */
};
enum sg_job_flag {
    SG_JOB_IS_RACE = 1,    /* parallelMode race: a discovery follows every completion */
    SG_JOB_IS_GROUPED = 2, /* belongs to a coalesced group (group_key) */
    SG_JOB_IS_START = 4,   /* the first call of its run; the timeout of its start, not of its end */
    SG_JOB_IS_AWAKE = 8    /* a sleep whose memo is written and whose discovery is this very job */
};
enum sg_pause_kind {
    SG_PAUSE_EVENT = 1,  /* waitForEvent */
    SG_PAUSE_INVOKE = 2, /* step.invoke: answered by the end of the invoked run */
    SG_PAUSE_SIGNAL = 3, /* waitForSignal */
    SG_PAUSE_CANCEL = 4  /* cancelOn: belongs to the run, not to a step */
};
enum sg_pause_flag {
    SG_PAUSE_IS_ANSWERED = 1,    /* `position` is that of the event, unless it has a value */
    SG_PAUSE_HAS_VALUE = 2,      /* the memo is in `value` */
    SG_PAUSE_IS_FAILURE = 4,     /* and is an error */
    SG_PAUSE_IS_REPLACED = 8,    /* another wait has taken its signal over */
    SG_PAUSE_IS_UNMATCHABLE = 16 /* its expression is false whatever comes */
};
enum sg_cursor_kind { SG_CURSOR_EVENT = 1, SG_CURSOR_ANSWER = 2, SG_CURSOR_CLEAR = 3 };

/* ---- what comes in ---- */

/* One op of an answer or a checkpoint. All JSON is canonical; the bytes belong to the message's arena. */
struct sg_op {
    enum sg_opcode code;
    bool is_race;               /* opts.parallelMode is "race", in any case */
    struct sg_str id;           /* step id; "" only for None */
    struct sg_str name;         /* as sent; "" if absent */
    struct sg_str display_name; /* displayName, else name, else id; at most SG_LIMIT_STEP_NAME_BYTES */
    struct sg_str data;         /* "null" when absent */
    struct sg_str error;        /* StepError, StepFailed: the object to memoize, with string `name` and `message`; else empty */
    struct sg_str opts;         /* the options object; empty when absent or null */
    struct sg_str duration;     /* Sleep: opts.duration, else name (reference/02 §7.6) */
    int64_t started_at_ns;      /* timing.a, 0 if absent */
    int64_t duration_ns;        /* timing.b */
};

enum sg_answer_kind {
    SG_ANSWER_OPS,      /* 206: ops */
    SG_ANSWER_FINISHED, /* other 2xx of an SDK: output */
    SG_ANSWER_ERROR     /* everything else: error, output if there was a body */
};

/* An SDK's answer, decoded (reference/02 §2). */
struct sg_answer {
    enum sg_answer_kind kind;
    bool is_no_retry;
    int request_version;    /* x-inngest-req-version, 0 if missing */
    int64_t retry_after_ms; /* delay from now, clipped (reference/02 §5.4); 0: none */
    int http_status;        /* 0: no response */
    int64_t duration_ms;    /* of the call */
    struct sg_op *ops;
    size_t op_count;
    struct sg_str output; /* canonical JSON of the body's value; empty: no output */
    struct sg_str error;  /* SG_ANSWER_ERROR: the error object of reference/02 §6.3, canonical JSON */
};

/* An event as the edge accepted it: validated, with its ids, in canonical form. */
struct sg_event_in {
    struct sg_id internal_id;
    struct sg_str name;
    struct sg_str body; /* the stored object: data, id, name, ts always there; user, v, meta if sent */
    int64_t ts_ms;
    bool is_id_fresh; /* its id comes from fresh randomness: no duplicate is possible */
    struct sg_id key; /* 16-byte hash of the event's id (idempotency), all zero if fresh */
};

/* A (key, function) pair that the idempotency lookup found. */
struct sg_known_key {
    struct sg_id key;
    struct sg_id function_id;
};

struct sg_function_in {
    struct sg_id id; /* UUID v5, the same for the same app name and slug for ever */
    struct sg_str slug;
    struct sg_str name;
    struct sg_str config; /* the function object, canonical JSON, validated; its step URL normalised (reference/01 §4.5) */
};

/* A registration, validated as a whole (reference/01 §4.6, reference/04 §2.4). */
struct sg_registration {
    struct sg_id app_id;
    struct sg_str app_name;
    struct sg_str url; /* normalised; where calls go */
    struct sg_str sdk;
    struct sg_str framework;
    struct sg_str app_version;
    struct sg_str checksum;  /* SHA-256 hex over what counts */
    struct sg_str sync_kind; /* "in_band" | "out_of_band" */
    struct sg_str unapplied; /* settings that have no effect in this version, by name; "" if none. Comes back in the reply if it is news */
    struct sg_function_in *functions;
    size_t function_count;
};

/* A run that an SDK creates while it executes it: a durable endpoint's (reference/03 §4.4). */
struct sg_http_run_in {
    struct sg_id run_id; /* the SDK chose it */
    struct sg_id app_id;
    struct sg_str domain; /* "https://app.example.com": the app's name and URL */
    struct sg_str sdk;
    struct sg_function_in function; /* for its method and path, or for the name that the user gave it */
    struct sg_function_in other;    /* stands for all paths beyond SG_LIMIT_HTTP_FUNCTIONS_PER_APP */
    struct sg_event_in event;       /* the request: method, path, query and body are in its data */
    int request_version;
    struct sg_op *ops;
    size_t op_count;
    bool is_known; /* the lookup found a run with this id */
    struct sg_id known_function_id;
    int64_t lookup_commit; /* as for events */
};

struct sg_loaded_step {
    struct sg_str id;
    struct sg_str name;
    int op;
    int status;
    int flags;
    int attempts;
    int64_t started_at_ms;
    int64_t ended_at_ms; /* 0: it has not ended */
};

/* A run that was live when the store was read. */
struct sg_loaded_run {
    struct sg_id id;
    struct sg_str event; /* the bytes of its first event, if the cancellation has a condition; empty if they cannot be read */
};
/* The most that one SG_MESSAGE_LOADED_RUNS brings: one slice's work. The first event is brought however large it is. */
#define SG_LOADED_RUNS_MAX 100
#define SG_LOADED_RUNS_EVENT_BYTES_MAX (512 * 1024)

enum sg_message_kind {
    SG_MESSAGE_EVENTS,
    SG_MESSAGE_REGISTER,
    SG_MESSAGE_SYNC_FAILED, /* an app could not be synced: its error is recorded */
    SG_MESSAGE_ANSWER,
    SG_MESSAGE_CHECKPOINT,
    SG_MESSAGE_CANCEL,
    SG_MESSAGE_REMOVE_APP,
    SG_MESSAGE_LOADED_RUN,
    SG_MESSAGE_LOADED_EVENT,
    SG_MESSAGE_EXPLAIN,           /* why is this run not moving? reply.text is JSON */
    SG_MESSAGE_CANCEL_RUNS,       /* in bulk; reply.id is the cancellation */
    SG_MESSAGE_DROP_CANCELLATION, /* forget it, and end it if it is under way */
    SG_MESSAGE_LOADED_RUNS,
    SG_MESSAGE_SIGNAL, /* reply.id is the run that waited for it */
    /* A durable endpoint has begun: its run is created and its first steps are applied; the reply's id is the function's. */
    SG_MESSAGE_HTTP_RUN,
    SG_MESSAGE_FETCHED, /* what came of SG_EFFECT_FETCH */
    SG_MESSAGE_KIND_COUNT
};

#define SG_MESSAGE_MAGIC 0x6d736721u

/*
 * One input of the engine. It owns an arena in which all of its bytes live. Posting it gives it away; it is freed when the batch that it went
 * into has been committed and its effects are out.
 */
struct sg_message {
    uint32_t magic;
    enum sg_message_kind kind;
    struct sg_message *next; /* for whatever queue holds it */
    int64_t arrived_at_ns;   /* monotonic, for metrics: the engine copies it to the calls that the message leads to; 0: not measured */
    struct sg_arena arena;
    struct sg_client *client; /* whoever waits for the reply; NULL: nobody. Handed back in SG_EFFECT_REPLY, never looked at */
    union {
        struct {
            struct sg_event_in *events;
            size_t count;
            int64_t received_at_ms;
            struct sg_known_key *known; /* what the lookup found, for all events together */
            size_t known_count;
            int64_t lookup_commit; /* commit number that the lookup saw; keys of later commits are checked by the engine */
        } events;
        struct sg_registration registration;
        struct {
            struct sg_str url;  /* of the app whose sync failed */
            struct sg_str name; /* or its name, if known */
            struct sg_str text;
        } sync_failed;
        struct {
            struct sg_id run_id;
            int64_t job_id;
            int32_t generation;
            struct sg_answer answer;
            int64_t position; /* the engine's: of the log when it came, once it has been set aside; 0: it has not */
        } answer;
        struct {
            struct sg_id run_id;
            bool is_sync;   /* reported by a durable endpoint that executes the run itself: any op may come */
            int64_t job_id; /* of ctx.qi_id; 0: none given */
            int32_t generation;
            struct sg_op *ops;
            size_t op_count;
        } checkpoint;
        struct sg_http_run_in http_run;
        struct {
            struct sg_id run_id;
            struct sg_str reason;
        } cancel;
        struct {
            struct sg_id run_id;
        } explain;
        struct {
            struct sg_str app;        /* its name */
            struct sg_str function;   /* its slug, with the app's name before it or without */
            int64_t after_ms;         /* wall clock: of runs created from here, 0: from the beginning, */
            int64_t before_ms;        /* to here */
            struct sg_str expression; /* over `event`; empty: all of them */
            bool is_dry_run;          /* only count them */
        } cancel_runs;
        struct {
            struct sg_id id;
        } cancellation;
        struct {
            struct sg_id id; /* of the cancellation that asked */
            enum sg_status status;
            struct sg_loaded_run *runs; /* in the order of their ids */
            size_t run_count;
            struct sg_id reached; /* the last one that was looked at, of whatever function */
            bool is_last;         /* there are no more in the window */
        } loaded_runs;
        struct {
            struct sg_str name;
            struct sg_str data; /* canonical JSON */
        } signal;
        struct {
            struct sg_id run_id; /* these four: as in the struct sg_fetch */
            int64_t job_id;
            int32_t generation;
            struct sg_str step_id;
            bool is_final;       /* a failure that the same request would meet again: the attempts that are left are not used */
            struct sg_str data;  /* the step's result, canonical JSON; empty: it failed */
            struct sg_str error; /* then: the error object, canonical JSON with `name` and `message` */
        } fetched;
        struct {
            struct sg_str url;
            struct sg_str name;
        } remove_app;
        struct {
            struct sg_id run_id;
            enum sg_status status; /* SG_OK, or why it could not be loaded */
            struct sg_loaded_step *steps;
            size_t step_count;
        } loaded_run;
        struct {
            int64_t position;
            struct sg_id run_id; /* as the effect had them */
            int64_t job_id;
            enum sg_status status;
            struct sg_str body; /* the whole event, also for lifecycle events */
            struct sg_id internal_id;
            struct sg_id key;           /* as in sg_event_in; all zero for lifecycle events */
            struct sg_known_key *known; /* what the store held when it was loaded; the engine keeps the keys of later commits itself */
            size_t known_count;
        } loaded_event;
    } as;
};

/* A zeroed message with an empty arena; NULL if memory ran out. */
struct sg_message *sg_message_create(enum sg_message_kind kind);
void sg_message_free(struct sg_message *message);

/*
 * How the rooms at the edge hand messages to the engine's inbox, without knowing it. On SG_OK the message has been taken; otherwise the caller still
 * owns it: SG_QUEUE_FULL (try again later), SG_UNAVAILABLE (the store cannot commit), SG_SHUTTING_DOWN. Any thread may post.
 */
struct sg_poster {
    enum sg_status (*post)(void *context, struct sg_message *message);
    void *context;
};

/* ---- what goes out ---- */

#define SG_CALL_MAGIC 0x63616c6cu

/* A call to an SDK: everything that the caller needs, in one allocation of its own (sg_call_free). */
struct sg_call {
    uint32_t magic;
    struct sg_call *next;
    struct sg_id run_id;
    struct sg_id function_id;
    struct sg_id app_id;
    int64_t job_id;
    int32_t generation;
    int attempt;
    int max_attempts;
    int request_version;   /* -1, 0, 1, 2 */
    bool is_plan_forced;   /* ctx.disable_immediate_execution */
    bool is_first;         /* of its run */
    bool is_endpoint;      /* a durable endpoint is called again with the request in the run's event (reference/03 §4.7) */
    int64_t arrived_at_ns; /* of the message that led to it at once; 0: it was waited for */
    int64_t snapshot;      /* the memos with seq below it */
    int64_t state_bytes;   /* decides about use_api */
    int64_t started_at_ms; /* engine clock */
    struct sg_str url;     /* the step's URL, with fnId and the registered stepId */
    struct sg_str slug;
    struct sg_str sdk;    /* of the app: "js:v4.24.0" */
    struct sg_str cause;  /* outgoing step id; "" for the trigger */
    struct sg_str target; /* step id; "" for discovery */
    const int64_t *event_positions;
    size_t event_count;
};
void sg_call_free(struct sg_call *call);

#define SG_FETCH_MAGIC 0x66657463u

/* A request that the gateway makes for a step (Gateway, AIGateway), in one allocation of its own (sg_fetch_free). */
struct sg_fetch {
    uint32_t magic;
    enum sg_opcode code;
    struct sg_fetch *next;
    struct sg_id run_id;
    struct sg_id app_id;
    int64_t job_id;
    int32_t generation;
    struct sg_str step_id;
    struct sg_str opts; /* the op's, canonical JSON, unread but for its `url`; wiped when it is freed */
};
void sg_fetch_free(struct sg_fetch *fetch);

struct sg_reply {
    enum sg_status status;
    char message[256];  /* for a status other than SG_OK; for a registration that changed something: what of it has no effect */
    bool is_modified;   /* registration */
    struct sg_id id;    /* registration: the app */
    struct sg_str text; /* explain: JSON; its bytes are valid until the reply function returns */
};

/*
 * Whoever waits for the reply to a message (message->client). Embedded at the start of the waiter's own struct. `reply` is called exactly once, by the
 * thread that lets effects out: it must not block.
 */
struct sg_client {
    void (*reply)(struct sg_client *client, const struct sg_reply *reply);
};

enum sg_effect_kind { SG_EFFECT_REPLY, SG_EFFECT_CALL, SG_EFFECT_LOAD_RUN, SG_EFFECT_LOAD_EVENT, SG_EFFECT_LOAD_RUNS, SG_EFFECT_FETCH };

struct sg_effect {
    enum sg_effect_kind kind;
    struct sg_client *client; /* REPLY */
    struct sg_reply reply;    /* REPLY */
    struct sg_call *call;     /* CALL: owned by whoever lets the effect out */
    /*
     * LOAD_RUN: answer with SG_MESSAGE_LOADED_RUN (all rows of `step` of that run). LOAD_RUNS: the id of a cancellation, whose record says which live runs
     * are wanted: of its function, with ids after `reached`, created at `started_before` at the latest; answer with SG_MESSAGE_LOADED_RUNS.
     */
    struct sg_id run_id;
    int64_t position;       /* LOAD_EVENT: answer with SG_MESSAGE_LOADED_EVENT, which also carries run_id and job_id */
    int64_t job_id;         /* LOAD_EVENT for a run: the wait that it answers; 0: it is the run's trigger */
    struct sg_fetch *fetch; /* FETCH: owned like a call; answer with SG_MESSAGE_FETCHED, once */
};

/*
 * What a number of messages led to. The writes borrow from `arena` and from the messages, which the batch keeps until it is freed.
 */
struct sg_batch {
    struct sg_arena arena;
    struct sg_write *writes;
    size_t write_count;
    size_t write_capacity;
    struct sg_effect *effects;
    size_t effect_count;
    size_t effect_capacity;
    struct sg_message *messages; /* to be freed with it */
    size_t message_count;
    int64_t number; /* commit number, given by the caller before the first message */
    struct sg_batch *next;
};

struct sg_batch *sg_batch_create(int64_t number);
/* Frees the batch, its messages and the calls and fetches of its effects that have not been taken (NULL once taken). */
void sg_batch_free(struct sg_batch *batch);

/* ---- the machine ---- */

struct sg_engine_options {
    uint64_t seed;             /* for ids and jitter */
    int64_t retry_interval_ms; /* 0: the table of reference/02 §5.3 */
    int64_t clock_offset_ms;   /* engine clock minus wall clock */
    int steps_per_run_max;     /* 0: SG_LIMIT_STEPS_PER_RUN */
    int calls_per_app_max;     /* 0: SG_LIMIT_CALLS_PER_APP */
    int64_t endpoint_idle_ms;  /* 0: SG_DEFAULT_ENDPOINT_IDLE_MS */
    bool is_fully_parked;      /* simulator: park every run whenever it may be */
};

struct sg_engine;

enum sg_status sg_engine_create(const struct sg_engine_options *options, struct sg_engine **engine, struct sg_error *error);
void sg_engine_free(struct sg_engine *engine);

/* The kinds that start-up scans, in this order. */
#define SG_ENGINE_RESTORED_KINDS                                                                                                           \
    {                                                                                                                                      \
        SG_KIND_SETTING, SG_KIND_APP, SG_KIND_FUNCTION, SG_KIND_RUN_LIVE, SG_KIND_JOB, SG_KIND_PAUSE, SG_KIND_CURSOR, SG_KIND_ANSWER,      \
            SG_KIND_CANCELLATION                                                                                                           \
    }
/*
 * Takes one record of such a kind. Records that make no sense (a job without its run) are counted and deleted at sg_engine_restored.
 */
enum sg_status sg_engine_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error);
/*
 * Ends start-up. `last_position` and `last_job_id` are the highest keys in the store (0 if none). Calls in flight become due again; what
 * must be written for that (stray records to delete) goes into the batch.
 */
enum sg_status sg_engine_restored(struct sg_engine *engine, int64_t now_ms, int64_t last_position, int64_t last_job_id,
                                  struct sg_batch *batch, struct sg_error *error);

/*
 * Handles one message, which it takes (the batch frees it, or the engine keeps it while its run is loaded). `now_ms` is the engine's clock and never
 * goes back. SG_NO_MEMORY leaves engine and batch in a state that must not be committed: exit and recover.
 */
enum sg_status sg_engine_handle(struct sg_engine *engine, struct sg_message *message, int64_t now_ms, struct sg_batch *batch);
/* Starts due jobs and advances cursors, at most `steps_max` of them. */
enum sg_status sg_engine_advance(struct sg_engine *engine, int64_t now_ms, int steps_max, struct sg_batch *batch);
/* When sg_engine_advance has something to do next; 0 for at once, INT64_MAX for never. */
int64_t sg_engine_next_due(const struct sg_engine *engine);
/* All commits up to this number are seen by every idempotency lookup, running or to come; the engine forgets their keys. */
void sg_engine_forget_keys(struct sg_engine *engine, int64_t commit);

struct sg_engine_stats {
    int64_t runs;     /* live */
    int64_t jobs;     /* waiting for their time */
    int64_t calls;    /* in flight */
    int64_t fetches;  /* requests made for steps of such calls, that have not come back */
    int64_t lined;    /* due jobs that wait because their app has as many under way as it may */
    int64_t hydrated; /* runs held with their steps */
    int64_t pauses;   /* waits and cancelOn entries */
    int64_t apps;
    int64_t functions;
    int64_t cursors;
    int64_t cancellations; /* in bulk, under way */
    int64_t stray;         /* records dropped at start-up or since */
    int64_t damaged;       /* runs failed because they could not be loaded */
    int64_t last_position;
    int64_t next_due_ms; /* of the job that is due next; INT64_MAX: none */
    int64_t run_bytes;   /* memory of parked runs, of jobs, and of the tables that find both */
    int64_t job_bytes;
    int64_t index_bytes;
};
void sg_engine_stats(const struct sg_engine *engine, struct sg_engine_stats *stats);
/* Jobs that are due and have not started. O(their number). */
int64_t sg_engine_count_due(const struct sg_engine *engine, int64_t now_ms);
/*
 * Compares what is in memory with the invariants that can be checked there (design: every live run has a job, a pause, a cursor or a call).
 * False and `error` tell what is wrong. For tests and the simulator; O(everything).
 */
bool sg_engine_check(const struct sg_engine *engine, struct sg_error *error);
/* A text that is equal for engines in the same state, whatever their history: for the simulator. Appends to `out`. */
void sg_engine_dump(const struct sg_engine *engine, struct sg_buf *out);

/* An answer as bytes that can be stored, with a version of their own; and back, borrowing from `bytes` and `arena`. */
void sg_answer_encode(const struct sg_answer *answer, struct sg_buf *out);
enum sg_status sg_answer_decode_bytes(struct sg_str bytes, struct sg_arena *arena, struct sg_answer *answer);

/*
 * The bytes of a lifecycle event (reference/02 §6.4) from the run it is about. `run` is the row of the run; `events` are the bodies of its
 * triggering events as stored. Appends canonical JSON to `out`.
 */
struct sg_lifecycle {
    struct sg_str name; /* inngest/function.finished, .failed, .cancelled */
    struct sg_str id;   /* the event's id as text */
    int64_t ts_ms;
    struct sg_str function_slug;
    struct sg_id run_id;
    enum sg_run_status status;
    struct sg_str output; /* empty: none */
    struct sg_str error;  /* empty: none */
    const struct sg_str *events;
    size_t event_count;
};
enum sg_status sg_lifecycle_render(const struct sg_lifecycle *lifecycle, struct sg_buf *out);
/* An event as an SDK and an expression see it: like the stored body, with `user` always there (reference/01 §7.2). */
enum sg_status sg_event_render(struct sg_str body, struct sg_buf *out);

#ifdef __cplusplus
}
#endif

#endif
