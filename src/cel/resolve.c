/*
 * Giving names their meaning.
 *
 * The model. Three walks over the tree, each bounded by its depth. The first tells loop variables (numbered by how deep they
 * nest) from the variables of the scope and from type names, and sums up for each node what lies below it. The second
 * collects the *tracked* paths: those whose absence is UNKNOWN and not an error. Which ones are tracked looks arbitrary but is
 * what the server does (reference/05 §4.2): arguments yes, the receiver of a method no, bodies of macros no, elements of list
 * and map literals no. They form a trie. The third gives every attribute chain its place in that trie, if it has one, so that
 * the evaluator decides between UNKNOWN and ERROR with one pointer.
 */
#include "cel/resolve.h"

#include <string.h>

#include "base/check.h"

struct resolver {
    struct sg_cel_builder *builder;
    struct sg_str *locals; /* names by number */
    uint32_t local_count;
    uint32_t local_count_max;
    struct sg_cel_path roots; /* first_child: one place for each variable that is tracked */
    struct sg_arena *scratch;
    struct sg_cel_path **slots; /* the trie's places by parent and field: an expression may name 20,000 fields of one map */
    size_t slot_count;          /* a power of two, or 0 */
    size_t path_count;
    bool is_failed;
};

/* ---- names ---- */

static bool type_by_name(struct sg_str name, struct sg_cel_value *value)
{
    static const uint8_t kinds[] = {SG_CEL_NULL,  SG_CEL_BOOL, SG_CEL_INT, SG_CEL_UINT,      SG_CEL_DOUBLE,   SG_CEL_STRING,
                                    SG_CEL_BYTES, SG_CEL_LIST, SG_CEL_MAP, SG_CEL_TIMESTAMP, SG_CEL_DURATION, SG_CEL_TYPE};
    for (size_t i = 0; i < SG_ARRAY_LEN(kinds); i++) {
        if (sg_str_eq(name, sg_str_from(sg_cel_kind_name(kinds[i])))) {
            *value = (struct sg_cel_value){.kind = SG_CEL_TYPE};
            value->as.type = kinds[i];
            return true;
        }
    }
    return false;
}

/* Turns a name of a type into a literal in place. */
static void become_type(struct resolver *resolver, struct sg_cel_node *node, struct sg_cel_value type)
{
    struct sg_cel_node *literal = sg_cel_build_literal(resolver->builder, node->position, type);
    if (literal == NULL) {
        resolver->is_failed = true;
        return;
    }
    *node = *literal;
    node->free_local = SG_CEL_NO_LOCAL;
}

static void resolve_ident(struct resolver *resolver, struct sg_cel_node *node)
{
    static const char *const variables[] = {"event", "async", "output", "error"};
    if ((node->flags & SG_CEL_NODE_IS_ROOTED) == 0) {
        for (uint32_t i = resolver->local_count; i > 0; i--) {
            if (sg_str_eq(resolver->locals[i - 1], node->name)) {
                node->variable = SG_CEL_V_LOCAL;
                node->local = (uint16_t)(i - 1);
                node->free_local = node->local;
                return;
            }
        }
    }
    struct sg_cel_value type;
    if (type_by_name(node->name, &type)) {
        become_type(resolver, node, type);
        return;
    }
    node->variable = SG_CEL_V_OTHER;
    for (size_t i = 0; i < SG_ARRAY_LEN(variables); i++) {
        if (sg_str_eq(node->name, sg_str_from(variables[i])))
            node->variable = (uint8_t)(SG_CEL_V_EVENT + i);
    }
    node->flags |= SG_CEL_NODE_IS_CHAIN;
    node->uses = (uint8_t)(1u << node->variable);
}

/* google.protobuf.Timestamp and .Duration are the only type names with dots. */
static bool resolve_dotted_type(struct resolver *resolver, struct sg_cel_node *node)
{
    const struct sg_cel_node *middle = node->children[0];
    if (middle->kind != SG_CEL_NODE_SELECT || !sg_str_eq(middle->name, SG_STR("protobuf")))
        return false;
    const struct sg_cel_node *first = middle->children[0];
    if (first->kind != SG_CEL_NODE_IDENT || first->variable != SG_CEL_V_OTHER || !sg_str_eq(first->name, SG_STR("google")))
        return false;
    struct sg_cel_value type = {.kind = SG_CEL_TYPE};
    if (sg_str_eq(node->name, SG_STR("Timestamp")))
        type.as.type = SG_CEL_TIMESTAMP;
    else if (sg_str_eq(node->name, SG_STR("Duration")))
        type.as.type = SG_CEL_DURATION;
    else
        return false;
    become_type(resolver, node, type);
    return true;
}

