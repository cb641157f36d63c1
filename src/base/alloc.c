/*
 * Allocation with injected faults.
 *
 * The model. One process-wide countdown, 0 when nobody tests. Armed, each request counts it down and the one that reaches
 * zero is refused, or in lasting mode that one and all that follow.
 *
 * What it never does: abort on exhaustion (out of memory is an error like any other and goes up to the caller), or cost
 * more than one relaxed load when no test is running.
 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

/* Static because the heap is: faults belong to the process, not to an object a caller could pass along. */
static atomic_bool is_armed;
static atomic_bool is_fault_lasting;
static atomic_bool has_failed;
static _Atomic uint64_t fail_at;
static _Atomic uint64_t asked;

static bool is_refused(void)
{
    if (!atomic_load_explicit(&is_armed, memory_order_relaxed))
        return false;

    uint64_t number = atomic_fetch_add(&asked, 1) + 1;
    uint64_t nth = atomic_load(&fail_at);
    bool is_refused_now = number == nth || (number > nth && atomic_load(&is_fault_lasting));
    if (is_refused_now)
        atomic_store(&has_failed, true);
    return is_refused_now;
}

void *sg_malloc(size_t bytes)
{
    return is_refused() ? NULL : malloc(bytes > 0 ? bytes : 1);
}

void *sg_pages_take(size_t bytes)
{
    if (is_refused())
        return NULL;
    /* Twice as much holds an aligned piece; what is before and behind it goes back. */
    char *pages = mmap(NULL, bytes * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    size_t before = (bytes - ((uintptr_t)pages & (bytes - 1))) & (bytes - 1);
    size_t behind = bytes - before;
    if (before > 0)
        (void)munmap(pages, before); /* fails only if the kernel has no room for one more range: then it stays reserved, untouched */
    if (behind > 0)
        (void)munmap(pages + before + bytes, behind);
    return pages + before;
}

void sg_pages_give(void *pages, size_t bytes)
{
    (void)munmap(pages, bytes);
}

void *sg_calloc(size_t count, size_t bytes)
{
    if (is_refused())
        return NULL;
    return count > 0 && bytes > 0 ? calloc(count, bytes) : calloc(1, 1);
}

void *sg_realloc(void *ptr, size_t bytes)
{
    return is_refused() ? NULL : realloc(ptr, bytes > 0 ? bytes : 1);
}

void sg_free(void *ptr)
{
    free(ptr);
}

void sg_alloc_fail_at(uint64_t nth, bool is_lasting)
{
    atomic_store(&is_armed, false);
    atomic_store(&asked, 0);
    atomic_store(&has_failed, false);
    atomic_store(&fail_at, nth);
    atomic_store(&is_fault_lasting, is_lasting);
    atomic_store(&is_armed, nth > 0);
}

bool sg_alloc_has_failed(void)
{
    return atomic_load(&has_failed);
}

uint64_t sg_alloc_count(void)
{
    return atomic_load(&asked);
}
