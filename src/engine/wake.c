/*
 * Waking: how a run goes on from a wait.
 *
 * The model. A wait's job comes due when its timeout is over or when its pause has been answered. The run's steps are loaded by then. If an event answered,
 * its bytes are loaded, too; then the memo is written, the job and its pause go, and the discovery that follows is enqueued: one commit
 * (reference/02 §9). The wait and its timeout are one job, so they cannot both happen.
 *
 * The same load brings the event that triggered a run, when an op's expression names it (wait.c).
 */
#include <string.h>

#include <stepgate/json.h>

#include "engine/answer.h"
#include "engine/cursor.h"
#include "engine/group.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/run.h"
#include "engine/step.h"

#define INVOKE_TIMEOUT                                                                                                                     \
    "{\"error\":{\"error\":\"InngestInvokeTimeoutError: Timed out waiting for invoked function to complete\",\"message\":\"Timed out "     \
    "waiting for invoked function to complete\",\"name\":\"InngestInvokeTimeoutError\"}}"

/* The memo, and what follows it. The run is hydrated; the caller flushes it. */
static void resume(struct sg_turn *turn, struct sg_job *job, struct sg_pause *pause, enum sg_step_status status, struct sg_str memo)
{
    struct sg_run *run = job->run;
    struct sg_job_text room;
    struct sg_step *step = sg_step_find(run, sg_job_target(job, &room));
    if (pause != NULL)
        sg_pause_remove(turn, pause);
    struct sg_str cause = SG_STR_NULL;
    if (step != NULL) {
        bool is_fresh = sg_step_memoize(turn, run, step, status, memo);
        sg_group_continue(turn, run, step, (job->flags & SG_JOB_IS_RACE) != 0, is_fresh);
        cause = step->id;
    } else {
        turn->engine->stray++; /* its step is gone from the store: only the discovery can still help */
    }
    if (sg_job_is_alone(run)) /* whatever seems to be pending: nothing else would move the run */
        sg_job_add(turn, run, &(struct sg_job_spec){.kind = SG_JOB_CALL, .cause = cause, .due_at_ms = turn->now_ms});
    sg_job_remove(turn, job);
}

void sg_pause_due(struct sg_turn *turn, struct sg_job *job)
{
    assert(job->kind == SG_JOB_WAIT && sg_run_is_hydrated(job->run));
    struct sg_pause *pause = sg_pause_of(job);
    if (pause == NULL || (pause->flags & SG_PAUSE_IS_ANSWERED) == 0) {
        bool is_invoke = pause != NULL && pause->kind == SG_PAUSE_INVOKE;
        resume(turn, job, pause, is_invoke ? SG_STEP_FAILED : SG_STEP_COMPLETED, is_invoke ? SG_STR(INVOKE_TIMEOUT) : SG_STR("null"));
        return;
    }
    if ((pause->flags & SG_PAUSE_HAS_VALUE) != 0) {
        struct sg_str memo = sg_turn_copy(turn, (struct sg_str){pause->as.value->bytes, pause->as.value->len});
        resume(turn, job, pause, (pause->flags & SG_PAUSE_IS_FAILURE) != 0 ? SG_STEP_FAILED : SG_STEP_COMPLETED, memo);
        return;
    }
    struct sg_effect *effect = sg_turn_effect(turn, SG_EFFECT_LOAD_EVENT);
    if (effect == NULL)
        return;
    effect->position = pause->position;
    effect->run_id = job->run->id;
    effect->job_id = sg_job_id(job);
    job->is_deferred = true;
    job->is_asked = true;
    job->run->hot->asked++;
}

/* What an invoker is told of the end of the run that it had invoked (reference/02 §9.2). `data` is that of the function.finished event. */
static struct sg_str invoke_memo(struct sg_turn *turn, struct sg_str data, enum sg_step_status *status)
{
    struct sg_str error = sg_json_get(data, SG_STR("error"));
    if (error.len > 0) {
        *status = SG_STEP_FAILED;
        return sg_memo_wrap(turn, SG_STR("error"), error);
    }
    struct sg_str result = sg_json_get(data, SG_STR("result"));
    if (result.len > 0)
        return sg_memo_wrap(turn, SG_STR("data"), result);
    struct sg_str outcome = sg_json_get(sg_json_get(data, SG_STR("_inngest")), SG_STR("status"));
    if (!sg_str_eq(outcome, SG_STR("\"Cancelled\"")))
        return SG_STR("{\"data\":null}");
    *status = SG_STEP_FAILED;
    return SG_STR("{\"error\":{\"message\":\"invoked function was cancelled\",\"name\":\"Error\"}}");
}

static struct sg_str event_memo(struct sg_turn *turn, struct sg_str body)
{
    struct sg_buf event;
    sg_buf_init(&event);
    if (sg_event_render(body, &event) != SG_OK || event.is_failed)
        turn->is_failed = true;
    struct sg_str memo = turn->is_failed ? SG_STR_NULL : sg_turn_copy(turn, sg_buf_str(&event));
    sg_buf_free(&event);
    return memo;
}

/* The run's trigger has come: whoever needed it is first in the queue. */
static bool trigger_loaded(struct sg_turn *turn, struct sg_run *run, struct sg_message *message)
{
    if (run->hot == NULL || run->hot->trigger != NULL || (run->hold != SG_HOLD_TRIGGER && run->hold != SG_HOLD_APPLYING))
        return false;
    run->hot->trigger = message;
    if (run->hold == SG_HOLD_APPLYING) {
        sg_cursor_answer_resume(turn, run);
        return true;
    }
    run->hold = SG_HOLD_NONE;
    sg_run_release(turn, run);
    return true;
}

bool sg_pause_event_loaded(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_run *run = sg_map_get_id(&turn->engine->runs, message->as.loaded_event.run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0)
        return false;
    bool is_trigger = message->as.loaded_event.job_id == 0;
    if (message->as.loaded_event.status != SG_OK) {
        turn->engine->damaged++;
        sg_run_fail_stored(turn, run, message->as.loaded_event.status,
                           is_trigger ? "The event that started the run could not be read from the store."
                                      : "The event that a step waited for could not be read from the store.");
        return false;
    }
    if (is_trigger)
        return trigger_loaded(turn, run, message);
    if (run->hold != SG_HOLD_NONE || !sg_run_hydrate(turn, run))
        return sg_run_set_aside(run, message);
    struct sg_job *job = sg_job_find(run, message->as.loaded_event.job_id);
    if (job == NULL || !job->is_asked)
        return false;
    struct sg_pause *pause = sg_pause_of(job);
    assert(pause != NULL && run->hot->asked > 0);
    run->hot->asked--;
    job->is_asked = false;
    job->is_deferred = false;
    enum sg_step_status status = SG_STEP_COMPLETED;
    struct sg_str body = message->as.loaded_event.body;
    struct sg_str memo =
        pause->kind == SG_PAUSE_INVOKE ? invoke_memo(turn, sg_json_get(body, SG_STR("data")), &status) : event_memo(turn, body);
    if (turn->is_failed)
        return false;
    resume(turn, job, pause, status, memo);
    sg_run_flush(turn, run);
    return false;
}
