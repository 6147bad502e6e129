/*
 * watch.h -- push: a worker that listens to the server while it has nothing to do.
 *
 * Which workers watch depends on how many connections there may be and on what the server can:
 *
 *   connections   server has NOTIFY                         server has IDLE only
 *   1             the only worker idles on INBOX between its jobs (both cases)
 *   2             the last listens (NOTIFY)                 the last idles on INBOX
 *   3 and more    the last listens, the one before idles    the last idles on INBOX
 *
 * An idler takes the listings of INBOX itself: its connection has the folder open, and news of it
 * becomes visible one round trip after DONE.  Where all other workers are busy, it helps out.  A
 * listener has nothing selected; it takes no jobs and queues a listing for each folder that the
 * server names.  A watcher without IDLE or NOTIFY is a worker like the others.  RFC 2177, RFC 5465.
 */
#ifndef MAILMOUNT_WATCH_H
#define MAILMOUNT_WATCH_H

#include "account_internal.h"

/* Before threads start: eventfds, and which workers may watch. */
MUST_USE int watch_init(struct account *a);
void watch_release(struct account *a);

/* Whether this worker watches when it has nothing to do, as far as is known yet. */
bool watch_is_watcher(const struct worker *w);
bool watch_is_listener(const struct worker *w);
/* May run under the queue's mutex. */
bool watch_may_take(const struct worker *w, const struct job *job);
/* The folder this worker idles on, 0 for none.  May run under the queue's mutex. */
uint64_t watch_folder(const struct worker *w);

/* Forgets earlier wake-ups; to be called before the queue is looked at. */
void watch_drain(struct worker *w);
/* Waits for news of the server or a job for this worker; returns after either, or after some
 * time.  The worker's thread. */
void watch_wait(struct worker *w);

#endif
