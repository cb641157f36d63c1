/* Which functions an event starts (reference/04 §3, §4.1), and when. */
#include "unit/engine_fixture.h"

#include <stdio.h>

static int64_t runs_started_by(const char *trigger, const char *event)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", trigger, NULL, -1, 0});
    send_event(f, event);
    int64_t runs = runs_of(f, "fn");
    fixture_free(f);
    return runs;
}

Test(engine_triggers, names_match_exactly_and_with_regard_to_case)
{
    ASSERT_INT(runs_started_by("app/user.created", "app/user.created"), 1);
    ASSERT_INT(runs_started_by("app/user.created", "app/user.Created"), 0);
    ASSERT_INT(runs_started_by("app/user.created", "app/user"), 0);
    ASSERT_INT(runs_started_by("signup", "signup"), 1);
}

Test(engine_triggers, a_wildcard_stands_behind_a_slash_or_a_dot)
{
    ASSERT_INT(runs_started_by("app/*", "app/user.created"), 1);
    ASSERT_INT(runs_started_by("app/*", "app/x/y"), 1);
    ASSERT_INT(runs_started_by("app/user.*", "app/user.created"), 1);
    ASSERT_INT(runs_started_by("a.b.*", "a.b.c"), 1);
    ASSERT_INT(runs_started_by("a.*", "a.b.c"), 1);
    ASSERT_INT(runs_started_by("api/v1/*", "api/v1/users"), 1);
}

Test(engine_triggers, a_wildcard_elsewhere_is_only_a_star)
{
    ASSERT_INT(runs_started_by("*", "signup"), 0);
    ASSERT_INT(runs_started_by("app/u*", "app/user"), 0);
    ASSERT_INT(runs_started_by("*/user", "app/user"), 0);
    ASSERT_INT(runs_started_by("app/*", "apps/user"), 0);
    ASSERT_INT(runs_started_by("app/*", "app"), 0);
}

Test(engine_triggers, a_function_with_several_matching_triggers_runs_once)
{
    ASSERT_INT(runs_started_by("app/user.created app/* app/user.*", "app/user.created"), 1);
}

Test(engine_triggers, every_listening_function_gets_its_run)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"one", "demo/go", NULL, -1, 0}, {"two", "demo/*", NULL, -1, 0}, {"three", "other", NULL, -1, 0});

    send_event(f, "demo/go");

    ASSERT_INT(runs_of(f, "one"), 1);
    ASSERT_INT(runs_of(f, "two"), 1);
    ASSERT_INT(runs_of(f, "three"), 0);
    fixture_free(f);
}

Test(engine_triggers, an_expression_decides)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", "event.data.n > 2", -1, 0});

    SEND(f, {.name = "demo/go", .data = "{'n':1}"}, {.name = "demo/go", .data = "{'n':3}"}, {.name = "demo/go", .data = "{'n':'x'}"},
         {.name = "demo/go"});

    ASSERT_INT(runs_of(f, "fn"), 1);
    fixture_free(f);
}

Test(engine_triggers, an_expression_that_is_not_boolean_does_not_match)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", "event.data.n", -1, 0});

    SEND(f, {.name = "demo/go", .data = "{'n':1}"});

    ASSERT_INT(runs_of(f, "fn"), 0);
    fixture_free(f);
}

Test(engine_triggers, a_function_registered_later_does_not_consume_earlier_events)
{
    struct fixture *f = fixture_create("10:00:00");

    send_event(f, "demo/go");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});

    ASSERT_INT(runs_of(f, "fn"), 0);
    fixture_free(f);
}

Test(engine_triggers, a_future_event_starts_its_run_at_its_time)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});

    SEND(f, {.name = "demo/go", .ts_ms = AT("11:00:00")});
    ASSERT_INT(runs_of(f, "fn"), 1);
    ASSERT_INT(f->call_count, 0);
    ASSERT_INT(next_due(f), AT("11:00:00"));

    move_clock_ms(f, AT("11:00:00") - 1);
    ASSERT_INT(f->call_count, 0);
    move_clock(f, "11:00:00");
    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

Test(engine_triggers, a_future_event_counts_on_the_wall_clock)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.clock_offset_ms = 3600000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});

    SEND(f, {.name = "demo/go", .ts_ms = AT("11:00:00")}); /* the wall clock says 09:00 */

    ASSERT_INT(next_due(f), AT("12:00:00"));
    fixture_free(f);
}

Test(engine_triggers, a_past_event_starts_at_once)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});

    SEND(f, {.name = "demo/go", .ts_ms = AT("09:00:00")});

    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

/* ---- duplicates ---- */

Test(engine_triggers, an_id_that_the_store_knows_starts_no_run_but_is_stored)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .id = "same"});
    sg_engine_forget_keys(f->engine, INT64_MAX);

    SEND(f, {.name = "demo/go", .id = "same"});

    ASSERT_INT(runs_of(f, "fn"), 1);
    ASSERT_TEXT(events(f), "demo/go demo/go");
    fixture_free(f);
}

Test(engine_triggers, an_id_is_known_within_its_own_request)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});

    SEND(f, {.name = "demo/go", .id = "same"}, {.name = "demo/go", .id = "same"}, {.name = "demo/go", .id = "else"});

    ASSERT_INT(runs_of(f, "fn"), 2);
    fixture_free(f);
}

Test(engine_triggers, an_id_is_known_in_the_same_batch)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});

    begin_batch(f);
    SEND(f, {.name = "demo/go", .id = "same"});
    SEND(f, {.name = "demo/go", .id = "same"});
    end_batch(f);

    ASSERT_INT(runs_of(f, "fn"), 1);
    fixture_free(f);
}

