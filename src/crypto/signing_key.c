/*
 * Signing keys.
 *
 * The model. A key is `signkey-<word>-` (optional) and hexadecimal digits. What signs is the text of the digits; what proves
 * who is calling is the hash of the bytes they stand for. The prefix is stripped in both directions and everywhere; the
 * reference server does it only in places and then works with bare keys only (reference/01 §3.1).
 *
 * What it never does: accept a key that is not an even number of digits. SDKs hash such keys differently from each other,
 * down to hashes that collide or are empty (reference/01 §3.3, §3.4), so it is refused at start with a sentence.
 */
#include <stepgate/crypto.h>

#include <sodium.h>
#include <string.h>

#include "base/check.h"
#include "base/hex.h"

static bool is_word(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '_';
}

size_t sg_signing_key_prefix_len(struct sg_str text)
{
    struct sg_str start = SG_STR("signkey-");
    if (!sg_str_starts_with(text, start))
        return 0;
    size_t len = start.len;
    while (len < text.len && is_word(text.ptr[len]))
        len++;
    return len > start.len && len < text.len && text.ptr[len] == '-' ? len + 1 : 0;
}

enum sg_status sg_signing_key_parse(struct sg_str text, const char *name, struct sg_signing_key *key, struct sg_error *error)
{
    if (text.len == 0)
        return sg_error_set(error, SG_INVALID_KEY,
                            "%s is empty: a signing key is an even number of hexadecimal digits, e.g. from `openssl rand -hex 32`", name);
    if (text.len > SG_LIMIT_SIGNING_KEY_BYTES)
        return sg_error_set(error, SG_INVALID_KEY, "%s has %zu characters, at most %d are allowed", name, text.len,
                            SG_LIMIT_SIGNING_KEY_BYTES);

    size_t prefix_len = sg_signing_key_prefix_len(text);
    struct sg_str digits = {text.ptr + prefix_len, text.len - prefix_len};
    const char *where = prefix_len > 0 ? " behind its prefix" : "";
    if (digits.len == 0)
        return sg_error_set(error, SG_INVALID_KEY, "%s has a prefix and nothing behind it", name);
    for (size_t i = 0; i < digits.len; i++)
        if (sg_hex_digit(digits.ptr[i]) < 0)
            return sg_error_set(error, SG_INVALID_KEY,
                                "%s is not hexadecimal%s: character %zu is none of 0-9, a-f (a prefix has the form signkey-<word>-)", name,
                                where, prefix_len + i + 1);
    if (digits.len % 2 != 0)
        return sg_error_set(error, SG_INVALID_KEY, "%s has %zu hexadecimal digits%s: their number must be even", name, digits.len, where);

    uint8_t bytes[SG_LIMIT_SIGNING_KEY_BYTES / 2];
    bool is_hex = sg_hex_decode(digits, bytes, digits.len / 2);
    assert(is_hex);
    *key = (struct sg_signing_key){.text_len = (uint16_t)text.len, .prefix_len = (uint16_t)prefix_len};
    memcpy(key->text, text.ptr, text.len);
    bool is_hashed = sg_sha256_hex((struct sg_str){(const char *)bytes, digits.len / 2}, key->hash_hex);
    sodium_memzero(bytes, sizeof(bytes));
    if (!is_hashed) {
        sg_signing_key_wipe(key);
        return sg_error_set(error, SG_SYSTEM, "libcrypto failed to hash %s", name);
    }
    return SG_OK;
}

void sg_signing_key_wipe(struct sg_signing_key *key)
{
    sodium_memzero(key, sizeof(*key));
}

struct sg_str sg_signing_key_secret(const struct sg_signing_key *key)
{
    assert(key->text_len > key->prefix_len);
    return (struct sg_str){key->text + key->prefix_len, (size_t)(key->text_len - key->prefix_len)};
}

size_t sg_signing_key_hashed(const struct sg_signing_key *key, char text[SG_SIGNING_KEY_HASHED_MAX + 1])
{
    memcpy(text, key->text, key->prefix_len);
    memcpy(text + key->prefix_len, key->hash_hex, SG_SHA256_HEX_LEN + 1);
    return key->prefix_len + (size_t)SG_SHA256_HEX_LEN;
}

void sg_signing_key_fingerprint(const struct sg_signing_key *key, char text[SG_KEY_FINGERPRINT_LEN + 1])
{
    memcpy(text, key->hash_hex, SG_KEY_FINGERPRINT_LEN);
    text[SG_KEY_FINGERPRINT_LEN] = '\0';
}
