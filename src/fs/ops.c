/*
 * ops.c -- one handler a FUSE request: ask the view, reply.  No handler waits.
 */
#include <errno.h>
#include <string.h>

#include "fs_internal.h"
#include "log.h"
#include "park.h"
#include "str.h"

#define XATTR_MAX 65536

static struct fs *fs_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

/* Anything but what mailmount(1) lists under ERRORS would puzzle programs. */
static int as_errno(int r)
{
    switch (r) {
    case -ESHUTDOWN: /* being unmounted */
        return ENOTCONN;
    case -EAGAIN:
        return EIO;
    default:
        return -r;
    }
}

void request_fail(const struct request *request, int r)
{
    fuse_reply_err(request->req, as_errno(r));
}

struct fuse_entry_param fs_entry_of(const struct view_node *node)
{
    double timeout = node->fleeting ? 0 : FS_CACHE_SECONDS;
    return (struct fuse_entry_param){.ino = node->ino,
                                     .attr = node->st,
                                     .attr_timeout = timeout,
                                     .entry_timeout = FS_CACHE_SECONDS};
}

/* ---- requests that may be parked */

static int answer_lookup(struct fs *fs, const struct request *q)
{
    struct view_node node;
    struct fuse_entry_param entry = {.entry_timeout = FS_CACHE_SECONDS}; /* negative */
    int r = view_lookup(fs->view, q->ino, q->name, NULL, &node);
    if (r < 0 && r != -ENOENT)
        return r;
    if (r == 0)
        entry = fs_entry_of(&node);
    if (announce_is_current(fs->announce, q->ino, q->name))
        entry.entry_timeout = 0;
    fuse_reply_entry(q->req, &entry);
    return 0;
}

static int answer_opendir(struct fs *fs, const struct request *q)
{
    struct fuse_file_info fi = q->fi;
    int r = view_opendir(fs->view, q->ino, NULL);
    if (r < 0)
        return r;
    fi.cache_readdir = 1;
    fi.keep_cache = 1;
    fuse_reply_open(q->req, &fi);
    return 0;
}

struct opened {
    fuse_req_t req;
    struct fuse_file_info fi;
    struct view_file *file;
};

static void reply_opened(void *arg)
{
    struct opened *opened = arg;
    if (fuse_reply_open(opened->req, &opened->fi) < 0)
        view_close(opened->file); /* interrupted: RELEASE will not come */
    free(opened);
}

static int answer_open(struct fs *fs, const struct request *q)
{
    struct opened *opened = calloc(1, sizeof(*opened));
    if (!opened)
        return -ENOMEM;
    int r = view_open(fs->view, q->ino, NULL, &opened->file);
    if (r < 0) {
        free(opened);
        return r;
    }
    opened->req = q->req;
    opened->fi = q->fi;
    opened->fi.fh = (uint64_t)(uintptr_t)opened->file;
    opened->fi.keep_cache = 1; /* the bytes of a message never change */
    opened->fi.noflush = 1;
    opened->fi.direct_io = view_file_fleeting(opened->file);
    /* Behind a correction of the size that may be under way (view_open). */
    notify_call_behind(fs->notify, reply_opened, opened);
    return 0;
}

bool request_try(struct fs *fs, const struct request *q)
{
    int r = q->kind == REQUEST_LOOKUP    ? answer_lookup(fs, q)
            : q->kind == REQUEST_OPENDIR ? answer_opendir(fs, q)
                                         : answer_open(fs, q);
    if (r == -EAGAIN)
        return false;
    if (r < 0)
        request_fail(q, r);
    return true;
}

int request_ask(struct fs *fs, const struct request *q, struct waiter *waiter)
{
    struct view_node node;
    struct view_file *file;
    int r;
    switch (q->kind) {
    case REQUEST_LOOKUP:
        r = view_lookup(fs->view, q->ino, q->name, waiter, &node);
        return r == -ENOENT ? 0 : r; /* also an answer */
    case REQUEST_OPENDIR:
        return view_opendir(fs->view, q->ino, waiter);
    default:
        r = view_open(fs->view, q->ino, waiter, &file);
        if (r == 0)
            view_close(file); /* it came meanwhile: request_try opens it again */
        return r;
    }
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct request q = {.kind = REQUEST_LOOKUP, .req = req, .ino = parent, .name = name};
    if (!change_lookup(fs_of(req), req, parent, name))
        park_or_answer(fs_of(req), &q);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct request q = {.kind = REQUEST_OPENDIR, .req = req, .ino = ino, .fi = *fi};
    park_or_answer(fs_of(req), &q);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct request q = {.kind = REQUEST_OPEN, .req = req, .ino = ino, .fi = *fi};
    if ((fi->flags & O_ACCMODE) != O_RDONLY || (fi->flags & O_TRUNC))
        fuse_reply_err(req, EROFS);
    else
        park_or_answer(fs_of(req), &q);
}

