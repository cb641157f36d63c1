/*
 * SDKs: what runs on the other side of a call.
 *
 * The model. A call that has gone out becomes an `exec`: one execution of a function, which sees exactly the memos that the call shows (those in the
 * store with a seq below its snapshot). It does one thing at a time: look where the function stands, execute a step, send a checkpoint, answer. What it
 * answers follows the versions that real SDKs speak (reference/02 §4.3, §8, §16; reference/03 §4.2):
 *
 *   version 0  reports only what it found since the previous memo, executes a single step whatever it is told, fails as a whole
 *   version 1  reports all it finds, executes a single step unless plans are forced
 *   version 2  the same, and may checkpoint: it goes on from step to step within one call
 *
 * An exec outlives the process that called it: it goes on, its checkpoints reach the next process, and its answer reaches nobody.
 */
#include <stdlib.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/duration.h"
#include "sim/world.h"

enum exec_state { EXEC_NEW, EXEC_READY, EXEC_WAITING, EXEC_HANGING };

#define CHECKPOINT_TRIES 2
#define BUFFER_MAX 16
#define OWN_MAX 64

struct exec_memo {
    char id[SCRIPT_ID_MAX];
    int64_t seq;
    bool is_error;
};

struct exec {
    enum exec_state state;
    struct sg_call *call;
    struct world_function *function;
    const struct script *script;
    struct oracle_run *run;
    int64_t called_at;       /* tick */
    bool is_orphan;          /* nobody waits for its answer any more */
    struct exec_memo *memos; /* ordered by id */
    int memo_count;
    int64_t memos_below;              /* version 0: only those before the cause's successor are seen */
    char own[OWN_MAX][SCRIPT_ID_MAX]; /* executed and remembered in this call */
    int own_count;
    char buffer[BUFFER_MAX][SCRIPT_ID_MAX]; /* of them: not confirmed yet */
    char buffer_data[BUFFER_MAX][48];
    int buffer_count;
    int sent_count; /* of the buffer, in the checkpoint that is out */
    int tries;
    struct sg_message *final; /* the answer that is ready once the buffer is confirmed */
    struct client *client;
};

static void exec_answer(struct world *world, struct exec *exec, struct sg_message *message);

/* ---- life ---- */

static struct exec **slot(struct world *world, int index)
{
    return &((struct exec **)(void *)world->execs)[index];
}

static void exec_free(struct world *world, struct exec *exec)
{
    for (int index = 0; index < world->exec_count; index++)
        if (*slot(world, index) == exec) {
            *slot(world, index) = *slot(world, --world->exec_count);
            break;
        }
    if (exec->client != NULL)
        exec->client->exec = NULL;
    sg_message_free(exec->final);
    sg_call_free(exec->call);
    free(exec->memos);
    free(exec);
}

void sdk_free_all(struct world *world)
{
    while (world->exec_count > 0)
        exec_free(world, *slot(world, 0));
    free(world->execs);
    world->execs = NULL;
}

void sdk_call(struct world *world, struct sg_call *call)
{
    oracle_called(&world->oracle, call, world->now_ms);
    struct exec *exec = calloc(1, sizeof(*exec));
    rig_need(exec != NULL, "no memory for an SDK");
    exec->call = call;
    exec->function = world_function(world, call->slug);
    exec->script =
        exec->function->is_other && exec->function->spec->other != NULL ? exec->function->spec->other : exec->function->spec->script;
    exec->run = oracle_run(&world->oracle, call->run_id);
    exec->called_at = world->tick;
    world->totals.calls++;
    if ((world->exec_count & (world->exec_count + 1)) == 0 || world->execs == NULL) {
        world->execs = realloc(world->execs, (size_t)(world->exec_count + 1) * 2 * sizeof(exec));
        rig_need(world->execs != NULL, "no memory for SDKs");
    }
    *slot(world, world->exec_count++) = exec;
}

/* ---- what the call shows ---- */

