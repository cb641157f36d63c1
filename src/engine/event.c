/*
 * Events: into the log, and on to the functions that listen.
 *
 * The model. Accepting an event gives it the next position of the log; that position, never a ULID that a client may have chosen, says what came
 * before what. Then each function that listens to its name, was registered before it and whose trigger expression is true gets a run, unless
 * the function has had a run for an event of the same id within 24 hours (reference/04 §4.1). Each (event, function) pair is atomic.
 *
 * An event with more consumers than one message may write for, one that comes while an earlier event of its name is still on the way, and every
 * lifecycle event that somebody listens to goes on under a cursor (cursor.c).
 */
#include "engine/event.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/app.h"
#include "engine/cursor.h"
#include "engine/invoke.h"
#include "engine/run.h"
#include "engine/topic.h"

/* A run's creation writes at most run_live, run, job, the idempotency key, and a pause for each entry of cancelOn. */
#define WRITES_PER_RUN (4 + SG_LIMIT_CANCELS_PER_FUNCTION)

bool sg_event_is_final(struct sg_str name)
{
    return sg_str_eq(name, SG_STR("inngest/function.failed")) || sg_str_eq(name, SG_STR("inngest/function.finished"));
}

/* ---- duplicates ---- */

static struct sg_id key_mix(struct sg_id key, struct sg_id function_id)
{
    for (size_t index = 0; index < sizeof(key.bytes); index++)
        key.bytes[index] ^= function_id.bytes[index];
    return key;
}

/* Whether the function has had a run for this key: as the lookup saw the store, or by a commit after that. */
static bool is_duplicate(const struct sg_engine *engine, const struct sg_event *event, struct sg_id function_id)
{
    for (size_t index = 0; index < event->known_count; index++)
        if (sg_id_eq(event->known[index].key, event->key) && sg_id_eq(event->known[index].function_id, function_id))
            return true;
    return sg_map_get_id(&engine->recent_keys, key_mix(event->key, function_id)) != NULL;
}

void sg_event_recent_add(struct sg_turn *turn, struct sg_id mix)
{
    struct sg_engine *engine = turn->engine;
    struct sg_recent_key *recent = sg_calloc(1, sizeof(*recent));
    if (recent == NULL) {
        turn->is_failed = true;
        return;
    }
    recent->mix = mix;
    recent->commit = turn->batch->number;
    if (sg_map_add(&engine->recent_keys, recent) != SG_OK) {
        sg_free(recent);
        turn->is_failed = true;
        return;
    }
    if (engine->recent_last != NULL)
        engine->recent_last->next = recent;
    else
        engine->recent_first = recent;
    engine->recent_last = recent;
}

static void key_remember(struct sg_turn *turn, const struct sg_event *event, const struct sg_function *function, struct sg_id run_id)
{
    sg_event_recent_add(turn, key_mix(event->key, function->id));
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_IDEMPOTENCY);
    if (record == NULL)
        return;
    record->values[SG_IDEMPOTENCY_KEY] = sg_turn_id(turn, event->key);
    record->values[SG_IDEMPOTENCY_FUNCTION_ID] = sg_value_id(&function->id);
    record->values[SG_IDEMPOTENCY_RUN_ID] = sg_turn_id(turn, run_id);
    record->values[SG_IDEMPOTENCY_EXPIRES_AT] = sg_value_int(turn->now_ms + SG_LIMIT_IDEMPOTENCY_MS);
}

void sg_engine_forget_keys(struct sg_engine *engine, int64_t commit)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    if (engine->recent_first == NULL || engine->recent_first->commit > commit)
        return;
    int64_t floor = sg_cursor_lookup_floor(engine);
    if (commit > floor)
        commit = floor;
    while (engine->recent_first != NULL && engine->recent_first->commit <= commit) {
        struct sg_recent_key *recent = engine->recent_first;
        engine->recent_first = recent->next;
        if (engine->recent_first == NULL)
            engine->recent_last = NULL;
        sg_map_remove_id(&engine->recent_keys, recent->mix);
        sg_free(recent);
    }
}

/* ---- consumers ---- */

static void schedule(struct sg_turn *turn, const struct sg_event *event, struct sg_function *function, struct sg_str invoker)
{
    bool has_key = !sg_id_is_null(event->key);
    if (has_key && is_duplicate(turn->engine, event, function->id)) {
        sg_invoke_refused(turn, invoker, SG_STR("the invoked function has run for an event of this id already"));
        return;
    }
    int64_t due_at_ms = event->ts_ms + turn->engine->options.clock_offset_ms;
    struct sg_run_spec spec = {
        .function = function,
        .event_id = event->internal_id,
        .event_name = event->name,
        .positions = &event->position,
        .event_count = 1,
        .event_bytes = (int64_t)event->body.len,
        .start_at_ms = due_at_ms > turn->now_ms ? due_at_ms : turn->now_ms, /* reference/04 §3.5 */
        .body = event->body,
        .invoker = invoker,
    };
    struct sg_id run_id = sg_run_create(turn, &spec);
    if (has_key && !turn->is_failed)
        key_remember(turn, event, function, run_id);
}

/* The list with an invoked function in its place, once. */
static struct sg_function **with_target(struct sg_turn *turn, struct sg_function **functions, size_t *count, struct sg_function *target)
{
    if (target == NULL)
        return functions;
    struct sg_function **list = sg_arena_alloc(&turn->engine->scratch, (*count + 1) * sizeof(struct sg_function *));
    if (list == NULL) {
        turn->is_failed = true;
        return functions;
    }
    size_t total = 0;
    for (size_t index = 0; index < *count && sg_id_cmp(functions[index]->id, target->id) < 0; index++)
        list[total++] = functions[index];
    size_t rest = total;
    list[total++] = target;
    for (; rest < *count; rest++)
        if (functions[rest] != target)
            list[total++] = functions[rest];
    *count = total;
    return list;
}

