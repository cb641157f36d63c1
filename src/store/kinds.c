/*
 * The table of record kinds as data: what protocol/kinds.def says, in the form that a program can walk.
 *
 * The model. protocol/kinds.def is included once for each thing that must be known: the numbers of a kind's indexes, then the
 * table itself. All stores derive their schemas, statements and orders from sg_kind_info, so a new kind is one entry there.
 *
 * What it never does: depend on a store. The engine links this file alone.
 */
#include <stepgate/record.h>

#include "base/check.h"

#include <string.h>

/* SG_INDEX names its columns without their kind; NONE stands where there is no second one. */
#define SG_KIND(NAME, table, life, key_columns) enum { SG_##NAME##_NONE = -1 };
#define SG_COLUMN(KIND, NAME, name, type)
#define SG_INDEX(KIND, NAME, first, second)
#define SG_KIND_END(NAME)
#include "kinds.def"
#undef SG_KIND
#undef SG_COLUMN
#undef SG_INDEX
#undef SG_KIND_END

/* Indexes counted within their kind, which is how record.h numbers them by hand. */
#define SG_KIND(NAME, table, life, key_columns) enum {
#define SG_COLUMN(KIND, NAME, name, type)
#define SG_INDEX(KIND, NAME, first, second) SG_NUMBER_OF_##KIND##_##NAME,
#define SG_KIND_END(NAME)                                                                                                                  \
    SG_##NAME##_INDEXES                                                                                                                    \
    }                                                                                                                                      \
    ;
#include "kinds.def"
#undef SG_KIND
#undef SG_COLUMN
#undef SG_INDEX
#undef SG_KIND_END

#define SG_KIND(NAME, table, life, key_columns)                                                                                            \
    _Static_assert((int)SG_##NAME##_INDEXES <= SG_INDEXES_MAX, "too many indexes: raise SG_INDEXES_MAX");                                  \
    _Static_assert((int)SG_##NAME##_COLUMNS <= SG_COLUMNS_MAX, "too many columns: raise SG_COLUMNS_MAX");                                  \
    _Static_assert((key_columns) >= 1 && (key_columns) <= 2, "a query names at most two key columns");
#define SG_COLUMN(KIND, NAME, name, type)
#define SG_INDEX(KIND, NAME, first, second)                                                                                                \
    _Static_assert((int)SG_INDEX_##KIND##_##NAME == (int)SG_NUMBER_OF_##KIND##_##NAME, "record.h numbers the indexes in another order");
#define SG_KIND_END(NAME)
#include "kinds.def"
#undef SG_KIND
#undef SG_COLUMN
#undef SG_INDEX
#undef SG_KIND_END

static const struct sg_kind_info kinds[SG_KIND_COUNT] = {
#define SG_KIND(NAME, table_name, life_name, key_column_count)                                                                             \
    [SG_KIND_##NAME] = {.table = table_name,                                                                                               \
                        .life = SG_LIFE_##life_name,                                                                                       \
                        .key_columns = key_column_count,                                                                                   \
                        .column_count = SG_##NAME##_COLUMNS,                                                                               \
                        .index_count = SG_##NAME##_INDEXES,
#define SG_COLUMN(KIND, NAME, column_name, type_name) .columns[SG_##KIND##_##NAME] = {column_name, SG_TYPE_##type_name},
#define SG_INDEX(KIND, NAME, first, second)                                                                                                \
    .indexes[SG_NUMBER_OF_##KIND##_##NAME] = {                                                                                             \
        #NAME, {SG_##KIND##_##first, SG_##KIND##_##second}, (int)SG_##KIND##_##second == (int)SG_##KIND##_NONE ? 1 : 2},
#define SG_KIND_END(NAME)                                                                                                                  \
    }                                                                                                                                      \
    ,
#include "kinds.def"
#undef SG_KIND
#undef SG_COLUMN
#undef SG_INDEX
#undef SG_KIND_END
};

const struct sg_kind_info *sg_kind_info(enum sg_kind kind)
{
    assert((int)kind >= 0 && kind < SG_KIND_COUNT);
    return &kinds[kind];
}

struct sg_id sg_value_get_id(const struct sg_value *value)
{
    struct sg_id id = {{0}};

    if (!value->is_null && value->bytes.len == sizeof(id.bytes))
        memcpy(id.bytes, value->bytes.ptr, sizeof(id.bytes));
    return id;
}
