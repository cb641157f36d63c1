/*
 * Numbers between text and double, both ways exact.
 *
 * The model. Printing finds the shortest digits that read back as the same double, and of those the nearest to it, by
 * Raffaello Giulietti's Schubfach: the ends of the interval that rounds to the double are multiplied by a tabulated power of
 * ten, and a decimal between them is picked with integer arithmetic alone. The digits are then laid out as ECMAScript's
 * Number::toString does, which is what RFC 8785 asks for. Reading takes Clinger's short way when digits and exponent are
 * small enough for one exact double operation, and leaves the rest to strtod.
 *
 * What it never does: depend on the locale. strtod is only shown digits and an exponent, never a decimal point.
 */
#include <stepgate/json.h>

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json/powers_of_ten.h"

#define SIGNIFICAND_BITS 52
#define HIDDEN_BIT (UINT64_C(1) << SIGNIFICAND_BITS)
#define EXPONENT_BIAS 1075 /* of a significand read as an integer */
#define EXACT_INTEGER_MAX (UINT64_C(1) << 53)

/* Between 1e-7 and 1e21 ECMAScript writes no exponent. */
#define POINT_MAX 21
#define POINT_MIN (-6)

/*
 * No double needs more than 767 significant digits to be told from its neighbours' midpoint; what follows only matters as
 * "a little more".
 */
#define SIGNIFICANT_MAX 800

/* ---- printing ---- */

struct decimal {
    uint64_t digits;
    int exponent;
};

static uint64_t high_product(uint64_t a, uint64_t b, uint64_t *low)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
}

/* The upper 64 bits of power * factor, the last of them set if anything below is not zero ("round to odd"). */
static uint64_t round_to_odd(struct sg_power_of_ten power, uint64_t factor)
{
    uint64_t ignored;
    uint64_t carried = high_product(power.low, factor, &ignored);
    uint64_t low;
    uint64_t high = high_product(power.high, factor, &low);

    low += carried;
    high += low < carried ? 1 : 0;
    return high | (low > 1 ? 1 : 0);
}

/* floor(log2(10^exponent)), floor(log10(2^exponent)) and floor(log10(3/4 * 2^exponent)), exact in the range of doubles. */
static int log2_of_power_of_ten(int exponent)
{
    return (exponent * 1741647) >> 19;
}

