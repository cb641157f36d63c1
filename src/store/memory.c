/*
 * The store in memory: for tests, for the simulator, and for a gateway that may forget.
 *
 * The model. What has been committed is a *version*: for every kind one sorted tree by key and one for each index
 * (memory_tree.c). A commit shares the current version, changes its own copy and puts it in the place of the old one; if it
 * fails half way the copy is dropped, so a commit is all or nothing. A reader holds the version it reads, so snapshots and
 * visitors that take their time hold up nobody, and a copy of the whole store, which is what a crash leaves, costs one count.
 *
 * What it never does: touch a file or SQLite, or keep the lock while somebody's visitor runs (it guards one pointer).
 */
#include "store/memory.h"

#include "base/alloc.h"
#include "base/check.h"
#include "store/backend.h"
#include "store/memory_tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Trees of a kind: the key first, then its indexes. */
#define TREES (1 + SG_INDEXES_MAX)

struct version {
    atomic_uint holders;
    struct sg_memory_node *trees[SG_KIND_COUNT][TREES];
};

struct memory_store {
    struct sg_store base;
    pthread_mutex_t lock; /* guards `current` */
    struct version *current;
    struct sg_store_order orders[SG_KIND_COUNT][TREES];
    atomic_int readers;
    int64_t failures_left;
    enum sg_status failure;
    bool is_failure_applied;
};

struct memory_reader {
    struct sg_store_reader base;
    struct memory_store *store;
    struct version *snapshot; /* between begin and end */
};

static const struct sg_store_backend memory_backend;

static enum sg_status apply(const struct memory_store *store, struct version *version, const struct sg_write *write);

/* ---- versions ---- */

static struct version *version_hold(struct memory_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct version *version = store->current;
    atomic_fetch_add(&version->holders, 1);
    pthread_mutex_unlock(&store->lock);
    return version;
}

static void version_drop(struct version *version)
{
    if (version == NULL || atomic_fetch_sub(&version->holders, 1) != 1)
        return;
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        for (int tree = 0; tree < TREES; tree++)
            sg_memory_tree_drop(version->trees[kind][tree]);
    }
    sg_free(version);
}

/* A version of its own with the same records, or the empty one; held once. */
static struct version *version_make(const struct version *from)
{
    struct version *version = sg_calloc(1, sizeof(*version));
    if (version == NULL)
        return NULL;
    atomic_init(&version->holders, 1);
    for (int kind = 0; from != NULL && kind < SG_KIND_COUNT; kind++) {
        for (int tree = 0; tree < TREES; tree++)
            version->trees[kind][tree] = sg_memory_tree_share(from->trees[kind][tree]);
    }
    return version;
}

/* ---- open, copy, close ---- */

static struct memory_store *memory_of(struct sg_store *store)
{
    SG_CHECK(store, SG_STORE_MAGIC);
    assert(store->backend == &memory_backend);
    return (struct memory_store *)store;
}

/* Takes `version`, also when it fails. */
static enum sg_status store_make(struct version *version, struct sg_store **store, struct sg_error *error)
{
    struct memory_store *made = version != NULL ? sg_calloc(1, sizeof(*made)) : NULL;

    if (made == NULL || pthread_mutex_init(&made->lock, NULL) != 0) {
        sg_free(made);
        version_drop(version);
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while a memory store was made");
    }
    made->base.magic = SG_STORE_MAGIC;
    made->base.backend = &memory_backend;
    made->current = version;
    for (int kind = 0; kind < SG_KIND_COUNT; kind++) {
        for (int index = SG_INDEX_KEY; index < sg_kind_info((enum sg_kind)kind)->index_count; index++)
            made->orders[kind][1 + index] = sg_store_order((enum sg_kind)kind, index);
    }
    *store = &made->base;
    return SG_OK;
}

enum sg_status sg_store_open_memory(struct sg_store **store, struct sg_error *error)
{
    return store_make(version_make(NULL), store, error);
}

enum sg_status sg_store_memory_copy(const struct sg_store *store, struct sg_store **copy, struct sg_error *error)
{
    /* The records are not changed, only who holds them, so the copied store is const to its owner. */
    return store_make(version_hold(memory_of((struct sg_store *)store)), copy, error);
}

