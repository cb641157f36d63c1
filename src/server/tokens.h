/* Tokens for those who have no key: for the output of a run, and for its stream (reference/03 §4.4, §5.1). */
#ifndef STEPGATE_SERVER_TOKENS_H
#define STEPGATE_SERVER_TOKENS_H

#include "server/internal.h"

/* Appends a token that gives the output of this run, for an hour. */
void sg_token_run_make(struct sg_server *server, struct sg_id run_id, int64_t now_ms, struct sg_buf *out);
/* The run that a token is for. SG_UNAUTHORIZED: it is not ours, for something else, or over; SG_NO_MEMORY, SG_SYSTEM. */
enum sg_status sg_token_run_check(struct sg_server *server, struct sg_str token, int64_t now_ms, struct sg_arena *arena,
                                  struct sg_id *run_id);

/* Appends a token that subscribes to the stream of this run, for 16 minutes. */
void sg_token_stream_make(struct sg_server *server, struct sg_id run_id, int64_t now_ms, struct sg_buf *out);
/*
 * The claims of a realtime token, as JSON: "topics" and "publish" say what for. Only the moment of connecting counts: an open connection outlives
 * its token. Errors as above.
 */
enum sg_status sg_token_realtime_check(struct sg_server *server, struct sg_str token, int64_t now_ms, struct sg_arena *arena,
                                       struct sg_str *claims);

#endif
