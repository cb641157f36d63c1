/* Requests of steps: what goes over the wire, what comes of the answer, and which addresses are refused (reference/02 §10). */
#include "sdk_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sdk/address.h"
#include "sdk/fetch_request.h"
#include "sdk/fetch_result.h"
#include "sdk/url.h"

static struct sg_arena arena;
static struct sg_fetch_request request;
static struct sg_error error;

static void open(void)
{
    sg_arena_init(&arena);
    memset(&error, 0, sizeof(error));
}

static void close_all(void)
{
    sg_arena_free(&arena);
}

TestSuite(sdk_fetch, .init = open, .fini = close_all, .timeout = 60);

static enum sg_status read_opts(enum sg_opcode code, const char *opts)
{
    return sg_fetch_request_read(code, sg_str_from(json(opts)), &arena, &request, &error);
}

static void must_read(enum sg_opcode code, const char *opts)
{
    cr_assert(eq(int, read_opts(code, opts), SG_OK), "%s", error.message);
}

/* All header lines, with a | between. */
static struct sg_str lines(void)
{
    struct sg_buf out = {0};
    for (size_t i = 0; i < request.header_count; i++) {
        if (i > 0)
            sg_buf_byte(&out, '|');
        sg_buf_append(&out, request.headers[i].line);
    }
    struct sg_str copy = sg_arena_copy(&arena, sg_buf_str(&out));
    sg_buf_free(&out);
    return copy;
}

/* ---- step.fetch: the request ---- */

Test(sdk_fetch, a_request_is_what_the_options_say)
{
    must_read(SG_OP_GATEWAY, "{'body':'{\\\"q\\\":1}','headers':{'x-foo':'bar'},'method':'POST','url':'https://example.com/a?b=1'}");
    assert_text(request.method, "POST");
    assert_text(request.target, "https://example.com/a?b=1");
    assert_text(request.body, "{\"q\":1}");
    assert_text(lines(), "x-foo: bar|User-Agent: Inngest");
}

Test(sdk_fetch, a_text_body_is_sent_without_quotes)
{
    must_read(SG_OP_GATEWAY, "{'body':'a=1&b=\\u00fc','method':'PUT','url':'http://x/'}");
    assert_text(request.body, "a=1&b=ü");
    must_read(SG_OP_GATEWAY, "{'body':'','method':'PUT','url':'http://x/'}");
    cr_assert(eq(sz, request.body.len, 0));
}

Test(sdk_fetch, a_body_that_is_no_text_is_sent_as_json)
{
    must_read(SG_OP_GATEWAY, "{'body':{'a':[1]},'url':'http://x/'}");
    assert_text(request.body, "{\"a\":[1]}");
    assert_text(request.method, "POST"); /* the default */
}

Test(sdk_fetch, an_absent_body_is_none)
{
    must_read(SG_OP_GATEWAY, "{'method':'GET','url':'http://x/'}");
    cr_assert(request.body.ptr == NULL);
    must_read(SG_OP_GATEWAY, "{'body':null,'headers':null,'method':'GET','url':'http://x/'}");
    cr_assert(request.body.ptr == NULL);
}

Test(sdk_fetch, headers_may_be_numbers_and_several)
{
    must_read(SG_OP_GATEWAY, "{'headers':{'a':1,'b':true,'c':['x','y'],'d':null,'e':'  '},'url':'http://x/'}");
    assert_text(lines(), "a: 1|b: true|c: x|c: y|e;|User-Agent: Inngest");
}

Test(sdk_fetch, the_function_may_name_itself)
{
    must_read(SG_OP_GATEWAY, "{'headers':{'user-agent':'mine'},'url':'http://x/'}");
    assert_text(lines(), "user-agent: mine");
}

Test(sdk_fetch, headers_of_the_connection_are_the_gateways)
{
    must_read(SG_OP_GATEWAY,
              "{'headers':{'Connection':'upgrade','Content-Length':'3','Expect':'100-continue','Host':'other','TE':'trailers',"
              "'Transfer-Encoding':'chunked','Upgrade':'h2c','x':'1'},'url':'http://x/'}");
    assert_text(lines(), "x: 1|User-Agent: Inngest");
}

