/*
 * Turns and batches: the plumbing that every concept of the engine writes through.
 *
 * A write's record borrows its bytes: from the batch's arena, from a message that the batch keeps, or from engine state that lives longer. State
 * that may be freed before the commit (a step, a job) is copied into the arena. Nothing here knows what a record means.
 */
#include "engine/turn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void *sg_turn_alloc(struct sg_turn *turn, size_t bytes)
{
    void *memory = turn->is_failed ? NULL : sg_arena_zalloc(&turn->batch->arena, bytes);
    if (memory == NULL)
        turn->is_failed = true;
    return memory;
}

struct sg_str sg_turn_copy(struct sg_turn *turn, struct sg_str text)
{
    if (turn->is_failed)
        return SG_STR_NULL;
    struct sg_str copy = sg_arena_copy(&turn->batch->arena, text);
    if (copy.ptr == NULL)
        turn->is_failed = true;
    return copy;
}

struct sg_value sg_turn_id(struct sg_turn *turn, struct sg_id id)
{
    struct sg_id *copy = sg_turn_alloc(turn, sizeof(*copy));
    if (copy == NULL)
        return sg_value_null();
    *copy = id;
    return sg_value_id(copy);
}

struct sg_record *sg_turn_write(struct sg_turn *turn, enum sg_write_op op, enum sg_kind kind)
{
    struct sg_batch *batch = turn->batch;
    if (turn->is_failed)
        return NULL;
    if (batch->write_count == batch->write_capacity) {
        size_t capacity = batch->write_capacity == 0 ? 64 : batch->write_capacity * 2;
        struct sg_write *writes = sg_realloc(batch->writes, capacity * sizeof(*writes));
        if (writes == NULL) {
            turn->is_failed = true;
            return NULL;
        }
        batch->writes = writes;
        batch->write_capacity = capacity;
    }
    struct sg_write *write = &batch->writes[batch->write_count++];
    write->op = op;
    write->prefix_columns = 0;
    write->record.kind = kind;
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        write->record.values[column] = sg_value_null();
    return &write->record;
}

struct sg_effect *sg_turn_effect(struct sg_turn *turn, enum sg_effect_kind kind)
{
    struct sg_batch *batch = turn->batch;
    if (turn->is_failed)
        return NULL;
    if (batch->effect_count == batch->effect_capacity) {
        size_t capacity = batch->effect_capacity == 0 ? 16 : batch->effect_capacity * 2;
        struct sg_effect *effects = sg_realloc(batch->effects, capacity * sizeof(*effects));
        if (effects == NULL) {
            turn->is_failed = true;
            return NULL;
        }
        batch->effects = effects;
        batch->effect_capacity = capacity;
    }
    struct sg_effect *effect = &batch->effects[batch->effect_count++];
    memset(effect, 0, sizeof(*effect));
    effect->kind = kind;
    return effect;
}

void sg_turn_reply(struct sg_turn *turn, struct sg_message *message, enum sg_status status, const char *format, ...)
{
    if (message->client == NULL)
        return;
    struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_REPLY);
    if (effect == NULL)
        return;
    effect->client = message->client;
    message->client = NULL;
    effect->reply.status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(effect->reply.message, sizeof(effect->reply.message), format, arguments);
    va_end(arguments);
}

struct sg_id sg_turn_ulid(struct sg_turn *turn)
{
    struct sg_engine *engine = turn->engine;
    return sg_ulid_generator_next(&engine->ulids, turn->now_ms - engine->options.clock_offset_ms, &engine->rng);
}

/* ---- messages, batches, calls, fetches ---- */

struct sg_message *sg_message_create(enum sg_message_kind kind)
{
    struct sg_message *message = sg_calloc(1, sizeof(*message));
    if (message == NULL)
        return NULL;
    message->magic = SG_MESSAGE_MAGIC;
    message->kind = kind;
    sg_arena_init(&message->arena);
    return message;
}

void sg_message_free(struct sg_message *message)
{
    if (message == NULL)
        return;
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    message->magic = 0;
    sg_arena_free(&message->arena);
    sg_free(message);
}

void sg_call_free(struct sg_call *call)
{
    if (call == NULL)
        return;
    SG_CHECK(call, SG_CALL_MAGIC);
    call->magic = 0;
    sg_free(call);
}

void sg_fetch_free(struct sg_fetch *fetch)
{
    if (fetch == NULL)
        return;
    SG_CHECK(fetch, SG_FETCH_MAGIC);
    fetch->magic = 0;
    volatile char *secret = (volatile char *)(uintptr_t)fetch->opts.ptr;
    for (size_t index = 0; index < fetch->opts.len; index++)
        secret[index] = 0;
    sg_free(fetch);
}

struct sg_batch *sg_batch_create(int64_t number)
{
    struct sg_batch *batch = sg_calloc(1, sizeof(*batch));
    if (batch == NULL)
        return NULL;
    sg_arena_init(&batch->arena);
    batch->number = number;
    return batch;
}

void sg_batch_free(struct sg_batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t index = 0; index < batch->effect_count; index++) {
        sg_call_free(batch->effects[index].call);
        sg_fetch_free(batch->effects[index].fetch);
    }
    while (batch->messages != NULL) {
        struct sg_message *message = batch->messages;
        batch->messages = message->next;
        sg_message_free(message);
    }
    sg_arena_free(&batch->arena);
    sg_free(batch->writes);
    sg_free(batch->effects);
    sg_free(batch);
}
