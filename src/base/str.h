/*
 * str.h -- a growing byte string with a cap given at birth.
 *
 * The bytes are always followed by a NUL that is not counted, so `data` can be used as a C
 * string when it holds no NUL itself; `data` is never NULL after an append.  The first
 * failure (-ENOMEM, or -EMSGSIZE above the cap) sticks: later appends do nothing and return
 * it, so a sequence of appends needs one check at its end (str_error).
 */
#ifndef MAILMOUNT_STR_H
#define MAILMOUNT_STR_H

#include "util.h"

struct str {
    char *data; /* owned */
    size_t len; /* bytes used, without the NUL */
    size_t alloc;
    size_t max; /* cap for len */
    int error;  /* sticky: 0 or -errno */
};

#define STR_INIT(cap)                                                                              \
    {                                                                                              \
        .max = (cap)                                                                               \
    }
#define CLEANUP_STR CLEANUP(str_release)

void str_init(struct str *s, size_t max);
void str_release(struct str *s);    /* frees; s can be used again with the same cap */
void str_clear(struct str *s);      /* empties and forgets the error, keeps the memory */
char *str_steal(struct str *s);     /* the caller owns the result ("" when empty); NULL on error */
int str_error(const struct str *s); /* 0 or the sticky error */

int str_append(struct str *s, const void *data, size_t n);
int str_append_text(struct str *s, const char *text);
int str_append_char(struct str *s, char c);
int str_printf_append(struct str *s, const char *format, ...) PRINTF(2, 3);
/* Room for n more bytes behind `data + len`; the caller fills them and adds to len. */
MUST_USE int str_reserve(struct str *s, size_t n);

#endif