Test(sdk_fetch, what_makes_no_request_is_refused_without_repeating_it)
{
    const char *opts[] = {
        "[]",
        "null",
        "{}",
        "{'url':7}",
        "{'url':'s3cret'}",
        "{'url':'ftp://s3cret/'}",
        "{'url':'file:///s3cret'}",
        "{'url':'http://s3cret /'}",
        "{'method':7,'url':'http://x/'}",
        "{'method':'s3cret s3cret','url':'http://x/'}",
        "{'method':'connect','url':'http://x/'}",
        "{'method':'TRACE','url':'http://x/'}",
        "{'headers':'s3cret','url':'http://x/'}",
        "{'headers':{'a':'s3cret\\r\\nevil: 1'},'url':'http://x/'}",
        "{'headers':{'a':'s3cret\\u0001'},'url':'http://x/'}",
        "{'headers':{'a':'s3cret\\u007f'},'url':'http://x/'}",
        "{'headers':{'s3cret:':'1'},'url':'http://x/'}",
        "{'headers':{'':'1'},'url':'http://x/'}",
        "{'headers':{'a':{'b':'s3cret'}},'url':'http://x/'}",
        "{'headers':{'a':[['s3cret']]},'url':'http://x/'}",
    };
    for (size_t i = 0; i < SG_ARRAY_LEN(opts); i++) {
        cr_assert(eq(int, read_opts(SG_OP_GATEWAY, opts[i]), SG_INVALID_ARGUMENT), "%s", opts[i]);
        cr_assert(error.message[0] != '\0' && strstr(error.message, "s3cret") == NULL, "%s: %s", opts[i], error.message);
    }
    cr_assert(eq(int, read_opts(SG_OP_AI_GATEWAY, "{'auth_key':'s3cret\\n','url':'http://x/'}"), SG_INVALID_ARGUMENT));
    cr_assert(strstr(error.message, "s3cret") == NULL);
}

Test(sdk_fetch, urls_are_bounded)
{
    char opts[SG_LIMIT_URL_BYTES + 64];
    for (int more = 0; more < 2; more++) {
        int len = snprintf(opts, sizeof(opts), "{\"url\":\"http://x/%0*d\"}", SG_LIMIT_URL_BYTES - 9 + more, 1);
        enum sg_status status = sg_fetch_request_read(SG_OP_GATEWAY, (struct sg_str){opts, (size_t)len}, &arena, &request, &error);
        cr_assert(eq(int, status, more ? SG_INVALID_ARGUMENT : SG_OK));
    }
    assert_contains(sg_str_from(error.message), "its `url` has more than ");
}

Test(sdk_fetch, headers_are_bounded)
{
    struct sg_buf opts = {0};
    sg_buf_append(&opts, SG_STR("{'url':'http://x/','headers':{"));
    for (int i = 0; i < SG_FETCH_HEADERS_MAX + 1; i++)
        sg_buf_printf(&opts, "%s\"h%d\":1", i > 0 ? "," : "", i);
    sg_buf_append(&opts, SG_STR("}}"));
    for (size_t i = 0; i < opts.len; i++)
        if (opts.ptr[i] == '\'')
            opts.ptr[i] = '"';
    cr_assert(eq(int, sg_fetch_request_read(SG_OP_GATEWAY, sg_buf_str(&opts), &arena, &request, &error), SG_INVALID_ARGUMENT));
    assert_contains(sg_str_from(error.message), "more than 256 headers");
    sg_buf_free(&opts);
}

/* ---- step.ai.infer: the request ---- */

#define AI_OPTS(format)                                                                                                                    \
    "{'auth_key':'sk-1 2','body':{'model':'m'},'format':'" format "','type':'step.ai.infer','url':'https://ai/v1?x=1#f'}"

Test(sdk_fetch, each_format_has_its_place_for_the_key)
{
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("openai-chat"));
    assert_text(request.method, "POST");
    assert_text(request.body, "{\"model\":\"m\"}");
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest|Authorization: Bearer sk-1 2");
    assert_text(request.target, "https://ai/v1?x=1#f");
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("unheard-of"));
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest|Authorization: Bearer sk-1 2");
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("anthropic"));
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest|x-api-key: sk-1 2");
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("bedrock"));
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest|Authorization: sk-1 2");
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("gemini"));
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest");
    assert_text(request.target, "https://ai/v1?x=1&key=sk-1%202");
    must_read(SG_OP_AI_GATEWAY, "{'auth_key':'k','format':'gemini','url':'https://ai/v1'}");
    assert_text(request.target, "https://ai/v1?key=k");
}

Test(sdk_fetch, headers_of_an_ai_call_are_added)
{
    must_read(SG_OP_AI_GATEWAY, "{'auth_key':'k','format':'anthropic','headers':{'anthropic-version':'2023-06-01','content-type':'x','user-"
                                "agent':'mine'},'url':'https://ai/'}");
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest|x-api-key: k|anthropic-version: 2023-06-01|content-type: x");
}