struct memo_list {
    struct world *world;
    struct exec *exec;
    int capacity;
};

static enum sg_status memo_visit(void *context, const struct sg_record *record)
{
    struct memo_list *list = context;
    struct exec *exec = list->exec;
    const struct sg_value *values = record->values;
    if (values[SG_MEMO_SEQ].number >= exec->call->snapshot)
        return SG_OK;
    if (exec->memo_count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        exec->memos = realloc(exec->memos, (size_t)list->capacity * sizeof(*exec->memos));
        rig_need(exec->memos != NULL, "no memory for memos");
    }
    struct exec_memo *memo = &exec->memos[exec->memo_count++];
    struct sg_str id = values[SG_MEMO_STEP_ID].bytes;
    memset(memo->id, 0, sizeof(memo->id));
    memcpy(memo->id, id.ptr, id.len < SCRIPT_ID_MAX ? id.len : SCRIPT_ID_MAX - 1);
    memo->seq = values[SG_MEMO_SEQ].number;
    memo->is_error = sg_json_get(values[SG_MEMO_BYTES].bytes, SG_STR("error")).len > 0;
    oracle_shown(&list->world->oracle, exec->run, id, values[SG_MEMO_BYTES].bytes, list->world->tick, list->world->now_ms);
    return SG_OK;
}

static int memo_cmp(const void *key, const void *entry)
{
    return strcmp(key, ((const struct exec_memo *)entry)->id);
}

static const struct exec_memo *memo_find(const struct exec *exec, const char *id)
{
    if (exec->memo_count == 0)
        return NULL;
    return bsearch(id, exec->memos, (size_t)exec->memo_count, sizeof(*exec->memos), memo_cmp);
}

/* Reads the body of the call as the SDK gets it. */
static void exec_receive(struct world *world, struct exec *exec)
{
    struct memo_list list = {world, exec, 0};
    struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .equal_count = 1, .limit = 100000};
    query.equal[0] = sg_value_id(&exec->call->run_id);
    struct sg_error error = {0};
    rig_need(sg_store_read(world->reader, &query, memo_visit, &list, &error) == SG_OK, error.message);
    if (exec->memo_count != exec->call->snapshot)
        oracle_break(&world->oracle, "a call shows %d memos, its snapshot is %lld", exec->memo_count, (long long)exec->call->snapshot);

    struct sg_str cause = exec->call->cause;
    exec->memos_below = INT64_MAX;
    if (exec->function->spec->version == 0) {
        char id[SCRIPT_ID_MAX] = {0};
        memcpy(id, cause.ptr, cause.len < SCRIPT_ID_MAX ? cause.len : SCRIPT_ID_MAX - 1);
        const struct exec_memo *memo = cause.len > 0 ? memo_find(exec, id) : NULL;
        exec->memos_below = memo != NULL ? memo->seq + 1 : 0;
    }
    exec->state = EXEC_READY;
}

static enum script_memo view_memo(void *context, const char *id)
{
    const struct exec *exec = context;
    for (int index = 0; index < exec->own_count; index++)
        if (strcmp(exec->own[index], id) == 0)
            return SCRIPT_DATA;
    const struct exec_memo *memo = memo_find(exec, id);
    if (memo == NULL || memo->seq >= exec->memos_below)
        return SCRIPT_NO_MEMO;
    return memo->is_error ? SCRIPT_ERROR : SCRIPT_DATA;
}

static bool view_throws(void *context, const struct script_node *node)
{
    const struct exec *exec = context;
    return exec->run->body_throws++ < node->throws;
}

static void exec_walk(struct exec *exec, struct script_result *result)
{
    struct script_view view = {view_memo, view_throws, exec};
    script_walk(exec->script, &view, result);
}

/* ---- answers ---- */

static int64_t backoff_ms(const struct world *world, int attempt)
{
    static const int64_t seconds[] = {15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200};
    return world->scenario->retry_interval_ms > 0 ? world->scenario->retry_interval_ms : seconds[attempt < 9 ? attempt : 9] * 1000;
}

