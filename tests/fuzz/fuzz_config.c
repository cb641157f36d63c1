/*
 * Any bytes as a config file and as flags: taken, or refused with a message; nothing else. The first byte chooses between JSON, YAML, the environment and
 * flags.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config.h"
#include "cli/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARGUMENTS_MAX 16

/* Splits at line feeds; the words are terminated in place. */
static int split(char *text, char *words[ARGUMENTS_MAX])
{
    int count = 0;
    for (char *word = strtok(text, "\n"); word != NULL && count < ARGUMENTS_MAX; word = strtok(NULL, "\n"))
        words[count++] = word;
    return count;
}

static void check(const struct sg_options *options, enum sg_status status, const struct sg_error *error)
{
    if (status != SG_OK) {
        assert(error->message[0] != '\0');
        return;
    }
    int64_t port = sg_options_int(options, SG_OPTION_PORT);
    assert(port >= 0 && port <= 65535);
    for (size_t i = 0; i < options->values[SG_OPTION_SDK_URL].count; i++)
        assert(options->values[SG_OPTION_SDK_URL].items[i].len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sg_options options;
    struct sg_error error = {.status = SG_OK};
    if (size == 0)
        return 0;
    int way = data[0] % 4;
    enum sg_status status = sg_options_init(&options, way % 2 == 0 ? SG_COMMAND_DEV : SG_COMMAND_START, &error);
    assert(status == SG_OK);
    char *text = malloc(size);
    assert(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    char *words[ARGUMENTS_MAX + 1] = {NULL};
    switch (way) {
    case 0:
        status = sg_config_parse(&options, "fuzz.json", (struct sg_str){text, size - 1}, &error);
        break;
    case 1:
        status = sg_config_parse(&options, "fuzz.yaml", (struct sg_str){text, size - 1}, &error);
        break;
    case 2:
        split(text, words);
        status = sg_options_read_environment(&options, words, &error);
        break;
    default:
        status = sg_options_read_flags(&options, split(text, words), words, &error);
    }
    check(&options, status, &error);
    sg_options_free(&options);
    free(text);
    return 0;
}
