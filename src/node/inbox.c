/*
 * The engine's inbox.
 *
 * The model. Four lists under one mutex: what concerns runs that exist or makes new ones, from inside or from clients. Only clients' messages
 * are counted. The engine thread sleeps in ppoll(2) on an eventfd, which is written to only while it sleeps, so a busy engine costs its posters no
 * system call. A second descriptor, a timer that never fires, becomes readable when somebody sets the wall clock or the machine wakes from
 * suspension (TFD_TIMER_CANCEL_ON_SET): due times are wall times, so the engine then has to look at its clock again. With that there is no
 * polling tick.
 *
 * What it never does: block a poster, refuse an internal message, drop anything.
 */
#include "node/inbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"

#define INBOX_MAGIC 0x696e6278u
#define NS_PER_S 1000000000LL

/* In the order in which a batch takes them. */
enum lane { URGENT_INTERNAL, URGENT_CLIENT, FRESH_INTERNAL, FRESH_CLIENT, LANE_COUNT };

struct queue {
    struct sg_message *first;
    struct sg_message *last;
    int64_t count;
};

struct sg_inbox {
    uint32_t magic;
    pthread_mutex_t lock;
    struct queue lanes[LANE_COUNT];
    int64_t client_count; /* clients' messages inside or with a reserved place */
    int64_t client_bytes;
    int64_t messages_max;
    int64_t bytes_max;
    bool is_closed;
    bool is_woken;    /* sg_inbox_wake since the last wait */
    bool is_sleeping; /* the engine thread is in ppoll, or about to be */
    bool is_deaf;     /* and messages shall not wake it */
    int wake_fd;
    int clock_fd; /* -1: the kernel has none; setting the wall clock is then noticed at the next message */
};

static bool is_urgent(enum sg_message_kind kind);
static enum sg_status take_place(struct sg_inbox *inbox, size_t bytes);
static void put(struct sg_inbox *inbox, enum lane lane, struct sg_message *message);
static void ring(struct sg_inbox *inbox);
static int64_t waiting_count(const struct sg_inbox *inbox);
static void take_from(struct sg_inbox *inbox, enum lane lane, int64_t count, struct queue *into);
static int open_clock_fd(void);
static void drain_fd(int fd);

enum sg_status sg_inbox_create(int64_t messages_max, int64_t bytes_max, struct sg_inbox **inbox_out, struct sg_error *error)
{
    assert(messages_max > 0 && bytes_max > 0);
    struct sg_inbox *inbox = sg_calloc(1, sizeof(*inbox));
    if (inbox == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the inbox");
    inbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (inbox->wake_fd < 0) {
        enum sg_status status = sg_error_set(error, SG_SYSTEM, "eventfd: %s", strerror(errno));
        sg_free(inbox);
        return status;
    }
    inbox->clock_fd = open_clock_fd();
    pthread_mutex_init(&inbox->lock, NULL);
    inbox->messages_max = messages_max;
    inbox->bytes_max = bytes_max;
    inbox->magic = INBOX_MAGIC;
    *inbox_out = inbox;
    return SG_OK;
}

void sg_inbox_free(struct sg_inbox *inbox)
{
    if (inbox == NULL)
        return;
    SG_CHECK(inbox, INBOX_MAGIC);
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        for (struct sg_message *message = inbox->lanes[lane].first; message != NULL;) {
            struct sg_message *next = message->next;
            sg_message_free(message);
            message = next;
        }
    }
    close(inbox->wake_fd);
    if (inbox->clock_fd >= 0)
        close(inbox->clock_fd);
    pthread_mutex_destroy(&inbox->lock);
    inbox->magic = 0;
    sg_free(inbox);
}

enum sg_status sg_inbox_post(struct sg_inbox *inbox, struct sg_message *message)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    enum sg_status status = take_place(inbox, sg_inbox_message_bytes(message));
    if (status == SG_OK)
        put(inbox, is_urgent(message->kind) ? URGENT_CLIENT : FRESH_CLIENT, message);
    pthread_mutex_unlock(&inbox->lock);
    return status;
}

