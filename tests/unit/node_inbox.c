/* The engine's inbox: order, bounds, and waking up. */
#include "node_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "node/inbox.h"

static struct sg_inbox *inbox_of(int64_t messages_max, int64_t bytes_max)
{
    struct sg_inbox *inbox = NULL;
    assert_ok(sg_inbox_create(messages_max, bytes_max, &inbox, NULL));
    return inbox;
}

/* Takes and frees; the kinds as letters, in order. */
static const char *take(struct sg_inbox *inbox, int messages_max)
{
    static char kinds[64];
    static const char letters[SG_MESSAGE_KIND_COUNT] = "ERSACXMLV";
    size_t count = 0;
    struct sg_message *message = sg_inbox_take(inbox, messages_max);
    while (message != NULL) {
        struct sg_message *next = message->next;
        kinds[count++] = letters[message->kind];
        sg_message_free(message);
        message = next;
    }
    kinds[count] = '\0';
    return kinds;
}

Test(node_inbox, answers_come_before_the_events_that_came_with_them)
{
    struct sg_inbox *inbox = inbox_of(10, 1 << 20);
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_EVENTS)));
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_CHECKPOINT)));
    sg_inbox_post_internal(inbox, message_of(SG_MESSAGE_REGISTER));
    sg_inbox_post_internal(inbox, message_of(SG_MESSAGE_ANSWER));
    sg_inbox_post_internal(inbox, message_of(SG_MESSAGE_LOADED_RUN));
    cr_assert(eq(str, (char *)take(inbox, 10), "ALCRE"));
    sg_inbox_free(inbox);
}

Test(node_inbox, answers_never_starve_events)
{
    struct sg_inbox *inbox = inbox_of(10, 1 << 20);
    for (int i = 0; i < 8; i++)
        sg_inbox_post_internal(inbox, message_of(SG_MESSAGE_ANSWER));
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_EVENTS)));
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_EVENTS)));
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_EVENTS)));
    cr_assert(eq(str, (char *)take(inbox, 8), "AAAAAAEE"));
    cr_assert(eq(str, (char *)take(inbox, 8), "AAE"));
    cr_assert(eq(str, (char *)take(inbox, 8), ""));
    sg_inbox_free(inbox);
}

Test(node_inbox, refuses_clients_beyond_its_limit_and_takes_internal_messages_all_the_same)
{
    struct sg_inbox *inbox = inbox_of(2, 1 << 20);
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_EVENTS)));
    assert_ok(sg_inbox_post(inbox, message_of(SG_MESSAGE_EVENTS)));
    struct sg_message *third = message_of(SG_MESSAGE_EVENTS);
    cr_assert(eq(int, sg_inbox_post(inbox, third), SG_QUEUE_FULL));
    for (int i = 0; i < 5; i++)
        sg_inbox_post_internal(inbox, message_of(SG_MESSAGE_ANSWER));
    take(inbox, 10);
    assert_ok(sg_inbox_post(inbox, third));
    sg_inbox_free(inbox);
}

Test(node_inbox, refuses_clients_beyond_its_bytes_but_never_a_message_that_is_alone)
{
    struct sg_inbox *inbox = inbox_of(100, 10000);
    struct sg_message *large = message_of(SG_MESSAGE_EVENTS);
    cr_assert(ne(ptr, sg_arena_alloc(&large->arena, 50000), NULL));
    assert_ok(sg_inbox_post(inbox, large));
    struct sg_message *small = message_of(SG_MESSAGE_EVENTS);
    cr_assert(eq(int, sg_inbox_post(inbox, small), SG_QUEUE_FULL));
    take(inbox, 1);
    assert_ok(sg_inbox_post(inbox, small));
    cr_assert(eq(i64, sg_inbox_waiting(inbox), 1));
    sg_inbox_free(inbox);
}

Test(node_inbox, reserved_place_is_kept_while_the_message_grows)
{
    struct sg_inbox *inbox = inbox_of(1, 1 << 20);
    struct sg_message *message = message_of(SG_MESSAGE_EVENTS);
    size_t bytes = sg_inbox_message_bytes(message);
    assert_ok(sg_inbox_reserve(inbox, message));
    struct sg_message *other = message_of(SG_MESSAGE_EVENTS);
    cr_assert(eq(int, sg_inbox_post(inbox, other), SG_QUEUE_FULL));
    cr_assert(ne(ptr, sg_arena_alloc(&message->arena, 5000), NULL));
    cr_assert(not(sg_inbox_is_empty(inbox)));
    sg_inbox_post_reserved(inbox, message, bytes);
    cr_assert(eq(str, (char *)take(inbox, 10), "E"));
    cr_assert(sg_inbox_is_empty(inbox));
    assert_ok(sg_inbox_post(inbox, other));
    sg_inbox_free(inbox);
}

