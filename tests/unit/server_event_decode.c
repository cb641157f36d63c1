/* Events as POST /e takes them: what is accepted, what is stored, what is refused and with which words (reference/03 §1.1). */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stepgate/crypto.h>
#include <stepgate/json.h>

#include "base/alloc.h"
#include "server/event_decode.h"
#include "server/limits.h"

#define NOW_MS INT64_C(1767323045000)

struct decoded {
    struct sg_arena arena;
    struct sg_event_in *events;
    size_t count;
    size_t seen;
    enum sg_status status;
    struct sg_error error;
    int drawn; /* fresh ids */
};

static void fresh(void *context, int64_t now_ms, struct sg_id *ids, size_t count)
{
    struct decoded *decoded = context;
    uint8_t entropy[10] = {0};

    for (size_t i = 0; i < count; i++) {
        entropy[9] = (uint8_t)++decoded->drawn;
        ids[i] = sg_ulid_make(now_ms, entropy);
    }
}

static struct decoded decode_str(struct sg_str body, const struct sg_event_seed *seed, int64_t bytes_max)
{
    struct decoded decoded = {.drawn = 0};
    struct sg_event_source source = {.seed = seed,
                                     .fresh = fresh,
                                     .context = &decoded,
                                     .now_ms = NOW_MS,
                                     .event_bytes_max = bytes_max > 0 ? bytes_max : SG_LIMIT_EVENT_BYTES};

    sg_arena_init(&decoded.arena);
    decoded.status = sg_events_decode(body, &source, &decoded.arena, &decoded.events, &decoded.count, &decoded.seen, &decoded.error);
    return decoded;
}

static struct decoded decode(const char *body)
{
    return decode_str(sg_str_from(body), NULL, 0);
}

static void is_stored_as(const char *body, const char *stored)
{
    struct decoded decoded = decode(body);
    char got[4096] = "";

    if (decoded.count == 1)
        snprintf(got, sizeof(got), "%.*s", SG_FMT(decoded.events[0].body));
    cr_expect(decoded.status == SG_OK && strcmp(got, stored) == 0, "%s was stored as %s, expected %s (%s)", body, got, stored,
              decoded.status != SG_OK ? decoded.error.message : "");
    sg_arena_free(&decoded.arena);
}

static void is_refused_with(const char *body, const char *text)
{
    struct decoded decoded = decode(body);

    cr_expect(decoded.status != SG_OK && strstr(decoded.error.message, text) != NULL, "%s gave \"%s\", expected \"%s\"", body,
              decoded.status == SG_OK ? "(accepted)" : decoded.error.message, text);
    cr_expect(eq(sz, decoded.count, 0));
    sg_arena_free(&decoded.arena);
}

static void setup(void)
{
    cr_assert(sg_crypto_init(NULL) == SG_OK);
}

TestSuite(event_decode, .init = setup);
TestSuite(event_sessions, .init = setup);

#define FIRST_ID "01KDYAK3480000000000000001"

Test(event_decode, object_gets_defaults_in_canonical_order)
{
    is_stored_as("{\"name\":\"a/b\"}", "{\"data\":{},\"id\":\"" FIRST_ID "\",\"name\":\"a/b\",\"ts\":1767323045000}");
}

Test(event_decode, everything_that_counts_is_kept_and_nothing_else)
{
    is_stored_as("{\"zzz\":1,\"v\":\"2\",\"user\":{\"b\":1,\"a\":2},\"ts\":1767323045001,\"name\":\"a\",\"id\":\"x\",\"data\":{\"n\":1.0},"
                 "\"ip\":\"1.2.3.4\"}",
                 "{\"data\":{\"n\":1},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045001,\"user\":{\"a\":2,\"b\":1},\"v\":\"2\"}");
}

Test(event_decode, null_counts_as_absent)
{
    is_stored_as("{\"name\":\"a\",\"data\":null,\"id\":null,\"ts\":null,\"user\":null,\"v\":null,\"meta\":null}",
                 "{\"data\":{},\"id\":\"" FIRST_ID "\",\"name\":\"a\",\"ts\":1767323045000}");
}

Test(event_decode, empty_id_and_version_and_zero_ts_count_as_absent)
{
    is_stored_as("{\"name\":\"a\",\"id\":\"\",\"ts\":0,\"v\":\"\"}",
                 "{\"data\":{},\"id\":\"" FIRST_ID "\",\"name\":\"a\",\"ts\":1767323045000}");
}

