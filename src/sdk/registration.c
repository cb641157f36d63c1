/*
 * Registrations: what an SDK posts to /fn/register, or answers to an in-band sync.
 *
 * The model. Both forms are read into the same fields, then everything is the same: the URL is normalised (or replaced by the
 * one that the operator configured), each function is validated, and a checksum over what counts tells whether anything
 * changed. Keys of the top level are matched without regard to case (the Python SDK sends `appname`); unknown ones are ignored.
 *
 * What never counts for the checksum: telemetry, `deployId`, `hash`, and whether the sync was in-band. An app that is polled
 * every five seconds must not look new each time.
 */
#include "sdk/registration.h"

#include <string.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "base/check.h"
#include "sdk/unapplied.h"
#include "sdk/url.h"

#define LIMIT_APP_NAME_BYTES 1024 /* ours: names are keys */

/* The members of either form, as canonical JSON; empty: absent. */
struct fields {
    struct sg_str app_name;
    struct sg_str url;
    struct sg_str sdk;
    struct sg_str framework;
    struct sg_str app_version;
    struct sg_str functions;
    struct sg_str sdk_language;
    struct sg_str sdk_version;
};

struct field_name {
    const char *name;
    size_t offset;
};

static const struct field_name posted[] = {
    {"appName", offsetof(struct fields, app_name)},
    {"url", offsetof(struct fields, url)},
    {"sdk", offsetof(struct fields, sdk)},
    {"framework", offsetof(struct fields, framework)},
    {"appVersion", offsetof(struct fields, app_version)},
    {"functions", offsetof(struct fields, functions)},
};

static const struct field_name in_band[] = {
    {"app_id", offsetof(struct fields, app_name)},
    {"url", offsetof(struct fields, url)},
    {"sdk", offsetof(struct fields, sdk)},
    {"framework", offsetof(struct fields, framework)},
    {"appVersion", offsetof(struct fields, app_version)},
    {"functions", offsetof(struct fields, functions)},
    {"sdk_language", offsetof(struct fields, sdk_language)},
    {"sdk_version", offsetof(struct fields, sdk_version)},
};

struct sg_id sg_app_id(struct sg_str app_name)
{
    return sg_uuid5_oid(app_name);
}

struct sg_id sg_function_id(struct sg_str app_name, struct sg_str slug, struct sg_arena *scratch)
{
    size_t len = app_name.len + 1 + slug.len;
    char *text = sg_arena_alloc(scratch, len);
    if (text == NULL)
        return (struct sg_id){{0}};
    if (app_name.len > 0)
        memcpy(text, app_name.ptr, app_name.len);
    text[app_name.len] = '\n';
    if (slug.len > 0)
        memcpy(text + app_name.len + 1, slug.ptr, slug.len);
    return sg_uuid5_oid((struct sg_str){text, len});
}

/* ---- reading ---- */

static enum sg_status no_memory(struct sg_error *error)
{
    return sg_error_set(error, SG_NO_MEMORY, "out of memory while reading a registration");
}

/* The body as canonical text in the arena, known to be an object. */
static enum sg_status read_object(struct sg_str body, struct sg_arena *arena, struct sg_str *object, struct sg_error *error)
{
    if (body.len > SG_LIMIT_REGISTRATION_BYTES)
        return sg_error_set(error, SG_TOO_LARGE, "Invalid request: the registration has %zu bytes; at most %d are allowed", body.len,
                            SG_LIMIT_REGISTRATION_BYTES);
    struct sg_buf canonical;
    struct sg_error why;
    sg_buf_init(&canonical);
    enum sg_status status = sg_json_canonicalize(body, NULL, &canonical, &why);
    *object = status == SG_OK ? sg_arena_copy(arena, sg_buf_str(&canonical)) : SG_STR_NULL;
    sg_buf_free(&canonical);
    if (status == SG_NO_MEMORY || (status == SG_OK && object->ptr == NULL))
        return no_memory(error);
    if (status != SG_OK)
        return sg_error_set(error, status, "Invalid request: %s", why.message);
    if (sg_json_kind_of(*object) != SG_JSON_OBJECT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request: expected an object, got %s",
                            sg_json_kind_name(sg_json_kind_of(*object)));
    return SG_OK;
}

