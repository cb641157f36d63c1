/*
 * The HTTP server: libmicrohttpd made to fit.
 *
 * The model. Each listening socket has a daemon with epoll threads of its own. libmicrohttpd calls us when a connection
 * comes or goes, when a request line is there, for each piece of a body, and when a request is over; handle_access
 * below turns that into one call of the route's handler with a complete request. A handler that must wait suspends the
 * connection (request.c); the reply resumes it and the answer goes out.
 *
 * Who is refused is decided as soon as the headers are in, but told after the body has been read and dropped: a client
 * that is still sending would see a broken connection instead of the reason. Only a body beyond all measure, or a
 * client that asks first (Expect), is told at once.
 *
 * What it never does: parse, decide, or hold a thread while something is being waited for.
 */
#include "server/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "server/handlers.h"
#include "server/held.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/router.h"
#include "server/send.h"

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0.0.0"
#endif

#define DESCRIPTORS_KEPT 512  /* for the store, the log, epoll and calls to SDKs */
#define SENDING_GRACE_MS 2000 /* how long answers under way may take when the server ends */

static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection);
static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code);
static void on_completed(void *context, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code);
static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                 const char *upload, size_t *upload_len, void **request_context);

/* ---- life ---- */

static enum sg_status init_locks(struct sg_server *server, struct sg_error *error)
{
    pthread_condattr_t monotonic;

    int code = pthread_mutex_init(&server->lock, NULL);
    if (code != 0)
        goto failed;
    code = pthread_mutex_init(&server->id_lock, NULL);
    if (code != 0)
        goto lock;
    code = pthread_condattr_init(&monotonic);
    if (code != 0)
        goto id_lock;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    code = pthread_cond_init(&server->changed, &monotonic);
    if (code == 0) {
        code = pthread_cond_init(&server->settled, &monotonic);
        if (code != 0)
            (void)pthread_cond_destroy(&server->changed);
    }
    (void)pthread_condattr_destroy(&monotonic);
    if (code == 0)
        return SG_OK;

id_lock:
    (void)pthread_mutex_destroy(&server->id_lock);
lock:
    (void)pthread_mutex_destroy(&server->lock);
failed:
    return sg_error_set(error, SG_SYSTEM, "cannot make a lock: %s", strerror(code));
}

static void free_locks(struct sg_server *server)
{
    (void)pthread_cond_destroy(&server->settled);
    (void)pthread_cond_destroy(&server->changed);
    (void)pthread_mutex_destroy(&server->id_lock);
    (void)pthread_mutex_destroy(&server->lock);
}

static int64_t or_default(int64_t value, int64_t fallback)
{
    return value > 0 ? value : fallback;
}

static void take_options(struct sg_server *server, const struct sg_server_options *options)
{
    const struct sg_server_limits *limits = &options->limits;

    server->threads = options->threads > 0 ? options->threads : SG_SERVER_THREADS;
    server->is_dev = options->is_dev;
    server->requires_event_key = options->requires_event_key;
    (void)snprintf(server->kind, sizeof(server->kind), "%s", options->kind != NULL ? options->kind : options->is_dev ? "dev" : "cloud");
    (void)snprintf(server->version, sizeof(server->version), "%s", options->version != NULL ? options->version : PACKAGE_VERSION);
    server->data_dir = options->data_dir;
    server->poster = options->poster;
    server->pool = options->pool;
    server->hooks = options->hooks;
    server->connections_max = (int)or_default(limits->connections_max, SG_LIMIT_SERVER_CONNECTIONS);
    server->event_bytes_max = or_default(limits->event_bytes_max, SG_LIMIT_EVENT_BYTES);
    server->body_bytes_max = or_default(limits->body_bytes_max, SG_LIMIT_EVENT_BODY_BYTES);
    server->phase_ms[SG_PHASE_IDLE] = or_default(limits->idle_ms, SG_LIMIT_SERVER_IDLE_MS);
    server->phase_ms[SG_PHASE_RECEIVE] = or_default(limits->request_ms, SG_LIMIT_SERVER_REQUEST_MS);
    server->phase_ms[SG_PHASE_WAIT] = or_default(limits->reply_ms, SG_LIMIT_SERVER_REPLY_MS);
    server->phase_ms[SG_PHASE_SEND] = SG_LIMIT_SERVER_RESPONSE_MS;
    server->phase_ms[SG_PHASE_STREAM] = SG_TEE_SILENCE_S * 1000LL;
    server->held_max = (int)or_default(limits->held_max, SG_LIMIT_HELD);
    server->held_bytes_max = or_default(limits->held_bytes_max, SG_LIMIT_HELD_BYTES);
    server->watch_until_ms = INT64_MAX;
}

