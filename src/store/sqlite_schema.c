/*
 * The schema and its versions.
 *
 * The model. The row `schema_version` of the meta table says which version wrote the database. Equal to ours: the tables are
 * compared with the table of kinds. Higher: refused by a sentence. Lower: the database is copied aside, then, in one
 * transaction, what the table of kinds has and the database has not is added (tables, columns at the end, indexes), the
 * versions' own statements run in order, and the row is updated. So most new versions need no code here at all.
 *
 * What it never does: go back, or guess. A table whose columns differ from what its version had is not ours to mend.
 *
 * To change what existing rows mean, append to sg_sqlite_migrations the statements that carry a database from that version to
 * the next; they see the new tables and columns already.
 */
#include "store/sqlite_schema.h"

#include "base/check.h"
#include "base/log.h"
#include "store/sqlite_large.h"
#include "store/sqlite_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "stpg": tells file(1), and us, whose database this is. */
#define APPLICATION_ID 0x73747067

const struct sg_sqlite_migration sg_sqlite_migrations[] = {
    {0, NULL}, /* version 1 was the first; version 2 only has more tables and columns */
};

static enum sg_status create(sqlite3 *db, struct sg_error *error);
static enum sg_status reconcile(sqlite3 *db, bool may_change, struct sg_error *error);
static enum sg_status migrate(sqlite3 *db, const char *directory, int64_t version, const struct sg_sqlite_migration *migrations,
                              struct sg_error *error);
static enum sg_status copy_aside(sqlite3 *db, const char *directory, int64_t version, struct sg_error *error);
static enum sg_status finish(sqlite3 *db, enum sg_status status, struct sg_error *error);

enum sg_status sg_sqlite_schema_recognize(sqlite3 *db, struct sg_error *error)
{
    int64_t tables;
    int64_t application_id = 0;
    enum sg_status status = sg_sqlite_run_int(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, error);

    if (status == SG_OK)
        status = sg_sqlite_run_int(db, "PRAGMA application_id", 0, &application_id, error);
    if (status != SG_OK || tables == 0 || application_id == APPLICATION_ID)
        return status;
    return sg_error_set(error, SG_STORE_CORRUPT, "%s is a database, but not one of stepgate; choose another directory",
                        sqlite3_db_filename(db, "main"));
}

enum sg_status sg_sqlite_schema_open(sqlite3 *db, const char *directory, const struct sg_sqlite_migration *migrations,
                                     struct sg_error *error)
{
    int64_t tables;
    int64_t version;
    enum sg_status status = sg_sqlite_run_int(db, "SELECT count(*) FROM sqlite_schema", 0, &tables, error);

    if (status != SG_OK)
        return status;
    if (tables == 0)
        return create(db, error);
    status = sg_sqlite_run_int(db, "SELECT int_value FROM meta WHERE name = 'schema_version'", -1, &version, error);
    if (status != SG_OK)
        return status;
    if (version < 0)
        return sg_error_set(error, SG_STORE_CORRUPT, "the database in %s does not say which version wrote it", directory);
    if (version > SG_SCHEMA_VERSION)
        return sg_error_set(
            error, SG_STORE_NEWER,
            "the database in %s has schema version %lld, this stepgate knows versions up to %d; run a newer stepgate, or put "
            "back the copy that was made before the upgrade (main.db.v%d)",
            directory, (long long)version, SG_SCHEMA_VERSION, SG_SCHEMA_VERSION);
    if (version < SG_SCHEMA_VERSION)
        return migrate(db, directory, version, migrations, error);
    return reconcile(db, false, error);
}

static enum sg_status set_version(sqlite3 *db, struct sg_error *error)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO meta (name, int_value) VALUES ('schema_version', %d)", SG_SCHEMA_VERSION);
    return sg_sqlite_run(db, sql, error);
}

static enum sg_status create(sqlite3 *db, struct sg_error *error)
{
    char application_id[64];
    enum sg_status status = sg_sqlite_run(db, "BEGIN IMMEDIATE", error);

    if (status != SG_OK)
        return status;
    snprintf(application_id, sizeof(application_id), "PRAGMA application_id = %d", APPLICATION_ID);
    status = sg_sqlite_run(db, application_id, error);
    if (status == SG_OK)
        status = reconcile(db, true, error);
    if (status == SG_OK)
        status = set_version(db, error);
    return finish(db, status, error);
}

