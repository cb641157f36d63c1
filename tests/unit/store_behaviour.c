/* What every store does, each behaviour once in memory and once in SQLite. */
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

ON_BOTH_STORES(put_replaces_the_record_with_the_same_key)
{
    COMMIT(f, setting(SG_WRITE_PUT, "a", "1"));
    COMMIT(f, setting(SG_WRITE_PUT, "a", "2"), setting(SG_WRITE_PUT, "b", "1"));

    assert_text(scan(f, SG_KIND_SETTING), "a:2 b:1 ");
}

ON_BOTH_STORES(insert_keeps_what_was_written_first)
{
    COMMIT(f, memo(SG_WRITE_INSERT, 1, "s", 0, SG_STR("first")));
    COMMIT(f, memo(SG_WRITE_INSERT, 1, "s", 7, SG_STR("second")));

    assert_text(scan(f, SG_KIND_MEMO), "#1:s:0:first ");
}

ON_BOTH_STORES(writes_of_a_batch_are_applied_in_order)
{
    COMMIT(f, setting(SG_WRITE_INSERT, "a", "1"), setting(SG_WRITE_INSERT, "a", "2"), setting(SG_WRITE_DELETE, "a", NULL),
           setting(SG_WRITE_INSERT, "a", "3"), setting(SG_WRITE_PUT, "a", "4"));

    assert_text(scan(f, SG_KIND_SETTING), "a:4 ");
}

ON_BOTH_STORES(delete_removes_one_record_and_does_not_mind_its_absence)
{
    COMMIT(f, memo(SG_WRITE_PUT, 1, "a", 0, SG_STR("x")), memo(SG_WRITE_PUT, 1, "b", 1, SG_STR("y")));
    COMMIT(f, memo(SG_WRITE_DELETE, 1, "a", 0, SG_STR_NULL), memo(SG_WRITE_DELETE, 1, "z", 0, SG_STR_NULL));

    assert_text(scan(f, SG_KIND_MEMO), "#1:b:1:y ");
}

ON_BOTH_STORES(delete_prefix_removes_all_that_begin_with_it)
{
    COMMIT(f, memo(SG_WRITE_PUT, 1, "a", 0, SG_STR("x")), memo(SG_WRITE_PUT, 2, "a", 0, SG_STR("x")),
           memo(SG_WRITE_PUT, 2, "b", 1, SG_STR("y")), memo(SG_WRITE_PUT, 3, "a", 0, SG_STR("z")));
    COMMIT(f, memo(SG_WRITE_DELETE_PREFIX, 2, NULL, 0, SG_STR_NULL), memo(SG_WRITE_DELETE_PREFIX, 9, NULL, 0, SG_STR_NULL));

    assert_text(scan(f, SG_KIND_MEMO), "#1:a:0:x #3:a:0:z ");
}

ON_BOTH_STORES(delete_prefix_takes_a_whole_key_too)
{
    struct sg_write gone = batch_item(SG_WRITE_DELETE_PREFIX, 1, 10);
    gone.prefix_columns = 2;

    COMMIT(f, batch_item(SG_WRITE_PUT, 1, 10), batch_item(SG_WRITE_PUT, 1, 11));
    COMMIT(f, gone);

    assert_text(scan(f, SG_KIND_BATCH_ITEM), "#1:11 ");
}

ON_BOTH_STORES(put_of_a_kind_of_only_keys_is_idempotent)
{
    COMMIT(f, batch_item(SG_WRITE_PUT, 1, 10));
    COMMIT(f, batch_item(SG_WRITE_PUT, 1, 10));

    assert_text(scan(f, SG_KIND_BATCH_ITEM), "#1:10 ");
}

ON_BOTH_STORES(put_moves_a_record_within_its_index)
{
    struct sg_query by_expiry = {.kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_IDEMPOTENCY_EXPIRES_AT, .limit = 10};

    COMMIT(f, idempotency(SG_WRITE_PUT, 1, 1, 100), idempotency(SG_WRITE_PUT, 2, 1, 200));
    COMMIT(f, idempotency(SG_WRITE_PUT, 1, 1, 300));

    assert_text(read_all(f, &by_expiry), "#2:#1:-:200 #1:#1:-:300 ");
}

