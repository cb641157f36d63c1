/*
 * One run from inside: /v1/admin/runs/{run} with its steps and calls, and /v1/admin/runs/{run}/why, which asks the
 * engine what holds it (design: it explains itself).
 *
 * Steps are shown as they stand, so that asking again and again shows a run as it happens. Outputs of steps are shown
 * as far as they fit a budget; the whole of them is at /v0/runs/{run}/actions while the run lives.
 */
#include <stdlib.h>
#include <string.h>

#include <stepgate/engine.h>
#include <stepgate/json.h>

#include "base/check.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"

/* ---- steps ---- */

struct step {
    struct sg_str id;
    struct sg_str name;
    struct sg_str error;  /* empty: none */
    struct sg_str output; /* the memo; empty: none, or too large to show */
    int64_t op;
    int64_t status;
    int64_t attempts;
    int64_t started_at_ms; /* 0: not yet */
    int64_t ended_at_ms;
    int64_t seq; /* of completion; -1: none yet */
    bool has_large_output;
};

struct steps {
    struct sg_arena *arena;
    struct step *items;
    size_t count;
    size_t budget; /* bytes of outputs that may still be shown */
};

static enum sg_status visit_step(void *context, const struct sg_record *record)
{
    struct steps *steps = context;
    const struct sg_value *values = record->values;

    if ((steps->count & (steps->count - 1)) == 0) { /* a power of two: full */
        struct step *larger = sg_arena_alloc(steps->arena, (steps->count > 0 ? steps->count * 2 : 1) * sizeof(*larger));
        if (larger == NULL)
            return SG_NO_MEMORY;
        if (steps->count > 0)
            memcpy(larger, steps->items, steps->count * sizeof(*larger));
        steps->items = larger;
    }
    struct step *step = &steps->items[steps->count++];
    *step = (struct step){
        .id = sg_arena_copy(steps->arena, values[SG_STEP_ID].bytes),
        .name = sg_arena_copy(steps->arena, values[SG_STEP_NAME].bytes),
        .error = sg_arena_copy(steps->arena, values[SG_STEP_ERROR].bytes),
        .op = values[SG_STEP_OP].number,
        .status = values[SG_STEP_STATUS].number,
        .attempts = values[SG_STEP_ATTEMPTS].number,
        .started_at_ms = values[SG_STEP_STARTED_AT].number,
        .ended_at_ms = values[SG_STEP_ENDED_AT].number,
        .seq = -1,
    };
    return step->id.ptr != NULL && step->name.ptr != NULL && step->error.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

static int compare_ids(const void *key, const void *item)
{
    return sg_str_cmp(*(const struct sg_str *)key, ((const struct step *)item)->id);
}

/* Steps are in the order of their ids here, as the key of their kind is. */
static enum sg_status visit_memo(void *context, const struct sg_record *record)
{
    struct steps *steps = context;
    struct sg_str id = record->values[SG_MEMO_STEP_ID].bytes;
    struct sg_str bytes = record->values[SG_MEMO_BYTES].bytes;

