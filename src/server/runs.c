/*
 * Runs over HTTP: the state that SDKs fetch for runs too large for a call (/v0/runs), and what users ask and cancel (/v1/runs).
 *
 * Reading is done by the store's reader threads. A cancel is a message to the engine, which answers "not found" for
 * runs that have ended as well as for those that never were; only then the store is asked which of the two it is.
 */
#include "server/run_json.h"

#include <stdio.h>

#include <stepgate/engine.h>
#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/body.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"

/* ---- as JSON ---- */

bool sg_run_is_ended(const struct sg_record *record)
{
    int64_t status = record->values[SG_RUN_STATUS].number;

    return status == SG_RUN_COMPLETED || status == SG_RUN_FAILED || status == SG_RUN_CANCELLED;
}

void sg_run_json_output(struct sg_buf *out, const struct sg_record *record)
{
    const struct sg_value *output = &record->values[SG_RUN_OUTPUT];
    const struct sg_value *error = &record->values[SG_RUN_ERROR];

    if (!output->is_null && output->bytes.len > 0) {
        sg_buf_append(out, output->bytes);
    } else if (record->values[SG_RUN_STATUS].number == SG_RUN_FAILED && !error->is_null && error->bytes.len > 0) {
        sg_buf_append(out, SG_STR("{\"error\":"));
        sg_buf_append(out, error->bytes);
        sg_buf_byte(out, '}');
    } else {
        sg_buf_append(out, SG_STR("null"));
    }
}

static void append_run(struct sg_buf *out, const struct sg_record *record, const char *environment, int64_t version)
{
    const struct sg_value *values = record->values;
    const struct sg_value *started_at = values[SG_RUN_STARTED_AT].is_null ? &values[SG_RUN_CREATED_AT] : &values[SG_RUN_STARTED_AT];

    if (sg_run_is_ended(record) && !values[SG_RUN_ENDED_AT].is_null)
        sg_json_member_time(out, "ended_at", values[SG_RUN_ENDED_AT].number);
    else
        sg_json_member_raw(out, "ended_at", SG_STR_NULL);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "environment_id", sg_str_from(environment));
    sg_buf_byte(out, ',');
    sg_json_member_ulid(out, "event_id", sg_value_get_id(&values[SG_RUN_EVENT_ID]));
    sg_buf_byte(out, ',');
    sg_json_member_uuid(out, "function_id", sg_value_get_id(&values[SG_RUN_FUNCTION_ID]));
    sg_buf_byte(out, ',');
    sg_json_member_int(out, "function_version", version);
    sg_buf_byte(out, ',');
    if (sg_run_is_ended(record)) {
        sg_buf_append(out, SG_STR("\"output\":"));
        sg_run_json_output(out, record);
        sg_buf_byte(out, ',');
    }
    sg_json_member_ulid(out, "run_id", sg_value_get_id(&values[SG_RUN_ID]));
    sg_buf_byte(out, ',');
    sg_json_member_time(out, "run_started_at", started_at->number);
    sg_buf_byte(out, ',');
    sg_json_member_str(out, "status", sg_str_from(sg_run_status_name((enum sg_run_status)values[SG_RUN_STATUS].number)));
}

void sg_run_json(struct sg_buf *out, const struct sg_record *record)
{
    append_run(out, record, SG_ENVIRONMENT_ID, 0);
}

void sg_run_json_admin(struct sg_buf *out, const struct sg_record *record)
{
    append_run(out, record, SG_ENVIRONMENT_ID, record->values[SG_RUN_FUNCTION_VERSION].number);
}

void sg_run_json_of_event(struct sg_buf *out, const struct sg_record *record)
{
    append_run(out, record, SG_UNTOLD_ID, 0);
}

/* ---- finding one ---- */

/* Parses the id in the path; false if it is none and the 400 has been set. */
static bool read_id(struct sg_request *request, struct sg_id *id, bool is_v0)
{
    struct sg_str text = request->parameters[0];

    if (sg_ulid_parse(text, id))
        return true;
    if (is_v0)
        sg_respond_error(request, 400, NULL, "The run ID specified is invalid");
    else
        sg_respond_error(request, 400, NULL, "Invalid run ID: %.*s", SG_FMT(text));
    return false;
}

