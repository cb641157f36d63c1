/*
 * Trimming.
 *
 * The model. A sweep first reads the pins (pins.h), then walks runs by id and events by position, both from the oldest on and side by
 * side, so that what goes is always the oldest there is. A run goes when it ended before the cutoff, has no row in run_live and is not
 * pinned: attempts, memos, steps, and its own row last, so that a sweep that is cut short finds the rest the next time. An event goes
 * when it came before the cutoff, is not pinned and no run that is still there had been started by it. A lifecycle event goes by its own
 * age. By age the cutoff is the limit; by size it is ten minutes ago, and the sweep ends as soon as the store holds little enough.
 *
 * Why nothing goes that becomes needed between the reading of the pins and the delete. A finished run never lives again. A new run takes
 * its event either at acceptance, and then the event is younger than the newest one of the pins, or from a cursor; that cursor was there
 * when the pins were read (its event is pinned), or it was made since, for an event accepted since. What such a run emits when it ends
 * refers to that run and its events: pinned, or younger too. So the pins of one moment hold for the whole sweep, however long that
 * takes.
 *
 * The newest event always stays: numbering goes on behind it after a restart. Idempotency keys are rows of their own with a time of
 * their own (housekeeping.c): a duplicate is refused within its 24 hours, whether or not the event is still there. Functions, apps and
 * settings are not history.
 *
 * Everything that is deleted has been read by this thread just before. That is how a batch knows how many bytes it frees, and the store
 * thread, whose time is everybody's, finds the pages in the kernel's memory.
 *
 * What it never does: wait on behalf of the store thread, keep a snapshot open while it commits, or delete what lives, however old.
 */
#include "node/trim.h"

#include "base/check.h"
#include "node/pins.h"

#define PAGE_ROWS 64
/* An event waits for the runs created until this long after it, which are what refers to it. Later ones hold it until the next sweep. */
#define EVENT_LAG_MS (60 * 1000LL)
/* A sweep by size frees this part of the limit more than it must, so that the next one is not due at once. */
#define SIZE_SLACK_DIVISOR 32

struct batch {
    struct sg_arena arena; /* keys */
    struct sg_write writes[SG_LIMIT_TRIM_WRITES];
    size_t count;
    int64_t bytes;
    int64_t runs;
    int64_t events;
};

/* How far one of the two walks has come. */
struct walk {
    bool is_done;
    bool has_after;
    int64_t time_ms; /* wall clock; of the last row */
    struct sg_id run_id;
    int64_t position;
};

struct run_row {
    struct sg_id id;
    int64_t created_at_ms; /* these two: wall clock */
    int64_t ended_at_ms;
    int64_t bytes;
};
struct event_row {
    struct sg_id internal_id;
    int64_t position;
    int64_t received_at_ms;
    int64_t bytes;
};

struct sweep {
    const struct sg_trim_options *options;
    struct sg_trim_report *report;
    struct sg_error *error;
    struct sg_pins pins;
    int64_t cutoff_ms;    /* wall clock: what ended or came before may go */
    int64_t offset_ms;    /* engine clock minus wall clock; rows of runs are on the former */
    int64_t bytes_target; /* 0: by age */
    bool is_satisfied;
    struct walk runs;
    struct walk events;
    int64_t commit_ns; /* spent in commits, which do their own pausing */
    struct batch batch;
};

static enum sg_status sweep_main(struct sweep *sweep);
static enum sg_status has_old(struct sweep *sweep, bool *is_there);
static enum sg_status walk_runs(struct sweep *sweep);
static enum sg_status walk_events(struct sweep *sweep);
static enum sg_status delete_run(struct sweep *sweep, const struct run_row *row);
static enum sg_status delete_parts(struct sweep *sweep, enum sg_kind kind, struct sg_id run_id);
static enum sg_status is_live(struct sweep *sweep, struct sg_id run_id, bool *answer);
static enum sg_status is_referred_to(struct sweep *sweep, struct sg_id internal_id, bool *answer);
static bool is_full(const struct sweep *sweep);
static enum sg_status add_delete(struct sweep *sweep, enum sg_kind kind, const struct sg_value *key, int64_t bytes);
static enum sg_status make_room(struct sweep *sweep);
static enum sg_status flush(struct sweep *sweep);
static enum sg_status measure(struct sweep *sweep);
static enum sg_status rest(struct sweep *sweep, int64_t since_ns);
static bool is_stop_wanted(void *context);

