/*
 * POST /v1/checkpoint: a durable endpoint has begun, and its SDK reports the run with its first steps (reference/03 §4.4).
 *
 * The model. The SDK has chosen the run's id and posts until it hears 200, so a repeat must be as good as the first: whether the run is known
 * is found out behind the poster (the node's lookup), and the engine applies the same steps a second time without effect. The answer holds two
 * tokens that the SDK passes on to its client, for the output and for the stream. They depend on nothing but the run's id, so a repeat
 * gets new ones.
 */
#include <stdio.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "server/checkpoint.h"
#include "server/endpoint_decode.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/tokens.h"

/* What the answer needs of the request. */
struct creation {
    struct sg_id run_id;
    struct sg_id app_id;
    struct sg_id function_id;
};

static void on_reply(struct sg_request *request, const struct sg_reply *reply)
{
    const struct creation *creation = request->state;
    int64_t now_ms = sg_server_wall_ms();
    struct sg_buf token;

    /* A repeat that was set aside, whose run has ended meanwhile, is told that there is none: it has done what it was to do. */
    if (reply->status != SG_OK && reply->status != SG_NOT_FOUND) {
        sg_respond_status(request, reply->status, reply->message);
        return;
    }
    struct sg_buf *out = sg_respond_envelope_begin(request);
    sg_buf_byte(out, '{');
    sg_json_member_uuid(out, "app_id", creation->app_id);
    sg_buf_byte(out, ',');
    sg_json_member_uuid(out, "fn_id", sg_id_is_null(reply->id) ? creation->function_id : reply->id);
    sg_buf_byte(out, ',');
    sg_buf_init(&token);
    sg_token_stream_make(request->server, creation->run_id, now_ms, &token);
    sg_json_member_str(out, "realtime_token", sg_buf_str(&token));
    sg_buf_byte(out, ',');
    sg_json_member_ulid(out, "run_id", creation->run_id);
    sg_buf_byte(out, ',');
    out->is_failed |= token.is_failed;
    sg_buf_clear(&token);
    sg_token_run_make(request->server, creation->run_id, now_ms, &token);
    sg_json_member_str(out, "token", sg_buf_str(&token));
    sg_buf_byte(out, '}');
    out->is_failed |= token.is_failed;
    sg_buf_free(&token);
    sg_respond_envelope_end(request, 0);
}

/* Reads the request into the message; false if the answer has been set. */
static bool read_run(struct sg_request *request, struct sg_message *message)
{
    struct sg_server *server = request->server;
    struct sg_str body;
    struct sg_error error;
    struct sg_http_run_in *run = &message->as.http_run;
    struct sg_str sdk = sg_request_header(request, "x-inngest-sdk");
    struct sg_endpoint_source source = {.sdk = sdk, .now_ms = sg_server_wall_ms(), .event_bytes_max = server->event_bytes_max};

    if (!sg_checkpoint_read_body(request, message, &body))
        return false;
    sg_server_ids(server, source.now_ms, &source.event_id, 1);
    enum sg_status status = sg_endpoint_decode(body, &source, &message->arena, run, &error);
    if (status != SG_OK) {
        sg_respond_status(request, status, error.message);
        return false;
    }
    return sg_checkpoint_read_steps(request, body, &message->arena, &run->ops, &run->op_count);
}

void sg_handle_http_run(struct sg_request *request)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_HTTP_RUN);
    struct creation *creation = sg_arena_zalloc(&request->arena, sizeof(*creation));

    if (message == NULL || creation == NULL) {
        if (message != NULL)
            sg_message_free(message);
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    if (!read_run(request, message)) {
        sg_message_free(message);
        return;
    }
    const struct sg_http_run_in *run = &message->as.http_run;
    *creation = (struct creation){.run_id = run->run_id, .app_id = run->app_id, .function_id = run->function.id};
    request->state = creation;
    atomic_fetch_add(&request->server->counters.checkpoints, 1);
    sg_request_post(request, message, on_reply);
}
