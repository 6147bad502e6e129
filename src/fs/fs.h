/*
 * fs.h -- the mount: kernel requests to the view and back.  [libfuse3, low-level]
 *
 * Order: fs_new -> fs_listener (for account_start) -> fs_mount -> fs_loop -> account_stop ->
 * fs_unmount -> fs_free.  account_stop comes before fs_free because it answers what is parked.
 */
#ifndef MAILMOUNT_FS_H
#define MAILMOUNT_FS_H

#include "news.h"
#include "view.h"

struct fs;

/* fuse_options: comma-separated options passed through to FUSE, may be NULL. */
MUST_USE int fs_new(struct view *view, const char *fsname, const char *fuse_options, bool debug,
                    struct fs **ret, struct errtext *err);
void fs_free(struct fs *fs);

/* Tells the kernel what changed; may be called before the mount (then nothing is cached). */
struct news_listener fs_listener(struct fs *fs);

MUST_USE int fs_mount(struct fs *fs, const char *mountpoint, struct errtext *err);
/* Serves requests until unmounted or SIGHUP, SIGINT, SIGTERM (which this thread must not block).
 * Starts the fs's own threads. */
MUST_USE int fs_loop(struct fs *fs);
void fs_unmount(struct fs *fs);

#endif
