/*
 * The engine's clock: wall time plus the offset by which a user has moved it, never going back.
 *
 * Everything that a run experiences (due times, sleeps, timeouts) is on this clock; what others judge by the calendar (signatures, ULIDs) is on
 * the wall clock, which is this one without offset and guard.
 */
#ifndef STEPGATE_NODE_CLOCK_H
#define STEPGATE_NODE_CLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Where time comes from; tests bring their own. Nanoseconds. */
struct sg_time_source {
    int64_t (*wall_ns)(void *context);
    int64_t (*monotonic_ns)(void *context);
    void *context;
};

struct sg_clock {
    pthread_mutex_t lock;
    struct sg_time_source source;
    int64_t offset_ns;   /* moved by the user: only grows */
    int64_t distance_ns; /* wall minus monotonic, as last believed */
    int64_t guard_ns;    /* how far the wall clock has been set back under us and not forward again */
    int64_t last_ns;     /* highest value handed out */
};

/* `source` NULL: the system's clocks. */
void sg_clock_init(struct sg_clock *clock, int64_t offset_ms, const struct sg_time_source *source);
void sg_clock_destroy(struct sg_clock *clock);

/* Any thread. Never less than any earlier answer. */
int64_t sg_clock_now_ns(struct sg_clock *clock);
int64_t sg_clock_now_ms(struct sg_clock *clock);
/* Engine clock minus wall clock, in milliseconds: what absolute dates of SDKs are shifted by. */
int64_t sg_clock_offset_ms(struct sg_clock *clock);

/* The wall clock itself, in milliseconds. */
int64_t sg_wall_now_ms(void);
int64_t sg_monotonic_now_ns(void);

#endif
