/*
 * Housekeeping.
 *
 * The model. A thread sleeps until enough commits have passed that the log of the store may have grown past its limit, then lets the store make it
 * small again (sg_store_maintain, beside the commits). Once a minute it asks for a chore: expired idempotency rows are found by their index and deleted
 * in small transactions, by the store thread itself between two batches. There, because it is the only writer: between finding and deleting a row
 * nobody can have put a fresh one with the same key.
 *
 * What it never does: hold up a commit for longer than CHORE_ROWS deletes take (about a millisecond), or fail anything: a store that cannot be
 * maintained now is maintained later.
 */
#include "node/housekeeping.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#define HOUSEKEEPING_MAGIC 0x68736b70u
/* Looking whether the log is too long is a comparison, so often; a commit writes some 10 to 100 pages of it. */
#define COMMITS_PER_LOOK 64
/* Rows live for 24 hours; a minute more is nothing. */
#define CHORE_INTERVAL_S 60
#define CHORE_ROWS 128

struct sg_housekeeping {
    uint32_t magic;
    struct sg_store *store;
    struct sg_clock *clock;
    struct sg_committer *committer;
    struct sg_store_reader *reader; /* the store thread's */
    pthread_t thread;
    bool is_started;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on the monotonic clock */
    int commits;
    bool is_look_due;
    bool is_stopping;
};

struct expired {
    struct sg_id key;
    struct sg_id function_id;
};
struct expired_rows {
    struct expired rows[CHORE_ROWS];
    size_t count;
};

static void *housekeeping_main(void *argument);
static enum sg_status collect(void *context, const struct sg_record *record);

