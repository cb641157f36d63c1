/* Durable endpoints: runs that an SDK creates and executes itself (reference/03 §4.3 to §4.9). */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <string.h>

#define COMPLETE "0737c22d3bfae812339732d14d8c7dbd6dc4e09c"
#define DONE "{'op':'RunComplete','id':'" COMPLETE "','data':{'status':200,'headers':{},'body':'ok'}}"

/* ---- while the endpoint executes it ---- */

Test(engine_endpoint, its_first_report_creates_app_function_event_run_and_steps)
{
    struct fixture *f = fixture_create("10:00:00");

    struct client *client = endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':1}]");

    ASSERT_INT(client->reply.status, SG_OK);
    cr_assert(sg_id_eq(client->reply.id, rig_id("function", SG_STR("POST /do"))));
    ASSERT_INT(count(f, SG_KIND_APP), 1);
    ASSERT_INT(count(f, SG_KIND_FUNCTION), 1);
    ASSERT_TEXT(events(f), "inngest/http.request");
    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_INT(f->call_count, 0);
    fixture_free(f);
}

Test(engine_endpoint, it_moves_the_run_alone_until_it_completes_it)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':1}]");
    endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b','data':2}]");

    endpoint_reports(f, "r1", "[" DONE "]");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(run_output(f), "{\"body\":\"ok\",\"headers\":{},\"status\":200}");
    ASSERT_TEXT(stack(f), "a b");
    ASSERT_TEXT(events(f), "inngest/http.request inngest/function.finished");
    ASSERT_INT(f->call_count, 0);
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    fixture_free(f);
}

Test(engine_endpoint, a_handler_without_steps_is_one_report)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[" DONE "]");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_INT(count(f, SG_KIND_JOB), 0);
    ASSERT_INT(count(f, SG_KIND_RUN_LIVE), 0);
    fixture_free(f);
}

Test(engine_endpoint, a_response_of_500_is_a_failure_with_an_output)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[{'op':'RunComplete','id':'" COMPLETE "','data':{'status':503,'headers':{},'body':'no'}}]");

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_output(f), "{\"body\":\"no\",\"headers\":{},\"status\":503}");
    cr_assert(strstr(run_error(f), "HTTP status 503") != NULL);
    ASSERT_TEXT(events(f), "inngest/http.request inngest/function.finished inngest/function.failed");
    fixture_free(f);
}

Test(engine_endpoint, a_response_below_500_is_the_endpoints_own_affair)
{
    static const struct {
        int http_status;
        const char *run_status;
    } rows[] = {{200, "Completed"}, {404, "Completed"}, {499, "Completed"}, {500, "Failed"}, {599, "Failed"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture *f = fixture_create("10:00:00");
        char ops[200];
        snprintf(ops, sizeof(ops), "[{'op':'RunComplete','id':'" COMPLETE "','data':{'status':%d,'headers':{},'body':'x'}}]",
                 rows[i].http_status);

        endpoint_begins(f, "r1", ops);

        ASSERT_TEXT(run_status(f), rows[i].run_status);
        fixture_free(f);
    }
}

Test(engine_endpoint, a_sync_run_complete_is_unpacked)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[{'op':'SyncRunComplete','id':'" COMPLETE "','data':{'data':{'status':201,'headers':{},'body':'x'}}}]");

    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(run_output(f), "{\"body\":\"x\",\"headers\":{},\"status\":201}");
    fixture_free(f);
}

Test(engine_endpoint, its_steps_stay_in_memory_between_reports)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b'}]");

    ASSERT_INT(f->loads_total, 0);
    ASSERT_INT(stats(f).hydrated, 1);
    fixture_free(f);
}

Test(engine_endpoint, a_report_after_a_restart_loads_them)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");
    crash(f);

    struct client *client = endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b'}," DONE "]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(run_status(f), "Completed");
    ASSERT_TEXT(stack(f), "a b");
    fixture_free(f);
}

Test(engine_endpoint, a_step_costs_three_rows)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");
    move_clock(f, "10:00:30");

    endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b'}]");

    ASSERT_INT(f->writes, 3); /* memo, step, run_live: the watchdog need not be told of every second */
    fixture_free(f);
}

