/* Large values, kept in a table of their own: see sqlite_large.c. */
#ifndef STEPGATE_STORE_SQLITE_LARGE_H
#define STEPGATE_STORE_SQLITE_LARGE_H

#include <stepgate/store.h>

#include <sqlite3.h>

#define SG_SQLITE_LARGE_TABLE "large_value"
#define SG_SQLITE_LARGE_CREATE "CREATE TABLE " SG_SQLITE_LARGE_TABLE " (id INTEGER PRIMARY KEY, bytes BLOB)"

/* Whether rows have their key for a number, and lie in its order. */
bool sg_sqlite_has_rowid_key(const struct sg_kind_info *info);

/* What the connection that commits knows of them. */
struct sg_sqlite_large {
    int64_t next_ids[SG_KIND_COUNT];
    sqlite3_stmt *insert;
    sqlite3_stmt *forgets[SG_KIND_COUNT][2]; /* by one or two key columns */
};

/* When the tables are there. */
enum sg_status sg_sqlite_large_open(struct sg_sqlite_large *large, sqlite3 *db, struct sg_error *error);
void sg_sqlite_large_close(struct sg_sqlite_large *large);

/* Whether the row keeps a number in the place of this value. */
bool sg_sqlite_large_is_apart(const struct sg_kind_info *info, int column, const struct sg_value *value);
/* Before a row is replaced, or rows are deleted by their first `key_columns` columns: their large values go. */
enum sg_status sg_sqlite_large_forget(struct sg_sqlite_large *large, sqlite3 *db, const struct sg_record *record, int key_columns,
                                      struct sg_error *error);
/* After a row was written whose first large value has the number next_ids[kind], and the others those that follow. */
enum sg_status sg_sqlite_large_put(struct sg_sqlite_large *large, sqlite3 *db, const struct sg_record *record, struct sg_error *error);

/* Large values of the row that a statement stands on, a statement for each column that had one; all zero to begin with. */
struct sg_sqlite_fetch {
    sqlite3_stmt *statements[SG_COLUMNS_MAX];
    bool is_used;  /* the latest row had one */
    bool is_taken; /* by a read that goes on: one inside it brings its own */
};
/* The bytes are valid until the next reset. */
enum sg_status sg_sqlite_large_get(struct sg_sqlite_fetch *fetch, sqlite3 *db, int column, int64_t id, struct sg_value *value,
                                   struct sg_error *error);
void sg_sqlite_fetch_reset(struct sg_sqlite_fetch *fetch);
void sg_sqlite_fetch_close(struct sg_sqlite_fetch *fetch);

#endif
