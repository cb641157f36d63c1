/*
 * Fetches: requests that the gateway makes for a step (reference/02 §10).
 *
 * The model. Such a step is reported in the answer to a call, and the request belongs to the handling of that answer: the job stays started, and its
 * slot taken, until all requests of its answer have come back. One that succeeds is a completed step like any other. One that fails makes the whole job
 * be tried again, when the last is back: the SDK is called with the next attempt and reports the steps that have no memo once more. Without an attempt
 * left the error is memoized, and the user's code may catch it.
 *
 * Nothing of this is stored: a request's options hold secrets, and a call in flight that a crash cuts off is made again anyway. So all there is are two
 * tables in memory, of the jobs that wait for requests and of the requests by run and step, which also keeps a step that two discoveries report
 * from being requested twice.
 *
 * A large answer that a restart interrupts has lost the options of its steps with the process: at the end of its cursor the call is made again.
 *
 * What it never does: read the options, but for the question whether they name a URL.
 */
#include "engine/fetch.h"

#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/duration.h"
#include "engine/group.h"
#include "engine/job.h"
#include "engine/run.h"
#include "engine/step.h"

/* As many as an explanation names. */
#define EXPLAINED_MAX 3

struct request;

/* A job with requests out. */
struct fetching {
    struct sg_id key; /* the job's id */
    uint32_t magic;
    uint32_t out;
    bool must_retry;  /* something has failed, and attempts are left */
    bool must_repeat; /* something was lost that was no failure */
    int64_t retry_after_ms;
    struct request *requests;
};

struct request {
    struct sg_str key; /* run id and step id, behind the struct */
    struct fetching *owner;
    struct request *next; /* of its job */
    bool is_race;
    int64_t started_at_ms;
    struct sg_str name; /* for people */
};

#define RUN_BYTES sizeof(struct sg_id)

/* ---- tables ---- */

void sg_fetch_tables_init(struct sg_engine *engine)
{
    sg_map_init_ids(&engine->fetching, offsetof(struct fetching, key));
    sg_map_init_strs(&engine->fetches, offsetof(struct request, key));
}

void sg_fetch_tables_free(struct sg_engine *engine)
{
    assert(engine->fetching.count == 0 && engine->fetches.count == 0); /* they went with their jobs */
    sg_map_free(&engine->fetching);
    sg_map_free(&engine->fetches);
}

static struct sg_id job_key(const struct sg_job *job)
{
    struct sg_id key = {{0}};
    int64_t id = sg_job_id(job);
    memcpy(key.bytes, &id, sizeof(id));
    return key;
}

static struct fetching *fetching_find(const struct sg_engine *engine, const struct sg_job *job)
{
    if (engine->fetching.count == 0)
        return NULL; /* nearly always */
    struct fetching *fetching = sg_map_get_id(&engine->fetching, job_key(job));
    if (fetching != NULL)
        SG_CHECK(fetching, SG_FETCHING_MAGIC);
    return fetching;
}

static struct fetching *fetching_get(struct sg_engine *engine, const struct sg_job *job)
{
    struct fetching *fetching = fetching_find(engine, job);
    if (fetching != NULL)
        return fetching;
    fetching = sg_calloc(1, sizeof(*fetching));
    if (fetching == NULL)
        return NULL;
    fetching->magic = SG_FETCHING_MAGIC;
    fetching->key = job_key(job);
    if (sg_map_add(&engine->fetching, fetching) != SG_OK) {
        sg_free(fetching);
        return NULL;
    }
    return fetching;
}

static struct sg_str request_key(struct sg_engine *engine, const struct sg_run *run, struct sg_str step_id)
{
    char *bytes = sg_arena_alloc(&engine->scratch, RUN_BYTES + step_id.len);
    if (bytes == NULL)
        return SG_STR_NULL;
    memcpy(bytes, run->id.bytes, RUN_BYTES);
    if (step_id.len > 0)
        memcpy(bytes + RUN_BYTES, step_id.ptr, step_id.len);
    return (struct sg_str){bytes, RUN_BYTES + step_id.len};
}

