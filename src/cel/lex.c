/*
 * Text to tokens.
 *
 * The model. Longest match, as the grammar's generated lexer does it: at each place the longest token wins, and where none
 * starts, the bytes up to and including the one that spoiled the match are reported and dropped ("token recognition error
 * at: '= '" for `===`), so that parsing goes on behind them.
 *
 * What it never does: look at the meaning of a literal (literal.c), or attach a sign to a number (the parser does).
 */
#include "cel/lex.h"

#include <string.h>

#include "base/check.h"

struct lexer {
    struct sg_str text;
    bool is_lenient;
    struct sg_arena *arena;
    struct sg_cel_tokens *tokens;
    size_t capacity;
    struct sg_cel_problems *problems;
};

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hex(int byte)
{
    return is_digit(byte) || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool is_ident_start(int byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
}

/* The byte at a place, or -1 behind the end: no byte is -1, so nothing matches there. */
static int at(const struct lexer *lexer, size_t place)
{
    return place < lexer->text.len ? (unsigned char)lexer->text.ptr[place] : -1;
}

static bool push(struct lexer *lexer, enum sg_cel_token_kind kind, size_t start, size_t end)
{
    struct sg_cel_tokens *tokens = lexer->tokens;
    if (tokens->count == lexer->capacity) {
        size_t capacity = lexer->capacity > 0 ? lexer->capacity * 2 : 64;
        struct sg_cel_token *items = sg_arena_alloc(lexer->arena, capacity * sizeof(*items));
        if (items == NULL)
            return false;
        if (tokens->count > 0)
            memcpy(items, tokens->items, tokens->count * sizeof(*items));
        tokens->items = items;
        lexer->capacity = capacity;
    }
    tokens->items[tokens->count++] = (struct sg_cel_token){.kind = kind, .position = (uint32_t)start, .len = (uint32_t)(end - start)};
    return true;
}

static size_t skip_blank(const struct lexer *lexer, size_t place)
{
    for (;;) {
        int byte = at(lexer, place);
        if (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == '\f') {
            place++;
        } else if (byte == '/' && at(lexer, place + 1) == '/') {
            while (place < lexer->text.len && lexer->text.ptr[place] != '\n')
                place++;
        } else {
            return place;
        }
    }
}

/* ---- numbers ---- */

static size_t skip_digits(const struct lexer *lexer, size_t place)
{
    while (is_digit(at(lexer, place)))
        place++;
    return place;
}

/* The end of an exponent that starts at `place`, or `place` if none does. */
static size_t skip_exponent(const struct lexer *lexer, size_t place)
{
    if (at(lexer, place) != 'e' && at(lexer, place) != 'E')
        return place;
    size_t digits = place + 1;
    if (at(lexer, digits) == '+' || at(lexer, digits) == '-')
        digits++;
    size_t end = skip_digits(lexer, digits);
    return end > digits ? end : place;
}

static size_t match_number(const struct lexer *lexer, size_t start, enum sg_cel_token_kind *kind)
{
    size_t end = start;
    *kind = SG_CEL_T_INT;
    if (at(lexer, start) == '0' && at(lexer, start + 1) == 'x' && is_hex(at(lexer, start + 2))) {
        end = start + 2;
        while (is_hex(at(lexer, end)))
            end++;
    } else {
        end = skip_digits(lexer, start);
        bool is_float = false;
        if (at(lexer, end) == '.' && is_digit(at(lexer, end + 1))) {
            end = skip_digits(lexer, end + 1);
            is_float = true;
        }
        size_t after = skip_exponent(lexer, end);
        if (is_float || after > end) {
            *kind = SG_CEL_T_FLOAT;
            return after;
        }
    }
    if (at(lexer, end) == 'u' || at(lexer, end) == 'U') {
        *kind = SG_CEL_T_UINT;
        end++;
    }
    return end;
}

/* ---- strings ---- */

static bool are_hex(const struct lexer *lexer, size_t place, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_hex(at(lexer, place + i)))
            return false;
    }
    return true;
}

static bool is_octal(int byte)
{
    return byte >= '0' && byte <= '7';
}

