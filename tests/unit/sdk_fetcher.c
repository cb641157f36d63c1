/* The fetcher against servers that behave and servers that do not (reference/02 §10). */
#include "sdk_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "sdk/fetch_transfer.h"
#include "sdk/fetcher.h"
#include "sdk_app.h"

static struct inbox inbox;
static struct app app;
static struct app other;
static struct sg_fetcher *fetcher;
static struct sg_fetcher_options options;
static struct sg_error error;

static void open(void)
{
    inbox_init(&inbox);
    options = (struct sg_fetcher_options){.poster = inbox_poster(&inbox), .allows_private = true};
}

static void close_all(void)
{
    sg_fetcher_free(fetcher);
    inbox_free(&inbox);
}

TestSuite(sdk_fetcher, .init = open, .fini = close_all, .timeout = 60);

static void start_fetcher(void)
{
    cr_assert(eq(int, sg_fetcher_create(&options, &fetcher, &error), SG_OK), "%s", error.message);
}

static void submit_canonical(int app_number, enum sg_opcode code, struct sg_str opts)
{
    struct sg_fetch *fetch = calloc(1, sizeof(*fetch) + opts.len + 1);
    cr_assert(fetch != NULL);
    char *bytes = (char *)(fetch + 1);
    bytes[0] = 'a';
    memcpy(bytes + 1, opts.ptr, opts.len);
    fetch->magic = SG_FETCH_MAGIC;
    fetch->code = code;
    fetch->app_id.bytes[0] = (uint8_t)app_number;
    fetch->run_id.bytes[3] = 9;
    fetch->job_id = 77;
    fetch->generation = 3;
    fetch->step_id = (struct sg_str){bytes, 1};
    fetch->opts = (struct sg_str){bytes + 1, opts.len};
    cr_assert(eq(int, sg_fetcher_submit(fetcher, fetch), SG_OK));
}

/* `opts` with single quotes; %d in it is the port. */
static void submit_for(int app_number, enum sg_opcode code, const char *opts, int port)
{
    char text[1024];
    snprintf(text, sizeof(text), opts, port, port); /* NOLINT: a format of the test's own */
    submit_canonical(app_number, code, sg_str_from(json(text)));
}

static void submit(enum sg_opcode code, const char *opts, int port)
{
    submit_for(1, code, opts, port);
}

/* One step.fetch to the app; its result. */
static struct sg_str fetch_once(app_answer answer, const char *opts)
{
    app_start(&app, answer);
    if (fetcher == NULL)
        start_fetcher();
    submit(SG_OP_GATEWAY, opts, app.port);
    const struct sg_message *message = inbox_wait(&inbox, 0);
    return message->as.fetched.data.len > 0 ? message->as.fetched.data : message->as.fetched.error;
}

static bool answer_plainly(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 200, "Content-Type: text/plain\r\n", "hello");
    return true;
}

/* ---- the wire ---- */

Test(sdk_fetcher, a_get_goes_out_bare_and_comes_back_whole)
{
    struct sg_str data = fetch_once(answer_plainly, "{'headers':{'x-test':'yes'},'method':'GET','url':'http://127.0.0.1:%d/p?q=1'}");
    assert_contains(data, "\"body\":\"hello\",\"headers\":{\"Content-Type\":\"text/plain\"},\"status_code\":200");
    const struct app_request *request = app_wait(&app, 0);
    assert_text(request->method, "GET");
    assert_text(request->target, "/p?q=1");
    assert_text(request_header(request, "x-test"), "yes");
    assert_text(request_header(request, "user-agent"), "Inngest");
    cr_assert(eq(sz, request_header(request, "accept").len, 0));
    cr_assert(eq(sz, request_header(request, "content-type").len, 0));
    assert_contains(request_header(request, "accept-encoding"), "gzip");
    const struct sg_message *message = inbox_wait(&inbox, 0);
    cr_assert(eq(int, message->kind, SG_MESSAGE_FETCHED));
    cr_assert(eq(i64, message->as.fetched.job_id, 77));
    cr_assert(eq(int, message->as.fetched.generation, 3));
    cr_assert(eq(int, message->as.fetched.run_id.bytes[3], 9));
    assert_text(message->as.fetched.step_id, "a");
    app_stop(&app);
}

