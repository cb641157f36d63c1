/*
 * The engine's inbox: any number of threads put messages in, the engine thread takes all that wait.
 *
 * Messages from clients are bounded in number and bytes (SG_QUEUE_FULL). Internal ones (answers, loads, registrations by sync) always fit:
 * each belongs to a call, a load or a sync, and those are bounded where they begin.
 */
#ifndef STEPGATE_NODE_INBOX_H
#define STEPGATE_NODE_INBOX_H

#include <stepgate/engine.h>

struct sg_inbox;

/* messages_max and bytes_max are for clients' messages. */
enum sg_status sg_inbox_create(int64_t messages_max, int64_t bytes_max, struct sg_inbox **inbox, struct sg_error *error);
/* Frees what is still inside, without replies. NULL is fine. */
void sg_inbox_free(struct sg_inbox *inbox);

/* ---- any thread ---- */

/* A client's message. On SG_OK it has been taken; SG_QUEUE_FULL and SG_SHUTTING_DOWN (closed) leave it with the caller. */
enum sg_status sg_inbox_post(struct sg_inbox *inbox, struct sg_message *message);
/*
 * Takes a client message's place without putting it in, for one that goes through a lookup first: sg_inbox_post_reserved then cannot fail. The
 * size of a reserved message is that of its arena at this moment.
 */
enum sg_status sg_inbox_reserve(struct sg_inbox *inbox, const struct sg_message *message);
/* `bytes` is what sg_inbox_reserve counted (the arena may have grown since): see sg_inbox_message_bytes. */
void sg_inbox_post_reserved(struct sg_inbox *inbox, struct sg_message *message, size_t bytes);
size_t sg_inbox_message_bytes(const struct sg_message *message);
/* Gives a reserved place back: the message was refused on its way. */
void sg_inbox_unreserve(struct sg_inbox *inbox, size_t bytes);
/* Always fits. */
void sg_inbox_post_internal(struct sg_inbox *inbox, struct sg_message *message);
/* Wakes the engine thread from sg_inbox_wait for another reason than a message. */
void sg_inbox_wake(struct sg_inbox *inbox);
/* From now on clients' messages are refused; reserved and internal ones still come in. */
void sg_inbox_close(struct sg_inbox *inbox);
/* Clients' messages that wait or have a place reserved. */
int64_t sg_inbox_waiting(struct sg_inbox *inbox);
/* Bytes of those. */
int64_t sg_inbox_bytes(struct sg_inbox *inbox);
bool sg_inbox_is_empty(struct sg_inbox *inbox);

/* ---- the engine thread ---- */

/*
 * Takes at most `messages_max` messages, linked by `next`, NULL if none wait. What concerns runs that exist (answers, loads, checkpoints,
 * cancellations) comes before events and registrations, each in order of arrival, so that a wait reported now meets the event that came with
 * it; a quarter of the places is kept for events, so answers never starve them.
 */
struct sg_message *sg_inbox_take(struct sg_inbox *inbox, int messages_max);
/*
 * Sleeps until sg_inbox_wake, until a message waits (if `for_messages`), or until `timeout_ns` from now have passed (negative: never), also until
 * somebody sets the wall clock. May return early.
 */
void sg_inbox_wait(struct sg_inbox *inbox, bool for_messages, int64_t timeout_ns);

#endif
