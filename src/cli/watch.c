/*
 * Showing a run.
 *
 * The model. GET /v1/admin/runs/{id} has the run and its steps as they stand. Following it means asking again and printing a line for each step
 * whose state has changed since the last look.
 *
 * What it never does: need anything but the public API of a server that may be another machine's.
 */
#include "cli/watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <stepgate/json.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "cli/command.h"
#include "node/clock.h"

#define LOOK_INTERVAL_NS 50000000L
/* Steps whose changes are shown; a run may have more, whose last states are. */
#define STEPS_SHOWN_MAX 1000
/* Longer values are cut in the terminal; --json shows them whole. */
#define VALUE_SHOWN_MAX 160

struct watch {
    struct sg_arena arena; /* of one look */
    uint64_t seen[STEPS_SHOWN_MAX];
    size_t seen_count;
    char status[32]; /* of the run, as last shown */
    int64_t started_at_ns;
};

static void show(struct watch *watch, struct sg_str data);
static void show_step(struct watch *watch, struct sg_str step);
static bool is_new(struct watch *watch, struct sg_str id, struct sg_str status, struct sg_str attempts);
static struct sg_str text_of(struct watch *watch, struct sg_str object, struct sg_str key);
static struct sg_str cut(struct sg_str text);
static bool has_ended(struct sg_str data);

int sg_watch_run(struct sg_http *http, const char *run_id, const struct sg_watch_options *options)
{
    struct watch *watch = sg_calloc(1, sizeof(*watch));
    if (watch == NULL)
        return sg_complain("no memory");
    sg_arena_init(&watch->arena);
    watch->started_at_ns = sg_monotonic_now_ns();
    int64_t until_ns = watch->started_at_ns + options->timeout_ms * 1000000;
    struct sg_buf data = {0};
    char path[128];
    snprintf(path, sizeof(path), "/v1/admin/runs/%.60s", run_id);
    int code = 1;

    for (;;) {
        if (!sg_watch_get(http, path, &data))
            break;
        bool is_over = has_ended(sg_buf_str(&data));
        if (!options->is_json)
            show(watch, sg_buf_str(&data));
        if (!options->is_following || is_over) {
            struct sg_str status = text_of(watch, sg_json_get(sg_buf_str(&data), SG_STR("run")), SG_STR("status"));
            code = !options->is_following || sg_str_eq(status, SG_STR("Completed")) ? 0 : 1;
            break;
        }
        if (!sg_watch_pause(until_ns)) {
            sg_complain("the run has not ended within %lld s; stepgate run %s --follow goes on watching",
                        (long long)(options->timeout_ms / 1000), run_id);
            break;
        }
    }
    if (options->is_json && data.len > 0)
        printf("%.*s\n", (int)data.len, data.ptr);
    sg_buf_free(&data);
    sg_arena_free(&watch->arena);
    sg_free(watch);
    return code;
}

bool sg_watch_get(struct sg_http *http, const char *path, struct sg_buf *data)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    struct sg_buf canonical = {0};
    int http_status = 0;
    sg_buf_clear(data);
    bool is_good = false;
    if (sg_http_request(http, path, NULL, &http_status, &body, &error) != SG_OK)
        sg_complain("%s", error.message);
    else if (sg_json_canonicalize(sg_buf_str(&body), NULL, &canonical, &error) != SG_OK ||
             sg_json_kind_of(sg_buf_str(&canonical)) != SG_JSON_OBJECT)
        sg_complain("what answers there is not stepgate: %s gave status %d without JSON", path, http_status);
    else if (http_status != 200) {
        struct sg_str said = sg_json_get(sg_buf_str(&canonical), SG_STR("error"));
        sg_complain("%s gave status %d: %.*s%s", path, http_status, (int)cut(said).len, said.ptr != NULL ? said.ptr : "",
                    http_status == 401 ? "; --signing-key has the key" : "");
    } else {
        sg_buf_append(data, sg_json_get(sg_buf_str(&canonical), SG_STR("data")));
        is_good = !data->is_failed;
    }
    sg_buf_free(&canonical);
    sg_buf_free(&body);
    return is_good;
}

