/*
 * Values as text: as keys (reference/05 §1.5), as literals of the language, and errors in words.
 *
 * The model. Both writers walk over nested values with a stack of their own, one frame a level. Key text imitates how Go
 * prints things, because keys of the server that we stand in for do and a loose `+` makes it visible: lists in brackets
 * without commas, maps as map[k:v] sorted by key, null as <nil> inside a container and NULL_VALUE alone.
 */
#include <string.h>

#include "base/check.h"
#include "cel/number.h"
#include "cel/time.h"
#include "cel/utf8.h"
#include "cel/value.h"
#include <stepgate/json.h>

struct frame {
    const struct sg_cel_value *value;
    uint32_t next;
};

static void append_double(struct sg_buf *out, double number)
{
    char text[SG_CEL_DOUBLE_MAX];
    size_t len = sg_cel_double_format(number, text);
    sg_buf_append(out, (struct sg_str){text, len});
}

/* ---- keys ---- */

static void append_bytes_key(struct sg_buf *out, struct sg_str bytes)
{
    sg_buf_byte(out, '[');
    for (size_t i = 0; i < bytes.len; i++)
        sg_buf_printf(out, i > 0 ? " %u" : "%u", (unsigned)(unsigned char)bytes.ptr[i]);
    sg_buf_byte(out, ']');
}

static void append_scalar_key(struct sg_buf *out, const struct sg_cel_value *value, bool is_nested)
{
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_NULL:
        sg_buf_append(out, is_nested ? SG_STR("<nil>") : SG_STR("NULL_VALUE"));
        break;
    case SG_CEL_BOOL:
        sg_buf_append(out, value->as.boolean ? SG_STR("true") : SG_STR("false"));
        break;
    case SG_CEL_INT:
        sg_buf_int(out, value->as.integer);
        break;
    case SG_CEL_UINT:
        sg_buf_printf(out, "%llu", (unsigned long long)value->as.natural);
        break;
    case SG_CEL_DOUBLE:
        append_double(out, value->as.number);
        break;
    case SG_CEL_STRING:
        sg_buf_append(out, sg_cel_str(value));
        break;
    case SG_CEL_BYTES:
        append_bytes_key(out, sg_cel_str(value));
        break;
    case SG_CEL_TIMESTAMP:
        sg_cel_time_print_go(value->as.time, out);
        break;
    case SG_CEL_DURATION:
        sg_cel_duration_print_go(value->as.duration_ns, out);
        break;
    case SG_CEL_TYPE:
        sg_buf_append(out, sg_str_from(sg_cel_kind_name(value->as.type)));
        break;
    case SG_CEL_ERROR:
    case SG_CEL_ABORT:
        sg_cel_error_text(value, out);
        break;
    case SG_CEL_UNKNOWN:
    case SG_CEL_ABSENT:
        sg_buf_append(out, SG_STR("false"));
        break;
    case SG_CEL_LIST:
    case SG_CEL_MAP:
        assert(false);
        break;
    }
}

static bool is_container(const struct sg_cel_value *value)
{
    return value->kind == SG_CEL_LIST || value->kind == SG_CEL_MAP;
}

/* How keys of a map that is not sorted are put in order: by their text, as they are rare and then short. */
static int compare_entries(const struct sg_cel_entry *a, const struct sg_cel_entry *b)
{
    if (a->key.kind == SG_CEL_STRING && b->key.kind == SG_CEL_STRING)
        return sg_str_cmp(sg_cel_str(&a->key), sg_cel_str(&b->key));
    enum sg_cel_order order = sg_cel_compare(&a->key, &b->key);
    if (order == SG_CEL_ORDER_LESS)
        return -1;
    if (order == SG_CEL_ORDER_GREATER)
        return 1;
    return (int)a->key.kind - (int)b->key.kind;
}

