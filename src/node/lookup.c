/*
 * Idempotency lookups.
 *
 * The model. A message with ids of its own first takes a place in the inbox (so that clients are bounded before work is done for them), then a
 * reader thread reads the rows of each event's key, drops those whose 24 hours are over, writes the rest into the message and puts it into its
 * place. Outstanding are the lookups between the beginning of their read and the moment the engine has their message: a queue of (commit
 * number, how many), which is short, because numbers only grow and lookups end almost in the order in which they begin.
 *
 * What it never does: decide what a duplicate means, delete expired rows (housekeeping does), or touch events with fresh ids.
 */
#include "node/lookup.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"

#define LOOKUPS_MAGIC 0x6c6f6f6bu
/* Functions that one event may have started: all of an app's, with room; more rows than this for a key cannot exist. */
#define ROWS_MAX 100000

struct level {
    int64_t commit;
    int64_t count;
};

struct sg_lookups {
    uint32_t magic;
    struct sg_inbox *inbox;
    struct sg_store_pool *pool;
    struct sg_clock *clock;
    const struct sg_committer *committer;
    pthread_mutex_t lock;
    struct level *levels; /* a ring, commits ascending; never two with the same */
    size_t level_first;
    size_t level_count;
    size_t level_capacity;
};

/* Lives in the arena of its message. */
struct lookup {
    struct sg_store_task task;
    struct sg_lookups *lookups;
    struct sg_message *message;
    size_t reserved_bytes;
};

/* Where the rows of one lookup go: a chain in the message's arena, newest first. */
struct found {
    struct found *next;
    struct sg_known_key known;
};
struct collection {
    struct sg_arena *arena;
    struct found *first;
    size_t count;
    int64_t now_ms;
};

static void look_up(void *context, struct sg_store_reader *reader);
static bool begin(struct sg_lookups *lookups, int64_t *commit);
static enum sg_status read_keys(const struct sg_message *message, struct sg_store_reader *reader, struct collection *collection,
                                struct sg_error *error);
static enum sg_status read_run(struct sg_message *message, struct sg_store_reader *reader, struct sg_error *error);
static enum sg_status collect(void *context, const struct sg_record *record);
static enum sg_status keep_found(struct sg_message *message, const struct collection *collection);
static void refuse(struct lookup *lookup, enum sg_status status, const struct sg_error *error);
static bool grow_levels(struct sg_lookups *lookups);

