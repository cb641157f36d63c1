/*
 * Random expressions and events. Both draw from one small vocabulary, so that comparisons are often true and the interesting
 * cases (absent, null, another type, a list) come up all the time.
 */
#include "cel_generate.h"

#include <string.h>

struct generator {
    struct sg_rng *rng;
    enum cel_dialect dialect;
    const char *subject;
    const char *other;
    struct sg_buf *out;
};

static uint64_t draw(const struct generator *generator, uint64_t bound)
{
    return sg_rng_below(generator->rng, bound);
}

#define PICK(generator, list) ((list)[draw(generator, sizeof(list) / sizeof((list)[0]))])

static void put(const struct generator *generator, const char *text)
{
    sg_buf_append(generator->out, sg_str_from(text));
}

static void expression(const struct generator *generator, int depth);

static void scalar(const struct generator *generator)
{
    static const char *const scalars[] = {
        "\"x\"", "\"y\"", "\"z\"",           "\"\"", "1", "2", "1.0", "2.5", "1u", "0", "-0.0", "-1", "true", "false",
        "null",  "\"1\"", "9007199254740993"};
    put(generator, PICK(generator, scalars));
}

static void constant(const struct generator *generator)
{
    static const char *const containers[] = {"[]",         "[\"x\", 1]", "[null, true]", "[\"x\", \"y\", \"z\", 1, 2.5]",
                                             "{\"x\": 1}", "[[\"x\"]]"};
    if (generator->dialect == CEL_DIALECT_ALL && draw(generator, 8) == 0)
        put(generator, PICK(generator, containers));
    else
        scalar(generator);
}

static void field(const struct generator *generator)
{
    static const char *const fields[] = {"data.a", "data.d.e", "data.map.x", "data.never", "data.list"};
    put(generator, generator->subject);
    put(generator, ".");
    put(generator, PICK(generator, fields));
}

static void path(const struct generator *generator)
{
    static const char *const plain[] = {"data.a", "data.b", "data.c", "data.d.e", "data.list", "name", "ts"};
    static const char *const all[] = {"data.a",      "data.b",        "data.c",           "data.d.e",       "data.list", "data.list[0]",
                                      "data[\"a\"]", "data.map",      "data.map.x",       "data",           "name",      "ts",
                                      "user.id",     "data.d[\"e\"]", "data[event.name]", "data.list[1].x", "data.never"};
    bool is_other = generator->other != NULL && draw(generator, 2) == 0;
    put(generator, is_other ? generator->other : generator->subject);
    put(generator, ".");
    put(generator, generator->dialect == CEL_DIALECT_ALL ? PICK(generator, all) : PICK(generator, plain));
}

static void comparison(const struct generator *generator)
{
    static const char *const all[] = {" == ", " == ", " == ", " == ", " != ", " in ", " < ", " >= ", " + "};
    static const char *const plain[] = {" == ", " == ", " == ", " != "};
    bool is_swapped = draw(generator, 3) == 0;
    bool has_paths = draw(generator, 6) == 0;
    if (is_swapped)
        constant(generator);
    else
        path(generator);
    put(generator, generator->dialect == CEL_DIALECT_ALL ? PICK(generator, all) : PICK(generator, plain));
    if (is_swapped || has_paths)
        path(generator);
    else
        constant(generator);
}

static void membership(const struct generator *generator)
{
    if (draw(generator, 2) == 0) {
        path(generator);
        put(generator, " in [");
        for (uint64_t i = 0, count = draw(generator, 4); i < count; i++) {
            put(generator, i > 0 ? ", " : "");
            scalar(generator);
        }
        put(generator, "]");
    } else {
        scalar(generator);
        put(generator, " in ");
        path(generator);
    }
}

static void chain(const struct generator *generator, int depth)
{
    const char *sign = draw(generator, 2) == 0 ? " && " : " || ";
    for (uint64_t i = 0, count = 2 + draw(generator, 3); i < count; i++) {
        put(generator, i > 0 ? sign : "");
        put(generator, "(");
        expression(generator, depth - 1);
        put(generator, ")");
    }
}

