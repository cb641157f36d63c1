/*
 * Shapes of expressions.
 *
 * The model. A hundred thousand runs of one function wait with expressions like `async.data.id == "<uuid>"`: same tree,
 * another constant. The shape of a tree is its serialisation with every literal reduced to its type; programs of equal shape
 * are represented by one template, which owns a compiled program of its own and knows how such expressions are found
 * (access.c). A waiter then only needs its constants. Two kinds of literal stay in the shape because the compiled tree
 * depends on them: keys in attribute paths and patterns of matches().
 *
 * What it never does: keep a template or a path that nobody uses.
 */
#include "cel/template.h"

#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "cel/value.h"

void sg_cel_templates_init(struct sg_cel_templates *templates, enum sg_cel_variable subject)
{
    *templates = (struct sg_cel_templates){.subject = subject};
    sg_map_init_strs(&templates->by_shape, offsetof(struct sg_cel_template, shape));
    sg_map_init_strs(&templates->by_path, offsetof(struct sg_cel_key_path, text));
}

/* ---- shapes ---- */

static void append_number(struct sg_buf *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        sg_buf_byte(out, (char)(number | 0x80));
    sg_buf_byte(out, (char)number);
}

static void append_text(struct sg_buf *out, struct sg_str text)
{
    append_number(out, text.len);
    sg_buf_append(out, text);
}

static void append_shape(const struct sg_cel_node *node, const struct sg_cel_value *constants, bool is_fixed, struct sg_buf *out)
{
    sg_buf_byte(out, (char)node->kind);
    sg_buf_byte(out, (char)node->op);
    sg_buf_byte(out, (char)node->flags);
    if (node->kind == SG_CEL_NODE_LITERAL) {
        sg_buf_byte(out, (char)constants[node->slot].kind);
        if (is_fixed)
            sg_cel_value_print(&constants[node->slot], out);
        sg_buf_byte(out, '\0');
        return;
    }
    sg_buf_byte(out, (char)node->variable);
    append_number(out, node->local);
    append_text(out, node->name);
    append_number(out, node->child_count);
    bool has_fixed = node->kind == SG_CEL_NODE_INDEX || (node->kind == SG_CEL_NODE_CALL && node->op == SG_CEL_F_MATCHES);
    for (uint32_t i = 0; i < node->child_count; i++)
        append_shape(node->children[i], constants, has_fixed && i == 1, out);
}

/* ---- paths ---- */

static uint32_t count_steps(const struct sg_cel_node *chain)
{
    uint32_t count = 0;
    for (; chain->kind != SG_CEL_NODE_IDENT; chain = chain->children[0])
        count++;
    return count;
}

/* The steps of a chain, which end up in order although the chain is walked from its end. */
static void read_steps(const struct sg_cel_node *chain, const struct sg_cel_value *constants, struct sg_cel_key_step *steps, uint32_t count)
{
    for (; chain->kind != SG_CEL_NODE_IDENT; chain = chain->children[0]) {
        struct sg_cel_key_step *step = &steps[--count];
        *step = (struct sg_cel_key_step){.field = chain->name};
        if (chain->kind != SG_CEL_NODE_INDEX)
            continue;
        const struct sg_cel_value *key = &constants[chain->children[1]->slot];
        if (key->kind == SG_CEL_STRING)
            step->field = key->count > 0 ? sg_cel_str(key) : SG_STR("");
        else
            *step = (struct sg_cel_key_step){.index = key->as.integer};
    }
}

static void append_steps(const struct sg_cel_key_step *steps, uint32_t count, struct sg_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        sg_buf_byte(out, steps[i].field.ptr != NULL ? 'f' : 'i');
        if (steps[i].field.ptr != NULL)
            append_text(out, steps[i].field);
        else
            append_number(out, (uint64_t)steps[i].index);
    }
}

static size_t path_bytes(const struct sg_cel_key_path *path)
{
    size_t bytes = sizeof(*path) + path->step_count * sizeof(struct sg_cel_key_step) + path->text.len;
    for (uint32_t i = 0; i < path->step_count; i++)
        bytes += path->steps[i].field.len;
    return bytes;
}

/* A path that owns copies of everything, behind itself. */
static struct sg_cel_key_path *path_create(struct sg_str text, const struct sg_cel_key_step *steps, uint32_t count)
{
    struct sg_cel_key_path measured = {.text = text, .step_count = count, .steps = (struct sg_cel_key_step *)steps};
    struct sg_cel_key_path *path = sg_malloc(path_bytes(&measured));
    if (path == NULL)
        return NULL;
    *path = measured;
    path->steps = (struct sg_cel_key_step *)(void *)(path + 1);
    char *to = (char *)(path->steps + count);
    memcpy(to, text.ptr, text.len);
    path->text.ptr = to;
    to += text.len;
    for (uint32_t i = 0; i < count; i++) {
        path->steps[i] = steps[i];
        if (steps[i].field.ptr == NULL)
            continue;
        memcpy(to, steps[i].field.ptr, steps[i].field.len);
        path->steps[i].field.ptr = to;
        to += steps[i].field.len;
    }
    return path;
}

