/* Answers: the table of reference/01 §8 and reference/02 §2, with captured bodies. */
#include "sdk_fixture.h"

#include <string.h>

#include <stepgate/json.h>

#include "sdk/answer.h"

static struct sg_arena arena;
static struct sg_answer answer;

static void finish(void)
{
    sg_arena_free(&arena);
}

TestSuite(sdk_answer, .fini = finish);

#define NOW_MS 1767225600000LL

/* Headers as "name: value" texts, ending with NULL. */
static void decode(int status, const char *const *headers, const char *body)
{
    struct sg_answer_input input = {
        .http_status = status, .body = sg_str_from(body), .wall_now_ms = NOW_MS, .sent_bytes = 1234, .key_fingerprint = "abc123"};
    for (; *headers != NULL; headers++) {
        struct sg_str line = sg_str_from(*headers);
        ptrdiff_t colon = sg_str_index(line, ':');
        cr_assert(colon > 0);
        sg_headers_set(&input.headers, (struct sg_str){line.ptr, (size_t)colon},
                       (struct sg_str){line.ptr + colon + 1, line.len - (size_t)colon - 1});
    }
    sg_arena_free(&arena);
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_answer_decode(&input, &arena, &answer), SG_OK));
}

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define V4 "X-Inngest-Sdk: inngest-js:v4.24.0"
#define V3 "x-inngest-sdk: inngest-js:v3.54.2"
#define V2 "x-inngest-sdk: inngest-js:v2.7.2"
#define FOREIGN ((const char *const[]){"content-type: text/html", NULL})

Test(sdk_answer, ops_of_206)
{
    decode(206, HEADERS(V4, "x-inngest-req-version: 2"), json("[{'op':'StepRun','id':'a','data':1}]"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_OPS));
    cr_assert(eq(sz, answer.op_count, 1));
    cr_assert(eq(int, answer.request_version, 2));
    cr_assert(not(answer.is_no_retry));
}

Test(sdk_answer, v2_sends_no_version)
{
    decode(206, HEADERS(V2), "[]");
    cr_assert(eq(int, answer.kind, SG_ANSWER_OPS));
    cr_assert(eq(int, answer.request_version, 0));
}

Test(sdk_answer, results_of_200)
{
    decode(200, HEADERS(V3), json("'hello'"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_FINISHED));
    assert_text(answer.output, json("'hello'"));
    decode(200, HEADERS(V2), "");
    cr_assert(eq(int, answer.kind, SG_ANSWER_FINISHED));
    cr_assert(eq(sz, answer.output.len, 0));
    decode(200, HEADERS(V3), "null");
    assert_text(answer.output, "null");
    decode(204, HEADERS(V3), json("{'b':1,'a':2}"));
    assert_text(answer.output, json("{'a':2,'b':1}"));
    decode(200, HEADERS(V3), "plain words");
    assert_text(answer.output, json("'plain words'"));
}

Test(sdk_answer, q7_a_success_ignores_retry_headers)
{
    decode(200, HEADERS(V3, "x-inngest-no-retry: true", "retry-after: 30"), "1");
    cr_assert(eq(int, answer.kind, SG_ANSWER_FINISHED));
    cr_assert(not(answer.is_no_retry));
    cr_assert(eq(i64, answer.retry_after_ms, 0));
}

