/*
 * A great many sleeping runs: what each costs in memory, how long a start takes with them, and whether they are woken on time.
 *
 * The model. The runs are written straight into a store, as the engine would have left them: each with a 500-byte event, two memoized steps and a
 * sleep that ends tomorrow; a few hundred end one after another soon after the start. Then ./stepgate is started on that store, once empty and
 * once full, with the page cache dropped before (where the system lets us), and looked at from outside. Memory is the growth of its RSS.
 *
 *     bench_sleepers [stepgate [runs]]        default ./stepgate 1000000
 */
#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "base/ulid.h"
#include "bench/world.h"

#define RUNS_PER_COMMIT 2000
#define EARLY_RUNS 200
#define EARLY_SPACING_MS 50
#define STEP_A "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
#define STEP_B "e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98"
#define STEP_SLEEP "395df8f7c51f007019cb30201c49e884b46b92fa"

static struct sg_write writes[RUNS_PER_COMMIT * 10];
static size_t write_count;
static const struct sg_id app_id = {{1}};
static const struct sg_id function_id = {{2}};

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct sg_value *put(enum sg_kind kind)
{
    assert(write_count < sizeof(writes) / sizeof(writes[0]));
    struct sg_write *write = &writes[write_count++];
    memset(write, 0, sizeof(*write));
    write->op = SG_WRITE_PUT;
    write->record.kind = kind;
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        write->record.values[column] = sg_value_null();
    return write->record.values;
}

static void commit(struct sg_store *store)
{
    struct sg_error error;
    if (sg_store_commit(store, writes, write_count, &error) != SG_OK) {
        fprintf(stderr, "commit: %s\n", error.message);
        exit(1);
    }
    write_count = 0;
}

static void step_put(const struct sg_id *run_id, const char *id, enum sg_opcode op, int flags, int64_t at_ms)
{
    struct sg_value *values = put(SG_KIND_STEP);
    values[SG_STEP_RUN_ID] = sg_value_id(run_id);
    values[SG_STEP_ID] = sg_value_bytes(sg_str_from(id));
    values[SG_STEP_OP] = sg_value_int(op);
    values[SG_STEP_NAME] = sg_value_bytes(SG_STR("a step"));
    values[SG_STEP_STATUS] = sg_value_int(op == SG_OP_SLEEP ? SG_STEP_WAITING : SG_STEP_COMPLETED);
    values[SG_STEP_FLAGS] = sg_value_int(flags);
    values[SG_STEP_ATTEMPTS] = sg_value_int(0);
    values[SG_STEP_STARTED_AT] = sg_value_int(at_ms);
}

static void memo_put(const struct sg_id *run_id, const char *id, int64_t seq)
{
    struct sg_value *values = put(SG_KIND_MEMO);
    values[SG_MEMO_RUN_ID] = sg_value_id(run_id);
    values[SG_MEMO_STEP_ID] = sg_value_bytes(sg_str_from(id));
    values[SG_MEMO_SEQ] = sg_value_int(seq);
    values[SG_MEMO_BYTES] = sg_value_bytes(SG_STR("{\"data\":{\"rows\":42,\"state\":\"done\"}}"));
}