/* A connection needs a descriptor: takes as many as the system lets us have, and says so if that is fewer than wanted. */
static void fit_descriptors(struct sg_server *server)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return;
    rlim_t wanted = (rlim_t)server->connections_max + (rlim_t)server->held_max + DESCRIPTORS_KEPT;
    if (limit.rlim_cur < wanted) {
        struct rlimit more = {.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    if (limit.rlim_cur >= wanted)
        return;
    rlim_t left = limit.rlim_cur > 2 * DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : DESCRIPTORS_KEPT;
    rlim_t all = (rlim_t)server->connections_max + (rlim_t)server->held_max;
    server->connections_max = (int)(left * (rlim_t)server->connections_max / all);
    server->held_max = (int)(left * (rlim_t)server->held_max / all);
    sg_log(SG_LOG_WARN, "fewer connections than wanted: the limit of open files is low (ulimit -n)",
           SG_KV_INT("open_files", limit.rlim_cur), SG_KV_INT("connections", server->connections_max),
           SG_KV_INT("waiting_clients", server->held_max));
}

enum sg_status sg_server_create(const struct sg_server_options *options, struct sg_server **server, struct sg_error *error)
{
    uint64_t seed;

    *server = NULL;
    assert(options->poster.post != NULL && options->pool != NULL);
    struct sg_server *made = sg_calloc(1, sizeof(*made));
    if (made == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    made->magic = SG_SERVER_MAGIC;
    take_options(made, options);
    fit_descriptors(made);
    if (!sg_random_bytes(&seed, sizeof(seed))) {
        sg_free(made);
        return sg_error_set(error, SG_SYSTEM, "the system has no randomness to give");
    }
    sg_rng_init(&made->rng, seed);
    enum sg_status status = init_locks(made, error);
    if (status != SG_OK) {
        sg_free(made);
        return status;
    }
    struct sg_auth_options auth = {.keys = options->keys,
                                   .key_count = options->key_count,
                                   .event_keys = options->event_keys,
                                   .event_key_count = options->event_key_count,
                                   .token_secret = options->token_secret};
    status = sg_auth_keys_init(&made->auth, &auth, error);
    if (status == SG_OK)
        status = sg_listen_open(options->host, options->port, options->port_tries, &made->listen, error);
    if (status != SG_OK) {
        sg_auth_keys_free(&made->auth);
        free_locks(made);
        sg_free(made);
        return status;
    }
    made->port = made->listen.port;
    *server = made;
    return SG_OK;
}

static void log_of_library(void *context, const char *format, va_list arguments) SG_PRINTF(2, 0);
static void log_of_library(void *context, const char *format, va_list arguments)
{
    char text[256];

    (void)context;
    if (!sg_log_is_on(SG_LOG_DEBUG))
        return;
    int len = vsnprintf(text, sizeof(text), format, arguments);
    if (len <= 0)
        return;
    struct sg_str line = {text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1};
    sg_log(SG_LOG_DEBUG, "http library", SG_KV_STR("text", sg_str_trim(line)));
}

/* Paths and queries are decoded by us, segment by segment: an encoded slash must not become a separator. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context;
    (void)connection;
    return strlen(text);
}

enum sg_status sg_server_start(struct sg_server *server, struct sg_error *error)
{
    SG_CHECK(server, SG_SERVER_MAGIC);
    enum sg_status status = sg_watch_start(server, error);
    if (status == SG_OK)
        status = sg_held_set_start(server, &server->held, error);
    if (status != SG_OK)
        return status;
    /* Every thread of a pool gets its share of the connections, and refuses to have none. */
    unsigned int connections = (unsigned int)(server->connections_max / (int)server->listen.count);
    if (connections < (unsigned int)server->threads)
        connections = (unsigned int)server->threads;
    /* TURBO: sockets are closed without being shut down first, so that a connection can leave the library (held.c). */
    unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_TURBO;
    for (size_t i = 0; i < server->listen.count; i++) {
        struct MHD_OptionItem options[] = {
            {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)log_of_library, NULL},
            {MHD_OPTION_LISTEN_SOCKET, (intptr_t)server->listen.sockets[i], NULL},
            {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)connections, NULL},
            {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)SG_LIMIT_SERVER_CONNECTION_BYTES, NULL},
            {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)SG_LIMIT_SERVER_SILENCE_S, NULL},
            {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)leave_escaped, NULL},
            {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_uri, server},
            {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
            {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
            /* A pool of one is refused by the library: then there is just the daemon's own thread. */
            {server->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)server->threads, NULL},
            {MHD_OPTION_END, 0, NULL},
        };
        server->daemons[i] = MHD_start_daemon(flags, 0, NULL, NULL, on_access, server, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
        if (server->daemons[i] == NULL)
            return sg_error_set(error, SG_SYSTEM, "cannot start the HTTP server: the library refused (see its lines at log level debug)");
        server->listen.sockets[i] = -1; /* the daemon's now */
        server->daemon_count = i + 1;
    }
    return SG_OK;
}

