/*
 * The index: of a hundred thousand expressions, those that are true for one event (reference/05 §7.2).
 *
 * The model. Every waiter is one allocation: its constants, and a node in the hash table for each key that it can be found by,
 * a key being an attribute path and a constant. The tree it shares with all waiters of its shape (template.c). An event is
 * asked for the value of every path in use and the table for that value; an absent attribute asks for null, a list also for
 * its elements. Waiters that no key can find stand in a list and are evaluated every time. What is found is put in the order
 * in which it was added, evaluated, and reported.
 *
 * Cost. A waiter `async.data.id == "<uuid>"` takes about 160 bytes. An event that nobody waits for costs one look-up a path.
 *
 * What it never does: decide by a hash. A waiter is reported if its whole expression is true, or if it consists of one
 * comparison and that has been made.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/list.h"
#include "cel/buckets.h"
#include "cel/eval.h"
#include "cel/template.h"

#define INDEX_MAGIC 0x53474349u
#define WAITER_MAGIC 0x53474357u

/* How many waiters behind a key are counted before it is as bad as any other. */
#define CROWD_MAX 32

struct sg_cel_waiter {
    uint32_t magic;
    uint32_t node_count;
    struct sg_cel_template *template; /* NULL: no expression */
    void *owner;
    uint64_t serial; /* the order in which waiters were added */
    struct sg_list_node in_list;
    uint32_t bytes; /* of this allocation */
    uint16_t plan;  /* which of the template's plans its nodes follow */
    bool is_scanned;
    struct sg_cel_bucket_node nodes[];
    /* behind them: the constants, then their bytes */
};

struct candidate {
    struct sg_cel_waiter *waiter;
    bool is_sure; /* the comparison that it consists of has been made */
};

struct sg_cel_index {
    uint32_t magic;
    struct sg_cel_templates templates;
    struct sg_cel_buckets buckets;
    struct sg_list found_by_key;
    struct sg_list scanned; /* evaluated for every event, or without an expression */
    size_t count;
    size_t scanned_count;
    size_t waiter_bytes;
    uint64_t next_serial;
    struct candidate *candidates; /* of the match under way; kept for the next one */
    size_t candidate_count;
    size_t candidate_capacity;
    struct sg_arena scratch; /* of one evaluation */
    struct sg_cel_index_stats stats;
};

enum sg_status sg_cel_index_create(enum sg_cel_subject subject, struct sg_cel_index **index)
{
    struct sg_cel_index *made = sg_calloc(1, sizeof(*made));
    *index = NULL;
    if (made == NULL)
        return SG_NO_MEMORY;
    made->magic = INDEX_MAGIC;
    sg_cel_templates_init(&made->templates, subject == SG_CEL_SUBJECT_EVENT ? SG_CEL_V_EVENT : SG_CEL_V_ASYNC);
    sg_arena_init(&made->scratch);
    if (!sg_cel_buckets_init(&made->buckets)) {
        sg_free(made);
        return SG_NO_MEMORY;
    }
    *index = made;
    return SG_OK;
}

static void free_list(struct sg_list *list)
{
    for (struct sg_list_node *node; (node = sg_list_pop_front(list)) != NULL;) {
        struct sg_cel_waiter *waiter = SG_CONTAINER_OF(node, struct sg_cel_waiter, in_list);
        waiter->magic = 0;
        sg_free(waiter);
    }
}

void sg_cel_index_free(struct sg_cel_index *index)
{
    if (index == NULL)
        return;
    SG_CHECK(index, INDEX_MAGIC);
    free_list(&index->found_by_key);
    free_list(&index->scanned);
    sg_cel_buckets_free(&index->buckets);
    sg_cel_templates_free(&index->templates);
    sg_arena_free(&index->scratch);
    sg_free(index->candidates);
    index->magic = 0;
    sg_free(index);
}

/* ---- keys ---- */

enum key_class { KEY_VALUE, KEY_MEMBER };

/* The hash of a path and a value; numbers by their double, as they compare (reference/05 §3.2). */
static uint32_t hash_key(const struct sg_cel_key_path *path, enum key_class class, const struct sg_cel_value *value)
{
    uint64_t hash;
    if (value->kind == SG_CEL_STRING) {
        hash = sg_hash_bytes(value->as.bytes, value->count);
    } else if (sg_cel_is_number(value)) {
        double number = sg_cel_to_number(value) + 0.0; /* no negative zero */
        hash = sg_hash_bytes(&number, sizeof(number)) + 1;
    } else {
        hash = value->kind == SG_CEL_NULL ? 2 : value->as.boolean ? 3 : 4;
    }
    hash ^= (path->salt * 2 + class) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 32;
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(hash >> 32);
}

