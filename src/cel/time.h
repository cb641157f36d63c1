/* Moments and durations: texts in and out, calendar, time zones (reference/05 §3.7, §3.8, §4.8). */
#ifndef STEPGATE_CEL_TIME_H
#define STEPGATE_CEL_TIME_H

#include <stepgate/cel.h>

#define SG_CEL_NS_PER_SECOND INT64_C(1000000000)

/* Whether the year is one of 1 to 9999: the range of timestamps. */
bool sg_cel_time_is_valid(const struct sg_cel_time *time);
/* The moment in UTC `nanoseconds` after 1970. */
struct sg_cel_time sg_cel_time_from_ns(int64_t ns);
struct sg_cel_time sg_cel_time_from_seconds(int64_t seconds);
/* Adds a duration; false if the result is out of range. The zone stays. */
bool sg_cel_time_add(const struct sg_cel_time *time, int64_t ns, struct sg_cel_time *sum);
/* a - b; false if it does not fit. */
bool sg_cel_time_subtract(const struct sg_cel_time *a, const struct sg_cel_time *b, int64_t *ns);

/* RFC 3339 with "T" and a zone, as timestamp() takes it. Does not check the range of years. */
bool sg_cel_time_parse(struct sg_str text, struct sg_cel_time *time);
/* Any of the layouts of date(). */
bool sg_cel_date_parse(struct sg_str text, struct sg_cel_time *time);
/* "2024-01-02T03:04:05.12Z", in the moment's own offset. */
void sg_cel_time_print(const struct sg_cel_time *time, struct sg_buf *out);
/* "2024-01-02 03:04:05.12 +0000 UTC", as Go prints it. */
void sg_cel_time_print_go(const struct sg_cel_time *time, struct sg_buf *out);

/* "1h30m", "-1.5h", "0"; with `has_days` also d and w. False if malformed or beyond 2^63 ns. */
bool sg_cel_duration_parse(struct sg_str text, bool has_days, int64_t *ns);
/* "1m30s", as Go prints it. */
void sg_cel_duration_print_go(int64_t ns, struct sg_buf *out);
/* "5400s", "1.5s". */
void sg_cel_duration_print_seconds(int64_t ns, struct sg_buf *out);

/*
 * How far the zone is ahead of UTC at a moment, in seconds. `zone` is "", "UTC", "+05:30", "05:30" or an IANA name; false if
 * it is none of them.
 */
bool sg_cel_zone_offset(struct sg_str zone, int64_t unix_seconds, int32_t *offset_s);

#endif
