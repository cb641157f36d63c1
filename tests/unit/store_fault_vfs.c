/* See store_fault_vfs.h. */
#include "store_fault_vfs.h"

#include <sqlite3.h>
#include <string.h>

/* The real file follows in the same block. */
struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;
};

/* A VFS belongs to the process, and so do its faults. */
static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    unsigned calls;
    int countdown;
    int code;
    int system_errno;
    bool is_lasting;
    bool has_failed;
} faulty;

static bool is_failing(enum fault_call call)
{
    if ((faulty.calls & call) == 0 || faulty.countdown < 0)
        return false;
    if (faulty.countdown > 1) {
        faulty.countdown--;
        return false;
    }
    if (!faulty.is_lasting)
        faulty.countdown = -1;
    faulty.has_failed = true;
    return true;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

static int faulty_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}
static int faulty_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
    return is_failing(FAULT_READ) ? faulty.code : real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}
/* Half of the bytes reach the disk, as when it fills up in the middle. */
static int faulty_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    if (!is_failing(FAULT_WRITE))
        return real_of(file)->pMethods->xWrite(real_of(file), bytes, count, offset);
    if (count > 1)
        (void)real_of(file)->pMethods->xWrite(real_of(file), bytes, count / 2, offset);
    return faulty.code;
}
static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return is_failing(FAULT_TRUNCATE) ? faulty.code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}
static int faulty_sync(sqlite3_file *file, int flags)
{
    return is_failing(FAULT_SYNC) ? faulty.code : real_of(file)->pMethods->xSync(real_of(file), flags);
}
static int faulty_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}
static int faulty_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int faulty_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int faulty_check_reserved(sqlite3_file *file, int *is_reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is_reserved);
}
static int faulty_file_control(sqlite3_file *file, int op, void *argument)
{
    if (op == SQLITE_FCNTL_LAST_ERRNO && faulty.has_failed) {
        *(int *)argument = faulty.system_errno;
        return SQLITE_OK;
    }
    return real_of(file)->pMethods->xFileControl(real_of(file), op, argument);
}
static int faulty_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int faulty_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int faulty_shm_map(sqlite3_file *file, int page, int page_bytes, int is_extended, void volatile **at)
{
    return is_failing(FAULT_SHARED_MEMORY) ? faulty.code
                                           : real_of(file)->pMethods->xShmMap(real_of(file), page, page_bytes, is_extended, at);
}
static int faulty_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}
static void faulty_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int faulty_shm_unmap(sqlite3_file *file, int is_deleted)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), is_deleted);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2, /* without memory mapped files */
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_file_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_check_reserved,
    .xFileControl = faulty_file_control,
    .xSectorSize = faulty_sector_size,
    .xDeviceCharacteristics = faulty_characteristics,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
    struct faulty_file *made = (struct faulty_file *)file;

    (void)vfs;
    made->base.pMethods = NULL;
    if (is_failing(FAULT_OPEN))
        return faulty.code;
    made->real = (sqlite3_file *)(void *)(made + 1);
    int rc = faulty.real->xOpen(faulty.real, name, made->real, flags, flags_out);
    if (made->real->pMethods != NULL)
        made->base.pMethods = &faulty_methods;
    return rc;
}

static int faulty_last_error(sqlite3_vfs *vfs, int size, char *text)
{
    (void)vfs;
    return faulty.has_failed ? faulty.system_errno : faulty.real->xGetLastError(faulty.real, size, text);
}

void fault_vfs_install(void)
{
    faulty.real = sqlite3_vfs_find(NULL);
    faulty.vfs = *faulty.real;
    faulty.vfs.zName = "faulty";
    faulty.vfs.pNext = NULL;
    faulty.vfs.szOsFile = (int)sizeof(struct faulty_file) + faulty.real->szOsFile;
    faulty.vfs.xOpen = faulty_open;
    faulty.vfs.xGetLastError = faulty_last_error;
    faulty.countdown = -1;
    (void)sqlite3_vfs_register(&faulty.vfs, 1);
}

void fault_vfs_arm(unsigned calls, int nth, int code, int system_errno, bool is_lasting)
{
    faulty.calls = calls;
    faulty.countdown = nth;
    faulty.code = code;
    faulty.system_errno = system_errno;
    faulty.is_lasting = is_lasting;
    faulty.has_failed = false;
}

bool fault_vfs_disarm(void)
{
    bool has_failed = faulty.has_failed;

    faulty.calls = 0;
    faulty.countdown = -1;
    faulty.has_failed = false;
    return has_failed;
}
