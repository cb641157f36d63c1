/* What the answer to a sync PUT means, in words that name cause and remedy (reference/01 §4.8, §5.4; reference/09 §2.5; reference/11 §1). Pure. */
#ifndef STEPGATE_SDK_JUDGE_H
#define STEPGATE_SDK_JUDGE_H

#include "sdk/answer.h"

struct sg_put_result {
    /* a failed exchange */
    bool is_failed;
    bool is_tls; /* the failure was one of TLS */
    struct sg_str failure_detail;
    /* else what came */
    int http_status;
    struct sg_headers headers;
    struct sg_str body;
    /* what was known */
    bool has_registered;         /* a registration of this app arrived during the call */
    const char *key_fingerprint; /* NULL: the PUT was not signed */
    int64_t sent_bytes;
    int64_t wall_now_ms;
    const char *server_kind;
    const char *base_url; /* of the gateway */
};

enum sg_put_next {
    SG_PUT_DONE,        /* registered; with a text: but calls will fail, and why */
    SG_PUT_APPLY,       /* an in-band answer: the body is the registration */
    SG_PUT_OUT_OF_BAND, /* refused in-band: repeat without asking for it */
    SG_PUT_FAILED       /* code and text say why */
};

struct sg_verdict {
    enum sg_put_next next;
    const char *code; /* "unreachable", "unauthorized", ... */
    struct sg_str text;
};

/* `is_in_band`: the PUT asked for it. Into the arena; false if memory ran out. */
bool sg_put_judge(const struct sg_put_result *result, bool is_in_band, struct sg_arena *arena, struct sg_verdict *verdict);

#endif
