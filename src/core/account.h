/*
 * account.h -- one account: its workers, their connections, its state.
 *
 *               login works                      connection fails
 *   STARTING ---------------> ONLINE ------------------------------> OFFLINE
 *     account_start     set_online() <----- keeper tries again ----- set_offline()
 *                                                                     | login refused
 *                                                                     v
 *                                                                   REFUSED (slow retries)
 *
 * Work is asked for with a waiter (queue.h) and done by workers, each with a connection of its
 * own, made when there is something to do.  While OFFLINE or REFUSED, jobs fail at once with the
 * reason; the keeper thread tries to connect again, with jittered back-off from 5 s to 15 min.
 * A stalled folder is a time-out of its job, not the end of the account.
 *
 * Status given to waiters: 0 or
 *   -ENETUNREACH server not to be reached   -ETIMEDOUT no progress   -EKEYEXPIRED login refused
 *   -ENOENT gone   -EACCES refused   -EIO nonsense   -ENOSPC disk full   -ESHUTDOWN unmounting
 *
 * Threads: account_start makes workers and keeper; all functions may be called from any thread.
 */
#ifndef MAILMOUNT_ACCOUNT_H
#define MAILMOUNT_ACCOUNT_H

#include "news.h"
#include "queue.h"
#include "secret.h"
#include "settings.h"

struct account;
struct store;
struct bodies;
struct body;

enum account_state { ACCOUNT_STARTING, ACCOUNT_ONLINE, ACCOUNT_OFFLINE, ACCOUNT_REFUSED };

/* Once per process, before threads: what the libraries below need. */
MUST_USE int account_global_init(void);

/* Opens store and body store.  `settings` stays borrowed.  No thread, no network yet. */
MUST_USE int account_new(const struct settings *settings, struct account **ret,
                         struct errtext *err);
/* After account_stop. */
void account_free(struct account *account);

/* Connects, logs in, reads the folder list, then starts the threads.  The secret is taken over.
 * With the setting `offline`, or where the server is unreachable and the cache has folders, 0 as
 * well: then `err` holds why the account is offline, else "".
 * Errors as in imap.h; `err` says it in one line. */
MUST_USE int account_start(struct account *account, struct secret *secret,
                           const struct news_listener *news, struct errtext *err);
/* Makes an account_start that waits for the server fail with -ECANCELED; account_stop follows.
 * Any thread. */
void account_interrupt(struct account *account);
/* Ends all work: waiters get -ESHUTDOWN, sockets are interrupted, threads joined. */
void account_stop(struct account *account);

/* ---- work */

/* The folder's first listing, or a new one. */
MUST_USE int account_list_folder(struct account *account, uint64_t folder, struct waiter *waiter);
MUST_USE int account_fetch_body(struct account *account, uint64_t folder, uint64_t ino,
                                uint64_t size, struct waiter *waiter);
/* As queue_cancel. */
bool account_cancel(struct account *account, struct waiter *waiter);
/* A body just fetched, while its waiters are called: the first to ask gets it.  For those that
 * could not be kept (disk full) or were evicted at once. */
struct body *account_take_loose_body(struct account *account, uint64_t ino);

/* Passes news upward for a change made outside of a job. */
void account_tell_changed(struct account *account, uint64_t ino);

/* ---- state */

const struct settings *account_settings(const struct account *account);
struct store *account_store(const struct account *account);
struct bodies *account_bodies(const struct account *account);
/* Bytes used and allowed; false where the server names no quota. */
bool account_quota(struct account *account, uint64_t *ret_used, uint64_t *ret_limit);

struct account_connection {
    bool connected;
    uint64_t folder; /* selected; 0: none */
};

struct account_snapshot {
    enum account_state state;
    char error[512];         /* why OFFLINE or REFUSED; "" otherwise */
    int64_t next_attempt_ms; /* CLOCK_MONOTONIC; 0: none planned */
    uint64_t bytes_up, bytes_down, commands, bodies_fetched, logins;
    unsigned jobs_waiting, jobs_running;
    unsigned n_connections; /* valid entries below */
    struct account_connection connections[10];
    char mechanism[32]; /* how the last login was made */
};
void account_snapshot(struct account *account, struct account_snapshot *ret);

#endif
