/* Waits: for events, for signals, and the events that cancel (reference/02 §9.1, §9.3, §13.1). */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

#define WAIT "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h'}}]"

/* The `data` of the event that answered a wait. */
static const char *answer(struct fixture *f, const char *step)
{
    const char *text = memo(f, step);
    const char *data = strstr(text, "\"data\":");
    const char *id = strstr(text, ",\"id\":");
    if (data == NULL || id == NULL)
        return text;
    struct sg_str copy = sg_arena_copy(&f->arena, (struct sg_str){data + 7, (size_t)(id - data - 7)});
    return sg_arena_printf(&f->arena, "%.*s", SG_FMT(copy)).ptr;
}

/* ---- waitForEvent ---- */

Test(engine_waits, an_event_of_the_name_is_the_result)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, WAIT);
    ASSERT_TEXT(step_status(f, "w"), "Waiting");
    ASSERT_INT(stats(f).hydrated, 0);
    ASSERT_INT(next_due(f), AT("11:00:00"));
    SEND(f, {.name = "demo/other"});
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});

    ASSERT_TEXT(calls(f), "step@0 step@1");
    ASSERT_TEXT(answer(f, "w"), "{\"n\":1}");
    cr_assert(strstr(memo(f, "w"), "\"user\":{}") != NULL);
    cr_assert(sg_str_eq(last_call(f)->cause, SG_STR("w")));
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    fixture_free(f);
}

Test(engine_waits, the_first_event_wins_and_the_next_finds_nobody)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, WAIT);

    SEND(f, {.name = "demo/paid", .data = "{'n':1}"}, {.name = "demo/paid", .data = "{'n':2}"});
    SEND(f, {.name = "demo/paid", .data = "{'n':3}"});

    ASSERT_TEXT(answer(f, "w"), "{\"n\":1}");
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_waits, wait_and_its_timeout_are_one_commit)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, WAIT);
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    ASSERT_INT(count(f, SG_KIND_JOB), 1);
    crash(f);
    move_clock_ms(f, AT("11:00:00") - 1);
    ASSERT_INT(f->call_count, 1);
    move_clock(f, "11:00:00");

    ASSERT_TEXT(memo(f, "w"), "null");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    SEND(f, {.name = "demo/paid"});
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_waits, an_event_at_the_moment_of_the_timeout_comes_too_late)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, WAIT);
    f->now_ms = AT("11:00:00"); /* the timeout has not been looked at yet */

    SEND(f, {.name = "demo/paid"});

    ASSERT_TEXT(memo(f, "w"), "null");
    fixture_free(f);
}

Test(engine_waits, no_timeout_and_one_in_the_past_end_at_once)
{
    static const char *const texts[] = {"", "-5s", "2026-01-01T09:00:00.000Z"};
    for (size_t index = 0; index < 3; index++) {
        struct fixture *f = fixture_with_run("10:00:00");
        char ops[200];
        snprintf(ops, sizeof(ops), "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'%s'}}]", texts[index]);

        report(f, ops);
        move_clock_ms(f, f->now_ms + 1);

        ASSERT_TEXT(memo(f, "w"), "null");
        ASSERT_TEXT(calls(f), "step@0 step@1");
        fixture_free(f);
    }
}

Test(engine_waits, the_event_option_counts_before_the_name)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'WaitForEvent','id':'w','name':'my wait','opts':{'event':'demo/paid','timeout':'1h'}}]");
    SEND(f, {.name = "my wait"});
    ASSERT_INT(f->call_count, 1);
    SEND(f, {.name = "demo/paid"});

    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_waits, an_event_before_the_wait_is_not_seen)
{
    struct fixture *f = fixture_with_run("10:00:00");

    SEND(f, {.name = "demo/paid"});
    report(f, WAIT);

    ASSERT_INT(f->call_count, 1);
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    fixture_free(f);
}

Test(engine_waits, an_event_in_the_commit_of_its_wait_is_seen)
{
    struct fixture *f = fixture_with_run("10:00:00");

    begin_batch(f);
    report(f, WAIT);
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});
    end_batch(f);

    ASSERT_TEXT(answer(f, "w"), "{\"n\":1}");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

