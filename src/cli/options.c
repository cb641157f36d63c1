/*
 * Options: one table, three sources, one rule.
 *
 * The model. Each option has a kind, which says what its text may be, and a value, which remembers the strength of the source it came from. A
 * reader (flags here, environment here, files in config.c) turns what it finds into (option, text) and calls sg_options_set, which is the only
 * place where text becomes a value, so a bad number is refused with the same words wherever it stands.
 *
 * What it never does: print, exit, or know what an option is for.
 */
#include "cli/options.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"

/* Longer names are not compared with ours. */
#define NAME_BYTES_MAX 64

static const struct sg_option table[] = {
#define SG_OPTION(ID, name, letter, KIND, commands, default_text, min, max, placeholder, help)                                             \
    [SG_OPTION_##ID] = {name, letter, SG_OPTION_KIND_##KIND, commands, default_text, min, max, placeholder, help},
#include "cli/options.def"
#undef SG_OPTION
};

static enum sg_status read_flag(struct sg_options *options, int argc, char **argv, int *at, struct sg_error *error);
static enum sg_status unknown_flag(const struct sg_options *options, struct sg_str name, struct sg_error *error);
static enum sg_status parse_number(const struct sg_option *option, struct sg_str text, const char *where, int64_t *number,
                                   struct sg_error *error);
static bool parse_bool(struct sg_str text, int64_t *number);
static bool parse_bytes(struct sg_str text, int64_t *number);
static enum sg_status add_item(struct sg_options *options, struct sg_option_value *value, struct sg_str text, struct sg_error *error);
static bool takes_value(const struct sg_option *option);
static bool is_skipped_environment(const struct sg_options *options, enum sg_option_id id, bool is_inngest);
static size_t edit_distance(struct sg_str a, struct sg_str b);
static void environment_name(const char *name, char text[NAME_BYTES_MAX]);
static void print_option(const struct sg_option *option, FILE *out);
static void print_wrapped(const char *text, int indent, int width, FILE *out);

const struct sg_option *sg_option_info(enum sg_option_id id)
{
    assert(id < SG_OPTION_COUNT);
    return &table[id];
}

enum sg_status sg_options_init(struct sg_options *options, enum sg_command command, struct sg_error *error)
{
    *options = (struct sg_options){.command = command};
    sg_arena_init(&options->arena);
    for (enum sg_option_id id = 0; id < SG_OPTION_COUNT; id++) {
        if (table[id].default_text[0] == '\0')
            continue;
        enum sg_status status =
            sg_options_set(options, id, sg_str_from(table[id].default_text), SG_SOURCE_DEFAULT, false, table[id].name, error);
        if (status != SG_OK)
            return status;
    }
    return SG_OK;
}

void sg_options_free(struct sg_options *options)
{
    sg_arena_free(&options->arena);
    *options = (struct sg_options){0};
}

enum sg_status sg_options_read_flags(struct sg_options *options, int argc, char **argv, struct sg_error *error)
{
    int operand_count = 0;
    bool is_flag_possible = true;
    for (int at = 0; at < argc; at++) {
        char *argument = argv[at];
        if (is_flag_possible && strcmp(argument, "--") == 0) {
            is_flag_possible = false;
            continue;
        }
        if (!is_flag_possible || argument[0] != '-' || argument[1] == '\0') {
            argv[operand_count++] = argument;
            continue;
        }
        enum sg_status status = read_flag(options, argc, argv, &at, error);
        if (status != SG_OK)
            return status;
    }
    options->operands = argv;
    options->operand_count = operand_count;
    return SG_OK;
}

enum sg_status sg_options_read_environment(struct sg_options *options, char **environment, struct sg_error *error)
{
    /* The first pass reads ours, so that they stand when the second finds the other's. */
    for (int pass = 0; pass < 2; pass++) {
        const char *prefix = pass == 0 ? "STEPGATE_" : "INNGEST_";
        for (enum sg_option_id id = 0; id < SG_OPTION_COUNT; id++) {
            const struct sg_option *option = &table[id];
            bool is_ours_set = options->values[id].source == SG_SOURCE_ENVIRONMENT;
            if ((option->commands & (int)options->command) == 0 || id == SG_OPTION_HELP || is_ours_set ||
                is_skipped_environment(options, id, pass == 1))
                continue;
            char name[NAME_BYTES_MAX];
            environment_name(option->name, name);
            char where[NAME_BYTES_MAX + 16];
            int len = snprintf(where, sizeof(where), "%s%s", prefix, name);
            for (char **entry = environment; entry != NULL && *entry != NULL; entry++) {
                if (strncmp(*entry, where, (size_t)len) != 0 || (*entry)[len] != '=' || (*entry)[len + 1] == '\0')
                    continue;
                enum sg_status status =
                    sg_options_set(options, id, sg_str_from(*entry + len + 1), SG_SOURCE_ENVIRONMENT, true, where, error);
                if (status != SG_OK)
                    return status;
                break;
            }
        }
    }
    return SG_OK;
}

enum sg_status sg_options_set(struct sg_options *options, enum sg_option_id id, struct sg_str text, enum sg_option_source source,
                              bool is_split, const char *where, struct sg_error *error)
{
    const struct sg_option *option = sg_option_info(id);
    struct sg_option_value *value = &options->values[id];
    if (source < value->source)
        return SG_OK;

    text = sg_str_trim(text);
    if (memchr(text.ptr != NULL ? text.ptr : "", '\0', text.len) != NULL)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s: the value contains a NUL byte", where);
    if (option->kind == SG_OPTION_KIND_INERT || option->kind == SG_OPTION_KIND_INERT_BOOL) {
        value->source = source;
        return SG_OK;
    }
    if (option->kind != SG_OPTION_KIND_TEXT && option->kind != SG_OPTION_KIND_LIST) {
        enum sg_status status = parse_number(option, text, where, &value->number, error);
        if (status == SG_OK)
            value->source = source;
        return status;
    }

    if (option->kind == SG_OPTION_KIND_TEXT || source > value->source)
        value->count = 0;
    value->source = source;
    while (is_split && option->kind == SG_OPTION_KIND_LIST) {
        ptrdiff_t comma = sg_str_index(text, ',');
        if (comma < 0)
            break;
        struct sg_str item = sg_str_trim((struct sg_str){text.ptr, (size_t)comma});
        text = sg_str_trim((struct sg_str){text.ptr + comma + 1, text.len - (size_t)comma - 1});
        enum sg_status status = item.len > 0 ? add_item(options, value, item, error) : SG_OK;
        if (status != SG_OK)
            return status;
    }
    if (text.len == 0 && option->kind == SG_OPTION_KIND_LIST)
        return SG_OK;
    return add_item(options, value, text, error);
}

enum sg_option_id sg_option_find(struct sg_str name, int commands)
{
    for (enum sg_option_id id = 0; id < SG_OPTION_COUNT; id++)
        if (sg_str_eq(name, sg_str_from(table[id].name)) && (commands == 0 || (table[id].commands & commands) != 0))
            return id;
    return SG_OPTION_COUNT;
}

const char *sg_option_nearest(struct sg_str name, int commands)
{
    const char *nearest = NULL;
    size_t best = 1 + (name.len < 8 ? 2 : name.len / 3);
    for (enum sg_option_id id = 0; id < SG_OPTION_COUNT; id++) {
        if (commands != 0 && (table[id].commands & commands) == 0)
            continue;
        size_t distance = edit_distance(name, sg_str_from(table[id].name));
        if (distance < best) {
            best = distance;
            nearest = table[id].name;
        }
    }
    return nearest;
}

bool sg_options_bool(const struct sg_options *options, enum sg_option_id id)
{
    assert(table[id].kind == SG_OPTION_KIND_BOOL);
    return options->values[id].number != 0;
}

int64_t sg_options_int(const struct sg_options *options, enum sg_option_id id)
{
    assert(table[id].kind == SG_OPTION_KIND_INT || table[id].kind == SG_OPTION_KIND_SECONDS || table[id].kind == SG_OPTION_KIND_BYTES);
    return options->values[id].number;
}

const char *sg_options_text(const struct sg_options *options, enum sg_option_id id)
{
    assert(table[id].kind == SG_OPTION_KIND_TEXT);
    const struct sg_option_value *value = &options->values[id];
    return value->count > 0 && value->items[0].len > 0 ? value->items[0].ptr : NULL;
}

bool sg_options_is_given(const struct sg_options *options, enum sg_option_id id)
{
    return options->values[id].source != SG_SOURCE_DEFAULT;
}

void sg_options_print(enum sg_command command, FILE *out)
{
    fprintf(out, "Flags:\n");
    for (enum sg_option_id id = 0; id < SG_OPTION_COUNT; id++)
        if ((table[id].commands & (int)command) != 0 && table[id].kind != SG_OPTION_KIND_INERT &&
            table[id].kind != SG_OPTION_KIND_INERT_BOOL)
            print_option(&table[id], out);

    bool is_first = true;
    for (enum sg_option_id id = 0; id < SG_OPTION_COUNT; id++) {
        if ((table[id].commands & (int)command) == 0 ||
            (table[id].kind != SG_OPTION_KIND_INERT && table[id].kind != SG_OPTION_KIND_INERT_BOOL))
            continue;
        if (is_first)
            fprintf(out, "\nAccepted without effect, so that scripts written for the Inngest server run:\n");
        is_first = false;
        fprintf(out, "  --%s%s%s%s\n", table[id].name, table[id].help[0] != '\0' ? " (" : "", table[id].help,
                table[id].help[0] != '\0' ? ")" : "");
    }
}

/* argv[*at] begins with '-': --name, --name=value, --name value, -n, -nvalue, -n value. */
static enum sg_status read_flag(struct sg_options *options, int argc, char **argv, int *at, struct sg_error *error)
{
    const char *argument = argv[*at];
    struct sg_str text = SG_STR_NULL;
    bool has_text = false;
    enum sg_option_id id = SG_OPTION_COUNT;
    struct sg_str name = sg_str_from(argument + (argument[1] == '-' ? 2 : 1));
    ptrdiff_t equals = sg_str_index(name, '=');
    if (equals >= 0) {
        text = (struct sg_str){name.ptr + equals + 1, name.len - (size_t)equals - 1};
        name.len = (size_t)equals;
        has_text = true;
    }
    if (argument[1] == '-' || name.len > 1)
        id = sg_option_find(name, (int)options->command);
    if (id == SG_OPTION_COUNT && argument[1] != '-') {
        for (enum sg_option_id i = 0; i < SG_OPTION_COUNT; i++)
            if (table[i].letter != 0 && table[i].letter == name.ptr[0] && (table[i].commands & (int)options->command) != 0)
                id = i;
        if (id != SG_OPTION_COUNT && name.len > 1 && !has_text) {
            if (!takes_value(&table[id]))
                return unknown_flag(options, name, error);
            text = (struct sg_str){name.ptr + 1, name.len - 1};
            has_text = true;
        }
    }
    if (id == SG_OPTION_COUNT)
        return unknown_flag(options, name, error);

    char where[NAME_BYTES_MAX];
    snprintf(where, sizeof(where), "--%s", table[id].name);
    if (!has_text && takes_value(&table[id])) {
        if (*at + 1 >= argc)
            return sg_error_set(error, SG_INVALID_ARGUMENT, "%s needs a value: %s %s", where, where, table[id].placeholder);
        text = sg_str_from(argv[++*at]);
    } else if (!has_text) {
        text = SG_STR("true");
    }
    return sg_options_set(options, id, text, SG_SOURCE_FLAG, true, where, error);
}

static enum sg_status unknown_flag(const struct sg_options *options, struct sg_str name, struct sg_error *error)
{
    struct sg_str shown = {name.ptr, name.len < NAME_BYTES_MAX ? name.len : NAME_BYTES_MAX};
    const char *dashes = name.len > 1 ? "--" : "-";
    if (sg_option_find(name, 0) != SG_OPTION_COUNT)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "%s%.*s is not a flag of this command; --help lists those that are", dashes,
                            SG_FMT(shown));
    const char *nearest = sg_option_nearest(name, (int)options->command);
    if (nearest != NULL)
        return sg_error_set(error, SG_INVALID_ARGUMENT, "unknown flag %s%.*s; did you mean --%s?", dashes, SG_FMT(shown), nearest);
    return sg_error_set(error, SG_INVALID_ARGUMENT, "unknown flag %s%.*s; --help lists all", dashes, SG_FMT(shown));
}

