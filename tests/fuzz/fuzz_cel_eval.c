/*
 * Any bytes as an expression, an event behind a NUL: the evaluation ends with a value or an error, and the value
 * can be printed, as a key and as a literal.
 */
#include <assert.h>
#include <string.h>

#include <stepgate/cel.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size > 0 ? memchr(data, 0, size) : NULL;
    struct sg_str text = {(const char *)data, cut != NULL ? (size_t)(cut - data) : size};
    struct sg_str json = cut != NULL ? (struct sg_str){(const char *)cut + 1, size - text.len - 1} : SG_STR("{}");
    struct sg_arena arena;
    struct sg_cel_document document;
    struct sg_cel_program *program;
    struct sg_cel_value value;
    struct sg_error error;
    struct sg_str key;
    bool result;

    sg_arena_init(&arena);
    if (sg_cel_document_parse_event(json, &arena, &document, NULL) == SG_OK &&
        sg_cel_compile(text, SG_CEL_CHECK_PARSE, &program, NULL) == SG_OK) {
        struct sg_cel_scope scope = {.event = &document, .async = &document, .now_ms = 1700000000000};
        enum sg_status status = sg_cel_evaluate(program, &scope, &arena, &value, &error);
        assert(status == SG_OK || status == SG_INVALID_EXPRESSION);
        if (status == SG_OK) {
            struct sg_buf out = {0};
            assert(value.kind > SG_CEL_ABSENT && value.kind < SG_CEL_UNKNOWN);
            sg_cel_value_print(&value, &out);
            sg_cel_value_key(&value, &out);
            sg_buf_free(&out);
        }
        (void)sg_cel_evaluate_bool(program, &scope, &arena, &result, &error);
        (void)sg_cel_evaluate_key(program, &scope, &arena, &key, &error);
        sg_cel_program_free(program);
    }
    sg_arena_free(&arena);
    return 0;
}
