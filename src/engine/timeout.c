/*
 * Timeouts of runs: `timeouts.start` (from the run's creation to its first call) and `timeouts.finish` (from there to its end).
 *
 * The model. Both are read from the function as it is configured now, never from how it was when the run began (reference/04 §14.3). Two things look at
 * them (§14.2). A job of the run comes due at the deadline, whatever the run is doing: waiting in a queue, sleeping, held for a load, in a call. And
 * before each call it is asked whether a deadline has passed, which catches those that were shortened meanwhile. When a job comes due and finds its
 * deadline moved, it moves along; finds it removed, it goes.
 *
 * A run has at most one such job: that of its start goes when it starts, and the other comes. It only ever ends the run, so it does not count as something
 * that moves it (sg_job_moves). Runs of several events have no job for their start (§19): they are only asked.
 */
#include "engine/timeout.h"

#include <stdio.h>

#include <stepgate/json.h>

#include "base/duration.h"
#include "engine/job.h"
#include "engine/run.h"

/* What the reference cannot parse makes it fail; here it is as if it were not there (reference/04 §2.4), as is what would end every run. */
static int64_t member_read(const struct sg_function *function, const char *key)
{
    struct sg_str value = sg_json_get(sg_json_get(function->config, SG_STR("timeouts")), sg_str_from(key));
    int64_t ms;
    /* No escape is part of a duration: the text between the quotes is the value, or is none. */
    if (sg_json_kind_of(value) != SG_JSON_STRING || value.len < 2 ||
        sg_duration_parse_ms((struct sg_str){value.ptr + 1, value.len - 2}, &ms, NULL) != SG_OK || ms < 0)
        return 0;
    return ms;
}

void sg_timeout_read(struct sg_function *function)
{
    function->start_timeout_ms = member_read(function, "start");
    function->finish_timeout_ms = member_read(function, "finish");
}

/* The deadline that the run is under as things stand; INT64_MAX: none. */
static int64_t deadline(const struct sg_run *run)
{
    bool is_started = run->started_at_ms > 0;
    int64_t timeout_ms = is_started ? run->function->finish_timeout_ms : run->function->start_timeout_ms;
    return timeout_ms > 0 ? (is_started ? run->started_at_ms : run->created_at_ms) + timeout_ms : INT64_MAX;
}

void sg_timeout_arm(struct sg_turn *turn, struct sg_run *run)
{
    bool is_started = run->started_at_ms > 0;
    struct sg_job *next;
    for (struct sg_job *job = sg_job_first(run); job != NULL; job = next) {
        next = sg_job_next(run, job);
        if (job->kind != SG_JOB_TIMEOUT)
            continue;
        if (((job->flags & SG_JOB_IS_START) == 0) == is_started)
            return;
        sg_job_remove(turn, job);
    }
    int64_t due_at_ms = deadline(run);
    if (due_at_ms == INT64_MAX || (!is_started && run->event_count > 1))
        return;
    sg_job_add(turn, run, &(struct sg_job_spec){.kind = SG_JOB_TIMEOUT, .flags = is_started ? 0 : SG_JOB_IS_START, .due_at_ms = due_at_ms});
}

static void cancel(struct sg_turn *turn, struct sg_run *run)
{
    char duration[SG_RFC3339_MAX];
    bool is_started = run->started_at_ms > 0;
    const struct sg_function *function = run->function;
    size_t len = sg_duration_format(is_started ? function->finish_timeout_ms : function->start_timeout_ms, duration);
    char text[160];
    snprintf(text, sizeof(text),
             is_started ? "finish timeout: it had not ended %.*s after its first call"
                        : "start timeout: it had not started %.*s after it was created",
             (int)len, duration);
    sg_run_cancel(turn, run, sg_turn_copy(turn, sg_str_from(text)));
}

bool sg_timeout_check(struct sg_turn *turn, struct sg_run *run)
{
    if (turn->now_ms <= deadline(run))
        return true;
    cancel(turn, run);
    return false;
}

bool sg_timeout_fire(struct sg_turn *turn, struct sg_job *job)
{
    SG_CHECK(job, SG_JOB_MAGIC);
    struct sg_run *run = job->run;
    assert(job->kind == SG_JOB_TIMEOUT);
    int64_t due_at_ms = deadline(run);
    bool is_of_start = (job->flags & SG_JOB_IS_START) != 0;
    if (due_at_ms == INT64_MAX || is_of_start != (run->started_at_ms == 0)) {
        sg_job_remove(turn, job);
        return true;
    }
    if (due_at_ms > turn->now_ms) {
        job->due.key_ms = due_at_ms;
        if (!sg_heap_add(&turn->engine->due, &job->due))
            turn->is_failed = true;
        sg_job_write(turn, job);
        return true;
    }
    cancel(turn, run);
    return false;
}