Test(sdk_fetch, an_ai_call_without_a_key_has_no_authorization)
{
    must_read(SG_OP_AI_GATEWAY, "{'auth_key':'','format':'openai-chat','url':'https://ai/'}");
    assert_text(lines(), "Content-Type: application/json|User-Agent: Inngest");
    assert_text(request.body, "null");
}

Test(sdk_fetch, credentials_are_known_as_such)
{
    must_read(SG_OP_GATEWAY, "{'headers':{'Cookie':'a','X-API-Key':'b','authorization':'c','x-plain':'d'},'url':'https://x/'}");
    bool expected[] = {true, true, true, false, false};
    cr_assert(eq(sz, request.header_count, SG_ARRAY_LEN(expected)));
    for (size_t i = 0; i < SG_ARRAY_LEN(expected); i++)
        cr_assert(eq(int, request.headers[i].is_credential, expected[i]), "%.*s", SG_FMT(request.headers[i].line));
}

Test(sdk_fetch, origins_are_scheme_host_and_port)
{
    cr_assert(sg_fetch_is_same_origin(SG_STR("http://a/x"), SG_STR("http://A:80/y?z")));
    cr_assert(sg_fetch_is_same_origin(SG_STR("https://a/"), SG_STR("HTTPS://a:443/")));
    cr_assert(not(sg_fetch_is_same_origin(SG_STR("http://a/"), SG_STR("https://a/"))));
    cr_assert(not(sg_fetch_is_same_origin(SG_STR("http://a/"), SG_STR("http://b/"))));
    cr_assert(not(sg_fetch_is_same_origin(SG_STR("http://a/"), SG_STR("http://a:8080/"))));
    cr_assert(not(sg_fetch_is_same_origin(SG_STR("http://a/"), SG_STR("http://a@b/"))));
    cr_assert(not(sg_fetch_is_same_origin(SG_STR("nonsense"), SG_STR("nonsense"))));
    assert_text(sg_fetch_place(SG_STR("http://user:s3cret@a:81/p?key=s3cret"), &arena), "a:81");
    assert_text(sg_fetch_place(SG_STR("s3cret"), &arena), "this URL");
}

/* ---- the answer ---- */

static struct sg_str data;
static struct sg_str failure;

static void answered(int status, const char *headers, const char *body)
{
    struct sg_fetch_response response = {.status = status, .url = request.url, .headers = sg_str_from(headers), .body = sg_str_from(body)};
    cr_assert(eq(int, sg_fetch_result(&request, &response, &arena, &data, &failure), SG_OK));
    bool is_one = (data.len > 0) != (failure.len > 0);
    cr_assert(is_one);
    struct sg_buf again = {0};
    struct sg_str text = data.len > 0 ? data : failure;
    cr_assert(eq(int, sg_json_canonicalize(text, NULL, &again, NULL), SG_OK));
    cr_assert(sg_str_eq(text, sg_buf_str(&again)), "not canonical: %.*s", SG_FMT(text));
    sg_buf_free(&again);
}

Test(sdk_fetch, every_status_is_a_result)
{
    must_read(SG_OP_GATEWAY, "{'method':'GET','url':'http://x/a'}");
    answered(404, "content-TYPE: text/plain\r\nx-a-b: 1\r\n\r\n", "status 404 ü");
    assert_text(data, "{\"body\":\"status 404 "
                      "ü\",\"headers\":{\"Content-Type\":\"text/plain\",\"X-A-B\":\"1\"},\"status_code\":404,\"url\":\"http://x/a\"}");
    answered(500, "", "");
    assert_text(data, "{\"body\":\"\",\"status_code\":500,\"url\":\"http://x/a\"}");
}

Test(sdk_fetch, statuses_without_a_body_have_none)
{
    must_read(SG_OP_GATEWAY, "{'method':'GET','url':'http://x/'}");
    const int statuses[] = {204, 205, 304};
    for (size_t i = 0; i < SG_ARRAY_LEN(statuses); i++) {
        answered(statuses[i], "", "");
        cr_assert(eq(sz, sg_json_get(data, SG_STR("body")).len, 0));
    }
}

Test(sdk_fetch, statuses_are_those_that_a_response_may_have)
{
    must_read(SG_OP_GATEWAY, "{'method':'GET','url':'http://x/'}");
    answered(999, "", "");
    assert_text(sg_json_get(data, SG_STR("status_code")), "599");
    answered(101, "", "");
    assert_text(sg_json_get(data, SG_STR("status_code")), "200");
}

