/* What only the store in SQLite does: files, the lock, versions of the schema, plans of its queries, the write-ahead log. */
#include "store_fixture.h"

#include "base/check.h"
#include "store/backend.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_sql.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static sqlite3 *open_raw(const char *directory)
{
    char path[512];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/main.db", directory);
    cr_assert(eq(int, sqlite3_open(path, &db), SQLITE_OK));
    return db;
}

static void run_raw(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &message);

    cr_assert(eq(int, rc, SQLITE_OK), "%s: %s", sql, message);
}

static int64_t int_raw(sqlite3 *db, const char *sql)
{
    int64_t value;

    assert_status(sg_sqlite_run_int(db, sql, -1, &value, NULL), SG_OK);
    return value;
}

static void alter(const char *directory, const char *sql)
{
    sqlite3 *db = open_raw(directory);

    run_raw(db, sql);
    sqlite3_close(db);
}

/* Closes the store but keeps its directory, to look at it or to damage it. */
static void close_store(struct fixture *f)
{
    sg_store_reader_close(f->reader);
    sg_store_close(f->store);
    f->reader = NULL;
    f->store = NULL;
}

Test(store_files, reopened_store_has_what_was_committed)
{
    struct fixture f;
    fixture_open_sqlite(&f);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"), memo(SG_WRITE_PUT, 1, "s", 0, SG_STR("x\0y")));

    fixture_reopen(&f);

    assert_text(scan(&f, SG_KIND_SETTING), "a:1 ");
    assert_text(scan(&f, SG_KIND_MEMO), "#1:s:0:x\\0y ");
    fixture_close(&f);
}

Test(store_files, directory_is_made_for_its_owner_only)
{
    char parent[256];
    char directory[300];
    struct sg_store *store;
    struct sg_error error;
    struct stat made;
    make_directory(parent);
    snprintf(directory, sizeof(directory), "%s/data", parent);

    assert_status(open_sqlite(directory, &store, &error), SG_OK);
    sg_store_close(store);

    cr_assert(eq(int, stat(directory, &made), 0));
    cr_assert(eq(u32, made.st_mode & 0777, 0700));
    remove_directory(directory);
    remove_directory(parent);
}

Test(store_files, missing_parent_is_named)
{
    struct sg_store *store;
    struct sg_error error;

    assert_status(open_sqlite("/nowhere/at/all", &store, &error), SG_STORE_IO);
    assert_text(error.message, "cannot make the data directory /nowhere/at/all: No such file or directory");
    assert_status(open_sqlite("", &store, &error), SG_INVALID_ARGUMENT);
}

Test(store_files, relative_directory_survives_a_change_of_directory)
{
    struct fixture f = {0};
    char name[300];
    make_directory(f.directory);
    cr_assert(eq(int, chdir(f.directory), 0));
    snprintf(name, sizeof(name), "./%s", "file:odd name?mode=ro");

    assert_status(open_sqlite(name, &f.store, &f.error), SG_OK);
    cr_assert(eq(int, chdir("/"), 0));
    assert_status(sg_store_reader_open(f.store, &f.reader, &f.error), SG_OK);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));

    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10};
    assert_text(read_all(&f, &query), "a:1 ");
    close_store(&f);
    snprintf(name, sizeof(name), "%s/file:odd name?mode=ro", f.directory);
    remove_directory(name);
    fixture_close(&f);
}

Test(store_files, garbage_is_reported_as_damaged)
{
    struct fixture f;
    char path[512];
    fixture_open_sqlite(&f);
    close_store(&f);
    snprintf(path, sizeof(path), "%s/main.db", f.directory);
    FILE *file = fopen(path, "w");
    cr_assert(ne(ptr, file, NULL));
    for (int i = 0; i < 2000; i++)
        fputs("this is not a database. ", file);
    fclose(file);

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_CORRUPT);
    cr_assert(ne(ptr, strstr(f.error.message, "main.db"), NULL));
    fixture_close(&f);
}

