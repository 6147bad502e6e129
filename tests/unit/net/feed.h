/*
 * feed.h -- the engine behind the login, fed from memory, and a log of its events.
 */
#ifndef FEED_H
#define FEED_H

#include "conn.h"

struct feed {
    struct imap im; /* first: the fill callback finds the rest */
    const char *input;
    size_t len, pos;
    size_t step;    /* octets handed out at a time; 0: all */
    struct str log; /* one word for each event, separated by "; " */
};

/* `caps` as enum imap_cap.  The input is borrowed. */
void feed_init(struct feed *feed, const char *input, size_t len, size_t step, uint32_t caps);
/* imap_wait without the writing: there is no socket. */
int feed_wait(struct feed *feed, struct imap_result *result);
void feed_release(struct feed *feed);

#endif
