/* Durable endpoints at the edge: their creation, their steps, the output for who has a token, and the stream (reference/03 §4.4 to §4.10). */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server_records.h"

#define REQUEST                                                                                                                            \
    "\"event\":{\"name\":\"inngest/http.request\",\"data\":{\"content_type\":\"application/json\",\"domain\":\"http://myapp.test:3000\","  \
    "\"ip\":\"1.2.3.4\",\"method\":\"POST\",\"path\":\"/api/do\",\"query_params\":\"x=1&y=2\",\"body\":\"{\\\"a\\\":1}\",\"fn\":\"\"}}"
#define STEP_A "{\"id\":\"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\",\"op\":\"StepRun\",\"name\":\"a\",\"data\":1}"
#define CREATION "{\"run_id\":\"" RUN_ID "\"," REQUEST ",\"steps\":[" STEP_A "],\"ts\":1767323046215,\"request_version\":2,\"retries\":3}"

/* A member of the creation's answer, in a static buffer. */
static const char *created(struct fixture *f, const char *member)
{
    static char text[2048];
    char key[64];

    struct answer answer = fetch(f, "POST", "/v1/checkpoint", "x-inngest-sdk: inngest-js:v4.24.0\r\n", CREATION);
    cr_assert(eq(int, answer.status, 200));
    snprintf(key, sizeof(key), "\"%s\":\"", member);
    const char *at = strstr(answer.body, key);
    cr_assert(at != NULL, "%s", answer.body);
    at += strlen(key);
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "\""), at);
    answer_free(&answer);
    return text;
}

/* ---- creation ---- */

Test(endpoint_creation, says_which_app_function_and_run_it_is_and_gives_two_tokens)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "POST", "/v1/checkpoint", "x-inngest-sdk: inngest-js:v4.24.0\r\n", CREATION);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(answer_has(&answer, "\"run_id\":\"" RUN_ID "\""));
    cr_expect(answer_has(&answer, "\"fn_id\":\"abababab-abab-abab-abab-abababababab\"")); /* as the engine says */
    cr_expect(answer_has(&answer, "\"token\":\"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."));
    cr_expect(answer_has(&answer, "\"realtime_token\":\"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."));
    cr_expect(answer_has(&answer, "\"metadata\":{\"fetched_at\":"));
    answer_free(&answer);
    cr_expect(eq(int, (int)f.kind, SG_MESSAGE_HTTP_RUN));
    cr_expect(eq(sz, f.op_count, 1));
    cr_expect(eq(int, f.request_version, 2));
    cr_expect(strstr(f.text, "http://myapp.test:3000 js:v4.24.0 POST /api/do {\"id\":\"POST /api/do\"") == f.text, "%s", f.text);
    cr_expect(strstr(f.text, "\"retries\":{\"attempts\":3},\"runtime\":{\"type\":\"sync\",\"url\":\"http://myapp.test:3000/api/do\"}") !=
              NULL);
    fixture_close(&f);
}

Test(endpoint_creation, the_body_of_the_request_is_text_whatever_it_looks_like)
{
    struct fixture f;

    fixture_open(&f);
    (void)created(&f, "token");
    cr_expect(strstr(f.bodies[0], "{\"data\":{\"body\":\"{\\\"a\\\":1}\",\"content_type\":\"application/json\",\"domain\":") == f.bodies[0],
              "%s", f.bodies[0]);
    cr_expect(strstr(f.bodies[0], "\"name\":\"inngest/http.request\",\"ts\":") != NULL);
    fixture_close(&f);
}

Test(endpoint_creation, every_prefix_and_slash_is_the_same_route)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/checkpoint/", "", CREATION, 200, "\"token\"");
    EXPECT(&f, "POST", "/v1/http/runs", "", CREATION, 200, "\"token\"");
    EXPECT(&f, "POST", "/v1/http/runs/", "", CREATION, 200, "\"token\"");
    EXPECT(&f, "POST", "/v1/http/runs/" RUN_ID "/steps", "", "{\"run_id\":\"" RUN_ID "\",\"steps\":[" STEP_A "]}", 200, "");
    fixture_close(&f);
}

Test(endpoint_creation, a_named_function_is_the_same_at_every_path)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/checkpoint", "",
           "{\"run_id\":\"" RUN_ID
           "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"path\":\"/1\",\"fn\":\"named\"}}}",
           200, "\"token\"");
    struct sg_id first = f.function_id;
    cr_expect(strstr(f.text, "http://a.b  named ") == f.text, "%s", f.text);
    EXPECT(&f, "POST", "/v1/checkpoint", "",
           "{\"run_id\":\"" RUN_ID
           "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"PUT\",\"path\":\"/2\",\"fn\":\"named\"}}}",
           200, "\"token\"");
    cr_expect(sg_id_eq(first, f.function_id));
    cr_expect(strstr(f.text, "\"retries\":{\"attempts\":0}") != NULL); /* reference/03 §4.4: missing is 0 */
    fixture_close(&f);
}