enum sg_status sg_inbox_reserve(struct sg_inbox *inbox, const struct sg_message *message)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    enum sg_status status = take_place(inbox, sg_inbox_message_bytes(message));
    pthread_mutex_unlock(&inbox->lock);
    return status;
}

void sg_inbox_post_reserved(struct sg_inbox *inbox, struct sg_message *message, size_t bytes)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    assert(inbox->client_count > 0);
    /* What a message is counted with is what it will be taken out with. */
    inbox->client_bytes += (int64_t)sg_inbox_message_bytes(message) - (int64_t)bytes;
    put(inbox, is_urgent(message->kind) ? URGENT_CLIENT : FRESH_CLIENT, message);
    pthread_mutex_unlock(&inbox->lock);
}

void sg_inbox_unreserve(struct sg_inbox *inbox, size_t bytes)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    assert(inbox->client_count > 0 && inbox->client_bytes >= (int64_t)bytes);
    inbox->client_count--;
    inbox->client_bytes -= (int64_t)bytes;
    /* Whoever waits for the inbox to become empty has to look again. */
    inbox->is_woken = true;
    ring(inbox);
    pthread_mutex_unlock(&inbox->lock);
}

size_t sg_inbox_message_bytes(const struct sg_message *message)
{
    return sizeof(*message) + message->arena.used_bytes;
}

void sg_inbox_post_internal(struct sg_inbox *inbox, struct sg_message *message)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    put(inbox, is_urgent(message->kind) ? URGENT_INTERNAL : FRESH_INTERNAL, message);
    pthread_mutex_unlock(&inbox->lock);
}

void sg_inbox_wake(struct sg_inbox *inbox)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    inbox->is_woken = true;
    ring(inbox);
    pthread_mutex_unlock(&inbox->lock);
}

void sg_inbox_close(struct sg_inbox *inbox)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    inbox->is_closed = true;
    pthread_mutex_unlock(&inbox->lock);
}

int64_t sg_inbox_waiting(struct sg_inbox *inbox)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    int64_t count = inbox->client_count;
    pthread_mutex_unlock(&inbox->lock);
    return count;
}

int64_t sg_inbox_bytes(struct sg_inbox *inbox)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    int64_t bytes = inbox->client_bytes;
    pthread_mutex_unlock(&inbox->lock);
    return bytes;
}

bool sg_inbox_is_empty(struct sg_inbox *inbox)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    bool is_empty = waiting_count(inbox) == 0 && inbox->client_count == 0;
    pthread_mutex_unlock(&inbox->lock);
    return is_empty;
}

struct sg_message *sg_inbox_take(struct sg_inbox *inbox, int messages_max)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    struct queue taken = {NULL, NULL, 0};

    pthread_mutex_lock(&inbox->lock);
    int64_t fresh_count = inbox->lanes[FRESH_INTERNAL].count + inbox->lanes[FRESH_CLIENT].count;
    int64_t kept_count = fresh_count < messages_max / 4 ? fresh_count : messages_max / 4;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        int64_t count_max = messages_max - taken.count - (lane <= URGENT_CLIENT ? kept_count : 0);
        take_from(inbox, lane, count_max, &taken);
    }
    pthread_mutex_unlock(&inbox->lock);
    return taken.first;
}

void sg_inbox_wait(struct sg_inbox *inbox, bool for_messages, int64_t timeout_ns)
{
    SG_CHECK(inbox, INBOX_MAGIC);
    pthread_mutex_lock(&inbox->lock);
    bool is_needed = !inbox->is_woken && !(for_messages && waiting_count(inbox) > 0) && timeout_ns != 0;
    inbox->is_woken = false;
    inbox->is_sleeping = is_needed;
    inbox->is_deaf = !for_messages;
    pthread_mutex_unlock(&inbox->lock);
    if (!is_needed)
        return;

    struct pollfd fds[2] = {{inbox->wake_fd, POLLIN, 0}, {inbox->clock_fd, POLLIN, 0}};
    struct timespec timeout = {timeout_ns / NS_PER_S, timeout_ns % NS_PER_S};
    /* EINTR is an early return, which the caller expects. */
    int count = ppoll(fds, inbox->clock_fd >= 0 ? 2 : 1, timeout_ns < 0 ? NULL : &timeout, NULL);

    pthread_mutex_lock(&inbox->lock);
    inbox->is_sleeping = false;
    inbox->is_woken = false;
    pthread_mutex_unlock(&inbox->lock);
    /* Whoever rang did so under the lock before is_sleeping was cleared, so nothing is lost here. */
    drain_fd(inbox->wake_fd);
    if (count > 0 && fds[1].revents != 0)
        drain_fd(inbox->clock_fd);
}

