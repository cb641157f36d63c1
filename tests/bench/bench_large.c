/*
 * Measures how much memory a stepgate takes while it serves what is as large as the limits allow, in copies of it: an event, an answer with a large
 * output, calls that carry a large state, a large checkpoint.
 *
 *     bench_large [STEPGATE]
 *
 * What counts is how far the resident size rises (the kernel's high-water mark, reset before each measurement) above what the server needs when
 * nothing goes on. The first rounds only fill the database's page cache, whose size is a setting and has nothing to do with copies. It ends with 1
 * if anything took more copies than it may. The app is this program: it reads and answers one call at a time.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/base.h>
#include <stepgate/limits.h>

#include "base/check.h"
#include "bench/world.h"

/* What came, and what is made of it; nothing else may be as large. */
#define COPIES_MAX 3.0
#define ROUNDS_BEFORE 5 /* until the page cache is full */
#define ROUNDS 3
#define CONNECTIONS_MAX 64
#define DEADLINE_NS 60000000000LL
#define OTHER_BYTES 4096 /* of a call's body beside the large memo, and of an event beside its data */

struct server {
    const char *program;
    char directory[128];
    pid_t pid;
    int port;
};

/* What the server calls. `current` is the connection that waits for an answer. */
struct app {
    int listen_fd;
    int port;
    int fds[CONNECTIONS_MAX];
    int fd_count;
    int current;
};

static void app_open(struct app *app);
static void app_next(struct app *app, struct sg_buf *call);
static void app_answer(struct app *app, int status, struct sg_str body);
static void app_register(struct app *app);
static void server_start(struct server *server, struct app *app);
static void server_stop(struct server *server);
static double status_kib(pid_t pid, const char *name);
static void watch_begin(const struct server *server, const char *what);
static void watch_end(const struct server *server, size_t bytes, double copies_max);
static void measure_all(const struct server *server, struct app *app);
static void measure_event(const struct server *server);
static void measure_run(const struct server *server, struct app *app);
static void measure_checkpoint(const struct server *server, struct app *app);
static bool is_reading_whole(int fd, struct sg_buf *message);
static void fail(const char *what);

static bool is_broken;
static double idle_kib; /* 0: nothing is measured yet */

int main(int argc, char **argv)
{
    struct server server = {.program = argc > 1 ? argv[1] : "./stepgate"};
    struct app app;
    signal(SIGPIPE, SIG_IGN);
    snprintf(server.directory, sizeof(server.directory), "%s/stepgate-bench-XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(server.directory) == NULL)
        fail("mkdtemp");
    app_open(&app);
    server_start(&server, &app);
    double started_kib = status_kib(server.pid, "VmRSS:");
    for (int round = 0; round < ROUNDS_BEFORE; round++)
        measure_all(&server, &app);
    idle_kib = status_kib(server.pid, "VmRSS:");
    for (int round = 0; round < ROUNDS; round++)
        measure_all(&server, &app);
    printf("  %-44s %8.2f MiB, after all this %.2f MiB\n", "resident, at the start", started_kib / 1024,
           status_kib(server.pid, "VmRSS:") / 1024);
    server_stop(&server);
    char command[256];
    snprintf(command, sizeof(command), "rm -r '%s'", server.directory);
    return system(command) == 0 && !is_broken ? 0 : 1;
}

/* ---- measuring ---- */

static const char *watched;

static void watch_begin(const struct server *server, const char *what)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)server->pid);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "5", 1) != 1)
        fail("the kernel's high-water mark cannot be reset");
    close(fd);
    watched = what;
    double kib = status_kib(server->pid, "VmRSS:");
    if (idle_kib > kib)
        idle_kib = kib;
}

static void watch_end(const struct server *server, size_t bytes, double copies_max)
{
    if (idle_kib <= 0)
        return;
    double kib = status_kib(server->pid, "VmHWM:") - idle_kib;
    double copies = kib * 1024 / (double)bytes;
    bool is_bounded = copies < copies_max;
    printf("  %-44s %8.2f MiB of %5.2f MiB: %5.2f copies%s\n", watched, kib / 1024, (double)bytes / 1048576, copies,
           is_bounded ? "" : "   <-- too many");
    fflush(stdout);
    is_broken |= !is_bounded;
}

