/*
 * What a commit costs.
 *
 * A step of a run is five writes: its memo, its row, the run's live row, the job that ended and the one that follows. They are
 * committed in batches of 1, 4, 16 and 64 steps of 100 runs in flight; printed are CPU per step, the median commit, one bare
 * fdatasync in the same directory for comparison, and the bytes that the log and the database grow by per step. Then events,
 * point reads, the scan of a start, and commits for a while with a housekeeping thread and two that read all the time, which
 * shows what checkpoints cost a commit and how large the log gets.
 *
 *     bench_store [DIRECTORY] [STEPS]      a temporary directory and 8,000 steps a batch size by default
 */
#include <stepgate/store.h>

#include "base/check.h"
#include "base/rng.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RUNS 100
#define STEPS_PER_RUN 5
#define MEMO_BYTES 200
#define EVENT_BYTES 200
#define WRITES_PER_STEP 5
#define BATCH_MAX 64

struct run {
    struct sg_id id;
    int64_t steps;
    int64_t job;
};

struct bench {
    struct sg_store *store;
    char directory[512];
    struct sg_rng rng;
    struct run runs[RUNS];
    struct sg_id function;
    char step_names[BATCH_MAX][41];
    char memo[MEMO_BYTES];
    int64_t next_job;
    int64_t next_position;
    int64_t now_ms;
};

static void fail(const char *what, const struct sg_error *error)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, error->message);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct sg_id make_id(struct bench *bench)
{
    uint8_t entropy[10];

    sg_rng_fill(&bench->rng, entropy, sizeof(entropy));
    return sg_ulid_make(bench->now_ms++, entropy);
}

static void start_run(struct bench *bench, struct run *run)
{
    run->id = make_id(bench);
    run->steps = 0;
    run->job = bench->next_job++;
}

static void put_job(struct sg_write *write, const struct run *run, int64_t job, int64_t now_ms)
{
    struct sg_value *values = write->record.values;

    write->op = SG_WRITE_PUT;
    write->record.kind = SG_KIND_JOB;
    values[SG_JOB_ID] = sg_value_int(job);
    values[SG_JOB_KIND] = sg_value_int(1);
    values[SG_JOB_RUN_ID] = sg_value_id(&run->id);
    values[SG_JOB_DUE_AT] = sg_value_int(now_ms);
    values[SG_JOB_ATTEMPT] = sg_value_int(0);
    values[SG_JOB_GENERATION] = sg_value_int(1);
    values[SG_JOB_IS_STARTED] = sg_value_int(1);
    values[SG_JOB_FLAGS] = sg_value_int(0);
    values[SG_JOB_SNAPSHOT] = sg_value_int(run->steps);
}

static void put_run(struct sg_write *write, const struct bench *bench, const struct run *run)
{
    struct sg_value *values = write->record.values;

    write->op = SG_WRITE_PUT;
    write->record.kind = SG_KIND_RUN_LIVE;
    values[SG_RUN_LIVE_ID] = sg_value_id(&run->id);
    values[SG_RUN_LIVE_FUNCTION_ID] = sg_value_id(&bench->function);
    values[SG_RUN_LIVE_EVENTS] = sg_value_bytes(SG_STR("12345678"));
    values[SG_RUN_LIVE_CREATED_AT] = sg_value_int(bench->now_ms);
    values[SG_RUN_LIVE_STARTED_AT] = sg_value_int(bench->now_ms);
    values[SG_RUN_LIVE_NEXT_SEQ] = sg_value_int(run->steps);
    values[SG_RUN_LIVE_STATE_BYTES] = sg_value_int(run->steps * MEMO_BYTES);
    values[SG_RUN_LIVE_REQUEST_VERSION] = sg_value_int(2);
    values[SG_RUN_LIVE_FLAGS] = sg_value_int(0);
}

