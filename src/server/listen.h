/* Sockets to listen on: addresses and names, both address families, the next free port. */
#ifndef STEPGATE_SERVER_LISTEN_H
#define STEPGATE_SERVER_LISTEN_H

#include <stepgate/base.h>

/* A name such as "localhost" may stand for several addresses; more than these are not listened on. */
#define SG_LISTEN_SOCKETS_MAX 4

struct sg_listen {
    int sockets[SG_LISTEN_SOCKETS_MAX];
    size_t count;
    int port;
};

/*
 * Binds and listens. `host` NULL or "" means every interface. `port` 0 takes any free one; otherwise up to `port_tries`
 * ports are tried, from `port` on, while they are in use. The caller owns the sockets. Errors: SG_INVALID_CONFIG
 * (unknown host, port out of range), SG_SYSTEM.
 */
enum sg_status sg_listen_open(const char *host, int port, int port_tries, struct sg_listen *listen, struct sg_error *error);
/* Closes those that are left (>= 0). */
void sg_listen_close(struct sg_listen *listen);

#endif
