/*
 * Why is this run not moving?
 *
 * The model. The answer is read off the state that decides, at the moment of asking, so it cannot disagree with what happens: each job of the run
 * with what holds it (its due time, the call that is out, the load it waits for) and what will move it next, and what holds the run as a whole.
 * The same words go to the API, the command line and the UI (design: it explains itself).
 */
#include "engine/explain.h"

#include <stepgate/json.h>

#include "base/duration.h"
#include "engine/cancellation.h"
#include "engine/cursor.h"
#include "engine/fetch.h"
#include "engine/gate.h"
#include "engine/invoke.h"
#include "engine/job.h"
#include "engine/pause.h"
#include "engine/run.h"

static void member_text(struct sg_buf *out, const char *key, struct sg_str text)
{
    sg_buf_printf(out, ",\"%s\":", key);
    sg_json_quote(out, text);
}

static void member_time(struct sg_buf *out, const struct sg_engine *engine, const char *key, int64_t engine_ms)
{
    char text[SG_RFC3339_MAX];
    size_t len = sg_rfc3339_format(engine_ms - engine->options.clock_offset_ms, text);
    member_text(out, key, (struct sg_str){text, len});
}

/* The run that a step waits for, by name. */
static void callee_sentence(struct sg_buf *out, const struct sg_engine *engine, const struct sg_run *run, struct sg_str step)
{
    const struct sg_run *callee = sg_invoke_callee(engine, run, step);
    sg_buf_printf(out, "The step %.*s waits for the end of ", SG_FMT(step));
    if (callee == NULL) {
        sg_buf_printf(out, "the run that it invoked, which has not been created yet");
        return;
    }
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(callee->id, id);
    sg_buf_printf(out, "the run %s of %.*s, which it invoked", id, SG_FMT(callee->function->slug));
}

static void wait_sentence(struct sg_buf *out, const struct sg_engine *engine, const struct sg_pause *pause, struct sg_str step,
                          struct sg_str until, struct sg_str left)
{
    if (pause == NULL || (pause->flags & SG_PAUSE_IS_ANSWERED) != 0) {
        sg_buf_printf(out, "What the step %.*s waited for has come; the run goes on at once.", SG_FMT(step));
        return;
    }
    if (pause->kind == SG_PAUSE_EVENT && pause->topic != NULL)
        sg_buf_printf(out, "The step %.*s waits for an event named %.*s%s", SG_FMT(step), SG_FMT(pause->topic->name),
                      (pause->flags & SG_PAUSE_IS_UNMATCHABLE) != 0 ? ", but its `if` is false whatever comes" : "");
    else if (pause->kind == SG_PAUSE_SIGNAL && pause->at.signal != NULL)
        sg_buf_printf(out, "The step %.*s waits for the signal %.*s", SG_FMT(step), SG_FMT(pause->at.signal->name));
    else if (pause->kind == SG_PAUSE_SIGNAL)
        sg_buf_printf(out, "The step %.*s waits for a signal that another run has taken over", SG_FMT(step));
    else
        callee_sentence(out, engine, pause->run, step);
    sg_buf_printf(out, ", at most until %.*s (%.*s from now).", SG_FMT(until), SG_FMT(left));
}