Test(event_decode, reserved_member_of_data_is_deleted)
{
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"data\":{\"_inngest\":{\"x\":1},\"a\":1,\"b\":{\"_inngest\":2}}}",
                 "{\"data\":{\"a\":1,\"b\":{\"_inngest\":2}},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045000}");
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"data\":{\"_\\u0069nngest\":1}}",
                 "{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045000}");
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"data\":{\"k\":\"\\\"_inngest\\\"\"}}",
                 "{\"data\":{\"k\":\"\\\"_inngest\\\"\"},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045000}");
}

Test(event_decode, lone_surrogates_become_replacement_characters)
{
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"data\":{\"s\":\"\\ud83d\xc3\xa9\",\"t\":\"\\ud83d\",\"u\":\"\\ud83d\\n\",\"v\":"
                 "\"\\ud83d\\ude00\"}}",
                 "{\"data\":{\"s\":\"\xef\xbf\xbd\xc3\xa9\",\"t\":\"\xef\xbf\xbd\",\"u\":\"\xef\xbf\xbd\\n\",\"v\":\"\xf0\x9f\x98\x80\"},"
                 "\"id\":\"x\",\"name\":\"a\",\"ts\":"
                 "1767323045000}");
}

Test(event_decode, bad_utf8_is_replaced)
{
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"data\":{\"s\":\"\xff\"}}",
                 "{\"data\":{\"s\":\"\xef\xbf\xbd\"},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045000}");
}

Test(event_decode, white_space_around_is_fine)
{
    is_stored_as(" \n\t{\"name\" : \"a\" , \"id\":\"x\"}\r\n ", "{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045000}");
}

Test(event_decode, last_of_a_repeated_member_counts)
{
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"id\":\"y\",\"name\":\"b\"}",
                 "{\"data\":{},\"id\":\"y\",\"name\":\"b\",\"ts\":1767323045000}");
}

Test(event_decode, names_and_ids_with_escapes_are_read)
{
    struct decoded decoded = decode("{\"name\":\"a\\\"b\\u00e9\",\"id\":\"i\\n\"}");

    cr_assert(eq(int, decoded.status, SG_OK));
    cr_expect(sg_str_eq(decoded.events[0].name, SG_STR("a\"b\xc3\xa9")));
    struct sg_id key = sg_event_key(SG_STR("i\n"));
    cr_expect(sg_id_eq(decoded.events[0].key, key));
    sg_arena_free(&decoded.arena);
}

Test(event_decode, empty_body_and_empty_list_give_no_events)
{
    const char *bodies[] = {"", "  \n", "[]", " [ ] "};

    for (size_t i = 0; i < 4; i++) {
        struct decoded decoded = decode(bodies[i]);
        cr_expect(eq(int, decoded.status, SG_OK));
        cr_expect(eq(sz, decoded.count, 0));
        sg_arena_free(&decoded.arena);
    }
}

Test(event_decode, list_keeps_its_order_and_gives_ascending_ids)
{
    struct decoded decoded = decode("[{\"name\":\"a\"},{\"name\":\"b\",\"id\":\"x\"},{\"name\":\"c\"}]");

    cr_assert(eq(int, decoded.status, SG_OK));
    cr_assert(eq(sz, decoded.count, 3));
    cr_expect(sg_str_eq(decoded.events[1].name, SG_STR("b")));
    cr_expect(sg_id_cmp(decoded.events[0].internal_id, decoded.events[1].internal_id) < 0);
    cr_expect(sg_id_cmp(decoded.events[1].internal_id, decoded.events[2].internal_id) < 0);
    sg_arena_free(&decoded.arena);
}

Test(event_decode, only_ids_made_here_are_fresh)
{
    struct decoded decoded = decode("[{\"name\":\"a\"},{\"name\":\"b\",\"id\":\"x\"}]");

    cr_assert(eq(int, decoded.status, SG_OK));
    cr_expect(decoded.events[0].is_id_fresh);
    cr_expect(sg_id_is_null(decoded.events[0].key));
    cr_expect(not(decoded.events[1].is_id_fresh));
    struct sg_id key = sg_event_key(SG_STR("x"));
    cr_expect(sg_id_eq(decoded.events[1].key, key));
    sg_arena_free(&decoded.arena);
}

