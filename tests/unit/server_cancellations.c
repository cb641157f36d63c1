/* /v1/cancellations (reference/03 §3.6): texts, statuses, and what is shown. */
#include "server_records.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATH "/v1/cancellations"
/* The id that the fixture's replies have. */
#define NEW_ID "5BNENTQAXBNENTQAXBNENTQAXB"
#define OLD_ID "01KDYJ0ZC2T5V9E7N4Q8R1S3C1"

static void refuses(const char *body, int status, const char *error)
{
    struct fixture f;
    char quoted[1024];

    fixture_open(&f);
    snprintf(quoted, sizeof(quoted), "\"error\":\"%s\",\"status\":%d}", error, status);
    EXPECT(&f, "POST", PATH, "", body, status, quoted);
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(v1_cancellations, all_that_is_missing_is_told_at_once)
{
    refuses("{}", 400, "app_id is required\\nfunction_id is required\\nstarted_before is required");
    refuses("{\"app_id\":\"shop\",\"function_id\":\"\",\"started_before\":null}", 400,
            "function_id is required\\nstarted_before is required");
}

Test(v1_cancellations, a_window_lies_in_the_past_and_is_no_shorter_than_nothing)
{
    refuses("{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2099-01-01T00:00:00Z\"}", 400,
            "started_before must be in the past");
    refuses(
        "{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2026-01-02T00:00:00Z\",\"started_after\":\"2026-01-02T00:00:00Z\"}",
        400, "started_after must be before started_before");
    refuses(
        "{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2026-01-01T00:00:00Z\",\"started_after\":\"2026-01-02T00:00:00Z\"}",
        400, "started_after must be before started_before");
    refuses("{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"soon\"}", 400,
            "started_before is no time as in 2026-01-02T03:04:05Z");
}

Test(v1_cancellations, members_of_another_type_are_refused_by_name)
{
    refuses("{\"app_id\":7,\"function_id\":\"f\",\"started_before\":\"2026-01-01T00:00:00Z\"}", 400,
            "app_id must be a string\\napp_id is required");
    refuses("{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2026-01-01T00:00:00Z\",\"dry_run\":1}", 400,
            "dry_run must be true or false");
}

Test(v1_cancellations, what_is_no_json_object_is_refused)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", PATH, "", "{", 400, "\"status\":400}");
    EXPECT(&f, "POST", PATH, "", "[]", 400, "the body must be a JSON object");
    EXPECT(&f, "POST", PATH, "", "", 400, "\"status\":400}");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(v1_cancellations, an_expression_that_does_not_compile_is_refused_with_the_place)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", PATH, "",
           "{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2026-01-01T00:00:00Z\",\"if\":\"event.data.n ==\"}", 400,
           "\"error\":\"invalid expression: error compiling expression: ERROR: <input>:1:");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(v1_cancellations, one_that_begins_is_shown_as_it_is_on_disk)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    put_cancellation(&f, NEW_ID, "event.data.n == 1", false, false, NULL);
    EXPECT(&f, "POST", PATH, "",
           "{\"app_id\":\"shop\",\"function_id\":\"handle\",\"started_before\":\"2026-01-02T03:04:05Z\",\"started_after\":\"2026-01-01T00:"
           "00:00Z\","
           "\"if\":\"event.data.n == 1\",\"dry_run\":true}",
           200,
           "{\"data\":{\"account_id\":\"00000000-0000-4000-a000-000000000000\",\"app_id\":\"01010101-0000-0000-0000-000000000000\","
           "\"cause\":\"API\",\"created_at\":\"2026-01-02T03:04:05Z\",\"dry_run\":false,\"ended_at\":null,"
           "\"environment_id\":\"00000000-0000-4000-b000-000000000000\",\"function_id\":\"shop-handle\","
           "\"function_internal_id\":\"02020202-0000-0000-0000-000000000000\",\"id\":\"" NEW_ID
           "\",\"if\":\"event.data.n == 1\",\"kind\":\"bulk_run\",\"name\":null,"
           "\"progress\":{\"cancelled\":30,\"examined\":40,\"matched\":30,\"total\":100},\"started_before\":\"2026-01-02T03:04:05Z\","
           "\"status\":\"running\"},\"metadata\":{");
    cr_expect(eq(int, f.kind, SG_MESSAGE_CANCEL_RUNS));
    cr_expect(eq(str, f.text, "shop handle 1767225600000 1767323045000 event.data.n == 1 dry"));
    fixture_close(&f);
}

