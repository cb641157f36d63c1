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
#include "base/map.h"
#include "sdk/fetch_transfer.h"
#include "sdk/http.h"

#define FETCHER_MAGIC 0x66746368u
#define CONNECT_TIMEOUT_MS 15000 /* as for calls (reference/01 §7.8) */
#define POLL_MS 1000             /* libcurl and the mailbox wake it earlier; this bounds nothing but a missed wake-up */
#define REPOST_MS 10             /* ours: how soon an outcome is offered again */
#define OUTCOMES_PER_TURN 64     /* then the sockets get a look again */

/* The line of one app's requests. Exists while it has any. */
struct fetch_line {
    struct sg_id id;
    struct sg_fetch *first;
    struct sg_fetch *last;
    int in_flight;
    struct sg_list_node in_ring;
    bool is_in_ring;
};

struct sg_fetcher {
    uint32_t magic;
    struct sg_fetcher_options options;
    int per_app_max;
    pthread_t thread;
    bool is_running;
    CURLM *multi;
    struct sg_fetch_maker maker;

    pthread_mutex_t lock; /* of the mailbox, and for `idle` */
    pthread_cond_t idle;  /* something ended while draining */
    struct sg_fetch *mail_first;
    struct sg_fetch *mail_last;

    /* The thread's. */
    struct sg_map lines; /* by app */
    struct sg_list ring; /* lines that may send */
    struct sg_list flying;
    int flying_count;
    int64_t waiting_bytes;
    struct sg_message *unposted_first;
    struct sg_message *unposted_last;
    struct sg_fetch *unanswered; /* no memory for their outcomes yet */

    atomic_bool is_draining;
    atomic_bool is_stopping;
    atomic_llong waiting;
    atomic_llong in_flight; /* until the outcome is posted */
    atomic_llong fetches;
    atomic_llong failures;
    atomic_llong refusals;
    atomic_llong unposted;
};

static void *thread_main(void *context);

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
    fetcher->per_app_max = own->in_flight_max - own->in_flight_max / 4;
    fetcher->maker = (struct sg_fetch_maker){
        .allows_private = own->allows_private,
        .timeout_ms = own->timeout_ms > 0 ? own->timeout_ms : SG_LIMIT_FETCH_MS,
        .connect_timeout_ms = own->connect_timeout_ms > 0 ? own->connect_timeout_ms : CONNECT_TIMEOUT_MS,
        .response_bytes_max = own->response_bytes_max > 0 ? own->response_bytes_max : SG_LIMIT_RESPONSE_BYTES,
    };
    sg_map_init_ids(&fetcher->lines, offsetof(struct fetch_line, id));
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
    size_t cursor = 0;
    struct fetch_line *line;
    while ((line = sg_map_next(&fetcher->lines, &cursor)) != NULL) {
        free_fetches(line->first);
        sg_free(line);
    }
    sg_map_free(&fetcher->lines);
    free_fetches(fetcher->mail_first);
    free_fetches(fetcher->unanswered);
    while (fetcher->unposted_first != NULL) {
        struct sg_message *next = fetcher->unposted_first->next;
        sg_message_free(fetcher->unposted_first);
        fetcher->unposted_first = next;
    }
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
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
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
        .unposted = atomic_load(&fetcher->unposted),
    };
}

/* ---- posting outcomes ---- */

static void count_end(struct sg_fetcher *fetcher)
{
    pthread_mutex_lock(&fetcher->lock);
    atomic_fetch_sub(&fetcher->in_flight, 1);
    pthread_cond_broadcast(&fetcher->idle);
    pthread_mutex_unlock(&fetcher->lock);
}

/* False: it must be offered again. */
static bool offer(struct sg_fetcher *fetcher, struct sg_message *message)
{
    const struct sg_poster *poster = &fetcher->options.poster;
    bool is_failure = message->as.fetched.data.len == 0;
    enum sg_status status = poster->post(poster->context, message);
    if (status == SG_SHUTTING_DOWN)
        sg_message_free(message); /* nobody will commit it: the call is made again after the restart */
    else if (status != SG_OK)
        return false;
    if (is_failure)
        atomic_fetch_add(&fetcher->failures, 1);
    count_end(fetcher);
    return true;
}

static void post(struct sg_fetcher *fetcher, struct sg_message *message)
{
    if (fetcher->unposted_first == NULL && offer(fetcher, message))
        return;
    message->next = NULL;
    if (fetcher->unposted_first == NULL)
        fetcher->unposted_first = message;
    else
        fetcher->unposted_last->next = message;
    fetcher->unposted_last = message;
    atomic_fetch_add(&fetcher->unposted, 1);
}

