/*
 * Hashing for tables in memory. The seed is drawn once a process, because event names and ids are chosen by strangers; the
 * simulator sets it so that a run repeats exactly, down to the order in which a map is walked.
 */
#ifndef STEPGATE_BASE_HASH_H
#define STEPGATE_BASE_HASH_H

#include <stepgate/base.h>

/* Call before the first map is filled; 0 means: draw one from the operating system at first use. */
void sg_hash_seed(uint64_t seed);
uint64_t sg_hash_bytes(const void *bytes, size_t len);
uint64_t sg_hash_id(struct sg_id id);

#endif
