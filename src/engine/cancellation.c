/*
 * Bulk cancellations (reference/03 §3.6): all live runs of a function that were created in a window of time and, if there is a condition, whose first
 * event satisfies it. A dry run counts them and leaves them alone.
 *
 * The model. Run ids begin with the time of creation, so the window is a range of keys of run_live. A cancellation walks it: it asks for the next runs of
 * its function (with their events, if it has a condition), looks at those that are still live when they have come, and cancels them, one slice in one
 * commit together with how far it has come. The next runs are asked for in the same commit and read after it, so there is one slice in a commit however
 * fast the engine is: the runs of others are served between two slices, and nothing piles up in memory. One load is outstanding for all
 * cancellations together; they take turns.
 *
 * The window ends now at the latest: what is cancelled are the runs that exist when the request is accepted, not those to come. After a crash the record
 * says where to go on. Records of cancellations that have ended stay, until somebody deletes them or there are too many, for people to look at.
 *
 * What it never does: hold a run back, look at runs of others, or run ahead of the lifecycle events that its runs send, where somebody listens to these.
 */
#include "engine/cancellation.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/cel.h>

#include "base/alloc.h"
#include "engine/run.h"

/* A run writes its own records and two events, and deletes at most 400 jobs and pauses (run.c): with this, a slice stays below the limit of a message. */
#define WRITES_PER_SLICE (SG_LIMIT_WRITES_PER_MESSAGE / 2)
/* Of events that go to their consumers under cursors, one or two for each cancelled run: beyond these a cancellation waits. */
#define CURSORS_MAX 200

static void ask(struct sg_turn *turn);

/* ---- memory ---- */

static struct sg_cancellation *cancellation_create(struct sg_engine *engine, struct sg_id id, struct sg_function *function)
{
    struct sg_cancellation *made = sg_calloc(1, sizeof(*made));
    if (made == NULL)
        return NULL;
    made->magic = SG_CANCELLATION_MAGIC;
    made->id = id;
    made->function = function;
    sg_list_push_back(&engine->cancellations, &made->in_engine);
    engine->cancellation_count++;
    return made;
}

static void cancellation_free(struct sg_engine *engine, struct sg_cancellation *cancellation)
{
    SG_CHECK(cancellation, SG_CANCELLATION_MAGIC);
    if (sg_list_has(&engine->cancelling, &cancellation->in_turn))
        sg_list_remove(&engine->cancelling, &cancellation->in_turn);
    sg_list_remove(&engine->cancellations, &cancellation->in_engine);
    engine->cancellation_count--;
    sg_message_free(cancellation->message);
    sg_cel_program_free(cancellation->program);
    cancellation->magic = 0;
    sg_free(cancellation);
}

void sg_cancellation_free_all(struct sg_engine *engine)
{
    while (!sg_list_is_empty(&engine->cancellations))
        cancellation_free(engine, SG_CONTAINER_OF(engine->cancellations.first, struct sg_cancellation, in_engine));
}

static struct sg_cancellation *find(const struct sg_engine *engine, struct sg_id id)
{
    for (struct sg_list_node *node = engine->cancellations.first; node != NULL; node = node->next) {
        struct sg_cancellation *cancellation = SG_CONTAINER_OF(node, struct sg_cancellation, in_engine);
        if (sg_id_eq(cancellation->id, id))
            return cancellation;
    }
    return NULL;
}

/* Whose runs are being looked at or have been asked for. */
static struct sg_cancellation *current(const struct sg_engine *engine)
{
    struct sg_list_node *node = engine->cancelling.first;
    return node != NULL ? SG_CONTAINER_OF(node, struct sg_cancellation, in_turn) : NULL;
}

/* ---- records ---- */

