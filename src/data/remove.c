/*
 * remove.c -- messages going away, at most STORE_BATCH_MAX rows in a transaction.
 */
#include <errno.h>
#include <string.h>

#include "store_db.h"

#define RANGES_MAX 2000 /* looked up in one transaction, whether anything is there or not */

/* What one transaction removed, told when it is over. */
struct removal {
    size_t n;
    size_t bodies;
    uint64_t segments[STORE_BATCH_MAX]; /* of the bodies that went too */
    struct {
        uint64_t ino;
        uint32_t uid;
        char name[MSGNAME_MAX + 1];
    } rows[STORE_BATCH_MAX];
};

/* Collects the messages of first..last, as far as they fit. */
static int collect(struct store *s, uint64_t folder, uint32_t first, uint32_t last,
                   struct removal *removal)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_MESSAGE_RANGE);
    uint64_t room = STORE_BATCH_MAX - removal->n;
    int r = stmt_bind(s, st, "uuuu", folder, (uint64_t)first, (uint64_t)last, room);
    if (r < 0)
        return r;
    while ((r = stmt_step(s, st)) > 0) {
        removal->rows[removal->n].ino = column_u64(st, 0);
        removal->rows[removal->n].uid = column_u32(st, 1);
        r = column_name(s, st, 2, removal->rows[removal->n].name);
        if (r < 0)
            return r;
        removal->n++;
    }
    return r;
}

static int remove_row(struct store *s, uint64_t ino, struct removal *removal)
{
    uint64_t segment = 0;
    int r = store_body_delete_in(s, ino, &segment); /* first: it counts by the message's folder */
    if (r == 0)
        r = store_run(s, STMT_MESSAGE_DELETE, "u", ino);
    if (r == 0)
        r = store_run(s, STMT_HEADER_DELETE, "u", ino);
    if (r == 0 && segment)
        removal->segments[removal->bodies++] = segment;
    return r;
}

static int remove_rows(struct store *s, uint64_t folder, struct removal *removal)
{
    int r = 0;
    for (size_t i = 0; i < removal->n && r == 0; i++)
        r = remove_row(s, removal->rows[i].ino, removal);
    if (r == 0 && removal->n > 0)
        r = store_folder_touch(s, folder, -(int64_t)removal->n);
    return r;
}

/* Without locks. */
static void tell(struct store *s, uint64_t folder, const struct removal *removal,
                 store_change_fn *fn, void *ctx)
{
    store_body_gone_fn *gone;
    void *gone_ctx;
    {
        CLEANUP_READ struct store *held = store_lock(s);
        gone = held->body_gone;
        gone_ctx = held->body_ctx;
    }
    for (size_t i = 0; gone && i < removal->bodies; i++)
        gone(gone_ctx, removal->segments[i]);
    for (size_t i = 0; fn && i < removal->n; i++)
        fn(ctx, STORE_REMOVED, folder, removal->rows[i].ino, removal->rows[i].name);
}

/* ---- by UID */

/* Where the walk through a set stands: the first UID not yet looked at. */
struct walk {
    size_t range;
    uint32_t first; /* 0: at the beginning of the range */
};

static int remove_batch(struct store *s, uint64_t folder, const struct uidset *uids,
                        struct walk *walk, struct removal *removal)
{
    struct folder_state state = {0};
    struct walk w = *walk;
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r == 0)
        r = store_folder_state(s, folder, &state);
    size_t end = walk->range + RANGES_MAX < uids->n ? walk->range + RANGES_MAX : uids->n;
    while (r == 0 && w.range < end && removal->n < STORE_BATCH_MAX) {
        const struct uid_range *range = &uids->ranges[w.range];
        size_t before = removal->n;
        r = collect(s, folder, w.first ? w.first : range->first, range->last, removal);
        uint32_t reached = removal->n > before ? removal->rows[removal->n - 1].uid : 0;
        if (removal->n < STORE_BATCH_MAX || reached == range->last)
            w = (struct walk){.range = w.range + 1};
        else if (removal->n > before)
            w.first = reached + 1;
    }
    if (r == 0)
        r = remove_rows(s, folder, removal);
    if (r == 0)
        r = store_commit(&tx);
    if (r == 0)
        *walk = w;
    return r;
}

int store_remove_messages(struct store *s, uint64_t folder, const struct uidset *uids,
                          store_change_fn *fn, void *ctx)
{
    CLEANUP_FREE struct removal *removal = malloc(sizeof(*removal));
    struct walk walk = {0};
    if (!removal)
        return -ENOMEM;
    while (walk.range < uids->n) {
        removal->n = 0;
        removal->bodies = 0;
        int r = remove_batch(s, folder, uids, &walk, removal);
        if (r < 0)
            return r;
        tell(s, folder, removal, fn, ctx);
    }
    return 0;
}

/* ---- whole folders */

/* 1: there may be more, 0: the folder is empty of what was to go. */
static int purge_batch(struct store *s, uint64_t folder, struct removal *removal)
{
    CLEANUP_WRITE struct store *tx = NULL;
    int purge = 0;
    int r = store_begin(s, &tx);
    if (r < 0)
        return r;
    {
        CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_FOLDER_STATE);
        r = stmt_bind(s, st, "u", folder);
        if (r == 0)
            r = stmt_step(s, st);
        if (r > 0)
            purge = sqlite3_column_int(st, 1);
    }
    /* Nothing to do any more: another thread was quicker. */
    if (r < 0 || purge == 0)
        return r < 0 ? r : 0;
    r = collect(s, folder, 1, UINT32_MAX, removal);
    if (r == 0)
        r = remove_rows(s, folder, removal);
    bool more = removal->n == STORE_BATCH_MAX;
    if (r == 0 && !more)
        r = purge == 2 ? store_run(s, STMT_FOLDER_DELETE, "u", folder)
                       : store_run(s, STMT_FOLDER_BEGUN, "uu", folder, UINT64_C(0));
    if (r == 0)
        r = store_commit(&tx);
    return r < 0 ? r : more;
}

int store_purge_folder(struct store *s, uint64_t folder, store_change_fn *fn, void *ctx)
{
    CLEANUP_FREE struct removal *removal = malloc(sizeof(*removal));
    int r = 1;
    if (!removal)
        return -ENOMEM;
    while (r > 0) {
        removal->n = 0;
        removal->bodies = 0;
        r = purge_batch(s, folder, removal);
        if (r >= 0)
            tell(s, folder, removal, fn, ctx);
    }
    return r;
}

int store_purge_pending(struct store *s, store_change_fn *fn, void *ctx)
{
    for (;;) {
        uint64_t folder;
        int purge;
        {
            CLEANUP_READ struct store *held = store_lock(s);
            CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_TO_PURGE);
            int r = stmt_step(s, st);
            if (r <= 0)
                return r;
            folder = column_u64(st, 0);
            purge = sqlite3_column_int(st, 1);
        }
        int r = store_purge_folder(s, folder, purge == 2 ? NULL : fn, ctx);
        if (r < 0)
            return r;
    }
}
