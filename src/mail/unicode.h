/*
 * unicode.h -- UTF-8, and what the contract asks of a character.  Pure.
 *
 * The classes are a table of our own, frozen at Unicode 17.0, and not those of the installed
 * GLib: Debian 12 and 13 know different versions, and a character assigned in between would be
 * removed from a name here and kept there.  (No character changed its class between Unicode
 * 12.1 and 17.0.)  A newer Unicode must not be taken without thought: it changes names.
 */
#ifndef MAILMOUNT_UNICODE_H
#define MAILMOUNT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unicode_class {
    UNICODE_KEEP,    /* L*, M*, N*, So, Sk */
    UNICODE_REPLACE, /* P*, Sc, Sm, Z* */
    UNICODE_REMOVE,  /* C* (unassigned ones too) and variation selectors */
};

/* For code points from U+0080; what is done with ASCII is the caller's. */
enum unicode_class unicode_class(uint32_t c);

/* The first character of text and its length in bytes; 0 where it is no valid UTF-8 (overlong
 * forms, surrogates and cut characters are not) or len is 0. */
size_t utf8_decode(const char *text, size_t len, uint32_t *ret_char);
/* Returns the length in bytes. */
size_t utf8_encode(uint32_t c, char out[4]);
bool utf8_valid(const char *text, size_t len);
/* The length of the longest beginning of valid UTF-8 that has at most `limit` bytes and ends at
 * a character border. */
size_t utf8_cut(const char *text, size_t len, size_t limit);

#endif
