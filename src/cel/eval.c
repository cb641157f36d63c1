/*
 * Evaluating a tree.
 *
 * The model. One recursive walk, as deep as the tree, which is bounded; data are never descended into. Every node costs a
 * step and functions charge for the data they touch, so an evaluation ends within its budget whatever the expression and the
 * event are; when the budget is used up everything ABORTs. Four results are not values: UNKNOWN (a tracked attribute is
 * missing), ERROR, and ABORT; the fourth, out of memory, is an ABORT too. `&&`, `||` and `?:` work as in JavaScript: they give
 * one of their operands (reference/05 §4.5).
 *
 * Missing attributes. Selecting a key that is not there gives UNKNOWN if the path is one that the server tracks, else an
 * ERROR (reference/05 §4.2). Values that are there are always used: the server makes a present parent UNKNOWN when an absent
 * child of it is mentioned elsewhere (quirk Q1), which is not copied.
 */
#include "cel/eval.h"

#include <string.h>

#include "base/check.h"
#include "cel/regex.h"
#include "cel/resolve.h"

/* Bytes on the stack for loop variables; expressions that nest more of them than this get an array in the arena. */
#define LOCALS_INLINE 8

/* ---- attributes ---- */

static const struct sg_cel_value *binding_find(const struct sg_cel_scope *scope, struct sg_str name)
{
    for (size_t i = 0; i < scope->binding_count; i++) {
        if (sg_str_eq(scope->bindings[i].name, name))
            return &scope->bindings[i].value;
    }
    return NULL;
}

static struct sg_cel_value eval_ident(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    if (node->variable == SG_CEL_V_LOCAL)
        return eval->locals[node->local];

    const struct sg_cel_scope *scope = eval->scope;
    const struct sg_cel_document *documents[] = {[SG_CEL_V_EVENT] = scope->event,
                                                 [SG_CEL_V_ASYNC] = scope->async,
                                                 [SG_CEL_V_OUTPUT] = scope->output,
                                                 [SG_CEL_V_ERROR] = scope->error};
    if (node->variable != SG_CEL_V_OTHER && documents[node->variable] != NULL)
        return documents[node->variable]->root;
    const struct sg_cel_value *bound = binding_find(scope, node->name);
    return bound != NULL ? *bound : sg_cel_error(SG_CEL_E_NO_SUCH_ATTRIBUTE, node->name);
}

/* Writes "a.b.c" for a chain of selects; 0 if it is something else or does not fit. */
static size_t chain_name(const struct sg_cel_node *node, char *out, size_t size)
{
    size_t len = 0;
    if (node->kind == SG_CEL_NODE_SELECT) {
        len = chain_name(node->children[0], out, size);
        if (len == 0 || len + 1 >= size)
            return 0;
        out[len++] = '.';
    } else if (node->kind != SG_CEL_NODE_IDENT || node->variable == SG_CEL_V_LOCAL) {
        return 0;
    }
    if (node->name.len > size - len)
        return 0;
    memcpy(out + len, node->name.ptr, node->name.len);
    return len + node->name.len;
}

/* A variable whose name has dots, which only tests and tools bind: "a.b.c" goes before the field c of "a.b". */
static const struct sg_cel_value *dotted_find(const struct sg_cel_scope *scope, const struct sg_cel_node *node)
{
    char name[256];
    size_t len = chain_name(node, name, sizeof(name));
    return len > 0 ? binding_find(scope, (struct sg_str){name, len}) : NULL;
}

/* What a key that is not there is: UNKNOWN if the path is tracked. */
static struct sg_cel_value missing(const struct sg_cel_path *path, struct sg_str key)
{
    if (path != NULL)
        return (struct sg_cel_value){.kind = SG_CEL_UNKNOWN};
    return sg_cel_error(SG_CEL_E_NO_SUCH_KEY, key);
}

