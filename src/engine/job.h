/* Jobs: things to do at a time, each belonging to a run. */
#ifndef STEPGATE_ENGINE_JOB_H
#define STEPGATE_ENGINE_JOB_H

#include "engine/turn.h"

struct sg_job_spec {
    enum sg_job_kind kind;
    int flags; /* enum sg_job_flag */
    struct sg_str cause;
    struct sg_str target;
    int64_t due_at_ms;
};

/*
 * Adds a job to the run. When the run is flushed (sg_run_flush), it is started if it is due, in the same commit, or written to wait for its
 * time. NULL if memory ran out, which is latched in the turn.
 */
struct sg_job *sg_job_add(struct sg_turn *turn, struct sg_run *run, const struct sg_job_spec *spec);
/*
 * What a job that has come due does: wake its sleep, then start its call (a new generation, an effect). False if the run was over a limit
 * or a deadline and has been ended; then neither may be touched again.
 */
bool sg_job_start(struct sg_turn *turn, struct sg_job *job);
/* Whether the job can only start while the run's steps are in memory. */
static inline bool sg_job_needs_steps(const struct sg_job *job)
{
    return job->kind == SG_JOB_SLEEP || job->kind == SG_JOB_WAIT || job->target_len > 0;
}
/* Starts or writes the jobs that were added in this turn. False as sg_job_start. */
bool sg_job_flush(struct sg_turn *turn, struct sg_run *run);
/* The attempt failed: the same job again after `delay_ms`, one attempt later. */
void sg_job_retry(struct sg_turn *turn, struct sg_job *job, int64_t delay_ms);
/* The call has come to nothing, and nobody failed: it is made again at once, as the same attempt. */
void sg_job_repeat(struct sg_turn *turn, struct sg_job *job);
/* The job is done: it leaves the run and the store, and is freed. */
void sg_job_remove(struct sg_turn *turn, struct sg_job *job);
/* Writes the job as it stands. */
void sg_job_write(struct sg_turn *turn, const struct sg_job *job);

/* The step that caused the job and the one it asks for; empty: none. The text lies in the job or, unpacked, in `room`. */
struct sg_job_text {
    char hex[40];
};
struct sg_str sg_job_cause(const struct sg_job *job, struct sg_job_text *room);
struct sg_str sg_job_target(const struct sg_job *job, struct sg_job_text *room);

/* The run's job with this id, or NULL. */
struct sg_job *sg_job_find(const struct sg_run *run, int64_t id);
/* Whether the run has a job that would move it on. What only watches over it (a timeout, which would end it) does not. */
bool sg_job_moves(const struct sg_run *run);
/* Whether it has exactly one such: the one that is being handled, which must then lead on, or nothing will. */
bool sg_job_is_alone(const struct sg_run *run);
/* Attempts that the job's function allows. */
int sg_job_attempts_max(const struct sg_job *job);
/* Back-off after the failed attempt number `attempt`, from 0 (reference/02 §5.3). */
int64_t sg_job_backoff_ms(struct sg_engine *engine, int attempt);

/*
 * Ids of jobs are never given twice, or an old call could speak for a new job (ctx.qi_id names it). They are reserved in the store in blocks, as
 * a setting; what a process did not use of its block is left unused.
 */
void sg_job_ids_restore(struct sg_engine *engine, const struct sg_record *setting);
void sg_job_ids_restored(struct sg_turn *turn, int64_t last_job_id);

/* For start-up: adds the job of a record to its run. SG_NOT_FOUND: the record makes no sense; SG_NO_MEMORY. */
enum sg_status sg_job_restore(struct sg_engine *engine, struct sg_run *run, const struct sg_record *record);
/* Another due time for a job that waits for its own. */
void sg_job_postpone(struct sg_turn *turn, struct sg_job *job, int64_t due_at_ms);
/* The job's call has been answered, and the answer is being applied: it is not due, and counts as started. */
void sg_job_resume(struct sg_engine *engine, struct sg_job *job);
/* Puts a job into its run's list and, unless it is started, among the due ones. False if memory ran out. */
bool sg_job_link(struct sg_engine *engine, struct sg_run *run, struct sg_job *job);
/* The run has ended: the job is no longer due, its call no longer counts; its record is deleted later. */
void sg_job_silence(struct sg_engine *engine, struct sg_job *job);
/* Frees the job without writing anything. */
void sg_job_forget(struct sg_engine *engine, struct sg_job *job);

void sg_job_pools_init(struct sg_engine *engine);
void sg_job_pools_free(struct sg_engine *engine);

#endif