static enum sg_status parse_number(const struct sg_option *option, struct sg_str text, const char *where, int64_t *number,
                                   struct sg_error *error)
{
    struct sg_str shown = {text.ptr, text.len < NAME_BYTES_MAX ? text.len : NAME_BYTES_MAX};
    int64_t parsed = 0;
    const char *unit = "";
    int64_t scale = 1;
    switch (option->kind) {
    case SG_OPTION_KIND_BOOL:
        if (!parse_bool(text, number))
            return sg_error_set(error, SG_INVALID_CONFIG, "%s: \"%.*s\" is neither true nor false", where, SG_FMT(shown));
        return SG_OK;
    case SG_OPTION_KIND_INT:
        if (!sg_str_to_int(text, &parsed))
            return sg_error_set(error, SG_INVALID_CONFIG, "%s: \"%.*s\" is not a whole number", where, SG_FMT(shown));
        break;
    case SG_OPTION_KIND_SECONDS:
        unit = " seconds";
        scale = 1000;
        /* The range check below also covers what a multiplication could overflow to. */
        if (sg_str_to_int(text, &parsed))
            parsed = parsed > INT64_MAX / scale || parsed < INT64_MIN / scale ? INT64_MAX : parsed * scale;
        else if (sg_duration_parse_ms(text, &parsed, NULL) != SG_OK)
            return sg_error_set(error, SG_INVALID_CONFIG, "%s: \"%.*s\" is neither a number of seconds nor a duration such as 1m30s", where,
                                SG_FMT(shown));
        break;
    default:
        assert(option->kind == SG_OPTION_KIND_BYTES);
        unit = " bytes";
        if (!parse_bytes(text, &parsed))
            return sg_error_set(error, SG_INVALID_CONFIG, "%s: \"%.*s\" is not a number of bytes such as 4194304 or 4M", where,
                                SG_FMT(shown));
    }
    if (parsed < option->min || parsed > option->max)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s: \"%.*s\" is outside of %lld to %lld%s", where, SG_FMT(shown),
                            (long long)((option->min + scale - 1) / scale), (long long)(option->max / scale), unit);
    *number = parsed;
    return SG_OK;
}

