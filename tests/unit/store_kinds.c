/* The table of kinds as a program sees it. */
#include "store_fixture.h"

#include "store/backend.h"

#include <string.h>

Test(store_kinds, table_says_what_the_definition_says)
{
    const struct sg_kind_info *memo_info = sg_kind_info(SG_KIND_MEMO);

    assert_text(memo_info->table, "memo");
    cr_assert(eq(int, (int)memo_info->life, SG_LIFE_HISTORY));
    cr_assert(eq(int, memo_info->key_columns, 2));
    cr_assert(eq(int, memo_info->column_count, SG_MEMO_COLUMNS));
    cr_assert(eq(int, memo_info->index_count, 0));
    assert_text(memo_info->columns[SG_MEMO_STEP_ID].name, "step_id");
    cr_assert(eq(int, (int)memo_info->columns[SG_MEMO_RUN_ID].type, SG_TYPE_ID));
    cr_assert(eq(int, (int)memo_info->columns[SG_MEMO_BYTES].type, SG_TYPE_BLOB));
}

Test(store_kinds, index_names_its_columns)
{
    const struct sg_kind_info *info = sg_kind_info(SG_KIND_EVENT);

    cr_assert(eq(int, info->index_count, 1));
    assert_text(info->indexes[SG_INDEX_EVENT_INTERNAL_ID].name, "INTERNAL_ID");
    cr_assert(eq(int, info->indexes[SG_INDEX_EVENT_INTERNAL_ID].column_count, 1));
    cr_assert(eq(int, info->indexes[SG_INDEX_EVENT_INTERNAL_ID].columns[0], SG_EVENT_INTERNAL_ID));
}

Test(store_kinds, every_kind_has_distinct_tables_and_named_columns)
{
    for (int a = 0; a < SG_KIND_COUNT; a++) {
        const struct sg_kind_info *info = sg_kind_info((enum sg_kind)a);
        cr_assert(le(int, info->key_columns, info->column_count));
        for (int i = 0; i < info->column_count; i++)
            cr_assert(gt(sz, strlen(info->columns[i].name), 0));
        for (int b = 0; b < a; b++)
            cr_assert(ne(str, (char *)info->table, (char *)sg_kind_info((enum sg_kind)b)->table));
    }
}

Test(store_kinds, order_of_an_index_ends_with_the_key)
{
    struct sg_store_order by_key = sg_store_order(SG_KIND_IDEMPOTENCY, SG_INDEX_KEY);
    struct sg_store_order by_expiry = sg_store_order(SG_KIND_IDEMPOTENCY, SG_INDEX_IDEMPOTENCY_EXPIRES_AT);

    cr_assert(eq(int, by_key.count, 2));
    cr_assert(eq(int, by_expiry.count, 3));
    cr_assert(eq(int, by_expiry.columns[0], SG_IDEMPOTENCY_EXPIRES_AT));
    cr_assert(eq(int, by_expiry.columns[1], SG_IDEMPOTENCY_KEY));
    cr_assert(eq(int, by_expiry.columns[2], SG_IDEMPOTENCY_FUNCTION_ID));
}

Test(store_kinds, id_of_a_value_that_holds_none_is_zero)
{
    struct sg_value null = sg_value_null();
    struct sg_value short_bytes = sg_value_bytes(SG_STR("abc"));
    struct sg_value id = sg_value_id(id_of(7));

    cr_assert(sg_id_is_null(sg_value_get_id(&null)));
    cr_assert(sg_id_is_null(sg_value_get_id(&short_bytes)));
    cr_assert(sg_id_eq(sg_value_get_id(&id), *id_of(7)));
}
