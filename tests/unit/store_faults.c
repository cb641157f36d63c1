/* A disk that is full, refuses to write or to sync, and memory that runs out: at every call where it can happen, one after the other. */
#include "store_fixture.h"

#include "base/alloc.h"
#include "store_fault_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG_BYTES 70000
#define BATCH_WRITES 6

static char big[BIG_BYTES];

/* Enough for several pages, an overflow chain, an index, a deletion, and large values: new, replaced and written in place. */
static size_t make_batch(struct sg_write writes[BATCH_WRITES], int64_t round)
{
    writes[0] = memo(SG_WRITE_INSERT, (uint8_t)(round % 256), "big", round, (struct sg_str){big, sizeof(big)});
    writes[1] = setting(SG_WRITE_PUT, "round", round % 2 == 0 ? "even" : "odd");
    writes[2] = event(SG_WRITE_INSERT, round, (uint8_t)(round % 7), "n");
    writes[3] = idempotency(SG_WRITE_PUT, 1, 1, round);
    writes[4] = event(SG_WRITE_DELETE, round - 1, 0, NULL);
    writes[5] = memo(SG_WRITE_PUT, 255, "again", round, (struct sg_str){big, sizeof(big)});
    return BATCH_WRITES;
}

static char *everything(struct fixture *f)
{
    struct sg_buf all = {0};

    sg_buf_append(&all, sg_str_from(scan(f, SG_KIND_MEMO)));
    sg_buf_append(&all, sg_str_from(scan(f, SG_KIND_SETTING)));
    sg_buf_append(&all, sg_str_from(scan(f, SG_KIND_EVENT)));
    sg_buf_append(&all, sg_str_from(scan(f, SG_KIND_IDEMPOTENCY)));
    sg_buf_byte(&all, '\0');
    cr_assert(not(all.is_failed));
    return all.ptr;
}

static void open_with_faults(struct fixture *f)
{
    struct sg_write writes[BATCH_WRITES];

    fault_vfs_install();
    fixture_open_sqlite(f);
    commit_ok(f, writes, make_batch(writes, 1));
}

/*
 * Fails one call after the other until a commit gets through without meeting the fault. Each commit that failed changed nothing
 * for readers, and the same batch succeeds afterwards.
 */
static void fail_each_call(struct fixture *f, unsigned calls, int code, int system_errno, enum sg_status expected)
{
    struct sg_write writes[BATCH_WRITES];
    int faults = 0;

    for (int64_t round = 2; round < 200; round++) {
        char *before = everything(f);
        size_t count = make_batch(writes, round);
        fault_vfs_arm(calls, (int)round - 1, code, system_errno, false);
        enum sg_status status = commit(f, writes, count);
        bool has_failed = fault_vfs_disarm();
        if (!has_failed) {
            assert_status(status, SG_OK);
            free(before);
            cr_assert(gt(int, faults, 0));
            return;
        }
        faults++;
        cr_assert(eq(int, (int)status, (int)expected), "%s", f->error.message);
        char *after = everything(f);
        assert_text(after, before);
        free(before);
        free(after);
        commit_ok(f, writes, count);
    }
    cr_fatal("the fault was met every time");
}

Test(store_faults, write_that_finds_the_disk_full_can_be_tried_again)
{
    struct fixture f;
    open_with_faults(&f);

    fail_each_call(&f, FAULT_WRITE, SQLITE_FULL, ENOSPC, SG_STORE_FULL);

    cr_assert(ne(ptr, strstr(f.error.message, "full"), NULL));
    fixture_reopen(&f);
    fixture_close(&f);
}

Test(store_faults, write_beyond_a_quota_is_a_full_disk)
{
    struct fixture f;
    open_with_faults(&f);

    fail_each_call(&f, FAULT_WRITE, SQLITE_IOERR_WRITE, EDQUOT, SG_STORE_FULL);

    fixture_close(&f);
}

Test(store_faults, write_that_fails_can_be_tried_again)
{
    struct fixture f;
    open_with_faults(&f);

    fail_each_call(&f, FAULT_WRITE, SQLITE_IOERR_WRITE, EIO, SG_STORE_IO);

    cr_assert(ne(ptr, strstr(f.error.message, strerror(EIO)), NULL));
    fixture_close(&f);
}

Test(store_faults, disk_that_stays_full_is_reported_until_there_is_room)
{
    struct fixture f;
    struct sg_write writes[BATCH_WRITES];
    open_with_faults(&f);
    size_t count = make_batch(writes, 2);

    fault_vfs_arm(FAULT_WRITE, 1, SQLITE_FULL, ENOSPC, true);
    for (int i = 0; i < 10; i++)
        assert_status(commit(&f, writes, count), SG_STORE_FULL);
    fault_vfs_disarm();

    commit_ok(&f, writes, count);
    fixture_close(&f);
}

