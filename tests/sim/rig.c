/*
 * The rig: start-up, loads, lookups and registrations for tests of the engine.
 *
 * The model. Everything reads the store through its public interface, as the real program's threads do, at the moment of the call. Nothing is
 * kept here.
 */
#include "sim/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stepgate/json.h>

/* Rows that one read may return: more than any test has. */
#define ROWS_MAX 1000000

void rig_need(bool is_fine, const char *what)
{
    if (is_fine)
        return;
    fprintf(stderr, "the rig failed: %s\n", what);
    abort();
}

struct sg_id rig_id(const char *space, struct sg_str text)
{
    /* FNV-1a over both, with two offsets: 128 bits that never are all zero. */
    struct sg_id id;
    for (int half = 0; half < 2; half++) {
        uint64_t hash = half == 0 ? 14695981039346656037u : 1099511628211u;
        for (const char *at = space; *at != '\0'; at++)
            hash = (hash ^ (uint8_t)*at) * 1099511628211u;
        for (size_t index = 0; index < text.len; index++)
            hash = (hash ^ (uint8_t)text.ptr[index]) * 1099511628211u;
        for (int byte = 0; byte < 8; byte++)
            id.bytes[half * 8 + byte] = (uint8_t)(hash >> (56 - 8 * byte));
    }
    id.bytes[0] |= 1;
    return id;
}

/* ---- start-up ---- */

static enum sg_status hand_over(void *context, const struct sg_record *record)
{
    struct sg_error error = {0};
    return sg_engine_restore(context, record, &error);
}

static enum sg_status key_read(void *context, const struct sg_record *record)
{
    *(int64_t *)context = record->values[0].number;
    return SG_OK;
}

static enum sg_status highest_key(struct sg_store *store, enum sg_kind kind, int64_t *key)
{
    struct sg_error error = {0};
    struct sg_store_reader *reader = NULL;
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .is_descending = true, .limit = 1};
    enum sg_status status = sg_store_reader_open(store, &reader, &error);
    if (status != SG_OK)
        return status;
    status = sg_store_read(reader, &query, key_read, key, &error);
    sg_store_reader_close(reader);
    return status;
}

struct sg_engine *rig_try_restore(struct sg_store *store, const struct sg_engine_options *options, int64_t now_ms, struct sg_batch *batch)
{
    static const enum sg_kind kinds[] = SG_ENGINE_RESTORED_KINDS;
    struct sg_engine *engine = NULL;
    struct sg_error error = {0};
    int64_t last_position = 0;
    int64_t last_job_id = 0;
    enum sg_status status = sg_engine_create(options, &engine, &error);
    for (size_t index = 0; index < sizeof(kinds) / sizeof(kinds[0]) && status == SG_OK; index++)
        status = sg_store_scan(store, kinds[index], hand_over, engine, &error);
    if (status == SG_OK)
        status = highest_key(store, SG_KIND_EVENT, &last_position);
    if (status == SG_OK)
        status = highest_key(store, SG_KIND_JOB, &last_job_id);
    if (status == SG_OK)
        status = sg_engine_restored(engine, now_ms, last_position, last_job_id, batch, &error);
    rig_need(status == SG_OK || status == SG_NO_MEMORY, "an engine could not be restored");
    if (status == SG_OK)
        return engine;
    sg_engine_free(engine);
    return NULL;
}

struct sg_engine *rig_restore(struct sg_store *store, const struct sg_engine_options *options, int64_t now_ms, struct sg_batch *batch)
{
    struct sg_engine *engine = rig_try_restore(store, options, now_ms, batch);
    rig_need(engine != NULL, "no memory for an engine");
    return engine;
}

/* ---- loads ---- */

struct step_list {
    struct sg_arena *arena;
    struct sg_loaded_step *steps;
    size_t count;
    size_t capacity;
};

