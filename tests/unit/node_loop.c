/* The engine thread with a real engine: output commit end to end, full batches, due times, stopping, and starting again from the store. */
#include "node_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "node/loop.h"
#include "node/outbox.h"
#include "node/restore.h"
#include "store/memory.h"

#define CALLS_MAX 256

struct fixture {
    struct sg_store *store;
    struct sg_inbox *inbox;
    struct sg_store_pool *pool;
    struct sg_clock clock;
    struct sg_committer *committer;
    struct sg_lookups *lookups;
    struct sg_engine *engine;
    struct sg_loop *loop;
    struct sg_loads loads;
    struct sg_outbox outbox;
    pthread_mutex_t gate; /* held by a test: the store thread stays inside let_out */
    pthread_mutex_t lock;
    struct sg_call *calls[CALLS_MAX];
    int call_count;
    atomic_int batches;
};

struct waiter {
    struct sg_client client;
    atomic_int replies;
    enum sg_status status;
};

static void reply(struct sg_client *client, const struct sg_reply *reply_)
{
    struct waiter *waiter = (struct waiter *)client;
    waiter->status = reply_->status;
    atomic_fetch_add(&waiter->replies, 1);
}

static enum sg_status submit(void *context, struct sg_call *call)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->lock);
    cr_assert(lt(int, f->call_count, CALLS_MAX));
    f->calls[f->call_count++] = call;
    pthread_mutex_unlock(&f->lock);
    return SG_OK;
}

static void let_out(void *context, struct sg_batch *batch)
{
    struct fixture *f = context;
    pthread_mutex_lock(&f->gate);
    pthread_mutex_unlock(&f->gate);
    sg_outbox_let_out(&f->outbox, batch);
    atomic_fetch_add(&f->batches, 1);
}

static void has_room(void *context)
{
    struct fixture *f = context;
    sg_inbox_wake(f->inbox);
}

static void start(struct fixture *f, struct sg_store *store, int messages_per_batch_max)
{
    *f = (struct fixture){.store = store};
    pthread_mutex_init(&f->gate, NULL);
    pthread_mutex_init(&f->lock, NULL);
    sg_log_set_level(SG_LOG_NONE);
    assert_ok(sg_inbox_create(1000, 1 << 24, &f->inbox, NULL));
    assert_ok(sg_store_pool_create(&(struct sg_store_pool_options){store, 2, 10}, &f->pool, NULL));
    sg_clock_init(&f->clock, 0, NULL);
    assert_ok(sg_engine_create(&(struct sg_engine_options){.seed = 7, .retry_interval_ms = 20}, &f->engine, NULL));
    f->loads = (struct sg_loads){.inbox = f->inbox, .pool = f->pool};
    f->outbox.submit = submit;
    f->outbox.context = f;
    f->outbox.loads = &f->loads;
    struct sg_batch *first = sg_batch_create(1);
    assert_ok(sg_restore_engine(store, f->engine, &f->clock, first, NULL));
    struct sg_committer_options options = {.store = store, .context = f, .let_out = let_out, .has_room = has_room};
    assert_ok(sg_committer_create(&options, &f->committer, NULL));
    assert_ok(sg_lookups_create(f->inbox, f->pool, &f->clock, f->committer, &f->lookups, NULL));
    struct sg_loop_options loop = {.engine = f->engine,
                                   .inbox = f->inbox,
                                   .committer = f->committer,
                                   .lookups = f->lookups,
                                   .clock = &f->clock,
                                   .messages_per_batch_max = messages_per_batch_max,
                                   .first = first};
    assert_ok(sg_loop_create(&loop, &f->loop, NULL));
}

/* Everything but the store. */
static void stop(struct fixture *f)
{
    sg_loop_stop(f->loop);
    cr_assert(sg_committer_stop(f->committer, false));
    sg_store_pool_stop(f->pool);
    sg_loop_free(f->loop);
    sg_committer_free(f->committer);
    sg_lookups_free(f->lookups);
    sg_engine_free(f->engine);
    sg_inbox_free(f->inbox);
    sg_store_pool_free(f->pool);
    sg_clock_destroy(&f->clock);
    for (int i = 0; i < f->call_count; i++)
        sg_call_free(f->calls[i]);
    pthread_mutex_destroy(&f->gate);
    pthread_mutex_destroy(&f->lock);
}

static void start_fresh(struct fixture *f, int messages_per_batch_max)
{
    struct sg_store *store = NULL;
    assert_ok(sg_store_open_memory(&store, NULL));
    start(f, store, messages_per_batch_max);
}

static void stop_for_good(struct fixture *f)
{
    struct sg_store *store = f->store;
    stop(f);
    sg_store_close(store);
}

static struct sg_id id_of(uint8_t byte)
{
    struct sg_id id = {{0}};
    id.bytes[0] = byte;
    return id;
}

