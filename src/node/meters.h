/*
 * Meters: what has happened, counted by app and by function, from any thread and without a lock. GET /metrics shows them (metrics.c).
 */
#ifndef STEPGATE_NODE_METERS_H
#define STEPGATE_NODE_METERS_H

#include <stepgate/engine.h>

#include "base/histogram.h"
#include "sdk/caller.h"

#define SG_METER_NAME_BYTES 128 /* ours: longer names are cut in labels */

enum sg_meter_end { SG_METER_COMPLETED, SG_METER_FAILED, SG_METER_CANCELLED, SG_METER_ENDS };
enum sg_meter_call_end { SG_METER_CALL_SUCCESS, SG_METER_CALL_ERRORED, SG_METER_CALL_FAILED, SG_METER_CALL_ENDS };

struct sg_meter_label {
    struct sg_id id;
    size_t name_len;
    char name[SG_METER_NAME_BYTES];
};

struct sg_app_meter {
    struct sg_meter_label label;
    struct sg_histogram step_latency;  /* from the end of a call to the sending of the one that follows from it */
    struct sg_histogram queue_delay;   /* from the event (or the answer that made it) to the first call */
    struct sg_histogram call_duration; /* from sending to the end */
    struct sg_histogram run_duration;
    atomic_llong errors[SG_CALL_ERROR_COUNT];
};

struct sg_function_meter {
    struct sg_meter_label label;
    int app; /* index of its app's meter */
    atomic_llong runs_created;
    atomic_llong runs_started;
    atomic_llong runs_ended[SG_METER_ENDS];
    atomic_llong calls_scheduled;
    atomic_llong calls_started;
    atomic_llong calls_ended[SG_METER_CALL_ENDS];
    atomic_llong calls_unsent; /* ended without having been started */
};

/* By id: each slot is the index of a meter and 1, or 0. Twice as many slots as meters, or more. */
#define SG_METER_SLOTS 512

/* Filled by one thread, looked into by any. */
struct sg_meter_table {
    atomic_int slots[SG_METER_SLOTS];
    atomic_int count; /* meters with a name, from 0; "other" is the last of the array */
};

struct sg_meters {
    struct sg_meter_table app_table;
    struct sg_meter_table function_table;
    struct sg_app_meter apps[SG_LIMIT_METRIC_APPS + 1];
    struct sg_function_meter functions[SG_LIMIT_METRIC_FUNCTIONS + 1];

    struct sg_histogram commit_duration;
    struct sg_histogram commit_messages;
    struct sg_histogram commit_writes;
    atomic_llong messages[SG_MESSAGE_KIND_COUNT]; /* handled, and what came of it is on disk */
    atomic_llong events;                          /* accepted from clients */
    atomic_llong lifecycle_events;
    atomic_llong checkpoint_steps;
    atomic_llong memos;
    atomic_llong memo_bytes;
    atomic_llong attempts_kept;
};

/* NULL if memory ran out. */
struct sg_meters *sg_meters_create(void);
void sg_meters_free(struct sg_meters *meters);

/*
 * Start-up, then the store thread, and nobody else: learns the name of an app or a function from its record. The app's comes first. Other kinds
 * are fine.
 */
void sg_meters_learn(struct sg_meters *meters, const struct sg_record *record);
/* A batch is on disk; its effects have not gone out. The store thread. */
void sg_meters_committed(struct sg_meters *meters, const struct sg_batch *batch, int64_t took_ns);

/* Any thread. */
void sg_meters_call_scheduled(struct sg_meters *meters, const struct sg_call *call);
void sg_meters_call_sent(struct sg_meters *meters, const struct sg_call *call, int64_t now_ns);
void sg_meters_call_ended(struct sg_meters *meters, const struct sg_call *call, const struct sg_call_report *report);

#endif
