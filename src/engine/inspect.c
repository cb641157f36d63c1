/*
 * Looking into the engine: counts, invariants, and a text of its state for the simulator.
 *
 * The dump holds only what the store holds too, so an engine that has lived for long and one that was just built from the store give the same text
 * (design: invariant 6). A call in flight is a due job in it, because that is what a crash would make of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/cancellation.h"
#include "engine/cursor.h"
#include "engine/fetch.h"
#include "engine/gate.h"
#include "engine/invoke.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"

/* base/map.h and base/heap.h promise both. */
#define MAP_SLOT_BYTES 16u
#define HEAP_SLOT_BYTES 16u

static int64_t pool_bytes(const struct sg_pool *pool)
{
    return (int64_t)(pool->count * pool->thing_bytes);
}

void sg_engine_stats(const struct sg_engine *engine, struct sg_engine_stats *stats)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    *stats = (struct sg_engine_stats){
        .runs = (int64_t)engine->runs.count,
        .jobs = engine->due.count + engine->lined,
        .calls = engine->calls,
        .fetches = (int64_t)engine->fetches.count,
        .lined = engine->lined,
        .hydrated = engine->hydrated,
        .apps = (int64_t)engine->apps.count,
        .functions = (int64_t)engine->functions.count,
        .pauses = (int64_t)engine->pause_pool.count,
        .cursors = engine->cursor_count,
        .stray = engine->stray,
        .damaged = engine->damaged,
        .last_position = engine->next_position - 1,
        .next_due_ms = sg_heap_first(&engine->due) != NULL ? sg_heap_first(&engine->due)->key_ms : INT64_MAX,
        .run_bytes = pool_bytes(&engine->run_pool),
        .index_bytes = (int64_t)(engine->runs.capacity * MAP_SLOT_BYTES + engine->due.capacity * HEAP_SLOT_BYTES),
    };
    for (size_t index = 0; index < SG_ARRAY_LEN(engine->job_pools); index++)
        stats->job_bytes += pool_bytes(&engine->job_pools[index]);
    for (const struct sg_list_node *node = engine->cancelling.first; node != NULL; node = node->next)
        stats->cancellations++;
}

int64_t sg_engine_count_due(const struct sg_engine *engine, int64_t now_ms)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    return (int64_t)sg_heap_count_until(&engine->due, now_ms) + engine->lined;
}

static bool job_check(const struct sg_run *run, const struct sg_job *job, struct sg_error *error)
{
    bool is_waiting = sg_heap_has(&job->due);
    bool is_ended = (run->flags & SG_RUN_IS_ENDED) != 0;
    if (job->run != run || job->is_new)
        return sg_error_set(error, SG_CONFLICT, "job %lld is not settled", (long long)sg_job_id(job)) == SG_OK;
    if (is_ended ? (is_waiting || job->is_started) : (int)is_waiting + job->is_started + job->is_deferred != 1)
        return sg_error_set(error, SG_CONFLICT, "job %lld is waiting %d, started %d, deferred %d; its run has ended: %d",
                            (long long)sg_job_id(job), is_waiting, job->is_started, job->is_deferred, is_ended) == SG_OK;
    if (job->has_slot != (job->is_started || job->is_deferred))
        return sg_error_set(error, SG_CONFLICT, "job %lld has a slot: %d", (long long)sg_job_id(job), job->has_slot) == SG_OK;
    if (job->is_deferred && run->hold == SG_HOLD_NONE && !job->is_asked)
        return sg_error_set(error, SG_CONFLICT, "job %lld is deferred, but its run is not held", (long long)sg_job_id(job)) == SG_OK;
    return true;
}

static bool run_check(const struct sg_engine *engine, const struct sg_run *run, int64_t *calls, size_t *fetching, struct sg_error *error)
{
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(run->id, id);
    int64_t run_calls = 0;
    uint32_t asked = 0;
    for (const struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job)) {
        if (!job_check(run, job, error) || !sg_fetch_check(engine, job, fetching, error))
            return false;
        run_calls += job->is_started;
        asked += job->is_asked;
    }
    *calls += run_calls;
    if (!sg_job_moves(run) && !sg_cursor_holds(engine, run))
        return sg_error_set(error, SG_CONFLICT, "nothing will move run %s", id) == SG_OK; /* invariant 5 */
    if (run_calls != run->calls)
        return sg_error_set(error, SG_CONFLICT, "run %s counts %d calls, its jobs %lld", id, run->calls, (long long)run_calls) == SG_OK;
    if ((run->flags & SG_RUN_IS_ENDED) == 0 && asked != (run->hot != NULL ? run->hot->asked : 0))
        return sg_error_set(error, SG_CONFLICT, "run %s counts %u events that are being loaded, its jobs %u", id,
                            run->hot != NULL ? run->hot->asked : 0, asked) == SG_OK;
    if (run->hold == SG_HOLD_NONE && run->hot != NULL && run->hot->queue_first != NULL)
        return sg_error_set(error, SG_CONFLICT, "run %s has messages set aside, but is not held", id) == SG_OK;
    if (run->is_live_dirty || run->is_row_dirty || (run->hot != NULL && run->hot->dirty_steps != NULL))
        return sg_error_set(error, SG_CONFLICT, "run %s has unwritten changes", id) == SG_OK;
    if (!sg_run_is_hydrated(run))
        return true;
    uint32_t pending = 0;
    uint32_t memos = 0;
    size_t cursor = 0;
    const struct sg_step *step;
    while ((step = sg_map_next(&run->hot->steps, &cursor)) != NULL) {
        pending += sg_step_is_pending(run, step);
        memos += (step->flags & SG_STEP_HAS_MEMO) != 0;
    }
    if (run->hold != SG_HOLD_APPLYING && pending != run->pending_count)
        return sg_error_set(error, SG_CONFLICT, "run %s counts %u pending steps, its steps %u", id, run->pending_count, pending) == SG_OK;
    if (memos != run->next_seq)
        return sg_error_set(error, SG_CONFLICT, "run %s counts %u memos, its steps %u", id, run->next_seq, memos) == SG_OK;
    return true;
}

