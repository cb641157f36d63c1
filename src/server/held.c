/*
 * Connections that wait for longer than a request may.
 *
 * The model. libmicrohttpd walks its suspended connections at each resume, so a thousand that wait would slow down everybody. Therefore
 * such a connection leaves it: the socket is duplicated, the library is told to give its connection up, and closes its own copy. It does
 * not shut the socket down then, because its daemons run with MHD_USE_TURBO (server.c), which is why the duplicate goes on working. From
 * then on one thread serves it: it alone sends, receives and closes; others put something into a connection, mark it, and wake the thread.
 *
 * Whatever it is that the connection waits for, it waits for so long and no longer; and a client that does not take what it is sent is cut off.
 *
 * What it never does: keep such a connection alive for a second request. The answer says that it closes, and it does.
 */
#include "server/held.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/output.h"
#include "server/respond.h"
#include "server/stream.h"

#define EVENTS_PER_WAIT 64

static void *set_main(void *context);
static void set_close(struct sg_held_set *set);
static void held_flush(struct sg_held *held);
static void held_drop(struct sg_held *held);
static void held_free(struct sg_held *held);

int64_t sg_held_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the set ---- */

enum sg_status sg_held_set_start(struct sg_server *server, struct sg_held_set **set_out, struct sg_error *error)
{
    struct sg_held_set *set = sg_calloc(1, sizeof(*set));

    *set_out = NULL;
    if (set == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    set->server = server;
    set->count_max = server->held_max;
    set->out_bytes_max = server->held_bytes_max;
    (void)pthread_mutex_init(&set->lock, NULL);
    (void)pthread_cond_init(&set->settled, NULL);
    sg_map_init_ids(&set->runs, offsetof(struct sg_held_run, id));
    sg_stream_table_init(set);
    set->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    set->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    int code = 0;
    if (set->epoll_fd < 0 || set->wake_fd < 0 || epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, set->wake_fd, &event) != 0)
        code = errno;
    else
        code = pthread_create(&set->thread, NULL, set_main, set);
    set->is_started = code == 0;
    if (code != 0) {
        sg_held_set_free(set);
        return sg_error_set(error, SG_SYSTEM, "cannot set up the connections that wait: %s", strerror(code));
    }
    *set_out = set;
    return SG_OK;
}

void sg_held_set_free(struct sg_held_set *set)
{
    if (set == NULL)
        return;
    pthread_mutex_lock(&set->lock);
    set->is_stopping = true;
    pthread_mutex_unlock(&set->lock);
    if (set->is_started) {
        sg_held_wake(set);
        (void)pthread_join(set->thread, NULL);
    }
    pthread_mutex_lock(&set->lock);
    set_close(set);
    while (set->reading > 0)
        (void)pthread_cond_wait(&set->settled, &set->lock);
    pthread_mutex_unlock(&set->lock);
    sg_stream_table_free(set);
    assert(set->runs.count == 0 && set->out_bytes == 0);
    sg_map_free(&set->runs);
    sg_heap_free(&set->due);
    if (set->epoll_fd >= 0)
        (void)close(set->epoll_fd);
    if (set->wake_fd >= 0)
        (void)close(set->wake_fd);
    (void)pthread_cond_destroy(&set->settled);
    (void)pthread_mutex_destroy(&set->lock);
    sg_free(set);
}

void sg_held_wake(struct sg_held_set *set)
{
    uint64_t one = 1;
    /* It can only fail when the counter is at its maximum, and then the thread is awake anyway. */
    ssize_t written = write(set->wake_fd, &one, sizeof(one));
    (void)written;
}

/* The end of the server: who waits for an output is told to ask again, as far as its socket takes that at once. */
static void set_close(struct sg_held_set *set)
{
    while (!sg_list_is_empty(&set->all)) {
        struct sg_held *held = SG_CONTAINER_OF(set->all.first, struct sg_held, in_set);
        if (held->kind == SG_HELD_OUTPUT && !held->is_ending)
            sg_output_refuse(held);
        held->is_ending = true;
        held_flush(held);
        if (!held->is_gone)
            held_drop(held);
        if (!held->is_reading)
            held_free(held);
    }
}

/* ---- taking ---- */

/* The header lines that depend on the request, as send.c has them (reference/03 §0.3, §0.4). NULL bytes if memory ran out. */
static struct sg_str head_of(struct sg_request *request)
{
    struct sg_buf out;
    struct sg_str origin = sg_request_header(request, MHD_HTTP_HEADER_ORIGIN);