static bool is_urgent(enum sg_message_kind kind)
{
    switch (kind) {
    case SG_MESSAGE_ANSWER:
    case SG_MESSAGE_CHECKPOINT:
    case SG_MESSAGE_CANCEL:
    case SG_MESSAGE_LOADED_RUNS:
    case SG_MESSAGE_LOADED_RUN:
    case SG_MESSAGE_LOADED_EVENT:
    case SG_MESSAGE_FETCHED:
        return true;
    default:
        return false;
    }
}

/* With the lock. A message larger than the whole budget is let in when it is alone: its size was judged where it entered. */
static enum sg_status take_place(struct sg_inbox *inbox, size_t bytes)
{
    if (inbox->is_closed)
        return SG_SHUTTING_DOWN;
    if (inbox->client_count >= inbox->messages_max)
        return SG_QUEUE_FULL;
    if (inbox->client_count > 0 && inbox->client_bytes + (int64_t)bytes > inbox->bytes_max)
        return SG_QUEUE_FULL;
    inbox->client_count++;
    inbox->client_bytes += (int64_t)bytes;
    return SG_OK;
}

/* With the lock. */
static void put(struct sg_inbox *inbox, enum lane lane, struct sg_message *message)
{
    struct queue *queue = &inbox->lanes[lane];
    message->next = NULL;
    if (queue->last != NULL)
        queue->last->next = message;
    else
        queue->first = message;
    queue->last = message;
    queue->count++;
    if (!inbox->is_deaf)
        ring(inbox);
}

/* With the lock. */
static void ring(struct sg_inbox *inbox)
{
    if (!inbox->is_sleeping)
        return;
    inbox->is_sleeping = false;
    uint64_t one = 1;
    /* It can only fail when the counter is at its maximum, and then the descriptor is readable anyway. */
    ssize_t written = write(inbox->wake_fd, &one, sizeof(one));
    (void)written;
}

static int64_t waiting_count(const struct sg_inbox *inbox)
{
    int64_t count = 0;
    for (int lane = 0; lane < LANE_COUNT; lane++)
        count += inbox->lanes[lane].count;
    return count;
}

/* With the lock: moves up to `count` messages from the front of a lane to the end of `into`. */
static void take_from(struct sg_inbox *inbox, enum lane lane, int64_t count, struct queue *into)
{
    struct queue *queue = &inbox->lanes[lane];
    bool is_client = lane == URGENT_CLIENT || lane == FRESH_CLIENT;
    for (; count > 0 && queue->first != NULL; count--) {
        struct sg_message *message = queue->first;
        queue->first = message->next;
        if (queue->first == NULL)
            queue->last = NULL;
        queue->count--;
        if (is_client) {
            inbox->client_count--;
            inbox->client_bytes -= (int64_t)sg_inbox_message_bytes(message);
        }
        message->next = NULL;
        if (into->last != NULL)
            into->last->next = message;
        else
            into->first = message;
        into->last = message;
        into->count++;
    }
}

static int open_clock_fd(void)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -1;
    /* As far away as the type goes without being refused: it is never meant to fire. */
    struct itimerspec never = {.it_value = {.tv_sec = 1LL << 33}};
    if (timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Both descriptors are non-blocking; the timer's read fails with ECANCELED after the clock was set, which is its message. */
static void drain_fd(int fd)
{
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got;
}
