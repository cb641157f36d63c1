/* The hash map, the heap and the list. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rng.h"

struct thing {
    int number;
    struct sg_id id;
    struct sg_str name;
    char name_bytes[16];
    bool is_in;
    bool is_seen;
};

static struct thing *make_things(size_t count, uint64_t seed)
{
    struct sg_rng rng;
    struct thing *things = calloc(count, sizeof(*things));
    cr_assert(things != NULL);
    sg_rng_init(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        sg_rng_fill(&rng, things[i].id.bytes, sizeof(things[i].id.bytes));
        things[i].number = (int)i;
        things[i].name.ptr = things[i].name_bytes;
        things[i].name.len = (size_t)snprintf(things[i].name_bytes, sizeof(things[i].name_bytes), "name/%zu", i);
    }
    return things;
}

Test(map, finds_what_was_added_by_id)
{
    enum { COUNT = 20000 };
    struct thing *things = make_things(2 * COUNT, 1);
    struct sg_map map;
    sg_map_init_ids(&map, offsetof(struct thing, id));
    cr_assert(sg_map_get_id(&map, things[0].id) == NULL);
    for (int i = 0; i < COUNT; i++)
        cr_assert(sg_map_add(&map, &things[i]) == SG_OK);
    cr_assert(eq(sz, map.count, COUNT));
    for (int i = 0; i < 2 * COUNT; i++)
        cr_assert(sg_map_get_id(&map, things[i].id) == (i < COUNT ? &things[i] : NULL));
    sg_map_free(&map);
    free(things);
}

Test(map, finds_what_was_added_by_text)
{
    struct thing *things = make_things(1000, 2);
    struct sg_map map;
    sg_map_init_strs(&map, offsetof(struct thing, name));
    for (int i = 0; i < 1000; i++)
        cr_assert(sg_map_add(&map, &things[i]) == SG_OK);
    cr_assert(sg_map_get_str(&map, SG_STR("name/77")) == &things[77]);
    cr_assert(sg_map_get_str(&map, SG_STR("name/1000")) == NULL);
    cr_assert(sg_map_remove_str(&map, SG_STR("name/77")) == &things[77]);
    cr_assert(sg_map_get_str(&map, SG_STR("name/77")) == NULL);
    cr_assert(sg_map_remove_str(&map, SG_STR("name/77")) == NULL);
    sg_map_free(&map);
    free(things);
}

Test(map, refuses_a_second_entry_with_the_same_key)
{
    struct thing *things = make_things(2, 3);
    struct sg_map map;
    sg_map_init_ids(&map, offsetof(struct thing, id));
    things[1].id = things[0].id;
    cr_assert(sg_map_add(&map, &things[0]) == SG_OK);
    cr_assert(sg_map_add(&map, &things[1]) == SG_CONFLICT);
    cr_assert(sg_map_get_id(&map, things[0].id) == &things[0]);
    cr_assert(eq(sz, map.count, 1));
    sg_map_free(&map);
    free(things);
}

static void check_same(struct sg_map *map, struct thing *things, size_t count)
{
    size_t cursor = 0;
    size_t walked = 0;
    size_t in = 0;
    struct thing *thing;
    for (size_t i = 0; i < count; i++) {
        things[i].is_seen = false;
        in += things[i].is_in ? 1 : 0;
        cr_assert(things[i].is_in == (sg_map_get_id(map, things[i].id) != NULL));
    }
    while ((thing = sg_map_next(map, &cursor)) != NULL) {
        cr_assert(thing->is_in && !thing->is_seen);
        thing->is_seen = true;
        walked++;
    }
    cr_assert(eq(sz, walked, in));
    cr_assert(eq(sz, map->count, in));
}

Test(map, agrees_with_a_plain_array_through_random_work)
{
    enum { COUNT = 3000, ROUNDS = 60000 };
    struct thing *things = make_things(COUNT, 4);
    struct sg_map map;
    struct sg_rng rng;
    sg_rng_init(&rng, 5);
    sg_map_init_ids(&map, offsetof(struct thing, id));
    for (int round = 0; round < ROUNDS; round++) {
        /* Grows, shrinks, grows again. */
        bool adds = sg_rng_below(&rng, 10) < (uint64_t)(round / (ROUNDS / 4) % 2 == 0 ? 8 : 2);
        struct thing *thing = &things[sg_rng_below(&rng, COUNT)];
        if (adds) {
            cr_assert(sg_map_add(&map, thing) == (thing->is_in ? SG_CONFLICT : SG_OK));
            thing->is_in = true;
        } else {
            cr_assert(sg_map_remove_id(&map, thing->id) == (thing->is_in ? thing : NULL));
            thing->is_in = false;
        }
        if (round % 5000 == 0)
            check_same(&map, things, COUNT);
    }
    check_same(&map, things, COUNT);
    sg_map_free(&map);
    free(things);
}

