/*
 * background.h -- the daemon's birth: the command waits in the foreground until the child says
 * how it went.
 *
 * The child goes on in a session of its own; the parent stays to pass on the outcome, because
 * `mailmount ... && ls` must find a mount that answers.  Fork comes before any thread, database or
 * socket.
 */
#ifndef MAILMOUNT_BACKGROUND_H
#define MAILMOUNT_BACKGROUND_H

#include <pthread.h>
#include <stdatomic.h>

#include "util.h"

struct background {
    int report_fd; /* the child's end; -1: foreground, or already reported */
    /* private: the thread of background_watch */
    pthread_t thread;
    bool watching;
    atomic_bool done, interrupted;
    void (*interrupt)(void *ctx);
    void *ctx;
};

/* Foreground: nothing happens.  Else forks; only the child returns, the parent exits with what the
 * child reports (EXIT_OTHER when it dies before), after the mount point has answered. */
MUST_USE int background_begin(bool foreground, const char *mountpoint, struct background *ret,
                              struct errtext *err);
/* While the daemon starts, which may have to wait for the server: calls `interrupt` once, on a
 * thread of its own, when SIGHUP, SIGINT or SIGTERM arrives (the callers must have blocked them)
 * or the command in the foreground has been killed. */
MUST_USE int background_watch(struct background *background, void (*interrupt)(void *ctx),
                              void *ctx);
/* Ends that.  Returns whether there was an interruption: nothing may stay mounted then. */
bool background_unwatch(struct background *background);
/* The outcome, once: exit code and a line for standard error ("" for none).  Afterwards the
 * daemon's standard streams are /dev/null. */
void background_report(struct background *background, int exit_code, const char *line);

#endif
