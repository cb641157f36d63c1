/*
 * Programs: from text to something that can be evaluated, and the ways to ask for its value.
 *
 * The model. Compiling is a pipeline: parse, resolve names, check (check.c, policy.c), then prepare: literal lists become
 * constants and literal patterns regular expressions. Everything lands in the program's own arena except what the lexer and
 * the checker need in passing.
 *
 * What it never does: change a program after it has been handed out.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "cel/check.h"
#include "cel/eval.h"
#include "cel/parse.h"
#include "cel/regex.h"
#include "cel/resolve.h"
#include "cel/utf8.h"

/* ours: patterns that are compiled with the program; further ones are compiled by the evaluation, within its steps */
#define SG_LIMIT_CEL_REGEXES 16
#define SG_LIMIT_CEL_REGEX_TOTAL_SIZE 20000 /* instructions of all of them: about half a megabyte */

/* ---- preparing ---- */

struct preparation {
    struct sg_cel_program *program;
    struct sg_cel_builder *builder;
    size_t regex_size;
    int64_t steps;
    bool is_failed;
};

static bool are_all_literals(const struct sg_cel_node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (node->children[i]->kind != SG_CEL_NODE_LITERAL)
            return false;
    }
    return true;
}

/* Turns a list or a map of literals into one constant, which is then built once and not at every evaluation. */
static void fold_literal(struct preparation *preparation, struct sg_cel_node *node)
{
    const struct sg_cel_value *constants = preparation->builder->constants;
    struct sg_cel_value value = {.kind = SG_CEL_LIST, .count = node->child_count};
    if (node->kind == SG_CEL_NODE_LIST) {
        struct sg_cel_value *items = sg_arena_alloc(&preparation->program->arena, node->child_count * sizeof(*items));
        preparation->is_failed = preparation->is_failed || items == NULL;
        for (uint32_t i = 0; i < node->child_count && items != NULL; i++)
            items[i] = constants[node->children[i]->slot];
        value.as.items = items;
    } else {
        uint32_t count = node->child_count / 2;
        struct sg_cel_entry *entries = sg_arena_alloc(&preparation->program->arena, 2 * (size_t)count * sizeof(*entries));
        if (entries == NULL) {
            preparation->is_failed = true;
            return;
        }
        for (uint32_t i = 0; i < count; i++) {
            entries[i].key = constants[node->children[2 * i]->slot];
            entries[i].value = constants[node->children[2 * i + 1]->slot];
        }
        value = sg_cel_make_map(entries, count, entries + count, &preparation->steps);
        if (preparation->steps <= 0)
            return; /* so large that it is left to the evaluation, which will refuse it */
    }
    struct sg_cel_node *literal = preparation->is_failed ? NULL : sg_cel_build_literal(preparation->builder, node->position, value);
    if (literal == NULL) {
        preparation->is_failed = true;
        return;
    }
    *node = *literal;
    node->free_local = SG_CEL_NO_LOCAL;
}

/* The pattern of matches(), if it is a literal. One that does not compile is an error of the evaluation, not of this. */
static void compile_regex(struct preparation *preparation, struct sg_cel_node *node)
{
    struct sg_cel_tree *tree = &preparation->program->tree;
    if (node->children[1]->kind != SG_CEL_NODE_LITERAL)
        return;
    const struct sg_cel_value *pattern = &preparation->builder->constants[node->children[1]->slot];
    if (pattern->kind != SG_CEL_STRING || tree->regex_count == SG_LIMIT_CEL_REGEXES ||
        preparation->regex_size > SG_LIMIT_CEL_REGEX_TOTAL_SIZE)
        return;
    if (tree->regexes == NULL)
        tree->regexes = sg_arena_alloc(&preparation->program->arena, SG_LIMIT_CEL_REGEXES * sizeof(struct sg_cel_regex *));
    if (tree->regexes == NULL) {
        preparation->is_failed = true;
        return;
    }
    char message[256];
    enum sg_status status = sg_cel_regex_compile(sg_cel_str(pattern), SG_LIMIT_CEL_REGEX_BYTES, &node->regex, message, sizeof(message));
    preparation->is_failed = preparation->is_failed || status == SG_NO_MEMORY;
    if (status == SG_OK) {
        tree->regexes[tree->regex_count++] = node->regex;
        preparation->regex_size += sg_cel_regex_size(node->regex);
    } else {
        preparation->regex_size += SG_LIMIT_CEL_REGEX_TOTAL_SIZE / 4; /* refusing took its time too */
    }
}

