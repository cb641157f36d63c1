/* Bulk cancellations (reference/03 §3.6): whom they mean, and that slices, crashes and other people's runs make no difference. */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

/* Runs of "fn" that will be called an hour from now; the event of each has its number. */
static void queue_runs(struct fixture *f, int from, int to)
{
    static struct event_spec specs[1000];
    static char data[1000][32];
    for (int number = from; number < to; number++) {
        snprintf(data[number - from], sizeof(data[0]), "{'n':%d}", number);
        specs[number - from] = (struct event_spec){.name = "demo/go", .data = data[number - from], .ts_ms = f->now_ms + 3600000};
    }
    send_events(f, specs, (size_t)(to - from));
}

static struct fixture *with_queued(int count)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"other", "demo/other", NULL, 0, 0});
    queue_runs(f, 0, count);
    return f;
}

struct tally {
    int64_t status;
    int64_t runs;
};

static enum sg_status tally_visit(void *context, const struct sg_record *record)
{
    struct tally *tally = context;
    tally->runs += record->values[SG_RUN_STATUS].number == tally->status;
    return SG_OK;
}

static int64_t runs_that_are(struct fixture *f, enum sg_run_status status)
{
    struct tally tally = {.status = status};
    struct sg_error error = {0};
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .limit = 100000};
    cr_assert(eq(int, (int)sg_store_read(f->reader, &query, tally_visit, &tally, &error), SG_OK));
    return tally.runs;
}

/* How often the name is in the log. */
static int64_t events_named(struct fixture *f, const char *name)
{
    int64_t found = 0;
    const char *at = events(f);
    while ((at = strstr(at, name)) != NULL) {
        found++;
        at += strlen(name);
    }
    return found;
}

Test(engine_cancellations, all_live_runs_of_the_function_are_cancelled_and_no_others)
{
    struct fixture *f = with_queued(250);
    send_event(f, "demo/other");

    struct client *client = cancel_all(f, NULL, false);

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "250/250/250");
    ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), 250);
    ASSERT_INT(events_named(f, "inngest/function.finished"), 250);
    ASSERT_INT(events_named(f, "inngest/function.cancelled"), 250);
    ASSERT_INT(stats(f).runs, 1);
    ASSERT_INT(stats(f).cancellations, 0);
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_cancellations, the_reason_names_the_cancellation)
{
    struct fixture *f = with_queued(1);
    find_run(f);

    struct client *client = cancel_all(f, NULL, false);

    char expected[64] = "bulk cancellation ";
    sg_ulid_format(client->reply.id, expected + strlen(expected));
    ASSERT_TEXT(run_text(f, SG_RUN_REASON), expected);
    fixture_free(f);
}

Test(engine_cancellations, the_client_need_not_wait_for_the_end)
{
    struct fixture *f = with_queued(250);
    f->is_holding_loads = true;

    struct client *client = cancel_all(f, NULL, false);

    cr_assert(client->is_answered);
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "250/0/0...");
    ASSERT_INT(stats(f).cancellations, 1);
    release_loads(f);
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "250/250/250");
    fixture_free(f);
}

Test(engine_cancellations, there_is_one_slice_in_a_commit)
{
    struct fixture *f = with_queued(350);
    begin_batch(f);
    struct client *client = cancel_all(f, NULL, false);
    int slices = 0;
    for (int64_t left = stats(f).runs; stats(f).cancellations > 0; left = stats(f).runs) {
        cr_assert(step(f));
        cr_assert(le(i64, left - stats(f).runs, SG_LOADED_RUNS_MAX));
        slices += stats(f).runs < left;
        cr_assert(le(i64, f->writes, SG_LIMIT_WRITES_PER_MESSAGE));
    }
    end_batch(f);

    ASSERT_INT(slices, 4);
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "350/350/350");
    fixture_free(f);
}

Test(engine_cancellations, a_dry_run_counts_and_leaves_everything_as_it_is)
{
    struct fixture *f = with_queued(120);

    struct client *client = cancel_all(f, "event.data.n < 50.0", true);

    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "120/120/50");
    ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), 0);
    ASSERT_INT(stats(f).runs, 120);
    fixture_free(f);
}

Test(engine_cancellations, a_condition_sees_the_event_that_started_the_run)
{
    struct fixture *f = with_queued(120);

    struct client *client = cancel_all(f, "event.data.n >= 50.0 && event.name == 'demo/go'", false);

    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "120/120/70");
    ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), 70);
    fixture_free(f);
}

