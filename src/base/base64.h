/* Bytes as base64 text (RFC 4648), in the standard and in the URL alphabet. */
#ifndef STEPGATE_BASE_BASE64_H
#define STEPGATE_BASE_BASE64_H

#include <stepgate/base.h>

enum sg_base64 {
    SG_BASE64_STANDARD, /* + and /, padded */
    SG_BASE64_URL       /* - and _, not padded */
};

void sg_base64_encode(struct sg_buf *out, const void *bytes, size_t len, enum sg_base64 alphabet);
/*
 * Writes at most `capacity` bytes and their number. Padding may be missing, nothing else may be wrong: false then, and when
 * it does not fit.
 */
bool sg_base64_decode(struct sg_str text, enum sg_base64 alphabet, uint8_t *bytes, size_t capacity, size_t *len);

#endif
