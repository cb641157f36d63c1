/* The caller against apps that behave and apps that do not (reference/01 §2.1, §7.8, §7.9, §8; reference/11 §1). */
#include "sdk_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/crypto.h>

#include "sdk/caller.h"
#include "sdk_app.h"

static struct run_fixture f;
static struct inbox inbox;
static struct app app;
static struct sg_caller *caller;
static struct sg_caller_options options;
static struct sg_signing_key key;
static struct sg_signing_key keys[2];

static void open(void)
{
    cr_assert(eq(int, sg_crypto_init(NULL), SG_OK));
    run_fixture_open(&f);
    put_event(&f, 1, "demo/ev", json("{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000}"));
    inbox_init(&inbox);
    options = (struct sg_caller_options){.store = f.store, .poster = inbox_poster(&inbox)};
}

static void close_all(void)
{
    sg_caller_free(caller);
    inbox_free(&inbox);
    run_fixture_close(&f);
}

TestSuite(sdk_caller, .init = open, .fini = close_all, .timeout = 60);

static void start_caller(void)
{
    cr_assert(eq(int, sg_caller_create(&options, &caller, &f.error), SG_OK), "%s", f.error.message);
}

static struct sg_call *call_to(int port, const char *rest)
{
    char url[512];
    snprintf(url, sizeof(url), "http://localhost:%d/api/inngest?fnId=app-charge&stepId=step%s", port, rest);
    return make_call(&f, url);
}

static void submit(struct sg_call *call)
{
    cr_assert(eq(int, sg_caller_submit(caller, call), SG_OK));
}

/* One call to the app, which answers with `answer`; what came of it. */
static const struct sg_answer *call_once(app_answer answer)
{
    app_start(&app, answer);
    if (caller == NULL)
        start_caller();
    submit(call_to(app.port, ""));
    return inbox_answer(&inbox, 0);
}

static bool answer_ops(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 206, SDK_HEADERS, "[{\"op\":\"StepRun\",\"id\":\"a\",\"data\":1}]");
    return true;
}

/* ---- the request ---- */

Test(sdk_caller, a_call_carries_the_headers_of_the_protocol_and_a_signature_that_verifies)
{
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-12345678"), "key", &key, NULL), SG_OK));
    options.keys = &key;
    options.key_count = 1;
    const struct sg_answer *answer = call_once(answer_ops);
    cr_assert(eq(int, answer->kind, SG_ANSWER_OPS));
    cr_assert(eq(int, answer->request_version, 2));

    const struct app_request *request = app_wait(&app, 0);
    assert_text(request->method, "POST");
    assert_text(request->target, "/api/inngest?fnId=app-charge&stepId=step");
    assert_text(request_header(request, "content-type"), "application/json");
    assert_text(request_header(request, "user-agent"), "Inngest");
    cr_assert(eq(sz, request_header(request, "x-inngest-server-kind").len, 0)); /* syncs carry it, calls do not: reference/01 §2.1 */
    assert_text(request_header(request, "x-run-id"), "01HXYZ0000000000000000000A");
    assert_text(request_header(request, "x-inngest-req-version"), "-1");
    assert_text(request_header(request, "x-inngest-step-id"), "step");
    assert_text(request_header(request, "x-inngest-job-id"), "77");
    assert_text(request_header(request, "x-inngest-generation-id"), "1");
    assert_text(request_header(request, "accept-encoding"), "identity");
    cr_assert(eq(sz, request_header(request, "x-request-id").len, SG_ULID_LEN));
    cr_assert(eq(sz, request_header(request, "expect").len, 0));
    cr_assert(eq(sz, request_header(request, "accept").len, 0));
    cr_assert(eq(sz, request_header(request, "transfer-encoding").len, 0));
    assert_contains(request->body, "\"request_id\":\"");
    cr_assert(
        eq(int, sg_signature_verify(&key, 1, request_header(request, "x-inngest-signature"), request->body, time(NULL), &f.error), SG_OK),
        "%s", f.error.message);
    app_stop(&app);
}

