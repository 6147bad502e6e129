/*
 * control.h -- the control socket between verbs and the daemon.
 *
 * Protocol: the client sends one line, `VERB ARG...` (arguments percent-encoded, separated by
 * single spaces, at most 64 KiB), and the daemon answers `exit N\n`, text, end of file.  Socket
 * 0600; the peer must have our uid or be root (SO_PEERCRED).
 */
#ifndef MAILMOUNT_CONTROL_H
#define MAILMOUNT_CONTROL_H

#include "str.h"

struct control;

/* Answers one request: appends to `out`, returns the exit code.  Called on the control thread,
 * one request at a time; argv[0] is the verb. */
typedef int control_fn(void *ctx, int argc, char **argv, struct str *out);

/* Makes the socket (replacing a dead one) and starts the thread. */
MUST_USE int control_start(const char *path, control_fn *fn, void *ctx, struct control **ret,
                           struct errtext *err);
void control_stop(struct control *control); /* ends the thread, removes the socket */

/* Client side.  -ENOENT, -ECONNREFUSED: nobody listens there. */
MUST_USE int control_call(const char *path, int argc, const char *const *argv, struct str *out,
                          int *ret_exit);

#endif