static void path_put(struct sg_cel_templates *templates, struct sg_cel_key_path *path)
{
    if (path == NULL || --path->users > 0)
        return;
    sg_map_remove_str(&templates->by_path, path->text);
    struct sg_cel_key_path *last = templates->paths[--templates->path_count];
    templates->paths[path->place] = last;
    last->place = path->place;
    templates->bytes -= path_bytes(path);
    sg_free(path);
}

/* Puts a new path into the map and the list; false if memory ran out. */
static bool path_register(struct sg_cel_templates *templates, struct sg_cel_key_path *path)
{
    if (templates->path_count == templates->path_capacity) {
        size_t capacity = templates->path_capacity > 0 ? templates->path_capacity * 2 : 8;
        struct sg_cel_key_path **paths = sg_realloc(templates->paths, capacity * sizeof(struct sg_cel_key_path *));
        if (paths == NULL)
            return false;
        templates->bytes += (capacity - templates->path_capacity) * sizeof(struct sg_cel_key_path *);
        templates->paths = paths;
        templates->path_capacity = capacity;
    }
    if (sg_map_add(&templates->by_path, path) != SG_OK)
        return false;
    path->place = templates->path_count;
    path->salt = ++templates->next_salt;
    templates->paths[templates->path_count++] = path;
    templates->bytes += path_bytes(path);
    return true;
}

static struct sg_cel_key_path *path_get(struct sg_cel_templates *templates, const struct sg_cel_node *chain,
                                        const struct sg_cel_value *constants)
{
    struct sg_cel_key_step steps[SG_CEL_STORED_DEPTH_MAX];
    uint32_t count = count_steps(chain);
    assert(count <= SG_CEL_STORED_DEPTH_MAX);
    read_steps(chain, constants, steps, count);
    struct sg_buf text = {0};
    sg_buf_byte(&text, '.'); /* so that no text is empty */
    append_steps(steps, count, &text);
    if (text.is_failed)
        return NULL;
    struct sg_cel_key_path *path = sg_map_get_str(&templates->by_path, sg_buf_str(&text));
    if (path == NULL) {
        path = path_create(sg_buf_str(&text), steps, count);
        if (path != NULL && !path_register(templates, path)) {
            sg_free(path);
            path = NULL;
        }
    }
    sg_buf_free(&text);
    if (path != NULL)
        path->users++;
    return path;
}

const struct sg_cel_value *sg_cel_key_path_find(const struct sg_cel_key_path *path, const struct sg_cel_value *root)
{
    const struct sg_cel_value *value = root;
    for (uint32_t i = 0; i < path->step_count && value != NULL; i++) {
        const struct sg_cel_key_step *step = &path->steps[i];
        if (step->field.ptr != NULL)
            value = sg_cel_map_find(value, step->field);
        else if (value->kind == SG_CEL_LIST && step->index >= 0 && step->index < (int64_t)value->count)
            value = &value->as.items[step->index];
        else
            value = NULL;
    }
    return value;
}

/* ---- templates ---- */

static void template_free(struct sg_cel_templates *templates, struct sg_cel_template *template)
{
    for (size_t i = 0; i < template->plan_count; i++) {
        for (size_t k = 0; k < template->plans[i].plan.count; k++)
            path_put(templates, template->plans[i].paths[k]);
    }
    if (template->program != NULL)
        templates->bytes -= sg_cel_program_bytes(template->program);
    templates->bytes -= sizeof(*template) + template->shape.len + template->plan_count * sizeof(*template->plans);
    sg_cel_program_free(template->program);
    sg_free(template->plans);
    sg_free(template);
}

static bool template_fill(struct sg_cel_templates *templates, struct sg_cel_template *template, struct sg_str text)
{
    if (sg_cel_compile(text, SG_CEL_CHECK_STORED, &template->program, NULL) != SG_OK)
        return false; /* it has been compiled before, so only memory can be missing */
    const struct sg_cel_tree *tree = &template->program->tree;
    templates->bytes += sg_cel_program_bytes(template->program);

    struct sg_cel_plans plans;
    sg_cel_access_plan(tree, templates->subject, &plans);
    template->plans = sg_calloc(plans.count, sizeof(*template->plans));
    if (template->plans == NULL)
        return false;
    template->plan_count = plans.count;
    template->is_exact = plans.is_exact;
    templates->bytes += plans.count * sizeof(*template->plans);
    bool is_fine = true;
    for (size_t i = 0; i < plans.count; i++) {
        struct sg_cel_template_plan *made = &template->plans[i];
        made->plan = plans.items[i];
        for (size_t k = 0; k < made->plan.count && is_fine; k++) {
            made->paths[k] = path_get(templates, made->plan.atoms[k].chain, tree->constants);
            is_fine = made->paths[k] != NULL;
        }
    }
    return is_fine;
}

