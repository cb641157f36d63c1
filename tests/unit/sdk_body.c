/* Call bodies, byte for byte (reference/01 §7). */
#include "sdk_fixture.h"

#include <string.h>

#include <stepgate/json.h>

#include "sdk/body.h"

#define URL "http://localhost:3000/api/inngest?fnId=app-charge&stepId=step"

static struct run_fixture f;
static struct sg_id request_id;

static void open(void)
{
    run_fixture_open(&f);
    put_event(&f, 1, "demo/ev", json("{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000}"));
    cr_assert(sg_ulid_parse(SG_STR("01J9Z0Y5R4Q8K2W3N4B5C6D7E8"), &request_id));
}

static void close(void)
{
    run_fixture_close(&f);
}

TestSuite(sdk_body, .init = open, .fini = close);

static struct sg_str assemble(const struct sg_call *call)
{
    sg_buf_clear(&f.out);
    cr_assert(eq(int, sg_body_assemble(f.reader, call, request_id, &f.out, &f.error), SG_OK), "%s", f.error.message);
    struct sg_buf again;
    sg_buf_init(&again);
    cr_assert(eq(int, sg_json_canonicalize(sg_buf_str(&f.out), NULL, &again, NULL), SG_OK));
    cr_assert(sg_str_eq(sg_buf_str(&again), sg_buf_str(&f.out)), "the body is not canonical");
    sg_buf_free(&again);
    return sg_buf_str(&f.out);
}

Test(sdk_body, the_first_call)
{
    struct sg_call *call = make_call(&f, URL);
    assert_text(assemble(call),
                json("{'ctx':{'attempt':0,'disable_immediate_execution':false,'env':'','fn_id':'9892ce98-1f1a-5b28-aad8-3afa516bd61d',"
                     "'generation_id':1,'job_id':'77','max_attempts':5,'qi_id':'Nzc6MQ==','request_id':'01J9Z0Y5R4Q8K2W3N4B5C6D7E8',"
                     "'run_id':'01HXYZ0000000000000000000A','stack':{'current':0,'stack':[]},'step_id':'step','use_api':false},'defers':{},"
                     "'event':{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000,'user':{}},"
                     "'events':[{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000,'user':{}}],"
                     "'steps':{},'use_api':false,'version':-1}"));
    sg_call_free(call);
}

Test(sdk_body, memos_in_key_order_and_stack_in_order_of_completion)
{
    put_memo(&f, "bbb", 0, json("{'data':1}"));
    put_memo(&f, "aaa", 1, "null");
    put_memo(&f, "ccc", 2, json("{'data':'after the snapshot'}"));
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 2;
    call->cause = SG_STR("aaa");
    call->request_version = 2;
    call->is_plan_forced = true;
    call->attempt = 3;
    struct sg_str body = assemble(call);
    assert_contains(body, json("'steps':{'aaa':null,'bbb':{'data':1}}"));
    assert_contains(body, json("'stack':{'current':2,'stack':['bbb','aaa']}"));
    assert_contains(body, json("'disable_immediate_execution':true"));
    assert_contains(body, json("'attempt':3"));
    assert_contains(body, json("'version':2"));
    sg_call_free(call);
}

Test(sdk_body, an_unknown_cause_has_no_rank)
{
    put_memo(&f, "aaa", 0, "null");
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 1;
    call->cause = SG_STR("zzz");
    assert_contains(assemble(call), json("'current':0"));
    sg_call_free(call);
}

Test(sdk_body, ids_outside_of_the_basic_plane_are_in_canonical_order)
{
    put_memo(&f, "\xef\xac\xb3", 0, "1");     /* U+FB33 */
    put_memo(&f, "\xf0\x9f\x98\x80", 1, "2"); /* U+1F600: after in bytes, before in UTF-16 */
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 2;
    assert_contains(assemble(call), "\"steps\":{\"\xf0\x9f\x98\x80\":2,\"\xef\xac\xb3\":1}");
    sg_call_free(call);
}

