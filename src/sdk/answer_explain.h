/* Words for answers that failed before the SDK, or because it refused the call: which side, why, what to do (reference/11 §2, §7). */
#ifndef STEPGATE_SDK_ANSWER_EXPLAIN_H
#define STEPGATE_SDK_ANSWER_EXPLAIN_H

#include "sdk/answer.h"

struct sg_explanation {
    struct sg_str message; /* one line that names the status */
    struct sg_str detail;  /* what it may mean, and the beginning of what was answered */
};

/* For a failure that does not carry an SDK's headers. Into the arena; false if memory ran out. */
bool sg_answer_explain(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status, struct sg_str body,
                       struct sg_arena *arena, struct sg_explanation *words);
/*
 * For a failure that an SDK reports: a sentence if it says that the signature was refused (v1, v2 and Go do so with their
 * headers), else empty. `value` is the body's JSON. False if memory ran out.
 */
bool sg_answer_explain_refusal(const struct sg_answer_input *input, const struct sg_headers *headers, int64_t http_status,
                               struct sg_str value, struct sg_arena *arena, struct sg_str *sentence);

/*
 * Why an app may have refused a signature: the keys, the clocks or the body. `what` is "call" or "sync". Also used by the sync.
 * False if memory ran out.
 */
bool sg_explain_signature(const char *what, const char *key_fingerprint, int64_t sent_bytes, struct sg_str date_header, int64_t wall_now_ms,
                          struct sg_arena *arena, struct sg_str *sentence);

#endif
