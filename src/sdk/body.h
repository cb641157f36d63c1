/*
 * The body of a call to an SDK (reference/01 §7.2), assembled from stored fragments in canonical key order: canonical by
 * construction, never parsed again. Also the parts of it that SDKs fetch themselves when a run is too large (reference/01 §9).
 *
 * Needs a store reader and nothing else: the simulator and the conformance suite use it as the caller does.
 */
#ifndef STEPGATE_SDK_BODY_H
#define STEPGATE_SDK_BODY_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

/*
 * ctx.qi_id: what a checkpoint echoes, so that it can be matched with the job and the generation that it belongs to
 * (reference/03 §4.2). Opaque to SDKs: base64 of "<job id>:<generation>".
 */
#define SG_QI_ID_MAX 64
/* Writes the text and a NUL; returns the length. */
size_t sg_qi_id_format(int64_t job_id, int32_t generation, char text[SG_QI_ID_MAX]);
/* False if it is not a text of ours. */
bool sg_qi_id_parse(struct sg_str text, int64_t *job_id, int32_t *generation);

/* ctx.job_id and X-Inngest-Job-Id: the job, whatever its generation. */
#define SG_JOB_ID_MAX 32
size_t sg_job_id_format(int64_t job_id, char text[SG_JOB_ID_MAX]);

/*
 * The whole bytes of the event at a position of the log, as stored; a lifecycle event is made from its run (at most 8 of them
 * inside each other). Appends to `out`. SG_NOT_FOUND if it has been trimmed, or what it is about.
 */
enum sg_status sg_event_read(struct sg_store_reader *reader, int64_t position, struct sg_buf *out, struct sg_error *error);

/* One event, from its row (kind EVENT), for those who have read it already. */
enum sg_status sg_event_read_record(struct sg_store_reader *reader, const struct sg_record *event, struct sg_buf *out,
                                    struct sg_error *error);

/* The event at a position as an SDK sees it, with `user` (sg_event_render). Appends to `out`. */
enum sg_status sg_event_render_at(struct sg_store_reader *reader, int64_t position, struct sg_buf *out, struct sg_error *error);

/*
 * The triggering events of a run as they are stored, a JSON array: unlike in a call, `user` is there only if it was sent, as the
 * reference does. Appends to `out`. SG_NOT_FOUND if there is no such run. For GET /v0/runs/{id}/batch.
 */
enum sg_status sg_run_events_read(struct sg_store_reader *reader, struct sg_id run_id, struct sg_buf *out, struct sg_error *error);

/*
 * The memos of a run with seq < `before_seq` (INT64_MAX: all): a JSON object of step id to memo. Appends to `out`. For GET
 * /v0/runs/{id}/actions. A run without memos gives {}: whether the run exists is the caller's question.
 */
enum sg_status sg_run_memos_read(struct sg_store_reader *reader, struct sg_id run_id, int64_t before_seq, struct sg_buf *out,
                                 struct sg_error *error);

/* The call's URL with `stepId` set to its target ("step", as registered, for a discovery). Appends to `out`. */
void sg_call_url(const struct sg_call *call, struct sg_buf *out);

/*
 * The body of the call. `request_id` is the ULID of this dispatch (X-Request-Id). Appends to `out`.
 *
 * Errors: SG_NOT_FOUND if events or memos that the call needs are not in the store any more (the run must not be called: it
 * would do its steps again), SG_NO_MEMORY, and what the store says.
 */
enum sg_status sg_body_assemble(struct sg_store_reader *reader, const struct sg_call *call, struct sg_id request_id, struct sg_buf *out,
                                struct sg_error *error);

/* The registered step id of a call, i.e. the `stepId` of its URL: "step" with every SDK so far. */
struct sg_str sg_call_step_id(const struct sg_call *call, struct sg_arena *arena);

#endif