Test(endpoint_creation, refuses_by_the_name_of_the_member)
{
    static const struct {
        const char *body;
        const char *said;
    } wrong[] = {
        {"{", "invalid request body"},
        {"[]", "it must be an object, not array"},
        {"{\"run_id\":\"x\"," REQUEST "}", "\\\"run_id\\\" is not a run ID"},
        {"{\"run_id\":\"" RUN_ID "\"}", "\\\"event.data\\\" must be an object, not nothing"},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{}}}", "\\\"event.data.domain\\\" must be the origin of a URL"},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b/c\",\"method\":\"GET\"}}}", "\\\"event.data.domain\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"ftp://a.b\",\"method\":\"GET\"}}}", "\\\"event.data.domain\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET /\"}}}", "\\\"event.data.method\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"path\":\"x\"}}}",
         "\\\"event.data.path\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"path\":\"/a\\nb\"}}}",
         "\\\"event.data.path\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"query_params\":\"a b\"}}}",
         "\\\"event.data.query_params\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"content_type\":\"a\\r\\nb: c\"}}}",
         "\\\"event.data.content_type\\\""},
        {"{\"run_id\":\"" RUN_ID "\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"body\":{}}}}",
         "\\\"event.data.body\\\" must be a string, not object"},
        {"{\"run_id\":\"" RUN_ID "\"," REQUEST ",\"retries\":\"3\"}", "\\\"retries\\\""},
        {"{\"run_id\":\"" RUN_ID "\"," REQUEST ",\"steps\":{}}", "\\\"steps\\\" must be an array"},
        {"{\"run_id\":\"" RUN_ID "\"," REQUEST ",\"steps\":[{\"op\":\"Nonsense\",\"id\":\"a\"}]}", "unknown opcode"},
    };
    struct fixture f;

    fixture_open(&f);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        EXPECT(&f, "POST", "/v1/checkpoint", "", wrong[i].body, 400, wrong[i].said);
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

/* A creation whose event has this member besides domain and method, and what else the body says. */
static const char *creation_with(const char *member, const char *value, size_t value_bytes, const char *others)
{
    static char body[8192];
    snprintf(body, sizeof(body),
             "{\"run_id\":\"" RUN_ID "\"%s,\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\",\"%s\":\"%s%0*d\"}}}", others,
             member, value, (int)value_bytes, 0);
    return body;
}

Test(endpoint_creation, members_are_bounded_and_hold_what_they_may)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("path", "/", 4095, ""), 200, "\"token\"");
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("path", "/", 4096, ""), 413,
           "\\\"event.data.path\\\" has 4097 bytes; at most 4096 are allowed");
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("fn", "", 257, ""), 413, "\\\"event.data.fn\\\" has 257 bytes");
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("path", "/a?b=", 1, ""), 400, "\\\"event.data.path\\\"");
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("path", "/a#", 1, ""), 400, "\\\"event.data.path\\\"");
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("query_params", "a=1#", 1, ""), 400, "\\\"event.data.query_params\\\"");
    cr_expect(eq(int, f.posts, 1));
    fixture_close(&f);
}

Test(endpoint_creation, retries_and_version_are_brought_into_their_bounds)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("fn", "f", 1, ",\"retries\":-1,\"request_version\":-1"), 200, "\"token\"");
    cr_expect(strstr(f.text, "\"retries\":{\"attempts\":4}") != NULL, "%s", f.text);
    cr_expect(eq(int, f.request_version, 2));
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("fn", "f", 1, ",\"retries\":99,\"request_version\":300"), 200, "\"token\"");
    cr_expect(strstr(f.text, "\"retries\":{\"attempts\":20}") != NULL, "%s", f.text);
    cr_expect(eq(int, f.request_version, 2));
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("fn", "f", 1, ",\"request_version\":1"), 200, "\"token\"");
    cr_expect(eq(int, f.request_version, 1));
    fixture_close(&f);
}

