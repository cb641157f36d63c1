/*
 * The store interface: checks what it is handed and passes it on to the backend.
 *
 * The model. A store is a table of functions (backend.h). Records that do not fit the table of kinds are mistakes of the
 * program, never of a user, so they are stopped here by assertions, the same for every backend: a key without nulls, ids of
 * sixteen bytes, a prefix that is part of the key.
 *
 * What it never does: know a backend (each file that makes one has its own open function), or give meaning to a record.
 */
#include <stepgate/store.h>

#include "base/check.h"
#include "store/backend.h"

static void check_write(const struct sg_write *write);
static void check_value(const struct sg_value *value, enum sg_column_type type);
static void check_query(const struct sg_query *query);

void sg_store_close(struct sg_store *store)
{
    if (store == NULL)
        return;
    SG_CHECK(store, SG_STORE_MAGIC);
    store->backend->close(store);
}

enum sg_status sg_store_commit(struct sg_store *store, const struct sg_write *writes, size_t count, struct sg_error *error)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    for (size_t i = 0; i < count; i++)
        check_write(&writes[i]);
    if (count == 0)
        return SG_OK;
    return store->backend->commit(store, writes, count, error);
}

enum sg_status sg_store_scan(struct sg_store *store, enum sg_kind kind, sg_record_visit visit, void *context, struct sg_error *error)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    return store->backend->scan(store, kind, visit, context, error);
}

enum sg_status sg_store_maintain(struct sg_store *store, struct sg_error *error)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    return store->backend->maintain(store, error);
}

int64_t sg_store_size_bytes(struct sg_store *store)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    return store->backend->size_bytes(store);
}

void sg_store_usage(struct sg_store *store, struct sg_store_usage *usage)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    *usage = (struct sg_store_usage){0};
    if (store->backend->usage != NULL)
        store->backend->usage(store, usage);
}

enum sg_status sg_store_used_bytes(struct sg_store_reader *reader, int64_t *bytes, struct sg_error *error)
{
    SG_CHECK(reader, SG_STORE_READER_MAGIC);
    return reader->backend->used_bytes(reader, bytes, error);
}

enum sg_status sg_store_reader_open(struct sg_store *store, struct sg_store_reader **reader, struct sg_error *error)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    return store->backend->reader_open(store, reader, error);
}

void sg_store_reader_close(struct sg_store_reader *reader)
{
    if (reader == NULL)
        return;
    SG_CHECK(reader, SG_STORE_READER_MAGIC);
    sg_store_reader_end(reader);
    reader->backend->reader_close(reader);
}

enum sg_status sg_store_reader_begin(struct sg_store_reader *reader, struct sg_error *error)
{
    SG_CHECK(reader, SG_STORE_READER_MAGIC);
    assert(!reader->is_in_snapshot);
    enum sg_status status = reader->backend->reader_begin(reader, error);
    reader->is_in_snapshot = status == SG_OK;
    return status;
}

void sg_store_reader_end(struct sg_store_reader *reader)
{
    SG_CHECK(reader, SG_STORE_READER_MAGIC);
    if (!reader->is_in_snapshot)
        return;
    reader->backend->reader_end(reader);
    reader->is_in_snapshot = false;
}

enum sg_status sg_store_read(struct sg_store_reader *reader, const struct sg_query *query, sg_record_visit visit, void *context,
                             struct sg_error *error)
{
    SG_CHECK(reader, SG_STORE_READER_MAGIC);
    check_query(query);
    if (query->limit == 0)
        return SG_OK;
    return reader->backend->read(reader, query, visit, context, error);
}

struct get_context {
    struct sg_arena *arena;
    struct sg_record *record;
    bool is_found;
};

static enum sg_status copy_record(void *context, const struct sg_record *found)
{
    struct get_context *get = context;
    int column_count = sg_kind_info(found->kind)->column_count;

    get->record->kind = found->kind;
    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        get->record->values[i] = sg_value_null();
    for (int i = 0; i < column_count; i++) {
        const struct sg_value *value = &found->values[i];
        get->record->values[i] = *value;
        if (value->is_null || value->bytes.ptr == NULL)
            continue;
        get->record->values[i].bytes = sg_arena_copy(get->arena, value->bytes);
        if (get->record->values[i].bytes.ptr == NULL)
            return SG_NO_MEMORY;
    }
    get->is_found = true;
    return SG_OK;
}

enum sg_status sg_store_get(struct sg_store_reader *reader, enum sg_kind kind, const struct sg_value *key, struct sg_arena *arena,
                            struct sg_record *record, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    struct get_context get = {arena, record, false};
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .equal_count = info->key_columns, .limit = 1};

    for (int i = 0; i < info->key_columns; i++)
        query.equal[i] = key[i];
    enum sg_status status = sg_store_read(reader, &query, copy_record, &get, error);
    if (status == SG_NO_MEMORY)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while a %s record was read", info->table);
    if (status == SG_OK && !get.is_found)
        return sg_error_set(error, SG_NOT_FOUND, "there is no such %s record", info->table);
    return status;
}

struct sg_store_order sg_store_order(enum sg_kind kind, int index)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    struct sg_store_order order = {{0}, 0};

    assert(index >= SG_INDEX_KEY && index < info->index_count);
    if (index != SG_INDEX_KEY) {
        for (int i = 0; i < info->indexes[index].column_count; i++)
            order.columns[order.count++] = info->indexes[index].columns[i];
    }
    for (int column = 0; column < info->key_columns; column++) {
        bool is_known = false;
        for (int i = 0; i < order.count; i++)
            is_known = is_known || order.columns[i] == column;
        if (!is_known)
            order.columns[order.count++] = column;
    }
    assert(order.count <= SG_STORE_ORDER_MAX);
    return order;
}

static void check_write(const struct sg_write *write)
{
    const struct sg_record *record = &write->record;
    const struct sg_kind_info *info = sg_kind_info(record->kind);
    int checked_columns = info->column_count;

    if (write->op == SG_WRITE_DELETE)
        checked_columns = info->key_columns;
    if (write->op == SG_WRITE_DELETE_PREFIX) {
        assert(write->prefix_columns >= 1 && write->prefix_columns <= info->key_columns);
        checked_columns = write->prefix_columns;
    }
    for (int i = 0; i < checked_columns; i++) {
        assert(i >= info->key_columns || !record->values[i].is_null);
        check_value(&record->values[i], info->columns[i].type);
    }
}

static void check_value(const struct sg_value *value, enum sg_column_type type)
{
    if (value->is_null || type == SG_TYPE_INT)
        return;
    assert(value->bytes.ptr != NULL || value->bytes.len == 0);
    assert(type != SG_TYPE_ID || value->bytes.len == sizeof(struct sg_id));
}

/* Bounds are never null: null is less than every value, and no record with a null next column is between bounds. */
static void check_query(const struct sg_query *query)
{
    const struct sg_kind_info *info = sg_kind_info(query->kind);
    struct sg_store_order order = sg_store_order(query->kind, query->index);

    assert(query->limit >= 0);
    assert(query->equal_count >= 0 && query->equal_count <= 2 && query->equal_count <= order.count);
    for (int i = 0; i < query->equal_count; i++) {
        assert(!query->equal[i].is_null);
        check_value(&query->equal[i], info->columns[order.columns[i]].type);
    }
    if (query->has_after || query->has_before) {
        assert(query->equal_count < order.count);
        assert(!query->has_after || !query->after.is_null);
        assert(!query->has_before || !query->before.is_null);
    }
}
