/*
 * People: clients who send events and wait for replies, those who deploy, register and remove functions, those who cancel runs or ask why one does not
 * move.
 *
 * The model. Whoever waits for a reply is a client in the world's list. When a process dies their connections break: events are sent again until somebody
 * confirms them, registrations are made again, the others do not care. One registration is on its way at a time, so that they keep their order.
 */
#include <stdlib.h>
#include <string.h>

#include <stepgate/json.h>

#include "sim/world.h"

#define HOUR_MS 3600000LL
#define APP_URL "http://app.test/api/inngest"

/* ---- clients ---- */

static void client_replied(struct sg_client *base, const struct sg_reply *reply);

struct client *world_client(struct world *world, enum client_kind kind)
{
    struct client *client = calloc(1, sizeof(*client));
    rig_need(client != NULL, "no memory for a client");
    client->base.reply = client_replied;
    client->world = world;
    client->kind = kind;
    client->next = world->clients;
    world->clients = client;
    return client;
}

void world_client_drop(struct world *world, struct client *client)
{
    struct client **at = &world->clients;
    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
    free(client);
}

static void request_failed(struct world *world, int number)
{
    struct world_request *request = &world->requests[number];
    request->state = REQUEST_UNSENT; /* and it will be sent again */
    world->requests_left++;
}

/* Somebody thinks better of a bulk cancellation. */
static void sweep_drop(struct world *world, struct sg_id id)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_DROP_CANCELLATION);
    rig_need(message != NULL, "no memory for a message");
    message->as.cancellation.id = id;
    message->client = &world_client(world, CLIENT_DROP)->base;
    world_post(world, message, -1, (int64_t)world_below(world, 8));
}

static void client_replied(struct sg_client *base, const struct sg_reply *reply)
{
    struct client *client = (struct client *)(void *)base;
    struct world *world = client->world;
    world_say(world, "reply to client kind %d: %s", client->kind, sg_status_code(reply->status));
    switch (client->kind) {
    case CLIENT_EVENTS: {
        struct world_request *request = &world->requests[client->request];
        if (reply->status != SG_OK)
            oracle_break(&world->oracle, "events were refused: %s", reply->message);
        for (int index = 0; index < request->event_count; index++)
            request->events[index].is_confirmed[request->events[index].sent - 1] = true;
        request->state = REQUEST_CONFIRMED;
        if (world_fault(world, FAULT_RESEND) && request->tries < 7)
            request_failed(world, client->request);
        break;
    }
    case CLIENT_CANCEL:
        if (reply->status == SG_OK)
            oracle_run(&world->oracle, client->run_id)->is_cancel_confirmed = true;
        break;
    case CLIENT_CHECKPOINT:
        if (client->exec != NULL)
            sdk_checkpoint_replied(world, client->exec, reply);
        break;
    case CLIENT_REGISTER:
        if (reply->status != SG_OK)
            oracle_break(&world->oracle, "a registration was refused: %s", reply->message);
        break;
    case CLIENT_EXPLAIN:
        if (reply->status == SG_OK && sg_json_kind_of(sg_json_get(reply->text, SG_STR("jobs"))) != SG_JSON_ARRAY)
            oracle_break(&world->oracle, "it was not explained why a run does not move");
        break;
    case CLIENT_CANCEL_ALL:
        if (reply->status == SG_OK && world_chance(world, 2000))
            sweep_drop(world, reply->id);
        break;
    case CLIENT_REMOVE:
    case CLIENT_DROP:
        break;
    }
    world_client_drop(world, client);
    if (world->is_registration_wanted)
        people_register(world);
}

static bool registration_is_pending(const struct world *world)
{
    for (const struct client *client = world->clients; client != NULL; client = client->next)
        if (client->kind == CLIENT_REGISTER || client->kind == CLIENT_REMOVE)
            return true;
    return false;
}

/* Of four registrations in a row two have the timeouts of the scenario, one has them doubled, one has none: never shorter ones. */
static void settings_write(const struct world_function *function, char *text, size_t size)
{
    int factor = function->revision % 4 == 1 ? 2 : 1;
    text[0] = '\0';
    if (function->revision % 4 == 3 || (function->spec->start_s == 0 && function->spec->finish_s == 0))
        return;
    snprintf(text, size, "'timeouts':{'start':'%ds','finish':'%ds'}", function->spec->start_s * factor, function->spec->finish_s * factor);
}

