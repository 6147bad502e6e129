#include "store_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* Pages of WAL after which the writer checkpoints itself, should the thread be late: 16 MiB. */
#define WAL_FRAMES_MAX 4096

/* locking_mode before journal_mode: so the WAL index is on the heap and there is no -shm file.
 * cache_size bounds our memory; the kernel caches the rest.  No mmap: its pages would count as
 * ours, and a file cut short under us would be SIGBUS instead of SQLITE_CORRUPT. */
static const char pragmas[] = "PRAGMA locking_mode=EXCLUSIVE;"
                              "PRAGMA auto_vacuum=NONE;"
                              "PRAGMA journal_mode=WAL;"
                              "PRAGMA synchronous=OFF;"
                              "PRAGMA wal_autocheckpoint=0;"
                              "PRAGMA journal_size_limit=16777216;"
                              "PRAGMA cache_size=-12288;"
                              "PRAGMA mmap_size=0;"
                              "PRAGMA temp_store=MEMORY;"
                              "PRAGMA foreign_keys=OFF;"
                              "PRAGMA trusted_schema=OFF;"
                              "PRAGMA cell_size_check=ON;";

static int wal_hook(void *ctx, sqlite3 *db, const char *name, int frames)
{
    struct store *s = ctx;
    (void)db;
    (void)name;
    s->wal_frames = frames;
    return SQLITE_OK;
}

int store_db_open(struct store *s)
{
    /* SQLite would create the file with the rights of the umask. */
    s->db_fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->db_fd < 0)
        return SQLITE_CANTOPEN;
    int rc = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_extended_result_codes(s->db, 1);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, pragmas, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        sqlite3_wal_hook(s->db, wal_hook, s);
    return rc;
}

