/*
 * store_db.h -- the inside of struct store: the connection, its statements, its locks.
 * Internal to data; includes SQLite, so nothing outside src/data (and its tests) includes it.
 *
 * DESIGN.  Locks, in the order in which they are taken:
 *   write_mutex   held by every call that writes, from before its first look to after COMMIT;
 *                 marks the cache dirty before the connection is used, so that readers do not
 *                 wait for that fsync
 *   mutex         the connection; held by readers for one call, by writers for one transaction
 *   epoch_mutex   STATE_DIR/epoch
 * A writer is
 *     CLEANUP_WRITE struct store *tx = NULL;
 *     int r = store_begin(store, &tx);     both mutexes, BEGIN
 *     ...                                  any early return rolls back and unlocks
 *     return store_commit(&tx);            COMMIT, unlock
 * and one that may be forgotten by a crash or by a full disk (bodies and exact sizes: the body is
 * fetched again), for which a transaction of its own would cost four times the work:
 *     int r = store_join(store, &tx);      both mutexes, BEGIN unless a transaction stands
 *     ...                                  an early return rolls back all that stands
 *     store_leave(&tx);                    unlock; what stands is committed by the next writer
 *                                          of the other kind, by store_checkpoint, or when it
 *                                          holds STORE_BATCH_MAX changes
 * and a reader
 *     CLEANUP_READ struct store *held = store_lock(store);
 *     CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_...);
 */
#ifndef MAILMOUNT_STORE_DB_H
#define MAILMOUNT_STORE_DB_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "epoch.h"
#include "store.h"

#define STORE_APPLICATION_ID 0x6d6d6331 /* "mmc1" */
#define STORE_SCHEMA_VERSION 2
/* Meta keys of the store's own; the others belong to callers. */
#define META_IDENTITY "store.identity"
#define META_EPOCH    "store.epoch"
#define META_NEXT     "store.next"

enum stmt_id {
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_META_GET,
    STMT_META_SET,

    STMT_FOLDER_BY_INO,
    STMT_FOLDER_BY_NAME,
    STMT_FOLDER_BY_RAW,
    STMT_FOLDER_NEXT,
    STMT_FOLDER_NEXT_ANY,
    STMT_FOLDER_ALL,
    STMT_FOLDER_INSERT,
    STMT_FOLDER_MISSING,
    STMT_FOLDER_CHANGE,
    STMT_FOLDER_REMOVE,
    STMT_FOLDER_DELETE,
    STMT_FOLDER_COUNTS,
    STMT_FOLDER_STATE,
    STMT_FOLDER_TOUCH,
    STMT_FOLDER_CACHED,
    STMT_FOLDER_LISTED,
    STMT_FOLDER_UNLIST,
    STMT_FOLDER_BEGUN,
    STMT_FOLDER_CHILD,
    STMT_FOLDER_ANY_CHILD,
    STMT_FOLDER_TO_PURGE,

    STMT_MESSAGE_BY_INO,
    STMT_MESSAGE_BY_NAME,
    STMT_MESSAGE_BY_UID,
    STMT_MESSAGE_READ,
    STMT_MESSAGE_INSERT,
    STMT_MESSAGE_RENAME,
    STMT_MESSAGE_TEXTS,
    STMT_MESSAGE_FLAGS,
    STMT_MESSAGE_SET_FLAGS,
    STMT_MESSAGE_SIZE,
    STMT_MESSAGE_SET_SIZE,
    STMT_MESSAGE_HAS_UID,
    STMT_MESSAGE_UIDS,
    STMT_MESSAGE_FIRST_UID,
    STMT_MESSAGE_LAST_UID,
    STMT_MESSAGE_RANGE,
    STMT_MESSAGE_DELETE,
    STMT_HEADER_INSERT,
    STMT_HEADER_GET,
    STMT_HEADER_DELETE,

    STMT_BODY_GET,
    STMT_BODY_PUT,
    STMT_BODY_DELETE,
    STMT_BODY_IN_SEGMENT,
    STMT_BODY_OF_SEGMENT,
    STMT_BODY_MOVE,
    STMT_SEGMENT_ALL,
    STMT_SEGMENT_ADD,
    STMT_SEGMENT_LESS,
    STMT_SEGMENT_USED,
    STMT_SEGMENT_DELETE,

