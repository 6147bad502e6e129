/*
 * view.h -- the tree as a file system sees it: inode to attributes, names, bytes.  No FUSE types.
 *
 * Nothing here waits.  What is not here yet is asked for: the function returns -EINPROGRESS, and
 * the waiter is called later with a status.  0: call the function again, now it knows.  Negative:
 * that is the answer.  Where no waiter is given, nothing is asked for and -EAGAIN comes back.
 *
 * Errors are those of section 6 of the contract (mailmount(1), ERRORS).  Any thread.
 */
#ifndef MAILMOUNT_VIEW_H
#define MAILMOUNT_VIEW_H

#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "account.h"
#include "str.h"

#define VIEW_ROOT 1 /* inode of the root directory */

struct view;

/* `socket_path`: what the xattr user.mailmount.socket answers; `mountpoint` for status.json; both
 * copied. */
MUST_USE int view_new(struct account *account, const char *socket_path, const char *mountpoint,
                      struct view **ret);
void view_free(struct view *view);

struct account *view_account(const struct view *view);

/* The inode that the kernel knows this one by: the folder of the URL's /FOLDER is the root. */
uint64_t view_visible_ino(struct view *view, uint64_t ino);
/* -ENOENT: the URL's /FOLDER does not exist. */
MUST_USE int view_check_root(struct view *view);

/* Appends "/PATH" of a directory below the mount point, nothing for the root.  -ENOENT: it is no
 * folder (any more). */
MUST_USE int view_directory_path(struct view *view, uint64_t ino, struct str *out);

/* Announcements to inotify watchers: fs counts, status shows. */
enum announce_state { ANNOUNCE_OFF, ANNOUNCE_IDLE, ANNOUNCE_RUNNING, ANNOUNCE_FAILED };
struct announce_figures {
    _Atomic enum announce_state state; /* idle: no helper process, it is started when needed */
    _Atomic uint64_t announced, dropped, failed, starts;
};
struct announce_figures *view_announce_figures(struct view *view);

struct view_node {
    uint64_t ino;
    struct stat st;
    bool fleeting; /* its attributes must not be cached by the kernel */
};

/* -ENOENT: no such name.  Waits for the listing of a folder never listed, but only where the name
 * could be a message's. */
MUST_USE int view_lookup(struct view *view, uint64_t parent, const char *name,
                         struct waiter *waiter, struct view_node *ret);
MUST_USE int view_getattr(struct view *view, uint64_t ino, struct view_node *ret);

/* Whether the directory can be read: waits for its first listing. */
MUST_USE int view_opendir(struct view *view, uint64_t ino, struct waiter *waiter);
/* Called for each entry; nonzero: it did not fit, stop.  `cookie` resumes behind this entry. */
typedef int view_entry_fn(void *ctx, const char *name, const struct view_node *node,
                          uint64_t cookie);
/* Entries behind `cookie` (0: from the start), `.` and `..` included, at most about `max`.  An
 * entry that is there all the time is given exactly once, whatever else changes. */
MUST_USE int view_readdir(struct view *view, uint64_t ino, uint64_t cookie, unsigned max,
                          view_entry_fn *fn, void *ctx);

/* ---- bytes */

struct view_file; /* an open file; one is used by any thread, reading only */

/* Waits for the body of a message that is not here.  Where the size shown before was wrong, the
 * news of it (NEWS_CHANGED) has been told before this returns 0: the reply to the kernel must come
 * behind it. */
MUST_USE int view_open(struct view *view, uint64_t ino, struct waiter *waiter,
                       struct view_file **ret);
/* Bytes read (fewer only at the end), or -errno. */
MUST_USE ssize_t view_read(struct view_file *file, void *data, size_t n, off_t offset);
/* Attributes as of the opening, for a file whose name is gone meanwhile. */
void view_file_stat(const struct view_file *file, struct stat *ret);
/* Its bytes differ from open to open (status.json). */
bool view_file_fleeting(const struct view_file *file);
void view_close(struct view_file *file);

/* ---- xattrs and the rest */

/* Appends the value.  -ENODATA: no such attribute here; -EOPNOTSUPP: a foreign name space. */
MUST_USE int view_getxattr(struct view *view, uint64_t ino, const char *name, struct str *out);
/* Appends the names, each with its NUL. */
MUST_USE int view_listxattr(struct view *view, uint64_t ino, struct str *out);
void view_statfs(struct view *view, struct statvfs *ret);

/* Takes a waiter back, as queue_cancel. */
bool view_cancel(struct view *view, struct waiter *waiter);

#endif
