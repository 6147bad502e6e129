/*
 * tree.h -- from the answers of LIST to the directories of the mount.
 *
 * Raw mailbox names become paths (mboxname.h): split at each entry's own delimiter, the personal
 * namespace's prefix taken off, missing parents added as plain directories.  Two folders never
 * share a path: INBOX comes first, then those below the prefix, then the others; who finds its
 * path taken gets its first byte as %XX.  The option folders= and the URL's /FOLDER choose what
 * exists; parents of what exists are plain directories.
 */
#ifndef MAILMOUNT_TREE_H
#define MAILMOUNT_TREE_H

#include "imap.h"
#include "settings.h"
#include "store.h"

struct tree;

/* `prefix` as NAMESPACE gave it (copied), "" for none. */
MUST_USE int tree_new(const struct settings *settings, const char *prefix, struct tree **ret);
void tree_free(struct tree *tree);
void tree_freep(struct tree **tree);
/* An answer of LIST; copied.  At most TREE_MAX folders (-EMSGSIZE). */
#define TREE_MAX 200000
MUST_USE int tree_add(struct tree *tree, const struct imap_list_entry *entry);
/* The finished tree, parents before children; borrowed until tree_free. */
MUST_USE int tree_finish(struct tree *tree, const struct store_folder_entry **ret_entries,
                         size_t *ret_n);

#endif