bool sg_engine_check(const struct sg_engine *engine, struct sg_error *error)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    int64_t calls = 0;
    size_t fetching = 0;
    size_t invoked = 0;
    size_t cursor = 0;
    const struct sg_run *run;
    while ((run = sg_map_next(&engine->runs, &cursor)) != NULL) {
        if (!run_check(engine, run, &calls, &fetching, error))
            return false;
        invoked += (run->flags & SG_RUN_IS_INVOKED) != 0;
    }
    if (engine->invocations.count != invoked || engine->invokers.count > invoked)
        return sg_error_set(error, SG_CONFLICT, "%zu runs were invoked, %zu invocations by %zu invokers are remembered", invoked,
                            engine->invocations.count, engine->invokers.count) == SG_OK;
    if (fetching != engine->fetching.count)
        return sg_error_set(error, SG_CONFLICT, "%zu jobs are said to wait for requests, %zu do", engine->fetching.count, fetching) ==
               SG_OK;
    int64_t slots = 0;
    cursor = 0;
    const struct sg_app *app;
    while ((app = sg_map_next(&engine->apps, &cursor)) != NULL) {
        slots -= app->under_way;
        if (!sg_gate_check(engine, app))
            return sg_error_set(error, SG_CONFLICT, "app %.*s has %d jobs under way and %u in line", SG_FMT(app->name), app->under_way,
                                app->line.count) == SG_OK;
    }
    cursor = 0;
    while ((run = sg_map_next(&engine->runs, &cursor)) != NULL)
        for (const struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
            slots += job->has_slot;
    if (slots != 0)
        return sg_error_set(error, SG_CONFLICT, "%lld more jobs are under way than the apps count", (long long)slots) == SG_OK;
    if (calls != engine->calls)
        return sg_error_set(error, SG_CONFLICT, "the engine counts %lld calls, its runs %lld", (long long)engine->calls,
                            (long long)calls) == SG_OK;
    return true;
}

/* ---- dump ---- */

static int run_cmp(const void *left, const void *right)
{
    const struct sg_run *const *a = left;
    const struct sg_run *const *b = right;
    return sg_id_cmp((*a)->id, (*b)->id);
}

static int function_cmp(const void *left, const void *right)
{
    const struct sg_function *const *a = left;
    const struct sg_function *const *b = right;
    return sg_id_cmp((*a)->id, (*b)->id);
}

static int job_cmp(const void *left, const void *right)
{
    const struct sg_job *const *a = left;
    const struct sg_job *const *b = right;
    return (sg_job_id(*a) > sg_job_id(*b)) - (sg_job_id(*a) < sg_job_id(*b));
}

static void jobs_dump(const struct sg_run *run, struct sg_buf *out)
{
    size_t count = 0;
    for (const struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
        count++;
    const struct sg_job **jobs = sg_malloc((count + 1) * sizeof(*jobs));
    if (jobs == NULL) {
        out->is_failed = true;
        return;
    }
    count = 0;
    for (const struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job))
        jobs[count++] = job;
    qsort(jobs, count, sizeof(*jobs), job_cmp);
    for (size_t index = 0; index < count; index++) {
        const struct sg_job *job = jobs[index];
        struct sg_job_text cause_room;
        struct sg_job_text target_room;
        struct sg_str cause = sg_job_cause(job, &cause_room);
        struct sg_str target = sg_job_target(job, &target_room);
        sg_buf_printf(out, "  job %lld kind %d flags %d attempt %d generation %d due %lld snapshot %lld cause '%.*s' target '%.*s'\n",
                      (long long)sg_job_id(job), job->kind, job->flags, job->attempt, job->generation, (long long)job->due.key_ms,
                      (long long)job->snapshot, SG_FMT(cause), SG_FMT(target));
    }
    sg_free(jobs);
}

