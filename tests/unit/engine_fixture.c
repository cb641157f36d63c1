/*
 * The fixture of the engine's tests: see the header for how it is used.
 *
 * Its one loop is `settle`: commit, let out, advance, until nothing more happens at the present moment. Replies, calls and loads are recorded there and
 * nowhere else.
 */
#include "unit/engine_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stepgate/json.h>

#define DAY_MS 1767225600000LL /* 2026-01-01 */
#define STEPS_PER_ADVANCE 256

int64_t at_time(const char *text)
{
    int hours = (text[0] - '0') * 10 + text[1] - '0';
    int minutes = (text[3] - '0') * 10 + text[4] - '0';
    int seconds = (text[6] - '0') * 10 + text[7] - '0';
    return DAY_MS + ((hours * 60LL + minutes) * 60 + seconds) * 1000;
}

/* ---- life ---- */

static void settle(struct fixture *f);

static void engine_start(struct fixture *f)
{
    f->batch = sg_batch_create(++f->commit);
    f->options.seed++;
    f->engine = rig_restore(f->store, &f->options, f->now_ms, f->batch);
    settle(f);
}

struct fixture *fixture_create_with(const char *start, const struct sg_engine_options *options)
{
    struct fixture *f = calloc(1, sizeof(*f));
    rig_need(f != NULL, "no memory for a fixture");
    struct sg_error error = {0};
    f->now_ms = AT(start);
    f->request_version = 2;
    f->options = *options;
    if (f->options.seed == 0)
        f->options.seed = 1;
    sg_arena_init(&f->arena);
    rig_need(sg_store_open_memory(&f->store, &error) == SG_OK, error.message);
    rig_need(sg_store_reader_open(f->store, &f->reader, &error) == SG_OK, error.message);
    engine_start(f);
    return f;
}

struct fixture *fixture_create(const char *start)
{
    return fixture_create_with(start, &(struct sg_engine_options){0});
}

struct fixture *fixture_with_run(const char *start)
{
    struct fixture *f = fixture_create(start);
    SERVE(f, {"fn", "demo/go", NULL, -1, 0});
    send_event(f, "demo/go");
    ASSERT_INT(f->call_count, 1);
    return f;
}

struct fixture *fixture_with_repeated_report(const char *op)
{
    struct fixture *f = fixture_with_run("10:00:00");
    f->request_version = 1;
    report(f, sg_arena_printf(&f->arena, "[{'op':'StepPlanned','id':'a'},%s]", op).ptr);
    move_clock(f, "10:30:00");
    report(f, "[{'op':'StepRun','id':'a'}]");
    report(f, sg_arena_printf(&f->arena, "[%s]", op).ptr);
    return f;
}

void fixture_free(struct fixture *f)
{
    sg_batch_free(f->batch);
    sg_engine_free(f->engine);
    sg_store_reader_close(f->reader);
    sg_store_close(f->store);
    for (int index = 0; index < f->call_count; index++)
        sg_call_free(f->calls[index]);
    for (int index = 0; index < f->fetch_count; index++)
        sg_fetch_free(f->fetches[index]);
    sg_arena_free(&f->arena);
    free(f);
}

void crash(struct fixture *f)
{
    sg_batch_free(f->batch);
    f->batch = NULL;
    sg_engine_free(f->engine);
    f->load_count = 0;
    for (int index = 0; index < f->call_count; index++)
        f->answered[index] = 1;
    engine_start(f);
}

void events_trim(struct fixture *f)
{
    struct sg_error error = {0};
    for (int64_t position = count(f, SG_KIND_EVENT); position > 0; position--) {
        struct sg_write write = {.op = SG_WRITE_DELETE, .record = {.kind = SG_KIND_EVENT}};
        write.record.values[SG_EVENT_POSITION] = sg_value_int(position);
        rig_need(sg_store_commit(f->store, &write, 1, &error) == SG_OK, error.message);
    }
}

/* ---- the loop ---- */