Test(endpoint_creation, a_request_that_is_too_large_as_an_event_is_refused)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.limits.event_bytes_max = 1000;
    fixture_start(&f, &options);
    EXPECT(&f, "POST", "/v1/checkpoint", "", creation_with("body", "", 1000, ""), 413, "at most 1000 are allowed");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(endpoint_creation, what_the_engine_says_reaches_the_sdk)
{
    struct fixture f;

    fixture_open(&f);
    f.status = SG_CONFLICT;
    f.message = "Run already exists";
    EXPECT(&f, "POST", "/v1/checkpoint", "", CREATION, 409, "\"error\":\"Run already exists\"");
    f.status = SG_NOT_FOUND; /* a repeat whose run has ended meanwhile */
    EXPECT(&f, "POST", "/v1/checkpoint", "", CREATION, 200, "\"token\"");
    f.answering = REFUSES;
    f.status = SG_QUEUE_FULL;
    EXPECT(&f, "POST", "/v1/checkpoint", "", CREATION, 429, "\"status\":429");
    fixture_close(&f);
}

/* ---- steps ---- */

Test(endpoint_steps, any_op_may_be_reported)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/checkpoint/" RUN_ID "/steps", "",
           "{\"run_id\":\"" RUN_ID "\",\"fn_id\":\"x\",\"app_id\":\"y\",\"steps\":[" STEP_A
           ",{\"op\":\"Sleep\",\"id\":\"z\",\"name\":\"1h\"}]}",
           200, "");
    cr_expect(f.is_sync);
    cr_expect(eq(sz, f.op_count, 2));
    fixture_close(&f);
}

Test(endpoint_steps, of_a_run_that_is_over_are_no_error)
{
    struct fixture f;

    fixture_open(&f);
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "POST", "/v1/checkpoint/" RUN_ID "/steps", "", "{\"run_id\":\"" RUN_ID "\",\"steps\":[" STEP_A "]}", 200, "");
    f.status = SG_STORE_FULL;
    EXPECT(&f, "POST", "/v1/checkpoint/" RUN_ID "/steps", "", "{\"run_id\":\"" RUN_ID "\",\"steps\":[" STEP_A "]}", 503, "store_full");
    fixture_close(&f);
}

/* ---- output ---- */

static void expect_output(struct fixture *f, const char *query, int status, const char *part)
{
    char path[2200];

    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", query);
    EXPECT(f, "GET", path, "", NULL, status, part);
}

static const char *with_token(struct fixture *f)
{
    static char query[2100];

    snprintf(query, sizeof(query), "?token=%s", created(f, "token"));
    return query;
}

Test(endpoint_output, needs_the_token_of_this_run)
{
    struct fixture f;
    char path[2200];

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"status\":200,\"headers\":{},\"body\":\"x\"}", NULL);
    put_run(&f, OTHER_RUN_ID, SG_RUN_COMPLETED, "{\"status\":200,\"headers\":{},\"body\":\"x\"}", NULL);
    const char *said = "\"error\":\"Unable to find run with auth token\",\"status\":401";
    expect_output(&f, "", 401, said);
    expect_output(&f, "?token=", 401, said);
    expect_output(&f, "?token=nonsense", 401, said);
    snprintf(path, sizeof(path), "?token=%s", created(&f, "realtime_token"));
    expect_output(&f, path, 401, said);
    snprintf(path, sizeof(path), "/v1/http/runs/" OTHER_RUN_ID "/output?token=%s", created(&f, "token"));
    EXPECT(&f, "GET", path, "", NULL, 401, said);
    expect_output(&f, with_token(&f), 200, "x");
    fixture_close(&f);
}

static void say(int fd, const char *text)
{
    client_send(fd, text, strlen(text));
}

static int ask(struct fixture *f, const char *path)
{
    char request[4096];
    int fd = client_connect(f->port);

    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    client_send(fd, request, (size_t)len);
    return fd;
}

/* What is signed as our tokens are, and yet is none for this. */
Test(endpoint_output, needs_a_token_that_was_made_for_it_and_is_not_over)
{
    static const char *const claims[] = {
        "{\"RunID\":\"" RUN_ID "\",\"exp\":99999999999,\"iss\":\"api.inngest.com\",\"sub\":\"run-claim\"}",
        "{\"RunID\":\"" RUN_ID "\",\"exp\":1767323046,\"iss\":\"api.inngest.com\",\"sub\":\"run-claim\"}",
        "{\"RunID\":\"" RUN_ID "\",\"iss\":\"api.inngest.com\",\"sub\":\"run-claim\"}",
        "{\"RunID\":\"" RUN_ID "\",\"exp\":99999999999,\"iss\":\"rt.inngest.com\",\"sub\":\"run-claim\"}",
        "{\"RunID\":\"" RUN_ID "\",\"exp\":99999999999,\"iss\":\"api.inngest.com\",\"sub\":\"other\"}",
        "{\"RunID\":\"nonsense\",\"exp\":99999999999,\"iss\":\"api.inngest.com\",\"sub\":\"run-claim\"}",
    };
    struct fixture f;
    struct sg_token_secret secret = {.bytes = {7}};
    struct sg_server_options options = fixture_options(&f);

    options.token_secret = &secret;
    fixture_start(&f, &options);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"status\":200,\"headers\":{},\"body\":\"x\"}", NULL);
    for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        struct sg_buf query = {0};
        sg_buf_append(&query, SG_STR("?token="));
        sg_token_make(&secret, sg_str_from(claims[i]), &query);
        sg_buf_byte(&query, '\0');
        expect_output(&f, query.ptr, i == 0 ? 200 : 401, i == 0 ? "x" : "Unable to find run with auth token");
        sg_buf_free(&query);
    }
    fixture_close(&f);
}