Test(engine_waits, an_event_that_comes_while_the_answer_is_set_aside_is_seen)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"other", "demo/paid", NULL, -1, 0});
    send_event(f, "demo/go");
    f->is_holding_loads = true;

    SEND(f, {.name = "demo/paid", .data = "{'n':0}"});
    int calls_before = f->call_count;
    report(f, WAIT);
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"}, {.name = "demo/paid", .data = "{'n':2}"});
    ASSERT_INT(f->call_count, calls_before); /* the events of that name are kept back, for functions too */
    crash(f);
    release_loads(f);

    /* The answer was not on disk: the call is made again, and the events have gone to those who waited then. */
    ASSERT_INT(runs_of(f, "other"), 3);
    fixture_free(f);

    f = fixture_create_with("10:00:00", &(struct sg_engine_options){.is_fully_parked = true});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    f->is_holding_loads = true;
    report(f, WAIT);
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"}, {.name = "demo/paid", .data = "{'n':2}"});
    ASSERT_INT(count(f, SG_KIND_CURSOR), 2);
    release_loads(f);

    ASSERT_TEXT(answer(f, "w"), "{\"n\":1}");
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_waits, a_condition_that_does_not_name_the_trigger_costs_no_load)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','if':'async.data.id == 7'}}]");

    ASSERT_INT(f->loads_total, 0);
    fixture_free(f);
}

Test(engine_waits, a_condition_is_held_against_both_events)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .data = "{'id':7}"});

    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','if':'event.data.id == async.data.id'}}]");
    SEND(f, {.name = "demo/paid", .data = "{'id':6}"});
    crash(f);
    SEND(f, {.name = "demo/paid", .data = "{}"});
    ASSERT_INT(f->call_count, 1);
    SEND(f, {.name = "demo/paid", .data = "{'id':7}"});

    ASSERT_TEXT(answer(f, "w"), "{\"id\":7}");
    fixture_free(f);
}

Test(engine_waits, an_event_that_comes_while_the_trigger_is_loaded_for_the_condition_is_seen)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .data = "{'id':7}"});
    f->is_holding_loads = true;

    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','if':'event.data.id == async.data.id'}}]");
    SEND(f, {.name = "demo/paid", .data = "{'id':7,'n':1}"});
    release_loads(f);

    ASSERT_TEXT(answer(f, "w"), "{\"id\":7,\"n\":1}");
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_waits, a_wait_that_is_older_than_what_is_left_of_the_log_sees_the_next_event)
{
    struct fixture *f = fixture_with_run("10:00:00");
    for (int index = 0; index < 5; index++)
        send_event(f, "demo/other");
    report(f, WAIT);
    events_trim(f);

    crash(f);
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});

    ASSERT_TEXT(answer(f, "w"), "{\"n\":1}");
    fixture_free(f);
}

Test(engine_waits, a_condition_that_is_decided_by_the_trigger_alone)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SEND(f, {.name = "demo/go", .data = "{'vip':true}"});

    report(f, "[{'op':'WaitForEvent','id':'yes','name':'demo/paid','opts':{'timeout':'1h','if':'event.data.vip'}},"
              "{'op':'WaitForEvent','id':'no','name':'demo/paid','opts':{'timeout':'1h','if':'!event.data.vip'}}]");
    SEND(f, {.name = "demo/paid", .data = "{}"});
    ASSERT_TEXT(answer(f, "yes"), "{}");
    ASSERT_TEXT(memo(f, "no"), "-");
    crash(f);
    SEND(f, {.name = "demo/paid", .data = "{}"});
    ASSERT_TEXT(memo(f, "no"), "-");
    move_clock(f, "11:00:00");

    ASSERT_TEXT(memo(f, "no"), "null");
    fixture_free(f);
}