/* has(): like the select, but the answer is whether it is there. */
static struct sg_cel_value eval_has(const struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *operand)
{
    bool is_plain = eval->scope->is_has_plain;
    if (operand->kind == SG_CEL_UNKNOWN)
        return is_plain ? sg_cel_bool(false) : *operand;
    if (operand->kind == SG_CEL_ERROR)
        return *operand;
    if (sg_cel_map_find(operand, node->name) != NULL)
        return sg_cel_bool(true);
    return node->path != NULL && !is_plain ? missing(node->path, node->name) : sg_cel_bool(false);
}

static struct sg_cel_value eval_select(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    if (eval->scope->binding_count > 0) {
        const struct sg_cel_value *bound = dotted_find(eval->scope, node);
        if (bound != NULL)
            return (node->flags & SG_CEL_NODE_IS_TEST) != 0 ? sg_cel_bool(true) : *bound;
    }
    struct sg_cel_value operand = sg_cel_eval_node(eval, node->children[0]);
    if (operand.kind == SG_CEL_ABORT)
        return operand;
    /* A field of a variable that does not exist is missing like any other, if it is tracked. */
    if (operand.kind == SG_CEL_ERROR && operand.detail == SG_CEL_E_NO_SUCH_ATTRIBUTE && node->path != NULL)
        operand = (struct sg_cel_value){.kind = SG_CEL_UNKNOWN};
    if ((node->flags & SG_CEL_NODE_IS_TEST) != 0)
        return eval_has(eval, node, &operand);
    if (operand.kind == SG_CEL_UNKNOWN || operand.kind == SG_CEL_ERROR)
        return operand;
    const struct sg_cel_value *found = sg_cel_map_find(&operand, node->name);
    return found != NULL ? *found : missing(node->path, node->name);
}

static struct sg_cel_value index_list(const struct sg_cel_value *list, const struct sg_cel_value *key)
{
    double place = 0;
    if (key->kind == SG_CEL_INT)
        place = (double)key->as.integer;
    else if (key->kind == SG_CEL_UINT)
        place = (double)key->as.natural;
    else if (key->kind == SG_CEL_DOUBLE)
        place = key->as.number;
    else
        return sg_cel_error(SG_CEL_E_INDEX_TYPE, sg_str_from(sg_cel_kind_name(key->kind)));
    if (key->kind == SG_CEL_DOUBLE && !(place >= -9.2e18 && place <= 9.2e18 && place == (double)(int64_t)place))
        return sg_cel_error_number(SG_CEL_E_INDEX_VALUE, place);
    if (place < 0 || place >= (double)list->count)
        return sg_cel_error_number(SG_CEL_E_INDEX_OUT_OF_BOUNDS, place);
    return list->as.items[(uint32_t)place];
}

static struct sg_cel_value index_map(struct sg_cel_eval *eval, const struct sg_cel_path *path, const struct sg_cel_value *map,
                                     const struct sg_cel_value *key)
{
    bool is_key = key->kind == SG_CEL_STRING || key->kind == SG_CEL_BOOL || sg_cel_is_number(key);
    if (!is_key)
        return sg_cel_error(SG_CEL_E_KEY_TYPE, sg_str_from(sg_cel_kind_name(key->kind)));
    const struct sg_cel_value *found = sg_cel_map_find_value(map, key, &eval->steps);
    if (found != NULL)
        return *found;
    if (key->kind == SG_CEL_STRING)
        return missing(path, sg_cel_str(key));
    if (key->kind == SG_CEL_BOOL)
        return missing(path, key->as.boolean ? SG_STR("true") : SG_STR("false"));
    return sg_cel_error_number(SG_CEL_E_NO_SUCH_NUMBER, sg_cel_to_number(key));
}

/* The tracked path that an index with a computed key leads to. */
static const struct sg_cel_path *computed_path(struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *key)
{
    const struct sg_cel_path *parent = node->children[0]->path;
    if (node->path != NULL || parent == NULL || key->kind != SG_CEL_STRING)
        return node->path;
    sg_cel_charge(eval, parent->child_count / 4);
    return sg_cel_path_find(parent, sg_cel_str(key));
}

