/* Sessions of an event: `meta.sessions` over `meta.propagated_sessions` (reference/03 §1.1.4). */
#ifndef STEPGATE_SERVER_EVENT_SESSIONS_H
#define STEPGATE_SERVER_EVENT_SESSIONS_H

#include <stepgate/base.h>

/*
 * Folds the two layers of `meta` (canonical JSON, or empty) into the stored `{"sessions":{…}}`, appended to `out`;
 * nothing if there are none. `where` begins the messages ("event 3: " or ""). SG_INVALID_ARGUMENT, SG_NO_MEMORY.
 */
enum sg_status sg_event_sessions_fold(struct sg_str meta, const char *where, struct sg_arena *arena, struct sg_buf *out,
                                      struct sg_error *error);

#endif
