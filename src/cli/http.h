/* One HTTP request after another, blocking: what the commands that talk to a running stepgate need. */
#ifndef STEPGATE_CLI_HTTP_H
#define STEPGATE_CLI_HTTP_H

#include <stepgate/base.h>

struct sg_http {
    void *curl;              /* CURL easy handle, kept for its connection */
    const char *base_url;    /* "http://127.0.0.1:8288" */
    const char *signing_key; /* NULL: no Authorization header; else any form that the server accepts */
    int64_t timeout_ms;      /* of one request */
};

enum sg_status sg_http_open(struct sg_http *http, const char *base_url, const char *signing_key, int64_t timeout_ms,
                            struct sg_error *error);
void sg_http_close(struct sg_http *http);
/*
 * GET, or POST if `body` is not NULL. The answer's body replaces what is in `out`. SG_UNREACHABLE names the server and what to do; an HTTP error status
 * is not an error here.
 */
enum sg_status sg_http_request(struct sg_http *http, const char *path, const struct sg_str *body, int *http_status, struct sg_buf *out,
                               struct sg_error *error);

#endif
