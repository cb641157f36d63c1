/*
 * Events over HTTP: GET /v1/events, one of them, and the runs that it started (reference/03 §3.2).
 *
 * The model. The list walks the log backwards by internal id and stops at the page's end, at the window's end, or after
 * SG_LIMIT_EVENTS_SCANNED rows; in the last case the metadata says how far it got (`scanned_until`), and that id as
 * `cursor` continues. Internal ids carry the time of their maker, which for seeded ones is the client, so the window is
 * cut by id only with a day of slack and exactly by the time of arrival.
 *
 * The server's own events (inngest/…) are not listed; asked for by id they are shown.
 */
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "base/duration.h"
#include "sdk/body.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"

/* `body` is the stored object; `reason` is why the run that it is about was cancelled, or empty. The members stand in canonical order. */
static void append_event(struct sg_buf *out, struct sg_id internal_id, int64_t received_at_ms, struct sg_str body, struct sg_str reason)
{
    struct sg_str meta = sg_json_get(body, SG_STR("meta"));
    struct sg_str user = sg_json_get(body, SG_STR("user"));
    struct sg_str v = sg_json_get(body, SG_STR("v"));

    sg_buf_append(out, SG_STR("{\"account_id\":\"" SG_UNTOLD_ID "\","));
    sg_json_member_raw(out, "data", sg_json_get(body, SG_STR("data")));
    sg_buf_append(out, SG_STR(",\"environment_id\":\"" SG_UNTOLD_ID "\","));
    sg_json_member_raw(out, "id", sg_json_get(body, SG_STR("id")));
    sg_buf_byte(out, ',');
    sg_json_member_ulid(out, "internal_id", internal_id);
    sg_buf_byte(out, ',');
    if (meta.len > 0) {
        sg_json_member_raw(out, "meta", meta);
        sg_buf_byte(out, ',');
    }
    sg_json_member_raw(out, "name", sg_json_get(body, SG_STR("name")));
    sg_buf_byte(out, ',');
    if (reason.len > 0) {
        sg_json_member_str(out, "reason", reason);
        sg_buf_byte(out, ',');
    }
    sg_json_member_time(out, "received_at", received_at_ms);
    sg_buf_append(out, SG_STR(",\"source\":\"\",\"source_id\":null,"));
    sg_json_member_raw(out, "ts", sg_json_get(body, SG_STR("ts")));
    if (user.len > 0) {
        sg_buf_byte(out, ',');
        sg_json_member_raw(out, "user", user);
    }
    if (v.len > 0) {
        sg_buf_byte(out, ',');
        sg_json_member_raw(out, "v", v);
    }
    sg_buf_byte(out, '}');
}

/* ---- the list ---- */

struct listing {
    struct sg_str name; /* empty: any */
    bool has_cursor;
    struct sg_id cursor;
    int64_t after_ms;  /* received after; */
    int64_t before_ms; /* and before */
    int64_t limit;
    /* As it goes. */
    struct sg_buf *out;
    int64_t shown;
    int64_t rows;
    bool is_full;
    struct sg_id last;
};

static enum sg_status visit_event(void *context, const struct sg_record *record)
{
    struct listing *listing = context;
    const struct sg_value *values = record->values;
    struct sg_str name = values[SG_EVENT_NAME].bytes;
    int64_t received_at_ms = values[SG_EVENT_RECEIVED_AT].number;

    listing->rows++;
    listing->last = sg_value_get_id(&values[SG_EVENT_INTERNAL_ID]);
    if (values[SG_EVENT_BODY].is_null || (name.len >= 8 && sg_str_eq_nocase((struct sg_str){name.ptr, 8}, SG_STR("inngest/"))))
        return SG_OK;
    if (received_at_ms <= listing->after_ms || received_at_ms >= listing->before_ms)
        return SG_OK;
    if (listing->name.len > 0 && !sg_str_eq(listing->name, name))
        return SG_OK;
    if (listing->shown > 0)
        sg_buf_byte(listing->out, ',');
    append_event(listing->out, listing->last, received_at_ms, values[SG_EVENT_BODY].bytes, SG_STR_NULL);
    listing->shown++;
    if (listing->shown < listing->limit)
        return SG_OK;
    listing->is_full = true;
    return SG_TOO_MANY; /* ends the read */
}

/* The smallest id of a moment. */
static struct sg_id id_at(int64_t unix_ms)
{
    static const uint8_t least[10] = {0};

    return sg_ulid_make(unix_ms > 0 ? unix_ms : 0, least);
}