/* Five writes: what the engine commits when an SDK reports a step that succeeded. */
static void write_step(struct bench *bench, struct sg_write *writes, int slot)
{
    struct run *run = &bench->runs[sg_rng_below(&bench->rng, RUNS)];
    if (run->steps == STEPS_PER_RUN)
        start_run(bench, run);
    snprintf(bench->step_names[slot], sizeof(bench->step_names[slot]), "%016llx%016llx%08llx", (unsigned long long)sg_rng_next(&bench->rng),
             (unsigned long long)sg_rng_next(&bench->rng), (unsigned long long)run->steps);
    struct sg_value name = sg_value_bytes(sg_str_from(bench->step_names[slot]));

    for (int i = 0; i < WRITES_PER_STEP; i++) {
        for (int column = 0; column < SG_COLUMNS_MAX; column++)
            writes[i].record.values[column] = sg_value_null();
    }
    writes[0].op = SG_WRITE_INSERT;
    writes[0].record.kind = SG_KIND_MEMO;
    writes[0].record.values[SG_MEMO_RUN_ID] = sg_value_id(&run->id);
    writes[0].record.values[SG_MEMO_STEP_ID] = name;
    writes[0].record.values[SG_MEMO_SEQ] = sg_value_int(run->steps);
    writes[0].record.values[SG_MEMO_BYTES] = sg_value_bytes((struct sg_str){bench->memo, MEMO_BYTES});

    writes[1].op = SG_WRITE_PUT;
    writes[1].record.kind = SG_KIND_STEP;
    writes[1].record.values[SG_STEP_RUN_ID] = sg_value_id(&run->id);
    writes[1].record.values[SG_STEP_ID] = name;
    writes[1].record.values[SG_STEP_OP] = sg_value_int(1);
    writes[1].record.values[SG_STEP_NAME] = sg_value_bytes(SG_STR("charge the card"));
    writes[1].record.values[SG_STEP_STATUS] = sg_value_int(2);
    writes[1].record.values[SG_STEP_FLAGS] = sg_value_int(6);
    writes[1].record.values[SG_STEP_ATTEMPTS] = sg_value_int(0);
    writes[1].record.values[SG_STEP_STARTED_AT] = sg_value_int(bench->now_ms);
    writes[1].record.values[SG_STEP_ENDED_AT] = sg_value_int(bench->now_ms);

    run->steps++;
    put_run(&writes[2], bench, run);
    writes[3].op = SG_WRITE_DELETE;
    writes[3].record.kind = SG_KIND_JOB;
    writes[3].record.values[SG_JOB_ID] = sg_value_int(run->job);
    run->job = bench->next_job++;
    put_job(&writes[4], run, run->job, bench->now_ms);
}

static int64_t file_bytes(const struct bench *bench, const char *name)
{
    char path[600];
    struct stat file;

    snprintf(path, sizeof(path), "%s/%s", bench->directory, name);
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static void open_store(struct bench *bench)
{
    struct sg_error error;
    struct sg_store_sqlite_options options = {.directory = bench->directory};

    if (sg_store_open_sqlite(&options, &bench->store, &error) != SG_OK)
        fail("open", &error);
}

/* Closing copies the log into the database and removes it, so that each measurement begins with an empty one. */
static void reopen(struct bench *bench)
{
    sg_store_close(bench->store);
    open_store(bench);
}

static void measure_fsync(struct bench *bench)
{
    char path[600];
    char page[4096] = {0};
    static double took[500];
    const size_t rounds = SG_ARRAY_LEN(took);

    snprintf(path, sizeof(path), "%s/fsync", bench->directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "bench_store: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    for (size_t i = 0; i < rounds; i++) {
        double begin = seconds(CLOCK_MONOTONIC);
        if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page) || fdatasync(fd) != 0) {
            fprintf(stderr, "bench_store: %s: %s\n", path, strerror(errno));
            exit(1);
        }
        took[i] = seconds(CLOCK_MONOTONIC) - begin;
    }
    close(fd);
    unlink(path);
    qsort(took, rounds, sizeof(took[0]), by_value);
    printf("one fsync (append 4 KB, fdatasync): p50 %.0f us, p99 %.0f us\n", took[rounds / 2] * 1e6, took[rounds * 99 / 100] * 1e6);
}

static void measure_steps(struct bench *bench, int batch, int steps)
{
    static struct sg_write writes[BATCH_MAX * WRITES_PER_STEP];
    struct sg_error error;
    int commits = steps / batch;
    double *took = calloc((size_t)commits, sizeof(*took));
    double cpu = 0;

    if (took == NULL)
        exit(1);
    int64_t database_bytes = file_bytes(bench, "main.db") + file_bytes(bench, "main.db-wal");
    double begin_all = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < commits; i++) {
        for (int j = 0; j < batch; j++)
            write_step(bench, &writes[j * WRITES_PER_STEP], j);
        double begin = seconds(CLOCK_MONOTONIC);
        double begin_cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        if (sg_store_commit(bench->store, writes, (size_t)(batch * WRITES_PER_STEP), &error) != SG_OK)
            fail("commit", &error);
        cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - begin_cpu;
        took[i] = seconds(CLOCK_MONOTONIC) - begin;
    }
    double all = seconds(CLOCK_MONOTONIC) - begin_all;
    int64_t wal_bytes = file_bytes(bench, "main.db-wal");
    reopen(bench);
    int64_t growth = file_bytes(bench, "main.db") + file_bytes(bench, "main.db-wal") - database_bytes;
    qsort(took, (size_t)commits, sizeof(*took), by_value);
    printf("%5d  %9.1f  %9.1f  %10.0f  %10.0f  %9.0f  %8.0f  %8.0f\n", batch, cpu / (commits * batch) * 1e6, all / (commits * batch) * 1e6,
           took[commits / 2] * 1e6, took[commits * 99 / 100] * 1e6, commits * batch / all, (double)wal_bytes / (commits * batch),
           (double)growth / (commits * batch));
    free(took);
}

