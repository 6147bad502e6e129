/*
 * imap.h -- one IMAP connection: from the socket to authenticated, then pipelined commands.
 *
 * DESIGN.  imap_connect brings a connection to the authenticated state (TCP, TLS, greeting,
 * STARTTLS, CAPABILITY, AUTHENTICATE through libetpan over our own stream).  From then on our own
 * engine writes and reads the same stream: commands are appended to a pipeline with imap_send_*,
 * answers are read by imap_wait, and everything untagged goes to the connection's events as it
 * arrives.  imap_idle and imap_listen wait for what the server says unasked.  Nothing grows with
 * the size of a message or a mailbox: header blocks and lines are capped, bodies and number sets
 * are handed on in pieces.
 *
 * Calling sequence
 *   imap_connect -> imap_set_events -> imap_send_*(&result) ... imap_wait(&result) ... -> imap_free
 * Several results may be under way; the server answers them in the order sent, and the data of
 * pipelined FETCHes is told apart by UID.  A result stays valid memory until it is done or the
 * connection is freed.
 *
 * Errors.  A connection error is sticky: the failing call and all later ones return it, and every
 * result under way ends with it.  imap_errmsg says it in words (server text stripped of control
 * characters, at most 512 bytes).
 *   -EKEYEXPIRED   login refused                      -EKEYREJECTED  TLS or certificate refused
 *   -ETIMEDOUT     no progress for timeout_ms         -ECANCELED     interrupt_fd became readable
 *   -ECONNRESET    closed, also after BYE             -EPROTO        the server talks nonsense
 *   -EAGAIN        login refused for now (UNAVAILABLE, INUSE, LIMIT)
 *   -ENOTSUP       auth= names no mechanism we know, or SASL has no module for it
 *   -ENETUNREACH, -ECONNREFUSED, -EHOSTUNREACH        unreachable (DNS failures: -ENETUNREACH)
 * A command's own failure (tagged NO or BAD) leaves the connection usable; result.status is
 *   -ENOENT NONEXISTENT   -EACCES NOPERM, AUTHORIZATIONFAILED   -EDQUOT OVERQUOTA
 *   -EAGAIN UNAVAILABLE, INUSE, LIMIT   -EKEYEXPIRED AUTHENTICATIONFAILED, EXPIRED
 *   -EINVAL CANNOT   -ENOTSUP BADCHARSET   -EPROTO BAD   -EIO any other NO
 *
 * Threads: one thread at a time.  Only writing to interrupt_fd, or to imap_idle's wake_fd,
 * may come from another.
 * Sources: RFC 3501, 9051, 2177, 5161, 5464 (names only), 5465, 5819, 6154, 7162, 9208.
 */
#ifndef MAILMOUNT_IMAP_H
#define MAILMOUNT_IMAP_H

#include <stdint.h>

#include "query.h"
#include "str.h"

enum imap_tls {
    IMAP_TLS_IMPLICIT, /* TLS from the first byte */
    IMAP_TLS_STARTTLS, /* required; never plain text as a fall-back */
    IMAP_TLS_NONE,     /* refused (-EKEYREJECTED) unless the address connected to is loopback */
};

/* What the server said when it refused something. */
struct imap_failure {
    char code[64];       /* response code in upper case, "" for none */
    char text[512];      /* cleaned; "" for none, or while it may not be shown */
    uint64_t backoff_ms; /* `Suggested Backoff Time: N milliseconds`, 0 for none */
};

struct imap_settings {
    const char *host;
    uint16_t port;
    enum imap_tls tls;
    const char *cafile; /* NULL: the system's */
    const char *user;
    const char *secret;  /* password or access token */
    const char *auth;    /* mechanism as in the option auth=, or several with commas, best first;
                          * NULL: scram-sha-256, scram-sha-1, plain, login.  One attempt is made,
                          * with the first that the server offers. */
    unsigned timeout_ms; /* longest time without any progress; the whole login has 60 s */
    int interrupt_fd;    /* eventfd; readable: every wait ends with -ECANCELED; -1: none */
    struct imap_failure *failure; /* imap_connect's output where it fails: what the server said
                                   * last; NULL: not wanted */
};

struct imap;

/* Once per process, before threads: libetpan's, SASL's and OpenSSL's global state. */
MUST_USE int imap_global_init(void);

MUST_USE int imap_connect(const struct imap_settings *settings, struct imap **ret,
                          struct errtext *err);
/* Closes without LOGOUT.  Results under way end with -ECANCELED. */
void imap_free(struct imap *im);
void imap_freep(struct imap **im);

