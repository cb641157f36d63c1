/*
 * Histograms.
 *
 * The model. Bounds are fixed per scale, so that histograms can be added up across apps and processes. An observation walks the bounds (few, and in
 * one or two cache lines) and adds to one bucket and to the sum, both relaxed: nobody orders anything by a metric.
 */
#include "base/histogram.h"

#include "base/check.h"

const struct sg_histogram_scale sg_histogram_seconds = {
    .count = 18,
    .bounds = {250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
               2500000000, 5000000000, 10000000000, 30000000000, 60000000000, 300000000000},
    .labels = {"0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30",
               "60", "300"},
    .is_time = 1,
};

const struct sg_histogram_scale sg_histogram_counts = {
    .count = 13,
    .bounds = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384},
    .labels = {"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024", "4096", "16384"},
};

void sg_histogram_init(struct sg_histogram *histogram, const struct sg_histogram_scale *scale)
{
    assert(scale->count <= SG_HISTOGRAM_BOUNDS_MAX);
    histogram->scale = scale;
    for (int i = 0; i <= SG_HISTOGRAM_BOUNDS_MAX; i++)
        atomic_init(&histogram->buckets[i], 0);
    atomic_init(&histogram->sum, 0);
}

void sg_histogram_observe(struct sg_histogram *histogram, int64_t value)
{
    const struct sg_histogram_scale *scale = histogram->scale;
    int bucket = 0;

    if (value < 0)
        value = 0;
    while (bucket < scale->count && value > scale->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
}
