/*
 * What the system says about this process.
 *
 * From /proc/self where there is no call for it; a system without it, or a process that may open no more files, shows -1 and never fails.
 */
#include "base/os_process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static void read_memory(struct sg_process_usage *usage)
{
    int64_t pages;
    int64_t resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return;
    /* The kernel writes numbers that fit. NOLINTNEXTLINE(cert-err34-c) */
    if (fscanf(file, "%" SCNd64 " %" SCNd64, &pages, &resident) == 2) {
        int64_t page_bytes = sysconf(_SC_PAGESIZE);
        usage->virtual_bytes = pages * page_bytes;
        usage->resident_bytes = resident * page_bytes;
    }
    (void)fclose(file);
}

/* Entries of a directory, without "." and ".."; -1 if it cannot be read. */
static int64_t count_entries(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return -1;
    int64_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(directory);
    return count;
}

void sg_process_usage_read(struct sg_process_usage *usage)
{
    *usage = (struct sg_process_usage){-1, -1, -1, -1, -1, -1};
    struct timespec cpu;
    struct rlimit limit;
    read_memory(usage);
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        usage->cpu_ns = (int64_t)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
    int64_t fds = count_entries("/proc/self/fd");
    usage->open_fds = fds > 0 ? fds - 1 : fds; /* without the one that the look itself had open */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        usage->fds_max = (int64_t)limit.rlim_cur;
    usage->threads = count_entries("/proc/self/task");
}
