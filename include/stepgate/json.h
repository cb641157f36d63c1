/*
 * JSON as bytes: made canonical once where it enters (RFC 8785), then stored, cut and joined as text without being parsed
 * into a tree again.
 *
 * The model. sg_json_canonicalize is the border: what it lets in is valid, has sorted keys without duplicates, no white
 * space, one text for each number and string, and a bounded depth. Behind the border a JSON value is a `struct sg_str` that
 * holds exactly its text: sg_json_get, the iterators and the sg_json_to_* functions read it in place. They expect valid
 * JSON (canonical, or at least free of duplicate keys: the first one counts) and give "absent" for anything broken, never
 * reading outside of it.
 *
 * Because canonical values can be joined, a body is built with sg_buf_append and sg_json_quote and is canonical by
 * construction if its keys are written in order.
 */
#ifndef STEPGATE_JSON_H
#define STEPGATE_JSON_H

#include <stepgate/base.h>
#include <stepgate/limits.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the border ---- */

struct sg_json_options {
    size_t depth_max;        /* open containers at a time; 0 or more than SG_LIMIT_JSON_DEPTH means SG_LIMIT_JSON_DEPTH */
    size_t bytes_max;        /* of the text as it came; 0: no limit but 2 GiB */
    bool refuses_bad_utf8;   /* SG_INVALID_UTF8; otherwise each bad byte becomes U+FFFD, as in Go (reference/05 §12) */
    struct sg_buf *consumed; /* NULL, or the buffer that `text` lies in: freed once the text was read without fault, before it is sorted */
};

/*
 * Appends the canonical form of the JSON text `text` to `out`. `options` may be NULL.
 *
 * Of a key that occurs twice the last value counts; escapes of lone surrogates become U+FFFD; numbers are printed as
 * ECMAScript prints the nearest double, and refused if they are too large for one.
 *
 * Errors: SG_INVALID_JSON, SG_INVALID_UTF8, SG_TOO_DEEP, SG_TOO_LARGE, each with the byte offset in its message, and
 * SG_NO_MEMORY. Then `out` is as it was (but for is_failed). `text` must not lie in `out`.
 */
enum sg_status sg_json_canonicalize(struct sg_str text, const struct sg_json_options *options, struct sg_buf *out, struct sg_error *error);
/* The same into an arena, without a copy of what is large. `consumed` as in the options, or NULL. */
enum sg_status sg_json_canonical_keep(struct sg_str text, struct sg_buf *consumed, struct sg_arena *arena, struct sg_str *canonical,
                                      struct sg_error *error);

/* ---- reading ---- */

enum sg_json_kind {
    SG_JSON_ABSENT, /* an empty text, or not JSON */
    SG_JSON_NULL,
    SG_JSON_BOOL,
    SG_JSON_NUMBER,
    SG_JSON_STRING,
    SG_JSON_ARRAY,
    SG_JSON_OBJECT
};

/* Judged by the first byte. */
enum sg_json_kind sg_json_kind_of(struct sg_str value);
/* "null", "boolean", "number", "string", "array", "object", "nothing": for messages. */
const char *sg_json_kind_name(enum sg_json_kind kind);

/* The value of a member, or an empty str: there is no such member, or `object` is not an object. `key` is plain text. */
struct sg_str sg_json_get(struct sg_str object, struct sg_str key);
/* The element at `index`, or an empty str. Walks from the start. */
struct sg_str sg_json_at(struct sg_str array, size_t index);
/* How many members or elements; 0 for everything that is not a container. */
size_t sg_json_count(struct sg_str container);

/*
 *     struct sg_json_iter iter = sg_json_iter(object);
 *     while (sg_json_next_member(&iter, &key, &value))
 */
struct sg_json_iter {
    struct sg_str rest;
    bool is_first;
    enum sg_json_kind kind;
};

struct sg_json_iter sg_json_iter(struct sg_str container);
/* `key` is the JSON string with its quotes: sg_json_to_str or sg_json_str_eq read it. */
bool sg_json_next_member(struct sg_json_iter *iter, struct sg_str *key, struct sg_str *value);
bool sg_json_next_element(struct sg_json_iter *iter, struct sg_str *value);

/*
 * The text of a JSON string. It lies in `value` itself if there is no escape in it, else in the arena. Errors:
 * SG_INVALID_JSON if it is not a string, SG_NO_MEMORY.
 */
enum sg_status sg_json_to_str(struct sg_str value, struct sg_arena *arena, struct sg_str *text);
/* The same, appended to a buffer; false if it is not a string. */
bool sg_json_append_str(struct sg_buf *out, struct sg_str value);
/* Whether `value` is the JSON string for `text`. */
bool sg_json_str_eq(struct sg_str value, struct sg_str text);
/* Whole numbers in the range of int64, however they are written (12, 1.2e1). */
bool sg_json_to_int(struct sg_str value, int64_t *number);
bool sg_json_to_double(struct sg_str value, double *number);
bool sg_json_to_bool(struct sg_str value, bool *claim);

/* ---- writing ---- */

/* `text` as a canonical JSON string, with its quotes; each bad UTF-8 byte becomes U+FFFD. */
void sg_json_quote(struct sg_buf *out, struct sg_str text);
/* `text` as it stands inside of a JSON string, without quotes: to build one from parts. */
void sg_json_escape(struct sg_buf *out, struct sg_str text);
/* A double as ECMAScript prints it; NaN and infinities become null. */
void sg_json_number(struct sg_buf *out, double number);

#define SG_JSON_NUMBER_MAX 32
/* The same into `text`, with a NUL; returns the length. */
size_t sg_json_number_format(double number, char text[SG_JSON_NUMBER_MAX]);
/* A text in JSON's number grammar to the nearest double; false if it is not one or too large. Knows no locale. */
bool sg_json_number_parse(struct sg_str text, double *number);

/* The order of keys in canonical JSON: by UTF-16 code units. Both are plain UTF-8 texts (not escaped). */
int sg_json_key_cmp(struct sg_str a, struct sg_str b);

#ifdef __cplusplus
}
#endif

#endif