static enum sg_status step_collect(void *context, const struct sg_record *record)
{
    struct step_list *list = context;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct sg_loaded_step *steps = sg_arena_alloc(list->arena, capacity * sizeof(*steps));
        rig_need(steps != NULL, "no memory for steps");
        if (list->count > 0)
            memcpy(steps, list->steps, list->count * sizeof(*steps));
        list->steps = steps;
        list->capacity = capacity;
    }
    const struct sg_value *values = record->values;
    list->steps[list->count++] = (struct sg_loaded_step){
        .id = sg_arena_copy(list->arena, values[SG_STEP_ID].bytes),
        .name = sg_arena_copy(list->arena, values[SG_STEP_NAME].bytes),
        .op = (int)values[SG_STEP_OP].number,
        .status = (int)values[SG_STEP_STATUS].number,
        .flags = (int)values[SG_STEP_FLAGS].number,
        .attempts = (int)values[SG_STEP_ATTEMPTS].number,
        .started_at_ms = values[SG_STEP_STARTED_AT].number,
        .ended_at_ms = values[SG_STEP_ENDED_AT].is_null ? 0 : values[SG_STEP_ENDED_AT].number,
    };
    return SG_OK;
}

struct sg_message *rig_load_run(struct sg_store_reader *reader, struct sg_id run_id)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_LOADED_RUN);
    rig_need(message != NULL, "no memory for a message");
    struct step_list list = {.arena = &message->arena};
    struct sg_query query = {.kind = SG_KIND_STEP, .index = SG_INDEX_KEY, .equal_count = 1, .limit = ROWS_MAX};
    query.equal[0] = sg_value_id(&run_id);
    struct sg_error error = {0};
    message->as.loaded_run.run_id = run_id;
    message->as.loaded_run.status = sg_store_read(reader, &query, step_collect, &list, &error);
    message->as.loaded_run.steps = list.steps;
    message->as.loaded_run.step_count = list.count;
    return message;
}

struct sg_str rig_event_body(struct sg_store_reader *reader, int64_t position, struct sg_arena *arena)
{
    struct sg_error error = {0};
    struct sg_record event;
    struct sg_value key = sg_value_int(position);
    if (sg_store_get(reader, SG_KIND_EVENT, &key, arena, &event, &error) != SG_OK)
        return SG_STR_NULL;
    if (!event.values[SG_EVENT_BODY].is_null)
        return event.values[SG_EVENT_BODY].bytes;

    struct sg_record run;
    struct sg_id run_id = sg_value_get_id(&event.values[SG_EVENT_RUN_ID]);
    key = sg_value_id(&run_id);
    if (sg_store_get(reader, SG_KIND_RUN, &key, arena, &run, &error) != SG_OK)
        return SG_STR_NULL;
    struct sg_str blob = run.values[SG_RUN_EVENTS].bytes;
    struct sg_str *bodies = sg_arena_zalloc(arena, blob.len / 8 * sizeof(*bodies) + 1);
    rig_need(bodies != NULL, "no memory for events");
    for (size_t index = 0; index < blob.len / 8; index++) {
        uint64_t number = 0;
        for (size_t byte = 0; byte < 8; byte++)
            number = number << 8 | (uint8_t)blob.ptr[index * 8 + byte];
        bodies[index] = rig_event_body(reader, (int64_t)number, arena);
        if (bodies[index].len == 0)
            return SG_STR_NULL;
    }
    struct sg_value function_key[2] = {run.values[SG_RUN_FUNCTION_ID], run.values[SG_RUN_FUNCTION_VERSION]};
    struct sg_record function;
    if (sg_store_get(reader, SG_KIND_FUNCTION, function_key, arena, &function, &error) != SG_OK)
        return SG_STR_NULL;
    char id[SG_ULID_LEN + 1];
    bool is_finished = sg_str_eq(event.values[SG_EVENT_NAME].bytes, SG_STR("inngest/function.finished"));
    sg_ulid_format(is_finished ? sg_value_get_id(&event.values[SG_EVENT_INTERNAL_ID]) : run_id, id);
    struct sg_lifecycle lifecycle = {
        .name = event.values[SG_EVENT_NAME].bytes,
        .id = sg_str_from(id),
        .ts_ms = event.values[SG_EVENT_TS].number,
        .function_slug = function.values[SG_FUNCTION_SLUG].bytes,
        .run_id = run_id,
        .status = (enum sg_run_status)run.values[SG_RUN_STATUS].number,
        .output = run.values[SG_RUN_OUTPUT].bytes,
        .error = run.values[SG_RUN_ERROR].bytes,
        .events = bodies,
        .event_count = blob.len / 8,
    };
    struct sg_buf text = {0};
    rig_need(sg_lifecycle_render(&lifecycle, &text) == SG_OK, "no memory for a lifecycle event");
    struct sg_str copy = sg_arena_copy(arena, sg_buf_str(&text));
    sg_buf_free(&text);
    return copy;
}

