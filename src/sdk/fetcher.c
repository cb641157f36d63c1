/*
 * The fetcher.
 *
 * The model. One thread runs libcurl over its own poll: requests are few and long, the opposite of calls. A request arrives in the mailbox, waits in the
 * line of its app, and goes out when the pool and the app's share of it have room; lines that may send stand in a ring and send one at a time, so an
 * app that asks for ten thousand requests, or whose requests take hours, does not hold up another. What waits is bounded in number and bytes: a request
 * beyond that fails at once, and the engine tries it again after a while.
 *
 * An outcome is never lost: if the inbox cannot take it, or memory is short, it is kept and offered again.
 *
 * What it never does: send a request a second time (the engine decides that, as an attempt that counts), or log anything of its options.
 */
#include "sdk/fetcher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "sdk/fetch_transfer.h"
#include "sdk/http.h"
#include "sdk/lines.h"
#include "sdk/posting.h"

#define FETCHER_MAGIC 0x66746368u
#define CONNECT_TIMEOUT_MS 15000 /* as for calls (reference/01 §7.8) */
#define POLL_MS 1000             /* libcurl and the mailbox wake it earlier; this bounds nothing but a missed wake-up */
#define OUTCOMES_PER_TURN 64     /* then the sockets get a look again */

struct sg_fetcher {
    uint32_t magic;
    struct sg_fetcher_options options;
    pthread_t thread;
    bool is_running;
    CURLM *multi;
    struct sg_fetch_maker maker;

    pthread_mutex_t lock; /* of the mailbox, and for `idle` */
    pthread_cond_t idle;  /* something ended while draining */
    struct sg_fetch *mail_first;
    struct sg_fetch *mail_last;

    /* The thread's. */
    struct sg_lines lines; /* by app */
    struct sg_list flying;
    int flying_count;
    int64_t waiting_bytes;
    struct sg_posting posting;
    struct sg_fetch *unanswered; /* no memory for their outcomes yet */

    atomic_bool is_draining;
    atomic_bool is_stopping;
    atomic_llong waiting;
    atomic_llong in_flight; /* until the outcome is posted */
    atomic_llong fetches;
    atomic_llong failures;
    atomic_llong refusals;
};

static void *thread_main(void *context);
static void outcome_left(void *context);

/* ---- life ---- */

static enum sg_status start(struct sg_fetcher *fetcher, struct sg_error *error)
{
    fetcher->multi = curl_multi_init();
    if (fetcher->multi == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "libcurl cannot be set up");
    int code = sg_quiet_thread_create(&fetcher->thread, thread_main, fetcher);
    if (code != 0)
        return sg_error_set(error, SG_SYSTEM, "the fetcher's thread cannot be started");
    fetcher->is_running = true;
    return SG_OK;
}