static void rarity(const struct generator *generator, int depth)
{
    static const char *const before[] = {"has(", "size(", "!(has(", "lowercase(", "int(", "string(", "-", "date(", "type("};
    static const char *const after[] = {")", ") > 0", "))", ") == \"x\"", ") == 1", ") == \"1\"", " == -1.0", ") < now()", ") == string"};
    uint64_t which = draw(generator, sizeof(before) / sizeof(before[0]) + 4);
    if (which < sizeof(before) / sizeof(before[0])) {
        put(generator, before[which]);
        if (strstr(before[which], "has(") != NULL)
            field(generator);
        else
            path(generator);
        put(generator, after[which]);
        return;
    }
    put(generator, "(");
    path(generator);
    static const char *const macros[] = {").exists(i, i == ", ").all(i, i != ", ").contains(", ").filter(i, i == "};
    which -= sizeof(before) / sizeof(before[0]);
    put(generator, macros[which]);
    if (depth > 0 && draw(generator, 3) == 0)
        path(generator);
    else
        scalar(generator);
    put(generator, which == 3 ? ").size() == 1" : ")");
}

static void expression(const struct generator *generator, int depth)
{
    uint64_t kind = draw(generator, generator->dialect == CEL_DIALECT_ALL ? 12 : 10);
    if (depth == 0 || kind < 4) {
        comparison(generator);
    } else if (kind < 5) {
        membership(generator);
    } else if (kind < 8) {
        chain(generator, depth);
    } else if (kind < 9) {
        put(generator, "!(");
        expression(generator, depth - 1);
        put(generator, ")");
    } else if (kind < 10) {
        put(generator, "(");
        expression(generator, depth - 1);
        put(generator, ") ? (");
        expression(generator, depth - 1);
        put(generator, ") : (");
        expression(generator, depth - 1);
        put(generator, ")");
    } else if (kind < 11) {
        rarity(generator, depth);
    } else {
        path(generator);
    }
}

void cel_generate_expression(struct sg_rng *rng, enum cel_dialect dialect, const char *subject, const char *other, struct sg_buf *out)
{
    const struct generator generator = {.rng = rng, .dialect = dialect, .subject = subject, .other = other, .out = out};
    expression(&generator, (int)draw(&generator, 4));
}

/* ---- events ---- */

static void json_value(const struct generator *generator, bool is_whole)
{
    static const char *const values[] = {"\"x\"",
                                         "\"y\"",
                                         "1",
                                         "1",
                                         "2",
                                         "true",
                                         "2.5",
                                         "\"z\"",
                                         "false",
                                         "\"\"",
                                         "0",
                                         "-1",
                                         "[\"x\",1]",
                                         "[{\"x\":1},\"y\"]",
                                         "{\"x\":\"x\"}",
                                         "9007199254740992",
                                         "[]",
                                         "\"1\"",
                                         "{}",
                                         "[null,[\"x\"]]",
                                         "null"};
    size_t count = sizeof(values) / sizeof(values[0]) - (is_whole ? 1 : 0);
    put(generator, values[draw(generator, count)]);
}

static void member(const struct generator *generator, const char *name, bool is_whole, bool *has_some)
{
    if (!is_whole && draw(generator, 4) == 0)
        return;
    sg_buf_printf(generator->out, "%s\"%s\":", *has_some ? "," : "", name);
    *has_some = true;
    json_value(generator, is_whole);
}

void cel_generate_event(struct sg_rng *rng, bool is_whole, struct sg_buf *out)
{
    const struct generator generator = {.rng = rng, .out = out};
    static const char *const names[] = {"x", "y", "a", "list"};
    bool has_some = false;
    put(&generator, "{\"data\":{");
    member(&generator, "a", is_whole, &has_some);
    member(&generator, "b", is_whole, &has_some);
    member(&generator, "c", is_whole, &has_some);
    if (is_whole || draw(&generator, 3) > 0) {
        bool has_inner = false;
        sg_buf_printf(out, "%s\"d\":{", has_some ? "," : "");
        has_some = true;
        member(&generator, "e", is_whole, &has_inner);
        put(&generator, "}");
    }
    member(&generator, "list", is_whole, &has_some);
    member(&generator, "map", is_whole, &has_some);
    sg_buf_printf(out, "},\"id\":\"e\",\"name\":\"%s\",\"ts\":%d,\"user\":{\"id\":", PICK(&generator, names), (int)draw(&generator, 3));
    json_value(&generator, is_whole);
    put(&generator, "}}");
}
