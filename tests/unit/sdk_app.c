/* An app for tests, with a thread for each connection, and an inbox. */
#include "sdk_app.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define REQUEST_BYTES_MAX (16 * 1024 * 1024)

struct conversation {
    struct app *app;
    int fd;
};

static struct timespec deadline(void)
{
    struct timespec moment;
    clock_gettime(CLOCK_REALTIME, &moment);
    moment.tv_sec += WAIT_MS / 1000;
    return moment;
}

void write_all(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t written = send(fd, at, len, MSG_NOSIGNAL);
        if (written <= 0)
            return;
        at += written;
        len -= (size_t)written;
    }
}

void write_answer(int fd, int status, const char *headers, const char *body)
{
    char head[4096];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status, headers, strlen(body));
    write_all(fd, head, (size_t)len);
    write_all(fd, body, strlen(body));
}

struct sg_str request_header(const struct app_request *request, const char *name)
{
    struct sg_str rest = request->headers;
    while (rest.len > 0) {
        ptrdiff_t end = sg_str_index(rest, '\n');
        struct sg_str line = {rest.ptr, end < 0 ? rest.len : (size_t)end};
        rest = end < 0 ? SG_STR_NULL : (struct sg_str){rest.ptr + end + 1, rest.len - (size_t)end - 1};
        ptrdiff_t colon = sg_str_index(line, ':');
        if (colon > 0 && sg_str_eq_nocase((struct sg_str){line.ptr, (size_t)colon}, sg_str_from(name)))
            return sg_str_trim((struct sg_str){line.ptr + colon + 1, line.len - (size_t)colon - 1});
    }
    return SG_STR_NULL;
}

/* Reads one request into `buf` (what was read beyond it stays there); NULL at the end of the connection. */
static struct app_request *read_request(int fd, struct sg_buf *buf)
{
    size_t head_len = 0;
    size_t body_len = 0;
    while (true) {
        char *end = buf->len > 0 ? memmem(buf->ptr, buf->len, "\r\n\r\n", 4) : NULL;
        if (end != NULL) {
            head_len = (size_t)(end - buf->ptr) + 4;
            struct app_request head = {.headers = {buf->ptr, head_len}};
            int64_t len = 0;
            sg_str_to_int(request_header(&head, "content-length"), &len);
            body_len = (size_t)len;
            if (buf->len >= head_len + body_len)
                break;
        }
        char bytes[65536];
        ssize_t got = recv(fd, bytes, sizeof(bytes), 0);
        if (got <= 0 || buf->len > REQUEST_BYTES_MAX)
            return NULL;
        sg_buf_append(buf, (struct sg_str){bytes, (size_t)got});
    }
    struct app_request *request = calloc(1, sizeof(*request));
    sg_arena_init(&request->arena);
    request->headers = sg_arena_copy(&request->arena, (struct sg_str){buf->ptr, head_len});
    request->body = sg_arena_copy(&request->arena, (struct sg_str){buf->ptr + head_len, body_len});
    struct sg_str line = request->headers;
    ptrdiff_t space = sg_str_index(line, ' ');
    request->method = (struct sg_str){line.ptr, (size_t)space};
    struct sg_str rest = {line.ptr + space + 1, line.len - (size_t)space - 1};
    request->target = (struct sg_str){rest.ptr, (size_t)sg_str_index(rest, ' ')};
    size_t used = head_len + body_len;
    memmove(buf->ptr, buf->ptr + used, buf->len - used);
    buf->len -= used;
    return request;
}

static void *converse(void *context)
{
    struct conversation *conversation = context;
    struct app *app = conversation->app;
    struct sg_buf buf;
    sg_buf_init(&buf);
    bool stays = true;
    while (stays) {
        struct app_request *request = read_request(conversation->fd, &buf);
        if (request == NULL)
            break;
        pthread_mutex_lock(&app->lock);
        if (app->request_count < APP_REQUESTS_MAX)
            app->requests[app->request_count++] = request;
        app->open++;
        if (app->open > app->open_max)
            app->open_max = app->open;
        pthread_cond_broadcast(&app->changed);
        pthread_mutex_unlock(&app->lock);
        stays = app->answer(app, conversation->fd, request);
        pthread_mutex_lock(&app->lock);
        app->open--;
        pthread_mutex_unlock(&app->lock);
    }
    sg_buf_free(&buf);
    pthread_mutex_lock(&app->lock);
    for (int i = 0; i < APP_REQUESTS_MAX; i++)
        if (app->fds[i] == conversation->fd)
            app->fds[i] = 0;
    close(conversation->fd);
    app->conversations--;
    pthread_cond_broadcast(&app->changed);
    pthread_mutex_unlock(&app->lock);
    free(conversation);
    return NULL;
}