static struct sg_message *answer_create(const struct exec *exec, enum sg_answer_kind kind, int op_capacity)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_ANSWER);
    rig_need(message != NULL, "no memory for an answer");
    message->as.answer.run_id = exec->call->run_id;
    message->as.answer.job_id = exec->call->job_id;
    message->as.answer.generation = exec->call->generation;
    struct sg_answer *answer = &message->as.answer.answer;
    answer->kind = kind;
    answer->request_version = exec->function->spec->version;
    answer->http_status = kind == SG_ANSWER_OPS ? 206 : kind == SG_ANSWER_FINISHED ? 200 : 500;
    answer->ops = sg_arena_zalloc(&message->arena, (size_t)(op_capacity + 1) * sizeof(*answer->ops));
    rig_need(answer->ops != NULL, "no memory for ops");
    return message;
}

static struct sg_op *op_add(struct sg_message *message, enum sg_opcode code, const char *id, bool is_race)
{
    struct sg_answer *answer = &message->as.answer.answer;
    struct sg_op *op = &answer->ops[answer->op_count++];
    op->code = code;
    op->id = sg_arena_copy(&message->arena, sg_str_from(id));
    op->name = op->id;
    op->display_name = op->id;
    op->data = SG_STR("null");
    op->is_race = is_race;
    if (is_race)
        op->opts = SG_STR("{\"parallelMode\":\"race\"}");
    if (code == SG_OP_STEP_ERROR || code == SG_OP_STEP_FAILED)
        op->error = SG_STR("{\"message\":\"boom\",\"name\":\"Error\"}");
    return op;
}

static struct sg_message *answer_error(const struct exec *exec, const char *text, bool is_no_retry)
{
    struct sg_message *message = answer_create(exec, SG_ANSWER_ERROR, 0);
    message->as.answer.answer.error =
        sg_arena_printf(&message->arena, "{\"error\":\"%s\",\"message\":\"%s\",\"name\":\"Error\"}", text, text);
    message->as.answer.answer.is_no_retry = is_no_retry;
    return message;
}

static struct sg_message *message_copy(const struct sg_message *message)
{
    struct sg_message *copy = sg_message_create(message->kind);
    rig_need(copy != NULL, "no memory for a copy");
    copy->as = message->as;
    struct sg_buf bytes = {0};
    sg_answer_encode(&message->as.answer.answer, &bytes);
    struct sg_str own = sg_arena_copy(&copy->arena, sg_buf_str(&bytes));
    sg_buf_free(&bytes);
    rig_need(sg_answer_decode_bytes(own, &copy->arena, &copy->as.answer.answer) == SG_OK, "an answer did not survive its encoding");
    return copy;
}

/* `delay` in ticks, at most. */
static void answer_post(struct world *world, const struct exec *exec, struct sg_message *message, uint64_t delay)
{
    const struct sg_answer *answer = &message->as.answer.answer;
    int64_t delay_ms = backoff_ms(world, exec->call->attempt);
    if (answer->retry_after_ms > 0 && answer->retry_after_ms < delay_ms)
        delay_ms = answer->retry_after_ms;
    oracle_may_fail(&world->oracle, exec->call, world->now_ms + delay_ms);
    world_post(world, message, -1, (int64_t)world_below(world, delay));
}

/* The caller gives up waiting; the SDK may not have noticed anything. */
static void answer_timed_out(struct world *world, struct exec *exec)
{
    answer_post(world, exec, answer_error(exec, "Unable to reach SDK URL", false), 16);
    exec->is_orphan = true;
}