/* An exactly spelled key wins over one that differs in case. */
static enum sg_status read_fields(struct sg_str object, const struct field_name *names, size_t count, struct sg_arena *arena,
                                  struct fields *fields)
{
    *fields = (struct fields){0};
    bool is_exact[16] = {false};
    assert(count <= SG_ARRAY_LEN(is_exact));
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str key;
    struct sg_str value;
    while (sg_json_next_member(&iter, &key, &value)) {
        struct sg_str name;
        if (sg_json_to_str(key, arena, &name) != SG_OK)
            return SG_NO_MEMORY;
        for (size_t i = 0; i < count; i++) {
            if (is_exact[i] || !sg_str_eq_nocase(name, sg_str_from(names[i].name)))
                continue;
            is_exact[i] = sg_str_eq(name, sg_str_from(names[i].name));
            *(struct sg_str *)(void *)((char *)fields + names[i].offset) = value;
        }
    }
    return SG_OK;
}

static enum sg_status read_text(struct sg_str value, const char *name, struct sg_arena *arena, struct sg_str *text, struct sg_error *error)
{
    *text = SG_STR("");
    enum sg_json_kind kind = sg_json_kind_of(value);
    if (kind == SG_JSON_ABSENT || kind == SG_JSON_NULL)
        return SG_OK;
    if (kind != SG_JSON_STRING)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request: `%s` must be a string, got %s", name, sg_json_kind_name(kind));
    return sg_json_to_str(value, arena, text) == SG_OK ? SG_OK : no_memory(error);
}

/* ---- what becomes of it ---- */

/* Where calls go: as announced, normalised, unless the operator says otherwise. */
static enum sg_status decide_url(struct sg_str announced, const struct sg_registration_options *options, struct sg_arena *arena,
                                 struct sg_registration *out, struct sg_registration_report *report, struct sg_str *configured)
{
    struct sg_buf buf;
    sg_buf_init(&buf);
    sg_url_normalise(announced, &buf);
    report->announced_url = buf.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&buf));
    sg_buf_free(&buf);
    if (report->announced_url.ptr == NULL)
        return SG_NO_MEMORY;
    out->url = report->announced_url;
    *configured = SG_STR_NULL;
    if (options == NULL || options->configured_url == NULL ||
        !options->configured_url(options->context, out->app_name, report->announced_url, arena, configured) || configured->len == 0)
        return SG_OK;
    if (sg_str_eq(*configured, report->announced_url)) {
        *configured = SG_STR_NULL;
        return SG_OK;
    }
    out->url = *configured;
    report->warning = sg_arena_printf(arena,
                                      "the app announces %.*s, but %.*s is configured: calls go there. Set INNGEST_SERVE_ORIGIN in the app "
                                      "if the configured address is right, or correct the configuration",
                                      SG_FMT(report->announced_url), SG_FMT(*configured));
    return report->warning.ptr == NULL ? SG_NO_MEMORY : SG_OK;
}

static bool version_at(struct sg_str text, int64_t version[3])
{
    for (int i = 0; i < 3; i++) {
        size_t len = 0;
        while (len < text.len && text.ptr[len] >= '0' && text.ptr[len] <= '9')
            len++;
        if (!sg_str_to_int((struct sg_str){text.ptr, len}, &version[i]))
            return false;
        if (i < 2 && (len >= text.len || text.ptr[len] != '.'))
            return false;
        text = (struct sg_str){text.ptr + len + (i < 2), text.len - len - (i < 2)};
    }
    return true;
}

/* The reference refuses 3.22.0 to 3.53.1 for a security advisory; we warn, since many deployments run them (reference/03 §2.2). */
static bool is_warned_sdk(struct sg_str sdk)
{
    int64_t version[3];
    struct sg_str prefix = SG_STR("js:v3.");
    if (!sg_str_starts_with(sdk, prefix) || !version_at((struct sg_str){sdk.ptr + 4, sdk.len - 4}, version))
        return false;
    return version[1] >= 22 && (version[1] < 53 || (version[1] == 53 && version[2] <= 1));
}

static enum sg_status read_functions(struct sg_str array, struct sg_str url_override, struct sg_arena *arena, struct sg_registration *out,
                                     struct sg_registration_report *report, struct sg_error *error)
{
    enum sg_json_kind kind = sg_json_kind_of(array);
    if (kind == SG_JSON_ABSENT || kind == SG_JSON_NULL)
        return SG_OK;
    if (kind != SG_JSON_ARRAY)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request: `functions` must be an array, got %s", sg_json_kind_name(kind));
    size_t count = sg_json_count(array);
    if (count > SG_LIMIT_FUNCTIONS_PER_APP)
        return sg_error_set(error, SG_TOO_MANY, "Invalid request: the app has %zu functions; at most %d are allowed", count,
                            SG_LIMIT_FUNCTIONS_PER_APP);
    out->functions = sg_arena_zalloc(arena, (count + 1) * sizeof(*out->functions));
    if (out->functions == NULL)
        return no_memory(error);

