/*
 * Any bytes as an expression, two events behind NULs: what interpolation stores compiles and no longer needs the event, and an
 * index says of it what the evaluation says.
 */
#include <assert.h>
#include <string.h>

#include <stepgate/cel.h>

static struct sg_str next_part(struct sg_str *rest)
{
    ptrdiff_t cut = sg_str_index(*rest, '\0');
    struct sg_str part = {rest->ptr, cut >= 0 ? (size_t)cut : rest->len};
    size_t used = cut >= 0 ? part.len + 1 : part.len;
    *rest = (struct sg_str){rest->ptr + used, rest->len - used};
    return part;
}

static bool found(void *context, void *owner)
{
    (void)owner;
    *(bool *)context = true;
    return true;
}

static void compare_with_index(const struct sg_cel_program *program, const struct sg_cel_scope *scope, bool is_true)
{
    struct sg_cel_index *index;
    struct sg_cel_waiter *waiter;
    bool is_found = false;
    enum sg_status status = sg_cel_index_create(SG_CEL_SUBJECT_ASYNC, &index);
    assert(status == SG_OK);
    status = sg_cel_index_add(index, program, NULL, &waiter);
    assert(status == SG_OK);
    status = sg_cel_index_match(index, scope, found, &is_found);
    assert(status == SG_OK && is_found == is_true);
    sg_cel_index_remove(index, waiter);
    sg_cel_index_free(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_str rest = {(const char *)data, size};
    struct sg_str text = next_part(&rest);
    struct sg_str event_json = next_part(&rest);
    struct sg_arena arena;
    struct sg_cel_document event;
    struct sg_cel_document async;
    struct sg_cel_program *program;
    struct sg_buf stored = {0};
    enum sg_cel_verdict verdict;

    sg_arena_init(&arena);
    bool is_fine = sg_cel_document_parse_event(event_json.len > 0 ? event_json : SG_STR("{}"), &arena, &event, NULL) == SG_OK &&
                   sg_cel_document_parse_event(rest.len > 0 ? rest : SG_STR("{}"), &arena, &async, NULL) == SG_OK &&
                   sg_cel_compile(text, SG_CEL_CHECK_PARSE, &program, NULL) == SG_OK;
    if (is_fine) {
        enum sg_status status = sg_cel_interpolate(program, &event, &stored, &verdict, NULL);
        assert(status == SG_OK || status == SG_INVALID_EXPRESSION || status == SG_TOO_LARGE);
        sg_cel_program_free(program);
        if (status == SG_OK) {
            struct sg_cel_scope scope = {.async = &async, .now_ms = 1700000000000};
            bool is_true;
            status = sg_cel_compile(sg_buf_str(&stored), SG_CEL_CHECK_STORED, &program, NULL);
            assert(status == SG_OK && !sg_cel_program_uses(program, SG_STR("event")));
            (void)sg_cel_evaluate_bool(program, &scope, &arena, &is_true, NULL);
            assert(verdict == SG_CEL_SOMETIMES || is_true == (verdict == SG_CEL_ALWAYS));
            compare_with_index(program, &scope, is_true);
            sg_cel_program_free(program);
        }
    }
    sg_buf_free(&stored);
    sg_arena_free(&arena);
    return 0;
}
