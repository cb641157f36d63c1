/*
 * Pins.
 *
 * The model. An event is needed while a live run was started by it, while a cursor carries it to its consumers, or while it lies in an
 * open batch, or has answered a wait that has not woken up yet. A lifecycle event has no bytes of its own (sdk/event_read.c): it needs the finished run it is about, which needs the
 * events that had started it, which may be lifecycle events again. All of that is read in one snapshot, so it is what was needed at one
 * moment; no lock is taken and nobody waits (a million live runs take half a second, or four from a cold disk, during which the log of
 * the store is not reset).
 *
 * It costs eight bytes for each event of a live run while a sweep lasts. Whether an event is a lifecycle event only its row tells, and
 * reading a million rows to find none would be a waste: so rows are read for runs only whose function may be started by one. Their names
 * all begin with "inngest/", so its configuration says "inngest/" or has a wildcard in it; that it says so elsewhere costs some reads
 * and is no mistake.
 *
 * What it never does: know which runs are live: run_live says that better, at the moment at which it matters.
 */
#include "node/pins.h"

#include <stdlib.h>
#include <string.h>

#include <stepgate/engine.h>

#include "base/alloc.h"

#define POSITION_BYTES 8 /* in a list of positions: big-endian (protocol/kinds.def, run_live.events) */
/* Rows between two looks at whether to stop. */
#define ROWS_PER_LOOK 1024

struct reading {
    struct sg_pins *pins;
    struct sg_store_reader *reader;
    struct sg_pins_stop stop;
    struct sg_error *error;
    int64_t rows;
    struct sg_id *listeners; /* functions that lifecycle events may start; in the order of the table, which is sorted */
    size_t listener_count;
    size_t listener_capacity;
    int64_t *suspects; /* positions of what may be lifecycle events; grows while it is worked off */
    size_t suspect_count;
    size_t suspect_capacity;
};

static enum sg_status read_all(struct reading *reading, enum sg_kind kind, sg_record_visit visit);
static enum sg_status follow(struct reading *reading);
static enum sg_status note_newest(void *context, const struct sg_record *record);
static enum sg_status note_function(void *context, const struct sg_record *record);
static enum sg_status note_cursor(void *context, const struct sg_record *record);
static enum sg_status note_run_live(void *context, const struct sg_record *record);
static enum sg_status note_batch_item(void *context, const struct sg_record *record);
static enum sg_status note_pause(void *context, const struct sg_record *record);
static enum sg_status note_lifecycle(void *context, const struct sg_record *record);
static enum sg_status note_started(void *context, const struct sg_record *record);
static enum sg_status note_positions(struct reading *reading, struct sg_str list, bool is_suspect);
static enum sg_status note_position(struct reading *reading, int64_t position, bool is_suspect);
static void *with_room(void *items, size_t count, size_t *capacity, size_t item_bytes);
static int compare_positions(const void *a, const void *b);
static int compare_ids(const void *a, const void *b);

enum sg_status sg_pins_read(struct sg_pins *pins, struct sg_store_reader *reader, struct sg_pins_stop stop, struct sg_error *error)
{
    struct reading reading = {.pins = pins, .reader = reader, .stop = stop, .error = error};
    struct sg_query newest = {.kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .is_descending = true, .limit = 1};

    *pins = (struct sg_pins){.newest = 0};
    enum sg_status status = sg_store_reader_begin(reader, error);
    if (status != SG_OK)
        return status;
    status = sg_store_read(reader, &newest, note_newest, &reading, error);
    if (status == SG_OK)
        status = read_all(&reading, SG_KIND_FUNCTION, note_function);
    if (status == SG_OK)
        status = read_all(&reading, SG_KIND_CURSOR, note_cursor);
    if (status == SG_OK)
        status = read_all(&reading, SG_KIND_BATCH_ITEM, note_batch_item);
    if (status == SG_OK)
        status = read_all(&reading, SG_KIND_PAUSE, note_pause);
    if (status == SG_OK)
        status = read_all(&reading, SG_KIND_RUN_LIVE, note_run_live);
    if (status == SG_OK)
        status = follow(&reading);
    sg_store_reader_end(reader);
    sg_free(reading.listeners);
    sg_free(reading.suspects);

