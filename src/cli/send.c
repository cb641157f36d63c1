/*
 * `stepgate send NAME [DATA]`: sends an event, and with --follow shows the runs that it starts until they have ended.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <stepgate/json.h>

#include "cli/command.h"
#include "cli/watch.h"
#include "node/clock.h"

#define DATA_BYTES_MAX ((size_t)SG_LIMIT_EVENT_BYTES)

static enum sg_status make_event(const struct sg_options *options, struct sg_buf *event, struct sg_error *error);
static enum sg_status read_data(const char *operand, struct sg_buf *data, struct sg_error *error);
static bool send_event(struct sg_http *http, const struct sg_options *options, struct sg_str event, char id[SG_ULID_LEN + 1]);
static int follow(struct sg_http *http, const struct sg_options *options, const char *event_id);

int sg_command_send(struct sg_options *options)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf event = {0};
    struct sg_http http;
    char id[SG_ULID_LEN + 1];
    int code = 1;

    if (options->operand_count < 1 || options->operand_count > 2)
        return sg_complain("send takes a name and data: stepgate send shop/order.placed '{\"id\":7}'");
    if (make_event(options, &event, &error) != SG_OK ||
        sg_http_open(&http, sg_options_text(options, SG_OPTION_URL), NULL, sg_options_int(options, SG_OPTION_TIMEOUT), &error) != SG_OK) {
        sg_buf_free(&event);
        return sg_complain("%s", error.message);
    }
    if (send_event(&http, options, sg_buf_str(&event), id)) {
        printf("event %s\n", id);
        (void)fflush(stdout);
        code = sg_options_bool(options, SG_OPTION_FOLLOW) ? follow(&http, options, id) : 0;
    }
    sg_http_close(&http);
    sg_buf_free(&event);
    return code;
}

static enum sg_status make_event(const struct sg_options *options, struct sg_buf *event, struct sg_error *error)
{
    struct sg_buf data = {0};
    enum sg_status status = SG_OK;
    if (options->operand_count == 2)
        status = read_data(options->operands[1], &data, error);
    else
        sg_buf_append(&data, SG_STR("{}"));
    if (status == SG_OK) {
        sg_buf_append(event, SG_STR("{\"data\":"));
        status = sg_json_canonicalize(sg_buf_str(&data), NULL, event, error);
        if (status != SG_OK)
            sg_error_set(error, status, "the data is not valid JSON; a shell needs it in single quotes: '{\"id\":7}'");
        sg_buf_append(event, SG_STR(",\"name\":"));
        sg_json_quote(event, sg_str_from(options->operands[0]));
        sg_buf_byte(event, '}');
    }
    if (status == SG_OK && event->is_failed)
        status = sg_error_set(error, SG_NO_MEMORY, "no memory for the event");
    sg_buf_free(&data);
    return status;
}

static enum sg_status read_data(const char *operand, struct sg_buf *data, struct sg_error *error)
{
    if (strcmp(operand, "-") != 0) {
        sg_buf_append(data, sg_str_from(operand));
        return data->is_failed ? sg_error_set(error, SG_NO_MEMORY, "no memory for the data") : SG_OK;
    }
    for (;;) {
        if (!sg_buf_reserve(data, 65536))
            return sg_error_set(error, SG_NO_MEMORY, "no memory for standard input");
        ssize_t got = read(STDIN_FILENO, data->ptr + data->len, 65536);
        if (got <= 0)
            return SG_OK;
        data->len += (size_t)got;
        if (data->len > DATA_BYTES_MAX)
            return sg_error_set(error, SG_TOO_LARGE, "standard input is larger than an event may be, %zu bytes", DATA_BYTES_MAX);
    }
}

static bool send_event(struct sg_http *http, const struct sg_options *options, struct sg_str event, char id[SG_ULID_LEN + 1])
{
    const struct sg_option_value *keys = &options->values[SG_OPTION_EVENT_KEY];
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    struct sg_buf answer = {0};
    struct sg_id parsed;
    char path[1024];
    int http_status = 0;
    bool is_sent = false;

    snprintf(path, sizeof(path), "/e/%s", keys->count > 0 ? keys->items[0].ptr : "dev");
    if (sg_http_request(http, path, &event, &http_status, &body, &error) != SG_OK) {
        sg_complain("%s", error.message);
    } else if (sg_json_canonicalize(sg_buf_str(&body), NULL, &answer, &error) != SG_OK) {
        sg_complain("what answers there is not stepgate: it gave status %d without JSON", http_status);
    } else if (http_status != 200) {
        struct sg_str said = sg_json_get(sg_buf_str(&answer), SG_STR("error"));
        sg_complain("the event was refused with status %d: %.*s", http_status, SG_FMT(said));
    } else {
        struct sg_str first = sg_json_at(sg_json_get(sg_buf_str(&answer), SG_STR("ids")), 0);
        is_sent = first.len == SG_ULID_LEN + 2 && sg_ulid_parse((struct sg_str){first.ptr + 1, SG_ULID_LEN}, &parsed);
        if (is_sent)
            sg_ulid_format(parsed, id);
        else
            sg_complain("the answer has no id of the event");
    }
    sg_buf_free(&answer);
    sg_buf_free(&body);
    return is_sent;
}

/* The runs of the event, one after another; they are all made in the commit that took the event, or soon after. */
static int follow(struct sg_http *http, const struct sg_options *options, const char *event_id)
{
    struct sg_watch_options watch = {.is_following = true, .is_json = false, .timeout_ms = sg_options_int(options, SG_OPTION_TIMEOUT)};
    int64_t until_ns = sg_monotonic_now_ns() + watch.timeout_ms * 1000000;
    struct sg_buf runs = {0};
    char path[128];
    int code = 0;

    snprintf(path, sizeof(path), "/v1/events/%s/runs", event_id);
    do {
        if (!sg_watch_get(http, path, &runs)) {
            sg_buf_free(&runs);
            return 1;
        }
    } while (sg_json_count(sg_buf_str(&runs)) == 0 && sg_watch_pause(until_ns));
    if (sg_json_count(sg_buf_str(&runs)) == 0)
        code = sg_complain("the event has started no run; does a function listen to its name? stepgate doctor lists the functions");

    struct sg_json_iter iter = sg_json_iter(sg_buf_str(&runs));
    struct sg_str run;
    while (sg_json_next_element(&iter, &run)) {
        struct sg_str id = sg_json_get(run, SG_STR("run_id"));
        char text[SG_ULID_LEN + 1] = "";
        if (id.len == SG_ULID_LEN + 2)
            memcpy(text, id.ptr + 1, SG_ULID_LEN);
        if (sg_watch_run(http, text, &watch) != 0)
            code = 1;
    }
    sg_buf_free(&runs);
    return code;
}
