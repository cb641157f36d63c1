/* HTTP itself: connections, limits, CORS, unknown paths, methods, addresses. */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/limits.h"
#include "server/listen.h"
#include "server_records.h"

/* ---- paths and methods ---- */

Test(http, unknown_api_path_says_so_in_json_with_the_routes)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "GET", "/v1/nosuch", "", NULL);
    cr_expect(eq(int, answer.status, 404));
    cr_expect(answer_has(&answer, "\"error\":\"stepgate has no route GET /v1/nosuch; `data.routes` lists those it has\""));
    cr_expect(answer_has(&answer, "\"GET /v1/events\""));
    cr_expect(answer_has(&answer, "\"status\":404"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Content-Type"), "application/json"));
    answer_free(&answer);
    EXPECT(&f, "POST", "/v1/webhooks", "", "{}", 404, "\"code\":\"not_found\"");
    EXPECT(&f, "GET", "/v2/nosuch", "", NULL, 404, "no route");
    fixture_close(&f);
}

Test(http, wrong_method_is_405_with_allow)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "PUT", "/fn/register", "", "{}");
    cr_expect(eq(int, answer.status, 405));
    cr_expect(eq(str, (char *)answer_header(&answer, "Allow"), "POST"));
    cr_expect(answer_has(&answer, "\"error\":\"/fn/register does not take this method; it takes POST\""));
    answer_free(&answer);
    EXPECT(&f, "PATCH", "/health", "", NULL, 405, "\"status\":405");
    EXPECT(&f, "OPTIONS", "/e/key", "", NULL, 405, "\"status\":405");
    fixture_close(&f);
}

Test(http, head_is_get_without_a_body)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "HEAD", "/health", "", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(gt(int, (int)strtol(answer_header(&answer, "Content-Length"), NULL, 10), 0));
    answer_free(&answer);
    fixture_close(&f);
}

/* ---- CORS ---- */

Test(cors, preflight_echoes_what_was_asked_for)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "OPTIONS", "/e/key",
                                 "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n"
                                 "Access-Control-Request-Headers: content-type,x-inngest-sdk\r\n",
                                 NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(sz, answer.body_len, 0));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Origin"), "https://app.example"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Methods"), "POST"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Headers"), "content-type,x-inngest-sdk"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Max-Age"), "3600"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Vary"), "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(cors, preflight_for_another_method_allows_nothing)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "OPTIONS", "/e/key", "Origin: https://app.example\r\nAccess-Control-Request-Method: PATCH\r\n", NULL);
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Origin"), ""));
    answer_free(&answer);
    fixture_close(&f);
}

Test(cors, every_answer_to_another_origin_may_be_read)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "POST", "/e/key", "Origin: https://app.example\r\n", "{}");
    cr_expect(eq(int, answer.status, 400));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Origin"), "https://app.example"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Expose-Headers"), "Link, Mcp-Session-Id"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Vary"), "Origin"));
    answer_free(&answer);
    answer = fetch(&f, "GET", "/health", "", NULL);
    cr_expect(eq(str, (char *)answer_header(&answer, "Access-Control-Allow-Origin"), ""));
    answer_free(&answer);
    fixture_close(&f);
}

/* ---- bodies ---- */

Test(http, body_over_the_limit_is_413_though_it_was_sent)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    size_t len = 3 * 1024 * 1024;
    char *body = malloc(len);

    memset(body, ' ', len);
    options.limits.body_bytes_max = 1024 * 1024;
    fixture_start(&f, &options);
    struct answer answer = fetch_bytes(&f, "POST", "/e/key", "", body, len);
    cr_expect(eq(int, answer.status, 413));
    cr_expect(answer_has(&answer, "{\"error\":\"The request body is larger than 1048576 bytes\",\"ids\":[],\"status\":413}"));
    answer_free(&answer);
    cr_expect(eq(int, f.posts, 0));
    free(body);
    fixture_close(&f);
}

Test(http, chunked_body_over_the_limit_is_413)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    const char head[] = "POST /e/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunk[1024 + 9];
    struct answer answer;

    options.limits.body_bytes_max = 10 * 1024;
    fixture_start(&f, &options);
    int fd = client_connect(f.port);
    client_send(fd, head, sizeof(head) - 1);
    memcpy(chunk, "400\r\n", 5);
    memset(chunk + 5, ' ', 1024);
    memcpy(chunk + 5 + 1024, "\r\n", 2);
    for (int i = 0; i < 20; i++)
        client_send(fd, chunk, 5 + 1024 + 2);
    client_send(fd, "0\r\n\r\n", 5);
    cr_expect(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 413));
    answer_free(&answer);
    close(fd);
    fixture_close(&f);
}

