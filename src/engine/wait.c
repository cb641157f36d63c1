/*
 * waitForEvent: the condition of a wait.
 *
 * The model. A condition that no event could ever be held against is a mistake in the user's code, so the run fails where it was reported, with the
 * place in the text, instead of waiting for its timeout. An absent `if` matches every event of the name; an empty one is a mistake, too.
 *
 * What is not here: the waiting itself, which this version refuses by name (answer.c).
 */
#include "engine/wait.h"

#include <stepgate/cel.h>
#include <stepgate/json.h>

#include "engine/run.h"

bool sg_wait_check(struct sg_turn *turn, struct sg_run *run, const struct sg_op *op)
{
    struct sg_str text;
    struct sg_str condition = sg_json_get(op->opts, SG_STR("if"));
    if (sg_json_kind_of(condition) != SG_JSON_STRING)
        return true;
    struct sg_buf why;
    sg_buf_init(&why);
    enum sg_status status = sg_json_to_str(condition, &turn->engine->scratch, &text);
    if (status == SG_OK)
        status = sg_cel_diagnose(text, SG_CEL_CHECK_FULL, &why);
    if (status == SG_NO_MEMORY || why.is_failed)
        turn->is_failed = true;
    bool is_valid = status == SG_OK || turn->is_failed;
    if (!is_valid)
        sg_run_fail_with(turn, run,
                         &(struct sg_run_error){.name = SG_STR("InvalidExpression"),
                                                .error = SG_STR("InvalidExpression: Wait for event If expression failed to compile"),
                                                .message = SG_STR("Wait for event If expression failed to compile"),
                                                .stack = sg_buf_str(&why)});
    sg_buf_free(&why);
    return is_valid;
}