/* An ordering can ABORT unless one side is a literal of a type that null is replaced for (reference/05 §4.1, §4.3). */
static bool may_abort(const struct resolver *resolver, const struct sg_cel_node *node)
{
    if (node->op == SG_CEL_F_DATE || node->op == SG_CEL_F_NOW_PLUS || node->op == SG_CEL_F_NOW_MINUS)
        return true;
    if (!sg_cel_is_ordering(node->op))
        return false;
    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct sg_cel_node *child = node->children[i];
        if (child->kind != SG_CEL_NODE_LITERAL)
            continue;
        uint8_t kind = resolver->builder->constants[child->slot].kind;
        if (kind == SG_CEL_INT || kind == SG_CEL_UINT || kind == SG_CEL_DOUBLE || kind == SG_CEL_STRING)
            return false;
    }
    return true;
}

/* What a node is, given its children, which have been resolved. */
static void sum_up(struct resolver *resolver, struct sg_cel_node *node)
{
    const uint8_t inherited = SG_CEL_NODE_MAY_ABORT | SG_CEL_NODE_USES_NOW;
    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct sg_cel_node *child = node->children[i];
        node->uses |= child->uses;
        node->flags |= child->flags & inherited;
        bool is_bound_here = node->kind == SG_CEL_NODE_COMPREHENSION && i > 0 && child->free_local >= node->local;
        if (!is_bound_here && child->free_local < node->free_local)
            node->free_local = child->free_local;
    }
    if (node->kind == SG_CEL_NODE_CALL) {
        if (may_abort(resolver, node))
            node->flags |= SG_CEL_NODE_MAY_ABORT;
        if (node->op == SG_CEL_F_NOW || node->op == SG_CEL_F_NOW_PLUS || node->op == SG_CEL_F_NOW_MINUS)
            node->flags |= SG_CEL_NODE_USES_NOW;
    }
    bool is_link = node->kind == SG_CEL_NODE_SELECT || node->kind == SG_CEL_NODE_INDEX;
    if (is_link && (node->children[0]->flags & SG_CEL_NODE_IS_CHAIN) != 0)
        node->flags |= SG_CEL_NODE_IS_CHAIN;
}

static void resolve_names(struct resolver *resolver, struct sg_cel_node *node)
{
    node->free_local = SG_CEL_NO_LOCAL;
    if (node->kind == SG_CEL_NODE_IDENT) {
        resolve_ident(resolver, node);
        return;
    }
    if (node->kind == SG_CEL_NODE_COMPREHENSION) {
        resolve_names(resolver, node->children[0]);
        node->local = (uint16_t)resolver->local_count;
        resolver->locals[resolver->local_count++] = node->name;
        if (resolver->local_count > resolver->local_count_max)
            resolver->local_count_max = resolver->local_count;
        for (uint32_t i = 1; i < node->child_count; i++)
            resolve_names(resolver, node->children[i]);
        resolver->local_count--;
    } else {
        for (uint32_t i = 0; i < node->child_count; i++)
            resolve_names(resolver, node->children[i]);
    }
    if (node->kind == SG_CEL_NODE_SELECT && resolve_dotted_type(resolver, node))
        return;
    sum_up(resolver, node);
}

/* ---- tracked paths ---- */

const struct sg_cel_path *sg_cel_path_find(const struct sg_cel_path *path, struct sg_str field)
{
    for (const struct sg_cel_path *child = path != NULL ? path->first_child : NULL; child != NULL; child = child->next) {
        if (sg_str_eq(child->field, field))
            return child;
    }
    return NULL;
}

