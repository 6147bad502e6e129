/*
 * in_use.h -- the folders the user has been in lately, and which of them are watched.
 *
 * Pure tables of inodes and times; no lock, the caller's.
 */
#ifndef MAILMOUNT_IN_USE_H
#define MAILMOUNT_IN_USE_H

#include <stdint.h>

#include "util.h"

#define IN_USE_MAX     16
#define IN_USE_MS      (10 * 60 * 1000) /* after this a folder is no longer in use */
#define IN_USE_HOLD_MS (10 * 1000)      /* so long a watcher stays with a folder at least */

struct in_use {
    struct {
        uint64_t ino; /* 0: free */
        int64_t at_ms;
    } folders[IN_USE_MAX];
};

/* The user is in this folder; the longest unused is forgotten for it. */
void in_use_note(struct in_use *in_use, uint64_t ino, int64_t now_ms);

struct in_use_watch {
    uint64_t ino; /* watched now; 0: none */
    int64_t since_ms;
};
/* Gives the n watches the folders used last, without `except`.  A watch keeps a folder that is
 * still among them, and any other for IN_USE_HOLD_MS.  Returns how many have changed. */
unsigned in_use_assign(const struct in_use *in_use, uint64_t except, int64_t now_ms,
                       struct in_use_watch *watches, unsigned n);

#endif
