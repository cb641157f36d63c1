/*
 * One request: its life, its headers and query, and its waits.
 *
 * The model. A request is created when its request line has been read and belongs to its connection. While somebody owes it a reply it also
 * belongs to them: it has two references then, and whoever is last frees it. So a client that goes away, or a wait that took too long,
 * hurts nobody: the reply arrives at memory that is still there and is dropped.
 *
 * A wait ends once, under the server's lock, as DONE (the reply came) or as LATE (the watch thread gave up). Only the
 * one who ended it resumes the connection, so libmicrohttpd sees exactly one resume for each suspend, and calls the
 * handler again on its own thread, where the answer is made.
 *
 * What it never does: make an answer on the thread that brings the reply. That one lets out the effects of a commit and
 * must not be held up.
 */
#include "server/request.h"

#include <microhttpd.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hex.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "store/pool.h"

static void request_reply(struct sg_client *client, const struct sg_reply *reply);
static void request_work(void *context, struct sg_store_reader *reader);

struct sg_request *sg_request_create(struct sg_server *server, struct MHD_Connection *connection, struct sg_connection *peer)
{
    struct sg_request *request = sg_calloc(1, sizeof(*request));

    if (request == NULL)
        return NULL;
    request->magic = SG_REQUEST_MAGIC;
    request->client.reply = request_reply;
    atomic_init(&request->references, 1);
    request->server = server;
    request->connection = connection;
    request->peer = peer;
    sg_arena_init(&request->arena);
    sg_buf_init(&request->body);
    sg_buf_init(&request->response.body);
    sg_buf_init(&request->reply_text);
    return request;
}

void sg_request_release(struct sg_request *request)
{
    SG_CHECK(request, SG_REQUEST_MAGIC);
    if (atomic_fetch_sub(&request->references, 1) != 1)
        return;
    if (request->body_bytes_held > 0)
        atomic_fetch_sub(&request->server->body_bytes_held, request->body_bytes_held);
    sg_arena_free(&request->arena);
    sg_buf_free(&request->body);
    sg_buf_free(&request->response.body);
    sg_buf_free(&request->reply_text);
    request->magic = 0;
    sg_free(request);
}

const char *sg_method_name(enum sg_method method)
{
    static const char *const names[] = {"GET", "POST", "PUT", "DELETE", "OPTIONS", "other"};

    assert((size_t)method < SG_ARRAY_LEN(names));
    return names[method];
}

struct sg_str sg_request_header(struct sg_request *request, const char *name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(request->connection, MHD_HEADER_KIND, name, strlen(name), &value, &len) != MHD_YES || value == NULL)
        return SG_STR_NULL;
    return (struct sg_str){value, len};
}

enum sg_status sg_url_decode(struct sg_arena *arena, struct sg_str text, struct sg_str *decoded)
{
    *decoded = SG_STR_NULL;
    char *bytes = sg_arena_alloc(arena, text.len + 1);
    if (bytes == NULL)
        return SG_NO_MEMORY;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = text.len - i > 2 ? sg_hex_digit(text.ptr[i + 1]) : -1;
            int low = text.len - i > 2 ? sg_hex_digit(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return SG_INVALID_ARGUMENT;
            c = (char)(high << 4 | low);
            i += 2;
        }
        bytes[len++] = c;
    }
    bytes[len] = '\0';
    *decoded = (struct sg_str){bytes, len};
    return SG_OK;
}

bool sg_request_query(struct sg_request *request, const char *name, struct sg_str *value, bool *is_given)
{
    const char *raw = NULL;
    size_t len = 0;

    *value = SG_STR_NULL;
    *is_given = MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &raw, &len) == MHD_YES;
    if (!*is_given || raw == NULL)
        return true;
    if (len > SG_LIMIT_QUERY_VALUE_BYTES) {
        sg_respond_error(request, 400, "too_large", "The query parameter \"%s\" is longer than %d bytes", name, SG_LIMIT_QUERY_VALUE_BYTES);
        return false;
    }
    /* The library has made a space of each `+` and left the rest to us. */
    enum sg_status status = sg_url_decode(&request->arena, (struct sg_str){raw, len}, value);
    if (status == SG_OK)
        return true;
    if (status == SG_NO_MEMORY)
        sg_respond_status(request, status, "");
    else
        sg_respond_error(request, 400, "invalid_argument", "The query parameter \"%s\" is not valid percent-encoding", name);
    return false;
}