/* ---- the two sweeps ---- */

static void sweep_init(struct sweep *sweep, const struct sg_trim_options *options, int64_t age_ms, struct sg_trim_report *report,
                       struct sg_error *error)
{
    if (age_ms < SG_LIMIT_TRIM_AGE_MIN_MS)
        age_ms = SG_LIMIT_TRIM_AGE_MIN_MS;
    *report = (struct sg_trim_report){.is_satisfied = true};
    *sweep = (struct sweep){.options = options, .report = report, .error = error};
    sweep->offset_ms = sg_clock_offset_ms(options->clock);
    sweep->cutoff_ms = sg_clock_now_ms(options->clock) - sweep->offset_ms - age_ms;
    sg_arena_init(&sweep->batch.arena);
}

static enum sg_status sweep_end(struct sweep *sweep, enum sg_status status)
{
    sg_arena_free(&sweep->batch.arena);
    sg_pins_free(&sweep->pins);
    if (status == SG_NO_MEMORY)
        sg_error_set(sweep->error, status, "out of memory while history was trimmed");
    return status;
}

enum sg_status sg_trim_by_age(const struct sg_trim_options *options, int64_t age_ms, struct sg_trim_report *report, struct sg_error *error)
{
    struct sweep sweep;
    bool has_work = false;

    sweep_init(&sweep, options, age_ms, report, error);
    enum sg_status status = has_old(&sweep, &has_work);
    if (status == SG_OK && has_work)
        status = sweep_main(&sweep);
    return sweep_end(&sweep, status);
}

enum sg_status sg_trim_by_size(const struct sg_trim_options *options, int64_t bytes_max, struct sg_trim_report *report,
                               struct sg_error *error)
{
    struct sweep sweep;

    assert(bytes_max > 0 && options->measure != NULL);
    sweep_init(&sweep, options, SG_LIMIT_TRIM_AGE_MIN_MS, report, error);
    sweep.bytes_target = bytes_max;
    enum sg_status status = measure(&sweep);
    if (status == SG_OK && !sweep.is_satisfied) {
        sweep.bytes_target = bytes_max - bytes_max / SIZE_SLACK_DIVISOR;
        status = sweep_main(&sweep);
        report->is_satisfied = sweep.is_satisfied;
    }
    return sweep_end(&sweep, status);
}

static enum sg_status sweep_main(struct sweep *sweep)
{
    enum sg_status status = sg_pins_read(&sweep->pins, sweep->options->reader, (struct sg_pins_stop){is_stop_wanted, sweep}, sweep->error);

    while (status == SG_OK && !sweep->is_satisfied && !(sweep->runs.is_done && sweep->events.is_done)) {
        int64_t since_ns = sg_monotonic_now_ns();
        sweep->commit_ns = 0;
        bool are_events_ahead = sweep->events.has_after && sweep->events.time_ms + EVENT_LAG_MS >= sweep->runs.time_ms;
        if (!sweep->runs.is_done && (sweep->events.is_done || are_events_ahead || !sweep->runs.has_after))
            status = walk_runs(sweep);
        else
            status = walk_events(sweep);
        if (status == SG_OK)
            status = rest(sweep, since_ns);
    }
    if (status == SG_OK)
        status = flush(sweep);
    return status;
}

static enum sg_status note_created(void *context, const struct sg_record *record)
{
    *(int64_t *)context = record->values[SG_RUN_CREATED_AT].number;
    return SG_OK;
}

static enum sg_status note_received(void *context, const struct sg_record *record)
{
    *(int64_t *)context = record->values[SG_EVENT_RECEIVED_AT].number;
    return SG_OK;
}

