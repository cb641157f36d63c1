/*
 * The load of a bulk cancellation.
 *
 * The model. The record of the cancellation says which runs are wanted and how far it has come; live runs are read in the order of their ids from
 * there on. One load brings at most what one slice of the engine can deal with, and looks at a bounded number of rows, most of which may be other functions'. The
 * events that a condition needs are read afterwards, until they are too many bytes: then the load brings fewer runs.
 *
 * What it never does: evaluate the condition. That is the engine's, so that the simulator sees it.
 */
#include "node/load_runs.h"

#include <string.h>

#include "sdk/body.h"

/* Rows of run_live that one load looks at: some milliseconds of a reader thread. */
#define ROWS_MAX 10000

struct collection {
    struct sg_id function_id;
    struct sg_id reached;
    int64_t rows;
    size_t count;
    struct sg_loaded_run *runs;
    int64_t positions[SG_LOADED_RUNS_MAX]; /* of their first events */
};

static enum sg_status collect(void *context, const struct sg_record *record)
{
    struct collection *collection = context;
    const struct sg_value *values = record->values;
    if (collection->count == SG_LOADED_RUNS_MAX || collection->rows == ROWS_MAX)
        return SG_TOO_MANY; /* ends the read */
    collection->rows++;
    collection->reached = sg_value_get_id(&values[SG_RUN_LIVE_ID]);
    struct sg_str events = values[SG_RUN_LIVE_EVENTS].bytes;
    if (!sg_id_eq(sg_value_get_id(&values[SG_RUN_LIVE_FUNCTION_ID]), collection->function_id) || events.len < 8)
        return SG_OK;
    uint64_t position = 0;
    for (size_t byte = 0; byte < 8; byte++)
        position = position << 8 | (uint8_t)events.ptr[byte];
    collection->positions[collection->count] = (int64_t)position;
    collection->runs[collection->count++].id = collection->reached;
    return SG_OK;
}

/* Fewer runs, if their events are large. An event that is gone or damaged stays empty: its run is not meant. */
static enum sg_status read_events(struct sg_store_reader *reader, struct collection *collection, struct sg_message *message,
                                  struct sg_error *error)
{
    struct sg_buf body = {0};
    int64_t bytes = 0;
    enum sg_status status = SG_OK;
    size_t index = 0;
    for (; index < collection->count && bytes < SG_LOADED_RUNS_EVENT_BYTES_MAX && status == SG_OK; index++) {
        sg_buf_clear(&body);
        status = sg_event_read(reader, collection->positions[index], &body, error);
        if (status == SG_NOT_FOUND || status == SG_STORE_CORRUPT) {
            status = SG_OK;
            continue;
        }
        struct sg_str *event = &collection->runs[index].event;
        if (status == SG_OK)
            *event = body.is_failed ? SG_STR_NULL : sg_arena_copy(&message->arena, sg_buf_str(&body));
        if (status == SG_OK && event->ptr == NULL)
            status = SG_NO_MEMORY;
        bytes += (int64_t)event->len;
    }
    sg_buf_free(&body);
    if (index < collection->count) {
        collection->count = index;
        collection->reached = index > 0 ? collection->runs[index - 1].id : collection->reached;
        message->as.loaded_runs.is_last = false;
    }
    return status;
}

enum sg_status sg_load_runs(struct sg_store_reader *reader, struct sg_id cancellation_id, struct sg_message *message,
                            struct sg_error *error)
{
    static const uint8_t lowest[10] = {0};
    struct sg_record record;
    struct sg_value key = sg_value_id(&cancellation_id);
    enum sg_status status = sg_store_get(reader, SG_KIND_CANCELLATION, &key, &message->arena, &record, error);
    if (status != SG_OK)
        return status;
    const struct sg_value *wanted = record.values;
    struct collection collection = {
        .function_id = sg_value_get_id(&wanted[SG_CANCELLATION_FUNCTION_ID]),
        .reached = sg_value_get_id(&wanted[SG_CANCELLATION_REACHED]),
        .runs = sg_arena_zalloc(&message->arena, SG_LOADED_RUNS_MAX * sizeof(*collection.runs)),
    };
    if (collection.runs == NULL)
        return SG_NO_MEMORY;
    /* Runs that were created after the cancellation have ids after its own. */
    struct sg_id after = collection.reached;
    struct sg_id end = sg_ulid_make(wanted[SG_CANCELLATION_STARTED_BEFORE].number + 1, lowest);
    struct sg_query query = {.kind = SG_KIND_RUN_LIVE, .index = SG_INDEX_KEY, .has_after = true, .has_before = true, .limit = ROWS_MAX + 1};
    query.after = sg_value_id(&after);
    query.before = sg_value_id(sg_id_cmp(end, cancellation_id) < 0 ? &end : &cancellation_id);
    status = sg_store_read(reader, &query, collect, &collection, error);
    if (status != SG_OK && status != SG_TOO_MANY)
        return status;
    message->as.loaded_runs.is_last = status == SG_OK;
    status = wanted[SG_CANCELLATION_EXPRESSION].is_null ? SG_OK : read_events(reader, &collection, message, error);
    message->as.loaded_runs.runs = collection.runs;
    message->as.loaded_runs.run_count = collection.count;
    message->as.loaded_runs.reached = collection.reached;
    return status;
}