static const struct sg_cel_value *waiter_constants(const struct sg_cel_waiter *waiter)
{
    const void *end = &waiter->nodes[waiter->node_count];
    return end;
}

/* The keys of an atom, one after the other: `i` counts them; NULL when there are no more. */
static const struct sg_cel_value *atom_key(const struct sg_cel_atom *atom, const struct sg_cel_value *constants, uint32_t i)
{
    const struct sg_cel_value *constant = &constants[atom->slot];
    if (atom->kind == SG_CEL_ATOM_AMONG)
        return i < constant->count ? &constant->as.items[i] : NULL;
    return i == 0 ? constant : NULL;
}

static size_t plan_key_count(const struct sg_cel_plan *plan, const struct sg_cel_value *constants)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->count; i++)
        count += plan->atoms[i].kind == SG_CEL_ATOM_AMONG ? constants[plan->atoms[i].slot].count : 1;
    return count;
}

static enum key_class atom_class(const struct sg_cel_atom *atom)
{
    return atom->kind == SG_CEL_ATOM_MEMBER ? KEY_MEMBER : KEY_VALUE;
}

/* Whether the plan can be followed with these constants: the template's were others, and lists differ in length and kinds. */
static bool is_plan_possible(const struct sg_cel_plan *plan, const struct sg_cel_value *constants)
{
    if (plan_key_count(plan, constants) > SG_LIMIT_CEL_KEYS_PER_WAITER)
        return false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct sg_cel_value *key;
        for (uint32_t k = 0; (key = atom_key(&plan->atoms[i], constants, k)) != NULL; k++) {
            bool is_key = key->kind == SG_CEL_STRING || key->kind == SG_CEL_NULL || key->kind == SG_CEL_BOOL || sg_cel_is_number(key);
            if (!is_key || (key->kind == SG_CEL_DOUBLE && key->as.number != key->as.number))
                return false;
        }
    }
    return true;
}

/* How many waiters stand behind the keys of a plan already, counting up to a limit. */
static size_t crowd_of(const struct sg_cel_index *index, const struct sg_cel_template *template, size_t plan_number,
                       const struct sg_cel_value *constants)
{
    const struct sg_cel_template_plan *made = &template->plans[plan_number];
    const struct sg_cel_plan *plan = &made->plan;
    size_t crowd = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct sg_cel_value *key;
        for (uint32_t k = 0; (key = atom_key(&plan->atoms[i], constants, k)) != NULL; k++) {
            uint32_t hash = hash_key(made->paths[i], atom_class(&plan->atoms[i]), key);
            struct sg_cel_bucket_node *node = sg_cel_buckets_first(&index->buckets, hash);
            for (; node != NULL && crowd < CROWD_MAX; node = sg_cel_buckets_next(&index->buckets, node))
                crowd++;
            if (crowd == CROWD_MAX)
                return crowd;
        }
    }
    return crowd;
}

/* The plan to follow, or -1. Few behind the keys counts most, then how selective such keys usually are. */
static int choose_plan(const struct sg_cel_index *index, const struct sg_cel_template *template, const struct sg_cel_value *constants)
{
    int best = -1;
    size_t best_cost = SIZE_MAX;
    for (size_t i = 0; i < template->plan_count; i++) {
        const struct sg_cel_plan *plan = &template->plans[i].plan;
        if (!is_plan_possible(plan, constants))
            continue;
        size_t cost = (size_t)plan->rank;
        if (template->plan_count > 1)
            cost += 2 * crowd_of(index, template, i, constants);
        if (cost < best_cost) {
            best = (int)i;
            best_cost = cost;
        }
    }
    return best;
}

static void count_key(struct sg_cel_key_path *path, enum key_class class, const struct sg_cel_value *key, size_t change)
{
    if (class == KEY_MEMBER)
        path->member_keys += change;
    else if (key->kind == SG_CEL_NULL)
        path->null_keys += change;
    else
        path->keys += change;
}

