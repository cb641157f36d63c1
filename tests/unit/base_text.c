/* Borrowed strings, statuses, hexadecimal and base64 text. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stepgate/base.h>

#include <string.h>

#include "base/base64.h"
#include "base/hash.h"
#include "base/hex.h"

#define S(literal) SG_STR(literal)

Test(str, equality_and_order)
{
    cr_assert(sg_str_eq(S("a\0b"), S("a\0b")));
    cr_assert(not(sg_str_eq(S("a\0b"), S("a\0c"))));
    cr_assert(sg_str_eq(SG_STR_NULL, S("")));
    cr_assert(sg_str_eq_nocase(S("Content-TYPE"), S("content-type")));
    cr_assert(not(sg_str_eq_nocase(S("\xc3\x84"), S("\xc3\xa4")))); /* ASCII only */
    cr_assert(not(sg_str_eq_nocase(S("@"), S("`"))));
    cr_assert(sg_str_cmp(S("a"), S("ab")) < 0);
    cr_assert(sg_str_cmp(S("b"), S("ab")) > 0);
    cr_assert(sg_str_cmp(S("\xff"), S("a")) > 0);
    cr_assert(sg_str_cmp(SG_STR_NULL, S("")) == 0);
}

Test(str, parts)
{
    cr_assert(sg_str_starts_with(S("inngest/x"), S("inngest/")));
    cr_assert(not(sg_str_starts_with(S("in"), S("inngest/"))));
    cr_assert(sg_str_starts_with(SG_STR_NULL, S("")));
    cr_assert(sg_str_ends_with(S("a-failure"), S("-failure")));
    cr_assert(not(sg_str_ends_with(S("failure"), S("-failure"))));
    cr_assert(sg_str_eq(sg_str_trim(S(" \t\r\n a b \v\f")), S("a b")));
    cr_assert(eq(sz, sg_str_trim(S("  ")).len, 0));
    cr_assert(sg_str_index(S("a,b,"), ',') == 1);
    cr_assert(sg_str_index(SG_STR_NULL, ',') == -1);
    cr_assert(eq(sz, sg_str_from(NULL).len, 0));
}

Test(str, a_cut_leaves_whole_characters)
{
    cr_assert(sg_str_eq(sg_str_cut(SG_STR("abc"), 3), SG_STR("abc")));
    cr_assert(sg_str_eq(sg_str_cut(SG_STR("abc"), 2), SG_STR("ab")));
    cr_assert(sg_str_eq(sg_str_cut(SG_STR("a\xc3\xa4z"), 2), SG_STR("a")));
    cr_assert(sg_str_eq(sg_str_cut(SG_STR("a\xc3\xa4z"), 3), SG_STR("a\xc3\xa4")));
    cr_assert(eq(sz, sg_str_cut(SG_STR("\xf0\x9f\x98\x80"), 3).len, 0));
    cr_assert(eq(sz, sg_str_cut(SG_STR_NULL, 3).len, 0));
}

Test(str, whole_numbers_are_read_exactly_or_not_at_all)
{
    static const struct {
        const char *text;
        bool is_number;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 0;
        cr_assert(sg_str_to_int(sg_str_from(cases[i].text), &value) == cases[i].is_number, "%s", cases[i].text);
        cr_assert(value == cases[i].value, "%s", cases[i].text);
    }
}

Test(str, hash_depends_on_every_byte_and_on_the_seed)
{
    sg_hash_seed(1);
    char text[41];
    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len <= 40; len++)
        for (size_t i = 0; i < len; i++) {
            uint64_t before = sg_str_hash((struct sg_str){text, len});
            text[i] = 'y';
            cr_assert(sg_str_hash((struct sg_str){text, len}) != before);
            text[i] = 'x';
        }
    cr_assert(sg_str_hash(S("a")) != sg_str_hash(S("a\0")));
    uint64_t before = sg_str_hash(S("some/event"));
    cr_assert(before == sg_str_hash(S("some/event")));
    sg_hash_seed(2);
    cr_assert(before != sg_str_hash(S("some/event")));
}

Test(error, set_fills_and_returns)
{
    struct sg_error error;
    cr_assert(sg_error_set(&error, SG_NOT_FOUND, "no run %d", 7) == SG_NOT_FOUND);
    cr_assert(error.status == SG_NOT_FOUND);
    cr_assert(eq(str, error.message, "no run 7"));
    cr_assert(sg_error_set(NULL, SG_STALE, "nobody listens") == SG_STALE);
}

