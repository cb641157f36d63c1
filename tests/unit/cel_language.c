/* Behaviour of the language beyond what the vectors show. */
#include "cel_fixture.h"

Test(cel_language, comments_and_blank_lines_are_skipped)
{
    cr_assert_value("\n  1 // one\n + // plus\n 1\n", NULL, "2");
}

Test(cel_language, a_leading_dot_skips_loop_variables)
{
    cr_assert_value("[1].map(event, event)", "{}", "[1]");
    cr_assert_value("[1].map(event, .event.id)", "{}", "[\"01HEVT\"]");
}

Test(cel_language, loops_nest_and_shadow)
{
    cr_assert_value("[1, 2].map(x, [10, 20].map(x, x))", NULL, "[[10, 20], [10, 20]]");
    cr_assert_value("[1, 2].map(x, [10].map(y, x * y))", NULL, "[[10], [20]]");
}

Test(cel_language, a_nested_ternary_needs_parentheses_in_its_first_branch_only)
{
    cr_assert_value("true ? (false ? 1 : 2) : 3", NULL, "2");
    cr_assert_value("false ? 1 : true ? 2 : 3", NULL, "2");
    cr_assert(strlen(cel_problem("true ? false ? 1 : 2 : 3", SG_CEL_CHECK_PARSE)) > 0);
}

Test(cel_language, keys_are_printed_as_go_prints_them)
{
    cr_assert_text(cel_key("event.data", "{\"b\":[1,\"x\",null,true,{\"c\":2.5}],\"a\":{}}"), "map[a:map[] b:[1 x <nil> true map[c:2.5]]]");
    cr_assert_text(cel_key("b\"ab\"", NULL), "[97 98]");
    cr_assert_text(cel_key("duration(\"90m\")", NULL), "1h30m0s");
    cr_assert_text(cel_key("duration(\"1500ms\") + duration(\"1ns\")", NULL), "1.500000001s");
    cr_assert_text(cel_key("duration(\"1.5ms\")", NULL), "1.5ms");
    cr_assert_text(cel_key("timestamp(\"2024-01-02T03:04:05.120+05:30\")", NULL), "2024-01-02 03:04:05.12 +0530 +0530");
    cr_assert_text(cel_key("date(\"Tue, 02 Jan 2024 03:04:05 MST\")", NULL), "2024-01-02 03:04:05 +0000 MST");
    cr_assert_text(cel_key("event.ts", "{}"), "1.7e+12");
    cr_assert_text(cel_key("null", NULL), "NULL_VALUE");
    cr_assert_text(cel_key("{2: \"b\", 1: \"a\"}", NULL), "map[1:a 2:b]");
}

Test(cel_language, of_a_repeated_key_the_last_one_counts)
{
    cr_assert_value("{\"a\": 1, \"b\": 2, \"a\": 3}", NULL, "{\"a\": 3, \"b\": 2}");
    cr_assert_value("{1: 1, 1u: 2}[1.0]", NULL, "2");
    cr_assert_value("event.data.a", "{\"a\":1,\"b\":2,\"a\":3}", "3.0");
}

Test(cel_language, members_of_large_objects_are_found)
{
    struct sg_buf json = {0};
    sg_buf_byte(&json, '{');
    for (int i = 999; i >= 0; i--)
        sg_buf_printf(&json, "\"k%d\":%d,", i, i);
    sg_buf_append(&json, S("\"last\":true}"));
    sg_buf_byte(&json, '\0');
    cr_assert_value("event.data.k0 == 0 && event.data.k500 == 500 && event.data.k999 == 999 && event.data.last", json.ptr, "true");
    cr_assert_value("event.data.k1000", json.ptr, "false");
    cr_assert_value("event.data[\"k1000\"]", json.ptr, "error: no such key: k1000");
    sg_buf_free(&json);
}

Test(cel_language, an_event_is_seen_with_data_and_user_and_without_an_empty_version)
{
    struct sg_arena arena;
    struct sg_cel_document event;
    struct sg_cel_value value;
    struct sg_buf text = {0};
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_cel_document_parse_event(S("{\"data\":null,\"id\":\"1\",\"v\":\"\"}"), &arena, &event, NULL), SG_OK));
    struct sg_cel_program *program = cel_compile("event", SG_CEL_CHECK_FULL);
    struct sg_cel_scope scope = {.event = &event};
    cr_assert(eq(int, sg_cel_evaluate(program, &scope, &arena, &value, NULL), SG_OK));
    sg_cel_value_print(&value, &text);
    sg_buf_byte(&text, '\0');
    cr_assert_text(text.ptr, "{\"data\": {}, \"id\": \"1\", \"user\": {}}");
    sg_buf_free(&text);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
}

