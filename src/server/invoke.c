/*
 * POST /invoke/{slug}: runs one function with the body as its event (reference/03 §1.3). No SDK calls it; people and tools do.
 *
 * The model. The body becomes an `inngest/function.invoked` event that names the function, and goes the way of all events: the engine finds the function by
 * it. Nobody waits for the run's end; its id is found through the event. The function need not be registered, as an event need not be listened to.
 */
#include <stepgate/json.h>

#include "base/seed.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"

static void on_reply(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status != SG_OK)
        sg_respond_status(request, reply->status, reply->message);
}

/* A member of the posted event, if it is of the kind that an event has there. */
static void member_keep(struct sg_buf *out, struct sg_str event, const char *key, enum sg_json_kind kind)
{
    struct sg_str value = sg_json_get(event, sg_str_from(key));
    if (sg_json_kind_of(value) == kind)
        sg_buf_printf(out, ",\"%s\":%.*s", key, SG_FMT(value));
}

static void event_compose(struct sg_buf *out, struct sg_str event, struct sg_str function, const char *id, int64_t ts_ms)
{
    sg_buf_append(out, SG_STR("{\"data\":{"));
    struct sg_str key;
    struct sg_str value;
    struct sg_str data = sg_json_get(event, SG_STR("data"));
    if (sg_json_kind_of(data) == SG_JSON_OBJECT) {
        struct sg_json_iter iter = sg_json_iter(data);
        while (sg_json_next_member(&iter, &key, &value))
            if (!sg_str_eq(key, SG_STR("\"_inngest\"")))
                sg_buf_printf(out, "%.*s:%.*s,", SG_FMT(key), SG_FMT(value));
    }
    sg_buf_append(out, SG_STR("\"_inngest\":{\"expire\":0,\"fn_id\":"));
    sg_json_quote(out, function);
    sg_buf_append(out, SG_STR(",\"gid\":\"\",\"name\":\"\",\"source_app_id\":\"\",\"source_fn_id\":\"\",\"source_fn_v\":0}}"));
    sg_buf_printf(out, ",\"id\":\"%s\",\"name\":\"inngest/function.invoked\",\"ts\":%lld", id, (long long)ts_ms);
    member_keep(out, event, "user", SG_JSON_OBJECT);
    member_keep(out, event, "v", SG_JSON_STRING);
    sg_buf_byte(out, '}');
}

static enum sg_status event_make(struct sg_request *request, struct sg_str event, struct sg_message *message, struct sg_error *error)
{
    struct sg_event_seed seed;
    struct sg_buf text = {0};
    struct sg_buf canonical = {0};
    char id[SG_ULID_LEN + 1];
    struct sg_event_in *in = sg_arena_zalloc(&message->arena, sizeof(*in));
    if (in == NULL)
        return SG_NO_MEMORY;
    int64_t wall_ms = sg_server_wall_ms();
    struct sg_str header = sg_request_header(request, "x-inngest-event-id-seed");
    if (header.len > 0 && sg_event_seed_parse(header, &seed))
        in->internal_id = sg_event_seed_id(&seed, 0);
    else
        sg_server_ids(request->server, wall_ms, &in->internal_id, 1);
    in->ts_ms = wall_ms;
    int64_t ts_ms;
    if (sg_json_to_int(sg_json_get(event, SG_STR("ts")), &ts_ms) && ts_ms > 0)
        in->ts_ms = ts_ms;
    sg_ulid_format(in->internal_id, id);
    event_compose(&text, event, request->parameters[0], id, in->ts_ms);
    enum sg_status status = text.is_failed ? SG_NO_MEMORY : sg_json_canonicalize(sg_buf_str(&text), NULL, &canonical, error);
    if (status == SG_OK && (int64_t)canonical.len > request->server->event_bytes_max)
        status = sg_error_set(error, SG_TOO_LARGE, "the event has %zu bytes; at most %lld are allowed", canonical.len,
                              (long long)request->server->event_bytes_max);
    in->name = SG_STR("inngest/function.invoked");
    in->body = status == SG_OK ? sg_arena_copy(&message->arena, sg_buf_str(&canonical)) : SG_STR_NULL;
    if (status == SG_OK && in->body.ptr == NULL)
        status = SG_NO_MEMORY;
    in->is_id_fresh = header.len == 0;
    in->key = sg_event_key((struct sg_str){id, SG_ULID_LEN});
    if (in->is_id_fresh)
        in->key = (struct sg_id){{0}};
    message->as.events.events = in;
    message->as.events.count = 1;
    message->as.events.received_at_ms = wall_ms;
    sg_buf_free(&text);
    sg_buf_free(&canonical);
    return status;
}

void sg_handle_invoke(struct sg_request *request)
{
    struct sg_buf canonical = {0};
    struct sg_error error = {.message = ""};
    enum sg_status status = SG_OK;
    if (request->body.len > 0)
        status = sg_json_canonicalize(sg_buf_str(&request->body), NULL, &canonical, &error);
    else
        sg_buf_append(&canonical, SG_STR("{}"));
    if (status == SG_NO_MEMORY || canonical.is_failed) {
        sg_respond_status(request, SG_NO_MEMORY, "");
    } else if (status != SG_OK) {
        sg_respond_error(request, 400, NULL, "Unable to read post data request: %s", error.message);
    } else if (sg_json_kind_of(sg_buf_str(&canonical)) != SG_JSON_OBJECT) {
        sg_respond_error(request, 400, NULL, "Invalid invocation event");
    } else {
        struct sg_message *message = sg_message_create(SG_MESSAGE_EVENTS);
        status = message != NULL ? event_make(request, sg_buf_str(&canonical), message, &error) : SG_NO_MEMORY;
        if (status != SG_OK) {
            sg_message_free(message);
            sg_respond_status(request, status, error.message);
        } else {
            char id[SG_ULID_LEN + 1];
            sg_ulid_format(message->as.events.events[0].internal_id, id);
            sg_buf_printf(sg_respond_body(request, 200), "{\"id\":\"%s\",\"status\":200}", id);
            sg_request_post(request, message, on_reply);
        }
    }
    sg_buf_free(&canonical);
}
