/*
 * Apps and functions: what SDKs have registered.
 *
 * The model. A registration replaces an app's list of functions as a whole (reference/01 §4.6): new ones get version 1, changed ones a higher
 * version, missing ones are archived, and come back with the next registration that has them. A function's id never changes, and
 * the struct is never freed, so runs may point to it for as long as they live. Limits (retries, URL) are read live; what a run fixed at its
 * start it keeps for itself (reference/04 §2.7).
 *
 * Functions are found by the pattern of their triggers: an event looks up its own name and one pattern for each '/' and '.' in it. Those whose trigger
 * has an expression are in an index of expressions (hundreds of onFailure handlers name a function's id each), so the cost is that of
 * the functions that match, not of those that listen or exist.
 */
#include "engine/app.h"

#include <stdlib.h>
#include <string.h>

#include <stepgate/cel.h>
#include <stepgate/json.h>

#include "base/alloc.h"
#include "engine/timeout.h"

#define ENDPOINT_KIND SG_STR("endpoint") /* app.sync_kind: nobody registered it */

static bool listeners_rebuild(struct sg_engine *engine);

/* ---- functions ---- */

static bool text_set(struct sg_arena *arena, struct sg_str *field, struct sg_str text)
{
    *field = sg_arena_copy(arena, text);
    return field->ptr != NULL;
}

static void triggers_free(struct sg_function *function)
{
    for (int index = 0; index < function->trigger_count; index++) {
        sg_cel_program_free(function->triggers[index].program);
        function->triggers[index] = (struct sg_trigger){0};
    }
    function->trigger_count = 0;
}

/* Reads one member as text; an absent one is "". */
static bool member_text(struct sg_arena *arena, struct sg_str object, struct sg_str key, struct sg_str *text)
{
    struct sg_str value = sg_json_get(object, key);
    *text = SG_STR_NULL;
    return sg_json_kind_of(value) != SG_JSON_STRING || sg_json_to_str(value, arena, text) == SG_OK;
}

/* cancelOn; the compiled text is not kept, since each run makes its own of it (wait.c). */
static bool cancels_read(struct sg_function *function)
{
    struct sg_str value;
    struct sg_json_iter iter = sg_json_iter(sg_json_get(function->config, SG_STR("cancel")));
    function->cancel_count = 0;
    while (function->cancel_count < SG_LIMIT_CANCELS_PER_FUNCTION && sg_json_next_element(&iter, &value)) {
        struct sg_cancel_on *cancel = &function->cancels[function->cancel_count++];
        if (!member_text(&function->arena, value, SG_STR("event"), &cancel->event) ||
            !member_text(&function->arena, value, SG_STR("if"), &cancel->expression) ||
            !member_text(&function->arena, value, SG_STR("timeout"), &cancel->timeout))
            return false;
    }
    return true;
}

/*
 * Reads triggers, retries and URL from function->config, which was validated when it was registered. A trigger whose expression no longer
 * compiles (the check has become stricter) never matches.
 */
static bool config_read(struct sg_function *function)
{
    struct sg_str value;
    struct sg_json_iter iter = sg_json_iter(sg_json_get(function->config, SG_STR("triggers")));
    triggers_free(function);
    while (function->trigger_count < SG_LIMIT_TRIGGERS_PER_FUNCTION && sg_json_next_element(&iter, &value)) {
        struct sg_trigger *trigger = &function->triggers[function->trigger_count];
        if (!member_text(&function->arena, value, SG_STR("event"), &trigger->event) ||
            !member_text(&function->arena, value, SG_STR("expression"), &trigger->expression))
            return false;
        if (trigger->expression.len > 0) {
            enum sg_status status = sg_cel_compile(trigger->expression, SG_CEL_CHECK_FULL, &trigger->program, NULL);
            if (status == SG_NO_MEMORY)
                return false;
            if (status != SG_OK)
                trigger->event = SG_STR_NULL;
        }
        function->trigger_count++;
    }

    struct sg_str step = SG_STR_NULL;
    struct sg_str key;
    iter = sg_json_iter(sg_json_get(function->config, SG_STR("steps")));
    if (!sg_json_next_member(&iter, &key, &step))
        step = SG_STR_NULL;
    if (!member_text(&function->arena, sg_json_get(step, SG_STR("runtime")), SG_STR("url"), &function->url))
        return false;

    if (!cancels_read(function))
        return false;
    int64_t retries = SG_DEFAULT_RETRIES;
    if (!sg_json_to_int(sg_json_get(sg_json_get(step, SG_STR("retries")), SG_STR("attempts")), &retries) &&
        !sg_json_to_int(sg_json_get(function->config, SG_STR("retries")), &retries))
        retries = SG_DEFAULT_RETRIES;
    sg_timeout_read(function);
    function->retries = (int)(retries < 0 ? 0 : retries > SG_LIMIT_RETRIES ? SG_LIMIT_RETRIES : retries);
    return true;
}