ON_BOTH_STORES(delete_prefix_clears_the_index)
{
    struct sg_query by_expiry = {.kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_IDEMPOTENCY_EXPIRES_AT, .limit = 10};
    struct sg_write gone = idempotency(SG_WRITE_DELETE_PREFIX, 1, 0, 0);
    gone.prefix_columns = 1;

    COMMIT(f, idempotency(SG_WRITE_PUT, 1, 1, 100), idempotency(SG_WRITE_PUT, 1, 2, 100), idempotency(SG_WRITE_PUT, 2, 1, 100));
    COMMIT(f, gone);

    assert_text(read_all(f, &by_expiry), "#2:#1:-:100 ");
}

ON_BOTH_STORES(empty_commit_succeeds)
{
    commit_ok(f, NULL, 0);

    assert_text(scan(f, SG_KIND_SETTING), "");
}

/* ---- values ---- */

ON_BOTH_STORES(null_and_empty_are_different)
{
    COMMIT(f, setting(SG_WRITE_PUT, "empty", ""), setting(SG_WRITE_PUT, "null", NULL));
    COMMIT(f, memo(SG_WRITE_PUT, 1, "", 0, SG_STR_NULL));

    assert_text(scan(f, SG_KIND_SETTING), "empty: null:- ");
    assert_text(scan(f, SG_KIND_MEMO), "#1::0: ");
}

ON_BOTH_STORES(text_and_blobs_may_hold_nul_and_any_byte)
{
    struct sg_write nul_in_key = setting(SG_WRITE_PUT, "", NULL);
    char every_byte[256];
    for (int i = 0; i < 256; i++)
        every_byte[i] = (char)i;
    nul_in_key.record.values[SG_SETTING_NAME] = sg_value_bytes(SG_STR("a\0b"));
    nul_in_key.record.values[SG_SETTING_VALUE] = sg_value_bytes(SG_STR("\0"));

    COMMIT(f, nul_in_key, setting(SG_WRITE_PUT, "a", "other"));
    COMMIT(f, memo(SG_WRITE_PUT, 0, "s", 0, SG_STR("x\0y\0")),
           memo(SG_WRITE_PUT, 255, "s", 0, ((struct sg_str){every_byte, sizeof(every_byte)})));

    assert_text(scan(f, SG_KIND_SETTING), "a:other a\\0b:\\0 ");
    assert_text(scan(f, SG_KIND_MEMO), "#0:s:0:x\\0y\\0 #255:s:0:256 bytes 452919424 ");
}

ON_BOTH_STORES(integers_keep_all_64_bits)
{
    COMMIT(f, memo(SG_WRITE_PUT, 1, "max", INT64_MAX, SG_STR("")), memo(SG_WRITE_PUT, 1, "min", INT64_MIN, SG_STR("")),
           memo(SG_WRITE_PUT, 1, "nil", 0, SG_STR("")));

    assert_text(scan(f, SG_KIND_MEMO), "#1:max:9223372036854775807: #1:min:-9223372036854775808: #1:nil:0: ");
}

ON_BOTH_STORES(values_of_four_mebibytes_survive)
{
    size_t len = 4 * 1024 * 1024;
    char *bytes = malloc(len);
    char expected[64];
    uint32_t sum = 0;

    cr_assert(ne(ptr, bytes, NULL));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 2654435761u >> 13);
        sum = sum * 31 + (uint8_t)bytes[i];
    }
    COMMIT(f, memo(SG_WRITE_INSERT, 1, "big", 0, ((struct sg_str){bytes, len})), memo(SG_WRITE_INSERT, 1, "small", 1, SG_STR("x")));
    free(bytes);

    snprintf(expected, sizeof(expected), "#1:big:0:%zu bytes %u #1:small:1:x ", len, sum);
    assert_text(scan(f, SG_KIND_MEMO), expected);
    struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .limit = 10};
    assert_text(read_all(f, &query), expected);
}

