/* A few exchanges at once, waited for: for the sync, discovery and introspection, where a thread may block. */
#ifndef STEPGATE_SDK_EXCHANGE_H
#define STEPGATE_SDK_EXCHANGE_H

#include <stdatomic.h>

#include "sdk/http.h"

struct sg_exchanger {
    CURLM *multi;
    atomic_bool is_stopped;
};

enum sg_status sg_exchanger_init(struct sg_exchanger *exchanger);
void sg_exchanger_free(struct sg_exchanger *exchanger);
/* Any thread: ends the exchanges under way, and every later one at once. */
void sg_exchanger_stop(struct sg_exchanger *exchanger);

struct sg_exchange {
    struct sg_http *http; /* prepared */
    CURLcode code;        /* afterwards */
};
/* Runs all of them to their end, redirects included. */
void sg_exchanger_run(struct sg_exchanger *exchanger, struct sg_exchange *exchanges, size_t count);

#endif
