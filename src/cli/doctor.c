/*
 * `stepgate doctor`: whether a running stepgate and its apps are well, and if not, what to do. Exit code 0: well. Usable as the health command of a
 * container.
 *
 * The model. Most first hours are lost because two sides disagree about a mode, a key, an address or the time (reference/11 §1, §2). So both are asked:
 * the gateway what it is and what it knows of its apps, each app (doctor_apps.c) what it is. Each disagreement becomes one finding that says which side
 * has what and the setting that changes it.
 *
 * What it never does: change anything on either side but for a sync of an app that does not answer from here, or print a key.
 */
#include "cli/doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <stepgate/json.h>

#include "base/check.h"
#include "cli/command.h"
#include "cli/watch.h"

/* Signatures are refused beyond five minutes (reference/01 §3.2); a clock that is this far off will get there. */
#define CLOCK_TOLERANCE_MS 30000
/* Below this little room the disk is full before anybody has looked. */
#define FREE_BYTES_MIN ((int64_t)256 * 1024 * 1024)
/* Due work that waits for longer than this waits for something: connections, the disk. */
#define LAG_MS_MAX 5000
#define MIB ((int64_t)1024 * 1024)

static bool check_alive(struct sg_doctor *doctor);
static void check_ready(struct sg_doctor *doctor);
static bool ask_server(struct sg_doctor *doctor, struct sg_str *server);
static void report_no_access(struct sg_doctor *doctor);
static void check_server(struct sg_doctor *doctor, struct sg_str server);
static void check_keys(struct sg_doctor *doctor, struct sg_str server);
static void check_clock(struct sg_doctor *doctor, struct sg_str server);
static void check_data(struct sg_doctor *doctor, struct sg_str data);
static void check_work(struct sg_doctor *doctor);
static int64_t row(struct sg_str rows, struct sg_str name);

int sg_command_doctor(struct sg_options *options)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_doctor doctor = {
        .is_json = sg_options_bool(options, SG_OPTION_JSON), .timeout_ms = sg_options_int(options, SG_OPTION_TIMEOUT), .is_well = true};
    const char *key = sg_options_text(options, SG_OPTION_SIGNING_KEY);
    const char *url = options->operand_count > 0 ? options->operands[0] : sg_options_text(options, SG_OPTION_URL);
    if (options->operand_count > 1)
        return sg_complain("doctor looks at one stepgate: stepgate doctor http://127.0.0.1:8288");
    if (key != NULL) {
        if (sg_signing_key_parse(sg_str_from(key), "the signing key", &doctor.key, &error) != SG_OK)
            return sg_complain("%s", error.message);
        doctor.has_key = true;
    }
    if (sg_http_open(&doctor.http, url, key, doctor.timeout_ms, &error) != SG_OK)
        return sg_complain("%s", error.message);
    sg_arena_init(&doctor.arena);
    struct sg_str server;
    if (check_alive(&doctor)) {
        check_ready(&doctor);
        if (ask_server(&doctor, &server)) {
            check_server(&doctor, server);
            check_keys(&doctor, server);
            check_clock(&doctor, server);
            check_data(&doctor, sg_json_get(server, SG_STR("data")));
            check_work(&doctor);
            sg_doctor_apps(&doctor);
        }
    }
    sg_arena_free(&doctor.arena);
    sg_http_close(&doctor.http);
    if (doctor.has_key)
        sg_signing_key_wipe(&doctor.key);
    return doctor.is_well ? 0 : 1;
}

void sg_doctor_report(struct sg_doctor *doctor, bool is_good, const char *what, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    doctor->is_well = doctor->is_well && is_good;
    if (!doctor->is_json) {
        printf("• %s ... %s%s%s\n", what, is_good ? "OK" : "FAIL", text[0] == '\0' ? "" : is_good ? "  " : "\n    ", text);
        return;
    }
    struct sg_buf line = {0};
    sg_buf_append(&line, SG_STR("{\"check\":"));
    sg_json_quote(&line, sg_str_from(what));
    sg_buf_printf(&line, ",\"is_ok\":%s,\"text\":", is_good ? "true" : "false");
    sg_json_quote(&line, sg_str_from(text));
    if (!line.is_failed)
        printf("%.*s}\n", (int)line.len, line.ptr);
    sg_buf_free(&line);
}