/* A run as the engine leaves it while it sleeps. `id`, `position` and `body` must live until the commit. */
static void run_put(const struct sg_id *id, const uint8_t position[8], int64_t number, struct sg_str body, int64_t now_ms, int64_t due_ms)
{
    struct sg_value *values = put(SG_KIND_EVENT);
    values[SG_EVENT_POSITION] = sg_value_int(number);
    values[SG_EVENT_INTERNAL_ID] = sg_value_id(id);
    values[SG_EVENT_NAME] = sg_value_bytes(SG_STR("bench/sleep"));
    values[SG_EVENT_RECEIVED_AT] = sg_value_int(now_ms);
    values[SG_EVENT_TS] = sg_value_int(now_ms);
    values[SG_EVENT_BODY] = sg_value_bytes(body);

    struct sg_value events = sg_value_bytes((struct sg_str){(const char *)position, 8});
    values = put(SG_KIND_RUN_LIVE);
    values[SG_RUN_LIVE_ID] = sg_value_id(id);
    values[SG_RUN_LIVE_FUNCTION_ID] = sg_value_id(&function_id);
    values[SG_RUN_LIVE_EVENTS] = events;
    values[SG_RUN_LIVE_CREATED_AT] = sg_value_int(now_ms);
    values[SG_RUN_LIVE_STARTED_AT] = sg_value_int(now_ms);
    values[SG_RUN_LIVE_NEXT_SEQ] = sg_value_int(2);
    values[SG_RUN_LIVE_STATE_BYTES] = sg_value_int((int64_t)body.len + 72);
    values[SG_RUN_LIVE_REQUEST_VERSION] = sg_value_int(2);
    values[SG_RUN_LIVE_FLAGS] = sg_value_int(0);
    values[SG_RUN_LIVE_PENDING] = sg_value_int(0);
    values[SG_RUN_LIVE_GROUP] = sg_value_int(0);
    values[SG_RUN_LIVE_EVENT_ID] = sg_value_id(id);
    values[SG_RUN_LIVE_FUNCTION_VERSION] = sg_value_int(1);

    values = put(SG_KIND_RUN);
    values[SG_RUN_ID] = sg_value_id(id);
    values[SG_RUN_FUNCTION_ID] = sg_value_id(&function_id);
    values[SG_RUN_FUNCTION_VERSION] = sg_value_int(1);
    values[SG_RUN_EVENT_ID] = sg_value_id(id);
    values[SG_RUN_EVENTS] = events;
    values[SG_RUN_STATUS] = sg_value_int(SG_RUN_RUNNING);
    values[SG_RUN_CREATED_AT] = sg_value_int(now_ms);
    values[SG_RUN_STARTED_AT] = sg_value_int(now_ms);

    step_put(id, STEP_A, SG_OP_STEP_RUN, SG_STEP_IS_CONTINUED | SG_STEP_HAS_MEMO, now_ms);
    step_put(id, STEP_B, SG_OP_STEP_RUN, SG_STEP_IS_CONTINUED | SG_STEP_HAS_MEMO, now_ms);
    step_put(id, STEP_SLEEP, SG_OP_SLEEP, SG_STEP_IS_PLANNED, now_ms);
    memo_put(id, STEP_A, 0);
    memo_put(id, STEP_B, 1);

    values = put(SG_KIND_JOB);
    values[SG_JOB_ID] = sg_value_int(number);
    values[SG_JOB_KIND] = sg_value_int(SG_JOB_SLEEP);
    values[SG_JOB_RUN_ID] = sg_value_id(id);
    values[SG_JOB_DUE_AT] = sg_value_int(due_ms);
    values[SG_JOB_ATTEMPT] = sg_value_int(0);
    values[SG_JOB_GENERATION] = sg_value_int(0);
    values[SG_JOB_IS_STARTED] = sg_value_int(0);
    values[SG_JOB_TARGET] = sg_value_bytes(SG_STR(STEP_SLEEP));
    values[SG_JOB_FLAGS] = sg_value_int(0);
    values[SG_JOB_SNAPSHOT] = sg_value_int(0);
}

static void app_put(int world_port, char *config, size_t size)
{
    snprintf(config, size,
             "{\"id\":\"bench-sleep\",\"name\":\"sleep\",\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"runtime\":{\"type\":"
             "\"http\",\"url\":"
             "\"http://127.0.0.1:%d/api/inngest?fnId=bench-sleep&stepId=step\"}}},\"triggers\":[{\"event\":\"bench/sleep\"}]}",
             world_port);
    struct sg_value *values = put(SG_KIND_APP);
    values[SG_APP_ID] = sg_value_id(&app_id);
    values[SG_APP_NAME] = sg_value_bytes(SG_STR("bench"));
    values[SG_APP_URL] = sg_value_bytes(SG_STR("http://127.0.0.1:9/api/inngest"));
    values[SG_APP_SDK] = sg_value_bytes(SG_STR("js:v4.24.0"));
    values[SG_APP_SYNCED_AT] = sg_value_int(wall_ms());
    values[SG_APP_IS_ARCHIVED] = sg_value_int(0);
    values = put(SG_KIND_FUNCTION);
    values[SG_FUNCTION_ID] = sg_value_id(&function_id);
    values[SG_FUNCTION_VERSION] = sg_value_int(1);
    values[SG_FUNCTION_APP_ID] = sg_value_id(&app_id);
    values[SG_FUNCTION_SLUG] = sg_value_bytes(SG_STR("bench-sleep"));
    values[SG_FUNCTION_NAME] = sg_value_bytes(SG_STR("sleep"));
    values[SG_FUNCTION_CONFIG] = sg_value_bytes(sg_str_from(config));
    values[SG_FUNCTION_REGISTERED_AT] = sg_value_int(wall_ms());
    values[SG_FUNCTION_POSITION] = sg_value_int(0);
    values[SG_FUNCTION_IS_ARCHIVED] = sg_value_int(0);
}

