/* Flags and environment: precedence, names, and what is said about mistakes. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "cli/config.h"
#include "cli/options.h"

#define ARGS(...)                                                                                                                          \
    (sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), (char *[])                                                                         \
    {                                                                                                                                      \
        __VA_ARGS__                                                                                                                        \
    }
#define ENVIRONMENT(...)                                                                                                                   \
    (char *[])                                                                                                                             \
    {                                                                                                                                      \
        __VA_ARGS__, NULL                                                                                                                  \
    }

static struct sg_options of(enum sg_command command)
{
    struct sg_options options;
    cr_assert(eq(int, sg_options_init(&options, command, NULL), SG_OK));
    return options;
}

static enum sg_status read_flags(struct sg_options *options, size_t argc, char **argv, struct sg_error *error)
{
    return sg_options_read_flags(options, (int)argc, argv, error);
}

static void assert_refused(struct sg_error *error, enum sg_status status, const char *text)
{
    cr_assert(ne(int, status, SG_OK));
    cr_assert(ne(ptr, strstr(error->message, text), NULL), "\"%s\" is not in \"%s\"", text, error->message);
}

Test(cli_options, defaults_are_those_of_the_reference)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_PORT), 8288));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_POLL_INTERVAL), 5000));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_RETRY_INTERVAL), 0));
    cr_assert(not(sg_options_bool(&options, SG_OPTION_NO_DISCOVERY)));
    cr_assert(eq(ptr, (void *)sg_options_text(&options, SG_OPTION_HOST), NULL));
    cr_assert(not(sg_options_is_given(&options, SG_OPTION_PORT)));
    sg_options_free(&options);
}

Test(cli_options, flags_may_be_written_in_every_usual_way)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    cr_assert(eq(int,
                 read_flags(&options,
                            ARGS("-p", "9000", "-u", "http://a/", "--sdk-url=http://b/", "-uhttp://c/", "--no-poll", "--no-discovery=false",
                                 "-no-ui"),
                            &error),
                 SG_OK));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_PORT), 9000));
    cr_assert(eq(sz, options.values[SG_OPTION_SDK_URL].count, 3));
    cr_assert(eq(str, (char *)options.values[SG_OPTION_SDK_URL].items[1].ptr, "http://b/"));
    cr_assert(eq(str, (char *)options.values[SG_OPTION_SDK_URL].items[2].ptr, "http://c/"));
    cr_assert(sg_options_bool(&options, SG_OPTION_NO_POLL));
    cr_assert(not(sg_options_bool(&options, SG_OPTION_NO_DISCOVERY)));
    cr_assert(sg_options_bool(&options, SG_OPTION_NO_UI));
    sg_options_free(&options);
}

Test(cli_options, script_written_for_the_reference_runs)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    cr_assert(eq(int,
                 read_flags(&options,
                            ARGS("--no-discovery", "--no-poll", "--port", "8288", "--retry-interval", "1", "--tick", "10",
                                 "--queue-workers", "50", "--persist", "--connect-gateway-port", "8289"),
                            &error),
                 SG_OK),
              "%s", error.message);
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_RETRY_INTERVAL), 1000));
    sg_options_free(&options);
}

Test(cli_options, unknown_flag_is_refused_with_the_nearest_name)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    assert_refused(&error, read_flags(&options, ARGS("--no-discvery"), &error), "unknown flag --no-discvery; did you mean --no-discovery?");
    assert_refused(&error, read_flags(&options, ARGS("--retry-intervall", "1"), &error), "did you mean --retry-interval?");
    assert_refused(&error, read_flags(&options, ARGS("--xyzzyxyzzy"), &error), "unknown flag --xyzzyxyzzy; --help lists all");
    assert_refused(&error, read_flags(&options, ARGS("--follow"), &error), "--follow is not a flag of this command");
    sg_options_free(&options);
}

Test(cli_options, bad_values_are_refused_with_flag_and_range)
{
    static const struct {
        char *flag;
        char *value;
        const char *text;
    } cases[] = {
        {"--port", "abc", "--port: \"abc\" is not a whole number"},
        {"--port", "70000", "--port: \"70000\" is outside of 0 to 65535"},
        {"--port", "-1", "--port: \"-1\" is outside of"},
        {"--port", "99999999999999999999", "is not a whole number"},
        {"--retry-interval", "soon", "neither a number of seconds nor a duration"},
        {"--retry-interval", "9223372036854775807", "is outside of 0 to 86400 seconds"},
        {"--max-event-bytes", "4M", "is outside of 1024 to 3145728 bytes"},
        {"--max-event-bytes", "many", "is not a number of bytes"},
        {"--no-poll=maybe", NULL, "--no-poll: \"maybe\" is neither true nor false"},
        {"--port", NULL, "--port needs a value: --port PORT"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sg_options options = of(SG_COMMAND_DEV);
        struct sg_error error;
        char *arguments[] = {cases[i].flag, cases[i].value};
        assert_refused(&error, read_flags(&options, cases[i].value != NULL ? 2 : 1, arguments, &error), cases[i].text);
        sg_options_free(&options);
    }
}

Test(cli_options, durations_and_sizes_may_carry_units)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    cr_assert(eq(int,
                 read_flags(&options, ARGS("--shutdown-timeout", "1m30s", "--max-event-bytes", "512k", "--max-body-bytes", "8MiB"), &error),
                 SG_OK));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_SHUTDOWN_TIMEOUT), 90000));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_MAX_EVENT_BYTES), 512 * 1024));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_MAX_BODY_BYTES), 8 * 1024 * 1024));
    sg_options_free(&options);
}

Test(cli_options, flag_beats_environment_beats_file_beats_default_in_any_order)
{
    for (int order = 0; order < 2; order++) {
        struct sg_options options = of(SG_COMMAND_DEV);
        struct sg_error error;
        struct sg_str file = SG_STR("{\"port\": 1, \"host\": \"file\", \"sdk-url\": [\"http://file/\"], \"poll-interval\": 7}");
        char **environment = ENVIRONMENT("INNGEST_PORT=2", "INNGEST_HOST=environment", "INNGEST_SDK_URL=http://e1/, http://e2/");
        if (order == 1)
            cr_assert(eq(int, sg_config_parse(&options, "f.json", file, &error), SG_OK));
        cr_assert(eq(int, read_flags(&options, ARGS("--port", "3"), &error), SG_OK));
        cr_assert(eq(int, sg_options_read_environment(&options, environment, &error), SG_OK));
        if (order == 0)
            cr_assert(eq(int, sg_config_parse(&options, "f.json", file, &error), SG_OK));
        cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_PORT), 3));
        cr_assert(eq(str, (char *)sg_options_text(&options, SG_OPTION_HOST), "environment"));
        cr_assert(eq(sz, options.values[SG_OPTION_SDK_URL].count, 2));
        cr_assert(eq(str, (char *)options.values[SG_OPTION_SDK_URL].items[1].ptr, "http://e2/"));
        cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_POLL_INTERVAL), 7000));
        cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_MAX_BATCH), 512));
        sg_options_free(&options);
    }
}

Test(cli_options, our_environment_beats_the_references)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    char **environment = ENVIRONMENT("INNGEST_PORT=2", "STEPGATE_PORT=4", "INNGEST_PORTAL=9", "PORT=5");
    cr_assert(eq(int, sg_options_read_environment(&options, environment, &error), SG_OK));
    cr_assert(eq(i64, sg_options_int(&options, SG_OPTION_PORT), 4));
    sg_options_free(&options);
}

Test(cli_options, bad_environment_is_refused_by_its_name)
{
    struct sg_options options = of(SG_COMMAND_DEV);
    struct sg_error error;
    assert_refused(&error, sg_options_read_environment(&options, ENVIRONMENT("INNGEST_PORT=x"), &error),
                   "INNGEST_PORT: \"x\" is not a whole number");
    sg_options_free(&options);
}

Test(cli_options, keys_that_are_meant_for_sdks_do_not_make_dev_sign)
{
    struct sg_error error;
    char **environment = ENVIRONMENT("INNGEST_SIGNING_KEY=abcd", "INNGEST_EVENT_KEY=k1,k2", "STEPGATE_EVENT_KEY=mine");
    struct sg_options dev = of(SG_COMMAND_DEV);
    cr_assert(eq(int, sg_options_read_environment(&dev, environment, &error), SG_OK));
    cr_assert(eq(ptr, (void *)sg_options_text(&dev, SG_OPTION_SIGNING_KEY), NULL));
    cr_assert(eq(sz, dev.values[SG_OPTION_EVENT_KEY].count, 1));
    sg_options_free(&dev);
    environment = ENVIRONMENT("INNGEST_SIGNING_KEY=abcd", "INNGEST_EVENT_KEY=k1,k2");
    struct sg_options start = of(SG_COMMAND_START);
    cr_assert(eq(int, sg_options_read_environment(&start, environment, &error), SG_OK));
    cr_assert(eq(str, (char *)sg_options_text(&start, SG_OPTION_SIGNING_KEY), "abcd"));
    cr_assert(eq(sz, start.values[SG_OPTION_EVENT_KEY].count, 2));
    sg_options_free(&start);
}

Test(cli_options, operands_stand_anywhere)
{
    struct sg_options options = of(SG_COMMAND_SEND);
    struct sg_error error;
    char *arguments[] = {"a/b", "--follow", "{}", "--", "--x"};
    cr_assert(eq(int, read_flags(&options, 5, arguments, &error), SG_OK));
    cr_assert(eq(int, options.operand_count, 3));
    cr_assert(eq(str, options.operands[0], "a/b"));
    cr_assert(eq(str, options.operands[1], "{}"));
    cr_assert(eq(str, options.operands[2], "--x"));
    sg_options_free(&options);
}

/* The table itself. */
Test(cli_options, every_flag_has_a_command_and_no_name_or_letter_is_used_twice)
{
    for (enum sg_option_id a = 0; a < SG_OPTION_COUNT; a++) {
        const struct sg_option *one = sg_option_info(a);
        cr_assert(ne(int, one->commands, 0), "%s", one->name);
        cr_assert(le(i64, one->min, one->max), "%s", one->name);
        for (enum sg_option_id b = a + 1; b < SG_OPTION_COUNT; b++) {
            const struct sg_option *other = sg_option_info(b);
            cr_assert(ne(str, (char *)one->name, (char *)other->name));
            if ((one->commands & other->commands) != 0 && one->letter != 0)
                cr_assert(ne(int, one->letter, other->letter), "%s %s", one->name, other->name);
        }
    }
}
