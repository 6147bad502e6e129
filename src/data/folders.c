#include <errno.h>
#include <string.h>

#include "store_db.h"

void store_folder_release(struct store_folder *folder)
{
    free(folder->path);
    free(folder->raw);
    folder->path = NULL;
    folder->raw = NULL;
}

static int copy_text(sqlite3_stmt *st, int column, char **ret)
{
    if (sqlite3_column_type(st, column) == SQLITE_NULL)
        return 0;
    *ret = strdup(column_text(st, column));
    return *ret ? 0 : -ENOMEM;
}

/* Columns as FOLDER_SELECT in stmt.c has them. */
static int fill_folder(struct store *s, sqlite3_stmt *st, struct store_folder *ret)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    int r = column_name(s, st, 2, folder.name);
    if (r == 0)
        r = copy_text(st, 3, &folder.path);
    if (r == 0)
        r = copy_text(st, 4, &folder.raw);
    if (r < 0)
        return r;
    folder.ino = column_u64(st, 0);
    folder.parent = column_u64(st, 1);
    folder.delimiter = (char)sqlite3_column_int(st, 5);
    folder.attrs = column_u32(st, 6);
    folder.listed = sqlite3_column_int(st, 7) != 0;
    folder.uidvalidity = column_u32(st, 8);
    folder.uidnext = column_u32(st, 9);
    folder.exists = column_u32(st, 10);
    folder.modseq = column_u64(st, 11);
    folder.mtime_ns = sqlite3_column_int64(st, 12);
    folder.synced_ns = sqlite3_column_int64(st, 13);
    *ret = folder;
    folder.path = NULL;
    folder.raw = NULL;
    return 0;
}

/* Fetches the one row of a bound statement. */
static int fetch_folder(struct store *s, sqlite3_stmt *st, int bound, struct store_folder *ret)
{
    if (bound < 0)
        return bound;
    int r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return fill_folder(s, st, ret);
}

int store_folder_by_ino(struct store *s, uint64_t ino, struct store_folder *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_BY_INO);
    return fetch_folder(s, st, stmt_bind(s, st, "u", ino), ret);
}

int store_folder_by_name(struct store *s, uint64_t parent, const char *name,
                         struct store_folder *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_BY_NAME);
    return fetch_folder(s, st, stmt_bind(s, st, "ut", parent, name), ret);
}

int store_folder_by_raw(struct store *s, const char *raw, struct store_folder *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_BY_RAW);
    return fetch_folder(s, st, stmt_bind(s, st, "t", raw), ret);
}

int store_folder_next(struct store *s, uint64_t parent, uint64_t after, struct store_folder *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_NEXT);
    return fetch_folder(s, st, stmt_bind(s, st, "uu", parent, after), ret);
}

int store_folder_next_any(struct store *s, uint64_t after, struct store_folder *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_NEXT_ANY);
    return fetch_folder(s, st, stmt_bind(s, st, "u", after), ret);
}

int store_folder_counts(struct store *s, uint64_t folder, uint64_t *ret_messages,
                        uint64_t *ret_cached)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_FOLDER_COUNTS);
    int r = stmt_bind(s, st, "u", folder);
    if (r == 0)
        r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *ret_messages = column_u64(st, 0);
    *ret_cached = column_u64(st, 1);
    return 0;
}

int store_folder_state(struct store *s, uint64_t folder, struct folder_state *ret)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_FOLDER_STATE);
    int r = stmt_bind(s, st, "u", folder);
    if (r == 0)
        r = stmt_step(s, st);
    if (r < 0)
        return r;
    int purge = r ? sqlite3_column_int(st, 1) : 2;
    if (purge >= 2)
        return -ENOENT;
    *ret = (struct folder_state){
        .listed = sqlite3_column_int(st, 0) != 0,
        .purge = purge != 0,
        .uidvalidity = column_u32(st, 2),
        .messages = column_u64(st, 3),
    };
    return 0;
}

int store_folder_touch(struct store *s, uint64_t folder, int64_t delta)
{
    return store_run(s, STMT_FOLDER_TOUCH, "uii", folder, clock_wall_ns(), delta);
}

/* ---- the course of a listing */

int store_set_listed(struct store *s, uint64_t folder, uint32_t uidvalidity, uint32_t uidnext,
                     uint64_t modseq)
{
    struct folder_state state = {0};
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r == 0)
        r = store_folder_state(s, folder, &state);
    if (r < 0)
        return r;
    if (state.uidvalidity != uidvalidity || state.purge)
        return -ESTALE;
    r = store_run(s, STMT_FOLDER_LISTED, "uuui", folder, (uint64_t)uidnext, modseq,
                  clock_wall_ns());
    return r < 0 ? r : store_commit(&tx);
}

/* Takes the listing down when the messages there are another mailbox's; *ret_purge: they must
 * go first.  Committed before they go: what a crash leaves is never taken for complete. */
static int begin_listing(struct store *s, uint64_t folder, uint32_t uidvalidity, bool *ret_purge)
{
    struct folder_state state = {0};
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r == 0)
        r = store_folder_state(s, folder, &state);
    if (r < 0)
        return r;
    *ret_purge = state.purge || (state.uidvalidity != uidvalidity && state.messages > 0);
    if (*ret_purge) {
        r = store_run(s, STMT_FOLDER_UNLIST, "ui", folder, clock_wall_ns());
    } else if (state.uidvalidity != uidvalidity) {
        r = store_run(s, STMT_FOLDER_UNLIST, "ui", folder, clock_wall_ns());
        if (r == 0)
            r = store_run(s, STMT_FOLDER_BEGUN, "uu", folder, (uint64_t)uidvalidity);
    }
    return r < 0 ? r : store_commit(&tx);
}

int store_begin_listing(struct store *s, uint64_t folder, uint32_t uidvalidity, store_change_fn *fn,
                        void *ctx)
{
    for (;;) {
        bool purge = false;
        int r = begin_listing(s, folder, uidvalidity, &purge);
        if (r == 0 && purge)
            r = store_purge_folder(s, folder, fn, ctx);
        if (r < 0 || !purge)
            return r;
    }
}