Test(event_decode, seed_gives_the_same_ids_each_time_and_none_is_fresh)
{
    struct sg_event_seed seed = {.time_ms = NOW_MS - 5, .entropy = {1, 2, 3, 4, 5, 6, 0xff, 0xff, 0xff, 0xff}};
    struct sg_str body = SG_STR("[{\"name\":\"a\"},{\"name\":\"b\"}]");
    struct decoded one = decode_str(body, &seed, 0);
    struct decoded other = decode_str(body, &seed, 0);

    cr_assert(eq(sz, one.count, 2));
    for (size_t i = 0; i < 2; i++) {
        struct sg_id expected = sg_event_seed_id(&seed, (uint32_t)i + 1);
        char text[SG_ULID_LEN + 1];
        sg_ulid_format(expected, text);
        struct sg_id key = sg_event_key((struct sg_str){text, SG_ULID_LEN});
        cr_expect(sg_id_eq(one.events[i].internal_id, expected));
        cr_expect(sg_id_eq(other.events[i].internal_id, expected));
        cr_expect(sg_id_eq(one.events[i].key, key));
        cr_expect(not(one.events[i].is_id_fresh));
    }
    cr_expect(eq(int, one.drawn, 0));
    sg_arena_free(&one.arena);
    sg_arena_free(&other.arena);
}

Test(event_decode, what_is_no_event_is_refused)
{
    const char *text = "Request body must contain an event object or an array of event objects";

    is_refused_with("hello", text);
    is_refused_with("7", text);
    is_refused_with("null", text);
    is_refused_with("\"x\"", text);
    is_refused_with("name=a&data=b", text);
    is_refused_with("[1]", "an event must be an object, not number");
    is_refused_with("[[]]", "an event must be an object, not array");
    is_refused_with("{\"name\":\"a\"} x", "");
    is_refused_with("{\"name\":", "");
    is_refused_with("{\"name\":\"a\"}{\"name\":\"b\"}", "");
}

Test(event_decode, wrong_types_name_the_member)
{
    is_refused_with("{\"name\":7}", "\"name\" must be a string, not number");
    is_refused_with("{\"name\":\"a\",\"data\":[1]}", "\"data\" must be an object, not array");
    is_refused_with("{\"name\":\"a\",\"data\":\"x\"}", "\"data\" must be an object, not string");
    is_refused_with("{\"name\":\"a\",\"user\":1}", "\"user\" must be an object, not number");
    is_refused_with("{\"name\":\"a\",\"id\":7}", "\"id\" must be a string, not number");
    is_refused_with("{\"name\":\"a\",\"ts\":\"now\"}", "\"ts\" must be a whole number of milliseconds, not string");
    is_refused_with("{\"name\":\"a\",\"ts\":1.5}", "\"ts\" must be a whole number of milliseconds, not 1.5");
    is_refused_with("{\"name\":\"a\",\"v\":2}", "\"v\" must be a string, not number");
    is_refused_with("{\"name\":\"a\",\"meta\":2}", "meta must be an object, not number");
}

Test(event_decode, names_are_checked)
{
    is_refused_with("{}", "event name is empty");
    is_refused_with("{\"data\":{}}", "event name is empty");
    is_refused_with("{\"name\":\"\"}", "event name is empty");
    is_refused_with("{\"name\":\"inngest/x\"}", "event name is reserved for internal use: inngest/x");
    is_refused_with("{\"name\":\"InnGest/x\"}", "event name is reserved for internal use: InnGest/x");
    is_stored_as("{\"name\":\"inngest\",\"id\":\"x\"}", "{\"data\":{},\"id\":\"x\",\"name\":\"inngest\",\"ts\":1767323045000}");
}

Test(event_decode, timestamps_must_lie_between_1980_and_2100)
{
    is_refused_with("{\"name\":\"a\",\"ts\":1000}", "timestamp is before Jan 1, 1980");
    is_refused_with("{\"name\":\"a\",\"ts\":-5}", "timestamp is before Jan 1, 1980");
    is_refused_with("{\"name\":\"a\",\"ts\":315532799999}", "timestamp is before Jan 1, 1980");
    is_refused_with("{\"name\":\"a\",\"ts\":9999999999999}", "timestamp is after Jan 1, 2100");
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"ts\":315532800000}", "{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":315532800000}");
    is_stored_as("{\"name\":\"a\",\"id\":\"x\",\"ts\":4102444800000}", "{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":4102444800000}");
}

