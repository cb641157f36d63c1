/*
 * Text to tree: recursive descent over the token list, one function a rule of the grammar.
 *
 * The model. `parse_expr` is the only rule that nests, and it counts: SG_LIMIT_CEL_DEPTH levels are as deep as the server goes
 * and as deep as our stack is meant to go. Chains that the grammar writes as loops (a + b + c, a.b.c) make a tree that leans
 * to the left, so the depth of every finished node is checked as well. Macros are recognised here by name, number of
 * arguments and style, as the language wants it: `x.map(i, i)` is one, `map(x, i, i)` a call of an unknown function.
 *
 * The first syntax error ends the parse: it is a problem and NULL travels up. Errors that leave the structure intact (a
 * reserved word, a literal out of range) are noted and the parse goes on.
 *
 * What it never does: know which names and functions exist for the checker's purposes (check.c), or what they evaluate to.
 */
#include "cel/parse.h"

#include <string.h>

#include "base/check.h"
#include "cel/lex.h"

#define OPERAND_SET "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"

struct parser {
    struct sg_str text;
    struct sg_cel_tokens tokens;
    size_t next;
    size_t depth;
    size_t depth_max;
    struct sg_cel_builder *builder;
    struct sg_arena *scratch;
    struct sg_cel_problems *problems;
};

/* Nodes on their way to become children: arguments, list items, operands of a chain. */
struct nodes {
    struct sg_cel_node **items;
    uint32_t count;
    uint32_t capacity;
};

static struct sg_cel_node *parse_expr(struct parser *parser);

/* ---- tokens ---- */

static const struct sg_cel_token *peek(const struct parser *parser)
{
    return &parser->tokens.items[parser->next];
}

static const struct sg_cel_token *peek_behind(const struct parser *parser)
{
    bool is_last = parser->next + 1 >= parser->tokens.count;
    return &parser->tokens.items[is_last ? parser->tokens.count - 1 : parser->next + 1];
}

static const struct sg_cel_token *advance(struct parser *parser)
{
    const struct sg_cel_token *token = peek(parser);
    if (token->kind != SG_CEL_T_END)
        parser->next++;
    return token;
}

static bool accept(struct parser *parser, enum sg_cel_token_kind kind)
{
    if (peek(parser)->kind != kind)
        return false;
    advance(parser);
    return true;
}

static struct sg_str token_text(const struct parser *parser, const struct sg_cel_token *token)
{
    return (struct sg_str){parser->text.ptr + token->position, token->len};
}

/* Notes that the present token is not what could stand here; always NULL, to be returned. */
static struct sg_cel_node *unexpected(struct parser *parser, const char *expected, bool is_extraneous)
{
    const struct sg_cel_token *token = peek(parser);
    struct sg_str shown = token->kind == SG_CEL_T_END ? SG_STR("<EOF>") : token_text(parser, token);
    size_t len = shown.len < 100 ? shown.len : 100;
    sg_cel_problem_add(parser->problems, token->position, "Syntax error: %s input '%.*s' expecting %s",
                       is_extraneous ? "extraneous" : "mismatched", (int)len, shown.ptr, expected);
    return NULL;
}

static bool expect(struct parser *parser, enum sg_cel_token_kind kind, const char *expected)
{
    if (accept(parser, kind))
        return true;
    bool is_stray = peek(parser)->kind != SG_CEL_T_END && peek_behind(parser)->kind == kind;
    unexpected(parser, expected, is_stray);
    return false;
}

/* ---- nodes ---- */

static bool nodes_add(struct parser *parser, struct nodes *nodes, struct sg_cel_node *node)
{
    if (node == NULL)
        return false;
    if (nodes->count == nodes->capacity) {
        uint32_t capacity = nodes->capacity > 0 ? nodes->capacity * 2 : 4;
        struct sg_cel_node **items = sg_arena_alloc(parser->scratch, capacity * sizeof(struct sg_cel_node *));
        if (items == NULL) {
            parser->builder->is_out_of_memory = true;
            return false;
        }
        if (nodes->count > 0)
            memcpy(items, nodes->items, nodes->count * sizeof(struct sg_cel_node *));
        nodes->items = items;
        nodes->capacity = capacity;
    }
    nodes->items[nodes->count++] = node;
    return true;
}