/* The slot of a place, or the free one where it belongs. */
static struct sg_cel_path **path_slot(const struct resolver *resolver, const struct sg_cel_path *parent, struct sg_str field)
{
    size_t slot = (size_t)(sg_str_hash(field) ^ (uintptr_t)parent >> 4) & (resolver->slot_count - 1);
    while (resolver->slots[slot] != NULL && (resolver->slots[slot]->parent != parent || !sg_str_eq(resolver->slots[slot]->field, field)))
        slot = (slot + 1) & (resolver->slot_count - 1);
    return &resolver->slots[slot];
}

static bool slots_grow(struct resolver *resolver)
{
    struct sg_cel_path **old = resolver->slots;
    size_t old_count = resolver->slot_count;
    size_t count = old_count > 0 ? old_count * 4 : 16;
    struct sg_cel_path **slots = sg_arena_zalloc(resolver->scratch, count * sizeof(struct sg_cel_path *));
    if (slots == NULL)
        return false;
    resolver->slots = slots;
    resolver->slot_count = count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != NULL)
            *path_slot(resolver, old[i]->parent, old[i]->field) = old[i];
    }
    return true;
}

static struct sg_cel_path *path_add(struct resolver *resolver, struct sg_cel_path *parent, struct sg_str field)
{
    if (resolver->path_count * 2 >= resolver->slot_count && !slots_grow(resolver)) {
        resolver->is_failed = true;
        return NULL;
    }
    struct sg_cel_path **slot = path_slot(resolver, parent, field);
    if (*slot != NULL)
        return *slot;
    struct sg_cel_path *path = sg_arena_zalloc(resolver->builder->arena, sizeof(*path));
    if (path == NULL) {
        resolver->is_failed = true;
        return NULL;
    }
    path->field = field;
    path->parent = parent;
    path->next = parent->first_child;
    parent->first_child = path;
    parent->child_count++;
    *slot = path;
    resolver->path_count++;
    return path;
}

/* Adds the path of a chain of selects that ends in a variable; NULL for any other. */
static struct sg_cel_path *track_chain(struct resolver *resolver, const struct sg_cel_node *node)
{
    if (node->kind == SG_CEL_NODE_IDENT && node->variable != SG_CEL_V_LOCAL)
        return path_add(resolver, &resolver->roots, node->name);
    if (node->kind != SG_CEL_NODE_SELECT)
        return NULL;
    struct sg_cel_path *operand = track_chain(resolver, node->children[0]);
    return operand != NULL ? path_add(resolver, operand, node->name) : NULL;
}

static void track(struct resolver *resolver, const struct sg_cel_node *node)
{
    switch ((enum sg_cel_node_kind)node->kind) {
    case SG_CEL_NODE_SELECT:
        track_chain(resolver, node);
        break;
    case SG_CEL_NODE_COMPREHENSION:
        track(resolver, node->children[0]);
        break;
    case SG_CEL_NODE_CALL:
    case SG_CEL_NODE_INDEX:
    case SG_CEL_NODE_AND:
    case SG_CEL_NODE_OR:
    case SG_CEL_NODE_CONDITIONAL:
        for (uint32_t i = (node->flags & SG_CEL_NODE_IS_RECEIVER) != 0; i < node->child_count; i++)
            track(resolver, node->children[i]);
        break;
    case SG_CEL_NODE_LITERAL:
    case SG_CEL_NODE_IDENT:
    case SG_CEL_NODE_LIST:
    case SG_CEL_NODE_MAP:
        break;
    }
}

/* The place below `parent`, or NULL: like sg_cel_path_find, at the speed of a hash table. */
static const struct sg_cel_path *place_of(const struct resolver *resolver, const struct sg_cel_path *parent, struct sg_str field)
{
    return parent != NULL && resolver->slot_count > 0 ? *path_slot(resolver, parent, field) : NULL;
}