/* ---- order and ranges ---- */

ON_BOTH_STORES(scan_goes_in_key_order)
{
    COMMIT(f, memo(SG_WRITE_PUT, 200, "a", 0, SG_STR("")), memo(SG_WRITE_PUT, 1, "b", 1, SG_STR("")),
           memo(SG_WRITE_PUT, 1, "ab", 2, SG_STR("")), memo(SG_WRITE_PUT, 1, "\xff", 3, SG_STR("")),
           memo(SG_WRITE_PUT, 1, "a", 4, SG_STR("")), memo(SG_WRITE_PUT, 1, "", 5, SG_STR("")));
    COMMIT(f, event(SG_WRITE_PUT, 10, 1, "n"), event(SG_WRITE_PUT, 9, 2, "n"), event(SG_WRITE_PUT, -1, 3, "n"));

    assert_text(scan(f, SG_KIND_MEMO), "#1::5: #1:a:4: #1:ab:2: #1:b:1: #1:\xff:3: #200:a:0: ");
    assert_text(scan(f, SG_KIND_EVENT), "-1:#3:n:-:-:-:- 9:#2:n:-:-:-:- 10:#1:n:-:-:-:- ");
}

static void commit_settings(struct fixture *f)
{
    COMMIT(f, setting(SG_WRITE_PUT, "a", "1"), setting(SG_WRITE_PUT, "b", "2"), setting(SG_WRITE_PUT, "c", "3"),
           setting(SG_WRITE_PUT, "d", "4"), setting(SG_WRITE_PUT, "e", "5"));
}

ON_BOTH_STORES(range_lies_strictly_between_its_bounds)
{
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10};
    commit_settings(f);

    query.has_after = true;
    query.after = sg_value_bytes(SG_STR("b"));
    assert_text(read_all(f, &query), "c:3 d:4 e:5 ");
    query.has_before = true;
    query.before = sg_value_bytes(SG_STR("e"));
    assert_text(read_all(f, &query), "c:3 d:4 ");
    query.has_after = false;
    assert_text(read_all(f, &query), "a:1 b:2 c:3 d:4 ");
    query.before = sg_value_bytes(SG_STR("a"));
    assert_text(read_all(f, &query), "");
}

ON_BOTH_STORES(descending_range_is_the_same_backwards)
{
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10, .is_descending = true};
    commit_settings(f);

    assert_text(read_all(f, &query), "e:5 d:4 c:3 b:2 a:1 ");
    query.has_after = true;
    query.after = sg_value_bytes(SG_STR("b"));
    query.has_before = true;
    query.before = sg_value_bytes(SG_STR("e"));
    assert_text(read_all(f, &query), "d:4 c:3 ");
}

ON_BOTH_STORES(limit_ends_a_read)
{
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 2};
    commit_settings(f);

    assert_text(read_all(f, &query), "a:1 b:2 ");
    query.is_descending = true;
    assert_text(read_all(f, &query), "e:5 d:4 ");
    query.limit = 0;
    assert_text(read_all(f, &query), "");
}

ON_BOTH_STORES(equal_columns_select_a_part_of_the_key)
{
    struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .equal_count = 1, .limit = 10};
    COMMIT(f, memo(SG_WRITE_PUT, 1, "a", 0, SG_STR("")), memo(SG_WRITE_PUT, 2, "a", 0, SG_STR("")),
           memo(SG_WRITE_PUT, 2, "b", 1, SG_STR("")), memo(SG_WRITE_PUT, 2, "c", 2, SG_STR("")), memo(SG_WRITE_PUT, 3, "a", 0, SG_STR("")));

    query.equal[0] = sg_value_id(id_of(2));
    assert_text(read_all(f, &query), "#2:a:0: #2:b:1: #2:c:2: ");
    query.has_after = true;
    query.after = sg_value_bytes(SG_STR("a"));
    query.is_descending = true;
    assert_text(read_all(f, &query), "#2:c:2: #2:b:1: ");
    query.has_after = false;
    query.equal_count = 2;
    query.equal[1] = sg_value_bytes(SG_STR("b"));
    assert_text(read_all(f, &query), "#2:b:1: ");
}

