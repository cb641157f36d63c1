/* Showing a run in a terminal: once, or step by step until it has ended. */
#ifndef STEPGATE_CLI_WATCH_H
#define STEPGATE_CLI_WATCH_H

#include "cli/http.h"

struct sg_watch_options {
    bool is_following; /* until the run has ended */
    bool is_json;      /* print the API's answer as it is, at the end */
    int64_t timeout_ms;
};

/* Returns the exit code: 0 if the run completed, or was shown without following; 1 otherwise. */
int sg_watch_run(struct sg_http *http, const char *run_id, const struct sg_watch_options *options);

/* GET `path` and take the `data` out of the envelope, canonical, into `data`; complains and returns false if that is not what came. */
bool sg_watch_get(struct sg_http *http, const char *path, struct sg_buf *data);
/* Pauses between two looks; false once `until_ns` (monotonic) has passed. */
bool sg_watch_pause(int64_t until_ns);

#endif
