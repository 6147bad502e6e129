/*
 * decode.h -- the text of a header value: RFC 2047 encoded words and raw bytes to UTF-8.
 * Private to this layer.  [GMime converts the character sets]
 *
 * Never fails on bad input.  Beyond RFC 2047:
 *   - encoded words are found anywhere, also inside words and quotes and with blanks in them;
 *   - adjacent ones of one character set are joined before they are converted, so a character,
 *     an escape state or a base64 group may be split over them;
 *   - bytes that are not UTF-8 are read as windows-1252, one by one: raw ones, those of an
 *     unknown character set, and those of a word that wrongly says UTF-8 or US-ASCII;
 *   - other bytes that a character set does not have become `?`.
 * Linear in the length.  The result holds no NUL (U+0001 stands for it).
 */
#ifndef MAILMOUNT_DECODE_H
#define MAILMOUNT_DECODE_H

#include "str.h"

/* Bytes of UTF-8 that the longest value can give, amply. */
#define DECODE_MAX ((size_t)1 << 20)

/* The length of the well-formed encoded word that begins at text, 0 if there is none. */
size_t decode_word_length(const char *text, size_t len);

/* Appends the decoded text.  -ENOMEM, or -EMSGSIZE above the cap of `out`. */
MUST_USE int decode_text(const char *text, size_t len, struct str *out);

#endif
