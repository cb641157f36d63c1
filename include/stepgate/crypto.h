/*
 * Signing and hashing as the protocol wants them (reference/01 §3): signatures of bodies in both directions, bearer tokens,
 * event keys, and the hashes that ids are made of.
 *
 * Two ways to use one key, which must not be confused: a signature is keyed with the *text* of the signing key behind its
 * prefix, the bearer token is the hash of the *bytes* that the text stands for.
 *
 * Comparisons of secrets take the same time whatever differs; only lengths can be told apart.
 */
#ifndef STEPGATE_CRYPTO_H
#define STEPGATE_CRYPTO_H

#include <stepgate/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Must be called once before anything else here. */
enum sg_status sg_crypto_init(struct sg_error *error);

#define SG_SHA256_BYTES 32
#define SG_SHA256_HEX_LEN 64
#define SG_SHA1_HEX_LEN 40

/* ---- signing keys ---- */

#define SG_LIMIT_SIGNING_KEY_BYTES 512 /* ours: with its prefix; SDKs use 32 random bytes, so 64 characters */

/* A signing key, checked. Treat as a secret: sg_signing_key_wipe when done. */
struct sg_signing_key {
    char text[SG_LIMIT_SIGNING_KEY_BYTES + 1]; /* as configured, terminated */
    uint16_t text_len;
    uint16_t prefix_len;                  /* of "signkey-prod-", or 0 */
    char hash_hex[SG_SHA256_HEX_LEN + 1]; /* SHA-256 of the decoded bytes */
};

/*
 * Checks and takes over a key: an optional prefix `signkey-<word>-` and an even number of hexadecimal digits, at least two
 * (reference/01 §3.3). SG_INVALID_KEY with a sentence that starts with `name` (where the key came from, e.g.
 * "INNGEST_SIGNING_KEY") and never shows the key.
 */
enum sg_status sg_signing_key_parse(struct sg_str text, const char *name, struct sg_signing_key *key, struct sg_error *error);
void sg_signing_key_wipe(struct sg_signing_key *key);
/* What the HMAC is keyed with: the text behind the prefix. Borrowed from the key. */
struct sg_str sg_signing_key_secret(const struct sg_signing_key *key);

#define SG_SIGNING_KEY_HASHED_MAX (SG_LIMIT_SIGNING_KEY_BYTES + SG_SHA256_HEX_LEN)
/* The bearer value of reference/01 §3.3: prefix and hash, with a NUL. Returns the length. */
size_t sg_signing_key_hashed(const struct sg_signing_key *key, char text[SG_SIGNING_KEY_HASHED_MAX + 1]);

#define SG_KEY_FINGERPRINT_LEN 6
/* The first six digits of the hash: tells keys apart in logs and pages without showing them. */
void sg_signing_key_fingerprint(const struct sg_signing_key *key, char text[SG_KEY_FINGERPRINT_LEN + 1]);

/* The length of a leading `signkey-<word>-` (word: letters, digits, underscores), or 0. Stripped once only. */
size_t sg_signing_key_prefix_len(struct sg_str text);

/* ---- signatures ---- */

#define SG_SIGNATURE_MAX (2 + 20 + 3 + SG_SHA256_HEX_LEN)
#define SG_SIGNATURE_TOLERANCE_S 300 /* reference/01 §3.2 */

/* The header value "t=<unix seconds>&s=<hex>" for the exact bytes of `body`, with a NUL. Returns the length; 0 if the library failed. */
size_t sg_signature_make(const struct sg_signing_key *key, struct sg_str body, int64_t unix_s, char text[SG_SIGNATURE_MAX + 1]);

/*
 * Checks a header value against each of the keys; `body` are the exact bytes that were signed. The order of `t` and `s` does
 * not matter, other parameters are ignored. Errors: SG_INVALID_SIGNATURE with the reason (malformed, too old, too far
 * ahead, no key fits).
 */
enum sg_status sg_signature_verify(const struct sg_signing_key *keys, size_t key_count, struct sg_str header, struct sg_str body,
                                   int64_t now_s, struct sg_error *error);

/* ---- who is calling ---- */

/*
 * The bearer check of reference/01 §3.4: `authorization` is the whole header value, `keys` all that are accepted (rotation).
 * Without keys nothing is accepted: whether a check is made at all is the caller's decision.
 */
bool sg_bearer_check(const struct sg_signing_key *keys, size_t key_count, struct sg_str authorization);
/* Constant-time comparison of two texts: event keys, tokens. Two empty texts are not equal: no key is no permission. */
bool sg_secret_eq(struct sg_str a, struct sg_str b);

/* ---- tokens ---- */

#define SG_LIMIT_TOKEN_BYTES 8192 /* ours: a token goes into a URL */

/* What tokens are signed with. Treat as a secret. */
struct sg_token_secret {
    uint8_t bytes[SG_SHA256_BYTES];
};
/* The secret that belongs to a signing key; false only if libcrypto failed. */
bool sg_token_secret_derive(const struct sg_signing_key *key, struct sg_token_secret *secret);
/* Appends the JSON Web Token (HS256) for these claims, a JSON object. */
void sg_token_make(const struct sg_token_secret *secret, struct sg_str claims, struct sg_buf *out);
/*
 * The claims, as they were made, of a token that one of the secrets has signed; in the arena. SG_UNAUTHORIZED for every other token, SG_NO_MEMORY,
 * SG_SYSTEM. Whether its time is over is not looked at.
 */
enum sg_status sg_token_verify(const struct sg_token_secret *secrets, size_t count, struct sg_str token, struct sg_arena *arena,
                               struct sg_str *claims);

/* ---- hashes ---- */

/* These fail (false) only if libcrypto does. */
bool sg_sha256(struct sg_str bytes, uint8_t hash[SG_SHA256_BYTES]);
bool sg_sha256_hex(struct sg_str bytes, char text[SG_SHA256_HEX_LEN + 1]);
/* Step ids are SHA-1 of their readable names. */
bool sg_sha1_hex(struct sg_str bytes, char text[SG_SHA1_HEX_LEN + 1]);
bool sg_hmac_sha256(struct sg_str key, struct sg_str bytes, uint8_t mac[SG_SHA256_BYTES]);
/* UUID version 5 of a name in the OID namespace (reference/01 §4.4); all zero if libcrypto failed. */
struct sg_id sg_uuid5_oid(struct sg_str name);
/*
 * Under which key an event's id is remembered for 24 hours (struct sg_event_in, kind IDEMPOTENCY): the first half of its SHA-256. All zero if
 * libcrypto failed.
 */
struct sg_id sg_event_key(struct sg_str event_id);

#ifdef __cplusplus
}
#endif

#endif
