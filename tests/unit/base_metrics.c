/* Histograms, Prometheus' text, and what the system says of the process. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <stepgate/base.h>

#include "base/heap.h"
#include "base/os_process.h"
#include "base/prometheus.h"

static struct sg_buf out;

static const char *text(void)
{
    sg_buf_byte(&out, '\0');
    cr_assert(not(out.is_failed));
    return out.ptr;
}

static int64_t bucket(struct sg_histogram *histogram, int index)
{
    return atomic_load(&histogram->buckets[index]);
}

static void fini(void)
{
    sg_buf_free(&out);
}

TestSuite(metrics, .fini = fini);

Test(metrics, an_observation_goes_below_the_first_bound_that_is_not_less)
{
    struct sg_histogram histogram;
    sg_histogram_init(&histogram, &sg_histogram_counts);
    sg_histogram_observe(&histogram, 0);
    sg_histogram_observe(&histogram, 1);
    sg_histogram_observe(&histogram, 2);
    sg_histogram_observe(&histogram, 3);
    sg_histogram_observe(&histogram, 16384);
    sg_histogram_observe(&histogram, 16385);
    sg_histogram_observe(&histogram, INT64_C(-5));
    cr_assert(eq(i64, bucket(&histogram, 0), 3));
    cr_assert(eq(i64, bucket(&histogram, 1), 1));
    cr_assert(eq(i64, bucket(&histogram, 2), 1));
    cr_assert(eq(i64, bucket(&histogram, 12), 1));
    cr_assert(eq(i64, bucket(&histogram, 13), 1));
    cr_assert(eq(i64, atomic_load(&histogram.sum), 1 + 2 + 3 + 16384 + 16385));
}

Test(metrics, the_bounds_of_every_scale_ascend_and_are_what_their_labels_say)
{
    const struct sg_histogram_scale *scales[] = {&sg_histogram_seconds, &sg_histogram_counts};
    for (int scale = 0; scale < 2; scale++)
        for (int i = 0; i < scales[scale]->count; i++) {
            double shown = strtod(scales[scale]->labels[i], NULL) * (scales[scale]->is_time ? 1e9 : 1);
            cr_assert(eq(i64, (int64_t)(shown + 0.5), scales[scale]->bounds[i]), "label %s", scales[scale]->labels[i]);
            cr_assert(i == 0 || scales[scale]->bounds[i] > scales[scale]->bounds[i - 1]);
        }
}

static void *observe_many(void *context)
{
    for (int i = 0; i < 10000; i++)
        sg_histogram_observe(context, i % 3000 * INT64_C(1000000));
    return NULL;
}

Test(metrics, threads_that_observe_at_once_lose_nothing)
{
    struct sg_histogram histogram;
    pthread_t threads[4];
    int64_t total = 0;
    sg_histogram_init(&histogram, &sg_histogram_seconds);
    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, pthread_create(&threads[i], NULL, observe_many, &histogram), 0));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i <= SG_HISTOGRAM_BOUNDS_MAX; i++)
        total += bucket(&histogram, i);
    cr_assert(eq(i64, total, 40000));
}

Test(metrics, a_label_escapes_backslash_quote_and_line_feed_and_nothing_else)
{
    struct sg_prom_label labels[] = {{"app", SG_STR("a\\b\"c\nd{}, é\t")}, {"kind", SG_STR("")}};
    sg_prom_int(&out, "x_total", labels, 2, -7);
    cr_assert(eq(str, (char *)text(), "x_total{app=\"a\\\\b\\\"c\\nd{}, é\t\",kind=\"\"} -7\n"));
}

Test(metrics, a_family_has_its_help_and_type_once_and_a_value_without_labels_no_braces)
{
    sg_prom_gauge(&out, "x", "Help.", 3);
    sg_prom_counter(&out, "y_total", "More.", 0);
    cr_assert(eq(str, (char *)text(), "# HELP x Help.\n# TYPE x gauge\nx 3\n# HELP y_total More.\n# TYPE y_total counter\ny_total 0\n"));
}

Test(metrics, nanoseconds_are_written_as_seconds_without_loss)
{
    sg_prom_seconds(&out, "s", NULL, 0, INT64_C(12345000000678));
    sg_prom_seconds(&out, "s", NULL, 0, 5);
    sg_prom_seconds(&out, "s", NULL, 0, -1500000000);
    cr_assert(eq(str, (char *)text(), "s 12345.000000678\ns 0.000000005\ns -1.500000000\n"));
}

Test(metrics, a_histogram_is_cumulative_and_ends_with_inf_sum_and_count)
{
    struct sg_histogram histogram;
    sg_histogram_init(&histogram, &sg_histogram_seconds);
    sg_histogram_observe(&histogram, 400000);       /* 0.4 ms */
    sg_histogram_observe(&histogram, 600000000000); /* beyond the last */
    sg_prom_histogram(&out, "h", &(struct sg_prom_label){"app", SG_STR("a")}, 1, &histogram);
    const char *got = text();
    cr_assert(strstr(got, "h_bucket{app=\"a\",le=\"0.00025\"} 0\nh_bucket{app=\"a\",le=\"0.0005\"} 1\n") == got);
    cr_assert(strstr(got, "h_bucket{app=\"a\",le=\"300\"} 1\nh_bucket{app=\"a\",le=\"+Inf\"} 2\n"
                          "h_sum{app=\"a\"} 600.000400000\nh_count{app=\"a\"} 2\n") != NULL);
}

Test(metrics, the_system_tells_memory_time_files_and_threads)
{
    struct sg_process_usage usage;
    sg_process_usage_read(&usage);
    cr_assert(gt(i64, usage.resident_bytes, 100000));
    cr_assert(ge(i64, usage.virtual_bytes, usage.resident_bytes));
    cr_assert(gt(i64, usage.cpu_ns, 0));
    cr_assert(ge(i64, usage.open_fds, 0));
    cr_assert(ge(i64, usage.threads, 1));
}

Test(metrics, a_heap_counts_what_is_due)
{
    struct sg_heap_node nodes[500] = {0};
    struct sg_heap heap;
    sg_heap_init(&heap);
    cr_assert(eq(sz, sg_heap_count_until(&heap, 100), 0));
    for (int i = 0; i < 500; i++) {
        nodes[i].key_ms = i * 7919 % 500;
        cr_assert(sg_heap_add(&heap, &nodes[i]));
    }
    for (int until = -1; until < 510; until++)
        cr_assert(eq(sz, sg_heap_count_until(&heap, until), (size_t)(until >= 500 ? 500 : until + 1)));
    sg_heap_free(&heap);
}