static struct sg_cel_template *template_create(struct sg_cel_templates *templates, struct sg_str shape, struct sg_str text)
{
    struct sg_cel_template *template = sg_calloc(1, sizeof(*template) + shape.len);
    if (template == NULL)
        return NULL;
    memcpy(template + 1, shape.ptr, shape.len);
    template->shape = (struct sg_str){(const char *)(template + 1), shape.len};
    templates->bytes += sizeof(*template) + shape.len;
    if (template_fill(templates, template, text) && sg_map_add(&templates->by_shape, template) == SG_OK)
        return template;
    template_free(templates, template);
    return NULL;
}

struct sg_cel_template *sg_cel_template_get(struct sg_cel_templates *templates, const struct sg_cel_program *program)
{
    struct sg_buf shape = {0};
    append_shape(program->tree.root, program->tree.constants, false, &shape);
    struct sg_cel_template *template = NULL;
    if (!shape.is_failed) {
        template = sg_map_get_str(&templates->by_shape, sg_buf_str(&shape));
        if (template == NULL)
            template = template_create(templates, sg_buf_str(&shape), program->text);
    }
    sg_buf_free(&shape);
    if (template != NULL)
        template->users++;
    return template;
}

void sg_cel_template_put(struct sg_cel_templates *templates, struct sg_cel_template *template)
{
    assert(template->users > 0);
    if (--template->users > 0)
        return;
    sg_map_remove_str(&templates->by_shape, template->shape);
    template_free(templates, template);
}

void sg_cel_templates_free(struct sg_cel_templates *templates)
{
    size_t cursor = 0;
    for (struct sg_cel_template *template; (template = sg_map_next(&templates->by_shape, &cursor)) != NULL;)
        template_free(templates, template);
    sg_map_free(&templates->by_shape);
    sg_map_free(&templates->by_path);
    sg_free(templates->paths);
}

/* ---- constants ---- */

/* Literals nest as deep as expressions, so these two may recurse. */
static size_t value_bytes(const struct sg_cel_value *value)
{
    size_t bytes = 0;
    if (value->kind == SG_CEL_STRING || value->kind == SG_CEL_BYTES)
        return (value->count + 15) & ~(size_t)15;
    if (value->kind == SG_CEL_LIST) {
        for (uint32_t i = 0; i < value->count; i++)
            bytes += sizeof(*value) + value_bytes(&value->as.items[i]);
    } else if (value->kind == SG_CEL_MAP) {
        for (uint32_t i = 0; i < value->count; i++)
            bytes += sizeof(struct sg_cel_entry) + value_bytes(&value->as.entries[i].key) + value_bytes(&value->as.entries[i].value);
    }
    return bytes;
}

/* A copy of a value whose parts are at *bytes, which moves behind them. */
static struct sg_cel_value copy_value(const struct sg_cel_value *value, char **bytes)
{
    struct sg_cel_value copy = *value;
    char *start = *bytes;
    assert(value->kind != SG_CEL_TIMESTAMP && value->kind < SG_CEL_UNKNOWN); /* no literal of the language is one */
    if (value->kind == SG_CEL_STRING || value->kind == SG_CEL_BYTES) {
        if (value->count > 0)
            memcpy(start, value->as.bytes, value->count);
        copy.as.bytes = start;
        *bytes += (value->count + 15) & ~(size_t)15;
    } else if (value->kind == SG_CEL_LIST) {
        struct sg_cel_value *items = (struct sg_cel_value *)(void *)start;
        *bytes += value->count * sizeof(*items);
        for (uint32_t i = 0; i < value->count; i++)
            items[i] = copy_value(&value->as.items[i], bytes);
        copy.as.items = items;
    } else if (value->kind == SG_CEL_MAP) {
        struct sg_cel_entry *entries = (struct sg_cel_entry *)(void *)start;
        *bytes += value->count * sizeof(*entries);
        for (uint32_t i = 0; i < value->count; i++) {
            entries[i].key = copy_value(&value->as.entries[i].key, bytes);
            entries[i].value = copy_value(&value->as.entries[i].value, bytes);
        }
        copy.as.entries = entries;
    }
    return copy;
}

size_t sg_cel_constants_bytes(const struct sg_cel_tree *tree)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < tree->constant_count; i++)
        bytes += value_bytes(&tree->constants[i]);
    return bytes;
}

void sg_cel_constants_copy(const struct sg_cel_tree *tree, struct sg_cel_value *constants, char *bytes)
{
    for (uint32_t i = 0; i < tree->constant_count; i++)
        constants[i] = copy_value(&tree->constants[i], &bytes);
}