/* Puts the waiter's nodes into the table (`is_adding`) or takes them out. */
static void link_keys(struct sg_cel_index *index, struct sg_cel_waiter *waiter, bool is_adding)
{
    if (waiter->node_count == 0)
        return;
    const struct sg_cel_value *constants = waiter_constants(waiter);
    const struct sg_cel_template_plan *made = &waiter->template->plans[waiter->plan];
    const struct sg_cel_plan *plan = &made->plan;
    uint32_t next = 0;
    for (size_t i = 0; i < plan->count; i++) {
        struct sg_cel_key_path *path = made->paths[i];
        enum key_class class = atom_class(&plan->atoms[i]);
        const struct sg_cel_value *key;
        for (uint32_t k = 0; (key = atom_key(&plan->atoms[i], constants, k)) != NULL; k++) {
            struct sg_cel_bucket_node *node = &waiter->nodes[next];
            count_key(path, class, key, is_adding ? 1 : (size_t)-1);
            if (is_adding) {
                *node = (struct sg_cel_bucket_node){.hash = hash_key(path, class, key), .ordinal = next};
                sg_cel_buckets_add(&index->buckets, node);
            } else {
                sg_cel_buckets_remove(&index->buckets, node);
            }
            next++;
        }
    }
    assert(next == waiter->node_count);
}

/* ---- adding and removing ---- */

static struct sg_cel_waiter *waiter_create(const struct sg_cel_tree *tree, size_t node_count)
{
    size_t constants_bytes = tree != NULL ? tree->constant_count * sizeof(struct sg_cel_value) : 0;
    size_t bytes = sizeof(struct sg_cel_waiter) + node_count * sizeof(struct sg_cel_bucket_node) + constants_bytes;
    size_t total = bytes + (tree != NULL ? sg_cel_constants_bytes(tree) : 0);
    struct sg_cel_waiter *waiter = total < UINT32_MAX ? sg_malloc(total) : NULL;
    if (waiter == NULL)
        return NULL;
    *waiter = (struct sg_cel_waiter){.magic = WAITER_MAGIC, .node_count = (uint32_t)node_count, .bytes = (uint32_t)total};
    if (tree != NULL)
        sg_cel_constants_copy(tree, (struct sg_cel_value *)waiter_constants(waiter), (char *)waiter + bytes);
    return waiter;
}

enum sg_status sg_cel_index_add(struct sg_cel_index *index, const struct sg_cel_program *program, void *owner,
                                struct sg_cel_waiter **waiter)
{
    SG_CHECK(index, INDEX_MAGIC);
    struct sg_cel_template *template = NULL;
    int plan = -1;
    size_t node_count = 0;
    if (program != NULL) {
        SG_CHECK(program, SG_CEL_PROGRAM_MAGIC);
        template = sg_cel_template_get(&index->templates, program);
        if (template == NULL)
            return SG_NO_MEMORY;
        assert(template->program->tree.constant_count == program->tree.constant_count);
        plan = choose_plan(index, template, program->tree.constants);
        if (plan >= 0)
            node_count = plan_key_count(&template->plans[plan].plan, program->tree.constants);
    }
    struct sg_cel_waiter *made = waiter_create(program != NULL ? &program->tree : NULL, node_count);
    if (made == NULL) {
        if (template != NULL)
            sg_cel_template_put(&index->templates, template);
        return SG_NO_MEMORY;
    }
    made->template = template;
    made->owner = owner;
    made->serial = index->next_serial++;
    made->plan = (uint16_t)(plan >= 0 ? plan : 0);
    made->is_scanned = plan < 0;
    link_keys(index, made, true);
    sg_list_push_back(made->is_scanned ? &index->scanned : &index->found_by_key, &made->in_list);
    index->scanned_count += made->is_scanned;
    index->count++;
    index->waiter_bytes += made->bytes;
    *waiter = made;
    return SG_OK;
}

void sg_cel_index_remove(struct sg_cel_index *index, struct sg_cel_waiter *waiter)
{
    SG_CHECK(index, INDEX_MAGIC);
    SG_CHECK(waiter, WAITER_MAGIC);
    link_keys(index, waiter, false);
    sg_list_remove(waiter->is_scanned ? &index->scanned : &index->found_by_key, &waiter->in_list);
    index->scanned_count -= waiter->is_scanned;
    index->count--;
    index->waiter_bytes -= waiter->bytes;
    if (waiter->template != NULL)
        sg_cel_template_put(&index->templates, waiter->template);
    waiter->magic = 0;
    sg_free(waiter);
}

