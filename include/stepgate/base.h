/*
 * The words that every other header of stepgate is written in: byte strings, growing buffers, arenas, 16-byte ids, and how
 * a function says that it failed.
 *
 * The model. A `struct sg_str` borrows bytes, a `struct sg_buf` owns and grows them, a `struct sg_arena` owns whatever is
 * allocated from it until it is reset. A fallible function returns `enum sg_status` (0 is success) and fills a `struct
 * sg_error` if the caller passed one. Nothing trusts a terminating NUL that came from outside.
 */
#ifndef STEPGATE_BASE_H
#define STEPGATE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SG_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#else
#define SG_PRINTF(format_index, first_argument)
#endif

/* Bytes that somebody else owns. `ptr` may be NULL only if `len` is 0. Not terminated. */
struct sg_str {
    const char *ptr;
    size_t len;
};

#define SG_STR(literal) ((struct sg_str){"" literal, sizeof(literal) - 1})
#define SG_STR_NULL ((struct sg_str){NULL, 0})
#define SG_FMT(str) (int)(str).len, (str).ptr /* for "%.*s" */

/* Every way in which a function of stepgate can fail. The list with its texts is protocol/errors.def. */
enum sg_status {
#define SG_ERROR(name, text, http_status, code) SG_##name,
#include "errors.def"
#undef SG_ERROR
    SG_STATUS_COUNT
};

#define SG_ERROR_MESSAGE_MAX 512

/* What went wrong, in words a user can act on. Filled by the function that failed; the caller owns the memory. */
struct sg_error {
    enum sg_status status;
    char message[SG_ERROR_MESSAGE_MAX];
};

/* Sets `error` (which may be NULL) and returns `status`, so that a function can `return sg_error_set(...)`. */
enum sg_status sg_error_set(struct sg_error *error, enum sg_status status, const char *format, ...) SG_PRINTF(3, 4);
/* The one-line default text of a status, never NULL. */
const char *sg_status_text(enum sg_status status);
/* The machine-readable name ("invalid_argument"), never NULL. */
const char *sg_status_code(enum sg_status status);
/* The HTTP status that a server answers with when this status reaches a client. */
int sg_status_http(enum sg_status status);

/* ---- strings ---- */

struct sg_str sg_str_from(const char *terminated); /* NULL gives SG_STR_NULL */
bool sg_str_eq(struct sg_str a, struct sg_str b);
bool sg_str_eq_nocase(struct sg_str a, struct sg_str b); /* ASCII only */
bool sg_str_starts_with(struct sg_str text, struct sg_str prefix);
bool sg_str_ends_with(struct sg_str text, struct sg_str suffix);
int sg_str_cmp(struct sg_str a, struct sg_str b); /* bytewise, like memcmp, shorter first */
struct sg_str sg_str_trim(struct sg_str text);    /* ASCII white space at both ends */
/* Index of `byte` in `text`, or -1. */
ptrdiff_t sg_str_index(struct sg_str text, char byte);
/* The first `len_max` bytes at most, without the beginning of a UTF-8 character that does not fit whole. */
struct sg_str sg_str_cut(struct sg_str text, size_t len_max);
/* 64-bit hash, seeded per process; not stable across processes. */
uint64_t sg_str_hash(struct sg_str text);
/* Decimal int64 of the whole text (optional '-'), false if it is anything else or overflows. */
bool sg_str_to_int(struct sg_str text, int64_t *value);

/* ---- arena ---- */

/*
 * Memory that is freed all at once. Allocations are aligned to 16 bytes and not zeroed by sg_arena_alloc. An arena is used
 * by one thread at a time. Out of memory gives NULL.
 */
struct sg_arena {
    struct sg_arena_block *first;
    struct sg_arena_block *current;
    size_t used_bytes; /* sum over all allocations since the last reset */
};

void sg_arena_init(struct sg_arena *arena);
void sg_arena_reset(struct sg_arena *arena); /* keeps one block for reuse */
void sg_arena_free(struct sg_arena *arena);
void *sg_arena_alloc(struct sg_arena *arena, size_t bytes);
void *sg_arena_zalloc(struct sg_arena *arena, size_t bytes);
/* A copy of `text`, with a NUL behind it that does not count. ptr is NULL if memory ran out (even for an empty text it is not NULL otherwise). */
struct sg_str sg_arena_copy(struct sg_arena *arena, struct sg_str text);
struct sg_str sg_arena_printf(struct sg_arena *arena, const char *format, ...) SG_PRINTF(2, 3);
struct sg_buf;
/*
 * The content of `buf`, which is empty afterwards: what is large is not copied but becomes the arena's. ptr is NULL, and the buffer as it was, if
 * memory ran out here or had run out in the buffer.
 */
struct sg_str sg_arena_adopt(struct sg_arena *arena, struct sg_buf *buf);

/* ---- buffer ---- */

/*
 * Bytes that grow. A failed allocation latches `is_failed`: later appends do nothing, and the caller checks once at the end.
 * Zero-initialise or sg_buf_init; sg_buf_free when done.
 */
struct sg_buf {
    char *ptr;
    size_t len;
    size_t capacity;
    bool is_failed;
};

void sg_buf_init(struct sg_buf *buf);
void sg_buf_free(struct sg_buf *buf);
void sg_buf_clear(struct sg_buf *buf); /* keeps the memory, clears is_failed */
/* Makes room for `bytes` more; false (and is_failed) if memory ran out. */
bool sg_buf_reserve(struct sg_buf *buf, size_t bytes);
void sg_buf_append(struct sg_buf *buf, struct sg_str text);
void sg_buf_byte(struct sg_buf *buf, char byte);
void sg_buf_printf(struct sg_buf *buf, const char *format, ...) SG_PRINTF(2, 3);
void sg_buf_int(struct sg_buf *buf, int64_t value);
static inline struct sg_str sg_buf_str(const struct sg_buf *buf)
{
    return (struct sg_str){buf->ptr, buf->len};
}

/* ---- ids ---- */

/* A ULID or a UUID as its 16 bytes; all zero means none. Ordered by memcmp (ULIDs: by time). */
struct sg_id {
    uint8_t bytes[16];
};

#define SG_ULID_LEN 26
#define SG_UUID_LEN 36

bool sg_id_is_null(struct sg_id id);
bool sg_id_eq(struct sg_id a, struct sg_id b);
int sg_id_cmp(struct sg_id a, struct sg_id b);
/* Writes 26 upper-case Crockford characters and a NUL. */
void sg_ulid_format(struct sg_id id, char text[SG_ULID_LEN + 1]);
/* Accepts 26 Crockford characters in either case that fit 128 bits. */
bool sg_ulid_parse(struct sg_str text, struct sg_id *id);
int64_t sg_ulid_time_ms(struct sg_id id);
/* The ULID of a moment and ten bytes of entropy. */
struct sg_id sg_ulid_make(int64_t time_ms, const uint8_t entropy[10]);
/* Writes 36 lower-case characters and a NUL. */
void sg_uuid_format(struct sg_id id, char text[SG_UUID_LEN + 1]);
bool sg_uuid_parse(struct sg_str text, struct sg_id *id);

#ifdef __cplusplus
}
#endif

#endif
