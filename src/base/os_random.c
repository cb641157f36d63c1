/*
 * Entropy of the operating system, by getrandom(2): it blocks only until the kernel has been seeded once after boot and
 * needs no file descriptor.
 */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

bool sg_random_bytes(void *bytes, size_t len)
{
    unsigned char *at = bytes;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        len -= (size_t)got;
    }
    return true;
}
