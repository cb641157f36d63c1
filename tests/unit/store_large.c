/* Values too large for a row of their kind's table: kept apart, and never more or less of them than rows refer to. */
#include "store_fixture.h"

#include "base/check.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static char big[5 * 1024 * 1024];

/* `len` bytes that begin with `letter` and are not all alike. */
static struct sg_str text_of(char letter, size_t len)
{
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)('a' + i % 23);
    cr_assert(le(sz, len, sizeof(big)));
    big[0] = letter;
    return (struct sg_str){big, len};
}

static struct sg_write run(uint8_t id, struct sg_str output, struct sg_str error)
{
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_RUN}};

    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        write.record.values[i] = sg_value_null();
    write.record.values[SG_RUN_ID] = sg_value_id(id_of(id));
    write.record.values[SG_RUN_OUTPUT] = sg_value_bytes(output);
    write.record.values[SG_RUN_ERROR] = sg_value_bytes(error);
    return write;
}

static struct sg_query memos_of(uint8_t id)
{
    struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .equal_count = 1, .limit = 100};

    query.equal[0] = sg_value_id(id_of(id));
    return query;
}

static enum sg_status is_same(void *context, const struct sg_record *record)
{
    struct sg_str *expected = context;

    cr_assert(sg_str_eq(record->values[SG_MEMO_BYTES].bytes, *expected), "%zu bytes", expected->len);
    expected->ptr = NULL;
    return SG_OK;
}

ON_BOTH_STORES(values_of_all_sizes_are_read_as_they_were_written)
{
    static const size_t sizes[] = {0, 1, 850, 851, 1002, 4061, 65536, 65537, 5 * 1024 * 1024};

    for (size_t i = 0; i < SG_ARRAY_LEN(sizes); i++) {
        struct sg_query query = memos_of((uint8_t)i);
        struct sg_str bytes = text_of('x', sizes[i]);
        COMMIT(f, memo(SG_WRITE_INSERT, (uint8_t)i, "s", 0, bytes));
        assert_status(sg_store_read(f->reader, &query, is_same, &bytes, &f->error), SG_OK);
        cr_assert(eq(ptr, (void *)bytes.ptr, NULL));
    }
}

ON_BOTH_STORES(first_large_value_of_a_memo_stays)
{
    struct sg_query query = memos_of(1);
    char first[64];

    COMMIT(f, memo(SG_WRITE_INSERT, 1, "s", 0, text_of('1', 5000)));
    snprintf(first, sizeof(first), "%s", read_all(f, &query));
    COMMIT(f, memo(SG_WRITE_INSERT, 1, "s", 1, text_of('2', 6000)), memo(SG_WRITE_INSERT, 1, "s", 1, SG_STR("small")));

    assert_text(read_all(f, &query), first);
}

ON_BOTH_STORES(row_may_have_several_large_values)
{
    static char error[3000];

    memset(error, 'e', sizeof(error));

    COMMIT(f, run(1, text_of('1', 2000), (struct sg_str){error, sizeof(error)}), run(2, SG_STR("small"), (struct sg_str){error, sizeof(error)}));

    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .limit = 100};
    assert_text(read_all(f, &query), "#1:-:-:-:-:-:-:-:-:2000 bytes 1659578139:3000 bytes 874834304:- "
                                     "#2:-:-:-:-:-:-:-:-:small:3000 bytes 874834304:- ");
}

static enum sg_status read_inside(void *context, const struct sg_record *record)
{
    struct fixture *f = context;
    struct sg_query query = memos_of(2);
    struct sg_str inner = text_of('i', 7000);
    const char *bytes = record->values[SG_MEMO_BYTES].bytes.ptr;

    assert_status(sg_store_read(f->reader, &query, is_same, &inner, &f->error), SG_OK);
    cr_assert(eq(ptr, (void *)inner.ptr, NULL));
    cr_assert(eq(chr, bytes[0], 'o'));
    return SG_OK;
}

ON_BOTH_STORES(read_inside_a_read_leaves_its_large_value_alone)
{
    struct sg_query query = memos_of(1);

    COMMIT(f, memo(SG_WRITE_INSERT, 1, "s", 0, text_of('o', 7000)));
    COMMIT(f, memo(SG_WRITE_INSERT, 2, "s", 0, text_of('i', 7000)));

    assert_status(sg_store_read(f->reader, &query, read_inside, f, &f->error), SG_OK);
}

