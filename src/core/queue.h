/*
 * queue.h -- jobs for the account's workers, and who waits for them.
 *
 * A job is known by what it is and by the inode it is about; asking twice gives one job with two
 * waiters.  A waiter is called exactly once, or taken back by queue_cancel and then never.
 * Foreground jobs (somebody waits) come before background ones, in the order of asking.
 *
 * Threads: any; everything is protected by the queue's mutex, no callback runs under it.
 */
#ifndef MAILMOUNT_QUEUE_H
#define MAILMOUNT_QUEUE_H

#include <stdint.h>

#include "util.h"

enum job_kind {
    JOB_BODY,    /* fetch the body of message `ino` */
    JOB_LISTING, /* bring the listing of folder `ino` up to date */
    JOB_REFRESH, /* LIST, STATUS, quota of the whole account; ino 0 */
    JOB_SEARCH,  /* some folders of a search; ino: a number of its own */
    JOB_KINDS,
};

struct job;

/* Embedded in what waits.  `done` is called on a worker's thread without locks; the waiter is
 * the caller's again from that moment on. */
struct waiter {
    void (*done)(struct waiter *waiter, int status);
    /* A job that was taken at this moment or before (clock_mono_ms) tells this waiter nothing new:
     * it runs once more for it.  0: any run counts. */
    int64_t since_ms;
    /* private, protected by the queue's mutex */
    struct job *job;
    bool later; /* waits for the run after the one under way */
    struct waiter *prev, *next;
};

struct job {
    enum job_kind kind;
    uint64_t ino;
    uint64_t folder; /* of JOB_BODY: the message's folder */
    uint64_t size;   /* of JOB_BODY: bytes expected */
    void *data;      /* of JOB_SEARCH: what to do; borrowed until `release` */
    /* Called once when the job is no more, done or not; may be NULL.  Perhaps under the queue's
     * mutex: it frees and does nothing else. */
    void (*release)(void *data);
    /* private to queue.c */
    struct queue_entry *entry;
};

struct queue;

MUST_USE int queue_new(struct queue **ret);
void queue_free(struct queue *queue); /* no job and no waiter may be left: queue_close first */

/* Adds the waiter to the job of this kind and inode, which is made if there is none.
 * waiter NULL: background work; asked for while the job is running, it runs once more, because
 * what it has read may be older than the reason for asking.  -ESHUTDOWN after queue_close,
 * -ENOMEM. */
MUST_USE int queue_add(struct queue *queue, const struct job *job, struct waiter *waiter);

/* Takes a waiter back.  True: it will not be called.  False: it was called, is about to be, or was
 * never added. */
bool queue_cancel(struct queue *queue, struct waiter *waiter);

/* Which kinds a worker may take now; may be called under the queue's mutex only. */
typedef bool queue_may_take_fn(void *ctx, const struct job *job, const unsigned running[JOB_KINDS]);

/* Waits up to timeout_ms for jobs and takes the first that may be taken; of JOB_BODY also
 * further ones of the same folder, up to `max` jobs and about max_bytes.  Returns the number, 0 at
 * the time-out or after queue_poke, -ESHUTDOWN after queue_close.  Taken jobs run until
 * queue_finish. */
MUST_USE int queue_take(struct queue *queue, queue_may_take_fn *may_take, void *ctx, int timeout_ms,
                        struct job *jobs, int max, uint64_t max_bytes);
/* For a thread that waits elsewhere (a connection in IDLE) than in queue_take: the eventfd is made
 * readable when a job is added for which `wants` is true (called under the queue's mutex), and by
 * queue_close.  Before threads start; at most QUEUE_WAKE_MAX. */
#define QUEUE_WAKE_MAX 10
typedef bool queue_wants_fn(void *ctx, const struct job *job);
void queue_add_wake_fd(struct queue *queue, int fd, queue_wants_fn *wants, void *ctx);
/* Something else than a job has changed: whoever waits in queue_take looks up.  The eventfds are
 * left alone. */
void queue_poke(struct queue *queue);
/* Ends a taken job and calls its waiters with the status (0 or -errno). */
void queue_finish(struct queue *queue, const struct job *job, int status);
/* Gives a taken job back, to be taken again by any worker. */
void queue_return(struct queue *queue, const struct job *job);
/* Ends all jobs that nobody has taken yet (account offline). */
void queue_fail_all(struct queue *queue, int status);

/* Every waiter of a job not taken is called with -ESHUTDOWN; queue_take and queue_add refuse. */
void queue_close(struct queue *queue);

/* Jobs waiting and running. */
void queue_count(struct queue *queue, unsigned *ret_waiting, unsigned *ret_running);

/* Whether a job of this kind waits or runs. */
bool queue_has(struct queue *queue, enum job_kind kind);

#endif
