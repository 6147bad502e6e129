/*
 * messages.c -- messages found, listed and changed; the hash that finds their names.
 *
 * DESIGN.  Measured (Release, 2 cores, best of 5; bench_data in the unit tests prints it):
 *                                   100k messages   1M in one folder
 *     add, 500 a transaction            5.7 us            6.0 us a row
 *     scan of a listing                 0.46              0.41
 *     by name, in listing order         2.1               2.0
 *     by name, random                   6.4               7.7
 *     by inode, in order / random       1.0 / 3.0         1.0 / 3.6
 *     remove                            4.5               3.9
 *     peak memory of the process        21 MiB            21 MiB
 * A look-up by inode costs a tenth of the request that asks for it, so there is no cache of rows
 * in front of SQLite's pages.  The minute in the upper bits of the name hash halves the time of
 * adding, and quarters that of removing, a million messages: neighbours share index pages.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "flags.h"
#include "store_db.h"

#define UIDS_AT_ONCE 20000 /* rows read in one hold of the mutex */

/* ---- names */

/* `YYYY-MM-DD_HHMM` at the beginning of a name, as a number of minutes in a calendar of months
 * of 32 days; 0 when there is none. */
static uint64_t name_minutes(const char *name)
{
    static const char pattern[] = "0000-00-00_0000";
    unsigned digits[12];
    size_t n = 0;
    for (size_t i = 0; pattern[i]; i++) {
        if (pattern[i] != '0' ? name[i] != pattern[i] : name[i] < '0' || name[i] > '9')
            return 0;
        if (pattern[i] == '0')
            digits[n++] = (unsigned)(name[i] - '0');
    }
    uint64_t year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3];
    uint64_t month = digits[4] * 10 + digits[5];
    uint64_t day = digits[6] * 10 + digits[7];
    uint64_t minute = (digits[8] * 10 + digits[9]) * 60 + digits[10] * 10 + digits[11];
    return (((year - 1970) * 12 + month) * 32 + day) * 1440 + minute;
}

uint64_t store_name_hash(const char *name)
{
    /* FNV-1a, and the finish of MurmurHash3, because FNV's upper bits are weak. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        hash = (hash ^ *p) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash ^= hash >> 33;
    return name_minutes(name) << 38 | hash >> 26;
}

/* ---- rows */

/* Columns as MESSAGE_SELECT in stmt.c has them. */
static int fill_message(struct store *s, sqlite3_stmt *st, struct store_message *ret)
{
    int r = column_name(s, st, 10, ret->name);
    if (r < 0)
        return r;
    ret->ino = column_u64(st, 0);
    ret->folder = column_u64(st, 1);
    ret->uid = column_u32(st, 2);
    ret->flags = column_u32(st, 3);
    ret->size = column_u64(st, 4);
    ret->size_exact = sqlite3_column_int(st, 5) != 0;
    ret->internaldate = sqlite3_column_int64(st, 6);
    ret->zone = sqlite3_column_int(st, 7);
    ret->date = sqlite3_column_int64(st, 8);
    ret->ctime_ns = sqlite3_column_int64(st, 9);
    return 0;
}

static int fetch_message(struct store *s, sqlite3_stmt *st, int bound, struct store_message *ret)
{
    if (bound < 0)
        return bound;
    int r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return fill_message(s, st, ret);
}

int store_message_by_ino(struct store *s, uint64_t ino, struct store_message *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_MESSAGE_BY_INO);
    return fetch_message(s, st, stmt_bind(s, st, "u", ino), ret);
}

int store_message_by_name(struct store *s, uint64_t folder, const char *name,
                          struct store_message *ret)
{
    uint64_t hash = store_name_hash(name);
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_MESSAGE_BY_NAME);
    return fetch_message(s, st, stmt_bind(s, st, "uut", folder, hash, name), ret);
}

int store_message_by_uid(struct store *s, uint64_t folder, uint32_t uid, struct store_message *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_MESSAGE_BY_UID);
    return fetch_message(s, st, stmt_bind(s, st, "uu", folder, (uint64_t)uid), ret);
}

