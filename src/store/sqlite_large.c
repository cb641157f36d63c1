/*
 * Large values are kept apart from their rows.
 *
 * Why. SQLite compares the keys of a WITHOUT ROWID table by reading the rows whole, whatever lies behind the key: to write a
 * memo beside one of 4 MiB costs 4 MiB of memory and of reading. There a row has a quarter of a page at most; what is
 * longer takes whole pages of its own. And an INSERT builds the row in memory before it writes it, which is one more copy.
 *
 * The model. A BLOB beyond a limit becomes a row of the table `large_value`, and its own row has the number of
 * that in its place: an integer, which a BLOB column never holds otherwise. It is written through SQLite's blob handle, straight
 * into the pages, and read by its number in the snapshot that its row was read in. The kind is in the number's upper bits, so that
 * a look at the tree tells at start which kinds have any. While a kind has none, as in most installations, its rows are replaced
 * and deleted as if all this did not exist; otherwise whoever replaces or deletes a row deletes its large values before.
 *
 * What it never does: touch a key, or a column with an index; leave a value that no row refers to.
 */
#include "store/sqlite_large.h"

#include "store/sqlite_sql.h"

#include <stdio.h>

/*
 * Rows of up to 1,002 bytes lie whole in their page; this leaves room for the other columns. (Measured, memos of 2,000 bytes: 27 us a
 * step instead of 43, and the database grows by half.)
 */
#define INLINE_BYTES_MAX 850
/* In tables with a rowid a row may fill a page, and a neighbour's key is read without the rest: only the copy counts. */
#define ROWID_INLINE_BYTES_MAX (64 * 1024)
/* 2^48 values a kind: a thousand a second for nine thousand years. */
#define KIND_SHIFT 48
/* Up to here the copy that an INSERT makes is cheaper than opening a blob handle. */
#define COPIED_BYTES_MAX (64 * 1024)

static int64_t first_id(int kind)
{
    return ((int64_t)kind + 1) << KIND_SHIFT;
}

bool sg_sqlite_has_rowid_key(const struct sg_kind_info *info)
{
    return info->key_columns == 1 && info->columns[0].type == SG_TYPE_INT;
}

static bool has_blobs(const struct sg_kind_info *info)
{
    for (int i = info->key_columns; i < info->column_count; i++)
        if (info->columns[i].type == SG_TYPE_BLOB)
            return true;
    return false;
}

bool sg_sqlite_large_is_apart(const struct sg_kind_info *info, int column, const struct sg_value *value)
{
    if (value->bytes.len <= INLINE_BYTES_MAX || info->columns[column].type != SG_TYPE_BLOB || column < info->key_columns || value->is_null)
        return false;
    return value->bytes.len > ROWID_INLINE_BYTES_MAX || !sg_sqlite_has_rowid_key(info);
}

/* ---- the connection that commits ---- */

enum sg_status sg_sqlite_large_open(struct sg_sqlite_large *large, sqlite3 *db, struct sg_error *error)
{
    enum sg_status status = SG_OK;

    for (int kind = 0; status == SG_OK && kind < SG_KIND_COUNT; kind++) {
        char sql[160];
        int64_t last;
        large->next_ids[kind] = first_id(kind);
        if (!has_blobs(sg_kind_info((enum sg_kind)kind)))
            continue;
        snprintf(sql, sizeof(sql), "SELECT id FROM " SG_SQLITE_LARGE_TABLE " WHERE id >= %lld AND id < %lld ORDER BY id DESC LIMIT 1",
                 (long long)first_id(kind), (long long)first_id(kind + 1));
        status = sg_sqlite_run_int(db, sql, first_id(kind) - 1, &last, error);
        large->next_ids[kind] = last + 1;
    }
    return status;
}

void sg_sqlite_large_close(struct sg_sqlite_large *large)
{
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        sqlite3_finalize(large->forgets[kind][0]);
        sqlite3_finalize(large->forgets[kind][1]);
    }
    sqlite3_finalize(large->insert);
}

enum sg_status sg_sqlite_large_forget(struct sg_sqlite_large *large, sqlite3 *db, const struct sg_record *record, int key_columns,
                                      struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(record->kind);
    sqlite3_stmt **kept = &large->forgets[record->kind][key_columns - 1];
    struct sg_buf sql = {0};
    enum sg_status status = SG_OK;

    if (large->next_ids[record->kind] == first_id(record->kind))
        return SG_OK;
    if (*kept == NULL) {
        sg_sqlite_sql_forget(&sql, record->kind, key_columns);
        status = sg_sqlite_prepare(db, &sql, kept, error);
    }
    if (status != SG_OK)
        return status;
    int rc = SQLITE_OK;
    for (int i = 0; rc == SQLITE_OK && i < key_columns; i++)
        rc = sg_sqlite_bind(*kept, i + 1, &record->values[i], info->columns[i].type);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(*kept);
    if (rc != SQLITE_DONE)
        status = sg_sqlite_error(db, rc, "write to", error);
    sqlite3_reset(*kept);
    return status;
}

