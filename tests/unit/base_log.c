/* The log: lines for people and for machines. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/base.h>

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/rng.h"

#define NOON INT64_C(1767355445678) /* 2026-01-02T12:04:05.678Z */

static const char *line(enum sg_log_format format, const char *message, const struct sg_log_field *fields, size_t count)
{
    static char text[SG_LOG_LINE_MAX + 1];
    size_t len = sg_log_line(text, format, NOON, SG_LOG_WARN, message, fields, count);
    cr_assert(len <= SG_LOG_LINE_MAX && text[len - 1] == '\n');
    cr_assert(memchr(text, '\n', len) == text + len - 1, "one line is one line");
    text[len] = '\0';
    return text;
}

static void set_utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}

Test(log, a_line_for_people, .init = set_utc)
{
    struct sg_log_field fields[] = {SG_KV_TEXT("app", "shop"),      SG_KV_INT("attempt", 3), SG_KV_BOOL("final", true),
                                    SG_KV_TEXT("why", "not found"), SG_KV_TEXT("empty", ""), SG_KV_DOUBLE("load", 0.25)};
    cr_assert(eq(str, (char *)line(SG_LOG_HUMAN, "run failed", fields, 6),
                 "[12:04:05.678] WRN run failed app=shop attempt=3 final=true why=\"not found\" empty=\"\" load=0.25\n"));
    cr_assert(eq(str, (char *)line(SG_LOG_COLOURS, "x", fields, 1),
                 "\x1b[2m[12:04:05.678]\x1b[0m \x1b[33mWRN\x1b[0m x \x1b[2mapp=\x1b[0mshop\n"));
}

Test(log, a_line_for_machines)
{
    struct sg_id id = {{0x63, 0x14}};
    struct sg_log_field fields[] = {SG_KV_TEXT("app", "a\"b"), SG_KV_INT("n", -1), SG_KV_ULID("run", id), SG_KV_UUID("fn", id),
                                    SG_KV_DOUBLE("nan", (double)NAN)};
    cr_assert(eq(str, (char *)line(SG_LOG_JSON, "run failed", fields, 5),
                 "{\"time\":\"2026-01-02T12:04:05.678Z\",\"level\":\"warn\",\"message\":\"run failed\",\"app\":\"a\\\"b\",\"n\":-1,"
                 "\"run\":\"332G0000000000000000000000\",\"fn\":\"63140000-0000-0000-0000-000000000000\",\"nan\":null}\n"));
}

Test(log, bytes_from_outside_cannot_forge_a_line_or_colour_a_terminal, .init = set_utc)
{
    struct sg_log_field fields[] = {SG_KV_STR("name", SG_STR("a\nb\x1b[31m\x7f\xc2\x9b\xff"))};
    cr_assert(eq(str, (char *)line(SG_LOG_HUMAN, "m\r\n", fields, 1),
                 "[12:04:05.678] WRN m\\u000d\\n name=\"a\\nb\\u001b[31m\\u007f\\u009b\xef\xbf\xbd\"\n"));
}

Test(log, long_values_are_cut_and_the_line_stays_json)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 1);
    static char noise[20000];
    for (int round = 0; round < 200; round++) {
        struct sg_log_field fields[8];
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char)(round % 2 == 0 ? sg_rng_next(&rng) : sg_rng_below(&rng, 32));
        noise[sizeof(noise) - 1] = '\0';
        for (int i = 0; i < 8; i++)
            fields[i] = SG_KV_STR("key", ((struct sg_str){noise, sg_rng_below(&rng, sizeof(noise))}));
        const char *text = line(SG_LOG_JSON, noise, fields, 8);
        json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
        cr_assert(json != NULL, "%s", text);
        json_decref(json);
        line(SG_LOG_COLOURS, noise, fields, 8);
    }
}

