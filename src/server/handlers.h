/* The handlers that the router's table names, by the file that holds them. */
#ifndef STEPGATE_SERVER_HANDLERS_H
#define STEPGATE_SERVER_HANDLERS_H

struct sg_request;

/* events.c */
void sg_handle_events_post(struct sg_request *request);
/* checkpoint.c */
void sg_handle_checkpoint_steps(struct sg_request *request);
void sg_handle_checkpoint(struct sg_request *request);
/* endpoints.c */
void sg_handle_http_run(struct sg_request *request);
/* output.c */
void sg_handle_output(struct sg_request *request);
/* stream.c */
void sg_handle_sse(struct sg_request *request);
void sg_handle_tee(struct sg_request *request);
void sg_take_tee(struct sg_request *request);
/* signals.c */
void sg_handle_signal(struct sg_request *request);
void sg_handle_invoke(struct sg_request *request);
/* register.c */
void sg_handle_register(struct sg_request *request);
void sg_handle_remove(struct sg_request *request);
/* dev.c */
void sg_handle_dev(struct sg_request *request);
/* health.c */
void sg_handle_health(struct sg_request *request);
void sg_handle_ready(struct sg_request *request);
void sg_handle_metrics(struct sg_request *request);
void sg_handle_admin_status(struct sg_request *request);
/* runs.c */
void sg_handle_run_actions(struct sg_request *request);
void sg_handle_run_batch(struct sg_request *request);
void sg_handle_run_cancel_v0(struct sg_request *request);
void sg_handle_run_get(struct sg_request *request);
void sg_handle_run_cancel(struct sg_request *request);
void sg_handle_run_jobs(struct sg_request *request);
/* api_events.c */
void sg_handle_events_list(struct sg_request *request);
void sg_handle_event_get(struct sg_request *request);
void sg_handle_event_runs(struct sg_request *request);
/* cancellations.c */
void sg_handle_cancellations_post(struct sg_request *request);
void sg_handle_cancellations_list(struct sg_request *request);
void sg_handle_cancellation_get(struct sg_request *request);
void sg_handle_cancellation_delete(struct sg_request *request);
/* admin_run.c */
void sg_handle_admin_run(struct sg_request *request);
void sg_handle_admin_why(struct sg_request *request);
/* admin.c */
void sg_handle_app_functions(struct sg_request *request);
void sg_handle_admin_apps(struct sg_request *request);
void sg_handle_admin_sync(struct sg_request *request);
/* admin_server.c */
void sg_handle_admin_server(struct sg_request *request);
/* page.c */
void sg_handle_page(struct sg_request *request);

#endif