static double status_kib(pid_t pid, const char *name)
{
    char path[64];
    char line[256];
    double kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(line + strlen(name), NULL);
    if (file != NULL)
        fclose(file);
    return kib;
}

/* `before`, `count` letters and `after`: keys out of order, as SDKs send them. */
static void write_large(struct sg_buf *out, const char *before, size_t count, const char *after)
{
    sg_buf_append(out, sg_str_from(before));
    if (!sg_buf_reserve(out, count))
        fail("memory");
    memset(out->ptr + out->len, 'x', count);
    out->len += count;
    sg_buf_append(out, sg_str_from(after));
    if (out->is_failed)
        fail("memory");
}

/* One request, blocking; the HTTP status. */
static int post(const struct server *server, const char *path, struct sg_str body)
{
    char head[256];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)server->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("connect");
    int len =
        snprintf(head, sizeof(head), "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", path, body.len);
    if (write(fd, head, (size_t)len) != len)
        fail("write");
    for (size_t sent = 0; sent < body.len;) {
        ssize_t count = write(fd, body.ptr + sent, body.len - sent);
        if (count <= 0)
            fail("write");
        sent += (size_t)count;
    }
    struct sg_buf answer;
    sg_buf_init(&answer);
    if (!is_reading_whole(fd, &answer) || answer.len < 13)
        fail("the server did not answer");
    int status = (int)strtol(answer.ptr + 9, NULL, 10);
    if (status != 200)
        fprintf(stderr, "bench: POST %s: %.*s\n", path, (int)(answer.len < 500 ? answer.len : 500), answer.ptr);
    sg_buf_free(&answer);
    close(fd);
    return status;
}

static void measure_all(const struct server *server, struct app *app)
{
    measure_event(server);
    measure_run(server, app);
    measure_checkpoint(server, app);
}

static void measure_event(const struct server *server)
{
    struct sg_buf body;
    sg_buf_init(&body);
    write_large(&body, "{\"name\":\"bench/none\",\"data\":{\"text\":\"", SG_LIMIT_EVENT_BYTES - OTHER_BYTES, "\"}}");
    watch_begin(server, "an event comes in");
    if (post(server, "/e/key", sg_buf_str(&body)) != 200)
        fail("the event was refused");
    watch_end(server, body.len, COPIES_MAX);
    sg_buf_free(&body);
}

/* An event that is answered is committed behind an answer that came before it; twice, since that may still have been on its way. */
static void wait_for_commit(const struct server *server)
{
    for (int i = 0; i < 2; i++)
        if (post(server, "/e/key", SG_STR("{\"name\":\"bench/none\",\"data\":{}}")) != 200)
            fail("the event was refused");
}

static void start_run(const struct server *server)
{
    if (post(server, "/e/key", SG_STR("{\"name\":\"bench/run\",\"data\":{}}")) != 200)
        fail("the event was refused");
}

static void measure_run(const struct server *server, struct app *app)
{
    static const char small[] = "[{\"op\":\"StepRun\",\"id\":\"ab1\",\"name\":\"small\",\"data\":1,\"opts\":{}}]";
    struct sg_buf call;
    struct sg_buf answer;
    sg_buf_init(&call);
    sg_buf_init(&answer);
    write_large(&answer, "[{\"op\":\"StepRun\",\"id\":\"ab0\",\"name\":\"large\",\"opts\":{},\"data\":\"",
                SG_LIMIT_REQUEST_BYTES - OTHER_BYTES, "\"}]");
    start_run(server);
    app_next(app, &call);
    watch_begin(server, "an answer comes in, the next call goes out");
    app_answer(app, 206, sg_buf_str(&answer));
    app_next(app, &call);
    watch_end(server, answer.len, COPIES_MAX);
    if (call.len < answer.len)
        fail("the state was not in the call");
    watch_begin(server, "a call with a large state goes out");
    app_answer(app, 206, sg_str_from(small));
    app_next(app, &call);
    watch_end(server, call.len, COPIES_MAX);
    watch_begin(server, "a run of a large state ends with it");
    sg_buf_clear(&answer);
    write_large(&answer, "\"", SG_LIMIT_REQUEST_BYTES - OTHER_BYTES, "\"");
    app_answer(app, 200, sg_buf_str(&answer));
    wait_for_commit(server);
    watch_end(server, call.len, COPIES_MAX);
    sg_buf_free(&answer);
    sg_buf_free(&call);
}

