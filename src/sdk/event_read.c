/*
 * Events as bytes, from the store.
 *
 * The model. A client's event is a row that holds its bytes. A lifecycle event is a row that only names the run it is about:
 * its bytes are made from that run's row, its function's slug and its triggering events (reference/02 §6.4), which may be
 * lifecycle events themselves. Such a chain is followed eight deep; nobody builds longer ones on purpose.
 *
 * What it never does: keep anything. Whoever wants a cache puts it in front.
 */
#include "sdk/body.h"

#include "base/alloc.h"
#include "base/check.h"

#define LIFECYCLE_DEPTH_MAX 8 /* ours */
#define POSITION_BYTES 8      /* in a list of positions: big-endian (protocol/kinds.def, run.events) */

static enum sg_status event_read(struct sg_store_reader *reader, int64_t position, int depth, struct sg_buf *out, struct sg_error *error);

static int64_t position_at(struct sg_str list, size_t index)
{
    const unsigned char *bytes = (const unsigned char *)list.ptr + index * POSITION_BYTES;
    uint64_t position = 0;
    for (int i = 0; i < POSITION_BYTES; i++)
        position = position << 8 | bytes[i];
    return (int64_t)position;
}

/* The slug of a run's function; of its newest version if the run's own is not there. */
static enum sg_status slug_visit(void *context, const struct sg_record *record)
{
    struct sg_buf *out = context;
    sg_buf_append(out, record->values[SG_FUNCTION_SLUG].bytes);
    return SG_OK;
}

static enum sg_status slug_read(struct sg_store_reader *reader, struct sg_id function_id, struct sg_buf *out, struct sg_error *error)
{
    struct sg_query query = {
        .kind = SG_KIND_FUNCTION,
        .index = SG_INDEX_KEY,
        .equal_count = 1,
        .equal = {sg_value_id(&function_id)},
        .is_descending = true,
        .limit = 1,
    };
    return sg_store_read(reader, &query, slug_visit, out, error);
}

/* Makes the event's bytes from the rows of its run and of its function, and from the bytes of the run's own events. */
static enum sg_status lifecycle_write(const struct sg_record *event, const struct sg_record *run, struct sg_str slug,
                                      const struct sg_str *bodies, size_t count, struct sg_buf *out)
{
    struct sg_id run_id = sg_value_get_id(&event->values[SG_EVENT_RUN_ID]);
    struct sg_str name = event->values[SG_EVENT_NAME].bytes;
    /* The fixed id of the latter two, with event-id idempotency, is what makes an onFailure handler run once (reference/02 §6.4). */
    struct sg_id id = sg_str_eq(name, SG_STR("inngest/function.finished")) ? sg_value_get_id(&event->values[SG_EVENT_INTERNAL_ID]) : run_id;
    char id_text[SG_ULID_LEN + 1];
    sg_ulid_format(id, id_text);
    struct sg_lifecycle lifecycle = {
        .name = name,
        .id = sg_str_from(id_text),
        .ts_ms = event->values[SG_EVENT_TS].number,
        .function_slug = slug,
        .run_id = run_id,
        .status = (enum sg_run_status)run->values[SG_RUN_STATUS].number,
        .output = run->values[SG_RUN_OUTPUT].bytes,
        .error = run->values[SG_RUN_ERROR].bytes,
        .events = bodies,
        .event_count = count,
    };
    return sg_lifecycle_render(&lifecycle, out);
}

static enum sg_status lifecycle_read(struct sg_store_reader *reader, const struct sg_record *event, int depth, struct sg_buf *out,
                                     struct sg_error *error)
{
    if (depth >= LIFECYCLE_DEPTH_MAX)
        return sg_error_set(error, SG_TOO_DEEP, "a lifecycle event is about a run that was started by one, more than %d deep",
                            LIFECYCLE_DEPTH_MAX);
    struct sg_arena arena;
    struct sg_buf slug;
    struct sg_buf bytes;
    sg_arena_init(&arena);
    sg_buf_init(&slug);
    sg_buf_init(&bytes);

    struct sg_record run;
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &event->values[SG_EVENT_RUN_ID], &arena, &run, error);
    if (status != SG_OK)
        goto out;
    status = slug_read(reader, sg_value_get_id(&run.values[SG_RUN_FUNCTION_ID]), &slug, error);
    if (status != SG_OK)
        goto out;

    struct sg_str positions = run.values[SG_RUN_EVENTS].bytes;
    size_t count = positions.len / POSITION_BYTES;
    struct sg_str *bodies = sg_arena_alloc(&arena, (count + 1) * sizeof(*bodies));
    status = bodies == NULL ? SG_NO_MEMORY : SG_OK;
    for (size_t i = 0; i < count && status == SG_OK; i++) {
        sg_buf_clear(&bytes);
        status = event_read(reader, position_at(positions, i), depth + 1, &bytes, error);
        bodies[i] = sg_arena_copy(&arena, sg_buf_str(&bytes));
        if (status == SG_OK && bodies[i].ptr == NULL)
            status = SG_NO_MEMORY;
    }
    if (status == SG_OK)
        status = slug.is_failed ? SG_NO_MEMORY : lifecycle_write(event, &run, sg_buf_str(&slug), bodies, count, out);
    if (status == SG_NO_MEMORY)
        sg_error_set(error, status, "out of memory while making a lifecycle event");

