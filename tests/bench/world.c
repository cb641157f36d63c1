/*
 * The world around a measured stepgate.
 *
 * The model. Every connection is one of three: the server calling the app (SERVE), the app checkpointing (CHECKPOINT), a client sending events (EVENT).
 * Each has a buffer in and a buffer out and reads whole messages by Content-Length. A run is remembered by its id from the answer to its next call,
 * which gives the gap that the idle latency is about.
 *
 * What it never does: check what the server says beyond what it needs, or parse JSON: it looks for the few texts that it knows to be there.
 */
#include "bench/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/base.h>

#include "base/check.h"

#define GAPS_MAX 1000000
#define RUNS_SLOTS 65536 /* of the table of runs; far more than are in flight */
#define EVENTS_MAX 256
#define RUN_ID_LEN 26

enum role { SERVE, CHECKPOINT, EVENT };

struct connection {
    int fd;
    enum role role;
    struct sg_buf in;
    struct sg_buf out;
    size_t sent;
    bool is_busy;               /* CHECKPOINT, EVENT: waits for a reply */
    struct connection *waiting; /* CHECKPOINT: whose call the steps belong to */
    struct connection *next;    /* of all; CHECKPOINT without work: of the idle ones */
    /* SERVE: the call that is being worked on by checkpoints. */
    char run_id[RUN_ID_LEN + 1];
    char qi_id[80];
    int step;
};

struct run_slot {
    char run_id[RUN_ID_LEN];
    int64_t answered_at_ns;
};

struct world {
    int epoll_fd;
    int listen_fd;
    int port;
    int server_port;
    enum world_protocol protocol;
    int steps_per_run;
    struct connection *connections;
    struct connection *checkpointers; /* idle */
    struct connection *calls_waiting; /* SERVE connections that wait for a checkpointer */
    struct connection *calls_waiting_last;
    struct connection *events[EVENTS_MAX];
    int event_connections;
    const char *const *bodies;
    size_t body_count;
    size_t next_body;
    int runs_in_flight_max;
    int64_t started; /* events sent since world_load */
    struct world_counts counts;
    struct run_slot *slots;
    int64_t *gaps;
    size_t gap_count;
};

static struct connection *add_connection(struct world *world, int fd, enum role role);
static int connect_to(int port, bool is_blocking);
static void on_readable(struct world *world, struct connection *connection);
static size_t message_length(struct sg_str bytes, size_t *head_length);
static void on_message(struct world *world, struct connection *connection, struct sg_str head, struct sg_str body);
static void on_call(struct world *world, struct connection *connection, struct sg_str body);
static void on_checkpointed(struct world *world, struct connection *connection, int status);
static void checkpoint_next(struct world *world, struct connection *checkpointer, struct connection *call);
static void flush(struct world *world, struct connection *connection);
static void respond(struct world *world, struct connection *connection, int status, const char *headers, struct sg_str body);
static void send_events(struct world *world);
static bool find_text(struct sg_str text, const char *before, char *out, size_t out_size);
static int memo_count(struct sg_str body);
static void note_answer(struct world *world, const char *run_id);
static void note_call(struct world *world, const char *run_id);
static void fail(const char *what);

