/* What the system says about this process: the standard set of process metrics. */
#ifndef STEPGATE_BASE_OS_PROCESS_H
#define STEPGATE_BASE_OS_PROCESS_H

#include <stdint.h>

struct sg_process_usage {
    int64_t resident_bytes; /* each -1 if the system does not tell */
    int64_t virtual_bytes;
    int64_t cpu_ns; /* user and system, all threads */
    int64_t open_fds;
    int64_t fds_max;
    int64_t threads;
};

/* Opens files in /proc: some tens of microseconds. */
void sg_process_usage_read(struct sg_process_usage *usage);

#endif
