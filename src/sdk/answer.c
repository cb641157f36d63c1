/*
 * An SDK's answer decoded.
 *
 * The model. First the envelope of a streamed answer is taken off. Then four questions in this order decide (reference/01
 * §8.1): is it a 206 (ops), does it come from an SDK at all, is it a 2xx (finished), may it be retried. What is not an SDK's
 * answer is never a result, however successful its status looks: a proxy's login page must not complete a run. Whatever cannot
 * be understood is an error that is retried like any other, with words that say which side failed and why.
 *
 * What differs from the server that we stand in for, on purpose (reference/02 §2, "Quirks"): a 2xx ignores no-retry and
 * retry-after, and errors of our own carry plain names and messages, not JSON texts.
 *
 * What it never does: fail. Only memory can run out.
 */
#include "sdk/answer.h"

#include <stepgate/json.h>

#include "base/check.h"
#include "base/duration.h"
#include "sdk/answer_explain.h"
#include "sdk/envelope.h"
#include "sdk/ops.h"

#define NOT_SDK_TEXT "The response did not come from an Inngest SDK"
#define STRING_OBJECT_BYTES (32 * 1024)    /* an error inside a string is looked for up to this size (reference/02 §6.3) */
#define PLAIN_TEXT_BYTES_MAX (1024 * 1024) /* ours: of a body that is not JSON; quoting may make six bytes of one */
#define DEEP_BYTES_SHOWN 200               /* ours: of a body that is refused for its depth */

/* Canonical JSON of a text, or nothing. SG_NO_MEMORY and SG_TOO_DEEP are the only errors. */
static enum sg_status canonical(struct sg_str text, struct sg_buf *consumed, struct sg_arena *arena, struct sg_str *value)
{
    enum sg_status status = sg_json_canonical_keep(text, consumed, arena, value, NULL);
    return status == SG_NO_MEMORY || status == SG_TOO_DEEP ? status : SG_OK;
}

static struct sg_str quoted(struct sg_str text, struct sg_arena *arena)
{
    struct sg_buf buf;
    sg_buf_init(&buf);
    sg_json_quote(&buf, text);
    struct sg_str value = buf.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&buf));
    sg_buf_free(&buf);
    return value;
}

static struct sg_str cut_to(struct sg_str text, size_t bytes_max)
{
    if (text.len <= bytes_max)
        return text;
    while (bytes_max > 0 && ((unsigned char)text.ptr[bytes_max] & 0xc0) == 0x80)
        bytes_max--;
    return (struct sg_str){text.ptr, bytes_max};
}

/* The object that a JSON string holds as text (v1 and v2 encode their errors twice); empty if it holds none. */
static enum sg_status unwrap(struct sg_str value, size_t bytes_max, struct sg_arena *arena, struct sg_str *object)
{
    *object = SG_STR_NULL;
    if (sg_json_kind_of(value) != SG_JSON_STRING || value.len > bytes_max)
        return SG_OK;
    struct sg_str text;
    if (sg_json_to_str(value, arena, &text) != SG_OK)
        return SG_NO_MEMORY;
    text = sg_str_trim(text);
    if (text.len == 0 || text.ptr[0] != '{')
        return SG_OK;
    return canonical(text, NULL, arena, object) == SG_NO_MEMORY ? SG_NO_MEMORY : SG_OK;
}

/*
 * A body as a value (reference/01 §8.8); empty: none. SG_TOO_DEEP: it is JSON, too deep to be kept as such; the value is its
 * text then, for an error that quotes it.
 */
static enum sg_status body_value(struct sg_str body, struct sg_buf *consumed, struct sg_arena *arena, struct sg_str *value)
{
    *value = SG_STR_NULL;
    struct sg_str text = sg_str_trim(body);
    if (text.len == 0)
        return SG_OK;
    enum sg_status status = canonical(text, consumed, arena, value);
    if (status == SG_NO_MEMORY)
        return status;
    if (value->len == 0) {
        *value = quoted(cut_to(body, status == SG_TOO_DEEP ? DEEP_BYTES_SHOWN : PLAIN_TEXT_BYTES_MAX), arena);
        return value->ptr == NULL ? SG_NO_MEMORY : status;
    }
    struct sg_str inner;
    status = unwrap(*value, SIZE_MAX, arena, &inner);
    if (status == SG_OK && inner.len > 0)
        *value = inner;
    return status;
}

