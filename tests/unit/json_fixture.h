/* Short words for the tests of the json room. */
#ifndef STEPGATE_TESTS_JSON_FIXTURE_H
#define STEPGATE_TESTS_JSON_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/json.h>

#include <string.h>

#define S(literal) SG_STR(literal)

/* The canonical form, or the error's message; valid until the next call. */
static inline const char *canonical_of(struct sg_str text, const struct sg_json_options *options)
{
    static struct sg_buf out;
    struct sg_error error;
    sg_buf_clear(&out);
    if (sg_json_canonicalize(text, options, &out, &error) != SG_OK)
        sg_buf_append(&out, sg_str_from(error.message));
    sg_buf_byte(&out, '\0');
    return out.ptr;
}

#define cr_assert_canonical(text, expected)                                                                                                \
    do {                                                                                                                                   \
        const char *got_ = canonical_of(sg_str_from(text), NULL);                                                                          \
        cr_assert(strcmp(got_, expected) == 0, "%s gives %s instead of %s", text, got_, expected);                                         \
    } while (0)

#endif