    struct sg_function_config_options options = {.app_name = out->app_name, .url_override = url_override};
    struct sg_json_iter iter = sg_json_iter(array);
    struct sg_str object;
    while (out->function_count < count && sg_json_next_element(&iter, &object)) {
        struct sg_error why;
        enum sg_status status =
            sg_function_config_decode(object, &options, arena, &out->functions[out->function_count], &report->problems, &why);
        if (status == SG_NO_MEMORY)
            return no_memory(error);
        if (status != SG_OK)
            return sg_error_set(error, status, "Invalid request: %s", why.message);
        out->function_count++;
    }
    return SG_OK;
}

/* Two functions with one id would overwrite each other for ever. */
static enum sg_status check_slugs(const struct sg_registration *out, struct sg_arena *arena, struct sg_registration_report *report)
{
    for (size_t i = 1; i < out->function_count; i++) {
        bool is_twice = false;
        for (size_t j = 0; j < i && !is_twice; j++)
            is_twice = sg_id_eq(out->functions[i].id, out->functions[j].id);
        if (!is_twice || report->problems.count >= SG_LIMIT_CONFIG_PROBLEMS)
            continue;
        struct sg_config_problems *problems = &report->problems;
        struct sg_config_problem *items = sg_arena_alloc(arena, (problems->count + 1) * sizeof(*items));
        struct sg_str slug = out->functions[i].slug;
        struct sg_str message = sg_arena_printf(arena, "The function id '%.*s' is used twice", SG_FMT(slug));
        if (items == NULL || message.ptr == NULL)
            return SG_NO_MEMORY;
        if (problems->count > 0)
            memcpy(items, problems->items, problems->count * sizeof(*items));
        items[problems->count++] = (struct sg_config_problem){slug, "config_invalid", message};
        problems->items = items;
        problems->capacity = problems->count;
    }
    return SG_OK;
}

static void write_text(struct sg_buf *out, const char *key, struct sg_str text)
{
    sg_buf_append(out, sg_str_from(key));
    sg_json_quote(out, text);
}

static enum sg_status make_checksum(struct sg_registration *out, struct sg_arena *arena)
{
    struct sg_buf text;
    char hex[SG_SHA256_HEX_LEN + 1];
    sg_buf_init(&text);
    write_text(&text, "{\"appName\":", out->app_name);
    write_text(&text, ",\"appVersion\":", out->app_version);
    write_text(&text, ",\"framework\":", out->framework);
    sg_buf_append(&text, SG_STR(",\"functions\":["));
    for (size_t i = 0; i < out->function_count; i++) {
        if (i > 0)
            sg_buf_byte(&text, ',');
        sg_buf_append(&text, out->functions[i].config);
    }
    write_text(&text, "],\"sdk\":", out->sdk);
    write_text(&text, ",\"url\":", out->url);
    sg_buf_byte(&text, '}');
    bool is_ok = !text.is_failed && sg_sha256_hex(sg_buf_str(&text), hex);
    sg_buf_free(&text);
    if (!is_ok)
        return SG_NO_MEMORY;
    out->checksum = sg_arena_copy(arena, (struct sg_str){hex, SG_SHA256_HEX_LEN});
    return out->checksum.ptr == NULL ? SG_NO_MEMORY : SG_OK;
}

/* "js:v4.24.0", or put together where an in-band answer only has the parts. */
static enum sg_status read_sdk(const struct fields *fields, struct sg_arena *arena, struct sg_registration *out, struct sg_error *error)
{
    struct sg_str language;
    struct sg_str version;
    enum sg_status status = read_text(fields->sdk, "sdk", arena, &out->sdk, error);
    if (status == SG_OK)
        status = read_text(fields->sdk_language, "sdk_language", arena, &language, error);
    if (status == SG_OK)
        status = read_text(fields->sdk_version, "sdk_version", arena, &version, error);
    if (status != SG_OK || out->sdk.len > 0 || language.len == 0)
        return status;
    bool has_v = version.len > 0 && version.ptr[0] == 'v';
    out->sdk = sg_arena_printf(arena, "%.*s:%s%.*s", SG_FMT(language), has_v ? "" : "v", SG_FMT(version));
    return out->sdk.ptr == NULL ? no_memory(error) : SG_OK;
}

/*
 * An entry of cancelOn without a condition cancels every run of its function: that is what it means, and rarely what somebody wanted. False if memory
 * ran out.
 */