Test(http, chunked_event_is_taken)
{
    struct fixture f;
    const char request[] =
        "POST /e/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"nam\r\n7\r\ne\":\"a\"}\r\n0\r\n\r\n";
    struct answer answer;

    fixture_open(&f);
    int fd = client_connect(f.port);
    client_send(fd, request, sizeof(request) - 1);
    cr_expect(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(str, f.names[0], "a"));
    answer_free(&answer);
    close(fd);
    fixture_close(&f);
}

Test(http, client_that_asks_first_is_told_at_once)
{
    struct fixture f;
    const char request[] = "POST /e/key HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nExpect: 100-continue\r\n\r\n";
    struct answer answer;

    fixture_open(&f);
    int fd = client_connect(f.port);
    client_send(fd, request, sizeof(request) - 1);
    cr_expect(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 413));
    answer_free(&answer);
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(http, header_beyond_all_measure_is_refused)
{
    struct fixture f;
    struct answer answer;
    size_t len = 100 * 1024;
    char *junk = malloc(len);

    fixture_open(&f);
    int fd = client_connect(f.port);
    const char head[] = "GET /health HTTP/1.1\r\nHost: x\r\nX-Junk: ";
    client_send(fd, head, sizeof(head) - 1);
    memset(junk, 'x', len);
    client_send(fd, junk, len);
    /* The reset may overtake the answer; being refused is what counts. */
    if (client_receive(fd, &answer))
        cr_expect(eq(int, answer.status, 431));
    answer_free(&answer);
    cr_expect(client_is_closed(fd));
    close(fd);
    free(junk);
    EXPECT(&f, "GET", "/health", "", NULL, 200, "OK");
    fixture_close(&f);
}

Test(http, garbage_closes_the_connection_only)
{
    struct fixture f;

    fixture_open(&f);
    const char *garbage[] = {"\r\n\r\n\r\n", "\x16\x03\x01\x02hello\r\n\r\n", "GET\r\n\r\n",
                             "POST /e/k HTTP/1.1\r\nContent-Length: x\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n"};
    for (size_t i = 0; i < 5; i++) {
        int fd = client_connect(f.port);
        client_send(fd, garbage[i], strlen(garbage[i]));
        close(fd);
    }
    EXPECT(&f, "GET", "/health", "", NULL, 200, "OK");
    fixture_close(&f);
}

/* ---- time ---- */

Test(http, body_that_dribbles_is_cut_after_its_time)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    const char request[] = "POST /e/key HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";

    options.limits.request_ms = 100;
    fixture_start(&f, &options);
    int fd = client_connect(f.port);
    client_send(fd, request, sizeof(request) - 1);
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(http, headers_that_dribble_are_cut_after_their_time)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.limits.request_ms = 100;
    fixture_start(&f, &options);
    int fd = client_connect(f.port);
    client_send(fd, "GET /health HTTP/1.1\r\nHo", 24);
    cr_expect(client_is_closed(fd));
    close(fd);
    fd = client_connect(f.port); /* and one that says nothing at all */
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

Test(http, idle_connection_is_closed_after_its_time)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    struct answer answer;

    options.limits.idle_ms = 100;
    fixture_start(&f, &options);
    int fd = client_connect(f.port);
    client_send(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 33);
    cr_expect(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 200));
    answer_free(&answer);
    cr_expect(client_is_closed(fd));
    close(fd);
    fixture_close(&f);
}

/* ---- many ---- */

Test(http, pipelined_requests_are_answered_in_order)
{
    struct fixture f;
    const char requests[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}"
                            "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
                            "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
    const int expected[] = {200, 200, 400};

    fixture_open(&f);
    int fd = client_connect(f.port);
    client_send(fd, requests, sizeof(requests) - 1);
    for (int i = 0; i < 3; i++) {
        struct answer answer;
        cr_assert(client_receive(fd, &answer));
        cr_expect(eq(int, answer.status, expected[i]));
        answer_free(&answer);
    }
    close(fd);
    fixture_close(&f);
}

