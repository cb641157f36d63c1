/*
 * POST /v1/signals: a signal for a run that waits for it (reference/02 §9.3, reference/03 §3.5).
 *
 * The model. Signals are not queued: one that nobody waits for is answered with 404, which SDKs take as "no run id". Otherwise the answer names the run,
 * and comes after the commit: the run has its signal then, whatever dies.
 */
#include <stepgate/json.h>

#include "server/handlers.h"
#include "server/respond.h"

static void on_sent(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_NOT_FOUND) {
        sg_respond_error(request, 404, NULL, "No signal found");
        return;
    }
    if (reply->status != SG_OK) {
        sg_respond_status(request, reply->status, reply->message);
        return;
    }
    struct sg_buf *out = sg_respond_envelope_begin(request);
    sg_buf_byte(out, '{');
    sg_json_member_ulid(out, "run_id", reply->id);
    sg_buf_byte(out, '}');
    sg_respond_envelope_end(request, 0);
}

static void send_on(struct sg_request *request, struct sg_str signal, struct sg_str data)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_SIGNAL);
    if (message == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    message->as.signal.data = sg_arena_copy(&message->arena, data.len > 0 ? data : SG_STR("null"));
    struct sg_str name = sg_arena_copy(&message->arena, signal); /* a plain text is read in place, so it must be the message's own */
    if (message->as.signal.data.ptr == NULL || name.ptr == NULL ||
        sg_json_to_str(name, &message->arena, &message->as.signal.name) != SG_OK) {
        sg_message_free(message);
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    sg_request_post(request, message, on_sent);
}

void sg_handle_signal(struct sg_request *request)
{
    struct sg_buf canonical;
    sg_buf_init(&canonical);
    enum sg_status status = sg_json_canonicalize(sg_buf_str(&request->body), NULL, &canonical, NULL);
    struct sg_str signal = sg_json_get(sg_buf_str(&canonical), SG_STR("signal"));
    if (status == SG_NO_MEMORY)
        sg_respond_status(request, status, "");
    else if (status != SG_OK || sg_json_kind_of(sg_buf_str(&canonical)) != SG_JSON_OBJECT)
        sg_respond_error(request, 400, NULL, "Invalid signal data");
    else if (sg_json_kind_of(signal) != SG_JSON_STRING || signal.len <= 2)
        sg_respond_error(request, 500, NULL, "Failed to receive signal");
    else
        send_on(request, signal, sg_json_get(sg_buf_str(&canonical), SG_STR("data")));
    sg_buf_free(&canonical);
}
