/*
 * One function of a registration: validated and brought into the form that is stored.
 *
 * The model. The object is canonical JSON already; it is read in place, and what has to change (the step's URL, a trigger's old
 * spelling, a missing id) is exchanged member by member, so that everything else, known to us or not, is stored as it was sent.
 * All that is wrong is collected, so that a user fixes a registration in one go.
 *
 * Two kinds of bad: a *problem* makes this function invalid and with it the whole list; a *refusal* means that the request
 * cannot be decoded at all (reference/04 §2.4, "Malformed JSON or an undecodable field").
 *
 * What it never does: evaluate. sdk/expression.c says whether a text is an expression.
 */
#include "sdk/function_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/duration.h"
#include "sdk/function_check.h"
#include "sdk/registration.h"
#include "sdk/url.h"

#define CODE_CONFIG "config_invalid"
#define TRIGGER_TEXT_MAX 255            /* characters of an event name or a cron (reference/04 §1) */
#define JITTER_MIN_MS 1000LL            /* reference/04 §2.4 */
#define JITTER_MAX_MS (5LL * 60 * 1000) /* reference/04 §2.4 */
#define LIMIT_SLUG_BYTES 1024           /* ours: slugs are keys, and part of every URL */

/* ---- shared with function_limits.c ---- */

void sg_check_problem(struct sg_function_check *check, const char *code, const char *format, ...)
{
    struct sg_config_problems *problems = check->problems;
    if (problems->count >= SG_LIMIT_CONFIG_PROBLEMS) {
        problems->dropped++;
        return;
    }
    if (problems->count == problems->capacity) {
        size_t capacity = problems->capacity == 0 ? 8 : problems->capacity * 2;
        struct sg_config_problem *items = sg_arena_alloc(check->arena, capacity * sizeof(*items));
        if (items == NULL) {
            check->status = SG_NO_MEMORY;
            return;
        }
        if (problems->count > 0)
            memcpy(items, problems->items, problems->count * sizeof(*items));
        problems->items = items;
        problems->capacity = capacity;
    }
    char text[SG_ERROR_MESSAGE_MAX * 2];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof(text))
        len = (int)sizeof(text) - 1;
    struct sg_str message = sg_arena_copy(check->arena, (struct sg_str){text, (size_t)len});
    if (message.ptr == NULL) {
        check->status = SG_NO_MEMORY;
        return;
    }
    problems->items[problems->count++] = (struct sg_config_problem){check->label, code, message};
}

void sg_check_refuse(struct sg_function_check *check, const char *format, ...)
{
    if (check->status != SG_OK)
        return;
    char text[SG_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof(text), format, arguments) < 0)
        text[0] = '\0';
    va_end(arguments);
    check->status = sg_error_set(check->error, SG_INVALID_ARGUMENT, "%s", text);
}

struct sg_str sg_check_member(struct sg_function_check *check, struct sg_str object, const char *key, enum sg_json_kind kind)
{
    struct sg_str value = sg_json_get(object, sg_str_from(key));
    enum sg_json_kind found = sg_json_kind_of(value);
    if (found == SG_JSON_ABSENT || found == SG_JSON_NULL)
        return SG_STR_NULL;
    if (found != kind) {
        sg_check_refuse(check, "`%s` of function '%.*s' must be %s%s, got %s", key, (int)(check->label.len > 200 ? 200 : check->label.len),
                        check->label.ptr, kind == SG_JSON_ARRAY || kind == SG_JSON_OBJECT ? "an " : "a ", sg_json_kind_name(kind),
                        sg_json_kind_name(found));
        return SG_STR_NULL;
    }
    return value;
}

struct sg_str sg_check_text(struct sg_function_check *check, struct sg_str object, const char *key)
{
    struct sg_str value = sg_check_member(check, object, key, SG_JSON_STRING);
    struct sg_str text = SG_STR("");
    if (value.len > 0 && sg_json_to_str(value, check->arena, &text) != SG_OK)
        check->status = SG_NO_MEMORY;
    return text;
}

