/* Lines of what is to be sent, and the posting of what came of it: whose turn it is, and that nothing overtakes or is lost. */
#include "sdk_fixture.h"

#include <stddef.h>

#include "sdk/lines.h"
#include "sdk/posting.h"

struct thing {
    struct thing *next;
    int number;
};

static struct sg_id app_id(int number)
{
    return (struct sg_id){.bytes = {(uint8_t)number}};
}

static int take(struct sg_lines *lines, struct sg_line **line)
{
    struct thing *thing = sg_lines_take(lines, line);
    return thing != NULL ? thing->number : 0;
}

static void release_nothing(void *thing)
{
    (void)thing;
    cr_assert(0, "nothing waits");
}

Test(sdk_lines, apps_take_turns_and_lines_go_when_nothing_is_left)
{
    struct thing things[] = {{NULL, 11}, {NULL, 12}, {NULL, 13}, {NULL, 21}, {NULL, 22}};
    struct sg_lines lines = {0};
    struct sg_line *taken[5];
    sg_lines_init(&lines, offsetof(struct thing, next), 10);
    for (int i = 0; i < 5; i++)
        cr_assert(sg_lines_add(&lines, app_id(things[i].number / 10), &things[i]));

    const int expected[] = {11, 21, 12, 22, 13};
    for (int i = 0; i < 5; i++)
        cr_expect(eq(int, take(&lines, &taken[i]), expected[i]));
    struct sg_line *none;
    cr_expect(eq(int, take(&lines, &none), 0));
    for (int i = 0; i < 5; i++)
        sg_lines_done(&lines, taken[i]);

    cr_expect(eq(sz, lines.by_app.count, 0));
    sg_lines_free(&lines, release_nothing);
}

Test(sdk_lines, an_app_has_no_more_under_way_than_it_may)
{
    struct thing things[] = {{NULL, 11}, {NULL, 12}};
    struct sg_lines lines = {0};
    struct sg_line *line;
    struct sg_line *none;
    sg_lines_init(&lines, offsetof(struct thing, next), 1);
    for (int i = 0; i < 2; i++)
        cr_assert(sg_lines_add(&lines, app_id(1), &things[i]));

    cr_expect(eq(int, take(&lines, &line), 11));
    cr_expect(eq(int, take(&lines, &none), 0));
    sg_lines_done(&lines, line);
    cr_expect(eq(int, take(&lines, &line), 12));
    sg_lines_done(&lines, line);
    sg_lines_free(&lines, release_nothing);
}

/* ---- posting ---- */

struct receiver {
    enum sg_status status;
    int64_t jobs[4]; /* of the messages that were taken */
    int count;
    int left;
};

static enum sg_status receive(void *context, struct sg_message *message)
{
    struct receiver *receiver = context;
    if (receiver->status != SG_OK)
        return receiver->status;
    receiver->jobs[receiver->count++] = message->as.fetched.job_id;
    sg_message_free(message);
    return SG_OK;
}

static void note_left(void *context)
{
    ((struct receiver *)context)->left++;
}

static void post_job(struct sg_posting *posting, int64_t job_id)
{
    struct sg_message *message = sg_message_create(SG_MESSAGE_FETCHED);
    cr_assert(message != NULL);
    message->as.fetched.job_id = job_id;
    sg_posting_post(posting, message);
}

static struct sg_posting posting_to(struct receiver *receiver)
{
    return (struct sg_posting){.poster = {.post = receive, .context = receiver}, .left = note_left, .context = receiver};
}

Test(sdk_posting, nothing_overtakes_what_is_kept)
{
    struct receiver receiver = {.status = SG_QUEUE_FULL};
    struct sg_posting posting = posting_to(&receiver);
    post_job(&posting, 1);
    receiver.status = SG_OK; /* there is room again, but the first is still here */
    post_job(&posting, 2);
    cr_expect(eq(int, receiver.count, 0));
    cr_expect(eq(i64, atomic_load(&posting.kept), 2));

    sg_posting_again(&posting);
    post_job(&posting, 3);

    cr_expect(sg_posting_is_empty(&posting));
    cr_expect(eq(int, receiver.left, 3));
    for (int i = 0; i < 3; i++)
        cr_expect(eq(i64, receiver.jobs[i], i + 1));
    sg_posting_free(&posting);
}

Test(sdk_posting, a_process_that_ends_wants_nothing_any_more)
{
    struct receiver receiver = {.status = SG_SHUTTING_DOWN};
    struct sg_posting posting = posting_to(&receiver);

    post_job(&posting, 1);

    cr_expect(sg_posting_is_empty(&posting));
    cr_expect(eq(int, receiver.left, 1));
    sg_posting_free(&posting);
}
