/*
 * park.h -- requests kept unanswered until a worker has what they need.
 *
 * Parked may be only: LOOKUP and OPENDIR of a folder never listed, OPEN of a message whose body is
 * not here.  A parked request is answered once, by whoever takes it off: the worker that finished,
 * or the interruption.
 *
 * Interruption: the kernel sends INTERRUPT once a request, for any signal.  Answering EINTR blindly
 * would break programs on SIGCHLD or SIGWINCH, ignoring it would make a process that cannot be
 * killed.  So EINTR is answered only while HUP, INT, QUIT, TERM or KILL is pending for the caller
 * (/proc/TID/status); after an INTERRUPT for another signal the caller is looked at again ten
 * times a second, as no second INTERRUPT would come.
 */
#ifndef MAILMOUNT_PARK_H
#define MAILMOUNT_PARK_H

#include "fs_internal.h"

struct parks;

MUST_USE int parks_new(struct parks **ret);
void parks_free(struct parks *parks); /* after parks_stop, when nothing is parked */
/* The thread that looks at interrupted callers again. */
MUST_USE int parks_start(struct parks *parks);
void parks_stop(struct parks *parks);

/* Handles a request: answers it now, or parks it.  Takes over what it needs of `request`. */
void park_or_answer(struct fs *fs, const struct request *request);

#endif
