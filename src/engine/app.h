/* Apps, their functions, and who listens to which event name. */
#ifndef STEPGATE_ENGINE_APP_H
#define STEPGATE_ENGINE_APP_H

#include "engine/turn.h"

void sg_app_register(struct sg_turn *turn, struct sg_message *message);
void sg_app_sync_failed(struct sg_turn *turn, struct sg_message *message);
void sg_app_remove(struct sg_turn *turn, struct sg_message *message);

/*
 * The function of a durable endpoint, which comes into being with its first run, as does its app. NULL: there are too many apps of this kind, or
 * memory ran out (turn->is_failed).
 */
struct sg_function *sg_app_endpoint(struct sg_turn *turn, const struct sg_http_run_in *in);

/*
 * The functions that an event starts: they listen to its name, were registered before its log position, and one of their triggers has no expression or
 * a true one. Each once, ordered by id: an array in the engine's scratch arena. *count is 0 and NULL returned if there are none; NULL with
 * turn->is_failed if memory ran out. `body` is the event as stored; it is parsed only if an expression asks for it.
 */
struct sg_function **sg_app_listeners(struct sg_turn *turn, struct sg_str event_name, struct sg_str body, int64_t position, size_t *count);
/* Whether any function might. */
bool sg_app_has_listener(const struct sg_engine *engine, struct sg_str event_name);

/* Start-up. */
enum sg_status sg_app_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error);
enum sg_status sg_function_restore(struct sg_engine *engine, const struct sg_record *record, struct sg_error *error);
/* Connects functions to their apps and fills the table of listeners; false if memory ran out. */
bool sg_app_restored(struct sg_engine *engine);
void sg_app_free_all(struct sg_engine *engine);

/* Whether the app is one of durable endpoints: nobody registered it, and only its clients' requests start its functions. */
bool sg_app_is_endpoint(const struct sg_app *app);

#endif