Test(http, connection_is_kept_for_the_next_request)
{
    struct fixture f;
    const char request[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";

    fixture_open(&f);
    int fd = client_connect(f.port);
    for (int i = 0; i < 100; i++) {
        struct answer answer;
        client_send(fd, request, sizeof(request) - 1);
        cr_assert(client_receive(fd, &answer));
        cr_expect(eq(int, answer.status, 200));
        answer_free(&answer);
    }
    cr_expect(eq(int, f.posts, 100));
    close(fd);
    fixture_close(&f);
}

Test(http, thousand_connections_wait_at_once)
{
    enum { CONNECTIONS = 1000 };
    static int fds[CONNECTIONS];
    struct fixture f;
    const char request[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    /* Debian's hard limit and that of containers is hundreds of thousands. */
    cr_assert(limit.rlim_cur >= 2 * CONNECTIONS + 100, "only %llu file descriptors (ulimit -Hn)", (unsigned long long)limit.rlim_cur);
    struct sg_server_options options = fixture_options(&f);
    options.limits.reply_ms = DEADLINE_MS * 3;
    fixture_start(&f, &options);
    f.answering = ANSWERS_LATER;
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = client_connect(f.port);
        client_send(fds[i], request, sizeof(request) - 1);
    }
    fixture_await_posts(&f, CONNECTIONS);
    cr_expect(eq(int, sg_server_waiting(f.server), CONNECTIONS));
    cr_expect(eq(int, fixture_answer_all(&f), CONNECTIONS));
    for (int i = 0; i < CONNECTIONS; i++) {
        struct answer answer;
        cr_assert(client_receive(fds[i], &answer));
        cr_expect(eq(int, answer.status, 200));
        answer_free(&answer);
        close(fds[i]);
    }
    fixture_close(&f);
}

/* What the engine reads of a message when the handler that made it has returned. */
static void stays(const char *path, const char *body)
{
    struct fixture f;
    char text[sizeof(f.text)];
    char event[sizeof(f.bodies[0])];
    char request[2048];
    struct answer answer;
    struct sg_server_options options = fixture_options(&f);

    options.threads = 1;
    fixture_start(&f, &options);
    f.answering = ANSWERS_LATER;
    int len = snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", path, strlen(body), body);
    int fd = client_connect(f.port);
    client_send(fd, request, (size_t)len);
    fixture_await_posts(&f, 1);
    EXPECT(&f, "GET", "/health", "", NULL, 200, ""); /* by the one thread, so the handler has returned */
    memcpy(text, f.text, sizeof(text));
    memcpy(event, f.bodies[0], sizeof(event));
    cr_expect(text[0] != '\0' || event[0] != '\0', "%s", path);
    cr_expect(eq(int, fixture_answer_all(&f), 1));
    cr_expect(eq(str, f.text, text));
    cr_expect(eq(str, f.bodies[0], event));
    cr_expect(client_receive(fd, &answer));
    answer_free(&answer);
    close(fd);
    fixture_close(&f);
}

Test(http, a_message_owns_all_that_it_says)
{
    stays("/e/key", "{\"name\":\"shop/order.placed\",\"data\":{\"a\":1}}");
    stays("/invoke/shop-ship", "{\"data\":{\"x\":1}}");
    stays("/v1/signals", "{\"signal\":\"order-7\",\"data\":{\"a\":1}}");
    stays("/v1/cancellations", "{\"app_id\":\"shop\",\"function_id\":\"handle\",\"started_before\":\"2026-01-02T03:04:05Z\","
                               "\"if\":\"event.data.n == 1\"}");
    stays("/v1/checkpoint", "{\"run_id\":\"01KDYJ0ZC2T5V9E7N4Q8R1S3C1\",\"event\":{\"data\":{\"domain\":\"http://a.b\",\"method\":\"GET\","
                            "\"path\":\"/1\",\"fn\":\"named\"}}}");
}

static void *send_many(void *context)
{
    struct fixture *f = context;
    const char request[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";
    size_t good = 0;

    int fd = client_connect(f->port);
    for (int i = 0; i < 200; i++) {
        struct answer answer;
        client_send(fd, request, sizeof(request) - 1);
        if (client_receive(fd, &answer) && answer.status == 200)
            good++;
        answer_free(&answer);
    }
    close(fd);
    return (void *)good;
}

static void *answer_many(void *context)
{
    struct fixture *f = context;
    int answered = 0;

    while (answered < 8 * 200) {
        fixture_await_posts(f, answered + 1);
        answered += fixture_answer_all(f);
    }
    return NULL;
}

/* Replies race with suspensions here. */
Test(http, replies_from_another_thread_all_arrive)
{
    pthread_t senders[8], answerer;
    struct fixture f;

    fixture_open(&f);
    f.answering = ANSWERS_LATER;
    pthread_create(&answerer, NULL, answer_many, &f);
    for (int i = 0; i < 8; i++)
        pthread_create(&senders[i], NULL, send_many, &f);
    for (int i = 0; i < 8; i++) {
        void *good;
        pthread_join(senders[i], &good);
        cr_expect(eq(sz, (size_t)good, 200));
    }
    pthread_join(answerer, NULL);
    fixture_close(&f);
}

/* ---- memory ---- */

/* Fails each allocation of a request in turn: it is answered, or its connection closed, and the server goes on. */
static void survives_failing_allocations(struct fixture *f, const char *method, const char *path, const char *body, int good)
{
    int failures = 0;

    for (uint64_t nth = 1; nth < 500; nth++) {
        sg_alloc_fail_at(nth, false);
        struct answer answer = fetch(f, method, path, "Connection: close\r\n", body);
        bool has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        cr_expect(answer.status == 0 || answer.status == 503 || answer.status == good, "%s %s gave %d at allocation %d failed", method,
                  path, answer.status, (int)nth);
        bool is_good = answer.status == good;
        answer_free(&answer);
        if (!has_failed) {
            cr_expect(is_good);
            break;
        }
        failures++;
    }
    cr_expect(gt(int, failures, 2));
    EXPECT(f, method, path, "", body, good, "");
}

Test(http, every_failing_allocation_is_survived)
{
    struct fixture f;

    fixture_open(&f);
    put_app(&f);
    put_run(&f, RUN_ID, SG_RUN_COMPLETED, "1", NULL);
    put_step(&f, RUN_ID, "aaa", "first", SG_STEP_COMPLETED, 1);
    put_memo(&f, RUN_ID, "aaa", 0, "null");
    survives_failing_allocations(&f, "POST", "/e/key", "[{\"name\":\"a\"},{\"name\":\"b\",\"id\":\"x\"}]", 200);
    survives_failing_allocations(&f, "POST", "/v1/checkpoint/" RUN_ID "/async", "{\"steps\":[{\"id\":\"a\",\"op\":\"StepRun\"}]}", 200);
    survives_failing_allocations(&f, "POST", "/fn/register", "{\"url\":\"http://x/\",\"appName\":\"a\",\"functions\":[]}", 200);
    survives_failing_allocations(&f, "GET", "/v1/runs/" RUN_ID, NULL, 200);
    survives_failing_allocations(&f, "GET", "/v1/admin/runs/" RUN_ID, NULL, 200);
    survives_failing_allocations(&f, "GET", "/v1/events?name=a%20b", NULL, 200);
    survives_failing_allocations(&f, "GET", "/dev", NULL, 200);
    survives_failing_allocations(&f, "GET", "/", NULL, 200);
    survives_failing_allocations(&f, "GET", "/v1/nosuch", NULL, 404);
    fixture_close(&f);
}

/* ---- addresses ---- */

Test(listen, without_a_host_both_families_are_served)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.host = NULL;
    fixture_start(&f, &options);
    int four = client_connect_to("127.0.0.1", f.port);
    cr_expect(ge(int, four, 0));
    close(four);
    int six = client_connect_to("::1", f.port);
    struct sg_listen probe;
    if (six < 0) /* only where the machine has no IPv6 at all */
        cr_expect(ne(int, sg_listen_open("::1", 0, 1, &probe, NULL), SG_OK));
    else
        close(six);
    fixture_close(&f);
}

Test(listen, a_name_works_as_a_host)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.host = "localhost";
    fixture_start(&f, &options);
    EXPECT(&f, "GET", "/health", "", NULL, 200, "OK");
    fixture_close(&f);
}

