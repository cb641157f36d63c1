/*
 * `stepgate cel`: evaluates an expression as triggers, waits and keys do, so that one can be tried before it decides about runs; and
 * runs files of test vectors.
 *
 *     stepgate cel 'event.data.n > 3' --event event.json [--async other.json] [--explain]
 *     stepgate cel --vectors FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stepgate/cel.h>

#include "cel/explain.h"
#include "cel/vectors.h"
#include "cli/command.h"

#define INPUT_BYTES_MAX ((size_t)64 * 1024 * 1024)

static int run_vectors(const char *path, bool is_explained, int64_t now_ms);
static enum sg_status read_document(const char *text, const char *flag, struct sg_arena *arena, struct sg_cel_document *document,
                                    const struct sg_cel_document **used, struct sg_error *error);
static enum sg_status read_file(const char *path, struct sg_buf *bytes, struct sg_error *error);
static struct sg_cel_program *compile(struct sg_str text);
static int evaluate(const struct sg_cel_program *program, const struct sg_cel_scope *scope, bool is_explained, struct sg_arena *arena);

int sg_command_cel(struct sg_options *options)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    bool is_explained = sg_options_bool(options, SG_OPTION_EXPLAIN);
    const char *vectors = sg_options_text(options, SG_OPTION_VECTORS);
    if (vectors != NULL && options->operand_count == 0)
        return run_vectors(vectors, is_explained, now_ms);
    if (vectors != NULL || options->operand_count != 1)
        return sg_complain("cel takes one expression, in quotes: stepgate cel 'event.data.n > 3' --event event.json; or --vectors FILE");

    struct sg_error error = {.status = SG_OK};
    struct sg_arena arena;
    struct sg_cel_document event;
    struct sg_cel_document async;
    struct sg_cel_scope scope = {.now_ms = now_ms};
    sg_arena_init(&arena);
    enum sg_status status = read_document(sg_options_text(options, SG_OPTION_EVENT), "--event", &arena, &event, &scope.event, &error);
    if (status == SG_OK)
        status = read_document(sg_options_text(options, SG_OPTION_ASYNC), "--async", &arena, &async, &scope.async, &error);
    int code = 1;
    if (status != SG_OK) {
        sg_complain("%s", error.message);
    } else {
        struct sg_cel_program *program = compile(sg_str_from(options->operands[0]));
        if (program != NULL)
            code = evaluate(program, &scope, is_explained, &arena);
        sg_cel_program_free(program);
    }
    sg_arena_free(&arena);
    return code;
}

static void print(FILE *file, const struct sg_buf *text)
{
    if (text->len > 0)
        (void)fwrite(text->ptr, 1, text->len, file);
}

/* Prints what is wrong with the text for a check; true if something is. */
static bool complain_about(struct sg_str text, enum sg_cel_check check)
{
    struct sg_buf problem = {0};
    enum sg_status status = sg_cel_diagnose(text, check, &problem);
    if (status != SG_OK)
        sg_complain("%.*s", SG_FMT(status == SG_NO_MEMORY ? SG_STR("out of memory") : sg_buf_str(&problem)));
    sg_buf_free(&problem);
    return status != SG_OK;
}

/* A program, though it be good for a key only: those are not checked for names and types when they are registered. */
static struct sg_cel_program *compile(struct sg_str text)
{
    struct sg_cel_program *program = NULL;
    if (sg_cel_compile(text, SG_CEL_CHECK_FULL, &program, NULL) == SG_OK)
        return program;
    if (!complain_about(text, SG_CEL_CHECK_FULL) || sg_cel_compile(text, SG_CEL_CHECK_PARSE, &program, NULL) != SG_OK)
        return NULL;
    fputs("A trigger, wait or cancellation with this expression is refused; a concurrency or throttle key is taken:\n", stderr);
    return program;
}

