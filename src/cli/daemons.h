/*
 * daemons.h -- the sockets of this user's daemons.
 */
#ifndef MAILMOUNT_DAEMONS_H
#define MAILMOUNT_DAEMONS_H

#include "util.h"

struct daemon_list {
    char **paths; /* owned, sorted, each socket once */
    size_t n;
};
void daemon_list_release(struct daemon_list *list);

/* Every socket in $XDG_RUNTIME_DIR/mailmount/ and $XDG_STATE_HOME/mailmount/, and those that
 * mounts of this user name (one with -o state=DIR may listen elsewhere).  Whether anybody answers
 * there is not known yet. */
MUST_USE int daemon_list_find(struct daemon_list *ret);

#endif
