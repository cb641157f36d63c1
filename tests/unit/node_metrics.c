/* A whole node in this process with an app: GET /metrics is valid text and its numbers move, /v1/admin/status shows them too. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "node_fixture.h"

#include <stepgate/crypto.h>

#include "base/log.h"
#include "node/node.h"
#include "sdk_app.h"

static struct app app;
static struct sg_node *node;
static char base_url[64];
static char got[1 << 18];
static size_t got_len;

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    (void)context;
    size_t len = size * count;
    if (len >= sizeof(got) - got_len)
        return 0;
    memcpy(got + got_len, bytes, len);
    got_len += len;
    got[got_len] = '\0';
    return len;
}

/* GET without a body, else POST; what came is in `got`. */
static long request(const char *path, const char *body)
{
    char url[256];
    long status = 0;
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    cr_assert(ne(ptr, easy, NULL));
    snprintf(url, sizeof(url), "%s%s", base_url, path);
    got_len = 0;
    got[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (body != NULL)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    cr_assert(eq(int, (int)curl_easy_perform(easy), CURLE_OK));
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    return status;
}

/* The value of a series, -1 if it is not there. */
static double metric(const char *series)
{
    size_t len = strlen(series);
    cr_assert(eq(int, (int)request("/metrics", NULL), 200));
    for (const char *line = got; line != NULL && *line != '\0'; line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, series, len) == 0 && line[len] == ' ')
            return strtod(line + len, NULL);
    return -1;
}

/* One step, then the end; functions that are named "bad" throw. */
static bool answer(struct app *self, int fd, const struct app_request *asked)
{
    (void)self;
    if (memmem(asked->target.ptr, asked->target.len, "shop-bad", 8) != NULL)
        write_answer(fd, 500, SDK_HEADERS, "{\"name\":\"Error\",\"message\":\"no\"}");
    else if (memmem(asked->body.ptr, asked->body.len, "\"steps\":{}", 10) != NULL)
        write_answer(fd, 206, SDK_HEADERS, "[{\"op\":\"StepRun\",\"id\":\"a\",\"data\":1,\"displayName\":\"a\"}]");
    else
        write_answer(fd, 200, SDK_HEADERS, "\"done\"");
    return true;
}

static void append_function(char *text, size_t size, const char *name, const char *event)
{
    size_t len = strlen(text);
    snprintf(
        text + len, size - len,
        "%s{\"id\":\"shop-%s\",\"name\":\"%s\",\"triggers\":[{\"event\":\"%s\"}],\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\","
        "\"runtime\":{\"type\":\"http\",\"url\":\"http://127.0.0.1:%d/api/inngest?fnId=shop-%s&stepId=step\"},"
        "\"retries\":{\"attempts\":0}}}}",
        text[len - 1] == '[' ? "" : ",", name, name, event, app.port, name);
}

static void open(void)
{
    char body[4096];
    struct sg_error error = {.status = SG_OK};
    sg_log_set_level(SG_LOG_ERROR);
    cr_assert(eq(int, sg_crypto_init(NULL), SG_OK));
    app_start(&app, answer);
    struct sg_node_options options = {
        .host = "127.0.0.1", .is_dev = true, .server_kind = "dev", .name = "test", .shutdown_timeout_ms = 1000, .retry_interval_ms = 1};
    cr_assert(eq(int, sg_node_create(&options, &node, &error), SG_OK), "%s", error.message);
    snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%d", sg_node_port(node));
    snprintf(body, sizeof(body),
             "{\"url\":\"http://127.0.0.1:%d/api/inngest\",\"deployType\":\"ping\",\"framework\":\"test\",\"appName\":\"shop \\\"1\\\"\","
             "\"sdk\":\"js:v4.24.0\",\"v\":\"0.1\",\"functions\":[",
             app.port);
    append_function(body, sizeof(body), "good", "a/good");
    append_function(body, sizeof(body), "bad", "a/bad");
    snprintf(body + strlen(body), sizeof(body) - strlen(body), "]}");
    cr_assert(eq(int, (int)request("/fn/register", body), 200), "%s", got);
}

static void close_all(void)
{
    sg_node_stop(node, 1000);
    sg_node_free(node);
    app_stop(&app);
}

TestSuite(node_metrics, .init = open, .fini = close_all, .timeout = 120);