/* ---- the watchdog ---- */

Test(engine_endpoint, one_that_reports_nothing_for_an_hour_has_failed)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    move_clock(f, "10:59:59");
    ASSERT_TEXT(run_status(f), "Running");
    move_clock(f, "11:00:00");

    ASSERT_TEXT(run_status(f), "Failed");
    cr_assert(strstr(run_error(f), "EndpointTimeoutError") != NULL);
    cr_assert(strstr(run_error(f), "3600 s") != NULL);
    ASSERT_INT(f->call_count, 0);
    fixture_free(f);
}

Test(engine_endpoint, each_report_gives_it_the_hour_anew)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");
    move_clock(f, "10:40:00");
    endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b'}]");

    move_clock(f, "11:39:00");
    ASSERT_TEXT(run_status(f), "Running");
    move_clock(f, "11:40:00");
    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_endpoint, the_hour_can_be_configured_and_outlives_a_crash)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.endpoint_idle_ms = 60000});
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");
    crash(f);

    move_clock(f, "10:01:00");

    ASSERT_TEXT(run_status(f), "Failed");
    fixture_free(f);
}

Test(engine_endpoint, a_report_that_waits_for_a_load_comes_before_the_watchdog)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");
    crash(f);
    f->is_holding_loads = true;
    endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b'}]");
    move_clock(f, "11:00:00");

    release_loads(f);

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_INT(next_due(f), AT("12:00:00"));
    fixture_free(f);
}

/* ---- what is repeated ---- */

Test(engine_endpoint, a_creation_that_is_repeated_is_a_success_and_changes_nothing)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':1}]");

    struct client *client = endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':2}]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    ASSERT_TEXT(events(f), "inngest/http.request");
    fixture_free(f);
}

Test(engine_endpoint, a_creation_that_is_repeated_after_the_end_is_a_success)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[" DONE "]");

    struct client *client = endpoint_begins(f, "r1", "[" DONE "]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(events(f), "inngest/http.request inngest/function.finished");
    fixture_free(f);
}

Test(engine_endpoint, a_creation_that_is_repeated_after_the_end_and_a_restart_is_a_success)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[" DONE "]");
    crash(f);

    struct client *client = endpoint_begins(f, "r1", "[" DONE "]");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(events(f), "inngest/http.request inngest/function.finished");
    fixture_free(f);
}

Test(engine_endpoint, a_creation_that_is_repeated_before_the_first_is_on_disk_is_a_success)
{
    struct fixture *f = fixture_create("10:00:00");
    begin_batch(f);
    endpoint_begins(f, "r1", "[" DONE "]");
    struct client *client = endpoint_begins(f, "r1", "[" DONE "]"); /* its lookup has seen nothing */
    end_batch(f);

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(events(f), "inngest/http.request inngest/function.finished");
    fixture_free(f);
}

Test(engine_endpoint, another_endpoint_cannot_take_the_run)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    ASSERT_INT(endpoint_begins_at(f, "/other", 3, "r1", "[]")->reply.status, SG_CONFLICT);
    endpoint_reports(f, "r1", "[" DONE "]");
    ASSERT_INT(endpoint_begins_at(f, "/other", 3, "r1", "[]")->reply.status, SG_CONFLICT);
    fixture_free(f);
}

Test(engine_endpoint, reports_of_an_unknown_run_or_of_an_ordinary_one_are_refused)
{
    struct fixture *f = fixture_with_run("10:00:00");

    ASSERT_INT(endpoint_reports(f, "r1", "[{'op':'StepRun','id':'a'}]")->reply.status, SG_NOT_FOUND);
    struct sg_message *message = sg_message_create(SG_MESSAGE_CHECKPOINT);
    message->as.checkpoint.run_id = f->calls[0]->run_id;
    message->as.checkpoint.is_sync = true;
    ASSERT_INT(post(f, message)->reply.status, SG_INVALID_ARGUMENT);
    fixture_free(f);
}

Test(engine_endpoint, the_report_that_made_it_asynchronous_may_come_twice)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'Sleep','id':'z','name':'1m'}]");

    struct client *client = endpoint_begins(f, "r1", "[{'op':'Sleep','id':'z','name':'1m'}]");
    move_clock(f, "10:01:00");

    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_TEXT(calls(f), "step@1");
    fixture_free(f);
}

