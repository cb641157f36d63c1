/* Registrations: what an app's list of functions does to those that were known before (reference/01 §4.6, reference/04 §2.7). */
#include "unit/engine_fixture.h"

#define GO                                                                                                                                 \
    {                                                                                                                                      \
        "fn", "demo/go", NULL, -1, 0                                                                                                       \
    }

Test(engine_apps, a_new_app_is_modified_and_named_in_the_reply)
{
    struct fixture *f = fixture_create("10:00:00");

    struct client *client = SERVE(f, GO);

    ASSERT_INT(client->reply.status, SG_OK);
    cr_assert(client->reply.is_modified);
    cr_assert(sg_id_eq(client->reply.id, rig_id("app", SG_STR("app"))));
    ASSERT_INT(count(f, SG_KIND_FUNCTION), 1);
    fixture_free(f);
}

Test(engine_apps, an_unchanged_registration_writes_nothing)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO);
    f->writes = 0;

    struct client *client = SERVE(f, GO);

    cr_assert(not(client->reply.is_modified));
    cr_assert(sg_id_eq(client->reply.id, rig_id("app", SG_STR("app"))));
    ASSERT_INT(f->writes, 0);
    fixture_free(f);
}

Test(engine_apps, a_changed_function_gets_the_next_version_and_the_others_keep_theirs)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO, {"other", "demo/other", NULL, -1, 0});

    SERVE(f, {"fn", "demo/go", NULL, 3, 0}, {"other", "demo/other", NULL, -1, 0});

    ASSERT_INT(count(f, SG_KIND_FUNCTION), 3); /* every version is kept */
    send_event(f, "demo/go");
    ASSERT_INT(last_call(f)->max_attempts, 4);
    fixture_free(f);
}

Test(engine_apps, a_missing_function_is_archived_and_starts_no_runs)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO, {"other", "demo/other", NULL, -1, 0});

    SERVE(f, {"other", "demo/other", NULL, -1, 0});
    send_event(f, "demo/go");

    ASSERT_INT(f->call_count, 0);
    ASSERT_INT(count(f, SG_KIND_FUNCTION), 2);
    fixture_free(f);
}

Test(engine_apps, runs_of_an_archived_function_go_on)
{
    struct fixture *f = fixture_with_run("10:00:00");

    SERVE(f, {"other", "demo/other", NULL, -1, 0});
    report(f, "[{'op':'StepRun','id':'a','data':1}]");
    finish(f, "'done'");

    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_apps, a_revived_function_consumes_only_events_after_its_return)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO);
    SERVE(f, {"other", "demo/other", NULL, -1, 0});
    send_event(f, "demo/go");

    SERVE(f, GO);
    ASSERT_INT(f->call_count, 0);
    send_event(f, "demo/go");

    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

Test(engine_apps, another_url_applies_to_runs_in_progress)
{
    struct fixture *f = fixture_with_run("10:00:00");

    post(f, rig_registration("app", "http://elsewhere.test/x", "other", &(struct rig_function)GO, 1));
    report(f, "[{'op':'StepRun','id':'a','data':1}]");

    struct sg_call *call = last_call(f);
    cr_assert(sg_str_eq(call->url, SG_STR("http://elsewhere.test/x?fnId=fn&stepId=step")));
    fixture_free(f);
}

Test(engine_apps, no_functions_archives_all_and_leaves_an_error)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO);

    struct client *client = post(f, rig_registration("app", "http://app.test", "empty", NULL, 0));
    send_event(f, "demo/go");

    cr_assert(client->reply.is_modified);
    ASSERT_INT(f->call_count, 0);
    /* The error makes the same registration count again (reference/01 §4.6). */
    client = post(f, rig_registration("app", "http://app.test", "empty", NULL, 0));
    cr_assert(client->reply.is_modified);
    fixture_free(f);
}

static struct client *sync_failed(struct fixture *f, const char *url, const char *text)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_SYNC_FAILED);
    message->as.sync_failed.url = sg_arena_copy(&message->arena, sg_str_from(url));
    message->as.sync_failed.text = sg_arena_copy(&message->arena, sg_str_from(text));
    return post(f, message);
}

Test(engine_apps, a_failed_sync_is_remembered_until_the_next_good_one)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO);

    ASSERT_INT(sync_failed(f, "http://app.test/api/inngest", "unreachable")->reply.status, SG_OK);

    ASSERT_INT(count(f, SG_KIND_FUNCTION), 1);
    cr_assert(SERVE(f, GO)->reply.is_modified);
    cr_assert(not(SERVE(f, GO)->reply.is_modified));
    ASSERT_INT(count(f, SG_KIND_FUNCTION), 1); /* no new version */
    fixture_free(f);
}

Test(engine_apps, a_failed_sync_of_an_unknown_app_is_not_found)
{
    struct fixture *f = fixture_create("10:00:00");

    ASSERT_INT(sync_failed(f, "http://nobody.test", "unreachable")->reply.status, SG_NOT_FOUND);
    fixture_free(f);
}

static struct client *remove_app(struct fixture *f, const char *url)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_REMOVE_APP);
    message->as.remove_app.url = sg_arena_copy(&message->arena, sg_str_from(url));
    return post(f, message);
}

Test(engine_apps, a_removed_app_starts_no_runs_and_is_revived_by_a_sync)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO);

    ASSERT_INT(remove_app(f, "http://app.test/api/inngest")->reply.status, SG_OK);
    send_event(f, "demo/go");
    ASSERT_INT(f->call_count, 0);
    ASSERT_INT(remove_app(f, "http://app.test/api/inngest")->reply.status, SG_NOT_FOUND);

    cr_assert(SERVE(f, GO)->reply.is_modified);
    send_event(f, "demo/go");
    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}

Test(engine_apps, retries_are_read_from_the_step_and_default_to_four)
{
    struct fixture *f = fixture_create("10:00:00");
    SERVE(f, GO, {"never", "demo/go", NULL, 0, 0}, {"often", "demo/go", NULL, 99, 0});

    send_event(f, "demo/go");

    int found[3] = {0};
    for (int index = 0; index < 3; index++) {
        struct sg_call *call = call_at(f, index);
        found[0] += sg_str_eq(call->slug, SG_STR("fn")) && call->max_attempts == 5;
        found[1] += sg_str_eq(call->slug, SG_STR("never")) && call->max_attempts == 1;
        found[2] += sg_str_eq(call->slug, SG_STR("often")) && call->max_attempts == 21; /* SG_LIMIT_RETRIES */
    }
    cr_assert(found[0] == 1 && found[1] == 1 && found[2] == 1);
    fixture_free(f);
}

/* The log may have been trimmed to nothing while the functions stayed. */
Test(engine_apps, events_are_consumed_after_a_restart_with_an_empty_log)
{
    struct fixture *f = fixture_create("10:00:00");
    for (int index = 0; index < 5; index++)
        send_event(f, "demo/other");
    SERVE(f, GO);
    events_trim(f);

    crash(f);
    send_event(f, "demo/go");

    ASSERT_INT(f->call_count, 1);
    fixture_free(f);
}
