/* See store_fixture.h. */
#include "store_fixture.h"

#include "base/check.h"
#include "store/sqlite_sql.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void make_directory(char directory[256])
{
    const char *parent = getenv("TMPDIR");

    snprintf(directory, 256, "%s/store_test.XXXXXX", parent != NULL ? parent : "/tmp");
    cr_assert(ne(ptr, mkdtemp(directory), NULL));
}

void remove_directory(const char *directory)
{
    char path[600];
    DIR *opened = opendir(directory);

    if (opened == NULL)
        return;
    for (struct dirent *entry = readdir(opened); entry != NULL; entry = readdir(opened)) {
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        (void)unlink(path); /* "." and ".." refuse */
    }
    closedir(opened);
    rmdir(directory);
}

enum sg_status open_sqlite(const char *directory, struct sg_store **store, struct sg_error *error)
{
    struct sg_store_sqlite_options options = {.directory = directory};

    return sg_store_open_sqlite(&options, store, error);
}

static void open_reader(struct fixture *f)
{
    assert_status(sg_store_reader_open(f->store, &f->reader, &f->error), SG_OK);
}

void fixture_open_memory(struct fixture *f)
{
    *f = (struct fixture){0};
    assert_status(sg_store_open_memory(&f->store, &f->error), SG_OK);
    open_reader(f);
}

void fixture_open_sqlite(struct fixture *f)
{
    *f = (struct fixture){0};
    make_directory(f->directory);
    assert_status(open_sqlite(f->directory, &f->store, &f->error), SG_OK);
    open_reader(f);
}

void fixture_close(struct fixture *f)
{
    sg_store_reader_close(f->reader);
    sg_store_close(f->store);
    sg_buf_free(&f->text);
    if (f->directory[0] != '\0')
        remove_directory(f->directory);
}

void fixture_reopen(struct fixture *f)
{
    sg_store_reader_close(f->reader);
    sg_store_close(f->store);
    f->reader = NULL;
    f->store = NULL;
    assert_status(open_sqlite(f->directory, &f->store, &f->error), SG_OK);
    open_reader(f);
}

const struct sg_id *id_of(uint8_t byte)
{
    static struct sg_id ids[256];

    memset(ids[byte].bytes, byte, sizeof(ids[byte].bytes));
    return &ids[byte];
}

static struct sg_write write_of(enum sg_write_op op, enum sg_kind kind)
{
    struct sg_write write = {.op = op, .record = {.kind = kind}};

    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        write.record.values[i] = sg_value_null();
    return write;
}

static struct sg_value text_or_null(const char *text)
{
    return text != NULL ? sg_value_bytes(sg_str_from(text)) : sg_value_null();
}

struct sg_write memo(enum sg_write_op op, uint8_t run, const char *step, int64_t seq, struct sg_str bytes)
{
    struct sg_write write = write_of(op, SG_KIND_MEMO);

    write.record.values[SG_MEMO_RUN_ID] = sg_value_id(id_of(run));
    write.record.values[SG_MEMO_STEP_ID] = text_or_null(step);
    write.record.values[SG_MEMO_SEQ] = sg_value_int(seq);
    write.record.values[SG_MEMO_BYTES] = sg_value_bytes(bytes);
    write.prefix_columns = op == SG_WRITE_DELETE_PREFIX ? 1 : 0;
    return write;
}

struct sg_write setting(enum sg_write_op op, const char *name, const char *value)
{
    struct sg_write write = write_of(op, SG_KIND_SETTING);

    write.record.values[SG_SETTING_NAME] = text_or_null(name);
    write.record.values[SG_SETTING_VALUE] = text_or_null(value);
    return write;
}

struct sg_write event(enum sg_write_op op, int64_t position, uint8_t internal_id, const char *name)
{
    struct sg_write write = write_of(op, SG_KIND_EVENT);

    write.record.values[SG_EVENT_POSITION] = sg_value_int(position);
    write.record.values[SG_EVENT_INTERNAL_ID] = sg_value_id(id_of(internal_id));
    write.record.values[SG_EVENT_NAME] = text_or_null(name);
    return write;
}

struct sg_write idempotency(enum sg_write_op op, uint8_t key, uint8_t function, int64_t expires_at_ms)
{
    struct sg_write write = write_of(op, SG_KIND_IDEMPOTENCY);

    write.record.values[SG_IDEMPOTENCY_KEY] = sg_value_id(id_of(key));
    write.record.values[SG_IDEMPOTENCY_FUNCTION_ID] = sg_value_id(id_of(function));
    write.record.values[SG_IDEMPOTENCY_EXPIRES_AT] = sg_value_int(expires_at_ms);
    return write;
}

struct sg_write batch_item(enum sg_write_op op, uint8_t batch, int64_t position)
{
    struct sg_write write = write_of(op, SG_KIND_BATCH_ITEM);

    write.record.values[SG_BATCH_ITEM_BATCH_ID] = sg_value_id(id_of(batch));
    write.record.values[SG_BATCH_ITEM_POSITION] = sg_value_int(position);
    write.prefix_columns = op == SG_WRITE_DELETE_PREFIX ? 1 : 0;
    return write;
}

