/*
 * history.h -- reads back what is kept of the past, for `mailmount log`.
 *
 * There may be several sources, each a file of JSON lines in the state directory that begin with
 * {"time":"..."}, as events.h writes them, and its predecessor NAME.1; they are merged by time.
 * A reader follows a file that is rotated.  Lines that are not such objects are passed over.
 *
 * One reader is used by one thread; it and the writers need not know of each other.
 */
#ifndef MAILMOUNT_HISTORY_H
#define MAILMOUNT_HISTORY_H

#include "str.h"

struct history;

/* Begins with the oldest line there is. */
MUST_USE int history_open(const char *state_dir, struct history **ret);
void history_close(struct history *history); /* NULL is fine */

/* 1: the next line, without its newline, in *ret_line until the next call.  0: no more for now;
 * later calls give what has been added.  -errno: a file cannot be read. */
MUST_USE int history_next(struct history *history, const char **ret_line);

/* Appends the line as people read it (local time, folder, words, newline).  Of a line that is no
 * JSON nothing. */
MUST_USE int history_text(const char *line, struct str *out);

#endif
