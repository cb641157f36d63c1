/* Idempotency lookups: what they find, how they bound the engine's memory, and what they say when the store does not answer. */
#include "node_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "node/housekeeping.h"
#include "node/lookup.h"
#include "store/memory.h"

struct fixture {
    struct sg_store *store;
    struct sg_inbox *inbox;
    struct sg_store_pool *pool;
    struct sg_clock clock;
    struct sg_committer *committer;
    struct sg_lookups *lookups;
};

static void let_out(void *context, struct sg_batch *batch)
{
    (void)context;
    (void)batch;
}

static void set_up(struct fixture *f)
{
    assert_ok(sg_store_open_memory(&f->store, NULL));
    assert_ok(sg_inbox_create(10, 1 << 20, &f->inbox, NULL));
    assert_ok(sg_store_pool_create(&(struct sg_store_pool_options){f->store, 2, 10}, &f->pool, NULL));
    sg_clock_init(&f->clock, 0, NULL);
    assert_ok(sg_committer_create(&(struct sg_committer_options){.store = f->store, .let_out = let_out}, &f->committer, NULL));
    assert_ok(sg_lookups_create(f->inbox, f->pool, &f->clock, f->committer, &f->lookups, NULL));
}

static void tear_down(struct fixture *f)
{
    sg_committer_stop(f->committer, true);
    sg_store_pool_free(f->pool);
    sg_lookups_free(f->lookups);
    sg_committer_free(f->committer);
    sg_clock_destroy(&f->clock);
    sg_inbox_free(f->inbox);
    sg_store_close(f->store);
}

static struct sg_id id_of(uint8_t byte)
{
    struct sg_id id = {{0}};
    id.bytes[0] = byte;
    return id;
}

static void put_key(struct fixture *f, uint8_t key, uint8_t function, int64_t expires_at_ms)
{
    struct sg_id key_id = id_of(key);
    struct sg_id function_id = id_of(function);
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_IDEMPOTENCY}};
    write.record.values[SG_IDEMPOTENCY_KEY] = sg_value_id(&key_id);
    write.record.values[SG_IDEMPOTENCY_FUNCTION_ID] = sg_value_id(&function_id);
    write.record.values[SG_IDEMPOTENCY_RUN_ID] = sg_value_null();
    write.record.values[SG_IDEMPOTENCY_EXPIRES_AT] = sg_value_int(expires_at_ms);
    assert_ok(sg_store_commit(f->store, &write, 1, NULL));
}

/* A message with one event a key; 0 is an event with a fresh id. */
static struct sg_message *events_of(const char *keys)
{
    struct sg_message *message = message_of(SG_MESSAGE_EVENTS);
    size_t count = strlen(keys);
    struct sg_event_in *events = sg_arena_zalloc(&message->arena, count * sizeof(*events));
    for (size_t i = 0; i < count; i++) {
        events[i].is_id_fresh = keys[i] == '0';
        events[i].key = id_of((uint8_t)(keys[i] == '0' ? 0 : keys[i]));
    }
    message->as.events.events = events;
    message->as.events.count = count;
    return message;
}

static struct sg_message *take_one(struct fixture *f)
{
    struct sg_message *message = NULL;
    WAIT_UNTIL((message = sg_inbox_take(f->inbox, 1)) != NULL);
    return message;
}

Test(node_lookup, concerns_events_with_ids_of_their_own_only)
{
    struct sg_message *fresh = events_of("00");
    struct sg_message *mixed = events_of("0a");
    struct sg_message *answer = message_of(SG_MESSAGE_ANSWER);
    cr_assert(not(sg_lookups_concerns(fresh)));
    cr_assert(sg_lookups_concerns(mixed));
    cr_assert(not(sg_lookups_concerns(answer)));
    sg_message_free(fresh);
    sg_message_free(mixed);
    sg_message_free(answer);
}

Test(node_lookup, finds_every_function_that_has_seen_the_id_and_forgets_the_expired)
{
    struct fixture f;
    set_up(&f);
    int64_t now_ms = sg_clock_now_ms(&f.clock);
    put_key(&f, 'a', 1, now_ms + 60000);
    put_key(&f, 'a', 2, now_ms + 60000);
    put_key(&f, 'a', 3, now_ms - 1);
    put_key(&f, 'b', 4, now_ms + 60000);
    put_key(&f, 'c', 5, now_ms + 60000);
    assert_ok(sg_lookups_post(f.lookups, events_of("a0b")));
    struct sg_message *message = take_one(&f);
    bool has[6] = {false};
    cr_assert(eq(sz, message->as.events.known_count, 3));
    for (size_t i = 0; i < 3; i++)
        has[message->as.events.known[i].function_id.bytes[0]] = true;
    cr_assert(has[1] && has[2] && !has[3] && has[4] && !has[5]);
    sg_lookups_done(f.lookups, message->as.events.lookup_commit);
    sg_message_free(message);
    tear_down(&f);
}

