/*
 * Measures a whole stepgate from outside, with an app that does nothing: start, idle memory, the time from an answer to the next call, steps and
 * events a second, and what they cost in CPU and disk.
 *
 *     bench_node [STEPGATE [SECONDS [JSON-FILE]]]
 *
 * "One fsync" is measured in the same directory, in the same run: the median of a 4 KB append and fdatasync. The app and its clients run in this process,
 * on the same machine, so rates are what both together reach; CPU is the server's alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "bench/world.h"

#define FSYNC_SAMPLES 200
#define STEPS_PER_RUN 5
#define EVENT_NAMES 50
#define RUNS_IDLE 100

struct server {
    const char *program;
    char directory[128];
    pid_t pid;
    int port;
};

struct result {
    const char *name;
    const char *unit;
    double value;
};

static struct result results[64];
static size_t result_count;

static void note(const char *name, double value, const char *unit);
static void start_server(struct server *server, int world_port, const char *what);
static void stop_server(struct server *server, int number);
static int free_port(void);
static void wait_for_app(const struct server *server, struct world *world);
static double cpu_seconds(pid_t pid);
static double resident_kib(pid_t pid);
static double directory_kib(const char *directory);
static void measure_fsync(const char *directory);
static void measure_idle_latency(struct world *world);
static void measure_steps(struct server *server, struct world *world, const char *prefix, int runs_in_flight, double seconds);
static void measure_events(struct server *server, struct world *world, const char *prefix, int connections, int batch, bool has_match,
                           double seconds);
static char *event_body(int index, int batch, bool has_match);
static void print_results(const char *json_file);
static int compare(const void *a, const void *b);
static double ms(int64_t ns);

int main(int argc, char **argv)
{
    struct server server = {.program = argc > 1 ? argv[1] : "./stepgate"};
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 5;
    const char *json_file = argc > 3 ? argv[3] : "bench-node.json";

    signal(SIGPIPE, SIG_IGN);
    struct world *world = world_create();
    snprintf(server.directory, sizeof(server.directory), "%s/stepgate-bench-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(server.directory) == NULL) {
        perror("mkdtemp");
        return 1;
    }
    measure_fsync(server.directory);
    start_server(&server, world_port(world), "start, empty");
    world_aim(world, server.port, WORLD_CLASSIC, STEPS_PER_RUN, 0);
    wait_for_app(&server, world);
    note("resident, idle", resident_kib(server.pid) / 1024, "MiB");

    measure_idle_latency(world);
    measure_steps(&server, world, "classic", 100, seconds);
    world_aim(world, server.port, WORLD_CHECKPOINTED, STEPS_PER_RUN, 64);
    measure_steps(&server, world, "checkpointed", 64, seconds);
    measure_events(&server, world, "single, none matching", 64, 1, false, seconds);
    measure_events(&server, world, "batches of 100, none matching", 16, 100, false, seconds);
    world_aim(world, server.port, WORLD_CHECKPOINTED, 0, 0);
    measure_events(&server, world, "batches of 100, one in 100 matching", 16, 100, true, seconds);

    note("resident, after all this", resident_kib(server.pid) / 1024, "MiB");
    stop_server(&server, SIGKILL);
    start_server(&server, world_port(world), "start after a kill");
    stop_server(&server, SIGTERM);
    world_free(world);
    print_results(json_file);
    char command[256];
    snprintf(command, sizeof(command), "rm -r '%s'", server.directory);
    return system(command) == 0 ? 0 : 1;
}

static void note(const char *name, double value, const char *unit)
{
    assert(result_count < SG_ARRAY_LEN(results));
    char *copy = strdup(name);
    assert(copy != NULL);
    results[result_count++] = (struct result){copy, unit, value};
}

/* ---- the server ---- */

/* Starts it and waits until GET /health answers. */
static void start_server(struct server *server, int world_port, const char *what)
{
    char port[16];
    char url[64];
    char answer[4096];
    server->port = free_port();
    snprintf(port, sizeof(port), "%d", server->port);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/inngest", world_port);
    int64_t started_at_ns = world_now_ns();
    server->pid = fork();
    if (server->pid == 0) {
        execl(server->program, server->program, "dev", "--no-discovery", "--no-poll", "--port", port, "--host", "127.0.0.1", "--data-dir",
              server->directory, "--sdk-url", url, "--log-level", "warn", (char *)NULL);
        perror(server->program);
        _exit(127);
    }
    while (world_request(server->port, "GET", "/health", "", answer, sizeof(answer)) != 200) {
        int status;
        if (waitpid(server->pid, &status, WNOHANG) == server->pid || world_now_ns() - started_at_ns > 60000000000LL) {
            fprintf(stderr, "bench: %s did not start\n", server->program);
            exit(1);
        }
        nanosleep(&(struct timespec){0, 500000}, NULL);
    }
    note(what, ms(world_now_ns() - started_at_ns), "ms");
}

