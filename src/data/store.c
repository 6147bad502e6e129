/*
 * store.c -- opening and closing cache.db, its epoch, checkpoints, small values.
 *
 * DESIGN.  What a machine that stops leaves behind.  With synchronous=OFF nothing orders the
 * writes of WAL and database, so after a power cut cache.db may be an older state (inode numbers
 * given since would be given again), or a mixture (some pages of a checkpoint, with a WAL that no
 * longer repairs them), and neither need be visible to SQLite.  Therefore STATE_DIR/epoch says
 * "dirty", durably, before the first write, and "clean" only after everything was synced: at
 * close, and after a pause in writing (store_checkpoint, in its thread).  A dirty cache is trusted
 * only by the boot that wrote it: kill -9 loses nothing, because the page cache outlives us.
 * Another boot that finds it dirty makes it anew, with the next epoch.  So an idle mount keeps its
 * cache through a power cut, and a busy one downloads again; inode numbers repeat in neither.
 *
 * Numbers come from a counter in the database, written in the transaction that uses them (not
 * max+1: the highest rows may be deleted).  After kill -9 the counter also skips INODE_SKIP, in
 * case a damaged WAL lost the last transactions.
 *
 * Measured: opening a cache of a million messages 1 ms; making a new one 4 ms.  Rows: messages.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "store_db.h"

#define INODE_SKIP (UINT64_C(1) << 20)
/* An epoch with fewer numbers left than this is not continued. */
#define INODE_SPARE (UINT64_C(1) << 32)

#define CHECKPOINT_FRAMES 1000  /* pages of WAL that are worth a checkpoint: 4 MiB */
#define IDLE_MS           10000 /* a pause in writing that is worth syncing in */

static void store_free(struct store *s)
{
    store_db_close(s);
    pthread_mutex_destroy(&s->write_mutex);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->epoch_mutex);
    free(s->state_dir);
    free(s->path);
    free(s);
}

static void store_freep(struct store **s)
{
    if (*s)
        store_free(*s);
}

static struct store *store_new(const char *cache_dir, const char *state_dir)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->db_fd = -1;
    s->state = EPOCH_DAMAGED; /* until the epoch is known nothing is written about it */
    pthread_mutex_init(&s->write_mutex, NULL);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->epoch_mutex, NULL);
    s->state_dir = strdup(state_dir);
    s->path = str_printf("%s/cache.db", cache_dir);
    if (!s->state_dir || !s->path) {
        store_free(s);
        return NULL;
    }
    return s;
}

/* ---- a cache.db that is there */

static int get_number(sqlite3 *db, const char *pragma, int *ret)
{
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, pragma, -1, &st, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *ret = sqlite3_column_int(st, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(steal(&st));
    return rc;
}

static int get_meta(struct store *s, const char *key, struct str *out)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_META_GET);
    int r = stmt_bind(s, st, "t", key);
    if (r == 0)
        r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return str_append(out, column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
}

static int get_meta_number(struct store *s, const char *key, uint64_t *ret)
{
    CLEANUP_STR struct str text = STR_INIT(64);
    int r = get_meta(s, key, &text);
    return r < 0 ? r : parse_u64(text.data, INT64_MAX, ret);
}

/* NULL when the cache can go on being used, else why not.  *ret_epoch: its epoch, where readable.
 */
static const char *check_contents(struct store *s, const char *identity, const struct epoch *epoch,
                                  uint64_t *ret_epoch)
{
    CLEANUP_STR struct str text = STR_INIT(1 << 16);
    int r = get_meta_number(s, META_EPOCH, ret_epoch);
    if (r == 0)
        r = get_meta(s, META_IDENTITY, &text);
    if (r == 0)
        r = get_meta_number(s, META_NEXT, &s->next_ino);
    if (r < 0)
        return "it is damaged";
    if (strcmp(text.data, identity) != 0)
        return "it belongs to another account";
    if (!epoch->known || *ret_epoch != epoch->epoch || s->next_ino >> EPOCH_SHIFT != *ret_epoch)
        return "the state directory does not know it";
    uint64_t used = s->next_ino & ((UINT64_C(1) << EPOCH_SHIFT) - 1);
    if (used + INODE_SPARE >= UINT64_C(1) << EPOCH_SHIFT)
        return "its inode numbers are used up";
    return NULL;
}

