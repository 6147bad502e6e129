/*
 * store.h -- the metadata of one account in cache.db: folders, messages, what the tree shows.
 *
 * DESIGN.  Disposable: everything here can be fetched again, so it is written with
 * synchronous=OFF and any corruption (SQLITE_CORRUPT, NOTADB, wrong schema, another account)
 * means: set the file aside, begin anew with the next epoch.  One connection, one mutex, WAL,
 * locking_mode=EXCLUSIVE, wal_autocheckpoint=0; store_checkpoint is called by a thread.  Each
 * call takes the mutex once and is one transaction at most.  What kill -9 may undo, if
 * store_checkpoint had not come by: exact sizes and the index of bodies, the last 500 at most.
 *
 * Inode numbers are the keys: epoch << 40 | counter, one counter for folders and messages.  The
 * epoch is kept in the state directory, durable before the first use, and grows with each new
 * cache.db, so a number is never given to another message.  Numbers below STORE_FIRST_INODE
 * belong to the file system (root, /.mailmount).  Rows of one folder ascend in inode as they
 * ascend in UID where they were added in that order.  What a power cut does to this: store.c.
 *
 * Errors: -ENOENT no such row; -EIO the database failed (logged once; the caller answers EIO);
 * -ENOSPC the disk is full; -ENOMEM.  Any thread.
 */
#ifndef MAILMOUNT_STORE_H
#define MAILMOUNT_STORE_H

#include <stdint.h>

#include "msgname.h"
#include "uidset.h"

#define STORE_ROOT_INODE  1
#define STORE_FIRST_INODE 16

struct store;

/* Opens or makes CACHE_DIR/cache.db; STATE_DIR/epoch holds the epoch.  `identity` names account,
 * server and user.  A cache that is damaged, of another identity or format, or that a crash of
 * the machine left half written is set aside as cache.db.damaged (one is kept), and a new one
 * begins with the next epoch.  -EBUSY: another process has it; -EOVERFLOW: no epoch is left. */
MUST_USE int store_open(const char *cache_dir, const char *state_dir, const char *identity,
                        struct store **ret, struct errtext *err);
void store_close(struct store *store);
/* To be called about twice a second, by a thread that may wait for the disk.  Moves the WAL into
 * the database when it has grown, and makes everything durable when nothing was written for a
 * while; cheap otherwise. */
void store_checkpoint(struct store *store);

/* Small values by name (namespace prefix, quota ...).  Names that begin with "store." are the
 * store's own. */
MUST_USE int store_get_meta(struct store *store, const char *key, struct str *out);
MUST_USE int store_set_meta(struct store *store, const char *key, const char *value);

/* When the listing of the root last changed, in nanoseconds since 1970, strictly rising; not
 * there before the first LIST. */
#define STORE_META_ROOT_MTIME "store.root_mtime"

/* ---- folders */

struct store_folder {
    uint64_t ino;
    uint64_t parent; /* inode; STORE_ROOT_INODE at the top */
    char name[256];  /* directory name */
    char *path;      /* owned: mount path without leading slash */
    char *raw;       /* owned: name on the wire; NULL: a plain directory, no mailbox */
    char delimiter;  /* 0: NIL */
    unsigned attrs;  /* as the caller gave them */
    bool listed;     /* its messages are here, complete */
    uint32_t uidvalidity, uidnext, exists; /* as of the last complete listing */
    uint64_t modseq;
    /* Strictly rises with each change of the listing.  The first one changes nothing: what it shows
     * was there before, and a program that looks at the directory, reads it and looks again (tar)
     * must not take it for a change. */
    int64_t mtime_ns;
    int64_t synced_ns; /* wall clock of the last complete listing; 0: never */
};
void store_folder_release(struct store_folder *folder);
#define CLEANUP_STORE_FOLDER CLEANUP(store_folder_release)

/* One folder of a complete LIST.  Paths are unique; every parent path is there too (raw NULL for
 * plain directories) and comes before its children. */
struct store_folder_entry {
    const char *path; /* display path, "Archive/2026" */
    const char *raw;  /* NULL: plain directory */
    char delimiter;
    unsigned attrs;
};

enum store_change { STORE_ADDED, STORE_REMOVED, STORE_CHANGED };
/* Told after the transaction, without the mutex; `name` is valid during the call.  Children are
 * told as removed before their parents, and as added after them. */
typedef void store_change_fn(void *ctx, enum store_change change, uint64_t parent, uint64_t ino,
                             const char *name);

/* The tree becomes what a complete LIST said: folders keep their inodes by path; new ones are
 * added; one that is missing is removed, with its messages (which are not told), when it was
 * missing in the LIST before as well (a second complete LIST agrees).  An empty LIST changes
 * nothing.  A path whose raw name changed is another mailbox: told as changed, the inode stays,
 * its messages are removed and told, and it is not listed any more.  When a new folder takes the
 * name of a message beside it, the message gets its twin's name, told as removed and added.  Of
 * entries with one path the first counts.  -EINVAL, and no change: a parent is missing from the
 * entries, or the last part of a path is empty or above 255 bytes.
 * To be called by one thread at a time. */
MUST_USE int store_apply_list(struct store *store, const struct store_folder_entry *entries,
                              size_t n, store_change_fn *fn, void *ctx);

/* The four getters fill *ret, which the caller releases. */
MUST_USE int store_folder_by_ino(struct store *store, uint64_t ino, struct store_folder *ret);
MUST_USE int store_folder_by_name(struct store *store, uint64_t parent, const char *name,
                                  struct store_folder *ret);
