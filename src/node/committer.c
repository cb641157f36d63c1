/*
 * The store thread.
 *
 * The model. It takes the batch that lies in the slot, commits its writes in one transaction, publishes the commit's number, lets the effects out
 * in order, frees the batch. Batches are taken in the order of their numbers by this one thread, so a batch without writes still waits for all
 * earlier ones: its reply to a duplicate vouches for the original. A store that is busy, full or failing gets the same batch again and again,
 * with growing pauses; until it works nothing goes out, and whoever asks (the posters, /ready) is told. Only a store that says its contents
 * can no longer be trusted ends the process: starting again is recovery.
 *
 * What it never does: reorder, let an effect out before its commit, split or merge batches, or read the engine's state.
 */
#include "node/committer.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "node/clock.h"

#define COMMITTER_MAGIC 0x636d7472u
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 2000
/* A lasting failure is logged again this often, so that whoever comes later sees it. */
#define REMIND_MS 30000

struct sg_committer {
    uint32_t magic;
    struct sg_committer_options options;
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock */
    struct sg_batch *slot;
    bool is_working; /* a batch is being committed or let out */
    bool wants_room;
    bool wants_chore;
    bool is_stopping;
    bool is_giving_up;
    bool has_dropped;
    int64_t last_offered; /* highest number seen, to assert the order */
    atomic_llong number;
    atomic_llong commits;
    atomic_llong writes;
    atomic_llong failures; /* attempts that the store refused */
    atomic_bool is_failing;
};

static void *committer_main(void *argument);
static bool take_batch(struct sg_committer *committer, struct sg_batch **batch, bool *do_chore);
static bool commit_batch(struct sg_committer *committer, struct sg_batch *batch, int64_t *took_ns);
static bool is_passing(enum sg_status status);
static const char *remedy(enum sg_status status);
static bool pause_before_retry(struct sg_committer *committer, int64_t pause_ms);
static void die(struct sg_committer *committer, const struct sg_error *error);

enum sg_status sg_committer_create(const struct sg_committer_options *options, struct sg_committer **committer_out, struct sg_error *error)
{
    assert(options->store != NULL && options->let_out != NULL);
    struct sg_committer *committer = sg_calloc(1, sizeof(*committer));
    if (committer == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the store thread");
    committer->magic = COMMITTER_MAGIC;
    committer->options = *options;
    if (committer->options.retry_min_ms == 0)
        committer->options.retry_min_ms = RETRY_MIN_MS;
    if (committer->options.retry_max_ms == 0)
        committer->options.retry_max_ms = RETRY_MAX_MS;

    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&committer->lock, NULL);
    pthread_cond_init(&committer->changed, &attributes);
    pthread_condattr_destroy(&attributes);

    int code = pthread_create(&committer->thread, NULL, committer_main, committer);
    if (code != 0) {
        enum sg_status status = sg_error_set(error, SG_SYSTEM, "the store thread cannot be started: %s", strerror(code));
        sg_committer_free(committer);
        return status;
    }
    committer->is_started = true;
    *committer_out = committer;
    return SG_OK;
}

void sg_committer_free(struct sg_committer *committer)
{
    if (committer == NULL)
        return;
    SG_CHECK(committer, COMMITTER_MAGIC);
    assert(!committer->is_started);
    if (committer->slot != NULL)
        sg_batch_free(committer->slot);
    pthread_cond_destroy(&committer->changed);
    pthread_mutex_destroy(&committer->lock);
    committer->magic = 0;
    sg_free(committer);
}

void sg_committer_offer(struct sg_committer *committer, struct sg_batch *batch)
{
    SG_CHECK(committer, COMMITTER_MAGIC);
    pthread_mutex_lock(&committer->lock);
    assert(committer->slot == NULL);
    assert(batch->number >= committer->last_offered); /* equal: taken back and offered again */
    committer->last_offered = batch->number;
    committer->slot = batch;
    pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
}

