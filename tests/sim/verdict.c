/*
 * The verdict: what can only be judged when a world has come to rest.
 *
 * Every acknowledged event is in the log and has led to exactly the runs that it should have; every run has ended once, in the state that its function
 * leads to, and its lifecycle events have been sent once; nothing live is left.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"
#include "store/memory.h"

#define DAY_MS (24LL * 3600 * 1000)

/* An event as it was sent, and where it is in the log. */
struct sent {
    struct sg_id id; /* internal */
    struct world_event *event;
    int64_t position; /* 0: not in the log */
};

/* Runs of a function for an event, or for an event's id. */
struct tally {
    struct sg_id id;
    int runs;
};

struct judge {
    struct world *world;
    struct sg_map sent;
    struct sg_map tallies;
    int64_t positions[WORLD_FUNCTIONS_MAX]; /* from which each function consumes */
    int64_t failed[WORLD_FUNCTIONS_MAX];    /* runs of each function that failed */
    int64_t runs[WORLD_FUNCTIONS_MAX];
    int64_t total;
};

static int function_index(const struct world *world, struct sg_id id)
{
    for (int index = 0; index < world->function_count; index++)
        if (sg_id_eq(world->functions[index].id, id))
            return index;
    return -1;
}

static struct tally *tally_of(struct judge *judge, struct sg_id id)
{
    struct tally *tally = sg_map_get_id(&judge->tallies, id);
    if (tally != NULL)
        return tally;
    tally = calloc(1, sizeof(*tally));
    rig_need(tally != NULL, "no memory for a tally");
    tally->id = id;
    rig_need(sg_map_add(&judge->tallies, tally) == SG_OK, "no memory for a tally");
    return tally;
}

static struct sg_id mix(struct sg_id a, struct sg_id b)
{
    for (size_t index = 0; index < sizeof(a.bytes); index++)
        a.bytes[index] = (uint8_t)(a.bytes[index] * 31u + b.bytes[index]);
    return a;
}

/* What the runs of a function for this event are counted under: its id if it has one, else itself. */
static struct sg_id key_of(struct sg_id function_id, const struct world_event *event, struct sg_id internal_id)
{
    return mix(function_id, event->id[0] != '\0' ? rig_id("key", sg_str_from(event->id)) : internal_id);
}

