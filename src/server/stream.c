/*
 * Streams: what the executions of a durable endpoint push while they run, passed on to the client that follows (reference/03 §4.10, §5.5, §5.6).
 *
 *     POST /v1/realtime/publish/tee?channel=RUN   the SDK's bytes, as they come
 *     GET  /v1/realtime/sse?token=                whoever has a token for that channel
 *
 * The model. A channel has one stream: a bounded run of bytes, of which the oldest fall off. A subscriber has a position in it and
 * starts at its beginning, so a client that connects late misses nothing but what fell off; one that reads more slowly than that is cut.
 * Bytes are kept frame by frame (a frame ends with an empty line): two executions at a time must not mix theirs.
 *
 * A stream is over with the frame `inngest.response`. An SDK sends it only where it knows that an attempt was the last one; if a run ends without
 * it, we send it, some time after the end, because the SDK's last frames come beside its answer, not before it.
 *
 * Streams pass by the engine and the store: what is lost with the process is lost, and a client that comes back is told the run's result.
 */
#include "server/stream.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "server/handlers.h"
#include "server/internal.h"
#include "server/limits.h"
#include "server/output.h"
#include "server/respond.h"
#include "server/run_json.h"
#include "server/tokens.h"

#define STREAM_MAGIC 0x7374726du
#define RESPONSE_EVENT SG_STR("event: inngest.response\n")

struct sg_stream {
    uint32_t magic;
    struct sg_held_set *set;
    struct sg_str channel; /* owned; the key */
    struct sg_id run_id;
    bool has_run;         /* the channel is the id of a run */
    bool has_response;    /* the last frame is there */
    bool is_reading;      /* a thread of the pool has `task` */
    bool is_asked_again;  /* the run may have ended since that read began */
    bool is_gone;         /* out of the table; freed when the read ends */
    struct sg_buf bytes;  /* from `base` on */
    int64_t base;         /* how many bytes fell off: positions count from the first byte ever */
    struct sg_buf last;   /* the frame to end with, when the grace is over */
    int64_t finish_at_ms; /* INT64_MAX: the run goes on, as far as we know */
    int64_t expire_at_ms;
    struct sg_heap_node due;
    struct sg_list_node by_use;
    struct sg_list subscribers;
    struct sg_store_task task;
};

static void look(void *context, struct sg_store_reader *reader);
static void stream_drop(struct sg_stream *stream);

/* ---- the table ---- */

void sg_stream_table_init(struct sg_held_set *set)
{
    sg_map_init_strs(&set->streams, offsetof(struct sg_stream, channel));
}

void sg_stream_table_free(struct sg_held_set *set)
{
    while (!sg_list_is_empty(&set->streams_by_use))
        stream_drop(SG_CONTAINER_OF(set->streams_by_use.first, struct sg_stream, by_use));
    assert(set->stream_bytes == 0);
    sg_map_free(&set->streams);
    sg_heap_free(&set->stream_due);
}

static void stream_free(struct sg_stream *stream)
{
    assert(sg_list_is_empty(&stream->subscribers) && !stream->is_reading);
    sg_buf_free(&stream->bytes);
    sg_buf_free(&stream->last);
    sg_free((char *)stream->channel.ptr);
    stream->magic = 0;
    sg_free(stream);
}

/* Whoever follows it is cut. */
static void stream_drop(struct sg_stream *stream)
{
    struct sg_held_set *set = stream->set;
    struct sg_list_node *node;

    SG_CHECK(stream, STREAM_MAGIC);
    while ((node = sg_list_pop_front(&stream->subscribers)) != NULL) {
        struct sg_held *held = SG_CONTAINER_OF(node, struct sg_held, in_stream);
        held->stream = NULL;
        held->is_ending = true;
        sg_held_touch(held);
    }
    (void)sg_map_remove_str(&set->streams, stream->channel);
    sg_list_remove(&set->streams_by_use, &stream->by_use);
    sg_heap_remove(&set->stream_due, &stream->due);
    set->stream_bytes -= (int64_t)stream->bytes.len;
    atomic_fetch_sub(&set->stream_count, 1);
    stream->is_gone = true;
    if (!stream->is_reading)
        stream_free(stream);
}