static enum sg_status get_run(struct sg_request *request, struct sg_store_reader *reader, enum sg_kind kind, struct sg_record *record,
                              struct sg_error *error)
{
    struct sg_id id;

    if (!sg_ulid_parse(request->parameters[0], &id))
        return sg_error_set(error, SG_NOT_FOUND, "no such run"); /* it was one when the request came */
    struct sg_value key = sg_value_id(&id);
    return sg_store_get(reader, kind, &key, &request->arena, record, error);
}

/* ---- /v0: state for SDKs ---- */

static bool is_live(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_record record;
    struct sg_error error;

    enum sg_status status = get_run(request, reader, SG_KIND_RUN_LIVE, &record, &error);
    if (status == SG_OK)
        return true;
    if (status == SG_NOT_FOUND)
        sg_respond_error(request, 410, NULL, "runtime state is no longer available for runID: %.*s", SG_FMT(request->parameters[0]));
    else
        sg_respond_status(request, status, error.message);
    return false;
}

static void read_state(struct sg_request *request, struct sg_store_reader *reader, bool is_batch)
{
    struct sg_error error;
    struct sg_id id;

    if (!is_live(request, reader) || !sg_ulid_parse(request->parameters[0], &id))
        return;
    struct sg_buf *out = sg_respond_body(request, 200);
    enum sg_status status = is_batch ? sg_run_events_read(reader, id, out, &error) : sg_run_memos_read(reader, id, INT64_MAX, out, &error);
    if (status == SG_NOT_FOUND)
        sg_respond_error(request, 410, NULL, "runtime state is no longer available for runID: %.*s", SG_FMT(request->parameters[0]));
    else if (status != SG_OK)
        sg_respond_status(request, status, error.message);
}

static void read_actions(struct sg_request *request, struct sg_store_reader *reader)
{
    read_state(request, reader, false);
}

static void read_batch(struct sg_request *request, struct sg_store_reader *reader)
{
    read_state(request, reader, true);
}

void sg_handle_run_actions(struct sg_request *request)
{
    struct sg_id id;

    if (read_id(request, &id, true))
        sg_request_read(request, read_actions);
}

void sg_handle_run_batch(struct sg_request *request)
{
    struct sg_id id;

    if (read_id(request, &id, true))
        sg_request_read(request, read_batch);
}

/* ---- /v1: one run ---- */

static void read_run(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_record record;
    struct sg_error error;

    enum sg_status status = get_run(request, reader, SG_KIND_RUN, &record, &error);
    if (status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, NULL, "Unable to load function run: %.*s", SG_FMT(request->parameters[0]));
        return;
    }
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    struct sg_buf *out = sg_respond_envelope_begin(request);
    sg_buf_byte(out, '{');
    sg_run_json(out, &record);
    sg_buf_byte(out, '}');
    sg_respond_envelope_end(request, 3000);
}

void sg_handle_run_get(struct sg_request *request)
{
    struct sg_id id;

    if (read_id(request, &id, false))
        sg_request_read(request, read_run);
}

/* ---- cancelling ---- */

/* The engine knows no live run of this id: it has ended, or there never was one. */
static void read_not_live(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_record record;
    struct sg_error error;
    bool is_v0 = request->state != NULL;

    enum sg_status status = get_run(request, reader, SG_KIND_RUN, &record, &error);
    if (status == SG_NOT_FOUND && is_v0)
        sg_respond_error(request, 404, NULL, "A function run with the given ID could not be found");
    else if (status == SG_NOT_FOUND)
        sg_respond_error(request, 404, NULL, "Unable to load function run: %.*s", SG_FMT(request->parameters[0]));
    else if (status != SG_OK)
        sg_respond_status(request, status, error.message);
    else if (is_v0)
        sg_respond_error(request, 409, NULL, "This function has already completed");
    else
        sg_respond_empty(request, 200); /* cancelling what has ended changes nothing (reference/03 §3.3) */
}

