/*
 * The store in SQLite: one database in one directory, one connection that commits.
 *
 * The model. The database is in WAL mode with synchronous=FULL, so a commit appends its pages to the log and syncs it once:
 * when sg_store_commit returns, the batch is on disk. Everything hot is done once and kept: a prepared statement for each
 * kind and operation, values bound without copying, pages in the writer's cache (which stays valid, since nobody else
 * writes). Copying pages from the log back into the database is somebody else's work (sqlite_checkpoint.c), reading too
 * (sqlite_reader.c).
 *
 * When a commit fails it is rolled back and may be tried again as it is. Should the log hold it all the same (it was written,
 * and only then something failed), that matters only if the process dies before the retry, and then it is a batch that was
 * committed and never answered, which every caller must expect of a crash. A failed sync is different: the kernel may have
 * dropped pages it had accepted and report success the next time, so the store refuses everything from then on.
 *
 * What it never does: know what records mean, checkpoint inside a commit, or share its directory with another process.
 */
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "store/dirlock.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct sg_store_backend sqlite_backend;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void set_up_library(void);
static enum sg_status make_directory(struct sg_sqlite_store *store, const char *directory, struct sg_error *error);
static enum sg_status open_writer(struct sg_sqlite_store *store, int64_t cache_bytes, struct sg_error *error);
static void sqlite_close(struct sg_store *base);
static enum sg_status apply(struct sg_sqlite_store *store, const struct sg_write *write, struct sg_error *error);
static enum sg_status fail_commit(struct sg_sqlite_store *store, enum sg_status status);

struct sg_sqlite_store *sg_sqlite_store_of(struct sg_store *store)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    assert(store->backend == &sqlite_backend);
    return (struct sg_sqlite_store *)store;
}

/* ---- open and close ---- */

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

enum sg_status sg_store_open_sqlite(const struct sg_store_sqlite_options *options, struct sg_store **store, struct sg_error *error)
{
    struct sg_sqlite_store *made = sg_calloc(1, sizeof(*made));

    if (made == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while the store was opened");
    pthread_once(&library_once, set_up_library);
    made->base.magic = SG_STORE_MAGIC;
    made->base.backend = &sqlite_backend;
    made->lock_fd = -1;
    made->reader_cache_bytes = or_default(options->reader_cache_bytes, SG_DEFAULT_STORE_READER_CACHE_BYTES);
    made->wal_bytes_max = or_default(options->wal_bytes_max, SG_DEFAULT_STORE_WAL_BYTES);
    made->busy_timeout_ms = (int)or_default(options->busy_timeout_ms, SG_DEFAULT_STORE_BUSY_MS);
    made->is_sync_off = options->is_sync_off;
    pthread_mutex_init(&made->commit_lock, NULL); /* with default attributes neither can fail on Linux */
    pthread_mutex_init(&made->maintain_lock, NULL);

    enum sg_status status = make_directory(made, options->directory, error);
    if (status == SG_OK)
        status = sg_dirlock_take(made->directory, &made->lock_fd, error);
    if (status == SG_OK)
        status = open_writer(made, or_default(options->cache_bytes, SG_DEFAULT_STORE_CACHE_BYTES), error);
    if (status == SG_OK)
        status = sg_sqlite_checkpoint_open(made, error);
    if (status != SG_OK) {
        sqlite_close(&made->base);
        return status;
    }
    *store = &made->base;
    return SG_OK;
}

/*
 * SQLite's own count of the memory it uses costs a global lock on every allocation, and nobody reads it. Refused, harmlessly,
 * if something else in the process uses SQLite already.
 */
static void set_up_library(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/* Only for its owner: it holds keys and other people's data. Its parent must exist, so that a mistyped path is noticed. */
static enum sg_status make_directory(struct sg_sqlite_store *store, const char *directory, struct sg_error *error)
{
    if (directory == NULL || directory[0] == '\0')
        return sg_error_set(error, SG_INVALID_ARGUMENT, "the store needs a directory");
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sg_error_set(error, SG_STORE_IO, "cannot make the data directory %s: %s", directory, strerror(errno));
    if (realpath(directory, store->directory) == NULL)
        return sg_error_set(error, SG_STORE_IO, "cannot find the data directory %s: %s", directory, strerror(errno));
    int length = snprintf(store->path, sizeof(store->path), "%s/main.db", store->directory);
    /* SQLite adds "-wal", and a backup is named "main.db.v1.part". */
    if (length < 0 || (size_t)length + 32 > sizeof(store->path))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "the path of the data directory %s is too long", directory);
    return SG_OK;
}

enum sg_status sg_sqlite_connect(struct sg_sqlite_store *store, int flags, int64_t cache_bytes, sqlite3 **db, struct sg_error *error)
{
    char pragmas[256];
    int rc = sqlite3_open_v2(store->path, db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE, NULL);
    enum sg_status status = SG_OK;

    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(*db, store->busy_timeout_ms);
    if (rc != SQLITE_OK)
        status = sg_sqlite_error(*db, rc, "open", error);
    /* Without mmap: a read error would be a SIGBUS instead of a status. */
    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA cache_size = -%lld; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; "
             "PRAGMA trusted_schema = OFF; PRAGMA synchronous = %s;",
             (long long)((cache_bytes + 1023) / 1024), store->is_sync_off ? "OFF" : "FULL");
    if (status == SG_OK)
        status = sg_sqlite_run(*db, pragmas, error);
    if (status != SG_OK) {
        sqlite3_close(*db);
        *db = NULL;
    }
    return status;
}