/* Whether anything is older than the cutoff at all: most looks end here. */
static enum sg_status has_old(struct sweep *sweep, bool *is_there)
{
    struct sg_store_reader *reader = sweep->options->reader;
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .limit = 1};
    int64_t created_at_ms = INT64_MAX;
    int64_t received_at_ms = INT64_MAX;

    enum sg_status status = sg_store_read(reader, &query, note_created, &created_at_ms, sweep->error);
    query.kind = SG_KIND_EVENT;
    if (status == SG_OK)
        status = sg_store_read(reader, &query, note_received, &received_at_ms, sweep->error);
    *is_there = created_at_ms - sweep->offset_ms < sweep->cutoff_ms || received_at_ms < sweep->cutoff_ms;
    return status;
}

/* ---- runs ---- */

struct run_page {
    struct run_row rows[PAGE_ROWS];
    size_t count;
    int64_t offset_ms;
};

static int64_t value_bytes(const struct sg_value *value)
{
    return value->is_null ? 0 : (int64_t)value->bytes.len;
}

static enum sg_status note_run(void *context, const struct sg_record *record)
{
    struct run_page *page = context;
    const struct sg_value *values = record->values;
    const struct sg_value *ended = &values[SG_RUN_ENDED_AT];
    /* A row that never ended and that no run_live stands for is a leftover: it is as old as its run. */
    const struct sg_value *last = ended->is_null ? &values[SG_RUN_CREATED_AT] : ended;
    page->rows[page->count++] = (struct run_row){
        .id = sg_value_get_id(&values[SG_RUN_ID]),
        .created_at_ms = values[SG_RUN_CREATED_AT].number - page->offset_ms,
        .ended_at_ms = last->number - page->offset_ms,
        .bytes = value_bytes(&values[SG_RUN_OUTPUT]) + value_bytes(&values[SG_RUN_ERROR]) + value_bytes(&values[SG_RUN_EVENTS]),
    };
    return SG_OK;
}

/*
 * The next page of runs, with which of them may go. In one snapshot: a run that has not ended and is not in run_live would otherwise be
 * one that ended between two reads.
 */
static enum sg_status read_runs(struct sweep *sweep, struct run_page *page, bool may_go[PAGE_ROWS])
{
    struct sg_store_reader *reader = sweep->options->reader;
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .limit = PAGE_ROWS};

    query.has_after = sweep->runs.has_after;
    query.after = sg_value_id(&sweep->runs.run_id);
    *page = (struct run_page){.offset_ms = sweep->offset_ms};
    enum sg_status status = sg_store_reader_begin(reader, sweep->error);
    if (status != SG_OK)
        return status;
    status = sg_store_read(reader, &query, note_run, page, sweep->error);
    for (size_t i = 0; i < page->count && status == SG_OK; i++) {
        const struct run_row *row = &page->rows[i];
        bool lives = false;
        may_go[i] = row->ended_at_ms < sweep->cutoff_ms && !sg_pins_has_run(&sweep->pins, row->id);
        if (may_go[i])
            status = is_live(sweep, row->id, &lives);
        may_go[i] = may_go[i] && !lives;
    }
    sg_store_reader_end(reader);
    return status;
}

static enum sg_status walk_runs(struct sweep *sweep)
{
    struct run_page page;
    bool may_go[PAGE_ROWS];

    enum sg_status status = read_runs(sweep, &page, may_go);
    for (size_t i = 0; i < page.count && status == SG_OK && !sweep->is_satisfied; i++) {
        const struct run_row *row = &page.rows[i];
        if (row->created_at_ms >= sweep->cutoff_ms) {
            sweep->runs.is_done = true;
            return SG_OK;
        }
        if (may_go[i])
            status = delete_run(sweep, row);
        sweep->runs.run_id = row->id;
        sweep->runs.time_ms = row->created_at_ms;
        sweep->runs.has_after = true;
    }
    if (page.count < PAGE_ROWS)
        sweep->runs.is_done = true;
    return status;
}

static enum sg_status delete_run(struct sweep *sweep, const struct run_row *row)
{
    static const enum sg_kind parts[] = {SG_KIND_ATTEMPT, SG_KIND_MEMO, SG_KIND_STEP};
    struct sg_value key = sg_value_id(&row->id);

