/* Registrations: captured payloads, every text of reference/04 §2.4, in-band answers (reference/01 §4, §5). */
#include "sdk_fixture.h"

#include <stdio.h>
#include <string.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "sdk/registration.h"
#include "sdk/unapplied.h"

static struct sg_arena arena;
static struct sg_registration registration;
static struct sg_registration_report report;
static struct sg_error error;
static struct sg_registration_options options;

static void start(void)
{
    cr_assert(eq(int, sg_crypto_init(NULL), SG_OK));
    sg_arena_init(&arena);
    options = (struct sg_registration_options){0};
}

static void finish(void)
{
    sg_arena_free(&arena);
}

TestSuite(sdk_registration, .init = start, .fini = finish);

static enum sg_status decode_text(struct sg_str text)
{
    report = (struct sg_registration_report){0};
    error = (struct sg_error){0};
    return sg_registration_decode(text, &options, &arena, &registration, &report, &error);
}

static enum sg_status decode(const char *text)
{
    return decode_text(sg_str_from(json(text)));
}

#define STEPS "'steps':{'step':{'id':'step','name':'step','runtime':{'type':'http','url':'http://h:3000/x?fnId=f&stepId=step'}}}"

/* A registration of one function that has these members besides id, name and steps. */
static enum sg_status decode_function(const char *members)
{
    char text[4096];
    snprintf(text, sizeof(text), "{'url':'http://h:3000/x','appName':'shop','sdk':'js:v4.24.0','functions':[{'id':'f','name':'F',%s%s%s}]}",
             STEPS, members[0] != '\0' ? "," : "", members);
    return decode(text);
}

#define accepts(members) cr_assert(eq(int, decode_function(members), SG_OK), "%s: %s", members, error.message)

/* The function has exactly this problem (and perhaps others behind it). */
static void has_problem(const char *members, const char *message, const char *code)
{
    cr_assert(eq(int, decode_function(members), SG_INVALID_CONFIG), "%s: %s", members, error.message);
    cr_assert(eq(str, error.message, "At least one function is invalid"));
    cr_assert(report.problems.count >= 1);
    assert_contains(report.problems.items[0].message, message);
    assert_text(report.problems.items[0].function, "f");
    cr_assert(eq(str, (char *)report.problems.items[0].code, (char *)code));
}

static void is_refused(const char *members, const char *part)
{
    cr_assert(eq(int, decode_function(members), SG_INVALID_ARGUMENT), "%s: %s", members, error.message);
    assert_contains(sg_str_from(error.message), "Invalid request: ");
    assert_contains(sg_str_from(error.message), part);
}

/* ---- captured ---- */

static const char v4[] =
    "{'url':'http://127.0.0.1:43215/api/inngest?deployId=dep_1&foo=bar','deployType':'ping','framework':'nodejs','appName':'My App 1!',"
    "'functions':[{'id':'My App 1!-big-fn','name':'Big Fn','triggers':[{'event':'a/b','expression':'event.data.x == 1'},"
    "{'cron':'TZ=Europe/Paris 0 12 * * 5'}],'steps':{'step':{'id':'step','name':'step','runtime':{'type':'http','url':"
    "'http://127.0.0.1:43215/api/inngest?deployId=dep_1&foo=bar&fnId=My+App+1%21-big-fn&stepId=step'},'retries':{'attempts':3}}},"
    "'idempotency':'event.data.id','throttle':{'limit':2,'period':'10s','burst':3,'key':'event.data.k'},"
    "'concurrency':[{'limit':5,'key':'event.data.k','scope':'env'},{'limit':2}],"
    "'debounce':{'period':'30s','key':'event.data.k','timeout':'5m'},'priority':{'run':'event.data.p'},"
    "'timeouts':{'start':'10s','finish':'1h'},'singleton':{'key':'event.data.k','mode':'cancel'},"
    "'cancel':[{'event':'x/cancel','timeout':'1h','if':'event.data.id == async.data.id'}]},"
    "{'id':'My App 1!-batch-fn','name':'Batch Fn','triggers':[{'event':'b/c'}],'steps':{'step':{'id':'step','name':'step','runtime':"
    "{'type':'http','url':'http://127.0.0.1:43215/api/inngest?fnId=b&stepId=step'}}},"
    "'batchEvents':{'maxSize':10,'timeout':'5s','key':'event.data.k','if':'event.data.ok == true'}}],"
    "'sdk':'js:v4.24.0','v':'0.1','deployId':'dep_1','capabilities':{'trust_probe':'v1','connect':'v1'},'appVersion':'v9',"
    "'featureObservations':{'aiMetadataExtraction':{'readinessReason':'X'}}}";