enum sg_status sg_lookups_create(struct sg_inbox *inbox, struct sg_store_pool *pool, struct sg_clock *clock,
                                 const struct sg_committer *committer, struct sg_lookups **lookups_out, struct sg_error *error)
{
    struct sg_lookups *lookups = sg_calloc(1, sizeof(*lookups));
    if (lookups == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the idempotency lookups");
    lookups->magic = LOOKUPS_MAGIC;
    lookups->inbox = inbox;
    lookups->pool = pool;
    lookups->clock = clock;
    lookups->committer = committer;
    pthread_mutex_init(&lookups->lock, NULL);
    *lookups_out = lookups;
    return SG_OK;
}

void sg_lookups_free(struct sg_lookups *lookups)
{
    if (lookups == NULL)
        return;
    SG_CHECK(lookups, LOOKUPS_MAGIC);
    pthread_mutex_destroy(&lookups->lock);
    sg_free(lookups->levels);
    lookups->magic = 0;
    sg_free(lookups);
}

bool sg_lookups_concerns(const struct sg_message *message)
{
    if (message->kind == SG_MESSAGE_HTTP_RUN)
        return true; /* the SDK chose the run's id, and repeats what got no reply */
    if (message->kind != SG_MESSAGE_EVENTS)
        return false;
    for (size_t i = 0; i < message->as.events.count; i++)
        if (!message->as.events.events[i].is_id_fresh)
            return true;
    return false;
}

enum sg_status sg_lookups_post(struct sg_lookups *lookups, struct sg_message *message)
{
    SG_CHECK(lookups, LOOKUPS_MAGIC);
    SG_CHECK(message, SG_MESSAGE_MAGIC);
    assert(message->kind == SG_MESSAGE_EVENTS || message->kind == SG_MESSAGE_HTTP_RUN);

    struct lookup *lookup = sg_arena_zalloc(&message->arena, sizeof(*lookup));
    if (lookup == NULL)
        return SG_NO_MEMORY;
    *lookup = (struct lookup){
        .task = {NULL, look_up, lookup}, .lookups = lookups, .message = message, .reserved_bytes = sg_inbox_message_bytes(message)};
    enum sg_status status = sg_inbox_reserve(lookups->inbox, message);
    if (status != SG_OK)
        return status;
    size_t bytes = lookup->reserved_bytes;
    if (!sg_store_pool_run(lookups->pool, &lookup->task)) {
        sg_inbox_unreserve(lookups->inbox, bytes);
        return SG_SHUTTING_DOWN;
    }
    return SG_OK;
}

void sg_lookups_done(struct sg_lookups *lookups, int64_t commit)
{
    SG_CHECK(lookups, LOOKUPS_MAGIC);
    pthread_mutex_lock(&lookups->lock);
    size_t i = 0;
    while (lookups->levels[(lookups->level_first + i) % lookups->level_capacity].commit != commit) {
        i++;
        assert(i < lookups->level_count);
    }
    lookups->levels[(lookups->level_first + i) % lookups->level_capacity].count--;
    while (lookups->level_count > 0 && lookups->levels[lookups->level_first].count == 0) {
        lookups->level_first = (lookups->level_first + 1) % lookups->level_capacity;
        lookups->level_count--;
    }
    pthread_mutex_unlock(&lookups->lock);
}

int64_t sg_lookups_floor(struct sg_lookups *lookups)
{
    SG_CHECK(lookups, LOOKUPS_MAGIC);
    pthread_mutex_lock(&lookups->lock);
    /* Under the lock, so that no lookup begins with an older number between the two. */
    int64_t commit = lookups->level_count > 0 ? lookups->levels[lookups->level_first].commit : sg_committer_number(lookups->committer);
    pthread_mutex_unlock(&lookups->lock);
    return commit;
}

static void look_up(void *context, struct sg_store_reader *reader)
{
    struct lookup *lookup = context;
    struct sg_lookups *lookups = lookup->lookups;
    struct sg_message *message = lookup->message;
    struct sg_error error = {.status = SG_OK};
    struct collection collection = {.arena = &message->arena, .now_ms = sg_clock_now_ms(lookups->clock)};
    int64_t commit;

    if (!begin(lookups, &commit)) {
        refuse(lookup, SG_NO_MEMORY, NULL);
        return;
    }
    enum sg_status status = sg_store_reader_begin(reader, &error);
    if (status == SG_OK) {
        status = message->kind == SG_MESSAGE_HTTP_RUN ? read_run(message, reader, &error) : read_keys(message, reader, &collection, &error);
        sg_store_reader_end(reader);
    }
    if (status == SG_OK && message->kind == SG_MESSAGE_EVENTS)
        status = keep_found(message, &collection);
    if (status != SG_OK) {
        sg_lookups_done(lookups, commit);
        refuse(lookup, status, &error);
        return;
    }
    if (message->kind == SG_MESSAGE_EVENTS)
        message->as.events.lookup_commit = commit;
    else
        message->as.http_run.lookup_commit = commit;
    sg_inbox_post_reserved(lookups->inbox, message, lookup->reserved_bytes);
}

/* Enters a lookup whose read begins now. */
static bool begin(struct sg_lookups *lookups, int64_t *commit)
{
    bool is_entered = true;
    pthread_mutex_lock(&lookups->lock);
    *commit = sg_committer_number(lookups->committer);
    struct level *last = NULL;
    if (lookups->level_count > 0)
        last = &lookups->levels[(lookups->level_first + lookups->level_count - 1) % lookups->level_capacity];
    if (last != NULL && last->commit == *commit)
        last->count++;
    else if (lookups->level_count == lookups->level_capacity && !grow_levels(lookups))
        is_entered = false;
    else {
        lookups->levels[(lookups->level_first + lookups->level_count) % lookups->level_capacity] = (struct level){*commit, 1};
        lookups->level_count++;
    }
    pthread_mutex_unlock(&lookups->lock);
    return is_entered;
}

int64_t sg_lookups_commit(const struct sg_message *message)
{
    return message->kind == SG_MESSAGE_EVENTS ? message->as.events.lookup_commit : message->as.http_run.lookup_commit;
}

/* Whether there is, or was, a run with the id that the SDK has chosen. */
static enum sg_status read_run(struct sg_message *message, struct sg_store_reader *reader, struct sg_error *error)
{
    struct sg_http_run_in *in = &message->as.http_run;
    struct sg_record record;
    struct sg_arena arena;
    struct sg_value key = sg_value_id(&in->run_id);
    sg_arena_init(&arena);
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &key, &arena, &record, error);
    in->is_known = status == SG_OK;
    if (in->is_known)
        in->known_function_id = sg_value_get_id(&record.values[SG_RUN_FUNCTION_ID]);
    sg_arena_free(&arena);
    return status == SG_NOT_FOUND ? SG_OK : status;
}