void people_register(struct world *world)
{
    world->is_registration_wanted = registration_is_pending(world);
    if (world->is_registration_wanted)
        return;
    static struct rig_function served[WORLD_FUNCTIONS_MAX];
    static char expressions[WORLD_FUNCTIONS_MAX][64];
    static char settings[WORLD_FUNCTIONS_MAX][96];
    size_t count = 0;
    for (int index = 0; index < world->function_count; index++) {
        const struct world_function *function = &world->functions[index];
        if (!function->is_served)
            continue;
        const char *expression = NULL;
        if (function->spec->failure_of != NULL)
            snprintf(expressions[count], sizeof(expressions[count]), "event.data.function_id == '%s'", function->spec->failure_of);
        else
            snprintf(expressions[count], sizeof(expressions[count]), "event.data.n > %d", function->spec->above);
        if (function->spec->failure_of != NULL || function->spec->above > 0)
            expression = expressions[count];
        settings_write(function, settings[count], sizeof(settings[count]));
        served[count] =
            (struct rig_function){.slug = function->slug,
                                  .event = function->spec->failure_of != NULL ? "inngest/function.failed" : function->spec->event,
                                  .expression = expression,
                                  .retries = function->retries,
                                  .revision = function->revision,
                                  .settings = settings[count][0] != '\0' ? settings[count] : NULL};
        count++;
    }
    char checksum[32];
    snprintf(checksum, sizeof(checksum), "sum-%d", ++world->registrations);
    struct sg_message *message = rig_registration("app", APP_URL, checksum, served, count);
    message->client = &world_client(world, CLIENT_REGISTER)->base;
    world_post(world, message, -1, 0);
    world_say(world, "registration %s of %zu functions", checksum, count);
}

static void event_fill(struct world *world, struct sg_message *message, struct sg_event_in *in, struct world_event *event, int request,
                       int index)
{
    struct sg_arena *arena = &message->arena;
    struct sg_str internal = sg_arena_printf(arena, "%d-%d-%d", request, index, event->sent);
    struct sg_str id =
        event->id[0] != '\0' ? sg_arena_copy(arena, sg_str_from(event->id)) : sg_arena_printf(arena, "fresh-%.*s", SG_FMT(internal));
    in->name = sg_arena_copy(arena, sg_str_from(event->name));
    in->ts_ms = event->ts_ms;
    in->body = sg_arena_printf(arena, "{\"data\":{\"n\":%d},\"id\":\"%.*s\",\"name\":\"%s\",\"ts\":%lld}", event->n, SG_FMT(id),
                               event->name, (long long)event->ts_ms);
    in->internal_id = rig_id("internal", internal);
    in->is_id_fresh = event->id[0] == '\0';
    if (!in->is_id_fresh)
        in->key = rig_id("event", id);
    event->internal_ids[event->sent++] = in->internal_id;
    if (event->sent_at_ms == 0)
        event->sent_at_ms = world->now_ms;
    event->last_at_ms = world->now_ms;
}

void people_send(struct world *world)
{
    int number = (int)world_below(world, (uint64_t)world->scenario->requests);
    while (world->requests[number].state != REQUEST_UNSENT)
        number = (number + 1) % world->scenario->requests;
    struct world_request *request = &world->requests[number];
    if (request->tries == 8) { /* the client gives up: nothing is claimed about the last attempt */
        request->state = REQUEST_GIVEN_UP;
        world->requests_left--;
        return;
    }
    struct sg_message *message = sg_message_create(SG_MESSAGE_EVENTS);
    rig_need(message != NULL, "no memory for a message");
    struct sg_event_in *in = sg_arena_zalloc(&message->arena, (size_t)request->event_count * sizeof(*in));
    rig_need(in != NULL, "no memory for events");
    for (int index = 0; index < request->event_count; index++)
        event_fill(world, message, &in[index], &request->events[index], number, index);
    message->as.events.events = in;
    message->as.events.count = (size_t)request->event_count;
    message->as.events.received_at_ms = world->now_ms;
    rig_lookup(world->reader, message, world->now_ms, world->committed);
    struct client *client = world_client(world, CLIENT_EVENTS);
    client->request = number;
    message->client = &client->base;
    request->state = REQUEST_PENDING;
    request->tries++;
    world->requests_left--;
    world_post(world, message, world->committed, (int64_t)world_below(world, 4));
    world_say(world, "request %d with %d events of %s", number, request->event_count, request->events[0].name);
}

