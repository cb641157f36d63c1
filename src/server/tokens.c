/*
 * Tokens for those who have no key.
 *
 * The model. The client of a durable endpoint is sent to us by the endpoint (302) to wait for the result, or to follow the stream. It has
 * no key, and must get what belongs to its run and nothing else: so the endpoint was given a token for that run when it created it. Two kinds,
 * told apart by their issuer: one for the output, an hour; one for realtime topics, 16 minutes, in which only the connecting counts.
 *
 * The secret is derived from the signing key, so that tokens hold across restarts and processes, and those of a key that is being
 * exchanged still count; without a signing key it is a random one from the store.
 *
 * What it never does: use the secrets of the reference server, which are the same everywhere.
 */
#include "server/tokens.h"

#include <stepgate/json.h>

#include "base/check.h"
#include "server/limits.h"
#include "server/respond.h"
#include "server/run_json.h"

#define RUN_ISSUER SG_STR("api.inngest.com")
#define RUN_SUBJECT SG_STR("run-claim")
#define REALTIME_ISSUER SG_STR("rt.inngest.com")
#define MS_PER_S 1000

static void finish(struct sg_server *server, struct sg_buf *claims, struct sg_buf *out)
{
    if (claims->is_failed)
        out->is_failed = true;
    else
        sg_token_make(&server->auth.token_secrets[0], sg_buf_str(claims), out);
    sg_buf_free(claims);
}

/* The members that every token has, in canonical order from `exp` on; without a comma at either end. */
static void times(struct sg_buf *claims, int64_t now_ms, int64_t valid_s)
{
    sg_json_member_int(claims, "exp", now_ms / MS_PER_S + valid_s);
    sg_buf_byte(claims, ',');
    sg_json_member_int(claims, "iat", now_ms / MS_PER_S);
}

void sg_token_run_make(struct sg_server *server, struct sg_id run_id, int64_t now_ms, struct sg_buf *out)
{
    struct sg_buf claims;

    sg_buf_init(&claims);
    sg_buf_append(&claims, SG_STR("{\"Env\":\"" SG_ENVIRONMENT_ID "\","));
    sg_json_member_ulid(&claims, "RunID", run_id);
    sg_buf_byte(&claims, ',');
    times(&claims, now_ms, SG_RUN_TOKEN_S);
    sg_buf_byte(&claims, ',');
    sg_json_member_str(&claims, "iss", RUN_ISSUER);
    sg_buf_byte(&claims, ',');
    sg_json_member_str(&claims, "sub", RUN_SUBJECT);
    sg_buf_byte(&claims, '}');
    finish(server, &claims, out);
}

void sg_token_stream_make(struct sg_server *server, struct sg_id run_id, int64_t now_ms, struct sg_buf *out)
{
    struct sg_buf claims;
    struct sg_id token_id;

    sg_server_ids(server, now_ms, &token_id, 1);
    sg_buf_init(&claims);
    sg_buf_append(&claims, SG_STR("{\"env\":\"" SG_ENVIRONMENT_ID "\","));
    times(&claims, now_ms, SG_STREAM_TOKEN_S);
    sg_buf_byte(&claims, ',');
    sg_json_member_str(&claims, "iss", REALTIME_ISSUER);
    sg_buf_byte(&claims, ',');
    sg_json_member_ulid(&claims, "jti", token_id);
    sg_buf_append(&claims, SG_STR(",\"publish\":false,\"sub\":\"" SG_ACCOUNT_ID "\",\"topics\":[{"));
    sg_json_member_ulid(&claims, "channel", run_id);
    sg_buf_append(&claims, SG_STR(",\"env_id\":\"" SG_ENVIRONMENT_ID "\",\"kind\":\"run\",\"name\":\"$stream\"}]}"));
    finish(server, &claims, out);
}

/* Ours, of this issuer, and not over. */
static enum sg_status check(struct sg_server *server, struct sg_str token, struct sg_str issuer, int64_t now_ms, struct sg_arena *arena,
                            struct sg_str *claims)
{
    int64_t expires_s;
    enum sg_status status = sg_token_verify(server->auth.token_secrets, server->auth.token_secret_count, token, arena, claims);

    if (status != SG_OK)
        return status;
    bool is_issuer = sg_json_str_eq(sg_json_get(*claims, SG_STR("iss")), issuer);
    bool has_time = sg_json_to_int(sg_json_get(*claims, SG_STR("exp")), &expires_s) && expires_s >= now_ms / MS_PER_S;
    return is_issuer && has_time ? SG_OK : SG_UNAUTHORIZED;
}

enum sg_status sg_token_run_check(struct sg_server *server, struct sg_str token, int64_t now_ms, struct sg_arena *arena,
                                  struct sg_id *run_id)
{
    struct sg_str claims;
    struct sg_str text;
    enum sg_status status = check(server, token, RUN_ISSUER, now_ms, arena, &claims);

    if (status != SG_OK)
        return status;
    if (!sg_json_str_eq(sg_json_get(claims, SG_STR("sub")), RUN_SUBJECT))
        return SG_UNAUTHORIZED;
    status = sg_json_to_str(sg_json_get(claims, SG_STR("RunID")), arena, &text);
    if (status == SG_NO_MEMORY)
        return status;
    return status == SG_OK && sg_ulid_parse(text, run_id) ? SG_OK : SG_UNAUTHORIZED;
}

enum sg_status sg_token_realtime_check(struct sg_server *server, struct sg_str token, int64_t now_ms, struct sg_arena *arena,
                                       struct sg_str *claims)
{
    return check(server, token, REALTIME_ISSUER, now_ms, arena, claims);
}