Test(sdk_answer, v3_plain_throw)
{
    decode(500, HEADERS(V3, "x-inngest-no-retry: false"),
           json("{'name':'Error','message':'boom','stack':'Error: boom','cause':{'name':'Error','message':'inner'},'__serialized':true}"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    cr_assert(not(answer.is_no_retry));
    cr_assert(eq(int, answer.http_status, 500));
    assert_text(answer.error, json("{'cause':{'message':'inner','name':'Error'},'error':'invalid status code: 500','message':'boom',"
                                   "'name':'Error','stack':'Error: boom'}"));
    assert_contains(answer.output, "__serialized");
}

Test(sdk_answer, v4_non_retriable)
{
    decode(400, HEADERS(V4, "x-inngest-no-retry: true"), json("{'name':'NonRetriableError','message':'no'}"));
    cr_assert(answer.is_no_retry);
    assert_text(answer.error, json("{'error':'NonRetriableError','message':'no','name':'NonRetriableError'}"));
}

Test(sdk_answer, a_stale_dispatch_is_no_verdict_on_the_function)
{
    decode(400, HEADERS(V4, "x-inngest-no-retry: true"), json("{'name':'StaleDispatchError','message':'stale'}"));
    cr_assert(not(answer.is_no_retry));
    assert_text(answer.error, json("{'error':'invalid status code: 400','message':'stale','name':'StaleDispatchError'}"));
}

Test(sdk_answer, v2_double_encodes_its_errors)
{
    decode(500, HEADERS(V2), "\"{\\\"name\\\":\\\"TypeError\\\",\\\"message\\\":\\\"boom\\\"}\"");
    assert_text(answer.output, json("{'message':'boom','name':'TypeError'}"));
    assert_text(answer.error, json("{'error':'invalid status code: 500','message':'boom','name':'TypeError'}"));
}

Test(sdk_answer, go_and_empty_errors)
{
    decode(500, HEADERS("x-inngest-sdk: go:v0.15.1"), json("{'message':'m'}"));
    assert_text(answer.error, json("{'error':'invalid status code: 500','message':'m','name':'Error'}"));
    decode(500, HEADERS(V3), "");
    assert_text(answer.error, json("{'error':'invalid status code: 500','message':'invalid status code: 500','name':'Error'}"));
    cr_assert(eq(sz, answer.output.len, 0));
    decode(500, HEADERS(V3), json("{'error':{'message':'deep'}}"));
    assert_text(answer.error, json("{'error':'invalid status code: 500','message':'deep','name':'Error'}"));
    decode(500, HEADERS(V3), "{\"body\":\"{\\\"message\\\":\\\"in a string\\\"}\"}");
    assert_contains(answer.error, json("'message':'in a string'"));
}

Test(sdk_answer, the_no_retry_header_decides_whatever_the_status)
{
    decode(404, HEADERS(V3, "x-inngest-no-retry: yes"), "{}");
    cr_assert(not(answer.is_no_retry));
    decode(500, HEADERS(V3, "x-inngest-no-retry: true"), "{}");
    cr_assert(answer.is_no_retry);
}

Test(sdk_answer, old_sdks_say_no_retry_by_the_status)
{
    static const struct {
        const char *sdk;
        bool is_no_retry;
    } cases[] = {
        {"x-inngest-sdk: inngest-js:v1.9.4", true},   {"x-inngest-sdk: inngest-js:v1.10.0", true},
        {"x-inngest-sdk: inngest-js:v1.10.1", false}, {"x-inngest-sdk: inngest-js:v1.10.1-beta.2", true},
        {"x-inngest-sdk: inngest-js:v2.3.9", true},   {"x-inngest-sdk: inngest-js:v2.4.0", true},
        {"x-inngest-sdk: inngest-js:v2.4.1", false},  {"x-inngest-sdk: inngest-js:v3.0.0", false},
        {"x-inngest-sdk: inngest-js:v2.x", false},    {"x-inngest-sdk: go:v0.1.0", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        decode(400, HEADERS(cases[i].sdk), "{}");
        cr_assert(eq(int, answer.is_no_retry, cases[i].is_no_retry), "%s", cases[i].sdk);
        decode(500, HEADERS(cases[i].sdk), "{}");
        cr_assert(not(answer.is_no_retry));
    }
}

Test(sdk_answer, retry_after_in_all_spellings)
{
    decode(500, HEADERS(V3, "retry-after: 120"), "{}");
    cr_assert(eq(i64, answer.retry_after_ms, 120000));
    decode(500, HEADERS(V3, "retry-after: 2026-01-01T00:10:00.000Z"), "{}");
    cr_assert(eq(i64, answer.retry_after_ms, 600000));
    decode(206, HEADERS(V3, "retry-after: 5"), json("[{'op':'StepError','id':'s','error':{'message':'m'}}]"));
    cr_assert(eq(i64, answer.retry_after_ms, 5000));
    decode(503, HEADERS("retry-after: 3"), "<html>");
    cr_assert(eq(i64, answer.retry_after_ms, 3000));
    decode(500, HEADERS(V3, "retry-after: 0"), "{}");
    cr_assert(eq(i64, answer.retry_after_ms, 0));
    decode(500, HEADERS(V3, "retry-after: 99999999"), "{}");
    cr_assert(eq(i64, answer.retry_after_ms, 0));
}

/* ---- not an SDK ---- */

Test(sdk_answer, a_login_page_never_finishes_a_run)
{
    decode(200, FOREIGN, "<html>status 200</html>");
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    cr_assert(not(answer.is_no_retry));
    assert_text(answer.error,
                json("{'error':'The response did not come from an Inngest SDK','message':'<html>status 200</html>','name':'Error'}"));
    assert_text(answer.output, json("'<html>status 200</html>'"));
}

Test(sdk_answer, ops_of_a_stranger_are_not_applied)
{
    decode(206, FOREIGN, json("[{'op':'StepRun','id':'a','data':1}]"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    cr_assert(eq(sz, answer.op_count, 0));
    assert_contains(answer.error, "did not come from an Inngest SDK");
}

Test(sdk_answer, a_proxy_error_is_explained)
{
    decode(502, FOREIGN, "<html>bad gateway</html>");
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    assert_contains(answer.error, json("'name':'Server returned a fatal error'"));
    assert_contains(answer.error, json("'message':'Your server returned HTTP 502 before the SDK responded.'"));
    assert_contains(answer.error, "Upstream response (text/html)");
    assert_contains(answer.error, "<html>bad gateway</html>");
    cr_assert(sg_str_eq(answer.output, answer.error));
}

Test(sdk_answer, only_the_beginning_of_a_foreign_body_is_kept)
{
    static char body[20001];
    memset(body, 'y', 20000);
    decode(500, FOREIGN, body);
    cr_assert(answer.error.len < 9000);
}

Test(sdk_answer, a_refused_signature_is_explained)
{
    decode(401, HEADERS("x-inngest-sdk-handled: true", "date: Thu, 01 Jan 2026 00:00:00 GMT"), json("{'message':'Unauthorized'}"));
    assert_contains(answer.error, "refused the signature");
    assert_contains(answer.error, "abc123");
    assert_contains(answer.error, "1234 bytes");
    decode(401, HEADERS("x-inngest-sdk-handled: true", "date: Thu, 01 Jan 2026 00:10:00 GMT"), json("{'message':'Unauthorized'}"));
    assert_contains(answer.error, "its clock is 600 s ahead of");
    decode(500, HEADERS(V2), json("{'type':'internal','name':'Error','message':'Invalid signature'}"));
    assert_contains(answer.error, "refused the signature");
    assert_contains(answer.error, json("'message':'Invalid signature'"));
}

Test(sdk_answer, an_app_without_a_key_is_explained)
{
    decode(500, HEADERS("x-inngest-sdk-handled: true"), json("{'code':'internal_server_error'}"));
    assert_contains(answer.error, "no signing key");
}

Test(sdk_answer, app_413_is_reported_with_size_and_side)
{
    decode(413, FOREIGN, "PayloadTooLargeError");
    assert_contains(answer.error, "1234 bytes");
    assert_contains(answer.error, "body limit");
}

/* ---- 201 ---- */

Test(sdk_answer, a_streamed_result)
{
    decode(201, HEADERS(V4),
           "   {\"status\":200,\"headers\":{\"x-inngest-req-version\":\"2\"},\"body\":\"\\\"slow-done\\\"\",\"version\":2}");
    cr_assert(eq(int, answer.kind, SG_ANSWER_FINISHED));
    cr_assert(eq(int, answer.http_status, 200));
    cr_assert(eq(int, answer.request_version, 2));
    assert_text(answer.output, json("'slow-done'"));
}

Test(sdk_answer, streamed_ops_and_their_headers)
{
    decode(201, HEADERS(V4),
           "{\"status\":206,\"headers\":{\"X-Inngest-No-Retry\":\"false\",\"retry-after\":\"5\",\"x-inngest-req-version\":\"2\"},"
           "\"body\":\"[{\\\"op\\\":\\\"StepError\\\",\\\"id\\\":\\\"s\\\",\\\"error\\\":{\\\"message\\\":\\\"m\\\"}}]\"}");
    cr_assert(eq(int, answer.kind, SG_ANSWER_OPS));
    cr_assert(eq(i64, answer.retry_after_ms, 5000));
    cr_assert(not(answer.is_no_retry));
}

Test(sdk_answer, a_streamed_refusal)
{
    decode(201, HEADERS(V4), "{\"status\":401,\"body\":\"{\\\"message\\\":\\\"Unauthorized\\\"}\"}");
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    assert_contains(answer.error, "refused the signature");
    assert_contains(answer.output, "refused the signature");
}

Test(sdk_answer, a_body_that_is_not_a_string_is_used_as_it_is)
{
    decode(201, HEADERS(V4), json("{'status':200,'body':{'b':1}}"));
    assert_text(answer.output, json("{'b':1}"));
}

Test(sdk_answer, broken_envelopes)
{
    decode(201, HEADERS(V4), "<html>");
    assert_contains(answer.error, "error parsing stream");
    decode(201, HEADERS(V4), "");
    assert_contains(answer.error, "error parsing stream");
    decode(201, HEADERS(V4), json("{'status':200,'body':'1','error':'stream broke'}"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    assert_text(answer.error, json("{'error':'stream broke','message':'stream broke','name':'Error'}"));
    decode(201, HEADERS(V4), json("{'body':'1'}"));
    assert_contains(answer.error, "invalid status code: 0");
}

/* ---- hostile ---- */

Test(sdk_answer, too_many_ops_end_the_run)
{
    struct sg_buf text;
    sg_buf_init(&text);
    for (int i = 0; i < 1001; i++)
        sg_buf_printf(&text, "%c{\"op\":\"StepPlanned\",\"id\":\"s%d\"}", i == 0 ? '[' : ',', i);
    sg_buf_append(&text, SG_STR("]"));
    sg_buf_byte(&text, '\0');
    decode(206, HEADERS(V4), text.ptr);
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    cr_assert(answer.is_no_retry);
    assert_contains(answer.error, json("'name':'InngestErrFunctionOverflowed'"));
    assert_contains(answer.error, "The function run exceeded the step limit of 1000 steps.");
    sg_buf_free(&text);
}

Test(sdk_answer, q10_an_op_list_that_cannot_be_read_is_retried)
{
    decode(206, HEADERS(V4, "x-inngest-no-retry: true"), json("[{'op':'Nonsense','id':'a'}]"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    cr_assert(not(answer.is_no_retry));
    assert_contains(answer.error, "unknown opcode");
}

Test(sdk_answer, q14_the_gateways_op_has_two_spellings_and_a_step_may_be_told_missing)
{
    decode(206, HEADERS(V4), json("[{'op':'AiGateway','id':'a'},{'op':'AIGateway','id':'b'},{'op':'StepNotFound','id':'c'}]"));
    cr_assert(eq(int, answer.kind, SG_ANSWER_OPS));
    cr_assert(eq(int, answer.ops[0].code, SG_OP_AI_GATEWAY));
    cr_assert(eq(int, answer.ops[1].code, SG_OP_AI_GATEWAY));
    cr_assert(eq(int, answer.ops[2].code, SG_OP_STEP_NOT_FOUND));
}

Test(sdk_answer, a_result_that_is_nested_too_deeply_is_a_failed_attempt)
{
    static char body[2001];
    memset(body, '[', 1000);
    memset(body + 1000, ']', 1000);
    decode(200, HEADERS(V4), body);
    cr_assert(eq(int, answer.kind, SG_ANSWER_ERROR));
    cr_assert(not(answer.is_no_retry));
    assert_contains(answer.error, "nested more than 512 deep");
    decode(500, HEADERS(V4), body);
    assert_contains(answer.error, "invalid status code: 500");
}

Test(sdk_answer, everything_that_comes_out_is_canonical_json)
{
    static const char *const bodies[] = {"",      "{",   "[[[[",          "\"\\ud800\"", "\x80\xff", "{\"error\":\"{\\\"a\\\":1}\"}",
                                         "1e999", "nul", "\"unterminated"};
    static const int statuses[] = {0, 99, 200, 201, 206, 302, 400, 401, 413, 500, 999};
    static const char *const sdk[] = {V4, NULL};
    static const char *const none[] = {NULL};
    struct sg_buf again;
    sg_buf_init(&again);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        for (size_t j = 0; j < 2 * sizeof(statuses) / sizeof(statuses[0]); j++) {
            decode(statuses[j / 2], j % 2 == 0 ? sdk : none, bodies[i]);
            struct sg_str texts[] = {answer.output, answer.error};
            for (int k = 0; k < 2; k++) {
                if (texts[k].len == 0)
                    continue;
                sg_buf_clear(&again);
                cr_assert(eq(int, sg_json_canonicalize(texts[k], NULL, &again, NULL), SG_OK));
                cr_assert(sg_str_eq(sg_buf_str(&again), texts[k]));
            }
            cr_assert(answer.kind != SG_ANSWER_ERROR || answer.error.len > 0);
        }
    }
    sg_buf_free(&again);
}

Test(sdk_answer, transport_failures_in_the_reference_words)
{
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_answer_transport_failure(SG_TRANSPORT_UNREACHABLE, SG_STR("Connection refused"), &arena, &answer), SG_OK));
    assert_text(
        answer.error,
        json("{'error':'Unable to reach SDK URL','message':'Unable to reach SDK URL','name':'Error','stack':'Connection refused'}"));
    assert_contains(answer.output, json("{'error':{'error':'Unable to reach SDK URL'"));
    cr_assert(eq(int, sg_answer_transport_failure(SG_TRANSPORT_TOO_LARGE, SG_STR(""), &arena, &answer), SG_OK));
    assert_text(answer.error,
                "{\"error\":\"output_too_large: Your function's response body exceeds the maximum size limit\","
                "\"message\":\"Your function's response body exceeds the maximum size limit\",\"name\":\"output_too_large\"}");
}
