/*
 * connect.h -- a worker's connection, and how many of them the server takes.
 *
 * DESIGN.  `taken` workers may be connected, those with the smallest indexes; at first all.  When
 * the server refuses one more while others work, `taken` sinks to what is connected, and a worker
 * above it gives its connection up.  So the account goes on with what it has, whichever workers
 * had it: what a worker does (jobs, watching) follows from its index and `taken`.  After the
 * back-off one more is tried (the keeper raises `taken`), and so on up to `connections=`.
 */
#ifndef MAILMOUNT_CONNECT_H
#define MAILMOUNT_CONNECT_H

#include "account_internal.h"

/* Connects and logs in.  Errors as of imap_connect, and `ret_failure` as it filled it; -EALREADY:
 * not tried, as another worker has just failed or all ends. */
MUST_USE int worker_connect(struct worker *w, struct imap_failure *ret_failure,
                            struct errtext *err);
void worker_disconnect(struct worker *w);
/* A connection, old or new; an old one that is to be checked has answered a NOOP.  *ret_fresh: it
 * is new.  -EBUSY: the server takes no more, or others of ours are tried: this worker rests.  Other
 * errors are as waiters are told. */
MUST_USE int worker_have_connection(struct worker *w, bool *ret_fresh);
/* After each job: adds what the connection counted to the account's totals, notes what the server
 * said to the user, and keeps quiet for a while when it has asked for that. */
void worker_publish(struct worker *w);

unsigned connect_count(const struct account *a);
/* Whether this worker is above what the server takes. */
bool connect_is_retired(const struct worker *w);
/* Whether it has a connection or may make one now, going by the numbers.  Any thread. */
bool connect_may(const struct worker *w);
/* `n` (1 or more) connections are enough for wait_ms. */
void connect_take_fewer(struct account *a, unsigned n, int64_t wait_ms);
/* All workers look up: something about connections has changed. */
void connect_wake_all(struct account *a);
/* Raises `taken` by one when its time has come.  The keeper's. */
void connect_take_more(struct account *a);

#endif