/* ---- the error object ---- */

struct error_parts {
    struct sg_str error; /* JSON strings */
    struct sg_str message;
    struct sg_str name;
    struct sg_str stack;
    struct sg_str cause; /* any JSON */
};

static void take_string(struct sg_str object, struct sg_str key, struct sg_str *part)
{
    struct sg_str value = sg_json_get(object, key);
    if (sg_json_kind_of(value) == SG_JSON_STRING && value.len > 2)
        *part = value;
}

/* The member `error` or `body` where it is an object (or a string that holds one), else the object itself. */
static enum sg_status error_source(struct sg_str value, struct sg_arena *arena, struct sg_str *source)
{
    static const char *const keys[] = {"error", "body"};
    *source = value;
    for (size_t i = 0; i < SG_ARRAY_LEN(keys); i++) {
        struct sg_str member = sg_json_get(value, sg_str_from(keys[i]));
        if (sg_json_kind_of(member) == SG_JSON_OBJECT) {
            *source = member;
            return SG_OK;
        }
        struct sg_str inner;
        if (unwrap(member, STRING_OBJECT_BYTES, arena, &inner) != SG_OK)
            return SG_NO_MEMORY;
        if (inner.len > 0) {
            *source = inner;
            return SG_OK;
        }
    }
    return SG_OK;
}

static void write_part(struct sg_buf *out, const char *key, struct sg_str json)
{
    if (json.len == 0)
        return;
    sg_buf_byte(out, out->len == 0 ? '{' : ',');
    sg_json_quote(out, sg_str_from(key));
    sg_buf_byte(out, ':');
    sg_buf_append(out, json);
}

static struct sg_str parts_write(const struct error_parts *parts, struct sg_arena *arena)
{
    struct sg_buf out;
    sg_buf_init(&out);
    write_part(&out, "cause", parts->cause);
    write_part(&out, "error", parts->error);
    write_part(&out, "message", parts->message);
    write_part(&out, "name", parts->name);
    write_part(&out, "stack", parts->stack);
    sg_buf_byte(&out, '}');
    struct sg_str object = out.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&out));
    sg_buf_free(&out);
    return object;
}

struct sg_str sg_answer_error_object(struct sg_str value, struct sg_str reason, struct sg_arena *arena)
{
    struct error_parts parts = {.name = SG_STR("\"Error\"")};
    enum sg_json_kind kind = sg_json_kind_of(value);
    if (kind == SG_JSON_OBJECT) {
        struct sg_str source;
        if (error_source(value, arena, &source) != SG_OK)
            return SG_STR_NULL;
        take_string(source, SG_STR("error"), &parts.error);
        take_string(source, SG_STR("message"), &parts.message);
        take_string(source, SG_STR("name"), &parts.name);
        take_string(source, SG_STR("stack"), &parts.stack);
        parts.cause = sg_json_get(source, SG_STR("cause"));
        if (sg_json_kind_of(parts.cause) == SG_JSON_NULL)
            parts.cause = SG_STR_NULL;
    } else if (kind != SG_JSON_ABSENT && kind != SG_JSON_NULL) {
        struct sg_str text = value;
        if (kind == SG_JSON_STRING && sg_json_to_str(value, arena, &text) != SG_OK)
            return SG_STR_NULL;
        if (text.len > 0) {
            parts.message = quoted(cut_to(text, SG_LIMIT_ERROR_STACK_BYTES), arena);
            if (parts.message.ptr == NULL)
                return SG_STR_NULL;
        }
    }
    struct sg_str because = quoted(reason, arena);
    if (because.ptr == NULL)
        return SG_STR_NULL;
    if (parts.error.len == 0)
        parts.error = because;
    if (parts.message.len == 0)
        parts.message = because;
    return parts_write(&parts, arena);
}