Test(store_faults, sync_that_fails_is_final)
{
    struct fixture f;
    struct sg_write writes[BATCH_WRITES];
    open_with_faults(&f);

    fault_vfs_arm(FAULT_SYNC, 1, SQLITE_IOERR_FSYNC, EIO, false);
    assert_status(commit(&f, writes, make_batch(writes, 2)), SG_STORE_CORRUPT);
    cr_assert(fault_vfs_disarm());
    cr_assert(ne(ptr, strstr(f.error.message, "what is on it is unknown"), NULL));
    assert_status(commit(&f, writes, make_batch(writes, 2)), SG_STORE_CORRUPT);
    assert_status(sg_store_maintain(f.store, &f.error), SG_OK);

    fixture_reopen(&f);
    assert_status(commit(&f, writes, make_batch(writes, 3)), SG_OK);
    fixture_close(&f);
}

Test(store_faults, sync_that_fails_in_a_checkpoint_is_final)
{
    struct fixture f = {0};
    struct sg_store_sqlite_options options = {.directory = f.directory, .wal_bytes_max = 4096};
    struct sg_write writes[BATCH_WRITES];
    fault_vfs_install();
    make_directory(f.directory);
    assert_status(sg_store_open_sqlite(&options, &f.store, &f.error), SG_OK);
    commit_ok(&f, writes, make_batch(writes, 1));

    /* The log is synced first, the database second. */
    fault_vfs_arm(FAULT_SYNC, 2, SQLITE_IOERR_FSYNC, EIO, false);
    assert_status(sg_store_maintain(f.store, &f.error), SG_STORE_CORRUPT);
    cr_assert(fault_vfs_disarm());
    assert_status(commit(&f, writes, make_batch(writes, 2)), SG_STORE_CORRUPT);

    fixture_reopen(&f);
    struct sg_buf expected = {0};
    sg_buf_printf(&expected, "1:#1:n:-:-:-:- ");
    sg_buf_byte(&expected, '\0');
    assert_text(scan(&f, SG_KIND_EVENT), expected.ptr);
    sg_buf_free(&expected);
    fixture_close(&f);
}

Test(store_faults, checkpoint_without_room_is_reported_and_commits_go_on)
{
    struct fixture f = {0};
    struct sg_store_sqlite_options options = {.directory = f.directory, .wal_bytes_max = 4096};
    struct sg_write writes[BATCH_WRITES];
    fault_vfs_install();
    make_directory(f.directory);
    assert_status(sg_store_open_sqlite(&options, &f.store, &f.error), SG_OK);
    commit_ok(&f, writes, make_batch(writes, 1));

    fault_vfs_arm(FAULT_WRITE, 1, SQLITE_FULL, ENOSPC, false);
    assert_status(sg_store_maintain(f.store, &f.error), SG_STORE_FULL);
    cr_assert(fault_vfs_disarm());

    commit_ok(&f, writes, make_batch(writes, 2));
    assert_status(sg_store_maintain(f.store, &f.error), SG_OK);
    fixture_close(&f);
}

/* A limit on the size of files instead of a small disk: needs no privilege. */
Test(store_faults, file_size_limit_of_the_system_is_survived)
{
    struct fixture f;
    struct sg_write writes[BATCH_WRITES];
    struct rlimit limit;
    fixture_open_sqlite(&f);
    commit_ok(&f, writes, make_batch(writes, 1));
    signal(SIGXFSZ, SIG_IGN);
    cr_assert(eq(int, getrlimit(RLIMIT_FSIZE, &limit), 0));

    rlim_t unlimited = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)sg_store_size_bytes(f.store);
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));
    enum sg_status status = SG_OK;
    int64_t round = 1;
    while (status == SG_OK && round < 200)
        status = commit(&f, writes, make_batch(writes, ++round));
    char message[SG_ERROR_MESSAGE_MAX];
    memcpy(message, f.error.message, sizeof(message));
    enum sg_status again = commit(&f, writes, make_batch(writes, round));
    limit.rlim_cur = unlimited;
    cr_assert(eq(int, setrlimit(RLIMIT_FSIZE, &limit), 0));

    cr_assert(eq(int, (int)status, SG_STORE_FULL), "%s", message);
    assert_status(again, SG_STORE_FULL);
    commit_ok(&f, writes, make_batch(writes, round));
    fixture_reopen(&f);
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_KEY, .limit = 10};
    char expected[64];
    snprintf(expected, sizeof(expected), "%lld:#%lld:n:-:-:-:- ", (long long)round, (long long)(round % 7));
    assert_text(read_all(&f, &query), expected);
    fixture_close(&f);
}