static struct sg_message *answer_garbage(struct world *world, struct exec *exec)
{
    exec->run->is_excused = true;
    struct sg_message *message = answer_create(exec, SG_ANSWER_OPS, 8);
    switch (world_below(world, 8)) {
    case 0:
        break; /* [] */
    case 1:
        op_add(message, SG_OP_NONE, "nothing", false);
        op_add(message, SG_OP_STEP_PLANNED, "nowhere", false);
        break;
    case 2:
        op_add(message, SG_OP_STEP_NOT_FOUND, "lost", false);
        break;
    case 3:
        op_add(message, SG_OP_DISCOVERY_REQUEST, "again", false);
        break;
    case 4:
        op_add(message, SG_OP_WAIT_FOR_EVENT, "wait", false)->opts = SG_STR("{\"if\":\"event.data.x ==\"}");
        break;
    case 5:
        op_add(message, SG_OP_AI_GATEWAY, "unheard-of", false)->opts =
            world_chance(world, 5000) ? SG_STR("{\"url\":\"http://x/\"}") : SG_STR("{}");
        break;
    case 6:
        op_add(message, SG_OP_STEP_RUN, "stray", false);
        op_add(message, SG_OP_STEP_RUN, "stray", false);
        op_add(message, SG_OP_STEP_PLANNED, "stray", false);
        op_add(message, SG_OP_SLEEP, "stray-nap", false)->duration = SG_STR("10s");
        break;
    default:
        op_add(message, SG_OP_STEP_PLANNED, "twin", false);
        op_add(message, SG_OP_STEP_PLANNED, "twin", true);
        op_add(message, SG_OP_STEP_ERROR, "other", false);
        break;
    }
    return message;
}

/* Takes the message. The exec is over unless it hangs. */
static void exec_answer(struct world *world, struct exec *exec, struct sg_message *message)
{
    if (exec->is_orphan) {
        sg_message_free(message);
    } else if (world_fault(world, FAULT_LOST)) {
        sg_message_free(message);
        answer_timed_out(world, exec);
    } else if (world_fault(world, FAULT_HANG)) {
        sg_message_free(message);
        exec->state = EXEC_HANGING;
        return;
    } else if (world_fault(world, FAULT_GARBAGE)) {
        sg_message_free(message);
        answer_post(world, exec, answer_garbage(world, exec), 16);
    } else {
        if (world_fault(world, FAULT_TWICE))
            answer_post(world, exec, message_copy(message), world_chance(world, 5000) ? 16 : 2000);
        answer_post(world, exec, message, 16);
    }
    exec_free(world, exec);
}

/* ---- checkpoints ---- */

static bool is_checkpointing(const struct exec *exec)
{
    return exec->function->spec->buffered_steps > 0 && exec->function->spec->version == 2 && !exec->call->is_plan_forced &&
           exec->call->target.len == 0;
}

static void buffer_ops(const struct exec *exec, struct sg_message *message)
{
    for (int index = 0; index < exec->buffer_count; index++) {
        struct sg_op *op = op_add(message, SG_OP_STEP_RUN, exec->buffer[index], false);
        op->data = sg_arena_copy(&message->arena, sg_str_from(exec->buffer_data[index]));
    }
}

static void checkpoint_send(struct world *world, struct exec *exec)
{
    struct sg_message *ops = answer_create(exec, SG_ANSWER_OPS, BUFFER_MAX);
    buffer_ops(exec, ops);
    struct sg_answer answer = ops->as.answer.answer;
    ops->kind = SG_MESSAGE_CHECKPOINT;
    memset(&ops->as, 0, sizeof(ops->as));
    ops->as.checkpoint.run_id = exec->call->run_id;
    ops->as.checkpoint.job_id = exec->call->job_id;
    ops->as.checkpoint.generation = exec->call->generation;
    ops->as.checkpoint.ops = answer.ops;
    ops->as.checkpoint.op_count = answer.op_count;
    if (world_fault(world, FAULT_GARBAGE)) {
        if (world_chance(world, 5000))
            answer.ops[0].code = SG_OP_SLEEP;
        else
            answer.ops[0].id = SG_STR("");
    }
    struct client *client = world_client(world, CLIENT_CHECKPOINT);
    client->exec = exec;
    exec->client = client;
    ops->client = &client->base;
    exec->sent_count = exec->buffer_count;
    exec->state = EXEC_WAITING;
    world->totals.checkpoints++;
    oracle_may_reset(&world->oracle, exec->call);
    world_post(world, ops, -1, (int64_t)world_below(world, 8));
}