    struct step *step = steps->count > 0 ? bsearch(&id, steps->items, steps->count, sizeof(*steps->items), compare_ids) : NULL;
    if (step == NULL)
        return SG_OK;
    step->seq = record->values[SG_MEMO_SEQ].number;
    if (bytes.len > steps->budget) {
        step->has_large_output = true;
        return SG_OK;
    }
    step->output = sg_arena_copy(steps->arena, bytes);
    steps->budget -= bytes.len;
    return step->output.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

/* As they happened: by start, those that have not started last. */
static int by_start(const void *a, const void *b)
{
    const struct step *one = a;
    const struct step *other = b;
    int64_t one_at = one->started_at_ms > 0 ? one->started_at_ms : INT64_MAX;
    int64_t other_at = other->started_at_ms > 0 ? other->started_at_ms : INT64_MAX;

    if (one_at != other_at)
        return one_at < other_at ? -1 : 1;
    int64_t one_seq = one->seq >= 0 ? one->seq : INT64_MAX;
    int64_t other_seq = other->seq >= 0 ? other->seq : INT64_MAX;
    if (one_seq != other_seq)
        return one_seq < other_seq ? -1 : 1;
    return sg_str_cmp(one->id, other->id);
}

/* Null until it has ended. */
static void append_duration(struct sg_buf *out, int64_t started_at_ms, int64_t ended_at_ms)
{
    if (started_at_ms > 0 && ended_at_ms > 0)
        sg_json_member_int(out, "duration_ms", ended_at_ms > started_at_ms ? ended_at_ms - started_at_ms : 0);
    else
        sg_json_member_raw(out, "duration_ms", SG_STR_NULL);
}

static void append_step(struct sg_buf *out, const struct step *step)
{
    sg_buf_byte(out, '{');
    sg_json_member_int(out, "attempts", step->attempts);
    sg_buf_byte(out, ',');
    append_duration(out, step->started_at_ms, step->ended_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_moment(out, "ended_at", step->ended_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "error", step->error);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "id", step->id);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "name", step->name);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "op", sg_str_from(sg_opcode_name((enum sg_opcode)step->op)));
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "output", step->output);
    if (step->has_large_output)
        sg_buf_append(out, SG_STR(",\"output_is_omitted\":true"));
    sg_buf_byte(out, ',');
    sg_json_member_moment(out, "started_at", step->started_at_ms);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "status", sg_str_from(sg_step_status_name((enum sg_step_status)step->status)));
    sg_buf_byte(out, '}');
}

static enum sg_status read_steps(struct sg_store_reader *reader, const struct sg_value *run_id, struct steps *steps, struct sg_error *error)
{
    struct sg_query query = {.kind = SG_KIND_STEP, .index = SG_INDEX_KEY, .equal_count = 1, .limit = SG_LIMIT_CATALOG_ROWS};

    query.equal[0] = *run_id;
    enum sg_status status = sg_store_read(reader, &query, visit_step, steps, error);
    query.kind = SG_KIND_MEMO;
    if (status == SG_OK)
        status = sg_store_read(reader, &query, visit_memo, steps, error);
    if (status == SG_OK && steps->count > 1)
        qsort(steps->items, steps->count, sizeof(*steps->items), by_start);
    return status;
}

/* ---- calls ---- */

struct attempts {
    struct sg_buf out; /* the elements of the JSON array, the latest first */
    int64_t shown;
};

static enum sg_status visit_attempt(void *context, const struct sg_record *record)
{
    struct attempts *attempts = context;
    const struct sg_value *values = record->values;
    struct sg_buf *out = &attempts->out;

    sg_buf_append(out, attempts->shown++ > 0 ? SG_STR(",{") : SG_STR("{"));
    append_duration(out, values[SG_ATTEMPT_STARTED_AT].number, values[SG_ATTEMPT_ENDED_AT].number);
    sg_buf_byte(out, ',');
    sg_json_member_moment(out, "ended_at", values[SG_ATTEMPT_ENDED_AT].number);
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "error", values[SG_ATTEMPT_ERROR].bytes);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "http_status", values[SG_ATTEMPT_HTTP_STATUS].number);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "number", values[SG_ATTEMPT_NUMBER].number);
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "ops", values[SG_ATTEMPT_OPS].number);
    sg_buf_byte(out, ',');
    sg_json_member_moment(out, "started_at", values[SG_ATTEMPT_STARTED_AT].number);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "status", values[SG_ATTEMPT_ERROR].is_null ? SG_STR("Completed") : SG_STR("Errored"));
    sg_buf_byte(out, ',');
    if (values[SG_ATTEMPT_TARGET].is_null)
        sg_json_member_raw(out, "target", SG_STR_NULL);
    else
        sg_json_member_str(out, "target", values[SG_ATTEMPT_TARGET].bytes);
    sg_buf_byte(out, '}');
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}

/* ---- the run ---- */

struct function_names {
    struct sg_arena *arena;
    struct sg_str slug;
    struct sg_str name;
};

static enum sg_status visit_names(void *context, const struct sg_record *record)
{
    struct function_names *names = context;