int store_read_messages(struct store *s, uint64_t folder, uint64_t after,
                        struct store_message *messages, size_t max)
{
    size_t n = 0;
    if (max > INT_MAX)
        max = INT_MAX;
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_MESSAGE_READ);
    int r = stmt_bind(s, st, "uuu", folder, after, (uint64_t)max);
    while (r >= 0 && n < max && (r = stmt_step(s, st)) > 0)
        r = fill_message(s, st, &messages[n++]);
    return r < 0 ? r : (int)n;
}

static int read_text(struct store *s, enum stmt_id id, uint64_t ino, struct str *out)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, id);
    int r = stmt_bind(s, st, "u", ino);
    if (r == 0)
        r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return str_append(out, column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0));
}

int store_message_keywords(struct store *s, uint64_t ino, struct str *out)
{
    return read_text(s, STMT_MESSAGE_TEXTS, ino, out);
}

int store_message_id(struct store *s, uint64_t ino, struct str *out)
{
    return read_text(s, STMT_HEADER_GET, ino, out);
}

/* ---- what changes */

/* 1: they differ, 0: they are the same; *ret_ino is set. */
static int flags_differ(struct store *s, uint64_t folder, uint32_t uid, unsigned flags,
                        const char *keywords, uint64_t *ret_ino)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_MESSAGE_FLAGS);
    int r = stmt_bind(s, st, "uu", folder, (uint64_t)uid);
    if (r == 0)
        r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *ret_ino = column_u64(st, 0);
    return column_u32(st, 1) != flags || strcmp(column_text(st, 2), keywords) != 0;
}

int store_set_flags(struct store *s, uint64_t folder, uint32_t uid, unsigned flags,
                    const char *keywords, uint64_t *ret_ino, bool *ret_changed)
{
    uint64_t ino = 0;
    flags &= ~(unsigned)FLAG_RECENT;
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r == 0)
        r = flags_differ(s, folder, uid, flags, keywords, &ino);
    if (r < 0)
        return r;
    bool changed = r > 0;
    r = 0;
    if (changed)
        r = store_run(s, STMT_MESSAGE_SET_FLAGS, "uuti", ino, (uint64_t)flags, keywords,
                      clock_wall_ns());
    if (r == 0)
        r = store_commit(&tx);
    if (r < 0)
        return r;
    *ret_ino = ino;
    *ret_changed = changed;
    return 0;
}

static int get_size(struct store *s, uint64_t ino, uint64_t *ret_size, bool *ret_exact)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_MESSAGE_SIZE);
    int r = stmt_bind(s, st, "u", ino);
    if (r == 0)
        r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *ret_size = column_u64(st, 0);
    *ret_exact = sqlite3_column_int(st, 1) != 0;
    return 0;
}

int store_set_size(struct store *s, uint64_t ino, uint64_t size, bool *ret_changed)
{
    uint64_t before = 0;
    bool exact = false;
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_join(s, &tx);
    if (r < 0)
        return r;
    r = get_size(s, ino, &before, &exact);
    if (r == 0 && (before != size || !exact)) {
        r = store_run(s, STMT_MESSAGE_SET_SIZE, "uui", ino, size, clock_wall_ns());
        if (r < 0)
            return r;
    }
    store_leave(&tx);
    if (r == 0)
        *ret_changed = before != size;
    return r;
}

/* Adds up to UIDS_AT_ONCE UIDs above *last and moves it; returns their number. */
static int read_uids(struct store *s, uint64_t folder, uint32_t *last, struct uidset *uids)
{
    int n = 0;
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_MESSAGE_UIDS);
    int r = stmt_bind(s, st, "uuu", folder, (uint64_t)*last, (uint64_t)UIDS_AT_ONCE);
    while (r >= 0 && (r = stmt_step(s, st)) > 0) {
        *last = column_u32(st, 0);
        r = uidset_add(uids, *last, *last);
        n++;
    }
    return r < 0 ? r : n;
}

int store_uids(struct store *s, uint64_t folder, struct uidset *uids)
{
    uint32_t last = 0;
    int r;
    do
        r = read_uids(s, folder, &last, uids);
    while (r == UIDS_AT_ONCE);
    if (r < 0)
        return r;
    uidset_normalize(uids);
    return 0;
}