static void fill(struct sg_store *store, long runs, int64_t first_due_ms, struct sg_id *early)
{
    static struct sg_id ids[RUNS_PER_COMMIT];
    static uint8_t positions[RUNS_PER_COMMIT][8];
    struct sg_rng rng;
    struct sg_ulid_generator ulids = {0};
    char body[600];
    int64_t now_ms = wall_ms();
    sg_rng_init(&rng, 7);
    int len = snprintf(body, sizeof(body),
                       "{\"data\":{\"text\":\"%0400d\"},\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"name\":\"bench/sleep\",\"ts\":%lld}", 7,
                       (long long)now_ms);
    for (long done = 0; done < runs;) {
        long count = runs - done < RUNS_PER_COMMIT ? runs - done : RUNS_PER_COMMIT;
        for (long index = 0; index < count; index++) {
            long number = done + index;
            ids[index] = sg_ulid_generator_next(&ulids, now_ms, &rng);
            for (int byte = 0; byte < 8; byte++)
                positions[index][byte] = (uint8_t)((uint64_t)(number + 1) >> (56 - 8 * byte));
            int64_t due_ms = now_ms + 24LL * 3600 * 1000 + number;
            if (number < EARLY_RUNS && early != NULL) {
                due_ms = first_due_ms + number * EARLY_SPACING_MS;
                early[number] = ids[index];
            }
            run_put(&ids[index], positions[index], number + 1, (struct sg_str){body, (size_t)len}, now_ms, due_ms);
        }
        commit(store);
        done += count;
        if (done % 100000 == 0)
            fprintf(stderr, "\r  writing runs: %ld of %ld", done, runs);
    }
    if (runs > 0)
        fprintf(stderr, "\n");
}

static bool caches_drop(void)
{
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    if (fd < 0)
        return false;
    bool is_done = write(fd, "3", 1) == 1;
    close(fd);
    return is_done;
}

static double resident_bytes(pid_t pid)
{
    char path[64];
    long pages[2] = {0, 0};
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%ld %ld", &pages[0], &pages[1]) != 2)
        pages[1] = 0;
    if (file != NULL)
        fclose(file);
    return (double)pages[1] * (double)sysconf(_SC_PAGESIZE);
}

/* Starts the server and waits for /ready; *ms is how long that took. */
static pid_t server_start(const char *program, const char *directory, int port, double *ms)
{
    char port_text[16];
    char answer[512];
    snprintf(port_text, sizeof(port_text), "%d", port);
    int64_t started_ns = world_now_ns();
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        execl(program, program, "dev", "--port", port_text, "--host", "127.0.0.1", "--data-dir", directory, "--no-discovery", "--no-poll",
              "--log-level", "error", (char *)NULL);
        _exit(127);
    }
    while (world_request(port, "GET", "/ready", "", answer, sizeof(answer)) != 200) {
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
        if (world_now_ns() - started_ns > 120000000000LL) {
            fprintf(stderr, "the server did not become ready\n");
            exit(1);
        }
    }
    *ms = (double)(world_now_ns() - started_ns) / 1e6;
    return pid;
}