static void stop_server(struct server *server, int number)
{
    int status;
    kill(server->pid, number);
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

static int free_port(void)
{
    struct world *other = world_create();
    int port = world_port(other);
    world_free(other);
    return port;
}

static void wait_for_app(const struct server *server, struct world *world)
{
    char answer[65536];
    int64_t until_ns = world_now_ns() + 20000000000LL;
    do {
        world_turn(world, world_now_ns() + 20000000, 0);
        world_request(server->port, "GET", "/dev", "", answer, sizeof(answer));
    } while (strstr(answer, "bench-five") == NULL && world_now_ns() < until_ns);
    if (strstr(answer, "bench-five") == NULL) {
        fprintf(stderr, "bench: the app was not synced\n");
        exit(1);
    }
}

static double cpu_seconds(pid_t pid)
{
    char path[64];
    char text[1024];
    unsigned long user = 0;
    unsigned long kernel = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL && fgets(text, sizeof(text), file) != NULL) {
        const char *at = strrchr(text, ')');
        if (at == NULL || sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
            user = 0;
    }
    if (file != NULL)
        fclose(file);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double resident_kib(pid_t pid)
{
    char path[64];
    char line[256];
    double kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (file != NULL)
        fclose(file);
    return kib;
}

static double directory_kib(const char *directory)
{
    double bytes = 0;
    DIR *dir = opendir(directory);
    for (struct dirent *entry = dir != NULL ? readdir(dir) : NULL; entry != NULL; entry = readdir(dir)) {
        char path[512];
        struct stat status;
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        if (strstr(entry->d_name, "wal") == NULL && strstr(entry->d_name, "shm") == NULL && stat(path, &status) == 0 &&
            S_ISREG(status.st_mode))
            bytes += (double)status.st_size;
    }
    if (dir != NULL)
        closedir(dir);
    return bytes / 1024;
}

/* ---- the measurements ---- */

static void measure_fsync(const char *directory)
{
    static char page[4096];
    int64_t samples[FSYNC_SAMPLES];
    char path[256];
    snprintf(path, sizeof(path), "%s/fsync", directory);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    for (int i = 0; i < FSYNC_SAMPLES; i++) {
        int64_t before_ns = world_now_ns();
        if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page) || fdatasync(fd) != 0)
            perror("fdatasync");
        samples[i] = world_now_ns() - before_ns;
    }
    close(fd);
    unlink(path);
    qsort(samples, FSYNC_SAMPLES, sizeof(samples[0]), compare);
    note("one fsync, median", ms(samples[FSYNC_SAMPLES / 2]), "ms");
    note("one fsync, p99", ms(samples[FSYNC_SAMPLES * 99 / 100]), "ms");
}

