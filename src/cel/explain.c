/*
 * For people: what an expression found and how missing data was treated.
 *
 * Every attribute of the tree is evaluated by itself, so what is printed is what the evaluation saw. The rules that it speaks
 * of are those of reference/05 §4.2 and §4.3.
 */
#include "cel/explain.h"

#include "base/check.h"
#include "cel/access.h"
#include "cel/eval.h"
#include "cel/unparse.h"

struct explanation {
    const struct sg_cel_program *program;
    const struct sg_cel_scope *scope;
    struct sg_arena *arena;
    struct sg_buf *out;
    struct sg_buf seen; /* texts of attributes that have been described, each behind a NUL */
    size_t unknowns;
    size_t errors;
};

#define SHOWN_MAX 200

/* A value, cut to a length that fits a line. */
static void print_short(const struct sg_cel_value *value, struct sg_buf *out)
{
    struct sg_buf text = {0};
    int64_t steps = SG_LIMIT_CEL_STEPS;
    if (sg_cel_value_charge(value, &steps))
        sg_cel_value_print(value, &text);
    else
        sg_buf_append(&text, SG_STR("(large)"));
    struct sg_str shown = sg_str_cut(sg_buf_str(&text), SHOWN_MAX);
    sg_buf_append(out, shown);
    if (shown.len < text.len)
        sg_buf_append(out, SG_STR("..."));
    out->is_failed = out->is_failed || text.is_failed;
    sg_buf_free(&text);
}

static bool has_seen(struct explanation *explanation, struct sg_str text)
{
    struct sg_str rest = sg_buf_str(&explanation->seen);
    while (rest.len > 0) {
        ptrdiff_t end = sg_str_index(rest, '\0');
        assert(end >= 0);
        if (sg_str_eq((struct sg_str){rest.ptr, (size_t)end}, text))
            return true;
        rest = (struct sg_str){rest.ptr + end + 1, rest.len - (size_t)end - 1};
    }
    sg_buf_append(&explanation->seen, text);
    sg_buf_byte(&explanation->seen, '\0');
    return false;
}

static void describe_attribute(struct explanation *explanation, const struct sg_cel_node *node)
{
    const struct sg_cel_tree *tree = &explanation->program->tree;
    struct sg_buf text = {0};
    sg_cel_unparse(node, tree->constants, &text);
    bool is_new = !has_seen(explanation, sg_buf_str(&text));
    int64_t steps = SG_LIMIT_CEL_STEPS;
    struct sg_cel_value value = sg_cel_run(tree, node, NULL, explanation->scope, explanation->arena, &steps);
    struct sg_buf *out = explanation->out;
    if (is_new) {
        sg_buf_printf(out, "  %.*s  ", SG_FMT(sg_buf_str(&text)));
        if (value.kind == SG_CEL_UNKNOWN) {
            explanation->unknowns++;
            sg_buf_append(out, SG_STR("missing"));
        } else if (value.kind >= SG_CEL_UNKNOWN) {
            explanation->errors++;
            sg_cel_error_text(&value, out);
        } else {
            print_short(&value, out);
            sg_buf_printf(out, " (%s)", sg_cel_kind_name(value.kind));
        }
        sg_buf_byte(out, '\n');
    }
    sg_buf_free(&text);
}