static void prepare(struct preparation *preparation, struct sg_cel_node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++)
        prepare(preparation, node->children[i]);
    if ((node->kind == SG_CEL_NODE_LIST || node->kind == SG_CEL_NODE_MAP) && are_all_literals(node))
        fold_literal(preparation, node);
    else if (node->kind == SG_CEL_NODE_CALL && node->op == SG_CEL_F_MATCHES)
        compile_regex(preparation, node);
}

/*
 * Numbers the literals in the order in which they stand in the tree and drops the constants that folding left behind, so that
 * trees of the same shape number theirs alike (template.c).
 */
static uint32_t renumber(struct sg_cel_node *node, const struct sg_cel_value *from, struct sg_cel_value *to, uint32_t next)
{
    if (node->kind == SG_CEL_NODE_LITERAL) {
        to[next] = from[node->slot];
        node->slot = next++;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        next = renumber(node->children[i], from, to, next);
    return next;
}

/* ---- compiling ---- */

static bool is_utf8(struct sg_str text, size_t *bad)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t len = sg_cel_utf8_read(text.ptr + i, text.len - i, &code);
        if (len == 0) {
            *bad = i;
            return false;
        }
        i += len;
    }
    return true;
}

/* Fills the program, or adds problems. False if memory ran out. */
static bool build(struct sg_cel_program *program, enum sg_cel_check check, struct sg_arena *scratch, struct sg_cel_problems *problems)
{
    struct sg_cel_builder builder = {.arena = &program->arena};
    bool is_stored = check == SG_CEL_CHECK_STORED;
    const struct sg_cel_parse_options options = {.is_lenient = check == SG_CEL_CHECK_PARSE || is_stored,
                                                 .code_points_max = is_stored ? 0 : SG_LIMIT_CEL_CODE_POINTS,
                                                 .depth_max = is_stored ? SG_CEL_STORED_DEPTH_MAX : SG_LIMIT_CEL_DEPTH,
                                                 .scratch = scratch};
    size_t bad;
    if (!is_utf8(program->text, &bad)) {
        sg_cel_problem_add(problems, bad, "invalid UTF-8");
        return !problems->is_out_of_memory;
    }
    struct sg_cel_tree *tree = &program->tree;
    tree->root = sg_cel_parse(program->text, &options, &builder, problems);
    if (tree->root == NULL)
        return !problems->is_out_of_memory;
    if (!sg_cel_resolve(tree->root, &builder, scratch, &tree->local_count))
        return false;
    if (check == SG_CEL_CHECK_FULL || check == SG_CEL_CHECK_RESTRICTED) {
        if (!sg_cel_check_types(tree->root, builder.constants, scratch, problems))
            return false;
        if (problems->count > 0)
            return true;
    }
    if (!sg_cel_paths_collect(tree->root, builder.constants, &program->arena, &program->paths, &program->path_count))
        return false;
    struct preparation preparation = {.program = program, .builder = &builder, .steps = SG_LIMIT_CEL_STEPS};
    prepare(&preparation, tree->root);
    tree->constants = sg_arena_alloc(&program->arena, builder.constant_count * sizeof(*tree->constants));
    if (preparation.is_failed || builder.is_out_of_memory || tree->constants == NULL)
        return false;
    tree->constant_count = renumber(tree->root, builder.constants, tree->constants, 0);
    return true;
}