/* Adds the request to the tables; false if memory ran out. */
static bool request_add(struct sg_turn *turn, struct sg_job *job, const struct sg_step *step, bool is_race, struct sg_str key)
{
    struct sg_engine *engine = turn->engine;
    struct request *request = sg_calloc(1, sizeof(*request) + key.len + step->name.len);
    struct fetching *fetching = request != NULL ? fetching_get(engine, job) : NULL;
    if (fetching == NULL) {
        sg_free(request);
        return false;
    }
    char *text = (char *)(request + 1);
    memcpy(text, key.ptr, key.len);
    if (step->name.len > 0)
        memcpy(text + key.len, step->name.ptr, step->name.len);
    request->key = (struct sg_str){text, key.len};
    request->name = (struct sg_str){text + key.len, step->name.len};
    request->is_race = is_race;
    request->started_at_ms = turn->now_ms;
    if (sg_map_add(&engine->fetches, request) != SG_OK) {
        sg_free(request);
        return false; /* a job with nothing out: the turn has failed anyway */
    }
    request->owner = fetching;
    request->next = fetching->requests;
    fetching->requests = request;
    fetching->out++;
    return true;
}

static void request_remove(struct sg_engine *engine, struct request *request)
{
    struct fetching *owner = request->owner;
    struct request **link = &owner->requests;
    while (*link != request)
        link = &(*link)->next;
    *link = request->next;
    owner->out--;
    sg_map_remove_str(&engine->fetches, request->key);
    sg_free(request);
}

void sg_fetch_forget(struct sg_engine *engine, const struct sg_job *job)
{
    struct fetching *fetching = fetching_find(engine, job);
    if (fetching == NULL)
        return;
    while (fetching->requests != NULL)
        request_remove(engine, fetching->requests);
    sg_map_remove_id(&engine->fetching, fetching->key);
    fetching->magic = 0;
    sg_free(fetching);
}

bool sg_fetch_is_out(const struct sg_engine *engine, const struct sg_job *job)
{
    const struct fetching *fetching = fetching_find(engine, job);
    return fetching != NULL && fetching->out > 0;
}

bool sg_fetch_moves(const struct sg_engine *engine, const struct sg_run *run)
{
    if (engine->fetching.count == 0)
        return false;
    for (const struct sg_job *job = sg_job_first(run); job != NULL; job = sg_job_next(run, job)) {
        const struct fetching *fetching = fetching_find(engine, job);
        if (fetching != NULL && (fetching->out > 0 || fetching->must_retry || fetching->must_repeat))
            return true;
    }
    return false;
}

/* ---- going out ---- */

static void request_send(struct sg_turn *turn, const struct sg_job *job, const struct sg_op *op)
{
    struct sg_fetch *fetch = sg_calloc(1, sizeof(*fetch) + op->id.len + op->opts.len);
    struct sg_effect *effect = fetch != NULL ? sg_turn_effect(turn, SG_EFFECT_FETCH) : NULL;
    if (effect == NULL) {
        sg_free(fetch);
        turn->is_failed = true;
        return;
    }
    char *text = (char *)(fetch + 1);
    memcpy(text, op->id.ptr, op->id.len);
    memcpy(text + op->id.len, op->opts.ptr, op->opts.len);
    fetch->magic = SG_FETCH_MAGIC;
    fetch->code = op->code;
    fetch->run_id = job->run->id;
    fetch->app_id = job->run->function->app->id;
    fetch->job_id = sg_job_id(job);
    fetch->generation = job->generation;
    fetch->step_id = (struct sg_str){text, op->id.len};
    fetch->opts = (struct sg_str){text + op->id.len, op->opts.len};
    effect->fetch = fetch;
}