/* Ends a node whose children are set. NULL if it is too deep. */
static struct sg_cel_node *finish(struct parser *parser, struct sg_cel_node *node)
{
    sg_cel_build_finish(node);
    if (node->depth <= parser->depth_max)
        return node;
    sg_cel_problem_add(parser->problems, node->position, "max recursion depth exceeded");
    return NULL;
}

static struct sg_cel_node *make(struct parser *parser, enum sg_cel_node_kind kind, uint32_t position, const struct nodes *children)
{
    struct sg_cel_node *node = sg_cel_build_node(parser->builder, kind, position, children->count);
    if (node == NULL)
        return NULL;
    if (children->count > 0)
        memcpy(node->children, children->items, children->count * sizeof(struct sg_cel_node *));
    return finish(parser, node);
}

static struct sg_cel_node *make_call(struct parser *parser, enum sg_cel_function function, uint32_t position, struct sg_cel_node *first,
                                     struct sg_cel_node *second)
{
    struct sg_cel_node *node = sg_cel_build_call(parser->builder, function, position, first, second);
    return node != NULL ? finish(parser, node) : NULL;
}

/* ---- primaries ---- */

static struct sg_cel_node *parse_literal(struct parser *parser, bool is_negative)
{
    uint32_t position = peek(parser)->position;
    if (is_negative)
        advance(parser);
    const struct sg_cel_token *token = advance(parser);
    struct sg_cel_value value = {.kind = SG_CEL_NULL};
    if (token->kind == SG_CEL_T_TRUE || token->kind == SG_CEL_T_FALSE) {
        value.kind = SG_CEL_BOOL;
        value.as.boolean = token->kind == SG_CEL_T_TRUE;
    } else if (token->kind != SG_CEL_T_NULL) {
        const char *message = sg_cel_literal_decode(token_text(parser, token), token->kind, is_negative, parser->builder->arena, &value);
        if (message != NULL)
            sg_cel_problem_add(parser->problems, position, "%s", message);
    }
    return sg_cel_build_literal(parser->builder, position, value);
}

/* Expressions up to `close`, which is consumed. `may_trail` allows a comma at the end. */
static bool parse_items(struct parser *parser, enum sg_cel_token_kind close, const char *close_text, bool may_trail, struct nodes *items)
{
    if (accept(parser, close))
        return true;
    if (may_trail && peek(parser)->kind == SG_CEL_T_COMMA && peek_behind(parser)->kind == close) {
        advance(parser);
        return accept(parser, close);
    }
    for (;;) {
        if (!nodes_add(parser, items, parse_expr(parser)))
            return false;
        if (!accept(parser, SG_CEL_T_COMMA))
            return expect(parser, close, close_text);
        if (may_trail && accept(parser, close))
            return true;
    }
}

static struct sg_cel_node *parse_list(struct parser *parser)
{
    uint32_t position = advance(parser)->position;
    struct nodes items = {0};
    if (!parse_items(parser, SG_CEL_T_CLOSE_BRACKET, "']'", true, &items))
        return NULL;
    return make(parser, SG_CEL_NODE_LIST, position, &items);
}

static struct sg_cel_node *parse_map(struct parser *parser)
{
    uint32_t position = advance(parser)->position;
    struct nodes items = {0};
    accept(parser, SG_CEL_T_COMMA);
    while (!accept(parser, SG_CEL_T_CLOSE_BRACE)) {
        if (items.count > 0) {
            if (!expect(parser, SG_CEL_T_COMMA, "{'}', ','}"))
                return NULL;
            if (accept(parser, SG_CEL_T_CLOSE_BRACE))
                break;
        }
        if (!nodes_add(parser, &items, parse_expr(parser)) || !expect(parser, SG_CEL_T_COLON, "':'") ||
            !nodes_add(parser, &items, parse_expr(parser)))
            return NULL;
    }
    return make(parser, SG_CEL_NODE_MAP, position, &items);
}