static bool warn_cancels(const struct sg_registration *out, struct sg_arena *arena, struct sg_str *warning)
{
    for (size_t i = 0; i < out->function_count; i++) {
        struct sg_json_iter iter = sg_json_iter(sg_json_get(out->functions[i].config, SG_STR("cancel")));
        struct sg_str entry;
        while (sg_json_next_element(&iter, &entry)) {
            struct sg_str condition = sg_json_get(entry, SG_STR("if"));
            struct sg_str event = sg_json_get(entry, SG_STR("event"));
            if (condition.len > 2 && sg_json_kind_of(condition) == SG_JSON_STRING)
                continue;
            *warning =
                sg_arena_printf(arena,
                                "the function %.*s has an entry of cancelOn without a condition: %.*s cancels all of its runs. Add `if` or "
                                "`match` if one was meant",
                                SG_FMT(out->functions[i].slug), SG_FMT(event));
            return warning->ptr != NULL;
        }
    }
    return true;
}

static enum sg_status finish(const struct fields *fields, const struct sg_registration_options *options, struct sg_arena *arena,
                             struct sg_registration *out, struct sg_registration_report *report, struct sg_error *error)
{
    struct sg_str url;
    struct sg_str configured;
    enum sg_status status = read_text(fields->app_name, "appName", arena, &out->app_name, error);
    if (status == SG_OK)
        status = read_text(fields->url, "url", arena, &url, error);
    if (status == SG_OK)
        status = read_text(fields->framework, "framework", arena, &out->framework, error);
    if (status == SG_OK)
        status = read_text(fields->app_version, "appVersion", arena, &out->app_version, error);
    if (status == SG_OK)
        status = read_sdk(fields, arena, out, error);
    if (status != SG_OK)
        return status;
    if (out->app_name.len == 0)
        return sg_error_set(error, SG_INVALID_CONFIG, "App ID required");
    if (out->app_name.len > LIMIT_APP_NAME_BYTES)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request: `appName` has %zu bytes; at most %d are allowed",
                            out->app_name.len, LIMIT_APP_NAME_BYTES);
    if (url.len > SG_LIMIT_URL_BYTES)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request: `url` has %zu bytes; at most %d are allowed", url.len,
                            SG_LIMIT_URL_BYTES);
    if (decide_url(url, options, arena, out, report, &configured) != SG_OK)
        return no_memory(error);
    status = read_functions(fields->functions, configured, arena, out, report, error);
    if (status != SG_OK)
        return status;
    if (report->problems.count == 0 && check_slugs(out, arena, report) != SG_OK)
        return no_memory(error);
    if (report->problems.count > 0)
        return sg_error_set(error, SG_INVALID_CONFIG, "At least one function is invalid");
    if (report->warning.len == 0 && is_warned_sdk(out->sdk))
        report->warning = SG_STR("this version of the Inngest SDK has a known vulnerability (CVE-2026-42047): upgrade to 3.54 or later");
    if (report->warning.len == 0 && !warn_cancels(out, arena, &report->warning))
        return no_memory(error);
    out->app_id = sg_app_id(out->app_name);
    if (!sg_registration_unapplied(out, arena, &out->unapplied))
        return no_memory(error);
    return make_checksum(out, arena) == SG_OK ? SG_OK : no_memory(error);
}

enum sg_status sg_registration_decode(struct sg_str body, const struct sg_registration_options *options, struct sg_arena *arena,
                                      struct sg_registration *out, struct sg_registration_report *report, struct sg_error *error)
{
    *out = (struct sg_registration){.sync_kind = SG_STR("out_of_band")};
    struct sg_str object;
    struct fields fields;
    enum sg_status status = read_object(body, arena, &object, error);
    if (status != SG_OK)
        return status;
    if (read_fields(object, posted, SG_ARRAY_LEN(posted), arena, &fields) != SG_OK)
        return no_memory(error);
    return finish(&fields, options, arena, out, report, error);
}

enum sg_status sg_registration_decode_in_band(struct sg_str body, const struct sg_registration_options *options, struct sg_arena *arena,
                                              struct sg_registration *out, struct sg_registration_report *report, struct sg_error *error)
{
    *out = (struct sg_registration){.sync_kind = SG_STR("in_band")};
    struct sg_str object;
    struct fields fields;
    enum sg_status status = read_object(body, arena, &object, error);
    if (status != SG_OK)
        return status;
    if (read_fields(object, in_band, SG_ARRAY_LEN(in_band), arena, &fields) != SG_OK)
        return no_memory(error);
    if (fields.app_name.len == 0)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "Invalid request: the answer has no `app_id`: it is not an in-band sync");
    return finish(&fields, options, arena, out, report, error);
}
