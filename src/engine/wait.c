/*
 * waitForEvent, waitForSignal and cancelOn: how a wait begins.
 *
 * The model. What an op asks for is checked first: a wait that could never end as its author meant (no name, a condition that does not compile, a timeout
 * beyond a year) fails the run where it was reported (reference/02 §4.4). Everything in the condition that depends on the event which started the run is
 * replaced by its value at once, so what is left depends on the event to come only, and can be found through an index. The run's trigger is loaded for
 * that when a condition names it.
 *
 * A wait that is reported again while it is open changes nothing: its clock goes on.
 */
#include "engine/wait.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/cel.h>
#include <stepgate/json.h>

#include "base/duration.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/step.h"

/* A member of opts as text, in scratch memory; "" if it is no string. Memory that runs out is latched if there is a turn. */
static struct sg_str opt_text(struct sg_engine *engine, struct sg_turn *turn, struct sg_str opts, struct sg_str key)
{
    struct sg_str text = SG_STR_NULL;
    struct sg_str value = sg_json_get(opts, key);
    if (sg_json_kind_of(value) != SG_JSON_STRING)
        return text;
    if (sg_json_to_str(value, &engine->scratch, &text) != SG_OK) {
        if (turn != NULL)
            turn->is_failed = true;
        return SG_STR_NULL;
    }
    return text;
}

struct sg_str sg_wait_event_name(struct sg_engine *engine, const struct sg_op *op)
{
    struct sg_str name = opt_text(engine, NULL, op->opts, SG_STR("event"));
    return name.len > 0 ? name : op->name;
}

/* Whether the expression names the event that started the run. Text is enough: one load too many does no harm. */
static bool names_trigger(struct sg_str expression)
{
    return expression.len > 0 && memmem(expression.ptr, expression.len, "event", strlen("event")) != NULL;
}

bool sg_wait_needs_trigger(const struct sg_op *ops, size_t count)
{
    for (size_t index = 0; index < count; index++)
        if (ops[index].code == SG_OP_WAIT_FOR_EVENT && ops[index].opts.len > 2 && names_trigger(sg_json_get(ops[index].opts, SG_STR("if"))))
            return true;
    return false;
}

/* ---- conditions ---- */

/* What is left of a condition. */
struct residue {
    struct sg_cel_program *program; /* NULL: every event matches */
    struct sg_buf text;
    bool is_never;
};

static void residue_free(struct residue *residue)
{
    sg_cel_program_free(residue->program);
    sg_buf_free(&residue->text);
}

/*
 * Compiles `condition` and replaces what depends on the trigger. SG_INVALID_EXPRESSION: residue->text is empty and `why`, if there is one, holds the
 * compiler's words; SG_NO_MEMORY.
 */
static enum sg_status residue_make(struct sg_turn *turn, struct sg_str condition, struct sg_str trigger, enum sg_cel_check check,
                                   struct residue *residue)
{
    struct sg_cel_program *program = NULL;
    struct sg_error error = {0};
    enum sg_status status = sg_cel_compile(condition, check, &program, &error);
    if (status != SG_OK)
        return status;
    if (!sg_cel_program_uses(program, SG_STR("event"))) {
        residue->program = program;
        sg_buf_append(&residue->text, condition);
        return residue->text.is_failed ? SG_NO_MEMORY : SG_OK;
    }
    struct sg_cel_document document = {0};
    enum sg_cel_verdict verdict = SG_CEL_SOMETIMES;
    status = sg_cel_document_parse_event(trigger.len > 0 ? trigger : SG_STR("{}"), &turn->engine->scratch, &document, NULL);
    if (status == SG_OK)
        status = sg_cel_interpolate(program, &document, &residue->text, &verdict, &error);
    sg_cel_program_free(program);
    if (status == SG_OK && residue->text.is_failed)
        status = SG_NO_MEMORY;
    residue->is_never = verdict == SG_CEL_NEVER;
    if (status == SG_OK && verdict == SG_CEL_SOMETIMES)
        status = sg_cel_compile(sg_buf_str(&residue->text), SG_CEL_CHECK_STORED, &residue->program, &error);
    if (status != SG_OK || verdict == SG_CEL_ALWAYS)
        sg_buf_clear(&residue->text);
    return status;
}

