/*
 * Retention: what goes, what stays however old it is, in what order, how fast, and what a crash in between leaves. On both stores, with a
 * clock of our own.
 */
#include "node_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "node/restore.h"
#include "node/retention.h"
#include "node/trim.h"
#include "store/memory.h"

#define MINUTE_MS (60 * 1000LL)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define NOW_MS (100 * DAY_MS)
#define AGE_MS (7 * DAY_MS)
/* Of the age limit: before and after it. */
#define OLD_MS (NOW_MS - 8 * DAY_MS)
#define YOUNG_MS (NOW_MS - 6 * DAY_MS)

struct fixture {
    struct sg_store *store;
    struct sg_store_reader *reader;
    struct sg_clock clock;
    _Atomic int64_t now_ms;
    char directory[64]; /* empty for a memory store */
    struct sg_trim_options trim;
    struct sg_trim_report report;
    int commits;
    size_t most_writes;
    int fail_after;    /* so many commits succeed; -1: all */
    int64_t row_bytes; /* what measure counts for each row of an event or a run */
};

static int64_t fake_ns(void *context)
{
    struct fixture *f = context;
    return atomic_load(&f->now_ms) * 1000000;
}

static enum sg_status commit(void *context, const struct sg_write *writes, size_t count, struct sg_error *error)
{
    struct fixture *f = context;
    if (f->fail_after >= 0 && f->commits >= f->fail_after)
        return sg_error_set(error, SG_STORE_FULL, "full");
    f->commits++;
    f->most_writes = count > f->most_writes ? count : f->most_writes;
    return sg_store_commit(f->store, writes, count, error);
}

static enum sg_status count_record(void *context, const struct sg_record *record)
{
    (void)record;
    ++*(int64_t *)context;
    return SG_OK;
}

static int64_t count(struct fixture *f, enum sg_kind kind)
{
    int64_t found = 0;
    assert_ok(sg_store_scan(f->store, kind, count_record, &found, NULL));
    return found;
}

static enum sg_status measure_rows(void *context, int64_t *bytes, struct sg_error *error)
{
    struct fixture *f = context;
    (void)error;
    *bytes = f->row_bytes * (count(f, SG_KIND_EVENT) + count(f, SG_KIND_RUN));
    return SG_OK;
}

static enum sg_status measure_store(void *context, int64_t *bytes, struct sg_error *error)
{
    struct fixture *f = context;
    return sg_store_used_bytes(f->reader, bytes, error);
}

static void open_common(struct fixture *f)
{
    sg_log_set_level(SG_LOG_NONE);
    atomic_store(&f->now_ms, NOW_MS);
    sg_clock_init(&f->clock, 0, &(struct sg_time_source){fake_ns, fake_ns, f});
    assert_ok(sg_store_reader_open(f->store, &f->reader, NULL));
    f->trim = (struct sg_trim_options){.reader = f->reader, .clock = &f->clock, .context = f, .commit = commit, .measure = measure_rows};
    f->fail_after = -1;
    f->row_bytes = 1000;
}

static void open_memory(struct fixture *f)
{
    *f = (struct fixture){.store = NULL};
    assert_ok(sg_store_open_memory(&f->store, NULL));
    open_common(f);
}

static void open_sqlite(struct fixture *f)
{
    *f = (struct fixture){.store = NULL};
    snprintf(f->directory, sizeof(f->directory), "/tmp/retention_test.XXXXXX");
    cr_assert(ne(ptr, mkdtemp(f->directory), NULL));
    assert_ok(sg_store_open_sqlite(&(struct sg_store_sqlite_options){.directory = f->directory, .is_sync_off = true}, &f->store, NULL));
    open_common(f);
}

static void close_fixture(struct fixture *f)
{
    static const char *const names[] = {"main.db", "main.db-wal", "main.db-shm", "lock"};
    sg_store_reader_close(f->reader);
    sg_store_close(f->store);
    sg_clock_destroy(&f->clock);
    for (size_t i = 0; i < SG_ARRAY_LEN(names) && f->directory[0] != '\0'; i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", f->directory, names[i]);
        (void)unlink(path);
    }
    if (f->directory[0] != '\0')
        (void)rmdir(f->directory);
}

#define ON_BOTH_STORES(name)                                                                                                               \
    static void name(struct fixture *f);                                                                                                   \
    Test(node_retention_memory, name)                                                                                                      \
    {                                                                                                                                      \
        struct fixture f;                                                                                                                  \
        open_memory(&f);                                                                                                                   \
        name(&f);                                                                                                                          \
        close_fixture(&f);                                                                                                                 \
    }                                                                                                                                      \
    Test(node_retention_sqlite, name)                                                                                                      \
    {                                                                                                                                      \
        struct fixture f;                                                                                                                  \
        open_sqlite(&f);                                                                                                                   \
        name(&f);                                                                                                                          \
        close_fixture(&f);                                                                                                                 \
    }                                                                                                                                      \
    static void name(struct fixture *f)

/* ---- writing history ---- */