static enum sg_status migrate(sqlite3 *db, const char *directory, int64_t version, const struct sg_sqlite_migration *migrations,
                              struct sg_error *error)
{
    sg_log(SG_LOG_NOTICE, "migrating the database; a copy is kept beside it", SG_KV_TEXT("directory", directory),
           SG_KV_INT("from_version", version), SG_KV_INT("to_version", SG_SCHEMA_VERSION));

    enum sg_status status = copy_aside(db, directory, version, error);
    if (status == SG_OK)
        status = sg_sqlite_run(db, "BEGIN IMMEDIATE", error);
    if (status != SG_OK)
        return status;

    status = reconcile(db, true, error);
    for (int64_t from = version; status == SG_OK && from < SG_SCHEMA_VERSION; from++) {
        for (const struct sg_sqlite_migration *step = migrations; status == SG_OK && step->sql != NULL; step++) {
            if (step->from_version == from)
                status = sg_sqlite_run(db, step->sql, error);
        }
    }
    if (status == SG_OK)
        status = set_version(db, error);
    return finish(db, status, error);
}

/* Ends a transaction: commits what went well, undoes what did not. */
static enum sg_status finish(sqlite3 *db, enum sg_status status, struct sg_error *error)
{
    if (status == SG_OK)
        status = sg_sqlite_run(db, "COMMIT", error);
    if (!sqlite3_get_autocommit(db))
        (void)sg_sqlite_run(db, "ROLLBACK", NULL); /* if this fails too, closing the connection undoes it */
    return status;
}

static enum sg_status run_text(sqlite3 *db, struct sg_buf *sql, struct sg_error *error)
{
    sqlite3_stmt *statement;
    enum sg_status status = sg_sqlite_prepare(db, sql, &statement, error);

    if (status != SG_OK)
        return status;
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        status = sg_sqlite_error(db, rc, "change the schema of", error);
    sqlite3_finalize(statement);
    return status;
}

/* How many columns the table of `kind` has in the database, 0 if there is no such table. They must begin as ours do. */
static enum sg_status count_columns(sqlite3 *db, enum sg_kind kind, int *count, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    struct sg_value table = sg_value_bytes(sg_str_from(info->table));
    struct sg_buf sql = {0};
    sqlite3_stmt *statement;

    *count = 0;
    sg_buf_append(&sql, SG_STR("SELECT name FROM pragma_table_info(?) ORDER BY cid"));
    enum sg_status status = sg_sqlite_prepare(db, &sql, &statement, error);
    if (status != SG_OK)
        return status;
    int rc = sg_sqlite_bind(statement, 1, &table, SG_TYPE_TEXT);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    for (; status == SG_OK && rc == SQLITE_ROW; rc = sqlite3_step(statement)) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        if (name == NULL)
            status = sg_sqlite_error(db, SQLITE_NOMEM, "read the schema of", error);
        else if (*count >= info->column_count || strcmp(name, info->columns[*count].name) != 0)
            status = sg_error_set(error, SG_STORE_CORRUPT, "the table %s has a column %s that this version does not know there",
                                  info->table, name);
        (*count)++;
    }
    if (status == SG_OK && rc != SQLITE_DONE)
        status = sg_sqlite_error(db, rc, "read the schema of", error);
    sqlite3_finalize(statement);
    return status;
}

static enum sg_status has_index(sqlite3 *db, enum sg_kind kind, int index, bool *is_there, struct sg_error *error)
{
    char name[SG_SQLITE_NAME_MAX];
    char sql[SG_SQLITE_NAME_MAX + 96];
    int64_t count;

    sg_sqlite_index_name(name, kind, index);
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = '%s'", name);
    enum sg_status status = sg_sqlite_run_int(db, sql, 0, &count, error);
    *is_there = count > 0;
    return status;
}

static enum sg_status add_table_or_columns(sqlite3 *db, enum sg_kind kind, int present, bool may_change, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(kind);
    struct sg_buf sql = {0};

    if (present == info->column_count)
        return SG_OK;
    if (!may_change)
        return sg_error_set(error, SG_STORE_CORRUPT, "the table %s has no column %s, though its schema version is ours", info->table,
                            info->columns[present].name);
    if (present == 0) {
        sg_sqlite_sql_create_table(&sql, kind);
        return run_text(db, &sql, error);
    }
    for (int column = present; column < info->column_count; column++) {
        sg_sqlite_sql_add_column(&sql, kind, column);
        enum sg_status status = run_text(db, &sql, error);
        if (status != SG_OK)
            return status;
    }
    return SG_OK;
}

