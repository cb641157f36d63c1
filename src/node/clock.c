/*
 * The engine's clock.
 *
 * The model. The system has two clocks: the wall clock, which somebody may set, and the monotonic one, which only runs (both are slewed
 * alike). Their distance is constant except when the wall clock is set. When the distance shrinks, the wall clock was set back, and the guard
 * grows by as much: the engine's clock goes on as if nothing had happened, so a sleep of a second stays a second. When the distance grows, the
 * wall clock was set forward (or the machine was suspended): the guard shrinks first, and what is left of the step is real: timers that lay
 * in between are due.
 *
 * What it never does: go back, or take the jitter between its two readings for a step (hence STEP_NS).
 */
#include "node/clock.h"

#include <stddef.h>
#include <time.h>

#include "base/check.h"

#define NS_PER_MS 1000000LL
/* A thread may be preempted between reading one clock and the other; what is shorter than this is not a step. */
#define STEP_NS (100 * NS_PER_MS)

static int64_t read_clock(clockid_t id);
static int64_t system_wall(void *context);
static int64_t system_monotonic(void *context);

void sg_clock_init(struct sg_clock *clock, int64_t offset_ms, const struct sg_time_source *source)
{
    *clock = (struct sg_clock){.offset_ns = offset_ms * NS_PER_MS};
    pthread_mutex_init(&clock->lock, NULL);
    clock->source = source != NULL ? *source : (struct sg_time_source){system_wall, system_monotonic, NULL};
    clock->distance_ns = clock->source.wall_ns(clock->source.context) - clock->source.monotonic_ns(clock->source.context);
}

void sg_clock_destroy(struct sg_clock *clock)
{
    pthread_mutex_destroy(&clock->lock);
}

int64_t sg_clock_now_ns(struct sg_clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    int64_t wall_ns = clock->source.wall_ns(clock->source.context);
    int64_t step_ns = wall_ns - clock->source.monotonic_ns(clock->source.context) - clock->distance_ns;
    if (step_ns < -STEP_NS || step_ns > STEP_NS) {
        clock->distance_ns += step_ns;
        clock->guard_ns -= step_ns;
        if (clock->guard_ns < 0)
            clock->guard_ns = 0;
    }
    int64_t now_ns = wall_ns + clock->offset_ns + clock->guard_ns;
    if (now_ns < clock->last_ns)
        now_ns = clock->last_ns;
    clock->last_ns = now_ns;
    pthread_mutex_unlock(&clock->lock);
    return now_ns;
}

int64_t sg_clock_now_ms(struct sg_clock *clock)
{
    return sg_clock_now_ns(clock) / NS_PER_MS;
}

int64_t sg_clock_offset_ms(struct sg_clock *clock)
{
    pthread_mutex_lock(&clock->lock);
    int64_t offset_ns = clock->offset_ns + clock->guard_ns;
    pthread_mutex_unlock(&clock->lock);
    return offset_ns / NS_PER_MS;
}

int64_t sg_wall_now_ms(void)
{
    return read_clock(CLOCK_REALTIME) / NS_PER_MS;
}

int64_t sg_monotonic_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    int code = clock_gettime(id, &now);
    assert(code == 0); /* these two clocks exist on every Linux */
    (void)code;
    return (int64_t)now.tv_sec * 1000 * NS_PER_MS + now.tv_nsec;
}

static int64_t system_wall(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_monotonic(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}
