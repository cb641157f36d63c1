/*
 * `stepgate doctor`: whether a running stepgate and its apps are well, and if not, what to do. Exit code 0: well. Usable as the health command of a
 * container.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/watch.h"

static bool check_health(struct sg_http *http);
static bool check_ready(struct sg_http *http);
static bool check_apps(struct sg_http *http);
static bool report(bool is_good, const char *what, const char *format, ...) SG_PRINTF(3, 4);

int sg_command_doctor(struct sg_options *options)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_http http;
    if (options->operand_count > 0)
        return sg_complain("doctor takes flags only; --url says which stepgate");
    if (sg_http_open(&http, sg_options_text(options, SG_OPTION_URL), sg_options_text(options, SG_OPTION_SIGNING_KEY),
                     sg_options_int(options, SG_OPTION_TIMEOUT), &error) != SG_OK)
        return sg_complain("%s", error.message);
    bool is_well = check_health(&http);
    if (is_well) {
        is_well = check_ready(&http) && is_well;
        is_well = check_apps(&http) && is_well;
    }
    sg_http_close(&http);
    return is_well ? 0 : 1;
}

static bool check_health(struct sg_http *http)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    int http_status = 0;
    bool is_good = sg_http_request(http, "/health", NULL, &http_status, &body, &error) == SG_OK && http_status == 200;
    sg_buf_free(&body);
    if (error.status != SG_OK)
        return report(false, "server", "%s", error.message);
    return report(is_good, "server", "GET /health gave status %d", http_status);
}

static bool check_ready(struct sg_http *http)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    int http_status = 0;
    sg_http_request(http, "/ready", NULL, &http_status, &body, &error);
    struct sg_str said = sg_str_trim(sg_buf_str(&body));
    bool is_good = report(http_status == 200, "ready", "%.*s", (int)said.len, said.ptr != NULL ? said.ptr : "no answer");
    sg_buf_free(&body);
    return is_good;
}

/* Every place where an app was looked for, and what is known of it. A place found by looking around that has no app is nobody's mistake. */
static bool check_apps(struct sg_http *http)
{
    struct sg_buf data = {0};
    struct sg_arena arena;
    if (!sg_watch_get(http, "/v1/admin/apps", &data)) {
        sg_buf_free(&data);
        return false;
    }
    sg_arena_init(&arena);
    bool are_well = true;
    struct sg_json_iter iter = sg_json_iter(sg_json_get(sg_buf_str(&data), SG_STR("apps")));
    struct sg_str app;
    size_t count = 0;
    while (sg_json_next_element(&iter, &app)) {
        struct sg_str name = SG_STR("");
        struct sg_str why = SG_STR("");
        char what[128];
        (void)sg_json_to_str(sg_json_get(app, SG_STR("name")), &arena, &name);
        (void)sg_json_to_str(sg_json_get(app, SG_STR("error")), &arena, &why);
        snprintf(what, sizeof(what), "app %.*s, %zu functions", SG_FMT(name), sg_json_count(sg_json_get(app, SG_STR("functions"))));
        are_well = report(why.len == 0, what, "%.*s", SG_FMT(why)) && are_well;
        count++;
    }
    struct sg_json_iter places = sg_json_iter(sg_json_get(sg_buf_str(&data), SG_STR("places")));
    struct sg_str place;
    while (sg_json_next_element(&places, &place)) {
        struct sg_str url = SG_STR("");
        struct sg_str why = SG_STR("");
        char what[256];
        bool is_ok = true;
        (void)sg_json_to_bool(sg_json_get(place, SG_STR("is_ok")), &is_ok);
        if (is_ok)
            continue;
        (void)sg_json_to_str(sg_json_get(place, SG_STR("url")), &arena, &url);
        (void)sg_json_to_str(sg_json_get(place, SG_STR("text")), &arena, &why);
        snprintf(what, sizeof(what), "%.*s", SG_FMT(url));
        are_well = report(false, what, "%.*s", SG_FMT(why)) && are_well;
    }
    if (count == 0)
        are_well = report(false, "apps", "none has registered; stepgate dev -u URL names one") && are_well;
    sg_arena_free(&arena);
    sg_buf_free(&data);
    return are_well;
}

static bool report(bool is_good, const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("• %s ... %s", what, is_good ? "OK" : "FAIL");
    if (!is_good) {
        printf("\n    ");
        vprintf(format, arguments);
    }
    printf("\n");
    va_end(arguments);
    return is_good;
}