struct world *world_create(void)
{
    struct world *world = calloc(1, sizeof(*world));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    if (world == NULL)
        fail("calloc");
    world->slots = calloc(RUNS_SLOTS, sizeof(*world->slots));
    world->gaps = calloc(GAPS_MAX, sizeof(*world->gaps));
    world->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    world->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (world->slots == NULL || world->gaps == NULL || world->epoll_fd < 0 || world->listen_fd < 0)
        fail("socket");
    if (bind(world->listen_fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(world->listen_fd, 1024) != 0 ||
        getsockname(world->listen_fd, (struct sockaddr *)&address, &len) != 0)
        fail("listen");
    world->port = ntohs(address.sin_port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(world->epoll_fd, EPOLL_CTL_ADD, world->listen_fd, &event) != 0)
        fail("epoll_ctl");
    return world;
}

void world_free(struct world *world)
{
    for (struct connection *connection = world->connections; connection != NULL;) {
        struct connection *next = connection->next;
        if (connection->fd >= 0)
            close(connection->fd);
        sg_buf_free(&connection->in);
        sg_buf_free(&connection->out);
        free(connection);
        connection = next;
    }
    close(world->listen_fd);
    close(world->epoll_fd);
    free(world->slots);
    free(world->gaps);
    free(world);
}

int world_port(const struct world *world)
{
    return world->port;
}

void world_aim(struct world *world, int server_port, enum world_protocol protocol, int steps_per_run, int checkpoint_connections)
{
    world->server_port = server_port;
    world->protocol = protocol;
    world->steps_per_run = steps_per_run;
    for (int i = 0; i < checkpoint_connections; i++) {
        struct connection *connection = add_connection(world, connect_to(server_port, false), CHECKPOINT);
        connection->waiting = world->checkpointers;
        world->checkpointers = connection;
    }
}

void world_load(struct world *world, int connections, const char *const *bodies, size_t body_count, int runs_in_flight_max)
{
    assert(connections <= EVENTS_MAX);
    while (world->event_connections < connections)
        world->events[world->event_connections++] = add_connection(world, connect_to(world->server_port, false), EVENT);
    world->event_connections = connections;
    world->bodies = bodies;
    world->body_count = body_count;
    world->next_body = 0;
    world->runs_in_flight_max = runs_in_flight_max;
    world->started = 0;
    world->counts = (struct world_counts){0};
    world->gap_count = 0;
}

void world_turn(struct world *world, int64_t until_ns, int64_t runs)
{
    struct epoll_event events[256];
    int64_t now_ns;
    while ((now_ns = world_now_ns()) < until_ns && (runs == 0 || world->counts.runs < runs)) {
        send_events(world);
        int count = epoll_wait(world->epoll_fd, events, 256, (int)((until_ns - now_ns) / 1000000) + 1);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                int fd;
                while ((fd = accept4(world->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    add_connection(world, fd, SERVE);
                continue;
            }
            if ((events[i].events & EPOLLOUT) != 0 && connection->fd >= 0)
                flush(world, connection);
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && connection->fd >= 0)
                on_readable(world, connection);
        }
    }
}

struct world_counts world_counts(const struct world *world)
{
    return world->counts;
}

const int64_t *world_gaps(const struct world *world, size_t *count)
{
    *count = world->gap_count;
    return world->gaps;
}

int64_t world_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int world_request(int port, const char *method, const char *path, const char *body, char *answer, size_t size)
{
    char request[4096];
    int status = 0;
    size_t len = 0;
    int fd = connect_to(port, true);
    if (fd < 0)
        return 0;
    int request_len = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                               method, path, strlen(body), body);
    if (write(fd, request, (size_t)request_len) == request_len) {
        ssize_t got;
        while (len < size - 1 && (got = read(fd, answer + len, size - 1 - len)) > 0)
            len += (size_t)got;
    }
    answer[len] = '\0';
    close(fd);
    if (len > 12 && sscanf(answer, "HTTP/1.1 %d", &status) != 1)
        return 0;
    return status;
}

/* ---- connections ---- */

static struct connection *add_connection(struct world *world, int fd, enum role role)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    int on = 1;
    if (fd < 0 || connection == NULL)
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection->fd = fd;
    connection->role = role;
    connection->next = world->connections;
    world->connections = connection;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(world->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll_ctl");
    return connection;
}

static int connect_to(int port, bool is_blocking)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (!is_blocking && fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        fail("fcntl");
    return fd;
}

static void on_readable(struct world *world, struct connection *connection)
{
    for (;;) {
        if (!sg_buf_reserve(&connection->in, 65536))
            fail("memory");
        ssize_t got = read(connection->fd, connection->in.ptr + connection->in.len, 65536);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (got <= 0) {
            if (connection->role != SERVE)
                fail("the server closed a connection");
            close(connection->fd);
            connection->fd = -1;
            return;
        }
        connection->in.len += (size_t)got;
        if (got < 65536)
            break;
    }
    size_t done = 0;
    for (;;) {
        struct sg_str rest = {connection->in.ptr + done, connection->in.len - done};
        size_t head_length = 0;
        size_t length = message_length(rest, &head_length);
        if (length == 0)
            break;
        on_message(world, connection, (struct sg_str){rest.ptr, head_length},
                   (struct sg_str){rest.ptr + head_length, length - head_length});
        done += length;
    }
    memmove(connection->in.ptr, connection->in.ptr + done, connection->in.len - done);
    connection->in.len -= done;
}

/* Of a whole HTTP message at the start; 0 if it is not all there. */
static size_t message_length(struct sg_str bytes, size_t *head_length)
{
    const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    *head_length = (size_t)(end - bytes.ptr) + 4;
    size_t body_length = 0;
    for (size_t i = 0; i + 16 < *head_length; i++) {
        if (bytes.ptr[i] == '\n' && strncasecmp(bytes.ptr + i + 1, "content-length:", 15) == 0) {
            body_length = strtoul(bytes.ptr + i + 16, NULL, 10);
            break;
        }
    }
    return bytes.len >= *head_length + body_length ? *head_length + body_length : 0;
}

