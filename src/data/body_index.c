#include <errno.h>

#include "store_db.h"

void store_set_body_gone(struct store *s, store_body_gone_fn *fn, void *ctx)
{
    CLEANUP_READ struct store *held = store_lock(s);
    held->body_gone = fn;
    held->body_ctx = ctx;
}

static int get(struct store *s, uint64_t ino, struct body_row *ret)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_BODY_GET);
    int r = stmt_bind(s, st, "u", ino);
    if (r == 0)
        r = stmt_step(s, st);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    *ret = (struct body_row){.ino = ino,
                             .segment = column_u64(st, 0),
                             .offset = column_u64(st, 1),
                             .length = column_u64(st, 2),
                             .crc = column_u32(st, 3)};
    return 0;
}

int store_body_get(struct store *s, uint64_t ino, struct body_row *ret)
{
    CLEANUP_READ struct store *held = store_lock(s);
    return get(held, ino, ret);
}

/* The row of a body that is known to be there. */
static int delete_row(struct store *s, uint64_t ino, uint64_t segment)
{
    int r = store_run(s, STMT_BODY_DELETE, "u", ino);
    if (r == 0)
        r = store_run(s, STMT_SEGMENT_LESS, "u", segment);
    if (r == 0)
        r = store_run(s, STMT_FOLDER_CACHED, "ui", ino, INT64_C(-1));
    return r;
}

int store_body_delete_in(struct store *s, uint64_t ino, uint64_t *ret_segment)
{
    struct body_row row = {0};
    *ret_segment = 0;
    int r = get(s, ino, &row);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    *ret_segment = row.segment;
    return delete_row(s, ino, row.segment);
}

int store_body_delete(struct store *s, uint64_t ino, uint64_t segment, uint64_t offset,
                      uint64_t *ret_segment)
{
    struct body_row row = {0};
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_join(s, &tx);
    if (r < 0)
        return r;
    r = get(s, ino, &row);
    if (r == 0 && segment && (row.segment != segment || row.offset != offset))
        r = -ENOENT;
    if (r == 0) {
        r = delete_row(s, ino, row.segment);
        if (r < 0)
            return r;
    }
    store_leave(&tx);
    if (r == 0)
        *ret_segment = row.segment;
    return r;
}

static int replace_row(struct store *s, const struct body_row *row, uint64_t *ret_replaced)
{
    int r = store_body_delete_in(s, row->ino, ret_replaced);
    if (r == 0)
        r = store_run(s, STMT_BODY_PUT, "uuuuu", row->ino, row->segment, row->offset, row->length,
                      (uint64_t)row->crc);
    if (r == 0)
        r = store_run(s, STMT_SEGMENT_ADD, "ui", row->segment, clock_wall_ns() / 1000000000);
    return r;
}

int store_body_put(struct store *s, const struct body_row *row, uint64_t *ret_replaced)
{
    uint64_t replaced = 0;
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_join(s, &tx);
    if (r == 0)
        r = store_run(s, STMT_FOLDER_CACHED, "ui", row->ino, INT64_C(1));
    if (r < 0)
        return r;
    /* No folder counted it: the message is gone, and nothing was written. */
    bool known = sqlite3_changes(s->db) > 0;
    if (known) {
        r = replace_row(s, row, &replaced);
        if (r < 0)
            return r;
    }
    store_leave(&tx);
    if (known)
        *ret_replaced = replaced;
    return known ? 0 : -ENOENT;
}

int store_body_move(struct store *s, const struct body_row *from, const struct body_row *to)
{
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_join(s, &tx);
    if (r == 0)
        r = store_run(s, STMT_BODY_MOVE, "uuuuu", from->ino, from->segment, from->offset,
                      to->segment, to->offset);
    if (r < 0)
        return r;
    bool moved = sqlite3_changes(s->db) > 0;
    if (moved) {
        r = store_run(s, STMT_SEGMENT_LESS, "u", from->segment);
        if (r == 0)
            r = store_run(s, STMT_SEGMENT_ADD, "ui", to->segment, clock_wall_ns() / 1000000000);
        if (r < 0)
            return r;
    }
    store_leave(&tx);
    return moved ? 0 : -ENOENT;
}

