/*
 * Who is calling: bearer tokens and event keys, compared in constant time.
 *
 * The model of the bearer check (reference/01 §3.4): prefix off on both sides, then the rest must be the key's text or its
 * hash. Every key and both forms are compared always, so the time tells nothing but lengths.
 *
 * What it never does: accept an empty token. In the reference server a token that is a bare prefix equals the hash of a key
 * it could not hash.
 */
#include <stepgate/crypto.h>

#include <sodium.h>

bool sg_secret_eq(struct sg_str a, struct sg_str b)
{
    return a.len == b.len && a.len > 0 && sodium_memcmp(a.ptr, b.ptr, a.len) == 0;
}

bool sg_bearer_check(const struct sg_signing_key *keys, size_t key_count, struct sg_str authorization)
{
    struct sg_str scheme = SG_STR("bearer ");
    if (authorization.len <= scheme.len || !sg_str_eq_nocase((struct sg_str){authorization.ptr, scheme.len}, scheme))
        return false;
    struct sg_str token = sg_str_trim((struct sg_str){authorization.ptr + scheme.len, authorization.len - scheme.len});
    size_t prefix_len = sg_signing_key_prefix_len(token);
    token.ptr += prefix_len;
    token.len -= prefix_len;

    bool fits = false;
    for (size_t i = 0; i < key_count; i++) {
        bool is_text = sg_secret_eq(token, sg_signing_key_secret(&keys[i]));
        bool is_hash = sg_secret_eq(token, (struct sg_str){keys[i].hash_hex, SG_SHA256_HEX_LEN});
        fits |= is_text | is_hash;
    }
    return fits;
}
