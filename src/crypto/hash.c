/*
 * Hashes. Bulk work is done by libcrypto, which uses the processor's instructions: signing a body of 4 MB takes 3 ms
 * instead of libsodium's 19. Comparing and wiping secrets is libsodium's, which is made for it (secret.c).
 *
 * The algorithms are fetched once: OpenSSL 3 otherwise searches its providers at each use, which costs more than hashing a
 * small body.
 */
#include <stepgate/crypto.h>

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "base/check.h"
#include "base/hex.h"
#include "crypto/hash.h"

#define SHA1_BYTES 20
#define SHA256_BLOCK_BYTES 64

/* Static because they belong to the library's one process-wide context; written once, by sg_crypto_init. */
static EVP_MD *sha256_algorithm;
static EVP_MD *sha1_algorithm;

enum sg_status sg_crypto_init(struct sg_error *error)
{
    if (sha256_algorithm != NULL)
        return SG_OK;
    if (sodium_init() < 0)
        return sg_error_set(error, SG_SYSTEM, "libsodium cannot be initialised");

    EVP_MD *sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (sha1 == NULL || sha256 == NULL) {
        EVP_MD_free(sha1);
        EVP_MD_free(sha256);
        return sg_error_set(error, SG_SYSTEM, "libcrypto offers no SHA-1 or no SHA-256");
    }
    sha1_algorithm = sha1;
    sha256_algorithm = sha256;
    return SG_OK;
}

/* The hash of the concatenation of `parts`. */
static bool hash_parts(const EVP_MD *algorithm, const struct sg_str *parts, size_t count, uint8_t *hash)
{
    assert(algorithm != NULL); /* sg_crypto_init was called */
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = context != NULL && EVP_DigestInit_ex2(context, algorithm, NULL) == 1;

    for (size_t i = 0; i < count && is_done; i++)
        is_done = EVP_DigestUpdate(context, parts[i].ptr, parts[i].len) == 1;
    is_done = is_done && EVP_DigestFinal_ex(context, hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    return is_done;
}

/*
 * HMAC (RFC 2104) on the plain hash: two hashes over the key xored with constants. libcrypto's own HMAC object sets up
 * three contexts at each use; this needs two and no copy of the body.
 */
bool sg_hmac_sha256_parts(struct sg_str key, const struct sg_str *parts, size_t count, uint8_t mac[SG_SHA256_BYTES])
{
    enum { PARTS_MAX = 3 };
    uint8_t pad[SHA256_BLOCK_BYTES] = {0};
    uint8_t inner[SG_SHA256_BYTES];
    struct sg_str pieces[1 + PARTS_MAX] = {{(const char *)pad, sizeof(pad)}};

    assert(count <= PARTS_MAX);
    if (key.len <= sizeof(pad))
        memcpy(pad, key.ptr != NULL ? key.ptr : "", key.len);
    else if (!sg_sha256(key, pad))
        return false;
    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36;
    for (size_t i = 0; i < count; i++)
        pieces[1 + i] = parts[i];
    bool is_done = hash_parts(sha256_algorithm, pieces, 1 + count, inner);

    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    pieces[1] = (struct sg_str){(const char *)inner, sizeof(inner)};
    is_done = is_done && hash_parts(sha256_algorithm, pieces, 2, mac);
    sodium_memzero(pad, sizeof(pad));
    sodium_memzero(inner, sizeof(inner));
    return is_done;
}

bool sg_hmac_sha256(struct sg_str key, struct sg_str bytes, uint8_t mac[SG_SHA256_BYTES])
{
    return sg_hmac_sha256_parts(key, &bytes, 1, mac);
}

bool sg_sha256(struct sg_str bytes, uint8_t hash[SG_SHA256_BYTES])
{
    return hash_parts(sha256_algorithm, &bytes, 1, hash);
}

bool sg_sha256_hex(struct sg_str bytes, char text[SG_SHA256_HEX_LEN + 1])
{
    uint8_t hash[SG_SHA256_BYTES];
    if (!sg_sha256(bytes, hash))
        return false;
    sg_hex_encode(hash, sizeof(hash), text);
    return true;
}

bool sg_sha1_hex(struct sg_str bytes, char text[SG_SHA1_HEX_LEN + 1])
{
    uint8_t hash[SHA1_BYTES];
    if (!hash_parts(sha1_algorithm, &bytes, 1, hash))
        return false;
    sg_hex_encode(hash, sizeof(hash), text);
    return true;
}

struct sg_id sg_uuid5_oid(struct sg_str name)
{
    /* 6ba7b812-9dad-11d1-80b4-00c04fd430c8, the OID namespace of RFC 4122 */
    static const char namespace_oid[16] = "\x6b\xa7\xb8\x12\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8";
    struct sg_str parts[] = {{namespace_oid, sizeof(namespace_oid)}, name};
    uint8_t hash[SHA1_BYTES];
    struct sg_id id = {{0}};

    if (!hash_parts(sha1_algorithm, parts, SG_ARRAY_LEN(parts), hash))
        return id;
    memcpy(id.bytes, hash, sizeof(id.bytes));
    id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x50); /* version 5 */
    id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80); /* variant of RFC 4122 */
    return id;
}

struct sg_id sg_event_key(struct sg_str event_id)
{
    uint8_t hash[SG_SHA256_BYTES];
    struct sg_id id = {{0}};

    if (sg_sha256(event_id, hash))
        memcpy(id.bytes, hash, sizeof(id.bytes));
    return id;
}
