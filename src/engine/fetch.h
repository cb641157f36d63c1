/* Requests that the gateway makes for steps: step.fetch and step.ai.infer (ops Gateway and AIGateway). */
#ifndef STEPGATE_ENGINE_FETCH_H
#define STEPGATE_ENGINE_FETCH_H

#include "engine/answer.h"

/* The op of an answer: lets its request out, unless it is out already or the step has its memo. False if the run has been ended. */
bool sg_fetch_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op);
/* Whether requests of the job's answer are out: then it is not over, and another answer to the same call is a repetition. */
bool sg_fetch_is_out(const struct sg_engine *engine, const struct sg_job *job);
/* The answer has been applied while requests are out: what is to become of the job when the last of them has come back. */
void sg_fetch_wait(struct sg_turn *turn, const struct sg_apply *apply);
/* Whether a job of the run will move it when its requests have come back. */
bool sg_fetch_moves(const struct sg_engine *engine, const struct sg_run *run);

/* What came of a request. True if it was set aside: the caller must not free it. */
bool sg_fetched_handle(struct sg_turn *turn, struct sg_message *message);

/* The job is over, one way or the other: what is out for it comes back to nobody. */
void sg_fetch_forget(struct sg_engine *engine, const struct sg_job *job);
/* Which requests of the job are out, as a sentence; false if there is none. */
bool sg_fetch_explain(struct sg_buf *out, const struct sg_engine *engine, const struct sg_job *job);
/* Whether what is known of the job's requests makes sense, for sg_engine_check; adds 1 to `count` if anything is known. */
bool sg_fetch_check(const struct sg_engine *engine, const struct sg_job *job, size_t *count, struct sg_error *error);

void sg_fetch_tables_init(struct sg_engine *engine);
void sg_fetch_tables_free(struct sg_engine *engine);

#endif
