/*
 * view_internal.h -- shared by view.c (directories, attributes), file.c (bytes), xattr.c.
 */
#ifndef MAILMOUNT_VIEW_INTERNAL_H
#define MAILMOUNT_VIEW_INTERNAL_H

#include "bodies.h"
#include "store.h"
#include "view.h"

/* Inodes below STORE_FIRST_INODE that are not the store's. */
enum special_inode {
    SPECIAL_DIR = 2, /* /.mailmount: resolves, is never listed */
    SPECIAL_README = 3,
    SPECIAL_STATUS = 4,
};

struct view {
    struct account *account;
    struct store *store;
    struct bodies *bodies;
    const struct settings *settings;
    char *socket_path, *mountpoint;
    uid_t uid;
    gid_t gid;
    int64_t started_ns;
    struct announce_figures announce;
    _Atomic uint64_t root_ino; /* of the URL's /FOLDER in the store; 0: not looked up yet */
};

static inline bool is_special(uint64_t ino)
{
    return ino >= SPECIAL_DIR && ino <= SPECIAL_STATUS;
}

/* ---- root.c */
/* The folder behind a visible inode; the root as well.  Otherwise as store_folder_by_ino. */
MUST_USE int view_folder(struct view *view, uint64_t ino, struct store_folder *ret);

/* The store's inode of a visible directory: another one for the root only. */
MUST_USE int view_store_ino(struct view *view, uint64_t ino, uint64_t *ret_ino);

/* ---- view.c */
void view_message_node(const struct view *view, const struct store_message *message,
                       struct view_node *ret);

/* ---- special.c */
MUST_USE int special_lookup(struct view *view, const char *name, struct view_node *ret);
MUST_USE int special_getattr(struct view *view, uint64_t ino, struct view_node *ret);
/* The bytes of README or status.json as they are now. */
MUST_USE int special_content(struct view *view, uint64_t ino, struct str *out);
extern const struct special_name {
    const char *name;
    uint64_t ino;
} special_names[];
extern const unsigned special_names_n;

#endif