struct sg_batch *sg_committer_reclaim(struct sg_committer *committer)
{
    SG_CHECK(committer, COMMITTER_MAGIC);
    pthread_mutex_lock(&committer->lock);
    struct sg_batch *batch = committer->slot;
    committer->slot = NULL;
    committer->wants_room = false;
    pthread_mutex_unlock(&committer->lock);
    return batch;
}

bool sg_committer_want_room(struct sg_committer *committer)
{
    SG_CHECK(committer, COMMITTER_MAGIC);
    pthread_mutex_lock(&committer->lock);
    bool is_occupied = committer->slot != NULL;
    committer->wants_room = is_occupied;
    pthread_mutex_unlock(&committer->lock);
    return is_occupied;
}

int64_t sg_committer_number(const struct sg_committer *committer)
{
    return atomic_load(&committer->number);
}

bool sg_committer_is_failing(const struct sg_committer *committer)
{
    return atomic_load(&committer->is_failing);
}

bool sg_committer_is_idle(struct sg_committer *committer)
{
    SG_CHECK(committer, COMMITTER_MAGIC);
    pthread_mutex_lock(&committer->lock);
    bool is_idle = committer->slot == NULL && !committer->is_working;
    pthread_mutex_unlock(&committer->lock);
    return is_idle;
}

