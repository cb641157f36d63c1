/* Numbers as ECMAScript prints them, and back. */
#include "json_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "json/powers_of_ten.h"

static double from_bits(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

Test(number, the_sample_of_rfc_8785)
{
    static const struct {
        uint64_t bits;
        const char *text;
    } cases[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x7fffffffffffffff, "null"},
        {0x7ff0000000000000, "null"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[SG_JSON_NUMBER_MAX];
        size_t len = sg_json_number_format(from_bits(cases[i].bits), text);
        cr_assert(strcmp(text, cases[i].text) == 0, "%016llx gives %s", (unsigned long long)cases[i].bits, text);
        cr_assert(eq(sz, len, strlen(text)));
    }
}

Test(number, doubles_that_are_hard_to_print_or_read)
{
    /* Text in, text out: halves between doubles, powers of two (whose lower neighbour is nearer), the ends of subnormals. */
    static const char *const cases[][2] = {
        {"5.684341886080801486968994140625E-14", "5.684341886080802e-14"},
        {"9.5367431640625e-7", "9.5367431640625e-7"},
        {"2.2250738585072014e-308", "2.2250738585072014e-308"},
        {"2.2250738585072011e-308", "2.225073858507201e-308"},
        {"2.2250738585072012e-308", "2.2250738585072014e-308"},
        {"4.9406564584124654e-324", "5e-324"},
        {"2.4703282292062327e-324", "0"},
        {"2.4703282292062328e-324", "5e-324"},
        {"1.7976931348623158e308", "1.7976931348623157e+308"},
        {"9007199254740993", "9007199254740992"},
        {"9007199254740992.9999999999999999999999999", "9007199254740992"},
        {"9007199254740993.0000000000000000000000001", "9007199254740994"},
        {"9007199254740995", "9007199254740996"},
        {"0.1", "0.1"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"0.299999999999999988897769753748434595763683319091796875", "0.3"},
        {"1e23", "1e+23"},
        {"8.41e21", "8.41e+21"},
        {"2.0919495182368195e19", "20919495182368195000"},
        {"2.6153245263757307e19", "26153245263757308000"},
        {"4.35e-322", "4.35e-322"},
        {"1.2e-5", "0.000012"},
        {"123456.789e3", "123456789"},
        {"6.02214076e23", "6.02214076e+23"},
        {"1.0000000000000002", "1.0000000000000002"},
        {"4503599627370495.5", "4503599627370495.5"},
        {"4503599627370496.5", "4503599627370496"},
        {"4503599627370497.5", "4503599627370498"},
        {"0.000001", "0.000001"},
        {"0.00000099999999999999999", "0.000001"},
        {"1000000000000000000000", "1e+21"},
        {"999999999999999868928", "999999999999999900000"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        double number;
        char text[SG_JSON_NUMBER_MAX];
        cr_assert(sg_json_number_parse(sg_str_from(cases[i][0]), &number), "%s", cases[i][0]);
        sg_json_number_format(number, text);
        cr_assert(strcmp(text, cases[i][1]) == 0, "%s gives %s", cases[i][0], text);
    }
}

/* The digits of a printed number without sign, point, exponent and zeros at either end. */
static size_t significant_digits(const char *text)
{
    char digits[64];
    size_t count = 0;
    for (; *text != '\0' && *text != 'e'; text++)
        if (*text >= '0' && *text <= '9' && (count > 0 || *text != '0'))
            digits[count++] = *text;
    while (count > 0 && digits[count - 1] == '0')
        count--;
    return count;
}

/* Reads back as the same double, by us and by the C library; no text with fewer digits does; of as many digits it is the nearest. */
static void check(double number)
{
    char text[SG_JSON_NUMBER_MAX];
    double read;
    sg_json_number_format(number, text);
    cr_assert(sg_json_number_parse(sg_str_from(text), &read) && read == number, "%s reads back differently", text);
    cr_assert(strtod(text, NULL) == number, "%s", text);

    int digits = (int)significant_digits(text);
    char other[64];
    cr_assert(digits >= 1 && digits <= 17, "%s", text);
    if (digits > 1) {
        snprintf(other, sizeof(other), "%.*e", digits - 2, number);
        cr_assert(strtod(other, NULL) != number, "%s is shorter than %s", other, text);
    }
    snprintf(other, sizeof(other), "%.*e", digits - 1, number);
    if (strtod(other, NULL) == number) { /* at powers of two the nearest may lie outside; another one was rightly taken */
        char *end;
        double same = strtod(text, &end);
        cr_assert(same == number && *end == '\0');
        char again[64];
        snprintf(again, sizeof(again), "%.*e", digits - 1, strtod(text, NULL));
        cr_assert(strcmp(again, other) == 0, "%s is nearer than %s", other, text);
    }
}

Test(number, every_power_of_two_and_its_neighbours)
{
    for (uint64_t exponent = 0; exponent < 0x7ff; exponent++)
        for (int64_t step = -3; step <= 3; step++) {
            uint64_t bits = (exponent << 52) + (uint64_t)step;
            if (bits >> 63 == 0 && bits < UINT64_C(0x7ff) << 52 && bits != 0)
                check(from_bits(bits));
        }
    for (int bit = 0; bit < 52; bit++)
        check(from_bits(UINT64_C(1) << bit));
}

Test(number, every_power_of_ten_and_its_neighbours)
{
    for (int exponent = -323; exponent <= 308; exponent++)
        for (int digit = 1; digit <= 9; digit++) {
            char text[32];
            double number;
            snprintf(text, sizeof(text), "%de%d", digit, exponent);
            if (!sg_json_number_parse(sg_str_from(text), &number))
                continue; /* 2e308 and up */
            check(number);
            check(nextafter(number, 0));
            if (isfinite(nextafter(number, INFINITY)))
                check(nextafter(number, INFINITY));
        }
}

Test(number, random_doubles)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 2024);
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = sg_rng_next(&rng) & INT64_MAX;
        if (i % 4 == 1) /* few bits set */
            bits &= ~((UINT64_C(1) << sg_rng_below(&rng, 52)) - 1);
        double number = from_bits(bits);
        if (i % 4 == 2) /* what people count */
            number = (double)sg_rng_below(&rng, UINT64_C(1) << (1 + sg_rng_below(&rng, 52))) / pow(10, (double)sg_rng_below(&rng, 8));
        if (isfinite(number) && number > 0)
            check(number);
    }
}

