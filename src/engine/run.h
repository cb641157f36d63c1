/* Runs: creation, the end, parking and hydration. */
#ifndef STEPGATE_ENGINE_RUN_H
#define STEPGATE_ENGINE_RUN_H

#include "engine/turn.h"

struct sg_run_spec {
    struct sg_function *function;
    struct sg_id event_id; /* internal id of the first event */
    struct sg_str event_name;
    const int64_t *positions;
    size_t event_count;
    int64_t event_bytes;
    int64_t start_at_ms;   /* now, or later for a future event */
    struct sg_str body;    /* of the first event: what cancelOn is held against; "" for a batch, which has none (reference/02 §13.1) */
    struct sg_str invoker; /* the correlation id of the step.invoke that started it; "" for none */
    bool is_http;          /* a durable endpoint executes it: it runs already, and its first job is a watchdog, due at start_at_ms */
    struct sg_id run_id;   /* is_http: as the SDK chose it */
    int request_version;   /* is_http */
};

/* Creates a run with its first job, which starts if it is due when the run is flushed. NULL if memory ran out, which is latched in the turn. */
struct sg_run *sg_run_begin(struct sg_turn *turn, const struct sg_run_spec *spec);
/* The same with the flush. */
struct sg_id sg_run_create(struct sg_turn *turn, const struct sg_run_spec *spec);

struct sg_run_end {
    enum sg_run_status status;
    struct sg_str output; /* canonical JSON; empty: none */
    struct sg_str error;  /* failed: the error object */
    struct sg_str reason; /* cancelled: why */
};
/*
 * Ends the run: final row, lifecycle events, all jobs removed (by a cursor if there are many). The run may be freed; the caller
 * must not touch it again.
 */
void sg_run_end(struct sg_turn *turn, struct sg_run *run, const struct sg_run_end *end);
/* Cancels the run, whatever holds it: what was set aside for it and what was being applied to it come to nothing. `reason` lives as long as the batch. */
void sg_run_cancel(struct sg_turn *turn, struct sg_run *run, struct sg_str reason);
/* The store could not give what the run needs: it is failed, once, and holds up nobody. */
void sg_run_fail_stored(struct sg_turn *turn, struct sg_run *run, enum sg_status status, const char *message);
/* Fails the run with an error of the gateway's own: {"error","name","message"} as data.error, no output (reference/02 §12). */
struct sg_run_error {
    struct sg_str name;
    struct sg_str error;
    struct sg_str message;
    struct sg_str stack; /* empty: none */
};
void sg_run_fail_with(struct sg_turn *turn, struct sg_run *run, const struct sg_run_error *error);
/* The same for an error without a stack. */
void sg_run_fail(struct sg_turn *turn, struct sg_run *run, const char *name, const char *error, const char *message);

/*
 * Ends the turn for a run: starts its new jobs, writes what changed (run_live, the row, steps), parks it if nothing is happening to it. The run
 * may have been ended by a limit, so the caller must not touch it again.
 */
void sg_run_flush(struct sg_turn *turn, struct sg_run *run);
void sg_run_touch_live(struct sg_run *run);
void sg_run_touch_row(struct sg_run *run);

/* Whether the run's steps are in memory; if not, asks for them once (SG_EFFECT_LOAD_RUN). */
bool sg_run_hydrate(struct sg_turn *turn, struct sg_run *run);
/*
 * Takes the message into the run's queue until the hold ends: true, for the caller to return (false if memory has run out). What may wait is bounded
 * by the inbox.
 */
bool sg_run_set_aside(struct sg_run *run, struct sg_message *message);
/* The same for a message that goes before those that wait already: its turn had come. */
bool sg_run_set_aside_first(struct sg_run *run, struct sg_message *message);
/* Asks for the event that started the hydrated run and holds it until then (SG_HOLD_TRIGGER). */
void sg_run_ask_trigger(struct sg_turn *turn, struct sg_run *run);
/* Ends the hold: deferred jobs come due again, set-aside messages are handled in order (engine.c). The run may be gone afterwards. */
void sg_run_release(struct sg_turn *turn, struct sg_run *run);

const int64_t *sg_run_positions(const struct sg_run *run);
/* Adds the run's bookkeeping row; false if memory ran out. */
bool sg_run_link(struct sg_engine *engine, struct sg_run *run);
/* Frees the run, its steps and jobs, without writing anything. Messages that were set aside go to the batch (or are freed without one). */
void sg_run_forget(struct sg_engine *engine, struct sg_run *run, struct sg_batch *batch);
/* For start-up: adds the run of a record. SG_NOT_FOUND: the record makes no sense; SG_NO_MEMORY. */
enum sg_status sg_run_restore(struct sg_engine *engine, const struct sg_record *record);
void sg_run_delete_live(struct sg_turn *turn, const struct sg_run *run);

#endif
