/* Running out of memory at every allocation in turn: an error each time, nothing lost, nothing half done. */
#include "cel_fixture.h"

#include "base/alloc.h"

#define EXPRESSION                                                                                                                         \
    "event.data.id == async.data.id && async.data.l.filter(i, i.a in [\"x\", 1, 2.5]).map(i, i.a + \"-\" + 1).size() > 0 && "              \
    "string(now()) != \"x\" && {\"a\": [1, 2]}.a[1] == 2 && async.data.t.matches(event.data.id) == false"
#define DATA "{\"data\":{\"id\":\"ab\",\"l\":[{\"a\":\"x\"},{\"a\":1}],\"t\":\"tt\\n\"},\"id\":\"1\"}"

static enum sg_status everything(bool *result)
{
    struct sg_arena arena;
    struct sg_cel_document document;
    struct sg_cel_program *program = NULL;
    struct sg_cel_program *stored = NULL;
    struct sg_buf text = {0};
    struct sg_error error;
    enum sg_cel_verdict verdict;
    sg_arena_init(&arena);
    enum sg_status status = sg_cel_compile(S(EXPRESSION), SG_CEL_CHECK_FULL, &program, &error);
    if (status == SG_OK)
        status = sg_cel_document_parse_event(S(DATA), &arena, &document, &error);
    if (status == SG_OK)
        status = sg_cel_interpolate(program, &document, &text, &verdict, &error);
    if (status == SG_OK)
        status = sg_cel_compile(sg_buf_str(&text), SG_CEL_CHECK_STORED, &stored, &error);
    struct sg_cel_scope scope = {.async = &document, .now_ms = NOW_MS};
    if (status == SG_OK)
        status = sg_cel_evaluate_bool(stored, &scope, &arena, result, &error);
    sg_buf_free(&text);
    sg_cel_program_free(program);
    sg_cel_program_free(stored);
    sg_arena_free(&arena);
    return status;
}

Test(cel_memory, compiling_interpolating_and_evaluating_survive_every_failed_allocation)
{
    uint64_t nth = 0;
    enum sg_status status;
    bool result = false;
    do {
        sg_alloc_fail_at(++nth, false);
        status = everything(&result);
        cr_assert(status == SG_OK || status == SG_NO_MEMORY, "allocation %llu: status %d", (unsigned long long)nth, status);
    } while (status != SG_OK || sg_alloc_has_failed());
    sg_alloc_fail_at(0, false);
    cr_assert(result);
    cr_assert(nth > 10);
}

static bool found(void *context, void *owner)
{
    (void)owner;
    ++*(size_t *)context;
    return true;
}

/* Adds, matches and removes; whatever fails, the index must stay whole. */
static enum sg_status use_index(struct sg_cel_index *index, struct sg_cel_program *const programs[3], const struct sg_cel_scope *scope)
{
    struct sg_cel_waiter *waiters[3] = {NULL, NULL, NULL};
    enum sg_status status = SG_OK;
    size_t count = 0;
    for (size_t i = 0; i < 3 && status == SG_OK; i++)
        status = sg_cel_index_add(index, programs[i], NULL, &waiters[i]);
    if (status == SG_OK)
        status = sg_cel_index_match(index, scope, found, &count);
    for (size_t i = 0; i < 3; i++) {
        if (waiters[i] != NULL)
            sg_cel_index_remove(index, waiters[i]);
    }
    cr_assert(status != SG_OK || count == 2);
    return status;
}

Test(cel_memory, the_index_survives_every_failed_allocation)
{
    struct sg_arena arena;
    struct sg_cel_document document;
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_cel_document_parse_event(S(DATA), &arena, &document, NULL), SG_OK));
    struct sg_cel_scope scope = {.async = &document};
    struct sg_cel_program *programs[3] = {cel_compile("async.data.id == \"ab\" && async.data.l.exists(i, i.a == 1)", SG_CEL_CHECK_FULL),
                                          cel_compile("async.data.id in [\"q\", \"r\"]", SG_CEL_CHECK_FULL), NULL};
    uint64_t nth = 0;
    enum sg_status status;
    do {
        struct sg_cel_index *index;
        sg_alloc_fail_at(++nth, false);
        status = sg_cel_index_create(SG_CEL_SUBJECT_ASYNC, &index);
        if (status == SG_OK) {
            status = use_index(index, programs, &scope);
            cr_assert(eq(sz, sg_cel_index_count(index), 0));
        }
        sg_cel_index_free(index);
        cr_assert(status == SG_OK || status == SG_NO_MEMORY);
    } while (status != SG_OK || sg_alloc_has_failed());
    sg_alloc_fail_at(0, false);
    cr_assert(nth > 5);
    sg_cel_program_free(programs[0]);
    sg_cel_program_free(programs[1]);
    sg_arena_free(&arena);
}
