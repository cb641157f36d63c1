/* Any bytes as a signing key: refused with a sentence, or usable both ways. */
#include <stepgate/crypto.h>

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_error error = {0};
    struct sg_signing_key key;

    assert(sg_crypto_init(&error) == SG_OK);
    if (sg_signing_key_parse((struct sg_str){(const char *)data, size}, "KEY", &key, &error) != SG_OK) {
        assert(error.status == SG_INVALID_KEY && strlen(error.message) > 0);
        return 0;
    }
    char bearer[7 + SG_SIGNING_KEY_HASHED_MAX + 1] = "Bearer ";
    size_t len = 7 + sg_signing_key_hashed(&key, bearer + 7);
    assert(sg_bearer_check(&key, 1, (struct sg_str){bearer, len}));
    assert(sg_signing_key_secret(&key).len % 2 == 0);
    sg_signing_key_wipe(&key);
    return 0;
}