static struct sg_str text_between(struct sg_str text, const char *before, char end)
{
    const char *at = memmem(text.ptr, text.len, before, strlen(before));
    if (at == NULL)
        fail("a call lacks a member");
    at += strlen(before);
    return (struct sg_str){at, (size_t)((const char *)memchr(at, end, (size_t)(text.ptr + text.len - at)) - at)};
}

static void measure_checkpoint(const struct server *server, struct app *app)
{
    char path[128];
    char before[512];
    struct sg_buf call;
    struct sg_buf body;
    sg_buf_init(&call);
    sg_buf_init(&body);
    start_run(server);
    app_next(app, &call);
    struct sg_str run_id = text_between(sg_buf_str(&call), "\"run_id\":\"", '"');
    struct sg_str fn_id = text_between(sg_buf_str(&call), "\"fn_id\":\"", '"');
    struct sg_str qi_id = text_between(sg_buf_str(&call), "\"qi_id\":\"", '"');
    snprintf(path, sizeof(path), "/v1/checkpoint/%.*s/async", SG_FMT(run_id));
    snprintf(before, sizeof(before),
             "{\"run_id\":\"%.*s\",\"fn_id\":\"%.*s\",\"qi_id\":\"%.*s\",\"ts\":1,\"steps\":[{\"op\":\"StepRun\",\"id\":\"ab0\","
             "\"name\":\"large\",\"opts\":{},\"data\":\"",
             SG_FMT(run_id), SG_FMT(fn_id), SG_FMT(qi_id));
    write_large(&body, before, SG_LIMIT_STEP_OUTPUT_BYTES - OTHER_BYTES, "\"}]}");
    watch_begin(server, "a checkpoint comes in");
    if (post(server, path, sg_buf_str(&body)) != 200)
        fail("the checkpoint was refused");
    watch_end(server, body.len, COPIES_MAX);
    app_answer(app, 200, SG_STR("null"));
    wait_for_commit(server);
    sg_buf_free(&body);
    sg_buf_free(&call);
}

/* ---- the app ---- */

static void app_open(struct app *app)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *app = (struct app){.current = -1};
    app->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (app->listen_fd < 0 || bind(app->listen_fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(app->listen_fd, 64) != 0 ||
        getsockname(app->listen_fd, (struct sockaddr *)&address, &len) != 0)
        fail("listen");
    app->port = ntohs(address.sin_port);
}