Test(sdk_registration, the_captured_v4_payload)
{
    cr_assert(eq(int, decode(v4), SG_OK), "%s %.*s", error.message,
              report.problems.count > 0 ? (int)report.problems.items[0].message.len : 0,
              report.problems.count > 0 ? report.problems.items[0].message.ptr : "");
    assert_text(registration.app_name, "My App 1!");
    assert_text(registration.url, "http://localhost:43215/api/inngest?foo=bar");
    assert_text(registration.sdk, "js:v4.24.0");
    assert_text(registration.framework, "nodejs");
    assert_text(registration.app_version, "v9");
    assert_text(registration.sync_kind, "out_of_band");
    cr_assert(eq(sz, registration.checksum.len, 64));
    cr_assert(eq(sz, registration.function_count, 2));
    assert_text(registration.functions[0].slug, "My App 1!-big-fn");
    assert_text(registration.functions[0].name, "Big Fn");
    assert_contains(registration.functions[0].config,
                    json("'url':'http://localhost:43215/api/inngest?fnId=My+App+1%21-big-fn&foo=bar&stepId=step'"));
    assert_contains(registration.functions[0].config, json("'singleton':{'key':'event.data.k','mode':'cancel'}"));
    struct sg_buf again;
    sg_buf_init(&again);
    cr_assert(eq(int, sg_json_canonicalize(registration.functions[0].config, NULL, &again, NULL), SG_OK));
    cr_assert(sg_str_eq(sg_buf_str(&again), registration.functions[0].config));
    sg_buf_free(&again);
}

Test(sdk_registration, ids_are_stable)
{
    char text[SG_UUID_LEN + 1];
    sg_uuid_format(sg_app_id(SG_STR("my-app")), text);
    cr_assert(eq(str, text, "6314abb5-b9cc-5d32-8ac3-51e26170f039"));
    cr_assert(eq(int, decode(v4), SG_OK));
    cr_assert(sg_id_eq(registration.functions[0].id, sg_uuid5_oid(SG_STR("My App 1!\nMy App 1!-big-fn"))));
    cr_assert(sg_id_eq(registration.app_id, sg_app_id(SG_STR("My App 1!"))));
}

Test(sdk_registration, what_does_not_count_does_not_change_the_checksum)
{
    char first[65] = "";
    cr_assert(
        eq(int, decode("{'url':'http://h:1/x?deployId=1','appName':'a','functions':[],'featureObservations':{'a':1},'hash':'x'}"), SG_OK));
    memcpy(first, registration.checksum.ptr, 64);
    cr_assert(
        eq(int, decode("{'functions':[],'deployId':'2','url':'http://h:1/x?deployId=2','appName':'a','hash':'y','new':true}"), SG_OK));
    assert_text(registration.checksum, first);
    cr_assert(eq(int, decode("{'functions':[],'url':'http://h:2/x','appName':'a'}"), SG_OK));
    cr_assert(strncmp(registration.checksum.ptr, first, 64) != 0);
}

Test(sdk_registration, python_spells_its_keys_in_lower_case)
{
    cr_assert(eq(int, decode("{'appname':'py','deploy_type':'ping','url':'http://h/x','functions':[],'sdk':'py:v0.5.18'}"), SG_OK));
    assert_text(registration.app_name, "py");
}

