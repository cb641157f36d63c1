/* Telling systemd how far we are: sd_notify(3) without libsystemd. */
#ifndef STEPGATE_CLI_NOTIFY_H
#define STEPGATE_CLI_NOTIFY_H

#include <stdbool.h>

/* Sends `state`, lines such as "READY=1". False if nobody asked ($NOTIFY_SOCKET is not set), or it could not be told, which changes nothing for us. */
bool sg_notify(const char *state);

#endif