static void put(struct fixture *f, enum sg_kind kind, const struct sg_value *values, size_t value_count)
{
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = kind}};
    for (size_t i = 0; i < SG_COLUMNS_MAX; i++)
        write.record.values[i] = i < value_count ? values[i] : sg_value_null();
    assert_ok(sg_store_commit(f->store, &write, 1, NULL));
}
#define PUT(f, kind, ...) put(f, kind, (struct sg_value[]){__VA_ARGS__}, sizeof((struct sg_value[]){__VA_ARGS__}) / sizeof(struct sg_value))
#define NONE sg_value_null()

static struct sg_value text(const char *terminated)
{
    return sg_value_bytes(sg_str_from(terminated));
}

/* Ids of runs begin with their time, as ULIDs do; those of events are their positions. */
static struct sg_id numbered(uint8_t first, int64_t number)
{
    struct sg_id id = {.bytes = {first}};
    for (int i = 0; i < 8; i++)
        id.bytes[8 + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    return id;
}

static struct sg_id run_id(int64_t number)
{
    return numbered(1, number);
}

static struct sg_id function_id(uint8_t number)
{
    return numbered(2, number);
}

static void put_event(struct fixture *f, int64_t position, int64_t received_at_ms)
{
    struct sg_id id = numbered(3, position);
    PUT(f, SG_KIND_EVENT, sg_value_int(position), sg_value_id(&id), text("a"), sg_value_int(received_at_ms), sg_value_int(received_at_ms),
        text("{}"));
}

static void put_lifecycle(struct fixture *f, int64_t position, int64_t received_at_ms, int64_t run)
{
    struct sg_id id = numbered(3, position);
    struct sg_id about = run_id(run);
    PUT(f, SG_KIND_EVENT, sg_value_int(position), sg_value_id(&id), text("inngest/function.finished"), sg_value_int(received_at_ms),
        sg_value_int(received_at_ms), NONE, sg_value_id(&about));
}

struct spec {
    int64_t number;
    int64_t event; /* position */
    int64_t created_at_ms;
    int64_t ended_at_ms; /* 0: live */
    uint8_t function;
    int steps;
    size_t memo_bytes;
};

static void put_parts(struct fixture *f, const struct spec *spec)
{
    struct sg_id id = run_id(spec->number);
    char *memo = calloc(1, spec->memo_bytes + 1);
    for (int i = 0; i < spec->steps; i++) {
        char step[16];
        snprintf(step, sizeof(step), "step%d", i);
        PUT(f, SG_KIND_STEP, sg_value_id(&id), text(step));
        PUT(f, SG_KIND_MEMO, sg_value_id(&id), text(step), sg_value_int(i), sg_value_bytes((struct sg_str){memo, spec->memo_bytes}));
        PUT(f, SG_KIND_ATTEMPT, sg_value_id(&id), sg_value_int(i));
    }
    free(memo);
}

static void put_run(struct fixture *f, struct spec spec)
{
    struct sg_id id = run_id(spec.number);
    struct sg_id event_id = numbered(3, spec.event);
    struct sg_id function = function_id(spec.function);
    char positions[8] = {0};
    for (int i = 0; i < 8; i++)
        positions[i] = (char)((uint64_t)spec.event >> (56 - 8 * i));
    struct sg_value list = sg_value_bytes((struct sg_str){positions, sizeof(positions)});
    bool is_live = spec.ended_at_ms == 0;
    PUT(f, SG_KIND_RUN, sg_value_id(&id), sg_value_id(&function), sg_value_int(1), sg_value_id(&event_id), list,
        sg_value_int(is_live ? SG_RUN_RUNNING : SG_RUN_COMPLETED), sg_value_int(spec.created_at_ms), sg_value_int(spec.created_at_ms),
        is_live ? NONE : sg_value_int(spec.ended_at_ms));
    if (is_live)
        PUT(f, SG_KIND_RUN_LIVE, sg_value_id(&id), sg_value_id(&function), list, sg_value_int(spec.created_at_ms));
    put_parts(f, &spec);
}

static void put_function(struct fixture *f, uint8_t number, const char *config)
{
    struct sg_id id = function_id(number);
    struct sg_id app = {{0}};
    PUT(f, SG_KIND_FUNCTION, sg_value_id(&id), sg_value_int(1), sg_value_id(&app), text("app-fn"), text("Fn"), text(config));
}

static void put_cursor(struct fixture *f, int64_t position)
{
    PUT(f, SG_KIND_CURSOR, sg_value_int(1), sg_value_int(SG_CURSOR_EVENT), sg_value_int(position), NONE, NONE, NONE, text("a"));
}

/* The newest event always stays, so each history ends with a young one. */
static void put_last_event(struct fixture *f)
{
    put_event(f, 1000000, NOW_MS);
}

/* ---- looking ---- */

static bool has(struct fixture *f, enum sg_kind kind, struct sg_value key)
{
    int64_t found = 0;
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .equal_count = 1, .equal = {key}, .limit = 1};
    assert_ok(sg_store_read(f->reader, &query, count_record, &found, NULL));
    return found > 0;
}

static bool has_event(struct fixture *f, int64_t position)
{
    return has(f, SG_KIND_EVENT, sg_value_int(position));
}

static bool has_run(struct fixture *f, int64_t number)
{
    struct sg_id id = run_id(number);
    return has(f, SG_KIND_RUN, sg_value_id(&id));
}

