/*
 * add.c -- new messages, and the names that twins get.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "flags.h"
#include "store_db.h"

/* The forms of a name that are tried in turn: as made, as a twin's, and then, should folders
 * have taken those, by number. */
enum { FORM_PLAIN, FORM_TWIN, FORM_NUMBERED };

static void form_name(const char *plain, uint32_t uid, unsigned form, char out[MSGNAME_MAX + 1])
{
    if (form == FORM_PLAIN)
        snprintf(out, MSGNAME_MAX + 1, "%s", plain);
    else if (form == FORM_TWIN)
        msgname_twin(plain, uid, out);
    else
        snprintf(out, MSGNAME_MAX + 1, "%u.%u.eml", uid, form);
}

/* What a batch needs to know of its folder, kept up while it grows. */
struct batch {
    struct store *s;
    uint64_t folder;
    bool listed;
    bool children;                /* it has child folders, whose names count as taken */
    uint32_t first_uid, last_uid; /* 0, 0: empty */
    int64_t now;
    int64_t added;
};

static int exists(struct store *s, sqlite3_stmt *st, int bound)
{
    return bound < 0 ? bound : stmt_step(s, st);
}

static int edge_uid(struct store *s, enum stmt_id id, uint64_t folder, uint32_t *ret)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, id);
    int r = exists(s, st, stmt_bind(s, st, "u", folder));
    *ret = r > 0 ? column_u32(st, 0) : 0;
    return r < 0 ? r : 0;
}

static int has_children(struct store *s, uint64_t folder)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_FOLDER_ANY_CHILD);
    return exists(s, st, stmt_bind(s, st, "u", folder));
}

static int is_child(struct store *s, uint64_t folder, const char *name)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_FOLDER_CHILD);
    return exists(s, st, stmt_bind(s, st, "ut", folder, name));
}

static int has_uid(const struct batch *b, uint32_t uid)
{
    /* Most come above or below all that is there. */
    if (b->last_uid == 0 || uid > b->last_uid || uid < b->first_uid)
        return 0;
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(b->s, STMT_MESSAGE_HAS_UID);
    return exists(b->s, st, stmt_bind(b->s, st, "uu", b->folder, (uint64_t)uid));
}

/* 1 and the message that has the name, or 0. */
static int name_holder(struct store *s, uint64_t folder, const char *name, uint64_t *ret_ino,
                       uint32_t *ret_uid)
{
    CLEANUP_STMT sqlite3_stmt *st = store_stmt(s, STMT_MESSAGE_BY_NAME);
    int r = exists(s, st, stmt_bind(s, st, "uut", folder, store_name_hash(name), name));
    if (r > 0) {
        *ret_ino = column_u64(st, 0);
        *ret_uid = column_u32(st, 2);
    }
    return r;
}

/* The first form from `form` on that nothing in the folder has. */
static int free_form(struct store *s, uint64_t folder, const char *plain, uint32_t uid,
                     unsigned form, char out[MSGNAME_MAX + 1], unsigned *ret_form)
{
    for (;; form++) {
        uint64_t ino = 0;
        uint32_t other = 0;
        form_name(plain, uid, form, out);
        int r = is_child(s, folder, out);
        if (r == 0)
            r = name_holder(s, folder, out, &ino, &other);
        if (r < 0)
            return r;
        if (r == 0) {
            *ret_form = form;
            return 0;
        }
    }
}

static int rename_message(struct store *s, uint64_t folder, uint64_t ino, uint32_t uid,
                          const char *plain, char out[MSGNAME_MAX + 1])
{
    unsigned form = FORM_TWIN;
    int r = free_form(s, folder, plain, uid, FORM_TWIN, out, &form);
    if (r < 0)
        return r;
    return store_run(s, STMT_MESSAGE_RENAME, "utui", ino, out, store_name_hash(out),
                     clock_wall_ns());
}

int store_yield_name(struct store *s, uint64_t folder, const char *name, uint64_t *ret_ino,
                     char ret_name[MSGNAME_MAX + 1])
{
    uint64_t ino = 0;
    uint32_t uid = 0;
    int r = name_holder(s, folder, name, &ino, &uid);
    if (r <= 0)
        return r;
    r = rename_message(s, folder, ino, uid, name, ret_name);
    if (r < 0)
        return r;
    *ret_ino = ino;
    return 1;
}