enum sg_status sg_fetcher_create(const struct sg_fetcher_options *options, struct sg_fetcher **fetcher_out, struct sg_error *error)
{
    *fetcher_out = NULL;
    enum sg_status status = sg_http_global_init(error);
    if (status != SG_OK)
        return status;
    struct sg_fetcher *fetcher = sg_calloc(1, sizeof(*fetcher));
    if (fetcher == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    fetcher->magic = FETCHER_MAGIC;
    fetcher->options = *options;
    struct sg_fetcher_options *own = &fetcher->options;
    own->in_flight_max = own->in_flight_max > 0 ? own->in_flight_max : SG_LIMIT_FETCHES_IN_FLIGHT;
    own->waiting_max = own->waiting_max > 0 ? own->waiting_max : SG_LIMIT_FETCHES_WAITING;
    fetcher->maker = (struct sg_fetch_maker){
        .allows_private = own->allows_private,
        .timeout_ms = own->timeout_ms > 0 ? own->timeout_ms : SG_LIMIT_FETCH_MS,
        .connect_timeout_ms = own->connect_timeout_ms > 0 ? own->connect_timeout_ms : CONNECT_TIMEOUT_MS,
        .response_bytes_max = own->response_bytes_max > 0 ? own->response_bytes_max : SG_LIMIT_RESPONSE_BYTES,
    };
    sg_lines_init(&fetcher->lines, offsetof(struct sg_fetch, next), own->in_flight_max - own->in_flight_max / 4);
    fetcher->posting = (struct sg_posting){.poster = own->poster, .left = outcome_left, .context = fetcher};
    pthread_mutex_init(&fetcher->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&fetcher->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    status = start(fetcher, error);
    if (status != SG_OK) {
        sg_fetcher_free(fetcher);
        return status;
    }
    *fetcher_out = fetcher;
    return SG_OK;
}

static void free_fetch(void *fetch)
{
    sg_fetch_free(fetch);
}

static void free_fetches(struct sg_fetch *fetch)
{
    while (fetch != NULL) {
        struct sg_fetch *next = fetch->next;
        sg_fetch_free(fetch);
        fetch = next;
    }
}

void sg_fetcher_free(struct sg_fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    SG_CHECK(fetcher, FETCHER_MAGIC);
    atomic_store(&fetcher->is_draining, true);
    atomic_store(&fetcher->is_stopping, true);
    if (fetcher->is_running) {
        curl_multi_wakeup(fetcher->multi);
        pthread_join(fetcher->thread, NULL);
    }
    struct sg_list_node *node;
    while ((node = sg_list_pop_front(&fetcher->flying)) != NULL) {
        struct sg_fetch_transfer *transfer = SG_CONTAINER_OF(node, struct sg_fetch_transfer, in_list);
        curl_multi_remove_handle(fetcher->multi, transfer->easy);
        sg_fetch_transfer_free(transfer);
    }
    if (fetcher->multi != NULL)
        curl_multi_cleanup(fetcher->multi);
    sg_lines_free(&fetcher->lines, free_fetch);
    free_fetches(fetcher->mail_first);
    free_fetches(fetcher->unanswered);
    sg_posting_free(&fetcher->posting);
    pthread_cond_destroy(&fetcher->idle);
    pthread_mutex_destroy(&fetcher->lock);
    fetcher->magic = 0;
    sg_free(fetcher);
}

/* ---- from other threads ---- */

enum sg_status sg_fetcher_submit(struct sg_fetcher *fetcher, struct sg_fetch *fetch)
{
    SG_CHECK(fetcher, FETCHER_MAGIC);
    SG_CHECK(fetch, SG_FETCH_MAGIC);
    pthread_mutex_lock(&fetcher->lock);
    bool is_refused = atomic_load(&fetcher->is_draining);
    bool was_empty = fetcher->mail_first == NULL;
    if (!is_refused) {
        fetch->next = NULL;
        if (was_empty)
            fetcher->mail_first = fetch;
        else
            fetcher->mail_last->next = fetch;
        fetcher->mail_last = fetch;
        atomic_fetch_add(&fetcher->waiting, 1);
    }
    pthread_mutex_unlock(&fetcher->lock);
    if (is_refused)
        return SG_SHUTTING_DOWN;
    if (was_empty)
        curl_multi_wakeup(fetcher->multi);
    return SG_OK;
}

size_t sg_fetcher_drain(struct sg_fetcher *fetcher, int64_t timeout_ms)
{
    SG_CHECK(fetcher, FETCHER_MAGIC);
    struct timespec deadline = sg_http_deadline(timeout_ms);
    pthread_mutex_lock(&fetcher->lock); /* whoever was let in before has been counted */
    atomic_store(&fetcher->is_draining, true);
    curl_multi_wakeup(fetcher->multi);
    while (atomic_load(&fetcher->in_flight) > 0)
        if (pthread_cond_timedwait(&fetcher->idle, &fetcher->lock, &deadline) != 0)
            break;
    size_t busy = (size_t)atomic_load(&fetcher->in_flight);
    pthread_mutex_unlock(&fetcher->lock);
    return busy;
}

void sg_fetcher_stats(struct sg_fetcher *fetcher, struct sg_fetcher_stats *stats)
{
    SG_CHECK(fetcher, FETCHER_MAGIC);
    *stats = (struct sg_fetcher_stats){
        .waiting = atomic_load(&fetcher->waiting),
        .in_flight = atomic_load(&fetcher->in_flight),
        .fetches = atomic_load(&fetcher->fetches),
        .failures = atomic_load(&fetcher->failures),
        .refusals = atomic_load(&fetcher->refusals),
        .unposted = atomic_load(&fetcher->posting.kept),
    };
}

/* ---- posting outcomes ---- */

static void outcome_left(void *context)
{
    struct sg_fetcher *fetcher = context;
    pthread_mutex_lock(&fetcher->lock);
    atomic_fetch_sub(&fetcher->in_flight, 1);
    pthread_cond_broadcast(&fetcher->idle);
    pthread_mutex_unlock(&fetcher->lock);
}

static void post(struct sg_fetcher *fetcher, struct sg_message *message)
{
    if (message->as.fetched.data.len == 0)
        atomic_fetch_add(&fetcher->failures, 1);
    sg_posting_post(&fetcher->posting, message);
}

/* Outcomes that could not be posted, requests whose outcome there was no memory for. */
static void post_again(struct sg_fetcher *fetcher)
{
    sg_posting_again(&fetcher->posting);
    while (fetcher->unanswered != NULL) {
        struct sg_message *message = sg_fetch_message_fail(fetcher->unanswered, SG_STR("the gateway had no memory for it"), false);
        if (message == NULL)
            break;
        struct sg_fetch *fetch = fetcher->unanswered;
        fetcher->unanswered = fetch->next;
        sg_fetch_free(fetch);
        post(fetcher, message);
    }
}

/* The end of a request that did not go out, or whose transfer is over. `message` may be NULL: no memory. Takes both. */
static void conclude(struct sg_fetcher *fetcher, struct sg_fetch *fetch, struct sg_message *message)
{
    if (message == NULL) {
        fetch->next = fetcher->unanswered;
        fetcher->unanswered = fetch;
        return;
    }
    sg_fetch_free(fetch);
    post(fetcher, message);
}

/* ---- lines ---- */

/* It leaves the waiting ones, and counts as in flight until its outcome is posted. */
static void count_begin(struct sg_fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    atomic_fetch_add(&fetcher->in_flight, 1);
    atomic_fetch_sub(&fetcher->waiting, 1);
    pthread_mutex_unlock(&fetcher->lock);
}

static void take_mail(struct sg_fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    struct sg_fetch *fetch = fetcher->mail_first;
    fetcher->mail_first = NULL;
    fetcher->mail_last = NULL;
    pthread_mutex_unlock(&fetcher->lock);
    int64_t lined = atomic_load(&fetcher->waiting);
    for (const struct sg_fetch *mail = fetch; mail != NULL; mail = mail->next)
        lined--; /* those that stood in lines before; what has arrived since only makes it more, and is judged the next time */
    while (fetch != NULL) {
        struct sg_fetch *next = fetch->next;
        int64_t bytes = (int64_t)fetch->opts.len;
        bool has_room =
            lined < fetcher->options.waiting_max && (lined == 0 || fetcher->waiting_bytes + bytes <= SG_LIMIT_FETCH_WAITING_BYTES);
        bool is_lined = has_room && sg_lines_add(&fetcher->lines, fetch->app_id, fetch);
        if (!is_lined) {
            count_begin(fetcher);
            struct sg_str why =
                has_room ? SG_STR("the gateway had no memory for it") : SG_STR("too many requests wait for the gateway's connections");
            conclude(fetcher, fetch, sg_fetch_message_fail(fetch, why, false));
        } else {
            lined++;
            fetcher->waiting_bytes += bytes;
        }
        fetch = next;
    }
}

/* ---- sending ---- */

/* False if the request does not go out; that is its outcome then. */
static bool send_one(struct sg_fetcher *fetcher, struct sg_line *line, struct sg_fetch *fetch)
{
    count_begin(fetcher);
    struct sg_message *message;
    struct sg_fetch_transfer *transfer = sg_fetch_transfer_begin(&fetcher->maker, fetch, &message);
    if (transfer == NULL) {
        conclude(fetcher, fetch, message);
        return false;
    }
    if (curl_multi_add_handle(fetcher->multi, transfer->easy) != CURLM_OK) {
        transfer->fetch = NULL;
        sg_fetch_transfer_free(transfer);
        conclude(fetcher, fetch, NULL);
        return false;
    }
    transfer->line = line;
    fetcher->flying_count++;
    sg_list_push_back(&fetcher->flying, &transfer->in_list);
    atomic_fetch_add(&fetcher->fetches, 1);
    return true;
}

static void send_all(struct sg_fetcher *fetcher)
{
    struct sg_line *line;
    struct sg_fetch *fetch;
    while (fetcher->flying_count < fetcher->options.in_flight_max && (fetch = sg_lines_take(&fetcher->lines, &line)) != NULL) {
        fetcher->waiting_bytes -= (int64_t)fetch->opts.len;
        if (!send_one(fetcher, line, fetch))
            sg_lines_done(&fetcher->lines, line);
    }
}

/* Requests that have not gone out are made after the restart. */
static void drop_waiting(struct sg_fetcher *fetcher)
{
    sg_lines_clear(&fetcher->lines, free_fetch);
    fetcher->waiting_bytes = 0;
    atomic_store(&fetcher->waiting, 0);
}

/* ---- ends ---- */

static void finish(struct sg_fetcher *fetcher, struct sg_fetch_transfer *transfer, CURLcode code)
{
    curl_multi_remove_handle(fetcher->multi, transfer->easy);
    if (code == CURLE_OK && sg_fetch_transfer_redirect(transfer)) {
        if (curl_multi_add_handle(fetcher->multi, transfer->easy) == CURLM_OK)
            return;
        code = CURLE_OUT_OF_MEMORY;
    }
    int64_t now_ns = sg_http_monotonic_ns();
    struct sg_message *message = sg_fetch_transfer_outcome(transfer, code);
    if (message != NULL) {
        message->arrived_at_ns = now_ns;
        if (message->as.fetched.is_final)
            atomic_fetch_add(&fetcher->refusals, 1);
    }
    struct sg_fetch *fetch = transfer->fetch;
    transfer->fetch = NULL;
    sg_list_remove(&fetcher->flying, &transfer->in_list);
    fetcher->flying_count--;
    sg_lines_done(&fetcher->lines, transfer->line);
    sg_fetch_transfer_free(transfer);
    conclude(fetcher, fetch, message);
}

/* True if more may have ended. */
static bool finish_some(struct sg_fetcher *fetcher)
{
    for (int i = 0; i < OUTCOMES_PER_TURN; i++) {
        int left;
        CURLMsg *ended = curl_multi_info_read(fetcher->multi, &left);
        if (ended == NULL)
            return false;
        if (ended->msg != CURLMSG_DONE)
            continue;
        struct sg_fetch_transfer *transfer = NULL;
        CURLcode code = ended->data.result;
        curl_easy_getinfo(ended->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&transfer);
        finish(fetcher, transfer, code);
    }
    return true;
}

static void *thread_main(void *context)
{
    struct sg_fetcher *fetcher = context;
    while (!atomic_load(&fetcher->is_stopping)) {
        int running;
        curl_multi_perform(fetcher->multi, &running);
        bool is_more = finish_some(fetcher);
        post_again(fetcher);
        take_mail(fetcher);
        if (atomic_load(&fetcher->is_draining)) {
            drop_waiting(fetcher);
        } else {
            int before = fetcher->flying_count;
            send_all(fetcher);
            is_more = is_more || fetcher->flying_count > before; /* they want their first look */
        }
        bool is_kept = !sg_posting_is_empty(&fetcher->posting) || fetcher->unanswered != NULL;
        curl_multi_poll(fetcher->multi, NULL, 0, is_more ? 0 : is_kept ? SG_REPOST_MS : POLL_MS, NULL);
    }
    return NULL;
}
