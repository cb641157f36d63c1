/*
 * Bulk cancellations over HTTP: /v1/cancellations (reference/03 §3.6, reference/04 §14.6).
 *
 * The model. POST is answered when the cancellation is on disk, long before it has been through a million runs; GET shows how far it has come. With
 * `"dry_run": true` it counts the runs that it would cancel. All that is wrong with a request is told at once, a sentence a line. Beyond the members that
 * the protocol has, an object says `status`, `progress`, `ended_at` and `error`.
 *
 * What `function_id` means is decided by the engine: the slug, or what stands behind the app's name in it.
 */
#include <stepgate/engine.h>
#include <stepgate/json.h>

#include "base/duration.h"
#include "sdk/expression.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"

/* A window may end so far in the future: clocks differ (reference/03 §3.6). */
#define CLOCK_SLACK_MS 5000

/* ---- as JSON ---- */

/* The function, as it is in force: its latest version is the first one read. */
struct function {
    struct sg_id id;
    struct sg_id app_id;
    struct sg_str slug;
    struct sg_arena *arena;
};

static enum sg_status visit_function(void *context, const struct sg_record *record)
{
    struct function *function = context;

    function->app_id = sg_value_get_id(&record->values[SG_FUNCTION_APP_ID]);
    function->slug = sg_arena_copy(function->arena, record->values[SG_FUNCTION_SLUG].bytes);
    return function->slug.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

static enum sg_status find_function(struct sg_store_reader *reader, struct sg_id id, struct function *function, struct sg_error *error)
{
    struct sg_query query = {.kind = SG_KIND_FUNCTION, .index = SG_INDEX_KEY, .equal_count = 1, .is_descending = true, .limit = 1};

    if (function->slug.ptr != NULL && sg_id_eq(function->id, id))
        return SG_OK; /* most are of the same one */
    function->id = id;
    function->app_id = (struct sg_id){{0}};
    function->slug = SG_STR("");
    query.equal[0] = sg_value_id(&function->id);
    return sg_store_read(reader, &query, visit_function, function, error);
}

static void append_progress(struct sg_buf *out, const struct sg_value *values)
{
    bool is_dry_run = values[SG_CANCELLATION_IS_DRY_RUN].number != 0;
    int64_t matched = values[SG_CANCELLATION_MATCHED].number;

    sg_buf_append(out, SG_STR("\"progress\":{"));
    sg_json_member_int(out, "cancelled", is_dry_run ? 0 : matched);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "examined", values[SG_CANCELLATION_EXAMINED].number);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "matched", matched);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "total", values[SG_CANCELLATION_TOTAL].number);
    sg_buf_append(out, SG_STR("},"));
}

static void append_cancellation(struct sg_buf *out, const struct sg_value *values, const struct function *function)
{
    bool has_ended = !values[SG_CANCELLATION_ENDED_AT].is_null;
    bool has_failed = !values[SG_CANCELLATION_ERROR].is_null;

    sg_buf_append(out, SG_STR("{\"account_id\":\"" SG_ACCOUNT_ID "\","));
    sg_json_member_uuid(out, "app_id", function->app_id);
    sg_buf_append(out, SG_STR(",\"cause\":\"API\","));
    sg_json_member_time(out, "created_at", values[SG_CANCELLATION_CREATED_AT].number);
    sg_buf_append(out, values[SG_CANCELLATION_IS_DRY_RUN].number != 0 ? SG_STR(",\"dry_run\":true,") : SG_STR(",\"dry_run\":false,"));
    sg_json_member_moment(out, "ended_at", has_ended ? values[SG_CANCELLATION_ENDED_AT].number : 0);
    sg_buf_append(out, SG_STR(",\"environment_id\":\"" SG_ENVIRONMENT_ID "\","));
    if (has_failed) {
        sg_json_member_str(out, "error", values[SG_CANCELLATION_ERROR].bytes);
        sg_buf_byte(out, ',');
    }
    sg_json_member_str(out, "function_id", function->slug);
    sg_buf_byte(out, ',');
    sg_json_member_uuid(out, "function_internal_id", function->id);
    sg_buf_byte(out, ',');
    sg_json_member_ulid(out, "id", sg_value_get_id(&values[SG_CANCELLATION_ID]));
    sg_buf_byte(out, ',');
    if (!values[SG_CANCELLATION_EXPRESSION].is_null) {
        sg_json_member_str(out, "if", values[SG_CANCELLATION_EXPRESSION].bytes);
        sg_buf_byte(out, ',');
    }
    sg_buf_append(out, SG_STR("\"kind\":\"bulk_run\",\"name\":null,"));
    append_progress(out, values);
    if (!values[SG_CANCELLATION_STARTED_AFTER].is_null) {
        sg_json_member_time(out, "started_after", values[SG_CANCELLATION_STARTED_AFTER].number);
        sg_buf_byte(out, ',');
    }
    sg_json_member_time(out, "started_before", values[SG_CANCELLATION_STARTED_BEFORE].number);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "status", has_failed ? SG_STR("failed") : has_ended ? SG_STR("completed") : SG_STR("running"));
    sg_buf_byte(out, '}');
}