/* Knows the second key only, as an app does that has not been given the new one yet. */
static bool answer_to_old_key(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    bool is_known =
        sg_signature_verify(&keys[1], 1, request_header(request, "x-inngest-signature"), request->body, time(NULL), NULL) == SG_OK;
    write_answer(fd, is_known ? 206 : 401, SDK_HEADERS,
                 is_known ? "[{\"op\":\"StepRun\",\"id\":\"a\",\"data\":1}]" : "{\"message\":\"Unauthorized\"}");
    return true;
}

Test(sdk_caller, key_rotation_in_either_order_loses_no_call)
{
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-12345678"), "key", &keys[0], NULL), SG_OK));
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-87654321"), "key", &keys[1], NULL), SG_OK));
    options.keys = keys;
    options.key_count = 2;
    const struct sg_answer *answer = call_once(answer_to_old_key);
    cr_assert(eq(int, answer->kind, SG_ANSWER_OPS));
    cr_assert(eq(sz, app_wait(&app, 1)->body.len, app_wait(&app, 0)->body.len));
    app_stop(&app);
}

Test(sdk_caller, a_signature_that_neither_key_makes_right_is_one_failed_attempt)
{
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-12345678"), "key", &keys[0], NULL), SG_OK));
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-87654321"), "key", &keys[1], NULL), SG_OK));
    options.keys = keys;
    options.key_count = 2;
    start_caller();
    cr_assert(eq(int, sg_signing_key_parse(SG_STR("signkey-prod-1111"), "key", &keys[1], NULL), SG_OK)); /* the app's, another one */
    const struct sg_answer *answer = call_once(answer_to_old_key);
    cr_assert(ne(int, answer->kind, SG_ANSWER_OPS));
    assert_contains(answer->error, "refused the signature");
    app_stop(&app);
}

Test(sdk_caller, dev_without_a_key_does_not_sign)
{
    call_once(answer_ops);
    cr_assert(eq(sz, request_header(app_wait(&app, 0), "x-inngest-signature").len, 0));
    app_stop(&app);
}

Test(sdk_caller, a_target_is_asked_for_in_url_and_header)
{
    app_start(&app, answer_ops);
    start_caller();
    struct sg_call *call = call_to(app.port, "");
    call->target = SG_STR("86f7e4");
    submit(call);
    const struct app_request *request = app_wait(&app, 0);
    assert_text(request->target, "/api/inngest?fnId=app-charge&stepId=86f7e4");
    assert_text(request_header(request, "x-inngest-step-id"), "86f7e4");
    assert_contains(request->body, json("'step_id':'step'"));
    inbox_wait(&inbox, 0);
    app_stop(&app);
}

Test(sdk_caller, the_answer_names_job_and_generation)
{
    call_once(answer_ops);
    const struct sg_message *message = inbox_wait(&inbox, 0);
    cr_assert(eq(i64, message->as.answer.job_id, 77));
    cr_assert(eq(int, message->as.answer.generation, 1));
    cr_assert(sg_id_eq(message->as.answer.run_id, f.run_id));
    app_stop(&app);
}

Test(sdk_caller, connections_are_used_again)
{
    app_start(&app, answer_ops);
    start_caller();
    for (int i = 0; i < 20; i++) {
        submit(call_to(app.port, ""));
        inbox_wait(&inbox, i);
    }
    cr_assert(eq(int, app.connections, 1));
    struct sg_caller_stats stats;
    sg_caller_stats(caller, &stats);
    cr_assert(eq(i64, stats.calls, 20));
    cr_assert(eq(i64, stats.connections, 1));
    app_stop(&app);
}

static bool answer_and_close_without_saying(struct app *self, int fd, const struct app_request *request)
{
    answer_ops(self, fd, request);
    return false;
}

