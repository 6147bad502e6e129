/*
 * msgname.h -- the file name of a message: YYYY-MM-DD_HHMM_FROM_SUBJECT~ID.eml
 *
 * Implements section 2 of the contract as written in mailmount(1), "FILE NAMES".  The name
 * depends on the header and INTERNALDATE alone, so it is the same on every machine; what is left
 * to the system is told in slug.h (compositions of the newest scripts) and is, for character sets
 * other than UTF-8, that iconv knows them.  Thread-safe after msgname_init.  [GMime]
 */
#ifndef MAILMOUNT_MSGNAME_H
#define MAILMOUNT_MSGNAME_H

#include <stdint.h>

#include "header.h"

#define MSGNAME_MAX  255 /* bytes, without the NUL */
#define MSGHASH_SIZE 32  /* SHA-256 */

/* Once per process, before threads. */
void msgname_init(void);

struct msgname {
    char name[MSGNAME_MAX + 1]; /* without a twin's suffix */
    uint8_t hash[MSGHASH_SIZE]; /* SHA-256 of the four values, joined by LF; ID is its beginning */
    int64_t date;               /* the Date header where plausible, else INTERNALDATE; seconds */
};

/* internaldate: seconds since 1970.  -ENOMEM is the only failure (GLib itself aborts then). */
MUST_USE int msgname_make(const struct mail_header *header, int64_t internaldate,
                          struct msgname *ret);

/* Twin: the same name with `~ID.UID.eml` in place of `~ID.eml`; at most MSGNAME_MAX bytes. */
void msgname_twin(const char *name, uint32_t uid, char out[MSGNAME_MAX + 1]);

#endif