    names->slug = sg_arena_copy(names->arena, record->values[SG_FUNCTION_SLUG].bytes);
    names->name = sg_arena_copy(names->arena, record->values[SG_FUNCTION_NAME].bytes);
    return names->slug.ptr != NULL && names->name.ptr != NULL ? SG_OK : SG_NO_MEMORY;
}

static void append_run(struct sg_buf *out, const struct sg_record *run, const struct function_names *names)
{
    const struct sg_value *values = run->values;

    sg_buf_byte(out, '{');
    sg_json_member_time(out, "created_at", values[SG_RUN_CREATED_AT].number);
    sg_buf_byte(out, ',');
    sg_json_member_raw(out, "error", values[SG_RUN_ERROR].bytes);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "function", names->slug);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "function_name", names->name);
    sg_buf_byte(out, ',');
    if (values[SG_RUN_REASON].is_null)
        sg_json_member_raw(out, "reason", SG_STR_NULL);
    else
        sg_json_member_str(out, "reason", values[SG_RUN_REASON].bytes);
    sg_buf_byte(out, ',');
    sg_run_json_admin(out, run);
    sg_buf_byte(out, '}');
}

/* Reads everything but the run itself. */
static enum sg_status read_parts(struct sg_store_reader *reader, const struct sg_record *run, struct function_names *names,
                                 struct steps *steps, struct attempts *attempts, struct sg_error *error)
{
    struct sg_query query = {.kind = SG_KIND_FUNCTION, .index = SG_INDEX_KEY, .equal_count = 1, .is_descending = true, .limit = 1};

    query.equal[0] = run->values[SG_RUN_FUNCTION_ID];
    enum sg_status status = sg_store_read(reader, &query, visit_names, names, error);
    if (status == SG_OK)
        status = read_steps(reader, &run->values[SG_RUN_ID], steps, error);
    query.kind = SG_KIND_ATTEMPT;
    query.equal[0] = run->values[SG_RUN_ID];
    query.limit = SG_LIMIT_ADMIN_ATTEMPTS;
    if (status == SG_OK)
        status = sg_store_read(reader, &query, visit_attempt, attempts, error);
    return status;
}

static void read_admin_run(struct sg_request *request, struct sg_store_reader *reader)
{
    struct steps steps = {.arena = &request->arena, .budget = SG_LIMIT_ADMIN_OUTPUT_BYTES};
    struct attempts attempts = {.shown = 0};
    struct function_names names = {.arena = &request->arena, .slug = SG_STR(""), .name = SG_STR("")};
    struct sg_record run;
    struct sg_error error;
    struct sg_id id = {{0}};

    (void)sg_ulid_parse(request->parameters[0], &id);
    struct sg_value key = sg_value_id(&id);
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &key, &request->arena, &run, &error);
    if (status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, "not_found", "There is no run %.*s", SG_FMT(request->parameters[0]));
        return;
    }
    sg_buf_init(&attempts.out);
    if (status == SG_OK)
        status = read_parts(reader, &run, &names, &steps, &attempts, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        sg_buf_free(&attempts.out);
        return;
    }
    struct sg_buf *out = sg_respond_envelope_begin(request);
    sg_buf_append(out, SG_STR("{\"attempts\":["));
    sg_buf_append(out, sg_buf_str(&attempts.out));
    sg_buf_append(out, SG_STR("],\"run\":"));
    append_run(out, &run, &names);
    sg_buf_append(out, SG_STR(",\"steps\":["));
    for (size_t i = 0; i < steps.count; i++) {
        if (i > 0)
            sg_buf_byte(out, ',');
        append_step(out, &steps.items[i]);
    }
    sg_buf_append(out, SG_STR("]}"));
    sg_respond_envelope_end_with(request, 0, attempts.shown == SG_LIMIT_ADMIN_ATTEMPTS ? SG_STR(",\"is_partial\":true") : SG_STR_NULL);
    sg_buf_free(&attempts.out);
}

void sg_handle_admin_run(struct sg_request *request)
{
    struct sg_id id;

    if (sg_ulid_parse(request->parameters[0], &id))
        sg_request_read(request, read_admin_run);
    else
        sg_respond_error(request, 400, "invalid_argument", "Invalid run ID: %.*s", SG_FMT(request->parameters[0]));
}