static void handle(struct fixture *f, struct sg_message *message)
{
    size_t writes_before = f->batch->write_count;
    size_t events = message->kind == SG_MESSAGE_EVENTS ? message->as.events.count : 1; /* each is one's work */
    rig_need(sg_engine_handle(f->engine, message, f->now_ms, f->batch) == SG_OK, "the engine ran out of memory");
    size_t writes = f->batch->write_count - writes_before;
    cr_assert(writes <= events * SG_LIMIT_WRITES_PER_MESSAGE, "one message wrote %zu records", writes);
}

static void reply_record(struct sg_client *client, const struct sg_reply *reply)
{
    struct client *waiter = (struct client *)(void *)client;
    cr_assert(not(waiter->is_answered), "answered twice");
    waiter->is_answered = true;
    waiter->reply = *reply;
}

static void load_answer(struct fixture *f, const struct sg_effect *load)
{
    if (load->kind == SG_EFFECT_LOAD_RUN)
        handle(f, rig_load_run(f->reader, load->run_id));
    else if (load->kind == SG_EFFECT_LOAD_RUNS)
        handle(f, rig_load_runs(f->reader, load->run_id));
    else
        handle(f, rig_load_event(f->reader, load, f->now_ms));
}

static void let_out(struct fixture *f, struct sg_batch *done)
{
    for (size_t index = 0; index < done->effect_count; index++) {
        struct sg_effect *effect = &done->effects[index];
        switch (effect->kind) {
        case SG_EFFECT_REPLY:
            effect->client->reply(effect->client, &effect->reply);
            break;
        case SG_EFFECT_CALL:
            rig_need(f->call_count < 4096, "too many calls for the fixture");
            f->last_run = effect->call->run_id;
            f->calls[f->call_count++] = effect->call;
            effect->call = NULL;
            break;
        case SG_EFFECT_FETCH:
            rig_need(f->fetch_count < 2048, "too many requests for the fixture");
            f->fetches[f->fetch_count++] = effect->fetch;
            effect->fetch = NULL;
            break;
        case SG_EFFECT_LOAD_RUN:
        case SG_EFFECT_LOAD_EVENT:
        case SG_EFFECT_LOAD_RUNS:
            f->loads_total++;
            rig_need(f->load_count < 4096, "too many loads for the fixture");
            f->loads[f->load_count++] = *effect;
            break;
        }
    }
}

static void commit_batch(struct fixture *f)
{
    struct sg_batch *done = f->batch;
    struct sg_error error = {0};
    rig_need(sg_store_commit(f->store, done->writes, done->write_count, &error) == SG_OK, error.message);
    if (done->write_count > 0)
        f->writes = (int64_t)done->write_count;
    f->batch = sg_batch_create(++f->commit);
    rig_need(f->batch != NULL, "no memory for a batch");
    cr_assert(sg_engine_check(f->engine, &error), "%s", error.message);
    if (!f->is_unequal)
        cr_assert(rig_equals_restored(f->engine, f->store, &f->options, f->now_ms));
    let_out(f, done);
    sg_batch_free(done);
}

bool step(struct fixture *f)
{
    if (f->batch->write_count > 0 || f->batch->effect_count > 0 || f->batch->message_count > 0) {
        commit_batch(f);
    } else if (f->load_count > 0 && !f->is_holding_loads) {
        struct sg_effect load = f->loads[0];
        memmove(f->loads, f->loads + 1, (size_t)--f->load_count * sizeof(load));
        load_answer(f, &load);
    } else if (sg_engine_next_due(f->engine) <= f->now_ms) {
        rig_need(sg_engine_advance(f->engine, f->now_ms, STEPS_PER_ADVANCE, f->batch) == SG_OK, "the engine ran out of memory");
    } else {
        return false;
    }
    return true;
}

static void settle(struct fixture *f)
{
    for (int round = 0; round < 10000; round++)
        if (f->is_batching || !step(f))
            return;
    cr_assert(0, "the engine does not come to rest");
}

struct client *post(struct fixture *f, struct sg_message *message)
{
    rig_need(f->client_count < 2048, "too many clients for the fixture");
    struct client *client = &f->clients[f->client_count++];
    client->base.reply = reply_record;
    message->client = &client->base;
    handle(f, message);
    settle(f);
    return client;
}

void begin_batch(struct fixture *f)
{
    f->is_batching = true;
}

