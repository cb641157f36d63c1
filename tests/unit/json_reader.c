/* Reading values where they lie, and writing strings. */
#include "json_fixture.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/rng.h"

static const char event[] = "{\"data\":{\"items\":[{\"qty\":2,\"sku\":\"a]}\"},[],\"\\\"}\",-1.5],\"total\":129.95},\"id\":\"order-7\","
                            "\"name\":\"shop/\\u00e9\\n\",\"ok\":true,\"ts\":1767323045000,\"user\":null}";

static bool is(struct sg_str value, const char *expected)
{
    return sg_str_eq(value, sg_str_from(expected));
}

Test(reader, members_by_name)
{
    struct sg_str json = sg_str_from(event);
    cr_assert(is(sg_json_get(json, S("id")), "\"order-7\""));
    cr_assert(is(sg_json_get(json, S("user")), "null"));
    cr_assert(is(sg_json_get(json, S("ok")), "true"));
    cr_assert(is(sg_json_get(sg_json_get(json, S("data")), S("total")), "129.95"));
    cr_assert(is(sg_json_get(json, S("none")), ""));
    cr_assert(is(sg_json_get(sg_json_get(json, S("none")), S("deeper")), ""));
    cr_assert(is(sg_json_get(S("[1]"), S("a")), ""));
    cr_assert(is(sg_json_get(S("{\"\\u0061\":1}"), S("a")), "1"), "keys with escapes");
    cr_assert(is(sg_json_get(S(" { \"b\" : [ 1 ] , \"a\" : 2 } "), S("a")), "2"), "white space");
    cr_assert(is(sg_json_get(S(" { \"b\" : [ 1 ] , \"a\" : 2 } "), S("b")), "[ 1 ]"));
}

Test(reader, elements_by_index)
{
    struct sg_str items = sg_json_get(sg_json_get(sg_str_from(event), S("data")), S("items"));
    cr_assert(eq(sz, sg_json_count(items), 4));
    cr_assert(is(sg_json_at(items, 0), "{\"qty\":2,\"sku\":\"a]}\"}"));
    cr_assert(is(sg_json_at(items, 1), "[]"));
    cr_assert(is(sg_json_at(items, 2), "\"\\\"}\""));
    cr_assert(is(sg_json_at(items, 3), "-1.5"));
    cr_assert(is(sg_json_at(items, 4), ""));
    cr_assert(eq(sz, sg_json_count(sg_str_from(event)), 6));
    cr_assert(eq(sz, sg_json_count(S("[]")), 0));
    cr_assert(eq(sz, sg_json_count(S("{}")), 0));
    cr_assert(eq(sz, sg_json_count(S("7")), 0));
}

Test(reader, walks_members_in_order)
{
    static const char *const keys[] = {"\"data\"", "\"id\"", "\"name\"", "\"ok\"", "\"ts\"", "\"user\""};
    struct sg_json_iter iter = sg_json_iter(sg_str_from(event));
    struct sg_str key;
    struct sg_str value;
    size_t count = 0;
    while (sg_json_next_member(&iter, &key, &value))
        cr_assert(is(key, keys[count++]));
    cr_assert(eq(sz, count, 6));
    cr_assert(not(sg_json_next_member(&iter, &key, &value)), "and stays at the end");
    iter = sg_json_iter(S("[1]"));
    cr_assert(not(sg_json_next_member(&iter, &key, &value)));
    iter = sg_json_iter(S("{\"a\":1}"));
    cr_assert(not(sg_json_next_element(&iter, &value)));
}