int sg_server_port(const struct sg_server *server)
{
    SG_CHECK(server, SG_SERVER_MAGIC);
    return server->port;
}

void sg_server_stop_accepting(struct sg_server *server)
{
    SG_CHECK(server, SG_SERVER_MAGIC);
    atomic_store(&server->is_draining, true);
}

int sg_server_waiting(struct sg_server *server)
{
    SG_CHECK(server, SG_SERVER_MAGIC);
    pthread_mutex_lock(&server->lock);
    int owed = server->owed;
    pthread_mutex_unlock(&server->lock);
    return owed;
}

/* Every reply must be in before the library may stop (it must not have suspended connections), and answers should get out. */
static void settle(struct sg_server *server)
{
    struct timespec until;

    pthread_mutex_lock(&server->lock);
    server->is_ending = true;
    while (server->owed > 0)
        (void)pthread_cond_wait(&server->settled, &server->lock);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += SENDING_GRACE_MS / 1000;
    while (server->sending > 0)
        if (pthread_cond_timedwait(&server->settled, &server->lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&server->lock);
}

void sg_server_free(struct sg_server *server)
{
    if (server == NULL)
        return;
    SG_CHECK(server, SG_SERVER_MAGIC);
    sg_server_stop_accepting(server);
    settle(server);
    sg_watch_stop(server);
    for (size_t i = 0; i < server->daemon_count; i++)
        MHD_stop_daemon(server->daemons[i]);
    sg_held_set_free(server->held);
    sg_listen_close(&server->listen);
    assert(atomic_load(&server->counters.connections) == 0);
    assert(atomic_load(&server->body_bytes_held) == 0);
    sg_auth_keys_free(&server->auth);
    free_locks(server);
    server->magic = 0;
    sg_free(server);
}

void sg_server_run_ended(struct sg_server *server, struct sg_id run_id)
{
    SG_CHECK(server, SG_SERVER_MAGIC);
    sg_held_run_ended(server->held, run_id);
}

/* ---- small things that handlers ask of the server ---- */

int64_t sg_server_wall_ms(void)
{
    struct timespec now;

    int failed = clock_gettime(CLOCK_REALTIME, &now);
    assert(failed == 0);
    (void)failed;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void sg_server_ids(struct sg_server *server, int64_t now_ms, struct sg_id *ids, size_t count)
{
    pthread_mutex_lock(&server->id_lock);
    for (size_t i = 0; i < count; i++)
        ids[i] = sg_ulid_generator_next(&server->id_generator, now_ms, &server->rng);
    pthread_mutex_unlock(&server->id_lock);
}

struct sg_id sg_server_uuid(struct sg_server *server)
{
    struct sg_id id;

    pthread_mutex_lock(&server->id_lock);
    sg_rng_fill(&server->rng, id.bytes, sizeof(id.bytes));
    pthread_mutex_unlock(&server->id_lock);
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x40); /* version 4 */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

bool sg_server_body_reserve(struct sg_server *server, struct sg_request *request, int64_t bytes)
{
    if (bytes <= request->body_bytes_held)
        return true;
    /* In doublings, as the buffer grows, so that the shared counter is not touched for each piece. */
    int64_t wanted = request->body_bytes_held * 2 > bytes ? request->body_bytes_held * 2 : bytes;
    int64_t more = wanted - request->body_bytes_held;
    if (atomic_fetch_add(&server->body_bytes_held, more) + more > SG_LIMIT_SERVER_BODIES_BYTES) {
        atomic_fetch_sub(&server->body_bytes_held, more);
        return false;
    }
    request->body_bytes_held = wanted;
    return true;
}

/* ---- what the library calls ---- */

static struct sg_connection *peer_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct sg_server *server = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct sg_connection *peer = info != NULL ? sg_calloc(1, sizeof(*peer)) : NULL;
        *socket_context = peer;
        if (peer == NULL)
            return; /* its first request will be refused */
        peer->socket = info->connect_fd;
        atomic_fetch_add(&server->counters.connections, 1);
        sg_watch_enter(server, peer, SG_PHASE_RECEIVE); /* who connects has something to say */
        return;
    }
    struct sg_connection *peer = *socket_context;
    if (peer == NULL)
        return;
    sg_watch_leave(server, peer);
    sg_free(peer);
    *socket_context = NULL;
    atomic_fetch_sub(&server->counters.connections, 1);
}

