/* Short words for the tests of the cel room. */
#ifndef STEPGATE_TESTS_CEL_FIXTURE_H
#define STEPGATE_TESTS_CEL_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/cel.h>

#include <string.h>

#define S(literal) SG_STR(literal)

/* The moment that now() gives in these tests: 2026-09-21T14:13:20Z. */
#define NOW_MS INT64_C(1790000000000)

/* Compiles with a check that must succeed. */
struct sg_cel_program *cel_compile(const char *text, enum sg_cel_check check);
/*
 * The value of an expression as text of a literal, or "error: ..." with what went wrong. `data` and `async_data` are JSON objects,
 * the data of the two events; NULL leaves the variable unbound. Valid until the next call.
 */
const char *cel_value(const char *text, const char *data, const char *async_data);
/* The same for the text of a key. */
const char *cel_key(const char *text, const char *data);
/* The whole error text of a check, "" if there is none. */
const char *cel_problem(const char *text, enum sg_cel_check check);
/* What is left of an expression when the data of `event` are known; the verdict too unless NULL. */
const char *cel_interpolated(const char *text, const char *data, enum sg_cel_verdict *verdict);

/* A text from printf's arguments; valid until the next call but one. */
const char *cel_text(const char *format, ...) SG_PRINTF(1, 2);

#define cr_assert_text(actual_, expected_)                                                                                                 \
    do {                                                                                                                                   \
        const char *got = (actual_);                                                                                                       \
        cr_assert(strcmp(got, expected_) == 0, "%s gives\n%s\ninstead of\n%s", #actual_, got, expected_);                                  \
    } while (0)

/* `data` and the value that `text` has with it. */
#define cr_assert_value(text, data, expected) cr_assert_text(cel_value(text, data, NULL), expected)
#define cr_assert_fails(text, data) cr_assert(strncmp(cel_value(text, data, NULL), "error: ", 7) == 0, "%s gives a value", text)

#endif
