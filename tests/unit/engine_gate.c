/* The gate of an app: no more of its jobs are under way than may be; the others wait in line. */
#include "unit/engine_fixture.h"

#include <string.h>

static struct fixture *with_limit(int calls_per_app_max)
{
    struct sg_engine_options options = {.calls_per_app_max = calls_per_app_max};
    struct fixture *f = fixture_create_with("10:00:00", &options);
    SERVE(f, {"fn", "demo/go", NULL, 2, 0});
    return f;
}

static enum sg_status id_read(void *context, const struct sg_record *record)
{
    *(struct sg_id *)context = sg_value_get_id(&record->values[SG_RUN_LIVE_ID]);
    return SG_OK;
}

static struct sg_id newest_run(struct fixture *f)
{
    struct sg_id id = {{0}};
    struct sg_query query = {.kind = SG_KIND_RUN_LIVE, .index = SG_INDEX_KEY, .is_descending = true, .limit = 1};
    cr_assert(sg_store_read(f->reader, &query, id_read, &id, NULL) == SG_OK);
    return id;
}

/* Each a second later than the one before. */
static void start_runs(struct fixture *f, int count)
{
    for (int index = 0; index < count; index++) {
        move_clock_ms(f, f->now_ms + 1000);
        send_event(f, "demo/go");
    }
}

Test(engine_gate, an_app_has_no_more_calls_at_once_than_it_may)
{
    struct fixture *f = with_limit(2);

    start_runs(f, 5);
    ASSERT_INT(f->call_count, 2);
    ASSERT_INT(stats(f).calls, 2);
    ASSERT_INT(stats(f).lined, 3);
    ASSERT_INT(stats(f).hydrated, 2);

    for (int call = 0; call < 5; call++)
        finish_to(f, call, "1");
    ASSERT_INT(f->call_count, 5);
    ASSERT_INT(stats(f).lined, 0);
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, what_has_begun_goes_on_before_what_begins)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 3);
    struct sg_id oldest = call_at(f, 0)->run_id;

    report(f, "[{'op':'StepRun','id':'a'}]");
    cr_assert(sg_id_eq(last_call(f)->run_id, oldest));
    report(f, "[{'op':'Sleep','id':'z','opts':{'duration':'1m'}}]");
    ASSERT_INT(f->call_count, 3);
    cr_assert(sg_id_cmp(last_call(f)->run_id, oldest) != 0);

    move_clock_ms(f, f->now_ms + 60000); /* the oldest wakes, and is the first in line */
    ASSERT_INT(f->call_count, 3);
    finish(f, "1");
    cr_assert(sg_id_eq(last_call(f)->run_id, oldest));
    finish(f, "1");
    finish(f, "1");
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, another_app_does_not_wait)
{
    struct fixture *f = with_limit(1);
    struct rig_function other = {"other", "demo/other", NULL, 0, 0};
    post(f, rig_registration("other", "http://127.0.0.1:3001/api/inngest", "o", &other, 1));
    start_runs(f, 3);

    send_event(f, "demo/other");

    ASSERT_INT(f->call_count, 2);
    cr_assert(sg_str_eq(last_call(f)->slug, SG_STR("other")));
    fixture_free(f);
}

Test(engine_gate, runs_that_are_woken_all_at_once_are_read_a_few_at_a_time)
{
    struct fixture *f = with_limit(2);
    start_runs(f, 5);
    for (int call = 0; call < 5; call++)
        report_to(f, call, "[{'op':'WaitForEvent','id':'w','name':'demo/wake','opts':{'timeout':'1h'}}]");
    crash(f); /* all of them are parked */
    f->is_holding_loads = true;

    send_event(f, "demo/wake");
    ASSERT_INT(stats(f).hydrated, 2);
    ASSERT_INT(stats(f).lined, 3);

    f->is_holding_loads = false;
    release_loads(f);
    for (int call = 5; call < 10; call++)
        finish_to(f, call, "1");
    ASSERT_INT(f->call_count, 10);
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, a_cancelled_run_gives_its_place_to_the_next)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 3);

    cancel(f, call_at(f, 0)->run_id);
    ASSERT_INT(f->call_count, 2);
    ASSERT_INT(stats(f).lined, 1);

    cancel(f, last_call(f)->run_id);
    ASSERT_INT(f->call_count, 3);
    finish_to(f, 2, "1");
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, one_that_is_cancelled_in_line_is_never_called)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 2);

    cancel(f, newest_run(f));
    finish_to(f, 0, "1");

    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, an_attempt_that_waits_for_its_time_holds_no_place)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 2);

    fail(f, "{'message':'boom','name':'Error'}", false);

    ASSERT_INT(f->call_count, 2);
    finish(f, "1");
    move_to_next_due(f);
    ASSERT_TEXT(calls_from(f, 2), "step@0#1");
    finish(f, "1");
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, the_line_forms_again_after_a_crash)
{
    struct fixture *f = with_limit(2);
    start_runs(f, 5);

    crash(f);

    ASSERT_INT(stats(f).calls, 2);
    ASSERT_INT(stats(f).lined, 3);
    for (int call = 2; call < 7; call++)
        finish_to(f, call, "1");
    ASSERT_INT(stats(f).runs, 0);
    fixture_free(f);
}

Test(engine_gate, who_asks_why_is_told_of_the_line)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 2);
    const char *text = why(f, newest_run(f));

    cr_assert(strstr(text, "\"state\":\"in_line\"") != NULL, "%s", text);
    cr_assert(strstr(text, "1 jobs of its app are under way, as many as may be (--max-calls-per-app); 1 wait") != NULL, "%s", text);
    fixture_free(f);
}

/* A place that is free for a moment belongs to the line, not to who comes due in that moment. */
Test(engine_gate, who_comes_due_when_a_place_becomes_free_goes_behind_the_line)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 2);
    struct sg_id second = newest_run(f);
    move_clock_ms(f, f->now_ms + 1000);

    begin_batch(f);
    finish(f, "1");
    send_event(f, "demo/go");
    end_batch(f);

    ASSERT_INT(f->call_count, 2);
    cr_assert(sg_id_eq(last_call(f)->run_id, second));
    fixture_free(f);
}

Test(engine_gate, a_place_that_becomes_free_when_the_last_in_line_is_cancelled_is_free)
{
    struct fixture *f = with_limit(1);
    start_runs(f, 2);

    begin_batch(f);
    finish(f, "1");
    cancel(f, newest_run(f));
    end_batch(f);

    ASSERT_INT(stats(f).runs, 0);
    ASSERT_INT(next_due(f), INT64_MAX);
    send_event(f, "demo/go");
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}
