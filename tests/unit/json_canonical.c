/* The border: what becomes of JSON texts, and which are refused. */
#include "json_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

static void read_file(const char *path, struct sg_buf *out)
{
    FILE *file = fopen(path, "rb");
    char bytes[4096];
    size_t got;
    cr_assert(file != NULL, "%s", path);
    while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0)
        sg_buf_append(out, (struct sg_str){bytes, got});
    fclose(file);
}

Test(canonical, vectors_of_rfc_8785)
{
    static const char *const names[] = {"arrays", "french", "structures", "unicode", "values", "weird"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[4096];
        struct sg_buf input = {0};
        struct sg_buf expected = {0};
        struct sg_buf out = {0};
        snprintf(path, sizeof(path), "%s/tests/vectors/jcs/input/%s.json", SG_TEST_SRCDIR, names[i]);
        read_file(path, &input);
        snprintf(path, sizeof(path), "%s/tests/vectors/jcs/output/%s.json", SG_TEST_SRCDIR, names[i]);
        read_file(path, &expected);
        cr_assert(sg_json_canonicalize(sg_buf_str(&input), NULL, &out, NULL) == SG_OK);
        cr_assert(sg_str_eq(sg_buf_str(&out), sg_buf_str(&expected)), "%s", names[i]);
        sg_buf_free(&input);
        sg_buf_free(&expected);
        sg_buf_free(&out);
    }
}

Test(canonical, scalars_at_the_top)
{
    cr_assert_canonical(" true\n", "true");
    cr_assert_canonical("\tfalse\r", "false");
    cr_assert_canonical("null", "null");
    cr_assert_canonical("\"\"", "\"\"");
    cr_assert_canonical("12", "12");
    cr_assert_canonical("[]", "[]");
    cr_assert_canonical("{ }", "{}");
}

Test(canonical, members_are_sorted_at_every_depth)
{
    cr_assert_canonical("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}");
    cr_assert_canonical("{\"a\":{\"d\":1,\"c\":2},\"b\":3}", "{\"a\":{\"c\":2,\"d\":1},\"b\":3}");
    cr_assert_canonical("{\"b\":{\"d\":1,\"c\":[{\"z\":1,\"y\":{\"x\":2,\"w\":3}},4,{\"f\":5,\"e\":6}]},\"a\":{\"h\":7,\"g\":8}}",
                        "{\"a\":{\"g\":8,\"h\":7},\"b\":{\"c\":[{\"y\":{\"w\":3,\"x\":2},\"z\":1},4,{\"e\":6,\"f\":5}],\"d\":1}}");
    cr_assert_canonical("[{\"b\":1,\"a\":2},{\"a\":1,\"b\":{}},{\"d\":[],\"c\":{}}]",
                        "[{\"a\":2,\"b\":1},{\"a\":1,\"b\":{}},{\"c\":{},\"d\":[]}]");
}

Test(canonical, keys_sort_by_utf_16_units_of_what_they_mean)
{
    /* U+FB33 is behind U+1F600 (a surrogate pair), though its UTF-8 is smaller. */
    cr_assert_canonical("{\"\xef\xac\xb3\":1,\"\xf0\x9f\x98\x80\":2}", "{\"\xf0\x9f\x98\x80\":2,\"\xef\xac\xb3\":1}");
    cr_assert_canonical("{\"\xed\x9f\xbf\":1,\"\xf0\x9f\x98\x80\":2}", "{\"\xed\x9f\xbf\":1,\"\xf0\x9f\x98\x80\":2}");
    cr_assert_canonical("{\"a\xef\xac\xb3\":1,\"a\xf0\x9f\x98\x80\":2}", "{\"a\xf0\x9f\x98\x80\":2,\"a\xef\xac\xb3\":1}");
    cr_assert_canonical("{\"ab\":1,\"a\":2,\"\":3}", "{\"\":3,\"a\":2,\"ab\":1}");
    cr_assert_canonical("{\"a!\":1,\"a\":2}", "{\"a\":2,\"a!\":1}"); /* '!' is less than the quote that ends a key */
    /* Escapes count for the character they mean: newline < space, backslash > Z, \u0001 < \t. */
    cr_assert_canonical("{\"a b\":1,\"a\\nb\":2}", "{\"a\\nb\":2,\"a b\":1}");
    cr_assert_canonical("{\"\\\\\":1,\"Z\":2,\"a\":3}", "{\"Z\":2,\"\\\\\":1,\"a\":3}");
    cr_assert_canonical("{\"\\t\":1,\"\\u0001\":2}", "{\"\\u0001\":2,\"\\t\":1}");
    cr_assert_canonical("{\"\\u001f\":1,\"\\f\":2,\"\\u000b\":3}", "{\"\\u000b\":3,\"\\f\":2,\"\\u001f\":1}");
    cr_assert_canonical("{\"\\nb\":1,\"\\na\":2}", "{\"\\na\":2,\"\\nb\":1}");
    cr_assert_canonical("{\"\\\"\":1,\"!\":2,\"#\":3}", "{\"!\":2,\"\\\"\":1,\"#\":3}");
    cr_assert_canonical("{\"\\u0062\":1,\"a\":2}", "{\"a\":2,\"b\":1}");
}

