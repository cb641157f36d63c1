/*
 * Config files.
 *
 * The model. JSON is read by jansson, YAML by libyaml, each as one flat mapping: keys are flag names, values are scalars or lists of
 * scalars (reference/03 §9.1). Both end in sg_options_set, so a value is judged like the same text on the command line. A key that no command
 * knows is an error that names the nearest one: a misspelt limit that silently does not limit helps nobody.
 *
 * What it never does: follow YAML anchors or tags (a config needs neither, and both can be made to explode), read more than
 * SG_LIMIT_CONFIG_BYTES, or take half of a file: the first error ends the program.
 */
#include "cli/config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/check.h"

/* More directories than this are not climbed. */
#define PARENTS_MAX 64
#define SHOWN_BYTES_MAX 64

static const char *const file_names[] = {"stepgate.json", "stepgate.yaml", "stepgate.yml", "inngest.json", "inngest.yaml", "inngest.yml"};

static enum sg_status parse_json(struct sg_options *options, const char *name, struct sg_str text, struct sg_error *error);
static enum sg_status set_json(struct sg_options *options, enum sg_option_id id, const json_t *value, const char *where, bool is_item,
                               struct sg_error *error);
static size_t line_of_key(struct sg_str text, const char *key);
static enum sg_status parse_yaml(struct sg_options *options, const char *name, struct sg_str text, struct sg_error *error);
static enum sg_status read_yaml_document(struct sg_options *options, yaml_parser_t *parser, const char *name, struct sg_error *error);
static enum sg_status read_yaml_pair(struct sg_options *options, yaml_parser_t *parser, const char *name, const yaml_event_t *key,
                                     bool seen[SG_OPTION_COUNT], struct sg_error *error);
static enum sg_status set_yaml(struct sg_options *options, enum sg_option_id id, const yaml_event_t *value, const char *where,
                               struct sg_error *error);
static enum sg_status next_event(yaml_parser_t *parser, yaml_event_t *event, const char *name, struct sg_error *error);
static enum sg_status find_key(const struct sg_options *options, const char *name, size_t line, struct sg_str key, enum sg_option_id *id,
                               char *where, size_t where_size, struct sg_error *error);
static enum sg_status read_file(const char *path, bool is_required, struct sg_buf *bytes, bool *is_found, struct sg_error *error);
static enum sg_status try_directory(struct sg_options *options, const char *directory, bool *is_found, struct sg_error *error);

enum sg_status sg_config_parse(struct sg_options *options, const char *name, struct sg_str text, struct sg_error *error)
{
    if (text.len > SG_LIMIT_CONFIG_BYTES)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s is larger than %d bytes", name, SG_LIMIT_CONFIG_BYTES);
    struct sg_str file = sg_str_from(name);
    if (sg_str_ends_with(file, SG_STR(".yaml")) || sg_str_ends_with(file, SG_STR(".yml")))
        return parse_yaml(options, name, text, error);
    return parse_json(options, name, text, error);
}

enum sg_status sg_config_load(struct sg_options *options, const char *directory, const char *home, struct sg_error *error)
{
    const char *named = sg_options_text(options, SG_OPTION_CONFIG);
    bool is_found = false;
    enum sg_status status = SG_OK;
    if (named != NULL) {
        struct sg_buf bytes = {0};
        status = read_file(named, true, &bytes, &is_found, error);
        if (status == SG_OK)
            status = sg_config_parse(options, named, sg_buf_str(&bytes), error);
        sg_buf_free(&bytes);
        return status;
    }

