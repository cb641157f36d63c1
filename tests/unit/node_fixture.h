/* What the node's tests share: waiting for a condition with a deadline, and messages to send around. */
#ifndef STEPGATE_TESTS_NODE_FIXTURE_H
#define STEPGATE_TESTS_NODE_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <time.h>

#include <stepgate/engine.h>
#include <stepgate/store.h>

#include "node/clock.h"

/* Far beyond what anything here takes, also under a sanitizer on a busy machine. */
#define DEADLINE_NS (20LL * 1000 * 1000 * 1000)

/* Waits until the condition holds; fails the test if it does not within the deadline. */
#define WAIT_UNTIL(condition)                                                                                                              \
    do {                                                                                                                                   \
        int64_t until_ns = sg_monotonic_now_ns() + DEADLINE_NS;                                                                            \
        while (!(condition)) {                                                                                                             \
            cr_assert(sg_monotonic_now_ns() < until_ns, "did not happen: %s", #condition);                                                 \
            nanosleep(&(struct timespec){0, 200000}, NULL);                                                                                \
        }                                                                                                                                  \
    } while (0)

#define assert_ok(call) cr_assert(eq(int, (int)(call), SG_OK))

static inline struct sg_message *message_of(enum sg_message_kind kind)
{
    struct sg_message *message = sg_message_create(kind);
    cr_assert(ne(ptr, message, NULL));
    return message;
}

/* A write of a setting; the texts are literals. */
static inline struct sg_write setting_write(const char *name, const char *value)
{
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = SG_KIND_SETTING}};
    write.record.values[SG_SETTING_NAME] = sg_value_bytes(sg_str_from(name));
    write.record.values[SG_SETTING_VALUE] = sg_value_bytes(sg_str_from(value));
    return write;
}

#endif
