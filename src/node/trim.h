/*
 * Trimming: one sweep through the history of a store that deletes what is over a limit of age or of size and that nobody needs.
 */
#ifndef STEPGATE_NODE_TRIM_H
#define STEPGATE_NODE_TRIM_H

#include <stepgate/store.h>

#include "node/clock.h"

/* Nothing younger is ever trimmed: a person, or a test, that has just seen a run end wants to look at it, however full the disk is. */
#define SG_LIMIT_TRIM_AGE_MIN_MS (10 * 60 * 1000LL)
/* Deletes in one commit: about a millisecond of work, which is what a commit that comes at the wrong moment waits. */
#define SG_LIMIT_TRIM_WRITES 256
/* And what they free, since a large value is freed page by page. A single row may be larger. */
#define SG_LIMIT_TRIM_BYTES (1024 * 1024)

struct sg_trim_options {
    struct sg_store_reader *reader; /* of the calling thread */
    struct sg_clock *clock;
    void *context;
    /* Commits all of it, or nothing, and returns when that is known. Anything but SG_OK ends the sweep. */
    enum sg_status (*commit)(void *context, const struct sg_write *writes, size_t count, struct sg_error *error);
    /* What the store holds, free pages not counted; by size only. */
    enum sg_status (*measure)(void *context, int64_t *bytes, struct sg_error *error);
    /* Told after each page of reading how long that took, so that it may pause; true: end the sweep. May be NULL. */
    bool (*rest)(void *context, int64_t took_ns);
};

struct sg_trim_report {
    int64_t runs;
    int64_t events;
    int64_t rows;      /* with steps, memos and attempts */
    bool is_satisfied; /* false after a sweep by size: what is left is needed or too young, and still too much */
};

/* Deletes what ended, or came, more than `age_ms` ago. SG_SHUTTING_DOWN if `rest` ended it. */
enum sg_status sg_trim_by_age(const struct sg_trim_options *options, int64_t age_ms, struct sg_trim_report *report, struct sg_error *error);
/* If the store holds more than `bytes_max`: deletes the oldest until it holds a little less. */
enum sg_status sg_trim_by_size(const struct sg_trim_options *options, int64_t bytes_max, struct sg_trim_report *report,
                               struct sg_error *error);

#endif