Test(sdk_fetch, headers_of_the_wire_are_dropped_and_equal_ones_joined)
{
    must_read(SG_OP_GATEWAY, "{'method':'GET','url':'http://x/'}");
    answered(200,
             "Set-Cookie: a=1\r\nContent-Encoding: gzip\r\ncontent-length: 7\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
             "Keep-Alive: timeout=5\r\nset-cookie: b=2\r\nEmpty:\r\nnonsense\r\n\xff: 1\r\na b: 1\r\n\r\n",
             "x");
    assert_text(sg_json_get(data, SG_STR("headers")), "{\"Empty\":\"\",\"Set-Cookie\":\"a=1,b=2\"}");
}

Test(sdk_fetch, bytes_that_are_no_text_become_replacement_characters)
{
    must_read(SG_OP_GATEWAY, "{'method':'GET','url':'http://x/'}");
    answered(200, "X: \xff\r\n", "a\xff\x01");
    assert_text(sg_json_get(data, SG_STR("body")), "\"a\xef\xbf\xbd\\u0001\"");
    assert_text(sg_json_get(data, SG_STR("headers")), "{\"X\":\"\xef\xbf\xbd\"}");
}

Test(sdk_fetch, a_providers_json_is_the_result)
{
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("openai-chat"));
    answered(200, "Content-Type: application/json\r\n", " {\"b\": [1.0], \"a\": \"ü\"} ");
    assert_text(data, "{\"a\":\"ü\",\"b\":[1]}");
    answered(299, "", "null");
    assert_text(data, "null");
}

Test(sdk_fetch, what_is_no_json_becomes_a_string)
{
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("openai-chat"));
    answered(200, "", "data: {\"x\":1}\n\n");
    assert_text(data, "\"data: {\\\"x\\\":1}\\n\\n\"");
    answered(204, "", "");
    assert_text(data, "\"\"");
}

Test(sdk_fetch, a_providers_error_carries_what_it_said)
{
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("openai-chat"));
    answered(500, "", "{\"error\": {\"message\": \"overloaded\"}}");
    assert_text(failure,
                "{\"data\":{\"error\":{\"message\":\"overloaded\"}},\"message\":\"Error making AI request: unsuccessful status code: "
                "500\",\"name\":\"AIGatewayError\",\"stack\":\"{\\\"error\\\": {\\\"message\\\": \\\"overloaded\\\"}}\"}");
    answered(300, "", "busy");
    assert_text(sg_json_get(failure, SG_STR("data")), "\"busy\"");
}

Test(sdk_fetch, a_key_that_a_provider_repeats_is_taken_out)
{
    must_read(SG_OP_AI_GATEWAY, "{'auth_key':'sk-s3cret','format':'openai-chat','url':'https://ai/'}");
    answered(401, "", "{\"error\":\"no such key: sk-s3cret (sk-s3cret)\"}");
    assert_text(sg_json_get(failure, SG_STR("data")), "{\"error\":\"no such key: *** (***)\"}");
    cr_assert(memmem(failure.ptr, failure.len, "s3cret", 6) == NULL);
    must_read(SG_OP_AI_GATEWAY, "{'auth_key':'key','format':'openai-chat','url':'https://ai/'}"); /* this is no secret */
    answered(401, "", "{\"error\":\"no such key\"}");
    assert_text(sg_json_get(failure, SG_STR("data")), "{\"error\":\"no such key\"}");
}

Test(sdk_fetch, a_large_error_is_cut)
{
    must_read(SG_OP_AI_GATEWAY, AI_OPTS("openai-chat"));
    struct sg_buf body = {0};
    sg_buf_byte(&body, '"');
    for (int i = 0; i < 3 * 1024 * 1024 / 2; i++)
        sg_buf_append(&body, SG_STR("ü"));
    sg_buf_append(&body, SG_STR("\"\0"));
    answered(502, "", body.ptr);
    cr_assert(lt(sz, failure.len, 256 * 1024));
    cr_assert(le(sz, sg_json_get(failure, SG_STR("data")).len, 64 * 1024 + 3)); /* its quotes, one of them escaped */
    sg_buf_free(&body);
}

Test(sdk_fetch, failures_have_the_names_of_their_kinds)
{
    cr_assert(eq(int, sg_fetch_failure(SG_OP_GATEWAY, SG_STR("a \"b\""), &arena, &failure), SG_OK));
    assert_text(failure, "{\"message\":\"Error making gateway request: a \\\"b\\\"\",\"name\":\"GatewayError\"}");
    cr_assert(eq(int, sg_fetch_failure(SG_OP_AI_GATEWAY, SG_STR("refused"), &arena, &failure), SG_OK));
    assert_text(failure, "{\"data\":{\"error\":\"Error making AI request\"},\"message\":\"Error making AI request: refused\",\"name\":"
                         "\"AIGatewayError\",\"stack\":\"{\\\"error\\\":\\\"Error making AI request\\\"}\"}");
}