/* The length of the escape at `place`, which holds a backslash; 0 and the byte that spoils it if it is none. */
static size_t match_escape(const struct lexer *lexer, size_t place, size_t *bad)
{
    int byte = at(lexer, place + 1);
    *bad = place + 1;
    if (byte > 0 && strchr("abfnrtv\"'\\?`", byte) != NULL)
        return 2;
    size_t digits = byte == 'x' || byte == 'X' ? 2 : byte == 'u' ? 4 : byte == 'U' ? 8 : 0;
    if (digits > 0 && are_hex(lexer, place + 2, digits))
        return 2 + digits;
    if (digits > 0) {
        for (*bad = place + 2; is_hex(at(lexer, *bad)); (*bad)++)
            ;
    } else if (byte >= '0' && byte <= '3') {
        if (is_octal(at(lexer, place + 2)) && is_octal(at(lexer, place + 3)))
            return 4;
        *bad = is_octal(at(lexer, place + 2)) ? place + 3 : place + 2;
    }
    if (lexer->is_lenient && byte >= ' ' && byte < 0x7f)
        return 2;
    return 0;
}

/* Where the literal that opens at `place` ends, or 0 and the place of the byte that spoils it. */
static size_t match_quoted(const struct lexer *lexer, size_t place, size_t quotes, bool is_raw, size_t *bad)
{
    int quote = at(lexer, place);
    for (size_t i = place + quotes; i < lexer->text.len;) {
        int byte = at(lexer, i);
        bool is_closed = byte == quote && (quotes == 1 || (at(lexer, i + 1) == quote && at(lexer, i + 2) == quote));
        if (is_closed)
            return i + quotes;
        if (quotes == 1 && (byte == '\n' || byte == '\r')) {
            *bad = i;
            return 0;
        }
        if (byte == '\\' && !is_raw) {
            size_t len = match_escape(lexer, i, bad);
            if (len == 0)
                return 0;
            i += len;
        } else {
            i++;
        }
    }
    *bad = lexer->text.len;
    return 0;
}

/* A string whose prefix (r, b) begins at `start` and whose quote is at `quote`. 0 if there is none. */
static size_t match_string(const struct lexer *lexer, size_t quote, bool is_raw, size_t *bad)
{
    int byte = at(lexer, quote);
    if (byte != '"' && byte != '\'')
        return 0;
    if (at(lexer, quote + 1) == byte && at(lexer, quote + 2) == byte) {
        size_t end = match_quoted(lexer, quote, 3, is_raw, bad);
        if (end > 0)
            return end;
    }
    return match_quoted(lexer, quote, 1, is_raw, bad);
}

/* ---- words and signs ---- */

static enum sg_cel_token_kind word_kind(struct sg_str word)
{
    if (sg_str_eq(word, SG_STR("in")))
        return SG_CEL_T_IN;
    if (sg_str_eq(word, SG_STR("true")))
        return SG_CEL_T_TRUE;
    if (sg_str_eq(word, SG_STR("false")))
        return SG_CEL_T_FALSE;
    if (sg_str_eq(word, SG_STR("null")))
        return SG_CEL_T_NULL;
    return SG_CEL_T_IDENT;
}

/* A word, or a string literal with a prefix. */
static size_t match_word(const struct lexer *lexer, size_t start, enum sg_cel_token_kind *kind)
{
    size_t bad;
    size_t quote = start;
    bool is_bytes = at(lexer, quote) == 'b' || at(lexer, quote) == 'B';
    quote += is_bytes;
    bool is_raw = at(lexer, quote) == 'r' || at(lexer, quote) == 'R';
    quote += is_raw;
    if (quote > start) {
        size_t end = match_string(lexer, quote, is_raw, &bad);
        if (end > 0) {
            *kind = is_bytes ? SG_CEL_T_BYTES : SG_CEL_T_STRING;
            return end;
        }
    }
    size_t end = start;
    while (is_ident_start(at(lexer, end)) || is_digit(at(lexer, end)))
        end++;
    *kind = word_kind((struct sg_str){lexer->text.ptr + start, end - start});
    return end;
}

static size_t match_quoted_ident(const struct lexer *lexer, size_t start, size_t *bad)
{
    size_t end = start + 1;
    for (int byte = at(lexer, end); is_ident_start(byte) || is_digit(byte) || (byte > 0 && strchr(".-/ ", byte) != NULL);)
        byte = at(lexer, ++end);
    if (at(lexer, end) == '`' && end > start + 1)
        return end + 1;
    *bad = end;
    return 0;
}

