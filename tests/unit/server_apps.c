/* Registration, removal, checkpoints and signing keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sdk/body.h"
#include "server/auth.h"
#include "server_records.h"

#define URL "http://localhost:3000/api/inngest"
#define FUNCTION(id, more)                                                                                                                 \
    "{\"id\":\"" id                                                                                                                        \
    "\",\"name\":\"f\",\"triggers\":[{\"event\":\"x/y\"}],\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"runtime\":{\"type\":"   \
    "\"http\",\"url\":\"" URL "?fnId=" id "&stepId=step\"}}}" more "}"
#define REGISTRATION(functions)                                                                                                            \
    "{\"url\":\"" URL "\",\"deployType\":\"ping\",\"framework\":\"express\",\"appName\":\"shop\",\"sdk\":\"js:v4.24.0\",\"v\":\"0.1\","    \
    "\"functions\":[" functions "]}"

/* ---- POST /fn/register ---- */

Test(registration, valid_one_is_posted_and_answered_as_sdks_expect)
{
    struct fixture f;

    fixture_open(&f);
    struct answer answer = fetch(&f, "POST", "/fn/register?deployId=undefined", "", REGISTRATION(FUNCTION("shop-f", "")));
    cr_expect(answer.status == 200, "%s", answer.body);
    cr_expect(eq(int, f.kind, SG_MESSAGE_REGISTER));
    cr_expect(eq(str, f.text, "shop"));
    cr_expect(answer_has(&answer, "{\"app_id\":\"abababab-abab-abab-abab-abababababab\",\"modified\":true,\"ok\":true,\"sync_id\":\""));
    answer_free(&answer);
    cr_expect(eq(str, f.registered, "shop at " URL));
    fixture_close(&f);
}

Test(registration, every_refusal_has_error_and_status)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/fn/register", "", "{\"url\":", 400, "\"status\":400");
    EXPECT(&f, "POST", "/fn/register", "", "{\"url\":", 400, "\"error\":\"Invalid request: ");
    EXPECT(&f, "POST", "/fn/register", "", "{\"url\":\"" URL "\",\"appName\":\"\",\"functions\":[]}", 400,
           "\"error\":\"App ID required\",\"status\":400");
    EXPECT(&f, "PUT", "/fn/register", "", "{}", 405, "\"status\":405");
    fixture_close(&f);
}

Test(registration, bad_functions_are_listed_and_the_refusal_is_kept_with_the_app)
{
    struct fixture f;

    fixture_open(&f);
    const char *body = REGISTRATION(FUNCTION("shop-f", ",\"debounce\":{\"period\":\"100ms\"}"));
    struct answer answer = fetch(&f, "POST", "/fn/register", "", body);
    cr_expect(eq(int, answer.status, 400));
    cr_expect(answer_has(&answer, "\"error\":\"At least one function is invalid\",\"status\":400"));
    cr_expect(answer_has(&answer, "{\"errors\":[{\"code\":\""));
    cr_expect(answer_has(&answer, "\"function\":\"shop-f\""));
    answer_free(&answer);
    cr_expect(eq(int, f.kind, SG_MESSAGE_SYNC_FAILED));
    cr_expect(strstr(f.text, "At least one function is invalid: shop-f: ") == f.text, "%s", f.text);
    fixture_close(&f);
}

Test(registration, expected_server_kind_is_checked)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/fn/register", "X-Inngest-Expected-Server-Kind: cloud\r\n", REGISTRATION(""), 400,
           "\"error\":\"Expected server kind dev, got cloud\",\"status\":400");
    EXPECT(&f, "POST", "/fn/register", "X-Inngest-Expected-Server-Kind: dev\r\n", REGISTRATION(""), 200, "\"ok\":true");
    fixture_close(&f);
}

