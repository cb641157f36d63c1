/*
 * The caller.
 *
 * The model. Each thread runs libcurl's event interface over an epoll of its own. A call arrives in the mailbox of the thread
 * that its app belongs to, waits in the app's line, and goes out when the app and the thread have a connection left for it.
 * Apps that have something to send and room to send it stand in a ring; each gets one call at a time, so an app with ten
 * thousand calls does not delay one with a single call. When an exchange ends its answer is decoded here, in this thread, and
 * posted.
 *
 * An answer is never lost: if the inbox cannot take it, or memory is short, it is kept and offered again.
 *
 * What it never does: send a call a second time, not even on a kept connection that turns out to be dead (the engine decides
 * that), look into the clock of the engine, or let one thread touch what another owns. Threads share the mailbox and a few
 * counters, nothing else.
 */
#include "sdk/caller.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "sdk/call.h"
#include "sdk/lines.h"
#include "sdk/posting.h"

#define CALLER_MAGIC 0x63616c72u
#define CONNECT_TIMEOUT_MS 15000 /* reference/01 §7.8: TLS handshake */
#define EVENTS_PER_WAIT 64
#define TRANSFERS_KEPT 256  /* idle handles of a thread */
#define ANSWERS_PER_TURN 64 /* then the sockets get a look again */

struct caller_thread {
    struct sg_caller *caller;
    pthread_t thread;
    bool is_running;
    int epoll_fd;
    int wake_fd;
    CURLM *multi;
    int64_t timer_at_ms; /* monotonic; INT64_MAX: none */
    struct sg_call_maker maker;

    pthread_mutex_t lock; /* of the mailbox */
    struct sg_call *mail_first;
    struct sg_call *mail_last;

    struct sg_lines lines; /* by app */
    struct sg_list flying;
    struct sg_list idle; /* transfers to be used again */
    int idle_count;
    int flying_count;
    struct sg_posting posting;
    struct sg_call *unanswered; /* no memory for their answers yet */

    atomic_llong waiting;
    atomic_llong in_flight; /* until the answer is posted */
    atomic_llong calls;
    atomic_llong answers;
    atomic_llong failures;
    atomic_llong connections;
    atomic_llong redirects;
};

struct sg_caller {
    uint32_t magic;
    struct sg_caller_options options;
    struct sg_signing_key key;
    struct sg_signing_key fallback_key;
    atomic_bool is_draining;
    atomic_bool is_stopping;
    pthread_mutex_t idle_lock;
    pthread_cond_t idle; /* something ended while draining */
    int thread_count;
    struct caller_thread *threads;
};

static void *thread_main(void *context);

/* ---- starting and stopping ---- */

static void thread_wake(struct caller_thread *thread)
{
    uint64_t one = 1;
    ssize_t written;
    do
        written = write(thread->wake_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR); /* EAGAIN: the counter is full, so the thread is awake */
}

static void answer_left(void *context);
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known);
static int on_timer(CURLM *multi, long timeout_ms, void *context);

