/*
 * Steps and memos.
 *
 * The model. A step is one row: what was reported about it, how it stands, and the bits that make re-reports harmless: is_planned (a job was
 * made for it), is_continued (its discovery was enqueued), has_memo. A memo is written once; whoever comes second changes nothing
 * (reference/02 §3.1). The pending set of a coalesced group is not stored as a set: each step says of which group it is a pending member,
 * and the run counts them, so a completion costs one row whatever the size of the group.
 *
 * Changed steps are written once, at the end of the turn.
 */
#include "engine/step.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/run.h"

static struct sg_step *step_create(struct sg_str id, struct sg_str name)
{
    struct sg_step *step = sg_calloc(1, sizeof(*step) + id.len + name.len);
    if (step == NULL)
        return NULL;
    char *text = (char *)(step + 1);
    if (id.len > 0)
        memcpy(text, id.ptr, id.len);
    if (name.len > 0)
        memcpy(text + id.len, name.ptr, name.len);
    step->magic = SG_STEP_MAGIC;
    step->id = (struct sg_str){text, id.len};
    step->name = (struct sg_str){text + id.len, name.len};
    return step;
}

struct sg_step *sg_step_find(const struct sg_run *run, struct sg_str id)
{
    assert(sg_run_is_hydrated(run));
    return sg_map_get_str(&run->hot->steps, id);
}

/* Whether the SDK has run the step and says from when to when: checkpointed ones may be reported long after that. */
static bool is_timed(const struct sg_op *op)
{
    bool has_run = op->code == SG_OP_STEP || op->code == SG_OP_STEP_RUN || op->code == SG_OP_STEP_FAILED;
    return has_run && op->started_at_ns > 0 && op->duration_ns > 0;
}

struct sg_step *sg_step_report(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op)
{
    SG_CHECK(run, SG_RUN_MAGIC);
    assert(op->id.len > 0);
    struct sg_step *step = sg_step_find(run, op->id);
    if (step == NULL) {
        step = step_create(op->id, op->display_name);
        if (step == NULL || sg_map_add(&run->hot->steps, step) != SG_OK) {
            sg_free(step);
            turn->is_failed = true;
            return NULL;
        }
        step->op = (uint8_t)op->code;
        step->started_at_ms = turn->now_ms;
    }
    if ((step->flags & SG_STEP_HAS_MEMO) == 0) {
        step->op = (uint8_t)op->code;
        if ((step->flags & SG_STEP_IS_PLANNED) == 0 && !sg_opcode_is_fetch(op->code)) /* whose opts may hold secrets */
            step->opts = op->opts; /* borrowed: whoever reports a step that is not planned yet touches it, and the flush lets go of it */
        if (op->started_at_ns > 0 && op->code != SG_OP_STEP_PLANNED)
            step->started_at_ms = op->started_at_ns / 1000000 + turn->engine->options.clock_offset_ms;
        step->ended_at_ms = is_timed(op) ? step->started_at_ms + op->duration_ns / 1000000 : 0;
    }
    return step;
}

void sg_step_touch(struct sg_run *run, struct sg_step *step)
{
    SG_CHECK(step, SG_STEP_MAGIC);
    if (step->is_dirty)
        return;
    step->is_dirty = true;
    step->next_dirty = run->hot->dirty_steps;
    run->hot->dirty_steps = step;
}

bool sg_step_is_pending(const struct sg_run *run, const struct sg_step *step)
{
    return (step->flags & SG_STEP_IS_PENDING) != 0 && step->flags >> SG_STEP_GROUP_SHIFT == run->group_ordinal;
}

