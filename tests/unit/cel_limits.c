/* What an expression may not do: be too long, too deep, too slow. */
#include "cel_fixture.h"

static void repeat(struct sg_buf *text, const char *piece, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sg_buf_append(text, sg_str_from(piece));
}

static const char *finish(struct sg_buf *text)
{
    sg_buf_byte(text, '\0');
    cr_assert(not(text->is_failed));
    return text->ptr;
}

/* The problem with `count` pieces, a middle, and as many pieces again. */
static const char *problem_of_nesting(const char *open, const char *middle, const char *close, size_t count)
{
    struct sg_buf text = {0};
    repeat(&text, open, count);
    sg_buf_append(&text, sg_str_from(middle));
    repeat(&text, close, count);
    const char *problem = cel_problem(finish(&text), SG_CEL_CHECK_PARSE);
    sg_buf_free(&text);
    return problem;
}

Test(cel_limits, parentheses_nest_249_deep_and_no_deeper)
{
    cr_assert_text(problem_of_nesting("(", "1", ")", 249), "");
    cr_assert(strstr(problem_of_nesting("(", "1", ")", 250), "expression recursion limit exceeded: 250") != NULL);
    cr_assert(strstr(problem_of_nesting("[", "1", "]", 5000), "expression recursion limit exceeded: 250") != NULL);
    cr_assert(strstr(problem_of_nesting("size(", "1", ")", 50000 / 6), "expression recursion limit exceeded: 250") != NULL);
    cr_assert(strstr(problem_of_nesting("true ? 1 : ", "1", "", 5000), "expression recursion limit exceeded: 250") != NULL);
}

Test(cel_limits, chains_that_lean_to_the_left_are_bounded)
{
    cr_assert_text(problem_of_nesting("", "1", " + 1", 249), "");
    cr_assert(strstr(problem_of_nesting("", "1", " + 1", 250), "max recursion depth exceeded") != NULL);
    cr_assert(strstr(problem_of_nesting("", "event", ".a", 40000), "max recursion depth exceeded") != NULL);
    cr_assert(strstr(problem_of_nesting("", "event", "[0]", 30000), "max recursion depth exceeded") != NULL);
}

Test(cel_limits, logic_and_signs_chain_as_long_as_the_text_may_be)
{
    cr_assert_text(problem_of_nesting("", "true", " && true", 10000), "");
    cr_assert_text(problem_of_nesting("", "true", " || true", 10000), "");
    cr_assert_text(problem_of_nesting("!", "true", "", 90000), "");
    cr_assert_text(problem_of_nesting("-", "1", "", 90000), "");
}

Test(cel_limits, a_hundred_thousand_characters_are_the_most)
{
    struct sg_buf text = {0};
    sg_buf_byte(&text, '"');
    repeat(&text, "\xc3\xa9", 99998);
    sg_buf_byte(&text, '"');
    cr_assert_text(cel_problem(finish(&text), SG_CEL_CHECK_FULL), "");
    sg_buf_free(&text);
    text = (struct sg_buf){0};
    repeat(&text, " ", 100000);
    sg_buf_byte(&text, '1');
    cr_assert(strstr(cel_problem(finish(&text), SG_CEL_CHECK_FULL),
                     "expression code point size exceeds limit: size: 100001, limit 100000") != NULL);
    sg_buf_free(&text);
}

static void assert_too_many_steps(const char *text, const char *data)
{
    const char *got = cel_value(text, data, NULL);
    cr_assert(strcmp(got, "error: the expression took too many steps") == 0, "%s gives %.200s", text, got);
}

/* {"l":[1,1,...],"s":"aaaa..."} */
static const char *large_data(struct sg_buf *text, size_t items, size_t bytes)
{
    sg_buf_append(text, S("{\"l\":[1"));
    repeat(text, ",1", items - 1);
    sg_buf_append(text, S("],\"s\":\""));
    repeat(text, "a", bytes);
    sg_buf_append(text, S("\"}"));
    return finish(text);
}

Test(cel_limits, nested_loops_end)
{
    struct sg_buf text = {0};
    const char *data = large_data(&text, 1000, 10);
    assert_too_many_steps("event.data.l.all(a, event.data.l.all(b, event.data.l.all(c, a + b + c == 3.0)))", data);
    assert_too_many_steps("event.data.l.map(a, event.data.l.map(b, event.data.l))", data);
    assert_too_many_steps("event.data.l.exists(a, event.data.l + event.data.l + event.data.l == [a])", data);
    assert_too_many_steps("event.data.l.all(a, event.data.l.all(b, event.data.l == event.data.l))", data);
    sg_buf_free(&text);
}