/* ---- waiting ---- */

bool sg_request_wait_begin(struct sg_request *request, sg_request_on_reply on_reply)
{
    SG_CHECK(request, SG_REQUEST_MAGIC);
    struct sg_server *server = request->server;

    pthread_mutex_lock(&server->lock);
    assert(request->wait == SG_WAIT_NONE);
    if (server->is_ending) {
        pthread_mutex_unlock(&server->lock);
        sg_respond_status(request, SG_SHUTTING_DOWN, "");
        return false;
    }
    request->wait = SG_WAIT_PENDING;
    request->is_waiting = true;
    request->on_reply = on_reply;
    request->peer->request = request;
    sg_watch_enter_locked(server, request->peer, SG_PHASE_WAIT);
    server->owed++;
    pthread_mutex_unlock(&server->lock);
    atomic_fetch_add(&request->references, 1);
    /* Before anybody is told of the request: its reply may come before this function returns. */
    MHD_suspend_connection(request->connection);
    return true;
}

/* Ends the wait unless the watch thread has ended it; false then. */
static bool wait_end(struct sg_request *request, const struct sg_reply *reply)
{
    struct sg_server *server = request->server;

    pthread_mutex_lock(&server->lock);
    bool is_mine = request->wait == SG_WAIT_PENDING;
    if (is_mine) {
        if (reply != NULL) {
            request->reply = *reply;
            request->reply.text = sg_buf_str(&request->reply_text);
        }
        request->wait = SG_WAIT_DONE;
        sg_watch_enter_locked(server, request->peer, SG_PHASE_SEND);
        request->peer->request = NULL;
    }
    pthread_mutex_unlock(&server->lock);
    return is_mine;
}

/* Gives the reference of the one who owed the reply back. The server may be freed as soon as its lock is released here. */
static void wait_settle(struct sg_request *request)
{
    struct sg_server *server = request->server;

    sg_request_release(request);
    pthread_mutex_lock(&server->lock);
    assert(server->owed > 0);
    server->owed--;
    if (server->is_ending)
        pthread_cond_broadcast(&server->settled);
    pthread_mutex_unlock(&server->lock);
}

static void request_reply(struct sg_client *client, const struct sg_reply *reply)
{
    struct sg_request *request = (struct sg_request *)client;

    SG_CHECK(request, SG_REQUEST_MAGIC);
    /* Its bytes are gone when this returns. Whoever is late does not look at them. */
    sg_buf_append(&request->reply_text, reply->text);
    if (wait_end(request, reply))
        MHD_resume_connection(request->connection);
    wait_settle(request);
}

void sg_request_wait_refused(struct sg_request *request, enum sg_status status, const char *message)
{
    request->on_reply = NULL;
    if (wait_end(request, NULL)) {
        sg_respond_status(request, status, message);
        MHD_resume_connection(request->connection);
    }
    wait_settle(request);
}

void sg_request_post(struct sg_request *request, struct sg_message *message, sg_request_on_reply on_reply)
{
    message->client = &request->client;
    if (!sg_request_wait_begin(request, on_reply)) {
        sg_message_free(message);
        return;
    }
    enum sg_status status = request->server->poster.post(request->server->poster.context, message);
    if (status != SG_OK) {
        message->client = NULL;
        sg_message_free(message);
        sg_request_wait_refused(request, status, "");
    }
}

void sg_request_read(struct sg_request *request, sg_request_on_read on_read)
{
    request->on_read = on_read;
    if (!sg_request_wait_begin(request, NULL))
        return;
    enum sg_status status = sg_store_pool_submit(request->server->pool, request_work, request);
    if (status != SG_OK)
        sg_request_wait_refused(request, status, "");
}

static void request_work(void *context, struct sg_store_reader *reader)
{
    struct sg_request *request = context;
    struct sg_error error;

    SG_CHECK(request, SG_REQUEST_MAGIC);
    pthread_mutex_lock(&request->server->lock);
    bool is_wanted = request->wait == SG_WAIT_PENDING;
    pthread_mutex_unlock(&request->server->lock);
    if (is_wanted) {
        enum sg_status status = sg_store_reader_begin(reader, &error);
        if (status == SG_OK) {
            request->on_read(request, reader);
            sg_store_reader_end(reader);
        } else {
            sg_respond_status(request, status, error.message);
        }
    }
    if (wait_end(request, NULL))
        MHD_resume_connection(request->connection);
    wait_settle(request);
}
