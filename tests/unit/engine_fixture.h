/*
 * What the engine's tests share: an engine on a memory store, an SDK that says what the test tells it to say, and a clock that the test moves.
 *
 * The model. Every helper hands one message to the engine, commits the batch, lets its effects out and starts what is due, until nothing more happens at
 * this moment. After each commit the engine's invariants are checked, and its state must equal that of an engine built anew from the store; no message may
 * write more than it is allowed to. Calls pile up in the order in which they went out; `report` and its kin answer the oldest one that has no answer yet.
 *
 * JSON in tests is written with single quotes.
 */
#ifndef STEPGATE_TESTS_ENGINE_FIXTURE_H
#define STEPGATE_TESTS_ENGINE_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "sim/rig.h"

/* A test names what it cares about and leaves the rest of a struct zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* A moment of the day on which all tests take place, in ms. */
#define AT(text) at_time(text)

struct client {
    struct sg_client base; /* first: the engine hands back a pointer to it */
    struct sg_reply reply;
    bool is_answered;
};

struct fixture {
    struct sg_engine_options options;
    struct sg_store *store;
    struct sg_store_reader *reader;
    struct sg_engine *engine;
    int64_t now_ms;
    int64_t commit;        /* number of the latest */
    int64_t writes;        /* of the latest commit that had any */
    int request_version;   /* that the SDK answers with */
    bool is_holding_loads; /* loads are kept until release_loads */
    bool is_batching;      /* messages go into one batch until end_batch */
    bool is_unequal;       /* the test has made memory and store differ on purpose */
    struct sg_batch *batch;
    struct sg_call *calls[4096]; /* all that went out, in order */
    int call_count;
    int answered[4096];             /* whether the test has answered it */
    struct sg_fetch *fetches[2048]; /* requests of steps, all that went out, in order */
    int fetch_count;
    struct sg_effect loads[4096];
    int load_count;
    int loads_total;
    struct client clients[2048];
    int client_count;
    struct sg_arena arena; /* texts handed out to tests */
    struct sg_id last_run; /* of the latest call */
};

int64_t at_time(const char *hh_mm_ss);

struct fixture *fixture_create(const char *start);
struct fixture *fixture_create_with(const char *start, const struct sg_engine_options *options);
/* An app "app" with one function "fn" for "demo/go", and a run of it whose first call is out. SDK of request version 2. */
struct fixture *fixture_with_run(const char *start);
/* A run whose SDK, of request version 1, has reported the op at 10:00 beside a step, and again at 10:30 when the step was done. */
struct fixture *fixture_with_repeated_report(const char *op);
void fixture_free(struct fixture *f);

/* ---- what happens to the engine ---- */

struct client *serve(struct fixture *f, const struct rig_function *functions, size_t count);
#define SERVE(f, ...)                                                                                                                      \
    serve(f, (struct rig_function[]){__VA_ARGS__}, sizeof((struct rig_function[]){__VA_ARGS__}) / sizeof(struct rig_function))
/* Any message, with a client who waits for the reply. */
struct client *post(struct fixture *f, struct sg_message *message);

struct event_spec {
    const char *name;
    const char *data; /* JSON; NULL: {} */
    const char *id;   /* NULL: fresh */
    int64_t ts_ms;    /* 0: now */
};
void send_events(struct fixture *f, const struct event_spec *events, size_t count);
#define SEND(f, ...)                                                                                                                       \
    send_events(f, (struct event_spec[]){__VA_ARGS__}, sizeof((struct event_spec[]){__VA_ARGS__}) / sizeof(struct event_spec))
void send_event(struct fixture *f, const char *name);

void report(struct fixture *f, const char *ops); /* 206 */
void report_with(struct fixture *f, const char *ops, bool is_no_retry, int64_t retry_after_ms);
void finish(struct fixture *f, const char *output);                /* 200 */
void fail(struct fixture *f, const char *error, bool is_no_retry); /* 500, 400 */
/* The same, to the call with this number (from 0), and once more if it has been answered. */
void report_to(struct fixture *f, int call, const char *ops);
void finish_to(struct fixture *f, int call, const char *output);
void fail_to(struct fixture *f, int call, const char *error, bool is_no_retry);