/* Outcomes that could not be posted, requests whose outcome there was no memory for. */
static void post_again(struct sg_fetcher *fetcher)
{
    while (fetcher->unposted_first != NULL) {
        struct sg_message *message = fetcher->unposted_first;
        struct sg_message *next = message->next;
        if (!offer(fetcher, message))
            break;
        fetcher->unposted_first = next;
        atomic_fetch_sub(&fetcher->unposted, 1);
    }
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

static void line_place(struct sg_fetcher *fetcher, struct fetch_line *line)
{
    bool may_send = line->first != NULL && line->in_flight < fetcher->per_app_max;
    if (may_send && !line->is_in_ring)
        sg_list_push_back(&fetcher->ring, &line->in_ring);
    else if (!may_send && line->is_in_ring)
        sg_list_remove(&fetcher->ring, &line->in_ring);
    line->is_in_ring = may_send;
    if (line->first == NULL && line->in_flight == 0) {
        sg_map_remove_id(&fetcher->lines, line->id);
        sg_free(line);
    }
}

static struct fetch_line *line_get(struct sg_fetcher *fetcher, struct sg_id app_id)
{
    struct fetch_line *line = sg_map_get_id(&fetcher->lines, app_id);
    if (line != NULL)
        return line;
    line = sg_calloc(1, sizeof(*line));
    if (line == NULL)
        return NULL;
    line->id = app_id;
    if (sg_map_add(&fetcher->lines, line) != SG_OK) {
        sg_free(line);
        return NULL;
    }
    return line;
}

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
        fetch->next = NULL;
        int64_t bytes = (int64_t)fetch->opts.len;
        bool has_room =
            lined < fetcher->options.waiting_max && (lined == 0 || fetcher->waiting_bytes + bytes <= SG_LIMIT_FETCH_WAITING_BYTES);
        struct fetch_line *line = has_room ? line_get(fetcher, fetch->app_id) : NULL;
        if (line == NULL) {
            count_begin(fetcher);
            struct sg_str why =
                has_room ? SG_STR("the gateway had no memory for it") : SG_STR("too many requests wait for the gateway's connections");
            conclude(fetcher, fetch, sg_fetch_message_fail(fetch, why, false));
        } else {
            if (line->first == NULL)
                line->first = fetch;
            else
                line->last->next = fetch;
            line->last = fetch;
            lined++;
            fetcher->waiting_bytes += bytes;
            line_place(fetcher, line);
        }
        fetch = next;
    }
}

/* ---- sending ---- */

static void send_one(struct sg_fetcher *fetcher, struct fetch_line *line, struct sg_fetch *fetch)
{
    count_begin(fetcher);
    struct sg_message *message;
    struct sg_fetch_transfer *transfer = sg_fetch_transfer_begin(&fetcher->maker, fetch, &message);
    if (transfer == NULL) {
        conclude(fetcher, fetch, message);
        return;
    }
    if (curl_multi_add_handle(fetcher->multi, transfer->easy) != CURLM_OK) {
        transfer->fetch = NULL;
        sg_fetch_transfer_free(transfer);
        conclude(fetcher, fetch, NULL);
        return;
    }
    transfer->line = line;
    line->in_flight++;
    fetcher->flying_count++;
    sg_list_push_back(&fetcher->flying, &transfer->in_list);
    atomic_fetch_add(&fetcher->fetches, 1);
}

static void send_all(struct sg_fetcher *fetcher)
{
    while (fetcher->flying_count < fetcher->options.in_flight_max && !sg_list_is_empty(&fetcher->ring)) {
        struct fetch_line *line = SG_CONTAINER_OF(sg_list_pop_front(&fetcher->ring), struct fetch_line, in_ring);
        line->is_in_ring = false;
        struct sg_fetch *fetch = line->first;
        line->first = fetch->next;
        fetch->next = NULL;
        fetcher->waiting_bytes -= (int64_t)fetch->opts.len;
        send_one(fetcher, line, fetch);
        line_place(fetcher, line);
    }
}

/* Requests that have not gone out are made after the restart. */
static void drop_waiting(struct sg_fetcher *fetcher)
{
    struct sg_list_node *node;
    while ((node = sg_list_pop_front(&fetcher->ring)) != NULL)
        SG_CONTAINER_OF(node, struct fetch_line, in_ring)->is_in_ring = false;
    size_t cursor = 0;
    struct fetch_line *line;
    while ((line = sg_map_next(&fetcher->lines, &cursor)) != NULL) {
        free_fetches(line->first);
        line->first = NULL;
        line->last = NULL;
    }
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
    struct fetch_line *line = transfer->line;
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
    line->in_flight--;
    line_place(fetcher, line);
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
        bool is_kept = fetcher->unposted_first != NULL || fetcher->unanswered != NULL;
        curl_multi_poll(fetcher->multi, NULL, 0, is_more ? 0 : is_kept ? REPOST_MS : POLL_MS, NULL);
    }
    return NULL;
}
