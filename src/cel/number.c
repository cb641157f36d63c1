/*
 * Doubles as text and back.
 *
 * The model. The hard part, shortest digits and exact rounding, is done where JSON is read and written. Here other forms are
 * brought into JSON's grammar first (".5" goes in as "5e-1"), and the digits that come out are laid out as Go's %g does it.
 *
 * What it never does: accept what is not a number of the language that asks (no "0x", "inf" or blanks unless the caller is
 * double()).
 */
#include "cel/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include <stepgate/json.h>

/* More significant digits than this cannot change a double, except by being not all zero: those become one digit '1'. */
#define DIGITS_MAX 800

struct decimal {
    char digits[DIGITS_MAX + 24];
    size_t count;
    int64_t exponent; /* value = digits * 10^exponent */
};

/* Adds a digit before (scale 0) or behind the point. Digits that no longer fit are remembered as one that is not zero. */
static void decimal_add(struct decimal *decimal, char digit, bool is_fraction)
{
    if (decimal->count == 0 && digit == '0') {
        decimal->exponent -= is_fraction;
        return;
    }
    if (decimal->count < DIGITS_MAX) {
        decimal->digits[decimal->count++] = digit;
        decimal->exponent -= is_fraction;
        return;
    }
    if (digit != '0')
        decimal->digits[DIGITS_MAX - 1] = '1';
    decimal->exponent += !is_fraction;
}

/* Reads "12.34e5" up to the end; false if the text is anything else. */
static bool decimal_read(struct sg_str text, struct decimal *decimal)
{
    size_t i = 0;
    size_t seen = 0;
    bool is_fraction = false;
    for (; i < text.len; i++) {
        char byte = text.ptr[i];
        if (byte == '.' && !is_fraction) {
            is_fraction = true;
            continue;
        }
        if (byte < '0' || byte > '9')
            break;
        decimal_add(decimal, byte, is_fraction);
        seen++;
    }
    if (seen == 0)
        return false;
    if (i == text.len)
        return true;
    if (text.ptr[i] != 'e' && text.ptr[i] != 'E')
        return false;
    i++;
    bool is_negative = i < text.len && text.ptr[i] == '-';
    if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
        i++;
    if (i == text.len)
        return false;
    int64_t exponent = 0;
    for (; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        if (exponent < 1000000000)
            exponent = exponent * 10 + (text.ptr[i] - '0');
    }
    decimal->exponent += is_negative ? -exponent : exponent;
    return true;
}

bool sg_cel_double_parse(struct sg_str text, double *value)
{
    if (text.len == 0 || text.ptr[0] == '-')
        return false;
    if (sg_json_number_parse(text, value))
        return true;
    /* Too large for a double, or a form that JSON does not have: ".5", "007", "1.". */
    struct decimal decimal;
    decimal.count = 0;
    decimal.exponent = 0;
    if (!decimal_read(text, &decimal))
        return false;
    if (decimal.count == 0)
        decimal.digits[decimal.count++] = '0';
    /* Far outside of the range of doubles any exponent will do, and this one fits an int. */
    int64_t exponent = decimal.exponent < -100000 ? -100000 : decimal.exponent > 100000 ? 100000 : decimal.exponent;
    int len = snprintf(decimal.digits + decimal.count, sizeof(decimal.digits) - decimal.count, "e%d", (int)exponent);
    return sg_json_number_parse((struct sg_str){decimal.digits, decimal.count + (size_t)len}, value);
}

static bool convert_hexadecimal(struct sg_str text, double *value)
{
    char copy[64];
    if (text.len >= sizeof(copy))
        return false;
    bool has_exponent = false;
    for (size_t i = 2; i < text.len; i++) {
        char byte = text.ptr[i];
        has_exponent = has_exponent || byte == 'p' || byte == 'P';
        if (byte == '\0' || strchr("0123456789abcdefABCDEFpP+-.", byte) == NULL)
            return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end;
    *value = strtod(copy, &end);
    return has_exponent && end == copy + text.len && !isinf(*value);
}

bool sg_cel_double_convert(struct sg_str text, double *value)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'))
        text = (struct sg_str){text.ptr + 1, text.len - 1};
    if (text.len == 0)
        return false;
    bool is_fine = true;
    if (sg_str_eq_nocase(text, SG_STR("nan")))
        *value = NAN;
    else if (sg_str_eq_nocase(text, SG_STR("inf")) || sg_str_eq_nocase(text, SG_STR("infinity")))
        *value = INFINITY;
    else if (text.len > 2 && text.ptr[0] == '0' && (text.ptr[1] == 'x' || text.ptr[1] == 'X'))
        is_fine = convert_hexadecimal(text, value);
    else
        is_fine = sg_cel_double_parse(text, value);
    if (is_fine && is_negative)
        *value = -*value;
    return is_fine;
}

/* The shortest digits that read back as `value` (finite, not 0, not negative), without zeros around them, and the exponent. */
static size_t shortest(double value, char digits[24], int *exponent)
{
    char text[SG_JSON_NUMBER_MAX];
    size_t len = sg_json_number_format(value, text);
    size_t count = 0;
    int before_point = 0; /* digits in front of the point, or minus the zeros behind it */
    int written = 0;
    bool is_fraction = false;
    size_t i = 0;
    for (; i < len && text[i] != 'e'; i++) {
        if (text[i] == '.') {
            is_fraction = true;
            continue;
        }
        if (count < 23 && (count > 0 || text[i] != '0'))
            digits[count++] = text[i];
        if (!is_fraction)
            before_point = count > 0 ? before_point + 1 : 0;
        else if (count == 0)
            before_point--;
    }
    if (i < len)
        written = (int)strtol(text + i + 1, NULL, 10);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    *exponent = before_point - 1 + written;
    return count;
}

static size_t format_scientific(const char *digits, size_t count, int exponent, char *out)
{
    size_t len = 0;
    out[len++] = digits[0];
    if (count > 1) {
        out[len++] = '.';
        memcpy(out + len, digits + 1, count - 1);
        len += count - 1;
    }
    return len + (size_t)snprintf(out + len, 8, "e%c%02d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
}

/* -4 <= exponent < 6, so the text is short. */
static size_t format_plain(const char *digits, size_t count, int exponent, char *out)
{
    size_t len = 0;
    if (exponent < 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = -1; i > exponent; i--)
            out[len++] = '0';
    }
    for (size_t i = 0; i < count || (int)i <= exponent; i++) {
        if (i > 0 && (int)i == exponent + 1)
            out[len++] = '.';
        out[len++] = i < count ? digits[i] : '0';
    }
    return len;
}

size_t sg_cel_double_format(double value, char text[SG_CEL_DOUBLE_MAX])
{
    if (isnan(value) || isinf(value)) {
        const char *word = isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
        return (size_t)snprintf(text, SG_CEL_DOUBLE_MAX, "%s", word);
    }
    size_t len = 0;
    if (signbit(value))
        text[len++] = '-';
    char digits[24] = "0";
    size_t count = 1;
    int exponent = 0;
    if (value != 0)
        count = shortest(fabs(value), digits, &exponent);
    if (exponent < -4 || exponent >= 6)
        len += format_scientific(digits, count, exponent, text + len);
    else
        len += format_plain(digits, count, exponent, text + len);
    text[len] = '\0';
    return len;
}