/* A file system of two megabytes, seen by this test only, which goes with it. False where the system does not let us. */
static bool mount_small_disk(const char *directory)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    return mount("tmpfs", directory, "tmpfs", 0, "size=2m") == 0;
}

/* After the store is closed. */
static void unmount_small_disk(const char *directory)
{
    (void)umount2(directory, MNT_DETACH);
    remove_directory(directory);
}

static bool fill_disk(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool is_full = false;

    while (fd >= 0 && !is_full)
        is_full = write(fd, big, 4096) <= 0;
    if (fd >= 0)
        close(fd);
    return is_full;
}

Test(store_faults, real_disk_that_fills_up_is_survived)
{
    struct fixture f = {0};
    struct sg_write writes[BATCH_WRITES];
    char filler[300];
    make_directory(f.directory);
    if (!mount_small_disk(f.directory)) { /* skipped: most containers forbid it, and the simulated disk above is full everywhere */
        remove_directory(f.directory);
        cr_skip_test("mounting a tmpfs is not allowed here");
    }
    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
    commit_ok(&f, writes, make_batch(writes, 1));

    snprintf(filler, sizeof(filler), "%s/filler", f.directory);
    cr_assert(fill_disk(filler));
    enum sg_status status = SG_OK;
    int64_t round = 1;
    while (status == SG_OK && round < 200)
        status = commit(&f, writes, make_batch(writes, ++round));
    cr_assert(eq(int, (int)status, SG_STORE_FULL), "%s", f.error.message);
    assert_status(commit(&f, writes, make_batch(writes, round)), SG_STORE_FULL);
    cr_assert(eq(int, unlink(filler), 0));
    commit_ok(&f, writes, make_batch(writes, round));

    /* The log alone fills it again; then there is room for neither a checkpoint nor a commit, and what was committed is there. */
    for (status = SG_OK; status == SG_OK && round < 400;)
        status = commit(&f, writes, make_batch(writes, ++round));
    cr_assert(eq(int, (int)status, SG_STORE_FULL), "%s", f.error.message);
    struct sg_buf text = {0};
    sg_buf_printf(&text, "%lld:#%lld:n:-:-:-:- ", (long long)round - 1, (long long)((round - 1) % 7));
    sg_buf_byte(&text, '\0');
    assert_text(scan(&f, SG_KIND_EVENT), text.ptr);
    fixture_reopen(&f);
    assert_text(scan(&f, SG_KIND_EVENT), text.ptr);
    sg_buf_free(&text);
    fixture_close(&f);
    unmount_small_disk(f.directory);
}

Test(store_faults, full_disk_is_named_when_a_store_cannot_be_made)
{
    struct fixture f = {0};
    char filler[300];
    make_directory(f.directory);
    if (!mount_small_disk(f.directory)) { /* skipped: most containers forbid it, and the simulated disk above is full everywhere */
        remove_directory(f.directory);
        cr_skip_test("mounting a tmpfs is not allowed here");
    }
    snprintf(filler, sizeof(filler), "%s/filler", f.directory);
    cr_assert(fill_disk(filler));

    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_STORE_FULL);
    cr_assert(eq(int, unlink(filler), 0));
    assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);

    fixture_close(&f);
    unmount_small_disk(f.directory);
}

Test(store_faults, opening_fails_cleanly_at_every_call)
{
    static const unsigned calls[] = {FAULT_WRITE, FAULT_READ, FAULT_OPEN, FAULT_SHARED_MEMORY, FAULT_SYNC};
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_IOERR_READ, SQLITE_CANTOPEN, SQLITE_IOERR_SHMMAP, SQLITE_IOERR_FSYNC};
    fault_vfs_install();

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        bool has_failed = true;
        int failed_opens = 0;
        for (int nth = 1; has_failed && nth < 1000; nth++) {
            struct fixture f = {0};
            make_directory(f.directory);
            fault_vfs_arm(calls[i], nth, codes[i], EIO, false);
            enum sg_status status = open_sqlite(f.directory, &f.store, &f.error);
            has_failed = fault_vfs_disarm();
            failed_opens += status != SG_OK;
            if (status != SG_OK) {
                cr_assert(eq(ptr, f.store, NULL));
                assert_status(open_sqlite(f.directory, &f.store, &f.error), SG_OK);
            }
            COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));
            fixture_close(&f);
        }
        cr_assert(not(has_failed));
        cr_assert(gt(int, failed_opens, 0), "calls %u", calls[i]);
    }
}

Test(store_faults, read_that_fails_is_reported_and_the_next_one_works)
{
    struct fixture f;
    struct sg_query query = {.kind = SG_KIND_MEMO, .index = SG_INDEX_KEY, .limit = 10};
    struct sg_buf ignored = {0};
    open_with_faults(&f);

    fault_vfs_arm(FAULT_READ, 1, SQLITE_IOERR_READ, EIO, true);
    assert_status(sg_store_read(f.reader, &query, show, &ignored, &f.error), SG_STORE_IO);
    cr_assert(fault_vfs_disarm());

    cr_assert(gt(sz, strlen(read_all(&f, &query)), 0));
    sg_buf_free(&ignored);
    fixture_close(&f);
}

