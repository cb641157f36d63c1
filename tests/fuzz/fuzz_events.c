/*
 * Any bytes as the body of POST /e: refused with a message, or every event is canonical, has its members in range and none that only
 * the server may set. The first byte chooses whether ids are seeded.
 */
#include <assert.h>
#include <string.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "server/event_decode.h"
#include "server/limits.h"

#define NOW_MS INT64_C(1767323045000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fresh(void *context, int64_t now_ms, struct sg_id *ids, size_t count)
{
    uint8_t entropy[10] = {0};

    (void)context;
    for (size_t i = 0; i < count; i++) {
        entropy[8] = (uint8_t)(i >> 8);
        entropy[9] = (uint8_t)i;
        ids[i] = sg_ulid_make(now_ms, entropy);
    }
}

static void check_event(const struct sg_event_in *event, const struct sg_event_source *source, struct sg_arena *arena)
{
    struct sg_buf again;
    struct sg_str name, id;
    int64_t ts_ms;

    sg_buf_init(&again);
    assert(sg_json_canonicalize(event->body, NULL, &again, NULL) == SG_OK);
    assert(sg_str_eq(sg_buf_str(&again), event->body));
    sg_buf_free(&again);

    assert(sg_json_kind_of(sg_json_get(event->body, SG_STR("data"))) == SG_JSON_OBJECT);
    assert(sg_json_get(sg_json_get(event->body, SG_STR("data")), SG_STR("_inngest")).len == 0);
    assert(sg_json_to_str(sg_json_get(event->body, SG_STR("name")), arena, &name) == SG_OK);
    assert(sg_str_eq(name, event->name) && name.len > 0 && name.len <= SG_LIMIT_EVENT_NAME_BYTES);
    assert(sg_json_to_str(sg_json_get(event->body, SG_STR("id")), arena, &id) == SG_OK);
    assert(id.len > 0 && id.len <= SG_LIMIT_EVENT_ID_BYTES);
    assert(sg_json_to_int(sg_json_get(event->body, SG_STR("ts")), &ts_ms) && ts_ms == event->ts_ms);
    assert(ts_ms >= SG_EVENT_TS_MIN_MS && ts_ms <= SG_EVENT_TS_MAX_MS);
    assert(sg_json_count(sg_json_get(sg_json_get(event->body, SG_STR("meta")), SG_STR("sessions"))) <= SG_LIMIT_EVENT_SESSIONS);
    assert(event->is_id_fresh == sg_id_is_null(event->key));
    assert(source->seed == NULL || !event->is_id_fresh);
    assert(!sg_id_is_null(event->internal_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_event_seed seed = {.time_ms = NOW_MS, .entropy = {1, 2, 3}};
    struct sg_event_source source = {.fresh = fresh, .now_ms = NOW_MS, .event_bytes_max = 4096};
    struct sg_error error = {.message = ""};
    struct sg_event_in *events;
    struct sg_arena arena;
    size_t count, seen;

    if (size == 0 || sg_crypto_init(NULL) != SG_OK)
        return 0;
    source.seed = (data[0] & 1) != 0 ? &seed : NULL;
    sg_arena_init(&arena);
    enum sg_status status =
        sg_events_decode((struct sg_str){(const char *)data + 1, size - 1}, &source, &arena, &events, &count, &seen, &error);
    assert(seen <= SG_LIMIT_EVENTS_PER_REQUEST);
    if (status == SG_OK)
        assert(count == seen);
    else
        assert(count == 0 && error.message[0] != '\0');
    for (size_t i = 0; i < count; i++)
        check_event(&events[i], &source, &arena);
    sg_arena_free(&arena);
    return 0;
}