Test(sdk_fetcher, a_body_goes_out_byte_for_byte_and_without_a_type)
{
    fetch_once(answer_plainly, "{'body':'a=1&b=2','method':'PATCH','url':'http://127.0.0.1:%d/'}");
    const struct app_request *request = app_wait(&app, 0);
    assert_text(request->method, "PATCH");
    assert_text(request->body, "a=1&b=2");
    assert_text(request_header(request, "content-length"), "7");
    cr_assert(eq(sz, request_header(request, "content-type").len, 0));
    cr_assert(eq(sz, request_header(request, "expect").len, 0));
    app_stop(&app);
}

Test(sdk_fetcher, a_large_body_is_sent_without_asking_first)
{
    struct sg_buf opts = {0};
    app_start(&app, answer_plainly);
    start_fetcher();
    sg_buf_append(&opts, SG_STR("{\"body\":\""));
    for (int i = 0; i < 128 * 1024; i++)
        sg_buf_append(&opts, SG_STR("0123456789abcdef"));
    sg_buf_printf(&opts, "\",\"method\":\"POST\",\"url\":\"http://127.0.0.1:%d/\"}", app.port);
    submit_canonical(1, SG_OP_GATEWAY, sg_buf_str(&opts));
    sg_buf_free(&opts);
    assert_contains(inbox_wait(&inbox, 0)->as.fetched.data, "hello");
    const struct app_request *request = app_wait(&app, 0);
    cr_assert(eq(sz, request->body.len, 2 * 1024 * 1024));
    cr_assert(eq(sz, request_header(request, "expect").len, 0)); /* libcurl would, from a megabyte on */
    app_stop(&app);
}

Test(sdk_fetcher, methods_without_a_body)
{
    app_start(&app, answer_plainly);
    start_fetcher();
    const char *opts[] = {"{'method':'POST','url':'http://127.0.0.1:%d/'}", "{'method':'DELETE','url':'http://127.0.0.1:%d/'}",
                          "{'method':'HEAD','url':'http://127.0.0.1:%d/'}", "{'method':'OPTIONS','url':'http://127.0.0.1:%d/'}"};
    const char *methods[] = {"POST", "DELETE", "HEAD", "OPTIONS"};
    for (int i = 0; i < 4; i++) {
        submit(SG_OP_GATEWAY, opts[i], app.port);
        cr_assert(gt(sz, inbox_wait(&inbox, i)->as.fetched.data.len, 0), "%s", methods[i]);
        assert_text(app_wait(&app, i)->method, methods[i]);
    }
    assert_text(request_header(app_wait(&app, 0), "content-length"), "0");
    cr_assert(eq(sz, request_header(app_wait(&app, 1), "content-length").len, 0));
    app_stop(&app);
}