static struct sg_cel_program *program_create(struct sg_str text)
{
    struct sg_cel_program *program = sg_calloc(1, sizeof(*program));
    if (program == NULL)
        return NULL;
    program->magic = SG_CEL_PROGRAM_MAGIC;
    sg_arena_init(&program->arena);
    program->text = sg_arena_copy(&program->arena, text);
    if (program->text.ptr != NULL)
        return program;
    sg_cel_program_free(program);
    return NULL;
}

/* Compiles; whatever is wrong with the text is appended to `out`. */
static enum sg_status compile(struct sg_str text, enum sg_cel_check check, struct sg_cel_program **program, struct sg_buf *out)
{
    *program = NULL;
    if (text.len > SG_LIMIT_CEL_STORED_BYTES) {
        sg_buf_printf(out, "error compiling expression: the text has %zu bytes, more than %d", text.len, SG_LIMIT_CEL_STORED_BYTES);
        return SG_INVALID_EXPRESSION;
    }
    struct sg_cel_program *made = program_create(text);
    if (made == NULL)
        return SG_NO_MEMORY;
    struct sg_arena scratch;
    struct sg_cel_problems problems;
    sg_arena_init(&scratch);
    sg_cel_problems_init(&problems, &scratch);

    enum sg_status status = build(made, check, &scratch, &problems) ? SG_OK : SG_NO_MEMORY;
    if (status == SG_OK && problems.count > 0) {
        sg_cel_problems_render(&problems, made->text, out);
        status = SG_INVALID_EXPRESSION;
    } else if (status == SG_OK && check == SG_CEL_CHECK_RESTRICTED) {
        status = sg_cel_check_policy(&made->tree, out);
    }
    sg_arena_free(&scratch);
    if (status == SG_OK)
        *program = made;
    else
        sg_cel_program_free(made);
    return status;
}

/* What `text` says, or as much of it as fits with a sign that there is more, becomes the error. */
static enum sg_status set_error(struct sg_error *error, enum sg_status status, struct sg_buf *text)
{
    if (status == SG_NO_MEMORY || text->is_failed)
        status = sg_error_set(error, SG_NO_MEMORY, "out of memory");
    else if (text->len < SG_ERROR_MESSAGE_MAX)
        sg_error_set(error, status, "%.*s", (int)text->len, text->ptr);
    else
        sg_error_set(error, status, "%.*s...", SG_ERROR_MESSAGE_MAX - 4, text->ptr);
    sg_buf_free(text);
    return status;
}

enum sg_status sg_cel_compile(struct sg_str text, enum sg_cel_check check, struct sg_cel_program **program, struct sg_error *error)
{
    struct sg_buf problem = {0};
    enum sg_status status = compile(text, check, program, &problem);
    if (status == SG_OK) {
        sg_buf_free(&problem);
        return SG_OK;
    }
    return set_error(error, status, &problem);
}

enum sg_status sg_cel_diagnose(struct sg_str text, enum sg_cel_check check, struct sg_buf *out)
{
    struct sg_cel_program *program;
    enum sg_status status = compile(text, check, &program, out);
    sg_cel_program_free(program);
    return out->is_failed ? SG_NO_MEMORY : status;
}

enum sg_status sg_cel_program_check_policy(const struct sg_cel_program *program, struct sg_error *error)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    struct sg_buf problem = {0};
    enum sg_status status = sg_cel_check_policy(&program->tree, &problem);
    if (status == SG_OK) {
        sg_buf_free(&problem);
        return SG_OK;
    }
    return set_error(error, status, &problem);
}

void sg_cel_program_free(struct sg_cel_program *program)
{
    if (program == NULL)
        return;
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    for (uint32_t i = 0; i < program->tree.regex_count; i++)
        sg_cel_regex_free(program->tree.regexes[i]);
    sg_arena_free(&program->arena);
    program->magic = 0;
    sg_free(program);
}