/* ---- only in SQLite ---- */

Test(store_large, replaced_and_deleted_rows_take_their_large_values_along)
{
    struct fixture f;
    fixture_open_sqlite(&f);

    COMMIT(&f, memo(SG_WRITE_PUT, 1, "a", 0, text_of('1', 5000)));
    COMMIT(&f, memo(SG_WRITE_PUT, 1, "b", 0, text_of('2', 100000)), memo(SG_WRITE_PUT, 1, "c", 0, SG_STR("small")));
    COMMIT(&f, memo(SG_WRITE_PUT, 2, "a", 0, text_of('3', 900)), run(1, text_of('4', 900), text_of('4', 900)));
    assert_large_values(&f, 5);
    COMMIT(&f, memo(SG_WRITE_PUT, 1, "a", 0, text_of('5', 5001)), memo(SG_WRITE_PUT, 2, "a", 0, SG_STR("small")));
    assert_large_values(&f, 4);
    COMMIT(&f, memo(SG_WRITE_INSERT, 1, "a", 0, text_of('6', 5000)));
    assert_large_values(&f, 4);
    COMMIT(&f, memo(SG_WRITE_DELETE, 1, "a", 0, SG_STR_NULL), memo(SG_WRITE_DELETE, 1, "none", 0, SG_STR_NULL));
    assert_large_values(&f, 3);
    COMMIT(&f, memo(SG_WRITE_DELETE_PREFIX, 1, NULL, 0, SG_STR_NULL));
    assert_large_values(&f, 2);
    COMMIT(&f, run(1, SG_STR("small"), SG_STR("small")));
    assert_large_values(&f, 0);
    fixture_close(&f);
}

Test(store_large, numbers_go_on_where_they_were_before_a_restart)
{
    struct fixture f;
    fixture_open_sqlite(&f);
    COMMIT(&f, memo(SG_WRITE_PUT, 1, "a", 0, text_of('1', 5000)), run(1, text_of('2', 900), SG_STR("small")));

    fixture_reopen(&f);

    COMMIT(&f, memo(SG_WRITE_PUT, 1, "b", 0, text_of('3', 5001)), run(2, text_of('4', 901), SG_STR("small")));
    assert_large_values(&f, 4);
    COMMIT(&f, memo(SG_WRITE_DELETE_PREFIX, 1, NULL, 0, SG_STR_NULL));
    assert_large_values(&f, 2);
    fixture_close(&f);
}

/* Databases of version 1 have rows that hold all of their values. */
Test(store_large, large_value_within_its_row_is_read_and_replaced)
{
    struct fixture f;
    char path[512];
    sqlite3 *db;
    struct sg_query query = memos_of(1);
    fixture_open_sqlite(&f);
    COMMIT(&f, memo(SG_WRITE_PUT, 1, "a", 0, SG_STR("small")));
    snprintf(path, sizeof(path), "%s/main.db", f.directory);
    cr_assert(eq(int, sqlite3_open(path, &db), SQLITE_OK));
    cr_assert(eq(int, sqlite3_exec(db, "UPDATE memo SET bytes = zeroblob(5000)", NULL, NULL, NULL), SQLITE_OK));
    sqlite3_close(db);

    assert_text(read_all(&f, &query), "#1:a:0:5000 bytes 0 ");
    COMMIT(&f, memo(SG_WRITE_PUT, 1, "a", 0, text_of('1', 5000)));
    assert_large_values(&f, 1);
    fixture_close(&f);
}

Test(store_large, missing_large_value_is_reported_as_damage)
{
    struct fixture f;
    char path[512];
    sqlite3 *db;
    struct sg_query query = memos_of(1);
    fixture_open_sqlite(&f);
    COMMIT(&f, memo(SG_WRITE_PUT, 1, "a", 0, text_of('1', 5000)));
    snprintf(path, sizeof(path), "%s/main.db", f.directory);
    cr_assert(eq(int, sqlite3_open(path, &db), SQLITE_OK));
    cr_assert(eq(int, sqlite3_exec(db, "DELETE FROM large_value", NULL, NULL, NULL), SQLITE_OK));
    sqlite3_close(db);

    assert_status(sg_store_read(f.reader, &query, show, &f.text, &f.error), SG_STORE_CORRUPT);
    cr_assert(ne(ptr, strstr(f.error.message, "is missing"), NULL));
    fixture_close(&f);
}
