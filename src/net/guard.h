/*
 * guard.h -- what libetpan is allowed to read and write.
 *
 * DESIGN.  libetpan parses what a server sends before anybody has proved who he is, and it has
 * no caps: a CAPABILITY command answered without data and `[PERMANENTFLAGS (()]` crash it,
 * 20,000 parentheses overflow its stack, a line without end or `{4294967295}` takes all memory.
 * So it never sees a server's line.  Our mailstream_low driver reads whole lines with our own
 * reader (short ones only), learns from them what there is to learn (capabilities, BYE, response
 * codes, texts), and gives libetpan a line of our own making for those it must know of:
 *
 *     greeting                  ->  * OK hello
 *     + and a base64 challenge  ->  the same; + and anything else  ->  + and nothing
 *     tagged OK, NO or BAD      ->  the same without code or text
 *     all other untagged lines  ->  nothing
 *
 * So libetpan and cyrus-sasl do what they are good at, AUTHENTICATE with its mechanisms, and
 * nothing is left in libetpan's buffers when our own engine goes on with the same stream.
 */
#ifndef MAILMOUNT_GUARD_H
#define MAILMOUNT_GUARD_H

#include "conn.h"

/* Longest line before the login: challenges and capability lists are much shorter. */
#define GUARD_LINE_MAX 16384
/* Challenges in one AUTHENTICATE: no mechanism of ours needs more than 3. */
#define GUARD_CHALLENGES_MAX 10
/* Untagged lines in answer to one command. */
#define GUARD_LINES_MAX 1000

struct mailimap;

struct guard {
    struct imap *im;
    struct mailimap *session; /* owned */
    bool greeted;
    const char *answers[4]; /* sent by us, one at each `+`, in libetpan's place; borrowed */
    unsigned answered;
    bool empty_first;    /* the first challenge of this mechanism is empty, whatever comes */
    unsigned challenges; /* in answer to this command */
    unsigned handed_on;  /* of these, not empty for libetpan */
    unsigned lines;
    bool tagged; /* the answer to this command is here: */
    bool ok;
    char code[64];
    struct errtext text;           /* cleaned; "" while the server's words may not be shown */
    char line[GUARD_LINE_MAX + 8]; /* for libetpan */
    size_t line_pos, line_len;
};

MUST_USE int guard_init(struct guard *guard, struct imap *im);
/* Wipes what libetpan holds of the secret where it can be reached. */
void guard_release(struct guard *guard);

/* Reads the greeting.  0 or the sticky error; -ECONNRESET after BYE. */
MUST_USE int guard_greet(struct guard *guard);

/* Forgets the last answer; call before each command of libetpan. */
void guard_begin(struct guard *guard);
/* A whole command without libetpan, whose own commands of this kind end in a blank: 0 after a
 * tagged OK or NO or BAD (see guard->ok), or the sticky error.  `answers` (at most 4,
 * NULL-terminated if fewer; NULL for none) are sent one by one when the server asks for them, each
 * with CRLF. */
MUST_USE int guard_command(struct guard *guard, const char *command, const char *const *answers);

#endif