bool sg_check_int(struct sg_function_check *check, struct sg_str object, const char *key, int64_t *number)
{
    struct sg_str value = sg_check_member(check, object, key, SG_JSON_NUMBER);
    if (value.len == 0)
        return false;
    if (!sg_json_to_int(value, number)) {
        sg_check_refuse(check, "`%s` of function '%.*s' must be a whole number, got %.*s", key,
                        (int)(check->label.len > 200 ? 200 : check->label.len), check->label.ptr, (int)(value.len > 40 ? 40 : value.len),
                        value.ptr);
        return false;
    }
    return true;
}

bool sg_check_expression(struct sg_function_check *check, struct sg_str text, enum sg_expression_use use, struct sg_error *why)
{
    *why = (struct sg_error){0};
    if (text.len == 0 || check->status != SG_OK)
        return true;
    enum sg_status status = sg_expression_check(text, use, why);
    if (status == SG_NO_MEMORY)
        check->status = SG_NO_MEMORY;
    return status == SG_OK || status == SG_NO_MEMORY;
}

/* ---- exchanging members ---- */

static void write_member(struct sg_buf *out, struct sg_str key, struct sg_str value)
{
    if (out->ptr[out->len - 1] != '{')
        sg_buf_byte(out, ',');
    sg_json_quote(out, key);
    sg_buf_byte(out, ':');
    sg_buf_append(out, value);
}

/* The object with a member set to `value`, in canonical order; in the arena. */
static struct sg_str object_with(struct sg_function_check *check, struct sg_str object, const char *name, struct sg_str value)
{
    struct sg_str key = sg_str_from(name);
    struct sg_buf out;
    sg_buf_init(&out);
    sg_buf_byte(&out, '{');
    bool is_written = false;
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str quoted;
    struct sg_str old;
    while (!out.is_failed && sg_json_next_member(&iter, &quoted, &old)) {
        struct sg_str plain;
        if (sg_json_to_str(quoted, check->arena, &plain) != SG_OK) {
            out.is_failed = true;
            break;
        }
        int order = sg_json_key_cmp(key, plain);
        if (!is_written && order <= 0) {
            write_member(&out, key, value);
            is_written = true;
        }
        if (order != 0)
            write_member(&out, plain, old);
    }
    if (!is_written && !out.is_failed)
        write_member(&out, key, value);
    sg_buf_byte(&out, '}');
    struct sg_str result = out.is_failed ? SG_STR_NULL : sg_arena_copy(check->arena, sg_buf_str(&out));
    sg_buf_free(&out);
    if (result.ptr == NULL)
        check->status = SG_NO_MEMORY;
    return result;
}

static struct sg_str quote(struct sg_function_check *check, struct sg_str text)
{
    struct sg_buf out;
    sg_buf_init(&out);
    sg_json_quote(&out, text);
    struct sg_str result = out.is_failed ? SG_STR_NULL : sg_arena_copy(check->arena, sg_buf_str(&out));
    sg_buf_free(&out);
    if (result.ptr == NULL)
        check->status = SG_NO_MEMORY;
    return result;
}

/* ---- triggers ---- */

/* Characters, as the limit counts them: code points. */
static size_t characters(struct sg_str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return count;
}

static void check_event_trigger(struct sg_function_check *check, struct sg_str event, struct sg_str expression)
{
    struct sg_error why;
    if (event.len == 0)
        sg_check_problem(check, CODE_CONFIG, "An event trigger must specify an event name");
    if (characters(event) > TRIGGER_TEXT_MAX)
        sg_check_problem(check, "event_name_invalid", "event name is too long. maximum length is %d characters", TRIGGER_TEXT_MAX);
    if (!sg_check_expression(check, expression, SG_EXPRESSION_CONDITION, &why))
        sg_check_problem(check, CODE_CONFIG, "invalid trigger expression on '%.*s': %s", SG_FMT(event), why.message);
}

