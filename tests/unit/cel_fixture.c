#include "cel_fixture.h"

#include <stdarg.h>
#include <stdio.h>

/* Static because the functions of the fixture hand out texts that nobody frees. */
static struct sg_buf out;

static const char *finish(void)
{
    sg_buf_byte(&out, '\0');
    cr_assert(not(out.is_failed));
    return out.ptr;
}

struct sg_cel_program *cel_compile(const char *text, enum sg_cel_check check)
{
    struct sg_cel_program *program = NULL;
    struct sg_error error = {.status = SG_OK};
    enum sg_status status = sg_cel_compile(sg_str_from(text), check, &program, &error);
    cr_assert(status == SG_OK, "%s: %s", text, error.message);
    return program;
}

static const struct sg_cel_document *event_of(const char *data, struct sg_arena *arena, struct sg_cel_document *document)
{
    if (data == NULL)
        return NULL;
    struct sg_str json = sg_arena_printf(arena, "{\"name\":\"a/b\",\"id\":\"01HEVT\",\"ts\":1700000000000,\"data\":%s}", data);
    struct sg_error error = {.status = SG_OK};
    cr_assert(sg_cel_document_parse_event(json, arena, document, &error) == SG_OK, "%s: %s", json.ptr, error.message);
    return document;
}

const char *cel_value(const char *text, const char *data, const char *async_data)
{
    struct sg_arena arena;
    struct sg_cel_document documents[2];
    struct sg_error error = {.status = SG_OK};
    struct sg_cel_value value;
    sg_arena_init(&arena);
    sg_buf_clear(&out);
    struct sg_cel_program *program = cel_compile(text, SG_CEL_CHECK_PARSE);
    struct sg_cel_scope scope = {
        .event = event_of(data, &arena, &documents[0]), .async = event_of(async_data, &arena, &documents[1]), .now_ms = NOW_MS};
    if (sg_cel_evaluate(program, &scope, &arena, &value, &error) == SG_OK)
        sg_cel_value_print(&value, &out);
    else
        sg_buf_printf(&out, "error: %s", error.message);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
    return finish();
}

const char *cel_key(const char *text, const char *data)
{
    struct sg_arena arena;
    struct sg_cel_document document;
    struct sg_error error = {.status = SG_OK};
    struct sg_str key;
    sg_arena_init(&arena);
    sg_buf_clear(&out);
    struct sg_cel_program *program = cel_compile(text, SG_CEL_CHECK_PARSE);
    struct sg_cel_scope scope = {.event = event_of(data, &arena, &document), .now_ms = NOW_MS};
    if (sg_cel_evaluate_key(program, &scope, &arena, &key, &error) == SG_OK)
        sg_buf_append(&out, key);
    else
        sg_buf_printf(&out, "error: %s", error.message);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
    return finish();
}

const char *cel_problem(const char *text, enum sg_cel_check check)
{
    sg_buf_clear(&out);
    enum sg_status status = sg_cel_diagnose(sg_str_from(text), check, &out);
    cr_assert(eq(int, status, out.len > 0 ? SG_INVALID_EXPRESSION : SG_OK));
    return finish();
}

const char *cel_interpolated(const char *text, const char *data, enum sg_cel_verdict *verdict)
{
    struct sg_arena arena;
    struct sg_cel_document document;
    struct sg_error error = {.status = SG_OK};
    enum sg_cel_verdict ignored;
    sg_arena_init(&arena);
    sg_buf_clear(&out);
    struct sg_cel_program *program = cel_compile(text, SG_CEL_CHECK_FULL);
    const struct sg_cel_document *event = event_of(data, &arena, &document);
    if (sg_cel_interpolate(program, event, &out, verdict != NULL ? verdict : &ignored, &error) != SG_OK)
        sg_buf_printf(&out, "error: %s", error.message);
    sg_cel_program_free(program);
    sg_arena_free(&arena);
    return finish();
}

const char *cel_text(const char *format, ...)
{
    static char texts[2][4096];
    static size_t next;
    char *text = texts[next++ % 2];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(texts[0]), format, arguments);
    va_end(arguments);
    cr_assert(len >= 0 && (size_t)len < sizeof(texts[0]));
    return text;
}