static struct sg_function *function_find_or_create(struct sg_engine *engine, struct sg_id id)
{
    struct sg_function *function = sg_map_get_id(&engine->functions, id);
    if (function != NULL)
        return function;
    function = sg_calloc(1, sizeof(*function));
    if (function == NULL)
        return NULL;
    function->magic = SG_FUNCTION_MAGIC;
    function->id = id;
    sg_arena_init(&function->arena);
    if (sg_map_add(&engine->functions, function) != SG_OK) {
        sg_free(function);
        return NULL;
    }
    return function;
}

/* Gives the function its texts anew. The old ones are freed: nothing but the table of listeners borrows them, and that is rebuilt. */
static bool function_set(struct sg_function *function, struct sg_str slug, struct sg_str name, struct sg_str config)
{
    triggers_free(function);
    sg_arena_free(&function->arena);
    sg_arena_init(&function->arena);
    return text_set(&function->arena, &function->slug, slug) && text_set(&function->arena, &function->name, name) &&
           text_set(&function->arena, &function->config, config) && config_read(function);
}

static void function_write(struct sg_turn *turn, const struct sg_function *function)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_FUNCTION);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_FUNCTION_ID] = sg_value_id(&function->id);
    values[SG_FUNCTION_VERSION] = sg_value_int(function->version);
    values[SG_FUNCTION_APP_ID] = sg_turn_id(turn, function->app->id);
    values[SG_FUNCTION_SLUG] = sg_value_bytes(sg_turn_copy(turn, function->slug));
    values[SG_FUNCTION_NAME] = sg_value_bytes(sg_turn_copy(turn, function->name));
    values[SG_FUNCTION_CONFIG] = sg_value_bytes(sg_turn_copy(turn, function->config));
    values[SG_FUNCTION_REGISTERED_AT] = sg_value_int(function->registered_at_ms);
    values[SG_FUNCTION_POSITION] = sg_value_int(function->position);
    values[SG_FUNCTION_IS_ARCHIVED] = sg_value_int(function->is_archived);
}

static void function_apply(struct sg_turn *turn, struct sg_app *app, const struct sg_function_in *in)
{
    struct sg_function *function = function_find_or_create(turn->engine, in->id);
    if (function == NULL) {
        turn->is_failed = true;
        return;
    }
    bool is_new = function->app == NULL;
    bool is_changed = is_new || function->is_archived || !sg_str_eq(function->config, in->config) || !sg_str_eq(function->name, in->name);
    if (!is_changed)
        return;
    if (is_new || function->is_archived)
        function->position = turn->engine->next_position - 1;
    if (is_new) {
        function->app = app;
        sg_list_push_back(&app->functions, &function->in_app);
    }
    function->is_archived = false;
    function->version++;
    function->registered_at_ms = turn->now_ms;
    if (!function_set(function, in->slug, in->name, in->config)) {
        turn->is_failed = true;
        return;
    }
    function_write(turn, function);
}

/* ---- apps ---- */

static struct sg_app *app_find_or_create(struct sg_engine *engine, struct sg_id id)
{
    struct sg_app *app = sg_map_get_id(&engine->apps, id);
    if (app != NULL)
        return app;
    app = sg_calloc(1, sizeof(*app));
    if (app == NULL)
        return NULL;
    app->magic = SG_APP_MAGIC;
    app->id = id;
    sg_arena_init(&app->arena);
    if (sg_map_add(&engine->apps, app) != SG_OK) {
        sg_free(app);
        return NULL;
    }
    return app;
}

