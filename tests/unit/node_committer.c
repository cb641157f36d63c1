/* The store thread: output commit, order, and a store in trouble. */
#include "node_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "node/committer.h"
#include "store/memory.h"

#define LET_OUT_MAX 64

struct fixture {
    struct sg_store *store;
    struct sg_committer *committer;
    pthread_mutex_t lock;
    int64_t let_out[LET_OUT_MAX];
    int64_t settings_seen[LET_OUT_MAX]; /* in the store when the effects went out */
    int let_out_count;
    atomic_int room_calls;
    atomic_int chores;
    atomic_int chores_wanted;
    atomic_bool is_in_trouble;
    pthread_mutex_t gate; /* held by a test to keep the store thread inside let_out */
};

static void let_out(void *context, struct sg_batch *batch)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->gate);
    pthread_mutex_unlock(&f->gate);
    pthread_mutex_lock(&f->lock);
    f->settings_seen[f->let_out_count] = sg_store_memory_count(f->store, SG_KIND_SETTING);
    f->let_out[f->let_out_count++] = batch->number;
    pthread_mutex_unlock(&f->lock);
}

static void has_room(void *context)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->room_calls, 1);
}

static void trouble(void *context, const struct sg_error *error)
{
    struct fixture *f = context;
    atomic_store(&f->is_in_trouble, error != NULL);
}

static bool chore(void *context, struct sg_store *store)
{
    struct fixture *f = context;
    (void)store;
    return atomic_fetch_add(&f->chores, 1) + 1 < atomic_load(&f->chores_wanted);
}

static void fatal(void *context, const struct sg_error *error)
{
    (void)context;
    _exit(error->status == SG_STORE_CORRUPT ? 77 : 1);
}

static void set_up(struct fixture *f)
{
    *f = (struct fixture){.store = NULL};
    pthread_mutex_init(&f->lock, NULL);
    pthread_mutex_init(&f->gate, NULL);
    sg_log_set_level(SG_LOG_NONE);
    assert_ok(sg_store_open_memory(&f->store, NULL));
    struct sg_committer_options options = {.store = f->store,
                                           .context = f,
                                           .let_out = let_out,
                                           .has_room = has_room,
                                           .trouble = trouble,
                                           .fatal = fatal,
                                           .chore = chore,
                                           .retry_min_ms = 1,
                                           .retry_max_ms = 2};
    assert_ok(sg_committer_create(&options, &f->committer, NULL));
}

static void tear_down(struct fixture *f)
{
    sg_committer_stop(f->committer, true);
    sg_committer_free(f->committer);
    sg_store_close(f->store);
    pthread_mutex_destroy(&f->lock);
    pthread_mutex_destroy(&f->gate);
}

static struct sg_batch *batch_of(int64_t number, const char *name)
{
    struct sg_batch *batch = sg_batch_create(number);
    cr_assert(ne(ptr, batch, NULL));
    if (name == NULL)
        return batch;
    batch->writes = sg_calloc(1, sizeof(*batch->writes));
    batch->write_capacity = 1;
    batch->write_count = 1;
    batch->writes[0] = setting_write(name, "1");
    return batch;
}