Test(sdk_registration, an_exact_key_wins_over_another_spelling)
{
    cr_assert(eq(int, decode("{'APPNAME':'a','appName':'b','appname':'c','url':'http://h/x'}"), SG_OK));
    assert_text(registration.app_name, "b");
}

Test(sdk_registration, v1_filters_are_kept)
{
    accepts("'triggers':[{'event':'a/b','if':'event.data.x == 1'}]");
    assert_contains(registration.functions[0].config, json("{'event':'a/b','expression':'event.data.x == 1','if':'event.data.x == 1'}"));
    has_problem("'triggers':[{'event':'a/b','if':'event.data.x =='}]", "invalid trigger expression on 'a/b': ", "config_invalid");
}

Test(sdk_registration, an_empty_id_is_made_of_the_name)
{
    cr_assert(eq(int, decode("{'url':'http://h/x','appName':'a','functions':[{'id':'','name':'Hello, World! 2'," STEPS "}]}"), SG_OK));
    assert_text(registration.functions[0].slug, "hello-world-2");
    assert_contains(registration.functions[0].config, json("'id':'hello-world-2'"));
}

/* ---- refused as a whole ---- */

Test(sdk_registration, bodies_that_are_none)
{
    cr_assert(eq(int, decode("{'url':"), SG_INVALID_JSON));
    assert_contains(sg_str_from(error.message), "Invalid request: ");
    cr_assert(eq(int, decode("[]"), SG_INVALID_ARGUMENT));
    cr_assert(eq(int, decode("{'appName':5}"), SG_INVALID_ARGUMENT));
    assert_contains(sg_str_from(error.message), "`appName` must be a string, got number");
    cr_assert(eq(int, decode("{'appName':'a','functions':{}}"), SG_INVALID_ARGUMENT));
    cr_assert(eq(int, decode("{'appName':'a','functions':[5]}"), SG_INVALID_ARGUMENT));
    cr_assert(eq(int, decode("{'appName':'','functions':[]}"), SG_INVALID_CONFIG));
    cr_assert(eq(str, error.message, "App ID required"));
    cr_assert(eq(int, decode("{'functions':[]}"), SG_INVALID_CONFIG));
}

Test(sdk_registration, no_functions_are_fine)
{
    cr_assert(eq(int, decode("{'appName':'a','url':'http://h/x','functions':[]}"), SG_OK));
    cr_assert(eq(sz, registration.function_count, 0));
    cr_assert(eq(int, decode("{'appName':'a','url':'http://h/x'}"), SG_OK));
}

Test(sdk_registration, too_large)
{
    struct sg_buf text;
    sg_buf_init(&text);
    for (int i = 0; i < SG_LIMIT_REGISTRATION_BYTES + 1; i++)
        sg_buf_byte(&text, ' ');
    cr_assert(eq(int, decode_text(sg_buf_str(&text)), SG_TOO_LARGE));
    sg_buf_free(&text);
}

Test(sdk_registration, undecodable_fields)
{
    is_refused("'concurrency':[{'limit':1,'scope':'galaxy','key':'event.data.k'}]", "galaxy does not belong to ConcurrencyScope values");
    is_refused("'concurrency':[{'limit':1,'scope':5}]", "ConcurrencyScope should be a string, got 5");
    is_refused("'singleton':{'mode':'both'}", "both does not belong to SingletonMode values");
    is_refused("'throttle':{'limit':1,'period':'soon'}", "failed to parse throttle period");
    is_refused("'throttle':{'limit':1}", "failed to parse throttle period");
    is_refused("'priority':5", "`priority` of function 'f' must be an object, got number");
    is_refused("'cancel':[1]", "must be an object");
    is_refused("'triggers':{}", "must be an array");
    is_refused("'retries':1.5", "must be a whole number");
}

/* ---- problems, each with its text ---- */