static enum sg_status multi_create(struct caller_thread *thread, int connections_max)
{
    thread->multi = curl_multi_init();
    if (thread->multi == NULL)
        return SG_NO_MEMORY;
    bool is_ok = curl_multi_setopt(thread->multi, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK;
    is_ok &= curl_multi_setopt(thread->multi, CURLMOPT_SOCKETDATA, thread) == CURLM_OK;
    is_ok &= curl_multi_setopt(thread->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK;
    is_ok &= curl_multi_setopt(thread->multi, CURLMOPT_TIMERDATA, thread) == CURLM_OK;
    is_ok &= curl_multi_setopt(thread->multi, CURLMOPT_MAXCONNECTS, (long)connections_max) == CURLM_OK;
    return is_ok ? SG_OK : SG_SYSTEM;
}

static enum sg_status thread_init(struct caller_thread *thread, struct sg_caller *caller, struct sg_error *error)
{
    thread->caller = caller;
    thread->epoll_fd = -1;
    thread->wake_fd = -1;
    thread->timer_at_ms = INT64_MAX;
    sg_lines_init(&thread->lines, offsetof(struct sg_call, next), caller->options.connections_per_app_max);
    thread->posting = (struct sg_posting){.poster = caller->options.poster, .left = answer_left, .context = thread};
    thread->maker = (struct sg_call_maker){
        .key = caller->options.key_count > 0 ? &caller->key : NULL,
        .fallback_key = caller->options.key_count > 1 ? &caller->fallback_key : NULL,
        .call_timeout_ms = caller->options.call_timeout_ms,
        .connect_timeout_ms = caller->options.connect_timeout_ms,
    };
    if (thread->maker.key != NULL)
        sg_signing_key_fingerprint(thread->maker.key, thread->maker.fingerprint);
    uint64_t seed;
    if (!sg_random_bytes(&seed, sizeof(seed)))
        return sg_error_set(error, SG_SYSTEM, "the system has no random numbers");
    sg_rng_init(&thread->maker.rng, seed);
    if (pthread_mutex_init(&thread->lock, NULL) != 0)
        return sg_error_set(error, SG_SYSTEM, "a mutex cannot be made");

    thread->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    thread->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = thread->wake_fd};
    if (thread->epoll_fd < 0 || thread->wake_fd < 0 || epoll_ctl(thread->epoll_fd, EPOLL_CTL_ADD, thread->wake_fd, &event) != 0)
        return sg_error_set(error, SG_SYSTEM, "the caller's epoll cannot be made: %s", strerror(errno));
    if (multi_create(thread, caller->options.connections_max) != SG_OK)
        return sg_error_set(error, SG_NO_MEMORY, "libcurl cannot be set up");
    enum sg_status status = sg_store_reader_open(caller->options.store, &thread->maker.reader, error);
    if (status != SG_OK)
        return status;

    int code = sg_quiet_thread_create(&thread->thread, thread_main, thread);
    if (code != 0)
        return sg_error_set(error, SG_SYSTEM, "a caller thread cannot be started: %s", strerror(code));
    thread->is_running = true;
    return SG_OK;
}

enum sg_status sg_caller_create(const struct sg_caller_options *options, struct sg_caller **caller_out, struct sg_error *error)
{
    *caller_out = NULL;
    enum sg_status status = sg_http_global_init(error);
    if (status != SG_OK)
        return status;
    struct sg_caller *caller = sg_calloc(1, sizeof(*caller));
    if (caller == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    caller->magic = CALLER_MAGIC;
    caller->options = *options;
    struct sg_caller_options *own = &caller->options;
    own->threads = own->threads > 0 ? own->threads : 1;
    own->connections_per_app_max = own->connections_per_app_max > 0 ? own->connections_per_app_max : SG_LIMIT_CONNECTIONS_PER_APP;
    own->connections_max = own->connections_max > 0 ? own->connections_max : SG_DEFAULT_CALLS;
    own->call_timeout_ms = own->call_timeout_ms > 0 ? own->call_timeout_ms : SG_LIMIT_CALL_MS;
    own->connect_timeout_ms = own->connect_timeout_ms > 0 ? own->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    own->response_bytes_max = own->response_bytes_max > 0 ? own->response_bytes_max : SG_LIMIT_RESPONSE_BYTES;
    if (own->key_count > 0)
        caller->key = options->keys[0];
    if (own->key_count > 1)
        caller->fallback_key = options->keys[1];
    own->keys = NULL;
    pthread_mutex_init(&caller->idle_lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&caller->idle, &attributes);
    pthread_condattr_destroy(&attributes);

    caller->threads = sg_calloc((size_t)own->threads, sizeof(*caller->threads));
    status = caller->threads == NULL ? sg_error_set(error, SG_NO_MEMORY, "out of memory") : SG_OK;
    while (status == SG_OK && caller->thread_count < own->threads) {
        caller->thread_count++;
        status = thread_init(&caller->threads[caller->thread_count - 1], caller, error);
    }
    if (status != SG_OK) {
        sg_caller_free(caller);
        return status;
    }
    *caller_out = caller;
    return SG_OK;
}

static void free_call(void *call)
{
    sg_call_free(call);
}

static void free_calls(struct sg_call *call)
{
    while (call != NULL) {
        struct sg_call *next = call->next;
        sg_call_free(call);
        call = next;
    }
}

static void free_transfers(struct caller_thread *thread, struct sg_list *list, bool is_flying)
{
    struct sg_list_node *node;
    while ((node = sg_list_pop_front(list)) != NULL) {
        struct sg_transfer *transfer = SG_CONTAINER_OF(node, struct sg_transfer, in_list);
        if (is_flying)
            curl_multi_remove_handle(thread->multi, transfer->http.easy);
        sg_transfer_free(transfer);
    }
}

static void thread_free(struct caller_thread *thread)
{
    if (thread->is_running)
        pthread_join(thread->thread, NULL);
    free_transfers(thread, &thread->flying, true);
    free_transfers(thread, &thread->idle, false);
    if (thread->multi != NULL)
        curl_multi_cleanup(thread->multi);
    sg_lines_free(&thread->lines, free_call);
    free_calls(thread->mail_first);
    free_calls(thread->unanswered);
    sg_posting_free(&thread->posting);
    if (thread->maker.reader != NULL)
        sg_store_reader_close(thread->maker.reader);
    if (thread->epoll_fd >= 0)
        close(thread->epoll_fd);
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
    pthread_mutex_destroy(&thread->lock);
}

void sg_caller_free(struct sg_caller *caller)
{
    if (caller == NULL)
        return;
    SG_CHECK(caller, CALLER_MAGIC);
    atomic_store(&caller->is_draining, true);
    atomic_store(&caller->is_stopping, true);
    for (int i = 0; i < caller->thread_count; i++)
        if (caller->threads[i].is_running)
            thread_wake(&caller->threads[i]);
    for (int i = 0; i < caller->thread_count; i++)
        thread_free(&caller->threads[i]);
    sg_free(caller->threads);
    sg_signing_key_wipe(&caller->key);
    sg_signing_key_wipe(&caller->fallback_key);
    pthread_cond_destroy(&caller->idle);
    pthread_mutex_destroy(&caller->idle_lock);
    caller->magic = 0;
    sg_free(caller);
}

/* ---- from other threads ---- */

enum sg_status sg_caller_submit(struct sg_caller *caller, struct sg_call *call)
{
    SG_CHECK(caller, CALLER_MAGIC);
    SG_CHECK(call, SG_CALL_MAGIC);
    struct caller_thread *thread = &caller->threads[call->app_id.bytes[15] % caller->thread_count];
    pthread_mutex_lock(&thread->lock);
    bool is_refused = atomic_load(&caller->is_draining);
    bool was_empty = thread->mail_first == NULL;
    if (!is_refused) {
        call->next = NULL;
        if (was_empty)
            thread->mail_first = call;
        else
            thread->mail_last->next = call;
        thread->mail_last = call;
        atomic_fetch_add(&thread->waiting, 1);
    }
    pthread_mutex_unlock(&thread->lock);
    if (is_refused)
        return SG_SHUTTING_DOWN;
    if (was_empty)
        thread_wake(thread);
    return SG_OK;
}

static int64_t busy_count(struct sg_caller *caller)
{
    int64_t busy = 0;
    for (int i = 0; i < caller->thread_count; i++)
        busy += atomic_load(&caller->threads[i].in_flight);
    return busy;
}

size_t sg_caller_drain(struct sg_caller *caller, int64_t timeout_ms)
{
    SG_CHECK(caller, CALLER_MAGIC);
    for (int i = 0; i < caller->thread_count; i++) { /* under the locks: whoever was let in before has been counted */
        pthread_mutex_lock(&caller->threads[i].lock);
        atomic_store(&caller->is_draining, true);
        pthread_mutex_unlock(&caller->threads[i].lock);
        thread_wake(&caller->threads[i]);
    }
    struct timespec deadline = sg_http_deadline(timeout_ms);
    pthread_mutex_lock(&caller->idle_lock);
    while (busy_count(caller) > 0)
        if (pthread_cond_timedwait(&caller->idle, &caller->idle_lock, &deadline) != 0)
            break;
    int64_t busy = busy_count(caller);
    pthread_mutex_unlock(&caller->idle_lock);
    return (size_t)busy;
}

void sg_caller_stats(struct sg_caller *caller, struct sg_caller_stats *stats)
{
    SG_CHECK(caller, CALLER_MAGIC);
    *stats = (struct sg_caller_stats){0};
    for (int i = 0; i < caller->thread_count; i++) {
        struct caller_thread *thread = &caller->threads[i];
        stats->waiting += atomic_load(&thread->waiting);
        stats->in_flight += atomic_load(&thread->in_flight);
        stats->calls += atomic_load(&thread->calls);
        stats->answers += atomic_load(&thread->answers);
        stats->failures += atomic_load(&thread->failures);
        stats->connections += atomic_load(&thread->connections);
        stats->redirects += atomic_load(&thread->redirects);
        stats->unposted += atomic_load(&thread->posting.kept);
    }
}

/* ---- posting answers ---- */

/* One call has come to its end. */
static void count_end(struct caller_thread *thread)
{
    struct sg_caller *caller = thread->caller;
    atomic_fetch_sub(&thread->in_flight, 1);
    if (!atomic_load(&caller->is_draining))
        return;
    pthread_mutex_lock(&caller->idle_lock);
    pthread_cond_broadcast(&caller->idle);
    pthread_mutex_unlock(&caller->idle_lock);
}

static void answer_left(void *context)
{
    struct caller_thread *thread = context;
    atomic_fetch_add(&thread->answers, 1);
    count_end(thread);
}

/* Answers that could not be posted, calls whose answer there was no memory for. */
static void post_again(struct caller_thread *thread)
{
    sg_posting_again(&thread->posting);
    while (thread->unanswered != NULL) {
        struct sg_message *message = sg_call_fail(thread->unanswered, SG_NO_MEMORY, "the gateway had no memory to read the answer");
        if (message == NULL)
            break;
        struct sg_call *call = thread->unanswered;
        thread->unanswered = call->next;
        sg_call_free(call);
        sg_posting_post(&thread->posting, message);
    }
}

/* ---- metering ---- */

static void meter_sent(const struct caller_thread *thread, const struct sg_call *call, int64_t now_ns)
{
    const struct sg_call_meter *meter = &thread->caller->options.meter;
    if (meter->sent != NULL)
        meter->sent(meter->context, call, now_ns);
}

static void meter_ended(const struct caller_thread *thread, const struct sg_call *call, const struct sg_call_report *report)
{
    const struct sg_call_meter *meter = &thread->caller->options.meter;
    if (meter->ended != NULL)
        meter->ended(meter->context, call, report);
}

/* Answers a call that will not go out; it is freed. */
static void answer_unsent(struct caller_thread *thread, struct sg_call *call, enum sg_status status, const char *text)
{
    struct sg_message *message = sg_call_fail(call, status, text);
    struct sg_call_report report = {.error = SG_CALL_ERROR_GATEWAY, .is_final = call->attempt + 1 >= call->max_attempts, .duration_ns = -1};
    atomic_fetch_add(&thread->failures, 1);
    meter_ended(thread, call, &report);
    if (message == NULL) {
        call->next = thread->unanswered;
        thread->unanswered = call;
        return;
    }
    sg_call_free(call);
    sg_posting_post(&thread->posting, message);
}

static void take_mail(struct caller_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    struct sg_call *call = thread->mail_first;
    thread->mail_first = NULL;
    thread->mail_last = NULL;
    pthread_mutex_unlock(&thread->lock);
    while (call != NULL) {
        struct sg_call *next = call->next;
        if (!sg_lines_add(&thread->lines, call->app_id, call)) {
            atomic_fetch_sub(&thread->waiting, 1);
            atomic_fetch_add(&thread->in_flight, 1);
            answer_unsent(thread, call, SG_NO_MEMORY, NULL);
        }
        call = next;
    }
}

/* ---- sending ---- */

static struct sg_transfer *transfer_get(struct caller_thread *thread)
{
    struct sg_list_node *node = sg_list_pop_front(&thread->idle);
    if (node == NULL)
        return sg_transfer_create(thread->caller->options.response_bytes_max);
    thread->idle_count--;
    return SG_CONTAINER_OF(node, struct sg_transfer, in_list);
}

static void transfer_put(struct caller_thread *thread, struct sg_transfer *transfer)
{
    sg_transfer_end(transfer);
    if (thread->idle_count >= TRANSFERS_KEPT) {
        sg_transfer_free(transfer);
        return;
    }
    sg_list_push_front(&thread->idle, &transfer->in_list); /* the one used last is warm */
    thread->idle_count++;
}

/* False if the call does not go out; it has been answered then. */
static bool send_call(struct caller_thread *thread, struct sg_line *line, struct sg_call *call)
{
    atomic_fetch_sub(&thread->waiting, 1);
    atomic_fetch_add(&thread->in_flight, 1);
    struct sg_transfer *transfer = transfer_get(thread);
    if (transfer == NULL) {
        answer_unsent(thread, call, SG_NO_MEMORY, NULL);
        return false;
    }
    struct sg_error error = {0};
    enum sg_status status = sg_transfer_begin(transfer, &thread->maker, call, &error);
    if (status == SG_OK && curl_multi_add_handle(thread->multi, transfer->http.easy) != CURLM_OK)
        status = sg_error_set(&error, SG_NO_MEMORY, "libcurl cannot take the call");
    if (status != SG_OK) {
        sg_log(SG_LOG_WARN, "a call cannot be made", SG_KV_ULID("run", call->run_id), SG_KV_STR("function", call->slug),
               SG_KV_ERROR(&error));
        transfer->call = NULL;
        transfer_put(thread, transfer);
        answer_unsent(thread, call, status, error.message);
        return false;
    }
    transfer->line = line;
    transfer->sent_at_ns = sg_http_monotonic_ns();
    meter_sent(thread, call, transfer->sent_at_ns);
    thread->flying_count++;
    sg_list_push_back(&thread->flying, &transfer->in_list);
    atomic_fetch_add(&thread->calls, 1);
    return true;
}

static void send_all(struct caller_thread *thread)
{
    struct sg_line *line;
    struct sg_call *call;
    while (thread->flying_count < thread->caller->options.connections_max && (call = sg_lines_take(&thread->lines, &line)) != NULL)
        if (!send_call(thread, line, call))
            sg_lines_done(&thread->lines, line);
}

/* Calls that have not gone out will be made after the restart. */
static void drop_waiting(struct caller_thread *thread)
{
    sg_lines_clear(&thread->lines, free_call);
    atomic_store(&thread->waiting, 0);
}

/* ---- ends ---- */

static void finish(struct caller_thread *thread, struct sg_transfer *transfer, CURLcode code)
{
    long opened = 0;
    curl_easy_getinfo(transfer->http.easy, CURLINFO_NUM_CONNECTS, &opened);
    atomic_fetch_add(&thread->connections, opened);
    curl_multi_remove_handle(thread->multi, transfer->http.easy);
    if (code == CURLE_OK && sg_http_redirect(&transfer->http)) {
        atomic_fetch_add(&thread->redirects, 1);
        if (curl_multi_add_handle(thread->multi, transfer->http.easy) == CURLM_OK)
            return;
        code = CURLE_OUT_OF_MEMORY;
    }
    enum sg_status resigned = code == CURLE_OK ? sg_transfer_resign(transfer, &thread->maker) : SG_NOT_FOUND;
    if (resigned == SG_OK && curl_multi_add_handle(thread->multi, transfer->http.easy) == CURLM_OK)
        return;
    if (resigned != SG_NOT_FOUND)
        code = CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK)
        atomic_fetch_add(&thread->failures, 1);

