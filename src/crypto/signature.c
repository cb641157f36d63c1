/*
 * Signatures of bodies: `t=<unix seconds>&s=<hex of HMAC-SHA256(key, body || t)>` (reference/01 §3.1), made for calls and
 * checked on answers and on requests that are signed.
 *
 * The text is exact, because the Go SDK compares the whole header; reading is lenient as the TypeScript SDK is, which
 * parses it as a query string. What is signed is the body's bytes as they go out: they are canonical already.
 *
 * What it never does: say through the time it takes which digits of a signature were right, or which of several keys came
 * near. All keys are tried always.
 */
#include <stepgate/crypto.h>

#include <sodium.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hex.h"
#include "crypto/hash.h"

#define TIME_DIGITS_MAX 20

/* Hex of the HMAC over body and the time's text as it stands in the header. */
static bool make_mac(const struct sg_signing_key *key, struct sg_str body, struct sg_str time, char hex[SG_SHA256_HEX_LEN + 1])
{
    struct sg_str parts[] = {body, time};
    uint8_t mac[SG_SHA256_BYTES];
    if (!sg_hmac_sha256_parts(sg_signing_key_secret(key), parts, SG_ARRAY_LEN(parts), mac))
        return false;
    sg_hex_encode(mac, sizeof(mac), hex);
    return true;
}

size_t sg_signature_make(const struct sg_signing_key *key, struct sg_str body, int64_t unix_s, char text[SG_SIGNATURE_MAX + 1])
{
    char digits[TIME_DIGITS_MAX];
    size_t at = sizeof(digits);
    uint64_t left = unix_s > 0 ? (uint64_t)unix_s : 0;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    struct sg_str time = {digits + at, sizeof(digits) - at};

    char hex[SG_SHA256_HEX_LEN + 1];
    if (!make_mac(key, body, time, hex))
        return 0;
    int len = snprintf(text, SG_SIGNATURE_MAX + 1, "t=%.*s&s=%s", SG_FMT(time), hex);
    assert(len > 0 && len <= SG_SIGNATURE_MAX);
    return (size_t)len;
}

/* Finds `t` and `s` among the parameters of the header; the first of each counts. */
static void take_parameters(struct sg_str header, struct sg_str *time, struct sg_str *mac)
{
    header = sg_str_trim(header);
    while (header.len > 0) {
        ptrdiff_t end = sg_str_index(header, '&');
        struct sg_str parameter = {header.ptr, end < 0 ? header.len : (size_t)end};
        size_t taken = parameter.len + (end < 0 ? 0 : 1);

        if (sg_str_starts_with(parameter, SG_STR("t=")) && time->ptr == NULL)
            *time = (struct sg_str){parameter.ptr + 2, parameter.len - 2};
        if (sg_str_starts_with(parameter, SG_STR("s=")) && mac->ptr == NULL)
            *mac = (struct sg_str){parameter.ptr + 2, parameter.len - 2};
        header.ptr += taken;
        header.len -= taken;
    }
}

enum sg_status sg_signature_verify(const struct sg_signing_key *keys, size_t key_count, struct sg_str header, struct sg_str body,
                                   int64_t now_s, struct sg_error *error)
{
    struct sg_str time = SG_STR_NULL;
    struct sg_str mac = SG_STR_NULL;
    int64_t signed_s;
    int64_t age_s;

    take_parameters(header, &time, &mac);
    if (time.len == 0 || mac.len == 0)
        return sg_error_set(error, SG_INVALID_SIGNATURE, "the signature must have the form t=<unix seconds>&s=<hex>");
    if (time.len > TIME_DIGITS_MAX || !sg_str_to_int(time, &signed_s) || signed_s < 0)
        return sg_error_set(error, SG_INVALID_SIGNATURE, "the signature's time is not a number of unix seconds");
    if (__builtin_sub_overflow(now_s, signed_s, &age_s) || age_s > SG_SIGNATURE_TOLERANCE_S)
        return sg_error_set(error, SG_INVALID_SIGNATURE, "the signature is older than %d s", SG_SIGNATURE_TOLERANCE_S);
    if (age_s < -SG_SIGNATURE_TOLERANCE_S)
        return sg_error_set(error, SG_INVALID_SIGNATURE, "the signature is more than %d s in the future; do the clocks agree?",
                            SG_SIGNATURE_TOLERANCE_S);
    if (mac.len != SG_SHA256_HEX_LEN)
        return sg_error_set(error, SG_INVALID_SIGNATURE, "the signature has %zu hexadecimal digits instead of %d", mac.len,
                            SG_SHA256_HEX_LEN);

    bool fits = false;
    for (size_t i = 0; i < key_count; i++) {
        char hex[SG_SHA256_HEX_LEN + 1];
        if (!make_mac(&keys[i], body, time, hex))
            return sg_error_set(error, SG_SYSTEM, "libcrypto failed to check a signature");
        fits |= sodium_memcmp(hex, mac.ptr, SG_SHA256_HEX_LEN) == 0;
    }
    return fits ? SG_OK : sg_error_set(error, SG_INVALID_SIGNATURE, "the signature fits none of the signing keys (%zu tried)", key_count);
}