static void memory_close(struct sg_store *base)
{
    struct memory_store *store = memory_of(base);

    assert(atomic_load(&store->readers) == 0); /* readers are closed before their store */
    version_drop(store->current);
    pthread_mutex_destroy(&store->lock);
    store->base.magic = 0;
    sg_free(store);
}

void sg_store_memory_fail_next(struct sg_store *store, int64_t count, enum sg_status status, bool is_applied)
{
    struct memory_store *memory = memory_of(store);

    assert(status != SG_OK);
    pthread_mutex_lock(&memory->lock); /* a test may change its mind while another thread commits */
    memory->failures_left = count;
    memory->failure = status;
    memory->is_failure_applied = is_applied;
    pthread_mutex_unlock(&memory->lock);
}

int64_t sg_store_memory_count(struct sg_store *store, enum sg_kind kind)
{
    struct version *version = version_hold(memory_of(store));
    int64_t count = sg_memory_tree_count(version->trees[kind][0]);

    version_drop(version);
    return count;
}

/* ---- commit ---- */

static enum sg_status memory_commit(struct sg_store *base, const struct sg_write *writes, size_t count, struct sg_error *error)
{
    struct memory_store *store = memory_of(base);

    pthread_mutex_lock(&store->lock);
    bool is_failing = store->failures_left > 0;
    bool is_applied = store->is_failure_applied;
    enum sg_status failure = store->failure;
    if (is_failing)
        store->failures_left--;
    pthread_mutex_unlock(&store->lock);
    if (is_failing && !is_applied)
        return sg_error_set(error, failure, "the commit was made to fail: %s", sg_status_text(failure));

    struct version *next = version_make(store->current);
    enum sg_status status = next != NULL ? SG_OK : SG_NO_MEMORY;
    for (size_t i = 0; status == SG_OK && i < count; i++)
        status = apply(store, next, &writes[i]);
    if (status != SG_OK) {
        version_drop(next);
        return sg_error_set(error, status, "out of memory while %zu records were committed", count);
    }

    pthread_mutex_lock(&store->lock);
    struct version *previous = store->current;
    store->current = next;
    pthread_mutex_unlock(&store->lock);
    version_drop(previous);
    if (is_failing)
        return sg_error_set(error, failure, "the outcome of the commit was made unknown: %s", sg_status_text(failure));
    return SG_OK;
}

/* Takes a row out of every tree. `row` must be held by the caller. */
static bool remove_row(const struct memory_store *store, struct version *version, const struct sg_memory_row *row)
{
    const struct sg_record *record = sg_memory_row_record(row);

    for (int tree = 0; tree <= sg_kind_info(record->kind)->index_count; tree++) {
        if (!sg_memory_tree_remove(&version->trees[record->kind][tree], record, &store->orders[record->kind][tree]))
            return false;
    }
    return true;
}

/* Removes the row that `order` finds equal to `record`. Sets *is_found; false if memory ran out. */
static bool remove_equal(const struct memory_store *store, struct version *version, const struct sg_record *record,
                         const struct sg_store_order *order, bool *is_found)
{
    struct sg_memory_row *row = sg_memory_tree_find(version->trees[record->kind][0], record, order);

    *is_found = row != NULL;
    if (row == NULL)
        return true;
    /* The tree's own hold on the row ends in the middle of this; its record says where it is in the other trees. */
    struct sg_memory_row *copy = sg_memory_row_make(sg_memory_row_record(row));
    bool is_removed = copy != NULL && remove_row(store, version, copy);
    sg_memory_row_drop(copy);
    return is_removed;
}

static enum sg_status insert(const struct memory_store *store, struct version *version, const struct sg_record *record)
{
    struct sg_memory_row *row = sg_memory_row_make(record);
    bool is_inserted = row != NULL;

    for (int tree = 0; is_inserted && tree <= sg_kind_info(record->kind)->index_count; tree++)
        is_inserted = sg_memory_tree_put(&version->trees[record->kind][tree], row, &store->orders[record->kind][tree]);
    sg_memory_row_drop(row);
    return is_inserted ? SG_OK : SG_NO_MEMORY;
}

static enum sg_status apply(const struct memory_store *store, struct version *version, const struct sg_write *write)
{
    const struct sg_record *record = &write->record;
    struct sg_store_order order = store->orders[record->kind][0];
    bool is_found = false;

