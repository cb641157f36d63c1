/*
 * Any bytes as JSON: the canonicalizer refuses them or gives a fixed point that the readers can walk; the readers survive the
 * raw bytes too.
 */
#include <stepgate/json.h>

#include <assert.h>

static void walk(struct sg_str value, struct sg_arena *arena, int depth)
{
    struct sg_json_iter iter = sg_json_iter(value);
    struct sg_str key;
    struct sg_str member;
    struct sg_str text;
    int64_t whole;
    double number;

    (void)sg_json_to_str(value, arena, &text);
    (void)sg_json_to_int(value, &whole);
    (void)sg_json_to_double(value, &number);
    if (depth == 0)
        return;
    while (sg_json_next_member(&iter, &key, &member)) {
        (void)sg_json_str_eq(key, SG_STR("a\n"));
        walk(member, arena, depth - 1);
    }
    iter = sg_json_iter(value);
    while (sg_json_next_element(&iter, &member))
        walk(member, arena, depth - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_str text = {(const char *)data, size};
    struct sg_arena arena = {0};
    struct sg_buf once = {0};
    struct sg_buf twice = {0};

    walk(text, &arena, 4);
    if (sg_json_canonicalize(text, NULL, &once, NULL) == SG_OK) {
        enum sg_status status = sg_json_canonicalize(sg_buf_str(&once), &(struct sg_json_options){.refuses_bad_utf8 = true}, &twice, NULL);
        assert(status == SG_OK && sg_str_eq(sg_buf_str(&once), sg_buf_str(&twice)));
        walk(sg_buf_str(&once), &arena, 4);
    }
    sg_buf_clear(&once);
    sg_json_quote(&once, text);
    sg_buf_clear(&twice);
    assert(sg_json_canonicalize(sg_buf_str(&once), NULL, &twice, NULL) == SG_OK);
    assert(sg_str_eq(sg_buf_str(&once), sg_buf_str(&twice)));
    sg_buf_free(&once);
    sg_buf_free(&twice);
    sg_arena_free(&arena);
    return 0;
}
