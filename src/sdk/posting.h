/*
 * Posting: messages that must reach the engine's inbox. One that cannot be taken now is kept, in order, and offered again. One thread owns it; how many
 * are kept may be read by any.
 */
#ifndef STEPGATE_SDK_POSTING_H
#define STEPGATE_SDK_POSTING_H

#include <stdatomic.h>

#include <stepgate/engine.h>

#define SG_REPOST_MS 10 /* ours: how soon a message is offered again */

struct sg_posting {
    struct sg_poster poster;
    void (*left)(void *context); /* a message has left: posted, or not wanted any more because the process ends */
    void *context;
    struct sg_message *first;
    struct sg_message *last;
    atomic_llong kept;
};

/* Takes the message. */
void sg_posting_post(struct sg_posting *posting, struct sg_message *message);
/* Offers what is kept. */
void sg_posting_again(struct sg_posting *posting);
static inline bool sg_posting_is_empty(const struct sg_posting *posting)
{
    return posting->first == NULL;
}
/* Frees what is kept. */
void sg_posting_free(struct sg_posting *posting);

#endif
