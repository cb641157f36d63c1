/* What only the store in memory does: copies, commits that fail on command, running out of memory. */
#include "store_fixture.h"

#include "base/alloc.h"
#include "store/memory.h"

Test(store_memory, copy_is_what_a_crash_would_leave)
{
    struct fixture f;
    struct fixture crashed = {0};
    fixture_open_memory(&f);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));

    assert_status(sg_store_memory_copy(f.store, &crashed.store, &f.error), SG_OK);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "2"));
    COMMIT(&crashed, setting(SG_WRITE_PUT, "b", "3"));

    assert_text(scan(&f, SG_KIND_SETTING), "a:2 ");
    assert_text(scan(&crashed, SG_KIND_SETTING), "a:1 b:3 ");
    fixture_close(&f);
    assert_text(scan(&crashed, SG_KIND_SETTING), "a:1 b:3 ");
    fixture_close(&crashed);
}

Test(store_memory, commit_made_to_fail_changes_nothing)
{
    struct fixture f;
    fixture_open_memory(&f);
    struct sg_write write = setting(SG_WRITE_PUT, "a", "1");

    sg_store_memory_fail_next(f.store, 2, SG_STORE_FULL, false);
    assert_status(commit(&f, &write, 1), SG_STORE_FULL);
    assert_status(commit(&f, &write, 1), SG_STORE_FULL);
    assert_text(scan(&f, SG_KIND_SETTING), "");
    assert_status(commit(&f, &write, 1), SG_OK);

    assert_text(scan(&f, SG_KIND_SETTING), "a:1 ");
    fixture_close(&f);
}

Test(store_memory, commit_with_unknown_outcome_fails_and_takes_effect)
{
    struct fixture f;
    fixture_open_memory(&f);
    struct sg_write write = setting(SG_WRITE_PUT, "a", "1");

    sg_store_memory_fail_next(f.store, 1, SG_STORE_CORRUPT, true);
    assert_status(commit(&f, &write, 1), SG_STORE_CORRUPT);

    assert_text(scan(&f, SG_KIND_SETTING), "a:1 ");
    fixture_close(&f);
}

Test(store_memory, counts_records)
{
    struct fixture f;
    fixture_open_memory(&f);

    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_MEMO), 0));
    for (uint8_t run = 0; run < 100; run++)
        COMMIT(&f, memo(SG_WRITE_INSERT, run, "a", 0, SG_STR("")), memo(SG_WRITE_INSERT, run, "b", 0, SG_STR("")));
    COMMIT(&f, memo(SG_WRITE_DELETE_PREFIX, 7, NULL, 0, SG_STR_NULL));

    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_MEMO), 198));
    fixture_close(&f);
}

Test(store_memory, commit_that_runs_out_of_memory_changes_nothing)
{
    struct fixture f;
    fixture_open_memory(&f);
    for (uint8_t i = 0; i < 40; i++)
        COMMIT(&f, idempotency(SG_WRITE_PUT, i, 1, 1000 - i));
    struct sg_write writes[] = {idempotency(SG_WRITE_DELETE, 20, 1, 0), idempotency(SG_WRITE_PUT, 3, 1, 5000),
                                idempotency(SG_WRITE_INSERT, 99, 1, 1), idempotency(SG_WRITE_DELETE_PREFIX, 7, 0, 0)};
    writes[3].prefix_columns = 1;
    struct sg_buf before = {0};
    sg_buf_append(&before, sg_str_from(scan(&f, SG_KIND_IDEMPOTENCY)));
    sg_buf_byte(&before, '\0');

    enum sg_status status = SG_NO_MEMORY;
    uint64_t nth = 0;
    while (status == SG_NO_MEMORY) {
        sg_alloc_fail_at(++nth, false);
        status = commit(&f, writes, 4);
        sg_alloc_fail_at(0, false);
        if (status == SG_NO_MEMORY)
            assert_text(scan(&f, SG_KIND_IDEMPOTENCY), before.ptr);
    }

    assert_status(status, SG_OK);
    cr_assert(gt(u64, nth, 20));
    cr_assert(eq(i64, sg_store_memory_count(f.store, SG_KIND_IDEMPOTENCY), 39));
    struct sg_query by_expiry = {.kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_IDEMPOTENCY_EXPIRES_AT, .limit = 1};
    assert_text(read_all(&f, &by_expiry), "#99:#1:-:1 ");
    by_expiry.is_descending = true;
    assert_text(read_all(&f, &by_expiry), "#3:#1:-:5000 ");
    sg_buf_free(&before);
    fixture_close(&f);
}

Test(store_memory, opening_and_copying_survive_exhaustion)
{
    struct sg_store *store = NULL;
    struct sg_store *copy = NULL;
    struct sg_store_reader *reader = NULL;
    struct sg_error error;

    sg_alloc_fail_at(1, true);
    assert_status(sg_store_open_memory(&store, &error), SG_NO_MEMORY);
    sg_alloc_fail_at(2, true);
    assert_status(sg_store_open_memory(&store, &error), SG_NO_MEMORY);
    sg_alloc_fail_at(0, false);
    assert_status(sg_store_open_memory(&store, &error), SG_OK);
    sg_alloc_fail_at(1, true);
    assert_status(sg_store_memory_copy(store, &copy, &error), SG_NO_MEMORY);
    assert_status(sg_store_reader_open(store, &reader, &error), SG_NO_MEMORY);
    sg_alloc_fail_at(0, false);
    sg_store_close(store);
}