void people_saw_run(struct world *world, struct sg_id id)
{
    if (world->live_run_count == world->live_run_capacity) {
        world->live_run_capacity = world->live_run_capacity == 0 ? 64 : world->live_run_capacity * 2;
        world->live_runs = realloc(world->live_runs, (size_t)world->live_run_capacity * sizeof(*world->live_runs));
        rig_need(world->live_runs != NULL, "no memory for runs");
    }
    world->live_runs[world->live_run_count++] = id;
}

static void functions_change(struct world *world)
{
    if (world_fault(world, FAULT_REDEPLOY)) {
        size_t cursor = 0;
        struct oracle_run *run;
        for (int index = 0; index < world->function_count; index++)
            world->functions[index].is_other = !world->functions[index].is_other;
        while ((run = sg_map_next(&world->oracle.runs, &cursor)) != NULL)
            run->is_excused = true;
    }
    if (world_fault(world, FAULT_REGISTER)) {
        struct world_function *function = &world->functions[world_below(world, (uint64_t)world->function_count)];
        function->revision++;
        if (function->is_served)
            people_register(world);
        struct sg_message *message = sg_message_create(SG_MESSAGE_SYNC_FAILED);
        rig_need(message != NULL, "no memory for a message");
        message->as.sync_failed.url = SG_STR(APP_URL);
        message->as.sync_failed.text = SG_STR("unreachable");
        world_post(world, message, -1, (int64_t)world_below(world, 100));
    }
    if (!world->is_app_removed && !registration_is_pending(world) && world_fault(world, FAULT_REMOVE)) {
        struct sg_message *message = sg_message_create(SG_MESSAGE_REMOVE_APP);
        rig_need(message != NULL, "no memory for a message");
        message->as.remove_app.url = SG_STR(APP_URL);
        message->client = &world_client(world, CLIENT_REMOVE)->base;
        world->is_app_removed = true;
        for (int index = 0; index < world->function_count; index++)
            world->functions[index].was_archived = true;
        world_post(world, message, -1, 0);
    } else if (world->is_app_removed && world_chance(world, 100)) {
        world->is_app_removed = false;
        people_register(world);
    }
    for (int index = 0; index < world->function_count; index++) {
        struct world_function *function = &world->functions[index];
        if (!function->is_served && world->requests_left < world->scenario->requests / 2 && world_chance(world, 200)) {
            function->is_served = true;
            people_register(world);
        }
    }
}

/* Somebody asks why a run is not moving. */
static void run_ask(struct world *world)
{
    if (world->live_run_count == 0 || !world_chance(world, 20))
        return;
    struct sg_message *message = sg_message_create(SG_MESSAGE_EXPLAIN);
    rig_need(message != NULL, "no memory for a message");
    message->as.explain.run_id = world->live_runs[world_below(world, (uint64_t)world->live_run_count)];
    message->client = &world_client(world, CLIENT_EXPLAIN)->base;
    world_post(world, message, -1, 0);
}

static void run_cancel(struct world *world)
{
    if (world->live_run_count == 0 || !world_fault(world, FAULT_CANCEL))
        return;
    struct sg_id id = world->live_runs[world_below(world, (uint64_t)world->live_run_count)];
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL);
    rig_need(message != NULL, "no memory for a message");
    message->as.cancel.run_id = id;
    message->as.cancel.reason = SG_STR("the simulator felt like it");
    struct client *client = world_client(world, CLIENT_CANCEL);
    client->run_id = id;
    message->client = &client->base;
    oracle_run(&world->oracle, id)->is_cancel_asked = true;
    world_post(world, message, -1, (int64_t)world_below(world, 8));
}

static void runs_cancel(struct world *world)
{
    if (world->sweep_count == WORLD_SWEEPS_MAX || !world_fault(world, FAULT_CANCEL_ALL))
        return;
    struct world_sweep *sweep = &world->sweeps[world->sweep_count++];
    sweep->function = (int)world_below(world, (uint64_t)world->function_count);
    sweep->above = (int)world_below(world, 10) - 1;
    sweep->before_ms = world->now_ms;
    sweep->is_dry_run = world_chance(world, 3000);
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL_RUNS);
    rig_need(message != NULL, "no memory for a message");
    message->as.cancel_runs.app = SG_STR("app");
    message->as.cancel_runs.function = sg_arena_copy(&message->arena, sg_str_from(world->functions[sweep->function].slug));
    message->as.cancel_runs.before_ms = sweep->before_ms;
    message->as.cancel_runs.is_dry_run = sweep->is_dry_run;
    if (sweep->above >= 0)
        message->as.cancel_runs.expression = sg_arena_printf(&message->arena, "event.data.n > %d.0", sweep->above);
    message->client = &world_client(world, CLIENT_CANCEL_ALL)->base;
    world_post(world, message, -1, (int64_t)world_below(world, 8));
}

