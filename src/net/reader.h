/*
 * reader.h -- tokens of IMAP responses out of one fixed buffer.
 *
 * The reader stands on a line: reader_line brings the whole next line into the buffer (capped at
 * READER_LINE_MAX), and tokens are parsed there in place.  A literal interrupts the line: its
 * octets are taken with reader_literal, and behind them reader_line_rest brings the remainder of
 * the response, a line again.  Number sets, which may be longer than any line, are read octet by
 * octet with reader_stream_* instead, from a line not yet brought in.
 *
 * Pointers into the buffer are borrowed until the next call that may read: reader_line,
 * reader_line_rest, reader_literal, reader_skip_*, reader_stream_*.
 *
 * Errors: -EPROTO through `fail`, which gets the words; or what `fill` returned.  Both are
 * expected to be sticky in the caller's connection.  RFC 9051 section 9.
 */
#ifndef MAILMOUNT_READER_H
#define MAILMOUNT_READER_H

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "str.h"

#define READER_LINE_MAX    65536
#define READER_NESTING_MAX 100
#define READER_BUFFER      (2 * READER_LINE_MAX)

struct reader {
    char *buffer;     /* owned, READER_BUFFER + 1 octets */
    size_t pos;       /* the next octet */
    size_t end;       /* behind the last octet read */
    size_t eol;       /* the line's end, where a NUL stands in place of CR or LF */
    size_t next;      /* behind the line's LF */
    uint64_t literal; /* octets of the literal not yet taken */
    size_t line_max;  /* READER_LINE_MAX, or less before the login */
    void *ctx;
    ssize_t (*fill)(void *ctx, void *data, size_t n);   /* > 0, or -errno */
    int (*fail)(void *ctx, int code, const char *text); /* returns -code */
};

struct span {
    const char *data;
    size_t len;
};

enum reader_type { READER_ATOM, READER_NIL, READER_QUOTED, READER_LITERAL };

struct reader_value {
    enum reader_type type;
    struct span text; /* atom or quoted string, unescaped; empty for NIL */
    uint64_t size;    /* of the literal, whose octets are next; else text.len */
};

MUST_USE int reader_init(struct reader *reader);
void reader_release(struct reader *reader);
int reader_fail(struct reader *reader, const char *text); /* -EPROTO */

/* Brings the next line; what is left of the current one is dropped. */
MUST_USE int reader_line(struct reader *reader);
/* Octets that were received and not yet brought in as a line. */
size_t reader_buffered(const struct reader *reader);

/* ---- tokens on the line; none of them reads */

static inline char reader_peek(const struct reader *reader)
{
    return reader->buffer[reader->pos]; /* NUL at the line's end */
}

static inline bool reader_at_end(const struct reader *reader)
{
    return reader->pos >= reader->eol;
}

/* What is left of the line. */
struct span reader_rest(const struct reader *reader);
/* Takes `c` if it is next. */
bool reader_take(struct reader *reader, char c);
void reader_spaces(struct reader *reader);
/* A word: up to a space, parenthesis, quote or the end of the line; may be empty.  With '[' or
 * ']' in `stop` also up to these. */
struct span reader_word(struct reader *reader, const char *stop);
/* Decimal digits; -EPROTO when there are none or the number is above `max`. */
MUST_USE int reader_number(struct reader *reader, uint64_t max, uint64_t *ret);
/* Without regard to case.  The span may hold NULs: compare lengths first. */
static inline bool span_is(struct span span, const char *text)
{
    return span.len == strlen(text) && strncasecmp(span.data, text, span.len) == 0;
}

/* ---- values; these may read */

/* A value that is no list.  Behind READER_LITERAL take all octets, then reader_line_rest. */
MUST_USE int reader_value(struct reader *reader, struct reader_value *ret);
/* Pieces of the literal; 0 octets at its end. */
MUST_USE int reader_literal(struct reader *reader, struct span *ret);
MUST_USE int reader_line_rest(struct reader *reader);
/* A value as text: at most out->max octets, -EPROTO beyond and for NULs.  *ret_nil may be NULL. */
MUST_USE int reader_string(struct reader *reader, struct str *out, bool *ret_nil);
/* Drops one value of any kind: atom, string, literal, list of these. */
MUST_USE int reader_skip_value(struct reader *reader);
/* Drops a section such as `HEADER.FIELDS (Date "From")` up to and including its `]`. */
MUST_USE int reader_skip_section(struct reader *reader);
/* Drops the rest of the response, literals included. */
MUST_USE int reader_skip_rest(struct reader *reader);

/* ---- octet by octet, before reader_line */

/* Makes up to n octets of the next line visible: fewer when the line ends before. */
MUST_USE int reader_stream_peek(struct reader *reader, size_t n, struct span *ret);
/* The next octet, not taken; a CR or LF is '\n'.  Or -errno. */
MUST_USE int reader_stream_look(struct reader *reader);
static inline void reader_stream_next(struct reader *reader)
{
    reader->pos++;
}
/* Takes the line's end. */
MUST_USE int reader_stream_end(struct reader *reader);

#endif