Test(engine_waits, a_wait_whose_condition_does_not_compile_fails_the_run_with_the_place)
{
    static const char *const conditions[] = {"event.data.id == == async.data.id", ""};
    static const char *const places[] = {"<input>:1:18: Syntax error:", "<input>:1:0: Syntax error:"};
    for (int index = 0; index < 2; index++) {
        struct fixture *f = fixture_with_run("10:00:00");

        report(f, sg_arena_printf(&f->arena, "[{'op':'WaitForEvent','id':'w','name':'x/y','opts':{'if':'%s','timeout':'1h'}}]",
                                  conditions[index])
                      .ptr);

        ASSERT_TEXT(run_status(f), "Failed");
        ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
        const char *begin = "{\"error\":\"InvalidExpression: Wait for event If expression failed to compile\",\"message\":\"Wait for event "
                            "If expression failed to compile\",\"name\":\"InvalidExpression\",\"stack\":\"error compiling "
                            "expression: ERROR: ";
        ASSERT_TEXT(sg_arena_printf(&f->arena, "%.*s", (int)(strlen(begin) + strlen(places[index])), run_error(f)).ptr,
                    sg_arena_printf(&f->arena, "%s%s", begin, places[index]).ptr);
        fixture_free(f);
    }
}

Test(engine_waits, malformed_waits_fail_the_run_instead_of_hanging)
{
    static const struct {
        const char *ops;
        const char *says;
    } rows[] = {
        {"[{'op':'WaitForEvent','id':'w','opts':{'timeout':'1h'}}]", "names no event"},
        {"[{'op':'WaitForEvent','id':'w','name':'x','opts':{'timeout':'soon'}}]", "The wait-for-event timeout \\\"soon\\\" is neither"},
        {"[{'op':'WaitForEvent','id':'w','name':'x','opts':{'timeout':'367d'}}]",
         "The wait-for-event timeout \\\"367d\\\" expires more than one year in the future; timeouts may last at most one year."},
        {"[{'op':'WaitForSignal','id':'w','opts':{'timeout':'1h'}}]", "names no signal"},
        {"[{'op':'WaitForSignal','id':'w','opts':{'signal':'s','timeout':'soon'}}]", "The signal timeout \\\"soon\\\" is neither"},
    };
    for (size_t index = 0; index < sizeof(rows) / sizeof(rows[0]); index++) {
        struct fixture *f = fixture_with_run("10:00:00");
        report(f, rows[index].ops);
        ASSERT_TEXT(run_status(f), "Failed");
        cr_assert(strstr(run_error(f), rows[index].says) != NULL, "%s", run_error(f));
        ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
        fixture_free(f);
    }
}

Test(engine_waits, a_signal_whose_name_is_too_long_fails_the_run)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, sg_arena_printf(&f->arena, "[{'op':'WaitForSignal','id':'s','opts':{'signal':'%0*d','timeout':'1h'}}]",
                              SG_LIMIT_SIGNAL_NAME_BYTES + 1, 1)
                  .ptr);

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(strstr(run_error(f), "names no signal, or one of more than 1024 bytes") != NULL, "%s", run_error(f));
    fixture_free(f);
}

Test(engine_waits, a_signal_without_a_timeout_is_waited_for_a_year)
{
    struct fixture *f = fixture_with_run("10:00:00");

    report(f, "[{'op':'WaitForSignal','id':'s','opts':{'signal':'go'}}]");

    ASSERT_INT(next_due(f), f->now_ms + SG_LIMIT_INVOKE_MS);
    fixture_free(f);
}

Test(engine_waits, dates_are_shifted_by_the_clocks_offset)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.clock_offset_ms = 3600000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0, "'cancel':[{'event':'demo/stop','timeout':'2026-01-01T09:30:00.000Z'}]"});
    send_event(f, "demo/go");

    /* The wall clock says 09:00. */
    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'2026-01-01T09:20:00.000Z'}}]");
    ASSERT_INT(next_due(f), AT("10:20:00"));
    move_clock(f, "10:30:00");
    ASSERT_TEXT(memo(f, "w"), "null");

    SEND(f, {.name = "demo/stop"}); /* too late by a moment */
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);

    f = fixture_create_with("10:00:00", &(struct sg_engine_options){.clock_offset_ms = 3600000});
    SERVE(f, {"fn", "demo/go", NULL, -1, 0, "'cancel':[{'event':'demo/stop','timeout':'2026-01-01T09:30:00.000Z'}]"});
    send_event(f, "demo/go");
    move_clock_ms(f, AT("10:30:00") - 1);
    SEND(f, {.name = "demo/stop"});
    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);
}

