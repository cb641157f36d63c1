/*
 * step.invoke: a run that starts another and waits for its end.
 *
 * The model. The op makes a wait (a job for its timeout, a pause), an event `inngest/function.invoked` in the log, and the invoked run, all in one commit
 * (reference/02 §9.2): a step that is reported again finds its wait and invokes nothing. The invoked run remembers who waits for it; when it ends, its
 * function.finished event answers the pause directly, without any matching. Everybody who invoked what will not run is told so, at once.
 *
 * The event is an ordinary one for those who listen to its name, but it goes to them under a cursor: handled here, it might cancel the very run whose
 * answer is being applied.
 */
#include "engine/invoke.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "engine/app.h"
#include "engine/cursor.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/step.h"
#include "engine/topic.h"
#include "engine/wait.h"

/* ---- who invoked a run ---- */

bool sg_invoke_remember(struct sg_engine *engine, struct sg_run *run, struct sg_str invoker)
{
    struct sg_invocation *invocation = sg_malloc(sizeof(*invocation) + invoker.len);
    if (invocation == NULL)
        return false;
    invocation->run_id = run->id;
    invocation->invoker = (struct sg_str){(char *)(invocation + 1), invoker.len};
    memcpy(invocation + 1, invoker.ptr, invoker.len);
    if (sg_map_add(&engine->invocations, invocation) != SG_OK) {
        sg_free(invocation);
        return false;
    }
    /* Of two with one invoker, which no store should hold, one is found by it. */
    bool is_added = sg_map_add(&engine->invokers, invocation) != SG_NO_MEMORY;
    run->flags |= SG_RUN_IS_INVOKED;
    return is_added;
}

struct sg_str sg_invoke_of(const struct sg_engine *engine, const struct sg_run *run)
{
    if ((run->flags & SG_RUN_IS_INVOKED) == 0)
        return SG_STR_NULL;
    const struct sg_invocation *invocation = sg_map_get_id(&engine->invocations, run->id);
    return invocation != NULL ? invocation->invoker : SG_STR_NULL;
}

void sg_invoke_forget(struct sg_engine *engine, const struct sg_run *run)
{
    if ((run->flags & SG_RUN_IS_INVOKED) == 0)
        return;
    struct sg_invocation *invocation = sg_map_remove_id(&engine->invocations, run->id);
    if (invocation != NULL && sg_map_get_str(&engine->invokers, invocation->invoker) == invocation)
        sg_map_remove_str(&engine->invokers, invocation->invoker);
    sg_free(invocation);
}

/* The run and the step that the correlation id names; false: it is none. */
static bool invoker_read(struct sg_str invoker, struct sg_id *run_id, struct sg_str *step_id)
{
    if (invoker.len <= SG_ULID_LEN || !sg_ulid_parse((struct sg_str){invoker.ptr, SG_ULID_LEN}, run_id))
        return false;
    *step_id = (struct sg_str){invoker.ptr + SG_ULID_LEN + 1, invoker.len - SG_ULID_LEN - 1};
    return true;
}

/* The open pause that the correlation id names; NULL: nobody waits any more. */
static struct sg_pause *pause_of(const struct sg_engine *engine, struct sg_str invoker)
{
    struct sg_id run_id;
    struct sg_str step_id;
    struct sg_run *run = invoker_read(invoker, &run_id, &step_id) ? sg_map_get_id(&engine->runs, run_id) : NULL;
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0)
        return NULL;
    struct sg_pause *pause = sg_pause_find(run, step_id);
    return pause != NULL && pause->kind == SG_PAUSE_INVOKE && sg_pause_is_open(pause, engine->now_ms) ? pause : NULL;
}

struct sg_run *sg_invoke_callee(const struct sg_engine *engine, const struct sg_run *run, struct sg_str step_id)
{
    char text[SG_ULID_LEN + 1 + SG_LIMIT_STEP_ID_BYTES + 1];
    sg_ulid_format(run->id, text);
    int len = snprintf(text + SG_ULID_LEN, sizeof(text) - SG_ULID_LEN, ".%.*s", SG_FMT(step_id));
    const struct sg_invocation *invocation = sg_map_get_str(&engine->invokers, (struct sg_str){text, SG_ULID_LEN + (size_t)len});
    return invocation != NULL ? sg_map_get_id(&engine->runs, invocation->run_id) : NULL;
}