static struct sg_cel_value eval_index(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    struct sg_cel_value operand = sg_cel_eval_node(eval, node->children[0]);
    if (operand.kind == SG_CEL_ABORT)
        return operand;
    struct sg_cel_value key = sg_cel_eval_node(eval, node->children[1]);
    if (key.kind == SG_CEL_ABORT)
        return key;
    if (operand.kind == SG_CEL_UNKNOWN)
        return operand;
    if (operand.kind == SG_CEL_ERROR) {
        bool is_tracked = operand.detail == SG_CEL_E_NO_SUCH_ATTRIBUTE && computed_path(eval, node, &key) != NULL;
        return is_tracked ? (struct sg_cel_value){.kind = SG_CEL_UNKNOWN} : operand;
    }
    if (key.kind == SG_CEL_UNKNOWN || key.kind == SG_CEL_ERROR)
        return key;
    const struct sg_cel_path *path = computed_path(eval, node, &key);
    if (operand.kind == SG_CEL_LIST)
        return index_list(&operand, &key);
    if (operand.kind == SG_CEL_MAP)
        return index_map(eval, path, &operand, &key);
    return missing(path, key.kind == SG_CEL_STRING ? sg_cel_str(&key) : SG_STR_NULL);
}

/* ---- logic ---- */

/* The first operand that decides, else the last one. The others are only evaluated if they may ABORT. */
static struct sg_cel_value eval_logic(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    bool is_or = node->kind == SG_CEL_NODE_OR;
    bool is_decided = false;
    struct sg_cel_value result = {.kind = SG_CEL_NULL};
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (is_decided && (node->children[i]->flags & SG_CEL_NODE_MAY_ABORT) == 0)
            continue;
        struct sg_cel_value operand = sg_cel_eval_node(eval, node->children[i]);
        if (operand.kind == SG_CEL_ABORT)
            return operand;
        if (is_decided)
            continue;
        result = operand;
        is_decided = sg_cel_is_true(&operand) == is_or;
    }
    return result;
}

static struct sg_cel_value eval_conditional(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    struct sg_cel_value condition = sg_cel_eval_node(eval, node->children[0]);
    if (condition.kind == SG_CEL_ABORT)
        return condition;
    return sg_cel_eval_node(eval, node->children[sg_cel_is_true(&condition) ? 1 : 2]);
}

/* ---- literals of lists and maps ---- */

static bool is_failure(const struct sg_cel_value *value)
{
    return value->kind >= SG_CEL_UNKNOWN;
}

