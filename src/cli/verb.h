/*
 * verb.h -- what the files verb_*.c share with verbs.c.  Each verb_NAME returns an exit code.
 */
#ifndef MAILMOUNT_VERB_H
#define MAILMOUNT_VERB_H

#include "options.h"
#include "str.h"

/* "mailmount: ..." on standard error; returns `code`. */
int verb_fail(enum exit_code code, const char *format, ...) PRINTF(2, 3);

/* Writes to standard output.  EXIT_OK, or EXIT_OTHER with the reason said. */
MUST_USE int verb_print(const char *data, size_t n);

/* Control characters but newline and tab become '?': for texts of a daemon, which may quote a
 * server's names. */
void verb_clean(struct str *text);

int verb_status(int argc, char **argv);
int verb_unmount(int argc, char **argv);

#endif
