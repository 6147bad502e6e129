/*
 * search_internal.h -- shared by search.c (the asker's side), search_work.c (the worker's) and
 * search_write.c (output).
 */
#ifndef MAILMOUNT_SEARCH_INTERNAL_H
#define MAILMOUNT_SEARCH_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "imap.h"
#include "search.h"
#include "store.h"
#include "uidset.h"

#define SEARCH_BATCH                                                                               \
    4                  /* folders in one job and one pipeline: an open waits no longer than these  \
                        */
#define SEARCH_LANES 4 /* jobs at one time */

struct search_hit {
    uint64_t ino;
    int64_t date;
};

struct search_target { /* a folder */
    uint64_t ino;
    char *path, *raw; /* owned */
    /* Written by the worker that has the target in its lane, read when the lane is idle: */
    bool done; /* uids are the answer */
    uint32_t uidvalidity;
    struct uidset uids;
    /* Of the asker: */
    struct search_hit *hits; /* owned */
    size_t n_hits;
};

/* One job under way: a batch of targets to be searched, or one folder to be listed. */
struct search_lane {
    struct waiter waiter;
    struct search *search;
    size_t targets[SEARCH_BATCH];
    unsigned n;
    bool busy;  /* protected by search.mutex */
    int status; /* protected by search.mutex: of the job, when not busy */
};

/* Freed with its last reference: the asker's, and for each job under way the job's and the
 * waiter's.  So an asker that goes away leaves a worker what it works on. */
struct search {
    atomic_uint refs;
    struct view *view; /* for the asker alone */
    struct query query;
    struct search_target *targets;
    size_t n_targets, alloc_targets;
    size_t base_len;        /* of the searched directory's path, with its slash */
    size_t root_len;        /* of the mount's root, likewise */
    atomic_bool stopped;    /* nobody wants it any more */
    _Atomic uint64_t found; /* UIDs so far */
    pthread_mutex_t mutex;
    pthread_cond_t changed;      /* a lane is idle again */
    int failure;                 /* protected by mutex: the first */
    struct errtext failure_text; /* protected by mutex */
    struct search_lane lanes[SEARCH_LANES];
};

void search_ref(struct search *search);
void search_unref(struct search *search);
/* Remembers the first failure (r < 0) and ends the search. */
void search_fail(struct search *search, int r, const char *format, ...) PRINTF(3, 4);

#endif
