/*
 * POST /v1/checkpoint/{run}/async: steps that a call in flight has finished are put on disk while it goes on (reference/03 §4.2).
 * POST /v1/checkpoint/{run}/steps: the same for a run that a durable endpoint executes itself (§4.5).
 *
 * The model. The whole body is made canonical and kept in the message; the ops borrow from it. What kind of ops may be
 * checkpointed is judged here as far as it concerns the request's form (an op that is answered later must come in the
 * answer of a call if there is one), and by the engine as far as it concerns the run. Whose dispatch it is says `qi_id`,
 * which carries job and generation of the call and is echoed by every SDK that checkpoints.
 *
 * 200 means on disk. Everything else leaves the run as it was, and SDKs repeat the post or fall back to reporting in the answer. An endpoint
 * can do neither for a run that is over: it hears 200, since there is nothing to save and its client still wants a response.
 */
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/body.h"
#include "sdk/ops.h"
#include "server/checkpoint.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/respond.h"

/* 400 with the run's id, as SDKs' logs show it for a run that has ended (reference/03 §4.2). */
static void respond_no_run(struct sg_request *request)
{
    struct sg_buf data;

    sg_buf_init(&data);
    sg_buf_byte(&data, '{');
    sg_json_member_str(&data, "run_id", request->parameters[0]); /* whatever the path says: quoted */
    sg_buf_byte(&data, '}');
    sg_response_error(&request->response, SG_SHAPE_PUBLIC, 400, NULL, data.is_failed ? SG_STR_NULL : sg_buf_str(&data),
                      SG_STR("run not found in state store"));
    sg_buf_free(&data);
}

static void on_reply(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_NOT_FOUND)
        respond_no_run(request);
    else if (reply->status != SG_OK)
        sg_respond_status(request, reply->status, reply->message);
    else
        sg_respond_empty(request, 200);
}

/* 200 also if the run has ended or never was: whoever executes it goes on anyway, and nothing is lost (reference/03 §4.5). */
static void on_reply_sync(struct sg_request *request, const struct sg_reply *reply)
{
    if (reply->status == SG_OK || reply->status == SG_NOT_FOUND)
        sg_respond_empty(request, 200);
    else
        sg_respond_status(request, reply->status, reply->message);
}

static bool is_async(enum sg_opcode code)
{
    switch (code) {
    case SG_OP_STEP_ERROR:
    case SG_OP_STEP_FAILED:
    case SG_OP_SLEEP:
    case SG_OP_WAIT_FOR_EVENT:
    case SG_OP_INVOKE_FUNCTION:
    case SG_OP_WAIT_FOR_SIGNAL:
    case SG_OP_AI_GATEWAY:
    case SG_OP_GATEWAY:
    case SG_OP_DISCOVERY_REQUEST:
        return true;
    default:
        return false;
    }
}

bool sg_checkpoint_read_body(struct sg_request *request, struct sg_message *message, struct sg_str *body)
{
    struct sg_error error;
    enum sg_status status = sg_json_canonical_keep(sg_buf_str(&request->body), &request->body, &message->arena, body, &error);

    sg_buf_free(&request->body);
    if (status == SG_NO_MEMORY) {
        sg_respond_status(request, status, "");
    } else if (status != SG_OK) {
        bool is_cut = status == SG_INVALID_JSON && strstr(error.message, "the text ends") != NULL;
        sg_respond_error(request, 400, NULL, "invalid request body: %s", is_cut ? "unexpected EOF" : error.message);
    } else if (sg_json_kind_of(*body) != SG_JSON_OBJECT) {
        sg_respond_error(request, 400, "invalid_argument", "invalid request body: it must be an object, not %s",
                         sg_json_kind_name(sg_json_kind_of(*body)));
    } else {
        return true;
    }
    return false;
}

/* The run that the body names; the path only counts if the body names none (reference/03 §4.2). */
static bool read_run_id(struct sg_request *request, struct sg_str body, struct sg_arena *arena, struct sg_id *run_id)
{
    struct sg_str text = request->parameters[0];
    struct sg_str value = sg_json_get(body, SG_STR("run_id"));

    if (value.len > 0 && sg_json_to_str(value, arena, &text) != SG_OK)
        return false;
    return sg_ulid_parse(text, run_id);
}

