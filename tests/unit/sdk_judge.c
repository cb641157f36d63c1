/* What a PUT's answer means: the catalogue of reference/09 §2.5 and reference/01 §4.8, §5.4. */
#include "sdk_fixture.h"

#include "sdk/judge.h"

static struct sg_arena arena;
static struct sg_verdict verdict;

static void finish(void)
{
    sg_arena_free(&arena);
}

TestSuite(sdk_judge, .fini = finish);

static struct sg_put_result answered(int status, const char *body)
{
    return (struct sg_put_result){
        .http_status = status,
        .body = sg_str_from(json(body)),
        .wall_now_ms = 1767225600000,
        .sent_bytes = 43,
        .server_kind = "dev",
        .base_url = "http://localhost:8288",
    };
}

static void judge(const struct sg_put_result *result, bool is_in_band)
{
    sg_arena_free(&arena);
    sg_arena_init(&arena);
    cr_assert(sg_put_judge(result, is_in_band, &arena, &verdict));
}

static void fails(const struct sg_put_result *result, bool is_in_band, const char *code, const char *part)
{
    judge(result, is_in_band);
    cr_assert(eq(int, verdict.next, SG_PUT_FAILED));
    cr_assert(eq(str, (char *)verdict.code, (char *)code), "%.*s", SG_FMT(verdict.text));
    assert_contains(verdict.text, part);
}

Test(sdk_judge, an_in_band_answer_is_applied)
{
    struct sg_put_result result = answered(200, "{'app_id':'a','functions':[]}");
    judge(&result, true);
    cr_assert(eq(int, verdict.next, SG_PUT_APPLY));
    result.headers.values[SG_HEADER_SYNC_KIND] = SG_STR("in_band");
    judge(&result, true);
    cr_assert(eq(int, verdict.next, SG_PUT_APPLY));
}

Test(sdk_judge, a_registration_that_arrived_is_success)
{
    struct sg_put_result result = answered(200, "{'message':'Successfully registered','modified':true}");
    result.has_registered = true;
    judge(&result, true);
    cr_assert(eq(int, verdict.next, SG_PUT_DONE));
}

Test(sdk_judge, an_app_that_registers_but_will_refuse_calls)
{
    struct sg_put_result result = answered(200, "{'message':'Successfully registered','modified':true}");
    result.has_registered = true;
    result.headers.values[SG_HEADER_SDK_HANDLED] = SG_STR("true");
    judge(&result, false);
    cr_assert(eq(int, verdict.next, SG_PUT_DONE));
    assert_contains(verdict.text, "it will refuse every call");
    assert_contains(verdict.text, "INNGEST_DEV=1");
    result.headers.values[SG_HEADER_SDK] = SG_STR("inngest-js:v4.24.0");
    judge(&result, false);
    cr_assert(eq(sz, verdict.text.len, 0));
}

Test(sdk_judge, a_200_without_a_registration_is_registered_elsewhere)
{
    struct sg_put_result result = answered(200, "{'message':'Successfully registered','modified':true}");
    result.headers.values[SG_HEADER_SDK] = SG_STR("inngest-js:v4.24.0");
    fails(&result, true, "registered_elsewhere", "INNGEST_DEV=http://localhost:8288");
    result.server_kind = "cloud";
    fails(&result, true, "registered_elsewhere", "INNGEST_BASE_URL=http://localhost:8288");
}

Test(sdk_judge, a_200_of_something_else_is_not_an_sdk)
{
    struct sg_put_result result = answered(200, "<html>");
    fails(&result, true, "not_sdk", "not an Inngest SDK");
}

Test(sdk_judge, a_refused_in_band_sync_is_tried_the_old_way)
{
    struct sg_put_result result = answered(401, "{'message':'Unauthorized'}");
    judge(&result, true);
    cr_assert(eq(int, verdict.next, SG_PUT_OUT_OF_BAND));
    fails(&result, false, "unauthorized", "INNGEST_DEV=1");
    result.key_fingerprint = "abc123";
    fails(&result, false, "unauthorized", "abc123");
}

Test(sdk_judge, mode_mismatch_is_reported_with_cause_and_remedy)
{
    struct sg_put_result result = answered(400, "{'message':'Expected server kind cloud, got dev','modified':false}");
    fails(&result, true, "server_kind_mismatch", "this gateway runs in dev mode, the app in production mode");
    assert_contains(verdict.text, "INNGEST_DEV=http://localhost:8288");
    result = answered(200, "{'message':'Expected server kind cloud, got dev','modified':false}");
    fails(&result, true, "server_kind_mismatch", "Expected server kind cloud, got dev");
    result = answered(400, "{'code':'server_kind_mismatch'}");
    result.server_kind = "cloud";
    fails(&result, true, "server_kind_mismatch", "INNGEST_DEV=0");
}

Test(sdk_judge, an_app_without_a_key_in_production_mode)
{
    struct sg_put_result result = answered(500, "{'code':'internal_server_error'}");
    fails(&result, true, "internal_server_error", "has no signing key");
}

Test(sdk_judge, an_app_that_cannot_reach_its_server)
{
    struct sg_put_result result = answered(500, "{'message':'Failed to register; fetch failed','modified':false}");
    fails(&result, true, "internal_server_error", "set INNGEST_BASE_URL=http://localhost:8288");
}

Test(sdk_judge, other_statuses)
{
    struct sg_put_result result = answered(400, "{'message':'At least one function is invalid'}");
    fails(&result, true, "invalid_function", "At least one function is invalid");
    result = answered(403, "no");
    fails(&result, true, "forbidden", "no");
    result = answered(404, "");
    fails(&result, true, "url_not_found", "/api/inngest");
    result = answered(405, "");
    fails(&result, true, "method_not_allowed", "PUT");
    result = answered(502, "bad gateway");
    fails(&result, true, "http_not_ok", "HTTP 502: bad gateway");
}

Test(sdk_judge, no_answer)
{
    struct sg_put_result result = answered(0, "");
    result.is_failed = true;
    result.failure_detail = SG_STR("Failed to connect to localhost port 3000 (Connection refused)");
    fails(&result, true, "unreachable", "Connection refused");
    result.is_tls = true;
    fails(&result, true, "unsupported_protocol", "http://");
}
