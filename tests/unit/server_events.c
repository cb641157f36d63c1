/* POST /e over a socket: answers, refusals, keys, and what happens when the engine is slow, busy or gone. */
#include "server_fixture.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/seed.h"

Test(events, accepted_event_is_posted_and_its_id_returned)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "POST", "/e/any", "", "{\"name\":\"a/b\",\"data\":{\"n\":1},\"id\":\"x\"}");
    cr_expect(eq(int, answer.status, 200));
    cr_expect(eq(int, f.kind, SG_MESSAGE_EVENTS));
    cr_assert(eq(sz, f.event_count, 1));
    cr_expect(eq(str, f.names[0], "a/b"));
    char id[SG_ULID_LEN + 1], expected[128];
    sg_ulid_format(f.events[0].internal_id, id);
    snprintf(expected, sizeof(expected), "{\"ids\":[\"%s\"],\"status\":200}", id);
    cr_expect(eq(str, answer.body, expected));
    cr_expect(eq(str, (char *)answer_header(&answer, "Content-Type"), "application/json"));
    cr_expect(eq(str, (char *)answer_header(&answer, "X-Inngest-Server-Kind"), "dev"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(events, answer_waits_for_the_commit)
{
    struct fixture f;
    const char request[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";
    struct answer answer;

    fixture_open(&f);
    f.answering = ANSWERS_LATER;
    int fd = client_connect(f.port);
    client_send(fd, request, sizeof(request) - 1);
    fixture_await_posts(&f, 1);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    cr_expect(eq(int, poll(&poller, 1, 0), 0));
    cr_expect(eq(int, sg_server_waiting(f.server), 1));
    cr_expect(eq(int, fixture_answer_all(&f), 1));
    cr_expect(client_receive(fd, &answer));
    cr_expect(eq(int, answer.status, 200));
    answer_free(&answer);
    close(fd);
    fixture_close(&f);
}

Test(events, list_is_one_message)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/e/k", "", "[{\"name\":\"a\"},{\"name\":\"b\"}]", 200, "\"status\":200");
    cr_expect(eq(int, f.posts, 1));
    cr_expect(eq(sz, f.event_count, 2));
    fixture_close(&f);
}

Test(events, nothing_gives_no_ids_and_no_message)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/e/k", "", "", 200, "{\"ids\":[],\"status\":200}");
    EXPECT(&f, "POST", "/e/k", "", "[]", 200, "{\"ids\":[],\"status\":200}");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(events, any_content_type_will_do)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/e/k", "Content-Type: text/plain\r\n", "{\"name\":\"a\"}", 200, "\"status\":200");
    EXPECT(&f, "POST", "/e/k", "Content-Type: application/x-www-form-urlencoded\r\n", "name=a", 400, "Request body must contain");
    fixture_close(&f);
}

Test(events, seed_header_gives_the_same_ids_again)
{
    struct fixture f;
    const char *header = "x-inngest-event-id-seed: 1767323045000,rPgCKPZmXZQPzg==\r\n";
    struct sg_event_seed seed;

    fixture_open(&f);
    cr_assert(sg_event_seed_parse(SG_STR("1767323045000,rPgCKPZmXZQPzg=="), &seed));
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(sg_event_seed_id(&seed, 1), id);
    for (int i = 0; i < 2; i++)
        EXPECT(&f, "POST", "/e/k", header, "[{\"name\":\"a\"}]", 200, id);
    cr_expect(not(f.events[0].is_id_fresh));
    EXPECT(&f, "POST", "/e/k", "x-inngest-event-id-seed: nonsense\r\n", "[{\"name\":\"a\"}]", 200, "\"ids\"");
    cr_expect(f.events[0].is_id_fresh);
    fixture_close(&f);
}

Test(events, bad_request_lists_an_empty_id_for_each_event)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/e/k", "", "{}", 400, "{\"error\":\"event name is empty\",\"ids\":[\"\"],\"status\":400}");
    EXPECT(&f, "POST", "/e/k", "", "[{\"name\":\"a\"},{}]", 400,
           "{\"error\":\"event 2: event name is empty\",\"ids\":[\"\",\"\"],\"status\":400}");
    EXPECT(&f, "POST", "/e/k", "", "{\"name\":", 400, "\"ids\":[\"\"],\"status\":400");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(events, refused_by_the_engine_is_told_in_the_same_shape)
{
    struct fixture f;

    fixture_open(&f);
    f.answering = REFUSES;
    f.status = SG_QUEUE_FULL;
    struct answer answer = fetch(&f, "POST", "/e/k", "", "{\"name\":\"a\"}");
    cr_expect(eq(int, answer.status, 429));
    cr_expect(eq(str, (char *)answer_header(&answer, "Retry-After"), "1"));
    cr_expect(answer_has(&answer, "\"ids\":[],\"status\":429"));
    answer_free(&answer);
    f.status = SG_UNAVAILABLE;
    answer = fetch(&f, "POST", "/e/k", "", "{\"name\":\"a\"}");
    cr_expect(eq(int, answer.status, 503));
    cr_expect(eq(str, (char *)answer_header(&answer, "Retry-After"), "1"));
    answer_free(&answer);
    f.answering = ANSWERS_AT_ONCE;
    f.status = SG_STORE_FULL;
    f.message = "the disk of ./.stepgate is full";
    EXPECT(&f, "POST", "/e/k", "", "{\"name\":\"a\"}", 503, "\"error\":\"the disk of ./.stepgate is full\"");
    fixture_close(&f);
}

Test(events, reply_that_does_not_come_in_time_is_a_503_and_may_come_later)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.limits.reply_ms = 50;
    fixture_start(&f, &options);
    f.answering = ANSWERS_LATER;
    struct answer answer = fetch(&f, "POST", "/e/k", "", "{\"name\":\"a\"}");
    cr_expect(eq(int, answer.status, 503));
    cr_expect(answer_has(&answer, "did not get to this in time"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Retry-After"), "1"));
    answer_free(&answer);
    cr_expect(eq(int, fixture_answer_all(&f), 1));
    fixture_close(&f);
}

Test(events, client_that_leaves_while_waiting_harms_nobody)
{
    struct fixture f;
    const char request[] = "POST /e/k HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"name\":\"a\"}";

    fixture_open(&f);
    f.answering = ANSWERS_LATER;
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(f.port);
        struct linger cut = {.l_onoff = i % 2, .l_linger = 0}; /* half of them with a reset */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
        client_send(fd, request, sizeof(request) - 1);
        fixture_await_posts(&f, i + 1);
        close(fd);
    }
    cr_expect(eq(int, fixture_answer_all(&f), 20));
    f.answering = ANSWERS_AT_ONCE;
    EXPECT(&f, "POST", "/e/k", "", "{\"name\":\"a\"}", 200, "ids");
    fixture_close(&f);
}

/* ---- keys ---- */

Test(event_keys, wrong_key_is_refused_in_the_documented_shape)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    const struct sg_str keys[] = {SG_STR("first"), SG_STR("sec/ond")};

    options.event_keys = keys;
    options.event_key_count = 2;
    fixture_start(&f, &options);
    EXPECT(&f, "POST", "/e/first", "", "{\"name\":\"a\"}", 200, "ids");
    EXPECT(&f, "POST", "/e/sec%2Fond", "", "{\"name\":\"a\"}", 200, "ids");
    EXPECT(&f, "POST", "/e/other", "", "{\"name\":\"a\"}", 401, "{\"error\":\"Event key not found\",\"message\":\"\",\"status\":401}");
    EXPECT(&f, "POST", "/e/firs", "", "{\"name\":\"a\"}", 401, "Event key not found");
    cr_expect(eq(int, f.posts, 2));
    fixture_close(&f);
}

Test(event_keys, without_any_where_one_is_required_nothing_is_taken)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);

    options.requires_event_key = true;
    fixture_start(&f, &options);
    EXPECT(&f, "POST", "/e/x", "", "{\"name\":\"a\"}", 503,
           "{\"error\":\"Event keys are required to process events securely\",\"message\":\"\",\"status\":503}");
    fixture_close(&f);
}

