/*
 * flags.h -- the flags of a message: system flags as bits, keywords as text.
 *
 * Keywords are kept as one string: the atoms as the server wrote them, separated by single
 * spaces, in the server's order, "" for none.  A flag list as IMAP writes it (RFC 9051 2.3.2)
 * is `\Seen \Flagged $Forwarded work`.  Pure functions.
 */
#ifndef MAILMOUNT_FLAGS_H
#define MAILMOUNT_FLAGS_H

#include <stdint.h>

#include "str.h"

enum flag {
    FLAG_SEEN = 1 << 0,
    FLAG_ANSWERED = 1 << 1,
    FLAG_FLAGGED = 1 << 2,
    FLAG_DELETED = 1 << 3,
    FLAG_DRAFT = 1 << 4,
    FLAG_RECENT = 1 << 5, /* never stored, never shown */
};

/* Longest keyword text kept for one message; what is beyond is dropped by whole atoms. */
#define KEYWORDS_MAX 4096

/* The bit of a system flag such as `\Seen` (any case), 0 for anything else. */
unsigned flag_bit(const char *atom, size_t len);

/* Adds one atom from the server: sets a bit, or appends a keyword.  Unknown `\Atoms` are kept
 * like keywords.  A keyword already there (any case) is not added again. */
int flags_add(unsigned *flags, struct str *keywords, const char *atom, size_t len);

/* `\Seen \Flagged $Forwarded work`: system flags in the order of enum flag, then keywords. */
int flags_format(unsigned flags, const char *keywords, struct str *out);

/* user.xdg.tags: comma-separated `unread` (no \Seen), `flagged`, `replied`, `passed`
 * ($Forwarded), `draft`, then the other keywords; `,` in a keyword is `%2C`.  \Deleted has no
 * tag. */
int flags_format_tags(unsigned flags, const char *keywords, struct str *out);

#endif
