/*
 * caps.h -- capability lists: to bits, and to the mechanisms the server offers.  Pure.
 */
#ifndef MAILMOUNT_CAPS_H
#define MAILMOUNT_CAPS_H

#include "imap.h"
#include "reader.h"

enum mechanism {
    MECH_OAUTHBEARER = 1 << 0,
    MECH_XOAUTH2 = 1 << 1,
    MECH_SCRAM_SHA_256 = 1 << 2,
    MECH_SCRAM_SHA_1 = 1 << 3,
    MECH_PLAIN = 1 << 4,
    MECH_LOGIN = 1 << 5, /* AUTHENTICATE LOGIN */
    MECH_CRAM_MD5 = 1 << 6,
};

struct caps {
    bool known; /* a list came */
    bool starttls, login_disabled;
    uint32_t bits;       /* enum imap_cap */
    unsigned mechanisms; /* enum mechanism */
};

/* Replaces *caps by what the list says; `list` is separated by blanks and may go on behind a
 * `]`. */
void caps_parse(struct caps *caps, struct span list);

/* `plain` to MECH_PLAIN and so on, any case; 0: no such mechanism. */
unsigned mechanism_by_name(struct span name);
/* `plain` for MECH_PLAIN. */
const char *mechanism_name(unsigned mechanism);
/* The names of a set, separated by blanks; "nothing" for none. */
void mechanism_names(unsigned set, char *out, size_t size);

#endif
