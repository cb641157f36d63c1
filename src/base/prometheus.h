/*
 * Prometheus' text format, version 0.0.4: families, samples, labels, histograms. A family's samples follow its head at once.
 */
#ifndef STEPGATE_BASE_PROMETHEUS_H
#define STEPGATE_BASE_PROMETHEUS_H

#include <stepgate/base.h>

#include "base/histogram.h"

#define SG_PROMETHEUS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct sg_prom_label {
    const char *name;
    struct sg_str value; /* any UTF-8: escaped when written */
};
#define SG_PROM_LABELS_MAX 4

/* The head of a family. `type` is "counter", "gauge" or "histogram"; names and help are ours: nothing in them needs an escape. */
void sg_prom_family(struct sg_buf *out, const char *name, const char *type, const char *help);
void sg_prom_int(struct sg_buf *out, const char *name, const struct sg_prom_label *labels, size_t count, int64_t value);
/* Nanoseconds as seconds. */
void sg_prom_seconds(struct sg_buf *out, const char *name, const struct sg_prom_label *labels, size_t count, int64_t ns);
void sg_prom_histogram(struct sg_buf *out, const char *name, const struct sg_prom_label *labels, size_t count,
                       struct sg_histogram *histogram);

/* A family of one sample without labels. */
void sg_prom_gauge(struct sg_buf *out, const char *name, const char *help, int64_t value);
void sg_prom_counter(struct sg_buf *out, const char *name, const char *help, int64_t value);

#endif
