/*
 * sync.h -- one step of agreement: a folder's listing in the store becomes the server's.
 *
 * It can be cut off anywhere and goes on from what is there.  Absence is never deletion unless a
 * tagged-OK answer that agrees with EXISTS says so.  RFC 4549; RFC 7162; RFC 9051 6.4.4, 6.4.5.
 */
#ifndef MAILMOUNT_SYNC_H
#define MAILMOUNT_SYNC_H

#include "imap.h"
#include "news.h"
#include "store.h"

struct sync {
    struct imap *im;
    struct store *store;
    const struct news_listener *news;
};

/* Lists `folder` (its raw name is not NULL).  `selected`: this connection has it open already.  0:
 * complete, and the store says so.  A connection error (imap_error tells), the failure of a command
 * (-ENOENT, -EACCES ...), or -EIO: the server contradicts itself; then `err` says how. */
MUST_USE int sync_folder(struct sync *sync, const struct store_folder *folder, bool selected,
                         struct errtext *err);

#endif
