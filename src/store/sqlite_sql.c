/*
 * The dialect: how the table of kinds becomes SQLite's statements, and how SQLite's result codes become ours.
 *
 * The model. A kind whose key is one INT is a table whose rowid is that key: log positions and job ids grow, so rows are
 * appended at the right edge. Every other kind is WITHOUT ROWID, clustered by its key, so that a run's memos and steps
 * lie together and are deleted together, and a put is one descent of one tree. Columns are named in every statement, because a
 * migrated table has its new columns at the end, where the table of kinds must have them too.
 *
 * What it never does: put a value into the text. Everything is bound, so a statement is prepared once and used for ever.
 */
#include "store/sqlite_sql.h"

#include "base/check.h"
#include "store/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const column_types[] = {
    [SG_TYPE_INT] = "INTEGER",
    [SG_TYPE_TEXT] = "TEXT",
    [SG_TYPE_BLOB] = "BLOB",
    [SG_TYPE_ID] = "BLOB",
};

static void append(struct sg_buf *sql, const char *text)
{
    sg_buf_append(sql, sg_str_from(text));
}

/* Names are quoted: "function" and "key" are words of SQL. */
static void append_name(struct sg_buf *sql, const char *name)
{
    sg_buf_byte(sql, '"');
    append(sql, name);
    sg_buf_byte(sql, '"');
}

static void append_columns(struct sg_buf *sql, const struct sg_kind_info *info, int count)
{
    for (int i = 0; i < count; i++) {
        if (i > 0)
            append(sql, ", ");
        append_name(sql, info->columns[i].name);
    }
}

void sg_sqlite_index_name(char name[SG_SQLITE_NAME_MAX], enum sg_kind kind, int index)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    int length = snprintf(name, SG_SQLITE_NAME_MAX, "%s_by_%s", info->table, info->indexes[index].name);

    assert(length > 0 && length < SG_SQLITE_NAME_MAX);
    for (char *at = name; *at != '\0'; at++) {
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
    }
}

void sg_sqlite_sql_create_table(struct sg_buf *sql, enum sg_kind kind)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    append(sql, "CREATE TABLE ");
    append_name(sql, info->table);
    append(sql, " (");
    for (int i = 0; i < info->column_count; i++) {
        if (i > 0)
            append(sql, ", ");
        append_name(sql, info->columns[i].name);
        append(sql, " ");
        append(sql, column_types[info->columns[i].type]);
        if (i == 0 && sg_sqlite_has_rowid_key(info))
            append(sql, " PRIMARY KEY");
    }
    if (sg_sqlite_has_rowid_key(info)) {
        append(sql, ")");
        return;
    }
    append(sql, ", PRIMARY KEY (");
    append_columns(sql, info, info->key_columns);
    append(sql, ")) WITHOUT ROWID");
}

void sg_sqlite_sql_create_index(struct sg_buf *sql, enum sg_kind kind, int index)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    char name[SG_SQLITE_NAME_MAX];

    sg_sqlite_index_name(name, kind, index);
    append(sql, "CREATE INDEX ");
    append_name(sql, name);
    append(sql, " ON ");
    append_name(sql, info->table);
    append(sql, " (");
    for (int i = 0; i < info->indexes[index].column_count; i++) {
        if (i > 0)
            append(sql, ", ");
        append_name(sql, info->columns[info->indexes[index].columns[i]].name);
    }
    append(sql, ")");
}

void sg_sqlite_sql_add_column(struct sg_buf *sql, enum sg_kind kind, int column)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    append(sql, "ALTER TABLE ");
    append_name(sql, info->table);
    append(sql, " ADD COLUMN ");
    append_name(sql, info->columns[column].name);
    append(sql, " ");
    append(sql, column_types[info->columns[column].type]);
}

static void append_insert(struct sg_buf *sql, const struct sg_kind_info *info, const char *verb)
{
    append(sql, verb);
    append(sql, " INTO ");
    append_name(sql, info->table);
    append(sql, " (");
    append_columns(sql, info, info->column_count);
    append(sql, ") VALUES (");
    for (int i = 0; i < info->column_count; i++)
        append(sql, i == 0 ? "?" : ", ?");
    append(sql, ")");
}

/* Where there is no index, SQLite overwrites the old row in place without looking for it first. */
void sg_sqlite_sql_put(struct sg_buf *sql, enum sg_kind kind)
{
    append_insert(sql, sg_kind_info(kind), "INSERT OR REPLACE");
}

void sg_sqlite_sql_insert(struct sg_buf *sql, enum sg_kind kind)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    append_insert(sql, info, "INSERT");
    append(sql, " ON CONFLICT (");
    append_columns(sql, info, info->key_columns);
    append(sql, ") DO NOTHING");
}