Test(cel_limits, a_used_up_budget_is_masked_by_nothing)
{
    struct sg_buf text = {0};
    const char *data = large_data(&text, 1000, 10);
    assert_too_many_steps("event.data.l.all(a, event.data.l.all(b, b > 0.0)) || true || true", data);
    sg_buf_free(&text);
}

Test(cel_limits, work_on_long_texts_is_charged)
{
    struct sg_buf text = {0};
    const char *data = large_data(&text, 200, 200000);
    assert_too_many_steps("event.data.l.all(i, event.data.s.contains(\"b\") == false)", data);
    assert_too_many_steps("event.data.l.all(i, uppercase(event.data.s) != \"b\")", data);
    assert_too_many_steps("event.data.l.all(i, event.data.s + event.data.s != \"b\")", data);
    assert_too_many_steps("event.data.l.all(i, event.data.s + 1 != \"b\")", data);
    assert_too_many_steps("event.data.l.all(i, b64decode(event.data.s) != \"b\")", data);
    assert_too_many_steps("event.data.l.all(i, json_parse(event.data.s) != {\"b\": 1})", data);
    assert_too_many_steps("event.data.l.all(i, event.data.s.matches(\"b\") == false)", data);
    sg_buf_free(&text);
}

Test(cel_limits, patterns_that_are_computed_are_charged)
{
    struct sg_buf text = {0};
    sg_buf_append(&text, S("{\"l\":[0"));
    for (int i = 1; i < 500; i++)
        sg_buf_printf(&text, ",%d", i);
    sg_buf_append(&text, S("]}"));
    assert_too_many_steps("event.data.l.all(i, \"x\".matches(string(i) + \"(a{100}){10}\") == false)", finish(&text));
    sg_buf_free(&text);
}

Test(cel_limits, a_pattern_that_grows_too_large_is_refused)
{
    cr_assert_fails("\"a\".matches(\"((a{100}){100}){10}\")", NULL);
    cr_assert_fails("\"a\".matches(\"(?:\\\\pL{500}){2}\")", NULL);
    cr_assert_value("\"aaaa\".matches(\"^a{1,100}$\")", NULL, "true");
}

Test(cel_limits, literals_with_many_keys_are_built_in_time)
{
    struct sg_buf text = {0};
    sg_buf_byte(&text, '{');
    for (int i = 0; i < 12000; i++)
        sg_buf_printf(&text, "%s%d:1", i > 0 ? "," : "", i);
    sg_buf_append(&text, S("} == {}"));
    assert_too_many_steps(finish(&text), NULL);
    sg_buf_free(&text);
    text = (struct sg_buf){0};
    sg_buf_byte(&text, '{');
    for (int i = 0; i < 6000; i++)
        sg_buf_printf(&text, "%s\"%d\":1", i > 0 ? "," : "", i);
    sg_buf_append(&text, S("}.size()"));
    cr_assert_value(finish(&text), NULL, "6000");
    sg_buf_free(&text);
}

Test(cel_limits, json_nests_512_deep_and_no_deeper)
{
    for (size_t depth = 511; depth <= 513; depth++) {
        struct sg_buf json = {0};
        struct sg_arena arena;
        struct sg_cel_document document;
        sg_arena_init(&arena);
        repeat(&json, "[", depth);
        repeat(&json, "]", depth);
        enum sg_status status = sg_cel_document_parse(sg_buf_str(&json), &arena, &document, NULL);
        cr_assert(eq(int, status, depth <= 512 ? SG_OK : SG_TOO_DEEP));
        sg_arena_free(&arena);
        sg_buf_free(&json);
    }
}

Test(cel_limits, deep_values_are_compared_and_printed_without_recursion)
{
    struct sg_buf data = {0};
    sg_buf_append(&data, S("{\"a\":"));
    repeat(&data, "[", 500);
    repeat(&data, "]", 500);
    sg_buf_append(&data, S(",\"b\":"));
    repeat(&data, "[", 500);
    repeat(&data, "]", 500);
    sg_buf_append(&data, S("}"));
    cr_assert_value("event.data.a == event.data.b && event.data != {}", finish(&data), "true");
    cr_assert(eq(sz, strlen(cel_key("event.data.a", data.ptr)), 1000));
    sg_buf_free(&data);
}

Test(cel_limits, more_literal_patterns_than_are_kept_count_as_computed_ones)
{
    struct sg_buf text = {0};
    for (int i = 0; i < 300; i++)
        sg_buf_printf(&text, "%s\"b%d\".matches(\"^b%d$\")", i > 0 ? " && " : "", i, i);
    assert_too_many_steps(finish(&text), NULL);
    sg_buf_free(&text);
}
