/*
 * The index against brute force: over generated expressions and events, with waiters coming and going, it reports exactly those
 * whose whole expression is true. A million pairs and more.
 */
#include "cel_fixture.h"
#include "cel_generate.h"

#define WAITERS 256
#define ROUNDS 40
#define EVENTS 110 /* a round: 256 * 110 * 40 is 1.1 million pairs */

struct entry {
    struct sg_cel_program *program;
    struct sg_cel_waiter *waiter;
    struct sg_buf text;
    bool is_found;
};

struct world {
    struct sg_rng rng;
    struct sg_cel_index *index;
    enum sg_cel_subject subject;
    struct entry entries[WAITERS];
    uint64_t pairs;
    uint64_t matches;
};

static void entry_remove(struct world *world, struct entry *entry)
{
    if (entry->waiter != NULL)
        sg_cel_index_remove(world->index, entry->waiter);
    sg_cel_program_free(entry->program);
    sg_buf_free(&entry->text);
    *entry = (struct entry){.program = NULL};
}

static void entry_add(struct world *world, struct entry *entry)
{
    const char *subject = world->subject == SG_CEL_SUBJECT_ASYNC ? "async" : "event";
    cel_generate_expression(&world->rng, CEL_DIALECT_ALL, subject, NULL, &entry->text);
    struct sg_error error;
    enum sg_status status = sg_cel_compile(sg_buf_str(&entry->text), SG_CEL_CHECK_PARSE, &entry->program, &error);
    cr_assert(status == SG_OK, "%.*s: %s", SG_FMT(sg_buf_str(&entry->text)), error.message);
    cr_assert(eq(int, sg_cel_index_add(world->index, entry->program, entry, &entry->waiter), SG_OK));
}

static bool found(void *context, void *owner)
{
    struct entry *entry = owner;
    (void)context;
    cr_assert(not(entry->is_found), "reported twice");
    entry->is_found = true;
    return true;
}

static void match_one_event(struct world *world)
{
    struct sg_arena arena;
    struct sg_buf json = {0};
    struct sg_cel_document document;
    sg_arena_init(&arena);
    cel_generate_event(&world->rng, false, &json);
    cr_assert(eq(int, sg_cel_document_parse_event(sg_buf_str(&json), &arena, &document, NULL), SG_OK));
    struct sg_cel_scope scope = {.now_ms = NOW_MS};
    if (world->subject == SG_CEL_SUBJECT_ASYNC)
        scope.async = &document;
    else
        scope.event = &document;

    for (size_t i = 0; i < WAITERS; i++)
        world->entries[i].is_found = false;
    cr_assert(eq(int, sg_cel_index_match(world->index, &scope, found, NULL), SG_OK));
    for (size_t i = 0; i < WAITERS; i++) {
        struct entry *entry = &world->entries[i];
        if (entry->program == NULL)
            continue;
        bool is_true;
        sg_cel_evaluate_bool(entry->program, &scope, &arena, &is_true, NULL);
        cr_assert(entry->is_found == is_true, "%.*s is %s for %.*s, the index says otherwise", SG_FMT(sg_buf_str(&entry->text)),
                  is_true ? "true" : "false", SG_FMT(sg_buf_str(&json)));
        world->pairs++;
        world->matches += is_true;
    }
    sg_buf_free(&json);
    sg_arena_free(&arena);
}

static void run(enum sg_cel_subject subject, uint64_t seed, int rounds, uint64_t pairs_min)
{
    struct world world = {.subject = subject};
    sg_rng_init(&world.rng, seed);
    cr_assert(eq(int, sg_cel_index_create(subject, &world.index), SG_OK));
    for (size_t i = 0; i < WAITERS; i++)
        entry_add(&world, &world.entries[i]);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < EVENTS; i++)
            match_one_event(&world);
        for (size_t i = 0; i < WAITERS / 2; i++) {
            struct entry *entry = &world.entries[sg_rng_below(&world.rng, WAITERS)];
            entry_remove(&world, entry);
            entry_add(&world, entry);
        }
    }
    cr_assert(world.pairs >= pairs_min);
    cr_assert(world.matches > world.pairs / 20, "too few matches to mean anything");
    for (size_t i = 0; i < WAITERS; i++)
        entry_remove(&world, &world.entries[i]);
    cr_assert(eq(sz, sg_cel_index_count(world.index), 0));
    sg_cel_index_free(world.index);
}

Test(cel_index_property, pauses_are_found_exactly_when_their_expression_is_true)
{
    run(SG_CEL_SUBJECT_ASYNC, 1, ROUNDS, 1000000);
}

Test(cel_index_property, triggers_are_found_exactly_when_their_expression_is_true)
{
    run(SG_CEL_SUBJECT_EVENT, 2, ROUNDS / 10, 100000);
}