bool sg_fetch_begin(struct sg_turn *turn, struct sg_apply *apply, struct sg_step *step, const struct sg_op *op)
{
    struct sg_job *job = apply->job;
    struct sg_run *run = job->run;
    if ((step->flags & SG_STEP_HAS_MEMO) != 0) /* reported again, because what follows from it had not been enqueued */
        return sg_apply_completed(turn, apply, step, op->is_race, SG_STEP_COMPLETED, SG_STR_NULL);
    struct sg_str key = request_key(turn->engine, run, op->id);
    if (key.ptr == NULL) {
        turn->is_failed = true;
        return true;
    }
    if (sg_map_get_str(&turn->engine->fetches, key) != NULL)
        return true; /* its request is out, for this job or for another that leads on then */
    if (apply->is_restored) {
        apply->is_interrupted = true;
        return true;
    }
    struct sg_str url = sg_json_get(op->opts, SG_STR("url"));
    if (sg_json_kind_of(url) != SG_JSON_STRING || url.len == 2) {
        struct sg_str text = sg_arena_printf(&turn->engine->scratch, "The step %.*s (%s) was reported without a URL to request.",
                                             SG_FMT(op->display_name), sg_opcode_name(op->code));
        sg_run_fail(turn, run, "Error", text.ptr != NULL ? text.ptr : "no URL", text.ptr != NULL ? text.ptr : "no URL");
        return false; /* reference/02 §4.4: what makes no sense fails the run */
    }
    if (!request_add(turn, job, step, op->is_race, key)) {
        turn->is_failed = true;
        return true;
    }
    request_send(turn, job, op);
    step->status = SG_STEP_RUNNING;
    sg_step_touch(run, step);
    return true;
}

void sg_fetch_wait(struct sg_turn *turn, const struct sg_apply *apply)
{
    struct fetching *fetching = fetching_find(turn->engine, apply->job);
    assert(fetching != NULL && fetching->out > 0);
    if (apply->retry != NULL) {
        fetching->must_retry = true;
        fetching->retry_after_ms = apply->answer->retry_after_ms;
    }
    fetching->must_repeat = fetching->must_repeat || apply->is_interrupted;
}

/* ---- coming back ---- */

static bool is_to_be_tried_again(const struct sg_job *job, const struct sg_step *step, const struct sg_message *message)
{
    return message->as.fetched.data.len == 0 && !message->as.fetched.is_final && (step->flags & SG_STEP_HAS_MEMO) == 0 &&
           job->attempt + 1 < sg_job_attempts_max(job);
}

/* The step has its result. False if the run has been ended. */
static bool step_settle(struct sg_turn *turn, struct sg_job *job, struct sg_step *step, bool is_race, const struct sg_message *message)
{
    struct sg_apply apply = {.job = job};
    bool is_ok = message->as.fetched.data.len > 0;
    struct sg_str memo = is_ok ? sg_memo_wrap(turn, SG_STR("data"), message->as.fetched.data)
                               : sg_memo_wrap(turn, SG_STR("error"), message->as.fetched.error);
    if (!is_ok && (step->flags & SG_STEP_HAS_MEMO) == 0) {
        step->attempts++;
        step->error = message->as.fetched.error;
    }
    if (!sg_apply_completed(turn, &apply, step, is_race, is_ok ? SG_STEP_COMPLETED : SG_STEP_FAILED, memo))
        return false;
    sg_group_continue(turn, job->run, apply.last, apply.last_is_race, apply.last_is_fresh);
    return true;
}

/* All requests of the job are back. The run may be gone afterwards. */
static void job_settle(struct sg_turn *turn, struct sg_job *job, const struct fetching *fetching)
{
    if (fetching->must_retry && job->attempt + 1 < sg_job_attempts_max(job)) {
        int64_t backoff_ms = sg_job_backoff_ms(turn->engine, job->attempt);
        sg_job_retry(turn, job, fetching->retry_after_ms > 0 ? fetching->retry_after_ms : backoff_ms);
    } else if (fetching->must_repeat) {
        sg_job_repeat(turn, job);
    } else {
        sg_apply_leave(turn, job);
    }
}