Test(log, levels_by_name)
{
    enum sg_log_level level = SG_LOG_ERROR;
    cr_assert(sg_log_level_parse(SG_STR("DEBUG"), &level) && level == SG_LOG_DEBUG);
    cr_assert(sg_log_level_parse(SG_STR("warning"), &level) && level == SG_LOG_WARN);
    cr_assert(sg_log_level_parse(SG_STR("silent"), &level) && level == SG_LOG_NONE);
    cr_assert(not(sg_log_level_parse(SG_STR("loud"), &level)));
}

static void read_all(int fd, struct sg_buf *out)
{
    char bytes[4096];
    for (ssize_t got = read(fd, bytes, sizeof(bytes)); got > 0; got = read(fd, bytes, sizeof(bytes)))
        sg_buf_append(out, (struct sg_str){bytes, (size_t)got});
}

static int evaluations;
static int count_evaluation(void)
{
    return ++evaluations;
}

Test(log, writes_what_is_on_and_evaluates_nothing_else)
{
    int ends[2];
    struct sg_buf out = {0};
    cr_assert(pipe(ends) == 0);
    sg_log_set_fd(ends[1]);
    sg_log_set_format(SG_LOG_AUTO);
    sg_log_set_level(SG_LOG_WARN);
    sg_alloc_fail_at(1, true); /* a log line needs no memory */
    sg_log(SG_LOG_INFO, "off", SG_KV_INT("n", count_evaluation()));
    sg_log(SG_LOG_WARN, "on", SG_KV_INT("n", count_evaluation()));
    sg_log(SG_LOG_ERROR, "plain");
    sg_alloc_fail_at(0, false);
    close(ends[1]);
    read_all(ends[0], &out);
    sg_buf_byte(&out, '\0');
    cr_assert(eq(int, evaluations, 1));
    cr_assert(strstr(out.ptr, "off") == NULL);
    cr_assert(strstr(out.ptr, "\"level\":\"warn\",\"message\":\"on\",\"n\":1}\n") != NULL);
    cr_assert(strstr(out.ptr, "\"level\":\"error\",\"message\":\"plain\"}\n") != NULL);
    sg_buf_free(&out);
}

static void *log_a_lot(void *name)
{
    char filler[1000];
    memset(filler, *(char *)name, sizeof(filler));
    for (int i = 0; i < 200; i++)
        sg_log(SG_LOG_ERROR, "line", SG_KV_STR("fill", ((struct sg_str){filler, sizeof(filler)})));
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    int ends[2];
    pthread_t threads[4];
    char names[] = "abcd";
    struct sg_buf out = {0};
    cr_assert(pipe(ends) == 0);
    sg_log_set_fd(ends[1]);
    sg_log_set_format(SG_LOG_JSON);
    for (int i = 0; i < 4; i++)
        cr_assert(pthread_create(&threads[i], NULL, log_a_lot, &names[i]) == 0);
    char bytes[4096];
    size_t lines = 0;
    while (lines < 800) {
        ssize_t got = read(ends[0], bytes, sizeof(bytes));
        cr_assert(got > 0);
        for (ssize_t i = 0; i < got; i++)
            lines += bytes[i] == '\n' ? 1 : 0;
        sg_buf_append(&out, (struct sg_str){bytes, (size_t)got});
    }
    for (int i = 0; i < 4; i++)
        cr_assert(pthread_join(threads[i], NULL) == 0);
    for (size_t at = 0; at < out.len;) {
        const char *end = memchr(out.ptr + at, '\n', out.len - at);
        cr_assert(end != NULL);
        json_t *json = json_loadb(out.ptr + at, (size_t)(end - out.ptr) - at, 0, NULL);
        cr_assert(json != NULL);
        const char *fill = json_string_value(json_object_get(json, "fill"));
        cr_assert(fill != NULL && strspn(fill, (char[]){fill[0], '\0'}) == 1000);
        json_decref(json);
        at = (size_t)(end - out.ptr) + 1;
    }
    sg_buf_free(&out);
}
