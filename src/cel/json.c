/*
 * JSON as values, without recursion and without a byte more than the tree needs.
 *
 * The model. Two passes. The first walks over the text counting the commas of each container, so that the second can allocate
 * every list and map at its final size before its items are read; its state is one frame a level, at most
 * SG_LIMIT_JSON_DEPTH of them. Strings without escapes stay where they are in the text; the others are copied. The members
 * of an object end up sorted by key, with the last of equal keys (reference/05 §4.8), so that a look-up is a binary search.
 *
 * What it never does: trust the text. Everything the first pass assumed is checked by the second.
 */
#include "cel/json.h"

#include <string.h>

#include "base/check.h"
#include "base/hex.h"
#include "cel/number.h"
#include "cel/utf8.h"
#include <stepgate/limits.h>

struct frame {
    struct sg_cel_value *value; /* the list or map being filled */
    uint32_t capacity;
    bool is_sorted;
};

struct reader {
    const char *at;
    const char *end;
    struct sg_arena *arena;
    uint32_t *counts; /* items of each container, in order of their opening */
    size_t count_next;
    size_t count_total;
    struct frame frames[SG_LIMIT_JSON_DEPTH];
    size_t depth;
    enum sg_status status;
    const char *message;
};

static bool fail(struct reader *reader, enum sg_status status, const char *message)
{
    if (reader->status == SG_OK) {
        reader->status = status;
        reader->message = message;
    }
    return false;
}

static void skip_blank(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
        reader->at++;
}

/* ---- the first pass ---- */

static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at;
}

/* Counts the commas between the direct items of every container. */
static bool count_items(struct reader *reader)
{
    size_t containers = 0;
    for (const char *at = reader->at; at < reader->end; at++)
        containers += *at == '[' || *at == '{';
    reader->counts = sg_arena_zalloc(reader->arena, (containers + 1) * sizeof(*reader->counts));
    if (reader->counts == NULL)
        return fail(reader, SG_NO_MEMORY, "out of memory");

    size_t open[SG_LIMIT_JSON_DEPTH]; /* the containers that are open, by number */
    size_t depth = 0;
    for (const char *at = reader->at; at < reader->end; at++) {
        if (*at == '"') {
            at = skip_string(at, reader->end);
        } else if (*at == '[' || *at == '{') {
            if (depth == SG_LIMIT_JSON_DEPTH)
                return fail(reader, SG_TOO_DEEP, "the JSON is nested too deeply");
            open[depth++] = reader->count_total++;
        } else if (*at == ']' || *at == '}') {
            if (depth == 0)
                return fail(reader, SG_INVALID_JSON, "a bracket closes nothing");
            depth--;
        } else if (*at == ',' && depth > 0) {
            reader->counts[open[depth - 1]]++;
        }
    }
    return true;
}

/* ---- strings ---- */

/* Four hexadecimal digits at `at`, or -1. */
static int32_t read_unit(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = sg_hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* \uXXXX, at the X, pairs joined; a surrogate alone is U+FFFD. Returns the place behind, or NULL. */
static const char *read_unicode_escape(const char *at, const char *end, uint32_t *code)
{
    int32_t unit = read_unit(at, end);
    if (unit < 0)
        return NULL;
    at += 4;
    *code = (uint32_t)unit;
    if (unit < 0xd800 || unit >= 0xe000)
        return at;
    *code = 0xfffd;
    if (unit < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        int32_t low = read_unit(at + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
            *code = 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
            return at + 6;
        }
    }
    return at;
}

/* One escape into `to`; returns the place behind it, or NULL. */
static const char *read_escape(const char *at, const char *end, char *to, size_t *len)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2)
        return NULL;
    if (at[1] == 'u') {
        uint32_t code;
        at = read_unicode_escape(at + 2, end, &code);
        if (at != NULL)
            *len += sg_cel_utf8_write(code, to + *len);
        return at;
    }
    const char *letter = at[1] != '\0' ? strchr(letters, at[1]) : NULL;
    if (letter == NULL)
        return NULL;
    to[(*len)++] = meanings[letter - letters];
    return at + 2;
}