/* The name of a new message; of an unlisted folder the lowest UID gets it plain. */
static int choose_name(const struct batch *b, const struct store_new_message *m,
                       char out[MSGNAME_MAX + 1], unsigned *ret_form)
{
    uint64_t holder = 0;
    uint32_t holder_uid = 0;
    char renamed[MSGNAME_MAX + 1];
    const char *plain = m->name.name;
    form_name(plain, m->uid, FORM_PLAIN, out);
    int r = b->children ? is_child(b->s, b->folder, plain) : 0;
    if (r > 0)
        return free_form(b->s, b->folder, plain, m->uid, FORM_TWIN, out, ret_form);
    if (r == 0)
        r = name_holder(b->s, b->folder, plain, &holder, &holder_uid);
    if (r < 0)
        return r;
    if (r > 0 && (b->listed || m->uid > holder_uid))
        return free_form(b->s, b->folder, plain, m->uid, FORM_TWIN, out, ret_form);
    if (r > 0)
        r = rename_message(b->s, b->folder, holder, holder_uid, plain, renamed);
    *ret_form = FORM_PLAIN;
    return r < 0 ? r : 0;
}

static int insert_message(const struct batch *b, const struct store_new_message *m, uint64_t ino,
                          const char *name)
{
    uint64_t size = m->size > INT64_MAX ? INT64_MAX : m->size;
    unsigned flags = m->flags & ~(unsigned)FLAG_RECENT;
    int r = store_run(b->s, STMT_MESSAGE_INSERT, "uuuuuiiiitut", ino, b->folder, (uint64_t)m->uid,
                      (uint64_t)flags, size, m->internaldate, (int64_t)m->zone, m->name.date,
                      b->now, name, store_name_hash(name), m->keywords);
    if (r == 0)
        r = store_run(b->s, STMT_HEADER_INSERT, "utb", ino, m->message_id,
                      (const void *)m->name.hash, sizeof(m->name.hash));
    return r;
}

/* *ret_ino stays 0 for a UID that is there. */
static int add_one(struct batch *b, const struct store_new_message *m, uint64_t *ret_ino,
                   unsigned *ret_form)
{
    char name[MSGNAME_MAX + 1];
    uint64_t ino = 0;
    int r = has_uid(b, m->uid);
    if (r != 0)
        return r < 0 ? r : 0;
    r = choose_name(b, m, name, ret_form);
    if (r == 0)
        r = store_new_inode(b->s, &ino);
    if (r == 0)
        r = insert_message(b, m, ino, name);
    if (r < 0)
        return r;
    *ret_ino = ino;
    b->added++;
    if (b->first_uid == 0 || m->uid < b->first_uid)
        b->first_uid = m->uid;
    if (m->uid > b->last_uid)
        b->last_uid = m->uid;
    return 0;
}

static int batch_init(struct batch *b, struct store *s, uint64_t folder)
{
    struct folder_state state = {0};
    int r = store_folder_state(s, folder, &state);
    if (r < 0)
        return r;
    if (state.purge)
        return -ESTALE;
    *b = (struct batch){.s = s, .folder = folder, .listed = state.listed, .now = clock_wall_ns()};
    r = edge_uid(s, STMT_MESSAGE_FIRST_UID, folder, &b->first_uid);
    if (r == 0)
        r = edge_uid(s, STMT_MESSAGE_LAST_UID, folder, &b->last_uid);
    if (r == 0)
        r = has_children(s, folder);
    if (r < 0)
        return r;
    b->children = r > 0;
    return 0;
}

static int compare_uids(const void *a, const void *b)
{
    const struct store_new_message *x = *(struct store_new_message *const *)a;
    const struct store_new_message *y = *(struct store_new_message *const *)b;
    return (x->uid > y->uid) - (x->uid < y->uid);
}

static int add_sorted(struct store *s, uint64_t folder, struct store_new_message **order, size_t n,
                      uint64_t *inos, unsigned *forms)
{
    struct batch b = {0};
    CLEANUP_WRITE struct store *tx = NULL;
    int r = store_begin(s, &tx);
    if (r == 0)
        r = batch_init(&b, s, folder);
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_one(&b, order[i], &inos[i], &forms[i]);
    if (r == 0 && b.added > 0)
        r = store_folder_touch(s, folder, b.added);
    return r < 0 ? r : store_commit(&tx);
}

int store_add_messages(struct store *s, uint64_t folder, struct store_new_message *messages,
                       size_t n)
{
    struct store_new_message *order[STORE_BATCH_MAX];
    uint64_t inos[STORE_BATCH_MAX] = {0};
    unsigned forms[STORE_BATCH_MAX] = {0};
    if (n > STORE_BATCH_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (messages[i].uid == 0 || !messages[i].name.name[0])
            return -EINVAL;
        order[i] = &messages[i];
    }
    /* By UID, so that inodes ascend with it and the lowest of twins comes first. */
    qsort(order, n, sizeof(order[0]), compare_uids);
    int r = add_sorted(s, folder, order, n, inos, forms);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++) {
        char name[MSGNAME_MAX + 1];
        order[i]->ino = inos[i];
        if (forms[i] == FORM_PLAIN)
            continue;
        form_name(order[i]->name.name, order[i]->uid, forms[i], name);
        memcpy(order[i]->name.name, name, sizeof(name));
    }
    return 0;
}
