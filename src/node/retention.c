/*
 * Retention: when history is trimmed, and how fast. What goes is trim.c's business.
 *
 * The model. A thread with a reader of its own looks every ten seconds whether the store holds too much, and at every 128th of the age
 * limit (a minute at least, an hour at most) whether anything is too old; if so it sweeps. It never writes: it hands batches of deletes,
 * one at a time, to the store thread, which commits them between two batches of the engine, and after each it pauses for a multiple of
 * the time that the commit took: by age 19 times, so that trimming takes a twentieth of the store thread at most, by size 4 times,
 * because a disk that fills stops everything. Reading pauses for as long as it took. So a commit of the engine waits for one batch of
 * deletes at most (measured: 0.15 ms and a sync of the disk), and a backlog of any length costs a known share of the machine.
 *
 * What counts for the size is the pages of the database that hold something (sg_store_used_bytes). Not the file: SQLite keeps the pages
 * that a delete frees and writes new rows there, so the file stops growing but does not shrink. It could be made to
 * (auto_vacuum=INCREMENTAL); that takes 6 % more CPU for every write (measured: pointer maps), every existing database would have to be
 * rewritten once, and pages would be moved only for the file to grow again within the hour: whoever runs at the limit has nothing from
 * it. And not the log, which has a limit of its own.
 *
 * Crashes and failures. Every batch is whole, and any prefix of them leaves a store that is in order; the next sweep goes on. A batch
 * that the store does not take ends the sweep, and the next look tries again; while the store thread fights for a batch of the engine,
 * this one waits behind it.
 *
 * What it never does: touch what lives, hold up the engine, or keep a run because of its size, status or name.
 */
#include "node/retention.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "node/trim.h"

#define RETENTION_MAGIC 0x7265746eu
#define NS_PER_MS 1000000LL
/* A look reads one page. At 30 MB/s of growth this is 300 MB, about the slack that a sweep leaves below the default limit. */
#define SIZE_INTERVAL_MS 10000
/* After a sweep that could not free enough: what is left becomes old, or ends, no sooner. */
#define SIZE_RETRY_MS 300000
#define AGE_INTERVAL_MIN_MS 60000
#define AGE_INTERVAL_MAX_MS 3600000
#define AGE_INTERVALS 128
/* Start-up is not the time. */
#define FIRST_LOOK_MS 10000
#define PAUSES_BY_AGE 19
#define PAUSES_BY_SIZE 4
#define PAUSE_MAX_NS (60000 * NS_PER_MS)
/* Sweeps that take longer tell how far they are, this often. */
#define PROGRESS_MS 10000
/* Fewer rows are not worth a line in the log. */
#define ROWS_WORTH_TELLING 1000
/* That the limit cannot be kept is said again this often. */
#define REMIND_MS 3600000

enum handover {
    HANDOVER_NONE,
    HANDOVER_OFFERED, /* for the store thread to take */
    HANDOVER_COMMITTING,
    HANDOVER_DONE
};

struct sg_retention {
    uint32_t magic;
    struct sg_retention_options options;
    struct sg_committer *committer;
    struct sg_store_reader *reader;
    pthread_t thread;
    bool is_started;

    /* Of the thread alone. */
    bool is_by_size;
    struct sg_trim_report report; /* of the sweep that is going on, and how much of it is in `totals` */
    struct sg_trim_report counted;
    int64_t swept_since_ms;
    int64_t told_at_ms;
    int64_t reminded_at_ms; /* 0: never */

    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* on the monotonic clock */
    bool is_stopping;
    enum handover handover;
    const struct sg_write *writes;
    size_t write_count;
    enum sg_status commit_status;
    struct sg_error commit_error;
    int64_t commit_ns;
    struct sg_retention_totals totals;
};

static void *retention_main(void *argument);
static int64_t look_at_size(struct sg_retention *retention);
static int64_t look_at_age(struct sg_retention *retention);
static enum sg_status commit(void *context, const struct sg_write *writes, size_t count, struct sg_error *error);
static enum sg_status measure(void *context, int64_t *bytes, struct sg_error *error);
static bool rest(void *context, int64_t took_ns);
static void tell_progress(struct sg_retention *retention);
static void tell_end(struct sg_retention *retention, enum sg_status status, const struct sg_error *error);
static void add_totals(struct sg_retention *retention);
static bool wait_until_ns(struct sg_retention *retention, int64_t until_ns);
static int64_t now_ms(void);