/* What is very large is written as zeros first, which take no memory, then its bytes go straight into the pages. */
static enum sg_status put_one(struct sg_sqlite_large *large, sqlite3 *db, int64_t id, const struct sg_value *value, struct sg_error *error)
{
    bool is_direct = value->bytes.len > COPIED_BYTES_MAX;
    sqlite3_blob *blob = NULL;
    int rc = sqlite3_bind_int64(large->insert, 1, id);

    if (rc == SQLITE_OK && is_direct)
        rc = sqlite3_bind_zeroblob64(large->insert, 2, value->bytes.len);
    else if (rc == SQLITE_OK)
        rc = sg_sqlite_bind(large->insert, 2, value, SG_TYPE_BLOB);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(large->insert);
    sqlite3_reset(large->insert);
    if (rc == SQLITE_DONE && is_direct) {
        rc = sqlite3_blob_open(db, "main", SG_SQLITE_LARGE_TABLE, "bytes", id, 1, &blob);
        if (rc == SQLITE_OK)
            rc = sqlite3_blob_write(blob, value->bytes.ptr, (int)value->bytes.len, 0);
        sqlite3_blob_close(blob);
    }
    return rc == SQLITE_OK || rc == SQLITE_DONE ? SG_OK : sg_sqlite_error(db, rc, "write to", error);
}

enum sg_status sg_sqlite_large_put(struct sg_sqlite_large *large, sqlite3 *db, const struct sg_record *record, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(record->kind);
    struct sg_buf sql = {0};
    enum sg_status status = SG_OK;

    if (large->insert == NULL) {
        sg_buf_append(&sql, SG_STR("INSERT INTO " SG_SQLITE_LARGE_TABLE " (id, bytes) VALUES (?, ?)"));
        status = sg_sqlite_prepare(db, &sql, &large->insert, error);
    }
    for (int i = 0; status == SG_OK && i < info->column_count; i++)
        if (sg_sqlite_large_is_apart(info, i, &record->values[i]))
            status = put_one(large, db, large->next_ids[record->kind]++, &record->values[i], error);
    return status;
}

/* ---- any connection ---- */

enum sg_status sg_sqlite_large_get(struct sg_sqlite_fetch *fetch, sqlite3 *db, int column, int64_t id, struct sg_value *value,
                                   struct sg_error *error)
{
    sqlite3_stmt **kept = &fetch->statements[column];
    struct sg_buf sql = {0};

    fetch->is_used = true;
    if (*kept == NULL) {
        sg_buf_append(&sql, SG_STR("SELECT bytes FROM " SG_SQLITE_LARGE_TABLE " WHERE id = ?"));
        enum sg_status status = sg_sqlite_prepare(db, &sql, kept, error);
        if (status != SG_OK)
            return status;
    }
    int rc = sqlite3_bind_int64(*kept, 1, id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(*kept);
    if (rc == SQLITE_DONE)
        return sg_error_set(error, SG_STORE_CORRUPT, "the large value %lld is missing in %s", (long long)id,
                            sqlite3_db_filename(db, "main"));
    if (rc != SQLITE_ROW)
        return sg_sqlite_error(db, rc, "read", error);
    const char *bytes = sqlite3_column_blob(*kept, 0);
    if (bytes == NULL)
        return sg_sqlite_error(db, sqlite3_errcode(db) == SQLITE_NOMEM ? SQLITE_NOMEM : SQLITE_CORRUPT, "read", error);
    *value = sg_value_bytes((struct sg_str){bytes, (size_t)sqlite3_column_bytes(*kept, 0)});
    return SG_OK;
}

void sg_sqlite_fetch_reset(struct sg_sqlite_fetch *fetch)
{
    for (int i = 0; fetch->is_used && i < SG_COLUMNS_MAX; i++)
        sqlite3_reset(fetch->statements[i]);
    fetch->is_used = false;
}

void sg_sqlite_fetch_close(struct sg_sqlite_fetch *fetch)
{
    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        sqlite3_finalize(fetch->statements[i]);
}
