/*
 * Events as they come in.
 *
 * The model. The whole body is made canonical in one pass over its bytes; that pass also finds everything that is not
 * JSON, replaces what cannot be text (lone surrogates, bad UTF-8) and bounds the depth. What is left are objects whose
 * members stand in a known order without white space, so an event is read by walking its members once, and its stored
 * form is put together from pieces of the canonical text: data, id, meta, name, ts, user, v, in that order, which is
 * canonical again. Everything else that a client may have put beside them is dropped.
 *
 * The order of checks and their texts are the reference's (reference/03 §1.1.4); the texts that name a parser's inner life are ours.
 *
 * What it never does: accept a part of a request.
 */
#include "server/event_decode.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "base/check.h"
#include "server/event_sessions.h"
#include "server/limits.h"

/* The members of one event that count, as JSON values; empty if absent. */
struct members {
    struct sg_str data;
    struct sg_str id;
    struct sg_str meta;
    struct sg_str name;
    struct sg_str ts;
    struct sg_str user;
    struct sg_str v;
};

struct decoder {
    const struct sg_event_source *source;
    struct sg_arena *arena;
    struct sg_buf stored; /* scratch: the object that is being put together */
    char where[32];       /* "event 3: " if there are several, "" otherwise */
    struct sg_error *error;
};

static enum sg_status no_memory(struct sg_error *error)
{
    return sg_error_set(error, SG_NO_MEMORY, "out of memory");
}

/* ---- one event ---- */

static void read_members(struct sg_str object, struct members *members)
{
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str key, value;

    *members = (struct members){SG_STR_NULL, SG_STR_NULL, SG_STR_NULL, SG_STR_NULL, SG_STR_NULL, SG_STR_NULL, SG_STR_NULL};
    while (sg_json_next_member(&iter, &key, &value)) {
        struct sg_str *place = NULL;
        switch (key.len) { /* with its quotes */
        case 3:
            place = key.ptr[1] == 'v' ? &members->v : NULL;
            break;
        case 4:
            place = sg_str_eq(key, SG_STR("\"id\"")) ? &members->id : sg_str_eq(key, SG_STR("\"ts\"")) ? &members->ts : NULL;
            break;
        case 6:
            place = sg_str_eq(key, SG_STR("\"data\""))   ? &members->data
                    : sg_str_eq(key, SG_STR("\"name\"")) ? &members->name
                    : sg_str_eq(key, SG_STR("\"user\"")) ? &members->user
                    : sg_str_eq(key, SG_STR("\"meta\"")) ? &members->meta
                                                         : NULL;
            break;
        default:
            break;
        }
        if (place != NULL && sg_json_kind_of(value) != SG_JSON_NULL)
            *place = value; /* null is the same as absent; of meta only what is inside may be null */
    }
}

static enum sg_status check_kind(const struct decoder *decoder, const char *field, struct sg_str value, enum sg_json_kind wanted)
{
    enum sg_json_kind kind = sg_json_kind_of(value);

    if (kind == SG_JSON_ABSENT || kind == wanted)
        return SG_OK;
    return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%s\"%s\" must be %s, not %s", decoder->where, field,
                        wanted == SG_JSON_OBJECT   ? "an object"
                        : wanted == SG_JSON_STRING ? "a string"
                                                   : "a whole number of milliseconds",
                        sg_json_kind_name(kind));
}

static enum sg_status check_kinds(const struct decoder *decoder, const struct members *members)
{
    enum sg_status status = check_kind(decoder, "name", members->name, SG_JSON_STRING);
    if (status == SG_OK)
        status = check_kind(decoder, "data", members->data, SG_JSON_OBJECT);
    if (status == SG_OK)
        status = check_kind(decoder, "user", members->user, SG_JSON_OBJECT);
    if (status == SG_OK)
        status = check_kind(decoder, "id", members->id, SG_JSON_STRING);
    if (status == SG_OK)
        status = check_kind(decoder, "ts", members->ts, SG_JSON_NUMBER);
    if (status == SG_OK)
        status = check_kind(decoder, "v", members->v, SG_JSON_STRING);
    return status;
}

/* The text of a string member, at most `bytes_max` of it; "" if absent. */
static enum sg_status read_text(const struct decoder *decoder, const char *field, struct sg_str value, size_t bytes_max,
                                struct sg_str *text)
{
    *text = SG_STR("");
    if (value.len == 0)
        return SG_OK;
    if (sg_json_to_str(value, decoder->arena, text) != SG_OK)
        return no_memory(decoder->error);
    if (text->len > bytes_max)
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%s\"%s\" is longer than %zu bytes: it has %zu", decoder->where, field,
                            bytes_max, text->len);
    return SG_OK;
}