/* ---- asking about a program ---- */

struct sg_str sg_cel_program_text(const struct sg_cel_program *program)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    return program->text;
}

size_t sg_cel_program_bytes(const struct sg_cel_program *program)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    return sizeof(*program) + program->arena.used_bytes;
}

size_t sg_cel_program_path_count(const struct sg_cel_program *program)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    return program->path_count;
}

struct sg_str sg_cel_program_path(const struct sg_cel_program *program, size_t index)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    assert(index < program->path_count);
    return program->paths[index];
}

bool sg_cel_program_uses(const struct sg_cel_program *program, struct sg_str variable)
{
    static const char *const variables[] = {"event", "async", "output", "error"};
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    for (size_t i = 0; i < SG_ARRAY_LEN(variables); i++) {
        if (sg_str_eq(variable, sg_str_from(variables[i])))
            return (program->tree.root->uses & 1u << (SG_CEL_V_EVENT + i)) != 0;
    }
    return false;
}

/* ---- evaluating ---- */

enum sg_status sg_cel_settle(struct sg_cel_value *value, struct sg_error *error)
{
    if (value->kind == SG_CEL_UNKNOWN)
        *value = sg_cel_bool(false);
    if (value->kind < SG_CEL_UNKNOWN)
        return SG_OK;
    enum sg_status status = value->kind == SG_CEL_ABORT && value->detail == SG_CEL_E_NO_MEMORY ? SG_NO_MEMORY : SG_INVALID_EXPRESSION;
    if (error != NULL) {
        struct sg_buf text = {0};
        sg_cel_error_text(value, &text);
        status = set_error(error, status, &text);
    }
    *value = (struct sg_cel_value){.kind = SG_CEL_NULL};
    return status;
}

enum sg_status sg_cel_evaluate(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                               struct sg_cel_value *value, struct sg_error *error)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    int64_t steps = SG_LIMIT_CEL_STEPS;
    *value = sg_cel_run(&program->tree, program->tree.root, NULL, scope, arena, &steps);
    return sg_cel_settle(value, error);
}

enum sg_status sg_cel_evaluate_bool(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                                    bool *result, struct sg_error *error)
{
    struct sg_cel_value value;
    *result = false;
    enum sg_status status = sg_cel_evaluate(program, scope, arena, &value, error);
    if (status != SG_OK)
        return status;
    if (value.kind == SG_CEL_BOOL) {
        *result = value.as.boolean;
        return SG_OK;
    }
    if (error == NULL)
        return SG_INVALID_EXPRESSION;
    struct sg_buf text = {0};
    int64_t steps = SG_LIMIT_CEL_STEPS;
    sg_buf_printf(&text, "returned type %s (", sg_cel_kind_name(value.kind));
    if (sg_cel_value_charge(&value, &steps))
        sg_cel_value_key(&value, &text);
    sg_buf_byte(&text, ')');
    return set_error(error, SG_INVALID_EXPRESSION, &text);
}

enum sg_status sg_cel_evaluate_key(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                                   struct sg_str *key, struct sg_error *error)
{
    struct sg_cel_value value;
    *key = SG_STR_NULL;
    enum sg_status status = sg_cel_evaluate(program, scope, arena, &value, error);
    if (status != SG_OK)
        return status;
    int64_t steps = SG_LIMIT_CEL_STEPS;
    if (!sg_cel_value_charge(&value, &steps))
        return sg_error_set(error, SG_INVALID_EXPRESSION, "the key is too large");
    struct sg_buf text = {0};
    sg_cel_value_key(&value, &text);
    *key = text.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&text));
    sg_buf_free(&text);
    return key->ptr != NULL ? SG_OK : sg_error_set(error, SG_NO_MEMORY, "out of memory");
}