/* The API cannot be reached: all that is not confirmed goes into the answer (reference/03 §4.2). */
static void checkpoint_give_up(struct world *world, struct exec *exec)
{
    if (exec->tries < CHECKPOINT_TRIES) {
        checkpoint_send(world, exec);
        return;
    }
    sg_message_free(exec->final);
    exec->final = NULL;
    struct sg_message *message = answer_create(exec, SG_ANSWER_OPS, BUFFER_MAX);
    buffer_ops(exec, message);
    exec_answer(world, exec, message);
}

void sdk_checkpoint_lost(struct world *world, struct exec *exec)
{
    exec->client = NULL;
    exec->tries++;
    checkpoint_give_up(world, exec);
}

void sdk_checkpoint_replied(struct world *world, struct exec *exec, const struct sg_reply *reply)
{
    exec->client = NULL;
    if (world_fault(world, FAULT_CHECKPOINT_LOST)) {
        sdk_checkpoint_lost(world, exec);
        return;
    }
    if (reply->status == SG_STALE) {
        exec_answer(world, exec, answer_error(exec, "StaleDispatchError", true));
        return;
    }
    if (reply->status != SG_OK) {
        exec->tries++;
        checkpoint_give_up(world, exec);
        return;
    }
    for (int index = 0; index < exec->sent_count; index++)
        oracle_confirmed(&world->oracle, exec->run, sg_str_from(exec->buffer[index]), exec->call, world->tick);
    exec->tries = 0;
    exec->buffer_count = 0;
    exec->sent_count = 0;
    exec->state = EXEC_READY;
    if (exec->final != NULL) {
        struct sg_message *message = exec->final;
        exec->final = NULL;
        exec_answer(world, exec, message);
    }
}

/* Answers, after what is in the buffer has been confirmed. */
static void flush_and_answer(struct world *world, struct exec *exec, struct sg_message *message)
{
    if (exec->buffer_count == 0) {
        exec_answer(world, exec, message);
        return;
    }
    exec->final = message;
    checkpoint_send(world, exec);
}

/* ---- steps ---- */

/* Executes the step; NULL if it succeeded, with its data, else the op or the error to answer with. */
static struct sg_message *step_execute(struct world *world, struct exec *exec, const struct script_found *found, char data[48])
{
    int executions = oracle_executed(&world->oracle, exec->run, sg_str_from(found->id), exec->call, exec->called_at);
    const struct script_node *node = found->node;
    if (node->throws >= 0 && executions > node->throws) {
        snprintf(data, 48, "{\"k\":%d}", executions);
        return NULL;
    }
    bool is_last = exec->call->attempt + 1 >= exec->call->max_attempts;
    struct sg_message *message;
    if (exec->function->spec->version == 0) {
        message = answer_error(exec, "boom", node->is_final);
    } else {
        bool is_failed = node->is_final || (is_last && world_chance(world, 8000)); /* older SDKs leave the counting to the server */
        message = answer_create(exec, SG_ANSWER_OPS, 1);
        op_add(message, is_failed ? SG_OP_STEP_FAILED : SG_OP_STEP_ERROR, found->id, found->is_race);
    }
    if (world_chance(world, 500))
        message->as.answer.answer.retry_after_ms = 1000 + (int64_t)world_below(world, 20000);
    return message;
}

static struct sg_message *step_result(const struct exec *exec, const struct script_found *found, const char *data)
{
    struct sg_message *message = answer_create(exec, SG_ANSWER_OPS, 1);
    struct sg_op *op = op_add(message, exec->function->spec->version == 0 ? SG_OP_STEP : SG_OP_STEP_RUN, found->id, found->is_race);
    op->data = sg_arena_copy(&message->arena, sg_str_from(data));
    return message;
}