/* `data` without `_inngest`, which only the server may set (reference/03 §1.1.4). */
static void append_data(struct sg_buf *out, struct sg_str data)
{
    struct sg_json_iter iter;
    struct sg_str key, value;
    bool is_first = true;

    if (data.len == 0) {
        sg_buf_append(out, SG_STR("{}"));
        return;
    }
    /* Nearly no event has it: look for the bytes before taking the object apart. */
    if (memmem(data.ptr, data.len, "\"_inngest\"", 10) == NULL) {
        sg_buf_append(out, data);
        return;
    }
    iter = sg_json_iter(data);
    sg_buf_byte(out, '{');
    while (sg_json_next_member(&iter, &key, &value)) {
        if (sg_str_eq(key, SG_STR("\"_inngest\"")))
            continue;
        if (!is_first)
            sg_buf_byte(out, ',');
        is_first = false;
        sg_buf_append(out, key);
        sg_buf_byte(out, ':');
        sg_buf_append(out, value);
    }
    sg_buf_byte(out, '}');
}

static enum sg_status read_ts(const struct decoder *decoder, struct sg_str value, int64_t *ts_ms)
{
    *ts_ms = 0;
    if (value.len > 0 && !sg_json_to_int(value, ts_ms))
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%s\"ts\" must be a whole number of milliseconds, not %.*s",
                            decoder->where, SG_FMT(value));
    if (*ts_ms == 0)
        *ts_ms = decoder->source->now_ms;
    return SG_OK;
}

static enum sg_status check_ts(const struct decoder *decoder, int64_t ts_ms)
{
    if (ts_ms < SG_EVENT_TS_MIN_MS)
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%stimestamp is before Jan 1, 1980", decoder->where);
    if (ts_ms > SG_EVENT_TS_MAX_MS)
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%stimestamp is after Jan 1, 2100", decoder->where);
    return SG_OK;
}

static bool is_reserved(struct sg_str name)
{
    return name.len >= 8 && sg_str_eq_nocase((struct sg_str){name.ptr, 8}, SG_STR("inngest/"));
}

/* Puts the stored object together; what it is made of has been checked, but for sessions. */
static enum sg_status store(struct decoder *decoder, const struct members *members, struct sg_str id, int64_t ts_ms, struct sg_str v,
                            struct sg_str *body)
{
    struct sg_buf *out = &decoder->stored;

    sg_buf_clear(out);
    sg_buf_append(out, SG_STR("{\"data\":"));
    append_data(out, members->data);
    sg_buf_append(out, SG_STR(",\"id\":"));
    if (members->id.len > 2) /* as sent, but for the quotes of an empty one */
        sg_buf_append(out, members->id);
    else
        sg_json_quote(out, id);
    size_t before_meta = out->len;
    sg_buf_append(out, SG_STR(",\"meta\":"));
    size_t before_sessions = out->len;
    enum sg_status status = sg_event_sessions_fold(members->meta, decoder->where, decoder->arena, out, decoder->error);
    if (status != SG_OK)
        return status;
    if (out->len == before_sessions)
        out->len = before_meta; /* none */
    sg_buf_append(out, SG_STR(",\"name\":"));
    sg_buf_append(out, members->name.len > 0 ? members->name : SG_STR("\"\""));
    sg_buf_append(out, SG_STR(",\"ts\":"));
    sg_buf_int(out, ts_ms);
    if (members->user.len > 0) {
        sg_buf_append(out, SG_STR(",\"user\":"));
        sg_buf_append(out, members->user);
    }
    if (v.len > 0) {
        sg_buf_append(out, SG_STR(",\"v\":"));
        sg_buf_append(out, members->v);
    }
    sg_buf_byte(out, '}');
    if (out->is_failed)
        return no_memory(decoder->error);
    *body = sg_arena_adopt(decoder->arena, out);
    return body->ptr != NULL ? SG_OK : no_memory(decoder->error);
}

/* `event->internal_id` has been set. */
static enum sg_status decode_one(struct decoder *decoder, struct sg_str value, struct sg_event_in *event)
{
    struct members members;
    struct sg_str id, v;
    char ulid[SG_ULID_LEN + 1];