Test(map, years_of_coming_and_going_leave_it_as_it_was)
{
    enum { LIVE = 100 };
    struct thing *things = make_things(100000, 6);
    struct sg_map map;
    sg_map_init_ids(&map, offsetof(struct thing, id));
    for (int i = 0; i < 100000; i++) {
        cr_assert(sg_map_add(&map, &things[i]) == SG_OK);
        if (i >= LIVE)
            cr_assert(sg_map_remove_id(&map, things[i - LIVE].id) == &things[i - LIVE]);
    }
    cr_assert(le(sz, map.capacity, 128));
    sg_map_free(&map);
    free(things);
}

Test(map, gives_memory_back_after_a_burst)
{
    enum { COUNT = 50000 };
    struct thing *things = make_things(COUNT, 7);
    struct sg_map map;
    sg_map_init_ids(&map, offsetof(struct thing, id));
    for (int i = 0; i < COUNT; i++)
        cr_assert(sg_map_add(&map, &things[i]) == SG_OK);
    for (int i = 0; i < COUNT - 10; i++)
        cr_assert(sg_map_remove_id(&map, things[i].id) == &things[i]);
    cr_assert(le(sz, map.capacity, 512));
    for (int i = COUNT - 10; i < COUNT; i++)
        cr_assert(sg_map_get_id(&map, things[i].id) == &things[i]);
    sg_map_free(&map);
    free(things);
}

Test(map, walk_repeats_for_a_seed)
{
    struct thing *things = make_things(500, 8);
    int orders[2][500];
    for (int run = 0; run < 2; run++) {
        struct sg_map map;
        size_t cursor = 0;
        sg_hash_seed(1234);
        sg_map_init_ids(&map, offsetof(struct thing, id));
        for (int i = 0; i < 500; i++)
            cr_assert(sg_map_add(&map, &things[i]) == SG_OK);
        for (int i = 0; i < 500; i++)
            orders[run][i] = ((struct thing *)sg_map_next(&map, &cursor))->number;
        sg_map_free(&map);
    }
    cr_assert(memcmp(orders[0], orders[1], sizeof(orders[0])) == 0);
    free(things);
}

Test(map, running_out_of_memory_changes_nothing)
{
    enum { COUNT = 1000 };
    struct thing *things = make_things(COUNT, 9);
    struct sg_map map;
    int failures = 0;
    sg_map_init_ids(&map, offsetof(struct thing, id));
    for (int i = 0; i < COUNT; i++) {
        sg_alloc_fail_at(1, true);
        enum sg_status status = sg_map_add(&map, &things[i]);
        sg_alloc_fail_at(0, false);
        if (status == SG_NO_MEMORY) {
            failures++;
            cr_assert(sg_map_get_id(&map, things[i].id) == NULL);
            cr_assert(eq(sz, map.count, (size_t)i));
            for (int j = 0; j < i; j++)
                cr_assert(sg_map_get_id(&map, things[j].id) == &things[j]);
            status = sg_map_add(&map, &things[i]);
        }
        cr_assert(status == SG_OK);
    }
    cr_assert(failures > 3);

    /* Removing never needs memory; a table that cannot be made smaller stays. */
    sg_alloc_fail_at(1, true);
    for (int i = 0; i < COUNT; i++)
        cr_assert(sg_map_remove_id(&map, things[i].id) == &things[i]);
    sg_alloc_fail_at(0, false);
    cr_assert(eq(sz, map.count, 0));
    sg_map_free(&map);
    free(things);
}