Test(cel_language, bad_utf8_and_lone_surrogates_of_an_event_become_the_replacement_character)
{
    cr_assert_value("event.data.a", "{\"a\":\"x\xff\xc3y\"}", "\"x\xef\xbf\xbd\xef\xbf\xbdy\"");
    cr_assert_value("event.data.a", "{\"a\":\"\\ud83dx\\ud83d\\ude00\\udc00\"}", "\"\xef\xbf\xbdx\xf0\x9f\x98\x80\xef\xbf\xbd\"");
}

Test(cel_language, malformed_documents_are_refused)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "}",
                                        "[1,]",
                                        "[1 2]",
                                        "{\"a\"}",
                                        "{\"a\":1,}",
                                        "{a:1}",
                                        "[1",
                                        "01",
                                        "1.",
                                        "-",
                                        "1e",
                                        "\"a",
                                        "\"\\x\"",
                                        "\"\\u12\"",
                                        "nul",
                                        "tru",
                                        "[1]]",
                                        "{]",
                                        "[}",
                                        "1e999",
                                        "\"\n\"",
                                        ",",
                                        "[,1]",
                                        "{,}",
                                        "[\"]",
                                        "{\"a\":}",
                                        "[1,[2,]",
                                        "nullx",
                                        "{\"a\":1 \"b\":2}",
                                        "\"\\",
                                        "+1",
                                        "[1,,2]",
                                        "1 1",
                                        ".5"};
    struct sg_arena arena;
    sg_arena_init(&arena);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sg_cel_document document;
        struct sg_error error;
        enum sg_status status = sg_cel_document_parse(sg_str_from(texts[i]), &arena, &document, &error);
        cr_assert(status == SG_INVALID_JSON, "%s is taken", texts[i]);
    }
    sg_arena_free(&arena);
}

Test(cel_language, case_is_mapped_one_to_one)
{
    cr_assert_value("lowercase(\"\xc3\x84\xc3\x96 ABC \xce\xa3 \xd0\x96 \xc4\xb0\")", NULL, "\"\xc3\xa4\xc3\xb6 abc \xcf\x83 \xd0\xb6 i\"");
    cr_assert_value("uppercase(\"stra\xc3\x9f"
                    "e \xc3\xbf \xce\xb1\")",
                    NULL,
                    "\"STRA\xc3\x9f"
                    "E \xc5\xb8 \xce\x91\"");
}

Test(cel_language, a_pattern_that_does_not_compile_is_an_error_of_the_evaluation)
{
    cr_assert_text(cel_problem("event.data.a.matches(\"(\")", SG_CEL_CHECK_FULL), "");
    cr_assert_value("event.data.a.matches(\"(\")", "{\"a\":\"x\"}", "error: error parsing regexp: missing ): (");
    cr_assert_value("event.data.a.matches(event.data.b)", "{\"a\":\"foo123\",\"b\":\"[0-9]{3}$\"}", "true");
}

Test(cel_language, paths_are_listed_once_in_order_of_appearance)
{
    struct sg_cel_program *program = cel_compile(
        "event.data.a == async.data.b[0].c && event.data.a != 1 && event.data[\"x-y\"].z > 2 && event.data.l.exists(i, i.q == event.id)",
        SG_CEL_CHECK_FULL);
    static const char *const expected[] = {"event.data.a", "async.data.b[0].c", "event.data[\"x-y\"].z", "event.data.l", "event.id"};
    cr_assert(eq(sz, sg_cel_program_path_count(program), 5));
    for (size_t i = 0; i < 5; i++)
        cr_assert(sg_str_eq(sg_cel_program_path(program, i), sg_str_from(expected[i])), "%s", expected[i]);
    cr_assert(sg_cel_program_uses(program, S("async")));
    cr_assert(not(sg_cel_program_uses(program, S("output"))));
    sg_cel_program_free(program);
}

Test(cel_language, search_expressions_see_output_and_error)
{
    struct sg_arena arena;
    struct sg_cel_document documents[2];
    bool result;
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_cel_document_parse(S("{\"sum\":3}"), &arena, &documents[0], NULL), SG_OK));
    cr_assert(eq(int, sg_cel_document_parse(S("{\"name\":\"Error\"}"), &arena, &documents[1], NULL), SG_OK));
    struct sg_cel_program *program = cel_compile("output.sum == 3 && error.name == \"Error\"", SG_CEL_CHECK_PARSE);
    struct sg_cel_scope scope = {.output = &documents[0], .error = &documents[1]};
    cr_assert(eq(int, sg_cel_evaluate_bool(program, &scope, &arena, &result, NULL), SG_OK));
    cr_assert(result);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
}