Test(endpoint_output, is_the_response_as_the_endpoint_made_it)
{
    struct fixture f;
    char path[2200];

    fixture_open(&f);
    put_run(
        &f, RUN_ID, SG_RUN_COMPLETED,
        "{\"body\":\"{\\\"v\\\":\\\"\\u00e9\\\"}\",\"headers\":{\"Connection\":\"keep-alive\",\"Content-Length\":\"7\",\"content-"
        "type\":\"text/x\","
        "\"x bad\":\"1\",\"x-bad\":\"a\\r\\nb: c\",\"x-mine\":\"yes\",\"Access-Control-Allow-Origin\":\"*\"},\"status\":418,\"version\":2}",
        NULL);
    snprintf(path, sizeof(path), "/v1/checkpoint/" RUN_ID "/output%s", with_token(&f));
    struct answer answer = fetch(&f, "GET", path, "Origin: https://shop.example\r\n", NULL);
    cr_expect(eq(int, answer.status, 418));
    cr_expect(eq(str, answer.body, "{\"v\":\"\xc3\xa9\"}"));
    cr_expect(eq(str, (char *)answer_header(&answer, "content-type"), "text/x"));
    cr_expect(eq(str, (char *)answer_header(&answer, "x-mine"), "yes"));
    cr_expect(eq(str, (char *)answer_header(&answer, "x-bad"), ""));
    cr_expect(eq(str, (char *)answer_header(&answer, "Connection"), "close"));
    cr_expect(strstr(answer.head, "x bad") == NULL);
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Origin"), "https://shop.example"));
    cr_expect(strstr(answer.head, "Allow-Origin: *") == NULL); /* browsers would refuse both */
    answer_free(&answer);
    answer = fetch(&f, "GET", path, "", NULL);
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Origin"), "*"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(endpoint_output, without_content_has_none)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"body\":\"x\",\"headers\":{},\"status\":204}", NULL);
    char path[2200];
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    int fd = ask(&f, path);
    char text[4096];
    size_t len = 0;
    for (ssize_t count; (count = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0;)
        len += (size_t)count;
    text[len] = '\0';
    cr_expect(strstr(text, "HTTP/1.1 204 ") == text, "%s", text);
    cr_expect(strstr(text, "Content-Length") == NULL, "%s", text);
    cr_expect(len > 4 && strcmp(text + len - 4, "\r\n\r\n") == 0, "%s", text);
    close(fd);
    fixture_close(&f);
}

Test(endpoint_output, that_is_large_goes_out_as_the_client_takes_it)
{
    enum { BODY_BYTES = 32 * 1024 * 1024 }; /* more than sockets take */
    struct fixture f;
    struct sg_buf output = {0};

    fixture_open(&f);
    sg_buf_append(&output, SG_STR("{\"body\":\""));
    for (int len = 0; len < BODY_BYTES; len += 16)
        sg_buf_append(&output, SG_STR("0123456789abcdef"));
    sg_buf_append(&output, SG_STR("\",\"headers\":{},\"status\":200}"));
    sg_buf_byte(&output, '\0');
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, output.ptr, NULL);
    sg_buf_free(&output);
    char path[2200];
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    struct answer answer = fetch(&f, "GET", path, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(sz, answer.body_len, BODY_BYTES));
    answer_free(&answer);
    fixture_close(&f);
}

Test(endpoint_output, asked_for_with_head_is_not_waited_for)
{
    struct fixture f;
    char path[2200];

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    struct answer answer = fetch(&f, "HEAD", path, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    answer_free(&answer);
    fixture_close(&f);
}

Test(endpoint_output, of_a_run_that_ended_otherwise_is_json)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "[1]", NULL);
    expect_output(&f, with_token(&f), 200, "{\"data\":[1]}");
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"body\":\"x\",\"headers\":{},\"status\":99}", NULL);
    expect_output(&f, with_token(&f), 200, "{\"data\":{\"body\":\"x\",\"headers\":{},\"status\":99}}");
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"body\":\"x\",\"headers\":{},\"status\":600}", NULL);
    expect_output(&f, with_token(&f), 200, "\"status\":600}}");
    put_run(&f, RUN_ID, SG_RUN_FAILED, "{\"status\":404,\"message\":\"not a response\"}", "{\"message\":\"boom\"}");
    expect_output(&f, with_token(&f), 200, "{\"error\":{\"message\":\"boom\"}}");
    put_run(&f, RUN_ID, SG_RUN_CANCELLED, "{\"status\":200,\"headers\":{},\"body\":\"x\"}", NULL);
    expect_output(&f, with_token(&f), 200, "\"name\":\"CancelledError\"");
    fixture_close(&f);
}

