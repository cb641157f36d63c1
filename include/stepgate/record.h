/*
 * Records: what the engine writes and every store keeps.
 *
 * The model. A record is a kind and a row of values, one for each of the kind's columns (protocol/kinds.def). A write puts a
 * record (replacing the one with the same key), deletes one by its key, or deletes all whose key begins with the given
 * values. A store knows nothing of what records mean.
 */
#ifndef STEPGATE_RECORD_H
#define STEPGATE_RECORD_H

#include <stepgate/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SG_SCHEMA_VERSION 2

enum sg_kind {
#define SG_KIND(NAME, table, life, key_columns) SG_KIND_##NAME,
#define SG_COLUMN(KIND, NAME, name, type)
#define SG_INDEX(KIND, NAME, first, second)
#define SG_KIND_END(NAME)
#include "kinds.def"
#undef SG_KIND
#undef SG_COLUMN
#undef SG_INDEX
#undef SG_KIND_END
    SG_KIND_COUNT
};

/* SG_EVENT_POSITION, SG_EVENT_INTERNAL_ID, ... SG_EVENT_COLUMNS: the index of each column within its kind. */
#define SG_KIND(NAME, table, life, key_columns) enum {
#define SG_COLUMN(KIND, NAME, name, type) SG_##KIND##_##NAME,
#define SG_INDEX(KIND, NAME, first, second)
#define SG_KIND_END(NAME)                                                                                                                  \
    SG_##NAME##_COLUMNS                                                                                                                    \
    }                                                                                                                                      \
    ;
#include "kinds.def"
#undef SG_KIND
#undef SG_COLUMN
#undef SG_INDEX
#undef SG_KIND_END

/* The most columns that a kind may have. */
#define SG_COLUMNS_MAX 14

enum sg_column_type { SG_TYPE_INT, SG_TYPE_TEXT, SG_TYPE_BLOB, SG_TYPE_ID };
enum sg_kind_life { SG_LIFE_LIVE, SG_LIFE_HISTORY, SG_LIFE_LOOKUP };

/* One value. TEXT, BLOB and ID borrow their bytes (an ID's are 16); INT uses `number`. */
struct sg_value {
    struct sg_str bytes;
    int64_t number;
    bool is_null;
};

struct sg_record {
    enum sg_kind kind;
    struct sg_value values[SG_COLUMNS_MAX];
};

enum sg_write_op {
    SG_WRITE_PUT,          /* insert, or replace the record with the same key */
    SG_WRITE_INSERT,       /* insert; a record with the same key is left as it is (memos: first write wins) */
    SG_WRITE_DELETE,       /* by its whole key; absent is fine */
    SG_WRITE_DELETE_PREFIX /* all whose key begins with the first `prefix_columns` values */
};

struct sg_write {
    enum sg_write_op op;
    int prefix_columns;
    struct sg_record record;
};

static inline struct sg_value sg_value_int(int64_t number)
{
    return (struct sg_value){SG_STR_NULL, number, false};
}
static inline struct sg_value sg_value_bytes(struct sg_str bytes)
{
    return (struct sg_value){bytes, 0, false};
}
/* The id is borrowed: it must outlive the value. */
static inline struct sg_value sg_value_id(const struct sg_id *id)
{
    return (struct sg_value){{(const char *)id->bytes, sizeof(id->bytes)}, 0, false};
}
static inline struct sg_value sg_value_null(void)
{
    return (struct sg_value){SG_STR_NULL, 0, true};
}
/* The id that a value holds; all zero for null or a value of another length. */
struct sg_id sg_value_get_id(const struct sg_value *value);

/* The table itself, for stores. */
struct sg_column_info {
    const char *name;
    enum sg_column_type type;
};
struct sg_index_info {
    const char *name;
    int columns[2];
    int column_count;
};
#define SG_INDEXES_MAX 3
struct sg_kind_info {
    const char *table;
    enum sg_kind_life life;
    int key_columns;
    int column_count;
    int index_count;
    struct sg_column_info columns[SG_COLUMNS_MAX];
    struct sg_index_info indexes[SG_INDEXES_MAX];
};
const struct sg_kind_info *sg_kind_info(enum sg_kind kind);

/* SG_INDEX numbers: SG_INDEX_EVENT_INTERNAL_ID etc. count within their kind, in the order of the table. */
enum { SG_INDEX_KEY = -1 };
enum { SG_INDEX_EVENT_INTERNAL_ID = 0 };
enum { SG_INDEX_RUN_EVENT = 0 };
enum { SG_INDEX_IDEMPOTENCY_EXPIRES_AT = 0 };

#ifdef __cplusplus
}
#endif

#endif