Test(sdk_caller, nothing_is_sent_twice_on_a_connection_that_dies)
{
    app_start(&app, answer_and_close_without_saying);
    start_caller();
    for (int i = 0; i < 20; i++) {
        submit(call_to(app.port, ""));
        const struct sg_answer *answer = inbox_answer(&inbox, i);
        cr_assert(answer->kind == SG_ANSWER_OPS || (answer->kind == SG_ANSWER_ERROR && !answer->is_no_retry));
        cr_assert(app.request_count <= i + 1);
    }
    app_stop(&app);
}

Test(sdk_caller, localhost_works_in_both_address_families)
{
    if (!app_start_v6(&app, answer_ops)) /* skipped: containers often have no ::1, and nothing of ours can give them one */
        cr_skip_test("no IPv6 here");
    start_caller();
    submit(call_to(app.port, ""));
    cr_assert(eq(int, inbox_answer(&inbox, 0)->kind, SG_ANSWER_OPS));
    cr_assert(inbox_answer(&inbox, 0)->duration_ms < 2000);
    app_stop(&app);
}

/* ---- redirects ---- */

static bool redirect_then_answer(struct app *self, int fd, const struct app_request *request)
{
    if (memmem(request->target.ptr, request->target.len, "/moved", 6) != NULL)
        return answer_ops(self, fd, request);
    char headers[256];
    snprintf(headers, sizeof(headers), "Location: /moved?z=1\r\n");
    write_answer(fd, *(int *)self->context, headers, "");
    return true;
}

Test(sdk_caller, redirects_keep_method_body_and_query)
{
    static int status;
    app.context = &status;
    status = 307;
    app_start(&app, redirect_then_answer);
    start_caller();
    static const int statuses[] = {301, 302, 307, 308};
    for (int i = 0; i < 4; i++) {
        status = statuses[i];
        submit(call_to(app.port, ""));
        cr_assert(eq(int, inbox_answer(&inbox, i)->kind, SG_ANSWER_OPS), "%d", statuses[i]);
        const struct app_request *request = app_wait(&app, 2 * i + 1);
        assert_text(request->method, "POST");
        assert_text(request->target, "/moved?fnId=app-charge&stepId=step&z=1");
        assert_text(request->body, app_wait(&app, 2 * i)->body.ptr);
        assert_text(request_header(request, "x-run-id"), "01HXYZ0000000000000000000A");
    }
    app_stop(&app);
}

static bool redirect_for_ever(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 307, "Location: /api/inngest\r\n", "");
    return true;
}

Test(sdk_caller, redirects_end_after_sixty)
{
    const struct sg_answer *answer = call_once(redirect_for_ever);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "redirects");
    cr_assert(eq(int, app.request_count, 61));
    app_stop(&app);
}

static bool redirect_to_a_file(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 302, "Location: file:///etc/passwd\r\n", "");
    return true;
}

Test(sdk_caller, redirects_stay_with_http)
{
    const struct sg_answer *answer = call_once(redirect_to_a_file);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "HTTP 302");
    app_stop(&app);
}

/* ---- compression ---- */

static bool answer_gzip(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const unsigned char zipped[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x8b, 0xae, 0x56, 0xca, 0x2f,
                                           0x50, 0xb2, 0x52, 0x0a, 0x2e, 0x49, 0x2d, 0x08, 0x2a, 0xcd, 0x53, 0xd2, 0x51, 0xca, 0x4c,
                                           0x01, 0x72, 0x13, 0x81, 0x8c, 0x94, 0xc4, 0x92, 0x44, 0x20, 0xb3, 0x2a, 0xb3, 0xa0, 0x20,
                                           0x35, 0x45, 0xa9, 0x36, 0x16, 0x00, 0xbb, 0x86, 0xc7, 0xb6, 0x2b, 0x00, 0x00, 0x00};
    char head[256];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 206 \r\n" SDK_HEADERS "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                       sizeof(zipped));
    write_all(fd, head, (size_t)len);
    write_all(fd, zipped, sizeof(zipped));
    return true;
}

