/*
 * lockfile.h -- one daemon per account: a lock on STATE_DIR/lock.
 *
 * The lock is the kernel's (flock) and goes with the process, however it ends.  The file's text,
 * `PID MOUNTPOINT`, is only for the message of whoever comes second.
 */
#ifndef MAILMOUNT_LOCKFILE_H
#define MAILMOUNT_LOCKFILE_H

#include "util.h"

/* *ret_fd keeps the lock until closed; it is inherited by fork.
 * -EBUSY: another holds it; `err` names its mount point. */
MUST_USE int lockfile_take(const char *state_dir, const char *account, const char *mountpoint,
                           int *ret_fd, struct errtext *err);
/* Writes the process's number, after fork. */
MUST_USE int lockfile_set_pid(int fd, const char *mountpoint);

#endif