void end_batch(struct fixture *f)
{
    f->is_batching = false;
    settle(f);
}

void release_loads(struct fixture *f)
{
    f->is_holding_loads = false;
    settle(f);
}

void fail_loads(struct fixture *f)
{
    int loads = f->load_count;
    for (int index = 0; index < loads; index++) {
        bool is_run = f->loads[index].kind == SG_EFFECT_LOAD_RUN;
        bool is_runs = f->loads[index].kind == SG_EFFECT_LOAD_RUNS;
        struct sg_message *message = sg_message_create(is_run    ? SG_MESSAGE_LOADED_RUN
                                                       : is_runs ? SG_MESSAGE_LOADED_RUNS
                                                                 : SG_MESSAGE_LOADED_EVENT);
        rig_need(message != NULL, "no memory for a message");
        if (is_runs) {
            message->as.loaded_runs.id = f->loads[index].run_id;
            message->as.loaded_runs.status = SG_STORE_CORRUPT;
        } else if (is_run) {
            message->as.loaded_run.run_id = f->loads[index].run_id;
            message->as.loaded_run.status = SG_STORE_CORRUPT;
        } else {
            message->as.loaded_event.position = f->loads[index].position;
            message->as.loaded_event.run_id = f->loads[index].run_id;
            message->as.loaded_event.job_id = f->loads[index].job_id;
            message->as.loaded_event.status = SG_STORE_CORRUPT;
        }
        handle(f, message);
    }
    f->load_count = 0;
    f->is_holding_loads = false;
    settle(f);
}

void move_clock_ms(struct fixture *f, int64_t now_ms)
{
    cr_assert(now_ms >= f->now_ms);
    f->now_ms = now_ms;
    settle(f);
}

void move_clock(struct fixture *f, const char *time)
{
    move_clock_ms(f, AT(time));
}

void move_to_next_due(struct fixture *f)
{
    move_clock_ms(f, next_due(f));
}

/* ---- messages ---- */

static struct sg_str json_in(struct sg_arena *arena, const char *text)
{
    struct sg_str quoted = sg_arena_copy(arena, sg_str_from(text));
    rig_need(quoted.ptr != NULL, "no memory for JSON");
    for (size_t index = 0; index < quoted.len; index++)
        if (quoted.ptr[index] == '\'')
            ((char *)(uintptr_t)quoted.ptr)[index] = '"';
    struct sg_buf canonical = {0};
    struct sg_error error = {0};
    rig_need(sg_json_canonicalize(quoted, NULL, &canonical, &error) == SG_OK, error.message);
    struct sg_str copy = sg_arena_copy(arena, sg_buf_str(&canonical));
    sg_buf_free(&canonical);
    return copy;
}

struct sg_str json(struct fixture *f, const char *text)
{
    return json_in(&f->arena, text);
}

struct client *serve(struct fixture *f, const struct rig_function *functions, size_t function_count)
{
    struct sg_buf checksum = {0};
    for (size_t index = 0; index < function_count; index++)
        sg_buf_printf(&checksum, "%s %s %s %d %d;", functions[index].slug, functions[index].event,
                      functions[index].expression != NULL ? functions[index].expression : "", functions[index].retries,
                      functions[index].revision);
    sg_buf_byte(&checksum, '\0');
    struct client *client = post(f, rig_registration("app", "http://app.test/api/inngest", checksum.ptr, functions, function_count));
    sg_buf_free(&checksum);
    return client;
}