static void check_reserved(struct parser *parser, const struct sg_cel_token *token)
{
    static const char *const words[] = {"as",  "break", "const",   "continue",  "else",   "for", "function", "if",   "import",
                                        "let", "loop",  "package", "namespace", "return", "var", "void",     "while"};
    struct sg_str text = token_text(parser, token);
    for (size_t i = 0; i < SG_ARRAY_LEN(words); i++) {
        if (sg_str_eq(text, sg_str_from(words[i])))
            sg_cel_problem_add(parser->problems, token->position, "reserved identifier: %s", words[i]);
    }
}

/* has(e.f): a select that only asks. */
static struct sg_cel_node *expand_has(struct parser *parser, const struct nodes *arguments)
{
    struct sg_cel_node *select = arguments->items[0];
    if (select->kind != SG_CEL_NODE_SELECT || (select->flags & SG_CEL_NODE_IS_TEST) != 0) {
        sg_cel_problem_add(parser->problems, select->position, "invalid argument to has() macro");
        return NULL;
    }
    select->flags |= SG_CEL_NODE_IS_TEST;
    return select;
}

static struct sg_cel_node *parse_call(struct parser *parser, const struct sg_cel_token *name, struct sg_cel_node *receiver);

/* An identifier or a call of a global function, maybe behind a dot that means the root scope. */
static struct sg_cel_node *parse_name(struct parser *parser)
{
    bool is_rooted = accept(parser, SG_CEL_T_DOT);
    const struct sg_cel_token *token = peek(parser);
    if (token->kind != SG_CEL_T_IDENT)
        return unexpected(parser, is_rooted ? "IDENTIFIER" : OPERAND_SET, false);
    advance(parser);
    check_reserved(parser, token);
    if (peek(parser)->kind == SG_CEL_T_OPEN_PAREN)
        return parse_call(parser, token, NULL);

    struct sg_cel_node *node = sg_cel_build_node(parser->builder, SG_CEL_NODE_IDENT, token->position, 0);
    if (node == NULL)
        return NULL;
    node->name = token_text(parser, token);
    node->flags = is_rooted ? SG_CEL_NODE_IS_ROOTED : 0;
    return node;
}

static struct sg_cel_node *parse_primary(struct parser *parser)
{
    switch (peek(parser)->kind) {
    case SG_CEL_T_OPEN_PAREN: {
        advance(parser);
        struct sg_cel_node *node = parse_expr(parser);
        return node != NULL && expect(parser, SG_CEL_T_CLOSE_PAREN, "')'") ? node : NULL;
    }
    case SG_CEL_T_OPEN_BRACKET:
        return parse_list(parser);
    case SG_CEL_T_OPEN_BRACE:
        return parse_map(parser);
    case SG_CEL_T_MINUS: {
        enum sg_cel_token_kind behind = peek_behind(parser)->kind;
        if (behind != SG_CEL_T_INT && behind != SG_CEL_T_FLOAT)
            return unexpected(parser, OPERAND_SET, false);
        return parse_literal(parser, true);
    }
    case SG_CEL_T_INT:
    case SG_CEL_T_UINT:
    case SG_CEL_T_FLOAT:
    case SG_CEL_T_STRING:
    case SG_CEL_T_BYTES:
    case SG_CEL_T_TRUE:
    case SG_CEL_T_FALSE:
    case SG_CEL_T_NULL:
        return parse_literal(parser, false);
    default:
        return parse_name(parser);
    }
}

/* ---- calls and macros ---- */

static bool macro_find(struct sg_str name, uint32_t argument_count, enum sg_cel_macro *macro)
{
    static const struct {
        const char *name;
        uint32_t argument_count;
        enum sg_cel_macro macro;
    } macros[] = {{"all", 2, SG_CEL_M_ALL},
                  {"exists", 2, SG_CEL_M_EXISTS},
                  {"exists_one", 2, SG_CEL_M_EXISTS_ONE},
                  {"existsOne", 2, SG_CEL_M_EXISTS_ONE},
                  {"map", 2, SG_CEL_M_MAP},
                  {"map", 3, SG_CEL_M_MAP_FILTER},
                  {"filter", 2, SG_CEL_M_FILTER}};
    for (size_t i = 0; i < SG_ARRAY_LEN(macros); i++) {
        if (macros[i].argument_count == argument_count && sg_str_eq(name, sg_str_from(macros[i].name))) {
            *macro = macros[i].macro;
            return true;
        }
    }
    return false;
}