static void fail_expression(struct sg_turn *turn, struct sg_run *run, struct sg_str condition)
{
    struct sg_buf why;
    sg_buf_init(&why);
    if (sg_cel_diagnose(condition, SG_CEL_CHECK_FULL, &why) == SG_NO_MEMORY || why.is_failed)
        turn->is_failed = true;
    else
        sg_run_fail_with(turn, run,
                         &(struct sg_run_error){.name = SG_STR("InvalidExpression"),
                                                .error = SG_STR("InvalidExpression: Wait for event If expression failed to compile"),
                                                .message = SG_STR("Wait for event If expression failed to compile"),
                                                .stack = sg_buf_str(&why)});
    sg_buf_free(&why);
}

/* ---- timeouts ---- */

bool sg_wait_timeout_read(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op, const char *what, int64_t absent_ms,
                          struct sg_str *raw, int64_t *delay_ms)
{
    struct sg_engine *engine = turn->engine;
    *raw = opt_text(engine, turn, op->opts, SG_STR("timeout"));
    *delay_ms = absent_ms;
    if (raw->len == 0)
        return true;
    int64_t wall_ms = turn->now_ms - engine->options.clock_offset_ms;
    if (sg_timeout_parse(*raw, wall_ms, delay_ms, NULL) == SG_OK)
        return true;
    char text[192];
    snprintf(text, sizeof(text), "The %s timeout \"%.*s\" is neither a duration nor a date.", what, SG_FMT(sg_str_cut(*raw, 64)));
    sg_run_fail(turn, run, "Error", text, text);
    return false;
}

/* Whether the step already waits, or is done: then the report is an echo. */
static bool is_known(const struct sg_step *step)
{
    return (step->flags & (SG_STEP_IS_PLANNED | SG_STEP_HAS_MEMO)) != 0;
}

struct sg_job *sg_wait_job_add(struct sg_turn *turn, struct sg_run *run, struct sg_step *step, const struct sg_op *op, int flags,
                               int64_t delay_ms)
{
    step->flags |= SG_STEP_IS_PLANNED;
    step->status = SG_STEP_WAITING;
    sg_step_touch(run, step);
    /* At least a moment: through the queue, so that the ops after it are applied first. */
    int64_t due_at_ms = turn->now_ms + (delay_ms > 0 ? delay_ms : 1);
    return sg_job_add(turn, run, &(struct sg_job_spec){.kind = SG_JOB_WAIT, .flags = flags, .target = op->id, .due_at_ms = due_at_ms});
}

/* ---- waitForEvent ---- */

/* The event that started the run, as it is stored; "" if nobody has needed it. */
static struct sg_str trigger_body(const struct sg_run *run)
{
    return run->hot->trigger != NULL ? run->hot->trigger->as.loaded_event.body : SG_STR_NULL;
}

static void wait_add(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int flags,
                     int64_t delay_ms, const struct residue *residue)
{
    struct sg_job *job = sg_wait_job_add(turn, apply->job->run, step, op, flags, delay_ms);
    if (job == NULL)
        return;
    sg_pause_add(turn, apply->job->run,
                 &(struct sg_pause_spec){.kind = SG_PAUSE_EVENT,
                                         .job = job,
                                         .name = sg_wait_event_name(turn->engine, op),
                                         .expression = sg_buf_str(&residue->text),
                                         .program = residue->program,
                                         .is_unmatchable = residue->is_never,
                                         .position = apply->position,
                                         .expires_at_ms = job->due.key_ms});
}

bool sg_wait_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int job_flags)
{
    struct sg_run *run = apply->job->run;
    if (sg_wait_event_name(turn->engine, op).len == 0) {
        sg_run_fail(turn, run, "Error", "the wait has no event name", "A step.waitForEvent names no event to wait for.");
        return false;
    }
    struct residue residue = {.program = NULL};
    sg_buf_init(&residue.text);
    struct sg_str condition = opt_text(turn->engine, turn, op->opts, SG_STR("if"));
    bool has_condition = sg_json_kind_of(sg_json_get(op->opts, SG_STR("if"))) == SG_JSON_STRING; /* an empty one is a mistake */
    enum sg_status status = SG_OK;
    if (has_condition && !turn->is_failed)
        status = residue_make(turn, condition, trigger_body(run), SG_CEL_CHECK_FULL, &residue);
    if (status == SG_NO_MEMORY)
        turn->is_failed = true;
    if (status != SG_OK || turn->is_failed) {
        residue_free(&residue);
        if (!turn->is_failed)
            fail_expression(turn, run, condition);
        return false;
    }
    struct sg_str raw;
    int64_t delay_ms;
    bool is_valid = sg_wait_timeout_read(turn, run, op, "wait-for-event", 0, &raw, &delay_ms);
    if (is_valid && delay_ms > SG_LIMIT_SLEEP_MS) {
        char text[224];
        snprintf(text, sizeof(text),
                 "The wait-for-event timeout \"%.*s\" expires more than one year in the future; timeouts may last at most one year.",
                 SG_FMT(sg_str_cut(raw, 64)));
        sg_run_fail(turn, run, "InngestErrTimeoutTooLong", text, text);
        is_valid = false;
    }
    if (is_valid && !is_known(step))
        wait_add(turn, apply, step, op, job_flags, delay_ms, &residue);
    residue_free(&residue);
    return is_valid;
}

