/*
 * Topics: what concerns one event name beside triggers.
 *
 * The model. Pauses of one event name are in an index of their expressions, so an event finds those that it answers without looking at the others
 * (reference/02 §9.1). Events of one name go in log order: while an earlier one is still under a cursor, a later one gets a cursor, too. And
 * while an answer that waits for the name has come but is not applied (its run's steps are being loaded, or it is large and applied in slices), events
 * of the name are kept back in the same way. So a wait sees every event that came after its answer, and "came after" is a matter of log
 * positions, never of clocks.
 *
 * A topic is made by whoever needs it and goes when nobody does: a million event names that nobody waits for cost nothing.
 */
#include "engine/topic.h"

#include <string.h>

#include <stepgate/cel.h>
#include <stepgate/json.h>

#include "base/alloc.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/wait.h"

/* Answering a pause writes its record and its job. */
#define WRITES_PER_PAUSE 2

struct sg_topic *sg_topic_find(const struct sg_engine *engine, struct sg_str name)
{
    return sg_map_get_str(&engine->topics, name);
}

struct sg_topic *sg_topic_get(struct sg_engine *engine, struct sg_str name)
{
    struct sg_topic *topic = sg_topic_find(engine, name);
    if (topic != NULL)
        return topic;
    topic = sg_calloc(1, sizeof(*topic) + name.len);
    if (topic == NULL)
        return NULL;
    char *text = (char *)(topic + 1);
    if (name.len > 0)
        memcpy(text, name.ptr, name.len);
    topic->magic = SG_TOPIC_MAGIC;
    topic->name = (struct sg_str){text, name.len};
    sg_list_init(&topic->cursors);
    if (sg_map_add(&engine->topics, topic) != SG_OK) {
        sg_free(topic);
        return NULL;
    }
    return topic;
}

void sg_topic_settle(struct sg_engine *engine, struct sg_topic *topic)
{
    SG_CHECK(topic, SG_TOPIC_MAGIC);
    if (topic->cursors.first != NULL) {
        struct sg_cursor *cursor = SG_CONTAINER_OF(topic->cursors.first, struct sg_cursor, in_topic);
        bool is_active = sg_list_has(&engine->active, &cursor->in_active);
        if (topic->held == 0 && cursor->is_ready && !is_active)
            sg_list_push_back(&engine->active, &cursor->in_active);
        if (topic->held > 0 && is_active)
            sg_list_remove(&engine->active, &cursor->in_active);
        return;
    }
    if (topic->held > 0 || topic->pause_count > 0)
        return;
    sg_map_remove_str(&engine->topics, topic->name);
    sg_cel_index_free(topic->waits);
    topic->magic = 0;
    sg_free(topic);
}

bool sg_topic_is_busy(const struct sg_topic *topic)
{
    return topic != NULL && (topic->held > 0 || topic->cursors.first != NULL);
}

/* ---- answers that are kept waiting ---- */

void sg_topic_hold(struct sg_turn *turn, const struct sg_op *ops, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        if (ops[index].code != SG_OP_WAIT_FOR_EVENT)
            continue;
        struct sg_topic *topic = sg_topic_get(turn->engine, sg_wait_event_name(turn->engine, &ops[index]));
        if (topic == NULL) {
            turn->is_failed = true;
            return;
        }
        topic->held++;
        sg_topic_settle(turn->engine, topic);
    }
}

void sg_topic_release(struct sg_engine *engine, const struct sg_op *ops, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        if (ops[index].code != SG_OP_WAIT_FOR_EVENT)
            continue;
        struct sg_topic *topic = sg_topic_find(engine, sg_wait_event_name(engine, &ops[index]));
        if (topic == NULL || topic->held == 0)
            continue; /* memory ran out while it was to be held: this batch will not be committed */
        topic->held--;
        sg_topic_settle(engine, topic);
    }
}

/* ---- waking ---- */

struct found {
    struct sg_turn *turn;
    const struct sg_event *event;
    struct sg_pause **pauses;
    size_t count;
    size_t capacity;
    size_t max;
    bool is_full;
};

static bool collect(void *context, void *owner)
{
    struct found *found = context;
    struct sg_pause *pause = owner;
    SG_CHECK(pause, SG_PAUSE_MAGIC);
    if (pause->position > found->event->position || !sg_pause_is_open(pause, found->turn->now_ms))
        return true;
    if (found->count == found->max) {
        found->is_full = true;
        return false;
    }
    if (found->count == found->capacity) {
        size_t capacity = found->capacity == 0 ? 8 : found->capacity * 2;
        struct sg_pause **pauses = sg_arena_alloc(&found->turn->engine->scratch, capacity * sizeof(struct sg_pause *));
        if (pauses == NULL) {
            found->turn->is_failed = true;
            return false;
        }
        if (found->count > 0)
            memcpy(pauses, found->pauses, found->count * sizeof(struct sg_pause *));
        found->pauses = pauses;
        found->capacity = capacity;
    }
    found->pauses[found->count++] = pause;
    return true;
}

static void cancel(struct sg_turn *turn, struct sg_run *run, struct sg_str event_name)
{
    struct sg_buf reason;
    sg_buf_init(&reason);
    sg_buf_printf(&reason, "cancelled by the event %.*s", SG_FMT(event_name));
    struct sg_str text = reason.is_failed ? SG_STR_NULL : sg_turn_copy(turn, sg_buf_str(&reason));
    turn->is_failed = turn->is_failed || reason.is_failed;
    sg_buf_free(&reason);
    sg_run_cancel(turn, run, text);
}

bool sg_topic_wake(struct sg_turn *turn, struct sg_topic *topic, const struct sg_event *event, size_t writes_max)
{
    struct sg_engine *engine = turn->engine;
    if (topic == NULL || topic->pause_count == 0)
        return true;
    SG_CHECK(topic, SG_TOPIC_MAGIC);
    struct sg_cel_document document;
    if (sg_cel_document_parse_event(event->body, &engine->scratch, &document, NULL) != SG_OK) {
        turn->is_failed = true; /* the edge has made it canonical, so only memory can run out */
        return true;
    }
    struct sg_cel_scope scope = {.async = &document, .now_ms = turn->now_ms};
    struct found found = {.turn = turn, .event = event, .max = writes_max / WRITES_PER_PAUSE};
    if (sg_cel_index_match(topic->waits, &scope, collect, &found) != SG_OK)
        turn->is_failed = true;

    /* First the waits: answering one frees none, while cancelling a run frees all of its pauses, perhaps several of those found here. */
    size_t writes_before = turn->batch->write_count;
    size_t cancel_count = 0;
    struct sg_id *cancelled = sg_arena_alloc(&engine->scratch, found.count * sizeof(*cancelled) + 1);
    if (cancelled == NULL)
        turn->is_failed = true;
    for (size_t index = 0; index < found.count && !turn->is_failed; index++) {
        struct sg_pause *pause = found.pauses[index];
        if (pause->kind == SG_PAUSE_CANCEL)
            cancelled[cancel_count++] = pause->run->id;
        else
            sg_pause_answer_event(turn, pause, event->position);
    }
    for (size_t index = 0; index < cancel_count && !turn->is_failed; index++) {
        if (turn->batch->write_count - writes_before > writes_max)
            return false;
        struct sg_run *run = sg_map_get_id(&engine->runs, cancelled[index]);
        if (run != NULL && (run->flags & SG_RUN_IS_ENDED) == 0)
            cancel(turn, run, event->name);
    }
    return !found.is_full;
}