static struct sg_cel_node *expand_macro(struct parser *parser, enum sg_cel_macro macro, uint32_t position, struct sg_cel_node *range,
                                        const struct nodes *arguments)
{
    struct sg_cel_node *variable = arguments->items[0];
    if (variable->kind != SG_CEL_NODE_IDENT || (variable->flags & SG_CEL_NODE_IS_ROOTED) != 0) {
        bool is_plain = macro == SG_CEL_M_MAP || macro == SG_CEL_M_MAP_FILTER || macro == SG_CEL_M_FILTER;
        sg_cel_problem_add(parser->problems, variable->position, "%s",
                           is_plain ? "argument is not an identifier" : "argument must be a simple name");
        return NULL;
    }
    struct sg_cel_node *node = sg_cel_build_node(parser->builder, SG_CEL_NODE_COMPREHENSION, position, arguments->count);
    if (node == NULL)
        return NULL;
    node->op = (uint8_t)macro;
    node->name = variable->name;
    node->children[0] = range;
    for (uint32_t i = 1; i < arguments->count; i++)
        node->children[i] = arguments->items[i];
    return finish(parser, node);
}

/* A call whose name has been read and whose parenthesis comes next. */
static struct sg_cel_node *parse_call(struct parser *parser, const struct sg_cel_token *name_token, struct sg_cel_node *receiver)
{
    struct sg_str name = token_text(parser, name_token);
    uint32_t position = advance(parser)->position;
    struct nodes arguments = {0};
    if (!parse_items(parser, SG_CEL_T_CLOSE_PAREN, "')'", false, &arguments))
        return NULL;

    enum sg_cel_macro macro;
    if (receiver != NULL && macro_find(name, arguments.count, &macro))
        return expand_macro(parser, macro, position, receiver, &arguments);
    if (receiver == NULL && arguments.count == 1 && sg_str_eq(name, SG_STR("has")))
        return expand_has(parser, &arguments);

    uint32_t first = receiver != NULL ? 1 : 0;
    struct sg_cel_node *node = sg_cel_build_node(parser->builder, SG_CEL_NODE_CALL, position, arguments.count + first);
    if (node == NULL)
        return NULL;
    node->name = name;
    node->op = (uint8_t)sg_cel_function_find(name, arguments.count + first);
    node->flags = receiver != NULL ? SG_CEL_NODE_IS_RECEIVER : 0;
    if (receiver != NULL)
        node->children[0] = receiver;
    for (uint32_t i = 0; i < arguments.count; i++)
        node->children[first + i] = arguments.items[i];
    return finish(parser, node);
}

/* ---- members ---- */

static struct sg_cel_node *parse_select(struct parser *parser, struct sg_cel_node *operand)
{
    const struct sg_cel_token *dot = advance(parser);
    const struct sg_cel_token *name = peek(parser);
    if (name->kind == SG_CEL_T_QUESTION) {
        sg_cel_problem_add(parser->problems, dot->position, "unsupported syntax '.?'");
        return NULL;
    }
    if (name->kind == SG_CEL_T_QUOTED_IDENT) {
        sg_cel_problem_add(parser->problems, name->position, "unsupported syntax: '`'");
        return NULL;
    }
    if (name->kind != SG_CEL_T_IDENT)
        return unexpected(parser, "IDENTIFIER", false);
    advance(parser);
    if (peek(parser)->kind == SG_CEL_T_OPEN_PAREN)
        return parse_call(parser, name, operand);

    struct sg_cel_node *node = sg_cel_build_node(parser->builder, SG_CEL_NODE_SELECT, dot->position, 1);
    if (node == NULL)
        return NULL;
    node->name = token_text(parser, name);
    node->children[0] = operand;
    return finish(parser, node);
}

