/* The API: runs, events, apps and what is inside, read from the store; cancelling; pages for people. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/duration.h"
#include "server_records.h"

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- /v0/runs ---- */

Test(v0_runs, actions_are_the_memos_of_a_live_run)
{
    struct fixture f;

    fixture_open(&f);
    put_live(&f, RUN_ID);
    put_memo(&f, RUN_ID, "bbb", 0, "{\"data\":{\"a\":1}}");
    put_memo(&f, RUN_ID, "aaa", 1, "null");
    struct answer answer = fetch(&f, "GET", "/v0/runs/" RUN_ID "/actions", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(str, answer.body, "{\"aaa\":null,\"bbb\":{\"data\":{\"a\":1}}}"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(v0_runs, batch_is_the_list_of_events)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    put_live(&f, RUN_ID);
    put_event(&f, 1, EVENT_ID, "a/b", "{\"data\":{\"n\":1},\"id\":\"x\",\"name\":\"a/b\",\"ts\":1}", 5);
    EXPECT(&f, "GET", "/v0/runs/" RUN_ID "/batch", "", NULL, 200, "[{\"data\":{\"n\":1},\"id\":\"x\",\"name\":\"a/b\",\"ts\":1");
    fixture_close(&f);
}

Test(v0_runs, state_of_ended_and_unknown_runs_is_gone)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "1", NULL);
    const char *gone = "\"error\":\"runtime state is no longer available for runID: " RUN_ID "\",\"status\":410";
    EXPECT(&f, "GET", "/v0/runs/" RUN_ID "/actions", "", NULL, 410, gone);
    EXPECT(&f, "GET", "/v0/runs/" RUN_ID "/batch", "", NULL, 410, gone);
    EXPECT(&f, "GET", "/v0/runs/nonsense/batch", "", NULL, 400, "\"error\":\"The run ID specified is invalid\",\"status\":400");
    fixture_close(&f);
}

/* ---- /v1/runs ---- */

Test(v1_runs, completed_run_shows_its_output_in_an_envelope)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"ok\":true}", NULL);
    struct answer answer = fetch(&f, "GET", "/v1/runs/" RUN_ID, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(answer_has(&answer,
                         "{\"data\":{\"ended_at\":\"2026-01-02T03:04:06.1Z\",\"environment_id\":\"00000000-0000-4000-b000-000000000000\","
                         "\"event_id\":\"" EVENT_ID "\",\"function_id\":\"02020202-0000-0000-0000-000000000000\",\"function_version\":0,"
                         "\"output\":{\"ok\":true},\"run_id\":\"" RUN_ID "\",\"run_started_at\":\"2026-01-02T03:04:05.6Z\","
                         "\"status\":\"Completed\"},\"metadata\":{\"cached_until\":"),
              "%s", answer.body);
    cr_expect(eq(str, (char *)answer_header(&answer, "Cache-Control"), "private, max-age=3"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(v1_runs, running_run_has_no_output_and_no_end)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    struct answer answer = fetch(&f, "GET", "/v1/runs/" RUN_ID, "", NULL);
    cr_expect(answer_has(&answer, "\"ended_at\":null"));
    cr_expect(not(answer_has(&answer, "output")));
    cr_expect(answer_has(&answer, "\"status\":\"Running\""));
    answer_free(&answer);
    fixture_close(&f);
}

Test(v1_runs, output_of_runs_that_failed_or_returned_nothing)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_FAILED, "{\"message\":\"boom\"}", "{\"error\":\"x\"}");
    EXPECT(&f, "GET", "/v1/runs/" RUN_ID, "", NULL, 200, "\"output\":{\"message\":\"boom\"}");
    put_run(&f, RUN_ID, SG_RUN_FAILED, NULL, "{\"error\":\"x\"}");
    EXPECT(&f, "GET", "/v1/runs/" RUN_ID, "", NULL, 200, "\"output\":{\"error\":{\"error\":\"x\"}}");
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, NULL, NULL);
    EXPECT(&f, "GET", "/v1/runs/" RUN_ID, "", NULL, 200, "\"output\":null");
    put_run(&f, RUN_ID, SG_RUN_CANCELLED, NULL, NULL);
    EXPECT(&f, "GET", "/v1/runs/" RUN_ID, "", NULL, 200, "\"output\":null");
    fixture_close(&f);
}