Test(event_keys, empty_key_is_no_route)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/e/", "", "{\"name\":\"a\"}", 404, "has no route POST /e/");
    EXPECT(&f, "GET", "/e/x", "", NULL, 405, "\"status\":405");
    fixture_close(&f);
}

/* ---- the way in is closed ---- */

Test(events, draining_server_takes_no_events_but_checkpoints)
{
    struct fixture f;

    fixture_open(&f);
    sg_server_stop_accepting(f.server);
    struct answer answer = fetch(&f, "POST", "/e/k", "", "{\"name\":\"a\"}");
    cr_expect(eq(int, answer.status, 503));
    cr_expect(answer_has(&answer, "\"ids\":[]"));
    cr_expect(eq(str, (char *)answer_header(&answer, "Connection"), "close"));
    answer_free(&answer);
    cr_expect(eq(int, f.posts, 0));
    EXPECT(&f, "POST", "/v1/checkpoint/01KDYJ0ZC2T5V9E7N4Q8R1S3A6/async", "",
           "{\"run_id\":\"01KDYJ0ZC2T5V9E7N4Q8R1S3A6\",\"steps\":[{\"id\":\"a\",\"op\":\"StepRun\",\"data\":1}]}", 200, "");
    cr_expect(eq(int, f.posts, 1));
    fixture_close(&f);
}
