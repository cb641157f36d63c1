/* HMAC over pieces, so that a body need not be copied to have a timestamp behind it. */
#ifndef STEPGATE_CRYPTO_HASH_H
#define STEPGATE_CRYPTO_HASH_H

#include <stepgate/crypto.h>

/* HMAC-SHA256 of the concatenation of at most three parts; false if libcrypto failed. */
bool sg_hmac_sha256_parts(struct sg_str key, const struct sg_str *parts, size_t count, uint8_t mac[SG_SHA256_BYTES]);

#endif