static int log10_of_power_of_two(int exponent, bool three_quarters)
{
    return (exponent * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/*
 * The shortest decimal in the rounding interval of significand * 2^exponent. All quantities are scaled by 4 so that the
 * interval's ends, half a unit away (a quarter below a power of two), are integers.
 */
static struct decimal shortest(uint64_t significand, int exponent, bool is_lower_end_closer)
{
    uint64_t is_odd = significand & 1; /* ties round to even: the ends belong to the interval of an even significand */
    int k = log10_of_power_of_two(exponent, is_lower_end_closer);
    int shift = exponent + log2_of_power_of_ten(-k) + 1;
    assert(-k >= SG_POWER_OF_TEN_MIN && -k <= SG_POWER_OF_TEN_MAX);
    struct sg_power_of_ten power = sg_powers_of_ten[-k - SG_POWER_OF_TEN_MIN];

    uint64_t lower = round_to_odd(power, (4 * significand - 2 + (is_lower_end_closer ? 1 : 0)) << shift) + is_odd;
    uint64_t value = round_to_odd(power, (4 * significand) << shift);
    uint64_t upper = round_to_odd(power, (4 * significand + 2) << shift) - is_odd;
    uint64_t digits = value / 4;

    if (digits >= 10) { /* is there one with a digit less? */
        uint64_t fewer = digits / 10;
        bool is_down_inside = lower <= 40 * fewer;
        bool is_up_inside = 40 * fewer + 40 <= upper;
        if (is_down_inside != is_up_inside)
            return (struct decimal){fewer + (is_up_inside ? 1 : 0), k + 1};
    }
    bool is_down_inside = lower <= 4 * digits;
    bool is_up_inside = 4 * digits + 4 <= upper;
    if (is_down_inside != is_up_inside)
        return (struct decimal){digits + (is_up_inside ? 1 : 0), k};

    uint64_t middle = 4 * digits + 2;
    bool rounds_up = value > middle || (value == middle && (digits & 1) != 0);
    return (struct decimal){digits + (rounds_up ? 1 : 0), k};
}

static size_t write_digits(uint64_t value, char text[20])
{
    char reversed[20];
    size_t len = 0;
    do {
        reversed[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++)
        text[i] = reversed[len - 1 - i];
    return len;
}

/* Number::toString of ECMAScript: `point` is the number of digits before the decimal point. */
static size_t lay_out(const char *digits, size_t count, int point, char *text)
{
    size_t len = 0;

    if (point > 0 && point <= POINT_MAX) {
        for (int i = 0; i < point; i++)
            text[len++] = (size_t)i < count ? digits[i] : '0';
        if (count > (size_t)point) {
            text[len++] = '.';
            memcpy(text + len, digits + point, count - (size_t)point);
            len += count - (size_t)point;
        }
        return len;
    }
    if (point <= 0 && point > POINT_MIN) {
        text[len++] = '0';
        text[len++] = '.';
        for (int i = point; i < 0; i++)
            text[len++] = '0';
        memcpy(text + len, digits, count);
        return len + count;
    }
    text[len++] = digits[0];
    if (count > 1) {
        text[len++] = '.';
        memcpy(text + len, digits + 1, count - 1);
        len += count - 1;
    }
    int exponent = point - 1;
    text[len++] = 'e';
    text[len++] = exponent < 0 ? '-' : '+';
    return len + write_digits((uint64_t)(exponent < 0 ? -exponent : exponent), text + len);
}

size_t sg_json_number_format(double number, char text[SG_JSON_NUMBER_MAX])
{
    if (!isfinite(number)) {
        memcpy(text, "null", 5);
        return 4;
    }
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    uint64_t fraction = bits & (HIDDEN_BIT - 1);
    int biased = (int)(bits >> SIGNIFICAND_BITS) & 0x7ff;
    size_t len = 0;
    char digits[20];

    if (number < 0)
        text[len++] = '-'; /* not for -0, which is printed as 0 */

    /* Integers that a double holds exactly need no search. */
    double magnitude = fabs(number);
    if (magnitude < (double)EXACT_INTEGER_MAX && magnitude == (double)(uint64_t)magnitude) {
        len += write_digits((uint64_t)magnitude, text + len);
        text[len] = '\0';
        return len;
    }
    uint64_t significand = biased > 0 ? fraction | HIDDEN_BIT : fraction;
    struct decimal decimal = shortest(significand, (biased > 0 ? biased : 1) - EXPONENT_BIAS, fraction == 0 && biased > 1);
    size_t count = write_digits(decimal.digits, digits);
    int point = (int)count + decimal.exponent;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    len += lay_out(digits, count, point, text + len);
    text[len] = '\0';
    return len;
}

void sg_json_number(struct sg_buf *out, double number)
{
    char text[SG_JSON_NUMBER_MAX];
    size_t len = sg_json_number_format(number, text);
    sg_buf_append(out, (struct sg_str){text, len});
}

/* ---- reading ---- */

/* A number's text taken apart: `digits` without leading zeros, value = digits * 10^exponent. */
struct parts {
    char digits[SIGNIFICANT_MAX + 1];
    size_t count;
    int64_t exponent;
    bool is_negative;
    bool has_more; /* digits that are not zero were left out behind `digits` */
};

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static void add_digit(struct parts *parts, char digit, bool is_fraction)
{
    if (parts->count == 0 && digit == '0') {
        parts->exponent -= is_fraction ? 1 : 0;
    } else if (parts->count < SIGNIFICANT_MAX) {
        parts->digits[parts->count++] = digit;
        parts->exponent -= is_fraction ? 1 : 0;
    } else {
        parts->has_more = parts->has_more || digit != '0';
        parts->exponent += is_fraction ? 0 : 1;
    }
}

/* Takes `text` apart by JSON's grammar, which allows no leading zero, no bare point and no plus sign in front. */
static bool take_apart(struct sg_str text, struct parts *parts)
{
    const char *at = text.ptr;
    const char *end = text.ptr + text.len;

    parts->count = 0;
    parts->exponent = 0;
    parts->has_more = false;
    parts->is_negative = at < end && *at == '-';
    if (parts->is_negative)
        at++;
    if (at == end || !is_digit(*at) || (*at == '0' && at + 1 < end && is_digit(at[1])))
        return false;
    for (; at < end && is_digit(*at); at++)
        add_digit(parts, *at, false);
    if (at < end && *at == '.') {
        if (++at == end || !is_digit(*at))
            return false;
        for (; at < end && is_digit(*at); at++)
            add_digit(parts, *at, true);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        bool is_below = ++at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (at == end || !is_digit(*at))
            return false;
        int64_t exponent = 0;
        for (; at < end && is_digit(*at); at++)
            if (exponent < INT64_MAX / 100) /* then it is beyond all doubles whatever the digits are */
                exponent = exponent * 10 + (*at - '0');
        parts->exponent += is_below ? -exponent : exponent;
    }
    return at == end;
}

/* The short way: both factors are exact doubles, so one rounding is all there is. */
static bool read_exactly(const struct parts *parts, double *number)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (parts->count > 16 || parts->exponent < -22 || parts->exponent > 22)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < parts->count; i++)
        value = value * 10 + (uint64_t)(parts->digits[i] - '0');
    if (value > EXACT_INTEGER_MAX)
        return false;
    *number = parts->exponent < 0 ? (double)value / powers[-parts->exponent] : (double)value * powers[parts->exponent];
    return true;
}

static double read_by_strtod(const struct parts *parts)
{
    char text[SIGNIFICANT_MAX + 32];
    size_t len = parts->count;
    int64_t exponent = parts->exponent;

    memcpy(text, parts->digits, len);
    if (parts->has_more) {
        text[len++] = '1';
        exponent--;
    }
    /* strtod's own exponent is an int; far outside of all doubles nothing changes any more. */
    if (exponent > 100000)
        exponent = 100000;
    if (exponent < -100000)
        exponent = -100000;
    text[len++] = 'e';
    text[len++] = exponent < 0 ? '-' : '+';
    len += write_digits((uint64_t)(exponent < 0 ? -exponent : exponent), text + len);
    text[len] = '\0';
    return strtod(text, NULL);
}

bool sg_json_number_parse(struct sg_str text, double *number)
{
    struct parts parts;
    double magnitude = 0;

    if (!take_apart(text, &parts))
        return false;
    if (parts.count > 0 && !read_exactly(&parts, &magnitude))
        magnitude = read_by_strtod(&parts);
    if (!isfinite(magnitude))
        return false;
    *number = parts.is_negative ? -magnitude : magnitude;
    return true;
}
