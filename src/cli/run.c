/* `stepgate run ID`: a run and its steps; `stepgate why ID`: what it waits for. */
#include <stdio.h>

#include "cli/command.h"
#include "cli/watch.h"

static bool open_server(const struct sg_options *options, struct sg_http *http);

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
    if (is_good)
        printf("%.*s\n", (int)data.len, data.ptr);
    sg_buf_free(&data);
    sg_http_close(&http);
    return is_good ? 0 : 1;
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