static bool pattern_covers(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);
    if (len > 0 && pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static bool is_listening(const struct scenario_function *spec, const struct world_event *event)
{
    if (spec->event == NULL || event->n <= (spec->above > 0 ? spec->above : -1))
        return false;
    char patterns[128];
    snprintf(patterns, sizeof(patterns), "%s", spec->event);
    char *rest = NULL;
    for (char *pattern = strtok_r(patterns, " ", &rest); pattern != NULL; pattern = strtok_r(NULL, " ", &rest))
        if (pattern_covers(pattern, event->name))
            return true;
    return false;
}

/* ---- reading the store ---- */

static enum sg_status event_visit(void *context, const struct sg_record *record)
{
    struct judge *judge = context;
    struct sent *sent = sg_map_get_id(&judge->sent, sg_value_get_id(&record->values[SG_EVENT_INTERNAL_ID]));
    if (sent == NULL)
        return SG_OK;
    if (sent->position != 0)
        oracle_break(&judge->world->oracle, "an event is in the log twice");
    sent->position = record->values[SG_EVENT_POSITION].number;
    return SG_OK;
}

static enum sg_status function_visit(void *context, const struct sg_record *record)
{
    struct judge *judge = context;
    int index = function_index(judge->world, sg_value_get_id(&record->values[SG_FUNCTION_ID]));
    if (index >= 0)
        judge->positions[index] = record->values[SG_FUNCTION_POSITION].number;
    return SG_OK;
}

/* `n` of the event that started the run; -1: that event has none. */
static int event_number(const struct judge *judge, const struct sg_value *values)
{
    const struct sent *sent = sg_map_get_id(&judge->sent, sg_value_get_id(&values[SG_RUN_EVENT_ID]));
    return sent != NULL ? sent->event->n : -1;
}

/* Whether somebody asked for the end of this run by a bulk cancellation. */
static bool is_swept(const struct judge *judge, const struct world_function *function, const struct sg_value *values)
{
    const struct world *world = judge->world;
    for (int index = 0; index < world->sweep_count; index++) {
        const struct world_sweep *sweep = &world->sweeps[index];
        if (!sweep->is_dry_run && &world->functions[sweep->function] == function && values[SG_RUN_CREATED_AT].number <= sweep->before_ms &&
            (sweep->above < 0 || event_number(judge, values) > sweep->above))
            return true;
    }
    return false;
}

/* Whether a deadline of the run had passed at its end. */
static bool is_overdue(const struct scenario_function *spec, const struct sg_value *values)
{
    bool is_started = !values[SG_RUN_STARTED_AT].is_null;
    int64_t timeout_ms = (is_started ? spec->finish_s : spec->start_s) * 1000LL;
    int64_t from_ms = values[is_started ? SG_RUN_STARTED_AT : SG_RUN_CREATED_AT].number;
    return timeout_ms > 0 && values[SG_RUN_ENDED_AT].number >= from_ms + timeout_ms;
}

static void timeouts_judge(struct judge *judge, const struct world_function *function, const struct sg_value *values)
{
    int64_t start_ms = function->spec->start_s * 1000LL;
    if (start_ms > 0 && (judge->world->scenario->faults & FAULT_REGISTER) == 0 && !values[SG_RUN_STARTED_AT].is_null &&
        values[SG_RUN_STARTED_AT].number > values[SG_RUN_CREATED_AT].number + start_ms)
        oracle_break(&judge->world->oracle, "a run of %s was started after its start timeout", function->slug);
}

static void status_judge(struct judge *judge, const struct oracle_run *run, const struct world_function *function,
                         const struct sg_value *values)
{
    int64_t status = values[SG_RUN_STATUS].number;
    struct oracle *oracle = &judge->world->oracle;
    const char *slug = function->slug;
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(run->id, id);
    if (status == SG_RUN_CANCELLED) {
        if (!run->is_cancel_asked && !is_overdue(function->spec, values) && !is_swept(judge, function, values))
            oracle_break(oracle, "a run of %s was cancelled by nobody", slug);
        return;
    }
    if (run->is_cancel_confirmed)
        oracle_break(oracle, "a cancel of a run of %s was confirmed, and it ended otherwise", slug);
    if (run->is_excused || function->spec->expected == EXPECT_ANY)
        return;
    if (status != (function->spec->expected == EXPECT_COMPLETED ? SG_RUN_COMPLETED : SG_RUN_FAILED))
        oracle_break(oracle, "run %s of %s ended as %s", id, slug, sg_run_status_name((enum sg_run_status)status));
}

/* ---- bulk cancellations ---- */

/* One cancellation, held against all runs. */
struct sweep_claim {
    struct judge *judge;
    const struct sg_value *wanted;
    int64_t ended_at_ms; /* INT64_MAX: it did not get to its end */
    int above;
    int64_t cancelled; /* runs that name it as their reason */
    struct sg_str reason;
};

static enum sg_status claim_visit(void *context, const struct sg_record *record)
{
    struct sweep_claim *claim = context;
    const struct sg_value *values = record->values;
    claim->cancelled += !values[SG_RUN_REASON].is_null && sg_str_eq(values[SG_RUN_REASON].bytes, claim->reason);
    struct sg_id id = sg_value_get_id(&values[SG_RUN_ID]);
    bool is_meant = sg_id_eq(sg_value_get_id(&values[SG_RUN_FUNCTION_ID]), sg_value_get_id(&claim->wanted[SG_CANCELLATION_FUNCTION_ID])) &&
                    sg_ulid_time_ms(id) <= claim->wanted[SG_CANCELLATION_STARTED_BEFORE].number &&
                    sg_id_cmp(id, sg_value_get_id(&claim->wanted[SG_CANCELLATION_ID])) < 0 &&
                    (claim->above < 0 || event_number(claim->judge, values) > claim->above);
    if (is_meant && claim->wanted[SG_CANCELLATION_IS_DRY_RUN].number == 0 && values[SG_RUN_ENDED_AT].number > claim->ended_at_ms)
        oracle_break(&claim->judge->world->oracle, "a bulk cancellation missed a run");
    return SG_OK;
}

static enum sg_status sweep_visit(void *context, const struct sg_record *record)
{
    struct judge *judge = context;
    const struct sg_value *wanted = record->values;
    struct oracle *oracle = &judge->world->oracle;
    struct sweep_claim claim = {.judge = judge, .wanted = wanted, .above = -1, .ended_at_ms = INT64_MAX};
    char reason[64] = "bulk cancellation ";
    sg_ulid_format(sg_value_get_id(&wanted[SG_CANCELLATION_ID]), reason + strlen(reason));
    claim.reason = sg_str_from(reason);
    if (!wanted[SG_CANCELLATION_EXPRESSION].is_null)
        claim.above = wanted[SG_CANCELLATION_EXPRESSION].bytes.ptr[strlen("event.data.n > ")] - '0';
    if (wanted[SG_CANCELLATION_ENDED_AT].is_null)
        oracle_break(oracle, "a bulk cancellation has not ended");
    else if (wanted[SG_CANCELLATION_ERROR].is_null)
        claim.ended_at_ms = wanted[SG_CANCELLATION_ENDED_AT].number;
    struct sg_error error = {0};
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .limit = 10000000};
    struct sg_store_reader *reader = NULL; /* a read of its own: we are within one */
    rig_need(sg_store_reader_open(judge->world->store, &reader, &error) == SG_OK, error.message);
    rig_need(sg_store_read(reader, &query, claim_visit, &claim, &error) == SG_OK, error.message);
    sg_store_reader_close(reader);
    bool is_dry_run = wanted[SG_CANCELLATION_IS_DRY_RUN].number != 0;
    if (claim.cancelled != (is_dry_run ? 0 : wanted[SG_CANCELLATION_MATCHED].number))
        oracle_break(oracle, "a bulk cancellation counts %lld runs, and %lld name it", (long long)wanted[SG_CANCELLATION_MATCHED].number,
                     (long long)claim.cancelled);
    return SG_OK;
}

