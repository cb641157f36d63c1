/*
 * POST /e/{key}: events come in (reference/03 §1).
 *
 * The model. A request is taken as a whole or refused as a whole: all events are checked first, then one message goes
 * to the engine, and the ids go back to the client once the message's commit is on disk. The ids are known before that,
 * so the answer is made when the request is decoded and only sent later. Whether an event's id has been used before is
 * found out behind the poster, by the lookup of the node; this file only says which ids are fresh, so that their lookup
 * can be saved.
 */
#include "server/event_decode.h"
#include "server/handlers.h"

#include <stdio.h>

#include "base/check.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"

static void fresh_ids(void *context, int64_t now_ms, struct sg_id *ids, size_t count)
{
    sg_server_ids(context, now_ms, ids, count);
}

/* The 400 lists an empty id for each event that was not taken, as the reference does (reference/03 §1.1.6). */
static void refuse(struct sg_request *request, enum sg_status status, size_t seen, const struct sg_error *error)
{
    struct sg_buf ids;
    int http_status = status == SG_NO_MEMORY ? 503 : 400;

    sg_buf_init(&ids);
    sg_buf_append(&ids, SG_STR("\"ids\":["));
    for (size_t i = 0; i < seen; i++)
        sg_buf_append(&ids, i > 0 ? SG_STR(",\"\"") : SG_STR("\"\""));
    sg_buf_byte(&ids, ']');
    sg_response_error(&request->response, SG_SHAPE_EVENT, http_status, NULL, ids.is_failed ? SG_STR_NULL : sg_buf_str(&ids),
                      sg_str_from(error->message));
    sg_buf_free(&ids);
}

static void prepare_answer(struct sg_request *request, const struct sg_event_in *events, size_t count)
{
    struct sg_buf *out = sg_respond_body(request, 200);
    char text[SG_ULID_LEN + 1];

    (void)sg_buf_reserve(out, 24 + count * (SG_ULID_LEN + 3));
    sg_buf_append(out, SG_STR("{\"ids\":["));
    for (size_t i = 0; i < count; i++) {
        sg_ulid_format(events[i].internal_id, text);
        sg_buf_append(out, i > 0 ? SG_STR(",\"") : SG_STR("\""));
        sg_buf_append(out, (struct sg_str){text, SG_ULID_LEN});
        sg_buf_byte(out, '"');
    }
    sg_buf_append(out, SG_STR("],\"status\":200}"));
}

static void on_reply(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status != SG_OK)
        sg_respond_status(request, reply->status, reply->message);
}

void sg_handle_events_post(struct sg_request *request)
{
    struct sg_server *server = request->server;
    struct sg_event_seed seed;
    struct sg_error error = {.message = ""};
    size_t seen;

    struct sg_message *message = sg_message_create(SG_MESSAGE_EVENTS);
    if (message == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    struct sg_str header = sg_request_header(request, "x-inngest-event-id-seed");
    struct sg_event_source source = {
        .seed = header.len > 0 && sg_event_seed_parse(header, &seed) ? &seed : NULL,
        .fresh = fresh_ids,
        .context = server,
        .now_ms = sg_server_wall_ms(),
        .event_bytes_max = server->event_bytes_max,
        .consumed = &request->body,
    };
    enum sg_status status = sg_events_decode(sg_buf_str(&request->body), &source, &message->arena, &message->as.events.events,
                                             &message->as.events.count, &seen, &error);
    sg_buf_free(&request->body); /* what counts has been copied */
    if (status != SG_OK) {
        sg_message_free(message);
        refuse(request, status, seen, &error);
        return;
    }
    size_t count = message->as.events.count;
    prepare_answer(request, message->as.events.events, count);
    if (count == 0) {
        sg_message_free(message);
        return;
    }
    message->as.events.received_at_ms = source.now_ms;
    atomic_fetch_add(&server->counters.event_requests, 1);
    atomic_fetch_add(&server->counters.events, (long long)count);
    sg_request_post(request, message, on_reply);
}
