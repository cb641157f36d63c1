/*
 * The order of UTF-16.
 *
 * Canonical JSON sorts keys by UTF-16 code units (RFC 8785 §3.2.3). Bytes of UTF-8 sort by code points, which is the same
 * but for one thing: characters beyond U+FFFF are surrogates in UTF-16 and come before U+E000 to U+FFFF. So two texts are
 * compared byte by byte, and only where they first differ is that looked at. Escapes are rare in keys; where one stands
 * before the difference both texts are decoded.
 */
#include "json/utf16.h"

#include <stepgate/json.h>

#include <string.h>

#include "base/hex.h"

static int cmp_bytes(unsigned char a, unsigned char b)
{
    /* Only lead bytes are that large: from 0xf0 on they begin a surrogate pair, below that U+E000 and up. */
    if (a >= 0xee && b >= 0xee && (a >= 0xf0) != (b >= 0xf0))
        return a >= 0xf0 ? -1 : 1;
    return (a > b) - (a < b);
}

/* One character of a canonical JSON string's inside: the control character that an escape means, or the bytes as they are. */
static struct sg_str take_character(struct sg_str *rest, char control[1])
{
    static const char short_escapes[] = "b\bt\tn\nf\fr\r\"\"\\\\";
    size_t len = 1;
    struct sg_str character = {rest->ptr, 1};

    if (rest->ptr[0] == '\\' && rest->len >= 2) {
        len = 2;
        character.ptr = control;
        control[0] = rest->ptr[1];
        for (size_t i = 0; short_escapes[i] != '\0'; i += 2)
            if (short_escapes[i] == rest->ptr[1])
                control[0] = short_escapes[i + 1];
        if (rest->ptr[1] == 'u' && rest->len >= 6) { /* canonical: always \u00XX */
            len = 6;
            control[0] = (char)(sg_hex_digit(rest->ptr[4]) << 4 | sg_hex_digit(rest->ptr[5]));
        }
    }
    rest->ptr += len;
    rest->len -= len;
    return character;
}

static int cmp_escaped(struct sg_str a, struct sg_str b)
{
    char control_a[1];
    char control_b[1];
    while (a.len > 0 && b.len > 0) {
        struct sg_str left = take_character(&a, control_a);
        struct sg_str right = take_character(&b, control_b);
        int order = cmp_bytes((unsigned char)left.ptr[0], (unsigned char)right.ptr[0]);
        if (order != 0)
            return order;
    }
    return (a.len > 0) - (b.len > 0);
}

int sg_utf16_cmp(struct sg_str a, struct sg_str b, bool has_escapes)
{
    size_t common = a.len < b.len ? a.len : b.len;
    size_t at = 0;
    while (at < common && a.ptr[at] == b.ptr[at])
        at++;
    if (at == common)
        return (a.len > b.len) - (a.len < b.len);
    if (has_escapes && (a.ptr[at] == '\\' || b.ptr[at] == '\\' || memchr(a.ptr, '\\', at) != NULL))
        return cmp_escaped(a, b);
    return cmp_bytes((unsigned char)a.ptr[at], (unsigned char)b.ptr[at]);
}

int sg_json_key_cmp(struct sg_str a, struct sg_str b)
{
    return sg_utf16_cmp(a, b, false);
}
