/* Tokens for those who have no key. */
#include "crypto_fixture.h"

#include <string.h>

TestSuite(token, .init = start);

static struct sg_token_secret secret_of(const char *key_text)
{
    struct sg_signing_key key = key_of(key_text);
    struct sg_token_secret secret;
    cr_assert(sg_token_secret_derive(&key, &secret));
    return secret;
}

static bool is_accepted(const struct sg_token_secret *secrets, size_t count, struct sg_str token)
{
    struct sg_arena arena;
    struct sg_str claims;
    sg_arena_init(&arena);
    enum sg_status status = sg_token_verify(secrets, count, token, &arena, &claims);
    cr_assert(status == SG_OK || status == SG_UNAUTHORIZED);
    sg_arena_free(&arena);
    return status == SG_OK;
}

Test(token, gives_its_claims_back)
{
    struct sg_token_secret secret = secret_of("signkey-test-12345678");
    struct sg_buf token = {0};
    struct sg_arena arena;
    struct sg_str claims;
    sg_arena_init(&arena);

    sg_token_make(&secret, S("{\"exp\":1,\"sub\":\"x\"}"), &token);

    cr_assert(sg_token_verify(&secret, 1, sg_buf_str(&token), &arena, &claims) == SG_OK);
    cr_assert(sg_str_eq(claims, S("{\"exp\":1,\"sub\":\"x\"}")));
    sg_arena_free(&arena);
    sg_buf_free(&token);
}

/* Computed with Node's crypto. */
Test(token, is_a_json_web_token_like_any_other)
{
    struct sg_token_secret secret;
    struct sg_buf token = {0};
    memset(secret.bytes, 'k', sizeof(secret.bytes));

    sg_token_make(&secret, S("{\"a\":1}"), &token);

    cr_assert(
        sg_str_eq(sg_buf_str(&token), S("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ.my-kOB7MF3Vt_fMXjZM0xnd7Y6NrppxjuGoEnT7vu6g")));
    sg_buf_free(&token);
}

Test(token, of_another_key_is_refused)
{
    struct sg_token_secret secrets[] = {secret_of("signkey-test-12345678"), secret_of("signkey-test-87654321")};
    struct sg_buf token = {0};

    sg_token_make(&secrets[1], S("{}"), &token);

    cr_assert(not(is_accepted(secrets, 1, sg_buf_str(&token))));
    cr_assert(is_accepted(secrets, 2, sg_buf_str(&token))); /* while keys are exchanged */
    sg_buf_free(&token);
}

Test(token, changed_in_any_byte_is_refused)
{
    struct sg_token_secret secret = secret_of("signkey-test-12345678");
    struct sg_buf token = {0};
    sg_token_make(&secret, S("{\"RunID\":\"01KDYJ2B5X0M3P6R9T1V4W7Y8Z\"}"), &token);

    for (size_t i = 0; i < token.len; i++) {
        char was = token.ptr[i];
        token.ptr[i] = was == 'A' ? 'B' : 'A';
        /* The last digit of 43 carries two bits that mean nothing: all others are refused. */
        bool is_refused = !is_accepted(&secret, 1, sg_buf_str(&token));
        cr_assert(is_refused || i + 1 == token.len, "byte %zu", i);
        token.ptr[i] = was;
    }
    for (size_t len = 0; len < token.len; len++)
        cr_assert(not(is_accepted(&secret, 1, (struct sg_str){token.ptr, len})), "length %zu", len);
    sg_buf_free(&token);
}

Test(token, that_claims_to_need_no_signature_is_refused)
{
    struct sg_token_secret secret = secret_of("signkey-test-12345678");

    /* {"alg":"none"}.{} and {"alg":"none","typ":"JWT"}.{} */
    cr_assert(not(is_accepted(&secret, 1, S("eyJhbGciOiJub25lIn0.e30."))));
    cr_assert(not(is_accepted(&secret, 1, S("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.e30."))));
    cr_assert(not(is_accepted(&secret, 1, S(""))));
    cr_assert(not(is_accepted(&secret, 1, S(".."))));
}
