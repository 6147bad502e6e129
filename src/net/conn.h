/*
 * conn.h -- the inside of a connection, shared by the files of this layer.
 */
#ifndef MAILMOUNT_CONN_H
#define MAILMOUNT_CONN_H

#include "caps.h"
#include "imap.h"
#include "reader.h"
#include "stream.h"

enum command_kind {
    COMMAND_PLAIN,
    COMMAND_ENABLE,
    COMMAND_NOTIFY,
    COMMAND_IDLE,
    COMMAND_LIST,
    COMMAND_SEARCH,
    COMMAND_SELECT,
    COMMAND_UNSELECT,
    COMMAND_LOGOUT,
};

struct command { /* in the pipeline; owned by its queue */
    struct command *next;
    unsigned tag;
    enum command_kind kind;
    bool examine;
    struct imap_result *result; /* NULL: nobody waits */
};

/* A place in `out` that is not passed before the server has said `+` to this command. */
struct gate {
    struct gate *next;
    unsigned tag;
    size_t at, end; /* offsets in out: what waits of the command, up to behind its CRLF */
};

/* What has come since the last tagged answer: the caps on a server that never stops talking. */
struct untagged {
    uint64_t noise;   /* lines that nobody asked for or understands */
    uint64_t entries; /* LIST, STATUS */
    uint64_t fetches;
    uint64_t ranges; /* of UIDs */
};

struct imap {
    struct stream stream;
    struct reader in;
    struct str out;     /* commands not yet written */
    size_t sent;        /* of out */
    struct gate *gates; /* synchronising literals, in the order of `at`; owned */

    struct command *first, **last; /* the pipeline */
    unsigned next_tag;
    uint64_t commands;
    struct imap_events events;
    struct untagged untagged;

    struct caps caps;
    unsigned mechanism; /* enum mechanism */
    bool bye;           /* the server has said BYE, in answer to LOGOUT */

    struct imap_mailbox mailbox; /* of the selected mailbox, or of the one being selected */
    bool selected;               /* a SELECT has succeeded and nothing has ended it */
    bool will_select;            /* the last SELECT in the pipeline has not been undone */
    bool leaving;                /* a SELECT is worked at; what comes may be of the one before it */

    uint32_t enabling, enabled; /* named by ENABLED; and confirmed by ENABLE's tagged OK */
    bool continued;             /* the server has said `+` to IDLE */
    bool done_sent;             /* DONE has been sent once */
    bool notify;                /* NOTIFY is on */
    bool listening;             /* in imap_listen */
    bool overflow;              /* NOTIFICATIONOVERFLOW, not yet told */
    bool news;                  /* something about mailboxes or messages has come */
    unsigned answer_ms;         /* longest wait for IDLE's answers; tests shorten it */

    struct imap_failure failure; /* what BYE or a refused login said */
    struct imap_failure alert, refusal;
    bool has_alert, has_refusal; /* not taken yet */

    struct str name;     /* scratch: a mailbox name or another string */
    struct str header;   /* scratch: the header block of the FETCH at hand */
    struct str keywords; /* scratch: its keywords */
};

/* ---- imap.c, command.c */

/* All but the stream; for the fuzz target and imap_connect. */
MUST_USE int conn_init(struct imap *im);
void conn_release(struct imap *im);
/* -EPROTO, sticky. */
int conn_nonsense(struct imap *im, const char *text);
/* `line` without tag and CRLF into the pipeline: the one door to the wire behind the login.  As
 * imap_send_*, but *result must be initialised. */
MUST_USE int conn_send_line(struct imap *im, struct str *line, enum command_kind kind, bool examine,
                            struct imap_result *result);
/* Initialises *result; the sticky error, if there is one: then it is done. */
MUST_USE int conn_begin(struct imap *im, struct imap_result *result);
/* Puts a command whose text is in im->out already into the pipeline. */
MUST_USE int conn_queue(struct imap *im, enum command_kind kind, bool examine,
                        struct imap_result *result);
/* A whole command without arguments of the caller's.  As imap_send_*. */
MUST_USE int conn_send(struct imap *im, const char *text, enum command_kind kind,
                       struct imap_result *result);
/* The command that the server works at has changed: what was selected may be no more. */
void conn_head_changed(struct imap *im);
/* The mailbox is being left: what comes about messages is not of the one that the caller waits
 * for, and is dropped.  (The next delta brings it again.) */
static inline bool conn_leaving(const struct imap *im)
{
    return im->leaving || (im->first && im->first->kind == COMMAND_UNSELECT);
}
/* Writes what can be written, and reads one response.  An error ends everything under way. */
MUST_USE int conn_step(struct imap *im);
/* Ends everything under way; returns `error`. */
int conn_abandon(struct imap *im, int error);

/* ---- search.c */

/* How much of `out` may be written. */
size_t gates_limit(const struct imap *im);
/* The server has said `+`: true when a gate was waiting for it. */
bool gates_open(struct imap *im);
/* The command is answered: what of it still waits is never sent.  0, or the sticky error. */
MUST_USE int gates_drop(struct imap *im, unsigned tag);
void gates_release(struct imap *im);

/* ---- response.c, fetch.c */

/* Reads one response.  0, or the sticky error. */
MUST_USE int response_read(struct imap *im);
/* At the items of `* seq FETCH (`. */
MUST_USE int fetch_read(struct imap *im, uint32_t seq);

/* ---- text.c: what the tagged answer means */

/* The status of a NO with this response code (upper case, "" for none). */
int status_of_code(const char *code);
/* Code, text and back-off time of an answer (everything behind NO, BAD, BYE, OK).  `shown`: the
 * text may be kept. */
void failure_fill(struct imap_failure *failure, struct span code, struct span text, bool shown);
/* `from` cleaned of control characters and cut at size-1, at a character border of UTF-8. */
void clean_text(struct span from, char *out, size_t size);
/* Splits `[CODE args] text`.  Everything may be empty. */
void split_text(struct span from, struct span *ret_code, struct span *ret_args,
                struct span *ret_text);

#endif
