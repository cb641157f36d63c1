/* One test for each quirk of reference/05 §10, named after what we do. */
#include "cel_fixture.h"

Test(cel_quirks, q1_a_parent_that_is_there_stays_there_when_an_absent_child_is_mentioned)
{
    cr_assert_value("event.data.usr != null && event.data.usr.id == null", "{\"usr\":{\"name\":\"bob\"}}", "true");
    cr_assert_value("has(event.data.usr) || event.data.usr.id == \"q\"", "{\"usr\":{\"name\":\"bob\"}}", "true");
}

Test(cel_quirks, q2_has_of_a_missing_field_is_false_and_so_is_its_negation)
{
    cr_assert_value("has(event.data.x)", "{}", "false");
    cr_assert_value("!has(event.data.x)", "{}", "false");
    cr_assert_value("has(event.data.x) == false", "{}", "false");
    cr_assert_value("event.data.items.exists(i, !has(i.x))", "{\"items\":[{}]}", "true");
}

Test(cel_quirks, q2_has_is_plain_behind_its_flag)
{
    struct sg_arena arena;
    struct sg_cel_document event;
    bool result;
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_cel_document_parse_event(S("{\"data\":{}}"), &arena, &event, NULL), SG_OK));
    struct sg_cel_program *program = cel_compile("!has(event.data.x) && has(event.data.x.y) == false", SG_CEL_CHECK_FULL);
    struct sg_cel_scope scope = {.event = &event};
    cr_assert(eq(int, sg_cel_evaluate_bool(program, &scope, &arena, &result, NULL), SG_OK));
    cr_assert(not(result));
    scope.is_has_plain = true;
    cr_assert(eq(int, sg_cel_evaluate_bool(program, &scope, &arena, &result, NULL), SG_OK));
    cr_assert(result);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
}

Test(cel_quirks, q3_a_double_and_an_int_are_joined_as_text)
{
    cr_assert_value("event.data.n + 1", "{\"n\":5}", "\"51\"");
    cr_assert_value("event.data.n + 1.0", "{\"n\":5}", "6.0");
    cr_assert_value("1 + 1.5", NULL, "\"11.5\"");
}

Test(cel_quirks, q4_an_error_is_handed_on_and_never_becomes_text)
{
    cr_assert_value("event.data[\"x\"] + \"a\"", "{}", "error: no such key: x");
    cr_assert_value("\"a\" + 1/0", NULL, "error: division by zero");
    cr_assert_value("[2, 0].map(n, 4 / n)", NULL, "error: division by zero");
    cr_assert_value("timestamp(\"9999-12-31T23:59:59Z\") + duration(\"1s\")", NULL, "error: timestamp overflow");
}

Test(cel_quirks, q5_not_of_a_missing_field_is_false_and_of_other_types_an_error)
{
    cr_assert_value("!event.data.x", "{}", "false");
    cr_assert_fails("!event.data.x", "{\"x\":null}");
    cr_assert_fails("!event.data.x", "{\"x\":0}");
    cr_assert_fails("!event.data.x", "{\"x\":\"\"}");
    cr_assert_value("!(event.data.x == \"a\")", "{}", "true");
}

Test(cel_quirks, q6_escapes_mean_what_the_language_says)
{
    cr_assert_value("\"a\\\"b\\n\\x41\\u00e9\\101\"", NULL,
                    "\"a\\\"b\\nA\xc3\xa9"
                    "A\"");
    cr_assert_value("r\"\\d\" == \"\\\\d\"", NULL, "true");
    cr_assert_value("\"\"\"a\"b\"\"\"", NULL, "\"a\\\"b\"");
}

Test(cel_quirks, q6_an_unknown_escape_is_two_characters_unless_everything_is_checked)
{
    cr_assert_value("\"foo1\".matches('\\d$')", NULL, "true");
    cr_assert(strlen(cel_problem("\"foo1\".matches('\\d$')", SG_CEL_CHECK_FULL)) > 0);
}