static void check_cron_trigger(struct sg_function_check *check, struct sg_str cron, struct sg_str jitter)
{
    if (characters(cron) > TRIGGER_TEXT_MAX)
        sg_check_problem(check, "schedule_invalid", "cron is too long. maximum length is %d characters", TRIGGER_TEXT_MAX);
    else if (!sg_cron_text_check(cron))
        sg_check_problem(check, "schedule_invalid", "'%.*s' isn't a valid cron schedule", SG_FMT(cron));
    if (jitter.len == 0)
        return;
    int64_t jitter_ms;
    if (sg_duration_parse_ms(jitter, &jitter_ms, NULL) != SG_OK)
        sg_check_problem(check, CODE_CONFIG, "'%.*s' isn't a valid jitter duration", SG_FMT(jitter));
    else if (jitter_ms < 0)
        sg_check_problem(check, CODE_CONFIG, "cron jitter must be greater than or equal to zero");
    else if (jitter_ms > 0 && jitter_ms < JITTER_MIN_MS)
        sg_check_problem(check, CODE_CONFIG, "cron jitter must be at least 1s");
    else if (jitter_ms > JITTER_MAX_MS)
        sg_check_problem(check, CODE_CONFIG, "cron jitter must be less than or equal to 5m0s");
}

struct trigger {
    struct sg_str event;
    struct sg_str expression;
    struct sg_str cron;
    struct sg_str jitter;
    bool has_event;
    bool has_cron;
};

/* v1 sends a trigger's filter as `if` (reference/01 §4.2): it is stored as `expression`. */
static struct sg_str read_trigger(struct sg_function_check *check, struct sg_str object, struct trigger *trigger)
{
    *trigger = (struct trigger){
        .event = sg_check_text(check, object, "event"),
        .expression = sg_check_text(check, object, "expression"),
        .cron = sg_check_text(check, object, "cron"),
        .jitter = sg_check_text(check, object, "jitter"),
        .has_event = sg_json_kind_of(sg_json_get(object, SG_STR("event"))) == SG_JSON_STRING,
    };
    trigger->has_cron = trigger->cron.len > 0;
    struct sg_str alias = sg_json_get(object, SG_STR("if"));
    if (trigger->expression.len == 0 && sg_json_kind_of(alias) == SG_JSON_STRING && alias.len > 2) {
        trigger->expression = sg_check_text(check, object, "if");
        if (check->status == SG_OK)
            object = object_with(check, object, "expression", alias);
    }
    return object;
}

static void check_trigger(struct sg_function_check *check, const struct trigger *trigger)
{
    if (trigger->has_cron && trigger->event.len > 0)
        sg_check_problem(check, CODE_CONFIG, "A trigger cannot have both an event and a cron trigger");
    else if (trigger->has_cron)
        check_cron_trigger(check, trigger->cron, trigger->jitter);
    else if (trigger->has_event)
        check_event_trigger(check, trigger->event, trigger->expression);
    else
        sg_check_problem(check, CODE_CONFIG, "A trigger must supply an event name or a cron schedule");
}

static void check_duplicates(struct sg_function_check *check, const struct trigger *triggers, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const struct trigger *trigger = &triggers[i];
        for (size_t j = 0; j < i; j++) {
            const struct trigger *other = &triggers[j];
            bool is_same_cron = trigger->has_cron && other->has_cron && sg_str_eq(trigger->cron, other->cron);
            if (is_same_cron && sg_str_eq(trigger->jitter, other->jitter)) {
                sg_check_problem(check, CODE_CONFIG, "duplicate trigger cron: %.*s", SG_FMT(trigger->cron));
                break;
            }
            if (is_same_cron) {
                sg_check_problem(check, CODE_CONFIG, "duplicate cron expression: %.*s", SG_FMT(trigger->cron));
                break;
            }
            if (!trigger->has_cron && !other->has_cron && trigger->event.len > 0 && sg_str_eq(trigger->event, other->event) &&
                sg_str_eq(trigger->expression, other->expression)) {
                sg_check_problem(check, CODE_CONFIG, "duplicate trigger event: %.*s", SG_FMT(trigger->event));
                break;
            }
        }
    }
}

