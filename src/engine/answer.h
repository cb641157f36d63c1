/* What an SDK answered, applied to its run. */
#ifndef STEPGATE_ENGINE_ANSWER_H
#define STEPGATE_ENGINE_ANSWER_H

#include "engine/turn.h"

/* Handles an answer message. True if it was set aside: the caller must not free it. */
bool sg_answer_handle(struct sg_turn *turn, struct sg_message *message);

/* An answer that was set aside has been handled, or comes to nothing: events that were kept back for it go on. */
void sg_answer_let_go(struct sg_engine *engine, struct sg_message *message);

/* The application of an answer's ops, which a cursor may spread over several turns. */
struct sg_apply {
    struct sg_job *job;
    const struct sg_answer *answer;
    int64_t position; /* of the log when the answer came, if it could not be applied then; its waits see events from there on. 0: now */
    bool is_grouped;
    bool last_is_race;
    bool last_is_fresh;
    bool is_restored;             /* by start-up: the opts of fetches are not there */
    bool is_interrupted;          /* a step's request went with the process that made it: the call is made again */
    struct sg_step *last;         /* the latest step that completed: what the discovery is caused by */
    const struct sg_op *complete; /* RunComplete: applied after all others */
    const struct sg_op *retry;    /* a step that failed and will be tried again, by this same job */
    const struct sg_op *failure;  /* a durable endpoint's handler has failed for good */
};
/* How many ops from number `from` on can be applied with about `writes_max` writes. */
size_t sg_apply_count(const struct sg_answer *answer, size_t from, int writes_max);
/*
 * Applies the ops of an answer to its job's run, at once or, if there are many, by a cursor. `position` as in struct sg_apply. The run may be gone
 * afterwards.
 */
void sg_answer_apply(struct sg_turn *turn, struct sg_job *job, const struct sg_answer *answer, int64_t position);
/* What the run must know at once: request version, forced plans, the pending set. */
void sg_apply_begin(struct sg_turn *turn, struct sg_apply *apply, bool is_resumed);
/* One op. False if it ended the run. */
bool sg_apply_op(struct sg_turn *turn, struct sg_apply *apply, const struct sg_op *op);
/* Whether the op makes the same job run once more. */
bool sg_apply_retries(const struct sg_apply *apply, const struct sg_op *op);
/* Ends the job: result, retry or follow-up; but not while requests of its steps are out (fetch.c). The run may be gone afterwards. */
void sg_apply_end(struct sg_turn *turn, struct sg_apply *apply);
/* A step has completed, or failed for good; `memo` is what is remembered. False if the run's state would grow too large: it has been failed. */
bool sg_apply_completed(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, bool is_race, enum sg_step_status status,
                        struct sg_str memo);
/* The job has led to what follows from it, if anything: it is removed, or asked again if nothing else would move the run. */
void sg_apply_leave(struct sg_turn *turn, struct sg_job *job);

/* `{"data":<bytes>}` and `{"error":<bytes>}` in the batch's memory (reference/01 §7.5). */
struct sg_str sg_memo_wrap(struct sg_turn *turn, struct sg_str key, struct sg_str bytes);

/* Memoizes a step that a checkpoint reports; a planned one is trace only. */
void sg_checkpoint_apply(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op);
/* A checkpoint: steps that a call in flight has finished, while it goes on (reference/03 §4.2). True if it was set aside. */
bool sg_checkpoint_handle(struct sg_turn *turn, struct sg_message *message);

/* An API cancel. */
void sg_cancel_handle(struct sg_turn *turn, struct sg_message *message);

#endif
