/*
 * The border: any JSON text in, canonical JSON (RFC 8785) out, or a sentence that says what is wrong at which byte.
 *
 * The model. One pass over the bytes validates and writes: strings with the one escape each character has, numbers as
 * ECMAScript prints them, no white space. What is open (objects, arrays) is a stack of frames, not recursion. Members are
 * written as they come; json/order.c brings the objects that need it into order afterwards.
 *
 * A text whose keys are in order, the usual case for what a program sends twice, costs the one pass and no allocation
 * beyond the output.
 *
 * What it never does: read a byte at or behind the end, guess at faulty input, or let a lone surrogate, an invalid UTF-8
 * sequence or a number too large for a double pass to where it would be signed (reference/01 §3.1).
 */
#include <stepgate/json.h>

#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "json/order.h"

/* Offsets are 32 bits wide and numbers may grow when printed (1e20 becomes 21 digits). */
#define TEXT_BYTES_MAX ((size_t)INT32_MAX)

/* From here on the second half of the buffer is worth giving back after sorting. */
#define SHRUNK_BYTES_MIN ((size_t)256 * 1024)

/* Integers of so many digits are exact doubles and print as they stand. */
#define EXACT_DIGITS_MAX 15

struct frame {
    bool is_object;
    bool is_sorted;
    uint32_t start;
    uint32_t members_first;
    uint32_t unsorted_first;
};

struct parser {
    const char *start;
    const char *at;
    const char *end;
    struct sg_buf *out;
    size_t out_start;
    bool refuses_bad_utf8;
    size_t depth;
    size_t depth_max;
    struct sg_error *error;
    struct sg_json_order order;
    struct frame frames[SG_LIMIT_JSON_DEPTH];
};

static enum sg_status parse_document(struct parser *parser);

static enum sg_status refuse(struct parser *parser, const char *at, const char *why)
{
    return sg_error_set(parser->error, SG_INVALID_JSON, "invalid JSON at byte %zu: %s", (size_t)(at - parser->start), why);
}

static enum sg_status no_memory(struct parser *parser)
{
    return sg_error_set(parser->error, SG_NO_MEMORY, "out of memory while reading %zu bytes of JSON",
                        (size_t)(parser->end - parser->start));
}

/* Where the next byte will be written, from the beginning of this text. */
static uint32_t position(const struct parser *parser)
{
    return (uint32_t)(parser->out->len - parser->out_start);
}

static const char *written(const struct parser *parser)
{
    return parser->out->ptr + parser->out_start;
}

/* Like sg_buf_append, without the call when there is room: most pieces are a few bytes. */
static inline void put(struct sg_buf *out, const char *bytes, size_t len)
{
    if (out->capacity - out->len >= len && len > 0) {
        memcpy(out->ptr + out->len, bytes, len);
        out->len += len;
        return;
    }
    sg_buf_append(out, (struct sg_str){bytes, len});
}

static inline void put_byte(struct sg_buf *out, char byte)
{
    if (out->len < out->capacity)
        out->ptr[out->len++] = byte;
    else
        sg_buf_byte(out, byte);
}

static enum sg_status sort_objects(struct parser *parser)
{
    size_t len = position(parser);
    struct sg_buf *out = parser->out;

    if (parser->order.unsorted_count == 0)
        return SG_OK;
    if (!sg_buf_reserve(out, len))
        return no_memory(parser);
    char *end = out->ptr + out->len + len;
    char *sorted = sg_json_order_write(&parser->order, written(parser), len, end);
    memmove(out->ptr + parser->out_start, sorted, (size_t)(end - sorted));
    out->len = parser->out_start + (size_t)(end - sorted);
    if (len >= SHRUNK_BYTES_MIN) { /* the room to sort in goes back; if not, it is only room */
        char *fitting = sg_realloc(out->ptr, out->len);
        if (fitting != NULL) {
            out->ptr = fitting;
            out->capacity = out->len;
        }
    }
    return SG_OK;
}

enum sg_status sg_json_canonicalize(struct sg_str text, const struct sg_json_options *options, struct sg_buf *out, struct sg_error *error)
{
    struct parser parser; /* 11 KB, not initialised: only what a text needs of the frames and the order is touched */
    size_t bytes_max = options != NULL && options->bytes_max > 0 ? options->bytes_max : TEXT_BYTES_MAX;

