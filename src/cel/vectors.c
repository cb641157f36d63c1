/*
 * Running files of test vectors.
 *
 * The model. A line names an expression, the variables, a mode (how it is checked or evaluated) and the outcome. Each mode is a
 * function that turns the expression into a text, "error: ..." if it failed; the outcome is turned into a text as well, and
 * the line passes if they are the same. Errors of an evaluation need not have the recorded words (§11), those of a compilation
 * must. Where the line is one of deviations.def, our value stands in place of the recorded one.
 *
 * Interpolated texts may differ in form, so both are evaluated against a number of events instead.
 */
#include "cel/vectors.h"

#include <math.h>
#include <string.h>

#include "base/check.h"
#include "base/hex.h"
#include "cel/eval.h"
#include "cel/json.h"
#include "cel/time.h"

struct vector {
    const struct sg_cel_value *line;
    struct sg_str expr;
    struct sg_str mode;
    struct sg_cel_scope scope;
    struct sg_cel_document event;
    struct sg_cel_document async;
    struct sg_arena *arena;
};

static const struct {
    const char *quirk;
    const char *expr;
    const char *theirs;
    const char *ours;
    const char *reason;
} deviations[] = {
#define SG_CEL_DEVIATION(quirk, expr, theirs, ours, reason) {quirk, expr, theirs, ours, reason},
#include "cel/deviations.def"
#undef SG_CEL_DEVIATION
};

#define TYPED_DEPTH_MAX 64

/* ---- typed values ---- */

static struct sg_cel_value typed(const struct sg_cel_value *json, struct sg_arena *arena, int depth);

static struct sg_str member_text(const struct sg_cel_value *map, const char *name)
{
    const struct sg_cel_value *found = sg_cel_map_find(map, sg_str_from(name));
    return found != NULL && found->kind == SG_CEL_STRING ? sg_cel_str(found) : SG_STR_NULL;
}

