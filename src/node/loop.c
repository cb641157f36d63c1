/*
 * The engine thread.
 *
 * The model. A round: get hold of the open batch (take it back from the committer's slot, or begin a new one if the store has come for it), take from
 * the inbox as many messages as still fit, handle each, start what is due, put the batch into the slot. Then sleep until the next due time or the
 * next message, whichever comes first. Because the batch lies in the slot during the sleep, an idle store takes it at once; because the next round
 * takes it back, a busy store finds all that came meanwhile in one batch. The engine works on batch n+1 while n is being synced.
 *
 * A batch is bounded in messages and in records. A full one is left in the slot, and the loop sleeps until the store comes for it: then nothing is
 * taken from the inbox, which fills up, and the edge says so to its clients.
 *
 * What it never does: poll, wait for the store while there is room, or go on after the engine ran out of memory (the engine's state is then worth
 * nothing; what is on disk is).
 */
#include "node/loop.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#define LOOP_MAGIC 0x6c6f6f70u
#define NS_PER_MS 1000000LL
/* A batch with so many records takes tens of milliseconds to commit; more would only make everybody wait. */
#define WRITES_PER_BATCH_MAX 16384
/* Due jobs started in one round, between looks into the inbox. */
#define STEPS_PER_ROUND_MAX 256
/* Jobs that are due are counted this often, and less often the more there are: it never takes more than a hundredth of the time. */
#define COUNT_DUE_MS 100
#define DUE_PER_MS 500
/* Longest sleep, so that the arithmetic cannot overflow. */
#define SLEEP_MS_MAX (365LL * 24 * 3600 * 1000)

struct sg_loop {
    uint32_t magic;
    struct sg_loop_options options;
    pthread_t thread;
    bool is_started;
    atomic_bool is_stopping;
    atomic_bool is_resting; /* nothing to do before the next message or due time */
    int64_t number;         /* of the newest batch */
    struct sg_batch *spare; /* the newest batch, if nothing has come into it yet */
    int handled;            /* messages in it */
    int64_t now_ms;         /* of this round */
    int64_t due;            /* jobs that were due when they were last counted */
    int64_t count_due_at_ms;
    pthread_mutex_t stats_lock;
    struct sg_engine_stats stats;
    int64_t stats_due;
};

static void *loop_main(void *argument);
static bool do_round(struct sg_loop *loop, struct sg_batch *batch);
static bool is_full(const struct sg_loop *loop, const struct sg_batch *batch);
static struct sg_batch *open_batch(struct sg_loop *loop);
static void handle_messages(struct sg_loop *loop, struct sg_batch *batch);
static void publish_stats(struct sg_loop *loop);
static void sleep_until_needed(struct sg_loop *loop, bool is_batch_full);
static void die_of_memory(void);

enum sg_status sg_loop_create(const struct sg_loop_options *options, struct sg_loop **loop_out, struct sg_error *error)
{
    struct sg_loop *loop = sg_calloc(1, sizeof(*loop));
    if (loop == NULL) {
        sg_batch_free(options->first);
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the engine thread");
    }
    loop->magic = LOOP_MAGIC;
    loop->options = *options;
    if (loop->options.messages_per_batch_max == 0)
        loop->options.messages_per_batch_max = SG_LIMIT_MESSAGES_PER_BATCH;
    loop->number = options->first->number;
    pthread_mutex_init(&loop->stats_lock, NULL);
    publish_stats(loop);

    /* Before the thread: nobody else may use the slot. */
    sg_committer_offer(options->committer, options->first);
    loop->options.first = NULL;
    int code = pthread_create(&loop->thread, NULL, loop_main, loop);
    if (code != 0) {
        sg_loop_free(loop);
        return sg_error_set(error, SG_SYSTEM, "the engine thread cannot be started: %s", strerror(code));
    }
    loop->is_started = true;
    *loop_out = loop;
    return SG_OK;
}

void sg_loop_stop(struct sg_loop *loop)
{
    SG_CHECK(loop, LOOP_MAGIC);
    atomic_store(&loop->is_stopping, true);
    sg_inbox_wake(loop->options.inbox);
    if (loop->is_started)
        pthread_join(loop->thread, NULL);
    loop->is_started = false;
}

void sg_loop_free(struct sg_loop *loop)
{
    if (loop == NULL)
        return;
    SG_CHECK(loop, LOOP_MAGIC);
    assert(!loop->is_started);
    if (loop->spare != NULL)
        sg_batch_free(loop->spare);
    pthread_mutex_destroy(&loop->stats_lock);
    loop->magic = 0;
    sg_free(loop);
}

void sg_loop_stats(struct sg_loop *loop, struct sg_engine_stats *stats, int64_t *due)
{
    SG_CHECK(loop, LOOP_MAGIC);
    pthread_mutex_lock(&loop->stats_lock);
    *stats = loop->stats;
    if (due != NULL)
        *due = loop->stats_due;
    pthread_mutex_unlock(&loop->stats_lock);
}

bool sg_loop_is_idle(struct sg_loop *loop)
{
    SG_CHECK(loop, LOOP_MAGIC);
    return atomic_load(&loop->is_resting) && sg_inbox_is_empty(loop->options.inbox) && sg_committer_is_idle(loop->options.committer);
}