Test(engine_cancellations, a_condition_that_errs_or_is_no_bool_means_nobody)
{
    static const char *const expressions[] = {"event.data.n / 0.0 == 1.0 && event.data.n + 'x' == 1", "event.data.nothing == 5",
                                              "event.data.n"};
    for (size_t index = 0; index < 3; index++) {
        struct fixture *f = with_queued(3);
        struct client *client = cancel_all(f, expressions[index], false);
        ASSERT_INT(client->reply.status, SG_OK);
        ASSERT_TEXT(cancellation_progress(f, client->reply.id), "3/3/0");
        fixture_free(f);
    }
}

static struct sg_message *request(const char *app, const char *function, int64_t after_ms, int64_t before_ms)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL_RUNS);
    message->as.cancel_runs.app = sg_str_from(app);
    message->as.cancel_runs.function = sg_str_from(function);
    message->as.cancel_runs.after_ms = after_ms;
    message->as.cancel_runs.before_ms = before_ms;
    return message;
}

Test(engine_cancellations, only_runs_that_were_created_in_the_window_are_meant)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0});
    queue_runs(f, 0, 3);
    move_clock(f, "10:10:00");
    queue_runs(f, 3, 7);
    move_clock(f, "10:20:00");
    queue_runs(f, 7, 12);
    move_clock(f, "10:30:00");

    struct client *client = post(f, request("app", "fn", AT("10:05:00"), AT("10:15:00")));
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "12/4/4");
    client = post(f, request("app", "fn", 0, AT("10:19:59")));
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "8/3/3");
    client = post(f, request("app", "fn", AT("10:20:00"), AT("10:20:00")));
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "5/5/5");
    fixture_free(f);
}

Test(engine_cancellations, runs_that_come_later_are_not_meant_even_if_the_window_would_have_them)
{
    struct fixture *f = with_queued(3);
    f->is_holding_loads = true;

    post(f, request("app", "fn", 0, f->now_ms + 5000));
    queue_runs(f, 3, 4);
    move_clock_ms(f, f->now_ms + 1);
    queue_runs(f, 4, 6);
    release_loads(f);

    ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), 3);
    ASSERT_INT(stats(f).runs, 3);
    fixture_free(f);
}

Test(engine_cancellations, functions_are_named_with_or_without_their_app)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"app-fn", "demo/go", NULL, 0, 0}, {"fn", "demo/short", NULL, 0, 0});
    SEND(f, {.name = "demo/go"}, {.name = "demo/short"});

    ASSERT_TEXT(cancellation_progress(f, post(f, request("app", "app-fn", 0, f->now_ms))->reply.id), "1/1/1");
    ASSERT_TEXT(cancellation_progress(f, post(f, request("app", "fn", 0, f->now_ms))->reply.id),
                "1/1/1"); /* as it is written comes first */
    ASSERT_TEXT(cancellation_progress(f, post(f, request("whatever", "fn", 0, f->now_ms))->reply.id), "0/0/0");
    ASSERT_INT(post(f, request("app", "n", 0, f->now_ms))->reply.status, SG_NOT_FOUND);
    ASSERT_INT(post(f, request("", "", 0, f->now_ms))->reply.status, SG_NOT_FOUND);
    fixture_free(f);

    f = fixture_create("10:00:00");
    SERVE(f, {"app-fn", "demo/go", NULL, 0, 0});
    send_event(f, "demo/go");
    SERVE(f, {"another", "demo/another", NULL, 0, 0});
    ASSERT_TEXT(cancellation_progress(f, post(f, request("app", "fn", 0, f->now_ms))->reply.id),
                "1/1/1"); /* archived, and yet it has a run */
    fixture_free(f);
}

Test(engine_cancellations, an_expression_that_does_not_compile_is_refused_and_changes_nothing)
{
    struct fixture *f = with_queued(3);

    struct client *client = cancel_all(f, "event.data.n ==", false);

    ASSERT_INT(client->reply.status, SG_INVALID_EXPRESSION);
    cr_assert(strncmp(client->reply.message, "invalid expression: ", 20) == 0, "%s", client->reply.message);
    ASSERT_INT(count(f, SG_KIND_CANCELLATION), 0);
    ASSERT_INT(stats(f).runs, 3);
    fixture_free(f);
}