Test(sdk_fetch, running_out_of_memory_is_reported_as_such)
{
    const char *plain = "{'body':'b\\n','headers':{'a':['x\\t','y'],'b\\u0043':'1'},'method':'PUT','url':'http://x/\\u0061'}";
    const char *ai = "{'auth_key':'sk-s3cret','body':{},'format':'gemini','url':'http://x/'}";
    for (int kind = 0; kind < 2; kind++)
        for (uint64_t nth = 1;; nth++) {
            sg_arena_free(&arena);
            sg_alloc_fail_at(nth, false);
            enum sg_status status = read_opts(kind == 0 ? SG_OP_GATEWAY : SG_OP_AI_GATEWAY, kind == 0 ? plain : ai);
            struct sg_fetch_response response = {.status = kind == 0 ? 200 : 500,
                                                 .url = request.url,
                                                 .headers = SG_STR("a: 1\r\nA: 2\r\n"),
                                                 .body = SG_STR("{\"k\":\"sk-s3cret\"}")};
            if (status == SG_OK)
                status = sg_fetch_result(&request, &response, &arena, &data, &failure);
            bool has_failed = sg_alloc_has_failed();
            sg_alloc_fail_at(0, false);
            cr_assert(eq(int, status, has_failed ? SG_NO_MEMORY : SG_OK), "allocation %d", (int)nth);
            if (!has_failed)
                break;
        }
}

/* ---- addresses ---- */

static const char *refusal_of(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_storage storage = {0};
    socklen_t len;
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(&storage, &in, sizeof(in));
        len = sizeof(in);
    } else {
        cr_assert(eq(int, inet_pton(AF_INET6, text, &in6.sin6_addr), 1), "%s is no address", text);
        memcpy(&storage, &in6, sizeof(in6));
        len = sizeof(in6);
    }
    return sg_address_refusal((const struct sockaddr *)&storage, len);
}

Test(sdk_fetch, addresses_that_are_not_public_are_refused)
{
    const char *refused[] = {
        /* loopback, unspecified */
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        /* private */
        "10.0.0.0",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.168.255.255",
        "fc00::1",
        "fdff::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "64:ff9b:1::808:808",
        "fec0::1",
        /* link-local, metadata of clouds */
        "169.254.0.1",
        "169.254.169.254",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        /* shared, multicast, reserved, special */
        "100.64.0.0",
        "100.127.255.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "192.88.99.1",
        "ff02::1",
        "2001::1",
        "2001:1ff:ffff::1",
        "2001:db8::1",
        "3fff::1",
        "100::1",
        "4000::1",
        "1000::1",
        "::ffff:0:0",
        "::ffff:224.0.0.1",
        "5f00::1",
    };
    for (size_t i = 0; i < SG_ARRAY_LEN(refused); i++)
        cr_assert(refusal_of(refused[i]) != NULL, "%s is let through", refused[i]);
}

Test(sdk_fetch, public_addresses_are_not)
{
    const char *public[] = {
        "1.1.1.1",         "8.8.8.8",
        "9.255.255.255",   "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",
        "126.255.255.255", "128.0.0.1",
        "168.63.129.15",   "169.253.255.255",
        "169.255.0.0",     "172.15.255.255",
        "172.32.0.0",      "192.0.1.0",
        "192.167.0.1",     "192.169.0.1",
        "198.17.255.255",  "198.20.0.0",
        "223.255.255.255", "2606:4700::1111",
        "2001:200::1",     "2a00:1450::1",
        "::ffff:8.8.8.8",  "64:ff9b::808:808",
        "2002:808:808::1", "2001:4860:4860::8888",
        "2003::1",
    };
    for (size_t i = 0; i < SG_ARRAY_LEN(public); i++)
        cr_assert(refusal_of(public[i]) == NULL, "%s is %s", public[i], refusal_of(public[i]));
}

Test(sdk_fetch, what_is_no_internet_address_is_refused)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    cr_assert(sg_address_refusal((const struct sockaddr *)&storage, sizeof(storage)) != NULL);
    struct sockaddr_in in = {.sin_family = AF_INET};
    cr_assert(eq(int, inet_pton(AF_INET, "8.8.8.8", &in.sin_addr), 1));
    cr_assert(sg_address_refusal((const struct sockaddr *)&in, sizeof(in) - 1) != NULL); /* cut short */
}