Test(engine_waits, a_timeout_that_is_shown_in_part_is_cut_between_characters)
{
    struct fixture *f = fixture_with_run("10:00:00");
    char ops[256];
    snprintf(ops, sizeof(ops), "[{'op':'WaitForEvent','id':'w','name':'x','opts':{'timeout':'%063d\xc3\xa4'}}]", 0);

    report(f, ops);

    char shown[96];
    snprintf(shown, sizeof(shown), "%063d\\\" is neither", 0);
    cr_assert(strstr(run_error(f), shown) != NULL, "%s", run_error(f));
    fixture_free(f);
}

/* So many runs that wait. Memory and store are compared from then on: to compare hundreds of runs after each of their commits takes long. */
static struct fixture *many_waiting(int runs)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    f->is_unequal = true;
    for (int index = 0; index < runs; index++) {
        send_event(f, "demo/go");
        report(f, WAIT);
    }
    f->is_unequal = false;
    ASSERT_INT(count(f, SG_KIND_PAUSE), runs);
    return f;
}

Test(engine_waits, one_event_answers_many_runs)
{
    struct fixture *f = many_waiting(700);

    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});

    ASSERT_INT(f->call_count, 1400);
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_waits, an_event_on_its_way_to_many_is_not_seen_by_a_wait_that_begins_meanwhile)
{
    struct fixture *f = many_waiting(600);
    send_event(f, "demo/go");

    begin_batch(f);
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});
    report(f, WAIT); /* after the first slice */
    struct sg_id late = f->last_run;
    end_batch(f);

    f->last_run = late;
    ASSERT_TEXT(memo(f, "w"), "-");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    fixture_free(f);
}

Test(engine_waits, reported_again_while_it_waits_changes_nothing)
{
    struct fixture *f = fixture_with_repeated_report("{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h'}}");

    ASSERT_INT(next_due(f), AT("11:00:00"));
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    fixture_free(f);
}

Test(engine_waits, a_member_answered_with_nothing_does_not_leave_a_wait_without_successor)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h'}}]");
    report_to(f, 1, "[]");

    SEND(f, {.name = "demo/paid"});

    ASSERT_TEXT(calls(f), "step@0 a@0! step@1"); /* nobody else would move the run */
    fixture_free(f);
}

Test(engine_waits, in_a_group_the_last_to_end_asks_for_what_follows)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'Sleep','id':'z','name':'10m'},"
              "{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h'}}]");
    report(f, "[{'op':'StepRun','id':'a'}]");
    move_clock(f, "10:10:00");
    ASSERT_TEXT(calls(f), "step@0 a@0!");

    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});

    ASSERT_TEXT(calls(f), "step@0 a@0! step@3"); /* plans are no longer forced: a wait was the last (reference/02 §8.1) */
    ASSERT_TEXT(stack(f), "a z w");
    fixture_free(f);
}

Test(engine_waits, in_race_mode_each_end_asks_for_what_follows)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','parallelMode':'race'}},"
              "{'op':'WaitForEvent','id':'v','name':'demo/lost','opts':{'timeout':'1h','parallelMode':'race'}}]");

    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});

    ASSERT_TEXT(calls(f), "step@0 step@1");
    finish(f, "1");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    SEND(f, {.name = "demo/lost"});
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_waits, a_thousand_waits_in_one_answer_are_set_up_and_cleared_in_slices)
{
    struct fixture *f = fixture_with_run("10:00:00");
    struct sg_buf ops = {0};
    for (int index = 0; index < 900; index++)
        sg_buf_printf(&ops, "%s{'op':'WaitForEvent','id':'w%d','name':'demo/paid','opts':{'timeout':'1h','if':'async.data.n == %d'}}",
                      index == 0 ? "[" : ",", index, index);
    sg_buf_append(&ops, SG_STR("]"));
    sg_buf_byte(&ops, '\0');

    begin_batch(f);
    report(f, ops.ptr);
    SEND(f, {.name = "demo/paid", .data = "{'n':899}"}); /* it comes while most of the waits are not set up */
    end_batch(f);
    sg_buf_free(&ops);

    ASSERT_TEXT(answer(f, "w899"), "{\"n\":899}");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 899);
    ASSERT_INT(stats(f).pauses, 899);
    cancel(f, f->last_run);
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(stats(f).pauses, 0);
    fixture_free(f);
}