static bool has_parts(struct fixture *f, int64_t number)
{
    struct sg_id id = run_id(number);
    struct sg_value key = sg_value_id(&id);
    return has(f, SG_KIND_STEP, key) || has(f, SG_KIND_MEMO, key) || has(f, SG_KIND_ATTEMPT, key);
}

static void trim_by_age(struct fixture *f)
{
    struct sg_error error = {.message = ""};
    cr_assert(eq(int, sg_trim_by_age(&f->trim, AGE_MS, &f->report, &error), SG_OK), "%s", error.message);
}

static void trim_by_size(struct fixture *f, int64_t bytes_max)
{
    struct sg_error error = {.message = ""};
    cr_assert(eq(int, sg_trim_by_size(&f->trim, bytes_max, &f->report, &error), SG_OK), "%s", error.message);
}

/* ---- by age ---- */

ON_BOTH_STORES(old_history_goes_and_young_history_stays)
{
    put_event(f, 1, OLD_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS + 5, .steps = 3});
    put_lifecycle(f, 2, OLD_MS + 5, 1);
    put_event(f, 3, OLD_MS); /* nobody listened */
    put_event(f, 4, YOUNG_MS);
    put_run(f, (struct spec){.number = 2, .event = 4, .created_at_ms = YOUNG_MS, .ended_at_ms = YOUNG_MS + 5, .steps = 3});
    put_lifecycle(f, 5, YOUNG_MS + 5, 2);
    put_last_event(f);

    trim_by_age(f);
    cr_assert(not(has_run(f, 1) || has_parts(f, 1)));
    cr_assert(not(has_event(f, 1) || has_event(f, 2) || has_event(f, 3)));
    cr_assert(has_run(f, 2) && has_parts(f, 2) && has_event(f, 4) && has_event(f, 5));
    cr_assert(eq(i64, f->report.runs, 1));
    cr_assert(eq(i64, f->report.events, 3));
    cr_assert(eq(i64, f->report.rows, 13));

    trim_by_age(f);
    cr_assert(eq(i64, f->report.rows, 0));
}

ON_BOTH_STORES(live_run_keeps_all_it_has_however_old)
{
    put_event(f, 1, OLD_MS - 80 * DAY_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS - 80 * DAY_MS, .steps = 2});
    put_last_event(f);
    trim_by_age(f);
    f->row_bytes = 1 << 20;
    trim_by_size(f, 1);
    cr_assert(not(f->report.is_satisfied));
    cr_assert(has_event(f, 1) && has_run(f, 1));
    cr_assert(eq(i64, count(f, SG_KIND_STEP) + count(f, SG_KIND_MEMO) + count(f, SG_KIND_ATTEMPT), 6));
}

/* Its jobs are deleted in slices after its end; until that is done it has a row in run_live. */
ON_BOTH_STORES(ended_run_that_is_still_being_cleared_stays)
{
    struct sg_id id = run_id(1);
    struct sg_id function = function_id(1);
    put_event(f, 1, OLD_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS, .steps = 1});
    PUT(f, SG_KIND_RUN_LIVE, sg_value_id(&id), sg_value_id(&function), sg_value_bytes((struct sg_str){"\0\0\0\0\0\0\0\1", 8}));
    put_last_event(f);
    trim_by_age(f);
    cr_assert(has_run(f, 1) && has_parts(f, 1) && has_event(f, 1));
}

ON_BOTH_STORES(run_that_lived_long_is_as_old_as_its_end_and_keeps_its_event)
{
    put_event(f, 1, OLD_MS - 30 * DAY_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS - 30 * DAY_MS, .ended_at_ms = YOUNG_MS, .steps = 1});
    put_last_event(f);
    trim_by_age(f);
    cr_assert(has_run(f, 1) && has_parts(f, 1) && has_event(f, 1));

    atomic_store(&f->now_ms, NOW_MS + 2 * DAY_MS);
    trim_by_age(f);
    cr_assert(not(has_run(f, 1) || has_parts(f, 1) || has_event(f, 1)));
}

ON_BOTH_STORES(event_stays_until_the_last_of_its_runs_is_gone)
{
    put_event(f, 1, OLD_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS});
    put_run(f, (struct spec){.number = 2, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = YOUNG_MS});
    put_last_event(f);
    trim_by_age(f);
    cr_assert(not(has_run(f, 1)));
    cr_assert(has_run(f, 2) && has_event(f, 1));
}

ON_BOTH_STORES(event_on_its_way_to_its_consumers_stays)
{
    put_event(f, 1, OLD_MS);
    put_event(f, 2, OLD_MS);
    put_cursor(f, 1);
    put_last_event(f);
    trim_by_age(f);
    cr_assert(has_event(f, 1));
    cr_assert(not(has_event(f, 2)));
}

ON_BOTH_STORES(event_in_an_open_batch_stays)
{
    struct sg_id batch = numbered(9, 1);
    put_event(f, 1, OLD_MS);
    PUT(f, SG_KIND_BATCH_ITEM, sg_value_id(&batch), sg_value_int(1));
    put_last_event(f);
    trim_by_age(f);
    cr_assert(has_event(f, 1));
}

