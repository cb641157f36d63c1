/*
 * The SQLite store's own structs, shared by its files: sqlite.c opens, commits and scans; sqlite_checkpoint.c keeps the
 * write-ahead log small; sqlite_reader.c reads; sqlite_large.c keeps large values apart; sqlite_schema.c makes and migrates; sqlite_sql.c is the dialect.
 */
#ifndef STEPGATE_STORE_SQLITE_H
#define STEPGATE_STORE_SQLITE_H

#include "store/backend.h"
#include "store/sqlite_large.h"

#include <limits.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* The page of a file system and of the kernel's cache; larger pages double the log of small commits. */
#define SG_SQLITE_PAGE_BYTES 4096
/* A page in the WAL has a header. */
#define SG_SQLITE_FRAME_BYTES (SG_SQLITE_PAGE_BYTES + 24)

#define SG_DEFAULT_STORE_CACHE_BYTES (32LL * 1024 * 1024)
/* Small: in WAL mode every commit empties the caches of all other connections. */
#define SG_DEFAULT_STORE_READER_CACHE_BYTES (2LL * 1024 * 1024)
/* Large enough that a hot page is written back once for hundreds of commits, small enough to recover in a fraction of a second. */
#define SG_DEFAULT_STORE_WAL_BYTES (32LL * 1024 * 1024)
#define SG_DEFAULT_STORE_BUSY_MS 5000

struct sg_sqlite_store {
    struct sg_store base;
    char directory[PATH_MAX]; /* absolute: readers are opened later, whatever the working directory is then */
    char path[PATH_MAX];
    int64_t reader_cache_bytes;
    int64_t wal_bytes_max;
    int busy_timeout_ms;
    bool is_sync_off;
    int lock_fd;

    /* `writer` and its statements belong to whoever holds commit_lock, `checkpointer` to whoever holds maintain_lock. */
    pthread_mutex_t commit_lock;
    sqlite3 *writer;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *rollback;
    sqlite3_stmt *puts[SG_KIND_COUNT];
    sqlite3_stmt *inserts[SG_KIND_COUNT];
    sqlite3_stmt *deletes[SG_KIND_COUNT][2]; /* by one or two key columns */
    struct sg_sqlite_large large;

    pthread_mutex_t maintain_lock;
    sqlite3 *checkpointer;
    int64_t checkpoint_deadline_ms; /* until when the busy handler waits for readers */
    int64_t restart_frames;         /* not before the log is this long will they be waited for again */

    atomic_int readers;
    _Atomic int64_t wal_frames; /* in use, as of the latest commit */
    atomic_bool is_dead;        /* a sync failed: nothing may be committed any more */
};

struct sg_sqlite_store *sg_sqlite_store_of(struct sg_store *store);

/* A connection to the store's database, set up but for what only the writer needs. */
enum sg_status sg_sqlite_connect(struct sg_sqlite_store *store, int flags, int64_t cache_bytes, sqlite3 **db, struct sg_error *error);

/* sqlite_checkpoint.c */
enum sg_status sg_sqlite_checkpoint_open(struct sg_sqlite_store *store, struct sg_error *error);
enum sg_status sg_sqlite_maintain(struct sg_store *base, struct sg_error *error);
int64_t sg_sqlite_size_bytes(struct sg_store *base);
void sg_sqlite_usage(struct sg_store *base, struct sg_store_usage *usage);

/* sqlite_reader.c */
enum sg_status sg_sqlite_used_bytes(struct sg_store_reader *base, int64_t *bytes, struct sg_error *error);
enum sg_status sg_sqlite_reader_open(struct sg_store *base, struct sg_store_reader **reader, struct sg_error *error);
void sg_sqlite_reader_close(struct sg_store_reader *base);
enum sg_status sg_sqlite_reader_begin(struct sg_store_reader *base, struct sg_error *error);
void sg_sqlite_reader_end(struct sg_store_reader *base);
enum sg_status sg_sqlite_read(struct sg_store_reader *base, const struct sg_query *query, sg_record_visit visit, void *context,
                              struct sg_error *error);
/* Steps `statement` through its rows and resets it; large values by `fetch`, if it is given and no read around this one has it. */
enum sg_status sg_sqlite_visit_rows(sqlite3 *db, sqlite3_stmt *statement, enum sg_kind kind, struct sg_sqlite_fetch *fetch,
                                    sg_record_visit visit, void *context, struct sg_error *error);

#endif