void send_events(struct fixture *f, const struct event_spec *specs, size_t spec_count)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_EVENTS);
    rig_need(message != NULL, "no memory for a message");
    struct sg_arena *arena = &message->arena;
    struct sg_event_in *in = sg_arena_zalloc(arena, spec_count * sizeof(*in));
    rig_need(in != NULL, "no memory for events");
    for (size_t index = 0; index < spec_count; index++) {
        const struct event_spec *spec = &specs[index];
        char id[32];
        snprintf(id, sizeof(id), "fresh-%lld-%zu", (long long)f->commit, index);
        struct sg_str id_text = spec->id != NULL ? sg_str_from(spec->id) : sg_str_from(id);
        in[index].ts_ms = spec->ts_ms != 0 ? spec->ts_ms : f->now_ms - f->options.clock_offset_ms;
        struct sg_str text = sg_arena_printf(arena, "{'data':%s,'id':'%.*s','name':'%s','ts':%lld}", spec->data != NULL ? spec->data : "{}",
                                             SG_FMT(id_text), spec->name, (long long)in[index].ts_ms);
        in[index].name = sg_arena_copy(arena, sg_str_from(spec->name));
        in[index].body = json_in(arena, text.ptr);
        in[index].internal_id = rig_id("internal", sg_arena_printf(arena, "%lld-%zu", (long long)f->commit, index));
        in[index].is_id_fresh = spec->id == NULL;
        if (spec->id != NULL)
            in[index].key = rig_id("event", id_text);
    }
    message->as.events.events = in;
    message->as.events.count = spec_count;
    message->as.events.received_at_ms = f->now_ms;
    rig_lookup(f->reader, message, f->now_ms, f->commit - 1);
    if (f->is_batching) {
        handle(f, message);
        return;
    }
    struct client *client = post(f, message);
    ASSERT_INT(client->reply.status, SG_OK);
}

void send_event(struct fixture *f, const char *name)
{
    SEND(f, {.name = name});
}

static struct sg_str member(struct sg_arena *arena, struct sg_str object, struct sg_str key)
{
    struct sg_str text = SG_STR_NULL;
    struct sg_str value = sg_json_get(object, key);
    if (sg_json_kind_of(value) == SG_JSON_STRING)
        rig_need(sg_json_to_str(value, arena, &text) == SG_OK, "no memory for a text");
    return text;
}

static struct sg_op *ops_read(struct sg_arena *arena, const char *text, size_t *op_count)
{
    struct sg_str array = json_in(arena, text);
    *op_count = sg_json_count(array);
    struct sg_op *ops = sg_arena_zalloc(arena, (*op_count + 1) * sizeof(*ops));
    rig_need(ops != NULL, "no memory for ops");
    struct sg_json_iter iter = sg_json_iter(array);
    struct sg_str object;
    for (size_t index = 0; sg_json_next_element(&iter, &object); index++) {
        struct sg_op *op = &ops[index];
        struct sg_str opts = sg_json_get(object, SG_STR("opts"));
        struct sg_str data = sg_json_get(object, SG_STR("data"));
        rig_need(sg_opcode_parse(member(arena, object, SG_STR("op")), &op->code), "an opcode in a test");
        op->id = member(arena, object, SG_STR("id"));
        op->name = member(arena, object, SG_STR("name"));
        struct sg_str display_name = member(arena, object, SG_STR("displayName"));
        op->display_name = display_name.len > 0 ? display_name : op->name.len > 0 ? op->name : op->id;
        op->data = data.len > 0 ? data : SG_STR("null");
        op->error = sg_json_get(object, SG_STR("error"));
        op->opts = opts;
        (void)sg_json_to_int(sg_json_get(sg_json_get(object, SG_STR("timing")), SG_STR("a")), &op->started_at_ns);
        (void)sg_json_to_int(sg_json_get(sg_json_get(object, SG_STR("timing")), SG_STR("b")), &op->duration_ns);
        op->duration = member(arena, opts, SG_STR("duration"));
        if (op->duration.len == 0)
            op->duration = op->name;
        op->is_race = sg_str_eq_nocase(member(arena, opts, SG_STR("parallelMode")), SG_STR("race"));
        if ((op->code == SG_OP_STEP_ERROR || op->code == SG_OP_STEP_FAILED) && op->error.len == 0)
            op->error = SG_STR("{\"message\":\"boom\",\"name\":\"Error\"}");
    }
    return ops;
}

static struct sg_message *answer_create(struct fixture *f, int call, enum sg_answer_kind kind)
{
    cr_assert(call >= 0 && call < f->call_count, "there is no call %d", call);
    struct sg_message *message = sg_message_create(SG_MESSAGE_ANSWER);
    rig_need(message != NULL, "no memory for a message");
    message->as.answer.run_id = f->calls[call]->run_id;
    message->as.answer.job_id = f->calls[call]->job_id;
    message->as.answer.generation = f->calls[call]->generation;
    message->as.answer.answer.kind = kind;
    message->as.answer.answer.request_version = f->request_version;
    f->answered[call] = 1;
    return message;
}

