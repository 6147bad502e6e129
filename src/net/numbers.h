/*
 * numbers.h -- SEARCH, ESEARCH and VANISHED: number sets of any length, in constant memory.
 */
#ifndef MAILMOUNT_NUMBERS_H
#define MAILMOUNT_NUMBERS_H

#include "conn.h"

/* Whether the line that begins with `head` (up to 32 octets of it) holds a number set. */
bool numbers_begin(struct span head);
/* Reads that response, before reader_line.  0, or the sticky error. */
MUST_USE int numbers_read(struct imap *im);

#endif
