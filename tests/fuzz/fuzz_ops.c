/*
 * Any bytes as an op list: refused with a message, or every op has its members in range and canonical.
 */
#include <assert.h>

#include <stepgate/json.h>

#include "sdk/ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_canonical(struct sg_str text)
{
    struct sg_buf again = {0};
    assert(sg_json_canonicalize(text, NULL, &again, NULL) == SG_OK);
    assert(sg_str_eq(sg_buf_str(&again), text));
    sg_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_arena arena = {0};
    struct sg_op *ops;
    size_t count;
    struct sg_error error = {0};
    enum sg_status status = sg_ops_decode((struct sg_str){(const char *)data, size}, NULL, &arena, &ops, &count, &error);
    if (status != SG_OK) {
        assert(status == SG_BAD_RESPONSE || status == SG_TOO_MANY);
        assert(error.message[0] != '\0');
    } else {
        assert(count >= 1 && count <= SG_LIMIT_OPS_PER_ANSWER);
        for (size_t i = 0; i < count; i++) {
            assert(ops[i].code < SG_OP_COUNT);
            assert(ops[i].id.len > 0 || ops[i].code == SG_OP_NONE);
            assert(ops[i].display_name.len <= SG_LIMIT_STEP_NAME_BYTES);
            check_canonical(ops[i].data);
            if (ops[i].opts.len > 0)
                check_canonical(ops[i].opts);
            if (ops[i].code == SG_OP_STEP_ERROR || ops[i].code == SG_OP_STEP_FAILED) {
                check_canonical(ops[i].error);
                assert(sg_json_kind_of(sg_json_get(ops[i].error, SG_STR("name"))) == SG_JSON_STRING);
                assert(sg_json_kind_of(sg_json_get(ops[i].error, SG_STR("message"))) == SG_JSON_STRING);
            }
        }
    }
    sg_arena_free(&arena);
    return 0;
}
