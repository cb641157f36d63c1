/* Keys, signatures that must not pass, bearer tokens, hashes. */
#include "crypto_fixture.h"

#include <stdio.h>

#define NOW INT64_C(1700000000)

TestSuite(signing_key, .init = start);
TestSuite(signature, .init = start);
TestSuite(bearer, .init = start);
TestSuite(hash, .init = start);

Test(signing_key, keeps_text_prefix_and_hash)
{
    struct sg_signing_key key = key_of("signkey-prod-12345678");
    char fingerprint[SG_KEY_FINGERPRINT_LEN + 1];
    cr_assert(eq(str, key.text, "signkey-prod-12345678"));
    cr_assert(sg_str_eq(sg_signing_key_secret(&key), S("12345678")));
    sg_signing_key_fingerprint(&key, fingerprint);
    cr_assert(eq(str, fingerprint, "b2ed99"));
    sg_signing_key_wipe(&key);
    static const struct sg_signing_key nothing;
    cr_assert(memcmp(&key, &nothing, sizeof(key)) == 0);
}

Test(signing_key, the_case_of_the_digits_counts_for_signing_but_not_for_the_hash)
{
    struct sg_signing_key lower = key_of("deadbeef");
    struct sg_signing_key upper = key_of("DEADBEEF");
    char a[SG_SIGNATURE_MAX + 1];
    char b[SG_SIGNATURE_MAX + 1];
    cr_assert(eq(str, lower.hash_hex, upper.hash_hex));
    cr_assert(sg_signature_make(&lower, S("x"), NOW, a) > 0 && sg_signature_make(&upper, S("x"), NOW, b) > 0);
    cr_assert(strcmp(a, b) != 0);
}

Test(signing_key, length_is_limited)
{
    char text[SG_LIMIT_SIGNING_KEY_BYTES + 2];
    struct sg_signing_key key;
    struct sg_error error;
    memset(text, 'a', sizeof(text));
    cr_assert(sg_signing_key_parse((struct sg_str){text, SG_LIMIT_SIGNING_KEY_BYTES}, "KEY", &key, &error) == SG_OK);
    char hashed[SG_SIGNING_KEY_HASHED_MAX + 1];
    cr_assert(eq(sz, sg_signing_key_hashed(&key, hashed), SG_SHA256_HEX_LEN));
    cr_assert(sg_signing_key_parse((struct sg_str){text, SG_LIMIT_SIGNING_KEY_BYTES + 2}, "KEY", &key, &error) == SG_INVALID_KEY);
    cr_assert(eq(str, error.message, "KEY has 514 characters, at most 512 are allowed"));

    /* The longest prefix there can be still leaves room for the hash. */
    memcpy(text, "signkey-", 8);
    text[SG_LIMIT_SIGNING_KEY_BYTES - 3] = '-';
    cr_assert(sg_signing_key_parse((struct sg_str){text, SG_LIMIT_SIGNING_KEY_BYTES}, "KEY", &key, &error) == SG_OK);
    cr_assert(eq(sz, sg_signing_key_hashed(&key, hashed), SG_LIMIT_SIGNING_KEY_BYTES - 2 + SG_SHA256_HEX_LEN));
}

static enum sg_status verify(const char *header, const char *body, int64_t now_s)
{
    struct sg_signing_key key = key_of("signkey-test-12345678");
    return sg_signature_verify(&key, 1, sg_str_from(header), sg_str_from(body), now_s, NULL);
}

#define VECTOR_A "4215d18b1becc6e5035d59f4ec5f76b5b7aa0e6a14246b6dc901d6655a98202e"
#define BODY_A "{\"a\":1,\"b\":2}"

Test(signature, is_read_as_parameters_in_any_order)
{
    cr_assert(verify("t=1700000000&s=" VECTOR_A, BODY_A, NOW) == SG_OK);
    cr_assert(verify("s=" VECTOR_A "&t=1700000000", BODY_A, NOW) == SG_OK);
    cr_assert(verify("v=1&t=1700000000&x&s=" VECTOR_A "&ts=5&=", BODY_A, NOW) == SG_OK);
    cr_assert(verify(" t=1700000000&s=" VECTOR_A " ", BODY_A, NOW) == SG_OK);
}