static void place_paths(struct resolver *resolver, struct sg_cel_node *node)
{
    for (uint32_t i = 0; i < node->child_count; i++)
        place_paths(resolver, node->children[i]);
    if ((node->flags & SG_CEL_NODE_IS_CHAIN) == 0)
        return;
    if (node->kind == SG_CEL_NODE_IDENT) {
        node->path = place_of(resolver, &resolver->roots, node->name);
    } else if (node->kind == SG_CEL_NODE_SELECT) {
        node->path = place_of(resolver, node->children[0]->path, node->name);
    } else if (node->children[1]->kind == SG_CEL_NODE_LITERAL) {
        const struct sg_cel_value *key = &resolver->builder->constants[node->children[1]->slot];
        if (key->kind == SG_CEL_STRING)
            node->path = place_of(resolver, node->children[0]->path, (struct sg_str){key->as.bytes, key->count});
    }
}

bool sg_cel_resolve(struct sg_cel_node *root, struct sg_cel_builder *builder, struct sg_arena *scratch, uint32_t *local_count)
{
    struct sg_str locals[SG_CEL_STORED_DEPTH_MAX + 1]; /* comprehensions nest at most as deep as the tree */
    assert(root->depth <= SG_CEL_STORED_DEPTH_MAX);
    struct resolver resolver = {.builder = builder, .scratch = scratch, .locals = locals};
    resolve_names(&resolver, root);
    track(&resolver, root);
    place_paths(&resolver, root);
    *local_count = resolver.local_count_max;
    return !resolver.is_failed;
}

/* ---- paths as text ---- */

struct collector {
    const struct sg_cel_value *constants;
    struct sg_arena *arena;
    struct sg_str *paths;
    size_t count;
    size_t capacity;
    bool is_failed;
};

/* Whether everything behind the variable is a field or a constant index, so that the chain is one path. */
static bool is_static_chain(const struct sg_cel_node *node)
{
    if ((node->flags & SG_CEL_NODE_IS_CHAIN) == 0)
        return false;
    while (node->kind != SG_CEL_NODE_IDENT) {
        if (node->kind == SG_CEL_NODE_INDEX && node->children[1]->kind != SG_CEL_NODE_LITERAL)
            return false;
        node = node->children[0];
    }
    return true;
}

static void print_chain(const struct collector *collector, const struct sg_cel_node *node, struct sg_buf *out)
{
    if (node->kind == SG_CEL_NODE_IDENT) {
        sg_buf_append(out, node->name);
        return;
    }
    print_chain(collector, node->children[0], out);
    if (node->kind == SG_CEL_NODE_SELECT) {
        sg_buf_byte(out, '.');
        sg_buf_append(out, node->name);
        return;
    }
    sg_buf_byte(out, '[');
    sg_cel_value_print(&collector->constants[node->children[1]->slot], out);
    sg_buf_byte(out, ']');
}

static void collector_add(struct collector *collector, struct sg_str path)
{
    for (size_t i = 0; i < collector->count; i++) {
        if (sg_str_eq(collector->paths[i], path))
            return;
    }
    if (collector->count == SG_LIMIT_CEL_PATHS)
        return;
    if (collector->count == collector->capacity) {
        size_t capacity = collector->capacity > 0 ? collector->capacity * 2 : 4;
        struct sg_str *paths = sg_arena_alloc(collector->arena, capacity * sizeof(*paths));
        if (paths == NULL) {
            collector->is_failed = true;
            return;
        }
        if (collector->count > 0)
            memcpy(paths, collector->paths, collector->count * sizeof(*paths));
        collector->paths = paths;
        collector->capacity = capacity;
    }
    struct sg_str copy = sg_arena_copy(collector->arena, path);
    collector->is_failed = collector->is_failed || copy.ptr == NULL;
    if (copy.ptr != NULL)
        collector->paths[collector->count++] = copy;
}

static void collect(struct collector *collector, const struct sg_cel_node *node)
{
    if (is_static_chain(node)) {
        struct sg_buf text = {0};
        print_chain(collector, node, &text);
        if (text.is_failed)
            collector->is_failed = true;
        else
            collector_add(collector, sg_buf_str(&text));
        sg_buf_free(&text);
        return;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        collect(collector, node->children[i]);
}

bool sg_cel_paths_collect(const struct sg_cel_node *root, const struct sg_cel_value *constants, struct sg_arena *arena,
                          struct sg_str **paths, size_t *count)
{
    struct collector collector = {.constants = constants, .arena = arena};
    collect(&collector, root);
    *paths = collector.paths;
    *count = collector.count;
    return !collector.is_failed;
}
