/*
 * pins.c -- which messages are pinned: a small table of inodes.
 */
#include <errno.h>

#include "store_db.h"

static int compare_pins(const void *a, const void *b)
{
    const struct store_pin *x = a;
    const struct store_pin *y = b;
    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return x->since < y->since ? -1 : x->since > y->since;
}

/* Sorted, one for an inode: as the table gives them back. */
static size_t normalize(struct store_pin *pins, size_t n)
{
    size_t kept = 0;
    if (n > 0)
        qsort(pins, n, sizeof(*pins), compare_pins);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || pins[kept - 1].ino != pins[i].ino)
            pins[kept++] = pins[i];
    return kept;
}

/* 1: the table holds exactly these. */
static int same_pins(struct store *s, const struct store_pin *pins, size_t n)
{
    size_t i = 0;
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_PIN_ALL);
    int r;
    while ((r = stmt_step(s, st)) > 0) {
        if (i == n || column_u64(st, 0) != pins[i].ino ||
            sqlite3_column_int64(st, 1) != pins[i].since)
            return 0;
        i++;
    }
    return r < 0 ? r : i == n;
}

int store_set_pins(struct store *s, const struct store_pin *pins, size_t n, bool *ret_changed)
{
    CLEANUP_FREE struct store_pin *sorted = reallocarray(NULL, n + 1, sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        sorted[i] = pins[i];
    n = normalize(sorted, n);
    {
        CLEANUP_READ struct store *held = store_lock(s);
        int same = same_pins(held, sorted, n);
        if (same < 0)
            return same;
        if (same) {
            *ret_changed = false;
            return 0;
        }
    }
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r == 0)
        r = store_run(s, STMT_PIN_CLEAR, "");
    for (size_t i = 0; i < n && r == 0; i++)
        r = store_run(s, STMT_PIN_ADD, "ui", sorted[i].ino, sorted[i].since);
    if (r == 0)
        r = store_commit(&tx);
    if (r == 0)
        *ret_changed = true;
    return r;
}

int store_has_pins(struct store *s, bool *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_PIN_ALL);
    int r = stmt_step(s, st);
    if (r < 0)
        return r;
    *ret = r > 0;
    return 0;
}

int store_read_pinned(struct store *s, uint64_t folder, uint64_t after, struct store_pinned *rows,
                      size_t max)
{
    size_t n = 0;
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_PINNED_READ);
    int r = stmt_bind(s, st, "uuu", folder, after, (uint64_t)max);
    while (r >= 0 && n < max && (r = stmt_step(s, st)) > 0) {
        rows[n++] = (struct store_pinned){.ino = column_u64(st, 0),
                                          .size = column_u64(st, 1),
                                          .pinned = sqlite3_column_int(st, 2) != 0,
                                          .cached = sqlite3_column_int(st, 3) != 0};
    }
    return r < 0 ? r : (int)n;
}
