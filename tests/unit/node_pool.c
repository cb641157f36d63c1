/* Reader threads. */
#include "node_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/pool.h"

struct fixture {
    struct sg_store *store;
    struct sg_store_pool *pool;
    pthread_mutex_t gate; /* held: work does not end */
    atomic_int begun;
    atomic_int done;
};

static void work(void *context, struct sg_store_reader *reader)
{
    struct fixture *f = context;
    cr_assert(ne(ptr, reader, NULL));
    atomic_fetch_add(&f->begun, 1);
    pthread_mutex_lock(&f->gate);
    pthread_mutex_unlock(&f->gate);
    atomic_fetch_add(&f->done, 1);
}

static void set_up(struct fixture *f, int threads, int queries_max)
{
    *f = (struct fixture){.store = NULL};
    pthread_mutex_init(&f->gate, NULL);
    assert_ok(sg_store_open_memory(&f->store, NULL));
    assert_ok(sg_store_pool_create(&(struct sg_store_pool_options){f->store, threads, queries_max}, &f->pool, NULL));
}

static void tear_down(struct fixture *f)
{
    sg_store_pool_free(f->pool);
    sg_store_close(f->store);
    pthread_mutex_destroy(&f->gate);
}

Test(node_pool, refuses_queries_beyond_its_bound)
{
    struct fixture f;
    set_up(&f, 1, 2);
    pthread_mutex_lock(&f.gate);
    assert_ok(sg_store_pool_submit(f.pool, work, &f));
    WAIT_UNTIL(atomic_load(&f.begun) == 1);
    assert_ok(sg_store_pool_submit(f.pool, work, &f));
    assert_ok(sg_store_pool_submit(f.pool, work, &f));
    cr_assert(eq(int, sg_store_pool_submit(f.pool, work, &f), SG_QUEUE_FULL));
    cr_assert(eq(int, sg_store_pool_waiting(f.pool), 2));
    pthread_mutex_unlock(&f.gate);
    WAIT_UNTIL(atomic_load(&f.done) == 3);
    tear_down(&f);
}

Test(node_pool, queries_never_take_the_last_thread_from_tasks)
{
    struct fixture f;
    struct fixture task_side = {.store = NULL};
    pthread_mutex_init(&task_side.gate, NULL);
    set_up(&f, 2, 10);
    pthread_mutex_lock(&f.gate);
    for (int i = 0; i < 5; i++)
        assert_ok(sg_store_pool_submit(f.pool, work, &f));
    WAIT_UNTIL(atomic_load(&f.begun) == 1);
    struct sg_store_task task = {.work = work, .context = &task_side};
    cr_assert(sg_store_pool_run(f.pool, &task));
    WAIT_UNTIL(atomic_load(&task_side.done) == 1);
    cr_assert(eq(int, atomic_load(&f.begun), 1));
    pthread_mutex_unlock(&f.gate);
    WAIT_UNTIL(atomic_load(&f.done) == 5);
    pthread_mutex_destroy(&task_side.gate);
    tear_down(&f);
}

Test(node_pool, does_what_it_took_before_it_stops_and_takes_nothing_after)
{
    struct fixture f;
    set_up(&f, 3, 100);
    struct sg_store_task tasks[20];
    for (int i = 0; i < 20; i++) {
        tasks[i] = (struct sg_store_task){.work = work, .context = &f};
        cr_assert(sg_store_pool_run(f.pool, &tasks[i]));
        assert_ok(sg_store_pool_submit(f.pool, work, &f));
    }
    sg_store_pool_stop(f.pool);
    cr_assert(eq(int, atomic_load(&f.done), 40));
    cr_assert(eq(int, sg_store_pool_submit(f.pool, work, &f), SG_SHUTTING_DOWN));
    cr_assert(not(sg_store_pool_run(f.pool, &tasks[0])));
    tear_down(&f);
}