/* ---- keys ---- */

struct key_list {
    struct sg_arena *arena;
    struct sg_known_key *keys;
    size_t count;
    size_t capacity;
    int64_t now_ms;
};

static enum sg_status key_collect(void *context, const struct sg_record *record)
{
    struct key_list *list = context;
    if (record->values[SG_IDEMPOTENCY_EXPIRES_AT].number <= list->now_ms)
        return SG_OK;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct sg_known_key *keys = sg_arena_alloc(list->arena, capacity * sizeof(*keys));
        rig_need(keys != NULL, "no memory for keys");
        if (list->count > 0)
            memcpy(keys, list->keys, list->count * sizeof(*keys));
        list->keys = keys;
        list->capacity = capacity;
    }
    list->keys[list->count].key = sg_value_get_id(&record->values[SG_IDEMPOTENCY_KEY]);
    list->keys[list->count].function_id = sg_value_get_id(&record->values[SG_IDEMPOTENCY_FUNCTION_ID]);
    list->count++;
    return SG_OK;
}

static void key_look_up(struct sg_store_reader *reader, struct sg_id key, struct key_list *list)
{
    struct sg_error error = {0};
    struct sg_query query = {.kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_KEY, .equal_count = 1, .limit = ROWS_MAX};
    query.equal[0] = sg_value_id(&key);
    rig_need(sg_store_read(reader, &query, key_collect, list, &error) == SG_OK, error.message);
}

static void run_look_up(struct sg_store_reader *reader, struct sg_http_run_in *in)
{
    struct sg_arena arena;
    struct sg_record run;
    struct sg_error error = {0};
    struct sg_value key = sg_value_id(&in->run_id);
    sg_arena_init(&arena);
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &key, &arena, &run, &error);
    rig_need(status == SG_OK || status == SG_NOT_FOUND, error.message);
    in->is_known = status == SG_OK;
    if (in->is_known)
        in->known_function_id = sg_value_get_id(&run.values[SG_RUN_FUNCTION_ID]);
    sg_arena_free(&arena);
}

