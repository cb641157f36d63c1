/*
 * What users of such servers have stumbled over, as far as it is the engine's affair: the names are those of reference/11. Others are in the files of
 * their concepts, and in tests/e2e/field.test.mjs.
 */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

#define RACE "'opts':{'parallelMode':'race'}"

static int occurrences(const char *text, const char *part)
{
    int found = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        found++;
    return found;
}

/* A function that `settings` configure further, and a run of it for each of `count` ids from 1. */
static struct fixture *with_runs(const char *settings, int count, struct sg_id *runs)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0, settings});
    for (int i = 0; i < count; i++) {
        SEND(f, {.name = "demo/go", .data = sg_arena_printf(&f->arena, "{'id':%d}", i + 1).ptr});
        runs[i] = f->last_run;
    }
    return f;
}

static const char *status_of(struct fixture *f, struct sg_id run)
{
    f->last_run = run;
    return run_status(f);
}

/* ---- each step once ---- */

Test(engine_field, race_mode_slow_sibling_runs_once)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'StepPlanned','id':'a'," RACE "},{'op':'StepPlanned','id':'c'," RACE "}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'," RACE "}]");
    report_to(f, 3, "[{'op':'StepPlanned','id':'b'," RACE "},{'op':'StepPlanned','id':'c'," RACE "}]");
    ASSERT_TEXT(calls(f), "step@0 a@0! c@0! step@1 b@1!");
    crash(f); /* the calls in flight are made again, no others */
    report_to(f, 6, "[{'op':'StepRun','id':'b'," RACE "}]");
    ASSERT_INT(occurrences(calls_from(f, 5), "c@"), 1);

    fixture_free(f);
}

Test(engine_field, discovery_request_with_repeated_id_still_continues)
{
    struct fixture *f = fixture_with_run("10:00:00");

    for (int i = 0; i < 3; i++)
        report(f, "[{'op':'DiscoveryRequest','id':'again'}]");
    report(f, "[{'op':'RunComplete','id':'complete','data':1}]");

    ASSERT_INT(f->call_count, 4);
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

/* ---- waits ---- */

Test(engine_field, run_ends_at_its_result_and_drops_losing_waits)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f,
           "[{'op':'WaitForEvent','id':'w','name':'demo/"
           "paid','opts':{'timeout':'4h','parallelMode':'race'}},{'op':'StepPlanned','id':'a'," RACE "},"
           "{'op':'Sleep','id':'z','name':'3h'," RACE "},{'op':'WaitForSignal','id':'s','name':'x','opts':{'signal':'x','timeout':'1h'}}]");
    report_to(f, 1, "[{'op':'StepRun','id':'a'," RACE "}]");
    finish(f, "'done'");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    SEND(f, {.name = "demo/paid"});
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}

Test(engine_field, indexed_condition_keeps_its_in_clause)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','if':'async.data.id == \\\"x\\\" && async.data.fn "
              "in [\\\"a\\\", \\\"b\\\"]'}}]");
    SEND(f, {.name = "demo/paid", .data = "{'fn':'c','id':'x'}"});
    SEND(f, {.name = "demo/paid", .data = "{'fn':'a','id':'y'}"});
    ASSERT_TEXT(memo(f, "w"), "-");
    SEND(f, {.name = "demo/paid", .data = "{'fn':'a','id':'x'}"});

    cr_assert(strstr(memo(f, "w"), "\"fn\":\"a\"") != NULL);
    fixture_free(f);
}

/* The event and the timeout in the same moment, in the one order or the other, with or without a crash between them. */
static void race_once(bool is_event_first, bool has_crash)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h'}}]");
    move_clock_ms(f, AT("11:00:00") - (is_event_first ? 1 : 0));
    SEND(f, {.name = "demo/paid"});
    if (has_crash)
        crash(f);
    move_clock(f, "11:00:00");
    SEND(f, {.name = "demo/paid"});

    bool is_null = strcmp(memo(f, "w"), "null") == 0;
    cr_expect(is_null == !is_event_first);
    cr_expect(strcmp(stack(f), "w") == 0);
    finish(f, "1");
    cr_expect(strcmp(run_status(f), "Completed") == 0);
    cr_expect(occurrences(events(f), "function.finished") == 1);
    fixture_free(f);
}

Test(engine_field, event_and_timeout_race_has_one_winner)
{
    for (int i = 0; i < 4; i++)
        race_once(i % 2 == 0, i >= 2);
}

/* ---- cancelling ---- */

Test(engine_field, cancel_on_condition_hits_only_the_matching_run)
{
    struct sg_id runs[2];
    struct fixture *f = with_runs("'cancel':[{'event':'demo/stop','if':'event.data.id == async.data.id'}]", 2, runs);
    SEND(f, {.name = "demo/stop", .data = "{'id':1}"});
    ASSERT_TEXT(status_of(f, runs[0]), "Cancelled");
    finish_to(f, 1, "1");
    ASSERT_TEXT(status_of(f, runs[1]), "Completed");
    fixture_free(f);

    f = with_runs("'cancel':[{'event':'demo/stop'}]", 2, runs);
    SEND(f, {.name = "demo/stop", .data = "{'id':1}"});
    ASSERT_TEXT(status_of(f, runs[0]), "Cancelled");
    ASSERT_TEXT(status_of(f, runs[1]), "Cancelled");
    fixture_free(f);
}

