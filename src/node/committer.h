/*
 * The store thread: commits batches in order and lets their effects out afterwards (output commit).
 *
 * One batch at most waits in the committer's slot. The engine thread offers its open batch there whenever it has nothing better to do and takes
 * it back to go on filling it if the store has not come for it yet. So an idle store commits at once, a busy one finds everything that came
 * meanwhile in one batch, and no thread waits for a hand-over.
 */
#ifndef STEPGATE_NODE_COMMITTER_H
#define STEPGATE_NODE_COMMITTER_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

struct sg_committer;

struct sg_committer_options {
    struct sg_store *store;
    void *context;
    /* A batch is on disk, before its effects go out: for metrics. `took_ns` is of the commit; negative: there was nothing to write. May be NULL. */
    void (*committed)(void *context, const struct sg_batch *batch, int64_t took_ns);
    /* Lets the effects of a committed batch out, in order. */
    void (*let_out)(void *context, struct sg_batch *batch);
    /* The slot has become free after sg_committer_want_room. May be NULL. */
    void (*has_room)(void *context);
    /* The store has begun to fail (error says how) or works again (NULL). May be NULL. */
    void (*trouble)(void *context, const struct sg_error *error);
    /* Ends the process because what is on disk, or in memory, can no longer be trusted. NULL: _exit(3). */
    void (*fatal)(void *context, const struct sg_error *error);
    /* Small work that needs the only writer (see sg_committer_request_chore). True: there is more of it. May be NULL. */
    bool (*chore)(void *context, struct sg_store *store);
    /* Pauses between attempts; 0: the defaults, 20 ms growing to 2 s. */
    int64_t retry_min_ms;
    int64_t retry_max_ms;
};

enum sg_status sg_committer_create(const struct sg_committer_options *options, struct sg_committer **committer, struct sg_error *error);
/* sg_committer_stop comes first. NULL is fine. */
void sg_committer_free(struct sg_committer *committer);

/* ---- the engine thread ---- */

/* The slot must be empty, which it is after sg_committer_reclaim. Takes the batch. */
void sg_committer_offer(struct sg_committer *committer, struct sg_batch *batch);
/* The batch in the slot, if the store has not come for it; NULL if it has. */
struct sg_batch *sg_committer_reclaim(struct sg_committer *committer);
/* True: the slot is occupied, and `has_room` will be called when it is not. */
bool sg_committer_want_room(struct sg_committer *committer);

/* ---- any thread ---- */

/* The number of the last batch whose commit has returned. */
int64_t sg_committer_number(const struct sg_committer *committer);
bool sg_committer_is_failing(const struct sg_committer *committer);
/* Whether everything offered has been committed and let out. */
bool sg_committer_is_idle(struct sg_committer *committer);
/* Has the chore done by the store thread, between two batches. */
void sg_committer_request_chore(struct sg_committer *committer);
/* Commits so far, and the records they wrote: for metrics and for deciding when the log of the store wants maintenance. */
void sg_committer_totals(const struct sg_committer *committer, int64_t *commits, int64_t *writes);
/* Commits that failed and were tried again. */
int64_t sg_committer_failures(const struct sg_committer *committer);
/*
 * Commits what has been offered, then ends the thread. With `is_giving_up` a batch that the store refuses is dropped, with its effects, as a crash would
 * drop it. Returns whether everything was committed.
 */
bool sg_committer_stop(struct sg_committer *committer, bool is_giving_up);

#endif