static void *listen_loop(void *context)
{
    struct app *app = context;
    while (true) {
        int fd = accept(app->listen_fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        pthread_mutex_lock(&app->lock);
        bool is_ended = app->is_ended;
        if (!is_ended) {
            app->connections++;
            app->conversations++;
            for (int i = 0; i < APP_REQUESTS_MAX; i++)
                if (app->fds[i] == 0) {
                    app->fds[i] = fd;
                    break;
                }
        }
        pthread_mutex_unlock(&app->lock);
        if (is_ended) {
            close(fd);
            return NULL;
        }
        struct conversation *conversation = malloc(sizeof(*conversation));
        *conversation = (struct conversation){app, fd};
        pthread_t thread;
        pthread_create(&thread, NULL, converse, conversation);
        pthread_detach(thread);
    }
}

static void begin(struct app *app, app_answer answer, int fd)
{
    app->answer = answer;
    app->listen_fd = fd;
    pthread_mutex_init(&app->lock, NULL);
    pthread_cond_init(&app->changed, NULL);
    cr_assert(listen(fd, 1024) == 0); /* more than any test opens at once: a full backlog would be answered a second later */
    cr_assert(pthread_create(&app->thread, NULL, listen_loop, app) == 0);
}

void app_start(struct app *app, app_answer answer)
{
    void *context = app->context;
    *app = (struct app){.context = context};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    app->port = ntohs(address.sin_port);
    begin(app, answer, fd);
}

bool app_start_v6(struct app *app, app_answer answer)
{
    *app = (struct app){0};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t len = sizeof(address);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    cr_assert(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    app->port = ntohs(address.sin6_port);
    begin(app, answer, fd);
    return true;
}

void app_stop(struct app *app)
{
    pthread_mutex_lock(&app->lock);
    app->is_ended = true;
    app->is_released = true;
    pthread_cond_broadcast(&app->changed);
    pthread_mutex_unlock(&app->lock);
    shutdown(app->listen_fd, SHUT_RDWR);
    pthread_join(app->thread, NULL);
    close(app->listen_fd);
    pthread_mutex_lock(&app->lock);
    for (int i = 0; i < APP_REQUESTS_MAX; i++)
        if (app->fds[i] != 0)
            shutdown(app->fds[i], SHUT_RDWR);
    struct timespec until = deadline();
    while (app->conversations > 0)
        cr_assert(pthread_cond_timedwait(&app->changed, &app->lock, &until) == 0, "a connection does not end");
    pthread_mutex_unlock(&app->lock);
    for (int i = 0; i < app->request_count; i++) {
        sg_arena_free(&app->requests[i]->arena);
        free(app->requests[i]);
    }
    pthread_cond_destroy(&app->changed);
    pthread_mutex_destroy(&app->lock);
}

const struct app_request *app_wait(struct app *app, int index)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&app->lock);
    while (app->request_count <= index)
        cr_assert(pthread_cond_timedwait(&app->changed, &app->lock, &until) == 0, "request %d does not come", index);
    const struct app_request *request = app->requests[index];
    pthread_mutex_unlock(&app->lock);
    return request;
}

void app_hold(struct app *app)
{
    pthread_mutex_lock(&app->lock);
    while (!app->is_released)
        pthread_cond_wait(&app->changed, &app->lock);
    pthread_mutex_unlock(&app->lock);
}

bool app_answer_never(struct app *app, int fd, const struct app_request *request)
{
    (void)fd;
    (void)request;
    app_hold(app);
    return false;
}

void app_release(struct app *app)
{
    pthread_mutex_lock(&app->lock);
    app->is_released = true;
    pthread_cond_broadcast(&app->changed);
    pthread_mutex_unlock(&app->lock);
}

/* ---- the inbox ---- */

void inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){0};
    pthread_mutex_init(&inbox->lock, NULL);
    pthread_cond_init(&inbox->changed, NULL);
}

void inbox_free(struct inbox *inbox)
{
    for (int i = 0; i < inbox->count; i++)
        sg_message_free(inbox->messages[i]);
    pthread_cond_destroy(&inbox->changed);
    pthread_mutex_destroy(&inbox->lock);
}

static enum sg_status inbox_post(void *context, struct sg_message *message)
{
    struct inbox *inbox = context;
    pthread_mutex_lock(&inbox->lock);
    bool is_refused = inbox->refusals > 0;
    if (is_refused) {
        inbox->refusals--;
    } else {
        cr_assert(inbox->count < APP_REQUESTS_MAX);
        inbox->messages[inbox->count++] = message;
        pthread_cond_broadcast(&inbox->changed);
    }
    enum sg_status status = inbox->reply_status;
    pthread_mutex_unlock(&inbox->lock);
    if (is_refused)
        return SG_QUEUE_FULL;
    if (message->client != NULL) {
        struct sg_reply reply = {.status = status, .is_modified = true};
        message->client->reply(message->client, &reply);
    }
    return SG_OK;
}

struct sg_poster inbox_poster(struct inbox *inbox)
{
    return (struct sg_poster){inbox_post, inbox};
}

const struct sg_message *inbox_wait(struct inbox *inbox, int index)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&inbox->lock);
    while (inbox->count <= index)
        cr_assert(pthread_cond_timedwait(&inbox->changed, &inbox->lock, &until) == 0, "message %d does not come", index);
    const struct sg_message *message = inbox->messages[index];
    pthread_mutex_unlock(&inbox->lock);
    return message;
}

int inbox_count(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    int count = inbox->count;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

const struct sg_answer *inbox_answer(struct inbox *inbox, int index)
{
    const struct sg_message *message = inbox_wait(inbox, index);
    cr_assert(message->kind == SG_MESSAGE_ANSWER);
    return &message->as.answer.answer;
}