bool sg_event_offer(struct sg_turn *turn, const struct sg_event *event, struct sg_id *after, size_t writes_max)
{
    size_t count;
    struct sg_str invoker = SG_STR_NULL;
    struct sg_function *target = sg_invoke_target(turn, event, &invoker);
    struct sg_function **functions = sg_app_listeners(turn, event->name, event->body, event->position, &count);
    functions = with_target(turn, functions, &count, target);
    size_t writes_before = turn->batch->write_count;
    for (size_t index = 0; index < count && !turn->is_failed; index++) {
        if (!sg_id_is_null(*after) && sg_id_cmp(functions[index]->id, *after) <= 0)
            continue;
        if (turn->batch->write_count - writes_before + WRITES_PER_RUN > writes_max)
            return false;
        schedule(turn, event, functions[index], functions[index] == target ? invoker : SG_STR_NULL);
        *after = functions[index]->id;
    }
    return true;
}

bool sg_event_deliver(struct sg_turn *turn, const struct sg_event *event, struct sg_id *after, size_t writes_max)
{
    size_t writes_before = turn->batch->write_count;
    if (!sg_topic_wake(turn, sg_topic_find(turn->engine, event->name), event, writes_max))
        return false;
    size_t writes = turn->batch->write_count - writes_before;
    return sg_event_offer(turn, event, after, writes < writes_max ? writes_max - writes : 0);
}

/* ---- accepting ---- */

static struct sg_record *event_write(struct sg_turn *turn, int64_t position, struct sg_id internal_id, struct sg_str name, int64_t ts_ms)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_EVENT);
    if (record == NULL)
        return NULL;
    record->values[SG_EVENT_POSITION] = sg_value_int(position);
    record->values[SG_EVENT_INTERNAL_ID] = sg_turn_id(turn, internal_id);
    record->values[SG_EVENT_NAME] = sg_value_bytes(name);
    record->values[SG_EVENT_TS] = sg_value_int(ts_ms);
    return record;
}

static void event_accept(struct sg_turn *turn, const struct sg_message *message, const struct sg_event_in *in)
{
    struct sg_engine *engine = turn->engine;
    int64_t position = engine->next_position++;
    struct sg_record *record = event_write(turn, position, in->internal_id, in->name, in->ts_ms);
    if (record == NULL)
        return;
    record->values[SG_EVENT_RECEIVED_AT] = sg_value_int(message->as.events.received_at_ms);
    record->values[SG_EVENT_BODY] = sg_value_bytes(in->body);

    struct sg_topic *topic = sg_topic_find(engine, in->name);
    if (topic == NULL && !sg_app_has_listener(engine, in->name) && !sg_str_eq(in->name, SG_EVENT_INVOKED))
        return;
    if (sg_topic_is_busy(topic)) {
        sg_cursor_event_add(turn, position, in->name, (struct sg_id){{0}});
        return;
    }
    struct sg_event event = {
        .position = position,
        .internal_id = in->internal_id,
        .name = in->name,
        .body = in->body,
        .ts_ms = in->ts_ms,
        .key = in->key,
        .known = message->as.events.known,
        .known_count = message->as.events.known_count,
    };
    struct sg_id after = {{0}};
    if (!sg_event_deliver(turn, &event, &after, SG_LIMIT_WRITES_PER_MESSAGE / 2))
        sg_cursor_event_add(turn, position, in->name, after);
}

void sg_events_accept(struct sg_turn *turn, struct sg_message *message)
{
    for (size_t index = 0; index < message->as.events.count && !turn->is_failed; index++)
        event_accept(turn, message, &message->as.events.events[index]);
    sg_turn_reply(turn, message, SG_OK, "%s", "");
}

/* ---- lifecycle ---- */

int64_t sg_event_append(struct sg_turn *turn, struct sg_id internal_id, struct sg_str name, int64_t ts_ms, struct sg_str body)
{
    int64_t position = turn->engine->next_position++;
    struct sg_record *record = event_write(turn, position, internal_id, name, ts_ms);
    if (record == NULL)
        return position;
    record->values[SG_EVENT_RECEIVED_AT] = sg_value_int(turn->now_ms - turn->engine->options.clock_offset_ms);
    record->values[SG_EVENT_BODY] = sg_value_bytes(body);
    return position;
}

static int64_t lifecycle_add(struct sg_turn *turn, const struct sg_run *run, struct sg_str name)
{
    struct sg_engine *engine = turn->engine;
    int64_t position = engine->next_position++;
    int64_t wall_ms = turn->now_ms - engine->options.clock_offset_ms;
    struct sg_record *record = event_write(turn, position, sg_turn_ulid(turn), name, wall_ms);
    if (record == NULL)
        return position;
    record->values[SG_EVENT_RECEIVED_AT] = sg_value_int(wall_ms);
    record->values[SG_EVENT_RUN_ID] = sg_turn_id(turn, run->id);
    if (sg_app_has_listener(engine, name) || sg_topic_find(engine, name) != NULL)
        sg_cursor_event_add(turn, position, name, (struct sg_id){{0}});
    return position;
}

int64_t sg_event_lifecycle(struct sg_turn *turn, const struct sg_run *run, enum sg_run_status status)
{
    int64_t position = lifecycle_add(turn, run, SG_STR("inngest/function.finished"));
    if (status == SG_RUN_FAILED)
        lifecycle_add(turn, run, SG_STR("inngest/function.failed"));
    if (status == SG_RUN_CANCELLED)
        lifecycle_add(turn, run, SG_STR("inngest/function.cancelled"));
    return position;
}