    if (text.len > bytes_max || text.len > TEXT_BYTES_MAX)
        return sg_error_set(error, SG_TOO_LARGE, "the JSON has %zu bytes, at most %zu are allowed", text.len,
                            bytes_max < TEXT_BYTES_MAX ? bytes_max : TEXT_BYTES_MAX);
    parser.start = text.ptr;
    parser.at = text.ptr;
    parser.end = text.len > 0 ? text.ptr + text.len : text.ptr; /* no text may have no place */
    parser.out = out;
    parser.out_start = out->len;
    parser.refuses_bad_utf8 = options != NULL && options->refuses_bad_utf8;
    parser.depth = 0;
    parser.depth_max = SG_LIMIT_JSON_DEPTH;
    if (options != NULL && options->depth_max > 0 && options->depth_max < SG_LIMIT_JSON_DEPTH)
        parser.depth_max = options->depth_max;
    parser.error = error;
    sg_json_order_init(&parser.order);

    enum sg_status status = SG_OK;
    if (text.len == 0)
        status = refuse(&parser, parser.at, "the text is empty");
    else if (!sg_buf_reserve(out, text.len))
        status = no_memory(&parser);
    if (status == SG_OK)
        status = parse_document(&parser);
    if (status == SG_OK && out->is_failed)
        status = no_memory(&parser);
    if (status == SG_OK && options != NULL && options->consumed != NULL)
        sg_buf_free(options->consumed);
    if (status == SG_OK)
        status = sort_objects(&parser);

    sg_json_order_free(&parser.order);
    if (status != SG_OK)
        out->len = parser.out_start;
    return status;
}

enum sg_status sg_json_canonical_keep(struct sg_str text, struct sg_buf *consumed, struct sg_arena *arena, struct sg_str *canonical,
                                      struct sg_error *error)
{
    const struct sg_json_options options = {.consumed = consumed};
    size_t len = text.len;
    struct sg_buf buf;

    *canonical = SG_STR_NULL;
    sg_buf_init(&buf);
    enum sg_status status = sg_json_canonicalize(text, &options, &buf, error);
    if (status != SG_OK) {
        sg_buf_free(&buf);
        return status;
    }
    *canonical = sg_arena_adopt(arena, &buf);
    sg_buf_free(&buf);
    if (canonical->ptr == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory while reading %zu bytes of JSON", len);
    return SG_OK;
}

/* ---- strings ---- */

static const uint64_t ONES = UINT64_C(0x0101010101010101);
static const uint64_t HIGHS = UINT64_C(0x8080808080808080);

/* Whether any of eight bytes ends a stretch of plain ASCII: a control character, a quote, a backslash or a byte above 127. */
static bool has_special(uint64_t word)
{
    uint64_t quotes = word ^ (ONES * '"');
    uint64_t backslashes = word ^ (ONES * '\\');
    uint64_t found = (word - ONES * 0x20) | (quotes - ONES) | (backslashes - ONES) | word;
    return (found & HIGHS) != 0; /* may say yes for nothing behind a byte that borrowed; the slow look then decides */
}

/* The end of the stretch of characters that are written as they stand. */
static const char *skip_plain(const char *at, const char *end)
{
    for (;;) {
        while (end - at >= 8) {
            uint64_t word;
            memcpy(&word, at, sizeof(word));
            if (has_special(word))
                break;
            at += 8;
        }
        const char *stop = end - at >= 8 ? at + 8 : end;
        while (at < stop) {
            unsigned char byte = (unsigned char)*at;
            if (byte < 0x20 || byte == '"' || byte == '\\')
                return at;
            size_t len = byte < 0x80 ? 1 : sg_utf8_len((const unsigned char *)at, (size_t)(end - at));
            if (len == 0)
                return at;
            at += len;
        }
        if (at >= end)
            return at;
    }
}

/* Four hexadecimal digits at `at`, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = sg_hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static void put_character(struct sg_buf *out, uint32_t code_point)
{
    char text[4];
    size_t len = sg_utf8_encode(code_point, text);
    sg_json_escape(out, (struct sg_str){text, len});
}

/* \uXXXX, with its second half if it is a surrogate pair. `at` stands behind the u. */
static enum sg_status parse_unicode_escape(struct parser *parser)
{
    int32_t unit = hex4(parser->at, parser->end);
    if (unit < 0)
        return refuse(parser, parser->at, "\\u needs four hexadecimal digits");
    parser->at += 4;
    if (unit < 0xd800 || unit > 0xdfff) {
        put_character(parser->out, (uint32_t)unit);
        return SG_OK;
    }
    if (unit < 0xdc00 && parser->end - parser->at >= 6 && parser->at[0] == '\\' && parser->at[1] == 'u') {
        int32_t low = hex4(parser->at + 2, parser->end);
        if (low >= 0xdc00 && low <= 0xdfff) {
            parser->at += 6;
            put_character(parser->out, 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
            return SG_OK;
        }
    }
    sg_buf_append(parser->out, SG_UTF8_REPLACEMENT);
    return SG_OK;
}

static enum sg_status parse_escape(struct parser *parser)
{
    const char *escape = parser->at++; /* the backslash */
    if (parser->at == parser->end)
        return refuse(parser, escape, "the text ends within a string");
    char letter = *parser->at++;

