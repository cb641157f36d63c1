/* A run as the API shows it. */
#ifndef STEPGATE_SERVER_RUN_JSON_H
#define STEPGATE_SERVER_RUN_JSON_H

#include <stepgate/store.h>

/* The environment and the account that there are (reference/03 §0.5). */
#define SG_ENVIRONMENT_ID "00000000-0000-4000-b000-000000000000"
#define SG_ACCOUNT_ID "00000000-0000-4000-a000-000000000000"
/* What everything below /v1/events shows for environment and account: the reference leaves them empty there. */
#define SG_UNTOLD_ID "00000000-0000-0000-0000-000000000000"

/*
 * Appends the members of the run object of /v1 (reference/03 §3.3), without braces; `record` is of kind RUN. `function_version` is always 0
 * there, as the reference has it; people find the true one in the admin API (sg_run_json_admin).
 */
void sg_run_json(struct sg_buf *out, const struct sg_record *record);
/* The same as GET /v1/events/{id}/runs shows it. */
void sg_run_json_of_event(struct sg_buf *out, const struct sg_record *record);
void sg_run_json_admin(struct sg_buf *out, const struct sg_record *record);
bool sg_run_is_ended(const struct sg_record *record);
/* `{"error":…}` for a run that failed without an output of its own, the output otherwise; "null" if there is none. Appends to `out`. */
void sg_run_json_output(struct sg_buf *out, const struct sg_record *record);

#endif