Test(registration, engine_s_refusal_reaches_the_sdk)
{
    struct fixture f;

    fixture_open(&f);
    f.status = SG_STORE_IO;
    EXPECT(&f, "POST", "/fn/register", "", REGISTRATION(""), 503, "\"status\":503");
    cr_expect(eq(str, f.registered, ""));
    fixture_close(&f);
}

Test(removal, app_is_removed_by_its_url)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "DELETE", "/fn/remove?url=http%3A%2F%2F127.0.0.1%3A3000%2Fapi%2Finngest", "", NULL, 200, "");
    cr_expect(eq(int, f.kind, SG_MESSAGE_REMOVE_APP));
    cr_expect(eq(str, f.text, URL)); /* normalised as it was when it registered */
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "DELETE", "/fn/remove?url=" URL, "", NULL, 404, "\"error\":\"App not found: " URL "\"");
    EXPECT(&f, "DELETE", "/fn/remove", "", NULL, 400, "\\\"url\\\"");
    fixture_close(&f);
}

/* ---- checkpoints ---- */

#define CHECKPOINT(more) "{\"run_id\":\"" RUN_ID "\",\"fn_id\":\"11111111-1111-4111-8111-111111111111\"," more "}"
#define PATH "/v1/checkpoint/" RUN_ID "/async"

Test(checkpoint, steps_are_posted_with_their_dispatch)
{
    struct fixture f;
    char qi_id[SG_QI_ID_MAX];
    char body[1024];

    fixture_open(&f);
    sg_qi_id_format(42, 7, qi_id);
    snprintf(body, sizeof(body),
             "{\"run_id\":\"" RUN_ID
             "\",\"qi_id\":\"%s\",\"generation_id\":7,\"steps\":[{\"id\":\"fe05bcdcdc4928012781a5f1a2a77cbb5398e106\",\"op\":\"StepRun\","
             "\"name\":\"one\",\"data\":{\"a\":1},\"promise\":{}},{\"id\":\"x\",\"op\":\"StepPlanned\"}],\"ts\":1}",
             qi_id);
    struct answer answer = fetch(&f, "POST", PATH, "", body);
    cr_expect(answer.status == 200, "%s", answer.body);
    cr_expect(eq(sz, answer.body_len, 0));
    answer_free(&answer);
    cr_expect(eq(int, f.kind, SG_MESSAGE_CHECKPOINT));
    cr_expect(eq(int, (int)f.job_id, 42));
    cr_expect(eq(int, f.generation, 7));
    cr_expect(eq(sz, f.op_count, 2));
    fixture_close(&f);
}

Test(checkpoint, unknown_dispatch_counts_as_none_and_the_legacy_path_works)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/http/runs/" RUN_ID "/async", "",
           CHECKPOINT("\"qi_id\":\"nonsense\",\"steps\":[{\"id\":\"a\",\"op\":\"StepRun\"}]"), 200, "");
    cr_expect(eq(int, (int)f.job_id, 0));
    fixture_close(&f);
}

Test(checkpoint, bad_bodies_are_named)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", PATH, "", "{", 400, "\"error\":\"invalid request body: ");
    EXPECT(&f, "POST", PATH, "", "[]", 400, "it must be an object, not array");
    EXPECT(&f, "POST", PATH, "", "{\"run_id\":7,\"steps\":[]}", 400, "\\\"run_id\\\" is not a run ID");
    EXPECT(&f, "POST", PATH, "", CHECKPOINT("\"steps\":{}"), 400, "\\\"steps\\\" must be an array, not object");
    EXPECT(&f, "POST", PATH, "", CHECKPOINT("\"steps\":[7]"), 400, "invalid request body: ");
    EXPECT(&f, "POST", PATH, "", CHECKPOINT("\"steps\":[{\"op\":\"Nonsense\",\"id\":\"a\"}]"), 400, "unknown opcode");
    EXPECT(&f, "POST", "/v1/checkpoint/x/async", "", "{\"steps\":[]}", 400, "is not a run ID");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(checkpoint, async_steps_are_refused)
{
    struct fixture f;
    const char *ops[] = {"StepError\",\"error\":{\"name\":\"E\",\"message\":\"m\"},\"x\":\"",
                         "Sleep",
                         "WaitForEvent",
                         "InvokeFunction",
                         "WaitForSignal",
                         "AIGateway",
                         "Gateway",
                         "DiscoveryRequest"};

    fixture_open(&f);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body),
                 "{\"run_id\":\"" RUN_ID "\",\"steps\":[{\"id\":\"a\",\"op\":\"StepRun\"},{\"id\":\"b\",\"op\":\"%s\"}]}", ops[i]);
        EXPECT(&f, "POST", PATH, "", body, 400, "cannot checkpoint async steps");
    }
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}

