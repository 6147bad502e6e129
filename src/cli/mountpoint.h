/*
 * mountpoint.h -- mount points of mailmount as the kernel lists them (/proc/self/mountinfo).
 *
 * A mount is dead when its daemon is gone without having unmounted (kill -9): the kernel then
 * answers ENOTCONN to everything below it and refuses a new mount there.  DIR is resolved without
 * touching what is mounted on it, so that a dead mount point is found too.
 */
#ifndef MAILMOUNT_MOUNTPOINT_H
#define MAILMOUNT_MOUNTPOINT_H

#include "util.h"

/* 0: the topmost mount at DIR is of type fuse.mailmount.  -ENOENT: DIR does not exist;
 * -EINVAL: it exists and is not the root of such a mount.  `ret_dead` may be NULL. */
MUST_USE int mountpoint_is_ours(const char *dir, bool *ret_dead);

/* Unmounts: umount2 as root, else (or where that is not allowed) fusermount3 -u.  `lazy` detaches
 * also a mount in use.  -EBUSY: in use; other errors as the kernel or fusermount3 say. */
MUST_USE int mountpoint_unmount(const char *dir, bool lazy, struct errtext *err);

/* Before mounting: detaches a dead mount of ours at DIR.  0 also when there is none. */
MUST_USE int mountpoint_detach_dead(const char *dir, struct errtext *err);

/* Waits until DIR is no mount of ours any more.  -ETIMEDOUT. */
MUST_USE int mountpoint_wait_gone(const char *dir, int timeout_ms);

/* Calls fn for the mount point of each fuse.mailmount mount that this user has made. */
typedef void mountpoint_fn(void *ctx, const char *path);
MUST_USE int mountpoint_each(mountpoint_fn *fn, void *ctx);

/* The socket of the daemon behind DIR, any directory inside a mount: the value of its extended
 * attribute user.mailmount.socket.  -ENODATA: no mailmount there (or it does not say);
 * -ENOTCONN: dead.  The caller owns the path. */
MUST_USE int mountpoint_socket(const char *dir, char **ret_path);

#endif
