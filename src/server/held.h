/*
 * Connections that wait for longer than a request may: for a run's output, or for what its stream brings.
 *
 * They leave the HTTP library once their request has been read (sg_held_take) and are served by one thread with an epoll of its own, so that
 * ten thousand of them cost the others nothing. What is answered is decided in output.c and stream.c; this is about sockets and deadlines.
 */
#ifndef STEPGATE_SERVER_HELD_H
#define STEPGATE_SERVER_HELD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "server/request.h"
#include "store/pool.h"

struct sg_stream;

enum sg_held_kind { SG_HELD_OUTPUT, SG_HELD_STREAM };

#define SG_HELD_MAGIC 0x68656c64u

/* One such connection. Everything in it is guarded by the lock of the set. */
struct sg_held {
    uint32_t magic;
    struct sg_held_set *set;
    enum sg_held_kind kind;
    int socket;
    bool is_writing; /* the socket is full: epoll says when it is not */
    bool is_ending;  /* it is closed when all is sent */
    bool is_gone;    /* it is out of every table, and freed when nobody reads for it */
    bool is_dirty;
    bool is_reading;     /* a thread of the pool has `task` */
    bool is_asked_again; /* something has happened since that read began */
    struct sg_list_node in_set;
    struct sg_list_node in_dirty;
    struct sg_heap_node due; /* monotonic */
    int64_t end_at_ms;       /* monotonic: then it has waited for long enough */
    struct sg_buf out;
    size_t sent;
    int64_t counted_bytes;   /* of `out`, in the set's sum */
    int64_t swallowed_bytes; /* that came although nothing was asked for */
    struct sg_str head;      /* header lines for its answer; owned */
    struct sg_id run_id;
    struct sg_list_node in_run; /* OUTPUT: who waits for the same run */
    struct sg_store_task task;
    struct sg_stream *stream; /* STREAM */
    struct sg_list_node in_stream;
    int64_t position; /* of the stream: the next byte to send */
};

/* Those who wait for the same run. */
struct sg_held_run {
    struct sg_id id;
    struct sg_list waiters;
};

struct sg_held_set {
    struct sg_server *server;
    pthread_mutex_t lock;
    pthread_cond_t settled; /* `reading` went down */
    pthread_t thread;
    bool is_started;
    bool is_stopping;
    int epoll_fd;
    int wake_fd;
    int reading; /* tasks that the pool has */
    int count_max;
    atomic_int count;
    atomic_int stream_count;
    struct sg_list all;
    struct sg_list dirty;
    struct sg_heap due;
    struct sg_map runs;            /* struct sg_held_run by id */
    struct sg_map streams;         /* struct sg_stream by channel */
    struct sg_list streams_by_use; /* the one that was used longest ago first */
    struct sg_heap stream_due;
    int64_t stream_bytes;
    int64_t out_bytes; /* outputs on their way to clients */
    int64_t out_bytes_max;
};

enum sg_status sg_held_set_start(struct sg_server *server, struct sg_held_set **set, struct sg_error *error);
/* Tells those who wait that they should ask again, closes everything, and returns when nothing reads for it any more. NULL is fine. */
void sg_held_set_free(struct sg_held_set *set);

/*
 * Takes the connection of a request out of the HTTP library: the handler returns and must not answer. NULL: it could not be taken, and the answer
 * has been set. Otherwise the lock is held, and sg_held_begin ends the taking.
 */
struct sg_held *sg_held_take(struct sg_request *request, enum sg_held_kind kind);
void sg_held_begin(struct sg_held *held);

/* With the lock. */
/* There is something to send, or it has to end: the thread will look. */
void sg_held_touch(struct sg_held *held);
/* Reads for it in a thread of the pool, now or, if one does, again afterwards. */
void sg_held_read(struct sg_held *held);
/* The thread of the pool is done: the lock is taken by begin and given back by end. False: the connection is gone. */
bool sg_held_read_begin(struct sg_held *held);
void sg_held_read_end(struct sg_held *held);
/* Counts an output that is to be sent; false: those of others fill the memory set aside for them. */
bool sg_held_reserve(struct sg_held *held, size_t bytes);
/* Starts an answer of HTTP/1.1: status line and the headers that every answer has. The caller appends the others, a blank line and the body. */
void sg_held_answer(struct sg_held *held, int http_status);
void sg_held_wake(struct sg_held_set *set);
int64_t sg_held_now_ms(void);

/* A run has ended, and that is on disk: whoever waits for it is told. Any thread. */
void sg_held_run_ended(struct sg_held_set *set, struct sg_id run_id);

#endif