void sg_sqlite_sql_delete(struct sg_buf *sql, enum sg_kind kind, int key_columns)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    append(sql, "DELETE FROM ");
    append_name(sql, info->table);
    for (int i = 0; i < key_columns; i++) {
        append(sql, i == 0 ? " WHERE " : " AND ");
        append_name(sql, info->columns[i].name);
        append(sql, " = ?");
    }
}

void sg_sqlite_sql_forget(struct sg_buf *sql, enum sg_kind kind, int key_columns)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    const char *joint = "DELETE FROM " SG_SQLITE_LARGE_TABLE " WHERE id IN (SELECT ";

    for (int column = info->key_columns; column < info->column_count; column++) {
        if (info->columns[column].type != SG_TYPE_BLOB)
            continue;
        append(sql, joint);
        joint = " UNION ALL SELECT ";
        append_name(sql, info->columns[column].name);
        append(sql, " FROM ");
        append_name(sql, info->table);
        append(sql, " WHERE typeof(");
        append_name(sql, info->columns[column].name);
        append(sql, ") = 'integer'");
        for (int i = 0; i < key_columns; i++) {
            append(sql, " AND ");
            append_name(sql, info->columns[i].name);
            append(sql, i == 0 ? " = ?1" : " = ?2");
        }
    }
    append(sql, ")");
}

static void append_bound(struct sg_buf *sql, int *bounds, const char *column, const char *comparison)
{
    append(sql, *bounds == 0 ? " WHERE " : " AND ");
    append_name(sql, column);
    append(sql, comparison);
    (*bounds)++;
}

void sg_sqlite_sql_select(struct sg_buf *sql, const struct sg_query *query)
{
    const struct sg_kind_info *info = sg_kind_info(query->kind);
    struct sg_store_order order = sg_store_order(query->kind, query->index);
    int bounds = 0;

    append(sql, "SELECT ");
    append_columns(sql, info, info->column_count);
    append(sql, " FROM ");
    append_name(sql, info->table);
    if (query->index != SG_INDEX_KEY) {
        char name[SG_SQLITE_NAME_MAX];
        sg_sqlite_index_name(name, query->kind, query->index);
        append(sql, " INDEXED BY ");
        append_name(sql, name);
    }
    for (int i = 0; i < query->equal_count; i++)
        append_bound(sql, &bounds, info->columns[order.columns[i]].name, " = ?");
    if (query->has_after)
        append_bound(sql, &bounds, info->columns[order.columns[query->equal_count]].name, " > ?");
    if (query->has_before)
        append_bound(sql, &bounds, info->columns[order.columns[query->equal_count]].name, " < ?");
    for (int i = 0; i < order.count; i++) {
        append(sql, i == 0 ? " ORDER BY " : ", ");
        append_name(sql, info->columns[order.columns[i]].name);
        if (query->is_descending)
            append(sql, " DESC");
    }
    append(sql, " LIMIT ?");
}

void sg_sqlite_sql_scan(struct sg_buf *sql, enum sg_kind kind)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    append(sql, "SELECT ");
    append_columns(sql, info, info->column_count);
    append(sql, " FROM ");
    append_name(sql, info->table);
    append(sql, " ORDER BY ");
    append_columns(sql, info, info->key_columns);
}

enum sg_status sg_sqlite_prepare(sqlite3 *db, struct sg_buf *sql, sqlite3_stmt **statement, struct sg_error *error)
{
    int rc = SQLITE_NOMEM;

    *statement = NULL;
    if (!sql->is_failed)
        rc = sqlite3_prepare_v3(db, sql->ptr, (int)sql->len, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    sg_buf_free(sql);
    return rc == SQLITE_OK ? SG_OK : sg_sqlite_error(db, rc, "prepare a statement for", error);
}

enum sg_status sg_sqlite_run(sqlite3 *db, const char *sql, struct sg_error *error)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? SG_OK : sg_sqlite_error(db, rc, "set up", error);
}

enum sg_status sg_sqlite_run_int(sqlite3 *db, const char *sql, int64_t otherwise, int64_t *value, struct sg_error *error)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    *value = otherwise;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *value = sqlite3_column_int64(statement, 0);
    enum sg_status status = rc == SQLITE_ROW || rc == SQLITE_DONE ? SG_OK : sg_sqlite_error(db, rc, "read", error);
    sqlite3_finalize(statement);
    return status;
}