size_t sg_cel_index_count(const struct sg_cel_index *index)
{
    SG_CHECK(index, INDEX_MAGIC);
    return index->count;
}

size_t sg_cel_index_bytes(const struct sg_cel_index *index)
{
    SG_CHECK(index, INDEX_MAGIC);
    return sizeof(*index) + index->waiter_bytes + index->templates.bytes + sg_cel_buckets_bytes(&index->buckets) +
           index->candidate_capacity * sizeof(*index->candidates);
}

/* ---- matching ---- */

static bool add_candidate(struct sg_cel_index *index, struct sg_cel_waiter *waiter, bool is_sure)
{
    if (index->candidate_count == index->candidate_capacity) {
        size_t capacity = index->candidate_capacity > 0 ? index->candidate_capacity * 2 : 16;
        struct candidate *candidates = sg_realloc(index->candidates, capacity * sizeof(*candidates));
        if (candidates == NULL)
            return false;
        index->candidates = candidates;
        index->candidate_capacity = capacity;
    }
    index->candidates[index->candidate_count++] = (struct candidate){.waiter = waiter, .is_sure = is_sure};
    return true;
}

static struct sg_cel_waiter *node_waiter(const struct sg_cel_bucket_node *node)
{
    const struct sg_cel_bucket_node *first = node - node->ordinal;
    return SG_CONTAINER_OF((void *)(uintptr_t)first, struct sg_cel_waiter, nodes);
}

/* Makes the comparison that the whole expression consists of; `value` NULL: the attribute is absent. */
static bool is_equal_to(const struct sg_cel_waiter *waiter, const struct sg_cel_value *value)
{
    const struct sg_cel_value *constant = &waiter_constants(waiter)[waiter->template->plans[0].plan.atoms[0].slot];
    int64_t steps = SG_LIMIT_CEL_STEPS;
    if (value == NULL)
        return constant->kind == SG_CEL_NULL;
    return sg_cel_equal(constant, value, &steps);
}

/* Everybody behind one key becomes a candidate. */
static bool probe(struct sg_cel_index *index, const struct sg_cel_key_path *path, enum key_class class, const struct sg_cel_value *key,
                  const struct sg_cel_value *value)
{
    index->stats.probes++;
    struct sg_cel_bucket_node *node = sg_cel_buckets_first(&index->buckets, hash_key(path, class, key));
    for (; node != NULL; node = sg_cel_buckets_next(&index->buckets, node)) {
        struct sg_cel_waiter *waiter = node_waiter(node);
        SG_CHECK(waiter, WAITER_MAGIC);
        bool is_sure = waiter->template->is_exact;
        if (is_sure && (waiter->template->plans[0].paths[0] != path || !is_equal_to(waiter, value)))
            continue;
        if (!add_candidate(index, waiter, is_sure))
            return false;
    }
    return true;
}

static bool is_probed(const struct sg_cel_value *value)
{
    return value->kind == SG_CEL_STRING || value->kind == SG_CEL_BOOL || sg_cel_is_number(value);
}

/* The elements of a list, or the keys of a map: what `constant in path` looks through. */
static bool probe_members(struct sg_cel_index *index, const struct sg_cel_key_path *path, const struct sg_cel_value *value)
{
    for (uint32_t i = 0; i < value->count; i++) {
        const struct sg_cel_value *member = value->kind == SG_CEL_LIST ? &value->as.items[i] : &value->as.entries[i].key;
        if (is_probed(member) && !probe(index, path, KEY_MEMBER, member, value))
            return false;
    }
    return true;
}

static bool probe_path(struct sg_cel_index *index, const struct sg_cel_key_path *path, const struct sg_cel_value *root)
{
    const struct sg_cel_value null = {.kind = SG_CEL_NULL};
    if (path->keys + path->null_keys + path->member_keys == 0)
        return true;
    const struct sg_cel_value *value = sg_cel_key_path_find(path, root);
    if (value == NULL || value->kind == SG_CEL_NULL)
        return path->null_keys == 0 || probe(index, path, KEY_VALUE, &null, value);
    if (is_probed(value))
        return path->keys == 0 || probe(index, path, KEY_VALUE, value, value);
    bool has_members = value->kind == SG_CEL_LIST || value->kind == SG_CEL_MAP;
    return path->member_keys == 0 || !has_members || probe_members(index, path, value);
}