static void register_app(struct fixture *f)
{
    struct waiter waiter = {.client = {reply}};
    struct sg_message *message = message_of(SG_MESSAGE_REGISTER);
    struct sg_function_in *function = sg_arena_zalloc(&message->arena, sizeof(*function));
    function->id = id_of(2);
    function->slug = SG_STR("app-fn");
    function->name = SG_STR("Fn");
    function->config =
        SG_STR("{\"id\":\"app-fn\",\"name\":\"Fn\",\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"retries\":{\"attempts\":3},"
               "\"runtime\":{\"type\":\"http\",\"url\":\"http://127.0.0.1:1/?fnId=app-fn&stepId=step\"}}},"
               "\"triggers\":[{\"event\":\"a\"}]}");
    message->client = &waiter.client;
    message->as.registration = (struct sg_registration){.app_id = id_of(1),
                                                        .app_name = SG_STR("app"),
                                                        .url = SG_STR("http://127.0.0.1:1/"),
                                                        .sdk = SG_STR("js:v3.0.0"),
                                                        .framework = SG_STR("x"),
                                                        .app_version = SG_STR(""),
                                                        .checksum = SG_STR("c"),
                                                        .sync_kind = SG_STR("in_band"),
                                                        .functions = function,
                                                        .function_count = 1};
    sg_inbox_post_internal(f->inbox, message);
    WAIT_UNTIL(atomic_load(&waiter.replies) == 1);
    assert_ok(waiter.status);
}

static struct sg_message *event_of(struct waiter *waiter, uint8_t number)
{
    static const char body[] = "{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":1}";
    struct sg_message *message = message_of(SG_MESSAGE_EVENTS);
    struct sg_event_in *event = sg_arena_zalloc(&message->arena, sizeof(*event));
    *event =
        (struct sg_event_in){.internal_id = id_of(number), .name = SG_STR("a"), .body = sg_str_from(body), .ts_ms = 1, .is_id_fresh = true};
    message->client = waiter != NULL ? &waiter->client : NULL;
    message->as.events.events = event;
    message->as.events.count = 1;
    message->as.events.received_at_ms = 1;
    return message;
}

static int call_count(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    int count = f->call_count;
    pthread_mutex_unlock(&f->lock);
    return count;
}

/* What the SDK says to the call at this index. */
static void answer(struct fixture *f, int index, enum sg_answer_kind kind, const char *step_id)
{
    pthread_mutex_lock(&f->lock);
    const struct sg_call *call = f->calls[index];
    pthread_mutex_unlock(&f->lock);
    struct sg_message *message = message_of(SG_MESSAGE_ANSWER);
    message->as.answer.run_id = call->run_id;
    message->as.answer.job_id = call->job_id;
    message->as.answer.generation = call->generation;
    message->as.answer.answer.kind = kind;
    message->as.answer.answer.http_status = kind == SG_ANSWER_OPS ? 206 : kind == SG_ANSWER_FINISHED ? 200 : 500;
    message->as.answer.answer.output = kind == SG_ANSWER_FINISHED ? SG_STR("\"done\"") : SG_STR_NULL;
    message->as.answer.answer.error =
        kind == SG_ANSWER_ERROR ? SG_STR("{\"error\":\"x\",\"message\":\"x\",\"name\":\"Error\"}") : SG_STR_NULL;
    if (step_id != NULL) {
        struct sg_op *op = sg_arena_zalloc(&message->arena, sizeof(*op));
        struct sg_str id = sg_arena_copy(&message->arena, sg_str_from(step_id));
        *op = (struct sg_op){.code = SG_OP_STEP_RUN,
                             .id = id,
                             .name = id,
                             .display_name = id,
                             .data = SG_STR("{\"n\":1}"),
                             .opts = SG_STR_NULL,
                             .error = SG_STR_NULL,
                             .duration = SG_STR("")};
        message->as.answer.answer.ops = op;
        message->as.answer.answer.op_count = 1;
    }
    sg_inbox_post_internal(f->inbox, message);
}

Test(node_loop, run_goes_from_event_to_end)
{
    struct fixture f;
    struct waiter waiter = {.client = {reply}};
    start_fresh(&f, 0);
    register_app(&f);
    assert_ok(sg_inbox_post(f.inbox, event_of(&waiter, 9)));
    WAIT_UNTIL(atomic_load(&waiter.replies) == 1 && call_count(&f) == 1);
    assert_ok(waiter.status);
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_EVENT), 1));
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_RUN_LIVE), 1));

    answer(&f, 0, SG_ANSWER_OPS, "one");
    WAIT_UNTIL(call_count(&f) == 2);
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_MEMO), 1));
    cr_assert(eq(i64, f.calls[1]->snapshot, 1));
    answer(&f, 1, SG_ANSWER_FINISHED, NULL);
    WAIT_UNTIL(sg_store_memory_count(f.store, SG_KIND_RUN_LIVE) == 0);
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_JOB), 0));
    WAIT_UNTIL(sg_loop_is_idle(f.loop));
    struct sg_engine_stats stats;
    sg_loop_stats(f.loop, &stats, NULL);
    cr_assert(eq(i64, stats.runs, 0));
    cr_assert(eq(i64, stats.functions, 1));
    stop_for_good(&f);
}