Test(v1_runs, errors_have_their_true_status)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", "/v1/runs/nonsense", "", NULL, 400, "\"data\":null,\"error\":\"Invalid run ID: nonsense\",\"status\":400");
    EXPECT(&f, "GET", "/v1/runs/" NO_RUN_ID, "", NULL, 404, "\"error\":\"Unable to load function run: " NO_RUN_ID "\",\"status\":404");
    fixture_close(&f);
}

Test(v1_runs, jobs_of_the_run_only)
{
    struct fixture f;

    fixture_open(&f);
    put_job(&f, 1, RUN_ID, SG_JOB_CALL);
    put_job(&f, 2, OTHER_RUN_ID, SG_JOB_CALL);
    put_job(&f, 3, RUN_ID, SG_JOB_SLEEP);
    struct answer answer = fetch(&f, "GET", "/v1/runs/" RUN_ID "/jobs", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(answer_has(&answer, "\"kind\":\"sleep\""));
    cr_expect(answer_has(&answer, "\"kind\":\"edge\""));
    int count = 0;
    for (const char *at = answer.body; (at = strstr(at, "JobID")) != NULL; at++)
        count++;
    cr_expect(eq(int, count, 2));
    answer_free(&answer);
    fixture_close(&f);
}

/* ---- cancelling ---- */

Test(cancel, live_run_is_cancelled_by_a_message)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "DELETE", "/v1/runs/" RUN_ID, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(sz, answer.body_len, 0));
    cr_expect(eq(int, f.kind, SG_MESSAGE_CANCEL));
    answer_free(&answer);
    answer = fetch(&f, "DELETE", "/v0/runs/" RUN_ID, "", NULL);
    cr_expect(eq(int, answer.status, 204));
    answer_free(&answer);
    fixture_close(&f);
}

Test(cancel, ended_and_unknown_runs_are_told_apart)
{
    struct fixture f;

    fixture_open(&f);
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "DELETE", "/v1/runs/" RUN_ID, "", NULL, 404, "Unable to load function run: " RUN_ID);
    EXPECT(&f, "DELETE", "/v0/runs/" RUN_ID, "", NULL, 404, "A function run with the given ID could not be found");
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "1", NULL);
    EXPECT(&f, "DELETE", "/v1/runs/" RUN_ID, "", NULL, 200, "");
    EXPECT(&f, "DELETE", "/v0/runs/" RUN_ID, "", NULL, 409, "This function has already completed");
    EXPECT(&f, "DELETE", "/v1/runs/nonsense", "", NULL, 400, "Invalid run ID: nonsense");
    fixture_close(&f);
}

/* ---- /v1/events ---- */

/* An event a number of seconds ago, with an id of that time. */
static void put_recent(struct fixture *f, int64_t position, const char *name, int64_t seconds_ago, char id[SG_ULID_LEN + 1])
{
    int64_t at_ms = now_ms() - seconds_ago * 1000;
    uint8_t entropy[10] = {0};
    char body[256];

    entropy[9] = (uint8_t)position;
    sg_ulid_format(sg_ulid_make(at_ms, entropy), id);
    snprintf(body, sizeof(body), "{\"data\":{\"n\":%d},\"id\":\"own-%d\",\"name\":\"%s\",\"ts\":%lld}", (int)position, (int)position, name,
             (long long)at_ms);
    put_event(f, position, id, name, body, at_ms);
}