    switch (letter) {
    case '"':
    case '\\':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        put(parser->out, escape, 2);
        return SG_OK;
    case '/':
        put_byte(parser->out, '/');
        return SG_OK;
    case 'u':
        return parse_unicode_escape(parser);
    default:
        return refuse(parser, escape, "unknown escape in a string");
    }
}

/* `at` stands on the opening quote. */
static enum sg_status parse_string(struct parser *parser)
{
    const char *opening = parser->at++;
    put_byte(parser->out, '"');
    for (;;) {
        const char *plain = parser->at;
        parser->at = skip_plain(plain, parser->end);
        if (parser->at > plain)
            put(parser->out, plain, (size_t)(parser->at - plain));
        if (parser->at == parser->end)
            return refuse(parser, opening, "this string does not end");

        unsigned char byte = (unsigned char)*parser->at;
        if (byte == '"') {
            parser->at++;
            put_byte(parser->out, '"');
            return SG_OK;
        }
        if (byte == '\\') {
            enum sg_status status = parse_escape(parser);
            if (status != SG_OK)
                return status;
        } else if (byte < 0x20) {
            return refuse(parser, parser->at, "a control character in a string must be escaped");
        } else if (parser->refuses_bad_utf8) {
            return sg_error_set(parser->error, SG_INVALID_UTF8, "invalid UTF-8 at byte %zu", (size_t)(parser->at - parser->start));
        } else {
            sg_buf_append(parser->out, SG_UTF8_REPLACEMENT);
            parser->at++;
        }
    }
}

/* ---- numbers and words ---- */

static enum sg_status parse_number(struct parser *parser)
{
    const char *first = parser->at;
    const char *at = first;
    double number;

    while (at < parser->end && ((*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == '.' || *at == 'e' || *at == 'E'))
        at++;
    struct sg_str text = {first, (size_t)(at - first)};
    parser->at = at;

    bool is_negative = text.ptr[0] == '-';
    struct sg_str digits = {text.ptr + is_negative, text.len - is_negative};
    bool is_short_integer = digits.len > 0 && digits.len <= EXACT_DIGITS_MAX && (digits.ptr[0] != '0' || (digits.len == 1 && !is_negative));
    for (size_t i = 0; i < digits.len && is_short_integer; i++)
        is_short_integer = digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
    if (is_short_integer) {
        put(parser->out, text.ptr, text.len);
        return SG_OK;
    }
    if (sg_json_number_parse(text, &number)) {
        sg_json_number(parser->out, number);
        return SG_OK;
    }
    return refuse(parser, first, "malformed number, or one too large for a double");
}

static enum sg_status parse_word(struct parser *parser)
{
    static const struct sg_str words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    struct sg_str rest = {parser->at, (size_t)(parser->end - parser->at)};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (sg_str_starts_with(rest, words[i])) {
            put(parser->out, words[i].ptr, words[i].len);
            parser->at += words[i].len;
            return SG_OK;
        }
    return refuse(parser, parser->at, "expected a value");
}

/* ---- structure ---- */

static void skip_space(struct parser *parser)
{
    while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\n' || *parser->at == '\t' || *parser->at == '\r'))
        parser->at++;
}

static enum sg_status open_container(struct parser *parser)
{
    if (parser->depth == parser->depth_max)
        return sg_error_set(parser->error, SG_TOO_DEEP, "the JSON is nested more than %zu levels deep at byte %zu", parser->depth_max,
                            (size_t)(parser->at - parser->start));
    char bracket = *parser->at++;
    parser->frames[parser->depth++] = (struct frame){
        .is_object = bracket == '{',
        .is_sorted = true,
        .start = position(parser),
        .members_first = parser->order.open_count,
        .unsorted_first = parser->order.unsorted_count,
    };
    put_byte(parser->out, bracket);
    skip_space(parser);
    return SG_OK;
}

static enum sg_status close_container(struct parser *parser)
{
    struct frame *frame = &parser->frames[--parser->depth];
    put_byte(parser->out, *parser->at++);
    if (!frame->is_object)
        return SG_OK;
    struct sg_json_unsorted object = {.start = frame->start, .end = position(parser), .nested_first = frame->unsorted_first};
    if (!sg_json_order_close(&parser->order, written(parser), frame->is_sorted, frame->members_first, object))
        return no_memory(parser);
    return SG_OK;
}

static enum sg_status check_output(struct parser *parser)
{
    if (parser->out->is_failed)
        return no_memory(parser);
    if (parser->out->len - parser->out_start > TEXT_BYTES_MAX)
        return sg_error_set(parser->error, SG_TOO_LARGE, "the JSON becomes larger than 2 GiB at byte %zu",
                            (size_t)(parser->at - parser->start));
    return SG_OK;
}

/* A key and its colon; `at` stands where the key should begin. */
static enum sg_status parse_key(struct parser *parser)
{
    struct frame *frame = &parser->frames[parser->depth - 1];
    if (parser->at == parser->end || *parser->at != '"')
        return refuse(parser, parser->at, "expected a key in double quotes");

