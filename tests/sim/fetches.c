/*
 * The places that steps make the gateway request.
 *
 * The model. A request that has gone out is one of a list, and some time later it comes to an end: it succeeds, unless its script says that so many
 * executions fail, or a fault takes it away. It may hang, for two hours or until the process dies; and what came of it may be told twice. A process that
 * dies takes its requests with it.
 *
 * What must never be false here: a step whose result is remembered is not requested any more, and never is a step requested twice at a time by one process.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/world.h"

static void request_judge(struct world *world, const struct sg_fetch *fetch)
{
    struct oracle_run *run = oracle_run(&world->oracle, fetch->run_id);
    struct oracle_step *step = oracle_step(run, fetch->step_id);
    if (step->memo_hash != 0)
        oracle_break(&world->oracle, "%s was requested again after its result had been remembered", step->text);
    for (int index = 0; index < world->fetch_count; index++) {
        const struct sg_fetch *other = world->fetches[index].fetch;
        if (sg_id_eq(other->run_id, fetch->run_id) && sg_str_eq(other->step_id, fetch->step_id) && run->ends == 0)
            oracle_break(&world->oracle, "%s was requested while its request was out", step->text);
    }
}

void fetches_take(struct world *world, struct sg_fetch *fetch)
{
    request_judge(world, fetch);
    if (world->fetch_count == world->fetch_capacity) {
        world->fetch_capacity = world->fetch_capacity == 0 ? 64 : world->fetch_capacity * 2;
        world->fetches = realloc(world->fetches, (size_t)world->fetch_capacity * sizeof(*world->fetches));
        rig_need(world->fetches != NULL, "no memory for requests");
    }
    world->fetches[world->fetch_count++] = (struct world_fetch){.fetch = fetch};
    world->totals.fetches++;
}

void fetches_drop_all(struct world *world)
{
    while (world->fetch_count > 0)
        sg_fetch_free(world->fetches[--world->fetch_count].fetch);
}

void fetches_free_all(struct world *world)
{
    fetches_drop_all(world);
    free(world->fetches);
    world->fetches = NULL;
}

/* The node that the request belongs to; NULL if the function does not know it. */
static const struct script_node *node_of(struct world *world, const struct sg_fetch *fetch)
{
    const struct oracle_run *run = oracle_run(&world->oracle, fetch->run_id);
    char id[SCRIPT_ID_MAX] = {0};
    memcpy(id, fetch->step_id.ptr, fetch->step_id.len < SCRIPT_ID_MAX ? fetch->step_id.len : SCRIPT_ID_MAX - 1);
    for (int index = 0; index < world->function_count; index++) {
        const struct world_function *function = &world->functions[index];
        struct script_found found;
        if (sg_id_eq(function->id, run->function_id) && script_find(function->spec->script, id, &found))
            return found.node;
    }
    return NULL;
}

static void outcome_post(struct world *world, const struct sg_fetch *fetch, const char *data, bool is_final, uint64_t delay)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_FETCHED);
    rig_need(message != NULL, "no memory for an outcome");
    message->as.fetched.run_id = fetch->run_id;
    message->as.fetched.job_id = fetch->job_id;
    message->as.fetched.generation = fetch->generation;
    message->as.fetched.step_id = sg_arena_copy(&message->arena, fetch->step_id);
    message->as.fetched.is_final = is_final;
    if (data[0] != '\0')
        message->as.fetched.data = sg_arena_copy(&message->arena, sg_str_from(data));
    else
        message->as.fetched.error = SG_STR("{\"message\":\"boom\",\"name\":\"GatewayError\"}");
    world_post(world, message, -1, (int64_t)world_below(world, delay));
}

/* `is_lost`: whatever it came to, nobody hears of it. */
static void request_end(struct world *world, int at, bool is_lost)
{
    struct sg_fetch *fetch = world->fetches[at].fetch;
    world->fetches[at] = world->fetches[--world->fetch_count];
    const struct script_node *node = node_of(world, fetch);
    struct oracle_step *step = oracle_step(oracle_run(&world->oracle, fetch->run_id), fetch->step_id);
    int executions = ++step->executions;
    bool is_failed = is_lost || (node != NULL && (node->throws < 0 || executions <= node->throws));
    bool is_final = is_failed && !is_lost && node->is_final;
    char data[32] = "";
    if (!is_failed)
        snprintf(data, sizeof(data), "{\"k\":%d}", executions);
    if (is_failed && !is_final)
        oracle_may_fail_job(&world->oracle, fetch->run_id, fetch->job_id, fetch->generation, world->now_ms,
                            world->scenario->retry_interval_ms);
    outcome_post(world, fetch, data, is_final, 16);
    if (world_fault(world, FAULT_TWICE)) {
        uint64_t delay = world_chance(world, 5000) ? 16 : 2000;
        outcome_post(world, fetch, is_failed || world_chance(world, 5000) ? data : "\"twin\"", is_final, delay);
    }
    sg_fetch_free(fetch);
}

bool fetches_act(struct world *world)
{
    int start = (int)world_below(world, (uint64_t)world->fetch_count);
    for (int index = 0; index < world->fetch_count; index++) {
        int at = (start + index) % world->fetch_count;
        if (world->fetches[at].is_hanging)
            continue;
        if (world_fault(world, FAULT_HANG))
            world->fetches[at].is_hanging = true;
        else
            request_end(world, at, world_fault(world, FAULT_LOST));
        return true;
    }
    return false;
}

bool fetches_time_out(struct world *world)
{
    bool has_any = world->fetch_count > 0;
    while (world->fetch_count > 0)
        request_end(world, world->fetch_count - 1, true);
    return has_any;
}