/* Opens what is there.  0: it is attached or *ret_reason says why it must be set aside. */
static int attach(struct store *s, const char *identity, const struct epoch *epoch,
                  uint64_t *ret_epoch, const char **ret_reason, struct errtext *err)
{
    int application = 0;
    int version = 0;
    int rc = store_db_open(s);
    if (rc == SQLITE_OK)
        rc = get_number(s->db, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = get_number(s->db, "PRAGMA user_version", &version);
    if (rc == SQLITE_OK && application == STORE_APPLICATION_ID && version == STORE_SCHEMA_VERSION)
        rc = store_db_prepare(s);
    int primary = rc & 0xff;
    if (primary == SQLITE_BUSY)
        return err_set(err, EBUSY, "%s is in use by another process", s->path);
    if (primary == SQLITE_CANTOPEN || primary == SQLITE_NOMEM || primary == SQLITE_FULL ||
        primary == SQLITE_PERM || primary == SQLITE_READONLY)
        return err_set(err, primary == SQLITE_FULL ? ENOSPC : EIO, "cannot open %s: %s", s->path,
                       sqlite3_errstr(rc));
    if (rc != SQLITE_OK)
        *ret_reason = "it is damaged";
    else if (application != STORE_APPLICATION_ID || version != STORE_SCHEMA_VERSION)
        *ret_reason = "it has another format";
    else
        *ret_reason = check_contents(s, identity, epoch, ret_epoch);
    return 0;
}

/* ---- a new one */

static int set_aside(struct store *s, const char *reason, struct errtext *err)
{
    static const char *const companions[] = {"-wal", "-shm", "-journal"};
    CLEANUP_FREE char *aside = str_printf("%s.damaged", s->path);
    if (!aside)
        return err_set(err, ENOMEM, "out of memory");
    if (reason) {
        log_warn("%s is not used, because %s; it is kept as %s, and the cache begins anew", s->path,
                 reason, aside);
        if (rename(s->path, aside) < 0)
            return err_set(err, errno, "cannot rename %s: %s", s->path, strerror(errno));
    }
    for (size_t i = 0; i < ARRAY_LEN(companions); i++) {
        CLEANUP_FREE char *path = str_printf("%s%s", s->path, companions[i]);
        if (path)
            unlink(path);
    }
    return 0;
}

static int fill_new(struct store *s, const char *identity)
{
    char epoch[24];
    char next[32];
    CLEANUP_FREE char *pragma = str_printf("PRAGMA application_id=%d; PRAGMA user_version=%d;",
                                           STORE_APPLICATION_ID, STORE_SCHEMA_VERSION);
    if (!pragma)
        return SQLITE_NOMEM;
    int rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, store_schema, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, pragma, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = store_db_prepare(s);
    if (rc != SQLITE_OK)
        return rc;
    s->next_ino = ((uint64_t)s->epoch << EPOCH_SHIFT) + STORE_FIRST_INODE;
    sqlite3_snprintf(sizeof(epoch), epoch, "%u", s->epoch);
    sqlite3_snprintf(sizeof(next), next, "%llu", (unsigned long long)s->next_ino);
    if (store_run(s, STMT_META_SET, "tt", META_IDENTITY, identity) < 0 ||
        store_run(s, STMT_META_SET, "tt", META_EPOCH, epoch) < 0 ||
        store_run(s, STMT_META_SET, "tt", META_NEXT, next) < 0)
        return sqlite3_extended_errcode(s->db);
    return sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
}

static int create(struct store *s, const char *identity, unsigned epoch, struct errtext *err)
{
    if (epoch > EPOCH_MAX)
        return err_set(err, EOVERFLOW,
                       "the cache was made anew %d times, and inode numbers are used up; "
                       "remove %s/epoch if no program remembers inode numbers of this mount",
                       EPOCH_MAX, s->state_dir);
    s->epoch = epoch;
    /* Durable before the first number is given. */
    int r = epoch_save(s->state_dir, epoch, EPOCH_DIRTY);
    if (r < 0)
        return err_set(err, -r, "cannot write %s/epoch: %s", s->state_dir, strerror(-r));
    s->state = EPOCH_DIRTY;
    s->dirty = true;
    int rc = store_db_open(s);
    if (rc == SQLITE_OK)
        rc = fill_new(s, identity);
    if (rc != SQLITE_OK)
        return err_set(err, (rc & 0xff) == SQLITE_FULL ? ENOSPC : EIO, "cannot make %s: %s",
                       s->path, sqlite3_errstr(rc));
    return 0;
}

/* The epoch that follows everything known. */
static unsigned next_epoch(const struct epoch *epoch, uint64_t in_cache, bool cache_existed)
{
    uint64_t last = epoch->known ? epoch->epoch : 0;
    if (in_cache > last && in_cache <= EPOCH_MAX)
        last = in_cache;
    if (last == 0 && (epoch->exists || cache_existed))
        return epoch_random();
    return (unsigned)last + 1;
}

static int prepare_dirs(const char *cache_dir, const char *state_dir, struct errtext *err)
{
    const char *dirs[] = {cache_dir, state_dir};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        int r = mkdir_private(dirs[i]);
        if (r == -EPERM)
            return err_set(err, EPERM, "%s must belong to you and be closed to others (chmod 700)",
                           dirs[i]);
        if (r < 0)
            return err_set(err, -r, "cannot make %s: %s", dirs[i], strerror(-r));
    }
    return 0;
}

