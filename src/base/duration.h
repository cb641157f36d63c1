/*
 * Durations and moments as text: what SDKs write into sleeps, timeouts, flow-control settings and Retry-After
 * (reference/02 §5.4 and §9.4, reference/04 §1.1). All functions are pure; the caller passes the time.
 *
 * "wall" means the machine's clock: absolute dates come from SDKs and are compared with it. The result is a delay from now,
 * which the caller adds to the engine's clock; that shifts the moment by the clock's offset as it must.
 */
#ifndef STEPGATE_BASE_DURATION_H
#define STEPGATE_BASE_DURATION_H

#include <stepgate/base.h>

/*
 * "1d2h3m", "1.5h", "-5s", "0": sign, then numbers with units ns us µs ms s m h d w. SG_INVALID_DURATION for anything else,
 * including "" and what does not fit int64 nanoseconds (292 years).
 */
enum sg_status sg_duration_parse_ns(struct sg_str text, int64_t *ns, struct sg_error *error);
/* The same in milliseconds, rounded up, so that nothing waits for less than it asked. */
enum sg_status sg_duration_parse_ms(struct sg_str text, int64_t *ms, struct sg_error *error);

/* RFC 3339 with seconds, optional fraction (cut to milliseconds) and a mandatory zone. */
bool sg_rfc3339_parse(struct sg_str text, int64_t *unix_ms);
/* Any of the date layouts of reference/02 §9.4, RFC 3339 among them. */
bool sg_date_parse(struct sg_str text, int64_t *unix_ms);

/*
 * A sleep: a date if the text has at least 10 characters and is one, else a duration. The delay is never negative and
 * never shorter than asked. No upper limit is applied.
 */
enum sg_status sg_delay_parse(struct sg_str text, int64_t wall_now_ms, int64_t *delay_ms, struct sg_error *error);
/*
 * A timeout of a wait, an invoke or a cancellation: a duration or RFC 3339; "" means now (reference/04 §1.1). May be
 * negative: already over.
 */
enum sg_status sg_timeout_parse(struct sg_str text, int64_t wall_now_ms, int64_t *delay_ms, struct sg_error *error);

/* A Retry-After header: delay within [1 s, 24 h], never shorter than asked within that. False if it is to be ignored. */
bool sg_retry_after_parse(struct sg_str text, int64_t wall_now_ms, int64_t *delay_ms);

#define SG_RFC3339_MAX 40

/* "2026-01-02T03:04:05.678Z": always three digits. Returns the length. */
size_t sg_rfc3339_format(int64_t unix_ms, char text[SG_RFC3339_MAX]);
/* "2026-01-02T03:04:05.67Z", "2026-01-02T03:04:05Z": zeros at the end of the fraction are left out (as Go does). */
size_t sg_rfc3339_format_trimmed(int64_t unix_ms, char text[SG_RFC3339_MAX]);
/* "1d2h3m4s", "1.5s", "250ms", "0s": the shortest text that sg_duration_parse_ms reads back. Returns the length. */
size_t sg_duration_format(int64_t ms, char text[SG_RFC3339_MAX]);

#endif
