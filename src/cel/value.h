/* Values: making them, comparing them, looking into them (reference/05 §3). */
#ifndef STEPGATE_CEL_VALUE_H
#define STEPGATE_CEL_VALUE_H

#include <stepgate/cel.h>
#include <stepgate/limits.h>

/* How deep values can nest: literals of an expression around JSON, twice because an interpolated text is read again. */
#define SG_CEL_VALUE_DEPTH_MAX (SG_LIMIT_JSON_DEPTH + 2 * SG_LIMIT_CEL_DEPTH)

/* `detail` of a map: all keys are strings, in order, none twice. */
enum { SG_CEL_MAP_IS_SORTED = 1 };

/* `detail` of an error: what went wrong. The texts are in text.c; `as.bytes` and `count` are what they speak of. */
enum sg_cel_error_code {
    SG_CEL_E_TEXT, /* the message is as.bytes */
    SG_CEL_E_NO_SUCH_ATTRIBUTE,
    SG_CEL_E_NO_SUCH_KEY,
    SG_CEL_E_NO_SUCH_NUMBER, /* a key: as.number */
    SG_CEL_E_NO_OVERLOAD,
    SG_CEL_E_OVERFLOW_INT,
    SG_CEL_E_OVERFLOW_UINT,
    SG_CEL_E_OVERFLOW_TIMESTAMP,
    SG_CEL_E_DIVISION_BY_ZERO,
    SG_CEL_E_MODULUS_BY_ZERO,
    SG_CEL_E_NAN_ORDER,
    SG_CEL_E_INDEX_OUT_OF_BOUNDS, /* as.number */
    SG_CEL_E_INDEX_VALUE,         /* as.number */
    SG_CEL_E_INDEX_TYPE,
    SG_CEL_E_KEY_TYPE,
    SG_CEL_E_NOT_ITERABLE,
    SG_CEL_E_CONVERSION,
    SG_CEL_E_INVALID_UTF8,
    /* of SG_CEL_ABORT */
    SG_CEL_E_ABORT,
    SG_CEL_E_STEPS,
    SG_CEL_E_NO_MEMORY
};

static inline struct sg_cel_value sg_cel_bool(bool boolean)
{
    return (struct sg_cel_value){.kind = SG_CEL_BOOL, .as.boolean = boolean};
}

static inline struct sg_cel_value sg_cel_int(int64_t integer)
{
    return (struct sg_cel_value){.kind = SG_CEL_INT, .as.integer = integer};
}

static inline struct sg_cel_value sg_cel_uint(uint64_t natural)
{
    return (struct sg_cel_value){.kind = SG_CEL_UINT, .as.natural = natural};
}

static inline struct sg_cel_value sg_cel_double(double number)
{
    return (struct sg_cel_value){.kind = SG_CEL_DOUBLE, .as.number = number};
}

static inline struct sg_cel_value sg_cel_string(struct sg_str text)
{
    return (struct sg_cel_value){.kind = SG_CEL_STRING, .count = (uint32_t)text.len, .as.bytes = text.ptr};
}

static inline struct sg_cel_value sg_cel_duration(int64_t ns)
{
    return (struct sg_cel_value){.kind = SG_CEL_DURATION, .as.duration_ns = ns};
}

/* The bytes of a string or of bytes, or what an error speaks of. */
static inline struct sg_str sg_cel_str(const struct sg_cel_value *value)
{
    return (struct sg_str){value->as.bytes, value->count};
}

static inline bool sg_cel_is_number(const struct sg_cel_value *value)
{
    return value->kind == SG_CEL_INT || value->kind == SG_CEL_UINT || value->kind == SG_CEL_DOUBLE;
}

/* An error about `subject`, whose bytes must outlive it. */
static inline struct sg_cel_value sg_cel_error(enum sg_cel_error_code code, struct sg_str subject)
{
    return (struct sg_cel_value){.kind = SG_CEL_ERROR, .detail = (uint8_t)code, .count = (uint32_t)subject.len, .as.bytes = subject.ptr};
}

/* An error about a number. */
static inline struct sg_cel_value sg_cel_error_number(enum sg_cel_error_code code, double number)
{
    return (struct sg_cel_value){.kind = SG_CEL_ERROR, .detail = (uint8_t)code, .as.number = number};
}

static inline struct sg_cel_value sg_cel_abort(enum sg_cel_error_code code)
{
    return (struct sg_cel_value){.kind = SG_CEL_ABORT, .detail = (uint8_t)code};
}

/* What went wrong, in words. The value is an ERROR or an ABORT. */
void sg_cel_error_text(const struct sg_cel_value *value, struct sg_buf *out);

/*
 * Lowers *steps by what it takes to turn the value into text, as a key or a literal; stops when they are used up, so that
 * this itself takes no longer than they allow. False if they are.
 */
bool sg_cel_value_charge(const struct sg_cel_value *value, int64_t *steps);
/* A value that came from JSON, as JSON again. */
void sg_cel_value_print_json(const struct sg_cel_value *value, struct sg_buf *out);

/* JavaScript's truth (reference/05 §4.5). */
bool sg_cel_is_true(const struct sg_cel_value *value);

/* The value at a text key, or NULL. `map` may be of any kind. */
const struct sg_cel_value *sg_cel_map_find(const struct sg_cel_value *map, struct sg_str key);
/* The same for a key of any kind; numbers find each other across types. */
const struct sg_cel_value *sg_cel_map_find_value(const struct sg_cel_value *map, const struct sg_cel_value *key, int64_t *steps);

/*
 * Equality over all kinds (reference/05 §3.2). `steps` is lowered by the work; when it is used up the answer is meaningless
 * and the caller gives up.
 */
bool sg_cel_equal(const struct sg_cel_value *a, const struct sg_cel_value *b, int64_t *steps);

enum sg_cel_order { SG_CEL_ORDER_LESS, SG_CEL_ORDER_EQUAL, SG_CEL_ORDER_GREATER, SG_CEL_ORDER_NONE, SG_CEL_ORDER_NAN };
/* SG_CEL_ORDER_NONE: these two cannot be ordered. */
enum sg_cel_order sg_cel_compare(const struct sg_cel_value *a, const struct sg_cel_value *b);

/* A double that counts as the same number (reference/05 §3.2): ints and uints converted. */
double sg_cel_to_number(const struct sg_cel_value *value);

#endif