    int64_t now_ns = sg_http_monotonic_ns(); /* before the decoding, which is our time, not the app's */
    struct sg_message *message = sg_transfer_answer(transfer, &thread->maker, code);
    struct sg_call_report report = sg_transfer_report(transfer, code, message);
    report.duration_ns = now_ns - transfer->sent_at_ns;
    meter_ended(thread, transfer->call, &report);
    if (message != NULL)
        message->arrived_at_ns = now_ns;
    sg_list_remove(&thread->flying, &transfer->in_list);
    thread->flying_count--;
    sg_lines_done(&thread->lines, transfer->line);
    if (message == NULL) {
        transfer->call->next = thread->unanswered;
        thread->unanswered = transfer->call;
        transfer->call = NULL;
    }
    transfer_put(thread, transfer);
    if (message != NULL)
        sg_posting_post(&thread->posting, message);
}

/* True if more may have ended. */
static bool finish_some(struct caller_thread *thread)
{
    for (int i = 0; i < ANSWERS_PER_TURN; i++) {
        int left;
        CURLMsg *ended = curl_multi_info_read(thread->multi, &left);
        if (ended == NULL)
            return false;
        if (ended->msg != CURLMSG_DONE)
            continue;
        struct sg_http *http = NULL;
        curl_easy_getinfo(ended->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&http);
        finish(thread, SG_CONTAINER_OF(http, struct sg_transfer, http), ended->data.result);
    }
    return true;
}

/* ---- the loop ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    (void)easy;
    struct caller_thread *thread = context;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(thread->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* may be closed already */
        return 0;
    }
    struct epoll_event event = {.data.fd = fd};
    if ((what & CURL_POLL_IN) != 0)
        event.events |= EPOLLIN;
    if ((what & CURL_POLL_OUT) != 0)
        event.events |= EPOLLOUT;
    int op = known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    int code = epoll_ctl(thread->epoll_fd, op, fd, &event);
    if (code != 0 && (errno == EEXIST || errno == ENOENT)) /* a number that was used before */
        code = epoll_ctl(thread->epoll_fd, errno == EEXIST ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
    if (code != 0) {
        sg_log(SG_LOG_ERROR, "a connection cannot be watched", SG_KV_TEXT("cause", strerror(errno)));
        return -1;
    }
    curl_multi_assign(thread->multi, fd, thread);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct caller_thread *thread = context;
    thread->timer_at_ms = timeout_ms < 0 ? INT64_MAX : sg_http_monotonic_ms() + timeout_ms;
    return 0;
}