static bool check_alive(struct sg_doctor *doctor)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    int http_status = 0;
    enum sg_status status = sg_http_request(&doctor->http, "/health", NULL, &http_status, &body, &error);
    sg_buf_free(&body);
    if (status != SG_OK)
        sg_doctor_report(doctor, false, "reachable", "%s", error.message);
    else if (http_status != 200)
        sg_doctor_report(doctor, false, "reachable", "GET /health gave status %d: is this a stepgate, or something before it?",
                         http_status);
    else
        sg_doctor_report(doctor, true, "reachable", "%s", doctor->http.base_url);
    return status == SG_OK && http_status == 200;
}

static void check_ready(struct sg_doctor *doctor)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    struct sg_buf canonical = {0};
    struct sg_str why = SG_STR("");
    int http_status = 0;
    if (sg_http_request(&doctor->http, "/ready", NULL, &http_status, &body, &error) == SG_OK &&
        sg_json_canonicalize(sg_buf_str(&body), NULL, &canonical, NULL) == SG_OK)
        (void)sg_json_to_str(sg_json_get(sg_buf_str(&canonical), SG_STR("error")), &doctor->arena, &why);
    if (http_status == 200)
        sg_doctor_report(doctor, true, "ready", "%s", "");
    else
        sg_doctor_report(doctor, false, "ready", "GET /ready gave status %d: %.*s", http_status, SG_FMT(why));
    sg_buf_free(&canonical);
    sg_buf_free(&body);
}

/* What the gateway says of itself, in the arena; false if it does not, which has been reported. */
static bool ask_server(struct sg_doctor *doctor, struct sg_str *server)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf body = {0};
    struct sg_buf canonical = {0};
    int http_status = 0;
    *server = SG_STR_NULL;
    enum sg_status status = sg_http_request(&doctor->http, "/v1/admin/server", NULL, &http_status, &body, &error);
    if (status == SG_OK && sg_json_canonicalize(sg_buf_str(&body), NULL, &canonical, NULL) == SG_OK && http_status == 200)
        *server = sg_arena_copy(&doctor->arena, sg_json_get(sg_buf_str(&canonical), SG_STR("data")));
    sg_buf_free(&canonical);
    sg_buf_free(&body);
    if (sg_json_kind_of(*server) == SG_JSON_OBJECT)
        return true;
    if (http_status == 401)
        report_no_access(doctor);
    else if (status != SG_OK)
        sg_doctor_report(doctor, false, "server", "%s", error.message);
    else
        sg_doctor_report(
            doctor, false, "server",
            "GET /v1/admin/server gave status %d: what answers here is not a stepgate of this version; --url says where to look",
            http_status);
    return false;
}

static void report_no_access(struct sg_doctor *doctor)
{
    char ours[SG_KEY_FINGERPRINT_LEN + 1];
    if (!doctor->has_key) {
        sg_doctor_report(
            doctor, false, "keys",
            "The gateway has a signing key and tells nothing without it: give it to doctor as --signing-key or INNGEST_SIGNING_KEY.");
        return;
    }
    sg_signing_key_fingerprint(&doctor->key, ours);
    sg_doctor_report(
        doctor, false, "keys",
        "The gateway has another signing key than the one given here (fingerprint %s). Its log names the fingerprint of its own: look for "
        "\"refused a request\".",
        ours);
}