    /* With half a batch of room most runs go as a whole, so that nobody sees one without its steps. */
    enum sg_status status = SG_OK;
    if (sweep->batch.count > SG_LIMIT_TRIM_WRITES / 2)
        status = flush(sweep);
    for (size_t i = 0; i < SG_ARRAY_LEN(parts) && status == SG_OK; i++)
        status = delete_parts(sweep, parts[i], row->id);
    if (status == SG_OK)
        status = add_delete(sweep, SG_KIND_RUN, &key, row->bytes);
    sweep->batch.runs += status == SG_OK;
    return status;
}

/* Puts a row of a run's parts on the batch; ends the read once that is full. */
static enum sg_status note_part(void *context, const struct sg_record *record)
{
    struct sweep *sweep = context;
    const struct sg_value *values = record->values;
    int64_t bytes = 0;

    if (is_full(sweep))
        return SG_QUEUE_FULL;
    for (int column = 2; column < sg_kind_info(record->kind)->column_count; column++)
        bytes += value_bytes(&values[column]);
    return add_delete(sweep, record->kind, values, bytes);
}

/* All rows of a kind whose key begins with the run's id. A full batch is committed, then what is left is read from the front. */
static enum sg_status delete_parts(struct sweep *sweep, enum sg_kind kind, struct sg_id run_id)
{
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .equal_count = 1, .equal = {sg_value_id(&run_id)}, .limit = INT64_MAX};
    enum sg_status status;

    do {
        status = make_room(sweep);
        if (status != SG_OK)
            return status;
        status = sg_store_read(sweep->options->reader, &query, note_part, sweep, sweep->error);
    } while (status == SG_QUEUE_FULL);
    return status;
}

static enum sg_status note_found(void *context, const struct sg_record *record)
{
    (void)record;
    *(bool *)context = true;
    return SG_OK;
}

static enum sg_status is_live(struct sweep *sweep, struct sg_id run_id, bool *answer)
{
    struct sg_query query = {
        .kind = SG_KIND_RUN_LIVE, .index = SG_INDEX_KEY, .equal_count = 1, .equal = {sg_value_id(&run_id)}, .limit = 1};
    *answer = false;
    return sg_store_read(sweep->options->reader, &query, note_found, answer, sweep->error);
}

/* ---- events ---- */

struct event_page {
    struct event_row rows[PAGE_ROWS];
    size_t count;
};

static enum sg_status note_event(void *context, const struct sg_record *record)
{
    struct event_page *page = context;
    const struct sg_value *values = record->values;
    page->rows[page->count++] = (struct event_row){
        .internal_id = sg_value_get_id(&values[SG_EVENT_INTERNAL_ID]),
        .position = values[SG_EVENT_POSITION].number,
        .received_at_ms = values[SG_EVENT_RECEIVED_AT].number,
        .bytes = value_bytes(&values[SG_EVENT_BODY]),
    };
    return SG_OK;
}

static enum sg_status consider_event(struct sweep *sweep, const struct event_row *row)
{
    struct sg_value key = sg_value_int(row->position);
    bool is_needed = sg_pins_has_event(&sweep->pins, row->position);
    enum sg_status status = SG_OK;

    if (!is_needed)
        status = is_referred_to(sweep, row->internal_id, &is_needed);
    if (status != SG_OK || is_needed)
        return status;
    status = make_room(sweep);
    if (status == SG_OK)
        status = add_delete(sweep, SG_KIND_EVENT, &key, row->bytes);
    sweep->batch.events += status == SG_OK;
    return status;
}

/* The next page of events, as far as the runs have been walked. */
static enum sg_status walk_events(struct sweep *sweep)
{
    struct event_page page = {.count = 0};
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .limit = PAGE_ROWS, .has_before = true};

    query.before = sg_value_int(sweep->pins.newest);
    query.has_after = sweep->events.has_after;
    query.after = sg_value_int(sweep->events.position);
    /* Runs that are on the batch only still hold their events. */
    enum sg_status status = sweep->batch.runs > 0 ? flush(sweep) : SG_OK;
    if (status == SG_OK)
        status = sg_store_read(sweep->options->reader, &query, note_event, &page, sweep->error);
    for (size_t i = 0; i < page.count && status == SG_OK && !sweep->is_satisfied; i++) {
        const struct event_row *row = &page.rows[i];
        if (row->received_at_ms >= sweep->cutoff_ms) {
            sweep->events.is_done = true;
            return SG_OK;
        }
        sweep->events.time_ms = row->received_at_ms;
        sweep->events.has_after = true;
        if (!sweep->runs.is_done && row->received_at_ms + EVENT_LAG_MS >= sweep->runs.time_ms)
            return SG_OK; /* the runs first, then this row again */
        status = consider_event(sweep, row);
        sweep->events.position = row->position;
    }
    if (page.count < PAGE_ROWS)
        sweep->events.is_done = true;
    return status;
}