    char path[PATH_MAX];
    if (directory != NULL && (size_t)snprintf(path, sizeof(path), "%s", directory) < sizeof(path)) {
        for (int i = 0; i < PARENTS_MAX && status == SG_OK && !is_found; i++) {
            status = try_directory(options, path, &is_found, error);
            char *slash = strrchr(path, '/');
            if (slash == NULL || path[1] == '\0')
                break;
            slash[slash == path ? 1 : 0] = '\0';
        }
    }
    static const char *const places[] = {"stepgate", "inngest"};
    for (size_t i = 0; i < SG_ARRAY_LEN(places) && home != NULL && status == SG_OK && !is_found; i++)
        if ((size_t)snprintf(path, sizeof(path), "%s/.config/%s", home, places[i]) < sizeof(path))
            status = try_directory(options, path, &is_found, error);
    return status;
}

static enum sg_status try_directory(struct sg_options *options, const char *directory, bool *is_found, struct sg_error *error)
{
    for (size_t i = 0; i < SG_ARRAY_LEN(file_names); i++) {
        char path[PATH_MAX + 32];
        snprintf(path, sizeof(path), "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, file_names[i]);
        struct sg_buf bytes = {0};
        enum sg_status status = read_file(path, false, &bytes, is_found, error);
        if (status == SG_OK && *is_found)
            status = sg_config_parse(options, path, sg_buf_str(&bytes), error);
        sg_buf_free(&bytes);
        if (status != SG_OK || *is_found)
            return status;
    }
    return SG_OK;
}

/* A file that is not there is an error only if it is required; one that cannot be read always is. */
static enum sg_status read_file(const char *path, bool is_required, struct sg_buf *bytes, bool *is_found, struct sg_error *error)
{
    *is_found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && !is_required && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return SG_OK;
    if (fd < 0)
        return sg_error_set(error, SG_INVALID_CONFIG, "the config file %s cannot be read: %s", path, strerror(errno));
    *is_found = true;
    enum sg_status status = SG_OK;
    for (;;) {
        if (!sg_buf_reserve(bytes, 4096)) {
            status = sg_error_set(error, SG_NO_MEMORY, "no memory for the config file");
            break;
        }
        ssize_t got = read(fd, bytes->ptr + bytes->len, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = sg_error_set(error, SG_INVALID_CONFIG, "the config file %s cannot be read: %s", path, strerror(errno));
        if (got <= 0)
            break;
        bytes->len += (size_t)got;
        if (bytes->len > SG_LIMIT_CONFIG_BYTES)
            break; /* the parser refuses it */
    }
    close(fd);
    return status;
}

/*
 * The option of a key and the words that name its place. A key that belongs to another command gives SG_OPTION_COUNT: passed over.
 */
static enum sg_status find_key(const struct sg_options *options, const char *name, size_t line, struct sg_str key, enum sg_option_id *id,
                               char *where, size_t where_size, struct sg_error *error)
{
    struct sg_str shown = {key.ptr, key.len < SHOWN_BYTES_MAX ? key.len : SHOWN_BYTES_MAX};
    snprintf(where, where_size, "%s, line %zu: %.*s", name, line, SG_FMT(shown));
    *id = sg_option_find(key, (int)options->command);
    if (*id == SG_OPTION_CONFIG || *id == SG_OPTION_HELP)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s: cannot be set in a config file", where);
    if (*id != SG_OPTION_COUNT || sg_option_find(key, 0) != SG_OPTION_COUNT)
        return SG_OK;
    const char *nearest = sg_option_nearest(key, 0);
    if (nearest != NULL)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s: unknown setting; did you mean %s?", where, nearest);
    return sg_error_set(error, SG_INVALID_CONFIG, "%s: unknown setting; stepgate dev --help lists all", where);
}

/* ---- JSON ---- */

static enum sg_status parse_json(struct sg_options *options, const char *name, struct sg_str text, struct sg_error *error)
{
    json_error_t where_wrong;
    json_t *root = json_loadb(text.ptr != NULL ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &where_wrong);
    if (root == NULL)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s, line %d: %s", name, where_wrong.line > 0 ? where_wrong.line : 1,
                            where_wrong.text);
    enum sg_status status = SG_OK;
    if (!json_is_object(root))
        status = sg_error_set(error, SG_INVALID_CONFIG, "%s, line 1: the file must hold an object of settings, {\"port\": 8288}", name);