    sg_buf_init(&out);
    sg_buf_printf(&out, "X-Inngest-Server-Kind: %s\r\nConnection: close\r\n", request->server->kind);
    if (origin.len > 0) {
        sg_buf_append(&out, SG_STR("Access-Control-Allow-Origin: "));
        sg_buf_append(&out, origin);
        sg_buf_append(&out, SG_STR("\r\nAccess-Control-Expose-Headers: Link, Mcp-Session-Id\r\nVary: Origin\r\n"));
    }
    if (out.is_failed) {
        sg_buf_free(&out);
        return SG_STR_NULL;
    }
    return sg_buf_str(&out);
}

static struct sg_held *held_create(struct sg_request *request, enum sg_held_kind kind)
{
    struct sg_held *held = sg_calloc(1, sizeof(*held));

    if (held == NULL)
        return NULL;
    held->magic = SG_HELD_MAGIC;
    held->set = request->server->held;
    held->kind = kind;
    held->socket = -1;
    sg_buf_init(&held->out);
    held->head = head_of(request);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL && held->head.ptr != NULL)
        held->socket = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
    if (held->socket >= 0)
        return held;
    sg_free((char *)held->head.ptr);
    sg_free(held);
    return NULL;
}

static void held_free(struct sg_held *held)
{
    SG_CHECK(held, SG_HELD_MAGIC);
    assert(!held->is_reading && held->socket < 0);
    sg_buf_free(&held->out);
    sg_free((char *)held->head.ptr);
    held->magic = 0;
    sg_free(held);
}

struct sg_held *sg_held_take(struct sg_request *request, enum sg_held_kind kind)
{
    struct sg_held_set *set = request->server->held;

    if (atomic_fetch_add(&set->count, 1) >= set->count_max) {
        atomic_fetch_sub(&set->count, 1);
        sg_respond_status(request, SG_QUEUE_FULL, "Too many clients wait for the results of runs; ask again later");
        return NULL;
    }
    struct sg_held *held = held_create(request, kind);
    if (held == NULL) {
        atomic_fetch_sub(&set->count, 1);
        sg_respond_status(request, SG_UNAVAILABLE, "");
        return NULL;
    }
    pthread_mutex_lock(&set->lock);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = held};
    int64_t now_ms = sg_held_now_ms();
    held->end_at_ms = now_ms + (kind == SG_HELD_OUTPUT ? SG_OUTPUT_WAIT_MS : SG_STREAM_OPEN_MS);
    held->due.key_ms = kind == SG_HELD_OUTPUT ? held->end_at_ms : now_ms + SG_STREAM_KEEP_ALIVE_MS;
    bool is_in = !set->is_stopping && sg_heap_add(&set->due, &held->due);
    if (is_in && epoll_ctl(set->epoll_fd, EPOLL_CTL_ADD, held->socket, &event) != 0) {
        sg_heap_remove(&set->due, &held->due);
        is_in = false;
    }
    if (!is_in) {
        pthread_mutex_unlock(&set->lock);
        (void)close(held->socket);
        held->socket = -1;
        held_free(held);
        atomic_fetch_sub(&set->count, 1);
        sg_respond_status(request, SG_UNAVAILABLE, "");
        return NULL;
    }
    sg_list_push_back(&set->all, &held->in_set);
    request->is_taken = true;
    return held;
}

void sg_held_begin(struct sg_held *held)
{
    struct sg_held_set *set = held->set;

    sg_held_touch(held);
    pthread_mutex_unlock(&set->lock);
}

/* ---- from other threads ---- */

void sg_held_touch(struct sg_held *held)
{
    if (held->is_gone || held->is_dirty)
        return;
    held->is_dirty = true;
    bool was_empty = sg_list_is_empty(&held->set->dirty);
    sg_list_push_back(&held->set->dirty, &held->in_dirty);
    if (was_empty)
        sg_held_wake(held->set);
}

void sg_held_read(struct sg_held *held)
{
    if (held->is_gone)
        return;
    if (held->is_reading) {
        held->is_asked_again = true;
        return;
    }
    held->is_reading = true;
    held->set->reading++;
    if (sg_store_pool_run(held->set->server->pool, &held->task))
        return;
    held->is_reading = false; /* the process ends: the set is closed in a moment */
    held->set->reading--;
}

bool sg_held_read_begin(struct sg_held *held)
{
    SG_CHECK(held, SG_HELD_MAGIC);
    pthread_mutex_lock(&held->set->lock);
    return !held->is_gone && !held->is_ending;
}

void sg_held_read_end(struct sg_held *held)
{
    struct sg_held_set *set = held->set;

    held->is_reading = false;
    set->reading--;
    bool is_again = held->is_asked_again && !held->is_ending;
    held->is_asked_again = false;
    if (held->is_gone)
        held_free(held);
    else if (is_again)
        sg_held_read(held);
    pthread_cond_broadcast(&set->settled);
    pthread_mutex_unlock(&set->lock);
}