enum sg_status commit(struct fixture *f, const struct sg_write *writes, size_t count)
{
    return sg_store_commit(f->store, writes, count, &f->error);
}

void commit_ok(struct fixture *f, const struct sg_write *writes, size_t count)
{
    enum sg_status status = commit(f, writes, count);

    cr_assert(eq(int, (int)status, SG_OK), "%s", f->error.message);
}

/*
 * A record is its values joined by ':' and ended by ' '. Numbers in decimal, null as "-", an id of equal bytes as "#" and the
 * byte, other bytes as they are (a NUL as "\0", more than 40 as their length and a sum).
 */
enum sg_status show(void *context, const struct sg_record *record)
{
    struct sg_buf *text = context;
    const struct sg_kind_info *info = sg_kind_info(record->kind);

    for (int i = 0; i < info->column_count; i++) {
        const struct sg_value *value = &record->values[i];
        if (i > 0)
            sg_buf_byte(text, ':');
        if (value->is_null) {
            sg_buf_byte(text, '-');
        } else if (info->columns[i].type == SG_TYPE_INT) {
            sg_buf_int(text, value->number);
        } else if (info->columns[i].type == SG_TYPE_ID) {
            sg_buf_printf(text, "#%d", sg_value_get_id(value).bytes[15]);
        } else if (value->bytes.len > 40) {
            uint32_t sum = 0;
            for (size_t at = 0; at < value->bytes.len; at++)
                sum = sum * 31 + (uint8_t)value->bytes.ptr[at];
            sg_buf_printf(text, "%zu bytes %u", value->bytes.len, sum);
        } else {
            for (size_t at = 0; at < value->bytes.len; at++) {
                if (value->bytes.ptr[at] == '\0')
                    sg_buf_append(text, SG_STR("\\0"));
                else
                    sg_buf_byte(text, value->bytes.ptr[at]);
            }
        }
    }
    sg_buf_byte(text, ' ');
    return SG_OK;
}

static const char *shown(struct fixture *f)
{
    sg_buf_byte(&f->text, '\0');
    cr_assert(not(f->text.is_failed));
    return f->text.ptr;
}

const char *scan(struct fixture *f, enum sg_kind kind)
{
    sg_buf_clear(&f->text);
    assert_status(sg_store_scan(f->store, kind, show, &f->text, &f->error), SG_OK);
    return shown(f);
}

const char *read_all(struct fixture *f, const struct sg_query *query)
{
    sg_buf_clear(&f->text);
    enum sg_status status = sg_store_read(f->reader, query, show, &f->text, &f->error);
    cr_assert(eq(int, (int)status, SG_OK), "%s", f->error.message);
    return shown(f);
}

/* Numbers that rows have in the place of large values, from all kinds, one after the other. */
static void append_references(struct sg_buf *sql)
{
    const char *joint = "";

    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        const struct sg_kind_info *info = sg_kind_info((enum sg_kind)kind);
        for (int i = info->key_columns; i < info->column_count; i++) {
            if (info->columns[i].type != SG_TYPE_BLOB)
                continue;
            const char *name = info->columns[i].name;
            sg_buf_printf(sql, "%sSELECT \"%s\" AS id FROM \"%s\" WHERE typeof(\"%s\") = 'integer'", joint, name, info->table, name);
            joint = " UNION ALL ";
        }
    }
}

static int64_t count_large_values(struct fixture *f)
{
    char path[600];
    sqlite3 *db;
    int64_t count;
    int64_t references;
    int64_t matches;
    struct sg_buf from = {0};
    struct sg_buf sql = {0};

    snprintf(path, sizeof(path), "%s/main.db", f->directory);
    cr_assert(eq(int, sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK));
    append_references(&from);
    assert_status(sg_sqlite_run_int(db, "SELECT count(*) FROM large_value", -1, &count, &f->error), SG_OK);
    sg_buf_printf(&sql, "SELECT count(*) FROM (%.*s)%c", SG_FMT(sg_buf_str(&from)), '\0');
    assert_status(sg_sqlite_run_int(db, sql.ptr, -1, &references, &f->error), SG_OK);
    sg_buf_clear(&sql);
    sg_buf_printf(&sql, "SELECT count(DISTINCT l.id) FROM large_value l JOIN (%.*s) r ON r.id = l.id%c", SG_FMT(sg_buf_str(&from)), '\0');
    assert_status(sg_sqlite_run_int(db, sql.ptr, -1, &matches, &f->error), SG_OK);
    cr_assert(eq(i64, references, count));
    cr_assert(eq(i64, matches, count));
    sg_buf_free(&from);
    sg_buf_free(&sql);
    sqlite3_close(db);
    return count;
}

void assert_large_values(struct fixture *f, int64_t count)
{
    cr_assert(eq(i64, count_large_values(f), count));
}

void assert_no_stray_large_value(struct fixture *f)
{
    cr_assert(ge(i64, count_large_values(f), 0));
}
