#include "view_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/* Directory cookies: the inode of the entry, and in the upper bits which part of the directory it
 * belongs to.  Inodes ascend within a part and are never used again, so a cookie stays good. */
#define COOKIE_SHIFT 58
enum cookie_part { PART_DOTS, PART_FOLDERS, PART_MESSAGES };
#define COOKIE_INO(c) ((c) & (((uint64_t)1 << COOKIE_SHIFT) - 1))

#define BATCH 64

int view_new(struct account *account, const char *socket_path, const char *mountpoint,
             struct view **ret)
{
    struct view *view = calloc(1, sizeof(*view));
    if (!view)
        return -ENOMEM;
    view->account = account;
    view->store = account_store(account);
    view->bodies = account_bodies(account);
    view->settings = account_settings(account);
    view->uid = getuid();
    view->gid = getgid();
    view->started_ns = clock_wall_ns();
    view->socket_path = strdup(socket_path);
    view->mountpoint = strdup(mountpoint);
    if (!view->socket_path || !view->mountpoint) {
        view_free(view);
        return -ENOMEM;
    }
    *ret = view;
    return 0;
}

void view_free(struct view *view)
{
    if (!view)
        return;
    free(view->socket_path);
    free(view->mountpoint);
    free(view);
}

struct account *view_account(const struct view *view)
{
    return view->account;
}

struct announce_figures *view_announce_figures(struct view *view)
{
    return &view->announce;
}

bool view_cancel(struct view *view, struct waiter *waiter)
{
    return account_cancel(view->account, waiter);
}

/* ---- attributes */

static struct timespec as_timespec(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    if (t.tv_nsec < 0) {
        t.tv_nsec += 1000000000;
        t.tv_sec--;
    }
    return t;
}

void view_message_node(const struct view *view, const struct store_message *m,
                       struct view_node *ret)
{
    int64_t mtime = view->settings->mtime_date ? m->date : m->internaldate;
    *ret = (struct view_node){.ino = m->ino};
    ret->st.st_ino = m->ino;
    ret->st.st_mode = S_IFREG | (view->settings->read_only ? 0400 : 0600);
    ret->st.st_nlink = 1;
    ret->st.st_uid = view->uid;
    ret->st.st_gid = view->gid;
    ret->st.st_size = (off_t)m->size;
    ret->st.st_blocks = (blkcnt_t)((m->size + 511) / 512);
    ret->st.st_blksize = 4096;
    ret->st.st_mtim = (struct timespec){.tv_sec = mtime};
    ret->st.st_atim = ret->st.st_mtim;
    ret->st.st_ctim = as_timespec(m->ctime_ns);
}

static void directory_node(const struct view *view, uint64_t ino, int64_t mtime_ns,
                           struct view_node *ret)
{
    *ret = (struct view_node){.ino = ino};
    ret->st.st_ino = ino;
    ret->st.st_mode = S_IFDIR | (view->settings->read_only ? 0500 : 0700);
    ret->st.st_nlink = 1; /* as for other file systems that do not count subdirectories */
    ret->st.st_uid = view->uid;
    ret->st.st_gid = view->gid;
    ret->st.st_blksize = 4096;
    ret->st.st_mtim = as_timespec(mtime_ns);
    ret->st.st_atim = ret->st.st_mtim;
    ret->st.st_ctim = ret->st.st_mtim;
}

int view_getattr(struct view *view, uint64_t ino, struct view_node *ret)
{
    struct store_message message;
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    if (is_special(ino))
        return special_getattr(view, ino, ret);
    int r = ino == VIEW_ROOT ? -ENOENT : store_message_by_ino(view->store, ino, &message);
    if (r == 0)
        view_message_node(view, &message, ret);
    if (r != -ENOENT)
        return r;
    r = view_folder(view, ino, &folder);
    if (r == 0)
        directory_node(view, ino, folder.mtime_ns, ret);
    return r;
}

/* ---- names */

static bool ends_in_eml(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".eml") == 0;
}

/* Starts the first listing where there has been none. */
static int need_listing(struct view *view, const struct store_folder *folder, struct waiter *waiter)
{
    if (!folder->raw || folder->listed)
        return 0;
    if (!waiter)
        return -EAGAIN;
    int r = account_list_folder(view->account, folder->ino, waiter);
    return r < 0 ? r : -EINPROGRESS;
}

int view_lookup(struct view *view, uint64_t parent, const char *name, struct waiter *waiter,
                struct view_node *ret)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0}, child = {0};
    struct store_message message;
    if (is_special(parent))
        return parent == SPECIAL_DIR ? special_lookup(view, name, ret) : -ENOTDIR;
    if (name[0] == '.') { /* nothing in the tree begins with a dot */
        if (parent == VIEW_ROOT && strcmp(name, ".mailmount") == 0)
            return special_getattr(view, SPECIAL_DIR, ret);
        return -ENOENT;
    }
    uint64_t folder_ino;
    int r = view_store_ino(view, parent, &folder_ino);
    if (r < 0)
        return r;
    if (ends_in_eml(name)) {
        r = store_message_by_name(view->store, folder_ino, name, &message);
        if (r == 0)
            view_message_node(view, &message, ret);
        if (r != -ENOENT)
            return r;
    }
    r = store_folder_by_name(view->store, folder_ino, name, &child);
    if (r == 0)
        directory_node(view, child.ino, child.mtime_ns, ret);
    if (r != -ENOENT || !ends_in_eml(name))
        return r;
    r = view_folder(view, parent, &folder);
    if (r == 0)
        r = need_listing(view, &folder, waiter);
    return r < 0 ? r : -ENOENT;
}