static void app_write(struct sg_turn *turn, const struct sg_app *app)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_APP);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    const struct {
        int column;
        struct sg_str text;
    } texts[] = {
        {SG_APP_NAME, app->name},           {SG_APP_URL, app->url},           {SG_APP_SDK, app->sdk},
        {SG_APP_FRAMEWORK, app->framework}, {SG_APP_CHECKSUM, app->checksum}, {SG_APP_SYNC_KIND, app->sync_kind},
        {SG_APP_VERSION, app->app_version},
    };
    values[SG_APP_ID] = sg_value_id(&app->id);
    for (size_t index = 0; index < SG_ARRAY_LEN(texts); index++)
        values[texts[index].column] = sg_value_bytes(sg_turn_copy(turn, texts[index].text));
    if (app->error.len > 0)
        values[SG_APP_ERROR] = sg_value_bytes(sg_turn_copy(turn, app->error));
    values[SG_APP_SYNCED_AT] = sg_value_int(app->synced_at_ms);
    values[SG_APP_IS_ARCHIVED] = sg_value_int(app->is_archived);
}

static bool app_set(struct sg_app *app, const struct sg_registration *in, struct sg_str error)
{
    struct sg_arena old = app->arena;
    sg_arena_init(&app->arena);
    bool is_set = text_set(&app->arena, &app->name, in->app_name) && text_set(&app->arena, &app->url, in->url) &&
                  text_set(&app->arena, &app->sdk, in->sdk) && text_set(&app->arena, &app->framework, in->framework) &&
                  text_set(&app->arena, &app->app_version, in->app_version) && text_set(&app->arena, &app->checksum, in->checksum) &&
                  text_set(&app->arena, &app->sync_kind, in->sync_kind) && text_set(&app->arena, &app->error, error);
    sg_arena_free(&old);
    return is_set;
}

static void functions_archive_missing(struct sg_turn *turn, struct sg_app *app, const struct sg_registration *in)
{
    for (struct sg_list_node *node = app->functions.first; node != NULL; node = node->next) {
        struct sg_function *function = SG_CONTAINER_OF(node, struct sg_function, in_app);
        bool is_listed = false;
        for (size_t index = 0; in != NULL && index < in->function_count && !is_listed; index++)
            is_listed = sg_id_eq(in->functions[index].id, function->id);
        if (is_listed || function->is_archived)
            continue;
        function->is_archived = true;
        function_write(turn, function);
    }
}

void sg_app_register(struct sg_turn *turn, struct sg_message *message)
{
    const struct sg_registration *in = &message->as.registration;
    struct sg_engine *engine = turn->engine;
    struct sg_app *app = app_find_or_create(engine, in->app_id);
    if (app == NULL) {
        turn->is_failed = true;
        return;
    }
    bool is_same = !app->is_archived && app->error.len == 0 && app->checksum.len > 0 && sg_str_eq(app->checksum, in->checksum);
    if (!is_same) {
        struct sg_str error = in->function_count == 0 ? SG_STR("No functions registered within your app") : SG_STR("");
        if (!app_set(app, in, error)) {
            turn->is_failed = true;
            return;
        }
        app->is_archived = false;
        app->synced_at_ms = turn->now_ms;
        app_write(turn, app);
        for (size_t index = 0; index < in->function_count; index++)
            function_apply(turn, app, &in->functions[index]);
        functions_archive_missing(turn, app, in);
        if (turn->is_failed || !listeners_rebuild(engine)) {
            turn->is_failed = true;
            return;
        }
    }
    size_t effects = turn->batch->effect_count;
    sg_turn_reply(turn, message, SG_OK, "%.*s", is_same ? 0 : (int)in->unapplied.len, in->unapplied.len > 0 ? in->unapplied.ptr : "");
    if (turn->batch->effect_count > effects) {
        struct sg_reply *reply = &turn->batch->effects[effects].reply;
        reply->is_modified = !is_same;
        reply->id = app->id;
    }
}

/* ---- durable endpoints ---- */

bool sg_app_is_endpoint(const struct sg_app *app)
{
    return sg_str_eq(app->sync_kind, ENDPOINT_KIND);
}

static size_t endpoint_app_count(const struct sg_engine *engine)
{
    size_t count = 0;
    size_t cursor = 0;
    const struct sg_app *app;
    while ((app = sg_map_next(&engine->apps, &cursor)) != NULL)
        count += sg_app_is_endpoint(app);
    return count;
}

static size_t function_count(const struct sg_app *app)
{
    size_t count = 0;
    for (const struct sg_list_node *node = app->functions.first; node != NULL; node = node->next)
        count++;
    return count;
}

