/*
 * One HTTP request, from its request line to the last byte of its answer, and the connection it came on.
 *
 * A handler sees a complete request: method, decoded path parameters, query, body. It answers with one of the sg_respond_* functions, or it
 * posts a message or submits a read, and answers when that comes back.
 */
#ifndef STEPGATE_SERVER_REQUEST_H
#define STEPGATE_SERVER_REQUEST_H

#include <stdatomic.h>

#include <stepgate/base.h>
#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "base/list.h"

struct MHD_Connection;
struct sg_route;
struct sg_server;

enum sg_method { SG_METHOD_GET, SG_METHOD_POST, SG_METHOD_PUT, SG_METHOD_DELETE, SG_METHOD_OPTIONS, SG_METHOD_OTHER };
const char *sg_method_name(enum sg_method method);

/*
 * What is being waited for on a connection. Each phase has one time limit, so the connections of a phase are in the order of
 * their deadlines.
 */
enum sg_phase {
    SG_PHASE_IDLE,    /* the next request line */
    SG_PHASE_RECEIVE, /* headers and body */
    SG_PHASE_WAIT,    /* a reply or a read */
    SG_PHASE_SEND,    /* the client, to take the answer */
    SG_PHASE_STREAM,  /* the next piece of a body that may take long */
    SG_PHASE_COUNT
};

struct sg_connection {
    struct sg_list_node in_phase;
    enum sg_phase phase;
    bool is_listed;
    int64_t deadline_ms; /* monotonic */
    int socket;
    struct sg_request *request; /* WAIT: who waits */
};

/* An answer in the making. */
struct sg_response {
    int status; /* HTTP; 0: none yet */
    struct sg_buf body;
    const char *content_type;  /* NULL: JSON */
    const char *cache_control; /* NULL: none */
    const char *allow;         /* 405: the methods */
    int retry_after_s;         /* 0: none */
    bool is_closing;           /* the connection ends with it */
};

enum sg_wait { SG_WAIT_NONE, SG_WAIT_PENDING, SG_WAIT_DONE, SG_WAIT_LATE };

#define SG_REQUEST_MAGIC 0x72657175u
#define SG_REQUEST_PARAMETERS_MAX 2

typedef void (*sg_request_on_reply)(struct sg_request *request, const struct sg_reply *reply);
typedef void (*sg_request_on_read)(struct sg_request *request, struct sg_store_reader *reader);

struct sg_request {
    struct sg_client client; /* first: what the engine and the node know of a request */
    uint32_t magic;
    atomic_int references; /* the connection's, and the one of whoever owes a reply */
    struct sg_server *server;
    struct MHD_Connection *connection;
    struct sg_connection *peer;
    struct sg_arena arena;

    enum sg_method method;
    struct sg_str path;           /* as sent, without the query; borrowed from the connection until the first answer */
    const struct sg_route *route; /* NULL: unknown path or method */
    struct sg_str parameters[SG_REQUEST_PARAMETERS_MAX]; /* decoded */
    bool is_begun;
    bool is_preflight;
    bool is_waiting; /* a wait has begun since the library last called us; only its thread looks at this */
    bool is_refused; /* the answer is known, the body is read and dropped */
    bool is_taken;   /* its connection has left the HTTP library (held.h) */
    bool is_head;    /* HEAD: as GET, without the body */
    struct sg_buf body;
    int64_t body_bytes;      /* that came so far */
    int64_t body_bytes_held; /* counted against the server's bound */

    struct sg_response response;
    void *state; /* the handler's own, between its steps; in the arena */

    enum sg_wait wait; /* guarded by the server's lock */
    sg_request_on_reply on_reply;
    sg_request_on_read on_read;
    struct sg_reply reply;
    struct sg_buf reply_text;                                                  /* the bytes of reply.text */
    void (*on_late)(struct sg_request *request, struct sg_response *response); /* instead of the 503 for a wait that took too long */
};

/* NULL if memory ran out. */
struct sg_request *sg_request_create(struct sg_server *server, struct MHD_Connection *connection, struct sg_connection *peer);
void sg_request_release(struct sg_request *request);

/* A header of the request, SG_STR_NULL if absent; borrowed until the request waits. */
struct sg_str sg_request_header(struct sg_request *request, const char *name);
/*
 * A parameter of the query, decoded, in the request's arena; `*is_given` tells an absent one from an empty one. False: it is malformed, too
 * long, or memory ran out, and the 400 or 503 has been set.
 */
bool sg_request_query(struct sg_request *request, const char *name, struct sg_str *value, bool *is_given);
/* `%41`, into the arena. SG_INVALID_ARGUMENT if it is malformed, SG_NO_MEMORY. */
enum sg_status sg_url_decode(struct sg_arena *arena, struct sg_str text, struct sg_str *decoded);

/*
 * Posts a message, which it takes in every case, and suspends the request until the reply is there; then `on_reply` makes the answer, on a
 * thread of the server, or begins the next wait. If the message is refused the answer is set here.
 */
void sg_request_post(struct sg_request *request, struct sg_message *message, sg_request_on_reply on_reply);
/* Has `on_read` called by a thread of the store's pool, with a snapshot open; it makes the answer there. */
void sg_request_read(struct sg_request *request, sg_request_on_read on_read);
/*
 * For other waits: between begin and the reply to request->client the request is suspended. If whatever was asked refuses, call
 * sg_request_wait_refused. False if the server is ending; the answer has been set then.
 */
bool sg_request_wait_begin(struct sg_request *request, sg_request_on_reply on_reply);
void sg_request_wait_refused(struct sg_request *request, enum sg_status status, const char *message);

#endif