static void *loop_main(void *argument)
{
    struct sg_loop *loop = argument;
    for (;;) {
        bool is_stopping = atomic_load(&loop->is_stopping);
        struct sg_batch *batch = open_batch(loop);
        bool has_more = do_round(loop, batch);
        bool is_batch_full = is_full(loop, batch);
        publish_stats(loop);
        if (batch->message_count == 0 && batch->write_count == 0 && batch->effect_count == 0) {
            loop->spare = batch;
            loop->handled = 0; /* messages that the engine set aside take no room in it */
            is_batch_full = false;
        } else
            sg_committer_offer(loop->options.committer, batch);
        if (is_stopping && !has_more && !is_batch_full && sg_inbox_is_empty(loop->options.inbox))
            return NULL;
        if (!has_more || is_batch_full)
            sleep_until_needed(loop, is_batch_full);
    }
}

/* Whether there is more to do at once. */
static bool do_round(struct sg_loop *loop, struct sg_batch *batch)
{
    struct sg_engine *engine = loop->options.engine;
    sg_engine_forget_keys(engine, sg_lookups_floor(loop->options.lookups));
    handle_messages(loop, batch);
    int64_t now_ms = sg_clock_now_ms(loop->options.clock);
    loop->now_ms = now_ms;
    if (!is_full(loop, batch) && sg_engine_next_due(engine) <= now_ms &&
        sg_engine_advance(engine, now_ms, STEPS_PER_ROUND_MAX, batch) != SG_OK)
        die_of_memory();
    return sg_engine_next_due(engine) <= now_ms;
}

static bool is_full(const struct sg_loop *loop, const struct sg_batch *batch)
{
    return loop->handled >= loop->options.messages_per_batch_max || batch->write_count >= WRITES_PER_BATCH_MAX;
}

static struct sg_batch *open_batch(struct sg_loop *loop)
{
    struct sg_batch *batch = loop->spare != NULL ? loop->spare : sg_committer_reclaim(loop->options.committer);
    if (batch != NULL) {
        assert(batch->number == loop->number);
        loop->spare = NULL;
        return batch;
    }
    batch = sg_batch_create(++loop->number);
    if (batch == NULL)
        die_of_memory();
    loop->handled = 0;
    return batch;
}

static void handle_messages(struct sg_loop *loop, struct sg_batch *batch)
{
    struct sg_message *message = NULL;
    if (!is_full(loop, batch))
        message = sg_inbox_take(loop->options.inbox, loop->options.messages_per_batch_max - loop->handled);
    if (message == NULL)
        return;
    atomic_store(&loop->is_resting, false);
    int64_t now_ms = sg_clock_now_ms(loop->options.clock);
    while (message != NULL) {
        struct sg_message *next = message->next;
        message->next = NULL;
        bool has_lookup = sg_lookups_concerns(message);
        int64_t commit = has_lookup ? sg_lookups_commit(message) : 0;
        if (sg_engine_handle(loop->options.engine, message, now_ms, batch) != SG_OK)
            die_of_memory();
        if (has_lookup)
            sg_lookups_done(loop->options.lookups, commit);
        loop->handled++;
        message = next;
    }
}

static void publish_stats(struct sg_loop *loop)
{
    struct sg_engine_stats stats;
    sg_engine_stats(loop->options.engine, &stats);
    if (stats.next_due_ms > loop->now_ms) {
        loop->due = 0;
    } else if (loop->now_ms >= loop->count_due_at_ms) {
        loop->due = sg_engine_count_due(loop->options.engine, loop->now_ms);
        loop->count_due_at_ms = loop->now_ms + COUNT_DUE_MS + loop->due / DUE_PER_MS;
    }
    pthread_mutex_lock(&loop->stats_lock);
    loop->stats = stats;
    loop->stats_due = loop->due;
    pthread_mutex_unlock(&loop->stats_lock);
}

static void sleep_until_needed(struct sg_loop *loop, bool is_batch_full)
{
    if (is_batch_full) {
        if (sg_committer_want_room(loop->options.committer))
            sg_inbox_wait(loop->options.inbox, false, -1);
        return;
    }
    int64_t due_at_ms = sg_engine_next_due(loop->options.engine);
    int64_t timeout_ns = -1;
    if (due_at_ms != INT64_MAX) {
        int64_t now_ns = sg_clock_now_ns(loop->options.clock);
        if (due_at_ms <= now_ns / NS_PER_MS)
            return;
        int64_t wait_ms = due_at_ms - now_ns / NS_PER_MS;
        timeout_ns = wait_ms < SLEEP_MS_MAX ? due_at_ms * NS_PER_MS - now_ns : SLEEP_MS_MAX * NS_PER_MS;
    }
    atomic_store(&loop->is_resting, true);
    sg_inbox_wait(loop->options.inbox, true, timeout_ns);
    atomic_store(&loop->is_resting, false);
}

static void die_of_memory(void)
{
    sg_log(SG_LOG_ERROR, "the engine ran out of memory; ending, so that the next start recovers from what is on disk");
    _exit(3);
}
