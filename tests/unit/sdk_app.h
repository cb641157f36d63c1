/*
 * An app for tests: a server of our own on a loopback port that records what it is asked and answers whatever bytes the test
 * wants, valid or not. And an inbox that collects what is posted.
 */
#ifndef STEPGATE_TESTS_SDK_APP_H
#define STEPGATE_TESTS_SDK_APP_H

#include <pthread.h>
#include <stdatomic.h>

#include <stepgate/engine.h>

#define WAIT_MS 10000 /* how long a test waits for what must happen */

struct app_request {
    struct sg_str method;
    struct sg_str target;  /* path and query */
    struct sg_str headers; /* all lines */
    struct sg_str body;
    struct sg_arena arena;
};

/* The value of a header, trimmed; no bytes if absent. */
struct sg_str request_header(const struct app_request *request, const char *name);

struct app;
/* Writes an answer; returns whether the connection stays open. Called by a thread of the connection. */
typedef bool (*app_answer)(struct app *app, int fd, const struct app_request *request);

#define APP_REQUESTS_MAX 512

struct app {
    int port;
    app_answer answer;
    void *context;
    atomic_int connections; /* opened so far */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct app_request *requests[APP_REQUESTS_MAX]; /* under the lock */
    int request_count;
    int open; /* requests being answered */
    int open_max;
    bool is_released; /* for app_hold */
    atomic_bool is_ended;
    int listen_fd;
    pthread_t thread;
    int conversations; /* threads that live */
    int fds[APP_REQUESTS_MAX];
};

void app_start(struct app *app, app_answer answer);
/* On ::1 only; false if the machine has no IPv6. */
bool app_start_v6(struct app *app, app_answer answer);
void app_stop(struct app *app);
/* The request number `index` (0: the first), waiting for it. */
const struct app_request *app_wait(struct app *app, int index);
/* In an answer: waits until app_release, or until the app stops. */
void app_hold(struct app *app);
/* An answer: none, for as long as the app lives. */
bool app_answer_never(struct app *app, int fd, const struct app_request *request);
void app_release(struct app *app);

void write_all(int fd, const void *bytes, size_t len);
/* "HTTP/1.1 <status>" with the headers (each ending in \r\n), a length and the body. */
void write_answer(int fd, int status, const char *headers, const char *body);
#define SDK_HEADERS "x-inngest-sdk: inngest-js:v4.24.0\r\nx-inngest-req-version: 2\r\nContent-Type: application/json\r\n"

/* ---- the inbox ---- */

struct inbox {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct sg_message *messages[APP_REQUESTS_MAX];
    int count;
    int refusals; /* so many posts are answered QUEUE_FULL first */
    enum sg_status reply_status;
};

void inbox_init(struct inbox *inbox);
void inbox_free(struct inbox *inbox);
struct sg_poster inbox_poster(struct inbox *inbox);
/* The message number `index`, waiting for it; its client has been replied to. */
const struct sg_message *inbox_wait(struct inbox *inbox, int index);
int inbox_count(struct inbox *inbox);
const struct sg_answer *inbox_answer(struct inbox *inbox, int index);

#endif
