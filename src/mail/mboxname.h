/*
 * mboxname.h -- mailbox names between the wire and the tree, reversibly.
 *
 * A raw name is what LIST gave, byte for byte; it is kept for the wire.  Its components, split at
 * the hierarchy delimiter, become directory names:
 *   - modified UTF-7 (RFC 3501 5.1.3) is decoded if encoding it again gives the same bytes; else
 *     the raw bytes are shown with `&` as `%26`;
 *   - `/` becomes `%2F`; a leading `.`, and each byte of a control, bidi or zero-width character
 *     or of invalid UTF-8, becomes %XX in upper-case hex; `%` before two hex digits is `%25`;
 *   - an empty component is `%`  (it cannot come from anything else);
 *   - over 255 bytes: cut at a character border, `~`, eight hex digits of its SHA-256.  This
 *     alone is not reversible by computation: the store remembers raw names.
 * The mapping is injective.  UTF8=ACCEPT is not used.  Pure functions.
 */
#ifndef MAILMOUNT_MBOXNAME_H
#define MAILMOUNT_MBOXNAME_H

#include "str.h"

#define MBOXNAME_MAX 255 /* bytes of one directory name */

/* One component to a directory name, appended to out. */
MUST_USE int mboxname_show(const char *raw, size_t len, struct str *out);

/* A directory name to the raw component it stands for (what mkdir sends): %XX undone, then
 * modified UTF-7.  -EINVAL: not a name mboxname_show could give, or it holds `delimiter`
 * (0: none) once decoded. */
MUST_USE int mboxname_raw(const char *name, char delimiter, struct str *out);

/* A directory name that cannot be mistaken for `name`, for the second of two folders that would
 * have the same: its first byte as %XX.  mboxname_raw still undoes it. */
MUST_USE int mboxname_escape_first(const char *name, struct str *out);

/* Whether a mount path (no leading slash, display names) matches one glob of the option
 * folders=: `*` and `?` stop at `/`, `**` does not.  Case matters, INBOX included. */
bool mboxname_glob(const char *glob, const char *path);

#endif