Test(store_files, damaged_page_makes_a_commit_fail_for_good)
{
    struct fixture f;
    char path[512];
    char zeros[4096] = {0};
    struct stat empty;
    fixture_open_sqlite(&f);
    fixture_reopen(&f);
    snprintf(path, sizeof(path), "%s/main.db", f.directory);
    cr_assert(eq(int, stat(path, &empty), 0));
    for (uint8_t i = 0; i < 200; i++)
        COMMIT(&f, memo(SG_WRITE_PUT, i, "s", i, ((struct sg_str){zeros, 800})));
    close_store(&f);
    FILE *file = fopen(path, "r+");
    memset(zeros, 0x55, sizeof(zeros));
    fseek(file, 0, SEEK_END);
    long pages = ftell(file) / 4096;
    for (long page = (long)empty.st_size / 4096; page < pages; page++) { /* the schema stays */
        fseek(file, page * 4096, SEEK_SET);
        fwrite(zeros, sizeof(zeros), 1, file);
    }
    fclose(file);

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
    struct sg_write write = memo(SG_WRITE_PUT, 100, "t", 0, SG_STR("x"));
    assert_status(commit(&f, &write, 1), SG_STORE_CORRUPT);
    struct sg_write harmless = setting(SG_WRITE_PUT, "a", "1");
    assert_status(commit(&f, &harmless, 1), SG_STORE_CORRUPT);
    fixture_close(&f);
}

Test(store_files, foreign_database_is_left_alone)
{
    struct fixture f = {0};
    make_directory(f.directory);
    alter(f.directory, "CREATE TABLE precious (a); INSERT INTO precious VALUES (1)");

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_CORRUPT);
    cr_assert(ne(ptr, strstr(f.error.message, "not one of stepgate"), NULL));

    sqlite3 *db = open_raw(f.directory);
    cr_assert(eq(i64, int_raw(db, "SELECT count(*) FROM sqlite_schema"), 1));
    sqlite3_close(db);
    fixture_close(&f);
}

/* ---- the lock ---- */

Test(store_lock, second_process_is_told_who_has_it)
{
    struct fixture f = {0};
    int ready[2];
    char byte;
    char expected[64];
    make_directory(f.directory);
    cr_assert(eq(int, pipe(ready), 0));

    pid_t child = fork();
    if (child == 0) {
        bool is_open = open_sqlite(f.directory, &f.store, &f.error) == SG_OK;
        (void)!write(ready[1], is_open ? "y" : "n", 1);
        for (;;)
            pause();
    }
    cr_assert(eq(i64, read(ready[0], &byte, 1), 1));
    cr_assert(eq(chr, byte, 'y'));
    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_LOCKED);
    snprintf(expected, sizeof(expected), "is used by process %ld;", (long)child);
    cr_assert(ne(ptr, strstr(f.error.message, expected), NULL));

    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
    fixture_close(&f);
    close(ready[0]);
    close(ready[1]);
}

Test(store_lock, same_process_cannot_open_twice)
{
    struct fixture f;
    struct sg_store *second;
    fixture_open_sqlite(&f);

    assert_status(open_sqlite(f.directory, &second, &f.error), SG_STORE_LOCKED);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));

    fixture_close(&f);
}

/* ---- versions ---- */

Test(store_schema, newer_database_is_refused_by_a_sentence)
{
    struct fixture f;
    fixture_open_sqlite(&f);
    close_store(&f);
    alter(f.directory, "UPDATE meta SET int_value = 99 WHERE name = 'schema_version'");

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_NEWER);
    cr_assert(ne(ptr, strstr(f.error.message, "schema version 99"), NULL));
    fixture_close(&f);
}

/* What a version before the first might have looked like: a table, a column and an index fewer. */
static void make_older(const char *directory)
{
    alter(directory, "UPDATE meta SET int_value = 0 WHERE name = 'schema_version';"
                     "DROP TABLE batch_item;"
                     "ALTER TABLE setting RENAME COLUMN value TO gone;"
                     "ALTER TABLE setting DROP COLUMN gone;"
                     "DROP INDEX event_by_internal_id;"
                     "INSERT INTO setting (name) VALUES ('kept')");
}