Test(endpoint_output, of_a_run_that_is_gone_is_unknown)
{
    struct fixture f;

    fixture_open(&f);
    expect_output(&f, with_token(&f), 200, "{\"message\":\"unable to fetch run output\",\"status\":\"unknown\"}");
    fixture_close(&f);
}

static void end_run(struct fixture *f, enum sg_run_status status, const char *output, const char *error)
{
    struct sg_id id;

    put_run(f, RUN_ID, status, output, error);
    cr_assert(sg_ulid_parse(SG_STR(RUN_ID), &id));
    sg_server_run_ended(f->server, id);
}

Test(endpoint_output, is_waited_for_until_the_run_ends)
{
    struct fixture f;
    char path[2200];
    struct answer answer;
    int waiting[20];

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    for (int i = 0; i < 20; i++)
        waiting[i] = ask(&f, path);
    close(waiting[3]); /* one loses patience */
    EXPECT(&f, "GET", "/health", "", NULL, 200, "");
    struct pollfd silent = {.fd = waiting[0], .events = POLLIN};
    cr_expect(poll(&silent, 1, 100) == 0);
    cr_expect(eq(int, sg_server_waiting(f.server), 0)); /* the HTTP library knows nothing of them */

    end_run(&f, SG_RUN_COMPLETED, "{\"status\":200,\"headers\":{},\"body\":\"late\"}", NULL);

    for (int i = 0; i < 20; i++) {
        if (i == 3)
            continue;
        cr_assert(client_receive(waiting[i], &answer));
        cr_expect(eq(str, answer.body, "late"));
        answer_free(&answer);
        cr_expect(client_is_closed(waiting[i]));
        close(waiting[i]);
    }
    fixture_close(&f);
}

Test(endpoint_output, on_a_connection_that_was_used_before)
{
    struct fixture f;
    char request[4096];
    struct answer answer;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    int len = snprintf(request, sizeof(request), "GET /v1/http/runs/" RUN_ID "/output%s HTTP/1.1\r\nHost: x\r\n\r\n", with_token(&f));
    int fd = client_connect(f.port);
    say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_assert(client_receive(fd, &answer));
    answer_free(&answer);
    client_send(fd, request, (size_t)len);
    struct pollfd silent = {.fd = fd, .events = POLLIN};
    cr_expect(poll(&silent, 1, 100) == 0);

    end_run(&f, SG_RUN_FAILED, NULL, "{\"message\":\"boom\"}");

    cr_assert(client_receive(fd, &answer));
    cr_expect(eq(str, answer.body, "{\"error\":{\"message\":\"boom\"}}"));
    answer_free(&answer);
    close(fd);
    fixture_close(&f);
}

static void *talk(void *context)
{
    static const char bytes[65536];

    while (send(*(int *)context, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0)
        continue;
    return NULL;
}

Test(endpoint_output, a_client_that_talks_while_it_waits_holds_nobody_up)
{
    struct fixture f;
    char path[2200];
    struct answer answer;
    pthread_t talker;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    int fd = ask(&f, path);
    int loud = ask(&f, path);
    struct pollfd silent = {.fd = loud, .events = POLLIN};
    cr_expect(poll(&silent, 1, 100) == 0);
    cr_assert(pthread_create(&talker, NULL, talk, &loud) == 0);
    bool is_cut = client_is_closed(loud);
    if (!is_cut)
        (void)shutdown(loud, SHUT_RDWR);
    (void)pthread_join(talker, NULL);
    cr_expect(is_cut);
    end_run(&f, SG_RUN_COMPLETED, "{\"status\":200,\"headers\":{},\"body\":\"late\"}", NULL);
    cr_assert(client_receive(fd, &answer));
    cr_expect(eq(str, answer.body, "late"));
    answer_free(&answer);
    close(loud);
    close(fd);
    fixture_close(&f);
}

Test(endpoint_output, that_clients_do_not_take_is_bounded_in_all)
{
    struct fixture f;
    char path[2200];
    size_t len = 24 * 1024 * 1024; /* more than sockets take */
    char *output = malloc(len + 3);
    struct answer answer;

    cr_assert(output != NULL);
    memset(output, 'x', len + 2);
    output[0] = output[len + 1] = '"';
    output[len + 2] = '\0';
    struct sg_server_options options = fixture_options(&f);
    options.limits.held_bytes_max = 40 * 1024 * 1024;
    fixture_start(&f, &options);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, output, NULL);
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    int slow = ask(&f, path);
    struct pollfd speaking = {.fd = slow, .events = POLLIN};
    cr_assert(poll(&speaking, 1, DEADLINE_MS) == 1);
    answer = fetch(&f, "GET", path, "", NULL); /* not by EXPECT, which would print it all */
    cr_expect(eq(int, answer.status, 503));
    cr_expect(answer_has(&answer, "ask again"));
    answer_free(&answer);
    cr_assert(client_receive(slow, &answer));
    cr_expect(eq(sz, answer.body_len, len + 2 + strlen("{\"data\":}")));
    answer_free(&answer);
    cr_expect(client_is_closed(slow));
    answer = fetch(&f, "GET", path, "", NULL);
    cr_expect(eq(int, answer.status, 200));
    answer_free(&answer);
    close(slow);
    free(output);
    fixture_close(&f);
}