Test(engine_cancellations, a_crash_between_two_slices_repeats_nothing_and_forgets_nothing)
{
    for (int steps = 1; steps < 30; steps++) {
        struct fixture *f = with_queued(250);
        f->is_unequal = steps % 7 != 0;
        begin_batch(f);
        struct client *client = cancel_all(f, "event.data.n < 240.0", false);
        for (int index = 0; index < steps; index++)
            step(f);
        bool is_committed = count(f, SG_KIND_CANCELLATION) > 0;
        f->is_batching = false;
        crash(f);

        ASSERT_INT(count(f, SG_KIND_CANCELLATION), is_committed);
        if (is_committed && client->is_answered)
            ASSERT_TEXT(cancellation_progress(f, client->reply.id), "250/250/240");
        ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), is_committed ? 240 : 0);
        ASSERT_INT(events_named(f, "inngest/function.cancelled"), is_committed ? 240 : 0);
        fixture_free(f);
    }
}

Test(engine_cancellations, a_run_that_ends_before_its_turn_is_not_counted)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->is_holding_loads = true;
    struct client *client = cancel_all(f, NULL, false);
    f->is_batching = true;
    f->is_holding_loads = false;
    cr_assert(step(f)); /* the load */
    finish(f, "1");
    end_batch(f);

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "1/1/0");
    fixture_free(f);
}

Test(engine_cancellations, runs_in_every_state_are_cancelled)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0});
    for (int number = 0; number < 4; number++)
        send_event(f, "demo/go");
    report(f, "[{'op':'Sleep','id':'z','name':'1h'}]");
    report(f, "[{'op':'WaitForEvent','id':'w','opts':{'event':'demo/answer','timeout':'1h'}}]");
    report(f, "[{'op':'StepPlanned','id':'a'},{'op':'StepPlanned','id':'b'}]");
    queue_runs(f, 0, 1);

    struct client *client = cancel_all(f, NULL, false);

    ASSERT_TEXT(cancellation_progress(f, client->reply.id), "5/5/5");
    ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), 5);
    ASSERT_INT(stats(f).calls, 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_PAUSE), 0);
    ASSERT_INT(next_due(f), INT64_MAX);
    fixture_free(f);
}

Test(engine_cancellations, one_that_is_deleted_goes_no_further)
{
    struct fixture *f = with_queued(250);
    begin_batch(f);
    struct client *client = cancel_all(f, NULL, false);
    while (stats(f).runs == 250)
        cr_assert(step(f));
    int64_t left = stats(f).runs;
    struct sg_message *message = sg_message_create(SG_MESSAGE_DROP_CANCELLATION);
    message->as.cancellation.id = client->reply.id;
    struct client *drop = post(f, message);
    end_batch(f);

    ASSERT_INT(drop->reply.status, SG_OK);
    ASSERT_INT(stats(f).runs, left);
    ASSERT_INT(count(f, SG_KIND_CANCELLATION), 0);

    message = sg_message_create(SG_MESSAGE_DROP_CANCELLATION);
    message->as.cancellation.id = client->reply.id;
    ASSERT_INT(post(f, message)->reply.status, SG_NOT_FOUND);
    ASSERT_TEXT(cancellation_progress(f, cancel_all(f, NULL, false)->reply.id), "150/150/150");
    fixture_free(f);
}

Test(engine_cancellations, one_that_is_deleted_while_its_runs_are_being_read_leaves_the_turn_to_the_next)
{
    struct fixture *f = with_queued(3);
    f->is_holding_loads = true;
    struct client *first = cancel_all(f, NULL, false);
    struct client *second = cancel_all(f, "event.data.n == 1.0", false);
    ASSERT_INT(f->load_count, 1);
    struct sg_message *message = sg_message_create(SG_MESSAGE_DROP_CANCELLATION);
    message->as.cancellation.id = first->reply.id;
    post(f, message);
    release_loads(f);

    ASSERT_TEXT(cancellation_progress(f, second->reply.id), "3/3/1");
    ASSERT_INT(stats(f).runs, 2);
    fixture_free(f);
}

