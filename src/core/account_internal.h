/*
 * account_internal.h -- struct account, shared by account.c (life), state.c (what it is like),
 * worker.c (threads and jobs), connect.c (connections), keeper.c (what happens by the clock),
 * watch.c (push) and refresh.c (the folder list).  Nobody else includes it.
 */
#ifndef MAILMOUNT_ACCOUNT_INTERNAL_H
#define MAILMOUNT_ACCOUNT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "account.h"
#include "bodies.h"
#include "imap.h"
#include "in_use.h"
#include "store.h"

#define WORKERS_MAX 10
#define LOOSE_MAX   16

struct worker {
    struct account *account;
    unsigned index;
    int wake_fd; /* eventfd: ends its waiting (watch.h); -1: none */
    pthread_t thread;
    bool started;
    /* The worker's own thread alone uses these: */
    struct imap *im;                /* NULL: not connected */
    struct imap_counters published; /* what of im's counters is in the account's totals */
    struct imap_result enable;      /* of ENABLE, sent after the login */
    bool enable_sent;
    bool notify_set;         /* NOTIFY is in force on this connection */
    bool fresh_view;         /* IDLE has just brought the selected mailbox up to date */
    unsigned watch_failures; /* listings of the watched folder that failed in a row */
    int64_t watch_again_ms;  /* and when it may be tried again */
    int64_t worked_ms;       /* the end of its last job */
    /* Read by other workers when they decide who takes a job: */
    atomic_bool idle, connected;
    _Atomic uint64_t selected;  /* folder inode, 0: none */
    _Atomic uint64_t watch_ino; /* folder in use that it is to idle on when spare; 0: none */
    /* Set by the keeper, taken back by the worker: the connection is not believed before it has
     * answered. */
    atomic_bool check;
    _Atomic enum connection_state state; /* for status alone */
    _Atomic int64_t state_since_ns;
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

    _Atomic uint32_t server_caps;  /* of the last login */
    _Atomic uint32_t refused_caps; /* IDLE, NOTIFY: offered and refused */
    _Atomic uint64_t inbox_ino;    /* 0: not known yet */
    /* The workers with a smaller index may be connected: what the server takes (connect.h). */
    _Atomic unsigned taken;

    struct worker workers[WORKERS_MAX];
    unsigned n_workers;                       /* connections= */
    struct in_use_watch watches[WORKERS_MAX]; /* the keeper's */
    pthread_t keeper;
    bool keeper_started;

    pthread_mutex_t mutex;
    pthread_cond_t wake_keeper;
    bool stopping;                /* protected by mutex */
    struct secret *secret;        /* protected by mutex; replaced as a whole */
    enum account_state state;     /* protected by mutex */
    int last_error;               /* protected by mutex: 0 or -errno, for jobs while not ONLINE */
    struct errtext last_text;     /* protected by mutex */
    int64_t state_since_ns;       /* protected by mutex */
    unsigned failures;            /* protected by mutex: connects failed in a row */
    int64_t next_attempt_ms;      /* protected by mutex */
    bool asked_to_wait;           /* protected by mutex: next_attempt_ms is the server's wish */
    unsigned taken_failures;      /* protected by mutex: the server wanted fewer, in a row */
    int64_t taken_again_ms;       /* protected by mutex: when one more is tried */
    struct account_outage outage; /* protected by mutex */
    bool recovering;              /* protected by mutex: outage.recovered_ns is due */
    bool refreshed;               /* protected by mutex: the folder list is, meanwhile */
    uint64_t logins_failed, connections_lost; /* protected by mutex */
    char alert[512];                          /* protected by mutex */
    int64_t alert_ns;                         /* protected by mutex */
    struct in_use in_use;                     /* protected by mutex: folders the user is in */
    int64_t next_refresh_ms;                  /* protected by mutex */
    unsigned unanswered; /* folders without STATUS on a fresh connection; one refresh at a time */
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
void account_add_loose(struct account *a, uint64_t ino, struct body *body); /* takes it over */

/* ---- state.c */
void account_set_online(struct account *a, const struct imap *im);
/* Notes the failure, plans the next attempt, fails what is queued.  r < 0 as of imap_connect;
 * `failure` and `err` as it filled them. */
void account_set_offline(struct account *a, int r, const struct imap_failure *failure,
                         const struct errtext *err);
/* 0 when a connection may be tried or used now, else the error that jobs get. */
int account_may_connect(struct account *a);
/* The server has refused a command and wants to be left alone for wait_ms: as offline meanwhile,
 * but the connections stay.  r: the command's status. */
void account_pause(struct account *a, int r, int64_t wait_ms, const struct errtext *err);
/* A job has worked: the account is online, should it not have been. */
void account_worked(struct account *a);
/* Looks whether the listings are up to date again after an outage. */
void account_note_recovery(struct account *a);
/* The status waiters get for an error of net or data. */
int account_status(int r);
uint32_t random_u32(void); /* for jitter */

/* ---- worker.c */
void worker_set_state(struct worker *w, enum connection_state state);
MUST_USE int workers_start(struct account *a);
void workers_join(struct account *a);

#endif
