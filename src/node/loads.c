/*
 * Loads.
 *
 * The model. One allocation holds the task for the pool; its work makes the message, reads into the message's arena and posts it. A store that is busy
 * or has trouble reading is asked again for a while, because what the engine does with a failed load is final: it fails the run.
 *
 * What it never does: decide what a load is for, or lose one. Out of memory ends the process, since a run whose load never comes would never
 * move again; starting again is recovery.
 */
#include "node/loads.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "node/load_runs.h"
#include "sdk/body.h"

/* A read that fails is repeated this often, RETRY_MS apart: five seconds, longer than any checkpoint or backup holds readers up. */
#define ATTEMPTS_MAX 100
#define RETRY_MS 50
/* More steps than any limit lets a run have. */
#define ROWS_MAX 100000

struct load {
    struct sg_store_task task;
    struct sg_loads *loads;
    enum sg_message_kind kind;
    struct sg_id run_id; /* or that of a cancellation */
    int64_t position;
    int64_t job_id;
};

struct step_node {
    struct step_node *next;
    struct sg_loaded_step step;
};
struct steps {
    struct sg_arena *arena;
    struct step_node *first;
    struct step_node *last;
    size_t count;
};

static enum sg_status start(struct sg_loads *loads, const struct load *template);
static void do_load(void *context, struct sg_store_reader *reader);
static enum sg_status attempt(const struct load *load, struct sg_store_reader *reader, struct sg_message *message, struct sg_error *error);
static enum sg_status read_steps(const struct load *load, struct sg_store_reader *reader, struct sg_message *message,
                                 struct sg_error *error);
static enum sg_status collect_step(void *context, const struct sg_record *record);
static enum sg_status read_event(const struct load *load, struct sg_store_reader *reader, struct sg_message *message,
                                 struct sg_error *error);
static bool is_passing(enum sg_status status);
static void die_of_memory(void);

enum sg_status sg_loads_run(struct sg_loads *loads, struct sg_id run_id)
{
    return start(loads, &(struct load){.loads = loads, .kind = SG_MESSAGE_LOADED_RUN, .run_id = run_id});
}

enum sg_status sg_loads_runs(struct sg_loads *loads, struct sg_id cancellation_id)
{
    return start(loads, &(struct load){.loads = loads, .kind = SG_MESSAGE_LOADED_RUNS, .run_id = cancellation_id});
}

enum sg_status sg_loads_event(struct sg_loads *loads, int64_t position, struct sg_id run_id, int64_t job_id)
{
    return start(loads,
                 &(struct load){.loads = loads, .kind = SG_MESSAGE_LOADED_EVENT, .position = position, .run_id = run_id, .job_id = job_id});
}

static enum sg_status start(struct sg_loads *loads, const struct load *template)
{
    struct load *load = sg_malloc(sizeof(*load));
    if (load == NULL)
        return SG_NO_MEMORY;
    *load = *template;
    load->task = (struct sg_store_task){NULL, do_load, load};
    if (!sg_store_pool_run(loads->pool, &load->task)) {
        sg_free(load);
        return SG_SHUTTING_DOWN;
    }
    return SG_OK;
}

