/*
 * A buffer that grows: the one way in which stepgate builds text.
 *
 * The model. Capacity doubles; the first failure latches `is_failed` and everything after it does nothing, so a builder of
 * fifty appends has one check at its end. The bytes that were there before the failure stay intact.
 *
 * What it never does: terminate its content, or accept bytes that lie in itself (growing would move them away).
 */
#include <stepgate/base.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* The first allocation: most texts built here are ids, keys and small objects. */
#define BUF_CAPACITY_FIRST 64

void sg_buf_init(struct sg_buf *buf)
{
    *buf = (struct sg_buf){0};
}

void sg_buf_free(struct sg_buf *buf)
{
    sg_free(buf->ptr);
    *buf = (struct sg_buf){0};
}

void sg_buf_clear(struct sg_buf *buf)
{
    buf->len = 0;
    buf->is_failed = false;
}

bool sg_buf_reserve(struct sg_buf *buf, size_t bytes)
{
    if (buf->is_failed)
        return false;
    if (bytes <= buf->capacity - buf->len)
        return true;

    size_t needed;
    if (__builtin_add_overflow(buf->len, bytes, &needed) || needed > SIZE_MAX / 2) {
        buf->is_failed = true;
        return false;
    }
    size_t capacity = buf->capacity > 0 ? buf->capacity : BUF_CAPACITY_FIRST;
    while (capacity < needed)
        capacity *= 2;

    char *ptr = sg_realloc(buf->ptr, capacity);
    if (ptr == NULL) {
        buf->is_failed = true;
        return false;
    }
    buf->ptr = ptr;
    buf->capacity = capacity;
    return true;
}

void sg_buf_append(struct sg_buf *buf, struct sg_str text)
{
    if (text.len == 0 || !sg_buf_reserve(buf, text.len))
        return;
    memcpy(buf->ptr + buf->len, text.ptr, text.len);
    buf->len += text.len;
}

void sg_buf_byte(struct sg_buf *buf, char byte)
{
    if (!sg_buf_reserve(buf, 1))
        return;
    buf->ptr[buf->len++] = byte;
}

void sg_buf_printf(struct sg_buf *buf, const char *format, ...)
{
    if (buf->is_failed)
        return;

    va_list arguments;
    va_start(arguments, format);
    size_t room = buf->capacity - buf->len;
    int len = vsnprintf(buf->ptr != NULL ? buf->ptr + buf->len : NULL, room, format, arguments);
    va_end(arguments);
    if (len < 0) {
        buf->is_failed = true;
        return;
    }
    if ((size_t)len >= room) { /* the NUL of vsnprintf wants a byte too */
        if (!sg_buf_reserve(buf, (size_t)len + 1))
            return;
        va_start(arguments, format);
        int again = vsnprintf(buf->ptr + buf->len, buf->capacity - buf->len, format, arguments);
        va_end(arguments);
        assert(again == len);
    }
    buf->len += (size_t)len;
}

void sg_buf_int(struct sg_buf *buf, int64_t value)
{
    char digits[20]; /* 19 digits and a sign */
    size_t at = sizeof(digits);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0)
        digits[--at] = '-';
    sg_buf_append(buf, (struct sg_str){digits + at, sizeof(digits) - at});
}