static void cancellation_write(struct sg_turn *turn, const struct sg_cancellation *cancellation, struct sg_str error)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_CANCELLATION);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_CANCELLATION_ID] = sg_turn_id(turn, cancellation->id);
    values[SG_CANCELLATION_FUNCTION_ID] = sg_value_id(&cancellation->function->id);
    values[SG_CANCELLATION_CREATED_AT] = sg_value_int(cancellation->created_at_ms);
    if (cancellation->after_ms > 0)
        values[SG_CANCELLATION_STARTED_AFTER] = sg_value_int(cancellation->after_ms);
    values[SG_CANCELLATION_STARTED_BEFORE] = sg_value_int(cancellation->before_ms);
    if (cancellation->program != NULL)
        values[SG_CANCELLATION_EXPRESSION] = sg_value_bytes(sg_turn_copy(turn, sg_cel_program_text(cancellation->program)));
    values[SG_CANCELLATION_IS_DRY_RUN] = sg_value_int(cancellation->is_dry_run);
    values[SG_CANCELLATION_REACHED] = sg_turn_id(turn, cancellation->reached);
    values[SG_CANCELLATION_TOTAL] = sg_value_int(cancellation->total);
    values[SG_CANCELLATION_EXAMINED] = sg_value_int(cancellation->examined);
    values[SG_CANCELLATION_MATCHED] = sg_value_int(cancellation->matched);
    if (cancellation->ended_at_ms > 0)
        values[SG_CANCELLATION_ENDED_AT] = sg_value_int(cancellation->ended_at_ms);
    if (error.len > 0)
        values[SG_CANCELLATION_ERROR] = sg_value_bytes(error);
}

static void cancellation_delete(struct sg_turn *turn, struct sg_cancellation *cancellation)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_DELETE, SG_KIND_CANCELLATION);
    if (record != NULL)
        record->values[SG_CANCELLATION_ID] = sg_turn_id(turn, cancellation->id);
    cancellation_free(turn->engine, cancellation);
}

static int64_t wall_ms(const struct sg_turn *turn)
{
    return turn->now_ms - turn->engine->options.clock_offset_ms;
}

/* It has been through, or cannot go on: `error` says why, and lives as long as the batch. */
static void cancellation_end(struct sg_turn *turn, struct sg_cancellation *cancellation, struct sg_str error)
{
    cancellation->ended_at_ms = wall_ms(turn);
    sg_list_remove(&turn->engine->cancelling, &cancellation->in_turn);
    cancellation_write(turn, cancellation, error);
    sg_cel_program_free(cancellation->program);
    cancellation->program = NULL;
}

/* ---- requests ---- */

/* Of the functions that fit, the one that fits best: users write its id with the app's before it or without. Archived ones have runs, too. */
static struct sg_function *function_find(const struct sg_engine *engine, struct sg_str app, struct sg_str id)
{
    struct sg_function *best = NULL;
    int best_fit = 0;
    size_t cursor = 0;
    struct sg_function *function;
    while ((function = sg_map_next(&engine->functions, &cursor)) != NULL) {
        struct sg_str slug = function->slug;
        bool is_whole = sg_str_eq(slug, id);
        bool is_short =
            slug.len == app.len + 1 + id.len && sg_str_starts_with(slug, app) && slug.ptr[app.len] == '-' && sg_str_ends_with(slug, id);
        bool is_of_app = function->app != NULL && sg_str_eq(function->app->name, app);
        int fit = is_whole ? 3 : is_short ? 1 : 0;
        if (fit > 0)
            fit += is_of_app;
        if (fit > best_fit) {
            best = function;
            best_fit = fit;
        }
    }
    return best;
}

/* Makes room for one more. False if all there are are under way. */
static bool room_make(struct sg_turn *turn)
{
    struct sg_engine *engine = turn->engine;
    if (engine->cancellation_count < SG_LIMIT_CANCELLATIONS)
        return true;
    for (struct sg_list_node *node = engine->cancellations.first; node != NULL; node = node->next) {
        struct sg_cancellation *cancellation = SG_CONTAINER_OF(node, struct sg_cancellation, in_engine);
        if (cancellation->ended_at_ms == 0)
            continue;
        cancellation_delete(turn, cancellation);
        return true;
    }
    return false;
}