/* Returns the array as it is to be stored. */
static struct sg_str check_triggers(struct sg_function_check *check)
{
    struct sg_str array = sg_check_member(check, check->object, "triggers", SG_JSON_ARRAY);
    size_t count = sg_json_count(array);
    if (count > SG_LIMIT_TRIGGERS_PER_FUNCTION) {
        sg_check_problem(check, CODE_CONFIG, "This function exceeds the max number of triggers: %d", SG_LIMIT_TRIGGERS_PER_FUNCTION);
        return array;
    }
    struct trigger triggers[SG_LIMIT_TRIGGERS_PER_FUNCTION];
    struct sg_buf out;
    sg_buf_init(&out);
    sg_buf_byte(&out, '[');
    struct sg_json_iter iter = sg_json_iter(array);
    struct sg_str object;
    for (size_t i = 0; i < count && check->status == SG_OK && sg_json_next_element(&iter, &object); i++) {
        if (sg_json_kind_of(object) != SG_JSON_OBJECT) {
            sg_check_refuse(check, "a trigger of function '%.*s' must be an object, got %s", SG_FMT(check->label),
                            sg_json_kind_name(sg_json_kind_of(object)));
            break;
        }
        if (i > 0)
            sg_buf_byte(&out, ',');
        sg_buf_append(&out, read_trigger(check, object, &triggers[i]));
        if (check->status == SG_OK)
            check_trigger(check, &triggers[i]);
    }
    sg_buf_byte(&out, ']');
    if (check->status == SG_OK)
        check_duplicates(check, triggers, count);
    struct sg_str result = out.is_failed ? SG_STR_NULL : sg_arena_copy(check->arena, sg_buf_str(&out));
    if (result.ptr == NULL)
        check->status = SG_NO_MEMORY;
    sg_buf_free(&out);
    return result;
}

/* ---- the step ---- */

/* The step's URL as it is stored: moved to where the operator says that the app is, normalised. */
static struct sg_str step_url(struct sg_function_check *check, const struct sg_function_config_options *options, struct sg_str url)
{
    struct sg_buf moved;
    struct sg_buf out;
    sg_buf_init(&moved);
    sg_buf_init(&out);
    if (options->url_override.len > 0)
        sg_url_rebase(url, options->url_override, &moved);
    else
        sg_buf_append(&moved, url);
    sg_url_normalise(sg_buf_str(&moved), &out);
    struct sg_str result = moved.is_failed || out.is_failed ? SG_STR_NULL : sg_arena_copy(check->arena, sg_buf_str(&out));
    sg_buf_free(&moved);
    sg_buf_free(&out);
    if (result.ptr == NULL)
        check->status = SG_NO_MEMORY;
    return result;
}

static void check_scheme(struct sg_function_check *check, struct sg_str url)
{
    static const char *const schemes[] = {"http", "https", "ws", "wss"};
    struct sg_url parts;
    bool is_url = sg_url_parse(url, &parts);
    for (size_t i = 0; i < SG_ARRAY_LEN(schemes); i++)
        if (is_url && sg_str_eq_nocase(parts.scheme, sg_str_from(schemes[i])))
            return;
    if (!is_url) {
        ptrdiff_t colon = sg_str_index(url, ':');
        parts.scheme = (struct sg_str){url.ptr, colon > 0 && colon < 32 ? (size_t)colon : 0};
    }
    sg_check_problem(check, CODE_CONFIG, "Non-supported step schema: %.*s", SG_FMT(parts.scheme));
}

/* Returns `steps` as it is to be stored. */
static struct sg_str check_steps(struct sg_function_check *check, const struct sg_function_config_options *options, struct sg_str name)
{
    struct sg_str steps = sg_check_member(check, check->object, "steps", SG_JSON_OBJECT);
    if (sg_json_count(steps) != 1) {
        sg_check_problem(check, CODE_CONFIG, "Functions must contain one step");
        return steps;
    }
    struct sg_json_iter iter = sg_json_iter(steps);
    struct sg_str key;
    struct sg_str step;
    sg_json_next_member(&iter, &key, &step);
    if (sg_json_kind_of(step) != SG_JSON_OBJECT) {
        sg_check_refuse(check, "a step of function '%.*s' must be an object, got %s", SG_FMT(check->label),
                        sg_json_kind_name(sg_json_kind_of(step)));
        return steps;
    }
    if (sg_check_text(check, step, "name").len == 0)
        sg_check_problem(check, CODE_CONFIG, "All steps must have a name");
    int64_t attempts;
    sg_check_int(check, sg_check_member(check, step, "retries", SG_JSON_OBJECT), "attempts", &attempts);
    sg_check_int(check, check->object, "retries", &attempts);

