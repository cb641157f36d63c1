/*
 * Ids: 16 bytes, written as a ULID (26 characters, Crockford's base 32, 48 bits of milliseconds then 80 bits of entropy) or
 * as a UUID (36 characters).
 *
 * The text is only made where an id leaves the process; everything inside compares bytes. Reading is strict: no aliases
 * for I, L and O, no braces, because two texts for one id would be two keys for one thing.
 */
#include <stepgate/base.h>

#include <string.h>

#include "base/hex.h"

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

#define ULID_TIME_MS_MAX ((INT64_C(1) << 48) - 1)

bool sg_id_is_null(struct sg_id id)
{
    static const struct sg_id none;
    return memcmp(id.bytes, none.bytes, sizeof(id.bytes)) == 0;
}

bool sg_id_eq(struct sg_id a, struct sg_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

int sg_id_cmp(struct sg_id a, struct sg_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

/* 26 characters hold 130 bits: the id sits in the low 128, so the first character carries three bits. */
void sg_ulid_format(struct sg_id id, char text[SG_ULID_LEN + 1])
{
    uint32_t bits = 0;
    int count = 2; /* the two zero bits in front */
    size_t at = 0;

    for (size_t i = 0; i < sizeof(id.bytes); i++) {
        bits = (bits << 8) | id.bytes[i];
        count += 8;
        while (count >= 5) {
            count -= 5;
            text[at++] = crockford[(bits >> count) & 31];
        }
    }
    text[at] = '\0';
}

static int crockford_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'z')
        letter = (char)(letter - ('a' - 'A'));
    for (int value = 10; value < 32; value++)
        if (crockford[value] == letter)
            return value;
    return -1;
}

bool sg_ulid_parse(struct sg_str text, struct sg_id *id)
{
    struct sg_id read = {{0}};
    uint32_t bits = 0;
    int count = -2; /* the two bits in front must be zero and are dropped */
    size_t at = 0;

    if (text.len != SG_ULID_LEN)
        return false;
    for (size_t i = 0; i < SG_ULID_LEN; i++) {
        int digit = crockford_digit(text.ptr[i]);
        if (digit < 0 || (i == 0 && digit > 7))
            return false;
        bits = (bits << 5) | (uint32_t)digit;
        count += 5;
        if (count >= 8) {
            count -= 8;
            read.bytes[at++] = (uint8_t)(bits >> count);
        }
    }
    *id = read;
    return true;
}

int64_t sg_ulid_time_ms(struct sg_id id)
{
    int64_t time_ms = 0;
    for (size_t i = 0; i < 6; i++)
        time_ms = (time_ms << 8) | id.bytes[i];
    return time_ms;
}

struct sg_id sg_ulid_make(int64_t time_ms, const uint8_t entropy[10])
{
    struct sg_id id;
    if (time_ms < 0)
        time_ms = 0;
    if (time_ms > ULID_TIME_MS_MAX)
        time_ms = ULID_TIME_MS_MAX;
    for (size_t i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(time_ms >> (40 - 8 * i));
    memcpy(id.bytes + 6, entropy, 10);
    return id;
}

static bool is_uuid_hyphen(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

void sg_uuid_format(struct sg_id id, char text[SG_UUID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;
    for (size_t i = 0; i < sizeof(id.bytes); i++) {
        if (is_uuid_hyphen(at))
            text[at++] = '-';
        text[at++] = digits[id.bytes[i] >> 4];
        text[at++] = digits[id.bytes[i] & 15];
    }
    text[at] = '\0';
}

bool sg_uuid_parse(struct sg_str text, struct sg_id *id)
{
    struct sg_id read;
    size_t at = 0;

    if (text.len != SG_UUID_LEN)
        return false;
    for (size_t i = 0; i < sizeof(read.bytes); i++) {
        if (is_uuid_hyphen(at) && text.ptr[at++] != '-')
            return false;
        int high = sg_hex_digit(text.ptr[at++]);
        int low = sg_hex_digit(text.ptr[at++]);
        if (high < 0 || low < 0)
            return false;
        read.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *id = read;
    return true;
}