static bool collect(struct sg_cel_index *index, const struct sg_cel_value *root)
{
    index->candidate_count = 0;
    for (size_t i = 0; i < index->templates.path_count; i++) {
        if (!probe_path(index, index->templates.paths[i], root))
            return false;
    }
    for (struct sg_list_node *node = index->scanned.first; node != NULL; node = node->next) {
        struct sg_cel_waiter *waiter = SG_CONTAINER_OF(node, struct sg_cel_waiter, in_list);
        if (!add_candidate(index, waiter, waiter->template == NULL))
            return false;
    }
    return true;
}

static uint64_t serial_of(const struct candidate *candidate)
{
    return candidate->waiter->serial;
}

/* Restores the heap (largest serial on top) below `i`. */
static void sift_down(struct candidate *candidates, size_t i, size_t count)
{
    for (size_t child; (child = 2 * i + 1) < count; i = child) {
        if (child + 1 < count && serial_of(&candidates[child + 1]) > serial_of(&candidates[child]))
            child++;
        if (serial_of(&candidates[i]) >= serial_of(&candidates[child]))
            return;
        struct candidate swap = candidates[i];
        candidates[i] = candidates[child];
        candidates[child] = swap;
    }
}

/* By serial, which makes the order of reports independent of hashes and finds who has been found twice. */
static void sort_candidates(struct candidate *candidates, size_t count)
{
    bool is_sorted = true;
    for (size_t i = 1; i < count && is_sorted; i++)
        is_sorted = serial_of(&candidates[i - 1]) <= serial_of(&candidates[i]);
    if (is_sorted)
        return;
    for (size_t i = count / 2; i > 0; i--)
        sift_down(candidates, i - 1, count);
    for (size_t end = count; end > 1; end--) {
        struct candidate largest = candidates[0];
        candidates[0] = candidates[end - 1];
        candidates[end - 1] = largest;
        sift_down(candidates, 0, end - 1);
    }
}

/* Whether the whole expression is true; SG_NO_MEMORY is the only error that counts. */
static enum sg_status evaluate(struct sg_cel_index *index, const struct sg_cel_waiter *waiter, const struct sg_cel_scope *scope,
                               bool *is_true)
{
    const struct sg_cel_tree *tree = &waiter->template->program->tree;
    int64_t steps = SG_LIMIT_CEL_STEPS;
    index->stats.evaluations++;
    struct sg_cel_value value = sg_cel_run(tree, tree->root, waiter_constants(waiter), scope, &index->scratch, &steps);
    *is_true = value.kind == SG_CEL_BOOL && value.as.boolean;
    enum sg_status status = sg_cel_settle(&value, NULL);
    sg_arena_reset(&index->scratch);
    return status == SG_NO_MEMORY ? SG_NO_MEMORY : SG_OK;
}

enum sg_status sg_cel_index_match(struct sg_cel_index *index, const struct sg_cel_scope *scope, bool (*found)(void *context, void *owner),
                                  void *context)
{
    SG_CHECK(index, INDEX_MAGIC);
    const struct sg_cel_document *document = index->templates.subject == SG_CEL_V_EVENT ? scope->event : scope->async;
    assert(document != NULL);
    index->stats = (struct sg_cel_index_stats){.scanned = index->scanned_count, .templates = index->templates.by_shape.count};
    if (!collect(index, &document->root))
        return SG_NO_MEMORY;
    sort_candidates(index->candidates, index->candidate_count);

    const struct sg_cel_waiter *last = NULL;
    for (size_t i = 0; i < index->candidate_count; i++) {
        struct sg_cel_waiter *waiter = index->candidates[i].waiter;
        if (waiter == last)
            continue;
        last = waiter;
        bool is_true = index->candidates[i].is_sure;
        if (!is_true && evaluate(index, waiter, scope, &is_true) != SG_OK)
            return SG_NO_MEMORY;
        if (!is_true)
            continue;
        index->stats.matches++;
        if (!found(context, waiter->owner))
            break;
    }
    return SG_OK;
}

void sg_cel_index_stats(const struct sg_cel_index *index, struct sg_cel_index_stats *stats)
{
    SG_CHECK(index, INDEX_MAGIC);
    *stats = index->stats;
}