/* ---- showing ---- */

static bool read_id(struct sg_request *request, struct sg_id *id)
{
    if (sg_ulid_parse(request->parameters[0], id))
        return true;
    sg_respond_error(request, 400, NULL, "Invalid cancellation ID");
    return false;
}

/* The one whose id is in request->state. */
static void read_one(struct sg_request *request, struct sg_store_reader *reader)
{
    struct function function = {.arena = &request->arena};
    struct sg_error error = {.message = ""};
    struct sg_record record;
    struct sg_value key = sg_value_id(request->state);

    enum sg_status status = sg_store_get(reader, SG_KIND_CANCELLATION, &key, &request->arena, &record, &error);
    if (status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, NULL, "Cancellation not found");
        return;
    }
    if (status == SG_OK)
        status = find_function(reader, sg_value_get_id(&record.values[SG_CANCELLATION_FUNCTION_ID]), &function, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    append_cancellation(sg_respond_envelope_begin(request), record.values, &function);
    sg_respond_envelope_end(request, 0);
}

static void show_one(struct sg_request *request, struct sg_id id)
{
    struct sg_id *own = sg_arena_alloc(&request->arena, sizeof(*own));

    if (own == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    *own = id;
    request->state = own;
    sg_request_read(request, read_one);
}

void sg_handle_cancellation_get(struct sg_request *request)
{
    struct sg_id id;

    if (read_id(request, &id))
        show_one(request, id);
}

/* Records within a read are valid for its visit only, and the functions' names are another read: copies are kept. */
struct list {
    struct sg_arena *arena;
    struct sg_record *records;
    size_t count;
};

static enum sg_status visit_cancellation(void *context, const struct sg_record *record)
{
    struct list *list = context;
    struct sg_record *own = &list->records[list->count++];

    *own = *record;
    for (int column = 0; column < SG_CANCELLATION_COLUMNS; column++) {
        if (record->values[column].bytes.ptr == NULL)
            continue;
        own->values[column].bytes = sg_arena_copy(list->arena, record->values[column].bytes);
        if (own->values[column].bytes.ptr == NULL)
            return SG_NO_MEMORY;
    }
    return SG_OK;
}

static void read_list(struct sg_request *request, struct sg_store_reader *reader)
{
    struct list list = {.arena = &request->arena};
    struct function function = {.arena = &request->arena};
    struct sg_error error = {.message = ""};
    struct sg_query query = {.kind = SG_KIND_CANCELLATION, .index = SG_INDEX_KEY, .is_descending = true, .limit = SG_LIMIT_CANCELLATIONS};

    list.records = sg_arena_alloc(&request->arena, SG_LIMIT_CANCELLATIONS * sizeof(*list.records));
    enum sg_status status = list.records != NULL ? sg_store_read(reader, &query, visit_cancellation, &list, &error) : SG_NO_MEMORY;
    struct sg_buf *out = sg_respond_envelope_begin(request);
    sg_buf_byte(out, '[');
    for (size_t index = 0; index < list.count && status == SG_OK; index++) {
        const struct sg_value *values = list.records[index].values;
        status = find_function(reader, sg_value_get_id(&values[SG_CANCELLATION_FUNCTION_ID]), &function, &error);
        if (index > 0)
            sg_buf_byte(out, ',');
        append_cancellation(out, values, &function);
    }
    sg_buf_byte(out, ']');
    if (status == SG_OK)
        sg_respond_envelope_end(request, 0);
    else
        sg_respond_status(request, status, error.message);
}

void sg_handle_cancellations_list(struct sg_request *request)
{
    sg_request_read(request, read_list);
}

/* ---- making one ---- */

/* What is wrong with a request: a sentence a line. */
struct problems {
    struct sg_buf text;
    bool is_out_of_memory;
};

static void complain(struct problems *problems, const char *sentence)
{
    if (problems->text.len > 0)
        sg_buf_byte(&problems->text, '\n');
    sg_buf_append(&problems->text, sg_str_from(sentence));
}

/* A text member; empty if it is absent, null or no text. */
static struct sg_str text_of(struct problems *problems, struct sg_str object, const char *key, struct sg_arena *arena)
{
    struct sg_str value = sg_json_get(object, sg_str_from(key));
    enum sg_json_kind kind = sg_json_kind_of(value);
    struct sg_str text = SG_STR_NULL;

    if (kind == SG_JSON_STRING) {
        problems->is_out_of_memory |= sg_json_to_str(value, arena, &text) != SG_OK;
    } else if (kind != SG_JSON_ABSENT && kind != SG_JSON_NULL) {
        if (problems->text.len > 0)
            sg_buf_byte(&problems->text, '\n');
        sg_buf_printf(&problems->text, "%s must be a string", key);
    }
    return text;
}

/* False if it is absent, or no moment. */
static bool moment_of(struct problems *problems, struct sg_str object, const char *key, struct sg_arena *arena, int64_t *unix_ms)
{
    struct sg_str text = text_of(problems, object, key, arena);

    *unix_ms = 0;
    if (text.len == 0 || sg_date_parse(text, unix_ms))
        return text.len > 0;
    if (problems->text.len > 0)
        sg_buf_byte(&problems->text, '\n');
    sg_buf_printf(&problems->text, "%s is no time as in 2026-01-02T03:04:05Z", key);
    return false;
}

static void judge(struct problems *problems, struct sg_str object, struct sg_message *message)
{
    struct sg_arena *arena = &message->arena;
    struct sg_error error;
    bool is_dry_run = false;

    message->as.cancel_runs.app = text_of(problems, object, "app_id", arena);
    message->as.cancel_runs.function = text_of(problems, object, "function_id", arena);
    if (message->as.cancel_runs.app.len == 0)
        complain(problems, "app_id is required");
    if (message->as.cancel_runs.function.len == 0)
        complain(problems, "function_id is required");
    size_t before = problems->text.len;
    bool has_before = moment_of(problems, object, "started_before", arena, &message->as.cancel_runs.before_ms);
    if (!has_before && problems->text.len == before)
        complain(problems, "started_before is required");
    if (has_before && message->as.cancel_runs.before_ms > sg_server_wall_ms() + CLOCK_SLACK_MS)
        complain(problems, "started_before must be in the past");
    if (moment_of(problems, object, "started_after", arena, &message->as.cancel_runs.after_ms) && has_before &&
        message->as.cancel_runs.after_ms >= message->as.cancel_runs.before_ms)
        complain(problems, "started_after must be before started_before");
    message->as.cancel_runs.expression = text_of(problems, object, "if", arena);
    if (message->as.cancel_runs.expression.len > 0) {
        enum sg_status status = sg_expression_check(message->as.cancel_runs.expression, SG_EXPRESSION_CONDITION, &error);
        problems->is_out_of_memory |= status == SG_NO_MEMORY;
        if (status != SG_OK) {
            complain(problems, "invalid expression: ");
            sg_buf_append(&problems->text, sg_str_from(error.message));
        }
    }
    struct sg_str dry_run = sg_json_get(object, SG_STR("dry_run"));
    enum sg_json_kind kind = sg_json_kind_of(dry_run);
    if (kind == SG_JSON_BOOL)
        is_dry_run = sg_str_eq(dry_run, SG_STR("true"));
    else if (kind != SG_JSON_ABSENT && kind != SG_JSON_NULL)
        complain(problems, "dry_run must be true or false");
    message->as.cancel_runs.is_dry_run = is_dry_run;
}

static void on_begun(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_OK)
        show_one(request, reply->id);
    else if (reply->status == SG_NOT_FOUND)
        sg_respond_error(request, 404, NULL, "function not found");
    else
        sg_respond_status(request, reply->status, reply->message);
}