Test(sdk_caller, gzip_is_decoded_though_nobody_asked_for_it)
{
    const struct sg_answer *answer = call_once(answer_gzip);
    cr_assert(eq(int, answer->kind, SG_ANSWER_OPS), "%.*s", SG_FMT(answer->error));
    assert_text(answer->ops[0].data, json("'zipped'"));
    app_stop(&app);
}

static bool answer_unknown_encoding(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 200, SDK_HEADERS "Content-Encoding: rot13\r\n", "uryyb");
    return true;
}

Test(sdk_caller, unknown_encodings_are_an_error_that_says_so)
{
    const struct sg_answer *answer = call_once(answer_unknown_encoding);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "content encoding");
    app_stop(&app);
}

/* ---- streams ---- */

static bool answer_stream(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char head[] = "HTTP/1.1 201 Created\r\nx-inngest-sdk: inngest-js:v4.24.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    write_all(fd, head, sizeof(head) - 1);
    for (int i = 0; i < 5; i++)
        write_all(fd, "1\r\n \r\n", 6);
    static const char body[] = "{\"status\":200,\"headers\":{\"x-inngest-req-version\":\"2\"},\"body\":\"\\\"done\\\"\"}";
    char chunk[256];
    int len = snprintf(chunk, sizeof(chunk), "%zx\r\n%s\r\n0\r\n\r\n", sizeof(body) - 1, body);
    write_all(fd, chunk, (size_t)len);
    return true;
}

Test(sdk_caller, a_stream_with_heartbeats_is_one_answer)
{
    const struct sg_answer *answer = call_once(answer_stream);
    cr_assert(eq(int, answer->kind, SG_ANSWER_FINISHED));
    assert_text(answer->output, json("'done'"));
    app_stop(&app);
}

/* ---- hostile apps: each costs one bounded attempt ---- */

static bool answer_without_end(struct app *self, int fd, const struct app_request *request)
{
    (void)request;
    static const char head[] = "HTTP/1.1 200 OK\r\n" SDK_HEADERS "\r\n";
    static char junk[65536];
    memset(junk, 'x', sizeof(junk));
    write_all(fd, head, sizeof(head) - 1);
    for (int i = 0; i < 4096 && !self->is_ended; i++)
        if (send(fd, junk, sizeof(junk), MSG_NOSIGNAL) <= 0)
            break;
    return false;
}

Test(sdk_caller, an_endless_body_is_cut)
{
    options.response_bytes_max = 100000;
    const struct sg_answer *answer = call_once(answer_without_end);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, json("'name':'output_too_large'"));
    cr_assert(not(answer->is_no_retry));
    app_stop(&app);
}

static bool answer_endless_headers(struct app *self, int fd, const struct app_request *request)
{
    (void)request;
    static const char head[] = "HTTP/1.1 200 OK\r\n";
    write_all(fd, head, sizeof(head) - 1);
    char line[1024];
    memset(line, 'h', sizeof(line));
    memcpy(line, "x-inngest-sdk: ", 15);
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    for (int i = 0; i < 100000 && !self->is_ended; i++)
        if (send(fd, line, sizeof(line), MSG_NOSIGNAL) <= 0)
            break;
    return false;
}

Test(sdk_caller, endless_headers_are_cut)
{
    const struct sg_answer *answer = call_once(answer_endless_headers);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "headers of the answer");
    app_stop(&app);
}

static bool answer_too_short(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char text[] = "HTTP/1.1 200 OK\r\n" SDK_HEADERS "Content-Length: 1000\r\n\r\n\"partial";
    write_all(fd, text, sizeof(text) - 1);
    return false;
}