/* The string whose content is [start, close), with escapes and with bytes that are no UTF-8 repaired. */
static bool copy_string(struct reader *reader, const char *start, const char *close, struct sg_cel_value *value)
{
    size_t capacity = (size_t)(close - start);
    char *to = capacity < UINT32_MAX / 3 ? sg_arena_alloc(reader->arena, capacity * 3 + 4) : NULL; /* a bad byte becomes three */
    if (to == NULL)
        return fail(reader, SG_NO_MEMORY, "out of memory");
    size_t len = 0;
    for (const char *at = start; at < close;) {
        if (*at == '\\') {
            at = read_escape(at, close, to, &len);
            if (at == NULL)
                return fail(reader, SG_INVALID_JSON, "a string has a bad escape");
            continue;
        }
        uint32_t code;
        size_t read = sg_cel_utf8_read(at, (size_t)(close - at), &code);
        if (read == 0)
            code = 0xfffd;
        len += sg_cel_utf8_write(code, to + len);
        at += read > 0 ? read : 1;
    }
    *value = (struct sg_cel_value){.kind = SG_CEL_STRING, .count = (uint32_t)len};
    value->as.bytes = to;
    return true;
}

static bool read_string(struct reader *reader, struct sg_cel_value *value)
{
    const char *start = reader->at + 1;
    const char *at = start;
    bool is_plain = true;
    while (at < reader->end && *at != '"') {
        unsigned char byte = (unsigned char)*at;
        if (byte < ' ')
            return fail(reader, SG_INVALID_JSON, "a string has a control character");
        uint32_t code;
        size_t read = byte < 0x80 ? 1 : sg_cel_utf8_read(at, (size_t)(reader->end - at), &code);
        is_plain = is_plain && byte != '\\' && read > 0;
        at += byte == '\\' ? 2 : read > 0 ? read : 1;
    }
    if (at >= reader->end)
        return fail(reader, SG_INVALID_JSON, "a string does not end");
    reader->at = at + 1;
    if (!is_plain)
        return copy_string(reader, start, at, value);
    *value = (struct sg_cel_value){.kind = SG_CEL_STRING, .count = (uint32_t)(at - start)};
    value->as.bytes = start;
    return true;
}

/* ---- scalars ---- */

static size_t count_digits(const char *at, const char *end)
{
    const char *start = at;
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return (size_t)(at - start);
}

static bool read_number(struct reader *reader, struct sg_cel_value *value)
{
    const char *at = reader->at;
    bool is_negative = *at == '-';
    at += is_negative;
    const char *start = at;
    size_t digits = count_digits(at, reader->end);
    bool is_fine = digits > 0 && (digits == 1 || *at != '0');
    at += digits;
    bool is_whole = at == reader->end || (*at != '.' && *at != 'e' && *at != 'E');
    if (at < reader->end && *at == '.') {
        digits = count_digits(at + 1, reader->end);
        is_fine = is_fine && digits > 0;
        at += 1 + digits;
    }
    if (at < reader->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < reader->end && (*at == '+' || *at == '-');
        digits = count_digits(at, reader->end);
        is_fine = is_fine && digits > 0;
        at += digits;
    }
    *value = (struct sg_cel_value){.kind = SG_CEL_DOUBLE};
    if (is_fine && at - start <= 15 && is_whole) {
        int64_t whole = 0; /* most numbers are small and whole */
        for (const char *digit = start; digit < at; digit++)
            whole = whole * 10 + (*digit - '0');
        value->as.number = is_negative ? -(double)whole : (double)whole;
        reader->at = at;
        return true;
    }
    if (!is_fine || !sg_cel_double_parse((struct sg_str){start, (size_t)(at - start)}, &value->as.number))
        return fail(reader, SG_INVALID_JSON, "a number is malformed or too large");
    if (is_negative)
        value->as.number = -value->as.number;
    reader->at = at;
    return true;
}

static bool read_word(struct reader *reader, struct sg_cel_value *value)
{
    struct sg_str rest = {reader->at, (size_t)(reader->end - reader->at)};
    *value = (struct sg_cel_value){.kind = SG_CEL_BOOL};
    if (sg_str_starts_with(rest, SG_STR("true"))) {
        value->as.boolean = true;
        reader->at += 4;
    } else if (sg_str_starts_with(rest, SG_STR("false"))) {
        reader->at += 5;
    } else if (sg_str_starts_with(rest, SG_STR("null"))) {
        value->kind = SG_CEL_NULL;
        reader->at += 4;
    } else {
        return fail(reader, SG_INVALID_JSON, "unexpected text where a value should be");
    }
    return true;
}

/* ---- containers ---- */