bool sg_invoke_is_awaited(const struct sg_engine *engine, const struct sg_run *run, struct sg_run **invoker)
{
    struct sg_id run_id;
    struct sg_str step_id;
    struct sg_str text = sg_invoke_of(engine, run);
    *invoker = invoker_read(text, &run_id, &step_id) ? sg_map_get_id(&engine->runs, run_id) : NULL;
    return pause_of(engine, text) != NULL;
}

void sg_invoke_ended(struct sg_turn *turn, const struct sg_run *run, int64_t position)
{
    struct sg_pause *pause = pause_of(turn->engine, sg_invoke_of(turn->engine, run));
    if (pause != NULL)
        sg_pause_answer_event(turn, pause, position);
}

static void refuse(struct sg_turn *turn, struct sg_pause *pause, struct sg_str message)
{
    struct sg_buf memo;
    sg_buf_init(&memo);
    sg_buf_append(&memo, SG_STR("{\"error\":{\"message\":"));
    sg_json_quote(&memo, message);
    sg_buf_append(&memo, SG_STR(",\"name\":\"Error\"}}"));
    if (memo.is_failed)
        turn->is_failed = true;
    else
        sg_pause_answer_value(turn, pause, sg_buf_str(&memo), true);
    sg_buf_free(&memo);
}

void sg_invoke_refused(struct sg_turn *turn, struct sg_str invoker, struct sg_str message)
{
    struct sg_pause *pause = pause_of(turn->engine, invoker);
    if (pause != NULL)
        refuse(turn, pause, message);
}

/* ---- the event ---- */

static struct sg_function *function_find(const struct sg_engine *engine, struct sg_str id_or_slug)
{
    struct sg_id id;
    struct sg_function *function = NULL;
    if (sg_uuid_parse(id_or_slug, &id))
        function = sg_map_get_id(&engine->functions, id);
    if (function == NULL)
        function = sg_map_get_str(&engine->slugs, id_or_slug);
    if (function == NULL || function->is_archived || function->app->is_archived || sg_app_is_endpoint(function->app))
        return NULL; /* an endpoint answers a client's request: without one there is nothing to call it with */
    return function;
}

/* Members of an object, all but `_inngest`, each with a comma behind it. */
static void members_copy(struct sg_buf *out, struct sg_str object)
{
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str key;
    struct sg_str value;
    if (sg_json_kind_of(object) != SG_JSON_OBJECT)
        return;
    while (sg_json_next_member(&iter, &key, &value)) {
        if (sg_str_eq(key, SG_STR("\"_inngest\"")))
            continue;
        sg_buf_append(out, key);
        sg_buf_byte(out, ':');
        sg_buf_append(out, value);
        sg_buf_byte(out, ',');
    }
}

/* `key` as it stands in the text, with its quotes: both texts are canonical. */
static bool has_member(struct sg_str object, struct sg_str key)
{
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str other;
    struct sg_str value;
    if (sg_json_kind_of(object) != SG_JSON_OBJECT)
        return false;
    while (sg_json_next_member(&iter, &other, &value))
        if (sg_str_eq(other, key))
            return true;
    return false;
}

/*
 * Sessions: those that the run's own events carried, and over them those of the call; null takes one away, or all (reference/02 §9.2). Appends
 * `"meta":{…},` if there is anything to say.
 */
static void meta_append(struct sg_buf *out, struct sg_str meta)
{
    if (sg_json_kind_of(meta) != SG_JSON_OBJECT)
        return;
    struct sg_str manual = sg_json_get(meta, SG_STR("sessions"));
    struct sg_str carried = sg_json_get(meta, SG_STR("propagated_sessions"));
    struct sg_str sources[] = {sg_json_kind_of(manual) == SG_JSON_NULL ? SG_STR_NULL : carried, manual};
    struct sg_buf sessions;
    sg_buf_init(&sessions);
    for (int source = 0; source < 2; source++) {
        if (sg_json_kind_of(sources[source]) != SG_JSON_OBJECT)
            continue;
        struct sg_json_iter iter = sg_json_iter(sources[source]);
        struct sg_str key;
        struct sg_str value;
        while (sg_json_next_member(&iter, &key, &value)) {
            if (sg_json_kind_of(value) == SG_JSON_NULL || (source == 0 && has_member(manual, key)))
                continue; /* taken away, or the other one counts */
            sg_buf_printf(&sessions, "%s%.*s:%.*s", sessions.len > 0 ? "," : "", SG_FMT(key), SG_FMT(value));
        }
    }
    if (sessions.len > 0)
        sg_buf_printf(out, "\"meta\":{\"sessions\":{%.*s}},", (int)sessions.len, sessions.ptr);
    out->is_failed = out->is_failed || sessions.is_failed;
    sg_buf_free(&sessions);
}

