/*
 * What the answer to a sync PUT means.
 *
 * The model. A sync succeeds in one of two ways: the answer itself is the registration (in-band), or the app has posted one to
 * us while the PUT was open. Everything else is a failure with a code of the protocol and a sentence that says which side is in
 * which mode, who refused what, and the setting that changes it. Users who read it should not have to read source code
 * (reference/11 §1).
 *
 * In particular a 200 proves nothing: an SDK that was configured for another server has registered there and says so with the same words.
 */
#include "sdk/judge.h"

#include <string.h>

#include <stepgate/json.h>

#include "sdk/answer_explain.h"

#define QUOTED_BYTES_MAX 300 /* of an app's answer, in a sentence */

static struct sg_str quotable(struct sg_str text)
{
    text = sg_str_trim(text);
    if (text.len > QUOTED_BYTES_MAX)
        text.len = QUOTED_BYTES_MAX;
    return text;
}

/* The app's own words: `message` or `error` of its JSON, else the text itself. */
static bool app_words(struct sg_str body, struct sg_arena *arena, struct sg_str *words)
{
    static const char *const keys[] = {"message", "error", "code"};
    *words = SG_STR("");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct sg_str value = sg_json_get(sg_str_trim(body), sg_str_from(keys[i]));
        if (sg_json_kind_of(value) == SG_JSON_STRING) {
            if (sg_json_to_str(value, arena, words) == SG_NO_MEMORY)
                return false;
            *words = quotable(*words);
            return true;
        }
    }
    *words = quotable(body);
    return true;
}

