/* What a service manager is told, and what is known of the disk. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/os_disk.h"
#include "cli/notify.h"

TestSuite(cli_service);

static int listen_on(const char *path, size_t path_len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, path_len);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert(fd >= 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path_len);
    cr_assert_eq(bind(fd, (const struct sockaddr *)(const void *)&address, len), 0);
    return fd;
}

Test(cli_service, tells_the_socket_that_was_named)
{
    char directory[] = "/tmp/stepgate-notify-XXXXXX";
    char path[64];
    char told[64] = "";
    cr_assert_not_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/n", directory);
    int fd = listen_on(path, strlen(path));
    setenv("NOTIFY_SOCKET", path, 1);
    cr_assert(sg_notify("READY=1"));
    cr_assert_eq(recv(fd, told, sizeof(told) - 1, 0), 7);
    cr_assert_str_eq(told, "READY=1");
    close(fd);
    unlink(path);
    rmdir(directory);
}

Test(cli_service, tells_an_abstract_socket)
{
    char name[64];
    char told[64] = "";
    int len = snprintf(name, sizeof(name), "@stepgate-notify-%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    name[0] = '\0';
    int fd = listen_on(name, (size_t)len);
    cr_assert(sg_notify("STOPPING=1"));
    cr_assert_eq(recv(fd, told, sizeof(told) - 1, 0), 10);
    close(fd);
}

Test(cli_service, tells_nobody_if_nobody_listens)
{
    unsetenv("NOTIFY_SOCKET");
    cr_assert_not(sg_notify("READY=1"));
    const char *bad[] = {"", "/", "relative", "/tmp/there-is-no-such-socket-of-stepgate"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        cr_assert_not(sg_notify("READY=1"), "%s", bad[i]);
    }
    char too_long[300];
    memset(too_long, 'a', sizeof(too_long));
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    setenv("NOTIFY_SOCKET", too_long, 1);
    cr_assert_not(sg_notify("READY=1"));
}

Test(cli_service, knows_a_file_system_in_memory)
{
    struct sg_disk disk;
    cr_assert(sg_disk_read("/", &disk));
    cr_assert(disk.total_bytes > 0 && disk.free_bytes >= 0 && disk.free_bytes <= disk.total_bytes);
    cr_assert_not(sg_disk_read("/nosuch/directory", &disk));
    cr_assert(sg_disk_read("/dev/shm", &disk)); /* Debian mounts it, and so do containers */
    cr_assert(disk.is_ephemeral, "%s", disk.kind);
}