struct sg_function *sg_app_endpoint(struct sg_turn *turn, const struct sg_http_run_in *in)
{
    struct sg_engine *engine = turn->engine;
    struct sg_app *app = sg_map_get_id(&engine->apps, in->app_id);
    if (app == NULL && endpoint_app_count(engine) >= SG_LIMIT_HTTP_APPS)
        return NULL;
    if (app == NULL || app->is_archived || !sg_str_eq(app->sdk, in->sdk)) {
        struct sg_registration registration = {.app_name = in->domain, .url = in->domain, .sdk = in->sdk, .sync_kind = ENDPOINT_KIND};
        app = app_find_or_create(engine, in->app_id);
        if (app == NULL || !app_set(app, &registration, SG_STR(""))) {
            turn->is_failed = true;
            return NULL;
        }
        app->is_archived = false;
        app->synced_at_ms = turn->now_ms;
        app_write(turn, app);
    }
    const struct sg_function_in *wanted = &in->function;
    if (sg_map_get_id(&engine->functions, wanted->id) == NULL && function_count(app) >= SG_LIMIT_HTTP_FUNCTIONS_PER_APP)
        wanted = &in->other;
    function_apply(turn, app, wanted); /* it has no trigger, so nobody listens who did not */
    return turn->is_failed ? NULL : sg_map_get_id(&engine->functions, wanted->id);
}

/* The app with this URL or, if that is empty, this name. */
static struct sg_app *app_search(const struct sg_engine *engine, struct sg_str url, struct sg_str name)
{
    size_t cursor = 0;
    struct sg_app *app;
    while ((app = sg_map_next(&engine->apps, &cursor)) != NULL)
        if (url.len > 0 ? sg_str_eq(app->url, url) : sg_str_eq(app->name, name))
            return app;
    return NULL;
}

void sg_app_sync_failed(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_app *app = app_search(turn->engine, message->as.sync_failed.url, message->as.sync_failed.name);
    struct sg_str text = message->as.sync_failed.text;
    if (app != NULL && !app->is_archived && !sg_str_eq(app->error, text)) {
        app->error = sg_arena_copy(&app->arena, text);
        if (app->error.ptr == NULL)
            turn->is_failed = true;
        else
            app_write(turn, app);
    }
    sg_turn_reply(turn, message, app != NULL ? SG_OK : SG_NOT_FOUND, "%s", app != NULL ? "" : "no such app");
}

void sg_app_remove(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_app *app = app_search(turn->engine, message->as.remove_app.url, message->as.remove_app.name);
    if (app == NULL || app->is_archived) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "App not found: %.*s", SG_FMT(message->as.remove_app.url));
        return;
    }
    app->is_archived = true;
    app_write(turn, app);
    functions_archive_missing(turn, app, NULL);
    if (!listeners_rebuild(turn->engine))
        turn->is_failed = true;
    sg_turn_reply(turn, message, SG_OK, "%s", "");
}

/* ---- who listens ---- */

static void listeners_clear(struct sg_engine *engine)
{
    size_t cursor = 0;
    struct sg_listener *listener;
    while ((listener = sg_map_next(&engine->listeners, &cursor)) != NULL) {
        sg_cel_index_free(listener->conditional);
        sg_free(listener->functions);
        sg_free(listener);
    }
    sg_map_free(&engine->listeners);
    sg_map_free(&engine->slugs);
}

static struct sg_listener *listener_find_or_create(struct sg_engine *engine, struct sg_str pattern)
{
    struct sg_listener *listener = sg_map_get_str(&engine->listeners, pattern);
    if (listener != NULL)
        return listener;
    listener = sg_calloc(1, sizeof(*listener));
    if (listener == NULL)
        return NULL;
    listener->pattern = pattern;
    if (sg_map_add(&engine->listeners, listener) != SG_OK) {
        sg_free(listener);
        return NULL;
    }
    return listener;
}

