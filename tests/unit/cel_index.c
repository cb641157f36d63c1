/* What the index promises: few look-ups, little memory, order, every kind of key. */
#include "cel_fixture.h"

#include <stdio.h>

#include "base/rng.h"

struct fixture {
    struct sg_cel_index *index;
    struct sg_arena arena;
    struct sg_cel_document event;
    char found[256];
};

static struct fixture fixture_create(void)
{
    struct fixture f = {.index = NULL};
    sg_arena_init(&f.arena);
    cr_assert(eq(int, sg_cel_index_create(SG_CEL_SUBJECT_ASYNC, &f.index), SG_OK));
    return f;
}

static void fixture_free(struct fixture *f)
{
    sg_cel_index_free(f->index);
    sg_arena_free(&f->arena);
}

/* Adds an expression whose owner is a name of one letter. NULL is "no expression". */
static struct sg_cel_waiter *add(struct fixture *f, const char *name, const char *text)
{
    struct sg_cel_waiter *waiter;
    struct sg_cel_program *program = text != NULL ? cel_compile(text, SG_CEL_CHECK_PARSE) : NULL;
    cr_assert(eq(int, sg_cel_index_add(f->index, program, (void *)(uintptr_t)name, &waiter), SG_OK));
    sg_cel_program_free(program);
    return waiter;
}

static bool found(void *context, void *owner)
{
    struct fixture *f = context;
    size_t len = strlen(f->found);
    snprintf(f->found + len, sizeof(f->found) - len, "%s", (const char *)owner);
    return true;
}

/* The names of those whose expression is true for an event with these data, in the order of the reports. */
static const char *match(struct fixture *f, const char *data)
{
    struct sg_cel_document event;
    struct sg_str json = sg_arena_printf(&f->arena, "{\"data\":%s}", data);
    cr_assert(eq(int, sg_cel_document_parse_event(json, &f->arena, &event, NULL), SG_OK));
    struct sg_cel_scope scope = {.async = &event, .now_ms = NOW_MS};
    f->found[0] = '\0';
    cr_assert(eq(int, sg_cel_index_match(f->index, &scope, found, f), SG_OK));
    return f->found;
}

Test(cel_index, every_kind_of_constant_is_found)
{
    struct fixture f = fixture_create();
    add(&f, "s", "async.data.a == \"x\"");
    add(&f, "i", "1 == async.data.a");
    add(&f, "d", "async.data.a == 1.0");
    add(&f, "u", "async.data.a == 1u");
    add(&f, "z", "async.data.a == -0.0");
    add(&f, "b", "async.data.a == true");
    add(&f, "n", "async.data.a == null");
    add(&f, "e", "async.data.a == \"\"");
    add(&f, "m", "async.data.a in [\"x\", 1, null, 2]");
    add(&f, "c", "\"x\" in async.data.a");
    cr_assert_text(match(&f, "{\"a\":\"x\"}"), "sm");
    cr_assert_text(match(&f, "{\"a\":1}"), "idum");
    cr_assert_text(match(&f, "{\"a\":0}"), "z");
    cr_assert_text(match(&f, "{\"a\":true}"), "b");
    cr_assert_text(match(&f, "{\"a\":null}"), "nm");
    cr_assert_text(match(&f, "{}"), "n");
    cr_assert_text(match(&f, "{\"a\":\"\"}"), "e");
    cr_assert_text(match(&f, "{\"a\":[\"y\",\"x\",\"x\"]}"), "c");
    cr_assert_text(match(&f, "{\"a\":{\"x\":1}}"), "c");
    cr_assert_text(match(&f, "{\"a\":\"xx\"}"), "");
    fixture_free(&f);
}

Test(cel_index, logic_stays_correct)
{
    struct fixture f = fixture_create();
    add(&f, "o", "async.data.a == \"x\" || async.data.b == 2");
    add(&f, "a", "async.data.a == \"x\" && async.data.b > 1");
    add(&f, "n", "!(async.data.a != \"x\")");
    add(&f, "N", "!(async.data.a == \"x\")");
    add(&f, "m", "!(async.data.a != \"x\" || async.data.b != 2)");
    add(&f, "r", "async.data.b > 1 && async.data.b < 3");
    add(&f, "t", "true");
    add(&f, "q", "(async.data.a == \"x\" || async.data.a == \"y\") && (async.data.b == 2 || async.data.c == 3)");
    cr_assert_text(match(&f, "{\"a\":\"x\",\"b\":2}"), "oanmrtq");
    cr_assert_text(match(&f, "{\"a\":\"x\"}"), "ont");
    cr_assert_text(match(&f, "{\"b\":2}"), "oNrt");
    cr_assert_text(match(&f, "{\"a\":\"y\",\"c\":3}"), "Ntq");
    cr_assert_text(match(&f, "{}"), "Nt");
    fixture_free(&f);
}

Test(cel_index, waiters_are_reported_in_the_order_in_which_they_were_added)
{
    struct fixture f = fixture_create();
    add(&f, "1", "async.data.a == 1");
    add(&f, "2", NULL);
    struct sg_cel_waiter *third = add(&f, "3", "async.data.b == 1 || async.data.a == 1");
    add(&f, "4", "async.data.a > 0");
    add(&f, "5", "async.data.a in [1]");
    cr_assert_text(match(&f, "{\"a\":1,\"b\":1}"), "12345");
    sg_cel_index_remove(f.index, third);
    add(&f, "6", "async.data.b == 1");
    cr_assert_text(match(&f, "{\"a\":1,\"b\":1}"), "12456");
    fixture_free(&f);
}

