/*
 * plain.h -- text from outside, made fit for a terminal, a log and JSON.  Pure.
 */
#ifndef MAILMOUNT_PLAIN_H
#define MAILMOUNT_PLAIN_H

#include <stddef.h>

/* Copies `text` (NULL: "") into out, which holds `size` bytes (1 or more), cut at a character
 * border.  Control, bidirectional, zero-width and unassigned characters and every byte that is no
 * valid UTF-8 become '?'.  Returns out. */
char *plain_copy(const char *text, char *out, size_t size);

/* Columns on a terminal, about: wide characters count as two. */
size_t plain_width(const char *text);

#endif
