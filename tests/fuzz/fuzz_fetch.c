/*
 * Any JSON as the options of a step's request, and what is left of it as an answer: refused with a message that repeats nothing, or a request whose every
 * line can be sent as it is, and an outcome that is canonical JSON.
 */
#include <assert.h>
#include <string.h>

#include <stepgate/json.h>

#include "sdk/fetch_request.h"
#include "sdk/fetch_result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(struct sg_str text)
{
    struct sg_buf again = {0};
    assert(sg_json_canonicalize(text, NULL, &again, NULL) == SG_OK);
    assert(sg_str_eq(sg_buf_str(&again), text));
    sg_buf_free(&again);
}

static void check_line(struct sg_str text)
{
    assert(text.ptr != NULL && strlen(text.ptr) == text.len);
    for (size_t i = 0; i < text.len; i++)
        assert(text.ptr[i] != '\r' && text.ptr[i] != '\n');
}

static void check_outcome(const struct sg_fetch_request *request, struct sg_str rest, struct sg_arena *arena)
{
    struct sg_str data;
    struct sg_str error;
    size_t half = rest.len / 2;
    struct sg_fetch_response response = {.status = rest.len > 0 ? 100 + (unsigned char)rest.ptr[0] * 3 : 200,
                                         .url = request->url,
                                         .headers = {rest.ptr, half},
                                         .body = {rest.ptr + half, rest.len - half}};
    assert(sg_fetch_result(request, &response, arena, &data, &error) == SG_OK);
    assert((data.len > 0) != (error.len > 0));
    check_canonical(data.len > 0 ? data : error);
    if (error.len == 0)
        return;
    assert(sg_json_kind_of(sg_json_get(error, SG_STR("name"))) == SG_JSON_STRING);
    assert(sg_json_kind_of(sg_json_get(error, SG_STR("message"))) == SG_JSON_STRING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    enum sg_opcode code = data[0] % 2 == 0 ? SG_OP_GATEWAY : SG_OP_AI_GATEWAY;
    struct sg_str text = {(const char *)data + 1, size - 1};
    ptrdiff_t end = sg_str_index(text, '\n'); /* canonical JSON has none */
    struct sg_str rest = end < 0 ? SG_STR("") : (struct sg_str){text.ptr + end + 1, text.len - (size_t)end - 1};
    struct sg_buf opts = {0};
    if (sg_json_canonicalize(end < 0 ? text : (struct sg_str){text.ptr, (size_t)end}, NULL, &opts, NULL) != SG_OK) {
        sg_buf_free(&opts);
        return 0;
    }
    struct sg_arena arena = {0};
    struct sg_fetch_request request;
    struct sg_error error = {0};
    enum sg_status status = sg_fetch_request_read(code, sg_buf_str(&opts), &arena, &request, &error);
    if (status != SG_OK) {
        assert(status == SG_INVALID_ARGUMENT && error.message[0] != '\0');
    } else {
        check_line(request.method);
        check_line(request.target);
        assert(request.header_count <= SG_FETCH_HEADERS_MAX);
        for (size_t i = 0; i < request.header_count; i++)
            check_line(request.headers[i].line);
        assert(sg_fetch_place(request.target, &arena).ptr != NULL);
        assert(sg_fetch_is_same_origin(request.url, request.target));
        check_outcome(&request, rest, &arena);
    }
    sg_arena_free(&arena);
    sg_buf_free(&opts);
    return 0;
}
