/*
 * root.c -- which folder the mount's root is.
 *
 * Without /FOLDER in the URL the root is no mailbox: a plain directory of the top-level folders.
 * With it, the root is that folder.  The store knows the folder by an inode like any other, the
 * kernel knows the root as inode 1.
 */
#include <errno.h>
#include <string.h>

#include "view_internal.h"

static int find_root_folder(struct view *view, uint64_t *ret_ino)
{
    CLEANUP_FREE char *path = strdup(view->settings->folder);
    uint64_t ino = STORE_ROOT_INODE;
    char *rest = path, *name;
    if (!path)
        return -ENOMEM;
    while ((name = strsep(&rest, "/"))) {
        CLEANUP_STORE_FOLDER struct store_folder folder = {0};
        int r = store_folder_by_name(view->store, ino, name, &folder);
        if (r < 0)
            return r;
        ino = folder.ino;
    }
    *ret_ino = ino;
    return 0;
}

static int folder_of_root(struct view *view, struct store_folder *ret)
{
    uint64_t ino = view->root_ino;
    int r = ino ? store_folder_by_ino(view->store, ino, ret) : -ENOENT;
    if (r != -ENOENT)
        return r;
    r = find_root_folder(view, &ino); /* not looked up yet, or deleted and made again */
    if (r < 0)
        return r;
    view->root_ino = ino;
    return store_folder_by_ino(view->store, ino, ret);
}

int view_folder(struct view *view, uint64_t ino, struct store_folder *ret)
{
    if (ino != VIEW_ROOT)
        return store_folder_by_ino(view->store, ino, ret);
    if (view->settings->folder)
        return folder_of_root(view, ret);
    CLEANUP_STR struct str text = STR_INIT(64);
    int64_t mtime_ns = 0;
    int r = store_get_meta(view->store, STORE_META_ROOT_MTIME, &text);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0)
        mtime_ns = strtoll(text.data, NULL, 10);
    *ret = (struct store_folder){.ino = STORE_ROOT_INODE, .mtime_ns = mtime_ns};
    return 0;
}

int view_store_ino(struct view *view, uint64_t ino, uint64_t *ret_ino)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    int r = 0;
    if (ino == VIEW_ROOT && view->settings->folder)
        r = folder_of_root(view, &folder);
    if (r == 0)
        *ret_ino = folder.ino ? folder.ino : ino;
    return r;
}

uint64_t view_visible_ino(struct view *view, uint64_t ino)
{
    return ino && ino == view->root_ino ? VIEW_ROOT : ino;
}

int view_directory_path(struct view *view, uint64_t ino, struct str *out)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    const char *root = view->settings->folder, *path;
    if (ino == VIEW_ROOT)
        return 0;
    int r = store_folder_by_ino(view->store, ino, &folder);
    if (r < 0)
        return r;
    path = folder.path;
    if (root) {
        size_t n = strlen(root);
        if (strncmp(path, root, n) != 0 || path[n] != '/')
            return -ENOENT;
        path += n + 1;
    }
    return str_printf_append(out, "/%s", path);
}

int view_check_root(struct view *view)
{
    CLEANUP_STORE_FOLDER struct store_folder folder = {0};
    return view_folder(view, VIEW_ROOT, &folder);
}
