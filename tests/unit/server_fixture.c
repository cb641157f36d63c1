/* See server_fixture.h. */
#include "server_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

static void keep(struct fixture *fixture, const struct sg_message *message)
{
    fixture->kind = message->kind;
    switch (message->kind) {
    case SG_MESSAGE_EVENTS:
        fixture->event_count = message->as.events.count;
        for (size_t i = 0; i < message->as.events.count && i < 8; i++) {
            fixture->events[i] = message->as.events.events[i];
            snprintf(fixture->names[i], sizeof(fixture->names[i]), "%.*s", SG_FMT(fixture->events[i].name));
            snprintf(fixture->bodies[i], sizeof(fixture->bodies[i]), "%.*s", SG_FMT(fixture->events[i].body));
        }
        break;
    case SG_MESSAGE_CHECKPOINT:
        fixture->run_id = message->as.checkpoint.run_id;
        fixture->job_id = message->as.checkpoint.job_id;
        fixture->generation = message->as.checkpoint.generation;
        fixture->op_count = message->as.checkpoint.op_count;
        fixture->is_sync = message->as.checkpoint.is_sync;
        break;
    case SG_MESSAGE_HTTP_RUN:
        fixture->run_id = message->as.http_run.run_id;
        fixture->function_id = message->as.http_run.function.id;
        fixture->op_count = message->as.http_run.op_count;
        fixture->request_version = message->as.http_run.request_version;
        snprintf(fixture->bodies[0], sizeof(fixture->bodies[0]), "%.*s", SG_FMT(message->as.http_run.event.body));
        snprintf(fixture->text, sizeof(fixture->text), "%.*s %.*s %.*s %.*s", SG_FMT(message->as.http_run.domain),
                 SG_FMT(message->as.http_run.sdk), SG_FMT(message->as.http_run.function.slug),
                 SG_FMT(message->as.http_run.function.config));
        break;
    case SG_MESSAGE_REGISTER:
        snprintf(fixture->text, sizeof(fixture->text), "%.*s", SG_FMT(message->as.registration.app_name));
        break;
    case SG_MESSAGE_SYNC_FAILED:
        snprintf(fixture->text, sizeof(fixture->text), "%.*s", SG_FMT(message->as.sync_failed.text));
        break;
    case SG_MESSAGE_CANCEL_RUNS:
        snprintf(fixture->text, sizeof(fixture->text), "%.*s %.*s %lld %lld %.*s%s", SG_FMT(message->as.cancel_runs.app),
                 SG_FMT(message->as.cancel_runs.function), (long long)message->as.cancel_runs.after_ms,
                 (long long)message->as.cancel_runs.before_ms, SG_FMT(message->as.cancel_runs.expression),
                 message->as.cancel_runs.is_dry_run ? " dry" : "");
        break;
    case SG_MESSAGE_DROP_CANCELLATION:
        fixture->run_id = message->as.cancellation.id;
        break;
    case SG_MESSAGE_SIGNAL:
        snprintf(fixture->text, sizeof(fixture->text), "%.*s %.*s", SG_FMT(message->as.signal.name), SG_FMT(message->as.signal.data));
        break;
    case SG_MESSAGE_CANCEL:
        fixture->run_id = message->as.cancel.run_id;
        break;
    case SG_MESSAGE_REMOVE_APP:
        snprintf(fixture->text, sizeof(fixture->text), "%.*s", SG_FMT(message->as.remove_app.url));
        break;
    default:
        break;
    }
}

static void reply(struct fixture *fixture, struct sg_message *message)
{
    struct sg_reply answer = {.status = fixture->status, .is_modified = true};

    memset(answer.id.bytes, 0xab, sizeof(answer.id.bytes));
    snprintf(answer.message, sizeof(answer.message), "%s", fixture->message != NULL ? fixture->message : "");
    answer.text = sg_str_from(fixture->explanation);
    if (message->client != NULL)
        message->client->reply(message->client, &answer);
    sg_message_free(message);
}

static enum sg_status post(void *context, struct sg_message *message)
{
    struct fixture *fixture = context;

