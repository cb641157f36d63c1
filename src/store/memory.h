/*
 * What a memory store can do beyond the interface of stepgate/store.h: fail on command, and count.
 *
 * sg_store_open_memory and sg_store_memory_copy are declared there.
 */
#ifndef STEPGATE_STORE_MEMORY_H
#define STEPGATE_STORE_MEMORY_H

#include <stepgate/store.h>

/*
 * The next `count` commits return `status`. With `is_applied` they take effect all the same, which is what an outcome that
 * never became known looks like; without it nothing is changed. A copy of the store does not inherit this.
 */
void sg_store_memory_fail_next(struct sg_store *store, int64_t count, enum sg_status status, bool is_applied);

/* How many records of a kind there are. */
int64_t sg_store_memory_count(struct sg_store *store, enum sg_kind kind);

#endif