/* The number of the entry that comes next in order after entry `last` (UINT32_MAX: none yet). */
static uint32_t next_in_order(const struct sg_cel_value *map, uint32_t last)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct sg_cel_entry *entry = &map->as.entries[i];
        if (last != UINT32_MAX) {
            int order = compare_entries(entry, &map->as.entries[last]);
            if (order < 0 || (order == 0 && i <= last))
                continue;
        }
        if (best == UINT32_MAX || compare_entries(entry, &map->as.entries[best]) < 0)
            best = i;
    }
    return best;
}

/* The container on top of the stack gives its next item, and writes what stands before it; NULL when it is done. */
static const struct sg_cel_value *next_key_item(struct frame *frame, uint32_t *last, struct sg_buf *out)
{
    if (frame->next == frame->value->count)
        return NULL;
    if (frame->next > 0)
        sg_buf_byte(out, ' ');
    uint32_t i = frame->next++;
    if (frame->value->kind == SG_CEL_LIST)
        return &frame->value->as.items[i];
    if ((frame->value->detail & SG_CEL_MAP_IS_SORTED) == 0) {
        i = next_in_order(frame->value, *last);
        *last = i;
    }
    const struct sg_cel_entry *entry = &frame->value->as.entries[i];
    if (is_container(&entry->key))
        sg_buf_append(out, entry->key.kind == SG_CEL_LIST ? SG_STR("[]") : SG_STR("map[]"));
    else
        append_scalar_key(out, &entry->key, true);
    sg_buf_byte(out, ':');
    return &entry->value;
}

void sg_cel_value_key(const struct sg_cel_value *value, struct sg_buf *out)
{
    if (!is_container(value)) {
        append_scalar_key(out, value, false);
        return;
    }
    struct frame stack[SG_CEL_VALUE_DEPTH_MAX];
    uint32_t last[SG_CEL_VALUE_DEPTH_MAX]; /* of each frame: the entry that was written last, for maps that are not sorted */
    size_t depth = 0;
    do {
        if (is_container(value)) {
            assert(depth < SG_CEL_VALUE_DEPTH_MAX);
            sg_buf_append(out, value->kind == SG_CEL_LIST ? SG_STR("[") : SG_STR("map["));
            last[depth] = UINT32_MAX;
            stack[depth++] = (struct frame){.value = value};
        } else {
            append_scalar_key(out, value, true);
        }
        value = NULL;
        while (depth > 0 && value == NULL) {
            value = next_key_item(&stack[depth - 1], &last[depth - 1], out);
            if (value == NULL) {
                sg_buf_byte(out, ']');
                depth--;
            }
        }
    } while (depth > 0);
}

/* ---- literals ---- */

static void print_string(struct sg_str text, struct sg_buf *out)
{
    sg_buf_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte == '"' || byte == '\\') {
            sg_buf_byte(out, '\\');
            sg_buf_byte(out, (char)byte);
        } else if (byte == '\n') {
            sg_buf_append(out, SG_STR("\\n"));
        } else if (byte == '\r') {
            sg_buf_append(out, SG_STR("\\r"));
        } else if (byte == '\t') {
            sg_buf_append(out, SG_STR("\\t"));
        } else if (byte < ' ' || byte == 0x7f) {
            sg_buf_printf(out, "\\x%02x", byte);
        } else {
            sg_buf_byte(out, (char)byte);
        }
    }
    sg_buf_byte(out, '"');
}

static void print_bytes(struct sg_str bytes, struct sg_buf *out)
{
    sg_buf_append(out, SG_STR("b\""));
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        if (byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\')
            sg_buf_byte(out, (char)byte);
        else
            sg_buf_printf(out, "\\x%02x", byte);
    }
    sg_buf_byte(out, '"');
}

/* With a point or an exponent, so that it is read back as a double; NaN and infinities as divisions. */
static void print_double(double number, struct sg_buf *out)
{
    char text[SG_CEL_DOUBLE_MAX];
    size_t len = sg_cel_double_format(number, text);
    if (strcmp(text, "NaN") == 0) {
        sg_buf_append(out, SG_STR("double(\"NaN\")"));
        return;
    }
    if (text[len - 1] == 'f') {
        sg_buf_append(out, text[0] == '-' ? SG_STR("double(\"-inf\")") : SG_STR("double(\"inf\")"));
        return;
    }
    sg_buf_append(out, (struct sg_str){text, len});
    if (strpbrk(text, ".e") == NULL)
        sg_buf_append(out, SG_STR(".0"));
}

