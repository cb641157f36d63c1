/*
 * Tree to text, with parentheses only where the tree needs them.
 *
 * Each rule of the grammar has a strength; a child whose own strength is less than its place demands is put in parentheses.
 * Literals that are containers and too deep for the parser to take back are written as JSON text inside json_parse().
 */
#include "cel/unparse.h"

#include <math.h>

#include "base/check.h"
#include "cel/value.h"

enum strength { CONDITIONAL = 1, OR, AND, RELATION, ADDITION, MULTIPLICATION, UNARY, MEMBER, PARENTHESES };

/* Containers that nest deeper than this are not written as literals: the text they stand in has depth of its own. */
#define LITERAL_DEPTH_MAX 32

static void print(const struct sg_cel_node *node, const struct sg_cel_value *constants, int demanded, struct sg_buf *out);

static int call_strength(uint8_t function)
{
    if (function <= SG_CEL_F_IN)
        return RELATION;
    if (function == SG_CEL_F_ADD || function == SG_CEL_F_SUBTRACT)
        return ADDITION;
    if (function == SG_CEL_F_MULTIPLY || function == SG_CEL_F_DIVIDE || function == SG_CEL_F_MODULO)
        return MULTIPLICATION;
    return function == SG_CEL_F_NOT || function == SG_CEL_F_NEGATE ? UNARY : MEMBER;
}

static bool is_negative(const struct sg_cel_value *value)
{
    return (value->kind == SG_CEL_INT && value->as.integer < 0) || (value->kind == SG_CEL_DOUBLE && signbit(value->as.number));
}

static int strength_of(const struct sg_cel_node *node, const struct sg_cel_value *constants)
{
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_CONDITIONAL:
        return CONDITIONAL;
    case SG_CEL_NODE_OR:
        return OR;
    case SG_CEL_NODE_AND:
        return AND;
    case SG_CEL_NODE_CALL:
        return call_strength(node->op);
    case SG_CEL_NODE_LITERAL:
        return is_negative(&constants[node->slot]) ? UNARY : MEMBER;
    default:
        return MEMBER;
    }
}

/* ---- literals ---- */

struct level {
    const struct sg_cel_value *value;
    uint32_t next;
};

/* Whether a container nests at most LITERAL_DEPTH_MAX deep. */
static bool is_shallow(const struct sg_cel_value *value)
{
    struct level stack[LITERAL_DEPTH_MAX];
    size_t depth = 0;
    stack[depth++] = (struct level){.value = value};
    while (depth > 0) {
        struct level *top = &stack[depth - 1];
        if (top->next == top->value->count) {
            depth--;
            continue;
        }
        uint32_t i = top->next++;
        const struct sg_cel_value *item = top->value->kind == SG_CEL_LIST ? &top->value->as.items[i] : &top->value->as.entries[i].value;
        if (item->kind != SG_CEL_LIST && item->kind != SG_CEL_MAP)
            continue;
        if (depth == LITERAL_DEPTH_MAX)
            return false;
        stack[depth++] = (struct level){.value = item};
    }
    return true;
}

/* A container as the value of json_parse("{\"v\":...}").v: the text holds JSON, so only values that came from JSON are right. */
static void print_deep(const struct sg_cel_value *value, struct sg_buf *out)
{
    struct sg_buf json = {0};
    sg_buf_append(&json, SG_STR("{\"v\":"));
    sg_cel_value_print_json(value, &json);
    sg_buf_byte(&json, '}');
    const struct sg_cel_value text = {.kind = SG_CEL_STRING, .count = (uint32_t)json.len, .as.bytes = json.ptr};
    sg_buf_append(out, SG_STR("json_parse("));
    if (json.is_failed)
        out->is_failed = true;
    else
        sg_cel_value_print(&text, out);
    sg_buf_append(out, SG_STR(").v"));
    sg_buf_free(&json);
}

static void print_literal(const struct sg_cel_value *value, struct sg_buf *out)
{
    bool is_container = value->kind == SG_CEL_LIST || value->kind == SG_CEL_MAP;
    if (is_container && !is_shallow(value))
        print_deep(value, out);
    else
        sg_cel_value_print(value, out);
}

/* ---- nodes ---- */

static void print_list(const struct sg_cel_node *node, uint32_t first, const struct sg_cel_value *constants, struct sg_buf *out)
{
    for (uint32_t i = first; i < node->child_count; i++) {
        if (i > first)
            sg_buf_append(out, SG_STR(", "));
        print(node->children[i], constants, CONDITIONAL, out);
    }
}

