/*
 * The log.
 *
 * The model. A line is built in a buffer of 4096 bytes on the stack and leaves in one write(2), which the kernel keeps whole
 * for pipes of that size and for files opened to append. A value that is too long is cut and marked with an ellipsis; a
 * field that no longer fits is left out whole, so a JSON line is always valid.
 *
 * What it never does: allocate, take a lock, fail its caller (a log that cannot be written is not worth a crash), or trust
 * bytes: control characters and invalid UTF-8 from outside are escaped, so nobody can forge a line or colour a terminal.
 */
#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/duration.h"
#include "base/utf8.h"

/* More fields than any line has; more are dropped. */
#define FIELDS_MAX 24
/* One value never crowds out the others. */
#define VALUE_BYTES_MAX 1024
#define MESSAGE_BYTES_MAX 2048
/* Kept free for what closes a line: `"}`, a colour reset, a newline. */
#define CLOSING_BYTES 16

static const struct {
    const char *name;
    const char *tag;
    const char *colour;
} levels[] = {
    [SG_LOG_TRACE] = {"trace", "TRC", "\x1b[2m"}, [SG_LOG_DEBUG] = {"debug", "DBG", "\x1b[36m"},
    [SG_LOG_INFO] = {"info", "INF", "\x1b[32m"},  [SG_LOG_NOTICE] = {"notice", "NTC", "\x1b[34m"},
    [SG_LOG_WARN] = {"warn", "WRN", "\x1b[33m"},  [SG_LOG_ERROR] = {"error", "ERR", "\x1b[31m"},
};

/* Static because stderr is: threads share it, and each setting is a single word. */
static atomic_int threshold = SG_LOG_INFO;
static atomic_int format_setting = SG_LOG_AUTO;
static atomic_int out_fd = STDERR_FILENO;

void sg_log_set_level(enum sg_log_level level)
{
    atomic_store(&threshold, level);
}

void sg_log_set_format(enum sg_log_format format)
{
    atomic_store(&format_setting, format);
}

void sg_log_set_fd(int fd)
{
    atomic_store(&out_fd, fd);
}

bool sg_log_is_on(enum sg_log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool sg_log_level_parse(struct sg_str text, enum sg_log_level *level)
{
    for (size_t i = 0; i < SG_ARRAY_LEN(levels); i++)
        if (sg_str_eq_nocase(text, sg_str_from(levels[i].name))) {
            *level = (enum sg_log_level)i;
            return true;
        }
    if (sg_str_eq_nocase(text, SG_STR("warning"))) {
        *level = SG_LOG_WARN;
        return true;
    }
    if (sg_str_eq_nocase(text, SG_STR("none")) || sg_str_eq_nocase(text, SG_STR("silent"))) {
        *level = SG_LOG_NONE;
        return true;
    }
    return false;
}

void sg_log_write(enum sg_log_level level, const char *message, ...)
{
    struct sg_log_field fields[FIELDS_MAX];
    size_t count = 0;
    va_list arguments;

    va_start(arguments, message);
    for (;;) {
        struct sg_log_field field = va_arg(arguments, struct sg_log_field);
        if (field.kind == SG_LOG_KIND_END || count == FIELDS_MAX)
            break;
        fields[count++] = field;
    }
    va_end(arguments);

    int fd = atomic_load(&out_fd);
    int format = atomic_load(&format_setting);
    bool is_tty = (format == SG_LOG_AUTO || format == SG_LOG_HUMAN) && isatty(fd) == 1;
    if (is_tty)
        format = SG_LOG_COLOURS;
    else if (format == SG_LOG_AUTO)
        format = SG_LOG_JSON;

    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    char line[SG_LOG_LINE_MAX];
    size_t len =
        sg_log_line(line, (enum sg_log_format)format, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, level, message, fields, count);

    int saved_errno = errno;
    while (write(fd, line, len) < 0 && errno == EINTR) {
    }
    errno = saved_errno; /* callers log first and look at errno afterwards */
}

/* ---- building a line ---- */

struct line {
    char *text;
    size_t len;
    size_t end; /* nothing is written at or behind it */
    bool is_over;
};

static void put(struct line *line, const char *bytes, size_t len)
{
    if (line->is_over || len > line->end - line->len) {
        line->is_over = true;
        return;
    }
    memcpy(line->text + line->len, bytes, len);
    line->len += len;
}

static void put_text(struct line *line, const char *terminated)
{
    put(line, terminated, strlen(terminated));
}

/* The inside of a JSON string, cut when it has become `bytes_max` long; also what a person gets between quotes. */
static void put_escaped(struct line *line, struct sg_str text, size_t bytes_max)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    size_t start = line->len;
    size_t i = 0;

    while (i < text.len && line->len - start < bytes_max && !line->is_over) {
        unsigned char byte = at[i];
        size_t len = sg_utf8_len(at + i, text.len - i);
        if (byte == '"' || byte == '\\') {
            char pair[2] = {'\\', (char)byte};
            put(line, pair, 2);
        } else if (byte == '\n') {
            put_text(line, "\\n");
        } else if (byte == '\t') {
            put_text(line, "\\t");
        } else if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && len == 2 && at[i + 1] < 0xa0)) { /* C0, DEL, C1 */
            char escape[8];
            unsigned code = len == 2 ? at[i + 1] : byte;
            snprintf(escape, sizeof(escape), "\\u%04x", code);
            put_text(line, escape);
        } else if (len == 0) {
            put(line, SG_UTF8_REPLACEMENT.ptr, SG_UTF8_REPLACEMENT.len);
            len = 1;
        } else {
            put(line, text.ptr + i, len);
        }
        i += len;
    }
    if (i < text.len)
        put_text(line, "\xe2\x80\xa6"); /* an ellipsis */
}

