/* The node's figures: read at once, shown as metrics (metrics.c) and as rows of /v1/admin/status (status.c). */
#ifndef STEPGATE_NODE_METRICS_H
#define STEPGATE_NODE_METRICS_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "node/retention.h"
#include "sdk/caller.h"
#include "sdk/fetcher.h"

struct sg_node;

struct sg_metrics_now {
    struct sg_engine_stats engine;
    struct sg_caller_stats caller;
    struct sg_fetcher_stats fetcher;
    struct sg_retention_totals trimmed;
    struct sg_store_usage store;
    int64_t due;    /* jobs that are due and have not started */
    int64_t lag_ms; /* how late the first of them is */
    int64_t commits;
    int64_t writes;
    int64_t commit_failures;
    int64_t inbox_waiting;
    int64_t inbox_bytes;
    int64_t reads_waiting;
    bool is_store_failing;
};

/* Only once the node has started. Any thread. */
void sg_metrics_read(struct sg_node *node, struct sg_metrics_now *now);
/* Appends Prometheus' text. Any thread, at any time. */
void sg_metrics_render(struct sg_node *node, struct sg_buf *out);
/* Appends rows of /v1/admin/status (server/server.h: sg_status_row). */
void sg_metrics_rows(struct sg_node *node, struct sg_buf *out);

#endif