Test(node_lookup, floor_stays_at_the_oldest_lookup_that_the_engine_has_not_seen)
{
    struct fixture f;
    set_up(&f);
    cr_assert(eq(i64, sg_lookups_floor(f.lookups), 0));
    assert_ok(sg_lookups_post(f.lookups, events_of("a")));
    struct sg_message *first = take_one(&f);
    cr_assert(eq(i64, first->as.events.lookup_commit, 0));

    sg_committer_offer(f.committer, sg_batch_create(1));
    WAIT_UNTIL(sg_committer_number(f.committer) == 1);
    cr_assert(eq(i64, sg_lookups_floor(f.lookups), 0));
    assert_ok(sg_lookups_post(f.lookups, events_of("b")));
    struct sg_message *second = take_one(&f);
    cr_assert(eq(i64, second->as.events.lookup_commit, 1));

    sg_committer_offer(f.committer, sg_batch_create(2));
    WAIT_UNTIL(sg_committer_number(f.committer) == 2);
    sg_lookups_done(f.lookups, 0);
    cr_assert(eq(i64, sg_lookups_floor(f.lookups), 1));
    sg_lookups_done(f.lookups, 1);
    cr_assert(eq(i64, sg_lookups_floor(f.lookups), 2));
    sg_message_free(first);
    sg_message_free(second);
    tear_down(&f);
}

Test(node_lookup, takes_a_place_in_the_inbox_before_it_reads)
{
    struct fixture f;
    set_up(&f);
    for (int i = 0; i < 10; i++)
        assert_ok(sg_lookups_post(f.lookups, events_of("a")));
    struct sg_message *eleventh = events_of("a");
    cr_assert(eq(int, sg_lookups_post(f.lookups, eleventh), SG_QUEUE_FULL));
    sg_message_free(eleventh);
    for (int i = 0; i < 10; i++) {
        struct sg_message *message = take_one(&f);
        sg_lookups_done(f.lookups, message->as.events.lookup_commit);
        sg_message_free(message);
    }
    tear_down(&f);
}

Test(node_housekeeping, chore_deletes_what_has_expired_and_nothing_else)
{
    struct fixture f;
    set_up(&f);
    struct sg_housekeeping *housekeeping = NULL;
    assert_ok(sg_housekeeping_create(f.store, &f.clock, &housekeeping, NULL));
    int64_t now_ms = sg_clock_now_ms(&f.clock);
    for (int i = 0; i < 200; i++)
        put_key(&f, (uint8_t)i, (uint8_t)(i + 1), now_ms - 1000);
    put_key(&f, 1, 1, now_ms + 60000);
    cr_assert(sg_housekeeping_chore(housekeeping, f.store));
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_IDEMPOTENCY), 201 - 128));
    cr_assert(not(sg_housekeeping_chore(housekeeping, f.store)));
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_IDEMPOTENCY), 1));
    sg_housekeeping_free(housekeeping);
    tear_down(&f);
}

/* Everything that the node makes at its start, with memory that ends at the first allocation, the second, ...: an error or success, never a crash. */
Test(node_start, every_failing_allocation_is_survived)
{
    enum sg_status status = SG_NO_MEMORY;
    for (uint64_t nth = 1; status != SG_OK; nth++) {
        cr_assert(lt(u64, nth, 1000));
        struct fixture f = {.store = NULL};
        struct sg_housekeeping *housekeeping = NULL;
        assert_ok(sg_store_open_memory(&f.store, NULL));
        sg_clock_init(&f.clock, 0, NULL);
        sg_alloc_fail_at(nth, true);
        status = sg_inbox_create(10, 1000, &f.inbox, NULL);
        if (status == SG_OK)
            status = sg_store_pool_create(&(struct sg_store_pool_options){f.store, 2, 10}, &f.pool, NULL);
        if (status == SG_OK)
            status = sg_committer_create(&(struct sg_committer_options){.store = f.store, .let_out = let_out}, &f.committer, NULL);
        if (status == SG_OK)
            status = sg_lookups_create(f.inbox, f.pool, &f.clock, f.committer, &f.lookups, NULL);
        if (status == SG_OK)
            status = sg_housekeeping_create(f.store, &f.clock, &housekeeping, NULL);
        sg_alloc_fail_at(0, false);
        cr_assert(status == SG_OK || status == SG_NO_MEMORY);
        sg_housekeeping_free(housekeeping);
        if (f.committer != NULL)
            sg_committer_stop(f.committer, true);
        sg_store_pool_free(f.pool);
        sg_lookups_free(f.lookups);
        sg_committer_free(f.committer);
        sg_clock_destroy(&f.clock);
        sg_inbox_free(f.inbox);
        sg_store_close(f.store);
    }
}

/* A message whose lookup has no memory is answered, and its place in the inbox is given back. */
struct waiter {
    struct sg_client client;
    atomic_int status;
};

static void note_reply(struct sg_client *client, const struct sg_reply *reply)
{
    struct waiter *waiter = (struct waiter *)client;
    atomic_store(&waiter->status, (int)reply->status);
}

Test(node_lookup, refused_lookup_answers_its_client_and_gives_its_place_back)
{
    struct fixture f;
    set_up(&f);
    put_key(&f, 'a', 1, sg_clock_now_ms(&f.clock) + 60000);
    struct waiter waiter = {.client = {note_reply}};
    struct sg_message *message = events_of("a");
    message->client = &waiter.client;
    /* The arena has room left, so the next allocation is that of the lookups' own table, by the reader thread. */
    cr_assert(ne(ptr, sg_arena_alloc(&message->arena, 1), NULL));
    sg_alloc_fail_at(1, true);
    assert_ok(sg_lookups_post(f.lookups, message));
    WAIT_UNTIL(atomic_load(&waiter.status) == SG_NO_MEMORY);
    sg_alloc_fail_at(0, false);
    WAIT_UNTIL(sg_inbox_is_empty(f.inbox));
    cr_assert(eq(i64, sg_lookups_floor(f.lookups), 0));
    tear_down(&f);
}