/* ---- life ---- */

enum sg_status sg_retention_create(const struct sg_retention_options *options, struct sg_retention **retention_out, struct sg_error *error)
{
    struct sg_retention *retention = sg_calloc(1, sizeof(*retention));
    if (retention == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for retention");
    retention->magic = RETENTION_MAGIC;
    retention->options = *options;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&retention->lock, NULL);
    pthread_cond_init(&retention->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (options->age_ms > 0 || options->bytes_max > 0) {
        enum sg_status status = sg_store_reader_open(options->store, &retention->reader, error);
        if (status != SG_OK) {
            sg_retention_free(retention);
            return status;
        }
    }
    *retention_out = retention;
    return SG_OK;
}

enum sg_status sg_retention_start(struct sg_retention *retention, struct sg_committer *committer, struct sg_error *error)
{
    SG_CHECK(retention, RETENTION_MAGIC);
    assert(!retention->is_started);
    if (retention->reader == NULL)
        return SG_OK;
    retention->committer = committer;
    int code = pthread_create(&retention->thread, NULL, retention_main, retention);
    if (code != 0)
        return sg_error_set(error, SG_SYSTEM, "the retention thread cannot be started: %s", strerror(code));
    retention->is_started = true;
    return SG_OK;
}

void sg_retention_stop(struct sg_retention *retention)
{
    SG_CHECK(retention, RETENTION_MAGIC);
    pthread_mutex_lock(&retention->lock);
    retention->is_stopping = true;
    pthread_cond_broadcast(&retention->changed);
    pthread_mutex_unlock(&retention->lock);
    if (retention->is_started)
        pthread_join(retention->thread, NULL);
    retention->is_started = false;
}

void sg_retention_free(struct sg_retention *retention)
{
    if (retention == NULL)
        return;
    sg_retention_stop(retention);
    sg_store_reader_close(retention->reader);
    pthread_cond_destroy(&retention->changed);
    pthread_mutex_destroy(&retention->lock);
    retention->magic = 0;
    sg_free(retention);
}

void sg_retention_totals(struct sg_retention *retention, struct sg_retention_totals *totals)
{
    SG_CHECK(retention, RETENTION_MAGIC);
    pthread_mutex_lock(&retention->lock);
    *totals = retention->totals;
    totals->is_waiting = retention->handover == HANDOVER_OFFERED;
    pthread_mutex_unlock(&retention->lock);
}

/* ---- the thread ---- */

static void *retention_main(void *argument)
{
    struct sg_retention *retention = argument;
    const struct sg_retention_options *options = &retention->options;
    int64_t first_ms = now_ms() + (options->look_interval_ms > 0 ? options->look_interval_ms : FIRST_LOOK_MS);
    int64_t size_at_ms = options->bytes_max > 0 ? first_ms : INT64_MAX;
    int64_t age_at_ms = options->age_ms > 0 ? first_ms : INT64_MAX;

    while (wait_until_ns(retention, (size_at_ms < age_at_ms ? size_at_ms : age_at_ms) * NS_PER_MS)) {
        /* What is too old first: it may be what is too much. */
        if (now_ms() >= age_at_ms)
            age_at_ms = look_at_age(retention);
        else
            size_at_ms = look_at_size(retention);
    }
    return NULL;
}

static void begin_sweep(struct sg_retention *retention, bool is_by_size)
{
    retention->is_by_size = is_by_size;
    retention->counted = (struct sg_trim_report){.runs = 0};
    retention->swept_since_ms = now_ms();
    retention->told_at_ms = retention->swept_since_ms;
}

static struct sg_trim_options trim_options(struct sg_retention *retention)
{
    return (struct sg_trim_options){.reader = retention->reader,
                                    .clock = retention->options.clock,
                                    .context = retention,
                                    .commit = commit,
                                    .measure = measure,
                                    .rest = rest};
}

/* Brings the totals up to what the sweep has done by now. */
static void add_totals(struct sg_retention *retention)
{
    const struct sg_trim_report *report = &retention->report;
    pthread_mutex_lock(&retention->lock);
    retention->totals.runs += report->runs - retention->counted.runs;
    retention->totals.events += report->events - retention->counted.events;
    retention->totals.rows += report->rows - retention->counted.rows;
    pthread_mutex_unlock(&retention->lock);
    retention->counted = *report;
}

/* Both return when to look again. */
static int64_t look_at_age(struct sg_retention *retention)
{
    const struct sg_retention_options *options = &retention->options;
    struct sg_trim_options trim = trim_options(retention);
    struct sg_error error = {.status = SG_OK};

    begin_sweep(retention, false);
    enum sg_status status = sg_trim_by_age(&trim, options->age_ms, &retention->report, &error);
    add_totals(retention);
    tell_end(retention, status, &error);

    int64_t interval_ms = options->age_ms / AGE_INTERVALS;
    if (interval_ms < AGE_INTERVAL_MIN_MS)
        interval_ms = AGE_INTERVAL_MIN_MS;
    if (interval_ms > AGE_INTERVAL_MAX_MS)
        interval_ms = AGE_INTERVAL_MAX_MS;
    if (options->look_interval_ms > 0)
        interval_ms = options->look_interval_ms;
    return now_ms() + interval_ms;
}

static int64_t look_at_size(struct sg_retention *retention)
{
    const struct sg_retention_options *options = &retention->options;
    struct sg_trim_options trim = trim_options(retention);
    struct sg_error error = {.status = SG_OK};

    begin_sweep(retention, true);
    enum sg_status status = sg_trim_by_size(&trim, options->bytes_max, &retention->report, &error);
    add_totals(retention);
    tell_end(retention, status, &error);
    if (options->look_interval_ms > 0)
        return now_ms() + options->look_interval_ms;
    if (status != SG_OK || retention->report.is_satisfied)
        return now_ms() + SIZE_INTERVAL_MS;

    if (retention->reminded_at_ms == 0 || now_ms() - retention->reminded_at_ms >= REMIND_MS) {
        retention->reminded_at_ms = now_ms();
        sg_log(SG_LOG_WARN,
               "the store holds more than --retention-bytes, and what is left is needed by live runs or younger than ten minutes",
               SG_KV_INT("limit", options->bytes_max));
    }
    return now_ms() + SIZE_RETRY_MS;
}

static void tell_end(struct sg_retention *retention, enum sg_status status, const struct sg_error *error)
{
    const struct sg_trim_report *report = &retention->report;

    if (status != SG_OK && status != SG_SHUTTING_DOWN)
        sg_log(SG_LOG_WARN, "history was not trimmed as far as it should be; tried again later", SG_KV_ERROR(error));
    if (report->rows == 0)
        return;
    sg_log(report->rows >= ROWS_WORTH_TELLING ? SG_LOG_INFO : SG_LOG_DEBUG, "history trimmed",
           SG_KV_TEXT("by", retention->is_by_size ? "size" : "age"), SG_KV_INT("runs", report->runs), SG_KV_INT("events", report->events),
           SG_KV_INT("rows", report->rows), SG_KV_INT("ms", now_ms() - retention->swept_since_ms));
}

static void tell_progress(struct sg_retention *retention)
{
    int64_t at_ms = now_ms();

    if (at_ms - retention->told_at_ms < PROGRESS_MS)
        return;
    retention->told_at_ms = at_ms;
    sg_log(SG_LOG_INFO, "trimming history", SG_KV_TEXT("by", retention->is_by_size ? "size" : "age"),
           SG_KV_INT("rows", retention->report.rows), SG_KV_INT("for_ms", at_ms - retention->swept_since_ms));
}

/* ---- handing over ---- */

/* Waits until the store thread has committed what was offered. False: stopping, and the store thread will not look at it. */
static bool wait_for_commit(struct sg_retention *retention)
{
    pthread_mutex_lock(&retention->lock);
    while (retention->handover != HANDOVER_DONE) {
        if (retention->is_stopping && retention->handover == HANDOVER_OFFERED)
            break;
        pthread_cond_wait(&retention->changed, &retention->lock);
    }
    bool is_done = retention->handover == HANDOVER_DONE;
    retention->handover = HANDOVER_NONE;
    pthread_mutex_unlock(&retention->lock);
    return is_done;
}

static enum sg_status commit(void *context, const struct sg_write *writes, size_t count, struct sg_error *error)
{
    struct sg_retention *retention = context;
    SG_CHECK(retention, RETENTION_MAGIC);

