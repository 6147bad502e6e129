/*
 * control.h -- the control socket between verbs and the daemon.
 *
 * Protocol: the client sends one line, `VERB ARG...` (arguments percent-encoded, separated by
 * single spaces, at most 64 KiB), and the daemon answers `exit N\n`, text, end of file.  Socket
 * 0600 in a directory 0700; each side checks that the other has its uid or is root (SO_PEERCRED).
 * A client has 10 s to send its request and 10 s to take the answer: one that is slow, or sends
 * garbage, holds up others for that long at most.
 */
#ifndef MAILMOUNT_CONTROL_H
#define MAILMOUNT_CONTROL_H

#include "str.h"

#define CONTROL_REQUEST_MAX 65536
#define CONTROL_ANSWER_MAX  ((size_t)64 << 20)
#define CONTROL_ARGS_MAX    256

struct control;

/* Answers one request: appends to `out` (CONTROL_ANSWER_MAX at most), returns the exit code.
 * Called on the control thread, one request at a time; argv[0] is the verb, argv[argc] is NULL. */
typedef int control_fn(void *ctx, int argc, char **argv, struct str *out);

/* Makes the directory and the socket (replacing a dead one) and starts the thread.  The path may
 * be longer than a socket address.  -EADDRINUSE: a daemon answers there already. */
MUST_USE int control_start(const char *path, control_fn *fn, void *ctx, struct control **ret,
                           struct errtext *err);
/* Ends the thread, removes the socket.  An answer under way is still sent (1 s at most), so a
 * request may make another thread call this; `fn` itself may not.  NULL is fine. */
void control_stop(struct control *control);

/* Client side.  -ENOENT, -ECONNREFUSED: nobody listens there; -EPERM: not ours; -ETIMEDOUT: no
 * answer for 60 s; -EPROTO: not an answer; -E2BIG: too long a request. */
MUST_USE int control_call(const char *path, int argc, const char *const *argv, struct str *out,
                          int *ret_exit);

#endif