    if (pins->position_count > 0)
        qsort(pins->positions, pins->position_count, sizeof(*pins->positions), compare_positions);
    if (pins->run_count > 0)
        qsort(pins->runs, pins->run_count, sizeof(*pins->runs), compare_ids);
    if (status == SG_NO_MEMORY)
        sg_error_set(error, status, "out of memory while looking which events live runs need");
    if (status == SG_SHUTTING_DOWN)
        sg_error_set(error, status, "stopping");
    return status;
}

void sg_pins_free(struct sg_pins *pins)
{
    sg_free(pins->positions);
    sg_free(pins->runs);
    *pins = (struct sg_pins){.newest = 0};
}

bool sg_pins_has_event(const struct sg_pins *pins, int64_t position)
{
    return pins->position_count > 0 &&
           bsearch(&position, pins->positions, pins->position_count, sizeof(position), compare_positions) != NULL;
}

bool sg_pins_has_run(const struct sg_pins *pins, struct sg_id run_id)
{
    return pins->run_count > 0 && bsearch(&run_id, pins->runs, pins->run_count, sizeof(run_id), compare_ids) != NULL;
}

static enum sg_status read_all(struct reading *reading, enum sg_kind kind, sg_record_visit visit)
{
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .limit = INT64_MAX};
    return sg_store_read(reading->reader, &query, visit, reading, reading->error);
}

/* Works off the suspects: each lifecycle event adds its run and that run's events, which lie before it in the log, so this ends. */
static enum sg_status follow(struct reading *reading)
{
    for (size_t i = 0; i < reading->suspect_count; i++) {
        struct sg_query query = {
            .kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .equal_count = 1, .equal = {sg_value_int(reading->suspects[i])}, .limit = 1};
        enum sg_status status = sg_store_read(reading->reader, &query, note_lifecycle, reading, reading->error);
        if (status != SG_OK)
            return status;
    }
    return SG_OK;
}

static enum sg_status look(struct reading *reading)
{
    if (++reading->rows % ROWS_PER_LOOK == 0 && reading->stop.is_wanted != NULL && reading->stop.is_wanted(reading->stop.context))
        return SG_SHUTTING_DOWN;
    return SG_OK;
}

static enum sg_status note_newest(void *context, const struct sg_record *record)
{
    struct reading *reading = context;
    reading->pins->newest = record->values[SG_EVENT_POSITION].number;
    return SG_OK;
}

static enum sg_status note_function(void *context, const struct sg_record *record)
{
    struct reading *reading = context;
    struct sg_id id = sg_value_get_id(&record->values[SG_FUNCTION_ID]);
    struct sg_str config = record->values[SG_FUNCTION_CONFIG].bytes;
    /* Canonical JSON, so neither "/" nor "*" is written any other way. A config that is not there tells nothing: suspected. */
    bool may_listen =
        config.len == 0 || memmem(config.ptr, config.len, "inngest/", strlen("inngest/")) != NULL || sg_str_index(config, '*') >= 0;
    bool is_known = reading->listener_count > 0 && sg_id_eq(reading->listeners[reading->listener_count - 1], id); /* another version */
    if (!may_listen || is_known)
        return look(reading);
    struct sg_id *listeners = with_room(reading->listeners, reading->listener_count, &reading->listener_capacity, sizeof(id));
    if (listeners == NULL)
        return SG_NO_MEMORY;
    reading->listeners = listeners;
    reading->listeners[reading->listener_count++] = id;
    return look(reading);
}

static enum sg_status note_cursor(void *context, const struct sg_record *record)
{
    struct reading *reading = context;
    if (record->values[SG_CURSOR_KIND].number != SG_CURSOR_EVENT)
        return SG_OK;
    return note_position(reading, record->values[SG_CURSOR_SUBJECT].number, true);
}