static void schedule(struct sg_stream *stream)
{
    int64_t at_ms = stream->finish_at_ms < stream->expire_at_ms ? stream->finish_at_ms : stream->expire_at_ms;

    sg_heap_move(&stream->set->stream_due, &stream->due, at_ms, 0);
}

static void use(struct sg_stream *stream)
{
    sg_list_remove(&stream->set->streams_by_use, &stream->by_use);
    sg_list_push_back(&stream->set->streams_by_use, &stream->by_use);
    stream->expire_at_ms = sg_held_now_ms() + SG_STREAM_KEEP_MS;
    schedule(stream);
}

/* NULL if memory ran out. */
static struct sg_stream *stream_get(struct sg_held_set *set, struct sg_str channel)
{
    struct sg_stream *stream = sg_map_get_str(&set->streams, channel);

    if (stream != NULL) {
        use(stream);
        return stream;
    }
    stream = sg_calloc(1, sizeof(*stream));
    char *copy = sg_malloc(channel.len + 1);
    if (stream == NULL || copy == NULL)
        goto failed;
    memcpy(copy, channel.ptr, channel.len);
    stream->magic = STREAM_MAGIC;
    stream->set = set;
    stream->channel = (struct sg_str){copy, channel.len};
    stream->has_run = sg_ulid_parse(channel, &stream->run_id);
    stream->finish_at_ms = INT64_MAX;
    stream->expire_at_ms = sg_held_now_ms() + SG_STREAM_KEEP_MS;
    stream->due.key_ms = stream->expire_at_ms;
    stream->task = (struct sg_store_task){NULL, look, stream};
    if (!sg_heap_add(&set->stream_due, &stream->due))
        goto failed;
    if (sg_map_add(&set->streams, stream) != SG_OK) {
        sg_heap_remove(&set->stream_due, &stream->due);
        goto failed;
    }
    sg_list_push_back(&set->streams_by_use, &stream->by_use);
    atomic_fetch_add(&set->stream_count, 1);
    sg_held_wake(set); /* it may be due before everything else */
    return stream;

failed:
    sg_free(copy);
    sg_free(stream);
    return NULL;
}

/* ---- bytes ---- */

static size_t frame_len(struct sg_str bytes)
{
    const char *end = bytes.len > 0 ? memmem(bytes.ptr, bytes.len, "\n\n", 2) : NULL;

    return end == NULL ? 0 : (size_t)(end - bytes.ptr) + 2;
}

/* Lets whole frames fall off, so that the stream is at most half full. */
static void stream_trim(struct sg_stream *stream)
{
    if (stream->bytes.len <= SG_LIMIT_STREAM_BYTES)
        return;
    size_t from = stream->bytes.len - SG_LIMIT_STREAM_BYTES / 2;
    size_t more = frame_len((struct sg_str){stream->bytes.ptr + from, stream->bytes.len - from});
    size_t gone = more > 0 ? from + more : stream->bytes.len;

    memmove(stream->bytes.ptr, stream->bytes.ptr + gone, stream->bytes.len - gone);
    stream->bytes.len -= gone;
    stream->base += (int64_t)gone;
    stream->set->stream_bytes -= (int64_t)gone;
    struct sg_list_node *next;
    for (struct sg_list_node *node = stream->subscribers.first; node != NULL; node = next) {
        struct sg_held *held = SG_CONTAINER_OF(node, struct sg_held, in_stream);
        next = node->next;
        if (held->position >= stream->base)
            continue;
        sg_log(SG_LOG_INFO, "a client reads its stream too slowly and was cut", SG_KV_STR("channel", stream->channel));
        sg_list_remove(&stream->subscribers, node);
        held->stream = NULL;
        held->is_ending = true;
        sg_held_touch(held);
    }
}

/* Room for all streams together: the ones that were used longest ago go. */
static void make_room(struct sg_held_set *set, const struct sg_stream *kept)
{
    while (set->stream_bytes > SG_LIMIT_STREAMS_BYTES) {
        struct sg_stream *stream = SG_CONTAINER_OF(set->streams_by_use.first, struct sg_stream, by_use);
        if (stream == kept)
            return;
        stream_drop(stream);
    }
}

