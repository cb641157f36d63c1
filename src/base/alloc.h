/*
 * The only door to the heap. Everything in stepgate allocates through it, so that a test can make the n-th allocation fail
 * and prove that running out of memory is survived: run the code once for n = 1, 2, 3, ... until it succeeds.
 */
#ifndef STEPGATE_BASE_ALLOC_H
#define STEPGATE_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Like malloc, calloc, realloc and free; a size of 0 gives a pointer that is not NULL. NULL means out of memory. */
void *sg_malloc(size_t bytes);
void *sg_calloc(size_t count, size_t bytes);
void *sg_realloc(void *ptr, size_t bytes);
void sg_free(void *ptr);
/* Zeroed pages from the system, aligned to their size, which is a power of two of at least a page; NULL means out of memory. */
void *sg_pages_take(size_t bytes);
/* Gives them back to the system at once. */
void sg_pages_give(void *pages, size_t bytes);

/*
 * Makes the `nth` allocation from now on fail (1 is the next one), and with `is_lasting` every later one too. 0 switches
 * faults off. Counts over all threads of the process.
 */
void sg_alloc_fail_at(uint64_t nth, bool is_lasting);
/* Whether an allocation was refused since the last sg_alloc_fail_at. */
bool sg_alloc_has_failed(void);
/* Allocations asked for since the last sg_alloc_fail_at that armed a fault. */
uint64_t sg_alloc_count(void);

#endif