Test(v1_cancellations, the_end_of_the_window_may_be_ahead_of_our_clock_by_a_little)
{
    struct fixture f;
    char body[256];
    char moment[64];
    time_t soon = time(NULL) + 3;
    struct tm parts;

    fixture_open(&f);
    put_app(&f);
    put_cancellation(&f, NEW_ID, NULL, false, false, NULL);
    strftime(moment, sizeof(moment), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&soon, &parts));
    snprintf(body, sizeof(body), "{\"app_id\":\"shop\",\"function_id\":\"shop-handle\",\"started_before\":\"%s\"}", moment);
    EXPECT(&f, "POST", PATH, "", body, 200, NEW_ID);
    fixture_close(&f);
}

Test(v1_cancellations, an_unknown_function_is_not_found)
{
    struct fixture f;

    fixture_open(&f);
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "POST", PATH, "", "{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2026-01-01T00:00:00Z\"}", 404,
           "\"error\":\"function not found\",\"status\":404}");
    f.status = SG_QUEUE_FULL;
    f.message = "1000 cancellations are under way";
    EXPECT(&f, "POST", PATH, "", "{\"app_id\":\"a\",\"function_id\":\"f\",\"started_before\":\"2026-01-01T00:00:00Z\"}", 429,
           "1000 cancellations are under way");
    fixture_close(&f);
}

Test(v1_cancellations, the_list_has_all_the_latest_first)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "GET", PATH, "", NULL, 200, "{\"data\":[],\"metadata\":{");
    put_app(&f);
    put_cancellation(&f, OLD_ID, NULL, true, true, NULL);
    put_cancellation(&f, NEW_ID, "event.data.n", false, true, "the store is damaged");
    struct answer answer = fetch(&f, "GET", PATH, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    const char *later = strstr(answer.body, NEW_ID);
    const char *earlier = strstr(answer.body, OLD_ID);
    cr_assert(later != NULL && earlier != NULL && later < earlier);
    cr_expect(answer_has(&answer, "\"error\":\"the store is damaged\""));
    cr_expect(answer_has(&answer, "\"status\":\"failed\""));
    cr_expect(answer_has(&answer, "\"dry_run\":true,\"ended_at\":\"2026-01-02T03:04:06Z\""));
    cr_expect(answer_has(&answer, "\"progress\":{\"cancelled\":0,\"examined\":40,\"matched\":30,\"total\":100}"));
    cr_expect(answer_has(&answer, "\"started_after\":\"2026-01-02T03:03:20Z\""));
    cr_expect(answer_has(&answer, "\"status\":\"completed\""));
    answer_free(&answer);
    fixture_close(&f);
}

Test(v1_cancellations, one_is_shown_by_its_id)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    put_cancellation(&f, OLD_ID, NULL, true, true, NULL);
    EXPECT(&f, "GET", PATH "/" OLD_ID, "", NULL, 200, "\"id\":\"" OLD_ID "\",\"kind\":\"bulk_run\"");
    EXPECT(&f, "GET", PATH "/" NEW_ID, "", NULL, 404, "\"error\":\"Cancellation not found\"");
    EXPECT(&f, "GET", PATH "/nonsense", "", NULL, 400, "\"error\":\"Invalid cancellation ID\"");
    fixture_close(&f);
}

Test(v1_cancellations, one_is_deleted_by_its_id)
{
    struct fixture f;
    char id[SG_ULID_LEN + 1];

    fixture_open(&f);
    EXPECT(&f, "DELETE", PATH "/" OLD_ID, "", NULL, 200, "{\"data\":{\"ok\":true},\"metadata\":{");
    cr_expect(eq(int, f.kind, SG_MESSAGE_DROP_CANCELLATION));
    sg_ulid_format(f.run_id, id);
    cr_expect(eq(str, id, OLD_ID));
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "DELETE", PATH "/" OLD_ID, "", NULL, 404, "\"error\":\"Cancellation not found\"");
    EXPECT(&f, "DELETE", PATH "/nonsense", "", NULL, 400, "\"error\":\"Invalid cancellation ID\"");
    fixture_close(&f);
}

Test(v1_cancellations, the_cancelled_event_says_why)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    put_event(&f, 1, EVENT_ID, "shop/order.placed", "{\"data\":{},\"id\":\"own\",\"name\":\"shop/order.placed\",\"ts\":1767323045000}",
              1767323045000);
    put_cancelled(&f, RUN_ID, "bulk cancellation " OLD_ID);
    put_event(&f, 2, OTHER_RUN_ID, "inngest/function.cancelled", NULL, 1767323046100);
    EXPECT(&f, "GET", "/v1/events/" OTHER_RUN_ID, "", NULL, 200,
           "\"name\":\"inngest/function.cancelled\",\"reason\":\"bulk cancellation " OLD_ID "\",\"received_at\"");
    EXPECT(&f, "GET", "/v1/admin/runs/" RUN_ID, "", NULL, 200, "\"reason\":\"bulk cancellation " OLD_ID "\"");
    fixture_close(&f);
}
