/*
 * The store interface: commits batches of writes, scans live kinds at start-up, and answers bounded, ordered reads.
 *
 * The model. One thread commits; any number of readers, each used by one thread at a time, read what has been committed. A read
 * sees every commit that returned before the read began. Implementations: SQLite (default), memory (tests, simulator),
 * PostgreSQL (later): all derived from protocol/kinds.def.
 */
#ifndef STEPGATE_STORE_H
#define STEPGATE_STORE_H

#include <stepgate/record.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sg_store;
struct sg_store_reader;

struct sg_store_sqlite_options {
    const char *directory;      /* created if absent; holds main.db, its WAL and a lock file */
    int64_t cache_bytes;        /* page cache of the writer; 0: default */
    int64_t reader_cache_bytes; /* page cache of each reader; 0: default */
    int64_t wal_bytes_max;      /* the WAL is checkpointed off the committing thread beyond this; 0: default */
    int busy_timeout_ms;
    bool is_sync_off; /* tests only: no fsync */
};

/*
 * Opens (creating or migrating) the database in a directory, which it locks: SG_STORE_LOCKED names the other process, SG_STORE_NEWER a
 * database of a later version. *store is owned by the caller: sg_store_close.
 */
enum sg_status sg_store_open_sqlite(const struct sg_store_sqlite_options *options, struct sg_store **store, struct sg_error *error);
/* A store in memory. It can be copied, which is how the simulator crashes. */
enum sg_status sg_store_open_memory(struct sg_store **store, struct sg_error *error);
/* A copy of a memory store as it stands: what a crash at this moment would leave. */
enum sg_status sg_store_memory_copy(const struct sg_store *store, struct sg_store **copy, struct sg_error *error);
void sg_store_close(struct sg_store *store);

/*
 * Commits all writes in order, in one durable transaction, or none. After SG_STORE_BUSY, SG_STORE_FULL and SG_STORE_IO the same writes may be
 * tried again; `error->message` says what happened. SG_STORE_CORRUPT is final: the process must exit and recover.
 */
enum sg_status sg_store_commit(struct sg_store *store, const struct sg_write *writes, size_t count, struct sg_error *error);

/* Called for each record; its bytes are valid during the call. Returning anything but SG_OK ends the read with that status. */
typedef enum sg_status (*sg_record_visit)(void *context, const struct sg_record *record);

/* All records of a kind, in key order, on the committing connection: start-up only. */
enum sg_status sg_store_scan(struct sg_store *store, enum sg_kind kind, sg_record_visit visit, void *context, struct sg_error *error);

/* Makes the log of the store small again (WAL checkpoint); called by a housekeeping thread, may take long, never blocks a commit for long. */
enum sg_status sg_store_maintain(struct sg_store *store, struct sg_error *error);
/* Bytes on disk (database and WAL); 0 for memory. */
int64_t sg_store_size_bytes(struct sg_store *store);
struct sg_store_usage {
    int64_t database_bytes; /* on disk */
    int64_t log_bytes;      /* on disk; of which what is in use may be less */
    int64_t cache_bytes;    /* of memory: page caches of all stores of the process */
};
/* For metrics; all zero for memory. Any thread. */
void sg_store_usage(struct sg_store *store, struct sg_store_usage *usage);
/* Of the bytes on disk, those that hold something: without the log, and without what deletes have left free for new records. 0 for memory. */
enum sg_status sg_store_used_bytes(struct sg_store_reader *reader, int64_t *bytes, struct sg_error *error);

/* ---- reading ---- */

enum sg_status sg_store_reader_open(struct sg_store *store, struct sg_store_reader **reader, struct sg_error *error);
void sg_store_reader_close(struct sg_store_reader *reader);
/* Between begin and end all reads see one snapshot. */
enum sg_status sg_store_reader_begin(struct sg_store_reader *reader, struct sg_error *error);
void sg_store_reader_end(struct sg_store_reader *reader);

/*
 * An ordered, bounded read: records whose first `equal_count` columns of the index (or of the key) equal `equal`, and whose next column lies
 * strictly after `after` / strictly before `before` (where given), ascending or descending by the index's columns, at most `limit`.
 */
struct sg_query {
    enum sg_kind kind;
    int index; /* SG_INDEX_KEY or the number of a secondary index */
    int equal_count;
    struct sg_value equal[2];
    bool has_after;
    struct sg_value after;
    bool has_before;
    struct sg_value before;
    bool is_descending;
    int64_t limit;
};
enum sg_status sg_store_read(struct sg_store_reader *reader, const struct sg_query *query, sg_record_visit visit, void *context,
                             struct sg_error *error);
/* One record by its whole key, copied into the arena. SG_NOT_FOUND if there is none. */
enum sg_status sg_store_get(struct sg_store_reader *reader, enum sg_kind kind, const struct sg_value *key, struct sg_arena *arena,
                            struct sg_record *record, struct sg_error *error);

#ifdef __cplusplus
}
#endif

#endif
