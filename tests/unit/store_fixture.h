/*
 * What the store's tests share: a store of either make, short ways to write and to read, and the ON_BOTH_STORES macro that
 * makes one test of each body for the memory store and one for SQLite.
 *
 * Reads come back as text: the records visited, each as its values in the form that show() of store_fixture.c describes, so
 * that an expectation is one line.
 */
#ifndef STEPGATE_TESTS_STORE_FIXTURE_H
#define STEPGATE_TESTS_STORE_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stepgate/store.h>

struct fixture {
    struct sg_store *store;
    struct sg_store_reader *reader;
    char directory[256]; /* empty for a memory store */
    struct sg_error error;
    struct sg_buf text;
};

void fixture_open_memory(struct fixture *f);
void fixture_open_sqlite(struct fixture *f);
void fixture_close(struct fixture *f);
/* Closes and opens the store of the same directory. */
void fixture_reopen(struct fixture *f);

/* An empty directory; remove_directory takes it and what a store leaves in it away. */
void make_directory(char directory[256]);
void remove_directory(const char *directory);
enum sg_status open_sqlite(const char *directory, struct sg_store **store, struct sg_error *error);

#define ON_BOTH_STORES(name)                                                                                                               \
    static void name(struct fixture *f);                                                                                                   \
    Test(store_memory, name)                                                                                                               \
    {                                                                                                                                      \
        struct fixture f;                                                                                                                  \
        fixture_open_memory(&f);                                                                                                           \
        name(&f);                                                                                                                          \
        fixture_close(&f);                                                                                                                 \
    }                                                                                                                                      \
    Test(store_sqlite, name)                                                                                                               \
    {                                                                                                                                      \
        struct fixture f;                                                                                                                  \
        fixture_open_sqlite(&f);                                                                                                           \
        name(&f);                                                                                                                          \
        fixture_close(&f);                                                                                                                 \
    }                                                                                                                                      \
    static void name(struct fixture *f)

/* ---- writing ---- */

/* An id whose bytes are all `byte`; lives as long as the program. */
const struct sg_id *id_of(uint8_t byte);

struct sg_write memo(enum sg_write_op op, uint8_t run, const char *step, int64_t seq, struct sg_str bytes);
struct sg_write setting(enum sg_write_op op, const char *name, const char *value);
struct sg_write event(enum sg_write_op op, int64_t position, uint8_t internal_id, const char *name);
struct sg_write idempotency(enum sg_write_op op, uint8_t key, uint8_t function, int64_t expires_at_ms);
struct sg_write batch_item(enum sg_write_op op, uint8_t batch, int64_t position);

enum sg_status commit(struct fixture *f, const struct sg_write *writes, size_t count);
/* Commits and expects it to succeed. */
void commit_ok(struct fixture *f, const struct sg_write *writes, size_t count);
#define COMMIT(f, ...)                                                                                                                     \
    commit_ok(f, (const struct sg_write[]){__VA_ARGS__}, sizeof((const struct sg_write[]){__VA_ARGS__}) / sizeof(struct sg_write))

/* ---- reading ---- */

/* What the visitor of a read is told: appends a line to the sg_buf that is its context. */
enum sg_status show(void *context, const struct sg_record *record);
/* The text of all records of a kind. Valid until the next call. */
const char *scan(struct fixture *f, enum sg_kind kind);
const char *read_all(struct fixture *f, const struct sg_query *query);

/* That the database has so many values apart from their rows, each with one row that refers to it. */
void assert_large_values(struct fixture *f, int64_t count);
/* The same, however many there are. */
void assert_no_stray_large_value(struct fixture *f);

#define assert_text(actual, expected) cr_assert(eq(str, (char *)(actual), (char *)(expected)))
#define assert_status(actual, expected) cr_assert(eq(int, (int)(actual), (int)(expected)))

#endif