/* After each commit: how long the log is. Set in the place of SQLite's own hook, which would checkpoint. */
static int note_wal_frames(void *context, sqlite3 *db, const char *database, int frames)
{
    struct sg_sqlite_store *store = context;

    (void)db;
    (void)database;
    atomic_store_explicit(&store->wal_frames, frames, memory_order_relaxed);
    return SQLITE_OK;
}

static enum sg_status prepare_text(sqlite3 *db, const char *text, sqlite3_stmt **statement, struct sg_error *error)
{
    struct sg_buf sql = {0};

    sg_buf_append(&sql, sg_str_from(text));
    return sg_sqlite_prepare(db, &sql, statement, error);
}

static enum sg_status sync_directory(const struct sg_sqlite_store *store, struct sg_error *error)
{
    int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sg_status status = SG_OK;

    if (fd < 0 || fsync(fd) != 0)
        status = sg_error_set(error, SG_STORE_IO, "cannot sync the data directory %s: %s", store->directory, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

static enum sg_status open_writer(struct sg_sqlite_store *store, int64_t cache_bytes, struct sg_error *error)
{
    char pragmas[256];
    struct stat wal;
    char wal_path[PATH_MAX + 8];
    enum sg_status status = sg_sqlite_connect(store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, cache_bytes, &store->writer, error);

    if (status == SG_OK)
        status = sg_sqlite_schema_recognize(store->writer, error);
    /* Secure deletion (Debian's default) would write zeros over every deleted job. */
    snprintf(pragmas, sizeof(pragmas),
             "PRAGMA page_size = %d; PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = WAL; PRAGMA secure_delete = OFF; "
             "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = %lld;",
             SG_SQLITE_PAGE_BYTES, (long long)store->wal_bytes_max);
    if (status == SG_OK)
        status = sg_sqlite_run(store->writer, pragmas, error);
    if (status != SG_OK)
        return status;

    snprintf(wal_path, sizeof(wal_path), "%s-wal", store->path);
    if (stat(wal_path, &wal) == 0)
        atomic_store(&store->wal_frames, (int64_t)wal.st_size / SG_SQLITE_FRAME_BYTES);
    sqlite3_wal_hook(store->writer, note_wal_frames, store);
    status = sg_sqlite_schema_open(store->writer, store->directory, sg_sqlite_migrations, error);
    if (status == SG_OK)
        status = sync_directory(store, error);
    if (status == SG_OK)
        status = sg_sqlite_large_open(&store->large, store->writer, error);
    if (status == SG_OK)
        status = prepare_text(store->writer, "BEGIN IMMEDIATE", &store->begin, error);
    if (status == SG_OK)
        status = prepare_text(store->writer, "COMMIT", &store->commit, error);
    if (status == SG_OK)
        status = prepare_text(store->writer, "ROLLBACK", &store->rollback, error);
    return status;
}

/* Also of a store that was opened only in part. */
static void sqlite_close(struct sg_store *base)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);

