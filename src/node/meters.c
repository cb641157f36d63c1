/*
 * Meters.
 *
 * The model. What has become of runs, steps and events is read off the batches that have been committed: the engine and the store know nothing of it,
 * and what is counted is on disk. Calls are counted by those who make them. Everything is a relaxed atomic addition.
 *
 * Apps and functions get their meter from the record that makes them known, in the one thread that commits, before any call to them goes out. Other
 * threads find it by the id's hash without a lock: a slot is filled once, after its meter is complete, and never emptied. How many there
 * can be is bounded (a label is a series for ever); those beyond share the meter "other".
 *
 * What it never does: block, allocate after it was made, or forget.
 */
#include "node/meters.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

static_assert(SG_METER_SLOTS >= 2 * SG_LIMIT_METRIC_APPS && SG_METER_SLOTS >= 2 * SG_LIMIT_METRIC_FUNCTIONS, "room to probe");

#define OTHER_APP SG_LIMIT_METRIC_APPS
#define OTHER_FUNCTION SG_LIMIT_METRIC_FUNCTIONS

static void count(atomic_llong *counter, int64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static void app_init(struct sg_app_meter *app)
{
    sg_histogram_init(&app->step_latency, &sg_histogram_seconds);
    sg_histogram_init(&app->queue_delay, &sg_histogram_seconds);
    sg_histogram_init(&app->call_duration, &sg_histogram_seconds);
    sg_histogram_init(&app->run_duration, &sg_histogram_seconds);
}

/* Cut at a character, so that it stays UTF-8. */
static void label_set(struct sg_meter_label *label, struct sg_id id, struct sg_str name)
{
    name = sg_str_cut(name, sizeof(label->name));
    label->id = id;
    label->name_len = name.len;
    if (name.len > 0)
        memcpy(label->name, name.ptr, name.len);
}

struct sg_meters *sg_meters_create(void)
{
    struct sg_meters *meters = sg_calloc(1, sizeof(*meters));
    if (meters == NULL)
        return NULL;
    struct sg_id none = {{0}};
    app_init(&meters->apps[OTHER_APP]);
    label_set(&meters->apps[OTHER_APP].label, none, SG_STR("other"));
    label_set(&meters->functions[OTHER_FUNCTION].label, none, SG_STR("other"));
    meters->functions[OTHER_FUNCTION].app = OTHER_APP;
    sg_histogram_init(&meters->commit_duration, &sg_histogram_seconds);
    sg_histogram_init(&meters->commit_messages, &sg_histogram_counts);
    sg_histogram_init(&meters->commit_writes, &sg_histogram_counts);
    return meters;
}

void sg_meters_free(struct sg_meters *meters)
{
    sg_free(meters);
}

/* ---- finding ---- */

/* Ids of apps and functions are hashes (UUID v5): any of their bytes will do. */
static unsigned slot_of(struct sg_id id)
{
    unsigned hash;
    memcpy(&hash, id.bytes, sizeof(hash));
    return hash % SG_METER_SLOTS;
}

/* What both kinds of meters begin with. */
static const struct sg_meter_label *label_at(const void *meters, size_t stride, int index)
{
    return (const struct sg_meter_label *)((const char *)meters + (size_t)index * stride);
}

/* The index of the meter, or -1. */
static int find(struct sg_meter_table *table, const void *meters, size_t stride, struct sg_id id)
{
    unsigned at = slot_of(id);
    int filled;
    while ((filled = atomic_load_explicit(&table->slots[at], memory_order_acquire)) != 0) {
        if (sg_id_eq(label_at(meters, stride, filled - 1)->id, id))
            return filled - 1;
        at = (at + 1) % SG_METER_SLOTS;
    }
    return -1;
}

/* Makes the next meter, which is complete, one that is found. */
static void publish(struct sg_meter_table *table, struct sg_id id)
{
    int index = atomic_load(&table->count);
    unsigned at = slot_of(id);
    while (atomic_load(&table->slots[at]) != 0)
        at = (at + 1) % SG_METER_SLOTS;
    atomic_store_explicit(&table->count, index + 1, memory_order_release);
    atomic_store_explicit(&table->slots[at], index + 1, memory_order_release);
}

static int app_index(struct sg_meters *meters, struct sg_id id)
{
    int index = find(&meters->app_table, meters->apps, sizeof(meters->apps[0]), id);
    return index >= 0 ? index : OTHER_APP;
}

static struct sg_function_meter *function_of(struct sg_meters *meters, struct sg_id id)
{
    int index = find(&meters->function_table, meters->functions, sizeof(meters->functions[0]), id);
    return &meters->functions[index >= 0 ? index : OTHER_FUNCTION];
}

void sg_meters_learn(struct sg_meters *meters, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    if (record->kind == SG_KIND_APP) {
        struct sg_id id = sg_value_get_id(&values[SG_APP_ID]);
        int next = atomic_load(&meters->app_table.count);
        if (app_index(meters, id) != OTHER_APP || next == OTHER_APP)
            return;
        app_init(&meters->apps[next]);
        label_set(&meters->apps[next].label, id, values[SG_APP_NAME].bytes);
        publish(&meters->app_table, id);
    } else if (record->kind == SG_KIND_FUNCTION) {
        struct sg_id id = sg_value_get_id(&values[SG_FUNCTION_ID]);
        int next = atomic_load(&meters->function_table.count);
        if (function_of(meters, id) != &meters->functions[OTHER_FUNCTION] || next == OTHER_FUNCTION)
            return;
        meters->functions[next].app = app_index(meters, sg_value_get_id(&values[SG_FUNCTION_APP_ID]));
        label_set(&meters->functions[next].label, id, values[SG_FUNCTION_SLUG].bytes);
        publish(&meters->function_table, id);
    }
}

/* ---- what has been committed ---- */

/*
 * The engine writes the row of a run when it creates it, when its first call goes out (both in one row if it is the same turn, which no later start
 * can be mistaken for: it would not be due in the moment of the creation), and when it ends. Each once.
 */
static void run_written(struct sg_meters *meters, const struct sg_value *values)
{
    struct sg_function_meter *function = function_of(meters, sg_value_get_id(&values[SG_RUN_FUNCTION_ID]));
    int64_t created_at_ms = values[SG_RUN_CREATED_AT].number;
    enum sg_meter_end end;
    switch (values[SG_RUN_STATUS].number) {
    case SG_RUN_SCHEDULED:
        count(&function->runs_created, 1);
        return;
    case SG_RUN_RUNNING:
        count(&function->runs_started, 1);
        if (values[SG_RUN_STARTED_AT].number == created_at_ms)
            count(&function->runs_created, 1);
        return;
    case SG_RUN_COMPLETED:
        end = SG_METER_COMPLETED;
        break;
    case SG_RUN_CANCELLED:
        end = SG_METER_CANCELLED;
        break;
    default:
        end = SG_METER_FAILED;
        break;
    }
    count(&function->runs_ended[end], 1);
    sg_histogram_observe(&meters->apps[function->app].run_duration, (values[SG_RUN_ENDED_AT].number - created_at_ms) * 1000000);
}

static void written(struct sg_meters *meters, const struct sg_write *write)
{
    const struct sg_value *values = write->record.values;
    if (write->op != SG_WRITE_PUT && write->op != SG_WRITE_INSERT)
        return;
    switch (write->record.kind) {
    case SG_KIND_RUN:
        run_written(meters, values);
        break;
    case SG_KIND_EVENT:
        count(values[SG_EVENT_RUN_ID].is_null ? &meters->events : &meters->lifecycle_events, 1);
        break;
    case SG_KIND_MEMO:
        count(&meters->memos, 1);
        count(&meters->memo_bytes, (int64_t)values[SG_MEMO_BYTES].bytes.len);
        break;
    case SG_KIND_ATTEMPT:
        count(&meters->attempts_kept, 1);
        break;
    case SG_KIND_APP:
    case SG_KIND_FUNCTION:
        sg_meters_learn(meters, &write->record);
        break;
    default:
        break;
    }
}

void sg_meters_committed(struct sg_meters *meters, const struct sg_batch *batch, int64_t took_ns)
{
    for (size_t i = 0; i < batch->write_count; i++)
        written(meters, &batch->writes[i]);
    for (const struct sg_message *message = batch->messages; message != NULL; message = message->next) {
        count(&meters->messages[message->kind], 1);
        if (message->kind == SG_MESSAGE_CHECKPOINT)
            count(&meters->checkpoint_steps, (int64_t)message->as.checkpoint.op_count);
    }
    if (took_ns < 0)
        return;
    sg_histogram_observe(&meters->commit_duration, took_ns);
    sg_histogram_observe(&meters->commit_messages, (int64_t)batch->message_count);
    sg_histogram_observe(&meters->commit_writes, (int64_t)batch->write_count);
}

/* ---- calls ---- */

void sg_meters_call_scheduled(struct sg_meters *meters, const struct sg_call *call)
{
    count(&function_of(meters, call->function_id)->calls_scheduled, 1);
}

void sg_meters_call_sent(struct sg_meters *meters, const struct sg_call *call, int64_t now_ns)
{
    count(&function_of(meters, call->function_id)->calls_started, 1);
    if (call->arrived_at_ns == 0)
        return;
    struct sg_app_meter *app = &meters->apps[app_index(meters, call->app_id)];
    sg_histogram_observe(call->is_first ? &app->queue_delay : &app->step_latency, now_ns - call->arrived_at_ns);
}

void sg_meters_call_ended(struct sg_meters *meters, const struct sg_call *call, const struct sg_call_report *report)
{
    struct sg_function_meter *function = function_of(meters, call->function_id);
    struct sg_app_meter *app = &meters->apps[app_index(meters, call->app_id)];
    enum sg_meter_call_end end = SG_METER_CALL_SUCCESS;
    if (report->error != SG_CALL_ERROR_NONE)
        end = report->is_final ? SG_METER_CALL_FAILED : SG_METER_CALL_ERRORED;
    count(&function->calls_ended[end], 1);
    if (report->error != SG_CALL_ERROR_NONE)
        count(&app->errors[report->error], 1);
    if (report->duration_ns >= 0)
        sg_histogram_observe(&app->call_duration, report->duration_ns);
    else
        count(&function->calls_unsent, 1);
}