/* 0, or the sticky connection error. */
int imap_error(const struct imap *im);
const char *imap_errmsg(const struct imap *im);
/* What the server said when it ended the connection (BYE), or nothing. */
const struct imap_failure *imap_failure(const struct imap *im);
/* The last ALERT (RFC 3501 7.1: it must be shown), or the last command that was refused with a
 * code that means the whole account (UNAVAILABLE, INUSE, LIMIT, OVERQUOTA, ...) or with a time to
 * wait.  True once for each. */
bool imap_take_alert(struct imap *im, struct imap_failure *ret);
bool imap_take_refusal(struct imap *im, struct imap_failure *ret);
/* The mechanism that logged in: "scram-sha-256", "plain", "login", ...; borrowed. */
const char *imap_mechanism(const struct imap *im);

enum imap_cap {
    IMAP_CAP_NAMESPACE = 1 << 0,
    IMAP_CAP_SPECIAL_USE = 1 << 1,
    IMAP_CAP_LIST_EXTENDED = 1 << 2,
    IMAP_CAP_LIST_STATUS = 1 << 3,
    IMAP_CAP_ESEARCH = 1 << 4,
    IMAP_CAP_CONDSTORE = 1 << 5,
    IMAP_CAP_QRESYNC = 1 << 6,
    IMAP_CAP_IDLE = 1 << 7,
    IMAP_CAP_NOTIFY = 1 << 8,
    IMAP_CAP_UNSELECT = 1 << 9,
    IMAP_CAP_QUOTA = 1 << 10,
    IMAP_CAP_MOVE = 1 << 11,
    IMAP_CAP_UIDPLUS = 1 << 12,
    IMAP_CAP_LITERAL_PLUS = 1 << 13,
    IMAP_CAP_LITERAL_MINUS = 1 << 14,
    IMAP_CAP_COMPRESS = 1 << 15,
    IMAP_CAP_ENABLE = 1 << 16,
    IMAP_CAP_OBJECTID = 1 << 17,
    IMAP_CAP_ID = 1 << 18,
};
uint32_t imap_caps(const struct imap *im);
/* What ENABLE has switched on: IMAP_CAP_QRESYNC (then also IMAP_CAP_CONDSTORE) or
 * IMAP_CAP_CONDSTORE.  Only what the untagged ENABLED named, once the tagged OK is there. */
uint32_t imap_enabled(const struct imap *im);

struct imap_counters {
    uint64_t bytes_up, bytes_down; /* IMAP bytes: inside TLS */
    uint64_t commands;             /* sent after the login */
};
void imap_counters(const struct imap *im, struct imap_counters *ret);

/* ---- what arrives untagged */

enum imap_attr {                              /* RFC 5258, 6154, 3348 */
                 IMAP_ATTR_NOSELECT = 1 << 0, /* also \NonExistent */
                 IMAP_ATTR_NOINFERIORS = 1 << 1,
                 IMAP_ATTR_ALL = 1 << 2,
                 IMAP_ATTR_ARCHIVE = 1 << 3,
                 IMAP_ATTR_DRAFTS = 1 << 4,
                 IMAP_ATTR_FLAGGED = 1 << 5,
                 IMAP_ATTR_JUNK = 1 << 6,
                 IMAP_ATTR_SENT = 1 << 7,
                 IMAP_ATTR_TRASH = 1 << 8,
                 IMAP_ATTR_IMPORTANT = 1 << 9,
};

struct imap_list_entry {
    const char *name; /* raw, as on the wire after unquoting; NULs are not accepted */
    char delimiter;   /* 0: NIL */
    unsigned attrs;
};

enum imap_status_item {
    IMAP_STATUS_MESSAGES = 1 << 0,
    IMAP_STATUS_UIDNEXT = 1 << 1,
    IMAP_STATUS_UIDVALIDITY = 1 << 2,
    IMAP_STATUS_UNSEEN = 1 << 3,
    IMAP_STATUS_HIGHESTMODSEQ = 1 << 4,
};

struct imap_status {
    const char *name; /* raw */
    unsigned has;     /* which of the items came */
    uint32_t messages, uidnext, uidvalidity, unseen;
    uint64_t highestmodseq;
};

enum imap_item {
    IMAP_ITEM_UID = 1 << 0,
    IMAP_ITEM_FLAGS = 1 << 1,
    IMAP_ITEM_INTERNALDATE = 1 << 2,
    IMAP_ITEM_SIZE = 1 << 3,
    IMAP_ITEM_MODSEQ = 1 << 4,
    IMAP_ITEM_HEADER = 1 << 5, /* BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] */
    IMAP_ITEM_BODY = 1 << 6,   /* BODY[] whole */
};

/* Header blocks are kept up to this size; the rest is read and dropped. */
#define IMAP_HEADER_MAX (256 * 1024)
/* A body above this ends the connection with -EPROTO. */
#define IMAP_BODY_MAX ((uint64_t)1 << 31)