static struct sg_cel_value typed_list(const struct sg_cel_value *json, struct sg_arena *arena, int depth)
{
    struct sg_cel_value *items = sg_arena_alloc(arena, json->count * sizeof(*items));
    if (items == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    for (uint32_t i = 0; i < json->count; i++)
        items[i] = typed(&json->as.items[i], arena, depth + 1);
    return (struct sg_cel_value){.kind = SG_CEL_LIST, .count = json->count, .as.items = items};
}

static struct sg_cel_value typed_map(const struct sg_cel_value *pairs, struct sg_arena *arena, int depth)
{
    struct sg_cel_entry *entries = sg_arena_alloc(arena, 2 * (size_t)pairs->count * sizeof(*entries));
    if (entries == NULL || pairs->kind != SG_CEL_LIST)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    for (uint32_t i = 0; i < pairs->count; i++) {
        const struct sg_cel_value *pair = &pairs->as.items[i];
        if (pair->kind != SG_CEL_LIST || pair->count != 2)
            return sg_cel_abort(SG_CEL_E_ABORT);
        entries[i].key = typed(&pair->as.items[0], arena, depth + 1);
        entries[i].value = typed(&pair->as.items[1], arena, depth + 1);
    }
    int64_t steps = SG_LIMIT_CEL_STEPS;
    return sg_cel_make_map(entries, pairs->count, entries + pairs->count, &steps);
}

static struct sg_cel_value typed_bytes(struct sg_str hex, struct sg_arena *arena)
{
    char *bytes = sg_arena_alloc(arena, hex.len / 2);
    if (bytes == NULL || !sg_hex_decode(hex, (uint8_t *)bytes, hex.len / 2))
        return sg_cel_abort(SG_CEL_E_ABORT);
    return (struct sg_cel_value){.kind = SG_CEL_BYTES, .count = (uint32_t)(hex.len / 2), .as.bytes = bytes};
}

static struct sg_cel_value typed_type(struct sg_str name)
{
    struct sg_cel_value value = {.kind = SG_CEL_TYPE};
    for (int kind = SG_CEL_NULL; kind <= SG_CEL_TYPE; kind++) {
        if (sg_str_eq(name, sg_str_from(sg_cel_kind_name((enum sg_cel_kind)kind))))
            value.as.type = (uint8_t)kind;
    }
    return value;
}

/* The value of {"int":"5"} and the like; the member's name is its type. */
static struct sg_cel_value typed_member(struct sg_str name, const struct sg_cel_value *member, struct sg_arena *arena, int depth)
{
    struct sg_str text = member->kind == SG_CEL_STRING ? sg_cel_str(member) : SG_STR_NULL;
    struct sg_cel_value value = {.kind = SG_CEL_NULL};
    int64_t steps = SG_LIMIT_CEL_STEPS;
    struct sg_cel_scope scope = {0};
    struct sg_cel_eval eval = {.scope = &scope, .arena = arena, .steps = steps};
    if (sg_str_eq(name, SG_STR("int")))
        return sg_cel_apply_conversion(&eval, SG_CEL_F_TO_INT, member);
    if (sg_str_eq(name, SG_STR("uint")))
        return sg_cel_apply_conversion(&eval, SG_CEL_F_TO_UINT, member);
    if (sg_str_eq(name, SG_STR("double")))
        return sg_cel_apply_conversion(&eval, SG_CEL_F_TO_DOUBLE, member);
    if (sg_str_eq(name, SG_STR("timestamp")))
        return sg_cel_apply_conversion(&eval, SG_CEL_F_TO_TIMESTAMP, member);
    if (sg_str_eq(name, SG_STR("duration_ns"))) {
        value = sg_cel_apply_conversion(&eval, SG_CEL_F_TO_INT, member);
        return sg_cel_duration(value.as.integer);
    }
    if (sg_str_eq(name, SG_STR("bytes")))
        return typed_bytes(text, arena);
    if (sg_str_eq(name, SG_STR("type")))
        return typed_type(text);
    if (sg_str_eq(name, SG_STR("map")) || sg_str_eq(name, SG_STR("entries")))
        return typed_map(member, arena, depth);
    return value;
}

static struct sg_cel_value typed(const struct sg_cel_value *json, struct sg_arena *arena, int depth)
{
    if (depth > TYPED_DEPTH_MAX)
        return sg_cel_abort(SG_CEL_E_ABORT);
    if (json->kind == SG_CEL_LIST)
        return typed_list(json, arena, depth);
    if (json->kind != SG_CEL_MAP || json->count != 1)
        return *json;
    const struct sg_cel_entry *entry = &json->as.entries[0];
    return typed_member(sg_cel_str(&entry->key), &entry->value, arena, depth);
}

/* Equality that tells 5 from 5.0 and finds NaN equal to itself. */
static bool is_same(const struct sg_cel_value *a, const struct sg_cel_value *b)
{
    int64_t steps = SG_LIMIT_CEL_STEPS;
    if (a->kind != b->kind)
        return false;
    if (a->kind == SG_CEL_DOUBLE)
        return a->as.number == b->as.number || (isnan(a->as.number) && isnan(b->as.number));
    if (a->kind != SG_CEL_LIST && a->kind != SG_CEL_MAP)
        return sg_cel_equal(a, b, &steps);
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct sg_cel_value *left = a->kind == SG_CEL_LIST ? &a->as.items[i] : &a->as.entries[i].value;
        const struct sg_cel_value *right =
            a->kind == SG_CEL_LIST ? &b->as.items[i] : sg_cel_map_find_value(b, &a->as.entries[i].key, &steps);
        if (right == NULL || !is_same(left, right))
            return false;
    }
    return true;
}

/* ---- variables ---- */

static bool bind(struct vector *vector)
{
    const struct sg_cel_value *plain = sg_cel_map_find(vector->line, SG_STR("vars"));
    const struct sg_cel_value *variables = plain != NULL ? plain : sg_cel_map_find(vector->line, SG_STR("typed_vars"));
    if (variables == NULL || variables->kind != SG_CEL_MAP)
        return true;
    struct sg_cel_binding *bindings = sg_arena_alloc(vector->arena, variables->count * sizeof(*bindings));
    if (bindings == NULL)
        return false;
    vector->scope.bindings = bindings;
    for (uint32_t i = 0; i < variables->count; i++) {
        struct sg_str name = sg_cel_str(&variables->as.entries[i].key);
        const struct sg_cel_value *given = &variables->as.entries[i].value;
        struct sg_cel_value value = plain != NULL ? *given : typed(given, vector->arena, 0);
        if (sg_str_eq(name, SG_STR("event"))) {
            vector->event.root = value;
            vector->scope.event = &vector->event;
        } else if (sg_str_eq(name, SG_STR("async"))) {
            vector->async.root = value;
            vector->scope.async = &vector->async;
        } else {
            bindings[vector->scope.binding_count++] = (struct sg_cel_binding){.name = name, .value = value};
        }
    }
    return true;
}

