/*
 * control.h -- the control socket between verbs and the daemon.
 *
 * Protocol: the client sends one line, `VERB ARG...` (arguments percent-encoded, separated by
 * single spaces, at most 64 KiB).  The daemon answers with frames and closes:
 *     out N\n + N bytes               for standard output
 *     err N\n + N bytes               for standard error
 *     progress DONE TOTAL N\n + N bytes   how far it is (TOTAL 0: unknown), and with what
 *     alive\n                         nothing to say yet
 *     exit N\n                        the last one: the verb's exit code
 * Socket 0600 in a directory 0700; each side checks that the other has its uid or is root
 * (SO_PEERCRED).  A client has 10 s to send its request, and no pause of 10 s in taking the answer:
 * a slow one, or one that sends garbage, holds up nobody but itself.
 */
#ifndef MAILMOUNT_CONTROL_H
#define MAILMOUNT_CONTROL_H

#include "str.h"

#define CONTROL_REQUEST_MAX  65536
#define CONTROL_ANSWER_MAX   ((size_t)256 << 20) /* what a client collects */
#define CONTROL_ARGS_MAX     256
#define CONTROL_REQUESTS_MAX 32 /* answered at one time; more wait to be accepted */

struct control;

/* ---- the daemon's side */

struct reply; /* one request being answered; used by the thread that answers it, and no other */

/* For the client's standard output and standard error, sent at once.  0; -EPIPE: nobody takes it
 * any more, and the verb should end; -ENOMEM. */
MUST_USE int reply_text(struct reply *reply, const char *data, size_t n);
MUST_USE int reply_printf(struct reply *reply, const char *format, ...) PRINTF(2, 3);
MUST_USE int reply_error(struct reply *reply, const char *format, ...) PRINTF(2, 3);
/* `done` of `total` (0: not known) of `what`, for a progress bar; may be called as often as
 * anything changes: at most ten a second are sent, and the first and the last. */
MUST_USE int reply_progress(struct reply *reply, const char *what, uint64_t done, uint64_t total);
/* Waits up to `ms` (0: only looks); true as soon as the client is gone or the daemon ends.  To be
 * called at least every 30 s by a verb that waits: it also tells the client that we live. */
bool reply_gone(struct reply *reply, int ms);

/* Answers one request; returns the exit code.  Called on a thread of the request's own; argv[0] is
 * the verb, argv[argc] is NULL. */
typedef int control_fn(void *ctx, int argc, char **argv, struct reply *reply);

/* Makes the directory and the socket (replacing a dead one) and starts listening.  The path may
 * be longer than a socket address.  -EADDRINUSE: a daemon answers there already. */
MUST_USE int control_start(const char *path, control_fn *fn, void *ctx, struct control **ret,
                           struct errtext *err);
/* Removes the socket and ends: every reply_gone says so; what is under way may still be sent (1 s
 * at most), so a request may make another thread call this; `fn` itself may not.  NULL is fine. */
void control_stop(struct control *control);

/* ---- the client's side */

/* What comes, as it comes; each may be NULL.  Nonzero: stop, control_stream returns it. */
struct control_sink {
    void *ctx;
    int (*out)(void *ctx, const char *data, size_t n);
    int (*err)(void *ctx, const char *data, size_t n);
    int (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
};

/* -ENOENT, -ECONNREFUSED: nobody listens there; -EPERM: not ours; -ETIMEDOUT: silence for 60 s;
 * -EPROTO: not an answer, or one without its end; -E2BIG: too long a request; or the sink's own. */
MUST_USE int control_stream(const char *path, int argc, const char *const *argv,
                            const struct control_sink *sink, int *ret_exit);
/* The same, with output and errors appended to `out` in the order in which they came. */
MUST_USE int control_call(const char *path, int argc, const char *const *argv, struct str *out,
                          int *ret_exit);

#endif
