/* Every vector of the reference, and the list of those that come out differently on purpose. */
#include "cel_fixture.h"

#include <stdio.h>

#include "cel/vectors.h"

static void read_file(const char *name, struct sg_buf *out)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/tests/vectors/cel/%s", SG_TEST_SRCDIR, name);
    FILE *file = fopen(path, "rb");
    cr_assert(file != NULL, "%s cannot be opened", path);
    for (size_t count = 1; count > 0;) {
        cr_assert(sg_buf_reserve(out, 65536));
        count = fread(out->ptr + out->len, 1, 65536, file);
        out->len += count;
    }
    fclose(file);
}

static struct sg_cel_tally run_file(const char *name)
{
    struct sg_buf text = {0};
    struct sg_buf out = {0};
    struct sg_cel_tally tally;
    read_file(name, &text);
    cr_assert(eq(int, sg_cel_vectors_run(sg_buf_str(&text), NOW_MS, &out, &tally), SG_OK));
    cr_assert(tally.failed == 0, "%zu lines fail:\n%.*s", tally.failed, SG_FMT(sg_buf_str(&out)));
    sg_buf_free(&text);
    sg_buf_free(&out);
    return tally;
}

Test(cel_vectors, every_line_of_the_reference_passes)
{
    struct sg_cel_tally tally = run_file("reference.jsonl");
    cr_assert(eq(sz, tally.passed, 1332));
}

Test(cel_vectors, deviations_are_those_of_the_list_and_all_of_them_occur)
{
    struct sg_cel_tally tally = run_file("reference.jsonl");
    struct sg_buf list = {0};
    sg_cel_deviations_print(&list);
    size_t lines = 0;
    for (size_t i = 0; i < list.len; i++)
        lines += list.ptr[i] == '\n';
    cr_assert(eq(sz, tally.deviations, lines));
    sg_buf_free(&list);
}

Test(cel_vectors, a_line_that_fails_is_named_with_what_was_expected_and_what_came)
{
    struct sg_buf out = {0};
    struct sg_cel_tally tally;
    struct sg_str text = S("{\"expr\":\"1 + 1\",\"vars\":{},\"result\":{\"int\":\"2\"}}\n"
                           "{\"expr\":\"1 + 1\",\"vars\":{},\"result\":{\"double\":2}}\n"
                           "{\"expr\":\"1 +\",\"vars\":{},\"result\":true}\n"
                           "{\"expr\":\"1\",\"vars\":{},\"error\":\"x\"}\n"
                           "nonsense\n");
    cr_assert(eq(int, sg_cel_vectors_run(text, NOW_MS, &out, &tally), SG_OK));
    cr_assert(eq(sz, tally.passed, 1));
    cr_assert(eq(sz, tally.failed, 4));
    sg_buf_byte(&out, '\0');
    cr_assert(strstr(out.ptr, "line 2: 1 + 1\n    expected {\"double\": 2}\n    actual   2\n") != NULL, "%s", out.ptr);
    cr_assert(strstr(out.ptr, "line 3: 1 +\n    expected true\n    actual   error: compile 1:4: Syntax error") != NULL, "%s", out.ptr);
    cr_assert(strstr(out.ptr, "line 4: 1\n    expected error: x\n    actual   1\n") != NULL, "%s", out.ptr);
    cr_assert(strstr(out.ptr, "line 5: not a JSON object") != NULL, "%s", out.ptr);
    sg_buf_free(&out);
}
