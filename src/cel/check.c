/*
 * The static checker: names that do not exist and types that cannot fit, found at registration (reference/05 §5).
 *
 * The model. Everything that comes out of an event is `dyn`, which fits everywhere, so the checker only catches what is wrong
 * whatever the event holds: unknown names, literals of the wrong type, `x ? "a" : 1`. Types are small trees in a scratch arena;
 * a function accepts the types of one of the rows in `overloads`. An expression that has been complained about counts as
 * dyn, so that one mistake is one message.
 *
 * What it never does: look at values. A bad pattern, date or duration in a literal passes, as it does on the server.
 */
#include "cel/check.h"

#include <string.h>

#include "base/check.h"
#include "cel/value.h"

#define DYN SG_CEL_ABSENT

struct type {
    uint8_t kind; /* enum sg_cel_kind, or DYN */
    const struct type *key;
    const struct type *item; /* of a list; the value of a map */
};

struct checker {
    const struct sg_cel_value *constants;
    struct sg_arena *scratch;
    struct sg_cel_problems *problems;
    const struct type *locals[SG_LIMIT_CEL_DEPTH + 1];
    bool is_failed;
};

/* Types without parts, by kind: index 0 is dyn. */
static const struct type plain[] = {{.kind = DYN},         {.kind = SG_CEL_NULL},   {.kind = SG_CEL_BOOL},      {.kind = SG_CEL_INT},
                                    {.kind = SG_CEL_UINT}, {.kind = SG_CEL_DOUBLE}, {.kind = SG_CEL_STRING},    {.kind = SG_CEL_BYTES},
                                    {.kind = SG_CEL_LIST}, {.kind = SG_CEL_MAP},    {.kind = SG_CEL_TIMESTAMP}, {.kind = SG_CEL_DURATION},
                                    {.kind = SG_CEL_TYPE}};

static const struct type any_list = {.kind = SG_CEL_LIST, .item = &plain[DYN]};
static const struct type event_type = {.kind = SG_CEL_MAP, .key = &plain[SG_CEL_STRING], .item = &plain[DYN]};

static const struct type *type_of(struct checker *checker, const struct sg_cel_node *node);

/* ---- types ---- */

static const struct type *make_type(struct checker *checker, uint8_t kind, const struct type *key, const struct type *item)
{
    struct type *type = sg_arena_alloc(checker->scratch, sizeof(*type));
    if (type == NULL) {
        checker->is_failed = true;
        return &plain[DYN];
    }
    *type = (struct type){.kind = kind, .key = key, .item = item};
    return type;
}

/* Whether a value of one type may stand where the other is wanted: dyn fits everywhere. */
static bool fits(const struct type *a, const struct type *b)
{
    while (a->kind != DYN && b->kind != DYN) {
        if (a->kind != b->kind)
            return false;
        if (a->key != NULL && b->key != NULL && !fits(a->key, b->key))
            return false;
        if (a->item == NULL || b->item == NULL)
            return true;
        a = a->item;
        b = b->item;
    }
    return true;
}

static bool is_same(const struct type *a, const struct type *b)
{
    while (a != b) {
        if (a->kind != b->kind || (a->key == NULL) != (b->key == NULL) || (a->item == NULL) != (b->item == NULL))
            return false;
        if (a->key != NULL && !is_same(a->key, b->key))
            return false;
        if (a->item == NULL)
            return true;
        a = a->item;
        b = b->item;
    }
    return true;
}

