/*
 * Prometheus' text format.
 *
 * Numbers are integers, or nanoseconds written as seconds with nine digits: nothing goes through a double or through the locale. Label values are
 * users' texts, so backslash, quote and line feed are escaped in them, the only ones that the format knows.
 */
#include "base/prometheus.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"

#define NS_PER_S 1000000000LL

void sg_prom_family(struct sg_buf *out, const char *name, const char *type, const char *help)
{
    sg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void append_escaped(struct sg_buf *out, struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '\n')
            sg_buf_append(out, SG_STR("\\n"));
        else if (byte == '\\' || byte == '"') {
            sg_buf_byte(out, '\\');
            sg_buf_byte(out, byte);
        } else
            sg_buf_byte(out, byte);
    }
}

/* name{a="b",le="0.5"} and a space; `le` may be NULL. */
static void append_series(struct sg_buf *out, const char *name, const char *suffix, const struct sg_prom_label *labels, size_t count,
                          const char *le)
{
    assert(count <= SG_PROM_LABELS_MAX);
    sg_buf_append(out, sg_str_from(name));
    sg_buf_append(out, sg_str_from(suffix));
    for (size_t i = 0; i < count; i++) {
        sg_buf_byte(out, i == 0 ? '{' : ',');
        sg_buf_append(out, sg_str_from(labels[i].name));
        sg_buf_append(out, SG_STR("=\""));
        append_escaped(out, labels[i].value);
        sg_buf_byte(out, '"');
    }
    if (le != NULL)
        sg_buf_printf(out, "%cle=\"%s\"", count == 0 ? '{' : ',', le);
    if (count > 0 || le != NULL)
        sg_buf_byte(out, '}');
    sg_buf_byte(out, ' ');
}

static void append_seconds(struct sg_buf *out, int64_t ns)
{
    sg_buf_printf(out, "%s%" PRId64 ".%09" PRId64, ns < 0 ? "-" : "", (int64_t)llabs(ns / NS_PER_S), (int64_t)llabs(ns % NS_PER_S));
}

void sg_prom_int(struct sg_buf *out, const char *name, const struct sg_prom_label *labels, size_t count, int64_t value)
{
    append_series(out, name, "", labels, count, NULL);
    sg_buf_int(out, value);
    sg_buf_byte(out, '\n');
}

void sg_prom_seconds(struct sg_buf *out, const char *name, const struct sg_prom_label *labels, size_t count, int64_t ns)
{
    append_series(out, name, "", labels, count, NULL);
    append_seconds(out, ns);
    sg_buf_byte(out, '\n');
}

void sg_prom_histogram(struct sg_buf *out, const char *name, const struct sg_prom_label *labels, size_t count,
                       struct sg_histogram *histogram)
{
    const struct sg_histogram_scale *scale = histogram->scale;
    int64_t total = 0;

    for (int i = 0; i <= scale->count; i++) {
        total += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        append_series(out, name, "_bucket", labels, count, i < scale->count ? scale->labels[i] : "+Inf");
        sg_buf_int(out, total);
        sg_buf_byte(out, '\n');
    }
    append_series(out, name, "_sum", labels, count, NULL);
    int64_t sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    if (scale->is_time)
        append_seconds(out, sum);
    else
        sg_buf_int(out, sum);
    sg_buf_byte(out, '\n');
    append_series(out, name, "_count", labels, count, NULL);
    sg_buf_int(out, total);
    sg_buf_byte(out, '\n');
}

void sg_prom_gauge(struct sg_buf *out, const char *name, const char *help, int64_t value)
{
    sg_prom_family(out, name, "gauge", help);
    sg_prom_int(out, name, NULL, 0, value);
}

void sg_prom_counter(struct sg_buf *out, const char *name, const char *help, int64_t value)
{
    sg_prom_family(out, name, "counter", help);
    sg_prom_int(out, name, NULL, 0, value);
}