static void do_load(void *context, struct sg_store_reader *reader)
{
    struct load *load = context;
    struct sg_message *message = NULL;
    struct sg_error error = {.status = SG_OK};
    enum sg_status status = SG_OK;
    struct timespec pause = {0, RETRY_MS * 1000000L};

    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        message = sg_message_create(load->kind);
        if (message == NULL)
            die_of_memory();
        error.message[0] = '\0';
        status = attempt(load, reader, message, &error);
        if (status == SG_NO_MEMORY)
            die_of_memory();
        if (!is_passing(status) || i == ATTEMPTS_MAX - 1)
            break;
        sg_message_free(message);
    }
    if (status != SG_OK)
        sg_log(SG_LOG_WARN, "a load failed", SG_KV_ULID("run", load->run_id), SG_KV_INT("position", load->position), SG_KV_ERROR(&error),
               SG_KV_TEXT("status", sg_status_code(status)));
    if (load->kind == SG_MESSAGE_LOADED_RUN) {
        message->as.loaded_run.run_id = load->run_id;
        message->as.loaded_run.status = status;
    } else if (load->kind == SG_MESSAGE_LOADED_RUNS) {
        message->as.loaded_runs.id = load->run_id;
        message->as.loaded_runs.status = status;
    } else {
        message->as.loaded_event.position = load->position;
        message->as.loaded_event.run_id = load->run_id;
        message->as.loaded_event.job_id = load->job_id;
        message->as.loaded_event.status = status;
    }
    sg_inbox_post_internal(load->loads->inbox, message);
    sg_free(load);
}

static enum sg_status attempt(const struct load *load, struct sg_store_reader *reader, struct sg_message *message, struct sg_error *error)
{
    enum sg_status status = sg_store_reader_begin(reader, error);
    if (status != SG_OK)
        return status;
    if (load->kind == SG_MESSAGE_LOADED_RUN)
        status = read_steps(load, reader, message, error);
    else if (load->kind == SG_MESSAGE_LOADED_RUNS)
        status = sg_load_runs(reader, load->run_id, message, error);
    else
        status = read_event(load, reader, message, error);
    sg_store_reader_end(reader);
    return status;
}

static enum sg_status read_steps(const struct load *load, struct sg_store_reader *reader, struct sg_message *message,
                                 struct sg_error *error)
{
    struct steps steps = {.arena = &message->arena};
    struct sg_query query = {.kind = SG_KIND_STEP, .index = SG_INDEX_KEY, .equal_count = 1, .limit = ROWS_MAX};
    query.equal[0] = sg_value_id(&load->run_id);
    enum sg_status status = sg_store_read(reader, &query, collect_step, &steps, error);
    if (status != SG_OK || steps.count == 0)
        return status;

    struct sg_loaded_step *array = sg_arena_alloc(&message->arena, steps.count * sizeof(*array));
    if (array == NULL)
        return SG_NO_MEMORY;
    size_t count = 0;
    for (const struct step_node *node = steps.first; node != NULL; node = node->next)
        array[count++] = node->step;
    message->as.loaded_run.steps = array;
    message->as.loaded_run.step_count = count;
    return SG_OK;
}

static enum sg_status collect_step(void *context, const struct sg_record *record)
{
    struct steps *steps = context;
    struct step_node *node = sg_arena_alloc(steps->arena, sizeof(*node));
    if (node == NULL)
        return SG_NO_MEMORY;
    const struct sg_value *values = record->values;
    *node = (struct step_node){.step = {
                                   .id = sg_arena_copy(steps->arena, values[SG_STEP_ID].bytes),
                                   .name = sg_arena_copy(steps->arena, values[SG_STEP_NAME].bytes),
                                   .op = (int)values[SG_STEP_OP].number,
                                   .status = (int)values[SG_STEP_STATUS].number,
                                   .flags = (int)values[SG_STEP_FLAGS].number,
                                   .attempts = (int)values[SG_STEP_ATTEMPTS].number,
                                   .started_at_ms = values[SG_STEP_STARTED_AT].number,
                                   .ended_at_ms = values[SG_STEP_ENDED_AT].is_null ? 0 : values[SG_STEP_ENDED_AT].number,
                               }};
    if (node->step.id.ptr == NULL || node->step.name.ptr == NULL)
        return SG_NO_MEMORY;
    if (steps->last != NULL)
        steps->last->next = node;
    else
        steps->first = node;
    steps->last = node;
    steps->count++;
    return SG_OK;
}

struct key_node {
    struct key_node *next;
    struct sg_known_key known;
};
struct keys {
    struct sg_arena *arena;
    struct key_node *first;
    size_t count;
    int64_t now_ms;
};

