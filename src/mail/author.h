/*
 * author.h -- whose name a From header gives: the display name of the first author, else the
 * local part of the address; of a group its name (RFC 5322 3.4 and 4.4).  Pure; private to
 * this layer.
 *
 * Takes what real mail has: commas and colons in encoded words, unquoted commas before an angle
 * bracket, comments (kept as written inside a display name; behind a bare address they are the
 * name), quotes and comments that never end (then they are plain characters), no address at all
 * (then the text is the name).  Linear in the length.
 */
#ifndef MAILMOUNT_AUTHOR_H
#define MAILMOUNT_AUTHOR_H

#include "str.h"

struct author {
    struct str display; /* still encoded, quotes undone; blank if there is none */
    struct str local;   /* the local part, or for want of an address the whole text */
};

/* Both strings must be empty.  -ENOMEM. */
MUST_USE int author_parse(const char *from, struct author *ret);

#endif