/* What came of the request with this number (from 0): the step's result, or an error with this message. */
void fetched(struct fixture *f, int fetch, const char *data);
void fetch_failed(struct fixture *f, int fetch, const char *text);
/* The same for one that is not to be tried again. */
void fetch_refused(struct fixture *f, int fetch, const char *text);

struct client *checkpoint(struct fixture *f, int call, const char *ops);
struct client *checkpoint_raw(struct fixture *f, struct sg_id run_id, int64_t job_id, int generation, const char *ops);
struct client *cancel(struct fixture *f, struct sg_id run_id);
struct client *send_signal(struct fixture *f, const char *name, const char *data);

/* A bulk cancellation of runs of "fn" that were created up to now. `expression` NULL: all. */
struct client *cancel_all(struct fixture *f, const char *expression, bool is_dry_run);
/* "total/examined/matched", and "..." behind it while it is under way. */
const char *cancellation_progress(struct fixture *f, struct sg_id id);

/* A durable endpoint reports a run, "r1", with its first steps; then more of them. Makes it the latest run. */
struct client *endpoint_begins(struct fixture *f, const char *run, const char *ops);
struct client *endpoint_reports(struct fixture *f, const char *run, const char *ops);
/* The same for an endpoint at another path, whose steps may be tried so many times more. */
struct client *endpoint_begins_at(struct fixture *f, const char *path, int retries, const char *run, const char *ops);

void move_clock(struct fixture *f, const char *hh_mm_ss);
void move_clock_ms(struct fixture *f, int64_t now_ms);
/* To the next due time, and what happens then. */
void move_to_next_due(struct fixture *f);
void release_loads(struct fixture *f);
/* Answers loads of runs that are kept as if the store could not be read. */
void fail_loads(struct fixture *f);
void begin_batch(struct fixture *f);
void end_batch(struct fixture *f);
/* One thing: a commit, a load or an advance; false if there is nothing to do at this moment. */
bool step(struct fixture *f);
/* Retention has deleted all events. */
void events_trim(struct fixture *f);
/* The process dies here: a new engine, built from the store. Calls in flight are forgotten by the SDK. */
void crash(struct fixture *f);

/* ---- what can be seen ---- */

/* All calls that went out since call number `from`: "target@snapshot", "!" behind it if plans are forced, "#n" if it is attempt n > 0. */
const char *calls_from(struct fixture *f, int from);
#define calls(f) calls_from(f, 0)
/* Steps whose requests went out since number `from`: "a b a". */
const char *fetches_from(struct fixture *f, int from);
#define fetches(f) fetches_from(f, 0)
struct sg_call *call_at(struct fixture *f, int number);
struct sg_call *last_call(struct fixture *f);
int64_t count(struct fixture *f, enum sg_kind kind);
int64_t next_due(struct fixture *f);
/* Of the latest run: the bytes of a memo, "-" if there is none. */
const char *memo(struct fixture *f, const char *step);
/* Step ids in order of their memos: "a b c". */
const char *stack(struct fixture *f);
/* "Completed", ...; of the latest run. */
const char *run_status(struct fixture *f);
const char *run_output(struct fixture *f);
const char *run_error(struct fixture *f);
/* A column of the latest run's row, as text; "-" if it is null. */
const char *run_text(struct fixture *f, int column);
/* Makes a run that has not been called yet the latest one: the first that is live. */
void find_run(struct fixture *f);
int64_t step_number(struct fixture *f, const char *step, int column); /* -1: there is no such step */
const char *step_status(struct fixture *f, const char *step);
/* A column of the latest run's step, as text; "-" if it is null. */
const char *step_text(struct fixture *f, const char *step, int column);
/* Names of all events in the log, in order, with a space between. */
const char *events(struct fixture *f);
int64_t runs_of(struct fixture *f, const char *slug);
struct sg_engine_stats stats(struct fixture *f);
/* Why the run is not moving: the engine's JSON, in the fixture's arena. */
const char *why(struct fixture *f, struct sg_id run_id);

/* JSON with single quotes, canonical, in the fixture's arena. */
struct sg_str json(struct fixture *f, const char *text);

#define ASSERT_TEXT(actual, expected) cr_assert(eq(str, (char *)(uintptr_t)(actual), (char *)(uintptr_t)(expected)))
#define ASSERT_INT(actual, expected) cr_assert(eq(i64, (int64_t)(actual), (int64_t)(expected)))

#endif