bool sg_watch_pause(int64_t until_ns)
{
    if (sg_monotonic_now_ns() >= until_ns)
        return false;
    nanosleep(&(struct timespec){0, LOOK_INTERVAL_NS}, NULL);
    return true;
}

static bool has_ended(struct sg_str data)
{
    struct sg_str ended_at = sg_json_get(sg_json_get(data, SG_STR("run")), SG_STR("ended_at"));
    return sg_json_kind_of(ended_at) == SG_JSON_STRING;
}

static void show(struct watch *watch, struct sg_str data)
{
    struct sg_str run = sg_json_get(data, SG_STR("run"));
    sg_arena_reset(&watch->arena);
    struct sg_str status = text_of(watch, run, SG_STR("status"));
    struct sg_str id = text_of(watch, run, SG_STR("run_id"));
    struct sg_str function = text_of(watch, run, SG_STR("function"));
    bool is_first = watch->status[0] == '\0';
    if (is_first)
        printf("run   %.*s  %.*s\n", SG_FMT(id), SG_FMT(function));

    struct sg_json_iter iter = sg_json_iter(sg_json_get(data, SG_STR("steps")));
    struct sg_str step;
    while (sg_json_next_element(&iter, &step))
        show_step(watch, step);

    if (!sg_str_eq(status, sg_str_from(watch->status))) {
        struct sg_str output = sg_json_get(run, SG_STR("output"));
        struct sg_str reason = text_of(watch, run, SG_STR("reason"));
        struct sg_str shown = cut(output);
        if (!is_first || has_ended(data))
            printf("%.*s %.*s\n", SG_FMT(status), SG_FMT(reason.len > 0 ? reason : shown)); /* what was cancelled has no output */
        else
            printf("%.*s\n", SG_FMT(status));
        snprintf(watch->status, sizeof(watch->status), "%.*s", SG_FMT(status));
    }
    (void)fflush(stdout);
}

static void show_step(struct watch *watch, struct sg_str step)
{
    struct sg_str name = text_of(watch, step, SG_STR("name"));
    struct sg_str status = text_of(watch, step, SG_STR("status"));
    struct sg_str op = text_of(watch, step, SG_STR("op"));
    struct sg_str attempts = sg_json_get(step, SG_STR("attempts"));
    struct sg_str output = sg_json_get(step, SG_STR("output"));
    struct sg_str error = sg_json_get(step, SG_STR("error"));
    if (!is_new(watch, text_of(watch, step, SG_STR("id")), status, attempts))
        return;
    struct sg_str value = sg_json_kind_of(error) == SG_JSON_OBJECT ? sg_json_get(error, SG_STR("message")) : output;
    value = cut(value);
    printf("  %-24.*s %-10.*s %-12.*s %.*s\n", SG_FMT(name), SG_FMT(status), SG_FMT(op), SG_FMT(value));
}

/* Whether this state of the step has not been shown yet. */
static bool is_new(struct watch *watch, struct sg_str id, struct sg_str status, struct sg_str attempts)
{
    struct sg_str key = sg_arena_printf(&watch->arena, "%.*s\n%.*s\n%.*s", SG_FMT(id), SG_FMT(status), SG_FMT(attempts));
    if (key.ptr == NULL)
        return true;
    uint64_t hash = sg_hash_bytes(key.ptr, key.len);
    for (size_t i = 0; i < watch->seen_count; i++)
        if (watch->seen[i] == hash)
            return false;
    if (watch->seen_count == STEPS_SHOWN_MAX)
        return false;
    watch->seen[watch->seen_count++] = hash;
    return true;
}

/* The text of a string member; empty if there is none. */
static struct sg_str text_of(struct watch *watch, struct sg_str object, struct sg_str key)
{
    struct sg_str text = SG_STR("");
    if (sg_json_to_str(sg_json_get(object, key), &watch->arena, &text) != SG_OK)
        return SG_STR("");
    return text;
}

static struct sg_str cut(struct sg_str text)
{
    if (text.ptr == NULL)
        return SG_STR("");
    return sg_str_cut(text, VALUE_SHOWN_MAX);
}