static void print_type(const struct type *type, struct sg_buf *out)
{
    size_t open = 0;
    for (; type->item != NULL && open < 16; type = type->item) {
        sg_buf_append(out, type->kind == SG_CEL_LIST ? SG_STR("list(") : SG_STR("map("));
        if (type->key != NULL) {
            if (type->key->item != NULL)
                sg_buf_append(out, type->key->kind == SG_CEL_LIST ? SG_STR("list") : SG_STR("map"));
            else
                print_type(type->key, out);
            sg_buf_append(out, SG_STR(", "));
        }
        open++;
    }
    switch (type->kind) {
    case DYN:
        sg_buf_append(out, SG_STR("dyn"));
        break;
    case SG_CEL_NULL:
        sg_buf_append(out, SG_STR("null"));
        break;
    case SG_CEL_TIMESTAMP:
        sg_buf_append(out, SG_STR("timestamp"));
        break;
    case SG_CEL_DURATION:
        sg_buf_append(out, SG_STR("duration"));
        break;
    default:
        sg_buf_append(out, sg_str_from(sg_cel_kind_name(type->kind)));
        break;
    }
    for (; open > 0; open--)
        sg_buf_byte(out, ')');
}

/* ---- complaints ---- */

static const struct type *complain_text(struct checker *checker, uint32_t position, struct sg_buf *text)
{
    if (text->is_failed)
        checker->is_failed = true;
    else
        sg_cel_problem_add(checker->problems, position, "%.*s", (int)text->len, text->ptr);
    sg_buf_free(text);
    return &plain[DYN];
}

static const struct type *complain_overload(struct checker *checker, const struct sg_cel_node *node, struct sg_str function,
                                            const struct type *const *arguments, size_t count)
{
    struct sg_buf text = {0};
    bool is_receiver = (node->flags & SG_CEL_NODE_IS_RECEIVER) != 0;
    sg_buf_printf(&text, "found no matching overload for '%.*s' applied to '", SG_FMT(function));
    if (is_receiver) {
        print_type(arguments[0], &text);
        sg_buf_byte(&text, '.');
    }
    sg_buf_byte(&text, '(');
    for (size_t i = is_receiver; i < count; i++) {
        if (i > (size_t)is_receiver)
            sg_buf_append(&text, SG_STR(", "));
        print_type(arguments[i], &text);
    }
    sg_buf_append(&text, SG_STR(")'"));
    return complain_text(checker, node->position, &text);
}

static const struct type *complain_type(struct checker *checker, const struct sg_cel_node *node, const char *before,
                                        const struct type *type, const char *after)
{
    struct sg_buf text = {0};
    sg_buf_append(&text, sg_str_from(before));
    print_type(type, &text);
    sg_buf_append(&text, sg_str_from(after));
    return complain_text(checker, node->position, &text);
}

static const struct type *complain_undeclared(struct checker *checker, const struct sg_cel_node *node)
{
    sg_cel_problem_add(checker->problems, node->position, "undeclared reference to '%.*s' (in container '')", SG_FMT(node->name));
    return &plain[DYN];
}

static void demand_bool(struct checker *checker, const struct sg_cel_node *node)
{
    const struct type *type = type_of(checker, node);
    if (!fits(type, &plain[SG_CEL_BOOL]))
        complain_type(checker, node, "expected type 'bool' but found '", type, "'");
}

/* ---- functions ---- */

/*
 * What functions accept, one letter a type: i int, u uint, d double, b bool, s string, y bytes, t timestamp, r duration,
 * L list, M map, T type, A anything. Styles: g f(x), r x.f(), * both.
 */