struct invoked {
    struct sg_str body; /* canonical */
    struct sg_id internal_id;
    int64_t ts_ms;
    bool has_own_id; /* the caller chose its id */
};

static void event_text(struct sg_turn *turn, const struct sg_run *run, const struct sg_op *op, struct sg_str function_id,
                       struct sg_str correlation, int64_t expires_at_ms, struct invoked *invoked, struct sg_buf *out)
{
    char text[SG_UUID_LEN + 1];
    struct sg_str payload = sg_json_get(op->opts, SG_STR("payload"));
    int64_t wall_ms = turn->now_ms - turn->engine->options.clock_offset_ms;
    invoked->internal_id = sg_turn_ulid(turn);
    invoked->ts_ms = wall_ms;
    int64_t ts_ms;
    if (sg_json_to_int(sg_json_get(payload, SG_STR("ts")), &ts_ms) && ts_ms > 0)
        invoked->ts_ms = ts_ms;

    sg_buf_append(out, SG_STR("{\"data\":{"));
    members_copy(out, sg_json_get(payload, SG_STR("data")));
    sg_uuid_format(run->function->app->id, text);
    sg_buf_printf(out, "\"_inngest\":{\"source_app_id\":\"%s\"", text);
    sg_uuid_format(run->function->id, text);
    sg_buf_printf(out, ",\"source_fn_id\":\"%s\",\"source_fn_v\":%d,\"fn_id\":", text, run->function_version);
    sg_json_quote(out, function_id);
    sg_buf_append(out, SG_STR(",\"correlation_id\":"));
    sg_json_quote(out, correlation);
    sg_uuid_format(sg_turn_ulid(turn), text);
    sg_buf_printf(out, ",\"expire\":%lld,\"gid\":\"%s\",\"name\":", (long long)(expires_at_ms - turn->engine->options.clock_offset_ms),
                  text);
    sg_json_quote(out, op->display_name);
    sg_buf_append(out, SG_STR("}},\"id\":"));
    struct sg_str id = sg_json_get(payload, SG_STR("id"));
    invoked->has_own_id = sg_json_kind_of(id) == SG_JSON_STRING && id.len > 2 && id.len <= SG_LIMIT_EVENT_ID_BYTES;
    sg_ulid_format(invoked->internal_id, text);
    if (invoked->has_own_id)
        sg_buf_append(out, id);
    else
        sg_buf_printf(out, "\"%s\"", text);
    sg_buf_byte(out, ',');
    meta_append(out, sg_json_get(payload, SG_STR("meta")));
    struct sg_str user = sg_json_get(payload, SG_STR("user"));
    if (sg_json_kind_of(user) == SG_JSON_OBJECT)
        sg_buf_printf(out, "\"user\":%.*s,", SG_FMT(user));
    struct sg_str version = sg_json_get(payload, SG_STR("v"));
    if (sg_json_kind_of(version) == SG_JSON_STRING)
        sg_buf_printf(out, "\"v\":%.*s,", SG_FMT(version));
    sg_buf_printf(out, "\"name\":\"inngest/function.invoked\",\"ts\":%lld}", (long long)invoked->ts_ms);
}

static bool event_make(struct sg_turn *turn, const struct sg_run *run, const struct sg_op *op, struct sg_str function_id,
                       struct sg_str correlation, int64_t expires_at_ms, struct invoked *invoked)
{
    struct sg_buf text;
    struct sg_buf canonical;
    sg_buf_init(&text);
    sg_buf_init(&canonical);
    event_text(turn, run, op, function_id, correlation, expires_at_ms, invoked, &text);
    /* Joined from canonical pieces; only their order is left to be made right. */
    if (text.is_failed || sg_json_canonicalize(sg_buf_str(&text), NULL, &canonical, NULL) != SG_OK || canonical.is_failed)
        turn->is_failed = true;
    else
        invoked->body = sg_turn_copy(turn, sg_buf_str(&canonical));
    sg_buf_free(&text);
    sg_buf_free(&canonical);
    return !turn->is_failed;
}

