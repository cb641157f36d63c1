/* The commands. Each takes its merged options and returns the exit code of the process. */
#ifndef STEPGATE_CLI_COMMAND_H
#define STEPGATE_CLI_COMMAND_H

#include "cli/options.h"

int sg_command_serve(struct sg_options *options); /* dev, start */
int sg_command_send(struct sg_options *options);
int sg_command_run(struct sg_options *options);
int sg_command_why(struct sg_options *options);
int sg_command_doctor(struct sg_options *options);
int sg_command_cel(struct sg_options *options);

/* "stepgate: <message>" on stderr; returns 1. */
int sg_complain(const char *format, ...) SG_PRINTF(1, 2);
/* The text of `stepgate help`, or of `stepgate COMMAND --help`. 0: the overview. */
void sg_help_print(int command, FILE *out);
const char *sg_version(void);

#endif
