/* Meters: names learned from records, the cap on them, what is read off committed batches, and calls. */
#include "node_fixture.h"

#include <stdio.h>

#include "node/meters.h"

static struct sg_meters *meters;

static void open(void)
{
    meters = sg_meters_create();
    cr_assert(ne(ptr, meters, NULL));
}

static void close_all(void)
{
    sg_meters_free(meters);
}

TestSuite(node_meters, .init = open, .fini = close_all, .timeout = 60);

/* Ids as different as hashes are. */
static struct sg_id id_of(int number)
{
    struct sg_id id = {{0}};
    uint32_t mixed = (uint32_t)number * 2654435761u;
    memcpy(id.bytes, &mixed, sizeof(mixed));
    memcpy(id.bytes + 8, &number, sizeof(number));
    return id;
}

static void learn_app(int number, const char *name)
{
    struct sg_id id = id_of(number);
    struct sg_record record = {.kind = SG_KIND_APP};
    record.values[SG_APP_ID] = sg_value_id(&id);
    record.values[SG_APP_NAME] = sg_value_bytes(sg_str_from(name));
    sg_meters_learn(meters, &record);
}

static void learn_function(int number, int app, const char *slug)
{
    struct sg_id id = id_of(number);
    struct sg_id app_id = id_of(app);
    struct sg_record record = {.kind = SG_KIND_FUNCTION};
    record.values[SG_FUNCTION_ID] = sg_value_id(&id);
    record.values[SG_FUNCTION_APP_ID] = sg_value_id(&app_id);
    record.values[SG_FUNCTION_SLUG] = sg_value_bytes(sg_str_from(slug));
    sg_meters_learn(meters, &record);
}

static int64_t of(atomic_llong *counter)
{
    return atomic_load(counter);
}

static int64_t observed(struct sg_histogram *histogram)
{
    int64_t total = 0;
    for (int i = 0; i <= SG_HISTOGRAM_BOUNDS_MAX; i++)
        total += of(&histogram->buckets[i]);
    return total;
}

static struct sg_write run_write(const struct sg_id *function_id, enum sg_run_status status, int64_t created, int64_t started,
                                 int64_t ended)
{
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_RUN}};
    write.record.values[SG_RUN_FUNCTION_ID] = sg_value_id(function_id);
    write.record.values[SG_RUN_STATUS] = sg_value_int(status);
    write.record.values[SG_RUN_CREATED_AT] = sg_value_int(created);
    write.record.values[SG_RUN_STARTED_AT] = sg_value_int(started);
    write.record.values[SG_RUN_ENDED_AT] = sg_value_int(ended);
    return write;
}

Test(node_meters, runs_are_counted_where_their_rows_are_committed)
{
    learn_app(1, "shop");
    learn_function(2, 1, "shop-pay");
    struct sg_id function = id_of(2);
    struct sg_write writes[] = {
        run_write(&function, SG_RUN_RUNNING, 100, 100, 0), /* created and started at once */
        run_write(&function, SG_RUN_SCHEDULED, 100, 0, 0), /* created for later */
        run_write(&function, SG_RUN_RUNNING, 100, 250, 0), /* started then */
        run_write(&function, SG_RUN_COMPLETED, 100, 100, 140), run_write(&function, SG_RUN_CANCELLED, 100, 250, 300),
    };
    struct sg_batch batch = {.writes = writes, .write_count = 5, .message_count = 2};
    sg_meters_committed(meters, &batch, 3000000);

    struct sg_function_meter *meter = &meters->functions[0];
    cr_assert(eq(i64, of(&meter->runs_created), 2));
    cr_assert(eq(i64, of(&meter->runs_started), 2));
    cr_assert(eq(i64, of(&meter->runs_ended[SG_METER_COMPLETED]), 1));
    cr_assert(eq(i64, of(&meter->runs_ended[SG_METER_FAILED]), 0));
    cr_assert(eq(i64, of(&meter->runs_ended[SG_METER_CANCELLED]), 1));
    cr_assert(eq(i64, observed(&meters->apps[0].run_duration), 2));
    cr_assert(eq(i64, of(&meters->apps[0].run_duration.sum), (40 + 200) * INT64_C(1000000)));
    cr_assert(eq(i64, observed(&meters->commit_duration), 1));
    cr_assert(eq(i64, of(&meters->commit_messages.sum), 2));
    cr_assert(eq(i64, of(&meters->commit_writes.sum), 5));
}

Test(node_meters, a_batch_without_writes_is_no_commit_but_its_messages_count)
{
    struct sg_message message = {.kind = SG_MESSAGE_CHECKPOINT, .as.checkpoint.op_count = 3};
    struct sg_batch batch = {.messages = &message, .message_count = 1};
    sg_meters_committed(meters, &batch, -1);
    cr_assert(eq(i64, observed(&meters->commit_duration), 0));
    cr_assert(eq(i64, of(&meters->messages[SG_MESSAGE_CHECKPOINT]), 1));
    cr_assert(eq(i64, of(&meters->checkpoint_steps), 3));
}

Test(node_meters, deletes_count_as_nothing)
{
    struct sg_id function = id_of(2);
    struct sg_write write = run_write(&function, SG_RUN_COMPLETED, 1, 1, 2);
    write.op = SG_WRITE_DELETE;
    sg_meters_committed(meters, &(struct sg_batch){.writes = &write, .write_count = 1}, 1);
    cr_assert(eq(i64, of(&meters->functions[SG_LIMIT_METRIC_FUNCTIONS].runs_ended[SG_METER_COMPLETED]), 0));
}

