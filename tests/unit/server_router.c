/* Which path goes to which route, and what is said about those that go nowhere. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "server/handlers.h"
#include "server/router.h"

static struct sg_arena arena;
static const struct sg_route *route;
static struct sg_str parameters[SG_REQUEST_PARAMETERS_MAX];

static enum sg_route_match find(enum sg_method method, const char *path)
{
    return sg_router_find(method, sg_str_from(path), &arena, &route, parameters);
}

static void setup(void)
{
    sg_arena_init(&arena);
}

static void teardown(void)
{
    sg_arena_free(&arena);
}

TestSuite(router, .init = setup, .fini = teardown);

Test(router, finds_by_method_and_path)
{
    cr_expect(find(SG_METHOD_GET, "/v1/runs/01ABC") == SG_ROUTE_FOUND && route->handle == sg_handle_run_get);
    cr_expect(find(SG_METHOD_DELETE, "/v1/runs/01ABC") == SG_ROUTE_FOUND && route->handle == sg_handle_run_cancel);
    cr_expect(find(SG_METHOD_GET, "/v1/events/01ABC/runs") == SG_ROUTE_FOUND && route->handle == sg_handle_event_runs);
    cr_expect(find(SG_METHOD_GET, "/") == SG_ROUTE_FOUND && route->handle == sg_handle_page);
}

Test(router, both_checkpoint_prefixes_are_the_same)
{
    cr_expect(find(SG_METHOD_POST, "/v1/checkpoint/01ABC/async") == SG_ROUTE_FOUND && route->handle == sg_handle_checkpoint);
    cr_expect(find(SG_METHOD_POST, "/v1/http/runs/01ABC/async") == SG_ROUTE_FOUND && route->handle == sg_handle_checkpoint);
}

Test(router, parameters_are_decoded)
{
    cr_assert(find(SG_METHOD_POST, "/e/my%20key%2Fwith+slash") == SG_ROUTE_FOUND);
    cr_expect(sg_str_eq(parameters[0], SG_STR("my key/with+slash")));
}

Test(router, malformed_escapes_are_told_apart)
{
    cr_expect(eq(int, find(SG_METHOD_POST, "/e/a%zz"), SG_ROUTE_BAD_PATH));
    cr_expect(eq(int, find(SG_METHOD_POST, "/e/a%2"), SG_ROUTE_BAD_PATH));
    cr_expect(eq(int, find(SG_METHOD_POST, "/e/%"), SG_ROUTE_BAD_PATH));
}

Test(router, empty_segments_match_nothing)
{
    cr_expect(eq(int, find(SG_METHOD_POST, "/e/"), SG_ROUTE_UNKNOWN));
    cr_expect(eq(int, find(SG_METHOD_GET, "/v1/runs//jobs"), SG_ROUTE_UNKNOWN));
    cr_expect(eq(int, find(SG_METHOD_GET, ""), SG_ROUTE_UNKNOWN));
    cr_expect(eq(int, find(SG_METHOD_GET, "/v1/runs/a/b/c"), SG_ROUTE_UNKNOWN));
}

Test(router, wrong_method_names_the_right_ones)
{
    cr_expect(eq(int, find(SG_METHOD_PUT, "/fn/register"), SG_ROUTE_OTHER_METHOD));
    cr_expect(eq(str, (char *)sg_router_methods(SG_STR("/fn/register"), &arena), "POST"));
    cr_expect(eq(str, (char *)sg_router_methods(SG_STR("/v1/runs/x"), &arena), "GET, DELETE"));
}

Test(router, list_names_every_route)
{
    struct sg_buf list;

    sg_buf_init(&list);
    sg_router_list(&list);
    sg_buf_byte(&list, '\0');
    cr_expect(strstr(list.ptr, "\"POST /e/{key}\"") != NULL);
    cr_expect(strstr(list.ptr, "\"GET /v1/events/{id}/runs\"") != NULL);
    sg_buf_free(&list);
}

Test(router, every_route_is_reachable)
{
    for (size_t i = 0; i < sg_router_count(); i++) {
        const struct sg_route *expected = sg_router_at(i);
        struct sg_buf path;
        sg_buf_init(&path);
        for (const char *c = expected->pattern; *c != '\0'; c++) {
            if (*c != '{') {
                sg_buf_byte(&path, *c);
                continue;
            }
            sg_buf_append(&path, SG_STR("something"));
            c = strchr(c, '}');
        }
        sg_buf_byte(&path, '\0');
        enum sg_route_match match = find(expected->method, path.ptr);
        cr_expect(match == SG_ROUTE_FOUND && route == expected, "%s goes elsewhere", expected->pattern);
        sg_buf_free(&path);
    }
}
