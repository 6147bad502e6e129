/*
 * announce.h -- other clients' changes, announced to inotify watchers of the mount.
 *
 * The lane of names (notify.h) hands on what it has told the kernel.  One thread works it off: it
 * lets a helper process (announcer.h) make the system call that the change would have been here.
 * The daemon knows the helper by its process ID; change.c asks here what to answer it.  Nothing of
 * this reaches the server, nor the store: the change has already happened.
 *
 * What others see never differs from the truth.  The helper's system calls hold the directory's
 * lock from its LOOKUP to its change, and what its LOOKUP is told (a name that is there is absent,
 * one that is gone is a ghost) may not be kept by the kernel, so whoever else wants the name asks
 * for himself.
 *
 * Limits: only in directories whose inode the kernel has (an inotify watch keeps it), ANNOUNCE_RATE
 * events a second after a first ANNOUNCE_BURST, never closer than ANNOUNCE_GAP_MS (the mount cannot
 * be unmounted while the helper is in it), taking turns between directories; above ANNOUNCE_MAX
 * waiting ones the oldest of the same directory is dropped and counted, and when everything is
 * told, one event of the directory itself says that there was more.  A helper that died is started
 * again after a second, then after twice as long each time, at most ANNOUNCE_STARTS times; with one
 * that does not answer (its directory is locked by a LOOKUP that waits for the server) only the
 * announcements wait.
 */
#ifndef MAILMOUNT_ANNOUNCE_H
#define MAILMOUNT_ANNOUNCE_H

#include "announcer.h"
#include "news.h"
#include "view.h"

#define ANNOUNCE_RATE   100
#define ANNOUNCE_BURST  200
#define ANNOUNCE_GAP_MS 4
#define ANNOUNCE_MAX    4096
#define ANNOUNCE_STARTS 10

struct announce;
struct fuse_session;

MUST_USE int announce_new(struct view *view, struct announce **ret);
/* The mount is there.  -errno: there will be no announcements; the rest works. */
MUST_USE int announce_start(struct announce *announce, struct fuse_session *session,
                            const char *mountpoint);
/* Ends the thread.  Requests of the helper must still be answered meanwhile. */
void announce_stop(struct announce *announce);
/* When the session is destroyed: before, the helper may be inside a request that cannot end. */
void announce_free(struct announce *announce);

/* Takes a copy; visible inodes.  Any thread; never waits. */
void announce_add(struct announce *announce, enum news news, uint64_t parent, uint64_t ino,
                  const char *name);

/* ---- for the handlers; any of libfuse's threads */

bool announce_is_helper(const struct announce *announce, pid_t pid);
/* Whether just now something is announced under this name: what is said about it to anybody may
 * not be kept by the kernel. */
bool announce_is_current(struct announce *announce, uint64_t parent, const char *name);
/* What the helper's LOOKUP of a name is told.  -EAGAIN: the truth; -ENOENT; 0: it is there, a ghost
 * with the number and type of *ret_ghost. */
MUST_USE int announce_lookup(struct announce *announce, uint64_t parent, const char *name,
                             struct view_node *ret_ghost);
/* Whether this system call is what the helper was sent for. */
bool announce_expects(struct announce *announce, enum announcer_op op, uint64_t parent,
                      const char *name);

#endif