    if (sg_json_kind_of(value) != SG_JSON_OBJECT)
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%san event must be an object, not %s", decoder->where,
                            sg_json_kind_name(sg_json_kind_of(value)));
    if ((int64_t)value.len > decoder->source->event_bytes_max)
        return sg_error_set(decoder->error, SG_TOO_LARGE, "%sEvent is over the max size. Max: %lld bytes, Size: %zu bytes", decoder->where,
                            (long long)decoder->source->event_bytes_max, value.len);
    read_members(value, &members);
    enum sg_status status = check_kinds(decoder, &members);
    if (status == SG_OK)
        status = read_text(decoder, "name", members.name, SG_LIMIT_EVENT_NAME_BYTES, &event->name);
    if (status == SG_OK)
        status = read_text(decoder, "id", members.id, SG_LIMIT_EVENT_ID_BYTES, &id);
    if (status == SG_OK)
        status = read_text(decoder, "v", members.v, SG_LIMIT_EVENT_VERSION_BYTES, &v);
    if (status == SG_OK)
        status = read_ts(decoder, members.ts, &event->ts_ms);
    if (status != SG_OK)
        return status;
    if (is_reserved(event->name))
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%sevent name is reserved for internal use: %.*s", decoder->where,
                            SG_FMT(event->name));

    event->is_id_fresh = id.len == 0 && decoder->source->seed == NULL;
    if (id.len == 0) {
        sg_ulid_format(event->internal_id, ulid);
        id = (struct sg_str){ulid, SG_ULID_LEN};
    }
    status = store(decoder, &members, id, event->ts_ms, v, &event->body);
    if (status != SG_OK)
        return status;
    if (event->name.len == 0)
        return sg_error_set(decoder->error, SG_INVALID_ARGUMENT, "%sevent name is empty", decoder->where);
    status = check_ts(decoder, event->ts_ms);
    if (status != SG_OK)
        return status;
    event->name = sg_arena_copy(decoder->arena, event->name); /* it may lie in the canonical text, which goes */
    if (event->name.ptr == NULL)
        return no_memory(decoder->error);
    if (event->is_id_fresh)
        return SG_OK;
    event->key = sg_event_key(id);
    if (sg_id_is_null(event->key))
        return no_memory(decoder->error); /* libcrypto fails for no other reason */
    return SG_OK;
}

/* ---- the request ---- */

/* Of JSON's white space. */
static struct sg_str skip_space(struct sg_str text)
{
    while (text.len > 0 && (*text.ptr == ' ' || *text.ptr == '\t' || *text.ptr == '\n' || *text.ptr == '\r')) {
        text.ptr++;
        text.len--;
    }
    return text;
}

static enum sg_status decode_list(struct decoder *decoder, struct sg_str list, bool is_array, struct sg_event_in *events, size_t count)
{
    const struct sg_event_source *source = decoder->source;
    struct sg_json_iter iter = sg_json_iter(list);
    struct sg_str value = list;
    struct sg_id *ids = sg_arena_alloc(decoder->arena, count * sizeof(*ids));

    if (ids == NULL)
        return no_memory(decoder->error);
    if (source->seed == NULL)
        source->fresh(source->context, source->now_ms, ids, count);
    for (size_t i = 0; i < count; i++) {
        if (is_array && !sg_json_next_element(&iter, &value))
            assert(false); /* they have been counted */
        if (count > 1)
            (void)snprintf(decoder->where, sizeof(decoder->where), "event %zu: ", i + 1);
        events[i].internal_id = source->seed != NULL ? sg_event_seed_id(source->seed, (uint32_t)(i + 1)) : ids[i];
        enum sg_status status = decode_one(decoder, value, &events[i]);
        if (status != SG_OK)
            return status;
    }
    return SG_OK;
}

enum sg_status sg_events_decode(struct sg_str body, const struct sg_event_source *source, struct sg_arena *arena,
                                struct sg_event_in **events, size_t *count, size_t *seen, struct sg_error *error)
{
    const struct sg_json_options options = {.consumed = source->consumed};
    struct decoder decoder = {.source = source, .arena = arena, .error = error};
    struct sg_buf canonical;

    *events = NULL;
    *count = 0;
    *seen = 1;
    struct sg_str text = skip_space(body);
    if (text.len == 0) {
        *seen = 0;
        return SG_OK;
    }
    if (text.ptr[0] != '{' && text.ptr[0] != '[')
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Request body must contain an event object or an array of event objects");
    sg_buf_init(&canonical);
    sg_buf_init(&decoder.stored);
    (void)sg_buf_reserve(&canonical, text.len);
    enum sg_status status = sg_json_canonicalize(text, &options, &canonical, error);
    if (status != SG_OK)
        goto out;
    struct sg_str list = sg_buf_str(&canonical);
    bool is_array = list.ptr[0] == '[';
    size_t number = is_array ? sg_json_count(list) : 1;
    if (number > SG_LIMIT_EVENTS_PER_REQUEST) {
        status = sg_error_set(error, SG_TOO_MANY, "Cannot have more than %d events in a batch", SG_LIMIT_EVENTS_PER_REQUEST);
        goto out;
    }
    *seen = number;
    if (number == 0)
        goto out;
    struct sg_event_in *items = sg_arena_zalloc(arena, number * sizeof(*items));
    status = items != NULL ? decode_list(&decoder, list, is_array, items, number) : no_memory(error);
    if (status == SG_OK) {
        *events = items;
        *count = number;
    }

out:
    sg_buf_free(&decoder.stored);
    sg_buf_free(&canonical);
    return status;
}