static void answer_hand_in(struct fixture *f, struct sg_message *message)
{
    handle(f, message);
    settle(f);
}

static int oldest_open(struct fixture *f)
{
    for (int call = 0; call < f->call_count; call++)
        if (!f->answered[call])
            return call;
    cr_assert(0, "no call is waiting for an answer");
    return -1;
}

void report_to(struct fixture *f, int call, const char *ops)
{
    struct sg_message *message = answer_create(f, call, SG_ANSWER_OPS);
    struct sg_answer *answer = &message->as.answer.answer;
    answer->ops = ops_read(&message->arena, ops, &answer->op_count);
    answer->http_status = 206;
    answer_hand_in(f, message);
}

void report(struct fixture *f, const char *ops)
{
    report_to(f, oldest_open(f), ops);
}

void report_with(struct fixture *f, const char *ops, bool is_no_retry, int64_t retry_after_ms)
{
    struct sg_message *message = answer_create(f, oldest_open(f), SG_ANSWER_OPS);
    struct sg_answer *answer = &message->as.answer.answer;
    answer->ops = ops_read(&message->arena, ops, &answer->op_count);
    answer->http_status = 206;
    answer->is_no_retry = is_no_retry;
    answer->retry_after_ms = retry_after_ms;
    answer_hand_in(f, message);
}

void finish_to(struct fixture *f, int call, const char *output)
{
    struct sg_message *message = answer_create(f, call, SG_ANSWER_FINISHED);
    message->as.answer.answer.output = json_in(&message->arena, output);
    message->as.answer.answer.http_status = 200;
    answer_hand_in(f, message);
}

void finish(struct fixture *f, const char *output)
{
    finish_to(f, oldest_open(f), output);
}

void fail_to(struct fixture *f, int call, const char *error, bool is_no_retry)
{
    struct sg_message *message = answer_create(f, call, SG_ANSWER_ERROR);
    message->as.answer.answer.error = json_in(&message->arena, error);
    message->as.answer.answer.output = message->as.answer.answer.error;
    message->as.answer.answer.is_no_retry = is_no_retry;
    message->as.answer.answer.http_status = is_no_retry ? 400 : 500;
    answer_hand_in(f, message);
}

void fail(struct fixture *f, const char *error, bool is_no_retry)
{
    fail_to(f, oldest_open(f), error, is_no_retry);
}

static struct sg_message *fetched_create(struct fixture *f, int number)
{
    cr_assert(number >= 0 && number < f->fetch_count, "there is no request %d", number);
    const struct sg_fetch *fetch = f->fetches[number];
    struct sg_message *message = sg_message_create(SG_MESSAGE_FETCHED);
    rig_need(message != NULL, "no memory for a message");
    message->as.fetched.run_id = fetch->run_id;
    message->as.fetched.job_id = fetch->job_id;
    message->as.fetched.generation = fetch->generation;
    message->as.fetched.step_id = sg_arena_copy(&message->arena, fetch->step_id);
    return message;
}

void fetched(struct fixture *f, int fetch, const char *data)
{
    struct sg_message *message = fetched_create(f, fetch);
    message->as.fetched.data = json_in(&message->arena, data);
    answer_hand_in(f, message);
}

static void fetch_end(struct fixture *f, int fetch, const char *text, bool is_final)
{
    struct sg_message *message = fetched_create(f, fetch);
    message->as.fetched.error = sg_arena_printf(&message->arena, "{\"message\":\"%s\",\"name\":\"GatewayError\"}", text);
    message->as.fetched.is_final = is_final;
    answer_hand_in(f, message);
}

void fetch_failed(struct fixture *f, int fetch, const char *text)
{
    fetch_end(f, fetch, text, false);
}

void fetch_refused(struct fixture *f, int fetch, const char *text)
{
    fetch_end(f, fetch, text, true);
}