Test(canonical, of_a_repeated_key_the_last_value_counts)
{
    cr_assert_canonical("{\"a\":1,\"a\":2}", "{\"a\":2}");
    cr_assert_canonical("{\"a\":{\"y\":1,\"x\":2},\"b\":0,\"a\":3,\"\\u0061\":{\"d\":4,\"c\":5}}", "{\"a\":{\"c\":5,\"d\":4},\"b\":0}");
    cr_assert_canonical("[{\"a\":{\"c\":1,\"b\":2},\"a\":{\"c\":3,\"b\":4}},{\"z\":5,\"y\":6}]",
                        "[{\"a\":{\"b\":4,\"c\":3}},{\"y\":6,\"z\":5}]");
}

Test(canonical, many_members_repeated_and_backwards)
{
    struct sg_buf text = {0};
    struct sg_buf expected = {0};
    sg_buf_byte(&text, '{');
    for (int i = 9999; i >= 1000; i--)
        sg_buf_printf(&text, "\"k%d\":0,\"k%d\":{\"b\":%d,\"a\":[]},", i, i, i);
    sg_buf_append(&text, S("\"\":1}"));
    sg_buf_append(&expected, S("{\"\":1"));
    for (int i = 1000; i <= 9999; i++)
        sg_buf_printf(&expected, ",\"k%d\":{\"a\":[],\"b\":%d}", i, i);
    sg_buf_byte(&expected, '}');
    struct sg_buf out = {0};
    cr_assert(sg_json_canonicalize(sg_buf_str(&text), NULL, &out, NULL) == SG_OK);
    cr_assert(sg_str_eq(sg_buf_str(&out), sg_buf_str(&expected)));
    sg_buf_free(&text);
    sg_buf_free(&expected);
    sg_buf_free(&out);
}

Test(canonical, strings_have_one_escape_for_each_character)
{
    cr_assert_canonical("\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\/\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80/\"");
    cr_assert_canonical("\"\\b\\t\\n\\f\\r\\\"\\\\\"", "\"\\b\\t\\n\\f\\r\\\"\\\\\"");
    cr_assert_canonical("\"\\u0008\\u0009\\u000A\\u000C\\u000D\\u0022\\u005c\"", "\"\\b\\t\\n\\f\\r\\\"\\\\\"");
    cr_assert_canonical("\"\\u0000\\u001F\\u007f\"", "\"\\u0000\\u001f\x7f\"");
    cr_assert_canonical("\"\\u2028</b>&\"", "\"\xe2\x80\xa8</b>&\"");
}

