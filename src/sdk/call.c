/*
 * One call under way.
 *
 * The model. Begin: the body is assembled from the store, signed with the time of this attempt, and given to the HTTP exchange
 * with the headers of reference/01 §2.1. End: what came back, or what libcurl says went wrong, becomes the one message that the
 * engine gets for this call.
 *
 * A call that cannot be made at all (its URL is nonsense, a memo is missing in the store) is answered too, by us.
 */
#include "sdk/call.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sdk/answer.h"
#include "sdk/body.h"

#define TRANSFER_MAGIC 0x74726661u
#define BODY_BYTES_KEPT (256 * 1024) /* a larger buffer is given back after the call */

struct sg_transfer *sg_transfer_create(size_t response_bytes_max)
{
    struct sg_transfer *transfer = sg_calloc(1, sizeof(*transfer));
    if (transfer == NULL)
        return NULL;
    transfer->magic = TRANSFER_MAGIC;
    sg_buf_init(&transfer->body);
    sg_arena_init(&transfer->arena);
    if (sg_http_init(&transfer->http, response_bytes_max) != SG_OK) {
        sg_free(transfer);
        return NULL;
    }
    return transfer;
}

void sg_transfer_end(struct sg_transfer *transfer)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    if (transfer->call != NULL)
        sg_call_free(transfer->call);
    transfer->call = NULL;
    transfer->line = NULL;
    if (transfer->body.capacity > BODY_BYTES_KEPT)
        sg_buf_free(&transfer->body);
    sg_buf_clear(&transfer->body);
    sg_http_reset(&transfer->http);
    sg_arena_reset(&transfer->arena);
}

void sg_transfer_free(struct sg_transfer *transfer)
{
    if (transfer == NULL)
        return;
    sg_transfer_end(transfer);
    sg_http_free(&transfer->http);
    sg_buf_free(&transfer->body);
    sg_arena_free(&transfer->arena);
    transfer->magic = 0;
    sg_free(transfer);
}

/* ---- going out ---- */

static void add_int(struct sg_http *http, const char *name, int64_t number)
{
    char digits[SG_JOB_ID_MAX + 1];
    size_t at = 0;
    if (number < 0) {
        digits[at++] = '-';
        number = -number;
    }
    size_t len = at + sg_job_id_format(number, digits + at);
    sg_http_header(http, name, (struct sg_str){digits, len});
}

/* A step id goes into a header; what HTTP forbids there must not get through. */
static bool is_header_text(struct sg_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return true;
}

/* What tells an endpoint that its run goes on (reference/03 §4.7). Without keys too there is a signature: its presence is what the SDK looks for. */
static enum sg_status add_endpoint_headers(struct sg_transfer *transfer, const struct sg_signing_key *key)
{
    struct sg_http *http = &transfer->http;
    const struct sg_call *call = transfer->call;
    char text[SG_SIGNATURE_MAX + 1];

    sg_http_header(http, "Content-Type", transfer->endpoint.content_type);
    size_t len = 0;
    if (key != NULL)
        len = sg_signature_make(key, transfer->endpoint.signed_text, sg_http_wall_ms() / 1000, text);
    if (key != NULL && len == 0)
        return SG_SYSTEM;
    sg_http_header(http, "X-Inngest-Signature", key != NULL ? (struct sg_str){text, len} : SG_STR("t=0&s=unsigned"));
    sg_ulid_format(call->run_id, text);
    sg_http_header(http, "X-Run-ID", sg_str_from(text));
    add_int(http, "X-Inngest-Req-Version", call->request_version);
    if (call->target.len > 0)
        sg_http_header(http, "X-Inngest-Step-ID", call->target);
    if (call->is_plan_forced)
        sg_http_header(http, "X-Inngest-Force-Step-Plan", SG_STR("true"));
    sg_ulid_format(transfer->request_id, text);
    sg_http_header(http, "X-Request-Id", sg_str_from(text));
    add_int(http, "X-Inngest-Job-Id", call->job_id);
    add_int(http, "X-Inngest-Generation-Id", call->generation);
    return SG_OK;
}

static enum sg_status add_headers(struct sg_transfer *transfer, const struct sg_signing_key *key)
{
    if (transfer->call->is_endpoint)
        return add_endpoint_headers(transfer, key);
    struct sg_http *http = &transfer->http;
    const struct sg_call *call = transfer->call;
    char text[SG_SIGNATURE_MAX + 1];