    switch (write->op) {
    case SG_WRITE_PUT:
        /* The key's tree would replace the row by itself, but an index sorts the old row elsewhere. */
        if (sg_kind_info(record->kind)->index_count > 0 && !remove_equal(store, version, record, &order, &is_found))
            return SG_NO_MEMORY;
        return insert(store, version, record);
    case SG_WRITE_INSERT:
        if (sg_memory_tree_find(version->trees[record->kind][0], record, &order) != NULL)
            return SG_OK;
        return insert(store, version, record);
    case SG_WRITE_DELETE:
        return remove_equal(store, version, record, &order, &is_found) ? SG_OK : SG_NO_MEMORY;
    case SG_WRITE_DELETE_PREFIX:
        order.count = write->prefix_columns;
        do {
            if (!remove_equal(store, version, record, &order, &is_found))
                return SG_NO_MEMORY;
        } while (is_found);
        return SG_OK;
    }
    abort(); /* every operation is above */
}

/* ---- reading ---- */

static enum sg_status memory_scan(struct sg_store *base, enum sg_kind kind, sg_record_visit visit, void *context, struct sg_error *error)
{
    struct memory_store *store = memory_of(base);
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .limit = INT64_MAX};
    struct version *version = version_hold(store);

    (void)error; /* only the visitor can fail, and has said why */
    enum sg_status status = sg_memory_tree_read(version->trees[kind][0], &query, &store->orders[kind][0], visit, context);
    version_drop(version);
    return status;
}

static enum sg_status memory_maintain(struct sg_store *base, struct sg_error *error)
{
    (void)memory_of(base);
    (void)error;
    return SG_OK;
}

static int64_t memory_size_bytes(struct sg_store *base)
{
    (void)memory_of(base);
    return 0;
}

static enum sg_status memory_used_bytes(struct sg_store_reader *base, int64_t *bytes, struct sg_error *error)
{
    (void)base;
    (void)error;
    *bytes = 0;
    return SG_OK;
}

static enum sg_status memory_reader_open(struct sg_store *base, struct sg_store_reader **reader, struct sg_error *error)
{
    struct memory_store *store = memory_of(base);
    struct memory_reader *made = sg_calloc(1, sizeof(*made));

    if (made == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while a reader was opened");
    made->base.magic = SG_STORE_READER_MAGIC;
    made->base.backend = &memory_backend;
    made->store = store;
    atomic_fetch_add(&store->readers, 1);
    *reader = &made->base;
    return SG_OK;
}

static void memory_reader_close(struct sg_store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;

    atomic_fetch_sub(&reader->store->readers, 1);
    reader->base.magic = 0;
    sg_free(reader);
}

static enum sg_status memory_reader_begin(struct sg_store_reader *base, struct sg_error *error)
{
    struct memory_reader *reader = (struct memory_reader *)base;

    (void)error; /* holding a version cannot fail */
    reader->snapshot = version_hold(reader->store);
    return SG_OK;
}

static void memory_reader_end(struct sg_store_reader *base)
{
    struct memory_reader *reader = (struct memory_reader *)base;

    version_drop(reader->snapshot);
    reader->snapshot = NULL;
}

static enum sg_status memory_read(struct sg_store_reader *base, const struct sg_query *query, sg_record_visit visit, void *context,
                                  struct sg_error *error)
{
    struct memory_reader *reader = (struct memory_reader *)base;
    struct version *version = reader->snapshot != NULL ? reader->snapshot : version_hold(reader->store);
    int tree = 1 + query->index;

    (void)error; /* only the visitor can fail, and has said why */
    enum sg_status status =
        sg_memory_tree_read(version->trees[query->kind][tree], query, &reader->store->orders[query->kind][tree], visit, context);
    if (version != reader->snapshot)
        version_drop(version);
    return status;
}

static const struct sg_store_backend memory_backend = {
    .close = memory_close,
    .commit = memory_commit,
    .scan = memory_scan,
    .maintain = memory_maintain,
    .size_bytes = memory_size_bytes,
    .used_bytes = memory_used_bytes,
    .reader_open = memory_reader_open,
    .reader_close = memory_reader_close,
    .reader_begin = memory_reader_begin,
    .reader_end = memory_reader_end,
    .read = memory_read,
};
