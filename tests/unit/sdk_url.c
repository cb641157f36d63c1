/* URLs: normalising, the query, moving (reference/01 §4.5, §7.1, §7.9). */
#include "sdk_fixture.h"

#include "sdk/url.h"

static struct sg_buf out;

static void finish(void)
{
    sg_buf_free(&out);
}

TestSuite(sdk_url, .fini = finish);

static struct sg_str normal(const char *text)
{
    sg_buf_clear(&out);
    sg_url_normalise(sg_str_from(text), &out);
    return sg_buf_str(&out);
}

static struct sg_str typed(const char *text)
{
    sg_buf_clear(&out);
    sg_url_normalise_typed(sg_str_from(text), &out);
    return sg_buf_str(&out);
}

Test(sdk_url, deploy_id_and_probe_are_removed_and_the_query_is_sorted)
{
    assert_text(normal("http://127.0.0.1:43215/api/inngest?deployId=dep_1&foo=bar&fnId=My+App+1%21-big-fn&stepId=step"),
                "http://localhost:43215/api/inngest?fnId=My+App+1%21-big-fn&foo=bar&stepId=step");
    assert_text(normal("https://a.dev/x?probe=trust"), "https://a.dev/x");
}

Test(sdk_url, default_ports_are_dropped)
{
    assert_text(normal("http://a.dev:80/x"), "http://a.dev/x");
    assert_text(normal("https://a.dev:443/x"), "https://a.dev/x");
    assert_text(normal("https://a.dev:80/x"), "https://a.dev:80/x");
}

Test(sdk_url, loopback_becomes_localhost_only_with_a_port)
{
    assert_text(normal("http://0.0.0.0:3000/x"), "http://localhost:3000/x");
    assert_text(normal("http://127.0.0.1/x"), "http://127.0.0.1/x");
    assert_text(normal("http://[::1]:3000/x"), "http://[::1]:3000/x");
}

Test(sdk_url, what_is_no_url_stays_as_it_is)
{
    assert_text(normal("not a url"), "not a url");
    assert_text(normal(""), "");
    assert_text(normal("http://"), "http://");
    assert_text(normal("http://host:99999/x"), "http://host:99999/x");
}

Test(sdk_url, the_path_is_left_byte_for_byte)
{
    assert_text(normal("HTTP://Host.DEV/Api/Inngest/"), "http://host.dev/Api/Inngest/");
}

Test(sdk_url, typed_urls_get_a_scheme)
{
    assert_text(typed(" localhost:3000/api/inngest "), "http://localhost:3000/api/inngest");
    assert_text(typed("https://a.dev/x"), "https://a.dev/x");
}

Test(sdk_url, setting_a_parameter_replaces_it)
{
    sg_buf_clear(&out);
    sg_url_query_set(SG_STR("http://h/x?fnId=a&stepId=step"), SG_STR("stepId"), SG_STR("86f7 &="), &out);
    assert_text(sg_buf_str(&out), "http://h/x?fnId=a&stepId=86f7+%26%3D");
    sg_buf_clear(&out);
    sg_url_query_set(SG_STR("http://h/x"), SG_STR("stepId"), SG_STR("step"), &out);
    assert_text(sg_buf_str(&out), "http://h/x?stepId=step");
}

Test(sdk_url, a_parameter_is_read_decoded)
{
    struct sg_arena arena;
    struct sg_str value;
    sg_arena_init(&arena);
    cr_assert(sg_url_query_get(SG_STR("http://h/x?a=1&fnId=My+App+1%21-x%"), SG_STR("fnId"), &arena, &value));
    assert_text(value, "My App 1!-x%");
    cr_assert(not(sg_url_query_get(SG_STR("http://h/x?a=1"), SG_STR("fnId"), &arena, &value)));
    sg_arena_free(&arena);
}

Test(sdk_url, a_redirect_keeps_the_query_of_the_call)
{
    sg_buf_clear(&out);
    sg_url_query_merge(SG_STR("https://h/new?stepId=other&z=1"), SG_STR("http://h/x?fnId=a&stepId=step"), &out);
    assert_text(sg_buf_str(&out), "https://h/new?fnId=a&stepId=other&z=1");
}

Test(sdk_url, a_step_url_moves_with_its_query)
{
    sg_buf_clear(&out);
    sg_url_rebase(SG_STR("http://inner:3000/api/inngest?fnId=a&stepId=step"), SG_STR("https://app.example.com/public?k=v"), &out);
    assert_text(sg_buf_str(&out), "https://app.example.com/public?fnId=a&k=v&stepId=step");
}

Test(sdk_url, sameness_is_that_of_the_normal_form)
{
    cr_assert(sg_url_is_same(SG_STR("http://127.0.0.1:3000/x?deployId=1"), SG_STR("http://localhost:3000/x")));
    cr_assert(not(sg_url_is_same(SG_STR("http://localhost:3000/x"), SG_STR("http://localhost:3001/x"))));
}