static void exec_target(struct world *world, struct exec *exec)
{
    char id[SCRIPT_ID_MAX] = {0};
    struct sg_str target = exec->call->target;
    memcpy(id, target.ptr, target.len < SCRIPT_ID_MAX ? target.len : SCRIPT_ID_MAX - 1);
    struct script_found found;
    if (!script_find(exec->script, id, &found)) {
        exec_answer(world, exec, answer_error(exec, "Could not find step", false));
        return;
    }
    if (memo_find(exec, id) != NULL) {
        /* A real SDK would not come to this step and time out. */
        exec_answer(world, exec, answer_error(exec, "Could not find step", false));
        return;
    }
    char data[48];
    struct sg_message *message = step_execute(world, exec, &found, data);
    exec_answer(world, exec, message != NULL ? message : step_result(exec, &found, data));
}

static void plans_add(struct world *world, const struct exec *exec, struct sg_message *message, const struct script_found *found)
{
    if (found->is_fetch) {
        op_add(message, SG_OP_GATEWAY, found->id, found->is_race)->opts =
            found->is_race ? SG_STR("{\"headers\":{\"k\":\"s3cret\"},\"parallelMode\":\"race\",\"url\":\"http://x/\"}")
                           : SG_STR("{\"headers\":{\"k\":\"s3cret\"},\"url\":\"http://x/\"}");
        return;
    }
    if (found->node->kind != SCRIPT_NAP) {
        op_add(message, SG_OP_STEP_PLANNED, found->id, found->is_race);
        return;
    }
    struct sg_op *op = op_add(message, SG_OP_SLEEP, found->id, found->is_race);
    op->name = sg_str_from(found->node->text);
    op->duration = op->name;
    int64_t delay_ms = 0;
    rig_need(sg_delay_parse(op->duration.len > 0 ? op->duration : SG_STR("0"), world->now_ms, &delay_ms, NULL) == SG_OK,
             "a duration of a script");
    struct oracle_step *step = oracle_step(exec->run, sg_str_from(found->id));
    if (step->wakes_at_ms == 0)
        step->wakes_at_ms = world->now_ms + delay_ms;
}

/* Version 0 reports what it finds now and did not find one memo ago. */
static void keep_new(struct exec *exec, struct script_result *result)
{
    if (exec->memos_below == 0)
        return;
    static struct script_result before; /* too large for the stack of a walk */
    exec->memos_below--;
    exec_walk(exec, &before);
    exec->memos_below++;
    int kept = 0;
    for (int index = 0; index < result->found_count; index++) {
        bool is_old = false;
        for (int other = 0; other < before.found_count && !is_old; other++)
            is_old = strcmp(before.found[other].id, result->found[index].id) == 0;
        if (!is_old)
            result->found[kept++] = result->found[index];
    }
    result->found_count = kept;
}

/* Executes the only step that was found and, when checkpointing, goes on. */
static void exec_inline(struct world *world, struct exec *exec, const struct script_found *found)
{
    char data[48];
    struct sg_message *message = step_execute(world, exec, found, data);
    if (message != NULL) {
        flush_and_answer(world, exec, message);
        return;
    }
    if (!is_checkpointing(exec)) {
        exec_answer(world, exec, step_result(exec, found, data));
        return;
    }
    memcpy(exec->own[exec->own_count++], found->id, SCRIPT_ID_MAX);
    memcpy(exec->buffer[exec->buffer_count], found->id, SCRIPT_ID_MAX);
    memcpy(exec->buffer_data[exec->buffer_count++], data, sizeof(data));
    if (exec->call->attempt > 0) { /* so that the attempts are counted anew (reference/03 §4.2) */
        message = answer_create(exec, SG_ANSWER_OPS, BUFFER_MAX);
        buffer_ops(exec, message);
        exec_answer(world, exec, message);
    } else if (exec->buffer_count >= exec->function->spec->buffered_steps) {
        checkpoint_send(world, exec);
    }
}