static const struct overload {
    uint8_t function;
    char style;
    char parameters[4];
    char result;
} overloads[] = {
    {SG_CEL_F_SUBTRACT, 'g', "ii", 'i'},
    {SG_CEL_F_SUBTRACT, 'g', "uu", 'u'},
    {SG_CEL_F_SUBTRACT, 'g', "dd", 'd'},
    {SG_CEL_F_SUBTRACT, 'g', "tt", 'r'},
    {SG_CEL_F_SUBTRACT, 'g', "tr", 't'},
    {SG_CEL_F_SUBTRACT, 'g', "rr", 'r'},
    {SG_CEL_F_MULTIPLY, 'g', "ii", 'i'},
    {SG_CEL_F_MULTIPLY, 'g', "uu", 'u'},
    {SG_CEL_F_MULTIPLY, 'g', "dd", 'd'},
    {SG_CEL_F_DIVIDE, 'g', "ii", 'i'},
    {SG_CEL_F_DIVIDE, 'g', "uu", 'u'},
    {SG_CEL_F_DIVIDE, 'g', "dd", 'd'},
    {SG_CEL_F_MODULO, 'g', "ii", 'i'},
    {SG_CEL_F_MODULO, 'g', "uu", 'u'},
    {SG_CEL_F_NOT, 'g', "b", 'b'},
    {SG_CEL_F_NEGATE, 'g', "i", 'i'},
    {SG_CEL_F_NEGATE, 'g', "d", 'd'},
    {SG_CEL_F_SIZE, '*', "s", 'i'},
    {SG_CEL_F_SIZE, '*', "y", 'i'},
    {SG_CEL_F_SIZE, '*', "L", 'i'},
    {SG_CEL_F_SIZE, '*', "M", 'i'},
    {SG_CEL_F_CONTAINS, 'r', "ss", 'b'},
    {SG_CEL_F_STARTS_WITH, 'r', "ss", 'b'},
    {SG_CEL_F_ENDS_WITH, 'r', "ss", 'b'},
    {SG_CEL_F_MATCHES, '*', "ss", 'b'},
    {SG_CEL_F_TO_INT, 'g', "i", 'i'},
    {SG_CEL_F_TO_INT, 'g', "u", 'i'},
    {SG_CEL_F_TO_INT, 'g', "d", 'i'},
    {SG_CEL_F_TO_INT, 'g', "s", 'i'},
    {SG_CEL_F_TO_INT, 'g', "t", 'i'},
    {SG_CEL_F_TO_INT, 'g', "r", 'i'},
    {SG_CEL_F_TO_UINT, 'g', "u", 'u'},
    {SG_CEL_F_TO_UINT, 'g', "i", 'u'},
    {SG_CEL_F_TO_UINT, 'g', "d", 'u'},
    {SG_CEL_F_TO_UINT, 'g', "s", 'u'},
    {SG_CEL_F_TO_DOUBLE, 'g', "d", 'd'},
    {SG_CEL_F_TO_DOUBLE, 'g', "i", 'd'},
    {SG_CEL_F_TO_DOUBLE, 'g', "u", 'd'},
    {SG_CEL_F_TO_DOUBLE, 'g', "s", 'd'},
    {SG_CEL_F_TO_STRING, 'g', "s", 's'},
    {SG_CEL_F_TO_STRING, 'g', "b", 's'},
    {SG_CEL_F_TO_STRING, 'g', "i", 's'},
    {SG_CEL_F_TO_STRING, 'g', "u", 's'},
    {SG_CEL_F_TO_STRING, 'g', "d", 's'},
    {SG_CEL_F_TO_STRING, 'g', "y", 's'},
    {SG_CEL_F_TO_STRING, 'g', "t", 's'},
    {SG_CEL_F_TO_STRING, 'g', "r", 's'},
    {SG_CEL_F_TO_BOOL, 'g', "b", 'b'},
    {SG_CEL_F_TO_BOOL, 'g', "s", 'b'},
    {SG_CEL_F_TO_BYTES, 'g', "y", 'y'},
    {SG_CEL_F_TO_BYTES, 'g', "s", 'y'},
    {SG_CEL_F_TO_TIMESTAMP, 'g', "t", 't'},
    {SG_CEL_F_TO_TIMESTAMP, 'g', "i", 't'},
    {SG_CEL_F_TO_TIMESTAMP, 'g', "s", 't'},
    {SG_CEL_F_TO_DURATION, 'g', "r", 'r'},
    {SG_CEL_F_TO_DURATION, 'g', "s", 'r'},
    {SG_CEL_F_TO_DYN, 'g', "A", 'A'},
    {SG_CEL_F_TYPE, 'g', "A", 'T'},
    {SG_CEL_F_GET_FULL_YEAR, 'r', "t", 'i'},
    {SG_CEL_F_GET_FULL_YEAR, 'r', "ts", 'i'},
    {SG_CEL_F_GET_MONTH, 'r', "t", 'i'},
    {SG_CEL_F_GET_MONTH, 'r', "ts", 'i'},
    {SG_CEL_F_GET_DATE, 'r', "t", 'i'},
    {SG_CEL_F_GET_DATE, 'r', "ts", 'i'},
    {SG_CEL_F_GET_DAY_OF_MONTH, 'r', "t", 'i'},
    {SG_CEL_F_GET_DAY_OF_MONTH, 'r', "ts", 'i'},
    {SG_CEL_F_GET_DAY_OF_WEEK, 'r', "t", 'i'},
    {SG_CEL_F_GET_DAY_OF_WEEK, 'r', "ts", 'i'},
    {SG_CEL_F_GET_DAY_OF_YEAR, 'r', "t", 'i'},
    {SG_CEL_F_GET_DAY_OF_YEAR, 'r', "ts", 'i'},
    {SG_CEL_F_GET_HOURS, 'r', "t", 'i'},
    {SG_CEL_F_GET_HOURS, 'r', "ts", 'i'},
    {SG_CEL_F_GET_HOURS, 'r', "r", 'i'},
    {SG_CEL_F_GET_MINUTES, 'r', "t", 'i'},
    {SG_CEL_F_GET_MINUTES, 'r', "ts", 'i'},
    {SG_CEL_F_GET_MINUTES, 'r', "r", 'i'},
    {SG_CEL_F_GET_SECONDS, 'r', "t", 'i'},
    {SG_CEL_F_GET_SECONDS, 'r', "ts", 'i'},
    {SG_CEL_F_GET_SECONDS, 'r', "r", 'i'},
    {SG_CEL_F_GET_MILLISECONDS, 'r', "t", 'i'},
    {SG_CEL_F_GET_MILLISECONDS, 'r', "ts", 'i'},
    {SG_CEL_F_GET_MILLISECONDS, 'r', "r", 'i'},
    {SG_CEL_F_LOWERCASE, 'g', "s", 's'},
    {SG_CEL_F_UPPERCASE, 'g', "s", 's'},
    {SG_CEL_F_B64DECODE, 'g', "s", 's'},
    {SG_CEL_F_JSON_PARSE, 'g', "s", 'A'},
    {SG_CEL_F_DATE, 'g', "A", 't'},
    {SG_CEL_F_NOW, 'g', "", 't'},
    {SG_CEL_F_NOW_PLUS, 'g', "s", 't'},
    {SG_CEL_F_NOW_MINUS, 'g', "s", 't'},
};