static enum sg_status is_referred_to(struct sweep *sweep, struct sg_id internal_id, bool *answer)
{
    struct sg_query query = {
        .kind = SG_KIND_RUN, .index = SG_INDEX_RUN_EVENT, .equal_count = 1, .equal = {sg_value_id(&internal_id)}, .limit = 1};
    *answer = false;
    return sg_store_read(sweep->options->reader, &query, note_found, answer, sweep->error);
}

/* ---- batches ---- */

static bool is_full(const struct sweep *sweep)
{
    return sweep->batch.count == SG_LIMIT_TRIM_WRITES || sweep->batch.bytes >= SG_LIMIT_TRIM_BYTES;
}

/* There must be room. Copies the key. */
static enum sg_status add_delete(struct sweep *sweep, enum sg_kind kind, const struct sg_value *key, int64_t bytes)
{
    struct batch *batch = &sweep->batch;
    struct sg_write *write = &batch->writes[batch->count];

    assert(batch->count < SG_LIMIT_TRIM_WRITES);
    *write = (struct sg_write){.op = SG_WRITE_DELETE, .record = {.kind = kind}};
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        write->record.values[column] = sg_value_null();
    for (int column = 0; column < sg_kind_info(kind)->key_columns; column++) {
        struct sg_value *value = &write->record.values[column];
        *value = key[column];
        if (value->bytes.ptr == NULL)
            continue;
        value->bytes = sg_arena_copy(&batch->arena, value->bytes);
        if (value->bytes.ptr == NULL)
            return SG_NO_MEMORY;
    }
    batch->count++;
    batch->bytes += bytes;
    return SG_OK;
}

static enum sg_status make_room(struct sweep *sweep)
{
    return is_full(sweep) ? flush(sweep) : SG_OK;
}

/* Commits the batch, then looks whether that was enough. */
static enum sg_status flush(struct sweep *sweep)
{
    struct batch *batch = &sweep->batch;
    const struct sg_trim_options *options = sweep->options;

    if (batch->count == 0)
        return SG_OK;
    int64_t since_ns = sg_monotonic_now_ns();
    enum sg_status status = options->commit(options->context, batch->writes, batch->count, sweep->error);
    sweep->commit_ns += sg_monotonic_now_ns() - since_ns;
    if (status != SG_OK)
        return status;
    sweep->report->rows += (int64_t)batch->count;
    sweep->report->runs += batch->runs;
    sweep->report->events += batch->events;
    batch->count = 0;
    batch->bytes = 0;
    batch->runs = 0;
    batch->events = 0;
    sg_arena_reset(&batch->arena);
    return sweep->bytes_target > 0 ? measure(sweep) : SG_OK;
}

static enum sg_status measure(struct sweep *sweep)
{
    int64_t bytes = 0;
    enum sg_status status = sweep->options->measure(sweep->options->context, &bytes, sweep->error);
    if (status == SG_OK)
        sweep->is_satisfied = bytes <= sweep->bytes_target;
    return status;
}

/* ---- pauses ---- */

static enum sg_status rest(struct sweep *sweep, int64_t since_ns)
{
    const struct sg_trim_options *options = sweep->options;
    if (options->rest == NULL || !options->rest(options->context, sg_monotonic_now_ns() - since_ns - sweep->commit_ns))
        return SG_OK;
    return sg_error_set(sweep->error, SG_SHUTTING_DOWN, "stopping");
}

/* During the reading of the pins, which does not pause: it keeps a snapshot. */
static bool is_stop_wanted(void *context)
{
    struct sweep *sweep = context;
    const struct sg_trim_options *options = sweep->options;
    return options->rest != NULL && options->rest(options->context, 0);
}