    pthread_mutex_lock(&fixture->lock);
    keep(fixture, message);
    enum answering answering = fixture->answering;
    enum sg_status status = answering == REFUSES ? fixture->status : SG_OK;
    if (answering == ANSWERS_LATER) {
        if (fixture->last != NULL)
            fixture->last->next = message;
        else
            fixture->first = message;
        fixture->last = message;
    }
    fixture->posts++;
    pthread_cond_broadcast(&fixture->posted);
    pthread_mutex_unlock(&fixture->lock);
    if (answering == ANSWERS_AT_ONCE)
        reply(fixture, message);
    return status;
}

int fixture_answer_all(struct fixture *fixture)
{
    int count = 0;

    pthread_mutex_lock(&fixture->lock);
    struct sg_message *message = fixture->first;
    fixture->first = fixture->last = NULL;
    pthread_mutex_unlock(&fixture->lock);
    while (message != NULL) {
        struct sg_message *next = message->next;
        pthread_mutex_lock(&fixture->lock);
        keep(fixture, message); /* as the engine, which reads it when the handler is long done */
        pthread_mutex_unlock(&fixture->lock);
        reply(fixture, message);
        message = next;
        count++;
    }
    return count;
}

void fixture_await_posts(struct fixture *fixture, int posts)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_MS / 1000;
    pthread_mutex_lock(&fixture->lock);
    while (fixture->posts < posts)
        cr_assert(pthread_cond_timedwait(&fixture->posted, &fixture->lock, &until) == 0, "%d of %d messages came", fixture->posts, posts);
    pthread_mutex_unlock(&fixture->lock);
}

static void status_hook(void *context, struct sg_server_status *status)
{
    *status = ((struct fixture *)context)->ready;
}

static void metrics_hook(void *context, struct sg_buf *out)
{
    (void)context;
    sg_buf_append(out, SG_STR("inngest_queue_depth 7\n"));
}

static enum sg_status sync_hook(void *context, struct sg_str url, struct sg_error *error)
{
    struct fixture *fixture = context;

    if (!sg_str_starts_with(url, SG_STR("http")))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "not a URL");
    snprintf(fixture->synced, sizeof(fixture->synced), "%.*s", SG_FMT(url));
    return SG_OK;
}

static void registered_hook(void *context, struct sg_str app_name, struct sg_str announced_url)
{
    struct fixture *fixture = context;

    snprintf(fixture->registered, sizeof(fixture->registered), "%.*s at %.*s", SG_FMT(app_name), SG_FMT(announced_url));
}

struct sg_server_options fixture_options(struct fixture *fixture)
{
    struct sg_error error;
    struct sg_store_pool_options pool = {.threads = 2, .queries_max = 100};

    *fixture = (struct fixture){.status = SG_OK, .ready = {.state = SG_SERVER_READY}};
    sg_log_set_level(SG_LOG_NONE);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->posted, NULL);
    cr_assert(sg_crypto_init(&error) == SG_OK);
    cr_assert(sg_store_open_memory(&fixture->store, &error) == SG_OK);
    pool.store = fixture->store;
    cr_assert(sg_store_pool_create(&pool, &fixture->pool, &error) == SG_OK);
    return (struct sg_server_options){
        .host = "127.0.0.1",
        .is_dev = true,
        .version = "1.2.3",
        .poster = {.post = post, .context = fixture},
        .pool = fixture->pool,
        .hooks = {.context = fixture, .status = status_hook, .metrics = metrics_hook, .sync = sync_hook, .registered = registered_hook},
    };
}

void fixture_start(struct fixture *fixture, const struct sg_server_options *options)
{
    struct sg_error error = {.message = ""};

    cr_assert(sg_server_create(options, &fixture->server, &error) == SG_OK, "%s", error.message);
    cr_assert(sg_server_start(fixture->server, &error) == SG_OK, "%s", error.message);
    fixture->port = sg_server_port(fixture->server);
}

void fixture_open(struct fixture *fixture)
{
    struct sg_server_options options = fixture_options(fixture);

    fixture_start(fixture, &options);
}