static int count_of(const struct answer *answer, const char *part)
{
    int count = 0;

    for (const char *at = answer->body; at != NULL && (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

Test(v1_events, one_event_is_shown_whole)
{
    struct fixture f;

    fixture_open(&f);
    put_event(&f, 1, EVENT_ID, "a/b",
              "{\"data\":{\"n\":1},\"id\":\"x\",\"name\":\"a/b\",\"ts\":1767323045000,\"user\":{\"id\":\"u\"},\"v\":\"2\"}", 1767323045001);
    struct answer answer = fetch(&f, "GET", "/v1/events/" EVENT_ID, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(
        answer_has(&answer,
                   "{\"data\":{\"account_id\":\"00000000-0000-0000-0000-000000000000\",\"data\":{\"n\":1},"
                   "\"environment_id\":\"00000000-0000-0000-0000-000000000000\",\"id\":\"x\",\"internal_id\":\"" EVENT_ID "\","
                   "\"name\":\"a/b\",\"received_at\":\"2026-01-02T03:04:05.001Z\",\"source\":\"\",\"source_id\":null,\"ts\":1767323045000,"
                   "\"user\":{\"id\":\"u\"},\"v\":\"2\"},\"metadata\":{"),
        "%s", answer.body);
    cr_expect(eq(str, (char *)answer_header(&answer, "Cache-Control"), "private, max-age=5"));
    answer_free(&answer);
    EXPECT(&f, "GET", "/v1/events/" NO_RUN_ID, "", NULL, 404, "\"error\":\"Event not found\",\"status\":404");
    EXPECT(&f, "GET", "/v1/events/x%20y", "", NULL, 400, "\"error\":\"Invalid event ID: x y\"");
    fixture_close(&f);
}

Test(v1_events, lifecycle_event_is_made_when_asked_for)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"ok\":true}", NULL);
    put_event(&f, 1, EVENT_ID, "a/b", "{\"data\":{},\"id\":\"x\",\"name\":\"a/b\",\"ts\":1767323045000}", 1767323045001);
    put_event(&f, 2, OTHER_RUN_ID, "inngest/function.finished", NULL, 1767323046100);
    EXPECT(&f, "GET", "/v1/events/" OTHER_RUN_ID, "", NULL, 200, "\"result\":{\"ok\":true}");
    fixture_close(&f);
}

Test(v1_events, list_is_newest_first_without_internal_ones_and_pages_by_cursor)
{
    struct fixture f;
    char ids[6][SG_ULID_LEN + 1];
    char path[128];

    fixture_open(&f);
    for (int i = 1; i <= 5; i++)
        put_recent(&f, i, i == 3 ? "inngest/x" : "a/b", 600 - i, ids[i]);
    struct answer answer = fetch(&f, "GET", "/v1/events?limit=2", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(int, count_of(&answer, "internal_id"), 2));
    cr_expect(strstr(answer.body, ids[5]) != NULL && strstr(answer.body, ids[5]) < strstr(answer.body, ids[4]));
    answer_free(&answer);
    snprintf(path, sizeof(path), "/v1/events?limit=2&cursor=%s", ids[4]);
    answer = fetch(&f, "GET", path, "", NULL);
    cr_expect(eq(int, count_of(&answer, "internal_id"), 2));
    cr_expect(answer_has(&answer, ids[2]));
    cr_expect(answer_has(&answer, ids[1]));
    cr_expect(not(answer_has(&answer, "cached_until")));
    answer_free(&answer);
    fixture_close(&f);
}

Test(v1_events, list_filters_by_name_and_window)
{
    struct fixture f;
    char id[SG_ULID_LEN + 1];
    char path[256], moment[SG_RFC3339_MAX];

    fixture_open(&f);
    put_recent(&f, 1, "shop/order placed", 7200, id); /* before the default window of an hour */
    put_recent(&f, 2, "shop/order placed", 60, id);
    put_recent(&f, 3, "other", 30, id);
    struct answer answer = fetch(&f, "GET", "/v1/events?name=shop%2Forder+placed", "", NULL);
    cr_expect(eq(int, count_of(&answer, "internal_id"), 1));
    cr_expect(answer_has(&answer, "own-2"));
    answer_free(&answer);
    sg_rfc3339_format(now_ms() - 3 * 3600 * 1000, moment);
    snprintf(path, sizeof(path), "/v1/events?received_after=%s", moment);
    answer = fetch(&f, "GET", path, "", NULL);
    cr_expect(eq(int, count_of(&answer, "internal_id"), 3));
    answer_free(&answer);
    sg_rfc3339_format(now_ms() - 45 * 1000, moment);
    snprintf(path, sizeof(path), "/v1/events?received_before=%s", moment);
    answer = fetch(&f, "GET", path, "", NULL);
    cr_expect(eq(int, count_of(&answer, "internal_id"), 1));
    answer_free(&answer);
    fixture_close(&f);
}

Test(v1_events, limit_is_clamped_and_nonsense_counts_as_absent)
{
    struct fixture f;
    char id[SG_ULID_LEN + 1];

    fixture_open(&f);
    for (int i = 1; i <= 60; i++)
        put_recent(&f, i, "a", 100 - i, id);
    const char *limits[] = {"0", "-3", "1000", "many", "7"};
    const int counts[] = {1, 1, 51, 20, 7};
    for (size_t i = 0; i < 5; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/v1/events?limit=%s", limits[i]);
        struct answer answer = fetch(&f, "GET", path, "", NULL);
        cr_expect(eq(int, count_of(&answer, "internal_id"), counts[i]));
        answer_free(&answer);
    }
    fixture_close(&f);
}

Test(v1_events, bad_parameters_are_named)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", "/v1/events?cursor=zzz", "", NULL, 400, "\"error\":\"Invalid cursor query parameter\"");
    EXPECT(&f, "GET", "/v1/events?received_after=yesterday", "", NULL, 400, "\"error\":\"Invalid received_after query parameter\"");
    EXPECT(&f, "GET", "/v1/events?name=%zz", "", NULL, 400, "\\\"name\\\" is not valid percent-encoding");
    fixture_close(&f);
}