/* A failed run's handler sleeps: its event is made from the failed run and from what had started that, a lifecycle event as well. */
static void put_chain(struct fixture *f)
{
    put_function(f, 1, "{\"triggers\":[{\"event\":\"a\"}]}");
    put_function(f, 2, "{\"triggers\":[{\"event\":\"inngest/function.failed\"}]}");
    put_event(f, 1, OLD_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS, .function = 1, .steps = 1});
    put_lifecycle(f, 2, OLD_MS, 1);
    put_run(f, (struct spec){.number = 2, .event = 2, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS, .function = 2, .steps = 1});
    put_lifecycle(f, 3, OLD_MS, 2);
    put_last_event(f);
}

ON_BOTH_STORES(handler_of_a_failed_run_keeps_what_its_event_is_made_from)
{
    put_chain(f);
    put_run(f, (struct spec){.number = 3, .event = 3, .created_at_ms = OLD_MS, .function = 2});
    trim_by_age(f);
    cr_assert(eq(i64, f->report.rows, 0));
    cr_assert(has_run(f, 1) && has_run(f, 2) && has_run(f, 3));
    cr_assert(has_event(f, 1) && has_event(f, 2) && has_event(f, 3));
}

ON_BOTH_STORES(lifecycle_event_on_its_way_keeps_what_it_is_made_from)
{
    put_chain(f);
    put_cursor(f, 3);
    trim_by_age(f);
    cr_assert(eq(i64, f->report.rows, 0));
}

ON_BOTH_STORES(chain_of_runs_and_lifecycle_events_goes_when_nobody_needs_it)
{
    put_chain(f);
    trim_by_age(f);
    cr_assert(eq(i64, count(f, SG_KIND_RUN), 0));
    cr_assert(eq(i64, count(f, SG_KIND_EVENT), 1));
}

/* Numbering of events goes on behind it after a restart. */
ON_BOTH_STORES(newest_event_stays_however_old)
{
    put_event(f, 1, OLD_MS);
    put_event(f, 2, OLD_MS);
    trim_by_age(f);
    cr_assert(not(has_event(f, 1)));
    cr_assert(has_event(f, 2));
}

ON_BOTH_STORES(nothing_younger_than_ten_minutes_goes)
{
    int64_t created_at_ms = NOW_MS - 9 * MINUTE_MS;
    put_event(f, 1, created_at_ms);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = created_at_ms, .ended_at_ms = created_at_ms});
    put_last_event(f);
    assert_ok(sg_trim_by_age(&f->trim, 1, &f->report, NULL));
    trim_by_size(f, 1);
    cr_assert(has_run(f, 1) && has_event(f, 1));
    atomic_store(&f->now_ms, NOW_MS + 2 * MINUTE_MS);
    trim_by_size(f, 1);
    cr_assert(not(has_run(f, 1) || has_event(f, 1)));
}

ON_BOTH_STORES(run_without_end_that_nobody_runs_is_trimmed_as_a_leftover)
{
    put_event(f, 1, OLD_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS, .steps = 1});
    struct sg_id id = run_id(1);
    struct sg_write write = {.op = SG_WRITE_DELETE, .record = {.kind = SG_KIND_RUN_LIVE}};
    write.record.values[0] = sg_value_id(&id);
    assert_ok(sg_store_commit(f->store, &write, 1, NULL));
    put_last_event(f);
    trim_by_age(f);
    cr_assert(not(has_run(f, 1) || has_parts(f, 1) || has_event(f, 1)));
}

/* Rows of runs are on the engine's clock, which a user has moved; those of events on the wall clock. */
Test(node_retention, moved_clock_ages_runs_but_not_events)
{
    struct fixture f;
    open_memory(&f);
    sg_clock_destroy(&f.clock);
    sg_clock_init(&f.clock, 30 * DAY_MS, &(struct sg_time_source){fake_ns, fake_ns, &f});
    put_event(&f, 1, YOUNG_MS);
    put_run(&f, (struct spec){.number = 1, .event = 1, .created_at_ms = YOUNG_MS, .ended_at_ms = YOUNG_MS});
    put_run(&f, (struct spec){.number = 2, .event = 1, .created_at_ms = YOUNG_MS + 30 * DAY_MS, .ended_at_ms = YOUNG_MS + 30 * DAY_MS});
    put_event(&f, 2, YOUNG_MS);
    put_last_event(&f);
    trim_by_age(&f);
    cr_assert(not(has_run(&f, 1)));
    cr_assert(has_run(&f, 2) && has_event(&f, 1) && has_event(&f, 2));
    close_fixture(&f);
}

/* ---- many rows ---- */

/* `run_count` finished runs, a minute apart, each with its event and its lifecycle event; ended as soon as they were created. */
static void put_history(struct fixture *f, int run_count, int64_t first_at_ms, int steps, size_t memo_bytes)
{
    for (int i = 0; i < run_count; i++) {
        int64_t at_ms = first_at_ms + i * MINUTE_MS;
        put_event(f, 2 * i + 1, at_ms);
        put_run(f, (struct spec){.number = i + 1,
                                 .event = 2 * i + 1,
                                 .created_at_ms = at_ms,
                                 .ended_at_ms = at_ms,
                                 .steps = steps,
                                 .memo_bytes = memo_bytes});
        put_lifecycle(f, 2 * i + 2, at_ms, i + 1);
    }
    put_last_event(f);
}

