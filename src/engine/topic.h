/* Topics: what concerns one event name beside triggers: who waits for it, and which of its events are still on their way. */
#ifndef STEPGATE_ENGINE_TOPIC_H
#define STEPGATE_ENGINE_TOPIC_H

#include "engine/event.h"
#include "engine/turn.h"

/* The topic of this name, or NULL if nothing concerns it. */
struct sg_topic *sg_topic_find(const struct sg_engine *engine, struct sg_str name);
/* The same, made if there is none; NULL if memory ran out. It lives until sg_topic_settle finds it unused. */
struct sg_topic *sg_topic_get(struct sg_engine *engine, struct sg_str name);
/* Something has changed: its first cursor goes on if it may, and a topic that concerns nobody any more is freed. */
void sg_topic_settle(struct sg_engine *engine, struct sg_topic *topic);

/* Whether an event that comes now has to queue behind earlier ones of its name, or behind an answer that waits for it. NULL: no. */
bool sg_topic_is_busy(const struct sg_topic *topic);
/*
 * An answer has come and is not applied at once: events of the names that it waits for are kept back from now on, so that its waits will see
 * them. Each hold is released with the same ops. Holding latches is_failed if memory runs out; releasing cannot fail.
 */
void sg_topic_hold(struct sg_turn *turn, const struct sg_op *ops, size_t count);
void sg_topic_release(struct sg_engine *engine, const struct sg_op *ops, size_t count);

/*
 * Answers the pauses that match the event and cancels the runs that it cancels, until about `writes_max` writes were made. True if none is left: whoever
 * calls again goes on where it stopped, since what was dealt with waits no more.
 */
bool sg_topic_wake(struct sg_turn *turn, struct sg_topic *topic, const struct sg_event *event, size_t writes_max);

#endif