    sg_http_header(http, "Content-Type", SG_STR("application/json"));
    if (key != NULL) {
        size_t len = sg_signature_make(key, sg_buf_str(&transfer->body), sg_http_wall_ms() / 1000, text);
        if (len == 0)
            return SG_SYSTEM;
        sg_http_header(http, "X-Inngest-Signature", (struct sg_str){text, len});
    }
    sg_ulid_format(call->run_id, text);
    sg_http_header(http, "X-Run-ID", sg_str_from(text));
    add_int(http, "X-Inngest-Req-Version", call->request_version);
    struct sg_arena arena;
    sg_arena_init(&arena);
    sg_http_header(http, "X-Inngest-Step-ID", call->target.len > 0 ? call->target : sg_call_step_id(call, &arena));
    sg_arena_free(&arena);
    sg_ulid_format(transfer->request_id, text);
    sg_http_header(http, "X-Request-Id", sg_str_from(text));
    add_int(http, "X-Inngest-Job-Id", call->job_id);
    if (call->generation > 0)
        add_int(http, "X-Inngest-Generation-Id", call->generation);
    return SG_OK;
}

/* URL, headers and body of the attempt; what is sent is in transfer->body, or in the request that is repeated. */
static enum sg_status prepare(struct sg_transfer *transfer, const struct sg_call_maker *maker, const struct sg_signing_key *key,
                              struct sg_error *error)
{
    const struct sg_call *call = transfer->call;
    struct sg_http *http = &transfer->http;
    struct sg_str url = call->is_endpoint ? transfer->endpoint.url : call->url;

    if (call->is_endpoint)
        sg_buf_append(&http->url, url);
    else
        sg_call_url(call, &http->url);
    enum sg_status status = add_headers(transfer, key);
    if (status != SG_OK)
        return sg_error_set(error, status, "the call could not be signed");
    status = sg_http_prepare(http, call->is_endpoint ? transfer->endpoint.method : "POST",
                             call->is_endpoint ? transfer->endpoint.body : sg_buf_str(&transfer->body), maker->call_timeout_ms,
                             maker->connect_timeout_ms);
    if (status != SG_OK)
        return sg_error_set(error, status, "the call to %.*s could not be prepared", (int)(url.len > 200 ? 200 : url.len), url.ptr);
    return SG_OK;
}

enum sg_status sg_transfer_begin(struct sg_transfer *transfer, struct sg_call_maker *maker, struct sg_call *call, struct sg_error *error)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    SG_CHECK(call, SG_CALL_MAGIC);
    assert(transfer->call == NULL);
    transfer->call = call;
    transfer->begun_at_ms = sg_http_monotonic_ms();
    if (!is_header_text(call->target))
        return sg_error_set(error, SG_BAD_RESPONSE,
                            "the SDK named a step with an id that holds control characters: it cannot be asked for");

    transfer->is_resigned = false;
    transfer->request_id = sg_ulid_generator_next(&maker->ulids, sg_http_wall_ms(), &maker->rng);
    enum sg_status status = call->is_endpoint ? sg_endpoint_request_read(maker->reader, call, &transfer->arena, &transfer->endpoint, error)
                                              : sg_body_assemble(maker->reader, call, transfer->request_id, &transfer->body, error);
    return status == SG_OK ? prepare(transfer, maker, maker->key, error) : status;
}

enum sg_status sg_transfer_resign(struct sg_transfer *transfer, struct sg_call_maker *maker)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    if (maker->fallback_key == NULL || transfer->is_resigned || sg_http_status(&transfer->http) != 401)
        return SG_NOT_FOUND;
    transfer->is_resigned = true;
    sg_http_reset(&transfer->http);
    return prepare(transfer, maker, maker->fallback_key, NULL);
}

/* ---- coming back ---- */

static struct sg_message *message_for(const struct sg_call *call)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_ANSWER);
    if (message == NULL)
        return NULL;
    message->as.answer.run_id = call->run_id;
    message->as.answer.job_id = call->job_id;
    message->as.answer.generation = call->generation;
    return message;
}

