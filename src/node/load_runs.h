/* The load of a bulk cancellation: the next live runs that it has to look at. */
#ifndef STEPGATE_NODE_LOAD_RUNS_H
#define STEPGATE_NODE_LOAD_RUNS_H

#include <stepgate/engine.h>
#include <stepgate/store.h>

/* Fills in message->as.loaded_runs but for id and status. SG_NOT_FOUND: the cancellation has been deleted. */
enum sg_status sg_load_runs(struct sg_store_reader *reader, struct sg_id cancellation_id, struct sg_message *message,
                            struct sg_error *error);

#endif
