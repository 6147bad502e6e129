/*
 * accounts.h -- from the word ACCOUNT and the configuration file to option values.
 */
#ifndef MAILMOUNT_ACCOUNTS_H
#define MAILMOUNT_ACCOUNTS_H

#include "optable.h"

/* An account found: its server, and what the configuration says about it. */
struct account_found {
    char *name;                  /* in the configuration; NULL: found by URL; owned */
    struct option_values values; /* its URL; defaults, then its own */
};
void account_found_release(struct account_found *found);

/* ACCOUNT is a URL, a name of the configuration, or an address that is the user of exactly one
 * configured url.  The whole configuration is checked, whichever account is asked for.
 * Returns an exit code (options.h); other than EXIT_OK, `err` says why. */
MUST_USE int account_find(const char *account, struct account_found *ret, struct errtext *err);

#endif