void people_act(struct world *world)
{
    functions_change(world);
    run_cancel(world);
    runs_cancel(world);
    run_ask(world);
}

void people_disconnected(struct world *world)
{
    struct client *waiting = world->clients; /* their connections break; what they do about it goes to the next process */
    world->clients = NULL;
    bool is_registering = false;
    while (waiting != NULL) {
        struct client *client = waiting;
        waiting = client->next;
        if (client->kind == CLIENT_EVENTS)
            request_failed(world, client->request);
        else if (client->kind == CLIENT_CHECKPOINT && client->exec != NULL)
            sdk_checkpoint_lost(world, client->exec);
        else if (client->kind == CLIENT_REGISTER)
            is_registering = true;
        free(client);
    }
    if (is_registering)
        people_register(world);
}

/* ---- life ---- */

static void functions_fill(struct world *world)
{
    const struct scenario *scenario = world->scenario;
    for (int index = 0; index < SCENARIO_FUNCTIONS_MAX && scenario->functions[index].slug != NULL; index++) {
        int copies = index == 0 ? 1 + scenario->copies : 1;
        for (int copy = 0; copy < copies; copy++) {
            struct world_function *function = &world->functions[world->function_count++];
            function->spec = &scenario->functions[index];
            snprintf(function->slug, sizeof(function->slug), copy == 0 ? "%s" : "%s-%d", function->spec->slug, copy);
            function->id = rig_id("function", sg_str_from(function->slug));
            function->retries = function->spec->retries;
            function->is_served = !function->spec->is_late;
        }
    }
}

static void event_draw(struct world *world, struct world_event *event, int number)
{
    const struct scenario_function *function;
    do
        function = world->functions[world_below(world, (uint64_t)world->function_count)].spec;
    while (function->event == NULL);
    size_t len = strcspn(function->event, " ");
    snprintf(event->name, sizeof(event->name), "%.*s", (int)len, function->event);
    if (len > 0 && function->event[len - 1] == '*')
        snprintf(event->name + len - 1, sizeof(event->name) - len + 1, "n%d", (int)world_below(world, 3));
    event->n = (int)world_below(world, 10);
    event->ts_ms = world->now_ms;
    if (world->scenario->has_future_events && world_chance(world, 3000))
        event->ts_ms += (int64_t)world_below(world, (uint64_t)(3 * HOUR_MS));
    if (world->scenario->has_shared_ids && world_chance(world, 6000))
        snprintf(event->id, sizeof(event->id), "shared-%d", (int)world_below(world, (uint64_t)world->scenario->requests / 4 + 1));
    else if (world_chance(world, 5000))
        snprintf(event->id, sizeof(event->id), "id-%d", number);
}

static void requests_fill(struct world *world)
{
    const struct scenario *scenario = world->scenario;
    world->requests = calloc((size_t)scenario->requests, sizeof(*world->requests));
    rig_need(world->requests != NULL, "no memory for requests");
    int number = 0;
    for (int index = 0; index < scenario->requests; index++) {
        struct world_request *request = &world->requests[index];
        request->event_count = 1 + (int)world_below(world, (uint64_t)scenario->events_per_request);
        request->events = calloc((size_t)request->event_count, sizeof(*request->events));
        rig_need(request->events != NULL, "no memory for events");
        for (int event = 0; event < request->event_count; event++)
            event_draw(world, &request->events[event], number++);
    }
    world->requests_left = scenario->requests;
}

void people_fill(struct world *world)
{
    functions_fill(world);
    requests_fill(world);
}

void people_free(struct world *world)
{
    while (world->clients != NULL)
        world_client_drop(world, world->clients);
    for (int index = 0; index < world->scenario->requests; index++)
        free(world->requests[index].events);
    free(world->requests);
    free(world->live_runs);
}