static struct sg_cel_value eval_list(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    struct sg_cel_value *items = sg_arena_alloc(eval->arena, node->child_count * sizeof(*items));
    if (items == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    for (uint32_t i = 0; i < node->child_count; i++) {
        items[i] = sg_cel_eval_node(eval, node->children[i]);
        if (is_failure(&items[i]))
            return items[i];
    }
    return (struct sg_cel_value){.kind = SG_CEL_LIST, .count = node->child_count, .as.items = items};
}

static int compare_keys(const struct sg_cel_entry *a, const struct sg_cel_entry *b)
{
    return sg_str_cmp(sg_cel_str(&a->key), sg_cel_str(&b->key));
}

/* Merges runs of 1, 2, 4, ...; equal keys keep their order. Returns the array that the result ended up in. */
static struct sg_cel_entry *sort_by_key(struct sg_cel_entry *from, struct sg_cel_entry *to, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t left = start;
            size_t right = middle;
            for (size_t i = start; i < end; i++) {
                bool takes_left = left < middle && (right == end || compare_keys(&from[left], &from[right]) <= 0);
                to[i] = takes_left ? from[left++] : from[right++];
            }
        }
        struct sg_cel_entry *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

struct sg_cel_value sg_cel_make_map(struct sg_cel_entry *entries, uint32_t count, struct sg_cel_entry *scratch, int64_t *steps)
{
    bool are_strings = true;
    for (uint32_t i = 0; i < count; i++)
        are_strings = are_strings && entries[i].key.kind == SG_CEL_STRING;
    struct sg_cel_value map = {.kind = SG_CEL_MAP};
    if (are_strings) {
        *steps -= count;
        entries = sort_by_key(entries, scratch, count);
        for (uint32_t i = 0; i < count; i++) {
            if (i + 1 == count || compare_keys(&entries[i], &entries[i + 1]) != 0)
                entries[map.count++] = entries[i];
        }
        map.detail = SG_CEL_MAP_IS_SORTED;
    } else {
        for (uint32_t i = 0; i<count && * steps> 0; i++) {
            map.as.entries = entries;
            *steps -= map.count / 2;
            const struct sg_cel_value *found = sg_cel_map_find_value(&map, &entries[i].key, steps);
            if (found != NULL)
                *(struct sg_cel_value *)found = entries[i].value;
            else
                entries[map.count++] = entries[i];
        }
    }
    map.as.entries = entries;
    return map;
}

static struct sg_cel_value eval_map(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    uint32_t count = node->child_count / 2;
    struct sg_cel_entry *entries = sg_arena_alloc(eval->arena, 2 * (size_t)count * sizeof(*entries));
    if (entries == NULL)
        return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    for (uint32_t i = 0; i < count; i++) {
        entries[i].key = sg_cel_eval_node(eval, node->children[2 * i]);
        if (is_failure(&entries[i].key))
            return entries[i].key;
        entries[i].value = sg_cel_eval_node(eval, node->children[2 * i + 1]);
        if (is_failure(&entries[i].value))
            return entries[i].value;
    }
    return sg_cel_make_map(entries, count, entries + count, &eval->steps);
}

/* ---- macros ---- */

/* A loop under way: what it has found so far. */
struct loop {
    struct sg_cel_value accumulated; /* all, exists */
    int64_t count;                   /* exists_one */
    struct sg_cel_value *items;      /* map, filter: room for all of the range */
    uint32_t item_count;
};

/* all and exists: the operand that decides, as `&&` and `||` of all elements would give. True: the loop is over. */
static bool step_quantifier(uint8_t macro, struct loop *loop, struct sg_cel_value predicate)
{
    bool is_exists = macro == SG_CEL_M_EXISTS;
    if (sg_cel_is_true(&loop->accumulated) != is_exists)
        loop->accumulated = predicate;
    const struct sg_cel_value *accumulated = &loop->accumulated;
    return is_failure(accumulated) || (accumulated->kind == SG_CEL_BOOL && accumulated->as.boolean == is_exists);
}

/* One element. True if the loop is over; then *result is set if it is not what has been accumulated. */
static bool step_loop(struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *element, struct loop *loop,
                      struct sg_cel_value *result)
{
    uint8_t macro = node->op;
    struct sg_cel_value first = sg_cel_eval_node(eval, node->children[1]);
    if (first.kind == SG_CEL_ABORT) {
        *result = first;
        return true;
    }
    if (macro == SG_CEL_M_ALL || macro == SG_CEL_M_EXISTS)
        return step_quantifier(macro, loop, first);
    if (macro == SG_CEL_M_EXISTS_ONE) {
        loop->count += sg_cel_is_true(&first);
        return false;
    }
    struct sg_cel_value item = first;
    if (macro == SG_CEL_M_FILTER || macro == SG_CEL_M_MAP_FILTER) {
        if (!sg_cel_is_true(&first))
            return false;
        item = macro == SG_CEL_M_FILTER ? *element : sg_cel_eval_node(eval, node->children[2]);
    }
    if (item.kind == SG_CEL_UNKNOWN)
        return false; /* as `list + UNKNOWN` is the list */
    if (is_failure(&item)) {
        *result = item;
        return true;
    }
    loop->items[loop->item_count++] = item;
    return false;
}

static struct sg_cel_value run_loop(struct sg_cel_eval *eval, const struct sg_cel_node *node, const struct sg_cel_value *range)
{
    struct loop loop = {.accumulated = sg_cel_bool(node->op == SG_CEL_M_ALL)};
    bool makes_list = node->op == SG_CEL_M_MAP || node->op == SG_CEL_M_MAP_FILTER || node->op == SG_CEL_M_FILTER;
    if (makes_list) {
        if ((int64_t)range->count > eval->steps) /* each element costs a step, so this would not end well */
            return sg_cel_abort(SG_CEL_E_STEPS);
        loop.items = sg_arena_alloc(eval->arena, range->count * sizeof(*loop.items));
        if (loop.items == NULL)
            return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    }
    struct sg_cel_value result = {.kind = SG_CEL_ABSENT};
    bool is_over = false;
    for (uint32_t i = 0; i < range->count && !is_over; i++) {
        struct sg_cel_value element = range->kind == SG_CEL_LIST ? range->as.items[i] : range->as.entries[i].key;
        eval->locals[node->local] = element;
        is_over = step_loop(eval, node, &element, &loop, &result);
    }
    if (result.kind != SG_CEL_ABSENT)
        return result;
    if (makes_list)
        return (struct sg_cel_value){.kind = SG_CEL_LIST, .count = loop.item_count, .as.items = loop.items};
    return node->op == SG_CEL_M_EXISTS_ONE ? sg_cel_bool(loop.count == 1) : loop.accumulated;
}

static struct sg_cel_value eval_comprehension(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    struct sg_cel_value range = sg_cel_eval_node(eval, node->children[0]);
    if (is_failure(&range))
        return range;
    if (range.kind != SG_CEL_LIST && range.kind != SG_CEL_MAP)
        return sg_cel_error(SG_CEL_E_NOT_ITERABLE, sg_str_from(sg_cel_kind_name(range.kind)));
    return run_loop(eval, node, &range);
}

/* ---- all of it ---- */

struct sg_cel_value sg_cel_eval_node(struct sg_cel_eval *eval, const struct sg_cel_node *node)
{
    if (--eval->steps <= 0)
        return sg_cel_abort(SG_CEL_E_STEPS);
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_LITERAL:
        return eval->constants[node->slot];
    case SG_CEL_NODE_IDENT:
        return eval_ident(eval, node);
    case SG_CEL_NODE_SELECT:
        return eval_select(eval, node);
    case SG_CEL_NODE_INDEX:
        return eval_index(eval, node);
    case SG_CEL_NODE_CALL:
        return sg_cel_eval_call(eval, node);
    case SG_CEL_NODE_AND:
    case SG_CEL_NODE_OR:
        return eval_logic(eval, node);
    case SG_CEL_NODE_CONDITIONAL:
        return eval_conditional(eval, node);
    case SG_CEL_NODE_LIST:
        return eval_list(eval, node);
    case SG_CEL_NODE_MAP:
        return eval_map(eval, node);
    case SG_CEL_NODE_COMPREHENSION:
        return eval_comprehension(eval, node);
    }
    assert(false);
    return sg_cel_abort(SG_CEL_E_ABORT);
}

struct sg_cel_value sg_cel_run(const struct sg_cel_tree *tree, const struct sg_cel_node *node, const struct sg_cel_value *constants,
                               const struct sg_cel_scope *scope, struct sg_arena *arena, int64_t *steps)
{
    struct sg_cel_value locals[LOCALS_INLINE];
    struct sg_cel_eval eval = {
        .constants = constants != NULL ? constants : tree->constants, .scope = scope, .arena = arena, .locals = locals, .steps = *steps};
    if (tree->local_count > LOCALS_INLINE) {
        eval.locals = sg_arena_alloc(arena, tree->local_count * sizeof(*eval.locals));
        if (eval.locals == NULL)
            return sg_cel_abort(SG_CEL_E_NO_MEMORY);
    }
    struct sg_cel_value result = sg_cel_eval_node(&eval, node);
    sg_cel_regex_free(eval.regex);
    *steps = eval.steps;
    return result;
}