static const struct type *letter_type(char letter)
{
    static const char letters[] = "ibudsytrLMT";
    static const uint8_t kinds[] = {SG_CEL_INT,       SG_CEL_BOOL,     SG_CEL_UINT, SG_CEL_DOUBLE, SG_CEL_STRING, SG_CEL_BYTES,
                                    SG_CEL_TIMESTAMP, SG_CEL_DURATION, SG_CEL_LIST, SG_CEL_MAP,    SG_CEL_TYPE};
    const char *found = strchr(letters, letter);
    return found != NULL ? &plain[kinds[found - letters]] : &plain[DYN];
}

static bool accepts(const struct overload *overload, const struct sg_cel_node *node, const struct type *const *arguments)
{
    bool is_receiver = (node->flags & SG_CEL_NODE_IS_RECEIVER) != 0;
    if (overload->function != node->op || (overload->style != '*' && (overload->style == 'r') != is_receiver))
        return false;
    if (strlen(overload->parameters) != node->child_count)
        return false;
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (!fits(arguments[i], letter_type(overload->parameters[i])))
            return false;
    }
    return true;
}

/* `x in c` and the like: does an element of this type fit into that container? */
static bool may_contain(const struct type *container, const struct type *item)
{
    if (container->kind == DYN)
        return true;
    if (container->kind == SG_CEL_LIST)
        return fits(item, container->item);
    return container->kind == SG_CEL_MAP && fits(item, container->key);
}

