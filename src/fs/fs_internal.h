/*
 * fs_internal.h -- shared by fs.c (session), ops.c (handlers), park.c (parked requests).
 */
#ifndef MAILMOUNT_FS_INTERNAL_H
#define MAILMOUNT_FS_INTERNAL_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>

#include "announce.h"
#include "fs.h"
#include "notify.h"

struct drain;
struct parks;

struct fs {
    struct view *view;
    struct fuse_session *session;
    struct notify *notify;
    struct parks *parks;
    struct announce *announce;
    struct drain *drain; /* from the end of the loop on */
    char *mountpoint;
    bool mounted;
};

enum request_kind { REQUEST_LOOKUP, REQUEST_OPENDIR, REQUEST_OPEN };

/* A request that may have to wait. */
struct request {
    enum request_kind kind;
    fuse_req_t req;
    fuse_ino_t ino;   /* of REQUEST_LOOKUP: the parent */
    const char *name; /* of REQUEST_LOOKUP */
    struct fuse_file_info fi;
};

/* The kernel keeps what it is told until it is told otherwise (notify.h). */
#define FS_CACHE_SECONDS 86400.0

/* ---- ops.c */
extern const struct fuse_lowlevel_ops fs_ops;
extern const size_t fs_ops_size;

/* What LOOKUP answers of a node. */
struct fuse_entry_param fs_entry_of(const struct view_node *node);

/* Answers the request if nothing has to be waited for.  False: it would have to wait. */
MUST_USE bool request_try(struct fs *fs, const struct request *request);
/* Asks for what the request needs, without answering it: -EINPROGRESS the waiter will be called;
 * 0 nothing is missing (any more); else why it fails. */
MUST_USE int request_ask(struct fs *fs, const struct request *request, struct waiter *waiter);
/* Answers with an error: r < 0. */
void request_fail(const struct request *request, int r);

/* ---- change.c */
/* The announcing helper asks: answered.  False: somebody else. */
MUST_USE bool change_lookup(struct fs *fs, fuse_req_t req, fuse_ino_t parent, const char *name);
/* Requests that would change something. */
void change_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                    struct fuse_file_info *fi);
void change_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void change_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void change_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void change_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void change_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void change_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
                   const char *new_name, unsigned flags);
void change_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name);
void change_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                   struct fuse_file_info *fi);
void change_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t n, off_t offset,
                  struct fuse_file_info *fi);
void change_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                      struct fuse_file_info *fi);
void change_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t n,
                     int flags);
void change_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ---- drain.c */
/* Answers requests after the loop, while what ends needs them answered. */
struct drain *drain_start(struct fuse_session *session); /* NULL: it could not be started */
void drain_stop(struct drain *drain);

#endif