static void measure_events(struct bench *bench, int batch, int count)
{
    static struct sg_write writes[1000];
    static struct sg_id ids[1000];
    struct sg_error error;
    double cpu = 0;
    double begin_all = seconds(CLOCK_MONOTONIC);

    assert(batch <= 1000);
    for (int done = 0; done < count; done += batch) {
        for (int i = 0; i < batch; i++) {
            ids[i] = make_id(bench);
            writes[i] = (struct sg_write){.op = SG_WRITE_INSERT, .record = {.kind = SG_KIND_EVENT}};
            struct sg_value *values = writes[i].record.values;
            for (int column = 0; column < SG_COLUMNS_MAX; column++)
                values[column] = sg_value_null();
            values[SG_EVENT_POSITION] = sg_value_int(bench->next_position++);
            values[SG_EVENT_INTERNAL_ID] = sg_value_id(&ids[i]);
            values[SG_EVENT_NAME] = sg_value_bytes(SG_STR("shop/order.created"));
            values[SG_EVENT_RECEIVED_AT] = sg_value_int(bench->now_ms);
            values[SG_EVENT_TS] = sg_value_int(bench->now_ms);
            values[SG_EVENT_BODY] = sg_value_bytes((struct sg_str){bench->memo, EVENT_BYTES});
        }
        double begin_cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
        if (sg_store_commit(bench->store, writes, (size_t)batch, &error) != SG_OK)
            fail("commit", &error);
        cpu += seconds(CLOCK_THREAD_CPUTIME_ID) - begin_cpu;
    }
    printf("events in batches of %d: %.1f us CPU, %.0f events/s\n", batch, cpu / count * 1e6,
           count / (seconds(CLOCK_MONOTONIC) - begin_all));
}

static enum sg_status count_record(void *context, const struct sg_record *record)
{
    (void)record;
    (*(int64_t *)context)++;
    return SG_OK;
}

static void measure_reads(struct bench *bench, int rounds)
{
    struct sg_error error;
    struct sg_store_reader *reader;
    int64_t seen = 0;

    if (sg_store_reader_open(bench->store, &reader, &error) != SG_OK)
        fail("open a reader", &error);
    double begin = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < rounds; i++) {
        struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .equal_count = 1, .limit = 1000};
        query.equal[0] = sg_value_id(&bench->runs[sg_rng_below(&bench->rng, RUNS)].id);
        if (sg_store_read(reader, &query, count_record, &seen, &error) != SG_OK)
            fail("read", &error);
    }
    printf("the memos of a run (%.1f rows): %.1f us\n", (double)seen / rounds, (seconds(CLOCK_MONOTONIC) - begin) / rounds * 1e6);
    begin = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < rounds; i++) {
        struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .equal_count = 1, .limit = 1};
        query.equal[0] = sg_value_int(1 + (int64_t)sg_rng_below(&bench->rng, (uint64_t)bench->next_position - 1));
        if (sg_store_read(reader, &query, count_record, &seen, &error) != SG_OK)
            fail("read", &error);
    }
    printf("an event by its position: %.1f us\n", (seconds(CLOCK_MONOTONIC) - begin) / rounds * 1e6);
    sg_store_reader_close(reader);

    seen = 0;
    begin = seconds(CLOCK_MONOTONIC);
    if (sg_store_scan(bench->store, SG_KIND_RUN_LIVE, count_record, &seen, &error) != SG_OK)
        fail("scan", &error);
    if (seen > 0)
        printf("scan of live runs: %.2f us a record\n", (seconds(CLOCK_MONOTONIC) - begin) / (double)seen * 1e6);
}

/* ---- a while of everything ---- */

#define SUSTAINED_S 5.0
#define SUSTAINED_BATCH 16
#define SUSTAINED_COMMITS_MAX 100000
#define HOUSEKEEPING_NS 20000000L

struct crowd {
    struct bench *bench;
    atomic_bool is_over;
    _Atomic int64_t reads;
    _Atomic int64_t wal_bytes_max;
};