/* ---- runs ---- */

static enum sg_status run_visit(void *context, const struct sg_record *record)
{
    struct judge *judge = context;
    struct oracle *oracle = &judge->world->oracle;
    const struct sg_value *values = record->values;
    struct sg_id function_id = sg_value_get_id(&values[SG_RUN_FUNCTION_ID]);
    int index = function_index(judge->world, function_id);
    struct oracle_run *run = oracle_run(oracle, sg_value_get_id(&values[SG_RUN_ID]));
    int64_t status = values[SG_RUN_STATUS].number;
    if (index < 0) {
        oracle_break(oracle, "a run of an unknown function");
        return SG_OK;
    }
    const struct world_function *function = &judge->world->functions[index];
    bool is_silent = function->spec->failure_of != NULL;
    judge->total++;
    judge->runs[index]++;
    judge->failed[index] += status == SG_RUN_FAILED;
    if (values[SG_RUN_ENDED_AT].is_null || run->ends != 1)
        oracle_break(oracle, "a run of %s has ended %d times", function->slug, run->ends);
    if (run->finished != !is_silent || run->failed != (!is_silent && status == SG_RUN_FAILED) ||
        run->cancelled != (!is_silent && status == SG_RUN_CANCELLED))
        oracle_break(oracle, "a run of %s ended as %s and sent %d finished, %d failed, %d cancelled", function->slug,
                     sg_run_status_name((enum sg_run_status)status), run->finished, run->failed, run->cancelled);
    status_judge(judge, run, function, values);
    timeouts_judge(judge, function, values);
    struct sg_id internal_id = sg_value_get_id(&values[SG_RUN_EVENT_ID]);
    const struct sent *sent = sg_map_get_id(&judge->sent, internal_id);
    if (sent != NULL)
        tally_of(judge, key_of(function_id, sent->event, internal_id))->runs++;
    else if (!is_silent)
        oracle_break(oracle, "a run of %s was started by no event", function->slug);
    return SG_OK;
}

static void read_all(struct judge *judge, enum sg_kind kind, sg_record_visit visit)
{
    struct sg_error error = {0};
    struct sg_query query = {.kind = kind, .index = SG_INDEX_KEY, .limit = 10000000};
    rig_need(sg_store_read(judge->world->reader, &query, visit, judge, &error) == SG_OK, error.message);
}

/* ---- claims ---- */

static void sent_collect(struct judge *judge)
{
    struct world *world = judge->world;
    for (int number = 0; number < world->scenario->requests; number++)
        for (int index = 0; index < world->requests[number].event_count; index++) {
            struct world_event *event = &world->requests[number].events[index];
            for (int send = 0; send < event->sent; send++) {
                struct sent *sent = calloc(1, sizeof(*sent));
                rig_need(sent != NULL, "no memory for events");
                sent->id = event->internal_ids[send];
                sent->event = event;
                rig_need(sg_map_add(&judge->sent, sent) == SG_OK, "no memory for events");
            }
        }
}

