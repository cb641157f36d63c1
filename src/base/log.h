/*
 * The log: one line an occurrence, on stderr, for a person (`[15:04:05.000] INF run ended run=01J...`) or as JSON for a
 * machine.
 *
 *     sg_log(SG_LOG_INFO, "run ended", SG_KV_ULID("run", run->id), SG_KV_INT("attempt", 3));
 *
 * A line is at most 4096 bytes (PIPE_BUF) and leaves in one write(2), so lines of several threads and processes do not mix.
 * Long values are cut; never log a secret.
 */
#ifndef STEPGATE_BASE_LOG_H
#define STEPGATE_BASE_LOG_H

#include <stepgate/base.h>

enum sg_log_level {
    SG_LOG_TRACE,
    SG_LOG_DEBUG,
    SG_LOG_INFO,
    SG_LOG_NOTICE,
    SG_LOG_WARN,
    SG_LOG_ERROR,
    SG_LOG_NONE /* as a threshold: silence */
};

enum sg_log_format {
    SG_LOG_AUTO,    /* human on a terminal, JSON otherwise */
    SG_LOG_HUMAN,   /* without colours unless on a terminal */
    SG_LOG_COLOURS, /* human with colours whatever it goes to */
    SG_LOG_JSON
};

enum sg_log_kind {
    SG_LOG_KIND_END,
    SG_LOG_KIND_STR,
    SG_LOG_KIND_INT,
    SG_LOG_KIND_BOOL,
    SG_LOG_KIND_DOUBLE,
    SG_LOG_KIND_ULID,
    SG_LOG_KIND_UUID
};

struct sg_log_field {
    const char *key;
    enum sg_log_kind kind;
    union {
        struct sg_str str;
        int64_t integer;
        bool boolean;
        double number;
        struct sg_id id;
    } value;
};

#define SG_KV_STR(name, text) ((struct sg_log_field){.key = (name), .kind = SG_LOG_KIND_STR, .value.str = (text)})
#define SG_KV_TEXT(name, terminated) SG_KV_STR(name, sg_str_from(terminated))
#define SG_KV_INT(name, number_) ((struct sg_log_field){.key = (name), .kind = SG_LOG_KIND_INT, .value.integer = (int64_t)(number_)})
#define SG_KV_BOOL(name, claim) ((struct sg_log_field){.key = (name), .kind = SG_LOG_KIND_BOOL, .value.boolean = (claim)})
#define SG_KV_DOUBLE(name, number_) ((struct sg_log_field){.key = (name), .kind = SG_LOG_KIND_DOUBLE, .value.number = (number_)})
#define SG_KV_ULID(name, id_) ((struct sg_log_field){.key = (name), .kind = SG_LOG_KIND_ULID, .value.id = (id_)})
#define SG_KV_UUID(name, id_) ((struct sg_log_field){.key = (name), .kind = SG_LOG_KIND_UUID, .value.id = (id_)})
/* The message of a `struct sg_error *`, under the key "error". */
#define SG_KV_ERROR(error_) SG_KV_TEXT("error", (error_)->message)
#define SG_KV_END ((struct sg_log_field){.key = NULL, .kind = SG_LOG_KIND_END})

/* sg_log(level, "message", SG_KV_...): the arguments are not evaluated when the level is off. */
#define sg_log(level, ...)                                                                                                                 \
    do {                                                                                                                                   \
        if (sg_log_is_on(level))                                                                                                           \
            sg_log_write(level, __VA_ARGS__, SG_KV_END);                                                                                   \
    } while (0)

/* Both may be called at any time from any thread; the start is SG_LOG_INFO and SG_LOG_AUTO. */
void sg_log_set_level(enum sg_log_level level);
void sg_log_set_format(enum sg_log_format format);
/* Where lines go: 2 unless a test says otherwise. */
void sg_log_set_fd(int fd);
bool sg_log_is_on(enum sg_log_level level);
/* "trace", "debug", "info", "notice", "warn" or "warning", "error", "none" or "silent", in any case; false otherwise. */
bool sg_log_level_parse(struct sg_str text, enum sg_log_level *level);

/* Use the macro. The fields end with SG_KV_END. */
void sg_log_write(enum sg_log_level level, const char *message, ...);

#define SG_LOG_LINE_MAX 4096
/* The line, with its newline, into `line`; returns its length. `unix_ms` is shown in local time to people, in UTC to machines. */
size_t sg_log_line(char line[SG_LOG_LINE_MAX], enum sg_log_format format, int64_t unix_ms, enum sg_log_level level, const char *message,
                   const struct sg_log_field *fields, size_t count);

#endif