Test(engine_endpoint, a_failed_attempt_that_is_reported_twice_counts_once)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    endpoint_begins(f, "r1", "[{'op':'StepError','id':'a','name':'a'}]");
    endpoint_begins(f, "r1", "[{'op':'StepError','id':'a','name':'a'}]");

    move_clock(f, "10:00:01");

    ASSERT_TEXT(calls(f), "step@0#1");
    ASSERT_INT(step_number(f, "a", SG_STEP_ATTEMPTS), 1);
    fixture_free(f);
}

Test(engine_endpoint, a_late_result_is_kept_and_a_late_end_is_not)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'Sleep','id':'z','name':'1m'}]");

    endpoint_reports(f, "r1", "[{'op':'StepRun','id':'a','data':1}," DONE "]");

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_TEXT(memo(f, "a"), "{\"data\":1}");
    fixture_free(f);
}

Test(engine_endpoint, late_results_that_make_the_state_too_large_are_not_kept)
{
    struct fixture *f = fixture_create("10:00:00");
    struct sg_buf ops = {0};
    for (int i = 0; i < 2; i++) {
        sg_buf_clear(&ops);
        sg_buf_append(&ops, SG_STR("["));
        if (i == 0)
            sg_buf_append(&ops, SG_STR("{'op':'Sleep','id':'z','name':'1m'},"));
        sg_buf_printf(&ops, "{'op':'StepRun','id':'%c','data':'", 'a' + i);
        for (int len = 0; len < SG_LIMIT_STATE_BYTES / 2; len += 64)
            sg_buf_append(&ops, SG_STR("0123456789012345678901234567890123456789012345678901234567890123"));
        sg_buf_append(&ops, SG_STR("'}]\0"));
        if (i == 0)
            endpoint_begins(f, "r1", ops.ptr);
        else
            ASSERT_INT(endpoint_reports(f, "r1", ops.ptr)->reply.status, SG_OK);
    }
    sg_buf_free(&ops);

    cr_assert(strlen(memo(f, "a")) > SG_LIMIT_STATE_BYTES / 2);
    ASSERT_TEXT(memo(f, "b"), "-");
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_endpoint, late_results_beyond_the_number_of_steps_are_not_kept)
{
    struct fixture *f = fixture_create("10:00:00");
    struct sg_buf ops = {0};
    int steps = 0;
    f->is_unequal = true; /* comparing ten thousand steps after each report takes long, and says nothing here */
    endpoint_begins(f, "r1", "[{'op':'Sleep','id':'z','name':'1m'}]");
    while (steps < SG_LIMIT_STEPS_PER_RUN_MAX + 10) {
        sg_buf_clear(&ops);
        for (int i = 0; i < 300; i++)
            sg_buf_printf(&ops, "%s{'op':'StepRun','id':'s%d'}", i > 0 ? "," : "[", steps++);
        sg_buf_append(&ops, SG_STR("]\0"));
        ASSERT_INT(endpoint_reports(f, "r1", ops.ptr)->reply.status, SG_OK);
    }
    sg_buf_free(&ops);

    ASSERT_INT(count(f, SG_KIND_MEMO), SG_LIMIT_STEPS_PER_RUN_MAX);
    fixture_free(f);
}

Test(engine_endpoint, a_report_of_too_many_results_is_refused_and_changes_nothing)
{
    struct fixture *f = fixture_create("10:00:00");
    struct sg_buf ops = {0};
    for (int i = 0; i < SG_LIMIT_WRITES_PER_MESSAGE / 3 + 1; i++)
        sg_buf_printf(&ops, "%s{'op':'StepRun','id':'s%d'}", i > 0 ? "," : "[", i);
    sg_buf_append(&ops, SG_STR("]\0"));

    ASSERT_INT(endpoint_begins(f, "r1", ops.ptr)->reply.status, SG_TOO_LARGE);
    ASSERT_INT(count(f, SG_KIND_RUN), 0);
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");
    ASSERT_INT(endpoint_reports(f, "r1", ops.ptr)->reply.status, SG_TOO_LARGE);
    ASSERT_TEXT(stack(f), "a");
    sg_buf_free(&ops);
    fixture_free(f);
}