Test(sdk_caller, a_body_that_is_cut_short_is_a_failed_attempt)
{
    const struct sg_answer *answer = call_once(answer_too_short);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    cr_assert(eq(int, answer->http_status, 0));
    assert_contains(answer->error, "reset the connection while we were reading the reply");
    app_stop(&app);
}

static bool answer_nothing(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)fd;
    (void)request;
    return false;
}

Test(sdk_caller, unreachable_app_is_retried_with_the_cause_shown)
{
    const struct sg_answer *answer = call_once(answer_nothing);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, json("'message':'Unable to reach SDK URL'"));
    assert_contains(answer->error, "Empty reply");
    app_stop(&app);

    submit(call_to(app.port, "")); /* nobody listens there any more */
    answer = inbox_answer(&inbox, 1);
    assert_contains(answer->error, json("'message':'Unable to reach SDK URL'"));
    assert_contains(answer->error, "Connection refused");
    cr_assert(not(answer->is_no_retry));

    submit(make_call(&f, "http://no-such-host.invalid/x?fnId=a&stepId=step"));
    answer = inbox_answer(&inbox, 2);
    assert_contains(answer->error, json("'message':'Unable to reach SDK URL'"));
    assert_contains(answer->error, "no-such-host.invalid");
}

static bool answer_garbage(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_all(fd, "\x16\x03\x01 what is this\r\n\r\n", 20);
    return false;
}

Test(sdk_caller, garbage_is_a_failed_attempt)
{
    const struct sg_answer *answer = call_once(answer_garbage);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "not HTTP");
    app_stop(&app);
}

Test(sdk_caller, silence_ends_with_the_call_timeout)
{
    options.call_timeout_ms = 100;
    const struct sg_answer *answer = call_once(app_answer_never);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "timed out");
    cr_assert(answer->duration_ms >= 100);
    app_stop(&app);
}

static bool answer_deep(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static char text[200001];
    memset(text, '[', 200000);
    write_answer(fd, 206, SDK_HEADERS, text);
    return true;
}

Test(sdk_caller, deep_json_is_a_failed_attempt)
{
    const struct sg_answer *answer = call_once(answer_deep);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "error reading the op list");
    app_stop(&app);
}

/* ---- calls that cannot be made ---- */

Test(sdk_caller, a_call_whose_memos_are_gone_is_answered_without_calling)
{
    app_start(&app, answer_ops);
    start_caller();
    struct sg_call *call = call_to(app.port, "");
    call->snapshot = 3;
    submit(call);
    const struct sg_answer *answer = inbox_answer(&inbox, 0);
    cr_assert(eq(int, answer->kind, SG_ANSWER_ERROR));
    assert_contains(answer->error, "memos are not in the store any more");
    cr_assert(eq(int, app.connections, 0));
    app_stop(&app);
}

Test(sdk_caller, a_url_that_is_none_is_answered)
{
    start_caller();
    submit(make_call(&f, "nonsense"));
    cr_assert(eq(int, inbox_answer(&inbox, 0)->kind, SG_ANSWER_ERROR));
    submit(make_call(&f, "ftp://localhost/x"));
    cr_assert(eq(int, inbox_answer(&inbox, 1)->kind, SG_ANSWER_ERROR));
}

Test(sdk_caller, a_step_id_cannot_break_out_of_its_header)
{
    app_start(&app, answer_ops);
    start_caller();
    struct sg_call *call = call_to(app.port, "");
    call->target = SG_STR("a\r\nX-Evil: 1");
    submit(call);
    cr_assert(eq(int, inbox_answer(&inbox, 0)->kind, SG_ANSWER_ERROR));
    cr_assert(eq(int, app.connections, 0));
    app_stop(&app);
}

/* ---- limits and lines ---- */

static bool answer_when_released(struct app *self, int fd, const struct app_request *request)
{
    app_hold(self);
    return answer_ops(self, fd, request);
}