static int evaluate(const struct sg_cel_program *program, const struct sg_cel_scope *scope, bool is_explained, struct sg_arena *arena)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_cel_value value;
    struct sg_buf out = {0};
    enum sg_status status = sg_cel_evaluate(program, scope, arena, &value, &error);
    if (status == SG_OK) {
        sg_cel_value_print(&value, &out);
        sg_buf_byte(&out, '\n');
    }
    if (status == SG_OK && is_explained)
        sg_buf_printf(&out, "type: %s\n", sg_cel_kind_name(value.kind));
    if (status != SG_NO_MEMORY && is_explained && sg_cel_explain(program, scope, arena, &out) != SG_OK)
        status = sg_error_set(&error, SG_NO_MEMORY, "out of memory");
    print(stdout, &out);
    sg_buf_free(&out);
    if (status != SG_OK)
        return sg_complain("%s", error.message);
    if (value.kind != SG_CEL_BOOL && !is_explained)
        fprintf(stderr, "The value is of type %s; a trigger or a wait needs a bool and takes this as false.\n",
                sg_cel_kind_name(value.kind));
    return 0;
}

static int run_vectors(const char *path, bool is_explained, int64_t now_ms)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_buf text = {0};
    struct sg_buf out = {0};
    struct sg_cel_tally tally = {0, 0, 0};
    enum sg_status status = read_file(path, &text, &error);
    if (status == SG_OK)
        status = sg_cel_vectors_run(sg_buf_str(&text), now_ms, &out, &tally);
    if (status == SG_OK && is_explained)
        sg_cel_deviations_print(&out);
    if (status == SG_OK && tally.deviations > 0)
        sg_buf_printf(&out, "%zu of those that passed have our value instead of the recorded one%s\n", tally.deviations,
                      is_explained ? "" : " (--explain lists them)");
    sg_buf_printf(&out, "%zu passed, %zu failed\n", tally.passed, tally.failed);
    if (status == SG_OK)
        print(stdout, &out);
    sg_buf_free(&text);
    sg_buf_free(&out);
    if (status != SG_OK)
        return sg_complain("%s", error.status != SG_OK ? error.message : "out of memory");
    return tally.failed > 0 ? 1 : 0;
}

/* `text` is the name of a file, - for standard input, or the JSON itself. */
static enum sg_status read_document(const char *text, const char *flag, struct sg_arena *arena, struct sg_cel_document *document,
                                    const struct sg_cel_document **used, struct sg_error *error)
{
    if (text == NULL)
        return SG_OK;
    struct sg_error why = {.status = SG_OK};
    struct sg_str json = sg_str_from(text);
    enum sg_status status = SG_OK;
    if (!sg_str_starts_with(sg_str_trim(json), SG_STR("{"))) {
        struct sg_buf bytes = {0};
        status = read_file(text, &bytes, &why);
        json = status == SG_OK ? sg_arena_copy(arena, sg_buf_str(&bytes)) : SG_STR_NULL;
        sg_buf_free(&bytes);
        if (status == SG_OK && json.ptr == NULL)
            status = sg_error_set(&why, SG_NO_MEMORY, "out of memory");
    }
    if (status == SG_OK)
        status = sg_cel_document_parse_event(json, arena, document, &why);
    if (status != SG_OK)
        return sg_error_set(error, status, "%s: %s", flag, why.message);
    *used = document;
    return SG_OK;
}

static enum sg_status read_file(const char *path, struct sg_buf *bytes, struct sg_error *error)
{
    bool is_standard = strcmp(path, "-") == 0;
    int file = is_standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return sg_error_set(error, SG_NOT_FOUND, "%s cannot be read: %s", path, strerror(errno));
    enum sg_status status = SG_OK;
    while (status == SG_OK) {
        if (!sg_buf_reserve(bytes, 65536)) {
            status = sg_error_set(error, SG_NO_MEMORY, "no memory for %s", path);
            break;
        }
        ssize_t got = read(file, bytes->ptr + bytes->len, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = sg_error_set(error, SG_SYSTEM, "%s cannot be read: %s", path, strerror(errno));
        if (got <= 0)
            break;
        bytes->len += (size_t)got;
        if (bytes->len > INPUT_BYTES_MAX)
            status = sg_error_set(error, SG_TOO_LARGE, "%s is larger than %zu bytes", path, INPUT_BYTES_MAX);
    }
    if (!is_standard)
        close(file);
    return status;
}