    uint32_t start = position(parser);
    enum sg_status status = parse_string(parser);
    if (status != SG_OK)
        return status;
    status = check_output(parser); /* a key that is not all there cannot be compared */
    if (status != SG_OK)
        return status;
    if (sg_json_order_add(&parser->order, start, position(parser)) == NULL)
        return no_memory(parser);
    if (frame->is_sorted && parser->order.open_count - frame->members_first > 1)
        frame->is_sorted = sg_json_order_is_ascending(&parser->order, written(parser));

    skip_space(parser);
    if (parser->at == parser->end || *parser->at != ':')
        return refuse(parser, parser->at, "expected a colon behind the key");
    parser->at++;
    put_byte(parser->out, ':');
    skip_space(parser);
    return SG_OK;
}

/* What follows a complete value: closes what ends here, and stops where the next value begins or the text is complete. */
static enum sg_status parse_after_value(struct parser *parser)
{
    enum sg_status status = check_output(parser);
    if (status != SG_OK)
        return status;
    while (parser->depth > 0) {
        struct frame *frame = &parser->frames[parser->depth - 1];
        if (frame->is_object) {
            struct sg_json_member *member = &parser->order.open[parser->order.open_count - 1];
            member->end = position(parser);
            member->unsorted_end = parser->order.unsorted_count;
        }
        skip_space(parser);
        char byte = parser->at < parser->end ? *parser->at : '\0';
        if (byte == ',') {
            parser->at++;
            put_byte(parser->out, ',');
            skip_space(parser);
            return frame->is_object ? parse_key(parser) : SG_OK;
        }
        if (byte != (frame->is_object ? '}' : ']'))
            return refuse(parser, parser->at, frame->is_object ? "expected ',' or '}'" : "expected ',' or ']'");
        status = close_container(parser);
        if (status != SG_OK)
            return status;
    }
    skip_space(parser);
    return parser->at == parser->end ? SG_OK : refuse(parser, parser->at, "more text behind the value");
}

/*
 * Reads one value, or the opening of a container up to where its first value begins. `is_complete` tells which: an empty
 * container is a complete value.
 */
static enum sg_status parse_value(struct parser *parser, bool *is_complete)
{
    enum sg_status status;
    *is_complete = true;

    if (parser->at == parser->end)
        return refuse(parser, parser->at, "the text ends where a value is expected");
    switch (*parser->at) {
    case '"':
        return parse_string(parser);
    case '{':
    case '[':
        status = open_container(parser);
        if (status != SG_OK)
            return status;
        struct frame *frame = &parser->frames[parser->depth - 1];
        if (parser->at < parser->end && *parser->at == (frame->is_object ? '}' : ']'))
            return close_container(parser);
        *is_complete = false;
        return frame->is_object ? parse_key(parser) : SG_OK;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return parse_number(parser);
    default:
        return parse_word(parser);
    }
}

static enum sg_status parse_document(struct parser *parser)
{
    enum sg_status status = SG_OK;
    skip_space(parser);
    do {
        bool is_complete;
        status = parse_value(parser, &is_complete);
        if (status == SG_OK && is_complete)
            status = parse_after_value(parser);
    } while (status == SG_OK && (parser->depth > 0 || parser->at < parser->end));
    return status;
}