static void exec_finish(struct world *world, struct exec *exec)
{
    struct sg_message *message;
    if (is_checkpointing(exec)) {
        message = answer_create(exec, SG_ANSWER_OPS, BUFFER_MAX + 1);
        buffer_ops(exec, message);
        op_add(message, SG_OP_RUN_COMPLETE, "complete", false)->data = SG_STR("\"done\"");
    } else {
        message = answer_create(exec, SG_ANSWER_FINISHED, 0);
        message->as.answer.answer.output = SG_STR("\"done\"");
    }
    exec_answer(world, exec, message);
}

static void exec_discover(struct world *world, struct exec *exec)
{
    static struct script_result result; /* too large for the stack of a walk */
    exec_walk(exec, &result);
    if (result.outcome == SCRIPT_RETURNS) {
        exec_finish(world, exec);
        return;
    }
    if (result.outcome != SCRIPT_BLOCKED) {
        bool is_final = result.outcome == SCRIPT_THROWS_STEP && exec->function->spec->version > 0;
        flush_and_answer(world, exec, answer_error(exec, "thrown", is_final));
        return;
    }
    int version = exec->function->spec->version;
    if (version == 0)
        keep_new(exec, &result);
    bool is_single =
        result.found_count == 1 && result.found[0].node->kind != SCRIPT_NAP && !result.found[0].is_fetch && !result.found[0].is_race;
    bool is_out_of_time = exec->own_count > 0 && (exec->own_count == OWN_MAX || world_chance(world, 300));
    if (is_single && (version == 0 || !exec->call->is_plan_forced) && !is_out_of_time) {
        exec_inline(world, exec, &result.found[0]);
        return;
    }
    struct sg_message *message = answer_create(exec, SG_ANSWER_OPS, result.found_count);
    for (int index = 0; index < result.found_count; index++)
        plans_add(world, exec, message, &result.found[index]);
    flush_and_answer(world, exec, message);
}

/* ---- the scheduler's side ---- */

bool sdk_act(struct world *world)
{
    int start = world->exec_count > 0 ? (int)world_below(world, (uint64_t)world->exec_count) : 0;
    struct exec *exec = NULL;
    for (int index = 0; index < world->exec_count && exec == NULL; index++) {
        struct exec *other = *slot(world, (start + index) % world->exec_count);
        if (other->state == EXEC_NEW || other->state == EXEC_READY)
            exec = other;
    }
    if (exec == NULL)
        return false;
    if (exec->state == EXEC_NEW) {
        if (!exec->is_orphan && world_fault(world, FAULT_LOST)) {
            answer_timed_out(world, exec);
            if (world_chance(world, 5000)) { /* it never got there */
                exec_free(world, exec);
                return true;
            }
        }
        exec_receive(world, exec);
    } else if (exec->call->target.len > 0) {
        exec_target(world, exec);
    } else {
        exec_discover(world, exec);
    }
    return true;
}

void sdk_process_died(struct world *world)
{
    for (int index = world->exec_count - 1; index >= 0; index--) {
        struct exec *exec = *slot(world, index);
        exec->is_orphan = true;
        /* A request that was on its way may have arrived. */
        if (exec->state == EXEC_HANGING || (exec->state == EXEC_NEW && world_chance(world, 5000)))
            exec_free(world, exec);
    }
}

bool sdk_time_out(struct world *world)
{
    bool has_any = false;
    for (int index = world->exec_count - 1; index >= 0; index--) {
        struct exec *exec = *slot(world, index);
        if (exec->state != EXEC_HANGING)
            continue;
        has_any = true;
        answer_timed_out(world, exec);
        exec_free(world, exec);
    }
    return has_any;
}
