/*
 * The outbox.
 *
 * The model. The effects of a committed batch leave in the order in which the engine gave them: replies to those who wait, calls to the caller,
 * requests of steps to the fetcher, loads to the reader threads. None of these blocks. A call that cannot be taken any more, because the process is
 * ending, is dropped: "started" is what the store says about it, so the next start makes it again with the next generation. Memory that runs out here
 * has the same remedy.
 *
 * What it never does: reorder, wait, or look at what a call is for.
 */
#include "node/outbox.h"

#include <unistd.h>

#include "base/check.h"
#include "base/log.h"

static void let_call_out(struct sg_outbox *outbox, struct sg_effect *effect);
static void let_fetch_out(struct sg_outbox *outbox, struct sg_effect *effect);
static void check_load(enum sg_status status);

void sg_outbox_let_out(void *context, struct sg_batch *batch)
{
    struct sg_outbox *outbox = context;
    for (size_t i = 0; i < batch->effect_count; i++) {
        struct sg_effect *effect = &batch->effects[i];
        switch (effect->kind) {
        case SG_EFFECT_REPLY:
            assert(effect->client != NULL);
            effect->client->reply(effect->client, &effect->reply);
            break;
        case SG_EFFECT_CALL:
            let_call_out(outbox, effect);
            break;
        case SG_EFFECT_LOAD_RUN:
            check_load(sg_loads_run(outbox->loads, effect->run_id));
            break;
        case SG_EFFECT_LOAD_RUNS:
            check_load(sg_loads_runs(outbox->loads, effect->run_id));
            break;
        case SG_EFFECT_LOAD_EVENT:
            check_load(sg_loads_event(outbox->loads, effect->position, effect->run_id, effect->job_id));
            break;
        case SG_EFFECT_FETCH:
            let_fetch_out(outbox, effect);
            break;
        }
    }
}

static void let_call_out(struct sg_outbox *outbox, struct sg_effect *effect)
{
    struct sg_call *call = effect->call;
    if (atomic_load(&outbox->is_draining))
        return; /* freed with the batch */
    enum sg_status status = outbox->submit(outbox->context, call);
    if (status == SG_OK)
        effect->call = NULL;
    else if (status == SG_NO_MEMORY) {
        sg_log(SG_LOG_ERROR, "out of memory while handing over a call; ending, so that the next start makes it",
               SG_KV_ULID("run", call->run_id));
        _exit(3);
    } else {
        sg_log(SG_LOG_DEBUG, "a call was not made because the process is ending; the next start makes it", SG_KV_ULID("run", call->run_id),
               SG_KV_TEXT("status", sg_status_code(status)));
    }
}

static void let_fetch_out(struct sg_outbox *outbox, struct sg_effect *effect)
{
    struct sg_fetch *fetch = effect->fetch;
    if (atomic_load(&outbox->is_draining))
        return; /* freed with the batch; the call that asked for it is started, so the next start makes it again, and this with it */
    enum sg_status status = outbox->submit_fetch(outbox->context, fetch);
    if (status == SG_OK)
        effect->fetch = NULL;
    else
        sg_log(SG_LOG_DEBUG, "a request of a step was not made because the process is ending; the next start makes it",
               SG_KV_ULID("run", fetch->run_id), SG_KV_TEXT("status", sg_status_code(status)));
}

static void check_load(enum sg_status status)
{
    if (status != SG_NO_MEMORY)
        return; /* SG_SHUTTING_DOWN: nobody will ask for the outcome */
    sg_log(SG_LOG_ERROR, "out of memory while starting a load; ending, so that the next start recovers from what is on disk");
    _exit(3);
}
