/* UTF-8, and the order of UTF-16 in which canonical JSON sorts. */
#ifndef STEPGATE_JSON_UTF8_H
#define STEPGATE_JSON_UTF8_H

#include <stepgate/base.h>

#define SG_UTF8_REPLACEMENT SG_STR("\xef\xbf\xbd") /* U+FFFD */

/* Length of the well-formed sequence at `at` (no overlong form, no surrogate), 0 if there is none. `left` > 0. */
static inline size_t sg_utf8_len(const unsigned char *at, size_t left)
{
    unsigned char lead = at[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || left < 2)
        return 0;
    if (lead < 0xe0)
        return (at[1] & 0xc0) == 0x80 ? 2 : 0;
    if (left < 3 || (at[2] & 0xc0) != 0x80)
        return 0;
    if (lead < 0xf0) {
        unsigned char low = lead == 0xe0 ? 0xa0 : 0x80;
        unsigned char high = lead == 0xed ? 0x9f : 0xbf;
        return at[1] >= low && at[1] <= high ? 3 : 0;
    }
    unsigned char low = lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xf4 ? 0x8f : 0xbf;
    return lead <= 0xf4 && left >= 4 && at[1] >= low && at[1] <= high && (at[3] & 0xc0) == 0x80 ? 4 : 0;
}

/* Writes the UTF-8 of a code point that is not a surrogate; returns its length. */
size_t sg_utf8_encode(uint32_t code_point, char text[4]);

/*
 * Compares the insides of two canonical JSON strings by the UTF-16 code units of what they mean. With `has_escapes` false
 * they are plain texts, in which a backslash is a backslash.
 */
int sg_utf16_cmp(struct sg_str a, struct sg_str b, bool has_escapes);

#endif