Test(number, whole_numbers_print_as_they_are)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 1);
    for (int i = 0; i < 100000; i++) {
        int64_t whole = (int64_t)sg_rng_below(&rng, UINT64_C(1) << (1 + i % 53)) * (i % 2 == 0 ? 1 : -1);
        char text[SG_JSON_NUMBER_MAX];
        char expected[32];
        sg_json_number_format((double)whole, text);
        snprintf(expected, sizeof(expected), "%lld", (long long)whole);
        cr_assert(strcmp(text, expected) == 0, "%s", expected);
    }
}

Test(number, reading_agrees_with_the_c_library)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 3);
    for (int i = 0; i < 200000; i++) {
        char text[64];
        size_t len = 0;
        text[len++] = (char)('1' + sg_rng_below(&rng, 9));
        for (uint64_t digits = sg_rng_below(&rng, 20); digits > 0; digits--)
            text[len++] = (char)('0' + sg_rng_below(&rng, 10));
        if (sg_rng_below(&rng, 2) == 0) {
            text[len++] = '.';
            for (uint64_t digits = 1 + sg_rng_below(&rng, 20); digits > 0; digits--)
                text[len++] = (char)('0' + sg_rng_below(&rng, 10));
        }
        if (sg_rng_below(&rng, 2) == 0)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "e%d", (int)sg_rng_below(&rng, 700) - 360);
        text[len] = '\0';
        double expected = strtod(text, NULL);
        double number;
        cr_assert(sg_json_number_parse((struct sg_str){text, len}, &number) == (isfinite(expected) != 0), "%s", text);
        cr_assert(isinf(expected) || number == expected, "%s", text);
    }
}