/* ---- memory ---- */

/* SQLite's allocations through ours, so that they can be told to fail. The size stands in front. */
#define SIZE_BYTES 16

static void *counted_malloc(int bytes)
{
    char *block = sg_malloc((size_t)bytes + SIZE_BYTES);
    if (block == NULL)
        return NULL;
    memcpy(block, &bytes, sizeof(bytes));
    return block + SIZE_BYTES;
}
static void counted_free(void *ptr)
{
    if (ptr != NULL)
        sg_free((char *)ptr - SIZE_BYTES);
}
static int counted_size(void *ptr)
{
    int bytes = 0;
    if (ptr != NULL)
        memcpy(&bytes, (char *)ptr - SIZE_BYTES, sizeof(bytes));
    return bytes;
}
static void *counted_realloc(void *ptr, int bytes)
{
    char *block = sg_realloc((char *)ptr - SIZE_BYTES, (size_t)bytes + SIZE_BYTES);
    if (block == NULL)
        return NULL;
    memcpy(block, &bytes, sizeof(bytes));
    return block + SIZE_BYTES;
}
static int counted_roundup(int bytes)
{
    return (bytes + 7) & ~7;
}
static int counted_init(void *context)
{
    (void)context;
    return SQLITE_OK;
}
static void counted_shutdown(void *context)
{
    (void)context;
}

static void count_sqlite_memory(void)
{
    static const sqlite3_mem_methods methods = {counted_malloc,  counted_free, counted_realloc,  counted_size,
                                                counted_roundup, counted_init, counted_shutdown, NULL};

    cr_assert(eq(int, sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK));
}

Test(store_faults, opening_survives_exhaustion_at_every_allocation)
{
    struct fixture f = {0};
    enum sg_status status = SG_NO_MEMORY;
    uint64_t step = 1;
    count_sqlite_memory();

    /* All of the first ones, then fewer and fewer: each open allocates thousands of times. */
    for (uint64_t nth = 1; status != SG_OK || sg_alloc_has_failed(); nth += step) {
        make_directory(f.directory);
        sg_alloc_fail_at(nth, false);
        status = open_sqlite(f.directory, &f.store, &f.error);
        bool has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        if (status != SG_OK)
            cr_assert(eq(int, (int)status, SG_NO_MEMORY), "allocation %llu: %s", (unsigned long long)nth, f.error.message);
        if (status == SG_OK) {
            COMMIT(&f, setting(SG_WRITE_PUT, "a", "1"));
            sg_store_close(f.store);
        }
        f.store = NULL;
        remove_directory(f.directory);
        step = nth < 300 ? 1 : nth / 40;
        if (!has_failed)
            break;
    }
    assert_status(status, SG_OK);
}

Test(store_faults, commit_and_read_survive_exhaustion_at_every_allocation)
{
    struct fixture f;
    struct sg_write writes[BATCH_WRITES];
    struct sg_query query = {.kind = SG_KIND_EVENT, .index = SG_INDEX_EVENT_INTERNAL_ID, .limit = 10};
    struct sg_buf ignored = {0};
    count_sqlite_memory();
    fixture_open_sqlite(&f);
    commit_ok(&f, writes, make_batch(writes, 1));

    bool has_failed = true;
    for (uint64_t nth = 1; has_failed; nth++) {
        fixture_reopen(&f); /* statements are prepared anew */
        char *before = everything(&f);
        size_t count = make_batch(writes, (int64_t)nth + 1);
        sg_alloc_fail_at(nth, false);
        enum sg_status status = commit(&f, writes, count);
        has_failed = sg_alloc_has_failed();
        sg_alloc_fail_at(0, false);
        if (status != SG_OK) {
            cr_assert(eq(int, (int)status, SG_NO_MEMORY), "allocation %llu: %s", (unsigned long long)nth, f.error.message);
            char *after = everything(&f);
            assert_text(after, before);
            free(after);
            commit_ok(&f, writes, count);
        }
        free(before);

        sg_alloc_fail_at(nth, false);
        status = sg_store_read(f.reader, &query, show, &ignored, &f.error);
        sg_alloc_fail_at(0, false);
        cr_assert(status == SG_OK || status == SG_NO_MEMORY, "allocation %llu: %s", (unsigned long long)nth, f.error.message);
        cr_assert(gt(sz, strlen(read_all(&f, &query)), 0));
    }
    sg_buf_free(&ignored);
    fixture_close(&f);
}