static void event_judge(struct judge *judge, const struct world_event *event, int send)
{
    struct world *world = judge->world;
    const struct sent *sent = sg_map_get_id(&judge->sent, event->internal_ids[send]);
    if (event->is_confirmed[send] && sent->position == 0)
        oracle_break(&world->oracle, "an acknowledged event of %s is not in the log", event->name);
    if (sent->position == 0)
        return;
    for (int index = 0; index < world->function_count; index++) {
        const struct world_function *function = &world->functions[index];
        if (function->was_archived || !is_listening(function->spec, event))
            continue;
        bool is_due = function->is_served && judge->positions[index] > 0 ? sent->position > judge->positions[index] : function->is_served;
        int runs = tally_of(judge, key_of(function->id, event, sent->id))->runs;
        bool is_within_day =
            world->scenario->has_shared_ids ? world->now_ms - 1767225600000LL < DAY_MS : event->last_at_ms - event->sent_at_ms < DAY_MS;
        if (is_due && runs == 0)
            oracle_break(&world->oracle, "an event of %s at %lld has no run of %s", event->name, (long long)sent->position, function->slug);
        if (runs > 1 && (event->id[0] == '\0' || is_within_day))
            oracle_break(&world->oracle, "an event of %s with id '%s' has %d runs of %s", event->name, event->id, runs, function->slug);
    }
}

static void events_judge(struct judge *judge)
{
    struct world *world = judge->world;
    for (int number = 0; number < world->scenario->requests; number++)
        for (int index = 0; index < world->requests[number].event_count; index++) {
            const struct world_event *event = &world->requests[number].events[index];
            for (int send = 0; send < event->sent; send++)
                event_judge(judge, event, send);
        }
}

static void failures_judge(struct judge *judge)
{
    struct world *world = judge->world;
    for (int index = 0; index < world->function_count; index++) {
        const struct world_function *function = &world->functions[index];
        if (function->spec->failure_of == NULL || function->was_archived || function->spec->is_late)
            continue;
        for (int other = 0; other < world->function_count; other++)
            if (strcmp(world->functions[other].slug, function->spec->failure_of) == 0 && judge->failed[other] != judge->runs[index])
                oracle_break(&world->oracle, "%lld runs of %s failed, %s ran %lld times", (long long)judge->failed[other],
                             world->functions[other].slug, function->slug, (long long)judge->runs[index]);
    }
}

static void rest_judge(struct judge *judge)
{
    static const enum sg_kind live[] = {SG_KIND_RUN_LIVE, SG_KIND_JOB, SG_KIND_CURSOR, SG_KIND_ANSWER};
    struct world *world = judge->world;
    for (size_t index = 0; index < sizeof(live) / sizeof(live[0]); index++)
        if (sg_store_memory_count(world->store, live[index]) != 0)
            oracle_break(&world->oracle, "%lld records of kind %s are left", (long long)sg_store_memory_count(world->store, live[index]),
                         sg_kind_info(live[index])->table);
    struct sg_engine_stats stats;
    sg_engine_stats(world->engine, &stats);
    if (stats.runs != 0 || stats.jobs != 0 || stats.calls != 0 || stats.cursors != 0 || stats.fetches != 0 || stats.hydrated != 0)
        oracle_break(&world->oracle, "the engine is left with %lld runs, %lld jobs, %lld calls, %lld cursors, %lld hydrated",
                     (long long)stats.runs, (long long)stats.jobs, (long long)stats.calls, (long long)stats.cursors,
                     (long long)stats.hydrated);
    if (stats.cancellations != 0)
        oracle_break(&world->oracle, "the engine is left with %lld bulk cancellations", (long long)stats.cancellations);
    if (world->clients != NULL)
        oracle_break(&world->oracle, "a client of kind %d still waits for its reply", world->clients->kind);
    int64_t calls = world->scenario->calls_per_run * judge->total;
    if (calls > 0 && world->scenario->faults == 0 && world->totals.calls != calls)
        oracle_break(&world->oracle, "%lld runs made %lld calls", (long long)judge->total, (long long)world->totals.calls);
}

static void entries_free(struct sg_map *map)
{
    size_t cursor = 0;
    void *entry;
    while ((entry = sg_map_next(map, &cursor)) != NULL)
        free(entry);
    sg_map_free(map);
}

void verdict(struct world *world)
{
    struct judge *judge = calloc(1, sizeof(*judge));
    rig_need(judge != NULL, "no memory for a verdict");
    judge->world = world;
    sg_map_init_ids(&judge->sent, offsetof(struct sent, id));
    sg_map_init_ids(&judge->tallies, offsetof(struct tally, id));
    if (world->is_damaged) { /* only peace */
        world->oracle.is_deaf = false;
        rest_judge(judge);
        free(judge);
        return;
    }
    sent_collect(judge);
    read_all(judge, SG_KIND_EVENT, event_visit);
    read_all(judge, SG_KIND_FUNCTION, function_visit);
    read_all(judge, SG_KIND_RUN, run_visit);
    read_all(judge, SG_KIND_CANCELLATION, sweep_visit);
    events_judge(judge);
    failures_judge(judge);
    rest_judge(judge);
    entries_free(&judge->sent);
    entries_free(&judge->tallies);
    free(judge);
}
