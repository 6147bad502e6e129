/*
 * account_internal.h -- struct account, shared by account.c (life and state), worker.c (threads
 * and jobs), watch.c (push) and refresh.c (the folder list).  Nobody else includes it.
 */
#ifndef MAILMOUNT_ACCOUNT_INTERNAL_H
#define MAILMOUNT_ACCOUNT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "account.h"
#include "bodies.h"
#include "imap.h"
#include "store.h"

#define WORKERS_MAX 10
#define LOOSE_MAX   16

/* Which workers may watch is settled at the start, what they do by the server (watch.h). */
enum watch_role { WATCH_NEVER, WATCH_LAST, WATCH_BEFORE_LAST };
enum watch_duty { DUTY_NONE, DUTY_IDLE, DUTY_LISTEN };

struct worker {
    struct account *account;
    unsigned index;
    enum watch_role role;
    int wake_fd; /* eventfd of a watcher; -1: none */
    pthread_t thread;
    bool started;
    /* The worker's own thread alone uses these: */
    struct imap *im;                /* NULL: not connected */
    struct imap_counters published; /* what of im's counters is in the account's totals */
    struct imap_result enable;      /* of ENABLE, sent after the login */
    bool enable_sent;
    bool notify_set; /* NOTIFY is in force on this connection */
    bool fresh_view; /* IDLE has just brought the selected mailbox up to date */
    /* Read by other workers when they decide who takes a job: */
    atomic_bool idle, connected;
    _Atomic uint64_t selected;        /* folder inode, 0: none */
    _Atomic int64_t retired_until_ms; /* the server had too many of us */
};

struct account {
    const struct settings *settings;
    struct store *store;
    struct bodies *bodies;
    struct queue *queue;
    struct news_listener news; /* set before threads start */
    int interrupt_fd;          /* eventfd, readable when all must end; -1: none */
    char *prefix;              /* of the personal namespace; NULL: not asked yet.  Used by refresh
                                * alone, of which one runs at a time */

    _Atomic uint32_t server_caps; /* of the last login; NOTIFY goes when it was refused */
    _Atomic uint64_t inbox_ino;   /* 0: not known yet */

    struct worker workers[WORKERS_MAX];
    unsigned n_workers;
    pthread_t keeper;
    bool keeper_started;

    pthread_mutex_t mutex;
    pthread_cond_t wake_keeper;
    bool stopping;            /* protected by mutex */
    struct secret *secret;    /* protected by mutex; replaced as a whole */
    enum account_state state; /* protected by mutex */
    int last_error;           /* protected by mutex: 0 or -errno, for jobs while not ONLINE */
    struct errtext last_text; /* protected by mutex */
    unsigned failures;        /* protected by mutex: connects failed in a row */
    int64_t next_attempt_ms;  /* protected by mutex */
    int64_t next_refresh_ms;  /* protected by mutex */
    uint64_t bytes_up, bytes_down, commands, bodies_fetched, logins; /* protected by mutex */
    char mechanism[32];                                              /* protected by mutex */
    bool has_quota;                                                  /* protected by mutex */
    uint64_t quota_used, quota_limit;                                /* protected by mutex */
    struct {
        uint64_t ino;
        struct body *body;
    } loose[LOOSE_MAX]; /* protected by mutex; oldest first */
};

/* ---- account.c */
void account_set_online(struct account *a, const struct imap *im);
/* Notes the failure, plans the next attempt, fails what is queued.  r < 0 as of imap_connect. */
void account_set_offline(struct account *a, int r, const struct errtext *err);
/* 0 when a connection may be tried now, else the error that jobs get. */
int account_may_connect(struct account *a);
void account_add_loose(struct account *a, uint64_t ino, struct body *body); /* takes it over */
/* The status waiters get for an error of net or data. */
int account_status(int r);

/* ---- worker.c */
/* Errors as of imap_connect; -EALREADY: not tried, as another worker has just failed or all ends.
 */
MUST_USE int worker_connect(struct worker *w, struct errtext *err);
void worker_disconnect(struct worker *w);
/* A connection, old or new; else why not, as waiters are told. */
MUST_USE int worker_have_connection(struct worker *w);
void worker_publish(struct worker *w); /* adds what the connection counted to the totals */
MUST_USE int workers_start(struct account *a);
void workers_join(struct account *a);

#endif
