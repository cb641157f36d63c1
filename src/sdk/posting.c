/*
 * Posting.
 *
 * The model. A message goes to the inbox at once unless others wait before it. The inbox may be full for a moment; a process that ends takes none, and then
 * the message is dropped, since nobody will commit what it says: the work it belongs to is done again after the restart.
 */
#include "sdk/posting.h"

/* False: it must be offered again. */
static bool offer(struct sg_posting *posting, struct sg_message *message)
{
    enum sg_status status = posting->poster.post(posting->poster.context, message);
    if (status == SG_SHUTTING_DOWN)
        sg_message_free(message);
    else if (status != SG_OK)
        return false;
    posting->left(posting->context);
    return true;
}

void sg_posting_post(struct sg_posting *posting, struct sg_message *message)
{
    if (posting->first == NULL && offer(posting, message))
        return;
    message->next = NULL;
    if (posting->first == NULL)
        posting->first = message;
    else
        posting->last->next = message;
    posting->last = message;
    atomic_fetch_add(&posting->kept, 1);
}

void sg_posting_again(struct sg_posting *posting)
{
    while (posting->first != NULL) {
        struct sg_message *message = posting->first;
        struct sg_message *next = message->next;
        if (!offer(posting, message))
            return;
        posting->first = next;
        atomic_fetch_sub(&posting->kept, 1);
    }
}

void sg_posting_free(struct sg_posting *posting)
{
    while (posting->first != NULL) {
        struct sg_message *next = posting->first->next;
        sg_message_free(posting->first);
        posting->first = next;
    }
}
