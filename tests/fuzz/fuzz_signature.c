/* Any bytes as a signature header and as an Authorization header: nothing but the right one passes. */
#include <stepgate/crypto.h>

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_str text = {(const char *)data, size};
    struct sg_error error;
    struct sg_signing_key key;
    char header[SG_SIGNATURE_MAX + 1];

    assert(sg_crypto_init(&error) == SG_OK);
    assert(sg_signing_key_parse(SG_STR("signkey-test-0123456789abcdef"), "KEY", &key, &error) == SG_OK);
    size_t len = sg_signature_make(&key, text, 1700000000, header);
    assert(sg_signature_verify(&key, 1, (struct sg_str){header, len}, text, 1700000000, &error) == SG_OK);
    (void)sg_signature_verify(&key, 1, text, text, 1700000000, &error);
    (void)sg_bearer_check(&key, 1, text);
    return 0;
}