out:
    sg_buf_free(&bytes);
    sg_buf_free(&slug);
    sg_arena_free(&arena);
    return status;
}

static enum sg_status record_read(struct sg_store_reader *reader, const struct sg_record *event, int depth, struct sg_buf *out,
                                  struct sg_error *error)
{
    assert(event->kind == SG_KIND_EVENT);
    const struct sg_value *body = &event->values[SG_EVENT_BODY];
    if (body->is_null)
        return lifecycle_read(reader, event, depth, out, error);
    sg_buf_append(out, body->bytes);
    return out->is_failed ? sg_error_set(error, SG_NO_MEMORY, "out of memory for an event of %zu bytes", body->bytes.len) : SG_OK;
}

/* Large bodies go from the store's row to where they belong in one step. */
struct body_visit {
    struct sg_buf *out;
    bool is_rendered;
    bool is_found;
    bool is_lifecycle;
};

static enum sg_status body_visit(void *context, const struct sg_record *event)
{
    struct body_visit *visit = context;
    const struct sg_value *body = &event->values[SG_EVENT_BODY];
    visit->is_found = true;
    visit->is_lifecycle = body->is_null;
    if (body->is_null)
        return SG_OK;
    if (visit->is_rendered)
        return sg_event_render(body->bytes, visit->out);
    sg_buf_append(visit->out, body->bytes);
    return visit->out->is_failed ? SG_NO_MEMORY : SG_OK;
}

/* The row is read once more, into memory that outlives the look at it: it is small, and others are read while it is needed. */
static enum sg_status lifecycle_read_at(struct sg_store_reader *reader, int64_t position, int depth, struct sg_buf *out,
                                        struct sg_error *error)
{
    struct sg_arena arena;
    sg_arena_init(&arena);
    struct sg_value key = sg_value_int(position);
    struct sg_record event;
    enum sg_status status = sg_store_get(reader, SG_KIND_EVENT, &key, &arena, &event, error);
    if (status == SG_OK)
        status = lifecycle_read(reader, &event, depth, out, error);
    sg_arena_free(&arena);
    return status;
}

static enum sg_status event_read_as(struct sg_store_reader *reader, int64_t position, int depth, bool is_rendered, struct sg_buf *out,
                                    struct sg_error *error)
{
    struct sg_query query = {
        .kind = SG_KIND_EVENT,
        .index = SG_INDEX_KEY,
        .equal_count = 1,
        .equal = {sg_value_int(position)},
        .limit = 1,
    };
    struct body_visit visit = {.out = out, .is_rendered = is_rendered};
    enum sg_status status = sg_store_read(reader, &query, body_visit, &visit, error);
    if (status == SG_NO_MEMORY)
        return sg_error_set(error, status, "out of memory for the event at position %lld", (long long)position);
    if (status != SG_OK)
        return status;
    if (!visit.is_found)
        return sg_error_set(error, SG_NOT_FOUND, "the event at position %lld is not in the store any more", (long long)position);
    if (!visit.is_lifecycle)
        return SG_OK;
    if (!is_rendered)
        return lifecycle_read_at(reader, position, depth, out, error);
    struct sg_buf body;
    sg_buf_init(&body);
    status = lifecycle_read_at(reader, position, depth, &body, error);
    if (status == SG_OK)
        status = sg_event_render(sg_buf_str(&body), out);
    sg_buf_free(&body);
    return status;
}

static enum sg_status event_read(struct sg_store_reader *reader, int64_t position, int depth, struct sg_buf *out, struct sg_error *error)
{
    return event_read_as(reader, position, depth, false, out, error);
}

enum sg_status sg_event_read(struct sg_store_reader *reader, int64_t position, struct sg_buf *out, struct sg_error *error)
{
    return event_read(reader, position, 0, out, error);
}

enum sg_status sg_event_read_record(struct sg_store_reader *reader, const struct sg_record *event, struct sg_buf *out,
                                    struct sg_error *error)
{
    return record_read(reader, event, 0, out, error);
}

enum sg_status sg_event_render_at(struct sg_store_reader *reader, int64_t position, struct sg_buf *out, struct sg_error *error)
{
    enum sg_status status = event_read_as(reader, position, 0, true, out, error);
    return status == SG_OK && out->is_failed ? SG_NO_MEMORY : status;
}

enum sg_status sg_run_events_read(struct sg_store_reader *reader, struct sg_id run_id, struct sg_buf *out, struct sg_error *error)
{
    struct sg_arena arena;
    sg_arena_init(&arena);
    struct sg_value key = sg_value_id(&run_id);
    struct sg_record run;
    enum sg_status status = sg_store_get(reader, SG_KIND_RUN, &key, &arena, &run, error);
    if (status == SG_OK) {
        struct sg_str positions = run.values[SG_RUN_EVENTS].bytes;
        sg_buf_byte(out, '[');
        for (size_t i = 0; i < positions.len / POSITION_BYTES && status == SG_OK; i++) {
            if (i > 0)
                sg_buf_byte(out, ',');
            status = event_read(reader, position_at(positions, i), 0, out, error);
        }
        sg_buf_byte(out, ']');
    }
    if (status == SG_OK && out->is_failed)
        status = sg_error_set(error, SG_NO_MEMORY, "out of memory for the events of a run");
    sg_arena_free(&arena);
    return status;
}