Test(checkpoint, no_steps_still_ask_whether_the_run_lives)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", PATH, "", CHECKPOINT("\"steps\":[]"), 200, "");
    cr_expect(eq(sz, f.op_count, 0));
    EXPECT(&f, "POST", PATH, "", "{}", 200, "");
    cr_expect(eq(int, f.posts, 2));
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "POST", PATH, "", CHECKPOINT("\"steps\":[]"), 400,
           "{\"data\":{\"run_id\":\"" RUN_ID "\"},\"error\":\"run not found in state store\"");
    EXPECT(&f, "POST", "/v1/checkpoint/a%22b/async", "", CHECKPOINT("\"steps\":[]"), 400, "{\"data\":{\"run_id\":\"a\\\"b\"}");
    fixture_close(&f);
}

Test(checkpoint, output_over_the_limit_is_413)
{
    struct fixture f;
    size_t len = SG_LIMIT_STEP_OUTPUT_BYTES + 200;
    char *body = malloc(len + 1);

    fixture_open(&f);
    int head = snprintf(body, len, "%s", "{\"run_id\":\"" RUN_ID "\",\"steps\":[{\"id\":\"a\",\"op\":\"StepRun\",\"data\":\"");
    memset(body + head, 'x', len - (size_t)head);
    memcpy(body + len - 5, "\"}]}", 5);
    EXPECT(&f, "POST", PATH, "", body, 413, "a step's output is larger than 4194304 bytes");
    cr_expect(eq(int, f.posts, 0));
    free(body);
    fixture_close(&f);
}

Test(checkpoint, engine_s_verdict_becomes_the_status)
{
    struct fixture f;
    const struct {
        enum sg_status status;
        int http;
    } verdicts[] = {{SG_NOT_FOUND, 400},        {SG_STALE, 409},    {SG_TOO_LARGE, 413},
                    {SG_INVALID_ARGUMENT, 400}, {SG_STORE_IO, 503}, {SG_QUEUE_FULL, 429}};

    fixture_open(&f);
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        char status[32];
        f.status = verdicts[i].status;
        snprintf(status, sizeof(status), "\"status\":%d", verdicts[i].http);
        EXPECT(&f, "POST", PATH, "", CHECKPOINT("\"steps\":[{\"id\":\"a\",\"op\":\"StepRun\"}]"), verdicts[i].http, status);
    }
    fixture_close(&f);
}

/* ---- signing keys ---- */

#define KEY "signkey-test-12345678"
#define HASH "b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c"

static struct sg_signing_key test_key;

static struct sg_server_options with_key(struct fixture *f)
{
    struct sg_server_options options = fixture_options(f);

    cr_assert(sg_signing_key_parse(SG_STR(KEY), "key", &test_key, NULL) == SG_OK);
    options.keys = &test_key;
    options.key_count = 1;
    options.is_dev = false;
    return options;
}

