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
 * reason; the keeper thread tries to connect again, as backoff.h says, and at once after a suspend
 * or a network change.  OFFLINE is also the time for which the server has asked to be left alone.
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

/* Whom to tell; before anything else is asked for. */
void account_set_listener(struct account *account, const struct news_listener *news);
/* Whether there are folders to show without the server. */
bool account_has_cache(struct account *account);
/* Connects, logs in, reads the folder list, then starts the threads.  The secret is taken over.
 * What is asked for meanwhile waits for the outcome.
 * With the setting `offline`, or where the server is unreachable and the cache has folders, 0 as
 * well: then `err` holds why the account is offline, else "".
 * Errors as in imap.h; `err` says it in one line. */
MUST_USE int account_start(struct account *account, struct secret *secret, struct errtext *err);
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
/* A batch of a search, see search_work.h; released with the job.  On failure it is still the
 * caller's. */
struct search_lane;
MUST_USE int account_search(struct account *account, struct search_lane *lane,
                            void (*release)(void *lane), struct waiter *waiter);
/* The user is in this folder: it is watched as connections allow. */
void account_folder_used(struct account *account, uint64_t folder);
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

enum connection_state {
    CONNECTION_CLOSED,     /* not needed now */
    CONNECTION_CONNECTING, /* up to the login */
    CONNECTION_READY,      /* logged in, nothing to do */
    CONNECTION_BUSY,       /* at a job */
    CONNECTION_IDLING,     /* IDLE on `folder` */
    CONNECTION_LISTENING,  /* NOTIFY */
    CONNECTION_RETIRED,    /* the server takes no more of us: until the next attempt */
};
/* "closed", "connecting", "ready", "busy", "idling", "listening", "retired" */
const char *connection_state_name(enum connection_state state);

struct account_connection {
    enum connection_state state;
    bool connected;
    uint64_t folder;         /* selected; 0: none */
    int64_t since_ns;        /* CLOCK_REALTIME: when this state began; 0: never was in another */
    int64_t next_attempt_ms; /* of RETIRED, CLOCK_MONOTONIC; 0: none planned */
};

/* A time without a working connection: from the first attempt that failed to listings that are up
 * to date again.  (A lost connection that is made again at once is none.) */
struct account_outage {
    int64_t began_ns;     /* CLOCK_REALTIME; 0: there has been none */
    int64_t ended_ns;     /* a login worked; 0: not yet */
    int64_t recovered_ns; /* and all that changed meanwhile is listed; 0: not yet */
};

struct account_snapshot {
    enum account_state state;
    char error[512];         /* why OFFLINE or REFUSED; "" otherwise */
    int64_t since_ns;        /* CLOCK_REALTIME: when this state began */
    int64_t next_attempt_ms; /* CLOCK_MONOTONIC; 0: none planned */
    unsigned failures;       /* attempts that failed in a row */
    uint64_t bytes_up, bytes_down, commands, bodies_fetched, logins;
    uint64_t logins_failed;       /* attempts to connect or log in that failed */
    uint64_t connections_lost;    /* broken after the login, for whatever reason */
    struct account_outage outage; /* the last one, or the one that lasts */
    unsigned jobs_waiting, jobs_running;
    unsigned n_connections;     /* valid entries below: `connections=` */
    unsigned connections_taken; /* of these, that the server takes as far as we know */
    char alert[512];            /* last ALERT of the server (RFC 3501 7.1), "" for none */
    int64_t alert_ns;           /* CLOCK_REALTIME */
    struct account_connection connections[10];
    char mechanism[32]; /* how the last login was made */
};
void account_snapshot(struct account *account, struct account_snapshot *ret);

#endif