/* Opens the container at the present place: a frame, with room for all of its items. */
static bool open_container(struct reader *reader, struct sg_cel_value *value)
{
    bool is_map = *reader->at == '{';
    char close = is_map ? '}' : ']';
    reader->at++;
    skip_blank(reader);
    if (reader->depth == SG_LIMIT_JSON_DEPTH)
        return fail(reader, SG_TOO_DEEP, "the JSON is nested too deeply");
    if (reader->count_next == reader->count_total)
        return fail(reader, SG_INVALID_JSON, "brackets do not pair");

    uint32_t capacity = reader->counts[reader->count_next++] + 1;
    bool is_empty = reader->at < reader->end && *reader->at == close;
    *value = (struct sg_cel_value){.kind = is_map ? SG_CEL_MAP : SG_CEL_LIST, .detail = is_map ? SG_CEL_MAP_IS_SORTED : 0};
    if (!is_empty) {
        size_t bytes = capacity * (is_map ? sizeof(struct sg_cel_entry) : sizeof(struct sg_cel_value));
        void *items = sg_arena_alloc(reader->arena, bytes);
        if (items == NULL)
            return fail(reader, SG_NO_MEMORY, "out of memory");
        if (is_map)
            value->as.entries = items;
        else
            value->as.items = items;
    }
    reader->frames[reader->depth++] = (struct frame){.value = value, .capacity = is_empty ? 0 : capacity, .is_sorted = true};
    return true;
}

static int compare_keys(const struct sg_cel_entry *a, const struct sg_cel_entry *b)
{
    return sg_str_cmp((struct sg_str){a->key.as.bytes, a->key.count}, (struct sg_str){b->key.as.bytes, b->key.count});
}

/* Sorts by key, stably, by merging runs of 1, 2, 4, ... between two arrays; then drops all but the last of equal keys. */
static bool sort_entries(struct reader *reader, struct sg_cel_value *map)
{
    size_t count = map->count;
    struct sg_cel_entry *from = (struct sg_cel_entry *)map->as.entries;
    struct sg_cel_entry *to = sg_arena_alloc(reader->arena, count * sizeof(*to));
    if (to == NULL)
        return fail(reader, SG_NO_MEMORY, "out of memory");
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            size_t middle = start + width < count ? start + width : count;
            size_t end = start + 2 * width < count ? start + 2 * width : count;
            size_t left = start;
            size_t right = middle;
            for (size_t i = start; i < end; i++) {
                bool takes_left = left < middle && (right == end || compare_keys(&from[left], &from[right]) <= 0);
                to[i] = takes_left ? from[left++] : from[right++];
            }
        }
        struct sg_cel_entry *swap = from;
        from = to;
        to = swap;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && compare_keys(&from[i], &from[i + 1]) == 0)
            continue;
        from[kept++] = from[i];
    }
    map->as.entries = from;
    map->count = (uint32_t)kept;
    return true;
}

static bool close_container(struct reader *reader)
{
    struct frame *frame = &reader->frames[--reader->depth];
    reader->at++;
    return frame->is_sorted || sort_entries(reader, frame->value);
}

/* A key and its colon; the entry that they open is the next of the map. */
static bool read_key(struct reader *reader, struct frame *frame, struct sg_cel_value **slot)
{
    struct sg_cel_value *map = frame->value;
    struct sg_cel_entry *entries = (struct sg_cel_entry *)map->as.entries;
    struct sg_cel_entry *entry = &entries[map->count];
    if (reader->at == reader->end || *reader->at != '"')
        return fail(reader, SG_INVALID_JSON, "a member does not begin with a string");
    if (!read_string(reader, &entry->key))
        return false;
    if (map->count > 0 && compare_keys(entry - 1, entry) >= 0)
        frame->is_sorted = false;
    map->count++;
    skip_blank(reader);
    if (reader->at == reader->end || *reader->at != ':')
        return fail(reader, SG_INVALID_JSON, "a colon is missing");
    reader->at++;
    *slot = &entry->value;
    return true;
}

/*
 * The place for the next value: a list item or the value of a member. Closes containers that end here; *slot is NULL when
 * the outermost has been closed.
 */
static bool next_slot(struct reader *reader, struct sg_cel_value **slot)
{
    for (;;) {
        if (reader->depth == 0) {
            *slot = NULL;
            return true;
        }
        struct frame *frame = &reader->frames[reader->depth - 1];
        bool is_map = frame->value->kind == SG_CEL_MAP;
        skip_blank(reader);
        if (reader->at == reader->end)
            return fail(reader, SG_INVALID_JSON, "the text ends inside a container");
        if (*reader->at == (is_map ? '}' : ']') && (frame->value->count > 0 || frame->capacity == 0)) {
            if (!close_container(reader))
                return false;
            continue;
        }
        if (frame->value->count > 0) {
            if (*reader->at != ',')
                return fail(reader, SG_INVALID_JSON, "a comma is missing");
            reader->at++;
            skip_blank(reader);
        }
        if (frame->value->count == frame->capacity)
            return fail(reader, SG_INVALID_JSON, "brackets do not pair");
        if (is_map)
            return read_key(reader, frame, slot);
        struct sg_cel_value *items = (struct sg_cel_value *)frame->value->as.items;
        *slot = &items[frame->value->count++];
        return true;
    }
}