Test(number, endless_digits_are_read_right_and_quickly)
{
    enum { DIGITS = 4 * 1024 * 1024 };
    char *text = malloc(DIGITS + 32);
    double number;
    cr_assert(text != NULL);

    /* 2^53 + 1 is a tie; a 1 four million places behind the point decides. */
    memcpy(text, "9007199254740993.", 17);
    memset(text + 17, '0', DIGITS);
    text[17 + DIGITS - 10] = '1';
    cr_assert(sg_json_number_parse((struct sg_str){text, DIGITS + 10}, &number));
    cr_assert(number == 9007199254740994.0);
    text[17 + DIGITS - 10] = '0';
    cr_assert(sg_json_number_parse((struct sg_str){text, DIGITS + 10}, &number));
    cr_assert(number == 9007199254740992.0);

    memset(text, '9', DIGITS);
    memcpy(text + DIGITS, "e-4194304", 9);
    cr_assert(sg_json_number_parse((struct sg_str){text, DIGITS + 9}, &number) && number == 1.0);
    cr_assert(not(sg_json_number_parse((struct sg_str){text, DIGITS}, &number)));

    memcpy(text, "0.", 2);
    memset(text + 2, '0', DIGITS);
    memcpy(text + DIGITS, "1e4194303", 9);
    cr_assert(sg_json_number_parse((struct sg_str){text, DIGITS + 9}, &number) && number == 1.0);
    free(text);
}

Test(number, writing_and_reading_values)
{
    struct sg_buf out = {0};
    sg_json_number(&out, 9.9);
    sg_buf_byte(&out, ' ');
    sg_json_number(&out, INFINITY);
    sg_buf_byte(&out, ' ');
    sg_json_number(&out, -1e-9);
    cr_assert(sg_str_eq(sg_buf_str(&out), S("9.9 null -1e-9")));
    sg_buf_free(&out);
}

/* Arbitrary precision, the slow way: little-endian 32-bit digits. */
struct big {
    uint32_t words[80];
};

static void multiply(struct big *big, uint32_t factor)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < 80; i++) {
        carry += (uint64_t)big->words[i] * factor;
        big->words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    cr_assert(eq(u64, carry, 0));
}

static uint32_t divide(struct big *big, uint32_t divisor)
{
    uint64_t rest = 0;
    for (size_t i = 80; i > 0; i--) {
        rest = rest << 32 | big->words[i - 1];
        big->words[i - 1] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

/* The highest 128 bits, rounded up if anything below them or `has_rest` is not zero. */
static struct sg_power_of_ten take_top(const struct big *big, bool has_rest)
{
    int top = 80 * 32 - 1;
    uint64_t high = 0;
    uint64_t low = 0;
    while ((big->words[top / 32] >> (top % 32) & 1) == 0)
        top--;
    for (int i = 0; i < 128; i++) {
        int at = top - i;
        uint64_t bit = at >= 0 ? big->words[at / 32] >> (at % 32) & 1 : 0;
        high = high << 1 | low >> 63;
        low = low << 1 | bit;
    }
    for (int at = top - 128; at >= 0; at--)
        has_rest = has_rest || (big->words[at / 32] >> (at % 32) & 1) != 0;
    if (has_rest && ++low == 0)
        high++;
    return (struct sg_power_of_ten){high, low};
}

Test(number, the_table_of_powers_is_right)
{
    for (int k = SG_POWER_OF_TEN_MIN; k <= SG_POWER_OF_TEN_MAX; k++) {
        struct big big = {{0}};
        bool has_rest = false;
        if (k >= 0) {
            big.words[0] = 1;
            for (int i = 0; i < k; i++)
                multiply(&big, 10);
        } else {
            big.words[79] = 1; /* 2^2528, divided by powers of ten up to 2^970 */
            for (int i = 0; i < -k; i++)
                has_rest |= divide(&big, 10) != 0;
        }
        struct sg_power_of_ten expected = take_top(&big, has_rest);
        struct sg_power_of_ten power = sg_powers_of_ten[k - SG_POWER_OF_TEN_MIN];
        cr_assert(expected.high == power.high && expected.low == power.low, "10^%d", k);
    }
}