/* What YAML, Go and people write. */
static bool parse_bool(struct sg_str text, int64_t *number)
{
    static const char *const words[][2] = {{"true", "false"}, {"1", "0"}, {"yes", "no"}, {"on", "off"}, {"t", "f"}};
    for (size_t i = 0; i < SG_ARRAY_LEN(words); i++) {
        for (int is_false = 0; is_false < 2; is_false++) {
            if (sg_str_eq_nocase(text, sg_str_from(words[i][is_false]))) {
                *number = !is_false;
                return true;
            }
        }
    }
    return false;
}

static bool parse_bytes(struct sg_str text, int64_t *number)
{
    static const struct {
        const char *suffix;
        int64_t bytes;
    } units[] = {{"KiB", 1LL << 10}, {"MiB", 1LL << 20}, {"GiB", 1LL << 30}, {"KB", 1LL << 10}, {"MB", 1LL << 20},
                 {"GB", 1LL << 30},  {"K", 1LL << 10},   {"M", 1LL << 20},   {"G", 1LL << 30},  {"B", 1}};
    int64_t unit = 1;
    for (size_t i = 0; i < SG_ARRAY_LEN(units); i++) {
        struct sg_str suffix = sg_str_from(units[i].suffix);
        if (text.len > suffix.len && sg_str_eq_nocase((struct sg_str){text.ptr + text.len - suffix.len, suffix.len}, suffix)) {
            text = sg_str_trim((struct sg_str){text.ptr, text.len - suffix.len});
            unit = units[i].bytes;
            break;
        }
    }
    if (!sg_str_to_int(text, number) || *number < 0 || *number > INT64_MAX / unit)
        return false;
    *number *= unit;
    return true;
}