static int open_or_create(struct store *s, const char *identity, struct errtext *err)
{
    struct epoch epoch;
    uint64_t in_cache = 0;
    const char *reason = NULL;
    int r = epoch_load(s->state_dir, &epoch);
    if (r < 0)
        return err_set(err, -r, "cannot read %s/epoch: %s", s->state_dir, strerror(-r));
    bool exists = access(s->path, F_OK) == 0;
    if (exists) {
        r = attach(s, identity, &epoch, &in_cache, &reason, err);
        if (r < 0)
            return r;
        if (!reason && epoch.state == EPOCH_DAMAGED)
            reason = "it was found damaged";
        if (!reason && epoch.state == EPOCH_DIRTY && !epoch.same_boot)
            reason = "the machine stopped while it was in use";
        if (!reason) {
            s->epoch = epoch.epoch;
            s->state = epoch.state;
            s->dirty = epoch.state != EPOCH_CLEAN;
            s->saved_ino = s->next_ino;
            if (s->dirty)
                s->next_ino += INODE_SKIP;
            return 0;
        }
        store_db_close(s);
    }
    r = set_aside(s, reason, err);
    if (r == 0)
        r = create(s, identity, next_epoch(&epoch, in_cache, exists), err);
    s->saved_ino = s->next_ino;
    return r;
}

int store_open(const char *cache_dir, const char *state_dir, const char *identity,
               struct store **ret, struct errtext *err)
{
    int r = prepare_dirs(cache_dir, state_dir, err);
    if (r < 0)
        return r;
    CLEANUP(store_freep) struct store *s = store_new(cache_dir, state_dir);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    r = open_or_create(s, identity, err);
    if (r < 0)
        return r;
    *ret = steal(&s);
    return 0;
}

/* ---- syncing */

static int sync_path(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

/* The directory and, while we are open, the emptied WAL. */
static int sync_around(struct store *s)
{
    CLEANUP_FREE char *wal = str_printf("%s-wal", s->path);
    CLEANUP_FREE char *dir = strdup(s->path);
    if (!wal || !dir)
        return -ENOMEM;
    *strrchr(dir, '/') = '\0';
    int r = sync_path(wal);
    return r < 0 ? r : sync_path(dir);
}

/* No writer can come in between; readers can, but for the checkpoint itself. */
static void become_clean(struct store *s)
{
    /* Most of the work, while writers still may: what follows then has little to wait for. */
    if (fdatasync(s->db_fd) < 0)
        return;
    pthread_mutex_lock(&s->write_mutex);
    pthread_mutex_lock(&s->mutex);
    /* TRUNCATE: an old WAL that came back after a crash would be played over newer pages. */
    int r = store_db_checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
    pthread_mutex_unlock(&s->mutex);
    if (r == 0 && fdatasync(s->db_fd) == 0 && sync_around(s) == 0)
        (void)!store_mark(s, EPOCH_CLEAN);
    s->last_write_ms = clock_mono_ms(); /* whatever came of it, not again at once */
    pthread_mutex_unlock(&s->write_mutex);
}

void store_checkpoint(struct store *s)
{
    store_flush(s);
    if (s->wal_frames >= CHECKPOINT_FRAMES) {
        CLEANUP_READ struct store *held = store_lock(s);
        (void)store_db_checkpoint(held, SQLITE_CHECKPOINT_PASSIVE);
    }
    if (s->dirty && !s->damaged && clock_mono_ms() - s->last_write_ms >= IDLE_MS)
        become_clean(s);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    store_flush(s);
    if (s->dirty && !s->damaged && store_db_checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE) == 0 &&
        fdatasync(s->db_fd) == 0 && sync_around(s) == 0)
        (void)!store_mark(s, EPOCH_CLEAN);
    store_free(s);
}

/* ---- small values */

int store_get_meta(struct store *s, const char *key, struct str *out)
{
    CLEANUP_READ struct store *held = store_lock(s);
    return get_meta(held, key, out);
}

int store_set_meta(struct store *s, const char *key, const char *value)
{
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r < 0)
        return r;
    r = store_run(s, STMT_META_SET, "tt", key, value);
    return r < 0 ? r : store_commit(&tx);
}