/* ---- once something takes time ---- */

Test(engine_endpoint, a_sleep_makes_it_asynchronous_and_its_call_goes_to_the_endpoint)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a','data':1}]");
    endpoint_reports(f, "r1", "[{'op':'Sleep','id':'z','name':'2h'}]");

    move_clock(f, "12:00:00"); /* no watchdog any more */

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_TEXT(calls(f), "step@2");
    cr_assert(last_call(f)->is_endpoint);
    ASSERT_INT(last_call(f)->event_count, 1);
    report(f, "[" DONE "]");
    ASSERT_TEXT(run_status(f), "Completed");
    fixture_free(f);
}

Test(engine_endpoint, parallel_steps_are_called_one_by_one_with_plans_forced)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[{'op':'StepPlanned','id':'p'},{'op':'StepPlanned','id':'q'}]");

    ASSERT_TEXT(calls(f), "p@0! q@0!");
    report(f, "[{'op':'StepRun','id':'p'}]");
    report(f, "[{'op':'StepRun','id':'q'}]");
    ASSERT_TEXT(calls_from(f, 2), "step@2");
    fixture_free(f);
}

Test(engine_endpoint, a_step_that_failed_is_tried_again_after_the_back_off)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    endpoint_begins_at(f, "/do", 1, "r1", "[{'op':'StepError','id':'a','name':'a'}]");
    ASSERT_INT(f->call_count, 0);

    move_clock(f, "10:00:01");

    ASSERT_TEXT(calls(f), "step@0#1");
    report(f, "[{'op':'StepError','id':'a','name':'a'}]"); /* the last attempt: now the handler learns of it */
    ASSERT_TEXT(memo(f, "a"), "{\"error\":{\"message\":\"boom\",\"name\":\"Error\"}}");
    ASSERT_TEXT(calls_from(f, 1), "step@1");
    fixture_free(f);
}

Test(engine_endpoint, a_step_that_failed_for_good_is_followed_by_a_call)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[{'op':'StepFailed','id':'a','name':'a'}]");

    ASSERT_TEXT(memo(f, "a"), "{\"error\":{\"message\":\"boom\",\"name\":\"Error\"}}");
    ASSERT_TEXT(calls(f), "step@1");
    fixture_free(f);
}

Test(engine_endpoint, a_discovery_request_is_a_call_at_once)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    endpoint_reports(f, "r1", "[{'op':'DiscoveryRequest','id':'d'}]");

    ASSERT_TEXT(calls(f), "step@1");
    fixture_free(f);
}

Test(engine_endpoint, a_handler_that_failed_is_tried_again_and_is_no_step)
{
    struct fixture *f = fixture_create_with("10:00:00", &(struct sg_engine_options){.retry_interval_ms = 1000});
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    endpoint_reports(f, "r1", "[{'op':'StepError','id':'" COMPLETE "'}]");
    move_clock(f, "10:00:01");

    ASSERT_TEXT(calls(f), "step@1#1");
    ASSERT_INT(step_number(f, COMPLETE, SG_STEP_ATTEMPTS), -1);
    fixture_free(f);
}

Test(engine_endpoint, a_handler_that_failed_without_retries_has_failed)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins_at(f, "/do", 0, "r1", "[{'op':'StepError','id':'" COMPLETE "'}]");

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_error(f), "{\"message\":\"boom\",\"name\":\"Error\"}");
    fixture_free(f);
}

Test(engine_endpoint, a_handler_that_failed_for_good_has_failed)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[{'op':'StepFailed','id':'" COMPLETE "'}]");

    ASSERT_TEXT(run_status(f), "Failed");
    ASSERT_TEXT(run_error(f), "{\"message\":\"boom\",\"name\":\"Error\"}");
    fixture_free(f);
}