static void print_map(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    sg_buf_byte(out, '{');
    for (uint32_t i = 0; i < node->child_count; i += 2) {
        if (i > 0)
            sg_buf_append(out, SG_STR(", "));
        print(node->children[i], constants, CONDITIONAL, out);
        sg_buf_append(out, SG_STR(": "));
        print(node->children[i + 1], constants, CONDITIONAL, out);
    }
    sg_buf_byte(out, '}');
}

static void print_chain(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    bool is_or = node->kind == SG_CEL_NODE_OR;
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (i > 0)
            sg_buf_append(out, is_or ? SG_STR(" || ") : SG_STR(" && "));
        print(node->children[i], constants, is_or ? AND : RELATION, out);
    }
}

static void print_call(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    int strength = call_strength(node->op);
    if (strength == UNARY) {
        /* A minus right before a number would become part of it. */
        bool is_number = node->op == SG_CEL_F_NEGATE && node->children[0]->kind == SG_CEL_NODE_LITERAL;
        sg_buf_byte(out, node->op == SG_CEL_F_NOT ? '!' : '-');
        print(node->children[0], constants, is_number ? PARENTHESES : MEMBER, out);
    } else if (strength < UNARY) {
        struct sg_str name = node->op == SG_CEL_F_IN ? SG_STR("_in_") : sg_cel_function_name((enum sg_cel_function)node->op);
        print(node->children[0], constants, strength, out);
        sg_buf_byte(out, ' ');
        sg_buf_append(out, (struct sg_str){name.ptr + 1, name.len - 2});
        sg_buf_byte(out, ' ');
        print(node->children[1], constants, strength + 1, out);
    } else {
        bool is_receiver = (node->flags & SG_CEL_NODE_IS_RECEIVER) != 0;
        if (is_receiver) {
            print(node->children[0], constants, MEMBER, out);
            sg_buf_byte(out, '.');
        }
        sg_buf_append(out, node->name);
        sg_buf_byte(out, '(');
        print_list(node, is_receiver ? 1 : 0, constants, out);
        sg_buf_byte(out, ')');
    }
}

static void print_macro(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    static const char *const names[] = {"all", "exists", "exists_one", "map", "map", "filter"};
    print(node->children[0], constants, MEMBER, out);
    sg_buf_printf(out, ".%s(%.*s, ", names[node->op], SG_FMT(node->name));
    print_list(node, 1, constants, out);
    sg_buf_byte(out, ')');
}

static void print_select(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    bool is_test = (node->flags & SG_CEL_NODE_IS_TEST) != 0;
    if (is_test)
        sg_buf_append(out, SG_STR("has("));
    print(node->children[0], constants, MEMBER, out);
    sg_buf_byte(out, '.');
    sg_buf_append(out, node->name);
    if (is_test)
        sg_buf_byte(out, ')');
}

static void print_plain(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_LITERAL:
        print_literal(&constants[node->slot], out);
        break;
    case SG_CEL_NODE_IDENT:
        if ((node->flags & SG_CEL_NODE_IS_ROOTED) != 0)
            sg_buf_byte(out, '.');
        sg_buf_append(out, node->name);
        break;
    case SG_CEL_NODE_SELECT:
        print_select(node, constants, out);
        break;
    case SG_CEL_NODE_INDEX:
        print(node->children[0], constants, MEMBER, out);
        sg_buf_byte(out, '[');
        print(node->children[1], constants, CONDITIONAL, out);
        sg_buf_byte(out, ']');
        break;
    case SG_CEL_NODE_CALL:
        print_call(node, constants, out);
        break;
    case SG_CEL_NODE_AND:
    case SG_CEL_NODE_OR:
        print_chain(node, constants, out);
        break;
    case SG_CEL_NODE_CONDITIONAL:
        print(node->children[0], constants, OR, out);
        sg_buf_append(out, SG_STR(" ? "));
        print(node->children[1], constants, OR, out);
        sg_buf_append(out, SG_STR(" : "));
        print(node->children[2], constants, CONDITIONAL, out);
        break;
    case SG_CEL_NODE_LIST:
        sg_buf_byte(out, '[');
        print_list(node, 0, constants, out);
        sg_buf_byte(out, ']');
        break;
    case SG_CEL_NODE_MAP:
        print_map(node, constants, out);
        break;
    case SG_CEL_NODE_COMPREHENSION:
        print_macro(node, constants, out);
        break;
    }
}

static void print(const struct sg_cel_node *node, const struct sg_cel_value *constants, int demanded, struct sg_buf *out)
{
    bool needs_parentheses = strength_of(node, constants) < demanded;
    if (needs_parentheses)
        sg_buf_byte(out, '(');
    print_plain(node, constants, out);
    if (needs_parentheses)
        sg_buf_byte(out, ')');
}

void sg_cel_unparse(const struct sg_cel_node *node, const struct sg_cel_value *constants, struct sg_buf *out)
{
    print(node, constants, CONDITIONAL, out);
}
