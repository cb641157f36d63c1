/*
 * The scheduler of a simulated world.
 *
 * The model. Everything is a list of things that may happen: messages to hand to the engine, due work to advance, a batch to seal, a sealed batch to commit,
 * loads to do, SDKs to move, requests to send, the clock to tick. Each action picks one at random; which kinds are likely, and which faults, is drawn per
 * seed. When nothing can happen, the clock goes to the next due time; when nothing is due, the faults are switched off and the world comes to rest.
 *
 * Output commit is this file's side of the bargain: effects of a batch are let out after its commit, in order, and a crash takes with it all that was
 * not committed, and with some luck the effects of what was.
 */
#include "sim/world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "store/memory.h"

#define START_MS 1767225600000LL /* 2026-01-01 */
#define HOUR_MS 3600000LL
/* More actions than any world needs: it would not come to rest. */
#define ACTIONS_MAX 3000000
/* A world that has not got further by then is left alone. */
#define FAULTS_UNTIL 300000
/* More crashes, per ten thousand batches, and a world hardly gets anywhere. */
#define CRASH_CHANCE_MAX 300

enum crash_moment { CRASH_NONE, CRASH_BEFORE_EFFECTS, CRASH_LATER };

static void engine_start(struct world *world, const struct sg_buf *expected);
static void crash(struct world *world, struct sg_buf *expected);

/* ---- chance ---- */

uint64_t world_below(struct world *world, uint64_t bound)
{
    return sg_rng_below(&world->rng, bound);
}

bool world_chance(struct world *world, int per_ten_thousand)
{
    return (int)world_below(world, 10000) < per_ten_thousand;
}

bool world_fault(struct world *world, enum fault fault)
{
    if (world->is_draining || world->totals.actions > FAULTS_UNTIL || (world->scenario->faults & (int)fault) == 0 ||
        !world_chance(world, world->chances[__builtin_ctz(fault)]))
        return false;
    world->totals.faults++;
    return true;
}

