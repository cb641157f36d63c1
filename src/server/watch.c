/*
 * The watch over connections: nothing on a socket may take for ever.
 *
 * The model. A connection is always in one of four phases (idle, receiving a request, waiting for a reply, sending the
 * answer), each with one time limit for all. So a list a phase, in order of arrival, is also in order of deadlines, and
 * the next thing to do is at the head of one of four lists. One thread sleeps until the nearest of them; it is woken
 * only when somebody enters with a deadline before that.
 *
 * Whoever waits for too long for a reply gets a 503 (the reply is dropped when it comes). In the other phases the
 * socket is shut down, which libmicrohttpd sees as the client having gone. Its own timeout only knows of silence: a
 * client that sends one byte a minute would stay for ever.
 */
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/check.h"
#include "base/log.h"
#include "server/internal.h"

static void *watch_run(void *context);

static int64_t monotonic_ms(void)
{
    struct timespec now;

    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(failed == 0);
    (void)failed;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum sg_status sg_watch_start(struct sg_server *server, struct sg_error *error)
{
    server->is_watching = true; /* the thread looks at once */
    int code = pthread_create(&server->watch_thread, NULL, watch_run, server);
    if (code == 0)
        return SG_OK;
    server->is_watching = false;
    return sg_error_set(error, SG_SYSTEM, "cannot start a thread for the HTTP server: %s", strerror(code));
}

void sg_watch_stop(struct sg_server *server)
{
    if (!server->is_watching)
        return;
    pthread_mutex_lock(&server->lock);
    server->is_watching = false;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    (void)pthread_join(server->watch_thread, NULL);
}

static void leave_locked(struct sg_server *server, struct sg_connection *peer)
{
    if (!peer->is_listed)
        return;
    sg_list_remove(&server->phases[peer->phase], &peer->in_phase);
    peer->is_listed = false;
    if (peer->phase == SG_PHASE_SEND) {
        server->sending--;
        if (server->is_ending)
            pthread_cond_broadcast(&server->settled);
    }
}

void sg_watch_enter_locked(struct sg_server *server, struct sg_connection *peer, enum sg_phase phase)
{
    leave_locked(server, peer);
    peer->phase = phase;
    peer->deadline_ms = monotonic_ms() + server->phase_ms[phase];
    peer->is_listed = true;
    sg_list_push_back(&server->phases[phase], &peer->in_phase);
    if (phase == SG_PHASE_SEND)
        server->sending++;
    if (peer->deadline_ms < server->watch_until_ms) {
        server->watch_until_ms = peer->deadline_ms; /* one signal is enough */
        pthread_cond_signal(&server->changed);
    }
}

void sg_watch_enter(struct sg_server *server, struct sg_connection *peer, enum sg_phase phase)
{
    pthread_mutex_lock(&server->lock);
    sg_watch_enter_locked(server, peer, phase);
    pthread_mutex_unlock(&server->lock);
}

void sg_watch_leave(struct sg_server *server, struct sg_connection *peer)
{
    pthread_mutex_lock(&server->lock);
    leave_locked(server, peer);
    pthread_mutex_unlock(&server->lock);
}

/* The nearest deadline and its connection, NULL if there is none. */
static struct sg_connection *nearest(struct sg_server *server)
{
    struct sg_connection *first = NULL;

    for (int phase = 0; phase < SG_PHASE_COUNT; phase++) {
        struct sg_list_node *node = server->phases[phase].first;
        struct sg_connection *peer = node != NULL ? SG_CONTAINER_OF(node, struct sg_connection, in_phase) : NULL;
        if (peer != NULL && (first == NULL || peer->deadline_ms < first->deadline_ms))
            first = peer;
    }
    return first;
}

/* Called with the lock held, and returns with it, but lets go of it to resume. */
static void expire(struct sg_server *server, struct sg_connection *peer)
{
    if (peer->phase != SG_PHASE_WAIT) {
        leave_locked(server, peer);
        /* The descriptor is still the connection's: libmicrohttpd closes it only after it has told us, and that takes this lock. */
        (void)shutdown(peer->socket, SHUT_RDWR);
        if (peer->phase != SG_PHASE_IDLE)
            atomic_fetch_add(&server->counters.cut, 1);
        return;
    }
    struct sg_request *request = peer->request;
    assert(request != NULL && request->wait == SG_WAIT_PENDING);
    request->wait = SG_WAIT_LATE;
    peer->request = NULL;
    sg_watch_enter_locked(server, peer, SG_PHASE_SEND);
    atomic_fetch_add(&server->counters.late, 1);
    struct MHD_Connection *connection = request->connection;
    pthread_mutex_unlock(&server->lock);
    MHD_resume_connection(connection);
    pthread_mutex_lock(&server->lock);
}

static void *watch_run(void *context)
{
    struct sg_server *server = context;

    pthread_mutex_lock(&server->lock);
    while (server->is_watching) {
        struct sg_connection *peer = nearest(server);
        server->watch_until_ms = peer != NULL ? peer->deadline_ms : INT64_MAX;
        if (peer == NULL) {
            (void)pthread_cond_wait(&server->changed, &server->lock);
        } else if (peer->deadline_ms <= monotonic_ms()) {
            expire(server, peer);
        } else {
            struct timespec until = {.tv_sec = peer->deadline_ms / 1000, .tv_nsec = (long)(peer->deadline_ms % 1000) * 1000000};
            (void)pthread_cond_timedwait(&server->changed, &server->lock, &until);
        }
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}
