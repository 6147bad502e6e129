/*
 * header.h -- the four header fields that a message is known by.
 *
 * Input is a header block as the server sends it (BODY[HEADER.FIELDS (...)] or the beginning of a
 * message): hostile, any bytes, NULs included.  Of each field the first one counts.  Values are
 * unfolded raw bytes: CR, LF and NUL made blanks, runs of blanks (space, tab) made one space,
 * trimmed; "" when missing.  Nothing is decoded here.
 */
#ifndef MAILMOUNT_HEADER_H
#define MAILMOUNT_HEADER_H

#include "util.h"

/* Bytes of one value that are kept; the rest of the field is ignored. */
#define HEADER_VALUE_MAX 65536

struct mail_header {
    char *message_id, *date, *from, *subject; /* NUL-terminated, inside `memory` */
    char *memory;                             /* owned */
};

#define CLEANUP_HEADER CLEANUP(mail_header_release)

/* -ENOMEM is the only failure: a block that is no header at all gives four empty values. */
MUST_USE int mail_header_parse(const char *block, size_t len, struct mail_header *ret);
void mail_header_release(struct mail_header *header);

#endif