static void read_events(struct sg_request *request, struct sg_store_reader *reader)
{
    struct listing *listing = request->state;
    struct sg_query query = {
        .kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .is_descending = true, .limit = SG_LIMIT_EVENTS_SCANNED};
    struct sg_error error;
    char metadata[64] = "";
    char id[SG_ULID_LEN + 1];

    struct sg_id lowest = id_at(listing->after_ms - SG_EVENTS_CLOCK_SLACK_MS);
    struct sg_id highest = listing->has_cursor ? listing->cursor : id_at(INT64_MAX);
    if (listing->before_ms < INT64_MAX - SG_EVENTS_CLOCK_SLACK_MS) {
        struct sg_id bound = id_at(listing->before_ms + SG_EVENTS_CLOCK_SLACK_MS);
        if (!listing->has_cursor || sg_id_cmp(bound, highest) < 0) {
            highest = bound;
            query.has_before = true;
        }
    }
    query.has_before |= listing->has_cursor;
    query.has_after = listing->after_ms > SG_EVENTS_CLOCK_SLACK_MS;
    query.after = sg_value_id(&lowest);
    query.before = sg_value_id(&highest);

    listing->out = sg_respond_envelope_begin(request);
    sg_buf_byte(listing->out, '[');
    enum sg_status status = sg_store_read(reader, &query, visit_event, listing, &error);
    if (status != SG_OK && !listing->is_full) {
        sg_respond_status(request, status, error.message);
        return;
    }
    sg_buf_byte(listing->out, ']');
    if (!listing->is_full && listing->rows >= SG_LIMIT_EVENTS_SCANNED) {
        sg_ulid_format(listing->last, id);
        (void)snprintf(metadata, sizeof(metadata), ",\"scanned_until\":\"%s\"", id);
    }
    sg_respond_envelope_end_with(request, 0, sg_str_from(metadata));
}

/* A moment of the query; the texts are the reference's, which calls both by the first one's name. */
static bool read_moment(struct sg_request *request, const char *name, int64_t *unix_ms, bool *is_given)
{
    struct sg_str text;

    if (!sg_request_query(request, name, &text, is_given))
        return false;
    *is_given = *is_given && text.len > 0;
    if (!*is_given || sg_date_parse(text, unix_ms))
        return true;
    sg_respond_error(request, 400, NULL, "Invalid %s query parameter", name);
    return false;
}

static bool read_listing(struct sg_request *request, struct listing *listing)
{
    struct sg_str text;
    bool is_given, has_after, has_before;

    if (!sg_request_query(request, "limit", &text, &is_given))
        return false;
    if (!is_given || !sg_str_to_int(text, &listing->limit))
        listing->limit = SG_DEFAULT_EVENTS_PAGE;
    listing->limit = listing->limit < 1 ? 1 : listing->limit > SG_LIMIT_EVENTS_PAGE ? SG_LIMIT_EVENTS_PAGE : listing->limit;

    if (!sg_request_query(request, "cursor", &text, &is_given))
        return false;
    listing->has_cursor = is_given && text.len > 0;
    if (listing->has_cursor && !sg_ulid_parse(text, &listing->cursor)) {
        sg_respond_error(request, 400, NULL, "Invalid cursor query parameter");
        return false;
    }
    if (!sg_request_query(request, "name", &listing->name, &is_given) ||
        !read_moment(request, "received_after", &listing->after_ms, &has_after) ||
        !read_moment(request, "received_before", &listing->before_ms, &has_before))
        return false;
    if (!has_after)
        listing->after_ms = sg_server_wall_ms() - SG_DEFAULT_EVENTS_WINDOW_MS;
    if (!has_before)
        listing->before_ms = INT64_MAX;
    return true;
}

