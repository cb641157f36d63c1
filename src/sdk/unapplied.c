/*
 * What a registration asks for and this version does not do.
 *
 * The model. Flow control and schedules are accepted and stored as the SDK sent them, so that an app which uses them can be served; but a limit
 * that is silently not kept is worse than none. So the first registration that brings such a setting, and each one that changes something, says by
 * name what has no effect.
 *
 * To make a setting count, build it and take its line out of the table.
 */
#include "sdk/unapplied.h"

#include <stepgate/json.h>

#include "base/log.h"

static const char *const settings[] = {"batchEvents", "concurrency", "debounce",  "idempotency",
                                       "priority",    "rateLimit",   "singleton", "throttle"};

static bool has_cron(struct sg_str config)
{
    struct sg_json_iter iter = sg_json_iter(sg_json_get(config, SG_STR("triggers")));
    struct sg_str trigger;
    while (sg_json_next_element(&iter, &trigger))
        if (sg_json_kind_of(sg_json_get(trigger, SG_STR("cron"))) == SG_JSON_STRING)
            return true;
    return false;
}

/* An absent one, null and an empty list ask for nothing. */
static bool is_asked(struct sg_str value)
{
    enum sg_json_kind kind = sg_json_kind_of(value);
    if (kind == SG_JSON_ARRAY)
        return sg_json_count(value) > 0;
    return kind != SG_JSON_ABSENT && kind != SG_JSON_NULL;
}

static void name(struct sg_buf *out, const char *setting, struct sg_str slug)
{
    if (out->len > 0)
        sg_buf_append(out, SG_STR(", "));
    sg_buf_append(out, sg_str_from(setting));
    sg_buf_append(out, SG_STR(" ("));
    sg_buf_append(out, slug);
    sg_buf_byte(out, ')');
}

bool sg_registration_unapplied(const struct sg_registration *registration, struct sg_arena *arena, struct sg_str *text)
{
    const size_t count = sizeof(settings) / sizeof(settings[0]);
    bool is_named[sizeof(settings) / sizeof(settings[0]) + 1] = {false};
    struct sg_buf out;
    sg_buf_init(&out);
    for (size_t index = 0; index < registration->function_count; index++) {
        const struct sg_function_in *function = &registration->functions[index];
        for (size_t setting = 0; setting < count; setting++)
            if (!is_named[setting] && is_asked(sg_json_get(function->config, sg_str_from(settings[setting])))) {
                is_named[setting] = true;
                name(&out, settings[setting], function->slug);
            }
        if (!is_named[count] && has_cron(function->config)) {
            is_named[count] = true;
            name(&out, "cron", function->slug);
        }
    }
    *text = sg_arena_copy(arena, sg_buf_str(&out));
    bool is_ok = !out.is_failed && text->ptr != NULL;
    sg_buf_free(&out);
    return is_ok;
}

void sg_registration_warn_unapplied(struct sg_str app_name, const struct sg_reply *reply)
{
    if (reply->status == SG_OK && reply->is_modified && reply->message[0] != '\0')
        sg_log(SG_LOG_WARN, "settings that have no effect in this version of stepgate, each with the first function that asks for it",
               SG_KV_STR("app", app_name), SG_KV_TEXT("settings", reply->message));
}