/* Whole frames. False if memory ran out: the stream is as it was. */
static bool stream_append(struct sg_stream *stream, struct sg_str frames)
{
    struct sg_held_set *set = stream->set;

    if (!sg_buf_reserve(&stream->bytes, frames.len)) {
        stream->bytes.is_failed = false;
        return false;
    }
    sg_buf_append(&stream->bytes, frames);
    set->stream_bytes += (int64_t)frames.len;
    for (struct sg_str rest = frames; rest.len > 0 && !stream->has_response;) {
        size_t len = frame_len(rest);
        stream->has_response = sg_str_starts_with(rest, RESPONSE_EVENT);
        if (len == 0)
            break;
        rest = (struct sg_str){rest.ptr + len, rest.len - len};
    }
    stream_trim(stream);
    use(stream); /* now: it must not be the one that goes */
    make_room(set, stream);
    for (struct sg_list_node *node = stream->subscribers.first; node != NULL; node = node->next)
        sg_held_touch(SG_CONTAINER_OF(node, struct sg_held, in_stream));
    return true;
}

struct sg_str sg_stream_bytes(struct sg_held *held)
{
    struct sg_stream *stream = held->stream;

    if (stream == NULL || stream->bytes.len == 0)
        return SG_STR_NULL;
    assert(held->position >= stream->base); /* who is further behind was cut */
    size_t at = (size_t)(held->position - stream->base);
    return (struct sg_str){stream->bytes.ptr + at, stream->bytes.len - at};
}

bool sg_stream_is_over(const struct sg_held *held)
{
    const struct sg_stream *stream = held->stream;

    return stream != NULL && stream->has_response && held->position == stream->base + (int64_t)stream->bytes.len;
}

void sg_stream_leave(struct sg_held *held)
{
    if (held->stream == NULL)
        return;
    sg_list_remove(&held->stream->subscribers, &held->in_stream);
    held->stream = NULL;
}

/* ---- the end of the run ---- */

static void stream_read(struct sg_stream *stream)
{
    if (stream->has_response || !stream->has_run)
        return;
    if (stream->is_reading) {
        stream->is_asked_again = true;
        return;
    }
    stream->is_reading = true;
    stream->set->reading++;
    if (sg_store_pool_run(stream->set->server->pool, &stream->task))
        return;
    stream->is_reading = false;
    stream->set->reading--;
}

void sg_stream_run_ended(struct sg_held_set *set, struct sg_id run_id)
{
    char text[SG_ULID_LEN + 1];

    sg_ulid_format(run_id, text);
    struct sg_stream *stream = sg_map_get_str(&set->streams, (struct sg_str){text, SG_ULID_LEN});
    if (stream != NULL)
        stream_read(stream);
}

/* The frame that tells a client what its run came to. */
static void write_last(struct sg_buf *out, const struct sg_record *record)
{
    const struct sg_value *values = record->values;
    struct sg_str headers, body;
    struct sg_buf text;
    int64_t http_status;

    sg_buf_append(out, RESPONSE_EVENT);
    sg_buf_append(out, SG_STR("data: {\"response\":{\"body\":"));
    if (!values[SG_RUN_OUTPUT].is_null && values[SG_RUN_STATUS].number != SG_RUN_CANCELLED &&
        sg_output_parts(values[SG_RUN_OUTPUT].bytes, &http_status, &headers, &body)) {
        sg_buf_append(out, body);
        sg_buf_append(out, SG_STR(",\"headers\":"));
        sg_buf_append(out, headers.len > 0 ? headers : SG_STR("{}"));
        sg_buf_printf(out, ",\"statusCode\":%lld},\"status\":\"succeeded\"}\n\n", (long long)http_status);
        return;
    }
    sg_buf_init(&text);
    bool is_completed = values[SG_RUN_STATUS].number == SG_RUN_COMPLETED;
    struct sg_str message = sg_json_get(values[SG_RUN_ERROR].bytes, SG_STR("message"));
    if (is_completed)
        sg_buf_append(&text, values[SG_RUN_OUTPUT].is_null ? SG_STR("null") : values[SG_RUN_OUTPUT].bytes);
    else if (values[SG_RUN_STATUS].number == SG_RUN_CANCELLED || message.len == 0)
        sg_buf_append(&text, SG_STR("\"The run was cancelled.\""));
    else
        sg_buf_append(&text, message);
    sg_json_quote(out, sg_buf_str(&text)); /* JSON as a text */
    out->is_failed |= text.is_failed;
    sg_buf_free(&text);
    sg_buf_printf(out, ",\"headers\":{\"content-type\":\"application/json\"},\"statusCode\":%d},\"status\":\"%s\"}\n\n",
                  is_completed ? 200 : 500, is_completed ? "succeeded" : "failed");
}