static enum sg_status add_indexes(sqlite3 *db, enum sg_kind kind, bool may_change, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(kind);

    for (int index = 0; index < info->index_count; index++) {
        bool is_there;
        enum sg_status status = has_index(db, kind, index, &is_there, error);
        if (status == SG_OK && !is_there) {
            if (!may_change)
                return sg_error_set(error, SG_STORE_CORRUPT, "the table %s has no index on %s, though its schema version is ours",
                                    info->table, info->indexes[index].name);
            struct sg_buf sql = {0};
            sg_sqlite_sql_create_index(&sql, kind, index);
            status = run_text(db, &sql, error);
        }
        if (status != SG_OK)
            return status;
    }
    return SG_OK;
}

static enum sg_status add_large_table(sqlite3 *db, bool may_change, struct sg_error *error)
{
    int64_t count;
    enum sg_status status =
        sg_sqlite_run_int(db, "SELECT count(*) FROM sqlite_schema WHERE name = '" SG_SQLITE_LARGE_TABLE "'", 0, &count, error);

    if (status != SG_OK || count > 0)
        return status;
    if (!may_change)
        return sg_error_set(error, SG_STORE_CORRUPT, "there is no table " SG_SQLITE_LARGE_TABLE ", though the schema version is ours");
    return sg_sqlite_run(db, SG_SQLITE_LARGE_CREATE, error);
}

/* Compares the database with the table of kinds; adds what is missing if it may, else says what is. */
static enum sg_status reconcile(sqlite3 *db, bool may_change, struct sg_error *error)
{
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        int present;
        enum sg_status status = count_columns(db, (enum sg_kind)kind, &present, error);
        if (status == SG_OK)
            status = add_table_or_columns(db, (enum sg_kind)kind, present, may_change, error);
        if (status == SG_OK)
            status = add_indexes(db, (enum sg_kind)kind, may_change, error);
        if (status != SG_OK)
            return status;
    }
    return add_large_table(db, may_change, error);
}

static enum sg_status sync_path(const char *path, int flags, struct sg_error *error)
{
    int fd = open(path, flags | O_CLOEXEC);
    int rc = fd >= 0 ? fsync(fd) : -1;
    enum sg_status status = SG_OK;

    if (rc != 0)
        status = sg_error_set(error, SG_STORE_IO, "cannot sync %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

/*
 * Writes the whole database, with what is in its WAL, to a file beside it. Under another name first: what bears the name of a backup
 * is complete.
 */
static enum sg_status copy_aside(sqlite3 *db, const char *directory, int64_t version, struct sg_error *error)
{
    char final_path[PATH_MAX];
    char path[PATH_MAX];
    struct sg_buf sql = {0};
    struct sg_value value;
    sqlite3_stmt *statement;
    int length = snprintf(final_path, sizeof(final_path), SG_SQLITE_BACKUP_FORMAT, directory, (long long)version);

    if (length < 0 || (size_t)length + sizeof(".part") > sizeof(path))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "the path of the data directory is too long");
    snprintf(path, sizeof(path), SG_SQLITE_BACKUP_FORMAT ".part", directory, (long long)version);
    if (unlink(path) != 0 && errno != ENOENT)
        return sg_error_set(error, SG_STORE_IO, "cannot remove %s, left from an earlier attempt: %s", path, strerror(errno));

    sg_buf_append(&sql, SG_STR("VACUUM INTO ?"));
    enum sg_status status = sg_sqlite_prepare(db, &sql, &statement, error);
    if (status != SG_OK)
        return status;
    value = sg_value_bytes(sg_str_from(path));
    int rc = sg_sqlite_bind(statement, 1, &value, SG_TYPE_TEXT);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE)
        status = sg_sqlite_error(db, rc, "copy, before migrating it,", error);
    sqlite3_finalize(statement);

    if (status == SG_OK)
        status = sync_path(path, O_RDONLY, error);
    if (status == SG_OK && rename(path, final_path) != 0)
        status = sg_error_set(error, SG_STORE_IO, "cannot name the copy %s: %s", final_path, strerror(errno));
    if (status == SG_OK)
        status = sync_path(directory, O_RDONLY | O_DIRECTORY, error);
    if (status != SG_OK)
        (void)unlink(path);
    return status;
}