static int64_t pause_rank(const struct sg_pause *pause)
{
    return pause->job != NULL ? sg_job_id(pause->job) : pause->index - 256;
}

static int pause_cmp(const void *left, const void *right)
{
    const struct sg_pause *const *a = left;
    const struct sg_pause *const *b = right;
    return (pause_rank(*a) > pause_rank(*b)) - (pause_rank(*a) < pause_rank(*b));
}

static void pauses_dump(const struct sg_run *run, struct sg_buf *out)
{
    size_t count = 0;
    for (const struct sg_pause *pause = run->pauses; pause != NULL; pause = pause->next)
        count++;
    const struct sg_pause **pauses = sg_malloc((count + 1) * sizeof(*pauses));
    if (pauses == NULL) {
        out->is_failed = true;
        return;
    }
    count = 0;
    for (const struct sg_pause *pause = run->pauses; pause != NULL; pause = pause->next)
        pauses[count++] = pause;
    qsort(pauses, count, sizeof(*pauses), pause_cmp);
    for (size_t index = 0; index < count; index++) {
        const struct sg_pause *pause = pauses[index];
        bool is_cancel = pause->kind == SG_PAUSE_CANCEL;
        bool has_value = (pause->flags & SG_PAUSE_HAS_VALUE) != 0;
        struct sg_str name = pause->topic != NULL                                         ? pause->topic->name
                             : pause->kind == SG_PAUSE_SIGNAL && pause->at.signal != NULL ? pause->at.signal->name
                                                                                          : SG_STR_NULL;
        sg_buf_printf(out, "  pause of job %lld kind %d flags %d position %lld expires %lld found %d name '%.*s' value '%.*s'\n",
                      (long long)pause_rank(pause), pause->kind, pause->flags, (long long)pause->position,
                      is_cancel ? (long long)pause->as.expires_at_ms : 0, pause->topic != NULL && pause->at.waiter != NULL, SG_FMT(name),
                      has_value ? (int)pause->as.value->len : 0, has_value ? pause->as.value->bytes : "");
    }
    sg_free(pauses);
}

static void run_dump(const struct sg_engine *engine, const struct sg_run *run, struct sg_buf *out)
{
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(run->id, id);
    sg_buf_printf(out,
                  "run %s function %.*s v%d created %lld started %lld seq %u bytes %lld version %d flags %d pending %u group %u events", id,
                  SG_FMT(run->function->slug), run->function_version, (long long)run->created_at_ms, (long long)run->started_at_ms,
                  run->next_seq, (long long)run->state_bytes, run->request_version, run->flags, run->pending_count, run->group_ordinal);
    for (uint32_t index = 0; index < run->event_count; index++)
        sg_buf_printf(out, " %lld", (long long)sg_run_positions(run)[index]);
    struct sg_str invoker = sg_invoke_of(engine, run);
    sg_buf_printf(out, " invoker '%.*s'\n", SG_FMT(invoker));
    jobs_dump(run, out);
    pauses_dump(run, out);
}

void sg_engine_dump(const struct sg_engine *engine, struct sg_buf *out)
{
    SG_CHECK(engine, SG_ENGINE_MAGIC);
    size_t most = engine->runs.count > engine->functions.count ? engine->runs.count : engine->functions.count;
    void **sorted = sg_malloc((most + 1) * sizeof(*sorted));
    if (sorted == NULL) {
        out->is_failed = true;
        return;
    }
    size_t count = 0;
    size_t cursor = 0;
    void *entry;
    while ((entry = sg_map_next(&engine->functions, &cursor)) != NULL)
        sorted[count++] = entry;
    qsort(sorted, count, sizeof(*sorted), function_cmp);
    for (size_t index = 0; index < count; index++) {
        const struct sg_function *function = sorted[index];
        sg_buf_printf(out, "function %.*s v%lld archived %d position %lld retries %d url %.*s\n", SG_FMT(function->slug),
                      (long long)function->version, function->is_archived, (long long)function->position, function->retries,
                      SG_FMT(function->url));
    }
    count = 0;
    cursor = 0;
    while ((entry = sg_map_next(&engine->runs, &cursor)) != NULL)
        sorted[count++] = entry;
    qsort(sorted, count, sizeof(*sorted), run_cmp);
    for (size_t index = 0; index < count; index++)
        run_dump(engine, sorted[index], out);
    for (const struct sg_list_node *node = engine->cursors.first; node != NULL; node = node->next) {
        const struct sg_cursor *item = SG_CONTAINER_OF(node, struct sg_cursor, in_engine);
        char after[SG_UUID_LEN + 1];
        sg_uuid_format(item->after, after);
        struct sg_str name = item->topic != NULL ? item->topic->name : SG_STR_NULL;
        sg_buf_printf(out, "cursor %lld kind %d subject %lld after %s next %zu name '%.*s'\n", (long long)item->id, item->kind,
                      (long long)item->subject, after, item->next_op, SG_FMT(name));
    }
    sg_cancellation_dump(engine, out);
    sg_free(sorted);
}