/* ---- outcomes ---- */

/* "compile 1:16: the first message" of a compile error; the text itself of any other. */
static void shorten_compile_error(struct sg_str text, struct sg_buf *out)
{
    struct sg_str prefix = SG_STR("error compiling expression: ERROR: <input>:");
    if (!sg_str_starts_with(text, prefix)) {
        sg_buf_append(out, sg_str_trim(text));
        return;
    }
    text = (struct sg_str){text.ptr + prefix.len, text.len - prefix.len};
    ptrdiff_t end = sg_str_index(text, '\n');
    if (end >= 0)
        text.len = (size_t)end;
    sg_buf_append(out, SG_STR("compile "));
    sg_buf_append(out, text);
}

/* Compiles; on failure the outcome is appended and NULL returned. */
static struct sg_cel_program *compile(const struct vector *vector, enum sg_cel_check check, struct sg_buf *out)
{
    struct sg_cel_program *program = NULL;
    if (sg_cel_compile(vector->expr, check, &program, NULL) == SG_OK)
        return program;
    struct sg_buf text = {0};
    sg_cel_diagnose(vector->expr, check, &text);
    sg_buf_append(out, SG_STR("error: "));
    shorten_compile_error(sg_buf_str(&text), out);
    sg_buf_free(&text);
    return NULL;
}

/* What came: the value, or an error in `out` with false. */
static bool evaluate(struct vector *vector, struct sg_cel_value *value, struct sg_buf *out)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_cel_program *program = compile(vector, SG_CEL_CHECK_PARSE, out);
    if (program == NULL)
        return false;
    enum sg_status status;
    if (sg_str_eq(vector->mode, SG_STR("bool"))) {
        bool result;
        status = sg_cel_evaluate_bool(program, &vector->scope, vector->arena, &result, &error);
        *value = sg_cel_bool(result);
    } else if (sg_str_eq(vector->mode, SG_STR("key"))) {
        struct sg_str key;
        status = sg_cel_evaluate_key(program, &vector->scope, vector->arena, &key, &error);
        *value = sg_cel_string(key);
    } else {
        status = sg_cel_evaluate(program, &vector->scope, vector->arena, value, &error);
        /* The value points into the program, which goes: keep its text instead of a copy of everything. */
    }
    if (status != SG_OK)
        sg_buf_printf(out, "error: %s", error.message);
    else
        sg_cel_value_print(value, out);
    bool is_expected = false;
    const struct sg_cel_value *result = sg_cel_map_find(vector->line, SG_STR("result"));
    if (status == SG_OK && result != NULL) {
        struct sg_cel_value expected = typed(result, vector->arena, 0);
        is_expected = is_same(value, &expected);
    }
    sg_cel_program_free(program);
    return is_expected;
}

static bool check(struct vector *vector, enum sg_cel_check kind, struct sg_buf *out)
{
    struct sg_cel_program *program = compile(vector, kind, out);
    if (program == NULL)
        return false;
    sg_cel_program_free(program);
    sg_buf_append(out, SG_STR("ok"));
    return true;
}

/* ---- interpolation ---- */

static const char *const futures[] = {
    "{\"data\":{}}",
    "{\"data\":{\"id\":\"ab\",\"n\":5,\"f\":1.5,\"ok\":true,\"x\":1,\"q\":\"a\\\"b\",\"l\":[\"a\",\"b\"]},\"user\":{\"id\":\"u1\"},\"ts\":"
    "1800000000000}",
    "{\"data\":{\"id\":\"zz\",\"n\":6,\"f\":2,\"ok\":false,\"x\":2,\"q\":\"x\\ny\",\"l\":[],\"missing\":1},\"user\":{\"id\":\"u2\"},\"ts\":"
    "1}",
    "{\"data\":{\"id\":\"ab\",\"n\":11,\"ok\":null,\"x\":null,\"q\":\"\\u00e9\\ud83d\\ude00\",\"l\":[\"ab\"],\"items\":[1]}}",
    "{\"data\":{\"id\":\"a\",\"n\":-2,\"x\":\"ab\",\"l\":{\"ab\":1},\"items\":[]}}",
    "{\"data\":{\"id\":\"ab-x\",\"n\":\"5\",\"x\":1,\"ok\":\"true\"}}",
    "{\"data\":{\"id\":\"\",\"n\":null,\"x\":\"1\"}}",
    "{\"data\":{\"id\":null,\"n\":0,\"x\":true}}",
};

