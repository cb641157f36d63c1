/*
 * What a store is made of: one of these function tables, behind the interface of stepgate/store.h.
 *
 * store.c checks what it is given (a wrong record is a programming error and stops there), then calls the backend. A backend
 * embeds `struct sg_store` and `struct sg_store_reader` as the first member of its own structs.
 */
#ifndef STEPGATE_STORE_BACKEND_H
#define STEPGATE_STORE_BACKEND_H

#include <stepgate/store.h>

#define SG_STORE_MAGIC 0x53745265u
#define SG_STORE_READER_MAGIC 0x53745264u

struct sg_store_backend {
    void (*close)(struct sg_store *store);
    enum sg_status (*commit)(struct sg_store *store, const struct sg_write *writes, size_t count, struct sg_error *error);
    enum sg_status (*scan)(struct sg_store *store, enum sg_kind kind, sg_record_visit visit, void *context, struct sg_error *error);
    enum sg_status (*maintain)(struct sg_store *store, struct sg_error *error);
    int64_t (*size_bytes)(struct sg_store *store);
    void (*usage)(struct sg_store *store, struct sg_store_usage *usage); /* may be NULL */
    enum sg_status (*used_bytes)(struct sg_store_reader *reader, int64_t *bytes, struct sg_error *error);
    enum sg_status (*reader_open)(struct sg_store *store, struct sg_store_reader **reader, struct sg_error *error);
    void (*reader_close)(struct sg_store_reader *reader);
    enum sg_status (*reader_begin)(struct sg_store_reader *reader, struct sg_error *error);
    void (*reader_end)(struct sg_store_reader *reader);
    enum sg_status (*read)(struct sg_store_reader *reader, const struct sg_query *query, sg_record_visit visit, void *context,
                           struct sg_error *error);
};

struct sg_store {
    uint32_t magic;
    const struct sg_store_backend *backend;
};

struct sg_store_reader {
    uint32_t magic;
    const struct sg_store_backend *backend;
    bool is_in_snapshot;
};

/*
 * The order in which a key or an index sorts the records of its kind: its own columns, then those of the key that are not
 * among them, so that no two records are equal. A query's "next column" is the one that follows its equal ones in here.
 */
#define SG_STORE_ORDER_MAX 4
struct sg_store_order {
    int columns[SG_STORE_ORDER_MAX];
    int count;
};
struct sg_store_order sg_store_order(enum sg_kind kind, int index);

#endif
