/*
 * A histogram that many threads may add to at once, and any thread may read: two relaxed additions an observation, no lock, fixed size.
 *
 * A reader may see an observation in its bucket before it is in the sum; the number of observations is that of the buckets, so what is shown
 * never contradicts itself.
 */
#ifndef STEPGATE_BASE_HISTOGRAM_H
#define STEPGATE_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define SG_HISTOGRAM_BOUNDS_MAX 18

/* Where the buckets end, ascending, and how that is written ("0.005"). */
struct sg_histogram_scale {
    int count;
    int64_t bounds[SG_HISTOGRAM_BOUNDS_MAX];
    const char *labels[SG_HISTOGRAM_BOUNDS_MAX];
    int is_time; /* observed in nanoseconds, shown in seconds */
};

/* 250 µs to 5 min: from a commit on a fast disk to a call that takes its time. */
extern const struct sg_histogram_scale sg_histogram_seconds;
/* 1 to 16,384 things: what a batch holds. */
extern const struct sg_histogram_scale sg_histogram_counts;

struct sg_histogram {
    const struct sg_histogram_scale *scale;
    atomic_llong buckets[SG_HISTOGRAM_BOUNDS_MAX + 1]; /* each on its own, not cumulative; the one behind the last bound takes the rest */
    atomic_llong sum;
};

void sg_histogram_init(struct sg_histogram *histogram, const struct sg_histogram_scale *scale);
/* A value equal to a bound belongs below it; a negative one (a clock that went back) counts as 0. */
void sg_histogram_observe(struct sg_histogram *histogram, int64_t value);

#endif
