/*
 * fs_internal.h -- shared by fs.c (session), ops.c (handlers), park.c (parked requests).
 */
#ifndef MAILMOUNT_FS_INTERNAL_H
#define MAILMOUNT_FS_INTERNAL_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>

#include "fs.h"
#include "notify.h"

struct parks;

struct fs {
    struct view *view;
    struct fuse_session *session;
    struct notify *notify;
    struct parks *parks;
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

/* ---- ops.c */
extern const struct fuse_lowlevel_ops fs_ops;
extern const size_t fs_ops_size;

/* Answers the request if nothing has to be waited for.  False: it would have to wait. */
MUST_USE bool request_try(struct fs *fs, const struct request *request);
/* Asks for what the request needs, without answering it: -EINPROGRESS the waiter will be called;
 * 0 nothing is missing (any more); else why it fails. */
MUST_USE int request_ask(struct fs *fs, const struct request *request, struct waiter *waiter);
/* Answers with an error: r < 0. */
void request_fail(const struct request *request, int r);

#endif
