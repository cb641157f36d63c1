/* Running out of memory at every single allocation: reported as such or survived with the same result, never anything else. */
#include "sdk_fixture.h"

#include <stepgate/crypto.h>

#include "base/alloc.h"
#include "sdk/answer.h"
#include "sdk/body.h"
#include "sdk/judge.h"
#include "sdk/registration.h"

#define ALLOCATIONS_MAX 20000

/* Runs `attempt` with the first, second, ... allocation failing until none fails any more. */
static void exhaust(enum sg_status (*attempt)(struct sg_buf *result))
{
    struct sg_buf right;
    struct sg_buf given;
    sg_buf_init(&right);
    sg_buf_init(&given);
    cr_assert(eq(int, attempt(&right), SG_OK));
    for (uint64_t nth = 1; nth < ALLOCATIONS_MAX; nth++) {
        sg_buf_free(&given);
        cr_assert(sg_buf_reserve(&given, right.len + 1));
        sg_alloc_fail_at(nth, false);
        enum sg_status status = attempt(&given);
        bool has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        cr_assert(status == SG_OK || status == SG_NO_MEMORY, "allocation %d: %s", (int)nth, sg_status_code(status));
        cr_assert(status != SG_OK || sg_str_eq(sg_buf_str(&given), sg_buf_str(&right)), "allocation %d", (int)nth);
        if (!has_failed) {
            cr_assert(eq(int, status, SG_OK));
            sg_buf_free(&right);
            sg_buf_free(&given);
            return;
        }
    }
    cr_fail("still failing");
}

static enum sg_status decode_answer(int status, const char *body, struct sg_buf *result)
{
    struct sg_answer_input input = {.http_status = status, .body = sg_str_from(body), .wall_now_ms = 1};
    if (status != 502 && status != 413)
        input.headers.values[SG_HEADER_SDK] = SG_STR("inngest-js:v4.24.0");
    struct sg_arena arena;
    struct sg_answer answer;
    sg_arena_init(&arena);
    enum sg_status verdict = sg_answer_decode(&input, &arena, &answer);
    if (verdict == SG_OK) {
        sg_buf_append(result, answer.output);
        sg_buf_append(result, answer.error);
        for (size_t i = 0; i < answer.op_count; i++) {
            sg_buf_append(result, answer.ops[i].id);
            sg_buf_append(result, answer.ops[i].error);
        }
    }
    sg_arena_free(&arena);
    return verdict;
}

static enum sg_status decode_ops(struct sg_buf *result)
{
    return decode_answer(
        206,
        "[{\"op\":\"StepError\",\"id\":\"a\\u0062\",\"error\":{\"message\":5,\"stack\":null,\"z\":1}},{\"op\":\"Sleep\",\"id\":\"z\"}]",
        result);
}

static enum sg_status decode_stream(struct sg_buf *result)
{
    return decode_answer(201, " {\"status\":200,\"headers\":{\"a\\u0062\":\"c\"},\"body\":\"\\\"done\\\"\"}", result);
}

static enum sg_status decode_failure(struct sg_buf *result)
{
    return decode_answer(500, "\"{\\\"message\\\":\\\"boom\\\",\\\"error\\\":\\\"{}\\\"}\"", result);
}

static enum sg_status decode_foreign(struct sg_buf *result)
{
    return decode_answer(502, "<html>", result);
}

Test(sdk_memory, answers)
{
    exhaust(decode_ops);
    exhaust(decode_stream);
    exhaust(decode_failure);
    exhaust(decode_foreign);
}

static enum sg_status decode_registration(struct sg_buf *result)
{
    static const char body[] = "{\"appName\":\"a\",\"url\":\"http://127.0.0.1:3000/"
                               "x?deployId=1&b=2\",\"functions\":[{\"id\":\"\",\"name\":\"F n\",\"triggers\":[{\"event\":"
                               "\"a\\u0062\",\"if\":\"event.data.x == "
                               "1\"}],\"steps\":{\"step\":{\"id\":\"step\",\"name\":\"step\",\"runtime\":{\"url\":\"http://h/x\"}}},"
                               "\"throttle\":{\"period\":\"5s\"}}],\"sdk\":\"js:v4.24.0\"}";
    struct sg_arena arena;
    struct sg_registration registration;
    struct sg_registration_report report = {0};
    sg_arena_init(&arena);
    enum sg_status status = sg_registration_decode(sg_str_from(body), NULL, &arena, &registration, &report, NULL);
    if (status == SG_OK) {
        sg_buf_append(result, registration.checksum);
        sg_buf_append(result, registration.functions[0].config);
    }
    sg_arena_free(&arena);
    return status;
}

static enum sg_status decode_problems(struct sg_buf *result)
{
    static const char body[] =
        "{\"appName\":\"a\",\"functions\":[{\"name\":\"\",\"steps\":{},\"cancel\":[{\"if\":\"1 + 1\"}],\"debounce\":{}}]}";
    struct sg_arena arena;
    struct sg_registration registration;
    struct sg_registration_report report = {0};
    sg_arena_init(&arena);
    enum sg_status status = sg_registration_decode(sg_str_from(body), NULL, &arena, &registration, &report, NULL);
    if (status == SG_INVALID_CONFIG) {
        for (size_t i = 0; i < report.problems.count; i++)
            sg_buf_append(result, report.problems.items[i].message);
        status = SG_OK;
    }
    sg_arena_free(&arena);
    return status;
}

Test(sdk_memory, registrations)
{
    cr_assert(eq(int, sg_crypto_init(NULL), SG_OK));
    exhaust(decode_registration);
    exhaust(decode_problems);
}

static struct run_fixture f;

static enum sg_status assemble(struct sg_buf *result)
{
    struct sg_call *call = sg_calloc(1, sizeof(*call));
    if (call == NULL)
        return SG_NO_MEMORY;
    static const int64_t positions[] = {2, 1};
    *call = (struct sg_call){
        .magic = SG_CALL_MAGIC,
        .run_id = f.run_id,
        .url = SG_STR("http://h/x?stepId=step"),
        .job_id = 1,
        .snapshot = 2,
        .event_positions = positions,
        .event_count = 2,
    };
    enum sg_status status = sg_body_assemble(f.reader, call, f.run_id, result, NULL);
    sg_call_free(call);
    return status;
}

Test(sdk_memory, bodies)
{
    static const int64_t events[] = {1};
    run_fixture_open(&f);
    put_event(&f, 1, "demo/ev", json("{'data':{'n':1},'id':'e1','name':'demo/ev','ts':1700000000000}"));
    put_run(&f, SG_RUN_FAILED, "1", "{}", events, 1);
    put_event(&f, 2, "inngest/function.failed", NULL);
    put_memo(&f, "bbb", 0, json("{'data':1}"));
    put_memo(&f, "aaa", 1, "null");
    exhaust(assemble);
    run_fixture_close(&f);
}

static enum sg_status judge(struct sg_buf *result)
{
    struct sg_put_result put = {.http_status = 400,
                                .body = SG_STR("{\"message\":\"Expected server kind cloud, got d\\u0065v\"}"),
                                .server_kind = "dev",
                                .base_url = "http://x"};
    struct sg_arena arena;
    struct sg_verdict verdict;
    sg_arena_init(&arena);
    bool is_ok = sg_put_judge(&put, true, &arena, &verdict);
    if (is_ok)
        sg_buf_append(result, verdict.text);
    sg_arena_free(&arena);
    return is_ok ? SG_OK : SG_NO_MEMORY;
}

Test(sdk_memory, verdicts)
{
    exhaust(judge);
}