Test(engine_triggers, recent_keys_are_forgotten_up_to_a_commit)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    int64_t commit_of_key = f->commit;
    SEND(f, {.name = "demo/go", .id = "same"});

    /* A lookup that saw nothing of it, as a slow reader might. */
    struct sg_store *empty = NULL;
    struct sg_error error = {0};
    ASSERT_INT(sg_store_open_memory(&empty, &error), SG_OK);
    struct sg_store_reader *blind = NULL;
    ASSERT_INT(sg_store_reader_open(empty, &blind, &error), SG_OK);
    struct sg_store_reader *reader = f->reader;

    sg_engine_forget_keys(f->engine, commit_of_key - 1);
    f->reader = blind;
    SEND(f, {.name = "demo/go", .id = "same"});
    f->reader = reader;
    ASSERT_INT(runs_of(f, "fn"), 1);

    sg_engine_forget_keys(f->engine, commit_of_key);
    f->reader = blind;
    SEND(f, {.name = "demo/go", .id = "same"});
    f->reader = reader;
    ASSERT_INT(runs_of(f, "fn"), 2);
    sg_store_reader_close(blind);
    sg_store_close(empty);
    fixture_free(f);
}

Test(engine_triggers, an_id_counts_for_each_function_by_itself)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"one", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .id = "same"});
    SERVE(f, {"one", "demo/go", NULL, -1, 0}, {"two", "demo/go", NULL, -1, 0});

    SEND(f, {.name = "demo/go", .id = "same"});

    ASSERT_INT(runs_of(f, "one"), 1);
    ASSERT_INT(runs_of(f, "two"), 1);
    fixture_free(f);
}

Test(engine_triggers, an_id_may_come_again_after_24_hours)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .id = "same"});
    finish(f, "null");
    sg_engine_forget_keys(f->engine, INT64_MAX);

    move_clock_ms(f, AT("10:00:00") + SG_LIMIT_IDEMPOTENCY_MS);
    SEND(f, {.name = "demo/go", .id = "same"});

    ASSERT_INT(runs_of(f, "fn"), 2);
    fixture_free(f);
}

Test(engine_triggers, a_duplicate_of_a_running_run_lets_the_original_continue)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .id = "same"});

    SEND(f, {.name = "demo/go", .id = "same"});
    finish(f, "1");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

/* ---- many ---- */

static struct rig_function *many(int count, char (*slugs)[16])
{
    static struct rig_function functions[400];
    for (int index = 0; index < count; index++) {
        snprintf(slugs[index], sizeof(slugs[index]), "fn%03d", index);
        functions[index] = (struct rig_function){slugs[index], "demo/go", NULL, -1, 0};
    }
    return functions;
}

Test(engine_triggers, an_event_with_more_consumers_than_a_message_may_serve_reaches_all)
{
    static char slugs[400][16];
    struct fixture *f = fixture_create("10:00:00");
    serve(f, many(400, slugs), 400);

    SEND(f, {.name = "demo/go", .id = "same"});

    ASSERT_INT(f->call_count, 400);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_triggers, events_of_one_name_keep_their_order_behind_a_cursor)
{
    static char slugs[400][16];
    struct fixture *f = fixture_create("10:00:00");
    serve(f, many(400, slugs), 400);
    f->is_holding_loads = true;

    SEND(f, {.name = "demo/go", .id = "first"});
    SEND(f, {.name = "demo/go", .id = "second"});
    cr_assert(f->call_count < 400);
    int started = f->call_count;
    release_loads(f);

    ASSERT_INT(f->call_count, 800);
    for (int index = 0; index < 800; index++)
        ASSERT_INT(call_at(f, index)->event_positions[0], index < 400 ? 1 : 2);
    cr_assert(started > 0);
    fixture_free(f);
}

/* A duplicate that waits behind a cursor was looked up before the original's keys were committed. */
Test(engine_triggers, a_duplicate_behind_a_cursor_is_known_even_when_keys_are_forgotten)
{
    static char slugs[400][16];
    struct fixture *f = fixture_create("10:00:00");
    serve(f, many(400, slugs), 400);

    begin_batch(f);
    SEND(f, {.name = "demo/go", .id = "same"});
    SEND(f, {.name = "demo/go", .id = "same"});
    f->is_batching = false;
    while (step(f)) /* both events are loaded and looked up before the first slice */
        sg_engine_forget_keys(f->engine, f->commit - 1);

    ASSERT_INT(f->call_count, 400);
    fixture_free(f);
}

Test(engine_triggers, a_cursor_survives_a_crash_and_serves_each_function_once)
{
    static char slugs[400][16];
    struct fixture *f = fixture_create("10:00:00");
    serve(f, many(400, slugs), 400);
    f->is_holding_loads = true;
    SEND(f, {.name = "demo/go", .id = "same"});
    ASSERT_INT(count(f, SG_KIND_CURSOR), 1);

    f->is_holding_loads = false;
    crash(f);

    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 400);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_triggers, an_event_that_cannot_be_loaded_holds_up_nobody)
{
    static char slugs[400][16];
    struct fixture *f = fixture_create("10:00:00");
    serve(f, many(400, slugs), 400);
    f->is_holding_loads = true;
    SEND(f, {.name = "demo/go", .id = "first"});
    int started = f->call_count;

    fail_loads(f);
    ASSERT_INT(f->call_count, started);
    ASSERT_INT(stats(f).damaged, 1);
    SEND(f, {.name = "demo/go", .id = "second"});

    ASSERT_INT(f->call_count, started + 400);
    fixture_free(f);
}