Test(signing_keys, hash_and_plain_key_open_the_api_with_any_prefix)
{
    struct fixture f;
    struct sg_server_options options = with_key(&f);
    const char *good[] = {"Bearer signkey-test-" HASH, "bearer signkey-prod-" HASH, "Bearer " HASH, "Bearer 12345678", "Bearer " KEY};

    fixture_start(&f, &options);
    for (size_t i = 0; i < 5; i++) {
        char header[256];
        snprintf(header, sizeof(header), "Authorization: %s\r\n", good[i]);
        EXPECT(&f, "GET", "/v1/runs/nonsense", header, NULL, 400, "Invalid run ID");
    }
    fixture_close(&f);
}

Test(signing_keys, everything_else_is_a_401_in_json)
{
    struct fixture f;
    struct sg_server_options options = with_key(&f);
    const char *bad[] = {"", "Authorization: Bearer\r\n", "Authorization: Bearer signkey-test-\r\n", "Authorization: Basic eDp5\r\n",
                         "Authorization: Bearer 0000000000000000000000000000000000000000000000000000000000000000\r\n"};
    const char *paths[][2] = {{"GET", "/v1/runs/x"},       {"DELETE", "/v1/runs/x"}, {"GET", "/v0/runs/x/actions"},
                              {"POST", "/fn/register"},    {"GET", "/v1/events"},    {"GET", "/v1/admin/apps"},
                              {"GET", "/v1/admin/server"}, {"POST", PATH},           {"GET", "/"}};

    fixture_start(&f, &options);
    for (size_t i = 0; i < 5; i++)
        for (size_t p = 0; p < sizeof(paths) / sizeof(*paths); p++)
            EXPECT(&f, paths[p][0], paths[p][1], bad[i], strcmp(paths[p][0], "POST") == 0 ? "{}" : NULL, 401,
                   "{\"data\":null,\"error\":\"Authentication failed\",\"status\":401}");
    cr_expect(eq(int, f.posts, 0));
    EXPECT(&f, "GET", "/health", "", NULL, 200, "OK");
    EXPECT(&f, "GET", "/ready", "", NULL, 200, "OK");
    fixture_close(&f);
}

Test(signing_keys, dev_probe_gets_no_json)
{
    struct fixture f;
    struct sg_server_options options = with_key(&f);

    fixture_start(&f, &options);
    struct answer answer = fetch(&f, "GET", "/dev", "", NULL);
    cr_expect(eq(int, answer.status, 401));
    cr_expect(eq(str, answer.body, "Authentication failed\n"));
    answer_free(&answer);
    fixture_close(&f);
}

Test(signing_keys, fingerprints_tell_keys_apart_without_showing_them)
{
    char text[SG_TOKEN_FINGERPRINT_MAX];

    cr_assert(sg_crypto_init(NULL) == SG_OK);
    sg_auth_token_fingerprint(SG_STR("Bearer signkey-test-" HASH), text);
    cr_expect(eq(str, text, "b2ed99"));
    sg_auth_token_fingerprint(SG_STR("Bearer " KEY), text);
    cr_expect(eq(str, text, "b2ed99"));
    sg_auth_token_fingerprint(SG_STR("Bearer"), text);
    cr_expect(eq(str, text, "none"));
    sg_auth_token_fingerprint(SG_STR(""), text);
    cr_expect(eq(str, text, "none"));
    sg_auth_token_fingerprint(SG_STR("Bearer hello!"), text);
    cr_expect(eq(str, text, "unreadable"));
}

/* ---- signals ---- */

Test(signals, nobody_waits_so_a_signal_is_not_found)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/signals", "", "{\"signal\":", 400, "Invalid signal data");
    EXPECT(&f, "POST", "/v1/signals", "", "{\"signal\":\"\"}", 500, "Failed to receive signal");
    cr_expect(eq(int, f.posts, 0));
    f.status = SG_NOT_FOUND;
    EXPECT(&f, "POST", "/v1/signals", "", "{\"signal\":\"order-7\",\"data\":1}", 404,
           "{\"data\":null,\"error\":\"No signal found\",\"status\":404}");
    cr_expect(eq(int, f.posts, 1));
    fixture_close(&f);
}