Test(sdk_fetcher, a_proxy_of_the_environment_is_not_used)
{
    cr_assert(eq(int, setenv("http_proxy", "http://127.0.0.1:1", 1), 0));
    cr_assert(eq(int, setenv("all_proxy", "http://127.0.0.1:1", 1), 0));
    assert_contains(fetch_once(answer_plainly, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "hello");
    app_stop(&app);
}

Test(sdk_fetcher, every_request_has_a_connection_of_its_own)
{
    app_start(&app, answer_plainly);
    start_fetcher();
    for (int i = 0; i < 5; i++) {
        submit(SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
        inbox_wait(&inbox, i);
    }
    cr_assert(eq(int, app.connections, 5));
    app_stop(&app);
}

static bool answer_compressed(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const unsigned char zipped[] = {0x1f, 0x8b, 8,    0, 0,    0,    0,    0,    0, 3, 0xcb, 0x48, 0xcd,
                                           0xc9, 0xc9, 0x07, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0};
    char head[128];
    int len = snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", sizeof(zipped));
    write_all(fd, head, (size_t)len);
    write_all(fd, zipped, sizeof(zipped));
    return true;
}

Test(sdk_fetcher, compressed_answers_are_decoded)
{
    struct sg_str data = fetch_once(answer_compressed, "{'method':'GET','url':'http://127.0.0.1:%d/'}");
    assert_contains(data, "{\"body\":\"hello\",\"status_code\":200");
    app_stop(&app);
}

static bool answer_no_content(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char text[] = "HTTP/1.1 204 No Content\r\n\r\n";
    write_all(fd, text, sizeof(text) - 1);
    return true;
}

Test(sdk_fetcher, no_content_has_no_body)
{
    struct sg_str data = fetch_once(answer_no_content, "{'method':'DELETE','url':'http://127.0.0.1:%d/'}");
    assert_contains(data, "{\"status_code\":204");
    app_stop(&app);
}

static bool answer_as_provider(struct app *self, int fd, const struct app_request *request)
{
    bool is_first = self->context == NULL;
    self->context = self;
    (void)request;
    write_answer(fd, is_first ? 500 : 200, "", is_first ? "{\"error\":\"sk-s3cret is overloaded\"}" : "{\"choices\":[]}");
    return true;
}

Test(sdk_fetcher, an_ai_call_fails_and_succeeds_as_its_provider_says)
{
    app_start(&app, answer_as_provider);
    start_fetcher();
    const char *opts = "{'auth_key':'sk-s3cret','body':{'m':1},'format':'openai-chat','url':'http://127.0.0.1:%d/v1'}";
    submit(SG_OP_AI_GATEWAY, opts, app.port);
    const struct sg_message *message = inbox_wait(&inbox, 0);
    assert_contains(message->as.fetched.error, "unsuccessful status code: 500");
    assert_contains(message->as.fetched.error, "*** is overloaded");
    cr_assert(not(message->as.fetched.is_final));
    submit(SG_OP_AI_GATEWAY, opts, app.port);
    assert_text(inbox_wait(&inbox, 1)->as.fetched.data, "{\"choices\":[]}");
    const struct app_request *request = app_wait(&app, 1);
    assert_text(request->method, "POST");
    assert_text(request->body, "{\"m\":1}");
    assert_text(request_header(request, "authorization"), "Bearer sk-s3cret");
    assert_text(request_header(request, "content-type"), "application/json");
    app_stop(&app);
}

/* ---- redirects ---- */

static bool redirect_to_other(struct app *self, int fd, const struct app_request *request)
{
    (void)request;
    char headers[128];
    snprintf(headers, sizeof(headers), "Location: %s\r\n", (const char *)self->context);
    write_answer(fd, 307, headers, "");
    return true;
}

static char location[128];

static void start_redirecting(app_answer answer)
{
    app_start(&other, answer_plainly);
    snprintf(location, sizeof(location), "http://127.0.0.1:%d/there", other.port);
    app.context = location;
    app_start(&app, answer);
    app.context = location;
    start_fetcher();
}

Test(sdk_fetcher, a_redirect_keeps_method_body_and_headers_but_no_credentials_for_another_origin)
{
    start_redirecting(redirect_to_other);
    submit(SG_OP_GATEWAY,
           "{'body':'b','headers':{'authorization':'s3cret','cookie':'s3cret','x-a':'1'},'method':'PUT','url':'http://127.0.0.1:%d/'}",
           app.port);
    struct sg_str data = inbox_wait(&inbox, 0)->as.fetched.data;
    assert_contains(data, "\"status_code\":200");
    assert_contains(data, "/there\"");
    assert_text(request_header(app_wait(&app, 0), "authorization"), "s3cret");
    const struct app_request *request = app_wait(&other, 0);
    assert_text(request->method, "PUT");
    assert_text(request->body, "b");
    assert_text(request_header(request, "x-a"), "1");
    cr_assert(eq(sz, request_header(request, "authorization").len, 0));
    cr_assert(eq(sz, request_header(request, "cookie").len, 0));
    app_stop(&app);
    app_stop(&other);
}

static bool redirect_back(struct app *self, int fd, const struct app_request *request)
{
    (void)request;
    char headers[128];
    snprintf(headers, sizeof(headers), "Location: %s\r\n", (const char *)self->context);
    write_answer(fd, 302, headers, "");
    return true;
}

static bool redirect_away_once(struct app *self, int fd, const struct app_request *request)
{
    return sg_str_eq(request->target, SG_STR("/back")) ? answer_plainly(self, fd, request) : redirect_to_other(self, fd, request);
}

Test(sdk_fetcher, credentials_that_were_taken_off_do_not_come_back)
{
    static char home[128];
    app_start(&app, redirect_away_once);
    app_start(&other, redirect_back);
    snprintf(location, sizeof(location), "http://127.0.0.1:%d/there", other.port);
    snprintf(home, sizeof(home), "http://127.0.0.1:%d/back", app.port);
    app.context = location;
    other.context = home;
    start_fetcher();
    submit(SG_OP_GATEWAY, "{'body':'b','headers':{'authorization':'s3cret'},'method':'POST','url':'http://127.0.0.1:%d/'}", app.port);
    assert_contains(inbox_wait(&inbox, 0)->as.fetched.data, "\"status_code\":200");
    const struct app_request *request = app_wait(&app, 1); /* whoever redirected it has chosen where it goes */
    assert_text(request->target, "/back");
    assert_text(request->method, "POST"); /* after a 302, too */
    assert_text(request->body, "b");
    cr_assert(eq(sz, request_header(request, "authorization").len, 0));
    app_stop(&app);
    app_stop(&other);
}

static bool redirect_here(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    if (sg_str_eq(request->target, SG_STR("/there")))
        return answer_plainly(self, fd, request);
    bool is_head = sg_str_eq(request->method, SG_STR("HEAD"));
    write_answer(fd, 303, "Location: /there\r\nX-Moved: yes\r\n", is_head ? "" : "moved");
    return true;
}

Test(sdk_fetcher, a_redirect_within_the_origin_keeps_credentials_and_a_303_asks_with_get)
{
    struct sg_str data =
        fetch_once(redirect_here, "{'body':'b','headers':{'authorization':'s3cret'},'method':'POST','url':'http://127.0.0.1:%d/'}");
    assert_contains(data, "{\"body\":\"hello\",\"headers\":{\"Content-Type\":\"text/plain\"},"); /* nothing of the first answer */
    const struct app_request *request = app_wait(&app, 1);
    assert_text(request->method, "GET");
    cr_assert(eq(sz, request->body.len, 0));
    assert_text(request_header(request, "authorization"), "s3cret");
    app_stop(&app);
}

Test(sdk_fetcher, a_303_leaves_head_as_it_is)
{
    fetch_once(redirect_here, "{'method':'HEAD','url':'http://127.0.0.1:%d/'}");
    assert_text(app_wait(&app, 1)->method, "HEAD");
    app_stop(&app);
}

static bool answer_not_modified(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char text[] = "HTTP/1.1 304 Not Modified\r\nLocation: /there\r\n\r\n";
    write_all(fd, text, sizeof(text) - 1);
    return true;
}

Test(sdk_fetcher, not_modified_is_an_answer_and_no_redirect)
{
    assert_contains(fetch_once(answer_not_modified, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "\"status_code\":304");
    cr_assert(eq(int, app.request_count, 1));
    app_stop(&app);
}

static bool redirect_slowly(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    usleep(30000);
    write_answer(fd, 307, "Location: /again\r\n", "");
    return true;
}

Test(sdk_fetcher, a_request_has_one_deadline_for_all_its_redirects)
{
    options.timeout_ms = 300;
    struct sg_str text = fetch_once(redirect_slowly, "{'method':'GET','url':'http://127.0.0.1:%d/'}");
    cr_assert(memmem(text.ptr, text.len, "too often", 9) == NULL, "%.*s", SG_FMT(text));
    cr_assert(le(int, app.request_count, 11));
    app_stop(&app);
}

static bool redirect_for_ever(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 308, "Location: /again?key=s3cret\r\n", "");
    return true;
}

Test(sdk_fetcher, redirects_end_after_sixty)
{
    struct sg_str text = fetch_once(redirect_for_ever, "{'method':'GET','url':'http://127.0.0.1:%d/'}");
    assert_contains(text, "Error making gateway request: it was redirected too often");
    cr_assert(eq(int, app.request_count, 61));
    cr_assert(memmem(text.ptr, text.len, "s3cret", 6) == NULL);
    app_stop(&app);
}

static bool redirect_to_a_file(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_answer(fd, 302, "Location: file:///etc/passwd\r\n", "");
    return true;
}

Test(sdk_fetcher, redirects_stay_with_http)
{
    assert_contains(fetch_once(redirect_to_a_file, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "no http or https URL");
    app_stop(&app);
}

/* ---- addresses ---- */

Test(sdk_fetcher, private_addresses_are_refused_for_good_without_a_connection)
{
    options.allows_private = false;
    app_start(&app, answer_plainly);
    start_fetcher();
    const char *urls[] = {
        "http://127.0.0.1:%d/?key=s3cret",
        "http://localhost:%d/",
        "http://user:s3cret@127.0.0.1:%d/",
        "http://[::1]:%d/",
        "http://[::ffff:7f00:1]:%d/",
        "http://2130706433:%d/",
        "http://0x7f.1:%d/",
        "http://0:%d/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/",
        "http://10.1.2.3/",
        "http://[64:ff9b::a9fe:a9fe]/",
    };
    for (size_t i = 0; i < SG_ARRAY_LEN(urls); i++) {
        char opts[256];
        snprintf(opts, sizeof(opts), "{'method':'GET','url':'%s'}", urls[i]);
        submit(SG_OP_GATEWAY, opts, app.port);
        const struct sg_message *message = inbox_wait(&inbox, (int)i);
        cr_assert(message->as.fetched.is_final, "%s: %.*s", urls[i], SG_FMT(message->as.fetched.error));
        assert_contains(message->as.fetched.error, "this gateway requests public addresses only (--allow-private-fetch)");
        cr_assert(memmem(message->as.fetched.error.ptr, message->as.fetched.error.len, "s3cret", 6) == NULL);
    }
    assert_contains(inbox_wait(&inbox, 0)->as.fetched.error, "127.0.0.1 is a loopback address");
    assert_contains(inbox_wait(&inbox, 8)->as.fetched.error, "169.254.169.254 is a link-local (metadata) address");
    cr_assert(eq(int, app.connections, 0));
    struct sg_fetcher_stats stats;
    sg_fetcher_stats(fetcher, &stats);
    cr_assert(eq(i64, stats.refusals, (int64_t)SG_ARRAY_LEN(urls)));
    app_stop(&app);
}

/* One hop, waited for. */
static CURLcode hop(struct sg_fetch_transfer *transfer)
{
    return curl_easy_perform(transfer->easy);
}

static struct sg_fetch_transfer *begin(struct sg_fetch_maker *maker, int port)
{
    char opts[128];
    snprintf(opts, sizeof(opts), "{\"method\":\"GET\",\"url\":\"http://127.0.0.1:%d/\"}", port);
    struct sg_fetch *fetch = calloc(1, sizeof(*fetch) + strlen(opts));
    cr_assert(fetch != NULL);
    fetch->magic = SG_FETCH_MAGIC;
    fetch->code = SG_OP_GATEWAY;
    fetch->step_id = SG_STR("a");
    fetch->opts = (struct sg_str){memcpy(fetch + 1, opts, strlen(opts)), strlen(opts)};
    struct sg_message *message;
    struct sg_fetch_transfer *transfer = sg_fetch_transfer_begin(maker, fetch, &message);
    cr_assert(transfer != NULL);
    return transfer;
}

Test(sdk_fetcher, a_redirect_to_a_private_address_is_refused)
{
    start_redirecting(redirect_to_other);
    struct sg_fetch_maker maker = {
        .allows_private = true, .timeout_ms = WAIT_MS, .connect_timeout_ms = WAIT_MS, .response_bytes_max = 1000};
    struct sg_fetch_transfer *transfer = begin(&maker, app.port);
    cr_assert(eq(int, hop(transfer), CURLE_OK));
    maker.allows_private = false; /* as if the first one had been public */
    cr_assert(sg_fetch_transfer_redirect(transfer));
    CURLcode code = hop(transfer);
    cr_assert(ne(int, code, CURLE_OK));
    struct sg_message *message = sg_fetch_transfer_outcome(transfer, code);
    assert_contains(message->as.fetched.error, "127.0.0.1 is a loopback address");
    cr_assert(message->as.fetched.is_final);
    cr_assert(eq(int, other.connections, 0));
    sg_message_free(message);
    sg_fetch_transfer_free(transfer);
    app_stop(&app);
    app_stop(&other);
}

Test(sdk_fetcher, answers_are_bounded_together)
{
    app_start(&app, redirect_here);
    start_fetcher();
    struct sg_fetch_maker maker = {.allows_private = true,
                                   .timeout_ms = WAIT_MS,
                                   .connect_timeout_ms = WAIT_MS,
                                   .response_bytes_max = 1000,
                                   .responses_bytes = SG_LIMIT_FETCH_RESPONSES_BYTES - 5};
    struct sg_fetch_transfer *transfer = begin(&maker, app.port);
    cr_assert(eq(int, hop(transfer), CURLE_OK)); /* five bytes, and a redirect, which lets go of them */
    cr_assert(eq(i64, maker.responses_bytes, SG_LIMIT_FETCH_RESPONSES_BYTES));
    cr_assert(sg_fetch_transfer_redirect(transfer));
    cr_assert(eq(i64, maker.responses_bytes, SG_LIMIT_FETCH_RESPONSES_BYTES - 5));
    maker.responses_bytes++; /* another's */
    CURLcode code = hop(transfer);
    struct sg_message *message = sg_fetch_transfer_outcome(transfer, code);
    assert_contains(message->as.fetched.error, "the gateway is reading too many large answers at a time");
    cr_assert(not(message->as.fetched.is_final));
    sg_message_free(message);
    sg_fetch_transfer_free(transfer);
    cr_assert(eq(i64, maker.responses_bytes, SG_LIMIT_FETCH_RESPONSES_BYTES - 4));
    app_stop(&app);
}

/* ---- trouble ---- */

Test(sdk_fetcher, an_address_where_nobody_listens_is_an_error_to_be_tried_again)
{
    app_start(&app, answer_plainly);
    int port = app.port;
    app_stop(&app);
    start_fetcher();
    submit(SG_OP_GATEWAY, "{'method':'GET','url':'http://user:s3cret@127.0.0.1:%d/s3cret?key=s3cret'}", port);
    const struct sg_message *message = inbox_wait(&inbox, 0);
    char expected[160];
    snprintf(
        expected, sizeof(expected),
        "{\"message\":\"Error making gateway request: 127.0.0.1:%d cannot be reached (Connection refused)\",\"name\":\"GatewayError\"}",
        port);
    assert_text(message->as.fetched.error, expected);
    cr_assert(not(message->as.fetched.is_final));
}

Test(sdk_fetcher, a_host_that_does_not_exist_is_an_error)
{
    start_fetcher();
    submit(SG_OP_AI_GATEWAY, "{'auth_key':'s3cret','format':'gemini','url':'http://no-such-host.invalid/v1'}", 0);
    struct sg_str text = inbox_wait(&inbox, 0)->as.fetched.error;
    assert_contains(text, "Error making AI request: the host of no-such-host.invalid cannot be found");
    cr_assert(memmem(text.ptr, text.len, "s3cret", 6) == NULL);
}

Test(sdk_fetcher, options_that_make_no_request_are_refused_for_good)
{
    start_fetcher();
    submit(SG_OP_GATEWAY, "{'method':'GET','url':'ftp://127.0.0.1/'}", 0);
    const struct sg_message *message = inbox_wait(&inbox, 0);
    assert_contains(message->as.fetched.error, "its `url` is not an absolute http or https URL");
    cr_assert(message->as.fetched.is_final);
}

static bool answer_too_much(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char text[] = "HTTP/1.1 200 OK\r\n\r\n0123456789";
    write_all(fd, text, sizeof(text) - 1);
    return false;
}

Test(sdk_fetcher, answers_are_bounded)
{
    options.response_bytes_max = 9;
    assert_contains(fetch_once(answer_too_much, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "the answer is too large");
    app_stop(&app);
}

static bool answer_endless_headers(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char start[] = "HTTP/1.1 200 OK\r\n";
    static const char line[] = "x-filler: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n";
    write_all(fd, start, sizeof(start) - 1);
    for (int i = 0; i < 4000; i++)
        write_all(fd, line, sizeof(line) - 1);
    return false;
}

Test(sdk_fetcher, headers_are_bounded)
{
    assert_contains(fetch_once(answer_endless_headers, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "Error making gateway request: ");
    app_stop(&app);
}

static bool answer_garbage(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    write_all(fd, "SSH-2.0-x\r\n", 11);
    return false;
}

Test(sdk_fetcher, what_is_not_http_is_an_error)
{
    assert_contains(fetch_once(answer_garbage, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "is not HTTP");
    app_stop(&app);
}

static bool answer_half(struct app *self, int fd, const struct app_request *request)
{
    (void)self;
    (void)request;
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    write_all(fd, text, sizeof(text) - 1);
    return false;
}

Test(sdk_fetcher, a_broken_connection_is_an_error_and_nothing_is_sent_again)
{
    assert_contains(fetch_once(answer_half, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "broke before the answer was complete");
    cr_assert(eq(int, app.request_count, 1));
    app_stop(&app);
}

Test(sdk_fetcher, a_request_has_a_deadline)
{
    options.timeout_ms = 100;
    assert_contains(fetch_once(app_answer_never, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "did not answer in time");
    app_stop(&app);
}

/* ---- the pool ---- */

static bool answer_when_released(struct app *self, int fd, const struct app_request *request)
{
    app_hold(self);
    return answer_plainly(self, fd, request);
}

static struct sg_fetcher_stats wait_for_stats(bool (*is_right)(const struct sg_fetcher_stats *stats))
{
    struct sg_fetcher_stats stats;
    for (int waited = 0; waited < WAIT_MS; waited++) {
        sg_fetcher_stats(fetcher, &stats);
        if (is_right(&stats))
            return stats;
        usleep(1000);
    }
    cr_assert(0, "waiting %d, in flight %d", (int)stats.waiting, (int)stats.in_flight);
    return stats;
}

static bool has_three_out(const struct sg_fetcher_stats *stats)
{
    return stats->in_flight == 3 && stats->waiting == 7;
}

static bool has_all_out(const struct sg_fetcher_stats *stats)
{
    return stats->in_flight == 4 && stats->waiting == 9;
}

Test(sdk_fetcher, the_pool_is_bounded_and_one_app_cannot_have_all_of_it)
{
    options.in_flight_max = 4;
    app_start(&app, answer_when_released);
    start_fetcher();
    for (int i = 0; i < 10; i++)
        submit_for(1, SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
    wait_for_stats(has_three_out);
    for (int i = 0; i < 3; i++)
        submit_for(2, SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
    wait_for_stats(has_all_out);
    app_release(&app);
    inbox_wait(&inbox, 12);
    cr_assert(le(int, app.open_max, 4));
    app_stop(&app);
}

static bool has_one_out(const struct sg_fetcher_stats *stats)
{
    return stats->in_flight == 1 && stats->waiting == 2 && stats->failures == 3;
}

Test(sdk_fetcher, what_waits_is_bounded_and_the_rest_is_to_be_tried_again)
{
    options.in_flight_max = 1;
    options.waiting_max = 2;
    app_start(&app, answer_when_released);
    start_fetcher();
    submit(SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
    app_wait(&app, 0);
    for (int i = 0; i < 5; i++)
        submit(SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
    wait_for_stats(has_one_out);
    const struct sg_message *message = inbox_wait(&inbox, 0);
    assert_contains(message->as.fetched.error, "too many requests wait");
    cr_assert(not(message->as.fetched.is_final));
    app_release(&app);
    inbox_wait(&inbox, 5);
    app_stop(&app);
}

Test(sdk_fetcher, an_outcome_that_the_inbox_cannot_take_is_offered_again)
{
    inbox.refusals = 3;
    assert_contains(fetch_once(answer_plainly, "{'method':'GET','url':'http://127.0.0.1:%d/'}"), "hello");
    app_stop(&app);
}

static bool has_two_waiting(const struct sg_fetcher_stats *stats)
{
    return stats->in_flight == 1 && stats->waiting == 2;
}

Test(sdk_fetcher, draining_lets_requests_end_and_drops_those_that_wait)
{
    options.in_flight_max = 1;
    app_start(&app, answer_when_released);
    start_fetcher();
    for (int i = 0; i < 3; i++)
        submit(SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
    app_wait(&app, 0);
    wait_for_stats(has_two_waiting);
    cr_assert(eq(sz, sg_fetcher_drain(fetcher, 1), 1));
    app_release(&app);
    cr_assert(eq(sz, sg_fetcher_drain(fetcher, WAIT_MS), 0));
    inbox_wait(&inbox, 0);
    struct sg_fetch *late = calloc(1, sizeof(*late));
    late->magic = SG_FETCH_MAGIC;
    cr_assert(eq(int, sg_fetcher_submit(fetcher, late), SG_SHUTTING_DOWN));
    sg_fetch_free(late);
    cr_assert(eq(int, app.request_count, 1));
    app_stop(&app);
}

Test(sdk_fetcher, it_ends_while_requests_are_out)
{
    app_start(&app, app_answer_never);
    start_fetcher();
    submit(SG_OP_GATEWAY, "{'method':'GET','url':'http://127.0.0.1:%d/'}", app.port);
    app_wait(&app, 0);
    sg_fetcher_free(fetcher);
    fetcher = NULL;
    cr_assert(eq(int, inbox_count(&inbox), 0));
    app_stop(&app);
}
