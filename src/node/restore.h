/* Start-up: the engine rebuilt from what is on disk. */
#ifndef STEPGATE_NODE_RESTORE_H
#define STEPGATE_NODE_RESTORE_H

#include <stepgate/crypto.h>
#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "node/clock.h"

/* The clock offset that the store remembers, 0 if none. */
enum sg_status sg_restore_clock_offset(struct sg_store *store, int64_t *offset_ms, struct sg_error *error);
/*
 * Hands every live record to the engine and ends its start-up; what must be written for that is in `batch`. Logs its progress while it takes
 * longer than people wait for silently.
 */
enum sg_status sg_restore_engine(struct sg_store *store, struct sg_engine *engine, struct sg_clock *clock, struct sg_batch *batch,
                                 struct sg_error *error);

/*
 * What tokens are signed with where there is no signing key: random, made at the first start and kept as a setting, so that a token outlives a
 * restart.
 */
enum sg_status sg_restore_token_secret(struct sg_store *store, struct sg_token_secret *secret, struct sg_error *error);

#endif
