/*
 * The catalog: apps and functions, read from the store for one answer.
 *
 * Every version of a function is a row; walked backwards, the first row of an id is the version in force, and the
 * others are passed over without being copied. The catalog is small (what people have written by hand), so reading all
 * of it for an answer is cheaper than keeping a second copy of it right.
 */
#include "server/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "server/limits.h"

struct visitor {
    struct sg_catalog *catalog;
    struct sg_arena *arena;
    struct sg_id last_id;
    bool has_last;
    int64_t rows;
};

/* Room for one more; false if memory ran out. Old arrays stay in the arena: it lives for one answer. */
static bool grow(struct sg_arena *arena, void **items, size_t count, size_t *capacity, size_t bytes)
{
    if (count < *capacity)
        return true;
    size_t more = *capacity > 0 ? *capacity * 2 : 16;
    void *larger = sg_arena_alloc(arena, more * bytes);
    if (larger == NULL)
        return false;
    if (count > 0)
        memcpy(larger, *items, count * bytes);
    *items = larger;
    *capacity = more;
    return true;
}

static bool copy(struct sg_arena *arena, const struct sg_value *value, struct sg_str *text)
{
    *text = sg_arena_copy(arena, value->is_null ? SG_STR("") : value->bytes);
    return text->ptr != NULL;
}

static enum sg_status visit_app(void *context, const struct sg_record *record)
{
    struct visitor *visitor = context;
    struct sg_catalog *catalog = visitor->catalog;
    const struct sg_value *values = record->values;

    visitor->rows++;
    if (!grow(visitor->arena, (void **)&catalog->apps, catalog->app_count, &catalog->app_capacity, sizeof(*catalog->apps)))
        return SG_NO_MEMORY;
    struct sg_catalog_app *app = &catalog->apps[catalog->app_count];
    *app = (struct sg_catalog_app){
        .id = sg_value_get_id(&values[SG_APP_ID]),
        .synced_at_ms = values[SG_APP_SYNCED_AT].number,
        .is_archived = values[SG_APP_IS_ARCHIVED].number != 0,
    };
    if (!copy(visitor->arena, &values[SG_APP_NAME], &app->name) || !copy(visitor->arena, &values[SG_APP_URL], &app->url) ||
        !copy(visitor->arena, &values[SG_APP_SDK], &app->sdk) || !copy(visitor->arena, &values[SG_APP_FRAMEWORK], &app->framework) ||
        !copy(visitor->arena, &values[SG_APP_VERSION], &app->version) ||
        !copy(visitor->arena, &values[SG_APP_SYNC_KIND], &app->sync_kind) ||
        !copy(visitor->arena, &values[SG_APP_CHECKSUM], &app->checksum) || !copy(visitor->arena, &values[SG_APP_ERROR], &app->error))
        return SG_NO_MEMORY;
    catalog->app_count++;
    return SG_OK;
}

static enum sg_status visit_function(void *context, const struct sg_record *record)
{
    struct visitor *visitor = context;
    struct sg_catalog *catalog = visitor->catalog;
    const struct sg_value *values = record->values;
    struct sg_id id = sg_value_get_id(&values[SG_FUNCTION_ID]);

    visitor->rows++;
    if (visitor->has_last && sg_id_eq(visitor->last_id, id))
        return SG_OK; /* an older version */
    visitor->last_id = id;
    visitor->has_last = true;
    if (!grow(visitor->arena, (void **)&catalog->functions, catalog->function_count, &catalog->function_capacity,
              sizeof(*catalog->functions)))
        return SG_NO_MEMORY;
    struct sg_catalog_function *function = &catalog->functions[catalog->function_count];
    *function = (struct sg_catalog_function){
        .id = id,
        .app_id = sg_value_get_id(&values[SG_FUNCTION_APP_ID]),
        .version = values[SG_FUNCTION_VERSION].number,
        .registered_at_ms = values[SG_FUNCTION_REGISTERED_AT].number,
        .is_archived = values[SG_FUNCTION_IS_ARCHIVED].number != 0,
    };
    if (!copy(visitor->arena, &values[SG_FUNCTION_SLUG], &function->slug) ||
        !copy(visitor->arena, &values[SG_FUNCTION_NAME], &function->name) ||
        !copy(visitor->arena, &values[SG_FUNCTION_CONFIG], &function->config))
        return SG_NO_MEMORY;
    catalog->function_count++;
    return SG_OK;
}

static int by_name(const void *a, const void *b)
{
    return sg_str_cmp(((const struct sg_catalog_app *)a)->name, ((const struct sg_catalog_app *)b)->name);
}

static int by_slug(const void *a, const void *b)
{
    return sg_str_cmp(((const struct sg_catalog_function *)a)->slug, ((const struct sg_catalog_function *)b)->slug);
}

enum sg_status sg_catalog_read(struct sg_store_reader *reader, struct sg_arena *arena, struct sg_catalog *catalog, struct sg_error *error)
{
    struct visitor visitor = {.catalog = catalog, .arena = arena};
    struct sg_query query = {.kind = SG_KIND_APP, .index = SG_INDEX_KEY, .is_descending = true, .limit = SG_LIMIT_CATALOG_ROWS};

    *catalog = (struct sg_catalog){.apps = NULL};
    enum sg_status status = sg_store_read(reader, &query, visit_app, &visitor, error);
    if (status != SG_OK)
        return status;
    catalog->is_cut = visitor.rows >= SG_LIMIT_CATALOG_ROWS;
    visitor.rows = 0;
    query.kind = SG_KIND_FUNCTION;
    status = sg_store_read(reader, &query, visit_function, &visitor, error);
    if (status != SG_OK)
        return status;
    catalog->is_cut |= visitor.rows >= SG_LIMIT_CATALOG_ROWS;
    if (catalog->app_count > 1)
        qsort(catalog->apps, catalog->app_count, sizeof(*catalog->apps), by_name);
    if (catalog->function_count > 1)
        qsort(catalog->functions, catalog->function_count, sizeof(*catalog->functions), by_slug);
    return SG_OK;
}

const struct sg_catalog_function *sg_catalog_function_find(const struct sg_catalog *catalog, struct sg_id id)
{
    for (size_t i = 0; i < catalog->function_count; i++)
        if (sg_id_eq(catalog->functions[i].id, id))
            return &catalog->functions[i];
    return NULL;
}

const struct sg_catalog_app *sg_catalog_app_find(const struct sg_catalog *catalog, struct sg_str name)
{
    for (size_t i = 0; i < catalog->app_count; i++)
        if (sg_str_eq(catalog->apps[i].name, name))
            return &catalog->apps[i];
    return NULL;
}