Test(engine_cancellations, several_take_turns)
{
    struct fixture *f = with_queued(250);
    f->is_holding_loads = true;
    struct client *first = cancel_all(f, NULL, true);
    struct client *second = cancel_all(f, "event.data.n >= 0.0", true);
    f->is_batching = true;
    f->is_holding_loads = false;
    while (strcmp(cancellation_progress(f, second->reply.id), "250/0/0...") == 0)
        cr_assert(step(f));
    ASSERT_TEXT(cancellation_progress(f, first->reply.id), "250/100/100...");
    end_batch(f);

    ASSERT_TEXT(cancellation_progress(f, first->reply.id), "250/250/250");
    ASSERT_TEXT(cancellation_progress(f, second->reply.id), "250/250/250");
    fixture_free(f);
}

Test(engine_cancellations, it_waits_for_those_who_listen_to_the_end_of_runs)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, {"fn", "demo/go", NULL, 0, 0}, {"watcher", "inngest/function.cancelled", NULL, 0, 0});
    f->is_unequal = true;
    queue_runs(f, 0, 600);
    begin_batch(f);
    cancel_all(f, NULL, false);
    int64_t most = 0;
    while (step(f))
        most = stats(f).cursors > most ? stats(f).cursors : most;
    end_batch(f);

    cr_assert(le(i64, most, 300));
    ASSERT_INT(runs_of(f, "watcher"), 600);
    ASSERT_INT(runs_that_are(f, SG_RUN_CANCELLED), 600);
    fixture_free(f);
}

static enum sg_status error_visit(void *context, const struct sg_record *record)
{
    *(bool *)context = !record->values[SG_CANCELLATION_ERROR].is_null && !record->values[SG_CANCELLATION_ENDED_AT].is_null;
    return SG_OK;
}

Test(engine_cancellations, one_whose_runs_cannot_be_read_ends_and_says_so)
{
    struct fixture *f = with_queued(3);
    f->is_holding_loads = true;
    cancel_all(f, NULL, false);
    struct client *second = cancel_all(f, NULL, false);
    fail_loads(f);

    ASSERT_TEXT(cancellation_progress(f, second->reply.id), "3/3/3");
    ASSERT_INT(stats(f).cancellations, 0);
    bool is_told = false;
    struct sg_error error = {0};
    struct sg_query query = {.kind = SG_KIND_CANCELLATION, .index = SG_INDEX_KEY, .limit = 1};
    cr_assert(eq(int, (int)sg_store_read(f->reader, &query, error_visit, &is_told, &error), SG_OK));
    cr_assert(is_told);
    fixture_free(f);
}

/* Those that have their replies: the fixture remembers only so many. */
static void clients_forget(struct fixture *f)
{
    memset(f->clients, 0, sizeof(f->clients));
    f->client_count = 0;
}

Test(engine_cancellations, the_oldest_that_has_ended_makes_room)
{
    struct fixture *f = with_queued(1);
    f->is_unequal = true;
    struct sg_id first = cancel_all(f, NULL, true)->reply.id;
    for (int number = 1; number <= SG_LIMIT_CANCELLATIONS; number++) {
        clients_forget(f);
        ASSERT_INT(cancel_all(f, NULL, true)->reply.status, SG_OK);
    }
    ASSERT_INT(count(f, SG_KIND_CANCELLATION), SG_LIMIT_CANCELLATIONS);
    ASSERT_TEXT(cancellation_progress(f, first), "-");
    f->is_unequal = false;
    ASSERT_TEXT(cancellation_progress(f, cancel_all(f, NULL, false)->reply.id), "1/1/1");
    fixture_free(f);
}

Test(engine_cancellations, those_that_are_under_way_are_bounded)
{
    struct fixture *f = with_queued(1);
    f->is_unequal = true;
    f->is_holding_loads = true;
    for (int number = 0; number < SG_LIMIT_CANCELLATIONS; number++) {
        clients_forget(f);
        ASSERT_INT(cancel_all(f, NULL, true)->reply.status, SG_OK);
    }
    ASSERT_INT(f->load_count, 1);
    ASSERT_INT(cancel_all(f, NULL, true)->reply.status, SG_QUEUE_FULL);
    release_loads(f);
    ASSERT_INT(cancel_all(f, NULL, true)->reply.status, SG_OK);
    fixture_free(f);
}

Test(engine_cancellations, a_run_is_told_that_one_will_come_to_it)
{
    struct fixture *f = with_queued(3);
    find_run(f);
    f->is_holding_loads = true;
    cancel_all(f, NULL, false);
    const char *text = why(f, f->last_run);

    cr_assert(strstr(text, "will come to this run and cancel it: it has looked at 0 of 3 runs") != NULL, "%s", text);
    fixture_free(f);
}