Test(v1_events, runs_of_an_event)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"ok\":true}", NULL);
    put_run(&f, OTHER_RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    struct answer answer = fetch(&f, "GET", "/v1/events/" EVENT_ID "/runs", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(int, count_of(&answer, "\"run_id\""), 2));
    cr_expect(answer_has(&answer, "\"output\":{\"ok\":true}"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Cache-Control"), "private, max-age=15"));
    answer_free(&answer);
    EXPECT(&f, "GET", "/v1/events/" NO_RUN_ID "/runs", "", NULL, 200, "{\"data\":[],\"metadata\"");
    EXPECT(&f, "GET", "/v1/events/nonsense/runs", "", NULL, 400, "Invalid event ID: nonsense");
    fixture_close(&f);
}

/* ---- inside ---- */

Test(admin, run_with_its_steps_in_order_and_its_calls)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    put_step(&f, RUN_ID, "zzz", "first", SG_STEP_COMPLETED, 1767323045700);
    put_step(&f, RUN_ID, "aaa", "second", SG_STEP_ERRORED, 1767323045800);
    put_memo(&f, RUN_ID, "zzz", 0, "{\"data\":1}");
    put_attempt(&f, RUN_ID, 65537, 0, NULL);
    put_attempt(&f, RUN_ID, 65538, 0, "{\"message\":\"boom\"}");
    struct answer answer = fetch(&f, "GET", "/v1/admin/runs/" RUN_ID, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(answer_has(&answer, "\"function\":\"shop-handle\",\"function_name\":\"Handle <order>\""));
    cr_expect(answer_has(&answer, "\"steps\":[{\"attempts\":0,"));
    cr_expect(strstr(answer.body, "\"first\"") < strstr(answer.body, "\"second\""));
    cr_expect(answer_has(&answer, "\"output\":{\"data\":1}"));
    cr_expect(answer_has(&answer, "\"error\":{\"message\":\"boom\",\"name\":\"Error\"}"));
    cr_expect(answer_has(&answer, "\"http_status\":500"));
    cr_expect(answer_has(&answer, "\"attempts\":[{\"duration_ms\":10,\"ended_at\":\"2026-01-02T03:04:05.01Z\""));
    cr_expect(answer_has(&answer, "\"status\":\"Completed\",\"target\":null"));
    cr_expect(answer_has(&answer, "\"status\":\"Errored\",\"target\":null"));
    answer_free(&answer);
    EXPECT(&f, "GET", "/v1/admin/runs/" NO_RUN_ID, "", NULL, 404, "There is no run");
    EXPECT(&f, "GET", "/v1/admin/runs/x", "", NULL, 400, "Invalid run ID");
    fixture_close(&f);
}

Test(admin, why_shows_the_engine_s_words)
{
    struct fixture f;

    fixture_open(&f);
    f.explanation = "{\"jobs\":[]}";
    EXPECT(&f, "GET", "/v1/admin/runs/" RUN_ID "/why", "", NULL, 200,
           "{\"data\":{\"jobs\":[],\"conditions\":{},\"step_names\":{}},\"metadata\"");
    put_step(&f, RUN_ID, "w1", "the \"payment\"", SG_STEP_WAITING, 1);
    put_pause(&f, RUN_ID, "w1", "async.data.id == \"7\"");
    put_step(&f, OTHER_RUN_ID, "w2", "another run's", SG_STEP_WAITING, 1);
    EXPECT(&f, "GET", "/v1/admin/runs/" RUN_ID "/why", "", NULL, 200,
           "\"conditions\":{\"w1\":\"async.data.id == \\\"7\\\"\"},\"step_names\":{\"w1\":\"the \\\"payment\\\"\"}}");
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "GET", "/v1/admin/runs/" RUN_ID "/why", "", NULL, 404, "has ended or is unknown");
    EXPECT(&f, "GET", "/v1/admin/runs/x/why", "", NULL, 400, "Invalid run ID");
    fixture_close(&f);
}

Test(admin, apps_with_their_functions_in_force)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", "/v1/admin/apps", "", NULL, 200, "{\"apps\":[],\"places\":[]}");
    put_app(&f);
    struct answer answer = fetch(&f, "GET", "/v1/admin/apps", "", NULL);
    cr_expect(answer_has(&answer, "\"name\":\"shop\""));
    cr_expect(answer_has(&answer, "\"version\":2"));
    cr_expect(not(answer_has(&answer, "Old name")));
    answer_free(&answer);
    EXPECT(&f, "GET", "/v1/apps/shop/functions", "", NULL, 200, "\"id\":\"shop-handle\",\"internal_id\":\"02020202-");
    EXPECT(&f, "GET", "/v1/apps/none/functions", "", NULL, 404, "App not found: none");
    fixture_close(&f);
}