static bool found_first(void *context, void *owner)
{
    (void)owner;
    ++*(int *)context;
    return false;
}

Test(cel_index, a_match_stops_when_it_is_told_to)
{
    struct fixture f = fixture_create();
    int calls = 0;
    add(&f, "1", NULL);
    add(&f, "2", NULL);
    cr_assert(eq(int, sg_cel_document_parse_event(S("{}"), &f.arena, &f.event, NULL), SG_OK));
    struct sg_cel_scope scope = {.async = &f.event};
    cr_assert(eq(int, sg_cel_index_match(f.index, &scope, found_first, &calls), SG_OK));
    cr_assert(eq(int, calls, 1));
    fixture_free(&f);
}

static const char *uuid(struct sg_rng *rng)
{
    struct sg_id id;
    static char text[SG_UUID_LEN + 1];
    sg_rng_fill(rng, id.bytes, sizeof(id.bytes));
    sg_uuid_format(id, text);
    return text;
}

#define CROWD 20000

Test(cel_index, a_crowd_costs_a_probe_no_evaluation_and_at_most_256_bytes_each)
{
    struct fixture f = fixture_create();
    struct sg_rng rng;
    struct sg_cel_index_stats stats;
    sg_rng_init(&rng, 1);
    for (int i = 0; i < CROWD; i++)
        add(&f, "x", cel_text("async.data.id == \"%s\"", uuid(&rng)));
    cr_assert_text(match(&f, "{\"id\":\"nobody\"}"), "");
    sg_cel_index_stats(f.index, &stats);
    cr_assert(eq(u64, stats.probes, 1));
    cr_assert(eq(u64, stats.evaluations, 0));
    cr_assert(eq(sz, stats.templates, 1));
    cr_assert(eq(sz, stats.scanned, 0));
    cr_assert(sg_cel_index_bytes(f.index) / CROWD <= 256, "%zu bytes each", sg_cel_index_bytes(f.index) / CROWD);
    fixture_free(&f);
}

Test(cel_index, of_two_comparisons_the_selective_one_is_the_key)
{
    struct fixture f = fixture_create();
    struct sg_rng rng;
    struct sg_cel_index_stats stats;
    sg_rng_init(&rng, 2);
    for (int i = 0; i < 1000; i++)
        add(&f, "x", cel_text("async.data.type == \"order\" && async.data.ok == true && async.data.id == \"%s\"", uuid(&rng)));
    cr_assert_text(match(&f, "{\"type\":\"order\",\"ok\":true,\"id\":\"nobody\"}"), "");
    sg_cel_index_stats(f.index, &stats);
    cr_assert(stats.evaluations < 40, "%llu evaluations", (unsigned long long)stats.evaluations);
    fixture_free(&f);
}

Test(cel_index, failure_handlers_are_found_by_their_function)
{
    struct sg_cel_index *index;
    struct sg_arena arena;
    struct sg_cel_document event;
    struct sg_cel_index_stats stats;
    struct sg_cel_waiter *waiter;
    struct fixture f = {.found = ""};
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_cel_index_create(SG_CEL_SUBJECT_EVENT, &index), SG_OK));
    for (int i = 0; i < 500; i++) {
        struct sg_cel_program *program = cel_compile(cel_text("event.data.function_id == 'app-fn-%d'", i), SG_CEL_CHECK_FULL);
        cr_assert(eq(int, sg_cel_index_add(index, program, (void *)(uintptr_t)(i == 77 ? "77" : "?"), &waiter), SG_OK));
        sg_cel_program_free(program);
    }
    cr_assert(eq(int, sg_cel_document_parse_event(S("{\"data\":{\"function_id\":\"app-fn-77\"}}"), &arena, &event, NULL), SG_OK));
    struct sg_cel_scope scope = {.event = &event};
    cr_assert(eq(int, sg_cel_index_match(index, &scope, found, &f), SG_OK));
    cr_assert_text(f.found, "77");
    sg_cel_index_stats(index, &stats);
    cr_assert(eq(u64, stats.probes, 1));
    cr_assert(eq(u64, stats.evaluations, 0));
    sg_cel_index_free(index);
    sg_arena_free(&arena);
}

Test(cel_index, growing_and_shrinking_loses_nobody)
{
    struct fixture f = fixture_create();
    static struct sg_cel_waiter *waiters[5000];
    size_t empty_bytes = sg_cel_index_bytes(f.index);
    for (int i = 0; i < 5000; i++) {
        waiters[i] = add(&f, "x", cel_text("async.data.id == %d", i));
        if (i % 97 == 0)
            cr_assert_text(match(&f, cel_text("{\"id\":%d}", i / 2)), "x");
    }
    for (int i = 0; i < 5000; i++) {
        cr_assert_text(match(&f, cel_text("{\"id\":%d}", i)), "x");
        sg_cel_index_remove(f.index, waiters[i]);
        cr_assert_text(match(&f, cel_text("{\"id\":%d}", i)), "");
    }
    cr_assert(eq(sz, sg_cel_index_count(f.index), 0));
    cr_assert(sg_cel_index_bytes(f.index) < empty_bytes + 4096);
    fixture_free(&f);
}