static void on_message(struct world *world, struct connection *connection, struct sg_str head, struct sg_str body)
{
    if (connection->role == SERVE) {
        if (sg_str_starts_with(head, SG_STR("PUT"))) {
            char registration[2048];
            int len = snprintf(
                registration, sizeof(registration),
                "{\"app_id\":\"bench\",\"framework\":\"bench\",\"sdk\":\"js:v4.24.0\",\"sdk_language\":\"js\",\"sdk_version\":\"4.24.0\","
                "\"url\":\"http://127.0.0.1:%d/api/inngest\",\"functions\":[{\"id\":\"bench-five\",\"name\":\"five\","
                "\"triggers\":[{\"event\":\"bench/"
                "run\"}],\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"runtime\":{\"type\":\"http\","
                "\"url\":\"http://127.0.0.1:%d/api/inngest?fnId=bench-five&stepId=step\"}}}}]}",
                world->port, world->port);
            respond(world, connection, 200, "x-inngest-sync-kind: in_band\r\n", (struct sg_str){registration, (size_t)len});
        } else {
            on_call(world, connection, body);
        }
        return;
    }
    int status = head.len > 12 ? (int)strtol(head.ptr + 9, NULL, 10) : 0;
    if (connection->role == CHECKPOINT) {
        on_checkpointed(world, connection, status);
        return;
    }
    connection->is_busy = false;
    if (status == 200)
        world->counts.requests++;
    else {
        world->counts.refused++;
        world->started--;
    }
}

/* ---- the app ---- */

static void on_call(struct world *world, struct connection *connection, struct sg_str body)
{
    char answer[512];
    world->counts.calls++;
    if (!find_text(body, "\"run_id\":\"", connection->run_id, sizeof(connection->run_id))) {
        respond(world, connection, 200, "", SG_STR("null"));
        return;
    }
    note_call(world, connection->run_id);
    int memos = memo_count(body);
    if (world->protocol == WORLD_CHECKPOINTED && memos < world->steps_per_run) {
        if (!find_text(body, "\"qi_id\":\"", connection->qi_id, sizeof(connection->qi_id)))
            fail("a call without qi_id");
        connection->step = memos;
        struct connection *checkpointer = world->checkpointers;
        if (checkpointer != NULL) {
            world->checkpointers = checkpointer->waiting;
            checkpoint_next(world, checkpointer, connection);
            return;
        }
        connection->waiting = NULL;
        if (world->calls_waiting_last != NULL)
            world->calls_waiting_last->waiting = connection;
        else
            world->calls_waiting = connection;
        world->calls_waiting_last = connection;
        return;
    }
    if (memos < world->steps_per_run) {
        int len = snprintf(answer, sizeof(answer),
                           "[{\"data\":{\"n\":%d,\"text\":\"a result of a usual size, which is not much\"},\"displayName\":\"step %d\","
                           "\"id\":\"%040d\",\"name\":\"step %d\",\"op\":\"StepRun\",\"opts\":{}}]",
                           memos, memos, memos, memos);
        world->counts.steps++;
        respond(world, connection, 206, "", (struct sg_str){answer, (size_t)len});
        note_answer(world, connection->run_id);
        return;
    }
    world->counts.runs++;
    respond(world, connection, 200, "", SG_STR("\"done\""));
}

static void on_checkpointed(struct world *world, struct connection *checkpointer, int status)
{
    struct connection *call = checkpointer->waiting;
    assert(call != NULL);
    if (status != 200)
        fail("a checkpoint was refused");
    world->counts.steps++;
    if (++call->step < world->steps_per_run) {
        checkpoint_next(world, checkpointer, call);
        return;
    }
    world->counts.runs++;
    respond(world, call, 206, "",
            SG_STR("[{\"data\":\"done\",\"id\":\"0737c22d3bfae812339732d14d8c7dbd6dc4e09c\",\"op\":\"RunComplete\"}]"));
    call = world->calls_waiting;
    if (call != NULL) {
        world->calls_waiting = call->waiting;
        if (world->calls_waiting == NULL)
            world->calls_waiting_last = NULL;
        checkpoint_next(world, checkpointer, call);
        return;
    }
    checkpointer->waiting = world->checkpointers;
    world->checkpointers = checkpointer;
}

