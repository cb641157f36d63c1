/*
 * Any bytes as an answer: the first two choose status and headers, the rest is the body. Whatever comes, the verdict is one of
 * three and all that it carries is canonical.
 */
#include <assert.h>

#include <stepgate/json.h>

#include "sdk/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(struct sg_str text)
{
    struct sg_buf again = {0};
    if (text.len == 0)
        return;
    assert(sg_json_canonicalize(text, NULL, &again, NULL) == SG_OK);
    assert(sg_str_eq(sg_buf_str(&again), text));
    sg_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 204, 206, 302, 400, 401, 404, 413, 500, 502, 0, 999, 206, 206, 201};
    if (size < 2)
        return 0;
    struct sg_answer_input input = {
        .http_status = statuses[data[0] % 16],
        .body = {(const char *)data + 2, size - 2},
        .wall_now_ms = 1767225600000,
        .key_fingerprint = (data[1] & 16) != 0 ? "abc123" : NULL,
    };
    if ((data[1] & 1) != 0)
        input.headers.values[SG_HEADER_SDK] = (data[1] & 2) != 0 ? SG_STR("inngest-js:v2.4.0") : SG_STR("go:v0.15.1");
    if ((data[1] & 4) != 0)
        input.headers.values[SG_HEADER_SDK_HANDLED] = SG_STR("true");
    if ((data[1] & 8) != 0) {
        input.headers.values[SG_HEADER_RETRY_AFTER] = input.body.len > 20 ? (struct sg_str){input.body.ptr, 20} : input.body;
        input.headers.values[SG_HEADER_NO_RETRY] = (data[1] & 32) != 0 ? SG_STR("true") : SG_STR("false");
    }

    struct sg_arena arena = {0};
    struct sg_answer answer;
    assert(sg_answer_decode(&input, &arena, &answer) == SG_OK);
    check_canonical(answer.output);
    check_canonical(answer.error);
    assert(answer.kind != SG_ANSWER_ERROR || sg_json_kind_of(answer.error) == SG_JSON_OBJECT);
    assert(answer.kind != SG_ANSWER_OPS || (answer.op_count >= 1 && input.headers.values[SG_HEADER_SDK].len > 0) ||
           input.http_status == 201);
    assert(answer.retry_after_ms == 0 ||
           (answer.retry_after_ms >= SG_LIMIT_RETRY_AFTER_MIN_MS && answer.retry_after_ms <= SG_LIMIT_RETRY_AFTER_MAX_MS));
    sg_arena_free(&arena);
    return 0;
}
