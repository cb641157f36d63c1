/*
 * The oracle: it watches from outside what clients were told, what SDKs were asked and did, and what was committed, and says when something is false that
 * must never be (design: what must never be false). It knows nothing of how the engine works.
 */
#ifndef STEPGATE_TESTS_ORACLE_H
#define STEPGATE_TESTS_ORACLE_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "base/map.h"

struct scenario;

struct oracle_step {
    struct sg_str id;
    char text[28]; /* its bytes */
    int executions;
    int64_t shown_at;      /* tick at which a call showed its memo or a checkpoint of it was confirmed; 0: never */
    int64_t wakes_at_ms;   /* sleep: not before; 0: not reported */
    uint64_t memo_hash;    /* of the committed bytes; 0: none */
    int64_t discovery_job; /* that followed the step's completion; 0: none yet */
    int64_t confirmed_job; /* whose checkpoint of it was confirmed; 0: none */
    int32_t confirmed_generation;
};

struct oracle_attempt {
    int64_t job_id;
    int32_t generation;
    int attempt;         /* of the latest call */
    bool is_reset;       /* a checkpoint may have set the attempt to 0 since */
    int64_t again_at_ms; /* earliest moment of the next attempt; 0: nothing was answered that may fail one */
};

struct oracle_run {
    struct sg_id id;
    struct sg_map steps; /* of struct oracle_step */
    struct oracle_attempt *jobs;
    int job_count;
    int job_capacity;
    int body_throws; /* how often the body has thrown at its SCRIPT_THROW nodes */
    int ends;        /* commits that ended it */
    int finished;    /* lifecycle events */
    int failed;
    int cancelled;
    bool is_silent;
    bool is_cancel_confirmed;
    bool is_cancel_asked;
    bool is_excused; /* damaged, or its code changed under it: any end is right */
    struct sg_id function_id;
    int64_t started_at_ms; /* 0: not yet */
};

/* The latest event of a name that a function has consumed. */
struct oracle_line {
    struct sg_id id; /* function, mixed with the name */
    int64_t position;
};

struct oracle {
    bool is_deaf; /* the store has been damaged: nothing that is seen means anything */
    struct sg_map runs;
    struct sg_map lines;
    uint64_t *names; /* hash of the name of each event, by position */
    int64_t name_count;
    bool is_broken;
    char problem[1024];
    int64_t executions;
    int64_t memos;
    int64_t ended_runs;
};

void oracle_init(struct oracle *oracle);
void oracle_free(struct oracle *oracle);
/* Remembers the first problem. */
void oracle_break(struct oracle *oracle, const char *format, ...) SG_PRINTF(2, 3);

struct oracle_run *oracle_run(struct oracle *oracle, struct sg_id id);
struct oracle_step *oracle_step(struct oracle_run *run, struct sg_str id);

/* A batch has been committed at this time of the engine. */
void oracle_committed(struct oracle *oracle, const struct sg_write *writes, size_t count, int64_t now_ms);
/* A call goes out. */
void oracle_called(struct oracle *oracle, const struct sg_call *call, int64_t now_ms);
/* A call shows a memo to the SDK; `hash` is that of its bytes. */
void oracle_shown(struct oracle *oracle, struct oracle_run *run, struct sg_str step_id, struct sg_str bytes, int64_t tick, int64_t now_ms);
/* A checkpoint of a step was confirmed to the SDK that had got this call. */
void oracle_confirmed(struct oracle *oracle, struct oracle_run *run, struct sg_str step_id, const struct sg_call *call, int64_t tick);
/* The SDK executes a step in a call that went out at `called_at`; returns how often it has, this time included. */
int oracle_executed(struct oracle *oracle, struct oracle_run *run, struct sg_str step_id, const struct sg_call *call, int64_t called_at);
/* The answer to a call is on its way, and may fail the attempt: the next one is not before `again_at_ms`. */
void oracle_may_fail(struct oracle *oracle, const struct sg_call *call, int64_t again_at_ms);
/* The same for a request of the job's answer that has failed, from now on after its back-off. */
void oracle_may_fail_job(struct oracle *oracle, struct sg_id run_id, int64_t job_id, int32_t generation, int64_t now_ms,
                         int64_t retry_interval_ms);
/* A checkpoint for a call has been sent. */
void oracle_may_reset(struct oracle *oracle, const struct sg_call *call);

uint64_t oracle_hash(struct sg_str bytes);

#endif