int sg_sqlite_bind(sqlite3_stmt *statement, int position, const struct sg_value *value, enum sg_column_type type)
{
    /* SQLite takes a null pointer for NULL, whatever the length. */
    const char *bytes = value->bytes.ptr != NULL ? value->bytes.ptr : "";

    if (value->is_null)
        return sqlite3_bind_null(statement, position);
    switch (type) {
    case SG_TYPE_INT:
        return sqlite3_bind_int64(statement, position, value->number);
    case SG_TYPE_TEXT:
        return sqlite3_bind_text64(statement, position, bytes, value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case SG_TYPE_BLOB:
    case SG_TYPE_ID:
        return sqlite3_bind_blob64(statement, position, bytes, value->bytes.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

enum sg_status sg_sqlite_row(sqlite3 *db, sqlite3_stmt *statement, enum sg_kind kind, struct sg_sqlite_fetch *fetch,
                             struct sg_record *record, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    record->kind = kind;
    for (int i = 0; i < info->column_count; i++) {
        struct sg_value *value = &record->values[i];
        int stored_type = sqlite3_column_type(statement, i);
        if (stored_type == SQLITE_NULL) {
            *value = sg_value_null();
            continue;
        }
        if (info->columns[i].type == SG_TYPE_INT) {
            *value = sg_value_int(sqlite3_column_int64(statement, i));
            continue;
        }
        if (stored_type == SQLITE_INTEGER && info->columns[i].type == SG_TYPE_BLOB) {
            enum sg_status status = sg_sqlite_large_get(fetch, db, i, sqlite3_column_int64(statement, i), value, error);
            if (status != SG_OK)
                return status;
            continue;
        }
        /* As a blob also for text: it is UTF-8 already, and column_text would copy it to put a NUL behind it. */
        const char *bytes = sqlite3_column_blob(statement, i);
        int length = sqlite3_column_bytes(statement, i);
        if (bytes == NULL && (length > 0 || sqlite3_errcode(db) == SQLITE_NOMEM))
            return sg_sqlite_error(db, SQLITE_NOMEM, "read", error);
        *value = sg_value_bytes((struct sg_str){bytes != NULL ? bytes : "", (size_t)length});
        if (info->columns[i].type == SG_TYPE_ID && length != (int)sizeof(struct sg_id))
            return sg_error_set(error, SG_STORE_CORRUPT, "a %s record has %d bytes instead of 16 in %s", info->table, length,
                                info->columns[i].name);
    }
    return SG_OK;
}

/*
 * What the system said. SQLite keeps it with the connection when a statement fails on its way, but only with the file, the log
 * or the database, when a commit does.
 */
static int errno_of(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int found = sqlite3_system_errno(db);

    if (found == 0 && sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log != NULL &&
        log->pMethods != NULL)
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &found);
    if (found == 0)
        (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &found);
    return found;
}

/*
 * Disk full comes in three shapes: SQLite's own code, an I/O error whose errno says so (quota, file size limit), and a shared memory
 * file that cannot grow, of which no errno is kept.
 */
static bool is_disk_full(int rc, int system_errno)
{
    if ((rc & 0xff) == SQLITE_FULL || rc == SQLITE_IOERR_SHMSIZE)
        return true;
    return (rc & 0xff) == SQLITE_IOERR && (system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG);
}

static enum sg_status status_of(int rc, int system_errno)
{
    if (is_disk_full(rc, system_errno))
        return SG_STORE_FULL;
    switch (rc) {
    case SQLITE_IOERR_NOMEM:
        return SG_NO_MEMORY;
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC:
        return SG_STORE_CORRUPT; /* the kernel may have dropped what it could not write: nobody knows what is on disk */
    case SQLITE_IOERR_CORRUPTFS:
    case SQLITE_IOERR_DATA:
        return SG_STORE_CORRUPT;
    }
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return SG_NO_MEMORY;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return SG_STORE_BUSY;
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_NOLFS:
        return SG_STORE_IO;
    case SQLITE_TOOBIG:
        return SG_TOO_LARGE;
    default:
        return SG_STORE_CORRUPT; /* damaged, not a database, or not our schema: no retry mends it */
    }
}

enum sg_status sg_sqlite_error(sqlite3 *db, int rc, const char *doing, struct sg_error *error)
{
    bool is_about_io = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
    int system_errno = db != NULL && is_about_io ? errno_of(db) : 0;
    const char *path = db != NULL ? sqlite3_db_filename(db, "main") : NULL;
    const char *said = db != NULL && sqlite3_extended_errcode(db) == rc ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    enum sg_status status = status_of(rc, system_errno);

    if (path == NULL)
        path = "the database";
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
        return sg_error_set(
            error, status,
            "cannot %s %s: the disk refused to sync (%s), so what is on it is unknown; restart to recover from what is there", doing, path,
            strerror(system_errno != 0 ? system_errno : EIO));
    return sg_error_set(error, status, "cannot %s %s: %s%s%s (SQLite code %d)", doing, path, said, system_errno != 0 ? ": " : "",
                        system_errno != 0 ? strerror(system_errno) : "", rc);
}
