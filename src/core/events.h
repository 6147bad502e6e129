/*
 * events.h -- what happened and why, for `mailmount log`: STATE/events.jsonl.
 *
 * One JSON object a line: "time" (UTC, milliseconds, always first), "event" (a word of the list
 * below), "folder" (mount path, where it is about one), "counts" (an object of numbers, where
 * there are some) and "text", the same in words.  Lines are appended whole; at a size cap the file
 * becomes events.jsonl.1, which replaces the one before.  What a full disk does not take is
 * dropped and counted, and the count is written when there is room again.
 *
 * No secret, no subject, no address of a message and no body may be passed in.  Texts are cleaned
 * (plain.h) and cut at 512 bytes, folders at 4,096.
 *
 * Any thread, but not in a FUSE handler: it writes to the disk (without waiting for it to be safe
 * there).  The mutex is the last to be taken.
 */
#ifndef MAILMOUNT_EVENTS_H
#define MAILMOUNT_EVENTS_H

#include <stdint.h>

#include "util.h"

#define EVENTS_FILE     "events.jsonl"
#define EVENTS_SIZE_MAX ((size_t)4 << 20) /* of each of the two files */
#define EVENT_TEXT_MAX  512               /* bytes, the NUL included */

struct events;

/* In the order of their words in events.c. */
enum event_kind {
    EVENT_STARTED,        /* the daemon has begun */
    EVENT_ENDED,          /* ... ended */
    EVENT_ONLINE,         /* logged in */
    EVENT_OFFLINE,        /* cannot be reached, or the connection broke */
    EVENT_REFUSED,        /* login refused */
    EVENT_CONNECTION,     /* one connection of several was lost or refused */
    EVENT_LISTED,         /* a folder's first listing is complete */
    EVENT_SYNCED,         /* a folder was brought up to date, and had changed */
    EVENT_FAILED,         /* a listing failed */
    EVENT_COMPARED,       /* a full comparison found differences */
    EVENT_FOLDER_ADDED,   /* appeared on the server */
    EVENT_FOLDER_REMOVED, /* gone from the server */
    EVENT_FOLDER_RENAMED, /* moved there */
    EVENT_FOLDERS,        /* several at once */
    EVENT_UIDVALIDITY,    /* the server numbered the folder's messages anew */
    EVENT_CACHE,          /* a damaged cache was set aside */
    EVENT_BODY,           /* a message could not be fetched */
    EVENT_PINNED,         /* what is pinned has been fetched */
    EVENT_EVICTED,        /* bodies left the cache for want of room */
    EVENT_DROPPED,        /* events could not be written; made by events.c itself */
    EVENT_KINDS,
};

struct event_count {
    const char *name; /* a string constant; NULL ends the list */
    uint64_t value;
};

/* Opens or makes STATE_DIR/events.jsonl (mode 0600).  `max`: bytes of each of the two files. */
MUST_USE int events_open(const char *state_dir, size_t max, struct events **ret);
void events_close(struct events *events); /* NULL is fine */

/* `folder` NULL: of the whole account; `counts` NULL: none.  `events` NULL: does nothing. */
void event_log(struct events *events, enum event_kind kind, const char *folder,
               const struct event_count *counts, const char *format, ...) PRINTF(5, 6);

/* How many could not be written since events_open. */
uint64_t events_dropped(struct events *events);

#endif