static const struct type *check_call(struct checker *checker, const struct sg_cel_node *node)
{
    const struct type *few[4];
    const struct type **arguments = few;
    if (node->child_count > SG_ARRAY_LEN(few))
        arguments = sg_arena_alloc(checker->scratch, node->child_count * sizeof(struct type *));
    if (arguments == NULL) {
        checker->is_failed = true;
        return &plain[DYN];
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        arguments[i] = type_of(checker, node->children[i]);

    if (node->op == SG_CEL_F_UNKNOWN) {
        if (!sg_cel_function_has_name(node->name))
            return complain_undeclared(checker, node);
        return complain_overload(checker, node, node->name, arguments, node->child_count);
    }
    if (node->op < SG_CEL_F_IN)
        return &plain[SG_CEL_BOOL];
    if (node->op == SG_CEL_F_ADD)
        return &plain[DYN];
    if (node->op == SG_CEL_F_IN && may_contain(arguments[1], arguments[0]))
        return &plain[SG_CEL_BOOL];

    const struct type *result = NULL;
    for (size_t i = 0; i < SG_ARRAY_LEN(overloads); i++) {
        if (!accepts(&overloads[i], node, arguments))
            continue;
        const struct type *found = letter_type(overloads[i].result);
        result = result == NULL || result == found ? found : &plain[DYN];
    }
    return result != NULL ? result : complain_overload(checker, node, node->name, arguments, node->child_count);
}

/* ---- other nodes ---- */

static const struct type *check_ident(struct checker *checker, const struct sg_cel_node *node)
{
    if (node->variable == SG_CEL_V_LOCAL)
        return checker->locals[node->local];
    bool is_declared = node->variable == SG_CEL_V_EVENT || node->variable == SG_CEL_V_ASYNC || sg_str_eq(node->name, SG_STR("vars"));
    return is_declared ? &event_type : complain_undeclared(checker, node);
}

static const struct type *check_select(struct checker *checker, const struct sg_cel_node *node)
{
    const struct type *operand = type_of(checker, node->children[0]);
    const struct type *field = &plain[DYN];
    if (operand->kind == SG_CEL_MAP && fits(operand->key, &plain[SG_CEL_STRING]))
        field = operand->item;
    else if (operand->kind != DYN)
        complain_type(checker, node, "type '", operand, "' does not support field selection");
    return (node->flags & SG_CEL_NODE_IS_TEST) != 0 ? &plain[SG_CEL_BOOL] : field;
}

static const struct type *check_index(struct checker *checker, const struct sg_cel_node *node)
{
    const struct type *types[2] = {type_of(checker, node->children[0]), type_of(checker, node->children[1])};
    if (types[0]->kind == DYN)
        return &plain[DYN];
    if (types[0]->kind == SG_CEL_LIST && fits(types[1], &plain[SG_CEL_INT]))
        return types[0]->item;
    if (types[0]->kind == SG_CEL_MAP && fits(types[1], types[0]->key))
        return types[0]->item;
    return complain_overload(checker, node, SG_STR("_[_]"), types, 2);
}

static const struct type *check_conditional(struct checker *checker, const struct sg_cel_node *node)
{
    const struct type *types[3];
    for (size_t i = 0; i < 3; i++)
        types[i] = type_of(checker, node->children[i]);
    if (!fits(types[0], &plain[SG_CEL_BOOL]) || !fits(types[1], types[2]))
        return complain_overload(checker, node, SG_STR("_?_:_"), types, 3);
    return is_same(types[1], types[2]) ? types[1] : &plain[DYN];
}

/* The type that all of the children have, every `step`-th from `first`; dyn if they differ or there are none. */
static const struct type *common_type(struct checker *checker, const struct sg_cel_node *node, uint32_t first, uint32_t step)
{
    const struct type *common = NULL;
    for (uint32_t i = first; i < node->child_count; i += step) {
        const struct type *type = type_of(checker, node->children[i]);
        common = common == NULL || is_same(common, type) ? type : &plain[DYN];
    }
    return common != NULL ? common : &plain[DYN];
}

static const struct type *check_comprehension(struct checker *checker, const struct sg_cel_node *node)
{
    const struct type *range = type_of(checker, node->children[0]);
    const struct type *element = &plain[DYN];
    if (range->kind == SG_CEL_LIST)
        element = range->item;
    else if (range->kind == SG_CEL_MAP)
        element = range->key;
    else if (range->kind != DYN)
        complain_type(checker, node->children[0], "expression of type '", range,
                      "' cannot be range of a comprehension (must be list, map, or dynamic)");
    checker->locals[node->local] = element;
    switch ((enum sg_cel_macro)node->op) {
    case SG_CEL_M_MAP:
        return make_type(checker, SG_CEL_LIST, NULL, type_of(checker, node->children[1]));
    case SG_CEL_M_MAP_FILTER:
        demand_bool(checker, node->children[1]);
        return make_type(checker, SG_CEL_LIST, NULL, type_of(checker, node->children[2]));
    case SG_CEL_M_FILTER:
        demand_bool(checker, node->children[1]);
        return make_type(checker, SG_CEL_LIST, NULL, element);
    default:
        demand_bool(checker, node->children[1]);
        return &plain[SG_CEL_BOOL];
    }
}

static const struct type *check_literal(const struct checker *checker, const struct sg_cel_node *node)
{
    uint8_t kind = checker->constants[node->slot].kind;
    assert(kind < SG_ARRAY_LEN(plain));
    if (kind == SG_CEL_LIST)
        return &any_list;
    return kind == SG_CEL_MAP ? &event_type : &plain[kind];
}

static const struct type *type_of(struct checker *checker, const struct sg_cel_node *node)
{
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_LITERAL:
        return check_literal(checker, node);
    case SG_CEL_NODE_IDENT:
        return check_ident(checker, node);
    case SG_CEL_NODE_SELECT:
        return check_select(checker, node);
    case SG_CEL_NODE_INDEX:
        return check_index(checker, node);
    case SG_CEL_NODE_CALL:
        return check_call(checker, node);
    case SG_CEL_NODE_AND:
    case SG_CEL_NODE_OR:
        for (uint32_t i = 0; i < node->child_count; i++)
            demand_bool(checker, node->children[i]);
        return &plain[SG_CEL_BOOL];
    case SG_CEL_NODE_CONDITIONAL:
        return check_conditional(checker, node);
    case SG_CEL_NODE_LIST:
        return make_type(checker, SG_CEL_LIST, NULL, common_type(checker, node, 0, 1));
    case SG_CEL_NODE_MAP: {
        const struct type *key = common_type(checker, node, 0, 2);
        return make_type(checker, SG_CEL_MAP, key, common_type(checker, node, 1, 2));
    }
    case SG_CEL_NODE_COMPREHENSION:
        return check_comprehension(checker, node);
    }
    assert(false);
    return &plain[DYN];
}

bool sg_cel_check_types(const struct sg_cel_node *root, const struct sg_cel_value *constants, struct sg_arena *scratch,
                        struct sg_cel_problems *problems)
{
    struct checker checker = {.constants = constants, .scratch = scratch, .problems = problems};
    type_of(&checker, root);
    return !checker.is_failed && !problems->is_out_of_memory;
}