struct imap_fetch { /* pointers are borrowed, valid during the call */
    uint32_t seq;
    unsigned has; /* enum imap_item: which came in this response */
    uint32_t uid;
    unsigned flags;       /* enum flag */
    const char *keywords; /* as in flags.h; never NULL */
    int64_t internaldate;
    int zone;      /* minutes east */
    uint64_t size; /* RFC822.SIZE: a claim */
    uint64_t modseq;
    const char *header;
    size_t header_len;
    uint64_t body_len; /* octets handed to body_data for this response */
};

struct imap_quota {
    uint64_t used, limit; /* bytes (STORAGE) */
};

/* Each may be NULL.  Called on the connection's thread from imap_wait, imap_idle and imap_listen;
 * they may not call the connection.  What they cannot do (disk full) they remember themselves.
 *
 * fetch, body_*, vanished, expunge and exists are about the selected mailbox, or about the one
 * that is being selected (RFC 7162: VANISHED (EARLIER) and FETCH come before the tagged OK).  What
 * still comes about a mailbox while it is being left is dropped: the next delta brings it again.
 * list is called in answer to LIST, and from the OK of imap_send_notify on at any time. */
struct imap_events {
    void *ctx;
    void (*list)(void *ctx, const struct imap_list_entry *entry);
    void (*status)(void *ctx, const struct imap_status *status);
    void (*quota)(void *ctx, const struct imap_quota *quota);
    void (*namespace_prefix)(void *ctx, const char *prefix, char delimiter); /* first personal */
    /* A FETCH response is complete. */
    void (*fetch)(void *ctx, const struct imap_fetch *fetch);
    /* A body begins inside a FETCH response (`so_far->has` tells whether its UID is known yet);
     * its pieces; `fetch` follows with IMAP_ITEM_BODY in `has`.  A NIL body is one of 0 octets. */
    void (*body_begin)(void *ctx, const struct imap_fetch *so_far, uint64_t size);
    void (*body_data)(void *ctx, const void *data, size_t n);
    void (*uids)(void *ctx, uint32_t first, uint32_t last); /* SEARCH, ESEARCH ALL */
    void (*vanished)(void *ctx, uint32_t first, uint32_t last, bool earlier);
    void (*expunge)(void *ctx, uint32_t seq);
    void (*exists)(void *ctx, uint32_t messages);
};
/* Copied.  NULL: nothing is wanted. */
void imap_set_events(struct imap *im, const struct imap_events *events);

/* The selected mailbox, as its SELECT or EXAMINE said; exists follows later untagged EXISTS and
 * EXPUNGE.  NULL when none is selected.  Borrowed until the next command that selects. */
struct imap_mailbox {
    uint32_t exists, uidvalidity, uidnext; /* 0: not told */
    uint64_t highestmodseq; /* 0: none (also NOMODSEQ); grows with later HIGHESTMODSEQ codes */
    bool read_only, uid_not_sticky;
    bool any_keyword; /* PERMANENTFLAGS has \* */
};
const struct imap_mailbox *imap_selected(const struct imap *im);

/* ---- commands */

struct imap_result {
    bool done;
    int status;          /* 0 or -errno, when done */
    char code[64];       /* response code of the tagged answer in upper case, "" for none */
    char text[512];      /* human text of the tagged answer, cleaned */
    uint64_t backoff_ms; /* `Suggested Backoff Time: N milliseconds`, 0 if none */
};

/* Append a command to the pipeline; it is written at the next imap_wait at the latest.  Return 0,
 * the sticky error, -EINVAL when an argument holds CR, LF or NUL or makes a line of more than 8,000
 * octets, or -ENOBUFS when 16 MiB of commands wait to be written (imap_wait for one, then again).
 * `*ret` is initialised, and done when the connection has failed already. */
MUST_USE int imap_send_noop(struct imap *im, struct imap_result *ret);
MUST_USE int imap_send_namespace(struct imap *im, struct imap_result *ret);
/* LIST "" "*", with SPECIAL-USE where offered; with_status adds RETURN (STATUS (...)) and needs
 * IMAP_CAP_LIST_STATUS. */
MUST_USE int imap_send_list(struct imap *im, bool with_status, struct imap_result *ret);
MUST_USE int imap_send_status(struct imap *im, const char *raw, struct imap_result *ret);
/* ENABLE QRESYNC, or CONDSTORE; ask imap_enabled for what came of it.  Before the first SELECT
 * (else -EINVAL); needs IMAP_CAP_ENABLE and IMAP_CAP_QRESYNC or IMAP_CAP_CONDSTORE (-ENOTSUP). */
