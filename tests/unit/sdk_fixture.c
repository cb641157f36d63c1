/* What the sdk room's tests share. */
#include "sdk_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

void assert_text_at(struct sg_str given, const char *expected, const char *file, int line)
{
    if (!sg_str_eq(given, sg_str_from(expected)))
        cr_fail("%s:%d:\n  given    %.*s\n  expected %s", file, line, SG_FMT(given), expected);
}

void assert_contains_at(struct sg_str given, const char *part, const char *file, int line)
{
    if (given.len == 0 || memmem(given.ptr, given.len, part, strlen(part)) == NULL)
        cr_fail("%s:%d:\n  given   %.*s\n  lacks   %s", file, line, SG_FMT(given), part);
}

const char *json(const char *text)
{
    static char buffers[16][8192];
    static int next;
    char *buffer = buffers[next++ % 16];
    size_t len = strlen(text);
    cr_assert(len < sizeof(buffers[0]));
    for (size_t i = 0; i <= len; i++)
        buffer[i] = text[i] == '\'' ? '"' : text[i];
    return buffer;
}

void run_fixture_open(struct run_fixture *f)
{
    *f = (struct run_fixture){0};
    cr_assert(eq(int, sg_store_open_memory(&f->store, &f->error), SG_OK));
    cr_assert(eq(int, sg_store_reader_open(f->store, &f->reader, &f->error), SG_OK));
    cr_assert(sg_ulid_parse(SG_STR("01HXYZ0000000000000000000A"), &f->run_id));
    cr_assert(sg_uuid_parse(SG_STR("9892ce98-1f1a-5b28-aad8-3afa516bd61d"), &f->function_id));
    sg_buf_init(&f->out);
}

void run_fixture_close(struct run_fixture *f)
{
    sg_buf_free(&f->out);
    sg_store_reader_close(f->reader);
    sg_store_close(f->store);
}

static struct sg_write put(enum sg_kind kind)
{
    struct sg_write write = {.op = SG_WRITE_PUT, .record = {.kind = kind}};
    for (int i = 0; i < SG_COLUMNS_MAX; i++)
        write.record.values[i] = sg_value_null();
    return write;
}

static void commit(struct run_fixture *f, const struct sg_write *write)
{
    cr_assert(eq(int, sg_store_commit(f->store, write, 1, &f->error), SG_OK), "%s", f->error.message);
}

static struct sg_value text(const char *terminated)
{
    return terminated == NULL ? sg_value_null() : sg_value_bytes(sg_str_from(terminated));
}

void put_event(struct run_fixture *f, int64_t position, const char *name, const char *body)
{
    struct sg_id internal_id = {{0}};
    internal_id.bytes[15] = (uint8_t)position;
    struct sg_write write = put(SG_KIND_EVENT);
    write.record.values[SG_EVENT_POSITION] = sg_value_int(position);
    write.record.values[SG_EVENT_INTERNAL_ID] = sg_value_id(&internal_id);
    write.record.values[SG_EVENT_NAME] = text(name);
    write.record.values[SG_EVENT_RECEIVED_AT] = sg_value_int(1);
    write.record.values[SG_EVENT_TS] = sg_value_int(1767225600000);
    write.record.values[SG_EVENT_BODY] = text(body);
    if (body == NULL)
        write.record.values[SG_EVENT_RUN_ID] = sg_value_id(&f->run_id);
    commit(f, &write);
}

void put_memo(struct run_fixture *f, const char *step_id, int64_t seq, const char *bytes)
{
    struct sg_write write = put(SG_KIND_MEMO);
    write.record.values[SG_MEMO_RUN_ID] = sg_value_id(&f->run_id);
    write.record.values[SG_MEMO_STEP_ID] = text(step_id);
    write.record.values[SG_MEMO_SEQ] = sg_value_int(seq);
    write.record.values[SG_MEMO_BYTES] = text(bytes);
    commit(f, &write);
}

void put_run(struct run_fixture *f, enum sg_run_status status, const char *output, const char *error, const int64_t *positions,
             size_t count)
{
    char list[64];
    cr_assert(count <= sizeof(list) / 8);
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < 8; j++)
            list[i * 8 + (size_t)j] = (char)((uint64_t)positions[i] >> (8 * (7 - j)));
    struct sg_write run = put(SG_KIND_RUN);
    run.record.values[SG_RUN_ID] = sg_value_id(&f->run_id);
    run.record.values[SG_RUN_FUNCTION_ID] = sg_value_id(&f->function_id);
    run.record.values[SG_RUN_FUNCTION_VERSION] = sg_value_int(1);
    run.record.values[SG_RUN_EVENTS] = sg_value_bytes((struct sg_str){list, count * 8});
    run.record.values[SG_RUN_STATUS] = sg_value_int(status);
    run.record.values[SG_RUN_OUTPUT] = text(output);
    run.record.values[SG_RUN_ERROR] = text(error);
    commit(f, &run);

    struct sg_write function = put(SG_KIND_FUNCTION);
    function.record.values[SG_FUNCTION_ID] = sg_value_id(&f->function_id);
    function.record.values[SG_FUNCTION_VERSION] = sg_value_int(1);
    function.record.values[SG_FUNCTION_SLUG] = text("app-charge");
    commit(f, &function);
}

struct sg_call *make_call(struct run_fixture *f, const char *url)
{
    static const int64_t positions[] = {1};
    struct sg_call *call = sg_calloc(1, sizeof(*call) + strlen(url) + 1);
    cr_assert(call != NULL);
    char *copy = (char *)(call + 1);
    memcpy(copy, url, strlen(url));
    *call = (struct sg_call){
        .magic = SG_CALL_MAGIC,
        .run_id = f->run_id,
        .function_id = f->function_id,
        .job_id = 77,
        .generation = 1,
        .max_attempts = 5,
        .request_version = -1,
        .url = {copy, strlen(url)},
        .slug = SG_STR("app-charge"),
        .sdk = SG_STR("js:v4.24.0"),
        .event_positions = positions,
        .event_count = 1,
    };
    return call;
}
