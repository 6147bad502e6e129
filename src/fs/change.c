/*
 * change.c -- requests that would change something.
 *
 * Nothing can be changed through the mount: everybody gets EROFS.  The announcing helper is the
 * exception: its system calls say what has already happened (announce.h), and are answered as if
 * they had been done.
 */
#include <errno.h>
#include <string.h>

#include "fs_internal.h"

static struct fs *fs_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static void refuse(fuse_req_t req)
{
    fuse_reply_err(req, EROFS);
}

/* ---- what the helper is told */

static bool is_announced(fuse_req_t req, enum announcer_op op, fuse_ino_t parent, const char *name)
{
    struct announce *announce = fs_of(req)->announce;
    return announce_is_helper(announce, fuse_req_ctx(req)->pid) &&
           announce_expects(announce, op, parent, name);
}

bool change_lookup(struct fs *fs, fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct view_node ghost;
    struct request q = {.kind = REQUEST_LOOKUP, .req = req, .ino = parent, .name = name};
    if (!announce_is_helper(fs->announce, fuse_req_ctx(req)->pid))
        return false;
    int r = announce_lookup(fs->announce, parent, name, &ghost);
    if (r == 0) {
        struct fuse_entry_param entry = {.ino = ghost.ino, .attr = ghost.st};
        fuse_reply_entry(req, &entry); /* nothing of it is kept */
    } else if (r == -ENOENT) {
        fuse_reply_err(req, ENOENT); /* not kept either */
    } else if (!request_try(fs, &q)) {
        request_fail(&q, -EAGAIN); /* the helper never waits for the server */
    }
    return true;
}

/* The entry as it is for everybody. */
static void reply_with_entry(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct view_node node;
    int r = view_lookup(fs_of(req)->view, parent, name, NULL, &node);
    if (r < 0) {
        fuse_reply_err(req, ENOENT); /* it went meanwhile */
        return;
    }
    struct fuse_entry_param entry = fs_entry_of(&node);
    fuse_reply_entry(req, &entry);
}

/* ---- requests */

void change_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
    (void)mode;
    (void)rdev;
    if (is_announced(req, ANNOUNCER_CREATE, parent, name))
        reply_with_entry(req, parent, name);
    else
        refuse(req);
}

void change_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    (void)mode;
    if (is_announced(req, ANNOUNCER_MKDIR, parent, name))
        reply_with_entry(req, parent, name);
    else
        refuse(req);
}

void change_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (is_announced(req, ANNOUNCER_DELETE, parent, name))
        fuse_reply_err(req, 0);
    else
        refuse(req);
}

void change_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    if (is_announced(req, ANNOUNCER_RMDIR, parent, name))
        fuse_reply_err(req, 0);
    else
        refuse(req);
}

void change_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                    struct fuse_file_info *fi)
{
    struct view_node node;
    (void)attr;
    (void)to_set;
    (void)fi;
    if (!is_announced(req, ANNOUNCER_TOUCH, ino, ""))
        refuse(req);
    else if (view_getattr(fs_of(req)->view, ino, &node) < 0)
        fuse_reply_err(req, ENOENT);
    else
        fuse_reply_attr(req, &node.st, FS_CACHE_SECONDS);
}

void change_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target;
    (void)parent;
    (void)name;
    refuse(req);
}

void change_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                   const char *new_name, unsigned flags)
{
    (void)parent;
    (void)name;
    (void)new_parent;
    (void)new_name;
    (void)flags;
    refuse(req);
}

void change_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
    (void)ino;
    (void)new_parent;
    (void)new_name;
    refuse(req);
}

void change_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                   struct fuse_file_info *fi)
{
    (void)parent;
    (void)name;
    (void)mode;
    (void)fi;
    refuse(req);
}

void change_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t n, off_t offset,
                  struct fuse_file_info *fi)
{
    (void)ino;
    (void)data;
    (void)n;
    (void)offset;
    (void)fi;
    refuse(req);
}

void change_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                      struct fuse_file_info *fi)
{
    (void)ino;
    (void)mode;
    (void)offset;
    (void)length;
    (void)fi;
    refuse(req);
}

void change_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t n,
                     int flags)
{
    (void)ino;
    (void)name;
    (void)value;
    (void)n;
    (void)flags;
    refuse(req);
}

void change_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    (void)ino;
    (void)name;
    refuse(req);
}