ON_BOTH_STORES(index_finds_and_orders_by_its_column_then_by_the_key)
{
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .limit = 10};
    COMMIT(f, event(SG_WRITE_PUT, 1, 9, "x"), event(SG_WRITE_PUT, 2, 5, "y"), event(SG_WRITE_PUT, 3, 9, "z"),
           event(SG_WRITE_PUT, 4, 7, "w"));

    assert_text(read_all(f, &query), "2:#5:y:-:-:-:- 4:#7:w:-:-:-:- 1:#9:x:-:-:-:- 3:#9:z:-:-:-:- ");
    query.is_descending = true;
    assert_text(read_all(f, &query), "3:#9:z:-:-:-:- 1:#9:x:-:-:-:- 4:#7:w:-:-:-:- 2:#5:y:-:-:-:- ");
    query.has_before = true;
    query.before = sg_value_id(id_of(9));
    assert_text(read_all(f, &query), "4:#7:w:-:-:-:- 2:#5:y:-:-:-:- ");
}

ON_BOTH_STORES(index_pages_through_equal_values_by_the_key)
{
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .equal_count = 1, .limit = 2};
    COMMIT(f, event(SG_WRITE_PUT, 1, 9, "a"), event(SG_WRITE_PUT, 2, 9, "b"), event(SG_WRITE_PUT, 3, 9, "c"),
           event(SG_WRITE_PUT, 4, 5, "d"));

    query.equal[0] = sg_value_id(id_of(9));
    assert_text(read_all(f, &query), "1:#9:a:-:-:-:- 2:#9:b:-:-:-:- ");
    query.has_after = true;
    query.after = sg_value_int(2);
    assert_text(read_all(f, &query), "3:#9:c:-:-:-:- ");
}

ON_BOTH_STORES(nulls_sort_first_and_lie_in_no_bounded_range)
{
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .limit = 10};
    struct sg_write nameless = event(SG_WRITE_PUT, 7, 0, "null");
    nameless.record.values[SG_EVENT_INTERNAL_ID] = sg_value_null();
    COMMIT(f, event(SG_WRITE_PUT, 1, 0, "x"), nameless);

    assert_text(read_all(f, &query), "7:-:null:-:-:-:- 1:#0:x:-:-:-:- ");
    query.has_before = true;
    query.before = sg_value_id(id_of(5));
    assert_text(read_all(f, &query), "1:#0:x:-:-:-:- ");
}

/* ---- one record ---- */

ON_BOTH_STORES(get_copies_the_record)
{
    struct sg_arena arena;
    struct sg_record record;
    struct sg_value key[2] = {sg_value_id(id_of(1)), sg_value_bytes(SG_STR("s"))};
    sg_arena_init(&arena);
    COMMIT(f, memo(SG_WRITE_PUT, 1, "s", 3, SG_STR("he\0llo")));

    assert_status(sg_store_get(f->reader, SG_KIND_MEMO, key, &arena, &record, &f->error), SG_OK);
    COMMIT(f, memo(SG_WRITE_DELETE, 1, "s", 0, SG_STR_NULL));

    cr_assert(eq(int, (int)record.kind, SG_KIND_MEMO));
    cr_assert(sg_id_eq(sg_value_get_id(&record.values[SG_MEMO_RUN_ID]), *id_of(1)));
    cr_assert(eq(i64, record.values[SG_MEMO_SEQ].number, 3));
    cr_assert(sg_str_eq(record.values[SG_MEMO_BYTES].bytes, SG_STR("he\0llo")));
    sg_arena_free(&arena);
}

ON_BOTH_STORES(get_of_an_absent_record_says_so)
{
    struct sg_arena arena;
    struct sg_record record;
    struct sg_value key = sg_value_bytes(SG_STR("nothing"));
    sg_arena_init(&arena);

    assert_status(sg_store_get(f->reader, SG_KIND_SETTING, &key, &arena, &record, &f->error), SG_NOT_FOUND);
    assert_text(f->error.message, "there is no such setting record");
    sg_arena_free(&arena);
}