Test(engine_waits, a_crash_after_the_match_loses_nothing)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, WAIT);
    f->is_holding_loads = true;

    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    crash(f);
    release_loads(f);

    ASSERT_TEXT(answer(f, "w"), "{\"n\":1}");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    fixture_free(f);
}

/* Goes on until the load of an event is outstanding, and lets that one fail. */
static void fail_load_of_event(struct fixture *f)
{
    f->is_batching = true;
    while (f->load_count == 0 || f->loads[0].kind != SG_EFFECT_LOAD_EVENT)
        cr_assert(step(f));
    f->is_batching = false;
    fail_loads(f);
}

Test(engine_waits, a_lost_event_fails_the_run_once)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, WAIT);
    begin_batch(f);
    SEND(f, {.name = "demo/paid", .data = "{'n':1}"});

    fail_load_of_event(f);

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(strstr(run_error(f), "\"The event that a step waited for could not be read from the store.\"") != NULL, "%s", run_error(f));
    cr_assert(strstr(run_error(f), "StorageError") != NULL);
    ASSERT_TEXT(events(f), "demo/go demo/paid inngest/function.finished inngest/function.failed");
    fixture_free(f);
}

Test(engine_waits, a_lost_trigger_fails_the_run_whose_condition_names_it)
{
    struct fixture *f = fixture_with_run("10:00:00");
    begin_batch(f);
    report(f, "[{'op':'WaitForEvent','id':'w','name':'demo/paid','opts':{'timeout':'1h','if':'event.data.id == async.data.id'}}]");

    fail_load_of_event(f);

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(strstr(run_error(f), "\"The event that started the run could not be read from the store.\"") != NULL, "%s", run_error(f));
    fixture_free(f);
}

Test(engine_waits, a_lifecycle_event_answers_a_wait)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0}, {"other", "demo/other", NULL, -1, 0});
    send_event(f, "demo/go");
    report(f, "[{'op':'WaitForEvent','id':'w','name':'inngest/function.finished','opts':{'timeout':'1h'}}]");
    struct sg_id waiting = f->last_run;
    send_event(f, "demo/other");

    finish(f, "42");

    f->last_run = waiting;
    cr_assert(strstr(memo(f, "w"), "\"result\":42") != NULL, "%s", memo(f, "w"));
    fixture_free(f);
}

/* ---- signals ---- */

#define SIGNAL "[{'op':'WaitForSignal','id':'s','name':'go','opts':{'signal':'go','timeout':'1h','conflict':'fail'}}]"

Test(engine_waits, a_signal_is_the_result)
{
    struct fixture *f = fixture_with_run("10:00:00");
    ASSERT_INT(send_signal(f, "go", "1")->reply.status, SG_NOT_FOUND); /* nobody waits yet, and signals are not kept */
    report(f, SIGNAL);
    crash(f);

    struct client *client = send_signal(f, "go", "{'ok':true}");

    ASSERT_INT(client->reply.status, SG_OK);
    cr_assert(sg_id_eq(client->reply.id, f->last_run));
    ASSERT_TEXT(memo(f, "s"), "{\"data\":{\"data\":{\"ok\":true},\"signal\":\"go\"}}");
    ASSERT_TEXT(calls(f), "step@0 step@1");
    ASSERT_INT(send_signal(f, "go", "1")->reply.status, SG_NOT_FOUND);
    fixture_free(f);
}

Test(engine_waits, a_signal_survives_a_crash_before_the_run_goes_on)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, SIGNAL);
    f->is_holding_loads = true;

    ASSERT_INT(send_signal(f, "go", "null")->reply.status, SG_OK);
    crash(f);
    release_loads(f);

    ASSERT_TEXT(memo(f, "s"), "{\"data\":{\"data\":null,\"signal\":\"go\"}}");
    fixture_free(f);
}

