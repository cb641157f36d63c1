/* Buffers, arenas and the allocator's faults. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/base.h>

#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"

static bool is_text(const struct sg_buf *buf, const char *expected)
{
    return sg_str_eq(sg_buf_str(buf), sg_str_from(expected));
}

Test(alloc, the_nth_allocation_fails_once)
{
    sg_alloc_fail_at(2, false);
    void *first = sg_malloc(1);
    void *second = sg_calloc(1, 1);
    void *third = sg_realloc(NULL, 1);
    cr_assert(first != NULL);
    cr_assert(second == NULL);
    cr_assert(third != NULL);
    cr_assert(sg_alloc_has_failed());
    cr_assert(eq(u64, sg_alloc_count(), 3));
    sg_alloc_fail_at(0, false);
    sg_free(first);
    sg_free(third);
}

Test(alloc, a_lasting_fault_fails_everything_behind_it)
{
    sg_alloc_fail_at(2, true);
    void *first = sg_malloc(1);
    cr_assert(first != NULL);
    cr_assert(sg_malloc(1) == NULL);
    cr_assert(sg_malloc(1) == NULL);
    cr_assert(sg_realloc(first, 2) == NULL); /* and leaves what there was */
    sg_alloc_fail_at(0, false);
    cr_assert(not(sg_alloc_has_failed()));
    sg_free(first);
}

Test(alloc, size_zero_is_an_allocation_like_any_other)
{
    void *nothing[] = {sg_malloc(0), sg_calloc(0, 8), sg_realloc(NULL, 0)};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(nothing[i] != NULL);
        sg_free(nothing[i]);
    }
    sg_free(NULL);
}

Test(buf, appends_of_every_kind)
{
    struct sg_buf buf;
    sg_buf_init(&buf);
    sg_buf_append(&buf, SG_STR("a"));
    sg_buf_append(&buf, SG_STR_NULL);
    sg_buf_byte(&buf, 'b');
    sg_buf_printf(&buf, "-%d-%s", 7, "c");
    sg_buf_int(&buf, INT64_MIN);
    sg_buf_byte(&buf, ' ');
    sg_buf_int(&buf, INT64_MAX);
    sg_buf_int(&buf, 0);
    cr_assert(is_text(&buf, "ab-7-c-9223372036854775808 92233720368547758070"));
    cr_assert(not(buf.is_failed));
    sg_buf_clear(&buf);
    cr_assert(eq(sz, buf.len, 0));
    sg_buf_free(&buf);
    cr_assert(buf.ptr == NULL);
}

