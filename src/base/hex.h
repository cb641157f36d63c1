/* Bytes as lower-case hexadecimal text. */
#ifndef STEPGATE_BASE_HEX_H
#define STEPGATE_BASE_HEX_H

#include <stepgate/base.h>

/* Writes 2 * len characters and a NUL. */
void sg_hex_encode(const void *bytes, size_t len, char *text);
/* Reads text of exactly 2 * len digits in either case; false otherwise. */
bool sg_hex_decode(struct sg_str text, uint8_t *bytes, size_t len);
/* The value of a hexadecimal digit, or -1. */
int sg_hex_digit(char digit);

#endif