struct client *checkpoint_raw(struct fixture *f, struct sg_id run_id, int64_t job_id, int generation, const char *ops)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_CHECKPOINT);
    rig_need(message != NULL, "no memory for a message");
    message->as.checkpoint.run_id = run_id;
    message->as.checkpoint.job_id = job_id;
    message->as.checkpoint.generation = generation;
    message->as.checkpoint.ops = ops_read(&message->arena, ops, &message->as.checkpoint.op_count);
    return post(f, message);
}

struct client *checkpoint(struct fixture *f, int call, const char *ops)
{
    return checkpoint_raw(f, f->calls[call]->run_id, f->calls[call]->job_id, f->calls[call]->generation, ops);
}

struct client *endpoint_begins_at(struct fixture *f, const char *path, int retries, const char *run, const char *ops)
{
    f->last_run = rig_id("endpoint run", sg_str_from(run));
    struct sg_message *message = rig_http_run(f->last_run, path, retries, f->now_ms);
    message->as.http_run.ops = ops_read(&message->arena, ops, &message->as.http_run.op_count);
    rig_lookup(f->reader, message, f->now_ms, f->commit - 1);
    return post(f, message);
}

struct client *endpoint_begins(struct fixture *f, const char *run, const char *ops)
{
    return endpoint_begins_at(f, "/do", 3, run, ops);
}

struct client *endpoint_reports(struct fixture *f, const char *run, const char *ops)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_CHECKPOINT);
    rig_need(message != NULL, "no memory for a message");
    f->last_run = rig_id("endpoint run", sg_str_from(run));
    message->as.checkpoint.run_id = f->last_run;
    message->as.checkpoint.is_sync = true;
    message->as.checkpoint.ops = ops_read(&message->arena, ops, &message->as.checkpoint.op_count);
    return post(f, message);
}

struct client *cancel(struct fixture *f, struct sg_id run_id)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL);
    rig_need(message != NULL, "no memory for a message");
    message->as.cancel.run_id = run_id;
    message->as.cancel.reason = SG_STR("a user asked for it");
    return post(f, message);
}

struct client *send_signal(struct fixture *f, const char *name, const char *data)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_SIGNAL);
    rig_need(message != NULL, "no memory for a message");
    message->as.signal.name = sg_arena_copy(&message->arena, sg_str_from(name));
    message->as.signal.data = json_in(&message->arena, data);
    return post(f, message);
}

struct client *cancel_all(struct fixture *f, const char *expression, bool is_dry_run)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_CANCEL_RUNS);
    rig_need(message != NULL, "no memory for a message");
    message->as.cancel_runs.app = SG_STR("app");
    message->as.cancel_runs.function = SG_STR("fn");
    message->as.cancel_runs.before_ms = f->now_ms;
    message->as.cancel_runs.expression = sg_str_from(expression);
    message->as.cancel_runs.is_dry_run = is_dry_run;
    return post(f, message);
}

const char *cancellation_progress(struct fixture *f, struct sg_id id)
{
    struct sg_error error = {0};
    struct sg_record record;
    struct sg_value key = sg_value_id(&id);
    if (sg_store_get(f->reader, SG_KIND_CANCELLATION, &key, &f->arena, &record, &error) != SG_OK)
        return "-";
    return sg_arena_printf(&f->arena, "%lld/%lld/%lld%s", (long long)record.values[SG_CANCELLATION_TOTAL].number,
                           (long long)record.values[SG_CANCELLATION_EXAMINED].number,
                           (long long)record.values[SG_CANCELLATION_MATCHED].number,
                           record.values[SG_CANCELLATION_ENDED_AT].is_null ? "..." : "")
        .ptr;
}

/* ---- looking ---- */

const char *calls_from(struct fixture *f, int from)
{
    struct sg_buf text = {0};
    for (int index = from; index < f->call_count; index++) {
        const struct sg_call *call = f->calls[index];
        sg_buf_printf(&text, "%s%.*s@%lld%s", index > from ? " " : "", call->target.len > 0 ? (int)call->target.len : 4,
                      call->target.len > 0 ? call->target.ptr : "step", (long long)call->snapshot, call->is_plan_forced ? "!" : "");
        if (call->attempt > 0)
            sg_buf_printf(&text, "#%d", call->attempt);
    }
    struct sg_str copy = sg_arena_copy(&f->arena, sg_buf_str(&text));
    sg_buf_free(&text);
    return copy.ptr;
}