Test(sdk_registration, names_and_steps)
{
    cr_assert(eq(int, decode("{'appName':'a','functions':[{'id':'f','name':''," STEPS "}]}"), SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "A function name is required");
    cr_assert(eq(int, decode("{'appName':'a','functions':[{'id':'f','name':'F','steps':{}}]}"), SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "Functions must contain one step");
    cr_assert(eq(int, decode("{'appName':'a','functions':[{'id':'f','name':'F','steps':{'a':{'name':'a'},'b':{'name':'b'}}}]}"),
                 SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "Functions must contain one step");
    cr_assert(eq(int,
                 decode("{'appName':'a','functions':[{'id':'f','name':'F','steps':{'step':{'name':'','runtime':{'url':'http://h/x'}}}}]}"),
                 SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "All steps must have a name");
    cr_assert(eq(int, decode("{'appName':'a','functions':[{'id':'f','name':'F','steps':{'step':{'name':'s','runtime':{}}}}]}"),
                 SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "No SDK URL provided for function 'F'");
    cr_assert(eq(int,
                 decode("{'appName':'a','functions':[{'id':'f','name':'F','steps':{'step':{'name':'s','runtime':{'url':'ftp://h/x'}}}}]}"),
                 SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "Non-supported step schema: ftp");
}

Test(sdk_registration, triggers)
{
    accepts("'triggers':[]");
    accepts("'triggers':[{'event':'x/y'},{'event':'x/y','expression':'event.data.a == 1'}]");
    has_problem("'triggers':[{'event':''}]", "An event trigger must specify an event name", "config_invalid");
    has_problem("'triggers':[{}]", "A trigger must supply an event name or a cron schedule", "config_invalid");
    has_problem("'triggers':[{'event':'a','cron':'* * * * *'}]", "A trigger cannot have both an event and a cron trigger",
                "config_invalid");
    has_problem("'triggers':[{'event':'a'},{'event':'a'}]", "duplicate trigger event: a", "config_invalid");
    has_problem("'triggers':[{'event':'x/y','expression':'event.data.a =='}]", "invalid trigger expression on 'x/y': ", "config_invalid");
    has_problem(
        "'triggers':[{'event':'1'},{'event':'2'},{'event':'3'},{'event':'4'},{'event':'5'},{'event':'6'},{'event':'7'},{'event':'8'},"
        "{'event':'9'},{'event':'10'},{'event':'11'}]",
        "This function exceeds the max number of triggers: 10", "config_invalid");
    char text[600];
    snprintf(text, sizeof(text), "'triggers':[{'event':'%0256d'}]", 7);
    has_problem(text, "event name is too long. maximum length is 255 characters", "event_name_invalid");
    snprintf(text, sizeof(text), "'triggers':[{'event':'%0255d'}]", 7);
    accepts(text);
}

Test(sdk_registration, crons)
{
    accepts("'triggers':[{'cron':'*/5 * * * *','jitter':'30s'}]");
    accepts("'triggers':[{'cron':'TZ=Europe/Paris 0 12 1-5,7 jan-MAR sun'}]");
    accepts("'triggers':[{'cron':'CRON_TZ=UTC  0 0/2 ? * 0-6','jitter':''}]");
    static const char *const bad[] = {"every day", "* * * *",     "* * * * * *", "@daily",        "60 * * * *",
                                      "* * * * 7", "*/0 * * * *", "TZ=UTC",      "TZ= * * * * *", "5-1 * * * *"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[128];
        char message[128];
        snprintf(text, sizeof(text), "'triggers':[{'cron':'%s'}]", bad[i]);
        snprintf(message, sizeof(message), "'%s' isn't a valid cron schedule", bad[i]);
        has_problem(text, message, "schedule_invalid");
    }
    has_problem("'triggers':[{'cron':'* * * * *'},{'cron':'* * * * *','jitter':'5s'}]", "duplicate cron expression: * * * * *",
                "config_invalid");
    has_problem("'triggers':[{'cron':'* * * * *'},{'cron':'* * * * *'}]", "duplicate trigger cron: * * * * *", "config_invalid");
    has_problem("'triggers':[{'cron':'* * * * *','jitter':'soon'}]", "'soon' isn't a valid jitter duration", "config_invalid");
    has_problem("'triggers':[{'cron':'* * * * *','jitter':'-1s'}]", "cron jitter must be greater than or equal to zero", "config_invalid");
    has_problem("'triggers':[{'cron':'* * * * *','jitter':'500ms'}]", "cron jitter must be at least 1s", "config_invalid");
    has_problem("'triggers':[{'cron':'* * * * *','jitter':'6m'}]", "cron jitter must be less than or equal to 5m0s", "config_invalid");
    accepts("'triggers':[{'cron':'* * * * *','jitter':'5m'}]");
}

Test(sdk_registration, concurrency)
{
    accepts("'concurrency':3");
    accepts("'concurrency':'what'");
    accepts("'concurrency':{'limit':3,'key':'event.data.u'}");
    accepts("'concurrency':{'fn':[{'limit':1,'key':'event.data.k','scope':'Fn','hash':''}],'step':[{'limit':2,'scope':'Fn'}]}");
    has_problem("'concurrency':[{'limit':1},{'limit':2},{'limit':3}]",
                "There are more concurrency limits specified than the allowed max of: 2", "concurrency_limit_invalid");
    has_problem("'concurrency':{'limit':1,'scope':'env'}", "A concurrency key must be specified for Env scoped limits", "config_invalid");
    has_problem("'concurrency':{'limit':1,'scope':'ACCOUNT'}", "A concurrency key must be specified for Account scoped limits",
                "config_invalid");
    has_problem("'concurrency':{'limit':1,'key':'event.'}", "Invalid concurrency key 'event.': ", "config_invalid");
    has_problem("'concurrency':{'fn':[{'limit':1},{'limit':1}]}", "Only one function concurrency limit is allowed",
                "concurrency_limit_invalid");
    has_problem("'concurrency':{'fn':[{'limit':0}]}", "function concurrency limit must be > 0", "config_invalid");
    has_problem("'concurrency':{'fn':[{'limit':1,'key':'event.'}]}", "invalid function concurrency key 'event.': ", "config_invalid");
    has_problem("'concurrency':{'fn':[{'limit':1,'scope':'app'}]}", "app-scoped function concurrency cannot be set by users",
                "config_invalid");
    has_problem("'concurrency':{'fn':[{'limit':1,'scope':'env'}]}", "invalid function concurrency scope: env", "config_invalid");
}

Test(sdk_registration, batches)
{
    accepts("'batchEvents':{'maxSize':2,'timeout':'1s'}");
    accepts("'batchEvents':{'maxSize':2,'timeout':'1d'}");
    has_problem("'batchEvents':{'maxSize':1,'timeout':'5s'}", "batch size cannot be smaller than 2: 1", "batch_size_invalid");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'soon'}", "invalid timeout string: soon", "batch_timeout_invalid");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'500ms'}", "batch timeout should be more than 1s", "batch_timeout_invalid");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'5s','key':'event.'}",
                "batch key expression is invalid: ", "batch_key_expression_invalid");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'5s','if':'event.'}", "conditional batch expression is invalid ",
                "batch_if_expression_invalid");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'5s'},'cancel':[{'event':'x/stop'}]",
                "Batching and cancellation are mutually exclusive", "combo_unsupported");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'5s'},'debounce':{'period':'5s'}", "Batching and debouncing are mutually exclusive",
                "combo_unsupported");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'5s'},'singleton':{}", "Batching and singletons are mutually exclusive",
                "combo_unsupported");
    has_problem("'batchEvents':{'maxSize':2,'timeout':'5s'},'priority':{'run':'1'}",
                "A function cannot specify Priority.Run and Batch together", "config_invalid");
}