static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct sg_server *server = context;
    struct sg_connection *peer = peer_of(connection);

    (void)uri;
    if (peer == NULL)
        return NULL;
    struct sg_request *request = sg_request_create(server, connection, peer);
    if (request != NULL)
        sg_watch_enter(server, peer, SG_PHASE_RECEIVE);
    return request;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code)
{
    struct sg_server *server = context;
    struct sg_request *request = *request_context;

    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    *request_context = NULL;
    sg_watch_enter(server, request->peer, SG_PHASE_IDLE);
    sg_request_release(request);
}

static enum sg_method method_of(const char *text)
{
    static const struct {
        const char *name;
        enum sg_method method;
    } methods[] = {{"GET", SG_METHOD_GET}, {"HEAD", SG_METHOD_GET},      {"POST", SG_METHOD_POST},
                   {"PUT", SG_METHOD_PUT}, {"DELETE", SG_METHOD_DELETE}, {"OPTIONS", SG_METHOD_OPTIONS}};

    for (size_t i = 0; i < SG_ARRAY_LEN(methods); i++)
        if (strcmp(text, methods[i].name) == 0)
            return methods[i].method;
    return SG_METHOD_OTHER;
}

/* Sets the 404 or 405 for a path and method without a handler. */
static void refuse_unrouted(struct sg_request *request, enum sg_route_match match)
{
    struct sg_buf list;
    char text[512];

    switch (match) {
    case SG_ROUTE_NO_MEMORY:
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    case SG_ROUTE_BAD_PATH:
        sg_respond_error(request, 400, "invalid_argument", "The path is not valid percent-encoding");
        return;
    case SG_ROUTE_OTHER_METHOD:
        request->response.allow = sg_router_methods(request->path, &request->arena);
        sg_respond_error(request, 405, "method_not_allowed", "%.*s does not take this method; it takes %s", SG_FMT(request->path),
                         request->response.allow != NULL ? request->response.allow : "others");
        return;
    case SG_ROUTE_FOUND:
    case SG_ROUTE_UNKNOWN:
        break;
    }
    if (sg_router_shape(request->path) == SG_SHAPE_TEXT) {
        sg_respond_error(request, 404, NULL, "404 page not found\n");
        return;
    }
    sg_buf_init(&list);
    sg_buf_append(&list, SG_STR("{\"routes\":"));
    sg_router_list(&list);
    sg_buf_byte(&list, '}');
    int len = snprintf(text, sizeof(text), "stepgate has no route %s %.*s; `data.routes` lists those it has",
                       sg_method_name(request->method), request->path.len < 256 ? (int)request->path.len : 256, request->path.ptr);
    sg_response_error(&request->response, SG_SHAPE_PUBLIC, 404, "not_found", sg_buf_str(&list),
                      (struct sg_str){text, len > 0 ? (size_t)len : 0});
    if (list.is_failed)
        sg_respond_status(request, SG_NO_MEMORY, "");
    sg_buf_free(&list);
}

