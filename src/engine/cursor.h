/* Cursors: work that is larger than one message, done in slices between others. */
#ifndef STEPGATE_ENGINE_CURSOR_H
#define STEPGATE_ENGINE_CURSOR_H

#include "engine/turn.h"

/* The event at `position` goes to its remaining consumers under a cursor, which asks for its bytes first. */
void sg_cursor_event_add(struct sg_turn *turn, int64_t position, struct sg_str name, struct sg_id after);
/* Deletes the jobs of a run that has ended. */
void sg_cursor_clear_add(struct sg_turn *turn, struct sg_run *run);
/* Applies a large answer in slices; the run is held meanwhile. */
/* `seen_from`: events from this log position on are seen by its waits; 0: from now on. */
void sg_cursor_answer_add(struct sg_turn *turn, struct sg_job *job, const struct sg_answer *answer, int64_t seen_from);
/* The run's steps, or its trigger, are there: if a large answer was being applied to it, that goes on. True if there was one. */
bool sg_cursor_answer_resume(struct sg_turn *turn, struct sg_run *run);

/* The run is about to be failed: an answer that was being applied to it goes with it. */
void sg_cursor_answer_drop(struct sg_turn *turn, struct sg_run *run);

/* Whether a cursor works on this run. */
bool sg_cursor_holds(const struct sg_engine *engine, const struct sg_run *run);

/* The oldest commit that the lookup of an event under a cursor is sure to see; INT64_MAX if there is none. Keys of later commits are still needed. */
int64_t sg_cursor_lookup_floor(const struct sg_engine *engine);
/* The bytes that a cursor asked for. True if it keeps the message. */
bool sg_cursor_event_loaded(struct sg_turn *turn, struct sg_message *message);
/* Advances cursors that can move, at most `slices_max` slices; returns how many it did. */
int sg_cursor_advance(struct sg_turn *turn, int slices_max);
bool sg_cursor_can_advance(const struct sg_engine *engine);

/* A message of a run that is gone: answers its client as it would have been answered had it come now, and hands it to the batch. */
void sg_cursor_message_orphaned(struct sg_engine *engine, struct sg_batch *batch, struct sg_message *message);

enum sg_status sg_cursor_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error);
enum sg_status sg_cursor_restore_answer(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error);
/* Connects cursors with their runs and asks for the events they need. */
void sg_cursor_restored(struct sg_turn *turn);
void sg_cursor_free_all(struct sg_engine *engine);

#endif
