/* What people read when an expression is wrong: place, line, caret, message. */
#include "cel_fixture.h"

Test(cel_errors, three_equal_signs_are_shown_with_a_caret_as_the_server_does)
{
    cr_assert_text(cel_problem("event.data.userId === async.data.userId", SG_CEL_CHECK_FULL),
                   "error compiling expression: ERROR: <input>:1:21: Syntax error: token recognition error at: '= '\n"
                   " | event.data.userId === async.data.userId\n"
                   " | ....................^");
}

Test(cel_errors, the_second_line_is_counted_and_shown)
{
    cr_assert_text(cel_problem("event.data.a == 1 &&\n  foo == 2", SG_CEL_CHECK_FULL),
                   "error compiling expression: ERROR: <input>:2:3: undeclared reference to 'foo' (in container '')\n"
                   " |   foo == 2\n"
                   " | ..^");
}

Test(cel_errors, columns_count_characters_not_bytes)
{
    cr_assert_text(cel_problem("\"\xc3\xa9\xc3\xa9\" == foo", SG_CEL_CHECK_FULL),
                   "error compiling expression: ERROR: <input>:1:9: undeclared reference to 'foo' (in container '')\n"
                   " | \"\xc3\xa9\xc3\xa9\" == foo\n"
                   " | ........^");
}

Test(cel_errors, several_mistakes_are_reported_together_in_order)
{
    cr_assert_text(cel_problem("foo == 1 && nope(bar)", SG_CEL_CHECK_FULL),
                   "error compiling expression: ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n"
                   " | foo == 1 && nope(bar)\n"
                   " | ^\n"
                   "ERROR: <input>:1:17: undeclared reference to 'nope' (in container '')\n"
                   " | foo == 1 && nope(bar)\n"
                   " | ................^\n"
                   "ERROR: <input>:1:18: undeclared reference to 'bar' (in container '')\n"
                   " | foo == 1 && nope(bar)\n"
                   " | .................^");
}

Test(cel_errors, an_empty_expression_ends_before_it_begins)
{
    cr_assert(strncmp(cel_problem("", SG_CEL_CHECK_FULL), "error compiling expression: ERROR: <input>:1:0: Syntax error: mismatched", 71) ==
              0);
}

Test(cel_errors, policy_violations_are_listed)
{
    cr_assert_text(cel_problem("has(async.data.x) && async.data.l.exists(i, i == 1) && size(async.data.l) > 0", SG_CEL_CHECK_RESTRICTED),
                   "validation failed: 3 errors occurred:\n"
                   "\t* macros are disallowed (uses 'has')\n"
                   "\t* macros are disallowed (contains 'async.data.l.exists(i, i == 1)')\n"
                   "\t* function calls are disallowed (uses 'size')\n\n");
}

Test(cel_errors, a_message_that_does_not_fit_is_cut_and_the_whole_can_be_had)
{
    struct sg_error error;
    struct sg_cel_program *program;
    struct sg_buf text = {0};
    for (int i = 0; i < 30; i++)
        sg_buf_printf(&text, "%swrong%d == 1", i > 0 ? " && " : "", i);
    cr_assert(eq(int, sg_cel_compile(sg_buf_str(&text), SG_CEL_CHECK_FULL, &program, &error), SG_INVALID_EXPRESSION));
    cr_assert(strlen(error.message) < SG_ERROR_MESSAGE_MAX);
    cr_assert(strcmp(error.message + strlen(error.message) - 3, "...") == 0);
    sg_buf_byte(&text, '\0');
    cr_assert(strstr(cel_problem(text.ptr, SG_CEL_CHECK_FULL), "wrong29") != NULL);
    sg_buf_free(&text);
}

struct wrong {
    const char *text;
    const char *message;
};

Test(cel_errors, common_mistakes_fail_with_a_clear_message)
{
    static const struct wrong wrongs[] = {
        {"event.data.x !== 1", "token recognition error at: '= '"},
        {"event.data.a and event.data.b", "mismatched input 'and' expecting <EOF>"},
        {"not event.data.a", "mismatched input 'event' expecting <EOF>"},
        {"{{ event.data.x }}", "mismatched input '}' expecting ':'"},
        {"async.data.x == undefined", "undeclared reference to 'undefined'"},
        {"event.data?.x", "mismatched input '<EOF>' expecting ':'"},
        {"event.data.a ?? event.data.b", "mismatched input '?'"},
        {"event.data.x == `a`", "mismatched input '`a`'"},
        {"event.data.l.includes(1)", "undeclared reference to 'includes'"},
        {"event.data.x ? \"a\" : 1", "found no matching overload for '_?_:_' applied to '(dyn, string, int)'"},
        {"Foo{a: 1}", "unsupported syntax: message literals"},
        {"event.data.`a-b`", "unsupported syntax: '`'"},
        {"1.a", "type 'int' does not support field selection"},
        {"\"a\".startsWith(1)", "found no matching overload for 'startsWith' applied to 'string.(int)'"},
        {"lowercase(event.data.a, 1)", "found no matching overload for 'lowercase' applied to '(dyn, int)'"},
        {"1 in [\"a\"]", "found no matching overload for '@in' applied to '(int, list(string))'"},
        {"\"\\ud800\"", "invalid unicode code point"},
        {"9223372036854775808", "invalid int literal"},
        {"18446744073709551616u", "invalid uint literal"},
    };
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        const char *got = cel_problem(wrongs[i].text, SG_CEL_CHECK_FULL);
        cr_assert(strstr(got, wrongs[i].message) != NULL, "%s: %s", wrongs[i].text, got);
    }
}

Test(cel_errors, a_condition_that_is_no_bool_says_what_it_is)
{
    struct sg_arena arena;
    struct sg_error error;
    bool result = true;
    sg_arena_init(&arena);
    struct sg_cel_program *program = cel_compile("\"hi\"", SG_CEL_CHECK_FULL);
    struct sg_cel_scope scope = {0};
    cr_assert(eq(int, sg_cel_evaluate_bool(program, &scope, &arena, &result, &error), SG_INVALID_EXPRESSION));
    cr_assert(not(result));
    cr_assert_text(error.message, "returned type string (hi)");
    sg_cel_program_free(program);
    sg_arena_free(&arena);
}

Test(cel_errors, invalid_utf8_is_refused_with_its_place)
{
    struct sg_error error;
    struct sg_cel_program *program;
    cr_assert(eq(int, sg_cel_compile(S("event.data.a == \"\xff\""), SG_CEL_CHECK_FULL, &program, &error), SG_INVALID_EXPRESSION));
    cr_assert(strstr(error.message, "1:18: invalid UTF-8") != NULL, "%s", error.message);
}

Test(cel_errors, a_hundred_mistakes_in_one_long_line_are_not_shown_a_hundred_times)
{
    struct sg_buf text = {0};
    for (int i = 0; i < 2000; i++)
        sg_buf_printf(&text, "%swrong%d == 1", i > 0 ? " && " : "", i);
    sg_buf_byte(&text, '\0');
    const char *problem = cel_problem(text.ptr, SG_CEL_CHECK_FULL);
    cr_assert(strlen(problem) < 200000);
    cr_assert(strstr(problem, "... and 9") != NULL);
    sg_buf_free(&text);
}