Test(canonical, lone_surrogates_become_the_replacement_character)
{
    cr_assert_canonical("\"\\ud800\"", "\"\xef\xbf\xbd\"");
    cr_assert_canonical("\"\\udc00\"", "\"\xef\xbf\xbd\"");
    cr_assert_canonical("\"\\ud800x\"", "\"\xef\xbf\xbdx\"");
    cr_assert_canonical("\"\\ud800\\n\"", "\"\xef\xbf\xbd\\n\"");
    cr_assert_canonical("\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
                                              "A\"");
    cr_assert_canonical("\"\\ud800\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\"");
    cr_assert_canonical("\"\\ude00\\ud83d\"", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(canonical, bad_utf_8_is_replaced_byte_by_byte_or_refused)
{
    static const struct {
        const char *bytes;
        size_t replacements;
    } cases[] = {
        {"\x80", 1},
        {"\xff", 1},
        {"\xc3", 1},
        {"\xc0\x80", 2},
        {"\xe2\x82", 2},
        {"\xed\xa0\x80", 3},
        {"\xe0\x80\xaf", 3},
        {"\xf4\x90\x80\x80", 4},
        {"\xf0\x80\x80\x80", 4},
        {"\xf8\x88\x80\x80\x80", 5},
    };
    struct sg_json_options strict = {.refuses_bad_utf8 = true};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (size_t before = 0; before < 20; before++) { /* at every place within the words that are looked at at once */
            struct sg_buf text = {0};
            struct sg_buf expected = {0};
            sg_buf_byte(&text, '"');
            for (size_t j = 0; j < before; j++)
                sg_buf_byte(&text, 'x');
            sg_buf_append(&expected, sg_buf_str(&text));
            sg_buf_append(&text, sg_str_from(cases[i].bytes));
            for (size_t j = 0; j < cases[i].replacements; j++)
                sg_buf_append(&expected, S("\xef\xbf\xbd"));
            sg_buf_append(&text, S("y\xc3\xa9z\""));
            sg_buf_append(&expected, S("y\xc3\xa9z\""));
            sg_buf_byte(&expected, '\0');
            cr_assert(eq(str, (char *)canonical_of(sg_buf_str(&text), NULL), expected.ptr));

            struct sg_buf out = {0};
            struct sg_error error;
            cr_assert(sg_json_canonicalize(sg_buf_str(&text), &strict, &out, &error) == SG_INVALID_UTF8);
            char message[64];
            snprintf(message, sizeof(message), "invalid UTF-8 at byte %zu", before + 1);
            cr_assert(eq(str, error.message, message));
            sg_buf_free(&out);
            sg_buf_free(&text);
            sg_buf_free(&expected);
        }
}

Test(canonical, numbers)
{
    static const char *const cases[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"-0.0", "0"},
        {"-0e5", "0"},
        {"1.50", "1.5"},
        {"1.5E300", "1.5e+300"},
        {"1E+2", "100"},
        {"1e21", "1e+21"},
        {"1e20", "100000000000000000000"},
        {"123456789012345680000", "123456789012345680000"},
        {"1e-6", "0.000001"},
        {"1e-7", "1e-7"},
        {"-1.2e-7", "-1.2e-7"},
        {"9007199254740993", "9007199254740992"},
        {"-9007199254740993", "-9007199254740992"},
        {"333333333.33333329", "333333333.3333333"},
        {"999999999999999", "999999999999999"},
        {"1000000000000001", "1000000000000001"},
        {"18446744073709551615", "18446744073709552000"},
        {"1e-400", "0"},
        {"-1e-400", "0"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"0e99999999999999999999", "0"},
        {"1e-99999999999999999999", "0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_canonical(cases[i][0], cases[i][1]);
}

Test(canonical, what_is_no_json_is_refused_with_its_place)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "invalid JSON at byte 0: the text is empty"},
        {"  ", "invalid JSON at byte 2: the text ends where a value is expected"},
        {"{", "invalid JSON at byte 1: expected a key in double quotes"},
        {"{\"a\"", "invalid JSON at byte 4: expected a colon behind the key"},
        {"{\"a\":", "invalid JSON at byte 5: the text ends where a value is expected"},
        {"{\"a\":1", "invalid JSON at byte 6: expected ',' or '}'"},
        {"{\"a\":1,}", "invalid JSON at byte 7: expected a key in double quotes"},
        {"{\"a\":1]", "invalid JSON at byte 6: expected ',' or '}'"},
        {"{a:1}", "invalid JSON at byte 1: expected a key in double quotes"},
        {"{'a':1}", "invalid JSON at byte 1: expected a key in double quotes"},
        {"{\"a\" 1}", "invalid JSON at byte 5: expected a colon behind the key"},
        {"[", "invalid JSON at byte 1: the text ends where a value is expected"},
        {"[1", "invalid JSON at byte 2: expected ',' or ']'"},
        {"[1,]", "invalid JSON at byte 3: expected a value"},
        {"[1}", "invalid JSON at byte 2: expected ',' or ']'"},
        {"[,1]", "invalid JSON at byte 1: expected a value"},
        {"]", "invalid JSON at byte 0: expected a value"},
        {"1 2", "invalid JSON at byte 2: more text behind the value"},
        {"{}x", "invalid JSON at byte 2: more text behind the value"},
        {"nul", "invalid JSON at byte 0: expected a value"},
        {"True", "invalid JSON at byte 0: expected a value"},
        {"truex", "invalid JSON at byte 4: more text behind the value"},
        {"NaN", "invalid JSON at byte 0: expected a value"},
        {"undefined", "invalid JSON at byte 0: expected a value"},
        {"\xef\xbb\xbf{}", "invalid JSON at byte 0: expected a value"},
        {"\"abc", "invalid JSON at byte 0: this string does not end"},
        {"\"abc\\", "invalid JSON at byte 4: the text ends within a string"},
        {"\"\\x\"", "invalid JSON at byte 1: unknown escape in a string"},
        {"\"\\u12\"", "invalid JSON at byte 3: \\u needs four hexadecimal digits"},
        {"\"\\u12g4\"", "invalid JSON at byte 3: \\u needs four hexadecimal digits"},
        {"\"a\nb\"", "invalid JSON at byte 2: a control character in a string must be escaped"},
        {"// no\n1", "invalid JSON at byte 0: expected a value"},
        {"[\v1]", "invalid JSON at byte 1: expected a value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_canonical(cases[i].text, cases[i].message);

    static const char *const numbers[] = {"-",  "01",    "-01", "1.",   ".5",    "1.e5",   "1e",   "1e+",
                                          "+1", "1.2.3", "--1", "0x10", "1e999", "-1e999", "1ee5", "Infinity"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        cr_assert(strncmp(canonical_of(sg_str_from(numbers[i]), NULL), "invalid JSON at byte ", 21) == 0, "%s", numbers[i]);
    cr_assert(strncmp(canonical_of(S("\"a\0b\""), NULL), "invalid JSON at byte 2", 22) == 0);
    cr_assert(strncmp(canonical_of(S("{}\0"), NULL), "invalid JSON at byte 2", 22) == 0);
}

Test(canonical, refusing_leaves_the_output_as_it_was)
{
    struct sg_buf out = {0};
    struct sg_error error;
    sg_buf_append(&out, S("before"));
    cr_assert(sg_json_canonicalize(S("{\"b\":1,\"a\":"), NULL, &out, &error) == SG_INVALID_JSON);
    cr_assert(error.status == SG_INVALID_JSON);
    cr_assert(sg_str_eq(sg_buf_str(&out), S("before")));
    cr_assert(sg_json_canonicalize(S("{\"b\":1,\"a\":2}"), NULL, &out, &error) == SG_OK);
    cr_assert(sg_str_eq(sg_buf_str(&out), S("before{\"a\":2,\"b\":1}")));
    sg_buf_free(&out);
}

static void nest(struct sg_buf *text, size_t depth, bool is_object)
{
    for (size_t i = 0; i < depth; i++)
        sg_buf_append(text, is_object ? S("{\"b\":0,\"a\":") : S("["));
    sg_buf_append(text, S("1"));
    for (size_t i = 0; i < depth; i++)
        sg_buf_append(text, is_object ? S("}") : S("]"));
}

Test(canonical, depth_is_limited)
{
    for (int is_object = 0; is_object <= 1; is_object++)
        for (size_t depth_max = 0; depth_max <= 600; depth_max += 200) {
            struct sg_json_options options = {.depth_max = depth_max};
            size_t limit = depth_max == 0 || depth_max > SG_LIMIT_JSON_DEPTH ? SG_LIMIT_JSON_DEPTH : depth_max;
            struct sg_buf text = {0};
            struct sg_buf out = {0};
            struct sg_error error;
            nest(&text, limit, is_object);
            cr_assert(sg_json_canonicalize(sg_buf_str(&text), &options, &out, &error) == SG_OK);
            sg_buf_clear(&text);
            nest(&text, limit + 1, is_object);
            cr_assert(sg_json_canonicalize(sg_buf_str(&text), &options, &out, &error) == SG_TOO_DEEP);
            char expected[64];
            snprintf(expected, sizeof(expected), "nested more than %zu levels", limit);
            cr_assert(strstr(error.message, expected) != NULL, "%s", error.message);
            sg_buf_free(&text);
            sg_buf_free(&out);
        }
}

Test(canonical, size_is_limited)
{
    struct sg_json_options options = {.bytes_max = 10};
    struct sg_buf out = {0};
    struct sg_error error;
    cr_assert(sg_json_canonicalize(S("\"12345678\""), &options, &out, &error) == SG_OK);
    cr_assert(sg_json_canonicalize(S("\"12345678\" "), &options, &out, &error) == SG_TOO_LARGE);
    cr_assert(eq(str, error.message, "the JSON has 11 bytes, at most 10 are allowed"));
    sg_buf_free(&out);
}

Test(canonical, deep_and_unsorted_costs_no_more_than_its_bytes)
{
    /* 500 levels around 4 MB, each level out of order: moving the inside once a level would be 2 GB. */
    struct sg_buf text = {0};
    struct sg_buf out = {0};
    for (int i = 0; i < 500; i++)
        sg_buf_append(&text, S("{\"b\":0,\"a\":"));
    sg_buf_byte(&text, '"');
    for (int i = 0; i < 400000; i++)
        sg_buf_append(&text, S("0123456789"));
    sg_buf_byte(&text, '"');
    for (int i = 0; i < 500; i++)
        sg_buf_byte(&text, '}');
    for (int i = 0; i < 10; i++) {
        sg_buf_clear(&out);
        cr_assert(sg_json_canonicalize(sg_buf_str(&text), NULL, &out, NULL) == SG_OK);
    }
    cr_assert(eq(sz, out.len, text.len));
    cr_assert(sg_str_starts_with(sg_buf_str(&out), S("{\"a\":{\"a\":{\"a\":")));
    cr_assert(sg_str_ends_with(sg_buf_str(&out), S("},\"b\":0},\"b\":0}")));
    sg_buf_free(&text);
    sg_buf_free(&out);
}

Test(canonical, running_out_of_memory_is_an_error_and_nothing_else)
{
    struct sg_buf text = {0};
    sg_buf_append(&text, S("[1e20,"));
    nest(&text, 40, true);
    sg_buf_append(&text, S(",{"));
    for (int i = 300; i > 0; i--)
        sg_buf_printf(&text, "\"k%03d\":{\"b\":1e20,\"a\":\"\\u0001\"},", i);
    sg_buf_append(&text, S("\"\":0}]"));

    bool has_succeeded = false;
    for (uint64_t nth = 1; !has_succeeded; nth++) {
        struct sg_buf out = {0};
        struct sg_error error;
        sg_alloc_fail_at(nth, false);
        enum sg_status status = sg_json_canonicalize(sg_buf_str(&text), NULL, &out, &error);
        has_succeeded = !sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        cr_assert(status == (has_succeeded ? SG_OK : SG_NO_MEMORY));
        cr_assert(has_succeeded || out.len == 0);
        sg_buf_free(&out);
        cr_assert(nth < 100);
        cr_assert(nth > 5 || !has_succeeded, "the text is large enough to need memory in many places");
    }
    sg_buf_free(&text);
}

Test(canonical, an_ordinary_event_allocates_nothing_but_its_output)
{
    struct sg_buf out = {0};
    cr_assert(sg_buf_reserve(&out, 4096));
    sg_alloc_fail_at(1, true);
    enum sg_status status = sg_json_canonicalize(
        S("{\"name\":\"shop/order.placed\",\"data\":{\"orderId\":7,\"items\":[{\"sku\":\"a\",\"qty\":2}]},\"ts\":1}"), NULL, &out, NULL);
    sg_alloc_fail_at(0, false);
    cr_assert(status == SG_OK);
    sg_buf_free(&out);
}

Test(canonical, every_prefix_and_every_damage_is_survived)
{
    static const char text[] =
        "{\"b\\u00e9\\n\":[1.5e3,true,null,{\"z\":\"\\ud83d\\ude00\xc3\xa9\",\"a\":-0}],\"a\":{\"\":\"x\"},\"b\":false}";
    struct sg_rng rng;
    sg_rng_init(&rng, 1);
    for (int round = 0; round < 100000; round++) {
        /* On the heap and of exact size, so that a sanitizer sees a read behind the end. */
        size_t len = round < (int)sizeof(text) ? (size_t)round : sizeof(text) - 1;
        char *copy = malloc(len + 1);
        cr_assert(copy != NULL);
        memcpy(copy, text, len);
        for (uint64_t hits = round < (int)sizeof(text) ? 0 : 1 + sg_rng_below(&rng, 3); hits > 0; hits--)
            copy[sg_rng_below(&rng, len)] = "{}[]\",:\\u0\x80\xf0 e-."[sg_rng_below(&rng, 17)];
        copy = realloc(copy, len > 0 ? len : 1);
        struct sg_buf once = {0};
        struct sg_buf twice = {0};
        if (sg_json_canonicalize((struct sg_str){copy, len}, NULL, &once, NULL) == SG_OK) {
            cr_assert(sg_json_canonicalize(sg_buf_str(&once), &(struct sg_json_options){.refuses_bad_utf8 = true}, &twice, NULL) == SG_OK);
            cr_assert(sg_str_eq(sg_buf_str(&once), sg_buf_str(&twice)), "canonical form of canonical form is itself");
        }
        sg_buf_free(&once);
        sg_buf_free(&twice);
        free(copy);
    }
}

Test(canonical, consumes_a_text_that_is_good_and_leaves_one_that_is_not)
{
    struct sg_arena arena = {0};
    struct sg_str canonical;
    struct sg_buf text = {0};
    sg_buf_append(&text, SG_STR("{\"b\":[1, 2],\"a\":{\"d\":1,\"c\":2}}"));
    cr_assert(sg_json_canonical_keep(sg_buf_str(&text), &text, &arena, &canonical, NULL) == SG_OK);
    cr_assert(sg_str_eq(canonical, SG_STR("{\"a\":{\"c\":2,\"d\":1},\"b\":[1,2]}")));
    cr_assert(text.ptr == NULL);

    sg_buf_append(&text, SG_STR("{\"b\":1,\"a\":"));
    cr_assert(sg_json_canonical_keep(sg_buf_str(&text), &text, &arena, &canonical, NULL) == SG_INVALID_JSON);
    cr_assert(text.len == 11);
    cr_assert(canonical.ptr == NULL);
    sg_buf_free(&text);
    sg_arena_free(&arena);
}

Test(canonical, a_large_text_gives_the_room_it_was_sorted_in_back)
{
    struct sg_buf text = {0};
    struct sg_buf out = {0};
    sg_buf_append(&text, SG_STR("{\"b\":\""));
    for (int i = 0; i < 500000; i++)
        sg_buf_byte(&text, 'x');
    sg_buf_append(&text, SG_STR("\",\"a\":1}"));
    cr_assert(sg_json_canonicalize(sg_buf_str(&text), NULL, &out, NULL) == SG_OK);
    cr_assert(out.len == text.len);
    cr_assert(out.capacity == out.len);
    cr_assert(sg_str_starts_with(sg_buf_str(&out), SG_STR("{\"a\":1,\"b\":\"x")));
    sg_buf_free(&text);
    sg_buf_free(&out);
}