static void check_server(struct sg_doctor *doctor, struct sg_str server)
{
    struct sg_str kind = SG_STR("");
    struct sg_str version = SG_STR("");
    (void)sg_json_to_str(sg_json_get(server, SG_STR("kind")), &doctor->arena, &kind);
    (void)sg_json_to_str(sg_json_get(server, SG_STR("version")), &doctor->arena, &version);
    (void)sg_json_to_bool(sg_json_get(server, SG_STR("is_dev")), &doctor->is_dev);
    (void)snprintf(doctor->kind, sizeof(doctor->kind), "%.*s", SG_FMT(kind));
    sg_doctor_report(doctor, true, "mode", "stepgate %s, to apps it says \"%s\"", doctor->is_dev ? "dev" : "start", doctor->kind);
    if (sg_str_eq(version, sg_str_from(sg_version())))
        sg_doctor_report(doctor, true, "version", "%s", sg_version());
    else
        sg_doctor_report(doctor, false, "version", "The gateway is version %.*s, this doctor %s: use the doctor that came with it.",
                         SG_FMT(version), sg_version());
}

static void check_keys(struct sg_doctor *doctor, struct sg_str server)
{
    char text[256] = "";
    char ours[SG_KEY_FINGERPRINT_LEN + 1] = "";
    size_t len = 0;
    int64_t event_keys = 0;
    bool is_first = true;
    bool is_fallback = false;
    struct sg_json_iter iter = sg_json_iter(sg_json_get(server, SG_STR("signing_keys")));
    struct sg_str element;
    if (doctor->has_key)
        sg_signing_key_fingerprint(&doctor->key, ours);
    while (sg_json_next_element(&iter, &element)) {
        struct sg_str fingerprint = SG_STR("");
        (void)sg_json_to_str(element, &doctor->arena, &fingerprint);
        if (len < sizeof(text))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s", is_first ? "signs with " : ", also accepts ",
                                    SG_FMT(fingerprint));
        is_fallback = is_fallback || (!is_first && sg_str_eq(fingerprint, sg_str_from(ours)));
        is_first = false;
        doctor->is_signed = true;
    }
    (void)sg_json_to_int(sg_json_get(server, SG_STR("event_key_count")), &event_keys);
    if (is_fallback)
        sg_doctor_report(doctor, false, "keys",
                         "%s; the key given here (%s) is the one that is being replaced: give the new one to whoever still has it.", text,
                         ours);
    else
        sg_doctor_report(doctor, true, "keys", "%s; event keys: %" PRId64 "%s",
                         doctor->is_signed ? text : "no signing key: calls are not signed", event_keys,
                         event_keys == 0 ? " (any is accepted)" : "");
}