Test(store_schema, older_database_is_copied_aside_and_migrated)
{
    struct fixture f;
    char path[512];
    struct stat copy;
    fixture_open_sqlite(&f);
    COMMIT(&f, event(SG_WRITE_PUT, 1, 7, "n"));
    close_store(&f);
    make_older(f.directory);

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
    assert_status(sg_store_reader_open(f.store, &f.reader, &f.error), SG_OK);

    assert_text(scan(&f, SG_KIND_SETTING), "kept:- ");
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"), batch_item(SG_WRITE_PUT, 1, 1));
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .limit = 10};
    assert_text(read_all(&f, &query), "1:#7:n:-:-:-:- ");
    snprintf(path, sizeof(path), SG_SQLITE_BACKUP_FORMAT, f.directory, 0LL);
    cr_assert(eq(int, stat(path, &copy), 0));
    fixture_reopen(&f);
    assert_text(scan(&f, SG_KIND_SETTING), "a:1 kept:- ");
    fixture_close(&f);
}

Test(store_schema, database_of_version_1_is_migrated)
{
    struct fixture f;
    char path[512];
    fixture_open_sqlite(&f);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));
    close_store(&f);
    alter(f.directory, "UPDATE meta SET int_value = 1 WHERE name = 'schema_version'");

    fixture_reopen(&f);

    assert_text(scan(&f, SG_KIND_SETTING), "a:1 ");
    assert_text(scan(&f, SG_KIND_META), "schema_version:2:- ");
    snprintf(path, sizeof(path), SG_SQLITE_BACKUP_FORMAT, f.directory, 1LL);
    cr_assert(eq(int, access(path, R_OK), 0));
    fixture_close(&f);
}

Test(store_schema, steps_of_a_migration_see_the_new_columns_and_run_once)
{
    struct fixture f;
    static const struct sg_sqlite_migration steps[] = {{-1, "this is for another version"},
                                                       {0, "UPDATE setting SET value = name || ' moved'"},
                                                       {SG_SCHEMA_VERSION, "nor this"},
                                                       {0, NULL}};
    fixture_open_sqlite(&f);
    close_store(&f);
    make_older(f.directory);

    sqlite3 *db = open_raw(f.directory);
    assert_status(sg_sqlite_schema_open(db, f.directory, steps, &f.error), SG_OK);
    run_raw(db, "INSERT INTO setting VALUES ('later', 'as is')");
    assert_status(sg_sqlite_schema_open(db, f.directory, steps, &f.error), SG_OK);
    sqlite3_close(db);

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
    assert_text(scan(&f, SG_KIND_SETTING), "kept:kept moved later:as is ");
    fixture_close(&f);
}

Test(store_schema, migration_that_fails_leaves_the_database_as_it_was)
{
    struct fixture f;
    static const struct sg_sqlite_migration steps[] = {{0, "DELETE FROM setting"}, {0, "INSERT INTO no_such_table VALUES (1)"}, {0, NULL}};
    fixture_open_sqlite(&f);
    close_store(&f);
    make_older(f.directory);

    sqlite3 *db = open_raw(f.directory);
    assert_status(sg_sqlite_schema_open(db, f.directory, steps, &f.error), SG_STORE_CORRUPT);
    cr_assert(eq(i64, int_raw(db, "SELECT count(*) FROM setting"), 1));
    cr_assert(eq(i64, int_raw(db, "SELECT int_value FROM meta WHERE name = 'schema_version'"), 0));
    cr_assert(eq(i64, int_raw(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'batch_item'"), 0));
    sqlite3_close(db);

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
    assert_text(scan(&f, SG_KIND_SETTING), "kept:- ");
    fixture_close(&f);
}

Test(store_schema, tables_that_do_not_fit_their_version_are_refused)
{
    struct fixture f;
    fixture_open_sqlite(&f);
    close_store(&f);
    alter(f.directory, "ALTER TABLE setting ADD COLUMN surprise INTEGER");

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_CORRUPT);
    cr_assert(ne(ptr, strstr(f.error.message, "surprise"), NULL));
    alter(f.directory, "ALTER TABLE setting DROP COLUMN surprise; DROP INDEX event_by_internal_id");
    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_CORRUPT);
    alter(f.directory, "DROP TABLE memo; CREATE INDEX event_by_internal_id ON event (internal_id)");
    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_CORRUPT);
    fixture_close(&f);
}

/* ---- plans ---- */