static bool read_value(struct reader *reader, struct sg_cel_value *value)
{
    skip_blank(reader);
    if (reader->at == reader->end)
        return fail(reader, SG_INVALID_JSON, "a value is missing");
    switch (*reader->at) {
    case '{':
    case '[':
        return open_container(reader, value);
    case '"':
        return read_string(reader, value);
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
        return read_number(reader, value);
    default:
        return read_word(reader, value);
    }
}

enum sg_status sg_cel_json_parse(struct sg_str json, struct sg_arena *arena, struct sg_cel_value *value, struct sg_error *error)
{
    *value = (struct sg_cel_value){.kind = SG_CEL_NULL};
    if (json.len >= UINT32_MAX)
        return sg_error_set(error, SG_TOO_LARGE, "the JSON is larger than 4 GiB");
    struct reader reader; /* its frames are large and need no zeros */
    reader.at = json.ptr;
    reader.end = json.ptr + json.len;
    reader.arena = arena;
    reader.counts = NULL;
    reader.count_next = 0;
    reader.count_total = 0;
    reader.depth = 0;
    reader.status = SG_OK;
    reader.message = NULL;

    bool is_fine = count_items(&reader);
    struct sg_cel_value *slot = value;
    while (is_fine && slot != NULL)
        is_fine = read_value(&reader, slot) && next_slot(&reader, &slot);
    skip_blank(&reader);
    if (is_fine && reader.at != reader.end)
        fail(&reader, SG_INVALID_JSON, "something follows the value");
    if (reader.status == SG_OK)
        return SG_OK;
    return sg_error_set(error, reader.status, "%s at byte %zu", reader.message, (size_t)(reader.at - json.ptr));
}

/* ---- documents ---- */

enum sg_status sg_cel_document_parse(struct sg_str json, struct sg_arena *arena, struct sg_cel_document *document, struct sg_error *error)
{
    return sg_cel_json_parse(json, arena, &document->root, error);
}

/* Puts an entry that `map` lacks in its place; `entries` has room for it. */
static void insert_entry(struct sg_cel_value *map, struct sg_cel_entry *entries, struct sg_str key, struct sg_cel_value value)
{
    struct sg_cel_entry added = {.key = {.kind = SG_CEL_STRING, .count = (uint32_t)key.len, .as.bytes = key.ptr}, .value = value};
    size_t to = map->count;
    for (; to > 0 && compare_keys(&entries[to - 1], &added) > 0; to--)
        entries[to] = entries[to - 1];
    entries[to] = added;
    map->count++;
}

enum sg_status sg_cel_document_parse_event(struct sg_str json, struct sg_arena *arena, struct sg_cel_document *document,
                                           struct sg_error *error)
{
    enum sg_status status = sg_cel_json_parse(json, arena, &document->root, error);
    if (status != SG_OK)
        return status;
    struct sg_cel_value *map = &document->root;
    if (map->kind != SG_CEL_MAP)
        return sg_error_set(error, SG_INVALID_JSON, "an event is a JSON object");

    struct sg_cel_entry *entries = sg_arena_alloc(arena, (map->count + 2) * sizeof(*entries));
    if (entries == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    const struct sg_cel_value empty = {.kind = SG_CEL_MAP, .detail = SG_CEL_MAP_IS_SORTED};
    struct sg_cel_value whole = *map;
    map->count = 0;
    for (uint32_t i = 0; i < whole.count; i++) {
        struct sg_cel_entry entry = whole.as.entries[i];
        struct sg_str key = {entry.key.as.bytes, entry.key.count};
        bool is_part = sg_str_eq(key, SG_STR("data")) || sg_str_eq(key, SG_STR("user"));
        bool is_empty_version = sg_str_eq(key, SG_STR("v")) && entry.value.kind == SG_CEL_STRING && entry.value.count == 0;
        if (is_part && entry.value.kind == SG_CEL_NULL)
            entry.value = empty;
        if (!is_empty_version)
            entries[map->count++] = entry;
    }
    map->as.entries = entries;
    if (sg_cel_map_find(map, SG_STR("data")) == NULL)
        insert_entry(map, entries, SG_STR("data"), empty);
    if (sg_cel_map_find(map, SG_STR("user")) == NULL)
        insert_entry(map, entries, SG_STR("user"), empty);
    return SG_OK;
}
