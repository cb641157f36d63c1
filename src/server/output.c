/*
 * GET /v1/http/runs/{run}/output and /v1/checkpoint/{run}/output: what a durable endpoint's run came to (reference/03 §4.8).
 *
 * The model. Whoever asks has a token for this run, and for nothing else. The store is asked at once; if the run goes on, the connection is
 * held (held.h), and asks again when the run's end has been committed. What the endpoint responded is passed on as it is: status, headers,
 * body. A run that ended in another way answers 200 with its output or its error as JSON.
 *
 * A run that ends between the first look and the entry into the table would be missed; so the entry comes first.
 *
 * What it never does: tell those without a token whether there is such a run.
 */
#include "server/output.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/check.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"
#include "server/tokens.h"

#define UNKNOWN SG_STR("{\"message\":\"unable to fetch run output\",\"status\":\"unknown\"}")
#define RUNNING SG_STR("{\"message\":\"run did not end within 5 minutes\",\"status\":\"running\"}")

/* ---- the table ---- */

static bool enter(struct sg_held *held, struct sg_id run_id)
{
    struct sg_held_set *set = held->set;
    struct sg_held_run *run = sg_map_get_id(&set->runs, run_id);

    held->run_id = run_id;
    if (run == NULL) {
        run = sg_calloc(1, sizeof(*run));
        if (run == NULL)
            return false;
        run->id = run_id;
        if (sg_map_add(&set->runs, run) != SG_OK) {
            sg_free(run);
            return false;
        }
    }
    sg_list_push_back(&run->waiters, &held->in_run);
    return true;
}

void sg_output_leave(struct sg_held *held)
{
    struct sg_held_set *set = held->set;
    struct sg_held_run *run = sg_map_get_id(&set->runs, held->run_id);

    if (run == NULL || !sg_list_has(&run->waiters, &held->in_run))
        return;
    sg_list_remove(&run->waiters, &held->in_run);
    if (!sg_list_is_empty(&run->waiters))
        return;
    (void)sg_map_remove_id(&set->runs, run->id);
    sg_free(run);
}

/* ---- answers ---- */

static void answer_json(struct sg_held *held, int http_status, struct sg_str body)
{
    sg_held_answer(held, http_status);
    sg_buf_printf(&held->out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body.len);
    sg_buf_append(&held->out, body);
    held->is_ending = true;
    sg_held_touch(held);
}

void sg_output_give_up(struct sg_held *held)
{
    answer_json(held, 200, RUNNING);
}

static void refuse_full(struct sg_held *held)
{
    answer_json(held, 503,
                SG_STR("{\"code\":\"unavailable\",\"data\":null,\"error\":\"other clients' outputs fill the memory set aside for them; ask "
                       "again\",\"status\":503}"));
}

void sg_output_refuse(struct sg_held *held)
{
    answer_json(held, 503, SG_STR("{\"code\":\"shutting_down\",\"data\":null,\"error\":\"the gateway is shutting down\",\"status\":503}"));
}

bool sg_output_parts(struct sg_str output, int64_t *http_status, struct sg_str *headers, struct sg_str *body)
{
    if (sg_json_kind_of(output) != SG_JSON_OBJECT)
        return false;
    *headers = sg_json_get(output, SG_STR("headers"));
    *body = sg_json_get(output, SG_STR("body"));
    if (!sg_json_to_int(sg_json_get(output, SG_STR("status")), http_status) || *http_status < 200 || *http_status > 599)
        return false;
    enum sg_json_kind headers_kind = sg_json_kind_of(*headers);
    enum sg_json_kind body_kind = sg_json_kind_of(*body);
    if (headers_kind == SG_JSON_NULL)
        *headers = SG_STR_NULL;
    return (headers->len == 0 || headers_kind == SG_JSON_OBJECT) && body_kind == SG_JSON_STRING;
}

/* Headers of the connection are ours, and what frames the body. */
static bool is_ours(struct sg_str name)
{
    static const char *const ours[] = {"connection", "content-length", "transfer-encoding", "keep-alive", "upgrade", "trailer",
                                       "te",         "date",           "proxy-connection"};

    for (size_t i = 0; i < SG_ARRAY_LEN(ours); i++)
        if (sg_str_eq_nocase(name, sg_str_from(ours[i])))
            return true;
    return name.len == 0;
}

static bool is_name(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || (unsigned char)text.ptr[i] >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", text.ptr[i]) != NULL)
            return false;
    return true;
}

static bool is_value(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (((unsigned char)text.ptr[i] < ' ' && text.ptr[i] != '\t') || text.ptr[i] == 0x7f)
            return false;
    return true;
}

