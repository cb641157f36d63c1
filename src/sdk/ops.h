/*
 * Op lists: what an SDK reports in a 206 answer or a checkpoint (reference/02 §1, reference/01 §8.2).
 *
 * Pure: bytes in, `struct sg_op`s out, all in the caller's arena.
 */
#ifndef STEPGATE_SDK_OPS_H
#define STEPGATE_SDK_OPS_H

#include <stepgate/engine.h>

/*
 * Decodes a 206 body: an array of ops, a single op, or an empty array (one None op).
 *
 * Errors (the message is what the attempt fails with): SG_BAD_RESPONSE for anything that is not a list of known ops, a
 * StepError without error, or an input or output over its limit; SG_TOO_MANY for more than SG_LIMIT_OPS_PER_ANSWER;
 * SG_NO_MEMORY. `consumed` is NULL, or the buffer that `body` lies in: it is freed once it has been read.
 */
enum sg_status sg_ops_decode(struct sg_str body, struct sg_buf *consumed, struct sg_arena *arena, struct sg_op **ops, size_t *count,
                             struct sg_error *error);

/*
 * The same for JSON that is canonical already, e.g. `steps` of a checkpoint's canonicalized body. The ops borrow from
 * `canonical`, which must live as long as they do.
 */
enum sg_status sg_ops_read(struct sg_str canonical, struct sg_arena *arena, struct sg_op **ops, size_t *count, struct sg_error *error);

/*
 * An error object as it is memoized and shown: unknown members stay, `__serialized` goes, `name` and `message` are always
 * strings, `stack` and `error` are strings or absent (SDKs discard the whole object otherwise, reference/01 §7.5). `canonical`
 * is an object. The result is in the arena (or `canonical` itself); empty if memory ran out.
 */
struct sg_str sg_ops_error_object(struct sg_str canonical, struct sg_arena *arena);

#endif
