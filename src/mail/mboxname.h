/*
 * mboxname.h -- mailbox names between the wire and the tree, reversibly.
 *
 * A raw name is what LIST gave, byte for byte; it is kept for the wire.  Its components, split at
 * the hierarchy delimiter, become directory names:
 *   - modified UTF-7 (RFC 3501 5.1.3) is decoded if encoding it again gives the same bytes; else
 *     the raw bytes are shown with `&` as `%26` and each byte that is not printable ASCII as %XX
 *     (it is invalid in such a name; shown as it is, a raw é would equal a decoded `&AOk-`), and
 *     where even that is what a decoded name looks like, with `%25` at the end;
 *   - `/` becomes `%2F`; a leading `.` and each byte of a control, bidi or zero-width character
 *     becomes %XX in upper-case hex; `%` before two hex digits is `%25`;
 *   - an empty component is `%25`  (it cannot come from anything else);
 *   - over 255 bytes, or of 240 and more that look like this: cut at a character border, `~`,
 *     eight hex digits of its SHA-256.  This alone is not reversible by computation: the store
 *     remembers raw names.
 * The mapping is injective (for cut names, but for collisions of the hash).  UTF8=ACCEPT is not
 * used.  Pure functions.
 */
#ifndef MAILMOUNT_MBOXNAME_H
#define MAILMOUNT_MBOXNAME_H

#include "str.h"

#define MBOXNAME_MAX 255 /* bytes of one directory name */

/* One component to a directory name, appended to out. */
MUST_USE int mboxname_show(const char *raw, size_t len, struct str *out);

/* A directory name to the raw component it stands for (what mkdir sends): %XX undone, then
 * modified UTF-7.  -EINVAL: not a name that mboxname_show or mboxname_escape_first gives, a cut
 * one, or it holds `delimiter` (0: none) once decoded.  The result is empty for the name of an
 * empty component, which must not be created. */
MUST_USE int mboxname_raw(const char *name, char delimiter, struct str *out);

/* A directory name that cannot be mistaken for `name`, for the second of two folders that would
 * have the same (as under two namespace prefixes): its first letter or digit as %XX; if it has
 * none, `%25%25` at its end.  mboxname_raw still undoes it, except where the result is over-long
 * and cut.  At most MBOXNAME_MAX bytes.  Of a path the first component is taken. */
MUST_USE int mboxname_escape_first(const char *name, struct str *out);

/* Whether a mount path (no leading slash, display names) matches one glob of the option
 * folders=: `*` and `?` stop at `/`, `**` does not; `%3A` is a colon.  Case matters, INBOX
 * included. */
bool mboxname_glob(const char *glob, const char *path);

#endif