MUST_USE int imap_send_enable(struct imap *im, bool qresync, struct imap_result *ret);
MUST_USE int imap_send_quota(struct imap *im, struct imap_result *ret); /* GETQUOTAROOT INBOX */
/* EXAMINE (or SELECT).  What was selected before is left with UNSELECT where offered. */
MUST_USE int imap_send_select(struct imap *im, const char *raw, bool examine,
                              struct imap_result *ret);
/* The same, and what has changed since: (QRESYNC (uidvalidity modseq)), which needs QRESYNC in
 * imap_enabled (-ENOTSUP).  Events: vanished (earlier), fetch with UID, FLAGS and MODSEQ; when
 * uidvalidity is no longer the mailbox's, nothing.  With both 0 nothing is told, but HIGHESTMODSEQ
 * is asked for: (CONDSTORE) where offered and QRESYNC is not enabled; any server takes that.
 * Only one of them 0, or a modseq above 2^63-1: -EINVAL. */
MUST_USE int imap_send_select_since(struct imap *im, const char *raw, bool examine,
                                    uint32_t uidvalidity, uint64_t modseq, struct imap_result *ret);
/* UID SEARCH of all messages, RETURN (ALL) where ESEARCH is offered: events.uids. */
MUST_USE int imap_send_search_all(struct imap *im, struct imap_result *ret);
/* UID SEARCH of what the query says, likewise; the query is copied.  Strings that cannot be quoted
 * go as literals, without a round trip where LITERAL+ or LITERAL- is offered; otherwise everything
 * behind them in the pipeline waits for the server's `+`.  A search that is refused before that
 * ends as any other. */
MUST_USE int imap_send_search(struct imap *im, const struct query *query, struct imap_result *ret);
/* UID FETCH `set` with these items (BODY and HEADER as PEEK).  `set` is a sequence-set of UIDs. */
MUST_USE int imap_send_fetch(struct imap *im, const char *set, unsigned items,
                             struct imap_result *ret);
/* Only messages changed after modseq (CHANGEDSINCE; needs IMAP_CAP_CONDSTORE, -ENOTSUP); 1 to
 * 2^63-1 (-EINVAL).  `vanished` tells also which of the set are gone (VANISHED; needs QRESYNC in
 * imap_enabled, -ENOTSUP). */
MUST_USE int imap_send_fetch_since(struct imap *im, const char *set, unsigned items,
                                   uint64_t modseq, bool vanished, struct imap_result *ret);
/* NOTIFY SET for messages and mailboxes of all personal mailboxes; needs IMAP_CAP_NOTIFY
 * (-ENOTSUP).  For a connection with nothing selected: then events.status and events.list tell,
 * see imap_listen. */
MUST_USE int imap_send_notify(struct imap *im, struct imap_result *ret);
MUST_USE int imap_send_logout(struct imap *im, struct imap_result *ret);

/* Writes what is pending and reads until `result` is done.  Returns result->status. */
MUST_USE int imap_wait(struct imap *im, struct imap_result *result);

/* Whether the server is still there: a NOOP, which must be answered within 10 s, else -ETIMEDOUT,
 * sticky.  -EBUSY while a command is under way. */
MUST_USE int imap_check(struct imap *im);

/* ---- waiting for what nobody asked for */

enum imap_wake {
    IMAP_WAKE_TIMEOUT,  /* max_ms have passed */
    IMAP_WAKE_FD,       /* wake_fd is readable; it is not read */
    IMAP_WAKE_NEWS,     /* list, status or data about messages came, and nothing more for now */
    IMAP_WAKE_OVERFLOW, /* NOTIFICATIONOVERFLOW (RFC 5465 5.8), perhaps in an earlier command:
                         * NOTIFY is off, changes were lost; told once, goes before the others */
};

/* Both wait until the first of the above; events may have been called in every case.  wake_fd
 * (borrowed, -1: none) is looked at besides interrupt_fd.  -EBUSY while a command is under way.
 * Silence is no failure; a line that stops halfway is waited for in the next call.
 *
 * imap_idle: IDLE in the selected mailbox (none: -EINVAL; no IMAP_CAP_IDLE: -ENOTSUP).  Returns
 * only when the server has answered DONE with its tagged line, so the connection is ready for the
 * next command.  `+` and that answer have 10 s each, else -ETIMEDOUT, sticky.  A NO or BAD is
 * result->status and leaves the connection usable (as does an OK without `+`: -EPROTO).  A server
 * that ends IDLE by itself: as if max_ms had passed.
 *
 * imap_listen: no command at all, for a connection with imap_send_notify. */
MUST_USE int imap_idle(struct imap *im, unsigned max_ms, int wake_fd, struct imap_result *result,
                       enum imap_wake *ret);
MUST_USE int imap_listen(struct imap *im, unsigned max_ms, int wake_fd, enum imap_wake *ret);

#endif