static enum sg_status note_batch_item(void *context, const struct sg_record *record)
{
    return note_position(context, record->values[SG_BATCH_ITEM_POSITION].number, true);
}

/* The event that has answered a wait is needed until the run has woken up. */
static enum sg_status note_pause(void *context, const struct sg_record *record)
{
    int64_t flags = record->values[SG_PAUSE_FLAGS].number;
    if ((flags & SG_PAUSE_IS_ANSWERED) == 0 || (flags & SG_PAUSE_HAS_VALUE) != 0)
        return look(context);
    return note_position(context, record->values[SG_PAUSE_POSITION].number, true);
}

static enum sg_status note_run_live(void *context, const struct sg_record *record)
{
    struct reading *reading = context;
    struct sg_id function_id = sg_value_get_id(&record->values[SG_RUN_LIVE_FUNCTION_ID]);
    bool is_suspect = reading->listener_count > 0 &&
                      bsearch(&function_id, reading->listeners, reading->listener_count, sizeof(function_id), compare_ids) != NULL;
    enum sg_status status = note_positions(reading, record->values[SG_RUN_LIVE_EVENTS].bytes, is_suspect);
    return status == SG_OK ? look(reading) : status;
}

static enum sg_status note_lifecycle(void *context, const struct sg_record *record)
{
    struct reading *reading = context;
    struct sg_pins *pins = reading->pins;
    if (record->values[SG_EVENT_RUN_ID].is_null)
        return look(reading);
    struct sg_id *runs = with_room(pins->runs, pins->run_count, &pins->run_capacity, sizeof(*runs));
    if (runs == NULL)
        return SG_NO_MEMORY;
    pins->runs = runs;
    struct sg_id run_id = sg_value_get_id(&record->values[SG_EVENT_RUN_ID]);
    pins->runs[pins->run_count++] = run_id;
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .equal_count = 1, .equal = {sg_value_id(&run_id)}, .limit = 1};
    enum sg_status status = sg_store_read(reading->reader, &query, note_started, reading, reading->error);
    return status == SG_OK ? look(reading) : status;
}

static enum sg_status note_started(void *context, const struct sg_record *record)
{
    return note_positions(context, record->values[SG_RUN_EVENTS].bytes, true);
}

static enum sg_status note_positions(struct reading *reading, struct sg_str list, bool is_suspect)
{
    enum sg_status status = SG_OK;
    for (size_t at = 0; at + POSITION_BYTES <= list.len && status == SG_OK; at += POSITION_BYTES) {
        uint64_t position = 0;
        for (size_t i = 0; i < POSITION_BYTES; i++)
            position = position << 8 | (unsigned char)list.ptr[at + i];
        status = note_position(reading, (int64_t)position, is_suspect);
    }
    return status;
}

static enum sg_status note_position(struct reading *reading, int64_t position, bool is_suspect)
{
    struct sg_pins *pins = reading->pins;
    int64_t *positions = with_room(pins->positions, pins->position_count, &pins->position_capacity, sizeof(position));
    if (positions == NULL)
        return SG_NO_MEMORY;
    pins->positions = positions;
    pins->positions[pins->position_count++] = position;
    if (!is_suspect)
        return SG_OK;
    int64_t *suspects = with_room(reading->suspects, reading->suspect_count, &reading->suspect_capacity, sizeof(position));
    if (suspects == NULL)
        return SG_NO_MEMORY;
    reading->suspects = suspects;
    reading->suspects[reading->suspect_count++] = position;
    return SG_OK;
}

/* The array with room for one item more, wherever it is then; NULL if memory ran out, and the array is as it was. */
static void *with_room(void *items, size_t count, size_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return items;
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *grown = sg_realloc(items, wanted * item_bytes);
    if (grown != NULL)
        *capacity = wanted;
    return grown;
}

static int compare_positions(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static int compare_ids(const void *a, const void *b)
{
    return sg_id_cmp(*(const struct sg_id *)a, *(const struct sg_id *)b);
}