Test(engine_waits, no_signal_in_time_is_null)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, SIGNAL);

    move_clock(f, "11:00:00");

    ASSERT_TEXT(memo(f, "s"), "null");
    ASSERT_INT(send_signal(f, "go", "1")->reply.status, SG_NOT_FOUND);
    fixture_free(f);
}

Test(engine_waits, a_signal_at_the_moment_of_the_timeout_comes_too_late)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, SIGNAL);
    f->now_ms = AT("11:00:00"); /* the timeout has not been looked at yet */

    ASSERT_INT(send_signal(f, "go", "1")->reply.status, SG_NOT_FOUND);

    ASSERT_TEXT(memo(f, "s"), "null");
    fixture_free(f);
}

Test(engine_waits, a_signal_that_is_reported_again_while_it_is_waited_for_changes_nothing)
{
    struct fixture *f = fixture_with_repeated_report("{'op':'WaitForSignal','id':'s','name':'go','opts':{'signal':'go','timeout':'1h'}}");

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_INT(next_due(f), AT("11:00:00"));
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    fixture_free(f);
}

static struct fixture *two_runs(void)
{
    struct fixture *f = fixture_with_run("10:00:00");
    report(f, SIGNAL);
    send_event(f, "demo/go");
    return f;
}

Test(engine_waits, a_second_wait_for_a_signal_fails_its_run)
{
    struct fixture *f = two_runs();

    report(f, SIGNAL);

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(strstr(run_error(f), "\"message\":\"Signal conflict; signal wait already exists for another run\"") != NULL);
    ASSERT_INT(send_signal(f, "go", "1")->reply.status, SG_OK);
    fixture_free(f);
}

Test(engine_waits, a_wait_whose_time_is_over_does_not_keep_the_signal_from_a_second)
{
    struct fixture *f = two_runs();
    struct sg_id first = call_at(f, 0)->run_id;
    struct sg_id second = f->last_run;
    f->now_ms = AT("11:00:00"); /* the timeout has not been looked at yet */
    report(f, SIGNAL);

    f->last_run = second;
    ASSERT_TEXT(run_status(f), "Running");
    struct client *client = send_signal(f, "go", "1");
    cr_assert(sg_id_eq(client->reply.id, second));
    f->last_run = first;
    ASSERT_TEXT(memo(f, "s"), "null");
    fixture_free(f);
}

Test(engine_waits, a_second_wait_may_take_the_signal_over)
{
    struct fixture *f = two_runs();
    struct sg_id first = call_at(f, 0)->run_id;

    report(f, "[{'op':'WaitForSignal','id':'s','name':'go','opts':{'signal':'go','timeout':'2h','conflict':'replace'}}]");
    struct sg_id second = f->last_run;
    crash(f);
    struct client *client = send_signal(f, "go", "1");
    cr_assert(sg_id_eq(client->reply.id, second));
    move_clock(f, "11:00:00");

    f->last_run = first;
    ASSERT_TEXT(memo(f, "s"), "null");
    fixture_free(f);
}

/* ---- cancelOn ---- */

static struct fixture *cancellable(const char *cancel)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0, cancel});
    SEND(f, {.name = "demo/go", .data = "{'id':7}"});
    return f;
}

Test(engine_waits, an_event_cancels_the_run)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop'}]");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    crash(f);

    SEND(f, {.name = "demo/stop"});

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_TEXT(events(f), "demo/go demo/stop inngest/function.finished inngest/function.cancelled");
    report_to(f, 0, "[{'op':'StepRun','id':'a'}]"); /* the call was in flight: nobody listens any more */
    ASSERT_INT(f->call_count, 2);
    fixture_free(f);
}

Test(engine_waits, a_sleeping_run_is_cancelled_without_its_steps)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop','if':'event.data.id == async.data.id'}]");
    report(f, "[{'op':'Sleep','id':'z','name':'10d'}]");
    int loads = f->loads_total;

    SEND(f, {.name = "demo/stop", .data = "{'id':8}"});
    ASSERT_TEXT(run_status(f), "Running");
    SEND(f, {.name = "demo/stop", .data = "{'id':7}"});

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(f->loads_total, loads);
    fixture_free(f);
}