    STMT_PIN_ALL,
    STMT_PIN_CLEAR,
    STMT_PIN_ADD,
    STMT_PINNED_READ,
    STMT_COUNT
};

struct stmt_def {
    const char *name;
    const char *sql;
    /* What EXPLAIN QUERY PLAN must say, one line after another, separated by "; ". */
    const char *plan;
};
extern const struct stmt_def store_stmt_defs[STMT_COUNT];
extern const char store_schema[];

/* Told after a transaction, without locks: the row of a body in this segment is gone. */
typedef void store_body_gone_fn(void *ctx, uint64_t segment);

struct store {
    pthread_mutex_t write_mutex;
    pthread_mutex_t mutex;
    pthread_mutex_t epoch_mutex;

    char *state_dir; /* constant after open, as are the three below */
    char *path;      /* of cache.db */
    int db_fd;       /* for fdatasync; SQLite has its own */
    unsigned epoch;

    sqlite3 *db;                     /* protected by mutex */
    sqlite3_stmt *stmts[STMT_COUNT]; /* protected by mutex */
    uint64_t next_ino;               /* protected by mutex; the next number to give */
    uint64_t saved_ino;              /* protected by mutex; as the database has it */
    int standing;                    /* protected by mutex; changes in the standing transaction */
    int logged_error;              /* protected by mutex; SQLite code, not logged twice in a row */
    store_body_gone_fn *body_gone; /* protected by mutex */
    void *body_ctx;                /* protected by mutex */
    enum epoch_state state;        /* protected by epoch_mutex; as in the file */
    atomic_bool dirty;             /* state != EPOCH_CLEAN; rises and falls in write_mutex */
    atomic_bool damaged;           /* state == EPOCH_DAMAGED since open */
    atomic_int wal_frames;         /* pages in the WAL */
    _Atomic int64_t last_write_ms; /* monotonic */
};

/* ---- db.c: the connection */

/* Opens s->path and prepares every statement; s->db is to be closed by store_db_close whatever
 * happens.  Returns an SQLite code. */
MUST_USE int store_db_open(struct store *s);
MUST_USE int store_db_prepare(struct store *s);
void store_db_close(struct store *s);
/* Turns an SQLite code into -errno; logs it; a corrupt database is marked in the epoch file. */
MUST_USE int store_fail(struct store *s, int code);
/* Moves the whole WAL into the database; mutex held. */
int store_db_checkpoint(struct store *s, int mode);

struct store *store_lock(struct store *s);
void store_unlock(struct store **held);
#define CLEANUP_READ CLEANUP(store_unlock)

MUST_USE int store_begin(struct store *s, struct store **ret_tx);
MUST_USE int store_commit(struct store **tx);
void store_rollback(struct store **tx);
#define CLEANUP_WRITE CLEANUP(store_rollback)

MUST_USE int store_join(struct store *s, struct store **ret_tx);
void store_leave(struct store **tx);
/* Commits what stands. */
void store_flush(struct store *s);

/* The epoch file; -errno is logged. */
MUST_USE int store_mark(struct store *s, enum epoch_state state);

/* ---- statements; mutex held */

sqlite3_stmt *store_stmt(struct store *s, enum stmt_id id);
static inline void stmt_reset(sqlite3_stmt **st)
{
    if (*st)
        sqlite3_reset(*st);
}
#define CLEANUP_STMT CLEANUP(stmt_reset)

/* Binds from ?1 on.  types: 'u' uint64_t, 'i' int64_t, 't' const char * (NULL: SQL NULL), 'b'
 * const void * and size_t.  Texts and blobs must live until the statement is reset. */
MUST_USE int stmt_bind(struct store *s, sqlite3_stmt *st, const char *types, ...);
/* 1: a row, 0: done, else -errno. */
MUST_USE int stmt_step(struct store *s, sqlite3_stmt *st);
/* Binds, runs to the end and resets a statement without rows. */
MUST_USE int store_run(struct store *s, enum stmt_id id, const char *types, ...);