void sg_cancellation_begin(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_engine *engine = turn->engine;
    struct sg_error error = {.status = SG_OK};
    struct sg_function *function = function_find(engine, message->as.cancel_runs.app, message->as.cancel_runs.function);
    if (function == NULL) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "function not found");
        return;
    }
    struct sg_cel_program *program = NULL;
    if (message->as.cancel_runs.expression.len > 0) {
        enum sg_status status = sg_cel_compile(message->as.cancel_runs.expression, SG_CEL_CHECK_FULL, &program, &error);
        if (status == SG_NO_MEMORY) {
            turn->is_failed = true;
            return;
        }
        if (status != SG_OK) {
            sg_turn_reply(turn, message, status, "invalid expression: %s", error.message);
            return;
        }
    }
    if (!room_make(turn)) {
        sg_cel_program_free(program);
        sg_turn_reply(turn, message, SG_QUEUE_FULL, "%d cancellations are under way; wait for one, or delete one", SG_LIMIT_CANCELLATIONS);
        return;
    }
    struct sg_cancellation *cancellation = cancellation_create(engine, sg_turn_ulid(turn), function);
    if (cancellation == NULL) {
        sg_cel_program_free(program);
        turn->is_failed = true;
        return;
    }
    static const uint8_t lowest[10] = {0};
    cancellation->program = program;
    cancellation->is_dry_run = message->as.cancel_runs.is_dry_run;
    cancellation->created_at_ms = wall_ms(turn);
    cancellation->after_ms = message->as.cancel_runs.after_ms;
    cancellation->before_ms = message->as.cancel_runs.before_ms;
    if (cancellation->before_ms > cancellation->created_at_ms)
        cancellation->before_ms = cancellation->created_at_ms;
    if (cancellation->after_ms > 0)
        cancellation->reached = sg_ulid_make(cancellation->after_ms, lowest);
    cancellation->total = function->run_count;
    sg_list_push_back(&engine->cancelling, &cancellation->in_turn);
    cancellation_write(turn, cancellation, SG_STR_NULL);
    ask(turn);

    size_t effects = turn->batch->effect_count;
    sg_turn_reply(turn, message, SG_OK, "%s", "");
    if (turn->batch->effect_count > effects)
        turn->batch->effects[effects].reply.id = cancellation->id;
}

/* What was loaded goes to the batch: writes of this turn may borrow its bytes. */
static void message_release(struct sg_turn *turn, struct sg_cancellation *cancellation)
{
    struct sg_message *message = cancellation->message;
    if (message == NULL)
        return;
    message->next = turn->batch->messages;
    turn->batch->messages = message;
    cancellation->message = NULL;
}

void sg_cancellation_drop(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_cancellation *cancellation = find(turn->engine, message->as.cancellation.id);
    if (cancellation == NULL) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "Cancellation not found");
        return;
    }
    message_release(turn, cancellation);
    cancellation_delete(turn, cancellation);
    ask(turn);
    sg_turn_reply(turn, message, SG_OK, "%s", "");
}

/* ---- slices ---- */

/* Asks for the next runs of whoever's turn it is, if nobody's have been asked for or are being looked at. */
static void ask(struct sg_turn *turn)
{
    struct sg_engine *engine = turn->engine;
    const struct sg_cancellation *cancellation = current(engine);
    if (cancellation == NULL || cancellation->message != NULL || engine->is_runs_load_outstanding)
        return;
    struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_LOAD_RUNS);
    if (effect == NULL)
        return;
    effect->run_id = cancellation->id;
    engine->is_runs_load_outstanding = true;
}

