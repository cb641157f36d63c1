/* The engine's clock when somebody sets the machine's. */
#include "node_fixture.h"

#define S 1000000000LL

struct times {
    int64_t wall_ns;
    int64_t monotonic_ns;
};

static int64_t wall(void *context)
{
    return ((struct times *)context)->wall_ns;
}

static int64_t monotonic(void *context)
{
    return ((struct times *)context)->monotonic_ns;
}

struct fixture {
    struct times times;
    struct sg_clock clock;
};

static void set_up(struct fixture *f, int64_t offset_ms)
{
    f->times = (struct times){1000 * S, 50 * S};
    sg_clock_init(&f->clock, offset_ms, &(struct sg_time_source){wall, monotonic, &f->times});
}

static void pass(struct fixture *f, int64_t ns)
{
    f->times.wall_ns += ns;
    f->times.monotonic_ns += ns;
}

Test(node_clock, is_wall_time_plus_offset)
{
    struct fixture f;
    set_up(&f, 7000);
    cr_assert(eq(i64, sg_clock_now_ms(&f.clock), 1007000));
    cr_assert(eq(i64, sg_clock_offset_ms(&f.clock), 7000));
    sg_clock_destroy(&f.clock);
}

Test(node_clock, goes_on_at_its_pace_when_the_wall_clock_is_set_back)
{
    struct fixture f;
    set_up(&f, 0);
    f.times.wall_ns -= 3600 * S;
    pass(&f, 2 * S);
    cr_assert(eq(i64, sg_clock_now_ns(&f.clock), 1002 * S));
    pass(&f, 3 * S);
    cr_assert(eq(i64, sg_clock_now_ns(&f.clock), 1005 * S));
    cr_assert(eq(i64, sg_clock_offset_ms(&f.clock), 3600 * 1000));
    sg_clock_destroy(&f.clock);
}

Test(node_clock, jumps_with_the_wall_clock_when_it_is_set_forward)
{
    struct fixture f;
    set_up(&f, 0);
    f.times.wall_ns += 3600 * S;
    cr_assert(eq(i64, sg_clock_now_ns(&f.clock), 4600 * S));
    sg_clock_destroy(&f.clock);
}

Test(node_clock, is_wall_time_again_after_it_was_set_back_and_forward)
{
    struct fixture f;
    set_up(&f, 0);
    f.times.wall_ns -= 60 * S;
    cr_assert(eq(i64, sg_clock_now_ns(&f.clock), 1000 * S));
    f.times.wall_ns += 60 * S;
    pass(&f, S);
    cr_assert(eq(i64, sg_clock_now_ns(&f.clock), 1001 * S));
    cr_assert(eq(i64, sg_clock_offset_ms(&f.clock), 0));
    sg_clock_destroy(&f.clock);
}

Test(node_clock, never_goes_back_by_the_jitter_of_its_sources)
{
    struct fixture f;
    set_up(&f, 0);
    int64_t before_ns = sg_clock_now_ns(&f.clock);
    f.times.wall_ns -= S / 1000;
    cr_assert(eq(i64, sg_clock_now_ns(&f.clock), before_ns));
    /* And a step that small is not counted as one. */
    cr_assert(eq(i64, sg_clock_offset_ms(&f.clock), 0));
    sg_clock_destroy(&f.clock);
}
