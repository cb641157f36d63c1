/*
 * Sockets to listen on.
 *
 * The model. Without a host there is one socket, bound to `::` and open to IPv4 as well, so that a client finds us whatever "localhost"
 * means to it; where the kernel has no IPv6 it is bound to 0.0.0.0 instead. With a host it is resolved, and each of its addresses gets a
 * socket of its own, all with the same port. A port that is in use is either an error that says so or, for `stepgate dev`, a reason to try
 * the next one.
 *
 * What it never does: accept.
 */
#include "server/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

#define LISTEN_BACKLOG 1024
#define PORT_ZERO_TRIES 16 /* a free port for one address may be in use for another */

struct address {
    struct sockaddr_storage storage;
    socklen_t len;
};

static enum sg_status resolve(const char *host, struct address *addresses, size_t *count, struct sg_error *error);
static enum sg_status open_all(const struct address *addresses, size_t count, int port, struct sg_listen *listen, int *failure);
static int open_one(const struct address *address, int port, int *failure);
static int bound_port(int fd);

enum sg_status sg_listen_open(const char *host, int port, int port_tries, struct sg_listen *listen, struct sg_error *error)
{
    struct address addresses[SG_LISTEN_SOCKETS_MAX];
    size_t count;
    int failure = 0;

    *listen = (struct sg_listen){.count = 0};
    if (port < 0 || port > 65535)
        return sg_error_set(error, SG_INVALID_CONFIG, "the port %d is not between 0 and 65535", port);
    enum sg_status status = resolve(host, addresses, &count, error);
    if (status != SG_OK)
        return status;

    int tries = port == 0 ? PORT_ZERO_TRIES : port_tries > 1 ? port_tries : 1;
    for (int i = 0; i < tries; i++) {
        int candidate = port == 0 ? 0 : port + i;
        if (candidate > 65535)
            break;
        if (open_all(addresses, count, candidate, listen, &failure) == SG_OK)
            return SG_OK;
        if (failure != EADDRINUSE)
            break;
    }
    const char *shown = host == NULL || host[0] == '\0' ? "all interfaces" : host;
    if (failure == EADDRINUSE && tries == 1)
        return sg_error_set(error, SG_SYSTEM, "port %d on %s is in use by another program: stop it, or choose another port with --port",
                            port, shown);
    if (failure == EACCES)
        return sg_error_set(error, SG_SYSTEM, "port %d may not be used without privileges: choose one above 1023 with --port", port);
    return sg_error_set(error, SG_SYSTEM, "cannot listen on port %d of %s: %s", port, shown, strerror(failure));
}

void sg_listen_close(struct sg_listen *listen)
{
    for (size_t i = 0; i < listen->count; i++)
        if (listen->sockets[i] >= 0)
            (void)close(listen->sockets[i]);
    listen->count = 0;
}

static void any_address(int family, struct address *address)
{
    memset(&address->storage, 0, sizeof(address->storage));
    if (family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->storage;
        six->sin6_family = AF_INET6;
        six->sin6_addr = in6addr_any;
        address->len = sizeof(*six);
    } else {
        struct sockaddr_in *four = (struct sockaddr_in *)&address->storage;
        four->sin_family = AF_INET;
        four->sin_addr.s_addr = htonl(INADDR_ANY);
        address->len = sizeof(*four);
    }
}

/* Whether this kernel can bind an IPv6 socket at all; containers often cannot. */
static bool has_ipv6(void)
{
    struct address any;
    int failure;

    any_address(AF_INET6, &any);
    int fd = open_one(&any, 0, &failure);
    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

static enum sg_status resolve(const char *host, struct address *addresses, size_t *count, struct sg_error *error)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;

    if (host == NULL || host[0] == '\0') {
        any_address(has_ipv6() ? AF_INET6 : AF_INET, &addresses[0]);
        *count = 1;
        return SG_OK;
    }
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code == EAI_MEMORY)
        return sg_error_set(error, SG_NO_MEMORY, "out of memory");
    if (code != 0)
        return sg_error_set(error, SG_INVALID_CONFIG, "the host \"%s\" is neither an address nor a name that resolves: %s", host,
                            gai_strerror(code));
    *count = 0;
    for (struct addrinfo *one = found; one != NULL && *count < SG_LISTEN_SOCKETS_MAX; one = one->ai_next) {
        bool is_known = one->ai_addrlen > sizeof(addresses[0].storage);
        for (size_t i = 0; i < *count && !is_known; i++)
            is_known = addresses[i].len == one->ai_addrlen && memcmp(&addresses[i].storage, one->ai_addr, one->ai_addrlen) == 0;
        if (is_known)
            continue;
        memcpy(&addresses[*count].storage, one->ai_addr, one->ai_addrlen);
        addresses[*count].len = one->ai_addrlen;
        (*count)++;
    }
    freeaddrinfo(found);
    if (*count == 0)
        return sg_error_set(error, SG_INVALID_CONFIG, "the host \"%s\" has no address to listen on", host);
    return SG_OK;
}

/* An address that this machine lacks (::1 without IPv6) is left out as long as another one can be had. */
static enum sg_status open_all(const struct address *addresses, size_t count, int port, struct sg_listen *listen, int *failure)
{
    listen->count = 0;
    listen->port = port;
    for (size_t i = 0; i < count; i++) {
        int fd = open_one(&addresses[i], listen->port, failure);
        if (fd < 0 && (*failure == EADDRNOTAVAIL || *failure == EAFNOSUPPORT))
            continue;
        if (fd < 0) {
            sg_listen_close(listen);
            return SG_SYSTEM;
        }
        listen->sockets[listen->count++] = fd;
        if (listen->port == 0)
            listen->port = bound_port(fd);
    }
    return listen->count > 0 ? SG_OK : SG_SYSTEM;
}

static int open_one(const struct address *address, int port, int *failure)
{
    struct sockaddr_storage storage = address->storage;
    int on = 1;
    int is_only_six = 0;

    if (storage.ss_family == AF_INET6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&storage;
        six->sin6_port = htons((uint16_t)port);
        is_only_six = !IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
    } else {
        ((struct sockaddr_in *)&storage)->sin_port = htons((uint16_t)port);
    }
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *failure = errno;
        return -1;
    }
    /* Listening at once: only that makes a second program's attempt at the same port fail. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (storage.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_only_six, sizeof(is_only_six)) != 0) ||
        bind(fd, (const struct sockaddr *)&storage, address->len) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        *failure = errno;
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int bound_port(int fd)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof(storage);

    if (getsockname(fd, (struct sockaddr *)&storage, &len) != 0)
        return 0;
    if (storage.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&storage)->sin6_port);
    return ntohs(((struct sockaddr_in *)&storage)->sin_port);
}
