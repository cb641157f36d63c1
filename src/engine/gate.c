/*
 * The gate of an app: how many of its jobs may be under way at once.
 *
 * The model. One event may wake a hundred thousand runs, and every one of them then needs its steps in memory and a call. So an app has a number of
 * slots; a job takes one from the moment at which it loads what it needs until its call is answered. A due job that finds no slot free waits in the
 * line of its app, parked, in the order of the age of its run: what has begun goes on before what begins. As soon as a slot is free, the app is among
 * those whose lines may move; nothing polls.
 *
 * Nothing of this is stored: a job in line is a due job, and start-up lines them up again.
 */
#include "engine/gate.h"

/* The app is among those that can move exactly as long as somebody is in line and a slot is free. */
static void settle(struct sg_engine *engine, struct sg_app *app)
{
    bool can_move = app->line.count > 0 && app->under_way < engine->options.calls_per_app_max;
    bool is_listed = sg_list_has(&engine->movable, &app->in_movable);
    if (can_move && !is_listed)
        sg_list_push_back(&engine->movable, &app->in_movable);
    if (!can_move && is_listed)
        sg_list_remove(&engine->movable, &app->in_movable);
}

/* Whether somebody in line should go before the job. */
static bool is_overtaking(const struct sg_app *app, const struct sg_job *job)
{
    const struct sg_heap_node *node = sg_heap_first(&app->line);
    if (node == NULL)
        return false;
    const struct sg_job *first = SG_CONTAINER_OF(node, struct sg_job, due);
    if (first->run->created_at_ms != job->run->created_at_ms)
        return first->run->created_at_ms < job->run->created_at_ms;
    return first->due.tie < job->due.tie;
}

bool sg_gate_pass(struct sg_turn *turn, struct sg_job *job)
{
    SG_CHECK(job, SG_JOB_MAGIC);
    struct sg_engine *engine = turn->engine;
    struct sg_app *app = job->run->function->app;
    if (job->has_slot)
        return true;
    if (app->under_way < engine->options.calls_per_app_max && !is_overtaking(app, job)) {
        sg_gate_force(engine, job);
        return true;
    }
    if (sg_heap_add_as(&app->line, &job->due, job->run->created_at_ms))
        engine->lined++;
    else
        turn->is_failed = true;
    settle(engine, app);
    return false;
}

void sg_gate_force(struct sg_engine *engine, struct sg_job *job)
{
    struct sg_app *app = job->run->function->app;
    assert(!job->has_slot && !sg_heap_has(&job->due));
    job->has_slot = true;
    app->under_way++;
    settle(engine, app);
}

void sg_gate_leave(struct sg_engine *engine, struct sg_job *job)
{
    if (!job->has_slot)
        return;
    struct sg_app *app = job->run->function->app;
    assert(app->under_way > 0);
    job->has_slot = false;
    app->under_way--;
    settle(engine, app);
}

bool sg_gate_is_lined(const struct sg_job *job)
{
    return sg_heap_holds(&job->run->function->app->line, &job->due);
}

void sg_gate_unqueue(struct sg_engine *engine, struct sg_job *job)
{
    if (!sg_heap_has(&job->due))
        return;
    if (!sg_gate_is_lined(job)) {
        sg_heap_remove(&engine->due, &job->due);
        return;
    }
    struct sg_app *app = job->run->function->app;
    sg_heap_remove(&app->line, &job->due);
    engine->lined--;
    settle(engine, app);
}

struct sg_job *sg_gate_next(struct sg_engine *engine)
{
    struct sg_list_node *node = sg_list_pop_front(&engine->movable);
    if (node == NULL)
        return NULL;
    struct sg_app *app = SG_CONTAINER_OF(node, struct sg_app, in_movable);
    struct sg_job *job = SG_CONTAINER_OF(sg_heap_first(&app->line), struct sg_job, due);
    sg_gate_unqueue(engine, job); /* if there are more behind it, the app goes behind the others */
    return job;
}

bool sg_gate_can_advance(const struct sg_engine *engine)
{
    return !sg_list_is_empty(&engine->movable);
}

bool sg_gate_check(const struct sg_engine *engine, const struct sg_app *app)
{
    bool can_move = app->line.count > 0 && app->under_way < engine->options.calls_per_app_max;
    return sg_list_has(&engine->movable, &app->in_movable) == can_move;
}
