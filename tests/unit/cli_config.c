/* Config files: both languages mean the same, and mistakes are named with file, line and key. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/config.h"

static struct sg_options of(enum sg_command command)
{
    struct sg_options options;
    cr_assert(eq(int, sg_options_init(&options, command, NULL), SG_OK));
    return options;
}

static void check_the_sample(const char *name, const char *text)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error = {.status = SG_OK};
    cr_assert(eq(int, sg_config_parse(&options, name, sg_str_from(text), &error), SG_OK), "%s", error.message);
    cr_assert(eq(sz, options.values[SG_OPTION_SDK_URL].count, 1));
    cr_assert(eq(str, (char *)options.values[SG_OPTION_SDK_URL].items[0].ptr, "http://localhost:3000/api/inngest"));
    cr_assert(sg_options_bool(&options, SG_OPTION_NO_DISCOVERY));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_PORT), 9000));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_RETRY_INTERVAL), 1000));
    cr_assert(eq(str, (char *)sg_options_text(&options, SG_OPTION_SIGNING_KEY), "0123abcd"));
    cr_assert(eq(sz, options.values[SG_OPTION_EVENT_KEY].count, 2));
    cr_assert(eq(ptr, (void *)sg_options_text(&options, SG_OPTION_HOST), NULL));
    sg_options_free(&options);
}

Test(cli_config, reads_the_references_file_as_yaml)
{
    check_the_sample("inngest.yaml", "# a comment\n"
                                     "sdk-url:\n  - http://localhost:3000/api/inngest\n"
                                     "no-discovery: true\nport: 9000\nretry-interval: 1\n"
                                     "signing-key: \"0123abcd\"\nevent-key: [\"k1\",\"k2\"]\nhost:\n");
}

Test(cli_config, reads_the_same_as_json)
{
    check_the_sample("inngest.json",
                     "{\"sdk-url\": [\"http://localhost:3000/api/inngest\"], \"no-discovery\": true, \"port\": 9000,\n"
                     "\"retry-interval\": 1, \"signing-key\": \"0123abcd\", \"event-key\": [\"k1\", \"k2\"], \"host\": null}");
}

Test(cli_config, empty_yaml_file_sets_nothing)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    cr_assert(eq(int, sg_config_parse(&options, "a.yml", SG_STR(""), &error), SG_OK));
    cr_assert(eq(int, sg_config_parse(&options, "a.yml", SG_STR("# nothing\n---\n"), &error), SG_OK));
    sg_options_free(&options);
}

Test(cli_config, one_file_serves_all_commands)
{
    struct sg_options options = of(SG_COMMAND_START);
    struct sg_error error;
    cr_assert(eq(int, sg_config_parse(&options, "a.yml", SG_STR("no-discovery: true\ntick: 10\nport: 1\n"), &error), SG_OK), "%s",
              error.message);
    cr_assert(eq(int, sg_config_parse(&options, "a.yml", SG_STR("no-discovery: [a, b]\n"), &error), SG_OK), "%s", error.message);
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_PORT), 1));
    sg_options_free(&options);
}

Test(cli_config, mistakes_are_named_with_file_line_and_key)
{
    static const struct {
        const char *name;
        const char *text;
        const char *said;
    } cases[] = {
        {"a.yaml", "port: 1\nprot: 2\n", "a.yaml, line 2: prot: unknown setting; did you mean port?"},
        {"a.json", "{\n \"port\": 1,\n \"prot\": 2}", "a.json, line 3: prot: unknown setting; did you mean port?"},
        {"a.yaml", "xyzzyxyzzy: 1\n", "a.yaml, line 1: xyzzyxyzzy: unknown setting; stepgate dev --help lists all"},
        {"a.yaml", "\n\nport: many\n", "a.yaml, line 3: port: \"many\" is not a whole number"},
        {"a.json", "{\"port\": 1.5}", "a.json, line 1: port: must be a text, a whole number, true or false"},
        {"a.json", "{\"port\": [1]}", "port: takes one value, not a list"},
        {"a.yaml", "port: [1]\n", "port: takes one value, not a list"},
        {"a.yaml", "sdk-url: {a: b}\n", "sdk-url: must be a text"},
        {"a.yaml", "sdk-url: [[a]]\n", "sdk-url: takes one value, not a list"},
        {"a.json", "{\"sdk-url\": [[\"a\"]]}", "sdk-url: takes one value, not a list"},
        {"a.yaml", "port: 1\nport: 2\n", "a.yaml, line 2: port: is set twice"},
        {"a.json", "{\"port\": 1, \"port\": 2}", "a.json, line 1: duplicate object key"},
        {"a.json", "{\n\n\"port\": }", "a.json, line 3: "},
        {"a.yaml", "port: \"1\n", "a.yaml, line "},
        {"a.yaml", "- port\n", "a.yaml, line 1: the file must hold settings"},
        {"a.yaml", "port\n", "a.yaml, line 1: the file must hold settings"},
        {"a.json", "[1]", "a.json, line 1: the file must hold an object"},
        {"a.json", "", "a.json, line 1: "},
        {"a.yaml", "a: &x 1\nb: *x\n", "unknown setting"},
        {"a.yaml", "host: &x a\nport: *x\n", "a.yaml, line 2: port: must be"},
        {"a.yaml", "? [a]\n: 1\n", "a setting's name must be plain text"},
        {"a.yaml", "config: x\n", "config: cannot be set in a config file"},
        {"a.yaml", "host: \"a\\0b\"\n", "the value contains a NUL byte"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sg_options options = of(SG_COMMAND_DEV);
        struct sg_error error = {.status = SG_OK};
        cr_assert(eq(int, sg_config_parse(&options, cases[i].name, sg_str_from(cases[i].text), &error), SG_INVALID_CONFIG), "%s",
                  cases[i].text);
        cr_assert(ne(ptr, strstr(error.message, cases[i].said), NULL), "\"%s\" is not in \"%s\"", cases[i].said, error.message);
        sg_options_free(&options);
    }
}

Test(cli_config, larger_file_than_its_limit_is_refused)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    char *text = calloc(1, SG_LIMIT_CONFIG_BYTES + 1);
    memset(text, ' ', SG_LIMIT_CONFIG_BYTES + 1);
    cr_assert(eq(int, sg_config_parse(&options, "a.yaml", (struct sg_str){text, SG_LIMIT_CONFIG_BYTES + 1}, &error), SG_INVALID_CONFIG));
    free(text);
    sg_options_free(&options);
}

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    cr_assert(ne(ptr, file, NULL));
    fputs(text, file);
    cr_assert(eq(int, fclose(file), 0));
}

static int64_t port_found_from(const char *directory, const char *home)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error = {.status = SG_OK};
    cr_assert(eq(int, sg_config_load(&options, directory, home, &error), SG_OK), "%s", error.message);
    int64_t port = sg_options_int(&options, SG_OPTION_PORT);
    sg_options_free(&options);
    return port;
}

Test(cli_config, nearest_file_wins_and_home_is_last)
{
    char top[] = "/tmp/stepgate-config-XXXXXX";
    cr_assert(ne(ptr, mkdtemp(top), NULL));
    char below[128];
    char config[128];
    char dot_config[128];
    snprintf(below, sizeof(below), "%s/below", top);
    snprintf(dot_config, sizeof(dot_config), "%s/.config", top);
    snprintf(config, sizeof(config), "%s/.config/inngest", top);
    cr_assert(eq(int, mkdir(below, 0700), 0));
    cr_assert(eq(int, mkdir(dot_config, 0700), 0));
    cr_assert(eq(int, mkdir(config, 0700), 0));

    cr_assert(eq(i64, port_found_from(below, top), 8288));
    write_file(config, "inngest.yml", "port: 1");
    cr_assert(eq(i64, port_found_from(below, top), 1));
    write_file(top, "inngest.json", "{\"port\": 2}");
    cr_assert(eq(i64, port_found_from(below, top), 2));
    write_file(below, "inngest.yaml", "port: 3");
    cr_assert(eq(i64, port_found_from(below, top), 3));
    write_file(below, "stepgate.yml", "port: 4");
    cr_assert(eq(i64, port_found_from(below, top), 4));

    char command[256];
    snprintf(command, sizeof(command), "rm -r '%s'", top);
    cr_assert(eq(int, system(command), 0));
}

Test(cli_config, named_file_must_exist)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    char *arguments[] = {"--config", "/nonexistent/x.yaml"};
    cr_assert(eq(int, sg_options_read_flags(&options, 2, arguments, &error), SG_OK));
    cr_assert(eq(int, sg_config_load(&options, "/", NULL, &error), SG_INVALID_CONFIG));
    cr_assert(ne(ptr, strstr(error.message, "/nonexistent/x.yaml cannot be read: No such file"), NULL), "%s", error.message);
    sg_options_free(&options);
}

/* Runs out of memory at the first allocation, then at the second, ... until there is enough: an error each time, never a crash. */
Test(cli_config, every_failing_allocation_is_survived)
{
    static const char text[] = "sdk-url: [http://a/, http://b/, http://c/, http://d/, http://e/]\nport: 1\nhost: h\n";
    enum sg_status status = SG_NO_MEMORY;
    for (uint64_t nth = 1; status != SG_OK; nth++) {
        cr_assert(lt(u64, nth, 1000));
        struct sg_options options;
        struct sg_error error = {.status = SG_OK};
        sg_alloc_fail_at(nth, true);
        status = sg_options_init(&options, SG_COMMAND_DEV, &error);
        if (status == SG_OK)
            status = sg_config_parse(&options, "a.yaml", sg_str_from(text), &error);
        sg_alloc_fail_at(0, false);
        cr_assert(status == SG_OK || (status == SG_NO_MEMORY && error.message[0] != '\0'));
        sg_options_free(&options);
    }
}