Test(sdk_registration, the_other_limits)
{
    accepts("'rateLimit':{'limit':10,'period':'24h','key':'event.data.k'}");
    accepts("'debounce':{'period':'7d','key':'','timeout':'nonsense'}");
    accepts("'timeouts':{'start':'nonsense'}");
    accepts("'idempotency':'event.data.id','rateLimit':{'limit':0}");
    has_problem("'priority':{'run':'event.'}", "Priority.Run expression is invalid: ", "config_invalid");
    has_problem("'debounce':{'period':'100ms'}", "The debounce period of '100ms' is less than the min of: 1s", "config_invalid");
    has_problem("'debounce':{'period':'8d'}", "The debounce period of '8d' is greater than the max of: 168h0m0s", "config_invalid");
    has_problem("'debounce':{'period':'x'}", "The debounce period of 'x' is invalid: ", "config_invalid");
    has_problem("'debounce':{'period':'5s','key':'event.'}", "Debounce expression is invalid: ", "config_invalid");
    has_problem("'rateLimit':{'limit':0,'period':'1h'}", "limit must be greater than 0", "config_invalid");
    has_problem("'rateLimit':{'limit':1}", "period must be specified", "config_invalid");
    has_problem("'rateLimit':{'limit':1,'period':'48h'}", "period must be less than 24h0m0s", "config_invalid");
    has_problem("'rateLimit':{'limit':1,'period':'x'}", "failed to parse time duration: ", "config_invalid");
    has_problem("'idempotency':'event.'", "key is invalid: ", "config_invalid");
    has_problem("'throttle':{'limit':1,'period':'5s','key':'event.'}", "Invalid throttle key 'event.': ", "config_invalid");
    has_problem("'singleton':{'mode':'SKIP','key':'event.'}", "Invalid singleton key 'event.': ", "config_invalid");
}

