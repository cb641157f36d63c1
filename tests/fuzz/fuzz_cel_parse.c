/*
 * Any bytes as an expression: every check answers, and what parses is printed as a text that parses to the same tree again.
 */
#include <assert.h>

#include "cel/node.h"
#include "cel/unparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_str text = {(const char *)data, size};
    struct sg_buf problem = {0};
    (void)sg_cel_diagnose(text, SG_CEL_CHECK_FULL, &problem);
    (void)sg_cel_diagnose(text, SG_CEL_CHECK_RESTRICTED, &problem);
    sg_buf_free(&problem);

    struct sg_cel_program *program;
    if (sg_cel_compile(text, SG_CEL_CHECK_PARSE, &program, NULL) != SG_OK)
        return 0;
    struct sg_buf once = {0};
    struct sg_buf twice = {0};
    struct sg_cel_program *again;
    sg_cel_unparse(program->tree.root, program->tree.constants, &once);
    enum sg_status status = sg_cel_compile(sg_buf_str(&once), SG_CEL_CHECK_STORED, &again, NULL);
    assert(status == SG_OK);
    sg_cel_unparse(again->tree.root, again->tree.constants, &twice);
    assert(sg_str_eq(sg_buf_str(&once), sg_buf_str(&twice)));
    sg_buf_free(&once);
    sg_buf_free(&twice);
    sg_cel_program_free(program);
    sg_cel_program_free(again);
    return 0;
}
