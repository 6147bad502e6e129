/*
 * watch.h -- push: a worker that listens to the server while it has nothing to do.
 *
 * Which workers watch depends on how many connections the server takes (connect.h), on what it
 * can, and on push=:
 *
 *   connections   server has NOTIFY                    server has IDLE only
 *   1             the only worker idles on INBOX between its jobs (both cases)
 *   2 and more    worker 1 listens (NOTIFY)            worker 1 idles on INBOX
 *   3 and more    worker 2 idles on INBOX              worker 2 and those above idle, when they
 *                                                      have nothing else to do, on the folders
 *                                                      that were opened in the last minutes
 *
 * Worker 0 is always there for the user.  What the others do does not change when one more is
 * taken or one less.
 *
 * An idler takes the listings of its folder itself: its connection has the folder open, and news of
 * it becomes visible one round trip after DONE.  Where all other workers are busy, it helps out.  A
 * listener has nothing selected; it takes no jobs and queues a listing for each folder that the
 * server names.  A watcher without IDLE or NOTIFY is a worker like the others.  RFC 2177, RFC 5465.
 */
#ifndef MAILMOUNT_WATCH_H
#define MAILMOUNT_WATCH_H

#include "account_internal.h"

/* Before threads start: eventfds. */
MUST_USE int watch_init(struct account *a);
void watch_release(struct account *a);

/* Whether this worker watches when it has nothing to do, as far as is known yet. */
bool watch_is_watcher(const struct worker *w);
bool watch_is_listener(const struct worker *w);
/* May run under the queue's mutex. */
bool watch_may_take(const struct worker *w, const struct job *job);
/* The folder this worker idles on, 0 for none.   May run under the queue's mutex. */
uint64_t watch_folder(const struct worker *w);

/* Forgets earlier wake-ups; to be called before the queue is looked at. */
void watch_drain(struct worker *w);
/* Waits for news of the server or a job for this worker; returns after either, or after some
 * time.  The worker's thread. */
void watch_wait(struct worker *w);
/* What came of a listing: a watched folder that cannot be listed is not tried in a tight loop.  The
 * worker's thread. */
void watch_listed(struct worker *w, uint64_t folder, int r);
/* Gives the folders in use to the spare workers.  The keeper's. */
void watch_assign(struct account *a);

#endif
