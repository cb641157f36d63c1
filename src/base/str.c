/*
 * Borrowed byte strings: comparing, trimming, reading whole numbers.
 *
 * What it never does: look for a terminator in bytes that came from outside, depend on the locale (case means ASCII case,
 * white space means the six ASCII characters), or copy.
 */
#include <stepgate/base.h>

#include <string.h>

#include "base/hash.h"

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

static bool is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

struct sg_str sg_str_from(const char *terminated)
{
    return terminated != NULL ? (struct sg_str){terminated, strlen(terminated)} : SG_STR_NULL;
}

bool sg_str_eq(struct sg_str a, struct sg_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool sg_str_eq_nocase(struct sg_str a, struct sg_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool sg_str_starts_with(struct sg_str text, struct sg_str prefix)
{
    return text.len >= prefix.len && (prefix.len == 0 || memcmp(text.ptr, prefix.ptr, prefix.len) == 0);
}

bool sg_str_ends_with(struct sg_str text, struct sg_str suffix)
{
    return text.len >= suffix.len && (suffix.len == 0 || memcmp(text.ptr + text.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

int sg_str_cmp(struct sg_str a, struct sg_str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

struct sg_str sg_str_trim(struct sg_str text)
{
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

ptrdiff_t sg_str_index(struct sg_str text, char byte)
{
    const char *found = text.len > 0 ? memchr(text.ptr, byte, text.len) : NULL;
    return found != NULL ? found - text.ptr : -1;
}

uint64_t sg_str_hash(struct sg_str text)
{
    return sg_hash_bytes(text.ptr, text.len);
}

bool sg_str_to_int(struct sg_str text, int64_t *value)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    size_t first = is_negative ? 1 : 0;
    if (text.len == first)
        return false;

    /* Counted below zero, where there is room for one more than above. */
    int64_t sum = 0;
    for (size_t i = first; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, text.ptr[i] - '0', &sum))
            return false;
    }
    if (!is_negative && __builtin_mul_overflow(sum, -1, &sum))
        return false;
    *value = sum;
    return true;
}

struct sg_str sg_str_cut(struct sg_str text, size_t len_max)
{
    if (text.len <= len_max)
        return text;
    while (len_max > 0 && ((unsigned char)text.ptr[len_max] & 0xc0) == 0x80)
        len_max--;
    return (struct sg_str){text.ptr, len_max};
}
