/*
 * The program: finds the command, merges its options, runs it.
 *
 * Exit codes: 0 fine; 1 the user has to change something (or a check failed); 3 the process ended itself because its state could not be trusted any
 * more, and wants to be started again.
 */
#include <curl/curl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <stepgate/crypto.h>

#include "base/check.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/config.h"

struct command {
    const char *name;
    enum sg_command id;
    int (*run)(struct sg_options *options);
};

static const struct command commands[] = {
    {"dev", SG_COMMAND_DEV, sg_command_serve},  {"start", SG_COMMAND_START, sg_command_serve},
    {"send", SG_COMMAND_SEND, sg_command_send}, {"run", SG_COMMAND_RUN, sg_command_run},
    {"why", SG_COMMAND_WHY, sg_command_why},    {"doctor", SG_COMMAND_DOCTOR, sg_command_doctor},
    {"cel", SG_COMMAND_CEL, sg_command_cel},
};

static const struct command *find_command(const char *name);
static int run_command(const struct command *command, int argc, char **argv);
static enum sg_status read_options(struct sg_options *options, int argc, char **argv, struct sg_error *error);
static bool set_up_log(const struct sg_options *options);
static bool is_word(const char *argument, const char *word);
static bool has_separate_value(const char *flag);

int main(int argc, char **argv)
{
    /* Flags of the whole program may stand before the command: the command's reader knows them all. */
    int at = 1;
    while (at < argc && argv[at][0] == '-' && !is_word(argv[at], "help") && !is_word(argv[at], "version") && strcmp(argv[at], "-h") != 0)
        at += has_separate_value(argv[at]) ? 2 : 1;
    if (at >= argc || is_word(argv[at], "help") || strcmp(argv[at], "-h") == 0) {
        const struct command *about = at + 1 < argc ? find_command(argv[at + 1]) : NULL;
        sg_help_print(about != NULL ? (int)about->id : 0, at >= argc && argc > 1 ? stderr : stdout);
        return at >= argc && argc > 1 ? 1 : 0;
    }
    if (is_word(argv[at], "version")) {
        printf("%s\n", sg_version());
        return 0;
    }
    const struct command *command = find_command(argv[at]);
    if (command == NULL)
        return sg_complain("there is no command \"%s\"; stepgate help lists those there are", argv[at]);

    /* Moves the flags before the command behind it. */
    for (int i = at; i > 1; i--)
        argv[i] = argv[i - 1];
    return run_command(command, argc - 2, argv + 2);
}

int sg_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("stepgate: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < SG_ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* "word" or "--word". */
static bool is_word(const char *argument, const char *word)
{
    return strcmp(argument, word) == 0 || (strncmp(argument, "--", 2) == 0 && strcmp(argument + 2, word) == 0);
}

/* Whether the argument after this flag is its value: `--log-level debug` before the command. */
static bool has_separate_value(const char *flag)
{
    if (strcmp(flag, "-l") == 0)
        return true;
    enum sg_option_id id = strncmp(flag, "--", 2) == 0 ? sg_option_find(sg_str_from(flag + 2), 0) : SG_OPTION_COUNT;
    return id != SG_OPTION_COUNT && sg_option_info(id)->kind != SG_OPTION_KIND_BOOL &&
           sg_option_info(id)->kind != SG_OPTION_KIND_INERT_BOOL;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct sg_error error = {.status = SG_OK};
    struct sg_options options;
    int code = 1;

    /* A client that closes its connection is no reason to die. */
    signal(SIGPIPE, SIG_IGN);
    enum sg_status status = sg_options_init(&options, command->id, &error);
    if (status == SG_OK)
        status = read_options(&options, argc, argv, &error);
    if (status != SG_OK) {
        sg_complain("%s", error.message);
    } else if (sg_options_bool(&options, SG_OPTION_HELP)) {
        sg_help_print((int)command->id, stdout);
        code = 0;
    } else if (set_up_log(&options)) {
        if (sg_crypto_init(&error) != SG_OK)
            sg_complain("%s", error.message);
        else if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
            sg_complain("libcurl cannot be used on this machine");
        else
            code = command->run(&options);
    }
    sg_options_free(&options);
    return code;
}

static enum sg_status read_options(struct sg_options *options, int argc, char **argv, struct sg_error *error)
{
    enum sg_status status = sg_options_read_flags(options, argc, argv, error);
    if (status != SG_OK || sg_options_bool(options, SG_OPTION_HELP))
        return status;
    status = sg_options_read_environment(options, environ, error);
    if (status != SG_OK || (options->command != SG_COMMAND_DEV && options->command != SG_COMMAND_START))
        return status;
    char directory[PATH_MAX];
    return sg_config_load(options, getcwd(directory, sizeof(directory)), getenv("HOME"), error);
}

/* Flags first; LOG_LEVEL and LOG_HANDLER as the server has them that stepgate stands in for (reference/07 §7.2). */
static bool set_up_log(const struct sg_options *options)
{
    const char *text = sg_options_text(options, SG_OPTION_LOG_LEVEL);
    const char *from_environment = getenv("LOG_LEVEL");
    if (!sg_options_is_given(options, SG_OPTION_LOG_LEVEL) && from_environment != NULL && from_environment[0] != '\0')
        text = from_environment;
    enum sg_log_level level = SG_LOG_INFO;
    if (text != NULL && !sg_log_level_parse(sg_str_from(text), &level)) {
        sg_complain("--log-level: \"%.40s\" is none of trace, debug, info, notice, warn, error, none", text);
        return false;
    }
    if (sg_options_bool(options, SG_OPTION_VERBOSE) && level > SG_LOG_DEBUG)
        level = SG_LOG_DEBUG;
    sg_log_set_level(level);

    const char *handler = getenv("LOG_HANDLER");
    if (sg_options_bool(options, SG_OPTION_JSON) || (handler != NULL && strcmp(handler, "json") == 0))
        sg_log_set_format(SG_LOG_JSON);
    else if (handler != NULL && (strcmp(handler, "dev") == 0 || strcmp(handler, "text") == 0))
        sg_log_set_format(SG_LOG_HUMAN);
    return true;
}
