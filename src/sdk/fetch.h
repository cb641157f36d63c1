/* A few exchanges at once, waited for: for the sync, discovery and introspection, where a thread may block. */
#ifndef STEPGATE_SDK_FETCH_H
#define STEPGATE_SDK_FETCH_H

#include <stdatomic.h>

#include "sdk/http.h"

struct sg_fetcher {
    CURLM *multi;
    atomic_bool is_stopped;
};

enum sg_status sg_fetcher_init(struct sg_fetcher *fetcher);
void sg_fetcher_free(struct sg_fetcher *fetcher);
/* Any thread: ends the exchanges under way, and every later one at once. */
void sg_fetcher_stop(struct sg_fetcher *fetcher);

struct sg_fetch {
    struct sg_http *http; /* prepared */
    CURLcode code;        /* afterwards */
};
/* Runs all of them to their end, redirects included. */
void sg_fetcher_run(struct sg_fetcher *fetcher, struct sg_fetch *fetches, size_t count);

#endif
