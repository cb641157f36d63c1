/*
 * Readers: connections of their own that see what has been committed and hold up nobody.
 *
 * The model. A reader is one read-only connection and its prepared statements, one for each *shape* of query that it has been
 * asked (kind, index, number of equal columns, which bounds, direction), so a read is bind, step, reset. Its statements walk
 * the key or the index the query names, in its order, and stop at the limit: nothing is sorted and nothing is scanned that is not
 * returned. A snapshot is a read transaction; while one is open the log cannot be reset behind it, so keep them short.
 *
 * What it never does: write, or copy what it shows. A visitor may read again with the same reader; if it asks for the shape
 * that is being walked it gets a statement of its own for that once.
 */
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/check.h"
#include "store/sqlite_sql.h"

/* Index (or key), equal columns 0 to 2, after, before, direction. */
#define SHAPES ((1 + SG_INDEXES_MAX) * 3 * 2 * 2 * 2)

struct sqlite_reader {
    struct sg_store_reader base;
    struct sg_sqlite_store *store;
    sqlite3 *db;
    sqlite3_stmt *begin;
    sqlite3_stmt *end;
    sqlite3_stmt *touch; /* takes the snapshot: BEGIN alone waits for the first read */
    sqlite3_stmt *shapes[SG_KIND_COUNT][SHAPES];
    struct sg_sqlite_fetch fetch;
};

static struct sqlite_reader *reader_of(struct sg_store_reader *base)
{
    SG_CHECK(base, SG_STORE_READER_MAGIC);
    return (struct sqlite_reader *)base;
}

static enum sg_status prepare_text(sqlite3 *db, const char *text, sqlite3_stmt **statement, struct sg_error *error)
{
    struct sg_buf sql = {0};

    sg_buf_append(&sql, sg_str_from(text));
    return sg_sqlite_prepare(db, &sql, statement, error);
}

enum sg_status sg_sqlite_reader_open(struct sg_store *base, struct sg_store_reader **reader, struct sg_error *error)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);
    struct sqlite_reader *made = sg_calloc(1, sizeof(*made));

    if (made == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while a reader was opened");
    made->base.magic = SG_STORE_READER_MAGIC;
    made->base.backend = base->backend;
    made->store = store;
    atomic_fetch_add(&store->readers, 1);
    enum sg_status status = sg_sqlite_connect(store, SQLITE_OPEN_READONLY, store->reader_cache_bytes, &made->db, error);
    if (status == SG_OK)
        status = prepare_text(made->db, "BEGIN", &made->begin, error);
    if (status == SG_OK)
        status = prepare_text(made->db, "ROLLBACK", &made->end, error);
    if (status == SG_OK)
        status = prepare_text(made->db, "SELECT 1 FROM sqlite_schema LIMIT 1", &made->touch, error);
    if (status != SG_OK) {
        sg_sqlite_reader_close(&made->base);
        return status;
    }
    *reader = &made->base;
    return SG_OK;
}

void sg_sqlite_reader_close(struct sg_store_reader *base)
{
    struct sqlite_reader *reader = reader_of(base);

    sqlite3_finalize(reader->begin);
    sqlite3_finalize(reader->end);
    sqlite3_finalize(reader->touch);
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        for (int shape = 0; shape < SHAPES; shape++)
            sqlite3_finalize(reader->shapes[kind][shape]);
    }
    sg_sqlite_fetch_close(&reader->fetch);
    int rc = sqlite3_close(reader->db);
    assert(rc == SQLITE_OK); /* every statement was finalized above */
    atomic_fetch_sub(&reader->store->readers, 1);
    reader->base.magic = 0;
    sg_free(reader);
}

enum sg_status sg_sqlite_reader_begin(struct sg_store_reader *base, struct sg_error *error)
{
    struct sqlite_reader *reader = reader_of(base);
    int rc = sqlite3_step(reader->begin);
    enum sg_status status = SG_OK;

    sqlite3_reset(reader->begin);
    if (rc == SQLITE_DONE)
        rc = sqlite3_step(reader->touch);
    if (rc != SQLITE_ROW)
        status = sg_sqlite_error(reader->db, rc, "begin to read", error);
    sqlite3_reset(reader->touch);
    if (status != SG_OK)
        sg_sqlite_reader_end(base);
    return status;
}

void sg_sqlite_reader_end(struct sg_store_reader *base)
{
    struct sqlite_reader *reader = reader_of(base);

    if (sqlite3_get_autocommit(reader->db))
        return;
    (void)sqlite3_step(reader->end); /* nothing was written: there is nothing that could fail to be undone */
    sqlite3_reset(reader->end);
}