static void print_scalar(const struct sg_cel_value *value, struct sg_buf *out)
{
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_NULL:
        sg_buf_append(out, SG_STR("null"));
        break;
    case SG_CEL_UINT:
        append_scalar_key(out, value, true);
        sg_buf_byte(out, 'u');
        break;
    case SG_CEL_DOUBLE:
        print_double(value->as.number, out);
        break;
    case SG_CEL_STRING:
        print_string(sg_cel_str(value), out);
        break;
    case SG_CEL_BYTES:
        print_bytes(sg_cel_str(value), out);
        break;
    case SG_CEL_TIMESTAMP:
        sg_buf_append(out, SG_STR("timestamp(\""));
        sg_cel_time_print(value->as.time, out);
        sg_buf_append(out, SG_STR("\")"));
        break;
    case SG_CEL_DURATION:
        sg_buf_append(out, SG_STR("duration(\""));
        sg_cel_duration_print_go(value->as.duration_ns, out);
        sg_buf_append(out, SG_STR("\")"));
        break;
    default:
        append_scalar_key(out, value, true);
        break;
    }
}

/* Only kinds that come from JSON. */
static void print_json_scalar(const struct sg_cel_value *value, struct sg_buf *out)
{
    if (value->kind == SG_CEL_STRING)
        sg_json_quote(out, sg_cel_str(value));
    else if (value->kind == SG_CEL_DOUBLE)
        sg_json_number(out, value->as.number);
    else
        print_scalar(value, out);
}

typedef void print_scalar_function(const struct sg_cel_value *value, struct sg_buf *out);

static const struct sg_cel_value *next_literal_item(struct frame *frame, print_scalar_function *scalar, struct sg_buf *out)
{
    if (frame->next == frame->value->count)
        return NULL;
    if (frame->next > 0)
        sg_buf_append(out, SG_STR(", "));
    uint32_t i = frame->next++;
    if (frame->value->kind == SG_CEL_LIST)
        return &frame->value->as.items[i];
    const struct sg_cel_entry *entry = &frame->value->as.entries[i];
    if (is_container(&entry->key))
        sg_buf_append(out, entry->key.kind == SG_CEL_LIST ? SG_STR("[]") : SG_STR("{}"));
    else
        scalar(&entry->key, out);
    sg_buf_append(out, SG_STR(": "));
    return &entry->value;
}

static void print_value(const struct sg_cel_value *value, print_scalar_function *scalar, struct sg_buf *out)
{
    struct frame stack[SG_CEL_VALUE_DEPTH_MAX];
    size_t depth = 0;
    do {
        if (is_container(value)) {
            assert(depth < SG_CEL_VALUE_DEPTH_MAX);
            sg_buf_byte(out, value->kind == SG_CEL_LIST ? '[' : '{');
            stack[depth++] = (struct frame){.value = value};
        } else {
            scalar(value, out);
        }
        value = NULL;
        while (depth > 0 && value == NULL) {
            const struct sg_cel_value *container = stack[depth - 1].value;
            value = next_literal_item(&stack[depth - 1], scalar, out);
            if (value == NULL) {
                sg_buf_byte(out, container->kind == SG_CEL_LIST ? ']' : '}');
                depth--;
            }
        }
    } while (depth > 0);
}

void sg_cel_value_print(const struct sg_cel_value *value, struct sg_buf *out)
{
    print_value(value, print_scalar, out);
}

void sg_cel_value_print_json(const struct sg_cel_value *value, struct sg_buf *out)
{
    print_value(value, print_json_scalar, out);
}

/* ---- the cost of all this ---- */