static enum sg_status read_keys(const struct sg_message *message, struct sg_store_reader *reader, struct collection *collection,
                                struct sg_error *error)
{
    for (size_t i = 0; i < message->as.events.count; i++) {
        const struct sg_event_in *event = &message->as.events.events[i];
        if (event->is_id_fresh)
            continue;
        struct sg_query query = {.kind = SG_KIND_IDEMPOTENCY, .index = SG_INDEX_KEY, .equal_count = 1, .limit = ROWS_MAX};
        query.equal[0] = sg_value_id(&event->key);
        enum sg_status status = sg_store_read(reader, &query, collect, collection, error);
        if (status != SG_OK)
            return status;
    }
    return SG_OK;
}

static enum sg_status collect(void *context, const struct sg_record *record)
{
    struct collection *collection = context;
    if (record->values[SG_IDEMPOTENCY_EXPIRES_AT].number <= collection->now_ms)
        return SG_OK;
    struct found *found = sg_arena_alloc(collection->arena, sizeof(*found));
    if (found == NULL)
        return SG_NO_MEMORY;
    found->next = collection->first;
    found->known.key = sg_value_get_id(&record->values[SG_IDEMPOTENCY_KEY]);
    found->known.function_id = sg_value_get_id(&record->values[SG_IDEMPOTENCY_FUNCTION_ID]);
    collection->first = found;
    collection->count++;
    return SG_OK;
}

static enum sg_status keep_found(struct sg_message *message, const struct collection *collection)
{
    if (collection->count == 0)
        return SG_OK;
    struct sg_known_key *known = sg_arena_alloc(&message->arena, collection->count * sizeof(*known));
    if (known == NULL)
        return SG_NO_MEMORY;
    size_t count = 0;
    for (const struct found *found = collection->first; found != NULL; found = found->next)
        known[count++] = found->known;
    message->as.events.known = known;
    message->as.events.known_count = count;
    return SG_OK;
}

/* The message goes no further: its client hears why, and nothing has changed. */
static void refuse(struct lookup *lookup, enum sg_status status, const struct sg_error *error)
{
    struct sg_message *message = lookup->message;
    struct sg_reply reply = {.status = status == SG_NO_MEMORY ? SG_NO_MEMORY : SG_UNAVAILABLE};
    struct sg_str text = sg_str_from(error != NULL && error->message[0] != '\0' ? error->message : sg_status_text(status));
    size_t len = text.len < sizeof(reply.message) - 1 ? text.len : sizeof(reply.message) - 1;
    memcpy(reply.message, text.ptr, len);

    sg_log(SG_LOG_WARN, "events or runs were refused because their ids could not be looked up", SG_KV_STR("error", text));
    sg_inbox_unreserve(lookup->lookups->inbox, lookup->reserved_bytes);
    if (message->client != NULL)
        message->client->reply(message->client, &reply);
    sg_message_free(message);
}

/* With the lock. */
static bool grow_levels(struct sg_lookups *lookups)
{
    size_t capacity = lookups->level_capacity > 0 ? lookups->level_capacity * 2 : 64;
    struct level *levels = sg_calloc(capacity, sizeof(*levels));
    if (levels == NULL)
        return false;
    for (size_t i = 0; i < lookups->level_count; i++)
        levels[i] = lookups->levels[(lookups->level_first + i) % lookups->level_capacity];
    sg_free(lookups->levels);
    lookups->levels = levels;
    lookups->level_first = 0;
    lookups->level_capacity = capacity;
    return true;
}
