/*
 * become.h -- the option setuid=USER, for /etc/fstab: root's process becomes that user.
 */
#ifndef MAILMOUNT_BECOME_H
#define MAILMOUNT_BECOME_H

#include "util.h"

/* USER is a name or a number.  Sets ids and groups and the variables that lead to the user's
 * files: HOME, USER, LOGNAME, and XDG_RUNTIME_DIR where it exists; other XDG_* go.  Nothing when
 * we are that user already.  -EPERM: we are not root; -ENOENT: no such user.  Before threads. */
MUST_USE int become_user(const char *user, struct errtext *err);

#endif