/* ---- visitors ---- */

struct nested {
    struct fixture *f;
    struct sg_buf text;
    int depth;
};

/* Reads the same shape again from within a read of it. */
static enum sg_status show_with_followers(void *context, const struct sg_record *record)
{
    struct nested *nested = context;
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .has_after = true, .limit = 10};

    query.after = record->values[SG_SETTING_NAME];
    show(&nested->text, record);
    if (nested->depth > 0)
        return SG_OK;
    nested->depth++;
    enum sg_status status = sg_store_read(nested->f->reader, &query, show_with_followers, nested, &nested->f->error);
    nested->depth--;
    return status;
}

ON_BOTH_STORES(visitor_may_read_with_the_same_reader)
{
    struct nested nested = {.f = f};
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .has_after = true, .limit = 10};
    query.after = sg_value_bytes(SG_STR(""));
    COMMIT(f, setting(SG_WRITE_PUT, "a", "1"), setting(SG_WRITE_PUT, "b", "2"), setting(SG_WRITE_PUT, "c", "3"));

    assert_status(sg_store_read(f->reader, &query, show_with_followers, &nested, &f->error), SG_OK);

    sg_buf_byte(&nested.text, '\0');
    assert_text(nested.text.ptr, "a:1 b:2 c:3 b:2 c:3 c:3 ");
    sg_buf_free(&nested.text);
}

static enum sg_status stop_at_second(void *context, const struct sg_record *record)
{
    int *count = context;

    (void)record;
    return ++*count == 2 ? SG_TOO_MANY : SG_OK;
}

ON_BOTH_STORES(visitor_ends_a_read_with_its_status)
{
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10};
    int count = 0;
    commit_settings(f);

    assert_status(sg_store_read(f->reader, &query, stop_at_second, &count, &f->error), SG_TOO_MANY);
    cr_assert(eq(int, count, 2));
    count = 0;
    assert_status(sg_store_scan(f->store, SG_KIND_SETTING, stop_at_second, &count, &f->error), SG_TOO_MANY);
    cr_assert(eq(int, count, 2));
    assert_text(read_all(f, &query), "a:1 b:2 c:3 d:4 e:5 ");
}

/* ---- readers ---- */

ON_BOTH_STORES(reader_sees_every_commit_that_returned)
{
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10, .is_descending = true};
    char expected[32];
    char value[16];

    for (int i = 0; i < 50; i++) {
        snprintf(value, sizeof(value), "%d", i);
        COMMIT(f, setting(SG_WRITE_PUT, "n", value));
        snprintf(expected, sizeof(expected), "n:%d ", i);
        assert_text(read_all(f, &query), expected);
    }
}

ON_BOTH_STORES(snapshot_stays_as_it_was_until_its_end)
{
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10};
    COMMIT(f, setting(SG_WRITE_PUT, "a", "1"));

    assert_status(sg_store_reader_begin(f->reader, &f->error), SG_OK);
    COMMIT(f, setting(SG_WRITE_PUT, "a", "2"), setting(SG_WRITE_PUT, "b", "2"));
    assert_text(read_all(f, &query), "a:1 ");
    assert_text(read_all(f, &query), "a:1 ");
    sg_store_reader_end(f->reader);

    assert_text(read_all(f, &query), "a:2 b:2 ");
    assert_status(sg_store_reader_begin(f->reader, &f->error), SG_OK);
    assert_text(read_all(f, &query), "a:2 b:2 ");
    sg_store_reader_end(f->reader);
    sg_store_reader_end(f->reader);
}

ON_BOTH_STORES(maintain_does_not_change_what_is_read)
{
    commit_settings(f);

    assert_status(sg_store_maintain(f->store, &f->error), SG_OK);

    assert_text(scan(f, SG_KIND_SETTING), "a:1 b:2 c:3 d:4 e:5 ");
    cr_assert(ge(i64, sg_store_size_bytes(f->store), 0));
}