static struct sg_cel_node *parse_index(struct parser *parser, struct sg_cel_node *operand)
{
    uint32_t position = advance(parser)->position;
    if (peek(parser)->kind == SG_CEL_T_QUESTION) {
        sg_cel_problem_add(parser->problems, position, "unsupported syntax '[?'");
        return NULL;
    }
    struct sg_cel_node *key = parse_expr(parser);
    if (key == NULL || !expect(parser, SG_CEL_T_CLOSE_BRACKET, "']'"))
        return NULL;
    struct sg_cel_node *node = sg_cel_build_node(parser->builder, SG_CEL_NODE_INDEX, position, 2);
    if (node == NULL)
        return NULL;
    node->children[0] = operand;
    node->children[1] = key;
    return finish(parser, node);
}

static bool is_name(const struct sg_cel_node *node)
{
    while (node->kind == SG_CEL_NODE_SELECT && (node->flags & SG_CEL_NODE_IS_TEST) == 0)
        node = node->children[0];
    return node->kind == SG_CEL_NODE_IDENT;
}

static struct sg_cel_node *parse_member(struct parser *parser)
{
    struct sg_cel_node *node = parse_primary(parser);
    while (node != NULL) {
        const struct sg_cel_token *token = peek(parser);
        if (token->kind == SG_CEL_T_DOT) {
            node = parse_select(parser, node);
        } else if (token->kind == SG_CEL_T_OPEN_BRACKET) {
            node = parse_index(parser, node);
        } else if (token->kind == SG_CEL_T_OPEN_BRACE && is_name(node)) {
            sg_cel_problem_add(parser->problems, token->position, "unsupported syntax: message literals");
            return NULL;
        } else {
            break;
        }
    }
    return node;
}

/* ---- operators ---- */

/* "!" and "-" in any number, which cancel in pairs, but do not mix. A single minus before a number belongs to the number. */
static struct sg_cel_node *parse_unary(struct parser *parser)
{
    const struct sg_cel_token *first = peek(parser);
    if (first->kind != SG_CEL_T_NOT && first->kind != SG_CEL_T_MINUS)
        return parse_member(parser);
    enum sg_cel_token_kind behind = peek_behind(parser)->kind;
    if (first->kind == SG_CEL_T_MINUS && (behind == SG_CEL_T_INT || behind == SG_CEL_T_FLOAT))
        return parse_member(parser);

    size_t count = 0;
    while (accept(parser, first->kind))
        count++;
    struct sg_cel_node *operand = parse_member(parser);
    if (operand == NULL || count % 2 == 0)
        return operand;
    return make_call(parser, first->kind == SG_CEL_T_NOT ? SG_CEL_F_NOT : SG_CEL_F_NEGATE, first->position, operand, NULL);
}

/* How strongly a binary operator binds (0: it is none) and which function it is. */
static int binary_operator(enum sg_cel_token_kind kind, enum sg_cel_function *function)
{
    static const struct {
        enum sg_cel_token_kind kind;
        enum sg_cel_function function;
        int strength;
    } operators[] = {
        {SG_CEL_T_EQUAL, SG_CEL_F_EQUAL, 1},     {SG_CEL_T_NOT_EQUAL, SG_CEL_F_NOT_EQUAL, 1},
        {SG_CEL_T_LESS, SG_CEL_F_LESS, 1},       {SG_CEL_T_LESS_EQUAL, SG_CEL_F_LESS_EQUAL, 1},
        {SG_CEL_T_GREATER, SG_CEL_F_GREATER, 1}, {SG_CEL_T_GREATER_EQUAL, SG_CEL_F_GREATER_EQUAL, 1},
        {SG_CEL_T_IN, SG_CEL_F_IN, 1},           {SG_CEL_T_PLUS, SG_CEL_F_ADD, 2},
        {SG_CEL_T_MINUS, SG_CEL_F_SUBTRACT, 2},  {SG_CEL_T_STAR, SG_CEL_F_MULTIPLY, 3},
        {SG_CEL_T_SLASH, SG_CEL_F_DIVIDE, 3},    {SG_CEL_T_PERCENT, SG_CEL_F_MODULO, 3},
    };
    for (size_t i = 0; i < SG_ARRAY_LEN(operators); i++) {
        if (operators[i].kind == kind) {
            *function = operators[i].function;
            return operators[i].strength;
        }
    }
    return 0;
}

