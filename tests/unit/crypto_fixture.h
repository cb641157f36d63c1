/* Short words for the tests of the crypto room. */
#ifndef STEPGATE_TESTS_CRYPTO_FIXTURE_H
#define STEPGATE_TESTS_CRYPTO_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/crypto.h>

#include <string.h>

#define S(literal) SG_STR(literal)

static inline void start(void)
{
    struct sg_error error;
    cr_assert(sg_crypto_init(&error) == SG_OK);
}

static inline struct sg_signing_key key_of(const char *text)
{
    struct sg_signing_key key;
    struct sg_error error;
    cr_assert(sg_signing_key_parse(sg_str_from(text), "the key", &key, &error) == SG_OK, "%s: %s", text, error.message);
    return key;
}

#endif
