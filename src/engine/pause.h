/* Pauses: what a run waits for beside time, and what would cancel it. */
#ifndef STEPGATE_ENGINE_PAUSE_H
#define STEPGATE_ENGINE_PAUSE_H

#include "engine/turn.h"

struct sg_cel_program;

struct sg_pause_spec {
    enum sg_pause_kind kind;
    struct sg_job *job;                   /* of kind WAIT, just added; its target is the step. NULL for CANCEL */
    int index;                            /* CANCEL: of the entry of cancelOn */
    struct sg_str name;                   /* of the event, the signal, the invoked function */
    struct sg_str expression;             /* interpolated; "" for none */
    const struct sg_cel_program *program; /* of `expression`; NULL for none */
    bool is_unmatchable;                  /* the expression is false whatever comes */
    int64_t position;                     /* events from this log position on are seen; 0: from now on */
    int64_t expires_at_ms;
};
/* Adds a pause to the run, in memory and in the store. NULL if memory ran out (latched in the turn). */
struct sg_pause *sg_pause_add(struct sg_turn *turn, struct sg_run *run, const struct sg_pause_spec *spec);

/* The pause whose timeout the job is; NULL: none. */
struct sg_pause *sg_pause_of(const struct sg_job *job);
/* The run's pause of this step; NULL: none. */
struct sg_pause *sg_pause_find(const struct sg_run *run, struct sg_str step_id);
/* Whether somebody who comes now can still answer it. */
bool sg_pause_is_open(const struct sg_pause *pause, int64_t now_ms);

/* The event at `position` answers the pause: durable with this commit. Its job comes due, loads what it needs, and wakes the run. */
void sg_pause_answer_event(struct sg_turn *turn, struct sg_pause *pause, int64_t position);
/* The same with the memo itself, canonical JSON (copied). */
void sg_pause_answer_value(struct sg_turn *turn, struct sg_pause *pause, struct sg_str memo, bool is_failure);

/* The wait's job has come due, its run is hydrated: asks for the value, or wakes the run, with the timeout's memo if nobody has answered. */
void sg_pause_due(struct sg_turn *turn, struct sg_job *job);
/* The event of an answered pause, or a run's trigger, has come (LOADED_EVENT with a run). True if the message is kept. */
bool sg_pause_event_loaded(struct sg_turn *turn, struct sg_message *message);

/* Takes the pause out of memory and store. */
void sg_pause_remove(struct sg_turn *turn, struct sg_pause *pause);
/* Its run has ended: nobody finds it any more; its record is deleted later. */
void sg_pause_silence(struct sg_engine *engine, struct sg_pause *pause);
/* Frees it without writing anything. */
void sg_pause_forget(struct sg_engine *engine, struct sg_pause *pause);

/* For start-up. SG_NOT_FOUND: the record makes no sense; SG_NO_MEMORY. */
enum sg_status sg_pause_restore(struct sg_engine *engine, const struct sg_record *record);

/* A signal for whoever waits for it (reference/02 §9.3). */
void sg_signal_handle(struct sg_turn *turn, struct sg_message *message);
/* Who waits for the signal; NULL: nobody. */
struct sg_pause *sg_signal_find(const struct sg_engine *engine, struct sg_str name);
/* Another wait takes the signal over; the pause stays and ends by its timeout. */
void sg_signal_replace(struct sg_turn *turn, struct sg_pause *pause);

#endif
