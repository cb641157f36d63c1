/* `stepgate run ID`: a run and its steps; `stepgate why ID`: what it waits for. */
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/watch.h"

static bool open_server(const struct sg_options *options, struct sg_http *http);
static void why_print(struct sg_str data);

int sg_command_run(struct sg_options *options)
{
    struct sg_http http;
    struct sg_id id;
    if (options->operand_count != 1 || !sg_ulid_parse(sg_str_from(options->operands[0]), &id))
        return sg_complain("run takes the id of a run, 26 letters and digits: stepgate run 01J...");
    if (!open_server(options, &http))
        return 1;
    struct sg_watch_options watch = {.is_following = sg_options_bool(options, SG_OPTION_FOLLOW),
                                     .is_json = sg_options_bool(options, SG_OPTION_JSON),
                                     .timeout_ms = sg_options_int(options, SG_OPTION_TIMEOUT)};
    int code = sg_watch_run(&http, options->operands[0], &watch);
    sg_http_close(&http);
    return code;
}

int sg_command_why(struct sg_options *options)
{
    struct sg_http http;
    struct sg_id id;
    struct sg_buf data = {0};
    char path[128];
    if (options->operand_count != 1 || !sg_ulid_parse(sg_str_from(options->operands[0]), &id))
        return sg_complain("why takes the id of a run, 26 letters and digits: stepgate why 01J...");
    if (!open_server(options, &http))
        return 1;
    snprintf(path, sizeof(path), "/v1/admin/runs/%s/why", options->operands[0]);
    bool is_good = sg_watch_get(&http, path, &data);
    if (is_good && sg_options_bool(options, SG_OPTION_JSON))
        printf("%.*s\n", (int)data.len, data.ptr);
    else if (is_good)
        why_print(sg_buf_str(&data));
    sg_buf_free(&data);
    sg_http_close(&http);
    return is_good ? 0 : 1;
}

/* The text of a member; empty if there is none or memory is short. */
static struct sg_str text_of(struct sg_arena *arena, struct sg_str object, struct sg_str key)
{
    struct sg_str text = SG_STR("");
    struct sg_str value = sg_json_get(object, key);
    if (sg_json_kind_of(value) != SG_JSON_STRING || sg_json_to_str(value, arena, &text) != SG_OK)
        return SG_STR("");
    return text;
}

/* A sentence of the engine, with the name of the step where its id stands. */
static void sentence_print(struct sg_str sentence, struct sg_str id, struct sg_str name)
{
    const char *hit = id.len > 0 && name.len > 0 ? memmem(sentence.ptr, sentence.len, id.ptr, id.len) : NULL;
    if (hit == NULL) {
        printf("  %.*s\n", SG_FMT(sentence));
        return;
    }
    size_t before = (size_t)(hit - sentence.ptr);
    printf("  %.*s\"%.*s\"%.*s\n", (int)before, sentence.ptr, SG_FMT(name), (int)(sentence.len - before - id.len), hit + id.len);
}

static void why_print(struct sg_str data)
{
    static const char *const others[] = {"invoked_by", "cancellation", "note"};
    struct sg_arena arena;
    sg_arena_init(&arena);
    struct sg_str held_by = text_of(&arena, data, SG_STR("held_by"));
    printf("run   %.*s  %.*s  %.*s\n", SG_FMT(text_of(&arena, data, SG_STR("run_id"))), SG_FMT(text_of(&arena, data, SG_STR("function"))),
           SG_FMT(text_of(&arena, data, SG_STR("status"))));
    if (!sg_str_eq(held_by, SG_STR("nothing")))
        printf("  The run is held: %.*s.\n", SG_FMT(held_by));
    struct sg_json_iter iter = sg_json_iter(sg_json_get(data, SG_STR("jobs")));
    struct sg_str job;
    while (sg_json_next_element(&iter, &job)) {
        struct sg_str id = text_of(&arena, job, SG_STR("step"));
        struct sg_str condition = text_of(&arena, sg_json_get(data, SG_STR("conditions")), id);
        sentence_print(text_of(&arena, job, SG_STR("why")), id, text_of(&arena, sg_json_get(data, SG_STR("step_names")), id));
        if (condition.len > 0)
            printf("    if %.*s\n", SG_FMT(condition));
    }
    for (size_t i = 0; i < SG_ARRAY_LEN(others); i++) {
        struct sg_str text = text_of(&arena, data, sg_str_from(others[i]));
        if (text.len > 0)
            printf("  %.*s\n", SG_FMT(text));
    }
    sg_arena_free(&arena);
}

static bool open_server(const struct sg_options *options, struct sg_http *http)
{
    struct sg_error error = {.status = SG_OK};
    if (sg_http_open(http, sg_options_text(options, SG_OPTION_URL), sg_options_text(options, SG_OPTION_SIGNING_KEY),
                     sg_options_int(options, SG_OPTION_TIMEOUT), &error) == SG_OK)
        return true;
    sg_complain("%s", error.message);
    return false;
}