ON_BOTH_STORES(long_history_goes_completely_in_bounded_commits)
{
    put_history(f, 500, OLD_MS - DAY_MS, 2, 0);
    trim_by_age(f);
    cr_assert(eq(i64, count(f, SG_KIND_RUN), 0));
    cr_assert(eq(i64, count(f, SG_KIND_EVENT), 1));
    cr_assert(eq(i64, count(f, SG_KIND_STEP) + count(f, SG_KIND_MEMO) + count(f, SG_KIND_ATTEMPT), 0));
    cr_assert(le(sz, f->most_writes, SG_LIMIT_TRIM_WRITES));
    cr_assert(eq(i64, f->report.rows, 500 * 9));
    /* And not in needlessly many. */
    cr_assert(lt(int, f->commits, 60));
}

ON_BOTH_STORES(large_run_goes_in_several_commits)
{
    put_event(f, 1, OLD_MS);
    put_run(f, (struct spec){.number = 1, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS, .steps = 1000});
    put_last_event(f);
    trim_by_age(f);
    cr_assert(not(has_run(f, 1) || has_parts(f, 1)));
    cr_assert(eq(sz, f->most_writes, SG_LIMIT_TRIM_WRITES));
    cr_assert(ge(int, f->commits, 3000 / SG_LIMIT_TRIM_WRITES));
}

ON_BOTH_STORES(large_values_go_in_several_commits)
{
    put_event(f, 1, OLD_MS);
    put_run(
        f, (struct spec){
               .number = 1, .event = 1, .created_at_ms = OLD_MS, .ended_at_ms = OLD_MS, .steps = 8, .memo_bytes = SG_LIMIT_TRIM_BYTES / 2});
    put_last_event(f);
    trim_by_age(f);
    cr_assert(not(has_parts(f, 1)));
    cr_assert(ge(int, f->commits, 4));
}

/* ---- by size ---- */

ON_BOTH_STORES(oldest_history_goes_first_until_the_store_is_small_enough)
{
    put_history(f, 400, YOUNG_MS, 0, 0);
    trim_by_size(f, 1201 * f->row_bytes);
    cr_assert(eq(i64, f->report.rows, 0)); /* it is small enough */

    trim_by_size(f, 900 * f->row_bytes);
    cr_assert(f->report.is_satisfied);
    int64_t left = count(f, SG_KIND_EVENT) + count(f, SG_KIND_RUN);
    cr_assert(le(i64, left, 900 - 900 / 32));
    cr_assert(gt(i64, left, 900 - 900 / 32 - 2 * SG_LIMIT_TRIM_WRITES));
    /* What is left is the newest of both: no old event survives next to many young runs, or the other way round. */
    int64_t runs_gone = 400 - count(f, SG_KIND_RUN);
    int64_t events_gone = 801 - count(f, SG_KIND_EVENT);
    cr_assert(gt(i64, runs_gone, 60));
    cr_assert(gt(i64, events_gone, 60));
    cr_assert(not(has_run(f, 1)));
    cr_assert(not(has_run(f, runs_gone)));
    cr_assert(has_run(f, runs_gone + 1) && has_run(f, 400));
    cr_assert(not(has_event(f, 1)));
    cr_assert(not(has_event(f, events_gone)));
    cr_assert(has_event(f, events_gone + 1));
}

Test(node_retention, pages_that_deletes_have_freed_do_not_count)
{
    struct fixture f;
    int64_t bytes_max = 2 << 20;
    int64_t used = 0;
    open_sqlite(&f);
    f.trim.measure = measure_store;
    put_history(&f, 400, YOUNG_MS, 1, 10000);
    assert_ok(measure_store(&f, &used, NULL));
    cr_assert(gt(i64, used, 2 * bytes_max));

    trim_by_size(&f, bytes_max);
    cr_assert(f.report.is_satisfied);
    assert_ok(measure_store(&f, &used, NULL));
    cr_assert(le(i64, used, bytes_max));
    cr_assert(gt(i64, used, bytes_max / 4));
    cr_assert(not(has_run(&f, 1)));
    cr_assert(has_run(&f, 400) && has_parts(&f, 400));

    trim_by_size(&f, bytes_max);
    cr_assert(eq(i64, f.report.rows, 0));
    close_fixture(&f);
}

/* ---- crashes, failures ---- */

/* A history with something of every kind to keep; what must hold of it at any moment of a sweep. */
static void put_mixture(struct fixture *f)
{
    put_chain(f);
    put_run(f, (struct spec){.number = 3, .event = 3, .created_at_ms = OLD_MS, .function = 2, .steps = 2}); /* live: keeps the chain */
    for (int i = 0; i < 40; i++) {
        put_event(f, 100 + i, OLD_MS + i);
        put_run(
            f,
            (struct spec){
                .number = 10 + i, .event = 100 + i, .created_at_ms = OLD_MS + i, .ended_at_ms = OLD_MS + i, .steps = i == 20 ? 200 : 10});
    }
    put_event(f, 200, OLD_MS);
    put_cursor(f, 200);
}

