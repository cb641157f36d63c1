/*
 * What the user asked for: flags, environment and config file, merged by precedence (flag, environment, file, default).
 *
 * The table of all options is options.def. Readers may be called in any order: a value from a weaker source never replaces one from a
 * stronger, so the result does not depend on it.
 */
#ifndef STEPGATE_CLI_OPTIONS_H
#define STEPGATE_CLI_OPTIONS_H

#include <stdio.h>

#include <stepgate/base.h>

enum sg_command {
    SG_COMMAND_DEV = 1,
    SG_COMMAND_START = 2,
    SG_COMMAND_SEND = 4,
    SG_COMMAND_RUN = 8,
    SG_COMMAND_DOCTOR = 16,
    SG_COMMAND_CEL = 32,
    SG_COMMAND_WHY = 64
};

enum sg_option_id {
#define SG_OPTION(ID, name, letter, KIND, commands, default_text, min, max, placeholder, help) SG_OPTION_##ID,
#include "cli/options.def"
#undef SG_OPTION
    SG_OPTION_COUNT
};

enum sg_option_kind {
    SG_OPTION_KIND_BOOL,
    SG_OPTION_KIND_INT,
    SG_OPTION_KIND_TEXT,
    SG_OPTION_KIND_LIST,
    SG_OPTION_KIND_SECONDS, /* kept in milliseconds */
    SG_OPTION_KIND_BYTES,
    SG_OPTION_KIND_INERT, /* takes a value, which is not looked at */
    SG_OPTION_KIND_INERT_BOOL
};

struct sg_option {
    const char *name;
    char letter; /* 0: none */
    enum sg_option_kind kind;
    int commands; /* of enum sg_command */
    const char *default_text;
    int64_t min;
    int64_t max;
    const char *placeholder;
    const char *help;
};
const struct sg_option *sg_option_info(enum sg_option_id id);

/* From weak to strong. */
enum sg_option_source { SG_SOURCE_DEFAULT, SG_SOURCE_FILE, SG_SOURCE_ENVIRONMENT, SG_SOURCE_FLAG };

struct sg_option_value {
    enum sg_option_source source;
    int64_t number;       /* BOOL, INT, SECONDS, BYTES */
    struct sg_str *items; /* TEXT (one), LIST; each with a NUL behind it */
    size_t count;
    size_t capacity;
};

struct sg_options {
    struct sg_arena arena;
    enum sg_command command;
    struct sg_option_value values[SG_OPTION_COUNT];
    char **operands; /* what is not a flag */
    int operand_count;
};

/* Sets the defaults. sg_options_free when done. */
enum sg_status sg_options_init(struct sg_options *options, enum sg_command command, struct sg_error *error);
void sg_options_free(struct sg_options *options);

/* `argv` without program and command; it is reordered: operands to the front. SG_INVALID_ARGUMENT names the flag, or the nearest one. */
enum sg_status sg_options_read_flags(struct sg_options *options, int argc, char **argv, struct sg_error *error);
/* `environment` is a list like environ. STEPGATE_X beats INNGEST_X. */
enum sg_status sg_options_read_environment(struct sg_options *options, char **environment, struct sg_error *error);
/*
 * Sets one option from text, unless a stronger source has. `where` is for the message: "--port", "STEPGATE_PORT", "stepgate.yaml, line 3: port". A list gets
 * one more item (several if `is_split` and there are commas).
 */
enum sg_status sg_options_set(struct sg_options *options, enum sg_option_id id, struct sg_str text, enum sg_option_source source,
                              bool is_split, const char *where, struct sg_error *error);

/* The option of that name; SG_OPTION_COUNT if there is none for the command (0: any command). */
enum sg_option_id sg_option_find(struct sg_str name, int commands);
/* The most similar name among the options of the commands (0: any), or NULL if none is. */
const char *sg_option_nearest(struct sg_str name, int commands);

bool sg_options_bool(const struct sg_options *options, enum sg_option_id id);
int64_t sg_options_int(const struct sg_options *options, enum sg_option_id id);
/* Terminated; NULL if it is empty or was not given. */
const char *sg_options_text(const struct sg_options *options, enum sg_option_id id);
bool sg_options_is_given(const struct sg_options *options, enum sg_option_id id);

/* The flags of a command with their environment variables and defaults. */
void sg_options_print(enum sg_command command, FILE *out);

#endif