static bool is_true_for(struct vector *vector, struct sg_str text, const struct sg_cel_document *future)
{
    struct sg_cel_program *program;
    bool result = false;
    if (sg_cel_compile(text, SG_CEL_CHECK_STORED, &program, NULL) != SG_OK)
        return false;
    struct sg_cel_scope scope = {.async = future, .now_ms = vector->scope.now_ms};
    sg_cel_evaluate_bool(program, &scope, vector->arena, &result, NULL);
    sg_cel_program_free(program);
    return result;
}

static bool interpolate(struct vector *vector, struct sg_buf *out)
{
    struct sg_error error = {.status = SG_OK};
    enum sg_cel_verdict verdict;
    struct sg_cel_program *program = compile(vector, SG_CEL_CHECK_FULL, out);
    if (program == NULL || vector->scope.event == NULL)
        return false;
    enum sg_status status = sg_cel_interpolate(program, vector->scope.event, out, &verdict, &error);
    sg_cel_program_free(program);
    if (status != SG_OK) {
        sg_buf_printf(out, "error: %s", error.message);
        return false;
    }
    struct sg_str expected = member_text(vector->line, "result");
    bool is_equal = true;
    for (size_t i = 0; i < SG_ARRAY_LEN(futures) && is_equal; i++) {
        struct sg_cel_document future;
        if (sg_cel_document_parse(sg_str_from(futures[i]), vector->arena, &future, NULL) != SG_OK)
            return false;
        is_equal = is_true_for(vector, sg_buf_str(out), &future) == is_true_for(vector, expected, &future);
    }
    return is_equal;
}

/* ---- lines ---- */

static bool is_error(const struct sg_buf *outcome)
{
    return sg_str_starts_with(sg_buf_str(outcome), SG_STR("error: "));
}

/* Errors of a compilation must have the recorded words, and an abort must be one. */
static bool is_error_expected(const struct sg_buf *outcome, struct sg_str expected)
{
    if (!is_error(outcome))
        return false;
    struct sg_str text = {outcome->ptr + 7, outcome->len - 7};
    if (sg_str_starts_with(expected, SG_STR("compile ")) || sg_str_starts_with(expected, SG_STR("validation failed")))
        return sg_str_eq(text, sg_str_trim(expected));
    if (sg_str_eq(expected, SG_STR("abort")))
        return sg_str_eq(text, SG_STR("expression did not return true or false"));
    return true;
}

static bool run_mode(struct vector *vector, struct sg_buf *out)
{
    if (sg_str_eq(vector->mode, SG_STR("validate")))
        return check(vector, SG_CEL_CHECK_FULL, out);
    if (sg_str_eq(vector->mode, SG_STR("validate_restricted")))
        return check(vector, SG_CEL_CHECK_RESTRICTED, out);
    if (sg_str_eq(vector->mode, SG_STR("interpolate")))
        return interpolate(vector, out);
    struct sg_cel_value value;
    return evaluate(vector, &value, out);
}

/* The entry of deviations.def that this line is, or -1. */
static int find_deviation(const struct vector *vector)
{
    const struct sg_cel_value *result = sg_cel_map_find(vector->line, SG_STR("result"));
    if (vector->mode.len > 0 || result == NULL)
        return -1;
    for (size_t i = 0; i < SG_ARRAY_LEN(deviations); i++) {
        if (!sg_str_eq(vector->expr, sg_str_from(deviations[i].expr)))
            continue;
        struct sg_cel_value theirs;
        if (sg_cel_json_parse(sg_str_from(deviations[i].theirs), vector->arena, &theirs, NULL) == SG_OK && is_same(result, &theirs))
            return (int)i;
    }
    return -1;
}