Test(event_decode, one_bad_event_of_several_is_named_and_refuses_all)
{
    struct decoded decoded = decode("[{\"name\":\"a\"},{\"name\":\"\"},{\"name\":\"c\"}]");

    cr_expect(eq(int, decoded.status, SG_INVALID_ARGUMENT));
    cr_expect(eq(str, decoded.error.message, "event 2: event name is empty"));
    cr_expect(eq(sz, decoded.seen, 3));
    cr_expect(eq(sz, decoded.count, 0));
    sg_arena_free(&decoded.arena);
}

static struct sg_str long_event(struct sg_buf *out, const char *member, size_t len)
{
    sg_buf_init(out);
    sg_buf_printf(out, "{\"name\":\"a\",\"%s\":\"", member);
    for (size_t i = 0; i < len; i++)
        sg_buf_byte(out, 'x');
    sg_buf_append(out, SG_STR("\"}"));
    return sg_buf_str(out);
}

static void has_limit(const char *member, size_t bytes_max)
{
    struct sg_buf body;
    struct decoded decoded = decode_str(long_event(&body, member, bytes_max), NULL, 0);

    cr_expect(decoded.status == SG_OK, "%zu bytes of %s were refused: %s", bytes_max, member, decoded.error.message);
    sg_arena_free(&decoded.arena);
    sg_buf_free(&body);
    decoded = decode_str(long_event(&body, member, bytes_max + 1), NULL, 0);
    cr_expect(decoded.status == SG_INVALID_ARGUMENT && strstr(decoded.error.message, member) != NULL, "%zu bytes of %s were accepted",
              bytes_max + 1, member);
    sg_arena_free(&decoded.arena);
    sg_buf_free(&body);
}

Test(event_decode, texts_have_limits)
{
    has_limit("name", SG_LIMIT_EVENT_NAME_BYTES);
    has_limit("id", SG_LIMIT_EVENT_ID_BYTES);
    has_limit("v", SG_LIMIT_EVENT_VERSION_BYTES);
}

Test(event_decode, event_over_the_size_limit_is_refused_with_both_sizes)
{
    struct sg_buf body;
    struct decoded decoded = decode_str(long_event(&body, "other", 1000), NULL, 1000);

    cr_expect(eq(int, decoded.status, SG_TOO_LARGE));
    cr_expect(strstr(decoded.error.message, "Event is over the max size. Max: 1000 bytes, Size: 1023 bytes") != NULL, "%s",
              decoded.error.message);
    sg_arena_free(&decoded.arena);
    sg_buf_free(&body);
}

Test(event_decode, more_than_5000_events_are_refused)
{
    for (int extra = 0; extra < 2; extra++) {
        struct sg_buf body;
        sg_buf_init(&body);
        for (int i = 0; i < 5000 + extra; i++)
            sg_buf_append(&body, i == 0 ? SG_STR("[{\"name\":\"a\"}") : SG_STR(",{\"name\":\"a\"}"));
        sg_buf_byte(&body, ']');
        struct decoded decoded = decode_str(sg_buf_str(&body), NULL, 0);
        cr_expect(eq(int, decoded.status, extra == 0 ? SG_OK : SG_TOO_MANY));
        cr_expect(eq(sz, decoded.count, extra == 0 ? 5000 : 0));
        if (extra == 1)
            cr_expect(eq(str, decoded.error.message, "Cannot have more than 5000 events in a batch"));
        sg_arena_free(&decoded.arena);
        sg_buf_free(&body);
    }
}

Test(event_decode, too_deep_json_is_refused)
{
    struct sg_buf body;

    sg_buf_init(&body);
    sg_buf_append(&body, SG_STR("{\"name\":\"a\",\"data\":{\"x\":"));
    for (int i = 0; i < 600; i++)
        sg_buf_byte(&body, '[');
    for (int i = 0; i < 600; i++)
        sg_buf_byte(&body, ']');
    sg_buf_append(&body, SG_STR("}}"));
    struct decoded decoded = decode_str(sg_buf_str(&body), NULL, 0);
    cr_expect(eq(int, decoded.status, SG_TOO_DEEP));
    sg_arena_free(&decoded.arena);
    sg_buf_free(&body);
}

/* ---- sessions ---- */

#define WITH_META(meta) "{\"name\":\"a\",\"id\":\"x\",\"meta\":" meta "}"
#define STORED_META(meta) "{\"data\":{},\"id\":\"x\",\"meta\":" meta ",\"name\":\"a\",\"ts\":1767323045000}"
#define STORED_NO_META "{\"data\":{},\"id\":\"x\",\"name\":\"a\",\"ts\":1767323045000}"

