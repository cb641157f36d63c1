/*
 * Writing strings: the one escape that each character has in canonical JSON. Quote, backslash and the control characters
 * below U+0020 are escaped, everything else stands as it is; invalid UTF-8 becomes U+FFFD, a byte each.
 */
#include <stepgate/json.h>

#include "base/utf8.h"

static void put_escape(struct sg_buf *out, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    size_t len = 2;

    switch (byte) {
    case '"':
    case '\\':
        escape[1] = (char)byte;
        break;
    case '\b':
        escape[1] = 'b';
        break;
    case '\t':
        escape[1] = 't';
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\f':
        escape[1] = 'f';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    default:
        len = 6;
    }
    sg_buf_append(out, (struct sg_str){escape, len});
}

void sg_json_escape(struct sg_buf *out, struct sg_str text)
{
    size_t plain = 0; /* where the stretch that stands as it is began */
    size_t at = 0;

    while (at < text.len) {
        unsigned char byte = (unsigned char)text.ptr[at];
        size_t len = byte < 0x80 ? 1 : sg_utf8_len((const unsigned char *)text.ptr + at, text.len - at);
        if (len > 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
            at += len;
            continue;
        }
        sg_buf_append(out, (struct sg_str){text.ptr + plain, at - plain});
        if (len == 0)
            sg_buf_append(out, SG_UTF8_REPLACEMENT);
        else
            put_escape(out, byte);
        plain = ++at;
    }
    if (at > plain)
        sg_buf_append(out, (struct sg_str){text.ptr + plain, at - plain});
}

void sg_json_quote(struct sg_buf *out, struct sg_str text)
{
    sg_buf_byte(out, '"');
    sg_json_escape(out, text);
    sg_buf_byte(out, '"');
}