    assert(atomic_load(&store->readers) == 0); /* readers are closed before their store */
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        sqlite3_finalize(store->puts[kind]);
        sqlite3_finalize(store->inserts[kind]);
        sqlite3_finalize(store->deletes[kind][0]);
        sqlite3_finalize(store->deletes[kind][1]);
    }
    sg_sqlite_large_close(&store->large);
    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->rollback);
    /* The last connection copies the log into the database and removes it. After a failed sync the log is all we have. */
    if (atomic_load(&store->is_dead)) {
        (void)sqlite3_db_config(store->checkpointer, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_db_config(store->writer, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    if (sqlite3_close(store->checkpointer) != SQLITE_OK || sqlite3_close(store->writer) != SQLITE_OK)
        sg_log(SG_LOG_ERROR, "the database could not be closed", SG_KV_TEXT("path", store->path));
    sg_dirlock_release(store->lock_fd);
    pthread_mutex_destroy(&store->commit_lock);
    pthread_mutex_destroy(&store->maintain_lock);
    store->base.magic = 0;
    sg_free(store);
}

/* ---- commit ---- */

/* Runs one of BEGIN, COMMIT, ROLLBACK. */
static int step_once(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    sqlite3_reset(statement);
    return rc;
}

static enum sg_status commit_locked(struct sg_sqlite_store *store, const struct sg_write *writes, size_t count, struct sg_error *error)
{
    /* Only a rollback that failed leaves a transaction open. */
    if (!sqlite3_get_autocommit(store->writer))
        (void)step_once(store->rollback);

    int rc = step_once(store->begin);
    if (rc != SQLITE_DONE)
        return sg_sqlite_error(store->writer, rc, "begin a commit to", error);

    enum sg_status status = SG_OK;
    for (size_t i = 0; status == SG_OK && i < count; i++)
        status = apply(store, &writes[i], error);
    if (status == SG_OK) {
        rc = step_once(store->commit);
        if (rc != SQLITE_DONE)
            status = sg_sqlite_error(store->writer, rc, "commit to", error);
    }
    if (status != SG_OK && !sqlite3_get_autocommit(store->writer))
        (void)step_once(store->rollback);
    return status;
}

static enum sg_status sqlite_commit(struct sg_store *base, const struct sg_write *writes, size_t count, struct sg_error *error)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);
    enum sg_status status;

    pthread_mutex_lock(&store->commit_lock);
    if (atomic_load(&store->is_dead))
        status = sg_error_set(error, SG_STORE_CORRUPT, "an earlier failure of %s was final; restart to recover from what is on disk",
                              store->path);
    else
        status = fail_commit(store, commit_locked(store, writes, count, error));
    pthread_mutex_unlock(&store->commit_lock);
    return status;
}

/* Remembers a final failure; passes every status on. */
static enum sg_status fail_commit(struct sg_sqlite_store *store, enum sg_status status)
{
    if (status == SG_STORE_CORRUPT)
        atomic_store(&store->is_dead, true);
    return status;
}

/* The statement for a write, prepared at its first use. */
static enum sg_status statement_for(struct sg_sqlite_store *store, const struct sg_write *write, int key_columns, sqlite3_stmt **statement,
                                    struct sg_error *error)
{
    enum sg_kind kind = write->record.kind;
    sqlite3_stmt **kept = &store->deletes[kind][key_columns - 1];
    struct sg_buf sql = {0};
    enum sg_status status = SG_OK;