static void on_cancelled(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_NOT_FOUND)
        sg_request_read(request, read_not_live);
    else if (reply->status != SG_OK)
        sg_respond_status(request, reply->status, reply->message);
    else
        sg_respond_empty(request, request->state != NULL ? 204 : 200);
}

static void cancel(struct sg_request *request, bool is_v0)
{
    struct sg_id id;

    if (!read_id(request, &id, is_v0))
        return;
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL);
    if (message == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    message->as.cancel.run_id = id;
    message->as.cancel.reason = SG_STR("cancelled through the API");
    request->state = is_v0 ? request : NULL; /* not NULL: the texts and statuses of /v0 */
    sg_request_post(request, message, on_cancelled);
}

void sg_handle_run_cancel(struct sg_request *request)
{
    cancel(request, false);
}

void sg_handle_run_cancel_v0(struct sg_request *request)
{
    cancel(request, true);
}

/* ---- jobs ---- */

struct jobs {
    struct sg_buf *out;
    struct sg_id run_id;
    int shown;
    int64_t rows;
    bool is_full;
};

static enum sg_status visit_job(void *context, const struct sg_record *record)
{
    struct jobs *jobs = context;
    const struct sg_value *values = record->values;
    char id[SG_JOB_ID_MAX];

    jobs->rows++;
    if (!sg_id_eq(sg_value_get_id(&values[SG_JOB_RUN_ID]), jobs->run_id))
        return SG_OK;
    if (jobs->shown == SG_LIMIT_JOBS_PAGE) {
        jobs->is_full = true;
        return SG_TOO_MANY; /* ends the read */
    }
    size_t len = sg_job_id_format(values[SG_JOB_ID].number, id);
    sg_buf_append(jobs->out, jobs->shown > 0 ? SG_STR(",{") : SG_STR("{"));
    sg_json_member_str(jobs->out, "JobID", (struct sg_str){id, len});
    sg_buf_append(jobs->out, SG_STR(",\"Raw\":null,"));
    sg_json_member_time(jobs->out, "at", values[SG_JOB_DUE_AT].number);
    sg_buf_byte(jobs->out, ',');
    sg_json_member_int(jobs->out, "attempt", values[SG_JOB_ATTEMPT].number);
    sg_buf_byte(jobs->out, ',');
    int64_t kind = values[SG_JOB_KIND].number;
    sg_json_member_str(jobs->out, "kind",
                       kind == SG_JOB_SLEEP     ? SG_STR("sleep")
                       : kind == SG_JOB_TIMEOUT ? SG_STR("cancel")
                                                : SG_STR("edge"));
    sg_buf_append(jobs->out, SG_STR(",\"position\":0}"));
    jobs->shown++;
    return SG_OK;
}

/* Jobs have no index by run: there are few of them unless a million runs sleep, and then the answer says that it did not see all. */
static void read_jobs(struct sg_request *request, struct sg_store_reader *reader)
{
    struct jobs jobs = {.shown = 0};
    struct sg_error error;
    struct sg_query query = {.kind = SG_KIND_JOB, .index = SG_INDEX_KEY, .is_descending = true, .limit = SG_LIMIT_JOBS_SCANNED};

    if (!sg_ulid_parse(request->parameters[0], &jobs.run_id))
        return;
    jobs.out = sg_respond_envelope_begin(request);
    sg_buf_byte(jobs.out, '[');
    enum sg_status status = sg_store_read(reader, &query, visit_job, &jobs, &error);
    if (status != SG_OK && !jobs.is_full) {
        sg_respond_status(request, status, error.message);
        return;
    }
    sg_buf_byte(jobs.out, ']');
    sg_respond_envelope_end_with(request, 5000,
                                 jobs.rows >= SG_LIMIT_JOBS_SCANNED && !jobs.is_full ? SG_STR(",\"is_partial\":true") : SG_STR_NULL);
}

void sg_handle_run_jobs(struct sg_request *request)
{
    struct sg_id id;

    if (read_id(request, &id, false))
        sg_request_read(request, read_jobs);
}
