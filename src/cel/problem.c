/*
 * The error text of an expression that does not compile.
 *
 * The model. Lexer, parser and checker each add what they find; whoever compiles renders the list at the end, ordered by
 * place as the server does, each with its source line and a caret. Lines and columns count from 1, columns in characters.
 *
 * What it never does: stop anybody. A full list swallows what comes later.
 */
#include "cel/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

/* Each block repeats its source line, which may be the whole text; what nobody reads is left out. */
#define RENDERED_BYTES_MAX 32768

void sg_cel_problems_init(struct sg_cel_problems *problems, struct sg_arena *arena)
{
    *problems = (struct sg_cel_problems){.arena = arena};
}

void sg_cel_problem_add(struct sg_cel_problems *problems, size_t position, const char *format, ...)
{
    if (problems->count == SG_LIMIT_CEL_PROBLEMS)
        return;
    if (problems->items == NULL) {
        problems->items = sg_arena_alloc(problems->arena, SG_LIMIT_CEL_PROBLEMS * sizeof(*problems->items));
        if (problems->items == NULL) {
            problems->is_out_of_memory = true;
            return;
        }
    }

    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (len < 0)
        len = 0;
    if ((size_t)len >= sizeof(text))
        len = sizeof(text) - 1;

    struct sg_str message = sg_arena_copy(problems->arena, (struct sg_str){text, (size_t)len});
    if (message.ptr == NULL) {
        problems->is_out_of_memory = true;
        return;
    }
    problems->items[problems->count++] = (struct sg_cel_problem){.message = message, .position = position};
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

static void render_one(const struct sg_cel_problem *problem, struct sg_str text, struct sg_buf *out)
{
    size_t position = problem->position < text.len ? problem->position : text.len;
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < position; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    size_t column = 1;
    for (size_t i = line_start; i < position; i++)
        column += !is_continuation(text.ptr[i]);

    if (text.len == 0) {
        sg_buf_printf(out, "ERROR: <input>:1:0: %.*s", SG_FMT(problem->message));
        return;
    }
    size_t line_end = line_start;
    while (line_end < text.len && text.ptr[line_end] != '\n')
        line_end++;
    struct sg_str source = {text.ptr + line_start, line_end - line_start};

    sg_buf_printf(out, "ERROR: <input>:%zu:%zu: %.*s\n | ", line, column, SG_FMT(problem->message));
    sg_buf_append(out, source);
    sg_buf_append(out, SG_STR("\n | "));
    for (size_t i = 1; i < column; i++)
        sg_buf_byte(out, '.');
    sg_buf_byte(out, '^');
}

void sg_cel_problems_render(struct sg_cel_problems *problems, struct sg_str text, struct sg_buf *out)
{
    /* Insertion sort: the list is short and nearly in order, and equal places must keep their order. */
    for (size_t i = 1; i < problems->count; i++) {
        struct sg_cel_problem moved = problems->items[i];
        size_t to = i;
        for (; to > 0 && problems->items[to - 1].position > moved.position; to--)
            problems->items[to] = problems->items[to - 1];
        problems->items[to] = moved;
    }
    sg_buf_append(out, SG_STR("error compiling expression: "));
    size_t start = out->len;
    for (size_t i = 0; i < problems->count; i++) {
        if (i > 0)
            sg_buf_byte(out, '\n');
        if (out->len - start > RENDERED_BYTES_MAX) {
            sg_buf_printf(out, "... and %zu more", problems->count - i);
            return;
        }
        render_one(&problems->items[i], text, out);
    }
}
