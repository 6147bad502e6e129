/*
 * words.h -- a command line to words by the shell's quoting rules, without a shell.
 *
 * Blanks (space, tab, newline) separate words.  '...' keeps every byte; in "..." a backslash
 * escapes only `"`, `\`, `$`, a back quote and a newline; elsewhere it escapes any byte (a
 * backslash and a newline are nothing).  Nothing is expanded: no variables, no globs, no `~`, and
 * `|`, `;`, `<`, `>`, `&`, `#` are ordinary characters.  (POSIX.1-2017, Shell, 2.2)
 */
#ifndef MAILMOUNT_WORDS_H
#define MAILMOUNT_WORDS_H

#include "util.h"

#define WORDS_MAX 256

/* Owned array that ends with NULL, in one piece: free it with free().  `ret_count` may be NULL.
 * -EINVAL: a quote is open, a backslash ends it, or there is no word; -E2BIG: over WORDS_MAX. */
MUST_USE int words_split(const char *line, char ***ret_words, size_t *ret_count);

#endif