void sg_handle_events_list(struct sg_request *request)
{
    struct listing *listing = sg_arena_zalloc(&request->arena, sizeof(*listing));

    if (listing == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    if (!read_listing(request, listing))
        return;
    request->state = listing;
    sg_request_read(request, read_events);
}

/* ---- one event ---- */

struct found {
    struct sg_value position;
    bool is_found;
};

static enum sg_status visit_position(void *context, const struct sg_record *record)
{
    struct found *found = context;

    found->position = sg_value_int(record->values[SG_EVENT_POSITION].number);
    found->is_found = true;
    return SG_OK;
}

static bool read_event_id(struct sg_request *request, struct sg_id *id)
{
    if (sg_ulid_parse(request->parameters[0], id))
        return true;
    sg_respond_error(request, 400, NULL, "Invalid event ID: %.*s", SG_FMT(request->parameters[0]));
    return false;
}

/* Its row, then its bytes: those of a lifecycle event are made from the run it is about. */
static enum sg_status get_event(struct sg_request *request, struct sg_store_reader *reader, struct sg_record *record, struct sg_buf *body,
                                struct sg_error *error)
{
    struct found found = {.is_found = false};
    struct sg_id id;

    if (!sg_ulid_parse(request->parameters[0], &id))
        return sg_error_set(error, SG_NOT_FOUND, "no such event"); /* it was one when the request came */
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .equal_count = 1, .limit = 1};
    query.equal[0] = sg_value_id(&id);
    enum sg_status status = sg_store_read(reader, &query, visit_position, &found, error);
    if (status == SG_OK && !found.is_found)
        status = SG_NOT_FOUND;
    if (status == SG_OK)
        status = sg_store_get(reader, SG_KIND_EVENT, &found.position, &request->arena, record, error);
    if (status == SG_OK)
        status = sg_event_read_record(reader, record, body, error);
    return status;
}

/*
 * Why the run was cancelled that the event is about; empty if it was not. It stands beside the event and not in its data: what functions see has exactly the
 * members that SDKs know (reference/02 §6.4).
 */
static enum sg_status get_reason(struct sg_request *request, struct sg_store_reader *reader, const struct sg_record *event,
                                 struct sg_str *reason, struct sg_error *error)
{
    struct sg_record run;

    *reason = SG_STR_NULL;
    if (event->values[SG_EVENT_RUN_ID].is_null)
        return SG_OK;
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &event->values[SG_EVENT_RUN_ID], &request->arena, &run, error);
    if (status == SG_OK)
        *reason = run.values[SG_RUN_REASON].bytes;
    return status == SG_NOT_FOUND ? SG_OK : status;
}

static void read_event(struct sg_request *request, struct sg_store_reader *reader)
{
    struct sg_record record;
    struct sg_error error = {.message = ""};
    struct sg_buf body;
    struct sg_str reason = SG_STR_NULL;

    sg_buf_init(&body);
    enum sg_status status = get_event(request, reader, &record, &body, &error);
    if (status == SG_OK)
        status = get_reason(request, reader, &record, &reason, &error);
    if (status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, NULL, "Event not found");
    } else if (status != SG_OK || body.is_failed) {
        sg_respond_status(request, status != SG_OK ? status : SG_NO_MEMORY, error.message);
    } else {
        struct sg_buf *out = sg_respond_envelope_begin(request);
        append_event(out, sg_value_get_id(&record.values[SG_EVENT_INTERNAL_ID]), record.values[SG_EVENT_RECEIVED_AT].number,
                     sg_buf_str(&body), reason);
        sg_respond_envelope_end(request, 5000);
    }
    sg_buf_free(&body);
}

void sg_handle_event_get(struct sg_request *request)
{
    struct sg_id id;

    if (read_event_id(request, &id))
        sg_request_read(request, read_event);
}

/* ---- the runs of an event ---- */

struct run_list {
    struct sg_buf *out;
    int shown;
};

static enum sg_status visit_run(void *context, const struct sg_record *record)
{
    struct run_list *list = context;

    sg_buf_append(list->out, list->shown > 0 ? SG_STR(",{") : SG_STR("{"));
    sg_run_json_of_event(list->out, record);
    sg_buf_byte(list->out, '}');
    list->shown++;
    return list->out->is_failed ? SG_NO_MEMORY : SG_OK;
}

static void read_event_runs(struct sg_request *request, struct sg_store_reader *reader)
{
    struct run_list list = {.shown = 0};
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_RUN_EVENT, .equal_count = 1, .limit = SG_LIMIT_RUNS_PER_EVENT};
    struct sg_error error;
    struct sg_id id = {{0}};

    (void)sg_ulid_parse(request->parameters[0], &id);
    query.equal[0] = sg_value_id(&id);
    list.out = sg_respond_envelope_begin(request);
    sg_buf_byte(list.out, '[');
    enum sg_status status = sg_store_read(reader, &query, visit_run, &list, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return;
    }
    sg_buf_byte(list.out, ']');
    sg_respond_envelope_end(request, 15000);
}

void sg_handle_event_runs(struct sg_request *request)
{
    struct sg_id id;

    if (read_event_id(request, &id))
        sg_request_read(request, read_event_runs);
}
