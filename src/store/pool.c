/*
 * The pool of reader threads.
 *
 * The model. A ring of queries, a list of tasks, one mutex, one condition. A thread takes the oldest task; without one it takes the oldest
 * query, unless queries keep all but one thread busy already. Each thread has its own reader, opened before the thread starts, so a store that
 * cannot be read is an error at start-up and not a silent pool.
 *
 * What it never does: write, know what a read is for, or hold its lock while work runs.
 */
#include "store/pool.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

#define POOL_MAGIC 0x706f6f6cu

struct query {
    sg_store_work work;
    void *context;
};

struct worker {
    struct sg_store_pool *pool;
    struct sg_store_reader *reader;
    pthread_t thread;
};

struct sg_store_pool {
    uint32_t magic;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct sg_store_task *first_task;
    struct sg_store_task *last_task;
    struct query *queries; /* a ring */
    int query_first;
    int query_count;
    int queries_max;
    int task_count;
    int queries_running;
    int queries_running_max;
    bool is_stopping;
    struct worker *workers;
    int worker_count;  /* with an open reader */
    int started_count; /* with a thread */
};

static enum sg_status start_workers(struct sg_store_pool *pool, const struct sg_store_pool_options *options, struct sg_error *error);
static void *worker_main(void *argument);
static bool take_work(struct sg_store_pool *pool, struct query *work, bool *is_query);

enum sg_status sg_store_pool_create(const struct sg_store_pool_options *options, struct sg_store_pool **pool_out, struct sg_error *error)
{
    assert(options->threads >= 1);
    assert(options->queries_max >= 1);

    struct sg_store_pool *pool = sg_calloc(1, sizeof(*pool));
    if (pool == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the reader threads");
    pool->magic = POOL_MAGIC;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->has_work, NULL);
    pool->queries_max = options->queries_max;
    pool->queries_running_max = options->threads > 1 ? options->threads - 1 : 1;
    pool->queries = sg_calloc((size_t)options->queries_max, sizeof(*pool->queries));
    pool->workers = sg_calloc((size_t)options->threads, sizeof(*pool->workers));

    enum sg_status status = SG_OK;
    if (pool->queries == NULL || pool->workers == NULL)
        status = sg_error_set(error, SG_NO_MEMORY, "no memory for the reader threads");
    if (status == SG_OK)
        status = start_workers(pool, options, error);
    if (status != SG_OK) {
        sg_store_pool_free(pool);
        return status;
    }
    *pool_out = pool;
    return SG_OK;
}

enum sg_status sg_store_pool_submit(struct sg_store_pool *pool, sg_store_work work, void *context)
{
    SG_CHECK(pool, POOL_MAGIC);
    enum sg_status status = SG_OK;
    pthread_mutex_lock(&pool->lock);
    if (pool->is_stopping)
        status = SG_SHUTTING_DOWN;
    else if (pool->query_count == pool->queries_max)
        status = SG_QUEUE_FULL;
    else {
        pool->queries[(pool->query_first + pool->query_count) % pool->queries_max] = (struct query){work, context};
        pool->query_count++;
        pthread_cond_signal(&pool->has_work);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

bool sg_store_pool_run(struct sg_store_pool *pool, struct sg_store_task *task)
{
    SG_CHECK(pool, POOL_MAGIC);
    assert(task->work != NULL);
    pthread_mutex_lock(&pool->lock);
    bool is_taken = !pool->is_stopping;
    if (is_taken) {
        task->next = NULL;
        if (pool->last_task != NULL)
            pool->last_task->next = task;
        else
            pool->first_task = task;
        pool->last_task = task;
        pool->task_count++;
        pthread_cond_signal(&pool->has_work);
    }
    pthread_mutex_unlock(&pool->lock);
    return is_taken;
}

int sg_store_pool_waiting(struct sg_store_pool *pool)
{
    SG_CHECK(pool, POOL_MAGIC);
    pthread_mutex_lock(&pool->lock);
    int waiting = pool->task_count + pool->query_count;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

void sg_store_pool_stop(struct sg_store_pool *pool)
{
    SG_CHECK(pool, POOL_MAGIC);
    pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    pthread_cond_broadcast(&pool->has_work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->started_count; i++)
        pthread_join(pool->workers[i].thread, NULL);
    pool->started_count = 0;
}

void sg_store_pool_free(struct sg_store_pool *pool)
{
    if (pool == NULL)
        return;
    sg_store_pool_stop(pool);
    for (int i = 0; i < pool->worker_count; i++)
        sg_store_reader_close(pool->workers[i].reader);
    pthread_cond_destroy(&pool->has_work);
    pthread_mutex_destroy(&pool->lock);
    sg_free(pool->workers);
    sg_free(pool->queries);
    pool->magic = 0;
    sg_free(pool);
}

static enum sg_status start_workers(struct sg_store_pool *pool, const struct sg_store_pool_options *options, struct sg_error *error)
{
    for (int i = 0; i < options->threads; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        enum sg_status status = sg_store_reader_open(options->store, &worker->reader, error);
        if (status != SG_OK)
            return status;
        pool->worker_count++;
        int code = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (code != 0)
            return sg_error_set(error, SG_SYSTEM, "a reader thread cannot be started: %s", strerror(code));
        pool->started_count++;
    }
    return SG_OK;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct sg_store_pool *pool = worker->pool;
    struct query work;
    bool is_query;

    while (take_work(pool, &work, &is_query)) {
        work.work(work.context, worker->reader);
        if (!is_query)
            continue;
        pthread_mutex_lock(&pool->lock);
        pool->queries_running--;
        /* A thread may have left a query lying because too many ran. */
        if (pool->query_count > 0)
            pthread_cond_signal(&pool->has_work);
        pthread_mutex_unlock(&pool->lock);
    }
    return NULL;
}

/* Waits for something to do; false when the pool is stopping and this thread has nothing left that it may do. */
static bool take_work(struct sg_store_pool *pool, struct query *work, bool *is_query)
{
    bool is_found = false;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        if (pool->first_task != NULL) {
            struct sg_store_task *task = pool->first_task;
            pool->first_task = task->next;
            if (pool->first_task == NULL)
                pool->last_task = NULL;
            pool->task_count--;
            *work = (struct query){task->work, task->context};
            *is_query = false;
            is_found = true;
            break;
        }
        if (pool->query_count > 0 && pool->queries_running < pool->queries_running_max) {
            *work = pool->queries[pool->query_first];
            pool->query_first = (pool->query_first + 1) % pool->queries_max;
            pool->query_count--;
            pool->queries_running++;
            *is_query = true;
            is_found = true;
            break;
        }
        if (pool->is_stopping)
            break;
        pthread_cond_wait(&pool->has_work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return is_found;
}