Test(sdk_registration, cancellation)
{
    accepts("'cancel':[{'event':'x/stop','timeout':'2030-01-01T00:00:00.000Z','if':'event.data.id == async.data.id'}]");
    has_problem("'cancel':[{'event':'1'},{'event':'2'},{'event':'3'},{'event':'4'},{'event':'5'},{'event':'6'}]",
                "This function exceeds the max number of cancellation events: 5", "config_invalid");
    has_problem("'cancel':[{'event':'x','if':'event.data.a + 1 == async.data.b'}]",
                "Cancellation expression is invalid: ", "config_invalid");
}

Test(sdk_registration, all_problems_of_all_functions_are_collected)
{
    cr_assert(eq(int,
                 decode("{'appName':'a','functions':[{'id':'f','name':'F'," STEPS ",'batchEvents':{'maxSize':1,'timeout':'x'}},"
                        "{'id':'good','name':'G'," STEPS "},{'id':'g','name':'','steps':{}}]}"),
                 SG_INVALID_CONFIG));
    cr_assert(eq(sz, report.problems.count, 4));
    assert_text(report.problems.items[3].function, "g");
}

Test(sdk_registration, one_id_twice_is_a_problem)
{
    cr_assert(eq(int, decode("{'appName':'a','functions':[{'id':'f','name':'F'," STEPS "},{'id':'f','name':'G'," STEPS "}]}"),
                 SG_INVALID_CONFIG));
    assert_text(report.problems.items[0].message, "The function id 'f' is used twice");
}

Test(sdk_registration, vulnerable_versions_are_warned_about)
{
    cr_assert(eq(int, decode("{'appName':'a','sdk':'js:v3.53.1','functions':[]}"), SG_OK));
    assert_contains(report.warning, "CVE-2026-42047");
    cr_assert(eq(int, decode("{'appName':'a','sdk':'js:v3.54.2','functions':[]}"), SG_OK));
    cr_assert(eq(sz, report.warning.len, 0));
    cr_assert(eq(int, decode("{'appName':'a','sdk':'js:v3.21.9','functions':[]}"), SG_OK));
    cr_assert(eq(sz, report.warning.len, 0));
}

Test(sdk_registration, cancel_on_condition_hits_only_the_matching_run)
{
    accepts("'cancel':[{'event':'x/stop','if':'event.data.a == async.data.a'}]");
    cr_assert(eq(sz, report.warning.len, 0));
    accepts("'cancel':[{'event':'x/stop','if':'event.data.a == async.data.a'},{'event':'x/end'}]");
    assert_contains(report.warning, "has an entry of cancelOn without a condition: \"x/end\" cancels all of its runs");
}

