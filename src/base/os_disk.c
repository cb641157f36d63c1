/*
 * What lies under a directory.
 *
 * The model. The kernel tells the magic number of the file system; the table names those on which a database is not kept as its owner thinks: in
 * memory, in the writable layer of a container, or on another machine. Everything else is a disk.
 *
 * What it never does: follow the mount to its device, or guess. A volume that a container runtime mounts is a disk to us, as it should be.
 */
#include "base/os_disk.h"

#include <stddef.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "base/check.h"

/* linux/magic.h has most of these, but not on every system that has statfs. */
static const struct {
    uint32_t magic;
    const char *kind;
    bool is_ephemeral;
    bool is_remote;
} kinds[] = {
    {0x01021994u, "tmpfs", true, false}, {0x858458f6u, "ramfs", true, false}, {0x794c7630u, "overlay", true, false},
    {0x61756673u, "aufs", true, false},  {0x6969u, "nfs", false, true},       {0xff534d42u, "cifs", false, true},
    {0xfe534d42u, "smb", false, true},   {0x00c36400u, "ceph", false, true},  {0x01021997u, "9p", false, true},
};

bool sg_disk_read(const char *directory, struct sg_disk *disk)
{
    struct statfs file_system;
    struct statvfs room;

    *disk = (struct sg_disk){.kind = "disk"};
    if (statfs(directory, &file_system) != 0 || statvfs(directory, &room) != 0)
        return false;
    for (size_t i = 0; i < SG_ARRAY_LEN(kinds); i++) {
        if ((uint32_t)file_system.f_type != kinds[i].magic)
            continue;
        disk->kind = kinds[i].kind;
        disk->is_ephemeral = kinds[i].is_ephemeral;
        disk->is_remote = kinds[i].is_remote;
    }
    disk->is_read_only = (room.f_flag & ST_RDONLY) != 0;
    disk->free_bytes = (int64_t)room.f_bavail * (int64_t)room.f_frsize;
    disk->total_bytes = (int64_t)room.f_blocks * (int64_t)room.f_frsize;
    return true;
}
