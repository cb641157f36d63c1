/*
 * What the sdk room's tests share: comparing texts, a store in memory with one run in it, and calls made by hand.
 */
#ifndef STEPGATE_TESTS_SDK_FIXTURE_H
#define STEPGATE_TESTS_SDK_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <stepgate/engine.h>
#include <stepgate/store.h>

/* Fails with both texts if they differ. */
#define assert_text(given, expected) assert_text_at(given, expected, __FILE__, __LINE__)
void assert_text_at(struct sg_str given, const char *expected, const char *file, int line);
#define assert_contains(given, part) assert_contains_at(given, part, __FILE__, __LINE__)
void assert_contains_at(struct sg_str given, const char *part, const char *file, int line);

/* ' becomes ", so that JSON in tests can be read; in a buffer that lives until the next 16 calls. */
const char *json(const char *text);

/* ---- a store with a run ---- */

struct run_fixture {
    struct sg_store *store;
    struct sg_store_reader *reader;
    struct sg_id run_id;
    struct sg_id function_id;
    struct sg_buf out;
    struct sg_error error;
};

void run_fixture_open(struct run_fixture *f);
void run_fixture_close(struct run_fixture *f);
/* Writes an event's row; body NULL: a lifecycle event about the fixture's run. */
void put_event(struct run_fixture *f, int64_t position, const char *name, const char *body);
/* A memo of the fixture's run. */
void put_memo(struct run_fixture *f, const char *step_id, int64_t seq, const char *bytes);
/* The row of the fixture's run and of its function, with these events. */
void put_run(struct run_fixture *f, enum sg_run_status status, const char *output, const char *error, const int64_t *positions,
             size_t count);
/* A call of that run about the event at position 1, to be changed by the test. sg_call_free. */
struct sg_call *make_call(struct run_fixture *f, const char *url);

#endif