static void *keep_house(void *context)
{
    struct crowd *crowd = context;
    struct timespec pause = {0, HOUSEKEEPING_NS};
    struct sg_error error;

    while (!atomic_load(&crowd->is_over)) {
        int64_t wal_bytes = file_bytes(crowd->bench, "main.db-wal");
        if (wal_bytes > atomic_load(&crowd->wal_bytes_max))
            atomic_store(&crowd->wal_bytes_max, wal_bytes);
        if (sg_store_maintain(crowd->bench->store, &error) != SG_OK)
            fail("maintain", &error);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *keep_reading(void *context)
{
    struct crowd *crowd = context;
    struct sg_store_reader *reader;
    struct sg_error error;
    int64_t seen = 0;
    int64_t position = 1;

    if (sg_store_reader_open(crowd->bench->store, &reader, &error) != SG_OK)
        fail("open a reader", &error);
    while (!atomic_load(&crowd->is_over)) {
        struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .has_after = true, .limit = 20};
        query.after = sg_value_int(position++ % 90000);
        if (sg_store_read(reader, &query, count_record, &seen, &error) != SG_OK)
            fail("read", &error);
        atomic_fetch_add(&crowd->reads, 1);
    }
    sg_store_reader_close(reader);
    return NULL;
}

static void measure_sustained(struct bench *bench)
{
    static struct sg_write writes[SUSTAINED_BATCH * WRITES_PER_STEP];
    static double took[SUSTAINED_COMMITS_MAX];
    struct crowd crowd = {.bench = bench};
    pthread_t threads[3];
    struct sg_error error;
    size_t commits = 0;

    if (pthread_create(&threads[0], NULL, keep_house, &crowd) != 0 || pthread_create(&threads[1], NULL, keep_reading, &crowd) != 0 ||
        pthread_create(&threads[2], NULL, keep_reading, &crowd) != 0)
        exit(1);
    double end = seconds(CLOCK_MONOTONIC) + SUSTAINED_S;
    while (seconds(CLOCK_MONOTONIC) < end && commits < SUSTAINED_COMMITS_MAX) {
        for (int j = 0; j < SUSTAINED_BATCH; j++)
            write_step(bench, &writes[j * WRITES_PER_STEP], j);
        double begin = seconds(CLOCK_MONOTONIC);
        if (sg_store_commit(bench->store, writes, SG_ARRAY_LEN(writes), &error) != SG_OK)
            fail("commit", &error);
        took[commits++] = seconds(CLOCK_MONOTONIC) - begin;
    }
    atomic_store(&crowd.is_over, true);
    for (size_t i = 0; i < SG_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    qsort(took, commits, sizeof(took[0]), by_value);
    printf("for %.0f s, batches of %d, two threads reading: %.0f steps/s, commit p50 %.0f us, p99 %.0f us, max %.1f ms, "
           "%.0f reads/s, log up to %.0f MB\n",
           SUSTAINED_S, SUSTAINED_BATCH, (double)commits * SUSTAINED_BATCH / SUSTAINED_S, took[commits / 2] * 1e6,
           took[commits * 99 / 100] * 1e6, took[commits - 1] * 1e3, (double)crowd.reads / SUSTAINED_S, (double)crowd.wal_bytes_max / 1e6);
}

static void remove_files(const struct bench *bench)
{
    static const char *const names[] = {"main.db", "main.db-wal", "main.db-shm", "lock"};
    char path[600];

    for (size_t i = 0; i < SG_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", bench->directory, names[i]);
        unlink(path);
    }
    rmdir(bench->directory);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.next_job = 1, .next_position = 1, .now_ms = 1700000000000};
    static const int batches[] = {1, 4, 16, 64};
    const char *parent = argc > 1 ? argv[1] : "/tmp";
    int64_t steps = 8000;

    if (argc > 2 && (!sg_str_to_int(sg_str_from(argv[2]), &steps) || steps < BATCH_MAX || steps > 10000000)) {
        fprintf(stderr, "usage: bench_store [DIRECTORY] [STEPS]\n");
        return 2;
    }
    snprintf(bench.directory, sizeof(bench.directory), "%s/bench_store.XXXXXX", parent);
    if (mkdtemp(bench.directory) == NULL) {
        fprintf(stderr, "bench_store: %s: %s\n", bench.directory, strerror(errno));
        return 1;
    }
    sg_rng_init(&bench.rng, 1);
    bench.function = make_id(&bench);
    memset(bench.memo, 'm', sizeof(bench.memo));
    open_store(&bench);
    for (int i = 0; i < RUNS; i++)
        start_run(&bench, &bench.runs[i]);

    measure_fsync(&bench);
    printf("batch  us CPU/st  us all/st  commit p50  commit p99    steps/s  WAL B/st   DB B/st\n");
    for (size_t i = 0; i < SG_ARRAY_LEN(batches); i++)
        measure_steps(&bench, batches[i], (int)steps);
    measure_events(&bench, 100, 100000);
    measure_reads(&bench, 20000);
    measure_sustained(&bench);
    sg_store_close(bench.store);
    remove_files(&bench);
    return 0;
}