Test(node_metrics, numbers_move_with_runs_calls_errors_and_commits)
{
    cr_assert(metric("inngest_function_run_ended_total{fn=\"shop-good\",status=\"completed\"}") == 0); /* there before the first run */
    double commits = metric("stepgate_db_write_seconds_count");
    for (int i = 0; i < 5; i++)
        cr_assert(eq(int, (int)request("/e/key", "{\"name\":\"a/good\",\"data\":{}}"), 200));
    cr_assert(eq(int, (int)request("/e/key", "{\"name\":\"a/bad\",\"data\":{}}"), 200));
    WAIT_UNTIL(metric("inngest_function_run_ended_total{fn=\"shop-good\",status=\"completed\"}") == 5);
    WAIT_UNTIL(metric("inngest_function_run_ended_total{fn=\"shop-bad\",status=\"failed\"}") == 1);

    cr_expect(metric("inngest_function_run_scheduled_total{fn=\"shop-good\"}") == 5);
    cr_expect(metric("inngest_function_run_started_total{fn=\"shop-good\"}") == 5);
    cr_expect(metric("inngest_sdk_req_started_total{fn=\"shop-good\"}") == 10);
    cr_expect(metric("inngest_sdk_req_ended_total{fn=\"shop-good\",status=\"success\"}") == 10);
    cr_expect(metric("inngest_sdk_req_ended_total{fn=\"shop-bad\",status=\"failed\"}") == 1);
    cr_expect(metric("inngest_steps_running{fn=\"shop-good\"}") == 0);
    cr_expect(metric("stepgate_sdk_call_errors_total{app=\"shop \\\"1\\\"\",kind=\"status_5xx\"}") == 1);
    cr_expect(metric("stepgate_step_latency_seconds_count{app=\"shop \\\"1\\\"\"}") == 5);
    cr_expect(metric("stepgate_run_queue_delay_seconds_count{app=\"shop \\\"1\\\"\"}") == 6);
    cr_expect(metric("stepgate_sdk_request_duration_seconds_count{app=\"shop \\\"1\\\"\"}") == 11);
    cr_expect(metric("stepgate_run_duration_seconds_count{app=\"shop \\\"1\\\"\"}") == 6);
    cr_expect(metric("stepgate_events_total{kind=\"client\"}") == 6);
    cr_expect(metric("stepgate_memos_total") == 5);
    cr_expect(metric("stepgate_attempts_total") == 11);
    cr_expect(metric("stepgate_db_write_seconds_count") > commits);
    cr_expect(metric("stepgate_db_write_seconds_count") == metric("stepgate_commits_total"));
    cr_expect(metric("inngest_queue_depth") == 0);
    cr_expect(metric("stepgate_queue_due") == 0);
    cr_expect(metric("process_resident_memory_bytes") > 0);
}

Test(node_metrics, runs_of_durable_endpoints_are_counted_as_messages)
{
    cr_assert(metric("stepgate_messages_total{kind=\"http_run\"}") == 0);
    cr_assert(eq(int,
                 (int)request("/v1/checkpoint", "{\"run_id\":\"01KDYJ0ZC2T5V9E7N4Q8R1S3C1\",\"event\":{\"data\":{\"domain\":\"http://a.b\","
                                                "\"method\":\"GET\",\"path\":\"/1\"}}}"),
                 200),
              "%s", got);
    WAIT_UNTIL(metric("stepgate_messages_total{kind=\"http_run\"}") == 1);
}

/* name{label="value",...} number */
static bool is_sample(const char *line, const char *family)
{
    const char *at = line;
    size_t len = strlen(family);
    if (strncmp(at, family, len) != 0)
        return false;
    at += len;
    at += strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    if (*at == '{') {
        do {
            at++;
            size_t name_len = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
            at += name_len;
            if (name_len == 0 || strncmp(at, "=\"", 2) != 0)
                return false;
            for (at += 2; *at != '"'; at++) {
                if (*at == '\\' && strchr("\\\"n", at[1]) == NULL)
                    return false;
                at += *at == '\\';
                if (*at == '\0')
                    return false;
            }
            at++;
        } while (*at == ',');
        if (*at++ != '}')
            return false;
    }
    char *end;
    if (*at++ != ' ')
        return false;
    (void)strtod(at, &end);
    return end != at && *end == '\0';
}

Test(node_metrics, the_text_is_valid_every_sample_belongs_to_the_family_above_it_and_no_series_comes_twice)
{
    static char *seen[8192];
    size_t seen_count = 0;
    char family[128] = "";
    char *place = NULL;
    cr_assert(eq(int, (int)request("/e/key", "{\"name\":\"a/good\",\"data\":{}}"), 200));
    WAIT_UNTIL(metric("stepgate_memos_total") == 1);
    cr_assert(got_len > 0 && got[got_len - 1] == '\n');
    for (char *line = strtok_r(got, "\n", &place); line != NULL; line = strtok_r(NULL, "\n", &place)) {
        char name[128];
        char type[16];
        if (strncmp(line, "# HELP ", 7) == 0) {
            cr_assert(eq(int, sscanf(line, "# HELP %127s", family), 1));
            for (size_t i = 0; i < seen_count; i++)
                cr_assert(strncmp(seen[i], family, strlen(family)) != 0 || strchr("{ ", seen[i][strlen(family)]) == NULL, "%s again",
                          family);
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) == 0) {
            cr_assert(eq(int, sscanf(line, "# TYPE %127s %15s", name, type), 2));
            cr_assert(eq(str, name, family));
            continue;
        }
        cr_assert(is_sample(line, family), "%s after %s", line, family);
        cr_assert(lt(sz, seen_count, sizeof(seen) / sizeof(seen[0])));
        *strrchr(line, ' ') = '\0';
        for (size_t i = 0; i < seen_count; i++)
            cr_assert(ne(str, seen[i], line));
        seen[seen_count++] = line;
    }
    cr_assert(gt(sz, seen_count, 150));
}

Test(node_metrics, the_status_shows_queues_pools_and_limits)
{
    cr_assert(eq(int, (int)request("/v1/admin/status", NULL), 200));
    cr_expect(strstr(got, "\"state\":\"ready\"") != NULL);
    cr_expect(strstr(got, "{\"limit\":20000,\"name\":\"inbox.messages\",") != NULL, "%s", got);
    cr_expect(strstr(got, "\"name\":\"engine.functions\",\"text\":\"\",\"value\":2}") != NULL);
    cr_expect(strstr(got, "\"name\":\"http.connections\"") != NULL);
    cr_expect(strstr(got, "}{") == NULL);
}
