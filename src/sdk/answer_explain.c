/*
 * Words for answers that failed before the SDK, or because it refused the call.
 *
 * The model. People read these in the run's error and act on them, so each says which side refused, with the number that shows
 * it (status, bytes sent, seconds of clock difference, key fingerprint), and what to change. The line that names the status
 * comes first and is the message; the rest, and the beginning of what the other side sent, is the detail, which is shown as the
 * stack.
 *
 * What it never does: show a key. Six digits of its hash tell keys apart.
 */
#include "sdk/answer_explain.h"

#include <stdlib.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "base/duration.h"

#define UPSTREAM_BYTES_MAX 8192 /* of the foreign body that is shown (reference/02 §2.10) */
#define CLOCK_NOTICE_MS 60000   /* a difference that could matter: SDKs refuse beyond 300 s, Date has whole seconds */

bool sg_explain_signature(const char *what, const char *key_fingerprint, int64_t sent_bytes, struct sg_str date_header, int64_t wall_now_ms,
                          struct sg_arena *arena, struct sg_str *sentence)
{
    if (key_fingerprint == NULL) {
        *sentence = sg_arena_printf(
            arena,
            "The app wants signed requests (it is in production mode), and this %s was not signed because the gateway has no "
            "signing key. Set INNGEST_DEV=1 in the app, or start the gateway with the app's signing key (--signing-key).",
            what);
        return sentence->ptr != NULL;
    }
    int64_t date_ms;
    int64_t ahead_ms = sg_date_parse(date_header, &date_ms) ? date_ms - wall_now_ms : 0;
    int64_t apart_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
    if (apart_ms > SG_SIGNATURE_TOLERANCE_S * 1000LL - CLOCK_NOTICE_MS) {
        *sentence = sg_arena_printf(
            arena,
            "The app refused the signature of this %s: its clock is %lld s %s the gateway's, and signatures more than %d s off are "
            "refused. Set both clocks.",
            what, (long long)(apart_ms / 1000), ahead_ms > 0 ? "ahead of" : "behind", SG_SIGNATURE_TOLERANCE_S);
        return sentence->ptr != NULL;
    }
    *sentence = sg_arena_printf(
        arena,
        "The app refused the signature of this %s. It was made with the gateway's key %s... (first digits of its hash) over a body of "
        "%lld bytes. Either the app has another key: set its INNGEST_SIGNING_KEY to the gateway's; or a proxy between changed the body.",
        what, key_fingerprint, (long long)sent_bytes);
    return sentence->ptr != NULL;
}

static bool has_text(struct sg_str value, struct sg_str key, struct sg_str text)
{
    return sg_json_str_eq(sg_json_get(value, key), text);
}

bool sg_answer_explain_refusal(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status,
                               struct sg_str value, struct sg_arena *arena, struct sg_str *sentence)
{
    *sentence = SG_STR_NULL;
    bool is_refusal = http_status == 401 || has_text(value, SG_STR("message"), SG_STR("Invalid signature")) ||
                      has_text(value, SG_STR("code"), SG_STR("sig_verification_failed"));
    if (!is_refusal)
        return true;
    return sg_explain_signature("call", input->key_fingerprint, input->sent_bytes, headers->values[SG_HEADER_DATE], input->wall_now_ms,
                                arena, sentence);
}

/* What the status may mean, as a sentence; empty: nothing that helps. */
static bool explain_status(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status, struct sg_str body,
                           struct sg_arena *arena, struct sg_str *sentence)
{
    *sentence = SG_STR("");
    bool is_handled = headers->values[SG_HEADER_SDK_HANDLED].len > 0;
    if (http_status == 401 && is_handled)
        return sg_explain_signature("call", input->key_fingerprint, input->sent_bytes, headers->values[SG_HEADER_DATE], input->wall_now_ms,
                                    arena, sentence);
    if (http_status == 500 && is_handled && has_text(body, SG_STR("code"), SG_STR("internal_server_error"))) {
        *sentence = SG_STR("The app is in production mode and has no signing key: set INNGEST_DEV=1 in the app for development, or "
                           "INNGEST_SIGNING_KEY to the gateway's key.");
        return true;
    }
    if (http_status == 413) {
        *sentence = sg_arena_printf(
            arena,
            "The app (its web framework, or a proxy in front of it) refused the request as too large: the gateway sent %lld bytes. Raise "
            "the body limit there, e.g. express.json({ limit: \"4mb\" }).",
            (long long)input->sent_bytes);
        return sentence->ptr != NULL;
    }
    if (http_status == 404)
        *sentence = SG_STR("Nothing is served at the app's URL: has its path changed, or is another program listening there?");
    else if (http_status >= 300 && http_status < 400)
        *sentence = SG_STR("The app redirects without saying where to, or too often.");
    else if (http_status >= 502 && http_status <= 504)
        *sentence = SG_STR("A proxy in front of the app could not reach it.");
    else if (http_status >= 520 && http_status <= 530)
        *sentence = SG_STR("Cloudflare could not reach the app, or stopped it.");
    else if (http_status == 429)
        *sentence = SG_STR("Somebody in front of the app limits the rate of requests.");
    return true;
}

bool sg_answer_explain(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status, struct sg_str body,
                       struct sg_arena *arena, struct sg_explanation *words)
{
    struct sg_str sentence;
    if (!explain_status(input, headers, http_status, body, arena, &sentence))
        return false;
    bool is_refusal = http_status == 401 && headers->values[SG_HEADER_SDK_HANDLED].len > 0;
    words->message = is_refusal
                         ? sg_arena_printf(arena, "Your app answered HTTP 401. %.*s", SG_FMT(sentence))
                         : sg_arena_printf(arena, "Your server returned HTTP %lld before the SDK responded.", (long long)http_status);

    struct sg_buf detail;
    sg_buf_init(&detail);
    sg_buf_append(&detail, words->message);
    if (sentence.len > 0 && !is_refusal) {
        sg_buf_byte(&detail, '\n');
        sg_buf_append(&detail, sentence);
    } else if (sentence.len == 0) {
        sg_buf_append(
            &detail,
            SG_STR("\nThe answer has no x-inngest-sdk header: it came from a proxy, the platform, or a crash outside of the SDK."));
    }
    struct sg_str ray = headers->values[SG_HEADER_CF_RAY];
    if (ray.len > 0)
        sg_buf_printf(&detail, "\ncf-ray: %.*s", (int)(ray.len > 128 ? 128 : ray.len), ray.ptr);
    struct sg_str type = headers->values[SG_HEADER_CONTENT_TYPE];
    if (type.len == 0)
        type = SG_STR("no content type");
    if (body.len > 0)
        sg_buf_printf(&detail, "\nUpstream response (%.*s):\n", (int)(type.len > 256 ? 256 : type.len), type.ptr);
    sg_buf_append(&detail, (struct sg_str){body.ptr, body.len > UPSTREAM_BYTES_MAX ? UPSTREAM_BYTES_MAX : body.len});
    words->detail = detail.is_failed ? SG_STR_NULL : sg_arena_copy(arena, sg_buf_str(&detail));
    sg_buf_free(&detail);
    return words->message.ptr != NULL && words->detail.ptr != NULL;
}
