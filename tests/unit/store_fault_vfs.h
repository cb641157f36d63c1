/*
 * SQLite's file system with faults: passes everything on to the real one, but can make the n-th call of some kinds fail. Faults
 * are injected, not awaited.
 */
#ifndef STEPGATE_TESTS_STORE_FAULT_VFS_H
#define STEPGATE_TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>

enum fault_call { FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_READ = 4, FAULT_SHARED_MEMORY = 8, FAULT_OPEN = 16, FAULT_TRUNCATE = 32 };

/* Makes this the default VFS of the process. Call it before anything opens a database. */
void fault_vfs_install(void);
/* The `nth` call (1 is the next) of one of `calls` fails with an SQLite `code` and an errno; with `is_lasting` all later ones too. */
void fault_vfs_arm(unsigned calls, int nth, int code, int system_errno, bool is_lasting);
/* Stops failing; true if a call failed since it was armed. */
bool fault_vfs_disarm(void);

#endif