/* Both counts stand on the first page; one statement, so that they are of one moment. */
enum sg_status sg_sqlite_used_bytes(struct sg_store_reader *base, int64_t *bytes, struct sg_error *error)
{
    struct sqlite_reader *reader = reader_of(base);
    int64_t pages;
    enum sg_status status =
        sg_sqlite_run_int(reader->db, "SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count", 0, &pages, error);

    *bytes = pages * SG_SQLITE_PAGE_BYTES;
    return status;
}

static int shape_of(const struct sg_query *query)
{
    int shape = 1 + query->index;

    shape = shape * 3 + query->equal_count;
    shape = shape * 2 + query->has_after;
    shape = shape * 2 + query->has_before;
    shape = shape * 2 + query->is_descending;
    assert(shape >= 0 && shape < SHAPES);
    return shape;
}

static int bind_query(sqlite3_stmt *statement, const struct sg_query *query)
{
    const struct sg_kind_info *info = sg_kind_info(query->kind);
    struct sg_store_order order = sg_store_order(query->kind, query->index);
    int position = 0;
    int rc = SQLITE_OK;

    for (int i = 0; rc == SQLITE_OK && i < query->equal_count; i++)
        rc = sg_sqlite_bind(statement, ++position, &query->equal[i], info->columns[order.columns[i]].type);
    if (rc == SQLITE_OK && query->has_after)
        rc = sg_sqlite_bind(statement, ++position, &query->after, info->columns[order.columns[query->equal_count]].type);
    if (rc == SQLITE_OK && query->has_before)
        rc = sg_sqlite_bind(statement, ++position, &query->before, info->columns[order.columns[query->equal_count]].type);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(statement, ++position, query->limit);
    return rc;
}

enum sg_status sg_sqlite_read(struct sg_store_reader *base, const struct sg_query *query, sg_record_visit visit, void *context,
                              struct sg_error *error)
{
    struct sqlite_reader *reader = reader_of(base);
    sqlite3_stmt **kept = &reader->shapes[query->kind][shape_of(query)];
    bool is_taken = *kept != NULL && sqlite3_stmt_busy(*kept);
    sqlite3_stmt *statement = *kept;
    enum sg_status status = SG_OK;

    if (statement == NULL || is_taken) {
        struct sg_buf sql = {0};
        sg_sqlite_sql_select(&sql, query);
        status = sg_sqlite_prepare(reader->db, &sql, &statement, error);
        if (status != SG_OK)
            return status;
        if (!is_taken)
            *kept = statement;
    }
    int rc = bind_query(statement, query);
    if (rc != SQLITE_OK)
        status = sg_sqlite_error(reader->db, rc, "read", error);
    else
        status = sg_sqlite_visit_rows(reader->db, statement, query->kind, &reader->fetch, visit, context, error);
    if (is_taken)
        sqlite3_finalize(statement);
    return status;
}

static enum sg_status visit_rows(sqlite3 *db, sqlite3_stmt *statement, enum sg_kind kind, struct sg_sqlite_fetch *fetch,
                                 sg_record_visit visit, void *context, struct sg_error *error)
{
    struct sg_record record;
    enum sg_status status = SG_OK;
    int rc = SQLITE_ROW;

    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        record.values[i] = sg_value_null();
    while (status == SG_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        status = sg_sqlite_row(db, statement, kind, fetch, &record, error);
        if (status == SG_OK)
            status = visit(context, &record);
        sg_sqlite_fetch_reset(fetch);
    }
    if (status == SG_OK && rc != SQLITE_DONE)
        status = sg_sqlite_error(db, rc, "read", error);
    sqlite3_reset(statement);
    return status;
}

enum sg_status sg_sqlite_visit_rows(sqlite3 *db, sqlite3_stmt *statement, enum sg_kind kind, struct sg_sqlite_fetch *fetch,
                                    sg_record_visit visit, void *context, struct sg_error *error)
{
    struct sg_sqlite_fetch own = {0};
    enum sg_status status;

    if (fetch != NULL && !fetch->is_taken) {
        fetch->is_taken = true;
        status = visit_rows(db, statement, kind, fetch, visit, context, error);
        fetch->is_taken = false;
    } else {
        status = visit_rows(db, statement, kind, &own, visit, context, error);
        sg_sqlite_fetch_close(&own);
    }
    return status;
}