Test(engine_field, cancelled_runs_never_emit_function_failed)
{
    struct sg_id runs[4];
    struct fixture *f =
        with_runs("'cancel':[{'event':'demo/stop','if':'event.data.id == async.data.id'}],'timeouts':{'finish':'1m'}", 4, runs);

    SEND(f, {.name = "demo/stop", .data = "{'id':1}"});
    cancel(f, runs[1]);
    fail_to(f, 2, "{'error':'NonRetriableError','message':'no','name':'Error'}", true);
    move_clock(f, "10:01:00"); /* the fourth has not ended in time */

    ASSERT_TEXT(status_of(f, runs[2]), "Failed");
    ASSERT_TEXT(status_of(f, runs[3]), "Cancelled");
    ASSERT_INT(occurrences(events(f), "inngest/function.cancelled"), 3);
    ASSERT_INT(occurrences(events(f), "inngest/function.failed"), 1);
    ASSERT_INT(occurrences(events(f), "inngest/function.finished"), 4);
    fixture_free(f);
}

Test(engine_field, resync_applies_new_config_to_new_runs_only)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    struct sg_id before = f->last_run;
    SERVE(f, {"fn", "demo/go", NULL, -1, 1, "'cancel':[{'event':'demo/stop'}]"});
    send_event(f, "demo/go");
    struct sg_id after = f->last_run;

    SEND(f, {.name = "demo/stop"});

    ASSERT_TEXT(status_of(f, before), "Running");
    ASSERT_TEXT(status_of(f, after), "Cancelled");
    fixture_free(f);
}

/* ---- invoking ---- */

/* How the step ends that invoked a function which `end` brings to its end. */
static void child_ends(const char *way, const char *settings, void (*end)(struct fixture *f, struct sg_id child), const char *expected)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"callee", "demo/other", NULL, 0, 0, settings});
    send_event(f, "demo/go");
    struct sg_id parent = f->last_run;
    report(f, "[{'op':'InvokeFunction','id':'i','opts':{'function_id':'callee','payload':{'data':{'id':7}}}}]");
    end(f, f->last_run);

    f->last_run = parent;
    cr_expect(strstr(memo(f, "i"), expected) != NULL, "%s: %s", way, memo(f, "i"));
    cr_expect(sg_str_eq(last_call(f)->slug, SG_STR("fn")), "%s: the parent is called", way);
    cr_expect(count(f, SG_KIND_PAUSE) == 0, "%s", way);
    fixture_free(f);
}

static void by_success(struct fixture *f, struct sg_id child)
{
    (void)child;
    finish(f, "{'ok':1}");
}

static void by_failure(struct fixture *f, struct sg_id child)
{
    (void)child;
    fail(f, "{'error':'invalid status code: 500','message':'boom','name':'Error'}", false);
}

static void by_cancel(struct fixture *f, struct sg_id child)
{
    cancel(f, child);
}

static void by_event(struct fixture *f, struct sg_id child)
{
    (void)child;
    SEND(f, {.name = "demo/stop", .data = "{'id':7}"});
}

static void by_time(struct fixture *f, struct sg_id child)
{
    (void)child;
    move_clock(f, "10:01:00");
}

Test(engine_field, every_way_a_child_can_end_reaches_its_parent)
{
    child_ends("success", NULL, by_success, "{\"data\":{\"ok\":1}}");
    child_ends("failure", NULL, by_failure, "boom");
    child_ends("cancelled through the API", NULL, by_cancel, "cancelled");
    child_ends("cancelled by an event", "'cancel':[{'event':'demo/stop','if':'event.data.id == async.data.id'}]", by_event, "cancelled");
    child_ends("finish timeout", "'timeouts':{'finish':'1m'}", by_time, "cancelled");
}

/* ---- one bad job ---- */

/* The loads that are kept fail for every tenth run; the others get what they asked for. */
static void fail_every_tenth_load(struct fixture *f)
{
    struct sg_effect good[128];
    int good_count = 0;
    int bad_count = 0;
    for (int i = 0; i < f->load_count; i++)
        if (i % 10 == 9)
            f->loads[bad_count++] = f->loads[i];
        else
            good[good_count++] = f->loads[i];
    f->load_count = bad_count;
    fail_loads(f);
    memcpy(f->loads, good, (size_t)good_count * sizeof(good[0]));
    f->load_count = good_count;
    release_loads(f);
}

Test(engine_field, one_bad_job_in_a_batch_harms_no_other)
{
    enum { RUNS = 100 };
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0});
    for (int i = 0; i < RUNS; i++) {
        send_event(f, "demo/go");
        report(f, "[{'op':'Sleep','id':'z','name':'1m'}]");
    }
    int before = f->call_count;
    f->is_holding_loads = true;
    move_clock(f, "10:01:00");
    ASSERT_INT(f->load_count, RUNS);

    fail_every_tenth_load(f);

    ASSERT_INT(f->call_count - before, RUNS - RUNS / 10);
    while (before < f->call_count)
        finish_to(f, before++, "1");
    ASSERT_INT(stats(f).runs, 0);
    ASSERT_INT(stats(f).damaged, RUNS / 10);
    ASSERT_INT(occurrences(events(f), "inngest/function.failed"), RUNS / 10);
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}