bool sg_step_memoize(struct sg_turn *turn, struct sg_run *run, struct sg_step *step, enum sg_step_status status, struct sg_str bytes)
{
    SG_CHECK(step, SG_STEP_MAGIC);
    if ((step->flags & SG_STEP_HAS_MEMO) != 0)
        return false;

    struct sg_record *record = sg_turn_write(turn, SG_WRITE_INSERT, SG_KIND_MEMO);
    if (record != NULL) {
        record->values[SG_MEMO_RUN_ID] = sg_turn_id(turn, run->id);
        record->values[SG_MEMO_STEP_ID] = sg_value_bytes(sg_turn_copy(turn, step->id));
        record->values[SG_MEMO_SEQ] = sg_value_int(run->next_seq);
        record->values[SG_MEMO_BYTES] = sg_value_bytes(bytes);
    }
    run->next_seq++;
    run->state_bytes += (uint32_t)bytes.len;
    if (sg_step_is_pending(run, step)) {
        assert(run->pending_count > 0);
        run->pending_count--;
    }
    step->flags = (step->flags | SG_STEP_HAS_MEMO) & ~SG_STEP_IS_PENDING;
    step->status = (uint8_t)status;
    if (step->ended_at_ms == 0 || step->ended_at_ms > turn->now_ms)
        step->ended_at_ms = turn->now_ms;
    if (step->started_at_ms > step->ended_at_ms)
        step->started_at_ms = step->ended_at_ms; /* the SDK's clock is ahead of ours */
    sg_step_touch(run, step);
    sg_run_touch_live(run);
    return true;
}

static void step_write(struct sg_turn *turn, const struct sg_run *run, const struct sg_step *step)
{
    struct sg_record *record = sg_turn_write(turn, SG_WRITE_PUT, SG_KIND_STEP);
    if (record == NULL)
        return;
    struct sg_value *values = record->values;
    values[SG_STEP_RUN_ID] = sg_turn_id(turn, run->id);
    values[SG_STEP_ID] = sg_value_bytes(sg_turn_copy(turn, step->id));
    values[SG_STEP_OP] = sg_value_int(step->op);
    values[SG_STEP_NAME] = sg_value_bytes(sg_turn_copy(turn, step->name));
    values[SG_STEP_STATUS] = sg_value_int(step->status);
    values[SG_STEP_FLAGS] = sg_value_int(step->flags);
    values[SG_STEP_ATTEMPTS] = sg_value_int(step->attempts);
    values[SG_STEP_STARTED_AT] = sg_value_int(step->started_at_ms);
    if (step->ended_at_ms > 0)
        values[SG_STEP_ENDED_AT] = sg_value_int(step->ended_at_ms);
    if (step->error.len > 0)
        values[SG_STEP_ERROR] = sg_value_bytes(sg_turn_copy(turn, step->error));
    if (step->opts.len > 2) /* "{}" says nothing */
        values[SG_STEP_OPTS] = sg_value_bytes(sg_turn_copy(turn, step->opts));
}

void sg_step_flush(struct sg_turn *turn, struct sg_run *run)
{
    struct sg_hot *hot = run->hot;
    while (hot != NULL && hot->dirty_steps != NULL) {
        struct sg_step *step = hot->dirty_steps;
        hot->dirty_steps = step->next_dirty;
        step_write(turn, run, step);
        step->next_dirty = NULL;
        step->is_dirty = false;
        step->error = SG_STR_NULL; /* borrowed from the message: gone after the turn */
        step->opts = SG_STR_NULL;
    }
}

bool sg_hot_create(struct sg_engine *engine, struct sg_run *run)
{
    assert(run->hot == NULL);
    run->hot = sg_calloc(1, sizeof(*run->hot));
    if (run->hot == NULL)
        return false;
    sg_map_init_strs(&run->hot->steps, offsetof(struct sg_step, id));
    engine->hydrated++;
    return true;
}

bool sg_hot_add(struct sg_run *run, const struct sg_loaded_step *loaded)
{
    struct sg_step *step = step_create(loaded->id, loaded->name);
    if (step == NULL)
        return false;
    step->op = (uint8_t)loaded->op;
    step->status = (uint8_t)loaded->status;
    step->flags = (uint32_t)loaded->flags;
    step->attempts = loaded->attempts;
    step->started_at_ms = loaded->started_at_ms;
    step->ended_at_ms = loaded->ended_at_ms;
    if (sg_map_add(&run->hot->steps, step) != SG_OK) {
        sg_free(step);
        return false;
    }
    return true;
}

void sg_hot_free(struct sg_engine *engine, struct sg_run *run)
{
    if (run->hot == NULL)
        return;
    assert(run->hot->dirty_steps == NULL);
    assert(run->hot->asked == 0);
    sg_message_free(run->hot->trigger);
    size_t cursor = 0;
    struct sg_step *step;
    while ((step = sg_map_next(&run->hot->steps, &cursor)) != NULL) {
        step->magic = 0;
        sg_free(step);
    }
    sg_map_free(&run->hot->steps);
    sg_free(run->hot);
    run->hot = NULL;
    engine->hydrated--;
}