void sg_handle_cancellations_post(struct sg_request *request)
{
    struct problems problems = {.is_out_of_memory = false};
    struct sg_str object = SG_STR_NULL; /* the message's own: plain texts are read in place */
    struct sg_error error = {.message = ""};
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL_RUNS);

    enum sg_status status = SG_NO_MEMORY;
    if (message != NULL)
        status = sg_json_canonical_keep(sg_buf_str(&request->body), &request->body, &message->arena, &object, &error);
    if (status == SG_OK && sg_json_kind_of(object) != SG_JSON_OBJECT)
        status = sg_error_set(&error, SG_INVALID_JSON, "the body must be a JSON object");
    if (status == SG_OK)
        judge(&problems, object, message);
    if (status == SG_OK && (problems.is_out_of_memory || problems.text.is_failed))
        status = SG_NO_MEMORY;
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
    } else if (problems.text.len > 0) {
        sg_respond_error(request, 400, NULL, "%.*s", SG_FMT(sg_buf_str(&problems.text)));
    } else {
        sg_request_post(request, message, on_begun);
        message = NULL;
    }
    sg_message_free(message);
    sg_buf_free(&problems.text);
}

/* ---- deleting one ---- */

static void on_dropped(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, NULL, "Cancellation not found");
    } else if (reply->status != SG_OK) {
        sg_respond_status(request, reply->status, reply->message);
    } else {
        sg_buf_append(sg_respond_envelope_begin(request), SG_STR("{\"ok\":true}"));
        sg_respond_envelope_end(request, 0);
    }
}

void sg_handle_cancellation_delete(struct sg_request *request)
{
    struct sg_id id;

    if (!read_id(request, &id))
        return;
    struct sg_message *message = sg_message_create(SG_MESSAGE_DROP_CANCELLATION);
    if (message == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    message->as.cancellation.id = id;
    sg_request_post(request, message, on_dropped);
}