static bool listener_add(struct sg_engine *engine, const struct sg_trigger *trigger, struct sg_function *function)
{
    struct sg_listener *listener = listener_find_or_create(engine, trigger->event);
    if (listener == NULL)
        return false;
    if (trigger->program != NULL) {
        struct sg_cel_waiter *waiter;
        if (listener->conditional == NULL && sg_cel_index_create(SG_CEL_SUBJECT_EVENT, &listener->conditional) != SG_OK)
            return false;
        return sg_cel_index_add(listener->conditional, trigger->program, function, &waiter) == SG_OK;
    }
    if (listener->count == listener->capacity) {
        size_t capacity = listener->capacity == 0 ? 2 : listener->capacity * 2;
        struct sg_function **functions = sg_realloc(listener->functions, capacity * sizeof(*functions));
        if (functions == NULL)
            return false;
        listener->functions = functions;
        listener->capacity = capacity;
    }
    listener->functions[listener->count++] = function;
    return true;
}

static bool listeners_rebuild(struct sg_engine *engine)
{
    listeners_clear(engine);
    size_t cursor = 0;
    struct sg_function *function;
    while ((function = sg_map_next(&engine->functions, &cursor)) != NULL) {
        if (function->is_archived || function->app == NULL || function->app->is_archived)
            continue;
        if (sg_map_add(&engine->slugs, function) == SG_NO_MEMORY) /* of two with one slug, one is found by it */
            return false;
        for (int index = 0; index < function->trigger_count; index++)
            if (function->triggers[index].event.len > 0 && !listener_add(engine, &function->triggers[index], function))
                return false;
    }
    return true;
}

/* Calls `visit` for the listeners of every pattern that covers the name; stops when it returns false. */
static bool patterns_visit(const struct sg_engine *engine, struct sg_str name, bool (*visit)(void *, const struct sg_listener *),
                           void *context)
{
    const struct sg_listener *listener = sg_map_get_str(&engine->listeners, name);
    if (listener != NULL && !visit(context, listener))
        return false;
    char pattern[SG_LIMIT_EVENT_NAME_BYTES + 2];
    if (name.len > SG_LIMIT_EVENT_NAME_BYTES)
        return true;
    for (size_t index = 0; index < name.len; index++) {
        pattern[index] = name.ptr[index];
        if (name.ptr[index] != '/' && name.ptr[index] != '.')
            continue;
        pattern[index + 1] = '*';
        if (index + 2 == name.len && name.ptr[index + 1] == '*')
            continue; /* the name itself */
        listener = sg_map_get_str(&engine->listeners, (struct sg_str){pattern, index + 2});
        if (listener != NULL && !visit(context, listener))
            return false;
    }
    return true;
}

/* False, which ends the visit, at the first pattern that somebody listens to: an entry of the table never is empty. */
static bool is_nobody(void *context, const struct sg_listener *listener)
{
    (void)context;
    (void)listener;
    return false;
}

bool sg_app_has_listener(const struct sg_engine *engine, struct sg_str event_name)
{
    return !patterns_visit(engine, event_name, is_nobody, NULL);
}

struct collection {
    struct sg_turn *turn;
    struct sg_str body;
    int64_t position;
    bool is_parsed;
    struct sg_cel_document document;
    struct sg_function **functions;
    size_t count;
    size_t capacity;
};

static bool function_collect(void *context, void *owner)
{
    struct collection *collection = context;
    struct sg_function *function = owner;
    if (function->position >= collection->position)
        return true; /* registered after the event */
    if (collection->count == collection->capacity) {
        size_t capacity = collection->capacity == 0 ? 16 : collection->capacity * 2;
        struct sg_function **functions = sg_arena_alloc(&collection->turn->engine->scratch, capacity * sizeof(struct sg_function *));
        if (functions == NULL) {
            collection->turn->is_failed = true;
            return false;
        }
        if (collection->count > 0)
            memcpy(functions, collection->functions, collection->count * sizeof(struct sg_function *));
        collection->functions = functions;
        collection->capacity = capacity;
    }
    collection->functions[collection->count++] = function;
    return true;
}

/* The event as expressions see it, parsed once. The edge has made it canonical, so only memory can run out. */
static bool document_parse(struct collection *collection)
{
    if (!collection->is_parsed)
        collection->is_parsed =
            sg_cel_document_parse_event(collection->body, &collection->turn->engine->scratch, &collection->document, NULL) == SG_OK;
    if (!collection->is_parsed)
        collection->turn->is_failed = true;
    return collection->is_parsed;
}