Test(engine_endpoint, a_step_that_the_user_calls_complete_is_a_step)
{
    struct fixture *f = fixture_create("10:00:00");

    endpoint_begins(f, "r1", "[{'op':'StepFailed','id':'" COMPLETE "','name':'complete'}]");

    ASSERT_TEXT(run_status(f), "Running");
    ASSERT_TEXT(memo(f, COMPLETE), "{\"error\":{\"message\":\"boom\",\"name\":\"Error\"}}");
    endpoint_begins(f, "r2", "[{'op':'StepFailed','id':'" COMPLETE "','displayName':'complete'}]");
    ASSERT_TEXT(run_status(f), "Running");
    fixture_free(f);
}

Test(engine_endpoint, waits_work_and_know_the_request)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1",
                    "[{'op':'WaitForEvent','id':'w','name':'paid','opts':{'event':'paid','timeout':'1h','if':'async.data.path == "
                    "event.data.path'}}]");

    SEND(f, {.name = "paid", .data = "{'path':'/else'}"});
    ASSERT_INT(f->call_count, 0);
    SEND(f, {.name = "paid", .data = "{'path':'/do'}"});

    ASSERT_TEXT(calls(f), "step@1");
    fixture_free(f);
}

Test(engine_endpoint, a_thousand_parallel_steps_are_applied_in_slices)
{
    struct fixture *f = fixture_create("10:00:00");
    struct sg_buf ops = {0};
    for (int i = 0; i < 1000; i++)
        sg_buf_printf(&ops, "%s{'op':'StepPlanned','id':'p%d'}", i > 0 ? "," : "[", i);
    sg_buf_printf(&ops, "]%c", 0);
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    struct client *client = endpoint_reports(f, "r1", ops.ptr);

    sg_buf_free(&ops);
    ASSERT_INT(client->reply.status, SG_OK);
    ASSERT_INT(f->call_count, 1000);
    ASSERT_INT(count(f, SG_KIND_JOB), 1000);
    fixture_free(f);
}

/* ---- its app and function ---- */

Test(engine_endpoint, its_app_survives_the_registration_of_another)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    SERVE(f, {"fn2", "demo/go", NULL, -1, 0});
    endpoint_reports(f, "r1", "[{'op':'DiscoveryRequest','id':'d'}]");

    ASSERT_TEXT(calls(f), "step@1");
    ASSERT_INT(runs_of(f, "POST /do"), 1);
    fixture_free(f);
}

Test(engine_endpoint, paths_beyond_the_limit_share_one_function)
{
    struct fixture *f = fixture_create("10:00:00");
    f->is_unequal = true; /* comparing a thousand functions a thousand times takes long, and says nothing here */
    for (int i = 0; i < SG_LIMIT_HTTP_FUNCTIONS_PER_APP + 5; i++) {
        char path[32];
        char run[32];
        snprintf(path, sizeof(path), "/user/%d", i);
        snprintf(run, sizeof(run), "r%d", i);
        f->client_count = 0;
        f->clients[0].is_answered = false;
        ASSERT_INT(endpoint_begins_at(f, path, 3, run, "[" DONE "]")->reply.status, SG_OK);
    }

    ASSERT_INT(count(f, SG_KIND_FUNCTION), SG_LIMIT_HTTP_FUNCTIONS_PER_APP + 1);
    ASSERT_INT(runs_of(f, "POST (other paths)"), 5);
    f->client_count = 0;
    memset(f->clients, 0, 2 * sizeof(f->clients[0]));
    for (int i = 0; i < 2; i++) /* also when it is repeated */
        ASSERT_INT(endpoint_begins_at(f, "/user/last", 3, "last", "[{'op':'StepRun','id':'a'}]")->reply.status, SG_OK);
    ASSERT_INT(runs_of(f, "POST (other paths)"), 6);
    fixture_free(f);
}

Test(engine_endpoint, cancelling_ends_it_and_later_reports_find_nothing)
{
    struct fixture *f = fixture_create("10:00:00");
    endpoint_begins(f, "r1", "[{'op':'StepRun','id':'a'}]");

    cancel(f, f->last_run);

    ASSERT_TEXT(run_status(f), "Cancelled");
    ASSERT_INT(endpoint_reports(f, "r1", "[{'op':'StepRun','id':'b'}]")->reply.status, SG_NOT_FOUND);
    fixture_free(f);
}
