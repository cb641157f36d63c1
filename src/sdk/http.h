/*
 * One HTTP exchange with an app, over a libcurl easy handle that is used again and again. The caller and the sync share it;
 * what runs the exchange (a multi handle) is theirs.
 */
#ifndef STEPGATE_SDK_HTTP_H
#define STEPGATE_SDK_HTTP_H

#include <pthread.h>
#include <time.h>

#include <curl/curl.h>

#include "sdk/answer.h"
#include "sdk/headers.h"

#define SG_HTTP_HEADERS_MAX 16 /* of a request: reference/01 §2.1 has 13 */

struct sg_http {
    uint32_t magic;
    CURL *easy;
    char error_text[CURL_ERROR_SIZE];

    /* the request */
    const char *method;
    struct sg_str body; /* borrowed until the exchange has ended */
    size_t body_sent;
    struct sg_buf url; /* terminated */
    struct sg_buf header_text;
    size_t header_offsets[SG_HTTP_HEADERS_MAX];
    size_t header_count;
    struct curl_slist header_nodes[SG_HTTP_HEADERS_MAX];
    int64_t timeout_ms; /* of the whole exchange, redirects included; 0: none */
    int64_t connect_timeout_ms;
    int64_t started_at_ms; /* monotonic */
    int redirects;

    /* the response */
    struct sg_arena arena; /* header values */
    struct sg_headers headers;
    size_t header_bytes;
    struct sg_buf response;
    size_t response_bytes_max;
    bool has_status; /* a status line came */
    bool is_too_large;
    bool is_too_long; /* its headers */
};

int64_t sg_http_wall_ms(void);
int64_t sg_http_monotonic_ms(void);
/* The moment so far from now, for pthread_cond_timedwait on CLOCK_MONOTONIC. */
struct timespec sg_http_deadline(int64_t timeout_ms);
int64_t sg_http_monotonic_ns(void);
/*
 * A thread that takes no signals: they are the main thread's, and SIGPIPE must not end the process when an app hangs up.
 * Returns what pthread_create does.
 */
int sg_quiet_thread_create(pthread_t *thread, void *(*run)(void *context), void *context);
/* libcurl's own initialisation, once a process. */
enum sg_status sg_http_global_init(struct sg_error *error);

/* SG_NO_MEMORY. sg_http_free when done, not while a multi handle holds it. */
enum sg_status sg_http_init(struct sg_http *http, size_t response_bytes_max);
void sg_http_free(struct sg_http *http);

/* Forgets the last exchange. Then set the URL, add headers, prepare. */
void sg_http_reset(struct sg_http *http);
/* "Name: value", at most SG_HTTP_HEADERS_MAX. */
void sg_http_header(struct sg_http *http, const char *name, struct sg_str value);
/* Sets the handle up for `method` ("POST", "PUT", "GET") on http->url. `body` must live until the end. SG_NO_MEMORY, SG_INVALID_ARGUMENT (the URL). */
enum sg_status sg_http_prepare(struct sg_http *http, const char *method, struct sg_str body, int64_t timeout_ms,
                               int64_t connect_timeout_ms);

/* The status of the answer; 0: none came. */
int sg_http_status(const struct sg_http *http);
/*
 * After an exchange: whether it was a redirect that is to be followed, with the same method, body and headers, and the query
 * merged (reference/01 §7.9). The handle is ready for the next hop then.
 */
bool sg_http_redirect(struct sg_http *http);
/* What a failed exchange comes to; `detail` names the cause, in the arena (NULL bytes if memory ran out). */
enum sg_transport_failure sg_http_failure(struct sg_http *http, CURLcode code, struct sg_arena *arena, struct sg_str *detail);

#endif
