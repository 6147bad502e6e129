/*
 * fetch.h -- bodies from the server into the body store, several in one pipeline.
 *
 * A body counts when its octets are all here and its command was answered OK; only then it is
 * indexed and the message's size corrected.  Each body's outcome is its own: one that is gone or
 * refused does not disturb the others.
 */
#ifndef MAILMOUNT_FETCH_H
#define MAILMOUNT_FETCH_H

#include "bodies.h"
#include "imap.h"
#include "news.h"
#include "store.h"

#define FETCH_MAX 64 /* bodies in one pipeline */

struct fetch_item {
    uint64_t ino;      /* of the message */
    uint32_t uid;      /* filled by fetch_bodies */
    int status;        /* outcome: 0, -ENOENT gone from the server, -ENOSPC, -EIO ... */
    bool done;         /* false when the connection failed before the outcome was known */
    struct body *body; /* outcome of 0: the bytes, even where they could not be kept (disk full);
                        * may be NULL; owned */
};

struct fetch {
    struct imap *im;
    struct store *store;
    struct bodies *bodies;
    const struct news_listener *news;
};

/* Fetches the bodies of messages of one folder.  `selected` says that this connection has the
 * folder open already.  Returns 0 when each item is done; a connection error (imap_error tells);
 * why the folder cannot be opened (-ENOENT, -EACCES ...); -ESTALE when its UIDVALIDITY is no longer
 * the one our UIDs belong to.  Items not done are then untouched by the server. */
MUST_USE int fetch_bodies(struct fetch *fetch, const struct store_folder *folder, bool selected,
                          struct fetch_item *items, size_t n);

#endif
