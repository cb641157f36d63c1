/*
 * Reading JSON where it lies: values are stretches of the text, found by walking over what is before them.
 *
 * The model. The text passed the border (canonical.c), so walking needs no grammar: a string ends at the first quote that
 * is not escaped, a container where its brackets balance, anything else at the next comma or bracket. For an event of a few
 * hundred bytes that is faster than building a tree, and it allocates nothing.
 *
 * What it never does: recurse, or read outside the text, whatever the text is: broken JSON reads as absent values.
 */
#include <stepgate/json.h>

#include <math.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"

/* 2^63, the first double beyond int64; its negative still fits. */
#define INT64_BOUND 9223372036854775808.0

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r';
}

static struct sg_str skip_space(struct sg_str text)
{
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    return text;
}

static struct sg_str skip(struct sg_str text, size_t bytes)
{
    return (struct sg_str){text.ptr + bytes, text.len - bytes};
}

/* Length of the string literal at the beginning of `text`, quotes included; 0 if it does not end. */
static size_t string_len(struct sg_str text)
{
    size_t at = 1;
    while (at < text.len) {
        const char *quote = memchr(text.ptr + at, '"', text.len - at);
        if (quote == NULL)
            return 0;
        size_t end = (size_t)(quote - text.ptr);
        size_t backslashes = 0;
        while (end - backslashes > at && text.ptr[end - 1 - backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 0)
            return end + 1;
        at = end + 1;
    }
    return 0;
}

static size_t container_len(struct sg_str text)
{
    size_t depth = 0;
    for (size_t at = 0; at < text.len; at++) {
        char byte = text.ptr[at];
        if (byte == '"') {
            size_t len = string_len(skip(text, at));
            if (len == 0)
                return 0;
            at += len - 1;
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return 0;
}

/* Length of the value at the beginning of `text`; 0 if there is none. */
static size_t value_len(struct sg_str text)
{
    size_t len = 0;

    switch (sg_json_kind_of(text)) {
    case SG_JSON_STRING:
        return string_len(text);
    case SG_JSON_ARRAY:
    case SG_JSON_OBJECT:
        return container_len(text);
    case SG_JSON_ABSENT:
        return 0;
    case SG_JSON_NULL:
    case SG_JSON_BOOL:
    case SG_JSON_NUMBER:
        while (len < text.len && text.ptr[len] != ',' && text.ptr[len] != '}' && text.ptr[len] != ']' && !is_space(text.ptr[len]))
            len++;
    }
    return len;
}

enum sg_json_kind sg_json_kind_of(struct sg_str value)
{
    value = skip_space(value);
    if (value.len == 0)
        return SG_JSON_ABSENT;
    switch (value.ptr[0]) {
    case '{':
        return SG_JSON_OBJECT;
    case '[':
        return SG_JSON_ARRAY;
    case '"':
        return SG_JSON_STRING;
    case 't':
    case 'f':
        return SG_JSON_BOOL;
    case 'n':
        return SG_JSON_NULL;
    default:
        return value.ptr[0] == '-' || (value.ptr[0] >= '0' && value.ptr[0] <= '9') ? SG_JSON_NUMBER : SG_JSON_ABSENT;
    }
}

const char *sg_json_kind_name(enum sg_json_kind kind)
{
    static const char *const names[] = {
        [SG_JSON_ABSENT] = "nothing", [SG_JSON_NULL] = "null",   [SG_JSON_BOOL] = "boolean",  [SG_JSON_NUMBER] = "number",
        [SG_JSON_STRING] = "string",  [SG_JSON_ARRAY] = "array", [SG_JSON_OBJECT] = "object",
    };
    return names[kind];
}

/* ---- walking ---- */

struct sg_json_iter sg_json_iter(struct sg_str container)
{
    struct sg_json_iter iter = {skip_space(container), true, sg_json_kind_of(container)};
    if (iter.kind == SG_JSON_OBJECT || iter.kind == SG_JSON_ARRAY)
        iter.rest = skip(iter.rest, 1);
    else
        iter.rest = SG_STR_NULL;
    return iter;
}

/* Moves to where the next member or element begins; false at the end. */
static bool go_to_next(struct sg_json_iter *iter)
{
    iter->rest = skip_space(iter->rest);
    if (!iter->is_first) {
        if (iter->rest.len == 0 || iter->rest.ptr[0] != ',')
            return false;
        iter->rest = skip_space(skip(iter->rest, 1));
    }
    iter->is_first = false;
    return iter->rest.len > 0;
}

static bool take_value(struct sg_json_iter *iter, struct sg_str *value)
{
    size_t len = value_len(iter->rest);
    if (len == 0) {
        iter->rest = SG_STR_NULL; /* broken: the walk ends */
        return false;
    }
    *value = (struct sg_str){iter->rest.ptr, len};
    iter->rest = skip(iter->rest, len);
    return true;
}

bool sg_json_next_member(struct sg_json_iter *iter, struct sg_str *key, struct sg_str *value)
{
    if (iter->kind != SG_JSON_OBJECT || !go_to_next(iter) || iter->rest.ptr[0] != '"' || !take_value(iter, key))
        return false;
    iter->rest = skip_space(iter->rest);
    if (iter->rest.len == 0 || iter->rest.ptr[0] != ':')
        return false;
    iter->rest = skip_space(skip(iter->rest, 1));
    return take_value(iter, value);
}

bool sg_json_next_element(struct sg_json_iter *iter, struct sg_str *value)
{
    return iter->kind == SG_JSON_ARRAY && go_to_next(iter) && take_value(iter, value);
}

struct sg_str sg_json_get(struct sg_str object, struct sg_str key)
{
    struct sg_json_iter iter = sg_json_iter(object);
    struct sg_str found_key;
    struct sg_str value;
    while (sg_json_next_member(&iter, &found_key, &value))
        if (sg_json_str_eq(found_key, key))
            return value;
    return SG_STR_NULL;
}

struct sg_str sg_json_at(struct sg_str array, size_t index)
{
    struct sg_json_iter iter = sg_json_iter(array);
    struct sg_str value;
    for (size_t i = 0; sg_json_next_element(&iter, &value); i++)
        if (i == index)
            return value;
    return SG_STR_NULL;
}

size_t sg_json_count(struct sg_str container)
{
    struct sg_json_iter iter = sg_json_iter(container);
    struct sg_str key;
    struct sg_str value;
    size_t count = 0;
    if (iter.kind == SG_JSON_OBJECT)
        while (sg_json_next_member(&iter, &key, &value))
            count++;
    else
        while (sg_json_next_element(&iter, &value))
            count++;
    return count;
}

/* ---- decoding ---- */

/* What is between the quotes of exactly one string literal. */
static bool inside_of(struct sg_str value, struct sg_str *inside)
{
    value = sg_str_trim(value);
    if (value.len < 2 || value.ptr[0] != '"' || string_len(value) != value.len)
        return false;
    *inside = (struct sg_str){value.ptr + 1, value.len - 2};
    return true;
}

static int32_t hex4(struct sg_str text)
{
    int32_t unit = 0;
    if (text.len < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = sg_hex_digit(text.ptr[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* The character of the escape at the beginning of `text`, as UTF-8; returns how much of `text` it takes. */
static size_t decode_escape(struct sg_str text, char utf8[4], size_t *utf8_len)
{
    static const char letters[] = "b\bf\fn\nr\rt\t";
    *utf8_len = 1;
    if (text.len < 2) {
        utf8[0] = '\\';
        return 1;
    }
    utf8[0] = text.ptr[1];
    for (size_t i = 0; letters[i] != '\0'; i += 2)
        if (letters[i] == text.ptr[1])
            utf8[0] = letters[i + 1];
    if (text.ptr[1] != 'u')
        return 2;

    int32_t unit = hex4(skip(text, 2));
    if (unit < 0)
        return 2;
    size_t len = 6;
    uint32_t code_point = (uint32_t)unit;
    if (unit >= 0xd800 && unit <= 0xdfff) {
        struct sg_str rest = skip(text, len);
        int32_t low = unit < 0xdc00 && rest.len >= 6 && rest.ptr[0] == '\\' && rest.ptr[1] == 'u' ? hex4(skip(rest, 2)) : -1;
        bool is_pair = low >= 0xdc00 && low <= 0xdfff;
        code_point = is_pair ? 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00) : 0xfffd;
        len = is_pair ? 12 : 6;
    }
    *utf8_len = sg_utf8_encode(code_point, utf8);
    return len;
}

/* Writes the meaning of a string's inside, which is never longer than itself. */
static size_t decode(struct sg_str inside, char *text)
{
    size_t len = 0;
    while (inside.len > 0) {
        const char *backslash = memchr(inside.ptr, '\\', inside.len);
        size_t plain = backslash != NULL ? (size_t)(backslash - inside.ptr) : inside.len;
        memcpy(text + len, inside.ptr, plain);
        len += plain;
        inside = skip(inside, plain);
        if (backslash != NULL) {
            char utf8[4];
            size_t utf8_len;
            inside = skip(inside, decode_escape(inside, utf8, &utf8_len));
            memcpy(text + len, utf8, utf8_len);
            len += utf8_len;
        }
    }
    return len;
}

static bool has_escapes(struct sg_str inside)
{
    return inside.len > 0 && memchr(inside.ptr, '\\', inside.len) != NULL;
}

enum sg_status sg_json_to_str(struct sg_str value, struct sg_arena *arena, struct sg_str *text)
{
    struct sg_str inside;
    if (!inside_of(value, &inside))
        return SG_INVALID_JSON;
    if (!has_escapes(inside)) {
        *text = inside;
        return SG_OK;
    }
    char *decoded = sg_arena_alloc(arena, inside.len);
    if (decoded == NULL)
        return SG_NO_MEMORY;
    *text = (struct sg_str){decoded, decode(inside, decoded)};
    return SG_OK;
}

bool sg_json_append_str(struct sg_buf *out, struct sg_str value)
{
    struct sg_str inside;
    if (!inside_of(value, &inside))
        return false;
    if (!has_escapes(inside))
        sg_buf_append(out, inside);
    else if (sg_buf_reserve(out, inside.len))
        out->len += decode(inside, out->ptr + out->len);
    return true;
}

bool sg_json_str_eq(struct sg_str value, struct sg_str text)
{
    struct sg_str inside;
    if (!inside_of(value, &inside))
        return false;
    if (!has_escapes(inside))
        return sg_str_eq(inside, text);

    while (inside.len > 0) {
        char utf8[4];
        size_t utf8_len = 1;
        size_t len = 1;
        utf8[0] = inside.ptr[0];
        if (utf8[0] == '\\')
            len = decode_escape(inside, utf8, &utf8_len);
        if (!sg_str_starts_with(text, (struct sg_str){utf8, utf8_len}))
            return false;
        inside = skip(inside, len);
        text = skip(text, utf8_len);
    }
    return text.len == 0;
}

bool sg_json_to_int(struct sg_str value, int64_t *number)
{
    double read;
    value = sg_str_trim(value);
    if (sg_json_kind_of(value) != SG_JSON_NUMBER)
        return false;
    if (sg_str_to_int(value, number))
        return true;
    if (!sg_json_number_parse(value, &read) || read != floor(read) || read < -INT64_BOUND || read >= INT64_BOUND)
        return false;
    *number = (int64_t)read;
    return true;
}

bool sg_json_to_double(struct sg_str value, double *number)
{
    return sg_json_number_parse(sg_str_trim(value), number);
}

bool sg_json_to_bool(struct sg_str value, bool *claim)
{
    value = sg_str_trim(value);
    if (!sg_str_eq(value, SG_STR("true")) && !sg_str_eq(value, SG_STR("false")))
        return false;
    *claim = value.ptr[0] == 't';
    return true;
}