static int let_out_count(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    int count = f->let_out_count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

Test(node_committer, effects_go_out_after_the_commit_and_in_order)
{
    struct fixture f;
    set_up(&f);
    for (int64_t number = 1; number <= 3; number++) {
        WAIT_UNTIL(!sg_committer_want_room(f.committer));
        sg_committer_offer(f.committer, batch_of(number, number == 1 ? "a" : number == 3 ? "b" : NULL));
    }
    WAIT_UNTIL(let_out_count(&f) == 3);
    for (int i = 0; i < 3; i++)
        cr_assert(eq(i64, f.let_out[i], i + 1));
    cr_assert(eq(i64, f.settings_seen[0], 1));
    cr_assert(eq(i64, f.settings_seen[1], 1));
    cr_assert(eq(i64, f.settings_seen[2], 2));
    WAIT_UNTIL(sg_committer_is_idle(f.committer));
    cr_assert(eq(i64, sg_committer_number(f.committer), 3));
    tear_down(&f);
}

Test(node_committer, batch_stays_open_while_the_store_is_busy)
{
    struct fixture f;
    set_up(&f);
    pthread_mutex_lock(&f.gate);
    sg_committer_offer(f.committer, batch_of(1, "a"));
    WAIT_UNTIL(sg_committer_number(f.committer) == 1); /* committed, and held while it lets its effects out */
    struct sg_batch *second = batch_of(2, "b");
    sg_committer_offer(f.committer, second);
    cr_assert(eq(ptr, sg_committer_reclaim(f.committer), second));
    sg_committer_offer(f.committer, second);
    pthread_mutex_unlock(&f.gate);
    WAIT_UNTIL(let_out_count(&f) == 2);
    cr_assert(eq(ptr, sg_committer_reclaim(f.committer), NULL));
    tear_down(&f);
}

Test(node_committer, tells_when_there_is_room_only_if_asked)
{
    struct fixture f;
    set_up(&f);
    pthread_mutex_lock(&f.gate);
    sg_committer_offer(f.committer, batch_of(1, NULL));
    WAIT_UNTIL(sg_committer_number(f.committer) == 1);
    sg_committer_offer(f.committer, batch_of(2, NULL));
    cr_assert(sg_committer_want_room(f.committer));
    cr_assert(eq(int, atomic_load(&f.room_calls), 0));
    pthread_mutex_unlock(&f.gate);
    WAIT_UNTIL(let_out_count(&f) == 2);
    cr_assert(eq(int, atomic_load(&f.room_calls), 1));
    tear_down(&f);
}

Test(node_committer, retries_the_same_batch_until_the_store_works_and_lets_nothing_out_before)
{
    static const enum sg_status kinds[] = {SG_STORE_BUSY, SG_STORE_FULL, SG_STORE_IO};
    for (size_t i = 0; i < 3; i++) {
        struct fixture f;
        set_up(&f);
        pthread_mutex_lock(&f.gate);
        sg_store_memory_fail_next(f.store, 3, kinds[i], false);
        sg_committer_offer(f.committer, batch_of(1, "a"));
        WAIT_UNTIL(sg_committer_number(f.committer) == 1);
        cr_assert(eq(int, f.let_out_count, 0));
        cr_assert(not(sg_committer_is_failing(f.committer)));
        pthread_mutex_unlock(&f.gate);
        WAIT_UNTIL(let_out_count(&f) == 1);
        cr_assert(eq(i64, f.settings_seen[0], 1));
        tear_down(&f);
    }
}

Test(node_committer, says_that_it_fails_while_it_does)
{
    struct fixture f;
    set_up(&f);
    sg_store_memory_fail_next(f.store, INT64_MAX, SG_STORE_FULL, false);
    sg_committer_offer(f.committer, batch_of(1, "a"));
    WAIT_UNTIL(sg_committer_is_failing(f.committer) && atomic_load(&f.is_in_trouble));
    cr_assert(eq(int, let_out_count(&f), 0));
    sg_store_memory_fail_next(f.store, 0, SG_STORE_FULL, false);
    WAIT_UNTIL(let_out_count(&f) == 1);
    cr_assert(not(sg_committer_is_failing(f.committer)));
    cr_assert(not(atomic_load(&f.is_in_trouble)));
    tear_down(&f);
}

Test(node_committer, drops_a_batch_only_when_the_process_gives_up)
{
    struct fixture f;
    set_up(&f);
    sg_store_memory_fail_next(f.store, INT64_MAX, SG_STORE_FULL, false);
    sg_committer_offer(f.committer, batch_of(1, "a"));
    WAIT_UNTIL(sg_committer_is_failing(f.committer));
    cr_assert(not(sg_committer_stop(f.committer, true)));
    cr_assert(eq(int, let_out_count(&f), 0));
    tear_down(&f);
}

Test(node_committer, damaged_store_ends_the_process, .exit_code = 77)
{
    struct fixture f;
    set_up(&f);
    sg_store_memory_fail_next(f.store, 1, SG_STORE_CORRUPT, false);
    sg_committer_offer(f.committer, batch_of(1, "a"));
    WAIT_UNTIL(let_out_count(&f) == 1);
}

Test(node_committer, commits_what_it_was_offered_before_it_stops)
{
    struct fixture f;
    set_up(&f);
    sg_committer_offer(f.committer, batch_of(1, "a"));
    cr_assert(sg_committer_stop(f.committer, false));
    cr_assert(eq(int, let_out_count(&f), 1));
    tear_down(&f);
}

Test(node_committer, does_a_chore_again_while_there_is_more_of_it)
{
    struct fixture f;
    set_up(&f);
    atomic_store(&f.chores_wanted, 5);
    sg_committer_request_chore(f.committer);
    WAIT_UNTIL(atomic_load(&f.chores) == 5);
    sg_committer_offer(f.committer, batch_of(1, NULL));
    WAIT_UNTIL(let_out_count(&f) == 1);
    cr_assert(eq(int, atomic_load(&f.chores), 5));
    tear_down(&f);
}