Test(event_sessions, own_sessions_are_stored_sorted_with_numbers_as_texts)
{
    is_stored_as(WITH_META("{\"sessions\":{\"u\":\"1\",\"a\":7,\"b\":1.50},\"other\":1}"),
                 STORED_META("{\"sessions\":{\"a\":\"7\",\"b\":\"1.5\",\"u\":\"1\"}}"));
}

Test(event_sessions, inherited_ones_fill_up_and_own_ones_win)
{
    is_stored_as(WITH_META("{\"sessions\":{\"c\":\"own\"},\"propagated_sessions\":{\"b\":\"2\",\"c\":\"theirs\",\"a\":\"1\"}}"),
                 STORED_META("{\"sessions\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"own\"}}"));
    is_stored_as(WITH_META("{\"sessions\":{\"x\":\"1\",\"y\":\"2\",\"z\":\"3\"},\"propagated_sessions\":{\"a\":\"1\",\"b\":\"2\",\"c\":"
                           "\"3\",\"d\":\"4\"}}"),
                 STORED_META("{\"sessions\":{\"a\":\"1\",\"b\":\"2\",\"x\":\"1\",\"y\":\"2\",\"z\":\"3\"}}"));
    is_stored_as(WITH_META("{\"propagated_sessions\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\",\"e\":\"5\",\"f\":\"6\"}}"),
                 STORED_META("{\"sessions\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\",\"e\":\"5\"}}"));
}

Test(event_sessions, null_takes_inherited_ones_away)
{
    is_stored_as(WITH_META("{\"sessions\":{\"a\":null},\"propagated_sessions\":{\"a\":\"1\",\"b\":\"2\"}}"),
                 STORED_META("{\"sessions\":{\"b\":\"2\"}}"));
    is_stored_as(WITH_META("{\"sessions\":null,\"propagated_sessions\":{\"a\":\"1\"}}"), STORED_NO_META);
    is_stored_as(WITH_META("{\"sessions\":{},\"propagated_sessions\":{}}"), STORED_NO_META);
    is_stored_as(WITH_META("{}"), STORED_NO_META);
}

Test(event_sessions, bad_ones_are_refused)
{
    is_refused_with(WITH_META("{\"sessions\":7}"), "meta.sessions must be an object, not number");
    is_refused_with(WITH_META("{\"propagated_sessions\":\"x\"}"), "meta.propagated_sessions must be an object, not string");
    is_refused_with(WITH_META("{\"sessions\":{\"a\":true}}"), "the id of \"a\" must be a string or a number, not boolean");
    is_refused_with(WITH_META("{\"sessions\":{\"a\":{}}}"), "the id of \"a\" must be a string or a number, not object");
    is_refused_with(WITH_META("{\"sessions\":{\"\":\"1\"}}"), "a key must have 1 to 128 bytes, not 0");
    is_refused_with(WITH_META("{\"sessions\":{\"a\":\"\"}}"), "must have 1 to 512 bytes, not 0");
    is_refused_with(WITH_META("{\"sessions\":{\"a\":\"1\",\"b\":\"1\",\"c\":\"1\",\"d\":\"1\",\"e\":\"1\",\"f\":\"1\"}}"),
                    "more than 5 entries");
}

/* ---- memory ---- */

Test(event_decode, every_failing_allocation_is_reported)
{
    struct sg_str body = SG_STR(
        "[{\"name\":\"a\\n\",\"id\":\"i\\n\",\"data\":{\"_inngest\":1,\"b\":2},\"meta\":{\"sessions\":{\"k\\n\":\"v\\n\"}},\"v\":\"\\n\"},"
        "{\"name\":\"b\"}]");
    int failures = 0;

    for (uint64_t nth = 1; nth < 1000; nth++) {
        sg_alloc_fail_at(nth, false);
        struct decoded decoded = decode_str(body, NULL, 0);
        bool has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        sg_arena_free(&decoded.arena);
        if (!has_failed) {
            cr_expect(eq(int, decoded.status, SG_OK));
            break;
        }
        cr_expect(decoded.status == SG_NO_MEMORY, "allocation %d failed and the status was %s", (int)nth, sg_status_code(decoded.status));
        failures++;
    }
    cr_expect(gt(int, failures, 2));
}