static void checkpoint_next(struct world *world, struct connection *checkpointer, struct connection *call)
{
    char body[1024];
    int len = snprintf(
        body, sizeof(body),
        "{\"fn_id\":\"11111111-1111-4111-8111-111111111111\",\"qi_id\":\"%s\",\"run_id\":\"%s\",\"steps\":[{\"data\":{\"n\":%d,\"text\":"
        "\"a result of a usual size, which is not much\"},\"displayName\":\"step %d\",\"id\":\"%040d\",\"name\":\"step %d\","
        "\"op\":\"StepRun\",\"opts\":{}}],\"ts\":1}",
        call->qi_id, call->run_id, call->step, call->step, call->step, call->step);
    checkpointer->waiting = call;
    sg_buf_printf(&checkpointer->out,
                  "POST /v1/checkpoint/%s/async HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                  call->run_id, len);
    sg_buf_append(&checkpointer->out, (struct sg_str){body, (size_t)len});
    flush(world, checkpointer);
}

static void respond(struct world *world, struct connection *connection, int status, const char *headers, struct sg_str body)
{
    sg_buf_printf(&connection->out,
                  "HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nx-inngest-sdk: inngest-js:v4.24.0\r\n"
                  "x-inngest-req-version: 2\r\n%s\r\n",
                  status, body.len, headers);
    sg_buf_append(&connection->out, body);
    flush(world, connection);
}

static void flush(struct world *world, struct connection *connection)
{
    while (connection->sent < connection->out.len) {
        ssize_t sent = write(connection->fd, connection->out.ptr + connection->sent, connection->out.len - connection->sent);
        if (sent < 0 && errno == EAGAIN) {
            struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = connection};
            epoll_ctl(world->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
            return;
        }
        if (sent < 0)
            return; /* the reader sees why */
        connection->sent += (size_t)sent;
    }
    if (connection->sent > 262144) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(world->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event);
    }
    sg_buf_clear(&connection->out);
    connection->sent = 0;
}

/* ---- the clients ---- */

static void send_events(struct world *world)
{
    for (int i = 0; i < world->event_connections; i++) {
        struct connection *connection = world->events[i];
        if (connection->is_busy)
            continue;
        if (world->runs_in_flight_max > 0 && world->started - world->counts.runs >= world->runs_in_flight_max)
            return;
        const char *body = world->bodies[world->next_body];
        world->next_body = (world->next_body + 1) % world->body_count;
        sg_buf_printf(&connection->out,
                      "POST /e/bench HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
                      body);
        connection->is_busy = true;
        world->started++;
        flush(world, connection);
    }
}

/* ---- small things ---- */

/* The text behind `before`, up to the next quote. */
static bool find_text(struct sg_str text, const char *before, char *out, size_t out_size)
{
    const char *at = memmem(text.ptr, text.len, before, strlen(before));
    if (at == NULL)
        return false;
    at += strlen(before);
    const char *end = memchr(at, '"', text.len - (size_t)(at - text.ptr));
    if (end == NULL || (size_t)(end - at) >= out_size)
        return false;
    memcpy(out, at, (size_t)(end - at));
    out[end - at] = '\0';
    return true;
}

/* The elements of ctx.stack.stack. */
static int memo_count(struct sg_str body)
{
    const char *at = memmem(body.ptr, body.len, "\"stack\":[", 9);
    int quotes = 0;
    for (at = at != NULL ? at + 9 : body.ptr + body.len; at < body.ptr + body.len && *at != ']'; at++)
        quotes += *at == '"';
    return quotes / 2;
}

static struct run_slot *slot_of(struct world *world, const char *run_id)
{
    uint32_t hash = 2166136261u;
    for (int i = 0; i < RUN_ID_LEN; i++)
        hash = (hash ^ (unsigned char)run_id[i]) * 16777619u;
    return &world->slots[hash % RUNS_SLOTS];
}

/* Two runs in one slot only lose a sample. */
static void note_answer(struct world *world, const char *run_id)
{
    struct run_slot *slot = slot_of(world, run_id);
    memcpy(slot->run_id, run_id, RUN_ID_LEN);
    slot->answered_at_ns = world_now_ns();
}

static void note_call(struct world *world, const char *run_id)
{
    struct run_slot *slot = slot_of(world, run_id);
    if (slot->answered_at_ns == 0 || memcmp(slot->run_id, run_id, RUN_ID_LEN) != 0 || world->gap_count == GAPS_MAX)
        return;
    world->gaps[world->gap_count++] = world_now_ns() - slot->answered_at_ns;
    slot->answered_at_ns = 0;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}