Test(node_inbox, closed_refuses_clients_and_takes_answers)
{
    struct sg_inbox *inbox = inbox_of(10, 1 << 20);
    sg_inbox_close(inbox);
    struct sg_message *message = message_of(SG_MESSAGE_EVENTS);
    cr_assert(eq(int, sg_inbox_post(inbox, message), SG_SHUTTING_DOWN));
    sg_message_free(message);
    sg_inbox_post_internal(inbox, message_of(SG_MESSAGE_ANSWER));
    cr_assert(eq(str, (char *)take(inbox, 10), "A"));
    sg_inbox_free(inbox);
}

struct sleeper {
    struct sg_inbox *inbox;
    bool for_messages;
    pthread_t thread;
    atomic_int wakes;
    atomic_bool is_over;
};

static void *sleeper_main(void *argument)
{
    struct sleeper *sleeper = argument;
    while (!atomic_load(&sleeper->is_over)) {
        sg_inbox_wait(sleeper->inbox, sleeper->for_messages, -1);
        atomic_fetch_add(&sleeper->wakes, 1);
    }
    return NULL;
}

Test(node_inbox, wakes_its_reader_for_a_message_and_for_a_wake)
{
    struct sleeper sleeper = {.inbox = inbox_of(10, 1 << 20), .for_messages = true};
    cr_assert(eq(int, pthread_create(&sleeper.thread, NULL, sleeper_main, &sleeper), 0));
    sg_inbox_wake(sleeper.inbox);
    WAIT_UNTIL(atomic_load(&sleeper.wakes) == 1);
    atomic_store(&sleeper.is_over, true);
    assert_ok(sg_inbox_post(sleeper.inbox, message_of(SG_MESSAGE_EVENTS)));
    pthread_join(sleeper.thread, NULL);
    sg_inbox_free(sleeper.inbox);
}

Test(node_inbox, deaf_reader_sleeps_through_messages)
{
    struct sleeper sleeper = {.inbox = inbox_of(10, 1 << 20), .for_messages = false};
    cr_assert(eq(int, pthread_create(&sleeper.thread, NULL, sleeper_main, &sleeper), 0));
    atomic_store(&sleeper.is_over, true);
    assert_ok(sg_inbox_post(sleeper.inbox, message_of(SG_MESSAGE_EVENTS)));
    sg_inbox_wake(sleeper.inbox);
    pthread_join(sleeper.thread, NULL);
    sg_inbox_free(sleeper.inbox);
}

Test(node_inbox, sleeps_no_longer_than_it_was_told)
{
    struct sg_inbox *inbox = inbox_of(10, 1 << 20);
    int64_t before_ns = sg_monotonic_now_ns();
    sg_inbox_wait(inbox, true, 5000000);
    int64_t after_ns = sg_monotonic_now_ns();
    cr_assert(ge(i64, after_ns - before_ns, 5000000));
    cr_assert(lt(i64, after_ns - before_ns, DEADLINE_NS));
    sg_inbox_free(inbox);
}

/* Four threads post a thousand messages each; none is lost, and each thread's stay in order. */
#define POSTERS 4
#define POSTS 1000

struct poster_thread {
    struct sg_inbox *inbox;
    int64_t number;
    pthread_t thread;
};

static void *poster_main(void *argument)
{
    struct poster_thread *poster = argument;
    for (int64_t i = 0; i < POSTS; i++) {
        struct sg_message *message = sg_message_create(SG_MESSAGE_EVENTS);
        message->as.events.received_at_ms = poster->number * POSTS + i;
        sg_inbox_post_internal(poster->inbox, message);
    }
    return NULL;
}

Test(node_inbox, loses_nothing_and_keeps_each_threads_order)
{
    struct sg_inbox *inbox = inbox_of(10, 1 << 20);
    struct poster_thread posters[POSTERS];
    int64_t next[POSTERS] = {0};
    int count = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster_thread){.inbox = inbox, .number = i};
        cr_assert(eq(int, pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0));
    }
    while (count < POSTERS * POSTS) {
        sg_inbox_wait(inbox, true, -1);
        struct sg_message *message = sg_inbox_take(inbox, 64);
        while (message != NULL) {
            struct sg_message *following = message->next;
            int64_t number = message->as.events.received_at_ms;
            cr_assert(eq(i64, number % POSTS, next[number / POSTS]));
            next[number / POSTS]++;
            count++;
            sg_message_free(message);
            message = following;
        }
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    cr_assert(sg_inbox_is_empty(inbox));
    sg_inbox_free(inbox);
}
