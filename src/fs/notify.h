/*
 * notify.h -- one thread that tells the kernel what to forget, in the order it was told.
 *
 * The kernel keeps names and attributes for a day, so whatever changes is taken back by name:
 *   added     inval_entry (a negative entry may be there) and the directory's cached listing
 *   removed   notify_delete and the directory's cached listing
 *   changed   the attributes of one inode
 * The calls may block on locks the kernel holds (a directory with a LOOKUP that waits), so no lock
 * of ours is held, and there are two lanes: names, and attributes.  Replies that must come behind
 * a correction of the size go through the lane of attributes.
 *
 * What the kernel was told of names is handed to announce.h.
 *
 * Any thread may add; nothing waits.
 */
#ifndef MAILMOUNT_NOTIFY_H
#define MAILMOUNT_NOTIFY_H

#include "news.h"
#include "util.h"

struct announce;
struct notify;
struct fuse_session;

MUST_USE int notify_new(struct notify **ret);
void notify_free(struct notify *notify); /* after notify_stop */
/* Until this is called, news is dropped and calls run at once. */
MUST_USE int notify_start(struct notify *notify, struct fuse_session *session,
                          struct announce *announce);
void notify_stop(struct notify *notify); /* what is queued is worked off first */

void notify_news(struct notify *notify, enum news news, uint64_t parent, uint64_t ino,
                 const char *name);

/* Runs fn(arg) behind all attribute news added before: at once on this thread when there is none
 * under way, else on the lane's thread. */
void notify_call_behind(struct notify *notify, void (*fn)(void *arg), void *arg);
/* The same behind all news, of names and of attributes. */
void notify_call_behind_all(struct notify *notify, void (*fn)(void *arg), void *arg);

#endif