void fixture_close(struct fixture *fixture)
{
    fixture_answer_all(fixture);
    sg_server_free(fixture->server);
    sg_store_pool_stop(fixture->pool);
    sg_store_pool_free(fixture->pool);
    sg_store_close(fixture->store);
    pthread_cond_destroy(&fixture->posted);
    pthread_mutex_destroy(&fixture->lock);
}

void fixture_put(struct fixture *fixture, const struct sg_record *record)
{
    struct sg_write write = {.op = SG_WRITE_PUT, .record = *record};
    struct sg_error error;

    cr_assert(sg_store_commit(fixture->store, &write, 1, &error) == SG_OK, "%s", error.message);
}

/* ---- HTTP ---- */

int client_connect_to(const char *host, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found;
    char text[16];

    snprintf(text, sizeof(text), "%d", port);
    cr_assert(getaddrinfo(host, text, &hints, &found) == 0);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

int client_connect(int port)
{
    int fd = client_connect_to("127.0.0.1", port);

    cr_assert(fd >= 0, "cannot connect: %s", strerror(errno));
    return fd;
}

void client_send(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* closed: the answer tells */
        bytes += sent;
        len -= (size_t)sent;
    }
}

/* 1: there is something, 0: nothing in time. */
static int wait_readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    return poll(&poller, 1, DEADLINE_MS);
}

static bool receive(int fd, bool has_body, struct answer *answer)
{
    size_t len = 0;

    *answer = (struct answer){.status = 0};
    /* Byte by byte up to the empty line, so that nothing of the next answer is taken. */
    while (len < 4 || memcmp(answer->head + len - 4, "\r\n\r\n", 4) != 0) {
        if (len + 1 == sizeof(answer->head) || wait_readable(fd) != 1 || recv(fd, answer->head + len, 1, 0) != 1)
            return false;
        answer->head[++len] = '\0';
    }
    if (sscanf(answer->head, "HTTP/1.%*d %d", &answer->status) != 1)
        return false;
    if (answer->status == 100)
        return receive(fd, has_body, answer);
    if (!has_body)
        return true;
    answer->body_len = strtoul(answer_header(answer, "Content-Length"), NULL, 10);
    answer->body = calloc(1, answer->body_len + 1);
    for (size_t got = 0; got < answer->body_len;) {
        ssize_t more = wait_readable(fd) == 1 ? recv(fd, answer->body + got, answer->body_len - got, 0) : -1;
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return true;
}

bool client_receive(int fd, struct answer *answer)
{
    return receive(fd, true, answer);
}

bool client_is_closed(int fd)
{
    char byte;

    while (wait_readable(fd) == 1)
        if (recv(fd, &byte, 1, 0) <= 0)
            return true;
    return false;
}

struct answer fetch_bytes(struct fixture *fixture, const char *method, const char *path, const char *headers, const char *body, size_t len)
{
    struct answer answer;
    char head[8192];

    int fd = client_connect(fixture->port);
    int head_len = body != NULL ? snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s\r\n", method, path,
                                           len, headers)
                                : snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, path, headers);
    cr_assert(head_len > 0 && (size_t)head_len < sizeof(head));
    client_send(fd, head, (size_t)head_len);
    if (body != NULL)
        client_send(fd, body, len);
    (void)receive(fd, strcmp(method, "HEAD") != 0, &answer);
    close(fd);
    return answer;
}

struct answer fetch(struct fixture *fixture, const char *method, const char *path, const char *headers, const char *body)
{
    return fetch_bytes(fixture, method, path, headers, body, body != NULL ? strlen(body) : 0);
}

void answer_free(struct answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

const char *answer_header(const struct answer *answer, const char *name)
{
    static _Thread_local char value[1024];
    size_t name_len = strlen(name);

    for (const char *line = strstr(answer->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':')
            continue;
        const char *start = line + name_len + 1 + strspn(line + name_len + 1, " ");
        snprintf(value, sizeof(value), "%.*s", (int)strcspn(start, "\r"), start);
        return value;
    }
    return "";
}

bool answer_has(const struct answer *answer, const char *part)
{
    return answer->body != NULL && strstr(answer->body, part) != NULL;
}
