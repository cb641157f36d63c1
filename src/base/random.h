/* Entropy of the operating system: for keys, tokens and seeds. */
#ifndef STEPGATE_BASE_RANDOM_H
#define STEPGATE_BASE_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* Fills `bytes`; false if the system has none to give (then the bytes are not usable). */
bool sg_random_bytes(void *bytes, size_t len);

#endif
