/* What is stored for a pause. */
#include "cel_fixture.h"
#include "cel_generate.h"

#define DATA                                                                                                                               \
    "{\"id\":\"ab\",\"n\":5,\"f\":1.5,\"t\":true,\"nul\":null,\"q\":\"a\\\"b\",\"nl\":\"x\\ny\",\"l\":[\"a\",\"b\"],\"m\":{\"k\":1},"      \
    "\"e\":\"\"}"

struct stored {
    const char *text;
    const char *stored;
    enum sg_cel_verdict verdict;
};

Test(cel_interpolate, values_of_the_event_take_the_place_of_its_attributes)
{
    static const struct stored cases[] = {
        {"event.data.id == async.data.id", "\"ab\" == async.data.id", SG_CEL_SOMETIMES},
        {"async.data.n > event.data.n && async.data.id == event.data.id", "async.data.n > 5.0 && async.data.id == \"ab\"",
         SG_CEL_SOMETIMES},
        {"event.data.missing == async.data.x", "null == async.data.x", SG_CEL_SOMETIMES},
        {"event.data.id == async.data.id && event.data.n > 3", "\"ab\" == async.data.id", SG_CEL_SOMETIMES},
        {"event.data.id == async.data.id && event.data.n > 30", "false", SG_CEL_NEVER},
        {"event.data.id == \"ab\"", "true", SG_CEL_ALWAYS},
        {"event.data.id", "false", SG_CEL_NEVER},
        {"async.data.id in event.data.l", "async.data.id in [\"a\", \"b\"]", SG_CEL_SOMETIMES},
        {"async.data.x == lowercase(event.data.id)", "async.data.x == \"ab\"", SG_CEL_SOMETIMES},
        {"async.data.x == event.data.a + event.data.id", "async.data.x == \"ab\"", SG_CEL_SOMETIMES},
        {"async.data.x.startsWith(event.data.id)", "async.data.x.startsWith(\"ab\")", SG_CEL_SOMETIMES},
        {"event[\"data\"].id == async.data.id", "\"ab\" == async.data.id", SG_CEL_SOMETIMES},
        {"has(event.data.missing) || async.data.x == 1", "async.data.x == 1", SG_CEL_SOMETIMES},
        {"has(event.data.id) && async.data.x == 1", "async.data.x == 1", SG_CEL_SOMETIMES},
        {"event.data.l.exists(i, i == async.data.x)", "[\"a\", \"b\"].exists(i, i == async.data.x)", SG_CEL_SOMETIMES},
        {"async.data.l.exists(i, i == event.data.id)", "async.data.l.exists(i, i == \"ab\")", SG_CEL_SOMETIMES},
        {"event.data.m == async.data.m", "{\"k\": 1.0} == async.data.m", SG_CEL_SOMETIMES},
        {"event.data.q == async.data.q && event.data.nl == async.data.nl", "\"a\\\"b\" == async.data.q && \"x\\ny\" == async.data.nl",
         SG_CEL_SOMETIMES},
        {"event.data.n - 7.0 == async.data.n", "-2.0 == async.data.n", SG_CEL_SOMETIMES},
        {"async.data.n - (event.data.n - 7.0) > 0.0", "async.data.n - -2.0 > 0.0", SG_CEL_SOMETIMES},
        {"int(event.data.id) == async.data.n", "int(\"ab\") == async.data.n", SG_CEL_SOMETIMES},
        {"date(async.data.at) < now()", "date(async.data.at) < now()", SG_CEL_SOMETIMES},
        {"timestamp(\"2024-01-02T03:04:05Z\") < timestamp(async.data.at)", "timestamp(\"2024-01-02T03:04:05Z\") < timestamp(async.data.at)",
         SG_CEL_SOMETIMES},
        {"event.data.t ? async.data.x == 1 : async.data.x == 2", "async.data.x == 1", SG_CEL_SOMETIMES},
        {"(async.data.x == 1 || event.data.n > 9) && (event.data.n > 4 || async.data.y == 2)", "async.data.x == 1", SG_CEL_SOMETIMES},
        {"!(event.data.id == async.data.id)", "!(\"ab\" == async.data.id)", SG_CEL_SOMETIMES},
        {"async.data.x == 1 || event.data.t", "true", SG_CEL_ALWAYS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum sg_cel_verdict verdict;
        const char *stored = cel_interpolated(cases[i].text, DATA, &verdict);
        cr_assert(strcmp(stored, cases[i].stored) == 0, "%s becomes %s", cases[i].text, stored);
        cr_assert(verdict == cases[i].verdict, "%s", cases[i].text);
    }
}

Test(cel_interpolate, a_constant_that_is_not_true_or_false_keeps_its_effect)
{
    /* `x && "hi"` is "hi" and does not match; `true && x` is x. */
    cr_assert_text(cel_interpolated("async.data.x == 1 && event.data.id", DATA, NULL), "false");
    cr_assert_text(cel_interpolated("event.data.id && async.data.x == 1", DATA, NULL), "async.data.x == 1");
    cr_assert_text(cel_interpolated("event.data.id || async.data.x == 1", DATA, NULL), "false");
    cr_assert_text(cel_interpolated("async.data.x && event.data.t", DATA, NULL), "async.data.x && true");
    /* `"y" in null` fails, and then the false behind it is what `!` sees. */
    cr_assert_text(cel_interpolated("!(\"y\" in async.data.x || event.data.n > 9)", DATA, NULL), "!(\"y\" in async.data.x || false)");
}

Test(cel_interpolate, the_stored_text_compiles_whatever_the_event_holds)
{
    struct sg_buf data = {0};
    sg_buf_append(&data, S("{\"deep\":"));
    for (int i = 0; i < 400; i++)
        sg_buf_append(&data, i % 2 == 0 ? S("[") : S("{\"a\":"));
    sg_buf_append(&data, S("\"\\u0001\\u007f\\u2028\\ud83d\\ude00\\\\\""));
    for (int i = 399; i >= 0; i--)
        sg_buf_byte(&data, i % 2 == 0 ? ']' : '}');
    sg_buf_append(&data, S("}"));
    sg_buf_byte(&data, '\0');

    struct sg_buf text = {0};
    sg_buf_append(&text, sg_str_from(cel_interpolated("event.data == async.data", data.ptr, NULL)));
    sg_buf_byte(&text, '\0');
    struct sg_cel_program *program = cel_compile(text.ptr, SG_CEL_CHECK_STORED);
    struct sg_arena arena;
    struct sg_cel_document async;
    bool result = false;
    sg_arena_init(&arena);
    struct sg_str json = sg_arena_printf(&arena, "{\"data\":%s}", data.ptr);
    cr_assert(eq(int, sg_cel_document_parse_event(json, &arena, &async, NULL), SG_OK));
    struct sg_cel_scope scope = {.async = &async};
    cr_assert(eq(int, sg_cel_evaluate_bool(program, &scope, &arena, &result, NULL), SG_OK));
    cr_assert(result);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
    sg_buf_free(&text);
    sg_buf_free(&data);
}

/* Over generated expressions and events in which nothing is missing, both ways of evaluating agree. */
Test(cel_interpolate, the_stored_text_means_what_the_expression_meant)
{
    struct sg_rng rng;
    size_t matches = 0;
    size_t sometimes = 0;
    sg_rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        struct sg_buf texts[4] = {{0}, {0}, {0}, {0}};
        struct sg_arena arena;
        struct sg_cel_document event;
        struct sg_cel_document async;
        enum sg_cel_verdict verdict;
        sg_arena_init(&arena);
        cel_generate_expression(&rng, CEL_DIALECT_PLAIN, "async", "event", &texts[0]);
        cel_generate_event(&rng, true, &texts[1]);
        cel_generate_event(&rng, false, &texts[2]);
        cr_assert(eq(int, sg_cel_document_parse_event(sg_buf_str(&texts[1]), &arena, &event, NULL), SG_OK));
        cr_assert(eq(int, sg_cel_document_parse_event(sg_buf_str(&texts[2]), &arena, &async, NULL), SG_OK));
        struct sg_cel_program *whole;
        struct sg_cel_program *left;
        cr_assert(eq(int, sg_cel_compile(sg_buf_str(&texts[0]), SG_CEL_CHECK_PARSE, &whole, NULL), SG_OK));
        cr_assert(eq(int, sg_cel_interpolate(whole, &event, &texts[3], &verdict, NULL), SG_OK));
        cr_assert(eq(int, sg_cel_compile(sg_buf_str(&texts[3]), SG_CEL_CHECK_STORED, &left, NULL), SG_OK));

        bool results[2];
        struct sg_cel_scope both = {.event = &event, .async = &async};
        struct sg_cel_scope later = {.async = &async};
        sg_cel_evaluate_bool(whole, &both, &arena, &results[0], NULL);
        sg_cel_evaluate_bool(left, &later, &arena, &results[1], NULL);
        cr_assert(results[0] == results[1], "%.*s is %d, stored as %.*s it is %d\nevent %.*s\nasync %.*s", SG_FMT(sg_buf_str(&texts[0])),
                  results[0], SG_FMT(sg_buf_str(&texts[3])), results[1], SG_FMT(sg_buf_str(&texts[1])), SG_FMT(sg_buf_str(&texts[2])));
        cr_assert(not(sg_cel_program_uses(left, S("event"))));
        cr_assert(verdict == SG_CEL_SOMETIMES || results[1] == (verdict == SG_CEL_ALWAYS));
        matches += results[0];
        sometimes += verdict == SG_CEL_SOMETIMES;
        sg_cel_program_free(whole);
        sg_cel_program_free(left);
        sg_arena_free(&arena);
        for (int k = 0; k < 4; k++)
            sg_buf_free(&texts[k]);
    }
    cr_assert(matches > 2000 && sometimes > 5000, "%zu, %zu", matches, sometimes);
}