    pthread_mutex_lock(&retention->lock);
    assert(retention->handover == HANDOVER_NONE);
    retention->writes = writes;
    retention->write_count = count;
    retention->handover = HANDOVER_OFFERED;
    pthread_mutex_unlock(&retention->lock);
    sg_committer_request_chore(retention->committer);
    if (!wait_for_commit(retention))
        return sg_error_set(error, SG_SHUTTING_DOWN, "stopping");

    pthread_mutex_lock(&retention->lock);
    enum sg_status status = retention->commit_status;
    int64_t took_ns = retention->commit_ns;
    if (status != SG_OK && error != NULL)
        *error = retention->commit_error;
    retention->totals.commits += status == SG_OK;
    pthread_mutex_unlock(&retention->lock);
    if (status != SG_OK)
        return status;
    /* Without this batch, which is not in the report yet. */
    add_totals(retention);
    tell_progress(retention);
    /* That it is time to stop is found out by whoever waits next. */
    (void)wait_until_ns(retention, sg_monotonic_now_ns() + sg_retention_pause_ns(took_ns, retention->is_by_size));
    return SG_OK;
}

bool sg_retention_chore(struct sg_retention *retention, struct sg_store *store)
{
    SG_CHECK(retention, RETENTION_MAGIC);
    pthread_mutex_lock(&retention->lock);
    bool is_offered = retention->handover == HANDOVER_OFFERED;
    if (is_offered)
        retention->handover = HANDOVER_COMMITTING;
    pthread_mutex_unlock(&retention->lock);
    if (!is_offered)
        return false;

    int64_t since_ns = sg_monotonic_now_ns();
    struct sg_error error = {.status = SG_OK};
    enum sg_status status = sg_store_commit(store, retention->writes, retention->write_count, &error);

    pthread_mutex_lock(&retention->lock);
    retention->commit_status = status;
    retention->commit_error = error;
    retention->commit_ns = sg_monotonic_now_ns() - since_ns;
    retention->handover = HANDOVER_DONE;
    pthread_cond_broadcast(&retention->changed);
    pthread_mutex_unlock(&retention->lock);
    return true;
}

static enum sg_status measure(void *context, int64_t *bytes, struct sg_error *error)
{
    struct sg_retention *retention = context;
    return sg_store_used_bytes(retention->reader, bytes, error);
}

/* ---- pauses ---- */

int64_t sg_retention_pause_ns(int64_t took_ns, bool is_by_size)
{
    int64_t pauses = is_by_size ? PAUSES_BY_SIZE : PAUSES_BY_AGE;
    return took_ns < PAUSE_MAX_NS / pauses ? took_ns * pauses : PAUSE_MAX_NS;
}

static bool rest(void *context, int64_t took_ns)
{
    struct sg_retention *retention = context;
    return !wait_until_ns(retention, sg_monotonic_now_ns() + (took_ns < PAUSE_MAX_NS ? took_ns : PAUSE_MAX_NS));
}

/* False if it is time to stop. */
static bool wait_until_ns(struct sg_retention *retention, int64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000), .tv_nsec = until_ns % 1000000000};
    int code = 0;

    pthread_mutex_lock(&retention->lock);
    while (!retention->is_stopping && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&retention->changed, &retention->lock, &until);
    bool goes_on = !retention->is_stopping;
    pthread_mutex_unlock(&retention->lock);
    return goes_on;
}

static int64_t now_ms(void)
{
    return sg_monotonic_now_ns() / NS_PER_MS;
}
