/*
 * Keeping the write-ahead log small without making a commit wait.
 *
 * The model. Commits append to the log; a checkpoint copies the newest version of each page from there into the database and
 * syncs it; when all is copied and no reader still looks into the log, the next commit starts again at the log's beginning.
 * Under load it never is *all* copied: by the time a checkpoint ends there are new commits. So sg_sqlite_maintain copies the
 * bulk while commits go on (PASSIVE, several times, each pass having less to do), and then the few pages that are left
 * while it holds the commit lock. That ends with a log which the very next commit reuses, and its writer keeps its page cache.
 *
 * Readers can prevent the reuse by looking into the log at that moment. If the log has grown far beyond its limit
 * the lock is kept a little longer, and readers are waited for (RESTART), for a bounded time.
 *
 * What it never does: checkpoint a store whose disk failed to sync, or hold the commit lock for the bulk of the work.
 */
#include "store/sqlite.h"

#include "base/check.h"
#include "store/sqlite_sql.h"

#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* What may be left for the pass that holds the commit lock: 1 MiB, a few milliseconds with its sync. */
#define LOCKED_FRAMES_MAX 256
/* After so many passes commits are faster than the disk; another call will go on. */
#define PASSES_MAX 4
/* From here on readers are waited for. */
#define FAR_OVER_LIMIT 4
/* How long a commit may be held up for readers: about what a slow sync takes. */
#define READERS_WAIT_MS 50
#define BUSY_SLEEP_NS 500000L

static enum sg_status checkpoint(struct sg_sqlite_store *store, int mode, int *left_frames, bool *is_held, struct sg_error *error);

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int wait_for_readers(void *context, int attempts)
{
    struct sg_sqlite_store *store = context;
    struct timespec pause = {0, BUSY_SLEEP_NS};

    (void)attempts;
    if (now_ms() >= store->checkpoint_deadline_ms)
        return 0;
    nanosleep(&pause, NULL);
    return 1;
}

enum sg_status sg_sqlite_checkpoint_open(struct sg_sqlite_store *store, struct sg_error *error)
{
    /* A checkpoint copies pages past the cache, so it needs next to none. */
    enum sg_status status = sg_sqlite_connect(store, SQLITE_OPEN_READWRITE, 64 * 1024, &store->checkpointer, error);

    if (status == SG_OK)
        sqlite3_busy_handler(store->checkpointer, wait_for_readers, store);
    return status;
}

/*
 * The last pass, while no commit runs. With `is_restart` readers are waited for; when they do not leave in time the next
 * attempt comes only after the log has grown by its limit again, or one long snapshot would hold up every commit.
 */
static enum sg_status checkpoint_locked(struct sg_sqlite_store *store, int64_t frames, int64_t limit_frames, bool is_restart,
                                        struct sg_error *error)
{
    int left_frames = 0;
    bool is_held = false;

    store->checkpoint_deadline_ms = now_ms() + READERS_WAIT_MS;
    enum sg_status status =
        checkpoint(store, is_restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &left_frames, &is_held, error);
    if (status != SG_OK || !is_restart)
        return status;
    store->restart_frames = is_held ? frames + limit_frames : 0;
    if (!is_held)
        atomic_store(&store->wal_frames, 0);
    return SG_OK;
}

static enum sg_status maintain_locked(struct sg_sqlite_store *store, struct sg_error *error)
{
    int64_t limit_frames = store->wal_bytes_max / SG_SQLITE_FRAME_BYTES;
    int64_t frames = atomic_load(&store->wal_frames);
    int left_frames = 0;
    bool is_held = false;
    enum sg_status status = SG_OK;

    if (frames <= limit_frames)
        return SG_OK;
    if (frames < store->restart_frames - limit_frames)
        store->restart_frames = 0; /* the log began anew since */
    bool is_restart = frames > limit_frames * FAR_OVER_LIMIT && frames >= store->restart_frames;
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        status = checkpoint(store, SQLITE_CHECKPOINT_PASSIVE, &left_frames, &is_held, error);
        if (status != SG_OK)
            return status;
        if (left_frames <= LOCKED_FRAMES_MAX)
            break;
    }
    if (left_frames > LOCKED_FRAMES_MAX && !is_restart)
        return SG_OK;

    pthread_mutex_lock(&store->commit_lock);
    if (!atomic_load(&store->is_dead))
        status = checkpoint_locked(store, frames, limit_frames, is_restart, error);
    pthread_mutex_unlock(&store->commit_lock);
    return status;
}

enum sg_status sg_sqlite_maintain(struct sg_store *base, struct sg_error *error)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);
    enum sg_status status = SG_OK;

    pthread_mutex_lock(&store->maintain_lock);
    if (!atomic_load(&store->is_dead))
        status = maintain_locked(store, error);
    pthread_mutex_unlock(&store->maintain_lock);
    return status;
}

/*
 * One checkpoint; *left_frames is what of the log it could not copy, *is_held whether readers were in its way, which is no
 * error. A sync that fails here is as final as one in a commit: what the database file lost, the log still has, and only a restart
 * reads it again.
 */
static enum sg_status checkpoint(struct sg_sqlite_store *store, int mode, int *left_frames, bool *is_held, struct sg_error *error)
{
    int log_frames = 0;
    int copied_frames = 0;
    int rc = sqlite3_wal_checkpoint_v2(store->checkpointer, "main", mode, &log_frames, &copied_frames);

    *left_frames = log_frames > copied_frames ? log_frames - copied_frames : 0;
    *is_held = rc == SQLITE_BUSY;
    if (rc == SQLITE_OK || rc == SQLITE_BUSY)
        return SG_OK;
    enum sg_status status = sg_sqlite_error(store->checkpointer, rc, "checkpoint", error);
    if (status == SG_STORE_CORRUPT)
        atomic_store(&store->is_dead, true);
    return status;
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    char name[PATH_MAX + 8];
    struct stat file;

    /* stat, never open: closing any descriptor of the file would drop SQLite's locks on it (POSIX). */
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    return stat(name, &file) == 0 ? (int64_t)file.st_size : 0;
}

int64_t sg_sqlite_size_bytes(struct sg_store *base)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);

    return file_bytes(store->path, "") + file_bytes(store->path, "-wal");
}

/*
 * Every page that SQLite caches counts as an overflow of a static page cache that we do not give it; but for the first few of each connection, which
 * it allocates in one piece. Asking takes the lock of the page cache for an instant and touches no connection.
 */
void sg_sqlite_usage(struct sg_store *base, struct sg_store_usage *usage)
{
    struct sg_sqlite_store *store = sg_sqlite_store_of(base);
    sqlite3_int64 cached = 0;
    sqlite3_int64 peak = 0;

    usage->database_bytes = file_bytes(store->path, "");
    usage->log_bytes = file_bytes(store->path, "-wal");
    if (sqlite3_status64(SQLITE_STATUS_PAGECACHE_OVERFLOW, &cached, &peak, 0) == SQLITE_OK)
        usage->cache_bytes = cached;
}
