/*
 * announce_helper.h -- the daemon's end of the announcing helper: its birth, its packets, its end.
 *
 * Used by the thread of announce.c; `pid` is read by any.
 */
#ifndef MAILMOUNT_ANNOUNCE_HELPER_H
#define MAILMOUNT_ANNOUNCE_HELPER_H

#include <stdatomic.h>

#include "announcer.h"

struct helper {
    atomic_int pid; /* 0: there is none */
    int fd;         /* packets, close-on-exec; -1: there is none */
};

/* Starts one; the thread that calls must outlive it, or it is killed.  Blocked or ignored signals,
 * descriptors and memory are not passed on. */
MUST_USE int helper_start(struct helper *helper, const char *mountpoint);
/* Never waits: only one request may be under way. */
MUST_USE int helper_send(struct helper *helper, const struct announcer_request *request);
/* Takes the answer, which must be there.  -EPIPE: the helper is gone. */
MUST_USE int helper_receive(struct helper *helper, struct announcer_reply *ret);
/* Kills it and waits for its end, at most five seconds: longer takes only one that is inside a
 * request to a mount that is still there.  Returns what waitpid said, 0 for none. */
int helper_end(struct helper *helper);

#endif