bool sg_cancellation_loaded(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_engine *engine = turn->engine;
    struct sg_cancellation *cancellation = current(engine);
    engine->is_runs_load_outstanding = false;
    /* Nobody's turn comes while a load is outstanding: it is for the current one, or for one that has been deleted. */
    if (cancellation == NULL || !sg_id_eq(cancellation->id, message->as.loaded_runs.id)) {
        ask(turn);
        return false;
    }
    if (message->as.loaded_runs.status != SG_OK) {
        cancellation_end(turn, cancellation, sg_str_from(sg_status_text(message->as.loaded_runs.status)));
        ask(turn);
        return false;
    }
    cancellation->message = message;
    cancellation->next = 0;
    return true;
}

/* An event that cannot be read, an error and anything that is not a bool: the run is not meant (reference/05 §1.2). */
static bool is_meant(struct sg_turn *turn, const struct sg_cancellation *cancellation, struct sg_str event)
{
    struct sg_arena *scratch = &turn->engine->scratch;
    struct sg_cel_document document;
    bool result = false;
    if (cancellation->program == NULL)
        return true;
    enum sg_status status = sg_cel_document_parse_event(event, scratch, &document, NULL);
    if (status == SG_OK) {
        struct sg_cel_scope scope = {.event = &document, .now_ms = wall_ms(turn)};
        status = sg_cel_evaluate_bool(cancellation->program, &scope, scratch, &result, NULL);
    }
    if (status == SG_NO_MEMORY)
        turn->is_failed = true;
    sg_arena_reset(scratch);
    return result;
}

static struct sg_str reason_of(struct sg_turn *turn, const struct sg_cancellation *cancellation)
{
    char text[64];
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(cancellation->id, id);
    snprintf(text, sizeof(text), "bulk cancellation %s", id);
    return sg_turn_copy(turn, sg_str_from(text));
}

static void slice(struct sg_turn *turn, struct sg_cancellation *cancellation)
{
    const struct sg_message *message = cancellation->message;
    size_t writes_before = turn->batch->write_count;
    struct sg_str reason = cancellation->is_dry_run ? SG_STR_NULL : reason_of(turn, cancellation);
    while (cancellation->next < message->as.loaded_runs.run_count && !turn->is_failed &&
           turn->batch->write_count - writes_before < WRITES_PER_SLICE) {
        const struct sg_loaded_run *loaded = &message->as.loaded_runs.runs[cancellation->next++];
        struct sg_run *run = sg_map_get_id(&turn->engine->runs, loaded->id);
        cancellation->reached = loaded->id;
        cancellation->examined++;
        if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0 || !is_meant(turn, cancellation, loaded->event))
            continue; /* it has ended since it was read, or is another's business */
        cancellation->matched++;
        if (!cancellation->is_dry_run)
            sg_run_cancel(turn, run, reason);
    }
}

bool sg_cancellation_can_advance(const struct sg_engine *engine)
{
    const struct sg_cancellation *cancellation = current(engine);
    return cancellation != NULL && cancellation->message != NULL && engine->cursor_count < CURSORS_MAX;
}

void sg_cancellation_advance(struct sg_turn *turn)
{
    struct sg_engine *engine = turn->engine;
    if (!sg_cancellation_can_advance(engine) || turn->is_failed)
        return;
    struct sg_cancellation *cancellation = current(engine);
    const struct sg_message *message = cancellation->message;
    slice(turn, cancellation);
    if (cancellation->next < message->as.loaded_runs.run_count) {
        cancellation_write(turn, cancellation, SG_STR_NULL);
        return;
    }
    cancellation->reached = message->as.loaded_runs.reached;
    if (message->as.loaded_runs.is_last) {
        cancellation_end(turn, cancellation, SG_STR_NULL);
    } else {
        cancellation_write(turn, cancellation, SG_STR_NULL);
        sg_list_remove(&engine->cancelling, &cancellation->in_turn);
        sg_list_push_back(&engine->cancelling, &cancellation->in_turn);
    }
    message_release(turn, cancellation);
    ask(turn);
}