Test(node_meters, a_name_is_learned_once_and_cut_at_a_character)
{
    char name[200];
    memset(name, 'a', sizeof(name));
    memcpy(name + SG_METER_NAME_BYTES - 1, "é", 2); /* its second byte would be the first beyond */
    name[sizeof(name) - 1] = '\0';
    learn_app(1, name);
    learn_app(1, "other name");
    cr_assert(eq(int, atomic_load(&meters->app_table.count), 1));
    cr_assert(eq(sz, meters->apps[0].label.name_len, SG_METER_NAME_BYTES - 1));
}

Test(node_meters, apps_and_functions_beyond_the_cap_share_one_meter)
{
    char name[32];
    for (int i = 0; i < SG_LIMIT_METRIC_APPS + 50; i++) {
        snprintf(name, sizeof(name), "app-%d", i);
        learn_app(i, name);
    }
    for (int i = 0; i < SG_LIMIT_METRIC_FUNCTIONS + 50; i++) {
        snprintf(name, sizeof(name), "fn-%d", i);
        learn_function(i, i, name);
    }
    cr_assert(eq(int, atomic_load(&meters->app_table.count), SG_LIMIT_METRIC_APPS));
    cr_assert(eq(int, atomic_load(&meters->function_table.count), SG_LIMIT_METRIC_FUNCTIONS));
    for (int i = 0; i < SG_LIMIT_METRIC_FUNCTIONS + 50; i++) {
        struct sg_call call = {.function_id = id_of(i), .app_id = id_of(i), .arrived_at_ns = 1000};
        sg_meters_call_scheduled(meters, &call);
        sg_meters_call_sent(meters, &call, 2000);
    }
    for (int i = 0; i < SG_LIMIT_METRIC_FUNCTIONS; i++)
        cr_assert(eq(i64, of(&meters->functions[i].calls_started), 1), "function %d", i);
    for (int i = 0; i < SG_LIMIT_METRIC_APPS; i++)
        cr_assert(eq(i64, observed(&meters->apps[i].step_latency), 1), "app %d", i);
    struct sg_function_meter *other = &meters->functions[SG_LIMIT_METRIC_FUNCTIONS];
    cr_assert(eq(i64, of(&other->calls_scheduled), 50));
    cr_assert(eq(sz, other->label.name_len, 5));
    cr_assert(eq(int, memcmp(other->label.name, "other", 5), 0));
    cr_assert(eq(i64, observed(&meters->apps[SG_LIMIT_METRIC_APPS].step_latency), SG_LIMIT_METRIC_FUNCTIONS + 50 - SG_LIMIT_METRIC_APPS));
}

Test(node_meters, a_call_counts_by_its_end_and_its_latency_by_what_led_to_it)
{
    learn_app(1, "shop");
    learn_function(2, 1, "shop-pay");
    struct sg_call call = {.function_id = id_of(2), .app_id = id_of(1), .arrived_at_ns = 1000, .is_first = true};
    sg_meters_call_sent(meters, &call, 5000);
    call.is_first = false;
    sg_meters_call_sent(meters, &call, 5000);
    call.arrived_at_ns = 0; /* it was due: nobody's latency */
    sg_meters_call_sent(meters, &call, 5000);
    sg_meters_call_ended(meters, &call, &(struct sg_call_report){.http_status = 200, .duration_ns = 7});
    sg_meters_call_ended(meters, &call, &(struct sg_call_report){.error = SG_CALL_ERROR_TIMEOUT, .duration_ns = 8});
    sg_meters_call_ended(meters, &call, &(struct sg_call_report){.error = SG_CALL_ERROR_STATUS_5XX, .is_final = true, .duration_ns = 9});
    sg_meters_call_ended(meters, &call, &(struct sg_call_report){.error = SG_CALL_ERROR_GATEWAY, .duration_ns = -1});

    struct sg_app_meter *app = &meters->apps[0];
    struct sg_function_meter *function = &meters->functions[0];
    cr_assert(eq(i64, observed(&app->queue_delay), 1));
    cr_assert(eq(i64, observed(&app->step_latency), 1));
    cr_assert(eq(i64, of(&app->step_latency.sum), 4000));
    cr_assert(eq(i64, observed(&app->call_duration), 3));
    cr_assert(eq(i64, of(&function->calls_started), 3));
    cr_assert(eq(i64, of(&function->calls_ended[SG_METER_CALL_SUCCESS]), 1));
    cr_assert(eq(i64, of(&function->calls_ended[SG_METER_CALL_ERRORED]), 2));
    cr_assert(eq(i64, of(&function->calls_ended[SG_METER_CALL_FAILED]), 1));
    cr_assert(eq(i64, of(&function->calls_unsent), 1));
    cr_assert(eq(i64, of(&app->errors[SG_CALL_ERROR_TIMEOUT]), 1));
    cr_assert(eq(i64, of(&app->errors[SG_CALL_ERROR_STATUS_5XX]), 1));
    cr_assert(eq(i64, of(&app->errors[SG_CALL_ERROR_GATEWAY]), 1));
}