Test(sdk_body, a_missing_memo_forbids_the_call)
{
    put_memo(&f, "aaa", 0, "null");
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 2;
    cr_assert(eq(int, sg_body_assemble(f.reader, call, request_id, &f.out, &f.error), SG_NOT_FOUND));
    sg_call_free(call);
}

Test(sdk_body, a_trimmed_event_forbids_the_call)
{
    static const int64_t gone[] = {9};
    struct sg_call *call = make_call(&f, URL);
    call->event_positions = gone;
    cr_assert(eq(int, sg_body_assemble(f.reader, call, request_id, &f.out, &f.error), SG_NOT_FOUND));
    assert_contains(sg_str_from(f.error.message), "position 9");
    sg_call_free(call);
}

Test(sdk_body, batches_carry_all_events)
{
    static const int64_t both[] = {1, 2};
    put_event(&f, 2, "demo/ev", json("{'data':{},'id':'e2','name':'demo/ev','ts':2,'user':{'id':7},'v':'1'}"));
    struct sg_call *call = make_call(&f, URL);
    call->event_positions = both;
    call->event_count = 2;
    struct sg_str body = assemble(call);
    assert_contains(body, json("'event':{'data':{'n':1},'id':'e1'"));
    assert_contains(body, json("'user':{}},{'data':{},'id':'e2','name':'demo/ev','ts':2,'user':{'id':7},'v':'1'}],'steps'"));
    sg_call_free(call);
}

static void put_large_memo(const char *id, int64_t seq, size_t len)
{
    char *text = malloc(len + 3);
    cr_assert(text != NULL);
    memset(text, 'x', len + 2);
    text[0] = '"';
    text[len + 1] = '"';
    text[len + 2] = '\0';
    put_memo(&f, id, seq, text);
    free(text);
}

Test(sdk_body, large_state_is_left_to_the_api)
{
    put_large_memo("aaa", 0, SG_LIMIT_INLINE_STATE_BYTES);
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 1;
    call->state_bytes = SG_LIMIT_INLINE_STATE_BYTES + 1;
    struct sg_str body = assemble(call);
    assert_contains(body, json("'steps':{},'use_api':true"));
    assert_contains(body, json("'step_id':'step','use_api':true}"));
    assert_contains(body, json("'stack':['aaa']"));
    assert_contains(body, json("'events':[{"));
    sg_call_free(call);
}

Test(sdk_body, a_body_over_the_limit_also_leaves_its_events_out)
{
    put_large_memo("aaa", 0, SG_LIMIT_REQUEST_BYTES);
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 1;
    struct sg_str body = assemble(call);
    cr_assert(body.len < 4096);
    assert_contains(body, json("'events':[],'steps':{},'use_api':true"));
    assert_contains(body, json("'event':{'data':{'n':1}"));
    sg_call_free(call);
}

Test(sdk_body, go_gets_everything_inline)
{
    put_large_memo("aaa", 0, SG_LIMIT_REQUEST_BYTES);
    struct sg_call *call = make_call(&f, URL);
    call->snapshot = 1;
    call->state_bytes = SG_LIMIT_REQUEST_BYTES;
    call->sdk = SG_STR("go:v0.15.1");
    struct sg_str body = assemble(call);
    cr_assert(body.len > SG_LIMIT_REQUEST_BYTES);
    assert_contains(body, json("'use_api':false"));
    sg_call_free(call);
}

