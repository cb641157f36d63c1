/* Apps and functions as they are in the store, for the answers that list them. */
#ifndef STEPGATE_SERVER_CATALOG_H
#define STEPGATE_SERVER_CATALOG_H

#include <stepgate/store.h>

struct sg_catalog_function {
    struct sg_id id;
    struct sg_id app_id;
    int64_t version;
    int64_t registered_at_ms;
    bool is_archived;
    struct sg_str slug;
    struct sg_str name;
    struct sg_str config; /* canonical JSON */
};

struct sg_catalog_app {
    struct sg_id id;
    struct sg_str name;
    struct sg_str url;
    struct sg_str sdk;
    struct sg_str framework;
    struct sg_str version;
    struct sg_str sync_kind;
    struct sg_str checksum;
    struct sg_str error; /* empty: none */
    int64_t synced_at_ms;
    bool is_archived;
};

/* Of each function the version in force. Sorted: apps by name, functions by slug. */
struct sg_catalog {
    struct sg_catalog_app *apps;
    size_t app_count;
    size_t app_capacity;
    struct sg_catalog_function *functions;
    size_t function_count;
    size_t function_capacity;
    bool is_cut; /* there is more than SG_LIMIT_CATALOG_ROWS */
};

/* Everything is in the arena. */
enum sg_status sg_catalog_read(struct sg_store_reader *reader, struct sg_arena *arena, struct sg_catalog *catalog, struct sg_error *error);
/* NULL if it is not there. */
const struct sg_catalog_function *sg_catalog_function_find(const struct sg_catalog *catalog, struct sg_id id);
const struct sg_catalog_app *sg_catalog_app_find(const struct sg_catalog *catalog, struct sg_str name);

#endif