bool sg_held_reserve(struct sg_held *held, size_t bytes)
{
    if (held->set->out_bytes + (int64_t)bytes > held->set->out_bytes_max)
        return false;
    held->counted_bytes += (int64_t)bytes;
    held->set->out_bytes += (int64_t)bytes;
    return true;
}

void sg_held_answer(struct sg_held *held, int http_status)
{
    char date[64];
    time_t now = time(NULL);
    struct tm parts;
    const char *reason = MHD_get_reason_phrase_for((unsigned int)http_status);

    sg_buf_clear(&held->out);
    held->sent = 0;
    (void)gmtime_r(&now, &parts);
    size_t len = strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    sg_buf_printf(&held->out, "HTTP/1.1 %d %s\r\nDate: %.*s\r\n", http_status, reason, (int)len, date);
    sg_buf_append(&held->out, held->head);
    atomic_fetch_add(&held->set->server->counters.responses[http_status / 100 % 6], 1);
}

void sg_held_run_ended(struct sg_held_set *set, struct sg_id run_id)
{
    if (atomic_load(&set->count) == 0 && atomic_load(&set->stream_count) == 0)
        return;
    pthread_mutex_lock(&set->lock);
    struct sg_held_run *run = sg_map_get_id(&set->runs, run_id);
    if (run != NULL)
        for (struct sg_list_node *node = run->waiters.first; node != NULL; node = node->next)
            sg_held_read(SG_CONTAINER_OF(node, struct sg_held, in_run));
    sg_stream_run_ended(set, run_id);
    pthread_mutex_unlock(&set->lock);
}

/* ---- the thread ---- */

static void watch_for_room(struct sg_held *held, bool is_writing)
{
    if (held->is_writing == is_writing)
        return;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = held};
    if (is_writing)
        event.events |= EPOLLOUT;
    if (epoll_ctl(held->set->epoll_fd, EPOLL_CTL_MOD, held->socket, &event) != 0) {
        held_drop(held);
        return;
    }
    held->is_writing = is_writing;
}