enum sg_status sg_housekeeping_create(struct sg_store *store, struct sg_clock *clock, struct sg_housekeeping **housekeeping_out,
                                      struct sg_error *error)
{
    struct sg_housekeeping *housekeeping = sg_calloc(1, sizeof(*housekeeping));
    if (housekeeping == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for housekeeping");
    housekeeping->magic = HOUSEKEEPING_MAGIC;
    housekeeping->store = store;
    housekeeping->clock = clock;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&housekeeping->lock, NULL);
    pthread_cond_init(&housekeeping->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    enum sg_status status = sg_store_reader_open(store, &housekeeping->reader, error);
    if (status != SG_OK) {
        sg_housekeeping_free(housekeeping);
        return status;
    }
    *housekeeping_out = housekeeping;
    return SG_OK;
}

enum sg_status sg_housekeeping_start(struct sg_housekeeping *housekeeping, struct sg_committer *committer, struct sg_error *error)
{
    SG_CHECK(housekeeping, HOUSEKEEPING_MAGIC);
    assert(!housekeeping->is_started);
    housekeeping->committer = committer;
    int code = pthread_create(&housekeeping->thread, NULL, housekeeping_main, housekeeping);
    if (code != 0)
        return sg_error_set(error, SG_SYSTEM, "the housekeeping thread cannot be started: %s", strerror(code));
    housekeeping->is_started = true;
    return SG_OK;
}

void sg_housekeeping_stop(struct sg_housekeeping *housekeeping)
{
    SG_CHECK(housekeeping, HOUSEKEEPING_MAGIC);
    pthread_mutex_lock(&housekeeping->lock);
    housekeeping->is_stopping = true;
    pthread_cond_signal(&housekeeping->changed);
    pthread_mutex_unlock(&housekeeping->lock);
    if (housekeeping->is_started)
        pthread_join(housekeeping->thread, NULL);
    housekeeping->is_started = false;
}

void sg_housekeeping_free(struct sg_housekeeping *housekeeping)
{
    if (housekeeping == NULL)
        return;
    sg_housekeeping_stop(housekeeping);
    if (housekeeping->reader != NULL)
        sg_store_reader_close(housekeeping->reader);
    pthread_cond_destroy(&housekeeping->changed);
    pthread_mutex_destroy(&housekeeping->lock);
    housekeeping->magic = 0;
    sg_free(housekeeping);
}

void sg_housekeeping_note_commit(struct sg_housekeeping *housekeeping)
{
    SG_CHECK(housekeeping, HOUSEKEEPING_MAGIC);
    pthread_mutex_lock(&housekeeping->lock);
    if (++housekeeping->commits >= COMMITS_PER_LOOK) {
        housekeeping->commits = 0;
        housekeeping->is_look_due = true;
        pthread_cond_signal(&housekeeping->changed);
    }
    pthread_mutex_unlock(&housekeeping->lock);
}

bool sg_housekeeping_chore(void *context, struct sg_store *store)
{
    struct sg_housekeeping *housekeeping = context;
    SG_CHECK(housekeeping, HOUSEKEEPING_MAGIC);
    struct expired_rows found = {.count = 0};
    struct sg_error error = {.status = SG_OK};
    struct sg_query query = {.kind = SG_KIND_IDEMPOTENCY,
                             .index = SG_INDEX_IDEMPOTENCY_EXPIRES_AT,
                             .has_before = true,
                             .before = sg_value_int(sg_clock_now_ms(housekeeping->clock)),
                             .limit = CHORE_ROWS};
    enum sg_status status = sg_store_reader_begin(housekeeping->reader, &error);
    if (status == SG_OK) {
        status = sg_store_read(housekeeping->reader, &query, collect, &found, &error);
        sg_store_reader_end(housekeeping->reader);
    }

    struct sg_write writes[CHORE_ROWS];
    for (size_t i = 0; i < found.count; i++) {
        writes[i] = (struct sg_write){.op = SG_WRITE_DELETE, .record = {.kind = SG_KIND_IDEMPOTENCY}};
        for (int column = 0; column < SG_COLUMNS_MAX; column++)
            writes[i].record.values[column] = sg_value_null();
        writes[i].record.values[SG_IDEMPOTENCY_KEY] = sg_value_id(&found.rows[i].key);
        writes[i].record.values[SG_IDEMPOTENCY_FUNCTION_ID] = sg_value_id(&found.rows[i].function_id);
    }
    if (status == SG_OK && found.count > 0)
        status = sg_store_commit(store, writes, found.count, &error);
    if (status != SG_OK)
        sg_log(SG_LOG_DEBUG, "expired idempotency keys were not deleted; the next minute tries again", SG_KV_ERROR(&error));
    return status == SG_OK && found.count == CHORE_ROWS;
}

static enum sg_status collect(void *context, const struct sg_record *record)
{
    struct expired_rows *found = context;
    assert(found->count < CHORE_ROWS);
    found->rows[found->count++] = (struct expired){sg_value_get_id(&record->values[SG_IDEMPOTENCY_KEY]),
                                                   sg_value_get_id(&record->values[SG_IDEMPOTENCY_FUNCTION_ID])};
    return SG_OK;
}

static void *housekeeping_main(void *argument)
{
    struct sg_housekeeping *housekeeping = argument;
    struct timespec next_chore;
    clock_gettime(CLOCK_MONOTONIC, &next_chore);
    next_chore.tv_sec += CHORE_INTERVAL_S;

    pthread_mutex_lock(&housekeeping->lock);
    for (;;) {
        int code = 0;
        while (!housekeeping->is_stopping && !housekeeping->is_look_due && code != ETIMEDOUT)
            code = pthread_cond_timedwait(&housekeeping->changed, &housekeeping->lock, &next_chore);
        if (housekeeping->is_stopping)
            break;
        bool is_look_due = housekeeping->is_look_due;
        housekeeping->is_look_due = false;
        pthread_mutex_unlock(&housekeeping->lock);

        if (code == ETIMEDOUT) {
            sg_committer_request_chore(housekeeping->committer);
            next_chore.tv_sec += CHORE_INTERVAL_S;
        }
        struct sg_error error = {.status = SG_OK};
        if (is_look_due && sg_store_maintain(housekeeping->store, &error) != SG_OK)
            sg_log(SG_LOG_WARN, "the log of the store could not be made smaller; tried again later", SG_KV_ERROR(&error));
        pthread_mutex_lock(&housekeeping->lock);
    }
    pthread_mutex_unlock(&housekeeping->lock);
    return NULL;
}