/* ---- errors of our own ---- */

/* error = {error, message, name, stack?}, output = {"error": error}: how failures without an answer are stored (reference/01 §8.7). */
static enum sg_status own_error(struct sg_answer *answer, const char *name, struct sg_str text, struct sg_str message, struct sg_str stack,
                                struct sg_arena *arena)
{
    struct error_parts parts = {.error = quoted(text, arena), .message = quoted(message, arena), .name = quoted(sg_str_from(name), arena)};
    if (stack.len > 0)
        parts.stack = quoted(stack, arena);
    if (parts.error.ptr == NULL || parts.message.ptr == NULL || parts.name.ptr == NULL || (stack.len > 0 && parts.stack.ptr == NULL))
        return SG_NO_MEMORY;
    answer->kind = SG_ANSWER_ERROR;
    answer->error = parts_write(&parts, arena);
    answer->output = sg_arena_printf(arena, "{\"error\":%.*s}", SG_FMT(answer->error));
    return answer->error.ptr == NULL || answer->output.ptr == NULL ? SG_NO_MEMORY : SG_OK;
}

enum sg_status sg_answer_fail(const char *name, const char *text, struct sg_str message, struct sg_arena *arena, struct sg_answer *answer)
{
    *answer = (struct sg_answer){0};
    return own_error(answer, name, text != NULL ? sg_str_from(text) : message, message, SG_STR_NULL, arena);
}

enum sg_status sg_answer_transport_failure(enum sg_transport_failure failure, struct sg_str detail, struct sg_arena *arena,
                                           struct sg_answer *answer)
{
    *answer = (struct sg_answer){0};
    switch (failure) {
    case SG_TRANSPORT_UNREACHABLE:
        return own_error(answer, "Error", SG_STR("Unable to reach SDK URL"), SG_STR("Unable to reach SDK URL"), detail, arena);
    case SG_TRANSPORT_RESET: {
        struct sg_str text = SG_STR("Your server reset the connection while we were reading the reply: Unexpected ending response");
        return own_error(answer, "Error", text, text, detail, arena);
    }
    case SG_TRANSPORT_TOO_LARGE: {
        struct sg_str message = sg_str_from(sg_status_text(SG_OUTPUT_TOO_LARGE));
        struct sg_str text = sg_arena_printf(arena, "output_too_large: %.*s", SG_FMT(message));
        if (text.ptr == NULL)
            return SG_NO_MEMORY;
        return own_error(answer, "output_too_large", text, message, detail, arena);
    }
    case SG_TRANSPORT_OTHER:
        break;
    }
    return own_error(answer, "Error", detail, detail, SG_STR_NULL, arena);
}

/* ---- retrying ---- */

static bool version_part(struct sg_str *text, int64_t *part)
{
    size_t len = 0;
    while (len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9')
        len++;
    if (len == 0 || !sg_str_to_int((struct sg_str){text->ptr, len}, part))
        return false;
    *text = (struct sg_str){text->ptr + len, text->len - len};
    return true;
}

/* TypeScript SDKs before 1.10.1 and 2.4.1 say "do not retry" by the status alone (reference/01 §8.5). */
static bool is_before_no_retry_header(struct sg_str sdk)
{
    struct sg_str prefix = SG_STR("inngest-js:v");
    if (!sg_str_starts_with(sdk, prefix))
        return false;
    struct sg_str rest = {sdk.ptr + prefix.len, sdk.len - prefix.len};
    int64_t version[3] = {0};
    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            if (rest.len == 0 || rest.ptr[0] != '.')
                return false;
            rest = (struct sg_str){rest.ptr + 1, rest.len - 1};
        }
        if (!version_part(&rest, &version[i]))
            return false;
    }
    if (version[0] != 1 && version[0] != 2)
        return false;
    int64_t minor = version[0] == 1 ? 10 : 4;
    int64_t patch = 1;
    if (version[1] != minor)
        return version[1] < minor;
    if (version[2] != patch)
        return version[2] < patch;
    return rest.len > 0 && rest.ptr[0] == '-'; /* a pre-release comes before its version */
}