static void check_mixture(struct fixture *f)
{
    for (int64_t number = 1; number <= 3; number++)
        cr_assert(has_run(f, number) && has_parts(f, number) && has_event(f, number), "%d", (int)number);
    cr_assert(has_event(f, 200));
    /* A run that is there has its event. */
    for (int i = 0; i < 40; i++)
        cr_assert(not(has_run(f, 10 + i) && !has_event(f, 100 + i)));
    /* Rows whose run is gone would never be found again. */
    for (int i = 0; i < 40; i++)
        cr_assert(has_run(f, 10 + i) || !has_parts(f, 10 + i));
}

ON_BOTH_STORES(sweep_cut_short_anywhere_leaves_order_and_the_next_one_goes_on)
{
    put_mixture(f);
    bool was_cut = true;
    for (int commits = 0; was_cut; commits++) {
        cr_assert(lt(int, commits, 100));
        /* Each round gets one commit further on what the round before has left. */
        f->commits = 0;
        f->fail_after = 1;
        was_cut = sg_trim_by_age(&f->trim, AGE_MS, &f->report, NULL) != SG_OK;
        check_mixture(f);
    }
    cr_assert(eq(i64, count(f, SG_KIND_RUN), 3));
    cr_assert(eq(i64, count(f, SG_KIND_EVENT), 5));
}

Test(node_retention, commit_whose_outcome_is_unknown_is_harmless)
{
    struct fixture f;
    open_memory(&f);
    put_mixture(&f);
    sg_store_memory_fail_next(f.store, 1, SG_STORE_IO, true);
    cr_assert(eq(int, sg_trim_by_age(&f.trim, AGE_MS, &f.report, NULL), SG_STORE_IO));
    check_mixture(&f);
    trim_by_age(&f);
    check_mixture(&f);
    cr_assert(eq(i64, count(&f, SG_KIND_RUN), 3));
    close_fixture(&f);
}

Test(node_retention, every_failing_allocation_is_survived)
{
    struct fixture f;
    bool has_failed = true;
    open_memory(&f);
    put_mixture(&f);
    for (uint64_t nth = 1; has_failed; nth++) {
        struct fixture copy = {.store = NULL};
        assert_ok(sg_store_memory_copy(f.store, &copy.store, NULL));
        open_common(&copy);
        sg_alloc_fail_at(nth, false);
        enum sg_status status = sg_trim_by_age(&copy.trim, AGE_MS, &copy.report, NULL);
        has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        cr_assert(eq(int, status, has_failed ? SG_NO_MEMORY : SG_OK));
        check_mixture(&copy);
        close_fixture(&copy);
    }
    close_fixture(&f);
}

static bool stop_at_once(void *context, int64_t took_ns)
{
    (void)context;
    (void)took_ns;
    return true;
}

Test(node_retention, sweep_ends_when_told_to)
{
    struct fixture f;
    open_memory(&f);
    put_history(&f, 300, OLD_MS - DAY_MS, 0, 0);
    f.trim.rest = stop_at_once;
    cr_assert(eq(int, sg_trim_by_age(&f.trim, AGE_MS, &f.report, NULL), SG_SHUTTING_DOWN));
    cr_assert(ge(i64, count(&f, SG_KIND_RUN), 200));
    close_fixture(&f);
}

/* ---- duplicates ---- */

/* An engine as a restart would find it. */
static struct sg_engine *engine_of(struct fixture *f, struct sg_batch **batch)
{
    struct sg_engine *engine = NULL;
    assert_ok(sg_engine_create(&(struct sg_engine_options){.seed = 7}, &engine, NULL));
    *batch = sg_batch_create(1);
    assert_ok(sg_restore_engine(f->store, engine, &f->clock, *batch, NULL));
    return engine;
}

static void handle(struct fixture *f, struct sg_engine *engine, struct sg_message *message)
{
    struct sg_batch *batch = sg_batch_create(2);
    assert_ok(sg_engine_handle(engine, message, sg_clock_now_ms(&f->clock), batch));
    assert_ok(sg_store_commit(f->store, batch->writes, batch->write_count, NULL));
    sg_batch_free(batch);
}

static struct sg_message *registration(void)
{
    struct sg_message *message = message_of(SG_MESSAGE_REGISTER);
    struct sg_function_in *function = sg_arena_zalloc(&message->arena, sizeof(*function));
    *function = (struct sg_function_in){
        .id = function_id(1),
        .slug = SG_STR("app-fn"),
        .name = SG_STR("Fn"),
        .config = SG_STR(
            "{\"id\":\"app-fn\",\"name\":\"Fn\",\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\","
            "\"runtime\":{\"type\":\"http\",\"url\":\"http://127.0.0.1:1/?fnId=app-fn&stepId=step\"}}},\"triggers\":[{\"event\":\"a\"}]}")};
    message->as.registration = (struct sg_registration){.app_id = numbered(4, 1),
                                                        .app_name = SG_STR("app"),
                                                        .url = SG_STR("http://127.0.0.1:1/"),
                                                        .sdk = SG_STR("js:v3.0.0"),
                                                        .framework = SG_STR("x"),
                                                        .app_version = SG_STR(""),
                                                        .checksum = SG_STR("c"),
                                                        .sync_kind = SG_STR("in_band"),
                                                        .functions = function,
                                                        .function_count = 1};
    return message;
}

