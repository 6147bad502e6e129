/*
 * slug.h -- text to one part of a file name, by section 2 of the contract.  Private to this
 * layer.  [GLib for NFC]
 *
 * In this order: NFC; removed: control, format, unassigned characters and variation selectors;
 * blanks are spaces; kept: ASCII letters and digits and `.+@,=`, letters, marks, numbers, So and
 * Sk beyond ASCII; every other run becomes one `-`; no leading `-` or `.`; cut at a character
 * border; no trailing `-`.
 *
 * The same on every machine: the classes are ours (unicode.h).  NFC is GLib's; for characters
 * that Unicode has given since version 14 (Debian 12) an older GLib knows no compositions, so a
 * name with decomposed letters of scripts added later (Kirat Rai, Tulu-Tigalari, ...) can differ
 * between systems.  All older text is stable by Unicode's normalization policy.
 */
#ifndef MAILMOUNT_SLUG_H
#define MAILMOUNT_SLUG_H

#include "util.h"

/* Longest run of combining marks that is looked at; sorting them is quadratic in GLib.  No part
 * of a name has room for as many. */
#define SLUG_MARKS_MAX 256

/* Writes at most `limit` bytes and a NUL to out (limit + 1 bytes) and returns the length.  text is
 * valid UTF-8 without NUL; is_ascii says that it is plain ASCII, which is quicker.  -ENOMEM. */
MUST_USE ssize_t slug_make(const char *text, size_t len, bool is_ascii, size_t limit, char *out);

#endif