const struct sg_cancellation *sg_cancellation_of(const struct sg_engine *engine, const struct sg_run *run)
{
    for (const struct sg_list_node *node = engine->cancelling.first; node != NULL; node = node->next) {
        const struct sg_cancellation *cancellation = SG_CONTAINER_OF(node, struct sg_cancellation, in_turn);
        if (cancellation->function == run->function && !cancellation->is_dry_run && sg_id_cmp(run->id, cancellation->reached) > 0 &&
            sg_ulid_time_ms(run->id) <= cancellation->before_ms)
            return cancellation;
    }
    return NULL;
}

/* ---- start-up ---- */

enum sg_status sg_cancellation_restore(struct sg_engine *engine, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    struct sg_function *function = sg_map_get_id(&engine->functions, sg_value_get_id(&values[SG_CANCELLATION_FUNCTION_ID]));
    if (function == NULL)
        return SG_NOT_FOUND;
    struct sg_cancellation *cancellation = cancellation_create(engine, sg_value_get_id(&values[SG_CANCELLATION_ID]), function);
    if (cancellation == NULL)
        return SG_NO_MEMORY;
    cancellation->created_at_ms = values[SG_CANCELLATION_CREATED_AT].number;
    cancellation->after_ms = values[SG_CANCELLATION_STARTED_AFTER].number;
    cancellation->before_ms = values[SG_CANCELLATION_STARTED_BEFORE].number;
    cancellation->is_dry_run = values[SG_CANCELLATION_IS_DRY_RUN].number != 0;
    cancellation->reached = sg_value_get_id(&values[SG_CANCELLATION_REACHED]);
    cancellation->total = values[SG_CANCELLATION_TOTAL].number;
    cancellation->examined = values[SG_CANCELLATION_EXAMINED].number;
    cancellation->matched = values[SG_CANCELLATION_MATCHED].number;
    cancellation->ended_at_ms = values[SG_CANCELLATION_ENDED_AT].number;
    if (cancellation->ended_at_ms > 0)
        return SG_OK;
    sg_list_push_back(&engine->cancelling, &cancellation->in_turn);
    if (values[SG_CANCELLATION_EXPRESSION].bytes.len == 0)
        return SG_OK;
    enum sg_status status = sg_cel_compile(values[SG_CANCELLATION_EXPRESSION].bytes, SG_CEL_CHECK_FULL, &cancellation->program, NULL);
    cancellation->is_damaged = status != SG_OK; /* without its condition it would cancel what it must not */
    return status == SG_NO_MEMORY ? SG_NO_MEMORY : SG_OK;
}

void sg_cancellation_restored(struct sg_turn *turn)
{
    struct sg_list_node *next;
    for (struct sg_list_node *node = turn->engine->cancelling.first; node != NULL; node = next) {
        next = node->next;
        struct sg_cancellation *cancellation = SG_CONTAINER_OF(node, struct sg_cancellation, in_turn);
        if (cancellation->is_damaged)
            cancellation_end(turn, cancellation, SG_STR("its condition is no valid expression"));
    }
    ask(turn);
}

void sg_cancellation_dump(const struct sg_engine *engine, struct sg_buf *out)
{
    for (const struct sg_list_node *node = engine->cancellations.first; node != NULL; node = node->next) {
        const struct sg_cancellation *cancellation = SG_CONTAINER_OF(node, struct sg_cancellation, in_engine);
        char id[SG_ULID_LEN + 1];
        char reached[SG_ULID_LEN + 1];
        sg_ulid_format(cancellation->id, id);
        sg_ulid_format(cancellation->reached, reached);
        sg_buf_printf(
            out, "cancellation %s of %.*s from %lld to %lld dry %d reached %s total %lld examined %lld matched %lld ended %lld if '%.*s'\n",
            id, SG_FMT(cancellation->function->slug), (long long)cancellation->after_ms, (long long)cancellation->before_ms,
            cancellation->is_dry_run, reached, (long long)cancellation->total, (long long)cancellation->examined,
            (long long)cancellation->matched, (long long)cancellation->ended_at_ms,
            SG_FMT(cancellation->program != NULL ? sg_cel_program_text(cancellation->program) : SG_STR_NULL));
    }
}