/* Sends what it can. The number of bytes; 0: the socket is full; -1: it is broken. */
static ssize_t send_some(struct sg_held *held, struct sg_str bytes)
{
    ssize_t count;

    do
        count = send(held->socket, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return count;
}

/* First what was put together for it, then what its stream has. */
static struct sg_str next_bytes(struct sg_held *held)
{
    if (held->sent < held->out.len)
        return (struct sg_str){held->out.ptr + held->sent, held->out.len - held->sent};
    if (held->kind == SG_HELD_STREAM && !held->is_ending)
        return sg_stream_bytes(held);
    return SG_STR_NULL;
}

static void held_flush(struct sg_held *held)
{
    if (held->out.is_failed) { /* memory ran out while its answer was made */
        held_drop(held);
        return;
    }
    for (;;) {
        struct sg_str bytes = next_bytes(held);
        if (bytes.len == 0)
            break;
        ssize_t count = send_some(held, bytes);
        if (count < 0) {
            held_drop(held);
            return;
        }
        if (count == 0) {
            watch_for_room(held, true);
            return;
        }
        if (held->sent < held->out.len)
            held->sent += (size_t)count;
        else
            held->position += count;
    }
    sg_buf_clear(&held->out);
    held->sent = 0;
    if (held->is_ending || (held->kind == SG_HELD_STREAM && sg_stream_is_over(held)))
        held_drop(held);
    else
        watch_for_room(held, false);
}

/*
 * What the client sends now means nothing: it is read so that closing does not look like an error to it. False: it has gone, or does not stop sending:
 * the lock is held here, and who ends a run waits for it.
 */
static bool swallow(struct sg_held *held)
{
    char bytes[4096];
    ssize_t count;

    do {
        count = recv(held->socket, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (count > 0)
            held->swallowed_bytes += count;
    } while ((count > 0 && held->swallowed_bytes <= SG_LIMIT_HELD_INPUT_BYTES) || (count < 0 && errno == EINTR));
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Out of every table, and closed. It is freed by whoever is last: the thread, or the read that is under way. */
static void held_drop(struct sg_held *held)
{
    struct sg_held_set *set = held->set;

    assert(!held->is_gone);
    held->is_gone = true;
    (void)swallow(held);
    (void)epoll_ctl(set->epoll_fd, EPOLL_CTL_DEL, held->socket, NULL);
    (void)close(held->socket);
    held->socket = -1;
    if (sg_heap_has(&held->due))
        sg_heap_remove(&set->due, &held->due);
    if (held->is_dirty)
        sg_list_remove(&set->dirty, &held->in_dirty);
    held->is_dirty = false;
    if (held->kind == SG_HELD_OUTPUT)
        sg_output_leave(held);
    else
        sg_stream_leave(held);
    sg_list_remove(&set->all, &held->in_set);
    set->out_bytes -= held->counted_bytes;
    sg_buf_free(&held->out);
    atomic_fetch_sub(&set->count, 1);
}

/* A connection may be named by several events of one round: it is freed only when the round is over. */
struct round {
    struct sg_held *gone[EVENTS_PER_WAIT];
    int count;
};

static void look_at_event(struct sg_held *held, uint32_t events, struct round *round)
{
    if (held == NULL || held->is_gone)
        return;
    bool is_alive = (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) == 0;
    if (is_alive && (events & EPOLLIN) != 0)
        is_alive = swallow(held);
    if (!is_alive)
        held_drop(held);
    else if ((events & EPOLLOUT) != 0)
        held_flush(held);
    if (held->is_gone)
        round->gone[round->count++] = held;
}

/* Its deadline has come: the end of the wait, a sign of life for what lies between, or the end of the patience with the client. */
static void look_at_deadline(struct sg_held *held, int64_t now_ms)
{
    struct sg_held_set *set = held->set;

    if (held->is_ending || (held->kind == SG_HELD_STREAM && now_ms >= held->end_at_ms)) {
        held_drop(held);
        return;
    }
    if (held->kind == SG_HELD_OUTPUT) {
        sg_output_give_up(held);
        sg_heap_move(&set->due, &held->due, now_ms + SG_HELD_SEND_MS, 0);
    } else {
        if (held->is_writing && held->due.tie == (uint64_t)held->position) { /* it has taken nothing since the last look */
            held_drop(held);
            return;
        }
        if (!held->is_writing)
            sg_buf_append(&held->out, SG_STR(":\n\n"));
        int64_t next_ms = now_ms + SG_STREAM_KEEP_ALIVE_MS;
        sg_heap_move(&set->due, &held->due, next_ms < held->end_at_ms ? next_ms : held->end_at_ms, (uint64_t)held->position);
    }
    held_flush(held);
}

static void look_at_deadlines(struct sg_held_set *set, int64_t now_ms)
{
    struct sg_heap_node *node;

    while ((node = sg_heap_first(&set->due)) != NULL && node->key_ms <= now_ms) {
        struct sg_held *held = SG_CONTAINER_OF(node, struct sg_held, due);
        look_at_deadline(held, now_ms);
        if (held->is_gone && !held->is_reading)
            held_free(held);
    }
    sg_stream_table_advance(set, now_ms);
}

static void look_at_dirty(struct sg_held_set *set)
{
    struct sg_list_node *node;

    while ((node = sg_list_pop_front(&set->dirty)) != NULL) {
        struct sg_held *held = SG_CONTAINER_OF(node, struct sg_held, in_dirty);
        held->is_dirty = false;
        if (held->is_ending)
            sg_heap_move(&set->due, &held->due, sg_held_now_ms() + SG_HELD_SEND_MS, 0);
        held_flush(held);
        if (held->is_gone && !held->is_reading)
            held_free(held);
    }
}

static int wait_ms(const struct sg_held_set *set, int64_t now_ms)
{
    const struct sg_heap_node *nodes[] = {sg_heap_first(&set->due), sg_heap_first(&set->stream_due)};
    int64_t until_ms = INT64_MAX;

    for (size_t i = 0; i < SG_ARRAY_LEN(nodes); i++)
        if (nodes[i] != NULL && nodes[i]->key_ms < until_ms)
            until_ms = nodes[i]->key_ms;
    if (until_ms == INT64_MAX)
        return -1;
    return until_ms <= now_ms ? 0 : until_ms - now_ms > INT32_MAX ? INT32_MAX : (int)(until_ms - now_ms);
}

static void *set_main(void *context)
{
    struct sg_held_set *set = context;
    struct epoll_event events[EVENTS_PER_WAIT];
    uint64_t counter;

    pthread_mutex_lock(&set->lock);
    while (!set->is_stopping) {
        int timeout_ms = wait_ms(set, sg_held_now_ms());
        pthread_mutex_unlock(&set->lock);
        int count = epoll_wait(set->epoll_fd, events, EVENTS_PER_WAIT, timeout_ms);
        if (count < 0 && errno != EINTR)
            sg_log(SG_LOG_ERROR, "connections that wait cannot be watched", SG_KV_TEXT("error", strerror(errno)));
        pthread_mutex_lock(&set->lock);
        struct round round = {.count = 0};
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                ssize_t got = read(set->wake_fd, &counter, sizeof(counter));
                (void)got;
            } else {
                look_at_event(events[i].data.ptr, events[i].events, &round);
            }
        }
        for (int i = 0; i < round.count; i++)
            if (!round.gone[i]->is_reading)
                held_free(round.gone[i]);
        look_at_dirty(set);
        look_at_deadlines(set, sg_held_now_ms());
    }
    pthread_mutex_unlock(&set->lock);
    return NULL;
}