const char *fetches_from(struct fixture *f, int from)
{
    struct sg_buf text = {0};
    for (int index = from; index < f->fetch_count; index++)
        sg_buf_printf(&text, "%s%.*s", index > from ? " " : "", SG_FMT(f->fetches[index]->step_id));
    struct sg_str copy = sg_arena_copy(&f->arena, sg_buf_str(&text));
    sg_buf_free(&text);
    return copy.ptr;
}

struct sg_call *call_at(struct fixture *f, int number)
{
    cr_assert(number >= 0 && number < f->call_count);
    return f->calls[number];
}

struct sg_call *last_call(struct fixture *f)
{
    return call_at(f, f->call_count - 1);
}

int64_t next_due(struct fixture *f)
{
    return sg_engine_next_due(f->engine);
}

struct sg_engine_stats stats(struct fixture *f)
{
    struct sg_engine_stats all;
    sg_engine_stats(f->engine, &all);
    return all;
}

static enum sg_status count_one(void *context, const struct sg_record *record)
{
    (void)record;
    ++*(int64_t *)context;
    return SG_OK;
}

int64_t count(struct fixture *f, enum sg_kind kind)
{
    int64_t found = 0;
    struct sg_error error = {0};
    rig_need(sg_store_scan(f->store, kind, count_one, &found, &error) == SG_OK, error.message);
    return found;
}

static const char *value_text(struct fixture *f, const struct sg_value *value)
{
    if (value->is_null)
        return "-";
    struct sg_str copy =
        value->bytes.ptr != NULL ? sg_arena_copy(&f->arena, value->bytes) : sg_arena_printf(&f->arena, "%lld", (long long)value->number);
    return copy.ptr;
}

static bool step_get(struct fixture *f, enum sg_kind kind, const char *step, struct sg_record *record)
{
    struct sg_error error = {0};
    struct sg_value key[2] = {sg_value_id(&f->last_run), sg_value_bytes(sg_str_from(step))};
    return sg_store_get(f->reader, kind, key, &f->arena, record, &error) == SG_OK;
}

const char *memo(struct fixture *f, const char *step)
{
    struct sg_record record;
    return step_get(f, SG_KIND_MEMO, step, &record) ? value_text(f, &record.values[SG_MEMO_BYTES]) : "-";
}

const char *step_text(struct fixture *f, const char *step, int column)
{
    struct sg_record record;
    return step_get(f, SG_KIND_STEP, step, &record) ? value_text(f, &record.values[column]) : "-";
}

int64_t step_number(struct fixture *f, const char *step, int column)
{
    struct sg_record record;
    return step_get(f, SG_KIND_STEP, step, &record) ? record.values[column].number : -1;
}

const char *step_status(struct fixture *f, const char *step)
{
    struct sg_record record;
    if (!step_get(f, SG_KIND_STEP, step, &record))
        return "-";
    return sg_step_status_name((enum sg_step_status)record.values[SG_STEP_STATUS].number);
}

struct memo_list {
    struct fixture *f;
    const char *ids[4096];
    int64_t count;
};

static enum sg_status memo_collect(void *context, const struct sg_record *record)
{
    struct memo_list *list = context;
    if (!sg_id_eq(sg_value_get_id(&record->values[SG_MEMO_RUN_ID]), list->f->last_run))
        return SG_OK;
    int64_t seq = record->values[SG_MEMO_SEQ].number;
    rig_need(seq >= 0 && seq < 4096 && list->ids[seq] == NULL, "two memos with one seq");
    list->ids[seq] = value_text(list->f, &record->values[SG_MEMO_STEP_ID]);
    list->count++;
    return SG_OK;
}