/* Every attribute that does not depend on a loop variable; of a chain only the whole. */
static void describe_attributes(struct explanation *explanation, const struct sg_cel_node *node)
{
    if ((node->flags & SG_CEL_NODE_IS_CHAIN) != 0 && node->free_local == SG_CEL_NO_LOCAL) {
        describe_attribute(explanation, node);
        for (; node->kind != SG_CEL_NODE_IDENT; node = node->children[0]) {
            if (node->kind == SG_CEL_NODE_INDEX)
                describe_attributes(explanation, node->children[1]);
        }
        return;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        describe_attributes(explanation, node->children[i]);
}

static void describe_missing(const struct explanation *explanation)
{
    struct sg_buf *out = explanation->out;
    if (explanation->unknowns + explanation->errors == 0) {
        sg_buf_append(out, SG_STR("missing data: none\n"));
        return;
    }
    sg_buf_append(
        out,
        SG_STR("missing data: what is missing equals null and nothing else; x < ... and x <= ... are true, x > ... and x >= ... false;\n"
               "  in && || ?: it is false; in x + y it is left out; other functions of it give false, size(x) gives 0\n"));
    if (explanation->unknowns > 0)
        sg_buf_append(out, SG_STR("  !x and !has(x) of a missing x are false; alone it is false\n"));
    if (explanation->errors > 0)
        sg_buf_append(out, SG_STR("  where an error is shown above, the attribute alone, or in a +, makes the whole expression fail\n"));
}

static void describe_result(const struct explanation *explanation, const struct sg_cel_value *value)
{
    struct sg_buf *out = explanation->out;
    if (value->kind == SG_CEL_UNKNOWN)
        sg_buf_append(out, SG_STR("result: the attribute is missing, which is false\n"));
    else if (value->kind >= SG_CEL_UNKNOWN)
        sg_buf_append(out, SG_STR("result: an error; a trigger, wait or cancellation does not match, a key is what its use site says\n"));
    else if (value->kind != SG_CEL_BOOL)
        sg_buf_printf(out, "result: a %s; a trigger, wait or cancellation needs a bool and does not match\n",
                      sg_cel_kind_name(value->kind));
    if (value->kind == SG_CEL_DOUBLE)
        sg_buf_append(out, SG_STR("  numbers of an event are doubles; priority.run needs an int: int(...)\n"));
}

static void describe_key(const struct explanation *explanation, const struct sg_cel_program *stored)
{
    struct sg_cel_plans plans;
    sg_cel_access_plan(&stored->tree, SG_CEL_V_ASYNC, &plans);
    if (plans.count == 0) {
        sg_buf_append(explanation->out, SG_STR("  found by: nothing; it is evaluated for every event of the name\n"));
        return;
    }
    const struct sg_cel_plan *best = &plans.items[0];
    for (size_t i = 1; i < plans.count; i++) {
        if (plans.items[i].rank < best->rank)
            best = &plans.items[i];
    }
    sg_buf_append(explanation->out, SG_STR("  found by:"));
    for (size_t i = 0; i < best->count; i++) {
        sg_buf_append(explanation->out, i > 0 ? SG_STR(", ") : SG_STR(" "));
        sg_cel_unparse(best->atoms[i].chain, stored->tree.constants, explanation->out);
    }
    sg_buf_byte(explanation->out, '\n');
}

/* What waits for `async` when the run's event is known. */
static enum sg_status describe_pause(const struct explanation *explanation)
{
    struct sg_buf text = {0};
    struct sg_error error = {.status = SG_OK};
    struct sg_cel_program *stored = NULL;
    enum sg_cel_verdict verdict;
    enum sg_status status = sg_cel_interpolate(explanation->program, explanation->scope->event, &text, &verdict, &error);
    if (status == SG_OK)
        status = sg_cel_compile(sg_buf_str(&text), SG_CEL_CHECK_STORED, &stored, &error);
    if (status == SG_OK) {
        sg_buf_append(explanation->out, SG_STR("a pause stores: "));
        sg_buf_append(explanation->out, sg_buf_str(&text));
        sg_buf_append(explanation->out, verdict == SG_CEL_ALWAYS  ? SG_STR("  (any event of the name)\n")
                                        : verdict == SG_CEL_NEVER ? SG_STR("  (no event)\n")
                                                                  : SG_STR("\n"));
        if (verdict == SG_CEL_SOMETIMES)
            describe_key(explanation, stored);
    } else if (status != SG_NO_MEMORY) {
        sg_buf_printf(explanation->out, "a pause cannot be made of it: %s\n", error.message);
    }
    sg_cel_program_free(stored);
    sg_buf_free(&text);
    return status == SG_NO_MEMORY ? SG_NO_MEMORY : SG_OK;
}

enum sg_status sg_cel_explain(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena,
                              struct sg_buf *out)
{
    SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
    struct explanation explanation = {.program = program, .scope = scope, .arena = arena, .out = out};
    sg_buf_append(out, SG_STR("attributes:\n"));
    describe_attributes(&explanation, program->tree.root);
    describe_missing(&explanation);
    int64_t steps = SG_LIMIT_CEL_STEPS;
    struct sg_cel_value value = sg_cel_run(&program->tree, program->tree.root, NULL, scope, arena, &steps);
    describe_result(&explanation, &value);
    sg_buf_printf(out, "steps: %lld of %d\n", (long long)(SG_LIMIT_CEL_STEPS - steps), SG_LIMIT_CEL_STEPS);
    enum sg_status status = SG_OK;
    if (sg_cel_program_uses(program, SG_STR("async")) && scope->event != NULL)
        status = describe_pause(&explanation);
    bool is_failed = out->is_failed || explanation.seen.is_failed;
    sg_buf_free(&explanation.seen);
    return status != SG_OK || is_failed ? SG_NO_MEMORY : SG_OK;
}