Test(sdk_body, the_url_asks_for_the_target)
{
    struct sg_call *call = make_call(&f, URL);
    sg_call_url(call, &f.out);
    assert_text(sg_buf_str(&f.out), URL);
    sg_buf_clear(&f.out);
    call->target = SG_STR("86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
    sg_call_url(call, &f.out);
    assert_text(sg_buf_str(&f.out), "http://localhost:3000/api/inngest?fnId=app-charge&stepId=86f7e437faa5a7fce15d1ddcb9eaeaea377667b8");
    sg_call_free(call);
}

Test(sdk_body, qi_ids_come_back_as_they_went)
{
    static const int64_t jobs[] = {1, 77, 123456789, INT64_MAX};
    char text[SG_QI_ID_MAX];
    for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
        int64_t job_id;
        int32_t generation;
        size_t len = sg_qi_id_format(jobs[i], INT32_MAX, text);
        cr_assert(sg_qi_id_parse((struct sg_str){text, len}, &job_id, &generation));
        cr_assert(eq(i64, job_id, jobs[i]));
        cr_assert(eq(int, generation, INT32_MAX));
    }
    static const char *const bad[] = {"", "Nzc=", "Og==", "Nzc6", "eDp5", "!!!!", "Nzc6LTE=", "LTE6MQ=="};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t job_id;
        int32_t generation;
        cr_assert(not(sg_qi_id_parse(sg_str_from(bad[i]), &job_id, &generation)), "%s", bad[i]);
    }
}

/* ---- lifecycle events ---- */

Test(sdk_body, a_failed_event_is_made_from_its_run)
{
    static const int64_t events[] = {1};
    put_run(&f, SG_RUN_FAILED, json("{'message':'card refused'}"),
            json("{'error':'NonRetriableError','message':'card refused','name':'Error'}"), events, 1);
    put_event(&f, 2, "inngest/function.failed", NULL);
    cr_assert(eq(int, sg_event_read(f.reader, 2, &f.out, &f.error), SG_OK));
    assert_text(
        sg_buf_str(&f.out),
        json("{'data':{'_inngest':{'status':'Failed'},'error':{'error':'NonRetriableError','message':'card refused','name':'Error'},"
             "'event':{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000,'user':{}},"
             "'events':[{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000}],'function_id':'app-charge',"
             "'result':{'message':'card refused'},'run_id':'01HXYZ0000000000000000000A'},'id':'01HXYZ0000000000000000000A',"
             "'name':'inngest/function.failed','ts':1767225600000}"));
}

Test(sdk_body, a_finished_event_has_an_id_of_its_own)
{
    static const int64_t events[] = {1};
    put_run(&f, SG_RUN_COMPLETED, "5", NULL, events, 1);
    put_event(&f, 3, "inngest/function.finished", NULL);
    cr_assert(eq(int, sg_event_read(f.reader, 3, &f.out, &f.error), SG_OK));
    assert_contains(sg_buf_str(&f.out), json("'id':'00000000000000000000000003','name':'inngest/function.finished'"));
    assert_contains(sg_buf_str(&f.out), json("'result':5"));
}

Test(sdk_body, events_that_are_about_each_other_end_somewhere)
{
    static const int64_t events[] = {4};
    put_run(&f, SG_RUN_CANCELLED, NULL, NULL, events, 1);
    put_event(&f, 4, "inngest/function.cancelled", NULL);
    cr_assert(eq(int, sg_event_read(f.reader, 4, &f.out, &f.error), SG_TOO_DEEP));
}

Test(sdk_body, what_an_sdk_fetches_of_a_large_run)
{
    static const int64_t events[] = {1};
    put_run(&f, SG_RUN_RUNNING, NULL, NULL, events, 1);
    put_memo(&f, "aaa", 0, json("{'data':1}"));
    put_memo(&f, "bbb", 1, "null");
    cr_assert(eq(int, sg_run_events_read(f.reader, f.run_id, &f.out, &f.error), SG_OK));
    assert_text(sg_buf_str(&f.out), json("[{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000}]"));
    sg_buf_clear(&f.out);
    cr_assert(eq(int, sg_run_memos_read(f.reader, f.run_id, INT64_MAX, &f.out, &f.error), SG_OK));
    assert_text(sg_buf_str(&f.out), json("{'aaa':{'data':1},'bbb':null}"));
    sg_buf_clear(&f.out);
    cr_assert(eq(int, sg_run_events_read(f.reader, f.function_id, &f.out, &f.error), SG_NOT_FOUND));
}
