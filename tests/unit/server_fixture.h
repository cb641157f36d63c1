/*
 * A server in this process over a store in memory, with a poster that the test controls instead of an engine, and a small HTTP client.
 */
#ifndef SERVER_FIXTURE_H
#define SERVER_FIXTURE_H

#include <pthread.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "server/server.h"
#include "store/pool.h"

#define DEADLINE_MS 10000 /* nothing here takes that long unless it is broken */

/* What the poster does with a message. */
enum answering {
    ANSWERS_AT_ONCE, /* in post itself */
    ANSWERS_LATER,   /* when the test says so: fixture_answer_all */
    REFUSES          /* post returns `status` */
};

struct fixture {
    struct sg_store *store;
    struct sg_store_pool *pool;
    struct sg_server *server;
    int port;

    pthread_mutex_t lock;
    pthread_cond_t posted;
    enum answering answering;
    enum sg_status status; /* of replies and refusals */
    const char *message;
    const char *explanation;
    struct sg_message *first; /* those that wait */
    struct sg_message *last;
    int posts;
    /* Copies of what the last message held. */
    enum sg_message_kind kind;
    size_t event_count;
    struct sg_event_in events[8];
    char names[8][600];
    char bodies[8][4096];
    struct sg_id run_id;
    int64_t job_id;
    int generation;
    size_t op_count;
    bool is_sync;
    struct sg_id function_id;
    int request_version;
    char text[1024]; /* app name, reason, URL; signal and data; of a durable endpoint domain, SDK, slug and configuration */
    /* What hooks were told. */
    char registered[512];
    char synced[512];
    struct sg_server_status ready;
};

/* Fills `options` with what every test wants; the test may change them before fixture_start. */
struct sg_server_options fixture_options(struct fixture *fixture);
void fixture_start(struct fixture *fixture, const struct sg_server_options *options);
/* Both. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);

/*
 * Replies to every message that waits, from this thread, and copies again what each held: by now its handler has returned, so what it borrowed from
 * the request is gone. Returns how many there were.
 */
int fixture_answer_all(struct fixture *fixture);
/* Waits until so many messages have been posted in all. */
void fixture_await_posts(struct fixture *fixture, int posts);
void fixture_put(struct fixture *fixture, const struct sg_record *record);

/* ---- HTTP ---- */

struct answer {
    int status;
    char head[8192]; /* status line and headers */
    char *body;      /* terminated; freed by answer_free */
    size_t body_len;
};

/* A connection; -1 if it was refused. */
int client_connect(int port);
int client_connect_to(const char *host, int port);
void client_send(int fd, const char *bytes, size_t len);
/* False if the other side closes or nothing comes in time. */
bool client_receive(int fd, struct answer *answer);
/* Waits for the other side to close; false if it does not in time. */
bool client_is_closed(int fd);
/* One request on a connection of its own. `headers` are whole lines; `body` may be NULL. */
struct answer fetch(struct fixture *fixture, const char *method, const char *path, const char *headers, const char *body);
struct answer fetch_bytes(struct fixture *fixture, const char *method, const char *path, const char *headers, const char *body, size_t len);
void answer_free(struct answer *answer);
/* The value of a header, or "" (in a static buffer). */
const char *answer_header(const struct answer *answer, const char *name);
bool answer_has(const struct answer *answer, const char *part);

/* fetch and compare in one line; the answer is freed. */
#define EXPECT(fixture_, method_, path_, headers_, body_, status_, part_)                                                                  \
    do {                                                                                                                                   \
        struct answer got_ = fetch(fixture_, method_, path_, headers_, body_);                                                             \
        cr_expect(got_.status == (status_) && answer_has(&got_, part_), "%s %s gave %d %s, expected %d %s", method_, path_, got_.status,   \
                  got_.body != NULL ? got_.body : "(nothing)", status_, part_);                                                            \
        answer_free(&got_);                                                                                                                \
    } while (0)

#endif