Test(admin, server_tells_who_it_is)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", "/v1/admin/server", "", NULL, 200,
           "\"data\":null,\"event_key_count\":0,\"signing_keys\":[],\"is_dev\":true,\"kind\":\"dev\",\"now_ms\":");
    fixture_close(&f);
}

Test(admin, sync_is_asked_for)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/admin/sync", "", "{\"url\":\"http://localhost:3000/api/inngest\"}", 202,
           "\"url\":\"http://localhost:3000/api/inngest\"");
    cr_expect(eq(str, f.synced, "http://localhost:3000/api/inngest"));
    EXPECT(&f, "POST", "/v1/admin/sync", "", "{\"url\":\"ftp://x\"}", 400, "not a URL");
    EXPECT(&f, "POST", "/v1/admin/sync", "", "{}", 400, "\\\"url\\\"");
    EXPECT(&f, "POST", "/v1/admin/sync", "", "{", 400, "\"status\":400");
    fixture_close(&f);
}

/* ---- pages ---- */

Test(pages, health_and_readiness_differ)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", "/health", "", NULL, 200, "{\"message\":\"OK\",\"status\":200}");
    EXPECT(&f, "GET", "/ready", "", NULL, 200, "\"status\":200");
    f.ready.state = SG_SERVER_STORE_FAILING;
    snprintf(f.ready.text, sizeof(f.ready.text), "the store cannot commit: disk full");
    EXPECT(&f, "GET", "/ready", "", NULL, 503,
           "\"code\":\"store_failing\",\"data\":null,\"error\":\"the store cannot commit: disk full\",\"status\":503");
    f.ready = (struct sg_server_status){.state = SG_SERVER_STARTING};
    EXPECT(&f, "GET", "/ready", "", NULL, 503, "\"error\":\"the gateway is starting\"");
    f.ready = (struct sg_server_status){.state = SG_SERVER_READY};
    sg_server_stop_accepting(f.server);
    EXPECT(&f, "GET", "/ready", "", NULL, 503, "\"code\":\"draining\"");
    EXPECT(&f, "GET", "/health", "", NULL, 200, "OK");
    fixture_close(&f);
}