/* ---- waitForSignal ---- */

bool sg_wait_signal_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op, int job_flags)
{
    struct sg_run *run = apply->job->run;
    struct sg_str name = opt_text(turn->engine, turn, op->opts, SG_STR("signal"));
    if (name.len == 0)
        name = op->name;
    if (name.len == 0 || name.len > SG_LIMIT_SIGNAL_NAME_BYTES) {
        char text[128];
        snprintf(text, sizeof(text), "A step.waitForSignal names no signal, or one of more than %d bytes.", SG_LIMIT_SIGNAL_NAME_BYTES);
        sg_run_fail(turn, run, "Error", text, text);
        return false;
    }
    struct sg_str raw;
    int64_t delay_ms;
    if (!sg_wait_timeout_read(turn, run, op, "signal", SG_LIMIT_INVOKE_MS, &raw, &delay_ms))
        return false;
    if (is_known(step))
        return true;
    struct sg_pause *other = sg_signal_find(turn->engine, name);
    if (other != NULL && !sg_str_eq(opt_text(turn->engine, turn, op->opts, SG_STR("conflict")), SG_STR("replace"))) {
        if (sg_pause_is_open(other, turn->now_ms)) {
            sg_run_fail(turn, run, "Error", "Signal conflict; signal wait already exists for another run",
                        "Signal conflict; signal wait already exists for another run");
            return false;
        }
    }
    if (other != NULL)
        sg_signal_replace(turn, other);
    struct sg_job *job = sg_wait_job_add(turn, run, step, op, job_flags, delay_ms);
    if (job == NULL)
        return true; /* the turn says that memory ran out */
    sg_pause_add(turn, run, &(struct sg_pause_spec){.kind = SG_PAUSE_SIGNAL, .job = job, .name = name, .expires_at_ms = job->due.key_ms});
    return true;
}

/* ---- cancelOn ---- */

static void cancel_watch(struct sg_turn *turn, struct sg_run *run, int index, struct sg_str body)
{
    const struct sg_cancel_on *cancel = &run->function->cancels[index];
    int64_t wall_ms = turn->now_ms - turn->engine->options.clock_offset_ms;
    int64_t delay_ms = SG_LIMIT_CANCEL_ON_MS;
    if (cancel->timeout.len > 0 && sg_timeout_parse(cancel->timeout, wall_ms, &delay_ms, NULL) != SG_OK)
        delay_ms = SG_LIMIT_CANCEL_ON_MS; /* checked at registration */
    struct residue residue = {.program = NULL};
    sg_buf_init(&residue.text);
    if (cancel->expression.len > 0) {
        enum sg_status status = residue_make(turn, cancel->expression, body, SG_CEL_CHECK_STORED, &residue);
        /* What cannot be interpolated stays as it was written (reference/02 §13.1). */
        if (status == SG_INVALID_EXPRESSION) {
            sg_buf_append(&residue.text, cancel->expression);
            status = sg_cel_compile(cancel->expression, SG_CEL_CHECK_STORED, &residue.program, NULL);
            residue.is_never = status == SG_INVALID_EXPRESSION;
        }
        if (status == SG_NO_MEMORY || residue.text.is_failed)
            turn->is_failed = true;
    }
    if (!residue.is_never && !turn->is_failed)
        sg_pause_add(turn, run,
                     &(struct sg_pause_spec){.kind = SG_PAUSE_CANCEL,
                                             .index = index,
                                             .name = cancel->event,
                                             .expression = sg_buf_str(&residue.text),
                                             .program = residue.program,
                                             .expires_at_ms = turn->now_ms + delay_ms});
    residue_free(&residue);
}

void sg_wait_cancel_on(struct sg_turn *turn, struct sg_run *run, struct sg_str body)
{
    for (int index = 0; index < run->function->cancel_count && !turn->is_failed; index++)
        if (run->function->cancels[index].event.len > 0)
            cancel_watch(turn, run, index, body);
}