Test(listen, port_in_use_is_told_or_passed_over)
{
    struct sg_listen first, second;
    struct sg_error error;

    cr_assert(sg_listen_open("127.0.0.1", 0, 1, &first, &error) == SG_OK);
    cr_expect(gt(int, first.port, 0));
    cr_expect(eq(int, sg_listen_open("127.0.0.1", first.port, 1, &second, &error), SG_SYSTEM));
    cr_expect(strstr(error.message, "is in use by another program") != NULL, "%s", error.message);
    cr_assert(sg_listen_open("127.0.0.1", first.port, 50, &second, &error) == SG_OK);
    cr_expect(gt(int, second.port, first.port));
    sg_listen_close(&first);
    sg_listen_close(&second);
}

Test(listen, unknown_host_and_bad_port_are_configuration_errors)
{
    struct sg_listen listen;
    struct sg_error error;

    cr_expect(eq(int, sg_listen_open("no.such.host.invalid", 0, 1, &listen, &error), SG_INVALID_CONFIG));
    cr_expect(eq(int, sg_listen_open("127.0.0.1", 70000, 1, &listen, &error), SG_INVALID_CONFIG));
}

/* ---- life ---- */

Test(life, server_that_never_started_can_be_freed)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    struct sg_error error;

    cr_assert(sg_server_create(&options, &f.server, &error) == SG_OK);
    fixture_close(&f);
}

static void *answer_soon(void *context)
{
    struct fixture *f = context;

    fixture_await_posts(f, 1);
    fixture_answer_all(f);
    return NULL;
}

Test(life, free_waits_for_replies_that_are_owed)
{
    struct fixture f;
    const char request[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";
    pthread_t answerer;
    struct answer answer;

    fixture_open(&f);
    f.answering = ANSWERS_LATER;
    int fd = client_connect(f.port);
    client_send(fd, request, sizeof(request) - 1);
    fixture_await_posts(&f, 1);
    pthread_create(&answerer, NULL, answer_soon, &f);
    sg_server_free(f.server);
    f.server = NULL;
    pthread_join(answerer, NULL);
    cr_expect(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 200));
    answer_free(&answer);
    close(fd);
    fixture_close(&f);
}