Test(error, a_long_message_is_cut_between_characters)
{
    struct sg_error error;
    char text[2 * SG_ERROR_MESSAGE_MAX];
    for (size_t shift = 0; shift < 3; shift++) {
        size_t len = 0;
        while (len < shift)
            text[len++] = 'x';
        while (len + 3 < sizeof(text)) {
            memcpy(text + len, "\xe2\x82\xac", 3);
            len += 3;
        }
        text[len] = '\0';
        sg_error_set(&error, SG_INVALID_ARGUMENT, "%s", text);
        size_t kept = strlen(error.message);
        cr_assert(kept >= SG_ERROR_MESSAGE_MAX - 4 && kept < SG_ERROR_MESSAGE_MAX);
        cr_assert(eq(sz, (kept - shift) % 3, 0));
    }
}

Test(error, every_status_has_text_code_and_http_status)
{
    for (int status = 0; status < SG_STATUS_COUNT; status++) {
        cr_assert(strlen(sg_status_text((enum sg_status)status)) > 0);
        cr_assert(strlen(sg_status_code((enum sg_status)status)) > 0);
        int http = sg_status_http((enum sg_status)status);
        cr_assert(http >= 200 && http < 600);
    }
    cr_assert(SG_OK == 0);
    cr_assert(eq(str, (char *)sg_status_code(SG_INVALID_SIGNATURE), "sig_verification_failed"));
    cr_assert(sg_status_http(SG_UNAUTHORIZED) == 401);
}

Test(hex, there_and_back)
{
    char text[9];
    uint8_t bytes[4];
    sg_hex_encode("\x00\x7f\x80\xff", 4, text);
    cr_assert(eq(str, text, "007f80ff"));
    cr_assert(sg_hex_decode(S("007F80fF"), bytes, 4));
    cr_assert(memcmp(bytes, "\x00\x7f\x80\xff", 4) == 0);
    cr_assert(not(sg_hex_decode(S("007F80f"), bytes, 4)));
    cr_assert(not(sg_hex_decode(S("007F80fg"), bytes, 4)));
    cr_assert(not(sg_hex_decode(S("007F80ff00"), bytes, 4)));
}

Test(base64, vectors_of_rfc_4648)
{
    static const char *const vectors[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct sg_buf out = {0};
        uint8_t bytes[8];
        size_t len;
        struct sg_str text = sg_str_from(vectors[i][1]);
        sg_base64_encode(&out, vectors[i][0], strlen(vectors[i][0]), SG_BASE64_STANDARD);
        cr_assert(sg_str_eq(sg_buf_str(&out), text));
        cr_assert(sg_base64_decode(text, SG_BASE64_STANDARD, bytes, sizeof(bytes), &len));
        cr_assert(sg_str_eq((struct sg_str){(char *)bytes, len}, sg_str_from(vectors[i][0])));
        while (text.len > 0 && text.ptr[text.len - 1] == '=')
            text.len--;
        cr_assert(sg_base64_decode(text, SG_BASE64_STANDARD, bytes, sizeof(bytes), &len), "padding may be missing");
        sg_buf_free(&out);
    }
}

Test(base64, the_url_alphabet_has_other_letters_and_no_padding)
{
    struct sg_buf out = {0};
    uint8_t bytes[4];
    size_t len;
    sg_base64_encode(&out, "\xfb\xff\xfe\x01", 4, SG_BASE64_URL);
    cr_assert(sg_str_eq(sg_buf_str(&out), S("-__-AQ")));
    cr_assert(sg_base64_decode(S("-__-AQ"), SG_BASE64_URL, bytes, sizeof(bytes), &len));
    cr_assert(not(sg_base64_decode(S("-__-AQ"), SG_BASE64_STANDARD, bytes, sizeof(bytes), &len)));
    sg_buf_free(&out);
}

Test(base64, what_is_malformed_is_refused)
{
    static const char *const texts[] = {"Z", "Zg=", "Zg===", "Z===", "=", "Zm9v=", "Zm 9v", "Zm9v\n", "Zh==", "Zm9=", "Zm9v!A=="};
    uint8_t bytes[16];
    size_t len;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        cr_assert(not(sg_base64_decode(sg_str_from(texts[i]), SG_BASE64_STANDARD, bytes, sizeof(bytes), &len)), "%s", texts[i]);
    cr_assert(not(sg_base64_decode(S("Zm9v"), SG_BASE64_STANDARD, bytes, 2, &len)), "it does not fit");
}