/* Reads one message of HTTP with Content-Length; false if the other side has closed before it was whole. */
static bool is_reading_whole(int fd, struct sg_buf *message)
{
    for (;;) {
        const char *end = message->len > 0 ? memmem(message->ptr, message->len, "\r\n\r\n", 4) : NULL;
        if (end != NULL) {
            size_t head_len = (size_t)(end - message->ptr) + 4;
            size_t body_len = 0;
            for (size_t i = 0; i + 16 < head_len; i++)
                if (message->ptr[i] == '\n' && strncasecmp(message->ptr + i + 1, "content-length:", 15) == 0)
                    body_len = strtoul(message->ptr + i + 16, NULL, 10);
            if (message->len >= head_len + body_len)
                return true;
        }
        if (!sg_buf_reserve(message, 65536))
            fail("memory");
        ssize_t got = read(fd, message->ptr + message->len, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        message->len += (size_t)got;
    }
}

/* Waits for the next request and leaves it in `call`, head and body. */
static void app_next(struct app *app, struct sg_buf *call)
{
    int64_t until_ns = world_now_ns() + DEADLINE_NS;
    while (world_now_ns() < until_ns) {
        struct pollfd polled[CONNECTIONS_MAX + 1] = {{.fd = app->listen_fd, .events = POLLIN}};
        for (int i = 0; i < app->fd_count; i++)
            polled[i + 1] = (struct pollfd){.fd = app->fds[i], .events = POLLIN};
        if (poll(polled, (nfds_t)app->fd_count + 1, 1000) < 0 && errno != EINTR)
            fail("poll");
        for (int i = app->fd_count - 1; i >= 0; i--) {
            if (polled[i + 1].revents == 0)
                continue;
            sg_buf_clear(call);
            if (is_reading_whole(app->fds[i], call)) {
                app->current = app->fds[i];
                return;
            }
            close(app->fds[i]);
            app->fds[i] = app->fds[--app->fd_count];
        }
        if (polled[0].revents != 0 && app->fd_count < CONNECTIONS_MAX)
            app->fds[app->fd_count++] = accept4(app->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    }
    fail("no call came in time");
}

static void app_answer(struct app *app, int status, struct sg_str body)
{
    char head[256];
    int len = snprintf(head, sizeof(head),
                       "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nx-inngest-sdk: js:v4.24.0\r\nx-inngest-req-version: 2\r\n"
                       "x-inngest-sync-kind: in_band\r\nContent-Length: %zu\r\n\r\n",
                       status, body.len);
    if (write(app->current, head, (size_t)len) != len)
        fail("write");
    for (size_t sent = 0; sent < body.len;) {
        ssize_t count = write(app->current, body.ptr + sent, body.len - sent);
        if (count <= 0)
            fail("write");
        sent += (size_t)count;
    }
}

/* Answers the PUT that the server sends when it starts. */
static void app_register(struct app *app)
{
    char registration[1024];
    struct sg_buf call;
    sg_buf_init(&call);
    do {
        app_next(app, &call);
        snprintf(registration, sizeof(registration),
                 "{\"app_id\":\"bench\",\"framework\":\"bench\",\"sdk\":\"js:v4.24.0\",\"sdk_language\":\"js\",\"sdk_version\":\"4.24.0\","
                 "\"url\":\"http://127.0.0.1:%d/api/inngest\",\"functions\":[{\"id\":\"bench-large\",\"name\":\"large\","
                 "\"triggers\":[{\"event\":\"bench/run\"}],\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"runtime\":"
                 "{\"type\":\"http\",\"url\":\"http://127.0.0.1:%d/api/inngest?fnId=bench-large&stepId=step\"}}}}]}",
                 app->port, app->port);
        app_answer(app, 200, sg_str_from(registration));
    } while (!sg_str_starts_with(sg_buf_str(&call), SG_STR("PUT")));
    sg_buf_free(&call);
}

/* ---- the server ---- */

static void server_start(struct server *server, struct app *app)
{
    char port[16];
    char url[64];
    char answer[16384];
    struct world *other = world_create(); /* for a port that is free */
    server->port = world_port(other);
    world_free(other);
    snprintf(port, sizeof(port), "%d", server->port);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/inngest", app->port);
    int64_t until_ns = world_now_ns() + DEADLINE_NS;
    server->pid = fork();
    if (server->pid == 0) {
        execl(server->program, server->program, "dev", "--no-discovery", "--no-poll", "--port", port, "--host", "127.0.0.1", "--data-dir",
              server->directory, "--sdk-url", url, "--log-level", "warn", (char *)NULL);
        perror(server->program);
        _exit(127);
    }
    app_register(app);
    while (world_request(server->port, "GET", "/dev", "", answer, sizeof(answer)) != 200 || strstr(answer, "bench-large") == NULL) {
        if (world_now_ns() > until_ns)
            fail("the app was not synced");
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

static void server_stop(struct server *server)
{
    int status;
    kill(server->pid, SIGTERM);
    while (waitpid(server->pid, &status, 0) < 0 && errno == EINTR)
        continue;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s%s%s\n", what, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    exit(1);
}