Test(node_loop, retry_comes_due_without_any_message)
{
    struct fixture f;
    start_fresh(&f, 0);
    register_app(&f);
    assert_ok(sg_inbox_post(f.inbox, event_of(NULL, 9)));
    WAIT_UNTIL(call_count(&f) == 1);
    answer(&f, 0, SG_ANSWER_ERROR, NULL);
    WAIT_UNTIL(call_count(&f) == 2);
    cr_assert(eq(int, f.calls[1]->attempt, 1));
    cr_assert(gt(int, f.calls[1]->generation, f.calls[0]->generation));
    stop_for_good(&f);
}

Test(node_loop, engine_works_on_while_the_store_is_busy_and_what_came_shares_a_commit)
{
    struct fixture f;
    struct waiter waiters[20] = {0};
    start_fresh(&f, 0);
    register_app(&f);
    WAIT_UNTIL(sg_loop_is_idle(f.loop));
    int before = atomic_load(&f.batches);
    pthread_mutex_lock(&f.gate);
    for (uint8_t i = 0; i < 20; i++) {
        waiters[i].client.reply = reply;
        assert_ok(sg_inbox_post(f.inbox, event_of(&waiters[i], (uint8_t)(10 + i))));
        if (i == 0)
            WAIT_UNTIL(sg_store_memory_count(f.store, SG_KIND_EVENT) == 1); /* its batch is held in let_out */
    }
    WAIT_UNTIL(sg_inbox_is_empty(f.inbox));
    cr_assert(eq(int, atomic_load(&waiters[0].replies), 0));
    pthread_mutex_unlock(&f.gate);
    for (int i = 0; i < 20; i++)
        WAIT_UNTIL(atomic_load(&waiters[i].replies) == 1);
    WAIT_UNTIL(sg_loop_is_idle(f.loop));
    cr_assert(le(int, atomic_load(&f.batches) - before, 3));
    stop_for_good(&f);
}

Test(node_loop, full_batch_leaves_the_rest_in_the_inbox)
{
    struct fixture f;
    start_fresh(&f, 4);
    register_app(&f);
    WAIT_UNTIL(sg_loop_is_idle(f.loop));
    pthread_mutex_lock(&f.gate);
    assert_ok(sg_inbox_post(f.inbox, event_of(NULL, 10)));
    WAIT_UNTIL(sg_store_memory_count(f.store, SG_KIND_EVENT) == 1);
    for (uint8_t i = 1; i < 20; i++)
        assert_ok(sg_inbox_post(f.inbox, event_of(NULL, (uint8_t)(10 + i))));
    WAIT_UNTIL(sg_inbox_waiting(f.inbox) <= 15);
    cr_assert(eq(i64, sg_inbox_waiting(f.inbox), 15)); /* four went into the batch that waits */
    pthread_mutex_unlock(&f.gate);
    WAIT_UNTIL(sg_store_memory_count(f.store, SG_KIND_EVENT) == 20);
    stop_for_good(&f);
}

Test(node_loop, stopping_commits_what_was_taken_in)
{
    struct fixture f;
    struct waiter waiters[50] = {0};
    start_fresh(&f, 4);
    register_app(&f);
    for (uint8_t i = 0; i < 50; i++) {
        waiters[i].client.reply = reply;
        assert_ok(sg_inbox_post(f.inbox, event_of(&waiters[i], (uint8_t)(10 + i))));
    }
    stop(&f);
    for (int i = 0; i < 50; i++)
        cr_assert(eq(int, atomic_load(&waiters[i].replies), 1));
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_EVENT), 50));
    sg_store_close(f.store);
}

Test(node_loop, call_in_flight_is_made_again_with_the_next_generation_after_a_restart)
{
    struct fixture f;
    start_fresh(&f, 0);
    register_app(&f);
    assert_ok(sg_inbox_post(f.inbox, event_of(NULL, 9)));
    WAIT_UNTIL(call_count(&f) == 1);
    struct sg_id run_id = f.calls[0]->run_id;
    int32_t generation = f.calls[0]->generation;
    struct sg_store *store = f.store;
    stop(&f);

    start(&f, store, 0);
    WAIT_UNTIL(call_count(&f) == 1);
    cr_assert(sg_id_eq(f.calls[0]->run_id, run_id));
    cr_assert(eq(int, f.calls[0]->generation, generation + 1));
    answer(&f, 0, SG_ANSWER_FINISHED, NULL);
    WAIT_UNTIL(sg_store_memory_count(f.store, SG_KIND_RUN_LIVE) == 0);
    stop_for_good(&f);
}