Test(reader, kinds)
{
    static const struct {
        const char *text;
        enum sg_json_kind kind;
    } cases[] = {{"", SG_JSON_ABSENT},  {"x", SG_JSON_ABSENT},  {"null", SG_JSON_NULL},   {"true", SG_JSON_BOOL}, {"false", SG_JSON_BOOL},
                 {"0", SG_JSON_NUMBER}, {"-1", SG_JSON_NUMBER}, {"\"\"", SG_JSON_STRING}, {"[", SG_JSON_ARRAY},   {" {", SG_JSON_OBJECT}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert(sg_json_kind_of(sg_str_from(cases[i].text)) == cases[i].kind, "%s", cases[i].text);
    cr_assert(eq(str, (char *)sg_json_kind_name(SG_JSON_OBJECT), "object"));
}

Test(reader, strings_without_escapes_are_not_copied)
{
    struct sg_arena arena = {0};
    struct sg_str value = sg_json_get(sg_str_from(event), S("id"));
    struct sg_str text;
    cr_assert(sg_json_to_str(value, &arena, &text) == SG_OK);
    cr_assert(is(text, "order-7") && text.ptr == value.ptr + 1);
    cr_assert(arena.first == NULL);
}

Test(reader, strings_with_escapes_are_decoded)
{
    static const struct {
        const char *json;
        struct sg_str text;
    } cases[] = {
        {"\"shop/\\u00e9\\n\"", {"shop/\xc3\xa9\n", 8}},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", {"\"\\/\b\f\n\r\t", 8}},
        {"\"\\ud83d\\ude00!\"", {"\xf0\x9f\x98\x80!", 5}},
        {"\"\\ud83d\\u0041\\udc00\"",
         {"\xef\xbf\xbd"
          "A\xef\xbf\xbd",
          7}},
        {"\"\\u0000x\"", {"\0x", 2}},
        {" \"a\\tb\" ", {"a\tb", 3}},
    };
    struct sg_arena arena = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sg_str text;
        struct sg_buf out = {0};
        struct sg_str json = sg_str_from(cases[i].json);
        cr_assert(sg_json_to_str(json, &arena, &text) == SG_OK && sg_str_eq(text, cases[i].text), "%s", cases[i].json);
        cr_assert(sg_json_append_str(&out, json) && sg_str_eq(sg_buf_str(&out), cases[i].text));
        cr_assert(sg_json_str_eq(json, cases[i].text));
        cr_assert(not(sg_json_str_eq(json, (struct sg_str){text.ptr, text.len - 1})));
        cr_assert(not(sg_json_str_eq(json, S("shop/"))));
        sg_buf_free(&out);
    }
    struct sg_str text;
    struct sg_buf out = {0};
    cr_assert(sg_json_to_str(S("12"), &arena, &text) == SG_INVALID_JSON);
    cr_assert(sg_json_to_str(S("\"a\"b\""), &arena, &text) == SG_INVALID_JSON);
    cr_assert(sg_json_to_str(S("\""), &arena, &text) == SG_INVALID_JSON);
    cr_assert(sg_json_to_str(S(""), &arena, &text) == SG_INVALID_JSON);
    cr_assert(not(sg_json_append_str(&out, S("null"))));
    cr_assert(not(sg_json_str_eq(S("null"), S("null"))));
    sg_alloc_fail_at(1, true);
    struct sg_arena empty = {0};
    cr_assert(sg_json_to_str(S("\"\\n\""), &empty, &text) == SG_NO_MEMORY);
    cr_assert(sg_json_append_str(&out, S("\"\\n\"")) && out.is_failed);
    sg_alloc_fail_at(0, false);
    sg_arena_free(&arena);
}