Test(pages, metrics_are_those_of_server_and_node)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/e/k", "", "[{\"name\":\"a\"},{\"name\":\"b\"}]", 200, "ids");
    struct answer answer = fetch(&f, "GET", "/metrics", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(answer_has(&answer, "\nstepgate_events_received_total 2\n"));
    cr_expect(answer_has(&answer, "stepgate_http_responses_total{class=\"2xx\"} 1\n"));
    cr_expect(answer_has(&answer, "inngest_queue_depth 7\n"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(pages, front_page_escapes_what_came_from_outside)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", "/", "", NULL, 200, "No app has registered yet");
    put_app(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "1", NULL);
    struct answer answer = fetch(&f, "GET", "/", "", NULL);
    cr_expect(answer_has(&answer, "Handle &lt;order&gt;"));
    cr_expect(not(answer_has(&answer, "<order>")));
    cr_expect(answer_has(&answer, RUN_ID));
    cr_expect(eq(str, (char *)answer_header(&answer, "Content-Type"), "text/html; charset=utf-8"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(pages, dev_tells_sdks_that_it_is_there)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    struct answer answer = fetch(&f, "GET", "/dev", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(answer_has(&answer, "\"slug\":\"shop-handle\",\"steps\":[{\"id\":\"step\",\"name\":\"step\",\"retries\":{\"attempts\":3},"
                                  "\"uri\":\"http://localhost:3000/"));
    cr_expect(answer_has(&answer, "\"triggers\":[{\"event\":\"shop/order.placed\"}]"));
    cr_expect(answer_has(&answer, "\"version\":\"1.2.3\""));
    cr_expect(answer_has(&answer, "\"isMissingSigningKey\":true"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(pages, dev_is_plain_text_outside_of_dev)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.is_dev = false;
    fixture_start(&f, &options);
    struct answer answer = fetch(&f, "GET", "/dev", "", NULL);
    cr_expect(eq(int, answer.status, 404));
    cr_expect(eq(str, (char *)answer_header(&answer, "Content-Type"), "text/plain; charset=utf-8"));
    cr_expect(eq(str, (char *)answer_header(&answer, "X-Inngest-Server-Kind"), "cloud"));
    cr_expect(not(answer_has(&answer, "{")));
    answer_free(&answer);
    answer = fetch(&f, "POST", "/dev", "", "{}");
    cr_expect(eq(int, answer.status, 405));
    cr_expect(not(answer_has(&answer, "{")));
    answer_free(&answer);
    fixture_close(&f);
}