struct sg_message *sg_call_fail(const struct sg_call *call, enum sg_status status, const char *text)
{
    SG_CHECK(call, SG_CALL_MAGIC);
    struct sg_message *message = message_for(call);
    if (message == NULL)
        return NULL;
    struct sg_str words = sg_str_from(text != NULL && text[0] != '\0' ? text : sg_status_text(status));
    if (sg_answer_fail("Error", NULL, words, &message->arena, &message->as.answer.answer) != SG_OK) {
        sg_message_free(message);
        return NULL;
    }
    return message;
}

struct sg_message *sg_transfer_answer(struct sg_transfer *transfer, const struct sg_call_maker *maker, CURLcode code)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    struct sg_http *http = &transfer->http;
    struct sg_message *message = message_for(transfer->call);
    if (message == NULL)
        return NULL;
    struct sg_answer *answer = &message->as.answer.answer;
    enum sg_status status;
    size_t sent_bytes = transfer->call->is_endpoint ? transfer->endpoint.body.len : transfer->body.len;
    if (transfer->body.capacity > BODY_BYTES_KEPT) { /* before the answer takes its place, which may be as large */
        transfer->http.body = SG_STR_NULL;
        sg_buf_free(&transfer->body);
    }
    if (code == CURLE_OK) {
        struct sg_answer_input input = {
            .http_status = sg_http_status(http),
            .headers = http->headers,
            .body = sg_buf_str(&http->response),
            .consumed = http->response.len > BODY_BYTES_KEPT ? &http->response : NULL,
            .wall_now_ms = sg_http_wall_ms(),
            .sent_bytes = (int64_t)sent_bytes,
            .key_fingerprint = maker->key != NULL ? maker->fingerprint : NULL,
        };
        status = sg_answer_decode(&input, &message->arena, answer);
    } else {
        struct sg_str detail;
        enum sg_transport_failure failure = sg_http_failure(http, code, &message->arena, &detail);
        status = detail.ptr == NULL ? SG_NO_MEMORY : sg_answer_transport_failure(failure, detail, &message->arena, answer);
    }
    if (status != SG_OK) {
        sg_message_free(message);
        return NULL;
    }
    answer->duration_ms = sg_http_monotonic_ms() - transfer->begun_at_ms;
    return message;
}

/* ---- for metrics ---- */

static enum sg_call_error transport_error(const struct sg_http *http, CURLcode code)
{
    if (http->is_too_large || http->is_too_long)
        return SG_CALL_ERROR_TOO_LARGE;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return SG_CALL_ERROR_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return SG_CALL_ERROR_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
        return SG_CALL_ERROR_TLS;
    case CURLE_OUT_OF_MEMORY:
        return SG_CALL_ERROR_GATEWAY;
    default:
        return SG_CALL_ERROR_BROKEN;
    }
}

struct sg_call_report sg_transfer_report(const struct sg_transfer *transfer, CURLcode code, const struct sg_message *message)
{
    SG_CHECK(transfer, TRANSFER_MAGIC);
    struct sg_call_report report = {.error = SG_CALL_ERROR_NONE};
    report.is_final = transfer->call->attempt + 1 >= transfer->call->max_attempts;
    if (code == CURLE_OK)
        report.http_status = sg_http_status(&transfer->http);
    if (code != CURLE_OK) {
        report.error = transport_error(&transfer->http, code);
    } else if (message == NULL) {
        report.error = SG_CALL_ERROR_GATEWAY;
    } else if (message->as.answer.answer.kind == SG_ANSWER_ERROR) {
        report.error = report.http_status >= 500   ? SG_CALL_ERROR_STATUS_5XX
                       : report.http_status >= 400 ? SG_CALL_ERROR_STATUS_4XX
                                                   : SG_CALL_ERROR_ANSWER;
        report.is_final = report.is_final || message->as.answer.answer.is_no_retry;
    } else {
        const struct sg_answer *answer = &message->as.answer.answer;
        for (size_t i = 0; i < answer->op_count && report.error == SG_CALL_ERROR_NONE; i++)
            if (answer->ops[i].code == SG_OP_STEP_ERROR || answer->ops[i].code == SG_OP_STEP_FAILED) {
                report.error = SG_CALL_ERROR_STEP;
                report.is_final = answer->ops[i].code == SG_OP_STEP_FAILED;
            }
    }
    return report;
}
