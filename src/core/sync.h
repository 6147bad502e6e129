/*
 * sync.h -- one step of agreement: a folder's listing in the store becomes the server's.
 *
 * The same step serves the first listing and every later one: the server's UIDs (SEARCH, in the
 * same pipeline as EXAMINE) minus ours are fetched in windows, ours minus the server's are
 * removed, the flags of the others are read again.  It can be cut off anywhere and goes on from
 * what is there.  Absence is never deletion unless the tagged-OK SEARCH agrees with EXISTS.
 * RFC 4549; RFC 9051 6.4.4, 6.4.5.
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

/* Lists `folder` (its raw name is not NULL).  0: complete, and the store says so.  A connection
 * error (imap_error tells), the failure of a command (-ENOENT, -EACCES ...), or -EIO: the server
 * contradicts itself; then `err` says how. */
MUST_USE int sync_folder(struct sync *sync, const struct store_folder *folder, struct errtext *err);

#endif