static void read_dispatch(struct sg_str body, struct sg_message *message)
{
    struct sg_str text;

    if (sg_json_to_str(sg_json_get(body, SG_STR("qi_id")), &message->arena, &text) != SG_OK)
        return;
    if (!sg_qi_id_parse(text, &message->as.checkpoint.job_id, &message->as.checkpoint.generation)) {
        message->as.checkpoint.job_id = 0;
        message->as.checkpoint.generation = 0;
    }
}

/* Whether an output alone is too large; 413 then. Ops of any kind are looked at, in whatever form they are. */
static bool has_large_output(struct sg_str steps)
{
    struct sg_json_iter iter = sg_json_iter(steps);
    struct sg_str step;

    while (sg_json_next_element(&iter, &step))
        if (step.len > SG_LIMIT_STEP_OUTPUT_BYTES &&
            sg_json_get(step, SG_STR("data")).len > SG_LIMIT_STEP_OUTPUT_BYTES - 9) /* as {"data":…} */
            return true;
    return false;
}

bool sg_checkpoint_read_steps(struct sg_request *request, struct sg_str body, struct sg_arena *arena, struct sg_op **ops, size_t *count)
{
    struct sg_str steps = sg_json_get(body, SG_STR("steps"));
    struct sg_error error;

    *ops = NULL;
    *count = 0;
    if (sg_json_kind_of(steps) == SG_JSON_ABSENT || sg_str_eq(steps, SG_STR("[]")))
        return true; /* nothing to save, but the run must be there */
    if (sg_json_kind_of(steps) != SG_JSON_ARRAY) {
        sg_respond_error(request, 400, "invalid_argument", "invalid request body: \"steps\" must be an array, not %s",
                         sg_json_kind_name(sg_json_kind_of(steps)));
        return false;
    }
    if (has_large_output(steps)) {
        sg_respond_error(request, 413, "too_large", "a step's output is larger than %d bytes", SG_LIMIT_STEP_OUTPUT_BYTES);
        return false;
    }
    enum sg_status status = sg_ops_read(steps, arena, ops, count, &error);
    if (status == SG_NO_MEMORY)
        sg_respond_status(request, status, "");
    else if (status != SG_OK)
        sg_respond_error(request, 400, sg_status_code(SG_INVALID_ARGUMENT), "invalid request body: %s", error.message);
    return status == SG_OK;
}

/* An op that is answered later has no place beside a call that goes on. */
static bool refuse_async(struct sg_request *request, const struct sg_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_async(ops[i].code))
            continue;
        sg_respond_error(request, 400, "async_steps",
                         "cannot checkpoint async steps: step %zu is a %s, which belongs into the answer of the call", i + 1,
                         sg_opcode_name(ops[i].code));
        return true;
    }
    return false;
}

static void handle(struct sg_request *request, bool is_sync)
{
    struct sg_str body;
    struct sg_message *message = sg_message_create(SG_MESSAGE_CHECKPOINT);

    if (message == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return;
    }
    message->as.checkpoint.is_sync = is_sync;
    struct sg_op **ops = &message->as.checkpoint.ops;
    size_t *count = &message->as.checkpoint.op_count;
    bool is_read = sg_checkpoint_read_body(request, message, &body);
    if (is_read && !read_run_id(request, body, &message->arena, &message->as.checkpoint.run_id)) {
        sg_respond_error(request, 400, "invalid_argument", "invalid request body: \"run_id\" is not a run ID");
        is_read = false;
    }
    is_read = is_read && sg_checkpoint_read_steps(request, body, &message->arena, ops, count);
    if (!is_read || (!is_sync && refuse_async(request, *ops, *count))) {
        sg_message_free(message);
        return;
    }
    if (!is_sync)
        read_dispatch(body, message);
    atomic_fetch_add(&request->server->counters.checkpoints, 1);
    sg_request_post(request, message, is_sync ? on_reply_sync : on_reply);
}

void sg_handle_checkpoint(struct sg_request *request)
{
    handle(request, false);
}

void sg_handle_checkpoint_steps(struct sg_request *request)
{
    handle(request, true);
}
