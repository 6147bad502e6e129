/*
 * backoff.h -- what a failure means for the next attempt.  Pure: no clock, no I/O.
 *
 *   what happened                                   wait, with jitter            connections
 *   not reached, nonsense, no answer                5 s, doubled up to 15 min    what is left
 *   UNAVAILABLE, INUSE, LIMIT, too many             the same                     what is left, or 1
 *   login refused without a reason                  1 min, doubled up to 15 min
 *   AUTHENTICATIONFAILED, EXPIRED                   15 min
 *   CONTACTADMIN, SERVERBUG, CORRUPTION, ALERT,
 *   OVERQUOTA (Gmail's block for hours)             15 min
 *   `Suggested Backoff Time`                        at least that, up to 6 h
 *
 * Jitter: half of the wait is fixed, half random, so that many clients do not come back together;
 * a time that the server names is never shortened.  RFC 5530.
 */
#ifndef MAILMOUNT_BACKOFF_H
#define MAILMOUNT_BACKOFF_H

#include <stdint.h>

#include "util.h"

struct backoff_cause {
    int error;             /* -errno as of imap_connect, or a command's status */
    const char *code;      /* response code in upper case, "" for none */
    const char *text;      /* what the server said, "" for nothing */
    uint64_t suggested_ms; /* 0: it named no time */
    unsigned failures;     /* in a row, this one included: 1, 2, ... */
    unsigned connected;    /* other connections of the account that work */
};

struct backoff {
    int64_t wait_ms;      /* before the next attempt; > 0 */
    unsigned connections; /* so many are enough for now, >= 1; 0: no reason for fewer */
    bool refused;         /* the credential: trying again will hardly help */
    bool asked;           /* the server wants us to wait: nothing shortens it */
};

void backoff_decide(const struct backoff_cause *cause, uint32_t random, struct backoff *ret);

/* A command was refused: how long the whole account keeps quiet, in ms; 0: this is a matter of
 * that command alone. */
int64_t backoff_pause(const struct backoff_cause *cause, uint32_t random);

/* Whether the server speaks of too many connections or users. */
bool backoff_too_many(const char *text);

#endif