Test(reader, numbers_and_claims)
{
    int64_t whole = 0;
    double number;
    bool claim;
    cr_assert(sg_json_to_int(S("-42"), &whole) && whole == -42);
    cr_assert(sg_json_to_int(S("9223372036854775807"), &whole) && whole == INT64_MAX);
    cr_assert(sg_json_to_int(S("1.2e1"), &whole) && whole == 12);
    cr_assert(sg_json_to_int(S("3.0"), &whole) && whole == 3);
    cr_assert(sg_json_to_int(S("1e+21"), &whole) == false);
    cr_assert(sg_json_to_int(S("-9223372036854775808"), &whole) && whole == INT64_MIN);
    cr_assert(not(sg_json_to_int(S("9223372036854775808"), &whole)));
    cr_assert(not(sg_json_to_int(S("1.5"), &whole)));
    cr_assert(not(sg_json_to_int(S("\"1\""), &whole)));
    cr_assert(not(sg_json_to_int(S(""), &whole)));
    cr_assert(not(sg_json_to_int(S("-"), &whole)));
    cr_assert(sg_json_to_double(S("1.5e3"), &number) && number == 1500);
    cr_assert(not(sg_json_to_double(S("true"), &number)));
    cr_assert(not(sg_json_to_double(S("1x"), &number)));
    cr_assert(sg_json_to_bool(S("true"), &claim) && claim);
    cr_assert(sg_json_to_bool(S("false"), &claim) && !claim);
    cr_assert(not(sg_json_to_bool(S("truth"), &claim)));
    cr_assert(not(sg_json_to_bool(S("1"), &claim)));
}

Test(reader, broken_text_is_absent_and_nothing_is_read_behind_it)
{
    struct sg_rng rng;
    struct sg_arena arena = {0};
    sg_rng_init(&rng, 1);
    for (int round = 0; round < 50000; round++) {
        size_t len = sg_rng_below(&rng, sizeof(event));
        char *copy = malloc(len > 0 ? len : 1);
        cr_assert(copy != NULL);
        memcpy(copy, event, len);
        for (uint64_t hits = len > 0 ? sg_rng_below(&rng, 4) : 0; hits > 0; hits--)
            copy[sg_rng_below(&rng, len)] = "{}[]\",:\\u0"[sg_rng_below(&rng, 10)];
        struct sg_str json = {copy, len};
        struct sg_str text;
        struct sg_str key;
        struct sg_str value;
        struct sg_json_iter iter = sg_json_iter(json);
        while (sg_json_next_member(&iter, &key, &value)) {
            cr_assert(value.ptr >= copy && value.ptr + value.len <= copy + len);
            (void)sg_json_to_str(key, &arena, &text);
            (void)sg_json_to_str(value, &arena, &text);
            (void)sg_json_str_eq(value, S("order-7"));
            (void)sg_json_at(value, 2);
        }
        (void)sg_json_get(sg_json_get(json, S("data")), S("total"));
        sg_arena_reset(&arena);
        free(copy);
    }
    sg_arena_free(&arena);
}

Test(writer, quotes_any_bytes_canonically)
{
    static const struct {
        struct sg_str text;
        const char *json;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{"plain", 5}, "\"plain\""},
        {{"a\"b\\c/", 6}, "\"a\\\"b\\\\c/\""},
        {{"\b\t\n\f\r\0\x1f\x7f", 8}, "\"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\""},
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"\xff"
          "a\xc3",
          3},
         "\"\xef\xbf\xbd"
         "a\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sg_buf out = {0};
        sg_json_quote(&out, cases[i].text);
        cr_assert(is(sg_buf_str(&out), cases[i].json), "%s", cases[i].json);
        struct sg_buf again = {0};
        cr_assert(sg_json_canonicalize(sg_buf_str(&out), NULL, &again, NULL) == SG_OK);
        cr_assert(sg_str_eq(sg_buf_str(&out), sg_buf_str(&again)));
        sg_buf_free(&out);
        sg_buf_free(&again);
    }
}

Test(writer, key_order_is_that_of_utf_16)
{
    cr_assert(sg_json_key_cmp(S("a"), S("b")) < 0);
    cr_assert(sg_json_key_cmp(S("a"), S("a")) == 0);
    cr_assert(sg_json_key_cmp(S("ab"), S("a")) > 0);
    cr_assert(sg_json_key_cmp(S("\xf0\x9f\x98\x80"), S("\xef\xac\xb3")) < 0);
    cr_assert(sg_json_key_cmp(S("\\n"), S("Z")) > 0, "plain text: the backslash counts");
}
