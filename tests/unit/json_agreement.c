/*
 * The canonicalizer and jansson must agree: on generated documents, jansson's sorted and compact dump of what it read is the
 * canonical form, where the two mean the same by it. Numbers are compared as values and keys are drawn so that both orders
 * agree (jansson sorts by bytes).
 */
#include "json_fixture.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/rng.h"

struct generator {
    struct sg_rng rng;
    struct sg_buf text;
    int left; /* values that may still be made */
};

static uint64_t draw(struct generator *in, uint64_t bound)
{
    return sg_rng_below(&in->rng, bound);
}

static void space(struct generator *in)
{
    while (draw(in, 4) == 0)
        sg_buf_byte(&in->text, " \n\t\r"[draw(in, 4)]);
}

static void string(struct generator *in, bool is_key)
{
    static const char *const pieces[] = {
        "a",
        "b",
        "event",
        "data",
        "Z",
        "0",
        "_",
        "~",
        " ",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\\n",
        "\\t",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "\\u00e9",
        "\\u0001",
        "\\ud83d\\ude00",
        "\xf0\x9f\x98\x80",
        "\x7f",
        "a longer stretch of plain text, to be copied at once",
    };
    sg_buf_byte(&in->text, '"');
    for (uint64_t count = draw(in, 5); count > 0; count--)
        sg_buf_append(&in->text, sg_str_from(pieces[draw(in, sizeof(pieces) / sizeof(pieces[0]))]));
    if (is_key) /* few of them are the same */
        sg_buf_printf(&in->text, "%d", (int)draw(in, 50));
    sg_buf_byte(&in->text, '"');
}

static void number(struct generator *in)
{
    switch (draw(in, 4)) {
    case 0:
        sg_buf_int(&in->text, (int64_t)draw(in, 1000) - 500);
        break;
    case 1:
        sg_buf_int(&in->text, (int64_t)draw(in, UINT64_C(1) << 53));
        break;
    case 2:
        sg_buf_printf(&in->text, "%.*f", 1 + (int)draw(in, 6), ((double)draw(in, 2000000) - 1000000) / 1000);
        break;
    default:
        sg_buf_printf(&in->text, "%d.%de%d", (int)draw(in, 10), (int)draw(in, 100000), (int)draw(in, 600) - 300);
    }
}

static void value(struct generator *in, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    uint64_t kind = draw(in, depth > 0 && in->left > 0 ? 7 : 4);
    in->left--;
    space(in);
    if (kind < 2) {
        string(in, false);
    } else if (kind == 2) {
        number(in);
    } else if (kind == 3) {
        sg_buf_append(&in->text, sg_str_from(words[draw(in, 3)]));
    } else {
        bool is_object = kind != 4;
        uint64_t count = draw(in, 8);
        sg_buf_byte(&in->text, is_object ? '{' : '[');
        space(in);
        for (uint64_t i = 0; i < count; i++) {
            if (i > 0)
                sg_buf_byte(&in->text, ',');
            space(in);
            if (is_object) {
                string(in, true);
                space(in);
                sg_buf_byte(&in->text, ':');
            }
            value(in, depth - 1);
        }
        sg_buf_byte(&in->text, is_object ? '}' : ']');
    }
    space(in);
}

static void generate(struct generator *in, uint64_t seed)
{
    sg_rng_init(&in->rng, seed);
    sg_buf_clear(&in->text);
    in->left = 60;
    value(in, 6);
}

Test(agreement, jansson_reads_the_same_from_our_form_as_from_the_text)
{
    struct generator in = {0};
    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct sg_buf out = {0};
        json_error_t error;
        generate(&in, seed);
        cr_assert(sg_json_canonicalize(sg_buf_str(&in.text), NULL, &out, NULL) == SG_OK, "seed %llu", (unsigned long long)seed);
        /* As doubles: to us 1.0 is 1, and an integer may be too large for jansson's. */
        json_t *theirs = json_loadb(in.text.ptr, in.text.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
        json_t *ours = json_loadb(out.ptr, out.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, &error);
        cr_assert(theirs != NULL && ours != NULL, "seed %llu: %s", (unsigned long long)seed, error.text);
        cr_assert(json_equal(theirs, ours), "seed %llu", (unsigned long long)seed);
        json_decref(theirs);
        json_decref(ours);
        sg_buf_free(&out);
    }
    sg_buf_free(&in.text);
}

