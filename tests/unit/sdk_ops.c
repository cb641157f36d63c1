/* Op lists, with what SDKs were seen to send (reference/01 §8.2, reference/02 §1, §7). */
#include "sdk_fixture.h"

#include <string.h>

#include <stepgate/json.h>

#include "sdk/ops.h"

static struct sg_arena arena;
static struct sg_op *ops;
static size_t count;
static struct sg_error error;

static void finish(void)
{
    sg_arena_free(&arena);
}

TestSuite(sdk_ops, .fini = finish);

static enum sg_status decode(const char *text)
{
    sg_arena_free(&arena);
    sg_arena_init(&arena);
    return sg_ops_decode(sg_str_from(json(text)), NULL, &arena, &ops, &count, &error);
}

static void refused(const char *text, const char *part)
{
    cr_assert(eq(int, decode(text), SG_BAD_RESPONSE), "%s", text);
    assert_contains(sg_str_from(error.message), part);
}

Test(sdk_ops, v4_step_run)
{
    cr_assert(eq(int,
                 decode("[{'id':'86f7e437faa5a7fce15d1ddcb9eaeaea377667b8','op':'StepRun','name':'a','opts':{},'displayName':'A!',"
                        "'userland':{'id':'a'},'data':{'y':1.50,'x':1},'timing':{'a':1795477286804000000,'b':2000000}}]"),
                 SG_OK));
    cr_assert(eq(sz, count, 1));
    cr_assert(eq(int, ops[0].code, SG_OP_STEP_RUN));
    assert_text(ops[0].id, "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
    assert_text(ops[0].name, "a");
    assert_text(ops[0].display_name, "A!");
    assert_text(ops[0].data, json("{'x':1,'y':1.5}"));
    assert_text(ops[0].opts, "{}");
    cr_assert(eq(i64, ops[0].started_at_ns, 1795477286804000000));
    cr_assert(eq(i64, ops[0].duration_ns, 2000000));
    cr_assert(not(ops[0].is_race));
}

Test(sdk_ops, v2_step_has_few_members)
{
    cr_assert(eq(int, decode("[{'op':'Step','id':'55e661','name':'a','data':{'x':1}}]"), SG_OK));
    cr_assert(eq(int, ops[0].code, SG_OP_STEP));
    assert_text(ops[0].display_name, "a");
    cr_assert(eq(sz, ops[0].opts.len, 0));
}

Test(sdk_ops, an_empty_array_is_one_none)
{
    cr_assert(eq(int, decode("  [ ] "), SG_OK));
    cr_assert(eq(sz, count, 1));
    cr_assert(eq(int, ops[0].code, SG_OP_NONE));
    assert_text(ops[0].data, "null");
}

Test(sdk_ops, a_single_object_is_a_list_of_one)
{
    cr_assert(eq(int, decode("{'op':'RunComplete','id':'0737','data':[1]}"), SG_OK));
    cr_assert(eq(int, ops[0].code, SG_OP_RUN_COMPLETE));
    assert_text(ops[0].data, "[1]");
}

Test(sdk_ops, a_missing_op_is_none_and_case_does_not_matter)
{
    cr_assert(eq(int, decode("[{'id':''},{'op':'AiGateway','id':'x'}]"), SG_OK));
    cr_assert(eq(int, ops[0].code, SG_OP_NONE));
    cr_assert(eq(int, ops[1].code, SG_OP_AI_GATEWAY));
}

Test(sdk_ops, a_sleep_has_its_duration_in_the_name_or_in_the_options)
{
    cr_assert(eq(int,
                 decode("[{'op':'Sleep','id':'z','name':'1m','opts':{}},{'op':'Sleep','id':'y','name':'y','opts':{'duration':'2h'}},"
                        "{'op':'Sleep','id':'x','name':''}]"),
                 SG_OK));
    assert_text(ops[0].duration, "1m");
    assert_text(ops[1].duration, "2h");
    assert_text(ops[2].duration, "");
}

Test(sdk_ops, race_is_recognised_in_any_case)
{
    cr_assert(
        eq(int, decode("[{'op':'StepPlanned','id':'a','opts':{'parallelMode':'RACE'}},{'op':'StepPlanned','id':'b','opts':{}}]"), SG_OK));
    cr_assert(ops[0].is_race);
    cr_assert(not(ops[1].is_race));
}

Test(sdk_ops, an_error_keeps_what_it_has_but_the_marker)
{
    cr_assert(eq(int,
                 decode("[{'op':'StepError','id':'s','error':{'name':'Error','message':'step boom','stack':'x','__serialized':true,"
                        "'data':{'k':1},'code':'E'}}]"),
                 SG_OK));
    assert_text(ops[0].error, json("{'code':'E','data':{'k':1},'message':'step boom','name':'Error','stack':'x'}"));
}

Test(sdk_ops, an_error_always_has_string_name_and_message)
{
    cr_assert(eq(int, decode("[{'op':'StepFailed','id':'s','error':{'stack':null,'message':5}}]"), SG_OK));
    assert_text(ops[0].error, json("{'message':'5','name':'Error'}"));
    cr_assert(eq(int, decode("[{'op':'StepFailed','id':'s','error':{'error':'why','zz':1,'\\u0001':2}}]"), SG_OK));
    assert_text(ops[0].error, json("{'\\u0001':2,'error':'why','message':'why','name':'Error','zz':1}"));
    cr_assert(eq(int, decode("[{'op':'StepFailed','id':'s','error':{}}]"), SG_OK));
    assert_text(ops[0].error, json("{'message':'Unknown error','name':'Error'}"));
}

Test(sdk_ops, junk_members_are_ignored)
{
    cr_assert(eq(int,
                 decode("[{'op':'StepRun','id':'a','mode':'sync','rawArgs':['a',null],'promise':{},'middleware':{'id':'not this'},"
                        "'timing':{'a':'x'},'name':7,'data':1}]"),
                 SG_OK));
    assert_text(ops[0].id, "a");
    assert_text(ops[0].name, "");
    assert_text(ops[0].data, "1");
    cr_assert(eq(i64, ops[0].started_at_ns, 0));
}

Test(sdk_ops, the_reference_garbage_is_refused)
{
    refused("{'broken", "error reading the op list");
    refused("[null]", "op 0: expected an object, got null");
    refused("[{'id':'x','op':'NoSuchOp'}]", "unknown opcode \"NoSuchOp\"");
    refused("[{'id':'x','op':'StepError'}]", "StepError without an `error` object");
}

Test(sdk_ops, other_garbage_is_refused)
{
    refused("", "empty");
    refused("   ", "empty");
    refused("5", "got number");
    refused("[{'op':5,'id':'x'}]", "`op` must be a string");
    refused("[{'op':'StepRun'}]", "no `id`");
    refused("[{'op':'StepRun','id':7}]", "`id` must be a string");
    refused("[{'op':'StepRun','id':'x','data':NaN}]", "error reading the op list");
    refused("[{'op':'StepRun','id':'x'}] trailing", "error reading the op list");
}

Test(sdk_ops, a_thousand_ops_are_a_list_and_one_more_is_not)
{
    struct sg_buf text;
    sg_buf_init(&text);
    for (int total = 1000; total <= 1001; total++) {
        sg_buf_clear(&text);
        for (int i = 0; i < total; i++)
            sg_buf_printf(&text, "%c{\"op\":\"StepPlanned\",\"id\":\"s%d\"}", i == 0 ? '[' : ',', i);
        sg_buf_byte(&text, ']');
        sg_arena_free(&arena);
        sg_arena_init(&arena);
        cr_assert(eq(int, sg_ops_decode(sg_buf_str(&text), NULL, &arena, &ops, &count, &error), total == 1000 ? SG_OK : SG_TOO_MANY));
    }
    sg_buf_free(&text);
}

static enum sg_status decode_with_text(const char *before, size_t len, const char *after)
{
    struct sg_buf text;
    sg_buf_init(&text);
    sg_buf_append(&text, sg_str_from(json(before)));
    for (size_t i = 0; i < len; i++)
        sg_buf_byte(&text, 'x');
    sg_buf_append(&text, sg_str_from(json(after)));
    sg_arena_free(&arena);
    sg_arena_init(&arena);
    enum sg_status status = sg_ops_decode(sg_buf_str(&text), NULL, &arena, &ops, &count, &error);
    sg_buf_free(&text);
    return status;
}

Test(sdk_ops, an_output_is_limited_as_the_memo_it_becomes)
{
    size_t fits = SG_LIMIT_STEP_OUTPUT_BYTES - 9 - 2;
    cr_assert(eq(int, decode_with_text("[{'op':'StepRun','id':'big','data':'", fits, "'}]"), SG_OK));
    cr_assert(eq(int, decode_with_text("[{'op':'StepRun','id':'big','data':'", fits + 1, "'}]"), SG_BAD_RESPONSE));
    assert_contains(sg_str_from(error.message), "error validating generator opcode big: step output size is greater than the limit");
}

Test(sdk_ops, an_input_is_limited)
{
    cr_assert(
        eq(int, decode_with_text("[{'op':'StepRun','id':'big','opts':{'input':['", SG_LIMIT_STEP_INPUT_BYTES, "']}}]"), SG_BAD_RESPONSE));
    assert_contains(sg_str_from(error.message), "step input size is greater than the limit");
}

Test(sdk_ops, long_ids_are_refused_and_long_names_are_cut)
{
    cr_assert(eq(int, decode_with_text("[{'op':'StepRun','id':'", SG_LIMIT_STEP_ID_BYTES, "'}]"), SG_OK));
    cr_assert(eq(int, decode_with_text("[{'op':'StepRun','id':'", SG_LIMIT_STEP_ID_BYTES + 1, "'}]"), SG_BAD_RESPONSE));
    cr_assert(eq(int, decode_with_text("[{'op':'StepRun','id':'a','displayName':'", SG_LIMIT_STEP_NAME_BYTES - 1, "\xc3\xa9'}]"), SG_OK));
    cr_assert(eq(sz, ops[0].display_name.len, SG_LIMIT_STEP_NAME_BYTES - 1), "not in the middle of a character");
}

Test(sdk_ops, deep_json_is_refused)
{
    struct sg_buf text;
    sg_buf_init(&text);
    for (int i = 0; i < 100000; i++)
        sg_buf_byte(&text, '[');
    sg_arena_init(&arena);
    cr_assert(eq(int, sg_ops_decode(sg_buf_str(&text), NULL, &arena, &ops, &count, &error), SG_BAD_RESPONSE));
    sg_buf_free(&text);
}
