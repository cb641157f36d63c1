/* What lies under a directory: which kind of file system, how much room. */
#ifndef STEPGATE_BASE_OS_DISK_H
#define STEPGATE_BASE_OS_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct sg_disk {
    const char *kind;  /* "tmpfs", "overlay", "nfs", ...; "disk" for all that need no remark */
    bool is_ephemeral; /* its content is gone after a reboot, or with the container */
    bool is_remote;    /* other machines may write to it, and locks are what the network makes of them */
    bool is_read_only;
    int64_t free_bytes; /* for users without privileges */
    int64_t total_bytes;
};

/* False if there is no such directory, or the system does not tell. */
bool sg_disk_read(const char *directory, struct sg_disk *disk);

#endif