static enum sg_status collect_known(void *context, const struct sg_record *record)
{
    struct sg_message *message = context;
    struct sg_known_key *known = sg_arena_zalloc(&message->arena, sizeof(*known));
    *known = (struct sg_known_key){sg_value_get_id(&record->values[SG_IDEMPOTENCY_KEY]),
                                   sg_value_get_id(&record->values[SG_IDEMPOTENCY_FUNCTION_ID])};
    message->as.events.known = known;
    message->as.events.known_count = 1;
    return SG_OK;
}

/* An event with an id of its own, with what a lookup of that id finds. */
static struct sg_message *event_with_id(struct fixture *f, int64_t number, bool is_looked_up)
{
    struct sg_message *message = message_of(SG_MESSAGE_EVENTS);
    struct sg_event_in *event = sg_arena_zalloc(&message->arena, sizeof(*event));
    *event = (struct sg_event_in){.internal_id = numbered(3, number),
                                  .name = SG_STR("a"),
                                  .body = SG_STR("{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":1}"),
                                  .ts_ms = 1,
                                  .key = numbered(5, 1)};
    message->as.events.events = event;
    message->as.events.count = 1;
    message->as.events.received_at_ms = sg_clock_now_ms(&f->clock);
    struct sg_query query = {
        .kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_KEY, .equal_count = 1, .equal = {sg_value_id(&event->key)}, .limit = 1};
    if (is_looked_up)
        assert_ok(sg_store_read(f->reader, &query, collect_known, message, NULL));
    return message;
}

static enum sg_status note_id(void *context, const struct sg_record *record)
{
    *(struct sg_id *)context = sg_value_get_id(&record->values[0]);
    return SG_OK;
}

ON_BOTH_STORES(duplicate_is_refused_although_its_event_and_run_are_gone)
{
    struct sg_batch *first;
    struct sg_engine *engine = engine_of(f, &first);
    handle(f, engine, registration());
    handle(f, engine, event_with_id(f, 1, true));
    cr_assert(eq(i64, count(f, SG_KIND_RUN_LIVE), 1));
    struct sg_message *cancel = message_of(SG_MESSAGE_CANCEL);
    assert_ok(sg_store_scan(f->store, SG_KIND_RUN_LIVE, note_id, &cancel->as.cancel.run_id, NULL));
    handle(f, engine, cancel);
    cr_assert(eq(i64, count(f, SG_KIND_RUN_LIVE), 0));
    sg_batch_free(first);
    sg_engine_free(engine);

    atomic_store(&f->now_ms, NOW_MS + 23 * HOUR_MS);
    put_last_event(f);
    assert_ok(sg_trim_by_age(&f->trim, HOUR_MS, &f->report, NULL));
    cr_assert(eq(i64, f->report.runs, 1));
    cr_assert(eq(i64, count(f, SG_KIND_EVENT), 1));

    engine = engine_of(f, &first);
    handle(f, engine, event_with_id(f, 2, true));
    cr_assert(eq(i64, count(f, SG_KIND_RUN_LIVE), 0));
    /* It is the key that did it. */
    handle(f, engine, event_with_id(f, 3, false));
    cr_assert(eq(i64, count(f, SG_KIND_RUN_LIVE), 1));
    sg_batch_free(first);
    sg_engine_free(engine);
}

/* ---- the thread ---- */

struct running {
    struct fixture f;
    struct sg_retention *retention;
    struct sg_committer *committer;
    atomic_int let_out;
    atomic_int chores;
    pthread_mutex_t gate; /* held by a test: the store thread stays inside let_out */
};

static void let_out(void *context, struct sg_batch *batch)
{
    struct running *r = context;
    (void)batch;
    atomic_fetch_add(&r->let_out, 1);
    pthread_mutex_lock(&r->gate);
    pthread_mutex_unlock(&r->gate);
}

static bool chore(void *context, struct sg_store *store)
{
    struct running *r = context;
    if (sg_retention_chore(r->retention, store))
        atomic_fetch_add(&r->chores, 1);
    return false;
}

static void start_retention(struct running *r, int64_t age_ms)
{
    struct sg_retention_options retention = {.store = r->f.store, .clock = &r->f.clock, .age_ms = age_ms, .look_interval_ms = 1};
    struct sg_committer_options committer = {
        .store = r->f.store, .context = r, .let_out = let_out, .chore = chore, .retry_min_ms = 1, .retry_max_ms = 1};
    pthread_mutex_init(&r->gate, NULL);
    atomic_store(&r->let_out, 0);
    atomic_store(&r->chores, 0);
    assert_ok(sg_retention_create(&retention, &r->retention, NULL));
    assert_ok(sg_committer_create(&committer, &r->committer, NULL));
    assert_ok(sg_retention_start(r->retention, r->committer, NULL));
}

