/* UTF-8: telling well-formed sequences, and writing them. */
#ifndef STEPGATE_BASE_UTF8_H
#define STEPGATE_BASE_UTF8_H

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
static inline size_t sg_utf8_encode(uint32_t code_point, char text[4])
{
    if (code_point < 0x80) {
        text[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        text[0] = (char)(0xc0 | code_point >> 6);
        text[1] = (char)(0x80 | (code_point & 0x3f));
        return 2;
    }
    if (code_point < 0x10000) {
        text[0] = (char)(0xe0 | code_point >> 12);
        text[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
        text[2] = (char)(0x80 | (code_point & 0x3f));
        return 3;
    }
    text[0] = (char)(0xf0 | code_point >> 18);
    text[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
    text[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
    text[3] = (char)(0x80 | (code_point & 0x3f));
    return 4;
}

#endif
