/* One process a data directory: a lock that ends with its holder, however that ends. */
#ifndef STEPGATE_STORE_DIRLOCK_H
#define STEPGATE_STORE_DIRLOCK_H

#include <stepgate/base.h>

/* Locks `directory`, which exists. SG_STORE_LOCKED names the process that has it. *fd is what sg_dirlock_release gives back. */
enum sg_status sg_dirlock_take(const char *directory, int *fd, struct sg_error *error);
void sg_dirlock_release(int fd);

#endif