    struct sg_str runtime = sg_check_member(check, step, "runtime", SG_JSON_OBJECT);
    struct sg_str url = sg_check_text(check, runtime, "url");
    if (url.len == 0) {
        sg_check_problem(check, CODE_CONFIG, "No SDK URL provided for function '%.*s'", SG_FMT(name));
        return steps;
    }
    check_scheme(check, url);
    if (check->status != SG_OK)
        return steps;
    struct sg_str stored = step_url(check, options, url);
    if (check->status == SG_OK && stored.len > SG_LIMIT_URL_BYTES)
        sg_check_problem(check, CODE_CONFIG, "The SDK URL of function '%.*s' has %zu bytes; at most %d are allowed", SG_FMT(name),
                         stored.len, SG_LIMIT_URL_BYTES);
    struct sg_str quoted = check->status == SG_OK ? quote(check, stored) : SG_STR_NULL;
    if (check->status == SG_OK)
        runtime = object_with(check, runtime, "url", quoted);
    if (check->status == SG_OK)
        step = object_with(check, step, "runtime", runtime);
    if (check->status != SG_OK)
        return steps;
    struct sg_str result = sg_arena_printf(check->arena, "{%.*s:%.*s}", SG_FMT(key), SG_FMT(step));
    if (result.ptr == NULL)
        check->status = SG_NO_MEMORY;
    return result;
}

/* ---- the whole ---- */

/* The slug that v1 and the reference make of a name: lower case, runs of anything but letters, digits and '-' become one '-'. */
static struct sg_str slugify(struct sg_function_check *check, struct sg_str name)
{
    char *out = sg_arena_alloc(check->arena, name.len + 1);
    if (out == NULL) {
        check->status = SG_NO_MEMORY;
        return SG_STR_NULL;
    }
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        if (byte >= 'A' && byte <= 'Z')
            byte = (char)(byte + 'a' - 'A');
        bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        if (is_plain)
            out[len++] = byte;
        else if (len > 0 && out[len - 1] != '-')
            out[len++] = '-';
    }
    while (len > 0 && out[len - 1] == '-')
        len--;
    return (struct sg_str){out, len};
}

enum sg_status sg_function_config_decode(struct sg_str object, const struct sg_function_config_options *options, struct sg_arena *arena,
                                         struct sg_function_in *out, struct sg_config_problems *problems, struct sg_error *error)
{
    *out = (struct sg_function_in){0};
    struct sg_function_check check = {.object = object, .label = SG_STR(""), .arena = arena, .problems = problems, .error = error};
    if (sg_json_kind_of(object) != SG_JSON_OBJECT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "a function must be an object, got %s", sg_json_kind_name(sg_json_kind_of(object)));

    struct sg_str slug = sg_check_text(&check, object, "id");
    struct sg_str name = sg_check_text(&check, object, "name");
    check.label = slug.len > 0 ? slug : name;
    if (name.len == 0)
        sg_check_problem(&check, CODE_CONFIG, "A function name is required");
    bool is_slug_made = slug.len == 0;
    if (is_slug_made && check.status == SG_OK)
        slug = slugify(&check, name);
    if (slug.len > LIMIT_SLUG_BYTES)
        sg_check_problem(&check, CODE_CONFIG, "The function's id has %zu bytes; at most %d are allowed", slug.len, LIMIT_SLUG_BYTES);

    struct sg_str triggers = check.status == SG_OK ? check_triggers(&check) : SG_STR_NULL;
    struct sg_str steps = check.status == SG_OK ? check_steps(&check, options, name) : SG_STR_NULL;
    if (check.status == SG_OK)
        sg_check_limits(&check);
    if (check.status == SG_NO_MEMORY)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while reading a function");
    if (check.status != SG_OK)
        return check.status;

    struct sg_str config = object_with(&check, object, "steps", steps.len > 0 ? steps : SG_STR("{}"));
    if (check.status == SG_OK)
        config = object_with(&check, config, "triggers", triggers);
    struct sg_str quoted = is_slug_made && check.status == SG_OK ? quote(&check, slug) : SG_STR_NULL;
    if (is_slug_made && check.status == SG_OK)
        config = object_with(&check, config, "id", quoted);
    out->slug = sg_arena_copy(arena, slug);
    out->name = sg_arena_copy(arena, name);
    out->config = config;
    if (check.status != SG_OK || out->slug.ptr == NULL || out->name.ptr == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while reading a function");
    out->id = sg_function_id(options->app_name, slug, arena);
    return SG_OK;
}
