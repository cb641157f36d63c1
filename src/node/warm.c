/*
 * Reading ahead.
 *
 * The model. After a cold start the scans of start-up wait for one page of the disk after the other, though the disk could bring many at the same
 * time: the records of a kind lie scattered among those of others. So the key ranges of the two kinds that may have a million records are cut into
 * parts, and a thread walks through each, throwing away what it reads; the pages it touched are in the page cache when the scan gets there.
 * Keys are cut evenly between the lowest and the highest: that is right for numbers, and good enough for ULIDs.
 *
 * What it never does: decide anything. If a thread cannot be had or a read fails, start-up is only slower, and the scan reports the failure.
 */
#include "node/warm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

/* A store smaller than this is read in one go faster than threads start. */
#define STORE_BYTES_MIN (64LL * 1024 * 1024)
#define PARTS_PER_KIND 8
#define KINDS 2

struct part {
    struct sg_warm *warm;
    enum sg_kind kind;
    pthread_t thread;
    bool is_started;
    struct sg_id after_id; /* RUN_LIVE */
    struct sg_id before_id;
    int64_t after; /* JOB */
    int64_t before;
};

struct sg_warm {
    struct sg_store *store;
    atomic_bool is_ending;
    struct part parts[KINDS * PARTS_PER_KIND];
};

static enum sg_status skip(void *context, const struct sg_record *record)
{
    const struct sg_warm *warm = context;
    (void)record;
    return atomic_load_explicit(&warm->is_ending, memory_order_relaxed) ? SG_SHUTTING_DOWN : SG_OK;
}

static void *part_read(void *argument)
{
    struct part *part = argument;
    struct sg_store_reader *reader;
    if (sg_store_reader_open(part->warm->store, &reader, NULL) != SG_OK)
        return NULL;
    struct sg_query query = {.kind = part->kind, .index = SG_INDEX_KEY, .has_after = true, .has_before = true, .limit = INT64_MAX};
    bool is_id = part->kind == SG_KIND_RUN_LIVE;
    query.after = is_id ? sg_value_id(&part->after_id) : sg_value_int(part->after);
    query.before = is_id ? sg_value_id(&part->before_id) : sg_value_int(part->before);
    sg_store_read(reader, &query, skip, part->warm, NULL);
    sg_store_reader_close(reader);
    return NULL;
}

/* ---- where to cut ---- */

static enum sg_status key_read(void *context, const struct sg_record *record)
{
    struct part *end = context;
    if (record->kind == SG_KIND_RUN_LIVE)
        end->after_id = sg_value_get_id(&record->values[0]);
    else
        end->after = record->values[0].number;
    end->is_started = true; /* there is one */
    return SG_OK;
}

/* The first key, or the last: in `after` and `after_id`. */
static bool end_read(struct sg_store_reader *reader, enum sg_kind kind, bool is_last, struct part *end)
{
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .is_descending = is_last, .limit = 1};
    *end = (struct part){0};
    return sg_store_read(reader, &query, key_read, end, NULL) == SG_OK && end->is_started;
}

/* first + (last - first) * index / parts, over 128 bits. */
static struct sg_id id_between(struct sg_id first, struct sg_id last, unsigned index, unsigned parts)
{
    unsigned __int128 low = 0;
    unsigned __int128 high = 0;
    for (size_t byte = 0; byte < sizeof(first.bytes); byte++) {
        low = low << 8 | first.bytes[byte];
        high = high << 8 | last.bytes[byte];
    }
    unsigned __int128 key = low + (high - low) / parts * index;
    struct sg_id id;
    for (size_t byte = sizeof(id.bytes); byte-- > 0; key >>= 8)
        id.bytes[byte] = (uint8_t)key;
    return id;
}

static void kind_begin(struct sg_warm *warm, struct sg_store_reader *reader, enum sg_kind kind, struct part *parts)
{
    struct part first;
    struct part last;
    if (!end_read(reader, kind, false, &first) || !end_read(reader, kind, true, &last))
        return;
    for (unsigned index = 0; index < PARTS_PER_KIND; index++) {
        struct part *part = &parts[index];
        part->warm = warm;
        part->kind = kind;
        part->after_id = id_between(first.after_id, last.after_id, index, PARTS_PER_KIND);
        part->before_id = id_between(first.after_id, last.after_id, index + 1, PARTS_PER_KIND);
        part->after = first.after + (last.after - first.after) / PARTS_PER_KIND * index;
        part->before = first.after + (last.after - first.after) / PARTS_PER_KIND * (index + 1);
        part->is_started = pthread_create(&part->thread, NULL, part_read, part) == 0;
    }
}

struct sg_warm *sg_warm_begin(struct sg_store *store)
{
    if (sg_store_size_bytes(store) < STORE_BYTES_MIN)
        return NULL;
    struct sg_store_reader *reader;
    if (sg_store_reader_open(store, &reader, NULL) != SG_OK)
        return NULL;
    struct sg_warm *warm = sg_calloc(1, sizeof(*warm));
    if (warm != NULL) {
        warm->store = store;
        kind_begin(warm, reader, SG_KIND_RUN_LIVE, warm->parts);
        kind_begin(warm, reader, SG_KIND_JOB, warm->parts + PARTS_PER_KIND);
    }
    sg_store_reader_close(reader);
    return warm;
}

void sg_warm_end(struct sg_warm *warm)
{
    if (warm == NULL)
        return;
    atomic_store(&warm->is_ending, true);
    for (size_t index = 0; index < SG_ARRAY_LEN(warm->parts); index++)
        if (warm->parts[index].is_started)
            pthread_join(warm->parts[index].thread, NULL);
    sg_free(warm);
}