static enum sg_status add_item(struct sg_options *options, struct sg_option_value *value, struct sg_str text, struct sg_error *error)
{
    if (value->count == value->capacity) {
        size_t capacity = value->capacity > 0 ? value->capacity * 2 : 4;
        struct sg_str *items = sg_arena_alloc(&options->arena, capacity * sizeof(*items));
        if (items == NULL)
            return sg_error_set(error, SG_NO_MEMORY, "no memory for the options");
        if (value->count > 0)
            memcpy(items, value->items, value->count * sizeof(*items));
        value->items = items;
        value->capacity = capacity;
    }
    struct sg_str copy = sg_arena_copy(&options->arena, text);
    if (copy.ptr == NULL)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the options");
    value->items[value->count++] = copy;
    return SG_OK;
}

static bool takes_value(const struct sg_option *option)
{
    return option->kind != SG_OPTION_KIND_BOOL && option->kind != SG_OPTION_KIND_INERT_BOOL;
}

/*
 * Two variables are meant for SDKs and lie in many developers' environments: a dev server that obeyed them would suddenly sign, and a development
 * app would refuse it. The server that stepgate stands in for does not read them in dev either.
 */
static bool is_skipped_environment(const struct sg_options *options, enum sg_option_id id, bool is_inngest)
{
    if (!is_inngest || options->command != SG_COMMAND_DEV)
        return false;
    return id == SG_OPTION_SIGNING_KEY || id == SG_OPTION_SIGNING_KEY_FALLBACK || id == SG_OPTION_EVENT_KEY;
}

