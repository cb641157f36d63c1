/*
 * Events as bytes: what SDKs and expressions get to see of them.
 *
 * The model. A client's event is stored as it was accepted and shown with `user` added where it was missing (reference/01 §7.2). A lifecycle event is
 * not stored at all: its bytes are made, when somebody asks for them, from the run it is about and the events that triggered it
 * (reference/02 §6.4). Both are joined from canonical pieces in the order of their keys, so the result is canonical.
 */
#include <stepgate/engine.h>
#include <stepgate/json.h>

/* The members of a stored event, in canonical order; `user` is filled in. */
static void event_members(struct sg_buf *out, struct sg_str body, bool is_user_forced)
{
    static const char *const keys[] = {"data", "id", "meta", "name", "ts", "user", "v"};
    bool is_first = true;
    sg_buf_byte(out, '{');
    for (size_t index = 0; index < sizeof(keys) / sizeof(keys[0]); index++) {
        struct sg_str key = sg_str_from(keys[index]);
        struct sg_str value = sg_json_get(body, key);
        bool is_default = sg_json_kind_of(value) == SG_JSON_ABSENT || sg_json_kind_of(value) == SG_JSON_NULL;
        if (is_default && index == 0)
            value = SG_STR("{}");
        else if (is_default && sg_str_eq(key, SG_STR("user")) && is_user_forced)
            value = SG_STR("{}");
        else if (is_default)
            continue;
        if (!is_first)
            sg_buf_byte(out, ',');
        is_first = false;
        sg_buf_byte(out, '"');
        sg_buf_append(out, key);
        sg_buf_append(out, SG_STR("\":"));
        sg_buf_append(out, value);
    }
    sg_buf_byte(out, '}');
}

enum sg_status sg_event_render(struct sg_str body, struct sg_buf *out)
{
    event_members(out, body, true);
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}

enum sg_status sg_lifecycle_render(const struct sg_lifecycle *lifecycle, struct sg_buf *out)
{
    char run_id[SG_ULID_LEN + 1];
    sg_ulid_format(lifecycle->run_id, run_id);

    sg_buf_append(out, SG_STR("{\"data\":{\"_inngest\":{\"status\":\""));
    sg_buf_append(out, sg_str_from(sg_run_status_name(lifecycle->status)));
    sg_buf_append(out, SG_STR("\"}"));
    if (lifecycle->event_count > 0 && lifecycle->events[0].len > 0) {
        struct sg_str own = sg_json_get(sg_json_get(lifecycle->events[0], SG_STR("data")), SG_STR("_inngest"));
        struct sg_str correlation = sg_json_get(own, SG_STR("correlation_id"));
        if (sg_json_kind_of(correlation) == SG_JSON_STRING) {
            sg_buf_append(out, SG_STR(",\"correlation_id\":"));
            sg_buf_append(out, correlation);
        }
    }
    if (lifecycle->error.len > 0) {
        sg_buf_append(out, SG_STR(",\"error\":"));
        sg_buf_append(out, lifecycle->error);
    }
    sg_buf_append(out, SG_STR(",\"event\":"));
    if (lifecycle->event_count > 0)
        event_members(out, lifecycle->events[0], true);
    else
        sg_buf_append(out, SG_STR("{}"));
    sg_buf_append(out, SG_STR(",\"events\":["));
    for (size_t index = 0; index < lifecycle->event_count; index++) {
        if (index > 0)
            sg_buf_byte(out, ',');
        event_members(out, lifecycle->events[index], false); /* as stored: a missing user stays missing here */
    }
    sg_buf_append(out, SG_STR("],\"function_id\":"));
    sg_json_quote(out, lifecycle->function_slug);
    if (lifecycle->output.len > 0) {
        sg_buf_append(out, SG_STR(",\"result\":"));
        sg_buf_append(out, lifecycle->output);
    }
    sg_buf_append(out, SG_STR(",\"run_id\":\""));
    sg_buf_append(out, sg_str_from(run_id));
    sg_buf_append(out, SG_STR("\"},\"id\":"));
    sg_json_quote(out, lifecycle->id);
    sg_buf_append(out, SG_STR(",\"name\":"));
    sg_json_quote(out, lifecycle->name);
    sg_buf_append(out, SG_STR(",\"ts\":"));
    sg_buf_int(out, lifecycle->ts_ms);
    sg_buf_append(out, SG_STR("}"));
    return out->is_failed ? SG_NO_MEMORY : SG_OK;
}