/* The endpoint's headers; false if memory ran out. Where it says who may read it, we do not say so, too. */
static bool append_headers(struct sg_held *held, struct sg_str headers)
{
    struct sg_json_iter iter = sg_json_iter(headers);
    struct sg_str key, value, name, text;
    struct sg_arena arena;
    bool is_ok = true;

    sg_arena_init(&arena);
    while (is_ok && sg_json_next_member(&iter, &key, &value)) {
        if (sg_json_kind_of(value) != SG_JSON_STRING)
            continue;
        is_ok = sg_json_to_str(key, &arena, &name) == SG_OK && sg_json_to_str(value, &arena, &text) == SG_OK;
        if (!is_ok || is_ours(name) || !is_name(name) || !is_value(text))
            continue;
        if (sg_str_eq_nocase(name, SG_STR("access-control-allow-origin")) &&
            memmem(held->head.ptr, held->head.len, "Access-Control-Allow-Origin", 27) != NULL)
            continue; /* a second one would make browsers refuse both; ours allows whoever asks */
        sg_buf_append(&held->out, name);
        sg_buf_append(&held->out, SG_STR(": "));
        sg_buf_append(&held->out, text);
        sg_buf_append(&held->out, SG_STR("\r\n"));
    }
    sg_arena_free(&arena);
    return is_ok;
}

static void answer_response(struct sg_held *held, int64_t http_status, struct sg_str headers, struct sg_str body)
{
    struct sg_buf text;

    sg_buf_init(&text);
    (void)sg_json_append_str(&text, body);
    sg_held_answer(held, (int)http_status);
    if (!append_headers(held, headers) || text.is_failed)
        held->out.is_failed = true;
    bool has_body = http_status != 204 && http_status != 304;
    if (has_body)
        sg_buf_printf(&held->out, "Content-Length: %zu\r\n", text.len);
    sg_buf_append(&held->out, SG_STR("\r\n"));
    if (has_body)
        sg_buf_append(&held->out, sg_buf_str(&text));
    sg_buf_free(&text);
    held->is_ending = true;
    sg_held_touch(held);
}

static void answer_run(struct sg_held *held, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    struct sg_str headers, body;
    struct sg_buf out;
    int64_t http_status;

    if (!values[SG_RUN_OUTPUT].is_null && values[SG_RUN_STATUS].number != SG_RUN_CANCELLED &&
        sg_output_parts(values[SG_RUN_OUTPUT].bytes, &http_status, &headers, &body)) {
        answer_response(held, http_status, headers, body);
        return;
    }
    sg_buf_init(&out);
    if (values[SG_RUN_STATUS].number == SG_RUN_CANCELLED) {
        sg_buf_append(&out,
                      SG_STR("{\"error\":{\"error\":\"cancelled\",\"message\":\"The run was cancelled.\",\"name\":\"CancelledError\"}}"));
    } else if (values[SG_RUN_STATUS].number == SG_RUN_FAILED && !values[SG_RUN_ERROR].is_null) {
        sg_buf_append(&out, SG_STR("{\"error\":"));
        sg_buf_append(&out, values[SG_RUN_ERROR].bytes);
        sg_buf_byte(&out, '}');
    } else {
        sg_buf_append(&out, SG_STR("{\"data\":"));
        sg_buf_append(&out, values[SG_RUN_OUTPUT].is_null ? SG_STR("null") : values[SG_RUN_OUTPUT].bytes);
        sg_buf_byte(&out, '}');
    }
    answer_json(held, 200, sg_buf_str(&out));
    if (out.is_failed)
        held->out.is_failed = true;
    sg_buf_free(&out);
}

/* ---- looking ---- */

/* In a thread of the pool. */
static void look(void *context, struct sg_store_reader *reader)
{
    struct sg_held *held = context;
    struct sg_record record;
    struct sg_arena arena;
    struct sg_error error;
    struct sg_value key = sg_value_id(&held->run_id);

    sg_arena_init(&arena);
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &key, &arena, &record, &error);
    if (sg_held_read_begin(held)) {
        if (status != SG_OK)
            answer_json(held, 200, UNKNOWN); /* history has been trimmed, or cannot be read */
        else if (sg_run_is_ended(&record) &&
                 !sg_held_reserve(held, record.values[SG_RUN_OUTPUT].bytes.len + record.values[SG_RUN_ERROR].bytes.len))
            refuse_full(held);
        else if (sg_run_is_ended(&record))
            answer_run(held, &record);
    }
    sg_held_read_end(held);
    sg_arena_free(&arena);
}

void sg_handle_output(struct sg_request *request)
{
    struct sg_str token;
    struct sg_id run_id, path_id;
    bool is_given;

    if (!sg_request_query(request, "token", &token, &is_given))
        return;
    enum sg_status status = SG_UNAUTHORIZED;
    if (sg_ulid_parse(request->parameters[0], &path_id))
        status = sg_token_run_check(request->server, token, sg_server_wall_ms(), &request->arena, &run_id);
    if (status == SG_OK && !sg_id_eq(run_id, path_id))
        status = SG_UNAUTHORIZED;
    if (status == SG_UNAUTHORIZED) {
        atomic_fetch_add(&request->server->counters.unauthorized, 1);
        sg_respond_error(request, 401, NULL, "Unable to find run with auth token");
        return;
    }
    if (status != SG_OK) {
        sg_respond_status(request, status, "");
        return;
    }
    if (request->is_head) {
        sg_respond_empty(request, 200); /* nothing to wait for: there is no body to come */
        return;
    }
    struct sg_held *held = sg_held_take(request, SG_HELD_OUTPUT);
    if (held == NULL)
        return;
    held->task = (struct sg_store_task){NULL, look, held};
    if (enter(held, run_id))
        sg_held_read(held);
    else
        answer_json(held, 200, UNKNOWN);
    sg_held_begin(held);
}
