/*
 * The lock of a data directory.
 *
 * The model. A file `lock` in the directory is held by flock(2), which the kernel lets go when the process ends, so a killed
 * gateway leaves nothing to clean up. The file holds the process id of the latest holder, only to be named in the message.
 *
 * What it never does: remove the file. A second process might have opened it just before and would then hold a lock on a name
 * that no longer leads anywhere, while a third locks a new file.
 */
#include "store/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PID_TEXT_MAX 32

static enum sg_status refuse(int fd, const char *directory, struct sg_error *error);
static bool write_pid(int fd);

enum sg_status sg_dirlock_take(const char *directory, int *fd, struct sg_error *error)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/lock", directory);

    if (length < 0 || (size_t)length >= sizeof(path))
        return sg_error_set(error, SG_INVALID_ARGUMENT, "the path of the data directory is too long");
    int made = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (made < 0)
        return sg_error_set(error, SG_STORE_IO, "cannot open the lock file %s: %s", path, strerror(errno));

    int rc;
    do {
        rc = flock(made, LOCK_EX | LOCK_NB);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno == EWOULDBLOCK)
        return refuse(made, directory, error);
    if (rc != 0 || !write_pid(made)) {
        enum sg_status status = sg_error_set(error, SG_STORE_IO, "cannot lock %s: %s", path, strerror(errno));
        close(made);
        return status;
    }
    *fd = made;
    return SG_OK;
}

void sg_dirlock_release(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Closes `fd`. The holder may be between taking the lock and writing its id; then it stays nameless. */
static enum sg_status refuse(int fd, const char *directory, struct sg_error *error)
{
    char text[PID_TEXT_MAX];
    ssize_t length = pread(fd, text, sizeof(text), 0);
    int64_t pid = 0;

    close(fd);
    if (length > 0 && sg_str_to_int(sg_str_trim((struct sg_str){text, (size_t)length}), &pid) && pid > 0)
        return sg_error_set(error, SG_STORE_LOCKED,
                            "the data directory %s is used by process %lld; stop that one or choose another directory", directory,
                            (long long)pid);
    return sg_error_set(error, SG_STORE_LOCKED,
                        "the data directory %s is used by another process; stop that one or choose another directory", directory);
}

/* A full disk is no reason to refuse: the lock itself is held, the id is a courtesy. */
static bool write_pid(int fd)
{
    char text[PID_TEXT_MAX];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) != 0)
        return false;
    return pwrite(fd, text, (size_t)length, 0) == length || errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
}