static bool is_no_retry(int64_t status, const struct sg_headers *headers)
{
    struct sg_str header = headers->values[SG_HEADER_NO_RETRY];
    if (header.len > 0)
        return sg_str_eq(header, SG_STR("true"));
    return status >= 400 && status < 500 && is_before_no_retry_header(headers->values[SG_HEADER_SDK]);
}

/* ---- the decision ---- */

static enum sg_status decode_ops(const struct sg_headers *headers, struct sg_str body, struct sg_buf *consumed, struct sg_arena *arena,
                                 struct sg_answer *answer)
{
    struct sg_error why = {0};
    enum sg_status status = sg_ops_decode(body, consumed, arena, &answer->ops, &answer->op_count, &why);
    if (status == SG_NO_MEMORY)
        return status;
    if (status == SG_TOO_MANY) {
        answer->is_no_retry = true;
        answer->retry_after_ms = 0;
        struct sg_str message = sg_arena_printf(arena, "The function run exceeded the step limit of %d steps.", SG_LIMIT_OPS_PER_ANSWER);
        struct sg_str text = sg_arena_printf(arena, "InngestErrFunctionOverflowed: %.*s", SG_FMT(message));
        if (message.ptr == NULL || text.ptr == NULL)
            return SG_NO_MEMORY;
        return own_error(answer, "InngestErrFunctionOverflowed", text, message, sg_str_from(why.message), arena);
    }
    if (status != SG_OK) {
        answer->is_no_retry = false; /* not the SDK's verdict on a failure: it did not know that we cannot read it */
        return own_error(answer, "Error", sg_str_from(why.message), sg_str_from(why.message), SG_STR_NULL, arena);
    }
    if (headers->values[SG_HEADER_SDK].len == 0) {
        answer->ops = NULL;
        answer->op_count = 0;
        answer->is_no_retry = false;
        return own_error(answer, "Error", SG_STR(NOT_SDK_TEXT), SG_STR(NOT_SDK_TEXT), SG_STR_NULL, arena);
    }
    answer->kind = SG_ANSWER_OPS;
    return SG_OK;
}

/*
 * The SDK gave up a call because we answered one of its checkpoints with 409: that says nothing about the function (reference/03 §4.2). Where the call
 * is stale, the engine drops this answer for its generation; should it be the current one after all, the call is made again.
 */
static bool is_stale_dispatch(struct sg_str output)
{
    return sg_json_str_eq(sg_json_get(output, SG_STR("name")), SG_STR("StaleDispatchError"));
}

/* A failure that the SDK itself reports. */
static enum sg_status decode_failure(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status,
                                     struct sg_arena *arena, struct sg_answer *answer)
{
    struct sg_str reason;
    struct sg_str refusal = SG_STR_NULL;
    if (is_stale_dispatch(answer->output))
        answer->is_no_retry = false;
    if (!sg_answer_explain_refusal(input, headers, http_status, answer->output, arena, &refusal))
        return SG_NO_MEMORY;
    if (refusal.len > 0)
        reason = refusal;
    else if (answer->is_no_retry)
        reason = SG_STR("NonRetriableError");
    else
        reason = sg_arena_printf(arena, "invalid status code: %lld", (long long)http_status);
    if (reason.ptr == NULL)
        return SG_NO_MEMORY;
    answer->kind = SG_ANSWER_ERROR;
    answer->error = sg_answer_error_object(answer->output, reason, arena);
    if (answer->error.ptr == NULL)
        return SG_NO_MEMORY;
    if (refusal.len > 0)
        answer->output = answer->error; /* what people see of the run: "Unauthorized" alone tells them nothing */
    return SG_OK;
}