static void check_clock(struct sg_doctor *doctor, struct sg_str server)
{
    struct timespec now;
    int64_t theirs_ms;
    if (!sg_json_to_int(sg_json_get(server, SG_STR("now_ms")), &theirs_ms) || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return;
    doctor->ahead_ms = theirs_ms - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    bool is_ahead = doctor->ahead_ms > 0;
    int64_t off_ms = is_ahead ? doctor->ahead_ms : -doctor->ahead_ms;
    if (off_ms <= CLOCK_TOLERANCE_MS)
        sg_doctor_report(doctor, true, "clock", "%s", "");
    else
        sg_doctor_report(doctor, false, "clock",
                         "The gateway's clock is %" PRId64
                         " s %s this machine's. Apps refuse signatures that are five minutes off: let both machines "
                         "follow a time server (chrony, systemd-timesyncd).",
                         off_ms / 1000, is_ahead ? "ahead of" : "behind");
}

static void check_data(struct sg_doctor *doctor, struct sg_str data)
{
    struct sg_str directory = SG_STR("");
    struct sg_str kind = SG_STR("");
    bool is_ephemeral = false;
    bool is_remote = false;
    bool is_known = false;
    int64_t free_bytes = 0;
    (void)sg_json_to_str(sg_json_get(data, SG_STR("directory")), &doctor->arena, &directory);
    (void)sg_json_to_str(sg_json_get(data, SG_STR("file_system")), &doctor->arena, &kind);
    (void)sg_json_to_bool(sg_json_get(data, SG_STR("is_ephemeral")), &is_ephemeral);
    (void)sg_json_to_bool(sg_json_get(data, SG_STR("is_remote")), &is_remote);
    (void)sg_json_to_bool(sg_json_get(data, SG_STR("is_known")), &is_known);
    (void)sg_json_to_int(sg_json_get(data, SG_STR("free_bytes")), &free_bytes);
    if (!is_known)
        sg_doctor_report(doctor, false, "data directory", "%.*s cannot be looked at: is it still there?", SG_FMT(directory));
    else if (is_ephemeral && !doctor->is_dev)
        sg_doctor_report(
            doctor, false, "data directory",
            "%.*s is on %.*s: what it holds is gone after a reboot, or with the container. Give --data-dir a disk or a mounted volume.",
            SG_FMT(directory), SG_FMT(kind));
    else if (is_remote)
        sg_doctor_report(doctor, false, "data directory",
                         "%.*s is on another machine (%.*s), where locks and syncs may not hold. Give --data-dir a local disk.",
                         SG_FMT(directory), SG_FMT(kind));
    else if (free_bytes < FREE_BYTES_MIN)
        sg_doctor_report(doctor, false, "data directory",
                         "%.*s has %" PRId64 " MiB left. Free space, or keep less: --retention, --retention-bytes.", SG_FMT(directory),
                         free_bytes / MIB);
    else
        sg_doctor_report(doctor, true, "data directory", "%.*s, %" PRId64 " MiB free", SG_FMT(directory), free_bytes / MIB);
}

/* Whether what is due is done, and what start-up found that it could not use (reference/11 §6). */
static void check_work(struct sg_doctor *doctor)
{
    struct sg_buf data = {0};
    if (!sg_watch_get(&doctor->http, "/v1/admin/status", &data)) {
        sg_buf_free(&data);
        doctor->is_well = false;
        return;
    }
    struct sg_str rows = sg_json_get(sg_buf_str(&data), SG_STR("rows"));
    int64_t damaged = row(rows, SG_STR("engine.damaged_runs"));
    int64_t lag_ms = row(rows, SG_STR("queue.due_lag_ms"));
    if (damaged > 0)
        sg_doctor_report(
            doctor, false, "runs",
            "%" PRId64
            " runs could not be loaded since the start and were failed: the log names each. Check the disk, and restore a backup "
            "if they are needed.",
            damaged);
    if (lag_ms > LAG_MS_MAX)
        sg_doctor_report(doctor, false, "queue",
                         "Work is %" PRId64 " s late: %" PRId64 " due, %" PRId64
                         " calls wait for a connection. Give it more calls (--max-calls, "
                         "--max-connections-per-app), or the apps more room.",
                         lag_ms / 1000, row(rows, SG_STR("queue.due")), row(rows, SG_STR("calls.waiting")));
    if (damaged <= 0 && lag_ms <= LAG_MS_MAX)
        sg_doctor_report(doctor, true, "runs",
                         "%" PRId64 " live, %" PRId64 " jobs, %" PRId64 " calls in flight, %" PRId64 " stray records dropped at start",
                         row(rows, SG_STR("engine.runs_live")), row(rows, SG_STR("queue.jobs")), row(rows, SG_STR("calls.in_flight")),
                         row(rows, SG_STR("engine.stray_records")));
    sg_buf_free(&data);
}

/* The value of that row; 0 if there is none. */
static int64_t row(struct sg_str rows, struct sg_str name)
{
    struct sg_json_iter iter = sg_json_iter(rows);
    struct sg_str element;
    int64_t value = 0;
    while (sg_json_next_element(&iter, &element))
        if (sg_json_str_eq(sg_json_get(element, SG_STR("name")), name) && sg_json_to_int(sg_json_get(element, SG_STR("value")), &value))
            return value;
    return 0;
}