/* ---- directories */

int view_opendir(struct view *view, uint64_t ino, struct waiter *waiter)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    if (ino == SPECIAL_DIR)
        return 0;
    int r = view_folder(view, ino, &folder);
    if (r == 0 && folder.raw)
        account_folder_used(view->account, folder.ino);
    return r < 0 ? r : need_listing(view, &folder, waiter);
}

struct reading {
    struct view *view;
    uint64_t ino, parent; /* as the kernel knows them */
    uint64_t folder;      /* as the store knows ino */
    view_entry_fn *fn;
    void *ctx;
};

static uint64_t make_cookie(enum cookie_part part, uint64_t ino)
{
    return ((uint64_t)part << COOKIE_SHIFT) | ino;
}

/* 1: the caller's buffer is full. */
static int read_dots(struct reading *reading, uint64_t done)
{
    static const char *const names[] = {".", ".."};
    for (uint64_t i = done; i < 2; i++) {
        struct view_node node;
        directory_node(reading->view, i == 0 ? reading->ino : reading->parent, 0, &node);
        if (reading->fn(reading->ctx, names[i], &node, make_cookie(PART_DOTS, i + 1)))
            return 1;
    }
    return 0;
}

static int read_specials(struct reading *reading, uint64_t after)
{
    for (unsigned i = 0; i < special_names_n; i++) {
        struct view_node node;
        if (special_names[i].ino <= after)
            continue;
        int r = special_getattr(reading->view, special_names[i].ino, &node);
        if (r < 0)
            return r;
        if (reading->fn(reading->ctx, special_names[i].name, &node,
                        make_cookie(PART_FOLDERS, node.ino)))
            return 1;
    }
    return 0;
}

static int read_folders(struct reading *reading, uint64_t after)
{
    for (;;) {
        CLEANUP_STORE_FOLDER struct store_folder child = {0};
        struct view_node node;
        int r = store_folder_next(reading->view->store, reading->folder, after, &child);
        if (r == -ENOENT)
            return 0;
        if (r < 0)
            return r;
        after = child.ino;
        directory_node(reading->view, child.ino, child.mtime_ns, &node);
        if (reading->fn(reading->ctx, child.name, &node, make_cookie(PART_FOLDERS, child.ino)))
            return 1;
    }
}

static int read_messages(struct reading *reading, uint64_t after, unsigned max)
{
    struct store_message messages[BATCH];
    while (max > 0) {
        unsigned want = max < BATCH ? max : BATCH;
        int n = store_read_messages(reading->view->store, reading->folder, after, messages, want);
        if (n <= 0)
            return n;
        for (int i = 0; i < n; i++) {
            struct view_node node;
            view_message_node(reading->view, &messages[i], &node);
            if (reading->fn(reading->ctx, messages[i].name, &node,
                            make_cookie(PART_MESSAGES, node.ino)))
                return 1;
        }
        after = messages[n - 1].ino;
        max -= (unsigned)n;
    }
    return 1;
}

int view_readdir(struct view *view, uint64_t ino, uint64_t cookie, unsigned max, view_entry_fn *fn,
                 void *ctx)
{
    struct reading reading = {.view = view, .ino = ino, .parent = VIEW_ROOT, .fn = fn, .ctx = ctx};
    enum cookie_part part = (enum cookie_part)(cookie >> COOKIE_SHIFT);
    uint64_t after = COOKIE_INO(cookie);
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    int r = is_special(ino) ? 0 : view_folder(view, ino, &folder);
    if (r < 0)
        return r;
    reading.folder = folder.ino;
    if (folder.parent)
        reading.parent = ino == VIEW_ROOT ? VIEW_ROOT : view_visible_ino(view, folder.parent);
    if (part == PART_DOTS) {
        r = read_dots(&reading, after);
        after = 0;
    }
    if (r == 0 && ino == SPECIAL_DIR)
        r = read_specials(&reading, after);
    else if (r == 0 && part <= PART_FOLDERS) {
        r = read_folders(&reading, after);
        after = 0;
    }
    if (r == 0 && ino != SPECIAL_DIR)
        r = read_messages(&reading, after, max);
    return r < 0 ? r : 0;
}

/* ---- statfs */

void view_statfs(struct view *view, struct statvfs *ret)
{
    const uint64_t block = 4096, unlimited = (uint64_t)1 << 40;
    uint64_t used = 0, limit = 0;
    bool has = account_quota(view->account, &used, &limit);
    uint64_t free_bytes = !has ? unlimited : limit > used ? limit - used : 0;
    uint64_t total = has ? limit : unlimited;
    *ret = (struct statvfs){
        .f_bsize = block,
        .f_frsize = block,
        .f_blocks = total / block,
        .f_bfree = free_bytes / block,
        .f_bavail = free_bytes / block,
        .f_namemax = 255,
    };
}