/* In a thread of the pool. */
static void look(void *context, struct sg_store_reader *reader)
{
    struct sg_stream *stream = context;
    struct sg_held_set *set = stream->set;
    struct sg_record record;
    struct sg_arena arena;
    struct sg_error error;
    struct sg_value key = sg_value_id(&stream->run_id);
    struct sg_buf last;

    sg_arena_init(&arena);
    sg_buf_init(&last);
    bool is_ended = sg_store_get(reader, SG_KIND_RUN, &key, &arena, &record, &error) == SG_OK && sg_run_is_ended(&record);
    if (is_ended)
        write_last(&last, &record);
    sg_arena_free(&arena);

    pthread_mutex_lock(&set->lock);
    stream->is_reading = false;
    set->reading--;
    if (stream->is_gone) {
        stream_free(stream);
    } else if (is_ended && !last.is_failed) {
        sg_buf_free(&stream->last);
        stream->last = last;
        sg_buf_init(&last);
        stream->finish_at_ms = sg_held_now_ms() + SG_STREAM_GRACE_MS;
        schedule(stream);
        sg_held_wake(set);
    } else if (stream->is_asked_again) {
        stream->is_asked_again = false;
        stream_read(stream);
    }
    pthread_cond_broadcast(&set->settled);
    pthread_mutex_unlock(&set->lock);
    sg_buf_free(&last);
}

void sg_stream_table_advance(struct sg_held_set *set, int64_t now_ms)
{
    struct sg_heap_node *node;

    while ((node = sg_heap_first(&set->stream_due)) != NULL && node->key_ms <= now_ms) {
        struct sg_stream *stream = SG_CONTAINER_OF(node, struct sg_stream, due);
        if (stream->finish_at_ms <= now_ms) {
            stream->finish_at_ms = INT64_MAX;
            bool is_done = stream->has_response || stream_append(stream, sg_buf_str(&stream->last));
            sg_buf_free(&stream->last);
            schedule(stream);
            if (!is_done)
                stream_drop(stream);
        } else if (sg_list_is_empty(&stream->subscribers)) {
            stream_drop(stream);
        } else {
            use(stream);
        }
    }
}

/* ---- GET /v1/realtime/sse ---- */

/* The channel of the topic `$stream` that the token is for; empty if there is none. */
static enum sg_status read_channel(struct sg_str claims, struct sg_arena *arena, struct sg_str *channel)
{
    struct sg_json_iter iter = sg_json_iter(sg_json_get(claims, SG_STR("topics")));
    struct sg_str topic;

    *channel = SG_STR_NULL;
    while (sg_json_next_element(&iter, &topic))
        if (sg_json_str_eq(sg_json_get(topic, SG_STR("name")), SG_STR("$stream")) &&
            sg_json_str_eq(sg_json_get(topic, SG_STR("kind")), SG_STR("run")))
            return sg_json_to_str(sg_json_get(topic, SG_STR("channel")), arena, channel);
    return SG_UNAUTHORIZED;
}