void world_say(struct world *world, const char *format, ...)
{
    if (!world->is_verbose)
        return;
    fprintf(stderr, "%8lld %13lld ", (long long)world->tick, (long long)(world->now_ms - START_MS));
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* ---- things that may happen ---- */

void world_post(struct world *world, struct sg_message *message, int64_t lookup_commit, int64_t delay)
{
    rig_need(world->inbox_count < WORLD_PENDING_MAX, "too many messages for the world");
    world->inbox[world->inbox_count++] = (struct pending){message, lookup_commit, world->tick + delay};
}

struct world_function *world_function(struct world *world, struct sg_str slug)
{
    for (int index = 0; index < world->function_count; index++)
        if (sg_str_eq(slug, sg_str_from(world->functions[index].slug)))
            return &world->functions[index];
    rig_need(false, "a call of an unknown function");
    return NULL;
}

static void batch_open(struct world *world)
{
    if (world->open != NULL)
        return;
    world->open = sg_batch_create(++world->batch_number);
    rig_need(world->open != NULL, "no memory for a batch");
    world->open_messages = 0;
}

static int inbox_pick(struct world *world)
{
    if (world->inbox_count == 0)
        return -1;
    int start = (int)world_below(world, (uint64_t)world->inbox_count);
    for (int index = 0; index < world->inbox_count; index++) {
        int at = (start + index) % world->inbox_count;
        if (world->inbox[at].not_before <= world->tick)
            return at;
    }
    return -1;
}

/* Perhaps one of the next allocations fails. */
static void memory_arm(struct world *world)
{
    if (world->pending_crash == 0 && world_fault(world, FAULT_MEMORY))
        sg_alloc_fail_at(1 + world_below(world, world_chance(world, 5000) ? 8 : 60), false);
}

/* An engine that ran out of memory says so, and what it did since the last commit is worth nothing. */
static void memory_judge(struct world *world, enum sg_status status)
{
    bool has_failed = sg_alloc_has_failed();
    sg_alloc_fail_at(0, false);
    if (has_failed != (status != SG_OK))
        oracle_break(&world->oracle, "an allocation failed: %d; the engine said %s", has_failed, sg_status_code(status));
    if (status != SG_OK)
        crash(world, NULL);
}

static void message_say(struct world *world, const struct sg_message *message)
{
    if (!world->is_verbose)
        return;
    char id[SG_ULID_LEN + 1];
    if (message->kind == SG_MESSAGE_ANSWER) {
        const struct sg_answer *answer = &message->as.answer.answer;
        sg_ulid_format(message->as.answer.run_id, id);
        world_say(world, "answer of kind %d to run %s job %lld generation %d, %zu ops, first %s '%.*s'", answer->kind, id,
                  (long long)message->as.answer.job_id, message->as.answer.generation, answer->op_count,
                  answer->op_count > 0 ? sg_opcode_name(answer->ops[0].code) : "none",
                  answer->op_count > 0 ? (int)answer->ops[0].id.len : 0, answer->op_count > 0 ? answer->ops[0].id.ptr : "");
    } else if (message->kind == SG_MESSAGE_CHECKPOINT) {
        sg_ulid_format(message->as.checkpoint.run_id, id);
        world_say(world, "checkpoint of run %s job %lld generation %d, %zu steps", id, (long long)message->as.checkpoint.job_id,
                  message->as.checkpoint.generation, message->as.checkpoint.op_count);
    } else if (message->kind == SG_MESSAGE_FETCHED) {
        sg_ulid_format(message->as.fetched.run_id, id);
        world_say(world, "outcome of the request of %.*s run %s job %lld generation %d: %s", SG_FMT(message->as.fetched.step_id), id,
                  (long long)message->as.fetched.job_id, message->as.fetched.generation,
                  message->as.fetched.data.len > 0 ? "fine" : "failed");
    } else {
        world_say(world, "message kind %d", message->kind);
    }
}

static void deliver(struct world *world, int at)
{
    struct pending pending = world->inbox[at];
    world->inbox[at] = world->inbox[--world->inbox_count];
    batch_open(world);
    world->open_messages++;
    world->totals.messages++;
    message_say(world, pending.message);
    memory_arm(world);
    memory_judge(world, sg_engine_handle(world->engine, pending.message, world->now_ms, world->open));
}

static void keys_forget(struct world *world)
{
    int64_t floor = world->committed;
    for (int index = 0; index < world->inbox_count; index++)
        if (world->inbox[index].lookup_commit >= 0 && world->inbox[index].lookup_commit < floor)
            floor = world->inbox[index].lookup_commit;
    sg_engine_forget_keys(world->engine, floor);
}

static void load_do(struct world *world)
{
    int at = (int)world_below(world, (uint64_t)world->load_count);
    struct sg_effect load = world->loads[at];
    world->loads[at] = world->loads[--world->load_count];
    if (load.kind == SG_EFFECT_LOAD_EVENT) {
        world_post(world, rig_load_event(world->reader, &load, world->now_ms), -1, (int64_t)world_below(world, 8));
        return;
    }
    if (load.kind == SG_EFFECT_LOAD_RUNS) {
        struct sg_message *runs = rig_load_runs(world->reader, load.run_id);
        if (world_fault(world, FAULT_LOAD))
            runs->as.loaded_runs.status = SG_STORE_CORRUPT;
        world_post(world, runs, -1, (int64_t)world_below(world, 8));
        return;
    }
    struct sg_message *message = rig_load_run(world->reader, load.run_id);
    if (world_fault(world, FAULT_LOAD)) {
        message->as.loaded_run.status = SG_STORE_CORRUPT;
        message->as.loaded_run.step_count = 0;
        oracle_run(&world->oracle, load.run_id)->is_excused = true;
    }
    world_post(world, message, -1, (int64_t)world_below(world, 8));
}

/* No call is started after the deadline of its run. Where functions change, so do their deadlines. */
static void deadline_judge(struct world *world, const struct sg_call *call)
{
    const struct oracle_run *run = oracle_run(&world->oracle, call->run_id);
    int64_t finish_ms = world_function(world, call->slug)->spec->finish_s * 1000LL;
    if (finish_ms > 0 && (world->scenario->faults & FAULT_REGISTER) == 0 && call->started_at_ms > run->started_at_ms + finish_ms)
        oracle_break(&world->oracle, "a call was made after the finish timeout of its run");
}

static void let_out(struct world *world, struct sg_batch *batch)
{
    char id[SG_ULID_LEN + 1];
    for (size_t index = 0; index < batch->effect_count; index++) {
        struct sg_effect *effect = &batch->effects[index];
        switch (effect->kind) {
        case SG_EFFECT_REPLY:
            effect->client->reply(effect->client, &effect->reply);
            break;
        case SG_EFFECT_CALL:
            if (effect->call->snapshot == 0)
                people_saw_run(world, effect->call->run_id);
            sg_ulid_format(effect->call->run_id, id);
            world_say(world, "call of %s run %s job %lld generation %d attempt %d target '%.*s' cause '%.*s' snapshot %lld%s",
                      world_function(world, effect->call->slug)->slug, id, (long long)effect->call->job_id, effect->call->generation,
                      effect->call->attempt, SG_FMT(effect->call->target), SG_FMT(effect->call->cause), (long long)effect->call->snapshot,
                      effect->call->is_plan_forced ? " plans" : "");
            deadline_judge(world, effect->call);
            sdk_call(world, effect->call);
            effect->call = NULL;
            break;
        case SG_EFFECT_FETCH:
            sg_ulid_format(effect->fetch->run_id, id);
            world_say(world, "request of step %.*s run %s job %lld generation %d", SG_FMT(effect->fetch->step_id), id,
                      (long long)effect->fetch->job_id, effect->fetch->generation);
            fetches_take(world, effect->fetch);
            effect->fetch = NULL;
            break;
        case SG_EFFECT_LOAD_RUN:
        case SG_EFFECT_LOAD_EVENT:
        case SG_EFFECT_LOAD_RUNS:
            if (world->load_count == world->load_capacity) {
                world->load_capacity = world->load_capacity == 0 ? 64 : world->load_capacity * 2;
                world->loads = realloc(world->loads, (size_t)world->load_capacity * sizeof(*world->loads));
                rig_need(world->loads != NULL, "no memory for loads");
            }
            world->loads[world->load_count++] = *effect;
            break;
        }
    }
}

static void seal(struct world *world)
{
    struct sg_error error = {0};
    if (!sg_engine_check(world->engine, &error))
        oracle_break(&world->oracle, "%s", error.message);
    struct sg_engine_stats stats;
    sg_engine_stats(world->engine, &stats);
    if (world->calls_max > 0 && stats.calls > world->calls_max && world->incarnation == 0)
        oracle_break(&world->oracle, "%lld calls at once; an app may have %d", (long long)stats.calls, world->calls_max);
    struct sealed *sealed = &world->sealed[world->sealed_count++];
    *sealed = (struct sealed){.batch = world->open, .now_ms = world->now_ms};
    world->open = NULL;
    if (world->pending_crash == 0 && world_fault(world, FAULT_CRASH)) {
        sealed->crash = world_chance(world, 5000) ? CRASH_BEFORE_EFFECTS : CRASH_LATER;
        sealed->dump = rig_dump(world->engine);
    }
}

static void sealed_drop(struct world *world)
{
    sg_batch_free(world->sealed[0].batch);
    sg_buf_free(&world->sealed[0].dump);
    memmove(&world->sealed[0], &world->sealed[1], (size_t)--world->sealed_count * sizeof(world->sealed[0]));
}

struct victim {
    int64_t skip;
    struct sg_record record;
    struct sg_arena arena;
    bool is_found;
};

static enum sg_status victim_visit(void *context, const struct sg_record *record)
{
    struct victim *victim = context;
    if (victim->skip-- != 0)
        return SG_OK;
    victim->is_found = true;
    victim->record = *record;
    for (int column = 0; column < SG_COLUMNS_MAX; column++)
        if (record->values[column].bytes.ptr != NULL)
            victim->record.values[column].bytes = sg_arena_copy(&victim->arena, record->values[column].bytes);
    return SG_OK;
}

/* A record of a live kind is deleted, or loses what it says beyond its key, or is found twice under another key. */
static void store_damage(struct world *world)
{
    static const enum sg_kind kinds[] = {SG_KIND_JOB, SG_KIND_JOB, SG_KIND_RUN_LIVE, SG_KIND_CURSOR, SG_KIND_ANSWER};
    enum sg_kind kind = kinds[world_below(world, 5)];
    int64_t count = sg_store_memory_count(world->store, kind);
    if (count == 0)
        return;
    struct victim victim = {.skip = (int64_t)world_below(world, (uint64_t)count)};
    struct sg_error error = {0};
    sg_arena_init(&victim.arena);
    rig_need(sg_store_scan(world->store, kind, victim_visit, &victim, &error) == SG_OK && victim.is_found, "nothing to damage");
    struct sg_write write = {.op = SG_WRITE_DELETE, .record = victim.record};
    uint64_t draw = world_below(world, 3);
    if (draw > 0)
        write.op = SG_WRITE_PUT;
    if (draw == 1)
        for (int column = sg_kind_info(kind)->key_columns; column < sg_kind_info(kind)->column_count; column++)
            write.record.values[column] = sg_value_null();
    struct sg_id other_id = rig_id("damage", SG_STR("x"));
    if (draw == 2 && kind == SG_KIND_RUN_LIVE)
        write.record.values[0] = sg_value_id(&other_id);
    else if (draw == 2)
        write.record.values[0] = sg_value_int(write.record.values[0].number + 1000000);
    rig_need(sg_store_commit(world->store, &write, 1, &error) == SG_OK, error.message);
    sg_arena_free(&victim.arena);
    world->is_damaged = true;
    world->oracle.is_deaf = true;
}

static void crash(struct world *world, struct sg_buf *expected)
{
    world_say(world, "crash");
    world->totals.crashes++;
    world->incarnation++;
    world->pending_crash = 0;
    sg_engine_free(world->engine);
    world->engine = NULL;
    sg_batch_free(world->open);
    world->open = NULL;
    while (world->sealed_count > 0)
        sealed_drop(world);
    while (world->inbox_count > 0)
        sg_message_free(world->inbox[--world->inbox_count].message);
    world->load_count = 0;
    fetches_drop_all(world);
    if (world_fault(world, FAULT_DAMAGE))
        store_damage(world);
    engine_start(world, expected);

    sdk_process_died(world);
    people_disconnected(world);
}

static void commit(struct world *world)
{
    struct sealed *sealed = &world->sealed[0];
    struct sg_error error = {0};
    bool is_unknown = false;
    bool is_applied = true;
    if (sealed->batch->write_count == 0) {
        ; /* nothing is asked of the store */
    } else if (world_fault(world, FAULT_COMMIT)) {
        sg_store_memory_fail_next(world->store, 1, world_chance(world, 5000) ? SG_STORE_BUSY : SG_STORE_FULL, false);
    } else if (world->pending_crash == 0 && sealed->crash == CRASH_NONE && world_fault(world, FAULT_UNKNOWN_COMMIT)) {
        is_unknown = true;
        is_applied = world_chance(world, 5000);
        sg_store_memory_fail_next(world->store, 1, SG_STORE_IO, is_applied);
    }
    enum sg_status status = sg_store_commit(world->store, sealed->batch->writes, sealed->batch->write_count, &error);
    if (status != SG_OK && !is_unknown)
        return; /* the same batch again, later */
    world->totals.commits++;
    if (is_applied) {
        oracle_committed(&world->oracle, sealed->batch->writes, sealed->batch->write_count, sealed->now_ms);
        world->committed = sealed->batch->number;
    }
    if (is_unknown) {
        crash(world, NULL);
        return;
    }
    struct sg_buf dump = sealed->dump;
    sealed->dump = (struct sg_buf){0};
    if (sealed->crash == CRASH_BEFORE_EFFECTS) {
        crash(world, &dump);
        sg_buf_free(&dump);
        return;
    }
    if (sealed->crash == CRASH_LATER) {
        world->pending_crash = 1 + (int)world_below(world, 40);
        sg_buf_free(&world->crash_dump);
        world->crash_dump = dump;
    }
    struct sg_batch *batch = sealed->batch;
    sealed->batch = NULL;
    sealed_drop(world);
    let_out(world, batch);
    sg_batch_free(batch);
}

/* ---- the scheduler ---- */

enum action { ACT_DELIVER, ACT_ADVANCE, ACT_SEAL, ACT_COMMIT, ACT_LOAD, ACT_SDK, ACT_SEND, ACT_FETCH, ACT_COUNT };

static int action_weight(const struct world *world, enum action action)
{
    static const int weights[ACT_COUNT] = {60, 40, 12, 40, 40, 60, 4, 20};
    /* Each seed likes some things better than others. */
    return weights[action] * (1 + (int)((world->seed * 2654435761u >> (action * 3)) % 5));
}

static bool action_is_possible(struct world *world, enum action action)
{
    bool has_room = world->sealed_count < WORLD_SEALED_MAX && (world->open == NULL || world->open_messages < world->batch_messages_max);
    switch (action) {
    case ACT_DELIVER:
        return has_room && world->inbox_count > 0;
    case ACT_ADVANCE:
        return has_room && sg_engine_next_due(world->engine) <= world->now_ms;
    case ACT_SEAL:
        return world->sealed_count < WORLD_SEALED_MAX && world->open != NULL &&
               (world->open_messages > 0 || world->open->write_count > 0 || world->open->effect_count > 0);
    case ACT_COMMIT:
        return world->sealed_count > 0 && world->pending_crash == 0;
    case ACT_LOAD:
        return world->load_count > 0;
    case ACT_SDK:
        return world->exec_count > 0;
    case ACT_SEND:
        return world->requests_left > 0 && world->inbox_count < WORLD_PENDING_MAX / 2;
    case ACT_FETCH:
        return world->fetch_count > 0;
    case ACT_COUNT:
        break;
    }
    return false;
}

/* False if it turned out that there was nothing to do. */
static bool action_do(struct world *world, enum action action)
{
    int at;
    switch (action) {
    case ACT_DELIVER:
        at = inbox_pick(world);
        if (at < 0)
            return false;
        deliver(world, at);
        if (world_chance(world, 1000))
            keys_forget(world);
        return true;
    case ACT_ADVANCE:
        batch_open(world);
        memory_arm(world);
        memory_judge(world, sg_engine_advance(world->engine, world->now_ms, 1 + (int)world_below(world, 16), world->open));
        return true;
    case ACT_SEAL:
        seal(world);
        return true;
    case ACT_COMMIT:
        commit(world);
        return true;
    case ACT_LOAD:
        load_do(world);
        return true;
    case ACT_SDK:
        return sdk_act(world);
    case ACT_SEND:
        people_send(world);
        return true;
    case ACT_FETCH:
        return fetches_act(world);
    case ACT_COUNT:
        break;
    }
    return false;
}

/* Nothing can happen at this moment. False when all has come to rest. */
static bool idle(struct world *world)
{
    if (world->pending_crash > 0) {
        crash(world, &world->crash_dump);
        return true;
    }
    for (int index = 0; index < world->inbox_count; index++)
        if (world->inbox[index].not_before > world->tick)
            return true; /* a few ticks more */
    int64_t due_at_ms = sg_engine_next_due(world->engine);
    if (due_at_ms != INT64_MAX) {
        if (due_at_ms > world->now_ms)
            world->now_ms = due_at_ms;
        return true;
    }
    bool has_requests = fetches_time_out(world);
    if (sdk_time_out(world) || has_requests) {
        world->now_ms += 2 * HOUR_MS;
        return true;
    }
    if (world->is_draining)
        return false;
    world->is_draining = true;
    if (world->is_app_removed) {
        world->is_app_removed = false;
        people_register(world);
    }
    return true;
}

static bool act(struct world *world)
{
    world->tick++;
    world->totals.actions++;
    if (world->pending_crash > 0 && --world->pending_crash == 0) {
        crash(world, &world->crash_dump);
        return true;
    }
    if (world_below(world, 3) == 0)
        world->now_ms += (int64_t)world_below(world, 20);
    if (world_fault(world, FAULT_JUMP))
        world->now_ms += (int64_t)world_below(world, world_chance(world, 5000) ? 60000 : (uint64_t)(6 * HOUR_MS));
    if (!world->is_draining) {
        people_act(world);
    }
    int weights[ACT_COUNT];
    int sum = 0;
    for (int action = 0; action < ACT_COUNT; action++) {
        weights[action] = action_is_possible(world, (enum action)action) ? action_weight(world, (enum action)action) : 0;
        sum += weights[action];
    }
    while (sum > 0) {
        int draw = (int)world_below(world, (uint64_t)sum);
        int action = 0;
        while (draw >= weights[action])
            draw -= weights[action++];
        if (action_do(world, (enum action)action))
            return true;
        sum -= weights[action];
        weights[action] = 0;
    }
    return idle(world);
}

/* ---- life ---- */

static void engine_start(struct world *world, const struct sg_buf *expected)
{
    world->options = (struct sg_engine_options){
        .seed = sg_rng_next(&world->rng),
        .retry_interval_ms = world->scenario->retry_interval_ms,
        .steps_per_run_max = world->scenario->steps_max,
        .calls_per_app_max = world->calls_max,
        .is_fully_parked = world_chance(world, 4000),
    };
    world->batch_number = world->committed; /* what was not committed never happened */
    world->engine = NULL;
    while (world->engine == NULL) { /* a start that fails for want of memory is tried again */
        sg_batch_free(world->open);
        world->open = NULL;
        batch_open(world);
        if (!world->is_draining && (world->scenario->faults & FAULT_MEMORY) != 0 && world_chance(world, 1500)) {
            world->totals.faults++;
            sg_alloc_fail_at(1 + world_below(world, world_chance(world, 5000) ? 30 : 300), false);
        }
        world->engine = rig_try_restore(world->store, &world->options, world->now_ms, world->open);
        sg_alloc_fail_at(0, false);
    }
    struct sg_error error = {0};
    struct sg_engine_stats stats;
    sg_engine_stats(world->engine, &stats);
    if (!world->is_damaged && (stats.stray != 0 || stats.damaged != 0))
        oracle_break(&world->oracle, "start-up found %lld stray records and %lld damaged runs", (long long)stats.stray,
                     (long long)stats.damaged);
    if (!sg_engine_check(world->engine, &error))
        oracle_break(&world->oracle, "after start-up: %s", error.message);
    if (expected == NULL || world->is_damaged)
        return;
    struct sg_buf dump = rig_dump(world->engine);
    if (!sg_str_eq(sg_buf_str(&dump), sg_buf_str(expected))) {
        oracle_break(&world->oracle, "the engine that was started is not the one that crashed");
        if (world->is_verbose)
            fprintf(stderr, "---- crashed\n%.*s---- started\n%.*s----\n", (int)expected->len, expected->ptr, (int)dump.len, dump.ptr);
    }
    sg_buf_free(&dump);
}

static void chances_draw(struct world *world)
{
    /* Per ten thousand occasions, in the order of enum fault: occasions are as frequent as the places where they are asked for. */
    static const int usual[FAULT_COUNT] = {30, 50, 60, 20, 100, 300, 1000, 1, 60, 60, 3, 8, 40, 8, 3, 6, 3000, 4};
    int factor = world_below(world, 10) == 0 ? 4 : 1; /* some worlds are a bad place */
    for (int index = 0; index < FAULT_COUNT; index++) {
        int draw = (int)world_below(world, 4);
        world->chances[index] = draw == 0 ? 0 : draw == 3 ? usual[index] * factor * 2 : usual[index] * factor;
    }
    if (world->scenario->crash_factor > 0)
        world->chances[__builtin_ctz(FAULT_CRASH)] *= world->scenario->crash_factor;
    if (world->chances[__builtin_ctz(FAULT_CRASH)] > CRASH_CHANCE_MAX)
        world->chances[__builtin_ctz(FAULT_CRASH)] = CRASH_CHANCE_MAX;
}

void world_live(struct world *world, const struct scenario *scenario, uint64_t seed, bool is_verbose)
{
    memset(world, 0, sizeof(*world));
    world->scenario = scenario;
    world->seed = seed;
    world->is_verbose = is_verbose;
    world->now_ms = START_MS;
    sg_rng_init(&world->rng, seed);
    oracle_init(&world->oracle);
    world->inbox = calloc(WORLD_PENDING_MAX, sizeof(*world->inbox));
    rig_need(world->inbox != NULL, "no memory for an inbox");
    chances_draw(world);
    world->calls_max = world_chance(world, 4000) ? 1 + (int)world_below(world, 12) : 0;
    world->batch_messages_max = 1 + (int)world_below(world, world_chance(world, 5000) ? 4 : 40);
    struct sg_error error = {0};
    rig_need(sg_store_open_memory(&world->store, &error) == SG_OK, error.message);
    rig_need(sg_store_reader_open(world->store, &world->reader, &error) == SG_OK, error.message);
    people_fill(world);
    engine_start(world, NULL);
    people_register(world);
    while (!world->oracle.is_broken && act(world))
        if (world->totals.actions > ACTIONS_MAX) {
            world->oracle.is_deaf = false;
            oracle_break(&world->oracle, "the world does not come to rest");
        }
    if (!world->oracle.is_broken)
        verdict(world);
    world->totals.seeds = 1;
    world->totals.executions = world->oracle.executions;
    world->totals.runs = world->oracle.ended_runs;
}

void world_end(struct world *world)
{
    sdk_free_all(world);
    fetches_free_all(world);
    sg_batch_free(world->open);
    while (world->sealed_count > 0)
        sealed_drop(world);
    while (world->inbox_count > 0)
        sg_message_free(world->inbox[--world->inbox_count].message);
    sg_engine_free(world->engine);
    sg_store_reader_close(world->reader);
    sg_store_close(world->store);
    people_free(world);
    free(world->inbox);
    free(world->loads);
    sg_buf_free(&world->crash_dump);
    oracle_free(&world->oracle);
}
