/*
 * Telling systemd how far we are.
 *
 * The model. A service of Type=notify finds the address of a datagram socket in $NOTIFY_SOCKET and sends lines of NAME=VALUE to it. That is all of
 * the protocol that a server needs: READY=1 once it answers, STOPPING=1 when it begins to end.
 *
 * What it never does: fail. Whoever is not told in time acts on its own, and we work either way.
 */
#include "cli/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool sg_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t path_len = path != NULL ? strlen(path) : 0;
    if (path_len < 2 || path_len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
        return false;
    memcpy(address.sun_path, path, path_len);
    if (path[0] == '@') /* an abstract address begins with a NUL and ends with its length */
        address.sun_path[0] = '\0';

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    size_t state_len = strlen(state);
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    ssize_t sent = sendto(fd, state, state_len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)(const void *)&address, address_len);
    close(fd);
    return sent == (ssize_t)state_len;
}