/* ---- segments */

int store_bodies_of_segment(struct store *s, uint64_t segment, uint64_t after,
                            struct body_place *places, size_t max)
{
    size_t n = 0;
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_BODY_OF_SEGMENT);
    int r = stmt_bind(s, st, "uuu", segment, after, (uint64_t)max);
    while (r >= 0 && n < max && (r = stmt_step(s, st)) > 0) {
        places[n++] = (struct body_place){.row = {.ino = column_u64(st, 0),
                                                  .segment = segment,
                                                  .offset = column_u64(st, 1),
                                                  .length = column_u64(st, 2),
                                                  .crc = column_u32(st, 3)},
                                          .pinned = sqlite3_column_int(st, 4) != 0};
    }
    return r < 0 ? r : (int)n;
}

/* Up to STORE_BATCH_MAX rows; returns their number. */
static int inodes_in_segment(struct store *s, uint64_t segment, uint64_t *inos)
{
    int n = 0;
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_BODY_IN_SEGMENT);
    int r = stmt_bind(s, st, "uu", segment, (uint64_t)STORE_BATCH_MAX);
    while (r >= 0 && n < STORE_BATCH_MAX && (r = stmt_step(s, st)) > 0)
        inos[n++] = column_u64(st, 0);
    return r < 0 ? r : n;
}

/* 1: there may be more. */
static int forget_batch(struct store *s, uint64_t segment)
{
    uint64_t inos[STORE_BATCH_MAX];
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r < 0)
        return r;
    int n = inodes_in_segment(s, segment, inos);
    r = n < 0 ? n : 0;
    for (int i = 0; i < n && r == 0; i++)
        r = delete_row(s, inos[i], segment);
    if (r == 0 && n < STORE_BATCH_MAX)
        r = store_run(s, STMT_SEGMENT_DELETE, "u", segment);
    if (r == 0)
        r = store_commit(&tx);
    return r < 0 ? r : n == STORE_BATCH_MAX;
}

int store_segment_forget(struct store *s, uint64_t segment)
{
    int r;
    do
        r = forget_batch(s, segment);
    while (r > 0);
    return r;
}

int store_segments(struct store *s, struct segment_row **ret_rows, size_t *ret_n)
{
    CLEANUP_FREE struct segment_row *rows = NULL;
    size_t n = 0;
    size_t alloc = 0;
    CLEANUP_READ struct store *held = store_lock(s);
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(held, STMT_SEGMENT_ALL);
    int r;
    while ((r = stmt_step(s, st)) > 0) {
        if (n == alloc) {
            alloc = alloc ? alloc * 2 : 64;
            struct segment_row *more = reallocarray(rows, alloc, sizeof(*rows));
            if (!more)
                return -ENOMEM;
            rows = more;
        }
        rows[n++] = (struct segment_row){.id = column_u64(st, 0),
                                         .live = column_u64(st, 1),
                                         .used = sqlite3_column_int64(st, 2)};
    }
    if (r < 0)
        return r;
    *ret_rows = steal(&rows);
    *ret_n = n;
    return 0;
}

static int save_used(struct store *s, const struct segment_row *rows, size_t n)
{
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    for (size_t i = 0; i < n && r == 0; i++)
        r = store_run(s, STMT_SEGMENT_USED, "ui", rows[i].id, rows[i].used);
    return r < 0 ? r : store_commit(&tx);
}

int store_segments_used(struct store *s, const struct segment_row *rows, size_t n)
{
    int r = 0;
    while (n > 0 && r == 0) {
        size_t batch = n < STORE_BATCH_MAX ? n : STORE_BATCH_MAX;
        r = save_used(s, rows, batch);
        rows += batch;
        n -= batch;
    }
    return r;
}