bool sg_fetched_handle(struct sg_turn *turn, struct sg_message *message)
{
    struct sg_engine *engine = turn->engine;
    struct sg_run *run = sg_map_get_id(&engine->runs, message->as.fetched.run_id);
    if (run == NULL || (run->flags & SG_RUN_IS_ENDED) != 0)
        return false;
    if (run->hold != SG_HOLD_NONE || !sg_run_hydrate(turn, run))
        return sg_run_set_aside(run, message);
    struct sg_job *job = sg_job_find(run, message->as.fetched.job_id);
    if (job == NULL || !job->is_started || job->generation != message->as.fetched.generation)
        return false; /* late: the work is another generation's, or nobody's */
    struct sg_str key = request_key(engine, run, message->as.fetched.step_id);
    struct request *request = key.ptr != NULL ? sg_map_get_str(&engine->fetches, key) : NULL;
    struct fetching *fetching = fetching_find(engine, job);
    turn->is_failed = turn->is_failed || key.ptr == NULL;
    if (request == NULL || request->owner != fetching)
        return false; /* came twice */

    struct sg_id run_id = run->id;
    bool is_race = request->is_race;
    request_remove(engine, request);
    struct sg_step *step = sg_step_find(run, message->as.fetched.step_id);
    bool is_live = true;
    if (step == NULL) {
        engine->stray++; /* gone from the store: whoever is asked again reports it again */
        fetching->must_repeat = true;
    } else if (is_to_be_tried_again(job, step, message)) {
        step->status = SG_STEP_ERRORED;
        step->attempts++;
        step->error = message->as.fetched.error;
        sg_step_touch(run, step);
        fetching->must_retry = true;
    } else {
        is_live = step_settle(turn, job, step, is_race, message);
    }
    if (is_live && fetching->out == 0)
        job_settle(turn, job, fetching);
    run = sg_map_get_id(&engine->runs, run_id);
    if (run != NULL && (run->flags & SG_RUN_IS_ENDED) == 0)
        sg_run_flush(turn, run);
    return false;
}

/* ---- looking ---- */

bool sg_fetch_explain(struct sg_buf *out, const struct sg_engine *engine, const struct sg_job *job)
{
    const struct fetching *fetching = fetching_find(engine, job);
    if (fetching == NULL || fetching->out == 0)
        return false;
    sg_buf_printf(out, "The gateway makes %u request%s for it: ", fetching->out, fetching->out == 1 ? "" : "s");
    uint32_t named = 0;
    for (const struct request *request = fetching->requests; request != NULL && named < EXPLAINED_MAX; request = request->next) {
        char since[SG_RFC3339_MAX];
        size_t len = sg_rfc3339_format(request->started_at_ms - engine->options.clock_offset_ms, since);
        sg_buf_printf(out, "%sthat of the step %.*s, out since %.*s", named > 0 ? ", " : "", SG_FMT(request->name), (int)len, since);
        named++;
    }
    if (fetching->out > named)
        sg_buf_printf(out, ", and %u more", fetching->out - named);
    sg_buf_append(out, fetching->must_retry ? SG_STR(". One has failed: when all are back, the call is tried again.")
                                            : SG_STR(". When all are back, the run goes on."));
    return true;
}

bool sg_fetch_check(const struct sg_engine *engine, const struct sg_job *job, size_t *count, struct sg_error *error)
{
    const struct fetching *fetching = fetching_find(engine, job);
    if (fetching == NULL)
        return true;
    ++*count;
    uint32_t out = 0;
    for (const struct request *request = fetching->requests; request != NULL; request = request->next)
        out += sg_map_get_str(&engine->fetches, request->key) == request;
    if (!job->is_started || out == 0 || out != fetching->out)
        return sg_error_set(error, SG_CONFLICT, "job %lld counts %u requests, its list %u; it is started: %d", (long long)sg_job_id(job),
                            fetching->out, out, job->is_started) == SG_OK;
    return true;
}
