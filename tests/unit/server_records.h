/* Records that the server's tests put into the store: an app with a function, events, runs with steps. */
#ifndef SERVER_RECORDS_H
#define SERVER_RECORDS_H

#include "server_fixture.h"

#define RUN_ID "01KDYJ0ZC2T5V9E7N4Q8R1S3A6"
#define OTHER_RUN_ID "01KDYJ0ZC2T5V9E7N4Q8R1S3A7"
#define NO_RUN_ID "01ARZ3NDEKTSV4RRFFQ69G5FAV"
#define EVENT_ID "01KDYHZQ9Q4W6T2J0B3B8W1M5E"

void put_app(struct fixture *fixture);
/* An event with its position; `body` NULL makes a lifecycle event of run RUN_ID. */
void put_event(struct fixture *fixture, int64_t position, const char *id, const char *name, const char *body, int64_t received_at_ms);
/* A run of the app's function, started by EVENT_ID at position 1; `output` and `error` may be NULL. */
void put_run(struct fixture *fixture, const char *id, enum sg_run_status status, const char *output, const char *error);
void put_live(struct fixture *fixture, const char *id);
void put_step(struct fixture *fixture, const char *run_id, const char *id, const char *name, enum sg_step_status status,
              int64_t started_at_ms);
void put_memo(struct fixture *fixture, const char *run_id, const char *id, int64_t seq, const char *bytes);
/* A wait for an event with a condition. */
void put_pause(struct fixture *fixture, const char *run_id, const char *step_id, const char *expression);
void put_job(struct fixture *fixture, int64_t id, const char *run_id, enum sg_job_kind kind);
/* A bulk cancellation of the app's function: 40 of 100 runs examined, 30 matched; `error` may be NULL. */
void put_cancellation(struct fixture *fixture, const char *id, const char *expression, bool is_dry_run, bool has_ended, const char *error);
/* A run that was cancelled for this reason. */
void put_cancelled(struct fixture *fixture, const char *id, const char *reason);
void put_attempt(struct fixture *fixture, const char *run_id, int64_t call, int number, const char *error);

#endif