static inline uint64_t column_u64(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}
static inline uint32_t column_u32(sqlite3_stmt *st, int column)
{
    return (uint32_t)sqlite3_column_int64(st, column);
}
/* Never NULL. */
static inline const char *column_text(sqlite3_stmt *st, int column)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    return text ? text : "";
}
/* A name into its buffer; one that cannot be a file name means a damaged database: -EIO. */
MUST_USE int column_name(struct store *s, sqlite3_stmt *st, int column, char name[256]);

/* A new inode number; inside a transaction. */
MUST_USE int store_new_inode(struct store *s, uint64_t *ret_ino);

/* ---- shared by the files of the store; inside a transaction */

/* 64-bit hash of a message's name.  Its upper 26 bits are the minute in the name where there is
 * one, so that messages of one time lie together in the index: adding a folder in UID order
 * then touches a few pages a transaction instead of one for each message. */
uint64_t store_name_hash(const char *name);

/* Changes of a folder that the store counts with: */
struct folder_state {
    bool listed;
    bool purge; /* its messages belong to another mailbox and are going */
    uint32_t uidvalidity;
    uint64_t messages;
};
/* -ENOENT also for a folder that is being removed. */
MUST_USE int store_folder_state(struct store *s, uint64_t folder, struct folder_state *ret);
/* The listing changed: the count of messages moves by `delta`, mtime rises, but not by messages
 * that come while the folder is being listed (store.h). */
MUST_USE int store_folder_touch(struct store *s, uint64_t folder, int64_t delta);

/* Gives a message that holds (folder, name) another name, because a directory takes it.
 * Returns 1 and the message when there was one, 0 when not. */
MUST_USE int store_yield_name(struct store *s, uint64_t folder, const char *name, uint64_t *ret_ino,
                              char ret_name[MSGNAME_MAX + 1]);

/* ---- remove.c; without locks: removes every message of the folder, batch by batch, until the
 * folder does not ask for it any more. */
MUST_USE int store_purge_folder(struct store *s, uint64_t folder, store_change_fn *fn, void *ctx);
/* Deletes folders whose removal was begun, and the messages of those that became others. */
MUST_USE int store_purge_pending(struct store *s, store_change_fn *fn, void *ctx);

/* ---- body_index.c: the index of bodies.h */

struct body_row {
    uint64_t ino;
    uint64_t segment;
    uint64_t offset; /* of the record */
    uint64_t length; /* of the body */
    uint32_t crc;
};
struct segment_row {
    uint64_t id;
    uint64_t live; /* bodies indexed */
    int64_t used;  /* seconds since 1970 */
};
void store_set_body_gone(struct store *s, store_body_gone_fn *fn, void *ctx);
MUST_USE int store_body_get(struct store *s, uint64_t ino, struct body_row *ret);
/* Adds or replaces; *ret_replaced: the segment of the body replaced, 0 for none.  -ENOENT when
 * there is no such message. */
MUST_USE int store_body_put(struct store *s, const struct body_row *row, uint64_t *ret_replaced);
/* Deletes the row of an inode if it is in this segment at this offset (segment 0: wherever).
 * *ret_segment: where it was; -ENOENT when there was none. */
MUST_USE int store_body_delete(struct store *s, uint64_t ino, uint64_t segment, uint64_t offset,
                               uint64_t *ret_segment);
/* The same inside the caller's transaction; segment 0 comes back for none. */
MUST_USE int store_body_delete_in(struct store *s, uint64_t ino, uint64_t *ret_segment);
/* The body `from` has been copied to `to`, and is found there from now on.  -ENOENT, and no change:
 * it is not where `from` says any more. */
MUST_USE int store_body_move(struct store *s, const struct body_row *from,
                             const struct body_row *to);
/* Up to `max` bodies of a segment with inodes above `after`, ascending.  Returns their number. */
struct body_place {
    struct body_row row;
    bool pinned;
};
MUST_USE int store_bodies_of_segment(struct store *s, uint64_t segment, uint64_t after,
                                     struct body_place *places, size_t max);
/* Deletes the rows of a segment, and then its own. */
MUST_USE int store_segment_forget(struct store *s, uint64_t segment);
/* All segments, ascending; *ret_rows is owned by the caller. */
MUST_USE int store_segments(struct store *s, struct segment_row **ret_rows, size_t *ret_n);
MUST_USE int store_segments_used(struct store *s, const struct segment_row *rows, size_t n);

#endif