    const char *key;
    json_t *value;
    if (status == SG_OK) {
        json_object_foreach(root, key, value)
        {
            enum sg_option_id id;
            char where[PATH_MAX + 128];
            status = find_key(options, name, line_of_key(text, key), sg_str_from(key), &id, where, sizeof(where), error);
            if (status == SG_OK && id != SG_OPTION_COUNT)
                status = set_json(options, id, value, where, false, error);
            if (status != SG_OK)
                break;
        }
    }
    json_decref(root);
    return status;
}

static enum sg_status set_json(struct sg_options *options, enum sg_option_id id, const json_t *value, const char *where, bool is_item,
                               struct sg_error *error)
{
    char number[32];
    switch (json_typeof(value)) {
    case JSON_NULL:
        return SG_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        return sg_options_set(options, id, json_is_true(value) ? SG_STR("true") : SG_STR("false"), SG_SOURCE_FILE, false, where, error);
    case JSON_INTEGER:
        snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
        return sg_options_set(options, id, sg_str_from(number), SG_SOURCE_FILE, false, where, error);
    case JSON_STRING:
        return sg_options_set(options, id, (struct sg_str){json_string_value(value), json_string_length(value)}, SG_SOURCE_FILE, false,
                              where, error);
    case JSON_ARRAY:
        if (is_item || sg_option_info(id)->kind != SG_OPTION_KIND_LIST)
            return sg_error_set(error, SG_INVALID_CONFIG, "%s: takes one value, not a list", where);
        for (size_t i = 0; i < json_array_size(value); i++) {
            enum sg_status status = set_json(options, id, json_array_get(value, i), where, true, error);
            if (status != SG_OK)
                return status;
        }
        return SG_OK;
    default:
        return sg_error_set(error, SG_INVALID_CONFIG, "%s: must be a text, a whole number, true or false%s", where,
                            is_item ? "" : ", or a list where the flag may be repeated");
    }
}

/* jansson does not keep lines; the first place where the quoted key stands before a colon is the one a person looks for. */
static size_t line_of_key(struct sg_str text, const char *key)
{
    size_t key_len = strlen(key);
    size_t line = 1;
    for (size_t i = 0; i + key_len + 2 <= text.len; i++) {
        if (text.ptr[i] == '\n')
            line++;
        if (text.ptr[i] != '"' || memcmp(text.ptr + i + 1, key, key_len) != 0 || text.ptr[i + 1 + key_len] != '"')
            continue;
        size_t after = i + key_len + 2;
        while (after < text.len && strchr(" \t\r\n", text.ptr[after]) != NULL)
            after++;
        if (after < text.len && text.ptr[after] == ':')
            return line;
    }
    return 1; /* the key was written with escapes */
}

/* ---- YAML ---- */

static enum sg_status parse_yaml(struct sg_options *options, const char *name, struct sg_str text, struct sg_error *error)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the config file");
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr != NULL ? text.ptr : ""), text.len);

    yaml_event_t event;
    enum sg_status status = next_event(&parser, &event, name, error);
    while (status == SG_OK) {
        yaml_event_type_t type = event.type;
        size_t line = event.start_mark.line + 1;
        bool is_empty_scalar = type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 && event.data.scalar.anchor == NULL;
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            break;
        if (type == YAML_MAPPING_START_EVENT)
            status = read_yaml_document(options, &parser, name, error);
        else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT &&
                 !is_empty_scalar)
            status = sg_error_set(error, SG_INVALID_CONFIG, "%s, line %zu: the file must hold settings such as `port: 8288`", name, line);
        if (status == SG_OK)
            status = next_event(&parser, &event, name, error);
    }
    yaml_parser_delete(&parser);
    return status;
}

