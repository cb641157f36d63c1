/*
 * From the table of kinds to SQLite and back: the text of every statement, values into a statement, rows out of one, and what
 * SQLite's result codes mean.
 */
#ifndef STEPGATE_STORE_SQLITE_SQL_H
#define STEPGATE_STORE_SQLITE_SQL_H

#include "store/sqlite_large.h"

#include <sqlite3.h>

/* Each appends one statement. Out of memory latches in the buffer. */
void sg_sqlite_sql_create_table(struct sg_buf *sql, enum sg_kind kind);
void sg_sqlite_sql_create_index(struct sg_buf *sql, enum sg_kind kind, int index);
void sg_sqlite_sql_add_column(struct sg_buf *sql, enum sg_kind kind, int column);
/* Parameters: all columns in their order. */
void sg_sqlite_sql_put(struct sg_buf *sql, enum sg_kind kind);
void sg_sqlite_sql_insert(struct sg_buf *sql, enum sg_kind kind);
/* Parameters: the first `key_columns` columns. */
void sg_sqlite_sql_delete(struct sg_buf *sql, enum sg_kind kind, int key_columns);
/* Deletes the large values of what sg_sqlite_sql_delete would delete, with the same parameters. Only for a kind with a BLOB beside its key. */
void sg_sqlite_sql_forget(struct sg_buf *sql, enum sg_kind kind, int key_columns);
/* Parameters: the equal values, `after` and `before` where given, the limit. Result: all columns in their order. */
void sg_sqlite_sql_select(struct sg_buf *sql, const struct sg_query *query);
/* All records in key order; no parameters. */
void sg_sqlite_sql_scan(struct sg_buf *sql, enum sg_kind kind);

/* The name of an index in the database. */
#define SG_SQLITE_NAME_MAX 128
void sg_sqlite_index_name(char name[SG_SQLITE_NAME_MAX], enum sg_kind kind, int index);

/* Prepares a statement that is kept for long. Frees the text of `sql` in any case. */
enum sg_status sg_sqlite_prepare(sqlite3 *db, struct sg_buf *sql, sqlite3_stmt **statement, struct sg_error *error);
/* Runs statements that return nothing of interest. */
enum sg_status sg_sqlite_run(sqlite3 *db, const char *sql, struct sg_error *error);
/* The one integer that a query returns; `otherwise` if it returns no row. */
enum sg_status sg_sqlite_run_int(sqlite3 *db, const char *sql, int64_t otherwise, int64_t *value, struct sg_error *error);

/* Binds without copying: the bytes stay where they are until the statement has been stepped and reset. */
int sg_sqlite_bind(sqlite3_stmt *statement, int position, const struct sg_value *value, enum sg_column_type type);
/* The row that `statement` stands on; the bytes are valid until it moves or `fetch` is reset. */
enum sg_status sg_sqlite_row(sqlite3 *db, sqlite3_stmt *statement, enum sg_kind kind, struct sg_sqlite_fetch *fetch,
                             struct sg_record *record, struct sg_error *error);

/* The status that a result code means, with a message: "commit to /data/main.db: database or disk is full". */
enum sg_status sg_sqlite_error(sqlite3 *db, int rc, const char *doing, struct sg_error *error);

#endif