static bool is_plain(struct sg_str text)
{
    if (text.len == 0)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] <= ' ' || (unsigned char)text.ptr[i] >= 0x7f || text.ptr[i] == '"' || text.ptr[i] == '=' ||
            text.ptr[i] == '\\')
            return false;
    return true;
}

static void put_string(struct line *line, struct sg_str text, bool is_json)
{
    if (!is_json && is_plain(text)) {
        put_escaped(line, text, VALUE_BYTES_MAX);
        return;
    }
    put_text(line, "\"");
    put_escaped(line, text, VALUE_BYTES_MAX);
    put_text(line, "\"");
}

static void put_value(struct line *line, const struct sg_log_field *field, bool is_json)
{
    char text[64];

    switch (field->kind) {
    case SG_LOG_KIND_STR:
        put_string(line, field->value.str, is_json);
        return;
    case SG_LOG_KIND_INT:
        snprintf(text, sizeof(text), "%lld", (long long)field->value.integer);
        break;
    case SG_LOG_KIND_BOOL:
        snprintf(text, sizeof(text), "%s", field->value.boolean ? "true" : "false");
        break;
    case SG_LOG_KIND_DOUBLE:
        snprintf(text, sizeof(text), "%.6g", field->value.number);
        if (is_json && !isfinite(field->value.number))
            snprintf(text, sizeof(text), "null");
        break;
    case SG_LOG_KIND_ULID:
        sg_ulid_format(field->value.id, text);
        put_string(line, sg_str_from(text), is_json);
        return;
    case SG_LOG_KIND_UUID:
        sg_uuid_format(field->value.id, text);
        put_string(line, sg_str_from(text), is_json);
        return;
    case SG_LOG_KIND_END:
    default:
        return;
    }
    put_text(line, text);
}

static void put_head(struct line *line, enum sg_log_format format, int64_t unix_ms, enum sg_log_level level, const char *message)
{
    struct sg_str text = sg_str_from(message);

    if (format == SG_LOG_JSON) {
        char time_text[SG_RFC3339_MAX];
        sg_rfc3339_format(unix_ms, time_text);
        put_text(line, "{\"time\":\"");
        put_text(line, time_text);
        put_text(line, "\",\"level\":\"");
        put_text(line, levels[level].name);
        put_text(line, "\",\"message\":\"");
        put_escaped(line, text, MESSAGE_BYTES_MAX);
        put_text(line, "\"");
        return;
    }
    bool has_colours = format == SG_LOG_COLOURS;
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm local;
    if (localtime_r(&seconds, &local) == NULL)
        local = (struct tm){0};
    char head[64];
    snprintf(head, sizeof(head), "%s[%02d:%02d:%02d.%03d]%s %s%s%s ", has_colours ? "\x1b[2m" : "", local.tm_hour, local.tm_min,
             local.tm_sec, (int)(unix_ms % 1000), has_colours ? "\x1b[0m" : "", has_colours ? levels[level].colour : "", levels[level].tag,
             has_colours ? "\x1b[0m" : "");
    put_text(line, head);
    put_escaped(line, text, MESSAGE_BYTES_MAX);
}

static void put_field(struct line *line, enum sg_log_format format, const struct sg_log_field *field)
{
    size_t before = line->len;
    bool is_json = format == SG_LOG_JSON;

    if (is_json) {
        put_text(line, ",\"");
        put_escaped(line, sg_str_from(field->key), VALUE_BYTES_MAX);
        put_text(line, "\":");
    } else {
        put_text(line, format == SG_LOG_COLOURS ? " \x1b[2m" : " ");
        put_escaped(line, sg_str_from(field->key), VALUE_BYTES_MAX);
        put_text(line, format == SG_LOG_COLOURS ? "=\x1b[0m" : "=");
    }
    put_value(line, field, is_json);
    if (line->is_over) { /* left out whole; a shorter one behind it may still fit */
        line->len = before;
        line->is_over = false;
    }
}

size_t sg_log_line(char line[SG_LOG_LINE_MAX], enum sg_log_format format, int64_t unix_ms, enum sg_log_level level, const char *message,
                   const struct sg_log_field *fields, size_t count)
{
    assert((size_t)level < SG_ARRAY_LEN(levels));
    struct line out = {.end = SG_LOG_LINE_MAX - CLOSING_BYTES};

    out.text = line;
    put_head(&out, format, unix_ms, level, message);
    assert(!out.is_over); /* the message is cut well below the end */
    for (size_t i = 0; i < count; i++)
        put_field(&out, format, &fields[i]);
    out.end = SG_LOG_LINE_MAX;
    put_text(&out, format == SG_LOG_JSON ? "}\n" : "\n");
    return out.len;
}