/* ---- attributes */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct view_node node;
    int r = view_getattr(fs_of(req)->view, ino, &node);
    if (r == -ENOENT && fi && fi->fh) { /* open, but gone from the mailbox */
        view_file_stat((struct view_file *)(uintptr_t)fi->fh, &node.st);
        node.st.st_nlink = 0;
        node.fleeting = true;
        r = 0;
    }
    if (r < 0)
        fuse_reply_err(req, as_errno(r));
    else
        fuse_reply_attr(req, &node.st, node.fleeting ? 0 : FS_CACHE_SECONDS);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs st;
    (void)ino;
    view_statfs(fs_of(req)->view, &st);
    fuse_reply_statfs(req, &st);
}

static void reply_xattr(fuse_req_t req, int r, const struct str *value, size_t size)
{
    if (r < 0)
        fuse_reply_err(req, as_errno(r));
    else if (size == 0)
        fuse_reply_xattr(req, value->len);
    else if (value->len > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, value->data, value->len);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    CLEANUP_STR struct str value = STR_INIT(XATTR_MAX);
    int r = view_getxattr(fs_of(req)->view, ino, name, &value);
    reply_xattr(req, r, &value, size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    CLEANUP_STR struct str names = STR_INIT(XATTR_MAX);
    int r = view_listxattr(fs_of(req)->view, ino, &names);
    reply_xattr(req, r, &names, size);
}

/* ---- directories */

struct filling {
    fuse_req_t req;
    fuse_ino_t ino;
    bool plus;
    char *buffer;
    size_t size, used;
};

static int fill(void *ctx, const char *name, const struct view_node *node, uint64_t cookie)
{
    struct filling *f = ctx;
    char *to = f->buffer + f->used;
    size_t room = f->size - f->used, need;
    if (f->plus) {
        struct fuse_entry_param entry = fs_entry_of(node);
        if (announce_is_current(fs_of(f->req)->announce, f->ino, name))
            entry.entry_timeout = 0;
        if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])))
            entry.ino = 0; /* no LOOKUP is counted for these */
        need = fuse_add_direntry_plus(f->req, to, room, name, &entry, (off_t)cookie);
    } else {
        need = fuse_add_direntry(f->req, to, room, name, &node->st, (off_t)cookie);
    }
    if (need > room)
        return 1;
    f->used += need;
    return 0;
}

static void read_directory(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
    /* The smallest entry of READDIRPLUS takes 152 bytes, of READDIR 24, and names of messages are
     * 30 bytes and more. */
    unsigned max = (unsigned)(size / (plus ? 184 : 56)) + 1;
    struct filling f = {.req = req, .ino = ino, .plus = plus, .size = size, .buffer = malloc(size)};
    int r =
        f.buffer ? view_readdir(fs_of(req)->view, ino, (uint64_t)offset, max, fill, &f) : -ENOMEM;
    if (r < 0)
        fuse_reply_err(req, as_errno(r));
    else
        fuse_reply_buf(req, f.buffer, f.used);
    free(f.buffer);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    (void)fi;
    read_directory(req, ino, size, offset, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                           struct fuse_file_info *fi)
{
    (void)fi;
    read_directory(req, ino, size, offset, true);
}

/* ---- bytes */

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
    CLEANUP_FREE char *buffer = malloc(size);
    (void)ino;
    ssize_t n =
        buffer ? view_read((struct view_file *)(uintptr_t)fi->fh, buffer, size, offset) : -ENOMEM;
    if (n < 0)
        fuse_reply_err(req, as_errno((int)n));
    else
        fuse_reply_buf(req, buffer, (size_t)n);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    view_close((struct view_file *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    (void)ino;
    (void)nlookup; /* inodes are database keys: there is no table to clean */
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    (void)count;
    (void)forgets;
    fuse_reply_none(req);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    static const unsigned wanted = FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                                   FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_PARALLEL_DIROPS |
                                   FUSE_CAP_ASYNC_READ | FUSE_CAP_CACHE_SYMLINKS;
    (void)userdata;
    conn->want |= conn->capable & wanted;
    conn->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
    /* At the kernel's default of 12, parked requests stall requests that need not wait. */
    conn->max_background = 1024;
    conn->congestion_threshold = 768;
    conn->time_gran = 1;
}

const struct fuse_lowlevel_ops fs_ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .open = op_open,
    .read = op_read,
    .release = op_release,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .statfs = op_statfs,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .setattr = change_setattr,
    .mknod = change_mknod,
    .mkdir = change_mkdir,
    .unlink = change_unlink,
    .rmdir = change_rmdir,
    .symlink = change_symlink,
    .rename = change_rename,
    .link = change_link,
    .create = change_create,
    .write = change_write,
    .fallocate = change_fallocate,
    .setxattr = change_setxattr,
    .removexattr = change_removexattr,
};
const size_t fs_ops_size = sizeof(fs_ops);