MUST_USE int store_folder_by_raw(struct store *store, const char *raw, struct store_folder *ret);
/* The first child of `parent` with an inode above `after`. */
MUST_USE int store_folder_next(struct store *store, uint64_t parent, uint64_t after,
                               struct store_folder *ret);
/* The first folder of all with an inode above `after`. */
MUST_USE int store_folder_next_any(struct store *store, uint64_t after, struct store_folder *ret);
MUST_USE int store_folder_counts(struct store *store, uint64_t folder, uint64_t *ret_messages,
                                 uint64_t *ret_cached);

/* ---- messages */

struct store_message {
    uint64_t ino, folder;
    uint32_t uid;
    unsigned flags;       /* enum flag */
    uint64_t size;        /* bytes */
    bool size_exact;      /* size is the length of a body that was received */
    int64_t internaldate; /* seconds since 1970 */
    int zone;             /* of INTERNALDATE, minutes east */
    int64_t date;         /* struct msgname.date */
    int64_t ctime_ns;     /* rises with every change */
    char name[MSGNAME_MAX + 1];
};

struct store_new_message {
    uint32_t uid;
    unsigned flags;
    const char *keywords; /* never NULL */
    uint64_t size;
    int64_t internaldate;
    int zone;
    const char *message_id; /* never NULL */
    struct msgname name;    /* in: as msgname_make gave it; out: the name given (twins) */
    uint64_t ino;           /* out */
};

#define STORE_BATCH_MAX 500

/* Adds up to STORE_BATCH_MAX messages, in any order, in one transaction.  A UID that is already
 * there is left as it is (ino 0 comes back).  -EINVAL: n too large, a UID 0, an empty name;
 * -ESTALE: the folder became another mailbox, store_begin_listing has to come first.  Twins: of
 * several messages with one name in a folder the lowest UID has it plain, the others `~ID.UID`.  In
 * a folder not yet listed, a lower UID that comes later takes the plain name over; in a listed
 * folder a name once given stays.  A folder's child directory of the same name counts as taken. */
MUST_USE int store_add_messages(struct store *store, uint64_t folder,
                                struct store_new_message *messages, size_t n);
/* The listing is complete.  A `uidnext` that is not above the messages that are here is as old as
 * the view of a mailbox that has been open for long; what follows the last message is kept in its
 * place: whoever asks for `uidnext:*` next must not get messages that he has.  -ESTALE: uidvalidity
 * is not that of store_begin_listing, because the folder became another mailbox meanwhile. */
MUST_USE int store_set_listed(struct store *store, uint64_t folder, uint32_t uidvalidity,
                              uint32_t uidnext, uint64_t modseq);
/* The UIDVALIDITY that the rows being added belong to; comes before the first of them.  When it
 * differs from the folder's, all its messages go first (told to fn in batches) and it is not listed
 * any more. */
MUST_USE int store_begin_listing(struct store *store, uint64_t folder, uint32_t uidvalidity,
                                 store_change_fn *fn, void *ctx);
/* Bodies go too; one that is open stays readable until it is closed.  UIDs that are not there are
 * no error. */
MUST_USE int store_remove_messages(struct store *store, uint64_t folder, const struct uidset *uids,
                                   store_change_fn *fn, void *ctx);
/* ret_changed: 1 when flags or keywords differ from before.  *ret_ino is the message's. */
MUST_USE int store_set_flags(struct store *store, uint64_t folder, uint32_t uid, unsigned flags,
                             const char *keywords, uint64_t *ret_ino, bool *ret_changed);
/* The exact size, from a body received.  *ret_changed: the size shown before was another. */
MUST_USE int store_set_size(struct store *store, uint64_t ino, uint64_t size, bool *ret_changed);
/* Adds the folder's UIDs to *uids, normalized. */
MUST_USE int store_uids(struct store *store, uint64_t folder, struct uidset *uids);

MUST_USE int store_message_by_ino(struct store *store, uint64_t ino, struct store_message *ret);
MUST_USE int store_message_by_name(struct store *store, uint64_t folder, const char *name,
                                   struct store_message *ret);
MUST_USE int store_message_by_uid(struct store *store, uint64_t folder, uint32_t uid,
                                  struct store_message *ret);
/* Up to `max` messages of the folder with inodes above `after`, ascending.  Returns the number. */
MUST_USE int store_read_messages(struct store *store, uint64_t folder, uint64_t after,
                                 struct store_message *messages, size_t max);
MUST_USE int store_message_keywords(struct store *store, uint64_t ino, struct str *out);
MUST_USE int store_message_id(struct store *store, uint64_t ino, struct str *out);

/* ---- pins: what eviction leaves alone.  They are somebody else's decision, kept elsewhere; what
 * is here is how it reads in inodes, so that it counts before anybody is asked. */

struct store_pin {
    uint64_t ino;  /* a message, or a folder: its messages, those that come later too */
    int64_t since; /* of a folder: INTERNALDATE from here on; of a message INT64_MIN */
};
/* Replaces all of them, in one transaction, because half of it would let bodies go.  Of several
 * for one inode the earliest counts.  *ret_changed: they were others before. */
MUST_USE int store_set_pins(struct store *store, const struct store_pin *pins, size_t n,
                            bool *ret_changed);
MUST_USE int store_has_pins(struct store *store, bool *ret);

/* Up to `max` messages of the folder with inodes above `after`, ascending, pinned or not.  Returns
 * the number. */
struct store_pinned {
    uint64_t ino;
    uint64_t size; /* as shown */
    bool pinned, cached;
};
MUST_USE int store_read_pinned(struct store *store, uint64_t folder, uint64_t after,
                               struct store_pinned *rows, size_t max);

#endif