const char *stack(struct fixture *f)
{
    static struct memo_list list;
    memset(&list, 0, sizeof(list));
    list.f = f;
    struct sg_error error = {0};
    rig_need(sg_store_scan(f->store, SG_KIND_MEMO, memo_collect, &list, &error) == SG_OK, error.message);
    struct sg_buf text = {0};
    for (int64_t seq = 0; seq < list.count; seq++) {
        rig_need(list.ids[seq] != NULL, "a seq without memo");
        sg_buf_printf(&text, "%s%s", seq > 0 ? " " : "", list.ids[seq]);
    }
    struct sg_str copy = sg_arena_copy(&f->arena, sg_buf_str(&text));
    sg_buf_free(&text);
    return copy.ptr;
}

static bool run_get(struct fixture *f, struct sg_record *record)
{
    struct sg_error error = {0};
    struct sg_value key = sg_value_id(&f->last_run);
    return sg_store_get(f->reader, SG_KIND_RUN, &key, &f->arena, record, &error) == SG_OK;
}

const char *run_status(struct fixture *f)
{
    struct sg_record record;
    return run_get(f, &record) ? sg_run_status_name((enum sg_run_status)record.values[SG_RUN_STATUS].number) : "-";
}

const char *run_output(struct fixture *f)
{
    struct sg_record record;
    return run_get(f, &record) ? value_text(f, &record.values[SG_RUN_OUTPUT]) : "-";
}

const char *run_error(struct fixture *f)
{
    struct sg_record record;
    return run_get(f, &record) ? value_text(f, &record.values[SG_RUN_ERROR]) : "-";
}

const char *run_text(struct fixture *f, int column)
{
    struct sg_record record;
    return run_get(f, &record) ? value_text(f, &record.values[column]) : "-";
}

static enum sg_status live_visit(void *context, const struct sg_record *record)
{
    struct fixture *f = context;
    f->last_run = sg_value_get_id(&record->values[SG_RUN_LIVE_ID]);
    return SG_NOT_FOUND; /* ends the scan */
}

void find_run(struct fixture *f)
{
    struct sg_error error = {0};
    rig_need(sg_store_scan(f->store, SG_KIND_RUN_LIVE, live_visit, f, &error) == SG_NOT_FOUND, "no run is live");
}

static enum sg_status event_visit(void *context, const struct sg_record *record)
{
    struct sg_buf *text = context;
    sg_buf_printf(text, "%s%.*s", text->len > 0 ? " " : "", SG_FMT(record->values[SG_EVENT_NAME].bytes));
    return SG_OK;
}

const char *events(struct fixture *f)
{
    struct sg_buf names = {0};
    struct sg_error error = {0};
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .limit = 100000};
    rig_need(sg_store_read(f->reader, &query, event_visit, &names, &error) == SG_OK, error.message);
    struct sg_str copy = sg_arena_copy(&f->arena, sg_buf_str(&names));
    sg_buf_free(&names);
    return copy.ptr;
}

struct run_count {
    struct sg_id function_id;
    int64_t count;
};

static enum sg_status run_visit(void *context, const struct sg_record *record)
{
    struct run_count *counted = context;
    counted->count += sg_id_eq(sg_value_get_id(&record->values[SG_RUN_FUNCTION_ID]), counted->function_id);
    return SG_OK;
}

int64_t runs_of(struct fixture *f, const char *slug)
{
    struct run_count counted = {.function_id = rig_id("function", sg_str_from(slug))};
    struct sg_error error = {0};
    struct sg_query query = {.kind = SG_KIND_RUN, .index = SG_INDEX_KEY, .limit = 100000};
    rig_need(sg_store_read(f->reader, &query, run_visit, &counted, &error) == SG_OK, error.message);
    return counted.count;
}

const char *why(struct fixture *f, struct sg_id run_id)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_EXPLAIN);
    rig_need(message != NULL, "no memory for a message");
    message->as.explain.run_id = run_id;
    begin_batch(f);
    struct client *client = post(f, message);
    struct sg_str text = SG_STR_NULL;
    for (size_t index = 0; index < f->batch->effect_count; index++)
        if (f->batch->effects[index].client == &client->base)
            text = sg_arena_printf(&f->arena, "%.*s", SG_FMT(f->batch->effects[index].reply.text));
    end_batch(f);
    rig_need(text.ptr != NULL, "nobody explained");
    return text.ptr;
}