/* One sentence a user can act on. */
static void job_sentence(struct sg_buf *out, const struct sg_engine *engine, const struct sg_job *job)
{
    char text[SG_RFC3339_MAX];
    char duration[SG_RFC3339_MAX];
    size_t len = sg_rfc3339_format(job->due.key_ms - engine->options.clock_offset_ms, text);
    int64_t left_ms = job->due.key_ms - engine->now_ms;
    size_t duration_len = sg_duration_format(left_ms > 0 ? left_ms : 0, duration);
    struct sg_job_text room;
    struct sg_str target = sg_job_target(job, &room);
    if (sg_fetch_explain(out, engine, job))
        return;
    if (job->kind == SG_JOB_TIMEOUT)
        sg_buf_printf(out, "The run is cancelled at %.*s (%.*s from now) unless it has %s by then: `timeouts.%s` of its function.",
                      (int)len, text, (int)duration_len, duration, job->run->started_at_ms == 0 ? "started" : "ended",
                      job->run->started_at_ms == 0 ? "start" : "finish");
    else if (job->is_started)
        sg_buf_printf(out, "A call to %.*s is in flight (dispatch %d); its answer moves the run.", SG_FMT(job->run->function->url),
                      job->generation);
    else if (sg_gate_is_lined(job))
        sg_buf_printf(
            out,
            "It is due and waits in line: %d jobs of its app are under way, as many as may be (--max-calls-per-app); %u wait, and "
            "those of older runs go first.",
            job->run->function->app->under_way, job->run->function->app->line.count);
    else if (job->is_asked)
        sg_buf_printf(out, "What the step %.*s waited for has come; it is being read from the store.", SG_FMT(target));
    else if (job->is_deferred)
        sg_buf_printf(out, "It is due and waits for the run's steps to be read from the store.");
    else if (job->kind == SG_JOB_WAIT)
        wait_sentence(out, engine, sg_pause_of(job), target, (struct sg_str){text, len}, (struct sg_str){duration, duration_len});
    else if (job->kind == SG_JOB_WATCHDOG)
        sg_buf_printf(out,
                      "Its endpoint executes it and reports each step; if it reports nothing until %.*s (%.*s from now), the run fails.",
                      (int)len, text, (int)duration_len, duration);
    else if (job->kind == SG_JOB_SLEEP)
        sg_buf_printf(out, "The step %.*s sleeps until %.*s (%.*s from now).", SG_FMT(target), (int)len, text, (int)duration_len, duration);
    else if (job->attempt > 0)
        sg_buf_printf(out, "Attempt %d failed; it is tried again at %.*s (%.*s from now), %d of %d attempts are used.", job->attempt - 1,
                      (int)len, text, (int)duration_len, duration, job->attempt, sg_job_attempts_max(job));
    else
        sg_buf_printf(out, "A call is due at %.*s (%.*s from now).", (int)len, text, (int)duration_len, duration);
}

static void job_explain(struct sg_buf *out, const struct sg_engine *engine, const struct sg_job *job)
{
    struct sg_job_text room;
    const char *state = job->kind == SG_JOB_TIMEOUT    ? "timeout"
                        : sg_fetch_is_out(engine, job) ? "requesting"
                        : job->is_started              ? "in_flight"
                        : job->is_deferred             ? "loading"
                        : sg_gate_is_lined(job)        ? "in_line"
                        : job->kind == SG_JOB_SLEEP    ? "sleeping"
                        : job->kind == SG_JOB_WATCHDOG ? "at_endpoint"
                                                       : "waiting";
    sg_buf_printf(out, "{\"job\":%lld,\"state\":\"%s\",\"attempt\":%d,\"max_attempts\":%d,\"generation\":%d", (long long)sg_job_id(job),
                  state, job->attempt, sg_job_attempts_max(job), job->generation);
    if (job->target_len > 0)
        member_text(out, "step", sg_job_target(job, &room));
    if (job->cause_len > 0)
        member_text(out, "after_step", sg_job_cause(job, &room));
    member_time(out, engine, "due_at", job->due.key_ms);

    struct sg_buf sentence;
    sg_buf_init(&sentence);
    job_sentence(&sentence, engine, job);
    member_text(out, "why", sg_buf_str(&sentence));
    out->is_failed = out->is_failed || sentence.is_failed;
    sg_buf_free(&sentence);
    sg_buf_byte(out, '}');
}