/* One run at a time: nothing else is going on when a step's answer comes in. */
static void measure_idle_latency(struct world *world)
{
    char *event = event_body(-1, 1, true);
    const char *body = event;
    world_load(world, 1, &body, 1, 1);
    world_turn(world, world_now_ns() + 60000000000LL, RUNS_IDLE);
    size_t count;
    const int64_t *gaps = world_gaps(world, &count);
    int64_t *sorted = malloc((count + 1) * sizeof(*sorted));
    assert(sorted != NULL && count > 0);
    memcpy(sorted, gaps, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    note("answer to next call, idle, p50", ms(sorted[count / 2]), "ms");
    note("answer to next call, idle, p99", ms(sorted[count * 99 / 100]), "ms");
    note("answer to next call, idle, p50 beyond one fsync", ms(sorted[count / 2]) - results[0].value, "ms");
    free(sorted);
    free(event);
}

static void measure_steps(struct server *server, struct world *world, const char *prefix, int runs_in_flight, double seconds)
{
    char *event = event_body(-1, 1, true);
    const char *body = event;
    char name[128];
    world_load(world, 16, &body, 1, runs_in_flight);
    world_turn(world, world_now_ns() + 500000000, 0); /* to get going */
    struct world_counts before = world_counts(world);
    double cpu_before = cpu_seconds(server->pid);
    double kib_before = directory_kib(server->directory);
    int64_t before_ns = world_now_ns();
    world_turn(world, before_ns + (int64_t)(seconds * 1e9), 0);
    double elapsed = (double)(world_now_ns() - before_ns) / 1e9;
    double steps = (double)(world_counts(world).steps - before.steps);
    snprintf(name, sizeof(name), "%s: steps", prefix);
    note(name, steps / elapsed, "/s");
    snprintf(name, sizeof(name), "%s: CPU of the server per step", prefix);
    note(name, (cpu_seconds(server->pid) - cpu_before) / steps * 1e6, "us");
    snprintf(name, sizeof(name), "%s: database growth per step", prefix);
    note(name, (directory_kib(server->directory) - kib_before) / steps, "KiB");
    /* Lets what is in flight end. */
    world_load(world, 0, &body, 1, 0);
    world_turn(world, world_now_ns() + 1000000000, 0);
    free(event);
}

static void measure_events(struct server *server, struct world *world, const char *prefix, int connections, int batch, bool has_match,
                           double seconds)
{
    char *bodies[EVENT_NAMES];
    char name[128];
    for (int i = 0; i < EVENT_NAMES; i++)
        bodies[i] = event_body(i, batch, has_match);
    world_load(world, connections, (const char *const *)bodies, EVENT_NAMES, 0);
    double cpu_before = cpu_seconds(server->pid);
    int64_t before_ns = world_now_ns();
    world_turn(world, before_ns + (int64_t)(seconds * 1e9), 0);
    double elapsed = (double)(world_now_ns() - before_ns) / 1e9;
    double events = (double)world_counts(world).requests * batch;
    snprintf(name, sizeof(name), "events, %s", prefix);
    note(name, events / elapsed, "/s");
    snprintf(name, sizeof(name), "events, %s: CPU of the server per event", prefix);
    note(name, (cpu_seconds(server->pid) - cpu_before) / events * 1e6, "us");
    if (world_counts(world).refused > 0) {
        snprintf(name, sizeof(name), "events, %s: requests refused", prefix);
        note(name, (double)world_counts(world).refused, "");
    }
    world_load(world, 0, (const char *const *)bodies, EVENT_NAMES, 0);
    world_turn(world, world_now_ns() + 2000000000, 0);
    for (int i = 0; i < EVENT_NAMES; i++)
        free(bodies[i]);
}

/* About 200 bytes of data; index -1 is the event that starts a run. */
static char *event_body(int index, int batch, bool has_match)
{
    size_t size = (size_t)batch * 512 + 16;
    char *body = malloc(size);
    size_t len = 0;
    assert(body != NULL);
    if (batch > 1)
        body[len++] = '[';
    for (int i = 0; i < batch; i++) {
        bool is_match = index < 0 || (has_match && i == 0);
        char name[32];
        snprintf(name, sizeof(name), "bench/none.%d", (index + i) % EVENT_NAMES);
        len += (size_t)snprintf(
            body + len, size - len,
            "%s{\"name\":\"%s\",\"data\":{\"customer\":\"c-1234567\",\"amount\":%d,\"currency\":\"EUR\",\"items\":[\"one\",\"two\","
            "\"three\"],"
            "\"note\":\"some text that makes this event as long as the events of real people are, which is about 200 bytes\"}}",
            i > 0 ? "," : "", is_match ? "bench/run" : name, i);
    }
    if (batch > 1)
        body[len++] = ']';
    body[len] = '\0';
    return body;
}

static void print_results(const char *json_file)
{
    FILE *json = fopen(json_file, "w");
    if (json != NULL)
        fprintf(json, "{");
    for (size_t i = 0; i < result_count; i++) {
        printf("  %-62s %12.2f %s\n", results[i].name, results[i].value, results[i].unit);
        if (json != NULL)
            fprintf(json, "%s\n  \"%s%s%s\": %.4f", i > 0 ? "," : "", results[i].name, results[i].unit[0] != '\0' ? " " : "",
                    results[i].unit, results[i].value);
    }
    if (json != NULL) {
        fprintf(json, "\n}\n");
        fclose(json);
        printf("  as JSON in %s\n", json_file);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a;
    int64_t other = *(const int64_t *)b;
    return one < other ? -1 : one > other;
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}
