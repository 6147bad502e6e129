/*
 * mutf7.h -- modified UTF-7, the encoding of mailbox names (RFC 3501 5.1.3).  Pure; private to
 * this layer.  By hand, because iconv's takes forms that do not come back as they were.
 */
#ifndef MAILMOUNT_MUTF7_H
#define MAILMOUNT_MUTF7_H

#include "str.h"

/* Appends the name in UTF-8.  -EINVAL unless mutf7_encode gives exactly these bytes again, and
 * for a NUL: then out holds rubbish behind what was there. */
MUST_USE int mutf7_decode(const char *raw, size_t len, struct str *out);

/* Appends the one canonical encoding.  -EINVAL for what is not UTF-8. */
MUST_USE int mutf7_encode(const char *text, size_t len, struct str *out);

#endif