void sg_committer_request_chore(struct sg_committer *committer)
{
    SG_CHECK(committer, COMMITTER_MAGIC);
    pthread_mutex_lock(&committer->lock);
    committer->wants_chore = true;
    pthread_cond_signal(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
}

void sg_committer_totals(const struct sg_committer *committer, int64_t *commits, int64_t *writes)
{
    *commits = atomic_load(&committer->commits);
    *writes = atomic_load(&committer->writes);
}

int64_t sg_committer_failures(const struct sg_committer *committer)
{
    return atomic_load(&committer->failures);
}

bool sg_committer_stop(struct sg_committer *committer, bool is_giving_up)
{
    SG_CHECK(committer, COMMITTER_MAGIC);
    pthread_mutex_lock(&committer->lock);
    committer->is_stopping = true;
    committer->is_giving_up = committer->is_giving_up || is_giving_up;
    pthread_cond_broadcast(&committer->changed);
    pthread_mutex_unlock(&committer->lock);
    if (committer->is_started)
        pthread_join(committer->thread, NULL);
    committer->is_started = false;
    return !committer->has_dropped;
}

static void *committer_main(void *argument)
{
    struct sg_committer *committer = argument;
    struct sg_batch *batch;
    bool do_chore;

    while (take_batch(committer, &batch, &do_chore)) {
        if (batch != NULL) {
            int64_t took_ns;
            if (commit_batch(committer, batch, &took_ns)) {
                atomic_store(&committer->number, batch->number);
                if (committer->options.committed != NULL)
                    committer->options.committed(committer->options.context, batch, took_ns);
                committer->options.let_out(committer->options.context, batch);
            }
            sg_batch_free(batch);
        }
        bool has_more = do_chore && committer->options.chore != NULL && !sg_committer_is_failing(committer) &&
                        committer->options.chore(committer->options.context, committer->options.store);
        pthread_mutex_lock(&committer->lock);
        committer->is_working = false;
        committer->wants_chore = committer->wants_chore || has_more;
        pthread_mutex_unlock(&committer->lock);
    }
    return NULL;
}

/* Waits for a batch or a chore; false when stopping and nothing is left. */
static bool take_batch(struct sg_committer *committer, struct sg_batch **batch, bool *do_chore)
{
    pthread_mutex_lock(&committer->lock);
    while (committer->slot == NULL && !committer->wants_chore && !committer->is_stopping)
        pthread_cond_wait(&committer->changed, &committer->lock);
    *batch = committer->slot;
    *do_chore = committer->wants_chore && !committer->is_stopping;
    committer->slot = NULL;
    committer->wants_chore = false;
    bool is_alive = *batch != NULL || *do_chore;
    committer->is_working = is_alive;
    bool tell = *batch != NULL && committer->wants_room;
    committer->wants_room = false;
    pthread_mutex_unlock(&committer->lock);
    if (tell && committer->options.has_room != NULL)
        committer->options.has_room(committer->options.context);
    return is_alive;
}

/* True once the batch is on disk; false if it was dropped because the process is giving up. */
static bool commit_batch(struct sg_committer *committer, struct sg_batch *batch, int64_t *took_ns)
{
    *took_ns = -1;
    if (batch->write_count == 0)
        return true;

    int64_t pause_ms = committer->options.retry_min_ms;
    int64_t waited_ms = 0;
    int64_t logged_at_ms = 0;
    for (;;) {
        struct sg_error error = {.status = SG_OK};
        int64_t began_ns = sg_monotonic_now_ns();
        enum sg_status status = sg_store_commit(committer->options.store, batch->writes, batch->write_count, &error);
        *took_ns = sg_monotonic_now_ns() - began_ns;
        if (status == SG_OK)
            break;
        atomic_fetch_add(&committer->failures, 1);
        error.status = status;
        if (!is_passing(status))
            die(committer, &error);
        bool is_first = !atomic_exchange(&committer->is_failing, true);
        if (is_first && committer->options.trouble != NULL)
            committer->options.trouble(committer->options.context, &error);
        if (is_first || waited_ms - logged_at_ms >= REMIND_MS) {
            logged_at_ms = waited_ms;
            sg_log(SG_LOG_ERROR, "the store cannot commit; requests are refused and nothing is sent until it can", SG_KV_ERROR(&error),
                   SG_KV_TEXT("remedy", remedy(status)), SG_KV_INT("for_ms", waited_ms));
        }
        if (!pause_before_retry(committer, pause_ms)) {
            sg_log(SG_LOG_ERROR, "stopping without a last commit; what it held was never acknowledged", SG_KV_ERROR(&error));
            committer->has_dropped = true;
            return false;
        }
        waited_ms += pause_ms;
        pause_ms = pause_ms * 2 < committer->options.retry_max_ms ? pause_ms * 2 : committer->options.retry_max_ms;
    }
    atomic_fetch_add(&committer->commits, 1);
    atomic_fetch_add(&committer->writes, (long long)batch->write_count);
    if (atomic_exchange(&committer->is_failing, false)) {
        sg_log(SG_LOG_NOTICE, "the store commits again", SG_KV_INT("after_ms", waited_ms));
        if (committer->options.trouble != NULL)
            committer->options.trouble(committer->options.context, NULL);
    }
    return true;
}

/* Whether the same writes may be tried again. */
static bool is_passing(enum sg_status status)
{
    return status == SG_STORE_BUSY || status == SG_STORE_FULL || status == SG_STORE_IO || status == SG_NO_MEMORY;
}

static const char *remedy(enum sg_status status)
{
    switch (status) {
    case SG_STORE_BUSY:
        return "another process has the database open for writing: end it; the commit is tried again by itself";
    case SG_STORE_FULL:
        return "free space on the disk of the data directory (--data-dir); the commit is tried again by itself";
    case SG_STORE_IO:
        return "check the disk and the permissions of the data directory (--data-dir); the commit is tried again by itself";
    default:
        return "free memory on this machine; the commit is tried again by itself";
    }
}

/* False if the process gives up meanwhile. */
static bool pause_before_retry(struct sg_committer *committer, int64_t pause_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += pause_ms / 1000;
    until.tv_nsec += pause_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&committer->lock);
    int code = 0;
    while (!committer->is_giving_up && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&committer->changed, &committer->lock, &until);
    bool goes_on = !committer->is_giving_up;
    pthread_mutex_unlock(&committer->lock);
    return goes_on;
}

static void die(struct sg_committer *committer, const struct sg_error *error)
{
    sg_log(SG_LOG_ERROR, "the store cannot go on; ending, so that the next start recovers from what is on disk", SG_KV_ERROR(error));
    if (committer->options.fatal != NULL)
        committer->options.fatal(committer->options.context, error);
    _exit(3);
}
