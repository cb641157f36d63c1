/* Base64 in both alphabets. Strict where it matters: no white space, no stray bits behind the last byte, one text per value. */
#include "base/base64.h"

static const char alphabets[2][65] = {
    [SG_BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [SG_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void sg_base64_encode(struct sg_buf *out, const void *bytes, size_t len, enum sg_base64 alphabet)
{
    const char *letters = alphabets[alphabet];
    const uint8_t *at = bytes;

    for (size_t i = 0; i < len; i += 3) {
        size_t part = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)at[i] << 16;
        if (part > 1)
            bits |= (uint32_t)at[i + 1] << 8;
        if (part > 2)
            bits |= at[i + 2];
        for (size_t j = 0; j <= part; j++)
            sg_buf_byte(out, letters[(bits >> (18 - 6 * j)) & 63]);
        for (size_t j = part; alphabet == SG_BASE64_STANDARD && j < 3; j++)
            sg_buf_byte(out, '=');
    }
}

static int digit_value(char letter, enum sg_base64 alphabet)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    if (letter == alphabets[alphabet][62])
        return 62;
    if (letter == alphabets[alphabet][63])
        return 63;
    return -1;
}

bool sg_base64_decode(struct sg_str text, enum sg_base64 alphabet, uint8_t *bytes, size_t capacity, size_t *len)
{
    size_t digits = text.len;
    while (digits > 0 && text.len - digits < 2 && text.ptr[digits - 1] == '=')
        digits--;
    if (digits % 4 == 1 || (digits != text.len && text.len % 4 != 0))
        return false;

    uint32_t bits = 0;
    int count = 0;
    size_t at = 0;
    for (size_t i = 0; i < digits; i++) {
        int value = digit_value(text.ptr[i], alphabet);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            if (at == capacity)
                return false;
            bytes[at++] = (uint8_t)(bits >> count);
        }
    }
    if ((bits & ((1u << count) - 1)) != 0)
        return false;
    *len = at;
    return true;
}
