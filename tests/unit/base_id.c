/* ULIDs, UUIDs, the ascending generator, event-id seeds and random numbers. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/base.h>

#include <string.h>

#include "base/random.h"
#include "base/rng.h"
#include "base/seed.h"
#include "base/ulid.h"

#define S(literal) SG_STR(literal)

static struct sg_id ulid(const char *text)
{
    struct sg_id id;
    cr_assert(sg_ulid_parse(sg_str_from(text), &id), "%s", text);
    return id;
}

static bool is_ulid(struct sg_id id, const char *expected)
{
    char text[SG_ULID_LEN + 1];
    sg_ulid_format(id, text);
    return strcmp(text, expected) == 0;
}

Test(id, ulids_of_known_value)
{
    struct sg_id ones;
    memset(ones.bytes, 0xff, sizeof(ones.bytes));
    cr_assert(is_ulid((struct sg_id){{0}}, "00000000000000000000000000"));
    cr_assert(is_ulid(ones, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"));
    /* 1469918176385 ms is the example of the ULID specification: 01ARYZ6S41 */
    struct sg_id id = sg_ulid_make(1469918176385, (const uint8_t[10]){0});
    cr_assert(is_ulid(id, "01ARYZ6S410000000000000000"));
    cr_assert(eq(i64, sg_ulid_time_ms(id), 1469918176385));
    cr_assert(sg_ulid_time_ms(ulid("01ARYZ6S41TSV4RRFFQ69G5FAV")) == 1469918176385);
}

Test(id, ulid_text_round_trips_in_either_case)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 7);
    for (int i = 0; i < 1000; i++) {
        struct sg_id id;
        struct sg_id read;
        char text[SG_ULID_LEN + 1];
        sg_rng_fill(&rng, id.bytes, sizeof(id.bytes));
        sg_ulid_format(id, text);
        cr_assert(sg_ulid_parse(sg_str_from(text), &read) && sg_id_eq(id, read));
        for (char *at = text; *at != '\0'; at++)
            if (*at >= 'A')
                *at = (char)(*at + 32);
        cr_assert(sg_ulid_parse(sg_str_from(text), &read) && sg_id_eq(id, read));
    }
}

Test(id, ulid_order_is_the_order_of_texts)
{
    struct sg_rng rng;
    sg_rng_init(&rng, 8);
    for (int i = 0; i < 1000; i++) {
        struct sg_id a;
        struct sg_id b;
        char left[SG_ULID_LEN + 1];
        char right[SG_ULID_LEN + 1];
        sg_rng_fill(&rng, a.bytes, sizeof(a.bytes));
        b = a;
        b.bytes[sg_rng_below(&rng, 16)] ^= (uint8_t)(1u << sg_rng_below(&rng, 8));
        sg_ulid_format(a, left);
        sg_ulid_format(b, right);
        bool is_less = strcmp(left, right) < 0;
        cr_assert(is_less == (sg_id_cmp(a, b) < 0));
    }
}

Test(id, what_is_no_ulid_is_refused)
{
    static const char *const texts[] = {
        "",
        "01ARYZ6S41TSV4RRFFQ69G5FA",
        "01ARYZ6S41TSV4RRFFQ69G5FAVV",
        "81ARYZ6S41TSV4RRFFQ69G5FAV",
        "0IARYZ6S41TSV4RRFFQ69G5FAV",
        "0LARYZ6S41TSV4RRFFQ69G5FAV",
        "0OARYZ6S41TSV4RRFFQ69G5FAV",
        "0UARYZ6S41TSV4RRFFQ69G5FAV",
        "01ARYZ6S41TSV4RRFFQ69G5FA-",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sg_id id;
        cr_assert(not(sg_ulid_parse(sg_str_from(texts[i]), &id)), "%s", texts[i]);
    }
}

Test(id, uuid_text)
{
    struct sg_id id;
    char text[SG_UUID_LEN + 1];
    cr_assert(sg_uuid_parse(S("6314ABB5-b9cc-5d32-8ac3-51e26170f039"), &id));
    cr_assert(id.bytes[0] == 0x63 && id.bytes[15] == 0x39);
    sg_uuid_format(id, text);
    cr_assert(eq(str, text, "6314abb5-b9cc-5d32-8ac3-51e26170f039"));
    cr_assert(not(sg_uuid_parse(S("6314abb5b9cc5d328ac351e26170f039"), &id)));
    cr_assert(not(sg_uuid_parse(S("6314abb5-b9cc-5d32-8ac3-51e26170f03g"), &id)));
    cr_assert(not(sg_uuid_parse(S("6314abb5-b9cc-5d32-8ac3051e26170f039"), &id)));
    cr_assert(not(sg_uuid_parse(S("{314abb5-b9cc-5d32-8ac3-51e26170f039"), &id)));
    cr_assert(sg_id_is_null((struct sg_id){{0}}));
    cr_assert(not(sg_id_is_null(id)));
}

Test(ulid_generator, ascends_within_a_millisecond_and_when_the_clock_steps_back)
{
    struct sg_ulid_generator generator = {0};
    struct sg_rng rng;
    struct sg_id last = {{0}};
    sg_rng_init(&rng, 1);
    static const int64_t times[] = {5000, 5000, 5001, 4000, 4000, 5001, 5002, 0};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        for (int j = 0; j < 1000; j++) {
            struct sg_id id = sg_ulid_generator_next(&generator, times[i], &rng);
            cr_assert(sg_id_cmp(last, id) < 0);
            cr_assert(sg_ulid_time_ms(id) >= times[i]);
            last = id;
        }
    cr_assert(sg_ulid_time_ms(last) == 5002);
}