/* ---- the URL ---- */

static bool configured(void *context, struct sg_str app_name, struct sg_str announced_url, struct sg_arena *into, struct sg_str *url)
{
    assert_text(app_name, "shop");
    assert_text(announced_url, "http://h:3000/x");
    *url = sg_arena_copy(into, sg_str_from(context));
    return true;
}

Test(sdk_registration, configured_url_wins_over_announced_url)
{
    options = (struct sg_registration_options){configured, "https://app.example.com/x"};
    accepts("");
    assert_text(registration.url, "https://app.example.com/x");
    assert_text(report.announced_url, "http://h:3000/x");
    assert_contains(registration.functions[0].config, json("'url':'https://app.example.com/x?fnId=f&stepId=step'"));
    assert_contains(report.warning, "announces http://h:3000/x, but https://app.example.com/x is configured");
}

/* ---- in-band ---- */

Test(sdk_registration, an_in_band_answer)
{
    static const char answer[] = "{'app_id':'my-app','capabilities':{'trust_probe':'v1'},'env':null,'framework':'cloudflare-pages','"
                                 "functions':[{'id':'my-app-simple',"
                                 "'name':'simple','triggers':[{'event':'demo/ev'}]," STEPS
                                 "}],'inspection':{'mode':'cloud'},'sdk_author':'inngest','sdk_language':'js',"
                                 "'sdk_version':'4.24.0','sdk':'js:v4.24.0','url':'https://public.example.org/custom/path?x=1'}";
    cr_assert(eq(int, sg_registration_decode_in_band(sg_str_from(json(answer)), NULL, &arena, &registration, &report, &error), SG_OK));
    assert_text(registration.app_name, "my-app");
    assert_text(registration.sdk, "js:v4.24.0");
    assert_text(registration.sync_kind, "in_band");
    assert_text(registration.url, "https://public.example.org/custom/path?x=1");
    cr_assert(eq(sz, registration.function_count, 1));
}

Test(sdk_registration, python_and_go_have_no_sdk_member)
{
    cr_assert(
        eq(int,
           sg_registration_decode_in_band(sg_str_from(json("{'app_id':'a','sdk_language':'py','sdk_version':'0.5.18','url':'http://h/x'}")),
                                          NULL, &arena, &registration, &report, &error),
           SG_OK));
    assert_text(registration.sdk, "py:v0.5.18");
}

Test(sdk_registration, an_out_of_band_answer_is_no_registration)
{
    cr_assert(eq(int,
                 sg_registration_decode_in_band(sg_str_from(json("{'message':'Successfully registered','modified':true}")), NULL, &arena,
                                                &registration, &report, &error),
                 SG_INVALID_ARGUMENT));
}

Test(registration, names_the_settings_that_have_no_effect_once_each)
{
    struct sg_arena room;
    struct sg_str text;
    struct sg_function_in functions[] = {
        {.slug = SG_STR("a-plain"), .config = SG_STR("{\"cancel\":[],\"concurrency\":null,\"triggers\":[{\"event\":\"x\"}]}")},
        {.slug = SG_STR("a-busy"), .config = SG_STR("{\"concurrency\":[{\"limit\":2}],\"idempotency\":\"event.data.id\",\"triggers\":[]}")},
        {.slug = SG_STR("a-nightly"), .config = SG_STR("{\"concurrency\":[{\"limit\":1}],\"triggers\":[{\"cron\":\"0 3 * * *\"}]}")},
    };
    struct sg_registration asked = {.functions = functions, .function_count = 3};
    sg_arena_init(&room);

    cr_assert(sg_registration_unapplied(&asked, &room, &text));

    cr_assert(sg_str_eq(text, SG_STR("concurrency (a-busy), idempotency (a-busy), cron (a-nightly)")), "%.*s", SG_FMT(text));
    sg_arena_free(&room);
}