static void stop_retention(struct running *r)
{
    sg_retention_stop(r->retention);
    cr_assert(sg_committer_stop(r->committer, false));
    sg_retention_free(r->retention);
    sg_committer_free(r->committer);
    pthread_mutex_destroy(&r->gate);
}

static void offer(struct running *r, int64_t number)
{
    struct sg_batch *batch = sg_batch_create(number);
    batch->writes = sg_malloc(sizeof(*batch->writes));
    batch->writes[0] = setting_write("a", "1");
    batch->write_count = 1;
    batch->write_capacity = 1;
    sg_committer_offer(r->committer, batch);
}

Test(node_retention, trims_beside_commits_through_the_store_thread)
{
    struct running r;
    struct sg_retention_totals totals;
    open_memory(&r.f);
    put_history(&r.f, 500, OLD_MS - DAY_MS, 2, 0);
    start_retention(&r, AGE_MS);
    for (int number = 1; number <= 200; number++) {
        offer(&r, number);
        WAIT_UNTIL(atomic_load(&r.let_out) == number);
    }
    WAIT_UNTIL(sg_store_memory_count(r.f.store, SG_KIND_EVENT) == 1);
    sg_retention_stop(r.retention);
    sg_retention_totals(r.retention, &totals);
    cr_assert(eq(i64, totals.runs, 500));
    cr_assert(eq(i64, totals.events, 1000));
    cr_assert(eq(i64, totals.rows, 4500));
    WAIT_UNTIL(totals.commits == atomic_load(&r.chores)); /* the store thread counts here after it has counted there */
    cr_assert(ge(i64, totals.commits, 4500 / SG_LIMIT_TRIM_WRITES));
    stop_retention(&r);
    close_fixture(&r.f);
}

Test(node_retention, goes_on_after_a_restart)
{
    struct running r;
    open_memory(&r.f);
    put_history(&r.f, 500, OLD_MS - DAY_MS, 2, 0);
    for (int restarts = 0; sg_store_memory_count(r.f.store, SG_KIND_EVENT) > 1; restarts++) {
        cr_assert(lt(int, restarts, 100));
        start_retention(&r, AGE_MS);
        WAIT_UNTIL(atomic_load(&r.chores) >= 1);
        stop_retention(&r);
    }
    cr_assert(eq(i64, sg_store_memory_count(r.f.store, SG_KIND_RUN), 0));
    close_fixture(&r.f);
}

Test(node_retention, store_that_refuses_is_asked_again)
{
    struct running r;
    open_memory(&r.f);
    put_history(&r.f, 10, OLD_MS - DAY_MS, 0, 0);
    sg_store_memory_fail_next(r.f.store, 3, SG_STORE_FULL, false);
    start_retention(&r, AGE_MS);
    WAIT_UNTIL(sg_store_memory_count(r.f.store, SG_KIND_RUN) == 0);
    cr_assert(gt(int, atomic_load(&r.chores), 3));
    stop_retention(&r);
    close_fixture(&r.f);
}

static bool is_waiting(struct running *r)
{
    struct sg_retention_totals totals;
    sg_retention_totals(r->retention, &totals);
    return totals.is_waiting;
}

Test(node_retention, stopping_does_not_wait_for_a_busy_store_thread)
{
    struct running r;
    open_memory(&r.f);
    start_retention(&r, AGE_MS);
    pthread_mutex_lock(&r.gate);
    offer(&r, 1);
    WAIT_UNTIL(atomic_load(&r.let_out) == 1);
    put_history(&r.f, 10, OLD_MS - DAY_MS, 0, 0);
    WAIT_UNTIL(is_waiting(&r));
    sg_retention_stop(r.retention);
    pthread_mutex_unlock(&r.gate);
    WAIT_UNTIL(sg_committer_is_idle(r.committer));
    cr_assert(eq(i64, sg_store_memory_count(r.f.store, SG_KIND_RUN), 10));
    stop_retention(&r);
    close_fixture(&r.f);
}

Test(node_retention, without_limits_everything_stays)
{
    struct running r;
    open_memory(&r.f);
    put_history(&r.f, 10, OLD_MS - DAY_MS, 0, 0);
    start_retention(&r, 0);
    offer(&r, 1);
    sg_committer_request_chore(r.committer);
    WAIT_UNTIL(atomic_load(&r.let_out) == 1 && sg_committer_is_idle(r.committer));
    cr_assert(eq(int, atomic_load(&r.chores), 0));
    cr_assert(eq(i64, sg_store_memory_count(r.f.store, SG_KIND_RUN), 10));
    stop_retention(&r);
    close_fixture(&r.f);
}

Test(node_retention, pauses_grow_with_the_commit_and_are_shorter_when_the_disk_fills)
{
    int64_t ms = 1000000;
    cr_assert(eq(i64, sg_retention_pause_ns(2 * ms, false), 38 * ms));
    cr_assert(eq(i64, sg_retention_pause_ns(2 * ms, true), 8 * ms));
    cr_assert(eq(i64, sg_retention_pause_ns(0, false), 0));
    cr_assert(eq(i64, sg_retention_pause_ns(INT64_MAX / 2, false), 60000 * ms));
}