Test(ulid_generator, counts_by_one_and_carries)
{
    struct sg_ulid_generator generator = {.last_ms = 10, .has_last = true, .entropy = {1, 2, 3, 4, 5, 6, 7, 0xff, 0xff, 0xff}};
    struct sg_rng rng;
    sg_rng_init(&rng, 1);
    struct sg_id id = sg_ulid_generator_next(&generator, 10, &rng);
    cr_assert(memcmp(id.bytes + 6, "\1\2\3\4\5\6\x8\0\0\0", 10) == 0);
}

Test(ulid_generator, same_seed_same_ids)
{
    struct sg_ulid_generator generators[2] = {{0}};
    struct sg_rng rngs[2];
    for (int i = 0; i < 2; i++)
        sg_rng_init(&rngs[i], 99);
    for (int64_t time_ms = 1; time_ms < 100; time_ms++)
        cr_assert(
            sg_id_eq(sg_ulid_generator_next(&generators[0], time_ms, &rngs[0]), sg_ulid_generator_next(&generators[1], time_ms, &rngs[1])));
}

Test(seed, the_header_gives_time_and_entropy)
{
    struct sg_event_seed seed;
    cr_assert(sg_event_seed_parse(S("1767323045000,rPgCKPZmXZQPzg=="), &seed));
    cr_assert(eq(i64, seed.time_ms, 1767323045000));
    cr_assert(memcmp(seed.entropy, "\xac\xf8\x02\x28\xf6\x66\x5d\x94\x0f\xce", 10) == 0);

    struct sg_id first = sg_event_seed_id(&seed, 1);
    cr_assert(sg_ulid_time_ms(first) == 1767323045000);
    cr_assert(memcmp(first.bytes + 6, "\xac\xf8\x02\x28\xf6\x66\x5d\x94\x0f\xcf", 10) == 0);
    cr_assert(sg_id_eq(first, sg_event_seed_id(&seed, 1)), "repeated requests give the same ids");
}

Test(seed, the_last_four_bytes_count_and_wrap)
{
    struct sg_event_seed seed = {1, {1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff, 0xff}};
    cr_assert(memcmp(sg_event_seed_id(&seed, 1).bytes + 6, "\1\2\3\4\5\6\0\0\0\0", 10) == 0);
    cr_assert(memcmp(sg_event_seed_id(&seed, 257).bytes + 6, "\1\2\3\4\5\6\0\0\1\0", 10) == 0);
}

Test(seed, a_malformed_header_is_refused)
{
    static const char *const texts[] = {
        "",
        ",",
        "1767323045000",
        "1767323045000,",
        "0,rPgCKPZmXZQPzg==",
        "-5,rPgCKPZmXZQPzg==",
        "x,rPgCKPZmXZQPzg==",
        ",rPgCKPZmXZQPzg==",
        "1767323045000,rPgCKPZmXZQP",
        "1767323045000,rPgCKPZmXZQPzgAA",
        "1767323045000,rPgCKPZmXZQPz!==",
        "281474976710656,rPgCKPZmXZQPzg==",
        "1767323045000,rPgCKPZmXZQPzg==,1",
        "99999999999999999999,rPgCKPZmXZQPzg==",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sg_event_seed seed;
        cr_assert(not(sg_event_seed_parse(sg_str_from(texts[i]), &seed)), "%s", texts[i]);
    }
}

Test(rng, gives_the_numbers_of_its_definition)
{
    /* xoshiro256** from the state {1, 2, 3, 4}, as its authors' program prints them. */
    struct sg_rng rng = {{1, 2, 3, 4}};
    static const uint64_t expected[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)};
    for (size_t i = 0; i < 4; i++)
        cr_assert(eq(u64, sg_rng_next(&rng), expected[i]));
}

Test(rng, below_stays_below_and_reaches_everything)
{
    struct sg_rng rng;
    int seen[7] = {0};
    sg_rng_init(&rng, 3);
    for (int i = 0; i < 7000; i++)
        seen[sg_rng_below(&rng, 7)]++;
    for (int i = 0; i < 7; i++)
        cr_assert(seen[i] > 800 && seen[i] < 1200);
    cr_assert(sg_rng_below(&rng, 1) == 0);
    cr_assert(sg_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

Test(rng, fill_depends_on_seed_only)
{
    struct sg_rng rng;
    uint8_t a[37];
    uint8_t b[37];
    sg_rng_init(&rng, 5);
    sg_rng_fill(&rng, a, sizeof(a));
    sg_rng_init(&rng, 5);
    sg_rng_fill(&rng, b, sizeof(b));
    cr_assert(memcmp(a, b, sizeof(a)) == 0);
    sg_rng_init(&rng, 6);
    sg_rng_fill(&rng, b, sizeof(b));
    cr_assert(memcmp(a, b, sizeof(a)) != 0);
}

Test(random, differs_each_time)
{
    uint8_t a[32];
    uint8_t b[32];
    cr_assert(sg_random_bytes(a, sizeof(a)));
    cr_assert(sg_random_bytes(b, sizeof(b)));
    cr_assert(memcmp(a, b, sizeof(a)) != 0);
}
