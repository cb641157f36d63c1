/*
 * Assertions that stay on, and magic numbers: a struct that lives long carries `uint32_t magic`, set when it is made and
 * cleared when it is freed, and every function that is handed one checks it first. A stale or wrong pointer then stops the
 * program at the door instead of corrupting a run.
 */
#ifndef STEPGATE_BASE_CHECK_H
#define STEPGATE_BASE_CHECK_H

#ifdef NDEBUG
#error "assertions are part of stepgate: build without NDEBUG"
#endif

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define SG_CHECK(object, expected_magic) assert((object) != NULL && (object)->magic == (expected_magic))

/* The struct of `type` whose `member` is at `pointer`. */
#define SG_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define SG_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