/* Levenshtein; names longer than ours are equally far from all. */
static size_t edit_distance(struct sg_str a, struct sg_str b)
{
    size_t row[NAME_BYTES_MAX + 1];
    if (a.len > NAME_BYTES_MAX || b.len > NAME_BYTES_MAX)
        return NAME_BYTES_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t changed = diagonal + (tolower((unsigned char)a.ptr[i - 1]) != b.ptr[j - 1]);
            size_t dropped = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = changed < dropped ? changed : dropped;
        }
    }
    return row[b.len];
}

static void environment_name(const char *name, char text[NAME_BYTES_MAX])
{
    size_t i = 0;
    for (; i < NAME_BYTES_MAX - 1 && name[i] != '\0'; i++)
        text[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
    text[i] = '\0';
}

static void print_option(const struct sg_option *option, FILE *out)
{
    char name[NAME_BYTES_MAX];
    environment_name(option->name, name);
    if (option->letter != 0)
        fprintf(out, "  -%c, --%s%s%s\n", option->letter, option->name, option->placeholder[0] != '\0' ? " " : "", option->placeholder);
    else
        fprintf(out, "      --%s%s%s\n", option->name, option->placeholder[0] != '\0' ? " " : "", option->placeholder);
    print_wrapped(option->help, 10, 100, out);
    bool has_default = option->default_text[0] != '\0' && option->kind != SG_OPTION_KIND_BOOL;
    if (strcmp(option->name, "help") != 0)
        fprintf(out, "          [env INNGEST_%s, STEPGATE_%s%s%s]\n", name, name, has_default ? "; default " : "",
                has_default ? option->default_text : "");
}

static void print_wrapped(const char *text, int indent, int width, FILE *out)
{
    int column = 0;
    while (*text != '\0') {
        size_t word_len = strcspn(text, " ");
        if (column > 0 && column + 1 + (int)word_len > width) {
            fputc('\n', out);
            column = 0;
        }
        column += fprintf(out, "%*s%.*s", column == 0 ? indent : 1, "", (int)word_len, text);
        text += word_len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}