Test(sdk_caller, an_app_gets_no_more_connections_than_its_limit)
{
    options.connections_per_app_max = 3;
    app_start(&app, answer_when_released);
    start_caller();
    for (int i = 0; i < 12; i++)
        submit(call_to(app.port, ""));
    app_wait(&app, 2);
    struct sg_caller_stats stats;
    sg_caller_stats(caller, &stats);
    cr_assert(eq(i64, stats.in_flight, 3));
    cr_assert(eq(i64, stats.waiting, 9));
    app_release(&app);
    inbox_wait(&inbox, 11);
    cr_assert(eq(int, app.open_max, 3));
    cr_assert(eq(int, app.connections, 3));
    app_stop(&app);
}

Test(sdk_caller, one_apps_trouble_does_not_hold_up_another)
{
    static struct app other;
    options.connections_per_app_max = 3;
    options.connections_max = 4;
    app_start(&app, app_answer_never);
    app_start(&other, answer_ops);
    start_caller();
    for (int i = 0; i < 50; i++)
        submit(call_to(app.port, ""));
    for (int i = 0; i < 5; i++) {
        struct sg_call *call = call_to(other.port, "");
        call->app_id.bytes[0] = 7;
        submit(call);
    }
    for (int i = 0; i < 5; i++)
        cr_assert(eq(int, inbox_answer(&inbox, i)->kind, SG_ANSWER_OPS));
    app_stop(&app);
    app_stop(&other);
}

Test(sdk_caller, many_apps_over_several_threads)
{
    options.threads = 3;
    app_start(&app, answer_ops);
    start_caller();
    for (int i = 0; i < 300; i++) {
        struct sg_call *call = call_to(app.port, "");
        call->app_id.bytes[15] = (uint8_t)(i % 7);
        call->job_id = i + 1;
        submit(call);
    }
    bool is_seen[301] = {false};
    for (int i = 0; i < 300; i++) {
        const struct sg_message *message = inbox_wait(&inbox, i);
        cr_assert(eq(int, message->as.answer.answer.kind, SG_ANSWER_OPS));
        cr_assert(not(is_seen[message->as.answer.job_id]));
        is_seen[message->as.answer.job_id] = true;
    }
    app_stop(&app);
}

/* ---- the inbox is full; the end ---- */

Test(sdk_caller, an_answer_waits_for_room_in_the_inbox)
{
    inbox.refusals = 5;
    app_start(&app, answer_ops);
    start_caller();
    for (int i = 0; i < 4; i++)
        submit(call_to(app.port, ""));
    for (int i = 0; i < 4; i++)
        cr_assert(eq(int, inbox_answer(&inbox, i)->kind, SG_ANSWER_OPS));
    cr_assert(eq(int, inbox.refusals, 0));
    app_stop(&app);
}

Test(sdk_caller, drain_lets_calls_in_flight_finish_and_drops_the_others)
{
    options.connections_per_app_max = 1;
    app_start(&app, answer_when_released);
    start_caller();
    submit(call_to(app.port, ""));
    submit(call_to(app.port, ""));
    app_wait(&app, 0);
    cr_assert(eq(sz, sg_caller_drain(caller, 0), 1), "the first is still in flight");
    struct sg_call *late = call_to(app.port, "");
    cr_assert(eq(int, sg_caller_submit(caller, late), SG_SHUTTING_DOWN));
    sg_call_free(late);
    app_release(&app);
    cr_assert(eq(sz, sg_caller_drain(caller, WAIT_MS), 0));
    cr_assert(eq(int, inbox_count(&inbox), 1));
    app_stop(&app);
}

Test(sdk_caller, free_cuts_what_is_in_flight)
{
    app_start(&app, app_answer_never);
    start_caller();
    for (int i = 0; i < 10; i++)
        submit(call_to(app.port, ""));
    app_wait(&app, 0);
    sg_caller_free(caller);
    caller = NULL;
    cr_assert(eq(int, inbox_count(&inbox), 0));
    app_stop(&app);
}