Test(map, reserved_room_needs_no_memory)
{
    struct thing *things = make_things(1000, 10);
    struct sg_map map;
    sg_map_init_ids(&map, offsetof(struct thing, id));
    cr_assert(sg_map_reserve(&map, 1000));
    sg_alloc_fail_at(1, true);
    for (int i = 0; i < 1000; i++)
        cr_assert(sg_map_add(&map, &things[i]) == SG_OK);
    sg_alloc_fail_at(0, false);
    cr_assert(not(sg_map_reserve(&map, SIZE_MAX)));
    sg_map_free(&map);
    free(things);
}

/* ---- heap ---- */

struct timer {
    struct sg_heap_node node;
    bool is_in;
};

static int cmp_nodes(const struct sg_heap_node *a, const struct sg_heap_node *b)
{
    if (a->key_ms != b->key_ms)
        return a->key_ms < b->key_ms ? -1 : 1;
    return (a->tie > b->tie) - (a->tie < b->tie);
}

Test(heap, gives_the_smallest_first_and_breaks_ties)
{
    static const int64_t keys[] = {5, INT64_MIN, 3, INT64_MAX, 3, 3, 0, -1};
    static const uint64_t ties[] = {0, 0, 2, 0, UINT64_MAX, 1, 0, 0};
    struct timer timers[8] = {0};
    struct sg_heap heap;
    sg_heap_init(&heap);
    cr_assert(sg_heap_first(&heap) == NULL && sg_heap_pop(&heap) == NULL);
    for (int i = 0; i < 8; i++) {
        timers[i].node.key_ms = keys[i];
        timers[i].node.tie = ties[i];
        cr_assert(not(sg_heap_has(&timers[i].node)));
        cr_assert(sg_heap_add(&heap, &timers[i].node));
        cr_assert(sg_heap_has(&timers[i].node));
    }
    static const int order[] = {1, 7, 6, 5, 2, 4, 0, 3};
    for (int i = 0; i < 8; i++) {
        struct sg_heap_node *first = sg_heap_first(&heap);
        cr_assert(first == &timers[order[i]].node);
        cr_assert(sg_heap_pop(&heap) == first);
        cr_assert(not(sg_heap_has(first)));
    }
    sg_heap_free(&heap);
}

static void check_heap_first(const struct sg_heap *heap, struct timer *timers, size_t count)
{
    const struct sg_heap_node *least = NULL;
    for (size_t i = 0; i < count; i++) {
        cr_assert(sg_heap_has(&timers[i].node) == timers[i].is_in);
        if (timers[i].is_in && (least == NULL || cmp_nodes(&timers[i].node, least) < 0))
            least = &timers[i].node;
    }
    const struct sg_heap_node *first = sg_heap_first(heap);
    if (first == NULL || least == NULL)
        cr_assert(first == least);
    else
        cr_assert(cmp_nodes(first, least) == 0);
}

Test(heap, agrees_with_a_plain_array_through_adds_removes_and_moves)
{
    enum { COUNT = 500 };
    struct timer *timers = calloc(COUNT, sizeof(*timers));
    struct sg_heap heap;
    struct sg_rng rng;
    sg_heap_init(&heap);
    sg_rng_init(&rng, 11);
    for (int round = 0; round < 20000; round++) {
        struct timer *timer = &timers[sg_rng_below(&rng, COUNT)];
        int64_t key_ms = (int64_t)sg_rng_below(&rng, 100);
        uint64_t tie = sg_rng_below(&rng, 4);
        if (!timer->is_in) {
            timer->node.key_ms = key_ms;
            timer->node.tie = tie;
            cr_assert(sg_heap_add(&heap, &timer->node));
            timer->is_in = true;
        } else if (sg_rng_below(&rng, 2) == 0) {
            sg_heap_move(&heap, &timer->node, key_ms, tie);
        } else {
            sg_heap_remove(&heap, &timer->node);
            timer->is_in = false;
        }
        if (round % 37 == 0)
            check_heap_first(&heap, timers, COUNT);
    }
    struct sg_heap_node last = {.key_ms = INT64_MIN};
    for (struct sg_heap_node *node = sg_heap_pop(&heap); node != NULL; node = sg_heap_pop(&heap)) {
        cr_assert(cmp_nodes(&last, node) <= 0);
        last = *node;
    }
    sg_heap_free(&heap);
    free(timers);
}

