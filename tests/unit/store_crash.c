/*
 * Killed in the middle of commits: a child process commits batches as fast as it can and says of each that it was
 * acknowledged; it is killed after a random number of them. Opened again, the store must have every acknowledged batch, and of
 * every batch all or nothing.
 */
#include "store_fixture.h"

#include "base/rng.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLS 15
#define ROWS_PER_BATCH 5
#define ACKNOWLEDGED_MAX 60

static void commit_for_ever(const char *directory, int64_t first, int acknowledge)
{
    struct fixture f = {0};

    if (open_sqlite(directory, &f.store, &f.error) != SG_OK)
        _exit(1);
    for (int64_t batch = first;; batch++) {
        struct sg_write writes[ROWS_PER_BATCH];
        for (int i = 0; i < ROWS_PER_BATCH; i++)
            writes[i] = event(SG_WRITE_INSERT, batch * ROWS_PER_BATCH + i, (uint8_t)i, "crash/test");
        if (sg_store_commit(f.store, writes, ROWS_PER_BATCH, &f.error) != SG_OK)
            _exit(2);
        if (write(acknowledge, &batch, sizeof(batch)) != (ssize_t)sizeof(batch))
            _exit(3);
    }
}

/* Returns the last batch that was acknowledged. */
static int64_t run_and_kill(const char *directory, int64_t first, uint64_t after)
{
    int64_t acknowledged = first - 1;
    int64_t batch;
    int pipes[2];

    cr_assert(eq(int, pipe(pipes), 0));
    pid_t child = fork();
    if (child == 0) {
        close(pipes[0]);
        commit_for_ever(directory, first, pipes[1]);
    }
    close(pipes[1]);
    for (uint64_t i = 0; i < after && read(pipes[0], &batch, sizeof(batch)) == (ssize_t)sizeof(batch); i++)
        acknowledged = batch;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    while (read(pipes[0], &batch, sizeof(batch)) == (ssize_t)sizeof(batch))
        acknowledged = batch;
    close(pipes[0]);
    return acknowledged;
}

static enum sg_status check_next(void *context, const struct sg_record *record)
{
    int64_t *next = context;

    cr_assert(eq(i64, record->values[SG_EVENT_POSITION].number, *next));
    (*next)++;
    return SG_OK;
}

Test(store_crash, acknowledged_commits_survive_a_kill_and_batches_are_whole)
{
    struct fixture f = {0};
    struct sg_rng rng;
    int64_t first = 0;
    make_directory(f.directory);
    sg_rng_init(&rng, 42);

    for (int i = 0; i < KILLS; i++) {
        int64_t acknowledged = run_and_kill(f.directory, first, 1 + sg_rng_below(&rng, ACKNOWLEDGED_MAX));
        cr_assert(ge(i64, acknowledged, first));
        assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
        int64_t rows = 0;
        assert_status(sg_store_scan(f.store, SG_KIND_EVENT, check_next, &rows, &f.error), SG_OK);
        cr_assert(eq(i64, rows % ROWS_PER_BATCH, 0));
        cr_assert(ge(i64, rows / ROWS_PER_BATCH, acknowledged + 1));
        first = rows / ROWS_PER_BATCH;
        sg_store_close(f.store);
        f.store = NULL;
    }
    fixture_close(&f);
}