Test(signature, anything_changed_is_refused)
{
    static const char *const headers[] = {
        "",
        "t=1700000000",
        "s=" VECTOR_A,
        "t=&s=" VECTOR_A,
        "t=1700000000&s=",
        "t=1700000001&s=" VECTOR_A,
        "t=01700000000&s=" VECTOR_A,
        "t=-1700000000&s=" VECTOR_A,
        "t=1.7e9&s=" VECTOR_A,
        "t=99999999999999999999&s=" VECTOR_A,
        "t=000000000001700000000000&s=" VECTOR_A,
        "t=1700000000&s=" VECTOR_A "0",
        "t=1700000000&s=4215D18B1BECC6E5035D59F4EC5F76B5B7AA0E6A14246B6DC901D6655A98202E",
        "t=1700000000&s=5215d18b1becc6e5035d59f4ec5f76b5b7aa0e6a14246b6dc901d6655a98202e",
        "t=1700000000&s=4215d18b1becc6e5035d59f4ec5f76b5b7aa0e6a14246b6dc901d6655a98202f",
        "t=1700000000;s=" VECTOR_A,
        "T=1700000000&S=" VECTOR_A,
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        cr_assert(verify(headers[i], BODY_A, NOW) == SG_INVALID_SIGNATURE, "%s", headers[i]);
    cr_assert(verify("t=1700000000&s=" VECTOR_A, BODY_A " ", NOW) == SG_INVALID_SIGNATURE);
    cr_assert(verify("t=1700000000&s=" VECTOR_A, "", NOW) == SG_INVALID_SIGNATURE);
}

Test(signature, is_good_for_five_minutes_both_ways)
{
    const char *header = "t=1700000000&s=" VECTOR_A;
    cr_assert(verify(header, BODY_A, NOW + 300) == SG_OK);
    cr_assert(verify(header, BODY_A, NOW - 300) == SG_OK);
    cr_assert(verify(header, BODY_A, NOW + 301) == SG_INVALID_SIGNATURE);
    cr_assert(verify(header, BODY_A, NOW - 301) == SG_INVALID_SIGNATURE);
    cr_assert(verify(header, BODY_A, INT64_MIN) == SG_INVALID_SIGNATURE);

    struct sg_signing_key key = key_of("12345678");
    struct sg_error error;
    sg_signature_verify(&key, 1, sg_str_from(header), S(BODY_A), NOW + 301, &error);
    cr_assert(eq(str, error.message, "the signature is older than 300 s"));
    sg_signature_verify(&key, 1, sg_str_from(header), S(BODY_A), NOW - 301, &error);
    cr_assert(eq(str, error.message, "the signature is more than 300 s in the future; do the clocks agree?"));
}

Test(signature, any_of_several_keys_fits)
{
    struct sg_signing_key keys[3] = {key_of("aa"), key_of("signkey-branch-bb"), key_of("12345678")};
    struct sg_str header = S("t=1700000000&s=" VECTOR_A);
    struct sg_error error;
    cr_assert(sg_signature_verify(keys, 3, header, S(BODY_A), NOW, &error) == SG_OK);
    cr_assert(sg_signature_verify(keys, 2, header, S(BODY_A), NOW, &error) == SG_INVALID_SIGNATURE);
    cr_assert(eq(str, error.message, "the signature fits none of the signing keys (2 tried)"));
    cr_assert(sg_signature_verify(keys, 0, header, S(BODY_A), NOW, &error) == SG_INVALID_SIGNATURE);
}

static bool allows(const char *key_text, const char *authorization)
{
    struct sg_signing_key key = key_of(key_text);
    return sg_bearer_check(&key, 1, sg_str_from(authorization));
}

#define HASH_OF_12345678 "b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c"

Test(bearer, accepts_the_hash_or_the_key_with_any_prefix)
{
    cr_assert(allows("signkey-prod-12345678", "Bearer signkey-prod-" HASH_OF_12345678));
    cr_assert(allows("signkey-prod-12345678", "bearer " HASH_OF_12345678));
    cr_assert(allows("signkey-prod-12345678", "BEARER signkey-test-" HASH_OF_12345678));
    cr_assert(allows("12345678", "Bearer signkey-prod-" HASH_OF_12345678));
    cr_assert(allows("signkey-prod-12345678", "Bearer signkey-prod-12345678"));
    cr_assert(allows("signkey-prod-12345678", "Bearer 12345678"));
}

Test(bearer, refuses_everything_else)
{
    static const char *const values[] = {
        "",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer undefined",
        "Bearer signkey-x-",
        "Bearer signkey-prod-",
        "Bearer 1234567",
        "Bearer 123456789",
        "Bearer 12345679",
        "Basic " HASH_OF_12345678,
        HASH_OF_12345678,
        "Bearer b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916d",
        "Bearer B2ED992186A5CB19F6668AADE821F502C1D00970DFD0E35128D51BAC4649916C",
        "Bearer signkey-prod-signkey-prod-" HASH_OF_12345678,
        "Bearer" HASH_OF_12345678,
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        cr_assert(not(allows("signkey-prod-12345678", values[i])), "%s", values[i]);
}

Test(bearer, any_of_several_keys_and_none_of_none)
{
    struct sg_signing_key keys[2] = {key_of("aabb"), key_of("signkey-prod-12345678")};
    cr_assert(sg_bearer_check(keys, 2, S("Bearer " HASH_OF_12345678)));
    cr_assert(sg_bearer_check(keys, 2, S("Bearer aabb")));
    cr_assert(not(sg_bearer_check(keys, 1, S("Bearer " HASH_OF_12345678))));
    cr_assert(not(sg_bearer_check(keys, 0, S("Bearer aabb"))));
}

Test(bearer, secrets_are_equal_only_if_there_is_one)
{
    cr_assert(sg_secret_eq(S("event-key"), S("event-key")));
    cr_assert(not(sg_secret_eq(S("event-key"), S("event-kex"))));
    cr_assert(not(sg_secret_eq(S("event-key"), S("event-key2"))));
    cr_assert(not(sg_secret_eq(S(""), S(""))));
    cr_assert(not(sg_secret_eq(SG_STR_NULL, SG_STR_NULL)));
}

Test(hash, known_values)
{
    char sha1[SG_SHA1_HEX_LEN + 1];
    char sha256[SG_SHA256_HEX_LEN + 1];
    cr_assert(sg_sha1_hex(S("abc"), sha1));
    cr_assert(eq(str, sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"));
    cr_assert(sg_sha1_hex(SG_STR_NULL, sha1));
    cr_assert(eq(str, sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"));
    cr_assert(sg_sha256_hex(S("abc"), sha256));
    cr_assert(eq(str, sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    cr_assert(sg_sha256_hex(S(""), sha256));
    cr_assert(eq(str, sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

static bool mac_is(struct sg_str key, struct sg_str data, const char *expected)
{
    uint8_t mac[SG_SHA256_BYTES];
    char hex[SG_SHA256_HEX_LEN + 1] = "";
    cr_assert(sg_hmac_sha256(key, data, mac));
    for (size_t i = 0; i < sizeof(mac); i++)
        snprintf(hex + 2 * i, 3, "%02x", mac[i]);
    return strcmp(hex, expected) == 0;
}

Test(hash, hmac_vectors_of_rfc_4231)
{
    char bytes[131];
    memset(bytes, 0x0b, sizeof(bytes));
    cr_assert(mac_is((struct sg_str){bytes, 20}, S("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
    cr_assert(mac_is(S("Jefe"), S("what do ya want for nothing?"), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    memset(bytes, 0xaa, sizeof(bytes));
    char data[50];
    memset(data, 0xdd, sizeof(data));
    cr_assert(
        mac_is((struct sg_str){bytes, 20}, (struct sg_str){data, 50}, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"));
    cr_assert(mac_is((struct sg_str){bytes, 131}, S("Test Using Larger Than Block-Size Key - Hash Key First"),
                     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
    cr_assert(mac_is(SG_STR_NULL, SG_STR_NULL, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

Test(hash, initialising_twice_is_harmless)
{
    cr_assert(sg_crypto_init(NULL) == SG_OK);
}