struct sg_message *rig_http_run(struct sg_id run_id, const char *path, int retries, int64_t now_ms)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_HTTP_RUN);
    rig_need(message != NULL, "no memory for a message");
    struct sg_http_run_in *in = &message->as.http_run;
    struct sg_arena *arena = &message->arena;
    struct sg_str slug = sg_arena_printf(arena, "POST %s", path);
    char run[SG_ULID_LEN + 1];
    sg_ulid_format(run_id, run);
    in->run_id = run_id;
    in->domain = SG_STR("http://endpoint.test");
    in->app_id = rig_id("app", in->domain);
    in->sdk = SG_STR("js:v4.24.0");
    in->request_version = 2;
    struct sg_str config =
        sg_arena_printf(arena,
                        "{\"id\":\"%.*s\",\"name\":\"%.*s\",\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\","
                        "\"retries\":{\"attempts\":%d},\"runtime\":{\"type\":\"sync\",\"url\":\"http://endpoint.test%s\"}}},"
                        "\"triggers\":[]}",
                        SG_FMT(slug), SG_FMT(slug), retries, path);
    in->function = (struct sg_function_in){.id = rig_id("function", slug), .slug = slug, .name = slug, .config = config};
    in->other = in->function;
    in->other.slug = in->other.name = SG_STR("POST (other paths)");
    in->other.id = rig_id("function", in->other.slug);
    in->other.config = SG_STR("{\"id\":\"POST (other paths)\",\"triggers\":[]}");
    in->event.internal_id = rig_id("internal", sg_str_from(run));
    in->event.name = SG_STR("inngest/http.request");
    in->event.ts_ms = now_ms;
    in->event.is_id_fresh = true;
    in->event.body = sg_arena_printf(arena,
                                     "{\"data\":{\"body\":\"\",\"domain\":\"http://endpoint.test\",\"method\":\"POST\",\"path\":\"%s\"},"
                                     "\"id\":\"%s\",\"name\":\"inngest/http.request\",\"ts\":%lld}",
                                     path, run, (long long)now_ms);
    rig_need(config.ptr != NULL && in->event.body.ptr != NULL, "no memory for a run");
    return message;
}

void rig_lookup(struct sg_store_reader *reader, struct sg_message *message, int64_t now_ms, int64_t lookup_commit)
{
    if (message->kind == SG_MESSAGE_HTTP_RUN) {
        run_look_up(reader, &message->as.http_run);
        message->as.http_run.lookup_commit = lookup_commit;
        return;
    }
    struct key_list list = {.arena = &message->arena, .now_ms = now_ms};
    for (size_t index = 0; index < message->as.events.count; index++)
        if (!message->as.events.events[index].is_id_fresh)
            key_look_up(reader, message->as.events.events[index].key, &list);
    message->as.events.known = list.keys;
    message->as.events.known_count = list.count;
    message->as.events.lookup_commit = lookup_commit;
}

struct sg_message *rig_load_event(struct sg_store_reader *reader, const struct sg_effect *load, int64_t now_ms)
{
    int64_t position = load->position;
    struct sg_message *message = sg_message_create(SG_MESSAGE_LOADED_EVENT);
    rig_need(message != NULL, "no memory for a message");
    message->as.loaded_event.position = position;
    message->as.loaded_event.run_id = load->run_id;
    message->as.loaded_event.job_id = load->job_id;
    message->as.loaded_event.body = rig_event_body(reader, position, &message->arena);
    if (message->as.loaded_event.body.len == 0) {
        message->as.loaded_event.status = SG_NOT_FOUND;
        return message;
    }
    struct sg_record event;
    struct sg_value position_key = sg_value_int(position);
    struct sg_error error = {0};
    rig_need(sg_store_get(reader, SG_KIND_EVENT, &position_key, &message->arena, &event, &error) == SG_OK, error.message);
    message->as.loaded_event.internal_id = sg_value_get_id(&event.values[SG_EVENT_INTERNAL_ID]);
    struct sg_str id;
    if (!event.values[SG_EVENT_BODY].is_null &&
        sg_json_to_str(sg_json_get(message->as.loaded_event.body, SG_STR("id")), &message->arena, &id) == SG_OK) {
        struct key_list list = {.arena = &message->arena, .now_ms = now_ms};
        message->as.loaded_event.key = rig_id("event", id);
        key_look_up(reader, message->as.loaded_event.key, &list);
        message->as.loaded_event.known = list.keys;
        message->as.loaded_event.known_count = list.count;
    }
    return message;
}

/* ---- runs ---- */

struct run_list {
    struct sg_id function_id;
    struct sg_id reached;
    size_t count;
    struct sg_loaded_run runs[SG_LOADED_RUNS_MAX];
    int64_t positions[SG_LOADED_RUNS_MAX];
};