/* The signs; those of two bytes first. 0 if there is none, with the byte that spoils `=`, `&` and `|`. */
static size_t match_sign(const struct lexer *lexer, size_t start, enum sg_cel_token_kind *kind, size_t *bad)
{
    static const struct {
        char text[3];
        enum sg_cel_token_kind kind;
    } signs[] = {{"==", SG_CEL_T_EQUAL},       {"!=", SG_CEL_T_NOT_EQUAL},    {"<=", SG_CEL_T_LESS_EQUAL}, {">=", SG_CEL_T_GREATER_EQUAL},
                 {"&&", SG_CEL_T_AND},         {"||", SG_CEL_T_OR},           {"<", SG_CEL_T_LESS},        {">", SG_CEL_T_GREATER},
                 {"[", SG_CEL_T_OPEN_BRACKET}, {"]", SG_CEL_T_CLOSE_BRACKET}, {"{", SG_CEL_T_OPEN_BRACE},  {"}", SG_CEL_T_CLOSE_BRACE},
                 {"(", SG_CEL_T_OPEN_PAREN},   {")", SG_CEL_T_CLOSE_PAREN},   {".", SG_CEL_T_DOT},         {",", SG_CEL_T_COMMA},
                 {"-", SG_CEL_T_MINUS},        {"!", SG_CEL_T_NOT},           {"?", SG_CEL_T_QUESTION},    {"+", SG_CEL_T_PLUS},
                 {":", SG_CEL_T_COLON},        {"*", SG_CEL_T_STAR},          {"/", SG_CEL_T_SLASH},       {"%", SG_CEL_T_PERCENT}};
    for (size_t i = 0; i < SG_ARRAY_LEN(signs); i++) {
        size_t len = signs[i].text[1] != '\0' ? 2 : 1;
        if (at(lexer, start) == signs[i].text[0] && (len == 1 || at(lexer, start + 1) == signs[i].text[1])) {
            *kind = signs[i].kind;
            return start + len;
        }
    }
    int byte = at(lexer, start);
    *bad = byte == '=' || byte == '&' || byte == '|' ? start + 1 : start;
    return 0;
}

static size_t match_token(const struct lexer *lexer, size_t start, enum sg_cel_token_kind *kind, size_t *bad)
{
    int byte = at(lexer, start);
    if (is_digit(byte))
        return match_number(lexer, start, kind);
    if (byte == '.' && is_digit(at(lexer, start + 1))) {
        *kind = SG_CEL_T_FLOAT;
        return skip_exponent(lexer, skip_digits(lexer, start + 1));
    }
    if (is_ident_start(byte))
        return match_word(lexer, start, kind);
    if (byte == '"' || byte == '\'') {
        *kind = SG_CEL_T_STRING;
        return match_string(lexer, start, false, bad);
    }
    if (byte == '`') {
        *kind = SG_CEL_T_QUOTED_IDENT;
        return match_quoted_ident(lexer, start, bad);
    }
    return match_sign(lexer, start, kind, bad);
}

/* ---- the walk ---- */

/* Reports the bytes from `start` through `bad`, a whole character, as the server prints them; returns the place behind. */
static size_t report(struct lexer *lexer, size_t start, size_t bad)
{
    size_t end = bad < lexer->text.len ? bad + 1 : lexer->text.len;
    while (end < lexer->text.len && ((unsigned char)lexer->text.ptr[end] & 0xc0) == 0x80)
        end++;

    char shown[256];
    size_t len = 0;
    for (size_t i = start; i < end && len < sizeof(shown) - 2; i++) {
        char byte = lexer->text.ptr[i];
        char escape = byte == '\n' ? 'n' : byte == '\r' ? 'r' : byte == '\t' ? 't' : '\0';
        if (escape != '\0')
            shown[len++] = '\\';
        shown[len++] = escape != '\0' ? escape : byte;
    }
    sg_cel_problem_add(lexer->problems, start, "Syntax error: token recognition error at: '%.*s'", (int)len, shown);
    return end;
}

enum sg_status sg_cel_lex(struct sg_str text, bool is_lenient, struct sg_arena *arena, struct sg_cel_tokens *tokens,
                          struct sg_cel_problems *problems)
{
    struct lexer lexer = {.text = text, .is_lenient = is_lenient, .arena = arena, .tokens = tokens, .problems = problems};
    *tokens = (struct sg_cel_tokens){0};

    size_t place = skip_blank(&lexer, 0);
    while (place < text.len) {
        enum sg_cel_token_kind kind = SG_CEL_T_END;
        size_t bad = place;
        size_t end = match_token(&lexer, place, &kind, &bad);
        if (end == 0)
            end = report(&lexer, place, bad);
        else if (!push(&lexer, kind, place, end))
            return SG_NO_MEMORY;
        place = skip_blank(&lexer, end);
    }
    return push(&lexer, SG_CEL_T_END, text.len, text.len) ? SG_OK : SG_NO_MEMORY;
}