static enum sg_status collect_key(void *context, const struct sg_record *record)
{
    struct keys *keys = context;
    if (record->values[SG_IDEMPOTENCY_EXPIRES_AT].number <= keys->now_ms)
        return SG_OK;
    struct key_node *node = sg_arena_alloc(keys->arena, sizeof(*node));
    if (node == NULL)
        return SG_NO_MEMORY;
    node->known.key = sg_value_get_id(&record->values[SG_IDEMPOTENCY_KEY]);
    node->known.function_id = sg_value_get_id(&record->values[SG_IDEMPOTENCY_FUNCTION_ID]);
    node->next = keys->first;
    keys->first = node;
    keys->count++;
    return SG_OK;
}

/* Which functions have had a run for the event's id. */
static enum sg_status read_known(const struct load *load, struct sg_store_reader *reader, struct sg_message *message,
                                 struct sg_error *error)
{
    struct keys keys = {.arena = &message->arena};
    if (load->loads->clock != NULL)
        keys.now_ms = sg_clock_now_ms(load->loads->clock);
    struct sg_query query = {.kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_KEY, .equal_count = 1, .limit = ROWS_MAX};
    query.equal[0] = sg_value_id(&message->as.loaded_event.key);
    enum sg_status status = sg_store_read(reader, &query, collect_key, &keys, error);
    if (status != SG_OK || keys.count == 0)
        return status;
    struct sg_known_key *known = sg_arena_alloc(&message->arena, keys.count * sizeof(*known));
    if (known == NULL)
        return SG_NO_MEMORY;
    size_t count = 0;
    for (const struct key_node *node = keys.first; node != NULL; node = node->next)
        known[count++] = node->known;
    message->as.loaded_event.known = known;
    message->as.loaded_event.known_count = count;
    return SG_OK;
}

static enum sg_status read_event(const struct load *load, struct sg_store_reader *reader, struct sg_message *message,
                                 struct sg_error *error)
{
    struct sg_buf body = {0};
    enum sg_status status = sg_event_read(reader, load->position, &body, error);
    if (status == SG_OK && body.is_failed)
        status = SG_NO_MEMORY;
    if (status == SG_OK) {
        message->as.loaded_event.body = sg_arena_copy(&message->arena, sg_buf_str(&body));
        if (message->as.loaded_event.body.ptr == NULL)
            status = SG_NO_MEMORY;
    }
    sg_buf_free(&body);
    if (status == SG_OK && !sg_id_is_null(load->run_id))
        return SG_OK; /* a run needs nothing but the bytes */
    struct sg_record record;
    struct sg_value position = sg_value_int(load->position);
    if (status == SG_OK)
        status = sg_store_get(reader, SG_KIND_EVENT, &position, &message->arena, &record, error);
    if (status != SG_OK)
        return status;
    message->as.loaded_event.internal_id = sg_value_get_id(&record.values[SG_EVENT_INTERNAL_ID]);
    if (record.values[SG_EVENT_BODY].is_null)
        return SG_OK; /* a lifecycle event: it is sent once */

    struct sg_str id;
    status = sg_json_to_str(sg_json_get(message->as.loaded_event.body, SG_STR("id")), &message->arena, &id);
    if (status == SG_OK) {
        message->as.loaded_event.key = sg_event_key(id);
        status = read_known(load, reader, message, error);
    }
    return status == SG_INVALID_JSON ? sg_error_set(error, SG_STORE_CORRUPT, "the stored event has no id") : status;
}

static bool is_passing(enum sg_status status)
{
    return status == SG_STORE_BUSY || status == SG_STORE_FULL || status == SG_STORE_IO;
}

static void die_of_memory(void)
{
    sg_log(SG_LOG_ERROR, "out of memory while loading for the engine; ending, so that the next start recovers from what is on disk");
    _exit(3);
}