static void event_send(struct sg_turn *turn, const struct invoked *invoked, struct sg_function *function, struct sg_str correlation)
{
    struct sg_engine *engine = turn->engine;
    int64_t position = sg_event_append(turn, invoked->internal_id, SG_EVENT_INVOKED, invoked->ts_ms, invoked->body);
    if (turn->is_failed)
        return;
    if (!invoked->has_own_id) {
        int64_t due_at_ms = invoked->ts_ms + engine->options.clock_offset_ms;
        sg_run_create(turn, &(struct sg_run_spec){.function = function,
                                                  .event_id = invoked->internal_id,
                                                  .event_name = SG_EVENT_INVOKED,
                                                  .positions = &position,
                                                  .event_count = 1,
                                                  .event_bytes = (int64_t)invoked->body.len,
                                                  .start_at_ms = due_at_ms > turn->now_ms ? due_at_ms : turn->now_ms,
                                                  .body = invoked->body,
                                                  .invoker = correlation});
    }
    if (invoked->has_own_id || sg_app_has_listener(engine, SG_EVENT_INVOKED) || sg_topic_find(engine, SG_EVENT_INVOKED) != NULL)
        sg_cursor_event_add(turn, position, SG_EVENT_INVOKED, (struct sg_id){{0}});
}

struct sg_function *sg_invoke_target(struct sg_turn *turn, const struct sg_event *event, struct sg_str *invoker)
{
    if (!sg_str_eq(event->name, SG_EVENT_INVOKED))
        return NULL;
    struct sg_str own = sg_json_get(sg_json_get(event->body, SG_STR("data")), SG_STR("_inngest"));
    struct sg_str correlation = sg_json_get(own, SG_STR("correlation_id")); /* none: the function was invoked through the API */
    char text[SG_ULID_LEN + 3];
    text[0] = '"';
    sg_ulid_format(event->internal_id, text + 1);
    text[SG_ULID_LEN + 1] = '"';
    if (correlation.len > 0 && sg_str_eq(sg_json_get(event->body, SG_STR("id")), (struct sg_str){text, SG_ULID_LEN + 2}))
        return NULL; /* its run was made with it */
    struct sg_str function_id;
    struct sg_arena *scratch = &turn->engine->scratch;
    if (sg_json_to_str(sg_json_get(own, SG_STR("fn_id")), scratch, &function_id) != SG_OK ||
        (correlation.len > 0 && sg_json_to_str(correlation, scratch, invoker) != SG_OK))
        return NULL;
    struct sg_function *function = function_find(turn->engine, function_id);
    if (function == NULL)
        sg_invoke_refused(turn, *invoker, SG_STR("the invoked function is no longer registered"));
    return function;
}

/* ---- the op ---- */

static bool fail(struct sg_turn *turn, struct sg_run *run, const char *message)
{
    sg_run_fail(turn, run, "Error", message, message);
    return false;
}

bool sg_invoke_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int job_flags)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = apply->job->run;
    struct sg_str function_id = SG_STR_NULL;
    struct sg_str value = sg_json_get(op->opts, SG_STR("function_id"));
    if (sg_json_kind_of(value) == SG_JSON_STRING && sg_json_to_str(value, &engine->scratch, &function_id) != SG_OK)
        turn->is_failed = true;
    if (function_id.len == 0)
        return fail(turn, run, "A step.invoke names no function to invoke.");
    struct sg_str raw;
    int64_t delay_ms;
    if (!sg_wait_timeout_read(turn, run, op, "invoke", SG_LIMIT_INVOKE_MS, &raw, &delay_ms))
        return false;
    if ((step->flags & (SG_STEP_IS_PLANNED | SG_STEP_HAS_MEMO)) != 0)
        return true;
    struct sg_job *job = sg_wait_job_add(turn, run, step, op, job_flags, delay_ms);
    struct sg_pause *pause =
        sg_pause_add(turn, run,
                     &(struct sg_pause_spec){
                         .kind = SG_PAUSE_INVOKE, .job = job, .name = function_id, .expires_at_ms = job != NULL ? job->due.key_ms : 0});
    if (pause == NULL)
        return true; /* the turn says that memory ran out */
    struct sg_function *function = function_find(engine, function_id);
    if (function == NULL) {
        struct sg_str message = sg_arena_printf(&engine->scratch, "could not find function with ID: %.*s", SG_FMT(function_id));
        refuse(turn, pause, message.ptr != NULL ? message : SG_STR("could not find the function"));
        return true;
    }
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(run->id, id);
    struct sg_str correlation = sg_arena_printf(&engine->scratch, "%s.%.*s", id, SG_FMT(op->id));
    struct invoked invoked = {.ts_ms = 0};
    if (correlation.ptr == NULL)
        turn->is_failed = true;
    else if (event_make(turn, run, op, function_id, correlation, job->due.key_ms, &invoked))
        event_send(turn, &invoked, function, correlation);
    return true;
}