/* Who has invoked the run. */
static void invoker_explain(struct sg_buf *out, const struct sg_engine *engine, const struct sg_run *run)
{
    if ((run->flags & SG_RUN_IS_INVOKED) == 0)
        return;
    struct sg_run *invoker;
    bool is_awaited = sg_invoke_is_awaited(engine, run, &invoker);
    struct sg_str slug = invoker != NULL ? invoker->function->slug : SG_STR("(it has ended)");
    struct sg_buf sentence;
    sg_buf_init(&sentence);
    sg_buf_printf(&sentence, "A step of the run %.*s %s%.*s invoked it and %s.", SG_ULID_LEN, sg_invoke_of(engine, run).ptr,
                  invoker != NULL ? "of " : "", SG_FMT(slug), is_awaited ? "waits for its end" : "waits for it no more");
    member_text(out, "invoked_by", sg_buf_str(&sentence));
    out->is_failed = out->is_failed || sentence.is_failed;
    sg_buf_free(&sentence);
}

/* Whether a bulk cancellation is on its way to the run. */
static void cancellation_explain(struct sg_buf *out, const struct sg_engine *engine, const struct sg_run *run)
{
    const struct sg_cancellation *cancellation = sg_cancellation_of(engine, run);
    if (cancellation == NULL)
        return;
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(cancellation->id, id);
    sg_buf_printf(out, ",\"cancellation\":\"The bulk cancellation %s will come to this run%s: it has looked at %lld of %lld runs.\"", id,
                  cancellation->program != NULL ? " and cancel it if its condition is true" : " and cancel it",
                  (long long)cancellation->examined, (long long)cancellation->total);
}

static void run_explain(struct sg_buf *out, const struct sg_engine *engine, const struct sg_run *run)
{
    char id[SG_ULID_LEN + 1];
    sg_ulid_format(run->id, id);
    sg_buf_printf(out, "{\"run_id\":\"%s\",\"status\":\"%s\"", id, sg_run_status_name((enum sg_run_status)run->status));
    member_text(out, "function", run->function->slug);
    member_time(out, engine, "created_at", run->created_at_ms);
    if (run->started_at_ms > 0)
        member_time(out, engine, "started_at", run->started_at_ms);
    sg_buf_printf(out, ",\"steps\":%u,\"pending_parallel_steps\":%u,\"calls_in_flight\":%u", run->next_seq, run->pending_count, run->calls);
    const char *hold = "nothing";
    if ((run->flags & SG_RUN_IS_ENDED) != 0)
        hold = "it has ended; its jobs are being removed";
    else if (run->hold == SG_HOLD_LOADING)
        hold = "its steps are being read from the store";
    else if (run->hold == SG_HOLD_APPLYING)
        hold = "a large answer is being applied in slices";
    else if (run->hold == SG_HOLD_TRIGGER)
        hold = "the event that started it is being read from the store";
    member_text(out, "held_by", sg_str_from(hold));
    if (run->function->is_archived)
        member_text(out, "note", SG_STR("The function is no longer registered; the app will probably not know it."));
    invoker_explain(out, engine, run);
    cancellation_explain(out, engine, run);
    sg_buf_append(out, SG_STR(",\"jobs\":["));
    for (const struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job)) {
        if (job != sg_job_first(run))
            sg_buf_byte(out, ',');
        job_explain(out, engine, job);
    }
    sg_buf_append(out, SG_STR("]}"));
}

void sg_explain_handle(struct sg_turn *turn, struct sg_message *message)
{
    const struct sg_run *run = sg_map_get_id(&turn->engine->runs, message->as.explain.run_id);
    if (run == NULL) {
        sg_turn_reply(turn, message, SG_NOT_FOUND, "no live run has this id: it has ended, or never was");
        return;
    }
    struct sg_buf out;
    sg_buf_init(&out);
    run_explain(&out, turn->engine, run);
    struct sg_str text = out.is_failed ? SG_STR_NULL : sg_turn_copy(turn, sg_buf_str(&out));
    turn->is_failed = turn->is_failed || out.is_failed;
    sg_buf_free(&out);
    size_t effects = turn->batch->effect_count;
    sg_turn_reply(turn, message, SG_OK, "%s", "");
    if (turn->batch->effect_count > effects)
        turn->batch->effects[effects].reply.text = text;
}