    if (write->op == SG_WRITE_PUT)
        kept = &store->puts[kind];
    if (write->op == SG_WRITE_INSERT)
        kept = &store->inserts[kind];
    if (*kept == NULL) {
        if (write->op == SG_WRITE_PUT)
            sg_sqlite_sql_put(&sql, kind);
        else if (write->op == SG_WRITE_INSERT)
            sg_sqlite_sql_insert(&sql, kind);
        else
            sg_sqlite_sql_delete(&sql, kind, key_columns);
        status = sg_sqlite_prepare(store->writer, &sql, kept, error);
    }
    *statement = *kept;
    return status;
}

/* Binds the first `count` columns; how many of them are large values, of which the row gets the numbers. */
static int bind_columns(struct sg_sqlite_store *store, sqlite3_stmt *statement, const struct sg_record *record, int count, int *large_count)
{
    const struct sg_kind_info *info = sg_kind_info(record->kind);
    int rc = SQLITE_OK;

    *large_count = 0;
    for (int i = 0; rc == SQLITE_OK && i < count; i++) {
        if (sg_sqlite_large_is_apart(info, i, &record->values[i]))
            rc = sqlite3_bind_int64(statement, i + 1, store->large.next_ids[record->kind] + (*large_count)++);
        else
            rc = sg_sqlite_bind(statement, i + 1, &record->values[i], info->columns[i].type);
    }
    return rc;
}

static enum sg_status apply(struct sg_sqlite_store *store, const struct sg_write *write, struct sg_error *error)
{
    const struct sg_kind_info *info = sg_kind_info(write->record.kind);
    bool is_delete = write->op == SG_WRITE_DELETE || write->op == SG_WRITE_DELETE_PREFIX;
    int key_columns = write->op == SG_WRITE_DELETE_PREFIX ? write->prefix_columns : info->key_columns;
    int large_count;
    sqlite3_stmt *statement;

    enum sg_status status = statement_for(store, write, key_columns, &statement, error);
    if (status == SG_OK && write->op != SG_WRITE_INSERT)
        status = sg_sqlite_large_forget(&store->large, store->writer, &write->record, key_columns, error);
    if (status != SG_OK)
        return status;
    int rc = bind_columns(store, statement, &write->record, is_delete ? key_columns : info->column_count, &large_count);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc != SQLITE_DONE)
        status = sg_sqlite_error(store->writer, rc, "write to", error);
    sqlite3_reset(statement);
    /* Unless the row was there already, and an INSERT left it alone. */
    if (status == SG_OK && large_count > 0 && sqlite3_changes(store->writer) > 0)
        status = sg_sqlite_large_put(&store->large, store->writer, &write->record, error);
    return status;
}

/* ---- scan ---- */

static enum sg_status sqlite_scan(struct sg_store *base, enum sg_kind kind, sg_record_visit visit, void *context, struct sg_error *error)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);
    struct sg_buf sql = {0};
    sqlite3_stmt *statement;

    pthread_mutex_lock(&store->commit_lock);
    sg_sqlite_sql_scan(&sql, kind);
    enum sg_status status = sg_sqlite_prepare(store->writer, &sql, &statement, error);
    if (status == SG_OK)
        status = sg_sqlite_visit_rows(store->writer, statement, kind, NULL, visit, context, error);
    sqlite3_finalize(statement);
    (void)sqlite3_db_release_memory(store->writer); /* pages that were read once, in passing, would fill the writer's cache */
    pthread_mutex_unlock(&store->commit_lock);
    return status;
}

static const struct sg_store_backend sqlite_backend = {
    .close = sqlite_close,
    .commit = sqlite_commit,
    .scan = sqlite_scan,
    .maintain = sg_sqlite_maintain,
    .size_bytes = sg_sqlite_size_bytes,
    .usage = sg_sqlite_usage,
    .used_bytes = sg_sqlite_used_bytes,
    .reader_open = sg_sqlite_reader_open,
    .reader_close = sg_sqlite_reader_close,
    .reader_begin = sg_sqlite_reader_begin,
    .reader_end = sg_sqlite_reader_end,
    .read = sg_sqlite_read,
};