Test(engine_waits, an_entry_of_cancel_on_expires)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop','timeout':'10m'}]");
    move_clock(f, "10:10:00");

    SEND(f, {.name = "demo/stop"});

    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_waits, an_entry_of_cancel_on_without_a_timeout_watches_for_a_year)
{
    for (int late = 0; late < 2; late++) {
        struct fixture *f = cancellable("'cancel':[{'event':'demo/stop'}]");
        crash(f);
        move_clock_ms(f, AT("10:00:00") + SG_LIMIT_CANCEL_ON_MS - 1 + late);

        SEND(f, {.name = "demo/stop"});

        ASSERT_TEXT(run_status(f), late ? "Running" : "Cancelled");
        fixture_free(f);
    }
}

Test(engine_waits, an_entry_whose_condition_does_not_compile_cancels_nothing)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop','if':'event.data.id == =='}]");

    SEND(f, {.name = "demo/stop", .data = "{'id':7}"});

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    fixture_free(f);
}

Test(engine_waits, a_run_is_not_cancelled_by_the_event_that_started_it)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/go'}]");
    ASSERT_TEXT(run_status(f), "Running");

    send_event(f, "demo/go"); /* another run's */

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_INT(runs_of(f, "fn"), 2);
    f->last_run = call_at(f, 0)->run_id;
    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);
}

Test(engine_waits, a_condition_that_the_trigger_makes_false_watches_for_nothing)
{
    struct fixture *f =
        cancellable("'cancel':[{'event':'demo/stop','if':'event.data.id == 8'},{'event':'demo/halt','if':'event.data.id == 7'}]");

    ASSERT_INT(count(f, SG_KIND_PAUSE), 1);
    SEND(f, {.name = "demo/stop"});
    ASSERT_TEXT(run_status(f), "Running");
    SEND(f, {.name = "demo/halt"});
    ASSERT_TEXT(run_status(f), "Cancelled");
    fixture_free(f);
}

Test(engine_waits, two_entries_for_one_event_cancel_once)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop'},{'event':'demo/stop','if':'true'}]");

    SEND(f, {.name = "demo/stop"});

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(events(f), "demo/go demo/stop inngest/function.finished inngest/function.cancelled");
    fixture_free(f);
}

Test(engine_waits, one_event_cancels_many_runs_in_slices)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, -1, 0, "'cancel':[{'event':'demo/stop'}]"});
    f->is_unequal = true;
    for (int index = 0; index < 500; index++)
        send_event(f, "demo/go");
    f->is_unequal = false;

    SEND(f, {.name = "demo/stop"}); /* the fixture sees that no message writes too much */

    ASSERT_INT(stats(f).runs, 0);
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}

Test(engine_waits, two_entries_for_one_event_cancel_a_run_that_is_cleared_in_slices_once)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop'},{'event':'demo/stop','if':'true'}]");
    struct sg_buf ops = {0};
    for (int index = 0; index < 500; index++)
        sg_buf_printf(&ops, "%s{'op':'Sleep','id':'z%d','name':'1h'}", index == 0 ? "[" : ",", index);
    sg_buf_append(&ops, SG_STR("]\0"));
    report(f, ops.ptr);
    sg_buf_free(&ops);

    SEND(f, {.name = "demo/stop"});

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_TEXT(events(f), "demo/go demo/stop inngest/function.finished inngest/function.cancelled");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_waits, an_event_cancels_while_steps_are_loaded_or_a_large_answer_is_applied)
{
    struct fixture *f = cancellable("'cancel':[{'event':'demo/stop'}]");
    struct sg_buf ops = {0};
    for (int index = 0; index < 600; index++)
        sg_buf_printf(&ops, "%s{'op':'StepPlanned','id':'p%d'}", index == 0 ? "[" : ",", index);
    sg_buf_append(&ops, SG_STR("]"));
    sg_buf_byte(&ops, '\0');
    begin_batch(f);
    report(f, ops.ptr);
    SEND(f, {.name = "demo/stop"});
    end_batch(f);
    sg_buf_free(&ops);

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_ANSWER), 0);
    ASSERT_INT(count(f, SG_KIND_CURSOR), 0);
    fixture_free(f);
}
