/*
 * The values of literal tokens: numbers with their range checks, strings and bytes with their escapes (reference/05 §2.1).
 *
 * The lexer has made sure that the form is right; what is left to find out is whether a number fits and whether an escape
 * names a character. Escapes are always processed: the server's habit of copying them raw (reference/05 §4.9) is not copied.
 */
#include <string.h>

#include "base/check.h"
#include "base/hex.h"
#include "cel/lex.h"
#include "cel/number.h"
#include "cel/utf8.h"

/* Decimal or 0x digits into *value; false if they do not fit. */
static bool read_natural(struct sg_str text, uint64_t *value)
{
    uint64_t base = 10;
    if (text.len > 2 && text.ptr[1] == 'x') {
        base = 16;
        text = (struct sg_str){text.ptr + 2, text.len - 2};
    }
    *value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)sg_hex_digit(text.ptr[i]);
        if (*value > (UINT64_MAX - digit) / base)
            return false;
        *value = *value * base + digit;
    }
    return true;
}

static const char *decode_int(struct sg_str text, bool is_negative, struct sg_cel_value *value)
{
    uint64_t natural;
    if (!read_natural(text, &natural) || natural > (uint64_t)INT64_MAX + is_negative)
        return "invalid int literal";
    *value = (struct sg_cel_value){.kind = SG_CEL_INT};
    value->as.integer = is_negative ? (int64_t)(0 - natural) : (int64_t)natural;
    return NULL;
}

static const char *decode_uint(struct sg_str text, struct sg_cel_value *value)
{
    *value = (struct sg_cel_value){.kind = SG_CEL_UINT};
    if (!read_natural((struct sg_str){text.ptr, text.len - 1}, &value->as.natural))
        return "invalid uint literal";
    return NULL;
}

static const char *decode_float(struct sg_str text, bool is_negative, struct sg_cel_value *value)
{
    *value = (struct sg_cel_value){.kind = SG_CEL_DOUBLE};
    if (!sg_cel_double_parse(text, &value->as.number))
        return "invalid double literal";
    if (is_negative)
        value->as.number = -value->as.number;
    return NULL;
}

/* ---- strings ---- */

struct unescape {
    struct sg_str from;
    size_t place;
    bool is_bytes;
    char *to;
    size_t len;
};

static uint32_t read_hex(const struct unescape *state, size_t place, size_t digits)
{
    uint32_t code = 0;
    for (size_t i = 0; i < digits; i++)
        code = code << 4 | (uint32_t)sg_hex_digit(state->from.ptr[place + i]);
    return code;
}

/* Appends a code point, or in bytes the byte of that value. */
static const char *append_code(struct unescape *state, uint32_t code)
{
    if (state->is_bytes) {
        state->to[state->len++] = (char)code;
        return NULL;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return "invalid unicode code point";
    state->len += sg_cel_utf8_write(code, state->to + state->len);
    return NULL;
}

/* One escape, whose backslash is at `place`. */
static const char *unescape_one(struct unescape *state)
{
    static const char letters[] = "abfnrtv";
    static const char meanings[] = "\a\b\f\n\r\t\v";
    char byte = state->from.ptr[state->place + 1];
    const char *letter = strchr(letters, byte);
    if (byte != '\0' && letter != NULL) {
        state->to[state->len++] = meanings[letter - letters];
        state->place += 2;
        return NULL;
    }
    size_t digits = byte == 'x' || byte == 'X' ? 2 : byte == 'u' ? 4 : byte == 'U' ? 8 : 0;
    bool is_whole = digits > 0 && state->place + 2 + digits <= state->from.len;
    for (size_t i = 0; is_whole && i < digits; i++)
        is_whole = sg_hex_digit(state->from.ptr[state->place + 2 + i]) >= 0;
    if (is_whole) {
        if (digits > 2 && state->is_bytes)
            return "unicode escape in bytes literal";
        uint32_t code = read_hex(state, state->place + 2, digits);
        state->place += 2 + digits;
        return append_code(state, code);
    }
    const char *octal = state->from.ptr + state->place + 1;
    if (state->place + 4 <= state->from.len && octal[0] >= '0' && octal[0] <= '3' && octal[1] >= '0' && octal[1] <= '7' &&
        octal[2] >= '0' && octal[2] <= '7') {
        state->place += 4;
        return append_code(state, (uint32_t)((octal[0] - '0') << 6 | (octal[1] - '0') << 3 | (octal[2] - '0')));
    }
    /* A quote, a backslash, or (leniently) an escape that CEL does not know: that one keeps its backslash. */
    if (strchr("\"'\\?`", byte) == NULL)
        state->to[state->len++] = '\\';
    state->to[state->len++] = byte;
    state->place += 2;
    return NULL;
}

/* The bytes of one literal without its quotes. In triple quotes CRLF and CR are one LF. */
static const char *unescape(struct unescape *state, bool is_raw, bool is_triple)
{
    while (state->place < state->from.len) {
        char byte = state->from.ptr[state->place];
        if (byte == '\\' && !is_raw) {
            const char *message = unescape_one(state);
            if (message != NULL)
                return message;
            continue;
        }
        if (byte == '\r' && is_triple) {
            byte = '\n';
            if (state->place + 1 < state->from.len && state->from.ptr[state->place + 1] == '\n')
                state->place++;
        }
        state->to[state->len++] = byte;
        state->place++;
    }
    return NULL;
}

static const char *decode_quoted(struct sg_str text, enum sg_cel_token_kind kind, struct sg_arena *arena, struct sg_cel_value *value)
{
    bool is_raw = false;
    while (text.ptr[0] != '"' && text.ptr[0] != '\'') {
        is_raw = is_raw || text.ptr[0] == 'r' || text.ptr[0] == 'R';
        text = (struct sg_str){text.ptr + 1, text.len - 1};
    }
    bool is_triple = text.len >= 6 && text.ptr[1] == text.ptr[0] && text.ptr[2] == text.ptr[0];
    size_t quotes = is_triple ? 3 : 1;

    struct unescape state = {.from = {text.ptr + quotes, text.len - 2 * quotes}, .is_bytes = kind == SG_CEL_T_BYTES};
    state.to = sg_arena_alloc(arena, state.from.len + 1); /* no escape is shorter than what it means */
    if (state.to == NULL)
        return "out of memory";
    const char *message = unescape(&state, is_raw, is_triple);
    if (message != NULL)
        return message;
    *value = (struct sg_cel_value){.kind = state.is_bytes ? SG_CEL_BYTES : SG_CEL_STRING, .count = (uint32_t)state.len};
    value->as.bytes = state.to;
    return NULL;
}

const char *sg_cel_literal_decode(struct sg_str text, enum sg_cel_token_kind kind, bool is_negative, struct sg_arena *arena,
                                  struct sg_cel_value *value)
{
    assert(text.len > 0);
    switch (kind) {
    case SG_CEL_T_INT:
        return decode_int(text, is_negative, value);
    case SG_CEL_T_UINT:
        return decode_uint(text, value);
    case SG_CEL_T_FLOAT:
        return decode_float(text, is_negative, value);
    default:
        assert(kind == SG_CEL_T_STRING || kind == SG_CEL_T_BYTES);
        return decode_quoted(text, kind, arena, value);
    }
}
