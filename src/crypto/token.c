/*
 * Tokens: JSON Web Tokens signed with HMAC-SHA256 (RFC 7519, RFC 7515), which let somebody without a key ask for one thing.
 *
 * The model. A token is `header.claims.signature`, each part base64url. The claims are the caller's, a JSON object; what they allow, and until
 * when, is the caller's business, this file says whether the token is ours. The secret is derived from a signing key,
 * so that every process with the same key accepts it, under a label of its own: a token proves nothing about the signing key, and a
 * signature never passes for a token.
 *
 * What it never does: believe the header. We make all tokens that we accept, so there is one header, and every other is refused before the
 * signature is looked at. Signatures are compared in constant time.
 */
#include <stepgate/crypto.h>

#include "base/base64.h"
#include "base/check.h"
#include <sodium.h>

/* {"alg":"HS256","typ":"JWT"} */
#define HEADER_ENCODED SG_STR("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9")
#define LABEL SG_STR("stepgate tokens, version 1")

bool sg_token_secret_derive(const struct sg_signing_key *key, struct sg_token_secret *secret)
{
    return sg_hmac_sha256(sg_signing_key_secret(key), LABEL, secret->bytes);
}

void sg_token_make(const struct sg_token_secret *secret, struct sg_str claims, struct sg_buf *out)
{
    uint8_t mac[SG_SHA256_BYTES];
    size_t start = out->len;

    sg_buf_append(out, HEADER_ENCODED);
    sg_buf_byte(out, '.');
    sg_base64_encode(out, claims.ptr, claims.len, SG_BASE64_URL);
    if (out->is_failed)
        return;
    struct sg_str text = {out->ptr + start, out->len - start};
    struct sg_str key = {(const char *)secret->bytes, sizeof(secret->bytes)};
    if (!sg_hmac_sha256(key, text, mac)) {
        out->is_failed = true;
        return;
    }
    sg_buf_byte(out, '.');
    sg_base64_encode(out, mac, sizeof(mac), SG_BASE64_URL);
}

/* Cuts the part up to the next dot off; false if there is none. */
static bool take_part(struct sg_str *rest, struct sg_str *part)
{
    ptrdiff_t dot = sg_str_index(*rest, '.');
    if (dot < 0)
        return false;
    *part = (struct sg_str){rest->ptr, (size_t)dot};
    *rest = (struct sg_str){rest->ptr + dot + 1, rest->len - (size_t)dot - 1};
    return true;
}

enum sg_status sg_token_verify(const struct sg_token_secret *secrets, size_t count, struct sg_str token, struct sg_arena *arena,
                               struct sg_str *claims)
{
    struct sg_str rest = token;
    struct sg_str head;
    struct sg_str body;
    uint8_t given[SG_SHA256_BYTES];
    size_t given_len;

    *claims = SG_STR_NULL;
    if (token.len > SG_LIMIT_TOKEN_BYTES || !take_part(&rest, &head) || !take_part(&rest, &body) || !sg_str_eq(head, HEADER_ENCODED) ||
        !sg_base64_decode(rest, SG_BASE64_URL, given, sizeof(given), &given_len) || given_len != sizeof(given))
        return SG_UNAUTHORIZED;
    struct sg_str text = {token.ptr, head.len + 1 + body.len};
    bool fits = false;
    for (size_t i = 0; i < count; i++) {
        uint8_t mac[SG_SHA256_BYTES];
        if (!sg_hmac_sha256((struct sg_str){(const char *)secrets[i].bytes, sizeof(secrets[i].bytes)}, text, mac))
            return SG_SYSTEM;
        fits |= sodium_memcmp(mac, given, sizeof(mac)) == 0;
    }
    if (!fits)
        return SG_UNAUTHORIZED;
    uint8_t *bytes = sg_arena_alloc(arena, body.len + 1);
    size_t len;
    if (bytes == NULL)
        return SG_NO_MEMORY;
    if (!sg_base64_decode(body, SG_BASE64_URL, bytes, body.len, &len))
        return SG_UNAUTHORIZED;
    *claims = (struct sg_str){(const char *)bytes, len};
    return SG_OK;
}