/* Operators that bind at least as strongly as `strength`, all of them to the left: Rel (1), Add (2), Mul (3). */
static struct sg_cel_node *parse_binary(struct parser *parser, int strength)
{
    struct sg_cel_node *left = parse_unary(parser);
    while (left != NULL) {
        enum sg_cel_function function;
        const struct sg_cel_token *token = peek(parser);
        int found = binary_operator(token->kind, &function);
        if (found == 0 || found < strength)
            break;
        advance(parser);
        struct sg_cel_node *right = found == 3 ? parse_unary(parser) : parse_binary(parser, found + 1);
        if (right == NULL)
            return NULL;
        left = make_call(parser, function, token->position, left, right);
    }
    return left;
}

/* Chains of && (of comparisons) and of || (of such chains): one node each, however long. */
static struct sg_cel_node *parse_chain(struct parser *parser, enum sg_cel_token_kind sign)
{
    bool is_or = sign == SG_CEL_T_OR;
    struct nodes operands = {0};
    uint32_t position = 0;
    do {
        struct sg_cel_node *operand = is_or ? parse_chain(parser, SG_CEL_T_AND) : parse_binary(parser, 1);
        if (!nodes_add(parser, &operands, operand))
            return NULL;
        if (operands.count == 1)
            position = peek(parser)->position;
    } while (accept(parser, sign));
    if (operands.count == 1)
        return operands.items[0];
    return make(parser, is_or ? SG_CEL_NODE_OR : SG_CEL_NODE_AND, position, &operands);
}

static struct sg_cel_node *parse_conditional(struct parser *parser)
{
    struct sg_cel_node *condition = parse_chain(parser, SG_CEL_T_OR);
    if (condition == NULL || peek(parser)->kind != SG_CEL_T_QUESTION)
        return condition;
    uint32_t position = advance(parser)->position;
    struct sg_cel_node *yes = parse_chain(parser, SG_CEL_T_OR);
    if (yes == NULL || !expect(parser, SG_CEL_T_COLON, "':'"))
        return NULL;
    struct sg_cel_node *no = parse_expr(parser);
    if (no == NULL)
        return NULL;
    struct sg_cel_node *node = sg_cel_build_node(parser->builder, SG_CEL_NODE_CONDITIONAL, position, 3);
    if (node == NULL)
        return NULL;
    node->children[0] = condition;
    node->children[1] = yes;
    node->children[2] = no;
    return finish(parser, node);
}

static struct sg_cel_node *parse_expr(struct parser *parser)
{
    if (parser->depth == parser->depth_max) {
        sg_cel_problem_add(parser->problems, peek(parser)->position, "expression recursion limit exceeded: %zu", parser->depth_max);
        return NULL;
    }
    parser->depth++;
    struct sg_cel_node *node = parse_conditional(parser);
    parser->depth--;
    return node;
}

static bool is_small_enough(struct sg_str text, const struct sg_cel_parse_options *options, struct sg_cel_problems *problems)
{
    size_t code_points = 0;
    for (size_t i = 0; i < text.len; i++)
        code_points += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    if (options->code_points_max == 0 || code_points <= options->code_points_max)
        return true;
    sg_cel_problem_add(problems, 0, "expression code point size exceeds limit: size: %zu, limit %zu", code_points,
                       options->code_points_max);
    return false;
}

struct sg_cel_node *sg_cel_parse(struct sg_str text, const struct sg_cel_parse_options *options, struct sg_cel_builder *builder,
                                 struct sg_cel_problems *problems)
{
    if (!is_small_enough(text, options, problems))
        return NULL;

    struct parser parser = {
        .text = text, .builder = builder, .scratch = options->scratch, .depth_max = options->depth_max, .problems = problems};
    if (sg_cel_lex(text, options->is_lenient, options->scratch, &parser.tokens, problems) != SG_OK) {
        problems->is_out_of_memory = true;
        return NULL;
    }
    struct sg_cel_node *root = parse_expr(&parser);
    if (root != NULL && peek(&parser)->kind != SG_CEL_T_END)
        unexpected(&parser, "<EOF>", peek_behind(&parser)->kind == SG_CEL_T_END);
    if (builder->is_out_of_memory)
        problems->is_out_of_memory = true;
    return problems->count == 0 && !problems->is_out_of_memory ? root : NULL;
}