Test(endpoint_output, those_who_wait_when_the_server_ends_are_told_to_come_back)
{
    struct fixture f;
    char path[2200];
    struct answer answer;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    snprintf(path, sizeof(path), "/v1/http/runs/" RUN_ID "/output%s", with_token(&f));
    int fd = ask(&f, path);
    struct pollfd silent = {.fd = fd, .events = POLLIN};
    cr_expect(poll(&silent, 1, 100) == 0);
    fixture_close(&f);
    cr_assert(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 503));
    answer_free(&answer);
    close(fd);
}

/* ---- the stream ---- */

/* What has come on a connection, from the first byte, until it holds `part`; the text is static. */
static const char *read_until(int fd, const char *part)
{
    static char text[65536];
    size_t len = 0;

    text[0] = '\0';
    while (strstr(text, part) == NULL) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        cr_assert(poll(&poller, 1, DEADLINE_MS) == 1, "waiting for %s, got %s", part, text);
        ssize_t count = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        cr_assert(count > 0, "waiting for %s, got %s", part, text);
        len += (size_t)count;
        text[len] = '\0';
    }
    return text;
}

static int follow(struct fixture *f)
{
    char path[2200];

    snprintf(path, sizeof(path), "/v1/realtime/sse?token=%s", created(f, "realtime_token"));
    return ask(f, path);
}

#define TEE "/v1/realtime/publish/tee?channel=" RUN_ID
#define FRAME(text) "event: inngest.stream\ndata: {\"data\":\"" text "\"}\n\n"
#define LAST "event: inngest.response\ndata: {\"status\":\"succeeded\"}\n\n"

Test(endpoint_stream, brings_what_comes_and_what_came_before)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    EXPECT(&f, "POST", TEE, "", FRAME("one"), 200, "");
    int fd = follow(&f);
    cr_expect(strstr(read_until(fd, FRAME("one")), "Content-Type: text/event-stream\r\n") != NULL);
    EXPECT(&f, "POST", TEE, "", FRAME("two"), 200, "");
    (void)read_until(fd, FRAME("two"));
    EXPECT(&f, "POST", TEE, "", LAST, 200, "");
    (void)read_until(fd, LAST);
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(endpoint_stream, more_than_the_limit_are_told_so_until_one_leaves)
{
    struct fixture f;
    char path[2200];
    int following[4];

    struct sg_server_options options = fixture_options(&f);
    options.limits.held_max = 4;
    fixture_start(&f, &options);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        following[i] = follow(&f);
        (void)read_until(following[i], "\r\n\r\n");
    }
    snprintf(path, sizeof(path), "/v1/realtime/sse?token=%s", created(&f, "realtime_token"));
    EXPECT(&f, "GET", path, "", NULL, 429, "\"status\":429");
    expect_output(&f, with_token(&f), 429, "\"status\":429");
    EXPECT(&f, "GET", "/v1/admin/status", "", NULL, 200, "{\"limit\":4,\"name\":\"http.waiting_clients\"");

    close(following[0]);
    bool has_room = false;
    for (int tries = 0; tries < DEADLINE_MS && !has_room; tries++) { /* as soon as the server has noticed */
        following[0] = ask(&f, path);
        has_room = strstr(read_until(following[0], "\r\n\r\n"), "HTTP/1.1 200 ") != NULL;
        if (!has_room)
            close(following[0]);
    }
    cr_expect(has_room);
    for (int i = 0; i < 4; i++)
        close(following[i]);
    fixture_close(&f);
}