static void subscribe(struct sg_request *request, struct sg_str channel)
{
    struct sg_held *held = sg_held_take(request, SG_HELD_STREAM);

    if (held == NULL)
        return;
    struct sg_stream *stream = stream_get(held->set, channel);
    if (stream == NULL) {
        sg_held_answer(held, 503);
        sg_buf_append(&held->out, SG_STR("Content-Length: 0\r\nRetry-After: 1\r\n\r\n"));
        held->is_ending = true;
    } else {
        sg_held_answer(held, 200);
        sg_buf_append(&held->out,
                      SG_STR("Content-Type: text/event-stream\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no\r\n\r\n:\n\n"));
        held->stream = stream;
        held->position = stream->base;
        sg_list_push_back(&stream->subscribers, &held->in_stream);
        stream_read(stream); /* its run may have ended before we were asked */
    }
    sg_held_begin(held);
}

void sg_handle_sse(struct sg_request *request)
{
    struct sg_str token, claims, channel;
    bool is_given;
    struct sg_str authorization = sg_request_header(request, MHD_HTTP_HEADER_AUTHORIZATION);

    if (!sg_request_query(request, "token", &token, &is_given))
        return;
    if (authorization.len > 8) /* "Bearer " and a token (reference/03 §5.1) */
        token = sg_str_trim((struct sg_str){authorization.ptr + 7, authorization.len - 7});
    enum sg_status status = sg_token_realtime_check(request->server, token, sg_server_wall_ms(), &request->arena, &claims);
    if (status == SG_OK)
        status = read_channel(claims, &request->arena, &channel);
    if (status == SG_UNAUTHORIZED || (status == SG_OK && channel.len > SG_LIMIT_CHANNEL_BYTES)) {
        atomic_fetch_add(&request->server->counters.unauthorized, 1);
        sg_respond_error(request, 401, NULL, "Not authenticated");
    } else if (status != SG_OK) {
        sg_respond_status(request, status, "");
    } else if (request->is_head) {
        sg_respond_empty(request, 200);
    } else {
        subscribe(request, channel);
    }
}

/* ---- POST /v1/realtime/publish/tee ---- */

/* The channel of the request, kept in its state; NULL if the answer has been set. */
static struct sg_str *tee_channel(struct sg_request *request)
{
    struct sg_str *channel = request->state;
    bool is_given;

    if (channel != NULL)
        return channel;
    channel = sg_arena_zalloc(&request->arena, sizeof(*channel));
    if (channel == NULL) {
        sg_respond_status(request, SG_NO_MEMORY, "");
        return NULL;
    }
    if (!sg_request_query(request, "channel", channel, &is_given))
        return NULL;
    if (channel->len == 0) {
        sg_respond_error(request, 400, NULL, "channel query parameter required");
        return NULL;
    }
    if (channel->len > SG_LIMIT_CHANNEL_BYTES) {
        sg_respond_error(request, 400, "too_large", "The query parameter \"channel\" is longer than %d bytes", SG_LIMIT_CHANNEL_BYTES);
        return NULL;
    }
    request->state = channel;
    return channel;
}

static void tee_frames(struct sg_request *request, size_t len)
{
    struct sg_str *channel = tee_channel(request);
    struct sg_held_set *set = request->server->held;

    if (channel == NULL || len == 0)
        return;
    pthread_mutex_lock(&set->lock);
    struct sg_stream *stream = set->is_stopping ? NULL : stream_get(set, *channel);
    bool is_done = stream != NULL && stream_append(stream, (struct sg_str){request->body.ptr, len});
    pthread_mutex_unlock(&set->lock);
    if (!is_done)
        sg_respond_error(request, 503, sg_status_code(SG_UNAVAILABLE), "Error forwarding data");
    memmove(request->body.ptr, request->body.ptr + len, request->body.len - len);
    request->body.len -= len;
}

/* A piece has come: whole frames go on at once, what is left waits for its end. */
void sg_take_tee(struct sg_request *request)
{
    size_t len = 0;

    for (size_t more; (more = frame_len((struct sg_str){request->body.ptr + len, request->body.len - len})) > 0;)
        len += more;
    tee_frames(request, len);
}

void sg_handle_tee(struct sg_request *request)
{
    if (tee_channel(request) == NULL)
        return;
    tee_frames(request, request->body.len); /* whatever is left: the SDK has ended its stream with it */
    if (request->response.status == 0)
        sg_respond_empty(request, 200);
}