static enum sg_status run_collect(void *context, const struct sg_record *record)
{
    struct run_list *list = context;
    const struct sg_value *values = record->values;
    if (list->count == SG_LOADED_RUNS_MAX)
        return SG_TOO_MANY; /* ends the read */
    list->reached = sg_value_get_id(&values[SG_RUN_LIVE_ID]);
    if (!sg_id_eq(sg_value_get_id(&values[SG_RUN_LIVE_FUNCTION_ID]), list->function_id))
        return SG_OK;
    uint64_t position = 0;
    for (size_t byte = 0; byte < 8; byte++)
        position = position << 8 | (uint8_t)values[SG_RUN_LIVE_EVENTS].bytes.ptr[byte];
    list->positions[list->count] = (int64_t)position;
    list->runs[list->count++].id = list->reached;
    return SG_OK;
}

struct sg_message *rig_load_runs(struct sg_store_reader *reader, struct sg_id cancellation_id)
{
    static struct run_list list;
    struct sg_message *message = sg_message_create(SG_MESSAGE_LOADED_RUNS);
    rig_need(message != NULL, "no memory for a message");
    struct sg_error error = {0};
    struct sg_record record;
    struct sg_value key = sg_value_id(&cancellation_id);
    message->as.loaded_runs.id = cancellation_id;
    message->as.loaded_runs.status = sg_store_get(reader, SG_KIND_CANCELLATION, &key, &message->arena, &record, &error);
    if (message->as.loaded_runs.status != SG_OK)
        return message; /* it has been deleted */
    memset(&list, 0, sizeof(list));
    list.function_id = sg_value_get_id(&record.values[SG_CANCELLATION_FUNCTION_ID]);
    static const uint8_t lowest[10] = {0};
    struct sg_id end = sg_ulid_make(record.values[SG_CANCELLATION_STARTED_BEFORE].number + 1, lowest);
    struct sg_query query = {.kind = SG_KIND_RUN_LIVE, .index = SG_INDEX_KEY, .has_after = true, .has_before = true, .limit = ROWS_MAX};
    list.reached = sg_value_get_id(&record.values[SG_CANCELLATION_REACHED]);
    struct sg_id begin = list.reached;
    query.after = sg_value_id(&begin);
    query.before = sg_value_id(sg_id_cmp(end, cancellation_id) < 0 ? &end : &cancellation_id);
    enum sg_status status = sg_store_read(reader, &query, run_collect, &list, &error);
    rig_need(status == SG_OK || status == SG_TOO_MANY, error.message);
    message->as.loaded_runs.is_last = status == SG_OK;
    if (!record.values[SG_CANCELLATION_EXPRESSION].is_null)
        for (size_t index = 0; index < list.count; index++)
            list.runs[index].event = rig_event_body(reader, list.positions[index], &message->arena);
    message->as.loaded_runs.reached = list.reached;
    message->as.loaded_runs.run_count = list.count;
    message->as.loaded_runs.runs = sg_arena_alloc(&message->arena, sizeof(list.runs));
    rig_need(message->as.loaded_runs.runs != NULL, "no memory for runs");
    memcpy(message->as.loaded_runs.runs, list.runs, sizeof(list.runs));
    return message;
}

/* ---- comparing ---- */

struct sg_buf rig_dump(const struct sg_engine *engine)
{
    struct sg_buf text = {0};
    sg_engine_dump(engine, &text);
    rig_need(!text.is_failed, "no memory for a dump");
    return text;
}

bool rig_equals_restored(const struct sg_engine *engine, struct sg_store *store, const struct sg_engine_options *options, int64_t now_ms)
{
    struct sg_batch *batch = sg_batch_create(1);
    rig_need(batch != NULL, "no memory for a batch");
    struct sg_engine *fresh = rig_restore(store, options, now_ms, batch);
    struct sg_buf mine = rig_dump(engine);
    struct sg_buf other = rig_dump(fresh);
    bool is_equal = sg_str_eq(sg_buf_str(&mine), sg_buf_str(&other));
    if (!is_equal)
        fprintf(stderr, "---- in memory\n%.*s---- from the store\n%.*s----\n", (int)mine.len, mine.ptr, (int)other.len, other.ptr);
    struct sg_engine_stats stats;
    sg_engine_stats(fresh, &stats);
    if (stats.stray != 0 || stats.damaged != 0) {
        fprintf(stderr, "start-up found %lld stray records and %lld damaged runs\n", (long long)stats.stray, (long long)stats.damaged);
        is_equal = false;
    }
    sg_buf_free(&mine);
    sg_buf_free(&other);
    sg_batch_free(batch);
    sg_engine_free(fresh);
    return is_equal;
}