static int64_t body_bytes_max(const struct sg_request *request)
{
    if (request->route->auth == SG_AUTH_EVENT_KEY)
        return request->server->body_bytes_max;
    return (int64_t)request->route->body_bytes_max;
}

static void refuse_body(struct sg_request *request)
{
    sg_respond_error(request, 413, "too_large", "The request body is larger than %lld bytes", (long long)body_bytes_max(request));
    request->is_refused = true;
    sg_buf_free(&request->body);
}

/* Everything that can be said once the headers are there. */
static void check_headers(struct sg_request *request, int64_t content_length)
{
    struct sg_server *server = request->server;

    if (request->method == SG_METHOD_OPTIONS && sg_request_header(request, "Access-Control-Request-Method").ptr != NULL) {
        sg_respond_empty(request, 200);
        request->is_preflight = true;
        request->is_refused = true; /* no handler: the headers are the answer */
        return;
    }
    enum sg_route_match match = sg_router_find(request->method, request->path, &request->arena, &request->route, request->parameters);
    if (match != SG_ROUTE_FOUND)
        refuse_unrouted(request, match);
    else if (!sg_auth_check(request))
        request->is_refused = true;
    else if (request->route->is_new_work && atomic_load(&server->is_draining))
        sg_respond_status(request, SG_SHUTTING_DOWN, "");
    else if (body_bytes_max(request) > 0 && content_length > body_bytes_max(request))
        refuse_body(request);
    if (request->response.status != 0)
        request->is_refused = true;
}

static enum MHD_Result begin(struct sg_request *request, const char *url, const char *method)
{
    int64_t content_length = 0;

    request->is_begun = true;
    request->path = sg_str_from(url);
    request->method = method_of(method);
    request->is_head = strcmp(method, "HEAD") == 0;
    atomic_fetch_add(&request->server->counters.requests, 1);
    struct sg_str length = sg_request_header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (length.len > 0 && !sg_str_to_int(length, &content_length))
        content_length = 0; /* the library has refused what is no number */
    check_headers(request, content_length);
    bool is_expecting = sg_request_header(request, MHD_HTTP_HEADER_EXPECT).ptr != NULL;
    if (request->is_refused && (is_expecting || content_length > SG_LIMIT_SERVER_DISCARD_BYTES)) {
        request->response.is_closing = true;
        return sg_send(request, &request->response);
    }
    return MHD_YES;
}