static void server_stop(pid_t pid)
{
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

static struct sg_store *store_open(const char *directory)
{
    struct sg_store *store = NULL;
    struct sg_error error;
    struct sg_store_sqlite_options options = {.directory = directory};
    if (sg_store_open_sqlite(&options, &store, &error) != SG_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return store;
}

static int double_cmp(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* How late the early runs were woken: the moment on their step against the moment that was due. */
static void lateness_report(const char *directory, const struct sg_id *early, int64_t first_due_ms)
{
    struct sg_store *store = store_open(directory);
    struct sg_store_reader *reader = NULL;
    struct sg_arena arena;
    double late_ms[EARLY_RUNS];
    size_t count = 0;
    if (sg_store_reader_open(store, &reader, NULL) != SG_OK)
        exit(1);
    sg_arena_init(&arena);
    for (int number = 0; number < EARLY_RUNS; number++) {
        struct sg_record record;
        struct sg_value key[2] = {sg_value_id(&early[number]), sg_value_bytes(SG_STR(STEP_SLEEP))};
        if (sg_store_get(reader, SG_KIND_STEP, key, &arena, &record, NULL) == SG_OK && !record.values[SG_STEP_ENDED_AT].is_null)
            late_ms[count++] = (double)(record.values[SG_STEP_ENDED_AT].number - (first_due_ms + (int64_t)number * EARLY_SPACING_MS));
    }
    sg_arena_free(&arena);
    sg_store_reader_close(reader);
    sg_store_close(store);
    if (count == 0) {
        printf("  nobody was woken\n");
        return;
    }
    qsort(late_ms, count, sizeof(late_ms[0]), double_cmp);
    printf("  %-62s %12zu of %d\n", "woken", count, EARLY_RUNS);
    printf("  %-62s %12.0f ms\n", "earliest, after its time", late_ms[0]);
    printf("  %-62s %12.0f ms\n", "late, p99", late_ms[count * 99 / 100]);
}

int main(int argc, char **argv)
{
    const char *program = argc > 1 ? argv[1] : "./stepgate";
    long runs = argc > 2 ? strtol(argv[2], NULL, 10) : 1000000;
    char empty[] = "/tmp/stepgate-sleepers-XXXXXX";
    char full[] = "/tmp/stepgate-sleepers-XXXXXX";
    static struct sg_id early[EARLY_RUNS];
    char config[512];
    signal(SIGPIPE, SIG_IGN);
    struct world *world = world_create();
    if (world == NULL || mkdtemp(empty) == NULL || mkdtemp(full) == NULL || runs < EARLY_RUNS)
        return 1;
    int port = 20000 + (int)(getpid() % 20000);
    world_aim(world, port, WORLD_CLASSIC, 0, 0);

    int64_t first_due_ms = wall_ms() + 60000 + runs / 20;
    struct sg_store *store = store_open(empty);
    app_put(world_port(world), config, sizeof(config));
    commit(store);
    sg_store_close(store);
    store = store_open(full);
    app_put(world_port(world), config, sizeof(config));
    commit(store);
    fill(store, runs, first_due_ms, early);
    double store_bytes = (double)sg_store_size_bytes(store);
    sg_store_close(store);

    double empty_ms;
    pid_t pid = server_start(program, empty, port, &empty_ms);
    double empty_bytes = resident_bytes(pid);
    server_stop(pid);
    bool is_cold = caches_drop();
    double full_ms;
    pid = server_start(program, full, port, &full_ms);
    double full_bytes = resident_bytes(pid);
    printf("  %-62s %12ld\n", "sleeping runs, each two memos and a 500-byte event", runs);
    printf("  %-62s %12.1f KiB\n", "database, per run", store_bytes / (double)runs / 1024);
    printf("  %-62s %12.1f B\n", "memory, per run", (full_bytes - empty_bytes) / (double)runs);
    printf("  %-62s %12.1f ms\n", "start, no runs", empty_ms);
    printf("  %-62s %12.1f ms%s\n", "start, with them", full_ms, is_cold ? "" : " (the page cache could not be dropped)");
    world_turn(world, world_now_ns() + (first_due_ms - wall_ms() + EARLY_RUNS * EARLY_SPACING_MS + 2000) * 1000000, 0);
    server_stop(pid);
    lateness_report(full, early, first_due_ms);
    world_free(world);
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s' '%s'", empty, full);
    return system(command) == 0 ? 0 : 1;
}