/* Puts our value in place of the recorded one. */
static bool replace_outcome(struct vector *vector, int deviation)
{
    struct sg_cel_value *line = sg_arena_alloc(vector->arena, sizeof(*line));
    struct sg_cel_entry *entries = sg_arena_alloc(vector->arena, vector->line->count * sizeof(*entries));
    if (line == NULL || entries == NULL)
        return false;
    memcpy(entries, vector->line->as.entries, vector->line->count * sizeof(*entries));
    *line = *vector->line;
    line->as.entries = entries;
    line->detail = 0; /* a key may change its place in the order */
    for (uint32_t i = 0; i < line->count; i++) {
        if (!sg_str_eq(sg_cel_str(&entries[i].key), SG_STR("result")))
            continue;
        if (deviations[deviation].ours == NULL) {
            entries[i].key = sg_cel_string(SG_STR("error"));
            entries[i].value = sg_cel_string(SG_STR("any"));
        } else if (sg_cel_json_parse(sg_str_from(deviations[deviation].ours), vector->arena, &entries[i].value, NULL) != SG_OK) {
            return false;
        }
    }
    vector->line = line;
    return true;
}

static void report(struct sg_buf *out, size_t number, const struct vector *vector, const struct sg_buf *outcome)
{
    const struct sg_cel_value *result = sg_cel_map_find(vector->line, SG_STR("result"));
    sg_buf_printf(out, "line %zu: %.*s\n    expected ", number, SG_FMT(vector->expr));
    if (result != NULL)
        sg_cel_value_print_json(result, out);
    else
        sg_buf_printf(out, "error: %.*s", SG_FMT(member_text(vector->line, "error")));
    sg_buf_printf(out, "\n    actual   %.*s\n", SG_FMT(sg_buf_str(outcome)));
}

static void run_line(struct sg_str text, size_t number, int64_t now_ms, struct sg_arena *arena, struct sg_buf *out,
                     struct sg_cel_tally *tally)
{
    struct sg_cel_value line;
    struct sg_error error;
    struct vector vector = {.line = &line, .scope = {.now_ms = now_ms}, .arena = arena};
    if (sg_cel_json_parse(text, arena, &line, &error) != SG_OK || line.kind != SG_CEL_MAP) {
        sg_buf_printf(out, "line %zu: not a JSON object\n", number);
        tally->failed++;
        return;
    }
    vector.expr = member_text(&line, "expr");
    vector.mode = member_text(&line, "mode");
    int deviation = find_deviation(&vector);
    bool is_fine = bind(&vector) && (deviation < 0 || replace_outcome(&vector, deviation));

    struct sg_buf outcome = {0};
    bool has_result = sg_cel_map_find(vector.line, SG_STR("result")) != NULL;
    if (is_fine && has_result)
        is_fine = run_mode(&vector, &outcome);
    else if (is_fine)
        is_fine = !run_mode(&vector, &outcome) && is_error_expected(&outcome, member_text(vector.line, "error"));
    if (is_fine) {
        tally->passed++;
        tally->deviations += deviation >= 0;
    } else {
        tally->failed++;
        report(out, number, &vector, &outcome);
    }
    sg_buf_free(&outcome);
}

enum sg_status sg_cel_vectors_run(struct sg_str text, int64_t now_ms, struct sg_buf *out, struct sg_cel_tally *tally)
{
    *tally = (struct sg_cel_tally){0};
    struct sg_arena arena;
    sg_arena_init(&arena);
    for (size_t number = 1; text.len > 0; number++) {
        ptrdiff_t end = sg_str_index(text, '\n');
        struct sg_str line = {text.ptr, end >= 0 ? (size_t)end : text.len};
        size_t used = end >= 0 ? line.len + 1 : line.len;
        text = (struct sg_str){text.ptr + used, text.len - used};
        if (sg_str_trim(line).len > 0)
            run_line(line, number, now_ms, &arena, out, tally);
        sg_arena_reset(&arena);
    }
    sg_arena_free(&arena);
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}

void sg_cel_deviations_print(struct sg_buf *out)
{
    for (size_t i = 0; i < SG_ARRAY_LEN(deviations); i++)
        sg_buf_printf(out, "%s: %s gives %s there and %s here: %s\n", deviations[i].quirk, deviations[i].expr, deviations[i].theirs,
                      deviations[i].ours != NULL ? deviations[i].ours : "an error", deviations[i].reason);
}
