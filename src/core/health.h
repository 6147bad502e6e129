/*
 * health.h -- how each folder fares: figures since the daemon started, in memory only.
 *
 * A folder is known by its inode.  At most HEALTH_MAX are kept; of others only the totals count.
 * Times are nanoseconds since 1970 (0: never), durations milliseconds, sizes bytes on the wire.
 * Any thread; the mutex of the table is the last to be taken and held across nothing.
 */
#ifndef MAILMOUNT_HEALTH_H
#define MAILMOUNT_HEALTH_H

#include <stdint.h>

#include "util.h"

#define HEALTH_MAX      20000
#define HEALTH_TEXT_MAX 512 /* of an error; no control characters */

struct health;

/* What came of bringing one folder's listing up to date. */
struct health_run {
    int status;        /* 0: complete; else -errno */
    const char *error; /* why not; NULL or "": the text of status */
    const char *level; /* how agreement was reached ("qresync" ...): a string constant; NULL: not
                          known */
    int64_t duration_ms;
    uint64_t bytes_down, bytes_up;
};

/* The same, for status; all zero for a folder that nothing has happened to. */
struct health_folder {
    uint64_t tried, completed, failed;
    int64_t last_success_ns;       /* when the last complete one ended, since the start */
    int64_t last_duration_ms;      /* of the last complete one; -1: there was none */
    uint64_t bytes_down, bytes_up; /* of all of them */
    int64_t last_error_ns;
    char last_error[HEALTH_TEXT_MAX]; /* stays until the next complete one; "" then */
    const char *level;                /* of the last complete one; NULL: not known */
    uint64_t comparisons;             /* full comparisons with the server, made to be sure */
    uint64_t differences; /* messages or flags that were not as they should be, in them */
    int64_t last_comparison_ns;
};

struct health_totals {
    uint64_t tried, completed, failed;
    uint64_t comparisons, differences;
    uint64_t errors; /* everything that was reported as failed: listings, bodies, connections */
};

MUST_USE int health_new(struct health **ret);
void health_free(struct health *health); /* NULL is fine */

void health_listed(struct health *health, uint64_t folder, const struct health_run *run);
/* A full comparison has ended and found `differences`. */
void health_compared(struct health *health, uint64_t folder, uint64_t differences);
/* Something else than a listing failed. */
void health_failed(struct health *health);
/* The folder is gone. */
void health_forget(struct health *health, uint64_t folder);

void health_folder(struct health *health, uint64_t folder, struct health_folder *ret);
void health_totals(struct health *health, struct health_totals *ret);

#endif