Test(buf, printf_longer_than_the_room_that_is_left)
{
    struct sg_buf buf = {0};
    char long_text[5000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    for (int i = 0; i < 3; i++)
        sg_buf_printf(&buf, "%s", long_text);
    cr_assert(eq(sz, buf.len, 3 * (sizeof(long_text) - 1)));
    cr_assert(buf.ptr[buf.len - 1] == 'x');
    sg_buf_free(&buf);
}

Test(buf, holds_zero_bytes_and_grows_by_doubling)
{
    struct sg_buf buf = {0};
    for (int i = 0; i < 100000; i++)
        sg_buf_byte(&buf, (char)(i & 0xff));
    cr_assert(eq(sz, buf.len, 100000));
    cr_assert(le(sz, buf.capacity, 262144));
    for (int i = 0; i < 100000; i++)
        cr_assert(buf.ptr[i] == (char)(i & 0xff));
    sg_buf_free(&buf);
}

static void build(struct sg_buf *buf)
{
    for (int i = 0; i < 100; i++)
        sg_buf_append(buf, SG_STR("0123456789"));
    sg_buf_printf(buf, "%0500d", 1);
    sg_base64_encode(buf, "abc", 3, SG_BASE64_STANDARD);
}

Test(buf, a_failed_allocation_latches_and_keeps_what_was_there)
{
    bool has_succeeded = false;
    for (uint64_t nth = 1; !has_succeeded; nth++) {
        struct sg_buf buf = {0};
        sg_alloc_fail_at(nth, false);
        build(&buf);
        has_succeeded = !sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        cr_assert(eq(int, buf.is_failed, !has_succeeded));
        for (size_t i = 0; i < buf.len && i < 1000; i++)
            cr_assert(buf.ptr[i] == (char)('0' + i % 10));
        if (has_succeeded)
            cr_assert(eq(sz, buf.len, 1504));
        sg_buf_free(&buf);
        cr_assert(nth < 100);
    }
}

Test(buf, refuses_sizes_that_cannot_be)
{
    struct sg_buf buf = {0};
    sg_buf_append(&buf, SG_STR("kept"));
    cr_assert(not(sg_buf_reserve(&buf, SIZE_MAX)));
    cr_assert(buf.is_failed);
    sg_buf_append(&buf, SG_STR("lost"));
    cr_assert(is_text(&buf, "kept"));
    sg_buf_free(&buf);
}

Test(arena, allocations_are_aligned_and_apart)
{
    struct sg_arena arena;
    sg_arena_init(&arena);
    char *before = NULL;
    for (size_t bytes = 0; bytes < 300; bytes++) {
        char *at = sg_arena_alloc(&arena, bytes);
        cr_assert(at != NULL);
        cr_assert(eq(u64, (uintptr_t)at & 15, 0));
        cr_assert(at != before);
        memset(at, 0xee, bytes);
        before = at;
    }
    const char *zeros = sg_arena_zalloc(&arena, 4000);
    for (size_t i = 0; i < 4000; i++)
        cr_assert(zeros[i] == 0);
    sg_arena_free(&arena);
}

Test(arena, copies_and_formats_text_with_a_terminator)
{
    struct sg_arena arena = {0};
    struct sg_str copy = sg_arena_copy(&arena, (struct sg_str){"abc", 2});
    cr_assert(eq(str, (char *)copy.ptr, "ab"));
    cr_assert(eq(sz, copy.len, 2));
    struct sg_str empty = sg_arena_copy(&arena, SG_STR_NULL);
    cr_assert(empty.ptr != NULL);
    cr_assert(eq(sz, empty.len, 0));
    struct sg_str text = sg_arena_printf(&arena, "%s-%d", "run", 7);
    cr_assert(eq(str, (char *)text.ptr, "run-7"));
    sg_arena_free(&arena);
}

Test(arena, reset_keeps_one_ordinary_block_and_no_huge_one)
{
    struct sg_arena arena = {0};
    for (int i = 0; i < 1000; i++)
        cr_assert(sg_arena_alloc(&arena, 1000) != NULL);
    sg_arena_reset(&arena);
    cr_assert(eq(sz, arena.used_bytes, 0));
    sg_alloc_fail_at(1, true); /* the kept block is enough for the next message */
    cr_assert(sg_arena_alloc(&arena, 1000) != NULL);
    sg_alloc_fail_at(0, false);
    sg_arena_free(&arena);

    cr_assert(sg_arena_alloc(&arena, 10 * 1024 * 1024) != NULL);
    sg_arena_reset(&arena);
    cr_assert(arena.first == NULL);
    sg_arena_free(&arena);
}

Test(arena, out_of_memory_is_null_and_the_arena_goes_on)
{
    struct sg_arena arena = {0};
    cr_assert(sg_arena_alloc(&arena, 100) != NULL);
    sg_alloc_fail_at(1, true);
    cr_assert(sg_arena_alloc(&arena, 100000) == NULL);
    cr_assert(sg_arena_copy(&arena, (struct sg_str){(const char[5000]){0}, 5000}).ptr == NULL);
    cr_assert(sg_arena_alloc(&arena, 100) != NULL); /* still fits the first block */
    sg_alloc_fail_at(0, false);
    cr_assert(sg_arena_alloc(&arena, 100000) != NULL);
    cr_assert(sg_arena_alloc(&arena, SIZE_MAX) == NULL);
    sg_arena_free(&arena);
}

Test(arena, adopts_what_is_large_and_copies_what_is_small)
{
    struct sg_arena arena = {0};
    struct sg_buf buf = {0};
    sg_buf_append(&buf, SG_STR("small"));
    const char *before = buf.ptr;
    struct sg_str small = sg_arena_adopt(&arena, &buf);
    cr_assert(sg_str_eq(small, SG_STR("small")));
    cr_assert(small.ptr != before);
    cr_assert(eq(sz, buf.len, 0));

    for (int i = 0; i < 100000; i++)
        sg_buf_byte(&buf, 'x');
    sg_alloc_fail_at(1, true);
    cr_assert(sg_arena_adopt(&arena, &buf).ptr == NULL);
    sg_alloc_fail_at(0, false);
    cr_assert(eq(sz, buf.len, 100000));
    struct sg_str large = sg_arena_adopt(&arena, &buf);
    cr_assert(eq(sz, large.len, 100000));
    cr_assert(buf.ptr == NULL);
    cr_assert(eq(sz, arena.used_bytes, 100000 + 16));

    /* What comes behind it is allocated as ever, and all of it goes together. */
    for (int i = 0; i < 100; i++)
        cr_assert(sg_arena_alloc(&arena, 5000) != NULL);
    cr_assert(large.ptr[99999] == 'x');
    sg_arena_reset(&arena);
    cr_assert(eq(sz, arena.used_bytes, 0));
    cr_assert(sg_arena_alloc(&arena, 100) != NULL);
    sg_arena_free(&arena);
}

Test(arena, may_begin_with_what_it_adopts)
{
    struct sg_arena arena = {0};
    struct sg_buf buf = {0};
    for (int i = 0; i < 50000; i++)
        sg_buf_byte(&buf, 'y');
    struct sg_str first = sg_arena_adopt(&arena, &buf);
    cr_assert(sg_arena_alloc(&arena, 10) != NULL);
    cr_assert(first.ptr[0] == 'y');
    sg_arena_reset(&arena);
    cr_assert(sg_arena_alloc(&arena, 10) != NULL);
    sg_arena_free(&arena);
}
