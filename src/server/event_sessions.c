/*
 * Sessions: up to five pairs of key and id that tie events of one conversation together.
 *
 * The model. An event may name its own (`meta.sessions`) and inherits those of the run that sent it
 * (`meta.propagated_sessions`). Its own win; a null takes an inherited one away, and null in place of the whole object
 * takes all of them away. Inherited ones fill up to five in the order of their keys. Both layers come in canonical
 * form, that is sorted, so folding them is one merge.
 */
#include "server/event_sessions.h"

#include <stepgate/json.h>

#include "base/check.h"
#include "server/limits.h"

struct session {
    struct sg_str key; /* plain text */
    struct sg_str id;  /* the JSON value: a string, a number, or null to take the inherited one away */
};

struct sessions {
    struct session items[SG_LIMIT_EVENT_SESSIONS];
    size_t count;
};

static enum sg_status read_one(const char *where, const char *layer, struct sg_str key, struct sg_str id, struct sg_arena *arena,
                               struct session *session, struct sg_error *error)
{
    struct sg_str text = id;

    enum sg_json_kind kind = sg_json_kind_of(id);
    session->id = id;
    enum sg_status status = sg_json_to_str(key, arena, &session->key);
    if (status == SG_OK && kind == SG_JSON_STRING)
        status = sg_json_to_str(id, arena, &text);
    if (status != SG_OK)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    if (session->key.len == 0 || session->key.len > SG_LIMIT_EVENT_SESSION_KEY_BYTES)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "%s%s: a key must have 1 to %d bytes, not %zu", where, layer,
                            SG_LIMIT_EVENT_SESSION_KEY_BYTES, session->key.len);
    if (kind == SG_JSON_NULL)
        return SG_OK;
    if (kind != SG_JSON_STRING && kind != SG_JSON_NUMBER)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "%s%s: the id of \"%.*s\" must be a string or a number, not %s", where, layer,
                            SG_FMT(session->key), sg_json_kind_name(kind));
    if (text.len == 0 || text.len > SG_LIMIT_EVENT_SESSION_ID_BYTES)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "%s%s: the id of \"%.*s\" must have 1 to %d bytes, not %zu", where, layer,
                            SG_FMT(session->key), SG_LIMIT_EVENT_SESSION_ID_BYTES, text.len);
    return SG_OK;
}

static enum sg_status read_own(struct sg_str layer, const char *where, struct sg_arena *arena, struct sessions *own, struct sg_error *error)
{
    struct sg_json_iter iter = sg_json_iter(layer);
    struct sg_str key, id;
    struct session session;

    while (sg_json_next_member(&iter, &key, &id)) {
        enum sg_status status = read_one(where, "meta.sessions", key, id, arena, &session, error);
        if (status != SG_OK)
            return status;
        if (sg_json_kind_of(id) == SG_JSON_NULL)
            continue;
        if (own->count == SG_LIMIT_EVENT_SESSIONS)
            return sg_error_set(error, SG_INVALID_ARGUMENT, "%smeta.sessions has more than %d entries", where, SG_LIMIT_EVENT_SESSIONS);
        own->items[own->count++] = session;
    }
    return SG_OK;
}

static enum sg_status read_inherited(struct sg_str layer, struct sg_str own_layer, const char *where, size_t room, struct sg_arena *arena,
                                     struct sessions *inherited, struct sg_error *error)
{
    struct sg_json_iter iter = sg_json_iter(layer);
    struct sg_str key, id;
    struct session session;

    while (sg_json_next_member(&iter, &key, &id)) {
        enum sg_status status = read_one(where, "meta.propagated_sessions", key, id, arena, &session, error);
        if (status != SG_OK)
            return status;
        bool is_overruled = sg_json_get(own_layer, session.key).len > 0; /* by a value or by null */
        if (inherited->count < room && !is_overruled && sg_json_kind_of(id) != SG_JSON_NULL)
            inherited->items[inherited->count++] = session;
    }
    return SG_OK;
}

static void write_one(struct sg_buf *out, const struct session *session, bool is_first)
{
    sg_buf_append(out, is_first ? SG_STR("{\"sessions\":{") : SG_STR(","));
    sg_json_quote(out, session->key);
    sg_buf_byte(out, ':');
    if (sg_json_kind_of(session->id) == SG_JSON_NUMBER)
        sg_json_quote(out, session->id);
    else
        sg_buf_append(out, session->id);
}

static enum sg_status check_layer(struct sg_str layer, const char *where, const char *name, struct sg_error *error)
{
    enum sg_json_kind kind = sg_json_kind_of(layer);

    if (kind == SG_JSON_ABSENT || kind == SG_JSON_NULL || kind == SG_JSON_OBJECT)
        return SG_OK;
    return sg_error_set(error, SG_INVALID_ARGUMENT, "%s%s must be an object, not %s", where, name, sg_json_kind_name(kind));
}

enum sg_status sg_event_sessions_fold(struct sg_str meta, const char *where, struct sg_arena *arena, struct sg_buf *out,
                                      struct sg_error *error)
{
    struct sessions own = {.count = 0};
    struct sessions inherited = {.count = 0};
    struct sg_str own_layer = sg_json_get(meta, SG_STR("sessions"));
    struct sg_str inherited_layer = sg_json_get(meta, SG_STR("propagated_sessions"));

    enum sg_status status = check_layer(meta, where, "meta", error);
    if (status == SG_OK)
        status = check_layer(own_layer, where, "meta.sessions", error);
    if (status == SG_OK)
        status = check_layer(inherited_layer, where, "meta.propagated_sessions", error);
    if (status == SG_OK)
        status = read_own(own_layer, where, arena, &own, error);
    if (status == SG_OK && sg_json_kind_of(own_layer) != SG_JSON_NULL)
        status = read_inherited(inherited_layer, own_layer, where, SG_LIMIT_EVENT_SESSIONS - own.count, arena, &inherited, error);
    if (status != SG_OK)
        return status;

    size_t total = own.count + inherited.count;
    for (size_t o = 0, i = 0; o + i < total;) {
        bool is_own = i == inherited.count || (o < own.count && sg_json_key_cmp(own.items[o].key, inherited.items[i].key) < 0);
        write_one(out, is_own ? &own.items[o] : &inherited.items[i], o + i == 0);
        if (is_own)
            o++;
        else
            i++;
    }
    if (total > 0)
        sg_buf_append(out, SG_STR("}}"));
    return out->is_failed ? sg_error_set(error, SG_NO_MEMORY, "out of memory") : SG_OK;
}
