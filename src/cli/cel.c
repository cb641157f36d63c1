/*
 * `stepgate cel`: evaluates an expression as triggers, waits and keys do, so that one can be tried before it decides about runs.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/cel.h>

#include "cli/command.h"

#define INPUT_BYTES_MAX ((size_t)8 * 1024 * 1024)

static enum sg_status read_document(const char *text, const char *flag, struct sg_arena *arena, struct sg_cel_document *document,
                                    const struct sg_cel_document **used, struct sg_error *error);
static enum sg_status read_input(struct sg_arena *arena, struct sg_str *text, struct sg_error *error);
static int evaluate(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena);

int sg_command_cel(struct sg_options *options)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_arena arena;
    struct sg_cel_document event;
    struct sg_cel_document async;
    struct timespec now = {0, 0};
    struct sg_cel_scope scope = {.event = NULL};

    if (options->operand_count != 1)
        return sg_complain("cel takes one expression, in quotes: stepgate cel 'event.data.n > 3' --event '{\"data\":{\"n\":4}}'");
    sg_arena_init(&arena);
    clock_gettime(CLOCK_REALTIME, &now);
    scope.now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    enum sg_status status = read_document(sg_options_text(options, SG_OPTION_EVENT), "--event", &arena, &event, &scope.event, &error);
    if (status == SG_OK)
        status = read_document(sg_options_text(options, SG_OPTION_ASYNC), "--async", &arena, &async, &scope.async, &error);
    int code = 1;
    struct sg_cel_program *program = NULL;
    struct sg_str text = sg_str_from(options->operands[0]);
    if (status != SG_OK) {
        sg_complain("%s", error.message);
    } else if (sg_cel_compile(text, SG_CEL_CHECK_FULL, &program, &error) != SG_OK) {
        struct sg_buf whole = {0};
        sg_cel_diagnose(text, SG_CEL_CHECK_FULL, &whole);
        struct sg_str shown = whole.len > 0 ? sg_buf_str(&whole) : sg_str_from(error.message);
        sg_complain("%.*s", SG_FMT(shown));
        sg_buf_free(&whole);
    } else {
        code = evaluate(program, &scope, &arena);
    }
    sg_cel_program_free(program);
    sg_arena_free(&arena);
    return code;
}

static int evaluate(const struct sg_cel_program *program, const struct sg_cel_scope *scope, struct sg_arena *arena)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_cel_value value;
    if (sg_cel_evaluate(program, scope, arena, &value, &error) != SG_OK)
        return sg_complain("%s", error.message);
    struct sg_buf out = {0};
    sg_cel_value_print(&value, &out);
    struct sg_str shown = sg_buf_str(&out);
    printf("%.*s\n", SG_FMT(shown));
    sg_buf_free(&out);
    if (value.kind != SG_CEL_BOOL)
        fprintf(stderr, "The value is of type %s; a trigger or a wait needs a bool and takes this as false.\n", sg_cel_kind_name(value.kind));
    return 0;
}

static enum sg_status read_document(const char *text, const char *flag, struct sg_arena *arena, struct sg_cel_document *document,
                                    const struct sg_cel_document **used, struct sg_error *error)
{
    if (text == NULL)
        return SG_OK;
    struct sg_str json = sg_str_from(text);
    struct sg_error why = {.status = SG_OK};
    enum sg_status status = SG_OK;
    if (strcmp(text, "-") == 0)
        status = read_input(arena, &json, error);
    if (status != SG_OK)
        return status;
    status = sg_cel_document_parse_event(json, arena, document, &why);
    if (status != SG_OK)
        return sg_error_set(error, status, "%s: %s", flag, why.message);
    *used = document;
    return SG_OK;
}

static enum sg_status read_input(struct sg_arena *arena, struct sg_str *text, struct sg_error *error)
{
    struct sg_buf bytes = {0};
    enum sg_status status = SG_OK;
    for (;;) {
        if (!sg_buf_reserve(&bytes, 65536)) {
            status = sg_error_set(error, SG_NO_MEMORY, "no memory for standard input");
            break;
        }
        ssize_t got = read(STDIN_FILENO, bytes.ptr + bytes.len, 65536);
        if (got <= 0)
            break;
        bytes.len += (size_t)got;
        if (bytes.len > INPUT_BYTES_MAX) {
            status = sg_error_set(error, SG_TOO_LARGE, "standard input is larger than %zu bytes", INPUT_BYTES_MAX);
            break;
        }
    }
    if (status == SG_OK) {
        *text = sg_arena_copy(arena, sg_buf_str(&bytes));
        if (text->ptr == NULL)
            status = sg_error_set(error, SG_NO_MEMORY, "no memory for standard input");
    }
    sg_buf_free(&bytes);
    return status;
}
