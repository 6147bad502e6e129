/*
 * fuseopts.h -- the words of -o that are not ours: those of FUSE and of mount(8).
 *
 * FUSE's are passed through from a list of allowed ones, mount(8)'s are dropped, what would break
 * a promise of mailmount(1) is refused, and any other word is unknown: a misspelt option must not
 * be silently without effect.
 */
#ifndef MAILMOUNT_FUSEOPTS_H
#define MAILMOUNT_FUSEOPTS_H

#include "str.h"

/* `word` is KEY or KEY=VALUE.  What FUSE shall have is appended to `out`, comma-separated, with
 * commas and backslashes escaped as libfuse reads them.  -ENOENT: not known; -EINVAL: refused. */
MUST_USE int fuseopt_take(const char *word, struct str *out, struct errtext *err);

#endif