/* Every shape of query must walk one tree in its order: no sort, and no more rows than it returns. */
static void check_plan(sqlite3 *db, const struct sg_query *query)
{
    struct sg_buf sql = {0};
    sqlite3_stmt *statement;
    bool has_bound = query->equal_count > 0 || query->has_after || query->has_before;

    sg_buf_append(&sql, SG_STR("EXPLAIN QUERY PLAN "));
    sg_sqlite_sql_select(&sql, query);
    sg_buf_byte(&sql, '\0');
    cr_assert(eq(int, sqlite3_prepare_v2(db, sql.ptr, -1, &statement, NULL), SQLITE_OK), "%s: %s", sql.ptr, sqlite3_errmsg(db));
    int lines = 0;
    while (sqlite3_step(statement) == SQLITE_ROW) {
        const char *plan = (const char *)sqlite3_column_text(statement, 3);
        lines++;
        cr_assert(eq(ptr, strstr(plan, "TEMP B-TREE"), NULL), "%s: %s", sql.ptr, plan);
        cr_assert(eq(int, strncmp(plan, has_bound ? "SEARCH" : "SCAN", 4), 0), "%s: %s", sql.ptr, plan);
        if (query->has_after)
            cr_assert(ne(ptr, strchr(plan, '>'), NULL), "%s: %s", sql.ptr, plan);
        if (query->has_before)
            cr_assert(ne(ptr, strchr(plan, '<'), NULL), "%s: %s", sql.ptr, plan);
    }
    cr_assert(eq(int, lines, 1));
    sqlite3_finalize(statement);
    sg_buf_free(&sql);
}

Test(store_sqlite, every_read_walks_one_tree_in_order)
{
    struct fixture f;
    fixture_open_sqlite(&f);
    close_store(&f);
    sqlite3 *db = open_raw(f.directory);

    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        for (int index = SG_INDEX_KEY; index < sg_kind_info((enum sg_kind)kind)->index_count; index++) {
            int order_count = sg_store_order((enum sg_kind)kind, index).count;
            for (int shape = 0; shape < 3 * 8; shape++) {
                struct sg_query query = {.kind = (enum sg_kind)kind, .index = index, .equal_count = shape / 8};
                query.has_after = (shape & 1) != 0;
                query.has_before = (shape & 2) != 0;
                query.is_descending = (shape & 4) != 0;
                if (query.equal_count < order_count || (query.equal_count == order_count && !query.has_after && !query.has_before))
                    check_plan(db, &query);
            }
        }
    }
    sqlite3_close(db);
    fixture_close(&f);
}

/* ---- the write-ahead log ---- */

#define SMALL_WAL_BYTES (1024 * 1024)

static void open_with_small_wal(struct fixture *f)
{
    struct sg_store_sqlite_options options = {.directory = f->directory, .wal_bytes_max = SMALL_WAL_BYTES, .is_sync_off = true};

    assert_status(sg_store_open_sqlite(&options, &f->store, &f->error), SG_OK);
    assert_status(sg_store_reader_open(f->store, &f->reader, &f->error), SG_OK);
}

static int64_t wal_bytes(const struct fixture *f)
{
    char path[512];
    struct stat file;

    snprintf(path, sizeof(path), "%s/main.db-wal", f->directory);
    return stat(path, &file) == 0 ? (int64_t)file.st_size : 0;
}

static void commit_bulk(struct fixture *f, int64_t round)
{
    static char bytes[100000];

    COMMIT(f, memo(SG_WRITE_PUT, (uint8_t)(round % 200), "bulk", round, ((struct sg_str){bytes, sizeof(bytes)})));
}

Test(store_wal, log_grows_without_maintenance_and_is_reused_with_it)
{
    struct fixture f = {0};
    make_directory(f.directory);
    open_with_small_wal(&f);

    for (int64_t i = 0; i < 50; i++)
        commit_bulk(&f, i);
    cr_assert(gt(i64, wal_bytes(&f), 4 * SMALL_WAL_BYTES));
    cr_assert(ge(i64, sg_store_size_bytes(f.store), wal_bytes(&f)));
    assert_status(sg_store_maintain(f.store, &f.error), SG_OK);
    for (int64_t i = 0; i < 200; i++) {
        commit_bulk(&f, i);
        assert_status(sg_store_maintain(f.store, &f.error), SG_OK);
    }
    cr_assert(lt(i64, wal_bytes(&f), 2 * SMALL_WAL_BYTES));

    cr_assert(eq(i64, sg_store_maintain(f.store, &f.error), SG_OK));
    fixture_close(&f);
}

