/*
 * query.h -- what a user searches for, turned into an IMAP SEARCH program.  Pure.
 *
 *     query  = all *( "or" all )
 *     all    = one *( ["and"] one )
 *     one    = ["not" / "-"] ( "(" query ")" / term )
 *     term   = FIELD ":" value / value        a value alone means text:
 *     value  = word / DQUOTE phrase DQUOTE    \" and \\ within
 *
 * FIELD is from, to, cc, bcc, subject, body, text; since, before, on (2026-01-31, today,
 * yesterday, or an age: 7d, 2w, 3m, 1y); larger, smaller (bytes, or with K, M, G); is (words of
 * query_term.c); keyword.  A few words that can mean nothing else are flags without is:.  All words
 * of the grammar in any case; in quotes they are text.  mailmount(1), SEARCH, is the manual.
 *
 * The program (RFC 3501 and 9051 6.4.4: search-key) is a list of pieces, sent one after another
 * with nothing between them: text that goes out as it is, and strings, which the sender quotes or
 * sends as literals.  No byte of the user's gets into the former but letters, digits and the
 * characters of an atom; neither holds a CR, LF or NUL.
 */
#ifndef MAILMOUNT_QUERY_H
#define MAILMOUNT_QUERY_H

#include <stdint.h>

#include "str.h"

#define QUERY_TEXT_MAX  4000 /* bytes of a query */
#define QUERY_TERMS_MAX 100
#define QUERY_DEPTH_MAX 20 /* of parentheses and negations */

struct query_piece {
    const char *data; /* borrowed from the query */
    size_t len;
    bool string; /* an IMAP string, still as bare bytes: UTF-8 */
};

struct query {
    struct query_piece *pieces; /* owned */
    size_t n;
    bool utf8;          /* a string is not ASCII: SEARCH needs CHARSET UTF-8 */
    struct str program; /* owned: the bytes of all pieces */
};

/* `today` is a time of today by the user's calendar, in seconds as if that were UTC: ages count
 * from its day.  -EINVAL: `err` tells what is wrong and where (the first character is 1); -ENOMEM.
 * *ret is released by the caller on success. */
MUST_USE int query_parse(const char *text, size_t len, int64_t today, struct query *ret,
                         struct errtext *err);
void query_release(struct query *query);
#define CLEANUP_QUERY CLEANUP(query_release)

/* ---- query_term.c, for query.c alone */

enum query_value { QUERY_STRING, QUERY_DATE, QUERY_SIZE, QUERY_KEYWORD, QUERY_FLAG };
struct query_field {
    const char *name; /* of the user's */
    enum query_value value;
    const char *key; /* of the program, with a blank behind it; "" for QUERY_FLAG */
};
/* NULL: no such field.  Any case. */
const struct query_field *query_field(const char *name, size_t len);
/* The search-key of a word that is a flag without `is:`, NULL for any other. */
const char *query_flag_word(const char *word, size_t len);
/* Appends the search-key of a field that is no QUERY_STRING.  NULL, or what is wrong with the
 * value. */
MUST_USE const char *query_term(const struct query_field *field, const char *value, size_t len,
                                int64_t today, struct str *key);

#endif
