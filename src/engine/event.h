/* Events: into the log, and on to the functions that listen. */
#ifndef STEPGATE_ENGINE_EVENT_H
#define STEPGATE_ENGINE_EVENT_H

#include "engine/turn.h"

void sg_events_accept(struct sg_turn *turn, struct sg_message *message);

/* Events that start runs without lifecycle events of their own: function.failed and function.finished (reference/02 §6.4). */
bool sg_event_is_final(struct sg_str name);
/* Appends an event of our own to the log, and nothing else; its position. `name` and `body` live as long as the batch. */
int64_t sg_event_append(struct sg_turn *turn, struct sg_id internal_id, struct sg_str name, int64_t ts_ms, struct sg_str body);
/* Appends the lifecycle events of a run that ends, and cursors for those that somebody listens to. The position of function.finished. */
int64_t sg_event_lifecycle(struct sg_turn *turn, const struct sg_run *run, enum sg_run_status status);

/* An event on its way to consumers: what scheduling needs to know of it. */
struct sg_event {
    int64_t position;
    struct sg_id internal_id;
    struct sg_str name;
    struct sg_str body;
    int64_t ts_ms;
    struct sg_id key; /* all zero: no duplicate is possible */
    const struct sg_known_key *known;
    size_t known_count;
};
/*
 * An event goes to the pauses that it answers, the runs that it cancels, and the functions that listen to it. As below for the functions; the others need no
 * cursor, since they wait no more once they have been dealt with.
 */
bool sg_event_deliver(struct sg_turn *turn, const struct sg_event *event, struct sg_id *after, size_t writes_max);
/*
 * Offers the event to the listening functions with an id above `after`, in order, until about `writes_max` writes were made. True if all have been
 * offered; otherwise *after is the last one that was.
 */
bool sg_event_offer(struct sg_turn *turn, const struct sg_event *event, struct sg_id *after, size_t writes_max);

/* Remembers a key until every lookup sees what this commit writes. */
void sg_event_recent_add(struct sg_turn *turn, struct sg_id mix);

#endif