/* A failure that somebody in front of the SDK reports. */
static enum sg_status decode_foreign_failure(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status,
                                             struct sg_str body, struct sg_arena *arena, struct sg_answer *answer)
{
    struct sg_explanation words;
    if (!sg_answer_explain(input, headers, http_status, body, arena, &words))
        return SG_NO_MEMORY;
    enum sg_status status = own_error(answer, "Server returned a fatal error", words.message, words.message, words.detail, arena);
    answer->output = answer->error;
    return status;
}

/* A result that cannot be kept: an error like any that is not the SDK's own, so it is tried again. */
static enum sg_status decode_too_deep(struct sg_arena *arena, struct sg_answer *answer)
{
    answer->is_no_retry = false;
    answer->retry_after_ms = 0;
    struct sg_str words =
        sg_arena_printf(arena, "The function's result is JSON nested more than %d deep: it cannot be kept", SG_LIMIT_JSON_DEPTH);
    return words.ptr == NULL ? SG_NO_MEMORY : own_error(answer, "Error", words, words, SG_STR_NULL, arena);
}

/* `http_status` and `headers` are those of the envelope, if there was one. */
static enum sg_status decode(const struct sg_answer_input *input, int64_t http_status, const struct sg_headers *headers, struct sg_str body,
                             struct sg_buf *consumed, struct sg_arena *arena, struct sg_answer *answer)
{
    bool is_sdk = headers->values[SG_HEADER_SDK].len > 0;
    bool is_success = http_status >= 200 && http_status <= 299;
    int64_t version = 0;
    if (sg_str_to_int(headers->values[SG_HEADER_REQ_VERSION], &version) && version >= 0 && version <= INT32_MAX)
        answer->request_version = (int)version;
    answer->is_no_retry = is_no_retry(http_status, headers);
    if (!sg_retry_after_parse(headers->values[SG_HEADER_RETRY_AFTER], input->wall_now_ms, &answer->retry_after_ms))
        answer->retry_after_ms = 0;

    if (http_status == 206)
        return decode_ops(headers, body, consumed, arena, answer);
    if (!is_success && !is_sdk)
        return decode_foreign_failure(input, headers, http_status, body, arena, answer);
    enum sg_status status = body_value(body, consumed, arena, &answer->output);
    if (status == SG_NO_MEMORY)
        return status;
    if (status == SG_TOO_DEEP && is_success && is_sdk)
        return decode_too_deep(arena, answer);
    if (!is_success)
        return decode_failure(input, headers, http_status, arena, answer);
    answer->is_no_retry = false;
    if (!is_sdk) {
        answer->kind = SG_ANSWER_ERROR;
        answer->error = sg_answer_error_object(answer->output, SG_STR(NOT_SDK_TEXT), arena);
        return answer->error.ptr == NULL ? SG_NO_MEMORY : SG_OK;
    }
    answer->retry_after_ms = 0;
    answer->kind = SG_ANSWER_FINISHED;
    return SG_OK;
}

enum sg_status sg_answer_decode(const struct sg_answer_input *input, struct sg_arena *arena, struct sg_answer *answer)
{
    *answer = (struct sg_answer){.http_status = input->http_status};
    struct sg_headers headers = input->headers;
    if (input->http_status != 201)
        return decode(input, input->http_status, &headers, input->body, input->consumed, arena, answer);

    struct sg_envelope envelope;
    struct sg_error why = {0};
    enum sg_status status = sg_envelope_open(input->body, input->consumed, arena, &headers, &envelope, &why);
    if (status == SG_NO_MEMORY)
        return status;
    if (status != SG_OK)
        return own_error(answer, "Error", sg_str_from(why.message), sg_str_from(why.message), SG_STR_NULL, arena);
    if (envelope.status >= 100 && envelope.status <= 999)
        answer->http_status = (int)envelope.status;
    status = decode(input, envelope.status, &headers, envelope.body, &envelope.text, arena, answer);
    sg_envelope_free(&envelope);
    return status;
}