/* The top mapping, after its start. */
static enum sg_status read_yaml_document(struct sg_options *options, yaml_parser_t *parser, const char *name, struct sg_error *error)
{
    bool seen[SG_OPTION_COUNT] = {false};
    for (;;) {
        yaml_event_t key;
        enum sg_status status = next_event(parser, &key, name, error);
        if (status != SG_OK)
            return status;
        bool is_end = key.type == YAML_MAPPING_END_EVENT;
        if (!is_end)
            status = read_yaml_pair(options, parser, name, &key, seen, error);
        yaml_event_delete(&key);
        if (status != SG_OK || is_end)
            return status;
    }
}

static enum sg_status read_yaml_pair(struct sg_options *options, yaml_parser_t *parser, const char *name, const yaml_event_t *key,
                                     bool seen[SG_OPTION_COUNT], struct sg_error *error)
{
    size_t line = key->start_mark.line + 1;
    if (key->type != YAML_SCALAR_EVENT)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s, line %zu: a setting's name must be plain text", name, line);
    struct sg_str key_text = {(const char *)key->data.scalar.value, key->data.scalar.length};
    enum sg_option_id id;
    char where[PATH_MAX + 128];
    enum sg_status status = find_key(options, name, line, key_text, &id, where, sizeof(where), error);
    if (status == SG_OK && id != SG_OPTION_COUNT && seen[id])
        status = sg_error_set(error, SG_INVALID_CONFIG, "%s: is set twice", where);
    if (status != SG_OK)
        return status;
    if (id != SG_OPTION_COUNT)
        seen[id] = true;

    yaml_event_t value;
    status = next_event(parser, &value, name, error);
    if (status != SG_OK)
        return status;
    if (value.type == YAML_SEQUENCE_START_EVENT && (id == SG_OPTION_COUNT || sg_option_info(id)->kind == SG_OPTION_KIND_LIST)) {
        bool is_end = false;
        while (status == SG_OK && !is_end) {
            yaml_event_delete(&value);
            status = next_event(parser, &value, name, error);
            if (status != SG_OK)
                return status;
            is_end = value.type == YAML_SEQUENCE_END_EVENT;
            if (!is_end)
                status = set_yaml(options, id, &value, where, error);
        }
    } else {
        status = set_yaml(options, id, &value, where, error);
    }
    yaml_event_delete(&value);
    return status;
}

static enum sg_status set_yaml(struct sg_options *options, enum sg_option_id id, const yaml_event_t *value, const char *where,
                               struct sg_error *error)
{
    if (value->type == YAML_SEQUENCE_START_EVENT)
        return sg_error_set(error, SG_INVALID_CONFIG, "%s: takes one value, not a list", where);
    if (value->type != YAML_SCALAR_EVENT)
        return sg_error_set(error, SG_INVALID_CONFIG,
                            "%s: must be a text, a whole number, true or false, or a list where the flag may be repeated", where);
    struct sg_str text = {(const char *)value->data.scalar.value, value->data.scalar.length};
    bool is_null = value->data.scalar.plain_implicit && (text.len == 0 || sg_str_eq(text, SG_STR("~")) || sg_str_eq(text, SG_STR("null")));
    if (is_null || id == SG_OPTION_COUNT)
        return SG_OK;
    return sg_options_set(options, id, text, SG_SOURCE_FILE, false, where, error);
}

static enum sg_status next_event(yaml_parser_t *parser, yaml_event_t *event, const char *name, struct sg_error *error)
{
    if (yaml_parser_parse(parser, event))
        return SG_OK;
    if (parser->error == YAML_MEMORY_ERROR)
        return sg_error_set(error, SG_NO_MEMORY, "no memory for the config file");
    return sg_error_set(error, SG_INVALID_CONFIG, "%s, line %zu: %s", name, parser->problem_mark.line + 1,
                        parser->problem != NULL ? parser->problem : "not valid YAML");
}
