/*
 * refresh.h -- the account's folder list and what changed where.
 */
#ifndef MAILMOUNT_REFRESH_H
#define MAILMOUNT_REFRESH_H

#include "account_internal.h"

/* LIST, STATUS and QUOTA of the whole account, the first time also NAMESPACE; folders that changed
 * are queued.  -ESTALE, and nothing of it is believed: the connection is not `fresh`, and the
 * server names folders on it without being able to tell their STATUS; a fresh one knows better. */
MUST_USE int refresh_account(struct account *a, struct imap *im, bool fresh, struct errtext *err);

/* Whether STATUS says anything else than the last listing, of which `messages` rows are here. */
bool refresh_differs(const struct store_folder *folder, const struct imap_status *status,
                     uint64_t messages);

#endif
