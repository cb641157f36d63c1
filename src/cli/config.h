/*
 * Config files: JSON or YAML, one mapping of flag names to values.
 */
#ifndef STEPGATE_CLI_CONFIG_H
#define STEPGATE_CLI_CONFIG_H

#include "cli/options.h"

#define SG_LIMIT_CONFIG_BYTES (1024 * 1024) /* ours: a config file is a page of text */

/*
 * Reads the text of a config file into the options, as SG_SOURCE_FILE. `name` is for messages; YAML if it ends in .yaml or .yml, else JSON. Options that
 * other commands have are passed over, so that one file serves all. SG_INVALID_CONFIG names file, line and key.
 */
enum sg_status sg_config_parse(struct sg_options *options, const char *name, struct sg_str text, struct sg_error *error);
/*
 * Reads the file named by --config (or its environment variable), or else the first that is found in `directory`, its parents and below `home`
 * (either may be NULL). No file at all is fine.
 */
enum sg_status sg_config_load(struct sg_options *options, const char *directory, const char *home, struct sg_error *error);

#endif