static bool collect(void *context, const struct sg_listener *listener)
{
    struct collection *collection = context;
    for (size_t index = 0; index < listener->count; index++)
        if (!function_collect(collection, listener->functions[index]))
            return false;
    if (listener->conditional == NULL)
        return true;
    if (!document_parse(collection))
        return false;
    struct sg_cel_scope scope = {.event = &collection->document, .now_ms = collection->turn->now_ms};
    if (sg_cel_index_match(listener->conditional, &scope, function_collect, collection) != SG_OK)
        collection->turn->is_failed = true;
    return !collection->turn->is_failed;
}

static int function_cmp(const void *left, const void *right)
{
    const struct sg_function *const *a = left;
    const struct sg_function *const *b = right;
    return sg_id_cmp((*a)->id, (*b)->id);
}

struct sg_function **sg_app_listeners(struct sg_turn *turn, struct sg_str event_name, struct sg_str body, int64_t position, size_t *count)
{
    struct collection collection = {.turn = turn, .body = body, .position = position};
    *count = 0;
    patterns_visit(turn->engine, event_name, collect, &collection);
    if (turn->is_failed)
        return NULL;
    if (collection.count > 1)
        qsort(collection.functions, collection.count, sizeof(*collection.functions), function_cmp);
    for (size_t index = 0; index < collection.count; index++)
        if (index == 0 || collection.functions[index] != collection.functions[index - 1])
            collection.functions[(*count)++] = collection.functions[index];
    return collection.functions;
}

/* ---- start-up ---- */

enum sg_status sg_app_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error)
{
    const struct sg_value *values = record->values;
    struct sg_app *app = app_find_or_create(engine, sg_value_get_id(&values[SG_APP_ID]));
    struct sg_registration in = {
        .app_name = values[SG_APP_NAME].bytes,
        .url = values[SG_APP_URL].bytes,
        .sdk = values[SG_APP_SDK].bytes,
        .framework = values[SG_APP_FRAMEWORK].bytes,
        .app_version = values[SG_APP_VERSION].bytes,
        .checksum = values[SG_APP_CHECKSUM].bytes,
        .sync_kind = values[SG_APP_SYNC_KIND].bytes,
    };
    if (app == NULL || !app_set(app, &in, values[SG_APP_ERROR].bytes))
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while restoring apps");
    app->synced_at_ms = values[SG_APP_SYNCED_AT].number;
    app->is_archived = values[SG_APP_IS_ARCHIVED].number != 0;
    return SG_OK;
}

enum sg_status sg_function_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error)
{
    const struct sg_value *values = record->values;
    struct sg_function *function = function_find_or_create(engine, sg_value_get_id(&values[SG_FUNCTION_ID]));
    if (function == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while restoring functions");
    if (function->version > values[SG_FUNCTION_VERSION].number)
        return SG_OK; /* an older version: kept for history only */
    function->version = values[SG_FUNCTION_VERSION].number;
    function->registered_at_ms = values[SG_FUNCTION_REGISTERED_AT].number;
    function->position = values[SG_FUNCTION_POSITION].number;
    sg_engine_position_seen(engine, function->position);
    function->is_archived = values[SG_FUNCTION_IS_ARCHIVED].number != 0;
    struct sg_app *app = app_find_or_create(engine, sg_value_get_id(&values[SG_FUNCTION_APP_ID]));
    if (app == NULL ||
        !function_set(function, values[SG_FUNCTION_SLUG].bytes, values[SG_FUNCTION_NAME].bytes, values[SG_FUNCTION_CONFIG].bytes))
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while restoring functions");
    if (function->app == NULL) {
        function->app = app;
        sg_list_push_back(&app->functions, &function->in_app);
    }
    return SG_OK;
}

bool sg_app_restored(struct sg_engine *engine)
{
    return listeners_rebuild(engine);
}

void sg_app_free_all(struct sg_engine *engine)
{
    listeners_clear(engine);
    size_t cursor = 0;
    struct sg_function *function;
    while ((function = sg_map_next(&engine->functions, &cursor)) != NULL) {
        triggers_free(function);
        sg_arena_free(&function->arena);
        function->magic = 0;
        sg_free(function);
    }
    sg_map_free(&engine->functions);
    cursor = 0;
    struct sg_app *app;
    while ((app = sg_map_next(&engine->apps, &cursor)) != NULL) {
        sg_arena_free(&app->arena);
        sg_heap_free(&app->line);
        app->magic = 0;
        sg_free(app);
    }
    sg_map_free(&engine->apps);
}