/* ---- why ---- */

/* What people call the things that the engine names by their ids: it keeps neither names of steps nor conditions of waits in memory. */
struct legend {
    struct sg_buf names;
    struct sg_buf conditions;
};

static void legend_add(struct sg_buf *out, const struct sg_value *key, const struct sg_value *text)
{
    sg_buf_byte(out, out->len > 0 ? ',' : '{');
    sg_json_quote(out, key->bytes);
    sg_buf_byte(out, ':');
    sg_json_quote(out, text->bytes);
}

static enum sg_status visit_name(void *context, const struct sg_record *record)
{
    struct legend *legend = context;
    if ((record->values[SG_STEP_FLAGS].number & SG_STEP_HAS_MEMO) == 0)
        legend_add(&legend->names, &record->values[SG_STEP_ID], &record->values[SG_STEP_NAME]);
    return SG_OK;
}

static enum sg_status visit_condition(void *context, const struct sg_record *record)
{
    struct legend *legend = context;
    if (!record->values[SG_PAUSE_EXPRESSION].is_null)
        legend_add(&legend->conditions, &record->values[SG_PAUSE_STEP_ID], &record->values[SG_PAUSE_EXPRESSION]);
    return SG_OK;
}

/* The engine's answer, an object, with the legend behind its own members. */
static void read_legend(struct sg_request *request, struct sg_store_reader *reader)
{
    struct legend legend = {0};
    struct sg_query query = {.kind = SG_KIND_STEP, .index = SG_INDEX_KEY, .equal_count = 1, .limit = SG_LIMIT_CATALOG_ROWS};
    struct sg_error error = {.message = ""};
    struct sg_id id = {{0}};

    (void)sg_ulid_parse(request->parameters[0], &id);
    query.equal[0] = sg_value_id(&id);
    enum sg_status status = sg_store_read(reader, &query, visit_name, &legend, &error);
    query.kind = SG_KIND_PAUSE;
    if (status == SG_OK)
        status = sg_store_read(reader, &query, visit_condition, &legend, &error);
    if (status == SG_OK && (legend.names.is_failed || legend.conditions.is_failed))
        status = SG_NO_MEMORY;
    if (status == SG_OK) {
        struct sg_str explained = sg_buf_str(&request->reply_text);
        struct sg_buf *out = sg_respond_envelope_begin(request);
        sg_buf_append(out, (struct sg_str){explained.ptr, explained.len - 1});
        sg_buf_printf(out, ",\"conditions\":%.*s%s", (int)legend.conditions.len, legend.conditions.len > 0 ? legend.conditions.ptr : "",
                      legend.conditions.len > 0 ? "}" : "{}");
        sg_buf_printf(out, ",\"step_names\":%.*s%s", (int)legend.names.len, legend.names.len > 0 ? legend.names.ptr : "",
                      legend.names.len > 0 ? "}}" : "{}}");
        sg_respond_envelope_end(request, 0);
    } else {
        sg_respond_status(request, status, error.message);
    }
    sg_buf_free(&legend.names);
    sg_buf_free(&legend.conditions);
}

static void on_explained(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, "not_found", "The run %.*s has ended or is unknown: nothing will move it",
                         SG_FMT(request->parameters[0]));
        return;
    }
    if (reply->status != SG_OK || request->reply_text.is_failed) {
        sg_respond_status(request, reply->status != SG_OK ? reply->status : SG_NO_MEMORY, reply->message);
        return;
    }
    sg_request_read(request, read_legend);
}

void sg_handle_admin_why(struct sg_request *request)
{
    struct sg_id id;

    if (!sg_ulid_parse(request->parameters[0], &id)) {
        sg_respond_error(request, 400, "invalid_argument", "Invalid run ID: %.*s", SG_FMT(request->parameters[0]));
        return;
    }
    struct sg_message *message = sg_message_create(SG_MESSAGE_EXPLAIN);
    if (message == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    message->as.explain.run_id = id;
    sg_request_post(request, message, on_explained);
}