/* ---- registrations ---- */

static struct sg_str function_config(struct sg_arena *arena, const char *url, const struct rig_function *function)
{
    struct sg_buf text = {0};
    sg_buf_printf(&text, "{\"id\":\"%s\",\"revision\":%d,\"steps\":{\"step\":{", function->slug, function->revision);
    if (function->retries >= 0)
        sg_buf_printf(&text, "\"retries\":{\"attempts\":%d},", function->retries);
    sg_buf_printf(&text, "\"runtime\":{\"type\":\"http\",\"url\":\"%s?fnId=%s&stepId=step\"}}},\"triggers\":[", url, function->slug);
    const char *rest = function->event;
    while (*rest != '\0') {
        size_t len = strcspn(rest, " ");
        sg_buf_append(&text, SG_STR("{\"event\":"));
        sg_json_quote(&text, (struct sg_str){rest, len});
        if (function->expression != NULL) {
            sg_buf_append(&text, SG_STR(",\"expression\":"));
            sg_json_quote(&text, sg_str_from(function->expression));
        }
        rest += len;
        while (*rest == ' ')
            rest++;
        sg_buf_append(&text, *rest != '\0' ? SG_STR("},") : SG_STR("}"));
    }
    sg_buf_byte(&text, ']');
    if (function->settings != NULL)
        sg_buf_byte(&text, ',');
    for (const char *at = function->settings; at != NULL && *at != '\0'; at++)
        sg_buf_byte(&text, *at == '\'' ? '"' : *at);
    sg_buf_byte(&text, '}');
    rig_need(!text.is_failed, "no memory for a registration");
    struct sg_buf canonical = {0};
    struct sg_error error = {0};
    rig_need(sg_json_canonicalize(sg_buf_str(&text), NULL, &canonical, &error) == SG_OK, error.message);
    struct sg_str config = sg_arena_copy(arena, sg_buf_str(&canonical));
    sg_buf_free(&canonical);
    sg_buf_free(&text);
    return config;
}

struct sg_message *rig_registration(const char *app, const char *url, const char *checksum, const struct rig_function *functions,
                                    size_t count)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_REGISTER);
    rig_need(message != NULL, "no memory for a message");
    struct sg_arena *arena = &message->arena;
    struct sg_registration *registration = &message->as.registration;
    *registration = (struct sg_registration){
        .app_id = rig_id("app", sg_str_from(app)),
        .app_name = sg_arena_copy(arena, sg_str_from(app)),
        .url = sg_arena_copy(arena, sg_str_from(url)),
        .sdk = SG_STR("js:v4.24.0"),
        .framework = SG_STR("node"),
        .app_version = SG_STR(""),
        .checksum = sg_arena_copy(arena, sg_str_from(checksum)),
        .sync_kind = SG_STR("out_of_band"),
        .functions = sg_arena_zalloc(arena, (count + 1) * sizeof(struct sg_function_in)),
        .function_count = count,
    };
    rig_need(registration->functions != NULL, "no memory for a registration");
    for (size_t index = 0; index < count; index++) {
        struct sg_str slug = sg_arena_copy(arena, sg_str_from(functions[index].slug));
        registration->functions[index] = (struct sg_function_in){
            .id = rig_id("function", slug),
            .slug = slug,
            .name = slug,
            .config = function_config(arena, url, &functions[index]),
        };
    }
    return message;
}