static bool contains(struct sg_str text, const char *part)
{
    return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static bool fail(struct sg_verdict *verdict, const char *code, struct sg_str text)
{
    *verdict = (struct sg_verdict){SG_PUT_FAILED, code, text};
    return text.ptr != NULL;
}

static bool judge_failure(const struct sg_put_result *result, struct sg_arena *arena, struct sg_verdict *verdict)
{
    struct sg_str detail = quotable(result->failure_detail);
    if (result->is_tls)
        return fail(verdict, "unsupported_protocol",
                    sg_arena_printf(arena,
                                    "The app could not be reached over TLS: %.*s. If it speaks plain HTTP, register its URL with http://.",
                                    SG_FMT(detail)));
    return fail(verdict, "unreachable",
                sg_arena_printf(arena, "The app could not be reached: %.*s. Is it running, and is this its address?", SG_FMT(detail)));
}

/* Somebody said "Expected server kind X, got Y": two servers or two modes are mixed up. */
static bool judge_kind_mismatch(const struct sg_put_result *result, struct sg_str words, struct sg_arena *arena, struct sg_verdict *verdict)
{
    bool is_dev = strcmp(result->server_kind, "dev") == 0;
    return fail(
        verdict, "server_kind_mismatch",
        is_dev ? sg_arena_printf(
                     arena,
                     "The app answered \"%.*s\": this gateway runs in dev mode, the app in production mode (it registers with a production "
                     "server). Set INNGEST_DEV=%s in the app.",
                     SG_FMT(words), result->base_url)
               : sg_arena_printf(arena,
                                 "The app answered \"%.*s\": this gateway runs in production mode, the app in dev mode. Set INNGEST_DEV=0, "
                                 "INNGEST_BASE_URL=%s and INNGEST_SIGNING_KEY in the app.",
                                 SG_FMT(words), result->base_url));
}

static bool judge_unauthorized(const struct sg_put_result *result, struct sg_arena *arena, struct sg_verdict *verdict)
{
    struct sg_str sentence;
    if (!sg_explain_signature("sync", result->key_fingerprint, result->sent_bytes, result->headers.values[SG_HEADER_DATE],
                              result->wall_now_ms, arena, &sentence))
        return false;
    return fail(verdict, "unauthorized", sentence);
}

static bool judge_500(const struct sg_put_result *result, struct sg_str words, struct sg_arena *arena, struct sg_verdict *verdict)
{
    if (sg_json_str_eq(sg_json_get(result->body, SG_STR("code")), SG_STR("internal_server_error")))
        return fail(
            verdict, "internal_server_error",
            sg_arena_printf(
                arena,
                "The app is in production mode and has no signing key, so it answers nothing. For development set INNGEST_DEV=%s in the "
                "app; in production set INNGEST_SIGNING_KEY to the gateway's key.",
                result->base_url));
    if (contains(words, "Invalid signature"))
        return judge_unauthorized(result, arena, verdict);
    if (contains(words, "Failed to register"))
        return fail(
            verdict, "internal_server_error",
            sg_arena_printf(
                arena,
                "The app could not register: \"%.*s\". It tried a server that it cannot reach: set INNGEST_BASE_URL=%s in the app (in dev "
                "mode: INNGEST_DEV=%s).",
                SG_FMT(words), result->base_url, result->base_url));
    return fail(verdict, "internal_server_error", sg_arena_printf(arena, "The app answered HTTP 500: %.*s", SG_FMT(words)));
}

static bool judge_status(const struct sg_put_result *result, struct sg_str words, struct sg_arena *arena, struct sg_verdict *verdict)
{
    switch (result->http_status) {
    case 400:
        if (contains(words, "function is invalid"))
            return fail(verdict, "invalid_function", sg_arena_printf(arena, "The registration was refused: %.*s", SG_FMT(words)));
        if (contains(words, "No functions"))
            return fail(verdict, "no_functions", sg_arena_printf(arena, "The app serves no functions: %.*s", SG_FMT(words)));
        if (contains(words, "HTTPS server"))
            return fail(verdict, "unsupported_protocol",
                        sg_arena_printf(arena, "The app speaks HTTPS, its URL says http://: %.*s", SG_FMT(words)));
        return fail(verdict, "bad_request", sg_arena_printf(arena, "The app answered HTTP 400: %.*s", SG_FMT(words)));
    case 401:
        return judge_unauthorized(result, arena, verdict);
    case 403:
        return fail(verdict, "forbidden",
                    sg_arena_printf(arena, "The app, or something in front of it, answered HTTP 403: %.*s", SG_FMT(words)));
    case 404:
        return fail(
            verdict, "url_not_found",
            sg_arena_printf(arena, "Nothing is served at this path (HTTP 404). The usual one is /api/inngest; a trailing slash matters."));
    case 405:
        return fail(
            verdict, "method_not_allowed",
            sg_arena_printf(arena, "The app does not take PUT at this path (HTTP 405): pass PUT, GET and POST on to the SDK's handler."));
    case 500:
        return judge_500(result, words, arena, verdict);
    default:
        return fail(verdict, "http_not_ok", sg_arena_printf(arena, "The app answered HTTP %d: %.*s", result->http_status, SG_FMT(words)));
    }
}

static bool judge_success(const struct sg_put_result *result, struct sg_arena *arena, struct sg_verdict *verdict)
{
    bool is_sdk = result->headers.values[SG_HEADER_SDK].len > 0 || result->headers.values[SG_HEADER_SDK_HANDLED].len > 0;
    if (!is_sdk)
        return fail(verdict, "not_sdk",
                    sg_arena_printf(arena, "Something answered HTTP %d, but not an Inngest SDK: is the path right?", result->http_status));
    bool is_dev = strcmp(result->server_kind, "dev") == 0;
    return fail(
        verdict, "registered_elsewhere",
        is_dev
            ? sg_arena_printf(
                  arena,
                  "The app says that it has registered, but not here: it is set to another server. Set INNGEST_DEV=%s in the app (in a "
                  "Worker also in the client: new Inngest({ baseUrl: \"%s\" })).",
                  result->base_url, result->base_url)
            : sg_arena_printf(
                  arena,
                  "The app says that it has registered, but not here: it is set to another server. Set INNGEST_BASE_URL=%s in the app (in "
                  "a Worker also in the client: new Inngest({ baseUrl: \"%s\" })).",
                  result->base_url, result->base_url));
}

/*
 * It has registered here. An SDK in production mode does so for anybody, but leaves its headers out if the request was not
 * signed with its key (reference/01 §2.4): then it will refuse every call.
 */
static bool judge_registered(const struct sg_put_result *result, struct sg_arena *arena, struct sg_verdict *verdict)
{
    bool is_refusing = result->headers.values[SG_HEADER_SDK].len == 0 && result->headers.values[SG_HEADER_SDK_HANDLED].len > 0;
    if (!is_refusing)
        return true;
    struct sg_str sentence;
    if (!sg_explain_signature("sync", result->key_fingerprint, result->sent_bytes, result->headers.values[SG_HEADER_DATE],
                              result->wall_now_ms, arena, &sentence))
        return false;
    verdict->code = "unauthorized";
    verdict->text = sg_arena_printf(arena, "The app has registered, but it will refuse every call. %.*s", SG_FMT(sentence));
    return verdict->text.ptr != NULL;
}

bool sg_put_judge(const struct sg_put_result *result, bool is_in_band, struct sg_arena *arena, struct sg_verdict *verdict)
{
    *verdict = (struct sg_verdict){.next = SG_PUT_DONE, .code = "", .text = SG_STR("")};
    if (result->is_failed)
        return judge_failure(result, arena, verdict);

    bool is_success = result->http_status >= 200 && result->http_status <= 299;
    struct sg_str functions = sg_json_get(sg_str_trim(result->body), SG_STR("functions"));
    struct sg_str app_id = sg_json_get(sg_str_trim(result->body), SG_STR("app_id"));
    bool says_in_band = sg_str_eq_nocase(result->headers.values[SG_HEADER_SYNC_KIND], SG_STR("in_band"));
    if (is_success && is_in_band && app_id.len > 0 && (says_in_band || sg_json_kind_of(functions) == SG_JSON_ARRAY)) {
        verdict->next = SG_PUT_APPLY;
        return true;
    }
    if (result->has_registered && is_success)
        return judge_registered(result, arena, verdict);
    if (result->http_status == 401 && is_in_band) { /* Python in dev mode refuses in-band only (reference/01 §11.1) */
        verdict->next = SG_PUT_OUT_OF_BAND;
        return true;
    }

    struct sg_str words;
    if (!app_words(result->body, arena, &words))
        return false;
    if (contains(words, "xpected server kind") || contains(words, "server_kind_mismatch"))
        return judge_kind_mismatch(result, words, arena, verdict);
    if (is_success)
        return judge_success(result, arena, verdict);
    return judge_status(result, words, arena, verdict);
}