/* Jansson's sorted and compact dump with its numbers put into our words. */
static void dump(json_t *json, struct sg_buf *out)
{
    char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    cr_assert(text != NULL);
    struct sg_str rest = sg_str_from(text);
    while (rest.len > 0) {
        size_t len = 0;
        char byte = rest.ptr[0];
        if (byte == '"') {
            for (len = 1; rest.ptr[len] != '"'; len++)
                if (rest.ptr[len] == '\\')
                    len++;
            len++;
            sg_buf_append(out, (struct sg_str){rest.ptr, len});
        } else if (byte == '-' || (byte >= '0' && byte <= '9')) {
            double read;
            while (len < rest.len && strchr("+-.eE0123456789", rest.ptr[len]) != NULL)
                len++;
            read = strtod(rest.ptr, NULL);
            sg_json_number(out, read);
        } else {
            sg_buf_byte(out, byte);
            len = 1;
        }
        rest.ptr += len;
        rest.len -= len;
    }
    free(text);
}

/* Whether jansson's order and escapes are not ours: characters beyond U+FFFF, control characters, DEL and slashes. */
static bool is_comparable(struct sg_str canonical)
{
    for (size_t i = 0; i < canonical.len; i++)
        if ((unsigned char)canonical.ptr[i] >= 0xf0 || canonical.ptr[i] == '\\')
            return false;
    return true;
}

Test(agreement, where_both_mean_the_same_the_bytes_are_the_same)
{
    struct generator in = {0};
    int compared = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct sg_buf ours = {0};
        struct sg_buf theirs = {0};
        generate(&in, seed);
        cr_assert(sg_json_canonicalize(sg_buf_str(&in.text), NULL, &ours, NULL) == SG_OK);
        if (is_comparable(sg_buf_str(&ours))) {
            json_t *json = json_loadb(in.text.ptr, in.text.len, JSON_DECODE_ANY, NULL);
            cr_assert(json != NULL);
            dump(json, &theirs);
            cr_assert(sg_str_eq(sg_buf_str(&ours), sg_buf_str(&theirs)), "seed %llu: %.*s\nagainst %.*s", (unsigned long long)seed,
                      SG_FMT(sg_buf_str(&ours)), SG_FMT(sg_buf_str(&theirs)));
            json_decref(json);
            compared++;
        }
        sg_buf_free(&ours);
        sg_buf_free(&theirs);
    }
    cr_assert(compared > 3000, "%d", compared);
    sg_buf_free(&in.text);
}

Test(agreement, canonical_form_is_a_fixed_point_and_reads_the_same_by_us)
{
    struct generator in = {0};
    for (uint64_t seed = 0; seed < 5000; seed++) {
        struct sg_buf once = {0};
        struct sg_buf twice = {0};
        generate(&in, seed);
        cr_assert(sg_json_canonicalize(sg_buf_str(&in.text), NULL, &once, NULL) == SG_OK);
        cr_assert(sg_json_canonicalize(sg_buf_str(&once), NULL, &twice, NULL) == SG_OK);
        cr_assert(sg_str_eq(sg_buf_str(&once), sg_buf_str(&twice)));

        struct sg_json_iter iter = sg_json_iter(sg_buf_str(&once));
        struct sg_str key;
        struct sg_str member;
        struct sg_str last = SG_STR_NULL;
        struct sg_arena arena = {0};
        while (sg_json_next_member(&iter, &key, &member)) {
            struct sg_str name;
            cr_assert(sg_json_to_str(key, &arena, &name) == SG_OK);
            cr_assert(last.ptr == NULL || sg_json_key_cmp(last, name) < 0, "keys ascend");
            cr_assert(sg_json_get(sg_buf_str(&once), name).ptr == member.ptr);
            last = name;
        }
        sg_arena_free(&arena);
        sg_buf_free(&once);
        sg_buf_free(&twice);
    }
    sg_buf_free(&in.text);
}
