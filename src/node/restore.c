/*
 * Start-up.
 *
 * The model. Recovery is start-up and start-up is recovery: every kind of the table whose life is LIVE is scanned once and handed to the engine, then the
 * highest event position and job number are read, so that numbering goes on behind them. Nothing depends on how the last process ended.
 *
 * What it never does: read history, write, or repair: a record that makes no sense is the engine's to count and drop.
 */
#include "node/restore.h"

#include <malloc.h>
#include <string.h>

#include "base/check.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "node/warm.h"

/* A line of progress at this interval; a million parked runs are there before the first one. */
#define PROGRESS_MS 2000
/* Records between two looks at the clock. */
#define RECORDS_PER_LOOK 4096
#define TOKEN_SECRET_SETTING SG_STR("token_secret")

struct progress {
    struct sg_engine *engine;
    struct sg_error *error;
    int64_t records;
    int64_t started_at_ms;
    int64_t logged_at_ms;
    const char *table;
};

static enum sg_status hand_over(void *context, const struct sg_record *record);
static enum sg_status read_offset(void *context, const struct sg_record *record);
static enum sg_status highest_key(struct sg_store_reader *reader, enum sg_kind kind, int64_t *key, struct sg_error *error);
static enum sg_status read_key(void *context, const struct sg_record *record);
static int64_t monotonic_ms(void);

enum sg_status sg_restore_clock_offset(struct sg_store *store, int64_t *offset_ms, struct sg_error *error)
{
    *offset_ms = 0;
    return sg_store_scan(store, SG_KIND_SETTING, read_offset, offset_ms, error);
}

struct secret_search {
    struct sg_token_secret *secret;
    bool is_found;
};

static enum sg_status read_secret(void *context, const struct sg_record *record)
{
    struct secret_search *search = context;
    if (sg_str_eq(record->values[SG_SETTING_NAME].bytes, TOKEN_SECRET_SETTING))
        search->is_found = sg_hex_decode(record->values[SG_SETTING_VALUE].bytes, search->secret->bytes, sizeof(search->secret->bytes));
    return SG_OK;
}

enum sg_status sg_restore_token_secret(struct sg_store *store, struct sg_token_secret *secret, struct sg_error *error)
{
    struct secret_search search = {.secret = secret};
    enum sg_status status = sg_store_scan(store, SG_KIND_SETTING, read_secret, &search, error);
    if (status != SG_OK || search.is_found)
        return status;
    char text[2 * sizeof(secret->bytes) + 1];
    if (!sg_random_bytes(secret->bytes, sizeof(secret->bytes)))
        return sg_error_set(error, SG_SYSTEM, "the system gave no random bytes");
    sg_hex_encode(secret->bytes, sizeof(secret->bytes), text);
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_SETTING}};
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        write.record.values[column] = sg_value_null();
    write.record.values[SG_SETTING_NAME] = sg_value_bytes(TOKEN_SECRET_SETTING);
    write.record.values[SG_SETTING_VALUE] = sg_value_bytes(sg_str_from(text));
    status = sg_store_commit(store, &write, 1, error);
    explicit_bzero(text, sizeof(text));
    return status;
}

enum sg_status sg_restore_engine(struct sg_store *store, struct sg_engine *engine, struct sg_clock *clock, struct sg_batch *batch,
                                 struct sg_error *error)
{
    struct progress progress = {.engine = engine, .error = error, .started_at_ms = monotonic_ms()};
    progress.logged_at_ms = progress.started_at_ms;
    static const enum sg_kind kinds[] = SG_ENGINE_RESTORED_KINDS; /* what refers to another comes after it */
    struct sg_warm *warm = sg_warm_begin(store);
    enum sg_status scanned = SG_OK;
    for (size_t index = 0; index < SG_ARRAY_LEN(kinds) && scanned == SG_OK; index++) {
        progress.table = sg_kind_info(kinds[index])->table;
        scanned = sg_store_scan(store, kinds[index], hand_over, &progress, error);
    }
    sg_warm_end(warm);
    malloc_trim(0); /* what the scans needed goes back to the system: a start is no reason to look large ever after */
    if (scanned != SG_OK)
        return scanned;

    int64_t last_position = 0;
    int64_t last_job_id = 0;
    struct sg_store_reader *reader;
    enum sg_status status = sg_store_reader_open(store, &reader, error);
    if (status != SG_OK)
        return status;
    status = sg_store_reader_begin(reader, error);
    if (status == SG_OK) {
        status = highest_key(reader, SG_KIND_EVENT, &last_position, error);
        if (status == SG_OK)
            status = highest_key(reader, SG_KIND_JOB, &last_job_id, error);
        sg_store_reader_end(reader);
    }
    sg_store_reader_close(reader);
    if (status == SG_OK)
        status = sg_engine_restored(engine, sg_clock_now_ms(clock), last_position, last_job_id, batch, error);
    if (status == SG_OK && progress.records > 0)
        sg_log(SG_LOG_INFO, "state restored", SG_KV_INT("records", progress.records), SG_KV_INT("last_event", last_position),
               SG_KV_INT("ms", monotonic_ms() - progress.started_at_ms));
    return status;
}

static enum sg_status hand_over(void *context, const struct sg_record *record)
{
    struct progress *progress = context;
    if (++progress->records % RECORDS_PER_LOOK == 0) {
        int64_t now_ms = monotonic_ms();
        if (now_ms - progress->logged_at_ms >= PROGRESS_MS) {
            progress->logged_at_ms = now_ms;
            sg_log(SG_LOG_INFO, "restoring state", SG_KV_INT("records", progress->records), SG_KV_TEXT("table", progress->table));
        }
    }
    return sg_engine_restore(progress->engine, record, progress->error);
}

static enum sg_status read_offset(void *context, const struct sg_record *record)
{
    int64_t *offset_ms = context;
    if (sg_str_eq(record->values[SG_SETTING_NAME].bytes, SG_STR("clock_offset_ms")))
        if (!sg_str_to_int(record->values[SG_SETTING_VALUE].bytes, offset_ms))
            return SG_STORE_CORRUPT;
    return SG_OK;
}

static enum sg_status highest_key(struct sg_store_reader *reader, enum sg_kind kind, int64_t *key, struct sg_error *error)
{
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .is_descending = true, .limit = 1};
    return sg_store_read(reader, &query, read_key, key, error);
}

static enum sg_status read_key(void *context, const struct sg_record *record)
{
    *(int64_t *)context = record->values[0].number;
    return SG_OK;
}

static int64_t monotonic_ms(void)
{
    return sg_monotonic_now_ns() / 1000000;
}