Test(cel_quirks, q7_and_q8_a_missing_key_is_the_key_false)
{
    cr_assert_text(cel_key("event.data.x", "{}"), "false");
    cr_assert_text(cel_key("event.data.x == 1", "{\"x\":2}"), "false");
}

Test(cel_quirks, q9_a_json_number_is_no_date_and_no_timestamp)
{
    cr_assert_value("date(event.ts)", "{}", "error: expression did not return true or false");
    cr_assert_fails("timestamp(event.ts)", "{}");
    cr_assert_value("date(int(event.ts)) == timestamp(\"2023-11-14T22:13:20Z\")", "{}", "true");
}

Test(cel_quirks, q10_a_json_number_is_a_double_and_no_priority)
{
    cr_assert_value("type(event.data.priority) == double", "{\"priority\":5}", "true");
    cr_assert_value("int(event.data.priority)", "{\"priority\":5}", "5");
}

Test(cel_quirks, q11_two_events_that_lack_the_same_field_match)
{
    cr_assert_text(cel_interpolated("event.data.userId == async.data.userId", "{}", NULL), "null == async.data.userId");
    cr_assert_text(cel_value("null == async.data.userId", NULL, "{}"), "true");
    cr_assert_text(cel_value("null == async.data.userId", NULL, "{\"userId\":\"u\"}"), "false");
}

static bool count(void *context, void *owner)
{
    (void)owner;
    ++*(size_t *)context;
    return true;
}

Test(cel_quirks, q12_alternatives_that_cannot_be_indexed_are_found_all_the_same)
{
    static const char *const texts[] = {"async.data.a == \"x\" || async.data.b.contains(\"y\")",
                                        "async.data.a == \"x\" || size(async.data.l) == 2",
                                        "async.data.a == \"x\" || async.data.ok == true", "async.data.missing < 5"};
    struct sg_arena arena;
    struct sg_cel_index *index;
    struct sg_cel_document event;
    struct sg_cel_waiter *waiter;
    size_t found = 0;
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_cel_index_create(SG_CEL_SUBJECT_ASYNC, &index), SG_OK));
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sg_cel_program *program = cel_compile(texts[i], SG_CEL_CHECK_FULL);
        cr_assert(eq(int, sg_cel_index_add(index, program, NULL, &waiter), SG_OK));
        sg_cel_program_free(program);
    }
    struct sg_str json = S("{\"data\":{\"a\":\"q\",\"b\":\"xyz\",\"l\":[1,2],\"ok\":true}}");
    cr_assert(eq(int, sg_cel_document_parse_event(json, &arena, &event, NULL), SG_OK));
    struct sg_cel_scope scope = {.async = &event};
    cr_assert(eq(int, sg_cel_index_match(index, &scope, count, &found), SG_OK));
    cr_assert(eq(sz, found, 4));
    sg_cel_index_free(index);
    sg_arena_free(&arena);
}

Test(cel_quirks, q13_a_key_is_only_parsed_so_names_and_types_pass)
{
    cr_assert_text(cel_problem("foo.bar + nope(1)", SG_CEL_CHECK_PARSE), "");
    cr_assert(strlen(cel_problem("foo.bar + nope(1)", SG_CEL_CHECK_FULL)) > 0);
}

Test(cel_quirks, q14_the_policy_can_be_asked_of_what_has_been_compiled)
{
    struct sg_error error;
    struct sg_cel_program *program = cel_compile("async.data.x.startsWith(\"a\")", SG_CEL_CHECK_FULL);
    cr_assert(eq(int, sg_cel_program_check_policy(program, &error), SG_INVALID_EXPRESSION));
    cr_assert(strstr(error.message, "function calls are disallowed (uses 'startsWith')") != NULL);
    sg_cel_program_free(program);
}

Test(cel_quirks, q15_a_bad_date_is_masked_by_nothing)
{
    cr_assert_value("true || date(\"x\") < now()", NULL, "error: expression did not return true or false");
    cr_assert_value("date(\"x\") < now() ? 1 : 2", NULL, "error: expression did not return true or false");
    cr_assert_value("true || null < true", NULL, "error: expression did not return true or false");
}