Test(store_wal, snapshot_holds_the_log_only_while_it_lasts)
{
    struct fixture f = {0};
    struct sg_query query = {.kind = SG_KIND_SETTING, .index = SG_INDEX_KEY, .limit = 10};
    make_directory(f.directory);
    open_with_small_wal(&f);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));
    assert_status(sg_store_reader_begin(f.reader, &f.error), SG_OK);

    for (int64_t i = 0; i < 100; i++) {
        commit_bulk(&f, i);
        assert_status(sg_store_maintain(f.store, &f.error), SG_OK);
    }
    int64_t held_bytes = wal_bytes(&f);
    COMMIT(&f, setting(SG_WRITE_PUT, "a", "2"));
    assert_text(read_all(&f, &query), "a:1 ");
    cr_assert(gt(i64, held_bytes, 4 * SMALL_WAL_BYTES));

    sg_store_reader_end(f.reader);
    assert_status(sg_store_maintain(f.store, &f.error), SG_OK);
    commit_bulk(&f, 1);
    cr_assert(lt(i64, wal_bytes(&f), 2 * SMALL_WAL_BYTES));
    assert_text(read_all(&f, &query), "a:2 ");
    fixture_close(&f);
}

/* ---- threads ---- */

#define THREAD_COMMITS 300
#define PAIR_ROWS 4

struct crowd {
    struct fixture *f;
    atomic_bool is_over;
    _Atomic int64_t torn;
    _Atomic int64_t reads;
};

static enum sg_status sum_seq(void *context, const struct sg_record *record)
{
    int64_t *sum = context;

    *sum += record->values[SG_MEMO_SEQ].number;
    return SG_OK;
}

/* Every commit sets PAIR_ROWS rows to values whose sum is zero. */
static void *watch_sums(void *context)
{
    struct crowd *crowd = context;
    struct sg_store_reader *reader;
    struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .equal_count = 1, .limit = 100};
    query.equal[0] = sg_value_id(id_of(1));

    if (sg_store_reader_open(crowd->f->store, &reader, NULL) != SG_OK)
        return context;
    while (!atomic_load(&crowd->is_over)) {
        int64_t sum = 0;
        if (sg_store_read(reader, &query, sum_seq, &sum, NULL) != SG_OK || sum != 0)
            atomic_fetch_add(&crowd->torn, 1);
        atomic_fetch_add(&crowd->reads, 1);
    }
    sg_store_reader_close(reader);
    return NULL;
}

static void *keep_house(void *context)
{
    struct crowd *crowd = context;

    while (!atomic_load(&crowd->is_over)) {
        if (sg_store_maintain(crowd->f->store, NULL) != SG_OK)
            atomic_fetch_add(&crowd->torn, 1);
        (void)sg_store_size_bytes(crowd->f->store);
    }
    return NULL;
}

static void commit_beside_readers(struct fixture *f)
{
    struct crowd crowd = {.f = f};
    pthread_t threads[3];

    (void)id_of(1);
    cr_assert(eq(int, pthread_create(&threads[0], NULL, watch_sums, &crowd), 0));
    cr_assert(eq(int, pthread_create(&threads[1], NULL, watch_sums, &crowd), 0));
    cr_assert(eq(int, pthread_create(&threads[2], NULL, keep_house, &crowd), 0));
    static char bytes[8000];
    struct sg_str filler = {bytes, sizeof(bytes)};
    for (int64_t i = 0; i < THREAD_COMMITS || atomic_load(&crowd.reads) < 100; i++)
        COMMIT(f, memo(SG_WRITE_PUT, 1, "a", i, filler), memo(SG_WRITE_PUT, 1, "b", -2 * i, filler), memo(SG_WRITE_PUT, 1, "c", -i, filler),
               memo(SG_WRITE_PUT, 1, "d", 2 * i, filler));
    atomic_store(&crowd.is_over, true);
    for (size_t i = 0; i < SG_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    cr_assert(eq(i64, atomic_load(&crowd.torn), 0));
}

Test(store_threads, readers_and_checkpoints_never_tear_a_commit)
{
    struct fixture f = {0};
    make_directory(f.directory);
    open_with_small_wal(&f);

    commit_beside_readers(&f);

    fixture_close(&f);
}

Test(store_threads, memory_readers_never_see_half_a_commit)
{
    struct fixture f;
    fixture_open_memory(&f);

    commit_beside_readers(&f);

    fixture_close(&f);
}