static int wait_ms(const struct caller_thread *thread, bool is_more)
{
    if (is_more)
        return 0;
    int64_t wait = !sg_posting_is_empty(&thread->posting) || thread->unanswered != NULL ? SG_REPOST_MS : 3600 * 1000;
    if (thread->timer_at_ms != INT64_MAX) {
        int64_t left = thread->timer_at_ms - sg_http_monotonic_ms();
        if (left < wait)
            wait = left > 0 ? left : 0;
    }
    return (int)wait;
}

static void handle_event(struct caller_thread *thread, const struct epoll_event *event)
{
    if (event->data.fd == thread->wake_fd) {
        uint64_t count;
        while (read(thread->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
            ;
        return;
    }
    int flags = 0;
    if ((event->events & EPOLLIN) != 0)
        flags |= CURL_CSELECT_IN;
    if ((event->events & EPOLLOUT) != 0)
        flags |= CURL_CSELECT_OUT;
    if ((event->events & (EPOLLERR | EPOLLHUP)) != 0)
        flags |= CURL_CSELECT_ERR;
    int running;
    curl_multi_socket_action(thread->multi, event->data.fd, flags, &running);
}

static void *thread_main(void *context)
{
    struct caller_thread *thread = context;
    struct sg_caller *caller = thread->caller;
    bool is_more = false;
    while (!atomic_load(&caller->is_stopping)) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = epoll_wait(thread->epoll_fd, events, EVENTS_PER_WAIT, wait_ms(thread, is_more));
        for (int i = 0; i < count; i++)
            handle_event(thread, &events[i]);
        if (thread->timer_at_ms <= sg_http_monotonic_ms()) {
            int running;
            thread->timer_at_ms = INT64_MAX; /* libcurl sets the next one itself */
            curl_multi_socket_action(thread->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        post_again(thread);
        is_more = finish_some(thread);
        take_mail(thread);
        if (atomic_load(&caller->is_draining))
            drop_waiting(thread);
        else
            send_all(thread);
    }
    return NULL;
}