/* A body that is taken as it comes, by somebody who may speak for long and be silent in between. */
static void take_piece(struct sg_request *request)
{
    if (request->peer->phase != SG_PHASE_STREAM)
        (void)MHD_set_connection_option(request->connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned int)(2 * SG_TEE_SILENCE_S));
    sg_watch_enter(request->server, request->peer, SG_PHASE_STREAM);
    sg_take_tee(request);
}

/* One piece of the body. MHD_NO cuts the connection. */
static enum MHD_Result take_body(struct sg_request *request, const char *bytes, size_t len)
{
    request->body_bytes += (int64_t)len;
    if (request->is_refused || request->route->body_bytes_max == 0)
        return request->body_bytes > SG_LIMIT_SERVER_DISCARD_BYTES ? MHD_NO : MHD_YES;
    if (request->body_bytes > body_bytes_max(request)) {
        refuse_body(request);
        return MHD_YES;
    }
    /* What is here, which is less than what came if the handler takes it piece by piece. */
    if (!sg_server_body_reserve(request->server, request, (int64_t)(request->body.len + len))) {
        sg_respond_status(request, SG_UNAVAILABLE, "The bodies of other requests fill the memory set aside for them; try again");
        request->is_refused = true;
        sg_buf_free(&request->body);
        return MHD_YES;
    }
    sg_buf_append(&request->body, (struct sg_str){bytes, len});
    if (request->body.is_failed)
        sg_respond_status(request, SG_NO_MEMORY, "");
    else if (request->route->handle == sg_handle_tee)
        take_piece(request);
    if (request->response.status != 0) {
        request->is_refused = true;
        sg_buf_free(&request->body);
    }
    return MHD_YES;
}

/* The wait is over: by a reply, a read, a refusal, or because it took too long. */
static enum MHD_Result continue_request(struct sg_request *request, enum sg_wait wait)
{
    struct sg_response late = {.status = 0};

    request->is_waiting = false;
    if (wait == SG_WAIT_DONE) {
        sg_request_on_reply on_reply = request->on_reply;
        request->wait = SG_WAIT_NONE; /* nobody else looks at it now */
        if (on_reply != NULL)
            on_reply(request, &request->reply);
        return request->is_waiting ? MHD_YES : sg_send(request, &request->response);
    }
    assert(wait == SG_WAIT_LATE);
    sg_buf_init(&late.body);
    if (request->on_late != NULL)
        request->on_late(request, &late);
    else
        sg_response_error(&late, request->route->shape, 503, sg_status_code(SG_UNAVAILABLE), SG_STR_NULL,
                          SG_STR("The gateway did not get to this in time, and it may still do it; try again with the same ids"));
    enum MHD_Result result = sg_send(request, &late);
    sg_buf_free(&late.body);
    return result;
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                 const char *upload, size_t *upload_len, void **request_context)
{
    struct sg_request *request = *request_context;
    struct sg_server *server = context;

    (void)connection;
    (void)version;
    if (request == NULL)
        return MHD_NO; /* memory ran out when it began */
    SG_CHECK(request, SG_REQUEST_MAGIC);
    if (!request->is_begun)
        return begin(request, url, method);
    if (*upload_len > 0) {
        enum MHD_Result result = take_body(request, upload, *upload_len);
        *upload_len = 0;
        return result;
    }
    pthread_mutex_lock(&server->lock);
    enum sg_wait wait = request->wait;
    pthread_mutex_unlock(&server->lock);
    if (wait != SG_WAIT_NONE)
        return continue_request(request, wait);
    if (!request->is_refused) {
        request->route->handle(request);
        if (request->is_taken)
            return MHD_NO; /* the library gives its copy of the socket up, without a word to the client */
        if (request->is_waiting)
            return MHD_YES; /* suspended; resumed, perhaps already, when the reply is there */
    }
    return sg_send(request, &request->response);
}
