/*
 * uidset.h -- a set of UIDs as sorted ranges: what SEARCH and ESEARCH answer, what commands name.
 *
 * Invariants of a normalized set: ranges ascend, do not touch (a.last + 1 < b.first), and hold
 * no 0.  Everything but uidset_add needs a normalized set.  Memory is 8 bytes a range, so a
 * folder without gaps costs nothing.  RFC 9051 sequence-set; UIDs are 1 to 2^32-1.
 */
#ifndef MAILMOUNT_UIDSET_H
#define MAILMOUNT_UIDSET_H

#include <stdint.h>

#include "str.h"

struct uid_range {
    uint32_t first, last;
};

struct uidset {
    struct uid_range *ranges; /* owned */
    size_t n, alloc;
    size_t max_ranges; /* 0: no cap; else uidset_add answers -EMSGSIZE above.  While a set is not
                        * normalized it may hold twice as many that are yet to be merged. */
    bool normalized;   /* kept up by all functions; an empty set always is */
};

#define CLEANUP_UIDSET CLEANUP(uidset_release)

void uidset_release(struct uidset *set); /* frees and empties, keeps the cap */

/* Adds first..last (either order).  Ascending additions keep the set normalized for free; any
 * other order leaves it for uidset_normalize (O(n log n)).  -EINVAL for 0. */
MUST_USE int uidset_add(struct uidset *set, uint32_t first, uint32_t last);
void uidset_normalize(struct uidset *set);

bool uidset_contains(const struct uidset *set, uint32_t uid);
uint64_t uidset_count(const struct uidset *set);
/* *ret = a without b; *ret may be neither.  *ret must be empty. */
MUST_USE int uidset_minus(const struct uidset *a, const struct uidset *b, struct uidset *ret);

/* Adds what `1:3,7,9:8` names (no `*`); may need uidset_normalize afterwards.  -EINVAL for
 * anything else, for 0 and for numbers > 2^32-1: then nothing is added. */
MUST_USE int uidset_parse(const char *text, size_t len, struct uidset *set);

/* Walks the set in pieces that fit a command line: writes up to max_uids UIDs, beginning behind
 * *cursor (start with 0), as a sequence-set of at most max_text bytes; moves *cursor to the last
 * UID written.  Returns the number of UIDs, 0 at the end, or -errno: -EMSGSIZE where max_text
 * (10 is always enough) cannot hold the next UID; what is appended then is not to be used. */
MUST_USE int64_t uidset_next_chunk(const struct uidset *set, uint32_t *cursor, uint64_t max_uids,
                                   size_t max_text, struct str *out);

#endif
