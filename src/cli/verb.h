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

/* ---- a verb that its daemon does */

enum {
    VERB_RAW = 1,    /* output is passed on as it is: -0, --json */
    VERB_STREAM = 2, /* at once, not when the verb has ended well: -f */
};

/* Asks the daemon of the mount that `dir` is in; NULL: of the only mount of this user.  Its output
 * goes to standard output (all of it, when the verb has ended with 0 or is VERB_STREAM; nothing
 * otherwise), its errors to standard error, its progress as a bar where that is a terminal.
 * Returns the exit code; whatever is wrong has been said. */
int verb_call(const char *dir, int argc, const char *const *argv, unsigned flags);

/* For an argument that names something in a mount: the mount point, and the path inside it ("" for
 * the mount point itself), both owned by the caller.  What is named need not exist, its directory
 * must.  -ENOENT: in no mount of ours; -ENOMEM. */
MUST_USE int verb_locate(const char *path, char **ret_mountpoint, char **ret_inside);

int verb_search(int argc, char **argv);
int verb_status(int argc, char **argv);
int verb_unmount(int argc, char **argv);

#endif