int store_db_prepare(struct store *s)
{
    for (size_t i = 0; i < STMT_COUNT; i++) {
        int rc = sqlite3_prepare_v3(s->db, store_stmt_defs[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &s->stmts[i], NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

void store_db_close(struct store *s)
{
    for (size_t i = 0; i < STMT_COUNT; i++) {
        sqlite3_finalize(s->stmts[i]);
        s->stmts[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
    /* Last: closing any descriptor of a file drops this process's locks on it. */
    if (s->db_fd >= 0)
        close(s->db_fd);
    s->db_fd = -1;
}

int store_mark(struct store *s, enum epoch_state state)
{
    int r = 0;
    if (state == EPOCH_DAMAGED)
        s->damaged = true;
    pthread_mutex_lock(&s->epoch_mutex);
    /* Damage stays until the next open. */
    if (s->state != state && s->state != EPOCH_DAMAGED) {
        r = epoch_save(s->state_dir, s->epoch, state);
        if (r == 0) {
            s->state = state;
            s->dirty = state != EPOCH_CLEAN;
        }
    }
    pthread_mutex_unlock(&s->epoch_mutex);
    if (r < 0)
        log_error("cannot write %s/epoch: %s; the cache stays as it is", s->state_dir,
                  strerror(-r));
    return r;
}

static int code_errno(struct store *s, int code)
{
    int os = sqlite3_system_errno(s->db);
    switch (code & 0xff) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_IOERR:
        return os == ENOSPC || os == EDQUOT ? ENOSPC : EIO;
    default:
        return EIO;
    }
}

int store_fail(struct store *s, int code)
{
    int error = code_errno(s, code);
    if (code != s->logged_error) {
        bool damaged = (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
        s->logged_error = code;
        log_error("%s: %s (%d)%s", s->path, sqlite3_errmsg(s->db), code,
                  damaged ? "; it will be made anew at the next mount" : "");
        if (damaged)
            (void)!store_mark(s, EPOCH_DAMAGED);
    }
    return -error;
}

static void flush_standing(struct store *s);

int store_db_checkpoint(struct store *s, int mode)
{
    flush_standing(s);
    int rc = sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL);
    if (rc != SQLITE_OK)
        return store_fail(s, rc);
    s->wal_frames = 0;
    return 0;
}

/* ---- locks and transactions */

struct store *store_lock(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    return s;
}

void store_unlock(struct store **held)
{
    if (*held)
        pthread_mutex_unlock(&(*held)->mutex);
    *held = NULL;
}

static void roll_back(struct store *s)
{
    sqlite3_stmt *st = s->stmts[STMT_ROLLBACK];
    /* After some errors SQLite has rolled back by itself and would refuse. */
    if (!sqlite3_get_autocommit(s->db))
        sqlite3_step(st);
    sqlite3_reset(st);
}

static void after_commit(struct store *s)
{
    s->logged_error = SQLITE_OK;
    /* The commit stands whatever comes of this. */
    if (s->wal_frames >= WAL_FRAMES_MAX)
        (void)store_db_checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
}

static void end_write(struct store **tx)
{
    struct store *s = steal(tx);
    s->last_write_ms = clock_mono_ms();
    pthread_mutex_unlock(&s->mutex);
    pthread_mutex_unlock(&s->write_mutex);
}

/* After some errors SQLite rolls back by itself, even in a reader's statement. */
static bool is_standing(struct store *s)
{
    return s->standing > 0 && !sqlite3_get_autocommit(s->db);
}

/* Ends the standing transaction.  When that fails its rows are lost, as they may be. */
static void flush_standing(struct store *s)
{
    bool stands = is_standing(s);
    s->standing = 0;
    if (!stands)
        return;
    if (store_run(s, STMT_COMMIT, "") < 0)
        roll_back(s);
    else
        after_commit(s);
}

void store_flush(struct store *s)
{
    CLEANUP_READ struct store *held = store_lock(s);
    flush_standing(held);
}

/* Both mutexes, and the mark in the epoch file between them. */
static int lock_write(struct store *s)
{
    pthread_mutex_lock(&s->write_mutex);
    int r = s->dirty ? 0 : store_mark(s, EPOCH_DIRTY);
    if (r < 0) {
        pthread_mutex_unlock(&s->write_mutex);
        return r;
    }
    pthread_mutex_lock(&s->mutex);
    return 0;
}

int store_begin(struct store *s, struct store **ret_tx)
{
    int r = lock_write(s);
    if (r < 0)
        return r;
    flush_standing(s);
    r = store_run(s, STMT_BEGIN, "");
    if (r < 0)
        end_write(&s);
    else
        *ret_tx = s;
    return r;
}

int store_join(struct store *s, struct store **ret_tx)
{
    int r = lock_write(s);
    if (r < 0)
        return r;
    if (!is_standing(s))
        r = store_run(s, STMT_BEGIN, "");
    if (r < 0) {
        end_write(&s);
    } else {
        s->standing++;
        *ret_tx = s;
    }
    return r;
}

void store_leave(struct store **tx)
{
    if ((*tx)->standing >= STORE_BATCH_MAX)
        flush_standing(*tx);
    end_write(tx);
}

void store_rollback(struct store **tx)
{
    if (!*tx)
        return;
    (*tx)->standing = 0;
    roll_back(*tx);
    end_write(tx);
}

static int save_next_inode(struct store *s)
{
    char text[24];
    if (s->next_ino == s->saved_ino)
        return 0;
    sqlite3_snprintf(sizeof(text), text, "%llu", (unsigned long long)s->next_ino);
    return store_run(s, STMT_META_SET, "tt", META_NEXT, text);
}

int store_commit(struct store **tx)
{
    struct store *s = *tx;
    int r = save_next_inode(s);
    if (r == 0)
        r = store_run(s, STMT_COMMIT, "");
    if (r < 0) {
        store_rollback(tx);
        return r;
    }
    s->saved_ino = s->next_ino;
    after_commit(s);
    end_write(tx);
    return 0;
}

int store_new_inode(struct store *s, uint64_t *ret_ino)
{
    if (s->next_ino >> EPOCH_SHIFT != s->epoch) {
        log_error("%s: inode numbers are used up; unmount and mount again", s->path);
        return -EIO;
    }
    *ret_ino = s->next_ino++;
    return 0;
}

/* ---- statements */

sqlite3_stmt *store_stmt(struct store *s, enum stmt_id id)
{
    return s->stmts[id];
}

static int bind_args(sqlite3_stmt *st, const char *types, va_list args)
{
    int rc = SQLITE_OK;
    for (int i = 1; types[i - 1] && rc == SQLITE_OK; i++) {
        const void *blob;
        switch (types[i - 1]) {
        case 'u':
            rc = sqlite3_bind_int64(st, i, (sqlite3_int64)va_arg(args, uint64_t));
            break;
        case 'i':
            rc = sqlite3_bind_int64(st, i, va_arg(args, int64_t));
            break;
        case 't':
            rc = sqlite3_bind_text(st, i, va_arg(args, const char *), -1, SQLITE_STATIC);
            break;
        default:
            blob = va_arg(args, const void *);
            rc = sqlite3_bind_blob64(st, i, blob, va_arg(args, size_t), SQLITE_STATIC);
            break;
        }
    }
    return rc;
}

int stmt_bind(struct store *s, sqlite3_stmt *st, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    int rc = bind_args(st, types, args);
    va_end(args);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc);
}

int store_run(struct store *s, enum stmt_id id, const char *types, ...)
{
    sqlite3_stmt *st = s->stmts[id];
    va_list args;
    va_start(args, types);
    int rc = bind_args(st, types, args);
    va_end(args);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    int r = rc == SQLITE_DONE ? 0 : store_fail(s, rc);
    sqlite3_reset(st);
    return r;
}

int stmt_step(struct store *s, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    return store_fail(s, rc);
}

int column_name(struct store *s, sqlite3_stmt *st, int column, char name[256])
{
    const char *text = column_text(st, column);
    size_t n = (size_t)sqlite3_column_bytes(st, column);
    if (n == 0 || n > 255 || memchr(text, '/', n) || memchr(text, '\0', n))
        return store_fail(s, SQLITE_CORRUPT);
    memcpy(name, text, n);
    name[n] = '\0';
    return 0;
}