static int64_t scalar_cost(const struct sg_cel_value *value)
{
    switch ((enum sg_cel_kind)value->kind) {
    case SG_CEL_STRING:
        return 1 + value->count / 8;
    case SG_CEL_BYTES:
        return 1 + value->count * INT64_C(2);
    case SG_CEL_DOUBLE:
        return 8;
    case SG_CEL_TIMESTAMP:
        return 20;
    default:
        return 2;
    }
}

bool sg_cel_value_charge(const struct sg_cel_value *value, int64_t *steps)
{
    struct frame stack[SG_CEL_VALUE_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        if (is_container(value)) {
            assert(depth < SG_CEL_VALUE_DEPTH_MAX);
            stack[depth++] = (struct frame){.value = value};
        } else {
            *steps -= scalar_cost(value);
        }
        while (depth > 0 && stack[depth - 1].next == stack[depth - 1].value->count)
            depth--;
        if (depth == 0 || *steps <= 0)
            return *steps > 0;
        struct frame *top = &stack[depth - 1];
        uint32_t i = top->next++;
        *steps -= 1;
        if (top->value->kind == SG_CEL_LIST) {
            value = &top->value->as.items[i];
            continue;
        }
        const struct sg_cel_entry *entry = &top->value->as.entries[i];
        if (!is_container(&entry->key))
            *steps -= scalar_cost(&entry->key);
        value = &entry->value;
    }
}

/* ---- errors ---- */

void sg_cel_error_text(const struct sg_cel_value *value, struct sg_buf *out)
{
    static const char *const texts[] = {
        [SG_CEL_E_TEXT] = "",
        [SG_CEL_E_NO_SUCH_ATTRIBUTE] = "no such attribute(s): ",
        [SG_CEL_E_NO_SUCH_KEY] = "no such key: ",
        [SG_CEL_E_NO_SUCH_NUMBER] = "no such key: ",
        [SG_CEL_E_NO_OVERLOAD] = "no such overload: ",
        [SG_CEL_E_OVERFLOW_INT] = "integer overflow",
        [SG_CEL_E_OVERFLOW_UINT] = "unsigned integer overflow",
        [SG_CEL_E_OVERFLOW_TIMESTAMP] = "timestamp overflow",
        [SG_CEL_E_DIVISION_BY_ZERO] = "division by zero",
        [SG_CEL_E_MODULUS_BY_ZERO] = "modulus by zero",
        [SG_CEL_E_NAN_ORDER] = "NaN values cannot be ordered",
        [SG_CEL_E_INDEX_OUT_OF_BOUNDS] = "index out of bounds: ",
        [SG_CEL_E_INDEX_VALUE] = "unsupported index value in list: ",
        [SG_CEL_E_INDEX_TYPE] = "unsupported index type in list: ",
        [SG_CEL_E_KEY_TYPE] = "invalid qualifier type: ",
        [SG_CEL_E_NOT_ITERABLE] = "expected iterable type, got ",
        [SG_CEL_E_CONVERSION] = "type conversion error from 'string' to ",
        [SG_CEL_E_INVALID_UTF8] = "invalid UTF-8 in bytes, cannot convert to string",
        [SG_CEL_E_ABORT] = "expression did not return true or false",
        [SG_CEL_E_STEPS] = "the expression took too many steps",
        [SG_CEL_E_NO_MEMORY] = "out of memory",
    };
    assert(value->detail < SG_ARRAY_LEN(texts));
    struct sg_str text = sg_str_from(texts[value->detail]);
    if (value->detail == SG_CEL_E_NO_SUCH_NUMBER || value->detail == SG_CEL_E_INDEX_OUT_OF_BOUNDS ||
        value->detail == SG_CEL_E_INDEX_VALUE) {
        sg_buf_append(out, text);
        append_double(out, value->as.number);
        return;
    }
    struct sg_str subject = value->kind == SG_CEL_ERROR ? sg_cel_str(value) : SG_STR_NULL;
    if (subject.len == 0 && text.len > 2 && text.ptr[text.len - 2] == ':')
        text.len -= 2; /* nothing to name */
    sg_buf_append(out, text);
    sg_buf_append(out, subject);
}