Test(signals, one_that_somebody_waits_for_names_the_run)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/v1/signals", "", "{\"signal\":\"order-7\"}", 200, "{\"data\":{\"run_id\":\"5BNENTQAXBNENTQAXBNENTQAXB\"}");
    cr_expect(eq(int, f.posts, 1));
    cr_expect(eq(str, f.text, "order-7 null"));
    EXPECT(&f, "POST", "/v1/signals", "", "{\"data\":{\"n\": 1},\"signal\":\"order\\u002d\\\"7\\\"\"}", 200, "\"run_id\"");
    cr_expect(eq(str, f.text, "order-\"7\" {\"n\":1}"));
    fixture_close(&f);
}

/* ---- invoking ---- */

Test(invoke, an_event_that_names_the_function_is_made_of_the_body)
{
    struct fixture f;

    fixture_open(&f);
    EXPECT(&f, "POST", "/invoke/shop-ship", "",
           "{\"data\":{\"_inngest\":\"mine\",\"x\":1},\"name\":\"mine\",\"ts\":1767323046215,\"user\":{\"u\":1},\"v\":\"2\"}", 200,
           "\"status\":200}");
    cr_expect(eq(str, f.names[0], "inngest/function.invoked"));
    cr_expect(f.events[0].is_id_fresh);
    cr_expect(eq(i64, f.events[0].ts_ms, 1767323046215));
    cr_expect(strstr(f.bodies[0], "{\"data\":{\"_inngest\":{\"expire\":0,\"fn_id\":\"shop-ship\",") == f.bodies[0], "%s", f.bodies[0]);
    cr_expect(strstr(f.bodies[0], "\"source_fn_v\":0},\"x\":1},\"id\":\"") != NULL, "%s", f.bodies[0]);
    cr_expect(strstr(f.bodies[0], "\",\"name\":\"inngest/function.invoked\",\"ts\":1767323046215,\"user\":{\"u\":1},\"v\":\"2\"}") != NULL,
              "%s", f.bodies[0]);
    cr_expect(strstr(f.bodies[0], "mine") == NULL);
    EXPECT(&f, "POST", "/invoke/shop-ship", "", "", 200, "{\"id\":\"");
    cr_expect(eq(int, f.posts, 2));
    EXPECT(&f, "POST", "/invoke/shop-ship", "", "{", 400, "Unable to read post data request");
    EXPECT(&f, "POST", "/invoke/shop-ship", "", "[]", 400, "Invalid invocation event");
    cr_expect(eq(int, f.posts, 2));
    fixture_close(&f);
}

Test(invoke, a_seed_makes_a_repeat_of_the_request_the_same_event)
{
    struct fixture f;
    const char *header = "x-inngest-event-id-seed: 1767323045000,rPgCKPZmXZQPzg==\r\n";

    fixture_open(&f);
    EXPECT(&f, "POST", "/invoke/shop-ship", header, "{}", 200, "\"status\":200}");
    struct sg_event_in first = f.events[0];
    EXPECT(&f, "POST", "/invoke/shop-ship", header, "{}", 200, "\"status\":200}");
    cr_expect(sg_id_eq(first.internal_id, f.events[0].internal_id));
    cr_expect(sg_id_eq(first.key, f.events[0].key) && !sg_id_is_null(first.key));
    cr_expect(not(f.events[0].is_id_fresh));
    fixture_close(&f);
}

Test(invoke, an_event_that_is_too_large_is_refused)
{
    struct fixture f;
    struct sg_server_options options = fixture_options(&f);
    char body[400];

    options.limits.event_bytes_max = 300;
    fixture_start(&f, &options);
    snprintf(body, sizeof(body), "{\"data\":{\"x\":\"%0300d\"}}", 1);
    EXPECT(&f, "POST", "/invoke/shop-ship", "", body, 413, "at most 300 are allowed");
    cr_expect(eq(int, f.posts, 0));
    fixture_close(&f);
}