Test(heap, running_out_of_memory_changes_nothing)
{
    enum { COUNT = 5000 };
    struct timer *timers = calloc(COUNT, sizeof(*timers));
    struct sg_heap heap;
    int failures = 0;
    sg_heap_init(&heap);
    for (int i = 0; i < COUNT; i++) {
        timers[i].node.key_ms = COUNT - i;
        sg_alloc_fail_at(1, true);
        bool is_added = sg_heap_add(&heap, &timers[i].node);
        sg_alloc_fail_at(0, false);
        if (!is_added) {
            failures++;
            cr_assert(not(sg_heap_has(&timers[i].node)));
            cr_assert(eq(u32, heap.count, (uint32_t)i));
            cr_assert(sg_heap_add(&heap, &timers[i].node));
        }
    }
    cr_assert(failures > 3);
    sg_alloc_fail_at(1, true);
    for (int i = COUNT; i > 0; i--)
        cr_assert(sg_heap_pop(&heap) == &timers[i - 1].node);
    sg_alloc_fail_at(0, false);
    sg_heap_free(&heap);
    free(timers);
}

Test(heap, gives_memory_back_after_a_burst)
{
    enum { COUNT = 20000 };
    struct timer *timers = calloc(COUNT, sizeof(*timers));
    struct sg_heap heap;
    sg_heap_init(&heap);
    for (int i = 0; i < COUNT; i++)
        cr_assert(sg_heap_add(&heap, &timers[i].node));
    for (int i = 0; i < COUNT; i++)
        sg_heap_remove(&heap, &timers[i].node);
    cr_assert(le(u32, heap.capacity, 2048));
    sg_heap_free(&heap);
    free(timers);
}

/* ---- list ---- */

struct item {
    int number;
    struct sg_list_node node;
};

static int digits_of(const struct sg_list *list)
{
    int forwards = 0;
    int backwards = 0;
    int factor = 1;
    for (struct sg_list_node *node = list->first; node != NULL; node = node->next)
        forwards = forwards * 10 + SG_CONTAINER_OF(node, struct item, node)->number;
    for (struct sg_list_node *node = list->last; node != NULL; node = node->prev, factor *= 10)
        backwards += factor * SG_CONTAINER_OF(node, struct item, node)->number;
    cr_assert(eq(int, forwards, backwards));
    return forwards;
}

Test(list, keeps_the_order_things_are_put_in)
{
    struct item items[6] = {{1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}, {5, {0}}, {6, {0}}};
    struct sg_list list;
    sg_list_init(&list);
    cr_assert(sg_list_is_empty(&list) && sg_list_pop_front(&list) == NULL);
    sg_list_push_back(&list, &items[1].node);
    sg_list_push_back(&list, &items[2].node);
    sg_list_push_front(&list, &items[0].node);
    sg_list_insert_after(&list, &items[1].node, &items[5].node);
    cr_assert(digits_of(&list) == 1263);
    sg_list_remove(&list, &items[1].node);
    cr_assert(not(sg_list_has(&list, &items[1].node)));
    cr_assert(digits_of(&list) == 163);
    sg_list_remove(&list, &items[2].node);
    cr_assert(digits_of(&list) == 16);
    cr_assert(sg_list_pop_front(&list) == &items[0].node);
    cr_assert(sg_list_has(&list, &items[5].node), "a list of one knows it");
    cr_assert(sg_list_pop_front(&list) == &items[5].node);
    cr_assert(sg_list_is_empty(&list));
    sg_list_push_back(&list, &items[0].node);
    cr_assert(digits_of(&list) == 1);
}