Test(endpoint_stream, passes_a_frame_on_while_the_body_is_still_coming)
{
    struct fixture f;
    struct answer answer;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    int reader = follow(&f);
    int writer = client_connect(f.port);
    const char *head = "POST " TEE " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    say(writer, head);
    say(writer, "9\r\nevent: a\n\r\n");
    say(writer, "a\r\ndata: 1\n\ne\r\n"); /* the beginning of the next one stays here */
    const char *text = read_until(reader, "event: a\ndata: 1\n\n");
    cr_expect(strcmp(text + strlen(text) - 10, "\ndata: 1\n\n") == 0, "%s", text);
    EXPECT(&f, "POST", TEE, "", FRAME("between"), 200, "");
    (void)read_until(reader, FRAME("between"));
    say(writer, "10\r\nvent: b\ndata: 2\n\r\n1\r\n\n\r\n0\r\n\r\n");
    cr_assert(client_receive(writer, &answer));
    cr_expect(eq(int, answer.status, 200));
    answer_free(&answer);
    (void)read_until(reader, "event: b\ndata: 2\n\n");
    close(reader);
    close(writer);
    fixture_close(&f);
}

Test(endpoint_stream, takes_no_room_from_bodies_for_what_has_been_passed_on)
{
    struct fixture f;
    char chunk[2048];

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    int writer = client_connect(f.port);
    say(writer, "POST " TEE " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    int len = snprintf(chunk, sizeof(chunk), "400\r\ndata: %01016d\n\n\r\n", 7);
    for (int i = 0; i < 512; i++)
        client_send(writer, chunk, (size_t)len);
    say(writer, "9\r\ndata: e\n\n\r\n");
    int reader = follow(&f);
    char bytes[65536];
    size_t count = 0;
    while (count < 512 * 1024) { /* all of it has come */
        struct pollfd poller = {.fd = reader, .events = POLLIN};
        cr_assert(poll(&poller, 1, DEADLINE_MS) == 1);
        ssize_t more = recv(reader, bytes, sizeof(bytes), 0);
        cr_assert(more > 0);
        count += (size_t)more;
    }
    struct answer answer = fetch(&f, "GET", "/v1/admin/status", "", NULL);
    const char *row = strstr(answer.body, "\"name\":\"http.body_bytes\"");
    cr_assert(row != NULL, "%s", answer.body);
    const char *value = strstr(row, "\"value\":");
    cr_assert(value != NULL);
    cr_expect(strtol(value + 8, NULL, 10) < 128 * 1024, "%s", value);
    answer_free(&answer);
    close(reader);
    close(writer);
    fixture_close(&f);
}

Test(endpoint_stream, ends_with_what_the_run_came_to_if_nobody_else_says_so)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    int fd = follow(&f);
    (void)read_until(fd, "\r\n\r\n");
    end_run(&f, SG_RUN_FAILED, NULL, "{\"message\":\"boom\"}");
    (void)read_until(fd, "event: inngest.response\ndata: {\"response\":{\"body\":\"\\\"boom\\\"\",\"headers\":{\"content-type\":"
                         "\"application/json\"},\"statusCode\":500},\"status\":\"failed\"}\n\n");
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(endpoint_stream, of_a_run_that_has_ended_is_its_end)
{
    struct fixture f;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "{\"status\":201,\"headers\":{\"a\":\"b\"},\"body\":\"x\"}", NULL);
    int fd = follow(&f);
    (void)read_until(fd, "data: {\"response\":{\"body\":\"x\",\"headers\":{\"a\":\"b\"},\"statusCode\":201},\"status\":\"succeeded\"}\n\n");
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(endpoint_stream, a_slow_reader_is_cut_and_a_late_one_begins_with_a_frame)
{
    struct fixture f;
    static char frames[8 * 1024 + 1];

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    size_t len = 0;
    while (len + 64 < sizeof(frames))
        len += (size_t)snprintf(frames + len, sizeof(frames) - len, "event: inngest.stream\ndata: {\"data\":%zu}\n\n", len);
    int slow = follow(&f);
    (void)read_until(slow, "\r\n\r\n");
    for (int i = 0; i < 4096; i++) { /* 32 MB: more than sockets take and the stream keeps */
        struct answer answer = fetch_bytes(&f, "POST", TEE, "", frames, len);
        cr_assert(eq(int, answer.status, 200));
        answer_free(&answer);
    }
    int late = follow(&f);
    const char *text = read_until(late, ":\n\nevent: inngest.stream\ndata: {\"data\":");
    cr_expect(text != NULL);
    char bytes[65536];
    ssize_t count;
    do
        count = recv(slow, bytes, sizeof(bytes), 0);
    while (count > 0);
    cr_expect(count == 0); /* cut */
    close(slow);
    close(late);
    fixture_close(&f);
}

Test(endpoint_stream, needs_its_token_and_a_tee_its_channel)
{
    struct fixture f;
    char path[2200];

    fixture_open(&f);
    const char *said = "\"error\":\"Not authenticated\",\"status\":401";
    EXPECT(&f, "GET", "/v1/realtime/sse", "", NULL, 401, said);
    EXPECT(&f, "GET", "/v1/realtime/sse?token=x", "", NULL, 401, said);
    snprintf(path, sizeof(path), "/v1/realtime/sse?token=%s", created(&f, "token"));
    EXPECT(&f, "GET", path, "", NULL, 401, said);
    EXPECT(&f, "POST", "/v1/realtime/publish/tee", "", "x", 400, "channel query parameter required");
    fixture_close(&f);
}

Test(endpoint_stream, is_followed_with_the_token_in_a_header_or_in_the_query)
{
    struct fixture f;
    char request[4096];

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    int fd = client_connect(f.port);
    int len = snprintf(request, sizeof(request), "GET /v1/realtime/sse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                       created(&f, "realtime_token"));
    client_send(fd, request, (size_t)len);
    cr_expect(strstr(read_until(fd, "\r\n\r\n"), "HTTP/1.1 200 ") != NULL);
    close(fd);
    fixture_close(&f);
}

Test(endpoint_stream, needs_a_token_for_the_stream_of_a_run)
{
    static const char *const topics[] = {
        "{\"channel\":\"c\",\"kind\":\"run\",\"name\":\"$stream\"}",
        "{\"channel\":\"c\",\"kind\":\"other\",\"name\":\"$stream\"}",
        "{\"channel\":\"c\",\"kind\":\"run\",\"name\":\"other\"}",
    };
    struct fixture f;
    struct sg_token_secret secret = {.bytes = {7}};
    struct sg_server_options options = fixture_options(&f);

    options.token_secret = &secret;
    fixture_start(&f, &options);
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        struct sg_buf claims = {0};
        struct sg_buf path = {0};
        sg_buf_printf(&claims, "{\"exp\":99999999999,\"iss\":\"rt.inngest.com\",\"topics\":[%s]}", topics[i]);
        sg_buf_append(&path, SG_STR("/v1/realtime/sse?token="));
        sg_token_make(&secret, sg_buf_str(&claims), &path);
        sg_buf_byte(&path, '\0');
        int fd = ask(&f, path.ptr);
        cr_expect(strstr(read_until(fd, "\r\n\r\n"), i == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 401 ") != NULL, "%s", topics[i]);
        close(fd);
        sg_buf_free(&claims);
        sg_buf_free(&path);
    }
    fixture_close(&f);
}

Test(endpoint_stream, the_name_of_a_channel_is_bounded)
{
    struct fixture f;
    char path[512];

    fixture_open(&f);
    snprintf(path, sizeof(path), "/v1/realtime/publish/tee?channel=%0257d", 1);
    EXPECT(&f, "POST", path, "", "x", 400, "is longer than 256 bytes");
    fixture_close(&f);
}

Test(endpoint_stream, all_together_are_bounded_and_the_one_used_longest_ago_goes)
{
    enum { STREAMS = 66 }; /* of a million bytes each, less what is trimmed: the limit is 64 MiB */
    struct fixture f;
    char path[128];
    static char frames[1000000 + 1];
    size_t len = 0;

    fixture_open(&f);
    put_run(&f, RUN_ID, SG_RUN_RUNNING, NULL, NULL);
    while (len + 64 < sizeof(frames))
        len += (size_t)snprintf(frames + len, sizeof(frames) - len, "event: inngest.stream\ndata: {\"data\":%zu}\n\n", len);
    EXPECT(&f, "POST", TEE, "", FRAME("first"), 200, "");
    int fd = follow(&f);
    (void)read_until(fd, FRAME("first"));
    for (int i = 0; i <= STREAMS + 2; i++) {
        snprintf(path, sizeof(path), "/v1/realtime/publish/tee?channel=c%d", i);
        struct answer answer = fetch_bytes(&f, "POST", path, "", frames, len);
        cr_assert(eq(int, answer.status, 200));
        answer_free(&answer);
    }
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(endpoint_stream, a_tee_has_a_limit)
{
    struct fixture f;
    static char bytes[1024001];

    fixture_open(&f);
    memset(bytes, 'x', sizeof(bytes));
    struct answer answer = fetch_bytes(&f, "POST", TEE, "", bytes, sizeof(bytes));
    cr_expect(eq(int, answer.status, 413));
    answer_free(&answer);
    fixture_close(&f);
}
